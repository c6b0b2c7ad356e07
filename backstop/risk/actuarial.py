"""Classical risk theory: aggregate losses by Panjer's recursion, ruin of a surplus process."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import optimize

from .arrays import ArrayLike, FloatArray, as_sample, check_level, check_nonnegative, check_positive
from .cvar import tail_risk
from .errors import BadInput, InfiniteMean

Frequency = Literal["poisson", "binomial", "negative_binomial"]
_UNDERFLOW = 600.0


@dataclass(frozen=True, eq=False)
class Aggregate:
    """Distribution of the sum of a random number of losses on the grid 0, step, 2 step, ...

    `missing` is the probability beyond the last grid point; levels above 1 - missing are refused.
    """

    step: float
    probabilities: FloatArray
    missing: float

    def var(self, level: float) -> float:
        """Smallest grid point x with P(S <= x) >= level."""
        return self._tail(level)[0]

    def expected_shortfall(self, level: float) -> float:
        """CVaR with the atom at VaR split; mass beyond the grid counts at its last point."""
        return self._tail(level)[1]

    def cdf(self, value: float) -> float:
        """P(S <= value)."""
        return float(self.probabilities[: max(math.floor(value / self.step + 1e-9), -1) + 1].sum())

    def mean(self) -> float:
        """E[S] on the grid."""
        return float(self.probabilities @ self._points())

    def stop_loss(self, retention: float) -> float:
        """E(S - K)+ on the grid."""
        return float(self.probabilities @ np.maximum(self._points() - retention, 0.0))

    def _points(self) -> FloatArray:
        return self.step * np.arange(self.probabilities.size, dtype=np.float64)

    def _tail(self, level: float) -> tuple[float, float]:
        if check_level(level) > 1.0 - self.missing:
            raise BadInput(
                f"level {level} lies beyond the grid, which holds {1 - self.missing:.8f}.",
                "call panjer with a longer grid.",
            )
        weights = self.probabilities.copy()
        weights[-1] += self.missing
        result = tail_risk(self._points(), level, weights)
        return result.var, result.cvar


def panjer(
    severity: ArrayLike,
    points: int,
    *,
    frequency: Frequency = "poisson",
    mean: float,
    size: float = 1.0,
    step: float = 1.0,
) -> Aggregate:
    """Aggregate loss by Panjer's recursion (ASTIN Bulletin 1981) on `points` + 1 grid points.

    severity: P(X = j step), j = 0, 1, ..., summing to 1. Claim numbers have the given `mean`:
    Poisson, binomial (`size` trials) or negative binomial (`size` r, variance mean + mean^2/r).
        g_0 = pgf(f_0),   g_k = sum_{j<=k} (a + b j/k) f_j g_{k-j} / (1 - a f_0).
    """
    weights = as_sample(severity, "severity")
    check_nonnegative(mean, "mean")
    if points < 0 or (weights < 0).any() or not math.isclose(weights.sum(), 1.0, rel_tol=1e-9):
        raise BadInput("severity must be probabilities summing to 1.", "normalise it.")
    a, b, start = _panjer_class(frequency, mean, size, float(weights[0]))
    if start < -_UNDERFLOW:
        return _by_halves(weights, points, frequency, mean, size, step)
    g = np.zeros(points + 1)
    g[0] = math.exp(start)
    jumps = np.arange(weights.size, dtype=np.float64)
    for k in range(1, points + 1):
        top = min(k, weights.size - 1)
        j = jumps[1 : top + 1]
        g[k] = float(((a + b * j / k) * weights[1 : top + 1]) @ g[k - 1 :: -1][:top])
        g[k] /= 1.0 - a * float(weights[0])
    return Aggregate(step, g, max(0.0, 1.0 - float(g.sum())))


def _panjer_class(
    frequency: Frequency, mean: float, size: float, at_zero: float
) -> tuple[float, float, float]:
    """(a, b, log g_0) of the (a, b, 0) class."""
    if frequency == "poisson":
        return 0.0, mean, mean * (at_zero - 1.0)
    check_positive(size, "size")
    if frequency == "binomial":
        p = mean / size
        if not p < 1 or size != math.floor(size):
            raise BadInput(f"binomial with {size} trials and mean {mean}.", "use mean < trials.")
        a = -p / (1.0 - p)
        return a, -(size + 1.0) * a, size * math.log1p(p * (at_zero - 1.0))
    q = mean / (size + mean)
    return q, (size - 1.0) * q, -size * math.log1p(mean / size * (1.0 - at_zero))


def _by_halves(
    weights: FloatArray, points: int, frequency: Frequency, mean: float, size: float, step: float
) -> Aggregate:
    """Large means underflow g_0: halve the claim number (infinitely divisible) and convolve."""
    if frequency == "binomial":
        low = math.floor(size / 2)
        parts = [(mean * low / size, low), (mean * (size - low) / size, size - low)]
    else:
        parts = [(mean / 2, size / 2)] * 2
    halves = [
        panjer(weights, points, frequency=frequency, mean=m, size=s, step=step) for m, s in parts
    ]
    g = np.convolve(halves[0].probabilities, halves[1].probabilities)[: points + 1]
    return Aggregate(step, g, max(0.0, 1.0 - float(g.sum())))


# --------------------------------------------------------------------------------------------
# ruin


def ruin_probability_exponential(capital: float, loading: float, mean_claim: float) -> float:
    """Ultimate ruin with exponential claims: e^(-theta u/((1 + theta) mu))/(1 + theta).

    Cramer-Lundberg process (compound Poisson claims, premium (1 + theta) times expected claims).
    loading <= 0 gives certain ruin.
    """
    check_nonnegative(capital, "capital")
    check_positive(mean_claim, "mean_claim")
    if loading <= 0:
        return 1.0
    return math.exp(-loading * capital / ((1.0 + loading) * mean_claim)) / (1.0 + loading)


def adjustment_coefficient(
    log_mgf: Callable[[float], float], mean_claim: float, loading: float, limit: float
) -> float:
    """Lundberg's R: positive root of 1 + (1 + theta) mu R = M(R), for R below `limit`.

    log_mgf: log of the claim's moment generating function, finite on (0, limit). Heavy tails have
    none (limit 0): Lundberg's bound e^(-R u) then does not exist, and InfiniteMean is raised.
    """
    check_positive(mean_claim, "mean_claim")
    check_positive(loading, "loading")
    if not limit > 0:
        raise InfiniteMean("claims have no exponential moment.", "use simulation or stop-loss.")

    def gap(r: float) -> float:
        return log_mgf(r) - math.log1p((1.0 + loading) * mean_claim * r)

    high = limit * (1.0 - 1e-12)
    low = high
    while gap(low) >= 0:
        low *= 0.5
        if low < 1e-300:
            raise BadInput("the moment generating function grows too fast.", "check its mean.")
    if gap(high) < 0:
        raise BadInput(f"no root below {limit}.", "raise the limit to where M(r) diverges.")
    return float(optimize.brentq(gap, low, high, xtol=1e-15, rtol=1e-14))
