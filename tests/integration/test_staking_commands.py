"""Staking, giving and upkeep as users type them, on the node that ape is connected to."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
import yaml

from backstop.chain.artifacts import ROOT
from backstop.chain.deploy import attach
from backstop.chain.upkeep import Caretaker

D = Decimal
DAY = 86_400
STAKER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


@pytest.fixture
def run(said):
    said("deploy --account TEST::0")
    return said


def pool(run):
    return json.loads(run("stakes --json"))["pool"]


def test_the_life_of_a_stake(run, rpc):
    assert "staked 600 mUSD for 600 shares of series 0 at 1.000000" in run(
        "stake 600 --account TEST::1 --mint"
    )
    system = attach(rpc)
    assert system.token.allowance(STAKER, system.tranche.address) == 0, "no more than needed"
    run("stake 400 --account TEST::2 --mint")
    assert "gave 70 mUSD to the stakers: 70.00 on its way" in run(
        "give 70 --to stakers --account TEST::3 --mint"
    )
    rpc.warp(7 * DAY)
    assert pool(run)["share_price"].startswith("1.0699999"), "virtual shares keep a trace"
    assert D(pool(run)["income_to_come"]) == 0

    asked = json.loads(run("unstake 321 --account TEST::1 --json"))
    assert asked["request"]["assets"] == "321", "rounded up to a share, down to what it is worth"
    assert D("299.99") < D(asked["shares"]) < D("300.01")
    first = asked["request"]["request"]
    text = run("unstake all --account TEST::1")
    assert f"for request {first}, which is worth 642.00 mUSD" in text, "one request a week"
    assert "earns nothing and bears losses until then" in text
    assert "has no active stake" in run("unstake all --account TEST::1", 1)
    refusal = run("claim_stake --account TEST::1", 1)
    assert f"request {first} of 642.00 mUSD can be claimed from" in refusal
    assert "held back" not in refusal

    now = pool(run)
    (bucket,) = now["buckets"]
    assert bucket["maturity"] == now["epoch_end"] + now["cooldown"] == bucket["claimable_at"]
    rpc.warp(bucket["maturity"] - rpc.timestamp - DAY)
    system.fund.holdMaturity.send(sender=system.record.deployer)
    assert "held back while a shortfall is open" in run("claim_stake --account TEST::1", 1)
    shown = run("stakes TEST::1")
    assert "a shortfall is open: none before" in shown and "from " in shown
    assert pool(run)["buckets"][0]["claimable_at"] == pool(run)["held_until"]
    rpc.warp(3 * DAY)
    assert f"{first} 642.00 now" in " ".join(run("stakes TEST::1").split())
    assert D("641.99") < D(pool(run)["matured"]) <= 642

    run("stake 5 --account TEST::1 --mint")
    second = json.loads(run("unstake all --account TEST::1 --json"))["request"]["request"]
    assert second == first + 1
    text = run("claim_stake --account TEST::1")
    assert f"request {first} paid 64" in text
    assert f"request {second} of 5.00 mUSD can be claimed from" in text, "the one still open"
    assert "can be claimed from" in run(f"claim_stake --request {second} --account TEST::1", 1)
    assert f"has no request {first}: it has {second}" in run(
        f"claim_stake --request {first} --account TEST::1", 1
    )
    stake = json.loads(run(f"stakes {STAKER} --json"))["stake"]
    assert D("641.99") < D(stake["wallet"]) <= 642
    assert [r["claimable"] for r in stake["requests"]] == [False]


def test_what_a_staker_gets_wrong(run, rpc):
    assert "is not positive" in run("stake 0 --account TEST::1", 2)
    assert "mUSD has 6 decimals" in run("stake 0.0000001 --account TEST::1", 2)
    assert "0 mUSD but needs 5 mUSD" in run("stake 5 --account TEST::1", 1)
    text = run("stake 1000000.5 --account TEST::1 --mint", 1)
    assert "there is room for 1,000,000 mUSD of stake, not 1,000,000.5 mUSD" in text
    system = attach(rpc)
    assert system.token.allowance(STAKER, system.tranche.address) == 0, "refused before approving"
    assert "is not positive" in run("unstake 0 --account TEST::1", 2)
    assert "plain decimal" in run("unstake some --account TEST::1", 2)
    assert "has no active stake" in run("unstake 1 --account TEST::1", 1)
    text = run("claim_stake --account TEST::1 --json", 1)
    assert "has no request to claim: `ape run unstake` makes one" in json.loads(text)["error"]
    assert "is not in the range" in run("claim_stake --request 0 --account TEST::1", 2)
    assert "no account" in run("stakes nobody", 2)

    run("stake 0.000001 --account TEST::1")
    text = run("unstake 0.5 --account TEST::1", 1)
    assert "is worth 0.000001 mUSD, less than 0.5" in text
    run("give 1000 --to stakers --account TEST::1")
    rpc.warp(7 * DAY)
    assert "worth no share: give a larger one" in run("stake 0.000001 --account TEST::1", 1)
    assert system.token.allowance(STAKER, system.tranche.address) == 0


def test_gifts_reach_their_layer(run):
    text = run("give 1000 --to reserve --account TEST::1 --mint")
    assert "gave 1,000 mUSD to the operator's reserve: 101,000.00 in it now" in text
    run("give 20 --to backing --account TEST::1 --mint")
    run("give 30 --to compartment:ETH --account TEST::1 --mint")
    text = run("give 40 --to stakers --account TEST::1 --mint")
    assert "nobody is staked: it waits until somebody is" in text
    text = run("give 130000.5 --to compartment:BTC --account TEST::1 --mint", 1)
    assert "the compartment has room for 130,000 mUSD, not 130,000.5 mUSD" in text
    text = run("give 5 --to premium --account TEST::1", 1)
    assert "has room for 0 mUSD, not 5 mUSD" in text, "no reinsurance in this deployment"
    for layer in ("nowhere", "compartment", "reserve:BTC", "compartment:"):
        assert "compartment:MARKET" in run(f"give 5 --to {layer} --account TEST::1", 2)
    assert "0 BTC, 1 ETH" in run("give 5 --to compartment:DOGE --account TEST::1", 2)
    assert "is not positive" in run("give 0 --to reserve --account TEST::1", 2)
    assert "0 mUSD but needs 1 mUSD" in run("give 1 --to reserve --account TEST::7", 1)
    fund = json.loads(run("fund --json"))
    assert (fund["reserve"], fund["backing"]) == ("101000", "20")
    assert [c["assets"] for c in fund["compartments"]] == ["20000", "10030"]
    assert fund["pool"]["income_to_come"] == "40"
    assert fund["tokens_held"] == "131090"


def chores(run):
    found = json.loads(run("upkeep --account TEST::5 --json"))
    return {(c["what"], c["market"]): c for c in found}


def test_upkeep_does_what_applies(run, rpc, tmp_path):
    for trader in (1, 2):
        run(f"deposit 9000 --account TEST::{trader} --mint")
    order = tmp_path / "order.json"
    run(f"sign_order BTC buy 0.1 60000 --account TEST::1 -o {order}")
    run(f"settle_order {order} --account TEST::2")
    done = chores(run)
    assert {key: c["state"] for key, c in done.items()} == {
        ("poke", None): "done",
        ("closeFairWindow", None): "skipped",
        ("collectWindow", None): "skipped",
        ("sweepFees", 0): "done",
        ("sweepFees", 1): "skipped",
        ("noteReserveGap", None): "skipped",
        ("noteSolvency", None): "done",
        ("followFund", 0): "done",
        ("followFund", 1): "done",
    }
    assert "BTC handed 2.10 mUSD of income over" in done["sweepFees", 0]["says"]
    assert "owes the reserve 150,000.00 mUSD since" in done["noteReserveGap", None]["says"]
    assert "solvency ratio 1.000" in done["noteSolvency", None]["says"]
    assert "terms of BTC: surcharge 0.75" in done["followFund", 0]["says"]
    again = chores(run)
    assert again["sweepFees", 0]["state"] == "skipped"

    fund = json.loads(run("fund --json"))
    (btc, _) = fund["terms"]
    assert btc["follows"] and btc["base_surcharge_ppm"] == 7500 >= btc["surcharge_ppm"] > 7490
    assert (btc["cap_ppm"], btc["floor_ppm"]) == (2_500_000, 250_000)
    assert fund["reserve_short_since"] > 0 and fund["premium"]["reinsurer"] is None
    assert (fund["pool"]["series"], fund["pool"]["cap"]) == (0, "1000000")

    # an oracle that fails: the rest is done all the same
    system = attach(rpc)
    rpc.set_code(system.risk_oracle.address, "0x5f5ffd")
    broken = {c.what: c for c in Caretaker(system, system.record.deployer).upkeep()}
    assert broken["poke"].state == broken["noteSolvency"].state == "refused"
    assert "refused without a reason" in broken["poke"].says
    assert broken["followFund"].state == "done"


def test_a_deployment_without_staking_target_and_cover(said, tmp_path):
    parameters = yaml.safe_load((ROOT / "parameters" / "local.yaml").read_text())
    for section in ("staking", "target"):
        del parameters["fund"][section]
    for market in parameters["markets"]:
        del market["cover"]
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(parameters))
    said(f"deploy --account TEST::0 --parameters {tmp_path / 'p.yaml'}")
    assert "staking is not open: its cap is 0" in said("stake 5 --account TEST::1 --mint", 1)
    states = {c["state"] for c in chores(said).values()}
    assert states == {"skipped"}
    terms = json.loads(said("fund --json"))["terms"]
    assert [(t["follows"], t["surcharge_ppm"]) for t in terms] == [(False, 7500)] * 2
    assert "room     0.00 of at most 0.00" in said("stakes")
