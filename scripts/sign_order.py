"""Sign an order into a file."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import click
from ape.cli import account_option

from backstop.chain.commands import (
    DecimalType,
    DurationType,
    UserCommand,
    answer,
    find_market,
    json_option,
    open_system,
)


@click.command(cls=UserCommand, short_help="Sign an order into a file")
@click.argument("market")
@click.argument("side", type=click.Choice(["buy", "sell"]))
@click.argument("size", type=DecimalType())
@click.argument("price", type=DecimalType())
@account_option()
@click.option("--sub", default=0, type=click.IntRange(0), help="Subaccount number.")
@click.option("--valid-for", default="1h", show_default=True, type=DurationType())
@click.option("--nonce", type=click.IntRange(0, 2**64 - 1), help="Any number not used before.")
@click.option("--reduce-only", is_flag=True, help="Only ever shrink the position.")
@click.option("--output", "-o", default="order.json", show_default=True, help="File to write.")
@json_option
def cli(
    market: str,
    side: str,
    size: Decimal,
    price: Decimal,
    account: Any,
    sub: int,
    valid_for: int,
    nonce: int | None,
    reduce_only: bool,
    output: str,
    as_json: bool,
) -> None:
    """Sign an order: SIDE (buy or sell) SIZE base units in MARKET at PRICE or better.

    Nothing is sent. Whoever has the file can fill the order until it expires or is cancelled.

    \b
    Example:
      ape run sign_order BTC buy 0.1 60000 --account TEST::1 -o order.json
    """
    from backstop.chain.clients import Trader
    from backstop.chain.format import time

    system = open_system()
    trader = Trader(system, account, sub)
    signed = trader.sign_order(
        find_market(system, market),
        side == "buy",
        size,
        price,
        valid_for=valid_for,
        nonce=nonce,
        reduce_only=reduce_only,
    )
    try:
        signed.save(output)
    except OSError as error:
        raise click.FileError(output, error.strerror or "cannot be written") from None
    answer(
        as_json,
        {"file": output, **signed.to_dict()},
        f"wrote {output}: {side} {size} {market.upper()} at {price}, valid until"
        f" {time(signed.order.expiry)}, nonce {signed.order.nonce}",
    )
