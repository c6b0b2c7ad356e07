"""ape run replay: plays a recorded duel again, in several ways, and says whether all agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from backstop.chain.artifacts import MissingArtifact, build_artifacts
from backstop.chain.commands import UserError, json_option, translated
from backstop.harness.anvil import Anvil, AnvilError, account_address
from backstop.harness.fuzz.case import Case, CaseError, fingerprint, read_case
from backstop.harness.fuzz.replay import ALL_WAYS, WAYS, Replay, replay
from backstop.harness.fuzz.shrink import Failure
from backstop.harness.world import deploy_world


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--way",
    "ways",
    multiple=True,
    type=click.Choice(ALL_WAYS),
    help="Play the contracts only so; repeat. Both fast ways unless given.",
)
@click.option("--twin", "twin_only", is_flag=True, help="Play the twin alone, without a node.")
@json_option
@click.pass_context
def cli(
    ctx: click.Context, file: Path, ways: tuple[str, ...], twin_only: bool, as_json: bool
) -> None:
    """Play FILE, a recorded duel, on the twin and on the contracts of a node of its own.

    The contracts play it transaction by transaction, whole in one eth_simulateV1 request, and with
    --way ape by accounts of ape. Every outcome and every field is compared with the twin, to the
    wei, and the ways with each other.
    Ends with 0 if all agree and the play reaches what the file promises, with 1 if not.

    Example: ape run replay tests/corpus/epoch-ended.yaml
    """
    with translated(ctx, as_json):
        case = _read(file)
        if case.world != fingerprint():
            note = f"{file} was made in world {case.world}, this is world {fingerprint()}"
            click.echo(f"{note}: it may not reach the same", err=True)
        found = _play(case, ways or WAYS, twin_only)
    click.echo(json.dumps(found, indent=2) if as_json else _text(found))
    ctx.exit(0 if found["agree"] and not found["missing"] else 1)


def _read(file: Path) -> Case:
    try:
        return read_case(file)
    except CaseError as error:
        raise UserError(str(error), exit_code=2) from None


def _play(case: Case, ways: tuple[str, ...], twin_only: bool) -> dict[str, Any]:
    """What came of it, ready for JSON."""
    try:
        if twin_only:
            duel = case.play()
            missing = tuple(name for name in case.reaches if not duel.milestones[name])
            return _found(Replay(duel, (), missing))
        with Anvil() as node:
            chain = deploy_world(node.client, build_artifacts(), account_address(0))
            return _found(replay(case, chain, ways))
    except CaseError as error:
        raise UserError(str(error), exit_code=2) from None
    except (AnvilError, MissingArtifact) as error:
        raise UserError(str(error)) from None
    except Exception as error:
        notes = getattr(error, "__notes__", [])
        message = "\n".join([Failure.of(error).message, *notes])
        return {"agree": False, "failure": message, "ways": [], "missing": []}


def _found(played: Replay) -> dict[str, Any]:
    duel = played.duel
    return {
        "agree": True,
        "actions": duel.actions,
        "ways": ["twin", *played.ways],
        "reached": dict(sorted((+duel.milestones).items())),
        "missing": list(played.missing),
    }


def _text(found: dict[str, Any]) -> str:
    if not found["agree"]:
        return f"DIFFERS: {found['failure']}"
    lines = [f"{found['actions']} actions; all agree: {', '.join(found['ways'])}"]
    if "simulation" not in found["ways"] and "transactions" in found["ways"]:
        lines.append("played as transactions only (no eth_simulateV1, or not asked for)")
    lines.append("reached: " + (", ".join(found["reached"]) or "no milestone"))
    if found["missing"]:
        lines.append("NOT REACHED, though the file promises it: " + ", ".join(found["missing"]))
    return "\n".join(lines)
