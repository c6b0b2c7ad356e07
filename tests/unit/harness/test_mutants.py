"""The generator of mutants changes code, one thing at a time, and nothing else."""

from __future__ import annotations

from backstop.harness.mutation.mutants import closing, code_of, mutants_of

SOURCE = """pragma solidity ^0.8.30;

import {A} from "./A.sol"; // 1 < 2

contract C is A {
    uint256 internal constant ONE = 1e21;

    /// @notice a < b
    function f(uint256 a, int256 b) external onlyOwner(1) returns (uint256) {
        if (a >= 5 && b != 0) revert Bad("a < b");
        total += a;
        count = count.mulDivUp(a, ONE);
        require(a < total, "no");
        return b < 0 ? uint256(-b) : a.toUint128();
    }
}
"""


def _texts(operator: str) -> list[str]:
    return [m.diff() for m in mutants_of("C.sol", SOURCE) if m.operator == operator]


def test_only_code_is_changed() -> None:
    code = code_of(SOURCE)
    assert len(code) == len(SOURCE)
    assert "1 < 2" not in code and "a < b" not in code and "./A.sol" not in code
    assert code.count("\n") == SOURCE.count("\n")


def test_each_operator_makes_its_change() -> None:
    assert any("a > 5 &&" in text for text in _texts("comparison"))
    assert any("a >= 5 ||" in text for text in _texts("logic"))
    assert any("total -= a" in text for text in _texts("arithmetic"))
    assert any("uint256(b)" in text for text in _texts("sign"))
    assert any("mulDivDown(a, ONE)" in text for text in _texts("rounding"))
    assert any("ONE = 1e20;" in text for text in _texts("constant"))
    assert any("toUint64()" in text for text in _texts("cast"))
    assert any("a.toUint128() : uint256(-b)" in text for text in _texts("branch"))
    guards = _texts("guard")
    assert any("if (false) revert" in text for text in guards)
    assert any("external  returns" in text for text in guards)
    assert any(text == '- require(a < total, "no");' or text.endswith("+ ") for text in guards)
    assert any("total += a" in text for text in _texts("write"))
    assert len(_texts("order")) == 2


def test_mutants_differ_and_have_names() -> None:
    mutants = mutants_of("C.sol", SOURCE)
    assert len({m.text for m in mutants} | {SOURCE}) == len(mutants) + 1
    assert len({m.name for m in mutants}) == len(mutants)
    assert all(m.line == SOURCE.count("\n", 0, m.start) + 1 for m in mutants)


def test_brackets() -> None:
    assert closing("f(a(b), c) + (d)", 1) == 9
