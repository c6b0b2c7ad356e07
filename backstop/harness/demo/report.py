"""After the run: receipts, who paid what, conservation, outcomes; as tables and as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from backstop.harness.demo.book import FLAT, KEEPER, MAKER, Participant
from backstop.harness.demo.play import Result
from backstop.harness.demo.report_stakers import print_stakers, stakers_json
from backstop.harness.demo.table import clock
from backstop.harness.demo.tally import LAYERS

_SHOWN = 12
"""Receipts that are printed: the largest, in the order of time. JSON has all."""

LAYER_NAMES = {
    "compartment": "1 market's compartment",
    "reserve": "2 operator's reserve",
    "staked": "3 staked tranche",
    "backing": "3b second slice",
    "reinsurance": "4 reinsurance",
    "side": "5 opposite side",
    "recorded": "6 recorded deficit",
}


def amount(wad: int) -> str:
    """WAD as tokens with cents."""
    return f"{Decimal(wad) / 10**18:,.2f}"


def exact(wad: int) -> str:
    """WAD as tokens, to the wei."""
    sign, digits = "-" if wad < 0 else "", f"{abs(wad):019d}"
    return f"{sign}{int(digits[:-18]):,}.{digits[-18:]}"


def group_of(result: Result, one: Participant) -> str:
    """Which line of the table a participant is in."""
    if one.kind != "trader":
        return {MAKER: "market makers", KEEPER: "keepers", FLAT: "flat accounts"}[one.kind]
    signs = {base > 0 for base in one.target.values()}
    side = "longs" if signs == {True} else "shorts" if signs == {False} else "hedged"
    if one.account in {s.account for s in result.tally.shortfalls}:
        return f"{side}, bankrupt"
    return f"{side}, liquidated" if one.account in result.tally.liquidated else f"{side}, untouched"


def gains(result: Result) -> list[tuple[str, int, int, int]]:
    """(group, members, deposited, owned at the end) in WAD; over all of them nothing is created.

    The last lines are the fund (its own tokens and its income still in the engine), the stakers,
    the treasury, recorded deficits and dust: the ends add up to what was put in, to the wei.
    """
    members: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    scale = result.stage.scale
    for one, state in zip(result.plan.participants, result.states, strict=True):
        line = members[group_of(result, one)]
        line[0] += 1
        line[1] += one.collateral * scale
        line[2] += state.equity
    markets = result.last.markets
    lines = [(name, v[0], v[1], v[2]) for name, v in sorted(members.items())]
    pending = sum(m.fundFees for m in markets)
    before, after = result.first_fund.own * scale, result.last_fund.own * scale
    lines.append(("insurance fund", 1, before, after + pending))
    if result.stakers.people:
        accounts = result.stage.stakes.accounts.values()
        claimed = sum(account.claimed for account in accounts)
        staked = sum(account.staked for account in accounts)
        # income on its way to them included
        owned = result.last.stake.held + claimed
        lines.append(("stakers", len(result.stakers.people), staked * scale, owned * scale))
    lines.append(("treasury", 1, 0, sum(m.treasuryFees for m in markets)))
    lines.append(("recorded deficit", 0, 0, -result.books.recorded))
    lines.append(("dust", 0, 0, result.books.dust))
    return lines


def paid_by_layer(result: Result) -> dict[str, int]:
    """What each layer paid of all deficits, WAD."""
    return {layer: result.tally.sums[f"layer {layer}"] for layer in LAYERS}


def print_report(result: Result, console: Console) -> None:
    """All of it, as tables."""
    console.print()
    _receipts(result, console)
    _layers(result, console)
    print_stakers(result, console)
    _gains(result, console)
    _books(result, console)
    _outcomes(result, console)


def _table(title: str, *columns: str, left: int = 1) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_edge=False)
    for position, name in enumerate(columns):
        table.add_column(name, justify="left" if position < left else "right", no_wrap=True)
    return table


def _receipts(result: Result, console: Console) -> None:
    shortfalls = result.tally.shortfalls
    if not shortfalls:
        console.print("No account went bankrupt: there are no receipts.\n")
        return
    largest = sorted(shortfalls, key=lambda s: -s.deficit)[:_SHOWN]
    title = f"Receipts: {len(shortfalls)} bankrupt accounts"
    if len(shortfalls) > _SHOWN:
        title += f", the {_SHOWN} largest (--json has all)"
    table = _table(
        title,
        "time",
        "account",
        "positions",
        "event",
        "deficit",
        "1 compartment",
        "2 reserve",
        "3 stake",
        "5 side",
        "6 recorded",
        "sum",
        left=3,
    )
    for s in sorted(largest, key=lambda s: (s.time, s.event)):
        parts = [s.legs[k] for k in ("compartment", "reserve", "staked", "side", "recorded")]
        table.add_row(
            clock(s.time),
            s.name,
            s.how,
            str(s.event),
            amount(s.deficit),
            *(amount(part) if part else "·" for part in parts),
            "exact" if s.exact else "[red]WRONG[/red]",
        )
    console.print(table)
    console.print()


def _layers(result: Result, console: Console) -> None:
    paid = paid_by_layer(result)
    total = sum(paid.values())
    if not total:
        return
    table = _table("Who paid the deficits", "layer", "paid", "share")
    for layer, value in paid.items():
        if not value and layer in ("staked", "backing", "reinsurance"):
            continue
        table.add_row(LAYER_NAMES[layer], amount(value), f"{100 * value / total:.1f} %")
    table.add_section()
    table.add_row("all deficits", amount(total), "100.0 %")
    console.print(table)
    if repaid := result.tally.sums["repaid"]:
        console.print(f"Of the recorded deficits {amount(repaid)} were repaid from later income.")
    left = result.books.recorded
    console.print(
        f"Recorded and not repaid: {exact(left)}."
        if left
        else "Recorded deficit at the end: 0 in every market, nothing was left unpaid."
    )
    console.print()


def _gains(result: Result, console: Console) -> None:
    table = _table("Who gained, who lost", "group", "accounts", "put in", "owns now", "difference")
    sums = [0, 0]
    for name, count, put_in, owns in gains(result):
        if not (count or owns):
            continue
        sums = [sums[0] + put_in, sums[1] + owns]
        shown = amount(owns) if abs(owns) >= 10**16 or not owns else f"{owns} wei"
        difference = amount(owns - put_in) if count else shown
        table.add_row(name, str(count or ""), amount(put_in), shown, difference)
    table.add_section()
    verdict = "0, exactly" if sums[0] == sums[1] else f"[red]{sums[1] - sums[0]} wei[/red]"
    table.add_row("all", "", amount(sums[0]), amount(sums[1]), verdict)
    console.print(table)
    tally = result.tally
    funding = ", ".join(
        f"{result.stage.names[number]} {amount(value)}" for number, value in result.funding.items()
    )
    console.print(
        f"On the way: trading fees {amount(tally.sums['trading fees'])}, surcharges to the fund"
        f" {amount(tally.sums['surcharges'])}, rewards to keepers"
        f" {amount(tally.sums['rewards'])}; funding paid by longs to shorts: {funding}.\n"
    )


def _books(result: Result, console: Console) -> None:
    books = result.books
    lines = (
        ("collateral of all accounts", books.collateral),
        ("quote of all positions", books.quote),
        ("sizes at the marks (longs less shorts)", books.sizes),
        ("fees not handed over yet", books.fees),
        ("recorded deficits", -books.recorded),
        ("dust (never negative)", books.dust),
    )
    table = _table("Conservation, to the wei", "", "tokens")
    for name, value in lines:
        table.add_row(name, exact(value))
    table.add_section()
    total = sum(value for _, value in lines)
    held = books.tokens * books.scale
    table.add_row("sum", exact(total))
    table.add_row("tokens in the engine", exact(held))
    table.add_row("difference", "0" if held == total else f"[red]{held - total} wei[/red]")
    fund, scale = result.last_fund, books.scale
    table.add_section()
    for name, value in zip(result.stage.names, fund.compartments, strict=True):
        table.add_row(f"fund's ledger: {name} compartment", exact(value * scale))
    table.add_row("fund's ledger: reserve", exact(fund.reserve * scale))
    stake = result.last.stake
    if stake.held or result.stakers.people:
        table.add_row("fund's ledger: stakers' claims", exact(stake.claims * scale))
        table.add_row("fund's ledger: stakers' income on its way", exact(stake.streaming * scale))
        table.add_row("fund's ledger: stakers' rounding", exact(stake.dust * scale))
    table.add_row("tokens in the fund", exact(fund.tokens * scale))
    difference = (fund.tokens - fund.own - stake.held) * scale
    table.add_row("difference", "0" if not difference else f"[red]{difference} wei[/red]")
    console.print(table)
    console.print()


def _outcomes(result: Result, console: Console) -> None:
    counts = result.tally.counts
    console.print(
        f"Liquidations: {counts['partial_liquidations']} partial,"
        f" {counts['whole_liquidations']} whole; {counts['take_overs']} taken over by keepers,"
        f" {counts['order_liquidations']} into signed orders, {counts['deleverages']} deleveraged."
        f" Close-outs: {counts['close_outs']}, {counts['fully_covered']} fully covered by the fund,"
        f" {counts['tear_ups']} torn up in O(1), {counts['side_charges']} of them with a charge to"
        f" the opposite side, {counts['recorded']} deficits recorded."
        f" Compartments exhausted: {counts['exhausted_compartments']}."
    )
    if result.tally.refused:
        listed = ", ".join(f"{name} {n}" for name, n in sorted(result.tally.refused.items()))
        console.print(f"Transactions the contracts refused, as they should: {listed}.")
    checked = ", ".join(f"{name} {n}" for name, n in sorted(result.checks.done.items()))
    console.print(f"Checked on the chain: {checked}.")
    for sentence in result.checks.broken:
        console.print(f"[bold red]INVARIANT BROKEN[/bold red] {sentence}")
    for sentence in result.missing:
        console.print(f"[bold red]PROMISE NOT KEPT[/bold red] {sentence}")
    before, playing = result.seconds
    console.print(
        f"{counts['transactions']} transactions, {result.tally.gas / 1e6:,.0f} M gas;"
        f" {before:.1f} s for deployment and opening, {playing:.1f} s for"
        f" {result.scenario.steps} steps."
    )
    if not result.checks.broken and not result.missing:
        console.print("[bold green]Every invariant held.[/bold green]")


def as_json(result: Result) -> dict[str, Any]:
    """The run as plain data: amounts in WAD as strings, since JSON's numbers are too short."""
    tally = result.tally
    return {
        "scenario": result.scenario.name,
        "seed": result.seed,
        "accounts": result.scenario.book.accounts,
        "ok": not result.checks.broken and not result.missing,
        "broken": result.checks.broken,
        "missing": result.missing,
        "counts": dict(tally.counts),
        "refused": dict(tally.refused),
        "checked": result.checks.done,
        "paid_by_layer": _texts(paid_by_layer(result)),
        "sums": _texts(tally.sums),
        "funding_longs_to_shorts": _texts(
            {result.stage.names[n]: value for n, value in result.funding.items()}
        ),
        "groups": [
            {"group": name, "accounts": n, "put_in": str(put_in), "owns": str(owns)}
            for name, n, put_in, owns in gains(result)
        ],
        "receipts": [
            {
                "time": s.time,
                "account": "0x" + s.account.hex(),
                "name": s.name,
                "positions": s.how,
                "event": s.event,
                "deficit": str(s.deficit),
                "legs": _texts(s.legs),
            }
            for s in tally.shortfalls
        ],
        "stake": stakers_json(result),
        "conservation": _texts({**asdict(result.books), "dust": result.books.dust}),
        "fund": {
            "before": asdict(result.first_fund),
            "after": asdict(result.last_fund),
        },
        "gas": tally.gas,
        "steps": [asdict(row) for row in result.rows],
        "seconds": {"set_up": result.seconds[0], "play": result.seconds[1]},
    }


def _texts(values: Mapping[str, int]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}
