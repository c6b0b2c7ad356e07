"""The state machines of `tests/fuzz` as a source of plays, and as a judge of changed contracts.

A machine runs as its test does, on contracts that we give it, without ape and pytest. Its
transactions and views are written down by the client that it is given.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any, Final

from hypothesis import HealthCheck, Phase, Verbosity, settings

from backstop.chain.artifacts import ROOT
from backstop.harness.anvil import account_address
from backstop.harness.rpc import Contract, Receipt, Reverted, RpcClient, Step

MACHINES: Final = {
    "fund machine": ("test_fund_machine.py", "test_fund_against_its_twin"),
    "staking machine": ("test_staking_machine.py", "test_staking_against_its_twin"),
    "put machine": ("test_crash_put_machine.py", "test_the_put_against_its_twin"),
}
"""Files in `tests/fuzz` and the tests that run the machines."""

_ACCOUNTS: Final = 10

Keep = Callable[[list[Step], list[str]], None]


class Recorder(RpcClient):
    """A client that writes down what is asked between a snapshot and the return to it.

    Args:
        keep: gets the steps and their labels, once the chain is back where they begin.

    `deployed` lists the contracts that were deployed outside of recordings, by name and address.
    """

    def __init__(self, url: str, keep: Keep | None = None) -> None:
        super().__init__(url)
        self.deployed: list[tuple[str, str]] = []
        self.transactions = 0
        self._keep = keep
        self._steps: list[Step] | None = None
        self._labels: list[str] = []
        self._now = self._next = 0

    @contextlib.contextmanager
    def isolated(self) -> Iterator[None]:
        """What a test deploys stays, to be played on."""
        yield

    def deploy(self, source: Any, *args: Any, sender: Any, value: int = 0) -> Contract:
        """`RpcClient.deploy`, noted."""
        contract = super().deploy(source, *args, sender=sender, value=value)
        self.deployed.append((str(source["contractName"]), contract.address))
        return contract

    def snapshot(self) -> str:
        """Begins a recording."""
        self._steps, self._labels = [], []
        self._now, self._next = self.timestamp, 0
        return super().snapshot()

    def revert(self, snapshot: str) -> None:
        """Ends it."""
        super().revert(snapshot)
        steps, self._steps = self._steps, None
        if steps and self._keep:
            self._keep(steps, self._labels)

    def set_next_timestamp(self, timestamp: int) -> None:
        """`RpcClient.set_next_timestamp`, noted."""
        self._next = timestamp
        super().set_next_timestamp(timestamp)

    def send(
        self, to: Any, data: Any = b"", sender: Any = None, *more: Any, **named: Any
    ) -> Receipt:
        """`RpcClient.send`, noted; the recording knows whether it succeeds."""
        self.transactions += 1
        label = "transaction"
        try:
            return super().send(to, data, sender, *more, **named)
        except Reverted:
            label = "refused transaction"
            raise
        finally:
            self._note(Step(str(to), bytes(data), sender), self._next or self._now + 12, label)
            self._next = 0

    def call(self, to: Any, data: Any, *, at: int | None = None, **named: Any) -> bytes:
        """`RpcClient.call`, noted."""
        sender = named.get("sender")
        self._note(Step(str(to), bytes(data), sender), at or self._now, "view")
        return super().call(to, data, at=at, **named)

    def _note(self, step: Step, at: int, label: str) -> None:
        if self._steps is None or step.to == "None":
            return
        delay = max(0, at - self._now)
        self._now += delay
        self._steps.append(Step(step.to, step.data, step.sender, delay=delay))
        self._labels.append(f"{label} 0x{step.data[:4].hex()}")


def run_machine(
    name: str, client: RpcClient, artifact: Callable[[str], Any], examples: int, turns: int
) -> None:
    """Runs a machine on contracts of these artifacts; raises what it finds, unshrunk."""
    file, function = MACHINES[name]
    settings.register_profile(
        "on our own",
        max_examples=examples,
        stateful_step_count=turns,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
    )
    settings.load_profile("on our own")
    accounts = [SimpleNamespace(address=account_address(i)) for i in range(_ACCOUNTS)]
    getattr(_module(file), function)(client, SimpleNamespace(get_contract=artifact), accounts)


def _module(file: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        file.removesuffix(".py"), ROOT / "tests/fuzz" / file
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
