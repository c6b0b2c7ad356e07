"""Several steps of one account in one block, on a real node with real contracts."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from test_keeper import Place, deployed, node, place, settle

from backstop.chain.clients import Trader
from backstop.chain.inventory import InventoryKeeper
from backstop.harness.anvil import private_key
from backstop.harness.rpc import NodeError
from backstop.keeper.keeper import Keeper

__all__ = ["deployed", "node", "place"]  # fixtures

D = Decimal
RICH = {"max_inventory": 1e9, "margin_reserve": 0.0}


@pytest.fixture
def large(place: Place) -> Iterator[Place]:
    """Alice is long 60 BTC, seven times the largest step, and below maintenance margin; blocks are
    mined by hand.
    """
    place.fund(place.alice, "450000")
    place.fund(place.bob, "2000000")
    place.bob.fill(place.alice.sign_order(0, True, D(60), D(60_000)))
    place.fund(Trader(place.system, private_key(3)), "2000000")
    place.move("54000")
    place.system.client.rpc("evm_setAutomine", False)
    yield place
    place.system.client.rpc("evm_setAutomine", True)


def steps(place: Place) -> list[tuple[Decimal, int]]:
    """Notional and block of every liquidation of Alice."""
    liquidator = place.system.liquidator
    logs = place.system.client.rpc(
        "eth_getLogs", {"address": liquidator.address, "fromBlock": "0x0", "toBlock": "latest"}
    )
    registry, found = place.system.client.registry, []
    for log in logs:
        event = registry.decode_log(log)
        if event.name == "Liquidated" and bytes(event.account) == place.alice.number:
            mark = Decimal(54_000)
            found.append((abs(D(event.size)) / 10**18 * mark, int(log["blockNumber"], 16)))
    return found


def look(place: Place, keeper: Keeper) -> None:
    """A look, and the block that takes what it sent."""
    keeper.look()
    place.system.client.mine()


def test_an_account_that_needs_many_steps_is_healthy_after_one_block(large):
    keeper = large.keeper(ways=RICH)
    assert large.health() < 0.6
    look(large, keeper)
    done = steps(large)
    assert len(done) >= 5, "a step takes 500,000 at most"
    assert len({block for _, block in done}) == 1
    assert all(notional <= 500_001 for notional, _ in done)
    assert large.health() >= 1
    settle(keeper)
    assert large.said.sent() == ["take-over"] * len(done), "and nothing is sent in vain"
    assert "was refused" not in str(large.said)
    told = [fields["step"] for _, fields in large.said if fields.get("event") == "sent"]
    assert told == list(range(1, len(done) + 1))


def test_with_one_step_a_block_it_takes_as_many_blocks(large):
    keeper = large.keeper(ways={**RICH, "steps": 1})
    look(large, keeper)
    assert len(steps(large)) == 1
    assert large.health() < 1
    look(large, keeper)
    assert len(steps(large)) == 2


def test_the_opposite_side_takes_many_steps_in_one_block_too(large):
    """Without margin of its own the keeper waits for the clock; the fund takes what fits first."""
    large.system.client.rpc("evm_setAutomine", True)
    InventoryKeeper(large.system, private_key(4)).deploy(0)
    keeper = large.keeper(5, ways={"take_over": False})
    settle(keeper)
    assert large.said.sent() == ["flag"]
    large.move("54000", 601)
    large.system.client.rpc("evm_setAutomine", False)
    look(large, keeper)
    sent = large.said.sent()[1:]
    assert sent[0] == "backstop"
    assert sent[1:] == ["deleverage"] * (len(sent) - 1)
    assert len(sent) >= 4
    assert len({block for _, block in steps(large)}) == 1
    assert large.health() >= 1
    assert large.system.backstop.inventory(0).size > 0


def test_what_it_may_hold_bounds_all_steps_together(large):
    keeper = large.keeper(ways={**RICH, "max_inventory": 1_200_000.0, "deleverage": False})
    look(large, keeper)
    held = Trader(large.system, private_key(3)).view().positions[0]
    assert D(1_100_000) < held.size * held.mark_price <= D(1_200_000)
    assert len(steps(large)) == 3
    assert "was refused" not in str(large.said)


def test_the_gas_budget_bounds_them(large):
    keeper = large.keeper(ways=RICH)
    keeper.sender.budget.per_hour = round(3.5 * 160_000 * keeper.config.gas.priority_fee)
    look(large, keeper)
    assert len(steps(large)) == 3, "there is no base fee here"
    assert "the gas budget of the hour is used up" in str(large.said)


def test_steps_on_the_way_survive_a_restart(large):
    first = large.keeper(ways=RICH)
    first.look()
    sent = large.nonce(tag="pending")
    first.close()
    second = large.keeper(ways=RICH)
    for _ in range(3):
        second.look()
    assert large.nonce(tag="pending") == sent, "nothing is sent again"
    large.system.client.mine()
    settle(second)
    assert large.nonce() == sent
    assert large.health() >= 1
    assert second.sender.pending == {}


def test_a_signal_while_it_sends_ends_it_after_the_step_at_hand(large):
    keeper, before = large.keeper(ways=RICH), large.nonce()
    real = keeper.system.client._post

    def post(body: bytes, method: str) -> Any:
        if b"eth_sendRawTransaction" in body:
            keeper.stop.set()
        return real(body, method)

    keeper.system.client._post = post  # type: ignore[method-assign]
    keeper.run()
    assert large.nonce(tag="pending") == before + 1
    assert "stopped; 1 transactions are under way and in the journal" in str(large.said)
    keeper.close()
    large.system.client.mine()
    again = large.keeper(ways=RICH)
    look(large, again)
    settle(again)
    assert large.health() >= 1


def test_positions_in_two_markets_are_reduced_in_one_block(place):
    """One position is not enough: all of the one, then some of the other."""
    place.fund(place.alice, "2470")
    place.fund(place.bob, "100000")
    for market, size, price in ((0, "0.2", 60_000), (1, "4", 3_000)):
        place.bob.fill(place.alice.sign_order(market, True, D(size), D(price)))
    system = place.system
    for _ in range(2):
        system.client.warp(120)
        for market, price in ((0, 54_600), (1, 2_730)):
            system.set_price(market, D(price), place.admin)
            system.engine.poke.send(market, sender=place.admin)
    assert 0 < place.health() < 0.5
    keeper = place.keeper(margin="50000", ways=RICH)
    system.client.rpc("evm_setAutomine", False)
    try:
        look(place, keeper)
    finally:
        system.client.rpc("evm_setAutomine", True)
    markets = [f["market"] for _, f in place.said if f.get("event") == "sent"]
    assert sorted(markets) == [0, 1]
    assert place.health() >= 1


@pytest.mark.parametrize(
    ("answer", "times"),
    [
        (b'{"error": {"code": -32601, "message": "Method not found"}}', 1),
        (b'{"error": {"code": -32000, "message": "busy"}}', 2),
    ],
)
def test_a_node_that_cannot_try_them_in_a_row_gets_one_step_a_block(large, answer, times):
    keeper, asked = large.keeper(ways=RICH), []
    real = keeper.system.client._post

    def post(body: bytes, method: str) -> Any:
        if b"eth_simulateV1" not in body:
            return real(body, method)
        if body.startswith(b"["):
            raise NodeError("no batches here")
        asked.append(method)
        return answer

    keeper.system.client._post = post  # type: ignore[method-assign]
    look(large, keeper)
    look(large, keeper)
    assert len(steps(large)) == 2
    assert len(asked) == times
    assert str(large.said).count("one step of an account a block") == 1
    assert "eth_simulateV1" in str(large.said)


def test_a_dry_run_says_every_step_and_sends_none(large):
    keeper = large.keeper(ways=RICH, dry_run=True)
    before = large.nonce(tag="pending")
    keeper.look()
    text = str(large.said)
    assert text.count("would send take-over") >= 5
    assert ", step 5" in text
    assert large.nonce(tag="pending") == before
