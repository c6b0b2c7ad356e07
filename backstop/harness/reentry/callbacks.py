"""The callbacks, their points in a transaction, and what has been played in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from eth_utils import keccak

from backstop.harness.reentry.calls import Call
from backstop.harness.reentry.entries import Entry

MUCH_GAS = 10**9
LARGEST_PROGRAM = 20_000
HOOKS = {
    keccak(text=text)[:4]: text.split("(")[0]
    for text in (
        *("transfer(address,uint256)", "transferFrom(address,address,uint256)"),
        *("approve(address,uint256)", "balanceOf(address)", "decimals()"),
        *("isValidSignature(bytes32,bytes)", "latestRoundData()", "isSanctioned(address)"),
        *("openDeficit(uint256)", "exposure()", "target()"),
        *("pay(uint256,address,uint256,uint256)", "quote(address,uint256,uint256)"),
    )
}
"""Callbacks by selector."""
ACTIVE = ("transfer", "transferFrom", "approve", "pay")
"""Callbacks in which state can be changed; each happens before and after the attacker's duty."""
NARROW = {"latestRoundData": 8, "pay": 12, "quote": 12}
"""Callbacks that get a fixed amount of gas, and how many calls it is enough for."""
OPEN_VIEWS = ("lock.holder()", "token")
"""Who is at work is said on purpose; the token is not ours, and its transfers come one by one."""
LOCKS = {
    keccak(text=text)[:4]
    for text in ("Locked(address)", "ReentrancyGuardReentrantCall()", "NotHolder(address,address)")
}
TOO_LITTLE_GAS = {bytes(4), keccak(text="NotEnoughGas(uint256,uint256)")[:4]}
"""Refusals where a callback gets a fixed amount of gas: no value is no wrong value."""


@dataclass(frozen=True)
class Point:
    """One callback of one transaction.

    Attributes:
        entry: the transaction.
        hook: name of the callback.
        selector: of the callback.
        occurrence: how many such callbacks come before it.
        caller: contract that calls back.
    """

    entry: Entry
    hook: str
    selector: bytes
    occurrence: int
    caller: str

    def __str__(self) -> str:
        return f"{self.entry.name}: {self.caller} -> {self.hook} #{self.occurrence}"


@dataclass
class Tally:
    """What was played."""

    pairs: set[tuple[str, str]] = field(default_factory=set)
    outcomes: Counter[str] = field(default_factory=Counter)
    views: int = 0
    compared: int = 0
    sequences: int = 0
    unread: int = 0
    findings: list[str] = field(default_factory=list)


def is_error(outcome: bytes) -> bool:
    """Whether it stands for a failed call: four bytes and nothing behind."""
    return not any(outcome[4:])


def is_lock(outcome: bytes) -> bool:
    """Whether the call failed because somebody is at work."""
    return is_error(outcome) and outcome[:4] in LOCKS


def chunks(calls: Sequence[Call], most: int) -> Iterator[list[Call]]:
    """Parts of a list that fit into a program."""
    part: list[Call] = []
    size = 0
    for call in calls:
        if part and (size + len(call.packed) > LARGEST_PROGRAM or len(part) == most):
            yield part
            part, size = [], 0
        part.append(call)
        size += len(call.packed)
    if part:
        yield part
