"""Ask stake back."""

from __future__ import annotations

from typing import Any

import click
from ape.cli import account_option

from backstop.chain.commands import DecimalType, UserCommand, answer, json_option, open_system


@click.command(cls=UserCommand, short_help="Ask stake back")
@click.argument("amount")
@account_option()
@json_option
def cli(amount: str, account: Any, as_json: bool) -> None:
    """Ask stake worth AMOUNT of the collateral token (or `all`) back from the insurance fund.

    The request joins the bucket of this week, which matures a cooldown after the week's end. Until
    then it earns nothing and bears losses, and it cannot be taken back. `claim_stake` pays it.

    \b
    Example:
      ape run unstake 300 --account TEST::1
      ape run unstake all --account TEST::1
    """
    from backstop.chain.format import amount as shown, quantity, time
    from backstop.chain.staking import Staker

    wanted = None if amount == "all" else DecimalType().convert(amount, None, None)
    system = open_system()
    asked = Staker(system, account).unstake(wanted)
    request = asked.request
    answer(
        as_json,
        asked,
        f"gave {quantity(asked.shares)} shares up for request {request.request}, which is worth"
        f" {shown(request.assets)} {system.record.token_symbol} and matures"
        f" {time(request.claimable_at)}; it earns nothing and bears losses until then"
        f" ({asked.gas_used:,} gas)",
    )
