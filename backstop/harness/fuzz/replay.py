"""A case on the contracts: transaction by transaction, whole in one request, and through ape.

All are compared with the twin to the wei, and with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from backstop.harness.abi import Event
from backstop.harness.duel import Disagreement, Expected, plain
from backstop.harness.fuzz.ape_way import through_ape
from backstop.harness.fuzz.case import Case
from backstop.harness.fuzz.recording import RecordingDuel
from backstop.harness.rpc import Outcome, Reverted, RpcClient, RpcError, Step
from backstop.harness.world import ChainWorld

WAYS: Final = ("transactions", "simulation")
"""What is played unless asked for otherwise."""

ALL_WAYS: Final = (*WAYS, "ape")
_METHOD_NOT_FOUND: Final = -32601


@dataclass(frozen=True)
class Replay:
    """What a replay found.

    Attributes:
        duel: the twin's play.
        ways: how the contracts were played; without `simulation` if the node does not offer it.
        missing: milestones that the case promises and that were not reached.
    """

    duel: RecordingDuel
    ways: tuple[str, ...]
    missing: tuple[str, ...]


def replay(case: Case, chain: ChainWorld, ways: Sequence[str] = WAYS) -> Replay:
    """Plays a case on twin and contracts; the chain is left as it was.

    Raises:
        CaseError: an action cannot be read.
        InvariantBroken: an invariant of the twin does not hold.
        Disagreement: contracts and twin differ, or the two ways do.
    """
    duel = case.play(chain)
    duel.complete()
    seen: dict[str, list[Outcome]] = {}
    for way in ways:
        outcomes = _outcomes(duel, chain, way)
        if outcomes is None:  # no eth_simulateV1
            seen.setdefault("transactions", by_transactions(duel, chain.client))
        else:
            seen[way] = outcomes
    for way, outcomes in seen.items():
        try:
            duel.judge(outcomes)
        except Disagreement as error:
            error.add_note(f"played by {way}")
            raise
    for one, other in pairwise(seen):
        same_outcomes(seen[one], seen[other], (one, other))
    missing = tuple(name for name in case.reaches if not duel.milestones[name])
    return Replay(duel, tuple(seen), missing)


def _outcomes(duel: RecordingDuel, chain: ChainWorld, way: str) -> list[Outcome] | None:
    if way == "transactions":
        return by_transactions(duel, chain.client)
    if way == "ape":
        with through_ape(chain.client) as client:
            return by_transactions(duel, client)
    try:
        return chain.client.simulate(duel.steps, duel.probes(), chain.reader)
    except RpcError as error:
        if error.code != _METHOD_NOT_FOUND:
            raise
        return None


def by_transactions(duel: RecordingDuel, client: RpcClient) -> list[Outcome]:
    """Every step as a transaction of its own, with all views after it; undone at the end.

    What a transaction returns is asked for by a call of the same sender at the same time.
    """
    probes = duel.probes()
    outcomes = []
    now = client.timestamp
    snapshot = client.snapshot()
    try:
        client.rpc("anvil_setBlockTimestampInterval", 0)
        for position, step in enumerate(duel.steps):
            moved = step.delay or position == 0
            now += max(1, step.delay) if moved else 0
            if moved and step.sender is not None:
                client.set_next_timestamp(now)
            outcomes.append(_transact(client, step, duel.expected[position], probes, now))
    finally:
        client.revert(snapshot)
        client.rpc("anvil_setBlockTimestampInterval", 12)
    return outcomes


def _transact(
    client: RpcClient, step: Step, expected: Expected, probes: dict[str, Step], now: int
) -> Outcome:
    """One step; a view (no sender) is only called."""
    value: Any = None
    error: Reverted | None = None
    gas = 0
    events: tuple[Event, ...] = ()
    try:
        data = client.call(step.to, step.data, sender=step.sender, value=step.value, at=now)
        value = data if step.function is None else step.function.decode(data)
    except Reverted as reverted:
        error = reverted
    if step.sender is not None:
        failed: Reverted | None = None
        try:
            receipt = client.send(step.to, step.data, step.sender, step.value, step.gas)
            gas, events = receipt.gas_used, receipt.events
        except Reverted as reverted:
            failed = reverted
        if _plain(failed) != _plain(error):
            raise Disagreement(f"a call of {expected.kind} says {error}, the transaction {failed}")
    seen = {}
    if expected.shown is not None:
        seen = {name: _read(client, name, probe) for name, probe in probes.items()}
    return Outcome(error is None, value, error, gas, events, seen, now)


def _read(client: RpcClient, name: str, probe: Step) -> Any:
    try:
        data = client.call(probe.to, probe.data)
    except Reverted as error:
        error.add_note(f"while reading the probe {name}")
        raise
    return data if probe.function is None else probe.function.decode(data)


def same_outcomes(
    left: Sequence[Outcome], right: Sequence[Outcome], ways: tuple[str, str] = WAYS
) -> None:
    """That two plays of the same steps did the same; raises Disagreement."""
    if len(left) != len(right):
        raise Disagreement(f"{len(left)} steps by {ways[0]}, {len(right)} by {ways[1]}")
    for number, (one, other) in enumerate(zip(left, right, strict=True)):
        for what, a, b in (
            ("error", _plain(one.error), _plain(other.error)),
            ("result", plain(one.value), plain(other.value)),
            ("time", one.timestamp, other.timestamp),
            ("events", _events(one), _events(other)),
        ):
            if a != b:
                raise Disagreement(f"step {number}: {what} is {a} by {ways[0]}, {b} by {ways[1]}")
        if one.probes.keys() != other.probes.keys():
            raise Disagreement(f"step {number}: {ways[0]} and {ways[1]} read other views")
        for name in one.probes:
            if plain(one.probes[name]) != plain(other.probes[name]):
                raise Disagreement(f"step {number}: {name} differs between the two ways")


def _plain(error: Reverted | None) -> Any:
    return None if error is None else (error.name, plain(list(error.arguments.values())))


def _events(outcome: Outcome) -> list[Any]:
    return [(e.name, e.address, plain(list(e.arguments.values()))) for e in outcome.events]
