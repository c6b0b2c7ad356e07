"""Tables that can go back: what a transaction is made of.

A `Table` is a dictionary of immutable values that writes every change into its journal, so that a
failed action, or a failed part of one, can be undone exactly and at the cost of what it changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_MISSING: Any = object()


class Journal:
    """Changes in the order in which they happened."""

    def __init__(self) -> None:
        self._entries: list[tuple[dict[Any, Any], Any, Any]] = []
        self._depth = 0

    def note(self, table: dict[Any, Any], key: Any) -> None:
        """Remember what `table` holds for `key`, if anything may have to be undone."""
        if self._depth:
            self._entries.append((table, key, dict.get(table, key, _MISSING)))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Undo on leaving by an exception whatever was changed inside. May be nested."""
        mark = len(self._entries)
        self._depth += 1
        try:
            yield
        except BaseException:
            self._undo(mark)
            raise
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._entries.clear()

    def _undo(self, mark: int) -> None:
        while len(self._entries) > mark:
            table, key, old = self._entries.pop()
            if old is _MISSING:
                dict.pop(table, key, None)
            else:
                dict.__setitem__(table, key, old)


class Table(dict[K, V], Generic[K, V]):
    """A dictionary whose changes the journal can undo. Values must not change in place."""

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal

    def __setitem__(self, key: K, value: V) -> None:
        self._journal.note(self, key)
        super().__setitem__(key, value)

    def __delitem__(self, key: K) -> None:
        self._journal.note(self, key)
        super().__delitem__(key)
