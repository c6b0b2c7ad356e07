"""The put: its life, its value, its underwriters, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from eth_utils import keccak
from put_cases import ACCOUNT, DAY, PRICE, SIZE, UNIT, WAD, terms

from backstop.harness.reinsurance import PutWorld
from backstop.harness.rpc import Contract, expect_revert
from backstop.model.crash_put import State

CRASH = 35_000 * 10**8
"""Half of the way from strike to floor."""
BOTTOM = 20_000 * 10**8
BURN_GAS = 3
"""A mode of MockFeed."""


def opened(put: PutWorld, claimant: str, **changes: Any) -> int:
    """A new series."""
    now = put.base.client.timestamp
    receipt = put.put.open(terms(claimant, now, **changes), sender=put.base.owner)
    return int(receipt.one("SeriesOpened").series)


def state(put: PutWorld, series: int) -> State:
    return State(put.put.statusOf(series).state)


def expire(put: PutWorld, answer: int | None, series: int = 1) -> None:
    """Time passes until just after the expiry; then the price is observed, or not."""
    expiry = put.put.termsOf(series).expiry
    put.base.client.warp(expiry - put.base.client.timestamp + 1)
    if answer is not None:
        put.set_price(1, answer)


def paid_by_put(put: PutWorld, claimant: str, wanted: int, market: int = 1) -> int:
    receipt = put.base.fund.cover(ACCOUNT, [(market, wanted)], 0, sender=claimant)
    event = receipt.one("Covered")
    assert sum(e.assets for e in receipt.find("PutPaid")) == event.legs.reinsurance
    return int(event.legs.reinsurance)


# --- writing


def test_a_series_is_opened_written_and_activated(put: PutWorld, alice: Any, bob: Any) -> None:
    contract, token = put.put, put.base.token
    assert opened(put, alice.address) == contract.seriesCount() == 1
    assert state(put, 1) is State.WRITING
    wanted = terms(alice.address, put.base.client.timestamp)
    assert contract.termsOf(1).strike == wanted["strike"]
    assert contract.termsOf(1).claimant == alice.address
    contract.write(1, SIZE - 1, sender=bob.address)
    with expect_revert("AboveSize", requested=2, room=1):
        contract.write(1, 2, sender=bob.address)
    with expect_revert("WrongState", state=State.WRITING):
        contract.activate(1, sender=bob.address)
    contract.write(1, 1, sender=alice.address)
    assert state(put, 1) is State.WAITING
    with expect_revert("WrongState", state=State.WAITING):
        contract.write(1, 1, sender=bob.address)
    receipt = contract.activate(1, sender=bob.address)
    event = receipt.one("Activated")
    assert (event.written, event.premium) == (SIZE, 200 * UNIT)
    assert event.indexPrice == 60_000 * WAD
    status = contract.statusOf(1)
    assert (State(status.state), status.written, status.premium, status.paid) == (
        State.ACTIVE,
        SIZE,
        200 * UNIT,
        0,
    )
    assert status.notional == WAD // 2, "half a base unit from 45,000 to 25,000"
    assert contract.activeSeries(alice.address, 1) == (1,)
    assert put.base.fund.premium().budget == 800 * UNIT
    assert token.balanceOf(contract.address) == SIZE + 200 * UNIT
    assert contract.position(1, bob.address) == (SIZE - 1, 0)


def test_what_is_not_full_starts_with_what_there_is(put: PutWorld, alice: Any, bob: Any) -> None:
    opened(put, alice.address)
    put.put.write(1, SIZE // 4, sender=bob.address)
    put.base.client.warp(DAY)
    put.set_price(1, PRICE)
    assert state(put, 1) is State.WAITING
    put.put.activate(1, sender=bob.address)
    status = put.put.statusOf(1)
    assert (status.premium, status.notional) == (50 * UNIT, WAD // 8)
    assert put.put.capacity(alice.address, 1) == SIZE // 4


def test_what_is_not_activated_is_given_back(put: PutWorld, alice: Any, bob: Any) -> None:
    opened(put, alice.address)
    put.put.write(1, 700, sender=bob.address)
    with expect_revert("WrongState", state=State.WRITING):
        put.put.withdraw(1, sender=bob.address)
    put.base.client.warp(2 * DAY + 1)
    assert state(put, 1) is State.CANCELLED
    with expect_revert("WrongState", state=State.CANCELLED):
        put.put.activate(1, sender=bob.address)
    assert put.put.position(1, bob.address) == (700, 700)
    before = put.base.token.balanceOf(bob.address)
    put.put.withdraw(1, sender=bob.address)
    assert put.base.token.balanceOf(bob.address) - before == 700
    with expect_revert("NothingToWithdraw", series=1, underwriter=bob.address):
        put.put.withdraw(1, sender=bob.address)


def test_nothing_written_is_cancelled_at_once(put: PutWorld, alice: Any) -> None:
    opened(put, alice.address)
    put.base.client.warp(DAY)
    assert state(put, 1) is State.CANCELLED


def test_underwriters_are_not_caught_by_a_price_that_came_near(
    put: PutWorld, alice: Any, bob: Any
) -> None:
    opened(put, alice.address)
    put.put.write(1, SIZE, sender=bob.address)
    put.set_price(1, 55_000 * 10**8 - 1)
    with expect_revert("BelowStartPrice", startPrice=55_000 * WAD):
        put.put.activate(1, sender=alice.address)
    put.set_mode(1, BURN_GAS)
    with expect_revert("PriceNotUsable", market=1, since=0):
        put.put.activate(1, sender=alice.address)
    put.set_mode(1, 0)
    put.set_price(1, 55_000 * 10**8)
    put.put.activate(1, sender=alice.address)


def test_without_a_budget_there_is_no_cover(put: PutWorld, alice: Any, bob: Any) -> None:
    opened(put, alice.address, premiumRate=200_000)
    put.put.write(1, SIZE, sender=bob.address)
    with expect_revert("PremiumTooSmall", requested=2_000 * UNIT, available=1_000 * UNIT):
        put.put.activate(1, sender=bob.address)
    put.base.fund.fundPremium(1_000 * UNIT, sender=alice.address)
    put.put.activate(1, sender=bob.address)
    assert put.base.fund.premium().budget == 0


def test_one_that_is_not_the_funds_reinsurer_starts_nothing(
    put: PutWorld, alice: Any, bob: Any
) -> None:
    opened(put, alice.address)
    put.put.write(1, SIZE, sender=bob.address)
    put.base.fund.setReinsurer("0x" + "00" * 20, sender=put.base.owner)
    with expect_revert("NotReinsurer", caller=put.put.address):
        put.put.activate(1, sender=bob.address)


def test_a_market_has_at_most_four(put: PutWorld, alice: Any, bob: Any) -> None:
    for _ in range(5):
        series = opened(put, alice.address, size=100)
        put.put.write(series, 100, sender=bob.address)
        if series < 5:
            put.put.activate(series, sender=bob.address)
    with expect_revert("TooManyActive", claimant=alice.address, market=1):
        put.put.activate(5, sender=bob.address)
    # another market, and another claimant, have their own places
    series = opened(put, alice.address, size=100, market=2)
    put.put.write(series, 100, sender=bob.address)
    put.put.activate(series, sender=bob.address)
    put.set_price(1, BOTTOM)
    assert put.put.quote(alice.address, 1, 10**9) == 400


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("claimant", "0x" + "00" * 20),
        ("strike", 0),
        ("strike", 10**25 + 1),
        ("floor", 45_000 * WAD),
        ("startPrice", 45_000 * WAD - 1),
        ("startPrice", 10**25 + 1),
        ("size", 0),
        ("size", 2**112),
        ("premiumRate", 1_000_001),
        ("writeUntil", 0),
        ("writeUntil", 15 * DAY),
        ("writeUntil", 2**256 - 1),
        ("expiry", 2 * DAY),
        ("expiry", 368 * DAY),
        ("expiry", 2**256 - 1),
    ],
)
def test_wrong_terms_are_named(put: PutWorld, alice: Any, field: str, value: Any) -> None:
    now = put.base.client.timestamp
    if field in ("writeUntil", "expiry"):
        value = min(value + now, 2**256 - 1)
    with expect_revert("InvalidTerms", field=field):
        put.put.open(terms(alice.address, now) | {field: value}, sender=put.base.owner)


def test_strangers_and_unknown_series(put: PutWorld, alice: Any, bob: Any) -> None:
    contract = put.put
    with expect_revert("AccessManagedUnauthorized", caller=bob.address):
        contract.open(terms(alice.address, put.base.client.timestamp), sender=bob.address)
    with expect_revert("NotFund", caller=bob.address):
        contract.pay(1, alice.address, 1, 5, sender=bob.address)
    for call in (
        lambda: contract.write(7, 1, sender=bob.address),
        lambda: contract.activate(7, sender=bob.address),
        lambda: contract.settle(7, sender=bob.address),
        lambda: contract.withdraw(7, sender=bob.address),
        lambda: contract.termsOf(7),
        lambda: contract.statusOf(7),
        lambda: contract.intrinsicValue(7, 1),
        lambda: contract.position(7, bob.address),
    ):
        with expect_revert("UnknownSeries", series=7):
            call()
    with expect_revert("NothingToDeliver"):
        contract.deliver(sender=bob.address)
    opened(put, alice.address)
    with expect_revert("ZeroAmount"):
        contract.write(1, 0, sender=bob.address)


def test_it_needs_a_fund_and_an_oracle(put: PutWorld, deploy: Any, bob: Any) -> None:
    base = put.base
    with expect_revert("UnsupportedFund", fund=bob.address):
        deploy("CrashPut", bob.address, put.oracle.address, base.manager.address)
    with expect_revert("UnsupportedOracle", oracle=bob.address):
        deploy("CrashPut", base.fund.address, bob.address, base.manager.address)
    assert put.put.fund() == base.fund.address
    assert put.put.oracle() == put.oracle.address
    assert put.put.asset() == base.token.address


# --- cover


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (60_000 * 10**8, 0),
        (45_000 * 10**8, 0),
        (45_000 * 10**8 - 1, 0),  # 0.0025 of a unit, rounded down
        (44_999 * 10**8, 500_000),
        (CRASH, SIZE // 2),
        (25_000 * 10**8 + 1, SIZE - 1),
        (25_000 * 10**8, SIZE),
        (BOTTOM, SIZE),
    ],
)
def test_value_by_price(running: PutWorld, alice: Any, answer: int, value: int) -> None:
    running.set_price(1, answer)
    contract = running.put
    assert contract.intrinsicValue(1, answer * 10**10) == value
    assert contract.quote(alice.address, 1, 2**255) == value
    assert contract.capacity(alice.address, 1) == SIZE
    assert running.base.fund.previewCover(alice.address, 1, 2**255).reinsurance == value
    assert paid_by_put(running, alice.address, 2**200) == value
    assert contract.quote(alice.address, 1, 2**255) == 0
    assert contract.capacity(alice.address, 1) == SIZE - value


def test_an_event_is_paid_after_the_funds_own_capital(running: PutWorld, alice: Any) -> None:
    fund, me = running.base.fund, alice.address
    fund.fundCompartment(me, 1, 100 * UNIT, sender=me)
    fund.fundReserve(50 * UNIT, sender=me)
    running.set_price(1, CRASH)
    receipt = fund.cover(ACCOUNT, [(1, 250 * UNIT)], 0, sender=me)
    legs = receipt.one("Covered").legs
    assert (legs.compartment, legs.reserve, legs.reinsurance) == (
        100 * UNIT,
        50 * UNIT,
        100 * UNIT,
    )
    event = receipt.one("PutPaid")
    assert (event.series, event.eventId, event.assets) == (1, 1, 100 * UNIT)
    assert event.indexPrice == 35_000 * WAD
    assert running.put.statusOf(1).paid == 100 * UNIT


def test_what_was_paid_is_paid_once(running: PutWorld, alice: Any) -> None:
    """Down, half-way back and further down: together the value at the lowest price seen."""
    me = alice.address
    running.set_price(1, CRASH)
    assert paid_by_put(running, me, 3_000 * UNIT) == 3_000 * UNIT
    assert paid_by_put(running, me, 3_000 * UNIT) == 2_000 * UNIT
    running.set_price(1, 40_000 * 10**8)
    assert paid_by_put(running, me, 1) == 0
    running.set_price(1, BOTTOM)
    assert paid_by_put(running, me, 2**100) == 5_000 * UNIT
    assert running.base.token.balanceOf(running.put.address) == 200 * UNIT, "the premium"
    assert running.put.capacity(me, 1) == 0


def test_the_example_of_the_documentation(
    running: PutWorld, alice: Any, bob: Any, carol: Any
) -> None:
    """docs/reinsurance.md: four deficits and a settlement."""
    fund = running.base.fund
    fund.fundReserve(150 * UNIT, sender=alice.address)
    for answer, deficit, own, paid, sum_paid in (
        (35_000, 250, 150, 100, 100),
        (35_000, 6_000, 0, 4_900, 5_000),
        (40_000, 500, 0, 0, 5_000),
        (31_000, 3_000, 0, 2_000, 7_000),
    ):
        running.set_price(1, answer * 10**8)
        receipt = fund.cover(ACCOUNT, [(1, deficit * UNIT)], 0, sender=alice.address)
        legs = receipt.one("Covered").legs
        assert (legs.reserve, legs.reinsurance) == (own * UNIT, paid * UNIT)
        assert running.put.statusOf(1).paid == sum_paid * UNIT
    expire(running, 30_000 * 10**8)
    assert running.put.settle(1, sender=bob.address).one("Settled").toFund == 500 * UNIT
    parts = [running.put.position(1, who.address)[1] for who in (bob, carol)]
    assert parts == [675 * UNIT, 2_025 * UNIT]


def test_it_covers_its_claimant_and_market_only(running: PutWorld, alice: Any) -> None:
    running.set_price(1, BOTTOM)
    running.set_price(2, BOTTOM)
    assert paid_by_put(running, alice.address, 100, market=2) == 0
    data = running.base.in_liquidation("cover", ACCOUNT, [(1, 100)], 0)
    base = running.base
    receipt = base.client.send(base.liquidator.address, data, sender=base.owner)
    assert receipt.one("Covered").legs.reinsurance == 0


def test_series_pay_in_order(put: PutWorld, alice: Any, bob: Any) -> None:
    for strike in (45_000, 50_000):
        series = opened(put, alice.address, strike=strike * WAD, size=1_000)
        put.put.write(series, 1_000, sender=bob.address)
        put.put.activate(series, sender=bob.address)
    put.set_price(1, CRASH)
    receipt = put.base.fund.cover(ACCOUNT, [(1, 900)], 0, sender=alice.address)
    assert [(e.series, e.assets) for e in receipt.find("PutPaid")] == [(1, 500), (2, 400)]


@pytest.mark.parametrize("mode", [1, BURN_GAS, 6, 8])
def test_without_a_price_it_pays_nothing_and_blocks_nothing(
    running: PutWorld, alice: Any, mode: int
) -> None:
    running.set_price(1, BOTTOM)
    running.set_mode(1, mode)
    receipt = running.base.fund.cover(ACCOUNT, [(1, 100)], 0, sender=alice.address)
    assert receipt.one("Covered").legs.reinsurance == 0
    assert not receipt.find("ReinsurerFailed"), "two feeds that burn all they get fit"
    assert running.put.quote(alice.address, 1, 100) == 0


def test_one_feed_is_enough(running: PutWorld, alice: Any) -> None:
    running.set_price(1, BOTTOM)
    running.feeds[1][0].setMode(1, sender=running.base.owner)
    assert paid_by_put(running, alice.address, 100) == 100


def test_it_ends_with_the_second_before_its_expiry(running: PutWorld, alice: Any) -> None:
    client, expiry = running.base.client, running.put.termsOf(1).expiry
    client.warp(expiry - client.timestamp - 1_000)
    running.set_price(1, BOTTOM)
    client.set_next_timestamp(expiry - 1)
    assert paid_by_put(running, alice.address, 100) == 100
    client.set_next_timestamp(expiry)
    assert paid_by_put(running, alice.address, 100) == 0
    assert state(running, 1) is State.EXPIRED


# --- the end


def test_settled_above_the_strike_all_goes_back(
    running: PutWorld, alice: Any, bob: Any, carol: Any
) -> None:
    with expect_revert("WrongState", state=State.ACTIVE):
        running.put.settle(1, sender=bob.address)
    expire(running, PRICE)
    receipt = running.put.settle(1, sender=bob.address)
    event = receipt.one("Settled")
    assert (event.indexPrice, event.toFund) == (60_000 * WAD, 0)
    token = running.base.token
    for who, part in ((bob.address, SIZE // 4), (carol.address, 3 * (SIZE // 4))):
        before = token.balanceOf(who)
        assert running.put.position(1, who) == (part, part + part // 50)
        running.put.withdraw(1, sender=who)
        assert token.balanceOf(who) - before == part + part // 50, "and two per cent"
    assert token.balanceOf(running.put.address) == 0
    assert running.put.activeSeries(alice.address, 1) == ()


def test_settled_below_the_fund_gets_the_rest(running: PutWorld, alice: Any, bob: Any) -> None:
    running.set_price(1, CRASH)
    assert paid_by_put(running, alice.address, 2_000 * UNIT) == 2_000 * UNIT
    expire(running, 31_000 * 10**8)  # 7,000
    receipt = running.put.settle(1, sender=bob.address)
    assert receipt.one("Settled").toFund == 5_000 * UNIT
    assert receipt.one("Delivered").assets == 5_000 * UNIT
    assert running.base.fund.reserve() == 5_000 * UNIT
    # a quarter of 10,000 - 7,000 + 200
    assert running.put.position(1, bob.address)[1] == 800 * UNIT
    with expect_revert("WrongState", state=State.SETTLED):
        running.put.settle(1, sender=bob.address)


def test_more_paid_than_worth_at_the_end(running: PutWorld, alice: Any, bob: Any) -> None:
    running.set_price(1, BOTTOM)
    assert paid_by_put(running, alice.address, 6_000 * UNIT) == 6_000 * UNIT
    expire(running, PRICE)
    assert running.put.settle(1, sender=bob.address).one("Settled").toFund == 0
    assert running.put.position(1, bob.address)[1] == (4_000 + 200) * UNIT // 4


def test_a_price_from_before_the_expiry_does_not_settle(running: PutWorld, bob: Any) -> None:
    client, expiry = running.base.client, running.put.termsOf(1).expiry
    client.warp(expiry - client.timestamp - 1_000)
    running.set_price(1, BOTTOM)
    client.warp(1_200)
    with expect_revert("PriceNotUsable", market=1, since=expiry):
        running.put.settle(1, sender=bob.address)
    running.set_price(1, CRASH)
    assert running.put.settle(1, sender=bob.address).one("Settled").toFund == SIZE // 2


def test_feeds_that_differ_decide_no_series(running: PutWorld, bob: Any) -> None:
    """One feed at the bottom: on the first day nothing is settled at its word."""
    client, expiry = running.base.client, running.put.termsOf(1).expiry
    expire(running, PRICE)
    running.feeds[1][0].push(BOTTOM, sender=running.base.owner)
    with expect_revert("PriceNotUsable", market=1, since=expiry):
        running.put.settle(1, sender=bob.address)
    client.warp(expiry + DAY - 1_000 - client.timestamp)
    running.set_price(1, PRICE)
    running.feeds[1][0].setMode(1, sender=running.base.owner)
    client.set_next_timestamp(expiry + DAY - 1)
    with expect_revert("PriceNotUsable"):
        running.put.settle(1, sender=bob.address)
    client.set_next_timestamp(expiry + DAY)
    event = running.put.settle(1, sender=bob.address).one("Settled")
    assert event.indexPrice == 60_000 * WAD


def test_one_feed_starts_nothing(put: PutWorld, alice: Any, bob: Any) -> None:
    opened(put, alice.address)
    put.put.write(1, SIZE, sender=bob.address)
    put.feeds[1][0].setMode(1, sender=put.base.owner)
    with expect_revert("PriceNotUsable", market=1, since=0):
        put.put.activate(1, sender=bob.address)


def test_four_series_and_a_feed_that_burns_its_gas_fit(put: PutWorld, alice: Any, bob: Any) -> None:
    for _ in range(4):
        series = opened(put, alice.address, size=100)
        put.put.write(series, 100, sender=bob.address)
        put.put.activate(series, sender=bob.address)
    put.set_price(1, BOTTOM)
    put.feeds[1][0].setMode(BURN_GAS, sender=put.base.owner)
    receipt = put.base.fund.cover(ACCOUNT, [(1, 399)], 0, sender=alice.address)
    assert receipt.one("Covered").legs.reinsurance == 399
    assert not receipt.find("ReinsurerFailed")


def test_without_a_price_for_three_days_it_is_worth_nothing(running: PutWorld, bob: Any) -> None:
    client, expiry = running.base.client, running.put.termsOf(1).expiry
    client.warp(expiry + 3 * DAY - 1_000 - client.timestamp)
    client.set_next_timestamp(expiry + 3 * DAY - 1)
    with expect_revert("PriceNotUsable", market=1, since=expiry):
        running.put.settle(1, sender=bob.address)
    client.set_next_timestamp(expiry + 3 * DAY)
    event = running.put.settle(1, sender=bob.address).one("Settled")
    assert (event.indexPrice, event.toFund) == (0, 0)
    assert running.put.position(1, bob.address)[1] == SIZE // 4 + 50 * UNIT


def test_a_late_settlement_takes_a_price_that_is_there(running: PutWorld, bob: Any) -> None:
    running.base.client.warp(40 * DAY)
    running.set_price(1, CRASH)
    assert running.put.settle(1, sender=bob.address).one("Settled").toFund == SIZE // 2


def test_an_expired_series_makes_room_when_it_is_settled(
    put: PutWorld, alice: Any, bob: Any
) -> None:
    for _ in range(3):
        series = opened(put, alice.address, size=100)
        put.put.write(series, 100, sender=bob.address)
        put.put.activate(series, sender=bob.address)
    expire(put, PRICE, 3)
    put.put.settle(2, sender=bob.address)
    assert put.put.activeSeries(alice.address, 1) == (1, 3)
    put.put.settle(1, sender=bob.address)
    put.put.settle(3, sender=bob.address)
    assert put.put.activeSeries(alice.address, 1) == ()


def test_parts_are_rounded_down_and_the_dust_stays(
    put: PutWorld, alice: Any, bob: Any, carol: Any
) -> None:
    opened(put, alice.address, size=10, premiumRate=100_000)
    put.put.write(1, 3, sender=bob.address)
    put.put.write(1, 7, sender=carol.address)
    put.put.activate(1, sender=bob.address)
    expire(put, 40_000 * 10**8)  # worth floor(10 / 4) = 2
    put.put.settle(1, sender=bob.address)
    parts = [put.put.position(1, who.address)[1] for who in (bob, carol)]
    assert parts == [3 * 9 // 10, 7 * 9 // 10] == [2, 6]
    for who in (bob, carol):
        put.put.withdraw(1, sender=who.address)
    assert put.base.token.balanceOf(put.put.address) == 1


# --- a token that misbehaves


def test_writing_takes_what_arrives_or_nothing(hostile: PutWorld, bob: Any) -> None:
    token, owner = hostile.base.token, hostile.base.owner
    token.setFee(100, sender=owner)
    with expect_revert("WrongAmountReceived", expected=1_000, received=990):
        hostile.put.write(1, 1_000, sender=bob.address)
    token.setFee(0, sender=owner)
    token.setRefuses(True, sender=owner)
    with expect_revert("SafeERC20FailedOperation"):
        hostile.put.write(1, 1_000, sender=bob.address)
    assert hostile.put.statusOf(1).written == 0


def test_a_blocked_underwriter_holds_nobody_up(hostile: PutWorld, bob: Any, carol: Any) -> None:
    token, owner = hostile.base.token, hostile.base.owner
    for who in (bob, carol):
        hostile.put.write(1, 1_000, sender=who.address)
    hostile.base.client.warp(3 * DAY)
    token.setBlocked(bob.address, True, sender=owner)
    with expect_revert("Blocked", account=bob.address):
        hostile.put.withdraw(1, sender=bob.address)
    hostile.put.withdraw(1, sender=carol.address)
    token.setBlocked(bob.address, False, sender=owner)
    hostile.put.withdraw(1, sender=bob.address)
    assert token.balanceOf(hostile.put.address) == 0


def start(hostile: PutWorld, bob: Any) -> Contract:
    hostile.put.write(1, SIZE, sender=bob.address)
    hostile.put.activate(1, sender=bob.address)
    return hostile.base.token


def test_a_fund_that_cannot_take_it_gets_it_later(hostile: PutWorld, bob: Any) -> None:
    token = start(hostile, bob)
    expire(hostile, CRASH)
    token.setBlocked(hostile.base.fund.address, True, sender=hostile.base.owner)
    receipt = hostile.put.settle(1, sender=bob.address)
    assert receipt.one("Settled").toFund == hostile.put.owedToFund() == SIZE // 2
    assert not receipt.find("Delivered")
    hostile.put.withdraw(1, sender=bob.address)
    with expect_revert("Blocked"):
        hostile.put.deliver(sender=bob.address)
    token.setBlocked(hostile.base.fund.address, False, sender=hostile.base.owner)
    hostile.put.deliver(sender=bob.address)
    assert (hostile.put.owedToFund(), hostile.base.fund.reserve()) == (0, SIZE // 2)
    assert token.balanceOf(hostile.put.address) == 0


def test_a_fee_on_what_the_put_pays_is_not_counted(hostile: PutWorld, alice: Any, bob: Any) -> None:
    token = start(hostile, bob)
    hostile.set_price(1, BOTTOM)
    token.setFee(1_000, sender=hostile.base.owner)
    receipt = hostile.base.fund.cover(ACCOUNT, [(1, 1_000)], 0, sender=alice.address)
    assert receipt.one("Covered").legs.reinsurance == 900


@pytest.mark.parametrize(
    "call", ["write", "withdraw", "activate", "settle", "deliver"], ids=lambda name: name
)
def test_a_token_that_calls_back_finds_it_closed(
    hostile: PutWorld, alice: Any, bob: Any, call: str
) -> None:
    """In the middle of a write, series 2 could be written, activated, settled or paid out."""
    arguments = {"write": (2, 5), "deliver": ()}.get(call, (2,))
    opened(hostile, alice.address)
    data = getattr(hostile.put, call).encode(*arguments)
    hostile.base.token.setCallback(hostile.put.address, data, sender=bob.address)
    hostile.put.write(1, 100, sender=bob.address)
    assert hostile.base.token.callbackResult() == 2
    returned = hostile.base.token.callbackReturned()
    error = hostile.base.client.registry.decode_error(returned)
    assert error.name == "ReentrancyGuardReentrantCall"


def test_a_token_in_the_words_of_the_gas_rule_blocks_nobody(
    hostile: PutWorld, alice: Any, bob: Any
) -> None:
    """NotEnoughGas from a token, where there is plenty: an unpayable cover like any other."""
    fund, token = hostile.base.fund, hostile.base.token
    fund.fundReserve(1_000, sender=bob.address)
    words = keccak(text="NotEnoughGas(uint256,uint256)")[:4] + bytes(31) + b"\1" + bytes(32)
    token.setReason(words, sender=bob.address)
    receipt = fund.cover(ACCOUNT, [(1, 100)], 0, sender=alice.address)
    assert receipt.one("CoverFailed").reason == words
    assert fund.reserve() == 1_000
