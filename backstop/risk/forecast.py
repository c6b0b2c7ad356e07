"""Backtest of the volatility filter that drives filtered historical simulation.

The filter and the quantile of its residuals are fitted to the first part of a series; then every
later bar is forecast one step ahead with them, and Kupiec's and Christoffersen's tests say whether
the losses beyond the forecast were as many as promised, and spread as they should be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from .arrays import ArrayLike, FloatArray, as_sample, check_level
from .backtest import TestResult, christoffersen_conditional, exceptions, kupiec
from .errors import BadInput, TooFewTailPoints
from .garch import VolatilityFit, fit_volatility

#: Fewest forecasts times (1 - level): below it the tests cannot refuse anything.
MIN_EXPECTED = 5.0


@dataclass(frozen=True, eq=False)
class Backtest:
    """Forecasts and losses of the bars after the fitted part, and the two tests.

    side: "long" (losses are falls) or "short"; losses and forecasts: log returns, shape (n,).
    """

    side: str
    level: float
    method: str
    coverage: TestResult
    conditional: TestResult
    losses: FloatArray = field(repr=False)
    forecasts: FloatArray = field(repr=False)

    @property
    def expected(self) -> float:
        """Exceptions that a right model has."""
        return self.losses.size * (1.0 - self.level)


def backtest_filter(
    returns: ArrayLike, side: str, level: float = 0.99, fitted_part: float = 0.5
) -> Backtest:
    """Fit on the first part of log returns (n,), forecast the rest one step ahead."""
    values = as_sample(returns, "returns")
    check_level(level)
    if side not in ("long", "short") or not 0 < fitted_part < 1:
        raise BadInput(f"side {side!r}, fitted part {fitted_part}.", "use long or short, and 0.5.")
    cut = int(values.size * fitted_part)
    if (values.size - cut) * (1.0 - level) < MIN_EXPECTED:
        need = math.ceil(MIN_EXPECTED / (1.0 - level) / (1.0 - fitted_part))
        raise TooFewTailPoints(
            f"{values.size} returns are too few for a backtest at {level}.",
            f"bring at least {need:,}, or use a lower level.",
        )
    fit = fit_volatility(values[:cut])
    sigma = _sigma(fit, values[cut:])
    sign = -1.0 if side == "long" else 1.0
    losses = sign * values[cut:]
    quantile = float(np.quantile(sign * fit.residuals, level))
    forecasts = sign * fit.mu + sigma * quantile
    hits = exceptions(losses, forecasts)
    coverage = kupiec(int(hits.sum()), hits.size, level)
    conditional = christoffersen_conditional(hits, level)
    return Backtest(side, level, fit.method, coverage, conditional, losses, forecasts)


def _sigma(fit: VolatilityFit, later: FloatArray) -> FloatArray:
    """One-step-ahead deviations of the bars after the fit, by its own recursion."""
    variance, out = fit.next_variance, np.empty(later.size)
    for t, value in enumerate(later):
        out[t] = math.sqrt(variance)
        shock = float(value) - fit.mu
        variance = fit.omega + fit.alpha * shock * shock + fit.beta * variance
    return out
