"""Planted faults, in the twin and in a contract, are found and shrunk to a few actions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from backstop.harness.duel import Disagreement
from backstop.harness.fuzz.campaign import Finding, investigate, play_seed
from backstop.harness.fuzz.case import Case
from backstop.harness.fuzz.replay import WAYS, replay
from backstop.harness.rpc import RpcClient
from backstop.harness.world import ChainWorld, deploy_world
from backstop.model.engine import MarginEngine
from backstop.model.fund import InsuranceFund

SHORT = 10
"""Actions that a planted fault must be shrunk to, or fewer."""


@pytest.fixture(scope="module")
def deployed(rpc: RpcClient, project: Any, owner: Any) -> Iterator[ChainWorld]:
    with rpc.isolated():
        yield deploy_world(rpc, project.get_contract, owner.address)


@pytest.fixture
def chain(deployed: ChainWorld, rpc: RpcClient) -> Iterator[ChainWorld]:
    with rpc.isolated():
        yield deployed


def find(chain: ChainWorld | None, seeds: int = 10, turns: int = 40) -> Finding:
    """The first failure among so many seeds, shrunk."""
    for seed in range(seeds):
        duel, failure = play_seed(seed, turns, chain)
        if failure is not None:
            return investigate(seed, duel, failure, chain)
    pytest.fail(f"not found with {seeds} seeds")


def changed(method: Callable[..., Any], change: Callable[[Any], Any]) -> Callable[..., Any]:
    """A method whose result is another."""
    return lambda *args, **kwargs: change(method(*args, **kwargs))


def test_the_twin_rounds_a_margin_up_once_too_often(
    chain: ChainWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = changed(MarginEngine._value, lambda v: (v[0], v[1], v[2] + (v[2] > 0)))
    monkeypatch.setattr(MarginEngine, "_value", staticmethod(wrong))
    finding = find(chain)
    assert finding.failure.kind == Disagreement.__name__
    assert len(finding.case.actions) <= SHORT


def test_the_twin_refuses_to_pay_out_all_there_is(
    chain: ChainWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = MarginEngine._check_withdrawal

    def wrong(self: MarginEngine, a: Any, assets: int, free: int) -> None:
        right(self, a, assets + 1, free)  # < where <= is meant

    monkeypatch.setattr(MarginEngine, "_check_withdrawal", wrong)
    finding = find(chain)
    assert finding.failure.kind == Disagreement.__name__
    assert len(finding.case.actions) <= SHORT
    with pytest.raises(Disagreement):
        replay(finding.case, chain)
    monkeypatch.undo()
    assert replay(finding.case, chain).ways == WAYS


def test_a_reserve_that_books_too_much_is_found_without_the_contracts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = InsuranceFund.fund_reserve
    monkeypatch.setattr(
        InsuranceFund, "fund_reserve", lambda self, assets, now=0: right(self, assets + 1, now)
    )
    # the world itself is funded this way: the very first action shows it
    finding = find(None)
    assert finding.alone and finding.failure.kind == "CONSERVATION"
    assert len(finding.case.actions) == 1


def test_a_profit_out_of_nothing_breaks_an_invariant(monkeypatch: pytest.MonkeyPatch) -> None:
    right = MarginEngine._realise

    def wrong(self: MarginEngine, a: Any, realised: int, market: int) -> None:
        right(self, a, realised + 10**6, market)

    monkeypatch.setattr(MarginEngine, "_realise", wrong)
    finding = find(None)
    assert finding.alone and finding.failure.kind in ("NO_MINT", "CONSERVATION")
    assert len(finding.case.actions) <= SHORT


def test_a_contract_that_differs_in_one_constant(chain: ChainWorld, rpc: RpcClient) -> None:
    """A million, the unit of rates, is a million and one at one place of the liquidator."""
    code = rpc.code(chain.liquidator.address)
    million, wrong = bytes.fromhex("620f4240"), bytes.fromhex("620f4241")
    assert million in code
    rpc.set_code(chain.liquidator.address, code.replace(million, wrong, 1))
    finding = find(chain, seeds=30)
    assert finding.failure.kind == Disagreement.__name__ and not finding.alone
    assert len(finding.case.actions) <= SHORT


class WithoutSimulation(RpcClient):
    """A client of a node that answers like one without eth_simulateV1."""

    def rpc(self, method: str, *params: Any) -> Any:
        if method == "eth_simulateV1":
            method = "eth_simulateV0"  # Anvil itself says that there is no such method
        return super().rpc(method, *params)


def test_a_node_without_simulation_plays_transactions(chain: ChainWorld, rpc: RpcClient) -> None:
    duel, failure = play_seed(3, 3, None)
    assert failure is None
    plain = WithoutSimulation(rpc.url, registry=rpc.registry)
    found = replay(Case.of("short", duel.played[:8]), replace(chain, client=plain))
    plain.close()
    assert found.ways == ("transactions",)
