"""Trying transactions before they are sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backstop.chain.transport import Client, ask_all
from backstop.harness.abi import Reverted
from backstop.harness.rpc import RpcError, call_parameters
from backstop.keeper.pending import Intent


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
