"""Make signed orders unusable."""

from __future__ import annotations

from typing import Any

import click
from ape.cli import account_option

from backstop.chain.commands import UserCommand, answer, json_option, open_system


@click.command(cls=UserCommand, short_help="Make signed orders unusable")
@account_option()
@click.option("--sub", default=0, type=click.IntRange(0), help="Subaccount number.")
@click.option("--order", "path", help="File of the order to cancel.")
@click.option("--nonce", type=click.IntRange(0, 2**64 - 1), help="Nonce to cancel.")
@click.option("--all", "everything", is_flag=True, help="All orders signed until now.")
@json_option
def cli(
    account: Any, sub: int, path: str | None, nonce: int | None, everything: bool, as_json: bool
) -> None:
    """Cancel one order of an account, or all.

    `--all` covers every order whose nonce `sign_order` chose, and every smaller nonce.

    \b
    Example:
      ape run cancel --order order.json --account TEST::1
      ape run cancel --all --account TEST::1
    """
    from backstop.chain.clients import Trader
    from backstop.chain.orders import SignedOrder

    if sum((path is not None, nonce is not None, everything)) != 1:
        raise click.UsageError("give one of --order, --nonce and --all")
    if path is not None:
        order = SignedOrder.load(path).order
        nonce, sub = order.nonce, int.from_bytes(order.account[20:], "big")
    trader = Trader(open_system(), account, sub)
    sent = trader.cancel_all() if nonce is None else trader.cancel(nonce)
    what = "all orders signed until now" if everything else f"nonce {nonce}"
    answer(as_json, {**vars(sent), "nonce": nonce}, f"cancelled {what} ({sent.gas_used:,} gas)")
