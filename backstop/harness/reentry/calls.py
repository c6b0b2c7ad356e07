"""Calls made out of ABIs: every function and every view, with words that have a chance."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_utils import keccak

from backstop.chain.signing import as_tuple
from backstop.harness.abi import signature_of
from backstop.harness.bench import LIQUIDATION, PARAMETERS, WAD
from backstop.harness.reentry.world import (
    DAY,
    KEEPER,
    UNIT,
    WEAK,
    ReentryWorld,
    addresses,
    counter_order,
    feed_words,
)
from backstop.harness.rpc import Contract

SMALL = ("market", "series", "request", "era", "part", "event", "window", "role", "tag")
"""Names of numbers that count things."""
AMOUNTS = (1, UNIT, 10 * UNIT, 100 * UNIT, 1_000 * UNIT, WAD, 10 * WAD, 2**112, 2**255)
PRICES = (1, 80 * WAD, 88 * WAD, 90 * WAD, 2**255)


@dataclass(frozen=True)
class Call:
    """One call that the attacker can make.

    Attributes:
        name: `contract.function(types)`.
        to: the contract's address.
        data: selector and arguments.
    """

    name: str
    to: str
    data: bytes

    @property
    def packed(self) -> bytes:
        """Target, length, data: what `Reenterer` reads."""
        return bytes.fromhex(self.to[2:]) + len(self.data).to_bytes(2, "big") + self.data


def program(calls: Sequence[Call]) -> bytes:
    """The calls behind each other."""
    return b"".join(call.packed for call in calls)


def offset(calls: Sequence[Call], position: int) -> int:
    """Byte of a program at which its call number `position` begins."""
    return sum(len(call.packed) for call in calls[:position])


def functions(contract: Contract, *, views: bool) -> list[Mapping[str, Any]]:
    """The ABI entries of a contract's views, or of what may change something."""
    constant = ("view", "pure")
    return [
        item
        for item in contract.abi
        if item.get("type") == "function" and (item["stateMutability"] in constant) == views
    ]


def known_words(world: ReentryWorld) -> dict[str, list[Sequence[Any]]]:
    """Arguments that chance would not find, by `contract.function`; all else is drawn."""
    b, s, me = world.bench, world.bench.system, world.account
    who, weak, at = world.attacker.address, b.account(WEAK), b.engine.address
    order, signature = counter_order(world)
    own = as_tuple(world.order(10**8, is_buy=True, base=20 * WAD))
    now = world.client.timestamp
    put = (at, 0, 80 * WAD, 10 * WAD, 85 * WAD, 10**9, 20_000, now + DAY, now + 9 * DAY)
    schedule = (b.fund.address, b.fund.noteSolvency.encode(), 0)
    caps = list(s.backstop.terms(0)[0])
    return {
        "authority.schedule": [schedule],
        "engine.listMarket": [(PARAMETERS, LIQUIDATION)],
        "engine.setMarket": [(0, PARAMETERS, LIQUIDATION)],
        "engine.setCoverTerms": [(0, 1_500_000, 250_000, 500_000)],
        "engine.tightenMarket": [(0, 150_000, 40_000, 3_600)],
        "engine.settleFill": [((0, True, False, me, weak, WAD, 88 * WAD),)],
        "oracle.setFeeds": [(0, feed_words(s.oracle.feeds(0)))],
        "fund.recover": [(*world.receipt, UNIT)],
        "fund.tightenClaimant": [(at, (10**9, 10**9, DAY))],
        "tranche.setTerms": [(10**15, 7 * DAY)],
        "tranche.transferFrom": [(who, who, 0)],
        "settlement.fill": [(order, signature, me, WAD // 10)],
        "settlement.cancelAll": [(me, 5)],
        "settlement.matchOrders": [(own, b"", order, signature, WAD // 10)],
        "liquidator.takeOver": [(weak, 0, me, 2**255, 2**255)],
        "liquidator.liquidateWithOrders": [(weak, 0, b.account(KEEPER), [own], [b""])],
        "backstop.tightenCaps": [(0, caps)],
        "crash_put.open": [(put,)],
        "risk_oracle.setRules": [(s.risk_oracle.rules(),)],
    }


class Writer:
    """Draws arguments for the functions of a world.

    Args:
        world: whose accounts, addresses and orders are named.
        seed: of all choices.
    """

    def __init__(self, world: ReentryWorld, seed: int) -> None:
        self.world = world
        self.dice = random.Random(seed)
        self._addresses = list(addresses(world))
        self._contracts = [contract.address for contract in world.contracts.values()]
        self._accounts = world.accounts
        self._known = known_words(world)

    def call(self, name: str, contract: Contract, item: Mapping[str, Any]) -> Call:
        """The function with arguments drawn for it."""
        words = [self._word(part) for part in item.get("inputs", [])]
        signature = signature_of(item)
        if (known := self._known.get(f"{name}.{item['name']}")) and self.dice.random() < 0.8:
            words = list(self.dice.choice(known))
        data = contract[signature].encode(*words)
        return Call(f"{name}.{signature}", contract.address, bytes(data))

    def every(self, *, views: bool, tries: int) -> dict[str, list[Call]]:
        """`tries` different calls of every function (or view), by its name."""
        found: dict[str, list[Call]] = {}
        for name, contract in self.world.contracts.items():
            for item in functions(contract, views=views):
                many = tries if item.get("inputs") else 1
                calls = {self.call(name, contract, item) for _ in range(many)}
                found[f"{name}.{signature_of(item)}"] = sorted(calls, key=lambda c: c.data)
        if views:
            found |= self._tokens_views()
        return found

    def _tokens_views(self) -> dict[str, list[Call]]:
        """What the token says of everybody: conservation is part of every comparison."""
        token = self.world.attacker
        holders = [*self._contracts, token.address, *self.world.bench.users[:8]]
        data = [token.balanceOf.encode(who) for who in holders]
        spenders = [
            self.world.bench.engine,
            self.world.bench.fund,
            self.world.bench.system.backstop,
        ]
        data += [
            token.allowance.encode(holder.address, spender.address)
            for holder in spenders
            for spender in spenders
        ]
        calls = [Call("token", token.address, bytes(each)) for each in data]
        return {"token.balanceOf and allowance": calls}

    # ------------------------------------------------------------------ words

    def _word(self, part: Mapping[str, Any]) -> Any:
        kind, name = str(part["type"]), str(part.get("name", "")).lower()
        if kind.endswith("]"):
            item = {**part, "type": kind[: kind.rindex("[")]}
            fixed = kind[kind.rindex("[") + 1 : -1]
            return [
                self._word(item) for _ in range(int(fixed) if fixed else self.dice.randrange(3))
            ]
        if kind == "tuple":
            return self._struct(part)
        if kind == "address":
            return self._address(name)
        if kind == "bool":
            return self.dice.random() < 0.5
        if kind == "string":
            return self.dice.choice(("", "a word"))
        if kind == "bytes":
            return self._bytes(name)
        if kind.startswith("bytes"):
            return self._fixed_bytes(int(kind[5:]), name)
        return self._number(kind, name)

    def _struct(self, part: Mapping[str, Any]) -> Any:
        inside = str(part.get("internalType", ""))
        if inside.endswith(".Order"):
            order = self.world.order(self.dice.randrange(2, 10**6), is_buy=self.dice.random() < 0.5)
            return list(as_tuple(order))
        return [self._word(member) for member in part["components"]]

    def _address(self, name: str) -> str:
        if name in ("target", "asset", "newauthority") or name.startswith("contract"):
            return self.dice.choice(self._contracts)
        if name == "claimant":
            return self.dice.choice((self.world.bench.engine.address, self.world.attacker.address))
        if self.dice.random() < 0.7:
            return self.world.attacker.address
        return self.dice.choice(self._addresses)

    def _fixed_bytes(self, length: int, name: str) -> bytes:
        if length == 32 and ("account" in name or name in ("keeper", "taker", "buyer", "to")):
            if name in ("keeper", "taker", "buyer") and self.dice.random() < 0.8:
                return self.world.account
            return self.dice.choice(self._accounts)
        if length == 4:
            return keccak(text="poke(uint256)")[:4]
        return bytes(length)

    def _bytes(self, name: str) -> bytes:
        if name == "receipt":
            return self.world.receipt[1]
        if name == "data":  # of a call that the authority makes
            return bytes(self.world.bench.fund.noteSolvency.encode())
        return b""

    def _number(self, kind: str, name: str) -> int:
        if any(name.startswith(word) or name == "id" for word in SMALL):
            value = self.dice.choice((0, 0, 1, 1, 2, 3, 4, 5))
        elif "price" in name:
            value = self.dice.choice(PRICES)
        elif "ppm" in name or "ppb" in name:
            value = self.dice.choice((0, 1_000, 50_000, 150_000))
        elif name in ("when", "expiration", "expiry", "deadline"):
            value = self.dice.choice((0, 2**40))
        else:
            value = self.dice.choice(AMOUNTS)
        bits = int(kind.removeprefix("u").removeprefix("int") or 256)
        most = 2 ** (bits if kind.startswith("u") else bits - 1) - 1
        return min(value, most)
