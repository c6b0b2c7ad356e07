"""What every source of price paths has in common: its random numbers, its interface, its hash."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import Protocol

import numpy as np

from .errors import PathError
from .model import FloatArray

#: Independent streams of one path: what a source draws itself, and what is laid over it.
LANE_SOURCE, LANE_BRIDGE = 0, 1


class PathSource(Protocol):
    """What a Monte Carlo run draws its paths from. Sources are immutable and can be pickled."""

    @property
    def steps(self) -> int:
        """Minutes T of a path."""

    @property
    def markets(self) -> int:
        """Markets M."""

    def path(self, seed: int, path_id: int) -> FloatArray:
        """Log prices (T, M) of one path, relative to the price before its first step."""


def generator(seed: int, path_id: int, lane: int = LANE_SOURCE) -> np.random.Generator:
    """Random numbers of one path: Philox keyed by (seed, path id), one counter range a lane.

    Raises PathError unless both are in [0, 2**64).
    """
    if not (0 <= seed < 2**64 and 0 <= path_id < 2**64):
        raise PathError(f"seed {seed} and path id {path_id} must be in [0, 2**64)")
    key = np.array([seed, path_id], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, lane]))


def fingerprint(source: object) -> str:
    """Hash of a source's class and contents, equal for equal sources."""
    digest = hashlib.sha256()
    _digest(source, digest)
    return digest.hexdigest()


def _digest(value: object, digest: hashlib._Hash) -> None:
    digest.update(f"<{type(value).__name__}>".encode())
    if isinstance(value, np.ndarray):
        digest.update(str(value.shape).encode())
        digest.update(np.ascontiguousarray(value, value.dtype.newbyteorder("<")).tobytes())
    elif isinstance(value, (tuple, list)):
        for item in value:
            _digest(item, digest)
    elif hasattr(value, "__dataclass_fields__"):
        for item in fields(value):  # type: ignore[arg-type]
            digest.update(item.name.encode())
            _digest(getattr(value, item.name), digest)
    else:
        digest.update(repr(value).encode())


def check_returns(returns: FloatArray, steps: int) -> FloatArray:
    """Return `returns` as contiguous float64 (n, M); PathError unless n >= 2 and all is finite."""
    array = np.ascontiguousarray(returns, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] < 2 or array.shape[1] < 1:
        raise PathError(f"returns must be (n, M) with n >= 2, got shape {array.shape}")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        raise PathError(f"return in row {bad[0][0]}, market {bad[0][1]} is not finite: repair it")
    if steps < 1:
        raise PathError(f"steps must be at least 1, got {steps}")
    return array
