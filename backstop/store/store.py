"""The event store: every event of a deployment in one SQLite file, equal to a replay of the chain.

    with EventStore.open(path, record, artifacts) as store:
        store.sync(client)
        for event in store.events("Liquidated", first=1000):
            print(event.time, event["size"])

One process writes, any number read meanwhile (WAL). A range of blocks is written in one
transaction, so that after a crash, a full disk or a kill the store is a whole prefix of the chain.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from backstop.chain.artifacts import ArtifactSource, build_artifacts
from backstop.chain.record import Record, record_path
from backstop.chain.transport import Client
from backstop.store.decode import Decoder
from backstop.store.errors import StoreError, StoreMismatch, translated
from backstop.store.schema import TABLES, VERSION, views
from backstop.store.source import Header, Range

_KEPT_CHECKPOINTS = 512
_BUSY_MS = 5000
_PAGE = 5000


@dataclass(frozen=True)
class StoredEvent:
    """An event: `event["amount"]` is an exact integer, bytes are hex text, structs dictionaries.

    Attributes:
        block, log_index: the event's key, and its place in the chain.
        time: of the block, seconds since 1970.
        contract: role in the deployment record: engine, fund, tranche, liquidator, ...
        name: as in the ABI; empty where no ABI knows the topic (`topics` and `data` are kept).
        args: parameters by name.
    """

    block: int
    log_index: int
    tx_index: int
    transaction: str
    time: int
    contract: str
    name: str
    args: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.args[key]

    @property
    def key(self) -> tuple[int, int]:
        """(block, log index)."""
        return self.block, self.log_index


def default_path(chain_id: int) -> Path:
    """Beside the deployment record: `deployments/<chain id>.events.sqlite`."""
    return record_path(chain_id).with_suffix(".events.sqlite")


def identity(record: Record) -> dict[str, str]:
    """What a store remembers of its deployment: chain and addresses."""
    known = {"version": str(VERSION), "chain_id": str(record.chain_id)}
    for role, entry in record.contracts.items():
        known[f"contract.{role}"] = entry.address
    return known


class EventStore:
    """One deployment's events. Use `open` or `read`; a context manager closes it.

    The object may be used from several threads; each gets a connection of its own.
    """

    def __init__(self, path: Path, decoder: Decoder | None, start: int) -> None:
        self.path = path
        self.start = start
        self.deployed = 0
        self._decoder = decoder
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []

    # --- opening

    @classmethod
    def open(
        cls,
        path: str | Path,
        record: Record,
        artifacts: ArtifactSource | None = None,
        *,
        start: int = 0,
    ) -> EventStore:
        """Open a deployment's store for writing, or create it.

        Args:
            path: the SQLite file.
            record: the deployment.
            artifacts: compiled contracts; those of ape's compile cache if not given.
            start: first block to read when the store is new.

        Raises:
            StoreMismatch: the file is another deployment's, or no store.
            StoreError: it cannot be created or is locked.
        """
        path = Path(path)
        decoder = Decoder(record, artifacts or build_artifacts())
        store = cls(path, decoder, start)
        with translated(path):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"{path.parent} cannot be made: {error.strerror}") from None
            try:
                store._prepare(identity(record), record.block)
            except BaseException:
                store.close()
                raise
        return store

    @classmethod
    def read(cls, path: str | Path) -> EventStore:
        """Open an existing store for reading only; needs neither a record nor compiled contracts.

        Raises:
            StoreError: there is no such file, or it is no store.
        """
        path = Path(path)
        if not path.is_file():
            raise StoreError(f"there is no event store at {path}: run `ape run index_events` first")
        store = cls(path, None, 0)
        with translated(path):
            version = store.meta.get("version")
        if version != str(VERSION):
            raise StoreMismatch(f"{path} is of version {version}, this program reads {VERSION}")
        store.start = int(store.meta.get("start", "0"))
        return store

    def _prepare(self, wanted: dict[str, str], deployed: int) -> None:
        assert self._decoder is not None
        self.db.execute("PRAGMA journal_mode=WAL")
        with self._transaction() as db:
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
                if db.execute("SELECT 1 FROM sqlite_master").fetchone():
                    raise StoreMismatch(f"{self.path} is a database, but no event store")
                for statement in TABLES.split(";"):
                    db.execute(statement)
                meta = {**wanted, "start": str(self.start), "deployed": str(deployed)}
                db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
            found = dict(db.execute("SELECT key, value FROM meta"))
            self._check(found, wanted)
            self.start, self.deployed = int(found["start"]), int(found["deployed"])
            for name, statement in views(self._decoder.abis).items():
                db.execute(f'DROP VIEW IF EXISTS "{name}"')
                db.execute(statement)

    def _check(self, found: Mapping[str, str], wanted: Mapping[str, str]) -> None:
        for key, value in wanted.items():
            if found.get(key) != value:
                raise StoreMismatch(
                    f"{self.path} was made for another deployment ({key} is {found.get(key)},"
                    f" here it is {value}): name another file, or move this one away"
                )

    @property
    def db(self) -> sqlite3.Connection:
        """The connection of this thread, for SQL of one's own; do not write."""
        found: sqlite3.Connection | None = getattr(self._local, "db", None)
        if found is None:
            mode = "ro" if self._decoder is None else "rwc"
            with translated(self.path):
                found = sqlite3.connect(
                    f"file:{_quoted(self.path)}?mode={mode}",
                    uri=True,
                    isolation_level=None,
                    check_same_thread=False,
                    timeout=_BUSY_MS / 1000,
                )
                found.execute("PRAGMA synchronous=NORMAL")
            self._local.db = found
            self._open.append(found)
        return found

    def close(self) -> None:
        """Close all connections."""
        for connection in self._open:
            connection.close()
        self._open.clear()
        self._local = threading.local()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # --- what is in it

    @property
    def meta(self) -> dict[str, str]:
        """Version, chain id, first block, and the contracts' addresses by role."""
        with translated(self.path):
            return dict(self.db.execute("SELECT key, value FROM meta"))

    @property
    def tip(self) -> Header | None:
        """The last block that was read; None before the first."""
        with translated(self.path):
            row = self.db.execute(
                "SELECT number, hash, parent, time FROM checkpoints ORDER BY number DESC LIMIT 1"
            ).fetchone()
        return None if row is None else Header(*row)

    def count(self, first: int = 0, last: int = 2**62) -> int:
        """Number of events in these blocks."""
        with translated(self.path):
            query = "SELECT count(*) FROM events WHERE block BETWEEN ? AND ?"
            number: int = self.db.execute(query, (first, last)).fetchone()[0]
        return number

    def events(
        self,
        *names: str,
        contract: str | None = None,
        first: int = 0,
        last: int = 2**62,
        after: tuple[int, int] | None = None,
        newest_first: bool = False,
        limit: int = -1,
    ) -> Iterator[StoredEvent]:
        """Events in the chain's order.

        Args:
            names: only these; all if none is given.
            contract: only of the contract with this role.
            first: from this block on.
            last: up to this block.
            after: only events beyond this (block, log index): what is new since the last look.
            newest_first: the other way round.
            limit: at most so many; -1 for all.
        """
        left = limit if limit >= 0 else 2**62
        here = after
        while left > 0:
            # page by page: no cursor stays open while the caller works, or this thread writes
            page = self._page(names, contract, first, last, here, newest_first, min(left, _PAGE))
            yield from page
            left -= len(page)
            if len(page) < _PAGE:
                return
            here = page[-1].key

    def _page(
        self,
        names: Sequence[str],
        contract: str | None,
        first: int,
        last: int,
        beyond: tuple[int, int] | None,
        newest_first: bool,
        limit: int,
    ) -> list[StoredEvent]:
        where, values = ["e.block BETWEEN ? AND ?"], [first, last]
        parameters: list[Any] = list(values)
        if names:
            where.append(f"e.name IN ({','.join('?' * len(names))})")
            parameters += names
        if contract is not None:
            where.append("e.contract = ?")
            parameters.append(contract)
        if beyond is not None:
            where.append(f"(e.block, e.log_index) {'<' if newest_first else '>'} (?, ?)")
            parameters += beyond
        way = "DESC" if newest_first else "ASC"
        query = (
            "SELECT e.block, log_index, tx_index, tx, b.time, contract, name, args FROM events e"
            f" JOIN blocks b ON b.number = e.block WHERE {' AND '.join(where)}"
            f" ORDER BY e.block {way}, log_index {way} LIMIT ?"
        )
        with translated(self.path):
            rows: list[Any] = self.db.execute(query, (*parameters, limit)).fetchall()
        return [StoredEvent(*(*row[:7], json.loads(row[7]))) for row in rows]

    def known_blocks(self) -> list[tuple[int, str]]:
        """(number, hash) of every block the store remembers, ascending."""
        with translated(self.path):
            return self.db.execute(
                "SELECT number, hash FROM blocks UNION SELECT number, hash FROM checkpoints"
                " ORDER BY number"
            ).fetchall()

    # --- writing

    def _transaction(self) -> _Transaction:
        return _Transaction(self)

    @cached_property
    def addresses(self) -> list[str]:
        """Whose events are stored."""
        return [] if self._decoder is None else self._decoder.addresses

    def append(self, batch: Range, expected: Header | None) -> bool:
        """Write one range behind the tip `expected`; False if another program was faster.

        All or nothing: one transaction.
        """
        if self._decoder is None:
            raise StoreError(f"{self.path} is open for reading only")
        rows = [self._decoder.row(log) for log in batch.logs]
        blocks = [(b.number, b.hash, b.parent, b.time) for b in batch.blocks]
        end = batch.last
        with translated(self.path), self._transaction() as db:
            if self.tip != expected:
                return False
            db.executemany("INSERT INTO blocks VALUES (?, ?, ?, ?)", blocks)
            db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            db.execute(
                "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?)",
                (end.number, end.hash, end.parent, end.time),
            )
            db.execute(
                "DELETE FROM checkpoints WHERE number <= (SELECT number FROM checkpoints"
                f" ORDER BY number DESC LIMIT 1 OFFSET {_KEPT_CHECKPOINTS})"
            )
        return True

    def rewind(self, to: int) -> int:
        """Forget every block above `to`, in one transaction; returns how many events went."""
        with translated(self.path), self._transaction() as db:
            tip = db.execute(
                "SELECT number, hash, parent, time FROM blocks WHERE number <= ?1 UNION"
                " SELECT number, hash, parent, time FROM checkpoints WHERE number <= ?1"
                " ORDER BY number DESC LIMIT 1",
                (to,),
            ).fetchone()
            gone = db.execute("DELETE FROM events WHERE block > ?", (to,)).rowcount
            db.execute("DELETE FROM blocks WHERE number > ?", (to,))
            db.execute("DELETE FROM checkpoints WHERE number > ?", (to,))
            if tip is not None:
                db.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?)", tip)
        return int(gone)

    def sync(self, client: Client, **options: Any) -> Any:
        """Read the chain up to its head; see `backstop.store.sync.sync`."""
        from backstop.store.sync import sync

        return sync(self, client, **options)

    def follow(self, client: Client, **options: Any) -> Iterator[Any]:
        """Read on and on; see `backstop.store.sync.follow`."""
        from backstop.store.sync import follow

        return follow(self, client, **options)


class _Transaction:
    """BEGIN IMMEDIATE to COMMIT, or ROLLBACK on any exception."""

    def __init__(self, store: EventStore) -> None:
        self.db = store.db

    def __enter__(self) -> sqlite3.Connection:
        self.db.execute("BEGIN IMMEDIATE")
        return self.db

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is None:
            try:
                self.db.execute("COMMIT")
                return
            except sqlite3.Error:
                self._undo()
                raise
        self._undo()

    def _undo(self) -> None:
        if self.db.in_transaction:
            self.db.execute("ROLLBACK")


def _quoted(path: Path) -> str:
    from urllib.parse import quote

    return quote(str(path))


def rows_of(store: EventStore) -> Sequence[tuple[Any, ...]]:
    """Everything a replay must reproduce: blocks and events, in order. For comparisons."""
    with translated(store.path):
        blocks = store.db.execute("SELECT * FROM blocks ORDER BY number").fetchall()
        events = store.db.execute("SELECT * FROM events ORDER BY block, log_index").fetchall()
    return [*blocks, *events]
