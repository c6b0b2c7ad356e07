"""Another claimant than our engine: a lending pool whose bad debt the fund covers in limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fund_cases import DAY, UNIT

from backstop.harness.fund import FundWorld
from backstop.harness.rpc import Contract, RpcClient, expect_revert

ETHER = 10**18
LIMIT = 100 * UNIT


@dataclass
class Pool:
    world: FundWorld
    pool: Contract
    collateral: Contract
    feed: Contract

    def set_price(self, dollars: int) -> None:
        self.feed.push(dollars * 10**8, sender=self.world.owner)


@pytest.fixture
def lending(
    deployed_fund: FundWorld,
    rpc: RpcClient,
    deploy: Callable[..., Contract],
    alice: Any,
    bob: Any,
    carol: Any,
) -> Iterator[Pool]:
    """Alice supplies 10,000; bob borrows 1,500 against one ether at 2,000; carol liquidates."""
    with rpc.isolated():
        w = deployed_fund
        collateral = deploy("MockToken", "Ether", "ETH", 18)
        feed = deploy("MockFeed", 8, 2_000 * 10**8)
        pool = deploy("LendingPool", w.fund.address, collateral.address, feed.address)
        w.fund.setClaimant(pool.address, (LIMIT, LIMIT, DAY), sender=w.owner)
        w.fund.setClaimantMarket(pool.address, 0, (50 * UNIT, LIMIT), sender=w.owner)
        for who in (alice, bob, carol):
            w.give(who.address, 100_000 * UNIT)
            w.token.approve(pool.address, 2**255, sender=who.address)
            collateral.mint(who.address, 10 * ETHER, sender=w.owner)
            collateral.approve(pool.address, 2**255, sender=who.address)
        pool.supply(10_000 * UNIT, sender=alice.address)
        pool.addCollateral(ETHER, sender=bob.address)
        pool.borrow(1_500 * UNIT, sender=bob.address)
        yield Pool(w, pool, collateral, feed)


def held(lending: Pool) -> int:
    balance: int = lending.world.token.balanceOf(lending.pool.address)
    return balance


def test_an_ordinary_loan(lending: Pool, alice: Any, bob: Any) -> None:
    pool = lending.pool
    assert pool.debtOf(bob.address) == 1_515 * UNIT
    assert pool.totalAssets() == 10_007_500_000  # half of the fee is the suppliers'
    with expect_revert("Unsafe"):
        pool.borrow(100 * UNIT, sender=bob.address)
    with expect_revert("Unsafe"):
        pool.removeCollateral(ETHER // 10, sender=bob.address)
    with expect_revert("NotEnough"):
        pool.withdraw(pool.sharesOf(alice.address), sender=alice.address)  # lent out
    pool.repay(bob.address, 1_515 * UNIT, sender=bob.address)
    pool.removeCollateral(ETHER, sender=bob.address)
    shares = pool.sharesOf(alice.address)
    pool.withdraw(shares, sender=alice.address)
    assert held(lending) == pool.cash() >= pool.premiumDue() == 7_500_000


def test_premium_fills_the_pools_compartment(lending: Pool, bob: Any) -> None:
    fund, pool = lending.world.fund, lending.pool
    pool.payPremium(sender=bob.address)
    assert fund.compartment(pool.address, 0) == 7_500_000
    with expect_revert("ZeroAmount"):
        pool.payPremium(sender=bob.address)
    assert held(lending) == pool.cash()


def test_solvent_liquidation_asks_nobody(lending: Pool, bob: Any, carol: Any) -> None:
    lending.set_price(1_750)
    with expect_revert("Healthy"):
        lending.set_price(1_790)
        lending.pool.liquidate(bob.address, UNIT, sender=carol.address)
    lending.set_price(1_750)
    receipt = lending.pool.liquidate(bob.address, 500 * UNIT, sender=carol.address)
    event = receipt.one("Liquidated")
    assert (event.repaid, event.seized) == (500 * UNIT, 3 * ETHER // 10)
    assert not receipt.find("BadDebt")
    assert lending.world.fund.eventCount() == 0


def test_bad_debt_is_covered_in_the_same_call(lending: Pool, bob: Any, carol: Any) -> None:
    fund, pool = lending.world.fund, lending.pool
    pool.payPremium(sender=bob.address)
    fund.fundReserve(1_000 * UNIT, sender=carol.address)
    lending.set_price(1_512)  # pays 1,440 of 1,515
    before = pool.totalAssets()
    receipt = pool.liquidate(bob.address, 2**255, sender=carol.address)
    assert receipt.one("BadDebt").deficit == 75 * UNIT
    event = receipt.one("Covered")
    assert (event.claimant, event.market, event.claimed) == (pool.address, 0, 75 * UNIT)
    assert tuple(event.legs) == (7_500_000, 67_500_000, 0, 0, 0)
    assert (pool.openDeficit(0), pool.totalAssets()) == (0, before)
    assert held(lending) == pool.cash()


def test_limits_and_a_second_claim(lending: Pool, alice: Any, bob: Any, carol: Any) -> None:
    w, fund, pool = lending.world, lending.world.fund, lending.pool
    fund.fundReserve(1_000 * UNIT, sender=carol.address)
    lending.set_price(1_386)  # pays 1,320 of 1,515: 195 are missing, the limit is 100
    pool.liquidate(bob.address, 2**255, sender=carol.address)
    assert (pool.openDeficit(0), pool.openDeficit(1)) == (95 * UNIT, 0)
    assert fund.reserve() == 900 * UNIT
    with expect_revert("LossOpen", deficit=95 * UNIT):
        pool.supply(UNIT, sender=alice.address)
    # the shortfall is visible to the fund: exits wait
    fund.reportShortfall(pool.address, 0, sender=alice.address)
    w.client.warp(DAY // 2)
    pool.claimOpenDeficit(sender=alice.address)
    assert 44 * UNIT < pool.openDeficit(0) < 45 * UNIT
    w.client.warp(DAY)
    pool.claimOpenDeficit(sender=alice.address)
    assert (pool.openDeficit(0), fund.reserve()) == (0, 805 * UNIT)
    assert held(lending) == pool.cash()
    pool.claimOpenDeficit(sender=alice.address)
    assert fund.eventCount() == 3
    with expect_revert("NoShortfall"):
        fund.reportShortfall(pool.address, 0, sender=alice.address)


def test_an_empty_fund_stops_no_liquidation(lending: Pool, bob: Any, carol: Any) -> None:
    lending.set_price(1_000)
    receipt = lending.pool.liquidate(bob.address, 2**255, sender=carol.address)
    assert tuple(receipt.one("Covered").legs) == (0, 0, 0, 0, 0)
    assert lending.pool.debtOf(bob.address) == 0
    assert lending.pool.openDeficit(0) == receipt.one("BadDebt").deficit


def test_engine_and_pool_do_not_share_compartments_or_limits(
    lending: Pool, alice: Any, bob: Any, carol: Any
) -> None:
    w, fund, pool = lending.world, lending.world.fund, lending.pool
    fund.setClaimant(alice.address, (LIMIT, LIMIT, DAY), sender=w.owner)
    fund.setClaimantMarket(alice.address, 0, (50 * UNIT, LIMIT), sender=w.owner)
    fund.fundCompartment(alice.address, 0, 50 * UNIT, sender=carol.address)
    lending.set_price(1_386)
    pool.liquidate(bob.address, 2**255, sender=carol.address)
    assert fund.compartment(alice.address, 0) == 50 * UNIT
    assert fund.drawRoom(alice.address, 0).claimantWindow == LIMIT


def test_old_prices_are_refused(lending: Pool, bob: Any, carol: Any) -> None:
    lending.set_price(1_000)
    lending.world.client.warp(3_700)
    with expect_revert("StalePrice"):
        lending.pool.liquidate(bob.address, UNIT, sender=carol.address)
    with expect_revert("StalePrice"):
        lending.pool.borrow(UNIT, sender=bob.address)
