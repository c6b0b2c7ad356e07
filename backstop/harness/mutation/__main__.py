"""`python -m backstop.harness.mutation`: mutants of the Solidity, and whether anything notices."""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from backstop.chain.processes import interruptible
from backstop.harness.anvil import AnvilError
from backstop.harness.mutation.compiler import CompilerError
from backstop.harness.mutation.contracts import files_in, mutants_in
from backstop.harness.mutation.mutants import Mutant, mutants_of
from backstop.harness.mutation.probe import LIBRARIES, path_of, sources
from backstop.harness.mutation.run import Verdicts, explanations
from backstop.harness.mutation.suite import SuiteError
from backstop.harness.mutation.table import VERDICTS, Result, page, score


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


def sample(mutants: Iterable[Mutant], limit: int | None, seed: int) -> list[Mutant]:
    """The first so many in an order drawn by the seed: a larger limit has all of a smaller one's.

    Whatever part of it a stopped run has done is a fair sample.
    """
    drawn = list(mutants)
    random.Random(seed).shuffle(drawn)
    return drawn[:limit]


def named(mutants: Iterable[Mutant], names: Sequence[str]) -> list[Mutant]:
    """Those of these names; all of them if none is given."""
    known = {mutant.name: mutant for mutant in mutants}
    for name in names:
        if name not in known:
            raise click.BadParameter(
                f"no mutant of these sources is called {name!r}. Names are those of the report, "
                "such as Fills:112:dc54431af0; an edit of the source gives new ones.",
                param_hint="--only",
            )
    return [known[name] for name in names] if names else list(known.values())


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
@click.option("--only", multiple=True, help="A mutant by its name in the report.")
@click.option(
    "--limit", "--sample", type=click.IntRange(1), help="At most so many, drawn at random."
)
@click.option("--plays-only", is_flag=True, help="Do not give survivors of the plays to the tests.")
@click.option("--known", is_flag=True, help="Judge nothing: report the verdicts that are there.")
@click.option("--seed", default=1, show_default=True, help="Of the draw.")
@click.option("--output", type=click.Path(path_type=Path), help="Write the page of the results.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def cli(
    contracts: bool,
    files: tuple[str, ...],
    only: tuple[str, ...],
    limit: int | None,
    plays_only: bool,
    known: bool,
    seed: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Change the Solidity one small thing at a time and see whether anything notices.

    The pure libraries are judged by the cases of their twins. With --contracts it is the engine,
    the fund, the stake, the liquidator and the backstop, judged by recorded plays, and what
    survives them by the tests of the suite that concern the source.

    Verdicts are kept in .build/mutation and used again while nothing they depend on changes: a run
    that is stopped goes on where it was. Exit 1 if a mutant survives that is not explained.
    """
    everything = contract_mutants(files) if contracts else library_mutants(files)
    tried = sample(named(everything, only), limit, seed)
    verdicts = Verdicts(tried, contracts)
    stopped = False
    try:
        with interruptible():
            if not known:
                verdicts.find(plays_only)
    except KeyboardInterrupt:
        stopped = True
    except (CompilerError, AnvilError, SuiteError) as error:
        raise click.ClickException(str(error)) from None
    results = verdicts.results()
    explained = explanations()
    if output is not None:
        output.write_text(page(results, explained, len(everything), contracts=contracts))
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
    late = sum(r.killed_by_tests for r in results)
    click.echo(f"{len(results)} mutants: {said}")
    click.echo(f"{late} survived the plays and not the tests, {known} survivors are explained")
    click.echo(f"score {score(counts)}, without the explained ones {score(counts, known)}")


if __name__ == "__main__":
    cli()
