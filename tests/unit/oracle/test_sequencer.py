"""The uptime feed of a rollup's sequencer: nobody is liquidated who could not act."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from oracle_world import MARKET, WAD, Mode, OracleWorld, seen_round

from backstop.harness.rpc import Contract
from backstop.model import oracle as model
from backstop.model.errors import ModelError
from backstop.model.oracle import SequencerState, Validity

GRACE = 1800
UNIT = 10**8


@pytest.fixture
def rollup(world: OracleWorld) -> Iterator[tuple[OracleWorld, Contract]]:
    """An oracle with an uptime feed, and two good price feeds."""
    uptime = world.deploy("MockFeed", 0, 0)
    oracle = world.deploy("PriceOracle", world.manager.address, uptime.address, GRACE)
    w = replace(world, oracle=oracle)
    w.set_feeds(w.config(primary_age=10**6, secondary_age=10**6))
    w.answer("a8", 2000 * UNIT)
    w.answer("b8", 2000 * UNIT)
    yield w, uptime


@pytest.mark.parametrize(
    ("answer", "since", "mode", "state", "level"),
    [
        (0, GRACE + 1, Mode.NORMAL, SequencerState.UP, Validity.FULL),
        (0, GRACE, Mode.NORMAL, SequencerState.GRACE, Validity.INVALID),
        (0, 0, Mode.NORMAL, SequencerState.GRACE, Validity.INVALID),
        (1, 0, Mode.NORMAL, SequencerState.DOWN, Validity.INVALID),
        (1, 10 * GRACE, Mode.NORMAL, SequencerState.DOWN, Validity.INVALID),
        (0, -1, Mode.NORMAL, SequencerState.UNKNOWN, Validity.REDUCED),
        (0, None, Mode.NORMAL, SequencerState.UNKNOWN, Validity.REDUCED),
        (2, 10 * GRACE, Mode.NORMAL, SequencerState.UNKNOWN, Validity.REDUCED),
        (-1, 10 * GRACE, Mode.NORMAL, SequencerState.UNKNOWN, Validity.REDUCED),
        (0, 10 * GRACE, Mode.REVERT, SequencerState.UNKNOWN, Validity.REDUCED),
        (0, 10 * GRACE, Mode.BURN_GAS, SequencerState.UNKNOWN, Validity.REDUCED),
        (1, 10 * GRACE, Mode.SHORT_RETURN, SequencerState.UNKNOWN, Validity.REDUCED),
    ],
)
def test_levels(
    rollup: tuple[OracleWorld, Contract],
    answer: int,
    since: int | None,
    mode: Mode,
    state: SequencerState,
    level: Validity,
) -> None:
    world, uptime = rollup
    now = world.rpc.timestamp + 100
    started = 0 if since is None else now - since
    uptime.set(answer, started, now - 5, sender=world.owner)
    uptime.setMode(mode, sender=world.owner)
    twin = world.twin(world.config(primary_age=10**6, secondary_age=10**6), now)
    twin.rounds["uptime"] = seen_round(answer, started, now - 5, mode, now)
    twin.sequencer_feed, twin.grace_period = "uptime", GRACE
    expected = twin.read(MARKET, 2000 * WAD, now)
    assert expected.validity is level
    assert model.Reading(*world.oracle.read(MARKET, 2000 * WAD, at=now)) == expected
    status = world.oracle.status(MARKET, 2000 * WAD, at=now)
    assert status.sequencer == twin.sequencer_state(now) == state
    assert status.validity == level
    assert (status.indexPrice == 0) == (level is Validity.INVALID)
    # the feeds themselves are shown whatever the sequencer does
    assert status.primary.price == status.secondary.price == 2000 * WAD


def test_a_broken_uptime_feed_does_not_raise_a_lower_level(
    rollup: tuple[OracleWorld, Contract],
) -> None:
    world, uptime = rollup
    uptime.setMode(Mode.REVERT, sender=world.owner)
    assert world.oracle.read(MARKET, 0).validity == Validity.REDUCED
    world.answer("a8", 2000 * UNIT, mode=Mode.REVERT)
    world.answer("b8", 2000 * UNIT, mode=Mode.REVERT)
    assert world.oracle.read(MARKET, 0) == (0, 0, Validity.INVALID)


def test_the_twin_refuses_the_same_construction() -> None:
    up = {"uptime": model.Round(0, 1, 1)}
    for sequencer, grace, field in [
        (None, 1, "gracePeriod"),
        ("uptime", 0, "gracePeriod"),
        ("uptime", 3601, "gracePeriod"),
        ("gone", 3600, "sequencerFeed"),
    ]:
        with pytest.raises(ModelError) as caught:
            model.PriceOracle(sequencer, grace, up)
        assert (caught.value.name, caught.value.args) == ("InvalidSequencerConfig", (field,))
    missing = model.PriceOracle("uptime", 60, dict(up))
    del missing.rounds["uptime"]
    assert missing.sequencer_state(1000) is SequencerState.UNKNOWN
    with pytest.raises(ModelError, match="UnknownMarket"):
        missing.feeds(1)
