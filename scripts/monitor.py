"""Serve the live page."""

from __future__ import annotations

from pathlib import Path

import click

from backstop.chain.commands import UserCommand, UserError, active_provider, open_system


@click.command(cls=UserCommand, short_help="Serve the live page")
@click.option("--port", type=click.IntRange(0, 65535), default=8710, show_default=True)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. The default answers to this machine only; the page has no log-in.",
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
@click.option(
    "--poll",
    type=click.FloatRange(0.05, 60),
    default=None,
    help="Seconds between two looks at the newest block.  [default: 0.1 on this machine, else 1]",
)
@click.option(
    "--stall",
    type=click.FloatRange(0),
    default=120,
    show_default=True,
    help="Seconds without a block after which the chain counts as standing still; 0: never.",
)
@click.option(
    "--store",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The event store.  [default: deployments/<chain id>.events.sqlite]",
)
def cli(
    port: int, host: str, open_page: bool, poll: float | None, stall: float, store: Path | None
) -> None:
    """Serve the live page: the fund, the markets, who is at risk, who was liquidated, who paid.

    It reads the network and sends nothing. JSON is under /api, Prometheus metrics under /metrics,
    and /healthz says whether the node answers and the chain moves. See docs/monitor.md.

    \b
    Examples:
      ape run monitor --open
      ape run monitor --port 0 --stall 0
    """
    from backstop.chain.transport import ApeClient
    from backstop.harness.rpc import RpcClient
    from backstop.monitor.serve import Options, PortTaken, serve
    from backstop.monitor.source import Source
    from backstop.monitor.watcher import Pace

    open_system()  # says what is missing before anything is served
    provider = active_provider()
    url = str(getattr(provider, "uri", ""))
    local = url.startswith(("http://127.0.0.1", "http://localhost"))
    pace = Pace(poll=poll or (0.1 if local else 1.0), stall=stall)

    def connect() -> RpcClient:
        return RpcClient(url) if url.startswith("http://") else ApeClient(provider)

    try:
        serve(Source(connect), Options(host, port, open_page, pace, store), click.echo)
    except PortTaken as error:
        raise UserError(str(error)) from None
    except KeyboardInterrupt:
        click.echo("stopped")
