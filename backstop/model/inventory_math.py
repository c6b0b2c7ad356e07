"""How much inventory fits under the caps, and what it is sold for: `InventoryMath.sol`.

Amounts are WAD, fractions WAD unless named ppm, times seconds.
"""

from __future__ import annotations

from typing import Final

from .fixed_point import PPM, WAD, mul_div_down, mul_div_up

PPM_TO_WAD: Final = 10**12
ROUNDING_RESERVE: Final = 10**9


def loss_room(loss_cap: int, invested: int, equity: int) -> int:
    """What may still be lost: the cap less max(0, invested - equity), never below 0."""
    return max(0, loss_cap - max(0, invested - equity))


def cushion(loss_cap: int, invested: int, equity: int) -> int:
    """What stands between inventory and its end: min(equity, room of the loss cap), from 0."""
    return max(0, min(equity, loss_room(loss_cap, invested, equity)))


def base_room_down(
    notional_cap: int, margin_ppm: int, cushion_: int, mark_price: int, size: int, long: bool
) -> int:
    """Base that may be taken on top of inventory `size`, rounded down.

    most = min(notional_cap, cushion * 1e6 / margin_ppm) of notional; the room is most / mark less
    what is held, or plus it if the position is on the other side.
    """
    if margin_ppm == 0 or cushion_ == 0:
        return 0
    most = min(notional_cap, mul_div_down(cushion_, PPM, margin_ppm))
    base = mul_div_down(most, WAD, mark_price)
    if size == 0 or (size > 0) != long:
        return base + abs(size)
    return max(0, base - abs(size))


def price(
    long: bool,
    mark_price: int,
    premium_ppm: int,
    max_discount_ppm: int,
    elapsed: int,
    time: int,
    cushion_: int,
    notional: int,
) -> int:
    """The asking price: a line from premium to floor, rounded for the fund.

    discount = min(max, cushion / notional, (premium + max) * min(1, elapsed / time) - premium)
    """
    premium = premium_ppm * PPM_TO_WAD
    fall = premium + max_discount_ppm * PPM_TO_WAD
    fallen = fall if elapsed >= time else fall * elapsed // time
    if fallen <= premium:
        discount = fallen - premium
    else:
        most = mul_div_down(cushion_, WAD, notional)
        most -= (most + ROUNDING_RESERVE - 1) // ROUNDING_RESERVE
        discount = min(fallen - premium, most)
    if long:
        return mul_div_up(mark_price, WAD - discount, WAD)
    return mul_div_down(mark_price, WAD + discount, WAD)


def elapsed_down(elapsed: int, before: int, afterwards: int) -> int:
    """Time an auction has run after inventory changed: elapsed * smaller / larger, rounded down.

    0 if there was nothing, nothing is left, or the side changed.
    """
    if before == 0 or afterwards == 0 or (before < 0) != (afterwards < 0):
        return 0
    small, large = sorted((abs(before), abs(afterwards)))
    return mul_div_down(elapsed, small, large)
