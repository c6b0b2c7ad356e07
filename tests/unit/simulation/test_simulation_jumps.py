"""Correlated jump diffusions: moments, tails, common jumps, correlation matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backstop.risk.options import JumpDiffusion
from backstop.simulation.errors import PathError
from backstop.simulation.paths import MertonJumps, correlation_root, uniform_correlation


def test_jump_diffusion_has_its_moments() -> None:
    """Mean of the price 1, variance of the log price as Merton's, correlation by its formula."""
    d = JumpDiffusion(sigma=0.9, intensity=600.0, mean_log=-0.01, sd_log=0.03)
    source = MertonJumps.of([d, d], 0.5, 24 * 60, common=0.4)
    ends = np.array([source.path(11, i)[-1] for i in range(6_000)])
    day = 1 / 365
    assert np.exp(ends).mean(axis=0) == pytest.approx(1.0, abs=4 * ends.std() / math.sqrt(6_000))
    variance = d.total_variance_rate * day
    assert ends.var(axis=0) == pytest.approx(variance, rel=0.1)
    jump_part = 0.4 * d.intensity * (d.mean_log**2 + d.sd_log**2)
    wanted = (0.5 * d.sigma**2 + jump_part) * day / variance
    assert np.corrcoef(ends.T)[0, 1] == pytest.approx(wanted, abs=0.04)


def test_jump_diffusion_has_mertons_tails() -> None:
    """Third and fourth cumulants of a day: intensity times the moments of a jump."""
    d = JumpDiffusion(sigma=0.3, intensity=730.0, mean_log=-0.02, sd_log=0.01)
    source = MertonJumps.of([d], 0.0, 24 * 60)
    ends = np.array([source.path(13, i)[-1, 0] for i in range(8_000)])
    m, s, count = d.mean_log, d.sd_log, d.intensity / 365
    variance = d.total_variance_rate / 365
    skew = count * (m**3 + 3 * m * s**2) / variance**1.5
    kurtosis = count * (m**4 + 6 * m**2 * s**2 + 3 * s**4) / variance**2
    z = (ends - ends.mean()) / ends.std()
    assert (z**3).mean() == pytest.approx(skew, rel=0.15)
    assert (z**4).mean() - 3 == pytest.approx(kurtosis, rel=0.3)


def test_number_of_jumps_and_the_share_that_is_common() -> None:
    """Two markets of 2 and 1 jumps a day, half of the smaller number shared."""
    often, seldom = (JumpDiffusion(1e-6, 365.0 * n, -0.05, 0.0) for n in (2, 1))
    source = MertonJumps.of([often, seldom], 0.0, 24 * 60, common=0.5)
    hits = np.array(
        [np.abs(np.diff(source.path(3, i), axis=0, prepend=0.0)) > 0.02 for i in range(2_000)]
    )
    a_day = hits.sum(axis=1).mean(axis=0)
    assert a_day == pytest.approx([2.0, 1.0], rel=0.08)
    assert hits.all(axis=2).sum(axis=1).mean() == pytest.approx(0.5, rel=0.12)


def test_three_markets_have_the_given_correlations() -> None:
    wanted = np.array([[1.0, 0.8, -0.3], [0.8, 1.0, 0.1], [-0.3, 0.1, 1.0]])
    plain = [JumpDiffusion(sigma, 0.0, 0.0, 0.1) for sigma in (0.5, 0.9, 1.4)]
    moves = np.diff(MertonJumps.of(plain, wanted, 40_000).path(1, 1), axis=0)
    np.testing.assert_allclose(np.corrcoef(moves.T), wanted, atol=0.02)
    minutes = 365 * 24 * 60
    np.testing.assert_allclose(moves.std(axis=0) * math.sqrt(minutes), [0.5, 0.9, 1.4], rtol=0.02)


def test_common_jumps_come_together() -> None:
    d = JumpDiffusion(sigma=1e-6, intensity=2_000.0, mean_log=-0.05, sd_log=0.0)
    for common, shared in ((1.0, True), (0.0, False)):
        path = MertonJumps.of([d, d], 0.0, 3_000, common=common).path(1, 1)
        hits = np.abs(np.diff(path, axis=0)) > 0.01
        assert np.array_equal(hits[:, 0], hits[:, 1]) is shared
        assert hits[:, 0].sum() > 3


def test_correlation_matrices_are_checked() -> None:
    root = correlation_root(uniform_correlation(3, 0.5), 3)
    np.testing.assert_allclose(root @ root.T, uniform_correlation(3, 0.5))
    with pytest.raises(PathError, match="positive definite"):
        correlation_root(uniform_correlation(3, -0.9), 3)
    with pytest.raises(PathError, match="symmetric"):
        correlation_root(np.array([[1.0, 0.2], [0.3, 1.0]]), 2)
    with pytest.raises(PathError, match="symmetric"):
        correlation_root(np.eye(2), 3)
