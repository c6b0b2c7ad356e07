"""Deciding: for everybody below maintenance margin the first way that pays and is accepted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from backstop.chain.errors import explain
from backstop.chain.format import account as shown_account
from backstop.keeper.act import Actor
from backstop.keeper.case import Case, Offer
from backstop.keeper.config import KeeperConfig
from backstop.keeper.desk import OFFERED
from backstop.keeper.further import Chain, Further
from backstop.keeper.orders import OrderFolder
from backstop.keeper.pending import Bound, CannotSend
from backstop.keeper.told import too_dear
from backstop.keeper.trial import After
from backstop.keeper.watch import Sight
from backstop.keeper.ways import Choice, Way, choose

_TOGETHER: Final = 50
"""Accounts that are tried and sent for with one request and one write to disk."""
_CLOCK: Final = "its clock runs, and until the delay is over nothing can be done"


class Treatment:
    """What a look leads to.

    Args:
        actor: tries and sends.
        config: parameters.
        account: the keeper's.
        orders: signed orders.
        stop: set when nothing new is to be sent.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        actor: Actor,
        config: KeeperConfig,
        account: bytes,
        orders: OrderFolder,
        stop: threading.Event,
        clock: Callable[[], float],
    ) -> None:
        self.actor, self.config, self.account = actor, config, account
        self.orders, self.stop, self.clock = orders, stop, clock
        self.further = Further(actor, account, config.ways.steps, self._next, stop.is_set)

    def treat(self, sight: Sight) -> None:
        """The inventory, then everybody below maintenance margin, the largest shortfall first; then
        further steps of those for whom one is not enough.
        """
        actor, block = self.actor, sight.head.number
        orders, uneconomic, begun = self.orders.read(), 0, list[Chain]()
        actor.patience.see({bytes(r.account) for r in sight.liquidatable}, block)
        busy = actor.sender.busy
        waiting = [r for r in sight.liquidatable if self._is_due(r, block, busy)]
        try:
            if waiting or sight.desks:
                actor.sender.check_fees()
            self._treat_inventory(sight)
            for start in range(0, len(waiting), _TOGETHER):
                if self.stop.is_set():
                    return
                part = waiting[start : start + _TOGETHER]
                uneconomic += self._treat_some(part, sight, orders, begun)
            if not self.stop.is_set():
                self.further.go_on(begun, sight)
        except CannotSend as refusal:
            actor.metrics.refused.labels(refusal.reason).inc()
            actor.say(f"not sent: {refusal}", event="not sent", reason=refusal.reason)
        actor.metrics.uneconomic.set(uneconomic)

    def _is_due(self, report: Any, block: int, busy: set[bytes]) -> bool:
        account = bytes(report.account)
        return account not in busy and not self.actor.patience.rests(account, block)

    def _treat_some(
        self, reports: Sequence[Any], sight: Sight, orders: tuple[Any, ...], begun: list[Chain]
    ) -> int:
        """A part of them with few requests; how many cannot be helped by any way that pays."""
        tries, bound = [], self.actor.sender.bound()
        for report in reports:
            case = self._case(report, sight, orders, bound)
            choice = choose(case, self._subsidy() - bound.loss)
            if choice.unprofitable and not choice.offers:
                self._leave(case, too_dear(choice.unprofitable[0]))
                continue
            offers = choice.offers
            if self.actor.patience.was_refused(case.account):
                # what was tried did not succeed: first of all its clock has to run
                offers = sorted(offers, key=lambda offer: offer.way != "flag")
            tries.append((case, offers))
            if offers:
                bound.add(offers[0], (p.market for p in case.state.positions))
                # any of them may be the one that is sent
                bound.loss += max(0.0, *(-offer.profit for offer in offers))
        self._try(tries, sight, begun)
        return len(reports) - len(tries)

    def _treat_inventory(self, sight: Sight) -> None:
        """What the fund holds: bought where that pays, torn up where it has to be."""
        busy = self.actor.sender.busy
        for desk in sight.desks.values():
            if not desk.size or not self._is_due(desk.report, sight.head.number, busy):
                continue
            case = self._case(desk.report, sight, (), self.actor.sender.bound())
            choice = choose(case, 0.0, OFFERED)
            # what is exhausted is a risk of the fund's as long as it is there, whatever it pays
            must = [offer for offer in choice.unprofitable if offer.way == "unwind"]
            if offers := must + choice.offers:
                self._try([(case, offers)], sight, [])

    def _case(self, report: Any, sight: Sight, orders: tuple[Any, ...], bound: Bound) -> Case:
        return Case(
            report=report,
            markets=sight.markets,
            own=sight.own,
            bound=bound,
            now=self.actor.watch.moment(sight.head),
            gas_price=max(self.actor.sender.fees.price, self.config.gas.priority_fee),
            config=self.config,
            system=self.actor.system,
            orders=orders,
            keeper=self.account,
            desks=sight.desks,
        )

    def _subsidy(self) -> float:
        return self.config.profit.subsidy_per_day - self.actor.sender.budget.lost(self.clock())

    def _next(self, after: After, sight: Sight, bound: Bound, ways: Sequence[Way]) -> Choice:
        """The choice for an account in the state that its earlier steps lead to."""
        case = self._case(after.accounts[0], sight, self.orders.read(), bound)
        return choose(case, self._subsidy() - bound.loss, ways)

    def _try(self, tries: list[tuple[Case, list[Offer]]], sight: Sight, begun: list[Chain]) -> None:
        """Of every account the first offer that the contracts would accept now."""
        actor, reasons = self.actor, dict[bytes, str]()
        while tries:
            for case, offers in tries:
                if not offers:
                    self._leave(case, reasons.get(case.account, _CLOCK))
            tries = [(case, offers) for case, offers in tries if offers]
            errors = actor.refusals([actor.intent(offers[0]) for _, offers in tries])
            accepted, left = [], []
            for (case, offers), error in zip(tries, errors, strict=True):
                if error is None:
                    accepted.append(offers[0])
                    continue
                actor.metrics.reverts.labels(error.name or "none").inc()
                reasons[case.account] = f"{offers[0].way}: {explain(error, actor.words)}"
                left.append((case, offers[1:]))
            actor.send(accepted, sight.head.number)
            begun += [Chain(offer) for offer in accepted if offer.more]
            tries = left

    def _leave(self, case: Case, reason: str) -> None:
        """Nothing can be done for an account in this block: said where the reason is new."""
        kind = reason.split(":")[0]
        if self.actor.patience.is_news(case.account, kind):
            self.actor.say(
                f"{shown_account(case.account)} is left alone for now: {reason}",
                event="left alone",
                account=case.account,
            )
