"""Deal with the backstop's inventory."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import click
from ape.cli import account_option

from backstop.chain.commands import (
    DecimalType,
    UserCommand,
    answer,
    find_market,
    json_option,
    open_system,
)

ACTIONS = ("deploy", "release", "buy", "unwind")


@click.command(cls=UserCommand, short_help="Deal with the backstop's inventory")
@click.argument("action", type=click.Choice(ACTIONS))
@click.argument("market")
@account_option()
@click.option("--sub", default=0, type=click.IntRange(0), help="The keeper's subaccount number.")
@click.option("--amount", type=DecimalType(), help="At most so many tokens (deploy, release).")
@click.option("--max-size", type=DecimalType(), help="At most so many base units (buy).")
@click.option("--limit", type=DecimalType(), help="Worst price per base unit (buy).")
@json_option
def cli(
    action: str,
    market: str,
    account: Any,
    sub: int,
    amount: Decimal | None,
    max_size: Decimal | None,
    limit: Decimal | None,
    as_json: bool,
) -> None:
    """Bring the fund's collateral into its account in MARKET, or take it back; buy what the fund
    holds at the auction's price; tear it up when its loss cap is used up. Anybody may.

    `ape run fund` shows what there is, `ape run liquidate --way backstop` hands positions over.

    \b
    Example:
      ape run inventory deploy BTC --account TEST::3
      ape run inventory buy BTC --max-size 0.5 --limit 59900 --account TEST::3
    """
    from backstop.chain.format import amount as shown, quantity
    from backstop.chain.inventory import CapitalResult, InventoryKeeper

    if action != "buy" and (max_size is not None or limit is not None):
        raise click.UsageError("--max-size and --limit are for `buy`")
    if action in ("buy", "unwind") and amount is not None:
        raise click.UsageError("--amount is for `deploy` and `release`")
    system = open_system()
    number, keeper = find_market(system, market), InventoryKeeper(system, account, sub)
    name, symbol = system.record.markets[number].name, system.record.token_symbol
    result: Any
    if action == "deploy":
        result = keeper.deploy(number, amount)
    elif action == "release":
        result = keeper.release(number, amount)
    elif action == "buy":
        result = keeper.buy(number, max_size, limit)
    else:
        result = keeper.unwind(number)
    gas = f"({result.gas_used:,} gas)"
    if isinstance(result, CapitalResult):
        text = (
            f"{action}: {shown(result.assets)} {symbol} in {name}; the fund has"
            f" {shown(result.invested)} in it {gas}"
        )
    else:
        text = f"{action}: {quantity(result.size)} {name} at {shown(result.price)} {gas}"
    answer(as_json, result, text)
