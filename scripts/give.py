"""Give to a layer of the insurance fund."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click
from ape.cli import account_option

from backstop.chain.commands import (
    DecimalType,
    UserCommand,
    UserError,
    answer,
    find_market,
    json_option,
    mint as mint_tokens,
    open_system,
)

if TYPE_CHECKING:
    from backstop.chain.deploy import System

NAMES = {
    "reserve": "the operator's reserve",
    "backing": "the operator's second slice",
    "stakers": "the stakers",
    "premium": "the budget for premiums",
}


@click.command(cls=UserCommand, short_help="Give to a layer of the insurance fund")
@click.argument("amount", type=DecimalType())
@account_option()
@click.option(
    "--to", "layer", required=True, help="reserve, backing, stakers, premium, compartment:MARKET."
)
@click.option("--mint", is_flag=True, help="Mint the amount first (mock token only).")
@json_option
def cli(amount: Decimal, account: Any, layer: str, mint: bool, as_json: bool) -> None:
    """Give AMOUNT of the collateral token to a layer of the fund; it is not given back.

    A plain transfer to the fund is no gift: it counts nowhere. What stakers are given reaches them
    over seven days. The token is approved first if it has to be, for exactly the amount.

    \b
    Example:
      ape run give 500 --to reserve --account TEST::1 --mint
      ape run give 500 --to compartment:BTC --account TEST::1
    """
    from backstop.chain.upkeep import Donor, donation

    system = open_system()
    kind, market, name = _layer(system, layer)
    donor = Donor(system, account)
    if mint:
        mint_tokens(system, donor.address, amount)
    given = donor.give(kind, amount, market)
    text = f"{donation(given, system.record.token_symbol, name)} ({given.gas_used:,} gas)"
    if kind == "stakers" and not system.tranche.totalSupply():
        text += "; nobody is staked: it waits until somebody is"
    answer(as_json, given, text)


def _layer(system: System, text: str) -> tuple[str, int | None, str]:
    """Layer, market and name of what `--to` says."""
    kind, _, market = text.partition(":")
    if kind == "compartment" and market:
        number = find_market(system, market)
        return kind, number, f"the compartment of {system.record.markets[number].name}"
    if text in NAMES:
        return text, None, NAMES[text]
    raise UserError(
        f"--to {text} is no layer: give one of {', '.join(NAMES)}, or compartment:MARKET such as"
        " compartment:BTC",
        2,
    )
