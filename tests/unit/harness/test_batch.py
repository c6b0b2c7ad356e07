"""Many views in one request."""

from __future__ import annotations

from typing import Any

import pytest

from backstop.chain.artifacts import build_artifacts
from backstop.harness.abi import NoData, Reverted
from backstop.harness.batch import read_all
from backstop.harness.rpc import Contract, RpcClient


@pytest.fixture
def token(rpc: RpcClient, owner: Any) -> Contract:
    made = rpc.deploy(build_artifacts()("MockToken"), "USD", "USD", 6, sender=owner)
    made.mint(owner.address, 7, sender=owner)
    return made


def test_answers_come_in_the_order_of_the_views(
    rpc: RpcClient, token: Contract, owner: Any, alice: Any, monkeypatch: Any
) -> None:
    views = [(token, "balanceOf", (who,)) for who in (owner, alice, owner)]
    views.append((token, "symbol", ()))
    assert read_all(rpc, views) == [7, 0, 7, "USD"]
    monkeypatch.setattr("backstop.chain.transport._TOGETHER", 3)  # two requests
    assert read_all(rpc, views) == [7, 0, 7, "USD"]
    assert read_all(rpc, []) == []


def test_a_refusal_says_which_view(rpc: RpcClient, token: Contract, owner: Any, alice: Any) -> None:
    with pytest.raises(Reverted) as caught:
        read_all(rpc, [(token, "decimals", ()), (token, "transferFrom", (owner, alice, 1))])
    assert caught.value.name == "ERC20InsufficientAllowance"
    assert "transferFrom" in caught.value.__notes__[0]


def test_no_contract_is_no_zero(rpc: RpcClient, token: Contract, alice: Any) -> None:
    ghost = Contract(rpc, alice.address, token.abi, check=False)
    with pytest.raises(NoData):
        read_all(rpc, [(ghost, "decimals", ())])
