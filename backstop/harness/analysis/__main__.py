"""`python -m backstop.harness.analysis`: Slither over the contracts, every finding explained."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from backstop.chain.artifacts import ROOT
from backstop.harness.analysis.compilation import (
    CompilationError,
    compile_json,
    launcher,
    shipped_files,
    standard_json,
    with_imports,
)
from backstop.harness.analysis.triage import (
    TriageError,
    Verdict,
    findings_of,
    judge,
    read_reasons,
    table,
)

TRIAGE = Path(__file__).with_name("triage.yaml")
PYTHON = ROOT / ".venv-analysis" / "bin" / "python"
WORK = ROOT / ".build" / "analysis"


class AnalysisError(RuntimeError):
    """The analyser could not be run; the message says why."""


def syntax_trees() -> dict[str, Any]:
    """The compiler's answer for all files that ship: trees and ABIs, no code."""
    texts = with_imports(shipped_files())
    return compile_json(standard_json(texts, {"*": {"": ["ast"], "*": ["abi"]}}))


def run_slither() -> dict[str, Any]:
    """All findings of all detectors, as the driver writes them."""
    if not PYTHON.exists():
        raise AnalysisError(f"{PYTHON.parent.parent.name} is not there: run `make analysis`")
    WORK.mkdir(parents=True, exist_ok=True)
    compiled, findings = WORK / "compiled.json", WORK / "findings.json"
    findings.unlink(missing_ok=True)
    version = launcher().name.removeprefix("solc-v")
    request = {"version": version, "root": str(ROOT), "own": ["contracts/", "interfaces/"]}
    compiled.write_text(json.dumps({**request, "output": syntax_trees()}))
    driver = ROOT / "tools" / "slither_driver.py"
    done = subprocess.run(
        [str(PYTHON), "-P", str(driver), str(compiled), str(findings)],
        # Slither goes through sets: a fixed order, as far as one can be had
        env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 or not findings.is_file():
        raise AnalysisError(f"slither failed:\n{done.stderr[-3000:]}")
    answer: dict[str, Any] = json.loads(findings.read_text())
    return answer


@click.command()
@click.option("--verbose", is_flag=True, help="Print every finding with its reason.")
@click.option("--stub", is_flag=True, help="Print what is missing as entries for triage.yaml.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def cli(verbose: bool, stub: bool, as_json: bool) -> None:
    """Run all of Slither's detectors over the contracts that ship.

    Every finding needs a reason in triage.yaml, and every reason a finding: exit 1 otherwise.
    """
    started = time.monotonic()
    try:
        reasons = read_reasons(TRIAGE)
        answer = run_slither()
    except (AnalysisError, CompilationError, TriageError) as error:
        raise click.ClickException(str(error)) from None
    verdict = judge(findings_of(answer["findings"], ROOT), reasons)
    if as_json:
        _print_json(verdict)
    else:
        _print(verdict, verbose)
        seconds = time.monotonic() - started
        click.echo(f"{answer['detectors']} detectors, {seconds:.0f} s")
    if stub:
        _print_stubs(verdict)
    if not verdict.clean:
        sys.exit(1)


def _print(verdict: Verdict, verbose: bool) -> None:
    if verbose:
        for finding, reason in verdict.explained:
            click.echo(f"{finding.detector} ({finding.impact}) {finding.file}:{finding.line}")
            click.echo(f"  {finding.description.splitlines()[0]}\n  {reason}\n")
    for finding in verdict.open:
        click.echo(f"NO REASON {finding.detector} ({finding.impact}, {finding.confidence})")
        click.echo(f"  {finding.file}:{finding.line}\n  {finding.description}\n")
    for detector, name in verdict.stale:
        click.echo(f"STALE {detector}: nothing is found at {name} any more\n")
    click.echo(f"{'detector':32} {'impact':14} {'findings':>8} {'no reason':>9}")
    for detector, impact, count, open_ in table(verdict):
        click.echo(f"{detector:32} {impact:14} {count:8} {open_:9}")
    click.echo(
        f"{len(verdict.explained)} explained, {len(verdict.open)} without a reason, "
        f"{len(verdict.stale)} stale reasons"
    )


def _print_json(verdict: Verdict) -> None:
    listed = [{**vars(f), "reason": reason} for f, reason in verdict.explained]
    listed += [{**vars(f), "reason": None} for f in verdict.open]
    stale = [{"detector": detector, "name": name} for detector, name in verdict.stale]
    click.echo(json.dumps({"findings": listed, "stale": stale}, indent=1))


def _print_stubs(verdict: Verdict) -> None:
    for detector in dict.fromkeys(f.detector for f in verdict.open):
        click.echo(f"- detector: {detector}\n  reason: >-\n    \n  places:")
        for finding in verdict.open:
            if finding.detector == detector:
                click.echo(f"    - {finding.name}")


if __name__ == "__main__":
    cli()
