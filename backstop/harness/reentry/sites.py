"""Where our contracts call somebody else, read from the sources."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from backstop.chain.artifacts import ROOT

SKIPPED: Final = ("mocks", "attackers", "examples")
"""Folders of `contracts` that no deployment has."""

OURS: Final = {
    *("ENGINE", "FUND", "LIQUIDATOR", "SETTLEMENT", "BACKSTOP", "TRANCHE", "LOCK", "ORACLE"),
    *("IMarginEngine(address(this))", "IInsuranceFund(FUND)", "IERC20Metadata(where)"),
    *("IERC20(where)", "IERC4626(where)", "tranche"),
}
"""Contracts of the same deployment, as the sources name them."""

_CALLS = re.compile(
    r"(?P<who>\b[A-Z]{4,}|\bI[A-Z]\w+\((?:[^()]|\([^()]*\))*\)|\b(?:list|source|tranche)"
    r"|\bexposureSource|\bSignatureChecker|address\(this\)|\bthis)"
    r"\.(?P<what>[a-z]\w*)\s*[({]"
)
_OPCODES = re.compile(r"\b(?P<what>call|staticcall|delegatecall)\(\w+(?:\(\))?,\s*(?P<who>\w+),")
_PURE = ("length", "decode", "encode", "encodeCall", "encodePacked", "selector", "code")


def calls_out(root: Path = ROOT) -> set[tuple[str, str]]:
    """Every call of a deployed contract to somebody outside: (file, `who.what`).

    Calls to the own deployment (`OURS`) and of a contract to itself are left out.
    """
    found = set()
    for path in sorted((root / "contracts").rglob("*.sol")):
        name = str(path.relative_to(root / "contracts"))
        if name.split("/")[0] in SKIPPED:
            continue
        text = _without_comments(path.read_text(encoding="utf-8"))
        for match in (*_CALLS.finditer(text), *_OPCODES.finditer(text)):
            who, what = match["who"], match["what"]
            if who in OURS or who in ("this", "address(this)") or what in _PURE:
                continue
            found.add((name, f"{who}.{what}"))
    return found


def _without_comments(text: str) -> str:
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return "\n".join(line.split("//")[0] for line in text.splitlines())
