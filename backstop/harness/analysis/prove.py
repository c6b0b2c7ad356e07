"""`python -m backstop.harness.analysis.prove`: proofs about the pure libraries."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import yaml

from backstop.harness.analysis.compilation import CompilationError
from backstop.harness.analysis.faults import Fault, read_faults
from backstop.harness.analysis.properties import (
    PROOFS,
    Property,
    bytecode_properties,
    source_properties,
)
from backstop.harness.analysis.smt import (
    PROVED,
    SOLVER,
    UNDECIDED,
    VIOLATED,
    Outcome,
    prove,
    recall_property,
)
from backstop.harness.analysis.symbolic import SymbolicError, check_all, recall_check

KNOWN = PROOFS / "known.yaml"

Row = tuple[Property, Outcome]


def known() -> dict[str, str]:
    """Properties that no solver decides in time, with what is known about them instead."""
    if not KNOWN.is_file():
        return {}
    return {str(k): str(v) for k, v in (yaml.safe_load(KNOWN.read_text()) or {}).items()}


def recall_any(prop: Property, fault: Mapping[str, str] | None = None) -> Outcome | None:
    """What an earlier run decided about a property, with a planted fault if one is given."""
    if prop.name.startswith("check_"):
        return recall_check(prop.name, fault)
    return recall_property(prop, fault)


def remembered(properties: Iterable[Property]) -> list[Row]:
    """What earlier runs decided, without solving anything."""
    unknown = Outcome(UNDECIDED, 0.0, "not decided by any run so far")
    return [(prop, recall_any(prop) or unknown) for prop in properties]


def found_faults(rows: Iterable[Row]) -> set[str]:
    """The properties that an earlier self-test made fail by their planted fault."""
    by_name = {prop.name: prop for prop, _ in rows}
    chosen = (fault for fault in read_faults() if fault.prop in by_name)
    outcomes = ((f.prop, recall_any(by_name[f.prop], f.planted())) for f in chosen)
    return {name for name, outcome in outcomes if outcome and outcome.result == VIOLATED}


def run(properties: Iterable[Property], timeout: float) -> list[Row]:
    """Prove these properties, with a line of progress each."""
    rows: list[Row] = []
    chosen = list(properties)
    checks = [p for p in chosen if p.name.startswith("check_")]
    symbolic = {p.name: kept for p in checks if (kept := recall_check(p.name))}
    if len(symbolic) < len(checks):
        symbolic |= check_all(timeout)
    for number, prop in enumerate(chosen, 1):
        missing = Outcome(UNDECIDED, 0.0, "halmos did not run it")
        outcome = symbolic.get(prop.name, missing) if prop in checks else prove(prop, timeout)
        rows.append((prop, outcome))
        text = f"{number}/{len(chosen)} {outcome.result:14} {prop.name} {outcome.seconds} s"
        click.echo(text, err=True)
    return rows


def self_test(faults: Sequence[Fault], timeout: float) -> list[tuple[Fault, Outcome]]:
    """Plant each fault alone and try to prove its property; a counterexample is what must come."""
    by_name = {p.name: p for p in [*source_properties(), *bytecode_properties()]}
    done = []
    for number, fault in enumerate(faults, 1):
        prop = by_name[fault.prop]
        if kept := recall_any(prop, fault.planted()):
            outcome = kept
        elif prop.name.startswith("check_"):
            outcome = check_all(timeout, fault.planted(), f"{prop.name}").get(
                prop.name, Outcome(UNDECIDED, 0.0, "halmos did not run it")
            )
        else:
            outcome = _try(prop, timeout, fault)
        done.append((fault, outcome))
        text = f"{number}/{len(faults)} {outcome.result:14} {fault.prop} {outcome.seconds} s"
        click.echo(text, err=True)
    return done


def _try(prop: Property, timeout: float, fault: Fault) -> Outcome:
    try:
        return prove(prop, timeout, fault.planted())
    except CompilationError as error:
        return Outcome(UNDECIDED, 0.0, f"the fault does not compile: {error}")


def page(rows: Sequence[Row], reasons: Mapping[str, str], found: Collection[str]) -> str:
    """Markdown: a row for each property; `found` are those whose planted fault was found."""
    lines = [
        "# Proofs about the pure libraries",
        "",
        "`make prove`; what each kind of proof means and rests on: docs/assurance.md. The last",
        "column: whether `--self-test` got a counterexample from the fault that is planted for it.",
        "",
        "| property | statement | domain | result | s | fault |",
        "| --- | --- | --- | --- | ---: | --- |",
    ]
    for prop, outcome in rows:
        result = outcome.result
        if result == UNDECIDED and prop.name in reasons:
            result = f"undecided: {reasons[prop.name].strip()}"
        cells = [f"`{prop.name}`", prop.statement, prop.domain, result, f"{outcome.seconds:.0f}"]
        cells.append("found" if prop.name in found else "not tried")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, ""])


def _as_json(prop: Property, outcome: Outcome) -> dict[str, Any]:
    return {**vars(prop), **vars(outcome)}


def _chosen(match: str) -> list[Property]:
    found = [p for p in [*bytecode_properties(), *source_properties()] if match in p.name]
    if not found:
        raise click.BadParameter(f"no property has {match!r} in its name", param_hint="--match")
    return found


@click.command()
@click.option("--match", default="", help="Only properties with this text in their name.")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds a question may take.")
@click.option("--self-test", "planted", is_flag=True, help="Plant faults: each must be found.")
@click.option("--kept", is_flag=True, help="Only report what earlier runs decided.")
@click.option("--output", type=click.Path(path_type=Path), help="Write the page here.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def cli(
    match: str, timeout: float, planted: bool, kept: bool, output: Path | None, as_json: bool
) -> None:
    """Prove the properties of tests/proofs.

    Exit 1 on a counterexample, and on a property that was not decided and is not in known.yaml.
    """
    if not SOLVER.exists():
        raise click.ClickException("the solvers are not there: run `make prove`")
    try:
        if planted:
            faults = [f for f in read_faults() if match in f.prop]
            sys.exit(_report_faults(self_test(faults, timeout)))
        rows = remembered(_chosen(match)) if kept else run(_chosen(match), timeout)
    except (CompilationError, SymbolicError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    reasons = known()
    if output is not None:
        output.write_text(page(rows, reasons, found_faults(rows)))
    if as_json:
        click.echo(json.dumps([_as_json(*row) for row in rows], indent=1))
    else:
        _print(rows, reasons)
    if any(bad(prop, outcome, reasons) for prop, outcome in rows):
        sys.exit(1)


def bad(prop: Property, outcome: Outcome, reasons: Mapping[str, str]) -> bool:
    """Whether the run must not pass with this."""
    if outcome.result == UNDECIDED:
        return prop.name not in reasons
    return outcome.result != PROVED


def _print(rows: Sequence[Row], reasons: Mapping[str, str]) -> None:
    click.echo(f"{'property':48} {'result':14} {'s':>6}  domain")
    for prop, outcome in rows:
        click.echo(f"{prop.name:48} {outcome.result:14} {outcome.seconds:6.1f}  {prop.domain}")
        if outcome.result == VIOLATED:
            click.echo(f"  {outcome.detail}")
        elif outcome.result == UNDECIDED:
            click.echo(f"  {reasons.get(prop.name, outcome.detail)}")
    proved = sum(outcome.result == PROVED for _, outcome in rows)
    click.echo(f"{proved} of {len(rows)} proved")


def _report_faults(done: Sequence[tuple[Fault, Outcome]]) -> int:
    for fault, outcome in done:
        if outcome.result != VIOLATED:
            text = f"NOT FOUND {fault.prop}: {fault.old!r} -> {fault.new!r}"
            click.echo(f"{text}: {outcome.result} {outcome.detail}")
    found = sum(outcome.result == VIOLATED for _, outcome in done)
    click.echo(f"{found} of {len(done)} planted faults found")
    return 0 if found == len(done) else 1


if __name__ == "__main__":
    cli()
