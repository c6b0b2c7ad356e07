"""Numbers, accounts and times as people read them. Rounding here is for reading only."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, localcontext

from eth_utils import is_hex_address, to_checksum_address

from backstop.chain.signing import account_id, owner_of


def amount(value: Decimal, places: int = 2, *, rounding: str = ROUND_HALF_EVEN) -> str:
    """`1234.5` as `1,234.50`; a number too small for the places keeps two significant digits."""
    with localcontext() as context:
        context.prec = 200
        if value and abs(value) < Decimal(1).scaleb(-places) / 2 and rounding == ROUND_HALF_EVEN:
            places = 1 - value.adjusted()
        return f"{value.quantize(Decimal(1).scaleb(-places), rounding=rounding):,f}"


def at_least(value: Decimal, places: int = 2) -> str:
    """Rounded up: what suffices."""
    return amount(value, places, rounding=ROUND_CEILING)


def at_most(value: Decimal, places: int = 2) -> str:
    """Rounded down: what is allowed."""
    return amount(value, places, rounding=ROUND_FLOOR)


def quantity(value: Decimal) -> str:
    """A base quantity: exact, without trailing zeros."""
    text = f"{value.normalize():,f}" if value else "0"
    return text


def percent(ppm: int) -> str:
    """Parts per million as a percentage: 50000 is `5%`."""
    value = (Decimal(ppm) / 10**4).normalize()
    return f"{value:f}%"


def duration(seconds: int) -> str:
    """`5400` as `1h30m`."""
    if seconds == 0:
        return "0s"
    parts = []
    for size, letter in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{letter}")
    return "".join(parts)


def time(timestamp: int) -> str:
    """A block's time, UTC."""
    moment = datetime.datetime.fromtimestamp(timestamp, datetime.UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def short_address(address: str) -> str:
    """`0xf39F…2266`."""
    return f"{address[:6]}…{address[-4:]}"


def account(number: bytes) -> str:
    """An account number as `0xf39F…2266/0`: owner and subaccount."""
    return f"{short_address(owner_of(bytes(number)))}/{int.from_bytes(number[20:], 'big')}"


def full_account(number: bytes) -> str:
    """The same with the whole address; `parse_account` reads it."""
    return f"{owner_of(bytes(number))}/{int.from_bytes(number[20:], 'big')}"


def parse_account(text: str) -> bytes:
    """The account number of `0x…` (20 bytes), `0x…/subaccount` or 32 bytes in hex."""
    owner, _, sub = text.strip().partition("/")
    if not sub and len(owner) == 66 and owner.startswith("0x"):
        return bytes.fromhex(owner[2:])
    if not is_hex_address(owner) or not (sub or "0").isascii() or not (sub or "0").isdigit():
        raise ValueError(
            f"{text!r} is no account: an address, optionally with /subaccount, such as 0xabc…/1"
        )
    if int(sub or 0) >= 2**96:
        raise ValueError("a subaccount number is below 2^96")
    return account_id(to_checksum_address(owner), int(sub or 0))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under a header, the first flush left, the others flush right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = []
    for row in (header, *rows):
        cells = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
