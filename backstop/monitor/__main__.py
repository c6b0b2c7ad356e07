"""`python -m backstop.monitor --rpc URL [--record FILE]`: the live page without ape.

`ape run monitor` is the same on a network that ape knows; this starts faster and is what
`make demo ARGS="--watch"` uses.
"""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path

import click

from backstop.harness.rpc import RpcClient
from backstop.monitor.serve import PORT, Options, PortTaken, serve
from backstop.monitor.source import Source
from backstop.monitor.watcher import Pace


@click.command()
@click.option("--rpc", required=True, help="The node, http://host:port.")
@click.option(
    "--record",
    type=click.Path(path_type=Path),
    help="The deployment's record.  [default: deployments/<chain id>.json]",
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True)
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
@click.option("--poll", type=click.FloatRange(0.05, 60), default=0.1, show_default=True)
@click.option("--stall", type=click.FloatRange(0), default=120, show_default=True)
def main(
    rpc: str,
    record: Path | None,
    host: str,
    port: int,
    open_page: bool,
    poll: float,
    stall: float,
) -> None:
    """Serve the live page over a node; one that is not there yet is waited for."""
    logging.basicConfig(level=logging.WARNING)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        RpcClient(rpc).close()
        source = Source(lambda: RpcClient(rpc), record)
        store = record.with_suffix(".events.sqlite") if record else None
        options = Options(host, port, open_page, Pace(poll=poll, stall=stall), store)
        serve(source, options, click.echo)
    except (PortTaken, ValueError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
