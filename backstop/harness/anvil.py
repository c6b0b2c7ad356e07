"""An Anvil of our own: no step traces, bounded history, a clock that only the caller moves.

ape-foundry starts its node with step tracing, which keeps about a megabyte for every transaction.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from eth_account import Account
from eth_account.hdaccount import key_from_seed, seed_from_mnemonic

from backstop.chain.processes import stop
from backstop.harness.rpc import RpcClient

MNEMONIC = "test test test test test test test test test test test junk"
"""The well-known development phrase: its keys are public, it must never hold value."""

GENESIS_TIME = 1_735_689_600
"""2025-01-01 00:00 UTC, so that runs do not depend on the day."""

_LISTENING = re.compile(r"Listening on \S*:(\d+)")

# The node dies with us even if we are killed: only we hold the other end of the watchdog's input.
# Anvil itself leaves the states that it wrote to the disk, gigabytes of them: we take them away.
_WATCHDOG = """cat >/dev/null; kill "$0" 2>/dev/null
for i in 1 2 3 4 5 6 7 8 9; do kill -0 "$0" 2>/dev/null && sleep 0.2; done
rm -rf "$1"
"""


class AnvilError(RuntimeError):
    """Anvil is missing, did not start, or died; the message holds what it said last."""


def find_anvil() -> Path:
    """The Anvil of this environment, else the one on the PATH; AnvilError if there is none."""
    beside = Path(sys.prefix) / "bin" / "anvil"
    if os.access(beside, os.X_OK):
        return beside
    if found := shutil.which("anvil"):
        return Path(found)
    raise AnvilError("anvil was not found, neither in this environment nor on the PATH: make setup")


class Anvil:
    """A private node on a free port, for as long as the context (or until `stop`).

    Args:
        accounts: number of funded accounts, derived from `MNEMONIC`.
        hardfork: rules of the chain.
        timestamp: time of the genesis block, in seconds since 1970.
        block_interval: seconds from a block to the next, whatever the clock on the wall says; None
            leaves it to the clock.
        gas_limit: of a block.
        history: number of blocks whose state and transactions are kept; None keeps all of them.
        all_logs: keep every block's transactions and logs, whatever happens to its state.
        extra: further command-line arguments.

    Raises:
        AnvilError: where the binary is missing or the node does not start.
    """

    def __init__(
        self,
        *,
        accounts: int = 20,
        hardfork: str = "prague",
        timestamp: int = GENESIS_TIME,
        block_interval: int | None = 12,
        gas_limit: int = 60_000_000,
        history: int | None = 64,
        all_logs: bool = False,
        extra: Sequence[str] = (),
    ) -> None:
        self._arguments = [
            *("--port", "0", "--host", "127.0.0.1"),
            *("--mnemonic", MNEMONIC, "--accounts", str(accounts), "--balance", "1000000"),
            *("--hardfork", hardfork, "--timestamp", str(timestamp)),
            *("--gas-limit", str(gas_limit), "--gas-price", "0", "--block-base-fee-per-gas", "0"),
            "--auto-impersonate",
            "--no-request-size-limit",  # a long simulated sequence with its views is more than 2 MB
        ]
        if history is not None:
            kept = str(history)
            self._arguments += ["--prune-history", kept]
            if not all_logs:
                self._arguments += ["--transaction-block-keeper", kept]
        self._arguments += extra
        self._account_count = accounts
        self._block_interval = block_interval
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._states: tempfile.TemporaryDirectory[str] | None = None
        self._port = 0

    @property
    def port(self) -> int:
        """The TCP port the node listens on."""
        if not self._port:
            raise AnvilError("the node was not started")
        return self._port

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The node's process id."""
        if self._process is None:
            raise AnvilError("the node was not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    @cached_property
    def client(self) -> RpcClient:
        """A connection to the node."""
        return RpcClient(self.url)

    @cached_property
    def accounts(self) -> tuple[str, ...]:
        """The funded addresses; the same in every run."""
        return tuple(account_address(index) for index in range(self._account_count))

    def start(self, timeout: float = 30.0) -> Self:
        """Start the node and wait until it answers."""
        if self.running:
            return self
        self.stop()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the node
        self._states = tempfile.TemporaryDirectory(
            prefix="anvil-states-", ignore_cleanup_errors=True
        )
        self._process = subprocess.Popen(
            [str(find_anvil()), *self._arguments, "--cache-path", self._states.name],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for us: the node must outlive the last test's clean-up
            start_new_session=True,
        )
        try:
            self._watchdog = subprocess.Popen(
                ["/bin/sh", "-c", _WATCHDOG, str(self._process.pid), self._states.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._port = self._wait_for_port(time.monotonic() + timeout)
            self.client.rpc("anvil_setLoggingEnabled", False)
            if self._block_interval is not None:
                self.client.rpc("anvil_setBlockTimestampInterval", self._block_interval)
        except BaseException:
            self.stop()
            raise
        return self

    def _wait_for_port(self, deadline: float) -> int:
        while True:
            if found := _LISTENING.search(self.output()):
                return int(found[1])
            if not self.running:
                raise AnvilError(f"anvil did not start:\n{self.output()[-2000:]}")
            if time.monotonic() > deadline:
                raise AnvilError(f"anvil does not answer:\n{self.output()[-2000:]}")
            time.sleep(0.005)

    def output(self) -> str:
        """What the node has printed so far."""
        if self._output is None:
            return ""
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), size, 0).decode("utf8", "replace")

    def check(self) -> None:
        """Raise AnvilError with the node's last words if it has died."""
        if not self.running:
            raise AnvilError(f"anvil is not running:\n{self.output()[-2000:]}")

    def stop(self) -> None:
        """Stop the node; harmless if it does not run."""
        if "client" in self.__dict__:
            self.client.close()
            del self.__dict__["client"]
        if self._watchdog is not None:
            # before the node is gone: its process id may soon be somebody else's
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._watchdog.pid, signal.SIGKILL)
            self._watchdog.communicate()
            self._watchdog = None
        if self._process is not None:
            stop(self._process)
            self._process = None
        if self._states is not None:
            self._states.cleanup()
            self._states = None
        if self._output is not None:
            self._output.close()
            self._output = None
        self._port = 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def private_key(index: int) -> bytes:
    """The secret key of the development account m/44'/60'/0'/0/index, for signing orders."""
    return bytes(key_from_seed(seed_from_mnemonic(MNEMONIC, ""), f"m/44'/60'/0'/0/{index}"))


@lru_cache
def account_address(index: int) -> str:
    """The address of the development account at `index`."""
    return str(Account.from_key(private_key(index)).address)
