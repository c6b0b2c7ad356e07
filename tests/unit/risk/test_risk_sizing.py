"""Capital target: KAT-14, the published bounded moves, reverse stress, Euler, the fund curve."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from scipy import optimize

from backstop.risk.cvar import Interval, cvar
from backstop.risk.errors import BadInput, TooFewTailPoints
from backstop.risk.provenance import code_hash, hash_arrays, hash_files
from backstop.risk.sizing import (
    Components,
    anti_procyclical,
    bounded_move,
    bounded_move_bps,
    cover_two,
    euler_contributions,
    fund_curve,
    minimum_capital,
    newsvendor,
    newsvendor_sample,
    required,
    reverse_stress,
    solvency_ratio,
    surplus_release,
    vendor_metrics,
    wad_up,
)

HOUR, DAY = 3600, 86_400


def _heavy(n: int = 50_000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).pareto(3.0, n)


# -- KAT-14 --------------------------------------------------------------------------------------


def test_kat14_exponential():
    optimum = newsvendor(lambda p: -math.log1p(-p), 0.05, 1.0)
    assert optimum == pytest.approx(2.995732, abs=5e-7)


def test_kat14_pareto():
    optimum = newsvendor(lambda p: (1 - p) ** -0.5, 0.10, 2.0)
    assert optimum == pytest.approx(4.472136, abs=5e-7)


def test_newsvendor_minimises_the_cost():
    """R K + kappa E(D - K)+ for D ~ Exp(1) is r K + kappa e^-K."""
    cost = optimize.minimize_scalar(
        lambda k: 0.05 * k + math.exp(-k), bounds=(0, 20), method="bounded"
    )
    assert newsvendor(lambda p: -math.log1p(-p), 0.05, 1.0) == pytest.approx(cost.x, abs=1e-4)


def test_newsvendor_edges():
    assert newsvendor(lambda p: 1e9, 0.2, 0.2) == 0.0
    assert newsvendor(lambda p: 1e9, 0.3, 0.2) == 0.0
    assert newsvendor_sample([0.0, 0.0, 0.0, 10.0], 0.5, 1.0) == 0.0
    with pytest.raises(BadInput, match="free capital"):
        newsvendor(lambda p: 1.0, 0.0, 1.0)


@settings(deadline=None, max_examples=80)
@given(
    hnp.arrays(np.float64, st.integers(1, 30), elements=st.integers(0, 100).map(float)),
    st.floats(0.01, 0.9),
)
def test_newsvendor_sample_is_optimal_among_all_sizes(losses, r):
    """The cost is piecewise linear with kinks at 0 and the losses: no kink may be cheaper."""

    def cost(size: float) -> float:
        return r * size + float(np.maximum(losses - size, 0).mean())

    best = newsvendor_sample(losses, r, 1.0)
    assert cost(best) <= min(cost(k) for k in [0.0, *losses]) + 1e-9


# -- published moves -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("desired", "elapsed", "expected"),
    [
        (2_000_000, HOUR, 1_002_000),
        (2_000_000, DAY, 1_010_000),
        (0, DAY, 990_000),
        (2_000_000, 0, 1_000_000),
        (1_001_000, DAY, 1_001_000),
    ],
)
def test_nexus_known_answers(desired, elapsed, expected):
    assert bounded_move_bps(1_000_000, desired, elapsed) == expected


def test_nexus_capital_from_cover():
    assert minimum_capital(4_800_000) == pytest.approx(1_000_000)


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 10**30), st.integers(0, 10**30), st.integers(0, 30 * DAY))
def test_integer_move_is_bounded_and_towards_the_goal(current, desired, elapsed):
    moved = bounded_move_bps(current, desired, elapsed)
    assert min(current, desired) <= moved <= max(current, desired)
    assert abs(moved - current) <= current // 100 + 1
    smooth = bounded_move(float(current), float(desired), float(elapsed))
    assert abs(moved - current) <= abs(smooth - current) * (1 + 1e-9) + 1


def test_float_move_reaches_five_percent_a_day_in_small_updates():
    target = 100.0
    for _ in range(24):
        target = bounded_move(target, 200.0, HOUR)
    assert target == pytest.approx(100 * (1 + 0.05 / 24) ** 24)
    assert bounded_move(100.0, 200.0, 10 * DAY) == pytest.approx(101.0)
    assert bounded_move(100.0, 99.9, DAY) == pytest.approx(99.9)


def test_anti_procyclical_rule():
    assert anti_procyclical(50.0, [80.0, 100.0, 60.0]) == 75.0
    assert anti_procyclical(90.0, [100.0]) == 90.0
    assert anti_procyclical(10.0, []) == 10.0
    with pytest.raises(BadInput):
        anti_procyclical(1.0, [1.0], 1.5)


def test_surplus_leaves_by_rule_only():
    assert surplus_release(150.0, 100.0, 30, 0) == pytest.approx(3.0)
    assert surplus_release(150.0, 100.0, 29, 0) == 0.0
    assert surplus_release(150.0, 100.0, 90, 1) == 0.0
    assert surplus_release(119.0, 100.0, 90, 0) == 0.0


def test_solvency_ratio():
    assert solvency_ratio(120.0, 100.0, 10.0, 5.0) == pytest.approx(1.05)
    assert solvency_ratio(5.0, 100.0, 10.0) < 0
    assert math.isinf(solvency_ratio(5.0, 0.0))
    assert solvency_ratio(5.0, 0.5) == pytest.approx(10.0)


# -- components and the result -------------------------------------------------------------------


def test_cover_two_takes_the_worst_scenario():
    assert cover_two([[5, 3, 1], [4, 4.5, 0], [8, -3, -2]]) == 8.5
    assert cover_two([7.0]) == 7.0
    assert cover_two([-1.0, -2.0]) == 0.0
    with pytest.raises(BadInput):
        cover_two([[1.0, math.nan]])


@pytest.mark.parametrize(
    ("values", "binding"),
    [
        ((4, 3, 2, 1), "stress"),
        ((3, 4, 2, 1), "expected_shortfall"),
        ((2, 3, 4, 1), "newsvendor"),
        ((1, 2, 3, 4), "floor"),
    ],
)
def test_target_is_the_largest_component(values, binding):
    parts = Components(*values, model_add_on=0.25)
    assert parts.target == pytest.approx(5.0)
    assert parts.binding == binding


def test_required_gathers_everything():
    losses = _heavy()
    result = required(
        losses,
        [[1.0, 2.0, 3.0], [0.5, 0.5, 6.0]],
        cascade_mult=1.5,
        capital_cost=0.1,
        penalty=5.0,
        floor=1.0,
        model_add_on=0.2,
        usable_capital=20.0,
        by_market={"BTC": 1.0},
        data_hash=hash_arrays({"losses": losses}),
        code_hash=code_hash(),
    )
    assert result.cover2 == 6.5
    assert result.es == pytest.approx(cvar(losses, 0.999))
    assert result.es_interval[0] < result.es < result.es_interval[1]
    candidates = [6.5 * 1.5, result.es_interval[1], result.newsvendor, 1.0]
    assert result.target == pytest.approx(1.2 * max(candidates))
    assert result.solvency_ratio == pytest.approx(20 / result.target)
    assert result.newsvendor == pytest.approx(0.02 ** (-1 / 3) - 1, rel=0.05)
    assert "covers" not in result.notes[0] or "%" in result.notes[0]


def test_required_by_default_adds_nothing():
    """No cascade, no floor, no add-on, no capital given: the stress loss itself."""
    result = required(_heavy(), [[1e6, 2e6]], capital_cost=0.1, penalty=5.0)
    assert (result.target, result.binding) == (3e6, "stress")
    assert result.solvency_ratio is None and result.samples == 50_000
    nothing = required(np.zeros(20_000), [[0.0]], capital_cost=1, penalty=5, usable_capital=1.0)
    assert nothing.target == 0.0 and nothing.solvency_ratio is None


def test_json_is_canonical_and_complete():
    result = required(_heavy(), [[1.0]], capital_cost=0.1, penalty=5.0)
    text = result.to_json()
    again = required(_heavy(), [[1.0]], capital_cost=0.1, penalty=5.0).to_json()
    assert text == again
    read = json.loads(text)
    assert list(read) == sorted(read)
    assert {
        "es", "var", "cover2", "newsvendor", "cascade_mult", "target", "premium_rate",
        "solvency_ratio", "by_market", "by_account", "es_interval", "data_hash", "code_hash",
    } <= set(read)  # fmt: skip
    assert read["target"] == result.target
    assert 0 <= int(read["target_wad"]) - result.target * 1e18 < 1e5


def test_wad_rounds_up():
    assert wad_up(1.0) == 10**18
    assert wad_up(0.1) == 100000000000000006  # the float is a little above 0.1
    assert wad_up(1e-19) == 1
    assert wad_up(0.0) == 0


def test_unbounded_tail_is_refused():
    band = Interval(1.0, 0.5, math.inf, 0.9, "profile", 50, None)
    with pytest.raises(BadInput, match="do not bound"):
        required(_heavy(), [[1.0]], capital_cost=0.1, penalty=5.0, interval=band)


def test_too_few_paths_for_the_interval():
    with pytest.raises(TooFewTailPoints, match="at least 10,000"):
        required(_heavy(9_000), [[1.0]], capital_cost=0.1, penalty=5.0)


@pytest.mark.parametrize("multiplier", [0.9, math.inf, math.nan])
def test_cascade_multiplier_must_be_finite(multiplier):
    with pytest.raises(BadInput, match="cascade multiplier"):
        required(_heavy(), [[1.0]], capital_cost=0.1, penalty=5.0, cascade_mult=multiplier)


# -- reverse stress ------------------------------------------------------------------------------


def test_reverse_stress_of_a_smooth_loss():
    result = reverse_stress(lambda s: 100 * s**2, 9.0, tolerance=1e-6)
    assert result.shock == pytest.approx(0.3, abs=1e-6)
    assert result.loss_at_covered <= 9.0 < result.loss_at_shock
    assert result.shock - result.covered <= 1e-6
    assert result.evaluations < 60


def test_reverse_stress_of_a_jump():
    """A cascade: nothing until 22 %, everything beyond."""
    result = reverse_stress(lambda s: 0.0 if s < 0.22 else 1e6, 10.0, tolerance=1e-5)
    assert result.shock == pytest.approx(0.22, abs=1e-5)
    assert (result.loss_at_covered, result.loss_at_shock) == (0.0, 1e6)


def test_reverse_stress_finds_the_first_crossing_of_a_wavy_loss():
    result = reverse_stress(lambda s: 10 * math.sin(10 * s), 9.0, steps=50)
    assert result.shock == pytest.approx(math.asin(0.9) / 10, abs=1e-4)


def test_reverse_stress_edges():
    never = reverse_stress(lambda s: s, 2.0)
    assert never.shock is None and never.covered == 1.0
    always = reverse_stress(lambda s: 5.0, 2.0)
    assert (always.shock, always.covered, always.evaluations) == (0.0, 0.0, 1)
    at_once = reverse_stress(
        lambda s: 0.0 if s == 0 else 5.0, 2.0, tolerance=0.5, limit=1.0, steps=1
    )
    assert (at_once.shock, at_once.covered, at_once.evaluations) == (0.5, 0.0, 3)
    with pytest.raises(BadInput):
        reverse_stress(lambda s: s, 1.0, steps=0)


# -- Euler ---------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=150)
@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 40), st.integers(1, 5)),
        elements=st.integers(-20, 60).map(float),
    ),
    st.sampled_from([0.5, 0.75, 0.9, 0.975]),
)
def test_euler_contributions_sum_to_cvar(losses, level):
    parts = euler_contributions(losses, level)
    assert parts.shape == (losses.shape[1],)
    assert parts.sum() == pytest.approx(cvar(losses.sum(axis=1), level), abs=1e-9)
    for j in range(losses.shape[1]):  # no market contributes more than it would alone
        assert parts[j] <= cvar(losses[:, j], level) + 1e-9


def test_euler_is_the_derivative():
    """Growing market j by one percent moves CVaR by its contribution."""
    rng = np.random.default_rng(3)
    losses = rng.standard_t(4, (20_000, 3)) * [1.0, 2.0, 0.5]
    parts = euler_contributions(losses, 0.99)
    for j in range(3):
        scale = np.ones(3)
        scale[j] = 1 + 1e-5
        slope = (cvar((losses * scale).sum(1), 0.99) - cvar(losses.sum(1), 0.99)) / 1e-5
        assert parts[j] == pytest.approx(slope, rel=1e-3)


def test_euler_with_weights_and_bad_input():
    losses = np.array([[1.0, 0.0], [0.0, 2.0], [5.0, 1.0]])
    weights = [3.0, 2.0, 1.0]
    repeated = np.repeat(losses, [3, 2, 1], axis=0)
    assert euler_contributions(losses, 0.7, weights) == pytest.approx(
        euler_contributions(repeated, 0.7)
    )
    with pytest.raises(BadInput):
        euler_contributions(np.ones(5), 0.9)


# -- fund curve ----------------------------------------------------------------------------------


def test_fund_curve_against_direct_sums():
    losses = _heavy(5_000)
    sizes = [0.0, 0.5, 1.0, 3.0, 1e9]
    for point, size in zip(fund_curve(losses, sizes, 0.1, 5.0), sizes, strict=True):
        assert point.p_exhausted == pytest.approx((losses > size).mean(), abs=1e-12)
        uncovered = np.maximum(losses - size, 0).mean()
        assert point.uncovered == pytest.approx(uncovered, abs=1e-9)
        assert point.total_cost == pytest.approx(0.1 * size + 5 * uncovered)


def test_fund_curve_counts_an_exact_hit_as_covered():
    point = fund_curve([0.0, 10.0, 10.0, 20.0], [10.0], 0.1, 1.0)[0]
    assert point.p_exhausted == 0.25
    assert point.uncovered == pytest.approx(2.5)


def test_cheapest_point_of_the_curve_is_the_newsvendor():
    losses = _heavy(5_000)
    sizes = np.linspace(0, 10, 2001)
    curve = fund_curve(losses, sizes, 0.1, 5.0)
    best = min(curve, key=lambda p: p.total_cost).size
    assert best == pytest.approx(newsvendor_sample(losses, 0.1, 5.0), abs=0.02)
    exhausted = [p.p_exhausted for p in curve]
    assert exhausted == sorted(exhausted, reverse=True)


def test_fund_curve_with_weights():
    plain = fund_curve([1.0, 1.0, 5.0], [2.0], 0.1, 1.0)[0]
    weighted = fund_curve([5.0, 1.0], [2.0], 0.1, 1.0, [1.0, 2.0])[0]
    assert weighted.p_exhausted == pytest.approx(plain.p_exhausted)
    assert weighted.uncovered == pytest.approx(plain.uncovered)


def test_vendor_metrics_are_plain_quantiles():
    days = np.arange(1.0, 101.0)
    metrics = vendor_metrics(days, 10 * days)
    assert (metrics.var95, metrics.evar99, metrics.lar95) == (95.0, 99.0, 950.0)


# -- provenance ----------------------------------------------------------------------------------


def test_hashes_see_names_values_and_shapes(tmp_path):
    base = hash_arrays({"a": [1.0, 2.0], "b": [3.0]})
    assert base == hash_arrays({"b": np.array([3.0]), "a": np.array([1.0, 2.0], dtype=np.float32)})
    assert base != hash_arrays({"a": [1.0], "b": [2.0, 3.0]})
    assert base != hash_arrays({"a": [1.0, 2.0], "c": [3.0]})
    first, second = tmp_path / "x.py", tmp_path / "y.py"
    first.write_text("ab")
    second.write_text("c")
    files = hash_files([first, second])
    assert files == hash_files([second, first])
    first.write_text("a")
    second.write_text("bc")
    assert files != hash_files([first, second])
    assert len(code_hash()) == 64 and code_hash() == code_hash()
