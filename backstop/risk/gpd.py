"""The generalised Pareto likelihood and its true maximiser.

The maximum is found on the one-dimensional profile of Grimshaw (Technometrics 1993): with
theta = xi/beta the best xi is mean log(1 + theta*y), so a scan over theta sees every local maximum
and no optimiser can stop early.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize

from .arrays import ArrayLike, FloatArray, as_sample
from .errors import BadInput, FitDidNotConverge

#: Smallest shape searched: below it maximum likelihood is not regular (Smith, Biometrika 1985).
MIN_SHAPE = -0.5
#: Shapes nearer to 0 than this use the exponential limit.
ZERO_SHAPE = 1e-9


def fit_gpd(excesses: ArrayLike) -> tuple[float, float, float]:
    """(shape, scale, log-likelihood) of the global maximum over shape > MIN_SHAPE.

    Excesses > 0 in any unit, shape (n,). No minimum number here: `fit_tail` refuses small ones.
    """
    values = as_sample(excesses, "excesses")
    if (values <= 0).any():
        raise BadInput("an excess is <= 0.", "subtract the threshold and keep what is beyond it.")
    unit = float(values.mean())
    scaled = values / unit
    if float(scaled.max() - scaled.min()) < 1e-12:
        raise FitDidNotConverge("all excesses are equal.", "use finer prices or more history.")
    theta = _best_theta(scaled)
    shape = _shape_at(theta, scaled)
    if shape <= MIN_SHAPE + 1e-6:
        raise FitDidNotConverge(
            f"the likelihood has no interior maximum with shape > {MIN_SHAPE}: "
            "the tail looks bounded.",
            "raise the threshold, or use the largest observed loss with a margin.",
        )
    scale = unit if abs(theta) < ZERO_SHAPE else shape / theta * unit
    _check_score(shape, scale, values)
    return shape, scale, loglik(shape, scale, values)


def _shape_at(theta: float, scaled: FloatArray) -> float:
    return float(np.log1p(theta * scaled).mean())


def _profile_theta(theta: float, scaled: FloatArray) -> float:
    """Mean log-likelihood maximised over xi for a given theta = xi/beta (unit-mean excesses)."""
    if abs(theta) < ZERO_SHAPE:
        return -1.0
    shape = _shape_at(theta, scaled)
    return -math.log(shape / theta) - shape - 1.0


def _best_theta(scaled: FloatArray) -> float:
    """Global maximiser of the profile: scan, then refine the best cell."""
    lowest = _theta_of_min_shape(scaled)
    grid = np.concatenate([-np.geomspace(-lowest, 1e-4, 40), [0.0], np.geomspace(1e-4, 1e6, 160)])
    values = np.array([_profile_theta(float(t), scaled) for t in grid])
    best = int(np.argmax(values))
    if best == 0:
        return lowest
    low, high = float(grid[best - 1]), float(grid[min(best + 1, grid.size - 1)])
    result = optimize.minimize_scalar(
        lambda t: -_profile_theta(t, scaled),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-13 * max(1.0, high)},
    )
    return _polish(float(result.x), scaled)


def _theta_of_min_shape(scaled: FloatArray) -> float:
    """Find the theta at which the profile shape equals MIN_SHAPE (shape is increasing in theta)."""
    edge = -1.0 / float(scaled.max())
    inner = edge * (1.0 - 1e-12)
    if _shape_at(inner, scaled) >= MIN_SHAPE:
        return inner
    root = optimize.brentq(lambda t: _shape_at(t, scaled) - MIN_SHAPE, inner, 0.0, xtol=1e-15)
    return float(root)


def _polish(theta: float, scaled: FloatArray) -> float:
    """Newton steps on the score of the profile, 1/theta - m(1 + 1/xi), m = mean y/(1+theta y)."""
    if abs(theta) < 1e-6:
        return theta

    def score(t: float) -> float:
        m = float((scaled / (1.0 + t * scaled)).mean())
        return 1.0 / t - m * (1.0 + 1.0 / _shape_at(t, scaled))

    width = 1e-5 * abs(theta)
    low, high = theta - width, theta + width
    if low * float(scaled.max()) <= -1.0 or score(low) * score(high) > 0:
        return theta
    return float(optimize.brentq(score, low, high, xtol=1e-15 * abs(theta) + 1e-300, rtol=1e-14))


def _check_score(shape: float, scale: float, excesses: FloatArray) -> None:
    """Refuse a point whose score is not zero, measured in standard errors."""
    z = 1.0 + shape * excesses / scale
    n = excesses.size
    by_log_scale = -n + (1.0 + shape) * float((excesses / scale / z).sum())
    if abs(by_log_scale) > 1e-3 * math.sqrt(n):
        raise FitDidNotConverge(
            f"score {by_log_scale:.3g} at shape {shape:.4g}, scale {scale:.4g}.",
            "check the losses for outliers of the wrong unit, or move the threshold.",
        )


def loglik(shape: float, scale: float, excesses: FloatArray) -> float:
    """-N log(beta) - (1 + 1/xi) sum log(1 + xi*y/beta); -inf outside the support."""
    if not scale > 0:
        return -math.inf
    ratio = excesses / scale
    if abs(shape) < ZERO_SHAPE:
        return -excesses.size * math.log(scale) - float(ratio.sum())
    inside = shape * ratio
    if float(inside.min()) <= -1.0:
        return -math.inf
    return -excesses.size * math.log(scale) - (1.0 + 1.0 / shape) * float(np.log1p(inside).sum())


def loglik_grid(shapes: FloatArray, scales: FloatArray, excesses: FloatArray) -> FloatArray:
    """`loglik` at each pair of shape and scale, shape (m,)."""
    return np.array(
        [loglik(float(x), float(b), excesses) for x, b in zip(shapes, scales, strict=True)]
    )


def best_scale_loglik(shape: float, excesses: FloatArray) -> float:
    """Log-likelihood maximised over the scale for a fixed shape (unimodal in log scale)."""
    mean, top = float(excesses.mean()), float(excesses.max())
    low = math.log(mean) - 8.0
    if shape < 0:
        low = max(low, math.log(-shape * top) + 1e-12)
    result = optimize.minimize_scalar(
        lambda b: -loglik(shape, math.exp(b), excesses),
        bounds=(low, math.log(mean) + 4.0),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return -float(result.fun)


def hessian(shape: float, scale: float, excesses: FloatArray) -> FloatArray:
    """Second derivatives of the log-likelihood in (xi, beta), closed form."""
    y = excesses / scale
    z = 1.0 + shape * y
    log_z = np.log1p(shape * y)
    xi = shape
    xx = float(
        (-2.0 * log_z / xi**3 + 2.0 * y / (xi**2 * z) + (1.0 + 1.0 / xi) * (y / z) ** 2).sum()
    )
    xb = float(((y / z - (1.0 + xi) * (y / z) ** 2) / scale).sum())
    bb = float(((1.0 - 2.0 * (1.0 + xi) * y / z + (1.0 + xi) * xi * (y / z) ** 2) / scale**2).sum())
    return np.array([[xx, xb], [xb, bb]])


def growth(shape: float, log_odds: float) -> float:
    """(e^(xi*t) - 1)/xi, continuous at xi = 0."""
    return log_odds if abs(shape) < ZERO_SHAPE else math.expm1(shape * log_odds) / shape


def growth_array(shape: FloatArray | float, log_odds: FloatArray | float) -> FloatArray:
    """`growth`, broadcast over shapes and log odds."""
    shape = np.asarray(shape, dtype=np.float64)
    safe = np.where(np.abs(shape) < ZERO_SHAPE, 1.0, shape)
    growth = np.expm1(safe * log_odds) / safe
    return np.where(np.abs(shape) < ZERO_SHAPE, log_odds, growth)


def cdf(shape: float, scale: float, excesses: FloatArray) -> FloatArray:
    """P(Y <= y), kept 1e-15 away from 0 and 1 so that its logarithms are finite."""
    ratio = excesses / scale
    if abs(shape) < ZERO_SHAPE:
        upper = np.exp(-ratio)
    else:
        upper = np.exp(-np.log1p(np.maximum(shape * ratio, -1.0 + 1e-15)) / shape)
    return np.clip(1.0 - upper, 1e-15, 1.0 - 1e-15)
