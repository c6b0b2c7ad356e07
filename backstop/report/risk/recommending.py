"""`recommend`: market parameters from volatility and depth, as the file that `deploy` reads.

The markets come from a base file; what follows from measurements is replaced, everything else
stays as it is there: fees, feeds, roles, staking. The result is read back by the same loader that
`deploy` uses, and only written if it is accepted.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from backstop.chain.config import MarketConfig, Parameters
from backstop.chain.units import PPB, PPM, parse_fraction
from backstop.report.risk.outputs import code_hash, data_hash
from backstop.risk.errors import BadInput
from backstop.risk.parameters import MarketData, MarketParameters, Policy, recommend
from backstop.risk.provenance import hash_arrays

#: Largest growth of margins with open interest that a deployment file may hold.
LARGEST_SLOPE = 16.77


@dataclass(frozen=True)
class Advice:
    """One market's recommendation, the base's values, and the fields that are written."""

    market: str
    found: MarketParameters
    policy: Policy
    fields: Mapping[str, Any]
    base: MarketConfig


class _TextLoader(yaml.BaseLoader):
    """Every scalar stays the text it is."""


class _TextDumper(yaml.SafeDumper):
    """Texts without quotes: the loader reads every scalar as text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own interface

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        """Lists indented under their key."""
        return super().increase_indent(flow, False)


def policy_for(base: MarketConfig, policy: Policy, follow_tail: bool) -> Policy:
    """The policy with the base market's costs, check interval and speed of the mark.

    follow_tail: the step is the tail's quantile instead of what the mark's speed allows.
    """
    rules, market = base.liquidation, base.parameters
    step = market.mark_speed_ppb / PPB * rules.check_interval
    return replace(
        policy,
        check_seconds=float(rules.check_interval),
        step=None if follow_tail else step,
        funding_clamp=market.funding_clamp_ppb / PPB,
        reward=rules.reward_ppm / PPM,
        discount=rules.max_discount_ppm / PPM,
        # how far the surcharge may rise over its base; fixed where no terms follow the fund
        surcharge_cap=base.cover.cap_ppm / PPM if base.cover else 1.0,
    )


def advise(
    parameters: Parameters,
    data: Sequence[MarketData],
    policy: Policy,
    prices: Mapping[str, float],
    follow_tail: bool,
) -> list[Advice]:
    """A recommendation for every market of the base file."""
    advice = []
    for base, one in zip(parameters.markets, data, strict=True):
        mine = policy_for(base, policy, follow_tail)
        found = recommend(one, mine)
        fields = found.deployment_fields(price_of(base, prices), mine)
        # the mark keeps the speed it has unless the step was measured
        if not follow_tail:
            del fields["mark"]
        advice.append(Advice(base.name, found, mine, fields, base))
    return advice


def price_of(base: MarketConfig, prices: Mapping[str, float]) -> float:
    """The price that turns the cap into base units: given, or the base's mock feed's."""
    if base.name in prices:
        return prices[base.name]
    mock = base.feeds.primary.mock_price
    if mock is None:
        raise BadInput(
            f"the price of {base.name} is not known: its feed is a real one.",
            f"give --price {base.name}=AMOUNT, or a price file.",
        )
    return float(mock)


def recommended_yaml(path: Path, advice: Sequence[Advice], fund: float) -> str:
    """The base file with the recommended fields, checked by `deploy`'s own loader."""
    tree = yaml.load(path.read_text(encoding="utf8"), _TextLoader)
    for market, one in zip(tree["markets"], advice, strict=True):
        _merge(market, one.fields)
        _keep_in_range(market, one)
    claims = max(one.found.claim_limit for one in advice)
    windows = sum(one.found.window_limit for one in advice)
    engine = tree["fund"]["engine"]
    engine["per_claim"] = str(math.floor(claims + 1e-6))
    engine["per_window"] = str(math.floor(min(windows, fund) + 1e-6))
    text = _header(path, advice) + yaml.dump(
        tree, Dumper=_TextDumper, sort_keys=False, width=100, allow_unicode=True
    )
    Parameters.parse(text, "the recommended file")
    return text


def _merge(target: dict[str, Any], fields: Mapping[str, Any]) -> None:
    for key, value in fields.items():
        if isinstance(value, Mapping):
            _merge(target.setdefault(key, {}), value)
        else:
            target[key] = str(value)


def _keep_in_range(market: dict[str, Any], one: Advice) -> None:
    """The slope within what a contract holds, partial liquidations of at most 5 % of the cap, the
    inventory's cushion at least the initial margin.
    """
    if one.found.oi_slope > LARGEST_SLOPE:
        market["margin"]["open_interest_slope"] = f"{100 * LARGEST_SLOPE:g}%"
    step = int(min(float(market["liquidation"]["max_step"]), max(one.found.oi_cap * 0.05, 1.0)))
    market["liquidation"]["max_step"] = str(step)
    if (inventory := market.get("backstop")) is not None:
        initial = market["margin"]["initial"]
        if parse_fraction(inventory["margin"], 6) < parse_fraction(initial, 6):
            inventory["margin"] = initial


def _header(path: Path, advice: Sequence[Advice]) -> str:
    names = ", ".join(one.market for one in advice)
    return (
        f"# {path.name} with margins, caps, draw limits and surcharges recommended for {names}\n"
        f"# from volatility and depth by `ape run recommend` (docs/risk/parameters.md).\n"
        f"# code {code_hash()}\n"
    )


def inputs_hash(
    parameters: Parameters, data: Sequence[MarketData], policy: Policy, prices: Mapping[str, float]
) -> str:
    """Hash of what the recommendation rests on."""
    figures = {}
    for one in data:
        tails = [t for t in (one.risk.long_tail, one.risk.short_tail) if t is not None]
        values = [one.daily_sigma, one.daily_volume, one.depth_ratio, one.impact]
        values += [x for t in tails for x in (t.threshold, t.shape, t.scale, t.exceedance)]
        figures[one.risk.name] = hash_arrays({"figures": values})
    return data_hash(
        {
            "base": parameters.digest,
            "figures": figures,
            "policy": asdict(policy),
            "prices": dict(prices),
        }
    )


def write_text(path: Path, text: str) -> None:
    """Write a file at once or not at all; BadInput if that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf8") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written: {error.strerror}.", "choose another file with --out."
        ) from None
