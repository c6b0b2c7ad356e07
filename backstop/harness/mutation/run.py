"""The run: what is judged by whom, what is known already, and how far it is."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

import click
import yaml

from backstop.chain.artifacts import ROOT
from backstop.harness.anvil import Anvil
from backstop.harness.mutation.cases import cases
from backstop.harness.mutation.compiler import Compiled, Compiler, CompilerError
from backstop.harness.mutation.contracts import Bench, contracts_fingerprint
from backstop.harness.mutation.heard import Memory, files_of_tests
from backstop.harness.mutation.judge import Judge
from backstop.harness.mutation.mutants import Mutant
from backstop.harness.mutation.probe import LIBRARIES, path_of, sources, standard_json
from backstop.harness.mutation.suite import SuiteError, SuiteJudge, groups
from backstop.harness.mutation.table import Result
from backstop.harness.rpc import RpcClient

EXPLAINED = Path(__file__).with_name("explained.yaml")


def fingerprint(root: Path = ROOT) -> str:
    """Of everything that a verdict depends on."""
    digest = hashlib.sha256()
    for name, text in sorted(sources(root).items()):
        digest.update(f"{name}\0{text}\0".encode())
    for module in ("cases", "compiler", "judge", "probe"):
        digest.update(Path(__file__).with_name(f"{module}.py").read_bytes())
    digest.update(repr(cases()).encode())
    return digest.hexdigest()[:16]


class Journal:
    """Results of earlier runs over the same sources and cases: what is there is not done again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.results: dict[str, Result] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        for line in path.read_text().splitlines() if path.is_file() else ():
            try:
                result = Result(**json.loads(line))
            except (ValueError, TypeError):
                continue  # a line that was cut short
            self.results[result.name] = result

    def add(self, result: Result) -> None:
        """Keep a result, on the disk at once."""
        self.results[result.name] = result
        with self._path.open("a") as file:
            file.write(json.dumps(result.as_json()) + "\n")


def explanations() -> dict[str, str]:
    """Survivors that were looked at: name -> why it is no gap."""
    return {str(k): str(v) for k, v in (yaml.safe_load(EXPLAINED.read_text()) or {}).items()}


class Run:
    """One library's mutants, one after the other."""

    def __init__(self, library: str, compiler: Compiler, client: RpcClient) -> None:
        self._library, self._compiler = library, compiler
        self._texts = sources()
        original = self.compile({})
        if isinstance(original, str):
            raise CompilerError(f"{library} does not compile unmutated: {original}")
        self._original = original
        own = [case for case in cases() if case.function.startswith(f"{library}_")]
        self._judge = Judge(client, original.abi, own)
        if difference := self._judge.first_difference(original):
            raise CompilerError(f"{library} is wrong unmutated: {difference}")

    def compile(self, changed: dict[str, str]) -> Compiled | str:
        """The library's probe, with some sources replaced."""
        texts = {**self._texts, **changed}
        return self._compiler.probe(standard_json(texts, via_ir=False, libraries=[self._library]))

    def result(self, mutant: Mutant) -> Result:
        """Compile, compare, judge."""
        started = time.monotonic()
        compiled = self.compile({mutant.file: mutant.text})
        reason = ""
        if isinstance(compiled, str):
            verdict, reason = "invalid", compiled
        elif compiled.code == self._original.code:
            verdict = "equivalent"
        elif difference := self._judge.first_difference(compiled):
            verdict, reason = "killed", str(difference)
        else:
            verdict = "survived"
        seconds = round(time.monotonic() - started, 2)
        where = (mutant.name, mutant.file, mutant.line, mutant.operator)
        return Result(*where, verdict, seconds, reason, mutant.diff())


class Progress:
    """Says how far a run is, and keeps what it found."""

    def __init__(self, total: int, journal: Journal) -> None:
        self._total, self._journal, self._done = total, journal, 0

    def add(self, result: Result) -> None:
        """One more mutant is judged."""
        self._journal.add(result)
        self._done += 1
        text = f"{self._done}/{self._total} {result.verdict:10} {result.name} {result.operator}"
        click.echo(f"{text} {result.seconds} s", err=True)


def try_libraries(todo: Sequence[Mutant], journal: Journal) -> None:
    """Judge these mutants of libraries, with a line of progress each."""
    with Compiler() as compiler, Anvil() as node:
        progress = Progress(len(todo), journal)
        for library in LIBRARIES:
            mine = [m for m in todo if m.file == path_of(library)]
            run = Run(library, compiler, node.client) if mine else None
            for mutant in mine:
                assert run is not None
                progress.add(run.result(mutant))


def try_contracts(todo: Sequence[Mutant], journal: Journal) -> None:
    """Judge these mutants of contracts, with a line of progress each."""
    with Bench(lambda line: click.echo(line, err=True)) as bench:
        progress = Progress(len(todo), journal)
        for mutant in todo:
            progress.add(bench.result(mutant))


class Hearing:
    """Survivors of the plays before the tests, with a line of progress each."""

    def __init__(self, survivors: Sequence[Mutant], memory: Memory) -> None:
        self._survivors, self._memory = survivors, memory
        self._done = 0

    def hold(self) -> None:
        """Ask the tests about all of them."""
        with SuiteJudge(self._memory, _say) as judge:
            judge.prepare(files_of_tests())
            for group in groups(self._survivors):
                self._group(judge, group)

    def _group(self, judge: SuiteJudge, group: Sequence[Mutant]) -> None:
        asked = {m.name: self._memory.missing(m.name) for m in group}
        files = [f for f in files_of_tests() if any(f in missing for missing in asked.values())]
        _say(f"{len(files)} files of tests on {len(group)} mutants at once")
        try:
            suspects = judge.suspects(group, files)
        except (CompilerError, SuiteError) as error:
            if len(group) == 1:
                self._tell(group[0], f"NOT JUDGED, counts as a survivor: {error}")
            for mutant in group if len(group) > 1 else ():
                self._group(judge, [mutant])
            return
        _say(f"{len(suspects)} of them fail")
        for mutant in group:
            try:
                killer = judge.killer(mutant, suspects)
            except SuiteError as error:
                self._tell(mutant, f"NOT JUDGED, counts as a survivor: {error}")
                continue
            for file in [killer.partition("::")[0]] if killer else asked[mutant.name]:
                self._memory.add(mutant.name, file, [killer] if killer else [])
            self._tell(mutant, f"killed by {killer}" if killer else "survived")

    def _tell(self, mutant: Mutant, said: str) -> None:
        self._done += 1
        _say(f"tests {self._done}/{len(self._survivors)} {mutant.name} {mutant.operator}: {said}")


def _say(line: str) -> None:
    click.echo(line, err=True)


class Verdicts:
    """What is known of some mutants, from this run and from earlier ones."""

    def __init__(self, mutants: Sequence[Mutant], contracts: bool) -> None:
        self._mutants, self._contracts = mutants, contracts
        folder = ROOT / ".build" / "mutation"
        digest = f"contracts-{contracts_fingerprint()}" if contracts else fingerprint()
        self._journal = Journal(folder / f"{digest}.jsonl")
        self._memory = Memory(folder / "tests.jsonl") if contracts else None

    def find(self, plays_only: bool) -> None:
        """Judge those that were not; with the tests too, unless only plays are wanted."""
        todo = [m for m in self._mutants if m.name not in self._journal.results]
        if todo:
            (try_contracts if self._contracts else try_libraries)(todo, self._journal)
        if self._memory is not None and not plays_only:
            left = {r.name for r in self.results() if r.verdict == "survived" and not r.tests}
            left -= set(explanations())
            if left:
                Hearing([m for m in self._mutants if m.name in left], self._memory).hold()

    def results(self) -> list[Result]:
        """Those that are known, file by file."""
        found = []
        for mutant in sorted(self._mutants, key=lambda m: (m.file, m.start)):
            result = self._journal.results.get(mutant.name)
            if result is not None and result.verdict == "survived" and self._memory is not None:
                result = result.after_tests(self._memory.verdict(mutant.name))
            found += [result] if result is not None else []
        return found
