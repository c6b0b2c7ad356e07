"""The backstop's inventory through the typed client, and what the fund's views show of it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from backstop.chain.errors import Words, explain
from backstop.chain.inventory import InventoryKeeper
from backstop.chain.views import FundView, Reader
from backstop.harness.abi import Reverted

D = Decimal


@pytest.fixture
def keeper(market) -> InventoryKeeper:
    return InventoryKeeper(market.system, market.keeper.signer, 0)


def test_a_position_goes_through_the_backstop(market, keeper):
    system, alice = market.system, market.alice
    (before,) = FundView(system).sheet().inventories
    assert (before.name, before.deployed, before.capital_cap) == ("BTC", 0, 10_000)
    assert keeper.deploy(0, D(6_000)).assets == 6_000
    assert keeper.deploy(0).assets == 4_000
    sheet = FundView(system).sheet()
    assert sheet.inventories[0].deployed == 10_000
    assert sheet.compartments[0].assets == 10_000, "20,000 less what is out"
    market.open()
    market.keepers_account.deposit(D(100_000))
    market.move("56000")
    keeper.flag(alice.number)
    market.move("56000", seconds=300)
    result = keeper.to_backstop(alice.number, 0)
    assert (result.way, result.market) == ("backstop", 0)
    assert result.price == pytest.approx(D(56_000) * D("0.99"))
    held = Reader(system).inventories()[0]
    assert held.size == result.size and held.lost == 0
    assert held.price == pytest.approx(D(56_000) * D("1.005"))
    bought = keeper.buy(0, limit_price=D(57_000))
    assert bought.size == result.size and bought.price < held.price
    assert market.keepers_account.view().positions[0].size == result.size
    after = Reader(system).inventories()[0]
    assert after.size == 0 and after.equity > 10_000


def test_refusals_are_sentences(market, keeper):
    words = Words.of(market.system)

    def why(action):
        with pytest.raises(Reverted) as caught:
            action()
        return explain(caught.value, words)

    assert "nothing can be deployed in ETH" in why(lambda: keeper.deploy(1))
    assert "nothing can be released from BTC" in why(lambda: keeper.release(0))
    assert "the backstop has no position in BTC" in why(lambda: keeper.buy(0))
    assert "the backstop has no position in BTC" in why(lambda: keeper.unwind(0))


def test_all_is_withdrawn_although_a_part_of_the_profit_gets_locked(market):
    """Bob's whole position was torn up with a profit: `withdrawable` leaves out what the withdrawal
    itself will lock of it.
    """
    engine, bob = market.system.engine, market.bob
    market.open("10", "66000")
    market.move("52000", seconds=600)
    market.keeper.close_out(market.alice.number)
    assert engine.positionSize(bob.number, 0) == 0, "his side ended"
    shown = engine.withdrawable(bob.number)
    moved = bob.withdraw()
    assert 0 < moved.amount == D(shown) / 10**6
    view = bob.view()
    assert view.locked_profit > 0
    assert view.withdrawable < view.locked_profit / 100, "all but what time has unlocked since"
