from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from put_cases import LIMITS, MARKET_LIMITS, PRICE, SIZE, UNIT, terms

from backstop.harness.fund import FundWorld, deploy_fund
from backstop.harness.reinsurance import PutWorld, deploy_put
from backstop.harness.rpc import Contract, RpcClient


def register(world: FundWorld, *claimants: str) -> None:
    for claimant in claimants:
        world.fund.setClaimant(claimant, LIMITS, sender=world.owner)
        for market in (1, 2):
            world.fund.setClaimantMarket(claimant, market, MARKET_LIMITS, sender=world.owner)


@pytest.fixture(scope="session")
def deployed_put(rpc: RpcClient, project: Any, owner: Any) -> PutWorld:
    world = deploy_fund(rpc, project.get_contract, owner.address)
    return deploy_put(world, project.get_contract, {1: PRICE, 2: PRICE})


@pytest.fixture
def put(
    deployed_put: PutWorld, rpc: RpcClient, alice: Any, bob: Any, carol: Any
) -> Iterator[PutWorld]:
    """Engine and alice are claimants with markets 1 and 2; bob and carol underwrite."""
    with rpc.isolated():
        w = deployed_put
        register(w.base, w.base.engine.address, alice.address)
        for who in (alice, bob, carol):
            w.give(who.address, 10**6 * UNIT)
        w.base.fund.setPremiumTerms(100_000, 10_000 * UNIT, sender=w.base.owner)
        w.base.fund.fundPremium(1_000 * UNIT, sender=alice.address)
        for market in w.feeds:
            w.set_price(market, PRICE)
        yield w


@pytest.fixture
def running(put: PutWorld, alice: Any, bob: Any, carol: Any) -> PutWorld:
    """Series 1 on alice's market 1 runs: 10,000 of bob's and carol's, one third and two."""
    now = put.base.client.timestamp
    put.put.open(terms(alice.address, now), sender=put.base.owner)
    put.put.write(1, SIZE // 4, sender=bob.address)
    put.put.write(1, 3 * (SIZE // 4), sender=carol.address)
    put.put.activate(1, sender=alice.address)
    return put


@pytest.fixture
def hostile(
    rpc: RpcClient, project: Any, owner: Any, alice: Any, bob: Any, carol: Any
) -> Iterator[PutWorld]:
    """The same with a token that misbehaves on request, and a series open for writing."""
    with rpc.isolated():
        world = deploy_fund(rpc, project.get_contract, owner.address, hostile=True)
        w = deploy_put(world, project.get_contract, {1: PRICE, 2: PRICE})
        register(world, world.engine.address, alice.address)
        for who in (alice, bob, carol):
            w.give(who.address, 10**6 * UNIT)
        world.fund.setPremiumTerms(0, 10_000 * UNIT, sender=world.owner)
        world.fund.fundPremium(1_000 * UNIT, sender=alice.address)
        w.put.open(terms(alice.address, rpc.timestamp), sender=world.owner)
        yield w


@pytest.fixture(scope="session")
def deployed_rogue(rpc: RpcClient, project: Any, owner: Any) -> tuple[FundWorld, Contract]:
    world = deploy_fund(rpc, project.get_contract, owner.address)
    rogue = rpc.deploy(
        project.get_contract("HostileReinsurer"), world.fund.address, sender=owner.address
    )
    world.fund.setReinsurer(rogue.address, sender=owner.address)
    return world, rogue


@pytest.fixture
def rogue(
    deployed_rogue: tuple[FundWorld, Contract], rpc: RpcClient, alice: Any, bob: Any
) -> Iterator[tuple[FundWorld, Contract]]:
    """A fund with 30 in market 1 and 20 in the reserve, and a reinsurer that holds 10,000."""
    with rpc.isolated():
        world, contract = deployed_rogue
        register(world, world.engine.address, alice.address)
        for who in (alice, bob):
            world.give(who.address, 10**6 * UNIT)
        world.token.mint(contract.address, 10_000, sender=world.owner)
        world.fund.fundCompartment(alice.address, 1, 30, sender=bob.address)
        world.fund.fundReserve(20, sender=bob.address)
        yield world, contract
