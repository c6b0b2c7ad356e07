"""`ape run crash_put` as users type it, on the node that ape is connected to."""

from __future__ import annotations

import datetime
import json

import pytest

from backstop.chain.artifacts import ROOT

DAY = 86_400


@pytest.fixture
def run(said, tmp_path):
    """`run("crash_put status")`: output of `ape run`, on a system with a put."""
    text = (ROOT / "parameters" / "local.yaml").read_text()
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("  # reinsurance:"))
    for i in range(start, start + 4):
        lines[i] = lines[i].replace("# ", "", 1)
    (tmp_path / "p.yaml").write_text("\n".join(lines))
    said(f"deploy --account TEST::0 --parameters {tmp_path / 'p.yaml'}")
    return said


def moment(timestamp):
    return datetime.datetime.fromtimestamp(timestamp, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")


def test_the_life_of_a_series(run, rpc):
    assert "no series yet" in run("crash_put status")
    now = rpc.timestamp
    values = (
        "--strike 45000 --floor 25000 --start-price 55000 --size 1000 --premium 2%"
        f" --write-until {moment(now + 2 * DAY)} --expiry {moment(now + 9 * DAY)}"
    )
    command = f"crash_put open BTC --account TEST::0 {values}"
    text = run(command.replace("--floor 25000", "--floor 45000"), 1)
    assert "floor is not allowed" in text, "before anything is announced"
    assert "run the same command again from" in run(command)
    assert "its delay is not over" in run(command, 1)
    rpc.warp(12 * 3600)
    assert "series 1 is open for writing until" in run(command)
    assert "may not call this function" in run(command.replace("TEST::0", "TEST::3"), 1)
    # both feeds answer for an hour only
    run("set_price BTC 60000 --account TEST::0")
    text = run("crash_put write 1 1000.5 --account TEST::5 --mint", 1)
    assert "has room for 1,000 mUSD, not 1,000.5 mUSD" in text
    assert "wrote 400 mUSD collateral" in run("crash_put write 1 400 --account TEST::5")
    assert "cannot be done then" in run("crash_put activate 1 --account TEST::5", 1)
    run("crash_put write 1 600 --account TEST::6 --mint")
    text = run("crash_put activate 1 --account TEST::7")
    assert "started for 20 mUSD premium; it is active with 1,000 written" in text
    status = json.loads(run("crash_put status --json"))
    assert (status["in_use"], status["budget"]) == (True, "4980")
    (series,) = status["series"]
    assert (series["state"], series["notional"], series["left"]) == ("active", "0.05", "1000")
    rpc.warp(9 * DAY)
    assert "is not usable now" in run("crash_put settle 1 --account TEST::7", 1)
    run("set_price BTC 40000 --account TEST::0")
    text = run("crash_put settle 1 --account TEST::7")
    assert "settled: 250 mUSD to the fund's reserve; it is settled" in text
    text = run("crash_put withdraw 1 --account TEST::5")
    assert "withdrew 308 mUSD of collateral and premium" in text
    assert "has nothing in series 1" in run("crash_put withdraw 1 --account TEST::5", 1)
    assert "there is no series 9" in run("crash_put settle 9 --account TEST::7", 1)
    shown = run("crash_put status")
    assert "settled" in shown and "premiums 4,980.00 mUSD of at most 20,000.00" in shown


def test_what_is_mistyped(run):
    text = run("crash_put write 1 -5 --account TEST::5", 2)
    assert "No such option" in text or "is not" in text
    assert "write 2026-03-01T12:00" in run(
        "crash_put open BTC --account TEST::0 --strike 1 --floor 1 --start-price 1 --size 1"
        " --premium 2% --write-until tomorrow --expiry 5",
        2,
    )
    assert "percentage" in run(
        "crash_put open BTC --account TEST::0 --strike 1 --floor 1 --start-price 1 --size 1"
        " --premium 2 --write-until 1 --expiry 5",
        2,
    )
