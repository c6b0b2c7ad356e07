"""What happened: the deployment's events, and every account that took part, by the event store."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from backstop.chain.deploy import System
from backstop.monitor.source import Head
from backstop.store import EventStore, StoredEvent, StoreMismatch, default_path

log = logging.getLogger(__name__)

ACCOUNT_FIELDS: Final = ("account", "maker", "taker", "keeper")
"""Event parameters of engine and liquidator that name a margin account."""

_CONTRACTS: Final = ("engine", "liquidator")

_SET_UP: Final = 20_000
"""Blocks that a deployment may have taken: the record holds the block in which it ended."""


@dataclass
class News:
    """What a synchronisation found: new events, and whether blocks were replaced.

    Attributes:
        rewound_to: the last block that stayed, after a reorganisation; else None.
    """

    events: list[StoredEvent] = field(default_factory=list)
    rewound_to: int | None = None

    @property
    def accounts(self) -> set[bytes]:
        """Accounts that the new events name."""
        return accounts_of(self.events)


def accounts_of(events: Iterable[StoredEvent]) -> set[bytes]:
    """The margin accounts that events name."""
    found = set()
    for event in events:
        if event.contract in _CONTRACTS:
            found |= {_account(event.args.get(name)) for name in ACCOUNT_FIELDS}
    return found - {None}  # type: ignore[return-value]


def _account(value: Any) -> bytes | None:
    """An account number; None for what is none, such as the zero account."""
    if not isinstance(value, str) or len(value) != 66:
        return None
    number = bytes.fromhex(value[2:])
    return number if any(number) else None


class History:
    """The past of an attached deployment, up to the block it was last synchronised to.

    Args:
        system: the deployment.
        path: the store's file; that of the chain id if None. A file that belongs to another
            deployment (an earlier node of the same chain id) stays as it is, and a temporary one is
            used.

    Raises:
        StoreError: the file cannot be used.
    """

    def __init__(self, system: System, path: Path | None = None) -> None:
        self._system = system
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._store = self._open(path or default_path(system.record.chain_id))
        self._last: tuple[int, int] | None = None
        self.accounts: set[bytes] = set()

    def _open(self, path: Path) -> EventStore:
        record, artifacts = self._system.record, self._system.artifacts
        start = max(0, record.block - _SET_UP)
        try:
            return EventStore.open(path, record, artifacts, start=start)
        except StoreMismatch as error:
            log.warning("%s; events are kept in a temporary file", error)
            self._folder = tempfile.TemporaryDirectory(prefix="backstop-monitor-")
            temporary = Path(self._folder.name) / "events.sqlite"
            return EventStore.open(temporary, record, artifacts, start=start)

    def close(self) -> None:
        """Close the store; a temporary one goes."""
        self._store.close()
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def sync(self, head: Head, progress: Callable[[int, int], None]) -> News:
        """Follow the chain up to a head; what is new since the last time.

        Args:
            head: newest block.
            progress: told the block that was read and the last one wanted.

        Raises:
            NodeError: the node does not answer.
            StoreError: the node gives no logs, or the store cannot be written.
        """
        result = self._store.sync(
            self._system.client,
            to=head.number,
            progress=lambda block, last, events: progress(block, last),
        )
        if self._last is None or result.rewound_to is not None:
            self.accounts = self._all_accounts()
        if result.rewound_to is not None and self._last is not None:
            self._last = min(self._last, (result.rewound_to, 2**62))
        news = News(rewound_to=result.rewound_to)
        if self._last is not None and result.events:
            news.events = list(self._store.events(after=self._last))
        newest = next(self._store.events(newest_first=True, limit=1), None)
        self._last = (-1, -1) if newest is None else newest.key
        self.accounts |= news.accounts
        return news

    def _all_accounts(self) -> set[bytes]:
        marks = ",".join("?" * len(_CONTRACTS))
        found = set()
        for name in ACCOUNT_FIELDS:
            query = (
                f"SELECT DISTINCT json_extract(args, '$.{name}') FROM events"
                f" WHERE contract IN ({marks})"
            )
            found |= {_account(row[0]) for row in self._store.db.execute(query, _CONTRACTS)}
        return found - {None}  # type: ignore[return-value]

    def newest(self, names: Iterable[str], limit: int) -> list[StoredEvent]:
        """The newest events of some names, newest first."""
        return list(self._store.events(*sorted(names), newest_first=True, limit=limit))

    def blocks(self, names: Iterable[str]) -> Mapping[int, int]:
        """The last block with such an event at each time, ascending."""
        wanted = sorted(names)
        query = (
            "SELECT b.time, max(b.number) FROM blocks b WHERE b.number IN (SELECT block FROM events"
            f" WHERE name IN ({','.join('?' * len(wanted))})) GROUP BY b.time ORDER BY b.time"
        )
        return dict(self._store.db.execute(query, wanted))
