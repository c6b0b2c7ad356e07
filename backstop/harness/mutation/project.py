"""The project's contracts, compiled without via-IR: sources, settings, artifacts, code to lay over.

Via-IR takes half a minute for a large contract, the plain code generator a second. What it makes is
larger than a chain accepts, so nodes for it are started with `NODE_OPTIONS`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from backstop.chain.artifacts import ROOT
from backstop.harness.mutation.compiler import Compiler

NODE_OPTIONS: Final = ("--disable-code-size-limit",)
"""Of an Anvil that such contracts are deployed on."""

SHELLS: Final = {
    "MarginEngine": "engine",
    "MarginEngineBackOffice": "engine",
    "MarginEngineGovernance": "engine",
    "InsuranceFund": "fund",
    "StakedTranche": "tranche",
    "Liquidator": "liquidator",
    "Backstop": "backstop",
}
"""Contracts whose sources are changed, and what the world of duels calls them."""

_IMPORT = re.compile(r'^import\b[^;"]*"([^"]+)"\s*;', re.M)
_CREATED = "contracts/fund/StakedTranche.sol"  # by the fund's constructor: no part of its code


def path_of(contract: str) -> str:
    """The contract's file, below the project's folder."""
    folder = "contracts/fund" if contract == "StakedTranche" else "contracts"
    return f"{folder}/{contract}.sol"


@lru_cache(maxsize=512)
def text_of(path: str) -> str:
    """A source, as it is on the disk: the project's, or of a package."""
    return ((ROOT / "node_modules" if path.startswith("@") else ROOT) / path).read_text()


def imports_of(path: str, text: str) -> list[str]:
    """The paths that a source imports."""
    here = posixpath.dirname(path)
    return [
        posixpath.normpath(posixpath.join(here, found)) if found.startswith(".") else found
        for found in _IMPORT.findall(text)
    ]


def closure(paths: Iterable[str], *, without: Sequence[str] = ()) -> set[str]:
    """These sources and all that they import, directly or not."""
    found: set[str] = set()
    todo = list(paths)
    while todo:
        path = todo.pop()
        if path not in found and path not in without:
            found.add(path)
            todo += imports_of(path, text_of(path))
    return found


_EASED: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "contracts/engine/Fills.sol": (
        (r"(// the buyer pays the quote)", r"Leg memory maker; Leg memory taker; { \1"),
        (r"Leg memory (maker = _trade\()", r"\1"),
        (r"Leg memory (taker = _trade\([^;]*;)", r"\1 }"),
        (r"makerFee,(\s+)takerFee,(\s+maker\.realised)", r"maker.fee,\1taker.fee,\2"),
    ),
    "contracts/engine/LiquidationHooks.sol": (
        (
            r"uint256 credited;(.*?emit FundPaid\([^;]*;)(.*?)(/// @dev Adds the fund's legs)",
            r"_booked(account, keeper, markets, deficits, paid, id, legs, rewardPaid);\2"
            "function _booked(bytes32 account, bytes32 keeper, uint256[] calldata markets,"
            "uint256[] calldata deficits, uint256[5][] memory paid, uint256 id,"
            "IInsuranceFund.Legs[] memory legs, uint256 rewardPaid) private {"
            r"uint256 credited;\1 }\3",
        ),
    ),
}
"""Two functions have more variables than the plain code generator can reach: they are split."""


def eased(path: str, text: str) -> str:
    """The source so that it compiles without via-IR; as it is where a change is in the way."""
    result = text
    for pattern, replacement in _EASED.get(path, ()):
        result, count = re.subn(pattern, replacement, result, flags=re.S)
        if count != 1:
            return text
    return result


@lru_cache(maxsize=1)
def _parts() -> Mapping[str, frozenset[str]]:
    cut = {name: () if path_of(name) == _CREATED else (_CREATED,) for name in SHELLS}
    return {name: frozenset(closure([path_of(name)], without=cut[name])) for name in SHELLS}


def contracts_with(file: str) -> list[str]:
    """The shells that a source is part of."""
    return [name for name in SHELLS if file in _parts()[name]]


def mutable_files() -> list[str]:
    """The sources of the shells, without the pure libraries (which have cases) and interfaces."""
    known = set().union(*_parts().values())
    own = [p for p in known if p.startswith("contracts/") and "/libraries/" not in p]
    return sorted(own)


@dataclass(frozen=True)
class Artifact:
    """A compiled contract.

    Attributes:
        creation: code with the constructor, without arguments.
        runtime: code with zeros for immutables.
        holes: where the value of each immutable goes, by its name.
    """

    name: str
    abi: list[dict[str, Any]]
    creation: str
    runtime: str
    holes: Mapping[str, tuple[tuple[int, int], ...]]

    def as_artifact(self) -> dict[str, Any]:
        """As `RpcClient.deploy` and `deploy_world` want it."""
        return {
            "contractName": self.name,
            "abi": self.abi,
            "deploymentBytecode": {"bytecode": "0x" + self.creation},
        }

    def immutables(self, deployed: bytes) -> dict[str, bytes]:
        """The values in the code of a deployed instance."""
        return {
            name: deployed[start : start + length]
            for name, ((start, length), *_) in self.holes.items()
        }

    def filled(self, values: Mapping[str, bytes]) -> str:
        """The run-time code with these values, hex."""
        code = bytearray.fromhex(self.runtime)
        for name, places in self.holes.items():
            for start, length in places:
                code[start : start + length] = values[name]
        return code.hex()


def request(
    names: Sequence[str], changed: Mapping[str, str] | None = None, *, trees: bool = False
) -> dict[str, Any]:
    """The compiler's input for these contracts, with some sources replaced.

    `trees` asks for the syntax trees that name immutables.
    """
    paths = {name: path_of(name) for name in names}
    texts = {path: text_of(path) for path in closure(paths.values())}
    texts |= {path: text for path, text in (changed or {}).items() if path in texts}
    code = ("bytecode.object", "deployedBytecode.object", "deployedBytecode.immutableReferences")
    wanted = {path: {name: ["abi", *(f"evm.{c}" for c in code)]} for name, path in paths.items()}
    for path, text in texts.items() if trees else ():
        if " immutable " in text:
            wanted.setdefault(path, {})[""] = ["ast"]
    return {
        "language": "Solidity",
        "sources": {p: {"content": eased(p, text)} for p, text in sorted(texts.items())},
        "settings": {
            "viaIR": False,
            "evmVersion": "cancun",
            "optimizer": {"enabled": False, "runs": 200},
            "metadata": {"bytecodeHash": "none", "appendCBOR": False},
            "outputSelection": wanted,
        },
    }


def compile_contracts(
    compiler: Compiler,
    names: Sequence[str],
    changed: Mapping[str, str] | None = None,
    known: Mapping[str, Artifact] | None = None,
) -> dict[str, Artifact] | str:
    """The contracts by name, or what the compiler says against them.

    Without the unchanged contracts (`known`) the compiler is asked for the names of immutables,
    which takes longer; also where a contract has another number of them.
    """
    answer = compiler.ask(request(names, changed, trees=known is None))
    for error in answer.get("errors", []):
        if error["severity"] == "error":
            return str(error["message"]).splitlines()[0]
    numbers = {} if known is not None else _immutables(answer["sources"])
    found = {}
    for name in names:
        contract = answer["contracts"][path_of(name)][name]
        code = contract["evm"]["deployedBytecode"]
        references = code.get("immutableReferences", {})
        if known is not None:
            # numbers are given in the order of the sources, and so are the names that we know
            if len(references) != len(known[name].holes):
                return compile_contracts(compiler, names, changed)
            ordered = sorted(references, key=int)
            numbers |= dict(zip(ordered, known[name].holes, strict=True))
        holes = {
            numbers[key]: tuple((hole["start"], hole["length"]) for hole in references[key])
            for key in sorted(references, key=int)
        }
        creation = contract["evm"]["bytecode"]["object"]
        found[name] = Artifact(name, contract["abi"], creation, code["object"], holes)
    return found


def _immutables(sources: Mapping[str, Any]) -> dict[str, str]:
    """What the numbers of immutables mean: `Contract.NAME`."""
    found = {}
    for source in sources.values():
        for contract in source.get("ast", {}).get("nodes", ()):
            for node in contract.get("nodes", ()):
                if node.get("mutability") == "immutable":
                    found[str(node["id"])] = f"{contract['name']}.{node['name']}"
    return found
