"""What a study leaves: a folder with the page, `summary.json` and CSV files, and its hashes.

Files are written beside the old ones and moved over them at the end, so that nobody sees half a
report. Nothing in them depends on the time of day, the speed or the backend.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import platform
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from backstop.risk.errors import RiskError
from backstop.risk.provenance import hash_files

_PACKAGES = ("risk", "simulation", "report/risk")
_LIBRARIES = ("numpy", "scipy", "numba")


class BadSummary(RiskError):
    """A summary file that cannot be used."""


def code_hash() -> str:
    """SHA-256 over the sources that decide a result: risk library, simulator, studies."""
    root = Path(__file__).resolve().parents[2]
    return hash_files((p for name in _PACKAGES for p in (root / name).glob("*.py")), root)


def data_hash(inputs: Mapping[str, Any]) -> str:
    """SHA-256 over a study's inputs in canonical JSON."""
    return hashlib.sha256(canonical(inputs).encode()).hexdigest()


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces; infinities and NaN become null."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def versions() -> dict[str, str]:
    """Versions that may change a last digit."""
    libraries = {name: version(name) for name in _LIBRARIES}
    return {"backstop": version("backstop"), "python": platform.python_version(), **libraries}


def plain(value: Any) -> Any:
    """A value as JSON has it: no dataclass, no array, no infinity."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (np.integer, np.bool_)):
        return value.item()
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value


def table_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A CSV text with exact numbers."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([repr(float(x)) if isinstance(x, float) else x for x in row])
    return file.getvalue()


def write_folder(
    target: Path, page: str, summary: Mapping[str, Any], files: Mapping[str, str]
) -> Path:
    """Write `report.html`, `summary.json` and the given texts into `target`, made if absent."""
    text = json.dumps(plain(summary), sort_keys=True, indent=1, allow_nan=False) + "\n"
    contents = {**files, "summary.json": text, "report.html": page}
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target, prefix=".writing-") as folder:
            for name, content in contents.items():
                (Path(folder) / name).write_text(content, encoding="utf8", newline="\n")
            for name in contents:
                os.replace(Path(folder) / name, target / name)
    except OSError as error:
        raise BadSummary(
            f"{target} cannot be written: {error.strerror}.", "choose another folder with --out."
        ) from None
    return target


def read_summary(path: Path, kind: str) -> dict[str, Any]:
    """A summary written by the study `kind`; BadSummary names what is wrong with another file."""
    path = path / "summary.json" if path.is_dir() else path
    try:
        data = json.loads(path.read_text(encoding="utf8"))
    except FileNotFoundError:
        raise BadSummary(f"{path} does not exist.", f"run `ape run {kind}` first.") from None
    except (OSError, ValueError) as error:
        raise BadSummary(f"{path} is no summary: {error}.", f"run `ape run {kind}`.") from None
    found = data.get("study") if isinstance(data, dict) else None
    if found != kind:
        raise BadSummary(
            f"{path} is of {found or 'no known study'}, not of {kind}.",
            f"give the summary.json of `ape run {kind}`.",
        )
    return dict(data)
