"""Following the chain: ranges that fit the node, resume, and rewind on reorganisation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from backstop.chain.transport import Client
from backstop.harness.rpc import NodeError, RpcError
from backstop.store.errors import NodeRefuses, StoreError
from backstop.store.source import ChainMoved, ChainSource, Header, Range
from backstop.store.store import EventStore

FIRST_SIZE = 1_000
"""Blocks of the first range; it doubles on success and halves on refusal."""

LARGEST_SIZE = 100_000
_FULL_RANGE = 10_000
"""Logs in a range above which it does not grow: memory, and one transaction."""

_MOST_MOVES = 100
_PATIENCE = 5
"""Answers that may stay out, each at half the range, before the node counts as gone."""


@dataclass(frozen=True)
class Synced:
    """What one synchronisation did.

    Attributes:
        tip: the last block in the store.
        events: how many were added.
        forgotten: how many a reorganisation made void.
        rewound_to: the last common block, if there was a reorganisation; -1 if nothing is left.
    """

    tip: Header | None
    events: int
    forgotten: int = 0
    rewound_to: int | None = None

    @property
    def changed(self) -> bool:
        """Whether the store's events are others than before."""
        return bool(self.events or self.forgotten)


Progress = Callable[[int, int, int], None]
"""Called after every range with: last block read, last block wanted, events so far."""


def sync(
    store: EventStore,
    client: Client,
    *,
    to: int | None = None,
    size: int | None = None,
    progress: Progress = lambda block, last, events: None,
) -> Synced:
    """Bring a store to the node's view of the chain, up to its head or to a block.

    Args:
        store: open for writing.
        client: connection to the node.
        to: last block; one that the store has already read beyond is no error.
        size: blocks of the first range.
        progress: told after every range.

    Raises:
        NodeError: the node does not answer.
        NodeRefuses: it gives no logs, not even of one block.
        StoreError: the store cannot be written; nothing is half-written.
    """
    return _Synchroniser(store, client, to, size or FIRST_SIZE, progress).run()


class _Synchroniser:
    def __init__(
        self, store: EventStore, client: Client, to: int | None, size: int, progress: Progress
    ) -> None:
        self.store, self.to, self.size, self.progress = store, to, size, progress
        self.source = ChainSource(client, store.addresses)
        self.added = self.forgotten = self.silent = 0
        self.rewound_to: int | None = None

    def run(self) -> Synced:
        if not self.store.addresses:
            raise StoreError(f"{self.store.path} is open for reading only")
        moves = 0
        while True:
            try:
                if self._step():
                    return Synced(self.store.tip, self.added, self.forgotten, self.rewound_to)
            except ChainMoved:
                moves += 1
                if moves > _MOST_MOVES:
                    raise NodeRefuses(
                        "the node's answers do not fit together: its chain changes faster than it"
                        " can be read, or several nodes answer in turn; name another node"
                    ) from None

    def _step(self) -> bool:
        """One range; True when there is nothing left to read."""
        head = self.source.header("latest")
        if head is None:
            raise NodeRefuses("the node has no latest block: wait until it has started")
        tip = self._common(head)
        last = head.number if self.to is None else min(self.to, head.number)
        first = self.store.start if tip is None else tip.number + 1
        if first > last:
            return True
        end = min(last, first + self.size - 1)
        try:
            batch = self.source.read(first, end, tip.hash if tip else None)
        except (RpcError, NodeError) as error:
            self._shrink(error, end - first + 1, first)
            return False
        self.silent = 0
        self._require_deployment(batch)
        if self.store.append(batch, tip):
            self.added += len(batch.logs)
            self.progress(end, last, self.added)
            if len(batch.logs) < _FULL_RANGE and end - first + 1 == self.size:
                self.size = min(LARGEST_SIZE, self.size * 2)
            elif len(batch.logs) > 2 * _FULL_RANGE:
                self.size = max(1, self.size // 2)
        return False

    def _require_deployment(self, batch: Range) -> None:
        """A node that has forgotten old logs answers with none: its silence is no empty chain."""
        made = self.store.deployed
        if not batch.first <= made <= batch.last.number or self.store.start > made:
            return
        if any(block.number <= made for block in batch.blocks) or self.store.count(last=made):
            return
        raise NodeRefuses(
            f"the node gives no logs of the deployment, which ended in block {made}: it has"
            " forgotten them. Ask an archive node (Anvil: start it without --prune-history and"
            " --transaction-block-keeper)"
        )

    def _shrink(self, error: RpcError | NodeError, size: int, first: int) -> None:
        if isinstance(error, NodeError):
            self.silent += 1
            if self.silent > _PATIENCE:
                raise error
        elif size == 1:
            raise NodeRefuses(
                f"the node gives no logs of block {first}: {error}. Name a node that serves"
                " eth_getLogs for blocks this old"
            ) from error
        self.size = max(1, size // 2)

    def _common(self, head: Header) -> Header | None:
        """The store's tip, after forgetting what is no longer in the node's chain."""
        tip = self.store.tip
        if tip is None or self._is_canonical(tip.number, tip.hash, head):
            return tip
        known = self.store.known_blocks()
        low, high = 0, len(known)  # known[:low] are in the chain, known[high:] are not
        while low < high:
            middle = (low + high) // 2
            if self._is_canonical(*known[middle], head):
                low = middle + 1
            else:
                high = middle
        common = known[low - 1][0] if low else -1
        self.forgotten += self.store.rewind(common)
        so_far = common if self.rewound_to is None else self.rewound_to
        self.rewound_to = min(common, so_far)
        return self.store.tip

    def _is_canonical(self, number: int, digest: str, head: Header) -> bool:
        if number > head.number:
            return False
        found = head if number == head.number else self.source.header(number)
        return found is not None and found.hash == digest


def follow(
    store: EventStore,
    client: Client,
    *,
    every: float = 1.0,
    stop: Callable[[], bool] = lambda: False,
    complain: Callable[[str], None] = lambda message: None,
    progress: Progress = lambda block, last, events: None,
) -> Iterator[Synced]:
    """Synchronise again and again; yields what each look brought, also where that is nothing.

    A node that does not answer is waited for, with pauses up to 30 s; a full disk or a lock too:
    the store stays a whole prefix of the chain meanwhile.

    Args:
        store: open for writing.
        client: connection to the node.
        every: seconds between two looks.
        stop: asked after every look.
        complain: told what goes wrong.
        progress: as of `sync`.
    """
    pause = every
    while not stop():
        try:
            result = sync(store, client, progress=progress)
        except (NodeError, RpcError, StoreError) as error:
            complain(str(error))
            pause = min(30.0, pause * 2)
        else:
            pause = every
            yield result
        if stop():
            return
        time.sleep(pause)
