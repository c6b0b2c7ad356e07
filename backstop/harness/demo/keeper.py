"""The keepers: who below maintenance margin is liquidated, and in which way.

In every step they sell what they hold to whoever quotes, then look at all accounts, the sickest
first.

- Bankrupt (negative equity): closed out at once. The positions are torn up against the opposite
  side, unless the market turned in their favour and a keeper has the margin to carry them.
- Solvent: first against signed orders, if some are good enough for the discount the rules allow;
  else a keeper takes the position over, as far as its margin carries it with a reserve for another
  move like the last one; else the account's clock runs, and after its delay the position is
  deleveraged against the opposite side at the mark.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from backstop.harness.demo.book import Participant
from backstop.harness.demo.flow import Quote, base_of
from backstop.harness.demo.stage import DUST_EQUITY, WAD, Health, Stage
from backstop.harness.demo.tally import Shortfall
from backstop.harness.rpc import Receipt

MAX_UINT256 = 2**256 - 1
_ROUNDS = 4
"""Looks at all accounts in a step: a charge to the opposite side may make others liquidatable."""

QuoteSource = Callable[[int, bool], list[Quote]]
"""Fresh orders of a market for longs (True) or shorts being liquidated."""


@dataclass
class Keepers:
    """All keepers; they share what they know and take turns.

    Attributes:
        stage: where.
        moves: relative move of each market's index in this step.
        quotes: gives the step's orders of a market and side, asked once.
        on_shortfall: told after every close-out.
    """

    stage: Stage
    on_shortfall: Callable[[Shortfall, Receipt], None]
    moves: Sequence[float] = ()
    quotes: QuoteSource = field(default=lambda market, selling: [])
    flagged: dict[bytes, int] = field(default_factory=dict)
    _book: dict[tuple[int, bool], list[Quote]] = field(default_factory=dict)
    _turn: int = 0

    def work(self, moves: Sequence[float], quotes: QuoteSource) -> None:
        """One step: look, act, and look again while something happens."""
        self.moves, self.quotes = moves, quotes
        self._book = {}
        for keeper in self.stage.keepers:
            self._unwind(keeper)
        waiting: set[bytes] = set()
        for _ in range(_ROUNDS):
            sick = [(h, p) for h, p in self._look() if p.account not in waiting]
            if not sick:
                return
            for _, who in sick:
                if not self._treat(who):
                    waiting.add(who.account)

    def _look(self) -> list[tuple[Health, Participant]]:
        people = self.stage.plan.participants
        sick = [
            (health, who)
            for who, health in zip(people, self.stage.health_of(people), strict=True)
            if health.liquidatable
        ]
        return sorted(sick, key=lambda pair: pair[0].equity * WAD // pair[0].maintenance)

    def _treat(self, who: Participant) -> bool:
        """Act on one account; False if nothing more can be done for it in this step."""
        for _ in range(self.stage.scenario.keepers.steps):
            state = self.stage.states_of([who])[0]
            if state.equity >= state.maintenanceMargin:
                return False
            if state.equity < DUST_EQUITY:
                self._close_out(who, state)
                return False
            if not self._reduce(who, state):
                return False
        return True

    def _keeper(self, who: Participant) -> Participant:
        """The keeper whose turn it is; nobody liquidates itself."""
        keepers = [k for k in self.stage.keepers if k is not who]
        self._turn += 1
        return keepers[self._turn % len(keepers)] if keepers else self.stage.keepers[0]

    def _unwind(self, keeper: Participant) -> None:
        """A keeper sells what it took over to whoever quotes; it is no investor."""
        state = self.stage.states_of([keeper])[0]
        for position in state.positions:
            left = abs(position.size)
            terms = self.stage.scenario.parameters.markets[position.market].parameters
            minimum = terms.min_base * 10**9
            for quote in self._quotes(position.market, position.size > 0):
                base = min(left, quote.left)
                if 0 < left - base < minimum:
                    base = left - minimum  # no position may be smaller than the minimum
                if base < minimum:
                    break
                receipt = self.stage.attempt(
                    self.stage.system.settlement.fill,
                    *quote.signed,
                    keeper.account,
                    base,
                    sender=keeper.address,
                )
                filled = receipt.one("Traded").base if receipt else 0
                quote.left = quote.left - filled if filled else 0
                left -= filled

    def _quotes(self, market: int, selling: bool) -> list[Quote]:
        """What is left of the step's orders; they are made when first asked for."""
        key = (market, selling)
        if key not in self._book:
            self._book[key] = self.quotes(market, selling)
        return [quote for quote in self._book[key] if quote.left]

    # --- bankrupt

    def _close_out(self, who: Participant, state: Any) -> None:
        keeper = self._keeper(who)
        positions = tuple((p.market, p.size) for p in state.positions if p.size)
        take = bool(positions) and self._wants(keeper, state)
        close = self.stage.system.liquidator.closeOut
        receipt = self.stage.attempt(
            close, who.account, keeper.account, take, sender=keeper.address
        )
        if receipt is None and take:
            take = False
            receipt = self.stage.attempt(
                close, who.account, keeper.account, take, sender=keeper.address
            )
        if receipt is not None:
            shortfall = self.stage.tally.close_out(receipt, self.stage.now, take, positions)
            self.flagged.pop(who.account, None)
            if shortfall is not None:
                self.on_shortfall(shortfall, receipt)

    def _wants(self, keeper: Participant, state: Any) -> bool:
        """The market moves in the positions' favour, and the keeper can carry all of them."""
        favour = sum(p.size * p.markPrice // WAD * self.moves[p.market] for p in state.positions)
        if favour <= 0:
            return False
        return all(
            self._room(keeper, p.market) >= p.notional / 1e18 for p in state.positions if p.size
        )

    # --- solvent

    def _reduce(self, who: Participant, state: Any) -> bool:
        usable = [p for p in state.positions if p.size and p.validity]
        if not usable:
            return False
        position = max(usable, key=lambda p: p.maintenanceMargin)
        if state.flaggedAt and who.account not in self.flagged:
            self.flagged[who.account] = state.flaggedAt
        return (
            self._with_orders(who, state, position)
            or self._take_over(who, position)
            or self._deleverage(who, state, position)
        )

    def _discount(self, state: Any, position: Any) -> float:
        """What the rules allow a buyer now: the discount, inside the account's budget."""
        terms = self.stage.scenario.parameters.markets[position.market].liquidation
        health = state.equity / state.maintenanceMargin
        budget = position.maintenanceMargin / position.notional * health
        elapsed = self.stage.now - state.flaggedAt if state.flaggedAt else 0
        progress = min(1.0, 1 - health + elapsed / terms.ramp)
        spread = terms.max_discount_ppm - terms.min_discount_ppm
        return min(budget, (terms.min_discount_ppm + spread * progress) / 1e6)

    def _with_orders(self, who: Participant, state: Any, position: Any) -> bool:
        long = position.size > 0
        worst = self._discount(state, position)
        limit = position.markPrice * (1 - worst if long else 1 + worst)
        good = [
            quote
            for quote in self._quotes(position.market, long)
            if quote.who is not who
            if (quote.price >= limit if long else quote.price <= limit)
        ][:6]
        if not good:
            return False
        keeper = self._keeper(who)
        receipt = self.stage.attempt(
            self.stage.system.liquidator.liquidateWithOrders,
            who.account,
            position.market,
            keeper.account,
            [quote.signed[0] for quote in good],
            [quote.signed[1] for quote in good],
            sender=keeper.address,
        )
        filled = {e.maker: e.base for e in receipt.find("Traded")} if receipt else {}
        for quote in good:
            if not filled:
                quote.left = 0
            elif quote.who.account in filled:
                quote.left -= filled[quote.who.account]
            elif sum(filled.values()) and quote is good[0]:
                quote.left = 0  # passed over: its owner's margin or position is gone
        if receipt is None:
            return False
        self.stage.tally.liquidation(receipt, "order_liquidations", position.size)
        self._note(who)
        return True

    def _room(self, keeper: Participant, market: int) -> float:
        """Notional a keeper would still take: margin for it, and for another move like the last."""
        health = self.stage.health_of([keeper])[0]
        parameters = self.stage.scenario.parameters.markets[market].parameters
        needed = parameters.initial_margin_ppm / 1e6 * 1.5
        needed += self.stage.scenario.keepers.caution * abs(self.moves[market])
        return max(0, health.equity - health.initial) / 1e18 * 0.9 / needed

    def _take_over(self, who: Participant, position: Any) -> bool:
        keeper = self._keeper(who)
        room = base_of(self._room(keeper, position.market), position.markPrice)
        parameters = self.stage.scenario.parameters.markets[position.market].parameters
        minimum = parameters.min_base * 10**9
        size = abs(position.size)
        most = MAX_UINT256 if room >= size else room
        if most < minimum or (room < size and size - room < minimum):
            return False
        if most * position.markPrice // WAD < 1000 * WAD:
            return False  # not worth a transaction
        long = position.size > 0
        receipt = self.stage.attempt(
            self.stage.system.liquidator.takeOver,
            who.account,
            position.market,
            keeper.account,
            most,
            MAX_UINT256 if long else 0,
            sender=keeper.address,
        )
        if receipt is None:
            return False
        self.stage.tally.liquidation(receipt, "take_overs", position.size)
        self._note(who)
        return True

    def _deleverage(self, who: Participant, state: Any, position: Any) -> bool:
        liquidator = self.stage.system.liquidator
        keeper = self._keeper(who)
        if not state.flaggedAt:
            if self.stage.attempt(liquidator.flag, who.account, sender=keeper.address):
                self._note(who)
            return False
        terms = self.stage.scenario.parameters.markets[position.market].liquidation
        if self.stage.now < state.flaggedAt + terms.deleverage_delay:
            return False
        receipt = self.stage.attempt(
            liquidator.deleverage,
            who.account,
            position.market,
            keeper.account,
            MAX_UINT256,
            sender=keeper.address,
        )
        if receipt is None:
            return False
        self.stage.tally.liquidation(receipt, "deleverages", position.size)
        return True

    def _note(self, who: Participant) -> None:
        self.flagged.setdefault(who.account, self.stage.now)
