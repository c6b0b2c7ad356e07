"""The sources as the compiler's standard JSON, and the pinned compiler on it."""

from __future__ import annotations

import json
import posixpath
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from backstop.chain.artifacts import ROOT

_IMPORT = re.compile(r"^\s*import\b[^;]*?[\"']([^\"']+)[\"']", re.MULTILINE)

SHIPPED = ("contracts", "interfaces")
"""Folders with Solidity of the project."""

NOT_SHIPPED = ("contracts/mocks/", "contracts/attackers/", "contracts/.cache/")
"""Helpers of the tests: they are not deployed."""


class CompilationError(RuntimeError):
    """The compiler is missing, failed, or refused the sources; the message says what it said."""


def shipped_files(root: Path = ROOT) -> list[str]:
    """The project's own files that are deployed, below its folder."""
    found = [
        path.relative_to(root).as_posix()
        for folder in SHIPPED
        for path in sorted((root / folder).rglob("*.sol"))
    ]
    return [name for name in found if not name.startswith(NOT_SHIPPED)]


def with_imports(
    names: Iterable[str], root: Path = ROOT, replaced: Mapping[str, str] | None = None
) -> dict[str, str]:
    """These files and whatever they import: name -> text; `replaced` has other texts for some.

    Libraries from npm keep the name by which they are imported.
    """
    texts: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in texts:
            continue
        text = (replaced or {}).get(name)
        if text is None:
            own = root / name
            path = own if own.is_file() else root / "node_modules" / name
            try:
                text = path.read_text()
            except OSError as error:
                raise CompilationError(
                    f"{name} cannot be read: {error}; run `make setup`"
                ) from None
        texts[name] = text
        for target in _IMPORT.findall(text):
            if target.startswith("."):
                target = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
            waiting.append(target)
    return dict(sorted(texts.items()))


def standard_json(
    texts: Mapping[str, str], selection: Mapping[str, Any], **settings: Any
) -> dict[str, Any]:
    """The compiler's input, with the project's settings unless told otherwise."""
    return {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in texts.items()},
        "settings": {
            "evmVersion": "cancun",
            "optimizer": {"enabled": True, "runs": 200},
            "viaIR": True,
            "outputSelection": selection,
            **settings,
        },
    }


def launcher() -> Path:
    """The pinned compiler of this environment."""
    found = sorted((Path(sys.prefix) / "solc").glob("solc-v*"))
    if not found:
        raise CompilationError(f"no compiler in {sys.prefix}/solc: run `make setup`")
    return found[-1]


def compile_json(request: Mapping[str, Any]) -> dict[str, Any]:
    """What the compiler answers; CompilationError if it reports an error."""
    return ask([str(launcher()), "--standard-json"], request, "the compiler")


def ask(
    command: Sequence[str],
    request: Mapping[str, Any],
    who: str,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The answer to a request in the compiler's JSON form; CompilationError names `who` failed."""
    done = subprocess.run(
        command,
        input=json.dumps(request),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise CompilationError(f"{who} failed:\n{done.stderr[-2000:]}") from None
    refuse_errors(answer)
    return answer


def refuse_errors(answer: Mapping[str, Any]) -> None:
    """CompilationError if the compiler reports an error."""
    errors = [e for e in answer.get("errors", []) if e["severity"] == "error"]
    if errors:
        raise CompilationError(str(errors[0].get("formattedMessage", errors[0]["message"])))


def node() -> str:
    """The Node that the environment's compiler runs on: its launcher names it."""
    found = re.search(r"exec (\S*node\S*) ", launcher().read_text(errors="replace"))
    return found[1].strip("'\"") if found else "node"
