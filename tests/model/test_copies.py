"""A fork of the fund is equal, and nothing that happens to one is seen in the other."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from backstop.harness.fuzz.recording import RecordingDuel
from backstop.harness.players import Player, RandomChooser
from backstop.model.copies import fork


def places(value: Any) -> set[int]:
    """Identities of everything that can change below a value."""
    if isinstance(value, dict):
        return {id(value)}.union(*map(places, value.values()))
    if isinstance(value, list):
        return {id(value)}.union(*map(places, value))
    if hasattr(value, "__dict__") and not value.__dataclass_params__.frozen:
        return {id(value)}.union(*map(places, vars(value).values()))
    return set()


@pytest.mark.parametrize("seed", range(3))
def test_a_fork_shares_nothing_that_changes(seed: int) -> None:
    duel = RecordingDuel(None, check=False)
    player = Player(duel, RandomChooser(seed))
    player.opening()
    for _ in range(120):
        player.play()
    fund = duel.world.fund
    forked, slow = fork(fund), copy.deepcopy(fund)
    assert forked == slow == fund
    assert len(places(fund)) > 20
    assert not places(forked) & places(fund)
    for _ in range(60):
        player.play()
    assert forked == slow


def test_other_objects_go_to_deepcopy() -> None:
    class Odd:
        def __init__(self) -> None:
            self.inside = [1]

    odd = Odd()
    forked = fork([odd])[0]
    assert forked is not odd and forked.inside == [1] and forked.inside is not odd.inside
