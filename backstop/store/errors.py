"""What can go wrong with an event store; every message names the remedy."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class StoreError(RuntimeError):
    """A store that cannot be used as asked. Nothing half-written is left behind."""


class StoreBusy(StoreError):
    """Another program holds the store's lock."""


class StoreFull(StoreError):
    """The disk (or the quota) is full; what was written before is whole."""


class StoreMismatch(StoreError):
    """The file belongs to another deployment, chain or version, or is no store at all."""


class NodeRefuses(StoreError):
    """The node does not give the logs of even one block."""


_FULL = ("disk is full", "disk i/o error", "database or disk")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error).lower()
        if "locked" in text or "busy" in text:
            raise StoreBusy(
                f"{path} is locked by another program: wait until it is done, or stop it"
            ) from error
        if any(part in text for part in _FULL):
            raise StoreFull(
                f"{path} cannot grow ({error}): make room on the disk and start again;"
                " what is in the store is whole"
            ) from error
        if "readonly" in text or "unable to open" in text:
            raise StoreError(
                f"{path} cannot be opened for writing ({error}): check the folder and its rights"
            ) from error
        raise StoreError(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise StoreMismatch(
            f"{path} is no event store, or is damaged ({error}): move it away;"
            " `ape run index_events` makes it anew from the chain"
        ) from error
