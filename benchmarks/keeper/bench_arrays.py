"""100,000 made-up accounts in the keeper's arrays: refresh, decision, memory.

Run as a process of its own, so that the memory is the book's: `python bench_arrays.py [ACCOUNTS]`.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from typing import Any

import numpy as np

from backstop.keeper.book import Book, Market

MARKETS = 8
PRICES = [60_000.0, 3_000.0, 150.0, 25.0, 8.0, 1.2, 0.6, 0.1]
REPEATS = 30


def fill(book: Book, accounts: int) -> None:
    """One to three positions an account, leverage log-normal around six, some close to the edge."""
    rng = np.random.default_rng(20_251_010)
    notional = np.zeros((MARKETS, accounts))
    rows = np.arange(accounts)
    for chance in (1.0, 0.5, 0.25):
        picked = rng.integers(0, MARKETS, accounts)
        size = np.where(rng.random(accounts) < chance, rng.lognormal(8, 1.5, accounts), 0.0)
        notional[picked, rows] = size * rng.choice([-1, 1], accounts)
    basis = notional / np.array(PRICES)[:, None]
    leverage = np.clip(rng.lognormal(np.log(6), 0.6, accounts), 0.5, 18.0)
    book.load(np.abs(notional).sum(axis=0) / leverage, list(basis), list(-notional))


def markets(factor: float) -> list[Market]:
    return [Market(p * factor, (1.0, 1.0), (0.0, 0.0), (0, 0), 0.05, 2.5e7) for p in PRICES]


def milliseconds(action: Any) -> float:
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1e3


def measure(accounts: int) -> dict[str, Any]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    book = Book(0.02, capacity=accounts)
    fill(book, accounts)
    book.set_markets(markets(1.0))
    refresh = [milliseconds(book.refresh) for _ in range(REPEATS)]
    decisions, leaving = [], []
    rng = np.random.default_rng(1)
    for _ in range(REPEATS):
        book.set_markets(markets(1 + float(rng.uniform(-0.02, 0.02))))
        decisions.append(milliseconds(book.at_risk))
    candidates, found = book.candidates, len(book.at_risk())
    for n in range(REPEATS):
        book.set_markets(markets(0.9 if n % 2 else 1.0))
        leaving.append(milliseconds(book.at_risk))
    return {
        "accounts": accounts,
        "markets": MARKETS,
        "refresh_ms": statistics.median(refresh),
        "refresh_ms_max": max(refresh),
        "decision_ms": statistics.median(decisions),
        "decision_ms_max": max(decisions),
        "decision_outside_box_ms": statistics.median(leaving),
        "decision_outside_box_ms_max": max(leaving),
        "candidates": candidates,
        "liquidatable": found,
        "liquidatable_after_10_percent": len(book.at_risk()),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "memory_before_mb": before / 1024,
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)))
