"""Monte Carlo: the same results on every backend, whatever dies or is interrupted on the way."""

from __future__ import annotations

import csv
import importlib
import math
import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulation_cases import FatalPaths, FaultyPaths

from backstop.risk.cvar import cvar, cvar_interval
from backstop.risk.options import JumpDiffusion
from backstop.simulation.backends import SINGLE_THREAD, single_threaded_children
from backstop.simulation.book import Book, Tiers, random_book
from backstop.simulation.engines import make_engine
from backstop.simulation.errors import (
    BackendError,
    EngineError,
    MissingExtraError,
    ParameterError,
    PathError,
)
from backstop.simulation.model import (
    MARKET_FIELDS,
    FundParams,
    ImpactParams,
    LiquidationParams,
    SimulationParams,
)
from backstop.simulation.montecarlo import MonteCarloResult, Progress, run_monte_carlo
from backstop.simulation.paths import MertonJumps
from backstop.simulation.tasks import Job, run_chunk

PATHS = 60
SOURCE = MertonJumps.of([JumpDiffusion(0.9, 300.0, -0.03, 0.08)] * 2, 0.7, 240)
PARAMS = SimulationParams(fund=FundParams(staked=1e5))


@pytest.fixture(scope="module")
def book() -> Book:
    return random_book(300, 2, seed=1)


@pytest.fixture(scope="module")
def serial(book: Book) -> MonteCarloResult:
    return run(book, backend="serial")


def run(book: Book, **options: Any) -> MonteCarloResult:
    options = {"seed": 3, **options}
    return run_monte_carlo(book, PARAMS, SOURCE, PATHS, **options)


# --- the same everywhere -------------------------------------------------------------------------


def test_results_are_those_of_the_engine(book: Book, serial: MonteCarloResult) -> None:
    engine = make_engine(book, PARAMS)
    for path_id in (0, 17, PATHS - 1):
        single = engine.run(SOURCE.path(3, path_id))
        np.testing.assert_array_equal(serial.market[path_id], single.market)
        np.testing.assert_array_equal(serial.path[path_id], single.path)
    assert serial.complete
    assert serial.adl.max() > 0
    np.testing.assert_array_equal(serial.ids, np.arange(PATHS))
    np.testing.assert_allclose(
        serial.deficit, serial.drawn.sum(axis=(1, 2)) + serial.adl + serial.residual, atol=1e-6
    )


@pytest.mark.parametrize(
    "options",
    [
        {"backend": "serial", "chunk": 1},
        {"backend": "serial", "chunk": 7},
        {"backend": "process", "workers": 1},
        {"backend": "process", "workers": 2, "chunk": 5},
        {"backend": "process", "workers": 3},
    ],
)
def test_same_hash_on_every_backend_and_chunking(
    book: Book, serial: MonteCarloResult, options: dict[str, Any]
) -> None:
    result = run(book, **options)
    assert result.sha256() == serial.sha256()
    assert result.job_sha256 == serial.job_sha256


def test_workers_start_where_the_project_is_not_on_the_path(
    book: Book, serial: MonteCarloResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `ape run`, which takes the project off `sys.path`, workers still import it."""
    elsewhere = [entry for entry in sys.path if not Path(entry, "backstop").is_dir()]
    monkeypatch.setattr(sys, "path", elsewhere)
    assert run(book, backend="process", workers=2).sha256() == serial.sha256()


def test_hash_follows_everything_that_matters(book: Book, serial: MonteCarloResult) -> None:
    assert run(book, backend="serial", seed=4).sha256() != serial.sha256()
    fewer = run_monte_carlo(book, PARAMS, SOURCE, PATHS - 1, seed=3, backend="serial")
    assert fewer.sha256() != serial.sha256()


def test_job_hash_follows_every_argument(book: Book) -> None:
    base = Job(book, PARAMS, SOURCE, 3)
    assert Job(book, PARAMS, SOURCE, 3).sha256 == base.sha256
    assert base.engine == "envelope"
    fund = replace(PARAMS, fund=FundParams(staked=1e5, claim_limit=0.5))
    impact = replace(PARAMS, impact=ImpactParams(volume=np.array([2e9, 2e9 + 1])))
    others = [
        Job(random_book(300, 2, seed=2), PARAMS, SOURCE, 3),
        Job(book, fund, SOURCE, 3),
        Job(book, impact, SOURCE, 3),
        Job(book, PARAMS, replace(SOURCE, common=0.4), 3),
        Job(book, PARAMS, SOURCE, 4),
        Job(book, PARAMS, SOURCE, 3, "dense"),
    ]
    assert len({job.sha256 for job in [base, *others]}) == 7


def other_value(name: str, value: Any) -> Any:
    """Another valid value of a parameter."""
    if name == "target_health":
        return 1.25
    if isinstance(value, str):
        return {"size": "profit", "profit": "size"}[value]
    if isinstance(value, int):
        return value + 1
    return 0.25 if value == 0.0 else (7e5 if math.isinf(value) else value * 0.875)


def leaves(params: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Names, from the outside in, of all plain values of nested parameters."""
    found = []
    for item in fields(params):
        value = getattr(params, item.name)
        below = (*path, item.name)
        found += leaves(value, below) if is_dataclass(value) else [below]
    return found


def changed(params: Any, path: tuple[str, ...]) -> Any:
    """The same parameters but for the one at `path`."""
    value = getattr(params, path[0])
    new = changed(value, path[1:]) if path[1:] else other_value(path[0], value)
    return replace(params, **{path[0]: new})


def test_params_hash_sees_every_parameter() -> None:
    base = SimulationParams(fund=FundParams(compartment=1e3, operator=1e3))
    names = leaves(base)
    assert len(names) >= 25
    hashes = {changed(base, name).sha256() for name in names}
    assert len(hashes | {base.sha256()}) == len(names) + 1
    assert SimulationParams(fund=FundParams(1e3, 1e3)).sha256() == base.sha256()


def test_stored_job_gives_the_same_chunk(book: Book, tmp_path: Path) -> None:
    job = Job(book, PARAMS, SOURCE, 3)
    stored = job.save(tmp_path)
    direct, loaded = run_chunk(job, 5, 9), run_chunk(stored, 5, 9)
    np.testing.assert_array_equal(direct.market, loaded.market)
    assert stored.load().sha256 == job.sha256
    assert isinstance(stored.load().book.size, np.memmap)


# --- what goes wrong -----------------------------------------------------------------------------


def test_killed_worker_costs_time_not_results(book: Book, serial: MonteCarloResult) -> None:
    killed: list[int] = []

    def kill_one(progress: Progress) -> None:
        children = multiprocessing.active_children()
        if not killed and children:
            killed.append(children[0].pid or 0)
            os.kill(killed[0], signal.SIGKILL)

    result = run(
        book, backend="process", workers=2, chunk=3, progress=kill_one, progress_seconds=0.0
    )
    assert killed
    assert result.complete
    assert result.sha256() == serial.sha256()


def test_path_that_kills_once_and_path_that_always_kills(book: Book, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.touch()
    once = FatalPaths(30, 2, 7, str(trap), once=True)
    result = run_monte_carlo(book, PARAMS, once, 12, backend="process", workers=1, chunk=4)
    assert not trap.exists()
    expected = run_monte_carlo(book, PARAMS, once, 12, backend="serial")
    assert result.sha256() == expected.sha256()
    trap.touch()
    always = replace(once, once=False)
    with pytest.raises(BackendError, match=r"workers died .* on paths 4\.\.7"):
        run_monte_carlo(book, PARAMS, always, 12, backend="process", workers=1, chunk=4)


@pytest.mark.parametrize("backend", ["serial", "process"])
def test_error_in_a_path_arrives_as_it_is(book: Book, backend: Any) -> None:
    with pytest.raises(PathError, match="path 5 has no prices"):
        run_monte_carlo(book, PARAMS, FaultyPaths(10, 2, 5), 9, backend=backend, workers=1)


@pytest.mark.parametrize("backend", ["serial", "process"])
def test_interrupt_returns_what_is_there(
    book: Book, serial: MonteCarloResult, backend: Any
) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.done >= 10:
            raise KeyboardInterrupt

    result = run(
        book, backend=backend, workers=2, chunk=5, progress=interrupt, progress_seconds=0.0
    )
    assert not result.complete
    assert 10 <= len(result) < PATHS
    np.testing.assert_array_equal(result.market, serial.market[result.ids])
    np.testing.assert_array_equal(result.path, serial.path[result.ids])
    assert result.sha256() != serial.sha256()


SCRIPT = """
import sys
from backstop.risk.options import JumpDiffusion
from backstop.simulation.book import random_book
from backstop.simulation.model import SimulationParams
from backstop.simulation.montecarlo import run_monte_carlo
from backstop.simulation.paths import MertonJumps

def show(progress):
    print("done", progress.done, flush=True)

if __name__ == "__main__":
    source = MertonJumps.of([JumpDiffusion(0.9, 300.0, -0.03, 0.08)] * 2, 0.7, 240)
    result = run_monte_carlo(random_book(300, 2, seed=1), SimulationParams(), source, 10**7,
                             workers=2, progress=show, progress_seconds=0.0)
    print("returned", result.complete, len(result) > 0, flush=True)
"""


def test_ctrl_c_of_a_terminal_ends_cleanly(tmp_path: Path) -> None:
    """The signal reaches parent and workers, as from a keyboard; no traceback, exit code 0."""
    script = tmp_path / "long_run.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first.startswith("done"), process.communicate()[1]
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert out.strip().splitlines()[-1] == "returned False True"
    assert "Traceback" not in err
    assert process.returncode == 0


def test_environment_of_workers_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    with single_threaded_children():
        assert all(os.environ[name] == "1" for name in SINGLE_THREAD)
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "NUMBA_NUM_THREADS" not in os.environ


@pytest.mark.parametrize(("backend", "module"), [("dask", "distributed"), ("ray", "ray")])
def test_missing_extra_is_named(
    book: Book, monkeypatch: pytest.MonkeyPatch, backend: Any, module: str
) -> None:
    real = importlib.import_module

    def without(name: str, package: str | None = None) -> Any:
        if name == module:
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(MissingExtraError, match=rf"backstop\[{backend}\]"):
        run(book, backend=backend)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"backend": "abacus"}, BackendError, "choose from serial, process, dask, ray"),
        ({"backend": "process", "address": "tcp://h:1"}, BackendError, "has no address"),
        ({"workers": 0}, BackendError, "at least one worker"),
        ({"chunk": 0}, ParameterError, "chunk"),
        ({"level": 1.0}, ParameterError, "level"),
        ({"engine": "sweep"}, EngineError, "one market only"),
        ({"seed": -1, "backend": "serial"}, PathError, "seed -1"),
    ],
)
def test_refused_arguments(
    book: Book, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(book, **{"backend": "serial", **options})


def test_refused_jobs(book: Book) -> None:
    with pytest.raises(ParameterError, match="paths"):
        run_monte_carlo(book, PARAMS, SOURCE, 0)
    with pytest.raises(PathError, match="paths of 2 markets, book of 3"):
        run_monte_carlo(random_book(30, 3), PARAMS, SOURCE, 5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ImpactParams(coefficient=-1.0),
        lambda: ImpactParams(volume=0.0),
        lambda: ImpactParams(exponent=2.0),
        lambda: ImpactParams(decay=1.5),
        lambda: FundParams(operator=-1.0),
        lambda: FundParams(claim_limit=float("nan")),
        lambda: FundParams(window=0),
        lambda: LiquidationParams(surcharge=0.6, reward=0.5),
        lambda: LiquidationParams(target_health=0.9),
        lambda: LiquidationParams(max_parts=0),
        lambda: LiquidationParams(max_rounds=0),
        lambda: make_engine(
            random_book(9, 2), SimulationParams(impact=ImpactParams(volume=np.ones(3)))
        ),
    ],
)
def test_refused_parameters(make: Any) -> None:
    with pytest.raises(ParameterError):
        make()


# --- progress and output -------------------------------------------------------------------------


def test_progress_reports_cvar_with_its_interval() -> None:
    book = random_book(40, 1, seed=2, tiers=Tiers.flat(0.02, 1))
    source = MertonJumps.of([JumpDiffusion(0.9, 2_000.0, -0.05, 0.1)], 0.0, 60)
    seen: list[Progress] = []
    result = run_monte_carlo(
        book, PARAMS, source, 400, backend="serial", chunk=40, level=0.9,
        progress=seen.append, progress_seconds=0.0,
    )  # fmt: skip
    assert [p.done for p in seen[:10]] == list(range(40, 401, 40))
    assert seen[0].interval is None
    last = seen[-1]
    assert last.done == last.total == 400
    assert last.cvar == pytest.approx(cvar(result.deficit, 0.9))
    assert last.interval == cvar_interval(result.deficit, 0.9)
    assert last.paths_per_second > 0
    assert last.seconds_left == 0.0


def test_progress_before_the_first_path() -> None:
    nothing = Progress(0, 10, 0.0, 0.99, None, None)
    assert (nothing.paths_per_second, nothing.seconds_left) == (0.0, None)


def test_progress_is_not_called_more_often_than_asked(book: Book) -> None:
    calls: list[Progress] = []
    run(book, backend="serial", chunk=1, progress=calls.append, progress_seconds=1e9)
    assert [p.done for p in calls] == [PATHS]


def test_csv_holds_every_number(serial: MonteCarloResult, tmp_path: Path) -> None:
    file = serial.write_csv(tmp_path / "paths.csv")
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == PATHS * 2
    assert [row["market"] for row in rows[:2]] == ["BTC", "ETH"]
    for name in MARKET_FIELDS:
        column = np.array([float(row[name]) for row in rows]).reshape(PATHS, 2)
        np.testing.assert_array_equal(column, serial.column(name))
    claims = np.array([float(row["claims"]) for row in rows[::2]])
    np.testing.assert_array_equal(claims, serial.scalar("claims"))


def test_columns_by_name(serial: MonteCarloResult) -> None:
    single = make_engine(random_book(300, 2, seed=1), PARAMS).run(SOURCE.path(3, 0))
    for result in (serial, single):
        for lookup in (result.column, result.scalar):
            with pytest.raises(KeyError):
                lookup("nonsense")
    assert single.as_dict()["claims"] == single.scalar("claims")
    assert single.as_dict()["deficit"] == single.column("deficit").tolist()
