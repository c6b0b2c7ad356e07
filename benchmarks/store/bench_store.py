"""How fast the event store reads a chain: `make bench-store`.

A local Anvil, the system of parameters/local.yaml, and trades: one transaction a block, so that
every block costs a header too. Printed and written to benchmarks/results/store.{json,md}; nothing
is asserted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from backstop.chain.artifacts import ROOT, build_artifacts
from backstop.chain.clients import Trader
from backstop.chain.config import Parameters
from backstop.chain.deploy import RpcDeployer, System, deploy
from backstop.chain.signing import as_tuple
from backstop.harness.anvil import Anvil, private_key
from backstop.report import build
from backstop.store import EventStore, sync
from backstop.store.source import ChainSource

RESULTS = ROOT / "benchmarks" / "results"
AIM = 3_000
RUNS = 5


def make_chain(node: Anvil, fills: int) -> System:
    """A system and so many fills of one signed order, two or three events each."""
    parameters = Parameters.load(ROOT / "parameters" / "local.yaml")
    system = deploy(parameters, RpcDeployer(node.client, node.accounts[0], build_artifacts()))
    node.client.rpc("anvil_setBlockTimestampInterval", 0)
    maker, taker = (Trader(system, private_key(i)) for i in (1, 2))
    for trader in (maker, taker):
        system.token.mint.send(trader.address, 10**14, sender=node.accounts[0])
        trader.deposit(Decimal(50_000_000))
    orders = [
        maker.sign_order(0, is_buy, Decimal(100), Decimal(60_000), nonce=nonce)
        for nonce, is_buy in enumerate((True, False))
    ]
    for number in range(fills):
        order = orders[number // 50 % 2]
        system.settlement.fill.send(
            as_tuple(order.order), order.signature, taker.number, 10**16, sender=taker.address
        )
        if number % 1000 == 999:
            print(f"{number + 1:,} of {fills:,} trades made", file=sys.stderr)
    return system


@contextlib.contextmanager
def timed(found: dict[str, Any], name: str) -> Iterator[None]:
    """Seconds on the wall and of this process's CPU: the machine may have other things to do."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    found[f"{name}_seconds"] = time.perf_counter() - wall
    found[f"{name}_cpu_seconds"] = time.process_time() - cpu


def synchronised(system: System, folder: Path) -> dict[str, Any]:
    """The fastest of several whole readings into new files, and the median: what others do on the
    machine only ever makes one slower.
    """
    runs = []
    for number in range(RUNS):
        run: dict[str, Any] = {}
        path = folder / f"run{number}.sqlite"
        with EventStore.open(path, system.record, system.artifacts) as store, timed(run, "sync"):
            sync(store, system.client)
        runs.append(run)
    runs.sort(key=lambda run: run["sync_seconds"])
    return {**runs[0], "sync_median_seconds": runs[RUNS // 2]["sync_seconds"]}


def measure(system: System, folder: Path) -> dict[str, Any]:
    """Seconds of each part; a store is read once without and once with the node's answers ready."""
    found = synchronised(system, folder)
    path = folder / "events.sqlite"
    with EventStore.open(path, system.record, system.artifacts) as store:
        result = sync(store, system.client)
        assert result.tip is not None
        found |= {"events": result.events, "blocks": result.tip.number + 1}
        with timed(found, "query"):
            read = sum(1 for _ in store.events())
        assert read == result.events
        store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        found["bytes"] = path.stat().st_size
        with timed(found, "node"):
            batch = ChainSource(system.client, store.addresses).read(0, result.tip.number, None)
        assert store._decoder is not None
        with timed(found, "decode"):
            for log in batch.logs:
                store._decoder.row(log)
        with timed(found, "report"):
            build(store, system, 0, result.tip.number)
    with (
        EventStore.open(folder / "b.sqlite", system.record, system.artifacts) as store,
        timed(found, "write"),
    ):
        store.append(batch, None)
    found["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return found


def rates(found: dict[str, Any]) -> dict[str, Any]:
    """The measurements with their rates and the machine."""
    events = found["events"]
    rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in found.items()}
    return {
        **rounded,
        **{
            f"{name}_per_{what}second": round(events / found[f"{name}_{what}seconds"])
            for name in ("sync", "write", "decode", "query")
            for what in ("", "cpu_")
        },
        "aim_events_per_second": AIM,
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }


def table(r: dict[str, Any]) -> str:
    """The results as people read them."""
    names = {
        "sync": f"from the node into the file, fastest of {RUNS}",
        "write": "decoding and writing alone",
        "decode": "decoding alone",
        "query": "reading all events back",
    }
    lines = [
        "# Event store",
        "",
        f"{r['events']:,} events in {r['blocks']:,} blocks of a local Anvil, one transaction a"
        " block. Written by `make bench-store`.",
        "",
        "| | seconds | events/s | events/s of CPU |",
        "| --- | ---: | ---: | ---: |",
        *(
            f"| {text} | {r[f'{name}_seconds']:.2f} | {r[f'{name}_per_second']:,} |"
            f" {r[f'{name}_per_cpu_second']:,} |"
            for name, text in names.items()
        ),
        "",
        f"The median of the {RUNS} readings took {r['sync_median_seconds']:.2f} s,"
        f" {r['events'] / r['sync_median_seconds']:,.0f} events/s.",
        "",
        f"The aim is {r['aim_events_per_second']:,} events/s with decoding. The file takes"
        f" {r['bytes'] / r['events']:,.0f} bytes an event, the process {r['peak_rss_mb']} MB at its"
        f" largest. The transparency report on all of it: {r['report_seconds']:.1f} s."
        f" {r['machine']}, {r['cores']} cores shared with the node, load average {r['load']}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fills", type=int, default=5_000, help="trades to make")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of store.json and .md")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    if arguments.fills < 1:
        parser.error("--fills must be positive")
    with Anvil(history=None) as node, tempfile.TemporaryDirectory() as folder:
        result = rates(measure(make_chain(node, arguments.fills), Path(folder)))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "store.json").write_text(json.dumps(result, indent=2) + "\n")
    (arguments.out / "store.md").write_text(table(result))
    print(json.dumps(result, indent=2) if arguments.json else table(result))


if __name__ == "__main__":
    main()
