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
from backstop.harness.project_copy import copy_project, put_codes

WORK = ROOT / ".build" / "coverage"
EXIT = "exit"
"""File beside the records: the exit code of the test run."""
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
    "tests/attacks",
    "tests/fuzz/test_corpus.py",
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
    """Run these tests in the copy; their exit code, which is also kept with the records."""
    shutil.rmtree(records, ignore_errors=True)
    records.mkdir(parents=True)
    environment = {**os.environ, "PYTHONPATH": str(tree), "BACKSTOP_COVERAGE": str(records)}
    done = subprocess.run(
        [
            *(str(Path(sys.prefix) / "bin" / "ape"), "test", *tests, "-q", "-p"),
            *("backstop.harness.analysis.recorder", "-n", str(workers), "--dist", "loadfile"),
        ],
        cwd=tree,
        env=environment,
        check=False,
    )
    (records / EXIT).write_text(str(done.returncode))
    return done.returncode


def all_passed(records: Path) -> bool:
    """Whether every test of the run that left these records passed."""
    kept = records / EXIT
    return kept.is_file() and kept.read_text() == "0"


def measure(answer: Mapping[str, Any], records: Path) -> list[FileCoverage]:
    """The coverage of every file that ships."""
    found = [json.loads(path.read_text()) for path in sorted(records.glob("record-*.json"))]
    if not found:
        raise CoverageError("the tests recorded nothing; their output is above")
    ran, strangers = load(found, Codes(answer))
    counts = {key: sum(r[key] for r in found) for key in ("traced", "skipped")}
    text = f"{counts['traced']} traces, {counts['skipped']} repetitions left out"
    click.echo(f"{text}, {strangers} pieces of code that are none of ours", err=True)
    files = []
    for name in shipped_files():
        if name.startswith("contracts/"):
            tree = answer["sources"][name]["ast"]
            files.append(file_coverage(name, (ROOT / name).read_bytes(), tree, ran))
    return [f for f in files if f.lines]


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


def page(
    files: Sequence[FileCoverage], tests: Sequence[str], seconds: float, passed: bool = True
) -> str:
    """Markdown: the table, and what was never reached."""
    lines = [
        "# Coverage of the Solidity",
        "",
        f"`make coverage`, {seconds:.0f} s. Tests: {', '.join(f'`{t}`' for t in tests)}.",
        "A line is one on which a statement begins; a branch is one way out of an `if`, a `?:`,",
        "an `&&` or an `||`. docs/assurance.md says how it is measured.",
        "",
        *([] if passed else [f"**Not to be used: {FAILURES}.**", ""]),
        "| file | lines | branches | lines never reached | branches half taken, on lines |",
        "| --- | ---: | ---: | --- | --- |",
    ]
    by_name = {f.name: f for f in files}
    for name, first, second in rows(files):
        missed = by_name[name].missed_lines if name in by_name else []
        half = by_name[name].half_branches if name in by_name else []
        cells = [name, first, second, ", ".join(map(str, missed)), ", ".join(map(str, half))]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _print(files: Sequence[FileCoverage], verbose: bool) -> None:
    for name, first, second in rows(files):
        click.echo(f"{name:48} {first:>16} {second:>16}")
    if verbose:
        for f in files:
            text = (ROOT / f.name).read_text().splitlines()
            for line in f.missed_lines:
                click.echo(f"never reached {f.name}:{line}: {text[line - 1].strip()}")
            for line in f.half_branches:
                if line not in f.missed_lines:
                    click.echo(f"half taken    {f.name}:{line}: {text[line - 1].strip()}")


@click.command()
@click.argument("tests", nargs=-1)
@click.option("--workers", default=2, show_default=True, help="Test processes.")
@click.option("--verbose", is_flag=True, help="List lines and branches that were not reached.")
@click.option("--again", is_flag=True, help="Report on the last run, without running tests.")
@click.option("--output", type=click.Path(path_type=Path), help="Write the page here.")
@click.option("--json", "as_json", is_flag=True, help="Print the coverage as JSON.")
def cli(
    tests: tuple[str, ...],
    workers: int,
    verbose: bool,
    again: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Run TESTS (default: those of the contracts and the corpus) and print what they reach.

    Ends with 1, after the report, if a test failed.
    """
    started = time.monotonic()
    chosen, records = tests or SELECTION, WORK / "records"
    try:
        answer = compile_plainly()
        if not again:
            # not below .build: ape leaves out every source that has such a folder in its path
            with tempfile.TemporaryDirectory(prefix="backstop-coverage-") as folder:
                lay_out(answer, Path(folder))
                code = run_tests(Path(folder), chosen, workers, records)
            if code not in (0, 1):
                raise CoverageError(f"the tests could not be run (exit {code})")
        files = measure(answer, records)
        passed = all_passed(records)
    except (CompilationError, CoverageError) as error:
        raise click.ClickException(str(error)) from None
    if output is not None:
        output.write_text(page(files, chosen, time.monotonic() - started, passed))
    if as_json:
        listed = [
            {"file": f.name, "missed": f.missed_lines, "half": f.half_branches} for f in files
        ]
        click.echo(json.dumps(listed, indent=1))
    else:
        _print(files, verbose)
    if not passed:
        raise click.ClickException(f"{FAILURES}; their output is above, correct them and run again")


if __name__ == "__main__":
    cli()
