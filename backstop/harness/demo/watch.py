"""The live page beside the demo: a process of its own, so that neither slows the other down."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console

from backstop.chain.artifacts import ROOT
from backstop.chain.deploy import System
from backstop.chain.processes import stop


class Watch:
    """Serves the page from the moment the system is deployed until the context ends.

    Args:
        url: of the node.
        console: where the page's address is printed.
        enabled: False does nothing at all.
    """

    def __init__(self, url: str, console: Console, *, enabled: bool = True) -> None:
        self._url, self._console, self._enabled = url, console, enabled
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[str] | None = None

    def begin(self, system: System) -> None:
        """Start the page; its address is printed. A demo without its page goes on."""
        if not self._enabled:
            return
        self._folder = tempfile.TemporaryDirectory(prefix="backstop-watch-")
        record = system.record.save(Path(self._folder.name) / "record.json")
        # prices move by hours in seconds here, and at the end nothing moves: no stall
        options = ("--rpc", self._url, "--record", str(record), "--stall", "0", "--open")
        self._process = self._start(*options) or self._start(*options, "--port", "0")

    def _start(self, *options: str) -> subprocess.Popen[str] | None:
        """The process once it serves; None if it does not, a taken port say."""
        assert self._folder is not None
        errors = Path(self._folder.name) / "errors"
        with errors.open("w") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "backstop.monitor", *options],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=sink,
                text=True,
                start_new_session=True,
            )
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        if line:
            self._console.print(f"  {line.removesuffix(' (Ctrl-C ends it)')}", highlight=False)
            return process
        process.wait()
        if "--port" in options:
            said = errors.read_text().strip()[-500:]
            self._console.print(f"  no live page: {said}", highlight=False)
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            stop(self._process)
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
