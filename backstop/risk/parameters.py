"""Recommended market parameters from volatility and depth, with the listing check.

All fractions are of notional. The formulas (docs/risk/parameters.md has a worked example):

    step          worst price step between two checks: the mark's cap if there is one, else the
                  99.99 % tail quantile of the dearer side
    surcharge     base = loading * price of cover at the maintenance leverage, under a ceiling
    mmf           (step + funding + (1 + step) * (surcharge at the curve's cap + discount + reward))
                  * (1 + safety)
    imf           max(mmf + 99 % loss of one warning period, ratio * mmf)
    oi cap        min(depth: notional closable in the stressed book inside the impact budget,
                      fund: notional whose stressed deficit one market may cost the fund)
    oi slope      stressed impact of liquidating the design share at the cap, over mmf
    size scale    notional whose linear size margin equals its own stressed impact
    draw limits   shares of the fund, and the stressed deficit at the open-interest cap

The factor (1 + step) is not in the usual statement of the envelope: a short's notional *grows* in
the step that hurts it, and so do fees charged on it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import Any

from .arrays import check_level, check_nonnegative, check_positive
from .cover import MarketRisk, cover_quote
from .errors import BadInput, EnvelopeViolated
from .impact import quantity_within_impact, square_root_impact, stress_coefficient
from .surcharge import base_rate
from .tails import GpdTail, simple_loss

FUNDING_PERIOD = 8 * 3600.0

# --------------------------------------------------------------------------------------------
# envelope


@dataclass(frozen=True, slots=True)
class Envelope:
    """The listing condition: step + funding + surcharge + reward + discount <= mmf.

    slack: mmf less the sum; short_slack: the same with fees on the notional after the step,
    (1 + step)(surcharge + reward + discount), which binds for shorts.
    """

    mmf: float
    step: float
    funding: float
    surcharge: float
    reward: float
    discount: float = 0.0

    @property
    def fees(self) -> float:
        """What a liquidation charges the account: surcharge, keeper's reward and discount."""
        return self.surcharge + self.reward + self.discount

    @property
    def slack(self) -> float:
        """What mmf leaves of step, funding and fees; negative: the market cannot be listed."""
        return self.mmf - self.step - self.funding - self.fees

    @property
    def short_slack(self) -> float:
        """Slack for a short, whose notional grows by the step before fees are charged."""
        return self.mmf - self.step - self.funding - (1.0 + self.step) * self.fees

    @property
    def holds(self) -> bool:
        """True when a healthy account cannot end a step with less than its fees, on either side."""
        return self.short_slack >= 0


def check_envelope(
    mmf: float,
    step: float,
    funding: float,
    surcharge: float,
    reward: float,
    discount: float = 0.0,
) -> Envelope:
    """The envelope as numbers; raises EnvelopeViolated naming the missing margin."""
    parts = {
        "step": step,
        "funding": funding,
        "surcharge": surcharge,
        "reward": reward,
        "discount": discount,
    }
    for name, value in parts.items():
        check_nonnegative(value, name)
    envelope = Envelope(check_positive(mmf, "mmf"), **parts)
    if not envelope.holds:
        raise EnvelopeViolated(
            f"mmf {mmf:.4%} is {-envelope.short_slack:.4%} short of step {step:.4%} + funding "
            f"{funding:.4%} + fees {envelope.fees:.4%}.",
            f"raise mmf to {mmf - envelope.short_slack:.4%}, or lower the oracle's step or fees.",
        )
    return envelope


# --------------------------------------------------------------------------------------------
# inputs and choices


@dataclass(frozen=True, slots=True)
class MarketData:
    """What is measured of a market.

    risk: volatility, jumps and tails per `risk.tail_hours` (longs in log losses); daily_sigma,
    daily_volume (notional); depth_ratio: lowest measured depth over normal depth; impact: Y.
    """

    risk: MarketRisk
    daily_sigma: float
    daily_volume: float
    depth_ratio: float
    impact: float = 1.0


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator chooses.

    fund: usable capital in money.
    check_seconds: longest time keepers need between two looks at an account; step: largest move of
    the mark in that time (speed limit * time), None: the tail's quantile at step_level per bar,
    which is careful when the bars are longer than check_seconds.
    warning_level: per bar, sets the distance from initial to maintenance margin.
    funding_clamp: largest premium, paid every 8 hours; reward, discount: keeper's, of notional;
    surcharge_cap: top of the curve; surcharge_ceiling: of its base; loading: on the fair premium.
    impact_budget: of the maintenance margin; liquidated_share: of open interest in the design
    shock; largest_account: of the open-interest cap.
    claim_share, market_share: of the fund, per claim and per market and window.
    """

    fund: float
    check_seconds: float = 12.0
    step: float | None = None
    step_level: float = 0.9999
    warning_level: float = 0.99
    funding_clamp: float = 0.01
    reward: float = 0.000175
    discount: float = 0.01
    surcharge_cap: float = 4.0
    surcharge_ceiling: float = 0.0025
    loading: float = 1.5
    safety: float = 0.10
    im_over_mm: float = 1.5
    close_out_hours: float = 4.0
    impact_budget: float = 0.5
    liquidated_share: float = 0.20
    largest_account: float = 0.05
    claim_share: float = 0.10
    market_share: float = 0.25


@dataclass(frozen=True, slots=True)
class MarketParameters:
    """Recommendation for one market. Fractions of notional; caps and limits in money.

    oi_binding: whether depth or the fund limits the open interest; oi_slope: growth of the margin
    fractions at the cap; size_scale: notional at which an account's own size doubles them;
    stressed_loss: deficit per liquidated notional in the 99.9 % tail. envelope is checked.
    """

    market: str
    initial_fraction: float
    maintenance_fraction: float
    max_leverage: float
    oi_cap: float
    oi_binding: str
    oi_slope: float
    size_scale: float
    claim_limit: float
    window_limit: float
    surcharge_base: float
    stressed_loss: float
    mark_speed: float
    envelope: Envelope

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionary, ready for YAML or JSON."""
        return asdict(self)

    def deployment_fields(self, price: float, policy: Policy) -> dict[str, Any]:
        """The fields of a deployment file's market that follow from this, as it writes them.

        price: quote per base unit, turns the cap into base units. Percentages have four decimals
        (1e-6), margins, surcharge and speed rounded up, caps down.
        """
        cap = Decimal(self.oi_cap) / Decimal(check_positive(price, "price"))
        return {
            "name": self.market,
            "open_interest_cap": _number(_significant(cap)),
            "margin": {
                "initial": _percent(self.initial_fraction),
                "maintenance": _percent(self.maintenance_fraction),
                "size_scale": int(self.size_scale),
                "open_interest_slope": _percent(self.oi_slope),
            },
            "mark": {"speed": f"{_percent(self.mark_speed, 7)}/s"},
            "funding_clamp": _percent(policy.funding_clamp),
            "liquidation": {
                "max_discount": _percent(policy.discount),
                "surcharge": _percent(self.surcharge_base),
                "reward": _percent(policy.reward),
                "check_interval": f"{policy.check_seconds:g}s",
            },
            "fund": {"per_window": math.floor(self.window_limit + 1e-6)},
        }


# --------------------------------------------------------------------------------------------
# recommendation


def recommend(data: MarketData, policy: Policy) -> MarketParameters:
    """Parameters for one market; BadInput without tails, BelowThreshold if a level is too low."""
    long_tail, short_tail = _tails(data.risk)
    step = policy.step
    if step is None:
        step = _both_sides(long_tail, short_tail, check_level(policy.step_level, "step_level"))
    funding = policy.funding_clamp * policy.check_seconds / FUNDING_PERIOD
    bare = step + funding + (1.0 + step) * (policy.reward + policy.discount)
    base = _surcharge_base(data.risk, policy, bare)
    charged = base * policy.surcharge_cap
    mmf = _round_up((bare + (1.0 + step) * charged) * (1.0 + policy.safety))
    if mmf >= 1:
        raise BadInput(
            f"{data.risk.name}: the maintenance margin would be {mmf:.0%} of notional.",
            "check prices more often (shorter bars), or do not list the market.",
        )
    warning = _both_sides(long_tail, short_tail, policy.warning_level)
    imf = min(_round_up(max(mmf + warning, policy.im_over_mm * mmf)), 1.0)
    stressed = stressed_loss(long_tail, short_tail, mmf)
    by_depth, by_fund = depth_cap(data, policy, mmf), _fund_cap(policy, stressed)
    cap = min(by_depth, by_fund)
    window = min(policy.market_share * policy.fund, cap * policy.liquidated_share * stressed)
    return MarketParameters(
        market=data.risk.name,
        initial_fraction=imf,
        maintenance_fraction=mmf,
        max_leverage=1.0 / imf,
        oi_cap=cap,
        oi_binding="depth" if by_depth <= by_fund else "fund",
        oi_slope=_stressed_impact(data, cap * policy.liquidated_share) / mmf,
        size_scale=size_scale(data, mmf, cap * policy.largest_account),
        claim_limit=min(policy.claim_share * policy.fund, window),
        window_limit=window,
        surcharge_base=base,
        stressed_loss=stressed,
        mark_speed=step / policy.check_seconds,
        envelope=check_envelope(mmf, step, funding, charged, policy.reward, policy.discount),
    )


def stressed_loss(
    long_tail: GpdTail, short_tail: GpdTail, mmf: float, level: float = 0.999
) -> float:
    """Deficit per liquidated notional in the tail: E[(loss - mmf)+ | loss beyond the level's VaR].

    The larger of both sides; longs in simple losses from the log tail.
    """
    miss = 1.0 - check_level(level)
    start = max(mmf, simple_loss(long_tail.quantile(level)))
    above = max(simple_loss(long_tail.quantile(level)) - mmf, 0.0)
    long_side = above + long_tail.simple_stop_loss(start) / miss
    quantile = short_tail.quantile(level)
    short_side = max(quantile - mmf, 0.0) + short_tail.stop_loss(max(mmf, quantile)) / miss
    return min(max(long_side, short_side), 1.0)


def depth_cap(data: MarketData, policy: Policy, mmf: float) -> float:
    """Open interest whose stressed liquidation stays inside the impact budget.

    OI = Q/liquidated_share with Q = ADV (impact_budget mmf/(Y_stress sigma))^2. The horizon of the
    close-out does not appear: volume grows with it and variance as well, and they cancel.
    """
    check_level(policy.liquidated_share, "liquidated_share")
    stress = stress_coefficient(data.impact, data.depth_ratio)
    budget = policy.impact_budget * mmf
    quantity = quantity_within_impact(budget, data.daily_volume, data.daily_sigma, stress)
    return quantity / policy.liquidated_share


def margin_for_size(data: MarketData, mmf: float, notional: float) -> float:
    """Maintenance fraction an account with `notional` should have: mmf plus its own exit.

    mmf + (2/3) Y_stress sigma sqrt(notional/ADV): the average price of a square-root impact is two
    thirds of its end point. Convex in money (notional * fraction): splitting pays nothing but what
    smaller positions truly cost less.
    """
    return mmf + 2.0 / 3.0 * _stressed_impact(data, notional)


def size_scale(data: MarketData, mmf: float, notional: float) -> float:
    """Scale S at which the linear rule mmf (1 + n/S) equals `margin_for_size` at `notional`.

    Larger accounts then pay more than their square-root impact, smaller ones less.
    """
    check_positive(notional, "notional")
    extra = margin_for_size(data, mmf, notional) - mmf
    return mmf * notional / extra


def _stressed_impact(data: MarketData, notional: float) -> float:
    stress = stress_coefficient(data.impact, data.depth_ratio)
    return square_root_impact(notional, data.daily_volume, data.daily_sigma, stress)


def _surcharge_base(risk: MarketRisk, policy: Policy, equity: float) -> float:
    """Loading times the dearer side's price of cover at the maintenance leverage, capped."""
    leverage = 1.0 / min(equity, 1.0)
    quotes = [
        cover_quote(risk, "long", leverage, policy.close_out_hours),
        cover_quote(risk, "short", leverage, policy.close_out_hours),
    ]
    fair = max(max(quote.jumps, quote.stop_loss or 0.0) for quote in quotes)
    return min(base_rate(fair, 0.0, policy.loading), policy.surcharge_ceiling)


def _fund_cap(policy: Policy, stressed: float) -> float:
    """Open interest at which the stressed deficit is one market's share of the fund."""
    loss = policy.liquidated_share * stressed
    return math.inf if loss == 0 else policy.market_share * policy.fund / loss


def _tails(risk: MarketRisk) -> tuple[GpdTail, GpdTail]:
    if risk.long_tail is None or risk.short_tail is None:
        raise BadInput(
            f"{risk.name} has no fitted tails.",
            "fit both: fit_tail(long_log_losses(...), u) and fit_tail(short_losses(...), u).",
        )
    return risk.long_tail, risk.short_tail


def _both_sides(long_tail: GpdTail, short_tail: GpdTail, level: float) -> float:
    """The larger simple-loss quantile; a level inside the data is raised to the tail's own."""
    return max(
        simple_loss(long_tail.quantile(max(level, 1.0 - long_tail.exceedance))),
        short_tail.quantile(max(level, 1.0 - short_tail.exceedance)),
    )


def _round_up(fraction: float) -> float:
    """To whole basis points, upwards."""
    return math.ceil(fraction * 1e4 - 1e-9) / 1e4


def _percent(fraction: float, decimals: int = 4) -> str:
    """A fraction as a percentage with at most `decimals` decimals, rounded up."""
    value = (Decimal(repr(fraction)) * 100).quantize(Decimal(1).scaleb(-decimals), ROUND_UP)
    return f"{_plain(value)}%"


def _significant(value: Decimal, digits: int = 4) -> Decimal:
    """The value cut to `digits` significant digits."""
    return value.quantize(Decimal(1).scaleb(value.adjusted() - digits + 1), ROUND_DOWN)


def _number(value: Decimal) -> int | str:
    """A whole number as such, others as text: floats would not be exact."""
    return int(value) if value == value.to_integral_value() else _plain(value)


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
