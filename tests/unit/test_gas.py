"""Gas that must not creep up, sizes that must fit, and O(1) that must stay O(1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from backstop.harness.bench import Bench, deploy_bench
from backstop.harness.gas import SIZE_LIMIT, GasBench, contract_sizes
from backstop.harness.rpc import RpcClient

# a tenth above what was measured last, thousand gas; lower them when something becomes cheaper
CEILINGS = {
    "deposit, repeat": 62,
    "withdraw, no position": 55,
    "withdraw, 1 market, marks fresh": 74,
    "withdraw, 8 markets, marks fresh": 191,
    "open by one signed order, both sides new": 197,
    "the same, both open": 160,
    "close, both sides to zero": 159,
    "liquidate, part": 171,
    "liquidate, whole": 159,
    "deleverage, any number of counterparties": 168,
    "backstop: take a position, first": 239,
    "backstop: buy inventory, all": 170,
    "bankrupt, fund pays tokens": 217,
    "bankrupt, fund empty, charged to the side": 192,
    "stake, repeat": 76,
    "request to leave": 56,
    "claim of a matured request": 75,
    "cover, compartment and reserve pay": 82,
    "of that, the stake's part": 86,
    "health view, 8 markets, marks fresh (execution)": 143,
}


@pytest.fixture(scope="module")
def measured(rpc: RpcClient, project: Any) -> tuple[Bench, GasBench, dict[str, dict[int, int]]]:
    bench = deploy_bench(rpc, project.get_contract)
    gas = GasBench(bench)
    gas.prepare()
    parts: tuple[Callable[[], None], ...] = (
        gas.collateral,
        gas.trades,
        gas.liquidations,
        gas.inventory,
        gas.bankruptcies,
        gas.fund_operations,
        gas.views,
    )
    for part in parts:
        part()
    return bench, gas, gas.scaling((5, 50))


def test_no_operation_became_dearer(
    measured: tuple[Bench, GasBench, dict[str, dict[int, int]]],
) -> None:
    found = {row.operation: row.gas / 1000 for row in measured[1].rows}
    assert set(CEILINGS) <= set(found)
    dearer = {name: (found[name], most) for name, most in CEILINGS.items() if found[name] > most}
    assert not dearer


def test_deleveraging_does_not_depend_on_the_number_of_accounts(
    measured: tuple[Bench, GasBench, dict[str, dict[int, int]]],
) -> None:
    for by_count in measured[2].values():
        assert max(by_count.values()) < 1.02 * min(by_count.values())


def test_contracts_fit(measured: tuple[Bench, GasBench, dict[str, dict[int, int]]]) -> None:
    sizes = contract_sizes(measured[0])
    assert len(sizes) >= 6
    assert max(sizes.values()) < SIZE_LIMIT, sizes
