"""The node that we start ourselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backstop.harness import anvil
from backstop.harness.anvil import Anvil, AnvilError
from backstop.harness.rpc import NodeError


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # a zombie that nobody waited for (no init in a container) is dead all the same
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return not stat.parent.parent.joinpath("self").exists()


def wait_until_dead(pid: int, seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_accounts_and_clock_are_the_same_in_every_run():
    with Anvil(accounts=3) as node:
        client = node.client
        assert [a.lower() for a in node.accounts] == client.rpc("eth_accounts")
        assert client.timestamp == anvil.GENESIS_TIME
        assert client.balance(node.accounts[2]) == 10**6 * 10**18
        client.send(node.accounts[1], b"", node.accounts[0], 5)
        assert client.timestamp == anvil.GENESIS_TIME + 12
        assert node.running


def test_private_keys_belong_to_the_accounts():
    assert anvil.private_key(0).hex().startswith("ac0974bec39a17e3")
    assert anvil.account_address(1) == "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


def test_two_nodes_have_two_ports():
    with Anvil() as one, Anvil() as other:
        assert one.port != other.port


def test_stop_and_start_again():
    node = Anvil()
    with pytest.raises(AnvilError, match="not started"):
        _ = node.port
    node.start()
    pid = node.pid
    assert node.start().pid == pid, "starting twice is harmless"
    states = Path(node._states.name)
    assert states.is_dir()
    node.stop()
    node.stop()
    assert wait_until_dead(pid)
    assert not states.exists()
    with pytest.raises(AnvilError, match="not running"):
        node.check()
    assert node.start().client.chain_id == 31337
    node.stop()


def test_node_that_dies_is_reported():
    with Anvil() as node:
        node.client.chain_id  # noqa: B018 - opens the connection
        os.kill(node.pid, signal.SIGKILL)
        assert wait_until_dead(node.pid) or not node.running
        with pytest.raises(NodeError):
            node.client.rpc("eth_chainId")
        deadline = time.monotonic() + 10
        while node.running and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(AnvilError, match="not running"):
            node.check()


def test_wrong_arguments_show_what_anvil_says():
    with pytest.raises(AnvilError, match="--no-such-option"):
        Anvil(extra=["--no-such-option"]).start()


def test_missing_binary_names_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(anvil.sys, "prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AnvilError, match="make setup"):
        Anvil().start()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_orphan_is_left_behind(how):
    program = (
        "import time\n"
        "from backstop.harness.anvil import Anvil\n"
        "node = Anvil(history=None).start()\n"
        "print(node.pid, node._states.name, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as parent:
        assert parent.stdout is not None
        number, folder = parent.stdout.readline().decode().split()
        pid, states = int(number), Path(folder)
        assert alive(pid)
        (states / "one").write_text("a node with all its history writes gigabytes")
        parent.send_signal(how)
        parent.wait(60)
    assert wait_until_dead(pid)
    deadline = time.monotonic() + 60
    while states.exists():
        assert time.monotonic() < deadline, "the states are left behind"
        time.sleep(0.02)


def test_nothing_is_logged_per_request():
    with Anvil() as node:
        before = len(node.output())
        for _ in range(50):
            node.client.rpc("eth_chainId")
        assert len(node.output()) == before
