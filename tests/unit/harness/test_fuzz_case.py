"""Recordings are data: they survive a file, mean the same anywhere, and bad ones are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstop.harness.fuzz.case import Case, CaseError, read_case
from backstop.harness.fuzz.recording import RecordingDuel
from backstop.harness.players import Player, RandomChooser


def played(seed: int, turns: int = 60) -> RecordingDuel:
    duel = RecordingDuel(check=False)
    player = Player(duel, RandomChooser(seed))
    player.opening()
    for _ in range(turns):
        player.play()
    return duel


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_recording_plays_the_same_from_its_file(seed: int, tmp_path: Path) -> None:
    duel = played(seed)
    Case.of("again", duel.played).write(tmp_path / "case.yaml")
    again = read_case(tmp_path / "case.yaml").play(check=False)
    assert again.counts == duel.counts
    assert again.played == duel.played
    for name in ("accounts", "positions", "markets", "profit_locks"):
        tables = (duel.world.engine.tables, again.world.engine.tables)
        assert getattr(tables[1], name) == getattr(tables[0], name), name
    assert again.world.token.balances == duel.world.token.balances
    assert again.world.now == duel.world.now


def test_a_seed_plays_the_same_as_its_player(tmp_path: Path) -> None:
    path = tmp_path / "seed.yaml"
    path.write_text("format: 1\ntitle: a seed\nseed: 4\nlength: 20\n")
    again = read_case(path).play(check=False)
    assert again.played == played(4, 20).played


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- 1", "a mapping is expected"),
        ("format: 2", "format is 2: this version reads 1"),
        ("format: 1\ncolour: red", "unknown field 'colour'"),
        ("format: 1", "either actions, or seed"),
        ("format: 1\nseed: -1\nlength: 3", "seed -1"),
        ("format: 1\nactions: [3]", "a list of mappings"),
        ("format: 1\nactions: [{do: dance}]", "actions[0] (dance): do is 'dance'"),
        ("format: 1\nactions: [{do: poke, market: 0}]", "missing a required argument: 'delay'"),
        ("format: 1\nactions: [{do: poke, market: '0', delay: 0}]", "a whole number"),
        ("format: 1\nactions: [{do: poke, market: 0, delay: -1}]", "0 or more seconds"),
        ("format: 1\nactions: [{do: poke, market: 0, delay: 0, x: 1}]", "x is 1"),
        (
            "format: 1\nactions: [{do: flag, account: bob, flagged: true, delay: 0}]",
            "account is 'bob'",
        ),
        (
            "format: 1\nactions: [{do: fill, signed: {base: 1}, taker: account 0, base: 1,"
            " caller: owner 0, delay: 0}]",
            "an order with the fields",
        ),
        ("format: 1\nactions: [", "not YAML"),
    ],
)
def test_bad_files_are_refused_with_the_place(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(CaseError) as refused:
        read_case(path).play(check=False)
    assert says in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="correct the path"):
        read_case(tmp_path / "none.yaml")
