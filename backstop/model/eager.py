"""An eager rational model of one market: every account touched at every event, nothing rounded.

It is what the side index is meant to be equal to, and the twin is compared with it. Sizes are base
WAD, cash and amounts quote WAD, prices quote per base; all are `Fraction`.

How far the lazy integers may be away from it (`Bound`): let r be an account's size in the twin with
all its digits, basis * A / ONE, and s its size here. Sharing pro rata does not expand the distance
of two distributions: if a side's sizes differ by d in all (the sum of |r - s|), so do they after
both sides shrank by the same base. So d only grows by rounding,

    a touch               2 wei         reading an integer size, and encoding the new one
    a tear-up of x        B / ONE + 3   one unit of the size factor, and the touch of the account
                          + 2 |x - x'|  where the two models close different quantities
    the end of an epoch   1 wei         what was left of the side

and every transfer shared by size may differ by its price per base times the distance,

    a touch               3 wei
    funding               mark * rate * (4 d + 4) + N + 2
    a tear-up             mark * (2 d + 2 |x - x'| + 2) + N + 3
    a charge of R         2 R d / O + N + 2

for N accounts and open interest O. The bounds hold for the sum over all accounts, hence for each.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction

from . import side_index


@dataclass
class Bound:
    """How far the twin may be away, all accounts together: sizes in base wei, cash in quote wei."""

    size: Fraction = Fraction(0)
    cash: Fraction = Fraction(0)

    def touch(self, accounts: int = 1) -> None:
        """Positions were read and written."""
        self.size += 2 * accounts
        self.cash += 3 * accounts

    def funding(self, mark: Fraction, rate: Fraction, accounts: int) -> None:
        """A side paid `rate` of its notional to the other."""
        self.cash += mark * rate * (4 * self.size + 4) + accounts + 2

    def tear_up(self, mark: Fraction, basis: int, difference: Fraction, accounts: int) -> None:
        """An account was closed against a side with so much basis."""
        self.cash += mark * (2 * self.size + 2 * difference + 2) + accounts + 3
        self.size += Fraction(basis, side_index.ONE) + 2 * difference + 4

    def charge(self, amount: int, open_interest: Fraction, accounts: int) -> None:
        """A side was charged an amount."""
        share = min(Fraction(1), self.size / open_interest) if open_interest else Fraction(1)
        self.cash += 2 * amount * share + accounts + 2


@dataclass
class EagerMarket:
    """Sizes and cash of all accounts of a market; cash is collateral and quote together."""

    size: dict[bytes, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    cash: dict[bytes, Fraction] = field(default_factory=lambda: defaultdict(Fraction))

    def open_interest(self, short: bool) -> Fraction:
        """Base held by the longs, or owed by the shorts."""
        return sum(self.side(short).values(), Fraction(0))

    def side(self, short: bool) -> dict[bytes, Fraction]:
        """Sizes of one side, positive."""
        sign = -1 if short else 1
        return {who: sign * size for who, size in self.size.items() if sign * size > 0}

    def trade(self, buyer: bytes, seller: bytes, base: Fraction, price: Fraction) -> None:
        """`base` changes hands at `price`."""
        for who, sign in ((buyer, 1), (seller, -1)):
            self.size[who] += sign * base
            self.cash[who] -= sign * base * price

    def fund(self, rate: Fraction, mark: Fraction) -> None:
        """Longs pay `rate` of their notional to the shorts, or get it if it is negative."""
        for who, size in self.size.items():
            self.cash[who] -= size * mark * rate

    def deleverage(self, who: bytes, short: bool, base: Fraction, mark: Fraction) -> Fraction:
        """Closes `base` of a long (or short) against the other side, pro rata; returns how much."""
        opposite = self.side(not short)
        total = sum(opposite.values(), Fraction(0))
        base = min(base, total)
        if base == 0:
            return base
        sign = 1 if short else -1
        self.size[who] += sign * base
        self.cash[who] -= sign * base * mark
        for other, size in opposite.items():
            part = base * size / total
            self.size[other] -= sign * part
            self.cash[other] += sign * part * mark
        return base

    def charge(self, short: bool, amount: Fraction) -> None:
        """A side pays an amount, all positions by size."""
        side = self.side(short)
        total = sum(side.values(), Fraction(0))
        if total == 0:
            return
        for who, size in side.items():
            self.cash[who] -= amount * size / total
