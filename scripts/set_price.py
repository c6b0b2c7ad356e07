"""Set the price of a mock feed."""

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
    wait,
)


@click.command(cls=UserCommand, short_help="Set the price of a local market's mock feeds")
@click.argument("market")
@click.argument("price", type=DecimalType())
@account_option()
@click.option("--after", default="0s", type=DurationType(), help="Move the local clock first.")
@json_option
def cli(market: str, price: Decimal, account: Any, after: int, as_json: bool) -> None:
    """Push PRICE to all mock feeds of MARKET, and bring the mark up to date as far as it may move.

    The mark follows the price at the market's speed limit: let time pass (`--after`), or repeat.

    \b
    Example:
      ape run set_price BTC 57000 --account TEST::0 --after 1m
    """
    from backstop.chain.clients import Trader
    from backstop.chain.format import amount
    from backstop.chain.views import Reader

    system = open_system()
    number = find_market(system, market)
    sender = Trader(system, account).address
    system.set_price(number, price, sender)
    if after:
        wait(system, after)
        # the feeds' answers have aged with the clock
        system.set_price(number, price, sender)
    system.engine.poke.send(number, sender=sender)
    view = Reader(system).market(number)
    answer(
        as_json,
        view,
        f"{view.name}: index {amount(view.index_price)} ({view.index_validity}),"
        f" mark {amount(view.mark_price)}",
    )
