"""Show the stakers' layer of the fund."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from backstop.chain.commands import UserCommand, answer, find_account, json_option, open_system

if TYPE_CHECKING:
    from backstop.chain.fund_parts import StakePool
    from backstop.chain.staking import StakeView


@click.command(cls=UserCommand, short_help="Show the stakers' layer of the fund")
@click.argument("account", required=False)
@json_option
def cli(account: str | None, as_json: bool) -> None:
    """Show layer 3 of the fund, and what ACCOUNT (address or alias) has in it.

    \b
    Example:
      ape run stakes
      ape run stakes TEST::1
    """
    from backstop.chain.signing import owner_of
    from backstop.chain.staking import StakeReader

    holder = owner_of(find_account(account)) if account else None
    system = open_system()
    reader, symbol = StakeReader(system), system.record.token_symbol
    view = reader.stake(holder) if holder else None
    pool = reader.pool()
    parts = [_staker(view, symbol)] if view else []
    answer(as_json, {"stake": view, "pool": pool}, "\n\n".join([*parts, _pool(pool, symbol)]))


def _staker(view: StakeView, symbol: str) -> str:
    from backstop.chain.format import amount, quantity, table, time

    lines = [
        f"stake of {view.holder}",
        f"  active   {amount(view.value)} {symbol} in {quantity(view.shares)} shares",
        f"  wallet   {amount(view.wallet)}",
    ]
    if view.requests:
        rows = [
            (
                f"  {r.request}",
                amount(r.assets),
                "now" if r.claimable else f"from {time(r.claimable_at)}",
            )
            for r in view.requests
        ]
        lines.append(table(("  request", "worth", "can be claimed"), rows))
    return "\n".join(lines)


def _pool(pool: StakePool, symbol: str) -> str:
    from backstop.chain.format import amount, duration, percent, quantity, table, time

    until = f" until {time(pool.stream_end)}" if pool.stream_end and pool.active else ""
    lines = [
        "layer 3: all stakers",
        f"  active   {amount(pool.active)} {symbol} in {quantity(pool.shares)} shares of series"
        f" {pool.series} at {pool.share_price:.6f}",
        f"  leaving  {amount(pool.leaving)}, still bearing losses; matured and not claimed"
        f" {amount(pool.matured)}",
        f"  income   {percent(pool.share_ppm)} of the fund's; {amount(pool.income_to_come)} on its"
        f" way{until}, {amount(pool.per_day)} a day",
        f"  room     {amount(pool.room)} of at most {amount(pool.cap)}",
        f"  exits    {duration(pool.cooldown)} after the end of their week; this one ends"
        f" {time(pool.epoch_end)}",
    ]
    if pool.held_until:
        lines.append(f"  held     a shortfall is open: none before {time(pool.held_until)}")
    if pool.buckets:
        rows = [(f"  {b.request}", amount(b.assets), time(b.claimable_at)) for b in pool.buckets]
        lines.append(table(("  bucket", "holds", "matures"), rows))
    return "\n".join(lines)
