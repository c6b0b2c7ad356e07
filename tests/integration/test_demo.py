"""The demo, with few accounts, to the end: what it promises happens and every invariant holds."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import backstop.harness.demo.run as demo
from backstop.chain.artifacts import build_artifacts
from backstop.harness.anvil import Anvil
from backstop.harness.demo.play import Player, Result
from backstop.harness.demo.report import as_json, gains
from backstop.harness.demo.report_stakers import staker_lines
from backstop.harness.demo.run import FAILED, OK, STOPPED, WRONG_REQUEST, Settings, run
from backstop.harness.demo.table import PlainTable
from backstop.harness.scenario import Scenario, names

ACCOUNTS = 60
PROMISED = {
    "crash-2025-10-10": (
        "partial_liquidations",
        "fully_covered",
        "exhausted_compartments",
        "reserve_draws",
        "stake_draws",
        "tear_ups",
        "side_charges",
        "deleverages",
    ),
    "crash-2020-03-12": (
        "partial_liquidations",
        "fully_covered",
        "exhausted_compartments",
        "reserve_draws",
        "stake_draws",
        "tear_ups",
        "side_charges",
    ),
    "squeeze": (
        "partial_liquidations",
        "fully_covered",
        "exhausted_compartments",
        "reserve_draws",
        "tear_ups",
        "side_charges",
        "recorded",
    ),
}

pytestmark = pytest.mark.slow


class Silent:
    """Watches and says nothing."""

    def phase(self, text: str) -> None: ...

    def opened(self, stage: Any, row: Any) -> None: ...

    def step(self, row: Any, tally: Any) -> None: ...

    def shortfall(self, shortfall: Any) -> None: ...

    def staker(self, act: Any) -> None:
        self.acts = [*getattr(self, "acts", []), act]


@pytest.fixture(scope="module", params=names())
def result(request: Any) -> Iterator[Result]:
    scenario = Scenario.load(request.param, accounts=ACCOUNTS)
    with Anvil(accounts=2, block_interval=None, timestamp=scenario.start - 7200) as node:
        player = Player(node.client, scenario, 1, build_artifacts(), Silent())
        yield player.play()


def test_every_scenario_is_covered_here() -> None:
    assert sorted(PROMISED) == names()
    for name, promised in PROMISED.items():
        assert set(promised) == set(Scenario.load(name).expect)


def test_what_is_promised_happens(result: Result) -> None:
    counts = result.tally.counts
    for name in PROMISED[result.scenario.name]:
        assert counts[name] >= 1, (name, dict(counts))
    assert len(result.rows) == result.scenario.steps + 1


def test_every_invariant_was_checked_and_holds(result: Result) -> None:
    assert result.checks.broken == []
    assert set(result.checks.done) == {
        "CONSERVATION",
        "NO_MINT",
        "RECEIPT_EXACT",
        "WATERFALL_ORDER",
        "DRAW_LIMITS",
        "ZERO_SUM",
        "FLAT_UNTOUCHED",
        "TWIN",
        *(["SLASH_FAIR"] if result.scenario.stakers else []),
    }
    assert result.checks.done["NO_MINT"] == result.scenario.steps + bool(result.scenario.stakers)
    # two more at the end: what stakers lost against events and receipts
    assert result.checks.done["RECEIPT_EXACT"] == len(result.tally.shortfalls) + 2 > 2


def test_what_everybody_put_in_is_what_everybody_owns(result: Result) -> None:
    lines = gains(result)
    assert sum(line[2] for line in lines) == sum(line[3] for line in lines)
    people = len(result.plan.participants) + len(result.scenario.stakers)
    assert sum(line[1] for line in lines) == people + 2
    deposited = sum(p.collateral for p in result.plan.participants) + result.first_fund.own
    staked = sum(int(one.stake * 10**6) for one in result.scenario.stakers)
    assert sum(line[2] for line in lines) == (deposited + staked) * result.stage.scale


def test_receipts_add_up_to_the_sums_of_the_events(result: Result) -> None:
    tally = result.tally
    assert sum(s.legs["side"] for s in tally.shortfalls) == sum(
        amount for name, amount in tally.sums.items() if name.startswith("charged to ")
    )
    assert sum(s.legs["recorded"] for s in tally.shortfalls) == tally.sums["recorded"]
    drawn = tally.sums["assets from reserve"] * result.stage.scale
    # the fund pays whole units; what that is above a deficit is the market's income again
    above = drawn - sum(s.legs["reserve"] for s in tally.shortfalls)
    assert 0 <= above <= tally.counts["reserve_draws"] * result.stage.scale
    left = tally.sums["recorded"] - tally.sums["repaid"]
    assert left == sum(market.recordedDeficit for market in result.last.markets)


def test_stakers_bear_their_share(result: Result) -> None:
    """Who runs bears what who stays bears, who comes later nothing; and all of it is paid."""
    lines = {line.name: line for line in staker_lines(result)}
    if not result.scenario.stakers:
        assert not lines
        assert not result.stage.stakes.losses
        return
    losses = result.stage.stakes.losses
    first, last = losses[0].time, losses[-1].time
    lead = result.stakers.lead
    before = [line for line in lines.values() if line.joined + lead <= first]
    ran = [line for line in before if line.asked is not None]
    stayed = [line for line in before if line.asked is None]
    late = [line for line in lines.values() if line.joined + lead > last]
    assert ran and stayed and late
    asked_before = [line for line in ran if line.asked and line.asked + lead <= first]
    for line in (*asked_before, *stayed):
        assert line.shared == (len(losses), len(losses))
        # but for some income that who stays has earned meanwhile: equal stake, equal loss
        share = stayed[0].lost / stayed[0].staked
        assert line.lost / line.staked == pytest.approx(share, rel=1e-3)
    for loss in losses:
        for held, cut in zip(loss.held, loss.result.cuts, strict=True):
            assert held and cut, "nobody was on the way out"
            parts = Fraction(cut, held), Fraction(loss.result.from_active, loss.active)
            assert abs(parts[0] - parts[1]) < Fraction(1, held) + Fraction(2, loss.active)
    assert all(line.lost == 0 and line.left >= line.staked - 2 for line in late)
    assert sum(line.lost for line in lines.values()) == pytest.approx(
        sum(s.legs["staked"] for s in result.tally.shortfalls) // 10**12, abs=len(losses) + 10
    )
    for line in ran:
        assert line.claimed > 0 and line.income <= stayed[0].income
    assert all(abs(line.rounding) <= 4 for line in lines.values())


def test_stakers_did_what_the_scenario_says(result: Result) -> None:
    plans, counts = result.scenario.stakers, result.tally.counts
    asked = sum(plan.asks is not None for plan in plans)
    assert counts["stakers: joins"] == len(plans)
    assert counts["stakers: asks"] == counts["stakers: claims"] == asked
    for plan, line in zip(plans, staker_lines(result), strict=True):
        assert plan.joins <= line.joined < plan.joins + result.scenario.step
        if plan.asks is not None:
            assert line.asked is not None and plan.asks <= line.asked
            assert line.asked < plan.asks + result.scenario.step


def test_the_open_interest_was_opened_by_signed_orders(result: Result) -> None:
    assert result.tally.counts["trades"] >= ACCOUNTS // 2
    for market, row in zip(result.scenario.markets, result.rows[0].markets, strict=True):
        assert row.open_interest == pytest.approx(market.open_interest, rel=1e-3)


def test_the_json_is_json_and_says_the_same(result: Result) -> None:
    data = json.loads(json.dumps(as_json(result)))
    assert data["ok"] is True
    assert len(data["receipts"]) == len(result.tally.shortfalls)
    assert int(data["conservation"]["dust"]) == result.books.dust >= 0
    for receipt in data["receipts"]:
        assert sum(map(int, receipt["legs"].values())) == int(receipt["deficit"])


# --- around the run

FEW = Settings(scenario="squeeze", accounts=20)


def test_a_run_reports_and_leaves_no_node(capsys: Any, monkeypatch: Any, tmp_path: Path) -> None:
    started: list[Anvil] = []
    start = Anvil.start
    monkeypatch.setattr(
        Anvil, "start", lambda self, timeout=30.0: started.append(self) or start(self, timeout)
    )
    assert run(replace(FEW, reports=tmp_path)) == OK
    said = capsys.readouterr().out
    (report,) = tmp_path.glob("*/report.json")
    assert all(check["holds"] for check in json.loads(report.read_text())["checks"])
    assert str(report.parent / "index.html") in said
    for part in ("Who gained, who lost", "Conservation, to the wei", "Every invariant held"):
        assert part in said
    assert len(started) == 1 and not started[0].running


def test_a_killed_node_is_said(capsys: Any, monkeypatch: Any) -> None:
    class Killer(PlainTable):
        def step(self, row: Any, tally: Any) -> None:
            os.kill(started[0].pid, signal.SIGKILL)

    started: list[Anvil] = []
    start = Anvil.start
    monkeypatch.setattr(
        Anvil, "start", lambda self, timeout=30.0: started.append(self) or start(self, timeout)
    )
    monkeypatch.setattr(demo, "make_table", Killer)
    assert run(FEW) == FAILED
    assert "Traceback" not in (said := capsys.readouterr().err)
    assert said.startswith("Error: the node was killed, or it crashed, in the middle of the run")


def test_ctrl_c_stops_the_node_too(capsys: Any, monkeypatch: Any) -> None:
    class Impatient(PlainTable):
        def step(self, row: Any, tally: Any) -> None:
            raise KeyboardInterrupt

    started: list[Anvil] = []
    start = Anvil.start
    monkeypatch.setattr(
        Anvil, "start", lambda self, timeout=30.0: started.append(self) or start(self, timeout)
    )
    monkeypatch.setattr(demo, "make_table", Impatient)
    assert run(FEW) == STOPPED
    assert not started[0].running
    assert "nothing is left behind" in capsys.readouterr().err


def test_keep_node_records_the_deployment(capsys: Any, tmp_path: Path) -> None:
    scenario = Scenario.load("squeeze")
    with Anvil(accounts=2, block_interval=None, timestamp=scenario.start - 7200) as node:
        settings = replace(
            FEW, keep_node=True, url=node.url, records=tmp_path, reports=tmp_path / "reports"
        )
        assert run(settings) == OK
        (record,) = tmp_path.glob("*.json")
        assert json.loads(record.read_text())["chain_id"] == node.client.chain_id
        said = capsys.readouterr().out
        assert f"export APE_FOUNDRY_HOST={node.url}" in said and "ape run fund" in said
        # a second run on the same node: its clock is ahead of the history, and that is no problem
        assert run(replace(settings, keep_node=False)) == OK
        # this node has forgotten its first logs: a report would be wrong, so there is none
        assert "No transparency report was written" in capsys.readouterr().out


def test_wrong_settings_are_said(capsys: Any) -> None:
    assert run(Settings(scenario="nonsense")) == WRONG_REQUEST
    assert "crash-2025-10-10" in capsys.readouterr().err
    assert run(replace(FEW, fund="lots")) == WRONG_REQUEST
    assert run(replace(FEW, url="http://127.0.0.1:9")) == FAILED
    assert "node" in capsys.readouterr().err
