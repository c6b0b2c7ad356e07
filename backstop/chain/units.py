"""Human units and the contracts' integers, exactly: Decimal in between, never a float.

A value that the integer cannot hold without loss is refused, not rounded.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation, localcontext
from typing import Final

WAD: Final = 10**18
PPM: Final = 10**6
PPB: Final = 10**9

_PLAIN: Final = re.compile(r"[+-]?\d{1,60}(\.\d{1,40})?", re.ASCII)
_DURATION: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)


class UnitError(ValueError):
    """A text that is not a number of the wanted kind; the message says what is allowed."""


def parse_decimal(text: str) -> Decimal:
    """A plain decimal number such as `60000` or `0.001`; no exponent, no thousands separator."""
    if not _PLAIN.fullmatch(text):
        raise UnitError("a plain decimal number such as 60000 or 0.001")
    try:
        return Decimal(text)
    except InvalidOperation as error:  # pragma: no cover - the pattern is narrower
        raise UnitError("a plain decimal number such as 60000 or 0.001") from error


def scaled(value: Decimal, decimals: int) -> int:
    """`value * 10**decimals` as an integer; UnitError if that is not whole."""
    with localcontext() as context:
        context.prec = 200
        result = value.scaleb(decimals)
        if result != result.to_integral_value():
            raise UnitError(f"at most {decimals} decimal places")
        return int(result)


def parse_fraction(text: str, scale: int) -> int:
    """A percentage such as `5%` in parts of `10**scale`: scale 6 gives ppm, 9 gives ppb."""
    if not text.endswith("%"):
        raise UnitError("a percentage such as 5% or 0.05% (with the sign)")
    try:
        return scaled(parse_decimal(text[:-1].strip()), scale - 2)
    except UnitError as error:
        if str(error).startswith("at most"):
            raise UnitError(f"a percentage with at most {scale - 2} decimal places") from None
        raise UnitError("a percentage such as 5% or 0.05%") from None


def parse_duration(text: str) -> int:
    """Seconds of `12h`, `90s`, `2d`, `1h30m`."""
    found = _DURATION.fullmatch(text)
    if not text or not found:
        raise UnitError("a duration such as 12s, 5m, 12h, 2d or 1h30m")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def from_units(amount: int, decimals: int) -> Decimal:
    """Whole tokens of an integer amount, exactly and without trailing zeros."""
    with localcontext() as context:
        context.prec = 200
        value = Decimal(amount).scaleb(-decimals).normalize()
        # 1E+3 is 1000, also in print
        return value.quantize(Decimal(1)) if value == value.to_integral_value() else value


def from_wad(amount: int) -> Decimal:
    """Whole units of a WAD amount, exactly."""
    return from_units(amount, 18)
