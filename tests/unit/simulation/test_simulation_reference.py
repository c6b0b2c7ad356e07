"""The model itself: small cases worked out by hand, the published cascade, and its invariants."""

from __future__ import annotations

import math

import numpy as np
import pytest
from simulation_cases import random_case

from backstop.simulation.book import Book, Tiers
from backstop.simulation.dense import DenseEngine
from backstop.simulation.envelope import EnvelopeEngine
from backstop.simulation.model import (
    AdlParams,
    DepthLaw,
    FundParams,
    ImpactParams,
    LiquidationParams,
    PathResult,
    SimulationParams,
)
from backstop.simulation.reference import ReferenceSimulation, simulate_reference
from backstop.simulation.sweep import SweepEngine

NO_IMPACT = ImpactParams(coefficient=0.0)
FREE = LiquidationParams(surcharge=0.0)
EMPTY = FundParams(staked=0.0)


def one_market(
    size: list[float], cash: list[float], rate: float = 0.05, price: float = 100.0
) -> Book:
    """Accounts in one market at one price; `cash` is collateral plus quote."""
    sizes = np.array(size)[:, None]
    quote = -price * sizes
    collateral = np.array(cash) - quote[:, 0]
    return Book(collateral, sizes, quote, np.array([price]), Tiers.flat(rate, 1), ("X",)).validate()


def step_to(*prices: float, start: float = 100.0) -> np.ndarray:
    """One minute at each price."""
    return np.log(np.array(prices) / start)[:, None]


# --- liquidation ---------------------------------------------------------------------------------


def test_a_long_goes_exactly_below_maintenance() -> None:
    """One unit long, cash -90: equity P - 90, maintenance 5 % of P, so the edge is 90 / .95."""
    book = one_market([1.0, -1.0], [-90.0, 1000.0])
    edge = 90.0 / 0.95
    params = SimulationParams(NO_IMPACT, EMPTY, FREE)
    kept = simulate_reference(book, params, step_to(edge * (1 + 1e-12)))
    gone = simulate_reference(book, params, step_to(edge * (1 - 1e-12)))
    assert kept.scalar("closed_accounts") == 0
    assert gone.scalar("closed_accounts") == 1


def test_a_short_goes_exactly_below_maintenance() -> None:
    """One unit short, cash 110: equity 110 - P, so the edge is 110 / 1.05."""
    book = one_market([1.0, -1.0], [1000.0, 110.0])
    edge = 110.0 / 1.05
    params = SimulationParams(NO_IMPACT, EMPTY, FREE)
    assert simulate_reference(book, params, step_to(edge * (1 - 1e-12))).path[0] == 0
    assert simulate_reference(book, params, step_to(edge * (1 + 1e-12))).path[0] == 1


def test_fees_never_exceed_what_is_left() -> None:
    """At 94 the equity is 4 USD; 1 % + 2 % of 94 is 2.82. At 91 it is 1 USD, less than 2.73."""
    book = one_market([1.0, -1.0], [-90.0, 1000.0])
    rule = LiquidationParams(surcharge=0.01, reward=0.02)
    params = SimulationParams(NO_IMPACT, EMPTY, rule)
    for price, surcharge, reward in ((94.0, 0.94, 1.88), (91.0, 1 / 3, 2 / 3), (89.0, 0.0, 0.0)):
        result = simulate_reference(book, params, step_to(price))
        assert result.column("surcharge")[0] == pytest.approx(surcharge)
        assert result.column("reward")[0] == pytest.approx(reward)


def test_partial_liquidation_restores_the_target() -> None:
    """E = 4, MM = 4.7, f = 1 %: the notional is (1.2*4.7 - 4) / (1.2*.05 - .01) = 32.8 of 94."""
    book = one_market([1.0, -1.0], [-90.0, 1000.0])
    rule = LiquidationParams(surcharge=0.01, target_health=1.2, dust=0.0)
    result = simulate_reference(book, SimulationParams(NO_IMPACT, EMPTY, rule), step_to(94.0))
    assert result.events is not None
    assert result.column("liquidated_notional")[0] == pytest.approx(32.8)
    assert result.events.fraction[0] == pytest.approx(32.8 / 94.0)
    assert result.scalar("closed_accounts") == 0


def test_partial_liquidation_with_a_tier_to_fall_out_of() -> None:
    """Brackets 1 % to 50 USD, 20 % above. At 100: E = 10, MM = 10.5; target 2 is MM = 5 at 72.5."""
    book = Book(
        collateral=np.array([10.0, 1000.0]),
        size=np.array([[1.0], [-1.0]]),
        quote=np.array([[-100.0], [100.0]]),
        price=np.array([100.0]),
        tiers=Tiers.of([[(0, 0.01), (50, 0.2)]]),
        markets=("X",),
    )
    rule = LiquidationParams(surcharge=0.0, target_health=2.0, dust=0.0)
    result = simulate_reference(book, SimulationParams(NO_IMPACT, EMPTY, rule), step_to(100.0))
    assert result.column("liquidated_notional")[0] == pytest.approx(27.5)


def test_dust_and_exhausted_budget_close_the_whole_account() -> None:
    book = one_market([1.0, -1.0], [-90.0, 1000.0])
    for rule in (
        LiquidationParams(surcharge=0.01, target_health=1.2, dust=70.0),
        LiquidationParams(surcharge=0.05, target_health=1.2, dust=0.0),  # fee 4.7 > equity 4
    ):
        result = simulate_reference(book, SimulationParams(NO_IMPACT, EMPTY, rule), step_to(94.0))
        assert result.scalar("closed_accounts") == 1
        assert result.scalar("partial_liquidations") == 0


def test_parts_of_one_minute_are_limited() -> None:
    """Impact pulls the account down again and again; the part after `max_parts` takes the rest."""
    book = one_market([1.0, -1.0], [-90.0, 1000.0])
    impact = ImpactParams(coefficient=0.05, volume=100.0)
    for most in (1, 2, 3):
        rule = LiquidationParams(surcharge=0.0, target_health=1.05, dust=0.0, max_parts=most)
        result = simulate_reference(book, SimulationParams(impact, EMPTY, rule), step_to(94.7))
        assert result.scalar("partial_liquidations") == most
        assert result.scalar("closed_accounts") == 1


# --- feedback ------------------------------------------------------------------------------------


def test_square_root_impact_of_the_cumulated_quantity() -> None:
    """Two rounds: the push is that of both quantities together, not the sum of two pushes."""
    book = one_market([1.0, 3.0, -4.0], [-95.0 - 1e-9, 3 * -92.0, 10_000.0], rate=0.0)
    impact = ImpactParams(coefficient=0.05, volume=100.0, decay=0.5)
    params = SimulationParams(impact, EMPTY, FREE)
    result = simulate_reference(book, params, step_to(95.0, 95.0))
    assert result.scalar("rounds") == 2
    push = 0.05 * math.sqrt(4 * 100.0 / 100.0)
    first = 95.0 * math.exp(-push)
    assert result.prices is not None
    assert result.prices[0, 0] == pytest.approx(first)
    assert result.prices[1, 0] == pytest.approx(95.0 * math.exp(-push * 0.5))
    assert result.deficit == pytest.approx((95.0 - first) + 3 * (92.0 - first))


def test_opposite_liquidations_cancel() -> None:
    """A long and a short of one size close in one minute: no net quantity, no impact."""
    book = Book(
        collateral=np.array([1.0, 1.0]),
        size=np.array([[1.0, 1.0], [-1.0, 1.0]]),
        quote=np.array([[-100.0, -100.0], [100.0, -100.0]]),
        price=np.array([100.0, 100.0]),
        tiers=Tiers.flat(0.01, 2),
        markets=("X", "Y"),
    )
    params = SimulationParams(ImpactParams(coefficient=0.1, volume=1e3), EMPTY, FREE)
    result = simulate_reference(book, params, np.log(np.array([[1.0, 0.9]])))
    assert result.scalar("closed_accounts") == 2
    assert result.column("price_end")[0] == 1.0
    assert result.column("price_end")[1] < 0.9


def kat_13(slope: float) -> PathResult:
    """Quantities 100..400, triggers .95, .92, .88, .80, price .95, linear impact."""
    quantity, trigger = np.array([100.0, 200, 300, 400]), np.array([0.95 + 1e-12, 0.92, 0.88, 0.80])
    size = np.append(quantity, -quantity.sum())[:, None]
    cash = np.append(-quantity * trigger, 1e9)
    quote = -size
    book = Book(cash - quote[:, 0], size, quote, np.ones(1), Tiers.flat(0.0, 1), ("X",))
    impact = ImpactParams(coefficient=slope, volume=1.0, exponent=1.0)
    params = SimulationParams(impact, FundParams(staked=1e9), FREE)
    logs = np.log(np.full((1, 1), 0.95))
    results = [simulate_reference(book, params, logs)]
    for engine in (DenseEngine, EnvelopeEngine, SweepEngine):
        results.append(engine(book, params).run(logs, events=True))
    for other in results[1:]:
        np.testing.assert_allclose(other.market, results[0].market, rtol=1e-12)
        np.testing.assert_array_equal(other.path[:7], results[0].path[:7])
    return results[0]


def test_kat_13_cascade_stops_below_the_critical_impact() -> None:
    result = kat_13(3.2e-4)
    assert result.scalar("closed_accounts") == 1
    assert result.column("price_end")[0] == pytest.approx(0.920081, abs=5e-7)


def test_kat_13_cascade_collapses_above_it() -> None:
    result = kat_13(3.21e-4)
    assert result.scalar("closed_accounts") == 4
    assert result.scalar("rounds") == 4
    assert result.column("price_end")[0] == pytest.approx(0.689152, abs=5e-7)


def test_kat_13_critical_impact() -> None:
    critical = math.log(0.95 / 0.92) / 100.0
    assert critical == pytest.approx(3.208831e-4, abs=5e-11)
    assert kat_13(critical * (1 - 1e-9)).scalar("closed_accounts") == 1
    assert kat_13(critical * (1 + 1e-9)).scalar("closed_accounts") == 4


def test_depth_law_multiplies_the_coefficient() -> None:
    """Y_eff = Y sqrt(D_normal/D_now): after a fall of 15 % the bids are at their floor of .0055."""
    book = one_market([1.0, 1.0, -2.0], [-84.0, -20.0, 10_000.0], rate=0.0)
    law = DepthLaw.october_2025()
    pushes = {}
    for name, depth in (("normal", DepthLaw()), ("stressed", law)):
        impact = ImpactParams(coefficient=0.001, volume=1e4, depth=depth)
        result = simulate_reference(
            book, SimulationParams(impact, EMPTY, FREE), step_to(85.0, 83.9)
        )
        pushes[name] = math.log(0.839 / result.column("price_end")[0])
    assert pushes["stressed"] / pushes["normal"] == pytest.approx(math.sqrt(1 / 0.0055))


def test_depth_of_a_path_multiplies_too() -> None:
    book = one_market([1.0, -1.0], [-94.0, 10_000.0], rate=0.0)
    params = SimulationParams(ImpactParams(coefficient=0.001, volume=1e4), EMPTY, FREE)
    normal = simulate_reference(book, params, step_to(93.0))
    thin = simulate_reference(book, params, step_to(93.0), np.array([[0.01]]))
    ratio = math.log(0.93 / thin.column("price_end")[0]) / math.log(
        0.93 / normal.column("price_end")[0]
    )
    assert ratio == pytest.approx(10.0)


# --- fund ----------------------------------------------------------------------------------------


def wiped_out(deficits: list[float]) -> Book:
    """Longs of one unit that owe `deficits` at a price of 50, and one short against them."""
    count = len(deficits)
    return one_market([1.0] * count + [-float(count)], [-50.0 - d for d in deficits] + [1e6])


def drawn(deficits: list[float], fund: FundParams) -> PathResult:
    params = SimulationParams(NO_IMPACT, fund, FREE)
    return simulate_reference(wiped_out(deficits), params, step_to(50.0))


def test_layers_in_order() -> None:
    fund = FundParams(compartment=5.0, operator=7.0, staked=100.0)
    for deficit, paid in (
        (4.0, [4, 0, 0]),
        (9.0, [5, 4, 0]),
        (30.0, [5, 7, 18]),
        (200.0, [5, 7, 100]),
    ):
        result = drawn([deficit], fund)
        np.testing.assert_allclose(result.drawn[0], paid)
        assert result.adl + result.residual == pytest.approx(deficit - sum(paid))


def test_limits_of_the_staked_tranche() -> None:
    """Two claims of 40 and 10: per claim 20, per market 25, per window 22, cap 21."""
    for limit, paid in (
        ({"claim_limit": 0.2}, 30.0),
        ({"market_limit": 0.25}, 25.0),
        ({"window_limit": 0.22}, 22.0),
        ({"market_cap": 21.0}, 21.0),
        ({"claim_limit": 0.2, "market_cap": 21.0}, 21.0),
    ):
        result = drawn([40.0, 10.0], FundParams(staked=100.0, **limit))
        assert result.drawn[0, 2] == pytest.approx(paid), limit


def test_limits_reset_with_the_window_and_follow_the_balance() -> None:
    """Longs fall one a minute, deficit 10 each; half of the opening balance a window of two."""
    longs = 5
    book = one_market(
        [1.0] * longs + [-float(longs)], [-100.0 + 10.0 * i - 10 for i in range(longs)] + [1e6], 0.0
    )
    logs = step_to(*[100.0 - 10.0 * i for i in range(longs)])
    fund = FundParams(staked=32.0, window_limit=0.5, window=2)
    result = simulate_reference(book, SimulationParams(NO_IMPACT, fund, FREE), logs)
    # opening 32: 10 + 6; opening 16: 8 + 0; opening 8: 4
    assert result.deficit == pytest.approx(50.0)
    assert result.drawn[0, 2] == pytest.approx(28.0)


def test_compartments_pay_for_their_own_market() -> None:
    book = Book(
        collateral=np.array([0.0, 1e5]),
        size=np.array([[1.0, 1.0], [-1.0, -1.0]]),
        quote=np.array([[-110.0, -110.0], [110.0, 110.0]]),
        price=np.array([100.0, 100.0]),
        tiers=Tiers.flat(np.array([0.03, 0.01]), 2),
        markets=("X", "Y"),
    )
    fund = FundParams(compartment=np.array([1e6, 0.0]), staked=0.0)
    result = simulate_reference(book, SimulationParams(NO_IMPACT, fund, FREE), np.zeros((1, 2)))
    np.testing.assert_allclose(result.column("deficit"), [15.0, 5.0])  # by maintenance, 3 to 1
    np.testing.assert_allclose(result.drawn, [[15, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(result.column("adl"), [0.0, 5.0])


def test_surcharges_of_the_minute_pay_first() -> None:
    book = one_market([1.0, 1.0, -2.0], [-48.0, -60.0, 1e6])
    params = SimulationParams(
        NO_IMPACT, FundParams(staked=100.0), LiquidationParams(surcharge=0.02)
    )
    result = simulate_reference(book, params, step_to(50.0))
    assert result.column("surcharge")[0] == pytest.approx(1.0)
    np.testing.assert_allclose(result.drawn[0], [1.0, 0.0, 9.0])


# --- auto-deleveraging ---------------------------------------------------------------------------


def three_shorts(basis: str, max_charge: float = 1.0) -> ReferenceSimulation:
    """A long that owes 12 at a price of 50; shorts of 1, 2, 1 units with profits 50, 0 and 20."""
    size = np.array([[4.0], [-1.0], [-2.0], [-1.0]])
    quote = np.array([[-212.0], [100.0], [90.0], [70.0]])
    collateral = np.array([0.0, 30.0, 1000.0, 30.0])
    book = Book(collateral, size, quote, np.array([50.0]), Tiers.flat(0.01, 1), ("X",))
    adl = AdlParams(basis=basis, max_charge=max_charge)  # type: ignore[arg-type]
    run = ReferenceSimulation(book.validate(), SimulationParams(NO_IMPACT, EMPTY, FREE, adl))
    run.minute(0, [0.0], None)
    return run


def test_charge_by_size() -> None:
    run = three_shorts("size")
    assert [a.quote[0] for a in run.accounts[1:]] == pytest.approx([97.0, 84.0, 67.0])
    assert run.result().adl == pytest.approx(12.0)


def test_charge_by_profit() -> None:
    run = three_shorts("profit")
    cut = [12.0 * 50 / 70, 0.0, 12.0 * 20 / 70]
    left = [100.0 - cut[0], 90.0, 70.0 - cut[2]]
    assert [a.quote[0] for a in run.accounts[1:]] == pytest.approx(left)


def test_what_a_side_cannot_bear_is_residual() -> None:
    result = three_shorts("size", max_charge=0.02).result()
    assert result.adl == pytest.approx(0.02 * 50 * 4)
    assert result.residual == pytest.approx(8.0)
    nobody = one_market([1.0, 1.0], [-60.0, 100.0])  # no opposite side at all
    alone = simulate_reference(nobody, SimulationParams(NO_IMPACT, EMPTY, FREE), step_to(50.0))
    assert (alone.adl, alone.residual) == (0.0, pytest.approx(10.0))


# --- invariants ----------------------------------------------------------------------------------


def money(run: ReferenceSimulation) -> float:
    """Collateral and quotes of all accounts, and the fund."""
    accounts = sum(a.collateral + sum(a.quote) for a in run.accounts)
    return accounts + sum(m.compartment for m in run.markets) + run.operator + run.staked


def held(run: ReferenceSimulation) -> list[float]:
    return [sum(a.size[m] for a in run.accounts) for m in range(len(run.markets))]


@pytest.mark.parametrize("seed", range(40))
def test_invariants_minute_by_minute(seed: int) -> None:
    """Money is conserved, losses are split exactly, layers are used in order and within limits."""
    case = random_case(1000 + seed)
    run = ReferenceSimulation(case.book, case.params)
    fund = case.params.fund
    rows = case.depth.tolist() if case.depth is not None else [None] * len(case.logs)
    scale = float(case.book.notional().sum())
    for t, (row, depth) in enumerate(zip(case.logs.tolist(), rows, strict=True)):
        money_before, held_before = money(run), held(run)
        before = [dict(m.totals) for m in run.markets]
        run.minute(t, row, depth)
        change = [
            {k: m.totals[k] - b[k] for k in b} for m, b in zip(run.markets, before, strict=True)
        ]
        # the outside pays for what was closed; keepers take rewards; the residual is nobody's
        paid = sum(
            (b - a) * m.price for a, b, m in zip(held(run), held_before, run.markets, strict=True)
        )
        out = sum(c["reward"] - c["residual"] for c in change)
        assert money(run) == pytest.approx(money_before + paid - out, abs=1e-9 * scale)
        for m, c in zip(run.markets, change, strict=True):
            layers = c["drawn_compartment"] + c["drawn_operator"] + c["drawn_staked"]
            assert c["deficit"] == pytest.approx(layers + c["adl"] + c["residual"], abs=1e-6)
            if c["drawn_operator"] > 1e-6:
                assert m.compartment < 1e-6
            if c["drawn_staked"] > 1e-6:
                assert run.operator < 1e-6
            limit = min(fund.market_limit * run.opening, m.cap)
            assert m.used <= limit * (1 + 1e-9)
        assert run.window_used <= fund.window_limit * run.opening * (1 + 1e-9)
    result = run.result()
    assert result.events is not None
    assert np.all(result.events.equity < result.events.maintenance)


@pytest.mark.parametrize("seed", range(20))
def test_nobody_is_left_below_maintenance(seed: int) -> None:
    """At the fixpoint of a minute; charges of opposite sides are felt from the next one on."""
    case = random_case(2000 + seed)
    run = ReferenceSimulation(case.book, case.params)
    rows = case.depth.tolist() if case.depth is not None else [None] * len(case.logs)
    for t, (row, depth) in enumerate(zip(case.logs.tolist(), rows, strict=True)):
        capped, charged = run.counts["capped_minutes"], sum(m.totals["adl"] for m in run.markets)
        run.minute(t, row, depth)
        if run.counts["capped_minutes"] > capped:
            continue
        if sum(m.totals["adl"] for m in run.markets) > charged:
            continue
        run._set_prices(row)
        for m in run.markets:
            m.price = m.price0 * math.exp(m.last)
        tolerance = 1e-9 * float(case.book.notional().max())
        for account in run.accounts:
            if account.alive:
                assert run.equity(account) >= run.maintenance(account) - tolerance
