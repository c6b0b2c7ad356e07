"""Source proofs: the compiler's own model checker makes the questions, Z3 answers them.

The compiler (SMTChecker, engine BMC) translates a property and the library that it calls into
integers of unbounded size with the rules of the language on top, and asks whether an assertion can
fail. It has no solver with it; tools/smt.js hands its questions to Z3.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backstop.chain.artifacts import ROOT
from backstop.harness.analysis.compilation import (
    ask,
    node,
    standard_json,
    with_imports,
)
from backstop.harness.analysis.properties import Property, replaced_sources

SOLVER = ROOT / ".venv-analysis" / "bin" / "z3"
KEPT = ROOT / ".build" / "proofs" / "decided"
PROVED, VIOLATED, UNDECIDED = "proved", "counterexample", "undecided"


@dataclass(frozen=True)
class Outcome:
    """What became of a property; `detail` is a counterexample, or what was not decided."""

    result: str
    seconds: float
    detail: str = ""


def check(request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """The compiler's answer, with a solver that may try each question for so many seconds."""
    environment = {
        **os.environ,
        "BACKSTOP_SOLVER": str(SOLVER),
        "BACKSTOP_SOLVER_SECONDS": str(max(1, round(seconds))),
    }
    command = [node(), str(ROOT / "tools" / "smt.js")]
    return ask(command, request, "the model checker", environment)


def request_of(
    prop: Property, fault: Mapping[str, str] | None = None, *, quotients: bool = False
) -> dict[str, Any]:
    """The compiler's input that asks for this property alone.

    `quotients` leaves a division to the solver, so that equal ones are equal; otherwise quotient
    and remainder are unknowns with an equation.
    """
    texts = with_imports([prop.file], replaced=replaced_sources(fault))
    checker = {
        "engine": "bmc",
        "targets": ["assert"],
        "contracts": {prop.file: [prop.name]},
        "showUnproved": True,
        "showProvedSafe": True,
        "solvers": ["smtlib2"],
        "divModNoSlacks": quotients,
    }
    return standard_json(texts, {"*": {"*": ["abi"]}}, modelChecker=checker)


def _place(request: Mapping[str, Any]) -> Path:
    whole = json.dumps(request).encode() + (ROOT / "package-lock.json").read_bytes()
    return KEPT / f"{hashlib.sha256(whole).hexdigest()[:24]}.json"


def recall(request: Mapping[str, Any]) -> Outcome | None:
    """What an earlier run made of the same request; None if it made nothing of it."""
    try:
        return Outcome(**json.loads(_place(request).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def remember(request: Mapping[str, Any], outcome: Outcome) -> None:
    """Keep what was decided."""
    KEPT.mkdir(parents=True, exist_ok=True)
    _place(request).write_text(json.dumps(vars(outcome)))


def recall_property(prop: Property, fault: Mapping[str, str] | None = None) -> Outcome | None:
    """What an earlier run made of a property and the same sources."""
    kept = (recall(request_of(prop, fault, quotients=quotients)) for quotients in (False, True))
    return next((outcome for outcome in kept if outcome), None)


def prove(prop: Property, timeout: float = 20.0, fault: Mapping[str, str] | None = None) -> Outcome:
    """Try to prove a property; no try at a question takes longer than `timeout` seconds.

    What was decided is kept by the digest of the request, which has every source in it.
    """
    started = time.monotonic()
    modes = (prop.quotients, not prop.quotients)
    requests = [request_of(prop, fault, quotients=quotients) for quotients in modes]
    for request in requests:
        if kept := recall(request):
            return kept
    for request in requests:
        told = check(request, timeout).get("errors", [])
        result, detail = read_messages(told, assertions_of(prop, fault))
        outcome = Outcome(result, round(time.monotonic() - started, 1), detail)
        if result != UNDECIDED:
            remember(request, outcome)
            break
    return outcome


def read_messages(messages: list[dict[str, Any]], expected: int) -> tuple[str, str]:
    """The result, from what the compiler says about `expected` assertions.

    Silence is no proof: every assertion must be reported as safe. What the checker cannot read
    (a revert with a custom error, say) it takes for anything at all, which proves too little, never
    too much.
    """
    texts = [str(message.get("message", "")) for message in messages]
    violated = [text for text in texts if "Assertion violation happens here" in text]
    if violated:
        return VIOLATED, violated[0]
    undecided = [text for text in texts if "Assertion violation might happen here" in text]
    if undecided:
        return UNDECIDED, f"{len(undecided)} assertions undecided"
    safe = sum("Assertion violation check is safe" in text for text in texts)
    if safe == 0 or safe < expected:
        return UNDECIDED, f"{safe} of {expected} assertions were reported as safe"
    return PROVED, f"{safe} assertions"


def assertions_of(prop: Property, fault: Mapping[str, str] | None = None) -> int:
    """How many assertions the property makes."""
    text = (fault or {}).get(prop.file) or (ROOT / prop.file).read_text()
    body = text.split(f"contract {prop.name} ")[1].split("\ncontract ")[0]
    return body.count("assert(")
