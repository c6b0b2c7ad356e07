"""What is seen of the demo: lines, the live view at several widths, and the story's sentences."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from backstop.harness.demo.play import MarketRow, Row
from backstop.harness.demo.stakers import ASKS, CLAIMS, JOINS, StakerAct
from backstop.harness.demo.story import Story
from backstop.harness.demo.table import LiveTable, PlainTable, bar, clock, make_table, price
from backstop.harness.demo.tally import Shortfall, Tally
from backstop.harness.scenario import DEFAULT, Scenario

WAD = 10**18
MARKET = MarketRow(104_953.35, 102_831.42, 102_831.42, 17.1e6, -0.02, 0.02, -0.0005)
ROW = Row(
    index=1,
    time=1_760_130_840,
    markets=(MARKET, replace(MARKET, history=3418.47, index=3309.06, mark=3309.06)),
    taken_over=12,
    by_orders=3,
    deleveraged=0,
    closed_out=2,
    below_maintenance=0,
    compartments=(10_101.0, 5.0),
    reserve=9_972.0,
    staked=24_000.0,
    leaving=6_000.0,
    side_charged=11_435.0,
    recorded=0.0,
    equity=25.127e6,
    dust=9,
)


def shortfall(**legs: int) -> Shortfall:
    every = dict.fromkeys(
        ("compartment", "reserve", "staked", "backing", "reinsurance", "side", "recorded"), 0
    )
    every.update(legs)
    total = sum(every.values())
    return Shortfall(ROW.time, "trader 7", b"\0" * 32, "torn up", 1, total, every, ((0, WAD),))


def test_prices_and_times_are_short() -> None:
    assert [price(x) for x in (104_953.35, 3309.06, 1.7654)] == ["104,953", "3,309.06", "1.7654"]
    assert [clock(x) for x in (1_760_130_840, 1_760_130_841)] == ["21:14", "21:14:01"]
    assert bar(50, 100).plain.count("█") == bar(50, 100).plain.count("░")
    assert "░" not in bar(200, 100).plain and "█" not in bar(0, 100).plain


@pytest.mark.parametrize("width", [80, 100, 160, 220])
def test_the_live_view_fits(width: int) -> None:
    scenario = Scenario.load(DEFAULT)
    screen = Console(file=io.StringIO(), force_terminal=True, width=width, height=80)
    table = make_table(scenario, screen)
    assert isinstance(table, LiveTable)
    table._first, table._tally = replace(ROW, compartments=(20_000.0, 5.0)), Tally()
    table._rows.extend([ROW, ROW])
    table.shortfall(shortfall(compartment=WAD))
    with screen.capture() as captured:
        screen.print(table._table())
        screen.print(table._waterfall())
        screen.print(table._view())
    assert "102,831" in captured.get() and "…" not in captured.get()


def test_lines_elsewhere() -> None:
    scenario, file = Scenario.load(DEFAULT), io.StringIO()
    table = make_table(scenario, Console(file=file, width=150))
    assert type(table) is PlainTable
    table.step(ROW, Tally())
    table.shortfall(shortfall(compartment=WAD))
    assert "102,831" in file.getvalue()
    assert "> layers 1-2: trader 7 is bankrupt" in file.getvalue()


def test_each_layer_is_told_once_in_its_order() -> None:
    story = Story(["BTC", "ETH"], "USD")
    assert any("layer 0" in said for said in story.step(ROW))
    covered = story.shortfall(shortfall(compartment=WAD))
    assert any("pays all of it" in said for said in covered)
    assert story.shortfall(shortfall(compartment=WAD)) == []
    assert "layer 2" in story.shortfall(shortfall(compartment=WAD, reserve=WAD))[0]
    told = story.shortfall(shortfall(reserve=WAD, staked=WAD))
    assert "layer 3" in told[0] and "those who wait for the exit" in told[0]
    assert "layer 5" in story.shortfall(shortfall(reserve=WAD, side=WAD))[0]
    assert "layer 6" in story.shortfall(shortfall(side=WAD, recorded=WAD))[0]
    assert story.step(replace(ROW, compartments=(0.0, 5.0))) == ["the BTC compartment is exhausted"]
    empty = replace(ROW, compartments=(0.0, 5.0), reserve=0.0)
    assert story.step(empty) == ["the operator's reserve is exhausted"]


def test_stakers_are_told_one_by_one() -> None:
    story, units = Story(["BTC"], "USD", 6), 1_500 * 10**6
    joins = StakerAct(ROW.time, "Eva", JOINS, units, losses=3)
    assert story.staker(joins) == [
        "stakers: Eva stakes 1,500.00 USD, after 3 losses that are not its own"
    ]
    asks = StakerAct(ROW.time, "Ben", ASKS, units, request=1, maturity=ROW.time + 20 * 86400)
    assert "asks for 1,500.00 USD back: it matures on 30 October" in story.staker(asks)[0]
    claims = StakerAct(ROW.time + 20 * 86400, "Ben", CLAIMS, units, request=1)
    assert story.staker(claims) == ["stakers: Ben claims request 1 on 30 October: 1,500.00 USD"]


def test_a_receipt_knows_whether_it_adds_up() -> None:
    fine = shortfall(compartment=2, side=3)
    assert fine.exact and not fine.fully_covered
    assert shortfall(compartment=2, reserve=3).fully_covered
    assert not replace(fine, deficit=6).exact
