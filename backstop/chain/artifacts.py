"""Where ABIs and creation code come from: ape's project, or what ape compiled last."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from backstop.harness.abi import abi_of, signature_of

ROOT = Path(__file__).resolve().parents[2]
"""The project's folder."""

ArtifactSource = Callable[[str], Any]
"""Gives the compiled contract of a name: `project.get_contract`, or `build_artifacts()`."""


class MissingArtifact(LookupError):
    """A contract that is not compiled; the message holds the remedy."""

    def __init__(self, name: str, where: object) -> None:
        super().__init__(
            f"{name} is not among the compiled contracts in {where}: run `ape compile`"
        )


@lru_cache(maxsize=4)
def _read(path: Path, modified: int, size: int) -> Mapping[str, Any]:
    contracts: Mapping[str, Any] = json.loads(path.read_text())["contractTypes"]
    return contracts


def build_artifacts(root: Path = ROOT) -> ArtifactSource:
    """Artifacts from ape's compile cache: one read of a file, no compiler and no project check.

    They are as new as the last `ape compile` (`make test` and `ape run` compile first).
    """
    path = root / ".build" / "__local__.json"

    def lookup(name: str) -> Mapping[str, Any]:
        try:
            found = path.stat()
            contracts = _read(path, found.st_mtime_ns, found.st_size)
        except (OSError, ValueError, KeyError):
            raise MissingArtifact(name, path) from None
        if name not in contracts:
            raise MissingArtifact(name, path)
        artifact: Mapping[str, Any] = contracts[name]
        return artifact

    return lookup


def compiled_project(project: Any) -> ArtifactSource:
    """Artifacts of ape's project, compiled anew if any source has changed since.

    ape compiles a changed file but not the contracts that import it, so that an edit of a module
    would leave the contract that is made of it as it was. Here one digest of all sources decides.
    """
    stamp = ROOT / ".build" / "sources.sha256"
    digest = hashlib.sha256()
    for folder in ("contracts", "interfaces"):
        for path in sorted((ROOT / folder).rglob("*.sol")):
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    digest.update((ROOT / "ape-config.yaml").read_bytes())
    if not stamp.is_file() or stamp.read_text() != digest.hexdigest():
        project.load_contracts(use_cache=False)
        stamp.write_text(digest.hexdigest())
    source: ArtifactSource = project.get_contract
    return source


def engine_abi(artifacts: ArtifactSource) -> list[dict[str, Any]]:
    """The margin engine's whole ABI: its parts answer at one address."""
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    for part in ("MarginEngine", "MarginEngineBackOffice", "MarginEngineGovernance"):
        for item in abi_of(artifacts(part)):
            if item.get("type") in ("function", "event", "error"):
                merged.setdefault((item["type"], signature_of(item)), item)
    return list(merged.values())


def contract_abi(artifacts: ArtifactSource, name: str) -> list[dict[str, Any]]:
    """The ABI of a deployed contract, by its artifact's name."""
    return engine_abi(artifacts) if name == "MarginEngine" else abi_of(artifacts(name))


if __name__ == "__main__":
    import ape

    compiled_project(ape.project)
