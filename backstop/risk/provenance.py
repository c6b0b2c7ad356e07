"""Hashes that tie a result to its data and its code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from .arrays import ArrayLike


def hash_arrays(arrays: Mapping[str, ArrayLike]) -> str:
    """SHA-256 over named arrays: names, shapes and little-endian float64 values, names sorted."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name], dtype="<f8")
        digest.update(f"{name}:{values.shape};".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def hash_files(paths: Iterable[Path], root: Path | None = None) -> str:
    """SHA-256 over files: path relative to `root` (or the bare name) and contents, sorted."""
    digest = hashlib.sha256()
    named = [(str(p.relative_to(root).as_posix()) if root else p.name, p) for p in paths]
    for name, path in sorted(named):
        content = path.read_bytes()
        digest.update(f"{name}:{len(content)};".encode())
        digest.update(content)
    return digest.hexdigest()


def code_hash() -> str:
    """SHA-256 over the sources of this library: same hash, same formulas."""
    folder = Path(__file__).resolve().parent
    return hash_files(folder.glob("*.py"), folder)
