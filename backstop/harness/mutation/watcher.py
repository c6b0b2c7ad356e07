"""A pytest plugin for tests on contracts with changed code: writes down which tests fail.

`-p backstop.harness.mutation.watcher` with `BACKSTOP_FAILED` naming a file, which gets the ids of
the tests that failed, one a line. Nodes are started without a limit of code size: the contracts are
compiled without the optimiser.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from backstop.harness import anvil
from backstop.harness.mutation.project import NODE_OPTIONS

VARIABLE = "BACKSTOP_FAILED"


def _large_contracts() -> None:
    original = anvil.Anvil.__init__

    def start(self: anvil.Anvil, **options: Any) -> None:
        original(self, extra=(*options.pop("extra", ()), *NODE_OPTIONS), **options)

    anvil.Anvil.__init__ = start  # type: ignore[method-assign]


if FILE := os.environ.get(VARIABLE):
    _large_contracts()


def pytest_runtest_logreport(report: Any) -> None:
    """Note a test that fails, or whose fixtures do."""
    if FILE and report.failed:
        with Path(FILE).open("a") as file:
            file.write(report.nodeid + "\n")
