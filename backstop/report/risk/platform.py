"""What a study is about: the accounts, the fund and the rules, in the simulator's terms.

The contracts' rules become the simulator's as follows; what does not fit is in `NOT_MODELLED`.

- Maintenance: fraction * notional * (1 + notional/size scale) * (1 + slope * open interest/cap), a
  convex curve, becomes brackets that meet it at their ends and lie above it in between.
- Fund: compartments stay; reserve and stake are one shared layer, under the claimant's limits per
  claim and per window and each market's own.
- Costs of a liquidation: surcharge, and reward plus largest discount, as means over the markets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from backstop.chain.config import LiquidationParameters, MarketParameters, Parameters
from backstop.chain.units import PPM, WAD
from backstop.harness.demo.book import make_plan
from backstop.harness.scenario import ImpactLaw, Scenario
from backstop.harness.staker_section import staked_before
from backstop.simulation.book import Book, Tiers
from backstop.simulation.model import (
    AdlParams,
    DepthLaw,
    FloatArray,
    FundParams,
    ImpactParams,
    LiquidationParams,
    SimulationParams,
)

#: Parts of the size scale at which the brackets of a maintenance schedule begin.
_KNOTS = (0.0, *np.geomspace(0.005, 20.0, 40))

NOT_MODELLED = (
    "Liquidations happen in full within the minute an account falls below maintenance margin; the "
    "contracts' flags, growing discounts and steps of limited size take longer.",
    "Reserve and staked tranche are one shared layer, its limits windows of fixed length instead "
    "of buckets that drain; caps of compartments and the refill of the reserve are left out.",
    "Reinsurance pays nothing here, and surcharge and margins do not follow the fund's solvency "
    "ratio: they are those of a fund at its target.",
    "Nobody trades, deposits or withdraws during a path; funding and trading fees are not paid.",
    "Surcharge, discount and reward are the same in all markets: means weighted by open interest.",
    "The mark follows the index at once, while the contracts bound its speed.",
    "Impact follows one law with the parameters below; other venues' cascades are in the prices, "
    "not in the law.",
)


@dataclass(frozen=True)
class Layers:
    """The fund now, whole tokens: compartments by market, the shared layers and their limits."""

    compartments: tuple[float, ...]
    reserve: float
    staked: float
    per_claim: float
    per_window: float
    window: int
    market_per_window: tuple[float, ...]

    @property
    def total(self) -> float:
        """All capital."""
        return sum(self.compartments) + self.reserve + self.staked

    def simulated(self) -> FundParams:
        """The same for the simulator: limits as fractions of the shared layer."""
        shared = self.reserve + self.staked
        return FundParams(
            compartment=np.array(self.compartments),
            operator=0.0,
            staked=shared,
            claim_limit=self.per_claim / shared if shared else 0.0,
            window_limit=self.per_window / shared if shared else 0.0,
            market_limit=1.0,
            market_cap=np.array(self.market_per_window),
            window=max(self.window // 60, 1),
        )


@dataclass(frozen=True)
class Platform:
    """Accounts, rules and fund of one platform at one moment.

    owners: one name per account of the book; accounts of one owner are one group. numbers: the
    markets' numbers on the chain. origin: where all this comes from. volumes: USD a day.
    """

    book: Book
    params: SimulationParams
    layers: Layers
    owners: tuple[str, ...]
    numbers: tuple[int, ...]
    symbol: str
    decimals: int
    origin: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    scenario: Scenario | None = field(default=None, compare=False, repr=False)

    @property
    def unlimited(self) -> SimulationParams:
        """The parameters with a fund that pays everything: what the fund has to be sized for."""
        return replace(self.params, fund=FundParams(operator=1e30, staked=0.0, window=1))

    def groups(self, shortfalls: FloatArray) -> FloatArray:
        """Sums of a value per account (N,) over the accounts of each owner."""
        _, index = np.unique(np.array(self.owners), return_inverse=True)
        return np.asarray(np.bincount(index, weights=shortfalls), dtype=np.float64)


def maintenance_tiers(markets: Sequence[MarketParameters], crowd: Sequence[float]) -> Tiers:
    """Brackets for the contracts' maintenance rule; crowd: open interest over its cap, at most 1.

    The curve is met at the bracket's ends; where it would pass the notional itself the last rate
    below 1 goes on.
    """
    schedules = []
    for p, part in zip(markets, crowd, strict=True):
        fraction = p.maintenance_margin_ppm / PPM
        fraction *= 1.0 + p.open_interest_slope_ppm / PPM * min(max(part, 0.0), 1.0)
        rates = [fraction * (1.0 + a + b) for a, b in pairwise(_KNOTS)]
        floors = [knot * p.size_scale for knot in _KNOTS[:-1]]
        below = [(f, r) for f, r in zip(floors, rates, strict=True) if r < 1.0]
        schedules.append(below or [(0.0, 0.999)])
    return Tiers.of(schedules)


def costs(rules: Sequence[LiquidationParameters], weights: FloatArray) -> LiquidationParams:
    """One rule for all markets: means by weight, and the largest target health."""
    share = weights / weights.sum() if weights.sum() > 0 else np.full(len(rules), 1 / len(rules))
    surcharge = float(share @ np.array([r.surcharge_ppm for r in rules])) / PPM
    keeper = float(share @ np.array([r.reward_ppm + r.max_discount_ppm for r in rules])) / PPM
    health = max(r.target_health_ppm for r in rules) / PPM
    return LiquidationParams(surcharge=surcharge, reward=keeper, target_health=health)


def impact_of(laws: Sequence[ImpactLaw]) -> ImpactParams:
    """The scenario's laws; exponent, decay and depth, one for all here, are those of the first."""
    first = laws[0]
    return ImpactParams(
        coefficient=np.array([law.coefficient for law in laws]),
        volume=np.array([law.volume for law in laws]),
        exponent=first.exponent,
        decay=1.0 - first.decay,
        depth=DepthLaw(
            with_slope=first.depth_slope,
            with_floor=first.depth_floor,
            against_slope=0.0,
            against_floor=1.0,
            halflife=first.halflife,
        ),
    )


def layers_of(parameters: Parameters) -> Layers:
    """The fund as a deployment of these parameters starts: nothing staked yet."""
    engine = parameters.fund.engine
    return Layers(
        compartments=tuple(float(m.fund.initial) for m in parameters.markets),
        reserve=float(parameters.fund.initial_reserve),
        staked=0.0,
        per_claim=float(engine.per_claim),
        per_window=float(engine.per_window),
        window=engine.window,
        market_per_window=tuple(float(m.fund.per_window) for m in parameters.markets),
    )


def from_scenario(scenario: Scenario, seed: int = 1) -> Platform:
    """The book, the rules and the fund of a scenario, as the demonstration would open them."""
    plan = make_plan(scenario, seed)
    unit = 10.0 ** (scenario.parameters.token.decimals or 18)
    traders = [p for p in plan.participants if any(p.target.values())]
    prices = np.array(plan.prices)
    width = len(scenario.markets)
    size = np.zeros((len(traders), width))
    for row, trader in enumerate(traders):
        for market, base in trader.target.items():
            size[row, market] = base / WAD
    parameters = [scenario.parameters.markets[m.number] for m in scenario.markets]
    interest = np.maximum(size, 0.0).sum(axis=0)
    caps = [m.parameters.open_interest_cap / WAD for m in parameters]
    book = Book(
        collateral=np.array([p.collateral / unit for p in traders]),
        size=size,
        quote=-size * prices,
        price=prices,
        tiers=maintenance_tiers(
            [m.parameters for m in parameters],
            [i / c if c else 1.0 for i, c in zip(interest, caps, strict=True)],
        ),
        markets=tuple(m.name for m in scenario.markets),
    ).validate(zero_sum=True)
    staked = float(staked_before(scenario.stakers, scenario.start))
    layers = replace(layers_of(scenario.parameters), staked=staked)
    params = SimulationParams(
        impact=impact_of([m.impact for m in scenario.markets]),
        fund=layers.simulated(),
        liquidation=costs([m.liquidation for m in parameters], interest * prices),
        adl=AdlParams(max_charge=min(m.parameters.charge_cap_ppm for m in parameters) / PPM),
    )
    return Platform(
        book=book,
        params=params,
        layers=layers,
        owners=tuple(f"{p.name}" for p in traders),
        numbers=tuple(m.number for m in scenario.markets),
        symbol=scenario.parameters.token.symbol or "tokens",
        decimals=scenario.parameters.token.decimals or 18,
        origin={
            "kind": "scenario",
            "name": scenario.name,
            "accounts": len(traders),
            "book seed": seed,
            "parameters": scenario.parameters.name,
            "parameters digest": scenario.parameters.digest,
        },
        scenario=scenario,
    )
