"""The second judge of the mutation run: what the tests say, what is kept of it, and the page."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.chain.artifacts import build_artifacts
from backstop.harness import project_copy
from backstop.harness.mutation import __main__ as command, heard, run, suite
from backstop.harness.mutation.heard import UNCHANGED, Memory, files_of_tests
from backstop.harness.mutation.mutants import Mutant, mutants_of
from backstop.harness.mutation.project import SHELLS, Artifact, text_of
from backstop.harness.mutation.suite import SuiteError, SuiteJudge, groups, together
from backstop.harness.mutation.table import PASSED, Result, page

SOURCE = "contracts/fund/staking/Exits.sol"
FIRST = "tests/unit/fund/test_staking.py"
SECOND = "tests/unit/fund/test_cover.py"
ONE = f"{FIRST}::test_one"
TWO = f"{SECOND}::test_two"


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(tmp_path / "tests.jsonl")


@pytest.fixture(scope="module")
def mutants() -> list[Mutant]:
    """Two at places of their own."""
    return groups(mutants_of(SOURCE, text_of(SOURCE)), 2)[0]


def test_the_files_are_there() -> None:
    files = files_of_tests()
    assert len(files) == len(set(files)) > 20 and {FIRST, SECOND} < set(files)
    assert all((heard.ROOT / file).is_file() for file in files)


@pytest.fixture
def two_files(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (heard, run):
        monkeypatch.setattr(module, "files_of_tests", lambda: (FIRST, SECOND))


@pytest.mark.usefixtures("two_files")
def test_an_answer_counts_as_long_as_the_file_stays(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.add("m", FIRST, [])
    assert memory.verdict("m") is None and memory.missing("m") == [SECOND]
    memory.add("m", SECOND, [TWO])
    assert memory.verdict("m") == TWO
    memory.add("n", FIRST, [])
    memory.add("n", SECOND, [])
    again = Memory(tmp_path / "tests.jsonl")
    assert (again.verdict("m"), again.verdict("n"), again.verdict("o")) == (TWO, "", None)
    now = heard.digest_of(FIRST)
    monkeypatch.setattr(heard, "digest_of", lambda file: "edited" if file == SECOND else now)
    assert again.missing("m") == again.missing("n") == [SECOND]
    assert again.verdict("m") is again.verdict("n") is None


def test_a_line_cut_short_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "tests.jsonl"
    Memory(path).add("m", FIRST, [])
    path.write_text(path.read_text() + '["m", "tests/un')
    assert Memory(path).heard("m", FIRST) == []


@pytest.fixture
def judge(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., tuple[SuiteJudge, Path]]]:
    """A judge whose ape says what it is told, call by call: nothing is compiled."""
    empty = {name: Artifact(name, [], "60", "61", {}) for name in SHELLS}
    monkeypatch.setattr(suite, "Compiler", contextlib.nullcontext)
    monkeypatch.setattr(suite, "compile_contracts", lambda compiler, names, *more: empty)
    monkeypatch.setattr(suite, "copy_project", lambda tree: (tree / ".build").mkdir())
    monkeypatch.setattr(suite.sys, "prefix", str(tmp_path))
    ape, asked, answers = (tmp_path / "bin" / "ape", tmp_path / "asked", tmp_path / "answers")
    ape.parent.mkdir()
    ape.write_text(
        f'#!/bin/sh\necho "$*" >> {asked}\necho "some words"\n'
        f"set -- $(head -n 1 {answers})\nsed -i 1d {answers}\n"
        'code=$1; shift\nfor test in "$@"; do echo "$test" >> "$BACKSTOP_FAILED"; done\n'
        "exit $code\n"
    )
    ape.chmod(0o755)
    with contextlib.ExitStack() as stack:

        def made(*said: str) -> tuple[SuiteJudge, Path]:
            answers.write_text("".join(f"{line}\n" for line in said))
            return stack.enter_context(SuiteJudge(memory, lambda line: None)), asked

        yield made


@pytest.fixture
def hearing(
    judge: Any, memory: Memory, monkeypatch: pytest.MonkeyPatch, two_files: None
) -> Callable[..., list[str]]:
    """Asks about some mutants; the answers of ape are given; what ape was asked comes back."""

    def held(mutants: list[Mutant], *said: str) -> list[str]:
        judged, asked = judge(*said)
        monkeypatch.setattr(run, "SuiteJudge", lambda *more: contextlib.nullcontext(judged))
        run.Hearing(mutants, memory).hold()
        return asked.read_text().splitlines()

    return held


def test_what_fails_on_a_group_is_asked_about_each_alone(
    hearing: Any, memory: Memory, mutants: list[Mutant]
) -> None:
    one, two = mutants
    lines = hearing(mutants, "0", f"1 {ONE} {TWO}", f"1 {TWO}", "0")
    assert (memory.verdict(one.name), memory.verdict(two.name)) == (TWO, "")
    unchanged, group, *alone = lines
    assert unchanged.startswith(f"test {FIRST} {SECOND} ") and "-x" not in unchanged.split()
    assert group == unchanged
    assert all(line.startswith(f"test {ONE} {TWO} ") and line.endswith("-x") for line in alone)
    assert len(alone) == 2


def test_what_no_test_notices_survives_at_once(
    hearing: Any, memory: Memory, mutants: list[Mutant]
) -> None:
    assert len(hearing(mutants, "0", "0")) == 2
    assert [memory.verdict(m.name) for m in mutants] == ["", ""]


def test_what_fails_on_unchanged_contracts_is_left_out(
    hearing: Any, memory: Memory, mutants: list[Mutant]
) -> None:
    lines = hearing(mutants, f"1 {TWO}", "0")
    assert memory.heard(UNCHANGED, FIRST) == [] and memory.heard(UNCHANGED, SECOND) == [TWO]
    assert lines[1].endswith(f"--deselect {TWO}")


def test_only_files_that_were_not_asked_are_asked(
    hearing: Any, memory: Memory, mutants: list[Mutant]
) -> None:
    for name in (UNCHANGED, *(m.name for m in mutants)):
        memory.add(name, FIRST, [])
    memory.add(UNCHANGED, SECOND, [])
    assert [line.split()[1] for line in hearing(mutants, "0")] == [SECOND]


def test_a_group_that_breaks_off_is_asked_one_by_one(
    hearing: Any, memory: Memory, mutants: list[Mutant], capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = mutants
    hearing(mutants, "0", "3", "3", f"1 {ONE}", f"1 {ONE}")
    assert (memory.verdict(one.name), memory.verdict(two.name)) == (None, ONE)
    said = capsys.readouterr().err
    assert f"tests 1/2 {one.name} {one.operator}: NOT JUDGED" in said
    assert "exit 3):\nsome words" in said


def test_changes_that_overlap_are_not_made_at_once(mutants: list[Mutant]) -> None:
    known = mutants_of(SOURCE, text_of(SOURCE))
    made = groups(known, 7)
    assert sorted(m.name for group in made for m in group) == sorted(m.name for m in known)
    assert max(map(len, made)) == 7
    for group in made:
        ends = sorted((m.start, m.end) for m in group)
        assert all(first[1] <= second[0] for first, second in pairwise(ends))
    one, two = mutants
    text = together([one, two])[SOURCE]
    assert len(text) - len(one.source) == len(one.text) + len(two.text) - 2 * len(one.source)
    assert together([one]) == {SOURCE: one.text}


def test_a_run_without_end_is_given_up(
    judge: Any, mutants: list[Mutant], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged, _ = judge("0")
    (tmp_path / "bin" / "ape").write_text("#!/bin/sh\nexec sleep 600\n")
    monkeypatch.setattr(suite, "PATIENCE", 0.1)
    with pytest.raises(SuiteError, match="none in 0 s"):
        judged.killer(mutants[0], [ONE])


def test_the_copys_contracts_have_other_code(tmp_path: Path) -> None:
    (tmp_path / ".build").mkdir()
    project_copy.put_codes(tmp_path, {"Lens": ("60aa", "60bb")})
    changed = build_artifacts(tmp_path)
    assert changed("Lens")["deploymentBytecode"] == {"bytecode": "0x60aa"}
    assert changed("Lens")["runtimeBytecode"] == {"bytecode": "0x60bb"}
    assert changed("PriceOracle") == build_artifacts()("PriceOracle")


def test_a_larger_sample_has_all_of_a_smaller_one(mutants: list[Mutant]) -> None:
    known = [replace(mutants[0], start=i) for i in range(50)]
    few, more = command.sample(known, 5, 7), command.sample(known, 20, 7)
    assert more[:5] == few and command.sample(known, 20, 8) != more
    assert len(command.sample(known, None, 7)) == 50


def test_a_name_that_is_none_is_refused() -> None:
    done = CliRunner().invoke(
        command.cli, ["--contracts", "--files", "contracts/Guarded.sol", "--only", "Fills:1:abc"]
    )
    assert done.exit_code == 2 and "no mutant of these sources is called 'Fills:1:abc'" in (
        done.output
    )


def test_the_page_counts_by_judge() -> None:
    left = Result("a:1:0", SOURCE, 1, "sign", "survived", 1.0, "", "- a\n+ b")
    killed = left.after_tests(TWO)
    assert (killed.verdict, killed.reason) == ("killed", TWO) and killed.killed_by_tests
    passed = replace(left.after_tests(""), name="b:1:0")
    assert passed.tests == PASSED and passed.verdict == "survived" and not passed.killed_by_tests
    assert left.after_tests(None) == left
    both = [killed, replace(left, name="c:1:0", verdict="killed"), passed, left]
    text = page(both, {"b:1:0": "Equivalent."}, 9, contracts=True)
    assert "4 of 9 mutants tried, 5 not run" in text and "1 survivors of the plays were" in text
    assert f"| {SOURCE} | 1 | 1 | 2 | 1 | 0 | 0 | 25.0 % | 50.0 % | 66.7 % |" in text
    assert text.count("**Not explained.**") == 1
    assert json.loads(json.dumps(killed.as_json()))["tests"] == TWO
