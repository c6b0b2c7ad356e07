"""Platforms from scenarios, and fixed shocks on them, against direct formulas."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from backstop.chain.units import PPM, WAD
from backstop.harness.demo.book import make_plan
from backstop.harness.scenario import Scenario
from backstop.report.risk.platform import Layers, from_scenario
from backstop.report.risk.shocks import (
    TOGETHER,
    Shocks,
    jump_of,
    liquidation_prices,
)
from backstop.risk.sizing import cover_two


@pytest.fixture(scope="module")
def scenario():
    return Scenario.load("crash-2025-10-10")


@pytest.fixture(scope="module")
def platform(scenario):
    return from_scenario(scenario)


@pytest.fixture(scope="module")
def shocks(platform):
    return Shocks(platform)


def test_the_book_is_that_of_the_demonstration(scenario, platform):
    plan = make_plan(scenario, 1)
    for number in range(len(scenario.markets)):
        longs = sum(max(p.target.get(number, 0), 0) for p in plan.participants) / WAD
        assert np.maximum(platform.book.size[:, number], 0).sum() == pytest.approx(longs)
    traders = [p for p in plan.participants if p.target]
    unit = 10**scenario.parameters.token.decimals
    assert platform.book.collateral.sum() == pytest.approx(
        sum(p.collateral for p in traders) / unit
    )
    assert (platform.book.equity() > platform.book.maintenance()).all()
    assert (platform.layers.staked, platform.layers.total) == (100_000, 130_000)


def test_brackets_lie_on_the_contracts_curve_or_just_above_it(scenario, platform):
    book = platform.book
    for number, market in enumerate(scenario.parameters.markets):
        p = market.parameters
        crowd = np.maximum(book.size[:, number], 0).sum() / (p.open_interest_cap / WAD)
        notional = np.geomspace(10.0, 5e8, 4000)
        rate = (
            p.maintenance_margin_ppm / PPM * (1 + p.open_interest_slope_ppm / PPM * min(crowd, 1))
        )
        exact = np.minimum(notional, notional * rate * (1 + notional / p.size_scale))
        grid = np.zeros((notional.size, book.width))
        grid[:, number] = notional
        ours = book.tiers.maintenance(grid)[:, number]
        # where the marginal rate stays below 1: beyond it no account can be this large
        inside = rate * (1 + 2 * notional / p.size_scale) < 0.9
        assert inside.sum() > 3000
        ratio = ours[inside] / exact[inside]
        assert ratio.min() > 1 - 1e-9 and ratio.max() < 1.02


def test_limits_become_fractions_of_the_shared_layer():
    layers = Layers((5.0, 1.0), 60.0, 40.0, 10.0, 50.0, 7200, (20.0, 30.0))
    fund = layers.simulated()
    assert (fund.operator, fund.staked) == (0.0, 100.0)
    assert (fund.claim_limit, fund.window_limit, fund.window) == (0.1, 0.5, 120)
    assert list(fund.market_cap) == [20.0, 30.0]
    empty = replace(layers, reserve=0.0, staked=0.0).simulated()
    assert (empty.staked, empty.claim_limit, empty.window_limit) == (0.0, 0.0, 0.0)


def test_shortfalls_are_negative_equity_by_owner(platform):
    two = replace(platform, owners=tuple(f"o{i // 2}" for i in range(platform.book.accounts)))
    moves = np.array([-0.3, -0.3])
    equity = platform.book.equity(platform.book.price * 0.7)
    # np.unique sorts names as text: compare as sets of sums
    direct = sorted(
        sum(max(-equity[j], 0.0) for j in (i, i + 1) if j < len(equity))
        for i in range(0, len(equity), 2)
    )
    assert sorted(Shocks(two).shortfalls(moves)) == pytest.approx(direct)


def test_no_move_no_loss_and_larger_falls_without_impact_cost_more(shocks):
    assert shocks.rung(TOGETHER, 0.0).total == 0.0
    dry = [shocks.multiplier(-m * shocks.direction(TOGETHER))[1] for m in (0.1, 0.2, 0.4)]
    assert dry[0] < dry[1] < dry[2]


def test_cover_two_times_the_cascade_is_bounded_by_the_bad_debt(shocks):
    moves = [-0.2 * shocks.direction(TOGETHER), 0.2 * shocks.direction(TOGETHER)]
    found = shocks.cover_two(moves)
    assert found.amount == pytest.approx(found.cover2 * found.multiplier)
    assert 0 < found.amount <= max(shocks.multiplier(m, 1)[0] for m in moves) * (1 + 1e-12)
    assert found.multiplier > 1
    assert found.cover2 <= max(cover_two(shocks.shortfalls(m)) for m in moves) * (1 + 1e-12)


def test_reverse_stress_brackets_the_fund(shocks, platform):
    found = shocks.reverse(TOGETHER, -1.0, platform.layers.total)
    assert found.covered < found.shock <= found.covered + 1e-3
    assert shocks.rung(TOGETHER, -found.covered).total <= platform.layers.total
    assert shocks.rung(TOGETHER, -found.shock).total > platform.layers.total


def test_replay_moves_every_market_as_recorded(shocks, scenario):
    rung = shocks.replay(scenario)
    for market, move in zip(scenario.markets, rung.moves, strict=True):
        path = [market.price(scenario.start + 60 * t) for t in range(scenario.steps + 1)]
        assert move == pytest.approx(min(path) / path[0] - 1)


def test_at_the_liquidation_price_equity_is_the_margin(platform):
    book = platform.book
    for market in range(book.width):
        prices = liquidation_prices(platform, market)
        known = np.flatnonzero(np.isfinite(prices))
        assert len(known) > 50
        for i in known[::7]:
            at = book.price.copy()
            at[market] = prices[i]
            equity, margin = book.equity(at)[i], book.maintenance(at)[i]
            assert equity == pytest.approx(margin, rel=1e-6, abs=1e-3)
            assert (prices[i] < book.price[market]) == (book.size[i, market] > 0)


def test_a_jump_of_the_cascade_is_found():
    assert jump_of([(0.0, 0.1), (1.0, 0.15), (2.0, 0.9), (3.0, 1.0)]) == 2.0
    assert jump_of([(0.0, 0.1), (1.0, 0.2), (2.0, 0.3)]) is None
    assert jump_of([]) is None


def test_only_impact_makes_no_multiplier(scenario):
    """A fall that bankrupts nobody by itself: the bad debt itself is the stress."""
    shocks = Shocks(from_scenario(scenario))
    moves = -0.05 * shocks.direction(TOGETHER)
    wet, dry, ratio = shocks.multiplier(moves, 1)
    assert dry == 0.0
    found = shocks.cover_two([moves])
    assert found.amount == wet
    assert ratio == (1.0 if wet == 0 else math.inf)
