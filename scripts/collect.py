"""Collect what has come back of losses a staker bore."""

from __future__ import annotations

from typing import Any

import click
from ape.cli import account_option

from backstop.chain.commands import UserCommand, answer, json_option, open_system


@click.command(cls=UserCommand, short_help="Collect what has come back of losses")
@click.argument("holder", required=False)
@account_option()
@json_option
def cli(holder: str | None, account: Any, as_json: bool) -> None:
    """Pay HOLDER (an address; the account itself if not given) its part of recovered losses.

    It belongs to whoever held shares, or was leaving, when the loss fell. Anybody may send it.

    \b
    Example:
      ape run collect --account TEST::1
    """
    from backstop.chain.format import quantity
    from backstop.chain.recoveries import Recoverer

    system = open_system()
    recoverer = Recoverer(system, account)
    paid = recoverer.collect(holder or recoverer.address)
    text = [
        f"loss {one.loss}, {f'bucket {one.part}' if one.part else 'shares'}:"
        f" {quantity(one.amount)} {system.record.token_symbol} to {one.holder}"
        f" ({one.gas_used:,} gas)"
        for one in paid
    ]
    answer(as_json, paid, "\n".join(text))
