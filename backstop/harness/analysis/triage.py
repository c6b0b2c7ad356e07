"""Findings of an analyser beside the reasons why they are none.

A finding is named by its detector, the place and a digest of the code it points at: it does not
move with the lines above it, and an edit of the statements pointed at asks again. A function or a
contract that is pointed at as a whole counts by its name: an edit elsewhere in it does not ask.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Finding:
    """One finding.

    `place` is the contract and function (or whatever it points at first); `digest` is of the code
    of all elements, without white space; of whole functions and contracts only of their names.
    """

    detector: str
    impact: str
    confidence: str
    file: str
    line: int
    place: str
    digest: str
    description: str

    @property
    def name(self) -> str:
        """As the triage file names it."""
        return f"{self.file} {self.place} {self.digest}"


class TriageError(ValueError):
    """The triage file is not what it must be; the message says where."""


@dataclass(frozen=True)
class Verdict:
    """Findings with their reasons, findings without, and reasons without a finding."""

    explained: tuple[tuple[Finding, str], ...]
    open: tuple[Finding, ...]
    stale: tuple[tuple[str, str], ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is left to do."""
        return not self.open and not self.stale


def digest_of(texts: Iterable[str]) -> str:
    """Eight hexadecimal digits of pieces of code, in any order, however they are laid out."""
    plain = "\0".join(sorted({"".join(text.split()) for text in texts}))
    return hashlib.sha256(plain.encode()).hexdigest()[:8]


def findings_of(raw: Iterable[Mapping[str, Any]], root: Path) -> list[Finding]:
    """The driver's findings that point at our own files, each once."""
    sources: dict[str, bytes] = {}
    found: dict[tuple[str, str], Finding] = {}
    for item in raw:
        own = [e for e in item["elements"] if e["own"]]
        if not own:
            continue
        texts = []
        for e in own:
            if e["file"] not in sources:
                sources[e["file"]] = (root / e["file"]).read_bytes()
            # an element that is a whole contract would change with every edit of it
            whole = e["type"] in ("contract", "function")
            code = sources[e["file"]][e["start"] : e["start"] + e["length"]].decode()
            texts.append(f"{e['type']} {e['place']}" if whole else code)
        first = own[0]
        finding = Finding(
            item["detector"],
            item["impact"],
            item["confidence"],
            first["file"],
            (first["lines"] or [0])[0],
            first["place"],
            digest_of(texts),
            item["description"],
        )
        found.setdefault((finding.detector, finding.name), finding)
    return sorted(found.values(), key=lambda f: (f.detector, f.file, f.line))


def read_reasons(path: Path, what: str = "detector") -> dict[tuple[str, str], str]:
    """A file of reasons: (detector, name) -> reason; `what` names the first of the two there."""
    try:
        entries = yaml.safe_load(path.read_text()) or []
    except (OSError, yaml.YAMLError) as error:
        raise TriageError(f"{path} cannot be read: {error}") from None
    reasons: dict[tuple[str, str], str] = {}
    for number, entry in enumerate(entries if isinstance(entries, list) else [entries], 1):
        where = f"{path.name}, entry {number}"
        if not isinstance(entry, dict) or set(entry) != {what, "reason", "places"}:
            raise TriageError(f"{where}: `{what}`, `reason` and `places` are needed, no more")
        reason = " ".join(str(entry["reason"]).split())
        if not reason:
            raise TriageError(f"{where}: the reason is empty")
        for place in entry["places"]:
            key = (str(entry[what]), str(place))
            if key in reasons:
                raise TriageError(f"{where}: {place} of {key[0]} is there twice")
            reasons[key] = reason
    return reasons


def judge(findings: Sequence[Finding], reasons: Mapping[tuple[str, str], str]) -> Verdict:
    """Which findings have a reason, which have none, which reasons are left over.

    The place `FILE *` stands for all findings of a detector in a file, and for none: it is for a
    detector that finds another thing in each run.
    """
    explained, open_, used = [], [], set()
    for finding in findings:
        exact, whole = (finding.detector, finding.name), (finding.detector, f"{finding.file} *")
        key = exact if exact in reasons else whole
        if key in reasons:
            explained.append((finding, reasons[key]))
            used.add(key)
        else:
            open_.append(finding)
    stale = [key for key in reasons if key not in used and not key[1].endswith(" *")]
    return Verdict(tuple(explained), tuple(open_), tuple(stale))


def table(verdict: Verdict) -> list[tuple[str, str, int, int]]:
    """Rows of (detector, impact, findings, without a reason), the graver first."""
    order = ("High", "Medium", "Low", "Informational", "Optimization")
    everything = [f for f, _ in verdict.explained] + list(verdict.open)
    counts = Counter((f.impact, f.detector) for f in everything)
    open_ = Counter((f.impact, f.detector) for f in verdict.open)
    keys = sorted(counts, key=lambda key: (order.index(key[0]), key[1]))
    return [(detector, impact, counts[impact, detector], open_[impact, detector])
            for impact, detector in keys]  # fmt: skip
