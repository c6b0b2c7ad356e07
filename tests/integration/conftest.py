"""A whole system on a node of its own, deployed once a module; every test starts from there."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from backstop.chain.artifacts import ROOT
from backstop.chain.clients import Keeper, Trader
from backstop.chain.config import Parameters
from backstop.chain.deploy import RpcDeployer, System, deploy
from backstop.chain.errors import register_all
from backstop.harness.anvil import Anvil, private_key

LOCAL = ROOT / "parameters" / "local.yaml"


@pytest.fixture(scope="session")
def parameters() -> Parameters:
    return Parameters.load(LOCAL)


@pytest.fixture
def ape_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Result]:
    """`ape_run("fund --json")`: a command in this process; records of deployments go to tmp_path.

    The contracts are those that `make test` has compiled.
    """
    from ape._cli import cli

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [*sys.path])  # ape takes the project off it
    monkeypatch.setattr(
        "backstop.chain.artifacts.compiled_project", lambda project: project.get_contract
    )
    monkeypatch.setenv("BACKSTOP_DEPLOYMENTS", str(tmp_path / "deployments"))

    def run(line: str) -> Result:
        result = CliRunner().invoke(cli, ["run", *shlex.split(line)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def said(ape_run: Callable[[str], Result]) -> Callable[..., str]:
    """`said("fund", 1)`: what `ape_run` prints, ending with this exit code."""

    def run(line: str, code: int = 0) -> str:
        result = ape_run(line)
        assert result.exit_code == code, result.output
        return result.output

    return run


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    """Not the one ape is connected to: these tests move time and restart it."""
    with Anvil() as anvil:
        yield anvil


@pytest.fixture(scope="module")
def deployed(node: Anvil, parameters: Parameters, compiled: Any) -> System:
    made = deploy(parameters, RpcDeployer(node.client, node.accounts[0], compiled))
    register_all(node.client.registry, compiled)
    return made


@pytest.fixture(scope="session")
def compiled() -> Any:
    """Artifacts; `make test` has compiled them."""
    import ape

    return ape.project.get_contract


@pytest.fixture
def system(deployed: System) -> Iterator[System]:
    with deployed.client.isolated():
        yield deployed


class Market:
    """Two traders and a keeper with money, and a price that moves."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.admin = system.record.deployer
        self.alice, self.bob = (Trader(system, private_key(i)) for i in (1, 2))
        self.keeper = Keeper(system, private_key(3))
        self.keepers_account = Trader(system, private_key(3))
        for user in (self.alice, self.bob, self.keepers_account):
            system.token.mint.send(user.address, 10**13, sender=self.admin)

    def move(self, price: str, market: int = 0, seconds: int = 120) -> None:
        """The price moves, and enough time passes for the mark to follow."""
        self.system.set_price(market, Decimal(price), self.admin)
        self.system.client.warp(seconds)
        self.system.set_price(market, Decimal(price), self.admin)
        self.system.engine.poke.send(market, sender=self.admin)

    def open(self, size: str = "0.15", collateral: str = "1000") -> None:
        """Alice long, Bob short, at 60,000."""
        self.alice.deposit(Decimal(collateral))
        self.bob.deposit(Decimal(100_000))
        order = self.alice.sign_order(0, True, Decimal(size), Decimal(60_000))
        self.bob.fill(order)


@pytest.fixture
def market(system: System) -> Market:
    return Market(system)
