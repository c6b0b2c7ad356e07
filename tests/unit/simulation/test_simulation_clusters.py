"""Dask and Ray on real clusters of two workers: the hash of the process pool, whatever dies.

Every cluster here consists of separate processes on this machine that talk over TCP, as several
machines would. `FatalPaths` kills the worker that computes a certain path, from inside.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulation_cases import FatalPaths, FaultyPaths

from backstop.risk.options import JumpDiffusion
from backstop.simulation.book import Book, random_book
from backstop.simulation.errors import BackendError
from backstop.simulation.model import FundParams, SimulationParams
from backstop.simulation.montecarlo import MonteCarloResult, Progress, run_monte_carlo
from backstop.simulation.paths import MertonJumps
from backstop.simulation.tasks import Job, run_chunk

PATHS = 60
SOURCE = MertonJumps.of([JumpDiffusion(0.9, 300.0, -0.03, 0.08)] * 2, 0.7, 240)
PARAMS = SimulationParams(fund=FundParams(staked=1e5))

#: Enough paths a chunk that results are larger than what Ray sends along with its messages, so
#: that they stay in the object store of the node that computed them, and die with it.
LARGE_CHUNK = 500


@pytest.fixture(scope="module")
def book() -> Book:
    return random_book(300, 2, seed=1)


@pytest.fixture(scope="module")
def pool(book: Book) -> MonteCarloResult:
    """The same run on the default backend."""
    return run_monte_carlo(book, PARAMS, SOURCE, PATHS, seed=3, backend="process", workers=2)


def same_as_pool(book: Book, pool: MonteCarloResult, **options: Any) -> None:
    result = run_monte_carlo(book, PARAMS, SOURCE, PATHS, seed=3, **options)
    assert result.complete
    assert result.sha256() == pool.sha256()
    assert result.job_sha256 == pool.job_sha256


def survives_a_dying_worker(book: Book, tmp_path: Path, **options: Any) -> None:
    trap = tmp_path / "trap"
    source = FatalPaths(30, 2, 11, str(trap), once=True)
    quiet = run_monte_carlo(book, PARAMS, source, 20, backend="serial")
    trap.touch()
    result = run_monte_carlo(book, PARAMS, source, 20, chunk=4, **options)
    assert not trap.exists(), "no worker has died"
    assert result.sha256() == quiet.sha256()


def names_the_paths_that_fail(book: Book, **options: Any) -> None:
    with pytest.raises(BackendError, match=r"paths 4\.\.5 failed on the cluster") as caught:
        run_monte_carlo(book, PARAMS, FaultyPaths(10, 2, 5), 8, chunk=2, **options)
    assert "path 5 has no prices" in str(caught.value.__cause__)


def survives(book: Book, kill: Callable[[], None], paths: int, chunk: int, **options: Any) -> None:
    """Call `kill` after the first results; the run must end as if nothing had happened."""
    killed_at: list[int] = []

    def strike(progress: Progress) -> None:
        if not killed_at:
            killed_at.append(progress.done)
            kill()

    expected = run_monte_carlo(book, PARAMS, SOURCE, paths, seed=3, backend="serial")
    result = run_monte_carlo(
        book, PARAMS, SOURCE, paths, seed=3, chunk=chunk,
        progress=strike, progress_seconds=0.0, **options,
    )  # fmt: skip
    assert 0 < killed_at[0] < paths, "the worker died too late to matter"
    assert result.complete
    assert result.sha256() == expected.sha256()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- any cluster ---------------------------------------------------------------------------------


def test_threads_of_one_worker_do_not_disturb_each_other(book: Book) -> None:
    """Workers of a foreign cluster often have several threads; engines write to their state."""
    job = Job(book, PARAMS, SOURCE, 3)
    spans = [(start, start + 25) for start in range(0, 400, 25)]
    alone = [run_chunk(job, *span) for span in spans]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda span: run_chunk(job, *span), spans))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.market, other.market)
        np.testing.assert_array_equal(one.path, other.path)


@pytest.mark.parametrize("backend", ["dask", "ray"])
def test_address_where_nobody_listens(book: Book, backend: Any) -> None:
    pytest.importorskip({"dask": "distributed", "ray": "ray"}[backend])
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(BackendError, match=f"no cluster listens at {address}"):
        run_monte_carlo(book, PARAMS, SOURCE, 4, backend=backend, address=address)


# --- Dask ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_dask_local(book: Book, pool: MonteCarloResult, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra 'dask' is not installed")
    same_as_pool(book, pool, backend="dask", workers=2, chunk=6)


@pytest.fixture
def dask_cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed", reason="the extra 'dask' is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        yield cluster


@pytest.mark.slow
def test_dask_cluster_at_an_address(
    book: Book, pool: MonteCarloResult, dask_cluster: Any, tmp_path: Path
) -> None:
    at = {"backend": "dask", "address": dask_cluster.scheduler_address}
    for _ in range(2):  # the cluster survives its clients
        same_as_pool(book, pool, **at)
    survives_a_dying_worker(book, tmp_path, **at)
    names_the_paths_that_fail(book, **at)


@pytest.mark.slow
def test_dask_worker_killed_from_outside(book: Book, dask_cluster: Any) -> None:
    def kill_one() -> None:
        os.kill(next(iter(dask_cluster.workers.values())).pid, signal.SIGKILL)

    address = dask_cluster.scheduler_address
    survives(book, kill_one, 300, 10, backend="dask", address=address)


# --- Ray -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """Ray, whose workers import the sources under test and this folder's `FatalPaths`."""
    ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        yield ray
        ray.shutdown()


@pytest.fixture(scope="module")
def ray_cluster(ray: Any) -> Iterator[Any]:
    """A head that computes nothing, and two nodes with one core each."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        yield cluster
    finally:
        cluster.shutdown()


@pytest.mark.slow
def test_ray_local(book: Book, pool: MonteCarloResult, ray: Any) -> None:
    same_as_pool(book, pool, backend="ray", workers=2, chunk=6)
    assert not ray.is_initialized(), "the backend leaves the cluster that it started"


@pytest.mark.slow
def test_ray_cluster_at_an_address(book: Book, pool: MonteCarloResult, ray_cluster: Any) -> None:
    same_as_pool(book, pool, backend="ray", address=ray_cluster.address)


@pytest.fixture(scope="module")
def ray_session(ray: Any, ray_cluster: Any) -> Iterator[None]:
    """A connection of the caller's own: workers, once started, serve several runs."""
    ray.init(address=ray_cluster.address, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.slow
def test_ray_worker_dies(book: Book, ray: Any, ray_session: None, tmp_path: Path) -> None:
    survives_a_dying_worker(book, tmp_path, backend="ray")
    names_the_paths_that_fail(book, backend="ray")
    assert ray.is_initialized(), "the backend leaves the caller's connection alone"


@pytest.mark.slow
def test_ray_node_dies_with_the_results_it_holds(
    book: Book, ray: Any, ray_cluster: Any, ray_session: None
) -> None:
    def kill_one() -> None:
        # not the one this process is connected through: Ray refuses to remove that
        connected = ray.get_runtime_context().get_node_id()
        node = next(n for n in ray_cluster.worker_nodes if n.node_id != connected)
        ray_cluster.remove_node(node, allow_graceful=False)

    survives(book, kill_one, 12 * LARGE_CHUNK, LARGE_CHUNK, backend="ray")
