"""The unit of Monte Carlo work: one pure function of its arguments.

`run_chunk(job, start, stop)` simulates the paths start..stop-1 of a job. It reads nothing but its
arguments and keeps nothing but a cache of the prepared engine, which no result depends on. So it
may run anywhere, any number of times, in any order.
"""

from __future__ import annotations

import hashlib
import pickle
import threading
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ._engine import Engine
from ._source import PathSource, fingerprint
from .book import Book
from .engines import EngineName, make_engine, resolve_engine
from .errors import PathError
from .model import MARKET_FIELDS, PATH_FIELDS, FloatArray, SimulationParams

_JOB_FILE, _BOOK_FOLDER = "job.pickle", "book"


@dataclass(frozen=True)
class Job:
    """Everything a path's result depends on, except its number.

    Raises PathError when the source has another number of markets than the book.
    """

    book: Book
    params: SimulationParams
    source: PathSource
    seed: int
    engine: EngineName = "auto"

    def __post_init__(self) -> None:
        if self.source.markets != self.book.width:
            raise PathError(f"paths of {self.source.markets} markets, book of {self.book.width}")
        resolved = resolve_engine(self.book, self.params, self.engine)
        object.__setattr__(self, "engine", resolved)

    @cached_property
    def sha256(self) -> str:
        """Hash of book, parameters, source, seed and engine."""
        parts = (self.book.sha256(), self.params.sha256(), fingerprint(self.source))
        text = "\n".join((*parts, str(self.seed), self.engine))
        return hashlib.sha256(text.encode()).hexdigest()

    def save(self, folder: Path) -> JobFile:
        """Write the job so that processes of one machine share the book's memory."""
        self.book.save(folder / _BOOK_FOLDER)
        rest = (self.params, self.source, self.seed, self.engine)
        (folder / _JOB_FILE).write_bytes(pickle.dumps(rest))
        return JobFile(str(folder), self.sha256)


@dataclass(frozen=True)
class JobFile:
    """A job stored in a folder by `Job.save`; cheap to send to a process of the same machine."""

    folder: str
    sha256: str

    def load(self) -> Job:
        """Read the job; the book stays memory-mapped."""
        folder = Path(self.folder)
        params, source, seed, engine = pickle.loads((folder / _JOB_FILE).read_bytes())
        book = Book.load(folder / _BOOK_FOLDER)
        job = Job(book, params, source, seed, engine)
        job.__dict__["sha256"] = self.sha256  # known; saves hashing the book again
        return job


@dataclass(frozen=True)
class ChunkResult:
    """Results of the paths start..stop-1, and the seconds the simulation alone took.

    market: (stop - start, M, len(MARKET_FIELDS)); path: (stop - start, len(PATH_FIELDS)).
    """

    start: int
    stop: int
    market: FloatArray
    path: FloatArray
    seconds: float


class _Prepared(threading.local):
    """The last job and its engine. One a thread: engines are not shared, and a Dask worker of a
    foreign cluster usually runs several chunks at once.
    """

    sha256 = ""
    job: Job
    engine: Engine


_prepared = _Prepared()


def _prepare(job: Job | JobFile) -> None:
    """Make the job's engine unless it is there from the chunk before."""
    if job.sha256 == _prepared.sha256:
        return
    full = job.load() if isinstance(job, JobFile) else job
    engine = make_engine(full.book, full.params, full.engine)
    engine.run(np.zeros((1, full.book.width)))  # loads or compiles the machine code
    _prepared.job, _prepared.engine, _prepared.sha256 = full, engine, job.sha256


def run_chunk(job: Job | JobFile, start: int, stop: int) -> ChunkResult:
    """Simulate the paths start..stop-1 of a job. Pure: equal arguments give equal results."""
    _prepare(job)
    full, engine = _prepared.job, _prepared.engine
    begin = time.perf_counter()
    count = stop - start
    market = np.empty((count, full.book.width, len(MARKET_FIELDS)))
    path = np.empty((count, len(PATH_FIELDS)))
    for row in range(count):
        result = engine.run(full.source.path(full.seed, start + row))
        market[row], path[row] = result.market, result.path
    return ChunkResult(start, stop, market, path, time.perf_counter() - begin)
