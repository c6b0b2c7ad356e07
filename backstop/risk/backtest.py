"""Backtests of VaR and expected shortfall forecasts.

A backtest compares what a model said before each period with what happened. Exceptions are periods
whose loss exceeded the VaR forecast. All p-values are of the named asymptotic law, except
`acerbi_szekely`, which simulates the law under the model itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from .arrays import ArrayLike, FloatArray, as_sample, check_level
from .errors import BadInput, TooFewTailPoints


@dataclass(frozen=True, slots=True)
class TestResult:
    """Statistic, p-value and the counts it rests on."""

    __test__ = False

    name: str
    statistic: float
    p_value: float
    periods: int
    exceptions: int

    def rejects(self, size: float = 0.05) -> bool:
        """True when the model is refused at significance `size`."""
        return self.p_value < size


def exceptions(losses: ArrayLike, var_forecasts: ArrayLike) -> FloatArray:
    """1 where the loss exceeded its VaR forecast, else 0; shapes (n,) and (n,)."""
    actual, forecast = as_sample(losses, "losses"), as_sample(var_forecasts, "var_forecasts")
    if actual.size != forecast.size:
        raise BadInput(
            f"{actual.size} losses, {forecast.size} forecasts.", "pass one forecast per loss."
        )
    return (actual > forecast).astype(np.float64)


def kupiec(hits: int, periods: int, level: float) -> TestResult:
    """Proportion-of-failures test (Kupiec, J. Derivatives 1995): chi-square, 1 degree.

    LR = 2 log[(x/n)^x (1 - x/n)^(n-x) / (p^x (1 - p)^(n-x))], p = 1 - level, x = `hits` of n.
    """
    check_level(level)
    if periods <= 0 or not 0 <= hits <= periods:
        raise BadInput(f"{hits} exceptions in {periods} periods.", "pass 0 <= hits <= periods > 0.")
    expected = 1.0 - level
    statistic = 2.0 * (
        _log_binomial(hits, periods, hits / periods) - _log_binomial(hits, periods, expected)
    )
    statistic = max(statistic, 0.0)
    p_value = float(stats.chi2.sf(statistic, 1))
    return TestResult("Kupiec unconditional coverage", statistic, p_value, periods, hits)


def christoffersen_independence(hits: ArrayLike) -> TestResult:
    """Do exceptions cluster? First-order Markov test (Christoffersen, IER 1998): chi-square, 1.

    `hits`: 0/1 per period in time order. The statistic is 0 when no transition can be compared.
    """
    series = _as_hits(hits)
    counts = _transitions(series)
    (n00, n01), (n10, n11) = counts
    pooled = (n01 + n11) / (n00 + n01 + n10 + n11)
    free = _log_rate(n01, n00) + _log_rate(n11, n10)
    bound = special.xlogy(n01 + n11, pooled) + special.xlog1py(n00 + n10, -pooled)
    statistic = max(2.0 * (free - float(bound)), 0.0)
    p_value = float(stats.chi2.sf(statistic, 1))
    return TestResult(
        "Christoffersen independence", statistic, p_value, series.size, int(series.sum())
    )


def christoffersen_conditional(hits: ArrayLike, level: float) -> TestResult:
    """Coverage and independence together: LR_cc = LR_uc + LR_ind, chi-square, 2 degrees.

    LR_uc is Kupiec's over all periods; the independence part conditions on the first period.
    """
    series = _as_hits(hits)
    coverage = kupiec(int(series.sum()), series.size, level)
    independence = christoffersen_independence(series)
    statistic = coverage.statistic + independence.statistic
    p_value = float(stats.chi2.sf(statistic, 2))
    return TestResult(
        "Christoffersen conditional coverage",
        statistic,
        p_value,
        series.size,
        coverage.exceptions,
    )


def acerbi_szekely_z1(
    losses: ArrayLike, var_forecasts: ArrayLike, es_forecasts: ArrayLike
) -> float:
    """Z1 = 1 - mean(L/ES over the exceptions): 0 if right, negative if ES was too small.

    Acerbi and Szekely, "Backtesting expected shortfall", Risk 2014, test 1 (in losses, so the sign
    of their X_t is turned). Raises TooFewTailPoints without exceptions.
    """
    hits = exceptions(losses, var_forecasts)
    ratio = as_sample(losses, "losses") / _positive_es(es_forecasts, hits.size)
    if not hits.any():
        raise TooFewTailPoints("no exception, Z1 is undefined.", "use Z2, or a longer history.")
    return 1.0 - float((hits * ratio).sum() / hits.sum())


def acerbi_szekely_z2(
    losses: ArrayLike, var_forecasts: ArrayLike, es_forecasts: ArrayLike, level: float
) -> float:
    """Z2 = 1 - sum(L*1{L > VaR}/ES) / (n (1 - level)): tests frequency and size at once.

    0 in expectation if both are right. At level 97.5 % and n = 250 the 5 % critical value is about
    -0.7 for every plausible distribution (Acerbi and Szekely 2014, section "Z2").
    """
    hits = exceptions(losses, var_forecasts)
    ratio = as_sample(losses, "losses") / _positive_es(es_forecasts, hits.size)
    return 1.0 - float((hits * ratio).sum()) / (hits.size * (1.0 - check_level(level)))


def acerbi_szekely(
    losses: ArrayLike,
    var_forecasts: ArrayLike,
    es_forecasts: ArrayLike,
    level: float,
    sampler: Callable[[np.random.Generator], FloatArray],
    *,
    replications: int = 1000,
    seed: int = 0,
) -> TestResult:
    """One-sided Z2 test with its law simulated under the model.

    `sampler(rng)` returns one path of losses, shape (n,), drawn from the predictive distributions
    that produced the forecasts. p = share of simulated Z2 at or below the observed one.
    """
    observed = acerbi_szekely_z2(losses, var_forecasts, es_forecasts, level)
    rng = np.random.Generator(np.random.Philox(seed))
    draws = (
        acerbi_szekely_z2(sampler(rng), var_forecasts, es_forecasts, level)
        for _ in range(replications)
    )
    below = sum(draw <= observed for draw in draws)
    hits = int(exceptions(losses, var_forecasts).sum())
    periods = as_sample(losses, "losses").size
    p_value = (below + 1) / (replications + 1)
    return TestResult("Acerbi-Szekely Z2", observed, p_value, periods, hits)


def _log_binomial(hits: int, periods: int, rate: float) -> float:
    return float(special.xlogy(hits, rate) + special.xlog1py(periods - hits, -rate))


def _log_rate(ones: float, zeros: float) -> float:
    if ones + zeros == 0:
        return 0.0
    rate = ones / (ones + zeros)
    return float(special.xlogy(ones, rate) + special.xlog1py(zeros, -rate))


def _as_hits(hits: ArrayLike) -> FloatArray:
    series = as_sample(hits, "hits")
    if not np.isin(series, (0.0, 1.0)).all():
        raise BadInput("hits must be 0 or 1.", "use `exceptions(losses, var_forecasts)`.")
    if series.size < 2:
        raise BadInput("one period has no transition.", "pass at least two periods.")
    return series


def _transitions(series: FloatArray) -> tuple[tuple[float, float], tuple[float, float]]:
    before, after = series[:-1], series[1:]
    n11 = float((before * after).sum())
    n10 = float(before.sum()) - n11
    n01 = float(after.sum()) - n11
    return (float(before.size) - n11 - n10 - n01, n01), (n10, n11)


def _positive_es(es_forecasts: ArrayLike, count: int) -> FloatArray:
    forecast = as_sample(es_forecasts, "es_forecasts")
    if forecast.size != count:
        raise BadInput(f"{forecast.size} ES forecasts, {count} losses.", "pass one per loss.")
    if (forecast <= 0).any():
        where = int(np.flatnonzero(forecast <= 0)[0])
        raise BadInput(
            f"es_forecasts[{where}] = {forecast[where]} <= 0.", "losses must be positive numbers."
        )
    return forecast


def binomial_p_value(hits: int, periods: int, level: float) -> float:
    """Exact one-sided p-value P(exceptions >= hits): for samples too short for Kupiec."""
    check_level(level)
    if math.floor(hits) != hits or not 0 <= hits <= periods:
        raise BadInput(f"{hits} exceptions in {periods} periods.", "pass 0 <= hits <= periods.")
    return float(stats.binom.sf(hits - 1, periods, 1.0 - level))
