"""Surcharge, emission and cover price: published known answers and the exact integer forms."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings, strategies as st

from backstop.risk.errors import BadInput
from backstop.risk.surcharge import (
    WAD,
    CoverPrice,
    after_sale,
    base_rate,
    check_emission,
    cover_price,
    emission,
    emission_wad,
    emission_yield,
    lagged_ratio,
    surcharge,
    surcharge_wad,
)

BP = WAD // 10_000
CURVE = [(0.3, 40), (0.5, 40), (0.75, 25), (0.9, 16), (1.0, 10), (1.1, 6.25), (1.2, 2.5), (3, 2.5)]
CAPS = st.integers(WAD, 100 * WAD)
FLOORS = st.integers(0, WAD)
RATIOS = st.one_of(
    st.integers(0, 2 * WAD),
    st.sampled_from([WAD // 2, WAD, 6 * WAD // 5]).flatmap(
        lambda knot: st.integers(-3, 3).map(lambda d: knot + d)
    ),
)


def _exact(base: int, ratio: int, cap: int, floor: int) -> Fraction:
    """The curve in rational numbers, written from its definition."""
    r, c, f = Fraction(ratio, WAD), Fraction(cap, WAD), Fraction(floor, WAD)
    if r <= Fraction(1, 2):
        factor = c
    elif r < 1:
        factor = 1 + (c - 1) * (1 - r) / Fraction(1, 2)
    elif r < Fraction(6, 5):
        factor = 1 - (1 - f) * (r - 1) / Fraction(1, 5)
    else:
        factor = f
    return base * factor


# -- surcharge -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("ratio", "basis_points"), CURVE)
def test_curve_known_answers(ratio, basis_points):
    assert surcharge(10.0, ratio) == pytest.approx(basis_points, rel=1e-12)
    exact = surcharge_wad(10 * BP, round(ratio * 100) * WAD // 100)
    assert exact == round(basis_points * 100) * BP // 100


def test_negative_ratio_pays_the_cap():
    assert surcharge(10.0, -5.0) == 40.0
    assert surcharge(10.0, math.inf) == 2.5


@settings(deadline=None, max_examples=300)
@given(st.integers(0, WAD), RATIOS, CAPS, FLOORS)
def test_integer_curve_is_the_exact_one_rounded_up(base, ratio, cap, floor):
    exact = _exact(base, ratio, cap, floor)
    assert surcharge_wad(base, ratio, cap, floor) == math.ceil(exact)


@settings(deadline=None, max_examples=300)
@given(st.integers(0, WAD), RATIOS, st.integers(0, WAD // 10), CAPS, FLOORS)
def test_integer_curve_falls_and_is_continuous(base, ratio, step, cap, floor):
    high = surcharge_wad(base, ratio, cap, floor)
    low = surcharge_wad(base, ratio + step, cap, floor)
    assert low <= high
    # no jump: one wei of the ratio moves the charge by at most the steepest slope, rounded
    steepest = max(2 * (cap - WAD), 5 * (WAD - floor))
    following = surcharge_wad(base, ratio + 1, cap, floor)
    assert high - following <= base * steepest // WAD**2 + 1
    assert base * floor // WAD <= low <= -(-base * cap // WAD)


@settings(deadline=None, max_examples=200)
@given(st.floats(0, 0.1), st.floats(-1, 3), st.floats(0, 0.5), st.floats(1, 20), st.floats(0, 1))
def test_float_curve_falls_and_is_lipschitz(base, ratio, step, cap, floor):
    here, there = (surcharge(base, r, cap, floor) for r in (ratio, ratio + step))
    steepest = base * max(2 * (cap - 1), 5 * (1 - floor))
    assert there <= here + 1e-15
    assert here - there <= steepest * step + 1e-12


@settings(deadline=None, max_examples=200)
@given(st.integers(0, WAD), RATIOS)
def test_float_and_integer_agree(base, ratio):
    assert surcharge(float(base), ratio / WAD) == pytest.approx(
        surcharge_wad(base, ratio), rel=1e-9, abs=1.5
    )


def test_products_fit_256_bits():
    """Base * factor needs less than 256 bits for base <= 1e18, cap <= 1e20: no 512-bit product."""
    worst = WAD * (WAD * WAD + 2 * (100 * WAD - WAD) * WAD)
    assert worst < 2**256


def test_base_is_loaded_premium():
    assert base_rate(0.0002, 0.0001, 1.5) == pytest.approx(0.00045)
    with pytest.raises(BadInput, match="loses money"):
        base_rate(0.0002, 0.0001, 0.9)


def test_one_block_cannot_move_the_price():
    day = 86_400.0
    history = [(0.0, 1.3), (10.0, 1.1), (day, 0.9), (2 * day - 1, 0.2)]
    assert lagged_ratio(history, 2 * day) == 0.9
    assert lagged_ratio(history, 2 * day + day - 2) == 0.9
    assert lagged_ratio(history, 3 * day - 1) == 0.2
    assert lagged_ratio([(0.0, 1.3), (10.0, 1.1)], 20.0) == 1.1  # young fund: the lowest seen
    with pytest.raises(BadInput, match="time order"):
        lagged_ratio([(2.0, 1.0), (1.0, 1.0)], 5.0)
    with pytest.raises(BadInput):
        lagged_ratio([], 5.0)


# -- emission ------------------------------------------------------------------------------------

EMISSION = [
    (0.1, 0.19, 1.90), (0.25, 0.4375, 1.75), (0.5, 0.75, 1.50), (0.75, 0.9375, 1.25),
    (1.0, 1.0, 1.0),
    (1.05, 0.95, None), (1.1, 0.90, None), (1.2, 0.80, 0.667), (2.0, 0.80, 0.40),
]  # fmt: skip


@pytest.mark.parametrize(("filled", "paid", "multiple"), EMISSION)
def test_emission_known_answers(filled, paid, multiple):
    assert emission(filled * 1e6, 1e6, 50.0) == pytest.approx(50.0 * paid, rel=1e-12)
    target, maximum = 10**6 * WAD, 1000 * WAD
    assets = target * round(filled * 100) // 100
    assert emission_wad(assets, target, maximum) == maximum * round(paid * 10_000) // 10_000
    if multiple is not None:
        assert emission_yield(filled * 1e6, 1e6) == pytest.approx(multiple, abs=5e-4)


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 3 * 10**24), st.integers(WAD, 10**24), st.integers(0, 1000 * WAD))
def test_integer_emission_is_the_exact_one_rounded_down(assets, target, maximum):
    x = Fraction(assets, target)
    factor = x * (2 - x) if x <= 1 else max(2 - x, Fraction(4, 5))
    assert emission_wad(assets, target, maximum) == math.floor(maximum * factor)


def test_emission_parameters():
    check_emission(WAD, 1000 * WAD)
    check_emission(10**15, 1, decimals=15)
    for target, maximum in ((WAD, 1000 * WAD + 1), (WAD * 10**6, 10**8), (WAD - 1, WAD)):
        with pytest.raises(BadInput):
            check_emission(target, maximum)


# -- cover price ---------------------------------------------------------------------------------


def test_cover_price_known_answers():
    assert cover_price(CoverPrice(0.10, 0.0), 0.03, 2.0) == pytest.approx(0.06)
    after = after_sale(CoverPrice(0.10, 0.0), 0.03, 2.0, 100, 1000)
    assert after.bumped == pytest.approx(0.06 + 0.005)
    assert cover_price(CoverPrice(0.10, 0.0), 0.03, 30.0) == 0.03


@pytest.mark.parametrize(
    "call",
    [
        lambda: surcharge(-1.0, 1.0),
        lambda: surcharge(1.0, math.nan),
        lambda: surcharge(1.0, 1.0, cap=0.5),
        lambda: surcharge(1.0, 1.0, floor=1.5),
        lambda: surcharge_wad(-1, WAD),
        lambda: surcharge_wad(1, -1),
        lambda: surcharge_wad(1, WAD, cap=WAD - 1),
        lambda: surcharge_wad(1, WAD, floor=WAD + 1),
        lambda: emission(1.0, 0.0, 1.0),
        lambda: emission_wad(-1, WAD, 1),
        lambda: cover_price(CoverPrice(0.1, 5.0), 0.03, 4.0),
        lambda: after_sale(CoverPrice(0.1, 0.0), 0.03, 1.0, 2.0, 1.0),
    ],
)
def test_bad_input(call):
    with pytest.raises(BadInput, match="Remedy:"):
        call()
