"""Exact integer twin of `contracts/libraries/SideIndex.sol`.

A side of a market keeps a size factor `A`, a quote per unit of basis `K` and the exact sum `B` of
its positions' basis. A position is stored as `(basis, quote_at_zero)` and is now

    size  = basis * A / ONE                       long: rounded down   short: rounded up
    quote = quote_at_zero + floor(basis * K / (ONE * WAD))

Sizes and basis are base WAD, quotes are quote WAD, `K` is quote WAD per basis unit times `K_UNIT`.
Rounding: longs' size factor down, shorts' up; payers are charged up, receivers credited down.
"""

from __future__ import annotations

from typing import Final

from .fixed_point import WAD, mul_div_ceil, mul_div_down, mul_div_floor, mul_div_up

ONE: Final = 10**21
"""Size factor of a fresh side."""

A_MIN: Final = 10**13
"""Below this size factor a side only accepts fills that reduce it, until it is empty."""

K_UNIT: Final = ONE * WAD
K_MAX: Final = 2**159 - 1
"""Bound of |K|; a charge that would pass it is refused and recorded instead."""


def size_of(basis: int, A: int, short: bool) -> int:
    """Size of `basis` on a side with factor `A`: longs down, shorts up."""
    return mul_div_up(basis, A, ONE) if short else mul_div_down(basis, A, ONE)


def basis_of(size: int, A: int, short: bool) -> int:
    """Basis that represents `size` on a side with factor `A`: longs down, shorts up."""
    return mul_div_up(size, ONE, A) if short else mul_div_down(size, ONE, A)


def quote_of(basis: int, quote_at_zero: int, K: int) -> int:
    """Quote that belongs to a position now, rounded down."""
    return quote_at_zero + mul_div_floor(basis, K, K_UNIT)


def quote_at_zero_of(basis: int, quote: int, K: int) -> int:
    """Coordinate of `quote` for a new basis: reading it back can lose a wei and never gain one."""
    return quote - mul_div_ceil(basis, K, K_UNIT)


def pay_up(K: int, total: int, B: int) -> int:
    """K after the side as a whole pays at least `total` quote."""
    return K - mul_div_up(total, K_UNIT, B)


def get_down(K: int, total: int, B: int) -> int:
    """K after the side as a whole gets at most `total` quote."""
    return K + mul_div_down(total, K_UNIT, B)


def shrink(A: int, x: int, B: int, short: bool) -> int:
    """A after the side gives up `x` base: longs' down, shorts' up; 0 when nothing is left."""
    cut = mul_div_down(x, ONE, B) if short else mul_div_up(x, ONE, B)
    return max(0, A - cut)


def room_for_charge(K: int, total: int, B: int) -> bool:
    """Whether the side's K can take another `total` without leaving its type."""
    return mul_div_up(total, K_UNIT, B) <= K_MAX - abs(K)
