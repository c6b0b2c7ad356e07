from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fund_cases import LIMITS, MARKET_LIMITS, UNIT

from backstop.harness.fund import FundWorld, deploy_fund
from backstop.harness.rpc import RpcClient


@pytest.fixture(scope="session")
def deployed_fund(rpc: RpcClient, project: Any, owner: Any) -> FundWorld:
    return deploy_fund(rpc, project.get_contract, owner.address)


@pytest.fixture
def world(deployed_fund: FundWorld, rpc: RpcClient, alice: Any, bob: Any) -> Iterator[FundWorld]:
    """Engine and alice are claimants with markets 1 and 2; bob has money. Undone afterwards."""
    with rpc.isolated():
        w = deployed_fund
        for who in (w.engine.address, alice.address):
            w.fund.setClaimant(who, LIMITS, sender=w.owner)
            for market in (1, 2):
                w.fund.setClaimantMarket(who, market, MARKET_LIMITS, sender=w.owner)
        for who in (alice.address, bob.address):
            w.give(who, 1_000_000 * UNIT)
        yield w


@pytest.fixture
def hostile(rpc: RpcClient, project: Any, owner: Any, alice: Any, bob: Any) -> Iterator[FundWorld]:
    """The same with a token that misbehaves on request."""
    with rpc.isolated():
        w = deploy_fund(rpc, project.get_contract, owner.address, hostile=True)
        for who in (w.engine.address, alice.address):
            w.fund.setClaimant(who, LIMITS, sender=w.owner)
            for market in (1, 2):
                w.fund.setClaimantMarket(who, market, MARKET_LIMITS, sender=w.owner)
        for who in (alice.address, bob.address):
            w.give(who, 1_000_000 * UNIT)
        w.token.mint(w.engine.address, 1_000 * UNIT, sender=w.owner)
        yield w
