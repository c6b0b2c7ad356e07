"""ape run attack: agents that search for profit on the contracts."""

from __future__ import annotations

import json
import secrets
import sys
import time

import click

from backstop.chain.artifacts import build_artifacts
from backstop.chain.commands import UserError, json_option, translated
from backstop.harness.anvil import Anvil
from backstop.harness.attackers.arena import deploy_arena
from backstop.harness.attackers.book import ATTACKS
from backstop.harness.attackers.report import rows, table
from backstop.harness.attackers.search import Search

NAMES = [attack.name for attack in ATTACKS]


@click.command()
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=1, show_default=True)
@click.option("--seed", type=click.IntRange(0), help="Of all numbers; drawn unless given.")
@click.option(
    "--only", multiple=True, type=click.Choice(NAMES), metavar="ATTACK", help="Repeat for several."
)
@json_option
@click.pass_context
def cli(
    ctx: click.Context, minutes: float, seed: int | None, only: tuple[str, ...], as_json: bool
) -> None:
    """Search for an attack that pays, on a node of its own, and print the best of each kind.

    "best found" is what the attacker's accounts together won and honest people did not lose, in
    whole tokens; an attack that pays more than its bound is a finding, and the command ends with 1.
    docs/attacks.md explains each row.

    Example: ape run attack --minutes 10 --seed 7 --only "matched pair"
    """
    first = secrets.randbelow(2**32) if seed is None else seed
    attacks = [attack for attack in ATTACKS if not only or attack.name in only]
    click.echo(f"seed {first}, {len(attacks)} attacks", err=True)
    with translated(ctx, as_json), Anvil() as node:
        search = Search(deploy_arena(node.client, build_artifacts()), first, attacks)
        end = time.monotonic() + 60 * minutes
        try:
            search.rounds(lambda: time.monotonic() < end, _progress)
        except KeyboardInterrupt:
            click.echo("\nstopped", err=True)
        found = list(search.best.values())
        if not any(best.tries for best in found):
            raise UserError("stopped before the first try")
    if sys.stderr.isatty():
        click.echo(err=True)
    if as_json:
        click.echo(
            json.dumps({"seed": first, "minutes": minutes, "attacks": rows(found)}, indent=2)
        )
    else:
        click.echo(table(found))
        for best in found:
            for failure in best.failures[:3]:
                click.echo(f"{best.attack.name}: {failure}")
    ctx.exit(1 if any(best.failures for best in found) else 0)


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{line:<70}", nl=False, err=True)
    else:
        click.echo(line, err=True)
