"""Attacks that an independent review found to work, and that must not again (decision 0009)."""

from __future__ import annotations

from typing import Any

import pytest

from backstop.harness.bench import WAD, Bench
from backstop.harness.rpc import expect_revert

KEEPER = 4
ANY = 2**255
FULL, REDUCED = 2, 1


@pytest.fixture
def rich(bench: Bench) -> Bench:
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0)
    for user in (1, 2, 3, KEEPER):
        bench.deposit(user, 10_000_000)
    return bench


def test_nothing_is_opened_or_withdrawn_against_a_mark_that_lags(rich: Bench) -> None:
    bench = rich
    bench.trade(1, 2, 10, 100)
    bench.engine.poke(0, sender=bench.owner)
    bench.price(85)  # the index jumps by 15 %, the mark follows at .15 % a second
    with expect_revert("PriceNotUsable", market=0, validity=REDUCED, needed=FULL):
        bench.trade(1, 2, 1, 85)
    with expect_revert("PriceNotUsable", market=0, validity=REDUCED, needed=FULL):
        bench.engine.withdraw(bench.account(1), 1, bench.users[1], sender=bench.users[1])
    assert bench.engine.withdrawable(bench.account(1)) == 0
    bench.trade(2, 1, 1, 85)  # lowering risk goes on
    bench.rpc.warp(120)
    bench.engine.poke(0, sender=bench.owner)
    bench.trade(1, 2, 1, 85)


def test_the_gap_that_stops_it_is_a_quarter_of_the_margin_between(rich: Bench) -> None:
    """(9.9 % - 5 %) / 4 = 1.225 % of the mark, after it moved."""
    bench = rich
    bench.trade(1, 2, 10, 100)
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0, markSpeedPpb=1)
    bench.price("98.775")
    bench.trade(1, 2, 1, "98.775")
    bench.price("98.77")
    with expect_revert("PriceNotUsable", validity=REDUCED):
        bench.trade(1, 2, 1, "98.77")


def test_a_higher_initial_margin_does_not_make_a_worse_mark_good_enough(rich: Bench) -> None:
    """The guardian raises it at once, and so does an empty fund."""
    bench = rich
    bench.trade(1, 2, 10, 100)
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0, markSpeedPpb=1)
    bench.price(95)
    with expect_revert("PriceNotUsable", validity=REDUCED):
        bench.trade(1, 2, 1, 95)
    bench.engine.tightenMarket(0, 500_000, 50_000, 0, sender=bench.owner)
    with expect_revert("PriceNotUsable", validity=REDUCED):
        bench.trade(1, 2, 1, 95)


def test_the_guardian_makes_no_cover_cheaper(rich: Bench) -> None:
    """What followed an empty fund stays where it is when the following ends."""
    bench = rich
    bench.set_market()
    for _ in range(2):  # without a target the ratio is 0, and nothing is left to lag behind
        bench.fund.setRiskOracle("0x" + "00" * 20, sender=bench.owner)
    bench.engine.setCoverTerms(0, 2_500_000, 250_000, 0, sender=bench.owner)
    p, liquidation, _ = bench.engine.marketParameters(0)
    assert (liquidation.surchargePpm, p.fundSharePpm) == (18_750, 10**6)
    tight = (p.initialMarginPpm + 1, p.bandPpm, p.profitLock)
    bench.engine.tightenMarket(0, *tight, sender=bench.owner)
    with expect_revert("NoCoverTerms", market=0):
        bench.engine.followFund(0, sender=bench.owner)
    p, liquidation, _ = bench.engine.marketParameters(0)
    assert (liquidation.surchargePpm, p.fundSharePpm) == (18_750, 10**6)


def test_a_speck_in_another_market_does_not_take_the_reward_away(rich: Bench) -> None:
    """Nobody would bring a bankrupt account whose first position is worth nothing."""
    bench = rich
    for market in (0, 1):
        bench.set_market(market)
    bench.deposit(5, 1_100)
    bench.trade(5, 2, "0.001", 100)
    bench.trade(5, 2, 100, 100, market=1)
    bench.price(100)
    bench.price(85, market=1, wait=400)
    closed = bench.liquidator.closeOut(
        bench.account(5), bench.account(KEEPER), False, sender=bench.users[KEEPER]
    )
    assert closed.one("FundPaid").rewardAssets == 100 * 85 * 150
    assert next(iter(closed.find("Covered"))).market == 1


def test_what_the_view_calls_withdrawable_can_be_withdrawn(rich: Bench) -> None:
    """Profit of a side that ended is locked when it is realised, by the withdrawal itself."""
    bench = rich
    bench.set_market(
        makerFeePpm=0, takerFeePpm=0, rewardPpm=0, chargeCapPpm=10**6, profitLock=3_600
    )
    torn_up(bench, 100)
    account, owner = bench.account(2), bench.users[2]
    state: Any = bench.engine.accountState(account)
    assert state.positions[0].size == 0
    assert state.equity > 10_000_000 * WAD, "a profit"
    available = bench.engine.withdrawable(account)
    assert available == 10_000_000 * 10**6
    bench.engine.withdraw(account, available, owner, sender=owner)
    locked = bench.engine.accountState(account).lockedProfit
    assert locked == state.equity - 10_000_000 * WAD


def torn_up(bench: Bench, base: int) -> None:
    """Longs of odd sizes go bankrupt one after the other, until none is left."""
    for sub, (share, deposit) in enumerate(((7, 13), (13, 11), (29, 12), (51, 11))):
        size = base * share // 100
        bench.deposit(9, size * deposit + 1, sub=sub)
        bench.trade(9, 2, f"{size}.{sub + 1}37", 100, buyer_sub=sub)
    bench.price(86, wait=400)
    for sub in range(4):
        bench.liquidator.closeOut(
            bench.account(9, sub), bench.account(KEEPER), False, sender=bench.users[KEEPER]
        )


@pytest.mark.parametrize("base", [100, 100_000])
def test_a_market_outlives_a_full_tear_up(rich: Bench, base: int) -> None:
    bench = rich
    bench.set_market(
        makerFeePpm=0, takerFeePpm=0, rewardPpm=0, openInterestCap=10**9 * WAD, chargeCapPpm=10**6
    )
    torn_up(bench, base)
    state: Any = bench.engine.marketState(0)
    assert state.openLong == state.openShort == 0
    assert tuple(bench.engine.sideState(0).basis) == (0, 0)
    assert bench.size(2) == 0
    bench.trade(1, 3, 5, 86)
    bench.trade(3, 1, 5, 86)
    assert bench.size(1) == bench.size(3) == 0


def test_a_small_trade_does_not_set_the_premium(rich: Bench) -> None:
    bench = rich
    bench.trade(1, 2, 100, 100)
    bench.trade(3, KEEPER, "0.001", 101)
    bench.rpc.warp(3600)
    bench.trade(3, KEEPER, "0.001", 101)
    # 1e7 ppb held by a share of 1e-5 of open interest
    assert abs(bench.engine.marketState(0).fundingPremiumPpb) <= 100


def test_a_premium_ends_an_hour_after_the_last_fill(rich: Bench) -> None:
    bench = rich
    bench.trade(1, 2, 100, 101)
    bench.rpc.set_next_timestamp(bench.now() + 3600)
    bench.trade(1, 2, 100, 101)
    for _ in range(2):
        bench.rpc.warp(3600)
        bench.engine.poke(0, sender=bench.owner)
    paid = bench.engine.sideState(0)
    bench.rpc.warp(3600)
    bench.engine.poke(0, sender=bench.owner)
    assert bench.engine.sideState(0) == paid


def test_others_open_interest_makes_nobody_liquidatable(rich: Bench) -> None:
    bench = rich
    bench.set_market(
        makerFeePpm=0, takerFeePpm=0, rewardPpm=0, openInterestSlopePpm=500_000,
        openInterestCap=100 * WAD,
    )  # fmt: skip
    bench.deposit(5, 1000)
    bench.trade(5, 2, 20, 100)
    before = bench.state(5)
    bench.trade(1, 3, 80, 100)
    after = bench.state(5)
    assert after.initialMargin > before.initialMargin
    assert after.maintenanceMargin == before.maintenanceMargin


def test_no_value_leaves_while_another_price_is_gone(rich: Bench) -> None:
    bench = rich
    bench.set_market(1, makerFeePpm=0, takerFeePpm=0, rewardPpm=0)
    bench.trade(1, 2, 10, 100)
    bench.trade(1, 2, 10, 100, market=1)
    for feed in bench.system.feeds[1]:
        feed.set(0, 0, 0, sender=bench.owner)
    bench.engine.poke(1, sender=bench.owner)
    with expect_revert("PriceNotUsable", market=1):
        bench.trade(3, 1, 5, 96)
    bench.trade(3, 1, 5, "99.5")


def test_a_short_lock_does_not_free_a_long_one(rich: Bench) -> None:
    bench = rich
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0, profitLock=3600)
    bench.set_market(1, makerFeePpm=0, takerFeePpm=0, rewardPpm=0, profitLock=60)
    bench.trade(1, 2, 20, 100)
    bench.trade(1, 2, 1000, 100, market=1)
    bench.price(104, wait=60)
    bench.price(104, market=1, wait=60)
    bench.trade(2, 1, 20, 104)
    locked = bench.now()
    bench.trade(2, 1, 1000, 104, market=1)
    bench.rpc.set_next_timestamp(locked + 1800)
    bench.rpc.mine()
    assert bench.state(1).lockedProfit >= 40 * WAD
