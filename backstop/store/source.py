"""Reading a consistent range of logs from a node that may reorganise while we read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backstop.chain.transport import ApeClient, Client, _plain
from backstop.harness.rpc import RpcError

_BATCH = 500
_UNKNOWN_BLOCK = ("not found", "unknown block", "header not found", "out of range")


class ChainMoved(Exception):
    """The chain was reorganised between two requests: look again."""


@dataclass(frozen=True)
class Header:
    """A block's place in the chain."""

    number: int
    hash: str
    parent: str
    time: int

    @classmethod
    def of(cls, block: Mapping[str, Any]) -> Header:
        """The same of a node's answer."""
        return cls(
            int(block["number"], 16),
            str(block["hash"]),
            str(block["parentHash"]),
            int(block["timestamp"], 16),
        )


@dataclass(frozen=True)
class Range:
    """All logs of the wanted contracts from the block after `parent` to `last`.

    Attributes:
        last: the range's last block.
        blocks: headers of the blocks that have logs, ascending.
        logs: in the chain's order.
    """

    first: int
    last: Header
    blocks: tuple[Header, ...]
    logs: tuple[Mapping[str, Any], ...]


class ChainSource:
    """Headers and logs of a node.

    Args:
        client: connection to the node.
        addresses: contracts whose logs are wanted.
    """

    def __init__(self, client: Client, addresses: Sequence[str]) -> None:
        self.client = client
        self.addresses = list(addresses)

    def _ask(self, method: str, *params: Any) -> Any:
        answer = self.client.rpc(method, *params)
        return _plain(answer) if isinstance(self.client, ApeClient) else answer

    def header(self, number: int | str) -> Header | None:
        """A block's header; None if the node's chain is shorter."""
        name = hex(number) if isinstance(number, int) else number
        try:
            block = self._ask("eth_getBlockByNumber", name, False)
        except RpcError as error:
            if any(words in error.message.lower() for words in _UNKNOWN_BLOCK):
                return None
            raise
        return None if block is None else Header.of(block)

    def headers(self, numbers: Sequence[int]) -> list[Header]:
        """Several headers; ChainMoved if one of them is gone."""
        found: list[Header] = []
        for start in range(0, len(numbers), _BATCH):
            found += self._batch(numbers[start : start + _BATCH])
        return found

    def _batch(self, numbers: Sequence[int]) -> list[Header]:
        if isinstance(self.client, ApeClient) or len(numbers) < 3:
            answers: list[Any] = [self.header(number) for number in numbers]
            if None in answers:
                raise ChainMoved
            return answers
        requests = [
            {
                "jsonrpc": "2.0",
                "id": position,
                "method": "eth_getBlockByNumber",
                "params": [hex(number), False],
            }
            for position, number in enumerate(numbers)
        ]
        body = json.dumps(requests).encode()
        replies = json.loads(self.client._post(body, "a batch of eth_getBlockByNumber"))
        if not isinstance(replies, list):
            raise RpcError(0, f"no answer to a batch: {replies!r:.200}")
        results = {reply["id"]: reply.get("result") for reply in replies}
        if any(results.get(position) is None for position in range(len(numbers))):
            raise ChainMoved
        return [Header.of(results[position]) for position in range(len(numbers))]

    def read(self, first: int, last: int, parent: str | None) -> Range:
        """The logs of blocks `first` to `last`, of one chain.

        Args:
            first: first block.
            last: last block.
            parent: hash of the block before `first`; None if there is none to check.

        Raises:
            ChainMoved: these blocks are no longer the ones that follow `parent`.
            RpcError: the node refuses, for instance because the range is too large.
        """
        start = self.header(first)
        end = start if first == last else self.header(last)
        if start is None or end is None or parent not in (None, start.parent):
            raise ChainMoved
        query = {"address": self.addresses, "fromBlock": hex(first), "toBlock": hex(last)}
        logs = list(self._ask("eth_getLogs", query))
        logs.sort(key=lambda log: (int(log["blockNumber"], 16), int(log["logIndex"], 16)))
        hashes = {int(log["blockNumber"], 16): str(log["blockHash"]) for log in logs}
        blocks = self.headers(sorted(hashes))
        if any(block.hash != hashes[block.number] for block in blocks):
            raise ChainMoved
        # the same end before and after: what lies between is of that chain
        if any(log.get("removed") for log in logs) or self.header(last) != end:
            raise ChainMoved
        return Range(first, end, tuple(blocks), tuple(logs))
