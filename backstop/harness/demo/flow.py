"""What nobody is forced to do: market makers quote, traders close some of their position.

Market makers sign fresh orders every step; how much they offer follows what is left of the book
(`Impact.depth`) and their own free margin. Traders in the opposite direction add orders that take
their profit. Keepers bring both to liquidations. Some traders close at will, at a price off the
index in the direction of the last move: that premium is what funding is charged on.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from backstop.harness.demo.book import MAKER, TRADER, Participant
from backstop.harness.demo.stage import WAD, Health, SignedOrder, Stage

_TICK = 10**10
"""Prices are rounded to eight decimals, as the feeds' are."""

_PROFIT_TAKERS, _FEWEST = 0.06, 0.01
"""Part of a side's traders who take profit in a step while the book is normal, and at least."""

_LARGEST_PREMIUM = 0.01


@dataclass
class Quote:
    """A signed order that is still good for `left` base."""

    who: Participant
    signed: SignedOrder
    price: int
    left: int


class Flow:
    """Orders and trades of a step.

    Args:
        stage: where.
        rng: decides who trades.
    """

    def __init__(self, stage: Stage, rng: random.Random) -> None:
        self.stage, self.rng = stage, rng

    def quotes(self, market: int, selling: bool, mark: int, depth: float) -> list[Quote]:
        """Orders that take what a liquidation sells (or what it buys), best first.

        Args:
            market: its number.
            selling: longs are liquidated, so these are bids.
            mark: WAD.
            depth: part of the normal book that is there.
        """
        found = self._makers(market, selling, mark, depth)
        found += self._profit_takers(market, selling, mark, depth)
        return sorted(found, key=lambda quote: -quote.price if selling else quote.price)

    def _makers(self, market: int, selling: bool, mark: int, depth: float) -> list[Quote]:
        book, makers = self.stage.scenario.book, self.stage.plan.of(MAKER)
        parameters = self.stage.scenario.parameters.markets[market].parameters
        price = _off(mark, -book.maker_spread if selling else book.maker_spread)
        each = book.maker_depth * depth / len(makers)
        quotes = []
        for maker, health in zip(makers, self.stage.health_of(makers), strict=True):
            # a third of what its margin carries: it quotes in several markets, and margin grows
            room = max(0, health.equity - health.initial) / 1e18
            notional = min(each, room / (3 * parameters.initial_margin_ppm / 1e6))
            base = int(notional / (price / 1e18) * 1e18) // 10**9 * 10**9
            if base >= parameters.min_base * 10**9:
                signed = self.stage.sign(maker, market, selling, base, price)
                quotes.append(Quote(maker, signed, price, base))
        return quotes

    def _profit_takers(self, market: int, selling: bool, mark: int, depth: float) -> list[Quote]:
        price = _off(mark, (-1 if selling else 1) * self.stage.scenario.book.maker_spread / 2)
        part = max(_FEWEST, _PROFIT_TAKERS * depth)
        quotes = []
        for who, size in self._holders(market, long=not selling, part=part):
            signed = self.stage.sign(who, market, selling, abs(size), price, reduce_only=True)
            quotes.append(Quote(who, signed, price, abs(size)))
        return quotes

    def _holders(self, market: int, long: bool, part: float) -> list[tuple[Participant, int]]:
        """A part of the traders who were on a side, with the size of those who still are."""
        candidates = [
            trader
            for trader in self.stage.plan.of(TRADER)
            if (trader.target.get(market, 0) > 0) is long and market in trader.target
        ]
        expected = part * len(candidates)
        count = int(expected) + (self.rng.random() < expected % 1)
        picked = self.rng.sample(candidates, min(count, len(candidates)))
        holders = []
        for trader, state in zip(picked, self.stage.states_of(picked), strict=True):
            size = next((p.size for p in state.positions if p.market == market), 0)
            if size and state.equity > state.maintenanceMargin:
                holders.append((trader, size))
        return holders

    def trade_at_will(self, market: int, mark: int, index: int, move: float) -> None:
        """Some longs and shorts close a part with each other.

        Args:
            market: its number.
            mark: WAD.
            index: WAD.
            move: relative move of the index in the last step; the price is off by half of it.
        """
        book = self.stage.scenario.book
        minimum = self.stage.scenario.parameters.markets[market].parameters.min_base * 10**9
        longs = self._holders(market, True, book.turnover)
        shorts = self._holders(market, False, book.turnover)
        premium = max(-_LARGEST_PREMIUM, min(_LARGEST_PREMIUM, book.premium + move / 2))
        price = _off(index, premium)
        for (long, held), (short, owed) in zip(longs, shorts, strict=False):
            base = int(min(held, -owed) * self.rng.uniform(0.3, 1)) // 10**9 * 10**9
            if base < minimum or min(held, -owed) - base < minimum:
                base = min(held, -owed)
            if any(0 < size - base < minimum for size in (held, -owed)):
                continue
            buy = self.stage.sign(short, market, True, base, price, reduce_only=True)
            sell = self.stage.sign(long, market, False, base, price, reduce_only=True)
            match = self.stage.system.settlement.matchOrders
            self.stage.attempt(match, *buy, *sell, base, sender=self.stage.keepers[0].address)

    def stop_clocks(self, flagged: Sequence[tuple[Participant, Health]]) -> None:
        """Who is healthy again stops the liquidation clock of its account."""
        for who, health in flagged:
            if not health.liquidatable:
                self.stage.attempt(
                    self.stage.system.liquidator.unflag, who.account, sender=who.address
                )


def _off(price: int, part: float) -> int:
    """A price so much higher (lower), on the grid of the feeds."""
    return price * round((1 + part) * 10**9) // 10**9 // _TICK * _TICK


def base_of(notional: float, price: int) -> int:
    """Base (WAD) that is worth `notional` quote tokens, on a grid of 1e9."""
    return int(notional * WAD / price * WAD) // 10**9 * 10**9
