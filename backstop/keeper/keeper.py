"""The keeper: look, decide, send, look after what was sent; again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from backstop.chain.deploy import System
from backstop.chain.errors import Words
from backstop.chain.record import DeploymentError, check_record
from backstop.chain.signing import account_id
from backstop.harness.abi import NoData, Reverted
from backstop.harness.rpc import NodeError, RpcError
from backstop.keeper.act import Actor, Say
from backstop.keeper.chores import Chores
from backstop.keeper.config import COIN, KeeperConfig
from backstop.keeper.metrics import Metrics
from backstop.keeper.orders import OrderFolder
from backstop.keeper.pending import Outcome
from backstop.keeper.sender import Sender
from backstop.keeper.start import check, find_birth, open_sender
from backstop.keeper.told import outcome_text
from backstop.keeper.treat import Treatment
from backstop.keeper.wallet import Wallet
from backstop.keeper.watch import Sight, Watch

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
        self.stop = threading.Event()
        self._shown = time.monotonic()
        check(system, config, self.watch.lens.markets())
        self._birth = find_birth(system)
        sender = self._open_sender()
        self.actor = Actor(
            system, self.watch, sender, self.words, self.metrics, say, dry_run=dry_run
        )
        self.patience = self.actor.patience
        self.treatment = Treatment(self.actor, config, self.account, self.orders, self.stop, clock)
        self.chores = Chores(self.actor, config, self.account, self.stop)

    @property
    def sender(self) -> Sender:
        """The only one who sends from this address; another one after the chain was another."""
        return self.actor.sender

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
        """Work until `stop` is set. A node that does not answer is waited for; why is said whenever
        it is for another reason.
        """
        pause, told = 1.0, ""
        while not self.stop.is_set():
            try:
                self.look()
                if told:
                    self.say("the node answers again", event="node")
                self.metrics.node_ok.set(1)
                pause, told = 1.0, ""
                self.stop.wait(self.config.look.poll)
            except (NodeError, RpcError, NoData, Reverted) as error:
                if (why := self._trouble(error)) != told:
                    self.say(f"the node does not answer as it should: {why}", event="node")
                    told = why
                self.metrics.node_ok.set(0)
                self.stop.wait(pause)
                pause = min(_LONGEST_PAUSE, 2 * pause)
        self.say(
            f"stopped; {len(self.sender.pending)} transactions are under way and in the journal",
            event="stopped",
        )

    def _trouble(self, error: Exception) -> str:
        """What is wrong with the node: where it answers, whether the deployment is on it at all."""
        if not isinstance(error, NodeError):
            try:
                check_record(self.system.record, self.system.client)
            except DeploymentError as missing:
                return str(missing)
            except (NodeError, RpcError):
                pass
        return str(error)

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
        began, self._shown = time.perf_counter(), time.monotonic()
        sight = self.watch.poll()
        if sight is None:
            self._look_after(self.system.client.block_number)
            return
        self.sender.fees.base_fee = sight.head.base_fee
        if sight.update.reorganised or sight.update.reset:
            self._after_reorganisation(sight)
        self._look_after(sight.head.number)
        self.treatment.treat(sight)
        self.chores.do(sight)
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
        self.actor.sender = self._open_sender()

    # --- what was sent

    def _look_after(self, block: int) -> None:
        for outcome in self.sender.look(block, self.actor.useful):
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
            self.patience.done(intent)
        elif outcome.kind == "reverted":
            name = outcome.error.name if isinstance(outcome.error, Reverted) else "none"
            self.metrics.reverts.labels(name or "none").inc()
            self.patience.rest(intent, pending.mined_in)
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
