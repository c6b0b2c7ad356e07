"""The keeper: look, decide, send, look after what was sent; again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from backstop.chain.deploy import System
from backstop.chain.errors import Words, explain
from backstop.chain.format import account as shown_account
from backstop.chain.record import DeploymentError, check_record
from backstop.chain.signing import account_id
from backstop.harness.abi import NoData, Reverted
from backstop.harness.rpc import NodeError, RpcError
from backstop.keeper.case import Case, Offer
from backstop.keeper.config import COIN, KeeperConfig
from backstop.keeper.desk import OFFERED
from backstop.keeper.metrics import Metrics
from backstop.keeper.orders import OrderFolder
from backstop.keeper.patience import Patience
from backstop.keeper.pending import Bound, CannotSend, Intent, Outcome
from backstop.keeper.sender import Sender
from backstop.keeper.start import check, find_birth, open_sender
from backstop.keeper.told import outcome_text, too_dear
from backstop.keeper.trial import refusals
from backstop.keeper.upkeep import CLOSE, Job, Upkeep
from backstop.keeper.wallet import Wallet
from backstop.keeper.watch import Sight, Watch
from backstop.keeper.ways import choose

Say = Callable[..., None]
"""`say(sentence, **fields)`: the sentence for people, the fields for programs."""

_TOGETHER: Final = 50
"""Accounts that are tried and sent for with one request and one write to disk."""
_CLOCK: Final = "its clock runs, and until the delay is over nothing can be done"
_LONGEST_PAUSE: Final = 30.0
"""Seconds between two tries of a node that does not answer."""


class Keeper:
    """One keeper with one sending address.

    Args:
        system: the deployment, on a connection of the keeper's own.
        wallet: signs.
        config: parameters.
        say: told what happens.
        dry_run: decide and say, but sign and send nothing.
        metrics: for Prometheus.
        clock: seconds since 1970.

    Raises:
        ConfigError: the parameters would lose money.
        JournalError: another keeper uses the account.
    """

    def __init__(
        self,
        system: System,
        wallet: Wallet,
        config: KeeperConfig,
        *,
        say: Say = lambda text, **fields: None,
        dry_run: bool = False,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.system, self.wallet, self.config = system, wallet, config
        self.say, self.dry_run, self.clock = say, dry_run, clock
        self.metrics = metrics or Metrics()
        self.words = Words.of(system)
        self.account = account_id(wallet.address, config.account.sub)
        self.watch = Watch(system, self.account, config.look, self.metrics, self._progress, say)
        self.orders = OrderFolder(config.ways.orders, system.domain, say)
        self.upkeep = Upkeep(config.upkeep, self.words.market)
        self.patience = Patience()
        self.stop = threading.Event()
        self._shown = 0.0
        check(system, config, self.watch.lens.markets())
        self._birth = find_birth(system)
        self.sender = self._open_sender()

    def close(self) -> None:
        """Let go of the journal."""
        self.sender.journal.close()

    def _open_sender(self) -> Sender:
        return open_sender(self.system, self.wallet, self.config, self._birth, self.say, self.clock)

    def _progress(self, what: str, done: int, all_: int) -> None:
        """Say how far a long reading is, every few seconds."""
        now = time.monotonic()
        if now - self._shown > 5:
            self._shown = now
            self.say(f"reading {what}: {done:,} of {all_:,}", event="progress")

    # --- running

    def run(self) -> None:
        """Work until `stop` is set. A node that does not answer is waited for."""
        pause = 1.0
        while not self.stop.is_set():
            try:
                self.look()
                if pause > 1.0:
                    self.say("the node answers again", event="node")
                self.metrics.node_ok.set(1)
                pause = 1.0
                self.stop.wait(self.config.look.poll)
            except (NodeError, RpcError, NoData, Reverted) as error:
                if pause == 1.0:
                    self.say(f"the node does not answer as it should: {error}", event="node")
                self.metrics.node_ok.set(0)
                self.stop.wait(pause)
                pause = min(_LONGEST_PAUSE, 2 * pause)
        self.say(
            f"stopped; {len(self.sender.pending)} transactions are under way and in the journal",
            event="stopped",
        )

    def run_once(self, patience: float = 60.0) -> None:
        """One look, and what it leads to; waits until what was sent is mined."""
        self.look()
        deadline = time.monotonic() + patience
        while self.sender.pending and not self.stop.is_set():
            if time.monotonic() > deadline:
                self.say(f"{len(self.sender.pending)} transactions are not mined yet")
                return
            self.stop.wait(min(1.0, self.config.look.poll))
            head = self.watch.follower.head
            self._look_after(self.system.client.block_number if head else 0)

    def look(self) -> None:
        """One look at the chain with all it leads to.

        Raises:
            NodeError, RpcError: the node does not answer. Nothing is lost.
        """
        began = time.perf_counter()
        sight = self.watch.poll()
        if sight is None:
            self._look_after(self.system.client.block_number)
            return
        self.sender.fees.base_fee = sight.head.base_fee
        if sight.update.reorganised or sight.update.reset:
            self._after_reorganisation(sight)
        self._look_after(sight.head.number)
        self._treat(sight)
        self._do_upkeep(sight)
        self._tell(sight)
        self.metrics.look_seconds.observe(time.perf_counter() - began)

    def _after_reorganisation(self, sight: Sight) -> None:
        self.metrics.reorganisations.inc()
        self.patience.forget_rests()
        if sight.update.reset:
            self._after_reset()
            return
        self.say(
            f"the chain was reorganised {sight.update.reorganised} blocks deep:"
            f" {len(sight.update.touched)} accounts read anew",
            event="reorganised",
            blocks=sight.update.reorganised,
        )
        self.sender.reorganised()

    def _after_reset(self) -> None:
        """None of the blocks we knew is there: a node that lost its data, or another chain."""
        try:
            check_record(self.system.record, self.system.client)
        except DeploymentError as error:
            raise NodeError(str(error)) from None
        self.say("the chain is not the one of before: everything is read anew", event="reset")
        birth = find_birth(self.system)
        if birth == self._birth:
            self.sender.reorganised()
            return
        self._birth = birth
        self.sender.journal.close()
        self.sender = self._open_sender()

    # --- deciding

    def _treat(self, sight: Sight) -> None:
        """The inventory, then everybody below maintenance margin, the largest shortfall first."""
        orders, uneconomic, block = self.orders.read(), 0, sight.head.number
        self.patience.see({bytes(r.account) for r in sight.liquidatable}, block)
        busy = self.sender.busy
        waiting = [r for r in sight.liquidatable if self._is_due(r, block, busy)]
        try:
            if waiting or sight.desks:
                self.sender.check_fees()
            self._treat_inventory(sight)
            for start in range(0, len(waiting), _TOGETHER):
                if self.stop.is_set():
                    return
                uneconomic += self._treat_some(waiting[start : start + _TOGETHER], sight, orders)
        except CannotSend as refusal:
            self.metrics.refused.labels(refusal.reason).inc()
            self.say(f"not sent: {refusal}", event="not sent", reason=refusal.reason)
        self.metrics.uneconomic.set(uneconomic)

    def _is_due(self, report: Any, block: int, busy: set[bytes]) -> bool:
        account = bytes(report.account)
        return account not in busy and not self.patience.rests(account, block)

    def _treat_some(self, reports: Sequence[Any], sight: Sight, orders: tuple[Any, ...]) -> int:
        """A part of them with few requests; how many cannot be helped by any way that pays."""
        tries, bound = [], self.sender.bound
        for report in reports:
            case = self._case(report, sight, orders, bound)
            choice = choose(case, self._subsidy() - bound.loss)
            if choice.unprofitable and not choice.offers:
                self._leave(case, too_dear(choice.unprofitable[0]))
                continue
            offers = choice.offers
            if self.patience.was_refused(case.account):
                # what was tried did not succeed: first of all its clock has to run
                offers = sorted(offers, key=lambda offer: offer.way != "flag")
            tries.append((case, offers))
            if offers:
                bound.add(offers[0], (p.market for p in case.state.positions))
                # any of them may be the one that is sent
                bound.loss += max(0.0, *(-offer.profit for offer in offers))
        self._try(tries, sight)
        return len(reports) - len(tries)

    def _treat_inventory(self, sight: Sight) -> None:
        """What the fund holds: bought where that pays, torn up where it has to be."""
        busy = self.sender.busy
        for desk in sight.desks.values():
            if not desk.size or not self._is_due(desk.report, sight.head.number, busy):
                continue
            case = self._case(desk.report, sight, (), self.sender.bound)
            choice = choose(case, 0.0, OFFERED)
            # what is exhausted is a risk of the fund's as long as it is there, whatever it pays
            must = [offer for offer in choice.unprofitable if offer.way == "unwind"]
            if offers := must + choice.offers:
                self._try([(case, offers)], sight)

    def _case(self, report: Any, sight: Sight, orders: tuple[Any, ...], bound: Bound) -> Case:
        return Case(
            report=report,
            markets=sight.markets,
            own=sight.own,
            bound=bound,
            now=self.watch.moment(sight.head),
            gas_price=max(self.sender.fees.price, self.config.gas.priority_fee),
            config=self.config,
            system=self.system,
            orders=orders,
            keeper=self.account,
            desks=sight.desks,
        )

    def _subsidy(self) -> float:
        return self.config.profit.subsidy_per_day - self.sender.budget.lost(self.clock())

    def _try(self, tries: list[tuple[Case, list[Offer]]], sight: Sight) -> None:
        """Of every account the first offer that the contracts would accept now."""
        reasons: dict[bytes, str] = {}
        while tries:
            for case, offers in tries:
                if not offers:
                    self._leave(case, reasons.get(case.account, _CLOCK))
            tries = [(case, offers) for case, offers in tries if offers]
            errors = self._refusals([self._intent(offers[0]) for _, offers in tries])
            accepted, left = [], []
            for (case, offers), error in zip(tries, errors, strict=True):
                if error is None:
                    accepted.append(offers[0])
                    continue
                self.metrics.reverts.labels(error.name or "none").inc()
                reasons[case.account] = f"{offers[0].way}: {explain(error, self.words)}"
                left.append((case, offers[1:]))
            self._send(accepted, sight)
            tries = left

    def _leave(self, case: Case, reason: str) -> None:
        """Nothing can be done for an account in this block: said where the reason is new."""
        kind = reason.split(":")[0]
        if self.patience.is_news(case.account, kind):
            self.say(
                f"{shown_account(case.account)} is left alone for now: {reason}",
                event="left alone",
                account=case.account,
            )

    def _intent(self, offer: Offer) -> Intent:
        contract = getattr(self.system, offer.contract)
        return Intent(
            way=offer.way,
            account=offer.account,
            market=offer.market,
            to=contract.address,
            data=contract[offer.function].encode(*offer.arguments),
            gas=offer.gas_limit,
            expected_gas=offer.gas,
            profit=offer.profit,
            margin=offer.margin,
            notional=offer.notional,
        )

    def _refusal(self, intent: Intent) -> Reverted | None:
        """Why the contracts would refuse this now; None if they would not."""
        return self._refusals([intent])[0]

    def _refusals(self, intents: Sequence[Intent]) -> list[Reverted | None]:
        at = self.watch.at(self.watch.follower.head)
        return refusals(self.system.client, self.wallet.address, intents, at)

    def _send(self, offers: Sequence[Offer], sight: Sight) -> None:
        try:
            for offer in offers:
                self._prepare(offer, sight)
        finally:
            self.sender.send_prepared()

    def _prepare(self, offer: Offer, sight: Sight) -> None:
        name = self.words.market(offer.market)
        text = (
            f"{offer.way} of {shown_account(offer.account)} in {name}:"
            f" {offer.notional:,.2f} tokens of notional, expected profit {offer.profit:,.4f}"
        )
        fields = {"way": offer.way, "account": offer.account, "market": offer.market}
        if self.dry_run:
            if self.patience.is_news(offer.account, offer.way):
                self.say(f"would send {text}", event="would send", **fields)
            return
        self.patience.act(offer.account)
        pending = self.sender.prepare(self._intent(offer), sight.head.number)
        self.say(f"sent {text} (nonce {pending.nonce})", event="sent", **fields)

    # --- upkeep and what was sent

    def _do_upkeep(self, sight: Sight) -> None:
        now, under_way = sight.head.timestamp, self.sender.pending.values()
        poked = {p.intent.market for p in under_way if p.intent.way == "poke"}
        jobs = list(self.upkeep.pokes(sight.markets, now, poked))
        if self.config.upkeep.close_windows and all(p.intent.way != CLOSE for p in under_way):
            window = self.system.engine.fairWindow()
            jobs += filter(None, [self.upkeep.close(window, self.watch.moment(sight.head))])
        for job in jobs:
            if self.stop.is_set() or not self._carry_out(job, sight):
                return

    def _carry_out(self, job: Job, sight: Sight) -> bool:
        """False if nothing can be sent now."""
        intent, fields = self._intent(job.offer), {"way": job.offer.way, "market": job.offer.market}
        error = self._refusal(intent)
        if error is not None:
            if self.patience.is_news(job.text.encode(), "refused"):
                self.say(f"{job.text} would be refused: {explain(error, self.words)}", **fields)
            return True
        if self.dry_run:
            if self.patience.is_news(job.text.encode(), "would send") or job.offer.way == "poke":
                self.say(f"would send {job.text}", event="would send", **fields)
            return True
        try:
            self.sender.submit(intent, sight.head.number)
        except CannotSend as refusal:
            self.metrics.refused.labels(refusal.reason).inc()
            return False
        self.say(f"sent {job.text}", event="sent", **fields)
        return True

    def _look_after(self, block: int) -> None:
        for outcome in self.sender.look(block, lambda intent: self._refusal(intent) is None):
            self._finished(outcome)
        now = self.clock()
        self.metrics.in_flight.set(len(self.sender.pending))
        self.metrics.budget_left.set(self.sender.budget.left(now) / COIN)
        self.metrics.journal_ok.set(0 if self.sender.journal.problem else 1)

    def _finished(self, outcome: Outcome) -> None:
        pending, intent = outcome.pending, outcome.pending.intent
        self.metrics.transactions.labels(intent.way, outcome.kind).inc()
        if outcome.receipt is not None:
            used = int(outcome.receipt["gasUsed"], 16)
            price = int(outcome.receipt.get("effectiveGasPrice", "0x0"), 16)
            self.metrics.gas_spent.inc(used * price / COIN)
        if outcome.kind == "mined":
            self.metrics.expected_profit.inc(max(0.0, intent.profit))
            if (waited := self.patience.answer(intent.account, pending.mined_in)) is not None:
                self.metrics.wait_blocks.observe(waited)
        elif outcome.kind == "reverted":
            name = outcome.error.name if isinstance(outcome.error, Reverted) else "none"
            self.metrics.reverts.labels(name or "none").inc()
            self.patience.rest(intent.account, pending.mined_in)
        self.say(
            outcome_text(outcome, self.words),
            event=outcome.kind,
            way=intent.way,
            account=intent.account,
            nonce=pending.nonce,
            block=pending.mined_in,
        )

    def _tell(self, sight: Sight) -> None:
        if sight.own.ok:
            self.metrics.own_equity.set(sight.own.state.equity / 1e18)
            self.metrics.own_margin.set(sight.own.state.initialMargin / 1e18)
