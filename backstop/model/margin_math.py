"""Exact integer twin of `contracts/libraries/MarginMath.sol`: margin, funding, profit lock."""

from __future__ import annotations

from typing import Final

from .fixed_point import PPB, PPM, WAD, mul_div_floor, mul_div_up

FUNDING_PERIOD: Final = 8 * 3600
"""Seconds over which a premium of 1 is paid once."""

"""Longest time, in seconds, that one accrual charges."""

PREMIUM_WINDOW: Final = 3600
"""Seconds after which the newest fill's premium has replaced the older average entirely."""


def margins(
    notional: int,
    open_interest: int,
    cap: int,
    size_scale: int,
    slope_ppm: int,
    initial_ppm: int,
    maintenance_ppm: int,
) -> tuple[int, int]:
    """Initial and maintenance margin of a position, quote WAD, each step rounded up:

        scaled      = notional * (1 + notional / sizeScale)
        maintenance = min(notional, scaled * fraction)
        initial     = the same with scaled * (1 + slope * min(1, openInterest / cap))

    `notional` is quote WAD, `open_interest` and `cap` base WAD, `size_scale` whole quote tokens.
    A cap of zero counts as reached.
    """
    if notional == 0:
        return 0, 0
    scale = size_scale * WAD
    scaled = mul_div_up(notional, scale + notional, scale)
    maintenance = min(notional, mul_div_up(scaled, maintenance_ppm, PPM))
    if open_interest >= cap:
        scaled = mul_div_up(scaled, PPM + slope_ppm, PPM)
    else:
        scaled = mul_div_up(scaled, cap * PPM + slope_ppm * open_interest, cap * PPM)
    initial = min(notional, mul_div_up(scaled, initial_ppm, PPM))
    return initial, maintenance


def funding_up(open_interest: int, mark_price: int, premium_ppb: int, elapsed: int) -> int:
    """What the paying side owes in all, quote WAD, rounded up:

    payment = openInterest * mark * |premium| * elapsed / 8 h
    """
    return mul_div_up(open_interest, mark_price * premium_ppb * elapsed, WAD * PPB * FUNDING_PERIOD)


def average_premium(average: int, held: int, elapsed: int) -> int:
    """Time-weighted premium (1e-9) after `held` was in force for `elapsed` seconds, floored."""
    if elapsed >= PREMIUM_WINDOW:
        return held
    return average + mul_div_floor(elapsed, held - average, PREMIUM_WINDOW)


def follow(mark_price: int, index_price: int, speed_ppb: int, elapsed: int) -> int:
    """The mark after following the index, at most at the market's speed (rounded down):

    |mark' - mark| <= mark * speed * elapsed
    """
    if mark_price == 0:
        return index_price
    step = mark_price * speed_ppb * elapsed // PPB
    return min(max(index_price, mark_price - step), mark_price + step)


def locked_up(amount: int, start: int, end: int, time: int) -> int:
    """Locked profit now, rounded up: it falls linearly from `amount` at `start` to 0 at `end`."""
    return 0 if time >= end else mul_div_up(amount, end - time, end - start)


def merged_release(left: int, seconds_left: int, added: int, lock_seconds: int) -> int:
    """Seconds until two locked amounts, taken together, are free: their weighted average, up."""
    return mul_div_up(left * seconds_left + added * lock_seconds, 1, left + added)
