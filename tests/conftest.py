"""What every test has: a node of its own process, ape connected to it, and a fast client.

Run one test with `make test ARGS="-k name"`, or in the activated environment with `ape test path`.
`APE_FOUNDRY_HOST` names a running node instead (without `-n`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import ape
import pytest
from hypothesis import HealthCheck, Phase, settings

from backstop.harness.anvil import Anvil
from backstop.harness.rpc import Contract, RpcClient

_common: dict[str, Any] = {
    "deadline": None,  # a step is a request to a node: its time says nothing about the code
    # the explain phase traces every line, which makes shrinking several times slower on Python 3.11
    "phases": [phase for phase in Phase if phase is not Phase.explain],
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
    "print_blob": True,
}
settings.register_profile("dev", max_examples=25, stateful_step_count=25, **_common)
settings.register_profile(
    "ci", max_examples=60, stateful_step_count=30, derandomize=True, database=None, **_common
)
settings.register_profile("nightly", max_examples=2000, stateful_step_count=80, **_common)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev")
)

_NODE = pytest.StashKey[Anvil]()

# For ape: it would take a late first use of a session-wide fixture for a change of the chain below
# every fixture made before, and make those anew.
stateless = ape.fixture(chain_isolation=False, scope="session")


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _needs_node(config: pytest.Config) -> bool:
    """Whether this process runs tests on a node that we have to start."""
    if config.option.collectonly:
        return False
    if _is_worker(config):
        return True
    if getattr(config.option, "numprocesses", None):
        return False  # the workers have one each
    if os.environ.get("APE_FOUNDRY_HOST"):
        return False
    # these reports read traces, which ape's own node records
    return not (config.getoption("--gas") or config.getoption("--coverage"))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Start the node before ape connects."""
    if _needs_node(config):
        node = Anvil().start()
        config.stash[_NODE] = node
        os.environ["APE_FOUNDRY_HOST"] = node.url


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the node; if we do not get here, its watchdog does."""
    if (node := config.stash.get(_NODE, None)) is not None:
        node.stop()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A run in which nothing was executed is no success, also where everything was skipped."""
    config = session.config
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if _is_worker(config) or config.option.collectonly or reporter is None:
        return
    executed = ("passed", "failed", "error", "xfailed", "xpassed")
    if session.exitstatus == pytest.ExitCode.OK and not any(map(reporter.stats.get, executed)):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


@stateless
def rpc(networks: Any) -> Iterator[RpcClient]:
    """The fast client, on the node that ape is connected to."""
    client = RpcClient(networks.provider.uri)
    yield client
    client.close()


@pytest.fixture(autouse=True)
def settled(rpc: RpcClient) -> Iterator[None]:
    """Ape goes back to the state before each test: not while the node is still at work."""
    yield
    rpc.settle()


@stateless
def deploy(project: Any, rpc: RpcClient, owner: Any) -> Callable[..., Contract]:
    """`deploy("MockToken", "USD Coin", "USDC", 6)`: one of our contracts, on the fast client."""

    def deploy_(name: str, *args: Any, sender: Any = owner, value: int = 0) -> Contract:
        container = project.get_contract(name)
        return rpc.deploy(container, *args, sender=sender, value=value)

    return deploy_


@stateless
def bind(rpc: RpcClient) -> Callable[[Any], Contract]:
    """An instance of ape's as a contract of the fast client."""
    return lambda instance: Contract.of(rpc, instance)


@stateless
def owner(accounts: Any) -> Any:
    """Who deploys."""
    return accounts[0]


@stateless
def alice(accounts: Any) -> Any:
    """A trader."""
    return accounts[1]


@stateless
def bob(accounts: Any) -> Any:
    """A trader."""
    return accounts[2]


@stateless
def carol(accounts: Any) -> Any:
    """A trader."""
    return accounts[3]


@stateless
def keeper(accounts: Any) -> Any:
    """Who liquidates."""
    return accounts[4]


@stateless
def staker(accounts: Any) -> Any:
    """Who stakes in the fund."""
    return accounts[5]


@stateless
def mallory(accounts: Any) -> Any:
    """Who attacks."""
    return accounts[6]
