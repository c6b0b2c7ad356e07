"""Validation shared by the estimators: samples, weights and levels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .errors import BadInput

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
ArrayLike = Sequence[float] | FloatArray


def as_sample(values: ArrayLike, name: str) -> FloatArray:
    """`values` as a one-dimensional float array; empty, NaN or infinite input is refused."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise BadInput(
            f"{name} must be a non-empty one-dimensional array, got shape {array.shape}.",
            "pass one number per observation.",
        )
    finite = np.isfinite(array)
    if not finite.all():
        where = int(np.flatnonzero(~finite)[0])
        raise BadInput(
            f"{name}[{where}] is {array[where]}.", "remove or repair it before estimating."
        )
    return array


def as_weights(weights: ArrayLike | None, count: int) -> FloatArray:
    """Probabilities summing to 1, shape (count,); None means equal weights."""
    if weights is None:
        return np.full(count, 1.0 / count)
    array = as_sample(weights, "weights")
    if array.size != count:
        raise BadInput(f"{array.size} weights for {count} values.", "pass one weight per value.")
    total = float(array.sum())
    if (array < 0).any() or total <= 0:
        raise BadInput("weights must be >= 0 and not all 0.", "use likelihood ratios or counts.")
    return array / total


def check_level(level: float, name: str = "level") -> float:
    """`level` if it is strictly inside (0, 1)."""
    if not 0.0 < level < 1.0:
        raise BadInput(f"{name} must lie in (0, 1), got {level}.", "write 99 % as 0.99.")
    return float(level)


def check_positive(value: float, name: str) -> float:
    """`value` if it is finite and > 0."""
    if not (math.isfinite(value) and value > 0):
        raise BadInput(f"{name} must be finite and > 0, got {value}.", f"pass a positive {name}.")
    return float(value)


def check_nonnegative(value: float, name: str) -> float:
    """`value` if it is finite and >= 0."""
    if not (math.isfinite(value) and value >= 0):
        raise BadInput(f"{name} must be finite and >= 0, got {value}.", f"pass {name} >= 0.")
    return float(value)
