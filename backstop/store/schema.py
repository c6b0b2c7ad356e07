"""Tables of the store, and one SQL view an event: `SELECT * FROM liquidated`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from backstop.harness.abi import Abi, signature_of

VERSION = 1
"""Of the layout; a file of another version is made anew."""

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (
  number INTEGER PRIMARY KEY, hash TEXT NOT NULL, parent TEXT NOT NULL, time INTEGER NOT NULL
);
CREATE TABLE checkpoints (
  number INTEGER PRIMARY KEY, hash TEXT NOT NULL, parent TEXT NOT NULL, time INTEGER NOT NULL
);
CREATE TABLE events (
  block INTEGER NOT NULL, log_index INTEGER NOT NULL, tx_index INTEGER NOT NULL, tx TEXT NOT NULL,
  contract TEXT NOT NULL, name TEXT NOT NULL, args TEXT NOT NULL,
  PRIMARY KEY (block, log_index)
) WITHOUT ROWID;
CREATE INDEX events_by_name ON events (name, block, log_index);
"""
"""`blocks` has every block with an event, `checkpoints` the ends of the last ranges read."""

_SMALL = {"market", "eventId", "requestId", "series", "epoch", "elapsed", "flaggedAt"}
"""Parameters of 256 bits that are counters, numbers of markets or seconds."""


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _is_small(name: str, kind: str) -> bool:
    if kind == "bool" or name in _SMALL:
        return True
    found = re.fullmatch(r"u?int(\d+)", kind)
    return bool(found) and int(found[1]) <= 48 if found else False


def _columns(components: list[dict[str, Any]], path: str = "$", prefix: str = "") -> Iterator[str]:
    for position, component in enumerate(components):
        name = str(component.get("name") or position)
        kind, column = str(component["type"]), prefix + _snake(name)
        here = f"{path}.{name}"
        if kind == "tuple":
            yield from _columns(component["components"], here, column + "_")
        elif kind in ("address", "string") or kind.startswith("bytes") or _is_small(name, kind):
            yield f"args ->> '{here}' AS \"{column}\""
        else:
            # as text: SQLite's own numbers end at 64 bits
            yield f"args -> '{here}' AS \"{column}\""


def views(abis: Mapping[str, Abi]) -> dict[str, str]:
    """A statement for the view of every event in these ABIs, by the view's name.

    Amounts are exact decimal text (WAD or token units, as the event has them), small numbers
    integers, addresses and bytes hex text, arrays JSON. Structs are flattened: `legs_reserve`.
    Where two contracts have different events of one name, the second's is `<contract>_<event>`.
    """
    owners: dict[tuple[str, str], list[str]] = {}
    items: dict[tuple[str, str], Mapping[str, Any]] = {}
    for role, abi in abis.items():
        for item in abi:
            if item.get("type") == "event":
                key = (_snake(str(item["name"])), signature_of(item))
                owners.setdefault(key, []).append(role)
                items[key] = item
    made: dict[str, str] = {}
    for (name, signature), roles in owners.items():
        view = f"{roles[0]}_{name}" if name in made else name
        made[view] = _view(view, roles, items[name, signature])
    return made


def _view(view: str, roles: Sequence[str], item: Mapping[str, Any]) -> str:
    columns = "".join(f", {column}" for column in _columns(list(item["inputs"])))
    listed = ", ".join(f"'{role}'" for role in roles)
    return (
        f'CREATE VIEW "{view}" AS SELECT block, log_index, time, tx, contract{columns}'
        " FROM events JOIN blocks ON blocks.number = events.block"
        f" WHERE name = '{item['name']}' AND contract IN ({listed})"
    )
