"""Stake into the insurance fund."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import click
from ape.cli import account_option

from backstop.chain.commands import (
    DecimalType,
    UserCommand,
    answer,
    json_option,
    mint as mint_tokens,
    open_system,
)


@click.command(cls=UserCommand, short_help="Stake into the insurance fund")
@click.argument("amount", type=DecimalType())
@account_option()
@click.option("--mint", is_flag=True, help="Mint the amount first (mock token only).")
@json_option
def cli(amount: Decimal, account: Any, mint: bool, as_json: bool) -> None:
    """Put AMOUNT of the collateral token behind the fund, for a share of its income.

    Stake bears losses as layer 3 and leaves only by a request and a cooldown (docs/staking.md). The
    token is approved first if it has to be, for exactly the amount.

    \b
    Example:
      ape run stake 600 --account TEST::1 --mint
    """
    from backstop.chain.format import quantity
    from backstop.chain.staking import Staker, StakeReader

    system = open_system()
    staker = Staker(system, account)
    if mint:
        mint_tokens(system, staker.address, amount)
    done = staker.stake(amount)
    view, pool = staker.view(), StakeReader(system).pool()
    answer(
        as_json,
        {**vars(done), "share_price": pool.share_price, "stake": view},
        f"staked {quantity(amount)} {system.record.token_symbol} for {quantity(done.shares)} shares"
        f" of series {done.series} at {pool.share_price:.6f}; all {quantity(view.shares)} shares"
        f" are worth {quantity(view.value)} ({done.gas_used:,} gas)",
    )
