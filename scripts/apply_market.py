"""Bring a market to what a parameter file says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from ape.cli import account_option

from backstop.chain.commands import UserCommand, UserError, answer, json_option, open_system

if TYPE_CHECKING:
    from backstop.chain.deploy import System
    from backstop.chain.listing import Addresses, Wish


@click.command(cls=UserCommand, short_help="List a market, or change one, as a file says")
@click.argument("parameters", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("market")
@account_option()
@click.option("--dry-run", is_flag=True, help="Say what would be called; send nothing.")
@json_option
def cli(parameters: Path, market: str, account: Any, dry_run: bool, as_json: bool) -> None:
    """Bring MARKET to what the file PARAMETERS says: price feeds, rules, place in the fund.

    What differs is called, each call by the role it belongs to. A role with a delay schedules; the
    same command again, from the time that it names, carries out. A market that the deployment does
    not know is listed as its next one. Calls of roles that the account does not hold are left to
    their holders.

    \b
    Example:
      ape run apply_market parameters/next.yaml SOL --account TEST::0
    """
    from backstop.chain.clients import Governance
    from backstop.chain.config import Parameters
    from backstop.chain.governing import Advance, advance, role_of
    from backstop.chain.listing import missing_calls, wish

    system = open_system()
    try:
        wanted = wish(system, Parameters.load(parameters), market)
    except LookupError as error:
        raise UserError(str(error), 2) from None
    governance = Governance(system, account)
    feeds = _feeds(system, wanted, governance.address, dry_run)
    calls = missing_calls(system, wanted, feeds)
    done = []
    for call in calls:
        if dry_run:
            done.append(Advance(call, "missing", role=role_of(call) or ""))
            continue
        if done and done[-1].state != "done" and call.function == "listMarket":
            # the engine asks the oracle: nothing is carried out before its feeds are
            ready = governance.ready_at(call.contract, call.function, *call.arguments)
            if ready and ready <= system.client.timestamp:
                done.append(Advance(call, "waiting", ready))
                continue
        done.append(advance(governance, call))
    count = system.engine.marketCount()
    if wanted.number < count and wanted.number == len(system.record.markets):
        _record(system, wanted, feeds)
    answer(as_json, done, _text(system, wanted, done))


def _feeds(system: System, wanted: Wish, sender: str, dry_run: bool) -> Addresses:
    """The feeds' addresses; mocks are looked for in force and among the scheduled, else made."""
    from backstop.chain.deploy import ZERO_ADDRESS
    from backstop.chain.listing import feeds_in_force, feeds_wanted
    from backstop.chain.units import scaled
    from backstop.monitor.rules import scheduled_calls

    known = feeds_in_force(system, wanted.number)
    if known[0] == ZERO_ADDRESS:
        for call in scheduled_calls(system):
            if call.function == "setFeeds" and call.arguments[0] == wanted.number:
                known = (call.arguments[1].primary.source, call.arguments[1].secondary.source)
    found = list(feeds_wanted(wanted, known))
    configs = (wanted.market.feeds.primary, wanted.market.feeds.secondary)
    for place, config in enumerate(configs):
        if found[place] is not None or config is None or config.mock_price is None:
            continue
        if dry_run:
            found[place] = ZERO_ADDRESS
            continue
        price = scaled(config.mock_price, config.decimals)
        mock = system.client.deploy(
            system.artifacts("MockFeed"), config.decimals, price, sender=sender
        )
        found[place] = mock.address
    return str(found[0]), str(found[1])


def _record(system: System, wanted: Wish, feeds: Addresses) -> None:
    """The new market's name and feeds go into the deployment's record."""
    from backstop.chain.deploy import ZERO_ADDRESS
    from backstop.chain.record import DeployedFeed, DeployedMarket

    configs = (wanted.market.feeds.primary, wanted.market.feeds.secondary)
    deployed = tuple(
        DeployedFeed(address, config.decimals, config.address is None)
        for address, config in zip(feeds, configs, strict=True)
        if config is not None and address != ZERO_ADDRESS
    )
    market = DeployedMarket(wanted.market.name, deployed)
    replace(system.record, markets=(*system.record.markets, market)).save()


def _text(system: System, wanted: Wish, done: list[Any]) -> str:
    from backstop.chain.format import duration, time

    if not done:
        return f"{wanted.market.name}: everything is as the file says"
    now, lines = system.client.timestamp, []
    for one in done:
        text = {"done": "done", "refused": f"left to the {one.role}", "missing": "differs"}.get(
            one.state,
            f"{one.state}, ready at {time(one.ready)}, in {duration(max(0, one.ready - now))}",
        )
        lines.append(f"{wanted.market.name}: {one.call} {text}")
    return "\n".join(lines)
