"""`python -m backstop.harness.fuzz.planted`: economic bugs planted in the contracts, one at a time.

Each is compiled into the contracts, and the harness plays until it notices. A bug that nobody
notices in the time is a gap of the harness: the command ends with 1. Only a check counts, no crash,
and every finder also plays with nothing planted, as long as its slowest find took: what it notices
there is a false alarm, and the command ends with 1.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import click
import yaml

from backstop.chain.artifacts import build_artifacts
from backstop.harness.anvil import Anvil, AnvilError, account_address
from backstop.harness.fuzz.campaign import play_seed
from backstop.harness.mutation.compiler import Compiler, CompilerError
from backstop.harness.mutation.machines import Recorder, run_machine
from backstop.harness.mutation.project import (
    NODE_OPTIONS,
    SHELLS,
    Artifact,
    compile_contracts,
    contracts_with,
    text_of,
)
from backstop.harness.rpc import NodeError, Reverted
from backstop.harness.world import deploy_world

BUGS: Final = Path(__file__).with_name("planted.yaml")
TURNS: Final = 80
EXAMPLES: Final = 100_000
MACHINE_TURNS: Final = 40
CONTROL_SECONDS: Final = 30.0
"""A control takes at least as long, unless a search may not."""


class SearchBroken(RuntimeError):
    """A search ended with something that no check noticed; that is no find."""


@dataclass(frozen=True)
class Bug:
    """A change of the contracts that costs somebody money."""

    name: str
    file: str
    old: str
    new: str
    breaks: str
    finder: str = "duel"

    @property
    def text(self) -> str:
        """The source with the bug; CompilerError if its place is not there, or not the only one."""
        source = text_of(self.file)
        if source.count(self.old) != 1:
            raise CompilerError(
                f"{self.name}: {self.file} holds {source.count(self.old)} times, not once:\n"
                f"{self.old}\nCorrect `old` in {BUGS.name}."
            )
        return source.replace(self.old, self.new)


@dataclass(frozen=True)
class Found:
    """How a bug was found, or that it was not (`check` is empty); a control has no `file`."""

    name: str
    file: str
    breaks: str
    finder: str
    actions: int
    seconds: float
    check: str


def bugs(path: Path = BUGS) -> list[Bug]:
    """The bugs of the file, in its order."""
    return [Bug(**entry) for entry in yaml.safe_load(path.read_text(encoding="utf8"))]


class Field:
    """Compiler, and the contracts as they are."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler
        self._known = self._compiled(tuple(SHELLS), {})

    def _compiled(self, names: Sequence[str], changed: Mapping[str, str]) -> dict[str, Artifact]:
        found = compile_contracts(self._compiler, names, changed)
        if isinstance(found, str):
            raise CompilerError(f"does not compile: {found}")
        return found

    def search(self, bug: Bug, seconds: float, seed: int) -> Found:
        """Plants the bug on a new node and plays until it is found or the time is up."""
        names = contracts_with(bug.file)
        if "StakedTranche" in names and "InsuranceFund" not in names:
            names.append("InsuranceFund")  # its creation code holds the other's
        planted = self._known | self._compiled(names, {bug.file: bug.text})
        played = self._play(planted, bug.finder, seconds, seed)
        return Found(bug.name, bug.file, bug.breaks, bug.finder, *played)

    def control(self, finder: str, seconds: float, seed: int) -> Found:
        """The same with nothing planted: `check` must be empty."""
        played = self._play(self._known, finder, seconds, seed)
        return Found(f"nothing planted, {finder}", "", "", finder, *played)

    @staticmethod
    def _play(
        planted: Mapping[str, Artifact], finder: str, seconds: float, seed: int
    ) -> tuple[int, float, str]:
        with Anvil(extra=NODE_OPTIONS) as node:
            hunt = Hunt(node, lambda name: artifact_of(name, planted), seconds)
            check = hunt.duels(seed) if finder == "duel" else hunt.machine(finder)
            return hunt.actions, round(hunt.spent, 1), check


def artifact_of(name: str, planted: Mapping[str, Artifact]) -> Mapping[str, Any]:
    """One of ours with the bug, any other as it was compiled last."""
    found: Mapping[str, Any] = build_artifacts()(name)
    return planted[name].as_artifact() if name in planted else found


class Hunt:
    """One search: how much was played in how much time, and what was noticed."""

    def __init__(self, node: Anvil, artifact: Any, seconds: float) -> None:
        self._node, self._artifact, self._seconds = node, artifact, seconds
        self._started = time.monotonic()
        self.actions = 0

    @property
    def spent(self) -> float:
        """Seconds since the contracts were there."""
        return time.monotonic() - self._started

    def duels(self, seed: int) -> str:
        """Seed after seed of the bulk fuzz, with all its checks."""
        chain = deploy_world(self._node.client, self._artifact, account_address(0))
        self._started = time.monotonic()
        while self.spent < self._seconds:
            duel, failure = play_seed(seed, TURNS, chain)
            if failure is not None:
                if failure.crash:
                    raise SearchBroken(f"the play of seed {seed} crashed: {failure.message}")
                self.actions += failure.length or duel.actions
                return failure.message.splitlines()[0]
            self.actions += duel.actions
            seed += 1
        return ""

    def machine(self, name: str) -> str:
        """A state machine of the tests, example after example."""
        recorder = Timed(self._node.url, time.monotonic() + self._seconds)
        try:
            run_machine(name, recorder, self._artifact, EXAMPLES, MACHINE_TURNS)
        except OutOfTime:
            return ""
        except NodeError:
            raise
        except Exception as error:
            if recorder.over:
                return ""  # Hypothesis calls a play flaky that ends before one which began alike
            if isinstance(error, AssertionError | Reverted):  # a view may refuse what it must not
                return _place(error)
            kind = type(error).__name__
            raise SearchBroken(f"the {name} crashed: {kind}: {_place(error)}") from error
        finally:
            self.actions = recorder.transactions
            recorder.close()
        return ""


def _place(error: Exception) -> str:
    """What a machine noticed: its innermost line, and the message if there is one."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/tests/fuzz/" in frame.filename]
    where = f"{own[-1].name}: {own[-1].line}" if own else ""
    return f"{where} {error}".strip() or type(error).__name__


class OutOfTime(BaseException):
    """The search took as long as it may. No Exception: the machine must not take it for a find."""


class Timed(Recorder):
    """A client that ends the machine when the time is up."""

    def __init__(self, url: str, deadline: float) -> None:
        super().__init__(url)
        self._deadline = deadline
        self.over = False

    def set_next_timestamp(self, timestamp: int) -> None:
        """Every action comes by here."""
        if time.monotonic() > self._deadline:
            self.over = True
            raise OutOfTime
        super().set_next_timestamp(timestamp)


def page(found: Sequence[Found], seconds: float, controls: Sequence[Found] = ()) -> str:
    """Markdown: a row for each bug, and what the finders do with nothing planted."""
    missed = sum(not f.check for f in found)
    slowest = max((f.seconds for f in found if f.check), default=0.0)
    lines = [
        "# Planted economic bugs",
        "",
        f"`make planted`: {len(found)} bugs planted in the Solidity one at a time, each searched",
        f"for at most {seconds:.0f} s by one process; {missed} not found, the slowest took",
        f"{slowest:.0f} s. Seconds count from when the contracts are deployed; actions are those",
        "played up to the one that showed it. Finder: the bulk fuzz (`duel`) or a state machine of",
        "`tests/fuzz`. The bugs themselves are in `backstop/harness/fuzz/planted.yaml`.",
        "",
        "| bug | in | finder | actions | s | which check noticed |",
        "| --- | --- | --- | ---: | ---: | --- |",
    ]
    for f in found:
        check = f"`{f.check[:110]}`" if f.check else "**not found**"
        where = f.file.removeprefix("contracts/").removesuffix(".sol")
        lines.append(
            f"| {f.name} | {where} | {f.finder} | {f.actions:,} | {f.seconds:.1f} | {check} |"
        )
    if controls:
        lines += ["", "With nothing planted:", ""]
        lines += [f"- `{c.finder}`: {_said(c)}" for c in controls]
    return "\n".join([*lines, ""])


def _said(control: Found) -> str:
    said = f"FALSE ALARM, its finds count for nothing: {control.check}"
    return f"{control.actions:,} actions, {control.seconds:.1f} s, " + (
        said if control.check else "nothing found"
    )


def search_all(field: Field, chosen: Sequence[Bug], seconds: float, seed: int) -> list[Found]:
    """Every bug in turn, with a line for each."""
    found = []
    for number, bug in enumerate(chosen):
        try:
            found.append(field.search(bug, seconds, seed))
        except (SearchBroken, NodeError) as error:
            raise SearchBroken(f"{bug.name}: {error}") from error
        last = found[-1]
        said = last.check or "NOT FOUND"
        head = f"{number + 1}/{len(chosen)} {bug.name}: {last.actions} actions, {last.seconds} s"
        click.echo(f"{head}, {said}", err=True)
    return found


def control_all(field: Field, found: Sequence[Found], seconds: float, seed: int) -> list[Found]:
    """Every finder that was used, for as long as its slowest find took or longer."""
    controls = []
    for finder in dict.fromkeys(f.finder for f in found):
        slowest = max((f.seconds for f in found if f.finder == finder and f.check), default=0.0)
        try:
            control = field.control(finder, max(slowest, min(seconds, CONTROL_SECONDS)), seed)
        except (SearchBroken, NodeError) as error:
            raise SearchBroken(f"nothing planted, {finder}: {error}") from error
        click.echo(f"{control.name}: {_said(control)}", err=True)
        controls.append(control)
    return controls


@click.command()
@click.option("--only", help="Bugs whose name holds this text.")
@click.option("--seconds", type=click.FloatRange(1), default=300.0, show_default=True)
@click.option(
    "--seed", type=click.IntRange(0), default=1_000, show_default=True, help="Of the first play."
)
@click.option("--output", type=click.Path(path_type=Path), help="Write the page here.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def cli(only: str | None, seconds: float, seed: int, output: Path | None, as_json: bool) -> None:
    """Plant economic bugs in the contracts, one at a time, and see whether the harness finds them.

    Ends with 1 if one is not found, or if a finder also finds something with nothing planted.
    """
    chosen = [bug for bug in bugs() if not only or only in bug.name]
    if not chosen:
        names = "\n".join(bug.name for bug in bugs())
        raise click.BadParameter(f"no bug's name holds {only!r}; there are:\n{names}")
    try:
        with Compiler() as compiler:
            field = Field(compiler)
            found = search_all(field, chosen, seconds, seed)
            controls = control_all(field, found, seconds, seed)
    except (CompilerError, AnvilError, SearchBroken) as error:
        raise click.ClickException(str(error)) from None
    if output is not None:
        output.write_text(page(found, seconds, controls))
    listed = {"bugs": [asdict(f) for f in found], "controls": [asdict(c) for c in controls]}
    click.echo(json.dumps(listed, indent=1) if as_json else page(found, seconds, controls))
    false_alarms = any(c.check for c in controls)
    sys.exit(0 if all(f.check for f in found) and not false_alarms else 1)


if __name__ == "__main__":
    cli()
