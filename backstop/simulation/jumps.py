"""Correlated jump diffusions, as a source of price paths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backstop.risk.options import JumpDiffusion

from ._source import generator
from .errors import PathError
from .model import FloatArray

MINUTES_PER_YEAR = 365.0 * 24.0 * 60.0


def correlation_root(correlation: FloatArray, markets: int) -> FloatArray:
    """Lower triangular root of a correlation matrix (M, M); PathError if it is not one."""
    matrix = np.asarray(correlation, dtype=np.float64)
    good = matrix.shape == (markets, markets) and np.allclose(matrix, matrix.T)
    if not good or not np.allclose(np.diag(matrix), 1.0):
        raise PathError(
            f"correlation must be symmetric ({markets}, {markets}) with 1 on the diagonal"
        )
    try:
        return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError as error:
        raise PathError("correlation is not positive definite: lower the correlations") from error


def uniform_correlation(markets: int, value: float) -> FloatArray:
    """Correlation matrix (M, M) with `value` off the diagonal."""
    return np.full((markets, markets), value) + (1.0 - value) * np.eye(markets)


@dataclass(frozen=True, eq=False)
class MertonJumps:
    """Correlated jump diffusions (Merton, J. Financial Economics 1976), one step a minute.

    diffusions: one per market, yearly. root: (M, M) from `correlation_root`. `common` is the share
    of the least intensity that arrives in all markets at the same minute and with the same normal
    deviate, each market with its own mean and deviation; the rest comes alone. With `martingale`
    the expected price stays, otherwise the drift is `-sigma**2 / 2` without compensation for jumps.
    """

    diffusions: tuple[JumpDiffusion, ...]
    root: FloatArray
    steps: int
    common: float = 0.5
    martingale: bool = True
    minutes_per_step: float = 1.0

    def __post_init__(self) -> None:
        count = len(self.diffusions)
        if count == 0 or self.root.shape != (count, count):
            raise PathError(f"root must be ({count}, {count}) for {count} markets")
        if not 0 <= self.common <= 1 or self.steps < 1 or not self.minutes_per_step > 0:
            raise PathError("common must be in [0, 1], steps >= 1 and minutes_per_step > 0")

    @classmethod
    def of(
        cls,
        diffusions: Sequence[JumpDiffusion],
        correlation: float | FloatArray,
        steps: int,
        common: float = 0.5,
    ) -> MertonJumps:
        """Build from a correlation matrix, or one number for all pairs."""
        count = len(diffusions)
        matrix = correlation
        if not isinstance(matrix, np.ndarray):
            matrix = uniform_correlation(count, float(matrix))
        return cls(tuple(diffusions), correlation_root(matrix, count), steps, common)

    @property
    def markets(self) -> int:
        """Markets M."""
        return len(self.diffusions)

    def path(self, seed: int, path_id: int) -> FloatArray:
        """One simulated path."""
        rng = generator(seed, path_id)
        years = self.minutes_per_step / MINUTES_PER_YEAR
        sigma = np.array([d.sigma for d in self.diffusions])
        normal = rng.standard_normal((self.steps, self.markets))
        moves = np.einsum("tk,mk->tm", normal, self.root * (sigma * math.sqrt(years))[:, None])
        moves -= 0.5 * sigma**2 * years
        if self.martingale:
            moves -= years * np.array([d.intensity * d.mean_jump for d in self.diffusions])
        self._add_jumps(rng, moves, years)
        return np.cumsum(moves, axis=0)

    def _add_jumps(self, rng: np.random.Generator, moves: FloatArray, years: float) -> None:
        shared = self.common * min(d.intensity for d in self.diffusions)
        together = rng.poisson(shared * years * self.steps)
        minutes, deviates = rng.integers(0, self.steps, together), rng.standard_normal(together)
        for m, d in enumerate(self.diffusions):
            np.add.at(moves[:, m], minutes, d.mean_log + d.sd_log * deviates)
        for m, d in enumerate(self.diffusions):
            alone = rng.poisson((d.intensity - shared) * years * self.steps)
            when, size = rng.integers(0, self.steps, alone), rng.standard_normal(alone)
            np.add.at(moves[:, m], when, d.mean_log + d.sd_log * size)
