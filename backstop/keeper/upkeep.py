"""Poking markets, so that marks follow the index where nobody trades.

A mark moves towards the index at most at its market's speed for every second since it was last
moved. Left alone for minutes it could then jump at once (README, "Known limits"); and an account's
liquidation is priced at the mark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from backstop.keeper.config import UpkeepConfig
from backstop.keeper.ways import GAS, Offer


class Upkeep:
    """Which markets need a poke.

    Args:
        config: how far apart, how often.
    """

    def __init__(self, config: UpkeepConfig) -> None:
        self.config = config
        self._poked: dict[int, tuple[int, int, int]] = {}

    def due(self, reports: Sequence[Any], now: int, waiting: set[int]) -> Iterator[int]:
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
                yield number

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

    @staticmethod
    def offer(market: int) -> Offer:
        """The transaction."""
        gas = GAS["poke"]
        return Offer("poke", b"", market, "poke", (market,), gas, 0.0, 0.0, contract="engine")
