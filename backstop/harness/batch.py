"""Many views in one request: a JSON-RPC batch, to read hundreds of accounts between two blocks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from backstop.harness.rpc import Contract, NodeError, RpcClient, RpcError

View = tuple[Contract, str, tuple[Any, ...]]
"""A contract, the name of one of its views, and the arguments."""

_SIZE = 500
"""Calls of one request: large enough to save time, small enough for every node's limit."""


def read_all(client: RpcClient, views: Sequence[View], block: int | str = "latest") -> list[Any]:
    """What the views return now, or after a past block, in their order.

    Raises:
        Reverted: one of them refuses; the note names it.
        NodeError: the node does not answer, or answers a batch with something else.
    """
    results: list[Any] = []
    for start in range(0, len(views), _SIZE):
        results += _read(client, views[start : start + _SIZE], block)
    return results


def _read(client: RpcClient, views: Sequence[View], block: int | str) -> list[Any]:
    tag = hex(block) if isinstance(block, int) else block
    requests = []
    for position, (contract, name, arguments) in enumerate(views):
        data = "0x" + contract[name].encode(*arguments).hex()
        call = {"to": contract.address, "data": data}
        requests.append(
            {"jsonrpc": "2.0", "id": position, "method": "eth_call", "params": [call, tag]}
        )
    answers = json.loads(client._post(json.dumps(requests).encode(), "a batch of eth_call"))
    if not isinstance(answers, list) or len(answers) != len(views):
        raise NodeError(f"{client.url} does not answer batches: {answers!r:.200}")
    by_id = {answer["id"]: answer for answer in answers}
    results = []
    for position, (contract, name, _) in enumerate(views):
        answer = by_id[position]
        if "error" in answer:
            problem = answer["error"]
            error = client._reverted(
                RpcError(problem.get("code", 0), str(problem.get("message")), problem.get("data"))
            )
            error.add_note(f"while reading {name}")
            raise error
        results.append(contract[name].decode(bytes.fromhex(answer["result"][2:])))
    return results
