"""make bench-keeper: the keeper's numbers, into benchmarks/results/keeper.json and keeper.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench_crash import measure as measure_crash

from backstop.chain.artifacts import ROOT, build_artifacts

HERE = Path(__file__).parent
RESULTS = ROOT / "benchmarks" / "results"


def arrays(accounts: int) -> dict[str, Any]:
    """In a process of its own: its memory is nobody else's."""
    done = subprocess.run(
        [sys.executable, str(HERE / "bench_arrays.py"), str(accounts)],
        check=True,
        capture_output=True,
        text=True,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def table(results: dict[str, Any]) -> str:
    a, c = results["arrays"], results["crash"]
    rows = [
        ("all accounts looked at anew", f"{a['refresh_ms']:.0f} ms", "3,000 ms"),
        ("decision after a new price, inside the box", f"{a['decision_ms']:.1f} ms", "100 ms"),
        ("the same, price leaves the box", f"{a['decision_outside_box_ms']:.0f} ms", "100 ms"),
        ("memory of the process", f"{a['memory_mb']:.0f} MB", "500 MB"),
    ]
    crash = [
        (
            "accounts below maintenance margin at some time",
            f"{c['accounts_that_fell_below']:,}",
            "",
        ),
        ("at most at once", f"{c['most_below_at_once']:,}", ""),
        ("longest wait for a first transaction", f"{c['longest_wait_blocks']} blocks", "2 blocks"),
        ("median wait", f"{c['median_wait_blocks']:g} blocks", ""),
        ("longest time below maintenance margin", f"{c['most_blocks_to_health']} blocks", ""),
        ("one look of the keeper, median", f"{c['look_s_median']:.2f} s", ""),
        ("one look of the keeper, longest", f"{c['look_s_max']:.2f} s", "12 s"),
        ("first look, all accounts read", f"{c['first_look_s']:.1f} s", ""),
    ]

    def lines(header: str, entries: list[tuple[str, str, str]]) -> list[str]:
        shown = [f"| {name} | {value} | {aim} |" for name, value, aim in entries]
        return [header, "| --- | ---: | ---: |", *shown, ""]

    sent = ", ".join(f"{name} {count:,}" for name, count in c["transactions"].items())
    return "\n".join(
        [
            "# Keeper",
            "",
            f"`make bench-keeper`, {results['date']}, {results['machine']}, load average"
            f" {results['load']} at the end. docs/keeper.md explains the measurement.",
            "",
            *lines(
                f"| {a['accounts']:,} accounts in {a['markets']} markets | measured | aim |", rows
            ),
            *lines(
                f"| 10 October 2025, {c['accounts']:,} accounts, {c['blocks']} blocks of 12 s"
                " | measured | aim |",
                crash,
            ),
            f"Transactions: {sent}.",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=5000, help="in the crash")
    parser.add_argument("--synthetic", type=int, default=100_000, help="in the arrays")
    parser.add_argument("--minutes", type=int, default=50, help="of the day that are played")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    say(f"{options.synthetic:,} accounts in the arrays")
    found = arrays(options.synthetic)
    say(f"10 October 2025 with {options.accounts:,} accounts")
    crash = measure_crash(options.accounts, options.minutes, build_artifacts(), say)
    results = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores shared with the node, {platform.machine()}",
        "load": round(os.getloadavg()[1], 1),
        "arrays": found,
        "crash": crash,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "keeper.json").write_text(json.dumps(results, indent=2) + "\n")
    (options.out / "keeper.md").write_text(table(results))
    print(table(results))


if __name__ == "__main__":
    main()
