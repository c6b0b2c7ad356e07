from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from oracle_world import ZERO_ADDRESS, OracleWorld

from backstop.harness.rpc import Contract, RpcClient


@pytest.fixture(scope="session")
def deployed_oracle(rpc: RpcClient, deploy: Callable[..., Contract], owner: Any) -> OracleWorld:
    manager = deploy("MockAccessManager", owner.address)
    oracle = deploy("PriceOracle", manager.address, ZERO_ADDRESS, 0)
    world = OracleWorld(rpc, deploy, owner, manager, oracle)
    for decimals in (6, 8, 18):
        for letter in "ab":
            world.feeds[f"{letter}{decimals}"] = deploy("MockFeed", decimals, 2000 * 10**decimals)
    return world


@pytest.fixture
def world(deployed_oracle: OracleWorld, rpc: RpcClient) -> Iterator[OracleWorld]:
    with rpc.isolated():
        yield deployed_oracle
