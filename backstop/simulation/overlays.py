"""Sources laid over other sources: minutes between coarser bars, and fixed shocks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ._source import LANE_BRIDGE, PathSource, generator
from .errors import PathError
from .jumps import correlation_root, uniform_correlation
from .model import FloatArray


@dataclass(frozen=True, eq=False)
class MinuteBridge:
    """Minutes between the bars of a coarser source: straight lines plus Brownian bridges.

    `minutes` per step of `source`. A bridge's variance over its bar is the mean squared return of
    the bar and its two neighbours; markets share the correlation in `root` (M, M).
    """

    source: PathSource
    minutes: int
    root: FloatArray

    def __post_init__(self) -> None:
        count = self.source.markets
        if self.minutes < 1 or self.root.shape != (count, count):
            raise PathError(f"minutes must be >= 1 and root ({count}, {count})")

    @classmethod
    def of(
        cls, source: PathSource, minutes: int, correlation: float | FloatArray = 0.0
    ) -> MinuteBridge:
        """Build from a correlation matrix, or one number for all pairs."""
        matrix = correlation
        if not isinstance(matrix, np.ndarray):
            matrix = uniform_correlation(source.markets, float(matrix))
        return cls(source, minutes, correlation_root(matrix, source.markets))

    @property
    def steps(self) -> int:
        """Minutes T of a path."""
        return self.source.steps * self.minutes

    @property
    def markets(self) -> int:
        """Markets M."""
        return self.source.markets

    def path(self, seed: int, path_id: int) -> FloatArray:
        """One path of minutes; at the end of every bar it is the source's."""
        ends = self.source.path(seed, path_id)
        starts = np.vstack([np.zeros((1, self.markets)), ends[:-1]])
        moves = ends - starts
        share = np.arange(1, self.minutes + 1) / self.minutes
        lines = starts[:, None, :] + moves[:, None, :] * share[None, :, None]
        deviation = np.sqrt(_neighbour_mean(moves**2))
        lines += deviation[:, None, :] * self._bridges(seed, path_id, len(ends), share)
        return lines.reshape(self.steps, self.markets)

    def _bridges(self, seed: int, path_id: int, bars: int, share: FloatArray) -> FloatArray:
        """Standard Brownian bridges (bars, minutes, M), zero at the end of each bar."""
        rng = generator(seed, path_id, LANE_BRIDGE)
        normal = rng.standard_normal((bars, self.minutes, self.markets))
        walk = np.cumsum(np.einsum("btk,mk->btm", normal, self.root), axis=1)
        walk /= math.sqrt(self.minutes)
        return np.asarray(walk - share[None, :, None] * walk[:, -1:, :])


def _neighbour_mean(values: FloatArray) -> FloatArray:
    """Mean of each row and its neighbours, (n, M)."""
    padded = np.vstack([values[:1], values, values[-1:]])
    return np.asarray((padded[:-2] + padded[1:-1] + padded[2:]) / 3.0)


@dataclass(frozen=True, eq=False)
class WithShock:
    """A source plus a fixed move: `size` (M,) in log price, from `minute` on, over `duration`."""

    source: PathSource
    size: FloatArray
    minute: int
    duration: int = 1

    def __post_init__(self) -> None:
        if self.size.shape != (self.source.markets,) or self.duration < 1:
            raise PathError(f"size must be ({self.source.markets},) and duration >= 1 minute")

    @property
    def steps(self) -> int:
        """Minutes T of a path."""
        return self.source.steps

    @property
    def markets(self) -> int:
        """Markets M."""
        return self.source.markets

    def path(self, seed: int, path_id: int) -> FloatArray:
        """The source's path with the shock laid over it."""
        ramp = np.clip((np.arange(self.steps) - self.minute + 1) / self.duration, 0.0, 1.0)
        return np.asarray(self.source.path(seed, path_id) + ramp[:, None] * self.size)
