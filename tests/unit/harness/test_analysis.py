"""The analysers' own logic: what counts as explained, proved, or covered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.chain.artifacts import ROOT
from backstop.harness.analysis import coverage, gaps
from backstop.harness.analysis.__main__ import TRIAGE
from backstop.harness.analysis.compilation import shipped_files, with_imports
from backstop.harness.analysis.covered import Codes, FileCoverage, Reached, file_coverage
from backstop.harness.analysis.faults import read_faults
from backstop.harness.analysis.interest import PATIENCE, RAREST, Interest, outline
from backstop.harness.analysis.properties import (
    bytecode_properties,
    plain_fixed_point,
    replaced_sources,
    source_properties,
)
from backstop.harness.analysis.prove import bad, known
from backstop.harness.analysis.recorder import Record
from backstop.harness.analysis.smt import (
    PROVED,
    UNDECIDED,
    VIOLATED,
    Outcome,
    assertions_of,
    read_messages,
)
from backstop.harness.analysis.source_map import Range, counters, ranges
from backstop.harness.analysis.symbolic import read_answer
from backstop.harness.analysis.triage import (
    Finding,
    TriageError,
    digest_of,
    findings_of,
    judge,
    read_reasons,
)

# ---------------------------------------------------------------------------- triage


def _finding(detector: str, digest: str = "00") -> Finding:
    return Finding(detector, "High", "High", "contracts/A.sol", 1, "A.f", digest, "says")


def test_a_finding_needs_a_reason_and_a_reason_a_finding() -> None:
    reasons = {("one", "contracts/A.sol A.f 00"): "so", ("two", "contracts/A.sol A.f 00"): "gone"}
    verdict = judge([_finding("one"), _finding("three")], reasons)
    assert [f.detector for f, _ in verdict.explained] == ["one"]
    assert [f.detector for f in verdict.open] == ["three"]
    assert verdict.stale == (("two", "contracts/A.sol A.f 00"),)
    assert not verdict.clean
    assert judge([_finding("one")], dict(list(reasons.items())[:1])).clean


def test_a_place_may_stand_for_a_whole_file() -> None:
    reasons = {("one", "contracts/A.sol *"): "unsteady", ("one", "contracts/B.sol *"): "unsteady"}
    assert judge([_finding("one"), _finding("one", "11")], reasons).clean
    assert not judge([_finding("two")], reasons).clean


def test_a_reason_ends_with_an_edit_of_the_code_and_not_with_one_of_its_layout() -> None:
    assert digest_of(["a = b + c;"]) == digest_of(["a =\n    b + c;"])
    assert digest_of(["a = b + c;"]) != digest_of(["a = b - c;"])
    assert digest_of(["ab", "c"]) != digest_of(["a", "bc"])


def test_findings_are_of_our_own_code(tmp_path: Path) -> None:
    (tmp_path / "A.sol").write_text("contract A { uint x = 1; }")

    def element(own: bool) -> dict[str, Any]:
        place = {"file": "A.sol", "place": "A.x", "start": 13, "length": 11, "lines": [1]}
        return {"type": "variable", "own": own, **place}

    item = {"detector": "d", "impact": "Low", "confidence": "High", "description": "x"}
    raw = [{**item, "elements": [element(True)]}, {**item, "elements": [element(False)]}]
    (found,) = findings_of([*raw, raw[0]], tmp_path)
    assert found.name == f"A.sol A.x {digest_of(['uint x = 1;'])}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- detector: a", "are needed"),
        ("- {detector: a, reason: ' ', places: [x]}", "empty"),
        ("- {detector: a, reason: b, places: [x, x]}", "twice"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_triage_file_must_be_whole(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "triage.yaml"
    path.write_text(text)
    with pytest.raises(TriageError, match=said):
        read_reasons(path)


def test_the_triage_file_names_files_that_are_there() -> None:
    for _, name in read_reasons(TRIAGE):
        assert (ROOT / name.split()[0]).is_file(), name


# ---------------------------------------------------------------------------- proofs


def test_every_property_says_what_and_where_and_has_a_fault() -> None:
    properties = [*source_properties(), *bytecode_properties()]
    assert len({p.name for p in properties}) == len(properties)
    assert all(p.statement and p.domain for p in properties)
    faults = read_faults()
    assert {f.prop for f in faults} == {p.name for p in properties}
    for fault in faults:
        assert fault.planted()[fault.file] != (ROOT / fault.file).read_text()


def test_known_ones_are_properties() -> None:
    assert set(known()) <= {p.name for p in [*source_properties(), *bytecode_properties()]}


def test_the_plain_library_has_no_assembly_and_all_else() -> None:
    shipped = (ROOT / "contracts/libraries/FixedPoint.sol").read_text()
    plain = plain_fixed_point(shipped)
    assert "assembly" not in plain and "return a * b / d;" in plain
    assert plain.count("function ") == shipped.count("function ")
    with pytest.raises(ValueError, match="mulDivDown"):
        plain_fixed_point(shipped.replace("mulDivDown", "other"))


def test_a_proof_sees_the_fault_and_the_shipped_rest() -> None:
    fault = next(f for f in read_faults() if "SideIndex" in f.file)
    texts = with_imports(
        ["tests/proofs/source/SideIndexProofs.sol"], replaced=replaced_sources(fault.planted())
    )
    assert fault.new in texts[fault.file]
    assert texts["tests/proofs/source/SideIndexProofs.sol"] in {
        (ROOT / "tests/proofs/source/SideIndexProofs.sol").read_text()
    }


def _said(*texts: str) -> list[dict[str, Any]]:
    return [{"message": text} for text in texts]


def test_silence_is_no_proof() -> None:
    safe = "BMC: Assertion violation check is safe!"
    assert read_messages(_said(), 1)[0] == UNDECIDED
    assert read_messages(_said(safe, safe), 2) == (PROVED, "2 assertions")
    assert read_messages(_said(safe, "BMC: Error trying to invoke SMT solver."), 2)[0] == UNDECIDED
    undecided = _said(safe, "BMC: Assertion violation might happen here.")
    assert read_messages(undecided, 2)[0] == UNDECIDED
    assert read_messages(_said(safe, "BMC: Assertion violation happens here."), 2)[0] == VIOLATED


def test_every_assertion_of_a_property_is_counted() -> None:
    counts = {prop.name: assertions_of(prop) for prop in source_properties()}
    assert counts["DownIsFloor"] == 2 and counts["ChargeTakesAtLeastTotal"] == 4
    assert all(counts.values())


def test_symbolic_results_are_read() -> None:
    rows = [
        {"name": "check_a(uint256)", "exitcode": 0, "num_paths": [3, 2, 1], "time": [1.23, 1, 0]},
        {"name": "check_b()", "exitcode": 1},
        {"name": "check_c()", "exitcode": 2},
    ]
    found = read_answer({"test_results": {"x": rows}})
    assert [o.result for o in found.values()] == [PROVED, VIOLATED, UNDECIDED]
    assert found["check_a"].seconds == 1.2


def test_only_what_is_known_may_stay_undecided() -> None:
    prop = source_properties()[0]
    assert bad(prop, Outcome(VIOLATED, 1.0), {prop.name: "x"})
    assert bad(prop, Outcome(UNDECIDED, 1.0), {})
    assert not bad(prop, Outcome(UNDECIDED, 1.0), {prop.name: "too hard"})
    assert not bad(prop, Outcome(PROVED, 1.0), {})


# ---------------------------------------------------------------------------- coverage


def test_source_maps_and_instructions() -> None:
    assert ranges("1:2:0:-;;5::1") == [Range(0, 1, 3), Range(0, 1, 3), Range(1, 5, 7)]
    assert counters(bytes.fromhex("6001600255" + "7f" + "00" * 32 + "57")) == [0, 2, 4, 5, 38]


OUTER = bytes.fromhex("5f57" + "5b" + "f1" + "00")  # PUSH0 JUMPI JUMPDEST CALL STOP
INNER = bytes.fromhex("5f" + "00")


def _steps(*places: tuple[int, int]) -> list[dict[str, int]]:
    return [{"depth": depth, "pc": pc} for depth, pc in places]


def test_a_trace_is_shared_out_among_the_codes() -> None:
    record = Record()
    steps = _steps((1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (2, 1), (1, 4))
    record.add([OUTER, INNER], steps)
    assert record.add([OUTER, INNER], steps) is False
    assert record.add([OUTER], _steps((1, 0), (1, 1), (1, 4))) is True, "the other way"
    reached = {record.codes[digest]: pcs for digest, pcs in record.reached.items()}
    assert reached == {OUTER: {0, 1, 2, 3, 4}, INNER: {0, 1}}
    assert [ways for ways in record.ways.values() if ways] == [{(1, False), (1, True)}]


def test_what_shows_nothing_new_is_traced_ever_more_rarely() -> None:
    interest = Interest()
    assert interest.is_new("a") and not interest.is_new("a")
    assert interest.is_new("b", 2) and interest.is_new("b", 2) and not interest.is_new("b", 2)
    asked = []
    for number in range(1000):
        if interest.wants("kind"):
            asked.append(number)
            interest.note("kind", False)
    assert asked[:PATIENCE] == list(range(PATIENCE))
    assert asked[-1] - asked[-2] == RAREST and len(asked) < PATIENCE + 6 + 1000 // RAREST
    assert interest.wants("another kind")
    interest.note("kind", True)
    assert interest.wants("kind"), "something new: it is worth a look again"


def test_the_outline_of_a_call_has_its_callees_and_their_failures() -> None:
    inner = {"type": "STATICCALL", "input": "0x1122334455", "output": "0xaabbccddee", "error": "x"}
    call = {"type": "CALL", "input": "0x9988776655", "output": "0x01", "calls": [inner]}
    failed = ("STATICCALL", "0x11223344", "0xaabbccdd", ())
    assert outline(call) == ("CALL", "0x99887766", "", (failed,))


def _node(kind: str, start: int, length: int, **more: Any) -> dict[str, Any]:
    return {"nodeType": kind, "src": f"{start}:{length}:0", **more}


def test_lines_and_branches() -> None:
    text = b"if (a)\n  b;\nc;\n"
    condition = _node("Identifier", 4, 1)
    body = _node("ExpressionStatement", 9, 2)
    branch = _node("IfStatement", 0, 11, condition=condition, trueBody=body)
    last = _node("ExpressionStatement", 12, 2)
    block = _node("Block", 0, 15, statements=[branch, last])
    function = _node("FunctionDefinition", 0, 15, body=block)
    tree = {"nodes": [_node("ContractDefinition", 0, 15, name="C", nodes=[function])]}
    ran = Reached()
    # PUSH0 (the condition), JUMPI (the whole if), STOP (the last line)
    ran.add(bytes.fromhex("5f5700"), "4:1:0;0:11;12:2", [0, 1, 2], [(1, True)])
    places = ranges("4:1:0;0:11;9:2;12:2")
    found = file_coverage("C.sol", text, tree, ran, places)
    assert found.lines == {1: True, 2: False, 3: True}
    assert found.missed_lines == [2] and found.half_branches == [1]
    assert found.counts == (2, 3, 1, 2)
    # a condition without code of its own: the jump tells; a statement without any is not counted
    found = file_coverage("C.sol", text, tree, ran, ranges("0:11:0;12:2"))
    assert found.lines == {1: True, 3: True}


def test_code_is_known_by_its_template() -> None:
    holes = {"7": [{"start": 1, "length": 2}]}
    running = {"object": "60000056", "sourceMap": "1:2:0", "immutableReferences": holes}
    evm = {"deployedBytecode": running, "bytecode": {"object": "6001", "sourceMap": "3:4:0"}}
    codes = Codes({"contracts": {"A.sol": {"A": {"evm": evm}}}})
    assert codes.source_map(bytes.fromhex("60beef56")) == "1:2:0"
    assert codes.source_map(bytes.fromhex("60beef57")) is None
    assert codes.places == {Range(0, 1, 3), Range(0, 3, 7)}


def test_helpers_of_the_tests_are_not_shipped() -> None:
    files = shipped_files()
    assert "contracts/InsuranceFund.sol" in files
    assert not any("/mocks/" in name or "/attackers/" in name for name in files)


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (1, 1), (2, 1)])
def test_a_coverage_run_with_failing_tests_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, ends: int
) -> None:
    """The report is there all the same, and says so; nothing is compiled, ape is a shell script."""
    (tmp_path / "bin").mkdir()
    ape = tmp_path / "bin" / "ape"
    ape.write_text(f'#!/bin/sh\necho "{{}}" > "$BACKSTOP_COVERAGE/record-1.json"\nexit {code}\n')
    ape.chmod(0o755)
    files = [FileCoverage("contracts/Lens.sol", {1: True, 2: False}, {})]
    found = gaps.Found((gaps.Gap(gaps.LINE, "contracts/Lens.sol: text", 2),), 0, 0)
    reasons = tmp_path / "unreached.yaml"
    reasons.write_text("- {kind: line, reason: so, places: ['contracts/Lens.sol: text']}")
    monkeypatch.setattr(coverage, "WORK", tmp_path)
    monkeypatch.setattr(coverage, "compile_plainly", dict)
    monkeypatch.setattr(coverage, "lay_out", lambda answer, tree: None)
    measured = coverage.Measured(files, found)
    monkeypatch.setattr(coverage, "measure", lambda answer, records: measured)
    monkeypatch.setattr(coverage, "REASONS", reasons)
    monkeypatch.setattr(coverage.sys, "prefix", str(tmp_path))
    output = tmp_path / "page.md"
    for arguments in (["--output", str(output)], ["--again"]):
        done = CliRunner().invoke(coverage.cli, arguments)
        assert done.exit_code == ends, done.output
        assert ("tests of this run failed" in done.output) == (code == 1)
        if code == 2:
            assert "could not be run (exit 2)" in done.output and not output.exists()
            return
        assert "contracts/Lens.sol" in done.output
    assert ("Not to be used" in output.read_text()) == (code == 1)


# ---------------------------------------------------------------------------- what was not reached


def _tree() -> dict[str, Any]:
    """Interface I with two errors; contract C is an I: f raises the one, g is a view."""

    def revert(number: int, start: int) -> dict[str, Any]:
        call = _node("FunctionCall", start, 5, expression={"referencedDeclaration": number})
        return _node("RevertStatement", start, 5, errorCall=call)

    errors = [_node("ErrorDefinition", 0, 1, id=i, name=name) for i, name in ((1, "A"), (2, "B"))]
    interface = {"id": 10, "name": "I", "nodes": errors, "contractKind": "interface"}
    functions = [
        _node("FunctionDefinition", at, 9, name=name, functionSelector=name, stateMutability=how,
              body=_node("Block", at, 9, statements=[revert(number, at)]))
        for at, name, how, number in ((20, "f", "nonpayable", 1), (40, "g", "view", 2))
    ]  # fmt: skip
    contract = {"id": 11, "name": "C", "nodes": functions, "contractKind": "contract"}
    more = {"linearizedBaseContracts": [11, 10], "usedErrors": [1, 2], "abstract": False}
    nodes = [_node("ContractDefinition", 0, 99, **c, **more) for c in (interface, contract)]
    return {"sources": {"C.sol": {"ast": _node("SourceUnit", 0, 99, nodes=nodes)}}}


def test_errors_and_functions_are_reached_by_their_statements(tmp_path: Path) -> None:
    (tmp_path / "C.sol").write_text("first\n second\n")
    ran = Reached()
    files = [FileCoverage("C.sol", {1: True, 2: False}, {(1, 0): {True}})]
    found = gaps.find(_tree(), files, tmp_path, ran)
    assert (found.errors, found.functions) == (2, 1)
    named = {(gap.kind, gap.place) for gap in found.gaps}
    lines = {(gaps.BRANCH, "C.sol: first"), (gaps.LINE, "C.sol: second")}
    assert named == lines | {(gaps.ERROR, "I.A"), (gaps.ERROR, "I.B"), (gaps.FUNCTION, "C.f")}
    ran.ranges.add(Range(0, 21, 24))  # inside of f's revert
    again = gaps.find(_tree(), files, tmp_path, ran)
    assert {gap.place for gap in again.gaps} == {"C.sol: first", "C.sol: second", "I.B"}


def test_a_gap_needs_a_reason_and_a_reason_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "unreached.yaml"
    path.write_text("- {kind: error, reason: so, places: [I.A, I.C]}")
    reasons = gaps.read(path)
    verdict = gaps.judge([gaps.Gap("error", "I.A"), gaps.Gap("line", "I.A", 3)], reasons)
    assert verdict.explained == ((gaps.Gap("error", "I.A"), "so"),)
    assert verdict.open == (gaps.Gap("line", "I.A", 3),)
    assert verdict.stale == (("error", "I.C"),) and not verdict.clean
    assert gaps.judge([gaps.Gap("error", name) for name in ("I.A", "I.C")], reasons).clean


def test_reasons_are_for_files_and_contracts_that_are_there() -> None:
    for kind, place in gaps.read(coverage.REASONS):
        assert kind in (gaps.LINE, gaps.BRANCH, gaps.ERROR, gaps.FUNCTION)
        name, _, text = place.partition(": ")
        assert text == "" or text in (ROOT / name).read_text(), place
