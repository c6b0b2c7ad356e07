"""Every recorded duel of tests/corpus, on twin and contracts, in both ways."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backstop.harness.fuzz.case import read_case
from backstop.harness.fuzz.replay import ALL_WAYS, WAYS, replay
from backstop.harness.rpc import RpcClient
from backstop.harness.world import ChainWorld, deploy_world

CORPUS = sorted((Path(__file__).parents[1] / "corpus").glob("*.yaml"))


@pytest.fixture(scope="module")
def chain(rpc: RpcClient, project: Any, owner: Any) -> Iterator[ChainWorld]:
    with rpc.isolated():
        yield deploy_world(rpc, project.get_contract, owner.address)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_recorded_duel(path: Path, chain: ChainWorld) -> None:
    found = replay(read_case(path), chain)
    assert found.ways == WAYS
    assert not found.missing, f"no longer reached: {found.missing}; record {path.name} anew"


def test_a_recorded_duel_through_ape(chain: ChainWorld) -> None:
    """The same outcomes by ape's accounts; the shortest, since ape takes its time."""
    path = min(CORPUS, key=lambda path: path.read_text().count("do:"))
    assert replay(read_case(path), chain, ALL_WAYS).ways == ALL_WAYS


def test_there_is_a_corpus() -> None:
    assert CORPUS
