"""Random cases for the engines, and what "the same result" means for floating-point numbers.

Two results are the same when the same accounts are liquidated in the same minute and round, every
counter is equal, and every amount and price agrees within `RELATIVE` of its size. Amounts below
`NOTHING` dollars are rounding dust of a larger sum and count as zero.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backstop.simulation.book import Book, BookSpec, Tiers, random_book
from backstop.simulation.errors import PathError
from backstop.simulation.model import (
    PATH_FIELDS,
    AdlParams,
    DepthLaw,
    FloatArray,
    FundParams,
    ImpactParams,
    LiquidationParams,
    PathResult,
    SimulationParams,
)

RELATIVE = 1e-9
NOTHING = 1e-6


@dataclass(frozen=True)
class Case:
    """One book, one path, one set of parameters."""

    book: Book
    params: SimulationParams
    logs: FloatArray
    depth: FloatArray | None


def difference(a: FloatArray, b: FloatArray) -> float:
    """Largest relative difference of two arrays of one shape."""
    assert a.shape == b.shape
    size = np.maximum(np.abs(a), np.abs(b))
    relative = np.abs(a - b) / np.maximum(size, 1e-300)
    return float(np.max(np.where(size > NOTHING, relative, 0.0), initial=0.0))


def assert_same(expected: PathResult, got: PathResult) -> None:
    """Fail unless two results with events are the same in the sense of this module."""
    assert expected.events is not None
    assert got.events is not None
    ours, theirs = expected.events.sorted(), got.events.sorted()
    for name in ("account", "minute", "round"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
    counters = slice(0, PATH_FIELDS.index("operator_end"))
    np.testing.assert_array_equal(expected.path[counters], got.path[counters])
    assert difference(ours.fraction, theirs.fraction) < RELATIVE
    assert difference(ours.maintenance, theirs.maintenance) < RELATIVE
    assert difference(expected.market, got.market) < RELATIVE
    assert difference(expected.path, got.path) < RELATIVE
    assert expected.prices is not None
    assert got.prices is not None
    assert difference(expected.prices, got.prices) < RELATIVE


def random_tiers(rng: np.random.Generator, markets: int) -> Tiers:
    """A flat schedule, or three brackets a market."""
    if rng.random() < 0.5:
        return Tiers.flat(rng.uniform(0.004, 0.03, markets), markets)
    return Tiers.of(
        [
            [
                (0.0, 0.004 + 0.01 * rng.random()),
                (10 ** rng.uniform(4, 6.5), 0.02 + 0.01 * rng.random()),
                (10 ** rng.uniform(6.6, 8), 0.05 + 0.1 * rng.random()),
            ]
            for _ in range(markets)
        ]
    )


def random_path(rng: np.random.Generator, markets: int, steps: int) -> FloatArray:
    """Noise with a common part, and up to three jumps."""
    own = rng.normal(0, rng.choice([0.001, 0.004]), (steps, markets))
    logs = np.cumsum(own + rng.normal(0, 0.003, (steps, 1)), axis=0)
    for _ in range(int(rng.integers(0, 4))):
        logs[int(rng.integers(0, steps)) :] += rng.normal(-0.02, 0.08) * rng.uniform(
            0.5, 1, markets
        )
    return logs


def random_params(rng: np.random.Generator, markets: int, whole: bool = False) -> SimulationParams:
    """Parameters from all corners; `whole`: only what the sorted sweep covers."""
    impact = ImpactParams(
        coefficient=float(rng.choice([0.0, 0.02, 0.05])),
        volume=10 ** rng.uniform(8.5, 10),
        exponent=float(rng.choice([0.5, 0.5, 0.6, 1.0])),
        decay=float(rng.choice([1.0, 0.95, 0.8, 0.0])),
        depth=DepthLaw.october_2025() if rng.random() < 0.5 else DepthLaw(),
    )
    rule = LiquidationParams(
        surcharge=float(rng.choice([0.0, 0.005, 0.02])),
        reward=float(rng.choice([0.0, 0.003])),
        target_health=0.0 if whole else float(rng.choice([0.0, 1.05, 1.3, 2.0])),
        max_parts=int(rng.integers(1, 5)),
        dust=float(rng.choice([0.0, 10.0, 1e5])),
        max_rounds=int(rng.choice([500, 500, 2])),
    )
    fund = FundParams(
        compartment=10 ** rng.uniform(0, 6, markets),
        operator=10 ** rng.uniform(2, 6),
        staked=10 ** rng.uniform(3, 7),
        claim_limit=float(rng.choice([1.0, 0.2, 0.05])),
        market_limit=float(rng.choice([1.0, 0.5])),
        window_limit=float(rng.choice([1.0, 0.5])),
        market_cap=float(rng.choice([np.inf, 1e5])),
        window=int(rng.choice([20, 60, 480])),
    )
    basis = "size" if whole or rng.random() < 0.5 else "profit"
    adl = AdlParams(basis=basis, max_charge=float(rng.choice([1.0, 0.05])))
    return SimulationParams(impact, fund, rule, adl)


def random_case(seed: int) -> Case:
    """Cross margin in one to five markets, everything the model has."""
    rng = np.random.default_rng([seed, 1])
    markets = int(rng.integers(1, 6))
    accounts = int(rng.integers(2 * markets, 90))
    spec = BookSpec(leverage=float(rng.uniform(2, 25)))
    tiers = random_tiers(rng, markets)
    book = random_book(accounts, markets, seed=seed, tiers=tiers, spec=spec)
    logs = random_path(rng, markets, int(rng.choice([30, 90, 250])))
    depth = None
    if rng.random() < 0.3:
        depth = np.exp(np.cumsum(rng.normal(0, 0.05, logs.shape), axis=0))
    return Case(book, random_params(rng, markets), logs, depth)


def isolated_case(seed: int) -> Case:
    """Isolated margin in one to three markets, as the sorted sweep wants it."""
    rng = np.random.default_rng([seed, 2])
    markets = int(rng.integers(1, 4))
    accounts = int(rng.integers(4, 70))
    parts = [
        random_book(accounts, seed=seed * 7 + m, spec=BookSpec(leverage=float(rng.uniform(2, 25))))
        for m in range(markets)
    ]
    book = isolated_book(parts, rng.uniform(0.004, 0.03, markets))
    logs = random_path(rng, markets, int(rng.choice([30, 90, 250])))
    return Case(book, random_params(rng, markets, whole=True), logs, None)


def isolated_book(parts: list[Book], rates: FloatArray) -> Book:
    """Put one-market books beside each other, one market each."""
    width = len(parts)
    counts = [part.accounts for part in parts]
    size, quote = np.zeros((2, sum(counts), width))
    row = 0
    for m, part in enumerate(parts):
        size[row : row + counts[m], m] = part.size[:, 0]
        quote[row : row + counts[m], m] = part.quote[:, 0]
        row += counts[m]
    return Book(
        collateral=np.concatenate([part.collateral for part in parts]),
        size=size,
        quote=quote,
        price=np.concatenate([part.price for part in parts]),
        tiers=Tiers.flat(rates, width),
        markets=tuple(f"M{m}" for m in range(width)),
    )


@dataclass(frozen=True)
class FatalPaths:
    """A source whose path `fatal` kills the process computing it, while the file `trap` exists."""

    steps: int
    markets: int
    fatal: int
    trap: str
    once: bool

    def path(self, seed: int, path_id: int) -> FloatArray:
        trap = Path(self.trap)
        if path_id == self.fatal and trap.exists():
            if self.once:
                trap.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        rng = np.random.default_rng([seed, path_id])
        return np.cumsum(rng.normal(0, 0.01, (self.steps, self.markets)), axis=0)


@dataclass(frozen=True)
class FaultyPaths:
    """A source that cannot make path number `faulty`."""

    steps: int
    markets: int
    faulty: int

    def path(self, seed: int, path_id: int) -> FloatArray:
        if path_id == self.faulty:
            raise PathError(f"path {path_id} has no prices")
        return np.zeros((self.steps, self.markets))
