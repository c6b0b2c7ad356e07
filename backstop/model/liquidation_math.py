"""Exact integer twin of `contracts/libraries/LiquidationMath.sol`.

Amounts are quote WAD, fractions are WAD unless named `ppm`. Source: docs/laws.md.
"""

from __future__ import annotations

from typing import Final

from .fixed_point import PPM, WAD, mul_div_down, mul_div_up

PPM_TO_WAD: Final = WAD // PPM
ROUNDING_RESERVE: Final = 10**9
"""Part of the budget that is never spent: it pays for the rounding of what follows from it."""

EVERYTHING: Final = 2**256 - 1
"""Notional that stands for the whole position."""


def budget_down(equity: int, maintenance: int, position_margin: int, position_notional: int) -> int:
    """What a step may cost the account, of its notional, so that health does not fall, down:

    discount + surcharge + reward <= mmf * equity / maintenance
    """
    share = mul_div_down(position_margin, equity, maintenance)
    budget = mul_div_down(share, WAD, position_notional)
    return budget - mul_div_up(budget, 1, ROUNDING_RESERVE)


def discount_down(
    equity: int, maintenance: int, min_ppm: int, max_ppm: int, elapsed: int, ramp: int
) -> int:
    """Discount of a take-over before the budget caps it, rounded down:

    min + (max - min) * min(1, (1 - equity / maintenance) + elapsed / ramp)
    """
    progress = WAD - mul_div_up(equity, WAD, maintenance) + mul_div_down(elapsed, WAD, ramp)
    span = (max_ppm - min_ppm) * PPM_TO_WAD
    return min_ppm * PPM_TO_WAD + span * min(progress, WAD) // WAD


def notional_up(
    equity: int,
    maintenance: int,
    position_margin: int,
    position_notional: int,
    target_ppm: int,
    cost: int,
) -> int:
    """Notional whose closing restores the target health t, rounded up; `EVERYTHING` for all:

    n = (t * maintenance - equity) / (t * mmf - cost)
    """
    missing = mul_div_up(maintenance, target_ppm, PPM) - equity
    relief = mul_div_down(position_margin, target_ppm * PPM_TO_WAD, position_notional)
    if relief <= cost:
        return EVERYTHING
    return mul_div_up(missing, WAD, relief - cost)


def base_up(notional: int, mark_price: int) -> int:
    """Base that `notional` is worth at the mark, rounded up; all of it stays all of it."""
    return notional if notional == EVERYTHING else mul_div_up(notional, WAD, mark_price)


def step_base(enough: int, size: int, mark_price: int, max_step: int, min_base: int) -> int:
    """Base of one step: `enough`, not above `max_step` (whole quote), and never leaving dust."""
    base = max(min_base, min(enough, base_up(max_step * WAD, mark_price)))
    return size if base >= size or size - base < min_base else base
