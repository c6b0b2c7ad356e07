"""The page's valuation against the exact twin, liquidation levels, and the cost of a jump."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st
from monitor_cases import book, market, state

from backstop.model.margin_math import margins
from backstop.monitor.book import Terms, liquidation_marks, margin_of
from backstop.monitor.panels import risk_panel
from backstop.monitor.shock import MOVES, cost_of, ladder, pay

WAD = 10**18


@given(
    notional=st.integers(1, 10**9),
    scale=st.integers(1, 10**9),
    fraction=st.integers(1, 500_000),
)
def test_the_margin_is_the_contracts(notional: int, scale: int, fraction: int) -> None:
    _, exact = margins(notional * WAD, 0, WAD, scale, 0, 1_000_000, fraction)
    ours = margin_of(
        np.array([float(notional)]), np.array([float(scale)]), np.array([fraction / 1e6])
    )
    assert ours[0] == pytest.approx(exact / WAD, rel=1e-9, abs=1e-12)


@given(
    side=st.sampled_from([1.0, -1.0]),
    size=st.floats(0.01, 1000),
    collateral=st.floats(1, 1e6),
    other=st.floats(-50, 50),
    scale=st.floats(1e4, 1e9),
)
def test_at_its_liquidation_mark_an_account_is_exactly_at_maintenance(
    side: float, size: float, collateral: float, other: float, scale: float
) -> None:
    now = state(market(0, size_scale=scale), market(1, mark=40.0, size_scale=scale))
    arrays = book((collateral, [(0, side * size, -side * size * 100.0), (1, other, -other * 40.0)]))
    terms = Terms.of(now.markets)
    level = liquidation_marks(arrays, terms)[0]
    if np.isnan(level):
        # then a long is healthy at a mark of nearly 0, or the account is below maintenance already
        moved = Terms(np.array([1e-9 if side > 0 else 1e5, 40.0]), terms.scale, terms.maintenance)
        equity, maintenance = arrays.value(moved)
        now_equity, now_maintenance = arrays.value(terms)
        below = now_equity[0] < now_maintenance[0]
        assert below or (side > 0 and equity[0] > maintenance[0] - 1e-6 * collateral)
        return
    moved = Terms(np.array([level, 40.0]), terms.scale, terms.maintenance)
    notional = abs(size) * level
    if (1 + notional / scale) * 0.05 > 1:
        return  # the margin is capped at the notional: the quadratic does not apply so far out
    equity, maintenance = arrays.value(moved)
    assert equity[0] == pytest.approx(maintenance[0], rel=1e-6, abs=1e-6 * (collateral + notional))


def test_a_long_without_debt_is_never_liquidated() -> None:
    arrays = book((1000.0, [(0, 5.0, -500.0)]))
    assert np.isnan(liquidation_marks(arrays, Terms.of(state().markets)))[0]


def test_a_jump_makes_the_deficit_it_makes() -> None:
    # long 10 at 100 with 100 of collateral: at 80 it owes 100 more than it has
    arrays = book((100.0, [(0, 10.0, -1000.0)]), (5000.0, [(0, -10.0, 1000.0)]))
    cost = cost_of(arrays, Terms.of(state().markets), state(), -0.2, None)
    assert (cost.liquidatable, cost.bankrupt) == (1, 1)
    assert cost.deficit == pytest.approx(100.0)
    assert cost.notional == pytest.approx(800.0)
    assert cost.paid == pytest.approx((100.0, 0.0, 0.0, 0.0))  # the compartment holds just that


def test_a_jump_in_one_market_leaves_the_others_alone() -> None:
    now = state(market(0), market(1))
    arrays = book((100.0, [(0, 10.0, -1000.0)]), (100.0, [(1, 10.0, -1000.0)]))
    terms = Terms.of(now.markets)
    assert cost_of(arrays, terms, now, -0.2, 1).deficit == pytest.approx(100.0)
    assert cost_of(arrays, terms, now, -0.2, None).deficit == pytest.approx(200.0)


@pytest.mark.parametrize(
    ("deficit", "changed", "paid"),
    [
        (50.0, {}, (50.0, 0.0, 0.0, 0.0)),
        (450.0, {}, (100.0, 350.0, 0.0, 0.0)),
        (1000.0, {}, (100.0, 500.0, 300.0, 100.0)),
        (1000.0, {"per_claim": 200.0}, (100.0, 200.0, 0.0, 700.0)),
        (1000.0, {"window_room": 600.0}, (100.0, 500.0, 100.0, 300.0)),
        (1000.0, {"window_room": 0.0}, (100.0, 0.0, 0.0, 900.0)),
    ],
)
def test_the_layers_pay_in_order_and_within_limits(
    deficit: float, changed: dict[str, float], paid: tuple[float, ...]
) -> None:
    result = pay(np.array([deficit]), np.array([deficit]), state(**changed))
    assert result == pytest.approx(paid)


@given(deficits=st.lists(st.floats(0.01, 1e5), min_size=1, max_size=20), room=st.floats(0, 1e4))
def test_what_is_paid_and_what_is_left_sum_to_the_deficit(
    deficits: list[float], room: float
) -> None:
    now = state(market(0), market(1, window_room=room))
    by_market = np.array([sum(deficits[::2]), sum(deficits[1::2])])
    paid = pay(by_market, np.array(deficits), now)
    assert sum(paid) == pytest.approx(sum(deficits))
    assert min(paid) >= -1e-6
    assert paid[0] <= 200.0 + 1e-9


def test_the_funds_inventory_loses_its_capital_and_no_more() -> None:
    # the fund: long 4 at 100 with 100; somebody else: the same, and his loss is no inventory's
    arrays = book((100.0, [(0, 4.0, -400.0)]), (100.0, [(0, 4.0, -400.0)]))
    now = replace(state(), inventory=(arrays.numbers[0],))
    terms = Terms.of(now.markets)
    for move, lost, deficit in ((-0.2, 80.0, 0.0), (-0.5, 100.0, 200.0), (0.2, 0.0, 0.0)):
        cost = cost_of(arrays, terms, now, move, None)
        assert cost.inventory == pytest.approx(lost)
        assert cost.deficit == pytest.approx(deficit), "what it owes beyond that is a deficit"
    assert cost_of(arrays, terms, state(), -0.2, None).inventory == 0.0
    assert ladder(arrays, terms, now)["all"]["inventory"][0] == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("changed", "waits"),
    [
        ({}, 0.0),
        ({"fair_window": 15}, 200.0),  # 300 less the compartment's 100, of 800 shared
        ({"fair_window": 15, "compartment": 101.0}, 0.0),  # not more than a quarter
        ({"fair_window": 15, "compartment": 101.0, "waiting": 10.0}, 199.0),
        ({"fair_window": 15, "compartment": 101.0, "window_room": 790.0}, 199.0),
        ({"fair_window": 15, "pending_income": 50.0}, 0.0),
        ({"fair_window": 15, "window_room": 0.0}, 0.0),  # nothing to share
    ],
)
def test_a_claim_waits_as_the_contracts_say(changed: dict[str, float], waits: float) -> None:
    arrays = book((100.0, [(0, 10.0, -1000.0)]))
    now = state(market(**changed), window_room=1e6)
    if "compartment" not in changed:
        now = replace(now, fund=replace(now.fund, window_room=799.0))
    assert cost_of(arrays, Terms.of(now.markets), now, -0.4, None).waits == pytest.approx(waits)


def test_the_ladder_has_a_rung_for_every_move_and_market() -> None:
    now = state(market(0), market(1))
    rungs = ladder(book((100.0, [(0, 10.0, -1000.0)])), Terms.of(now.markets), now)
    assert set(rungs) == {"all", "0", "1"}
    for rows in rungs.values():
        assert rows["move"] == list(MOVES)
        assert {len(column) for column in rows.values()} == {len(MOVES)}
    assert rungs["all"]["deficit"] == sorted(rungs["all"]["deficit"], reverse=True)


def test_the_risk_panel_of_nobody_and_of_somebody() -> None:
    empty = risk_panel(book(), state())
    assert (empty["accounts"], empty["below"], empty["worst"]) == (0, 0, [])
    arrays = book((100.0, [(0, 10.0, -1060.0)]), (7.0, []), (5000.0, [(0, -10.0, 1000.0)]))
    panel = risk_panel(arrays, state())
    assert (panel["accounts"], panel["open"], panel["below"]) == (3, 2, 1)
    assert sum(band["accounts"] for band in panel["bands"]) == 2
    assert sum(band["notional"] for band in panel["bands"]) == pytest.approx(2000.0)
    assert panel["worst"][0]["health"] == pytest.approx(40 / (1000 * 1.001 * 0.05))
    levels = panel["levels"][0]
    assert sum(levels["long"]) == pytest.approx(1000.0)
    assert len(levels["long"]) == len(levels["edges"]) - 1
