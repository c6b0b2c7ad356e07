"""Which tests are asked, and what was heard from them: the second judge's memory."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Final

from backstop.chain.artifacts import ROOT
from backstop.harness.mutation.project import SHELLS, closure, path_of, text_of

UNCHANGED: Final = "unchanged"
"""Stands for the contracts as they are, where a mutant's name is asked for."""

_TESTS: Final = (
    "tests/unit/engine",
    "tests/unit/fund",
    "tests/unit/reinsurance",
    "tests/unit/backstop_inventory",
    "tests/unit/test_shared_lock.py",
    "tests/incidents",
    "tests/attacks/test_insiders.py",
)
"""The tests of the contracts that are changed, but for campaigns: those are the plays."""


@lru_cache(maxsize=1)
def files_of_tests() -> tuple[str, ...]:
    """The files of these tests."""
    found = []
    for path in _TESTS:
        at = ROOT / path
        files = sorted(at.rglob("test_*.py")) if at.is_dir() else [at]
        found += [f.relative_to(ROOT).as_posix() for f in files]
    return tuple(found)


@lru_cache(maxsize=1)
def _common() -> bytes:
    """Of what all tests rest on: the contracts, and the helpers beside the tests."""
    digest = hashlib.sha256()
    for source in sorted(closure(path_of(name) for name in SHELLS)):
        digest.update(f"{source}\0{text_of(source)}\0".encode())
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if not path.name.startswith("test_"):
            digest.update(path.read_bytes())
    return digest.digest()


@lru_cache(maxsize=256)
def digest_of(file: str) -> str:
    """Of a file of tests and all that they rest on."""
    return hashlib.sha256(_common() + (ROOT / file).read_bytes()).hexdigest()[:16]


class Memory:
    """What files of tests said about mutants; on the disk at once.

    An answer counts as long as the contracts, that file and the helpers of the tests stay as they
    are. So a new test in one file asks that file again, and no other.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._heard: dict[tuple[str, str], tuple[str, list[str]]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        for line in path.read_text().splitlines() if path.is_file() else ():
            try:
                name, file, digest, failed = json.loads(line)
            except ValueError:
                continue  # a line that was cut short
            self._heard[name, file] = digest, failed

    def heard(self, name: str, file: str) -> list[str] | None:
        """The tests of a file that failed; None if that is not known."""
        digest, failed = self._heard.get((name, file), ("", []))
        return failed if digest == digest_of(file) else None

    def add(self, name: str, file: str, failed: list[str]) -> None:
        """Keep an answer."""
        self._heard[name, file] = digest_of(file), failed
        with self._path.open("a") as lines:
            lines.write(json.dumps([name, file, digest_of(file), failed]) + "\n")

    def missing(self, name: str) -> list[str]:
        """The files that were not asked about a mutant."""
        return [file for file in files_of_tests() if self.heard(name, file) is None]

    def verdict(self, name: str) -> str | None:
        """The test that fails on a mutant, nothing if all pass, None if not all were asked."""
        for file in files_of_tests():
            if failed := self.heard(name, file):
                return failed[0]
        return None if self.missing(name) else ""
