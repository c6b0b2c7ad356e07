"""The keeper and the fund's own inventory, and fair windows, on a real node with real contracts."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from test_keeper import Place, carry_out, deployed, node, offers, place, settle

from backstop.chain.artifacts import ROOT
from backstop.chain.config import Parameters
from backstop.chain.deploy import RpcDeployer, deploy
from backstop.chain.inventory import InventoryKeeper
from backstop.chain.upkeep import Caretaker
from backstop.harness.anvil import Anvil, private_key
from backstop.keeper.desk import OFFERED

__all__ = ["deployed", "node", "place"]  # fixtures

D = Decimal


@pytest.fixture
def stocked(place: Place) -> Place:
    """The fund's collateral is in its account in BTC, and Alice is below maintenance margin."""
    InventoryKeeper(place.system, private_key(4)).deploy(0)
    place.open()
    place.move("56000")
    return place


def tighten(place: Place, **fields: int) -> None:
    """The guardian lowers caps: whole tokens."""
    caps = place.system.backstop.terms(0)[0]._asdict()
    caps.update({name: value * 10**6 for name, value in fields.items()})
    place.system.backstop.tightenCaps.send(0, tuple(caps.values()), sender=place.admin)


def held(place: Place) -> int:
    return int(place.system.backstop.inventory(0).size)


def flag(place: Place) -> None:
    place.system.liquidator.flag.send(place.alice.number, sender=place.admin)


# --- positions nobody takes


def test_what_nobody_takes_goes_to_the_fund_before_the_opposite_side(stocked):
    keeper = stocked.keeper()
    settle(keeper)
    assert stocked.said.sent() == ["flag"], "the discount has its time first"
    stocked.move("56000", 301)
    settle(keeper, 4)
    assert stocked.said.sent() == ["flag", "backstop"], "and nobody is deleveraged"
    assert stocked.health() >= 1
    assert held(stocked) > 0
    assert stocked.system.engine.collateral(keeper.account) > 0, "paid for the work"


def test_without_capital_or_with_the_way_switched_off_it_is_the_opposite_side(place):
    place.open()
    place.move("56000")
    keeper = place.keeper()
    settle(keeper)
    place.move("56000", 301)
    settle(keeper)
    assert place.said.sent() == ["flag"], "nothing is in the fund's account"
    InventoryKeeper(place.system, private_key(4)).deploy(0)
    unwilling = place.keeper(5, ways={"backstop": False})
    settle(unwilling)
    assert place.said.sent() == ["flag"]
    place.move("56000", 301)
    settle(unwilling, 3)
    assert place.said.sent() == ["flag", "deleverage"]


def test_the_offer_is_what_the_backstop_takes(stocked):
    """To the wei: base, price, reward; also where caps cut it and the rest is torn up."""
    keeper, system = stocked.keeper(), stocked.system
    flag(stocked)
    assert "backstop" not in offers(keeper, stocked.alice.number)
    stocked.move("56000", 301)
    mark = float(stocked.alice.market(0).mark_price)
    with system.client.isolated():
        offer = offers(keeper, stocked.alice.number)["backstop"]
        event = carry_out(keeper, offer)
        assert event.size == held(stocked)
        assert offer.notional == pytest.approx(event.size * mark / 1e18, rel=1e-12)
        assert offer.profit == pytest.approx(event.reward / 1e18, rel=1e-9)
        assert event.price == pytest.approx(mark * 0.99 * 1e18, rel=1e-12)
    tighten(stocked, notional=1_000)
    with system.client.isolated():
        offer = offers(keeper, stocked.alice.number)["backstop"]
        event = carry_out(keeper, offer)
        assert event.size == held(stocked)
        assert 999 < offer.notional <= 1_000
        assert offer.notional == pytest.approx(event.size * mark / 1e18, rel=1e-12)
    stocked.move("56000", 301)
    offer = offers(keeper, stocked.alice.number)["backstop"]
    event = carry_out(keeper, offer)
    assert offer.notional == pytest.approx(event.size * mark / 1e18, rel=1e-12)
    assert 0 < held(stocked) < event.size, "what does not fit is torn up"


@pytest.mark.parametrize("caps", [{"loss": 0}, {"notional": 0}, {"notional": 20}])
def test_a_backstop_that_would_take_nothing_is_not_asked(stocked, caps):
    """20 tokens are less than the smallest position: neither part may be dust."""
    keeper = stocked.keeper()
    flag(stocked)
    tighten(stocked, **caps)
    stocked.move("56000", 601)
    found = offers(keeper, stocked.alice.number)
    assert "backstop" not in found
    assert "deleverage" in found


def test_the_fund_takes_the_positions_of_a_bankrupt_account(stocked):
    keeper = stocked.keeper()
    stocked.move("50000", 600)
    settle(keeper)
    assert stocked.said.sent() == ["backstop close-out"]
    assert stocked.alice.view().positions == ()
    assert held(stocked) == 150_000_000_000_000_000


def test_a_bankrupt_account_that_does_not_fit_is_closed_out_all_the_same(stocked):
    keeper = stocked.keeper()
    tighten(stocked, notional=0)
    stocked.move("50000", 600)
    settle(keeper)
    assert stocked.said.sent() == ["close-out"]
    assert held(stocked) == 0


# --- what the fund holds


@pytest.fixture
def selling(stocked: Place) -> Place:
    """The fund holds what Alice had."""
    flag(stocked)
    stocked.move("56000", 301)
    InventoryKeeper(stocked.system, private_key(4)).to_backstop(stocked.alice.number, 0)
    assert held(stocked) > 0
    return stocked


def test_inventory_is_bought_once_its_auction_pays(selling):
    size = held(selling)
    keeper = selling.keeper(margin="50000")
    settle(keeper)
    assert selling.said.sent() == [], "the auction starts above the mark"
    selling.move("56000", 360)
    settle(keeper)
    assert selling.said.sent() == [], "about the mark by now: exit_cost is not earned"
    selling.move("56000", 240)
    account = selling.system.backstop.accountOf(0)
    with selling.system.client.isolated():
        offer = offers(keeper, account, OFFERED)["buy"]
        event = carry_out(keeper, offer, "InventorySold")
        assert event.size == size
        expected = (56_000 - event.price / 1e18 - 56) * size / 1e18
        assert offer.profit == pytest.approx(expected, rel=1e-3), "the price falls every second"
        assert event.price <= offer.arguments[3]
    settle(keeper)
    assert selling.said.sent() == ["buy"]
    assert held(selling) == 0
    other = selling.keeper(5, margin="50000", ways={"auction": False})
    settle(other)
    assert selling.said.sent() == ["buy"]


def test_exhausted_inventory_is_torn_up_for_the_reward(selling):
    keeper = selling.keeper()
    settle(keeper)
    assert selling.said.sent() == []
    tighten(selling, loss=100)
    inventory = selling.system.backstop.inventory(0)
    assert inventory.room < inventory.maintenanceMargin
    account = selling.system.backstop.accountOf(0)
    with selling.system.client.isolated():
        offer = offers(keeper, account, OFFERED)["unwind"]
        event = carry_out(keeper, offer, "InventoryUnwound")
        assert offer.profit == pytest.approx(event.reward / 1e18, rel=1e-9)
    settle(keeper)
    assert selling.said.sent() == ["unwind"]
    assert held(selling) == 0


def test_inventory_without_a_cushion_is_torn_up_though_nothing_is_earned(selling):
    """The guardian's emergency stop: the reward comes out of a cushion that is gone."""
    tighten(selling, loss=0)
    gas = {"coin_price": 10.0**6, "expected_fee": 0}
    keeper = selling.keeper(gas=gas, profit={"smallest_notional": 1e12})
    assert selling.system.backstop.inventory(0).room == 0
    settle(keeper)
    assert selling.said.sent() == ["unwind"]
    assert held(selling) == 0


# --- fair windows


@pytest.fixture
def windows(node: Anvil, project: Any, tmp_path: Path) -> Iterator[Place]:
    """A system in which large claims wait a quarter of an hour, and one that does."""
    text = (ROOT / "parameters" / "local.yaml").read_text()
    changed = text.replace("  # fair_window: 15m", "  fair_window: 15m")
    assert changed != text
    with node.client.isolated():
        deployer = RpcDeployer(node.client, node.accounts[0], project.get_contract)
        made = Place(deploy(Parameters.parse(changed), deployer), node, tmp_path)
        made.fund(made.alice, "200000")
        made.fund(made.bob, "1000000")
        made.bob.fill(made.alice.sign_order(0, True, D(30), D(60_000)))
        made.move("40000", 1200)
        yield made
        for keeper in made.opened:
            keeper.close()
            keeper.system.client.close()


def closed(place: Place) -> int:
    """Number of the last fair window, 0 while one is open."""
    window = place.system.engine.fairWindow()
    return 0 if window.closesAt else int(window.id)


def test_a_fair_window_is_closed_once_it_is_over(windows):
    keeper = windows.keeper(upkeep={"collect": False})
    settle(keeper, 3)
    assert windows.said.sent() == ["close-out"]
    assert closed(windows) == 0, "the claim waits"
    assert windows.system.engine.openDeficit(0) > 0
    windows.move("40000", 800)
    settle(keeper, 2)
    assert windows.said.sent() == ["close-out"], "too early for the next block"
    windows.move("40000", 60)
    settle(keeper, 3)
    assert windows.said.sent() == ["close-out", "close window"]
    assert closed(windows) == 1
    assert "close window (nonce" in str(windows.said) and "is mined in block" in str(windows.said)
    rate = windows.system.engine.windowRate(1, 0)
    assert 0 < rate.paid < rate.claims
    settle(keeper, 3)
    assert windows.said.sent() == ["close-out", "close window"], "once"


def test_two_keepers_close_a_window_once_and_a_dry_run_only_says_so(windows):
    first = windows.keeper(upkeep={"collect": False})
    settle(first, 2)
    windows.move("40000", 901)
    watching = windows.keeper(6, dry_run=True)
    settle(watching, 1)
    windows.system.client.mine()
    settle(watching, 1)
    assert str(windows.said).count("would send close of fair window 1") == 1, "said once"
    idle = windows.keeper(7, upkeep={"close_windows": False})
    settle(idle, 1)
    assert closed(windows) == 0
    second = windows.keeper(4, upkeep={"collect": False})
    windows.system.client.rpc("evm_setAutomine", False)
    try:
        first.look()
        second.look()
        assert windows.said.sent()[-2:] == ["close window", "close window"]
        windows.system.client.mine()
    finally:
        windows.system.client.rpc("evm_setAutomine", True)
    settle(first, 1)
    settle(second, 1)
    assert closed(windows) == 1
    assert "was refused: no fair window is open" in str(windows.said)
    assert not first.sender.pending and not second.sender.pending


def test_a_window_that_cannot_be_closed_is_said_once_and_tried_again(windows):
    """A token that pays nothing out: the close is refused until it moves again."""
    keeper, token, client = windows.keeper(), windows.system.token, windows.system.client
    settle(keeper, 2)
    windows.move("40000", 901)
    code = client.code(token.address)
    client.set_code(token.address, "0x5f5ffd")
    for _ in range(3):
        client.mine()
        settle(keeper, 1)
    text = "close of fair window 1 would be refused: "
    assert str(windows.said).count(text) == 1
    assert closed(windows) == 0
    client.set_code(token.address, code)
    client.mine()
    settle(keeper, 2)
    assert closed(windows) == 1


def test_upkeep_closes_a_window_that_is_over(windows):
    def chore() -> Any:
        done = Caretaker(windows.system, private_key(5)).upkeep()
        return next(c for c in done if c.what == "closeFairWindow")

    assert (chore().state, chore().says) == ("skipped", "no fair window is open")
    settle(windows.keeper(), 2)
    early = chore()
    assert early.state == "skipped"
    assert "mUSD wait in fair window 1, which closes at 2025-" in early.says
    windows.move("40000", 901)
    done = chore()
    assert done.state == "done" and done.gas_used > 0
    assert done.says.startswith("fair window 1 is closed: BTC got ")
    assert chore().state == "skipped"
    assert closed(windows) == 1
