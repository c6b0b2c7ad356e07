"""States that the code is ready for and no play of a test reaches: written to the storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from backstop.harness.abi import created_address
from backstop.harness.bench import WAD, Bench
from backstop.harness.fund import ZERO_ADDRESS
from backstop.harness.rpc import Contract, RpcClient, expect_revert

A_MIN, A_ONE = 10**13, 10**21


def overwrite(bench: Bench, data: bytes, width: int, old: int, new: int) -> None:
    """Of what a view reads in the engine, the first field of this width that holds `old`."""
    at = bench.engine.address
    call = {"to": at, "data": "0x" + data.hex()}
    listed = bench.rpc.rpc("eth_createAccessList", call, "latest")["accessList"]
    slots = {s for item in listed if item["address"] == at.lower() for s in item["storageKeys"]}
    mask, found = 2**width - 1, []
    for slot in sorted(slots):
        word = int(bench.rpc.rpc("eth_getStorageAt", at, slot, "latest"), 16)
        for shift in range(0, 257 - width, 8):
            if word >> shift & mask == old & mask:
                changed = word & ~(mask << shift) | (new & mask) << shift
                found.append((slot, f"0x{changed:064x}"))
    bench.rpc.rpc("anvil_setStorageAt", at, *found[0])


def test_an_account_without_positions_that_owes(bench: Bench) -> None:
    """Its deficit is market 0's, and is paid like any other."""
    debtor, keeper = bench.deposit(1, 1000), bench.deposit(4, 1000)
    overwrite(bench, bench.engine.collateral.encode(debtor), 120, 1000 * WAD, -5 * WAD)
    assert bench.state(1).equity == -5 * WAD and not bench.state(1).positions
    before = bench.fund.compartment(bench.engine.address, 0)
    receipt = bench.liquidator.closeOut(debtor, keeper, False, sender=bench.users[4])
    legs = receipt.one("ShortfallResolved").receipt
    assert legs.deficit == legs.compartment == 5 * WAD
    assert bench.fund.compartment(bench.engine.address, 0) == before - 5 * 10**6
    assert bench.state(1).equity == 0 and bench.engine.collateral(keeper) == 1000 * WAD


def test_a_tear_up_of_one_wei_is_paid_for(bench: Bench) -> None:
    for user in (1, 2):
        bench.deposit(user, 1000)
    bench.trade(1, 2, 20, 100)
    bench.engine.deleverage(bench.account(2), 0, 1, 0, sender=bench.liquidator.address)
    state = bench.engine.sideState(0)
    assert state.K[0] == 100 * 10**39 // (20 * WAD)  # 100 wei of quote for one of base


@pytest.mark.parametrize(("factor", "opens"), [(A_MIN, True), (A_MIN - 1, False)])
def test_a_side_opens_down_to_its_last_factor(bench: Bench, factor: int, opens: bool) -> None:
    for user in (1, 2, 3):
        bench.deposit(user, 10_000)
    bench.trade(1, 2, 20, 100)
    bench.trade(3, 2, 20, 100)  # a side that nobody is on begins anew
    overwrite(bench, bench.engine.sideState.encode(0), 72, A_ONE, factor)
    assert list(bench.engine.sideState(0).A) == [factor, A_ONE]
    if opens:
        bench.trade(1, 2, "0.002", 100)
    else:
        with expect_revert("SideOnlyReduces", market=0, longs=True):
            bench.trade(1, 2, "0.002", 100)


def test_a_liquidator_without_a_backstop_offers_it_nothing(
    bench: Bench, rpc: RpcClient, deploy: Callable[..., Contract], owner: Any
) -> None:
    nonce = int(rpc.rpc("eth_getTransactionCount", owner.address, "latest"), 16)
    members = [created_address(owner.address, nonce + 1), *[ZERO_ADDRESS] * 4]
    lock = deploy("SharedLock", members)
    engine, settlement = bench.engine.address, bench.system.settlement.address
    token = bench.system.token.address
    alone = deploy("Liquidator", engine, settlement, ZERO_ADDRESS, lock.address, token)
    with expect_revert("SameAccount", account=bench.account(1)):
        alone.closeOutToBackstop(bench.account(1), bench.account(4), sender=bench.users[4])
