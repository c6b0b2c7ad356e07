"""Backtests: published examples, sizes and powers, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from backstop.risk.backtest import (
    acerbi_szekely,
    acerbi_szekely_z1,
    acerbi_szekely_z2,
    binomial_p_value,
    christoffersen_conditional,
    christoffersen_independence,
    exceptions,
    kupiec,
)
from backstop.risk.cvar import normal_tail, student_scale, student_tail
from backstop.risk.errors import BadInput, TooFewTailPoints


def _jorion_hits() -> np.ndarray:
    """Jorion, Value at Risk, ch. 6: 252 days, 20 exceptions of a 95 % VaR, 6 follow another.

    Laid out so that among the 252 transitions (one day more) n01 = n10 = 14 and n11 = 6.
    """
    runs = [7] + [1] * 13
    series = [0]
    for run in runs:
        series += [1] * run + [0]
    return np.array(series + [0] * (253 - len(series)), dtype=float)


def test_kupiec_jorion_example():
    result = kupiec(20, 252, 0.95)
    assert result.statistic == pytest.approx(3.91, abs=5e-3)
    assert result.rejects(0.05) and not result.rejects(0.04)


@pytest.mark.parametrize(
    ("periods", "level", "low", "high"),
    # non-rejection regions at 95 %, Kupiec 1995, low < N < high; for 255 days at 1 % the paper
    # prints N < 7: it does not count too few exceptions as a failure there
    [(255, 0.99, 0, 7), (255, 0.95, 6, 21), (510, 0.99, 1, 11), (1000, 0.95, 37, 65)],
)
def test_kupiec_published_regions(periods, level, low, high):
    accepted = [x for x in range(periods) if not kupiec(x, periods, level).rejects(0.05)]
    assert (accepted[0], accepted[-1]) == (low + 1, high - 1)


def test_kupiec_extremes_are_finite():
    assert kupiec(0, 250, 0.99).statistic == pytest.approx(-2 * 250 * np.log(0.99))
    assert np.isfinite(kupiec(250, 250, 0.99).statistic)
    assert kupiec(5, 500, 0.99).statistic == pytest.approx(0.0, abs=1e-12)


def test_christoffersen_jorion_example():
    hits = _jorion_hits()
    assert hits.sum() == 20
    result = christoffersen_independence(hits)
    assert result.statistic == pytest.approx(9.53, abs=5e-3)
    joint = christoffersen_conditional(hits, 0.95)
    parts = kupiec(20, 253, 0.95).statistic + result.statistic
    assert joint.statistic == pytest.approx(parts)
    assert joint.p_value == pytest.approx(stats.chi2.sf(parts, 2))
    assert joint.rejects(0.01)


def test_christoffersen_sees_order_and_kupiec_does_not():
    clustered = np.zeros(500)
    clustered[:25] = 1
    spread = np.zeros(500)
    spread[::20] = 1
    assert christoffersen_independence(clustered).rejects(0.001)
    assert not christoffersen_independence(spread).rejects(0.05)
    assert kupiec(25, 500, 0.95) == kupiec(int(spread.sum()), 500, 0.95)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=60))
def test_statistics_are_likelihood_ratios(hits):
    result = christoffersen_conditional(hits, 0.9)
    assert result.statistic >= 0
    assert 0 <= result.p_value <= 1


def test_sizes_under_the_null():
    """Each test refuses a right model about as often as it says."""
    rng = np.random.default_rng(0)
    hits = (rng.random((600, 1000)) < 0.05).astype(float)
    coverage = np.mean([kupiec(int(h.sum()), 1000, 0.95).rejects() for h in hits])
    joint = np.mean([christoffersen_conditional(h, 0.95).rejects() for h in hits])
    assert 0.025 < coverage < 0.08
    assert 0.025 < joint < 0.09


# -- expected shortfall --------------------------------------------------------------------------


def test_acerbi_szekely_by_hand():
    losses, var, es = [1.0, 6.0, 2.0, 8.0], [5.0] * 4, [7.0] * 4
    assert acerbi_szekely_z1(losses, var, es) == pytest.approx(1 - (6 / 7 + 8 / 7) / 2)
    assert acerbi_szekely_z2(losses, var, es, 0.5) == pytest.approx(1 - (6 / 7 + 8 / 7) / (4 * 0.5))


def test_z2_critical_value_of_the_paper():
    """Acerbi and Szekely 2014: 5 % critical value about -0.7 at 97.5 %, n = 250, normal or t."""
    rng = np.random.default_rng(1)
    laws = {
        "normal": (normal_tail(0.975), lambda: rng.standard_normal(250)),
        "t10": (student_tail(0.975, 10), lambda: rng.standard_t(10, 250)),
    }
    for name, (tail, draw) in laws.items():
        z2 = [
            acerbi_szekely_z2(draw(), np.full(250, tail.var), np.full(250, tail.cvar), 0.975)
            for _ in range(4000)
        ]
        assert np.mean(z2) == pytest.approx(0.0, abs=0.03), name
        assert np.quantile(z2, 0.05) == pytest.approx(-0.70, abs=0.05), name


def test_es_test_refuses_a_normal_model_of_fat_tails_and_accepts_the_right_one():
    n = 1000
    normal, student = normal_tail(0.99), student_tail(0.99, 3, scale=student_scale(1.0, 3))
    losses = np.random.default_rng(4).standard_t(3, n) * student_scale(1.0, 3)

    def right(rng):
        return rng.standard_t(3, n) * student_scale(1.0, 3)

    wrong = acerbi_szekely(
        losses, np.full(n, normal.var), np.full(n, normal.cvar), 0.99,
        lambda rng: rng.standard_normal(n), replications=300,
    )  # fmt: skip
    good = acerbi_szekely(
        losses, np.full(n, student.var), np.full(n, student.cvar), 0.99, right, replications=300
    )
    assert wrong.rejects(0.05)
    assert wrong.statistic < good.statistic
    assert not good.rejects(0.05)


def test_exact_binomial():
    assert binomial_p_value(0, 100, 0.99) == 1.0
    assert binomial_p_value(1, 100, 0.99) == pytest.approx(1 - 0.99**100)


@pytest.mark.parametrize(
    "call",
    [
        lambda: kupiec(3, 0, 0.99),
        lambda: kupiec(-1, 10, 0.99),
        lambda: kupiec(11, 10, 0.99),
        lambda: christoffersen_independence([0.0, 0.5]),
        lambda: christoffersen_independence([1.0]),
        lambda: exceptions([1.0], [1.0, 2.0]),
        lambda: acerbi_szekely_z2([1.0], [0.5], [0.0], 0.99),
        lambda: acerbi_szekely_z2([1.0], [0.5], [1.0, 1.0], 0.99),
        lambda: binomial_p_value(11, 10, 0.99),
    ],
)
def test_bad_input(call):
    with pytest.raises(BadInput, match="Remedy:"):
        call()


def test_z1_without_exception_is_undefined():
    with pytest.raises(TooFewTailPoints):
        acerbi_szekely_z1([1.0], [2.0], [3.0])


def test_an_exception_is_strictly_beyond():
    assert exceptions([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]).tolist() == [0.0, 0.0, 1.0]
