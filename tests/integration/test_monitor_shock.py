"""The price-shock slider against what really happens when the price jumps so far."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from test_keeper import Place, deployed, node, place, settle
from test_keeper_inventory import selling, stocked, windows

from backstop.chain.lens import Lens
from backstop.keeper.follow import Follower
from backstop.monitor.book import Book, Terms
from backstop.monitor.shock import MOVES, ladder
from backstop.monitor.state import State, read_state

__all__ = ["deployed", "node", "place", "selling", "stocked", "windows"]  # fixtures

D = Decimal


def shown(place: Place) -> tuple[State, dict[str, Any]]:
    """The state and the ladder as the page has them."""
    system, book = place.system, Book()
    update = Follower(system.client, system).poll()
    assert update is not None
    book.read(system, sorted(update.touched))
    state = read_state(system, update.head.number, update.head.timestamp)
    return state, ladder(book.arrays, Terms.of(state.markets), state)


def test_the_inventory_loses_what_the_slider_says(selling):
    state, rungs = shown(selling)
    system, account = selling.system, selling.system.backstop.accountOf(0)
    assert state.inventory[0] == account
    lens = Lens(system)
    before = lens.accounts([account])[0].state.equity
    selling.move(str(56_000 * D("0.82")), 300)
    system.engine.poke.send(0, sender=selling.admin)
    lost = (before - lens.accounts([account])[0].state.equity) / 1e18
    assert lost > 500
    place = MOVES.index(-18)
    assert rungs["all"]["inventory"][place] == pytest.approx(lost, rel=1e-3)
    assert rungs["0"]["inventory"][place] == rungs["all"]["inventory"][place]
    assert rungs["1"]["inventory"][place] == 0
    assert rungs["all"]["inventory"][MOVES.index(18)] == 0


def test_a_claim_waits_for_a_fair_window_as_the_slider_says(windows):
    windows.system.engine.poke.send(0, sender=windows.admin)
    state, rungs = shown(windows)
    assert state.markets[0].fair_window == 15
    now = MOVES.index(0)
    expected = rungs["all"]["waits"][now]
    assert 0 < expected < rungs["all"]["deficit"][now]
    assert rungs["1"]["waits"][now] == expected, "no jump in the other market changes it"
    settle(windows.keeper(), 2)
    claims, _ = windows.system.engine.marketClaims(0)
    assert claims.claims / 10**6 == pytest.approx(expected, rel=1e-6)
    assert shown(windows)[0].markets[0].waiting == pytest.approx(expected, rel=1e-6)
