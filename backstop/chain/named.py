"""Whose accounts the events of a deployment name: read from the node's logs, range by range."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from eth_utils import keccak

from backstop.chain.artifacts import contract_abi
from backstop.chain.deploy import System
from backstop.harness.abi import signature_of
from backstop.harness.rpc import RpcError

_LARGEST: Final = 100_000
"""Blocks of one request."""


class NamedAccounts:
    """Accounts in the events of engine and liquidator.

    Args:
        system: the deployment.
        progress: told the block reached, and the last one wanted, while a long stretch is read.
    """

    def __init__(
        self,
        system: System,
        progress: Callable[[int, int], None] = lambda block, last: None,
    ) -> None:
        self.client, self.progress = system.client, progress
        self._addresses = [system.engine.address, system.liquidator.address]
        self._places = _places(system)
        self._range = 10_000

    def between(self, first: int, last: int) -> set[bytes]:
        """Accounts that events in these blocks name; the range adapts to what the node allows.

        Raises:
            RpcError: the node gives no logs, not even of one block.
            NodeError: it does not answer.
        """
        found: set[bytes] = set()
        while first <= last:
            end = min(last, first + self._range - 1)
            try:
                logs = self._logs(first, end)
            except RpcError:
                if end == first:
                    raise
                self._range = max(1, (end - first + 1) // 2)
                continue
            for log in logs:
                found.update(self._accounts(log))
            self.progress(end, last)
            first = end + 1
            self._range = min(_LARGEST, self._range * 2)
        return found

    def _logs(self, first: int, last: int) -> list[Mapping[str, Any]]:
        query = {"address": self._addresses, "fromBlock": hex(first), "toBlock": hex(last)}
        logs: list[Mapping[str, Any]] = self.client.rpc("eth_getLogs", query)
        return logs

    def _accounts(self, log: Mapping[str, Any]) -> list[bytes]:
        topics = [_hex(topic) for topic in log["topics"]]
        places = self._places.get(topics[0], ()) if topics else ()
        return [bytes.fromhex(topics[place][2:]) for place in places]


def _hex(topic: Any) -> str:
    """A topic as text; ape's connection gives bytes."""
    return topic if isinstance(topic, str) else "0x" + bytes(topic).hex()


def _places(system: System) -> dict[str, tuple[int, ...]]:
    """Where in a log's topics accounts are: indexed parameters of 32 bytes."""
    found: dict[str, tuple[int, ...]] = {}
    for artifact in ("MarginEngine", "Liquidator"):
        for item in contract_abi(system.artifacts, artifact):
            if item.get("type") != "event":
                continue
            indexed = [i for i in item["inputs"] if i.get("indexed")]
            places = [n for n, i in enumerate(indexed, 1) if i["type"] == "bytes32"]
            if places:
                found["0x" + keccak(text=signature_of(item)).hex()] = tuple(places)
    return found
