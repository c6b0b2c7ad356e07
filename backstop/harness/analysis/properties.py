"""The properties that are proved, and the sources that they are proved about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backstop.chain.artifacts import ROOT

PROOFS = ROOT / "tests" / "proofs"
FIXED_POINT = "contracts/libraries/FixedPoint.sol"

_DOCUMENTED = re.compile(r"((?:^///[^\n]*\n)+)^contract (\w+)", re.MULTILINE)
_CHECK = re.compile(r"function (check_\w+)\(")
_MATH_IMPORT = re.compile(r"^import \{Math\}[^\n]*\n", re.MULTILINE)
_BODY = r"(function %s\([^)]*\)[^{]*\{\n).*?(\n    \}\n)"

# What the assembly of FixedPoint computes while the product fits in 256 bits, in checked Solidity:
# the bytecode proofs show that it does. Checked, so that a wider product ends a path.
_PLAIN = {
    "mulDivDown": "        return a * b / d;",
    "mulDivUp": "        return a * b / d + (a * b % d == 0 ? 0 : 1);",
}


@dataclass(frozen=True)
class Property:
    """One property: a contract of tests/proofs/source, or a check of tests/proofs/bytecode.

    `quotients` says which translation of a division is tried first (`smt.request_of`).
    """

    name: str
    file: str
    statement: str
    domain: str
    quotients: bool = False


def plain_fixed_point(text: str) -> str:
    """`FixedPoint` as it ships, with checked Solidity for the assembly of its two divisions."""
    text = _MATH_IMPORT.sub("", text)  # unused then, and its many casts would burden every question
    for name, body in _PLAIN.items():
        pattern = re.compile(_BODY % name, re.DOTALL)
        found = pattern.search(text)
        if found is None:
            raise ValueError(f"{FIXED_POINT} has no function {name} as the proofs expect it")
        text = text[: found.start()] + found[1] + body + found[2] + text[found.end() :]
    return text


def replaced_sources(fault: Mapping[str, str] | None = None) -> dict[str, str]:
    """Texts that the source proofs see instead of the files'; `fault` has planted ones."""
    planted = fault or {}
    shipped = planted.get(FIXED_POINT, (ROOT / FIXED_POINT).read_text())
    return {
        **planted,
        FIXED_POINT: plain_fixed_point(shipped),
        "contracts/fund/FundStorage.sol": (PROOFS / "stubs" / "FundStorage.sol").read_text(),
        "interfaces/IInsuranceFund.sol": (PROOFS / "stubs" / "IInsuranceFund.sol").read_text(),
    }


def _tags(comment: str) -> tuple[str, str, bool]:
    plain = " ".join(line.removeprefix("///").strip() for line in comment.splitlines())
    statement, _, domain = plain.partition("@custom:domain")
    statement, tag, _ = statement.partition("@custom:quotients first")
    return statement.removeprefix("@notice").strip(), domain.strip(), bool(tag)


def source_properties(folder: Path = PROOFS / "source") -> list[Property]:
    """Every contract of the source proofs, in the order of the files."""
    found = []
    for path in sorted(folder.glob("*.sol")):
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
        documented = _DOCUMENTED.findall(path.read_text())
        found += [Property(contract, name, *_tags(comment)) for comment, contract in documented]
    return found


def bytecode_properties(folder: Path = PROOFS / "bytecode") -> list[Property]:
    """Every check of the bytecode proofs; the domain is in the contract's own words."""
    found = []
    for path in sorted(folder.glob("*.sol")):
        text = path.read_text()
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
        for comment, _ in _DOCUMENTED.findall(text):
            _, domain, _ = _tags(comment)
            for check in _CHECK.findall(text):
                words = check.removeprefix("check_").replace("_", " ")
                found.append(Property(check, name, words, domain))
    return found
