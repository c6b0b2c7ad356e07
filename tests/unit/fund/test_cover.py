"""The waterfall: order, several claims, rewards, receipts, previews."""

from __future__ import annotations

from typing import Any

import pytest
from fund_cases import ACCOUNT, DAY, LIMITS, MARKET_LIMITS, UNIT

from backstop.harness.fund import FundWorld
from backstop.harness.rpc import Receipt, expect_revert

CAP = 500 * UNIT


def fill(
    world: FundWorld, claimant: str, payer: str, first: int, second: int, reserve: int
) -> None:
    for market, assets in ((1, first), (2, second)):
        if assets:
            world.fund.fundCompartment(claimant, market, assets, sender=payer)
    if reserve:
        world.fund.fundReserve(reserve, sender=payer)


def legs_of(receipt: Receipt) -> list[tuple[int, ...]]:
    return [tuple(event.legs) for event in receipt.find("Covered")]


def test_compartment_then_reserve(world: FundWorld, alice: Any, bob: Any) -> None:
    fund, me = world.fund, alice.address
    fill(world, me, bob.address, 30, 0, 100)
    before = world.token.balanceOf(me)
    receipt = fund.cover(ACCOUNT, [(1, 20)], 0, sender=me)
    assert legs_of(receipt) == [(20, 0, 0, 0, 0)]
    receipt = fund.cover(ACCOUNT, [(1, 50)], 0, sender=me)
    event = receipt.one("Covered")
    assert (event.eventId, event.claimant, event.market) == (2, me, 1)
    assert (event.account, event.claimed, tuple(event.legs)) == (ACCOUNT, 50, (10, 40, 0, 0, 0))
    assert len(receipt.find("Transfer")) == 1
    assert world.token.balanceOf(me) - before == 70
    assert (fund.compartment(me, 1), fund.reserve(), fund.eventCount()) == (0, 60, 2)
    assert fund.totalCapital() == world.token.balanceOf(fund.address) == 60


def test_returns_what_the_receipt_says(world: FundWorld, alice: Any, bob: Any) -> None:
    fill(world, alice.address, bob.address, 30, 5, 100)
    result = world.fund.cover.call(ACCOUNT, [(1, 50), (2, 7)], 9, sender=alice.address)
    event_id, legs, reward = result
    assert event_id == 1
    assert [tuple(leg) for leg in legs] == [(30, 20, 0, 0, 0), (5, 2, 0, 0, 0)]
    assert reward == 9


def test_empty_fund_pays_nothing_and_does_not_revert(world: FundWorld, alice: Any) -> None:
    receipt = world.fund.cover(ACCOUNT, [(1, 50)], 10, sender=alice.address)
    assert legs_of(receipt) == [(0, 0, 0, 0, 0)]
    assert not receipt.find("Transfer") and not receipt.find("KeeperRewardPaid")
    assert world.fund.eventCount() == 1


def test_compartments_are_isolated(world: FundWorld, alice: Any, bob: Any) -> None:
    fund, me, engine = world.fund, alice.address, world.engine.address
    fill(world, me, bob.address, 40, 50, 0)
    fill(world, engine, bob.address, 60, 0, 0)
    assert legs_of(fund.cover(ACCOUNT, [(1, 1_000)], 500, sender=me)) == [(40, 0, 0, 0, 0)]
    assert fund.compartment(me, 2) == 50
    assert fund.compartment(engine, 1) == 60


def test_claims_are_served_in_order(world: FundWorld, alice: Any, bob: Any) -> None:
    fill(world, alice.address, bob.address, 10, 20, 50)
    receipt = world.fund.cover(ACCOUNT, [(2, 60), (1, 30)], 0, sender=alice.address)
    assert legs_of(receipt) == [(20, 40, 0, 0, 0), (10, 10, 0, 0, 0)]
    assert receipt.one("Transfer").value == 80


def test_same_market_twice_is_two_claims(world: FundWorld, alice: Any, bob: Any) -> None:
    fill(world, alice.address, bob.address, 10, 0, 50)
    receipt = world.fund.cover(ACCOUNT, [(1, 15), (1, 15)], 0, sender=alice.address)
    assert legs_of(receipt) == [(10, 5, 0, 0, 0), (0, 15, 0, 0, 0)]
    assert world.fund.drawRoom(alice.address, 1).marketWindow == 2_000 * UNIT - 20


def test_claims_of_zero_leave_no_receipt(world: FundWorld, alice: Any, bob: Any) -> None:
    fill(world, alice.address, bob.address, 10, 10, 0)
    receipt = world.fund.cover(ACCOUNT, [(1, 0), (2, 4)], 0, sender=alice.address)
    assert [event.market for event in receipt.find("Covered")] == [2]
    receipt = world.fund.cover(ACCOUNT, [], 5, sender=alice.address)
    assert not receipt.logs
    assert world.fund.eventCount() == 2


def test_huge_claims_are_clipped(world: FundWorld, alice: Any, bob: Any) -> None:
    fill(world, alice.address, bob.address, 10, 20, 30)
    top = 2**256 - 1
    receipt = world.fund.cover(ACCOUNT, [(1, top), (2, top)], top, sender=alice.address)
    assert legs_of(receipt) == [(10, 30, 0, 0, 0), (20, 0, 0, 0, 0)]
    assert world.fund.totalCapital() == 0


def test_two_calls_in_one_transaction(world: FundWorld, bob: Any) -> None:
    """Each leaves the lock free for the next; the AccessManager stands for a claimant."""
    fund, manager, me = world.fund, world.manager, world.owner
    fund.setClaimant(manager.address, LIMITS, sender=me)
    fund.setClaimantMarket(manager.address, 1, MARKET_LIMITS, sender=me)
    fill(world, manager.address, bob.address, 30, 0, 100)
    world.token.mint(manager.address, 7, sender=me)
    cover = fund.cover.encode(ACCOUNT, [(1, 20)], 0)
    calls = (
        (world.token, world.token.approve.encode(fund.address, 7)),
        (fund, fund.receiveIncome.encode(1, 3)),
        (fund, fund.receiveIncome.encode(1, 4)),
        (fund, cover),
        (fund, cover),
    )
    inside = [manager.execute.encode(target.address, data) for target, data in calls]
    receipt = manager.multicall(inside, sender=me)
    assert legs_of(receipt) == [(20, 0, 0, 0, 0), (17, 3, 0, 0, 0)]


def test_strangers_are_refused(world: FundWorld, bob: Any) -> None:
    with expect_revert("NotClaimant", caller=bob.address):
        world.fund.cover(ACCOUNT, [(1, 1)], 0, sender=bob.address)
    with expect_revert("NotSelf", caller=bob.address):
        world.fund.settleEvent(ACCOUNT, [(1, 1)], 0, sender=bob.address)


@pytest.mark.parametrize(
    ("claim", "reward", "legs", "paid"),
    [
        (5, 3, (5, 0, 0, 0, 0), 3),  # all from the compartment
        (8, 4, (8, 0, 0, 0, 0), 4),  # 2 from the compartment, 2 from the reserve
        (20, 9, (10, 10, 0, 0, 0), 9),  # all from the reserve
        (28, 9, (10, 18, 0, 0, 0), 2),  # what is left
        (40, 9, (10, 20, 0, 0, 0), 0),  # nothing is left
    ],
)
def test_reward_comes_last(
    world: FundWorld,
    alice: Any,
    bob: Any,
    claim: int,
    reward: int,
    legs: tuple[int, ...],
    paid: int,
) -> None:
    fill(world, alice.address, bob.address, 10, 0, 20)
    receipt = world.fund.cover(ACCOUNT, [(1, claim)], reward, sender=alice.address)
    assert legs_of(receipt) == [legs]
    assert sum(event.assets for event in receipt.find("KeeperRewardPaid")) == paid
    assert receipt.one("Transfer").value == sum(legs) + paid
    assert world.fund.totalCapital() == 30 - sum(legs) - paid


def test_reward_never_takes_another_market(world: FundWorld, alice: Any, bob: Any) -> None:
    fill(world, alice.address, bob.address, 10, 10, 0)
    receipt = world.fund.cover(ACCOUNT, [(1, 10), (2, 1)], 5, sender=alice.address)
    assert not receipt.find("KeeperRewardPaid")
    assert world.fund.compartment(alice.address, 2) == 9


def test_reward_is_not_a_deficit(world: FundWorld, alice: Any, bob: Any) -> None:
    """I25: the legs never exceed the claim, whatever the reward."""
    fill(world, alice.address, bob.address, 100, 0, 100)
    receipt = world.fund.cover(ACCOUNT, [(1, 7)], 50, sender=alice.address)
    assert sum(legs_of(receipt)[0]) == 7
    event = receipt.one("KeeperRewardPaid")
    assert (event.eventId, event.claimant, event.market, event.assets) == (1, alice.address, 1, 50)


def test_reward_respects_the_limits(world: FundWorld, alice: Any, bob: Any) -> None:
    fund, me = world.fund, alice.address
    fill(world, me, bob.address, 0, 0, 5_000 * UNIT)
    receipt = fund.cover(ACCOUNT, [(1, LIMITS[0] - 3)], 10, sender=me)
    assert receipt.one("KeeperRewardPaid").assets == 3


def test_per_claim_is_per_event(world: FundWorld, alice: Any, bob: Any) -> None:
    fund, me = world.fund, alice.address
    fill(world, me, bob.address, CAP, 0, 5_000 * UNIT)
    receipt = fund.cover(ACCOUNT, [(1, 800 * UNIT), (2, 900 * UNIT)], 0, sender=me)
    assert legs_of(receipt) == [(CAP, 300 * UNIT, 0, 0, 0), (0, 700 * UNIT, 0, 0, 0)]


@pytest.mark.parametrize("above", [-1, 0, 1])
def test_per_claim_at_its_boundary(world: FundWorld, alice: Any, bob: Any, above: int) -> None:
    fill(world, alice.address, bob.address, 0, 0, 5_000 * UNIT)
    claim = LIMITS[0] + above
    receipt = world.fund.cover(ACCOUNT, [(1, claim)], 0, sender=alice.address)
    assert legs_of(receipt) == [(0, min(claim, LIMITS[0]), 0, 0, 0)]


def test_windows_bind_and_leak(world: FundWorld, alice: Any, bob: Any) -> None:
    """Market window 2,000, claimant window 2,500, both drain in exactly a day."""
    fund, me, client = world.fund, alice.address, world.client
    fill(world, me, bob.address, 0, 0, 50_000 * UNIT)
    start = client.timestamp + 100
    client.set_next_timestamp(start)
    assert legs_of(fund.cover(ACCOUNT, [(1, 10**12)], 0, sender=me))[0][1] == 1_000 * UNIT
    # two more in the same instant: the market's window leaves 1,000, then nothing
    assert fund.drawRoom.call(me, 1, at=start) == (1_000 * UNIT, 1_500 * UNIT, 1_000 * UNIT)
    client.set_next_timestamp(start + DAY)
    assert fund.drawRoom.call(me, 1, at=start + DAY)[1:] == (2_500 * UNIT, 2_000 * UNIT)
    fund.cover(ACCOUNT, [(1, 10**12)], 0, sender=me)


def at_window_end(world: FundWorld, alice: Any, bob: Any, offset: int) -> tuple[int, int, int]:
    fund, me, client = world.fund, alice.address, world.client
    fund.setClaimant(me, (2_500 * UNIT, 2_500 * UNIT, DAY), sender=world.owner)
    fund.setClaimantMarket(me, 1, (0, 2_500 * UNIT), sender=world.owner)
    fill(world, me, bob.address, 0, 0, 50_000 * UNIT)
    start = client.timestamp + 100
    client.set_next_timestamp(start)
    assert legs_of(fund.cover(ACCOUNT, [(1, 10**12)], 0, sender=me))[0][1] == 2_500 * UNIT
    room: tuple[int, int, int] = tuple(fund.drawRoom.call(me, 1, at=start + offset))
    return room


@pytest.mark.parametrize(
    ("offset", "room"),
    [
        (0, 0),
        (1, 2_500 * UNIT // DAY),
        (DAY // 2, 1_250 * UNIT),
        (DAY - 1, 2_500 * UNIT * (DAY - 1) // DAY),
        (DAY, 2_500 * UNIT),
        (DAY + 1, 2_500 * UNIT),
    ],
)
def test_a_full_bucket_drains_in_one_window(
    world: FundWorld, alice: Any, bob: Any, offset: int, room: int
) -> None:
    assert at_window_end(world, alice, bob, offset) == (2_500 * UNIT, room, room)


def test_draw_beyond_the_window_is_clipped(world: FundWorld, alice: Any, bob: Any) -> None:
    fund, me, client = world.fund, alice.address, world.client
    at_window_end(world, alice, bob, 0)
    later = client.timestamp + DAY - 1
    client.set_next_timestamp(later)
    room = 2_500 * UNIT * (DAY - 1) // DAY
    assert legs_of(fund.cover(ACCOUNT, [(1, room + 1)], 0, sender=me))[0][1] == room


def test_own_money_fills_no_bucket(world: FundWorld, alice: Any, bob: Any) -> None:
    fund, me = world.fund, alice.address
    fill(world, me, bob.address, CAP, 0, 0)
    before = fund.drawRoom(me, 1)
    fund.cover(ACCOUNT, [(1, CAP)], 0, sender=me)
    assert fund.drawRoom(me, 1) == before
    fund.tightenClaimant(me, (0, 0, DAY), sender=world.owner)
    fill(world, me, bob.address, CAP, 0, 5)
    assert legs_of(fund.cover(ACCOUNT, [(1, CAP + 5)], 0, sender=me)) == [(CAP, 0, 0, 0, 0)]


def test_unset_is_zero(world: FundWorld, alice: Any, bob: Any) -> None:
    fund, me = world.fund, alice.address
    fill(world, me, bob.address, 0, 0, 1_000 * UNIT)
    assert legs_of(fund.cover(ACCOUNT, [(77, 5)], 5, sender=me)) == [(0, 0, 0, 0, 0)]
    assert tuple(fund.previewCover(me, 77, 5)) == (0, 0, 0, 0, 0)


def test_tightened_below_use_leaves_no_room(world: FundWorld, alice: Any, bob: Any) -> None:
    fund, me, client = world.fund, alice.address, world.client
    fill(world, me, bob.address, 0, 0, 5_000 * UNIT)
    fund.cover(ACCOUNT, [(1, 1_000 * UNIT)], 0, sender=me)
    start = client.timestamp + 1
    client.set_next_timestamp(start)
    fund.tightenClaimant(me, (1_000 * UNIT, 100 * UNIT, DAY), sender=world.owner)
    fund.tightenClaimantMarket(me, 1, (CAP, 200 * UNIT), sender=world.owner)
    assert tuple(fund.drawRoom(me, 1))[1:] == (0, 0)
    assert legs_of(fund.cover(ACCOUNT, [(1, 5)], 0, sender=me)) == [(0, 0, 0, 0, 0)]
    # the old draw drains at the new rate, from the change on
    used = 1_000 * UNIT - 2_500 * UNIT * 1 // DAY
    room = fund.drawRoom.call(me, 1, at=start + 19 * DAY // 2)[1]
    assert room == 100 * UNIT - (used - 950 * UNIT)
    assert fund.drawRoom.call(me, 1, at=start + 10 * DAY)[1] == 100 * UNIT


def test_raising_a_limit_forgets_no_draw(world: FundWorld, alice: Any, bob: Any) -> None:
    fund, me, client = world.fund, alice.address, world.client
    fill(world, me, bob.address, 0, 0, 5_000 * UNIT)
    start = client.timestamp + 10
    client.set_next_timestamp(start)
    fund.cover(ACCOUNT, [(1, 1_000 * UNIT)], 0, sender=me)
    client.set_next_timestamp(start + DAY // 10)
    fund.setClaimant(me, (LIMITS[0], 2 * LIMITS[1], DAY), sender=world.owner)
    client.set_next_timestamp(start + DAY // 5)
    fund.setClaimantMarket(me, 1, (CAP, 4_000 * UNIT), sender=world.owner)
    room = fund.drawRoom.call(me, 1, at=start + DAY // 5)
    # claimant: 1,000 - 250 (old rate) - 500 (new rate); market: 1,000 - 400 (old rate)
    assert tuple(room)[1:] == (5_000 * UNIT - 250 * UNIT, 4_000 * UNIT - 600 * UNIT)


def test_strangers_move_no_clock(world: FundWorld, alice: Any, bob: Any) -> None:
    """I18: neither money nor another claimant's draw resets a bucket."""
    fund, me, client = world.fund, alice.address, world.client
    fill(world, me, bob.address, 0, 0, 5_000 * UNIT)
    start = client.timestamp + 10
    client.set_next_timestamp(start)
    fund.cover(ACCOUNT, [(1, 1_000 * UNIT)], 0, sender=me)
    fund.fundReserve(5, sender=bob.address)
    fund.fundCompartment(me, 1, 5, sender=bob.address)
    fund.cover(ACCOUNT, [(1, 5)], 0, sender=me)  # its own compartment: no draw either
    room = fund.drawRoom.call(me, 1, at=start + DAY // 4)
    assert tuple(room)[1:] == (2_500 * UNIT - 375 * UNIT, 2_000 * UNIT - 500 * UNIT)


@pytest.mark.parametrize("claim", [1, 9, 10, 11, 60, 1_000, 2**200])
def test_preview_is_cover(world: FundWorld, alice: Any, bob: Any, claim: int) -> None:
    fill(world, alice.address, bob.address, 10, 0, 50)
    world.fund.cover(ACCOUNT, [(1, 5)], 0, sender=alice.address)
    preview = tuple(world.fund.previewCover(alice.address, 1, claim))
    receipt = world.fund.cover(ACCOUNT, [(1, claim)], 0, sender=alice.address)
    assert legs_of(receipt) == [preview]


def test_preview_for_strangers_is_nothing(world: FundWorld, bob: Any) -> None:
    world.fund.fundReserve(50, sender=bob.address)
    assert tuple(world.fund.previewCover(bob.address, 1, 10)) == (0, 0, 0, 0, 0)


def test_inside_a_liquidation(world: FundWorld, bob: Any) -> None:
    """The liquidator holds the lock, the engine calls: cover and receiveIncome work."""
    engine = world.engine.address
    fill(world, engine, bob.address, 10, 0, 50)
    data = world.in_liquidation("cover", ACCOUNT, [(1, 30)], 2)
    receipt = world.client.send(world.liquidator.address, data, sender=world.owner)
    assert legs_of(receipt) == [(10, 20, 0, 0, 0)]
    assert world.token.balanceOf(engine) == 32
    approve = world.token.approve.encode(world.fund.address, 32)
    world.engine.callFree(world.token.address, approve, sender=world.owner)
    data = world.in_liquidation("receiveIncome", 1, 32)
    world.client.send(world.liquidator.address, data, sender=world.owner)
    assert world.fund.compartment(engine, 1) == 32
    assert world.lock.holder() == "0x" + "00" * 20
