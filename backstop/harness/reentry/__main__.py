"""`make reentry`: the re-entry machine for as long as asked."""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections import Counter
from typing import Any

import click

from backstop.chain.artifacts import build_artifacts
from backstop.chain.commands import json_option, translated
from backstop.harness.anvil import Anvil
from backstop.harness.reentry.campaign import Campaign
from backstop.harness.reentry.machine import Machine
from backstop.harness.reentry.world import deploy_reentry_world


def summary(campaign: Campaign, seed: int, seconds: float) -> dict[str, Any]:
    """What was played, in numbers."""
    machine, tally = campaign.machine, campaign.machine.tally
    callbacks = Counter(f"{point.caller} -> {point.hook}" for point in campaign.points)
    played = Counter(where for where, _ in tally.pairs)
    return {
        "seed": seed,
        "seconds": round(seconds, 1),
        "transactions": len(machine.entries),
        "callbacks": {
            name: {"times": count, "calls": played[name.replace(" -> ", ">")]}
            for name, count in sorted(callbacks.items())
        },
        "functions": len(machine.functions),
        "functions_that_work_outside": len(machine.working),
        "views": len(machine.views),
        "pairs": len(tally.pairs),
        "inside": dict(tally.outcomes),
        "views_read_inside": tally.views,
        "not_played_for_want_of_gas": tally.unread,
        "lists": tally.sequences,
        "compared": tally.compared,
        "findings": tally.findings,
    }


def text(found: dict[str, Any]) -> str:
    """The same for people."""
    lines = [f"{'callback':<40}{'times':>7}{'functions and views played':>30}"]
    for name, row in found["callbacks"].items():
        lines.append(f"{name:<40}{row['times']:>7}{row['calls']:>30}")
    inside = found["inside"]
    lines += [
        f"{found['transactions']} transactions; {found['functions']} functions"
        f" ({found['functions_that_work_outside']} work when nobody is at work),"
        f" {found['views']} views; {found['pairs']:,} pairs of callback and call",
        f"inside: {inside.get('locked', 0):,} locked, {inside.get('refused', 0):,} refused as they"
        f" are outside, {inside.get('worked', 0):,} worked; {found['views_read_inside']:,} views"
        f" read; {found['not_played_for_want_of_gas']:,} not played for want of gas",
        f"{found['lists']:,} lists of calls played for good, {found['compared']:,} had an effect",
        f"{len(found['findings'])} findings, {found['seconds']:,} s, seed {found['seed']}",
        *found["findings"][:20],
    ]
    return "\n".join(lines)


@click.command()
@click.option("--minutes", type=click.FloatRange(0), default=1, show_default=True, help="Of lists.")
@click.option("--seed", type=click.IntRange(0), help="Of all arguments; drawn unless given.")
@json_option
@click.pass_context
def cli(ctx: click.Context, minutes: float, seed: int | None, as_json: bool) -> None:
    """Play every function and every view from inside every callback, on a node of its own.

    First each one by one, then random lists of them for --minutes. A finding ends with 1.
    """
    first = secrets.randbelow(2**32) if seed is None else seed
    start = time.monotonic()
    with translated(ctx, as_json), Anvil() as node:
        machine = Machine(deploy_reentry_world(node.client, build_artifacts()), first)
        campaign = Campaign(machine, first)
        campaign.each(_tell)
        campaign.compared(_tell)
        campaign.looked(_tell)
        end = time.monotonic() + 60 * minutes
        campaign.mixed(lambda: time.monotonic() < end, _tell)
    found = summary(campaign, first, time.monotonic() - start)
    click.echo(json.dumps(found, indent=2) if as_json else text(found))
    ctx.exit(1 if found["findings"] else 0)


def _tell(line: str) -> None:
    click.echo(f"{line:<70}" + ("\r" if sys.stderr.isatty() else "\n"), nl=False, err=True)


if __name__ == "__main__":
    cli()
