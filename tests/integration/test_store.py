"""The event store against a real node: it equals a replay from block 0, whatever happens."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from backstop.chain.artifacts import ROOT
from backstop.chain.deploy import RpcDeployer, System, deploy
from backstop.harness.anvil import Anvil
from backstop.harness.rpc import NodeError, RpcClient, RpcError
from backstop.store import EventStore, NodeRefuses, follow, sync
from backstop.store.store import rows_of

USER = 1


@pytest.fixture(scope="module")
def chain(parameters: Any, compiled: Any) -> Iterator[System]:
    """A deployment on a node that keeps all its history."""
    with Anvil(history=None) as node:
        made = deploy(parameters, RpcDeployer(node.client, node.accounts[0], compiled))
        user = node.accounts[USER]
        made.token.mint.send(user, 10**15, sender=node.accounts[0])
        made.token.approve.send(made.engine.address, 2**256 - 1, sender=user)
        yield made


def act(system: System, count: int = 1) -> None:
    """Transactions with an event each."""
    user = system.client.rpc("eth_accounts")[USER]
    number = bytes.fromhex(user[2:]) + bytes(12)
    for _ in range(count):
        system.engine.deposit.send(number, 10**6, sender=user)


def opened(system: System, path: Path) -> EventStore:
    return EventStore.open(path, system.record, system.artifacts)


def replayed(system: System, folder: Path, size: int = 1000) -> Any:
    """Everything a new store holds that reads the chain from block 0."""
    path = folder / f"replay-{len(list(folder.iterdir()))}.sqlite"
    with opened(system, path) as store:
        sync(store, system.client, size=size)
        return rows_of(store)


def test_it_resumes_and_equals_a_replay_in_any_range_size(chain: System, tmp_path: Path) -> None:
    with opened(chain, tmp_path / "a.sqlite") as store:
        first = sync(store, chain.client)
        act(chain, 7)
        chain.client.mine(5)
        second = sync(store, chain.client)
        assert second.events == 7 and second.rewound_to is None
        assert second.tip is not None and second.tip.number == chain.client.block_number
        assert sync(store, chain.client).events == 0
        assert [event["assets"] for event in store.events("Deposited")][-7:] == [10**6] * 7
        assert store.count() == first.events + 7 > 50
        for size in (1, 7, 10**6):
            assert rows_of(store) == replayed(chain, tmp_path, size)


def test_the_last_block_can_be_chosen(chain: System, tmp_path: Path) -> None:
    with opened(chain, tmp_path / "a.sqlite") as store:
        result = sync(store, chain.client, to=20, size=3)
        assert result.tip is not None and result.tip.number == 20
        assert max(event.block for event in store.events()) <= 20
        assert sync(store, chain.client, to=10).tip == result.tip
        sync(store, chain.client)
        assert rows_of(store) == replayed(chain, tmp_path)


def test_a_reorganisation_rewinds_to_the_common_block(chain: System, tmp_path: Path) -> None:
    with opened(chain, tmp_path / "a.sqlite") as store:
        act(chain, 5)
        sync(store, chain.client)
        head = chain.client.block_number
        chain.client.rpc("anvil_reorg", 3, [])  # three new blocks without the old transactions
        result = sync(store, chain.client)
        assert result.forgotten == 3 and result.rewound_to == head - 3
        assert rows_of(store) == replayed(chain, tmp_path)


def test_a_shorter_chain_is_followed_too(chain: System, tmp_path: Path) -> None:
    with opened(chain, tmp_path / "a.sqlite") as store:
        snapshot = chain.client.snapshot()
        act(chain, 4)
        sync(store, chain.client)
        chain.client.revert(snapshot)
        result = sync(store, chain.client)
        assert result.forgotten == 4
        assert result.tip is not None and result.tip.number == chain.client.block_number
        act(chain, 2)
        sync(store, chain.client)
        assert rows_of(store) == replayed(chain, tmp_path)


@pytest.mark.parametrize("seed", range(3))
def test_any_history_equals_its_replay(chain: System, tmp_path: Path, seed: int) -> None:
    """Random deposits, empty blocks, reorganisations, reverts, and syncs of random sizes."""
    dice = random.Random(seed)
    client = chain.client
    with opened(chain, tmp_path / "a.sqlite") as store:
        sync(store, client)
        for _ in range(25):
            what = dice.choice(("act", "act", "mine", "reorg", "revert", "sync", "sync", "part"))
            if what == "act":
                act(chain, dice.randint(1, 4))
            elif what == "mine":
                client.mine(dice.randint(1, 5))
            elif what == "reorg":
                depth = dice.randint(1, 6)
                client.mine(depth)
                client.rpc("anvil_reorg", depth + dice.randint(0, 3), [])
            elif what == "revert":
                snapshot = client.snapshot()
                act(chain, dice.randint(1, 3))
                if dice.random() < 0.5:
                    sync(store, client, size=dice.randint(1, 9))
                client.revert(snapshot)
            elif what == "sync":
                sync(store, client, size=dice.randint(1, 9))
            else:
                sync(store, client, to=client.block_number - dice.randint(0, 4))
        sync(store, client)
        assert rows_of(store) == replayed(chain, tmp_path, dice.randint(1, 40))


def test_a_reorganisation_while_reading_is_noticed(chain: System, tmp_path: Path) -> None:
    """The chain changes between the request for logs and the next one."""
    act(chain, 4)

    class Moving(RpcClient):
        moves = 2

        def rpc(self, method: str, *params: Any) -> Any:
            answer = super().rpc(method, *params)
            if method == "eth_getLogs" and self.moves:
                self.moves -= 1
                chain.client.rpc("anvil_reorg", 2, [])
            return answer

    client = Moving(chain.client.url)
    with opened(chain, tmp_path / "a.sqlite") as store:
        sync(store, client)
        assert client.moves == 0
        assert rows_of(store) == replayed(chain, tmp_path)
    client.close()


class Limited(RpcClient):
    """A provider that refuses long ranges, as many do, and sometimes does not answer at all."""

    longest = 0

    def __init__(self, url: str, most: int, silent: int = 0) -> None:
        super().__init__(url)
        self.most, self.silent = most, silent

    def rpc(self, method: str, *params: Any) -> Any:
        if method == "eth_getLogs":
            blocks = int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1
            if blocks > self.most:
                raise RpcError(-32005, f"query returned more than {self.most} blocks")
            if self.silent:
                self.silent -= 1
                raise NodeError("timed out")
            self.longest = max(self.longest, blocks)
        return super().rpc(method, *params)


def test_ranges_shrink_to_what_the_node_gives_and_grow_again(chain: System, tmp_path: Path) -> None:
    client = Limited(chain.client.url, most=5, silent=2)
    with opened(chain, tmp_path / "a.sqlite") as store:
        sync(store, client, size=1000)
        assert rows_of(store) == replayed(chain, tmp_path)
    assert 3 <= client.longest <= 5
    client.close()


def test_a_node_that_gives_no_logs_is_said(chain: System, tmp_path: Path) -> None:
    client = Limited(chain.client.url, most=0)
    with (
        opened(chain, tmp_path / "a.sqlite") as store,
        pytest.raises(NodeRefuses, match="no logs of block 0"),
    ):
        sync(store, client)
    silent = Limited(chain.client.url, most=10**6, silent=10**6)
    with opened(chain, tmp_path / "b.sqlite") as store, pytest.raises(NodeError):
        sync(store, silent)
    client.close()
    silent.close()


def test_a_node_that_has_forgotten_old_logs_is_no_empty_chain(
    parameters: Any, compiled: Any, tmp_path: Path
) -> None:
    with Anvil(history=4) as node:
        system = deploy(parameters, RpcDeployer(node.client, node.accounts[0], compiled))
        node.client.mine(20)
        with (
            opened(system, tmp_path / "a.sqlite") as store,
            pytest.raises(NodeRefuses, match="forgotten"),
        ):
            sync(store, node.client)
        with opened(system, tmp_path / "a.sqlite") as store:
            assert rows_of(store) == []


CHILD = """
    import sys
    from pathlib import Path
    from backstop.chain.artifacts import build_artifacts
    from backstop.chain.record import Record
    from backstop.harness.rpc import RpcClient
    from backstop.store import EventStore, sync
    url, record, path = sys.argv[1:]
    record = Record.from_json(Path(record).read_text())
    with EventStore.open(path, record, build_artifacts()) as store:
        for size in range(1, 10**6):
            block = size % 60
            sync(store, RpcClient(url), to=block, size=1,
                 progress=lambda *p: print(*p, flush=True))
            if block == 59:
                store.rewind(0)
"""


def test_a_kill_leaves_a_whole_prefix(chain: System, tmp_path: Path) -> None:
    """SIGKILL while ranges are written and rewound; what is there is a prefix, and goes on."""
    act(chain, 10)
    script, record, path = (tmp_path / name for name in ("child.py", "record.json", "a.sqlite"))
    script.write_text(textwrap.dedent(CHILD))
    record.write_text(chain.record.to_json())
    with opened(chain, tmp_path / "whole.sqlite") as whole:
        sync(whole, chain.client)
        everything = list(whole.events())
        for lines in (3, 70, 95):
            child = subprocess.Popen(
                [sys.executable, script, chain.client.url, record, path],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert child.stdout is not None
            for _ in range(lines):
                assert child.stdout.readline(), "the child ended"
            child.send_signal(signal.SIGKILL)
            child.wait()
            child.stdout.close()
            with opened(chain, path) as store:
                tip = store.tip
                assert tip is not None
                kept = list(store.events())
                assert kept == [event for event in everything if event.block <= tip.number]
    with opened(chain, path) as store:
        sync(store, chain.client)
        assert rows_of(store) == replayed(chain, tmp_path)


def test_two_writers_do_no_harm(chain: System, tmp_path: Path) -> None:
    problems: list[BaseException] = []

    def work() -> None:
        client = RpcClient(chain.client.url)
        try:
            with opened(chain, tmp_path / "a.sqlite") as store:
                sync(store, client, size=1)
        except BaseException as error:
            problems.append(error)
        finally:
            client.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    with opened(chain, tmp_path / "a.sqlite") as store:
        assert rows_of(store) == replayed(chain, tmp_path)


def test_following_survives_a_node_that_is_away(chain: System, tmp_path: Path) -> None:
    class Away(RpcClient):
        answers = 0

        def rpc(self, method: str, *params: Any) -> Any:
            self.answers += 1
            if 3 < self.answers < 6:
                raise NodeError("no node")
            return super().rpc(method, *params)

    client, complaints, seen = Away(chain.client.url), [], 0
    with opened(chain, tmp_path / "a.sqlite") as store:
        looks = follow(
            store,
            client,
            every=0.01,
            complain=complaints.append,
            stop=lambda: store.count() > 0 and seen > 2,
        )
        for result in looks:
            seen += 1
            if seen == 1:
                act(chain)
            elif seen == 2:
                assert result.events == 1
        assert complaints and rows_of(store) == replayed(chain, tmp_path)
    client.close()


def test_a_deployment_through_decimals_reads_back(chain: System, tmp_path: Path) -> None:
    """What a typed client did is what the store says."""
    from backstop.chain.clients import Trader
    from backstop.harness.anvil import private_key

    trader = Trader(chain, private_key(USER))
    with opened(chain, tmp_path / "a.sqlite") as store:
        sync(store, chain.client)
        moved = trader.deposit(Decimal("12.345678"))
        sync(store, chain.client)
        (event,) = store.events(newest_first=True, limit=1)
        assert event.transaction == moved.transaction
        assert (event.name, event["assets"]) == ("Deposited", 12_345_678)
        assert event["account"] == "0x" + trader.number.hex()
