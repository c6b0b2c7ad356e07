"""Peaks over threshold: KAT-4, the crypto regression values, intervals, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import integrate, stats

from backstop.risk.cvar import cvar, gpd_tail
from backstop.risk.errors import (
    BadInput,
    BelowThreshold,
    FitDidNotConverge,
    InfiniteMean,
    TooFewTailPoints,
)
from backstop.risk.gpd import cdf, fit_gpd, loglik
from backstop.risk.tails import (
    GpdTail,
    fit_tail,
    long_log_losses,
    long_simple_losses,
    semi_parametric_cvar,
    short_losses,
    simple_loss,
)
from backstop.risk.thresholds import choose_threshold, goodness_of_fit, threshold_table


def _gpd_sample(shape: float, scale: float, count: int, seed: int) -> np.ndarray:
    exponential = np.random.default_rng(seed).standard_exponential(count)
    if abs(shape) < 1e-9:
        return scale * exponential
    return scale * np.expm1(shape * exponential) / shape


# -- KAT-4: Danish fire losses -----------------------------------------------------------------


def test_kat4_fit(danish):
    tail = fit_tail(danish, 10.0)
    assert (danish.size, tail.count) == (2167, 109)
    assert tail.shape == pytest.approx(0.496986, abs=5e-7)
    assert tail.scale == pytest.approx(6.975468, abs=5e-7)
    assert -tail.loglik == pytest.approx(374.89299, abs=5e-6)
    assert tail.shape_error == pytest.approx(0.1434, abs=5e-5)
    assert tail.observed_shape_error() == pytest.approx(0.1363, abs=5e-5)
    # McNeil 1997
    assert tail.shape == pytest.approx(0.497, abs=5e-4)
    assert tail.scale == pytest.approx(6.98, abs=5e-3)


@pytest.mark.parametrize(
    ("level", "quantile", "shortfall"),
    [
        (0.99, 27.290, 58.240),
        (0.995, 40.173, 83.852),
        (0.999, 94.339, 191.535),
        (0.9999, 304.90, 610.14),
    ],
)
def test_kat4_quantile_and_shortfall(danish, level, quantile, shortfall):
    tail = fit_tail(danish, 10.0)
    half_digit = 5.1e-4 if level < 0.9995 else 5.1e-3
    assert tail.quantile(level) == pytest.approx(quantile, abs=half_digit)
    assert tail.expected_shortfall(level) == pytest.approx(shortfall, abs=half_digit)


def test_kat4_evir_stops_early(danish):
    """Published values of evir agree only to 2e-3; at evir's point the likelihood is lower."""
    tail = fit_tail(danish, 10.0)
    published = {0.999: (94.28956, 191.3697), 0.9999: (304.62448, 609.3696)}
    for level, (quantile, shortfall) in published.items():
        assert tail.quantile(level) == pytest.approx(quantile, rel=2e-3)
        assert tail.expected_shortfall(level) == pytest.approx(shortfall, rel=2e-3)
    quantiles = [q for q, _ in published.values()]
    shape, scale = _from_quantiles(quantiles, tail)
    assert loglik(shape, scale, tail.excesses) < tail.loglik - 1e-7


def _from_quantiles(quantiles: list[float], tail: GpdTail) -> tuple[float, float]:
    """Shape and scale that produce two published quantiles."""
    from scipy.optimize import brentq

    growth = [math.log(tail.exceedance / (1 - p)) for p in (0.999, 0.9999)]
    ratio = (quantiles[1] - tail.threshold) / (quantiles[0] - tail.threshold)
    shape = brentq(
        lambda x: math.expm1(x * growth[1]) / math.expm1(x * growth[0]) - ratio, 0.2, 0.8
    )
    return shape, (quantiles[0] - tail.threshold) * shape / math.expm1(shape * growth[0])


@pytest.mark.parametrize(
    ("threshold", "shape", "scale", "count", "digits"),
    [(20, 0.684, 9.635, 36, 3), (3, 0.668, 2.189, 532, 3), (6, 0.4699, 5.8457, 186, 4)],
)
def test_kat4_other_thresholds(danish, threshold, shape, scale, count, digits):
    tail = fit_tail(danish, threshold)
    assert tail.count == count
    assert tail.shape == pytest.approx(shape, abs=0.51 * 10**-digits)
    assert tail.scale == pytest.approx(scale, abs=0.51 * 10**-digits)


def test_kat4_stop_loss(danish):
    tail = fit_tail(danish, 10.0)
    assert tail.stop_loss(27.29) == pytest.approx(0.30950, abs=5e-6)
    assert tail.stop_loss(94.34) == pytest.approx(0.097195, abs=5e-7)


def test_kat4_intervals(danish):
    """Profile intervals are skewed: further up than down, ES more than the quantile."""
    tail = fit_tail(danish, 10.0)
    shape = tail.shape_band()
    assert shape.lower == pytest.approx(0.2745, abs=2e-4)
    assert shape.upper == pytest.approx(0.8189, abs=2e-4)
    quantile, shortfall = tail.quantile_band(0.999), tail.expected_shortfall_band(0.999)
    for band in (quantile, shortfall):
        assert band.lower < band.estimate < band.upper
        assert band.upper - band.estimate > 2 * (band.estimate - band.lower)
    assert shortfall.upper > 4 * shortfall.estimate


def test_interval_ends_lie_on_the_profile(danish):
    """At both ends of the shape's interval the profile is chi-square/2 below the maximum."""
    tail = fit_tail(danish, 10.0)
    band = tail.shape_band()
    drop = stats.chi2.ppf(0.95, 1) / 2
    for shape in (band.lower, band.upper):
        scales = np.geomspace(1.0, 30.0, 4001)
        profile = max(loglik(shape, b, tail.excesses) for b in scales)
        assert tail.loglik - profile == pytest.approx(drop, abs=1e-4)


def test_threshold_rule_on_danish(danish):
    """The rule lands where McNeil read it from the mean-excess plot: about 10 million."""
    tail = choose_threshold(danish, (0.7, 0.8, 0.9, 0.95, 0.98, 0.99))
    assert tail.threshold == pytest.approx(10.0, abs=0.2)
    rows = threshold_table(danish, (0.9, 0.99), replications=19)
    assert "22 losses beyond" in rows[1].refusal and math.isnan(rows[1].shape)
    assert rows[0].mean_excess == pytest.approx(
        danish[danish > rows[0].threshold].mean() - rows[0].threshold
    )


# -- crypto regression values ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "threshold", "shape", "scale", "p999", "p9999", "largest"),
    [
        ("btc", 0.03046, 0.3786, 0.011685, (0.0734, 0.1184), (0.1762, 0.2837), 0.2934),
        ("eth", None, 0.3914, 0.014381, (0.0920, 0.1502), (0.2243, 0.3677), 0.3996),
    ],
)
def test_crypto_hourly(request, name, threshold, shape, scale, p999, p9999, largest):
    bars = request.getfixturevalue(f"{name}_hourly")
    losses = long_simple_losses(bars[:, 0], bars[:, 2])
    tail = fit_tail(losses, float(np.quantile(losses, 0.99)))
    assert (losses.size, tail.count) == (37_660, 377)
    if threshold is not None:
        assert tail.threshold == pytest.approx(threshold, abs=5e-6)
    assert tail.shape == pytest.approx(shape, abs=5.1e-5)
    assert tail.scale == pytest.approx(scale, abs=5.1e-7)
    for level, expected in ((0.999, p999), (0.9999, p9999)):
        got = (tail.quantile(level), tail.expected_shortfall(level))
        assert got == pytest.approx(expected, abs=5.1e-5)
    assert losses.max() == pytest.approx(largest, abs=5.1e-5)
    if name == "btc":
        assert np.quantile(losses, 0.9999) == pytest.approx(0.1780, abs=5e-5)


def test_daily_simple_losses_pass_one_hundred_percent_and_log_losses_never(eth_hourly):
    """Daily ETH: the simple-return ES 99.99 % is 110.5 % of the position, which cannot be lost."""
    days = np.array_split(eth_hourly, range(24, len(eth_hourly), 24))
    opens = np.array([day[0, 0] for day in days])
    lows = np.array([day[:, 2].min() for day in days])
    simple = long_simple_losses(opens, lows)
    naive = fit_tail(simple, float(np.quantile(simple, 0.95)))
    assert naive.expected_shortfall(0.9999) == pytest.approx(1.105, abs=5e-4)
    logs = long_log_losses(opens, lows)
    honest = fit_tail(logs, float(np.quantile(logs, 0.95)))
    assert honest.expected_shortfall(0.9999) > 1.0  # a log loss may exceed 1 ...
    assert honest.simple_expected_shortfall(0.9999) == pytest.approx(
        0.808, abs=5e-4
    )  # ... this not


# -- the maximiser -----------------------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(st.floats(-0.2, 0.8), st.floats(1e-4, 1e4), st.integers(0, 10_000))
def test_no_grid_point_beats_the_maximiser(shape, scale, seed):
    excesses = _gpd_sample(shape, scale, 200, seed)
    best_shape, best_scale, best = fit_gpd(excesses)
    grid = [
        loglik(best_shape + dx, best_scale * math.exp(db), excesses)
        for dx in np.linspace(-0.3, 0.3, 13)
        for db in np.linspace(-0.3, 0.3, 13)
    ]
    assert max(grid) <= best + 1e-9
    assert best == pytest.approx(loglik(best_shape, best_scale, excesses))


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.4, 1.5])
def test_likelihood_and_distribution_agree_with_scipy(shape):
    law = stats.genpareto(shape, scale=2.5)
    excesses = np.array([0.1, 1.0, 4.0, 6.0])
    assert loglik(shape, 2.5, excesses) == pytest.approx(law.logpdf(excesses).sum(), rel=1e-12)
    assert cdf(shape, 2.5, excesses) == pytest.approx(law.cdf(excesses), rel=1e-9)
    assert loglik(shape, 0.0, excesses) == loglik(-0.5, 2.0, excesses) == -math.inf


def test_exponential_data_have_the_mean_as_scale():
    """Shape exactly 0 is where the profile passes through theta = 0, not a special case."""
    excesses = -np.log1p(-(np.arange(2000) + 0.5) / 2000)
    shape, scale, value = fit_gpd(excesses)
    assert shape == pytest.approx(0.0, abs=0.01)
    assert scale == pytest.approx(1.0, abs=0.01)
    assert value >= loglik(0.0, float(excesses.mean()), excesses)


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.25, 0.6])
def test_fit_recovers_the_parameters(shape):
    got_shape, got_scale, _ = fit_gpd(_gpd_sample(shape, 3.0, 20_000, 1))
    error = (1 + shape) / math.sqrt(20_000)
    assert got_shape == pytest.approx(shape, abs=4 * error)
    assert got_scale == pytest.approx(3.0, rel=0.06)


def test_fit_does_not_depend_on_the_unit():
    excesses = _gpd_sample(0.3, 1.0, 500, 2)
    shape, scale, value = fit_gpd(excesses)
    wide_shape, wide_scale, wide_value = fit_gpd(excesses * 1e9)
    assert wide_shape == pytest.approx(shape, rel=1e-9)
    assert wide_scale == pytest.approx(scale * 1e9, rel=1e-9)
    assert wide_value == pytest.approx(value - 500 * math.log(1e9), rel=1e-12)


def test_profile_interval_of_the_shape_covers():
    hits = 0
    for seed in range(100):
        tail = fit_tail(_gpd_sample(0.4, 1.0, 150, seed), 0.0)
        band = tail.shape_band(0.9)
        hits += band.lower <= 0.4 <= band.upper
    assert 0.81 < hits / 100 < 0.97


# -- formulas of the fitted tail ---------------------------------------------------------------


def _tail(shape: float, scale: float = 0.02, threshold: float = 0.03) -> GpdTail:
    return GpdTail(threshold, shape, scale, 0.0, 10_000, np.full(100, 0.01))


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.4])
def test_formulas_are_consistent_integrals(shape):
    tail = _tail(shape)
    quantile = tail.quantile(0.999)
    assert tail.survival(quantile) == pytest.approx(0.001, rel=1e-12)
    stop, _ = integrate.quad(tail.survival, quantile, np.inf, limit=400)
    assert tail.stop_loss(quantile) == pytest.approx(stop, rel=1e-6)
    shortfall = quantile + tail.stop_loss(quantile) / 0.001
    assert tail.expected_shortfall(0.999) == pytest.approx(shortfall, rel=1e-10)
    closed = gpd_tail(0.9, shape, 0.02, 0.03)  # 99.9 % of all is 90 % of the excesses
    assert (quantile, tail.expected_shortfall(0.999)) == pytest.approx(closed, rel=1e-10)


def test_simple_losses_from_a_log_tail_match_simulation():
    tail = _tail(0.4)
    draws = tail.sample(400_000, np.random.default_rng(0))
    simple = 1 - np.exp(-draws)
    assert tail.simple_stop_loss(0.05) == pytest.approx(
        tail.exceedance * np.maximum(simple - 0.05, 0).mean(), rel=0.02
    )
    # level 99.9 % of everything = 90 % of what lies beyond the threshold
    assert tail.simple_expected_shortfall(0.999) == pytest.approx(cvar(simple, 0.9), rel=0.02)


@settings(deadline=None, max_examples=40)
@given(st.floats(-0.3, 3.0), st.floats(0.001, 5.0), st.sampled_from([0.99, 0.999, 0.999999]))
def test_a_long_never_loses_more_than_everything(shape, scale, level):
    tail = _tail(shape, scale)
    value = tail.simple_expected_shortfall(level)
    assert simple_loss(tail.quantile(level)) - 1e-9 <= value <= 1.0


def test_gpd_tail_beats_the_empirical_tail_far_out():
    """CVaR 99.9 % of t3 from 5,000 losses: the fitted tail has the smaller relative error."""
    from backstop.risk.cvar import student_tail

    truth = student_tail(0.999, 3).cvar
    plain, fitted = [], []
    for seed in range(120):
        losses = np.random.default_rng(seed).standard_t(3, 5000)
        plain.append(cvar(losses, 0.999) / truth - 1)
        threshold = float(np.quantile(losses, 0.95))
        fitted.append(semi_parametric_cvar(losses, 0.999, threshold) / truth - 1)
    assert np.mean(np.abs(fitted)) < 0.9 * np.mean(np.abs(plain))


# -- goodness of fit ---------------------------------------------------------------------------


def test_goodness_of_fit_accepts_gpd_and_refuses_a_mixture():
    good = fit_tail(_gpd_sample(0.3, 1.0, 400, 5), 0.0)
    assert goodness_of_fit(good, 99) > 0.05
    rng = np.random.default_rng(5)
    lumps = np.concatenate([rng.exponential(1.0, 300), rng.uniform(2.95, 3.05, 100)])
    assert goodness_of_fit(fit_tail(lumps, 0.0), 99) <= 0.02


def test_no_threshold_fits_names_every_candidate():
    rng = np.random.default_rng(6)
    lumps = np.concatenate([rng.uniform(0, 1, 900), rng.uniform(4.9, 5.1, 100)])
    with pytest.raises(FitDidNotConverge, match=r"q90: .*q95: "):
        choose_threshold(lumps, (0.90, 0.95), replications=19)


# -- refusals ----------------------------------------------------------------------------------


def test_fewer_than_thirty_excesses_are_refused():
    losses = np.linspace(0, 1, 1000)
    with pytest.raises(TooFewTailPoints, match="29 losses beyond") as caught:
        fit_tail(losses, losses[-30])
    assert "lower the threshold" in caught.value.remedy


def test_bounded_samples_are_refused():
    """Uniform excesses have shape -1: no interior maximum."""
    with pytest.raises(FitDidNotConverge, match="bounded"):
        fit_tail(np.random.default_rng(0).random(1000), 0.2)
    with pytest.raises(FitDidNotConverge, match="equal"):
        fit_gpd(np.full(50, 2.0))


def test_infinite_mean_is_refused_but_the_quantile_is_not():
    tail = _tail(1.2)
    assert tail.quantile(0.9999) > tail.threshold
    for call in (tail.expected_shortfall, tail.expected_shortfall_band):
        with pytest.raises(InfiniteMean, match="publish the quantile"):
            call(0.999)
    with pytest.raises(InfiniteMean):
        tail.stop_loss(1.0)


def test_unbounded_shortfall_interval_is_infinite():
    """36 excesses over 20 million: shapes above 1 cannot be excluded, nor can any ES."""
    tail = fit_tail(_gpd_sample(0.8, 1.0, 60, 4), 0.0)
    assert tail.shape < 1 < tail.shape_band().upper
    band = tail.expected_shortfall_band(0.999)
    assert math.isinf(band.upper) and band.lower < band.estimate


def test_levels_below_the_threshold_are_refused():
    tail = _tail(0.3)
    with pytest.raises(BelowThreshold, match=r"0\.99"):
        tail.quantile(0.98)
    with pytest.raises(BelowThreshold):
        tail.stop_loss(0.01)
    with pytest.raises(BelowThreshold):
        tail.simple_stop_loss(0.01)
    assert tail.quantile(0.99) == pytest.approx(tail.threshold)


def test_loss_definitions():
    assert long_log_losses([100.0], [50.0])[0] == pytest.approx(math.log(2))
    assert simple_loss(long_log_losses([100.0], [50.0])[0]) == pytest.approx(0.5)
    assert long_simple_losses([100.0], [50.0])[0] == 0.5
    assert short_losses([100.0], [300.0])[0] == 2.0
    with pytest.raises(BadInput):
        long_log_losses([100.0], [0.0])
    with pytest.raises(BadInput):
        short_losses([100.0], [101.0, 102.0])
    with pytest.raises(BadInput):
        fit_gpd([1.0, 0.0])
