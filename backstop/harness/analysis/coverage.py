"""`python -m backstop.harness.analysis.coverage`: what the tests reach of the Solidity.

The contracts are compiled without optimization, so that every statement has code of its own, and
the tests run against that code in a copy of the project; the working copy and its artifacts stay as
they are.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from backstop.chain.artifacts import ROOT
from backstop.harness.analysis.compilation import (
    CompilationError,
    compile_json,
    shipped_files,
    standard_json,
    with_imports,
)
from backstop.harness.analysis.covered import Codes, FileCoverage, file_coverage, load
from backstop.harness.analysis.gaps import Found, Gap, Judged, find, judge, read
from backstop.harness.analysis.triage import TriageError
from backstop.harness.project_copy import copy_project, put_codes

WORK = ROOT / ".build" / "coverage"
EXAMPLES = "contracts/examples/"
"""Show how the fund is used; they are not measured."""
REASONS = Path(__file__).with_name("unreached.yaml")
EXIT, TESTS = "exit", "tests"
"""Files beside the records: the exit code of the test run, and the tests that were run."""
FAILURES = "tests of this run failed: the figures are of what ran, and no measure of what is tested"
SELECTION = (
    "tests/unit/engine",
    "tests/unit/fund",
    "tests/unit/oracle",
    "tests/unit/orders",
    "tests/unit/risk_oracle",
    "tests/unit/reinsurance",
    "tests/unit/backstop_inventory",
    "tests/unit/lens",
    "tests/unit/test_shared_lock.py",
    "tests/attacks/test_engine_reentry.py",
    "tests/attacks/test_insiders.py",
    "tests/incidents",
    "tests/fuzz/test_corpus.py",
    "tests/integration/test_deploy.py",
)
"""Tests that are run unless others are named: those of the contracts and the corpus."""

_PLAIN = {
    "viaIR": True,
    "optimizer": {
        "enabled": False,
        "details": {"yul": True, "yulDetails": {"stackAllocation": True, "optimizerSteps": "u:"}},
    },
}
# compiled without the optimizer a function needs more stack than there is; the unused-pruner alone
# moves variables to memory and leaves the code as it is written


class CoverageError(RuntimeError):
    """The run could not be made; the message says why."""


def compile_plainly(root: Path = ROOT) -> dict[str, Any]:
    """All contracts, helpers of the tests too, with source maps and trees."""
    folders = [p.relative_to(root).as_posix() for p in (root / "contracts").rglob("*.sol")]
    names = sorted({*shipped_files(root), *(n for n in folders if "/.cache/" not in n)})
    code = ["evm.bytecode.object", "evm.bytecode.sourceMap", "evm.deployedBytecode"]
    selection = {"*": {"": ["ast"], "*": ["abi", *code]}}
    request = standard_json(with_imports(names, root), selection, **_PLAIN)
    digest = hashlib.sha256(json.dumps(request).encode()).hexdigest()[:16]
    kept = WORK / f"compiled-{digest}.json"
    if not kept.is_file():
        answer = compile_json(request)
        WORK.mkdir(parents=True, exist_ok=True)
        for old in WORK.glob("compiled-*.json"):
            old.unlink()
        kept.write_text(json.dumps(answer))
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


def lay_out(answer: Mapping[str, Any], tree: Path) -> None:
    """A copy of the project whose compiled contracts are the plain ones."""
    copy_project(tree)
    found = {n: c["evm"] for file in answer["contracts"].values() for n, c in file.items()}
    put_codes(
        tree,
        {
            name: (evm["bytecode"]["object"], evm["deployedBytecode"]["object"])
            for name, evm in found.items()
            if evm["bytecode"]
        },
    )


def run_tests(tree: Path, tests: Sequence[str], workers: int, records: Path) -> int:
    """Run these tests in the copy; their exit code.

    What is recorded is added to what is there. The worst exit code so far and all tests are kept
    with the records.
    """
    records.mkdir(parents=True, exist_ok=True)
    (records / TESTS).write_text(json.dumps([*dict.fromkeys([*tests_of(records), *tests])]))
    environment = {**os.environ, "PYTHONPATH": str(tree), "BACKSTOP_COVERAGE": str(records)}
    done = subprocess.run(
        [
            *(str(Path(sys.prefix) / "bin" / "ape"), "test", *tests, "-q", "-p"),
            *("backstop.harness.analysis.recorder", "-n", str(workers), "--dist", "loadfile"),
            *("-m", "not optimised"),
        ],
        cwd=tree,
        env=environment,
        check=False,
    )
    before = int((records / EXIT).read_text()) if (records / EXIT).is_file() else 0
    (records / EXIT).write_text(str(max(before, done.returncode)))
    return done.returncode


def tests_of(records: Path) -> tuple[str, ...]:
    """The tests that these records are of."""
    kept = records / TESTS
    return tuple(json.loads(kept.read_text())) if kept.is_file() else ()


def all_passed(records: Path) -> bool:
    """Whether every test of the run that left these records passed."""
    kept = records / EXIT
    return kept.is_file() and kept.read_text() == "0"


@dataclass(frozen=True)
class Measured:
    """What a run reached: its files, and what is missing of errors and functions too."""

    files: list[FileCoverage]
    found: Found


def measure(answer: Mapping[str, Any], records: Path) -> Measured:
    """The coverage of every file that ships."""
    found = [json.loads(path.read_text()) for path in sorted(records.glob("record-*.json"))]
    if not found:
        raise CoverageError("the tests recorded nothing; their output is above")
    codes = Codes(answer)
    ran, strangers = load(found, codes)
    counts = {key: sum(r[key] for r in found) for key in ("traced", "skipped")}
    text = f"{counts['traced']} traces, {counts['skipped']} repetitions left out"
    click.echo(f"{text}, {strangers} pieces of code that are none of ours", err=True)
    files = []
    for name in shipped_files():
        if name.startswith("contracts/") and not name.startswith(EXAMPLES):
            tree, source = answer["sources"][name]["ast"], (ROOT / name).read_bytes()
            files.append(file_coverage(name, source, tree, ran, codes.places))
    return Measured([f for f in files if f.lines], find(answer, files, ROOT, ran))


def percent(part: int, whole: int) -> str:
    """As a table shows it."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def rows(files: Sequence[FileCoverage]) -> list[tuple[str, str, str]]:
    """File, lines, branches; the last row is all of them."""
    counted = {f.name: f.counts for f in files}
    counted["all"] = tuple(sum(column) for column in zip(*counted.values(), strict=True))
    return [
        (name, f"{hit}/{lines} {percent(hit, lines)}", f"{taken}/{ways} {percent(taken, ways)}")
        for name, (hit, lines, taken, ways) in counted.items()
    ]


def totals(found: Found) -> str:
    """How many of the custom errors and of the functions that change state were reached."""
    missed = {kind: sum(gap.kind == kind for gap in found.gaps) for kind in ("error", "function")}
    return (
        f"custom errors: {found.errors - missed['error']} of {found.errors} raised; "
        f"functions that change state: {found.functions - missed['function']} of "
        f"{found.functions} entered"
    )


def _name(gap: Gap) -> str:
    return f"{gap.kind} {gap.place}" + (f" (line {gap.line})" if gap.line else "")


def page(
    measured: Measured, judged: Judged, tests: Sequence[str], seconds: float, passed: bool = True
) -> str:
    """Markdown: the table, and what was never reached, with the reasons."""
    lines = [
        "# Coverage of the Solidity",
        "",
        f"`make coverage`, {seconds:.0f} s. Tests: {', '.join(f'`{t}`' for t in tests)}.",
        "A line is one on which a statement begins; a branch is one way out of an `if`, a `?:`,",
        "an `&&` or an `||`. docs/assurance.md says how it is measured.",
        "",
        *([] if passed else [f"**Not to be used: {FAILURES}.**", ""]),
        "| file | lines | branches |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {first} | {second} |" for name, first, second in rows(measured.files)),
        "",
        totals(measured.found)[0].upper() + totals(measured.found)[1:] + ".",
    ]
    if judged.open:
        lines += ["", "## Not reached, without a reason", ""]
        lines += [f"- {_name(gap)}" for gap in judged.open]
    if judged.explained:
        lines += ["", "## Not reached, and why", ""]
        for reason in dict.fromkeys(reason for _, reason in judged.explained):
            lines.append(f"- {reason}")
            lines += [f"  - {_name(gap)}" for gap, why in judged.explained if why == reason]
    return "\n".join([*lines, ""])


def _print(measured: Measured, judged: Judged, verbose: bool) -> None:
    for name, first, second in rows(measured.files):
        click.echo(f"{name:48} {first:>16} {second:>16}")
    click.echo(totals(measured.found))
    if verbose:
        for gap, reason in judged.explained:
            click.echo(f"not reached: {_name(gap)}\n  {reason}")
    for gap in judged.open:
        click.echo(f"NO REASON {_name(gap)}")
    for kind, place in judged.stale:
        click.echo(f"STALE {kind} {place}: reached, or not there any more")
    click.echo(f"{len(judged.explained)} gaps explained, {len(judged.open)} without a reason")


def _as_json(measured: Measured, judged: Judged) -> str:
    gaps = [{**vars(gap), "reason": reason} for gap, reason in judged.explained]
    gaps += [{**vars(gap), "reason": None} for gap in judged.open]
    files = [
        {"file": f.name, "missed": f.missed_lines, "half": f.half_branches} for f in measured.files
    ]
    counts = {"errors": measured.found.errors, "functions": measured.found.functions}
    return json.dumps({"files": files, **counts, "gaps": gaps}, indent=1)


@click.command()
@click.argument("tests", nargs=-1)
@click.option("--workers", default=2, show_default=True, help="Test processes.")
@click.option("--verbose", is_flag=True, help="Print the reasons of what was not reached too.")
@click.option("--again", is_flag=True, help="Report on the last run, without running tests.")
@click.option("--add", is_flag=True, help="Add what TESTS reach to the last run.")
@click.option("--output", type=click.Path(path_type=Path), help="Write the page here.")
@click.option("--json", "as_json", is_flag=True, help="Print the coverage as JSON.")
def cli(
    tests: tuple[str, ...],
    workers: int,
    verbose: bool,
    again: bool,
    add: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Run TESTS (default: those of the contracts) and print what they reach.

    Ends with 1, after the report, if a test failed, and, if no TESTS were named, on a line, branch,
    custom error or function that was not reached and has no reason in unreached.yaml.
    """
    started = time.monotonic()
    records = WORK / "records"
    try:
        reasons = read(REASONS)
        answer = compile_plainly()
        if not (again or add):
            shutil.rmtree(records, ignore_errors=True)
        if not again:
            # not below .build: ape leaves out every source that has such a folder in its path
            with tempfile.TemporaryDirectory(prefix="backstop-coverage-") as folder:
                lay_out(answer, Path(folder))
                code = run_tests(Path(folder), tests or SELECTION, workers, records)
            if code not in (0, 1):
                raise CoverageError(f"the tests could not be run (exit {code})")
        measured, passed = measure(answer, records), all_passed(records)
    except (CompilationError, CoverageError, TriageError) as error:
        raise click.ClickException(str(error)) from None
    judged, chosen = judge(measured.found.gaps, reasons), tests_of(records)
    if output is not None:
        seconds = time.monotonic() - started
        output.write_text(page(measured, judged, chosen, seconds, passed))
    if as_json:
        click.echo(_as_json(measured, judged))
    else:
        _print(measured, judged, verbose)
    if not passed:
        raise click.ClickException(f"{FAILURES}; their output is above, correct them and run again")
    if set(chosen) >= set(SELECTION) and not judged.clean:
        raise click.ClickException(
            "something was not reached, or has a reason and was: test it, or correct "
            f"{REASONS.name}"
        )


if __name__ == "__main__":
    cli()
