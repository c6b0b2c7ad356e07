"""Money coming in: income, gifts, the reserve; and what leaves the reserve again."""

from __future__ import annotations

from typing import Any

import pytest
from fund_cases import ACCOUNT, DAY, LIMITS, UNIT

from backstop.harness.fund import ZERO_ADDRESS, FundWorld
from backstop.harness.rpc import expect_revert

CAP = 500 * UNIT


def ledger(world: FundWorld) -> tuple[int, ...]:
    fund = world.fund
    return (fund.reserve(), fund.totalCompartments(), fund.totalCapital(), fund.eventCount())


def test_income_fills_the_compartment_first(world: FundWorld, alice: Any) -> None:
    fund = world.fund
    receipt = fund.receiveIncome(1, 300 * UNIT, sender=alice.address)
    event = receipt.one("IncomeReceived")
    assert (event.claimant, event.market) == (alice.address, 1)
    assert (event.toCompartment, event.toReserve) == (300 * UNIT, 0)
    assert fund.compartment(alice.address, 1) == 300 * UNIT
    assert ledger(world) == (0, 300 * UNIT, 300 * UNIT, 0)


@pytest.mark.parametrize("above", [-1, 0, 1])
def test_income_overflows_at_the_cap(world: FundWorld, alice: Any, above: int) -> None:
    fund = world.fund
    fund.receiveIncome(1, 300 * UNIT, sender=alice.address)
    event = fund.receiveIncome(1, 200 * UNIT + above, sender=alice.address).one("IncomeReceived")
    overflow = max(0, above)
    assert (event.toCompartment, event.toReserve) == (200 * UNIT + above - overflow, overflow)
    assert fund.reserve() == overflow
    assert fund.totalCapital() == world.token.balanceOf(fund.address) == CAP + above


def test_full_compartment_and_unset_market_feed_the_reserve(world: FundWorld, alice: Any) -> None:
    fund = world.fund
    fund.receiveIncome(1, CAP, sender=alice.address)
    assert fund.receiveIncome(1, 7, sender=alice.address).one("IncomeReceived").toReserve == 7
    assert fund.receiveIncome(99, 5, sender=alice.address).one("IncomeReceived").toReserve == 5
    assert fund.reserve() == 12


def test_lowered_cap_takes_nothing_away(world: FundWorld, alice: Any) -> None:
    fund = world.fund
    fund.receiveIncome(1, CAP, sender=alice.address)
    fund.tightenClaimantMarket(alice.address, 1, (CAP // 2, 0), sender=world.owner)
    assert fund.compartment(alice.address, 1) == CAP
    fund.receiveIncome(1, 10, sender=alice.address)
    assert (fund.compartment(alice.address, 1), fund.reserve()) == (CAP, 10)


def test_only_claimants_bring_income(world: FundWorld, bob: Any) -> None:
    with expect_revert("NotClaimant", caller=bob.address):
        world.fund.receiveIncome(1, UNIT, sender=bob.address)


def test_anybody_funds_a_compartment_up_to_its_cap(world: FundWorld, alice: Any, bob: Any) -> None:
    fund = world.fund
    receipt = fund.fundCompartment(alice.address, 1, CAP - 1, sender=bob.address)
    event = receipt.one("CompartmentFunded")
    assert (event.claimant, event.market) == (alice.address, 1)
    assert (event["from"], event.assets) == (bob.address, CAP - 1)
    with expect_revert("AboveCompartmentCap", requested=2, room=1):
        fund.fundCompartment(alice.address, 1, 2, sender=bob.address)
    fund.fundCompartment(alice.address, 1, 1, sender=bob.address)
    with expect_revert("AboveCompartmentCap", requested=1, room=0):
        fund.fundCompartment(alice.address, 1, 1, sender=bob.address)
    with expect_revert("AboveCompartmentCap", requested=1, room=0):
        fund.fundCompartment(alice.address, 3, 1, sender=bob.address)
    with expect_revert("NotClaimant", caller=bob.address):
        fund.fundCompartment(bob.address, 1, 1, sender=bob.address)
    assert ledger(world) == (0, CAP, CAP, 0)


def test_zero_amounts(world: FundWorld, alice: Any) -> None:
    fund = world.fund
    for function, args in (
        (fund.receiveIncome, (1, 0)),
        (fund.fundCompartment, (alice.address, 1, 0)),
        (fund.fundReserve, (0,)),
    ):
        with expect_revert("ZeroAmount"):
            function(*args, sender=alice.address)
    with expect_revert("ZeroAmount"):
        fund.releaseReserve(alice.address, 0, sender=world.owner)


def test_reserve_in(world: FundWorld, bob: Any) -> None:
    fund = world.fund
    event = fund.fundReserve(100 * UNIT, sender=bob.address).one("ReserveFunded")
    assert (event["from"], event.assets) == (bob.address, 100 * UNIT)
    event = fund.setReserveTarget(60 * UNIT, sender=world.owner).one("ReserveTargetSet")
    assert event.target == fund.reserveTarget() == 60 * UNIT
    assert ledger(world) == (100 * UNIT, 0, 100 * UNIT, 0)


def test_target_above_the_reserve_releases_nothing(world: FundWorld, bob: Any) -> None:
    world.fund.fundReserve(10, sender=bob.address)
    world.fund.setReserveTarget(2**112 - 1, sender=world.owner)
    with expect_revert("ReserveTooSmall", requested=1, available=0):
        world.fund.releaseReserve(bob.address, 1, sender=world.owner)


def test_ledger_has_a_largest_number(world: FundWorld, alice: Any, bob: Any) -> None:
    fund, top = world.fund, 2**112 - 1
    world.token.mint(bob.address, 2**113, sender=world.owner)
    fund.fundReserve(top, sender=bob.address)
    with expect_revert("AboveMaximum", value=top + 1, maximum=top):
        fund.fundReserve(1, sender=bob.address)
    fund.setClaimantMarket(alice.address, 1, (top, 0), sender=world.owner)
    fund.setClaimantMarket(alice.address, 2, (top, 0), sender=world.owner)
    fund.fundCompartment(alice.address, 1, top, sender=bob.address)
    with expect_revert("AboveMaximum", value=top + 1, maximum=top):
        fund.fundCompartment(alice.address, 2, 1, sender=bob.address)


def test_donation_changes_no_view(world: FundWorld, alice: Any, bob: Any) -> None:
    """I28."""
    fund = world.fund
    fund.fundReserve(100, sender=bob.address)
    fund.fundCompartment(alice.address, 1, 50, sender=bob.address)

    def views() -> tuple[Any, ...]:
        return (
            *ledger(world),
            fund.compartment(alice.address, 1),
            tuple(fund.previewCover(alice.address, 1, 1_000)),
            tuple(fund.drawRoom(alice.address, 1)),
        )

    before = views()
    world.token.transfer(fund.address, 10**11, sender=bob.address)
    assert views() == before
    fund.cover(ACCOUNT, [(1, 10**11)], 0, sender=alice.address)
    assert (fund.totalCapital(), world.token.balanceOf(fund.address)) == (0, 10**11)


def test_who_can_be_the_asset(world: FundWorld, deploy: Any, bob: Any) -> None:
    lock, manager = world.lock.address, world.manager.address
    with expect_revert("UnsupportedAsset", reason="no code"):
        deploy("InsuranceFund", bob.address, lock, manager, ZERO_ADDRESS)
    for decimals in (5, 19):
        token = deploy("MockToken", "T", "T", decimals)
        with expect_revert("UnsupportedAsset", reason="decimals"):
            deploy("InsuranceFund", token.address, lock, manager, ZERO_ADDRESS)
    with expect_revert("UnsupportedAsset", reason="decimals"):
        deploy("InsuranceFund", manager, lock, manager, ZERO_ADDRESS)
    with expect_revert("NotALock"):
        deploy("InsuranceFund", world.token.address, bob.address, manager, ZERO_ADDRESS)
    for decimals in (6, 18):
        token = deploy("MockToken", "T", "T", decimals)
        fund = deploy("InsuranceFund", token.address, lock, manager, ZERO_ADDRESS)
        assert fund.asset() == token.address


def test_constants(world: FundWorld) -> None:
    assert world.fund.asset() == world.token.address
    assert world.fund.lock() == world.lock.address
    assert tuple(world.fund.claimantLimits(world.engine.address)) == LIMITS


def test_the_operator_has_time_to_refill(world: FundWorld, alice: Any, bob: Any) -> None:
    fund, client = world.fund, world.client
    with expect_revert("AboveMaximum"):
        fund.setReserveTarget(2**112, sender=world.owner)
    with expect_revert("InvalidLimits", field="refillTime"):
        fund.setRefillTime(2**32, sender=world.owner)
    with expect_revert("AccessManagedUnauthorized"):
        fund.setRefillTime(1, sender=bob.address)
    fund.setRefillTime(7 * DAY, sender=world.owner)
    event = fund.setReserveTarget(100, sender=world.owner).one("ReserveGapNoted")
    since = client.timestamp
    assert (event.short, event.gap) == (True, 100)
    assert tuple(fund.reserveGap()) == (100, since, since + 7 * DAY)
    fund.fundReserve(99, sender=bob.address)
    assert tuple(fund.reserveGap()) == (1, since, since + 7 * DAY)  # the clock runs on
    event = fund.fundReserve(1, sender=bob.address).one("ReserveGapNoted")
    assert (event.short, event.gap) == (False, 0)
    assert tuple(fund.reserveGap()) == (0, 0, 0)
    # a draw opens a gap; anybody starts the clock, and nobody starts it again
    fund.cover(ACCOUNT, [(1, 30)], 0, sender=alice.address)
    assert tuple(fund.reserveGap()) == (30, 0, 0)
    fund.noteReserveGap(sender=bob.address)
    since = client.timestamp
    assert not fund.noteReserveGap(sender=bob.address).logs
    assert tuple(fund.reserveGap()) == (30, since, since + 7 * DAY)
    # income that overflows into the reserve closes it
    fund.receiveIncome(99, 30, sender=alice.address)
    assert tuple(fund.reserveGap()) == (0, 0, 0)
