"""VaR and CVaR: known answers KAT-1 to KAT-3, the laws of a coherent measure, honest intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from scipy import integrate, stats

from backstop.risk.cvar import (
    MEASURED_COVERAGE,
    cvar,
    cvar_interval,
    gpd_tail,
    normal_tail,
    ru_objective,
    student_scale,
    student_tail,
    tail_risk,
    value_at_risk,
    var_interval,
)
from backstop.risk.errors import BadInput, InfiniteMean, TooFewTailPoints

ATOMS = [0.0] * 7 + [10.0, 20.0, 50.0]
LEVELS = st.sampled_from([0.5, 0.75, 0.8, 0.9, 0.95, 0.975, 0.99, 0.999])
# round numbers, so that atoms are common
LOSSES = st.lists(st.integers(-50, 200).map(float), min_size=1, max_size=30)
LAW = settings(deadline=None, max_examples=150)


# -- KAT-1: atoms ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "var", "shortfall"),
    [(0.75, 10, 30), (0.80, 10, 35), (0.85, 20, 40), (0.90, 20, 50), (0.95, 50, 50)],
)
def test_kat1_atoms(level, var, shortfall):
    result = tail_risk(ATOMS, level)
    assert result.var == var
    assert result.cvar == pytest.approx(shortfall, abs=1e-12)
    weighted = tail_risk([0.0, 10.0, 20.0, 50.0], level, [0.7, 0.1, 0.1, 0.1])
    assert (weighted.var, weighted.cvar) == pytest.approx((var, shortfall), abs=1e-12)
    assert min(ru_objective(a, ATOMS, level) for a in ATOMS) == pytest.approx(shortfall, abs=1e-12)


def test_mean_beyond_var_would_be_wrong_on_atoms():
    losses = np.array(ATOMS)
    shortcut = losses[losses >= value_at_risk(ATOMS, 0.85)].mean()
    assert shortcut == pytest.approx(35.0)
    assert cvar(ATOMS, 0.85) == pytest.approx(40.0)


# -- KAT-2: the example of Rockafellar and Uryasev (2000) --------------------------------------

MU = np.array([0.0101110, 0.0043532, 0.0137058])
SIGMA = np.array(
    [
        [0.00324625, 0.00022983, 0.00420395],
        [0.00022983, 0.00049937, 0.00019247],
        [0.00420395, 0.00019247, 0.00764097],
    ]
)


def _minimum_variance(target: float) -> np.ndarray:
    """Fully invested portfolio of least variance with mean `target` (both constraints bind)."""
    constraints = np.vstack([np.ones(3), MU])
    system = np.block([[SIGMA, constraints.T], [constraints, np.zeros((2, 2))]])
    return np.linalg.solve(system, np.concatenate([np.zeros(3), [1.0, target]]))[:3]


def test_kat2_portfolio():
    weights = _minimum_variance(0.011)
    assert (weights > 0).all()
    assert weights == pytest.approx([0.452011, 0.115573, 0.432416], abs=5.1e-7)
    assert weights == pytest.approx([0.452013, 0.115573, 0.432414], abs=3e-6)  # as printed in 2000
    assert weights @ SIGMA @ weights == pytest.approx(0.00378529, abs=5e-9)


@pytest.mark.parametrize(
    ("level", "var", "shortfall"),
    [(0.90, 0.067847, 0.096975), (0.95, 0.090199, 0.115908), (0.99, 0.132128, 0.152977)],
)
def test_kat2_normal_var_and_cvar(level, var, shortfall):
    weights = _minimum_variance(0.011)
    sd = math.sqrt(weights @ SIGMA @ weights)
    result = normal_tail(level, mean=-0.011, sd=sd)
    assert result.var == pytest.approx(var, abs=6e-7)
    assert result.cvar == pytest.approx(shortfall, abs=6e-7)


# -- KAT-3: normal against t4 ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "normal_var", "t_var", "normal_es", "t_es"),
    [
        (0.90, 162.1, 137.1, 222.0, 223.5),
        (0.95, 208.1, 190.7, 260.9, 286.5),
        (0.975, 247.9, 248.3, 295.7, 357.2),
        (0.99, 294.3, 335.1, 337.1, 466.9),
        (0.995, 325.8, 411.8, 365.8, 565.7),
    ],
)
def test_kat3_normal_and_student(level, normal_var, t_var, normal_es, t_es):
    sd = 10_000 * 0.2 / math.sqrt(250)
    assert normal_tail(level, sd=sd) == pytest.approx((normal_var, normal_es), abs=0.05)
    scale = student_scale(sd, 4)
    assert student_tail(level, 4, scale=scale) == pytest.approx((t_var, t_es), abs=0.051)


def test_closed_forms_at_99():
    assert normal_tail(0.99).cvar == pytest.approx(2.665214220345808, rel=1e-13)
    assert student_tail(0.99, 4).cvar == pytest.approx(5.220584194492224, rel=1e-12)
    assert gpd_tail(0.99, 0.3, 1.0).cvar == pytest.approx(15.62415097873796, rel=1e-13)


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.3, 0.8])
def test_gpd_closed_form_equals_the_integral_of_its_quantiles(shape):
    law = stats.genpareto(shape, scale=2.0, loc=1.0)
    mean, _ = integrate.quad(law.ppf, 0.95, 1.0, limit=500)
    assert gpd_tail(0.95, shape, 2.0, 1.0).cvar == pytest.approx(mean / 0.05, rel=1e-6)
    assert gpd_tail(0.95, shape, 2.0, 1.0).var == pytest.approx(law.ppf(0.95), rel=1e-12)


def test_infinite_means_are_refused():
    with pytest.raises(InfiniteMean):
        gpd_tail(0.99, 1.0, 1.0)
    with pytest.raises(InfiniteMean):
        student_tail(0.99, 1.0)


# -- laws --------------------------------------------------------------------------------------


@LAW
@given(LOSSES, LEVELS)
def test_cvar_is_the_minimum_of_the_objective(losses, level):
    """F_b is convex and piecewise linear with kinks at the losses: its minimum is at one."""
    best = min(ru_objective(a, losses, level) for a in losses)
    result = tail_risk(losses, level)
    assert result.cvar == pytest.approx(best, abs=1e-9)
    assert ru_objective(result.var, losses, level) == pytest.approx(best, abs=1e-9)


@LAW
@given(
    hnp.arrays(np.float64, (2, 12), elements=st.integers(-20, 60).map(float)),
    hnp.arrays(np.float64, 12, elements=st.integers(1, 9).map(float)),
    LEVELS,
)
def test_cvar_is_subadditive_on_atoms(pair, weights, level):
    together = cvar(pair[0] + pair[1], level, weights)
    apart = cvar(pair[0], level, weights) + cvar(pair[1], level, weights)
    assert together <= apart + 1e-9


def test_var_is_not_subadditive():
    """Why CVaR: two loans that default alone in 4 % each have VaR 95 % of 0, together of 100."""
    first = np.zeros(100)
    second = np.zeros(100)
    first[:4], second[4:8] = 100.0, 100.0
    assert value_at_risk(first, 0.95) == value_at_risk(second, 0.95) == 0.0
    assert value_at_risk(first + second, 0.95) == 100.0
    assert cvar(first + second, 0.95) <= cvar(first, 0.95) + cvar(second, 0.95)


@LAW
@given(LOSSES, LEVELS, st.integers(1, 5))
def test_weights_count_like_repetition(losses, level, times):
    counts = [1 + (i * times) % 4 for i in range(len(losses))]
    repeated = [x for x, n in zip(losses, counts, strict=True) for _ in range(n)]
    weighted, plain = tail_risk(losses, level, counts), tail_risk(repeated, level)
    assert weighted.var == plain.var
    assert weighted.cvar == pytest.approx(plain.cvar, abs=1e-9)


@LAW
@given(LOSSES, LEVELS, st.integers(-9, 9), st.integers(1, 9))
def test_translation_scale_and_bounds(losses, level, shift, scale):
    base = tail_risk(losses, level)
    moved = tail_risk([scale * x + shift for x in losses], level)
    assert moved.cvar == pytest.approx(scale * base.cvar + shift, abs=1e-8)
    assert np.mean(losses) - 1e-9 <= base.cvar <= max(losses) + 1e-9
    assert base.var <= base.cvar + 1e-12


# -- intervals ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["delta", "bootstrap"])
def test_measured_coverage_is_what_it_says(method):
    """A nominal 95 % interval of CVaR 99 % at n = 5,000, t3, covers about 90 %, not 95 %."""
    truth, runs = student_tail(0.99, 3).cvar, 200
    hits = 0
    for run in range(runs):
        losses = np.random.default_rng(run).standard_t(3, 5000)
        interval = cvar_interval(losses, 0.99, method=method, resamples=150)
        hits += interval.lower <= truth <= interval.upper
    claimed = dict(MEASURED_COVERAGE[method])[50]
    assert interval.measured_coverage == pytest.approx(claimed)
    assert abs(hits / runs - claimed) < 4 * math.sqrt(claimed * (1 - claimed) / runs)
    assert claimed < 0.92


def test_intervals_agree_with_each_other_and_with_theory():
    losses = np.random.default_rng(7).standard_normal(200_000)
    density = stats.norm.pdf(stats.norm.ppf(0.99)) / 0.01
    quantile = stats.norm.ppf(0.99)
    second = 1.0 + quantile * density  # E[Z^2 | Z > q]
    mean_excess = density - quantile
    square_excess = second - 2 * quantile * density + quantile**2
    variance = (0.01 * square_excess - (0.01 * mean_excess) ** 2) / 0.01**2 / losses.size
    for method in ("delta", "bootstrap", "batch"):
        interval = cvar_interval(losses, 0.99, method=method, resamples=400)
        width = interval.upper - interval.lower
        assert width == pytest.approx(
            2 * 1.96 * math.sqrt(variance), rel=0.45 if method == "batch" else 0.15
        )
        assert interval.lower < normal_tail(0.99).cvar < interval.upper


def test_fast_bootstrap_has_the_law_of_the_full_one():
    losses = np.random.default_rng(3).exponential(size=3000)
    fast = cvar_interval(losses, 0.98, method="bootstrap", resamples=800, seed=1)
    full = cvar_interval(
        losses, 0.98, method="bootstrap", resamples=800, seed=2, weights=np.ones(3000)
    )
    width = full.upper - full.lower
    assert fast.lower == pytest.approx(full.lower, abs=0.15 * width)
    assert fast.upper == pytest.approx(full.upper, abs=0.15 * width)


def test_importance_weights_recover_the_tail():
    """Exponential(1) sampled from Exponential(mean 4), weights by likelihood ratio."""
    draws = np.random.default_rng(11).exponential(4.0, 40_000)
    weights = np.exp(-draws * (1 - 0.25))
    interval = cvar_interval(draws, 0.999, weights=weights)
    truth = 1.0 - math.log(0.001)
    assert interval.lower < truth < interval.upper
    assert (interval.upper - interval.lower) / truth < 0.03
    plain = cvar_interval(np.random.default_rng(11).exponential(1.0, 40_000), 0.999)
    assert interval.upper - interval.lower < 0.5 * (plain.upper - plain.lower)


def test_bootstrap_is_reproducible_and_seeded():
    losses = np.random.default_rng(5).standard_t(4, 4000)
    first = cvar_interval(losses, 0.99, method="bootstrap", resamples=50, seed=3)
    assert first == cvar_interval(losses, 0.99, method="bootstrap", resamples=50, seed=3)
    assert first != cvar_interval(losses, 0.99, method="bootstrap", resamples=50, seed=4)


def test_var_interval_covers_what_it_claims():
    truth, runs, hits = stats.t.ppf(0.99, 3), 400, 0
    for run in range(runs):
        interval = var_interval(np.random.default_rng(run).standard_t(3, 2000), 0.99)
        hits += interval.lower <= truth <= interval.upper
    assert interval.measured_coverage >= 0.95
    assert hits / runs > 0.92


@pytest.mark.parametrize(("count", "level"), [(100, 0.9), (1000, 0.99), (777, 0.95)])
def test_var_interval_is_the_narrowest_of_its_kind(count, level):
    """Losses 1..n show the ranks: each side misses at most 2.5 %, one rank closer misses more."""
    interval = var_interval(np.arange(1.0, count + 1), level)
    low, high = round(interval.lower), round(interval.upper)
    below = stats.binom(count, level)
    assert below.cdf(low - 1) <= 0.025 < below.cdf(low)
    assert below.sf(high - 1) <= 0.025 < below.sf(high - 2)
    assert interval.measured_coverage == pytest.approx(below.cdf(high - 1) - below.cdf(low - 1))


def test_batches():
    losses = np.random.default_rng(0).exponential(size=4000)
    two = cvar_interval(losses, 0.99, method="batch", batches=2)
    halves = [cvar(losses[:2000], 0.99), cvar(losses[2000:], 0.99)]
    assert 0.5 * (two.lower + two.upper) == pytest.approx(np.mean(halves))
    half = stats.t.ppf(0.975, 1) * np.std(halves, ddof=1) / math.sqrt(2)
    assert two.upper - two.lower == pytest.approx(2 * half)
    with pytest.raises(BadInput, match="1 batches"):
        cvar_interval(losses, 0.99, method="batch", batches=1)


def test_interval_says_what_it_is_worth():
    losses = np.random.default_rng(0).standard_t(3, 5000)
    assert "covers about 90" in cvar_interval(losses, 0.99).note
    assert "not measured" in cvar_interval(losses, 0.99, nominal=0.9).note


# -- refusals ----------------------------------------------------------------------------------


def test_too_few_tail_points_names_the_remedy():
    with pytest.raises(TooFewTailPoints, match="at least 1,000 observations"):
        cvar_interval(np.arange(900.0), 0.99)
    with pytest.raises(TooFewTailPoints):
        cvar_interval(np.arange(9000.0), 0.99, method="batch")  # 4.5 a batch
    with pytest.raises(TooFewTailPoints):
        var_interval(np.arange(900.0), 0.99)


@pytest.mark.parametrize(
    ("losses", "level", "weights"),
    [
        ([], 0.9, None),
        ([1.0, math.nan], 0.9, None),
        ([1.0, math.inf], 0.9, None),
        ([1.0], 0.0, None),
        ([1.0], 1.0, None),
        ([1.0], 99.0, None),
        ([1.0, 2.0], 0.9, [1.0]),
        ([1.0, 2.0], 0.9, [1.0, -1.0]),
        ([1.0, 2.0], 0.9, [0.0, 0.0]),
    ],
)
def test_bad_input_is_refused_with_a_remedy(losses, level, weights):
    with pytest.raises(BadInput, match="Remedy:") as caught:
        cvar(losses, level, weights)
    assert caught.value.remedy


def test_unknown_method():
    with pytest.raises(BadInput, match="jackknife"):
        cvar_interval(np.arange(5000.0), 0.9, method="jackknife")
