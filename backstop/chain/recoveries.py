"""Money recovered for an event of the fund: who gives it back, and who collects it.

    for event in recorded(system):
        print(event.number, event.paid, event.open)
    Recoverer(system, account).recover(1, Decimal(100))
    Recoverer(system, account).collect(holder)

`docs/fund.md` and `docs/staking.md` say how it is shared; amounts are whole tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from eth_abi.abi import decode
from eth_utils import keccak

from backstop.chain.clients import NothingToDo, Sent, _User
from backstop.chain.format import amount as shown
from backstop.chain.receipts import decode_receipt
from backstop.chain.units import from_units
from backstop.harness.abi import address_of

if TYPE_CHECKING:
    from backstop.chain.deploy import System


@dataclass(frozen=True)
class RecordedEvent:
    """An event that a layer beyond the reserve paid for.

    Attributes:
        receipt: the bytes of `ReceiptRecorded`, which `recover` wants back.
        paid: by all layers together.
        recovered: of that, so far.
        open: what can still be recovered.
    """

    number: int
    receipt: bytes
    paid: Decimal
    recovered: Decimal
    open: Decimal


@dataclass(frozen=True)
class Recovered(Sent):
    """Money that went back to the layers of an event."""

    number: int
    amount: Decimal
    open: Decimal


@dataclass(frozen=True)
class Collected(Sent):
    """What a holder got of a loss; `part` is 0 for shares, else the number of a bucket."""

    holder: str
    loss: int
    part: int
    amount: Decimal


def recorded(system: System) -> tuple[RecordedEvent, ...]:
    """All events on record, oldest first."""
    decimals = system.record.token_decimals
    found = []
    for topics, data in _logs(system, system.fund.address, "ReceiptRecorded(uint256,bytes)"):
        number, receipt = int(topics[1], 16), decode(["bytes"], data)[0]
        paid, back = decode_receipt(receipt).paid, system.fund.recovery(number).recovered
        units = (from_units(value, decimals) for value in (paid, back, paid - back))
        found.append(RecordedEvent(number, receipt, *units))
    return tuple(found)


def _logs(system: System, address: str, signature: str) -> Iterator[tuple[list[str], bytes]]:
    wanted = {
        "address": address,
        "topics": ["0x" + keccak(text=signature).hex()],
        "fromBlock": hex(system.record.block),
        "toBlock": "latest",
    }
    for log in system.client.rpc("eth_getLogs", wanted):
        yield log["topics"], bytes.fromhex(log["data"].removeprefix("0x"))


class Recoverer(_User):
    """Somebody who brings recovered money, or sends it on to those who bore the loss."""

    def recover(self, number: int, amount: Decimal) -> Recovered:
        """Give money back to the layers that paid event `number`, in reverse order.

        Raises:
            NothingToDo: the event is not on record; the message lists those that are.
            Reverted: more than is open, or too few tokens.
        """
        events = {event.number: event for event in recorded(self.system)}
        if number not in events:
            known = ", ".join(str(n) for n in events) or "none"
            raise NothingToDo(
                f"event {number} is not on record (those that are: {known}): only events that a"
                " layer beyond the reserve paid are; give others' money to the reserve"
            )
        units = self._units(amount, "amount")
        receipt = self._pay_in(
            units, self.system.fund, "recover", number, events[number].receipt, units
        )
        return Recovered(
            receipt.transaction, receipt.gas_used, number, amount, events[number].open - amount
        )

    def collect(self, holder: Any) -> tuple[Collected, ...]:
        """Pay a holder everything that has come back of losses it bore.

        Raises:
            NothingToDo: there is nothing.
        """
        tranche, who = self.system.tranche, address_of(holder)
        signature = "LossRecovered(uint256,uint256,uint256)"
        parts = {
            (int(topics[1], 16), int(topics[2], 16))
            for topics, _ in _logs(self.system, tranche.address, signature)
        }
        paid = []
        for loss, part in sorted(parts):
            if not tranche.collectable(who, loss, part):
                continue
            receipt = tranche.collect.send(who, loss, part, sender=self.address)
            event = receipt.one("RecoveryCollected", tranche.address)
            amount = self._assets(event.assets)
            paid.append(Collected(receipt.transaction, receipt.gas_used, who, loss, part, amount))
        if not paid:
            raise NothingToDo(f"nothing has come back that {who} could collect")
        return tuple(paid)


def sentence(event: RecordedEvent, symbol: str) -> str:
    """An event on record in a sentence."""
    return (
        f"event {event.number}: {shown(event.paid)} {symbol} paid, {shown(event.recovered)}"
        f" recovered, {shown(event.open)} open"
    )
