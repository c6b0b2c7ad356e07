"""Fill a signed order, or match two."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import click
from ape.cli import account_option

from backstop.chain.commands import DecimalType, UserCommand, answer, json_option, open_system


@click.command(cls=UserCommand, short_help="Fill a signed order, or match two")
@click.argument("maker")
@click.argument("taker", required=False)
@account_option()
@click.option("--sub", default=0, type=click.IntRange(0), help="Subaccount number.")
@click.option("--size", type=DecimalType(), help="Base units; all of the order if not given.")
@json_option
def cli(
    maker: str, taker: str | None, account: Any, sub: int, size: Decimal | None, as_json: bool
) -> None:
    """Take the other side of the order in file MAKER, or match it with the one in file TAKER.

    The trade is at the maker's limit price. Anybody may match two signed orders.

    \b
    Example:
      ape run settle_order order.json --account TEST::2
      ape run settle_order bid.json ask.json --account TEST::0
    """
    from backstop.chain.clients import Trader
    from backstop.chain.format import amount, quantity
    from backstop.chain.orders import SignedOrder

    first = SignedOrder.load(maker)
    second = SignedOrder.load(taker) if taker else None
    system = open_system()
    trader = Trader(system, account, sub)
    result = trader.match(first, second, size) if second else trader.fill(first, size)
    symbol, name = system.record.token_symbol, system.record.markets[result.market].name
    answer(
        as_json,
        vars(result),
        f"traded {quantity(result.filled)} {name} at {amount(result.price)}; fees: maker"
        f" {amount(result.maker_fee)}, taker {amount(result.taker_fee)} {symbol}"
        f" ({result.gas_used:,} gas)",
    )
