"""What no test reached of the contracts that ship, beside the reasons why.

Lines and branches come from the coverage of the files. A custom error is reached if one of the
`revert` statements that raise it ran, a function that changes state if a statement of its body did;
both are taken from the deployable contracts with all that they inherit, OpenZeppelin's too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backstop.harness.analysis.covered import FileCoverage, Reached
from backstop.harness.analysis.source_map import Range, range_of
from backstop.harness.analysis.triage import read_reasons

LINE, BRANCH, ERROR, FUNCTION = "line", "branch", "error", "function"

Node = Mapping[str, Any]
Reasons = Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class Gap:
    """Something that was not reached.

    `place` names it in the file of reasons: the file and the text of the line, or the contract and
    the error's or function's name. `line` is 0 for those.
    """

    kind: str
    place: str
    line: int = 0


@dataclass(frozen=True)
class Found:
    """The gaps, and how many errors and functions there are."""

    gaps: tuple[Gap, ...]
    errors: int
    functions: int


@dataclass(frozen=True)
class Judged:
    """Gaps with their reasons, gaps without, and reasons without a gap."""

    explained: tuple[tuple[Gap, str], ...]
    open: tuple[Gap, ...]
    stale: tuple[tuple[str, str], ...]

    @property
    def clean(self) -> bool:
        """Whether every gap has its reason, and every reason its gap."""
        return not self.open and not self.stale


def read(path: Path) -> Reasons:
    """The reasons: (kind, place) -> reason."""
    return read_reasons(path, "kind")


def judge(gaps: Sequence[Gap], reasons: Reasons) -> Judged:
    """Which gaps have a reason, which have none, which reasons are left over."""
    keys = {(gap.kind, gap.place) for gap in gaps}
    return Judged(
        tuple((g, reasons[g.kind, g.place]) for g in gaps if (g.kind, g.place) in reasons),
        tuple(g for g in gaps if (g.kind, g.place) not in reasons),
        tuple(key for key in reasons if key not in keys),
    )


def find(answer: Node, files: Sequence[FileCoverage], root: Path, ran: Reached) -> Found:
    """All gaps of a run: lines and branches of these files, errors and functions of all."""
    sources = Sources(answer, ran)
    contracts = list(sources.deployable({f.name for f in files}))
    errors, functions = sources.errors(contracts), sources.functions(contracts)
    gaps = [gap for f in files for gap in _gaps_in(f, (root / f.name).read_text())]
    gaps += [Gap(ERROR, name) for name, reached in sorted(errors.items()) if not reached]
    gaps += [Gap(FUNCTION, name) for name, reached in sorted(functions.items()) if not reached]
    return Found(tuple(gaps), len(errors), len(functions))


def _gaps_in(file: FileCoverage, text: str) -> Iterator[Gap]:
    lines = text.splitlines()
    missed = set(file.missed_lines)
    for line in sorted({*missed, *file.half_branches}):
        kind = LINE if line in missed else BRANCH
        yield Gap(kind, f"{file.name}: {lines[line - 1].strip()}", line)


class Sources:
    """The syntax trees of all files, and what ran of them."""

    def __init__(self, answer: Node, ran: Reached) -> None:
        self._trees: dict[str, Node] = {n: s["ast"] for n, s in answer["sources"].items()}
        self._contracts: dict[int, Node] = {}
        self._files: dict[int, str] = {}
        for name, tree in self._trees.items():
            for node in tree["nodes"]:
                if node["nodeType"] == "ContractDefinition":
                    self._contracts[node["id"]], self._files[node["id"]] = node, name
        self._ran: dict[int, list[Range]] = defaultdict(list)
        for place in ran.ranges:
            self._ran[place.file].append(place)

    def deployable(self, files: Iterable[str]) -> Iterator[Node]:
        """The contracts in these files of which there is code to deploy, libraries left out."""
        wanted = set(files)
        for number, node in self._contracts.items():
            whole = node["contractKind"] == "contract" and not node["abstract"]
            if whole and self._files[number] in wanted:
                yield node

    def errors(self, contracts: Iterable[Node]) -> dict[str, bool]:
        """The errors that these contracts may raise, as `Contract.Error` -> whether one did."""
        raised: dict[int, bool] = defaultdict(bool)
        names: dict[int, str] = {}
        for tree in self._trees.values():
            for node in walk(tree):
                if node["nodeType"] == "RevertStatement":
                    raised[_error_of(node["errorCall"])] |= self._reached(node)
                elif node["nodeType"] == "ContractDefinition":
                    errors = (n for n in node["nodes"] if n["nodeType"] == "ErrorDefinition")
                    names |= {n["id"]: f"{node['name']}.{n['name']}" for n in errors}
        used = {number for contract in contracts for number in contract["usedErrors"]}
        return {names[number]: raised[number] for number in sorted(used)}

    def functions(self, contracts: Iterable[Node]) -> dict[str, bool]:
        """Functions that change state, as `Contract.function` of where the body is -> reached."""
        found: dict[str, bool] = {}
        for contract in contracts:
            selectors = set()
            for base in contract["linearizedBaseContracts"]:
                for node in self._contracts[base]["nodes"]:
                    if not _changes_state(node) or node["functionSelector"] in selectors:
                        continue
                    selectors.add(node["functionSelector"])
                    if node.get("body") and node["body"]["statements"]:
                        name = f"{self._contracts[base]['name']}.{node['name']}"
                        found[name] = self._reached(node["body"])
        return found

    def _reached(self, node: Node) -> bool:
        place = range_of(node)
        return any(place.start <= r.start and r.end <= place.end for r in self._ran[place.file])


def _changes_state(node: Node) -> bool:
    return (
        node["nodeType"] == "FunctionDefinition"
        and "functionSelector" in node
        and node["stateMutability"] not in ("view", "pure")
    )


def _error_of(call: Node) -> int:
    """The number of the error's definition."""
    return int(call["expression"]["referencedDeclaration"])


def walk(node: Any) -> Iterator[Node]:
    """Every node of a syntax tree."""
    if isinstance(node, Mapping):
        if "nodeType" in node:
            yield node
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)
