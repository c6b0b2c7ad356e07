"""Time and memory of the cascade simulator; writes benchmarks/results/simulation.json and .md.

    make bench-simulation                          # about ten minutes on an idle machine
    make bench-simulation ARGS="--part large"      # measures one part again, keeps the others
    make bench-simulation ARGS=--quick             # a tenth of the accounts, no files

Times of engines are CPU times of the one thread they run in (on an idle machine: the wall time), so
that other work on the machine is not counted; what it does to caches and memory still is. They are
medians over runs; engines that are compared run in turn within this process.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table
from workloads import TIERS, crash_path, everything_on, gap_path, path_sources, typical_source

from backstop.simulation.book import Tiers, random_book
from backstop.simulation.dense import DenseEngine
from backstop.simulation.envelope import EnvelopeEngine
from backstop.simulation.model import PathResult, SimulationParams
from backstop.simulation.sweep import SweepEngine

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RESULTS = HERE.parent / "results"

#: Targets of the project: crash and typical day by number of markets, ms.
CROSS_MARGIN = {1: (3.0, 0.6), 3: (8.0, 1.4), 8: (14.0, 4.0)}
MONTE_CARLO_PATHS = 100_000


@dataclass(frozen=True)
class Row:
    """One figure; `target` is empty where there is none, then `met` is None.

    load: what the machine did beside, in runnable processes over the last minute.
    """

    part: str
    what: str
    value: float
    unit: str
    target: str = ""
    met: bool | None = None
    load: float = 0.0


@dataclass
class Report:
    """Rows of the table, shown as they come."""

    rows: list[Row] = field(default_factory=list)
    part: str = ""

    def add(
        self, what: str, value: float, unit: str, most: float | None = None, least: float = 0.0
    ) -> None:
        """Add a figure that should be at most `most` or at least `least`, if given."""
        target, met = "", None
        if most is not None:
            target, met = f"<= {most:g}", value <= most
        elif least:
            target, met = f">= {least:g}", value >= least
        load = round(os.getloadavg()[0], 1)
        row = Row(self.part, what, value, unit, target, met, load)
        self.rows.append(row)
        click.echo(f"{what}: {value:.4g} {unit} {row.target} {mark(row)}", err=True)


def mark(row: Row) -> str:
    return {None: "", True: "yes", False: "no"}[row.met]


def once(run: Callable[[], object]) -> float:
    """CPU milliseconds of this thread."""
    begin = time.thread_time()
    run()
    return (time.thread_time() - begin) * 1e3


def median(run: Callable[[], object], repeats: int) -> float:
    """Median of `repeats` runs after one to warm up."""
    run()
    return statistics.median(once(run) for _ in range(repeats))


def in_turn(
    fast: Sequence[Callable[[], object]], slow: Callable[[], object], repeats: int
) -> tuple[list[float], float]:
    """Medians of several fast runs and of a slow one, measured alternately."""
    for run in (*fast, slow):
        run()
    fast_times: list[list[float]] = [[] for _ in fast]
    slow_times = []
    for _ in range(repeats):
        slow_times.append(once(slow))
        for times, run in zip(fast_times, fast, strict=True):
            times += [once(run) for _ in range(3)]
    return [statistics.median(times) for times in fast_times], statistics.median(slow_times)


def same(dense: PathResult, envelope: PathResult) -> None:
    """Refuse to time engines that disagree."""
    np.testing.assert_allclose(envelope.market, dense.market, rtol=1e-9, atol=1e-6)
    np.testing.assert_array_equal(envelope.path[:7], dense.path[:7])


def cross_margin(report: Report, accounts: int, quick: bool) -> None:
    """Envelope against dense, one to eight markets, crash and typical days."""
    for markets, (crash_target, typical_target) in CROSS_MARGIN.items():
        book = random_book(accounts, markets, seed=1)
        fast, slow = EnvelopeEngine(book, SimulationParams()), DenseEngine(book, SimulationParams())
        crash, source = crash_path(markets), typical_source(markets)
        same(slow.run(crash), fast.run(crash))
        days = [source.path(1, i) for i in range(5 if quick else 25)]
        for day in days[:3]:
            same(slow.run(day), fast.run(day))
        name = f"N={accounts:,} M={markets}"
        (ours,), dense = in_turn([partial(fast.run, crash)], partial(slow.run, crash), 5)
        report.add(f"{name} crash day, envelope", ours, "ms", crash_target)
        report.add(f"{name} crash day, dense / envelope", dense / ours, "x")
        runs = [partial(fast.run, day) for day in days]
        times, dense = in_turn(runs, partial(slow.run, days[0]), 3 if quick else 5)
        typical = statistics.median(times)
        report.add(f"{name} typical day, envelope", typical, "ms", typical_target)
        report.add(f"{name} typical day, slowest of {len(days)}", max(times), "ms")
        report.add(f"{name} typical day, dense", dense, "ms")
        report.add(f"{name} typical day, dense / envelope", dense / typical, "x", least=150.0)


def one_market(report: Report, accounts: int) -> None:
    """The sorted sweep."""
    engine = SweepEngine(random_book(accounts, 1, seed=1), SimulationParams())
    for name, path in (("crash", crash_path(1)), ("typical", typical_source(1).path(1, 0))):
        took = median(partial(engine.run, path), 401)
        report.add(f"N={accounts:,} M=1 {name} day, sorted sweep", took, "ms", 0.05)


def all_features(report: Report, accounts: int) -> None:
    """Tiers, partial liquidations, vanishing depth, an exhausted fund with deleveraging."""
    book = random_book(accounts, 3, seed=1, tiers=Tiers.of([TIERS] * 3))
    engine, gap = EnvelopeEngine(book, everything_on()), gap_path(3)
    result = engine.run(gap)
    assert result.adl > 0
    took = median(partial(engine.run, gap), 15)
    report.add(f"N={accounts:,} M=3 gap day: tiers, parts, depth, fund, ADL", took, "ms")
    report.add("of which: minutes with liquidations", result.scalar("active_minutes"), "")
    report.add("of which: accounts closed", result.scalar("closed_accounts"), "")
    report.add("of which: partial liquidations", result.scalar("partial_liquidations"), "")


def large(report: Report, accounts: int) -> None:
    """Ten times the accounts, eight markets; dense is timed on one day."""
    book = random_book(accounts, 8, seed=1)
    fast, slow = EnvelopeEngine(book, SimulationParams()), DenseEngine(book, SimulationParams())
    days = [typical_source(8).path(1, i) for i in range(9)]
    crash, name = crash_path(8), f"N={accounts:,} M=8"
    runs = [partial(fast.run, day) for day in days]
    times, dense = in_turn(runs, partial(slow.run, days[0]), 2)
    typical = statistics.median(times)
    report.add(f"{name} typical day, envelope", typical, "ms", 50.0)
    report.add(f"{name} typical day, dense / envelope", dense / typical, "x")
    report.add(f"{name} crash day, envelope", median(partial(fast.run, crash), 7), "ms")


def monte_carlo(report: Report, accounts: int, paths: int) -> None:
    """A run with one worker; if it has fewer than 100,000 paths, its time is scaled to them."""
    command = [sys.executable, str(HERE / "monte_carlo_run.py"), str(accounts), "3", str(paths)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    out = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    run = json.loads(out)
    name = f"Monte Carlo, N={accounts:,} M=3, one worker"
    how = "" if paths == MONTE_CARLO_PATHS else f" (scaled from {paths:,})"
    minutes = run["cpu"] / paths * MONTE_CARLO_PATHS / 60
    report.add(f"{name}: CPU time of 100,000 paths{how}", minutes, "minutes", 5.0)
    report.add(f"{name}: CPU time a path, prices included", run["cpu"] / paths * 1e3, "ms")
    report.add(f"{name}: wall time of {paths:,} paths", run["wall"] / 60, "minutes")
    report.add(f"{name}: peak memory, worker and parent", run["memory"] / 1e9, "GB", 2.0)


def sources(report: Report) -> None:
    """Prices of a day in three markets."""
    for name, source in path_sources().items():
        took = median(partial(source.path, 1, 1), 101)
        report.add(f"prices of a day, M=3: {name}", took, "ms")


START = """
import time
begin = time.process_time()
import numpy as np
from backstop.simulation.book import random_book
from backstop.simulation.engines import make_engine
from backstop.simulation.model import SimulationParams
loaded = time.process_time()
make_engine(random_book(50, 2), SimulationParams()).run(np.zeros((2, 2)))
print(loaded - begin, time.process_time() - loaded)
"""


def first_run(report: Report) -> None:
    """CPU time of the first path in a new process: code compiled, then code from the cache."""
    with tempfile.TemporaryDirectory() as cache:
        env = {**os.environ, "NUMBA_CACHE_DIR": cache, "PYTHONPATH": str(ROOT)}
        for name in ("compiled", "from the cache"):
            out = subprocess.run(
                [sys.executable, "-c", START], env=env, capture_output=True, text=True, check=True
            )
            imports, engine = map(float, out.stdout.split())
            report.add(f"first path in a new process, {name}", engine, "s")
        report.add("imports in a new process", imports, "s")


def show(report: Report) -> None:
    table = Table("what", "measured", "unit", "target", "met", title="cascade simulator")
    for row in report.rows:
        table.add_row(row.what, f"{row.value:.4g}", row.unit, row.target, mark(row))
    Console(width=120).print(table)


def merged(report: Report, parts: Sequence[str]) -> list[Row]:
    """The rows of this run, and of the last one for the parts that were left out, in order."""
    file = RESULTS / "simulation.json"
    measured = {row.part for row in report.rows}
    old = json.loads(file.read_text(encoding="utf-8"))["rows"] if file.exists() else []
    rows = [*report.rows, *(Row(**row) for row in old if row["part"] not in measured)]
    return sorted(rows, key=lambda row: parts.index(row.part))


def write(rows: list[Row]) -> None:
    about = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        **{name: version(name) for name in ("numpy", "numba", "scipy")},
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"about": about, "rows": [asdict(row) for row in rows]}, indent=1)
    (RESULTS / "simulation.json").write_text(text + "\n", encoding="utf-8")
    lines = [
        "# Cascade simulator",
        "",
        "Written by `make bench-simulation`. Engines: median CPU time of their one thread; what is",
        "compared runs in turn in one process. A day has 1,440 minutes. The machine",
        f"({about['cores']} cores, Python {about['python']}, numba {about['numba']}) was shared:",
        "`load` is how many processes wanted to run. Their use of caches and memory slows scans",
        "down; the ratios suffer less.",
        "",
        "| what | measured | unit | target | met | load |",
        "|---|---:|---|---|---|---:|",
    ]
    for row in rows:
        cells = (row.what, f"{row.value:.4g}", row.unit, row.target, mark(row), f"{row.load:g}")
        lines.append("| " + " | ".join(cells) + " |")
    (RESULTS / "simulation.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


PARTS = ("cross-margin", "one-market", "all-features", "large", "sources", "start", "monte-carlo")


@click.command()
@click.option("--quick", is_flag=True, help="A tenth of the accounts, few paths; writes no files.")
@click.option("--part", type=click.Choice(PARTS), multiple=True, help="Only this; may be repeated.")
@click.option("--paths", default=MONTE_CARLO_PATHS, show_default=True, help="Of the Monte Carlo.")
def main(quick: bool, part: tuple[str, ...], paths: int) -> None:
    """Measure the cascade simulator against its targets."""
    accounts = 10_000 if quick else 100_000
    report = Report()
    runs: dict[str, Callable[[], None]] = {
        "cross-margin": lambda: cross_margin(report, accounts, quick),
        "one-market": lambda: one_market(report, accounts),
        "all-features": lambda: all_features(report, accounts),
        "large": lambda: large(report, accounts * 10),
        "sources": lambda: sources(report),
        "start": lambda: first_run(report),
        "monte-carlo": lambda: monte_carlo(report, accounts, 2_000 if quick else paths),
    }
    for name in part or PARTS:
        report.part = name
        runs[name]()
    show(report)
    if not quick:
        write(merged(report, PARTS))


if __name__ == "__main__":
    main()
