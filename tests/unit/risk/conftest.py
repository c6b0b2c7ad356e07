"""Where the reference data lies: beside the repository, never in it."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"


def _need(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"reference data ../shared/data/{name} is not beside the repository")
    return path


@pytest.fixture(scope="session")
def reference():
    """Callable: path of a reference file, or skip with the reason."""
    return _need


@pytest.fixture(scope="session")
def danish() -> np.ndarray:
    """Danish fire losses 1980-1990, millions of kroner, 2,167 claims."""
    with _need("ref/danishClaims.csv").open() as file:
        rows = list(csv.reader(file, delimiter=";"))
    return np.array([float(row[1]) for row in rows[1:]])


def _hourly(symbol: str) -> np.ndarray:
    with gzip.open(_need(f"{symbol}_perp_1h_2020-01_2024-04.csv.gz"), "rt") as file:
        rows = list(csv.reader(file))
    return np.array([[float(x) for x in row[1:5]] for row in rows[1:]])


@pytest.fixture(scope="session")
def btc_hourly() -> np.ndarray:
    """BTC perpetual, hourly open, high, low, close, shape (37660, 4)."""
    return _hourly("btc")


@pytest.fixture(scope="session")
def eth_hourly() -> np.ndarray:
    """ETH perpetual, hourly open, high, low, close, shape (37660, 4)."""
    return _hourly("eth")
