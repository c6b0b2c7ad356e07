"""The risk lab's commands on a deployed system: reading it, and writing the target to it."""

from __future__ import annotations

import json

import pytest
from lab_cases import FEW, failed, rows, summary

from backstop.chain.config import Parameters


@pytest.fixture
def run(ape_run):
    return ape_run


def test_recommended_parameters_deploy(run, tmp_path):
    out = tmp_path / "r.yaml"
    assert run(f"recommend --fund 2000000 --out {out}").exit_code == 0
    found = Parameters.load(out)
    result = run(f"deploy --account TEST::0 --parameters {out}")
    assert result.exit_code == 0, result.output
    markets = json.loads(run("markets --json").output)
    for market, wanted in zip(markets, found.markets, strict=True):
        got = market["parameters"]
        assert got["maintenance_margin_ppm"] == wanted.parameters.maintenance_margin_ppm
        assert int(got["open_interest_cap"]) == wanted.parameters.open_interest_cap


@pytest.fixture
def traded(run, tmp_path):
    """A deployed system with two traders against each other in two markets."""
    assert run("deploy --account TEST::0").exit_code == 0
    for trader, amount in ((1, 5000), (2, 9000)):
        assert run(f"deposit {amount} --account TEST::{trader} --mint").exit_code == 0
    order = tmp_path / "a.json"
    for text in ("BTC buy 0.5 60000", "ETH sell 3 3000"):
        assert run(f"sign_order {text} --account TEST::1 -o {order}").exit_code == 0
        assert run(f"settle_order {order} --account TEST::2").exit_code == 0
    return run


NETWORK = "--network ethereum:local:foundry"


def test_a_chain_is_read_account_by_account(traded, tmp_path):
    line = f"size-fund {FEW} {NETWORK} --volume BTC=1000000 --out {tmp_path}/a --json"
    result = traded(line)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["platform"]["kind"] == "chain" and found["fund"]["total"] == 130_000
    assert found["collateral"] == {"symbol": "mUSD", "decimals": 6}
    held = rows(tmp_path / "a" / "liquidations.csv")
    sizes = {(row["owner"], row["collateral"]): float(row["collateralAmount"]) for row in held}
    account = json.loads(traded("account TEST::1 --json").output)
    mine = {p["name"]: float(p["size"]) for p in account["positions"]}
    assert mine == {"BTC": 0.5, "ETH": -3.0}
    owners = {owner for owner, _ in sizes}
    assert len(owners) == 2
    for (_, market), size in sizes.items():
        assert abs(size) == abs(mine[market])
    notes = " ".join(found["notes"])
    assert "Daily volume of ETH" in notes
    output = failed(traded(f"stress {NETWORK} --volume DOGE=1"))
    assert "the markets are BTC, ETH" in output


def test_a_chain_without_positions_is_said(run):
    assert run("deploy --account TEST::0").exit_code == 0
    assert "no account has a position" in failed(run(f"stress {NETWORK}"))


def test_a_network_without_a_deployment_is_said(run):
    assert "run `ape run deploy`" in failed(run(f"stress {NETWORK}"), 1)


def oracle():
    """The deployment's RiskOracle; the deployer, TEST::0, is its reporter."""
    import ape

    from backstop.chain.commands import active_provider
    from backstop.chain.deploy import attach
    from backstop.chain.transport import ApeClient

    provider = active_provider()
    client = ApeClient(provider)
    contract = attach(client, artifacts=ape.project.get_contract).risk_oracle
    return ape.accounts.test_accounts[0].address, contract


def test_post_target_sends_target_parts_and_hashes(traded, tmp_path):
    run = traded
    folder = tmp_path / "a"
    # a target must be at least 10,000 units
    assert run(f"size-fund {FEW} {NETWORK} --floor 1000 --out {folder}").exit_code == 0
    found = summary(folder)
    admin, contract = oracle()
    assert [str(a) for a in contract.reporters()] == [admin]
    dry = run(f"post-target {folder} --account TEST::0 --dry-run")
    assert dry.exit_code == 0, dry.output
    assert "nothing was sent" in dry.output and found["data_hash"] in dry.output
    assert contract.report(admin).postedAt == 0
    assert "is no reporter" in failed(run(f"post-target {folder} --account TEST::3"), 1)
    sent = run(f"post-target {folder} --account TEST::0 --json")
    assert sent.exit_code == 0, sent.output
    report = contract.report(admin)
    wad = int(found["required"]["target_wad"])
    assert report.target == -(-wad // 10**12)
    assert bytes(report.dataHash).hex() == found["data_hash"]
    assert bytes(report.codeHash).hex() == found["code_hash"]
    for name, part in found["contributions_wad"].items():
        expected = -(-int(part) // 10**12)
        assert contract.contribution(found["markets"][name]) == expected


def test_post_target_refuses_what_must_not_be_posted(traded, tmp_path):
    run, folder = traded, tmp_path / "a"
    assert "run `ape run size-fund` first" in failed(run(f"post-target {folder} --account TEST::0"))
    assert run(f"size-fund {FEW} --out {folder}").exit_code == 0
    path = folder / "summary.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps(whole | {"partial": True}))
    assert "stopped" in failed(run(f"post-target {folder} --account TEST::0"))
    path.write_text(json.dumps(whole | {"study": "stress"}))
    assert "is of stress" in failed(run(f"post-target {folder} --account TEST::0"))
    path.write_text(json.dumps(whole | {"contributions_wad": {"DOGE": "1"}}))
    assert "the deployment has BTC, ETH" in failed(run(f"post-target {folder} --account TEST::0"))
    path.write_text("{")
    assert "is no summary" in failed(run(f"post-target {folder} --account TEST::0"))


def test_a_deployment_without_a_risk_oracle_is_said(traded, tmp_path):
    run, folder = traded, tmp_path / "a"
    assert run(f"size-fund {FEW} --out {folder}").exit_code == 0
    file = next((tmp_path / "deployments").glob("*.json"))
    record = json.loads(file.read_text())
    del record["contracts"]["risk_oracle"]
    file.write_text(json.dumps(record))
    assert "has no RiskOracle" in failed(run(f"post-target {folder} --account TEST::0"), 1)
