"""The pure libraries, compiled as they ship, return what their exact twins return."""

from __future__ import annotations

from collections import Counter

from backstop.harness.mutation.cases import REVERTS, ROWS, cases
from backstop.harness.mutation.compiler import Compiled, Compiler
from backstop.harness.mutation.judge import Judge
from backstop.harness.mutation.mutants import mutants_of
from backstop.harness.mutation.probe import path_of, sources, standard_json
from backstop.harness.rpc import RpcClient


def test_every_function_has_cases_and_the_libraries_agree(rpc: RpcClient) -> None:
    with Compiler() as compiler:
        compiled = compiler.probe(standard_json(sources(), via_ir=True))
        assert isinstance(compiled, Compiled), compiled
        functions = {item["name"] for item in compiled.abi if item["type"] == "function"}
        assert functions == set(ROWS)
        made = cases()
        assert Judge(rpc, compiled.abi, made).first_difference(compiled) is None
    reverting = Counter(case.function for case in made if case.expected is REVERTS)
    assert reverting["SurchargeCurve_check"] > 20
    assert reverting["FixedPoint_mulDivDown"] > 5


def test_a_wrong_library_is_noticed(rpc: RpcClient) -> None:
    texts = sources()
    only = ["SideIndex"]
    path = path_of(*only)
    with Compiler() as compiler:
        right = compiler.probe(standard_json(texts, via_ir=False, libraries=only))
        assert isinstance(right, Compiled), right
        made = [case for case in cases() if case.function.startswith("SideIndex_")]
        judge = Judge(rpc, right.abi, made)
        wrong = next(m for m in mutants_of(path, texts[path]) if m.operator == "rounding")
        changed = {**texts, path: wrong.text}
        mutated = compiler.probe(standard_json(changed, via_ir=False, libraries=only))
        assert isinstance(mutated, Compiled), mutated
        found = judge.first_difference(mutated)
    assert found is not None
