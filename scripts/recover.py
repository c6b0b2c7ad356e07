"""Give recovered money back to the layers that paid an event."""

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


@click.command(cls=UserCommand, short_help="Give recovered money back to an event's layers")
@click.argument("event", type=click.IntRange(1), required=False)
@click.argument("amount", type=DecimalType(), required=False)
@account_option()
@click.option("--mint", is_flag=True, help="Mint the amount first (mock token only).")
@json_option
def cli(event: int | None, amount: Decimal | None, account: Any, mint: bool, as_json: bool) -> None:
    """Bring AMOUNT recovered for EVENT: it repays the layers that paid, in reverse order.

    Without arguments, show the events on record. Stakers who bore the loss, also those who have
    left, `collect` their part.

    \b
    Example:
      ape run recover --account TEST::1
      ape run recover 1 500 --account TEST::1
    """
    from backstop.chain.format import amount as shown, quantity
    from backstop.chain.recoveries import Recoverer, recorded, sentence

    system = open_system()
    symbol = system.record.token_symbol
    if event is None:
        events = recorded(system)
        lines = [sentence(one, symbol) for one in events]
        answer(as_json, events, "\n".join(lines) or "no event is on record")
        return
    if amount is None:
        raise click.UsageError("AMOUNT is missing")
    recoverer = Recoverer(system, account)
    if mint:
        mint_tokens(system, recoverer.address, amount)
    done = recoverer.recover(event, amount)
    answer(
        as_json,
        done,
        f"gave {quantity(amount)} {symbol} back to the layers of event {event};"
        f" {shown(done.open)} are still open ({done.gas_used:,} gas)",
    )
