"""A private copy of the project whose compiled contracts have other code than ours."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from backstop.chain.artifacts import ROOT

Codes = Mapping[str, tuple[str, str]]
"""By contract: the code that deploys it, and the code that then runs; hex without 0x."""


def copy_project(tree: Path) -> None:
    """Sources, tests and tools; the environment by a link.

    The folder must not lie below `.build`: ape leaves out every source that has one in its path.
    """
    hidden = shutil.ignore_patterns("__pycache__", ".cache", "node_modules", ".venv*")
    for entry in sorted(ROOT.iterdir()):
        if entry.is_dir() and not entry.name.startswith(".") and not entry.is_symlink():
            if entry.name != "node_modules":
                shutil.copytree(entry, tree / entry.name, ignore=hidden)
        elif entry.is_file():
            shutil.copy2(entry, tree / entry.name)
    for name in (".venv", "node_modules"):
        (tree / name).symlink_to((ROOT / name).resolve())
    (tree / ".build").mkdir()
    shutil.copy2(ROOT / ".build" / "sources.sha256", tree / ".build" / "sources.sha256")


def put_codes(tree: Path, codes: Codes) -> None:
    """The copy's compiled contracts are ours, but for these codes."""
    compiled = json.loads((ROOT / ".build" / "__local__.json").read_text())
    for name, pair in codes.items():
        known = compiled["contractTypes"].get(name, {})
        for field, code in zip(("deploymentBytecode", "runtimeBytecode"), pair, strict=True):
            if known.get(field):
                known[field] = {"bytecode": "0x" + code}
    (tree / ".build" / "__local__.json").write_text(json.dumps(compiled))
