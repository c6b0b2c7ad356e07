"""A pytest plugin that writes down which instructions the tests executed.

`-p backstop.harness.analysis.recorder` with `BACKSTOP_COVERAGE` naming a folder. Transactions of
the fast client are traced when they are mined, views when they are called, and a sequence that is
simulated in one request is played once more, transaction by transaction, and undone. What was
seen before (same code, function, outcome and gas) is not traced again, and what has long shown
nothing new only now and then (`interest`).
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from eth_utils import keccak

from backstop.harness import anvil, rpc
from backstop.harness.analysis.interest import Interest, outline
from backstop.harness.analysis.source_map import JUMPI

SLIM = {"disableStorage": True, "disableStack": True, "enableMemory": False}
"""Options of a trace: all that is needed is where it went."""

NOBODY = "0x" + "00" * 20
DELEGATED = bytes.fromhex("ef0100")

SAME_ANSWERS = 3
"""So many calls of a view with the same answer are traced: their gas is not known."""

SAME_SEQUENCES = 2
"""So many simulated sequences of the same calls with the same outcomes are played once more."""

MOST_GAS = 60_000_000
"""A simulated call may have more; a block of the node has not."""

WRITE_EVERY = 60.0
"""Seconds from one writing of the record to the next: a run that is stopped leaves what it has."""


class Record:
    """Codes that ran, by their digest, with the counters reached and the ways taken at jumps."""

    def __init__(self) -> None:
        self.codes: dict[str, bytes] = {}
        self.reached: dict[str, set[int]] = {}
        self.ways: dict[str, set[tuple[int, bool]]] = {}
        self.traced = self.skipped = 0
        # by the code's size: contracts that differ in their immutables only are one
        self._known: dict[int, set[Any]] = defaultdict(set)

    def add(self, frames: Sequence[bytes], steps: Sequence[Mapping[str, Any]]) -> bool:
        """Note a trace; whether it reached anything new.

        `frames` are the codes of its calls in the order in which they begin.
        """
        waiting = iter(frames)
        new = False
        stack: list[str] = []
        for position, step in enumerate(steps):
            depth, pc = step["depth"], step["pc"]
            if depth > len(stack):
                stack.append(self._code(next(waiting)))
            else:
                del stack[depth:]
            digest = stack[-1]
            code, what = self.codes[digest], pc
            self.reached[digest].add(pc)
            if code[pc] == JUMPI and position + 1 < len(steps):
                following = steps[position + 1]
                if following["depth"] == depth:
                    what = (pc, following["pc"] != pc + 1)
                    self.ways[digest].add(what)
            if what not in self._known[len(code)]:
                self._known[len(code)].add(what)
                new = True
        return new

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
        counts = {"traced": self.traced, "skipped": self.skipped}
        path.write_text(json.dumps({"codes": codes, **counts}))


RECORD, INTEREST = Record(), Interest()

_CODES: dict[str, bytes] = {}
"""Codes by address, until the node goes back to a state before."""


def code_at(client: rpc.RpcClient, where: str) -> bytes:
    """The code at an address."""
    if not _CODES.get(where):  # where nothing is yet, something may be deployed
        _CODES[where] = bytes.fromhex(client.rpc("eth_getCode", where, "latest")[2:])
    code = _CODES[where]
    # an account that delegates to a contract (EIP-7702) runs that one's code
    return code_at(client, "0x" + code[3:].hex()) if code[:3] == DELEGATED else code


def frames_of(client: rpc.RpcClient, call: Mapping[str, Any]) -> Iterator[bytes]:
    """The codes of a call tree in the order of the calls; accounts without code leave no steps."""
    if call["type"].startswith("CREATE"):
        yield bytes.fromhex(call["input"][2:])
    elif code := code_at(client, call["to"]):
        yield code
    for inner in call.get("calls", ()):
        yield from frames_of(client, inner)


def note(client: rpc.RpcClient, kind: Hashable, method: str, *what: Any) -> None:
    """Trace a transaction or a call of this kind and add it to the record, if it may be new."""
    last = what[-1] if isinstance(what[-1], dict) and "blockOverrides" in what[-1] else {}
    front = what[:-1] if last else what
    tree = client.rpc(method, *front, {"tracer": "callTracer", **last})
    kind = (kind, outline(tree))
    if not INTEREST.wants(kind):
        RECORD.skipped += 1
        return
    trace = client.rpc(method, *front, {**SLIM, **last})
    frames = list(frames_of(client, tree))
    if frames and not trace["structLogs"]:
        raise RuntimeError(f"the node kept no steps of {what[0]}: it needs --steps-tracing")
    INTEREST.note(kind, RECORD.add(frames, trace["structLogs"]))
    RECORD.traced += 1


def _size(client: rpc.RpcClient, request: Mapping[str, Any]) -> int:
    """Of the code that runs: contracts of one size that have the same function are the same."""
    to = request.get("to")
    return len(code_at(client, to)) if to else -len(str(request["data"]))


def _watch_transactions() -> None:
    original = rpc.RpcClient._transact

    def transact(self: rpc.RpcClient, request: Mapping[str, Any]) -> Mapping[str, Any]:
        size = _size(self, request)
        receipt = original(self, request)
        function = str(request.get("data", ""))[:10]
        # the gas of failures says nothing: of a long calldata it is the least that is charged
        failed = int(receipt["status"], 16) != 1
        if failed or INTEREST.is_new((size, function, receipt["gasUsed"])):
            topics = tuple(log["topics"][0] for log in receipt["logs"] if log["topics"])
            kind = (size, frozenset(topics))
            note(self, kind, "debug_traceTransaction", receipt["transactionHash"])
        else:
            RECORD.skipped += 1
        return receipt

    rpc.RpcClient._transact = transact  # type: ignore[method-assign]


def _watch_requests() -> None:
    original = rpc.RpcClient.rpc

    def request(self: rpc.RpcClient, method: str, *params: Any) -> Any:
        if method in ("evm_revert", "anvil_setCode"):
            _CODES.clear()
        if method == "debug_traceTransaction" and params[1:] == ({"disableStorage": True},):
            # the client asks for the reason of a failure: not with all steps of unoptimised code
            tree = original(self, method, params[0], {"tracer": "callTracer"})
            return {"returnValue": tree.get("output", "0x")}
        if method != "eth_call":
            return original(self, method, *params)
        answer = "0x"
        try:
            answer = original(self, method, *params)
            return answer
        except rpc.RpcError as error:
            answer = error.revert_data.hex()[:8] + error.message
            raise
        finally:
            _note_call(self, answer, *params)

    rpc.RpcClient.rpc = request  # type: ignore[method-assign]


def _note_call(client: rpc.RpcClient, answer: str, call: Any, block: Any, *overrides: Any) -> None:
    size = _size(client, call)
    function = str(call.get("data") or call.get("input"))[:10]
    if INTEREST.is_new((size, function, answer), SAME_ANSWERS):
        more = [{"blockOverrides": overrides[1]}] if len(overrides) > 1 else []
        note(client, size, "debug_traceCall", call, block, *more)
    else:
        RECORD.skipped += 1


def _watch_sequences() -> None:
    original = rpc.RpcClient.simulate

    def simulate(
        self: rpc.RpcClient,
        steps: Sequence[rpc.Step],
        *more: Any,
        **named: Any,
    ) -> list[rpc.Outcome]:
        outcomes = original(self, steps, *more, **named)
        ends = (outcome.error.name if outcome.error else "" for outcome in outcomes)
        kind = frozenset(
            (step.to, step.data[:4], end) for step, end in zip(steps, ends, strict=True)
        )
        if not INTEREST.is_new(kind, SAME_SEQUENCES):
            RECORD.skipped += len(steps)
            return outcomes
        with self.isolated():
            now = self.timestamp
            for step, outcome in zip(steps, outcomes, strict=True):
                now = max(now + 1, outcome.timestamp)
                self.set_next_timestamp(now)
                with contextlib.suppress(rpc.Reverted):
                    gas = min(step.gas, MOST_GAS)
                    self.send(step.to, step.data, step.sender or NOBODY, step.value, gas)
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
    _watch_requests()
    _watch_sequences()


_written = time.monotonic()


def _write() -> None:
    global _written
    if FOLDER and RECORD.codes:
        RECORD.write(Path(FOLDER) / f"record-{os.getpid()}.json")
    _written = time.monotonic()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Between tests the state goes back without our client."""
    _CODES.clear()


def pytest_runtest_logfinish() -> None:
    """Write the record now and then."""
    if time.monotonic() - _written > WRITE_EVERY:
        _write()


def pytest_unconfigure() -> None:
    """Write the record."""
    _write()
