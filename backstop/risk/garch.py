"""Volatility filters: constrained GARCH(1,1), an EWMA fallback, and filtered historical simulation.

    r_t = mu + e_t,   e_t = s_t z_t,   s_t^2 = omega + alpha e_{t-1}^2 + beta s_{t-1}^2

(Bollerslev, J. Econometrics 1986). On hourly crypto returns the free fit runs to alpha + beta = 1
and beyond, so persistence is bounded by `MAX_PERSISTENCE`, and whether that bound is active is
reported. The likelihood, its gradient and the start value are our own; the start value is the
exponentially weighted mean of the first squared residuals (RiskMetrics, factor 0.94, 75 terms).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from scipy import optimize, signal, special

from .arrays import ArrayLike, FloatArray, as_sample
from .errors import BadInput, FitDidNotConverge, TooFewTailPoints

MAX_PERSISTENCE = 0.999
MIN_OBSERVATIONS = 100
_START_DECAY, _START_TERMS = 0.94, 75

Distribution = Literal["normal", "t"]


@dataclass(frozen=True, eq=False)
class VolatilityFit:
    """A fitted volatility filter.

    sigma: one-step-ahead standard deviations, shape (n,), unit of the returns; residuals:
    (r - mu)/sigma, shape (n,). `at_bound` is True when persistence sits on MAX_PERSISTENCE (or a
    coefficient on 0). `dof` is infinite for normal innovations. For method "ewma" omega = 0,
    alpha = 1 - lambda, beta = lambda; `reason` says why the fallback was taken.
    """

    method: Literal["garch", "ewma"]
    mu: float
    omega: float
    alpha: float
    beta: float
    dof: float
    loglik: float
    at_bound: bool
    sigma: FloatArray = field(repr=False)
    residuals: FloatArray = field(repr=False)
    next_variance: float
    reason: str = ""

    @property
    def persistence(self) -> float:
        """Sum of alpha and beta."""
        return self.alpha + self.beta

    @property
    def long_run_sigma(self) -> float:
        """sqrt(omega/(1 - alpha - beta)); infinite for EWMA."""
        gap = 1.0 - self.persistence
        return math.sqrt(self.omega / gap) if gap > 0 and self.omega > 0 else math.inf


def fit_garch(returns: ArrayLike, distribution: Distribution = "normal") -> VolatilityFit:
    """Constant-mean GARCH(1,1) by maximum likelihood with alpha, beta >= 0, sum <= 0.999.

    returns: shape (n,), any unit (rescaled inside). Raises TooFewTailPoints below
    MIN_OBSERVATIONS, FitDidNotConverge when the projected gradient is not zero at the end.
    """
    values = as_sample(returns, "returns")
    if values.size < MIN_OBSERVATIONS:
        raise TooFewTailPoints(
            f"{values.size} returns, {MIN_OBSERVATIONS} are needed.", "bring more history."
        )
    unit = float(values.std())
    if not unit > 0:
        raise BadInput("all returns are equal.", "check the price series.")
    problem = _Problem(values / unit, distribution == "t")
    point = _maximise(problem)
    return _unpack(problem, point, values, unit)


def fit_ewma(returns: ArrayLike, decay: float = 0.94, reason: str = "") -> VolatilityFit:
    """Zero-intercept filter s_t^2 = decay s_{t-1}^2 + (1 - decay) e_{t-1}^2 (RiskMetrics 1996)."""
    values = as_sample(returns, "returns")
    if not 0 < decay < 1:
        raise BadInput(f"decay {decay} outside (0, 1).", "use 0.94 for days, 0.97-0.99 for hours.")
    mu = float(values.mean())
    shocks = values - mu
    variance = _variance(shocks, 0.0, 1.0 - decay, decay, _start_variance(shocks))
    if not variance.min() > 0:
        raise BadInput("the series starts with constant prices.", "cut the constant part.")
    return _as_fit("ewma", values, (mu, 0.0, 1.0 - decay, decay), math.inf, variance, False, reason)


def fit_volatility(
    returns: ArrayLike, distribution: Distribution = "normal", decay: float = 0.94
) -> VolatilityFit:
    """GARCH if it converges, else EWMA with the reason recorded."""
    try:
        return fit_garch(returns, distribution)
    except (FitDidNotConverge, TooFewTailPoints) as error:
        return fit_ewma(returns, decay, error.reason)


def simulate(
    fit: VolatilityFit,
    horizon: int,
    paths: int,
    rng: np.random.Generator,
    innovations: FloatArray | None = None,
) -> FloatArray:
    """Filtered historical simulation: returns, shape (paths, horizon), from the fit's last state.

    Innovations are bootstrapped from the standardised residuals (Barone-Adesi et al., J. Futures
    Markets 1999) or taken from `innovations`, shape (paths, horizon), e.g. with GPD tails.
    """
    if horizon < 1 or paths < 1:
        raise BadInput(f"horizon {horizon}, paths {paths}.", "use at least 1 of each.")
    if innovations is None:
        innovations = rng.choice(fit.residuals, size=(paths, horizon))
    elif innovations.shape != (paths, horizon):
        raise BadInput(
            f"innovations have shape {innovations.shape}.", f"pass shape ({paths}, {horizon})."
        )
    variance = np.full(paths, fit.next_variance)
    returns = np.empty((paths, horizon))
    for step in range(horizon):
        shock = np.sqrt(variance) * innovations[:, step]
        returns[:, step] = fit.mu + shock
        variance = fit.omega + fit.alpha * shock**2 + fit.beta * variance
    return returns


# --------------------------------------------------------------------------------------------
# likelihood in (mu, log omega, persistence, share of alpha, dof)


class _Problem:
    """Negative mean log-likelihood and gradient on unit-variance returns."""

    def __init__(self, values: FloatArray, student: bool) -> None:
        self.values = values
        self.student = student
        self.start = _start_variance(values - values.mean())

    def bounds(self) -> list[tuple[float, float]]:
        box = [(-1.0, 1.0), (math.log(1e-9), math.log(10.0)), (1e-6, MAX_PERSISTENCE), (0.0, 1.0)]
        return [*box, (2.05, 200.0)] if self.student else box

    def starts(self) -> list[list[float]]:
        points = []
        for persistence, share in ((0.98, 0.1), (0.9, 0.15), (0.7, 0.3), (0.998, 0.05)):
            point = [0.0, math.log(1.0 - persistence), persistence, share]
            points.append([*point, 6.0] if self.student else point)
        return points

    def variance(self, point: FloatArray) -> FloatArray:
        mu, omega, alpha, beta = self.natural(point)
        return _variance(self.values - mu, omega, alpha, beta, self.start)

    @staticmethod
    def natural(point: FloatArray) -> tuple[float, float, float, float]:
        mu, log_omega, persistence, share = (float(x) for x in point[:4])
        return mu, math.exp(log_omega), persistence * share, persistence * (1.0 - share)

    def loglik(self, point: FloatArray) -> float:
        """Total log-likelihood on the scaled returns."""
        return -self.value_and_gradient(point)[0] * self.values.size

    def value_and_gradient(self, point: FloatArray) -> tuple[float, FloatArray]:
        mu, omega, alpha, beta = self.natural(point)
        persistence, share = float(point[2]), float(point[3])
        shocks = self.values - mu
        variance = _variance(shocks, omega, alpha, beta, self.start)
        squared = shocks**2
        dof = float(point[4]) if self.student else math.inf
        loss, by_variance, by_shock, by_dof = _density(squared, shocks, variance, dof)
        lagged_squared = np.concatenate([[self.start], squared[:-1]])
        lagged_variance = np.concatenate([[self.start], variance[:-1]])
        lagged_shock = np.concatenate([[0.0], shocks[:-1]])
        carry = _adjoint(by_variance, beta)
        to_omega = float(carry.sum())
        to_alpha = float(carry @ lagged_squared)
        to_beta = float(carry @ lagged_variance)
        to_mu = -2.0 * alpha * float(carry @ lagged_shock) - float(by_shock.sum())
        gradient = [
            to_mu,
            to_omega * omega,
            share * to_alpha + (1.0 - share) * to_beta,
            persistence * (to_alpha - to_beta),
        ]
        if self.student:
            gradient.append(by_dof)
        return loss / shocks.size, np.array(gradient) / shocks.size


def _density(
    squared: FloatArray, shocks: FloatArray, variance: FloatArray, dof: float
) -> tuple[float, FloatArray, FloatArray, float]:
    """(-log density, d/d variance, d/d shock, d/d dof), the last one by central difference."""
    if math.isinf(dof):
        loss = 0.5 * float((math.log(2.0 * math.pi) + np.log(variance) + squared / variance).sum())
        by_variance = 0.5 * (1.0 / variance - squared / variance**2)
        return loss, by_variance, shocks / variance, 0.0
    scaled = squared / (variance * (dof - 2.0))
    weight = (dof + 1.0) / (dof - 2.0) / (1.0 + scaled)
    by_variance = 0.5 * (1.0 / variance - weight * squared / variance**2)
    step = 1e-4

    def total(nu: float) -> float:
        constant = special.gammaln((nu + 1.0) / 2.0) - special.gammaln(nu / 2.0)
        constant -= 0.5 * math.log(math.pi * (nu - 2.0))
        body = 0.5 * np.log(variance) + (nu + 1.0) / 2.0 * np.log1p(squared / variance / (nu - 2.0))
        return float(body.sum()) - squared.size * float(constant)

    by_dof = (total(dof + step) - total(dof - step)) / (2.0 * step)
    return total(dof), by_variance, weight * shocks / variance, by_dof


def _variance(
    shocks: FloatArray, omega: float, alpha: float, beta: float, start: float
) -> FloatArray:
    """s_t^2 for t = 0..n-1 with e_{-1}^2 = s_{-1}^2 = start."""
    drive = omega + alpha * np.concatenate([[start], shocks[:-1] ** 2])
    result, _ = signal.lfilter([1.0], [1.0, -beta], drive, zi=np.array([beta * start]))
    return np.asarray(result)


def _adjoint(by_variance: FloatArray, beta: float) -> FloatArray:
    """Back-propagation through the recursion: c_t = g_t + beta c_{t+1}."""
    return np.asarray(signal.lfilter([1.0], [1.0, -beta], by_variance[::-1]))[::-1]


def _start_variance(shocks: FloatArray) -> float:
    terms = min(_START_TERMS, shocks.size)
    weights = _START_DECAY ** np.arange(terms)
    return float((weights / weights.sum()) @ shocks[:terms] ** 2)


def _maximise(problem: _Problem) -> FloatArray:
    best: optimize.OptimizeResult | None = None
    for start in problem.starts():
        result = optimize.minimize(
            problem.value_and_gradient,
            np.array(start),
            jac=True,
            bounds=problem.bounds(),
            method="L-BFGS-B",
            options={"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-9},
        )
        if np.isfinite(result.fun) and (best is None or result.fun < best.fun):
            best = result
    if best is None:
        raise FitDidNotConverge("the likelihood is not finite.", "check the returns; use fit_ewma.")
    point = np.asarray(best.x, dtype=np.float64)
    residual = _projected_gradient(problem, point)
    if residual > 1e-4:
        raise FitDidNotConverge(
            f"projected gradient {residual:.2g} at the optimiser's last point.",
            "use fit_ewma, or a longer or cleaner history.",
        )
    return point


def _projected_gradient(problem: _Problem, point: FloatArray) -> float:
    _, gradient = problem.value_and_gradient(point)
    low, high = np.array(problem.bounds()).T
    return float(np.abs(np.clip(point - gradient, low, high) - point).max())


def _unpack(problem: _Problem, point: FloatArray, values: FloatArray, unit: float) -> VolatilityFit:
    mu, omega, alpha, beta = problem.natural(point)
    dof = float(point[4]) if problem.student else math.inf
    variance = problem.variance(point) * unit**2
    at_bound = bool(point[2] >= MAX_PERSISTENCE - 1e-9 or point[3] <= 0 or point[3] >= 1)
    natural = (mu * unit, omega * unit**2, alpha, beta)
    fit = _as_fit("garch", values, natural, dof, variance, at_bound, "")
    loglik = problem.loglik(point) - values.size * math.log(unit)
    return replace(fit, loglik=loglik)


def _as_fit(
    method: Literal["garch", "ewma"],
    values: FloatArray,
    natural: tuple[float, float, float, float],
    dof: float,
    variance: FloatArray,
    at_bound: bool,
    reason: str,
) -> VolatilityFit:
    mu, omega, alpha, beta = natural
    sigma = np.sqrt(variance)
    shocks = values - mu
    following = omega + alpha * float(shocks[-1]) ** 2 + beta * float(variance[-1])
    loglik = -_density(shocks**2, shocks, variance, math.inf)[0]
    return VolatilityFit(
        method, mu, omega, alpha, beta, dof, loglik, at_bound, sigma, shocks / sigma, following,
        reason,
    )  # fmt: skip
