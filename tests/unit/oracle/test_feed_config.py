"""Setting feeds: what is refused, who may do it, and that what comes out is what went in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st
from oracle_world import MARKET, WAD, ZERO_ADDRESS, Mode, OracleWorld

from backstop.harness.rpc import Contract, Reverted, RpcClient
from backstop.model.oracle import MAX_PRICE, Feed, FeedConfig, is_exact_bound

GOOD = FeedConfig(Feed("a8", 3600), Feed("b8", 3600), 10_000, 50_000, WAD, 10**6 * WAD)


def test_feeds_returns_what_was_set(world: OracleWorld) -> None:
    receipt = world.set_feeds(GOOD)
    expected = world.argument(GOOD)
    event = receipt.one("FeedsSet")
    assert event.market == MARKET
    for seen in (world.oracle.feeds(MARKET), event.config):
        assert (tuple(seen.primary), tuple(seen.secondary)) == (
            expected["primary"],
            expected["secondary"],
        )
        assert (seen.maxDeviation, seen.maxJump) == (10_000, 50_000)
        assert (seen.minPrice, seen.maxPrice) == (WAD, 10**6 * WAD)


def test_an_unknown_market_has_no_feeds(world: OracleWorld) -> None:
    with pytest.raises(Reverted) as caught:
        world.oracle.feeds(99)
    assert (caught.value.name, caught.value.arguments) == ("UnknownMarket", {"market": 99})


def test_feeds_can_be_replaced(world: OracleWorld) -> None:
    world.set_feeds(GOOD)
    world.set_feeds(world.config("a6", None))
    assert world.oracle.feeds(MARKET).secondary == (ZERO_ADDRESS, 0)
    assert world.oracle.feeds(MARKET).primary.source == world.feeds["a6"].address


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"primary": Feed(None, 3600)}, "primary.source"),
        ({"primary": Feed(None, 0)}, "primary.source"),
        ({"secondary": Feed("a8", 3600)}, "secondary.source"),
        ({"max_deviation": 0}, "maxDeviation"),
        ({"max_deviation": 10**6}, "maxDeviation"),
        ({"max_jump": 0}, "maxJump"),
        ({"max_jump": 10**6}, "maxJump"),
        ({"min_price": 0}, "minPrice"),
        ({"min_price": 2**35 * 10 + 1}, "minPrice"),
        ({"max_price": WAD}, "maxPrice"),
        ({"max_price": 0}, "maxPrice"),
        ({"max_price": MAX_PRICE + 10**15}, "maxPrice"),
        ({"max_price": 123_456_789_012 * WAD // 10**6}, "maxPrice"),
        ({"primary": Feed("a8", 0)}, "primary.maxAge"),
        ({"secondary": Feed("b8", 0)}, "secondary.maxAge"),
        ({"secondary": Feed(None, 1)}, "secondary.maxAge"),
    ],
)
def test_what_is_refused(world: OracleWorld, changes: dict[str, Any], field: str) -> None:
    assert world.refused(replace(GOOD, **changes)) == field


@pytest.mark.parametrize("which", ["primary", "secondary"])
@pytest.mark.parametrize("decimals", [0, 5, 19, 255])
def test_decimals_out_of_range(world: OracleWorld, which: str, decimals: int) -> None:
    name = "a8" if which == "primary" else "b8"
    world.feeds[name].setDecimals(decimals, sender=world.owner)
    config = replace(GOOD, **{which: Feed(name, 3600, decimals)})
    assert world.refused(config) == f"{which}.decimals"


@pytest.mark.parametrize("mode", [Mode.REVERT, Mode.NO_RETURN])
def test_decimals_that_cannot_be_read(world: OracleWorld, mode: Mode) -> None:
    world.feeds["b8"].setMode(mode, sender=world.owner)
    assert world.refused(replace(GOOD, secondary=Feed("b8", 3600, None))) == "secondary.decimals"


def test_a_source_without_code(world: OracleWorld, alice: Any) -> None:
    config = replace(GOOD, primary=Feed(alice.address, 3600, None))
    assert world.refused(config) == "primary.decimals"


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (1, 2),
        (2**35 - 1, (2**35 - 1) * 10),
        (WAD, MAX_PRICE),
        (123_456_789 * 10**10, 34_359_738_360 * 10**14),
    ],
)
def test_extreme_bounds(world: OracleWorld, low: int, high: int) -> None:
    world.set_feeds(replace(GOOD, min_price=low, max_price=high))
    seen = world.oracle.feeds(MARKET)
    assert (seen.minPrice, seen.maxPrice) == (low, high)


@given(
    mantissa=st.integers(1, 10**12),
    exponent=st.integers(0, 24),
    deviation=st.integers(1, 999_999),
    jump=st.integers(1, 999_999),
    ages=st.tuples(st.integers(1, 2**24 - 1), st.integers(1, 2**24 - 1)),
)
def test_any_configuration_survives_packing(
    deployed_oracle: OracleWorld,
    rpc: RpcClient,
    mantissa: int,
    exponent: int,
    deviation: int,
    jump: int,
    ages: tuple[int, int],
) -> None:
    """A bound either comes back exactly or is refused by name."""
    world = deployed_oracle
    low = min(mantissa * 10**exponent, MAX_PRICE - 1)
    config = FeedConfig(
        Feed("a6", ages[0], 6), Feed("b18", ages[1], 18), deviation, jump, low, MAX_PRICE
    )
    steps = [
        world.oracle.setFeeds.step(MARKET, world.argument(config), sender=world.owner),
        world.oracle.feeds.step(MARKET, delay=0),
    ]
    setting, reading = rpc.simulate(steps)
    if not is_exact_bound(low):
        assert setting.error is not None and setting.error.name == "InvalidFeedConfig"
        assert setting.error.arguments == {"market": MARKET, "field": "minPrice"}
        return
    assert setting.ok
    seen = reading.value
    assert (seen.primary.maxAge, seen.secondary.maxAge) == ages
    assert (seen.maxDeviation, seen.maxJump) == (deviation, jump)
    assert (seen.minPrice, seen.maxPrice) == (low, MAX_PRICE)


# --- who may


def test_strangers_set_nothing(world: OracleWorld, mallory: Any) -> None:
    with pytest.raises(Reverted) as caught:
        world.oracle.setFeeds(MARKET, world.argument(GOOD), sender=mallory)
    assert caught.value.name == "AccessManagedUnauthorized"


def test_the_access_managers_delay_holds(world: OracleWorld, alice: Any) -> None:
    role, delay = 5, 3 * 86_400
    manager, oracle = world.manager, world.oracle
    selector = oracle.setFeeds.encode(MARKET, world.argument(GOOD))[:4]
    manager.setTargetFunctionRole(oracle.address, [selector], role, sender=world.owner)
    manager.grantRole(role, alice.address, delay, sender=world.owner)
    call = oracle.setFeeds.encode(MARKET, world.argument(GOOD))
    for _ in range(2):
        with pytest.raises(Reverted):
            oracle.setFeeds(MARKET, world.argument(GOOD), sender=alice)
        manager.schedule(oracle.address, call, 0, sender=alice)
        with pytest.raises(Reverted, match="AccessManagerNotReady"):
            oracle.setFeeds(MARKET, world.argument(GOOD), sender=alice)
        world.rpc.warp(delay)
        oracle.setFeeds(MARKET, world.argument(GOOD), sender=alice)  # a new market, then a change


def test_construction(deploy: Callable[..., Contract], world: OracleWorld, alice: Any) -> None:
    feed, manager = world.feeds["a8"].address, world.manager.address
    for sequencer, grace, field in [
        (ZERO_ADDRESS, 1, "gracePeriod"),
        (feed, 0, "gracePeriod"),
        (feed, 3601, "gracePeriod"),
        (alice.address, 3600, "sequencerFeed"),
    ]:
        with pytest.raises(Reverted) as caught:
            deploy("PriceOracle", manager, sequencer, grace)
        assert caught.value.name == "InvalidSequencerConfig"
        assert caught.value.arguments == {"field": field}
    oracle = deploy("PriceOracle", manager, feed, 3600)
    assert (oracle.sequencerFeed(), oracle.gracePeriod()) == (feed, 3600)
    assert oracle.authority() == manager
