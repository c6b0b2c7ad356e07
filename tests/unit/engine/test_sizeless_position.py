"""A position that deleveraging shrank to less than a wei: it must leave its side completely."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from backstop.harness.duel import Duel
from backstop.harness.rpc import RpcClient
from backstop.harness.world import UNIT, ChainWorld, deploy_world, feed_answer
from backstop.model.fixed_point import WAD

MARKET = 1  # the one that takes positions of a few wei


@pytest.fixture
def chain(rpc: RpcClient, project: Any, owner: Any) -> Iterator[ChainWorld]:
    with rpc.isolated():
        yield deploy_world(rpc, project.get_contract, owner.address)


def play(duel: Duel) -> None:
    tiny, big, bankrupt, small, *_, rich = duel.accounts
    for account, assets in (
        (tiny, UNIT),
        (big, 1_000 * UNIT),
        (bankrupt, 5 * UNIT),
        (small, 1_000 * UNIT),
        (rich, 1_000 * UNIT),
    ):
        duel.deposit(account, assets, account[:20], 1)
    for buyer, seller, base in ((tiny, small, 10**9), (big, bankrupt, 10 * WAD)):
        signed = duel.sign(buyer, MARKET, True, base, 2 * WAD, expiry=duel.world.now + 100)
        assert duel.fill(signed, seller, base, seller[:20], 1).error is None
    for which in (0, 1):
        answer = feed_answer(4 * 10**8, which)
        duel.set_feed(MARKET, which, answer, duel.world.now + 1 - which, 1 - which)
    for _ in range(4):
        duel.poke(MARKET, 30)
    assert duel.close_out(bankrupt, rich, False, rich[:20], 1).error is None
    assert duel.world.engine.position_size(tiny, MARKET) == 0
    assert duel.withdraw(tiny, 1, tiny[:20], tiny[:20], 1).error is None


def test_withdrawing_takes_its_basis_off_the_side(chain: ChainWorld) -> None:
    duel = Duel(chain)
    play(duel)
    assert duel.world.engine.side_state(MARKET).basis[0] == 10 * WAD
    duel.verify()
