"""Recorded plays that judge changed contracts: each is one request, and what must come back.

A play is a sequence of steps of a duel or a state machine that twin and unchanged contracts agreed
on. It is replayed with changed code laid over the contracts' addresses. Any answer that differs
(success, returned data, revert data, events) counts as noticed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from backstop.harness.rpc import DEFAULT_GAS, NodeError, RpcClient, Step

VIEWS_EVERY: Final = 20
"""Steps of a duel between two looks at all views."""

_OVER: Final = '"@over@"'


@dataclass(frozen=True)
class Play:
    """One request, and the answers that it must get.

    Attributes:
        name: where it comes from.
        labels: what every call is, for a report.
        client: of the node that is in the state where it begins.
        request: parameters of `eth_simulateV1` with a place for the code to lay over.
        base: code that is laid over in any case, by address.
        answers: of the unchanged contracts.
    """

    name: str
    labels: tuple[str, ...]
    client: RpcClient
    request: str
    base: Mapping[str, str]
    answers: tuple[Any, ...] = ()

    @property
    def reached(self) -> set[tuple[str, str, str]]:
        """What was done and how it ended: function, success, first bytes of an error's data."""
        ended = zip(self.labels, self.answers, strict=True)
        return {
            (label.split("(", 1)[1], answer[0], answer[1][:10] if answer[0] == "0x0" else "")
            for label, answer in ended
            if "(" in label
        }

    def difference(self, over: Mapping[str, str]) -> str | None:
        """The first answer that differs with this code (by address), or None."""
        got = self.ask(over)
        for number, (mine, theirs) in enumerate(zip(self.answers, got, strict=True)):
            if mine != theirs:
                return f"{self.name}, {self.labels[number]}: {_told(mine, theirs)}"
        return None

    def ask(self, over: Mapping[str, str]) -> list[Any]:
        """Status, data and events of every call; not the gas, which is no result."""
        laid = {address: {"code": "0x" + code} for address, code in {**self.base, **over}.items()}
        params = self.request.replace(_OVER, json.dumps(laid), 1)
        body = f'{{"jsonrpc":"2.0","id":1,"method":"eth_simulateV1","params":{params}}}'
        answer = json.loads(self.client._post(body.encode(), "eth_simulateV1"))
        if "error" in answer:
            raise NodeError(f"the node refuses a play: {answer['error']}")
        return [_plain(call) for block in answer["result"] for call in block["calls"]]


def _plain(call: Mapping[str, Any]) -> tuple[Any, ...]:
    logs = [(log["address"], *log["topics"], log["data"]) for log in call["logs"]]
    return call["status"], call["returnData"], logs


def _told(mine: Any, theirs: Any) -> str:
    if mine[0] != theirs[0]:
        return "succeeds" if theirs[0] == "0x1" else f"reverts with {theirs[1][:10]}"
    if mine[1] != theirs[1]:
        return "other data returned" if mine[0] == "0x1" else f"other error {theirs[1][:10]}"
    return "other events"


def play_of(
    name: str,
    client: RpcClient,
    steps: Sequence[Step],
    labels: Sequence[str],
    views: Mapping[str, Step],
    base: Mapping[str, str] | None = None,
) -> Play:
    """A play of these steps, with the answers of the contracts as they are now.

    Raises:
        ValueError: a transaction that succeeded in a recording fails here, or the other way round.
    """
    head = client.rpc("eth_getBlockByNumber", "latest", False)
    blocks, told = _blocks(head, steps, labels, views)
    blocks[0]["stateOverrides"] = "@over@"
    request = json.dumps([{"blockStateCalls": blocks}, "latest"])
    play = Play(name, tuple(told), client, request, dict(base or {}))
    answers = tuple(play.ask({}))
    for label, answer in zip(told, answers, strict=True):
        refused = "refused transaction" in label
        if "transaction" in label and refused != (answer[0] == "0x0"):
            raise ValueError(f"{name}, {label}: the simulation does not do what was recorded")
    return replace(play, answers=answers)


def _blocks(
    head: Mapping[str, Any],
    steps: Sequence[Step],
    labels: Sequence[str],
    views: Mapping[str, Step],
) -> tuple[list[dict[str, Any]], list[str]]:
    """The steps in blocks by their time, with the views now and then and at the end."""
    blocks: list[dict[str, Any]] = []
    told: list[str] = []
    number, now = int(head["number"], 16), int(head["timestamp"], 16)
    for position, step in enumerate(steps):
        if step.delay or not position:
            now, number = now + max(1, step.delay), number + 1
            times = {"number": hex(number), "time": hex(now)}
            free = {"gasLimit": hex(10**12), "baseFeePerGas": "0x0"}
            blocks.append({"blockOverrides": {**times, **free}, "calls": []})
        blocks[-1]["calls"].append(step.request())
        told.append(f"step {position} ({labels[position]})")
        if views and (position % VIEWS_EVERY == VIEWS_EVERY - 1 or position == len(steps) - 1):
            blocks[-1]["calls"] += [replace(v, gas=DEFAULT_GAS).request() for v in views.values()]
            told += [f"{view} after step {position}" for view in views]
    return blocks, told
