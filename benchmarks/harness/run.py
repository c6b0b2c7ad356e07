"""make bench-harness: actions a second of every way to play, into benchmarks/results/harness.*.

The same plays each time. The bulk way acts on the twin, checks every invariant, plays the contracts
in one request and compares every field; the ways by transactions only send what is accepted, with
no checks, except where all views are read too. Foundry's runner plays a handler of nine actions on
the same deployment and reads the same views; it has no twin to compare them with. Compare the
ratios: seconds depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import foundry  # beside this file
from web3 import HTTPProvider, Web3

from backstop.chain.artifacts import ROOT, build_artifacts
from backstop.harness.anvil import Anvil, account_address
from backstop.harness.fuzz.campaign import play_seed
from backstop.harness.fuzz.recording import RecordingDuel
from backstop.harness.fuzz.replay import by_transactions
from backstop.harness.rpc import Step
from backstop.harness.world import ChainWorld, deploy_world

RESULTS = ROOT / "benchmarks" / "results"


def bulk(chain: ChainWorld, seeds: int, turns: int) -> tuple[float, list[RecordingDuel]]:
    """Actions a second with all checks on, and the plays."""
    started, plays = time.perf_counter(), []
    for seed in range(seeds):
        duel, failure = play_seed(seed, turns, chain)
        if failure is not None:
            raise SystemExit(f"seed {seed}: {failure.message}")
        plays.append(duel)
    return sum(duel.actions for duel in plays) / (time.perf_counter() - started), plays


def raw_checked(chain: ChainWorld, duel: RecordingDuel) -> float:
    """Transactions over raw JSON-RPC, all views read after each and compared with the twin."""
    started = time.perf_counter()
    duel.judge(by_transactions(duel, chain.client))
    return len(duel.steps) / (time.perf_counter() - started)


def accepted(duel: RecordingDuel) -> list[Step]:
    """The steps that the contracts accept, each with the delays of those left out before it."""
    steps, waited = [], 0
    for step, expected in zip(duel.steps, duel.expected, strict=True):
        waited += step.delay
        if step.sender and expected.error is None:
            steps.append(replace(step, delay=waited))
            waited = 0
    return steps


def sending(chain: ChainWorld, steps: Sequence[Step], send: Callable[[Step], None]) -> float:
    """Transactions one after the other; the chain is left as it was."""
    client = chain.client
    with client.isolated():
        client.rpc("anvil_setBlockTimestampInterval", 0)
        now = client.timestamp
        started = time.perf_counter()
        for step in steps:
            if step.delay:
                now += step.delay
                client.set_next_timestamp(now)
            send(step)
        speed = len(steps) / (time.perf_counter() - started)
    client.rpc("anvil_setBlockTimestampInterval", 12)
    return speed


def raw(chain: ChainWorld) -> Callable[[Step], None]:
    """`eth_sendTransactionSync` on a connection that is kept open."""

    def send(step: Step) -> None:
        chain.client.send(step.to, step.data, step.sender, step.value, step.gas)

    return send


def web3(url: str) -> Callable[[Step], None]:
    """web3.py over HTTP: send, wait for the receipt."""
    w3 = Web3(HTTPProvider(url))

    def send(step: Step) -> None:
        request: Any = {
            "from": step.sender,
            "to": step.to,
            "data": step.data,
            "gas": step.gas,
            "gasPrice": 0,
        }
        sent = w3.eth.send_transaction(request)
        w3.eth.wait_for_transaction_receipt(sent, poll_latency=0.001)

    return send


def ape_speed(chain: ChainWorld, url: str, steps: Sequence[Step], probes: Sequence[Step]) -> float:
    """Through ape with its foundry plugin, on the same node; `probes` are read after each."""
    os.environ["APE_FOUNDRY_HOST"] = url
    import ape

    with ape.networks.parse_network_choice("ethereum:local:foundry") as provider:
        accounts = {account.address: account for account in ape.accounts.test_accounts}

        def send(step: Step) -> None:
            transaction = provider.network.ecosystem.create_transaction(
                receiver=step.to, data=step.data, gas_limit=step.gas, type=0, gas_price=0
            )
            accounts[str(step.sender)].call(transaction)
            for probe in probes:
                data = provider.network.ecosystem.create_transaction(
                    receiver=probe.to, data=probe.data
                )
                shown = provider.send_call(data)
                if probe.function is not None:
                    probe.function.decode(bytes(shown))

        return sending(chain, steps, send)


def measure(seeds: int, turns: int, transactions: int) -> dict[str, Any]:
    """All ways on one node."""
    with Anvil() as node:
        chain = deploy_world(node.client, build_artifacts(), account_address(0))
        speed, plays = bulk(chain, seeds, turns)
        steps = accepted(plays[0])[:transactions]
        probes = list(plays[0].probes().values())
        speeds = {
            "bulk fuzz, all checks": speed,
            "raw transactions, all views compared": raw_checked(chain, plays[0]),
            "raw transactions, nothing checked": sending(chain, steps, raw(chain)),
            "web3.py transactions, nothing checked": sending(chain, steps, web3(node.url)),
            "ape transactions, nothing checked": ape_speed(chain, node.url, steps, ()),
            "ape transactions, all views read": ape_speed(chain, node.url, steps[:10], probes),
        }
        if (found := foundry.speed(chain, seeds * 10, turns)) is not None:
            speeds["Foundry's invariant runner, all views read"] = found
    return {
        "actions_per_second": {name: round(value, 1) for name, value in speeds.items()},
        "bulk_is_times": {name: round(speed / value, 2) for name, value in speeds.items()},
        "actions": sum(duel.actions for duel in plays),
        "transactions": len(steps),
        "views_an_action": len(plays[0].probes()),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    lines = [
        "# Speed of the harness",
        "",
        f"One worker, {results['actions']:,} actions in bulk, {results['transactions']:,} as "
        f"transactions; {results['views_an_action']} views compared after every action. "
        f"{results['cores']} cores, load {results['load']} when it ended: compare the ratios.",
        "",
        "| way | actions/s | the bulk fuzz is so many times as fast |",
        "| --- | ---: | ---: |",
    ]
    for name, speed in results["actions_per_second"].items():
        lines.append(f"| {name} | {speed:,.1f} | {results['bulk_is_times'][name]:g} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="plays of the bulk way")
    parser.add_argument("--turns", type=int, default=60, help="turns of a play")
    parser.add_argument("--transactions", type=int, default=100, help="of each other way")
    chosen = parser.parse_args()
    results = measure(chosen.seeds, chosen.turns, chosen.transactions)
    (RESULTS / "harness.json").write_text(json.dumps(results, indent=2) + "\n")
    (RESULTS / "harness.md").write_text(table(results))
    print(table(results), end="")


if __name__ == "__main__":
    main()
