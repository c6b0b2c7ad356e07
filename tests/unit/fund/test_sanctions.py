"""The compliance hook: deposits and stakes only, and a listed address blocks nobody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fund_cases import ACCOUNT, DAY, UNIT

from backstop.harness.fund import deploy_fund
from backstop.harness.rpc import Contract, RpcClient, expect_revert

BIG = 10**15


def test_who_is_listed_stakes_nothing_and_blocks_nobody(
    rpc: RpcClient,
    project: Any,
    deploy: Callable[..., Contract],
    owner: Any,
    alice: Any,
    bob: Any,
    carol: Any,
) -> None:
    listed = deploy("MockSanctions")
    w = deploy_fund(rpc, project.get_contract, owner.address, sanctions=listed.address)
    for who in (alice, bob, carol):
        w.give(who.address, BIG)
    w.fund.setClaimant(alice.address, (BIG, BIG, DAY), sender=w.owner)
    w.fund.setClaimantMarket(alice.address, 1, (BIG, BIG), sender=w.owner)
    w.tranche.setTerms(BIG, DAY, sender=w.owner)
    t = w.tranche
    t.deposit(100 * UNIT, bob.address, sender=bob.address)
    t.deposit(100 * UNIT, carol.address, sender=carol.address)
    listed.set(bob.address, True, sender=w.owner)
    for receiver, sender in ((bob, bob), (carol, bob), (bob, carol)):
        with expect_revert("Sanctioned", who=bob.address):
            t.deposit(1, receiver.address, sender=sender.address)
    with expect_revert("Sanctioned", who=bob.address):
        t.mint(1_000, bob.address, sender=bob.address)
    # losses and exits go on for all of them
    w.fund.cover(ACCOUNT, [(1, 50 * UNIT)], 0, sender=alice.address)
    for who in (bob, carol):
        t.requestRedeem(t.balanceOf(who.address), who.address, who.address, sender=who.address)
    w.client.warp(8 * DAY)
    for who in (bob, carol):
        t.claim(1, who.address, who.address, sender=who.address)
        assert w.token.balanceOf(who.address) == BIG - 25 * UNIT
    # a list that fails stops stakes and nothing else
    listed.setBroken(True, sender=w.owner)
    with expect_revert("Broken"):
        t.deposit(1, carol.address, sender=carol.address)
    w.fund.fundReserve(1, sender=carol.address)
