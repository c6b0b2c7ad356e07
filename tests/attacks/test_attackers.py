"""Agents that search for profit: a bounded part of what `ape run attack` does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from backstop.harness.anvil import Anvil
from backstop.harness.attackers.arena import Arena, deploy_arena
from backstop.harness.attackers.attacks import Attack
from backstop.harness.attackers.book import ATTACKS
from backstop.harness.attackers.play import WAD, Play, Result, Values
from backstop.harness.attackers.search import Limits, Search, broken_limits

SEED = 4
TRIES = 7


@pytest.fixture(scope="module")
def arena(project: Any) -> Iterator[Arena]:
    with Anvil() as node:
        yield deploy_arena(node.client, project.get_contract)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_no_attack_pays_more_than_its_bound(arena: Arena, attack: Attack) -> None:
    search = Search(arena, SEED, [attack])
    for count in range(TRIES if attack.subs < 100 else 2):
        best = search.step(attack, around=count > TRIES // 2)
    assert not best.failures, "\n".join(best.failures)
    assert best.score is not None, "nothing came about: the attack is not played"
    assert best.worked > best.tries


def test_a_gift_of_the_fund_would_be_found(arena: Arena) -> None:
    """An attack that pays: the owner's money goes to the attacker, and the search says so."""

    def gift(play: Play, numbers: Any) -> None:
        token = play.arena.system.token
        play.as_owner(token, "transfer", play.arena.attacker.address, int(numbers["much"] * 10**6))

    attack = Attack("gift", "A planted leak.", {"much": (1, 100)}, gift)
    search = Search(arena, SEED, [attack])
    for count in range(15):
        best = search.step(attack, around=count > 5)
    assert len(best.failures) == 15
    assert best.score is not None and best.score > 50 * WAD


def test_broken_limits_are_noticed() -> None:
    limits = Limits(per_claim=100, per_window=150, window=86_400, market_window=150)
    nothing = Values(0, 0, 0, 0)

    def result(*paid: tuple[int, int]) -> Result:
        return Result(nothing, paid, 0, (0, 0), 0, 0)

    assert not broken_limits(result((0, 100), (10, 50)), limits)
    assert "claim" in broken_limits(result((0, 101)), limits)
    assert "window" in broken_limits(result((0, 100), (10, 60)), limits)
    assert not broken_limits(result((0, 100), (43_200, 100)), limits)
