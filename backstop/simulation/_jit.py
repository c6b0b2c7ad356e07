"""The one place where numba is applied, with types kept for the type checker.

Compiled code is cached on disk. Numba only notices changes of the file a function is written in,
not of the functions it calls; so the cache lives in a folder named after a hash of this package's
sources.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])

# Without reference counts: otherwise a tuple of arrays costs two atomic additions an array and
# call, ten times the work itself. Such functions cannot create arrays: all are allocated outside.
_OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False}
_INNER = {**_OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def _cache_folder() -> str:
    """Folder for this version's machine code: the user's choice, or below `__pycache__`.

    Empty where that cannot be written; numba then finds a place of its own.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for source in sorted(here.glob("*.py")):
        digest.update(source.read_bytes())
    base = Path(numba.config.CACHE_DIR or here / "__pycache__")
    folder = base / f"simulation-{digest.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return ""
    return str(folder) if os.access(folder, os.W_OK) else ""


_FOLDER = _cache_folder()


def entry(function: F) -> F:
    """Compile a function that Python calls. IEEE order of operations; cached on disk."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = _FOLDER or before
    try:
        return cast(F, numba.njit(**_OPTIONS, cache=True)(function))
    finally:
        numba.config.CACHE_DIR = before


def inner(function: F) -> F:
    """Compile a function that only compiled code calls; it stays a call of its own.

    No wrapper, a third less to compile; but the call passes the whole state, tens of nanoseconds.
    """
    return cast(F, numba.njit(**_INNER)(function))


def inline(function: F) -> F:
    """Like `inner`, and always inlined: for small functions called per account or per minute."""
    return cast(F, numba.njit(**_INNER, forceinline=True)(function))


def inline_filter(function: F) -> F:
    """Like `inline`, but sums may be reassociated and fused, so that they vectorise.

    Only for conservative filters, whose rounding cannot change a result.
    """
    flags = {"reassoc", "contract", "nsz", "arcp"}
    return cast(F, numba.njit(**_INNER, forceinline=True, fastmath=flags)(function))
