"""Every account's positions, replayed from events, and what deleveraging did to each of them.

A tear-up or a charge treats all positions of a side alike and writes no event an account: the side
index does (DESIGN 2.1). The same law is applied here, so that sizes agree with the contract's up to
the rounding of a few wei, and each account's share of a tear-up or charge is known.

    F *= (oi - x) / oi                       a tear-up of x leaves this part of every position
    G += F * x/oi * mark                     notional torn up a unit
    H += F * amount/oi                       charged a unit
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from backstop.store.store import StoredEvent

WAD = 10**18
_ONE = 10**36
_NOBODY = "0x" + "00" * 32
"""Stands for the market itself where a fair window is collected."""


@dataclass
class _Side:
    """The factors of one side, and the positions as of their last change."""

    factor: int = _ONE
    torn: int = 0
    charged: int = 0
    ending: bool = False
    held: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)

    def size(self, account: str) -> int:
        base, factor, _, _ = self.held.get(account, (0, self.factor, 0, 0))
        return base * self.factor // factor if base else 0

    @property
    def open(self) -> int:
        return sum(self.size(account) for account in self.held)


@dataclass
class PositionBook:
    """Positions by account and market; sizes are signed WAD of base.

    Attributes:
        torn_up: notional (WAD of quote, at the marks) that tear-ups took from an account's
            positions on the opposite side, settled up to its last change or `settle`.
        charged: what deficit charges took from an account, likewise; what a fair window gave back
            later is not taken off.
        marks: last mark price by market, WAD.
        accounts: every account that ever appeared, by its first block.
    """

    torn_up: Counter[str] = field(default_factory=Counter)
    charged: Counter[str] = field(default_factory=Counter)
    marks: dict[int, int] = field(default_factory=dict)
    accounts: dict[str, int] = field(default_factory=dict)
    _sides: dict[tuple[int, bool], _Side] = field(default_factory=dict)
    _open: dict[tuple[int, bool], int] = field(default_factory=dict)

    def apply(self, event: StoredEvent) -> None:
        """Book an event; those that move no position only make accounts known."""
        if event.contract not in ("engine", "liquidator"):
            return
        for key in ("account", "maker", "taker", "keeper"):
            if isinstance(event.args.get(key), str) and event.args[key] != _NOBODY:
                self.accounts.setdefault(event.args[key], event.block)
        handler = getattr(self, f"_on_{event.name}", None)
        if handler is not None:
            handler(event)

    # --- what it knows

    def size(self, account: str, market: int) -> int:
        """Signed size now, WAD."""
        long = self._side(market, True).size(account)
        return long or -self._side(market, False).size(account)

    def open_interest(self, market: int, longs: bool) -> int:
        """Sum of the sizes of a side, WAD."""
        return self._open.get((market, longs), 0)

    def holders(self, market: int, longs: bool) -> dict[str, int]:
        """Sizes of all positions of a side, WAD."""
        side = self._side(market, longs)
        sizes = ((account, side.size(account)) for account in sorted(side.held))
        return {account: size for account, size in sizes if size}

    def markets(self) -> list[int]:
        """Markets in which anything happened."""
        return sorted({market for market, _ in self._sides} | set(self.marks))

    def settle(self) -> None:
        """Bring `torn_up` and `charged` of everybody up to now."""
        for side in self._sides.values():
            for account in list(side.held):
                self._set(side, account, side.size(account))

    # --- events

    def _on_MarkMoved(self, event: StoredEvent) -> None:
        self.marks[event["market"]] = event["markPrice"]

    def _on_Traded(self, event: StoredEvent) -> None:
        bought = event["base"] if event["makerIsBuyer"] else -event["base"]
        self._change(event["maker"], event["market"], bought)
        self._change(event["taker"], event["market"], -bought)

    def _on_PositionChanged(self, event: StoredEvent) -> None:
        self._change(event["account"], event["market"], event["baseChange"])

    def _on_SideCharged(self, event: StoredEvent) -> None:
        key = (event["market"], event["longs"])
        side, total = self._side(*key), self._open.get(key, 0)
        if total:
            side.charged += side.factor * event["amount"] // total

    def _on_SideEnded(self, event: StoredEvent) -> None:
        # the tear-up that ends the side is told after it, and still has to be shared out
        self._side(event["market"], event["longs"]).ending = True

    def _on_Deleveraged(self, event: StoredEvent) -> None:
        """`size` is what the account's position changed by: a long's tear-up is negative."""
        key = (event["market"], event["size"] > 0)
        side, total = self._side(*key), self._open.get(key, 0)
        taken = min(event["opposite"], total)
        if taken and total:
            side.torn += side.factor * taken // total * event["markPrice"] // WAD
            side.factor = side.factor * (total - taken) // total
            self._open[key] = total - taken
        if side.ending or not side.factor:
            self._end(key)

    # --- the law

    def _side(self, market: int, longs: bool) -> _Side:
        return self._sides.setdefault((market, longs), _Side())

    def _end(self, key: tuple[int, bool]) -> None:
        side = self._sides[key]
        for account in list(side.held):
            self._set(side, account, 0)
        self._sides[key] = _Side()
        self._open[key] = 0

    def _change(self, account: str, market: int, change: int) -> None:
        if not change:
            return
        before = self.size(account, market)
        after = before + change
        for longs, old, new in (
            (True, max(before, 0), max(after, 0)),
            (False, max(-before, 0), max(-after, 0)),
        ):
            if old != new:
                self._set(self._side(market, longs), account, new)
                key = (market, longs)
                self._open[key] = self._open.get(key, 0) + new - old

    def _set(self, side: _Side, account: str, size: int) -> None:
        if account in side.held:
            base, factor, torn, charged = side.held.pop(account)
            self.torn_up[account] += base * (side.torn - torn) // factor
            self.charged[account] += base * (side.charged - charged) // factor
        if size and side.factor:
            side.held[account] = (size, side.factor, side.torn, side.charged)


def sizes(book: PositionBook, market: int) -> Iterator[tuple[str, int]]:
    """(account, signed size) of every open position of a market."""
    for account, size in book.holders(market, True).items():
        yield account, size
    for account, size in book.holders(market, False).items():
        yield account, -size
