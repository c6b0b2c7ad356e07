"""Add capital to the fund."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import click
from ape.cli import account_option

from backstop.chain.commands import (
    DecimalType,
    UserCommand,
    UserError,
    answer,
    find_market,
    json_option,
    open_system,
)


@click.command(cls=UserCommand, short_help="Add capital to the fund")
@click.argument("layer", type=click.Choice(["compartment", "reserve", "backing", "stakers"]))
@click.argument("amount", type=DecimalType())
@click.option("--market", help="Whose compartment.")
@account_option()
@click.option("--mint", is_flag=True, help="Mint the amount first (mock token only).")
@json_option
def cli(
    layer: str, amount: Decimal, market: str | None, account: Any, mint: bool, as_json: bool
) -> None:
    """Give AMOUNT tokens to a layer of the fund. There is no way back: it is a gift to the fund.

    `compartment` is layer 1 of one market, up to its cap; `reserve` is layer 2, `backing` the
    operator's second slice behind the stakers; `stakers` is income that reaches them over a week.

    \b
    Examples:
      ape run add_capital reserve 150000 --account operator
      ape run add_capital compartment 20000 --market BTC --account operator
    """
    from backstop.chain.clients import Trader
    from backstop.chain.format import amount as shown, quantity
    from backstop.chain.units import scaled

    if (market is not None) != (layer == "compartment"):
        raise click.UsageError("--market goes with compartment, and only with it")
    system = open_system()
    record, fund = system.record, system.fund
    giver = Trader(system, account)
    units = scaled(amount, record.token_decimals)
    number = None if market is None else find_market(system, market)
    if mint:
        if not record.token_mock:
            raise UserError(f"{record.token_symbol} is a real token: it cannot be minted here")
        system.token.mint.send(giver.address, units, sender=giver.address)
    held = giver.balance(giver.address)
    if held < amount:
        raise UserError(
            f"{giver.address} has {shown(held)} {record.token_symbol},"
            f" {shown(amount - held)} are missing"
        )
    if system.token.allowance(giver.address, fund.address) < units:
        system.token.approve.send(fund.address, units, sender=giver.address)
    if number is not None:
        receipt = fund.fundCompartment.send(
            system.engine.address, number, units, sender=giver.address
        )
    else:
        receipt = fund[f"fund{layer.capitalize()}"].send(units, sender=giver.address)
    capital = Decimal(fund.totalCapital()).scaleb(-record.token_decimals)
    where = f"{market} compartment" if market else layer
    answer(
        as_json,
        {"layer": layer, "market": market, "amount": amount, "capital": capital},
        f"added {quantity(amount)} {record.token_symbol} to the {where}; the fund's capital is now"
        f" {shown(capital)} ({receipt.gas_used:,} gas)",
    )
