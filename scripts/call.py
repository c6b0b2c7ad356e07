"""Call a function of a contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from ape.cli import account_option

from backstop.chain.commands import UserCommand, UserError, answer, json_option, open_system

if TYPE_CHECKING:
    from backstop.chain.deploy import System
    from backstop.chain.governing import Advance


@click.command(cls=UserCommand, short_help="Call a function, through its role's delay")
@click.argument("contract", required=False)
@click.argument("function", required=False)
@click.argument("arguments", nargs=-1)
@account_option()
@click.option("--pending", is_flag=True, help="List the scheduled calls.")
@click.option("--cancel", metavar="ID", help="Cancel a scheduled call by its id, or `all`.")
@json_option
def cli(
    contract: str | None,
    function: str | None,
    arguments: tuple[str, ...],
    account: Any,
    pending: bool,
    cancel: str | None,
    as_json: bool,
) -> None:
    """Call FUNCTION of CONTRACT (a name of the deployment: engine, fund, oracle, authority, ...).

    A function that belongs to a role is called at once if the account's role has no delay. Else it
    is scheduled; the same command again carries it out when its time has come. Amounts are units as
    the contract takes them, or tokens with the symbol (100mUSD); markets, roles, contracts and
    accounts may be named; structs are JSON.

    \b
    Examples:
      ape run call engine pauseRisk BTC --account guardian
      ape run call engine sweepFees BTC --account anybody
      ape run call fund setReserveTarget 300000mUSD --account fund_admin
      ape run call --pending --account anybody
      ape run call --cancel all --account guardian
    """
    from backstop.chain.clients import Governance
    from backstop.chain.governing import WrongCall, advance, make_call

    system = open_system()
    governance = Governance(system, account)
    if pending or cancel:
        if contract:
            raise click.UsageError("--pending and --cancel stand alone")
        _scheduled(system, governance, cancel, as_json)
        return
    if contract is None or function is None:
        raise click.UsageError("name a contract and a function, or give --pending or --cancel")
    try:
        call = make_call(system, contract, function, [_address(word) for word in arguments])
    except WrongCall as error:
        raise UserError(str(error), 2) from None
    done = advance(governance, call)
    if done.state == "refused":
        raise UserError(f"{call}: {governance.address} does not hold the role {done.role}")
    answer(as_json, done, _sentence(system, done))


def _address(word: str) -> str:
    """An alias such as TEST::1 as its address; anything else as it is."""
    from backstop.chain.commands import load_account

    return str(load_account(word).address) if word.startswith("TEST::") else word


def _sentence(system: System, done: Advance) -> str:
    from backstop.chain.format import duration, time

    if done.state == "done":
        return f"{done.call}: done ({done.gas_used:,} gas)"
    left = max(0, done.ready - system.client.timestamp)
    when = f"ready at {time(done.ready)}, in {duration(left)}"
    if done.state == "waiting":
        return f"{done.call}: waiting, {when}"
    return f"{done.call}: scheduled, {when}; run the same command then, within a week"


def _scheduled(system: System, governance: Any, cancel: str | None, as_json: bool) -> None:
    from backstop.chain.format import duration, time
    from backstop.monitor.rules import pending_now

    found = pending_now(system)
    if cancel is None:
        lines = []
        for change in found:
            what = ", ".join(f"{c['name']} {c['to']}" for c in change["changes"])
            when = f"{time(change['ready'])} (in {duration(change['waiting'])})"
            lines += [
                f"{change['contract']}.{change['function']} by {change['caller']}, ready at {when}",
                f"  id {change['operation']}",
                f"  {what}",
            ]
        answer(as_json, found, "\n".join(lines) or "nothing is scheduled")
        return
    chosen = [change for change in found if cancel in ("all", change["operation"])]
    if not chosen:
        raise UserError(
            "nothing is scheduled" if cancel == "all" else f"nothing is scheduled as {cancel}"
        )
    for change in chosen:
        authority = system.authority
        data = bytes.fromhex(change["data"][2:])
        authority.cancel.send(change["caller"], change["target"], data, sender=governance.address)
    names = [f"{change['contract']}.{change['function']}: cancelled" for change in chosen]
    answer(as_json, chosen, "\n".join(names))
