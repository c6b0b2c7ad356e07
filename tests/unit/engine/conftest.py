from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from bench import Bench

from backstop.chain.config import Parameters
from backstop.chain.deploy import ROLE_IDS, RpcDeployer, deploy
from backstop.harness.rpc import RpcClient


@pytest.fixture(scope="session")
def deployed_bench(rpc: RpcClient, accounts: Any, owner: Any, project: Any) -> Bench:
    """Both markets at 100 tokens, simple parameters, an empty fund with generous limits."""
    parameters = Parameters.load("parameters/local.yaml")
    deployer = RpcDeployer(rpc, owner, project.get_contract)
    system = deploy(parameters, deployer, hand_over=False)
    for role, number in ROLE_IDS.items():  # the owner may change everything at once
        if role != "admin":
            system.authority.grantRole(number, owner.address, 0, sender=owner)
    bench = Bench(rpc, system, owner.address, [account.address for account in accounts])
    for market in range(2):
        for feed in system.feeds[market]:
            assert feed.decimals() == 8
        config = system.oracle.feeds(market)
        bench.system.oracle.setFeeds(
            market,
            {
                "primary": {"source": config.primary.source, "maxAge": 10**6},
                "secondary": {"source": config.secondary.source, "maxAge": 10**6},
                "maxDeviation": 20_000,
                "maxJump": 400_000,
                "minPrice": 10**15,
                "maxPrice": 10**24,
            },
            sender=owner,
        )
        bench.set_market(market)
        bench.price(100, market)
    return bench


@pytest.fixture
def bench(deployed_bench: Bench, rpc: RpcClient) -> Iterator[Bench]:
    with rpc.isolated():
        yield replace(deployed_bench, nonces={})
