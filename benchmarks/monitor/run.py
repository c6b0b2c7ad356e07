"""The live page, measured: first chart, update after a block, memory of server and page over time.

    make bench-monitor                       # half a minute of soak
    make bench-monitor ARGS="--minutes 20"

A node, a book of accounts with positions, the page's server in a process of its own, a headless
Chromium, and five readers of the stream. Results go to benchmarks/results/monitor.{json,md}.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backstop.chain.artifacts import ROOT, build_artifacts
from backstop.harness.anvil import Anvil
from backstop.harness.demo.book import make_plan
from backstop.harness.demo.stage import OPERATOR, Stage, build
from backstop.harness.scenario import Scenario

RESULTS = ROOT / "benchmarks" / "results"
READERS = 5
LOADS, UPDATES = 10, 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=0.5, help="length of the soak")
    options = parser.parse_args()
    browser = os.environ.get("BACKSTOP_CHROMIUM") or shutil.which("chromium")
    if browser is None:
        sys.exit("no Chromium: apt-get install chromium, or name one in BACKSTOP_CHROMIUM")
    scenario = Scenario.load("crash-2025-10-10", accounts=options.accounts)
    with (
        tempfile.TemporaryDirectory() as folder,
        Anvil(
            accounts=3, timestamp=scenario.start - 7200, block_interval=None, history=None
        ) as node,
    ):
        stage = open_book(node, scenario)
        with served(stage, Path(folder)) as (url, process):
            result = measure(stage, url, process.pid, browser, options.minutes)
    result |= {
        "accounts": len(stage.plan.participants),
        "minutes": options.minutes,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[1], 1),
    }
    write(result)


def open_book(node: Anvil, scenario: Scenario) -> Stage:
    plan = make_plan(scenario, 1)
    node.client.set_next_timestamp(scenario.start - 3600)
    stage = build(node.client, scenario, plan, build_artifacts())
    stage.set_time(scenario.start - 60)
    stage.push_prices(plan.prices)
    print(f"{len(plan.participants)} accounts open their positions", flush=True)
    stage.deposit_all()
    stage.open_all(plan.prices, lambda done: None)
    stage.set_time(scenario.start)
    stage.push_prices(plan.prices)
    stage.send(stage.system.token.mint, OPERATOR, 10**15, sender=OPERATOR)
    stage.send(stage.system.token.approve, stage.system.fund.address, 10**15, sender=OPERATOR)
    return stage


@contextlib.contextmanager
def served(stage: Stage, folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    record = stage.system.record.save(folder / "record.json")
    command = [sys.executable, "-m", "backstop.monitor", "--rpc", stage.client.url]
    command += ["--record", str(record), "--port", "0", "--stall", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield line.split(" at ")[1].split()[0], process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()  # what was measured is kept all the same


def measure(stage: Stage, url: str, pid: int, browser: str, minutes: float) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(
            executable_path=browser,
            args=["--no-sandbox", "--enable-precise-memory-info", "--js-flags=--expose-gc"],
        )
        first = first_chart(made, url)
        page = made.new_context().new_page()
        page.goto(url)
        page.wait_for_selector("#feed li.fund")
        updates = update_times(stage, page)
        soak = soaked(stage, url, pid, page, minutes)
        made.close()
    return {"first_chart_ms": first, "update_ms": updates, "soak": soak}


def first_chart(browser: Any, url: str) -> dict[str, float]:
    """From the start of the navigation to the first chart, cold cache every time."""
    times = []
    for _ in range(LOADS):
        context = browser.new_context()
        page = context.new_page()
        page.goto(url)
        page.wait_for_selector("#chart-fund canvas")
        times.append(page.evaluate("performance.getEntriesByName('first-chart')[0].startTime"))
        context.close()
    return spread(times)


def update_times(stage: Stage, page: Any) -> dict[str, float]:
    """From the receipt of a transaction to the drawn line of the feed, on the same clock."""
    times = []
    page.evaluate(
        """() => { window.seen = []; new MutationObserver(() =>
             window.seen.push([Date.now(), document.querySelector('#feed li').dataset.id])
           ).observe(document.querySelector('#feed'), {childList: true}); }"""
    )
    for number in range(UPDATES):
        stage.set_time(stage.now + 5)
        stage.send(stage.system.fund.fundReserve, 10**6 + number, sender=OPERATOR)
        sent, block = time.time() * 1000, stage.client.block_number
        found = "block => window.seen.find(([, id]) => Number(id.split(':')[0]) >= block)"
        handle = page.wait_for_function(found, arg=block)
        times.append(handle.json_value()[0] - sent)
        time.sleep(0.35)
    return spread(times)


def spread(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        "median": round(statistics.median(ordered), 1),
        "p90": round(ordered[int(0.9 * (len(ordered) - 1))], 1),
        "worst": round(ordered[-1], 1),
        "runs": len(ordered),
    }


def soaked(stage: Stage, url: str, pid: int, page: Any, minutes: float) -> dict[str, Any]:
    """Prices move four times a second, readers come and go; memory every so often."""
    ended = threading.Event()
    readers = [
        threading.Thread(target=read_on, args=(url, ended), daemon=True) for _ in range(READERS)
    ]
    for reader in readers:
        reader.start()
    rows, began, blocks = [], time.monotonic(), stage.client.block_number
    pause = max(2.0, 60 * minutes / 40)
    step, due = 0, 0.0
    while (passed := time.monotonic() - began) < 60 * minutes:
        step += 1
        stage.set_time(stage.now + 1)
        stage.push_prices([p * (1 + 0.001 * ((step % 20) - 10) / 10) for p in stage.plan.prices])
        if passed >= due:
            due += pause
            page.evaluate("window.gc && window.gc()")
            heap = page.evaluate("performance.memory.usedJSHeapSize") / 2**20
            rows.append([round(passed), round(resident(pid), 1), round(heap, 1)])
        time.sleep(0.25)
    ended.set()
    return {
        "rows": rows,
        "blocks": stage.client.block_number - blocks,
        "server_mb": curve(rows, 1),
        "page_heap_mb": curve(rows, 2),
    }


def curve(rows: list[list[float]], column: int) -> dict[str, float]:
    """Memory at the beginning, in the middle, at the end; MiB an hour by least squares over the
    second half, when everything that is kept has been filled.
    """
    values = [row[column] for row in rows]
    late = rows[len(rows) // 2 :]
    seconds, used = [row[0] for row in late], [row[column] for row in late]
    slope = statistics.linear_regression(seconds, used).slope if len(set(seconds)) > 1 else 0.0
    return {
        "first": values[0],
        "median": round(statistics.median(values), 1),
        "last": values[-1],
        "largest": max(values),
        "slope_per_hour": round(slope * 3600, 2),
    }


def resident(pid: int) -> float:
    """Memory of a process, MiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def read_on(url: str, ended: threading.Event) -> None:
    """A reader that leaves and comes back every few seconds."""
    host, port = url.removeprefix("http://").split(":")
    while not ended.is_set():
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 5) as link:
            link.sendall(b"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            until = time.monotonic() + 5
            while time.monotonic() < until and not ended.is_set() and link.recv(65536):
                pass


def line(name: str, times: dict[str, float], aim: str) -> str:
    figures = " | ".join(f"{times[key]:.0f}" for key in ("median", "p90", "worst"))
    return f"| {name} | {figures} | {aim} |"


def memory(name: str, found: dict[str, float]) -> str:
    figures = " | ".join(f"{found[key]:.1f}" for key in ("first", "median", "last", "largest"))
    return f"| {name} | {figures} | {found['slope_per_hour']:+.1f} |"


def write(result: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "monitor.json").write_text(json.dumps(result, indent=2) + "\n")
    first, update, soak = result["first_chart_ms"], result["update_ms"], result["soak"]
    text = f"""# The live page

Written by `make bench-monitor`: {result["accounts"]} accounts, {result["cores"]} cores shared with
node and browser, load average {result["load"]} at the end, Python {result["python"]}.

| | median | p90 | worst | aim |
| --- | ---: | ---: | ---: | ---: |
{line(f"first chart, cold cache, ms ({first['runs']} loads)", first, "1,000")}
{line(f"from a receipt to its drawn line, ms ({update['runs']} times)", update, "300")}

Soak of {result["minutes"]:g} minutes: {soak["blocks"]:,} blocks, {READERS} readers that come and
go.

| memory, MiB | first | median | last | largest | MiB an hour, second half |
| --- | ---: | ---: | ---: | ---: | ---: |
{memory("server", soak["server_mb"])}
{memory("page (JavaScript heap after collection)", soak["page_heap_mb"])}
"""
    (RESULTS / "monitor.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
