"""Many views at one block, over either client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backstop.chain.transport import ApeClient, Client, Contract
from backstop.harness.batch import View, read_all


def read(client: Client, views: Sequence[View], block: int | str = "latest") -> list[Any]:
    """What the views return at a block, in their order: one request where the client can batch.

    Raises:
        Reverted: a view refuses.
        NodeError: the node does not answer.
        RpcError: the node does not keep that block's state.
    """
    if not isinstance(client, ApeClient):
        return read_all(client, views, block)
    results = []
    for contract, name, arguments in views:
        function = contract[name]
        data = client.call(contract.address, function.encode(*arguments), block=block)
        results.append(function.decode(data))
    return results


def has(contract: Contract, name: str, inputs: int = 0) -> bool:
    """Whether the contract has a view of that name with so many inputs: a newer one may."""
    return any(
        item.get("type") == "function"
        and item["name"] == name
        and len(item.get("inputs", [])) == inputs
        and item.get("stateMutability") in ("view", "pure")
        for item in contract.abi
    )
