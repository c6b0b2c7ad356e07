"""A scenario: markets, a price history, a book of traders, keepers, and what has to come out of it.

A scenario is one YAML file under `scenarios/` (the format: docs/demo.md). It takes the parameters
of the deployment from another file and says what differs. Every scalar is read as text, so a
misspelt field, a missing unit or an impossible value is refused with the file, the field, the
value, what is allowed and what to do. Prices are figures of the file, with their source.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import yaml

from backstop.chain.config import ConfigError, Parameters
from backstop.chain.units import UnitError, parse_decimal
from backstop.harness.fields import Fields, ScenarioError, read_yaml
from backstop.harness.staker_section import (
    StakerPlan,
    fit_stakers,
    read_stakers,
    staked_before,
)

SCENARIOS: Final = Path(__file__).parents[2] / "scenarios"
"""Where scenarios are looked up by name."""

DEFAULT: Final = "crash-2025-10-10"
OUTCOMES: Final = (
    "partial_liquidations",
    "fully_covered",
    "exhausted_compartments",
    "reserve_draws",
    "stake_draws",
    "tear_ups",
    "side_charges",
    "deleverages",
    "recorded",
)
"""What an `expect` section may ask for, each at least so many times."""

MAX_STEPS: Final = 2000
_PREPARATION: Final = 3600
"""Seconds before the start at which everything is deployed, earlier if somebody stakes earlier."""


# --- what the file holds


@dataclass(frozen=True)
class ImpactLaw:
    """What selling does to the next price; see `backstop.harness.demo.impact`.

    Attributes:
        coefficient: relative price move of a quantity equal to `volume`.
        volume: quote tokens that the market trades in a normal day.
        exponent: 0.5 is the square-root law, 1 a linear one.
        decay: part of the impact that is gone after a minute.
        depth_slope: how fast the book that the move eats thins out with the stress.
        depth_floor: part of the normal depth that is always left.
        halflife: minutes over which a stressed price counts as the new normal.
    """

    coefficient: float
    volume: float
    exponent: float
    decay: float
    depth_slope: float
    depth_floor: float
    halflife: float


@dataclass(frozen=True)
class MarketScenario:
    """A market: its prices and who is in it.

    Attributes:
        number: in the engine.
        source: where the prices come from.
        path: (seconds since 1970, price), ascending.
        open_interest: quote tokens at the first price.
    """

    number: int
    name: str
    source: str
    path: tuple[tuple[int, float], ...]
    open_interest: float
    impact: ImpactLaw

    def price(self, time: float) -> float:
        """The price at a time: on a straight line in the logarithm between two points."""
        return interpolate(self.path, time)


@dataclass(frozen=True)
class LeverageBand:
    """A part of the accounts, and between which parts of the leverage limit theirs lies."""

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Book:
    """The traders before the crash.

    Attributes:
        accounts: traders and market makers together.
        longs: part of the traders who are long; the sizes balance the sides.
        both_markets: part of the traders who are in every market.
        size_sigma: spread of the sizes, standard deviation of their logarithm.
        premium: distance of the opening prices from the index; funding is charged on it.
        turnover: part of the traders who close some of their position at will in a step.
        makers: number of market makers, whose signed orders keepers bring.
        maker_capital: collateral of each, tokens.
        maker_spread: distance of their orders from the mark.
        maker_depth: quote tokens that all of them together offer a step while the book is normal.
    """

    accounts: int
    longs: float
    both_markets: float
    size_sigma: float
    premium: float
    turnover: float
    leverage: tuple[LeverageBand, ...]
    makers: int
    maker_capital: float
    maker_spread: float
    maker_depth: float


@dataclass(frozen=True)
class Keepers:
    """Who liquidates.

    Attributes:
        count: how many, one account each.
        capital: collateral of each, tokens.
        caution: multiple of the market's last move that a keeper keeps as margin beside the
            initial margin of what it takes over.
        steps: most partial liquidations of one account in a step.
    """

    count: int
    capital: float
    caution: float
    steps: int


@dataclass(frozen=True)
class Scenario:
    """A checked scenario. `Scenario.load(name_or_path)` reads one.

    Attributes:
        start, step, steps: first second, seconds of a step, number of steps after the first.
        parameters: of the deployment; the mock feeds start at the first prices.
        expect: how often each outcome has to happen at least, with the file's own settings.
        stakers: who underwrites layer 3, in the order of the file.
    """

    name: str
    title: str
    about: str
    file: str
    start: int
    step: int
    steps: int
    parameters: Parameters
    markets: tuple[MarketScenario, ...]
    book: Book
    keepers: Keepers
    expect: Mapping[str, int]
    stakers: tuple[StakerPlan, ...] = ()

    @property
    def deployed_at(self) -> int:
        """When the contracts are deployed: an hour before the start, or before the first stake."""
        return min([self.start - _PREPARATION, *(one.joins - 60 for one in self.stakers)])

    @property
    def end(self) -> int:
        """Second of the last step."""
        return self.start + self.steps * self.step

    @classmethod
    def load(cls, name: str, *, accounts: int | None = None, fund: str | None = None) -> Scenario:
        """Read a scenario.

        Args:
            name: of a file under `scenarios/`, or a path.
            accounts: another number of accounts.
            fund: another size of the fund, see `fund_factor`.

        Raises:
            ScenarioError: the file, or one of the two settings, cannot be used.
        """
        path = find(name)
        file = str(path)
        try:
            text = path.read_text(encoding="utf8")
        except (OSError, UnicodeDecodeError) as error:
            raise ScenarioError(file, "", str(error), "a readable UTF-8 text file") from None
        return cls.parse(text, file, accounts=accounts, fund=fund)

    @classmethod
    def parse(
        cls, text: str, file: str, *, accounts: int | None = None, fund: str | None = None
    ) -> Scenario:
        """The same from a text; `file` is for messages and for relative paths."""
        return _scenario(Fields(file, "", read_yaml(text, file)), accounts, fund)

    def prices(self, index: int) -> tuple[float, ...]:
        """The history's prices at the step, market by market."""
        return tuple(market.price(self.start + index * self.step) for market in self.markets)


def find(name: str) -> Path:
    """The file of a scenario given by name or path; ScenarioError if there is none."""
    for path in (SCENARIOS / f"{name}.yaml", Path(name)):
        if path.is_file():
            return path
    known = ", ".join(names())
    raise ScenarioError(
        str(name),
        "",
        "no scenario",
        f"one of {known}, or the path of a YAML file",
        "choose one of them with --scenario",
    )


def names() -> list[str]:
    """The scenarios that come with the project."""
    return sorted(path.stem for path in SCENARIOS.glob("*.yaml"))


def interpolate(path: Sequence[tuple[int, float]], time: float) -> float:
    """The price at `time` on straight lines in the logarithm; the ends go on for ever."""
    if time <= path[0][0]:
        return path[0][1]
    for (t0, p0), (t1, p1) in pairwise(path):
        if time <= t1:
            return p0 * math.exp(math.log(p1 / p0) * (time - t0) / (t1 - t0))
    return path[-1][1]


def fund_factor(text: str, total: Decimal) -> Decimal:
    """How much larger the fund becomes: `2x` and `50%` are factors, a number is tokens in all.

    Raises:
        UnitError: neither, with what is allowed.
    """
    allowed = "a factor such as 0.5x or 200%, or an amount of tokens from 1000 such as 300000"
    text = text.strip()
    try:
        if text.endswith("x"):
            factor = parse_decimal(text[:-1])
        elif text.endswith("%"):
            factor = parse_decimal(text[:-1]) / 100
        else:
            amount = parse_decimal(text)
            if 0 < amount < 1000:
                raise UnitError(allowed)
            factor = amount / total if total else Decimal(0)
    except UnitError:
        raise UnitError(allowed) from None
    if not 0 <= factor <= 1000:
        raise UnitError(allowed)
    return factor


# --- the parts


def _scenario(root: Fields, accounts: int | None, fund: str | None) -> Scenario:
    name = root.text("name")
    if not re.fullmatch(r"[a-z0-9-]{1,40}", name):
        root.fail("name", name, "1 to 40 small letters, digits, dashes")
    start = root.time("start")
    step = root.seconds("step", 1, 86400)
    nodes = root.children("markets")
    drafts = [_draft(node) for node in nodes]
    paths = {draft["name"]: draft["path"] for draft in drafts}
    for node, draft in zip(nodes, drafts, strict=True):
        if draft["shape"] and draft["shape"] not in paths:
            node.fail("prices.shape", draft["shape"], f"one of the markets {', '.join(paths)}")
        if draft["shape"]:
            draft["path"] = shaped(draft["path"], paths[draft["shape"]])
        first, last = draft["path"][0][0], draft["path"][-1][0]
        if not first <= start < last:
            root.fail("start", root.text("start"), f"a time within the prices of {draft['name']}")
    end = min(draft["path"][-1][0] for draft in drafts)
    steps = root.whole("steps", 1, MAX_STEPS) if "steps" in root.data else (end - start) // step
    if not 1 <= steps <= MAX_STEPS:
        root.fail("step", root.text("step"), f"a step that gives 1 to {MAX_STEPS} steps")
    if steps * step > end - start:
        root.fail("steps", root.text("steps"), f"at most {(end - start) // step}: prices end there")
    stakers = read_stakers(root, start, start + steps * step)
    parameters, factor = _parameters(root, drafts, start, fund, staked_before(stakers, start))
    scenario = Scenario(
        name=name,
        title=root.text("title"),
        about=root.text("about"),
        file=root.file,
        start=start,
        step=step,
        steps=steps,
        parameters=parameters,
        markets=tuple(
            MarketScenario(
                number=number,
                name=draft["name"],
                source=draft["source"],
                path=tuple(draft["path"]),
                open_interest=draft["open_interest"],
                impact=draft["impact"],
            )
            for number, draft in enumerate(drafts)
        ),
        book=_book(root.child("book"), accounts),
        keepers=_keepers(root.child("keepers")),
        expect=_expect(root),
        stakers=fit_stakers(root, stakers, parameters, factor),
    )
    root.done()
    return scenario


def _draft(node: Fields) -> dict[str, Any]:
    prices = node.child("prices")
    draft = {
        "name": node.text("name"),
        "like": node.text("like"),
        "changes": node.raw("changes", "a mapping of fields") if "changes" in node.data else {},
        "open_interest": node.number("open_interest", 1000),
        "impact": _impact(node.child("impact")),
        "source": prices.text("source", "where the prices come from"),
        "shape": prices.text("shape") if "shape" in prices.data else "",
        "path": _path(prices),
    }
    if not isinstance(draft["changes"], Mapping):
        node.fail("changes", draft["changes"], "a mapping of fields of the parameter file's market")
    prices.done()
    node.done()
    return draft


def _path(prices: Fields) -> list[tuple[int, float]]:
    points: list[tuple[int, float]] = []
    for block in prices.children("path"):
        time = block.time("from" if "from" in block.data else "at")
        if "at" in block.data:
            added = [(time, block.number("price", 1e-9))]
        else:
            every = block.seconds("every", 1, 86400)
            if "bars" in block.data:
                added = _bars(block, time, every)
            else:
                added = [
                    (time + i * every, price) for i, price in enumerate(_figures(block, "prices"))
                ]
        block.done()
        if points and added[0][0] <= points[-1][0]:
            block.fail(
                "from" if "from" in block.data else "at",
                "before the end of the block before it",
                "blocks in the order of time, without overlap",
            )
        points += added
    if len(points) < 2:
        prices.fail("path", "one price", "at least two prices")
    return points


def _figures(block: Fields, key: str, values: Any = None) -> list[float]:
    values = block.raw(key, "a list of prices") if values is None else values
    if not isinstance(values, list) or not values:
        block.fail(key, values, "a list of prices such as [116848.7, 116399.6]")
    figures = []
    for position, text in enumerate(values):
        try:
            figures.append(float(parse_decimal(text if isinstance(text, str) else "?")))
        except UnitError as error:
            block.fail(f"{key}[{position}]", text, str(error))
        if not 0 < figures[-1] <= 1e7:
            block.fail(f"{key}[{position}]", text, "a price above 0 and at most 10000000")
    return figures


def _bars(block: Fields, time: int, every: int) -> list[tuple[int, float]]:
    """Open at the start, the extremes at the thirds, the last close at the end.

    A bar that closes below its open is taken to have made its high first, any other its low.
    """
    rows = block.raw("bars", "a list of [open, high, low, close]")
    if every % 3:
        block.fail("every", block.text("every"), "a number of seconds that 3 divides")
    if not isinstance(rows, list) or not rows:
        block.fail("bars", rows, "a list of [open, high, low, close]")
    points: list[tuple[int, float]] = []
    close = 0.0
    for position, row in enumerate(rows):
        key = f"bars[{position}]"
        figures = _figures(block, key, row)
        if len(figures) != 4:
            block.fail(key, f"{len(figures)} figures", "four: open, high, low, close")
        opened, high, low, close = figures
        if not low <= min(opened, close) <= max(opened, close) <= high:
            block.fail(key, " ".join(row), "low <= open, close <= high")
        extremes = (high, low) if close < opened else (low, high)
        begin = time + position * every
        points += [
            (begin, opened),
            (begin + every // 3, extremes[0]),
            (begin + 2 * every // 3, extremes[1]),
        ]
    return [*points, (time + len(rows) * every, close)]


def shaped(
    anchors: Sequence[tuple[int, float]], guide: Sequence[tuple[int, float]]
) -> list[tuple[int, float]]:
    """A path through the anchors that moves when the guide moves.

    Between two anchors the logarithm covers its distance in proportion to the guide's. Where the
    guide ends a stretch as it began, the line is straight.
    """
    points = [anchors[0]]
    for (t0, p0), (t1, p1) in pairwise(anchors):
        g0, g1 = interpolate(guide, t0), interpolate(guide, t1)
        whole = math.log(g1 / g0)
        for time, price in guide:
            if t0 < time < t1:
                part = (
                    math.log(price / g0) / whole if abs(whole) > 1e-4 else (time - t0) / (t1 - t0)
                )
                points.append((time, p0 * math.exp(math.log(p1 / p0) * part)))
        points.append((t1, p1))
    return points


def _impact(node: Fields) -> ImpactLaw:
    law = ImpactLaw(
        coefficient=node.share("coefficient"),
        volume=node.number("volume", 1),
        exponent=node.number("exponent", 0.1, 1),
        decay=node.share("decay"),
        depth_slope=node.number("depth_slope", 0, 1000),
        depth_floor=node.share("depth_floor", "0.1%"),
        halflife=node.seconds("halflife", 1, 30 * 86400) / 60,
    )
    node.done()
    return law


def _book(node: Fields, accounts: int | None) -> Book:
    makers = node.child("makers")
    bands = []
    for band in node.children("leverage"):
        bands.append(LeverageBand(band.share("share"), band.share("from"), band.share("to")))
        if not 0 < bands[-1].low <= bands[-1].high < 1:
            band.fail("to", band.text("to"), "at least `from`, and below 100% of the limit")
        band.done()
    if abs(sum(band.share for band in bands) - 1) > 1e-9:
        node.fail("leverage", f"{100 * sum(b.share for b in bands):g}%", "shares that sum to 100%")
    book = Book(
        accounts=node.whole("accounts", 20, 5000) if accounts is None else accounts,
        longs=node.share("longs", "10%", "90%"),
        both_markets=node.share("both_markets"),
        size_sigma=node.number("size_sigma", 0, 3),
        premium=node.share("premium", "-5%", "5%"),
        turnover=node.share("turnover"),
        leverage=tuple(bands),
        makers=makers.whole("count", 1, 100),
        maker_capital=makers.number("capital", 1),
        maker_spread=makers.share("spread", "0%", "5%"),
        maker_depth=makers.number("depth", 0),
    )
    node.raw("accounts", "a whole number from 20 to 5000")
    makers.done()
    node.done()
    if not 20 <= book.accounts <= 5000:
        raise ScenarioError(
            node.file,
            "book.accounts",
            f"{book.accounts}",
            "a whole number from 20 to 5000",
            "give --accounts a number in that range",
        )
    if book.makers + 10 > book.accounts:
        node.fail("makers.count", f"{book.makers}", f"at most {book.accounts - 10}")
    return book


def _keepers(node: Fields) -> Keepers:
    keepers = Keepers(
        count=node.whole("count", 1, 20),
        capital=node.number("capital", 1),
        caution=node.number("caution", 0, 100),
        steps=node.whole("steps", 1, 100),
    )
    node.done()
    return keepers


def _expect(root: Fields) -> dict[str, int]:
    node = root.child("expect")
    expect = {}
    for key in node.data:
        if key not in OUTCOMES:
            node.fail(str(key), "an unknown outcome", f"one of {', '.join(OUTCOMES)}")
        expect[str(key)] = node.whole(str(key), 0, 100000)
    return expect


# --- the deployment's parameters


def _parameters(
    root: Fields,
    drafts: Sequence[Mapping[str, Any]],
    start: int,
    fund: str | None,
    staked: Decimal,
) -> tuple[Parameters, Decimal]:
    """The parameters, and how much larger their fund is than the file's."""
    node = root.child("parameters")
    base = Path(root.file).parent / node.text("base", "the path of a parameter file")
    try:
        data = read_yaml(base.read_text(encoding="utf8"), str(base))
    except OSError:
        node.fail(
            "base", node.text("base"), "a parameter file, relative to this one", "correct the path"
        )
    if not isinstance(data, Mapping) or not isinstance(data.get("markets"), list):
        node.fail("base", node.text("base"), "a parameter file with a list of markets")
    changes = node.raw("changes", "a mapping of fields") if "changes" in node.data else {}
    if not isinstance(changes, Mapping) or "markets" in changes:
        node.fail("changes", changes, "a mapping of fields, without markets (they have their own)")
    node.done()
    merged = _merged(data, {"name": root.text("name"), **changes})
    templates = {str(market.get("name")): market for market in data["markets"]}
    merged["markets"] = []
    for position, draft in enumerate(drafts):
        if draft["like"] not in templates:
            root.fail(
                f"markets[{position}].like",
                draft["like"],
                f"one of {', '.join(templates)} of {base}",
            )
        market = _merged(templates[draft["like"]], draft["changes"])
        market["name"] = draft["name"]
        _set_first_price(market, interpolate(draft["path"], start))
        merged["markets"].append(market)
    factor = Decimal(1) if fund is None else _scale_fund(merged, fund, staked)
    try:
        return Parameters.parse(yaml.safe_dump(merged), root.file), factor
    except ConfigError as error:
        raise ScenarioError(
            root.file,
            f"parameters: {error.path}",
            error.value,
            error.allowed,
            f"correct it under `changes` in {root.file}, or in {base}",
        ) from None


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the fields of `changes` laid over it; `none` takes a field away."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        if value == "none":
            result.pop(key, None)
            continue
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = _merged(old, value)
        else:
            result[key] = value
    return result


def _set_first_price(market: dict[str, Any], price: float) -> None:
    feeds = dict(market["feeds"])
    for name in ("primary", "secondary"):
        if isinstance(feeds.get(name), Mapping) and "mock" in feeds[name]:
            feeds[name] = {**feeds[name], "mock": f"{price:.6f}"}
    market["feeds"] = feeds


def _fund_total(merged: Mapping[str, Any]) -> Decimal:
    parts = [merged["fund"].get("initial_reserve", "0")]
    parts += [market["fund"].get("initial", "0") for market in merged["markets"]]
    return sum((parse_decimal(part) for part in parts), Decimal(0))


def _scale_fund(merged: dict[str, Any], text: str, staked: Decimal) -> Decimal:
    """Make every layer and every limit of the fund larger by the same factor; returns it."""
    try:
        factor = fund_factor(text, _fund_total(merged) + staked)
    except UnitError as error:
        raise ScenarioError("--fund", "", text, str(error), "give --fund one of these") from None

    def scale(mapping: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
        return {
            key: f"{int(parse_decimal(value) * factor)}" if key in keys else value
            for key, value in mapping.items()
        }

    fund = scale(merged["fund"], ("reserve_target", "initial_reserve"))
    fund["engine"] = scale(fund["engine"], ("per_claim", "per_window"))
    if isinstance(fund.get("staking"), Mapping):
        fund["staking"] = scale(fund["staking"], ("cap",))
    merged["fund"] = fund
    for market in merged["markets"]:
        market["fund"] = scale(market["fund"], ("compartment_cap", "per_window", "initial"))
    return factor
