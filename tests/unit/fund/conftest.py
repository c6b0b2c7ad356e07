from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fund_cases import LIMITS, MARKET_LIMITS, UNIT

from backstop.harness.fund import FundWorld, deploy_fund
from backstop.harness.rpc import RpcClient


def _open(world: FundWorld, alice: Any, bob: Any) -> None:
    """Engine and alice are claimants with markets 1 and 2; both traders have money."""
    for who in (world.engine.address, alice.address):
        world.fund.setClaimant(who, LIMITS, sender=world.owner)
        for market in (1, 2):
            world.fund.setClaimantMarket(who, market, MARKET_LIMITS, sender=world.owner)
    for who in (alice.address, bob.address):
        world.give(who, 1_000_000 * UNIT)


@pytest.fixture
def world(deployed_fund: FundWorld, rpc: RpcClient, alice: Any, bob: Any) -> Iterator[FundWorld]:
    """Engine and alice are claimants with markets 1 and 2; bob has money. Undone afterwards."""
    with rpc.isolated():
        _open(deployed_fund, alice, bob)
        yield deployed_fund


@pytest.fixture
def hostile(rpc: RpcClient, project: Any, owner: Any, alice: Any, bob: Any) -> Iterator[FundWorld]:
    """The same with a token that misbehaves on request."""
    with rpc.isolated():
        w = deploy_fund(rpc, project.get_contract, owner.address, hostile=True)
        _open(w, alice, bob)
        w.token.mint(w.engine.address, 1_000 * UNIT, sender=w.owner)
        yield w
