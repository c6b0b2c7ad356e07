"""Registration of claimants and markets: who may, what is refused, what is tighter."""

from __future__ import annotations

from typing import Any

import pytest
from fund_cases import DAY, LIMITS, MARKET_LIMITS, UNIT

from backstop.harness.fund import ZERO_ADDRESS, FundWorld
from backstop.harness.rpc import expect_revert

MAX104, MAX112 = 2**104 - 1, 2**112 - 1


def test_registration_is_stored_and_announced(world: FundWorld, bob: Any) -> None:
    receipt = world.fund.setClaimant(bob.address, LIMITS, sender=world.owner)
    assert receipt.one("ClaimantSet").claimant == bob.address
    assert tuple(receipt.one("ClaimantSet").limits) == LIMITS
    assert tuple(world.fund.claimantLimits(bob.address)) == LIMITS
    receipt = world.fund.setClaimantMarket(bob.address, 9, MARKET_LIMITS, sender=world.owner)
    assert receipt.one("ClaimantMarketSet").market == 9
    assert tuple(world.fund.marketLimits(bob.address, 9)) == MARKET_LIMITS


def test_nothing_is_set_before(world: FundWorld, bob: Any) -> None:
    assert tuple(world.fund.claimantLimits(bob.address)) == (0, 0, 0)
    assert tuple(world.fund.marketLimits(bob.address, 1)) == (0, 0)
    assert tuple(world.fund.drawRoom(bob.address, 1)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        ((1, 1, 0), "window"),
        ((MAX112 + 1, 1, 1), "perClaim"),
        ((1, MAX104 + 1, 1), "perWindow"),
    ],
)
def test_claimant_limits_out_of_range(
    world: FundWorld, bob: Any, limits: tuple[int, int, int], field: str
) -> None:
    with expect_revert("InvalidLimits", field=field):
        world.fund.setClaimant(bob.address, limits, sender=world.owner)


def test_largest_limits_are_accepted(world: FundWorld, bob: Any) -> None:
    world.fund.setClaimant(bob.address, (MAX112, MAX104, 2**32 - 1), sender=world.owner)
    world.fund.setClaimantMarket(bob.address, 2**256 - 1, (MAX112, MAX104), sender=world.owner)
    assert tuple(world.fund.marketLimits(bob.address, 2**256 - 1)) == (MAX112, MAX104)


def test_zero_claimant(world: FundWorld) -> None:
    with expect_revert("ZeroAddress"):
        world.fund.setClaimant(ZERO_ADDRESS, LIMITS, sender=world.owner)


@pytest.mark.parametrize(
    ("limits", "field"), [((MAX112 + 1, 1), "compartmentCap"), ((1, MAX104 + 1), "perWindow")]
)
def test_market_limits_out_of_range(
    world: FundWorld, alice: Any, limits: tuple[int, int], field: str
) -> None:
    with expect_revert("InvalidLimits", field=field):
        world.fund.setClaimantMarket(alice.address, 1, limits, sender=world.owner)


def test_markets_of_strangers(world: FundWorld, bob: Any) -> None:
    for function in (world.fund.setClaimantMarket, world.fund.tightenClaimantMarket):
        with expect_revert("NotClaimant", caller=bob.address):
            function(bob.address, 1, MARKET_LIMITS, sender=world.owner)
    with expect_revert("NotClaimant", caller=bob.address):
        world.fund.tightenClaimant(bob.address, LIMITS, sender=world.owner)


def test_tightening_claimant_field_by_field(world: FundWorld, alice: Any) -> None:
    fund, who = world.fund, alice.address
    looser = {
        "perClaim": (LIMITS[0] + 1, LIMITS[1], DAY),
        "perWindow": (LIMITS[0], LIMITS[1] + 1, DAY),
        "window": (LIMITS[0], LIMITS[1], DAY - 1),
    }
    for field, limits in looser.items():
        with expect_revert("NotTighter", field=field):
            fund.tightenClaimant(who, limits, sender=world.owner)
    fund.tightenClaimant(who, LIMITS, sender=world.owner)  # as tight is allowed
    tighter = (LIMITS[0] - 1, LIMITS[1] - 1, DAY + 1)
    fund.tightenClaimant(who, tighter, sender=world.owner)
    assert tuple(fund.claimantLimits(who)) == tighter
    fund.tightenClaimant(who, (0, 0, DAY + 1), sender=world.owner)


def test_tightening_market_field_by_field(world: FundWorld, alice: Any) -> None:
    fund, who = world.fund, alice.address
    cap, per_window = MARKET_LIMITS
    with expect_revert("NotTighter", field="compartmentCap"):
        fund.tightenClaimantMarket(who, 1, (cap + 1, per_window), sender=world.owner)
    with expect_revert("NotTighter", field="perWindow"):
        fund.tightenClaimantMarket(who, 1, (cap, per_window + 1), sender=world.owner)
    fund.tightenClaimantMarket(who, 1, (cap, per_window), sender=world.owner)
    fund.tightenClaimantMarket(who, 1, (cap - 1, per_window - 1), sender=world.owner)
    assert tuple(fund.marketLimits(who, 1)) == (cap - 1, per_window - 1)


def test_only_roles(world: FundWorld, alice: Any, bob: Any) -> None:
    fund, who = world.fund, alice.address
    calls: list[tuple[Any, tuple[Any, ...]]] = [
        (fund.setClaimant, (who, LIMITS)),
        (fund.tightenClaimant, (who, LIMITS)),
        (fund.setClaimantMarket, (who, 1, MARKET_LIMITS)),
        (fund.tightenClaimantMarket, (who, 1, MARKET_LIMITS)),
        (fund.releaseReserve, (who, 1)),
        (fund.releaseBacking, (who, 1)),
        (fund.setRiskOracle, (who,)),
        (fund.setReserveTarget, (0,)),
    ]
    for function, args in calls:
        with expect_revert("AccessManagedUnauthorized", caller=bob.address):
            function(*args, sender=bob.address)


def test_loosening_waits_and_tightening_does_not(world: FundWorld, alice: Any, bob: Any) -> None:
    manager, fund = world.manager, world.fund
    for name, role, delay in (("setClaimant", 1, 2 * DAY), ("tightenClaimant", 2, 0)):
        selector = getattr(fund, name).encode(alice.address, LIMITS)[:4]
        manager.setTargetFunctionRole(fund.address, [selector], role, sender=world.owner)
        manager.grantRole(role, bob.address, delay, sender=world.owner)
    looser = (LIMITS[0] * 2, LIMITS[1], DAY)
    with expect_revert("AccessManagerNotScheduled"):
        fund.setClaimant(alice.address, looser, sender=bob.address)
    fund.tightenClaimant(alice.address, (UNIT, UNIT, DAY), sender=bob.address)
    data = fund.setClaimant.encode(alice.address, looser)
    manager.schedule(fund.address, data, 0, sender=bob.address)
    with expect_revert("AccessManagerNotReady"):
        fund.setClaimant(alice.address, looser, sender=bob.address)
    world.client.warp(2 * DAY)
    fund.setClaimant(alice.address, looser, sender=bob.address)
    assert tuple(fund.claimantLimits(alice.address)) == looser
