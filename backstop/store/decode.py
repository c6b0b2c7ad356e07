"""From a node's logs to rows: decoded by topic with the ABIs of a deployment's contracts."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from backstop.chain.artifacts import ArtifactSource, contract_abi
from backstop.chain.record import Record
from backstop.harness.abi import Abi, AbiRegistry, NoData
from backstop.store.words import word_events

UNKNOWN = ""
"""Name of an event that no ABI knows; its arguments are `topics` and `data`, as logged."""

Row = tuple[int, int, int, str, str, str, str]
"""block, log index, transaction index, transaction, contract, name, arguments as JSON."""


def deployment_abis(record: Record, artifacts: ArtifactSource) -> dict[str, Abi]:
    """ABIs of the deployment's own contracts by role; the collateral token is none of them."""
    return {
        role: contract_abi(artifacts, entry.artifact)
        for role, entry in record.contracts.items()
        if role != "token"
    }


def plain(value: Any) -> Any:
    """A decoded argument as JSON has it: bytes in hex, structs as objects, integers as they are."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, tuple):
        if hasattr(value, "_fields"):
            return {name: plain(item) for name, item in zip(value._fields, value, strict=True)}
        return [plain(item) for item in value]
    return value


class Decoder:
    """Decodes the logs of one deployment.

    Args:
        record: where the contracts are.
        artifacts: compiled contracts.
    """

    def __init__(self, record: Record, artifacts: ArtifactSource) -> None:
        self.abis = deployment_abis(record, artifacts)
        self.roles = {record.contracts[role].address.lower(): role for role in self.abis}
        self._registry = AbiRegistry()
        for abi in self.abis.values():
            self._registry.add(abi)
        self._words = word_events(list(self.abis.values()))

    @property
    def addresses(self) -> list[str]:
        """Whose logs are wanted."""
        return sorted(self.roles)

    def row(self, log: Mapping[str, Any]) -> Row:
        """One log as a row; what cannot be decoded is kept raw."""
        name, arguments = self._decoded(log)
        return (
            int(log["blockNumber"], 16),
            int(log["logIndex"], 16),
            int(log["transactionIndex"], 16),
            log["transactionHash"],
            self.roles.get(log["address"].lower(), log["address"].lower()),
            name,
            json.dumps(arguments, separators=(",", ":")),
        )

    def _decoded(self, log: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        topics = log["topics"]
        event = self._words.get((topics[0], len(topics) - 1)) if topics else None
        if event is not None:
            with contextlib.suppress(ValueError):
                return event.name, event.decode(topics[1:], bytes.fromhex(log["data"][2:]))
        return self._generally(log)

    def _generally(self, log: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """What is more than words, or not what its event says; kept raw if nobody knows it."""
        try:
            event = self._registry.decode_log(log)
        except (NoData, ValueError):
            pass
        else:
            if not event.name.startswith("0x") and event.name:
                return event.name, {key: plain(item) for key, item in event.arguments.items()}
        return UNKNOWN, {"topics": list(log["topics"]), "data": log["data"]}
