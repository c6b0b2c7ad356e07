"""What closed fair windows owe to those who left or joined a side meanwhile: found, and collected.

Nobody is paid for it, so it is done where what comes is worth the gas (`upkeep.collect`), and for
the keeper's own account. The pots of the markets say whether anything is owed at all: without it no
account is asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final

from backstop.chain.deploy import System
from backstop.chain.format import account as shown_account, amount as shown
from backstop.chain.units import from_wad
from backstop.chain.windows import MARKET, Owed, Windows
from backstop.keeper.case import GAS, Offer
from backstop.keeper.config import KeeperConfig
from backstop.keeper.upkeep import Job
from backstop.keeper.watch import Sight

COLLECT: Final = "collect"
REPAY: Final = "repay side"
_RECORDS: Final = 400
"""Records that are read in one look."""
_MOST: Final = 10
"""Transactions of one look."""


class Collector:
    """Looks for what is owed, some accounts a look.

    Args:
        system: the deployment.
        config: parameters.
        own: the keeper's account.
        known: all accounts that there are.
        name: a market's name.
    """

    def __init__(
        self,
        system: System,
        config: KeeperConfig,
        own: bytes,
        known: Callable[[], Iterable[bytes]],
        name: Callable[[int], str],
    ) -> None:
        self.config, self.own, self.known, self.name = config, own, known, name
        self.windows = Windows(system)
        self._moved: set[bytes] = set()
        self._finished = 0

    def note(self, sight: Sight) -> None:
        """Remember whose positions moved; asks the node nothing, so nobody is missed."""
        if sight.update.reorganised or sight.update.reset:
            self.windows.forget()
            self._moved, self._finished = set(self.known()), 0
        self._moved |= sight.update.touched

    def jobs(self, window: Any, gas_price: int) -> Iterator[Job]:
        """The next payments to ask for; none while a window is open, or where nothing is owed.

        Args:
            window: IMarginEngineTypes.FairWindow.
            gas_price: wei a gas.
        """
        if not window.id or self._finished == window.id:
            self._moved.clear()
            return
        if window.closesAt:
            return
        worth = max(1, round(self._cost(COLLECT, gas_price) * 1e18))
        rich = {market for market, pot in enumerate(self.windows.pots()) if pot >= worth}
        due = self._paying(self.windows.of_sides(rich, window.id), gas_price)
        if rich and not due:
            due = self._records(rich, window.id, gas_price)
        if not due and not (rich and self._moved):
            self._finished = window.id
        for owed in due[:_MOST]:
            yield self._job(owed)

    def _records(self, rich: set[int], last: int, gas_price: int) -> list[Owed]:
        """What some of those who moved have to collect, where it is worth it; the others of them
        are not asked about again.
        """
        pairs = [pair for pair in self.windows.rates(last) if pair[1] in rich]
        self._moved.add(MARKET)
        part = set(islice(self._moved, max(1, _RECORDS // max(1, len(pairs)))))
        due = self._paying(self.windows.of_accounts(part, pairs), gas_price)
        self._moved -= part - {owed.account for owed in due if owed.account}
        return due

    def _paying(self, found: list[Owed], gas_price: int) -> list[Owed]:
        return [owed for owed in found if self._pays(owed, gas_price)]

    def _cost(self, way: str, gas_price: int) -> float:
        return self.config.gas.tokens(GAS[way] * gas_price)

    def _pays(self, owed: Owed, gas_price: int) -> bool:
        way = COLLECT if owed.account else REPAY
        worth, cost = owed.amount / 1e18, self._cost(way, gas_price)
        if owed.account == self.own:
            return worth > cost
        return self.config.upkeep.collect and worth >= max(cost, self.config.upkeep.collect_from)

    def _job(self, owed: Owed) -> Job:
        way = COLLECT if owed.account else REPAY
        if owed.account is None:
            whom = "the positions of a side that ended"
        else:
            whom = "the market" if owed.account == MARKET else shown_account(owed.account)
        offer = Offer(
            *(way, b"", owed.market, owed.function, owed.arguments, GAS[way], 0.0, 0.0),
            contract="engine",
        )
        what = f"{shown(from_wad(owed.amount))} tokens of fair window {owed.window}"
        return Job(offer, f"{way} of {what} in {self.name(owed.market)} for {whom}")
