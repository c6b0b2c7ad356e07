"""What closed fair windows owe, collected by the keeper and by upkeep; chores that are refused."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from test_keeper import Place, node, settle
from test_keeper_inventory import closed, windows

from backstop.chain.clients import Trader
from backstop.chain.upkeep import Caretaker
from backstop.harness.anvil import private_key

__all__ = ["node", "windows"]  # fixtures

D = Decimal
PATIENT = {"collect": False}


@pytest.fixture
def left(windows: Place) -> Place:
    """Bob was charged while a window was open, left a part of his short meanwhile, and the window
    is closed; Carol's long keeps the side alive.
    """
    carol = Trader(windows.system, private_key(5))
    windows.system.engine.poke.send(0, sender=windows.admin)
    windows.system.set_price(0, D(40_000), windows.admin)  # accepted: now it is fully valid
    windows.fund(carol, "5000")
    windows.bob.fill(carol.sign_order(0, True, D("0.1"), D(40_000)))
    settle(windows.keeper(6, upkeep=PATIENT), 3)
    assert windows.said.sent() == ["close-out"]
    windows.bob.fill(carol.sign_order(0, False, D("0.05"), D(40_000)))
    windows.move("40000", 901)
    settle(windows.keeper(7, upkeep=PATIENT), 3)
    assert closed(windows) == 1
    windows.said.clear()
    return windows


def record(place: Place, who: Trader) -> tuple[int, int]:
    left, joined = place.system.engine.windowRecord(who.number, 0, 1)
    return left, joined


def upkeep_collects_and_says_when_there_is_nothing(left: Place) -> None:
    def chores() -> list[Any]:
        done = Caretaker(left.system, private_key(5)).upkeep()
        return [c for c in done if c.what in ("collectWindow", "repayEnded")]

    (done,) = chores()
    assert (done.state, done.market) == ("done", 0)
    assert "mUSD of fair window 1 in BTC to 0x3C44" in done.says
    assert record(left, left.bob) == (0, 0)
    (done,) = chores()
    assert (done.state, done.says) == ("skipped", "no closed fair window owes anybody 1 or more")


def test_what_is_owed_to_who_left_is_collected_once(left):
    with left.system.client.isolated():
        upkeep_collects_and_says_when_there_is_nothing(left)
    owed, before = record(left, left.bob), left.system.engine.collateral(left.bob.number)
    assert owed[0] > 10 * 10**18
    keeper = left.keeper()
    settle(keeper, 2)
    assert left.said.sent() == ["collect"]
    assert record(left, left.bob) == (0, 0)
    rate = left.system.engine.windowRate(1, 0)
    gained = left.system.engine.collateral(left.bob.number) - before
    assert gained == owed[0] * rate.paid // rate.claims
    assert "tokens of fair window 1 in BTC for 0x3C44" in str(left.said)
    asked: list[str] = []
    left.system.client.mine()
    settle(keeper, 1)
    real = keeper.system.client._post
    keeper.system.client._post = lambda body, method: (  # type: ignore[method-assign]
        asked.append(body.decode()) or real(body, method)
    )
    left.system.client.mine()
    settle(keeper, 1)
    engine = left.system.engine
    for view in ("windowRecord", "marketClaims", "windowRate"):
        assert not any(engine[view]._overloads[0].selector.hex() in body for body in asked), view
    assert left.said.sent() == ["collect"], "and nothing is asked about any more"


def test_it_is_left_alone_where_it_does_not_pay_or_the_operator_says_so(left):
    for index, upkeep in enumerate((PATIENT, {"collect_from": 10.0**6})):
        settle(left.keeper(8 + index, upkeep=upkeep), 2)
    gas = {"coin_price": 10.0**12, "expected_fee": 0}
    profit = {"smallest_notional": 1e15, "subsidy_per_day": 1e15}
    settle(left.keeper(4, gas=gas, profit=profit), 2)
    assert left.said.sent() == []
    assert record(left, left.bob) != (0, 0)
    # for itself the keeper collects all the same: Bob's own key
    settle(left.keeper(2, upkeep=PATIENT), 2)
    assert left.said.sent() == ["collect"]
    assert record(left, left.bob) == (0, 0)


def test_a_side_that_ended_is_repaid(windows):
    """Bob alone was on the other side: the tear-up of all of it ended its epoch."""
    keeper = windows.keeper()
    settle(keeper, 3)
    assert windows.system.engine.sideState(0).epoch[1] == 1
    windows.move("40000", 901)
    before = windows.bob.view().equity
    settle(keeper, 4)
    assert windows.said.sent() == ["close-out", "close window", "repay side"]
    assert windows.bob.view().equity > before + 1000
    assert windows.system.engine.sideClaims(0, 1).C == 0
    windows.system.client.mine()
    settle(keeper, 2)
    assert windows.said.sent()[3:] == []


def test_a_chore_that_is_refused_on_the_chain_is_put_off_ever_longer(windows):
    """The trial succeeds, and each time the token stops paying before the block is mined."""
    keeper, client, token = windows.keeper(), windows.system.client, windows.system.token
    settle(keeper, 2)
    windows.move("40000", 901)
    code, sent = client.code(token.address), []
    client.rpc("evm_setAutomine", False)
    try:
        for _ in range(20):
            before = len(windows.said.sent())
            keeper.look()
            sent.append(len(windows.said.sent()) > before)
            client.set_code(token.address, bytes.fromhex("5f5ffd"))
            client.mine()
            client.set_code(token.address, code)
    finally:
        client.rpc("evm_setAutomine", True)
    tried = [block for block, did in enumerate(sent) if did]
    assert len(tried) >= 3
    gaps = [b - a for a, b in pairwise(tried)]
    assert gaps == sorted(gaps)
    assert gaps[-1] >= 4 * gaps[0]
    assert closed(windows) == 0
    for _ in range(70):
        client.mine()
    settle(keeper, 3)
    assert closed(windows) == 1, "in the end it is done"
