"""The commands of the risk lab as users type them, end to end, and what users get wrong.

In this process through ape's own command line, on few paths and without worker processes; Ctrl-C
and the processes are tested as a process of their own.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from lab_cases import FEW, failed, rows, summary

from backstop.chain.artifacts import ROOT
from backstop.chain.config import Parameters


@pytest.fixture
def run(ape_run):
    return ape_run


def self_contained(folder):
    page = (folder / "report.html").read_text()
    assert not re.search(r"https?:|src=|@import|url\(|<script|<link", page)
    assert "What is not modelled" in page and "code hash" in page
    return page


# --- size-fund ------------------------------------------------------------------------------------


def test_size_fund_leaves_a_report_a_summary_and_tables(run, tmp_path):
    result = run(f"size-fund {FEW} --out {tmp_path}/a")
    assert result.exit_code == 0, result.output
    assert "Target" in result.output
    found = summary(tmp_path / "a")
    need = found["required"]
    parts = (need["cover2"] * need["cascade_mult"], need["es_interval"][1], need["newsvendor"])
    assert need["target"] == pytest.approx(max(parts))
    assert need["target"] > 0 and found["partial"] is False
    assert sum(need["by_market"].values()) == pytest.approx(need["es"])
    target = int(need["target_wad"])
    assert 0 <= sum(map(int, found["contributions_wad"].values())) - target <= 1e10
    page = self_contained(tmp_path / "a")
    for title in ("Loss distribution", "Fund size", "Price shocks", "Liquidation levels",
                  "The worst path", "Backtest", "Who causes it"):  # fmt: skip
        assert title in page
    curve = rows(tmp_path / "a" / "fund_curve.csv")
    exhausted = [float(row["p_exhausted"]) for row in curve]
    assert exhausted == sorted(exhausted, reverse=True) and exhausted[-1] == 0.0
    levels = rows(tmp_path / "a" / "liquidations.csv")
    assert set(levels[0]) == {"owner", "liqPrice", "collateral", "collateralAmount"}
    losses = sum(float(row["deficit"]) for row in rows(tmp_path / "a" / "paths.csv"))
    assert losses > 0


def test_the_same_inputs_give_the_same_bytes_on_other_backends_too(run, tmp_path):
    assert run(f"size-fund {FEW} --out {tmp_path}/a").exit_code == 0
    other = FEW.replace("serial", "process")
    assert run(f"size-fund {other} --workers 2 --out {tmp_path}/b").exit_code == 0
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "b").iterdir()) and len(names) == 6
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    assert run(f"size-fund {FEW} --seed 1 --out {tmp_path}/b").exit_code == 0
    first, second = summary(tmp_path / "a"), summary(tmp_path / "b")
    assert first["data_hash"] != second["data_hash"]
    assert first["code_hash"] == second["code_hash"]


def test_json_is_the_summary(run, tmp_path):
    result = run(f"size-fund {FEW} --json --out {tmp_path}/a")
    assert json.loads(result.stdout) == summary(tmp_path / "a")


def test_too_few_paths_are_refused_before_any_work(run, tmp_path):
    output = failed(run(f"size-fund --paths 500 --out {tmp_path}/a"))
    assert "leave 0.5 beyond level 0.999" in output and "--paths 10000" in output
    assert not (tmp_path / "a").exists()


# --- price files ----------------------------------------------------------------------------------


def klines(path, count=600, change=None):
    """Hourly bars of a calm market; `change` maps a row number to another line."""
    lines = ["time,open,high,low,close,volume"]
    price = 100.0
    for i in range(count):
        close = price * (1 + 0.01 * ((i * 7919) % 13 - 6) / 6)
        high, low = max(price, close) * 1.002, min(price, close) * 0.998
        lines.append(f"{1_700_000_000 + 3600 * i},{price},{high},{low},{close},10")
        price = close
    for row, line in (change or {}).items():
        lines[row - 1] = line if line is None else line.format(*lines[row - 1].split(","))
    path.write_text("\n".join(line for line in lines if line is not None) + "\n")
    return path


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({20: "{0},{1},{2},{3},oops,1"}, ["row 20", "close is 'oops'", "repair the cell"]),
        ({20: "{0},-5,{2},{3},{4},1"}, ["row 20", "<= 0", "remove the bar"]),
        ({20: "{0},{1},1,{3},{4},1"}, ["row 20", "cannot be one bar"]),
        ({20: "1700061200,{1},{2},{3},{4},1"}, ["row 20", "repeats an earlier bar", "duplicate"]),
        ({20: None}, ["row 20", "are missing before", "--allow-gaps"]),
    ],
)
def test_bad_price_files_name_row_and_remedy(run, tmp_path, change, expected):
    path = klines(tmp_path / "btc.csv", change=change)
    for command in ("size-fund", "price-cover"):
        output = failed(run(f"{command} --prices BTC={path} --out {tmp_path}/a"))
        for text in (str(path), *expected):
            assert text in output
    assert not (tmp_path / "a").exists()


def test_price_files_that_do_not_fit(run, tmp_path):
    path = klines(tmp_path / "btc.csv")
    out = f"--out {tmp_path}/a"
    assert "does not exist" in failed(run(f"size-fund --prices BTC=none.csv {out}"))
    output = failed(run(f"size-fund --prices BTC={path} {out}"))
    assert "once for" not in output and "one --prices NAME=FILE for each market" in output
    assert "the markets are BTC, ETH" in failed(run(f"price-cover --prices DOGE={path} {out}"))
    assert "NAME=VALUE" in failed(run(f"size-fund --prices {path} {out}"))
    assert "given twice" in failed(run(f"size-fund --prices BTC={path} --prices BTC={path} {out}"))
    assert "needs a price history" in failed(run(f"size-fund --model fhs {out}"))
    both = f"--prices BTC={path} --prices ETH={path}"
    output = failed(run(f"size-fund {both} --horizon 90m {out}"))
    assert "no whole number of bars of 60 minutes" in output
    short = klines(tmp_path / "short.csv", 300)
    output = failed(run(f"price-cover --prices BTC={short} {out}"))
    assert "BTC" in output and "500 are needed" in output


def test_a_history_drives_the_paths_and_is_tested_back(run, tmp_path):
    for name in ("BTC", "ETH"):
        klines(tmp_path / f"{name}.csv", 2000)
    files = " ".join(f"--prices {name}={tmp_path}/{name}.csv" for name in ("BTC", "ETH"))
    for model in ("fhs", "history"):
        line = f"size-fund {FEW} {files} --model {model} --out {tmp_path}/{model}"
        result = run(line)
        assert result.exit_code == 0, result.output
        found = summary(tmp_path / model)
        assert found["prices"]["model"] == model and found["prices"]["prices BTC"]["bars"] == 2000
        assert {test["side"] for test in found["backtest"]["BTC"]} == {"long", "short"}
    assert "Kupiec" in self_contained(tmp_path / "fhs")


def test_options_that_exclude_each_other(run, tmp_path):
    assert "goes with --network" in failed(run("size-fund --volume BTC=5"))
    output = failed(run("stress --network ethereum:local:foundry --scenario squeeze"))
    assert "exclude each other" in output
    output = failed(run("stress --scenario nothing"))
    assert "crash-2025-10-10" in output
    assert "no percentage" in failed(run("stress --shock much"))
    assert "20%" in failed(run("stress --shock 100%"))
    assert "has no address" in failed(run(f"size-fund {FEW} --address a:1 --out {tmp_path}/a"))


# --- the others -----------------------------------------------------------------------------------


def test_stress(run, tmp_path):
    result = run(f"stress --scenario squeeze --replay squeeze --out {tmp_path}/s")
    assert result.exit_code == 0, result.output
    found = summary(tmp_path / "s")
    assert [r["name"] for r in found["replays"]] == ["squeeze"]
    for name, one in found["reverse"].items():
        assert one["shock"] is None or one["loss_at_shock"] > found["fund"]["total"], name
        assert one["loss_at_covered"] <= found["fund"]["total"]
    assert "Reverse stress" in self_contained(tmp_path / "s")
    before = {p.name: p.read_bytes() for p in (tmp_path / "s").iterdir()}
    assert run(f"stress --scenario squeeze --replay squeeze --out {tmp_path}/s").exit_code == 0
    assert before == {p.name: p.read_bytes() for p in (tmp_path / "s").iterdir()}


def test_price_cover(run, tmp_path):
    result = run(f"price-cover --leverages 5,20 --hours 1 --out {tmp_path}/c --json")
    assert result.exit_code == 0, result.output
    quotes = {
        (q["market"], q["side"], q["leverage"]): q for q in json.loads(result.stdout)["quotes"]
    }
    assert len(quotes) == 8
    # docs/risk/cover.md: the measured tails, per million
    for key, figure in ((("BTC", "long", 5.0), 6.6), (("BTC", "long", 20.0), 82.4),
                        (("ETH", "short", 20.0), 79.6)):  # fmt: skip
        assert 1e6 * quotes[key]["stop_loss"] == pytest.approx(figure, abs=0.05)
    assert "Buying the put" in self_contained(tmp_path / "c")
    assert "no list of numbers" in failed(run("price-cover --leverages a,b"))


def test_adl_study(run, tmp_path):
    line = f"adl-study --paths 200 --backend serial --horizon 6h --out {tmp_path}/d"
    result = run(line)
    assert result.exit_code == 0, result.output
    found = summary(tmp_path / "d")
    policies = {row["policy"]: row for row in found["policies"]}
    assert found["crises"]["compared"] > 0
    needed = sum(float(row["needed"]) for row in rows(tmp_path / "d" / "crises.csv"))
    for name in ("queue", "pro rata", "leverage-weighted", "mirror descent"):
        row = policies[name]
        assert row["needed"] == pytest.approx(needed)
        assert row["taken"] + row["residual"] == pytest.approx(needed)
    assert policies["queue, whole positions"]["overshoot"] > 0
    assert policies["pro rata"]["gini"] == pytest.approx(0.0, abs=1e-9)
    assert policies["queue"]["worst_haircut"] == pytest.approx(1.0)
    assert "10 October 2025" in self_contained(tmp_path / "d")


def test_adl_study_reads_the_published_waves(run, tmp_path):
    waves = ROOT.parent / "shared" / "data" / "ref" / "policy_per_wave_metrics.csv"
    if not waves.exists():
        pytest.skip("reference data ../shared/data/ref is not beside the repository")
    line = f"adl-study --paths 20 --backend serial --horizon 1h --waves {waves}"
    result = run(f"{line} --out {tmp_path}/d --json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["waves"]
    production = found["totals"]["production"]
    assert found["count"] == 16
    assert round(production["needed"] / 1e6, 6) == 15.079670
    assert round(production["taken"] / 1e6, 6) == 60.108335
    assert round(production["net_overshoot"] / 1e6, 6) == 45.028666
    assert found["deficit_once"] < 12.66e6 < 100e6 < found["deficit_naive"]
    bad = tmp_path / "bad.csv"
    bad.write_text(waves.read_text().replace("2266239.82024108", "much", 1))
    output = failed(run(f"adl-study --waves {bad}"))
    assert "row 2" in output and "'much'" in output
    bad.write_text("a,b\n1,2\n")
    assert "no column budget_needed" in failed(run(f"adl-study --waves {bad}"))
    assert "cannot be read" in failed(run("adl-study --waves none.csv"))


# --- parameters -----------------------------------------------------------------------------------


def test_recommended_parameters_are_accepted(run, tmp_path):
    out = tmp_path / "r.yaml"
    result = run(f"recommend --fund 2000000 --out {out}")
    assert result.exit_code == 0, result.output
    base, found = Parameters.load(ROOT / "parameters" / "local.yaml"), Parameters.load(out)
    assert [m.name for m in found.markets] == [m.name for m in base.markets]
    assert found.markets[0].feeds == base.markets[0].feeds and found.roles == base.roles
    for old, new in zip(base.markets, found.markets, strict=True):
        assert new.parameters.mark_speed_ppb == old.parameters.mark_speed_ppb
        assert new.parameters.initial_margin_ppm > new.parameters.maintenance_margin_ppm
        assert new.parameters.open_interest_cap != old.parameters.open_interest_cap


def test_recommend_follows_the_tail_and_refuses_what_does_not_fit(run, tmp_path):
    out = tmp_path / "r.yaml"
    result = run(f"recommend --fund 20000000 --follow-tail --out {out} --json")
    assert result.exit_code == 0, result.output
    market = json.loads(result.stdout)["markets"][0]
    # docs/risk/parameters.md: BTC, no limit: 20.60 %, 30.90 %
    assert market["maintenance_fraction"] == pytest.approx(0.2060, abs=2e-4)
    assert Parameters.load(out).markets[0].parameters.maintenance_margin_ppm == pytest.approx(
        1e6 * market["maintenance_fraction"], abs=1
    )
    out.unlink()
    line = f"recommend --out {out}"
    assert "the markets are BTC, ETH" in failed(run(f"{line} --volume DOGE=5"))
    assert "no positive amount" in failed(run(f"{line} --volume BTC=many"))
    assert "exclude each other" in failed(run(f"{line} --fund 1 --summary {tmp_path}"))
    assert "run `ape run size-fund` first" in failed(run(f"{line} --summary {tmp_path}"))
    assert "existing file" in failed(run(f"{line} --base none.yaml"))
    assert not out.exists()


def test_recommend_takes_the_target_of_a_summary(run, tmp_path):
    assert run(f"size-fund {FEW} --out {tmp_path}/a").exit_code == 0
    result = run(f"recommend --summary {tmp_path}/a --out {tmp_path}/r.yaml --json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["fund"] == summary(tmp_path / "a")["required"]["target"]


# --- as processes of their own --------------------------------------------------------------------


def start(tmp_path, *words):
    ape = str(Path(sys.executable).with_name("ape"))
    return subprocess.Popen(
        [ape, "run", *words],
        cwd=ROOT,
        env={**os.environ, "BACKSTOP_DEPLOYMENTS": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    ("words", "begun"),
    [
        ("size-fund --paths 5000000 --workers 1", " of 5,000,000 paths"),
        ("adl-study --paths 5000000 --workers 1", " of 5,000,000 paths"),
        ("stress", " runs ladder of "),
    ],
    ids=["size-fund", "adl-study", "stress"],
)
def test_ctrl_c_writes_what_is_there_and_says_so(words, begun, tmp_path):
    process = start(tmp_path, *words.split(), "--out", str(tmp_path / "a"))
    # a line of progress is written when the first paths or runs are done
    for line in process.stderr:
        if begun in line:
            break
    else:
        pytest.fail("the run did not start")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err and "partial" in err
    found = summary(tmp_path / "a")
    assert found["partial"] is True
    assert "Partial" in self_contained(tmp_path / "a")
    if words.startswith("size-fund"):
        assert 0 < found["paths"]["done"] < found["paths"]["asked"]
        assert "Do not post" in out


@pytest.mark.parametrize(
    "name", ["size-fund", "stress", "price-cover", "adl-study", "recommend", "post-target"]
)
def test_every_command_explains_itself(run, name):
    result = run(f"{name} --help")
    assert result.exit_code == 0
    assert f"ape run {name}" in result.output.split("Example")[1]
    assert "--json" in result.output
