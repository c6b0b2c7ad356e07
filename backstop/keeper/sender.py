"""Sending transactions so that each happens at most once, whatever breaks in between.

Every transaction has a nonce of its own, chosen before it is signed, and is in the journal before
it leaves. After a restart the journal's transactions are sent again, byte for byte; one that waits
too long is replaced under the same nonce with higher fees. In every case the chain can only ever
take one transaction of a nonce.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from backstop.harness.rpc import NodeError, Reverted, RpcClient, RpcError
from backstop.keeper.budget import Budget, Fees
from backstop.keeper.config import GasConfig
from backstop.keeper.journal import Journal, Record
from backstop.keeper.wallet import Wallet, hash_of

_TRANSFER_GAS: Final = 21_000
_SETTLED_KEPT: Final = 64
"""Blocks for which a mined transaction may still be taken back by a reorganisation."""


class CannotSend(RuntimeError):
    """Nothing was sent, for a reason that passes; the message says which.

    Attributes:
        reason: one word for the metrics.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Intent:
    """What a transaction is for.

    Attributes:
        way: one of the ways, `poke`, or `cancel`.
        account: who is liquidated; empty if nobody.
        market: number, or -1.
        gas: limit.
        expected_gas: what it will use.
        profit: expected, in tokens, after gas.
        margin: of the keeper's account that it will bind, in tokens.
    """

    way: str
    account: bytes
    market: int
    to: str
    data: bytes
    gas: int
    expected_gas: int
    profit: float = 0.0
    margin: float = 0.0


@dataclass
class Attempt:
    """One signed form of a transaction."""

    hash: str
    raw: bytes
    max_fee: int
    priority_fee: int
    at: float


@dataclass
class Pending:
    """A nonce that is in use, with everything signed for it."""

    nonce: int
    intent: Intent
    attempts: list[Attempt] = field(default_factory=list)
    block: int = 0
    mined_in: int = 0
    capped: bool = False

    @property
    def last(self) -> Attempt:
        """The newest form."""
        return self.attempts[-1]


@dataclass(frozen=True)
class Outcome:
    """How a transaction ended: `mined`, `reverted`, `cancelled`, or `lost` to another transaction
    of the same nonce.
    """

    pending: Pending
    kind: str
    receipt: dict[str, Any] | None = None
    error: Exception | None = None


class Sender:
    """The only one who sends from its address.

    Args:
        client: connection.
        wallet: signs.
        journal: of the address.
        gas: fees and budgets.
        say: told, in sentences, what the operator has to know.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        client: RpcClient,
        wallet: Wallet,
        journal: Journal,
        gas: GasConfig,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.client, self.wallet, self.journal, self.gas = client, wallet, journal, gas
        self.say, self.clock = say, clock
        self.chain_id = client.chain_id
        self.fees = Fees(gas)
        self.budget = Budget(gas.per_hour, gas.per_day)
        self.pending: dict[int, Pending] = {}
        self.settled: list[Pending] = []
        self._said: set[str] = set()
        self._recover()

    # --- state

    @property
    def busy(self) -> set[bytes]:
        """Accounts that a waiting transaction deals with."""
        return {p.intent.account for p in self.pending.values() if p.intent.account}

    @property
    def bound_margin(self) -> float:
        """Margin that waiting take-overs will bind, in tokens."""
        return sum(p.intent.margin for p in self.pending.values())

    def _recover(self) -> None:
        """What the journal knows to be under way; how it stands is the chain's to say."""
        for record in self.journal.records:
            kind, nonce = record["kind"], record["nonce"]
            if kind == "intent":
                self._take(record)
            elif kind == "done":
                known = self.pending.pop(nonce, None)
                self.budget.settle(nonce, record["cost"], record["at"])
                if known is not None and (block := record.get("block")):
                    known.mined_in = block
                    self.settled.append(known)
        # mined lately: the chain may have taken it back while nobody looked
        recent = self.client.block_number - _SETTLED_KEPT if self.settled else 0
        self.pending.update({p.nonce: p for p in self.settled if p.mined_in > recent})
        self.settled = []
        if self.pending:
            self.say(f"{len(self.pending)} transactions of an earlier run are looked after")

    def _take(self, record: Record) -> None:
        nonce = record["nonce"]
        intent = Intent(
            way=record["way"],
            account=bytes.fromhex(record["account"]),
            market=record["market"],
            to=record["to"],
            data=bytes.fromhex(record["data"]),
            gas=record["gas"],
            expected_gas=record["expected_gas"],
            profit=record["profit"],
            margin=record["margin"],
        )
        pending = self.pending.setdefault(nonce, Pending(nonce, intent))
        pending.intent = intent
        raw = bytes.fromhex(record["raw"])
        attempt = Attempt(
            hash_of(raw), raw, record["max_fee"], record["priority_fee"], record["at"]
        )
        pending.attempts.append(attempt)
        self.budget.reserve(
            nonce, pending.intent.expected_gas * attempt.max_fee, attempt.at, pending.intent.profit
        )

    # --- sending

    def submit(self, intent: Intent, block: int) -> Pending:
        """Sign, write down, send.

        Raises:
            CannotSend: fees above the cap, budget used up, too many under way, no coins.
            NodeError: the node does not answer. The transaction may have left: it is looked after.
        """
        if len(self.pending) >= self.gas.in_flight:
            raise CannotSend("in flight", f"{len(self.pending)} transactions are under way")
        self.check_fees()
        max_fee, priority = self.fees.now()
        cost = intent.expected_gas * max_fee
        if problem := self.budget.refuses(cost, self.clock()):
            raise CannotSend("budget", problem)
        pending = Pending(self._next_nonce(), intent, block=block)
        self._sign(pending, max_fee, priority)
        self.pending[pending.nonce] = pending
        self._send(pending)
        return pending

    def check_fees(self) -> None:
        """CannotSend while the network asks for more than the cap."""
        if self.fees.too_high:
            raise CannotSend(
                "fees",
                f"the network asks {self.fees.price / 1e9:g} gwei a gas, more than gas.max_fee"
                f" allows ({self.gas.max_fee / 1e9:g})",
            )

    def _next_nonce(self) -> int:
        """The first nonce that neither the chain, its pool nor the journal knows."""
        known = int(self.client.rpc("eth_getTransactionCount", self.wallet.address, "pending"), 16)
        return max(known, max(self.pending, default=-1) + 1)

    def _sign(self, pending: Pending, max_fee: int, priority: int) -> None:
        """Sign a form of the transaction and write it down before anything else happens."""
        intent, now = pending.intent, self.clock()
        raw = self.wallet.sign(
            {
                "type": 2,
                "chainId": self.chain_id,
                "nonce": pending.nonce,
                "to": intent.to,
                "value": 0,
                "data": "0x" + intent.data.hex(),
                "gas": intent.gas,
                "maxFeePerGas": max_fee,
                "maxPriorityFeePerGas": priority,
            }
        )
        attempt = Attempt(hash_of(raw), raw, max_fee, priority, now)
        record: Record = {
            "kind": "intent",
            "nonce": pending.nonce,
            "hash": attempt.hash,
            "way": intent.way,
            "account": intent.account.hex(),
            "market": intent.market,
            "to": intent.to,
            "data": intent.data.hex(),
            "gas": intent.gas,
            "expected_gas": intent.expected_gas,
            "profit": intent.profit,
            "margin": intent.margin,
            "max_fee": max_fee,
            "priority_fee": priority,
            "at": now,
            "raw": raw.hex(),
        }
        self._write(record)
        pending.attempts.append(attempt)
        self.budget.reserve(pending.nonce, intent.expected_gas * max_fee, now, intent.profit)

    def _write(self, record: Record) -> None:
        before = self.journal.problem
        self.journal.write(record)
        problem = self.journal.problem
        if problem and not before:
            self.say(
                f"{problem}: liquidating goes on with the journal in memory. Free some space soon:"
                " a restart before that would rely on the node's pool alone"
            )
        elif before and not problem:
            self.say(f"{self.journal.path} can be written again; nothing is missing in it")

    def _send(self, pending: Pending) -> None:
        """Hand the newest form to the node; what it says of a known one does not matter."""
        try:
            self.client.rpc("eth_sendRawTransaction", "0x" + pending.last.raw.hex())
        except RpcError as error:
            text = error.message.lower()
            if "insufficient" in text or "fund" in text:
                self._say_once(f"{self.wallet.address} has too few coins for gas: send it some")
            elif not any(word in text for word in ("known", "already", "nonce", "underpriced")):
                self._say_once(f"the node does not take transaction {pending.nonce}: {error}")

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self.say(text)

    # --- looking after

    def look(self, block: int, useful: Callable[[Intent], bool]) -> list[Outcome]:
        """What has become of everything under way: once a block is enough.

        Args:
            block: number of the newest block.
            useful: whether a transaction that has to be replaced is still worth it; if not, an
                empty one takes its nonce.
        """
        if self.journal.problem:
            self.journal.flush()
        self.settled = [p for p in self.settled if block - p.mined_in < _SETTLED_KEPT]
        if not self.pending:
            return []
        latest = int(self.client.rpc("eth_getTransactionCount", self.wallet.address, "latest"), 16)
        outcomes = []
        for nonce in sorted(self.pending):
            pending = self.pending[nonce]
            outcome = self._result(pending, nonce < latest)
            if outcome is not None:
                outcomes.append(outcome)
            else:
                self._nudge(pending, useful)
        return outcomes

    def reorganised(self) -> None:
        """Transactions that were mined lately may have been taken back: look at them again."""
        for pending in self.settled:
            self.pending[pending.nonce] = pending
        self.settled = []

    def _result(self, pending: Pending, used: bool) -> Outcome | None:
        """The end of a transaction; None while there is none."""
        if not used:
            return None
        for attempt in reversed(pending.attempts):
            receipt = self.client.rpc("eth_getTransactionReceipt", attempt.hash)
            if receipt is not None:
                return self._mined(pending, attempt, receipt)
        self._done(pending, 0, 0)
        return Outcome(pending, "lost")

    def _mined(self, pending: Pending, attempt: Attempt, receipt: dict[str, Any]) -> Outcome:
        block = int(receipt["blockNumber"], 16)
        price = int(receipt.get("effectiveGasPrice", "0x0"), 16)
        self._done(pending, int(receipt["gasUsed"], 16) * price, block)
        if pending.intent.way == "cancel":
            return Outcome(pending, "cancelled", receipt)
        if int(receipt["status"], 16) == 1:
            return Outcome(pending, "mined", receipt)
        return Outcome(pending, "reverted", receipt, self._why(pending, attempt, block))

    def _why(self, pending: Pending, attempt: Attempt, block: int) -> Exception:
        request = {
            "from": self.wallet.address,
            "to": pending.intent.to,
            "data": "0x" + pending.intent.data.hex(),
        }
        try:
            return self.client._why(attempt.hash, request, block)
        except (RpcError, NodeError):
            return Reverted("")

    def _done(self, pending: Pending, cost: int, block: int) -> None:
        now = self.clock()
        self.pending.pop(pending.nonce, None)
        self.budget.settle(pending.nonce, cost, now)
        self._write(
            {"kind": "done", "nonce": pending.nonce, "cost": cost, "block": block, "at": now}
        )
        if block:
            pending.mined_in = block
            self.settled.append(pending)
        self.journal.compact(self._needed(now))

    def _needed(self, now: float) -> list[Record]:
        """Records of what is under way, could be taken back, or counts for the budget."""
        alive = {*self.pending, *(p.nonce for p in self.settled)}
        return [r for r in self.journal.records if r["nonce"] in alive or now - r["at"] < 86_400]

    def _nudge(self, pending: Pending, useful: Callable[[Intent], bool]) -> None:
        """A transaction the node has forgotten is sent again, a stuck one replaced."""
        if self.client.rpc("eth_getTransactionByHash", pending.last.hash) is None:
            self._send(pending)
        if self.clock() - pending.last.at < self.gas.stuck_after:
            return
        fees = self.fees.bumped(pending.last.max_fee, pending.last.priority_fee)
        if fees is None:
            if not pending.capped:
                pending.capped = True
                self.say(
                    f"transaction {pending.nonce} ({pending.intent.way}) is stuck at the highest"
                    f" fee allowed, {pending.last.max_fee / 1e9:g} gwei: raise gas.max_fee, or wait"
                )
            return
        if pending.intent.way != "cancel" and not useful(pending.intent):
            self._empty(pending)
        self.say(
            f"transaction {pending.nonce} ({pending.intent.way}) is stuck: sent again with"
            f" {fees[0] / 1e9:g} gwei instead of {pending.last.max_fee / 1e9:g}"
        )
        self._sign(pending, *fees)
        self._send(pending)

    def _empty(self, pending: Pending) -> None:
        """Turn a transaction nobody needs any more into one that only uses up its nonce."""
        pending.intent = Intent(
            "cancel", b"", -1, self.wallet.address, b"", _TRANSFER_GAS, _TRANSFER_GAS
        )
