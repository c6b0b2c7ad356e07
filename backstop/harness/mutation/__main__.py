"""`python -m backstop.harness.mutation`: mutants of the Solidity, and whether anything notices."""

from __future__ import annotations

import hashlib
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
import yaml

from backstop.chain.artifacts import ROOT
from backstop.harness.anvil import Anvil, AnvilError
from backstop.harness.mutation.cases import cases
from backstop.harness.mutation.compiler import Compiled, Compiler, CompilerError
from backstop.harness.mutation.contracts import Bench, contracts_fingerprint, files_in, mutants_in
from backstop.harness.mutation.judge import Judge
from backstop.harness.mutation.mutants import Mutant, mutants_of
from backstop.harness.mutation.probe import LIBRARIES, path_of, sources, standard_json
from backstop.harness.mutation.table import VERDICTS, Result, page, score
from backstop.harness.rpc import RpcClient

EXPLAINED = Path(__file__).with_name("explained.yaml")


def chosen_libraries(paths: Sequence[str]) -> list[str]:
    """The libraries that are in, or are, these paths."""
    wanted = []
    for path in paths or ["contracts/libraries"]:
        clean = path.removeprefix("./").rstrip("/")
        found = [
            n for n in LIBRARIES if clean in (path_of(n), n) or path_of(n).startswith(clean + "/")
        ]
        if not found:
            raise click.BadParameter(
                f"{path} holds none of the libraries that have twins: {', '.join(LIBRARIES)}. "
                "Add --contracts for the engine, the fund and the liquidator.",
                param_hint="--files",
            )
        wanted += [name for name in found if name not in wanted]
    return wanted


def fingerprint(root: Path = ROOT) -> str:
    """Of everything that a verdict depends on."""
    digest = hashlib.sha256()
    for name, text in sorted(sources(root).items()):
        digest.update(f"{name}\0{text}\0".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem not in ("__main__", "table", "mutants"):  # a mutant's name is of its text
            digest.update(path.read_bytes())
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


def explanations() -> dict[str, str]:
    """Survivors that were looked at: name -> why it is no gap."""
    return {str(k): str(v) for k, v in (yaml.safe_load(EXPLAINED.read_text()) or {}).items()}


def sample(mutants: Iterable[Mutant], limit: int | None, seed: int) -> list[Mutant]:
    """All of them, or as many drawn at random, in the order of the files."""
    known = list(mutants)
    if limit is None or limit >= len(known):
        return known
    kept = set(random.Random(seed).sample(range(len(known)), limit))
    return [mutant for i, mutant in enumerate(known) if i in kept]


def library_mutants(files: Sequence[str]) -> list[Mutant]:
    """All mutants of these libraries."""
    texts = sources()
    paths = [path_of(library) for library in chosen_libraries(files)]
    return [m for path in paths for m in mutants_of(path, texts[path])]


def contract_mutants(files: Sequence[str]) -> list[Mutant]:
    """All mutants of these sources of contracts."""
    found = files_in(files)
    if not found:
        raise click.BadParameter(
            f"{', '.join(files)}: none of the sources of engine, fund, stake, liquidator and "
            "backstop. Name one, or a folder such as contracts/engine.",
            param_hint="--files",
        )
    return mutants_in(found)


@click.command()
@click.option("--contracts", is_flag=True, help="Engine, fund, stake, liquidator; not libraries.")
@click.option("--files", multiple=True, help="A source or a folder; default: all there are.")
@click.option(
    "--limit", "--sample", type=click.IntRange(1), help="At most so many, drawn at random."
)
@click.option("--known", is_flag=True, help="Judge nothing: report the verdicts that are there.")
@click.option("--seed", default=1, show_default=True, help="Of the draw.")
@click.option("--output", type=click.Path(path_type=Path), help="Write all that is known.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def cli(
    contracts: bool,
    files: tuple[str, ...],
    limit: int | None,
    known: bool,
    seed: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Change the Solidity one small thing at a time and see whether anything notices.

    The pure libraries are judged by the cases of their twins. With --contracts it is the engine,
    the fund, the stake, the liquidator and the backstop, judged by recorded plays.

    Verdicts are kept in .build/mutation and used again while nothing they depend on changes: a run
    that is stopped goes on where it was. Exit 1 if a mutant survives that is not explained.
    """
    everything = contract_mutants(files) if contracts else library_mutants(files)
    tried = sample(everything, limit, seed)
    digest = f"contracts-{contracts_fingerprint()}" if contracts else fingerprint()
    journal = Journal(ROOT / ".build" / "mutation" / f"{digest}.jsonl")
    todo = [m for m in tried if m.name not in journal.results]
    if contracts:
        random.Random(seed).shuffle(todo)  # what a stopped run did is a fair sample
    stopped = False
    try:
        if todo and not known:
            (try_contracts if contracts else try_libraries)(todo, journal)
    except KeyboardInterrupt:
        stopped = True
    except (CompilerError, AnvilError) as error:
        raise click.ClickException(str(error)) from None
    results = [journal.results[m.name] for m in tried if m.name in journal.results]
    explained = explanations()
    if output is not None:
        judged = [journal.results[m.name] for m in everything if m.name in journal.results]
        output.write_text(page(judged, explained, len(everything), contracts=contracts))
    _print(results, explained, as_json)
    if stopped:
        click.echo("stopped; the same command goes on from here", err=True)
        sys.exit(130)
    if any(r.verdict == "survived" and r.name not in explained for r in results):
        sys.exit(1)


def _print(results: Sequence[Result], explained: dict[str, str], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([r.as_json() for r in results], indent=1))
        return
    for r in results:
        if r.verdict == "survived":
            note = explained.get(r.name, "NOT EXPLAINED").strip()
            click.echo(f"survived {r.name} ({r.operator})\n{r.diff}\n  {note}\n")
    counts = Counter(r.verdict for r in results)
    known = sum(r.name in explained for r in results if r.verdict == "survived")
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)
    click.echo(f"{len(results)} mutants: {said}; {known} survivors explained")
    click.echo(f"score {score(counts)}, without the explained ones {score(counts, known)}")


if __name__ == "__main__":
    cli()
