"""ape run fuzz: plays the twin against the contracts for as long as asked."""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path
from typing import Any

import click

from backstop.chain.artifacts import ROOT
from backstop.chain.commands import UserError, json_option, translated
from backstop.harness.fuzz.campaign import Finding, Plan, Result, run
from backstop.harness.fuzz.coverage import summary, table

PROFILES = {"dev": (1.0, 40), "ci": (5.0, 80), "nightly": (480.0, 200)}
"""Minutes, and turns of a play."""


@click.command()
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="How long to play.")
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--seed", type=click.IntRange(0), help="Of the first play; drawn unless given.")
@click.option(
    "--length", type=click.IntRange(1, 5_000), help="Turns of one play after its opening."
)
@click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    default="dev",
    show_default=True,
    help="Minutes and length of a play: "
    + ", ".join(f"{name} {minutes:g} and {turns}" for name, (minutes, turns) in PROFILES.items()),
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=ROOT / "tests" / "corpus",
    help="Folder that the file of a failure is written to.",
)
@json_option
@click.pass_context
def cli(
    ctx: click.Context,
    minutes: float | None,
    workers: int,
    seed: int | None,
    length: int | None,
    profile: str,
    out: Path,
    as_json: bool,
) -> None:
    """Play seed after seed on the exact twin and on the contracts, and compare every field.

    Every worker has a node of its own. Ctrl-C ends the run in good order. A failure is shrunk to a
    short file that `ape run replay` plays, and the command ends with 1.

    Example: ape run fuzz --minutes 10 --workers 2 --seed 7
    """
    default_minutes, default_length = PROFILES[profile]
    first = secrets.randbelow(2**32) if seed is None else seed
    plan = Plan(minutes or default_minutes, workers, first, length or default_length)
    click.echo(f"seed {first}, {plan.length} turns a play, {workers} workers", err=True)
    with translated(ctx, as_json):
        result = run(plan, lambda line: click.echo(line, err=True))
        if result.universe is None or (result.broken and not result.findings):
            raise UserError("; ".join(result.broken) or "stopped before the first play")
    files = [_write(finding, out) for finding in result.findings]
    _report(result, plan, files, as_json)
    ctx.exit(1 if result.findings else 0)


def _write(finding: Finding, out: Path) -> Path:
    kind = re.sub(r"[^a-z0-9]+", "-", finding.failure.kind.lower()).strip("-")
    path = out / f"{kind}-{finding.seed}.yaml"
    finding.case.write(path)
    return path


def _report(result: Result, plan: Plan, files: list[Path], as_json: bool) -> None:
    assert result.universe is not None
    found: dict[str, Any] = summary(result.coverage, result.universe)
    found |= {
        "seed": plan.seed,
        "seconds": round(result.seconds, 1),
        "actions_per_second": round(result.coverage.actions / max(result.seconds, 1e-9), 1),
        "interrupted": result.interrupted,
        "failures": [
            {
                "seed": finding.seed,
                "failure": finding.failure.message,
                "actions": finding.original,
                "shrunk_to": len(finding.case.actions),
                "shrink_seconds": round(finding.seconds, 1),
                "on_the_twin_alone": finding.alone,
                "file": str(path),
            }
            for finding, path in zip(result.findings, files, strict=True)
        ],
    }
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(table(found))
    click.echo(
        f"{found['actions']:,} actions in {found['seconds']:,} s "
        f"({found['actions_per_second']:,}/s), {found['plays']:,} plays, first seed {plan.seed}"
    )
    for failure in found["failures"]:
        click.echo(
            f"FAILED with seed {failure['seed']}: {failure['failure']}\n"
            f"{failure['actions']} actions, shrunk to {failure['shrunk_to']} in "
            f"{failure['shrink_seconds']} s; replay: ape run replay {failure['file']}"
        )
