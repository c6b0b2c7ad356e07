"""The results of a mutation run, as a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

PASSED = "passed"
"""All tests that concern a mutant pass."""

VERDICTS = ("killed", "survived", "equivalent", "invalid")


@dataclass(frozen=True)
class Result:
    """What became of a mutant.

    `verdict` is killed (a case came out otherwise), survived, equivalent (the compiler made the
    same code of it) or invalid (it does not compile). `reason` is the case or the compiler's word.
    `tests` is what the suite says of a survivor of the plays: empty if it was not asked, PASSED, or
    the test that fails.
    """

    name: str
    file: str
    line: int
    operator: str
    verdict: str
    seconds: float
    reason: str
    diff: str
    tests: str = ""

    @property
    def killed_by_tests(self) -> bool:
        """Whether it survived the first judge, and not the second."""
        return self.tests not in ("", PASSED)

    def after_tests(self, killer: str | None) -> Result:
        """The same with the word of the second judge: a test, nothing, or None if not asked."""
        if killer:
            return replace(self, verdict="killed", reason=killer, tests=killer)
        return self if killer is None else replace(self, tests=PASSED)

    def as_json(self) -> dict[str, Any]:
        """For the journal."""
        return asdict(self)


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

`make mutants ARGS="--contracts"`; {tried} of {generated} mutants tried, {rest} not run. Two judges:
*plays*, recorded from duels and state machines that agreed with the exact twin and from sweeps of
every function, where any other answer than that of the unchanged contracts kills; and for what
survives them the *tests* of the contracts, where a test kills that fails on a group of mutants and
on this one alone (docs/assurance.md). Compiled without via-IR and without optimiser. Equivalent:
the compiler makes the same code of it. Plays alone: killed by them / valid; score: killed by
either / valid; net: without the survivors explained below. {unasked} survivors of the plays were
not given to the tests; they count as survivors.
"""

_COLUMNS = {
    False: ("killed", "survived", "explained", "equivalent", "invalid", "score", "net", "s"),
    True: (
        *("by plays", "by tests", "survived", "explained", "equivalent", "invalid"),
        *("plays alone", "score", "net"),
    ),
}


def _cells(results: Sequence[Result], explained: Mapping[str, str], contracts: bool) -> list[str]:
    """A row of the table, without its name."""
    counts = Counter(r.verdict for r in results)
    known = sum(r.verdict == "survived" and r.name in explained for r in results)
    cells = [counts["survived"], known, counts["equivalent"], counts["invalid"]]
    scores = [score(counts), score(counts, known)]
    if not contracts:
        seconds = sum(r.seconds for r in results)
        return [str(counts["killed"]), *map(str, cells), *scores, f"{seconds:.0f}"]
    late = sum(r.killed_by_tests for r in results)
    alone = {"killed": counts["killed"] - late, "survived": counts["survived"] + late}
    return [str(alone["killed"]), str(late), *map(str, cells), score(alone), *scores]


def page(
    results: Sequence[Result],
    explained: Mapping[str, str],
    generated: int,
    *,
    contracts: bool = False,
) -> str:
    """Markdown: the counts, and every survivor with its diff and why it may survive."""
    survivors = [r for r in results if r.verdict == "survived"]
    head, tried = _CONTRACTS if contracts else _LIBRARIES, len(results)
    unasked = sum(not r.tests and r.name not in explained for r in survivors)
    columns = _COLUMNS[contracts]
    lines = [
        head.format(tried=tried, generated=generated, rest=generated - tried, unasked=unasked),
        f"| file | {' | '.join(columns)} |",
        f"| --- |{' ---: |' * len(columns)}",
    ]
    for file in [*dict.fromkeys(r.file for r in results), "all"]:
        chosen = [r for r in results if file in ("all", r.file)]
        lines.append(f"| {file} | {' | '.join(_cells(chosen, explained, contracts))} |")
    lines += ["", "## Survivors", ""]
    for r in survivors:
        lines += [f"### {r.name} · {r.operator}", "", "```diff", r.diff, "```", ""]
        lines += [explained.get(r.name, "**Not explained.**"), ""]
    return "\n".join(lines if survivors else [*lines, "None.", ""])
