"""Every event of a deployment in one SQLite file, equal to a replay of the chain.

    from backstop.store import EventStore, default_path

    with EventStore.open(default_path(chain_id), record, artifacts) as store:
        store.sync(client)
        for event in store.events("Liquidated"):
            ...

`EventStore.read(path)` reads only, in any number of processes.
"""

from backstop.store.errors import NodeRefuses, StoreBusy, StoreError, StoreFull, StoreMismatch
from backstop.store.source import Header
from backstop.store.store import EventStore, StoredEvent, default_path
from backstop.store.sync import Synced, follow, sync

__all__ = [
    "EventStore",
    "Header",
    "NodeRefuses",
    "StoreBusy",
    "StoreError",
    "StoreFull",
    "StoreMismatch",
    "StoredEvent",
    "Synced",
    "default_path",
    "follow",
    "sync",
]
