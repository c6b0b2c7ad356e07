"""Backstop inventory on the contracts, with numbers by hand. One unit of price is a token."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from shared_cases import CAPS

from backstop.harness.bench import SCALE, WAD, Bench
from backstop.harness.rpc import expect_revert

UNIT = 10**6
ANY = 2**255
KEEPER, BUYER = 4, 6


def set_caps(bench: Bench, market: int = 0, **changes: int) -> None:
    bench.system.backstop.setCaps(market, {**CAPS, **changes}, sender=bench.owner)


@pytest.fixture
def victim(bench: Bench) -> Bench:
    """User 1 is long 20 at 100 with 200 of equity, user 2 is short; the backstop has its capital.

    No fees, no reward; ramp 300 s, deleveraging after 600 s.
    """
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0)
    set_caps(bench)
    for user, tokens in ((1, 200), (2, 100_000), (KEEPER, 100_000), (BUYER, 100_000)):
        bench.deposit(user, tokens)
    bench.trade(1, 2, 20, 100)
    bench.system.backstop.deploy(0, ANY, sender=bench.users[7])
    return bench


def fall(bench: Bench, price: Any, wait: int = 300) -> None:
    """The price falls, user 1 is flagged, and so many seconds pass until the next block."""
    bench.price(price, wait=60)
    bench.liquidator.flag(bench.account(1), sender=bench.users[KEEPER])
    bench.rpc.set_next_timestamp(bench.now() + wait)


def to_backstop(bench: Bench) -> Any:
    return bench.liquidator.liquidateToBackstop(
        bench.account(1), 0, bench.account(KEEPER), sender=bench.users[KEEPER]
    )


def buy(bench: Bench, base: int = ANY, limit: int = ANY, user: int = BUYER, market: int = 0) -> Any:
    return bench.liquidator.buyInventory(
        market, bench.account(user), base, limit, sender=bench.users[user]
    )


def inventory(bench: Bench, market: int = 0) -> Any:
    return bench.system.backstop.inventory(market)


def hold(bench: Bench) -> None:
    """The backstop holds 15 of user 1's 20 at a mark of 94."""
    fall(bench, 94)
    to_backstop(bench)


# --- capital


def test_only_a_claimants_inventory_moves_its_capital(bench: Bench) -> None:
    fund, nobody, owner = bench.fund, bench.users[8], bench.owner
    assert fund.inventoryOf(bench.engine.address) == bench.system.backstop.address
    with expect_revert("NotClaimant", caller=nobody):
        fund.setInventory(nobody, nobody, sender=owner)
    with expect_revert("NotClaimant", caller=nobody):
        fund.returnCapital(nobody, 0, 1, sender=owner)
    for call in (fund.deployCapital, fund.writeOffCapital):
        with expect_revert("NotInventory", caller=nobody):
            call(bench.engine.address, 0, 1, sender=nobody)
    # nothing can be drawn where nothing may be: no revert, no capital
    fund.setInventory(bench.engine.address, nobody, sender=owner)
    fund.setClaimant(bench.engine.address, (0, 0, 86_400), sender=owner)
    receipt = fund.deployCapital(bench.engine.address, 7, 1, sender=nobody)
    assert receipt.find("CapitalDeployed") == []
    assert tuple(fund.deployedCapital(bench.engine.address, 7)) == (0, 0)


def test_capital_comes_from_the_compartment_first_and_goes_back_in_reverse(bench: Bench) -> None:
    fund, engine = bench.fund, bench.engine.address
    set_caps(bench, capital=30_000 * UNIT, loss=10_000 * UNIT)
    bench.fund.setClaimant(
        engine,
        {"perClaim": 6_000 * UNIT, "perWindow": 9_000 * UNIT, "window": 1_000},
        sender=bench.owner,
    )
    assert (fund.compartment(engine, 0), fund.reserve()) == (20_000 * UNIT, 100_000 * UNIT)
    # 20,000 of the compartment and, for the rest, one event's limit of 6,000 of the reserve
    backstop = bench.system.backstop
    event = backstop.deploy(0, ANY, sender=bench.users[7]).one("CapitalDeployed", fund)
    assert (event.fromCompartment, event.fromReserve) == (20_000 * UNIT, 6_000 * UNIT)
    assert (fund.compartment(engine, 0), fund.reserve()) == (0, 94_000 * UNIT)
    assert fund.drawRoom(engine, 0)[1] <= 3_100 * UNIT  # 6,000 of 9,000 are used
    assert inventory(bench).equity == 26_000 * WAD
    # the cap falls to 22,000: the 4,000 above it go back, to the reserve
    backstop.tightenCaps(
        0, {**CAPS, "capital": 22_000 * UNIT, "loss": 10_000 * UNIT}, sender=bench.owner
    )
    event = backstop.release(0, ANY, sender=bench.users[7]).one("CapitalReturned", fund)
    assert (event.toReserve, event.toCompartment, event.profit) == (4_000 * UNIT, 0, 0)
    assert tuple(fund.deployedCapital(engine, 0)) == (20_000 * UNIT, 2_000 * UNIT)
    # off: everything goes back, 2,000 to the reserve, then the compartment's 20,000
    backstop.setCaps(0, dict.fromkeys(CAPS, 0), sender=bench.owner)
    event = backstop.release(0, ANY, sender=bench.users[7]).one("CapitalReturned", fund)
    assert (event.toReserve, event.toCompartment) == (2_000 * UNIT, 20_000 * UNIT)
    assert tuple(fund.deployedCapital(engine, 0)) == (0, 0)
    assert (fund.compartment(engine, 0), fund.reserve()) == (20_000 * UNIT, 100_000 * UNIT)


def test_capital_of_any_size_is_counted(bench: Bench) -> None:
    fund, engine, much = bench.fund, bench.engine.address, 10**18
    set_caps(bench, capital=2 * much)
    bench.fund.setClaimant(engine, (4 * much, 4 * much, 1_000), sender=bench.owner)
    fund.setClaimantMarket(engine, 0, (0, 4 * much), sender=bench.owner)
    bench.system.token.mint(bench.owner, much, sender=bench.owner)
    bench.system.token.approve(fund.address, much, sender=bench.owner)
    fund.fundReserve(much, sender=bench.owner)
    event = bench.system.backstop.deploy(0, much, sender=bench.users[7]).one(
        "CapitalDeployed", fund
    )
    assert event.fromCompartment + event.fromReserve == much
    assert inventory(bench).invested == much


def test_what_backs_the_inventory_is_not_released(victim: Bench) -> None:
    """The cap falls to 50: what is too much stays as far as it is the position's margin."""
    hold(victim)
    set_caps(victim, capital=50 * UNIT, loss=50 * UNIT)
    backstop = victim.system.backstop
    free = victim.engine.withdrawable(backstop.accountOf(0))
    assert 0 < free < inventory(victim).equity // SCALE - 50 * UNIT
    event = backstop.release(0, ANY, sender=victim.users[7]).one("CapitalReleased")
    assert event.assets == free
    with expect_revert("NothingToRelease", market=0):
        backstop.release(0, ANY, sender=victim.users[7])


def test_capital_beyond_the_cap_is_refused_and_profit_counts_as_capital(victim: Bench) -> None:
    backstop, account = victim.system.backstop, victim.system.backstop.accountOf(0)
    with expect_revert("NothingToDeploy", market=0):
        backstop.deploy(0, ANY, sender=victim.users[7])
    with expect_revert("NothingToRelease", market=0):
        backstop.release(0, ANY, sender=victim.users[7])
    # somebody gives 50: they are income of the market, not capital
    victim.system.token.mint(victim.users[7], 50 * UNIT, sender=victim.owner)
    victim.system.token.approve(victim.engine.address, ANY, sender=victim.users[7])
    victim.engine.deposit(account, 50 * UNIT, sender=victim.users[7])
    with expect_revert("NothingToDeploy", market=0):
        backstop.deploy(0, ANY, sender=victim.users[7])
    backstop.release(0, ANY, sender=victim.users[7])
    assert inventory(victim).invested == 950 * UNIT
    # deploying again would only fill the draw limits: the account is worth its cap
    with expect_revert("NothingToDeploy", market=0):
        backstop.deploy(0, ANY, sender=victim.users[7])
    assert tuple(victim.fund.deployedCapital(victim.engine.address, 0)) == (950 * UNIT, 0)


def test_unset_caps_mean_nothing_is_taken_and_everything_else_works(victim: Bench) -> None:
    victim.system.backstop.setCaps(0, dict.fromkeys(CAPS, 0), sender=victim.owner)
    with expect_revert("NothingToDeploy", market=0):
        victim.system.backstop.deploy(0, ANY, sender=victim.users[7])
    fall(victim, 94, wait=400)
    with expect_revert("BackstopFull", market=0):
        to_backstop(victim)
    with expect_revert("NoInventory", market=0):
        buy(victim)
    victim.rpc.warp(300)
    victim.liquidator.deleverage(
        victim.account(1), 0, victim.account(KEEPER), ANY, sender=victim.users[KEEPER]
    )
    assert victim.size(1) < 20 * WAD


# --- taking


def test_it_takes_what_restores_the_target_at_the_full_discount(victim: Bench) -> None:
    fall(victim, 94, wait=299)
    with expect_revert("TooEarly"):
        to_backstop(victim)
    victim.rpc.set_next_timestamp(victim.now() + 1)
    receipt = to_backstop(victim)
    # equity 80, maintenance 94: n = (1.2 * 94 - 80) / (1.2 * 5 % - 1 % - 0.75 %)
    notional = (Fraction(12, 10) * 94 - 80) / (Fraction(6, 100) - Fraction(175, 10_000))
    event = receipt.one("Liquidated")
    assert event.size == pytest.approx(notional / 94 * WAD, rel=1e-15)
    assert event.price == pytest.approx(94 * WAD * 99 // 100, rel=1e-15)
    assert event.surcharge == pytest.approx(notional * 75 / 10_000 * WAD, rel=1e-15)
    state = victim.state(1)
    assert Fraction(state.equity, state.maintenanceMargin) == pytest.approx(1.2, rel=1e-12)
    assert state.flaggedAt == 0
    held = inventory(victim)
    assert held.size == event.size == receipt.one("InventoryTaken").size
    # bought 1 % below the mark: that much better off
    assert held.equity == pytest.approx(1_000 * WAD + int(notional * WAD) // 100, rel=1e-12)
    assert held.room == 400 * WAD


def test_the_keeper_is_paid_before_the_discount(victim: Bench) -> None:
    # fees, because a reward may not exceed half of the fund's share of them
    victim.set_market()
    fall(victim, 94)
    before = victim.state(KEEPER).equity
    event = to_backstop(victim).one("Liquidated")
    assert event.reward == pytest.approx(event.size * 94 * 150 // 10**6, rel=1e-15)
    assert victim.state(KEEPER).equity - before == event.reward


def test_what_does_not_fit_is_torn_up_in_the_same_transaction(victim: Bench) -> None:
    with victim.rpc.isolated():
        set_caps(victim, notional=94 * UNIT)  # 1 base
        fall(victim, 94)
        receipt = to_backstop(victim)
        # before deleverageDelay only the backstop's part
        assert receipt.one("Liquidated").size == WAD
        assert "Deleveraged" not in [event.name for event in receipt.events]
        assert victim.state(1).flaggedAt != 0
        with expect_revert("BackstopFull", market=0):
            to_backstop(victim)
    set_caps(victim, notional=470 * UNIT)  # 5 base
    fall(victim, 94, wait=600)
    receipt = to_backstop(victim)
    torn = receipt.one("Deleveraged")
    assert inventory(victim).size == 5 * WAD
    event = receipt.one("Liquidated")
    assert event.size == 5 * WAD - torn.size  # a tear-up of a long has a negative size
    average = (5 * Fraction(94) * 99 / 100 - Fraction(torn.size, WAD) * 94) / Fraction(
        event.size, WAD
    )
    assert event.price == pytest.approx(average * WAD, rel=1e-15)
    assert victim.state(1).flaggedAt == 0
    assert victim.size(2) == -20 * WAD - torn.size


def test_the_cushion_limits_what_is_taken(victim: Bench) -> None:
    set_caps(victim, loss=94 * UNIT)  # a cushion of 94 at 20 % carries 470: 5 base at 94
    fall(victim, 94)
    to_backstop(victim)
    assert inventory(victim).size == 5 * WAD


def test_too_small_a_part_is_not_taken(victim: Bench) -> None:
    set_caps(victim, notional=94 * UNIT // 2000)  # half of the smallest position
    fall(victim, 94, wait=600)
    to_backstop(victim)
    assert inventory(victim).size == 0 and victim.size(1) < 20 * WAD


def test_where_the_engine_refuses_the_position_is_torn_up(victim: Bench) -> None:
    """A margin below the engine's initial margin: the take fails, the liquidation does not."""
    small = {"capital": 70 * UNIT, "marginPpm": 50_000, "loss": 70 * UNIT}
    set_caps(victim, **small)
    victim.system.backstop.release(0, ANY, sender=victim.users[7])
    # 70 at 5 % would carry 1,400; the 772 of the step need 76 at 9.9 %
    fall(victim, 94, wait=600)
    receipt = to_backstop(victim)
    assert receipt.one("Deleveraged").size == -receipt.one("Liquidated").size
    assert inventory(victim).size == 0 and victim.state(1).flaggedAt == 0


def test_only_at_a_fully_trusted_price(victim: Bench) -> None:
    fall(victim, 94, wait=400)
    victim.system.feeds[0][1].set(0, 0, 0, sender=victim.owner)  # one feed is gone: reduced
    with expect_revert("BackstopFull", market=0):
        to_backstop(victim)
    victim.rpc.warp(300)
    to_backstop(victim)  # by then everything is torn up
    assert inventory(victim).size == 0 and victim.size(1) < 20 * WAD


def test_a_lagging_mark_is_not_trusted(victim: Bench) -> None:
    """The mark moves 0.15 % a second; more than 1.2 % behind the index it is not trusted."""
    fall(victim, 94, wait=400)
    victim.engine.poke(0, sender=victim.owner)
    victim.rpc.rpc("anvil_setBlockTimestampInterval", 1)
    try:
        victim.price(92)  # 2.1 % below; the mark follows by 0.45 % until the call
        with expect_revert("BackstopFull", market=0):
            to_backstop(victim)
    finally:
        victim.rpc.rpc("anvil_setBlockTimestampInterval", 12)


def test_nothing_is_taken_at_less_than_the_discount_of_the_floor(victim: Bench) -> None:
    """Near the end the budget leaves 0.25 %: who could sell at that and buy at 0.5 % would gain."""
    fall(victim, "90.45", wait=400)  # equity 9, maintenance 90.45: budget 5 % * 0.0995 = 0.4975 %
    with expect_revert("BackstopFull", market=0):
        to_backstop(victim)
    set_caps(victim, maxDiscountPpm=4_900)
    to_backstop(victim)
    assert inventory(victim).size == 20 * WAD


def test_its_own_accounts_are_nobodys_victims_and_keepers_not_the_account(victim: Bench) -> None:
    ours, sender = victim.system.backstop.accountOf(0), victim.users[KEEPER]
    with expect_revert("SameAccount", account=ours):
        victim.liquidator.liquidateToBackstop(ours, 0, victim.account(KEEPER), sender=sender)
    with expect_revert("SameAccount", account=ours):
        victim.liquidator.closeOutToBackstop(ours, victim.account(KEEPER), sender=sender)
    with expect_revert("SameAccount"):
        victim.liquidator.liquidateToBackstop(
            victim.account(1), 0, victim.account(1), sender=sender
        )
    with expect_revert("NotOwner"):
        victim.liquidator.buyInventory(0, ours, ANY, ANY, sender=sender)


# --- the auction


def test_the_auction_falls_from_the_premium_to_the_floor(victim: Bench) -> None:
    hold(victim)
    start = inventory(victim).auctionStart
    assert start == victim.now()
    for elapsed, ppm in ((1, 1_004_990), (250, 1_002_500), (500, 1_000_000), (750, 997_500)):
        with victim.rpc.isolated():
            victim.rpc.set_next_timestamp(start + elapsed)
            assert buy(victim).one("InventorySold").price == 94 * WAD * ppm // 10**6
    for elapsed in (1_000, 1_001, 10**6):
        with victim.rpc.isolated():
            victim.rpc.set_next_timestamp(start + elapsed)
            victim.price(94)
            assert buy(victim).one("InventorySold").price == 94 * WAD * 995_000 // 10**6


def test_short_inventory_is_bought_back_from_below(bench: Bench) -> None:
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0)
    set_caps(bench)
    for user, tokens in ((1, 200), (2, 100_000), (KEEPER, 100_000), (BUYER, 100_000)):
        bench.deposit(user, tokens)
    bench.trade(2, 1, 20, 100)
    bench.system.backstop.deploy(0, ANY, sender=bench.users[7])
    fall(bench, 106)
    to_backstop(bench)
    held = inventory(bench)
    assert held.size < 0 and held.price == 106 * WAD * 995 // 1000
    with expect_revert("LimitPrice"):
        buy(bench, limit=106 * WAD)
    bench.rpc.set_next_timestamp(held.auctionStart + 1_000)
    event = buy(bench, limit=106 * WAD).one("InventorySold")
    assert event.price == 106 * WAD * 1005 // 1000 and event.size == held.size
    assert bench.size(BUYER) == held.size


def test_a_sale_pays_the_fund_and_profit_goes_back_to_the_market(victim: Bench) -> None:
    hold(victim)
    held = inventory(victim)
    event = buy(victim).one("InventorySold")
    assert event.size == held.size == victim.size(BUYER)
    after = inventory(victim)
    # bought at 0.99 of the mark, sold at 1.005 less what passed of the auction
    profit = Fraction(held.size, WAD) * (Fraction(event.price, WAD) - 94 * Fraction(99, 100))
    assert after.equity == pytest.approx((1_000 + profit) * WAD, rel=1e-12)
    assert (after.size, after.price) == (0, 0)
    compartment = victim.fund.compartment(victim.engine.address, 0)
    released = victim.system.backstop.release(0, ANY, sender=victim.users[7])
    assert released.one("CapitalReleased").assets == int(profit * UNIT)
    # capital first: invested falls, the compartment has its own again
    assert inventory(victim).invested == 1_000 * UNIT - int(profit * UNIT)
    assert victim.fund.compartment(victim.engine.address, 0) - compartment == int(profit * UNIT)


def test_part_sales_leave_the_auction_in_proportion(victim: Bench) -> None:
    hold(victim)
    held = inventory(victim)
    start, size = held.auctionStart, held.size
    victim.rpc.set_next_timestamp(start + 400)
    assert buy(victim, base=size // 4).one("InventorySold").size == size // 4
    # three quarters are left: 300 of the 400 seconds
    assert inventory(victim).auctionStart in (start + 100, start + 101)
    with victim.rpc.isolated():
        victim.rpc.set_next_timestamp(victim.now() + 1)
        buy(victim, base=10**15)  # dust: next to nothing happens to the price
        assert inventory(victim).auctionStart - start <= 102
    with expect_revert("StepTooSmall", minBase=10**15):
        buy(victim, base=10**15 - 1)
    with expect_revert("StepTooSmall"):
        buy(victim, base=inventory(victim).size - 10**14)


def test_new_inventory_does_not_reset_the_auction(victim: Bench) -> None:
    hold(victim)
    held = inventory(victim)
    victim.rpc.set_next_timestamp(held.auctionStart + 500)
    victim.price(94)
    victim.deposit(8, 20)
    victim.trade(8, 2, 2, 94)
    victim.price(88, wait=60)
    account = victim.account(8)
    victim.liquidator.flag(account, sender=victim.users[KEEPER])
    victim.rpc.warp(301)
    elapsed = victim.now() - held.auctionStart
    victim.liquidator.liquidateToBackstop(
        account, 0, victim.account(KEEPER), sender=victim.users[KEEPER]
    )
    after = inventory(victim)
    assert after.size > held.size
    kept = Fraction(elapsed + 12) * held.size / after.size
    assert victim.now() - after.auctionStart == pytest.approx(kept, abs=13)
    assert victim.now() - after.auctionStart > 500


def test_a_buyer_needs_margin_of_its_own(victim: Bench) -> None:
    hold(victim)
    victim.deposit(9, 10)
    with expect_revert("InsufficientMargin"):
        buy(victim, user=9)


def test_nothing_is_sold_at_a_price_that_is_not_trusted(victim: Bench) -> None:
    hold(victim)
    victim.system.feeds[0][1].set(0, 0, 0, sender=victim.owner)
    with expect_revert("PriceNotUsable", market=0):
        buy(victim)


def test_a_sale_below_the_mark_leaves_the_rest_its_cushion(victim: Bench) -> None:
    """With a cushion of 0.3 % of notional the floor is 0.3 %, not 0.5 %."""
    hold(victim)
    held = inventory(victim)
    victim.rpc.set_next_timestamp(held.auctionStart + 2_000)
    victim.price(94)
    loss = 3 * held.size * 94 // 1000 // SCALE  # no loss so far: all of the cap is room
    set_caps(victim, loss=loss)
    event = buy(victim, base=held.size // 2).one("InventorySold")
    assert event.price == pytest.approx(94 * WAD * 997 // 1000, rel=1e-6)
    after = inventory(victim)
    assert Fraction(after.room, after.size) >= Fraction(loss * SCALE, held.size)


# --- the end of it


def test_inventory_is_torn_up_when_the_loss_cap_no_longer_covers_a_move(victim: Bench) -> None:
    set_caps(victim, loss=200 * UNIT)
    hold(victim)
    held = inventory(victim)
    with expect_revert("InventoryHolds", market=0):
        victim.liquidator.unwindInventory(0, victim.account(KEEPER), sender=victim.users[KEEPER])
    # size s bought at 93.06; lost = s * (93.06 - p); torn up when 200 - lost < 5 % * s * p
    size = Fraction(held.size, WAD)
    end = (size * Fraction(9306, 100) - 200) / (size * Fraction(95, 100))
    victim.price(str(round(float(end) + 0.02, 4)), wait=120)
    with expect_revert("InventoryHolds", market=0):
        victim.liquidator.unwindInventory(0, victim.account(KEEPER), sender=victim.users[KEEPER])
    price = round(float(end) - 0.02, 4)
    victim.price(str(price), wait=30)
    victim.liquidator.unwindInventory(0, victim.account(KEEPER), sender=victim.users[KEEPER])
    after = inventory(victim)
    assert after.size == 0
    lost = Fraction(1_000 * WAD - after.equity, WAD)
    assert lost == pytest.approx(size * (Fraction(9306, 100) - Fraction(str(price))), rel=1e-9)
    assert lost < 200  # inside the cap, by the margin for one move


def test_who_tears_inventory_up_gets_the_fixed_reward(victim: Bench) -> None:
    hold(victim)
    victim.set_market()  # 150 millionths of the notional, at most 50
    set_caps(victim, loss=10 * UNIT)
    held, keeper = inventory(victim), victim.account(KEEPER)
    before = victim.engine.collateral(keeper)
    event = victim.liquidator.unwindInventory(0, keeper, sender=victim.users[KEEPER]).one(
        "InventoryUnwound"
    )
    assert event.reward == held.size * event.markPrice // WAD * 150 // 10**6 > 0
    assert victim.engine.collateral(keeper) == before + event.reward


def test_exhausted_inventory_ends_in_the_transaction_of_the_next_liquidation(
    victim: Bench,
) -> None:
    hold(victim)
    set_caps(victim, loss=10 * UNIT)
    victim.deposit(8, 20)
    victim.trade(8, 2, 2, 94)
    victim.price(88, wait=60)
    victim.liquidator.flag(victim.account(8), sender=victim.users[KEEPER])
    victim.rpc.warp(301)
    receipt = victim.liquidator.liquidateToBackstop(
        victim.account(8), 0, victim.account(KEEPER), sender=victim.users[KEEPER]
    )
    assert receipt.one("InventoryUnwound").size > 0
    assert inventory(victim).size == 0
    assert victim.size(8) == 2 * WAD  # before deleverageDelay the victim keeps its position
    victim.rpc.warp(300)
    victim.liquidator.liquidateToBackstop(
        victim.account(8), 0, victim.account(KEEPER), sender=victim.users[KEEPER]
    )
    assert victim.size(8) < 2 * WAD


def test_what_is_lost_stays_lost_until_governance_writes_it_off(victim: Bench) -> None:
    set_caps(victim, loss=100 * UNIT)
    hold(victim)
    victim.price(70, wait=300)
    keeper, backstop = victim.account(KEEPER), victim.system.backstop
    victim.liquidator.unwindInventory(0, keeper, sender=victim.users[KEEPER])
    left = inventory(victim)
    assert (left.size, left.room) == (0, 0)
    lost = 1_000 * UNIT - left.equity // SCALE
    with expect_revert("NothingToDeploy", market=0):  # lost capital is not replaced
        backstop.deploy(0, ANY, sender=victim.users[7])
    engine = victim.engine.address
    assert tuple(victim.fund.deployedCapital(engine, 0)) == (1_000 * UNIT, 0)
    assert backstop.resetLoss(0, sender=victim.owner).one("LossReset").writtenOff == pytest.approx(
        lost, abs=1
    )
    # the compartment bears it
    assert victim.fund.deployedCapital(engine, 0)[0] == pytest.approx(1_000 * UNIT - lost, abs=1)
    assert inventory(victim).room == pytest.approx(100 * WAD, abs=SCALE)
    backstop.deploy(0, ANY, sender=victim.users[7])
    assert inventory(victim).equity == pytest.approx(1_000 * WAD, abs=SCALE)


def test_its_own_bankruptcy_goes_down_the_waterfall(victim: Bench) -> None:
    """A gap beyond everything: the account owes, the compartment pays, the loss is counted."""
    set_caps(victim, capital=200 * UNIT, loss=200 * UNIT)
    victim.system.backstop.release(0, ANY, sender=victim.users[7])
    victim.system.backstop.setCaps(1, CAPS, sender=victim.owner)
    victim.system.backstop.deploy(1, ANY, sender=victim.users[7])
    hold(victim)
    other = victim.fund.compartment(victim.engine.address, 1)
    victim.price(60, wait=600)  # 8.2 base bought at 93.06 lose 271
    ours = victim.system.backstop.accountOf(0)
    deficit = -inventory(victim).equity
    assert deficit > 0
    with expect_revert("Bankrupt", account=ours):
        victim.liquidator.unwindInventory(0, victim.account(KEEPER), sender=victim.users[KEEPER])
    receipt = victim.liquidator.closeOut(
        ours, victim.account(KEEPER), False, sender=victim.users[KEEPER]
    )
    legs = receipt.one("ShortfallResolved").receipt
    assert legs.deficit == legs.compartment == deficit
    booked = receipt.one("DeficitBooked")
    assert booked.assets == -(-deficit // SCALE) and booked.invested == 200 * UNIT + booked.assets
    after = inventory(victim)
    assert (after.size, after.equity, after.room) == (0, 0, 0)
    # the other market has its capital and its compartment
    assert victim.fund.compartment(victim.engine.address, 1) == other
    assert inventory(victim, 1).equity == 1_000 * WAD


def test_whatever_layer_pays_for_it_counts_as_its_loss(victim: Bench) -> None:
    """Little is left of the reserve, so that the operator's second slice pays the rest."""
    fund, engine, me = victim.fund, victim.engine.address, victim.owner
    set_caps(victim, capital=200 * UNIT, loss=200 * UNIT)
    victim.system.backstop.release(0, ANY, sender=victim.users[7])
    hold(victim)
    fund.setClaimant(engine, (10**14, 10**14, 86_400), sender=me)
    fund.setClaimantMarket(engine, 0, (0, 10**14), sender=me)
    fund.cover(
        bytes(32), [(0, fund.compartment(engine, 0) + fund.reserve() - UNIT)], 0, sender=engine
    )
    victim.system.token.mint(me, 1_000 * UNIT, sender=me)
    victim.system.token.approve(fund.address, 1_000 * UNIT, sender=me)
    fund.fundBacking(1_000 * UNIT, sender=me)
    victim.price(60, wait=600)
    deficit, ours = -inventory(victim).equity, victim.system.backstop.accountOf(0)
    receipt = victim.liquidator.closeOut(
        ours, victim.account(KEEPER), False, sender=victim.users[KEEPER]
    )
    legs = receipt.one("ShortfallResolved").receipt
    # what the market had earned since is its compartment
    assert legs.deficit == deficit == legs.compartment + legs.reserve + legs.backing
    assert legs.backing > legs.compartment > legs.reserve == WAD
    assert receipt.one("DeficitBooked").assets == -(-deficit // SCALE)


# --- bankrupt accounts


def test_a_bankrupt_accounts_position_goes_to_the_backstop_at_the_mark(victim: Bench) -> None:
    set_caps(victim, notional=1_000 * UNIT, marginPpm=100_000, loss=1_000 * UNIT)
    victim.price(88, wait=60)  # 20 long at 100 with 200: equity -40
    receipt = victim.liquidator.closeOutToBackstop(
        victim.account(1), victim.account(KEEPER), sender=victim.users[KEEPER]
    )
    legs = receipt.one("ShortfallResolved").receipt
    assert legs.deficit == 40 * WAD == legs.compartment
    # 1,000 at 88 are 11.36 base; the other 8.63 are torn up
    taken = receipt.one("InventoryTaken")
    assert taken.size == 1_000 * WAD * WAD // (88 * WAD) and taken.price == 88 * WAD
    assert receipt.one("Deleveraged").size == taken.size - 20 * WAD
    assert (victim.size(1), inventory(victim).size) == (0, taken.size)
    assert inventory(victim).equity == pytest.approx(1_000 * WAD, abs=100)
    assert victim.state(1).equity == 0


def test_a_bankrupt_account_is_closed_also_if_the_backstop_is_off(victim: Bench) -> None:
    victim.system.backstop.setCaps(0, dict.fromkeys(CAPS, 0), sender=victim.owner)
    victim.price(88, wait=60)
    victim.liquidator.closeOutToBackstop(
        victim.account(1), victim.account(KEEPER), sender=victim.users[KEEPER]
    )
    assert victim.size(1) == 0 and inventory(victim).size == 0


# --- attacks


def test_going_through_the_backstop_and_back_loses(victim: Bench) -> None:
    """The victim's owner also keeps and buys: at an unchanged mark all together is a loss."""
    fall(victim, 94)
    before = sum(victim.state(user).equity for user in (1, KEEPER, BUYER))
    to_backstop(victim)
    victim.rpc.warp(5_000)
    victim.price(94)
    buy(victim)
    after = sum(victim.state(user).equity for user in (1, KEEPER, BUYER))
    assert after < before
    assert inventory(victim).equity >= 1_000 * WAD


def test_deploying_and_releasing_in_turn_moves_no_limit(victim: Bench) -> None:
    engine, backstop = victim.engine.address, victim.system.backstop
    rooms = tuple(victim.fund.drawRoom(engine, 0))
    for _ in range(3):
        for call in (backstop.deploy, backstop.release):
            with expect_revert(("NothingToDeploy", "NothingToRelease")[call is backstop.release]):
                call(0, ANY, sender=victim.users[7])
    assert tuple(victim.fund.drawRoom(engine, 0)) == rooms


def test_capital_is_only_for_the_inventory(victim: Bench) -> None:
    engine, sender = victim.engine.address, victim.users[7]
    for call in (victim.fund.deployCapital, victim.fund.writeOffCapital):
        with expect_revert("NotInventory", caller=sender):
            call(engine, 0, 1, sender=sender)
    backstop = victim.system.backstop
    with expect_revert("NotLiquidator", caller=sender):
        backstop.noteChange(0, 1, 0, sender=sender)
    with expect_revert("NotLiquidator", caller=sender):
        backstop.noteDeficit(backstop.accountOf(0), 1, sender=sender)
    with expect_revert("NotOwner"):
        victim.engine.withdraw(backstop.accountOf(0), 1, sender, sender=sender)


def test_caps_that_make_no_sense_are_refused(victim: Bench) -> None:
    backstop = victim.system.backstop
    for field, value in (
        ("marginPpm", 10**6 + 1),
        ("marginPpm", 0),
        ("premiumPpm", 10**6),
        ("maxDiscountPpm", 10**6),
        ("auctionTime", 0),
    ):
        with expect_revert("InvalidCaps", market=0, field=field):
            set_caps(victim, **{field: value})
    for field, value in (
        ("capital", CAPS["capital"] + 1),
        ("notional", CAPS["notional"] + 1),
        ("loss", CAPS["loss"] + 1),
        ("marginPpm", CAPS["marginPpm"] - 1),
        ("premiumPpm", 0),
        ("maxDiscountPpm", 0),
        ("auctionTime", 1),
    ):
        with expect_revert("NotTighter", market=0, field=field):
            backstop.tightenCaps(0, {**CAPS, field: value}, sender=victim.owner)


def test_no_capital_while_losses_of_the_market_wait(victim: Bench) -> None:
    """An open deficit: nothing more is deployed, and what is free may go back to pay it."""
    fund, engine, backstop = victim.fund, victim.engine.address, victim.system.backstop
    nothing = {"perClaim": 0, "perWindow": 0, "window": 1}
    fund.setClaimant(engine, nothing, sender=victim.owner)
    set_caps(victim, capital=20_000 * UNIT)
    backstop.deploy(0, ANY, sender=victim.users[7])  # all of the compartment
    assert fund.compartment(engine, 0) == 0
    victim.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0, chargeCapPpm=0)
    victim.price(88, wait=60)
    victim.liquidator.closeOut(
        victim.account(1), victim.account(KEEPER), False, sender=victim.users[KEEPER]
    )
    assert victim.engine.openDeficit(0) == 40 * UNIT
    with expect_revert("DeficitOpen", market=0):
        backstop.deploy(0, ANY, sender=victim.users[7])
    backstop.release(0, ANY, sender=victim.users[7])
    assert fund.compartment(engine, 0) == 20_000 * UNIT
