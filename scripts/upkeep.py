"""Bring the fund's figures up to date."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import click
from ape.cli import account_option

from backstop.chain.commands import DecimalType, UserCommand, answer, json_option, open_system


@click.command(cls=UserCommand, short_help="Bring the fund's figures up to date")
@account_option()
@click.option(
    "--collect-from",
    type=DecimalType(),
    default="1",
    show_default=True,
    help="Tokens from which on what a closed fair window owes somebody is collected for him.",
)
@json_option
def cli(account: Any, collect_from: Decimal, as_json: bool) -> None:
    """Move the target, close a fair window that is over and collect what closed ones owe, hand
    income over, note gap and solvency, let the terms follow. Anybody may.

    What does not apply is skipped. What a contract refuses does not stop the rest; the exit code is
    1 then.

    \b
    Example:
      ape run upkeep --account TEST::1
    """
    from backstop.chain.upkeep import Caretaker

    chores, lines = [], []
    for chore in Caretaker(open_system(), account).upkeep(collect_from):
        chores.append(chore)
        note = f"{chore.gas_used:,} gas" if chore.state == "done" else chore.state
        lines.append(f"{chore.what:<15} {chore.says} ({note})")
    answer(as_json, chores, "\n".join(lines))
    if any(chore.state == "refused" for chore in chores):
        click.get_current_context().exit(1)
