"""The keeper: look, decide, send, look after what was sent; again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from backstop.chain.deploy import System
from backstop.chain.errors import Words, explain
from backstop.chain.format import account as shown_account
from backstop.chain.record import DeploymentError, check_record
from backstop.chain.signing import account_id
from backstop.harness.abi import NoData, Reverted
from backstop.harness.rpc import NodeError, RpcError
from backstop.keeper import economics
from backstop.keeper.config import COIN, KeeperConfig
from backstop.keeper.journal import Journal
from backstop.keeper.metrics import Metrics
from backstop.keeper.orders import OrderFolder
from backstop.keeper.sender import CannotSend, Intent, Outcome, Sender
from backstop.keeper.upkeep import Upkeep
from backstop.keeper.wallet import Wallet
from backstop.keeper.watch import Sight, Watch
from backstop.keeper.ways import Case, Offer, choose

Say = Callable[..., None]
"""`say(sentence, **fields)`: the sentence for people, the fields for programs."""

_LONGEST_REST: Final = 4
"""Blocks that an account rests after several transactions for it were refused on the chain."""
_LONGEST_PAUSE: Final = 30.0
"""Seconds between two tries of a node that does not answer."""


@dataclass
class _Rest:
    """An account whose transactions were refused on the chain: how often, and its rest's end."""

    refused: int = 0
    until: int = 0


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
        self.upkeep = Upkeep(config.upkeep)
        self.stop = threading.Event()
        self._rests: dict[bytes, _Rest] = {}
        self._reasons: dict[bytes, str] = {}
        self._since: dict[bytes, int] = {}
        self._answered: set[bytes] = set()
        self._shown = 0.0
        self._check()
        self._birth = self._find_birth()
        self.sender = self._open_sender()

    def close(self) -> None:
        """Let go of the journal."""
        self.sender.journal.close()

    # --- starting

    def _check(self) -> None:
        names = [market.name for market in self.system.record.markets]
        head = self.system.client.rpc("eth_getBlockByNumber", "latest", False)
        fee = int(head.get("baseFeePerGas") or "0x0", 16) + self.config.gas.priority_fee
        economics.check(self.config, names, self.watch.lens.markets(), fee)

    def _find_birth(self) -> str:
        """What tells this chain from another one with the same number: a block's hash."""
        client, record = self.system.client, self.system.record
        for number in (record.block, 0):
            block = client.rpc("eth_getBlockByNumber", hex(number), False)
            if block is not None:
                return str(block["hash"])
        return "0x00000000"

    def _open_sender(self) -> Sender:
        name = "-".join(
            (
                str(self.system.record.chain_id),
                self.wallet.address[2:10].lower(),
                self._birth[2:10],
            )
        )
        journal = Journal(self.config.account.state, name)
        if journal.problem:
            self.say(f"{journal.problem}: the keeper goes on with its journal in memory only")
        return Sender(
            self.system.client, self.wallet, journal, self.config.gas, self.say, self.clock
        )

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
        self._note(sight)
        self._treat(sight)
        self._do_upkeep(sight)
        self._tell(sight)
        self.metrics.look_seconds.observe(time.perf_counter() - began)

    def _after_reorganisation(self, sight: Sight) -> None:
        self.metrics.reorganisations.inc()
        self._rests.clear()
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
        birth = self._find_birth()
        if birth == self._birth:
            self.sender.reorganised()
            return
        self._birth = birth
        self.sender.journal.close()
        self.sender = self._open_sender()

    # --- deciding

    def _note(self, sight: Sight) -> None:
        """Since when accounts are below maintenance margin."""
        present = {bytes(report.account) for report in sight.liquidatable}
        for account in present:
            self._since.setdefault(account, sight.head.number)
        for account in [a for a in self._since if a not in present]:
            del self._since[account]
            self._answered.discard(account)
            self._rests.pop(account, None)
            self._reasons.pop(account, None)

    def _treat(self, sight: Sight) -> None:
        """Everybody below maintenance margin, the largest shortfall first."""
        busy, orders, uneconomic = self.sender.busy, self.orders.read(), 0
        waiting = [r for r in sight.liquidatable if self._is_due(bytes(r.account), sight, busy)]
        try:
            if waiting:
                self.sender.check_fees()
            for report in waiting:
                if self.stop.is_set():
                    return
                uneconomic += not self._treat_one(self._case(report, sight, orders), sight)
        except CannotSend as refusal:
            self.metrics.refused.labels(refusal.reason).inc()
            self.say(f"not sent: {refusal}", event="not sent", reason=refusal.reason)
        self.metrics.uneconomic.set(uneconomic)

    def _is_due(self, account: bytes, sight: Sight, busy: set[bytes]) -> bool:
        rest = self._rests.get(account)
        return account not in busy and (rest is None or rest.until <= sight.head.number)

    def _treat_one(self, case: Case, sight: Sight) -> bool:
        """False if no way pays."""
        choice = choose(case, self._subsidy())
        if choice.unprofitable and not choice.offers:
            self._leave(case, self._too_dear(choice.unprofitable[0]))
            return False
        offers = choice.offers
        if case.account in self._rests:
            # what was tried did not succeed: first of all its clock has to run
            offers = sorted(offers, key=lambda offer: offer.way != "flag")
        self._try(case, offers, sight)
        return True

    def _case(self, report: Any, sight: Sight, orders: tuple[Any, ...]) -> Case:
        return Case(
            report=report,
            markets=sight.markets,
            own=sight.own,
            bound=self.sender.bound_margin,
            now=self.watch.moment(sight.head),
            gas_price=max(self.sender.fees.price, self.config.gas.priority_fee),
            config=self.config,
            system=self.system,
            orders=orders,
            keeper=self.account,
        )

    def _subsidy(self) -> float:
        return self.config.profit.subsidy_per_day - self.sender.budget.lost(self.clock())

    @staticmethod
    def _too_dear(offer: Offer) -> str:
        return (
            f"{offer.way} does not pay: it would lose {-offer.profit:.4g} tokens after gas"
            if offer.profit < 0
            else f"{offer.way} does not pay: it would earn {offer.profit:.4g} tokens after gas"
        )

    def _try(self, case: Case, offers: list[Offer], sight: Sight) -> None:
        """The first offer that the contracts would accept now."""
        reason = "its clock runs, and until the delay is over nothing can be done"
        for offer in offers:
            error = self._refusal(self._intent(offer))
            if error is None:
                self._send(offer, sight)
                return
            self.metrics.reverts.labels(error.name or "none").inc()
            reason = f"{offer.way}: {explain(error, self.words)}"
        self._leave(case, reason)

    def _leave(self, case: Case, reason: str) -> None:
        """Nothing can be done for an account in this block: said where the reason is new."""
        kind = reason.split(":")[0]
        if self._reasons.get(case.account) != kind:
            self._reasons[case.account] = kind
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
        )

    def _refusal(self, intent: Intent) -> Reverted | None:
        """Why the contracts would refuse this now; None if they would not."""
        try:
            self.system.client.call(
                intent.to,
                intent.data,
                sender=self.wallet.address,
                at=self.watch.at(self.watch.follower.head),
            )
        except Reverted as error:
            return error
        return None

    def _send(self, offer: Offer, sight: Sight) -> None:
        name = self.words.market(offer.market)
        text = (
            f"{offer.way} of {shown_account(offer.account)} in {name}:"
            f" {offer.notional:,.2f} tokens of notional, expected profit {offer.profit:,.4f}"
        )
        fields = {"way": offer.way, "account": offer.account, "market": offer.market}
        if self.dry_run:
            if self._reasons.get(offer.account) != offer.way:
                self._reasons[offer.account] = offer.way
                self.say(f"would send {text}", event="would send", **fields)
            return
        self._reasons.pop(offer.account, None)
        pending = self.sender.submit(self._intent(offer), sight.head.number)
        self.say(f"sent {text} (nonce {pending.nonce})", event="sent", **fields)

    # --- upkeep and what was sent

    def _do_upkeep(self, sight: Sight) -> None:
        if self.stop.is_set():
            return
        waiting = {p.intent.market for p in self.sender.pending.values() if p.intent.way == "poke"}
        for market in self.upkeep.due(sight.markets, sight.head.timestamp, waiting):
            offer = self.upkeep.offer(market)
            name = self.words.market(market)
            if self._refusal(self._intent(offer)) is not None:
                continue
            if self.dry_run:
                self.say(f"would poke {name}", event="would send", way="poke", market=market)
                continue
            try:
                self.sender.submit(self._intent(offer), sight.head.number)
            except CannotSend as refusal:
                self.metrics.refused.labels(refusal.reason).inc()
                return
            self.say(f"poked {name}", event="sent", way="poke", market=market)

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
        who = shown_account(intent.account) if intent.account else self.words.market(intent.market)
        text = f"{intent.way} of {who} (nonce {pending.nonce})"
        if outcome.kind == "mined":
            self.metrics.expected_profit.inc(max(0.0, intent.profit))
            self._answer(intent.account, pending.mined_in)
            text += f" is mined in block {pending.mined_in}"
        elif outcome.kind == "reverted":
            error = outcome.error
            name = error.name if isinstance(error, Reverted) else "none"
            self.metrics.reverts.labels(name or "none").inc()
            why = explain(error, self.words) if isinstance(error, Reverted) else str(error)
            text += f" was refused: {why}"
            self._rest(intent.account, pending.mined_in)
        elif outcome.kind == "cancelled":
            text = f"nonce {pending.nonce} was used up by an empty transaction"
        else:
            text += " lost its nonce to another transaction of this account"
        self.say(
            text,
            event=outcome.kind,
            way=intent.way,
            account=intent.account,
            nonce=pending.nonce,
            block=pending.mined_in,
        )

    def _rest(self, account: bytes, block: int) -> None:
        """Refused on the chain: twice it is tried again at once, then ever later."""
        rest = self._rests.setdefault(account, _Rest())
        rest.until = block + min(_LONGEST_REST, max(0, rest.refused - 1))
        rest.refused += 1

    def _answer(self, account: bytes, block: int) -> None:
        """Count how long an account waited for its first transaction."""
        if account in self._since and account not in self._answered:
            self._answered.add(account)
            self.metrics.wait_blocks.observe(max(0, block - self._since[account]))

    def _tell(self, sight: Sight) -> None:
        if sight.own.ok:
            self.metrics.own_equity.set(sight.own.state.equity / 1e18)
            self.metrics.own_margin.set(sight.own.state.initialMargin / 1e18)
