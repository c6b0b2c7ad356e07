"""Show an account."""

from __future__ import annotations

import click

from backstop.chain.commands import UserCommand, answer, find_account, json_option, open_system


@click.command(cls=UserCommand, short_help="Show an account")
@click.argument("account")
@json_option
def cli(account: str, as_json: bool) -> None:
    """Show ACCOUNT (address or alias, with /sub): equity, margins, positions.

    \b
    Example:
      ape run account TEST::1
      ape run account 0x70997970C51812dc3A010C7d01b50e0d17dc79C8/1
    """
    from backstop.chain.format import account as short, amount, full_account, quantity, table, time
    from backstop.chain.signing import owner_of
    from backstop.chain.views import Reader

    number = find_account(account)
    system = open_system()
    reader = Reader(system)
    view = reader.account(number)
    wallet = reader.balance(owner_of(number))
    symbol = system.record.token_symbol
    health = "-" if view.health is None else amount(view.health)
    state = "bankrupt" if view.bankrupt else "LIQUIDATABLE" if view.liquidatable else "healthy"
    lines = [
        f"account {full_account(number)}: {state}, health {health}, prices {view.validity}",
        f"  collateral          {amount(view.collateral)} {symbol}",
        f"  equity              {amount(view.equity)}",
        f"  initial margin      {amount(view.initial_margin)}",
        f"  maintenance margin  {amount(view.maintenance_margin)}",
        f"  withdrawable        {amount(view.withdrawable)}",
        f"  locked profit       {amount(view.locked_profit)}",
        f"  in the wallet       {amount(wallet)}",
    ]
    if view.flagged_at:
        lines.append(f"  flagged since       {time(view.flagged_at)}")
    if view.positions:
        rows = [
            (
                p.name,
                quantity(p.size),
                amount(p.mark_price),
                amount(p.notional),
                amount(p.value),
                amount(p.maintenance_margin),
            )
            for p in view.positions
        ]
        header = ("market", "size", "mark", "notional", "value", "maintenance")
        lines += ["", table(header, rows)]
    data = {
        "account": full_account(number),
        "short": short(number),
        "state": state.lower(),
        "health": view.health,
        "wallet": wallet,
    }
    answer(as_json, {**vars(view), **data}, "\n".join(lines))
