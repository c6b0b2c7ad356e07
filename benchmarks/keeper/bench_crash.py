"""10 October 2025 with many accounts on a local node: how long does anybody wait?

The demonstration's book (signed orders, real deposits) is opened with as many accounts as asked
for. Then the chain makes a block every 12 seconds of the day: new prices, mined by hand, and
between two blocks the keeper gets one look. After every block all accounts are read by the plain
`health` view, independently of the keeper: from the first block in which one is below maintenance
margin its wait is counted.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backstop.chain.artifacts import ROOT
from backstop.chain.deploy import System
from backstop.chain.errors import register_all
from backstop.chain.lens import Lens
from backstop.harness.anvil import Anvil
from backstop.harness.demo.book import make_plan
from backstop.harness.demo.stage import OPERATOR, Stage, build
from backstop.harness.rpc import RpcClient
from backstop.harness.scenario import Scenario
from backstop.keeper.config import KeeperConfig
from backstop.keeper.keeper import Keeper
from backstop.keeper.wallet import KeyWallet

BLOCK = 12
Say = Callable[[str], None]


@dataclass
class Waits:
    """How long accounts are below maintenance margin, in blocks."""

    first_seen: dict[bytes, int] = field(default_factory=dict)
    acted: set[bytes] = field(default_factory=set)
    to_action: list[int] = field(default_factory=list)
    to_health: list[int] = field(default_factory=list)
    unanswered: int = 0
    slow: list[str] = field(default_factory=list)

    def block(
        self, number: int, below: set[bytes], treated: set[bytes], flagged: set[bytes]
    ) -> None:
        """After a block: who is below, whom a transaction in it dealt with, whose clock runs.

        Where the clock runs from an earlier time, somebody has acted already.
        """
        for account in treated:
            if account in self.first_seen and account not in self.acted:
                self.acted.add(account)
                self.to_action.append(number - self.first_seen[account])
        for account in [a for a in self.first_seen if a not in below]:
            self.to_health.append(number - self.first_seen.pop(account))
            if account not in self.acted:
                self.unanswered += 1  # the price came back before anybody acted
            self.acted.discard(account)
        for account in below:
            self.first_seen.setdefault(account, number)
            if number - self.first_seen[account] == 3 and account not in self.acted:
                self.slow.append(f"block {number}: {account.hex()[:8]}")
        self.acted |= flagged & below

    def longest(self, number: int) -> int:
        """The longest wait for a first action, of those still waiting too."""
        waiting = [number - since for a, since in self.first_seen.items() if a not in self.acted]
        return max([0, *self.to_action, *waiting])


@dataclass
class Crash:
    """One run."""

    stage: Stage
    keeper: Keeper
    lens: Lens
    say: Say
    waits: Waits = field(default_factory=Waits)
    looks: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    treated: set[bytes] = field(default_factory=set)
    peak_below: int = 0

    def told(self, text: str, **fields: Any) -> None:
        """What the keeper says, counted."""
        event = fields.get("event")
        if event in ("mined", "reverted", "lost", "cancelled"):
            self.outcomes[f"{fields['way']} {event}"] += 1
            if event == "mined":
                self.treated.add(fields["account"])
        if event not in ("sent", "mined", "reverted", "progress", "left alone"):
            self.say(f"    {text}")

    def play(self, minutes: int) -> int:
        scenario, client = self.stage.scenario, self.stage.client
        ids = [p.account for p in self.stage.plan.participants if p.account != self.keeper.account]
        client.rpc("evm_setAutomine", False)
        blocks = minutes * 60 // BLOCK
        for number in range(1, blocks + 1):
            moment = scenario.start + number * BLOCK
            self.push([market.price(moment) for market in scenario.markets])
            self.treated.clear()
            client.set_next_timestamp(moment)
            client.mine()
            began = time.perf_counter()
            self.keeper.look()
            self.looks.append(time.perf_counter() - began)
            self.count(number, ids)
            if number % 10 == 0:
                self.say(
                    f"  block {number} of {blocks}: {len(self.waits.first_seen)} below maintenance,"
                    f" longest wait {self.waits.longest(number)}, look"
                    f" {self.looks[-1]:.2f} s, {dict(self.outcomes)}"
                )
        client.rpc("evm_setAutomine", True)
        return blocks

    def count(self, number: int, ids: list[bytes]) -> None:
        healths = self.lens.health(ids)
        below = {
            account
            for account, health in zip(ids, healths, strict=True)
            if health.equity < int(health.maintenanceMargin)
        }
        self.peak_below = max(self.peak_below, len(below))
        new = [a for a in below if a not in self.waits.first_seen]
        flagged = {r.account for r in self.lens.accounts(new) if r.state.flaggedAt}
        self.waits.block(number, below, self.treated, flagged)

    def push(self, prices: list[float]) -> None:
        """New answers of all feeds, into the next block."""
        for feeds, known, price in zip(
            self.stage.system.feeds, self.stage.system.record.markets, prices, strict=True
        ):
            for contract, feed in zip(feeds, known.feeds, strict=True):
                data = contract.push.encode(round(price * 10**feed.decimals))
                push = {"from": OPERATOR, "to": contract.address, "data": "0x" + data.hex()}
                self.stage.client.rpc(
                    "eth_sendTransaction", {**push, "gas": hex(200_000), "gasPrice": hex(10**9)}
                )


def send_all(client: RpcClient, calls: list[dict[str, Any]], gas: int) -> None:
    """Transactions in blocks as full as they go: a request a transaction would take an hour."""
    per_block = 50_000_000 // gas
    # a batch is worked on in any order: whoever sends more than once says in which
    nonce = int(client.rpc("eth_getTransactionCount", OPERATOR, "latest"), 16)
    for number, one in enumerate(c for c in calls if c["from"] == OPERATOR):
        one["nonce"] = hex(nonce + number)
    for start in range(0, len(calls), per_block):
        requests = [
            {
                "jsonrpc": "2.0",
                "id": number,
                "method": "eth_sendTransaction",
                "params": [{**call, "gas": hex(gas), "gasPrice": "0x0"}],
            }
            for number, call in enumerate(calls[start : start + per_block])
        ]
        answers = json.loads(client._post(json.dumps(requests).encode(), "a batch"))
        if refused := [answer["error"] for answer in answers if "error" in answer]:
            raise RuntimeError(f"the node refuses {len(refused)} transactions: {refused[0]}")
        client.mine()


def call(function: Any, sender: str, *arguments: Any) -> dict[str, Any]:
    contract = function._contract
    return {
        "from": sender,
        "to": contract.address,
        "data": "0x" + function.encode(*arguments).hex(),
    }


def deposit_all(stage: Stage) -> None:
    """As `Stage.deposit_all`, in full blocks."""
    token, engine, people = stage.system.token, stage.system.engine, stage.plan.participants
    rounds = (
        [call(token.mint, OPERATOR, p.address, p.collateral) for p in people],
        [call(token.approve, p.address, engine.address, p.collateral) for p in people],
        [call(engine.deposit, p.address, p.account, p.collateral) for p in people],
    )
    for calls in rounds:
        send_all(stage.client, calls, 150_000)


def open_all(stage: Stage, prices: Sequence[float]) -> None:
    """As `Stage.open_all`, in full blocks."""
    queued: list[dict[str, Any]] = []

    def send(function: Any, *arguments: Any, sender: str) -> None:
        queued.append(call(function, sender, *arguments))

    stage.send = send  # type: ignore[method-assign,assignment]
    stage.open_all(prices, lambda done: None)
    del stage.send
    send_all(stage.client, queued, 700_000)


def check_opened(stage: Stage) -> None:
    """Nobody was left out, and every position is as planned."""
    people = stage.plan.participants
    for one, report in zip(
        people, Lens(stage.system, 500).accounts([p.account for p in people]), strict=True
    ):
        held = {p.market: p.size for p in report.state.positions}
        planned = {market: base for market, base in one.target.items() if base}
        if set(held) != set(planned) or any(
            abs(held[market] - planned[market]) > 10 for market in held
        ):
            raise RuntimeError(f"{one.name} holds {held}, planned was {planned}")


def open_stage(client: RpcClient, accounts: int, artifacts: Any, say: Say) -> Stage:
    scenario = Scenario.load("crash-2025-10-10", accounts=accounts)
    plan = make_plan(scenario, 1)
    client.set_next_timestamp(scenario.start - 3600)
    stage = build(client, scenario, plan, artifacts)
    register_all(client.registry, artifacts)
    stage.set_time(scenario.start - 60)
    stage.push_prices(plan.prices)
    client.rpc("evm_setAutomine", False)
    say(f"  {len(plan.participants)} accounts deposit")
    deposit_all(stage)
    say("  orders are signed and matched")
    open_all(stage, plan.prices)
    check_opened(stage)
    client.rpc("evm_setAutomine", True)
    stage.set_time(scenario.start)
    stage.push_prices(plan.prices)
    client.set_balance(OPERATOR, 10**24)
    return stage


def make_keeper(stage: Stage, url: str, folder: Path, say: Any) -> Keeper:
    config = KeeperConfig.load(ROOT / "parameters" / "keeper.yaml")
    config = dataclasses.replace(
        config,
        account=dataclasses.replace(config.account, state=folder),
        look=dataclasses.replace(config.look, batch=500),
        gas=dataclasses.replace(
            config.gas, in_flight=1000, per_hour=10**21, per_day=10**21, stuck_after=10**6
        ),
        ways=dataclasses.replace(config.ways, max_inventory=2_000_000.0),
        # positions that are too small to pay for their gas are liquidated too
        profit=dataclasses.replace(config.profit, smallest_notional=1e4, subsidy_per_day=1e6),
        upkeep=dataclasses.replace(config.upkeep, every=BLOCK),
    )
    system = System(
        RpcClient(url, registry=stage.client.registry), stage.system.record, stage.system.artifacts
    )
    one = stage.keepers[0]
    stage.client.set_balance(one.address, 10**24)
    return Keeper(system, KeyWallet(one.key), config, say=say)


def measure(accounts: int, minutes: int, artifacts: Any, say: Say) -> dict[str, Any]:
    began = time.monotonic()
    with Anvil(history=None, block_interval=None) as node, tempfile.TemporaryDirectory() as folder:
        stage = open_stage(node.client, accounts, artifacts, say)
        prepared = time.monotonic() - began
        crash: Crash
        keeper = make_keeper(
            stage, node.url, Path(folder), lambda text, **fields: crash.told(text, **fields)
        )
        crash = Crash(stage, keeper, Lens(stage.system, 1000), say)
        first = time.perf_counter()
        keeper.look()
        first = time.perf_counter() - first
        blocks = crash.play(minutes)
        keeper.close()
        return summary(crash, blocks, first, prepared)


def summary(crash: Crash, blocks: int, first: float, prepared: float) -> dict[str, Any]:
    waits = crash.waits
    actions = sorted(waits.to_action)
    return {
        "accounts": len(crash.stage.plan.participants),
        "blocks": blocks,
        "accounts_that_fell_below": len(actions) + waits.unanswered,
        "most_below_at_once": crash.peak_below,
        "longest_wait_blocks": waits.longest(blocks),
        "median_wait_blocks": statistics.median(actions) if actions else 0,
        "waited_one_block": sum(w <= 1 for w in actions),
        "healthy_again_before_anybody_acted": waits.unanswered,
        "median_blocks_to_health": statistics.median(waits.to_health) if waits.to_health else 0,
        "most_blocks_to_health": max(waits.to_health, default=0),
        "waited_longer_than_two": waits.slow,
        "transactions": dict(sorted(crash.outcomes.items())),
        "first_look_s": first,
        "look_s_median": statistics.median(crash.looks),
        "look_s_max": max(crash.looks),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "prepared_s": prepared,
    }
