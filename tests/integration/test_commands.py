"""The commands as users type them: the sessions of the documentation, and what users get wrong.

They run in this process, through ape's own command line, on the node that ape is connected to; two
run as processes of their own, for the exit codes and the streams.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from backstop.chain.artifacts import ROOT
from backstop.chain.record import DeploymentError
from backstop.harness.rpc import NodeError


@pytest.fixture
def run(ape_run, tmp_path):
    """`run("ape run fund")` as a page shows it; JSON and YAML files go to tmp_path."""

    def run_(line):
        words = [
            str(tmp_path / w) if w.endswith((".json", ".yaml")) else w for w in shlex.split(line)
        ]
        assert words[:2] == ["ape", "run"]
        return ape_run(shlex.join(words[2:]))

    return run_


@pytest.fixture
def deployed(run, parameters_file):
    """A system on ape's node, recorded for the commands."""
    result = run(f"ape run deploy --account TEST::0 --parameters {parameters_file}")
    assert result.exit_code == 0, result.output
    return run


@pytest.fixture
def parameters_file(tmp_path):
    (tmp_path / "p.yaml").write_text((ROOT / "parameters" / "local.yaml").read_text())
    return "p.yaml"


def blocks(page):
    """Pairs of a command and the answer that a page of the documentation shows."""
    text = (ROOT / "docs" / page).read_text()
    session = text[text.index("<!-- session -->") : text.index("<!-- end -->")]
    for block in re.findall(r"```console\n(.*?)```", session, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, answer = part.partition("\n")
            yield command, answer


def shape(text):
    """An answer without its numbers, times, addresses and column widths."""
    text = re.sub(r"\S*/(order\.json|31337\.json)", r"\1", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", text)
    text = re.sub(r"0x[0-9a-fA-F]+", "ADDRESS", text)
    text = re.sub(r"-?\d[\d,]*(\.\d+)?", "N", text)
    return [re.sub(r"\s+", " ", line).strip() for line in text.strip().splitlines()]


@pytest.mark.parametrize(("page", "least"), [("commands.md", 15), ("staking.md", 9)])
def test_the_session_of_the_documentation(run, page, least):
    commands = list(blocks(page))
    assert len(commands) > least
    if "ape run deploy" not in commands[0][0]:
        assert run("ape run deploy --account TEST::0").exit_code == 0
    for command, expected in commands:
        result = run(command)
        refused = expected.startswith("Error:")
        assert (result.exit_code != 0) == refused, f"{command}\n{result.output}"
        assert shape(result.output) == shape(expected), f"{command}\n{result.output}"


# --- what users get wrong: a sentence and an exit code, never a traceback


def failed(result, code=1):
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


def test_without_a_deployment_the_remedy_is_named(run):
    assert "run `ape run deploy`" in failed(run("ape run fund"))
    assert "error" in json.loads(failed(run("ape run fund --json")))


def test_arguments_are_checked(deployed):
    run = deployed
    assert "is not positive" in failed(run("ape run deposit 0 --account TEST::1"), 2)
    assert "plain decimal" in failed(run("ape run deposit 1e3 --account TEST::1"), 2)
    assert "no account" in failed(run("ape run account nobody"), 2)
    assert "no account" in failed(run("ape run account 0x12"), 2)
    assert "0 BTC, 1 ETH" in failed(run("ape run set_price DOGE 1 --account TEST::0"), 2)
    assert "buy" in failed(run("ape run sign_order BTC hold 1 1 --account TEST::1"), 2)
    assert "duration" in failed(
        run("ape run sign_order BTC buy 1 1 --account TEST::1 --valid-for 1y"), 2
    )
    assert "give one of" in failed(run("ape run cancel --account TEST::1"), 2)
    assert "at least one --order" in failed(
        run("ape run liquidate TEST::1 --way orders --account TEST::2"), 2
    )
    assert "ape run sign_order" in failed(
        run("ape run settle_order none.json --account TEST::1"), 2
    )
    assert "No network" in failed(run("ape run fund --network ethereum:nowhere:foundry"), 2)


def test_refusals_have_the_numbers(deployed):
    run = deployed
    text = failed(run("ape run deposit 5 --account TEST::1"))
    assert "has 0 mUSD but needs 5 mUSD: 5 mUSD are missing" in text
    text = failed(run("ape run withdraw 5 --account TEST::1"))
    assert "can withdraw at most 0 mUSD now, not 5 mUSD" in text
    assert "nothing can be withdrawn" in failed(run("ape run withdraw all --account TEST::1"))
    text = failed(run("ape run liquidate TEST::1 --account TEST::2"))
    assert "the account is healthy" in text
    text = failed(run("ape run liquidate TEST::1 --way flag --account TEST::2 --json"))
    assert "is healthy: equity 0.00 mUSD" in json.loads(text)["error"]
    for way in ("take-over", "deleverage"):
        text = failed(run(f"ape run liquidate TEST::1 --way {way} --account TEST::2"))
        assert "has no position" in text
    assert "is not bankrupt" in failed(
        run("ape run liquidate TEST::1 --way close-out --account TEST::2")
    )


def test_parameter_files_are_checked_before_anything_is_sent(run, tmp_path):
    text = (ROOT / "parameters" / "local.yaml").read_text()
    (tmp_path / "bad.yaml").write_text(text.replace("maintenance: 5%", "maintenance: 1%", 1))
    output = failed(run("ape run deploy --account TEST::0 --parameters bad.yaml"), 2)
    assert "markets[0].margin.maintenance is '1%'" in output
    assert "What to do:" in output
    assert not (tmp_path / "deployments").exists()
    output = failed(run("ape run deploy --account TEST::0 --parameters none.yaml"), 2)
    assert "existing file" in output


def test_every_answer_can_be_json(deployed, tmp_path):
    run = deployed
    json.loads(run("ape run deposit 1000 --account TEST::1 --mint --json").output)
    json.loads(run("ape run deposit 9000 --account TEST::2 --mint --json").output)
    order = json.loads(
        run("ape run sign_order BTC buy 0.1 60000 --account TEST::1 -o a.json --json").output
    )
    assert order["size"] == "0.1"
    fill = json.loads(run("ape run settle_order a.json --account TEST::2 --json").output)
    assert (fill["filled"], fill["price"]) == ("0.1", "60000")
    account = json.loads(run("ape run account TEST::1 --json").output)
    assert account["state"] == "healthy"
    assert account["positions"][0]["size"] == "0.1"
    markets = json.loads(run("ape run markets --json").output)
    assert [m["name"] for m in markets] == ["BTC", "ETH"]
    assert markets[0]["open_long"] == "0.1"
    fund = json.loads(run("ape run fund --json").output)
    assert fund["total"] == "130000"
    price = json.loads(run("ape run set_price ETH 2900 --account TEST::0 --json").output)
    assert price["index_price"] == "2900"
    sent = json.loads(run("ape run cancel --nonce 7 --account TEST::1 --json").output)
    assert sent["gas_used"] > 21_000
    taken = json.loads(run("ape run withdraw 1 --account TEST::2 --json").output)
    assert taken["amount"] == "1"
    assert json.loads(run("ape run cancel --all --account TEST::1 --json").output)["transaction"]


def test_two_signed_orders_are_matched_by_anybody(deployed):
    run = deployed
    for trader in (1, 2):
        run(f"ape run deposit 9000 --account TEST::{trader} --sub 4 --mint")
    run("ape run sign_order ETH buy 1 3000 --account TEST::1 --sub 4 -o bid.json")
    run("ape run sign_order ETH sell 2 2990 --account TEST::2 --sub 4 -o ask.json")
    result = run("ape run settle_order bid.json ask.json --account TEST::5")
    assert "traded 1 ETH at 3,000.00" in result.output
    assert "TEST::1/4" not in failed(run("ape run settle_order bid.json --account TEST::5"))


def test_a_changed_order_file_is_noticed(deployed, tmp_path):
    run = deployed
    run("ape run sign_order BTC buy 0.1 60000 --account TEST::1 -o a.json")
    path = tmp_path / "a.json"
    path.write_text(path.read_text().replace('"0.1"', '"0.2"'))
    output = failed(run("ape run settle_order a.json --account TEST::2"), 2)
    assert "changed after signing" in output


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (NodeError("gone"), "the node does not answer any more"),
        (KeyboardInterrupt(), "stopped"),
        (ConnectionResetError(), "the node does not answer"),
        (DeploymentError("another network"), "another network"),
    ],
)
def test_a_node_that_dies_and_ctrl_c_end_in_a_sentence(run, monkeypatch, error, sentence):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr("backstop.chain.deploy.attach", fail)
    assert sentence in failed(run("ape run markets"))


def test_a_defect_of_ours_keeps_its_traceback(run, monkeypatch):
    def fail(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr("backstop.chain.deploy.attach", fail)
    with pytest.raises(ZeroDivisionError):
        run("ape run markets")


def test_every_command_explains_itself(run):
    names = sorted(path.stem for path in (ROOT / "scripts").glob("[a-z]*.py"))
    ours = (ROOT / "docs" / "commands.md").read_text()
    for name in names:
        if f"`{name}" not in ours:
            continue  # a command of another chapter
        result = run(f"ape run {name} --help")
        assert result.exit_code == 0
        assert f"ape run {name}" in re.split("Examples?:", result.output)[1]
        if "Commands:" in result.output:  # a group: its commands answer
            result = run(f"ape run {name} status --help")
        assert "--json" in result.output or name == "monitor", "which serves a page"


# --- as processes of their own


def process(tmp_path, *words, **environment):
    return subprocess.run(
        [str(Path(sys.executable).with_name("ape")), "run", *words],
        cwd=ROOT,
        env={**os.environ, "BACKSTOP_DEPLOYMENTS": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


def test_a_dead_node_is_named_and_not_replaced(tmp_path):
    done = process(tmp_path, "fund", APE_FOUNDRY_HOST="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "no node answers at http://127.0.0.1:9" in done.stderr
    assert "anvil" in done.stderr
    assert done.stdout == ""


def test_errors_go_to_stderr_or_as_json_to_stdout(tmp_path):
    done = process(tmp_path, "markets", "--json")
    assert done.returncode == 1
    assert "no deployment is recorded" in json.loads(done.stdout)["error"]
    assert "Traceback" not in done.stderr
