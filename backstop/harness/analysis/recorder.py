"""A pytest plugin that writes down which instructions the tests executed.

`-p backstop.harness.analysis.recorder` with `BACKSTOP_COVERAGE` naming a folder. Every transaction
of the fast client is traced when it is mined, every view when it is called, and a sequence that is
simulated in one request is played once more, transaction by transaction, and undone. What was
seen before (same code, function, outcome and gas) is not traced again.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eth_utils import keccak

from backstop.harness import anvil, rpc
from backstop.harness.analysis.source_map import JUMPI

SLIM = {"disableStorage": True, "disableStack": True, "enableMemory": False}
"""Options of a trace: all that is needed is where it went."""

NOBODY = "0x" + "00" * 20

SAME_ANSWERS = 3
"""So many calls of a view with the same answer are traced: their gas is not known."""

WRITE_EVERY = 60.0
"""Seconds from one writing of the record to the next: a run that is stopped leaves what it has."""


class Record:
    """Codes that ran, by their digest, with the counters reached and the ways taken at jumps."""

    def __init__(self) -> None:
        self.codes: dict[str, bytes] = {}
        self.reached: dict[str, set[int]] = {}
        self.ways: dict[str, set[tuple[int, bool]]] = {}
        self.traced = self.skipped = self.failed = 0
        self.seen: Counter[Any] = Counter()

    def add(self, frames: Sequence[bytes], steps: Sequence[Mapping[str, Any]]) -> None:
        """Note a trace: `frames` are the codes of its calls in the order in which they begin."""
        waiting = iter(frames)
        stack: list[str] = []
        for position, step in enumerate(steps):
            depth, pc = step["depth"], step["pc"]
            if depth > len(stack):
                stack.append(self._code(next(waiting)))
            else:
                del stack[depth:]
            digest = stack[-1]
            self.reached[digest].add(pc)
            if self.codes[digest][pc] == JUMPI and position + 1 < len(steps):
                following = steps[position + 1]
                if following["depth"] == depth:
                    self.ways[digest].add((pc, following["pc"] != pc + 1))

    def _code(self, code: bytes) -> str:
        digest = keccak(code).hex()[:24]
        if digest not in self.codes:
            self.codes[digest] = code
            self.reached[digest] = set()
            self.ways[digest] = set()
        return digest

    def write(self, path: Path) -> None:
        """As JSON."""
        codes = {
            digest: {
                "code": code.hex(),
                "reached": sorted(self.reached[digest]),
                "ways": sorted(self.ways[digest]),
            }
            for digest, code in self.codes.items()
        }
        counts = {"traced": self.traced, "skipped": self.skipped, "failed": self.failed}
        path.write_text(json.dumps({"codes": codes, **counts}))


RECORD = Record()


def frames_of(client: rpc.RpcClient, call: Mapping[str, Any]) -> Iterator[bytes]:
    """The codes of a call tree in the order of the calls; accounts without code leave no steps."""
    if call["type"].startswith("CREATE"):
        yield bytes.fromhex(call["input"][2:])
    else:
        code = client.rpc("eth_getCode", call["to"], "latest")
        if len(code) > 2:
            yield bytes.fromhex(code[2:])
    for inner in call.get("calls", ()):
        yield from frames_of(client, inner)


def note(client: rpc.RpcClient, method: str, *what: Any) -> None:
    """Trace a transaction or a call and add it to the record."""
    last = what[-1] if isinstance(what[-1], dict) and "blockOverrides" in what[-1] else {}
    front = what[:-1] if last else what
    trace = client.rpc(method, *front, {**SLIM, **last})
    tracer = {"tracer": "callTracer", **last}
    tree = client.rpc(method, *front, tracer)
    frames = list(frames_of(client, tree))
    if frames and not trace["structLogs"]:
        raise RuntimeError(f"the node kept no steps of {what[0]}: it needs --steps-tracing")
    RECORD.add(frames, trace["structLogs"])
    RECORD.traced += 1


def fresh(key: Any, most: int = 1) -> bool:
    """Whether this is to be traced."""
    RECORD.seen[key] += 1
    if RECORD.seen[key] > most:
        RECORD.skipped += 1
        return False
    return True


def _watch_transactions() -> None:
    original = rpc.RpcClient._transact

    def transact(self: rpc.RpcClient, request: Mapping[str, Any]) -> Mapping[str, Any]:
        receipt = original(self, request)
        data = str(request.get("data", ""))
        gas = receipt["gasUsed"]
        if fresh((request.get("to"), data[:10], receipt["status"], gas)):
            note(self, "debug_traceTransaction", receipt["transactionHash"])
        return receipt

    rpc.RpcClient._transact = transact  # type: ignore[method-assign]


def _watch_calls() -> None:
    original = rpc.RpcClient.rpc

    def request(self: rpc.RpcClient, method: str, *params: Any) -> Any:
        if method != "eth_call":
            return original(self, method, *params)
        call, block, *overrides = params
        answer = "0x"
        try:
            answer = original(self, method, *params)
            return answer
        except rpc.RpcError as error:
            answer = error.revert_data.hex()[:8] + error.message
            raise
        finally:
            if fresh((call["to"], call["data"][:10], answer), SAME_ANSWERS):
                more = [{"blockOverrides": overrides[1]}] if len(overrides) > 1 else []
                note(self, "debug_traceCall", call, block, *more)

    rpc.RpcClient.rpc = request  # type: ignore[method-assign]


def _watch_sequences() -> None:
    original = rpc.RpcClient.simulate

    def simulate(
        self: rpc.RpcClient,
        steps: Sequence[rpc.Step],
        *more: Any,
        **named: Any,
    ) -> list[rpc.Outcome]:
        outcomes = original(self, steps, *more, **named)
        with self.isolated():
            now = self.timestamp
            for step, outcome in zip(steps, outcomes, strict=True):
                now = max(now + 1, outcome.timestamp)
                self.set_next_timestamp(now)
                with contextlib.suppress(rpc.Reverted):
                    self.send(step.to, step.data, step.sender or NOBODY, step.value, step.gas)
        return outcomes

    rpc.RpcClient.simulate = simulate  # type: ignore[method-assign]


def _nodes_for_tracing() -> None:
    original = anvil.Anvil.__init__

    def start(self: anvil.Anvil, **options: Any) -> None:
        extra = (*options.pop("extra", ()), "--disable-code-size-limit", "--steps-tracing")
        original(self, extra=extra, **options)

    anvil.Anvil.__init__ = start  # type: ignore[method-assign]


if FOLDER := os.environ.get("BACKSTOP_COVERAGE"):
    _nodes_for_tracing()
    _watch_transactions()
    _watch_calls()
    _watch_sequences()


_written = time.monotonic()


def _write() -> None:
    global _written
    if FOLDER and RECORD.codes:
        RECORD.write(Path(FOLDER) / f"record-{os.getpid()}.json")
    _written = time.monotonic()


def pytest_runtest_logfinish() -> None:
    """Write the record now and then."""
    if time.monotonic() - _written > WRITE_EVERY:
        _write()


def pytest_unconfigure() -> None:
    """Write the record."""
    _write()
