"""The library depends on nothing but the standard library, numpy, scipy and itself."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import backstop.risk

SOURCES = sorted(Path(backstop.risk.__file__).parent.glob("*.py"))
ALLOWED = {"numpy", "scipy"}
NETWORK = {"socket", "ssl", "http", "urllib", "ftplib", "smtplib", "asyncio", "subprocess"}


def _imports(path: Path) -> set[str]:
    """Top-level names of absolute imports; relative ones must stay inside the package."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= 1, f"{path.name} reaches out of the package"
            if node.level == 0:
                names.add((node.module or "").split(".")[0])
    return names


def test_there_is_something_to_check():
    assert {"cvar.py", "tails.py", "sizing.py", "adl.py"} <= {path.name for path in SOURCES}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_imports(path):
    names = _imports(path)
    foreign = {n for n in names if n not in sys.stdlib_module_names} - ALLOWED
    assert not foreign
    assert not names & NETWORK
