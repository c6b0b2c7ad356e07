"""SharedLock and Guarded: who may hold the lock, and who may look while it is held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from eth_utils import keccak

from backstop.harness.fund import created_address
from backstop.harness.rpc import Contract, Reverted, RpcClient

ZERO_ADDRESS = "0x" + "00" * 20
ACCOUNT = b"\x11" * 32


@dataclass
class World:
    lock: Contract
    engine: Contract  # guarded views
    first: Contract
    second: Contract
    stranger: Contract  # the same contract, but no member
    owner: Any

    def nested(self, *hops: Contract, target: Contract, data: bytes) -> bytes:
        """Calldata for the first hop: it takes the lock and calls the next, the last the target."""
        for hop in reversed(hops[1:]):
            data = hop.callFree.encode(target.address, data)
            target = hop
        return hops[0].callLocked.encode(target.address, data)


@pytest.fixture(scope="session")
def world(rpc: RpcClient, deploy: Callable[..., Contract], owner: Any) -> World:
    nonce = int(rpc.rpc("eth_getTransactionCount", owner.address, "latest"), 16)
    members = [created_address(owner.address, nonce + place) for place in (1, 2, 3)]
    lock = deploy("SharedLock", [*members, ZERO_ADDRESS, ZERO_ADDRESS])
    engine = deploy("MockEngineForOrders", lock.address)
    first = deploy("MockLockMember", lock.address)
    second = deploy("MockLockMember", lock.address)
    assert [engine.address, first.address, second.address] == members
    return World(lock, engine, first, second, deploy("MockLockMember", lock.address), owner)


def run(world: World, *hops: Contract, target: Contract, data: bytes) -> Any:
    call = world.nested(*hops, target=target, data=data)
    return world.lock.client.send(hops[0].address, call, sender=world.owner)


def refused(world: World, *hops: Contract, target: Contract, data: bytes) -> Reverted:
    with pytest.raises(Reverted) as caught:
        run(world, *hops, target=target, data=data)
    return caught.value


def test_members_are_those_of_the_constructor(world: World) -> None:
    for member in (world.engine, world.first, world.second):
        assert world.lock.isMember(member.address)
    for other in (world.stranger.address, world.owner.address, ZERO_ADDRESS):
        assert not world.lock.isMember(other)


def test_it_is_free_again_after_every_call(world: World) -> None:
    assert world.lock.holder() == ZERO_ADDRESS
    for _ in range(2):
        run(world, world.first, target=world.lock, data=world.lock.holder.encode())
        assert world.lock.holder() == ZERO_ADDRESS


def test_the_holder_is_visible_while_it_is_held(world: World) -> None:
    call = world.nested(world.first, target=world.lock, data=world.lock.holder.encode())
    raw = world.lock.client.call(world.first.address, call, sender=world.owner)
    assert world.lock.holder.decode(world.first.callLocked.decode(raw)) == world.first.address


def test_a_stranger_cannot_take_it(world: World) -> None:
    error = refused(world, world.stranger, target=world.lock, data=world.lock.holder.encode())
    assert (error.name, error.arguments) == ("NotMember", {"caller": world.stranger.address})
    with pytest.raises(Reverted, match="NotMember"):
        world.lock.acquire(sender=world.owner)


@pytest.mark.parametrize("inner", ["first", "second", "stranger"])
def test_nobody_can_take_it_twice(world: World, inner: str) -> None:
    again: Contract = getattr(world, inner)
    data = again.callLocked.encode(world.lock.address, world.lock.holder.encode())
    error = refused(world, world.first, target=again, data=data)
    assert (error.name, error.arguments) == ("Locked", {"holder": world.first.address})


def test_only_the_holder_gives_it_back(world: World) -> None:
    with pytest.raises(Reverted) as caught:
        world.lock.release(sender=world.owner)
    nobody = {"caller": world.owner.address, "holder": ZERO_ADDRESS}
    assert (caught.value.name, caught.value.arguments) == ("NotHolder", nobody)
    data = world.second.callFree.encode(world.lock.address, world.lock.release.encode())
    error = refused(world, world.first, target=world.second, data=data)
    held = {"caller": world.second.address, "holder": world.first.address}
    assert (error.name, error.arguments) == ("NotHolder", held)


def test_giving_it_back_early_is_noticed_at_the_end(world: World) -> None:
    error = refused(world, world.first, target=world.lock, data=world.lock.release.encode())
    nobody = {"caller": world.first.address, "holder": ZERO_ADDRESS}
    assert (error.name, error.arguments) == ("NotHolder", nobody)


def test_a_failed_call_does_not_keep_it(world: World, deploy: Callable[..., Contract]) -> None:
    # the inner call takes the lock and fails; the outer one survives it
    feed = deploy("MockFeed", 8, 1)
    feed.setMode(1, sender=world.owner)
    world.engine.setCall(
        world.first.address,
        world.first.callLocked.encode(feed.address, feed.latestRoundData.encode()),
        sender=world.owner,
    )
    nothing = (0, True, False, ACCOUNT, ACCOUNT, 0, 0)
    inner = world.engine.settleFill.encode(nothing)
    world.stranger.callFree(world.engine.address, inner, sender=world.owner)
    assert world.engine.callSucceeded() is False
    assert world.engine.callResult() == keccak(text="Broken()")[:4]
    assert world.lock.holder() == ZERO_ADDRESS


def test_views_answer_when_it_is_free_and_inside_the_machine(world: World) -> None:
    view = world.engine.positionSize.encode(ACCOUNT, 0)
    assert world.engine.positionSize(ACCOUNT, 0) == 0
    run(world, world.first, target=world.engine, data=view)
    run(world, world.first, world.second, target=world.engine, data=view)


def test_views_refuse_to_answer_strangers_while_it_is_held(world: World) -> None:
    view = world.engine.positionSize.encode(ACCOUNT, 0)
    error = refused(world, world.first, world.stranger, target=world.engine, data=view)
    assert (error.name, error.arguments) == ("Locked", {"holder": world.first.address})


def test_a_contract_cannot_be_built_on_a_lock_that_does_not_exist(
    world: World, deploy: Callable[..., Contract]
) -> None:
    with pytest.raises(Reverted) as caught:
        deploy("MockLockMember", world.owner.address)
    assert (caught.value.name, caught.value.arguments) == (
        "NotALock",
        {"lock": world.owner.address},
    )
