"""The runbook as an operator follows it: every command of docs/runbook.md on a node, in its order.

HTML comments on the page say what happens in between: time passes, prices are pushed, an account is
jumped over, a thief schedules something.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from test_commands import deployed, failed, parameters_file, run, shape

from backstop.chain.artifacts import ROOT, build_artifacts
from backstop.chain.clients import Governance, Trader
from backstop.chain.deploy import ROLE_IDS, System, attach
from backstop.chain.units import parse_duration
from backstop.harness.anvil import private_key
from backstop.harness.rpc import RpcClient

__all__ = ["deployed", "parameters_file", "run"]  # fixtures

PAGE = (ROOT / "docs" / "runbook.md").read_text()
SESSION = PAGE[PAGE.index("<!-- session -->") + 17 : PAGE.index("<!-- end -->")]


def steps() -> Iterator[tuple[str, str]]:
    """Pairs: a command and its answer, or `#` and what happens meanwhile."""
    for comment, block in re.findall(r"<!-- (.*?) -->|```console\n(.*?)```", SESSION, re.DOTALL):
        if comment:
            yield "#", comment
            continue
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, answer = part.partition("\n")
            yield command, answer


def outline(text: str) -> list[str]:
    """An answer without numbers, times, addresses and durations."""
    return shape(re.sub(r"\b(\d+[dhms])+\b", "1s", text))


class Meanwhile:
    """What the world does between two commands."""

    def __init__(self, run: Callable[[str], Any], folder: Path, client: RpcClient) -> None:
        self.run, self.folder, self.client = run, folder, client

    @property
    def system(self) -> System:
        return attach(self.client, artifacts=build_artifacts())

    def happens(self, what: str) -> None:
        if match := re.fullmatch(r"(\w+) later(, prices fresh)?", what):
            self.client.warp(parse_duration(match[1]))
            if match[2]:
                self.refresh()
        else:
            getattr(self, what)()

    def refresh(self) -> None:
        """Real feeds answer by themselves."""
        system = self.system
        for contracts in system.feeds:
            for feed in contracts:
                answer = feed.latestRoundData()[1]
                feed.push.send(answer, sender=system.record.deployer)

    def deploy(self) -> None:
        assert self.run("ape run deploy --account TEST::0").exit_code == 0
        text = (ROOT / "parameters" / "local.yaml").read_text()
        head, _, eth = text.partition("  - name: ETH")
        assert eth
        sol = ("  - name: ETH" + eth).replace("name: ETH", "name: SOL")
        sol = sol.replace("mock: 3000", "mock: 150").replace("min_price: 100", "min_price: 10")
        (self.folder / "next.yaml").write_text(text.rstrip() + "\n\n" + sol)
        changed = re.sub(r"max_deviation: \S+", "max_deviation: 1.5%", head, count=1)
        assert changed != head
        (self.folder / "other-feed.yaml").write_text(changed + "  - name: ETH" + eth)
        system = self.system
        for index in (1, 2, 3, 5, 6):
            address = Trader(system, private_key(index)).address
            system.token.mint.send(address, 10**13, sender=system.record.deployer)

    def crash(self) -> None:
        """Alice is 30 BTC long with 200,000 mUSD; the price jumps from 60,000 to 40,000."""
        system = self.system
        alice, bob, keeper = (Trader(system, private_key(index)) for index in (1, 2, 3))
        for who, amount in ((alice, 200_000), (bob, 1_000_000), (keeper, 50_000)):
            who.deposit(Decimal(amount))
        bob.fill(alice.sign_order(0, True, Decimal(30), Decimal(60_000)))
        system.set_price(0, Decimal(40_000), system.record.deployer)
        system.client.warp(1200)
        self.refresh()
        system.engine.poke.send(0, sender=system.record.deployer)

    def nobody_takes(self) -> None:
        """TEST::5 is long 3 ETH with 1,000 mUSD and the price falls; TEST::6 may buy later."""
        system = self.system
        bob, carol, buyer = (Trader(system, private_key(index)) for index in (2, 5, 6))
        carol.deposit(Decimal(1_000))
        buyer.deposit(Decimal(20_000))
        bob.fill(carol.sign_order(1, True, Decimal(3), Decimal(3_000)))
        self.falls(1, 2_800)

    def falls(self, market: int, price: int) -> None:
        """The index is there, and the mark has followed."""
        system = self.system
        system.set_price(market, Decimal(price), system.record.deployer)
        system.client.warp(1200)
        self.refresh()
        system.engine.poke.send(market, sender=system.record.deployer)

    def positions_close(self) -> None:
        """Everybody trades what is left with TEST::2, who is on the other side of all of it."""
        system = self.system
        bob = Trader(system, private_key(2))
        for index in (5, 6):
            trader = Trader(system, private_key(index))
            for held in trader.view().positions:
                order = trader.sign_order(
                    held.market, held.size < 0, abs(held.size), held.mark_price
                )
                bob.fill(order)

    def second_crash(self) -> None:
        """Alice is 30 BTC long once more, TEST::5 a little; from 40,000 to 30,000."""
        system = self.system
        alice, bob, carol = (Trader(system, private_key(index)) for index in (1, 2, 5))
        for who, amount, size in ((alice, 200_000, "30"), (carol, 5_000, "0.1")):
            who.deposit(Decimal(amount))
            bob.fill(who.sign_order(0, True, Decimal(size), Decimal(40_000)))
        self.falls(0, 30_000)

    def somebody_leaves(self) -> None:
        """TEST::2 buys half of its last short back while the window is open."""
        bob, carol = (Trader(self.system, private_key(index)) for index in (2, 5))
        bob.fill(carol.sign_order(0, False, Decimal("0.05"), Decimal(30_000)))

    def thief(self) -> None:
        """TEST::4 has come to the fund admin's key and schedules what would empty the reserve."""
        system = self.system
        address = Trader(system, private_key(4)).address
        authority, admin = system.authority, system.record.deployer
        number = ROLE_IDS["fund_admin"]
        grant = authority.grantRole.encode(number, address, 43200)
        self.client.rpc("anvil_impersonateAccount", authority.address)
        authority.schedule.send(authority.address, grant, 0, sender=admin)
        operation = authority.hashOperation(admin, authority.address, grant)
        self.client.warp(authority.getSchedule(operation) - self.client.timestamp + 1)
        authority.execute.send(authority.address, grant, sender=admin)
        self.refresh()
        Governance(system, private_key(4)).schedule("fund", "setReserveTarget", 0)


@pytest.mark.slow
def test_every_command_of_the_runbook(
    run: Callable[[str], Any], tmp_path: Path, networks: Any
) -> None:
    meanwhile = Meanwhile(run, tmp_path, RpcClient(networks.provider.uri))
    commands = 0
    for command, expected in steps():
        if command == "#":
            meanwhile.happens(expected)
            continue
        commands += 1
        result = run(command)
        assert result.exit_code == 0, f"{command}\n{result.output}"
        assert outline(result.output) == outline(expected), f"{command}\n{result.output}"
    assert commands > 50


def test_wrong_calls_are_refused_in_a_sentence(deployed: Callable[[str], Any]) -> None:
    call, who = "ape run call", "--account TEST::0"
    for line, words in (
        (f"{call} engin pauseRisk 0 {who}", "there is no contract engin; there are: authority"),
        (f"{call} engine pauseRisc 0 {who}", "pauseRisk(uint256)"),
        (f"{call} engine pauseRisk {who}", "pauseRisk(uint256)"),
        (f"{call} engine pauseRisk DOGE {who}", "0 BTC, 1 ETH"),
        (f"{call} fund setReserveTarget 1.5 {who}", "has to be a uint256"),
        (f"{call} fund setReserveTarget 1.0000001mUSD {who}", "target is"),
        (f"{call} fund releaseReserve 0x12 1 {who}", "40 hex digits"),
        (f"{call} {who}", "name a contract and a function"),
        (f"{call} engine pauseRisk 0 --pending {who}", "stand alone"),
    ):
        assert words in failed(deployed(line), 2), line
    text = failed(deployed(f"{call} engine pauseRisk BTC --account TEST::1"))
    assert "does not hold the role guardian" in text
    assert "nothing is scheduled" in failed(deployed(f"{call} --cancel all {who}"))
    assert "no market DOGE; it has: BTC, ETH" in failed(
        deployed(f"ape run apply_market p.yaml DOGE {who}"), 2
    )
    assert (
        "everything is as the file says"
        in deployed(f"ape run apply_market p.yaml BTC {who}").output
    )
    text = failed(deployed("ape run give 5 --to reserve --account TEST::1"))
    assert "5 mUSD are missing" in text
