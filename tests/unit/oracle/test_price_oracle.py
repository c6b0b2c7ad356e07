"""PriceOracle.read: every check, every boundary, every way in which a feed can misbehave."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, strategies as st
from oracle_world import MARKET, WAD, Mode, OracleWorld, seen_round

from backstop.harness.rpc import RpcClient
from backstop.model import oracle as model
from backstop.model.oracle import FeedProblem, Validity

UNIT = 10**8  # of the feeds with 8 decimals
FAILING = [Mode.REVERT, Mode.REVERT_LONG, Mode.BURN_GAS, Mode.SHORT_RETURN, Mode.NO_RETURN]
USELESS = [*FAILING, Mode.FUTURE, Mode.ZERO, Mode.NEGATIVE]


# --- two good feeds


@pytest.mark.parametrize(("first", "second"), [(2000, 2001), (2001, 2000), (2000, 2000)])
def test_agreement_gives_the_average_at_the_fresher_time(
    world: OracleWorld, first: int, second: int
) -> None:
    config = world.config()
    world.set_feeds(config)
    world.answer("a8", first * UNIT, age=100)
    world.answer("b8", second * UNIT, age=50)
    reading = world.check(config)
    assert reading.index_price == (first + second) * WAD // 2
    assert reading.observed_at == world.rpc.timestamp - 50
    assert reading.validity is Validity.FULL


def test_the_average_is_rounded_down(world: OracleWorld) -> None:
    config = world.config("a18", "b18")
    world.set_feeds(config)
    world.answer("a18", 2000 * WAD)
    world.answer("b18", 2000 * WAD + 1)
    assert world.check(config).index_price == 2000 * WAD


@pytest.mark.parametrize("first", ["a6", "a8", "a18"])
@pytest.mark.parametrize("second", ["b6", "b8", "b18"])
def test_decimals_are_scaled_exactly(world: OracleWorld, first: str, second: str) -> None:
    config = world.config(first, second)
    world.set_feeds(config)
    low, high = (
        1999_999_999 * 10 ** (int(first[1:]) - 6),
        2000_000_001 * 10 ** (int(second[1:]) - 6),
    )
    low += first != "a6"  # the last digit counts
    world.answer(first, low)
    world.answer(second, high)
    exact = (Fraction(low, 10 ** int(first[1:])) + Fraction(high, 10 ** int(second[1:]))) / 2
    reading = world.check(config)
    assert reading.index_price == int(exact * WAD)
    assert reading.validity is Validity.FULL


@pytest.mark.parametrize(("excess", "level"), [(0, Validity.FULL), (1, Validity.REDUCED)])
@pytest.mark.parametrize("swapped", [False, True])
def test_deviation_boundary(
    world: OracleWorld, excess: int, level: Validity, swapped: bool
) -> None:
    config = world.config("a18", "b18", max_deviation=12_345)
    world.set_feeds(config)
    low = 2000 * WAD
    high = low + low * 12_345 // 10**6 + excess
    first, second = (high, low) if swapped else (low, high)
    world.answer("a18", first, age=30)
    world.answer("b18", second, age=20)
    reading = world.check(config)
    assert reading.validity is level
    assert reading.index_price == (low if excess else (low + high) // 2)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (0, 2000),  # none: the smaller one
        (1, 2000),
        (2200, 2000),  # equally near: the smaller one
        (2201, 2400),
        (2199, 2000),
        (10**7, 2400),
    ],
)
def test_disagreement_takes_the_price_nearer_to_the_reference(
    world: OracleWorld, reference: int, expected: int
) -> None:
    config = world.config()
    world.set_feeds(config)
    world.answer("a8", 2400 * UNIT, age=10)
    world.answer("b8", 2000 * UNIT, age=90)
    reading = world.check(config, reference * WAD)
    assert reading.index_price == expected * WAD
    assert reading.validity is Validity.REDUCED
    # the time is that of the feed which is used
    assert world.rpc.timestamp - reading.observed_at == {2400: 10 + 24, 2000: 90}[expected]


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize(("excess", "level"), [(0, Validity.FULL), (1, Validity.REDUCED)])
def test_jump_boundary_with_two_feeds(
    world: OracleWorld, direction: int, excess: int, level: Validity
) -> None:
    config = world.config("a18", "b18", max_jump=50_000)
    world.set_feeds(config)
    price = 2000 * WAD + direction * (100 * WAD + excess)
    world.answer("a18", price)
    world.answer("b18", price)
    reading = world.check(config, 2000 * WAD)
    assert (reading.index_price, reading.validity) == (price, level)
    assert world.check(config, 0).validity is Validity.FULL


# --- one feed, or none


@pytest.mark.parametrize("bad", USELESS)
@pytest.mark.parametrize("which", ["a8", "b8"])
def test_one_useless_feed_leaves_the_other(world: OracleWorld, bad: Mode, which: str) -> None:
    config = world.config()
    world.set_feeds(config)
    other = "b8" if which == "a8" else "a8"
    world.answer(other, 2000 * UNIT, age=33)
    world.answer(which, 2000 * UNIT, mode=bad)
    reading = world.check(config, 2000 * WAD)
    assert (reading.index_price, reading.validity) == (2000 * WAD, Validity.REDUCED)
    assert reading.observed_at == world.rpc.timestamp - 33 - 24


@pytest.mark.parametrize("bad", USELESS)
def test_two_useless_feeds_leave_nothing(world: OracleWorld, bad: Mode) -> None:
    config = world.config()
    world.set_feeds(config)
    for name in ("a8", "b8"):
        world.answer(name, 2000 * UNIT, mode=bad)
    assert world.check(config) == model.INVALID


@pytest.mark.parametrize("mode", [Mode.LONG_RETURN, Mode.FROZEN])
def test_more_data_than_needed_does_no_harm(world: OracleWorld, mode: Mode) -> None:
    config = world.config()
    world.set_feeds(config)
    world.answer("a8", 2000 * UNIT, mode=mode)
    world.answer("b8", 2000 * UNIT, mode=mode)
    assert world.check(config).validity is Validity.FULL


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("excess", [0, 1])
def test_jump_boundary_with_one_feed(world: OracleWorld, direction: int, excess: int) -> None:
    config = world.config("a18", "b18", max_jump=50_000)
    world.set_feeds(config)
    price = 2000 * WAD + direction * (100 * WAD + excess)
    world.answer("a18", price, mode=Mode.REVERT)
    world.answer("b18", price)
    reading = world.check(config, 2000 * WAD)
    assert reading.validity is (Validity.INVALID if excess else Validity.REDUCED)
    assert world.check(config, 0).validity is Validity.REDUCED


def test_a_market_with_one_feed_is_never_full(world: OracleWorld) -> None:
    config = world.config(secondary=None)
    world.set_feeds(config)
    world.answer("a8", 2000 * UNIT)
    assert world.check(config, 2000 * WAD).validity is Validity.REDUCED
    problems = world.twin(config, world.rpc.timestamp).feed_states(MARKET, world.rpc.timestamp)
    assert problems[1].problem is FeedProblem.NOT_SET


def test_an_unknown_market_has_no_price(world: OracleWorld) -> None:
    assert world.oracle.read(12345, 0) == (0, 0, Validity.INVALID)
    status = world.oracle.status(12345, 0)
    assert (status.primary.problem, status.secondary.problem) == (FeedProblem.NOT_SET,) * 2


# --- one feed's boundaries


@pytest.mark.parametrize(
    ("age", "problem"),
    [(0, None), (3600, None), (3601, FeedProblem.STALE), (-1, FeedProblem.FUTURE)],
)
def test_age_boundaries(world: OracleWorld, age: int, problem: FeedProblem | None) -> None:
    config = world.config()
    world.set_feeds(config)
    world.answer("a8", 2000 * UNIT)
    world.answer("b8", 2000 * UNIT)
    updated_at = world.feeds["a8"].round().updatedAt
    now = updated_at + age
    world.check(config, 0, now)
    seen = world.twin(config, now).feed_states(MARKET, now)[0]
    assert seen.problem is (problem or FeedProblem.NONE)


def test_no_time_is_no_answer(world: OracleWorld) -> None:
    config = world.config()
    world.set_feeds(config)
    world.answer("b8", 2000 * UNIT)
    world.feeds["a8"].set(2000 * UNIT, 0, 0, sender=world.owner)
    assert world.check(config).validity is Validity.REDUCED
    assert world.oracle.status(MARKET, 0).primary.problem == FeedProblem.NO_TIME


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (1000 * WAD, FeedProblem.OUT_OF_BOUNDS),  # at a bound is outside
        (1000 * WAD + 1, FeedProblem.NONE),
        (3000 * WAD - 1, FeedProblem.NONE),
        (3000 * WAD, FeedProblem.OUT_OF_BOUNDS),
        (2**96 - 1, FeedProblem.OUT_OF_BOUNDS),
        (2**96, FeedProblem.TOO_LARGE),
        (2**127 - 1, FeedProblem.TOO_LARGE),
        (1, FeedProblem.OUT_OF_BOUNDS),
        (0, FeedProblem.NOT_POSITIVE),
        (-1, FeedProblem.NOT_POSITIVE),
        (-(2**127), FeedProblem.NOT_POSITIVE),
    ],
)
def test_price_bounds(world: OracleWorld, answer: int, problem: FeedProblem) -> None:
    config = world.config("a18", "b18", min_price=1000 * WAD, max_price=3000 * WAD)
    world.set_feeds(config)
    world.answer("b18", 2000 * WAD)
    world.answer("a18", answer)
    world.check(config, 2000 * WAD)
    assert world.oracle.status(MARKET, 0).primary.problem == problem


def test_a_feed_that_is_gone(world: OracleWorld) -> None:
    config = world.config()
    world.set_feeds(config)
    world.answer("a8", 2000 * UNIT)
    world.answer("b8", 2000 * UNIT)
    world.rpc.set_code(world.feeds["b8"].address, b"")
    reading = world.oracle.read(MARKET, 0)
    assert reading == (2000 * WAD, world.feeds["a8"].round().updatedAt, Validity.REDUCED)
    assert world.oracle.status(MARKET, 0).secondary.problem == FeedProblem.SHORT_RETURN


# --- gas


@pytest.mark.parametrize("mode", [Mode.NORMAL, Mode.BURN_GAS])
def test_a_caller_cannot_silence_a_feed_by_stinginess(world: OracleWorld, mode: Mode) -> None:
    """With any gas limit a reading is the right one, or there is none."""
    config = world.config()
    world.set_feeds(config)
    world.answer("a8", 2000 * UNIT, mode=mode)
    world.answer("b8", 2000 * UNIT)
    expected = tuple(world.oracle.read(MARKET, 0))
    limits = [*range(22_000, 130_000, 3_000), *range(130_000, 380_000, 10_000)]
    steps = [world.oracle.read.step(MARKET, 0, delay=0, gas=limit) for limit in limits]
    outcomes = world.rpc.simulate(steps)
    assert not outcomes[0].ok and outcomes[-1].ok
    for limit, outcome in zip(limits, outcomes, strict=True):
        if outcome.ok:
            assert tuple(outcome.value) == expected
        elif outcome.gas_used < limit:  # else it ran out of gas
            assert outcome.error is not None and outcome.error.name == "NotEnoughGas"
    named = [o.error for o in outcomes if o.error is not None and o.error.name == "NotEnoughGas"]
    assert named and all(e.arguments["available"] < e.arguments["required"] for e in named)


# --- the twin


prices = st.one_of(
    st.integers(1990, 2010).map(lambda p: p * 10**4),
    st.integers(0, 5000 * 10**4),
    st.sampled_from([0, 1, -1, 2**70]),
)
moments = st.one_of(st.integers(-3, 10), st.integers(0, 4000), st.sampled_from([3599, 3600, 3601]))
modes = st.one_of(st.just(Mode.NORMAL), st.sampled_from(list(Mode)))
feed_states = st.tuples(st.sampled_from([6, 8, 18]), prices, moments, modes)


@given(
    first=feed_states,
    second=feed_states,
    reference=st.one_of(st.just(0), st.integers(1, 5000 * 10**4)),
    ages=st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    max_deviation=st.integers(1, 999_999),
    max_jump=st.integers(1, 999_999),
    has_second=st.booleans(),
)
def test_the_twin_reads_the_same(
    deployed_oracle: OracleWorld,
    rpc: RpcClient,
    first: tuple[int, int, int, Mode],
    second: tuple[int, int, int, Mode],
    reference: int,
    ages: tuple[int, int],
    max_deviation: int,
    max_jump: int,
    has_second: bool,
) -> None:
    """Prices are in 1e-4 quote; all of it happens in one block of one request."""
    world = deployed_oracle
    now = rpc.timestamp + 1
    names = [f"a{first[0]}", f"b{second[0]}"]
    config = world.config(
        names[0],
        names[1] if has_second else None,
        primary_age=ages[0],
        secondary_age=ages[1],
        max_deviation=max_deviation,
        max_jump=max_jump,
        min_price=1500 * WAD,
        max_price=4000 * WAD,
    )
    twin = model.PriceOracle()
    steps = [
        world.oracle.setFeeds.step(MARKET, world.argument(config), sender=world.owner, delay=1)
    ]
    for name, (decimals, price, age, mode) in zip(names, (first, second), strict=True):
        answer = price * 10 ** (decimals - 4)
        twin.rounds[name] = seen_round(answer, 0, now - age, mode, now)
        feed = world.feeds[name]
        steps += [
            feed.setMode.step(mode, sender=world.owner, delay=0),
            feed.set.step(answer, 0, now - age, sender=world.owner, delay=0),
        ]
    twin.set_feeds(MARKET, config)
    at = reference * 10**14
    steps.append(world.oracle.read.step(MARKET, at, delay=0))
    steps.append(world.oracle.status.step(MARKET, at, delay=0))
    outcomes = rpc.simulate(steps)
    assert all(outcome.ok for outcome in outcomes), [o.error for o in outcomes]
    assert outcomes[-1].timestamp == now
    assert model.Reading(*outcomes[-2].value) == twin.read(MARKET, at, now)
    status = outcomes[-1].value
    states = tuple(model.FeedStatus(*s) for s in (status.primary, status.secondary))
    assert states == twin.feed_states(MARKET, now)
