"""The operator's second slice: after the stakers, under the same limits, never for fees."""

from __future__ import annotations

from typing import Any

from fund_cases import UNIT

from backstop.harness.fund import ZERO_ADDRESS, FundWorld
from backstop.harness.rpc import expect_revert

DAY = 86_400
ACCOUNT = b"\x11" * 32


def prepared(world: FundWorld, bob: Any) -> None:
    """Compartment 0, reserve 100, stake 50, second slice 70; limits far away."""
    fund = world.fund
    fund.setClaimant(world.engine.address, (10**12, 1_000 * UNIT, DAY), sender=world.owner)
    fund.setClaimantMarket(world.engine.address, 1, (0, 1_000 * UNIT), sender=world.owner)
    fund.fundReserve(100 * UNIT, sender=bob.address)
    world.tranche.setTerms(10**12, DAY, sender=world.owner)
    world.tranche.deposit(50 * UNIT, bob.address, sender=bob.address)
    event = fund.fundBacking(70 * UNIT, sender=bob.address).one("BackingFunded")
    assert (event["from"], event.assets) == (bob.address, 70 * UNIT)


def cover(world: FundWorld, claim: int, reward: int = 0) -> Any:
    data = world.in_liquidation("cover", ACCOUNT, [(1, claim)], reward)
    return world.client.send(world.liquidator.address, data, sender=world.owner)


def test_pays_after_the_stakers(world: FundWorld, bob: Any) -> None:
    prepared(world, bob)
    fund, engine = world.fund, world.engine.address
    assert fund.totalCapital() == 220 * UNIT
    assert tuple(fund.previewCover(engine, 1, 200 * UNIT))[:4] == (
        *(0, 100 * UNIT, 50 * UNIT, 50 * UNIT),
    )
    legs = cover(world, 120 * UNIT).find("Covered")[0].legs
    assert (legs.reserve, legs.staked, legs.backing) == (100 * UNIT, 20 * UNIT, 0)
    assert fund.backing() == 70 * UNIT
    legs = cover(world, 500 * UNIT).find("Covered")[0].legs
    assert (legs.reserve, legs.staked, legs.backing) == (0, 30 * UNIT, 70 * UNIT)
    assert fund.backing() == fund.totalCapital() == 0
    assert world.token.balanceOf(engine) == 220 * UNIT
    assert fund.drawRoom(engine, 1).claimantWindow < 781 * UNIT


def test_draws_inside_the_limits(world: FundWorld, bob: Any) -> None:
    prepared(world, bob)
    world.fund.setClaimant(world.engine.address, (160 * UNIT, 10**12, DAY), sender=world.owner)
    legs = cover(world, 500 * UNIT).find("Covered")[0].legs
    assert (legs.reserve, legs.staked, legs.backing) == (100 * UNIT, 50 * UNIT, 10 * UNIT)


def test_pays_no_reward(world: FundWorld, bob: Any) -> None:
    prepared(world, bob)
    receipt = cover(world, 130 * UNIT, reward=5 * UNIT)
    assert receipt.find("KeeperRewardPaid") == []
    assert world.fund.backing() == 70 * UNIT
    assert world.tranche.slashable() == 20 * UNIT


def test_leaves_by_its_role_and_not_while_a_shortfall_is_open(
    world: FundWorld, bob: Any, carol: Any
) -> None:
    prepared(world, bob)
    fund = world.fund
    with expect_revert("ZeroAmount"):
        fund.fundBacking(0, sender=bob.address)
    with expect_revert("ZeroAddress"):
        fund.releaseBacking(ZERO_ADDRESS, 1, sender=world.owner)
    with expect_revert("ZeroAmount"):
        fund.releaseBacking(carol.address, 0, sender=world.owner)
    with expect_revert("BackingTooSmall", requested=70 * UNIT + 1, available=70 * UNIT):
        fund.releaseBacking(carol.address, 70 * UNIT + 1, sender=world.owner)
    fund.holdMaturity(sender=world.owner)
    with expect_revert("ShortfallOpen"):
        fund.releaseBacking(carol.address, 1, sender=world.owner)
    world.client.warp(3 * DAY)
    event = fund.releaseBacking(carol.address, 30 * UNIT, sender=world.owner).one("BackingReleased")
    assert (event.to, event.assets) == (carol.address, 30 * UNIT)
    assert (fund.backing(), world.token.balanceOf(carol.address)) == (40 * UNIT, 30 * UNIT)
