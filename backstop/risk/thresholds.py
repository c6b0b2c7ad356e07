"""Where does the tail begin? Goodness of fit and a rule for the threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .arrays import ArrayLike, FloatArray, as_sample, check_level
from .errors import FitDidNotConverge, TooFewTailPoints
from .gpd import cdf, fit_gpd
from .tails import GpdTail, fit_tail


@dataclass(frozen=True, slots=True)
class ThresholdRow:
    """One candidate threshold: its fit, or why there is none."""

    quantile: float
    threshold: float
    count: int
    shape: float
    shape_error: float
    scale: float
    mean_excess: float
    p_value: float
    refusal: str


def anderson_darling(tail: GpdTail) -> float:
    """Anderson-Darling distance A^2 between the excesses and the fitted GPD."""
    u = cdf(tail.shape, tail.scale, tail.excesses)
    n = u.size
    index = np.arange(1, n + 1)
    terms = (2 * index - 1) * (np.log(u) + np.log1p(-u[::-1]))
    return float(-n - terms.mean())


def goodness_of_fit(tail: GpdTail, replications: int = 199, seed: int = 0) -> float:
    """p-value of the Anderson-Darling test by parametric bootstrap (refitting every replica).

    Small values refuse the fit. Refitting is what makes the p-value honest; tables of A^2 assume
    known parameters (Choulakian and Stephens, Technometrics 2001).
    """
    rng = np.random.Generator(np.random.Philox(seed))
    observed = anderson_darling(tail)
    worse = 0
    for _ in range(replications):
        excesses = np.sort(tail.sample(tail.count, rng) - tail.threshold)
        excesses = np.maximum(excesses, np.finfo(float).tiny)
        try:
            shape, scale, loglik = fit_gpd(excesses)
        except FitDidNotConverge:
            worse += 1
            continue
        replica = GpdTail(0.0, shape, scale, loglik, tail.count, excesses)
        worse += anderson_darling(replica) >= observed
    return (worse + 1) / (replications + 1)


def threshold_table(
    losses: ArrayLike, quantiles: Sequence[float], replications: int = 99, seed: int = 0
) -> list[ThresholdRow]:
    """Fit at each candidate quantile: the parameter-stability and goodness-of-fit table."""
    values = as_sample(losses, "losses")
    return [_threshold_row(values, q, replications, seed) for q in sorted(quantiles)]


def choose_threshold(
    losses: ArrayLike,
    quantiles: Sequence[float] = (0.90, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995),
    *,
    p_value: float = 0.05,
    replications: int = 99,
    seed: int = 0,
) -> GpdTail:
    """Tail at the lowest candidate from which on every candidate fits and agrees.

    Fits: Anderson-Darling p >= `p_value`, here and at every higher candidate that has enough data
    (a low threshold that passes below ones that fail is luck). Agrees: its shape lies within two
    standard errors of the shape of every higher candidate. The lowest such threshold keeps the
    most data. Raises FitDidNotConverge naming each candidate's reason when none qualifies.
    """
    values = as_sample(losses, "losses")
    rows = threshold_table(values, quantiles, replications, seed)
    for index, row in enumerate(rows):
        higher = [r for r in rows[index + 1 :] if not r.refusal]
        fits = all(r.p_value >= p_value for r in [row, *higher])
        stable = all(abs(row.shape - r.shape) <= 2.0 * r.shape_error for r in higher)
        if not row.refusal and fits and stable:
            return fit_tail(values, row.threshold)
    reasons = "; ".join(
        f"q{100 * r.quantile:g}: {r.refusal or f'p {r.p_value:.2f}, shape {r.shape:.2f}'}"
        for r in rows
    )
    raise FitDidNotConverge(
        f"no candidate threshold fits ({reasons}).",
        "bring more history, remove the regime change, or size on stress scenarios.",
    )


def _threshold_row(
    values: FloatArray, quantile: float, replications: int, seed: int
) -> ThresholdRow:
    threshold = float(np.quantile(values, check_level(quantile, "quantile")))
    beyond = values[values > threshold] - threshold
    mean = float(beyond.mean()) if beyond.size else math.nan
    try:
        tail = fit_tail(values, threshold)
        p = goodness_of_fit(tail, replications, seed)
    except (TooFewTailPoints, FitDidNotConverge) as error:
        nan = math.nan
        reason = error.reason
        return ThresholdRow(quantile, threshold, beyond.size, nan, nan, nan, mean, nan, reason)
    return ThresholdRow(
        quantile, threshold, tail.count, tail.shape, tail.shape_error, tail.scale, mean, p, ""
    )
