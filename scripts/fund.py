"""Show the insurance fund."""

from __future__ import annotations

import click

from backstop.chain.commands import UserCommand, answer, json_option, open_system


@click.command(cls=UserCommand, short_help="Show the insurance fund")
@json_option
def cli(as_json: bool) -> None:
    """Show the fund's balance sheet by layer and market, and its limits.

    \b
    Example:
      ape run fund
    """
    from backstop.chain.format import amount, duration, percent, quantity, table, time
    from backstop.chain.views import FundView

    system = open_system()
    sheet = FundView(system).sheet()
    symbol = system.record.token_symbol
    gap = max(sheet.reserve_target - sheet.reserve, sheet.reserve_target * 0)
    rows = [
        (
            c.name,
            amount(c.assets),
            amount(c.cap),
            amount(c.room),
            amount(c.pending_income),
            amount(c.recorded_deficit),
        )
        for c in sheet.compartments
    ]
    header = ("layer 1", "compartment", "cap", "shared room", "income to come", "open deficit")
    text = [
        f"capital {amount(sheet.total)} {symbol} after {sheet.events} events;"
        f" tokens held {amount(sheet.tokens_held)}",
        f"target {amount(sheet.target)}: solvency ratio {sheet.solvency:.3f}, lagged"
        f" {sheet.lagged_solvency:.3f}; surplus that may leave {amount(sheet.surplus)}"
        if sheet.target
        else "no target: nobody says what the fund should hold",
        "",
        table(header, rows),
        "",
        f"layer 2  operator's reserve {amount(sheet.reserve)}, target"
        f" {amount(sheet.reserve_target)} ({amount(gap)} missing)",
        f"layer 3  stake {amount(sheet.staked)} (series {sheet.series}), at most"
        f" {amount(sheet.stake_cap)}; leaving, still"
        f" bearing losses {amount(sheet.slashable - sheet.staked)}; share of income"
        f" {percent(sheet.staker_share_ppm)}",
        *(
            f"         bucket {b.request}: {amount(b.assets)}, matures {time(b.maturity)}"
            for b in sheet.buckets
        ),
        f"         then the operator's second slice {amount(sheet.backing)}",
        f"layer 6  recorded deficit {amount(sheet.recorded_deficit)}",
        f"limits   {amount(sheet.per_claim)} an event, {amount(sheet.per_window)} in"
        f" {duration(sheet.window)} ({amount(sheet.window_room)} left)",
    ]
    if sheet.inventories:
        inventory = [
            (
                i.name,
                f"{amount(i.deployed)} of {amount(i.capital_cap)}",
                quantity(i.size),
                f"{amount(i.notional)} of {amount(i.notional_cap)}",
                amount(i.price) if i.size else "-",
                f"{amount(i.lost)} of {amount(i.loss_cap)}",
            )
            for i in sheet.inventories
        ]
        heads = ("backstop", "capital", "inventory", "notional", "asked", "lost")
        text += ["", table(heads, inventory)]
    answer(as_json, sheet, "\n".join(text))
