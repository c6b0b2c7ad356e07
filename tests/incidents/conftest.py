"""Worlds for the replays, and the table at the end of the run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shared_cases import open_to

from backstop.chain.config import Parameters
from backstop.chain.deploy import RpcDeployer, System, deploy
from backstop.harness.bench import ROOT, Bench, deploy_bench
from backstop.harness.fund import FundWorld
from backstop.harness.incidents import Result, rows, table
from backstop.harness.rpc import RpcClient

_RESULTS = pytest.StashKey[dict[str, Result]]()
_NAME = re.compile(r"test_i(\d\d)_")


@pytest.fixture(scope="session")
def deployed_hostile(rpc: RpcClient, project: Any, owner: Any) -> Bench:
    token = rpc.deploy(project.get_contract("HostileToken"), 6, sender=owner)
    return deploy_bench(rpc, project.get_contract, token)


@pytest.fixture
def hostile(deployed_hostile: Bench, rpc: RpcClient) -> Iterator[Bench]:
    """The whole system with a token that misbehaves on request."""
    with rpc.isolated():
        yield replace(deployed_hostile, nonces={})


@pytest.fixture
def world(
    deployed_fund: FundWorld, rpc: RpcClient, alice: Any, bob: Any, carol: Any
) -> Iterator[FundWorld]:
    """The fund alone: alice is a claimant with markets 1 and 2; bob and carol stake."""
    with rpc.isolated():
        people = (alice, bob, carol)
        open_to(deployed_fund, [*(who.address for who in people), deployed_fund.owner])
        yield deployed_fund


@pytest.fixture(scope="session")
def deployed_governed(rpc: RpcClient, project: Any, owner: Any) -> System:
    parameters = Parameters.load(ROOT / "parameters" / "local.yaml")
    return deploy(parameters, RpcDeployer(rpc, owner.address, project.get_contract))


@pytest.fixture
def governed(deployed_governed: System, rpc: RpcClient) -> Iterator[System]:
    """A deployment as it goes live: every role has its delay, and one key holds them all."""
    with rpc.isolated():
        yield deployed_governed


# ---------------------------------------------------------------------- the table


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--json", metavar="FILE", help="write the replays' results to FILE as JSON")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    match = _NAME.match(item.name)
    if match is None or (report.when != "call" and report.passed):
        return
    found = item.config.stash.setdefault(_RESULTS, {})
    number = "I" + match[1]
    before = found.get(number, Result(True, 0.0))
    found[number] = Result(before.ok and report.passed, before.seconds + report.duration)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    results = config.stash.get(_RESULTS, {})
    if not results:
        return
    terminalreporter.section("incidents")
    terminalreporter.write_line(table(results))
    if path := config.getoption("--json", default=None):
        Path(path).write_text(json.dumps(rows(results), indent=2) + "\n", encoding="utf-8")
