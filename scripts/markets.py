"""Show the markets."""

from __future__ import annotations

import click

from backstop.chain.commands import UserCommand, answer, json_option, open_system


@click.command(cls=UserCommand, short_help="Show the markets")
@json_option
def cli(as_json: bool) -> None:
    """Show prices, open interest and margins of all markets, and feeds that are not used.

    \b
    Example:
      ape run markets
    """
    from backstop.chain.format import amount, percent, quantity, table
    from backstop.chain.views import Reader

    reader = Reader(open_system())
    markets = reader.markets()
    rows = [
        (
            f"{m.number} {m.name}{' (paused)' if m.paused else ''}",
            amount(m.index_price),
            amount(m.mark_price),
            m.validity,
            quantity(m.open_long),
            quantity(m.open_interest_cap),
            f"{m.funding_premium * 100:.4f}%",
            percent(m.parameters.initial_margin_ppm),
            percent(m.parameters.maintenance_margin_ppm),
        )
        for m in markets
    ]
    header = (
        "market",
        "index",
        "mark",
        "validity",
        "open interest",
        "cap",
        "premium",
        "initial",
        "maintenance",
    )
    lines = [table(header, rows)]
    for market in markets:
        for which, feed in zip(("primary", "secondary"), market.feeds, strict=True):
            if feed.problem not in ("none", "not set"):
                lines.append(f"{market.name}: the {which} feed is not used: {feed.problem}")
    for i in reader.inventories():
        if i.size:
            lines.append(
                f"{i.name}: the backstop offers {quantity(i.size)} base at {amount(i.price)}"
            )
    answer(as_json, markets, "\n".join(lines))
