"""Calls by name and text: what `ape run call` and `ape run apply_market` are made of.

A restricted function is called at once where the caller's role has no delay; else it is scheduled,
and the same command carries it out once its time has come.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from eth_utils import is_hex_address

from backstop.chain.clients import Governance
from backstop.chain.deploy import PERMISSIONS, ROLE_IDS, System
from backstop.chain.format import parse_account
from backstop.chain.units import UnitError, parse_decimal, scaled
from backstop.harness.abi import checksum, signature_of

WEEK: Final = 7 * 86400
"""Seconds in which a scheduled call has to be carried out once it is ready."""


class WrongCall(ValueError):
    """A call that cannot be made of what was written; the message says what is allowed."""


@dataclass(frozen=True)
class Call:
    """A function of a contract of the record with its arguments."""

    contract: str
    function: str
    arguments: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.contract}.{self.function}"


@dataclass(frozen=True)
class Advance:
    """What became of a call: `done`, `scheduled`, `waiting` for its time, or `refused`.

    Attributes:
        ready: when it may be carried out, seconds since 1970; 0 if that means nothing.
        role: which role is needed, where the caller was refused.
        gas_used: of what was sent; 0 if nothing was.
    """

    call: Call
    state: str
    ready: int = 0
    role: str = ""
    gas_used: int = 0
    transaction: str = ""


def advance(governance: Governance, call: Call) -> Advance:
    """Take a call one step further: send it, schedule it, carry it out, or say what it waits for.

    Raises:
        Reverted: the contract refuses.
    """
    role = role_of(call)
    if role is None:
        sent = governance.call(call.contract, call.function, *call.arguments)
        return Advance(call, "done", gas_used=sent.gas_used, transaction=sent.transaction)
    wanted = (call.contract, call.function, *call.arguments)
    delay = governance.delay(*wanted)
    if delay is None:
        return Advance(call, "refused", role=role)
    if delay == 0:
        sent = governance.call(*wanted)
        return Advance(call, "done", gas_used=sent.gas_used, transaction=sent.transaction)
    ready = governance.ready_at(*wanted)
    if not ready:
        made = governance.schedule(*wanted)
        return Advance(call, "scheduled", made.ready_at, role, made.gas_used, made.transaction)
    if ready > governance.system.client.timestamp:
        return Advance(call, "waiting", ready, role)
    sent = governance.execute(*wanted)
    return Advance(call, "done", ready, role, sent.gas_used, sent.transaction)


def role_of(call: Call) -> str | None:
    """The role that a call needs; None if anybody may make it."""
    if call.contract == "authority":
        return "admin"
    for role, functions in PERMISSIONS.get(call.contract, {}).items():
        if call.function in functions:
            return role
    return None


def make_call(system: System, contract: str, function: str, texts: Sequence[str]) -> Call:
    """A call of its parts as written.

    Integers are units as the contract takes them; `100mUSD` is an amount of the collateral token.
    Where a market, a role, an account or an address is wanted, its name does. Structs and arrays
    are JSON.

    Raises:
        WrongCall: no such contract or function, or an argument that does not fit.
    """
    if contract not in system.contracts:
        listed = ", ".join(system.contracts)
        raise WrongCall(f"there is no contract {contract}; there are: {listed}")
    abi = system.contracts[contract].abi
    writing = [
        item
        for item in abi
        if item.get("type") == "function" and item.get("stateMutability") not in ("view", "pure")
    ]
    found = [item for item in writing if item["name"] == function]
    fitting = [item for item in found if len(item["inputs"]) == len(texts)]
    if len(fitting) != 1:
        names = sorted(signature_of(item) for item in (found or writing))
        raise WrongCall(f"{contract}.{function} with {len(texts)} arguments: {'; '.join(names)}")
    arguments = tuple(
        _argument(system, item, text)
        for item, text in zip(fitting[0]["inputs"], texts, strict=True)
    )
    return Call(contract, function, arguments)


def _argument(system: System, item: dict[str, Any], text: str) -> Any:
    kind, name = str(item["type"]), str(item["name"])
    try:
        if kind.startswith("tuple") or kind.endswith("]"):
            return _structure(system, item, json.loads(text))
        if kind == "address":
            return _address(system, text)
        if kind == "bool":
            return {"true": True, "false": False}[text.lower()]
        if kind == "bytes32" and name in ("account", "keeper"):
            return parse_account(text)
        if kind.startswith("bytes"):
            return bytes.fromhex(text.removeprefix("0x"))
        if kind.startswith(("uint", "int")):
            return _integer(system, name, text)
    except (ValueError, KeyError, LookupError, UnitError) as error:
        raise WrongCall(f"{name} is {text!r}, but has to be a {kind}: {error}") from None
    return text


def _structure(system: System, item: dict[str, Any], value: Any) -> Any:
    """A struct given by its fields' names may have amounts, markets and addresses as texts."""
    if item["type"] != "tuple" or not isinstance(value, dict):
        return value
    fields = {field["name"]: field for field in item["components"]}
    return {
        name: _argument(system, fields[name], given)
        if isinstance(given, str) and name in fields
        else given
        for name, given in value.items()
    }


def _address(system: System, text: str) -> str:
    if text in system.contracts:
        return system.contracts[text].address
    if not is_hex_address(text):
        raise ValueError("give 0x and 40 hex digits, or the name of a contract of the deployment")
    return checksum(text)


def _integer(system: System, name: str, text: str) -> int:
    symbol = system.record.token_symbol
    if text.endswith(symbol):
        amount: Decimal = parse_decimal(text.removesuffix(symbol))
        return scaled(amount, system.record.token_decimals)
    if name == "market":
        return system.record.market(text)
    if name == "roleId" and text in ROLE_IDS:
        return ROLE_IDS[text]
    return int(text.replace("_", ""))
