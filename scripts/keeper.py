"""Run a keeper."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from ape.cli import account_option

from backstop.chain.commands import (
    UserCommand,
    UserError,
    active_provider,
    json_option,
    open_system,
    plain,
)

if TYPE_CHECKING:
    from backstop.chain.deploy import System
    from backstop.keeper.keeper import Keeper

DEFAULT = "parameters/keeper.yaml"


@click.command(cls=UserCommand, short_help="Liquidate accounts, on and on")
@account_option()
@click.option("--config", default=DEFAULT, show_default=True, help="Parameters of the keeper.")
@click.option("--once", is_flag=True, help="One look and what it leads to, then end.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and send nothing.")
@click.option("--metrics-port", type=click.IntRange(1, 65535), help="Serve Prometheus metrics.")
@click.option("--state", type=click.Path(path_type=Path), help="Instead of account.state.")
@json_option
def cli(
    account: Any,
    config: str,
    once: bool,
    dry_run: bool,
    metrics_port: int | None,
    state: Path | None,
    as_json: bool,
) -> None:
    """Follow the chain and liquidate whoever falls below maintenance margin.

    Every transaction is written to the journal before it is sent. SIGTERM and Ctrl-C stop the
    keeper after what it is doing; start it again at any time. With --json it prints one JSON object
    a line.

    \b
    Example:
      ape run keeper --account TEST::3 --once
      ape run keeper --config parameters/keeper.yaml --account my-keeper --metrics-port 9464
    """
    from backstop.keeper.journal import JournalError

    say = _speaker(as_json)
    system = _own_connection(open_system())
    try:
        keeper = _make(system, account, config, state, dry_run, say)
    except JournalError as error:
        raise UserError(str(error)) from None
    _serve(keeper, metrics_port)
    _stop_on_signals(keeper.stop)
    say(
        f"keeping {len(system.record.markets)} markets as {keeper.wallet.address}"
        f"/{keeper.config.account.sub}, parameters {config}" + (", dry run" if dry_run else ""),
        event="started",
    )
    try:
        if once:
            keeper.run_once()
        else:
            keeper.run()
    finally:
        keeper.close()


def _make(
    system: System,
    account: Any,
    path: str,
    state: Path | None,
    dry_run: bool,
    say: Callable[..., None],
) -> Keeper:
    import dataclasses

    from backstop.keeper.config import KeeperConfig
    from backstop.keeper.keeper import Keeper
    from backstop.keeper.wallet import ApeWallet

    config = KeeperConfig.load(path)
    if state is not None:
        config = dataclasses.replace(
            config, account=dataclasses.replace(config.account, state=state)
        )
    wallet = ApeWallet(account, active_provider().network.ecosystem)
    if hasattr(account, "set_autosign") and not dry_run:
        account.set_autosign(True)
    return Keeper(system, wallet, config, say=say, dry_run=dry_run)


def _own_connection(system: System) -> System:
    """The raw client where the node speaks plain HTTP; ape's connection otherwise."""
    from backstop.chain.deploy import System
    from backstop.harness.rpc import RpcClient

    url = str(getattr(active_provider(), "uri", ""))
    if not url.startswith("http://"):
        return system
    client = RpcClient(url, timeout=30.0, registry=system.client.registry)
    return System(client, system.record, system.artifacts)


def _serve(keeper: Keeper, port: int | None) -> None:
    if port is None:
        return
    try:
        keeper.metrics.serve(port)
    except OSError as error:
        raise UserError(
            f"metrics cannot be served on port {port} ({error.strerror}): choose another one"
        ) from None


def _stop_on_signals(stop: threading.Event) -> None:
    """Finish what is being done, then end; a second signal ends at once."""

    def handle(number: int, frame: Any) -> None:
        if stop.is_set():
            sys.exit(128 + number)
        stop.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, handle)


def _speaker(as_json: bool) -> Callable[..., None]:
    """Prints a line for everything that happens; a disk that is full stops nothing."""

    def say(text: str, **fields: Any) -> None:
        if as_json:
            line = json.dumps({"at": int(time.time()), "text": text, **plain(fields)})
        else:
            line = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())}  {text}"
        with contextlib.suppress(OSError):  # the log's disk is full, or nobody reads it any more
            print(line, flush=True)

    return say
