"""Crash cover: show it, open and write series, move them on."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click
from ape.cli import account_option

from backstop.chain.commands import (
    DecimalType,
    UserCommand,
    answer,
    find_market,
    json_option,
    mint as mint_tokens,
    open_system,
)

if TYPE_CHECKING:
    from backstop.chain.reinsurance import SeriesView


class TimeType(click.ParamType):
    """A point in time, UTC."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Seconds since 1970 of `2026-03-01T12:00` or of the number itself."""
        if isinstance(value, int):
            return value
        if value.isdecimal():
            return int(value)
        try:
            moment = datetime.datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time: write 2026-03-01T12:00 (UTC)", param, ctx)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        return int(moment.timestamp())


class PercentType(click.ParamType):
    """A percentage with its sign, in 1e-6."""

    name = "percentage"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Parts per million of `2%`."""
        from backstop.chain.units import UnitError, parse_fraction

        if isinstance(value, int):
            return value
        try:
            return parse_fraction(value, 6)
        except UnitError as error:
            self.fail(f"{value!r} is not {error}", param, ctx)


@click.group(short_help="Crash cover of the fund: status, open, write, activate, settle, withdraw")
def cli() -> None:
    """Crash cover: put spreads on a market's index that underwriters pay for in advance.

    \b
    Example:
      ape run crash_put status
      ape run crash_put write 1 500 --account TEST::5 --mint
    """


@cli.command(cls=UserCommand)
@json_option
def status(as_json: bool) -> None:
    """Show all series, and the fund's budget for premiums."""
    from backstop.chain.format import amount, percent, table, time
    from backstop.chain.reinsurance import PutView

    system = open_system()
    cover = PutView(system).cover()
    symbol = system.record.token_symbol
    header = (
        *("series", "market", "state", "strike", "floor", "written", "of", "premium"),
        *("paid", "value now", "write until", "expiry"),
    )
    rows = [
        (
            *(str(s.number), s.name, s.state, amount(s.terms.strike), amount(s.terms.floor)),
            *(amount(s.written), amount(s.terms.size), percent(s.terms.premium_ppm)),
            *(amount(s.paid), "no price" if s.value is None else amount(s.value)),
            *(time(s.terms.write_until), time(s.terms.expiry)),
        )
        for s in cover.series
    ]
    budget = (
        f"premiums {amount(cover.budget)} {symbol} of at most {amount(cover.budget_cap)};"
        f" {percent(cover.share_ppm)} of income"
    )
    text = [table(header, rows) if rows else "no series yet", "", budget]
    if not cover.in_use:
        text.append("the fund asks another reinsurer, or none: nothing here covers it")
    answer(as_json, cover, "\n".join(text))


@cli.command("open", cls=UserCommand)
@click.argument("market")
@account_option()
@click.option("--strike", type=DecimalType(), required=True, help="Worth nothing from here on up.")
@click.option("--floor", type=DecimalType(), required=True, help="Worth all from here on down.")
@click.option(
    "--start-price", type=DecimalType(), required=True, help="Lowest price it may start at."
)
@click.option("--size", type=DecimalType(), required=True, help="Most collateral, tokens.")
@click.option("--premium", type=PercentType(), required=True, help="Of collateral, such as 2%.")
@click.option("--write-until", type=TimeType(), required=True, help="UTC, 2026-03-01T12:00.")
@click.option("--expiry", type=TimeType(), required=True, help="UTC, 2026-04-01T12:00.")
@json_option
def open_(market: str, account: Any, as_json: bool, **values: Any) -> None:
    """Open a series on MARKET; with a delay of the role, run it again when that is over.

    The same values are needed the second time.

    \b
    Example:
      ape run crash_put open BTC --account TEST::0 --strike 45000 --floor 25000 --start-price 55000
        --size 10000 --premium 2% --write-until 2026-03-01T12:00 --expiry 2026-04-01T12:00
    """
    from backstop.chain.format import time
    from backstop.chain.reinsurance import SeriesDesk, SeriesTerms

    system = open_system()
    desk = SeriesDesk(system, account)
    terms = SeriesTerms(
        market=find_market(system, market), premium_ppm=values.pop("premium"), **values
    )
    number, ready_at, sent = desk.open(terms)
    text = (
        f"series {number} is open for writing until {time(terms.write_until)}"
        if number
        else f"announced; run the same command again from {time(ready_at)} on"
    )
    answer(as_json, {**vars(sent), "series": number or None, "ready_at": ready_at or None}, text)


@cli.command(cls=UserCommand)
@click.argument("series", type=click.IntRange(1))
@click.argument("amount", type=DecimalType())
@account_option()
@click.option("--mint", is_flag=True, help="Mint the amount first (mock token only).")
@json_option
def write(series: int, amount: Decimal, account: Any, mint: bool, as_json: bool) -> None:
    """Write AMOUNT of collateral into SERIES; it stays until that is settled or cancelled."""
    from backstop.chain.reinsurance import Underwriter

    system = open_system()
    user = Underwriter(system, account)
    if mint:
        mint_tokens(system, user.address, amount)
    _report(as_json, user.write(series, amount), series, "wrote", "collateral")


@cli.command(cls=UserCommand)
@click.argument("series", type=click.IntRange(1))
@account_option()
@json_option
def activate(series: int, account: Any, as_json: bool) -> None:
    """Start the cover of SERIES and pay its premium out of the fund's budget; anybody may."""
    from backstop.chain.reinsurance import Underwriter

    user = Underwriter(open_system(), account)
    _report(as_json, user.activate(series), series, "started for", "premium")


@cli.command(cls=UserCommand)
@click.argument("series", type=click.IntRange(1))
@account_option()
@json_option
def settle(series: int, account: Any, as_json: bool) -> None:
    """End an expired SERIES at the index price; anybody may."""
    from backstop.chain.reinsurance import Underwriter

    user = Underwriter(open_system(), account)
    _report(as_json, user.settle(series), series, "settled:", "to the fund's reserve")


@cli.command(cls=UserCommand)
@click.argument("series", type=click.IntRange(1))
@account_option()
@json_option
def withdraw(series: int, account: Any, as_json: bool) -> None:
    """Take one's part of a settled or cancelled SERIES."""
    from backstop.chain.reinsurance import Underwriter

    user = Underwriter(open_system(), account)
    _report(as_json, user.withdraw(series), series, "withdrew", "of collateral and premium")


def _report(as_json: bool, moved: Any, number: int, done: str, what: str) -> None:
    from backstop.chain.format import quantity
    from backstop.chain.reinsurance import PutView

    system = open_system()
    view: SeriesView = PutView(system).series(number)
    answer(
        as_json,
        {**vars(moved), "series": view},
        f"series {number} on {view.name}: {done} {quantity(moved.amount)}"
        f" {system.record.token_symbol} {what}; it is {view.state}"
        f" with {quantity(view.written)} written ({moved.gas_used:,} gas)",
    )
