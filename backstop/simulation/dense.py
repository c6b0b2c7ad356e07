"""Dense engine: every account is valued in every round. The envelope is measured by it."""

from __future__ import annotations

import numpy as np

from . import _kernel as k
from ._engine import Engine, build_pristine, build_world
from ._jit import entry, inner
from .book import Book
from .model import FloatArray, SimulationParams


@inner
def scan_all(w: k.World, t: int, number: int) -> int:
    """Liquidate every account below maintenance at the current prices; return how many."""
    found = k.rehit(w, t, number)
    for i in range(w.accounts.shape[0]):
        if w.accounts[i].alive and w.accounts[i].row < 0:
            equity, need = k.health(w, i)
            if k.liquidate_if_below(w, i, equity, need, t, number):
                found += 1
    return found


@inner
def dense_rounds(w: k.World, logs: FloatArray, depth: FloatArray, t: int) -> int:
    """All rounds of minute `t`; return their number."""
    for number in range(w.rules[0].max_rounds):
        k.set_prices(w, logs, t)
        if scan_all(w, t, number) == 0:
            return number
        k.set_push(w, depth, t)
    k.set_prices(w, logs, t)
    w.state[0].capped_minutes += 1
    return int(w.rules[0].max_rounds)


@entry
def run_dense(w: k.World, logs: FloatArray, depth: FloatArray) -> None:
    """Run one path of outside log prices (T, M) over all accounts."""
    k.reset(w)
    for t in range(logs.shape[0]):
        k.begin_minute(w, t)
        rounds = dense_rounds(w, logs, depth, t)
        if rounds > 0:
            k.count_minute(w, rounds)
            k.settle(w)
        k.track(w, logs, t)
    k.finish(w)


@entry
def undo(w: k.World, cash: FloatArray, size: FloatArray, quote: FloatArray) -> None:
    """Bring the accounts back to what they were."""
    k.restore(w, cash, size, quote)


class DenseEngine(Engine):
    """Exact, and as slow as reading the whole book in every round."""

    def __init__(self, book: Book, params: SimulationParams) -> None:
        super().__init__(book, params)
        everyone = np.arange(book.accounts)
        self._pristine = build_pristine(book, everyone, params.adl.basis == "profit")
        self._world = build_world(book, params, self._pristine, book.accounts)

    def _run(self, world: k.World, logs: FloatArray, depth: FloatArray) -> None:
        run_dense(world, logs, depth)
        undo(world, *self._pristine)
