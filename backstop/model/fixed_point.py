"""Exact integer twin of `contracts/libraries/FixedPoint.sol` and of the casts of OpenZeppelin.

Python's integers have no bounds, so every place where the contracts store a number in a narrower
type calls `to_uint` or `to_int`, which raise what Solidity raises.
"""

from __future__ import annotations

from typing import Final

from .errors import ModelError

WAD: Final = 10**18
PPM: Final = 10**6
PPB: Final = 10**9

ARITHMETIC_OVERFLOW: Final = 0x11
"""Solidity's panic code for overflow in checked arithmetic."""


def mul_div_down(a: int, b: int, d: int) -> int:
    """floor(a * b / d) for unsigned numbers."""
    return a * b // d


def mul_div_up(a: int, b: int, d: int) -> int:
    """ceil(a * b / d) for unsigned numbers."""
    return -(-a * b // d)


def mul_div_floor(a: int, b: int, d: int) -> int:
    """A * b / d towards minus infinity, for a signed b."""
    return a * b // d


def mul_div_ceil(a: int, b: int, d: int) -> int:
    """A * b / d towards plus infinity, for a signed b."""
    return -(-a * b // d)


def to_uint(value: int, bits: int) -> int:
    """The value, if an unsigned integer of that many bits can hold it."""
    if not 0 <= value < 1 << bits:
        raise ModelError("SafeCastOverflowedUintDowncast", bits, value)
    return value


def to_int(value: int, bits: int) -> int:
    """The value, if a signed integer of that many bits can hold it."""
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise ModelError("SafeCastOverflowedIntDowncast", bits, value)
    return value


def checked_int256(value: int) -> int:
    """The value, if checked 256-bit arithmetic could have computed it."""
    if not -(1 << 255) <= value < 1 << 255:
        raise ModelError("Panic", ARITHMETIC_OVERFLOW)
    return value
