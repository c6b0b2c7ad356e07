"""The second judge of changed contracts: the tests of the suite.

They run in a private copy of the project whose compiled contracts have the change in them. Tests
that fail there on unchanged contracts (gas and code size of what ships) are left out. All tests run
on several mutants at once; those that fail then run on each of these mutants alone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from backstop.harness.mutation.compiler import Compiler, CompilerError
from backstop.harness.mutation.heard import UNCHANGED, Memory
from backstop.harness.mutation.mutants import Mutant
from backstop.harness.mutation.project import SHELLS, Artifact, compile_contracts, contracts_with
from backstop.harness.mutation.watcher import VARIABLE
from backstop.harness.project_copy import copy_project, put_codes

PATIENCE: Final = 1_200.0
"""Seconds after which a run of tests is given up; the mutant then counts as a survivor."""

GROUP: Final = 16
"""Mutants that the tests are run against at once, to see which tests notice any of them."""

_DONE: Final = (0, 1, 5)
"""Exit codes of a run of tests: passed, failed, nothing to run."""


class SuiteError(RuntimeError):
    """The tests could not be run; the message holds their last words."""


class SuiteJudge:
    """The copy of the project, and the compiler; a context.

    Args:
        memory: what earlier runs have heard.
        say: gets a line for each stage of the preparation.
    """

    def __init__(self, memory: Memory, say: Callable[[str], None]) -> None:
        self._memory, self._say = memory, say
        self._stack = contextlib.ExitStack()
        self._known: dict[str, Artifact] = {}

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._compiler = stack.enter_context(Compiler())
            folder = tempfile.TemporaryDirectory(prefix="backstop-mutants-")
            self._tree = Path(stack.enter_context(folder))
            self._say("copying the project for the tests")
            known = compile_contracts(self._compiler, tuple(SHELLS))
            if isinstance(known, str):
                raise CompilerError(f"the contracts do not compile as they are: {known}")
            self._known = known
            copy_project(self._tree)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def prepare(self, files: Sequence[str]) -> None:
        """Run these tests on the unchanged contracts, unless that was done; notes what fails."""
        new = [f for f in files if self._memory.heard(UNCHANGED, f) is None]
        if not new:
            return
        self._say(f"{len(new)} files of tests on the unchanged contracts")
        self._put(self._known)
        failed = self._run(new)
        for file in new:
            self._memory.add(UNCHANGED, file, [t for t in failed if t.startswith(file + "::")])
        if failed:
            self._say(f"{len(failed)} tests fail there and are left out: {', '.join(failed)}")

    def suspects(self, group: Sequence[Mutant], files: Sequence[str]) -> list[str]:
        """The tests of these files that fail when all these changes are made at once.

        Raises:
            CompilerError: the changes do not go together.
            SuiteError: the tests do not end, or not in order.
        """
        self._change(group)
        skipped = [test for file in files for test in self._memory.heard(UNCHANGED, file) or ()]
        return self._run(files, *(word for test in skipped for word in ("--deselect", test)))

    def killer(self, mutant: Mutant, tests: Sequence[str]) -> str:
        """The first of these tests that fails on this mutant alone, or nothing; errors as above."""
        self._change([mutant])
        return next(iter(self._run(tests, "-x")), "") if tests else ""

    def _change(self, group: Sequence[Mutant]) -> None:
        names = list(dict.fromkeys(n for m in group for n in contracts_with(m.file)))
        if "StakedTranche" in names and "InsuranceFund" not in names:
            names.append("InsuranceFund")  # whose constructor deploys it
        known = {name: self._known[name] for name in names}
        found = compile_contracts(self._compiler, names, together(group), known)
        if isinstance(found, str):
            raise CompilerError(f"{', '.join(m.name for m in group)}: {found}")
        self._put({**self._known, **found})

    def _put(self, artifacts: dict[str, Artifact]) -> None:
        put_codes(self._tree, {n: (a.creation, a.runtime) for n, a in artifacts.items()})

    def _run(self, tests: Sequence[str], *options: str) -> list[str]:
        """The ids of the tests that fail."""
        failures = self._tree / ".build" / "failed"
        failures.unlink(missing_ok=True)
        environment = {**os.environ, "PYTHONPATH": str(self._tree), VARIABLE: str(failures)}
        environment |= {"HYPOTHESIS_PROFILE": "ci"}  # the same examples every time
        environment.pop("APE_FOUNDRY_HOST", None)
        ape = str(Path(sys.prefix) / "bin" / "ape")
        plugins = ("-p", "backstop.harness.mutation.watcher", "-p", "no:cacheprovider")
        with tempfile.TemporaryFile() as output:
            code = _wait(
                subprocess.Popen(
                    [ape, "test", *tests, "-q", "-m", "not slow", *plugins, *options],
                    cwd=self._tree,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C is for us
                )
            )
            if code not in _DONE:
                output.seek(0)
                said = output.read().decode(errors="replace")[-2_000:]
                raise SuiteError(f"the tests could not be run (exit {code}):\n{said}")
        listed = failures.read_text().splitlines() if failures.is_file() else []
        return list(dict.fromkeys(listed))


def groups(mutants: Sequence[Mutant], most: int = GROUP) -> list[list[Mutant]]:
    """Mutants that can be made at once: each change at a place of its own."""
    made: list[list[Mutant]] = []
    for mutant in mutants:
        for group in made:
            if len(group) < most and not any(_overlap(mutant, other) for other in group):
                group.append(mutant)
                break
        else:
            made.append([mutant])
    return made


def together(group: Sequence[Mutant]) -> dict[str, str]:
    """The sources with all these changes, by file."""
    texts: dict[str, str] = {}
    for mutant in sorted(group, key=lambda m: -m.start):  # from behind: places before stay
        text = texts.get(mutant.file, mutant.source)
        texts[mutant.file] = text[: mutant.start] + mutant.replacement + text[mutant.end :]
    return texts


def _overlap(one: Mutant, other: Mutant) -> bool:
    return one.file == other.file and one.start < other.end and other.start < one.end


def _wait(process: subprocess.Popen[bytes]) -> int | str:
    """Its exit code; if we are stopped or lose patience, it is ended first."""
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        return f"none in {PATIENCE:.0f} s"
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)  # its nodes end with it
            process.wait()
