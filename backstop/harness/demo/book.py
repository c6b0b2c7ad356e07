"""The book before the crash: who holds what, with which collateral. Drawn from a seed, no I/O.

Each side of a market has the same open interest. Who is in it, how the sizes are spread and how
close to the leverage limit the accounts are, says the scenario. The collateral of a trader is what
the margin rules ask for its positions at the full open interest, divided by the part of the limit
that was drawn for it, and what opening costs. Floats decide the plan; the contracts see integers.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

from eth_account import Account
from eth_utils import keccak

from backstop.chain.config import MarketParameters
from backstop.chain.signing import account_id
from backstop.harness.scenario import MarketScenario, Scenario

TRADER, MAKER, KEEPER, FLAT = "trader", "maker", "keeper", "flat"
FLAT_ACCOUNTS = 2
"""Accounts with collateral and without positions: nothing that happens may touch them."""

_LARGEST_PART = 0.08
"""No trader holds more than this part of a side, unless the side has too few traders."""


@dataclass
class Participant:
    """An account of the demo.

    Attributes:
        name: for people.
        kind: trader, maker, keeper or flat.
        key: secret key; made from the seed, it must never hold value.
        target: base (WAD, signed) that it opens, by market.
        collateral: tokens that it deposits, units of the token.
        limit_part: how much of the leverage limit it uses.
        nonce: of its next order.
    """

    name: str
    kind: str
    key: bytes
    target: dict[int, int] = field(default_factory=dict)
    collateral: int = 0
    limit_part: float = 0.0
    nonce: int = 0

    def __post_init__(self) -> None:
        self.address: str = str(Account.from_key(self.key).address)
        self.account: bytes = account_id(self.address)


@dataclass(frozen=True)
class Plan:
    """Everybody, and the first prices."""

    participants: tuple[Participant, ...]
    prices: tuple[float, ...]

    def of(self, kind: str) -> list[Participant]:
        """Those of a kind."""
        return [p for p in self.participants if p.kind == kind]


def margin(
    parameters: MarketParameters, fraction_ppm: int, notional: float, open_interest: float
) -> float:
    """The margin of a position, as `MarginMath.margins` has it, without its rounding.

    Args:
        parameters: of the market.
        fraction_ppm: initial or maintenance.
        notional: quote tokens.
        open_interest: base units of the side.
    """
    cap = parameters.open_interest_cap / 1e18
    crowd = min(1.0, open_interest / cap) if cap else 1.0
    scaled = notional * (1 + notional / parameters.size_scale)
    scaled *= 1 + parameters.open_interest_slope_ppm / 1e6 * crowd
    return min(notional, scaled * fraction_ppm / 1e6)


def make_plan(scenario: Scenario, seed: int) -> Plan:
    """The participants of a scenario; the same for the same scenario, seed and size."""
    rng = random.Random(f"{scenario.name}:{seed}")
    book = scenario.book
    unit = 10 ** (scenario.parameters.token.decimals or 18)
    prices = scenario.prices(0)
    traders = [
        Participant(f"trader {i}", TRADER, _key(seed, TRADER, i))
        for i in range(book.accounts - book.makers - FLAT_ACCOUNTS)
    ]
    _draw_positions(scenario, traders, prices, rng)
    _draw_collateral(scenario, traders, prices, unit, rng)
    others = [(MAKER, book.makers, book.maker_capital), (FLAT, FLAT_ACCOUNTS, 10_000.0)]
    others.append((KEEPER, scenario.keepers.count, scenario.keepers.capital))
    participants = list(traders)
    for kind, count, capital in others:
        for i in range(count):
            name = {MAKER: "market maker", FLAT: "flat account", KEEPER: "keeper"}[kind]
            one = Participant(f"{name} {i}", kind, _key(seed, kind, i))
            one.collateral = int(capital) * unit
            participants.append(one)
    return Plan(tuple(participants), prices)


def _key(seed: int, kind: str, index: int) -> bytes:
    return keccak(text=f"backstop demo {seed} {kind} {index}")


def _draw_positions(
    scenario: Scenario, traders: list[Participant], prices: tuple[float, ...], rng: random.Random
) -> None:
    """Directions first, then sizes, market by market; both sides have the same sum."""
    count = len(scenario.markets)
    directions: list[dict[int, int]] = []
    for _ in traders:
        side = 1 if rng.random() < scenario.book.longs else -1
        home = rng.choices(range(count), [m.open_interest for m in scenario.markets])[0]
        mine = {home: side}
        if count > 1 and rng.random() < scenario.book.both_markets:
            other = rng.choice([m for m in range(count) if m != home])
            mine[other] = side if rng.random() < 0.5 else -side  # every second one hedges
        directions.append(mine)
    for market in scenario.markets:
        lot = scenario.parameters.markets[market.number].parameters.min_base * 10**9
        for side in (1, -1):
            inside = [i for i, d in enumerate(directions) if d.get(market.number) == side]
            if not inside:  # a side needs somebody: who is not in the market yet
                free = [i for i, d in enumerate(directions) if market.number not in d]
                inside = [rng.choice(free)]
            weights = _capped([rng.lognormvariate(0, scenario.book.size_sigma) for _ in inside])
            total = int(market.open_interest / prices[market.number] * 1e18) // lot
            for i, lots in zip(inside, _shares(total, weights), strict=True):
                traders[i].target[market.number] = side * lots * lot


def _capped(weights: list[float]) -> list[float]:
    """Parts of 1, none above the largest that is allowed; what is cut off goes to the others."""
    largest = max(_LARGEST_PART, 1.2 / len(weights))
    parts = [weight / sum(weights) for weight in weights]
    for _ in range(50):
        excess = sum(max(0.0, part - largest) for part in parts)
        if excess < 1e-12:
            break
        small = sum(part for part in parts if part < largest)
        parts = [
            min(part, largest) if part >= largest else part * (1 + excess / small) for part in parts
        ]
    return parts


def _shares(total: int, parts: list[float]) -> list[int]:
    """`total` lots by parts, at least one each; the largest takes what rounding leaves."""
    lots = [max(1, round(total * part)) for part in parts]
    lots[lots.index(max(lots))] += total - sum(lots)
    return lots


def _draw_collateral(
    scenario: Scenario,
    traders: list[Participant],
    prices: tuple[float, ...],
    unit: int,
    rng: random.Random,
) -> None:
    parts = _limit_parts(scenario, len(traders), rng)
    for trader, part in zip(traders, parts, strict=True):
        needed = cost = 0.0
        for number, base in trader.target.items():
            market = scenario.markets[number]
            needed += initial_margin(scenario, market, base, prices[number])
            cost += opening_cost(scenario, market, base, prices[number])
        trader.limit_part = part
        trader.collateral = math.ceil((needed / part + cost) * unit)


def _limit_parts(scenario: Scenario, count: int, rng: random.Random) -> list[float]:
    """Parts of the leverage limit: the bands have their shares also among few accounts."""
    parts = []
    for i in range(count):
        place, below = (i + 0.5) / count, 0.0
        for band in scenario.book.leverage:
            below += band.share
            if place <= below or band is scenario.book.leverage[-1]:
                parts.append(rng.uniform(band.low, band.high))
                break
    rng.shuffle(parts)
    return parts


def initial_margin(scenario: Scenario, market: MarketScenario, base: int, price: float) -> float:
    """What a position needs when everybody is in, quote tokens."""
    parameters = scenario.parameters.markets[market.number].parameters
    whole = market.open_interest / price
    return margin(parameters, parameters.initial_margin_ppm, abs(base) / 1e18 * price, whole)


def opening_cost(scenario: Scenario, market: MarketScenario, base: int, price: float) -> float:
    """Fee (the larger one) and distance of the opening price from the mark, quote tokens."""
    parameters = scenario.parameters.markets[market.number].parameters
    notional = abs(base) / 1e18 * price
    fee = max(parameters.maker_fee_ppm, parameters.taker_fee_ppm) / 1e6
    return notional * (fee + abs(scenario.book.premium)) * 1.001
