"""Recovered money: reverse order of layers, and the stakers who bore the loss, also those gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fund_cases import ACCOUNT, UNIT
from shared_cases import BIG, COOLDOWN, WEEK, open_to

from backstop.harness.fund import FundWorld
from backstop.harness.rpc import RpcClient, expect_revert

SHARES = 1_000


@pytest.fixture
def world(
    deployed_fund: FundWorld, rpc: RpcClient, alice: Any, bob: Any, carol: Any
) -> Iterator[FundWorld]:
    """Alice is the claimant; bob and carol stake; the owner brings what is recovered."""
    with rpc.isolated():
        people = (alice, bob, carol, deployed_fund.owner)
        open_to(deployed_fund, [getattr(who, "address", who) for who in people])
        yield deployed_fund


def lose(world: FundWorld, alice: Any, *claims: tuple[int, int]) -> tuple[int, bytes]:
    """Event number and receipt of a loss."""
    receipt = world.fund.cover(ACCOUNT, list(claims), 0, sender=alice.address)
    recorded = receipt.one("ReceiptRecorded")
    return recorded.eventId, bytes(recorded.receipt)


def held(world: FundWorld, who: Any) -> int:
    return world.token.balanceOf(who.address)


def test_layers_are_repaid_in_reverse_order(world: FundWorld, alice: Any, bob: Any) -> None:
    fund, t = world.fund, world.tranche
    for market, assets in ((1, 20), (2, 5)):
        fund.fundCompartment(alice.address, market, assets, sender=bob.address)
    fund.fundReserve(30, sender=bob.address)
    t.deposit(40, bob.address, sender=bob.address)
    fund.fundBacking(10, sender=bob.address)
    number, receipt = lose(world, alice, (1, 50), (2, 55))
    assert fund.totalCapital() == 0

    fund.recover(number, receipt, 4, sender=world.owner)  # second slice first
    assert (fund.backing(), t.uncollected()) == (4, 0)
    fund.recover(number, receipt, 10, sender=world.owner)
    assert (fund.backing(), t.uncollected()) == (10, 4)
    fund.recover(number, receipt, 36 + 30 + 3, sender=world.owner)
    assert (t.uncollected(), fund.reserve()) == (40, 30)
    assert fund.compartment(alice.address, 1) == 3
    fund.recover(number, receipt, 22, sender=world.owner)
    assert [fund.compartment(alice.address, m) for m in (1, 2)] == [20, 5]
    assert fund.totalCompartments() == 25
    assert fund.recovery(number).recovered == 105
    with expect_revert("AboveLoss", assets=1, open=0):
        fund.recover(number, receipt, 1, sender=world.owner)
    held_now = world.token.balanceOf(fund.address)
    assert held_now == fund.totalCapital() + t.uncollected() == 65 + 40


def test_known_answer_also_for_those_who_left(
    world: FundWorld, alice: Any, bob: Any, carol: Any
) -> None:
    """600 / 300 / 100 slashed by 250, of which 100 comes back: 60 / 30 / 10."""
    t, client, me = world.tranche, world.client, bob.address
    t.deposit(1_000 * UNIT, me, sender=me)
    t.requestRedeem(300 * UNIT * SHARES, me, me, sender=me)
    client.warp(WEEK)
    t.requestRedeem(100 * UNIT * SHARES, carol.address, me, sender=me)
    number, receipt = lose(world, alice, (1, 250 * UNIT))
    # everybody who bore it leaves, somebody else comes
    client.warp(WEEK + COOLDOWN + WEEK)
    t.claim(1, me, me, sender=me)
    t.claim(2, carol.address, carol.address, sender=carol.address)
    t.requestRedeem(t.balanceOf(me), me, me, sender=me)
    client.warp(WEEK + COOLDOWN)
    t.claim(3, me, me, sender=me)
    assert t.totalSupply() == 0
    t.deposit(500 * UNIT, alice.address, sender=alice.address)
    assert held(world, bob) == BIG - 1_000 * UNIT + 225 * UNIT + 450 * UNIT

    world.fund.recover(number, receipt, 100 * UNIT, sender=world.owner)
    before = {who.address: held(world, who) for who in (alice, bob, carol)}
    paid = {}
    for who in (alice, bob, carol):
        for part in (0, 1, 2):
            if amount := t.collectable(who.address, 1, part):
                t.collect(who.address, 1, part, sender=world.owner)
                paid[who.address, part] = amount
    assert paid == {(me, 0): 60 * UNIT, (me, 1): 30 * UNIT, (carol.address, 2): 10 * UNIT}
    assert held(world, bob) - before[me] == 90 * UNIT
    assert held(world, alice) == before[alice.address]
    assert t.uncollected() == 0
    with expect_revert("NothingToCollect"):
        t.collect(me, 1, 0, sender=me)
    # and more of it later
    world.fund.recover(number, receipt, 50 * UNIT, sender=world.owner)
    assert t.collectable(me, 1, 0) == 30 * UNIT


def test_who_sells_shares_after_a_loss_keeps_its_recovery(
    world: FundWorld, alice: Any, bob: Any, carol: Any
) -> None:
    t = world.tranche
    t.deposit(100, bob.address, sender=bob.address)
    first = lose(world, alice, (1, 40))
    t.transfer(carol.address, t.balanceOf(bob.address), sender=bob.address)
    second = lose(world, alice, (1, 30))
    for number, receipt in (first, second):
        world.fund.recover(number, receipt, 20, sender=world.owner)
    assert [t.collectable(bob.address, era, 0) for era in (1, 2)] == [20, 0]
    assert [t.collectable(carol.address, era, 0) for era in (1, 2)] == [0, 20]


def test_a_wiped_out_series_is_repaid(world: FundWorld, alice: Any, bob: Any, carol: Any) -> None:
    t = world.tranche
    t.deposit(100 * UNIT, bob.address, sender=bob.address)
    number, receipt = lose(world, alice, (1, 100 * UNIT))
    assert t.series() == 1 and t.balanceOf(bob.address) == 0
    t.deposit(70 * UNIT, carol.address, sender=carol.address)
    t.deposit(5 * UNIT, bob.address, sender=bob.address)
    world.fund.recover(number, receipt, 80 * UNIT, sender=world.owner)
    assert t.collectable(bob.address, 1, 0) == 80 * UNIT
    assert t.collectable(carol.address, 1, 0) == 0
    assert t.totalAssets() == 75 * UNIT


def test_requests_of_a_later_series_are_repaid(
    world: FundWorld, alice: Any, bob: Any, carol: Any
) -> None:
    """35 of shares and 35 of a request, made after a series has ended, lose 10 each."""
    t, me = world.tranche, carol.address
    t.deposit(100 * UNIT, bob.address, sender=bob.address)
    lose(world, alice, (1, 100 * UNIT))
    t.deposit(70 * UNIT, me, sender=me)
    t.requestRedeem(35 * UNIT * SHARES, me, me, sender=me)
    number, receipt = lose(world, alice, (1, 20 * UNIT))
    t.requestRedeem(UNIT * SHARES, me, me, sender=me)  # what was requested before is kept
    world.fund.recover(number, receipt, 20 * UNIT, sender=world.owner)
    assert [t.collectable(me, 2, part) for part in (0, 1)] == [10 * UNIT, 10 * UNIT]


def test_a_request_that_grew_after_the_loss(
    world: FundWorld, alice: Any, bob: Any, carol: Any
) -> None:
    t, me = world.tranche, bob.address
    t.deposit(1_000 * UNIT, me, sender=me)
    t.deposit(1_000 * UNIT, carol.address, sender=carol.address)
    t.requestRedeem(100 * UNIT * SHARES, me, me, sender=me)
    t.requestRedeem(100 * UNIT * SHARES, carol.address, carol.address, sender=carol.address)
    number, receipt = lose(world, alice, (1, 200 * UNIT))
    t.requestRedeem(800 * UNIT * SHARES, me, me, sender=me)  # the same bucket, after the loss
    world.fund.recover(number, receipt, 100 * UNIT, sender=world.owner)
    assert t.collectable(me, 1, 1) == t.collectable(carol.address, 1, 1) == 5 * UNIT


def test_a_request_in_somebodys_name_costs_it_no_recovery(
    world: FundWorld, alice: Any, bob: Any, carol: Any
) -> None:
    """Carol's slot is written for bob's request: what her shares bore before stays known."""
    t = world.tranche
    for who in (bob, carol):
        t.deposit(100, who.address, sender=who.address)
    number, receipt = lose(world, alice, (1, 40))
    half = t.balanceOf(bob.address) // 2
    t.requestRedeem(half, carol.address, bob.address, sender=bob.address)
    world.fund.recover(number, receipt, 40, sender=world.owner)
    assert [t.collectable(who.address, 1, 0) for who in (bob, carol)] == [20, 20]


def test_losses_go_on_when_their_numbers_are_used_up(
    world: FundWorld, alice: Any, bob: Any
) -> None:
    """After 255 losses a recovery can no longer be traced to its holders: it is income."""
    t, fund = world.tranche, world.fund
    t.deposit(1_000, bob.address, sender=bob.address)
    for _ in range(255):
        receipt = fund.cover(ACCOUNT, [(1, 1)], 0, sender=alice.address)
    assert t.totalAssets() == 1_000 - 255
    for loss in (receipt, fund.cover(ACCOUNT, [(1, 1)], 0, sender=alice.address)):
        recorded = loss.one("ReceiptRecorded")
        fund.recover(recorded.eventId, bytes(recorded.receipt), 1, sender=world.owner)
        assert t.uncollected() == 1
    assert t.stream().left == 1


def test_wrong_receipts(world: FundWorld, alice: Any, bob: Any) -> None:
    fund = world.fund
    fund.fundReserve(100, sender=bob.address)
    world.tranche.deposit(100, bob.address, sender=bob.address)
    shallow = fund.cover(ACCOUNT, [(1, 60)], 0, sender=alice.address)
    assert shallow.find("ReceiptRecorded") == []
    with expect_revert("UnknownReceipt", eventId=1):
        fund.recover(1, b"", 1, sender=world.owner)
    number, receipt = lose(world, alice, (1, 80))
    for wrong in (receipt[:-1], receipt + b"\0", receipt[:-32] + b"\1" * 32, b""):
        with expect_revert("UnknownReceipt", eventId=number):
            fund.recover(number, wrong, 1, sender=world.owner)
    with expect_revert("UnknownReceipt", eventId=number + 1):
        fund.recover(number + 1, receipt, 1, sender=world.owner)
    with expect_revert("AboveLoss", assets=81, open=80):
        fund.recover(number, receipt, 81, sender=world.owner)
    with expect_revert("ZeroAmount"):
        fund.recover(number, receipt, 0, sender=world.owner)
    with expect_revert("NotFund"):
        world.tranche.recover((1, 0, 1, 1, 1, [], []), 1, sender=bob.address)
