"""What every test has: a node of its own process, ape connected to it, and a fast client.

Run one test with `make test ARGS="-k name"`, or in the activated environment with `ape test path`.
`APE_FOUNDRY_HOST` names a running node instead (without `-n`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from backstop.harness.anvil import Anvil
from backstop.harness.bench import Bench, deploy_bench
from backstop.harness.fund import FundWorld, deploy_fund
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


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def deploy(project: Any, rpc: RpcClient, owner: Any) -> Callable[..., Contract]:
    """`deploy("MockToken", "USD Coin", "USDC", 6)`: one of our contracts, on the fast client."""

    def deploy_(name: str, *args: Any, sender: Any = owner, value: int = 0) -> Contract:
        container = project.get_contract(name)
        return rpc.deploy(container, *args, sender=sender, value=value)

    return deploy_


@pytest.fixture(scope="session")
def bind(rpc: RpcClient) -> Callable[[Any], Contract]:
    """An instance of ape's as a contract of the fast client."""
    return lambda instance: Contract.of(rpc, instance)


@pytest.fixture(scope="session")
def deployed_bench(rpc: RpcClient, project: Any) -> Bench:
    """The engine, its fund and all that belongs to them; for tests that go back, like `bench`."""
    return deploy_bench(rpc, project.get_contract)


@pytest.fixture
def bench(deployed_bench: Bench, rpc: RpcClient) -> Iterator[Bench]:
    """The whole system, both markets at 100; undone afterwards."""
    with rpc.isolated():
        yield replace(deployed_bench, nonces={})


@pytest.fixture(scope="session")
def deployed_fund(rpc: RpcClient, project: Any, owner: Any) -> FundWorld:
    """The fund alone."""
    return deploy_fund(rpc, project.get_contract, owner.address)


@pytest.fixture(scope="session")
def owner(accounts: Any) -> Any:
    """Who deploys."""
    return accounts[0]


@pytest.fixture(scope="session")
def alice(accounts: Any) -> Any:
    """A trader."""
    return accounts[1]


@pytest.fixture(scope="session")
def bob(accounts: Any) -> Any:
    """A trader."""
    return accounts[2]


@pytest.fixture(scope="session")
def carol(accounts: Any) -> Any:
    """A trader."""
    return accounts[3]


@pytest.fixture(scope="session")
def keeper(accounts: Any) -> Any:
    """Who liquidates."""
    return accounts[4]


@pytest.fixture(scope="session")
def staker(accounts: Any) -> Any:
    """Who stakes in the fund."""
    return accounts[5]


@pytest.fixture(scope="session")
def mallory(accounts: Any) -> Any:
    """Who attacks."""
    return accounts[6]
