"""Planted faults: each must make the proof of its property fail with a counterexample.

A proof that cannot fail proves nothing: an assumption that contradicts itself, or an assertion that
is never reached, would pass all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from backstop.chain.artifacts import ROOT
from backstop.harness.analysis.properties import PROOFS


@dataclass(frozen=True)
class Fault:
    """In `file`, the only `old` becomes `new`; the property must have a counterexample then."""

    prop: str
    file: str
    old: str
    new: str

    def planted(self) -> dict[str, str]:
        """The file with the fault in it: name -> text."""
        text = (ROOT / self.file).read_text()
        if text.count(self.old) != 1:
            raise ValueError(
                f"{self.file} has {self.old!r} {text.count(self.old)} times: "
                f"the fault for {self.prop} must be written anew"
            )
        return {self.file: text.replace(self.old, self.new)}


def read_faults(path: Path = PROOFS / "faults.yaml") -> list[Fault]:
    """All faults, in the order of the file."""
    return [
        Fault(str(row["property"]), str(row["file"]), str(row["old"]), str(row["new"]))
        for row in yaml.safe_load(path.read_text())
    ]
