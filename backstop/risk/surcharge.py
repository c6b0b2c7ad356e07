"""Prices that follow the fund's solvency ratio: trader surcharge, staker emission, cover price.

Each curve comes as a float for analysis and, where a contract computes it, as the exact integer
form with named rounding. WAD is 18-decimal fixed point (1.0 = 10**18).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .arrays import check_nonnegative, check_positive
from .errors import BadInput

WAD = 10**18
#: Solvency ratios at which the surcharge curve bends.
RATIO_LOW, RATIO_TARGET, RATIO_HIGH = 0.5, 1.0, 1.2
_LOW_WAD, _HIGH_WAD = WAD // 2, 6 * WAD // 5


# --------------------------------------------------------------------------------------------
# trader surcharge


def surcharge(base: float, ratio: float, cap: float = 4.0, floor: float = 0.25) -> float:
    """Surcharge c(SR), in the unit of `base`, for the solvency ratio SR = usable capital/target.

    c/base = cap                                  SR <= 0.5
             1 + (cap - 1)(1 - SR)/0.5            0.5 < SR < 1
             1 - (1 - floor)(SR - 1)/0.2          1 <= SR < 1.2
             floor                                SR >= 1.2
    Continuous, non-increasing in SR. A negative ratio (claims exceed assets) pays the cap.
    """
    check_nonnegative(base, "base")
    _check_shape(cap, floor, 1.0)
    if math.isnan(ratio):
        raise BadInput("ratio is NaN.", "a target of 0 means ratio infinity, not NaN.")
    if ratio <= RATIO_LOW:
        return base * cap
    if ratio < RATIO_TARGET:
        return base * (1.0 + (cap - 1.0) * (1.0 - ratio) / (RATIO_TARGET - RATIO_LOW))
    if ratio < RATIO_HIGH:
        return base * (1.0 - (1.0 - floor) * (ratio - 1.0) / (RATIO_HIGH - RATIO_TARGET))
    return base * floor


def surcharge_wad(base: int, ratio_wad: int, cap: int = 4 * WAD, floor: int = WAD // 4) -> int:
    """Exact integer c(SR): the real-valued curve at these integers, rounded UP once.

    All four arguments in WAD (`base` may be any integer unit: the result has the same one).
    Written as one product and one ceiling division per branch, so that a contract using a single
    full-precision `mulDivUp(base, factor, denominator)` returns the same integer:
        SR <= 0.5         ceil(base * cap / 1e18)
        0.5 < SR < 1      ceil(base * (1e36 + 2 (cap - 1e18)(1e18 - SR)) / 1e36)
        1 <= SR < 1.2     ceil(base * (1e36 - 5 (1e18 - floor)(SR - 1e18)) / 1e36)
        SR >= 1.2         ceil(base * floor / 1e18)
    Ceiling keeps it non-increasing in SR, and the branches meet exactly at their ends.
    """
    if min(base, ratio_wad) < 0:
        raise BadInput(f"base {base}, ratio {ratio_wad}.", "both are unsigned in the contract.")
    _check_shape(cap, floor, WAD)
    if ratio_wad <= _LOW_WAD:
        return _ceil_div(base * cap, WAD)
    if ratio_wad < WAD:
        return _ceil_div(base * (WAD * WAD + 2 * (cap - WAD) * (WAD - ratio_wad)), WAD * WAD)
    if ratio_wad < _HIGH_WAD:
        return _ceil_div(base * (WAD * WAD - 5 * (WAD - floor) * (ratio_wad - WAD)), WAD * WAD)
    return _ceil_div(base * floor, WAD)


def base_rate(option_premium: float, stop_loss: float, loading: float) -> float:
    """Base of the curve from the price of cover: loading * (option value + stop-loss premium).

    Both premiums per unit of the charged notional (see `cover.py`); loading >= 1 pays for capital.
    """
    check_nonnegative(option_premium, "option_premium")
    check_nonnegative(stop_loss, "stop_loss")
    if loading < 1:
        raise BadInput(f"loading {loading} < 1 loses money on average.", "use at least 1.")
    return loading * (option_premium + stop_loss)


def lagged_ratio(
    history: Sequence[tuple[float, float]], now: float, lag: float = 86_400.0
) -> float:
    """The solvency ratio as it stood `lag` seconds ago, so that one block cannot move the price.

    history: (time in seconds, ratio) in time order. Before the history is `lag` old, the lowest
    ratio seen is used: a young fund charges carefully.
    """
    if not history:
        raise BadInput("no solvency ratio recorded.", "record one at deployment.")
    times = [time for time, _ in history]
    if times != sorted(times):
        raise BadInput("the history is not in time order.", "sort it by time.")
    past = [ratio for time, ratio in history if time <= now - lag]
    return past[-1] if past else min(ratio for _, ratio in history)


def _check_shape(cap: float, floor: float, one: float) -> None:
    if not 0 <= floor <= one <= cap:
        raise BadInput(
            f"cap {cap}, floor {floor}: the curve would not fall.", "use 0 <= floor <= 1 <= cap."
        )


def _ceil_div(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)


# --------------------------------------------------------------------------------------------
# emission to stakers (Umbrella)


def emission(assets: float, target: float, maximum: float) -> float:
    """Emission per second to stakers, in the unit of `maximum` (Aave Umbrella's published curve).

    A <= T: M A (2T - A)/T^2;  T < A < 1.2 T: linear from M to 0.8 M;  beyond: 0.8 M.
    """
    check_nonnegative(assets, "assets")
    check_positive(target, "target")
    check_nonnegative(maximum, "maximum")
    x = assets / target
    if x <= 1:
        return maximum * x * (2.0 - x)
    return maximum * max(2.0 - x, 0.8)


def emission_yield(assets: float, target: float) -> float:
    """Yield of a staker as a multiple of M/T: emission(A)/A over M/T."""
    check_positive(assets, "assets")
    return emission(assets, target, 1.0) * target / assets


def emission_wad(assets: int, target: int, maximum: int) -> int:
    """Exact integer emission, rounded DOWN once: stakers never get more than the curve."""
    if target <= 0 or min(assets, maximum) < 0:
        raise BadInput(f"target {target}, assets {assets}, maximum {maximum}.", "pass unsigned.")
    if assets <= target:
        return maximum * assets * (2 * target - assets) // (target * target)
    if 5 * assets < 6 * target:
        return maximum * (2 * target - assets) // target
    return 4 * maximum // 5


def check_emission(target: int, maximum: int, decimals: int = 18) -> None:
    """Limits of the emission parameters: M <= 1000e18/s, M >= T * 1e-15, T >= 1 token."""
    if maximum > 1000 * WAD:
        raise BadInput(f"emission {maximum} above 1000e18 a second.", "lower it.")
    if maximum * 10**15 < target:
        raise BadInput(f"emission {maximum} below target * 1e-15.", "raise it: it rounds to 0.")
    if target < 10**decimals:
        raise BadInput(f"target {target} below one token.", "raise it.")


# --------------------------------------------------------------------------------------------
# cover price with a bump (Nexus)


@dataclass(frozen=True, slots=True)
class CoverPrice:
    """Annual cover price of a pool: the bump decays by 2 points a day towards the target."""

    bumped: float
    updated_days: float


def cover_price(
    state: CoverPrice, target: float, now_days: float, drop_per_day: float = 0.02
) -> float:
    """Price now: max(target, bumped - drop_per_day * days since the last sale)."""
    if now_days < state.updated_days:
        raise BadInput("time runs backwards.", "pass now >= the last update.")
    return max(target, state.bumped - drop_per_day * (now_days - state.updated_days))


def after_sale(
    state: CoverPrice, target: float, now_days: float, amount: float, capacity: float
) -> CoverPrice:
    """State after selling `amount`: the price is bumped by 5 points per full capacity sold."""
    check_positive(capacity, "capacity")
    if not 0 <= amount <= capacity:
        raise BadInput(f"amount {amount} of capacity {capacity}.", "sell at most the capacity.")
    return CoverPrice(cover_price(state, target, now_days) + 0.05 * amount / capacity, now_days)
