"""The results of a mutation run, as a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

VERDICTS = ("killed", "survived", "equivalent", "invalid")


@dataclass(frozen=True)
class Result:
    """What became of a mutant.

    `verdict` is killed (a case came out otherwise), survived, equivalent (the compiler made the
    same code of it) or invalid (it does not compile). `reason` is the case or the compiler's word.
    """

    name: str
    file: str
    line: int
    operator: str
    verdict: str
    seconds: float
    reason: str
    diff: str

    def as_json(self) -> dict[str, Any]:
        """For the journal."""
        return asdict(self)


def summary(results: Sequence[Result]) -> list[tuple[str, Counter[str], float]]:
    """Counts by file, and the sum of seconds; the last row is the whole."""
    rows = []
    for file in [*dict.fromkeys(r.file for r in results), "all"]:
        chosen = [r for r in results if file in ("all", r.file)]
        rows.append((file, Counter(r.verdict for r in chosen), sum(r.seconds for r in chosen)))
    return rows


def score(counts: Mapping[str, int], explained: int = 0) -> str:
    """Killed, of the valid ones that are not explained as equivalent."""
    valid = counts.get("killed", 0) + counts.get("survived", 0) - explained
    return f"{100 * counts.get('killed', 0) / valid:.1f} %" if valid else "-"


_LIBRARIES = """# Mutation run over the pure libraries

`make mutants`; {tried} of {generated} mutants tried. A mutant is killed when a
case of `backstop/harness/mutation/cases.py` (the cases of the test
`tests/unit/libraries/test_twins.py`) comes out otherwise than the exact twin says.
Compiled without via-IR, for speed; the unmutated libraries pass the same cases with
and without it. Equivalent: the compiler makes the same code of it. Score:
killed / (killed + survived); net: without the survivors explained below.
"""

_CONTRACTS = """# Mutation run over the contracts

`make mutants ARGS="--contracts"`; {tried} of {generated} mutants tried, {rest} not run. A
mutant is killed when an answer of a recorded play differs from that of the unchanged contracts:
duels and state machines, which agreed with the exact twin when they were recorded, and a sweep of
every function by every sender, also while the lock is held (docs/assurance.md). Compiled without
via-IR and without optimiser. Equivalent: the compiler makes the same code of it. Score:
killed / (killed + survived); net: without the survivors explained below.
"""


def page(
    results: Sequence[Result],
    explained: Mapping[str, str],
    generated: int,
    *,
    contracts: bool = False,
) -> str:
    """Markdown: the counts, and every survivor with its diff and why it may survive."""
    survivors = [r for r in results if r.verdict == "survived"]
    head = _CONTRACTS if contracts else _LIBRARIES
    tried = len(results)
    lines = [
        head.format(tried=tried, generated=generated, rest=generated - tried),
        "| file | killed | survived | explained | equivalent | invalid | score | net | s |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for file, counts, seconds in summary(results):
        known = sum(r.name in explained for r in survivors if file in ("all", r.file))
        cells: list[object] = [counts["killed"], counts["survived"], known, counts["equivalent"]]
        cells += [counts["invalid"], score(counts), score(counts, known), f"{seconds:.0f}"]
        lines.append(f"| {file} | {' | '.join(map(str, cells))} |")
    lines += ["", "## Survivors", ""]
    for r in survivors:
        lines += [f"### {r.name} · {r.operator}", "", "```diff", r.diff, "```", ""]
        lines += [explained.get(r.name, "**Not explained.**"), ""]
    return "\n".join(lines if survivors else [*lines, "None.", ""])
