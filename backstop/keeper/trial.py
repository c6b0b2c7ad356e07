"""Trying transactions before they are sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from backstop.chain.deploy import System
from backstop.chain.transport import Client, ask_all
from backstop.harness.abi import Reverted
from backstop.harness.rpc import RpcError, call_parameters
from backstop.keeper.pending import Intent

_LOOK_GAS: Final = 15_000_000
_BLOCK_GAS: Final = 10**9
"""Of a simulated block: more than a row of steps and the look at accounts after it take."""


def _call(intent: Intent, sender: str, at: int | None) -> list[Any]:
    """With the transaction's limit: the contracts refuse where too little gas is left."""
    request, *rest = call_parameters(intent.to, intent.data, sender=sender, at=at)
    return [{**request, "gas": hex(intent.gas)}, *rest]


def refusals(
    client: Client, sender: str, intents: Sequence[Intent], at: int | None
) -> list[Reverted | None]:
    """Why the contracts would refuse each of these now; None where they would not.

    Args:
        client: connection.
        sender: who would send them.
        intents: each on its own, as if none of the others were sent.
        at: time that the calls see; None for the newest block's.

    Raises:
        RpcError, NodeError: the node cannot say.
    """
    calls = [("eth_call", _call(intent, sender, at)) for intent in intents]
    found: list[Reverted | None] = []
    for answer in ask_all(client, calls):
        error = client._reverted(answer) if isinstance(answer, RpcError) else None
        if error is not None and not isinstance(error, Reverted):
            raise error
        found.append(error)
    return found


class Unable(RuntimeError):
    """The node cannot try transactions in a row; the message says why.

    Attributes:
        for_good: it never can.
    """

    def __init__(self, message: str, for_good: bool) -> None:
        super().__init__(message)
        self.for_good = for_good


@dataclass(frozen=True)
class After:
    """What a row of transactions would leave.

    Attributes:
        markets: ILens.MarketReport of every market.
        accounts: ILens.AccountReport of those asked for, in order.
    """

    markets: tuple[Any, ...]
    accounts: tuple[Any, ...]


def in_a_row(
    system: System,
    sender: str,
    rows: Sequence[Sequence[Intent]],
    shown: Sequence[Sequence[bytes]],
    at: int,
) -> list[After | None]:
    """What each row of transactions leads to if it is mined next, in one block; None where the last
    one of a row would be refused.

    Args:
        system: the deployment.
        sender: who would send them.
        rows: each on its own, as if the others were not sent.
        shown: accounts to look at afterwards, a list a row.
        at: time of the block.

    Raises:
        Unable: the node does not know `eth_simulateV1`, or does not do it now.
        NodeError: the node does not answer.
    """
    snapshot = system.lens.snapshot
    requests = []
    for row, accounts in zip(rows, shown, strict=True):
        calls = [
            {"from": sender, "to": i.to, "input": "0x" + i.data.hex(), "gas": hex(i.gas)}
            for i in row
        ]
        look = snapshot.step(list(accounts), gas=_LOOK_GAS).request()
        overrides = {"time": hex(at), "gasLimit": hex(_BLOCK_GAS), "baseFeePerGas": "0x0"}
        block = {"blockOverrides": overrides, "calls": [*calls, look]}
        requests.append(("eth_simulateV1", ({"blockStateCalls": [block]}, "latest")))
    return [_after(answer, snapshot) for answer in ask_all(system.client, requests)]


def _after(answer: Any, snapshot: Any) -> After | None:
    if isinstance(answer, RpcError):
        unknown = answer.code in (-32601, -32600) or "method" in answer.message.lower()
        why = "does not know eth_simulateV1" if unknown else f"refuses eth_simulateV1: {answer}"
        raise Unable(f"the node {why}", unknown)
    *_, last, look = answer[0]["calls"]
    if int(last["status"], 16) != 1:
        return None
    if int(look["status"], 16) != 1:
        raise Unable("the node cannot read accounts after eth_simulateV1", False)
    _, _, markets, accounts = snapshot.decode(bytes.fromhex(look["returnData"][2:]))
    return After(tuple(markets), tuple(accounts))
