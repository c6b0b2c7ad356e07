"""Solvency ratio, its lag, and what may leave as surplus; against the twin and by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fund_cases import UNIT

from backstop.harness.fund import ZERO_ADDRESS, FundWorld
from backstop.harness.rpc import Contract, expect_revert

DAY = 86_400
WAD = 10**18
ACCOUNT = b"\x11" * 32
RULES = (1, 3 * DAY, 10_000, 10_000, 0, 0)


@pytest.fixture
def target(world: FundWorld, deploy: Callable[..., Contract]) -> Contract:
    """A real risk oracle whose target is 1,000 until somebody reports."""
    oracle = deploy("RiskOracle", world.manager.address, 1_000 * UNIT, RULES)
    oracle.setReporter(world.owner, True, sender=world.owner)
    world.fund.setRiskOracle(oracle.address, sender=world.owner)
    return oracle


def ratio(world: FundWorld) -> tuple[int, int]:
    s = world.fund.solvency()
    return s.ratio, s.lagged


def test_without_a_target_there_is_no_ratio_and_no_surplus(world: FundWorld, bob: Any) -> None:
    world.fund.fundReserve(10**12, sender=bob.address)
    assert tuple(world.fund.solvency()) == (10**12, 0, 0, 0)
    world.client.warp(60 * DAY)
    world.fund.noteSolvency(sender=bob.address)
    world.client.warp(60 * DAY)
    assert tuple(world.fund.surplus()) == (0, 0)
    with expect_revert("ReserveTooSmall", requested=1, available=0):
        world.fund.releaseReserve(bob.address, 1, sender=world.owner)
    with expect_revert("InvalidLimits", field="riskOracle"):
        world.fund.setRiskOracle(bob.address, sender=world.owner)


def test_one_block_moves_nothing(world: FundWorld, target: Contract, bob: Any) -> None:
    """What is seen counts from then on: 500 at noon, 1,000 one block later, noted at once."""
    fund = world.fund
    fund.fundReserve(500 * UNIT, sender=bob.address)
    fund.noteSolvency(sender=bob.address)
    world.client.warp(DAY)
    fund.noteSolvency(sender=bob.address)
    assert ratio(world) == (WAD // 2, WAD // 2)
    fund.fundReserve(500 * UNIT, sender=bob.address)
    assert ratio(world) == (WAD, WAD // 2)
    noted = fund.noteSolvency(sender=bob.address).one("SolvencyNoted")
    assert (noted.ratio, noted.laggedRatio) == (WAD, WAD // 2)
    start = world.client.timestamp
    # a quarter of a day later it has moved a quarter of the way, and no more by being noted again
    world.client.set_next_timestamp(start + DAY // 4)
    noted = fund.noteSolvency(sender=bob.address).one("SolvencyNoted")
    assert noted.laggedRatio == WAD // 2 + WAD // 8
    world.client.set_next_timestamp(start + DAY // 4 + 2 * DAY)
    noted = fund.noteSolvency(sender=bob.address).one("SolvencyNoted")
    assert noted.laggedRatio == WAD


def test_a_fall_lags_as_well(world: FundWorld, target: Contract, bob: Any) -> None:
    fund = world.fund
    fund.fundReserve(2_000 * UNIT, sender=bob.address)
    fund.noteSolvency(sender=bob.address)
    world.client.warp(DAY)
    fund.noteSolvency(sender=bob.address)
    assert ratio(world)[1] == 2 * WAD
    target.post(4_000 * UNIT, b"\0" * 32, b"\0" * 32, [], sender=world.owner)
    for _ in range(2):  # a day doubles it at most
        world.client.warp(DAY)
        target.poke(sender=world.owner)
    fund.noteSolvency(sender=bob.address)
    spot, lagged = ratio(world)
    assert spot < WAD and lagged == 2 * WAD
    start = world.client.timestamp
    world.client.set_next_timestamp(start + DAY // 2)
    noted = fund.noteSolvency(sender=bob.address).one("SolvencyNoted")
    assert noted.laggedRatio == 2 * WAD - (2 * WAD - spot) * (DAY // 2) // DAY


def test_ratio_is_capped(world: FundWorld, target: Contract, bob: Any) -> None:
    world.fund.fundReserve(100_000 * UNIT, sender=bob.address)
    assert ratio(world)[0] == 10 * WAD


def test_surplus_leaves_slowly_after_its_time(
    world: FundWorld, target: Contract, bob: Any, carol: Any
) -> None:
    """Target 1,000, capital 2,200: a tenth of what is above 1,200 a week, after 30 days."""
    fund = world.fund
    fund.setReserveTarget(500 * UNIT, sender=world.owner)
    fund.setStakerShare(250_000, sender=world.owner)
    fund.fundReserve(2_200 * UNIT, sender=bob.address)
    assert tuple(fund.surplus()) == (0, 0)
    fund.noteSolvency(sender=bob.address)
    since = world.client.timestamp
    world.client.set_next_timestamp(since + 30 * DAY - 1)
    with expect_revert("ReserveTooSmall", requested=1, available=0):
        fund.releaseReserve(carol.address, 1, sender=world.owner)
    world.client.warp(2)
    assert tuple(fund.surplus()) == (100 * UNIT, since)
    with expect_revert("ReserveTooSmall", requested=100 * UNIT + 1, available=100 * UNIT):
        fund.releaseReserve(carol.address, 100 * UNIT + 1, sender=world.owner)
    with expect_revert("ZeroAddress"):
        fund.releaseReserve(ZERO_ADDRESS, 1, sender=world.owner)
    fund.holdMaturity(sender=world.owner)
    with expect_revert("ShortfallOpen"):
        fund.releaseReserve(carol.address, 1, sender=world.owner)
    world.client.warp(3 * DAY)
    event = fund.releaseReserve(carol.address, 100 * UNIT, sender=world.owner).one(
        "ReserveReleased"
    )
    assert (event.assets, event.toStakers) == (100 * UNIT, 25 * UNIT)
    assert world.token.balanceOf(carol.address) == 75 * UNIT
    assert world.tranche.stream().left == 25 * UNIT
    # once a week
    assert fund.surplus().assets == 0
    world.client.warp(7 * DAY)
    assert fund.surplus().assets == 90 * UNIT


def test_all_of_a_surplus_may_go_to_the_stakers(
    world: FundWorld, target: Contract, bob: Any, carol: Any
) -> None:
    fund = world.fund
    fund.setStakerShare(10**6, sender=world.owner)
    fund.fundReserve(2_200 * UNIT, sender=bob.address)
    fund.noteSolvency(sender=bob.address)
    world.client.warp(31 * DAY)
    event = fund.releaseReserve(carol.address, 50 * UNIT, sender=world.owner).one("ReserveReleased")
    assert event.assets == event.toStakers == world.tranche.stream().left == 50 * UNIT
    assert world.token.balanceOf(carol.address) == 0


def test_what_was_a_surplus_is_none_once_the_target_has_grown(
    world: FundWorld, target: Contract, bob: Any
) -> None:
    """The clock has run and nobody has noted the new target yet."""
    fund = world.fund
    fund.fundReserve(2_200 * UNIT, sender=bob.address)
    fund.noteSolvency(sender=bob.address)
    since = world.client.timestamp
    world.client.warp(31 * DAY)
    assert fund.surplus().assets == 100 * UNIT
    target.post(4_000 * UNIT, b"\0" * 32, b"\0" * 32, [], sender=world.owner)
    for _ in range(2):  # a day doubles it at most
        world.client.warp(DAY)
        target.poke(sender=world.owner)
    assert tuple(fund.surplus()) == (0, since)
    assert fund.riskOracle() == target.address
    fund.setRiskOracle(ZERO_ADDRESS, sender=world.owner)
    assert fund.riskOracle() == ZERO_ADDRESS
    assert fund.surplus().assets == fund.solvency().target == 0


def test_the_reserve_keeps_its_own_target(
    world: FundWorld, target: Contract, bob: Any, carol: Any
) -> None:
    fund = world.fund
    fund.setReserveTarget(2_190 * UNIT, sender=world.owner)
    fund.fundReserve(2_200 * UNIT, sender=bob.address)
    fund.noteSolvency(sender=bob.address)
    world.client.warp(31 * DAY)
    with expect_revert("ReserveTooSmall", requested=11 * UNIT, available=10 * UNIT):
        fund.releaseReserve(carol.address, 11 * UNIT, sender=world.owner)


def test_an_event_or_a_dip_starts_the_clock_anew(
    world: FundWorld, target: Contract, bob: Any, carol: Any
) -> None:
    fund = world.fund
    fund.setClaimantMarket(world.engine.address, 1, (0, 10**12), sender=world.owner)
    fund.fundReserve(2_200 * UNIT, sender=bob.address)
    fund.noteSolvency(sender=bob.address)
    world.client.warp(31 * DAY)
    assert fund.surplus().assets == 100 * UNIT
    data = world.in_liquidation("cover", ACCOUNT, [(1, 1)], 0)
    world.client.send(world.liquidator.address, data, sender=world.owner)
    assert tuple(fund.surplus()) == (0, 0)
    fund.noteSolvency(sender=bob.address)
    assert fund.surplus().since == world.client.timestamp
    target.post(10**6 * UNIT, b"\0" * 32, b"\0" * 32, [], sender=world.owner)
    world.client.warp(2 * DAY)
    assert fund.noteSolvency(sender=bob.address).one("SolvencyNoted").surplusSince == 0
    assert tuple(fund.surplus()) == (0, 0)
