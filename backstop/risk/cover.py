"""The fund as an option writer: what cover is worth, by market, side, leverage and horizon.

A long trader with equity E on q units can lose at most E; below the strike K = S - E/q the fund
pays. Cover of a long is a put struck at K, cover of a short a call struck at S + E/q, both written
by the fund. Premiums are fractions of notional. A year has 8,760 hours: perpetuals trade always.

Diffusion alone prices short-horizon cover at zero; jumps are the premium.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from scipy import optimize

from .arrays import check_level, check_positive
from .errors import BadInput
from .options import (
    JumpDiffusion,
    bs_call,
    bs_put,
    merton_call,
    merton_probability_below,
    merton_put,
)
from .tails import GpdTail

HOURS_PER_YEAR = 8760.0
Side = Literal["long", "short"]


@dataclass(frozen=True, slots=True)
class MarketRisk:
    """What pricing needs to know of a market.

    tails: losses per `tail_hours` bar; longs' tail in **log** losses, shorts' in simple ones;
    None leaves the stop-loss column empty.
    """

    name: str
    sigma: float
    jumps: JumpDiffusion
    long_tail: GpdTail | None = None
    short_tail: GpdTail | None = None
    tail_hours: float = 1.0


@dataclass(frozen=True, slots=True)
class CoverQuote:
    """Premium of cover per unit of notional, over `hours`.

    diffusion: Black-Scholes; jumps: Merton; stop_loss: expected shortfall beyond the equity from
    the fitted tail, scaled to `hours` by the number of bars (None without a tail, or when the
    equity lies below its threshold).
    """

    market: str
    side: Side
    leverage: float
    hours: float
    strike: float
    diffusion: float
    jumps: float
    stop_loss: float | None

    def per_year(self, premium: float) -> float:
        """A premium for `hours`, held for a year by renewing it."""
        return premium * HOURS_PER_YEAR / self.hours


class Strike(NamedTuple):
    """Zero-equity price and side of a position, as fractions of the present price."""

    side: Side
    ratio: float


def cover_strike(side: Side, leverage: float) -> Strike:
    """Zero-equity price over present price: 1 - 1/leverage (long), 1 + 1/leverage (short)."""
    if not leverage >= 1 and side == "long":
        raise BadInput(f"a long at leverage {leverage} cannot go bankrupt.", "use leverage >= 1.")
    check_positive(leverage, "leverage")
    return Strike(side, 1.0 - 1.0 / leverage if side == "long" else 1.0 + 1.0 / leverage)


def cover_quote(market: MarketRisk, side: Side, leverage: float, hours: float) -> CoverQuote:
    """Premium of cover of one unit of notional at `leverage` over `hours`, three ways."""
    check_positive(hours, "hours")
    strike = cover_strike(side, leverage).ratio
    years = hours / HOURS_PER_YEAR
    if side == "long":
        diffusion = bs_put(1.0, strike, years, market.sigma)
        jumps = merton_put(1.0, strike, years, market.jumps)
    else:
        diffusion = bs_call(1.0, strike, years, market.sigma)
        jumps = merton_call(1.0, strike, years, market.jumps)
    stop = _stop_loss(market, side, 1.0 / leverage, hours)
    return CoverQuote(market.name, side, leverage, hours, strike, diffusion, jumps, stop)


def cover_table(
    markets: Sequence[MarketRisk], leverages: Sequence[float], hours: Sequence[float]
) -> list[CoverQuote]:
    """Quotes for every market, side, leverage and horizon, in that order."""
    sides: tuple[Side, Side] = ("long", "short")
    return [
        cover_quote(market, side, leverage, h)
        for market in markets
        for side in sides
        for leverage in leverages
        for h in hours
    ]


def _stop_loss(market: MarketRisk, side: Side, equity: float, hours: float) -> float | None:
    tail = market.long_tail if side == "long" else market.short_tail
    if tail is None:
        return None
    bars = hours / market.tail_hours
    if side == "long":
        if equity >= 1 or -math.log1p(-equity) < tail.threshold:
            return None
        return bars * tail.simple_stop_loss(equity)
    return None if equity < tail.threshold else bars * tail.stop_loss(equity)


# --------------------------------------------------------------------------------------------
# buying the put against holding capital


@dataclass(frozen=True, slots=True)
class PutVersusCapital:
    """A year's cover bought as a put, against the capital that would replace it.

    premium: cost of renewing the put for a year; capital: CVaR of the put's payoff over `hours`
    at `level`; capital_cost: (hurdle - yield) * capital + expected payoff a year (holding the
    risk means paying the losses too); break_even: cost of capital at which both are equal.
    All per unit of the put's notional.
    """

    strike: float
    hours: float
    premium: float
    expected_payoff: float
    capital: float
    capital_cost: float
    break_even: float
    buy: bool


def put_versus_capital(
    market: MarketRisk,
    strike: float,
    hours: float,
    *,
    loading: float,
    hurdle: float,
    yield_on_capital: float = 0.0,
    level: float = 0.999,
) -> PutVersusCapital:
    """Compare a bought put on one unit of notional with capital held against the same payoff.

    strike: fraction of spot; loading: what the writer asks over the fair premium (1.5 = half
    more); hurdle: cost of capital a year. Payoff law: the market's Merton model with drift 0.
    """
    check_positive(strike, "strike")
    check_positive(hours, "hours")
    check_positive(loading, "loading")
    years = hours / HOURS_PER_YEAR
    fair = merton_put(1.0, strike, years, market.jumps)
    renewals = HOURS_PER_YEAR / hours
    capital = put_payoff_cvar(market.jumps, strike, years, level)
    expected = fair * renewals
    premium = loading * expected
    cost = (hurdle - yield_on_capital) * capital + expected
    break_even = yield_on_capital + (premium - expected) / capital if capital > 0 else math.inf
    return PutVersusCapital(
        strike, hours, premium, expected, capital, cost, break_even, premium < cost
    )


def put_payoff_cvar(model: JumpDiffusion, strike: float, years: float, level: float) -> float:
    """CVaR of (K - S_T)+ at `level`, S_0 = 1, drift 0, in closed form.

    With s the (1 - level)-quantile of S_T: if s < K the worst outcomes pay K - S_T, so
    CVaR = K - s + put(s)/(1 - level); otherwise the payoff is 0 with probability above `level` and
    CVaR = put(K)/(1 - level).
    """
    miss = 1.0 - check_level(level)
    if merton_probability_below(1.0, strike, years, model) <= miss:
        return merton_put(1.0, strike, years, model) / miss

    def gap(log_price: float) -> float:
        return merton_probability_below(1.0, math.exp(log_price), years, model) - miss

    low = -1.0
    while gap(low) > 0:
        low *= 2.0
    quantile = math.exp(float(optimize.brentq(gap, low, math.log(strike), xtol=1e-13)))
    return strike - quantile + merton_put(1.0, quantile, years, model) / miss
