"""From settings to an exit code: the node, the run, the report, and what can go wrong around it."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from backstop.chain.artifacts import ROOT, MissingArtifact, build_artifacts
from backstop.chain.config import ConfigError
from backstop.chain.deploy import DeploymentError
from backstop.chain.processes import interruptible
from backstop.harness.abi import NoData, Reverted
from backstop.harness.anvil import Anvil, AnvilError
from backstop.harness.demo.book import TRADER
from backstop.harness.demo.play import Player, Result
from backstop.harness.demo.report import as_json, print_report
from backstop.harness.demo.table import make_table
from backstop.harness.demo.watch import Watch
from backstop.harness.rpc import NodeError, RpcClient, RpcError
from backstop.harness.scenario import DEFAULT, Scenario

OK, FAILED, WRONG_REQUEST, STOPPED = 0, 1, 2, 130
"""Exit codes: fine; an invariant or promise broken, or no node; a wrong setting; Ctrl-C."""

_BEFORE_DEPLOYMENT = 3600
"""The node's first block is so many seconds before the deployment."""

_STATES = 64
"""Blocks whose state the node keeps, beside one for every claim after the crash."""


@dataclass(frozen=True)
class Settings:
    """What the user chose.

    Attributes:
        scenario: name or path.
        accounts, seed, fund: instead of the scenario's own; see `Scenario.load`.
        url: of a running development node; a node of our own if not given.
        keep_node: leave the node running until Ctrl-C and record the deployment.
        json: print one JSON object instead of tables.
        watch: serve the live page from the deployment on; the node stays.
        artifacts: compiled contracts; those of the last compilation if not given.
        records: folder for the deployment record, the project's if not given.
        reports: folder for the transparency report, the project's `reports/` if not given.
    """

    scenario: str = DEFAULT
    accounts: int | None = None
    seed: int = 1
    fund: str | None = None
    url: str | None = None
    keep_node: bool = False
    json: bool = False
    watch: bool = False
    artifacts: Callable[[str], Any] | None = None
    records: Path | None = None
    reports: Path | None = None

    @property
    def as_written(self) -> bool:
        """Nothing differs from the file, so its promises count."""
        return self.accounts is None and self.fund is None and self.seed == 1


def run(settings: Settings) -> int:
    """Play a scenario and report; returns the exit code. Nothing is left behind."""
    errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    try:
        with interruptible():
            return _run(settings)
    except ConfigError as error:
        errors.print(f"Error: {error}")
        return WRONG_REQUEST
    except KeyboardInterrupt:
        gone = "the node is gone and nothing is left behind"
        errors.print(f"stopped; {gone}" if settings.url is None else "stopped")
        return STOPPED
    except (AnvilError, MissingArtifact, DeploymentError) as error:
        errors.print(f"Error: {error}")
    except NodeError as error:
        errors.print(f"Error: the node is gone, killed or crashed ({error}): start again")
    except RpcError as error:
        errors.print(f"Error: the node refuses: {error}. The demo needs Anvil: its clock is moved")
    except NoData as error:
        errors.print(f"Error: {error}. The compiled contracts do not fit: run `ape compile`")
    except Reverted as error:
        errors.print(f"Error: a contract refused what the demo needs: {error}")
    return FAILED


def _run(settings: Settings) -> int:
    scenario = Scenario.load(settings.scenario, accounts=settings.accounts, fund=settings.fund)
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, 150))
    screen = Console(stderr=True) if settings.json else console
    with (
        _node(settings, scenario) as (client, node),
        Watch(client.url, screen, enabled=settings.watch) as watch,
        make_table(scenario, screen) as table,
    ):
        _introduce(scenario, settings, screen)
        player = Player(
            client=client,
            scenario=scenario,
            seed=settings.seed,
            artifacts=settings.artifacts or build_artifacts(),
            audience=table,
            promised=scenario.expect if settings.as_written else {},
            deployed=watch.begin,
        )
        try:
            result = player.play()
        except NodeError:
            if node is None or _still_runs(node):
                raise
            said = node.output()[-500:].strip()
            raise AnvilError(
                "the node was killed, or it crashed, in the middle of the run: start again"
                + (f". It said last: {said}" if said else "")
            ) from None
        table.__exit__(None, None, None)
        if settings.json:
            sys.stdout.write(json.dumps(as_json(result), indent=2) + "\n")
            sys.stdout.flush()
        else:
            print_report(result, console)
        _leave_report(settings, result, screen)
        if settings.keep_node or settings.watch:
            _keep(settings, result, node, client, screen)
    return FAILED if result.checks.broken or result.missing else OK


def _still_runs(node: Anvil) -> bool:
    """Whether the node lives; one that was just killed takes a moment to be gone."""
    for _ in range(20):
        if not node.running:
            return False
        time.sleep(0.05)
    return True


@contextlib.contextmanager
def _node(settings: Settings, scenario: Scenario) -> Iterator[tuple[RpcClient, Anvil | None]]:
    if settings.url is not None:
        client = RpcClient(settings.url)
        try:
            client.rpc("anvil_nodeInfo")
            yield client, None
        finally:
            client.close()
        return
    began = scenario.deployed_at - _BEFORE_DEPLOYMENT
    # the live page reads old state again, for whoever looks later
    states = _STATES + 2 * len(scenario.stakers)
    kept = None if settings.watch or settings.keep_node else states
    with Anvil(
        accounts=3, timestamp=began, block_interval=None, history=kept, all_logs=True
    ) as node:
        yield node.client, node


def _introduce(scenario: Scenario, settings: Settings, console: Console) -> None:
    book, token = scenario.book, scenario.parameters.token.symbol
    fund = scenario.parameters.fund.initial_reserve
    for market in scenario.parameters.markets:
        fund += market.fund.initial
    console.print(f"[bold]{scenario.title}[/bold]")
    console.print(scenario.about)
    for market_ in scenario.markets:
        console.print(
            f"  {market_.name}: {market_.open_interest / 1e6:,.1f} M {token} of open interest;"
            f" prices: {market_.source}",
            highlight=False,
        )
    console.print(
        f"  {book.accounts} accounts, {scenario.keepers.count} keepers, a fund of {fund:,}"
        f" {token}, seed {settings.seed}; {scenario.steps} steps of {scenario.step} s",
        highlight=False,
    )
    if scenario.stakers:
        stake = sum(one.stake for one in scenario.stakers)
        asking = sum(one.asks is not None for one in scenario.stakers)
        console.print(
            f"  {len(scenario.stakers)} stakers with {stake:,} {token} behind the operator's"
            f" reserve; {asking} of them are going to ask for the exit",
            highlight=False,
        )


def _leave_report(settings: Settings, result: Result, console: Console) -> None:
    """The transparency report on the crash, from the chain's events and views alone.

    It ends with the last step: what stakers claim weeks later is in the tables.
    """
    from backstop.report import ReportError, build, write
    from backstop.store import EventStore, StoreError

    system = result.stage.system
    name = f"demo-{result.scenario.name}-{result.seed}"
    folder = (settings.reports or ROOT / "reports") / name
    try:
        with (
            tempfile.TemporaryDirectory() as place,
            EventStore.open(
                Path(place) / "events.sqlite", system.record, system.artifacts
            ) as store,
        ):
            store.sync(system.client)
            report = build(store, system, *result.blocks)
        page, _ = write(report, folder)
    except (StoreError, ReportError) as error:
        console.print(f"No transparency report was written: {error}", markup=False)
        return
    shown = page.relative_to(ROOT) if page.is_relative_to(ROOT) else page
    console.print(f"\nTransparency report: {shown}", highlight=False, soft_wrap=True)
    for sentence in report.broken:
        console.print(f"[bold red]REPORT[/bold red] {sentence}")


def _keep(
    settings: Settings, result: Result, node: Anvil | None, client: RpcClient, console: Console
) -> None:
    """Record the deployment; a node of ours runs on until Ctrl-C."""
    record = result.stage.system.record
    path = None if settings.records is None else settings.records / f"{record.chain_id}.json"
    saved = record.save(path)
    shown = saved.relative_to(ROOT) if saved.is_relative_to(ROOT) else saved
    client.rpc("anvil_setBlockTimestampInterval", 1)
    trader = max(
        zip(result.states, result.plan.participants, strict=True),
        key=lambda pair: pair[1].kind == TRADER and bool(pair[0].positions) and pair[0].equity,
    )[1]
    network = "--network ethereum:local:foundry"
    console.print(
        f"\nThe node is at {client.url}, chain id {record.chain_id}; deployment recorded in"
        f" {shown}.\nIn another terminal, in the activated environment:\n"
        f"  export APE_FOUNDRY_HOST={client.url}\n"
        f"  ape run fund {network}\n"
        f"  ape run account {trader.address}/0 {network}",
        highlight=False,
        soft_wrap=True,
    )
    if node is None:
        return
    console.print("Ctrl-C stops the node.")
    with contextlib.suppress(KeyboardInterrupt):
        while node.running:
            time.sleep(0.3)
        node.check()
