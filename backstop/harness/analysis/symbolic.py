"""Bytecode proofs: halmos runs the compiled code with symbolic inputs.

The checks and the libraries are laid out as a small Foundry project of their own below .build,
because halmos compiles what it finds. A planted fault goes into that copy.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backstop.chain.artifacts import ROOT
from backstop.harness.analysis.compilation import launcher, with_imports
from backstop.harness.analysis.properties import bytecode_properties
from backstop.harness.analysis.smt import (
    PROVED,
    UNDECIDED,
    VIOLATED,
    Outcome,
    recall,
    remember,
)

HALMOS = ROOT / ".venv-analysis" / "bin" / "halmos"
WORK = ROOT / ".build" / "proofs"

_CONFIGURATION = """[profile.default]
src = "tests/proofs/bytecode"
test = "tests/proofs/bytecode"
libs = ["node_modules"]
out = "out"
solc = "{solc}"
evm_version = "cancun"
optimizer = true
optimizer_runs = 200
via_ir = true
"""


class SymbolicError(RuntimeError):
    """The symbolic executor or its compiler failed; the message says what it said."""


def lay_out(folder: Path, fault: Mapping[str, str] | None = None) -> None:
    """The project that halmos compiles: checks, libraries, and our compiler with our settings."""
    shutil.rmtree(folder, ignore_errors=True)
    names = sorted({prop.file for prop in bytecode_properties()})
    for name, text in with_imports(names, replaced=fault).items():
        if not name.startswith("@"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    (folder / "node_modules").symlink_to(ROOT / "node_modules")
    (folder / "foundry.toml").write_text(_CONFIGURATION.format(solc=launcher()))


def _request(name: str, fault: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What the outcome of a check depends on."""
    file = next(prop.file for prop in bytecode_properties() if prop.name == name)
    return {"check": name, "sources": with_imports([file], replaced=fault)}


def recall_check(name: str, fault: Mapping[str, str] | None = None) -> Outcome | None:
    """What an earlier run made of a check of the same sources."""
    return recall(_request(name, fault))


def check_all(
    timeout: float = 60.0, fault: Mapping[str, str] | None = None, match: str = ""
) -> dict[str, Outcome]:
    """The outcome of every check whose name begins with `match`."""
    folder = WORK / ("faulty" if fault else "project")
    lay_out(folder, fault)
    answer = folder / "answer.json"
    done = subprocess.run(
        [
            *(str(HALMOS), "--root", str(folder), "--function", "check_"),
            *(
                "--match-test",
                f"^{match}" if match else "",
                "--no-status",
                "--storage-layout",
                "generic",
            ),
            *("--solver-timeout-assertion", f"{round(timeout)}s", "--solver", "yices"),
            *("--json-output", str(answer), "--loop", "256"),
        ],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if not answer.is_file():
        raise SymbolicError(f"halmos failed:\n{(done.stdout + done.stderr)[-3000:]}")
    outcomes = read_answer(json.loads(answer.read_text()))
    for name, outcome in outcomes.items():
        if outcome.result != UNDECIDED:
            remember(_request(name, fault), outcome)
    return outcomes


def _environment() -> dict[str, str]:
    """With the environments' folders for programs first: forge, yices and z3 are there."""
    folders = [str(HALMOS.parent), str(Path(sys.prefix) / "bin"), os.environ.get("PATH", "")]
    return {**os.environ, "PATH": os.pathsep.join(folders)}


def read_answer(answer: Mapping[str, Any]) -> dict[str, Outcome]:
    """Outcomes by the check's name. Its exit codes: 0 passed, 1 counterexample, else neither."""
    outcomes = {}
    for results in answer["test_results"].values():
        for result in results:
            name = str(result["name"]).split("(")[0]
            code = result["exitcode"]
            paths = (result.get("num_paths") or [0])[0]
            verdict = {0: PROVED, 1: VIOLATED}.get(code, UNDECIDED)
            seconds = round((result.get("time") or [0.0])[0], 1)
            detail = f"{paths} paths" if code == 0 else f"halmos says {code}"
            outcomes[name] = Outcome(verdict, seconds, detail)
    return outcomes
