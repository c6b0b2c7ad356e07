"""The fast client against a real node."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from typing import Any

import pytest
from eth_utils import keccak

from backstop.chain.artifacts import ROOT
from backstop.harness.rpc import (
    Contract,
    NoData,
    NodeError,
    Reverted,
    RpcClient,
    RpcError,
    Step,
    expect_revert,
)

MARKET = b"ETH-USD".ljust(32, b"\0")


@dataclasses.dataclass
class Leg:
    size: int
    price: int


@dataclasses.dataclass
class Order:
    maker: object
    market_id: bytes
    kind: int
    legs: list[Leg]
    window: tuple[int, int]
    memo: bytes = b""


@pytest.fixture(scope="module")
def mock(deploy, alice):
    return deploy("MockAbi", 100)


def order(maker, *sizes):
    return Order(maker, MARKET, 1, [Leg(size, 2000) for size in sizes], (1, 2), b"memo")


def test_structs_from_dataclasses_and_back(mock, alice):
    answer = mock.echo(order(alice, 5, -7))
    assert answer.maker == alice.address
    assert answer.marketId == MARKET
    assert answer.legs == ((5, 2000), (-7, 2000))
    assert answer.legs[1].size == -7
    assert answer.window == (1, 2)
    assert answer.memo == b"memo"
    assert answer == mock.echo(answer), "what comes out goes in"


def test_structs_from_mappings_and_tuples(mock, alice):
    as_mapping = {
        "maker": alice.address,
        "marketId": "0x" + MARKET.hex(),
        "kind": 1,
        "legs": [{"price": 2000, "size": 5}, (-7, 2000)],
        "window": [1, 2],
        "memo": "0x6d656d6f",
    }
    expected = mock.echo(order(alice, 5, -7))
    assert mock.echo(as_mapping) == expected
    assert mock.echo(OrderedDict(as_mapping)) == expected
    as_tuple = (alice, MARKET, 1, [(5, 2000), (-7, 2000)], (1, 2), b"memo")
    assert mock.echo(as_tuple) == expected


def test_arrays_of_structs_and_named_outputs(mock, alice, bob):
    answer = mock.echoAll([order(alice, 1), order(bob)])
    assert answer.length == 2
    assert [item.maker for item in answer.list] == [alice.address, bob.address]
    assert mock.echoAll([]) == ((), 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"maker": "alice"}, "order.maker: not an address"),
        ({"market_id": b"ETH"}, "order.marketId: bytes32 expected, got 3 bytes"),
        ({"kind": True}, "order.kind: uint8 expected, got True"),
        ({"kind": 1.0}, "order.kind: uint8 expected, got 1.0"),
        ({"kind": 256}, "256"),
        ({"legs": [Leg(1, -1)]}, "-1"),
        ({"legs": [{"size": 1}]}, r"order.legs\[0\]: member price is missing"),
        ({"legs": [{"size": 1, "price": 2, "prise": 3}]}, "no such member: prise"),
        ({"legs": 5}, "order.legs: an array takes a sequence"),
        ({"window": (1, 2, 3)}, "order.window: 2 items, got 3"),
        ({"memo": "text"}, "order.memo: bytes or 0x-string expected"),
    ],
)
def test_wrong_arguments_are_named(mock, alice, change, message):
    with pytest.raises((TypeError, ValueError), match=message):
        mock.echo(dataclasses.replace(order(alice, 1), **change))


def test_wrong_number_of_arguments(mock):
    with pytest.raises(TypeError, match="nothing takes 0 arguments, got 1"):
        mock.nothing(1)
    with pytest.raises(AttributeError, match="has no nowhere"):
        mock.nowhere()


def test_transaction_returns_receipt_with_events(mock, alice, bob):
    receipt = mock.place(order(bob, 5, -7), "hello", sender=alice)
    placed = receipt.one("Placed")
    assert placed.maker == placed["maker"] == bob.address
    assert placed.marketId == MARKET
    assert placed.label == keccak(text="hello"), "an indexed string is kept as its hash"
    assert placed.legs[1].size == -7
    assert placed["from"] is True
    assert placed.address == mock.address
    assert receipt.sender == alice.address
    assert receipt.to == mock.address
    assert receipt.gas_used > 21_000
    assert receipt.find("Placed", mock) == [placed]
    assert receipt.find("Placed", alice) == []
    with pytest.raises(LookupError, match="0 events Counted; events: Placed"):
        receipt.one("Counted")
    with pytest.raises(AttributeError, match="Placed has no parameter amount"):
        _ = placed.amount


def test_unknown_event_is_kept(mock, alice, rpc):
    receipt = RpcClient(rpc.url).send(mock.address, mock.nothing.encode(), alice)
    assert receipt.events == ()
    receipt = RpcClient(rpc.url).send(mock.address, mock["add(uint256)"].encode(1), alice)
    assert receipt.events[0].name == "0x" + keccak(text="Counted(uint256)").hex()


def test_overloads(mock, alice, bob):
    mock.add(1, sender=alice)
    mock.add(2, 3, sender=alice)
    assert mock.count() == 107
    assert mock.pick(5) == "uint256"
    assert mock.pick(b"ab") == "bytes"
    assert mock.pick(bob) == "address"
    with pytest.raises(TypeError, match="more than one fits"):
        mock.pick(bob.address)  # a 0x-string is an address, and twenty bytes
    assert mock["pick(address)"](bob.address) == "address"
    with pytest.raises(TypeError, match="none fits"):
        mock.pick(1.5)


@pytest.mark.parametrize("again", [1, 2])
def test_no_test_sees_what_another_did(mock, alice, again):
    assert mock.count() == 100
    mock.add(again, sender=alice)
    assert mock.count() == 100 + again


def test_value_and_mappings(mock, alice, rpc):
    before = rpc.balance(mock)
    mock["add(uint256)"](0, sender=alice, value=7)
    assert mock.values(alice) == 7
    assert rpc.balance(mock) == before + 7


def test_custom_error_of_a_call_and_of_a_transaction(mock, alice, bob):
    with expect_revert("TooSmall", maker=bob.address, size=0, minimum=1) as expected:
        mock.place.call(order(bob, 0), "x", sender=alice)
    assert str(expected.error) == f"TooSmall(maker={bob.address!r}, size=0, minimum=1)"
    with expect_revert("TooSmall", maker=bob.address):
        mock.place(order(bob, 0), "x", sender=alice)


@pytest.mark.parametrize(
    ("how", "name", "arguments"),
    [
        (0, "Plain", {}),
        (1, "Error", {"message": "a reason"}),
        (2, "Panic", {"code": 1, "meaning": "assertion failed"}),
        (3, "", {}),
        (5, "Panic", {"code": 0x12, "meaning": "division by zero"}),
        (6, "0xdeadbeef", {}),
    ],
)
def test_every_kind_of_revert(mock, alice, how, name, arguments):
    with expect_revert(name, **arguments):
        mock.fail(how)
    with expect_revert(name, **arguments):
        mock.fail(how, sender=alice)
    (outcome,) = mock.client.simulate([mock.fail.step(how)])
    assert (outcome.error.name, outcome.error.arguments) == (name, arguments)


def test_halt_is_not_a_plain_revert(mock, alice):
    with expect_revert("Halted") as expected:
        mock.fail(4)
    assert "InvalidFEOpcode" in expected.error.arguments["reason"]
    with expect_revert("Halted"):
        mock.fail(4, sender=alice)
    with expect_revert("Halted") as expected:
        mock.add(1, sender=alice, gas=22_000)
    assert "gas" in expected.error.arguments["reason"].lower()


def test_reason_of_a_failure_that_depends_on_the_time(mock, alice, rpc):
    """The block before has another time, so only a trace tells what the transaction saw."""
    now = rpc.timestamp
    rpc.set_next_timestamp(now + 500)
    with expect_revert("TooSmall", minimum=now + 500):
        mock.onlyAt(now, sender=alice)


def test_expect_revert_complains(mock, alice):
    with (
        pytest.raises(AssertionError, match="expected Plain, and nothing reverted"),
        expect_revert("Plain"),
    ):
        mock.nothing()
    with pytest.raises(AssertionError, match="expected Other, got Plain"), expect_revert("Other"):
        mock.fail(0)
    with (
        pytest.raises(AssertionError, match="expected message='no'"),
        expect_revert("Error", message="no"),
    ):
        mock.fail(1)


def test_missing_contract_raises(mock, rpc, bob):
    """Ape would read 0 here, and every check on it would pass."""
    with pytest.raises(NoData, match="there is no contract"):
        Contract(rpc, bob, mock.abi)
    nowhere = Contract(rpc, bob, mock.abi, check=False)
    with pytest.raises(NoData, match=r"count\(\) returned no data"):
        nowhere.count()
    with pytest.raises(NoData):
        nowhere.whoami()
    with pytest.raises(NoData):
        rpc.simulate([mock.nothing.step()], {"count": nowhere.count.step()})


def test_view_sees_sender_and_time(mock, alice, rpc):
    now = rpc.timestamp
    assert mock.whoami.call(sender=alice) == (alice.address, now)
    assert mock.whoami(at=now + 1000).time == now + 1000


def test_clock(mock, alice, rpc):
    now = rpc.timestamp
    assert rpc.warp(100) == now + 100 == rpc.timestamp
    rpc.set_next_timestamp(now + 500)
    mock.onlyAt(now + 500, sender=alice)
    mock.nothing(sender=alice)
    assert rpc.timestamp == now + 512, "the chain goes on from there"
    number = rpc.block_number
    rpc.mine(3)
    assert rpc.block_number == number + 3


def test_snapshots(mock, alice, rpc):
    before = rpc.snapshot()
    mock.add(1, sender=alice)
    rpc.revert(before)
    assert mock.count() == 100
    with pytest.raises(ValueError, match="no snapshot"):
        rpc.revert(before)
    with rpc.isolated():
        mock.add(5, sender=alice)
    assert mock.count() == 100


def test_simulate_keeps_state_time_and_failures(mock, alice, bob, rpc):
    now, number = rpc.timestamp, rpc.block_number
    steps = [
        mock.add.step(1, sender=alice, value=3),
        mock.add.step(2, 10, sender=bob, delay=100),
        mock.place.step(order(bob, 0), "x", sender=bob),
        mock.whoami.step(sender=bob, delay=0),
        mock.place.step(order(alice, 4), "y", sender=bob),
    ]
    probes = {"count": mock.count.step(), "alice": mock.values.step(alice)}
    first, second, failed, who, placed = rpc.simulate(steps, probes)
    assert (first.ok, first.value, first.probes) == (True, 101, {"count": 101, "alice": 3})
    assert first.one("Counted").value == 101
    assert (second.value, second.timestamp) == (121, now + 12 + 100)
    assert not failed.ok
    assert failed.error.name == "TooSmall"
    assert failed.probes["count"] == 121
    assert failed.events == ()
    assert who.value == (bob.address, now + 124), "no delay: the same block as the step before"
    assert who.timestamp == failed.timestamp
    assert placed.one("Placed").maker == alice.address
    assert (mock.count(), rpc.timestamp, rpc.block_number) == (100, now, number), "nothing stays"


def test_simulate_raw_steps_and_limits(mock, rpc):
    assert rpc.simulate([]) == []
    (outcome,) = rpc.simulate([Step(mock.address, mock.count.encode())])
    assert outcome.value == (100).to_bytes(32, "big")
    with pytest.raises(ValueError, match="time does not run backwards"):
        rpc.simulate([mock.count.step(delay=-1)])
    with expect_revert("Plain") as expected:
        rpc.simulate([mock.count.step()], {"broken": mock.fail.step(0)})
    assert "broken" in expected.error.__notes__[0]


def test_many_steps_exceed_no_block_limit(mock, alice, rpc):
    steps = [mock.add.step(1, sender=alice, delay=0) for _ in range(300)]
    outcomes = rpc.simulate(steps, {"count": mock.count.step()})
    assert outcomes[-1].probes["count"] == 400


def test_send_without_the_sync_method(mock, alice, rpc, monkeypatch):
    """Other nodes know only eth_sendTransaction."""
    client = RpcClient(rpc.url)
    plain = client.rpc

    def without_sync(method, *params):
        if method == "eth_sendTransactionSync":
            raise RpcError(-32601, "Method not found")
        return plain(method, *params)

    monkeypatch.setattr(client, "rpc", without_sync)
    same = Contract(client, mock.address, mock.abi)
    assert same.add(1, sender=alice).one("Counted").value == 101
    assert not client._has_sync_send
    with expect_revert("Plain"):
        same.fail(0, sender=alice)


def test_deploy(deploy, alice, rpc, project):
    token = deploy("MockToken", "USD Coin", "USDC", 6)
    assert (token.name(), token.symbol(), token.decimals()) == ("USD Coin", "USDC", 6)
    token.mint(alice, 10, sender=alice)
    assert token.balanceOf(alice) == token.totalSupply() == 10
    with expect_revert("ERC20InsufficientBalance", balance=10, needed=11):
        token.burn(alice, 11, sender=alice)
    with expect_revert("ERC20InvalidReceiver"):
        token.transfer("0x" + "00" * 20, 1, sender=alice)
    paid = deploy("MockAbi", 5, value=9)
    assert rpc.balance(paid) == 9
    with pytest.raises(TypeError, match="MockToken takes 3 arguments, got 0"):
        deploy("MockToken")
    with pytest.raises(ValueError, match="no creation code"):
        rpc.deploy({"abi": [], "deploymentBytecode": {"bytecode": "0x"}}, sender=alice)


def test_bind_to_instance_of_ape(bind, project, owner, alice):
    instance = owner.deploy(project.MockToken, "Ether", "WETH", 18)
    token = bind(instance)
    token.mint(alice, 7, sender=alice)
    assert instance.balanceOf(alice) == 7


def test_gas_estimate(mock, alice):
    assert 21_000 < mock["add(uint256)"].gas(1, sender=alice) < 100_000
    with expect_revert("Plain"):
        mock.fail.gas(0, sender=alice)


def test_errors_of_the_node(rpc, mock):
    with pytest.raises(RpcError, match="Method not found") as caught:
        rpc.rpc("eth_nonsense")
    assert caught.value.code == -32601
    with pytest.raises(NodeError, match="no node at"):
        RpcClient("http://127.0.0.1:1").rpc("eth_chainId")
    with pytest.raises(ValueError, match="http://host:port expected"):
        RpcClient("https://example.org")
    with pytest.raises(TypeError, match="needs a sender"):
        rpc.send(mock, b"")


def test_client_survives_closing(rpc):
    client = RpcClient(rpc.url.removeprefix("http://"))
    assert client.chain_id == 31337
    client.close()
    assert client.chain_id == 31337


def test_reverted_travels_between_processes():
    import pickle

    error = pickle.loads(pickle.dumps(Reverted("TooSmall", {"size": 1}, b"\1\2\3\4")))
    assert (error.name, error.arguments, error.data) == ("TooSmall", {"size": 1}, b"\1\2\3\4")


def test_going_back_waits_for_the_pool(rpc: RpcClient, accounts: Any) -> None:
    """A transaction left in the pool would take the next one's nonce, and neither is mined."""
    sender, real, polls = accounts[3].address, rpc.rpc, []

    def slow(method: str, *params: Any) -> Any:
        if method == "txpool_status":
            polls.append(real("eth_blockNumber"))
            if len(polls) == 3:
                real("anvil_mine")
        assert method != "evm_revert" or len(polls) == 3
        return real(method, *params)

    start = rpc.block_number
    snapshot = rpc.snapshot()
    rpc.rpc("anvil_setAutomine", False)
    rpc.rpc("eth_sendTransaction", {"from": sender, "to": sender, "gas": hex(21_000)})
    rpc.rpc = slow  # type: ignore[method-assign]
    try:
        rpc.revert(snapshot)
    finally:
        del rpc.rpc
        rpc.rpc("anvil_setAutomine", True)
    assert rpc.block_number == start
    assert int(rpc.rpc("txpool_status")["pending"], 16) == 0
    assert rpc.send(sender, sender=sender).block == start + 1


def test_nobody_goes_back_but_through_the_client() -> None:
    """A raw `evm_revert` does not wait for the pool: now and then the next transaction is lost."""
    sources = [path for part in ("backstop", "tests") for path in (ROOT / part).rglob("*.py")]
    raw = [path for path in sources if 'rpc("evm_' + 'revert"' in path.read_text()]
    assert raw == [ROOT / "backstop" / "harness" / "rpc.py"]


def test_views_through_a_reader_show_the_same(mock, rpc, deploy, alice):
    """A ViewProbe hands out what has changed; the rest is what it was, as the same object."""
    probes = {"count": mock.count.step(), "raw": Step(mock.address, mock.count.encode())}
    steps = [mock.add.step(7, sender=alice.address), mock.fail.step(0), mock.add.step(1)]
    reader = deploy("ViewProbe")
    plain = rpc.simulate(steps, probes)
    seen = rpc.simulate(steps, probes, reader)
    assert [one.probes for one in seen] == [one.probes for one in plain]
    assert [one.timestamp for one in seen] == [one.timestamp for one in plain]
    assert [one.ok for one in seen] == [True, False, True]
    assert seen[1].probes["raw"] is seen[0].probes["raw"] != seen[2].probes["raw"]
    steps[0] = mock.add.step(7, sender=alice.address, look=False)
    for way in (None, reader):
        first, *others = rpc.simulate(steps, probes, way)
        assert first.probes == {}
        assert [one.probes for one in others] == [one.probes for one in plain[1:]]
    with pytest.raises(Reverted) as caught:
        rpc.simulate(steps, {**probes, "broken": mock.fail.step(0)}, reader)
    assert caught.value.__notes__ == ["while reading the probe broken"]
    with pytest.raises(RpcError, match="is it a ViewProbe"):
        rpc.simulate(steps, probes, Contract(rpc, mock.address, reader.abi))
