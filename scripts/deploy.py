"""Deploy a whole system."""

from __future__ import annotations

from typing import Any

import click
from ape.cli import account_option

from backstop.chain.commands import UserCommand, active_provider, answer, json_option, owns_node


@click.command(cls=UserCommand, short_help="Deploy a whole system")
@account_option()
@click.option(
    "--parameters",
    default="parameters/local.yaml",
    show_default=True,
    help="YAML file of parameters.",
)
@json_option
def cli(account: Any, parameters: str, as_json: bool) -> None:
    """Deploy all contracts, set them up and record their addresses.

    The record is deployments/<chain id>.json; all other commands find the system by it. At the end
    every restricted function belongs to a role with its delay.

    \b
    Example:
      ape run deploy --account TEST::0 --network ethereum:local:foundry
    """
    import ape

    from backstop.chain.artifacts import ROOT, compiled_project
    from backstop.chain.config import Parameters
    from backstop.chain.deploy import AccountDeployer, deploy
    from backstop.chain.record import check_writable, record_path

    checked = Parameters.load(parameters)
    provider = active_provider()
    if not (temporary := owns_node(provider)):
        check_writable(provider.chain_id)
    system = deploy(
        checked,
        AccountDeployer(account, provider, compiled_project(ape.project)),
        log=lambda line: click.echo(line, err=as_json),
    )
    if not temporary:
        system.record.save()
    path = record_path(system.record.chain_id)
    where = str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
    answer(
        as_json,
        {"recorded": None if temporary else where, **vars(system.record)},
        "not recorded: this node ends with the command (docs/commands.md says how to keep one)"
        if temporary
        else f"recorded in {where}",
    )
