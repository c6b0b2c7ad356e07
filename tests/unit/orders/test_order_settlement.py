"""Filling, matching and liquidating with signed orders: quantities, prices, refusals.

`OrderWorld` compares every step with the twin: the trade that reaches the engine, the events, the
error and its arguments, the orders' status afterwards.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from order_world import FOREVER, MARKET, WAD, OrderWorld

from backstop.chain.signing import account_id, as_tuple, order_hash
from backstop.harness.rpc import Reverted
from backstop.model.orders import Status


def refused(name: str) -> Any:
    return pytest.raises(Reverted, match=f"^{name}\\(")


# --- fill


@pytest.mark.parametrize("is_buy", [True, False])
@pytest.mark.parametrize("base", [WAD, 3 * WAD])
def test_a_whole_fill(world: OrderWorld, is_buy: bool, base: int) -> None:
    order = world.order(is_buy=is_buy)
    receipt = world.fill(order, base)
    assert receipt.one("OrderFilled").base == WAD
    assert receipt.one("OrderFilled").fillPrice == 2000 * WAD
    assert world.status(order) == (WAD, Status.FILLED)
    with refused("NonceUsed"):
        world.fill(order)


def test_what_fill_returns(world: OrderWorld) -> None:
    order = world.order()
    call = (as_tuple(order), world.sign(order), world.account(2))
    assert world.settlement.fill.call(*call, 3 * WAD, sender=world.users[2]) == WAD
    assert world.settlement.fill.call(*call, WAD // 3, sender=world.users[2]) == WAD // 3


def test_partial_fills_to_exhaustion(world: OrderWorld) -> None:
    order = world.order()
    for part in (1, WAD // 3, WAD // 3):
        world.fill(order, part)
        assert world.status(order)[1] is Status.PARTLY_FILLED
    receipt = world.fill(order, WAD)  # clipped to what is left
    assert receipt.one("OrderFilled").base == WAD - 1 - 2 * (WAD // 3)
    assert world.status(order) == (WAD, Status.FILLED)
    with refused("NonceUsed"):
        world.fill(order, 1)


def test_the_caller_must_own_the_taking_account(world: OrderWorld) -> None:
    with refused("NotOwner"):
        world.fill(world.order(), taker=world.account(4))
    world.fill(world.order(), taker=world.account(2, 77))  # any subaccount of its own


def test_an_account_does_not_trade_with_itself(world: OrderWorld) -> None:
    with refused("SameAccount"):
        world.fill(world.order(user=2), caller=2)
    world.fill(world.order(user=2), caller=2, taker=world.account(2, 1))


def test_nothing_to_fill(world: OrderWorld) -> None:
    with refused("NothingToFill"):
        world.fill(world.order(), 0)
    with refused("NothingToFill"):
        world.fill(world.order(base=0))


@pytest.mark.parametrize("late", [0, 1])
def test_expiry_is_the_last_good_second(world: OrderWorld, late: int) -> None:
    expiry = world.rpc.timestamp + 100
    order = world.order(expiry=expiry)
    if late:
        with refused("OrderExpired"):
            world.fill(order, at=expiry + 1)
        assert world.status(order, expiry + 1) == (0, Status.EXPIRED)
    else:
        assert world.status(order, expiry) == (0, Status.OPEN)
        world.fill(order, at=expiry)


def test_an_expired_part_keeps_its_quantity(world: OrderWorld) -> None:
    order = world.order(expiry=world.rpc.timestamp + 100)
    world.fill(order, WAD // 2)
    assert world.status(order, order.expiry + 1) == (WAD // 2, Status.EXPIRED)


def test_the_engines_refusal_undoes_everything(world: OrderWorld) -> None:
    order = world.order()
    world.engine.setRefuses(True, sender=world.users[0])
    with refused("Refused"):
        world.settlement.fill(
            as_tuple(order), world.sign(order), world.account(2), WAD, sender=world.users[2]
        )
    assert world.status(order) == (0, Status.OPEN)
    world.engine.setRefuses(False, sender=world.users[0])
    world.fill(order)


# --- reduce-only


@pytest.mark.parametrize(("is_buy", "size"), [(True, -WAD // 4), (False, WAD // 4)])
def test_reduce_only_is_clipped_to_the_position(world: OrderWorld, is_buy: bool, size: int) -> None:
    order = world.order(is_buy=is_buy, reduce_only=True)
    world.place(order.account, size)
    receipt = world.fill(order)
    assert receipt.one("OrderFilled").base == WAD // 4
    assert world.engine.positionSize(order.account, MARKET) == 0
    # it stays open for a later position, and its quantity counts over its whole life
    with refused("NothingToReduce"):
        world.fill(order)
    world.place(order.account, 10 * size)
    assert world.fill(order).one("OrderFilled").base == WAD - WAD // 4
    assert world.status(order) == (WAD, Status.FILLED)


@pytest.mark.parametrize(("is_buy", "size"), [(True, WAD), (False, -WAD), (True, 0), (False, 0)])
def test_reduce_only_needs_a_position_on_the_other_side(
    world: OrderWorld, is_buy: bool, size: int
) -> None:
    order = world.order(is_buy=is_buy, reduce_only=True)
    world.place(order.account, size)
    with refused("NothingToReduce"):
        world.fill(order)


def test_reduce_only_looks_at_its_own_market(world: OrderWorld) -> None:
    order = world.order(reduce_only=True)
    world.place(order.account, -WAD, MARKET + 1)
    with refused("NothingToReduce"):
        world.fill(order)


# --- matchOrders


@pytest.mark.parametrize("maker_is_buyer", [True, False])
def test_matching_at_the_makers_limit(world: OrderWorld, maker_is_buyer: bool) -> None:
    maker = world.order(1, is_buy=maker_is_buyer, limit_price=2000 * WAD)
    better = 1990 if maker_is_buyer else 2010
    taker = world.order(2, is_buy=not maker_is_buyer, limit_price=better * WAD, base=3 * WAD)
    receipt = world.match(maker, taker, 10 * WAD)
    assert {event.fillPrice for event in receipt.find("OrderFilled")} == {2000 * WAD}
    assert world.status(maker) == (WAD, Status.FILLED)
    assert world.status(taker) == (WAD, Status.PARTLY_FILLED)
    with refused("NonceUsed"):
        world.match(maker, taker)


def test_matching_is_clipped_to_all_three(world: OrderWorld) -> None:
    maker = world.order(1)
    taker = world.order(2, is_buy=False, base=2 * WAD)
    world.match(maker, taker, WAD // 10)
    world.fill(taker, WAD, caller=4)
    assert world.match(maker, taker).find("OrderFilled")[0].base == WAD - WAD // 10
    assert world.status(taker) == (2 * WAD, Status.FILLED)


def test_matching_two_reduce_only_orders(world: OrderWorld) -> None:
    maker = world.order(1, reduce_only=True)
    taker = world.order(2, is_buy=False, reduce_only=True)
    world.place(maker.account, -WAD // 2)
    world.place(taker.account, WAD // 3)
    assert world.match(maker, taker).find("OrderFilled")[0].base == WAD // 3
    with refused("NothingToReduce"):
        world.match(maker, taker)


def test_matching_equal_limits(world: OrderWorld) -> None:
    world.match(world.order(1), world.order(2, is_buy=False))


@pytest.mark.parametrize("maker_is_buyer", [True, False])
def test_orders_that_do_not_cross(world: OrderWorld, maker_is_buyer: bool) -> None:
    buy = world.order(1, limit_price=2000 * WAD - 1)
    sell = world.order(2, is_buy=False)
    with refused("NotCrossing"):
        world.match(*((buy, sell) if maker_is_buyer else (sell, buy)))


def test_orders_that_do_not_fit(world: OrderWorld) -> None:
    maker, taker = world.order(1), world.order(2, is_buy=False)
    with refused("DifferentMarkets"):
        world.match(maker, replace(taker, market=MARKET + 1))
    with refused("SameSide"):
        world.match(maker, replace(taker, is_buy=True))
    with refused("SameAccount"):
        world.match(maker, world.order(1, is_buy=False, nonce=1))
    with refused("NothingToFill"):
        world.match(maker, taker, 0)
    with refused("NothingToFill"):
        world.match(maker, replace(taker, base=0))
    world.match(maker, world.order(1, sub=1, is_buy=False))  # another account of the same owner


def test_each_order_of_a_match_is_checked(world: OrderWorld) -> None:
    maker, taker = world.order(1), world.order(2, is_buy=False)
    good, bad = world.sign(maker), world.sign(maker, 6)
    with refused("InvalidSignature"):
        world.match(maker, taker, signatures=(bad, world.sign(taker)), valid=(False, True))
    with refused("InvalidSignature"):
        world.match(maker, taker, signatures=(good, good), valid=(True, False))
    past = world.rpc.timestamp
    with refused("OrderExpired"):
        world.match(replace(maker, expiry=past), taker)
    with refused("OrderExpired"):
        world.match(maker, replace(taker, expiry=past))
    world.cancel(taker.account, 0, caller=2)
    with refused("NonceUsed"):
        world.match(maker, taker)
    world.cancel_all(maker.account, 1, caller=1)
    with refused("NonceBelowMinimum"):
        world.match(maker, taker)


# --- fillLiquidation


def test_the_liquidator_fills_an_account_in_liquidation(world: OrderWorld) -> None:
    order = world.order()
    receipt = world.fill_liquidation(order, world.account(6), WAD // 2)
    assert receipt.one("OrderFilled").counterparty == world.account(6)
    world.fill_liquidation(order, world.account(6), WAD)
    assert world.status(order) == (WAD, Status.FILLED)


def test_reduce_only_orders_serve_liquidations_too(world: OrderWorld) -> None:
    # the settlement asks the engine for the position while the liquidator holds the lock
    order = world.order(reduce_only=True)
    world.place(order.account, -WAD // 4)
    receipt = world.fill_liquidation(order, world.account(6))
    assert receipt.one("OrderFilled").base == WAD // 4
    with refused("NothingToReduce"):
        world.fill_liquidation(order, world.account(6))


def test_what_a_liquidation_refuses(world: OrderWorld) -> None:
    order = world.order()
    with refused("SameAccount"):
        world.fill_liquidation(order, order.account)
    with refused("NothingToFill"):
        world.fill_liquidation(order, world.account(6), 0)
    with refused("OrderExpired"):
        world.fill_liquidation(replace(order, expiry=1), world.account(6))


def test_only_the_liquidator_and_only_with_the_lock(world: OrderWorld) -> None:
    order = world.order()
    arguments = (as_tuple(order), world.sign(order), world.account(6), WAD)
    with pytest.raises(Reverted) as caught:
        world.settlement.fillLiquidation(*arguments, sender=world.users[1])
    assert (caught.value.name, caught.value.arguments) == (
        "NotLiquidator",
        {"caller": world.users[1].address},
    )
    call = world.settlement.fillLiquidation.encode(*arguments)
    with pytest.raises(Reverted) as caught:
        world.liquidator.callFree(world.settlement.address, call, sender=world.users[0])
    assert caught.value.name == "NotHolder"
    assert caught.value.arguments["caller"] == world.liquidator.address


# --- the shared lock


@pytest.fixture
def stranger(world: OrderWorld, deploy: Any) -> Any:
    """A contract that passes calls on, and is no member of the lock."""
    return deploy("MockLockMember", world.lock.address)


def called_back(world: OrderWorld, way: str, through: Any, target: Any, data: bytes) -> Any:
    """The error (or None) of a call that the engine makes in the middle of a fill."""
    call = through.callFree.encode(target.address, data)
    world.engine.setCall(through.address, call, sender=world.users[0])
    if way == "fill":
        world.fill(world.order(4, nonce=5))
    elif way == "match":
        world.match(world.order(4, nonce=5), world.order(5, is_buy=False))
    else:
        world.fill_liquidation(world.order(4, nonce=5), world.account(6))
    if world.engine.callSucceeded():
        return None
    return world.rpc.registry.decode_error(world.engine.callResult())


WAYS = ["fill", "match", "liquidation"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("entry", ["fill", "matchOrders", "cancel", "cancelAll"])
def test_no_entry_point_can_be_re_entered(
    world: OrderWorld, way: str, entry: str, stranger: Any
) -> None:
    first, second = world.order(1), world.order(2, is_buy=False)
    mine = account_id(stranger.address)
    arguments = {
        "fill": (as_tuple(first), world.sign(first), mine, WAD),
        "matchOrders": (
            as_tuple(first),
            world.sign(first),
            as_tuple(second),
            world.sign(second),
            1,
        ),
        "cancel": (mine, 9),
        "cancelAll": (mine, 9),
    }[entry]
    call = getattr(world.settlement, entry).encode(*arguments)
    error = called_back(world, way, stranger, world.settlement, call)
    holder = world.liquidator if way == "liquidation" else world.settlement
    assert (error.name, error.arguments) == ("Locked", {"holder": holder.address})
    stranger.callFree(world.settlement.address, call, sender=world.users[0])  # free again


@pytest.mark.parametrize("way", ["fill", "match"])
def test_the_liquidator_cannot_cut_in(world: OrderWorld, way: str) -> None:
    first = world.order(1)
    call = world.settlement.fillLiquidation.encode(
        as_tuple(first), world.sign(first), world.account(2), WAD
    )
    error = called_back(world, way, world.liquidator, world.settlement, call)
    assert (error.name, error.arguments) == (
        "NotHolder",
        {"caller": world.liquidator.address, "holder": world.settlement.address},
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("view", ["minimumNonce", "orderStatus"])
def test_views_are_shut_in_the_middle_of_a_fill(
    world: OrderWorld, way: str, view: str, stranger: Any
) -> None:
    order = world.order()
    argument = order.account if view == "minimumNonce" else as_tuple(order)
    call = getattr(world.settlement, view).encode(argument)
    error = called_back(world, way, stranger, world.settlement, call)
    assert error.name == "Locked"
    # other parts of the system may ask
    world.engine.setCall(
        world.liquidator.address,
        world.liquidator.callFree.encode(world.settlement.address, call),
        sender=world.users[0],
    )
    world.fill(world.order(4, nonce=6))
    assert world.engine.callSucceeded() is True


def test_the_digest_can_be_asked_for_at_any_time(world: OrderWorld) -> None:
    order = world.order(reduce_only=True, nonce=2**64 - 1, base=2**128 - 1, expiry=FOREVER)
    assert world.settlement.hashOrder(as_tuple(order)) == order_hash(order, world.domain)
