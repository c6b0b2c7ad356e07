"""Following the chain: new blocks, whose accounts they touched, and reorganisations.

Nothing is computed from events: an account that an event names is read anew. So a reorganisation is
no more than another set of accounts to read: those named in the blocks that are gone, and those
named in the blocks that came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from backstop.chain.deploy import System
from backstop.chain.named import NamedAccounts
from backstop.harness.rpc import RpcClient

_REMEMBERED: Final = 256
"""Looks whose block is remembered: a reorganisation deeper than that reads everything anew."""


@dataclass(frozen=True)
class Head:
    """The newest block; `base_fee` in wei a gas (0 on a network without one)."""

    number: int
    hash: str
    timestamp: int
    base_fee: int

    @classmethod
    def of(cls, block: Mapping[str, Any]) -> Head:
        """From a node's answer."""
        return cls(
            int(block["number"], 16),
            block["hash"],
            int(block["timestamp"], 16),
            int(block.get("baseFeePerGas") or "0x0", 16),
        )


@dataclass(frozen=True)
class Update:
    """What has happened since the look before.

    Attributes:
        touched: accounts that have to be read anew.
        reorganised: blocks that were taken back; 0 as a rule.
        reset: the chain is another one than before: everything has to be read anew.
    """

    head: Head
    touched: frozenset[bytes]
    reorganised: int = 0
    reset: bool = False


class Follower:
    """Polls a node.

    Args:
        client: connection.
        system: the deployment.
        start: first block with events of the deployment; 0 finds them all, on any node in the end.
        progress: told the block reached while a long stretch of logs is read.
    """

    def __init__(
        self,
        client: RpcClient,
        system: System,
        start: int = 0,
        progress: Callable[[int, int], None] = lambda block, head: None,
    ) -> None:
        self.client, self.start = client, start
        self._named = NamedAccounts(system, progress)
        self._seen: deque[tuple[Head, frozenset[bytes]]] = deque(maxlen=_REMEMBERED)

    @property
    def head(self) -> Head | None:
        """The block of the last look; None before the first."""
        return self._seen[-1][0] if self._seen else None

    def poll(self) -> Update | None:
        """What is new; None if nothing is.

        Raises:
            NodeError, RpcError: the node does not answer, or does not answer this. Nothing is
                lost: the next call starts where this one did.
        """
        head = Head.of(self.client.rpc("eth_getBlockByNumber", "latest", False))
        if self.head is not None and head.hash == self.head.hash:
            return None
        gone, depth = self._gone(head)
        kept = len(self._seen) - len(gone)
        reset = bool(self._seen) and not kept
        since = self.start if not kept else self._seen[kept - 1][0].number + 1
        touched = frozenset(self._named.between(since, head.number))
        for _ in gone:
            self._seen.pop()
        self._seen.append((head, touched))
        return Update(head, touched.union(*(t for _, t in gone)), depth, reset)

    def _gone(self, head: Head) -> tuple[list[tuple[Head, frozenset[bytes]]], int]:
        """The newest looks whose block is not on the chain any more, and how many blocks deep."""
        gone: list[tuple[Head, frozenset[bytes]]] = []
        for seen in reversed(self._seen):
            if self._canonical(seen[0], head):
                return gone, (self._seen[-1][0].number - seen[0].number) if gone else 0
            gone.append(seen)
        if not gone:
            return [], 0
        return gone, gone[0][0].number - gone[-1][0].number + 1

    def _canonical(self, old: Head, head: Head) -> bool:
        if old.number > head.number:
            return False
        block = self.client.rpc("eth_getBlockByNumber", hex(old.number), False)
        return block is not None and block["hash"] == old.hash
