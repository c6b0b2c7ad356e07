"""Which calls are still worth a trace: one costs a hundred times the call.

A path that was seen is told from a new one by what costs nothing: the code's size, the function,
the outcome. Calls of one kind are traced until several in a row have shown nothing new, then ever
more rarely. So a line may be missed that a test does reach, and never the other way round.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Any

PATIENCE = 6
"""So many traces of a kind in a row may show nothing new before they become rarer."""

RAREST = 64
"""At least one of so many calls of a kind is traced."""


class Interest:
    """Counts calls by kind, and how many traces of the kind in a row showed nothing new.

    Attributes:
        seen: calls by everything that is known of them; see `is_new`.
    """

    def __init__(self) -> None:
        self.seen: Counter[Hashable] = Counter()
        self._asked: Counter[Hashable] = Counter()
        self._fruitless: Counter[Hashable] = Counter()

    def is_new(self, key: Hashable, most: int = 1) -> bool:
        """Whether this came at most `most` times so far."""
        self.seen[key] += 1
        return self.seen[key] <= most

    def wants(self, kind: Hashable) -> bool:
        """Whether a call of this kind is to be traced."""
        self._asked[kind] += 1
        over = self._fruitless[kind] - PATIENCE
        return over < 0 or self._asked[kind] % min(RAREST, 2 << over) == 0

    def note(self, kind: Hashable, new: bool) -> None:
        """A trace of this kind was made; `new` if it reached what nothing had reached before."""
        self._fruitless[kind] = 0 if new else self._fruitless[kind] + 1


def outline(call: Mapping[str, Any]) -> Hashable:
    """A call tree without its values: who was called for which function, and how it ended."""
    inner = tuple(outline(child) for child in call.get("calls", ()))
    error = str(call.get("output", ""))[:10] if call.get("error") else ""
    return call["type"], str(call["input"])[:10], error, inner
