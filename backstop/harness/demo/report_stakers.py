"""The stakers in the report: what each brought in, lost, earned and has; and how losses fell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from rich.console import Console
from rich.table import Table

from backstop.harness.demo.play import Result
from backstop.harness.demo.stake_book import Loss

_LOSSES = 8
"""Losses that are printed: the largest, in the order of time. JSON has all."""


@dataclass(frozen=True)
class StakerLine:
    """A staker at the end; units of the token, losses and income rounded to the nearest one.

    Attributes:
        joined, asked: seconds; asked is None if it stayed.
        asked_for: what its request was worth when it asked.
        shared: losses that fell while it was there, and all there were.
        left: what it still has in the stake, requests included.
        rounding: what it owns less what stake, income and losses make.
    """

    name: str
    address: str
    staked: int
    joined: int
    asked: int | None
    asked_for: int
    lost: int
    shared: tuple[int, int]
    income: int
    claimed: int
    left: int
    rounding: Fraction


def staker_lines(result: Result) -> list[StakerLine]:
    """Everybody who staked, in the scenario's order."""
    stage, lines = result.stage, []
    book, lead = stage.stakes, result.stakers.lead
    state = result.last.stake
    for one, holder in zip(result.stakers.people, state.holders, strict=True):
        account = book.account(one.address)
        income, left = book.income(one.address, stage.now), state.left(holder)
        due = account.staked + income - account.lost
        lines.append(
            StakerLine(
                name=one.name,
                address=one.address,
                staked=account.staked,
                joined=(account.joined or 0) - lead,
                asked=account.asked[0][0] - lead if account.asked else None,
                asked_for=sum(assets for _, _, assets in account.asked),
                lost=round(account.lost),
                shared=(sum(one.address in loss.borne for loss in book.losses), len(book.losses)),
                income=round(income),
                claimed=account.claimed,
                left=left,
                rounding=account.claimed + left - due,
            )
        )
    return lines


def loss_lines(result: Result) -> list[dict[str, Any]]:
    """Every loss that reached the stakers, for JSON; amounts in units as text."""
    lead = result.stakers.lead
    return [
        {
            "time": loss.time - lead,
            "loss": str(loss.assets),
            "active": str(loss.active),
            "from_active": str(loss.result.from_active),
            "first_bucket": loss.result.first,
            "buckets": [str(held) for held in loss.held],
            "cuts": [str(cut) for cut in loss.result.cuts],
            "fair": loss.fair,
        }
        for loss in result.stage.stakes.losses
    ]


def stakers_json(result: Result) -> dict[str, Any]:
    """The section of the JSON; amounts in units of the token, as text."""
    state = result.last.stake
    return {
        "stakers": [
            {
                "name": line.name,
                "address": line.address,
                "joined": line.joined,
                "asked": line.asked,
                "losses_shared": line.shared[0],
                **{
                    name: str(getattr(line, name))
                    for name in ("staked", "asked_for", "lost", "income", "claimed", "left")
                },
            }
            for line in staker_lines(result)
        ],
        "losses": loss_lines(result),
        "held": str(state.held),
        "claims": str(state.claims),
        "streaming": str(state.streaming),
        "dust": str(state.dust),
    }


def print_stakers(result: Result, console: Console) -> None:
    """The tables, if somebody has staked."""
    lines = staker_lines(result)
    if not lines:
        return
    decimals = result.stage.system.record.token_decimals
    _people(lines, decimals, result.scenario.start, console)
    losses = result.stage.stakes.losses
    if losses:
        _losses(losses, decimals, result.stakers.lead, result.scenario.start, console)
    _proof(lines, result, console)


def _people(lines: list[StakerLine], decimals: int, start: int, console: Console) -> None:
    names = ("staker", "joined", "asked back", "staked", "lost", "losses", "income", "claimed")
    table = _table("The stakers", *names, "still in", "result")
    for line in lines:
        table.add_row(
            line.name,
            moment(line.joined, start),
            moment(line.asked, start) if line.asked else "stays",
            _amount(line.staked, decimals),
            _amount(line.lost, decimals),
            f"{line.shared[0]} of {line.shared[1]}",
            _amount(line.income, decimals),
            _amount(line.claimed, decimals),
            _amount(line.left, decimals),
            _percent(line.claimed + line.left - line.staked, line.staked, sign=True),
        )
    table.add_section()
    sums = [
        _amount(sum(getattr(line, name) for line in lines), decimals)
        for name in ("staked", "lost", "income", "claimed", "left")
    ]
    table.add_row("all", "", "", sums[0], sums[1], "", *sums[2:], "")
    console.print(table)


def _losses(losses: list[Loss], decimals: int, lead: int, start: int, console: Console) -> None:
    largest = sorted(losses, key=lambda loss: -loss.assets)[:_LOSSES]
    title = f"Losses that reached the stakers: {len(losses)}"
    if len(losses) > _LOSSES:
        title += f", the {_LOSSES} largest (--json has all)"
    names = ("time", "loss", "stayed", "bore", "part", "waited for the exit", "bore", "part")
    table = _table(title, *names)
    for loss in sorted(largest, key=lambda loss: loss.time):
        cut = sum(loss.result.cuts)
        row = [moment(loss.time - lead, start), _amount(loss.assets, decimals)]
        for held, bore in ((loss.active, loss.result.from_active), (loss.leaving, cut)):
            row += [_amount(held, decimals), _amount(bore, decimals), _percent(bore, held)]
        table.add_row(*row)
    console.print()
    console.print(table)


def _proof(lines: list[StakerLine], result: Result, console: Console) -> None:
    state, decimals = result.last.stake, result.stage.system.record.token_decimals
    slashed = sum(loss.assets for loss in result.stage.stakes.losses)
    worst = max((abs(line.rounding) for line in lines), default=Fraction(0))
    console.print(
        f"Stake legs of all receipts: {_exact(slashed, decimals)}, all of it borne by the stakers"
        f" of the moment. Layer 3 holds {_exact(state.held, decimals)}: the stakers' claims"
        f" {_exact(state.claims, decimals)}, income on its way {_exact(state.streaming, decimals)},"
        f" rounding {state.dust} units. Stake, income and losses make what everybody owns, but for"
        f" at most {float(worst):.1f} units of {10**-decimals:.{decimals}f}.\n",
        highlight=False,
    )


def moment(time: int, start: int) -> str:
    """Hours and minutes, with the day where it is not that of the start."""
    at, day = datetime.fromtimestamp(time, UTC), datetime.fromtimestamp(start, UTC).date()
    return f"{at:%H:%M}" if at.date() == day else f"{at.day} {at:%b %H:%M}"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_edge=False)
    for position, name in enumerate(columns):
        table.add_column(name, justify="right" if position else "left", no_wrap=True)
    return table


def _amount(units: int, decimals: int) -> str:
    return f"{Decimal(units) / 10**decimals:,.2f}" if units else "·"


def _exact(units: int, decimals: int) -> str:
    whole, part = divmod(units, 10**decimals)
    return f"{whole:,}.{part:0{decimals}d}"


def _percent(part: int, whole: int, *, sign: bool = False) -> str:
    return f"{100 * part / whole:{'+' if sign else ''}.4f} %" if whole else "·"
