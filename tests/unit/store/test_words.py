"""Events read word by word say what the general decoder says, of every event of a deployment."""

from __future__ import annotations

import random
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils import keccak

from backstop.chain.artifacts import build_artifacts, contract_abi
from backstop.chain.deploy import ARTIFACTS
from backstop.chain.record import DeployedContract, Record
from backstop.harness.abi import canonical_type, signature_of
from backstop.store.decode import UNKNOWN, Decoder

WHERE = "0x" + "11" * 20


@pytest.fixture(scope="module")
def decoder(project: Any) -> Decoder:
    contracts = {
        role: DeployedContract(name, f"0x{number:040x}", "")
        for number, (role, name) in enumerate(ARTIFACTS.items(), start=1)
    }
    return Decoder(Record(1, 0, WHERE, "p", "", "USD", 6, True, contracts, ()), build_artifacts())


def value(kind: str, component: dict[str, Any], dice: random.Random) -> Any:
    """Any value of a type, the ends of its range more often than their share."""
    if kind == "tuple":
        return tuple(value(c["type"], c, dice) for c in component["components"])
    if kind == "bool":
        return dice.random() < 0.5
    if kind == "address":
        return "0x" + dice.randbytes(20).hex()
    if kind.endswith("]"):
        inner = kind[: kind.rindex("[")]
        return [value(inner, component, dice) for _ in range(dice.randrange(3))]
    if kind in ("string", "bytes"):
        return dice.randbytes(5).hex() if kind == "string" else dice.randbytes(40)
    if kind.startswith("bytes"):
        return dice.randbytes(int(kind[5:]))
    bits = int(kind.removeprefix("u").removeprefix("int"))
    low, high = (
        (0, 2**bits - 1) if kind.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    )
    return dice.choice((low, high, 0, dice.randint(low, high)))


def log_of(item: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    topics, kinds, values = ["0x" + keccak(text=signature_of(item)).hex()], [], []
    for component in item["inputs"]:
        kind = canonical_type(component)
        made = value(component["type"], component, dice)
        if component.get("indexed"):
            topics.append("0x" + encode([kind], [made]).hex().rjust(64, "0")[-64:])
        else:
            kinds.append(kind)
            values.append(made)
    return {"address": WHERE, "topics": topics, "data": "0x" + encode(kinds, values).hex()}


def events(decoder: Decoder) -> list[dict[str, Any]]:
    found = (i for abi in decoder.abis.values() for i in abi if i.get("type") == "event")
    return list({signature_of(item): item for item in found}.values())


def test_every_event_reads_the_same(decoder: Decoder) -> None:
    dice, fast = random.Random(6), 0
    for item in events(decoder):
        for _ in range(20):
            log = log_of(item, dice)
            found = decoder._decoded(log)
            assert found == decoder._generally(log), item["name"]
            assert list(found[1]) == list(decoder._generally(log)[1]), "in the event's order"
            assert found[0] == item["name"]
            fast += (log["topics"][0], len(log["topics"]) - 1) in decoder._words
    assert fast > 0.9 * 20 * len(events(decoder)), "nearly all events are words"


def test_a_log_that_is_not_what_its_event_says_reads_the_same_too(decoder: Decoder) -> None:
    """Cut off, too long, or with a word that its type cannot hold: the general decoder decides."""
    dice, kept_raw = random.Random(7), 0
    for item in events(decoder):
        log = log_of(item, dice)
        data = log["data"]
        dirty = "0x" + "ff" * (len(data) // 2 - 1)
        for changed in (data[:-2], data[:-64], data + "00" * 32, data + "00", dirty, "0x"):
            broken = {**log, "data": changed if len(changed) >= 2 else "0x"}
            found = decoder._decoded(broken)
            assert found == decoder._generally(broken), (item["name"], changed)
            kept_raw += found[0] == UNKNOWN
    assert kept_raw > len(events(decoder))


def test_the_artifacts_are_the_deployments(decoder: Decoder) -> None:
    assert set(decoder.abis) == set(ARTIFACTS) - {"token"}
    assert contract_abi(build_artifacts(), "Backstop") == decoder.abis["backstop"]
