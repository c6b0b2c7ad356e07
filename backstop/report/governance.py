"""Parameters in force, who may change them, and what is about to change; from events alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eth_utils import keccak

from backstop.chain.artifacts import contract_abi
from backstop.chain.deploy import ROLE_IDS
from backstop.chain.format import duration
from backstop.harness.abi import Abi, Codec, NoData, signature_of
from backstop.report.context import Context
from backstop.store import StoredEvent
from backstop.store.decode import plain

_EXPIRATION = 7 * 86400
"""Seconds after which AccessManager drops what was scheduled and not executed."""

_SAME = {"MarketListed": "MarketParametersSet"}
_NOT_PARAMETERS = {"OperatorSet"}
_KEYS = ("market", "claimant", "reporter")


def _role_name(number: int) -> str:
    return next((name for name, role in ROLE_IDS.items() if role == number), f"role {number}")


@dataclass
class Governance:
    """Follows every event that sets something.

    Attributes:
        settings: last event by (contract, name, market or claimant).
        operations: what was scheduled and neither executed nor cancelled, by its id.
        roles: delay and start by (role, holder).
        changes: how many settings were changed inside the period.
    """

    context: Context
    settings: dict[tuple[str, str, str], StoredEvent] = field(default_factory=dict)
    operations: dict[str, StoredEvent] = field(default_factory=dict)
    roles: dict[tuple[int, str], StoredEvent] = field(default_factory=dict)
    admin_delays: dict[str, StoredEvent] = field(default_factory=dict)
    changes: int = 0

    def apply(self, event: StoredEvent) -> None:
        """Take an event, in the period or before it."""
        if event.contract == "authority":
            self._authority(event)
            return
        name = _SAME.get(event.name, event.name)
        if (name.endswith("Set") and name not in _NOT_PARAMETERS) or name == "RiskPaused":
            key = " ".join(str(event.args[k]) for k in _KEYS if k in event.args)
            self.settings[event.contract, name, key] = event
            self.changes += self.context.inside(event)

    def _authority(self, event: StoredEvent) -> None:
        if event.name == "OperationScheduled":
            self.operations[event["operationId"]] = event
        elif event.name in ("OperationExecuted", "OperationCanceled"):
            self.operations.pop(event["operationId"], None)
        elif event.name == "RoleGranted":
            self.roles[event["roleId"], event["account"]] = event
        elif event.name == "RoleRevoked":
            self.roles.pop((event["roleId"], event["account"]), None)
        elif event.name == "TargetAdminDelayUpdated":
            self.admin_delays[event["target"]] = event

    def result(self) -> dict[str, Any]:
        """Parameters in force and roles."""
        return {
            "settings": [
                {
                    "contract": contract,
                    "name": name.removesuffix("Set"),
                    "of": self._subject(event),
                    "sinceBlock": event.block,
                    "values": _flat({k: v for k, v in event.args.items() if k not in _KEYS}),
                }
                for (contract, name, _), event in sorted(self.settings.items())
            ],
            "changesInPeriod": self.changes,
            "roles": [
                {
                    "role": _role_name(role),
                    "holder": holder,
                    "delaySeconds": event["delay"],
                    "since": event["since"],
                }
                for (role, holder), event in sorted(self.roles.items())
            ],
        }

    def _subject(self, event: StoredEvent) -> str:
        parts = []
        if "claimant" in event.args:
            own = event["claimant"] == self.context.system.engine.address
            parts.append("margin engine" if own else event["claimant"])
        if "market" in event.args:
            parts.append(self.context.market(event["market"]))
        if "reporter" in event.args:
            parts.append(event["reporter"])
        return ", ".join(parts)

    def pending(self) -> list[dict[str, Any]]:
        """Calls that wait for their time, and delays that are not in force yet."""
        now = self.context.last.time
        calls = self._functions()
        found = []
        for operation, event in sorted(
            self.operations.items(), key=lambda i: (i[1]["schedule"], i[0])
        ):
            if event["schedule"] + _EXPIRATION <= now:
                continue
            found.append(
                {
                    "what": self._call(calls, event),
                    "target": self._name(event["target"]),
                    "by": event["caller"],
                    "from": event["schedule"],
                    "ready": event["schedule"] <= now,
                    "operation": operation,
                }
            )
        for (role, holder), event in sorted(self.roles.items()):
            if event["since"] > now:
                what = f"role {_role_name(role)} with a delay of {duration(event['delay'])}"
                found.append(_entry(what, holder, event["since"]))
        for target, event in sorted(self.admin_delays.items()):
            if event["since"] > now:
                what = f"delay of changes of its roles: {duration(event['delay'])}"
                found.append(_entry(what, self._name(target), event["since"]))
        return found

    def _name(self, address: str) -> str:
        for role, entry in self.context.system.record.contracts.items():
            if entry.address.lower() == address.lower():
                return role
        return address

    def _functions(self) -> dict[str, tuple[str, Mapping[str, Any]]]:
        system = self.context.system
        found: dict[str, tuple[str, Mapping[str, Any]]] = {}
        for role, entry in system.record.contracts.items():
            if role == "token":
                continue
            abi: Abi = contract_abi(system.artifacts, entry.artifact)
            for item in abi:
                if item.get("type") == "function":
                    selector = "0x" + keccak(text=signature_of(item))[:4].hex()
                    found.setdefault(selector, (str(item["name"]), item))
        return found

    def _call(self, calls: Mapping[str, tuple[str, Mapping[str, Any]]], event: StoredEvent) -> str:
        data = event["data"]
        name, item = calls.get(data[:10], (data[:10], {}))
        if not item:
            return f"call {data}"
        try:
            values = Codec(item["inputs"], name).decode_named(bytes.fromhex(data[10:]))
        except NoData:
            return f"{name} with arguments that do not decode: {data}"
        shown = _flat({key: plain(value) for key, value in values.items()})
        return f"{name}({', '.join(f'{k}={v}' for k, v in shown.items())})"


def _entry(what: str, target: str, since: int) -> dict[str, Any]:
    return {
        "what": what,
        "target": target,
        "by": None,
        "from": since,
        "ready": False,
        "operation": None,
    }


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values under dotted names, as text."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            flat |= _flat({str(i): item for i, item in enumerate(value)}, f"{prefix}{key}.")
        else:
            flat[prefix + key] = str(value).lower() if isinstance(value, bool) else str(value)
    return flat
