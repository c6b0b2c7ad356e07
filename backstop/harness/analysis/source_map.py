"""From a program counter to the source, and from the source to what can be covered.

Formats: the compiler's source maps (`s:l:f:j:m;...`, empty fields repeat the entry before) and
compact syntax trees.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PUSH1, PUSH32, JUMPI = 0x60, 0x7F, 0x57

_SIMPLE = {
    "ExpressionStatement",
    "Return",
    "RevertStatement",
    "EmitStatement",
    "InlineAssembly",
    "Break",
    "Continue",
}
_LOOPS = {"WhileStatement", "DoWhileStatement", "ForStatement"}


@dataclass(frozen=True)
class Range:
    """Bytes `start` to `end` (not included) of a file, by the compiler's number of it."""

    file: int
    start: int
    end: int


@dataclass(frozen=True)
class Item:
    """A statement, or a place where the code parts in two; `within` is where its code is from.

    For a branch `within` is the range that its conditional jump carries, exactly.
    """

    contract: str
    branch: bool
    start: int
    within: Range


def ranges(source_map: str) -> list[Range]:
    """The range of each instruction; file -1 is code that no source asked for."""
    result = []
    start = length = 0
    file = -1
    for entry in source_map.split(";"):
        fields = entry.split(":")
        if fields[0]:
            start = int(fields[0])
        if len(fields) > 1 and fields[1]:
            length = int(fields[1])
        if len(fields) > 2 and fields[2]:
            file = int(fields[2])
        result.append(Range(file, start, start + length))
    return result


def counters(code: bytes) -> list[int]:
    """The program counter of each instruction, one after the other."""
    found, at = [], 0
    while at < len(code):
        found.append(at)
        opcode = code[at]
        at += 2 + opcode - PUSH1 if PUSH1 <= opcode <= PUSH32 else 1
    return found


def range_of(node: Mapping[str, Any]) -> Range:
    """A node's range."""
    start, length, file = (int(number) for number in str(node["src"]).split(":"))
    return Range(file, start, start + length)


def _children(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key not in ("typeDescriptions", "typeName", "AST"):
                yield from _children_of(value)


def _children_of(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        for item in value:
            yield from _children_of(item)
    elif isinstance(value, Mapping) and "nodeType" in value:
        yield value


def items_of(tree: Mapping[str, Any]) -> list[Item]:
    """All statements and branches in the functions and modifiers of a file."""
    found: list[Item] = []
    for contract in tree["nodes"]:
        if contract["nodeType"] != "ContractDefinition":
            continue
        for part in contract["nodes"]:
            if part["nodeType"] in ("FunctionDefinition", "ModifierDefinition") and part.get(
                "body"
            ):
                found += _walk(part["body"], contract["name"])
    return found


def _walk(node: Mapping[str, Any], contract: str) -> Iterator[Item]:
    kind, own = node["nodeType"], range_of(node)
    if kind in _SIMPLE or (kind == "VariableDeclarationStatement" and node.get("initialValue")):
        yield Item(contract, False, own.start, own)
    elif kind == "IfStatement" or (kind in _LOOPS and node.get("condition")):
        yield Item(contract, False, own.start, range_of(node["condition"]))
    elif kind == "TryStatement":
        yield Item(contract, False, own.start, range_of(node["externalCall"]))
    parts = kind in ("IfStatement", "Conditional")
    if parts or (kind == "BinaryOperation" and node["operator"] in ("&&", "||")):
        yield Item(contract, True, own.start, own)
    for child in _children(node):
        yield from _walk(child, contract)
