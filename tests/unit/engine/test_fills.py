"""What a fill must pass, at the boundary."""

from __future__ import annotations

from decimal import Decimal

import pytest

from backstop.harness.bench import WAD, Bench
from backstop.harness.rpc import expect_revert


@pytest.fixture
def pair(bench: Bench) -> Bench:
    """Users 1 and 2 with plenty."""
    bench.deposit(1, 1_000_000)
    bench.deposit(2, 1_000_000)
    return bench


def test_only_settlement_books_fills(bench: Bench) -> None:
    fill = {
        "market": 0,
        "makerIsBuyer": True,
        "liquidation": False,
        "maker": bench.account(1),
        "taker": bench.account(2),
        "base": WAD,
        "fillPrice": 100 * WAD,
    }
    with expect_revert("NotSettlement", caller=bench.users[1]):
        bench.engine.settleFill(fill, sender=bench.users[1])


def test_positions_and_fees(pair: Bench) -> None:
    receipt = pair.trade(1, 2, 20, 100)
    traded = receipt.one("Traded")
    assert traded.makerFee == 2000 * WAD * 200 // 10**6
    assert traded.takerFee == 2000 * WAD * 500 // 10**6
    assert (pair.size(1), pair.size(2)) == (20 * WAD, -20 * WAD)
    state = pair.engine.marketState(0)
    fees = traded.makerFee + traded.takerFee
    assert (state.fundFees, state.treasuryFees) == (fees // 2, fees - fees // 2)
    assert state.openLong == state.openShort == 20 * WAD


@pytest.mark.parametrize("price", ["95", "105"])
def test_band_edge_is_inside(pair: Bench, price: str) -> None:
    pair.trade(1, 2, 1, price)


@pytest.mark.parametrize("price", ["94.999999999999999999", "105.000000000000000001"])
def test_beyond_the_band(pair: Bench, price: str) -> None:
    with expect_revert("OutsideBand", lowest=95 * WAD, highest=105 * WAD):
        pair.trade(1, 2, 1, price)


def test_initial_margin_to_the_wei(bench: Bench) -> None:
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0)
    bench.deposit(1, 200)
    bench.deposit(2, 1_000_000)
    largest = 200 * WAD * 10**6 // (99_000 * 100)
    while initial_margin(largest * 100) > 200 * WAD:
        largest -= 1
    assert initial_margin(largest * 100) <= 200 * WAD < initial_margin((largest + 1) * 100)
    with expect_revert("InsufficientMargin", equity=200 * WAD):
        bench.trade(1, 2, Decimal(largest + 1) / WAD, 100)
    bench.trade(1, 2, Decimal(largest) / WAD, 100)


def initial_margin(notional: int) -> int:
    """ceil(ceil(n * (1 + n / scale)) * 9.9 %), the bench's parameters."""
    scale = (2**64 - 1) * WAD
    scaled = -(-notional * (scale + notional) // scale)
    return -(-scaled * 99_000 // 10**6)


def test_a_fills_own_gain_is_no_margin(bench: Bench) -> None:
    """Bought 4 % below the mark, the position shows a gain; it may not carry itself."""
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0)
    bench.deposit(1, 200)
    bench.deposit(2, 1_000_000)
    with expect_revert("InsufficientMargin", equity=200 * WAD):
        bench.trade(1, 2, "20.3", 96)
    bench.trade(1, 2, 20, 96)


def test_a_loss_of_the_fill_counts(bench: Bench) -> None:
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0)
    bench.deposit(1, 200)
    bench.deposit(2, 1_000_000)
    with expect_revert("InsufficientMargin"):
        bench.trade(1, 2, 20, "100.3")


def test_open_interest_cap(pair: Bench) -> None:
    pair.set_market(openInterestCap=50 * WAD)
    pair.trade(1, 2, 50, 100)
    with expect_revert("OpenInterestAboveCap", cap=50 * WAD):
        pair.trade(1, 2, "0.01", 100)
    pair.set_market(openInterestCap=10 * WAD)
    pair.trade(2, 1, 5, 100)  # lowering is always possible
    # passing a position on does not raise open interest
    pair.deposit(3, 100_000)
    pair.trade(3, 1, 5, 100)


def test_smallest_position(pair: Bench) -> None:
    minimum = 10**15
    with expect_revert("PositionBelowMinimum", minimum=minimum):
        pair.trade(1, 2, "0.000999999999999999", 100)
    pair.trade(1, 2, "0.002", 100)
    with expect_revert("PositionBelowMinimum"):
        pair.trade(2, 1, "0.0015", 100)
    pair.trade(2, 1, "0.002", 100)
    assert pair.size(1) == 0


def test_pause_stops_risk_only(pair: Bench) -> None:
    pair.trade(1, 2, 10, 100)
    pair.engine.pauseRisk(0, sender=pair.owner)
    with expect_revert("RiskIsPaused", market=0):
        pair.trade(1, 2, 1, 100)
    pair.trade(2, 1, 4, 100)
    with expect_revert("RiskIsPaused"):
        pair.trade(2, 1, 12, 100)  # turning the position round raises risk
    pair.engine.withdraw(pair.account(1), 1, pair.users[1], sender=pair.users[1])
    pair.engine.resumeRisk(0, sender=pair.owner)
    pair.trade(1, 2, 1, 100)


def test_one_feed_lets_risk_fall_only(pair: Bench) -> None:
    pair.trade(1, 2, 10, 100)
    pair.system.feeds[0][1].set(0, 0, 0, sender=pair.owner)
    with expect_revert("PriceNotUsable", market=0):
        pair.trade(1, 2, 1, 100)
    with expect_revert("PriceNotUsable"):
        pair.engine.withdraw(pair.account(1), 1, pair.users[1], sender=pair.users[1])
    pair.trade(2, 1, 4, 100)
    pair.system.feeds[0][0].set(0, 0, 0, sender=pair.owner)
    with expect_revert("PriceNotUsable"):
        pair.trade(2, 1, 4, 100)


def test_below_initial_margin_health_may_not_fall(bench: Bench) -> None:
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0)
    bench.deposit(1, 200)
    bench.deposit(2, 1_000_000)
    bench.trade(1, 2, 20, 100)
    bench.price(94, wait=60)  # equity 80, maintenance 94: health .851
    # closing half at the mark: same equity, half the margin
    with expect_revert("HealthWorsened"):
        bench.trade(2, 1, 1, "89.5")  # loses 4.5 of 80 for 4.7 of 94
    bench.trade(2, 1, 10, 94)
    state = bench.state(1)
    assert state.equity == 80 * WAD
    assert state.maintenanceMargin == pytest.approx(47 * WAD, abs=10**6)


def test_margin_grows_with_size_and_open_interest(bench: Bench) -> None:
    bench.set_market(sizeScale=10_000, openInterestSlopePpm=500_000, openInterestCap=100 * WAD)
    bench.deposit(1, 1_000_000)
    bench.deposit(2, 1_000_000)
    bench.trade(1, 2, 50, 100)
    state = bench.state(1)
    # 5000 * (1 + 5000/10000) * (1 + .5 * 50/100) = 9375
    assert state.initialMargin == 9375 * WAD * 99 // 1000
    # others' open interest makes nobody liquidatable: 5000 * 1.5 * 5 %
    assert state.maintenanceMargin == 375 * WAD


def test_partial_close_realises_its_share(pair: Bench) -> None:
    pair.trade(1, 2, 10, 100)
    before = pair.engine.collateral(pair.account(1))
    pair.price(104, wait=60)
    receipt = pair.trade(2, 1, 4, 104)
    assert receipt.one("Traded").takerRealised == 16 * WAD
    fee = 416 * WAD * 500 // 10**6
    assert pair.engine.collateral(pair.account(1)) == before + 16 * WAD - fee
    (position,) = pair.state(1).positions
    assert (position.size, position.quote) == (6 * WAD, -600 * WAD)


def test_turning_round(pair: Bench) -> None:
    pair.trade(1, 2, 10, 100)
    pair.price(104, wait=60)
    pair.trade(2, 1, 15, 104)
    (position,) = pair.state(1).positions
    assert (position.size, position.quote) == (-5 * WAD, 520 * WAD)
