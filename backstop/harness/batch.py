"""Many views in few requests: JSON-RPC batches, to read hundreds of accounts between two blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backstop.chain.transport import ask_all
from backstop.harness.rpc import Contract, RpcClient, RpcError

View = tuple[Contract, str, tuple[Any, ...]]
"""A contract, the name of one of its views, and the arguments."""


def read_all(client: RpcClient, views: Sequence[View], block: int | str = "latest") -> list[Any]:
    """What the views return now, or after a past block, in their order.

    Raises:
        Reverted: one of them refuses; the note names it.
        NodeError: the node does not answer.
    """
    tag = hex(block) if isinstance(block, int) else block
    calls = [
        {"to": contract.address, "data": "0x" + contract[name].encode(*arguments).hex()}
        for contract, name, arguments in views
    ]
    answers = ask_all(client, [("eth_call", (call, tag)) for call in calls])
    results = []
    for (contract, name, _), answer in zip(views, answers, strict=True):
        if isinstance(answer, RpcError):
            error = client._reverted(answer)
            error.add_note(f"while reading {name}")
            raise error
        results.append(contract[name].decode(bytes.fromhex(answer[2:])))
    return results
