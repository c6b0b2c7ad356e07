"""A contract that makes the internal functions and constants of libraries callable."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backstop.chain.artifacts import ROOT
from backstop.harness.mutation.mutants import code_of

LIBRARIES = (
    "FixedPoint",
    "SideIndex",
    "MarginMath",
    "LiquidationMath",
    "SurchargeCurve",
    "InventoryMath",
)
"""The pure libraries: every function of theirs has an exact twin."""

FOLDER = "contracts/libraries/"
_FUNCTION = re.compile(
    r"function (\w+)\(([^)]*)\)\s*internal\s+pure(?:\s+returns \(([^)]*)\))?\s*\{"
)
_CONSTANT = re.compile(r"(u?int\d+) internal constant (\w+)")
_MATH = "@openzeppelin/contracts/utils/"


def path_of(library: str) -> str:
    """The library's file, below the project's folder."""
    return f"{FOLDER}{library}.sol"


def sources(root: Path = ROOT) -> dict[str, str]:
    """The libraries and what they import."""
    found = {path_of(name): (root / path_of(name)).read_text() for name in LIBRARIES}
    for name in ("math/Math.sol", "math/SafeCast.sol", "Panic.sol"):
        found[_MATH + name] = (root / "node_modules" / (_MATH + name)).read_text()
    return found


def probe_source(texts: Mapping[str, str], libraries: Sequence[str]) -> str:
    """The probe's source: `Library_function(arguments)` for each function and constant."""
    lines = ["// SPDX-License-Identifier: MIT", "pragma solidity ^0.8.30;"]
    lines += [f'import {{{name}}} from "{path_of(name)}";' for name in libraries]
    lines += ["contract Probe {"]
    for library in libraries:
        code = code_of(texts[path_of(library)])
        for name, arguments, results in _FUNCTION.findall(code):
            lines.append(_wrapper(library, name, arguments, results))
        for kind, name in _CONSTANT.findall(code):
            head = f"function {library}_{name}() external pure returns ({kind})"
            lines.append(f"{head} {{ return {library}.{name}; }}")
    return "\n".join([*lines, "}", ""])


def _wrapper(library: str, name: str, arguments: str, results: str) -> str:
    names = ", ".join(argument.split()[-1] for argument in arguments.split(",") if argument.strip())
    listed = " ".join(arguments.split())
    call = f"{library}.{name}({names});"
    if not results:
        return f"function {library}_{name}({listed}) external pure {{ {call} }}"
    kinds = ", ".join(result.split()[0] for result in results.split(","))
    head = f"function {library}_{name}({listed}) external pure returns ({kinds})"
    return f"{head} {{ return {call} }}"


def standard_json(
    texts: Mapping[str, str], *, via_ir: bool, libraries: Sequence[str] = LIBRARIES
) -> dict[str, Any]:
    """The compiler's input for the probe of these libraries, without metadata in the code."""
    used = {path_of(name) for name in {*libraries, "FixedPoint"}}
    files = {name: text for name, text in texts.items() if name in used or name.startswith("@")}
    files["Probe.sol"] = probe_source(texts, libraries)
    return {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in files.items()},
        "settings": {
            "viaIR": via_ir,
            "evmVersion": "cancun",
            "optimizer": {"enabled": True, "runs": 200},
            "metadata": {"bytecodeHash": "none", "appendCBOR": False},
            "outputSelection": {"Probe.sol": {"Probe": ["abi", "evm.deployedBytecode.object"]}},
        },
    }
