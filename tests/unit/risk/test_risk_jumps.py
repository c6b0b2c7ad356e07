"""Threshold estimator of jumps: recovers what was simulated, and prices real markets sensibly."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backstop.risk.errors import BadInput, TooFewTailPoints
from backstop.risk.jumps import bipower_sigma, fit_jumps
from backstop.risk.options import JumpDiffusion, merton_put
from backstop.risk.tails import fit_tail, long_log_losses

HOURS = 8760.0


def _returns(model: JumpDiffusion, bars: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    count = rng.poisson(model.intensity / HOURS, bars)
    size = model.mean_log * count + model.sd_log * np.sqrt(count) * rng.standard_normal(bars)
    return model.sigma / math.sqrt(HOURS) * rng.standard_normal(bars) + size


def test_recovers_simulated_jumps():
    model = JumpDiffusion(0.6, 40.0, -0.12, 0.02)
    fit = fit_jumps(_returns(model, 200_000, 1), 1.0)
    assert fit.sigma == pytest.approx(0.6, rel=0.02)
    assert fit.intensity == pytest.approx(40.0, rel=0.1)
    assert fit.mean_log == pytest.approx(-0.12, abs=0.003)
    assert fit.sd_log == pytest.approx(0.02, abs=0.003)


def test_bipower_ignores_jumps_where_the_standard_deviation_does_not():
    model = JumpDiffusion(0.6, 40.0, -0.08, 0.03)
    returns = _returns(model, 200_000, 2)
    truth = 0.6 / math.sqrt(HOURS)
    assert truth < bipower_sigma(returns) < 1.1 * truth
    assert returns.std() > 1.3 * truth


def test_no_jumps_in_a_diffusion():
    fit = fit_jumps(_returns(JumpDiffusion(0.6, 0.0, 0.0, 0.0), 50_000, 3), 1.0, threshold=6.0)
    assert fit.intensity == 0.0 and fit.sigma == pytest.approx(0.6, rel=0.02)


def test_one_side_keeps_only_its_jumps():
    up = _returns(JumpDiffusion(0.6, 40.0, 0.08, 0.01), 100_000, 4)
    down = _returns(JumpDiffusion(0.6, 20.0, -0.08, 0.01), 100_000, 5)
    mixed = np.concatenate([up, down])
    assert fit_jumps(mixed, 1.0, side="up").mean_log == pytest.approx(0.08, abs=0.003)
    assert fit_jumps(mixed, 1.0, side="down").mean_log == pytest.approx(-0.08, abs=0.003)
    both = fit_jumps(mixed, 1.0)
    parts = [fit_jumps(mixed, 1.0, side=s).intensity for s in ("up", "down")]
    assert both.intensity == pytest.approx(sum(parts))


def test_bars_of_any_length_give_yearly_figures():
    returns = _returns(JumpDiffusion(0.6, 40.0, -0.08, 0.03), 100_000, 6)
    hourly, four = fit_jumps(returns, 1.0), fit_jumps(returns, 4.0)
    assert four.intensity == pytest.approx(hourly.intensity / 4)
    assert four.sigma == pytest.approx(hourly.sigma / 2)


def test_normal_jumps_underprice_what_the_tail_has_seen(btc_hourly, eth_hourly):
    """An hour's cover at 10x: the fitted model stays far below the stop-loss premium of the tail.

    Gaussian jump sizes forget the largest hours, which is why a premium is the larger of both.
    """
    for bars in (btc_hourly, eth_hourly):
        model = fit_jumps(np.diff(np.log(bars[:, 3])), 1.0, side="down")
        assert 20 < model.intensity < 30
        assert -0.07 < model.mean_log < -0.05
        premium = merton_put(1.0, 0.9, 1 / HOURS, model)
        losses = long_log_losses(bars[:, 0], bars[:, 2])
        tail = fit_tail(losses, float(np.quantile(losses, 0.99)))
        assert 0 < 10 * premium < tail.simple_stop_loss(0.1)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: fit_jumps(np.ones(10), 1.0), TooFewTailPoints),
        (lambda: fit_jumps(np.zeros(600), 1.0), BadInput),
        (lambda: fit_jumps(np.ones(600), 1.0, side="left"), BadInput),
        (lambda: fit_jumps(np.ones(600), 0.0), BadInput),
        (lambda: bipower_sigma([1.0]), BadInput),
    ],
)
def test_bad_input(call, error):
    with pytest.raises(error, match="Remedy:"):
        call()
