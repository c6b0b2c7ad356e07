"""Monte Carlo over price paths, on one machine or a cluster, with the same results everywhere."""

from __future__ import annotations

import csv
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backstop.risk.cvar import MIN_TAIL_POINTS, Interval, cvar_interval, tail_risk

from ._source import PathSource
from .backends import Backend, BackendName, make_backend
from .book import Book
from .engines import EngineName
from .errors import ParameterError
from .model import LAYERS, MARKET_FIELDS, PATH_FIELDS, FloatArray, IntArray, SimulationParams
from .tasks import ChunkResult, Job

#: Seconds of work in one chunk: long against the cost of sending it, short against a lost worker.
CHUNK_SECONDS = 0.2

#: Paths in each of the first chunks, on which the speed is measured.
FIRST_CHUNK = 8

#: Most paths in a chunk, so that the first ones being cheap cannot unbalance a run.
LARGEST_CHUNK = 4096


@dataclass(frozen=True)
class Progress:
    """State of a run: paths done of total, seconds since the start, and CVaR of the deficit so far.

    cvar in USD, None before the first path; interval None until the tail holds enough points.
    """

    done: int
    total: int
    seconds: float
    level: float
    cvar: float | None
    interval: Interval | None

    @property
    def paths_per_second(self) -> float:
        """Average speed so far."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Expected remaining time, None before the first path."""
        speed = self.paths_per_second
        return (self.total - self.done) / speed if speed > 0 else None


@dataclass(frozen=True)
class MonteCarloResult:
    """Results of the finished paths, in order of their ids.

    ids (P,); market (P, M, len(MARKET_FIELDS)) and path (P, len(PATH_FIELDS)): see
    `backstop.simulation.model`. `complete` is false after an interruption; `job_sha256` names what
    was simulated.
    """

    ids: IntArray
    market: FloatArray
    path: FloatArray
    markets: tuple[str, ...]
    complete: bool
    job_sha256: str
    seconds: float

    def __len__(self) -> int:
        return len(self.ids)

    def column(self, name: str) -> FloatArray:
        """One market field, (P, M); KeyError for an unknown name."""
        if name not in MARKET_FIELDS:
            raise KeyError(name)
        return self.market[:, :, MARKET_FIELDS.index(name)]

    def scalar(self, name: str) -> FloatArray:
        """One path field, (P,); KeyError for an unknown name."""
        if name not in PATH_FIELDS:
            raise KeyError(name)
        return self.path[:, PATH_FIELDS.index(name)]

    @property
    def deficit(self) -> FloatArray:
        """Bad debt over all markets (P,), USD."""
        return np.asarray(self.column("deficit").sum(axis=1))

    @property
    def drawn(self) -> FloatArray:
        """Paid by the fund (P, M, 3), USD, in the order of `LAYERS`."""
        return np.stack([self.column(f"drawn_{layer}") for layer in LAYERS], axis=2)

    @property
    def adl(self) -> FloatArray:
        """Charged to opposite sides over all markets (P,), USD."""
        return np.asarray(self.column("adl").sum(axis=1))

    @property
    def residual(self) -> FloatArray:
        """Borne by nobody, over all markets (P,), USD."""
        return np.asarray(self.column("residual").sum(axis=1))

    def sha256(self) -> str:
        """Hash of ids and results: equal on every backend, number of workers and chunking."""
        digest = hashlib.sha256(",".join((*MARKET_FIELDS, *PATH_FIELDS)).encode())
        for array, kind in ((self.ids, "<i8"), (self.market, "<f8"), (self.path, "<f8")):
            digest.update(str(array.shape).encode())
            digest.update(np.ascontiguousarray(array, dtype=kind).data)
        return digest.hexdigest()

    def write_csv(self, target: Path) -> Path:
        """Write one row per path and market with exact numbers; return the file."""
        with target.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["path_id", "market", *MARKET_FIELDS, *PATH_FIELDS])
            for path_id, rows, once in zip(self.ids, self.market, self.path, strict=True):
                for name, row in zip(self.markets, rows, strict=True):
                    writer.writerow(
                        [int(path_id), name, *map(repr, [*row.tolist(), *once.tolist()])]
                    )
        return target


class _Collector:
    """Puts chunks of results where they belong and knows what is done."""

    def __init__(self, job: Job, paths: int) -> None:
        self.job = job
        self.begin = time.perf_counter()
        self.market = np.empty((paths, job.book.width, len(MARKET_FIELDS)))
        self.path = np.empty((paths, len(PATH_FIELDS)))
        self.finished = np.zeros(paths, dtype=bool)
        self.work_seconds = 0.0

    def add(self, chunk: ChunkResult) -> None:
        self.market[chunk.start : chunk.stop] = chunk.market
        self.path[chunk.start : chunk.stop] = chunk.path
        self.finished[chunk.start : chunk.stop] = True
        self.work_seconds += chunk.seconds

    @property
    def done(self) -> int:
        return int(self.finished.sum())

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.begin

    def next_size(self) -> int:
        """Paths worth `CHUNK_SECONDS`, by the speed measured so far."""
        if self.work_seconds == 0.0:
            return FIRST_CHUNK
        return int(np.clip(CHUNK_SECONDS * self.done / self.work_seconds, 1, LARGEST_CHUNK))

    def deficits(self) -> FloatArray:
        index = MARKET_FIELDS.index("deficit")
        return np.asarray(self.market[self.finished, :, index].sum(axis=1))

    def progress(self, level: float) -> Progress:
        done, cvar, interval = self.done, None, None
        if done:
            losses = self.deficits()
            cvar = tail_risk(losses, level).cvar
            if done * (1.0 - level) >= MIN_TAIL_POINTS:
                interval = cvar_interval(losses, level)
        return Progress(done, len(self.finished), self.seconds, level, cvar, interval)

    def result(self) -> MonteCarloResult:
        ids = np.flatnonzero(self.finished)
        complete = len(ids) == len(self.finished)
        return MonteCarloResult(
            ids=ids,
            market=self.market if complete else self.market[ids],
            path=self.path if complete else self.path[ids],
            markets=self.job.book.markets,
            complete=complete,
            job_sha256=self.job.sha256,
            seconds=self.seconds,
        )


def run_monte_carlo(
    book: Book,
    params: SimulationParams,
    source: PathSource,
    paths: int,
    *,
    seed: int = 0,
    engine: EngineName = "auto",
    backend: BackendName = "process",
    workers: int | None = None,
    address: str | None = None,
    chunk: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    progress_seconds: float = 0.5,
    level: float = 0.99,
) -> MonteCarloResult:
    """Simulate the paths 0..paths-1 and return their results.

    The results depend on book, params, source, seed and engine only. backend: "serial", "process"
    (default), "dask" or "ray"; the last two start a local cluster unless `address` is given. chunk:
    paths a task, by default about `CHUNK_SECONDS` of work. progress: called at most every
    `progress_seconds` and once at the end, with CVaR of the deficit at `level`. Ctrl-C (or a
    KeyboardInterrupt raised by `progress`) ends the run and returns what is finished.

    Raises ParameterError, PathError, EngineError, BackendError, MissingExtraError.
    """
    if paths < 1 or (chunk is not None and chunk < 1):
        raise ParameterError(f"paths and chunk must be at least 1, got {paths} and {chunk}")
    if not 0.0 < level < 1.0:
        raise ParameterError(f"level must be in (0, 1), got {level}")
    job = Job(book, params, source, seed, engine)
    collector = _Collector(job, paths)
    report = _reporter(collector, progress, progress_seconds, level)
    try:
        with make_backend(backend, job, workers, address) as workers_of_job:
            _drive(workers_of_job, collector, paths, chunk, report)
    except KeyboardInterrupt:
        return collector.result()
    if progress:
        progress(collector.progress(level))
    return collector.result()


def _drive(
    backend: Backend,
    collector: _Collector,
    paths: int,
    chunk: int | None,
    report: Callable[[], None],
) -> None:
    """Keep every worker busy with one chunk in hand and one waiting, until all paths are done."""
    start = pending = 0
    while start < paths or pending:
        measured = chunk is not None or collector.work_seconds > 0.0
        queue = 2 * backend.workers if measured else backend.workers
        while start < paths and pending < queue:
            stop = min(paths, start + (chunk or collector.next_size()))
            backend.submit((start, stop))
            start, pending = stop, pending + 1
        for result in backend.wait():
            collector.add(result)
            pending -= 1
        report()


def _reporter(
    collector: _Collector,
    progress: Callable[[Progress], None] | None,
    every: float,
    level: float,
) -> Callable[[], None]:
    """Return a function that calls `progress` unless it did so less than `every` seconds ago."""
    last = 0.0

    def report() -> None:
        nonlocal last
        if progress and collector.seconds - last >= every:
            last = collector.seconds
            progress(collector.progress(level))

    return report
