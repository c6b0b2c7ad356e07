"""Where chunks are computed: this process, a pool of processes, a Dask or a Ray cluster.

All four answer to one small interface; none decides anything about the results. Dask and Ray are
optional: they are imported on first use, and a missing one is an error that names the extra.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

from .errors import BackendError, MissingExtraError
from .tasks import ChunkResult, Job, run_chunk

BackendName = Literal["serial", "process", "dask", "ray"]
Span = tuple[int, int]

#: Workers compute with one thread each: paths are what runs in parallel.
SINGLE_THREAD = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

#: Pools or clusters that may break in a row, without a single chunk finished, before giving up.
MAX_FAILURES = 3

#: Seconds that a cluster's address has to answer.
CONNECT_SECONDS = 10.0


def _let_workers_import() -> None:
    """Put the project back on `sys.path`, which processes start from; ape takes it off."""
    root = str(Path(__file__).resolve().parents[2])
    if root not in sys.path:
        sys.path.append(root)


class Backend(ABC):
    """Computes chunks of one job. Use as a context manager."""

    def __init__(self, job: Job, workers: int) -> None:
        _let_workers_import()
        self.job = job
        self.workers = workers

    def __enter__(self) -> Backend:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def submit(self, span: Span) -> None:
        """Start computing the paths span[0]..span[1]-1."""

    @abstractmethod
    def wait(self) -> list[ChunkResult]:
        """Block until at least one submitted chunk is done; return all that are.

        Chunks lost with a worker are computed again. Raises BackendError when that keeps failing.
        """

    @abstractmethod
    def close(self) -> None:
        """Drop what has not started and release workers; may be called twice."""


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def make_backend(
    name: BackendName, job: Job, workers: int | None = None, address: str | None = None
) -> Backend:
    """Start a backend.

    workers: processes to start, by default one a core; a cluster at `address` has its own. Raises
    MissingExtraError, or BackendError for an unknown name, an address that a backend cannot have,
    and a cluster that does not answer.
    """
    count = workers if workers is not None else cores()
    if count < 1:
        raise BackendError(f"at least one worker is needed, got {count}")
    local: dict[str, Callable[[Job, int], Backend]] = {
        "serial": SerialBackend,
        "process": ProcessBackend,
    }
    if name in local:
        if address is not None:
            raise BackendError(f"backend {name} has no address; use dask or ray for a cluster")
        return local[name](job, count)
    if name == "dask":
        return DaskBackend(job, count, address)
    if name == "ray":
        return RayBackend(job, count, address)
    raise BackendError(f"unknown backend {name!r}; choose from serial, process, dask, ray")


def _require_listener(address: str) -> None:
    """Raise BackendError if nothing listens at host:port of `address`; other forms pass.

    Both clusters' clients retry for minutes, one of them ends the process when it gives up.
    """
    host, _, port = address.split("://")[-1].rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise BackendError(
            f"no cluster listens at {address} ({error}): start it, or leave the address out for "
            "local workers"
        ) from error


def _need(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        text = f"backend {extra} needs the package {module}: pip install 'backstop[{extra}]'"
        raise MissingExtraError(text) from error


class SerialBackend(Backend):
    """Computes in this process, one chunk a call of `wait`."""

    def __init__(self, job: Job, workers: int = 1) -> None:
        super().__init__(job, 1)
        self._queue: list[Span] = []

    def submit(self, span: Span) -> None:
        """Queue a chunk."""
        self._queue.append(span)

    def wait(self) -> list[ChunkResult]:
        """Return the chunks that are done, at least one."""
        return [run_chunk(self.job, *self._queue.pop(0))]

    def close(self) -> None:
        """Drop what has not started and release workers."""
        self._queue.clear()


# --- processes -----------------------------------------------------------------------------------


@contextlib.contextmanager
def single_threaded_children() -> Iterator[None]:
    """Environment for processes started inside; put back afterwards."""
    before = {name: os.environ.get(name) for name in SINGLE_THREAD}
    os.environ.update(SINGLE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _start_worker() -> None:
    """In a new worker: the parent alone answers Ctrl-C, and numba keeps to one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    importlib.import_module("numba").set_num_threads(1)


class ProcessBackend(Backend):
    """A pool of processes on this machine, which share the book's memory through a file."""

    def __init__(self, job: Job, workers: int) -> None:
        super().__init__(job, workers)
        self._folder = tempfile.TemporaryDirectory(prefix="backstop-job-")
        self._file = job.save(Path(self._folder.name))
        self._failures = 0
        self._running: dict[futures.Future[ChunkResult], Span] = {}
        self._pool = self._start()

    def _start(self) -> futures.ProcessPoolExecutor:
        method = "spawn" if os.name == "nt" else "forkserver"
        with single_threaded_children():
            pool = futures.ProcessPoolExecutor(
                self.workers, mp_context=get_context(method), initializer=_start_worker
            )
            try:
                pool.submit(int).result()  # starts the server while the environment is set
            except BrokenProcessPool as error:
                raise BackendError(
                    "worker processes cannot start: a script that runs simulations needs the guard "
                    "`if __name__ == '__main__':`, or use backend 'serial'"
                ) from error
        return pool

    def submit(self, span: Span) -> None:
        """Queue a chunk."""
        try:
            future = self._pool.submit(run_chunk, self._file, *span)
        except BrokenProcessPool:
            self._restart()
            future = self._pool.submit(run_chunk, self._file, *span)
        self._running[future] = span

    def wait(self) -> list[ChunkResult]:
        """Return the chunks that are done, at least one."""
        while True:
            done, _ = futures.wait(self._running, return_when=futures.FIRST_COMPLETED)
            results = []
            broken = False
            for future in done:
                if isinstance(future.exception(), BrokenProcessPool):
                    broken = True
                else:
                    results.append(future.result())
                    del self._running[future]
            if results:
                self._failures = 0
            if broken:
                self._restart()
            if results:
                return results

    def _restart(self) -> None:
        """Start a new pool after a worker has died, and submit again what was running."""
        self._failures += 1
        if self._failures > MAX_FAILURES:
            spans = ", ".join(f"{a}..{b - 1}" for a, b in sorted(self._running.values()))
            raise BackendError(
                f"workers died {self._failures} times in a row on paths {spans}: "
                "usually memory is short; use fewer workers"
            )
        lost = list(self._running.values())
        self._running.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = self._start()
        for span in lost:
            self.submit(span)

    def close(self) -> None:
        """Drop what has not started and release workers."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._running.clear()
        self._folder.cleanup()


# --- clusters ------------------------------------------------------------------------------------


class DaskBackend(Backend):
    """A Dask cluster at `address`, or a local one. The job is scattered to every worker once."""

    def __init__(self, job: Job, workers: int, address: str | None) -> None:
        super().__init__(job, workers)
        self._dask = _need("distributed", "dask")
        settings = {f"distributed.nanny.pre-spawn-environ.{k}": v for k, v in SINGLE_THREAD.items()}
        self._cluster: Any = None
        if address is not None:
            _require_listener(address)
        with _need("dask", "dask").config.set(settings):
            if address is None:
                self._cluster = self._dask.LocalCluster(
                    n_workers=workers, threads_per_worker=1, dashboard_address=None
                )
            try:
                self._client = self._dask.Client(self._cluster or address)
            except OSError as error:
                raise BackendError(f"cannot join the Dask cluster at {address}: {error}") from error
        if address is not None:
            self.workers = max(1, sum(self._client.nthreads().values()))
        self._job = self._scatter()
        self._failures = 0
        self._running: dict[Any, Span] = {}

    def _scatter(self) -> Any:
        return self._client.scatter(self.job, broadcast=True, hash=False)

    def submit(self, span: Span) -> None:
        """Queue a chunk."""
        # the scheduler computes a lost worker's chunks again; `pure` would hash the book each time
        future = self._client.submit(run_chunk, self._job, *span, pure=False)
        self._running[future] = span

    def wait(self) -> list[ChunkResult]:
        """Return the chunks that are done, at least one."""
        results: list[ChunkResult] = []
        while not results:
            for future in self._done():
                span = self._running.pop(future)
                try:
                    results.append(self._fetch(future, span))
                except futures.CancelledError:
                    self._again(span)
        self._failures = 0
        return results

    def _done(self) -> list[Any]:
        """Futures that are done, or that the cluster has lost, as far as it knows."""
        with contextlib.suppress(futures.CancelledError):
            return list(self._dask.wait(list(self._running), return_when="FIRST_COMPLETED").done)
        return [future for future in self._running if future.status != "pending"]

    def _fetch(self, future: Any, span: Span) -> ChunkResult:
        if future.status == "error":
            text = f"paths {span[0]}..{span[1] - 1} failed on the cluster"
            raise BackendError(text) from future.exception()
        result: ChunkResult = future.result()
        return result

    def _again(self, span: Span) -> None:
        """Submit a chunk again whose result was lost with the worker that held it."""
        self._failures += 1
        if self._failures > MAX_FAILURES * self.workers:
            raise BackendError(f"results were lost {self._failures} times in a row on the cluster")
        if self._job.status != "finished":
            self._job = self._scatter()
        self.submit(span)

    def close(self) -> None:
        """Drop what has not started and release workers."""
        self._client.cancel(list(self._running))
        self._running.clear()
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


class RayBackend(Backend):
    """A Ray cluster at `address`, or a local one. The job is put into the object store once."""

    def __init__(self, job: Job, workers: int, address: str | None) -> None:
        super().__init__(job, workers)
        self._ray = _need("ray", "ray")
        self._owns = not self._ray.is_initialized()
        if self._owns:
            self._join(workers, address)
        self.workers = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        self._job = self._ray.put(job)
        self._run = self._ray.remote(max_retries=MAX_FAILURES, num_cpus=1)(run_chunk)
        self._running: dict[Any, Span] = {}

    def _join(self, workers: int, address: str | None) -> None:
        """Start a local cluster, or connect to the one at `address`."""
        options: dict[str, Any] = {"log_to_driver": False}
        if address is None:
            options |= {"num_cpus": workers, "include_dashboard": False}
        else:
            _require_listener(address)
            options["address"] = address
        try:
            self._ray.init(runtime_env={"env_vars": SINGLE_THREAD}, **options)
        except (ConnectionError, RuntimeError, self._ray.exceptions.RayError) as error:
            raise BackendError(
                f"cannot join the Ray cluster at {address or 'this machine'}: {error}; a cluster "
                "that asks for a token wants RAY_AUTH_MODE=token and RAY_AUTH_TOKEN here too"
            ) from error

    def submit(self, span: Span) -> None:
        """Queue a chunk."""
        self._running[self._run.remote(self._job, *span)] = span

    def wait(self) -> list[ChunkResult]:
        """Return the chunks that are done, at least one."""
        ready, _ = self._ray.wait(list(self._running), num_returns=1)
        results = []
        for reference in ready:
            span = self._running.pop(reference)
            try:
                results.append(self._ray.get(reference))
            except self._ray.exceptions.RayError as error:
                text = f"paths {span[0]}..{span[1] - 1} failed on the cluster"
                raise BackendError(text) from error
        return results

    def close(self) -> None:
        """Drop what has not started and release workers."""
        for reference in self._running:
            self._ray.cancel(reference)
        self._running.clear()
        if self._owns and self._ray.is_initialized():
            self._ray.shutdown()
