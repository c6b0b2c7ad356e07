"""Which statements and branches were executed, from the record of a test run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backstop.harness.analysis.source_map import Item, Range, counters, items_of, ranges

Code = Mapping[str, Any]
"""A contract's `deployedBytecode` or `bytecode` of the compiler's answer."""


@dataclass
class Reached:
    """Ranges whose code ran, and the ways taken at each range that carries a conditional jump."""

    ranges: set[Range] = field(default_factory=set)
    ways: dict[Range, set[bool]] = field(default_factory=lambda: defaultdict(set))

    def add(self, code: bytes, source_map: str, pcs: Iterable[int], ways: Iterable[Any]) -> None:
        """Count what a run of this code reached."""
        place = dict(zip(counters(code), ranges(source_map), strict=False))
        self.ranges.update(place[pc] for pc in pcs if pc in place)
        for pc, taken in ways:
            if pc in place:
                self.ways[place[pc]].add(bool(taken))


def _masked(code: bytes, holes: Iterable[Mapping[str, int]]) -> bytes:
    result = bytearray(code)
    for hole in holes:
        result[hole["start"] : hole["start"] + hole["length"]] = bytes(hole["length"])
    return bytes(result)


class Codes:
    """Finds the contract that a piece of code belongs to.

    Attributes:
        places: every range that any instruction of any contract has.
    """

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self._running: dict[int, list[tuple[bytes, list[Mapping[str, int]], str]]] = {}
        self._creating: dict[bytes, list[tuple[bytes, str]]] = {}
        self.places: set[Range] = set()
        for contracts in answer["contracts"].values():
            for contract in contracts.values():
                self._learn(contract["evm"])

    def _learn(self, evm: Mapping[str, Any]) -> None:
        running, creating = evm["deployedBytecode"], evm["bytecode"]
        if running["object"]:
            code = bytes.fromhex(running["object"])
            holes = [h for hs in running.get("immutableReferences", {}).values() for h in hs]
            known = self._running.setdefault(len(code), [])
            known.append((_masked(code, holes), holes, running["sourceMap"]))
            self.places.update(ranges(running["sourceMap"]))
        if creating["object"]:
            code = bytes.fromhex(creating["object"])
            self._creating.setdefault(code[:64], []).append((code, creating["sourceMap"]))
            self.places.update(ranges(creating["sourceMap"]))

    def source_map(self, code: bytes) -> str | None:
        """The source map of this code, with its immutables and arguments; None for a stranger."""
        for template, holes, source_map in self._running.get(len(code), ()):
            if _masked(code, holes) == template:
                return source_map
        for template, source_map in self._creating.get(code[:64], ()):
            if code.startswith(template):
                return source_map
        return None


@dataclass
class FileCoverage:
    """What was reached in one file. Lines are those on which a statement begins."""

    name: str
    lines: dict[int, bool]
    branches: dict[tuple[int, int], set[bool]]

    @property
    def missed_lines(self) -> list[int]:
        """Lines that never ran."""
        return [line for line, hit in sorted(self.lines.items()) if not hit]

    @property
    def half_branches(self) -> list[int]:
        """Lines with a branch of which one way, or both, was never taken."""
        return sorted({line for (line, _), ways in self.branches.items() if len(ways) < 2})

    @property
    def counts(self) -> tuple[int, ...]:
        """Lines reached, lines, ways taken, ways."""
        taken = sum(len(ways) for ways in self.branches.values())
        return sum(self.lines.values()), len(self.lines), taken, 2 * len(self.branches)


def file_coverage(
    name: str, text: bytes, tree: Mapping[str, Any], ran: Reached, places: Iterable[Range]
) -> FileCoverage:
    """Coverage of one file.

    A statement that has no code of its own in any of `places` is not counted: the compiler gives
    none to a call without arguments and result. An `if` with a bare variable for a condition is
    told by its jump.
    """
    items = items_of(tree)
    result = FileCoverage(name, {}, {})
    number = items[0].within.file if items else -1
    mine = [r for r in ran.ranges if r.file == number]
    codes = [r for r in places if r.file == number]
    parts = {item.start for item in items if item.branch}
    for item in items:
        line = text.count(b"\n", 0, item.start) + 1
        if item.branch:
            ways = ran.ways.get(item.within, set())
            key = (line, item.start + item.within.end * 10**6)
            result.branches.setdefault(key, set()).update(ways)
            if ways and line in result.lines:
                result.lines[line] = True
        elif item.start in parts or _has(item, codes):
            result.lines[line] = result.lines.get(line, False) or _has(item, mine)
    return result


def _has(item: Item, ranges_: Iterable[Range]) -> bool:
    within = item.within
    return any(within.start <= r.start and r.end <= within.end for r in ranges_)


def load(records: Iterable[Mapping[str, Any]], codes: Codes) -> tuple[Reached, int]:
    """Everything that any of the runs reached, and how many pieces of code nobody knows."""
    ran, strangers = Reached(), 0
    for record in records:
        for seen in record["codes"].values():
            code = bytes.fromhex(seen["code"])
            source_map = codes.source_map(code)
            if source_map is None:
                strangers += 1
            else:
                ran.add(code, source_map, seen["reached"], seen["ways"])
    return ran, strangers
