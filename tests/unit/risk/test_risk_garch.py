"""GARCH: KAT-5 and agreement with `arch`, the persistence bound, the fallback, simulation."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy import stats

from backstop.risk.errors import BadInput, TooFewTailPoints
from backstop.risk.garch import (
    MAX_PERSISTENCE,
    _Problem,
    fit_ewma,
    fit_garch,
    fit_volatility,
    simulate,
)
from backstop.risk.tails import fit_tail


def _garch_path(
    count: int, omega: float, alpha: float, beta: float, seed: int, dof: float = math.inf
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(count)
    if math.isfinite(dof):
        noise = rng.standard_t(dof, count) * math.sqrt((dof - 2) / dof)
    variance, path = omega / (1 - alpha - beta), np.empty(count)
    for i in range(count):
        path[i] = math.sqrt(variance) * noise[i]
        variance = omega + alpha * path[i] ** 2 + beta * variance
    return path + 0.05


def test_kat5_sp500():
    """S&P 500 1999-01-04..2018-12-31, as shipped with `arch` 8 (our optional extra)."""
    sp500 = pytest.importorskip("arch.data.sp500", reason="optional extra `calibrate` (arch)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prices = sp500.load()["Adj Close"]
    returns = 100 * prices.pct_change().dropna().to_numpy()
    fit = fit_garch(returns)
    assert returns.size == 5030
    assert fit.mu == pytest.approx(0.056353, abs=1e-6)
    assert fit.omega == pytest.approx(0.017507, abs=1e-6)
    assert fit.alpha == pytest.approx(0.10215, abs=1e-6)
    assert fit.beta == pytest.approx(0.885206, abs=1e-6)
    assert fit.loglik == pytest.approx(-6936.7185, abs=5e-5)
    assert not fit.at_bound


@pytest.mark.parametrize("distribution", ["normal", "t"])
def test_agrees_with_arch_on_simulated_data(distribution):
    arch = pytest.importorskip("arch", reason="optional extra `calibrate` (arch)")
    returns = _garch_path(3000, 0.05, 0.08, 0.88, 1, 5.0 if distribution == "t" else math.inf)
    theirs = arch.arch_model(returns, dist=distribution, rescale=False).fit(disp="off")
    ours = fit_garch(returns, distribution)
    assert ours.loglik == pytest.approx(theirs.loglikelihood, abs=1e-3)
    assert ours.loglik >= theirs.loglikelihood - 1e-5  # ours is at least as high
    got = [ours.mu, ours.omega, ours.alpha, ours.beta]
    assert got == pytest.approx(theirs.params.to_numpy()[:4], rel=5e-3)
    assert ours.sigma == pytest.approx(np.asarray(theirs.conditional_volatility), rel=2e-3)


def test_recovers_the_parameters():
    fit = fit_garch(_garch_path(20_000, 0.05, 0.08, 0.88, 3))
    assert fit.alpha == pytest.approx(0.08, abs=0.015)
    assert fit.beta == pytest.approx(0.88, abs=0.025)
    assert fit.long_run_sigma == pytest.approx(math.sqrt(0.05 / 0.04), rel=0.1)
    assert fit.residuals.std() == pytest.approx(1.0, abs=0.02)
    assert abs(stats.kurtosis(fit.residuals)) < 0.2


@pytest.mark.parametrize("student", [False, True])
def test_gradient_is_the_derivative(student):
    problem = _Problem(_garch_path(400, 0.05, 0.1, 0.85, 2), student)
    point = np.array([0.02, math.log(0.04), 0.93, 0.12] + ([5.0] if student else []))
    _, gradient = problem.value_and_gradient(point)
    for i in range(point.size):
        step = np.zeros(point.size)
        step[i] = 1e-6
        up, down = (problem.value_and_gradient(point + s * step)[0] for s in (1, -1))
        assert gradient[i] == pytest.approx((up - down) / 2e-6, rel=1e-4, abs=1e-8)


def test_fit_does_not_depend_on_the_unit():
    returns = _garch_path(2000, 0.05, 0.1, 0.85, 4)
    fit, tiny = fit_garch(returns), fit_garch(returns * 1e-4)
    assert tiny.alpha == pytest.approx(fit.alpha, rel=1e-6)
    assert tiny.omega == pytest.approx(fit.omega * 1e-8, rel=1e-6)
    assert tiny.loglik == pytest.approx(fit.loglik + 2000 * math.log(1e4), rel=1e-9)


def test_hourly_crypto_runs_into_the_persistence_bound(btc_hourly, eth_hourly):
    """A free t-GARCH gives BTC .0736 + .9265 > 1; ours stays at .999, and residuals stay fat."""
    shapes, fits = [], []
    for bars in (btc_hourly, eth_hourly):
        fit = fit_garch(np.diff(np.log(bars[:, 3])), "t")
        assert fit.at_bound and fit.persistence == pytest.approx(MAX_PERSISTENCE, abs=1e-12)
        losses = -fit.residuals
        shapes.append(fit_tail(losses, float(np.quantile(losses, 0.99))).shape)
        fits.append(fit)
    assert shapes == pytest.approx([0.226, 0.233], abs=4e-3)
    assert (fits[0].alpha, fits[0].beta) == pytest.approx((0.0736, 0.9265), abs=1.5e-3)


def test_a_random_walk_in_variance_hits_the_bound():
    path = _garch_path(2000, 1e-6, 0.1, 0.8999, 5)
    fit = fit_garch(path)
    assert fit.persistence <= MAX_PERSISTENCE
    assert math.isfinite(fit.long_run_sigma)


# -- EWMA ----------------------------------------------------------------------------------------


def test_ewma_by_hand():
    returns = np.array([1.0, -1.0, 2.0, -2.0])  # mean 0
    fit = fit_ewma(returns, 0.5)
    weights = 0.94 ** np.arange(4)
    start = weights @ returns**2 / weights.sum()
    expected = [start]
    for r in returns:
        expected.append(0.5 * expected[-1] + 0.5 * r**2)
    assert fit.sigma**2 == pytest.approx(expected[:4])
    assert fit.next_variance == pytest.approx(expected[4])
    assert math.isinf(fit.long_run_sigma)


def test_short_history_falls_back_and_says_why():
    fit = fit_volatility(np.random.default_rng(0).standard_normal(60))
    assert fit.method == "ewma" and "100 are needed" in fit.reason
    assert fit_volatility(_garch_path(500, 0.05, 0.1, 0.8, 0)).method == "garch"


# -- filtered historical simulation --------------------------------------------------------------


def test_simulation_has_the_volatility_of_the_last_state():
    fit = fit_garch(_garch_path(4000, 0.05, 0.1, 0.85, 6))
    one = simulate(fit, 1, 200_000, np.random.default_rng(0))
    # residuals of a fitted model are nearly, not exactly, standardised
    centred = fit.residuals - fit.residuals.mean()
    expected = math.sqrt(fit.next_variance) * math.sqrt((centred**2).mean())
    assert one.std() == pytest.approx(expected, rel=0.01)
    assert simulate(fit, 3, 5, np.random.default_rng(1)).shape == (5, 3)


def test_simulated_variance_reverts_to_the_long_run():
    fit = fit_garch(_garch_path(4000, 0.05, 0.1, 0.80, 7))
    noise = np.random.default_rng(2).standard_normal((40_000, 60))
    far = simulate(fit, 60, 40_000, np.random.default_rng(0), noise)[:, -1]
    assert far.std() == pytest.approx(fit.long_run_sigma, rel=0.03)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: fit_garch(np.zeros(200)), BadInput),
        (lambda: fit_garch(np.ones(50)), TooFewTailPoints),
        (lambda: fit_garch(np.full(200, np.nan)), BadInput),
        (lambda: fit_ewma([1.0, 2.0], 1.0), BadInput),
        (lambda: fit_ewma(np.zeros(10)), BadInput),
        (lambda: simulate(fit_ewma([1.0, -1.0]), 0, 5, np.random.default_rng(0)), BadInput),
        (
            lambda: simulate(
                fit_ewma([1.0, -1.0]), 2, 5, np.random.default_rng(0), np.zeros((5, 3))
            ),
            BadInput,
        ),
    ],
)
def test_bad_input(call, error):
    with pytest.raises(error, match="Remedy:"):
        call()
