"""Parquet files of a store, for notebooks and warehouses: one a table, one an event."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backstop.store.errors import StoreError, translated
from backstop.store.store import EventStore

_CHUNK = 50_000


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise StoreError(
            "Parquet needs pyarrow, which is not installed: pip install 'backstop[parquet]'"
        ) from None
    return pyarrow


def export(store: EventStore, folder: str | Path) -> dict[Path, int]:
    """Write `events.parquet`, `blocks.parquet`, and a file for every event that occurred.

    Everything is of one moment, though the store may be written meanwhile. A file is replaced as a
    whole or not at all. Amounts are exact decimal text, as in the SQL views.

    Returns:
        Rows by file.

    Raises:
        StoreError: pyarrow is missing, or the folder cannot be written.
    """
    arrow = _pyarrow()
    folder = Path(folder)
    written: dict[Path, int] = {}
    with translated(store.path):
        db = store.db
        views = dict(db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'view'"))
        db.execute("BEGIN")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            occurred = {row[0] for row in db.execute("SELECT DISTINCT name FROM events")}
            for table, query in _queries(views, occurred):
                path = folder / f"{table}.parquet"
                written[path] = _write(arrow, db, query, path)
        except OSError as error:
            raise StoreError(
                f"{folder} cannot be written ({error.strerror or error}): make room, or name"
                " another folder"
            ) from error
        finally:
            db.execute("ROLLBACK")
    return written


def _queries(views: dict[str, str], occurred: set[str]) -> Iterator[tuple[str, str]]:
    yield "blocks", "SELECT * FROM blocks ORDER BY number"
    yield (
        "events",
        "SELECT block, log_index, tx_index, time, tx, contract, name, args FROM events"
        " JOIN blocks ON blocks.number = events.block ORDER BY block, log_index",
    )
    for view, sql in sorted(views.items()):
        if any(f"WHERE name = '{name}'" in sql for name in occurred):
            yield view, f'SELECT * FROM "{view}" ORDER BY block, log_index'


def _write(arrow: Any, db: sqlite3.Connection, query: str, path: Path) -> int:
    """One query into one file; returns the number of rows."""
    cursor = db.execute(query)
    names = [column[0] for column in cursor.description]
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    total, writer = 0, None
    try:
        while True:
            rows = cursor.fetchmany(_CHUNK)
            if writer is None:
                schema = _schema(arrow, names, rows)
                writer = arrow.parquet.ParquetWriter(temporary, schema, compression="zstd")
            if not rows:
                break
            columns = list(zip(*rows, strict=True))
            arrays = [
                arrow.array(
                    [_typed(item, field.type == arrow.int64()) for item in column], type=field.type
                )
                for column, field in zip(columns, schema, strict=True)
            ]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))
            total += len(rows)
        writer.close()
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return total


def _schema(arrow: Any, names: list[str], rows: list[tuple[Any, ...]]) -> Any:
    kinds = [
        arrow.int64() if rows and isinstance(rows[0][i], int) else arrow.string()
        for i in range(len(names))
    ]
    return arrow.schema(list(zip(names, kinds, strict=True)))


def _typed(item: Any, number: bool) -> Any:
    return item if item is None or number else str(item)
