"""Every function of every contract, called by everybody with next to nothing: who gets in?

Access control, checks of bad input and the lock show here. The lock is held by a stand-in at the
settlement's address, which calls a stranger, which calls the function.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from eth_utils import to_checksum_address

from backstop.harness.anvil import account_address
from backstop.harness.rpc import Contract, Step
from backstop.harness.world import ChainWorld

CONTRACTS: Final = ("engine", "fund", "tranche", "liquidator", "backstop", "settlement")
STRANGER: Final = account_address(15)


def senders(chain: ChainWorld) -> dict[str, str]:
    """Who knocks: the contracts themselves, the admin, and somebody without any rights."""
    found = {name: getattr(chain, name).address for name in CONTRACTS}
    return {**found, "admin": chain.admin, "stranger": STRANGER}


def knocks(chain: ChainWorld) -> tuple[list[Step], list[str]]:
    """Every function, by every sender, with empty and with small arguments."""
    steps, labels = [], []
    for name, contract, item in _functions(chain):
        for who, sender in senders(chain).items():
            for small in (0, 1):
                arguments = [_value(kind, small) for kind in item["inputs"]]
                steps.append(_step(contract, item, arguments, sender))
                labels.append(f"{name}.{item['name']} by {who} with {('nothing', 'ones')[small]}")
    return steps, labels


def knocks_while_locked(
    chain: ChainWorld, holder: Contract, between: Contract
) -> tuple[list[Step], list[str]]:
    """Every function, called by `between`, which `holder` calls while it holds the lock."""
    steps, labels = [], []
    for name, contract, item in _functions(chain):
        arguments = [_value(kind, 1) for kind in item["inputs"]]
        data = _step(contract, item, arguments, STRANGER).data
        inner = between.callFree.encode(contract.address, data)
        steps.append(holder.callLocked.step(between.address, inner, sender=STRANGER, delay=0))
        labels.append(f"{name}.{item['name']} while the lock is held")
    return steps, labels


def _functions(chain: ChainWorld) -> Iterator[tuple[str, Contract, Mapping[str, Any]]]:
    for name in CONTRACTS:
        contract: Contract = getattr(chain, name)
        if name == "settlement":
            continue  # not changed, and its place is the lock holder's
        for item in contract.abi:
            if item.get("type") == "function":
                yield name, contract, item


def _step(contract: Contract, item: Mapping[str, Any], arguments: list[Any], sender: str) -> Step:
    signature = f"{item['name']}({','.join(_kind(kind) for kind in item['inputs'])})"
    return contract[signature].step(*arguments, sender=sender, delay=0)


def _kind(component: Mapping[str, Any]) -> str:
    kind = str(component["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_kind(c) for c in component['components'])}){kind[5:]}"


def _value(component: Mapping[str, Any], small: int) -> Any:
    """Zero, nothing or false; with `small` one, a single item, an account or true."""
    kind = str(component["type"])
    if kind.endswith("]"):
        return []
    if kind == "tuple":
        return tuple(_value(c, small) for c in component["components"])
    if kind == "bool":
        return bool(small)
    if kind == "address":
        return to_checksum_address(STRANGER if small else "0x" + "00" * 20)
    if kind == "bytes32":
        return bytes.fromhex(STRANGER[2:]) + bytes(12) if small else bytes(32)
    if kind.startswith("bytes"):
        return bytes(int(kind[5:])) if kind[5:] else b""
    return "" if kind == "string" else small
