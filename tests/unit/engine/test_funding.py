"""Funding: who pays whom, how much, and that nothing is made of it."""

from __future__ import annotations

import pytest

from backstop.harness.bench import WAD, Bench

EIGHT_HOURS = 8 * 3600


@pytest.fixture
def open_market(bench: Bench) -> Bench:
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0, fundingClampPpb=10_000_000)
    for user in (1, 2, 3):
        bench.deposit(user, 1_000_000)
    return bench


def values(bench: Bench, *users: int) -> list[int]:
    return [bench.state(user).equity for user in users]


def test_premium_is_paid_by_longs_and_got_by_shorts(open_market: Bench) -> None:
    bench = open_market
    bench.trade(1, 2, 100, "100.5")  # premium .5 %
    bench.rpc.set_next_timestamp(bench.now() + 3600)
    bench.trade(1, 2, 1, "100.5")  # after an hour the average is the held premium
    assert bench.engine.marketState(0).fundingPremiumPpb == 5_000_000
    start, before = bench.now(), values(bench, 1, 2)
    bench.rpc.set_next_timestamp(start + 1800)
    bench.engine.poke(0, sender=bench.owner)
    paid = 101 * 100 * WAD * 5 // 1000 * 1800 // EIGHT_HOURS
    after = values(bench, 1, 2)
    assert before[0] - after[0] == pytest.approx(paid, abs=2)
    assert after[1] - before[1] == pytest.approx(paid, abs=2)
    assert sum(after) <= sum(before)


def test_a_discount_is_paid_by_shorts(open_market: Bench) -> None:
    bench = open_market
    bench.trade(1, 2, 100, "99.5")
    bench.rpc.set_next_timestamp(bench.now() + 3600)
    bench.trade(1, 2, 1, "99.5")
    before = values(bench, 1, 2)
    bench.rpc.set_next_timestamp(bench.now() + 600)
    bench.engine.poke(0, sender=bench.owner)
    after = values(bench, 1, 2)
    assert after[0] > before[0] and after[1] < before[1] and sum(after) <= sum(before)


def test_samples_are_clamped(open_market: Bench) -> None:
    bench = open_market
    bench.trade(1, 2, 100, 104)
    bench.rpc.set_next_timestamp(bench.now() + 3600)
    bench.trade(1, 2, 1, 104)
    assert bench.engine.marketState(0).fundingPremiumPpb == 10_000_000


def test_average_moves_with_time_not_with_volume(open_market: Bench) -> None:
    bench = open_market
    bench.trade(1, 2, 100, 101)
    start = bench.now()
    for step in range(1, 4):  # three fills in the same minute count as a minute
        bench.rpc.set_next_timestamp(start + 20 * step)
        bench.trade(1, 2, 50, 101)
    assert bench.engine.marketState(0).fundingPremiumPpb == pytest.approx(10_000_000 / 60, rel=0.02)


def test_one_accrual_charges_an_hour_at_most(open_market: Bench) -> None:
    bench = open_market
    bench.trade(1, 2, 100, 101)
    bench.rpc.set_next_timestamp(bench.now() + 3600)
    bench.trade(1, 2, 1, 101)
    before = values(bench, 1)[0]
    bench.rpc.set_next_timestamp(bench.now() + 30 * 3600)
    bench.engine.poke(0, sender=bench.owner)
    hour = 101 * 100 * WAD // 100 * 3600 // EIGHT_HOURS
    assert before - values(bench, 1)[0] == pytest.approx(hour, abs=2)


def test_a_view_says_what_a_transaction_would_find(open_market: Bench) -> None:
    bench = open_market
    bench.trade(1, 2, 100, 101)
    bench.rpc.set_next_timestamp(bench.now() + 3600)
    bench.trade(1, 2, 1, 101)
    bench.rpc.set_next_timestamp(bench.now() + 1000)
    bench.rpc.mine()
    seen = values(bench, 1, 2)
    bench.rpc.set_next_timestamp(bench.now() + 1)
    bench.engine.poke(0, sender=bench.owner)
    poked = values(bench, 1, 2)
    assert poked[0] < seen[0] < poked[0] + WAD // 10


def test_poking_twice_in_a_block_changes_nothing(open_market: Bench) -> None:
    bench = open_market
    bench.trade(1, 2, 100, 101)
    bench.rpc.set_next_timestamp(bench.now() + 3600)
    bench.trade(1, 2, 1, 101)
    bench.rpc.rpc("anvil_setBlockTimestampInterval", 0)
    try:
        bench.rpc.set_next_timestamp(bench.now() + 60)
        bench.engine.poke(0, sender=bench.owner)
        first = bench.engine.sideState(0)
        bench.engine.poke(0, sender=bench.owner)
        assert bench.engine.sideState(0) == first
    finally:
        bench.rpc.rpc("anvil_setBlockTimestampInterval", 12)
