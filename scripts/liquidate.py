"""Liquidate an account."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click
from ape.cli import account_option

from backstop.chain.commands import (
    DecimalType,
    UserCommand,
    answer,
    find_account,
    find_market,
    json_option,
    open_system,
)

if TYPE_CHECKING:
    from backstop.chain.clients import Keeper
    from backstop.chain.deploy import System

WAYS = ("auto", "flag", "take-over", "orders", "backstop", "deleverage", "close-out")


@click.command(cls=UserCommand, short_help="Liquidate an account")
@click.argument("target")
@account_option()
@click.option("--sub", default=0, type=click.IntRange(0), help="The keeper's subaccount number.")
@click.option("--way", type=click.Choice(WAYS), default="auto", show_default=True)
@click.option("--market", help="Only this market; the largest position if not given.")
@click.option("--order", "orders", multiple=True, help="File of a signed order to fill; repeat.")
@click.option("--max-size", type=DecimalType(), help="At most so many base units.")
@json_option
def cli(
    target: str,
    account: Any,
    sub: int,
    way: str,
    market: str | None,
    orders: tuple[str, ...],
    max_size: Decimal | None,
    as_json: bool,
) -> None:
    """Liquidate TARGET (address or alias, with /sub) as far as the rules allow.

    A bankrupt account is closed out and its deficit goes down the waterfall. Of another one that is
    below maintenance margin, a position is filled against the signed orders given, else taken over
    into the keeper's account (which needs collateral), else deleveraged, else flagged. `--way
    backstop` hands a position, or all of a bankrupt account, to the fund's own account.

    \b
    Example:
      ape run liquidate TEST::1 --account TEST::3
      ape run liquidate TEST::1 --account TEST::3 --way orders --order bid.json
    """
    from backstop.chain.inventory import InventoryKeeper
    from backstop.chain.orders import SignedOrder

    victim = find_account(target)
    if way == "orders" and not orders:
        raise click.UsageError("--way orders needs at least one --order FILE")
    files = [SignedOrder.load(path) for path in orders]
    system = open_system()
    keeper = InventoryKeeper(system, account, sub)
    number = find_market(system, market) if market else None
    result: Any
    if way == "auto":
        result = keeper.liquidate(victim, files, number)
    elif way == "flag":
        result = keeper.flag(victim)
    elif way == "close-out":
        result = keeper.close_out(victim)
    elif way == "backstop" and keeper.account(victim).bankrupt:
        result = keeper.close_out_to_backstop(victim)
    else:
        chosen = _largest(keeper, victim) if number is None else number
        if way == "take-over":
            result = keeper.take_over(victim, chosen, max_size)
        elif way == "orders":
            result = keeper.liquidate_with_orders(victim, chosen, files)
        elif way == "backstop":
            result = keeper.to_backstop(victim, chosen)
        else:
            result = keeper.deleverage(victim, chosen, max_size)
    answer(as_json, {"kind": type(result).__name__, **vars(result)}, _text(system, victim, result))


def _largest(keeper: Keeper, victim: bytes) -> int:
    """The market of the position with the most maintenance margin."""
    from backstop.chain.clients import NothingToDo

    positions = [p for p in keeper.account(victim).positions if p.size]
    if not positions:
        raise NothingToDo("the account has no position")
    return max(positions, key=lambda p: p.maintenance_margin).market


def _text(system: System, victim: bytes, result: Any) -> str:
    from backstop.chain.clients import CloseOutResult, Flagged
    from backstop.chain.format import account, amount, quantity

    who, symbol = account(victim), system.record.token_symbol
    gas = f"({result.gas_used:,} gas)"
    if isinstance(result, Flagged):
        return f"{who} is flagged: the discount grows, deleveraging comes after the delay {gas}"
    if not isinstance(result, CloseOutResult):
        name = system.record.markets[result.market].name
        return (
            f"{result.way} of {quantity(result.size)} {name} of {who} at {amount(result.price)};"
            f" surcharge {amount(result.surcharge)}, reward {amount(result.reward)} {symbol} {gas}"
        )
    if not result.resolved:
        return f"{who}: positions with a usable price are closed; the rest has to wait {gas}"
    legs = {
        "compartment": result.compartment,
        "reserve": result.reserve,
        "staked": result.staked,
        "backing": result.backing,
        "reinsurance": result.reinsurance,
        "opposite side": result.side_charged,
        "recorded": result.recorded,
    }
    paid = ", ".join(f"{name} {amount(value)}" for name, value in legs.items() if value)
    return (
        f"{who} is closed out, event {result.event_id}: deficit {amount(result.deficit)} {symbol},"
        f" paid by {paid or 'nobody: there was none'} {gas}"
    )
