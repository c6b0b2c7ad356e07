"""What closed fair windows still owe, and to whom.

Positions that stay have their part at the close. Who left or joined a side meanwhile has a record,
and a side that ended has its claims: anybody may have them paid (`collectWindow`, `repayEnded`).
The rules are in docs/decisions/0010-fair-windows.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from backstop.chain.deploy import System
from backstop.harness.batch import View, read_all

MARKET: Final = bytes(32)
"""Stands for a market's own record: what accounts that were closed out left to it."""

_EPOCHS: Final = 64
"""Ended epochs of a side that are looked at, the newest ones."""


@dataclass(frozen=True)
class Owed:
    """A payment that somebody has to ask for.

    Attributes:
        function: `collectWindow` or `repayEnded` of the engine.
        arguments: of it.
        account: who gets it; None for all positions of a side that ended.
        amount: WAD; for a side at most so much.
    """

    function: str
    arguments: tuple[Any, ...]
    market: int
    window: int
    account: bytes | None
    amount: int


class Windows:
    """The closed windows of a deployment; what is known of them is not asked for again."""

    def __init__(self, system: System) -> None:
        self.system = system
        self._rates: dict[tuple[int, int], tuple[int, int]] = {}
        self._read = 0

    def last_closed(self) -> int:
        """Number of the newest window that is closed; 0: there is none."""
        window = self.system.engine.fairWindow()
        return int(window.id) - (1 if window.closesAt else 0)

    def pots(self) -> list[int]:
        """WAD that each market holds for those with records; 0: nobody has to collect anything."""
        engine = self.system.engine
        views: list[View] = [
            (engine, "marketClaims", (market,)) for market in range(engine.marketCount())
        ]
        return [int(claims.pot) for claims, _ in read_all(self.system.client, views)]

    def rates(self, last: int) -> dict[tuple[int, int], tuple[int, int]]:
        """`paid` and `claims` by (window, market) of the windows up to `last`, all of them closed;
        only where there were claims.
        """
        engine = self.system.engine
        markets = range(engine.marketCount())
        wanted = [(w, m) for w in range(self._read + 1, last + 1) for m in markets]
        views: list[View] = [(engine, "windowRate", pair) for pair in wanted]
        for pair, rate in zip(wanted, read_all(self.system.client, views), strict=True):
            if rate.claims:
                self._rates[pair] = (int(rate.paid), int(rate.claims))
        self._read = max(self._read, last)
        return self._rates

    def forget(self) -> None:
        """Read everything anew: the chain was reorganised."""
        self._rates.clear()
        self._read = 0

    def of_sides(self, markets: Iterable[int], last: int) -> list[Owed]:
        """What sides that ended inside a window wait for.

        Args:
            markets: their numbers.
            last: newest closed window.
        """
        engine, rates = self.system.engine, self.rates(last)
        tags = []
        for market in markets:
            for short, epoch in enumerate(engine.sideState(market).epoch):
                first = max(0, epoch - _EPOCHS)
                tags += [(market, 2 * ended + short) for ended in range(first, epoch)]
        views: list[View] = [(engine, "sideClaims", tag) for tag in tags]
        found = []
        for (market, tag), claims in zip(tags, read_all(self.system.client, views), strict=True):
            rate = rates.get((claims.window, market))
            if not claims.C or not claims.basis or rate is None:
                continue
            amount = claims.basis * (claims.C * rate[0] // rate[1]) // 10**39
            found.append(Owed("repayEnded", (market, tag), market, claims.window, None, amount))
        return found

    def of_accounts(
        self, accounts: Collection[bytes], pairs: Iterable[tuple[int, int]]
    ) -> list[Owed]:
        """What these accounts have to collect.

        Args:
            accounts: their numbers; `MARKET` for the markets themselves.
            pairs: (window, market) of `rates`.
        """
        wanted = [(a, market, window) for window, market in pairs for a in accounts]
        views: list[View] = [(self.system.engine, "windowRecord", record) for record in wanted]
        found = []
        records = read_all(self.system.client, views)
        for (account, market, window), (left, joined) in zip(wanted, records, strict=True):
            paid, claims = self._rates[window, market]
            amount = left * paid // claims + joined * (claims - paid) // claims
            if amount:
                arguments = (account, market, window)
                found.append(Owed("collectWindow", arguments, market, window, account, amount))
        return found
