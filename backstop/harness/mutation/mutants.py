"""Small wrong changes of a Solidity source, one at a time.

The sources are `forge fmt` clean, which is what lets patterns tell a binary from a unary minus.
Comments, strings, imports and pragmas are blanked out first, so that only code is changed.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

_NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"[^"\n]*"|^(?:import|pragma)\b[^;]*;', re.S | re.M)
_PLAIN: tuple[tuple[str, str, dict[str, tuple[str, ...]]], ...] = (
    (
        "comparison",
        r"(?<= )(?:<=|>=|==|!=|<|>)(?= )",
        {
            "<": ("<=", ">="),
            "<=": ("<", ">"),
            ">": (">=", "<="),
            ">=": (">", "<"),
            "==": ("!=",),
            "!=": ("==",),
        },
    ),
    ("logic", r"&&|\|\|", {"&&": ("||",), "||": ("&&",)}),
    ("negation", r"!(?=[\w(])", {"!": ("",)}),
    (
        "arithmetic",
        r"(?<= )[-+*/](?= )",
        {"+": ("-",), "-": ("+",), "*": ("/",), "/": ("*",)},
    ),
    ("arithmetic", r"[-+]=", {"+=": ("-=",), "-=": ("+=",)}),
    ("sign", r"(?<=[ (])-(?=[\w(])", {"-": ("",)}),
    (
        "rounding",
        r"(?<!function )\bmulDiv(?:Up|Down|Floor|Ceil)\b|\bRounding\.(?:Ceil|Floor)\b",
        {
            "mulDivUp": ("mulDivDown",),
            "mulDivDown": ("mulDivUp",),
            "mulDivFloor": ("mulDivCeil",),
            "mulDivCeil": ("mulDivFloor",),
            "Rounding.Ceil": ("Rounding.Floor",),
            "Rounding.Floor": ("Rounding.Ceil",),
        },
    ),
    (
        "constant",
        r"\bFixedPoint\.(?:WAD|PPM)\b",
        {"FixedPoint.WAD": ("FixedPoint.PPM",), "FixedPoint.PPM": ("FixedPoint.WAD",)},
    ),
    (
        "assembly",
        r"\b(?:mul|div|add|sub|and|or|eq|mod|iszero)(?=\()",
        {
            "mul": ("add",),
            "div": ("mod",),
            "add": ("sub",),
            "sub": ("add",),
            "and": ("or",),
            "or": ("and",),
            "eq": ("xor",),
            "mod": ("div",),
            "iszero": ("not",),
        },
    ),
)
_NUMBER = re.compile(r"(?<![\w.])(\d[\d_]*)(?:(\.\d+)?e(\d+))?(?= hours\b|(?![\w.]))")
_BOUND = re.compile(r"type\((uint|int)(\d+)\)\.max")
_SAFE_CAST = re.compile(r"\.to(Uint|Int)(\d+)\(\)")
_WIDE_CAST = re.compile(r"(?<![\w.])(uint|int)256\((?!int|uint)(\w+)\)")
_IF = re.compile(r"\bif \(")
_ARMS = re.compile(r"\? ([^?:;]+?)\s*: ([^?:;]+);")
_HEADER = re.compile(
    r"\bfunction\s+\w+\([^)]*\)((?:[^{;()]|\([^{;()]*\))*?)\s*(?:returns \([^)]*\)\s*)?\{"
)
_WORDS = frozenset(
    ("external", "public", "internal", "private", "view", "pure", "payable", "virtual", "override")
)
_STATEMENT = re.compile(
    r"^(?P<indent> +)(?P<text>(?:delete )?[\w.\[\]]+(?: (?:=|\+=|-=) [^;]*|\([^;]*\))?;)", re.M
)
_KEYWORDS = re.compile(r"(?:return|using|error|event|revert|uint|int|bool|address|bytes)")


@dataclass(frozen=True)
class Mutant:
    """One change: the text from `start` to `end` becomes `replacement`."""

    file: str
    operator: str
    start: int
    end: int
    replacement: str
    source: str

    @property
    def text(self) -> str:
        """The changed source."""
        return self.source[: self.start] + self.replacement + self.source[self.end :]

    @property
    def line(self) -> int:
        """Where, from 1."""
        return self.source.count("\n", 0, self.start) + 1

    @property
    def name(self) -> str:
        """The same in every run over the same source."""
        digest = hashlib.sha256(f"{self.file}\0{self.text}".encode()).hexdigest()[:10]
        return f"{self.file.rpartition('/')[2].removesuffix('.sol')}:{self.line}:{digest}"

    def diff(self) -> str:
        """The changed lines alone."""
        lines = difflib.ndiff(self.source.splitlines(), self.text.splitlines())
        kept = [line for line in lines if line[:2] in ("- ", "+ ")]
        return "\n".join(f"{line[0]} {line[2:].strip()}" for line in kept)


def code_of(source: str) -> str:
    """The source with everything that is not code blanked out, position by position."""
    return _NOT_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), source)


def mutants_of(file: str, source: str) -> list[Mutant]:
    """All mutants of a source, each text once, in the order of the lines."""
    seen = {source}
    made = []
    changes = sorted(_changes(code_of(source)), key=lambda change: (change[1], change[0]))
    for operator, start, end, replacement in changes:
        mutant = Mutant(file, operator, start, end, replacement, source)
        if mutant.text not in seen:
            seen.add(mutant.text)
            made.append(mutant)
    return made


Change = tuple[str, int, int, str]


def _changes(code: str) -> Iterator[Change]:
    assembly = [
        (m.start(), closing(code, m.end() - 1)) for m in re.finditer(r"assembly[^{]*\{", code)
    ]
    for operator, pattern, table in _PLAIN:
        for found in re.finditer(pattern, code):
            inside = any(start < found.start() < end for start, end in assembly)
            if inside == (operator == "assembly"):
                for replacement in table[found[0]]:
                    yield operator, found.start(), found.end(), replacement
    yield from _constants(code)
    yield from _casts(code)
    yield from _guards(code)
    yield from _statements(code)


def _constants(code: str) -> Iterator[Change]:
    for found in _NUMBER.finditer(code):
        yield "constant", found.start(), found.end(), f"({found[0]} + 1)"
        if found[0] != "0":
            yield "constant", found.start(), found.end(), "0"
        if found[3]:
            less = f"{found[1]}{found[2] or ''}e{int(found[3]) - 1}"
            yield "constant", found.start(), found.end(), less
    for found in _BOUND.finditer(code):
        narrower = f"type({found[1]}{int(found[2]) // 16 * 8}).max"
        yield "constant", found.start(), found.end(), narrower


def _casts(code: str) -> Iterator[Change]:
    for found in _SAFE_CAST.finditer(code):
        narrower = f".to{found[1]}{int(found[2]) // 16 * 8}()"
        yield "cast", found.start(), found.end(), narrower
    for found in _WIDE_CAST.finditer(code):
        other = {"uint": "int", "int": "uint"}[found[1]]
        for bits in (64, 128):
            cut = f"{found[1]}256({found[1]}{bits}({found[1]}256({found[2]})))"
            yield "cast", found.start(), found.end(), cut
        cut = f"{found[1]}256({found[1]}128({other}128({found[2]})))"
        yield "cast", found.start(), found.end(), cut


def _guards(code: str) -> Iterator[Change]:
    for found in _IF.finditer(code):
        end = closing(code, found.end() - 1)
        is_guard = code[end:].lstrip(") \n{").startswith("revert")
        for word in ("false",) if is_guard else ("true", "false"):
            yield "guard" if is_guard else "branch", found.end(), end, word
    for found in _ARMS.finditer(code):
        if all(arm.count("(") == arm.count(")") for arm in found.groups()):
            yield "branch", found.start(1), found.end(2), f"{found[2]} : {found[1]}"
    for found in re.finditer(r"\brequire\(", code):
        yield "guard", found.start(), closing(code, found.end() - 1) + 2, ""
    for found in _HEADER.finditer(code):
        for modifier in re.finditer(r"\b[a-z]\w*\b(?:\([^)]*\))?", found[1]):
            if modifier[0] not in _WORDS:
                yield (
                    "guard",
                    found.start(1) + modifier.start(),
                    found.start(1) + modifier.end(),
                    "",
                )


def _statements(code: str) -> Iterator[Change]:
    before: re.Match[str] | None = None
    for found in _STATEMENT.finditer(code):
        if _KEYWORDS.match(found["text"]):
            before = None
            continue
        yield "write", found.start("text"), found.end(), ""
        if before and before["indent"] == found["indent"]:
            gap = code[before.end() : found.start()]
            if not gap.strip():
                swapped = f"{found['text']}{gap}{found['indent']}{before['text']}"
                yield "order", before.start("text"), found.end(), swapped
        before = found


def closing(code: str, opening: int) -> int:
    """Position of the bracket that closes the one at `opening`."""
    pair = {"(": ")", "{": "}"}[code[opening]]
    depth = 0
    for position in range(opening, len(code)):
        depth += (code[position] == code[opening]) - (code[position] == pair)
        if depth == 0:
            return position
    raise ValueError(f"no bracket closes the one at {opening}")
