"""Generalised Pareto tails: peaks over threshold, with intervals, and refusal of bad fits.

Losses beyond a threshold u are fitted by the generalised Pareto distribution (GPD)
    P(X - u > y | X > u) = (1 + xi*y/beta)^(-1/xi)
(Pickands 1975; McNeil, Frey, Embrechts, Quantitative Risk Management, section 7.2); the maximiser
is in `gpd.py`, the choice of u in `thresholds.py`.

For long positions fit **log losses** -log(low/open): a simple loss can never exceed 100 %, and
`simple_loss` / `GpdTail.simple_expected_shortfall` convert back without ever passing it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy import integrate, optimize, stats

from .arrays import ArrayLike, FloatArray, as_sample, check_level, check_positive
from .errors import (
    BadInput,
    BelowThreshold,
    FitDidNotConverge,
    InfiniteMean,
    TooFewTailPoints,
)
from .gpd import (
    MIN_SHAPE,
    ZERO_SHAPE,
    best_scale_loglik,
    fit_gpd,
    growth,
    growth_array,
    hessian,
    loglik,
    loglik_grid,
)

#: Fewest excesses a fit is made from.
MIN_EXCESSES = 30


# --------------------------------------------------------------------------------------------
# losses from prices


def long_log_losses(opens: ArrayLike, lows: ArrayLike) -> FloatArray:
    """-log(low/open) per bar: the worst log loss of a long opened at the bar's open, >= 0."""
    start, low = as_sample(opens, "opens"), as_sample(lows, "lows")
    _check_prices(start, low)
    return np.asarray(-np.log(low / start))


def long_simple_losses(opens: ArrayLike, lows: ArrayLike) -> FloatArray:
    """1 - low/open per bar, at most 1. Never extrapolate its tail uncapped: use log losses."""
    start, low = as_sample(opens, "opens"), as_sample(lows, "lows")
    _check_prices(start, low)
    return np.asarray(1.0 - low / start)


def short_losses(opens: ArrayLike, highs: ArrayLike) -> FloatArray:
    """high/open - 1 per bar: the loss of a short as a fraction of notional, unbounded above.

    Fitted as it is: exponentiating a GPD tail of log losses has no mean for any xi > 0.
    """
    start, high = as_sample(opens, "opens"), as_sample(highs, "highs")
    _check_prices(start, high)
    return np.asarray(high / start - 1.0)


def simple_loss(log_loss: float) -> float:
    """Fraction of notional lost for a log loss: 1 - exp(-x), below 1 for every finite x."""
    return -math.expm1(-log_loss)


def _check_prices(first: FloatArray, second: FloatArray) -> None:
    if first.size != second.size:
        raise BadInput(f"{first.size} and {second.size} prices.", "pass one of each per bar.")
    if (first <= 0).any() or (second <= 0).any():
        raise BadInput("a price is <= 0.", "read the file with `read_ohlcv`, which names the row.")


# --------------------------------------------------------------------------------------------
# the fitted tail


@dataclass(frozen=True, slots=True)
class Band:
    """An estimate with its profile-likelihood interval; `upper` may be infinite."""

    estimate: float
    lower: float
    upper: float
    confidence: float


@dataclass(frozen=True, eq=False)
class GpdTail:
    """GPD beyond `threshold`, fitted to `excesses` (count,) out of `sample_size` losses.

    Quantities are in the unit of the losses; levels refer to the whole sample, so they must lie
    above 1 - count/sample_size.
    """

    threshold: float
    shape: float
    scale: float
    loglik: float
    sample_size: int
    excesses: FloatArray = field(repr=False)

    @property
    def count(self) -> int:
        """Number of losses strictly beyond the threshold (N_u)."""
        return int(self.excesses.size)

    @property
    def exceedance(self) -> float:
        """Estimated P(X > threshold) = N_u / n."""
        return self.count / self.sample_size

    @property
    def shape_error(self) -> float:
        """Standard error of the shape from the expected information, (1 + xi)/sqrt(N_u)."""
        return (1.0 + self.shape) / math.sqrt(self.count)

    def observed_shape_error(self) -> float:
        """Standard error of the shape from the observed information (exact Hessian)."""
        information = -hessian(self.shape, self.scale, self.excesses)
        return math.sqrt(float(np.linalg.inv(information)[0, 0]))

    def survival(self, value: float) -> float:
        """P(X > value) for value >= threshold."""
        return self.exceedance * self._conditional_survival(value)

    def quantile(self, level: float) -> float:
        """VaR: u + beta/xi * [((1 - p) n/N_u)^(-xi) - 1] (QRM eq. 7.18)."""
        return self.threshold + self.scale * growth(self.shape, self._log_odds(level))

    def expected_shortfall(self, level: float) -> float:
        """CVaR: q/(1 - xi) + (beta - xi*u)/(1 - xi) (QRM eq. 7.19); needs xi < 1."""
        self._require_mean("expected shortfall")
        quantile = self.quantile(level)
        return (quantile + self.scale - self.shape * self.threshold) / (1.0 - self.shape)

    def stop_loss(self, retention: float) -> float:
        """E(X - K)+ for K >= u, per observation.

        = N_u/n * (beta + xi(K - u))/(1 - xi) * (1 + xi(K - u)/beta)^(-1/xi).
        """
        self._require_mean("stop-loss premium")
        tail = self.survival(retention)
        return tail * self.mean_excess(retention)

    def mean_excess(self, value: float) -> float:
        """E(X - v | X > v) = (beta + xi(v - u))/(1 - xi), 0 beyond a finite end point."""
        self._require_mean("mean excess")
        return max(self.scale + self.shape * (value - self.threshold), 0.0) / (1.0 - self.shape)

    def simple_expected_shortfall(self, level: float) -> float:
        """E[1 - exp(-X) | X > q] for a tail of **log** losses: always below 1, whatever xi.

        = (1 - e^-q) + integral over x > q of e^-x * P(X > x | X > q) dx.
        """
        start = self.quantile(level)
        base = self._conditional_survival(start)

        def integrand(x: float) -> float:
            return math.exp(-x) * self._conditional_survival(start + x) / base

        rest, _ = integrate.quad(integrand, 0.0, np.inf, limit=200)
        return simple_loss(start) + math.exp(-start) * float(rest)

    def simple_stop_loss(self, retention: float) -> float:
        """E[(loss - K)+] in units of notional, for a tail of **log** losses and a simple K < 1.

        = integral over simple losses s from K to 1 of P(1 - e^-X > s) ds; finite for every xi.
        """
        if not 0 <= retention < 1:
            raise BadInput(f"retention {retention} outside [0, 1).", "pass equity / notional.")
        start = -math.log1p(-retention)
        if start < self.threshold:
            raise BelowThreshold(
                f"retention {retention} is below the threshold {simple_loss(self.threshold):.4g}.",
                "use the empirical mean there, or a lower threshold.",
            )

        def integrand(x: float) -> float:
            return math.exp(-x) * self._conditional_survival(x)

        total, _ = integrate.quad(integrand, start, np.inf, limit=200)
        return self.exceedance * float(total)

    def sample(self, count: int, rng: np.random.Generator) -> FloatArray:
        """`count` losses beyond the threshold, by inversion."""
        return self.threshold + self.scale * growth_array(
            self.shape, rng.standard_exponential(count)
        )

    # -- intervals ---------------------------------------------------------------------------

    def shape_band(self, confidence: float = 0.95) -> Band:
        """Profile-likelihood interval for xi (chi-square, one degree of freedom)."""

        def profile(shape: float) -> float:
            return best_scale_loglik(shape, self.excesses)

        return self._band(self.shape, self.shape_error, profile, confidence, MIN_SHAPE * 2, np.inf)

    def quantile_band(self, level: float, confidence: float = 0.95) -> Band:
        """Profile-likelihood interval for the quantile; N_u/n is taken as known."""
        log_odds = self._log_odds(level)
        if log_odds <= 0:
            raise BelowThreshold("the level is the threshold itself.", "use a higher level.")

        def scale_for(target: float, shape: FloatArray) -> FloatArray:
            return (target - self.threshold) / growth_array(shape, log_odds)

        estimate = self.quantile(level)
        step = 0.2 * (estimate - self.threshold)
        profile = self._reparametrised(scale_for, 3.0)
        return self._band(estimate, step, profile, confidence, self.threshold, np.inf)

    def expected_shortfall_band(self, level: float, confidence: float = 0.95) -> Band:
        """Profile-likelihood interval for the expected shortfall.

        `upper` is infinite when shapes >= 1 are inside the interval of the shape: the data then do
        not bound the expected shortfall at all, and the report must say so.
        """
        log_odds = self._log_odds(level)

        def scale_for(target: float, shape: FloatArray) -> FloatArray:
            return (target - self.threshold) * (1.0 - shape) / (growth_array(shape, log_odds) + 1.0)

        estimate = self.expected_shortfall(level)
        step = 0.2 * (estimate - self.threshold)
        profile = self._reparametrised(scale_for, 1.0 - 1e-9)
        cut = self.loglik - 0.5 * float(stats.chi2.ppf(check_level(confidence), 1))
        unbounded = best_scale_loglik(1.0, self.excesses) >= cut
        high = estimate if unbounded else np.inf
        band = self._band(estimate, step, profile, confidence, self.threshold, high)
        return Band(estimate, band.lower, np.inf, confidence) if unbounded else band

    # -- internals ---------------------------------------------------------------------------

    def _log_odds(self, level: float) -> float:
        """log((N_u/n)/(1 - level)): 0 at the threshold's own level."""
        check_level(level)
        odds = math.log(self.exceedance / (1.0 - level))
        if odds < -1e-12:
            raise BelowThreshold(
                f"level {level} is below the threshold's own level {1 - self.exceedance:.6g}.",
                "use the empirical quantile there, or a lower threshold.",
            )
        return max(odds, 0.0)

    def _conditional_survival(self, value: float) -> float:
        if value < self.threshold:
            raise BelowThreshold(
                f"{value} is below the threshold {self.threshold}.",
                "use the empirical distribution there, or a lower threshold.",
            )
        excess = (value - self.threshold) / self.scale
        if abs(self.shape) < ZERO_SHAPE:
            return math.exp(-excess)
        inside = self.shape * excess
        return 0.0 if inside <= -1.0 else math.exp(-math.log1p(inside) / self.shape)

    def _require_mean(self, what: str) -> None:
        if self.shape >= 1:
            raise InfiniteMean(
                f"the {what} is infinite: fitted shape {self.shape:.3f} >= 1 "
                f"(threshold {self.threshold:.6g}, {self.count} excesses).",
                "raise or lower the threshold, fit log losses, or publish the quantile only.",
            )

    def _reparametrised(
        self, scale_for: Callable[[float, FloatArray], FloatArray], top: float
    ) -> Callable[[float], float]:
        """Profile log-likelihood of a target: best over xi in (MIN_SHAPE, top)."""
        grid = np.linspace(MIN_SHAPE * 2 + 1e-6, top, 61)

        def profile(target: float) -> float:
            def negative(shape: float) -> float:
                scale = float(scale_for(target, np.array([shape]))[0])
                return -loglik(shape, scale, self.excesses)

            values = loglik_grid(grid, scale_for(target, grid), self.excesses)
            if not np.isfinite(values).any():
                return -math.inf
            best = int(np.argmax(values))
            low, high = grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]
            result = optimize.minimize_scalar(
                negative, bounds=(low, high), method="bounded", options={"xatol": 1e-10}
            )
            return max(-float(result.fun), float(values[best]))

        return profile

    def _band(
        self,
        estimate: float,
        step: float,
        profile: Callable[[float], float],
        confidence: float,
        low: float,
        high: float,
    ) -> Band:
        """Where the profile log-likelihood falls chi2/2 below its maximum, both sides."""
        cut = self.loglik - 0.5 * float(stats.chi2.ppf(check_level(confidence, "confidence"), 1))

        def gap(value: float) -> float:
            return max(profile(value) - cut, -1e6)

        lower = _crossing(gap, estimate, -step, low)
        upper = estimate if high == estimate else _crossing(gap, estimate, step, high)
        return Band(estimate, lower, upper, confidence)


# --------------------------------------------------------------------------------------------
# fitting


def fit_tail(losses: ArrayLike, threshold: float) -> GpdTail:
    """GPD fitted by maximum likelihood to the losses strictly beyond `threshold`.

    Raises TooFewTailPoints below MIN_EXCESSES, FitDidNotConverge when the likelihood has no
    interior maximum (the sample looks bounded: shape at or below MIN_SHAPE).
    """
    values = as_sample(losses, "losses")
    excesses = values[values > threshold] - threshold
    if excesses.size < MIN_EXCESSES:
        raise TooFewTailPoints(
            f"{excesses.size} losses beyond threshold {threshold:.6g}, "
            f"at least {MIN_EXCESSES} are needed.",
            "lower the threshold or bring more history.",
        )
    shape, scale, maximum = fit_gpd(excesses)
    return GpdTail(float(threshold), shape, scale, maximum, int(values.size), np.sort(excesses))


def semi_parametric_cvar(losses: ArrayLike, level: float, threshold: float) -> float:
    """CVaR of the sample with its tail replaced by the fitted GPD (for levels beyond the data)."""
    check_positive(1.0 - level, "1 - level")
    return fit_tail(losses, threshold).expected_shortfall(level)


def _crossing(gap: Callable[[float], float], start: float, step: float, limit: float) -> float:
    """First sign change of `gap` (>= 0 at `start`) in the direction of `step`, up to `limit`."""
    inside, width = start, step
    for _ in range(200):
        outside = inside + width
        if (limit - outside) * step <= 0:
            outside = inside + 0.5 * (limit - inside) if math.isfinite(limit) else outside
        if gap(outside) < 0:
            return float(optimize.brentq(gap, inside, outside, xtol=1e-9 * abs(step)))
        inside, width = outside, 1.6 * width
        if math.isfinite(limit) and abs(limit - inside) < 1e-9 * abs(step):
            return limit
    raise FitDidNotConverge(
        "the profile likelihood does not fall to the interval's edge.", "use a lower confidence."
    )
