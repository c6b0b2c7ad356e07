"""Move collateral into an account."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import click
from ape.cli import account_option

from backstop.chain.commands import (
    DecimalType,
    UserCommand,
    answer,
    find_account,
    json_option,
    mint as mint_tokens,
    open_system,
)


@click.command(cls=UserCommand, short_help="Move collateral into an account")
@click.argument("amount", type=DecimalType())
@account_option()
@click.option("--sub", default=0, type=click.IntRange(0), help="Subaccount number.")
@click.option("--to", "target", help="Another account to credit: address or alias, with /sub.")
@click.option("--mint", is_flag=True, help="Mint the amount first (mock token only).")
@json_option
def cli(
    amount: Decimal, account: Any, sub: int, target: str | None, mint: bool, as_json: bool
) -> None:
    """Move AMOUNT of the collateral token from a wallet into an account.

    The token is approved first if it has to be.

    \b
    Example:
      ape run deposit 1000 --account TEST::1 --mint
    """
    from backstop.chain.clients import Trader
    from backstop.chain.format import amount as shown, full_account, quantity

    system = open_system()
    record = system.record
    trader = Trader(system, account, sub)
    if mint:
        mint_tokens(system, trader.address, amount)
    number = find_account(target) if target else trader.number
    moved = trader.deposit(amount, number)
    collateral = trader.account(number).collateral
    answer(
        as_json,
        {**vars(moved), "account": full_account(number), "collateral": collateral},
        f"deposited {quantity(amount)} {record.token_symbol} into {full_account(number)};"
        f" collateral is now {shown(collateral)} ({moved.gas_used:,} gas)",
    )
