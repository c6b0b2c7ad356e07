"""Price paths: history, block bootstrap, filtered historical simulation, Merton jumps.

A source makes paths of log prices (T, M), relative to the price before the first step. Every path
is a pure function of (seed, path id): the random numbers are Philox's, keyed by the two, so a path
is the same whoever computes it, in whatever order. No linear algebra library is called, because
its summation order depends on the machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backstop.risk.data import Bars
from backstop.risk.garch import VolatilityFit, fit_volatility

from ._jit import entry
from ._source import PathSource, check_returns, fingerprint, generator
from .errors import PathError
from .jumps import MertonJumps, correlation_root, uniform_correlation
from .model import FloatArray, IntArray
from .overlays import MinuteBridge, WithShock

__all__ = [
    "BlockBootstrap",
    "FilteredHistory",
    "History",
    "MertonJumps",
    "MinuteBridge",
    "PathSource",
    "WithShock",
    "bar_paths",
    "common_closes",
    "correlation_root",
    "fingerprint",
    "generator",
    "log_returns",
    "uniform_correlation",
]


# --- history -------------------------------------------------------------------------------------


def common_closes(series: Sequence[Bars]) -> FloatArray:
    """Closing prices (n, M) of series with the same times; PathError names the first difference."""
    if not series:
        raise PathError("no price series given")
    first = series[0]
    for index, bars in enumerate(series[1:], start=1):
        if len(bars) != len(first) or bars.step != first.step:
            raise PathError(
                f"series {index} has {len(bars)} bars of {bars.step} s, series 0 has {len(first)} "
                f"of {first.step} s: cut them to the same times"
            )
        differs = np.flatnonzero(bars.time != first.time)
        if len(differs):
            row = int(bars.row[differs[0]])
            raise PathError(f"series {index}, row {row}: time differs from series 0; align them")
    return np.ascontiguousarray(np.stack([bars.close for bars in series], axis=1))


def log_returns(series: Sequence[Bars]) -> FloatArray:
    """Log returns (n - 1, M) of closing prices of series with the same times."""
    return np.diff(np.log(common_closes(series)), axis=0)


def bar_paths(series: Sequence[Bars]) -> FloatArray:
    """Minute log prices (n * minutes, M) through every bar's open, extremes and close.

    Straight lines in log price: a rising bar visits its low first, a falling one its high. Bars of
    less than four minutes only visit the close. Relative to the first bar's open.
    """
    common_closes(series)
    minutes = max(1, series[0].step // 60)
    columns = [_through(bars, minutes) for bars in series]
    return np.ascontiguousarray(np.stack(columns, axis=1))


def _through(bars: Bars, minutes: int) -> FloatArray:
    rising = bars.close >= bars.open
    second = np.where(rising, bars.low, bars.high)
    third = np.where(rising, bars.high, bars.low)
    corners = np.log(np.stack([bars.open, second, third, bars.close], axis=1))
    if minutes < 4:
        corners = np.repeat(corners[:, 3:], 4, axis=1)
    knots = np.round(np.array([0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0]) * minutes)
    clock = np.arange(1, minutes + 1)
    lines = np.stack([np.interp(clock, knots, row) for row in corners])
    return np.asarray(lines.ravel() - math.log(bars.open[0]))


@dataclass(frozen=True, eq=False)
class History:
    """Windows of recorded log prices (n, M): path k starts `k * stride` minutes in, wrapping round.

    No randomness: the seed is ignored. Raises PathError when the record is shorter than a window.
    """

    log_price: FloatArray
    steps: int
    stride: int = 1

    def __post_init__(self) -> None:
        check_returns(self.log_price, self.steps)
        if self.stride < 1 or len(self.log_price) < self.steps + 1:
            raise PathError(
                f"{len(self.log_price)} recorded minutes hold no window of {self.steps} after a "
                f"first price, or stride {self.stride} < 1: use fewer steps or a longer record"
            )

    @property
    def markets(self) -> int:
        """Markets M."""
        return int(self.log_price.shape[1])

    @property
    def windows(self) -> int:
        """Number of different paths."""
        return -(-(len(self.log_price) - self.steps) // self.stride)

    def path(self, seed: int, path_id: int) -> FloatArray:
        """Window number `path_id` modulo `windows`."""
        start = (path_id % self.windows) * self.stride
        window = self.log_price[start : start + self.steps + 1]
        return np.asarray(window[1:] - window[0])


# --- bootstrap -----------------------------------------------------------------------------------


def block_rows(rng: np.random.Generator, rows: int, steps: int, block: float) -> IntArray:
    """Row numbers of a stationary bootstrap (Politis and Romano, JASA 1994), shape (steps,).

    Blocks start anywhere, wrap round and have geometric lengths of mean `block`.
    """
    fresh = rng.random(steps) * block < 1.0
    fresh[0] = True
    starts = rng.integers(0, rows, steps)
    begin = np.maximum.accumulate(np.where(fresh, np.arange(steps), 0))
    return np.asarray((starts[begin] + np.arange(steps) - begin) % rows)


@dataclass(frozen=True, eq=False)
class BlockBootstrap:
    """Blocks of past returns (n, M), all markets together, mean length `block` rows."""

    returns: FloatArray
    steps: int
    block: float = 60.0

    def __post_init__(self) -> None:
        check_returns(self.returns, self.steps)
        if not self.block >= 1:
            raise PathError(f"block must be at least 1 row, got {self.block}")

    @property
    def markets(self) -> int:
        """Markets M."""
        return int(self.returns.shape[1])

    def path(self, seed: int, path_id: int) -> FloatArray:
        """One resampled path."""
        rows = block_rows(generator(seed, path_id), len(self.returns), self.steps, self.block)
        return np.cumsum(self.returns[rows], axis=0)


# --- filtered historical simulation --------------------------------------------------------------


@entry
def garch_path(shocks: FloatArray, coefficients: FloatArray, out: FloatArray) -> None:
    """Cumulated returns of GARCH(1,1) with given standardised shocks (T, M), into `out` (T, M).

    coefficients: (M, 5) mu, omega, alpha, beta, first variance.
    """
    for m in range(shocks.shape[1]):
        variance = coefficients[m, 4]
        total = 0.0
        for t in range(shocks.shape[0]):
            step = math.sqrt(variance) * shocks[t, m]
            total += coefficients[m, 0] + step
            out[t, m] = total
            variance = (
                coefficients[m, 1]
                + coefficients[m, 2] * step * step
                + coefficients[m, 3] * variance
            )


@dataclass(frozen=True, eq=False)
class FilteredHistory:
    """GARCH or EWMA volatility driven by bootstrapped standardised residuals (n, M).

    Rows are drawn together, so the markets keep the dependence they had; `coefficients` (M, 5) are
    mu, omega, alpha, beta and the variance of the first step (Barone-Adesi et al., J. Futures
    Markets 1999).
    """

    residuals: FloatArray
    coefficients: FloatArray
    steps: int
    block: float = 1.0

    def __post_init__(self) -> None:
        check_returns(self.residuals, self.steps)
        if self.coefficients.shape != (self.residuals.shape[1], 5):
            raise PathError(f"coefficients must be (M, 5), got {self.coefficients.shape}")
        if not self.block >= 1:
            raise PathError(f"block must be at least 1 row, got {self.block}")

    @classmethod
    def fit(cls, returns: FloatArray, steps: int, block: float = 1.0) -> FilteredHistory:
        """Fit each market's volatility to log returns (n, M): GARCH, or EWMA where it fails."""
        array = check_returns(returns, steps)
        fits = [fit_volatility(column) for column in array.T]
        return cls.from_fits(fits, steps, block)

    @classmethod
    def from_fits(
        cls, fits: Sequence[VolatilityFit], steps: int, block: float = 1.0
    ) -> FilteredHistory:
        """Use volatility filters fitted elsewhere, over the same times."""
        if len({len(fit.residuals) for fit in fits}) != 1:
            raise PathError("the fits must cover the same number of returns")
        rows = [(f.mu, f.omega, f.alpha, f.beta, f.next_variance) for f in fits]
        residuals = np.ascontiguousarray(np.stack([f.residuals for f in fits], axis=1))
        return cls(residuals, np.array(rows, dtype=np.float64), steps, block)

    @property
    def markets(self) -> int:
        """Markets M."""
        return int(self.residuals.shape[1])

    def path(self, seed: int, path_id: int) -> FloatArray:
        """One simulated path."""
        rows = block_rows(generator(seed, path_id), len(self.residuals), self.steps, self.block)
        out = np.empty((self.steps, self.markets))
        garch_path(self.residuals[rows], np.array(self.coefficients), out)
        return out
