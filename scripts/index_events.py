"""Store a deployment's events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from backstop.chain.commands import UserCommand, UserError, answer, json_option, open_system


@click.command(cls=UserCommand, short_help="Store a deployment's events")
@click.option(
    "--store",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The SQLite file.  [default: deployments/<chain id>.events.sqlite]",
)
@click.option("--start", type=click.IntRange(0), default=0, help="First block of a new store.")
@click.option("--to", type=click.IntRange(0), help="Last block.  [default: the latest]")
@click.option("--follow", is_flag=True, help="Go on until Ctrl-C; survives the node's restart.")
@click.option(
    "--every", type=click.FloatRange(0.05), default=1.0, show_default=True, help="Seconds, --follow"
)
@click.option(
    "--export",
    type=click.Path(path_type=Path, file_okay=False),
    help="Then write Parquet files into this folder.",
)
@json_option
def cli(
    path: Path | None,
    start: int,
    to: int | None,
    follow: bool,
    every: float,
    export: Path | None,
    as_json: bool,
) -> None:
    """Read every event of the deployment's contracts into an SQLite file, up to the latest block.

    It goes on where it stopped, and forgets what a reorganisation made void: the file always equals
    a replay from the first block. Other programs may read it meanwhile. docs/store.md has the
    tables.

    \b
    Examples:
      ape run index_events
      ape run index_events --follow
      ape run index_events --export reports/events
    """
    from backstop.store import EventStore, StoreError, default_path

    if follow and (to is not None or export is not None):
        raise click.UsageError("--follow has no end: leave out --to and --export")
    system = open_system()
    path = path or default_path(system.record.chain_id)
    try:
        with EventStore.open(path, system.record, system.artifacts, start=start) as store:
            if follow:
                _follow(store, system.client, every, as_json)
                return
            result = store.sync(system.client, to=to, progress=_progress)
            files = _export(store, export)
            data = _summary(store, result) | {"exported": files}
    except StoreError as error:
        raise UserError(str(error)) from None
    answer(as_json, data, _text(data))


def _progress(block: int, last: int, events: int) -> None:
    if block < last:
        click.echo(f"block {block:,} of {last:,}, {events:,} events", err=True)


def _summary(store: Any, result: Any) -> dict[str, Any]:
    tip = result.tip
    return {
        "store": str(store.path),
        "block": None if tip is None else tip.number,
        "blockHash": None if tip is None else tip.hash,
        "added": result.events,
        "forgotten": result.forgotten,
        "rewoundTo": result.rewound_to,
        "events": store.count(),
    }


def _text(data: dict[str, Any]) -> str:
    lines = [
        f"{data['store']}: {data['events']:,} events up to block {data['block']}"
        f" ({data['added']:,} new)"
    ]
    if data["rewoundTo"] is not None:
        lines.append(
            f"the chain was reorganised: {data['forgotten']:,} events above block"
            f" {data['rewoundTo']} were void"
        )
    lines += [f"  {path}: {count:,} rows" for path, count in data.get("exported", {}).items()]
    return "\n".join(lines)


def _export(store: Any, folder: Path | None) -> dict[str, int]:
    if folder is None:
        return {}
    from backstop.store.export import export

    return {str(path): rows for path, rows in export(store, folder).items()}


def _follow(store: Any, client: Any, every: float, as_json: bool) -> None:
    click.echo(f"following into {store.path}; Ctrl-C stops", err=True)
    for result in store.follow(
        client,
        every=every,
        complain=lambda message: click.echo(f"waiting: {message}", err=True),
        progress=_progress,
    ):
        if result.changed:
            data = _summary(store, result)
            if as_json:
                import json

                click.echo(json.dumps(data))
            else:
                click.echo(_text(data))
