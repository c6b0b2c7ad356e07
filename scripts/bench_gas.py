"""ape run bench_gas: gas of every operation, measured on a node of its own."""

from __future__ import annotations

import json
from pathlib import Path

import ape
import click

from backstop.harness.anvil import Anvil
from backstop.harness.bench import deploy_bench
from backstop.harness.gas import RESULTS, GasBench, table, write
from backstop.harness.rpc import RpcClient


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=RESULTS,
    help="Folder of gas.json and gas.md.",
)
def cli(as_json: bool, out: Path) -> None:
    """Measure the gas of every operation as a whole transaction; write it to benchmarks/results.

    Example: ape run bench_gas
    """
    with Anvil() as node:
        client = RpcClient(node.url)
        bench = deploy_bench(client, ape.project.get_contract)
        results = GasBench(bench, lambda line: click.echo(line, err=True)).run()
        client.close()
    write(results, out)
    click.echo(json.dumps(results, indent=2) if as_json else table(results["rows"]))
