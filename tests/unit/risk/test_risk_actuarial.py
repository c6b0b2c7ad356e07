"""Aggregate losses and ruin: KAT-15 and KAT-16."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from backstop.risk.actuarial import (
    adjustment_coefficient,
    panjer,
    ruin_probability_exponential,
)
from backstop.risk.errors import BadInput, InfiniteMean

THIRDS = [0.0, 1 / 3, 1 / 3, 1 / 3]


def _by_convolution(mean: float, points: int) -> np.ndarray:
    """The same law without any recursion: sum over claim numbers of n-fold convolutions."""
    total, power = np.zeros(points + 1), np.array([1.0])
    for n in range(80):
        total[: power.size] += stats.poisson.pmf(n, mean) * power[: points + 1]
        power = np.convolve(power, THIRDS)[: points + 1]
    return total


def test_kat15_probabilities():
    aggregate = panjer(THIRDS, 60, mean=2.0)
    expected = [
        0.13533528, 0.09022352, 0.12029803, 0.15705576,
        0.11138706, 0.10485236, 0.08875486, 0.06024960,
    ]  # fmt: skip
    assert aggregate.probabilities[:8] == pytest.approx(expected, abs=5.1e-9)
    assert aggregate.var(0.99) == 13
    assert aggregate.cdf(13) == pytest.approx(0.993340, abs=5e-7)
    assert aggregate.mean() == pytest.approx(4.0, rel=1e-12)


def test_kat15_shortfall_and_stop_loss_exact():
    """The full distribution gives ES 99 % 14.462157 and stop-loss .219179."""
    aggregate = panjer(THIRDS, 60, mean=2.0)
    assert aggregate.expected_shortfall(0.99) == pytest.approx(14.462157, abs=5e-7)
    assert aggregate.stop_loss(8) == pytest.approx(0.219179, abs=5e-7)
    direct = _by_convolution(2.0, 60)
    grid = np.arange(61)
    shortfall = 13 + (direct * np.maximum(grid - 13, 0)).sum() / 0.01
    assert aggregate.expected_shortfall(0.99) == pytest.approx(shortfall, rel=1e-12)


def test_kat15_printed_values_are_a_grid_cut_at_thirty():
    """Published 14.462054 and .219178 come from 30 points: the mass beyond is missing."""
    short = panjer(THIRDS, 30, mean=2.0)
    g, grid = short.probabilities, np.arange(31)
    atom = (g[:14].sum() - 0.99) * 13
    assert (atom + (g * grid)[14:].sum()) / 0.01 == pytest.approx(14.462054, abs=5e-7)
    assert short.stop_loss(8) == pytest.approx(0.219178, abs=5e-7)
    assert short.missing > 1e-9


def test_kat16_ruin():
    assert ruin_probability_exponential(10, 0.25, 1.0) == pytest.approx(0.1082682, abs=5e-8)
    assert ruin_probability_exponential(0, 0.25, 1.0) == pytest.approx(0.8)
    assert ruin_probability_exponential(1e6, 0.0, 1.0) == 1.0


def test_ruin_matches_simulation():
    """Cramer-Lundberg through its ladder: ruin = P(geometric sum of exponentials > u)."""
    rng = np.random.default_rng(0)
    ladders = rng.geometric(0.2, 200_000) - 1  # P(N = n) = .2 * .8^n
    heights = rng.gamma(np.maximum(ladders, 1e-12))
    ruined = ((heights > 10) & (ladders > 0)).mean()
    assert ruined == pytest.approx(ruin_probability_exponential(10, 0.25, 1.0), abs=0.003)


def test_adjustment_coefficient_of_exponential_claims():
    """R = theta/((1 + theta) mu), the exponent of KAT-16."""
    r = adjustment_coefficient(lambda x: -math.log1p(-2.0 * x), 2.0, 0.25, 0.5)
    assert r == pytest.approx(0.25 / (1.25 * 2.0), rel=1e-10)
    with pytest.raises(InfiniteMean, match="exponential moment"):
        adjustment_coefficient(lambda x: math.inf, 2.0, 0.25, 0.0)


# -- the whole (a, b, 0) class -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frequency", "size", "law"),
    [
        ("poisson", 1.0, stats.poisson(3.0)),
        ("binomial", 10.0, stats.binom(10, 0.3)),
        ("negative_binomial", 2.5, stats.nbinom(2.5, 2.5 / 5.5)),
    ],
)
def test_unit_claims_reproduce_the_claim_number(frequency, size, law):
    aggregate = panjer([0.0, 1.0], 40, frequency=frequency, mean=3.0, size=size)
    assert aggregate.probabilities == pytest.approx(law.pmf(np.arange(41)), abs=1e-12)


@pytest.mark.parametrize("frequency", ["poisson", "binomial", "negative_binomial"])
def test_claims_of_zero_thin_the_number(frequency):
    """Half of the claims are 0: same as half as many claims of 1 (all three classes thin)."""
    size = 8.0
    thinned = panjer([0.5, 0.5], 30, frequency=frequency, mean=4.0, size=size)
    if frequency == "binomial":
        law = stats.binom(8, 0.25).pmf(np.arange(31))
    elif frequency == "poisson":
        law = stats.poisson(2.0).pmf(np.arange(31))
    else:
        law = stats.nbinom(8, 8 / 10).pmf(np.arange(31))
    assert thinned.probabilities == pytest.approx(law, abs=1e-12)


def test_large_means_do_not_underflow():
    aggregate = panjer([0.0, 1.0], 2400, mean=2000.0)
    assert aggregate.probabilities == pytest.approx(
        stats.poisson(2000).pmf(np.arange(2401)), abs=1e-12
    )
    assert aggregate.var(0.99) == stats.poisson(2000).ppf(0.99)
    binomial = panjer([0.0, 1.0], 2400, frequency="binomial", mean=2000.0, size=4001)
    law = stats.binom(4001, 2000 / 4001).pmf(np.arange(2401))
    assert binomial.probabilities == pytest.approx(law, abs=1e-12)


def test_step_is_the_money_unit():
    aggregate = panjer(THIRDS, 60, mean=2.0, step=1e5)
    assert aggregate.var(0.99) == 13e5
    assert aggregate.stop_loss(8e5) == pytest.approx(0.219179e5, rel=5e-6)


def test_levels_beyond_the_grid_are_refused():
    with pytest.raises(BadInput, match="longer grid"):
        panjer(THIRDS, 8, mean=2.0).var(0.99)


@pytest.mark.parametrize(
    "call",
    [
        lambda: panjer([0.5, 0.4], 10, mean=1.0),
        lambda: panjer([1.5, -0.5], 10, mean=1.0),
        lambda: panjer([0.0, 1.0], 10, frequency="binomial", mean=3.0, size=3),
        lambda: panjer([0.0, 1.0], 10, frequency="negative_binomial", mean=3.0, size=0),
        lambda: panjer([0.0, 1.0], -1, mean=3.0),
        lambda: ruin_probability_exponential(-1, 0.2, 1.0),
    ],
)
def test_bad_input(call):
    with pytest.raises(BadInput, match="Remedy:"):
        call()
