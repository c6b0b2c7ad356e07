"""Partial liquidation, three ways; close-out and the waterfall."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from backstop.harness.bench import SCALE, WAD, Bench
from backstop.harness.rpc import expect_revert

ANY = 2**255
KEEPER = 4


@pytest.fixture
def victim(bench: Bench) -> Bench:
    """User 1 is long 20 at 100 with 200 of equity; user 2 is short; user 4 keeps."""
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0)
    bench.deposit(1, 200)
    bench.deposit(2, 100_000)
    bench.deposit(KEEPER, 100_000)
    bench.trade(1, 2, 20, 100)
    return bench


def take(bench: Bench, base: int = ANY, limit: int = ANY, user: int = 1) -> Any:
    keeper = bench.account(KEEPER)
    return bench.liquidator.takeOver(
        bench.account(user), 0, keeper, base, limit, sender=bench.users[KEEPER]
    )


def test_healthy_accounts_are_left_alone(victim: Bench) -> None:
    victim.price("94.8", wait=60)  # equity 96, maintenance 94.8
    for call in (
        lambda: take(victim),
        lambda: victim.liquidator.flag(victim.account(1), sender=victim.users[KEEPER]),
    ):
        with expect_revert("NotLiquidatable", equity=96 * WAD):
            call()
    with expect_revert("NotBankrupt", equity=96 * WAD):
        victim.liquidator.closeOut(
            victim.account(1), victim.account(KEEPER), False, sender=victim.users[KEEPER]
        )


def test_take_over_restores_the_target_and_no_more(victim: Bench) -> None:
    victim.price(94, wait=60)  # equity 80, maintenance 94
    event = take(victim).one("Liquidated")
    equity, maintenance = 80, 94
    progress = 1 - Fraction(equity, maintenance)
    discount = Fraction(25, 10_000) + Fraction(75, 10_000) * progress
    surcharge = Fraction(75, 10_000)
    notional = (Fraction(12, 10) * maintenance - equity) / (
        Fraction(12, 10) * Fraction(5, 100) - discount - surcharge
    )
    assert event.size == pytest.approx(notional / 94 * WAD, rel=1e-15)
    assert event.price == pytest.approx(94 * (1 - discount) * WAD, rel=1e-15)
    assert event.surcharge == pytest.approx(notional * surcharge * WAD, rel=1e-15)
    state = victim.state(1)
    assert Fraction(state.equity, state.maintenanceMargin) == pytest.approx(1.2, rel=1e-12)
    assert state.flaggedAt == 0  # restored: the clock does not run
    assert victim.size(KEEPER) == event.size
    assert victim.engine.marketState(0).fundFees == event.surcharge


def test_a_short_is_taken_over_above_the_mark(bench: Bench) -> None:
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0)
    bench.deposit(1, 200)
    bench.deposit(2, 100_000)
    bench.deposit(KEEPER, 100_000)
    bench.trade(2, 1, 20, 100)
    bench.price(106, wait=60)
    with expect_revert("LimitPrice"):
        take(bench, limit=200 * WAD)
    event = take(bench, limit=106 * WAD).one("Liquidated")
    assert event.size < 0 and event.price > 106 * WAD
    assert bench.size(KEEPER) == event.size
    state = bench.state(1)
    assert Fraction(state.equity, state.maintenanceMargin) == pytest.approx(1.2, rel=1e-12)


def test_the_discount_grows_with_time_up_to_the_budget(victim: Bench) -> None:
    victim.price(94, wait=60)
    victim.liquidator.flag(victim.account(1), sender=victim.users[KEEPER])
    start = victim.now()
    assert victim.state(1).flaggedAt == start
    victim.liquidator.flag(victim.account(1), sender=victim.users[5])  # nothing happens
    assert victim.state(1).flaggedAt == start
    seen = []
    for elapsed in (30, 150, 299, 1000):
        with victim.rpc.isolated():
            victim.rpc.set_next_timestamp(start + elapsed)
            seen.append(94 * WAD - take(victim).one("Liquidated").price)
    assert seen == sorted(seen) and seen[0] < seen[1]
    assert seen[-1] == pytest.approx(94 * WAD // 100, rel=1e-12)  # the largest discount


def test_an_unflagged_clock_starts_anew(victim: Bench) -> None:
    victim.price(94, wait=60)
    victim.liquidator.flag(victim.account(1), sender=victim.users[KEEPER])
    with expect_revert("StillLiquidatable"):
        victim.liquidator.unflag(victim.account(1), sender=victim.users[KEEPER])
    victim.price(97, wait=60)
    victim.liquidator.unflag(victim.account(1), sender=victim.users[5])
    assert victim.state(1).flaggedAt == 0


def test_a_deposit_that_heals_stops_the_clock(victim: Bench) -> None:
    victim.price(94, wait=60)
    victim.liquidator.flag(victim.account(1), sender=victim.users[KEEPER])
    victim.deposit(1, 1)
    assert victim.state(1).flaggedAt != 0
    victim.deposit(1, 100)
    assert victim.state(1).flaggedAt == 0


def test_a_trade_that_heals_stops_the_clock(victim: Bench) -> None:
    victim.price(94, wait=60)
    victim.liquidator.flag(victim.account(1), sender=victim.users[KEEPER])
    victim.trade(2, 1, 1, 94)
    assert victim.state(1).flaggedAt != 0
    victim.trade(2, 1, 10, 94)
    assert victim.state(1).flaggedAt == 0


def test_small_steps_are_clipped_or_refused(victim: Bench) -> None:
    victim.price(94, wait=60)
    with expect_revert("StepTooSmall", minBase=10**15):
        take(victim, base=10**15 - 1)
    event = take(victim, base=10**18).one("Liquidated")
    assert event.size == 10**18
    assert victim.state(1).flaggedAt != 0  # not restored: the clock runs


def test_max_step(bench: Bench) -> None:
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0, maxStep=100)
    bench.deposit(1, 200)
    bench.deposit(2, 100_000)
    bench.deposit(KEEPER, 100_000)
    bench.trade(1, 2, 20, 100)
    bench.price(94, wait=60)
    event = take(bench).one("Liquidated")
    assert event.size == -(-100 * WAD * WAD // (94 * WAD))


@pytest.mark.parametrize("price", ["94.5", "93", "92", "91", "90.5", "90.05", "90.0001"])
def test_no_step_lowers_health(victim: Bench, price: str) -> None:
    victim.price(price, wait=80)
    before = victim.state(1)
    take(victim)
    after = victim.state(1)
    assert after.equity >= 0
    assert after.equity * before.maintenanceMargin >= before.equity * after.maintenanceMargin


def test_orders_at_the_worst_price_leave_health_as_it_is(victim: Bench) -> None:
    """The discount leaves 1,500 millionths: reward is 150 of them, surcharge the rest."""
    victim.set_market()
    victim.deposit(3, 10_000)
    victim.price("90.909", wait=80)
    account, keeper, sender = victim.account(1), victim.account(KEEPER), victim.users[KEEPER]
    _, worst = victim.liquidator.takeOver.call(account, 0, keeper, ANY, ANY, sender=sender)
    order, signed = victim.order(3, is_buy=True, base=20 * WAD, limit_price=worst)
    before = victim.state(1)
    event = victim.liquidator.liquidateWithOrders(
        account, 0, keeper, [order], [signed], sender=sender
    ).one("Liquidated")
    after = victim.state(1)
    assert 0 < event.reward < event.surcharge
    assert after.equity * before.maintenanceMargin >= before.equity * after.maintenanceMargin


def test_deleveraging_charges_no_more_than_health_bears(victim: Bench) -> None:
    victim.set_market()
    victim.price("90.452", wait=80)
    account, keeper, sender = victim.account(1), victim.account(KEEPER), victim.users[KEEPER]
    victim.liquidator.flag(account, sender=sender)
    victim.rpc.warp(601)
    before = victim.state(1)
    event = victim.liquidator.deleverage(account, 0, keeper, ANY, sender=sender).one("Liquidated")
    after = victim.state(1)
    assert 0 < event.reward < event.surcharge
    assert after.equity * before.maintenanceMargin >= before.equity * after.maintenanceMargin


def test_the_keeper_needs_its_own_margin(victim: Bench) -> None:
    victim.price(94, wait=60)
    poor = victim.deposit(6, 10)
    with expect_revert("InsufficientMargin", account=poor):
        victim.liquidator.takeOver(victim.account(1), 0, poor, ANY, ANY, sender=victim.users[6])
    with expect_revert("NotOwner", account=poor):
        victim.liquidator.takeOver(victim.account(1), 0, poor, ANY, ANY, sender=victim.users[5])
    with expect_revert("SameAccount"):
        own = victim.account(1)
        victim.liquidator.takeOver(own, 0, own, ANY, ANY, sender=victim.users[1])
    with expect_revert("NoPosition", market=1):
        victim.liquidator.takeOver(
            victim.account(1), 1, victim.account(KEEPER), ANY, ANY, sender=victim.users[KEEPER]
        )


def test_orders_take_the_position(victim: Bench) -> None:
    victim.set_market(makerFeePpm=200, takerFeePpm=500, rewardPpm=150)
    victim.deposit(3, 10_000)
    victim.price(94, wait=60)
    good, signed = victim.order(3, is_buy=True, base=3 * WAD, limit_price=94 * WAD)
    far, far_signed = victim.order(3, is_buy=True, base=9 * WAD, limit_price=92 * WAD)
    wrong, wrong_signed = victim.order(3, is_buy=False, base=9 * WAD, limit_price=94 * WAD)
    bad, _ = victim.order(3, is_buy=True, base=9 * WAD, limit_price=94 * WAD)
    keeper = victim.account(KEEPER)
    with expect_revert("NothingFilled"):
        victim.liquidator.liquidateWithOrders(
            victim.account(1), 0, keeper, [far, wrong], [far_signed, wrong_signed],
            sender=victim.users[KEEPER],
        )  # fmt: skip
    with expect_revert("OrdersAndSignatures", orders=1, signatures=0):
        victim.liquidator.liquidateWithOrders(
            victim.account(1), 0, keeper, [good], [], sender=victim.users[KEEPER]
        )
    before = victim.engine.collateral(keeper)
    event = victim.liquidator.liquidateWithOrders(
        victim.account(1), 0, keeper, [far, bad, good], [far_signed, signed, signed],
        sender=victim.users[KEEPER],
    ).one("Liquidated")  # fmt: skip
    assert event.size == 3 * WAD == victim.size(3)
    assert event.reward == 3 * 94 * WAD * 150 // 10**6
    assert victim.engine.collateral(keeper) - before == event.reward


def test_deleveraging_waits_and_needs_nobody(victim: Bench) -> None:
    victim.price(94, wait=60)
    account, keeper = victim.account(1), victim.account(KEEPER)
    sender = victim.users[KEEPER]
    with expect_revert("TooEarly", account=account):
        victim.liquidator.deleverage(account, 0, keeper, ANY, sender=sender)
    victim.liquidator.flag(account, sender=sender)
    start = victim.now()
    victim.rpc.set_next_timestamp(start + 599)
    with expect_revert("TooEarly", earliest=start + 600):
        victim.liquidator.deleverage(account, 0, keeper, ANY, sender=sender)
    victim.rpc.set_next_timestamp(start + 600 + 12)
    before = victim.state(2)
    event = victim.liquidator.deleverage(account, 0, keeper, ANY, sender=sender).one("Liquidated")
    after = victim.state(2)
    assert event.price == 94 * WAD
    assert victim.size(2) == -20 * WAD + event.size
    assert after.equity == pytest.approx(before.equity, abs=10**3)  # closed at the mark
    state = victim.state(1)
    assert Fraction(state.equity, state.maintenanceMargin) == pytest.approx(1.2, rel=1e-12)


def close_out(bench: Bench, take_positions: bool = False, user: int = 1) -> Any:
    receipt = bench.liquidator.closeOut(
        bench.account(user), bench.account(KEEPER), take_positions, sender=bench.users[KEEPER]
    )
    return receipt.one("ShortfallResolved").receipt


def legs(receipt: Any) -> tuple[int, ...]:
    fund = ("compartment", "reserve", "staked", "backing", "reinsurance")
    layers = (*fund, "sideCharged", "recorded")
    found = tuple(getattr(receipt, layer) for layer in layers)
    assert sum(found) == receipt.deficit
    return found


def bankrupt(bench: Bench, price: int = 88) -> None:
    """Equity 200 - 20 * 12 = -40 at 88."""
    bench.price(price, wait=300)
    assert bench.state(1).equity == (200 - 20 * (100 - price)) * WAD


def empty_fund(bench: Bench) -> None:
    """Takes what the deployment put into it: limits to zero."""
    limits = {"perClaim": 0, "perWindow": 0, "window": 1}
    bench.fund.setClaimant(bench.engine.address, limits, sender=bench.owner)


def test_bankrupt_accounts_are_not_liquidated_in_parts(victim: Bench) -> None:
    bankrupt(victim)
    with expect_revert("Bankrupt", equity=-40 * WAD):
        take(victim)


def test_an_account_with_nothing_left_and_nothing_owed(bench: Bench) -> None:
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0)
    for user, tokens in ((1, 400), (2, 100_000), (4, 1_000)):
        bench.deposit(user, tokens)
    bench.trade(1, 2, 20, 100)
    bench.price(80, wait=600)
    assert bench.state(1).equity == 0
    receipt = bench.liquidator.closeOut(
        bench.account(1), bench.account(4), False, sender=bench.users[4]
    )
    assert receipt.one("ShortfallResolved").receipt.deficit == 0
    assert not receipt.find("Covered", bench.fund)
    assert bench.size(1) == 0 and bench.state(1).equity == 0


def test_the_compartment_pays_first(victim: Bench) -> None:
    bankrupt(victim)
    have = victim.fund.compartment(victim.engine.address, 0)
    assert legs(close_out(victim)) == (40 * WAD, 0, 0, 0, 0, 0, 0)
    assert have - victim.fund.compartment(victim.engine.address, 0) == 40 * 10**6
    assert victim.engine.collateral(victim.account(1)) == 0
    assert victim.state(1).positions == ()
    assert victim.size(2) == 0  # the opposite side was closed at the mark


def test_income_not_yet_handed_over_is_the_compartments(victim: Bench) -> None:
    victim.deposit(3, 10_000)
    victim.set_market(makerFeePpm=10_000, takerFeePpm=10_000, bandPpm=50_000)
    victim.trade(3, 2, 10, 100)
    waiting = victim.engine.marketState(0).fundFees
    assert waiting == 10 * WAD
    victim.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0)
    bankrupt(victim)
    have = victim.fund.compartment(victim.engine.address, 0)
    assert legs(close_out(victim))[0] == 40 * WAD
    assert victim.engine.marketState(0).fundFees == 0
    assert have - victim.fund.compartment(victim.engine.address, 0) == 30 * 10**6


def drain(bench: Bench) -> None:
    """A fund without compartment money for market 0 and without room for shared draws."""
    empty_fund(bench)
    # a large enough deficit empties the compartment
    left = bench.fund.compartment(bench.engine.address, 0) // 10**6
    bench.deposit(8, left * 2)
    bench.deposit(9, left * 40)
    base = left * 2 // 10
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0, openInterestCap=10**9 * WAD)
    bench.trade(8, 9, base, 100)
    bench.price(85, wait=400)
    close_out(bench, user=8)
    assert bench.fund.compartment(bench.engine.address, 0) == 0
    bench.price(100, wait=400)
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0)


def test_with_an_empty_fund_the_opposite_side_bears_it(bench: Bench) -> None:
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0)
    bench.deposit(KEEPER, 100_000)
    drain(bench)
    bench.deposit(1, 200)
    bench.deposit(2, 100_000)
    bench.deposit(3, 100_000)
    bench.trade(1, 2, 20, 100)
    bankrupt(bench)
    before = bench.state(2).equity
    assert legs(close_out(bench)) == (0, 0, 0, 0, 0, 40 * WAD, 0)
    assert before - bench.state(2).equity == pytest.approx(40 * WAD, abs=10)


def test_what_a_side_cannot_bear_is_recorded_and_repaid_first(bench: Bench) -> None:
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0)
    bench.deposit(KEEPER, 100_000)
    drain(bench)
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0, chargeCapPpm=10_000)
    bench.deposit(1, 200)
    bench.deposit(2, 100_000)
    bench.trade(1, 2, 20, 100)
    bankrupt(bench)
    bearable = 20 * 88 * WAD // 100
    assert legs(close_out(bench)) == (0, 0, 0, 0, 0, bearable, 40 * WAD - bearable)
    recorded = 40 * WAD - bearable
    assert bench.engine.marketState(0).recordedDeficit == recorded
    assert bench.engine.openDeficit(0) == -(-recorded // SCALE)
    # income repays it before the fund gets anything
    bench.set_market(makerFeePpm=10_000, takerFeePpm=10_000)
    bench.deposit(3, 100_000)
    bench.trade(3, 2, 100, 88)
    income = bench.engine.marketState(0).fundFees
    swept = bench.engine.sweepFees(0, sender=bench.users[7]).one("FeesSwept")
    assert bench.engine.marketState(0).recordedDeficit == 0
    assert (swept.repaid, swept.toFund) == (recorded, (income - recorded) // SCALE)


def test_the_keeper_may_take_the_positions_at_the_mark(victim: Bench) -> None:
    bankrupt(victim)
    assert legs(close_out(victim, take_positions=True)) == (40 * WAD, 0, 0, 0, 0, 0, 0)
    assert victim.size(KEEPER) == 20 * WAD
    assert victim.size(2) == -20 * WAD
    assert victim.state(1).positions == ()


def test_a_deficit_is_netted_over_markets_and_split_by_margin(victim: Bench) -> None:
    bench = victim
    bench.set_market(1, makerFeePpm=0, takerFeePpm=0, rewardPpm=0)
    bench.deposit(1, 100)
    bench.deposit(3, 100_000)
    bench.trade(3, 1, 10, 100, market=1)  # short 10 in the other market
    bench.price(82, wait=300)  # long loses 360
    bench.price(99, market=1, wait=30)  # short gains 10
    assert bench.state(1).equity == -50 * WAD
    have = [bench.fund.compartment(bench.engine.address, m) for m in (0, 1)]
    receipt = close_out(bench)
    assert legs(receipt) == (50 * WAD, 0, 0, 0, 0, 0, 0)
    spent = [have[m] - bench.fund.compartment(bench.engine.address, m) for m in (0, 1)]
    first = Fraction(50 * 20 * 82, 20 * 82 + 10 * 99)
    assert spent[0] in (int(first * 10**6), int(first * 10**6) + 1)
    assert sum(spent) in (50 * 10**6, 50 * 10**6 + 1)  # a claim is rounded up to a unit


def test_a_stale_market_does_not_stop_the_others(victim: Bench) -> None:
    bench = victim
    bench.set_market(1, makerFeePpm=0, takerFeePpm=0, rewardPpm=0)
    bench.deposit(1, 100)
    bench.deposit(3, 100_000)
    bench.trade(3, 1, 10, 100, market=1)
    bench.price(82, wait=300)
    for feed in bench.system.feeds[1]:
        feed.set(0, 0, 0, sender=bench.owner)
    sender, keeper = bench.users[KEEPER], bench.account(KEEPER)
    bench.liquidator.closeOut(bench.account(1), keeper, False, sender=sender)
    (left,) = bench.state(1).positions
    assert (left.market, left.size) == (1, -10 * WAD)
    assert bench.engine.marketState(0).recordedDeficit == 0
    with expect_revert("PriceNotUsable", market=1):
        bench.liquidator.closeOut(bench.account(1), keeper, False, sender=sender)
    bench.price(100, market=1, wait=30)
    assert legs(close_out(bench)) == (60 * WAD, 0, 0, 0, 0, 0, 0)


def test_paused_markets_still_liquidate(victim: Bench) -> None:
    victim.engine.pauseRisk(0, sender=victim.owner)
    victim.price(94, wait=60)
    take(victim)
    victim.price(80, wait=300)
    if victim.state(1).equity < 0:
        close_out(victim)


def test_engine_hooks_are_the_liquidators(bench: Bench) -> None:
    account, keeper = bench.account(1), bench.account(KEEPER)
    sender = bench.users[7]
    for call in (
        lambda: bench.engine.touch(account, sender=sender),
        lambda: bench.engine.setFlag(account, True, sender=sender),
        lambda: bench.engine.takeOver(account, keeper, 0, 1, 1, 0, sender=sender),
        lambda: bench.engine.chargeLiquidation(account, keeper, 0, 1, 1, sender=sender),
        lambda: bench.engine.deleverage(account, 0, 1, 0, sender=sender),
        lambda: bench.engine.chargeSide(0, True, 1, sender=sender),
        lambda: bench.engine.coverFromFund(account, keeper, [0], [1], 0, sender=sender),
        lambda: bench.engine.settleDeficit(account, 0, 1, 0, sender=sender),
    ):
        with expect_revert("NotLiquidator", caller=sender):
            call()


def test_deleveraging_touches_all_opposite_accounts_alike(bench: Bench) -> None:
    """One close-out against two shorts: each is closed by the same fraction, at the mark."""
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0)
    bench.deposit(1, 200)
    for user in (2, 3, KEEPER):
        bench.deposit(user, 100_000)
    bench.trade(1, 2, 15, 100)
    bench.trade(1, 3, 5, 100)
    bench.trade(KEEPER, 3, 20, 100)
    bankrupt(bench)
    close_out(bench)
    # 20 of 40 are gone
    assert bench.size(2) == pytest.approx(-75 * WAD // 10, abs=2)
    assert bench.size(3) == pytest.approx(-125 * WAD // 10, abs=2)
    accounts = [bench.account(user) for user in (1, 2, 3, KEEPER)]
    assert 0 <= bench.engine_surplus(accounts) <= 10**4
