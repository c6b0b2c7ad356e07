"""Source proofs: the compiler's own model checker makes the questions, Z3 answers them.

The compiler (SMTChecker, engine BMC) translates a property and the library that it calls into
integers of unbounded size with the rules of the language on top, and asks whether an assertion can
fail. It has no solver with it; tools/smt.js hands its questions to Z3.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backstop.chain.artifacts import ROOT
from backstop.harness.analysis.compilation import (
    CompilationError,
    node,
    refuse_errors,
    standard_json,
    with_imports,
)
from backstop.harness.analysis.properties import Property, replaced_sources

SOLVER = ROOT / ".venv-analysis" / "bin" / "z3"
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
    done = subprocess.run(
        [node(), str(ROOT / "tools" / "smt.js")],
        input=json.dumps(request),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise CompilationError(f"the model checker failed:\n{done.stderr[-2000:]}") from None
    refuse_errors(answer)
    return answer


def request_of(prop: Property, fault: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The compiler's input that asks for this property alone."""
    texts = with_imports([prop.file], replaced=replaced_sources(fault))
    checker = {
        "engine": "bmc",
        "targets": ["assert"],
        "contracts": {prop.file: [prop.name]},
        "showUnproved": True,
        "showProvedSafe": True,
        "solvers": ["smtlib2"],
    }
    return standard_json(texts, {"*": {"*": ["abi"]}}, modelChecker=checker)


def prove(prop: Property, timeout: float = 20.0, fault: Mapping[str, str] | None = None) -> Outcome:
    """Try to prove a property; no try at a question takes longer than `timeout` seconds."""
    started = time.monotonic()
    answer = check(request_of(prop, fault), timeout)
    result, detail = read_messages(answer.get("errors", []))
    return Outcome(result, round(time.monotonic() - started, 1), detail)


def read_messages(messages: list[dict[str, Any]]) -> tuple[str, str]:
    """The result, from what the compiler says about the assertions.

    Silence is no proof: at least one assertion must be reported as safe and none otherwise.
    """
    texts = [str(message.get("message", "")) for message in messages]
    violated = [text for text in texts if "Assertion violation happens here" in text]
    if violated:
        return VIOLATED, violated[0]
    undecided = [text for text in texts if "Assertion violation might happen here" in text]
    if undecided:
        return UNDECIDED, f"{len(undecided)} assertions undecided"
    safe = [text for text in texts if "Assertion violation check is safe" in text]
    other = [text for text in texts if text.startswith(("BMC:", "CHC:", "SMTChecker:"))]
    if len(safe) == 0 or len(other) != len(safe):
        return UNDECIDED, "; ".join(t for t in other if t not in safe) or "no assertion was checked"
    return PROVED, f"{len(safe)} assertions"
