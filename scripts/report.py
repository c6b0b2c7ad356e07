"""Write the transparency report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from backstop.chain.commands import UserCommand, UserError, answer, json_option, open_system


@click.command(cls=UserCommand, short_help="Write the transparency report")
@click.option("--from", "first", type=click.IntRange(0), help="First block.  [default: 0]")
@click.option("--to", "last", type=click.IntRange(0), help="Last block.  [default: the latest]")
@click.option(
    "--crossings",
    is_flag=True,
    help="Also measure from the moment an account became liquidatable; needs an archive node.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder.  [default: reports/<chain id>-<from>-<to>]",
)
@click.option(
    "--store",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The event store.  [default: deployments/<chain id>.events.sqlite]",
)
@json_option
def cli(
    first: int | None,
    last: int | None,
    crossings: bool,
    out: Path | None,
    path: Path | None,
    as_json: bool,
) -> None:
    """Write what the fund holds and owes, and who paid for every event, as a page and as JSON.

    Everything follows from the chain: anybody who runs this for the same blocks gets the same
    bytes. The node needs all logs since the deployment and the state of the last block. The exit
    code is 1 if a check fails: claims equal tokens, receipts sum to their deficits, and more.

    \b
    Examples:
      ape run report
      ape run report --from 1200 --to 3400 --out reports/october
    """
    from backstop.report import ReportError, build, write
    from backstop.store import EventStore, StoreError, default_path

    system = open_system()
    head = system.client.block_number
    last = head if last is None else last
    first = first or 0
    if last > head:
        raise UserError(f"--to {last} is beyond the latest block, which is {head}", 2)
    if first > last:
        raise UserError(f"--from {first} is behind --to {last}: the period is empty", 2)
    folder = out or Path("reports") / f"{system.record.chain_id}-{first}-{last}"
    try:
        with EventStore.open(
            path or default_path(system.record.chain_id), system.record, system.artifacts
        ) as store:
            store.sync(system.client, progress=_progress)
            report = build(
                store,
                system,
                first,
                last,
                crossings=crossings,
                progress=lambda phase: click.echo(phase, err=True),
            )
        page, data = write(report, folder)
    except (StoreError, ReportError) as error:
        raise UserError(str(error)) from None
    summary = _summary(report, page, data)
    answer(as_json, summary, _text(summary))
    if report.broken:
        click.get_current_context().exit(1)


def _progress(block: int, last: int, events: int) -> None:
    if block < last:
        click.echo(f"block {block:,} of {last:,}, {events:,} events", err=True)


def _summary(report: Any, page: Path, data: Path) -> dict[str, Any]:
    period, deployment = report.data["period"], report.data["deployment"]
    return {
        "page": str(page),
        "json": str(data),
        "block": period["last"]["number"],
        "blockHash": period["last"]["hash"],
        "dataHash": deployment["dataHash"],
        "codeHash": deployment["codeHash"],
        "reportHash": report.digest,
        "checks": len(report.data["checks"]),
        "broken": report.broken,
    }


def _text(summary: dict[str, Any]) -> str:
    verdict = (
        f"all {summary['checks']} checks hold"
        if not summary["broken"]
        else "CHECKS FAILED: " + "; ".join(summary["broken"])
    )
    return "\n".join(
        [
            f"{summary['page']}: {verdict}",
            f"block {summary['block']} {summary['blockHash']}",
            f"data {summary['dataHash']}",
            f"code {summary['codeHash']}",
            f"report.json {summary['reportHash']}",
        ]
    )
