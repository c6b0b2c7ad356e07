"""Option formulas and the price of cover: KAT-6 to KAT-10 and the size of the jump premium."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from backstop.risk.cover import (
    HOURS_PER_YEAR,
    MarketRisk,
    cover_quote,
    cover_strike,
    cover_table,
    put_payoff_cvar,
    put_versus_capital,
)
from backstop.risk.cvar import cvar
from backstop.risk.errors import BadInput
from backstop.risk.options import (
    JumpDiffusion,
    bs_call,
    bs_put,
    deposit_insurance,
    haug_jump_diffusion,
    merton_call,
    merton_probability_below,
    merton_put,
    structural_merton,
)
from backstop.risk.tails import GpdTail

CRASHY = JumpDiffusion(0.8, 12.0, -0.08, 0.06)


def _tail(threshold: float, shape: float = 0.4, scale: float = 0.012) -> GpdTail:
    return GpdTail(threshold, shape, scale, 0.0, 37_660, np.full(377, 0.01))


# -- KAT-6 to KAT-10 -----------------------------------------------------------------------------


def test_kat6_hull():
    assert bs_call(42, 40, 0.5, 0.20, 0.10) == pytest.approx(4.7594, abs=5e-5)
    assert bs_put(42, 40, 0.5, 0.20, 0.10) == pytest.approx(0.8086, abs=5e-5)


@pytest.mark.parametrize(
    ("spot", "strike", "dividend", "rate", "years", "sigma", "value"),
    [
        (100, 95, 0.05, 0.10, 0.50, 0.20, 2.4648),
        (75, 70, 0.05, 0.10, 0.50, 0.35, 4.0870),
        (110, 100, 0.10, 0.10, 0.10, 0.15, 0.0408),
        (110, 100, 0.10, 0.10, 0.10, 0.25, 0.4551),
        (110, 100, 0.10, 0.10, 0.50, 0.35, 5.7963),
        (90, 100, 0.10, 0.10, 0.50, 0.15, 10.3192),
    ],
)
def test_kat6_haug_puts(spot, strike, dividend, rate, years, sigma, value):
    assert bs_put(spot, strike, years, sigma, rate, dividend) == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize(
    ("strike", "years", "intensity", "share", "value"),
    [
        (80, 0.1, 1, 0.25, 20.67),
        (80, 0.5, 10, 0.25, 23.61),  # Haug prints 23.28: eleven terms are too few
        (100, 0.1, 1, 0.25, 3.42),
        (100, 0.5, 5, 0.25, 9.02),
        (120, 0.5, 1, 0.25, 2.23),
        (120, 0.1, 1, 0.50, 0.19),
        (110, 0.25, 5, 0.50, 2.11),
        (80, 0.25, 1, 0.75, 21.96),
    ],
)
def test_kat7_merton_calls(strike, years, intensity, share, value):
    model = haug_jump_diffusion(0.25, intensity, share)
    assert model.mean_jump == pytest.approx(0.0, abs=1e-15)
    assert merton_call(100, strike, years, model, 0.08) == pytest.approx(value, abs=1e-2)


def test_kat7_eleven_terms_give_haugs_misprint():
    """Cutting the series at n = 10 reproduces 23.28, so it is a truncation, not another model."""
    model = haug_jump_diffusion(0.25, 10, 0.25)
    total = 0.0
    for n in range(11):
        sigma = math.sqrt(model.sigma**2 + n * model.sd_log**2 / 0.5)
        weight = math.exp(-5.0) * 5.0**n / math.factorial(n)
        total += weight * bs_call(100, 80, 0.5, sigma, 0.08)
    assert total == pytest.approx(23.28, abs=5e-3)


def test_kat7_put_by_parity():
    model = haug_jump_diffusion(0.25, 1, 0.25)
    put = merton_put(100, 80, 0.1, model, 0.08)
    assert put == pytest.approx(0.0302, abs=5e-5)
    parity = merton_call(100, 80, 0.1, model, 0.08) - 100 + 80 * math.exp(-0.008)
    assert put == pytest.approx(parity, abs=1e-12)


def test_kat8_general_merton_puts():
    put = merton_put(100, 90, 0.25, JumpDiffusion(0.2, 1, -0.1, 0.15), 0.05)
    assert put == pytest.approx(1.43063, abs=5e-6)
    assert put == pytest.approx(1.430633, abs=5e-7)
    assert bs_put(100, 90, 0.25, 0.2, 0.05) == pytest.approx(0.55209, abs=5e-6)
    short = merton_put(100, 80, 10 / 360, JumpDiffusion(0.8, 10, -0.05, 0.1))
    assert short == pytest.approx(0.411287, abs=5e-7)
    wild = merton_put(100, 100, 0.5, JumpDiffusion(0.15, 3, -0.2, 0.3), 0.08)
    assert wild == pytest.approx(13.764437, abs=5e-7)


def test_kat9_structural():
    result = structural_merton(3.0, 0.8, 10.0, 0.05, 1.0)
    assert result.assets == pytest.approx(12.395387, abs=5e-7)
    assert result.asset_sigma == pytest.approx(0.212305, abs=5e-7)
    assert result.d2 == pytest.approx(1.140826, abs=5e-7)
    assert result.default_probability == pytest.approx(0.126971, abs=5e-7)
    assert result.debt == pytest.approx(9.395387, abs=5e-7)
    assert result.put == pytest.approx(0.116907, abs=5e-7)
    assert result.expected_loss == pytest.approx(0.012290, abs=5e-7)
    assert result.spread == pytest.approx(0.012366, abs=5e-7)
    assert result.debt + result.put == pytest.approx(10 * math.exp(-0.05), rel=1e-12)


def test_kat10_deposit_insurance():
    premium = deposit_insurance(7.0, 7.0, 0.1)
    assert premium == pytest.approx(0.0398776, abs=5e-8)
    assert premium == pytest.approx(math.erf(0.05 / math.sqrt(2)), rel=1e-12)  # 2 N(.05) - 1


@pytest.mark.parametrize(
    ("hours", "diffusion", "jumps"), [(1, 0.00, 51.3), (4, 6.36, 213.4), (24, 2174.7, 3198.9)]
)
def test_size_of_the_jump_premium(hours, diffusion, jumps):
    """1 M long at 20x: at one hour diffusion prices cover at nothing, jumps at 51."""
    quote = cover_quote(MarketRisk("BTC", 0.8, CRASHY), "long", 20.0, hours)
    assert quote.strike == pytest.approx(0.95)
    assert 1e6 * quote.diffusion == pytest.approx(diffusion, abs=0.051 if hours == 24 else 0.0051)
    assert 1e6 * quote.jumps == pytest.approx(jumps, abs=0.051)


# -- laws ----------------------------------------------------------------------------------------

MODELS = st.builds(
    JumpDiffusion, st.floats(0.05, 1.5), st.floats(0, 30), st.floats(-0.3, 0.2), st.floats(0, 0.3)
)


@settings(deadline=None, max_examples=80)
@given(MODELS, st.floats(0.3, 2.0), st.floats(1e-4, 1.0), st.floats(-0.02, 0.1))
def test_merton_parity_and_bounds(model, strike, years, rate):
    put = merton_put(1.0, strike, years, model, rate)
    call = merton_call(1.0, strike, years, model, rate)
    discount = math.exp(-rate * years)
    assert call - put == pytest.approx(1.0 - strike * discount, abs=1e-10)
    assert max(strike * discount - 1.0, 0.0) - 1e-10 <= put <= strike * discount + 1e-12


@settings(deadline=None, max_examples=50)
@given(MODELS, st.floats(0.2, 1.5), st.floats(0.01, 0.5))
def test_put_is_increasing_and_convex_in_the_strike(model, strike, width):
    low, mid, high = (
        merton_put(1.0, k, 0.1, model) for k in (strike, strike + width, strike + 2 * width)
    )
    assert low <= mid + 1e-12 <= high + 2e-12
    assert mid <= 0.5 * (low + high) + 1e-12


def test_no_jumps_is_black_scholes_and_limits_are_payoffs():
    still = JumpDiffusion(0.3, 0.0, -0.1, 0.1)
    assert merton_put(1.0, 0.9, 0.5, still) == pytest.approx(bs_put(1.0, 0.9, 0.5, 0.3), rel=1e-13)
    assert bs_put(100, 110, 0.0, 0.3) == 10.0
    assert merton_put(100, 110, 0.0, CRASHY) == 10.0
    assert bs_call(110, 100, 1.0, 0.0, 0.05) == pytest.approx(110 - 100 * math.exp(-0.05))
    assert bs_put(100, 0.0, 1.0, 0.3) == 0.0 and bs_call(100, 0.0, 1.0, 0.3) == 100.0
    assert bs_put(100, 1e-3, 1.0, 0.3) >= 0.0


def test_merton_put_matches_simulation():
    rng, n, years = np.random.default_rng(1), 400_000, 7 / 365
    jumps = rng.poisson(CRASHY.intensity * years, n)
    logs = (-0.5 * CRASHY.sigma**2 - CRASHY.intensity * CRASHY.mean_jump) * years
    logs = logs + CRASHY.sigma * math.sqrt(years) * rng.standard_normal(n)
    logs = logs + CRASHY.mean_log * jumps + CRASHY.sd_log * np.sqrt(jumps) * rng.standard_normal(n)
    prices = np.exp(logs)
    payoff = np.maximum(0.8 - prices, 0.0)
    error = payoff.std() / math.sqrt(n)
    assert merton_put(1.0, 0.8, years, CRASHY) == pytest.approx(payoff.mean(), abs=4 * error)
    below = merton_probability_below(1.0, 0.8, years, CRASHY)
    assert below == pytest.approx((prices < 0.8).mean(), abs=1e-3)
    assert logs.var() == pytest.approx(CRASHY.total_variance_rate * years, rel=0.02)
    shortfall = put_payoff_cvar(CRASHY, 0.8, years, 0.999)
    assert shortfall == pytest.approx(cvar(payoff, 0.999), rel=0.04)


def test_payoff_cvar_when_the_put_is_rarely_in_the_money():
    years = 7 / 365
    probability = merton_probability_below(1.0, 0.5, years, CRASHY)
    assert probability < 0.001
    expected = merton_put(1.0, 0.5, years, CRASHY) / 0.001
    assert put_payoff_cvar(CRASHY, 0.5, years, 0.999) == pytest.approx(expected, rel=1e-12)
    # continuous where the two cases meet
    edge = 1.0 - probability
    left, right = (put_payoff_cvar(CRASHY, 0.5, years, edge + d) for d in (-1e-9, 1e-9))
    assert left == pytest.approx(right, rel=1e-3)


# -- premium table -------------------------------------------------------------------------------


def test_short_cover_is_a_call_at_the_zero_equity_price():
    quote = cover_quote(MarketRisk("BTC", 0.8, CRASHY), "short", 20.0, 24)
    years = 24 / HOURS_PER_YEAR
    assert quote.strike == pytest.approx(1.05)
    assert quote.jumps == pytest.approx(merton_call(1.0, 1.05, years, CRASHY))
    assert quote.diffusion == pytest.approx(bs_call(1.0, 1.05, years, 0.8))
    assert quote.per_year(quote.jumps) == pytest.approx(365 * quote.jumps)


def test_premium_rises_with_leverage_and_horizon():
    market = MarketRisk("BTC", 0.8, CRASHY, _tail(0.03), _tail(0.03), 1.0)
    rows = cover_table([market], [5, 10, 20], [1, 24])
    assert len(rows) == 12
    by = {(r.side, r.leverage, r.hours): r for r in rows}
    for side in ("long", "short"):
        for hours in (1, 24):
            jumps = [by[side, lev, hours].jumps for lev in (5, 10, 20)]
            stops = [by[side, lev, hours].stop_loss for lev in (5, 10, 20)]
            assert jumps == sorted(jumps) and stops == sorted(stops)
        assert by[side, 20, 24].jumps > by[side, 20, 1].jumps


def test_stop_loss_of_a_long_uses_the_log_tail_and_never_exceeds_the_position():
    tail = _tail(0.03, shape=1.5)  # infinite mean in logs, still priced
    market = MarketRisk("X", 1.0, CRASHY, long_tail=tail, short_tail=_tail(0.03))
    quote = cover_quote(market, "long", 20.0, 1.0)
    assert quote.stop_loss == pytest.approx(tail.simple_stop_loss(0.05))
    assert 0 < quote.stop_loss < 0.01
    short = cover_quote(market, "short", 20.0, 1.0)
    assert short.stop_loss == pytest.approx(_tail(0.03).stop_loss(0.05))


def test_equity_inside_the_threshold_has_no_stop_loss_quote():
    market = MarketRisk("X", 1.0, CRASHY, long_tail=_tail(0.03), short_tail=_tail(0.03))
    assert cover_quote(market, "long", 50.0, 1.0).stop_loss is None
    assert cover_quote(market, "short", 50.0, 1.0).stop_loss is None
    assert cover_quote(MarketRisk("X", 1.0, CRASHY), "long", 5.0, 1.0).stop_loss is None


def test_unlevered_long_never_costs_and_below_one_is_refused():
    assert cover_strike("long", 1.0).ratio == 0.0
    assert cover_quote(MarketRisk("X", 1.0, CRASHY), "long", 1.0, 24).jumps == 0.0
    with pytest.raises(BadInput, match="cannot go bankrupt"):
        cover_strike("long", 0.5)
    assert cover_strike("short", 0.5).ratio == 3.0


# -- buying the put against holding capital ------------------------------------------------------


def test_comparison_by_hand():
    """A weekly put renewed 52.14 times; capital is the CVaR of one payoff, losses come on top."""
    market = MarketRisk("BTC", 0.8, CRASHY)
    fair = merton_put(1.0, 0.8, 168 / HOURS_PER_YEAR, CRASHY)
    result = put_versus_capital(market, 0.8, 168, loading=1.5, hurdle=0.15, yield_on_capital=0.03)
    assert result.expected_payoff == pytest.approx(8760 / 168 * fair)
    assert result.premium == pytest.approx(1.5 * 8760 / 168 * fair)
    assert result.capital == pytest.approx(put_payoff_cvar(CRASHY, 0.8, 168 / 8760, 0.999))
    assert result.capital_cost == pytest.approx(0.12 * result.capital + result.expected_payoff)


def test_break_even_is_where_both_cost_the_same():
    market = MarketRisk("BTC", 0.8, CRASHY)
    base = put_versus_capital(market, 0.8, 168, loading=1.5, hurdle=0.1, yield_on_capital=0.03)
    at = put_versus_capital(
        market, 0.8, 168, loading=1.5, hurdle=base.break_even, yield_on_capital=0.03
    )
    assert at.premium == pytest.approx(at.capital_cost, rel=1e-12)
    assert base.break_even > 0.1 and not base.buy
    dear = put_versus_capital(market, 0.8, 168, loading=1.5, hurdle=base.break_even + 0.01)
    assert dear.buy


def test_deep_puts_are_worth_buying_sooner_than_shallow_ones():
    """The further out, the more capital a unit of expected loss binds: insurance wins there."""
    market = MarketRisk("BTC", 0.8, CRASHY)
    strikes = [0.9, 0.8, 0.7, 0.6]
    rates = [
        put_versus_capital(market, k, 168, loading=1.5, hurdle=0.15).break_even for k in strikes
    ]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize(
    "call",
    [
        lambda: bs_put(0.0, 1.0, 1.0, 0.2),
        lambda: bs_put(1.0, -1.0, 1.0, 0.2),
        lambda: bs_put(1.0, 1.0, -1.0, 0.2),
        lambda: bs_put(1.0, 1.0, 1.0, math.nan),
        lambda: JumpDiffusion(-0.1, 1.0, 0.0, 0.0),
        lambda: haug_jump_diffusion(0.2, 1.0, 1.5),
        lambda: deposit_insurance(1.0, 0.0, 0.1),
        lambda: structural_merton(0.0, 0.8, 10, 0.05, 1.0),
        lambda: put_payoff_cvar(CRASHY, 0.8, 0.1, 99.9),
    ],
)
def test_bad_input(call):
    with pytest.raises(BadInput, match="Remedy:"):
        call()
