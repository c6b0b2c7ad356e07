"""Take matured stake."""

from __future__ import annotations

from typing import Any

import click
from ape.cli import account_option

from backstop.chain.commands import UserCommand, answer, json_option, open_system


@click.command(cls=UserCommand, short_help="Take matured stake")
@account_option()
@click.option("--request", type=click.IntRange(1), help="Only this one; all matured if not given.")
@json_option
def cli(account: Any, request: int | None, as_json: bool) -> None:
    """Pay the requests that have matured into the wallet, and say when the others will.

    \b
    Example:
      ape run claim_stake --account TEST::1
    """
    from backstop.chain.format import quantity
    from backstop.chain.staking import Staker

    system = open_system()
    staker = Staker(system, account)
    claimed = staker.claim(request)
    view = staker.view()
    left = [r for r in view.requests if not r.claimable]
    lines = [
        f"request {c.request} paid {quantity(c.amount)} {system.record.token_symbol}"
        f" ({c.gas_used:,} gas)"
        for c in claimed
    ]
    lines += [staker.pending(r) for r in left]
    answer(as_json, {"claimed": claimed, "stake": view}, "\n".join(lines))
