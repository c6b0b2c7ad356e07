"""Studies on small books, against direct formulas; what they refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backstop.harness.scenario import Scenario
from backstop.report.risk.deleveraging import Crisis, policies, study_adl, whole_queue
from backstop.report.risk.outputs import BadSummary, canonical, data_hash, read_summary, table_csv
from backstop.report.risk.platform import Layers, from_scenario
from backstop.report.risk.posting import units_up
from backstop.report.risk.prices import make_prices
from backstop.report.risk.sizefund import SizeSettings, study_size
from backstop.report.risk.sizefund_page import report
from backstop.risk.adl_metrics import compare, study, study_rows
from backstop.risk.cvar import tail_risk
from backstop.risk.errors import BadInput, TooFewTailPoints
from backstop.risk.forecast import backtest_filter
from backstop.risk.reference import MEASURED, measure_market, reference_market

SETTINGS = SizeSettings(paths=200, minutes=240, level=0.95, seed=3)


@pytest.fixture(scope="module")
def platform():
    return from_scenario(Scenario.load("crash-2025-10-10"))


@pytest.fixture(scope="module")
def prices(platform):
    return make_prices(platform.book.markets, {}, "auto", SETTINGS.minutes)


@pytest.fixture(scope="module")
def sized(platform, prices):
    return study_size(platform, prices, SETTINGS, backend="serial")


def test_the_target_is_the_largest_component(sized):
    need, losses = sized.required, sized.runs.deficit
    assert need.es == pytest.approx(tail_risk(losses, 0.95).cvar)
    parts = (sized.stress.amount, need.es_interval[1], need.newsvendor)
    assert need.target == pytest.approx(max(parts))
    assert sum(sized.contributions.values()) == pytest.approx(need.es)


def test_the_fund_pays_what_it_has_and_no_more(sized, platform):
    now, losses = sized.present, sized.runs.deficit
    assert set(now.ids) == set(np.flatnonzero(losses > 0)) and len(now.ids) > 0
    assert (now.drawn + now.adl + now.residual) == pytest.approx(now.deficit)
    income = sized.runs.column("surcharge").sum(axis=1)[now.ids]
    assert (now.drawn <= platform.layers.total + income * 1.5 + 1e-6).all()
    assert now.p_exhausted == pytest.approx((now.adl + now.residual > 0).sum() / 200)


def test_a_fund_without_end_is_never_exhausted(platform, prices):
    rich = Layers((1e12, 1e12), 1e12, 0.0, 1e12, 1e12, 86400, (1e12, 1e12))
    params = replace(platform.params, fund=rich.simulated())
    found = study_size(
        replace(platform, layers=rich, params=params), prices, SETTINGS, backend="serial"
    )
    assert found.present.p_exhausted == 0.0 and found.present.coverage == pytest.approx(1.0)


def test_a_stopped_run_is_partial_and_has_no_more_than_it_knows(platform, prices):
    def stop(progress):
        if progress.done >= 8:
            raise KeyboardInterrupt

    settings = replace(SETTINGS, paths=100_000)
    found = study_size(platform, prices, settings, backend="serial", progress=stop)
    assert found.partial and 0 < len(found.runs) < 100_000 and found.present is None
    page, summary, _ = report(found)
    assert summary["partial"] is True and any("Partial" in text for text in page.alerts)
    if found.required is None:
        assert "No target" in " ".join(page.alerts)


def test_settings_that_cannot_carry_the_level(platform, prices):
    with pytest.raises(TooFewTailPoints, match="--paths 10000"):
        study_size(platform, prices, SizeSettings(paths=9_999), backend="serial")


def test_prices_that_do_not_fit(platform):
    with pytest.raises(BadInput, match="needs a price history"):
        make_prices(platform.book.markets, {}, "fhs", 60)
    facts = make_prices(("BTC", "PEPE"), {}, "auto", 60)
    assert "PEPE was not measured and takes ETH's figures" in facts.notes[0]


# --- deleveraging ---------------------------------------------------------------------------------


def crisis():
    profits = np.array([8.0, 4.0, 0.5, 2.0])
    notionals, equities = np.array([40.0, 80.0, 3.0, 9.0]), np.array([20.0, 8.0, 3.0, 9.0])
    return Crisis(1, 0, 10.0, 2.5, 7.5, profits, notionals, equities)


def test_every_rule_raises_what_is_needed():
    one = crisis()
    outcomes = compare(one.profits, one.needed, policies(one))
    for name, outcome in outcomes.items():
        if "capped" in name:
            assert outcome.taken + outcome.residual == pytest.approx(7.5)
            assert outcome.max_haircut <= 0.5 + 1e-12
        elif "whole" in name:
            assert outcome.taken >= 7.5 and outcome.overshoot == pytest.approx(outcome.taken - 7.5)
        else:
            assert outcome.taken == pytest.approx(7.5) and outcome.residual < 1e-9
    assert outcomes["pro rata"].max_haircut == pytest.approx(7.5 / 14.5)
    weighted = outcomes["leverage-weighted"]
    assert weighted.max_haircut > outcomes["mirror descent"].max_haircut > 7.5 / 14.5


def test_whole_positions_go_down_the_queue():
    w = np.array([8.0, 4.0, 0.5])
    assert list(whole_queue(w, 5.0, [1, 0, 2])) == [1.0, 1.0, 0.0]
    assert list(whole_queue(w, 4.0, [1, 0, 2])) == [0.0, 1.0, 0.0]
    assert list(whole_queue(w, 0.0, [1, 0, 2])) == [0.0, 0.0, 0.0]


def test_study_rows_are_those_of_a_study():
    events = [([8.0, 4.0, 0.5], 6.0), ([1.0, 2.0], 1.5)]
    rule = {"all": lambda w, b: np.full(len(w), b / w.sum())}
    outcomes = [compare(w, needed, rule) for w, needed in events]
    assert study_rows(outcomes, [8.0, 2.0]) == study(events, rule)
    with pytest.raises(BadInput, match="no event"):
        study_rows([], [])


def test_crises_are_the_paths_with_something_unpaid(platform, prices):
    found = study_adl(platform, prices, paths=600, most=5, seed=3, backend="serial")
    assert len(found.crises) == min(found.found, 5) and found.found > 0
    needs = [c.needed for c in found.crises]
    assert needs == sorted(needs, reverse=True)
    for one in found.crises:
        assert one.needed == pytest.approx(one.deficit - one.drawn)
        assert (one.profits > 0).all() and (one.equities > 0).all()


# --- files, figures -------------------------------------------------------------------------------


def test_hashes_follow_values_not_order():
    assert data_hash({"a": 1, "b": [1.5, np.float64(2)]}) == data_hash({"b": (1.5, 2.0), "a": 1})
    assert data_hash({"a": 1}) != data_hash({"a": 2})
    assert canonical({"x": float("inf"), "y": np.array([1.0])}) == '{"x":null,"y":[1.0]}'


def test_tables_hold_every_digit():
    assert table_csv(["a", "b"], [[0.1 + 0.2, "x,y"]]) == 'a,b\n0.30000000000000004,"x,y"\n'


def test_a_summary_of_something_else(tmp_path):
    (tmp_path / "summary.json").write_text("[1]")
    with pytest.raises(BadSummary, match="no known study"):
        read_summary(tmp_path, "size-fund")


@pytest.mark.parametrize(
    ("wad", "decimals", "units"),
    [(0, 6, 0), (1, 6, 1), (10**12, 6, 1), (10**12 + 1, 6, 2), (10**18, 6, 10**6), (7, 18, 7)],
)
def test_amounts_are_rounded_up(wad, decimals, units):
    assert units_up(wad, decimals) == units


def test_reference_tails_give_back_their_quantiles():
    for name in MEASURED:
        one = reference_market(name).risk
        for tail in (one.long_tail, one.short_tail):
            assert tail.count == 377 and tail.exceedance == pytest.approx(0.01, abs=1e-4)
            middle = float(np.median(tail.excesses)) + tail.threshold
            assert tail.quantile(1 - tail.exceedance / 2) == pytest.approx(middle, rel=1e-6)


def test_reference_figures_are_those_of_the_data():
    from pathlib import Path

    from backstop.risk.data import read_bars

    folder = Path(__file__).resolve().parents[3].parent / "shared" / "data"
    for name in MEASURED:
        path = folder / f"{name.lower()}_perp_1h_2020-01_2024-04.csv.gz"
        if not path.exists():
            pytest.skip(f"reference data ../shared/data/{path.name} is not beside the repository")
        ours, again = reference_market(name), measure_market(name, read_bars(path))
        assert ours.daily_sigma == pytest.approx(again.daily_sigma, rel=1e-4)
        assert ours.daily_volume == pytest.approx(again.daily_volume, rel=2e-3)
        assert ours.risk.jumps.intensity == pytest.approx(again.risk.jumps.intensity, rel=1e-4)
        for side in ("long_tail", "short_tail"):
            mine, measured = getattr(ours.risk, side), getattr(again.risk, side)
            for field in ("threshold", "shape", "scale"):
                assert getattr(mine, field) == pytest.approx(getattr(measured, field), rel=1e-4)


def test_backtest_keeps_a_right_filter_and_refuses_a_wrong_one():
    rng = np.random.Generator(np.random.Philox(5))
    calm = 0.01 * rng.standard_normal(4000)
    right = backtest_filter(calm, "long")
    assert right.coverage.exceptions == (right.losses > right.forecasts).sum()
    assert right.losses.size == 2000 and not right.coverage.rejects()
    broken = calm.copy()
    broken[2000::20] = -0.2  # falls that the fitted half never saw
    assert backtest_filter(broken, "long").coverage.rejects(0.001)
    with pytest.raises(TooFewTailPoints, match="at least 1,000"):
        backtest_filter(calm[:900], "long")
