"""Recommended parameters: the envelope, monotonicity, caps that bind where they should."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings, strategies as st

from backstop.risk.cover import MarketRisk
from backstop.risk.errors import BadInput, EnvelopeViolated
from backstop.risk.impact import square_root_impact, stress_coefficient
from backstop.risk.options import JumpDiffusion
from backstop.risk.parameters import (
    MarketData,
    Policy,
    check_envelope,
    depth_cap,
    margin_for_size,
    recommend,
    size_scale,
    stressed_loss,
)
from backstop.risk.tails import GpdTail, fit_tail, long_log_losses, short_losses, simple_loss


def _tail(threshold: float = 0.004, shape: float = 0.35, scale: float = 0.002) -> GpdTail:
    return GpdTail(threshold, shape, scale, 0.0, 100_000, np.full(1000, 0.01))


def _market(**changes) -> MarketData:
    risk = MarketRisk("BTC", 0.6, JumpDiffusion(0.6, 12, -0.03, 0.03), _tail(), _tail(), 1 / 60)
    return replace(MarketData(risk, 0.03, 2e10, 0.0055, 0.8), **changes)


POLICY = Policy(fund=20e6)


# -- envelope ------------------------------------------------------------------------------------


def test_envelope_by_hand():
    envelope = check_envelope(0.06, 0.05, 0.0005, 0.004, 0.002)
    assert envelope.slack == pytest.approx(0.0035)
    assert envelope.short_slack == pytest.approx(0.06 - 0.0505 - 1.05 * 0.006)
    assert envelope.holds


def test_envelope_violation_names_the_margin_that_is_missing():
    with pytest.raises(EnvelopeViolated, match=r"raise mmf to 5\.6800%"):
        check_envelope(0.05, 0.05, 0.0005, 0.004, 0.002)


def test_the_short_side_binds_where_the_usual_sum_still_holds():
    """Step 20 %, fees 2 %: 22 % covers a long, but a short's fees are charged on 1.2 times."""
    with pytest.raises(EnvelopeViolated):
        check_envelope(0.22, 0.20, 0.0, 0.015, 0.005)
    assert check_envelope(0.225, 0.20, 0.0, 0.015, 0.005).slack == pytest.approx(0.005)


@settings(deadline=None, max_examples=100)
@given(st.floats(0, 0.3), st.floats(0, 0.01), st.floats(0, 0.02), st.floats(0, 0.01), st.booleans())
def test_envelope_is_sufficient_for_both_sides(step, funding, surcharge, reward, long):
    """An account at maintenance survives the step, pays funding and both fees, ends >= 0."""
    need = step + funding + (1 + step) * (surcharge + reward)
    mmf = need * (1 + 1e-9) + 1e-12
    assert check_envelope(mmf, step, funding, surcharge, reward).holds
    move = -step if long else step
    equity = mmf + (move if long else -move) - funding
    assert equity - (1 + move) * (surcharge + reward) >= -1e-12


# -- recommendation ------------------------------------------------------------------------------


def test_recommendation_holds_its_own_envelope():
    result = recommend(_market(), POLICY)
    tail = _tail()
    step = max(simple_loss(tail.quantile(0.9999)), tail.quantile(0.9999))
    assert result.envelope.step == pytest.approx(step)
    assert result.envelope.holds and result.envelope.short_slack > 0
    assert result.envelope.surcharge == pytest.approx(4 * result.surcharge_base)
    assert result.initial_fraction >= 1.5 * result.maintenance_fraction - 1e-4
    assert result.max_leverage == pytest.approx(1 / result.initial_fraction)
    assert result.claim_limit <= result.window_limit <= 0.25 * POLICY.fund
    assert result.as_dict()["envelope"]["mmf"] == result.maintenance_fraction
    # whole basis points
    assert result.maintenance_fraction * 1e4 == pytest.approx(
        round(result.maintenance_fraction * 1e4)
    )


def test_fatter_tails_ask_for_more_margin_and_less_interest():
    base = recommend(_market(), POLICY)
    fat_risk = replace(_market().risk, long_tail=_tail(scale=0.006), short_tail=_tail(scale=0.006))
    fat = recommend(_market(risk=fat_risk), POLICY)
    assert fat.maintenance_fraction > base.maintenance_fraction
    assert fat.initial_fraction > base.initial_fraction
    assert fat.max_leverage < base.max_leverage
    assert fat.stressed_loss > 0


def test_thin_books_lower_the_cap():
    deep = recommend(_market(), POLICY)
    thin = recommend(_market(daily_volume=2e8), POLICY)
    assert deep.oi_binding == thin.oi_binding == "depth"
    assert thin.oi_cap == pytest.approx(deep.oi_cap / 100, rel=1e-9)
    assert depth_cap(_market(depth_ratio=0.05), POLICY, 0.05) == pytest.approx(
        depth_cap(_market(depth_ratio=0.5), POLICY, 0.05)
    )  # never more than five percent of normal depth


def test_depth_cap_is_where_the_stressed_impact_eats_its_budget():
    data, mmf = _market(), 0.05
    quantity = depth_cap(data, POLICY, mmf) * POLICY.liquidated_share
    y = stress_coefficient(data.impact, data.depth_ratio)
    impact = square_root_impact(quantity, data.daily_volume, data.daily_sigma, y)
    assert impact == pytest.approx(POLICY.impact_budget * mmf)


def test_small_funds_bind():
    result = recommend(_market(daily_volume=1e13), replace(POLICY, fund=1e5, step=0.01))
    assert result.oi_binding == "fund"
    loss = result.oi_cap * POLICY.liquidated_share * result.stressed_loss
    assert loss == pytest.approx(0.25 * 1e5)
    assert result.window_limit == pytest.approx(0.25 * 1e5)


def test_the_marks_cap_replaces_the_tail():
    result = recommend(_market(), replace(POLICY, step=0.02))
    assert result.envelope.step == 0.02
    assert (
        result.maintenance_fraction
        < recommend(_market(), replace(POLICY, step=0.03)).maintenance_fraction
    )


def test_surcharge_stays_under_its_ceiling():
    wild = replace(_market().risk, jumps=JumpDiffusion(2.0, 300, -0.1, 0.1))
    result = recommend(_market(risk=wild), POLICY)
    assert result.surcharge_base == POLICY.surcharge_ceiling
    assert result.envelope.holds


def test_stressed_loss_matches_simulation():
    tail = _tail(0.03, 0.4, 0.012)
    rng = np.random.default_rng(0)
    draws = tail.sample(2_000_000, rng)
    quantile = np.quantile(draws, 0.9)  # 99.9 % of all bars: a tenth of the excesses
    worst = draws[draws > quantile]
    both = stressed_loss(tail, tail, 0.05)
    assert both == pytest.approx(np.maximum(worst - 0.05, 0).mean(), rel=0.02)  # shorts dominate
    thin = _tail(0.03, 0.01, 0.0001)
    long_only = stressed_loss(tail, thin, 0.05)
    assert long_only == pytest.approx(np.maximum(1 - np.exp(-worst) - 0.05, 0).mean(), rel=0.02)
    assert stressed_loss(tail, thin, 0.10) < long_only


@settings(deadline=None, max_examples=60)
@given(st.floats(1e3, 1e9), st.floats(0.05, 0.95))
def test_size_margin_is_convex_in_money(notional, share):
    """Two accounts never need more margin together than one account with both positions."""
    data = _market()
    whole = notional * margin_for_size(data, 0.05, notional)
    parts = [share * notional, (1 - share) * notional]
    assert sum(n * margin_for_size(data, 0.05, n) for n in parts) <= whole * (1 + 1e-12)
    assert margin_for_size(data, 0.05, 0.0) == 0.05


def _measured(bars) -> MarketData:
    down = long_log_losses(bars[:, 0], bars[:, 2])
    up = short_losses(bars[:, 0], bars[:, 1])
    risk = MarketRisk(
        "BTC", 0.65, JumpDiffusion(0.65, 12, -0.08, 0.06),
        fit_tail(down, float(np.quantile(down, 0.99))), fit_tail(up, float(np.quantile(up, 0.99))),
    )  # fmt: skip
    return MarketData(risk, 0.034, 2e10, 0.0055, 0.8)


def test_recommendation_from_measured_prices(btc_hourly):
    """BTC 2020-2024, mark held to 5 % between two looks: 6.85 % maintenance, just under 10x."""
    result = recommend(_measured(btc_hourly), replace(POLICY, step=0.05))
    assert result.maintenance_fraction == pytest.approx(0.0685)
    assert result.max_leverage == pytest.approx(9.73, abs=0.01)
    free = recommend(_measured(btc_hourly), POLICY)
    assert free.envelope.step == pytest.approx(0.1751, abs=1e-4)


# -- what a deployment file says -----------------------------------------------------------------


def test_size_scale_meets_the_impact_at_the_largest_account():
    result = recommend(_market(), POLICY)
    largest = POLICY.largest_account * result.oi_cap
    linear = result.maintenance_fraction * (1 + largest / result.size_scale)
    assert linear == pytest.approx(margin_for_size(_market(), result.maintenance_fraction, largest))
    assert size_scale(_market(), 0.05, 4e6) == pytest.approx(2 * size_scale(_market(), 0.05, 1e6))


def test_slope_pays_for_the_impact_at_the_cap():
    """Where depth binds, the slope is the impact budget; where the fund binds, less is needed."""
    assert recommend(_market(), POLICY).oi_slope == pytest.approx(POLICY.impact_budget)
    poor = recommend(_market(), replace(POLICY, fund=1e5, step=0.02))
    assert poor.oi_binding == "fund" and 0 < poor.oi_slope < POLICY.impact_budget


def test_deployment_fields_round_against_risk():
    result = replace(
        recommend(_market(), POLICY), oi_cap=123_456_789.0, initial_fraction=0.10000001,
        maintenance_fraction=0.05, surcharge_base=0.00012345678, mark_speed=0.0015, oi_slope=0.5,
        window_limit=4_999_999.9999999, size_scale=2.5e7,
    )  # fmt: skip
    fields = result.deployment_fields(60_000.0, POLICY)
    assert fields["open_interest_cap"] == 2057
    assert fields["margin"] == {
        "initial": "10.0001%", "maintenance": "5%",
        "size_scale": 25_000_000, "open_interest_slope": "50%",
    }  # fmt: skip
    assert fields["liquidation"]["surcharge"] == "0.0124%"
    assert fields["liquidation"]["check_interval"] == "12s"
    assert fields["mark"]["speed"] == "0.15%/s"
    assert fields["fund"]["per_window"] == 5_000_000
    small = replace(result, oi_cap=1234.5678).deployment_fields(1000.0, POLICY)
    assert small["open_interest_cap"] == "1.234"


def test_deployment_fields_have_the_names_of_the_parameter_file():
    """Every field written exists in the repository's own deployment file."""
    path = Path(__file__).resolve().parents[3] / "parameters" / "local.yaml"
    if not path.exists():
        pytest.skip("no parameters/local.yaml in this tree")
    market = yaml.safe_load(path.read_text())["markets"][0]
    fields = recommend(_market(), POLICY).deployment_fields(60_000.0, POLICY)
    for name, value in fields.items():
        assert name in market
        if isinstance(value, dict):
            assert set(value) <= set(market[name]), name


def test_keepers_discount_is_part_of_the_envelope():
    with pytest.raises(EnvelopeViolated, match="fees 1"):
        check_envelope(0.05, 0.04, 0.0, 0.001, 0.0, discount=0.0101)
    assert check_envelope(0.05, 0.04, 0.0, 0.0, 0.0, discount=0.009).fees == 0.009


# -- refusals ------------------------------------------------------------------------------------


def test_missing_tails_and_impossible_markets():
    with pytest.raises(BadInput, match="no fitted tails"):
        recommend(_market(risk=replace(_market().risk, long_tail=None)), POLICY)
    hopeless = replace(_market().risk, short_tail=_tail(0.5, 0.5, 0.5))
    with pytest.raises(BadInput, match="do not list"):
        recommend(_market(risk=hopeless), POLICY)
    with pytest.raises(BadInput):
        check_envelope(0.05, -0.01, 0, 0, 0)
