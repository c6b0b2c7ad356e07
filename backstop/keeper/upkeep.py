"""What nobody is paid for: poking markets, so that marks follow the index where nobody trades, and
closing a fair window once it is over, so that those whose claims wait get their part.

A mark moves towards the index at most at its market's speed for every second since it was last
moved. Left alone for minutes it could then jump at once (README, "Known limits"); and an account's
liquidation is priced at the mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from backstop.keeper.case import GAS, Offer
from backstop.keeper.config import UpkeepConfig

CLOSE = "close window"
_GAS_A_CLAIM = 150_000
"""Gas of each further market with claims in a window."""


@dataclass(frozen=True)
class Job:
    """A transaction that keeps the system up to date, and its name for people."""

    offer: Offer
    text: str


class Upkeep:
    """Which markets need a poke, and whether a fair window has to be closed.

    Args:
        config: how far apart, how often.
        name: a market's name.
    """

    def __init__(self, config: UpkeepConfig, name: Callable[[int], str]) -> None:
        self.config, self.name = config, name
        self._poked: dict[int, tuple[int, int, int]] = {}

    def pokes(self, reports: Sequence[Any], now: int, waiting: set[int]) -> Iterator[Job]:
        """Markets that a poke would move: by the gap since the last one, or in validity.

        Args:
            reports: ILens.MarketReport of a *snapshot*: the mark as a poke now would leave it.
            now: time of the newest block.
            waiting: markets with a poke under way.
        """
        if not self.config.poke:
            return
        for number, report in enumerate(reports):
            if number not in waiting and self._moves(number, report, now):
                state = report.state
                self._poked[number] = (state.markPrice, state.validity, now)
                offer = self._offer("poke", number, "poke", (number,), GAS["poke"])
                yield Job(offer, f"poke of {self.name(number)}")

    def _moves(self, number: int, report: Any, now: int) -> bool:
        state = report.state
        if not (state.openLong or state.openShort):
            return False  # nobody is valued at it
        if number not in self._poked:
            return True  # how old the stored mark is cannot be seen from outside
        mark, validity, since = self._poked[number]
        if now - since < self.config.every:
            return False
        index = report.indexPrice or state.markPrice
        moved = max(abs(state.markPrice - mark), abs(index - state.markPrice))
        return bool(moved > self.config.gap * mark or state.validity != validity)

    def close(self, window: Any, now: int) -> Job | None:
        """The close of a fair window whose time is over.

        Args:
            window: IMarginEngineTypes.FairWindow.
            now: time at which the transaction would be mined.
        """
        if not self.config.close_windows or not window.closesAt or now < window.closesAt:
            return None
        gas = GAS[CLOSE] + _GAS_A_CLAIM * (window.markets.bit_count() - 1)
        offer = self._offer(CLOSE, -1, "closeFairWindow", (), gas)
        return Job(offer, f"close of fair window {window.id}")

    @staticmethod
    def _offer(way: str, market: int, function: str, arguments: tuple[Any, ...], gas: int) -> Offer:
        return Offer(way, b"", market, function, arguments, gas, 0.0, 0.0, contract="engine")
