"""What a builder of blocks and a silence of the keepers can do: orders within a block, and hours
without a transaction.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from backstop.harness.anvil import Anvil
from backstop.harness.attackers.arena import SCALE, SHORT, UNIT, WAD, Arena, deploy_arena
from backstop.harness.attackers.attacks import BTC
from backstop.harness.attackers.play import Play
from backstop.harness.attackers.search import broken_limits, limits_of
from backstop.harness.rpc import Step

DUST = 10**12
"""A millionth of a token."""


@pytest.fixture(scope="module")
def arena(project: Any) -> Iterator[Arena]:
    with Anvil() as node:
        yield deploy_arena(node.client, project.get_contract)


def surplus(arena: Arena, views: list[Any]) -> int:
    """Tokens of the engine less all that it owes, WAD: dust, and not below zero."""
    held, *rest = views
    owed = sum(int(state.equity) for state in rest[:-2])
    for market in rest[-2:]:
        owed += market.fundFees + market.treasuryFees - market.recordedDeficit
    return int(held) * SCALE - owed


def looks(arena: Arena, accounts: list[bytes]) -> list[Step]:
    engine, token = arena.system.engine, arena.system.token
    return [
        token.balanceOf.step(engine.address, delay=0),
        *(engine.health.step(account, delay=0) for account in accounts),
        *(engine.marketState.step(market, delay=0) for market in (0, 1)),
    ]


def weak_account(arena: Arena, base: float = 10) -> Play:
    """The attacker is long with 12 % of margin, and the price fell by 8 %."""
    play = Play(arena)
    play.deposit(0, base * BTC * 0.125)
    play.deposit(5, 1_000)
    play.trade(arena.mine(0), arena.theirs(SHORT), base, BTC)
    play.wait(120)
    play.index(0, BTC * 0.92)
    return play


def test_no_order_of_a_block_makes_money(arena: Arena) -> None:
    """Price, liquidation, rescue, income, stake and a withdrawal in one block, in every order: the
    engine's books close to dust, who is flat keeps what is his, and the keeper never gets more than
    the discount.
    """
    s, weak = arena.system, weak_account(arena)
    first = len(weak.steps)
    weak.index(0, BTC * 0.915)
    price = weak.steps[first:]
    parts: list[list[Step]] = [price]
    for act in (
        lambda: weak.add(
            *(s.liquidator, "takeOver", arena.mine(0), 0, arena.keepers, 2**255, 2**255),
            sender=arena.keeper,
        ),
        lambda: weak.deposit(0, 20_000),
        lambda: _income_and_stake(weak),
        lambda: weak.withdraw(5, 1_000),
    ):
        start = len(weak.steps)
        act()
        parts.append(weak.steps[start:])
    accounts = [arena.mine(0), arena.mine(5), arena.theirs(0), arena.theirs(1), arena.keepers]
    accounts += [arena.system.backstop.accountOf(0)]
    seen, gains = looks(arena, accounts), set()
    outcomes = set()
    before = keepers_equity(arena, weak.steps[:first])
    for order in itertools.permutations(parts):
        block = [step for part in order for step in part]
        done = arena.client.simulate([*weak.steps[:first], *block, *seen])
        views = [outcome.value for outcome in done[-len(seen) :]]
        assert 0 <= surplus(arena, views) < DUST
        assert views[2].equity == 0, "the flat account took out what it had put in"
        taken = [e for outcome in done for e in outcome.find("Liquidated")]
        outcomes.add(bool(taken))
        notional = sum(abs(e.size) * e.price // WAD for e in taken)
        gain = int(views[5].equity) - before
        gains.add(gain)
        assert gain <= notional // 100 + notional * 2 // 100, "more than the discount and the move"
    assert outcomes == {True, False}, "a rescue that comes first saves the account"


def _income_and_stake(play: Play) -> None:
    s = play.arena.system
    play.as_owner(s.engine, "sweepFees", 0)
    play.as_mine(s.tranche, "deposit", 1_000 * UNIT, play.arena.attacker.address)


def keepers_equity(arena: Arena, steps: list[Step]) -> int:
    """What the keeper has after these steps, WAD."""
    look = arena.system.engine.health.step(arena.keepers, delay=0)
    return int(arena.client.simulate([*steps, look])[-1].value.equity)


@pytest.mark.parametrize("hours", [1, 24, 240])
@pytest.mark.parametrize("move", [-0.3, 0.3])
def test_keepers_that_were_away_for_long(arena: Arena, hours: int, move: float) -> None:
    """Nobody calls anything for hours and the price is 30 % away: afterwards every account is
    closed or sound within two looks, the fund pays within its limits, and the books close.
    """
    play = Play(arena)
    subs = list(range(8))
    for sub in subs:
        play.deposit(sub, 2 * BTC * (0.115 + 0.05 * sub))
        pair = (arena.mine(sub), arena.theirs(SHORT))
        play.trade(*(pair if move < 0 else (arena.theirs(0), arena.mine(sub))), 2, BTC)
    play.wait(hours * 3_600)
    for _ in range(6):
        play.index(0, BTC * (1 + move))
        play.keepers_look(subs, long=move < 0)
        play.wait(12)
    accounts = [arena.mine(sub) for sub in subs]
    others = [arena.theirs(0), arena.theirs(1), arena.keepers, arena.system.backstop.accountOf(0)]
    seen = looks(arena, accounts + others)
    done = arena.client.simulate([*play.steps, *seen])
    views = [outcome.value for outcome in done[-len(seen) :]]
    assert 0 <= surplus(arena, views) < DUST
    for state in views[1:9]:
        assert state.equity >= 0 and state.equity >= state.maintenanceMargin
    assert any(outcome.find("ShortfallResolved") for outcome in done)
    result = play.run(Play(arena).values())
    assert not broken_limits(result, limits_of(arena))
