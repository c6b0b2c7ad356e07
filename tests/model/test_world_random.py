"""Seeded random play on the twin alone, with every invariant checked after every action."""

from __future__ import annotations

from collections import Counter

import pytest

from backstop.harness.duel import Duel
from backstop.harness.players import Player, RandomChooser


def play(seeds: range, actions: int) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """What was reached, and how often each action ended how."""
    reached: Counter[str] = Counter()
    counts: Counter[tuple[str, str]] = Counter()
    for seed in seeds:
        duel = Duel()
        player = Player(duel, RandomChooser(seed))
        try:
            player.opening()
            for _ in range(actions):
                player.play()
        except AssertionError as broken:
            broken.add_note(f"seed {seed}, action {duel.actions}")
            raise
        reached += duel.milestones
        counts += duel.counts
    return reached, counts


def test_invariants_hold_in_random_play() -> None:
    reached, _ = play(range(8), 60)
    assert reached["close-out"] and reached["partial liquidation"]


@pytest.mark.slow
def test_invariants_hold_in_a_lot_of_random_play() -> None:
    reached, counts = play(range(1_000, 1_040), 120)
    for milestone in (
        "partial liquidation",
        "close-out",
        "deficit: compartment",
        "deficit: reserve",
        "deficit: staked",
        "deficit: side_charged",
        "deficit: recorded",
        "compartments exhausted",
        "epoch ended",
    ):
        assert reached[milestone], milestone
    for kind in ("takeOver", "liquidateWithOrders", "deleverage", "closeOut", "withdraw"):
        assert counts[kind, "ok"], kind
