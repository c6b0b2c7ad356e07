"""Impact and cascades: KAT-11 to KAT-13, measured depth, toxic liquidation."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import optimize

from backstop.risk.data import frozen, read_bars
from backstop.risk.errors import BadInput
from backstop.risk.impact import (
    STRESS_DEPTH_FLOOR,
    almgren_chriss,
    almgren_impact,
    cascade_multiplier,
    critical_impact,
    effective_coefficient,
    impact_steps,
    largest_safe_incentive,
    ltv_after,
    quantity_within_impact,
    run_cascade,
    square_root_impact,
    stress_coefficient,
    toxic_ltv,
)

SIZES, TRIGGERS = (100.0, 200.0, 300.0, 400.0), (0.95, 0.92, 0.88, 0.80)


# -- KAT-11: Almgren et al. 2005 -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("sigma", "turnover", "permanent", "temporary", "costs"),
    [
        (0.0157, 263, 19.9, (22.3, 14.7, 8.5), (32.2, 24.6, 18.4)),
        (0.0226, 87, 21.7, None, (42.9, 32.0, 23.1)),
    ],
)
def test_kat11_almgren(sigma, turnover, permanent, temporary, costs):
    results = [almgren_impact(0.10, days, sigma, turnover) for days in (0.1, 0.2, 0.5)]
    for result in results:
        assert 1e4 * result.permanent == pytest.approx(permanent, abs=0.05)
    assert [1e4 * r.cost for r in results] == pytest.approx(costs, abs=0.05)
    if temporary:
        assert [1e4 * r.temporary for r in results] == pytest.approx(temporary, abs=0.05)


# -- KAT-12: Almgren and Chriss 2000 -------------------------------------------------------------

EXAMPLE = {"sigma": 0.95, "half_spread": 0.0625, "permanent": 2.5e-7, "temporary": 2.5e-6}


@pytest.mark.parametrize(
    ("risk_aversion", "kappa", "holdings", "cost", "sd"),
    [
        (1e-6, 0.607076, (1e6, 541956, 289854, 147897, 62142, 0), 911_227, 603_431),
        (0.0, 0.0, (1e6, 8e5, 6e5, 4e5, 2e5, 0), 662_500, 1_040_673),
        (2e-6, 0.846297, (1e6, 428_599), 1_140_715, None),
    ],
)
def test_kat12_almgren_chriss(risk_aversion, kappa, holdings, cost, sd):
    plan = almgren_chriss(1e6, 5, 5, risk_aversion=risk_aversion, **EXAMPLE)
    assert plan.kappa == pytest.approx(kappa, abs=5e-7)
    assert plan.holdings[: len(holdings)] == pytest.approx(holdings, abs=0.51)
    assert plan.expected_cost == pytest.approx(cost, abs=0.51)
    if sd is not None:
        assert plan.cost_sd == pytest.approx(sd, abs=0.51)


def _cost_and_variance(inner: np.ndarray, tau: float) -> tuple[float, float]:
    """Almgren-Chriss written from its definition: trade n_k per period of tau."""
    holdings = np.concatenate([[1e6], inner, [0.0]])
    sold = -np.diff(holdings)
    permanent = sum(
        tau * 2.5e-7 * (n / tau) * left for n, left in zip(sold, holdings[1:], strict=True)
    )
    temporary = sum(n * (0.0625 + 2.5e-6 * n / tau) for n in sold)
    return permanent + temporary, 0.95**2 * tau * float(holdings[1:] @ holdings[1:])


@pytest.mark.parametrize("periods", [5, 10])
def test_kat12_schedule_is_optimal(periods):
    plan = almgren_chriss(1e6, 5, periods, risk_aversion=1e-6, **EXAMPLE)
    tau = 5 / periods
    cost, variance = _cost_and_variance(np.array(plan.holdings[1:-1]), tau)
    assert plan.expected_cost == pytest.approx(cost, rel=1e-12)
    assert plan.cost_sd**2 == pytest.approx(variance, rel=1e-12)

    def utility(inner: np.ndarray) -> float:
        expected, risk = _cost_and_variance(inner, tau)
        return expected + 1e-6 * risk

    start = np.linspace(1e6, 0, periods + 1)[1:-1]
    best = optimize.minimize(utility, start, method="BFGS", options={"gtol": 1e-6})
    assert cost + 1e-6 * variance <= best.fun * (1 + 1e-9)


# -- square root and depth -----------------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(st.floats(0, 1e9), st.floats(1e3, 1e12), st.floats(0.001, 0.5), st.floats(0.1, 30))
def test_square_root_law_and_its_inverse(quantity, volume, sigma, coefficient):
    impact = square_root_impact(quantity, volume, sigma, coefficient)
    assert quantity_within_impact(impact, volume, sigma, coefficient) == pytest.approx(
        quantity, rel=1e-9, abs=1e-12
    )
    assert square_root_impact(4 * quantity, volume, sigma, coefficient) == pytest.approx(2 * impact)


def test_thin_books_move_more():
    assert effective_coefficient(1.0, 800.0, 200.0) == pytest.approx(2.0)
    assert effective_coefficient(1.0, 800.0, 1600.0) == 1.0  # a thick book is no promise
    assert effective_coefficient(1.0, 800.0, 0.0, floor_ratio=0.01) == pytest.approx(10.0)
    assert stress_coefficient(1.0, 0.5) == pytest.approx(1 / math.sqrt(STRESS_DEPTH_FLOOR))
    assert stress_coefficient(1.0, 0.01) == pytest.approx(10.0)
    with pytest.raises(BadInput, match="book is empty"):
        effective_coefficient(1.0, 800.0, 0.0)


@pytest.fixture(scope="module")
def depth(reference):
    """Minute of day, notional and average price within -5 % and +5 %, BTC, 2025-10-10."""
    with reference("ref/btc_book_depth_5pct_1m_2025-10-10.csv").open() as file:
        rows = list(csv.DictReader(file))
    sides = {}
    for side in ("-5", "5"):
        kept = [r for r in rows if r["percentage"] == side]
        minute = [60 * int(r["timestamp"][11:13]) + int(r["timestamp"][14:16]) for r in kept]
        value = [float(r["notional"]) for r in kept]
        price = [float(r["weighted_avg_price"]) for r in kept]
        sides[side] = np.array(minute), np.array(value), np.array(price)
    return sides


def _usual(minute: np.ndarray, value: np.ndarray) -> float:
    return float(np.median(value[(minute >= 12 * 60) & (minute < 20 * 60)]))


def test_measured_depth_as_published(depth):
    minute, value, _ = depth["-5"]
    assert _usual(minute, value) == pytest.approx(821e6, abs=0.5e6)
    assert value.min() == pytest.approx(2.1e6, abs=0.05e6)
    assert minute[value.argmin()] == 21 * 60 + 25
    assert value.min() / _usual(minute, value) == pytest.approx(0.003, abs=5e-4)


def test_the_thinnest_reading_is_a_frozen_record(depth, reference):
    """It repeats to the last digit for eight minutes, with bids above the market: not a book.

    The thinnest live reading is 4.5 M (0.55 % of normal): ratio .0055, not .003.
    """
    minute, value, price = depth["-5"]
    stuck = np.flatnonzero(value == value.min())
    assert minute[stuck].tolist() == list(range(21 * 60 + 25, 21 * 60 + 33))
    index = read_bars(reference("ref/btc_index_1m_2025-10-10.csv"))
    assert (price[stuck] > 1.03 * index.high[minute[stuck]]).all()
    live = ~frozen(value, price)
    assert not live[stuck].any()
    lowest = value[live].min()
    assert lowest == pytest.approx(4.504e6, abs=500)
    assert lowest / _usual(minute, value) == pytest.approx(0.0055, abs=5e-5)


def test_measured_depth_above_the_price(depth):
    """The document says 107 M at 21:22 (ratio .18); the file has 129.9 M at 21:23 (ratio .22)."""
    minute, value, _ = depth["5"]
    assert _usual(minute, value) == pytest.approx(585e6, abs=1.1e6)
    assert value.min() == pytest.approx(129.93e6, abs=5e3)
    assert minute[value.argmin()] == 21 * 60 + 23
    assert value.min() / _usual(minute, value) == pytest.approx(0.2217, abs=5e-5)


def test_measured_index(reference):
    bars = read_bars(reference("ref/btc_index_1m_2025-10-10.csv"))
    minute = (bars.time % 86_400) // 60
    assert bars.low.min() == pytest.approx(102_497, abs=0.5)
    assert minute[bars.low.argmin()] == 21 * 60 + 20
    change = bars.close / bars.open - 1
    assert change.min() == pytest.approx(-0.0409, abs=5e-5)
    assert minute[change.argmin()] == 21 * 60 + 19


# -- KAT-13: cascade -----------------------------------------------------------------------------


def test_kat13_stops_just_below_the_critical_impact():
    result = run_cascade(SIZES, TRIGGERS, 0.95, 3.2e-4)
    assert result.price == pytest.approx(0.920081, abs=5e-7)
    assert result.quantity == 100.0 and len(result.rounds) == 2


def test_kat13_collapses_just_above():
    result = run_cascade(SIZES, TRIGGERS, 0.95, 3.21e-4)
    expected = (0.95, 0.919989, 0.862782, 0.783571, 0.689152)
    assert result.rounds == pytest.approx(expected, abs=5.1e-7)
    assert result.quantity == 1000.0


def test_kat13_critical_impact():
    critical = critical_impact(SIZES, TRIGGERS, 0.95)
    assert critical == pytest.approx(3.208831e-4, abs=5e-11)
    assert critical == pytest.approx(math.log(0.95 / 0.92) / 100, rel=1e-14)


def test_multiplier_and_distance():
    """Bankruptcy one percent below each trigger; at the start price nobody is bankrupt."""
    broke = [0.99 * t for t in TRIGGERS]
    calm = cascade_multiplier(SIZES, TRIGGERS, broke, 0.93, 1e-6)
    assert calm.without_feedback == pytest.approx(100 * (0.9405 - 0.93))
    assert 1.0 < calm.multiplier < 1.02 and calm.distance > 0
    wild = cascade_multiplier(SIZES, TRIGGERS, broke, 0.93, 3.3e-4)
    assert wild.distance < 0
    assert wild.multiplier > 100
    only = cascade_multiplier(SIZES, TRIGGERS, broke, 0.95, 3.3e-4)
    assert only.without_feedback == 0 and math.isinf(only.multiplier)
    none = cascade_multiplier(SIZES, TRIGGERS, broke, 0.99, 3.3e-4)
    assert none.multiplier == 1.0 and math.isinf(none.critical)


BOOKS = st.lists(
    st.tuples(st.floats(0.1, 50), st.floats(0.2, 1.2)),
    min_size=1,
    max_size=12,
    unique_by=lambda x: x[1],
)


@settings(deadline=None, max_examples=150)
@given(BOOKS, st.floats(1e-4, 0.05))
def test_cascade_is_the_least_fixpoint(book, impact):
    """Selling one position at a time, in any order of touching, ends at the same price."""
    sizes, triggers = map(list, zip(*book, strict=True))
    result = run_cascade(sizes, triggers, 1.0, impact)
    price, sold, left = 1.0, 0.0, list(zip(sizes, triggers, strict=True))
    while True:
        touched = [x for x in left if x[1] >= price]
        if not touched:
            break
        left.remove(touched[-1])
        sold += touched[-1][0]
        price = math.exp(-impact * sold)
    assert result.price == pytest.approx(price, rel=1e-9)
    assert result.quantity == pytest.approx(sold, rel=1e-9)


@settings(deadline=None, max_examples=150)
@given(BOOKS)
def test_phase_diagram_is_exact(book):
    """On both sides of every step the simulated cascade liquidates what the steps say."""
    sizes, triggers = map(list, zip(*book, strict=True))
    steps = impact_steps(sizes, triggers, 1.0)
    assert [s[0] for s in steps] == sorted({s[0] for s in steps})
    for i, (impact, quantity) in enumerate(steps):
        after = impact * (1 + 1e-9) + 1e-15
        assert run_cascade(sizes, triggers, 1.0, after).quantity == pytest.approx(quantity)
        if i:
            before = impact * (1 - 1e-9)
            assert run_cascade(sizes, triggers, 1.0, before).quantity < quantity


# -- toxic liquidation ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("incentive", "ltv"), [(0.05, 0.952381), (0.08, 0.925926), (0.10, 0.909091), (0.125, 0.888889)]
)
def test_toxic_bound(incentive, ltv):
    assert toxic_ltv(incentive) == pytest.approx(ltv, abs=5e-7)
    assert largest_safe_incentive(toxic_ltv(incentive)) == pytest.approx(incentive)


@settings(deadline=None, max_examples=100)
@given(st.floats(0.5, 1.2), st.floats(0.0, 0.3), st.floats(0.001, 0.3))
def test_liquidation_worsens_exactly_beyond_the_bound(ltv, incentive, share):
    after = ltv_after(100.0, 100.0 * ltv, 100.0 * ltv * share, incentive)
    bound = toxic_ltv(incentive)
    if ltv > bound * (1 + 1e-9):
        assert after > ltv
    elif ltv < bound * (1 - 1e-9):
        assert after < ltv


@pytest.mark.parametrize(
    "call",
    [
        lambda: square_root_impact(-1, 1, 0.1),
        lambda: square_root_impact(1, 0, 0.1),
        lambda: almgren_impact(0.1, 0, 0.1, 100),
        lambda: almgren_chriss(1e6, 5, 0, risk_aversion=0, **EXAMPLE),
        lambda: almgren_chriss(1e6, 500, 5, risk_aversion=0, **EXAMPLE),  # eta~ < 0
        lambda: run_cascade([1.0], [1.0, 2.0], 1.0, 0.1),
        lambda: run_cascade([-1.0], [1.0], 1.0, 0.1),
        lambda: run_cascade([1.0], [1.0], 0.0, 0.1),
        lambda: ltv_after(1.0, 1.0, 1.0, 0.1),
    ],
)
def test_bad_input(call):
    with pytest.raises(BadInput, match="Remedy:"):
        call()
