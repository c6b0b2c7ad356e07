from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from order_world import OrderWorld, defaultdict, model

from backstop.chain.signing import Domain
from backstop.harness.anvil import account_address
from backstop.harness.fund import created_address
from backstop.harness.rpc import Contract, RpcClient

ZERO_ADDRESS = "0x" + "00" * 20


@pytest.fixture(scope="session")
def deployed_orders(
    rpc: RpcClient, deploy: Callable[..., Contract], accounts: Any, owner: Any
) -> OrderWorld:
    users = [accounts[index] for index in range(10)]
    assert [user.address for user in users] == [account_address(index) for index in range(10)]
    nonce = int(rpc.rpc("eth_getTransactionCount", owner.address, "latest"), 16)
    engine, settlement, liquidator = (
        created_address(owner.address, nonce + place) for place in (1, 2, 3)
    )
    lock = deploy("SharedLock", [engine, settlement, liquidator, ZERO_ADDRESS, ZERO_ADDRESS])
    world = OrderWorld(
        rpc=rpc,
        users=users,
        lock=lock,
        engine=deploy("MockEngineForOrders", lock.address),
        settlement=deploy("OrderSettlement", engine, liquidator, lock.address),
        liquidator=deploy("MockLockMember", lock.address),
        wallet=deploy("MockWallet1271", users[3].address),
        domain=Domain(rpc.chain_id, settlement),
        twin=model.OrderSettlement(bytes.fromhex(liquidator[2:])),
    )
    assert world.settlement.address == settlement
    return world


@pytest.fixture
def world(deployed_orders: OrderWorld, rpc: RpcClient) -> Iterator[OrderWorld]:
    with rpc.isolated():
        yield replace(
            deployed_orders,
            twin=model.OrderSettlement(deployed_orders.twin.liquidator),
            positions=defaultdict(int),
        )
