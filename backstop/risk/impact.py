"""What selling does to the price: square-root law, Almgren, depth that vanishes, cascades.

Impacts are fractions of the price, quantities and volumes share one unit (notional or base),
volatilities are daily standard deviations, times are days unless said otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .arrays import ArrayLike, FloatArray, as_sample, check_nonnegative, check_positive
from .errors import BadInput

#: Coefficients of Almgren, Thum, Hauptmann, Li, "Direct estimation of equity market impact", 2005.
ALMGREN_GAMMA, ALMGREN_ETA = 0.314, 0.142
#: Most of the normal depth that stress tests may assume (measured: reference.DEPTH_RATIO).
STRESS_DEPTH_FLOOR = 0.05


# --------------------------------------------------------------------------------------------
# size of the impact


def square_root_impact(
    quantity: float, daily_volume: float, daily_sigma: float, coefficient: float = 1.0
) -> float:
    """Y sigma sqrt(Q/ADV): relative price change of a metaorder (Y about 1 across markets)."""
    check_nonnegative(quantity, "quantity")
    check_positive(daily_volume, "daily_volume")
    check_nonnegative(daily_sigma, "daily_sigma")
    return coefficient * daily_sigma * math.sqrt(quantity / daily_volume)


def quantity_within_impact(
    impact: float, daily_volume: float, daily_sigma: float, coefficient: float = 1.0
) -> float:
    """Inverse of `square_root_impact`: ADV (impact/(Y sigma))^2."""
    check_nonnegative(impact, "impact")
    check_positive(daily_volume, "daily_volume")
    check_positive(daily_sigma * coefficient, "daily_sigma * coefficient")
    return daily_volume * (impact / (coefficient * daily_sigma)) ** 2


def effective_coefficient(
    coefficient: float, normal_depth: float, depth_now: float, floor_ratio: float = 0.0
) -> float:
    """Y_eff = Y sqrt(D_normal/D_now); the ratio D_now/D_normal is taken as at least `floor_ratio`.

    Depth above normal does not make impact smaller than normal: a book is thickest before a crash.
    """
    check_positive(normal_depth, "normal_depth")
    check_nonnegative(depth_now, "depth_now")
    ratio = min(max(depth_now / normal_depth, floor_ratio), 1.0)
    if ratio == 0:
        raise BadInput(
            "the book is empty: impact is unbounded.",
            "pass a floor_ratio (measured minimum 0.0055) or the last non-empty depth.",
        )
    return coefficient / math.sqrt(ratio)


def stress_coefficient(coefficient: float, measured_ratio: float) -> float:
    """Y for stress tests: the measured depth ratio, but never more than STRESS_DEPTH_FLOOR."""
    check_positive(measured_ratio, "measured_ratio")
    return coefficient / math.sqrt(min(measured_ratio, STRESS_DEPTH_FLOOR))


@dataclass(frozen=True, slots=True)
class AlmgrenImpact:
    """Permanent and temporary impact and the mean cost of the order, as fractions of the price."""

    permanent: float
    temporary: float
    cost: float


def almgren_impact(
    volume_share: float, days: float, daily_sigma: float, shares_over_volume: float
) -> AlmgrenImpact:
    """I = gamma sigma (X/V)(Theta/V)^(1/4), J = I/2 + eta sigma |X/(V T)|^(3/5).

    volume_share: X/V; days: T; shares_over_volume: Theta/V (outstanding over daily volume; for a
    perpetual use open interest over daily volume). Almgren et al. 2005, eqs. 8-9.
    """
    check_nonnegative(volume_share, "volume_share")
    check_positive(days, "days")
    check_positive(shares_over_volume, "shares_over_volume")
    permanent = ALMGREN_GAMMA * daily_sigma * volume_share * shares_over_volume**0.25
    temporary = ALMGREN_ETA * daily_sigma * (volume_share / days) ** 0.6
    return AlmgrenImpact(permanent, temporary, 0.5 * permanent + temporary)


# --------------------------------------------------------------------------------------------
# Almgren-Chriss liquidation schedule


@dataclass(frozen=True, slots=True)
class Liquidation:
    """Optimal schedule: holdings after 0..N periods, expected cost and its standard deviation."""

    kappa: float
    holdings: tuple[float, ...]
    expected_cost: float
    cost_sd: float


def almgren_chriss(
    quantity: float,
    horizon: float,
    periods: int,
    *,
    sigma: float,
    half_spread: float,
    permanent: float,
    temporary: float,
    risk_aversion: float,
) -> Liquidation:
    """Optimal liquidation of `quantity` (Almgren and Chriss, J. Risk 2000, eqs. 8, 17-20).

    Linear impact: `permanent` (gamma) and `temporary` (eta) in price per unit and per unit/time,
    `half_spread` (epsilon) and `sigma` in price and price/sqrt(time), `risk_aversion` (lambda)
    per money. With eta~ = eta - gamma tau/2: cosh(kappa tau) = 1 + tau^2 lambda sigma^2/(2 eta~)
    and x_j = X sinh(kappa (T - t_j))/sinh(kappa T); lambda = 0 is the straight line.
    """
    check_positive(quantity, "quantity")
    check_positive(horizon, "horizon")
    if periods < 1:
        raise BadInput(f"{periods} periods.", "use at least 1.")
    tau = horizon / periods
    eta = temporary - 0.5 * permanent * tau
    check_positive(eta, "temporary - permanent * tau / 2")
    kappa = math.acosh(1.0 + 0.5 * tau**2 * risk_aversion * sigma**2 / eta) / tau
    left = horizon - tau * np.arange(periods + 1)
    if kappa > 0:
        holdings = quantity * np.sinh(kappa * left) / math.sinh(kappa * horizon)
    else:
        holdings = quantity * left / horizon
    sold = -np.diff(holdings)
    expected = 0.5 * permanent * quantity**2 + half_spread * float(sold.sum())
    expected += eta / tau * float(sold @ sold)
    variance = sigma**2 * tau * float(holdings[1:] @ holdings[1:])
    return Liquidation(kappa, tuple(float(x) for x in holdings), expected, math.sqrt(variance))


# --------------------------------------------------------------------------------------------
# cascades of forced sales


@dataclass(frozen=True, slots=True)
class Cascade:
    """Fixpoint of a cascade: last price, prices after each round, quantity liquidated, deficit."""

    price: float
    rounds: tuple[float, ...]
    quantity: float
    deficit: float


def run_cascade(
    quantities: ArrayLike,
    triggers: ArrayLike,
    start_price: float,
    impact: float,
    bankruptcies: ArrayLike | None = None,
) -> Cascade:
    """Longs are sold when the price touches their trigger; selling moves the price.

    Round: all positions with trigger >= price sell, and the price becomes
    start * exp(-impact * cumulative quantity); repeat until nobody new is touched. The price
    depends on the cumulative quantity only, so the fixpoint does not depend on the order of sales.
    impact: log price per unit sold. deficit: sum q max(0, bankruptcy - price) over those sold.
    For shorts pass reciprocal prices.
    """
    sizes, levels, _ = _cascade_input(quantities, triggers, start_price, impact)
    price, rounds, sold = start_price, [start_price], 0.0
    while True:
        touched = float(sizes[levels >= price].sum())
        if touched == sold:
            break
        sold = touched
        price = start_price * math.exp(-impact * sold)
        rounds.append(price)
    deficit = 0.0
    if bankruptcies is not None:
        broke = as_sample(bankruptcies, "bankruptcies")
        hit = levels >= price
        deficit = float((sizes[hit] * np.maximum(broke[hit] - price, 0.0)).sum())
    return Cascade(price, tuple(rounds), sold, deficit)


def impact_steps(
    quantities: ArrayLike, triggers: ArrayLike, start_price: float
) -> list[tuple[float, float]]:
    """The phase diagram: (impact, quantity liquidated from that impact on), increasing, exact.

    After the k positions with the highest triggers have sold Q_k, the next one is touched if and
    only if impact >= ln(start/trigger_{k+1})/Q_k, so the liquidated quantity is a step function of
    the running maximum of these ratios.
    """
    sizes, levels, order = _cascade_input(quantities, triggers, start_price, 0.0)
    sizes, levels = sizes[order], levels[order]
    cumulated = np.cumsum(sizes)
    first = int(np.count_nonzero(levels >= start_price))
    if first == 0:
        return [(0.0, 0.0)]
    steps = [(0.0, float(cumulated[first - 1]))]
    for k in range(first, sizes.size):
        needed = math.log(start_price / float(levels[k])) / float(cumulated[k - 1])
        if needed > steps[-1][0]:
            steps.append((needed, float(cumulated[k])))
        else:
            steps[-1] = (steps[-1][0], float(cumulated[k]))
    return steps


def critical_impact(quantities: ArrayLike, triggers: ArrayLike, start_price: float) -> float:
    """Smallest impact at which everything is liquidated (lambda*); infinite if nothing starts it.

    0 means all positions are touched without any feedback.
    """
    total = float(as_sample(quantities, "quantities").sum())
    last_impact, last_quantity = impact_steps(quantities, triggers, start_price)[-1]
    return last_impact if math.isclose(last_quantity, total, rel_tol=1e-12) else math.inf


@dataclass(frozen=True, slots=True)
class CascadeMultiplier:
    """Deficit with price feedback over deficit without, and the distance to total collapse.

    multiplier is infinite when only the feedback makes a deficit: then size on `with_feedback`
    itself, with multiplier 1. distance = critical/impact - 1 (negative: beyond collapse).
    """

    with_feedback: float
    without_feedback: float
    multiplier: float
    critical: float
    distance: float


def cascade_multiplier(
    quantities: ArrayLike,
    triggers: ArrayLike,
    bankruptcies: ArrayLike,
    start_price: float,
    impact: float,
) -> CascadeMultiplier:
    """Compare the same shock (start_price) with and without the price impact of liquidations."""
    check_positive(impact, "impact")
    wet = run_cascade(quantities, triggers, start_price, impact, bankruptcies).deficit
    dry = run_cascade(quantities, triggers, start_price, 0.0, bankruptcies).deficit
    multiplier = 1.0 if wet == dry else math.inf if dry == 0 else wet / dry
    critical = critical_impact(quantities, triggers, start_price)
    return CascadeMultiplier(wet, dry, multiplier, critical, critical / impact - 1.0)


def _cascade_input(
    quantities: ArrayLike, triggers: ArrayLike, start_price: float, impact: float
) -> tuple[FloatArray, FloatArray, np.ndarray]:
    sizes, levels = as_sample(quantities, "quantities"), as_sample(triggers, "triggers")
    check_positive(start_price, "start_price")
    check_nonnegative(impact, "impact")
    if sizes.size != levels.size:
        raise BadInput(f"{sizes.size} sizes, {levels.size} triggers.", "pass one per position.")
    if (sizes <= 0).any() or (levels <= 0).any():
        raise BadInput("a size or trigger is <= 0.", "drop empty positions; pass shorts inverted.")
    return sizes, levels, np.argsort(-levels, kind="stable")


# --------------------------------------------------------------------------------------------
# toxic liquidation


def toxic_ltv(incentive: float) -> float:
    """Loan-to-value from which a liquidation with this incentive worsens it: 1/(1 + i).

    Warmuz, Chaudhary, Pinna, "Toxic liquidation spirals", 2022. The incentive must taper to 0
    before this point; there the fund takes over.
    """
    return 1.0 / (1.0 + check_nonnegative(incentive, "incentive"))


def largest_safe_incentive(ltv: float) -> float:
    """Inverse: the incentive at which a liquidation leaves this loan-to-value unchanged."""
    check_positive(ltv, "ltv")
    return max(1.0 / ltv - 1.0, 0.0)


def ltv_after(collateral: float, debt: float, repaid: float, incentive: float) -> float:
    """Loan-to-value after repaying `repaid` and seizing (1 + i) times as much collateral."""
    left = collateral - (1.0 + incentive) * repaid
    check_positive(left, "collateral left")
    return (debt - repaid) / left
