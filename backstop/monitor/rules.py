"""The rules in force, and the changes to them that are scheduled and wait for their delay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from backstop.chain.deploy import System, selector
from backstop.chain.format import amount, duration, percent
from backstop.chain.units import from_units, from_wad
from backstop.harness.abi import Codec
from backstop.monitor.history import History
from backstop.monitor.reads import read
from backstop.monitor.source import Head
from backstop.monitor.state import State, read_state
from backstop.store import StoredEvent

EVENTS: Final = ("OperationScheduled",)
"""Events from which scheduled changes are found."""


def rules_panel(
    system: System, state: State, scheduled: Iterable[StoredEvent], now: int
) -> dict[str, Any]:
    """Parameters by market, the fund's limits, and pending changes.

    Args:
        system: the deployment.
        state: of now.
        scheduled: events OperationScheduled, any order.
        now: time of the newest block.
    """
    return {
        "markets": [
            {
                "market": m.number,
                "name": m.name,
                "paused": m.paused,
                "parameters": _fields(m.parameters) + _fields(m.liquidation),
            }
            for m in state.markets
        ],
        "pending": pending(system, state, scheduled, now),
    }


def pending(
    system: System, state: State, scheduled: Iterable[StoredEvent], now: int
) -> list[dict[str, Any]]:
    """Scheduled operations that were neither executed, cancelled nor expired, soonest first."""
    latest = {event["operationId"]: event for event in scheduled}
    if not latest:
        return []
    views = [(system.authority, "getSchedule", (operation,)) for operation in latest]
    times = read(system.client, views, state.block)
    found = []
    for event, ready in zip(latest.values(), times, strict=True):
        if ready:
            data = bytes.fromhex(event["data"][2:])
            call = describe_call(system, state, event["target"], data)
            found.append(
                {
                    "operation": event["operationId"],
                    "target": event["target"],
                    "data": event["data"],
                    "caller": event["caller"],
                    "scheduled": event.time,
                    "ready": ready,
                    "waiting": max(0, ready - now),
                    **call,
                }
            )
    return sorted(found, key=lambda change: int(change["ready"]))


def pending_now(system: System) -> list[dict[str, Any]]:
    """The scheduled operations of a deployment, read from the chain up to its newest block."""
    block = system.client.rpc("eth_getBlockByNumber", "latest", False)
    head = Head(int(block["number"], 16), str(block["hash"]), int(block["timestamp"], 16))
    with History(system) as history:
        history.sync(head, lambda block, last: None)
        state = read_state(system, head.number, head.time)
        return pending(system, state, history.newest(EVENTS, 200), head.time)


@dataclass(frozen=True)
class ScheduledCall:
    """A scheduled call, decoded."""

    contract: str
    function: str
    arguments: tuple[Any, ...]


def scheduled_calls(system: System) -> list[ScheduledCall]:
    """The same as calls; those to contracts that are not the deployment's are left out."""
    roles = {contract.address.lower(): name for name, contract in system.contracts.items()}
    found = []
    for change in pending_now(system):
        name = roles.get(str(change["target"]).lower())
        if name is None or change["function"].startswith("0x"):
            continue
        inputs = next(
            item["inputs"]
            for item in system.contracts[name].abi
            if item.get("type") == "function" and item["name"] == change["function"]
        )
        data = bytes.fromhex(change["data"][10:])
        arguments = tuple(Codec(inputs, change["function"]).decode(data)) if inputs else ()
        found.append(ScheduledCall(name, change["function"], arguments))
    return found


def describe_call(system: System, state: State, target: str, data: bytes) -> dict[str, Any]:
    """A scheduled call in words: contract, function, and what would change."""
    for name, contract in system.contracts.items():
        if contract.address.lower() != str(target).lower():
            continue
        for item in contract.abi:
            if item.get("type") != "function" or selector_of(contract, item) != data[:4]:
                continue
            inputs = item.get("inputs", [])
            values = Codec(inputs, str(item["name"])).decode(data[4:]) if inputs else ()
            named = {str(i["name"]): v for i, v in zip(inputs, values, strict=True)}
            changes = _changes(named, state) or _plain(named)
            return {"contract": name, "function": str(item["name"]), "changes": changes}
        return {"contract": name, "function": "0x" + data[:4].hex(), "changes": []}
    return {"contract": str(target), "function": "0x" + data[:4].hex(), "changes": []}


def selector_of(contract: Any, item: Mapping[str, Any]) -> bytes | None:
    """A function's selector; None where the contract has several of that name."""
    try:
        return selector(contract, str(item["name"]))
    except LookupError:
        return None


def _changes(named: Mapping[str, Any], state: State) -> list[dict[str, str]]:
    """For `setMarket`: the fields that would differ from those in force."""
    number = named.get("market")
    if "p" not in named or "l" not in named or number is None or number >= len(state.markets):
        return []
    market = state.markets[number]
    changes = [{"name": "market", "to": market.name}]
    for now, then in ((market.parameters, named["p"]), (market.liquidation, named["l"])):
        for field, old, new in zip(now._fields, now, then, strict=True):
            if old != new:
                changes.append(
                    {"name": words(field), "from": shown(field, old), "to": shown(field, new)}
                )
    return changes


def _plain(named: Mapping[str, Any]) -> list[dict[str, str]]:
    """Arguments one by one, structs by their members."""
    changes: list[dict[str, str]] = []
    for name, value in named.items():
        if hasattr(value, "_asdict"):
            members = _plain(value._asdict())
            inner = [{**m, "name": f"{words(name)} {m['name']}"} for m in members]
            changes += members if len(named) == 1 or name in ("p", "l", "config") else inner
        else:
            changes.append({"name": words(name), "to": shown(name, value)})
    return changes


def _fields(values: Any) -> list[dict[str, str]]:
    return [
        {"name": words(f), "value": shown(f, v)}
        for f, v in zip(values._fields, values, strict=True)
    ]


_UNITS: Final = ("Ppm", "Ppb")
_SECONDS: Final = frozenset(
    (
        *("profitLock", "maxMarkAge", "ramp", "deleverageDelay", "checkInterval", "cooldown"),
        *("window", "maxAge", "executionDelay"),
    )
)
_BASE: Final = frozenset(("openInterestCap",))


def words(name: str) -> str:
    """`initialMarginPpm` as `initial margin`."""
    for unit in _UNITS:
        name = name.removesuffix(unit)
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name.lstrip("_"))


def shown(name: str, value: Any) -> str:
    """A parameter's value as people read it, by the unit in its name."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if not isinstance(value, int) or isinstance(value, bool):
        return str(value)
    if name.endswith("Ppm"):
        return percent(value)
    if name.endswith("Ppb"):
        return f"{value / 1e7:g}%"
    if name in _SECONDS:
        return duration(value)
    if name in _BASE:
        return amount(from_wad(value), 0)
    if name == "minBase":
        return f"{from_units(value, 9).normalize():f}"
    return f"{value:,}"
