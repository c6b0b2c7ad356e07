"""Move collateral out of an account."""

from __future__ import annotations

from typing import Any

import click
from ape.cli import account_option

from backstop.chain.commands import (
    DecimalType,
    UserCommand,
    UserError,
    answer,
    json_option,
    open_system,
)


@click.command(cls=UserCommand, short_help="Move collateral out of an account")
@click.argument("amount")
@account_option()
@click.option("--sub", default=0, type=click.IntRange(0), help="Subaccount number.")
@click.option("--to", "target", help="Address that gets the tokens; the wallet if not given.")
@json_option
def cli(amount: str, account: Any, sub: int, target: str | None, as_json: bool) -> None:
    """Move AMOUNT of the collateral token (or `all`) from an account into a wallet.

    At most what equity leaves above initial margin, less profit that is still locked.

    \b
    Example:
      ape run withdraw 250 --account TEST::1
      ape run withdraw all --account TEST::1
    """
    from backstop.chain.clients import Trader
    from backstop.chain.format import full_account, quantity

    wanted = None if amount == "all" else DecimalType().convert(amount, None, None)
    system = open_system()
    trader = Trader(system, account, sub)
    if wanted is None and not trader.view().withdrawable:
        raise UserError("nothing can be withdrawn now: `ape run account` shows why")
    moved = trader.withdraw(wanted, target)
    answer(
        as_json,
        {**vars(moved), "account": full_account(trader.number)},
        f"withdrew {quantity(moved.amount)} {system.record.token_symbol} from"
        f" {full_account(trader.number)} ({moved.gas_used:,} gas)",
    )
