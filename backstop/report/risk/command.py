"""What the commands of the risk lab share: options, errors, progress, where results go.

A command works offline; `--network` makes it read the deployment recorded for that network. What a
user can get wrong ends in one sentence and exit code 2. Ctrl-C ends a run with what it has.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import click
from rich.console import Console
from rich.progress import BarColumn, Progress as Bar, TextColumn, TimeRemainingColumn

from backstop.chain.commands import DurationType, UserError, translated
from backstop.chain.processes import interruptible

F = TypeVar("F", bound=Callable[..., Any])

#: Exit code of a run that was stopped and wrote what it had.
STOPPED = 130


class LabCommand(click.Command):
    """A command that answers user errors with a sentence and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, translate what goes wrong."""
        as_json = bool(ctx.params.get("as_json"))
        with translated(ctx, as_json, "stopped; nothing was written"), interruptible():
            return super().invoke(ctx)


# --- options --------------------------------------------------------------------------------------


class PercentType(click.ParamType):
    """A share from `15%` or `0.15`, at least 0."""

    name = "percentage"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """The share of a text."""
        if isinstance(value, float):
            return value
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
        except ValueError:
            self.fail(f"{value!r} is no percentage such as 15%", param, ctx)
        if not 0 <= share < 1e6:
            self.fail(f"{value} is not at least 0", param, ctx)
        return share


class LevelType(click.ParamType):
    """A probability strictly between 0 and 1, such as 0.999 or 99.9%."""

    name = "level"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """The probability of a text."""
        if isinstance(value, float):
            return value
        share = PercentType().convert(value, param, ctx)
        if not 0 < share < 1:
            self.fail(f"{value} is not between 0 and 1, such as 0.999 or 99.9%", param, ctx)
        return share


class PairType(click.ParamType):
    """`NAME=VALUE`."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, str]:
        """Both parts of a text."""
        if isinstance(value, tuple):
            return value
        name, sign, rest = str(value).partition("=")
        if not (name and sign and rest):
            self.fail(f"{value!r} has not the form NAME=VALUE", param, ctx)
        return name, rest


def _packed(name: str, pack: Callable[..., Any], *options: Callable[[F], F]) -> Callable[[F], F]:
    """Options that a command gets as one: the parameter `name`, made of their values by `pack`."""
    wanted = inspect.signature(pack).parameters

    def apply(function: F) -> F:
        @functools.wraps(function)
        def packed(**values: Any) -> Any:
            mine = {key: values.pop(key) for key in wanted}
            return function(**values, **{name: pack(**mine)})

        for option in reversed(options):
            packed = option(packed)
        return cast(F, packed)

    return apply


class _Numbers(click.ParamType):
    """Numbers between two others, the lower one left out, separated by commas."""

    name = "numbers"

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        """The numbers of a text."""
        if isinstance(value, tuple):
            return value
        try:
            found = tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of numbers such as 5,10,20", param, ctx)
        wrong = [x for x in found if not self.low < x <= self.high]
        if wrong:
            self.fail(f"{wrong[0]:g} is not above {self.low:g} and up to {self.high:g}", param, ctx)
        return found


def numbers(low: float, high: float) -> click.ParamType:
    """A list of numbers above `low` and up to `high`."""
    return _Numbers(low, high)


# --- reading --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlatformSource:
    """Whose book, rules and fund are studied: a scenario's, or those of a deployed system."""

    scenario: str | None
    accounts: int | None
    book_seed: int
    network: str | None
    volumes: tuple[tuple[str, str], ...]

    def load(self) -> Any:
        """The platform; UserError where options exclude each other."""
        if self.network is None:
            from backstop.harness.scenario import DEFAULT, Scenario
            from backstop.report.risk.platform import from_scenario

            if self.volumes:
                raise UserError("--volume goes with --network: a scenario has its own volumes", 2)
            scenario = Scenario.load(self.scenario or DEFAULT, accounts=self.accounts)
            return from_scenario(scenario, self.book_seed)
        if self.scenario is not None or self.accounts is not None:
            raise UserError(
                "--network and --scenario or --accounts exclude each other: choose one", 2
            )
        with connected(self.network) as system:
            from backstop.report.risk.onchain import read_platform

            return read_platform(system, amounts(self.volumes, "--volume"))


platform_options = _packed(
    "source",
    PlatformSource,
    click.option("--scenario", default=None, help="Scenario whose book, rules and fund are taken."
                 "  [default: crash-2025-10-10]"),
    click.option("--accounts", type=click.IntRange(10), help="Accounts of the scenario's book."),
    click.option("--book-seed", type=click.IntRange(0), default=1, show_default=True,
                 help="Draws another book of the scenario."),
    click.option("--network", default=None,
                 help="Read the system deployed on this network instead, such as"
                 " ethereum:local:foundry with APE_FOUNDRY_HOST."),
    click.option("--volume", "volumes", type=PairType(), multiple=True,
                 help="MARKET=AMOUNT traded a day on the venues liquidations go to; repeat. For a"
                 " chain.  [default: measured, else reference]"),
)  # fmt: skip


@contextlib.contextmanager
def connected(network: str) -> Iterator[Any]:
    """The system deployed on a network of ape's; UserError or DeploymentError if there is none."""
    from ape import networks

    from backstop.chain.commands import open_system, require_node

    if "foundry" in network:
        require_node(None)
    with networks.parse_network_choice(network):
        yield open_system()


def amounts(pairs: tuple[tuple[str, str], ...], option: str) -> dict[str, float]:
    """NAME=AMOUNT pairs with positive amounts; UserError names the one that is none."""
    found = {}
    for name, text in pairs:
        try:
            found[name] = float(text)
        except ValueError:
            found[name] = 0.0
        if not 0 < found[name] < 1e18:
            raise UserError(f"{option} {name}={text}: {text!r} is no positive amount", 2)
    return found


@dataclass(frozen=True)
class PriceFiles:
    """Klines of the markets, as the options name them."""

    files: tuple[tuple[str, str], ...]
    where: tuple[tuple[str, str], ...]
    allow_gaps: bool

    def load(self) -> dict[str, Any]:
        """The bars by market."""
        from backstop.report.risk.prices import read_files

        names = [name for name, _ in self.files]
        repeated = {name for name in names if names.count(name) > 1}
        if repeated:
            raise UserError(f"--prices {', '.join(sorted(repeated))} is given twice: keep one", 2)
        files = {name: Path(text) for name, text in self.files}
        return read_files(files, dict(self.where), self.allow_gaps)


price_options = _packed(
    "price_files",
    PriceFiles,
    click.option("--prices", "files", type=PairType(), multiple=True,
                 help="MARKET=FILE of klines (CSV, also .gz); once for every market.  [default:"
                 " reference figures]"),
    click.option("--where", type=PairType(), multiple=True,
                 help="COLUMN=VALUE: only rows of the price files with this value; repeat."),
    click.option("--allow-gaps", is_flag=True, help="Count a gap in a price file as one long bar."),
)  # fmt: skip


def _runner(backend: str, address: str | None, workers: int | None) -> dict[str, Any]:
    return {"backend": backend, "address": address, "workers": workers}


run_options = _packed(
    "runner",
    _runner,
    click.option("--backend", type=click.Choice(("process", "serial", "dask", "ray")),
                 default="process", show_default=True, help="Where paths are computed."),
    click.option("--address", default=None, help="Of a running dask or ray cluster."),
    click.option("--workers", type=click.IntRange(1), help="Local processes; else one a core."),
)  # fmt: skip


def model_options(paths: int) -> Callable[[F], F]:
    """Which price paths, how many, how long, and their seed."""

    def apply(function: F) -> F:
        for option in reversed(
            (
                click.option(
                    "--model",
                    default="auto",
                    show_default=True,
                    type=click.Choice(("auto", "fhs", "bootstrap", "history", "merton")),
                    help="Of the price paths; auto: fhs with price files, merton without.",
                ),
                click.option("--paths", default=paths, type=click.IntRange(1), show_default=True),
                click.option(
                    "--horizon",
                    type=DurationType(),
                    default="1d",
                    show_default=True,
                    help="Length of a path: the time until an emptied fund is filled again.",
                ),
                click.option("--seed", default=0, type=click.IntRange(0, 2**63), show_default=True),
            )
        ):
            function = option(function)
        return function

    return apply  # fmt: skip


# --- progress and answers -------------------------------------------------------------------------


class Shown:
    """Progress on stderr: a bar with the running CVaR and its interval; nothing with --json."""

    def __init__(self, quiet: bool) -> None:
        self.console = Console(stderr=True, quiet=quiet)
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[risk]}"),
            console=self.console,
        )
        self.task: Any = None
        self.tenths = -1

    def __enter__(self) -> Shown:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def phase(self, text: str) -> None:
        """What is done now."""
        self.console.print(text, style="dim")

    def paths(self, progress: Any) -> None:
        """Paths done of all, and the CVaR so far."""
        if self.task is None:
            self.task = self.bar.add_task("paths", total=progress.total, risk="")
        self.bar.update(self.task, completed=progress.done, risk=risk_text(progress))
        # a log has no bar: one line at the first paths and one at every tenth of them
        if progress.done * 10 // progress.total > self.tenths and not self.console.is_terminal:
            self.tenths = progress.done * 10 // progress.total
            self.phase(f"{progress.done:,} of {progress.total:,} paths {risk_text(progress)}")

    def step(self, done: int, total: int, text: str = "") -> None:
        """Progress of something that is no Monte Carlo run."""
        if self.task is None:
            self.task = self.bar.add_task("runs", total=total, risk="")
        self.bar.update(self.task, completed=done, total=total, risk=text)
        if not self.console.is_terminal:
            self.phase(f"{done:,} of {total:,} runs {text}")


def risk_text(progress: Any) -> str:
    """`CVaR 99.9 % 1.2 M (1.1 M to 1.3 M)`, as far as it is known."""
    from backstop.report.risk.charts import short

    if progress.cvar is None:
        return ""
    text = f"CVaR {100 * progress.level:g} % {short(progress.cvar)}"
    if progress.interval is None:
        return text
    return f"{text} ({short(progress.interval.lower)} to {short(progress.interval.upper)})"


@dataclass(frozen=True)
class Output:
    """Where the report goes and how the answer is printed."""

    out: Path
    as_json: bool

    def write(self, report: tuple[Any, Mapping[str, Any], Mapping[str, str]], width: int) -> None:
        """Write the folder, print the answer, and end with 130 if the run was stopped.

        Args:
            report: page, summary and CSV files.
            width: of the names before the figures, in characters.
        """
        from backstop.report.risk.outputs import plain, write_folder

        page, summary, files = report
        write_folder(self.out, page.render(), summary, files)
        if self.as_json:
            click.echo(json.dumps(plain(summary), sort_keys=True, indent=1))
        else:
            for text in page.alerts:
                click.echo(text)
            for one in page.counters:
                click.echo(f"{one.label:{width}} {one.value:>16}  {one.note}")
            names = f"report.html, summary.json and {len(files)} CSV files"
            click.echo(f"written to {self.out}/{names}")
        if summary.get("partial"):
            click.echo("stopped: the report is partial and says so", err=True)
            click.get_current_context().exit(STOPPED)


def out_option(name: str) -> Callable[[F], F]:
    """`--out`, by default a folder under reports/, and `--json`."""
    return _packed(
        "output",
        Output,
        click.option("--out", type=click.Path(file_okay=False, path_type=Path),
                     default=Path("reports") / name, show_default=True,
                     help="Folder of report.html, summary.json and the CSV files."),
        click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON."),
    )  # fmt: skip
