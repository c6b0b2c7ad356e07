"""One Monte Carlo run with one worker process, as a program of its own; prints a line of JSON.

    python benchmarks/simulation/monte_carlo_run.py ACCOUNTS MARKETS PATHS

wall: seconds of the run; cpu: CPU seconds of worker and parent from the first result on, scaled to
all paths; memory: peak resident bytes of the parent and of its largest worker, and their sum (which
counts the book twice: they share it).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from workloads import typical_source

from backstop.simulation.book import random_book
from backstop.simulation.model import SimulationParams
from backstop.simulation.montecarlo import Progress, run_monte_carlo

TICK = os.sysconf("SC_CLK_TCK")


def peak_bytes(pid: int) -> int:
    """Largest resident set of a process so far, from /proc."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def descendants(pid: int) -> list[int]:
    """All processes below one: the fork server and its workers."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *descendants(child)]
    return found


class Meter:
    """Called after every chunk: CPU time since the first one, and the largest memory seen."""

    def __init__(self) -> None:
        self.first: tuple[int, float] | None = None
        self.last = (0, 0.0)
        self.worker = 0

    def __call__(self, progress: Progress) -> None:
        """Read /proc."""
        below = descendants(os.getpid())
        spent = sum(map(cpu_seconds, [os.getpid(), *below]))
        self.worker = max(self.worker, *map(peak_bytes, below), 0)
        self.first = self.first or (progress.done, spent)
        if progress.done < progress.total:  # at the end the workers are gone
            self.last = (progress.done, spent)


def main() -> None:
    """Run and print."""
    accounts, markets, paths = map(int, sys.argv[1:])
    meter = Meter()
    result = run_monte_carlo(
        random_book(accounts, markets, seed=1), SimulationParams(), typical_source(markets), paths,
        seed=1, workers=1, progress=meter, progress_seconds=0.0,
    )  # fmt: skip
    assert meter.first is not None
    done, spent = (last - first for last, first in zip(meter.last, meter.first, strict=True))
    own = peak_bytes(os.getpid())
    out = {
        "paths": paths,
        "wall": result.seconds,
        "cpu": spent / done * paths,
        "parent": own,
        "worker": meter.worker,
        "memory": own + meter.worker,
        "sha256": result.sha256(),
    }
    print(json.dumps(out))


if __name__ == "__main__":
    main()
