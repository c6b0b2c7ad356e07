"""docs/prices.md says what each level of validity allows; here the contracts do it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backstop.harness.bench import Bench
from backstop.harness.rpc import Reverted, RpcClient
from backstop.model.oracle import Validity

PAGE = Path(__file__).parents[2] / "docs" / "prices.md"
LEVELS = {"Invalid": Validity.INVALID, "Reduced": Validity.REDUCED, "Full": Validity.FULL}
ANY = 2**255
NORMAL, REVERT = 0, 1  # modes of MockFeed
TRADER, OTHER, KEEPER, FLAT = 1, 2, 4, 5


def table() -> list[tuple[str, Validity, bool]]:
    """(action, level, allowed) of the table whose first column is `action`."""
    lines = iter(PAGE.read_text().splitlines())
    header = next(line for line in lines if line.startswith("| action |"))
    levels = [LEVELS[cell.strip()] for cell in header.strip("|").split("|")[1:]]
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        action, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        assert set(cells) <= {"yes", "no"}, line
        rows += [(action, level, cell == "yes") for level, cell in zip(levels, cells, strict=True)]
    return rows


@pytest.fixture
def bench(deployed_bench: Bench, rpc: RpcClient) -> Iterator[Bench]:
    """The trader is long 20 at 100 in market 0, with 300 of equity."""
    with rpc.isolated():
        b = replace(deployed_bench, nonces={})
        for market in (0, 1):
            b.set_market(market, makerFeePpm=0, takerFeePpm=0, rewardPpm=0)
        b.deposit(TRADER, 300)
        b.deposit(OTHER, 100_000)
        b.deposit(KEEPER, 100_000)
        b.deposit(FLAT, 100)
        b.trade(TRADER, OTHER, 20, 100)
        yield b


def set_level(bench: Bench, market: int, level: Validity) -> None:
    """Silences as many feeds of the market as it takes; they answered the price just now."""
    modes = {
        Validity.FULL: (NORMAL, NORMAL),
        Validity.REDUCED: (NORMAL, REVERT),
        Validity.INVALID: (REVERT, REVERT),
    }[level]
    for feed, mode in zip(bench.system.feeds[market], modes, strict=True):
        feed.setMode(mode, sender=bench.owner)
    assert bench.system.oracle.read(market, 0).validity == level


def withdraw(bench: Bench, user: int) -> None:
    sender = bench.users[user]
    bench.engine.withdraw(bench.account(user), 10**6, sender, sender=sender)


def cancel(bench: Bench) -> None:
    sender = bench.users[TRADER]
    bench.system.settlement.cancel(bench.account(TRADER), 77, sender=sender)


def liquidate(bench: Bench) -> None:
    keeper = bench.account(KEEPER)
    bench.liquidator.takeOver(
        bench.account(TRADER), 0, keeper, ANY, ANY, sender=bench.users[KEEPER]
    )


def deleverage(bench: Bench) -> None:
    keeper = bench.account(KEEPER)
    bench.liquidator.deleverage(bench.account(TRADER), 0, keeper, ANY, sender=bench.users[KEEPER])


def close_out(bench: Bench) -> None:
    keeper = bench.account(KEEPER)
    bench.liquidator.closeOut(bench.account(TRADER), keeper, False, sender=bench.users[KEEPER])


def price(value: int, flag: bool = False) -> Callable[[Bench], None]:
    """Brings the mark of market 0 there before the level is set."""

    def prepare(bench: Bench) -> None:
        bench.price(value, wait=300)
        if flag:
            bench.liquidator.flag(bench.account(TRADER), sender=bench.users[KEEPER])
            bench.rpc.warp(3600)
            bench.price(value, wait=12)

    return prepare


Step = Callable[[Bench], Any]
ACTIONS: dict[str, tuple[Step, Step | None]] = {
    "deposit": (lambda b: b.deposit(TRADER, 1), None),
    "withdraw without positions": (lambda b: withdraw(b, FLAT), None),
    "withdraw with positions": (lambda b: withdraw(b, TRADER), None),
    "fill that raises risk": (lambda b: b.trade(TRADER, OTHER, 1, 100), None),
    "fill that lowers risk": (lambda b: b.trade(OTHER, TRADER, 1, 100), None),
    "accrue funding": (lambda b: b.engine.poke(0, sender=b.owner), None),
    "liquidate": (liquidate, price(89)),
    "deleverage": (deleverage, price(89, flag=True)),
    "close out": (close_out, price(84)),
    "cancel an order": (cancel, None),
}
OTHER_MARKET = "other market: "


@pytest.mark.parametrize(("action", "level", "allowed"), table())
def test_the_table_is_true(bench: Bench, action: str, level: Validity, allowed: bool) -> None:
    elsewhere = action.startswith(OTHER_MARKET)
    if elsewhere:
        bench.trade(TRADER, OTHER, 1, 100, market=1)
    name = {"withdraw": "withdraw with positions"}.get(
        action.removeprefix(OTHER_MARKET), action.removeprefix(OTHER_MARKET)
    )
    act, prepare = ACTIONS[name]
    if prepare is not None:
        prepare(bench)
    set_level(bench, 1 if elsewhere else 0, level)
    if allowed:
        act(bench)
        return
    with pytest.raises(Reverted) as caught:
        act(bench)
    assert caught.value.name == "PriceNotUsable"


def test_the_table_is_complete() -> None:
    actions = [action for action, _, _ in table()]
    assert set(ACTIONS) <= set(actions)
    assert len(actions) == 3 * len(set(actions))
