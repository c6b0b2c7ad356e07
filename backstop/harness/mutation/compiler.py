"""The pinned compiler, kept loaded for many small compilations."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from backstop.chain.artifacts import ROOT


class CompilerError(RuntimeError):
    """The compiler could not be started, died, or refused what must compile."""


@dataclass(frozen=True)
class Compiled:
    """The probe's run-time code and ABI."""

    code: str
    abi: list[dict[str, Any]]


def _node() -> str:
    """The Node that the environment's compiler runs on: its launcher names it."""
    for launcher in sorted((Path(sys.prefix) / "solc").glob("solc-v*")):
        if found := re.search(rb"exec (\S*node\S*) ", launcher.read_bytes()[:4096]):
            return found[1].decode().strip("'\"")
    return "node"


class Compiler:
    """A process that compiles standard JSON, request by request; a context."""

    def __init__(self, root: Path = ROOT) -> None:
        self._script = root / "tools" / "solc_server.js"
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        try:
            self._process = subprocess.Popen(
                [_node(), str(self._script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,  # Ctrl-C is for us
            )
        except OSError as error:
            raise CompilerError(f"the compiler does not start: {error}; run `make setup`") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def probe(self, request: Mapping[str, Any]) -> Compiled | str:
        """The compiled probe, or what the compiler says against it."""
        answer = self.ask(request)
        errors = [e for e in answer.get("errors", []) if e["severity"] == "error"]
        if errors:
            return str(errors[0]["message"]).splitlines()[0]
        contract = answer["contracts"]["Probe.sol"]["Probe"]
        return Compiled(contract["evm"]["deployedBytecode"]["object"], contract["abi"])

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The compiler's whole answer to one request."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise CompilerError("the compiler is not running: use it as a context")
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            raise CompilerError("the compiler died; its last words are above")
        answer: dict[str, Any] = json.loads(line)
        return answer
