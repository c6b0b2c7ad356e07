"""Nonces: cancelling one or many, the blocks they are kept in, and any sequence of it all."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, strategies as st
from order_world import FOREVER, WAD, OrderWorld, same_error

from backstop.chain.signing import Order, as_tuple, order_hash, owner_of
from backstop.harness.rpc import Outcome, Reverted, Step
from backstop.model import orders as model
from backstop.model.errors import ModelError
from backstop.model.orders import MAX_NONCE, Status

BLOCK = 96  # nonces in a block of the contract's book
EDGES = [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK - 1, 2 * BLOCK, 2**32, MAX_NONCE - 1, MAX_NONCE]


def refused(name: str) -> Any:
    return pytest.raises(Reverted, match=f"^{name}\\(")


@pytest.mark.parametrize("nonce", EDGES)
def test_cancelling_one(world: OrderWorld, nonce: int) -> None:
    order = world.order(nonce=nonce)
    receipt = world.cancel(order.account, nonce, caller=1)
    assert list(receipt.one("NonceCancelled").arguments.values()) == [order.account, nonce]
    assert world.status(order) == (0, Status.CANCELLED)
    for neighbour in (nonce - 1, nonce + 1):
        if 0 <= neighbour <= MAX_NONCE:
            assert world.status(replace(order, nonce=neighbour)) == (0, Status.OPEN)
    with refused("NonceUsed"):
        world.fill(order)
    with refused("NonceUsed"):
        world.cancel(order.account, nonce, caller=1)


def test_cancelling_is_the_owners(world: OrderWorld) -> None:
    with refused("NotOwner"):
        world.cancel(world.account(1), 0, caller=2)
    with refused("NotOwner"):
        world.cancel_all(world.account(1), 1, caller=2)
    world.cancel(world.account(1), 0, caller=1)
    world.fill(world.order(1, sub=1))  # another subaccount has nonces of its own


@pytest.mark.parametrize("nonce", [2**64, 2**256 - 1])
def test_nonces_have_64_bits(world: OrderWorld, nonce: int) -> None:
    with refused("NonceTooLarge"):
        world.cancel(world.account(1), nonce, caller=1)
    with refused("NonceTooLarge"):
        world.cancel_all(world.account(1), nonce, caller=1)


@pytest.mark.parametrize("minimum", [1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 3, MAX_NONCE])
def test_cancelling_all_below(world: OrderWorld, minimum: int) -> None:
    world.fill(world.order(nonce=0))
    world.fill(world.order(nonce=minimum - 1), WAD // 2) if minimum > 1 else None
    receipt = world.cancel_all(world.account(1), minimum, caller=1)
    event = receipt.one("MinimumNonceRaised")
    assert list(event.arguments.values()) == [world.account(1), minimum]
    with refused("NonceBelowMinimum"):
        world.fill(world.order(nonce=minimum - 1))
    with refused("NonceBelowMinimum"):
        world.cancel(world.account(1), minimum - 1, caller=1)
    # what was filled is still known to be filled, also after its block left the head
    assert world.status(world.order(nonce=0)) == (WAD, Status.FILLED)
    world.fill(world.order(nonce=minimum))
    for lower in (minimum, minimum - 1, 0):
        with refused("MinimumNonceNotRaised"):
            world.cancel_all(world.account(1), lower, caller=1)


def test_a_block_comes_back_to_the_head_as_it_was(world: OrderWorld) -> None:
    """Nonces used ahead of the minimum are still used when the minimum reaches their block."""
    ahead = 3 * BLOCK + 7
    world.fill(world.order(nonce=ahead))
    world.fill(world.order(nonce=ahead + 1), WAD // 2)
    world.cancel(world.account(1), ahead + 2, caller=1)
    world.cancel_all(world.account(1), 3 * BLOCK, caller=1)
    with refused("NonceUsed"):
        world.fill(world.order(nonce=ahead))
    with refused("NonceUsed"):
        world.fill(world.order(nonce=ahead + 2))
    world.fill(world.order(nonce=ahead + 1), WAD)
    assert world.status(world.order(nonce=ahead + 1)) == (WAD, Status.FILLED)
    assert world.status(world.order(nonce=ahead + 3)) == (0, Status.OPEN)


def test_cancelling_a_part_filled_order(world: OrderWorld) -> None:
    order = world.order()
    world.fill(order, WAD // 4)
    world.cancel(order.account, order.nonce, caller=1)
    assert world.status(order) == (WAD // 4, Status.CANCELLED)
    second = world.order(nonce=1)
    world.fill(second, WAD // 4)
    world.cancel_all(second.account, 2, caller=1)
    assert world.status(second) == (WAD // 4, Status.CANCELLED)


def test_two_orders_with_one_nonce(world: OrderWorld) -> None:
    """Both may be partly filled; filling one completely kills the other."""
    first, second = world.order(), world.order(limit_price=2001 * WAD)
    world.fill(first, WAD // 3)
    world.fill(second, WAD // 5)
    assert world.status(first) == (WAD // 3, Status.PARTLY_FILLED)
    assert world.status(second) == (WAD // 5, Status.PARTLY_FILLED)
    world.fill(second)
    assert world.status(second) == (WAD, Status.FILLED)
    assert world.status(first) == (WAD // 3, Status.CANCELLED)
    with refused("NonceUsed"):
        world.fill(first)


@pytest.mark.optimised
def test_a_consecutive_order_writes_one_word(world: OrderWorld) -> None:
    """Gas of a whole fill: the account's head is the only storage the settlement touches."""
    order = world.order(nonce=1)
    world.fill(world.order(nonce=0))
    call = {
        "from": world.users[2].address,
        "to": world.settlement.address,
        "input": "0x"
        + world.settlement.fill.encode(
            as_tuple(order), world.sign(order), world.account(2), WAD
        ).hex(),
        "gas": hex(10**6),
    }
    trace = world.rpc.rpc("debug_traceCall", call, "latest", {"disableMemory": True})
    top = min(log["depth"] for log in trace["structLogs"])
    own = [log["op"] for log in trace["structLogs"] if log["depth"] == top]
    assert own.count("SSTORE") == 1
    assert own.count("SLOAD") == 1


# --- any sequence


@dataclass(frozen=True)
class Action:
    """One step of a random sequence; which fields count depends on `kind`."""

    kind: str
    user: int
    nonce: int
    base: int
    variant: int  # of the order: price, side, reduce-only
    honest: bool
    delay: int


near = st.sampled_from([0, 1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, MAX_NONCE])
actions = st.builds(
    Action,
    kind=st.sampled_from(["fill", "fill", "match", "liquidate", "cancel", "cancel_all"]),
    user=st.integers(1, 3),
    nonce=near,
    base=st.sampled_from([0, 1, WAD // 3, WAD // 2, WAD, 2 * WAD]),
    variant=st.integers(0, 7),
    honest=st.sampled_from([True] * 9 + [False]),
    delay=st.sampled_from([0, 12, 40]),
)


class Sequence:
    """Builds the steps of a sequence and what the twin says they do."""

    def __init__(self, world: OrderWorld) -> None:
        self.world = replace(
            world,
            twin=model.OrderSettlement(world.twin.liquidator),
            positions=defaultdict(int),
        )
        self.start = world.rpc.timestamp
        self.now = self.start
        self.steps: list[Step] = []
        self.expected: list[Any] = []

    def order(self, user: int, nonce: int, variant: int, is_buy: bool | None = None) -> Order:
        side = bool(variant & 1) if is_buy is None else is_buy
        expiry = self.start + 150 if variant & 4 else FOREVER
        price = (2000 if side else 1999) * WAD
        return self.world.order(
            user if user != 3 else 4,
            nonce=nonce,
            is_buy=side,
            reduce_only=bool(variant & 2),
            limit_price=price,
            expiry=expiry,
        )

    def add(self, action: Action) -> None:
        delay = max(1, action.delay) if not self.steps else action.delay
        self.now += delay
        order = self.order(action.user, action.nonce, action.variant)
        step, twin = getattr(self, action.kind)(action, order)
        self.steps.append(replace(step, delay=delay))
        try:
            self.expected.append(twin())
        except ModelError as error:
            self.expected.append(error)
        trade = self.expected[-1]
        if isinstance(trade, model.Fill):
            change = trade.base if trade.maker_is_buyer else -trade.base
            self.world.positions[trade.maker, trade.market] += change
            self.world.positions[trade.taker, trade.market] -= change
        for who in (order,):
            self.steps.append(self.world.settlement.orderStatus.step(as_tuple(who), delay=0))
            digest = order_hash(who, self.world.domain)
            self.expected.append(self.world.twin.order_status(who, digest, now=self.now))

    def signature(self, order: Order, honest: bool) -> bytes:
        return self.world.sign(order) if honest else self.world.sign(order, 6)

    def fill(self, action: Action, order: Order) -> Any:
        w, taker = self.world, self.world.account(2)
        step = w.settlement.fill.step(
            as_tuple(order),
            self.signature(order, action.honest),
            taker,
            action.base,
            sender=w.users[2],
        )
        caller = bytes.fromhex(w.users[2].address[2:])
        signed = w.signed(order, action.honest)
        return step, lambda: w.twin.fill(signed, taker, action.base, caller=caller, now=self.now)

    def liquidate(self, action: Action, order: Order) -> Any:
        w, account = self.world, self.world.account(6)
        call = w.settlement.fillLiquidation.encode(
            as_tuple(order), self.signature(order, action.honest), account, action.base
        )
        step = w.liquidator.callLocked.step(w.settlement.address, call, sender=w.users[0])
        signed = w.signed(order, action.honest)
        return step, lambda: w.twin.fill_liquidation(
            signed, account, action.base, caller=w.twin.liquidator, now=self.now
        )

    def match(self, action: Action, order: Order) -> Any:
        w = self.world
        other = self.order(action.user % 3 + 1, action.nonce, 0, is_buy=not order.is_buy)
        step = w.settlement.matchOrders.step(
            as_tuple(order),
            w.sign(order),
            as_tuple(other),
            self.signature(other, action.honest),
            action.base,
            sender=w.users[5],
        )
        maker, taker = w.signed(order), w.signed(other, action.honest)
        return step, lambda: w.twin.match_orders(maker, taker, action.base, now=self.now)

    def cancel(self, action: Action, order: Order) -> Any:
        w = self.world
        caller = owner_of(order.account) if action.honest else w.users[6].address
        step = w.settlement.cancel.step(order.account, order.nonce, sender=caller)
        sender = bytes.fromhex(caller[2:])
        return step, lambda: w.twin.cancel(order.account, order.nonce, caller=sender)

    def cancel_all(self, action: Action, order: Order) -> Any:
        w = self.world
        caller = owner_of(order.account) if action.honest else w.users[6].address
        step = w.settlement.cancelAll.step(order.account, order.nonce, sender=caller)
        sender = bytes.fromhex(caller[2:])
        return step, lambda: w.twin.cancel_all(order.account, order.nonce, caller=sender)

    def compare(self, outcomes: list[Outcome]) -> None:
        for outcome, expected in zip(outcomes, self.expected, strict=True):
            if isinstance(expected, ModelError):
                assert outcome.error is not None, expected
                same_error(outcome.error, expected)
                continue
            assert outcome.ok, (outcome.error, expected)
            if isinstance(expected, tuple):
                assert tuple(outcome.value) == expected
            elif isinstance(expected, model.Fill):
                events = outcome.find("OrderFilled")
                assert {event.base for event in events} == {expected.base}
                assert events[0].account == expected.maker


@given(sequence=st.lists(actions, min_size=1, max_size=25))
def test_any_sequence_does_what_the_twin_does(
    deployed_orders: OrderWorld, sequence: list[Action]
) -> None:
    run = Sequence(deployed_orders)
    for action in sequence:
        run.add(action)
    run.compare(deployed_orders.rpc.simulate(run.steps))
