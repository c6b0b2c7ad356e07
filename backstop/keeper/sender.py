"""Sending transactions so that each happens at most once, whatever breaks in between.

Every transaction has a nonce of its own, chosen before it is signed, and is in the journal before
it leaves. After a restart the journal's transactions are sent again, byte for byte; one that waits
too long is replaced under the same nonce with higher fees. In every case the chain can only ever
take one transaction of a nonce.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from backstop.chain.transport import ask_all
from backstop.harness.rpc import NodeError, Reverted, RpcClient, RpcError
from backstop.keeper.budget import Budget, Fees
from backstop.keeper.config import COIN, GasConfig
from backstop.keeper.journal import Journal, Record
from backstop.keeper.pending import Attempt, Bound, CannotSend, Intent, Outcome, Pending
from backstop.keeper.wallet import Wallet, hash_of

_TRANSFER_GAS: Final = 21_000
_SETTLED_KEPT: Final = 64
"""Blocks for which a mined transaction may still be taken back by a reorganisation."""


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
        self._prepared: list[Pending] = []
        self._known = 0
        self._coins: int | None = None
        self._recover()

    # --- state

    @property
    def busy(self) -> set[bytes]:
        """Accounts that a waiting transaction deals with."""
        return {p.intent.account for p in self.pending.values() if p.intent.account}

    def bound(self, but: bytes = b"") -> Bound:
        """What waiting transactions will take; those for the account `but` are left out."""
        bound = Bound()
        for pending in self.pending.values():
            if not but or pending.intent.account != but:
                bound.add(pending.intent)
        return bound

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
            notional=record.get("notional", 0.0),  # journals of before did not keep it
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
        """Sign, write down, send; as `prepare` and `send_prepared`."""
        pending = self.prepare(intent, block)
        self.send_prepared()
        return pending

    def prepare(self, intent: Intent, block: int) -> Pending:
        """Sign a transaction and count it as under way; `send_prepared` lets it go.

        Raises:
            CannotSend: fees above the cap, budget used up, too many under way, no coins.
            NodeError: the node does not answer; nothing was signed.
        """
        if len(self.pending) >= self.gas.in_flight:
            raise CannotSend("in flight", f"{len(self.pending)} transactions are under way")
        self.check_fees()
        max_fee, priority = self.fees.now()
        cost = intent.expected_gas * max_fee
        if problem := self.budget.refuses(cost, self.clock()):
            raise CannotSend("budget", problem)
        self._pay(intent, max_fee)
        pending = Pending(self._next_nonce(), intent, block=block)
        self._sign(pending, max_fee, priority)
        self.pending[pending.nonce] = pending
        self._prepared.append(pending)
        return pending

    def send_prepared(self) -> None:
        """Bring what was signed to disk, then send it.

        Raises:
            NodeError: the node does not answer. Some may have left: all are looked after.
        """
        prepared, self._prepared = self._prepared, []
        if prepared:
            self._send(prepared)

    def check_fees(self) -> None:
        """CannotSend while the network asks for more than the cap."""
        if self.fees.too_high:
            raise CannotSend(
                "fees",
                f"the network asks {self.fees.price / 1e9:g} gwei a gas, more than gas.max_fee"
                f" allows ({self.gas.max_fee / 1e9:g})",
            )

    def _pay(self, intent: Intent, max_fee: int) -> None:
        """Coins for a transaction; CannotSend if the address has too few. A node wants to see the
        whole limit at the highest fee, and for all that wait together.
        """
        if self._coins is None:
            waiting = sum(p.intent.gas * p.last.max_fee for p in self.pending.values())
            self._coins = self.client.balance(self.wallet.address) - waiting
        needed = intent.gas * max_fee
        if self._coins < needed:
            raise CannotSend(
                "coins",
                f"{self.wallet.address} has {max(0, self._coins) / COIN:.6g} coins to spare, and"
                f" {intent.way} needs {needed / COIN:.6g} for its gas limit: send it some",
            )
        self._coins -= needed

    def _next_nonce(self) -> int:
        """The first nonce that neither the chain, its pool nor the journal knows."""
        if not self._prepared:  # the node cannot know of what has not left yet
            address = self.wallet.address
            self._known = int(self.client.rpc("eth_getTransactionCount", address, "pending"), 16)
        return max(self._known, max(self.pending, default=-1) + 1)

    def _sign(self, pending: Pending, max_fee: int, priority: int) -> None:
        """Sign a form of the transaction and note it down; `_send` brings that to disk first."""
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
            "notional": intent.notional,
            "max_fee": max_fee,
            "priority_fee": priority,
            "at": now,
            "raw": raw.hex(),
        }
        self.journal.note(record)
        pending.attempts.append(attempt)
        self.budget.reserve(pending.nonce, intent.expected_gas * max_fee, now, intent.profit)

    def _flush(self) -> None:
        """Bring the journal to disk, and say when that begins or ceases to fail."""
        before = self.journal.problem
        self.journal.flush()
        problem = self.journal.problem
        if problem and not before:
            self.say(
                f"{problem}: liquidating goes on with the journal in memory. Free some space soon:"
                " a restart before that would rely on the node's pool alone"
            )
        elif before and not problem:
            self.say(f"{self.journal.path} can be written again; nothing is missing in it")

    def _send(self, pending: Sequence[Pending]) -> None:
        """Hand the newest forms to the node; what it says of a known one does not matter."""
        self._flush()
        raw = [("eth_sendRawTransaction", ["0x" + one.last.raw.hex()]) for one in pending]
        for one, answer in zip(pending, ask_all(self.client, raw), strict=True):
            if isinstance(answer, RpcError):
                self._refused(one, answer)

    def _refused(self, pending: Pending, error: RpcError) -> None:
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
        self.settled = [p for p in self.settled if block - p.mined_in < _SETTLED_KEPT]
        self._coins, outcomes = None, []
        if self.pending:
            address = self.wallet.address
            latest = int(self.client.rpc("eth_getTransactionCount", address, "latest"), 16)
            known = [self.pending[nonce] for nonce in sorted(self.pending)]
            outcomes = self._results([p for p in known if p.nonce < latest])
            self._nudge([p for p in known if p.nonce >= latest], useful)
        self._flush()
        if self.journal.is_long:
            self.journal.compact(self._needed(self.clock()))
        return outcomes

    def reorganised(self) -> None:
        """Transactions that were mined lately may have been taken back: look at them again."""
        for pending in self.settled:
            self.pending[pending.nonce] = pending
        self.settled = []

    def _results(self, used: Sequence[Pending]) -> list[Outcome]:
        """The ends of transactions whose nonces are used."""
        asked = [("eth_getTransactionReceipt", [p.last.hash]) for p in used]
        outcomes = []
        for pending, receipt in zip(used, ask_all(self.client, asked), strict=True):
            if isinstance(receipt, RpcError):
                raise receipt
            outcomes.append(self._result(pending, receipt))
        return outcomes

    def _result(self, pending: Pending, receipt: dict[str, Any] | None) -> Outcome:
        """The end of a transaction; the receipt is that of its newest form."""
        if receipt is not None:
            return self._mined(pending, pending.last, receipt)
        for attempt in reversed(pending.attempts[:-1]):
            older = self.client.rpc("eth_getTransactionReceipt", attempt.hash)
            if older is not None:
                return self._mined(pending, attempt, older)
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
        self.journal.note(
            {"kind": "done", "nonce": pending.nonce, "cost": cost, "block": block, "at": now}
        )
        if block:
            pending.mined_in = block
            self.settled.append(pending)

    def _needed(self, now: float) -> list[Record]:
        """Records of what is under way, could be taken back, or counts for the budget."""
        alive = {*self.pending, *(p.nonce for p in self.settled)}
        return [r for r in self.journal.records if r["nonce"] in alive or now - r["at"] < 86_400]

    def _nudge(self, waiting: Sequence[Pending], useful: Callable[[Intent], bool]) -> None:
        """Transactions the node has forgotten are sent again, stuck ones replaced."""
        asked = [("eth_getTransactionByHash", [p.last.hash]) for p in waiting]
        answers = ask_all(self.client, asked)
        if forgotten := [p for p, known in zip(waiting, answers, strict=True) if known is None]:
            self._send(forgotten)
        for pending in waiting:
            if self.clock() - pending.last.at >= self.gas.stuck_after:
                self._replace(pending, useful)

    def _replace(self, pending: Pending, useful: Callable[[Intent], bool]) -> None:
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
        self._send([pending])

    def _empty(self, pending: Pending) -> None:
        """Turn a transaction nobody needs any more into one that only uses up its nonce."""
        pending.intent = Intent(
            "cancel", b"", -1, self.wallet.address, b"", _TRANSFER_GAS, _TRANSFER_GAS
        )
