"""Deleveraging: every known answer of the worked book, laws of the policies, published waves."""

from __future__ import annotations

import csv
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from backstop.risk.adl import (
    capped_pro_rata,
    contract_pro_rata,
    excess_weight,
    leverage_weighted,
    min_max_lots,
    mirror_descent,
    optimal_weight,
    optimal_weight_normal,
    power_weight,
    pro_rata,
    project_on_budget,
    queue,
    queue_order,
    raise_shares,
)
from backstop.risk.adl_book import (
    Position,
    bankruptcy_price,
    close_deficit,
    equities,
    exposure,
    funding_rates,
    leverages,
    liquidation_price,
    profits,
)
from backstop.risk.adl_metrics import (
    DeficitRow,
    compare,
    deficits_by_account,
    evaluate,
    execution_wedge,
    gini,
    markout,
    study,
    survival_ratio,
    under_coverage,
    wave_totals,
    waves_without_repeats,
)
from backstop.risk.errors import BadInput, Infeasible

LAW = settings(deadline=None, max_examples=150)

# -- the worked book (P5) --------------------------------------------------------------------------

A, B, C = Position(1, 2, 1), Position(1, 2 / 3, 1), Position(4, 8 / 3, -1)
D, E = Position(1, 2 / 19, 1), Position(1, 10 / 99, -1)
BOOK = (A, B, C, D, E)
MARKS, INDICES = (1.0, 1.4, 1.3), (1.0, 1.5, 1.25)


@pytest.fixture(scope="module")
def book():
    profit = profits(BOOK, MARKS, INDICES, kappa=1.0)
    return profit, equities(BOOK, profit)


def test_funding_signal():
    assert funding_rates(BOOK, MARKS, INDICES) == pytest.approx([-0.3333, -0.44], abs=5e-5)


def test_funding_scales_with_kappa():
    """Kappa 0: pure price moves; the difference of 2 and 1 is the funding of 1, the default."""
    still = profits(BOOK, MARKS, INDICES, kappa=0.0)
    assert still[-1] == pytest.approx([0.3, 0.3, -1.2, 0.3, -0.3])
    once, twice = profits(BOOK, MARKS, INDICES), profits(BOOK, MARKS, INDICES, kappa=2.0)
    assert twice - once == pytest.approx(once - still)
    with pytest.raises(BadInput):
        funding_rates([A], MARKS, INDICES)


def test_book_at_the_first_step(book):
    profit, equity = book
    assert profit[0] == pytest.approx([-0.0667, -0.0667, 0.2667, -0.0667, 0.0667], abs=5e-5)
    assert equity[0] == pytest.approx([1.9333, 0.6000, 2.9333, 0.0386, 0.1677], abs=5e-5)
    lever = leverages(BOOK, equity[0], 1.4)
    assert lever == pytest.approx([0.7241, 2.3333, 1.9091, 36.27, 8.349], rel=1e-4)
    state = exposure(BOOK, equity[0], 1.4)
    assert state.leverage_solvent == pytest.approx(49.589, abs=5e-4)
    assert state.deficit == 0.0


def test_book_at_the_second_step(book):
    profit, equity = book
    assert profit[1] == pytest.approx([-0.7387, -0.7387, 2.9547, -0.7387, 0.7387], abs=5e-5)
    assert equity[1] == pytest.approx([1.2613, -0.0720, 5.6213, -0.6334, 0.8397], abs=5.1e-5)
    state = exposure(BOOK, equity[1], 1.3)
    assert state.leverage_solvent == pytest.approx(3.5039, abs=5e-5)
    assert state.leverage_bankrupt == pytest.approx(20.108, abs=5e-4)
    assert state.deficit == pytest.approx(0.7054, abs=5e-5)
    assert state.wealth == pytest.approx(7.7223, abs=5e-5)


@pytest.mark.parametrize(
    ("rule", "shares"),
    [
        (lambda lever: np.ones(3), (0.163, 0.728, 0.109)),
        (lambda lever: power_weight(lever, 1), (0.164, 0.589, 0.247)),
        (lambda lever: power_weight(lever, 2), (0.154, 0.497, 0.348)),
        (lambda lever: excess_weight(lever, 0.9), (0.149, 0.114, 0.737)),
    ],
)
def test_shares_of_the_solvent(book, rule, shares):
    _, equity = book
    keep = [0, 2, 4]
    lever = leverages(BOOK, equity[1], 1.3)[keep]
    assert raise_shares(equity[1][keep], rule(lever)) == pytest.approx(shares, abs=5.1e-4)


def test_bankruptcy_and_liquidation_prices():
    prices = [bankruptcy_price(p, 1.0) for p in BOOK]
    assert prices == pytest.approx([0, 1 / 3, 5 / 3, 0.8947, 1.1010], abs=5e-5)
    levels = [liquidation_price(p, 1.0, 0.1) for p in BOOK]
    assert levels[:4] == pytest.approx([0, 0.3704, 1.5152, 0.9942], abs=5e-5)
    # the document prints 1.0010 for E; (1 + 10/99)/1.1 = 1.000918...
    assert levels[4] == pytest.approx(1.000918, abs=5e-7)
    assert levels[4] == pytest.approx((1 + 10 / 99) / 1.1, rel=1e-15)


def test_late_entry_and_slices():
    assert bankruptcy_price(E, 1.05) == pytest.approx(1.15101, abs=5e-6)
    assert close_deficit(E, 1.05, 1.55, 1.0) == pytest.approx(0.39899, abs=5e-6)
    assert pytest.approx(0.00365) == 0.0020 * 1.05 + 0.0010 * 1.55  # 20 bp of mark, 10 bp of fill
    assert close_deficit(D, 0.98, 0.78, 0.4) == pytest.approx(0.037895, abs=5e-7)
    assert close_deficit(D, 0.98, 0.99, 0.4) == 0.0


# -- policies: known answers -----------------------------------------------------------------------

W = np.array([8.0, 4.0, 0.5])
EQUITY = np.array([10.0, 5.0, 1.0])


def test_queue_known_answer():
    taken = W * queue(W, 7.5, [1, 0, 2])
    assert taken == pytest.approx([3.5, 4.0, 0.0])
    assert EQUITY - taken == pytest.approx([6.5, 1.0, 1.0])


def test_pro_rata_known_answer():
    haircuts = pro_rata(W, 7.5)
    assert haircuts == pytest.approx([0.6] * 3)
    assert W * haircuts == pytest.approx([4.8, 2.4, 0.3])
    assert EQUITY - W * haircuts == pytest.approx([5.2, 2.6, 0.7])


@pytest.mark.parametrize(
    ("caps", "budget", "expected"),
    [((0.5, 1, 1), 7.5, (0.5, 0.777778, 0.777778)), ((0.25, 0.5, 1), 3.0, (0.24, 0.24, 0.24))],
)
def test_capped_pro_rata_known_answers(caps, budget, expected):
    assert capped_pro_rata(W, budget, caps) == pytest.approx(expected, abs=5e-7)


def test_leverage_weighted_known_answer():
    assert leverage_weighted(W, 7.5, (1, 9, 100)) == pytest.approx([0.375, 1.0, 1.0])


def test_queue_against_pro_rata_for_the_top_winner():
    """Gap 2.16 for the same account; the largest survivor is 4 under the queue, 4.16 pro rata."""
    greedy, fair = queue(W, 6.0, [0, 1, 2]), pro_rata(W, 6.0)
    gap = W[0] * (1 - fair[0]) - W[0] * (1 - greedy[0])
    assert gap == pytest.approx(2.16)
    assert gap == pytest.approx(6 * (1 - 8 / 12.5))
    assert max(W * (1 - greedy)) == pytest.approx(4.0)
    assert max(W * (1 - fair)) == pytest.approx(4.16)
    outcome = evaluate(W, greedy, 6.0)
    assert outcome.same_account_survival == pytest.approx(0.25)
    assert outcome.top_survival == pytest.approx(0.5)


def test_execution_wedge_known_answer():
    wedge = execution_wedge(100, 100, 99, 96)
    assert (wedge.needed, wedge.haircut, wedge.under_coverage) == (400, 100, 300)


def test_markout_known_answer():
    result = markout(-10, 5, 5.2, 6)
    assert (result.immediate, result.opportunity, result.total) == pytest.approx((-2, -8, -10))


# -- policies: laws --------------------------------------------------------------------------------

ENDOWMENTS = st.lists(st.floats(0.01, 100), min_size=1, max_size=12)


def _problem(data, caps: bool = False):
    w = np.array(data.draw(ENDOWMENTS))
    limit = np.ones(w.size)
    if caps:
        limit = np.array(data.draw(st.lists(st.floats(0, 1), min_size=w.size, max_size=w.size)))
    return w, limit, data.draw(st.floats(0, 1)) * float(w @ limit)


@LAW
@given(st.data())
def test_water_filling_is_optimal(data):
    """Optimality of the level: nobody pays less than the level unless capped; sums exactly.

    These conditions characterise the minimiser of every strictly convex sum w phi(h).
    """
    w, caps, budget = _problem(data, caps=True)
    h = capped_pro_rata(w, budget, caps)
    assert w @ h == pytest.approx(budget, rel=1e-9, abs=1e-9)
    assert (h <= caps + 1e-12).all() and (h >= 0).all()
    level = h.max()
    below = h < level - 1e-9
    assert h[below] == pytest.approx(caps[below], abs=1e-12)


@LAW
@given(st.data())
def test_water_filling_beats_random_feasible_haircuts(data):
    w, caps, budget = _problem(data, caps=True)
    best = capped_pro_rata(w, budget, caps)
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    other = leverage_weighted(w, budget, rng.random(w.size) + 0.01, caps)
    for phi in (np.square, lambda h: h**4, lambda h: np.exp(3 * h)):
        assert w @ phi(best) <= w @ phi(other) + 1e-7


@LAW
@given(st.data())
def test_leverage_weighted_solves_its_equation(data):
    w, caps, _ = _problem(data, caps=True)
    weights = np.array(data.draw(st.lists(st.floats(0, 50), min_size=w.size, max_size=w.size)))
    weights[weights < 1e-6] = 0.0
    budget = data.draw(st.floats(0, 1)) * float((w * caps)[weights > 0].sum())
    h = leverage_weighted(w, budget, weights, caps)
    assert w @ h == pytest.approx(budget, rel=1e-8, abs=1e-8)
    assert (h[weights == 0] == 0).all()
    free = (weights > 0) & (h < caps - 1e-9)
    if free.any():
        tau = h[free] / weights[free]
        assert tau == pytest.approx(tau[0], rel=1e-6, abs=1e-9)
        assert (weights[~free] * tau[0] >= caps[~free] - 1e-6)[weights[~free] > 0].all()


@LAW
@given(st.data())
def test_splitting_an_account_changes_nothing_pro_rata(data):
    """Sybil resistance of (capped) pro rata: the parts together pay what the whole paid."""
    w, caps, budget = _problem(data, caps=True)
    share = data.draw(st.floats(0.1, 0.9))
    whole = (w * capped_pro_rata(w, budget, caps))[0]
    split = np.concatenate([[w[0] * share, w[0] * (1 - share)], w[1:]])
    parts = (split * capped_pro_rata(split, budget, np.concatenate([[caps[0]], caps])))[:2]
    assert parts.sum() == pytest.approx(whole, rel=1e-7, abs=1e-7)


@LAW
@given(st.data())
def test_more_budget_never_lowers_a_haircut(data):
    w, caps, budget = _problem(data, caps=True)
    less = capped_pro_rata(w, budget * data.draw(st.floats(0, 1)), caps)
    assert (less <= capped_pro_rata(w, budget, caps) + 1e-9).all()


@LAW
@given(st.data())
def test_projection_satisfies_its_variational_inequality(data):
    """H is nearest to y on the budget set if and only if (y - h).(g - h) <= 0 for feasible g."""
    w, _, budget = _problem(data)
    y = np.array(data.draw(st.lists(st.floats(-3, 3), min_size=w.size, max_size=w.size)))
    h = project_on_budget(y, w, budget)
    assert w @ h == pytest.approx(budget, rel=1e-8, abs=1e-8)
    assert (h >= 0).all() and (h <= 1).all()
    rng = np.random.default_rng(0)
    feasible = [pro_rata(w, budget)]
    feasible += [queue(w, budget, list(rng.permutation(w.size))) for _ in range(10)]
    scale = 1 + np.abs(y).max()
    for g in feasible:
        assert (y - h) @ (g - h) <= 1e-6 * scale * w.size


def test_mirror_descent_moves_the_burden_away_from_who_bore_it():
    w = np.array([10.0, 10.0, 10.0])
    first = mirror_descent(np.zeros(3), np.array([1.0, 0.0, 0.0]), 0.2, w, 9.0)
    assert w @ first == pytest.approx(9.0)
    assert first[0] < first[1] == pytest.approx(first[2])
    # no gradient, feasible start: stays
    assert mirror_descent(first, np.zeros(3), 0.2, w, 9.0) == pytest.approx(first)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(1, 8), st.sampled_from([0.5, 1.0, 3.0])), min_size=1, max_size=4
    ),
    st.floats(0.01, 1),
)
def test_min_max_lots_against_brute_force(accounts, share):
    """All combinations of whole lots: none reaches the budget with a smaller largest haircut."""
    counts, lots = (np.array(x, dtype=float) for x in zip(*accounts, strict=True))
    w = counts * lots
    budget = share * float(w.sum())
    h = min_max_lots(w, budget, lots)
    taken = w * h
    assert taken.sum() >= budget * (1 - 1e-9)
    assert taken / lots == pytest.approx(np.round(taken / lots), abs=1e-9)
    best = min(
        max(k / n for k, n in zip(combination, counts, strict=True))
        for combination in itertools.product(*(range(int(n) + 1) for n in counts))
        if np.dot(combination, lots) >= budget * (1 - 1e-12)
    )
    assert h.max() == pytest.approx(best, abs=1e-9)
    highest = h >= h.max() - 1e-9  # nothing taken at the last level could be given back
    assert (taken.sum() - lots[highest] < budget * (1 + 1e-9)).all()


def test_contract_pro_rata_sums_exactly_and_is_not_sybil_resistant():
    assert contract_pro_rata([50, 30, 20], 10) == [5, 3, 2]
    assert contract_pro_rata([1, 1, 1], 2) == [1, 1, 0]
    # quotas 3.31, 5.19, 6.14, 2.36: the last has the largest remainder
    assert contract_pro_rata([7, 11, 13, 5], 17) == [3, 5, 6, 3]
    assert contract_pro_rata([0, 0], 0) == [0, 0]
    whole = contract_pro_rata([3, 4, 4], 4)[0]
    split = contract_pro_rata([1, 1, 1, 4, 4], 4)
    assert whole == 1 and sum(split[:3]) != whole
    with pytest.raises(Infeasible):
        contract_pro_rata([1, 2], 4)


def test_queue_order_ranks_by_profit_ratio_times_leverage():
    # profits 50 % at 2x, 10 % at 20x, 5 % at 1x: scores 1, 2, .05
    order = queue_order([50.0, 10.0, 5.0], [150.0, 110.0, 105.0], [75.0, 5.5, 105.0])
    assert order == [1, 0, 2]


def test_optimal_weights_agree_and_rise_with_leverage():
    lever = np.array([0.0, 1.0, 2.0, 5.0, 20.0])
    draws = 0.3 * np.random.default_rng(0).standard_normal(400_000)
    closed, sampled = optimal_weight_normal(lever, 0.3), optimal_weight(lever, draws)
    assert sampled == pytest.approx(closed, rel=0.05, abs=2e-4)
    assert closed[0] == 0.0 and (np.diff(closed) > 0).all()


def test_optimal_weights_minimise_the_next_deficit():
    """Two accounts, same endowment, leverages 2 and 10: RAP leaves the smaller expected deficit."""
    w, notional = np.array([1.0, 1.0]), np.array([2.0, 10.0])
    draws = -np.abs(0.15 * np.random.default_rng(1).standard_normal(50_000))

    def next_deficit(h):
        kept = notional * (1 - h)  # a haircut closes that share of the position
        return np.maximum(-(w * 1.0 + np.outer(draws, kept)), 0).sum(axis=1).mean()

    weighted = leverage_weighted(w, 0.6, optimal_weight(notional / w, draws))
    assert next_deficit(weighted) < next_deficit(pro_rata(w, 0.6))


# -- feasibility -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "policy",
    [
        lambda b: pro_rata(W, b),
        lambda b: queue(W, b, [0, 1, 2]),
        lambda b: capped_pro_rata(W, b, np.ones(3)),
        lambda b: project_on_budget(np.zeros(3), W, b),
        lambda b: min_max_lots(W, b, np.full(3, 0.5)),
    ],
)
def test_every_policy_can_take_everything_and_no_more(policy):
    assert policy(12.5) == pytest.approx([1.0] * 3)
    assert policy(0.0) == pytest.approx([0.0] * 3)
    with pytest.raises(Infeasible, match=r"missing 0\.1"):
        policy(12.6)


def test_feasible_means_profits_not_equity():
    """D = 15 < W = 16 of equity, but only 12.5 of profit may be taken."""
    with pytest.raises(Infeasible):
        pro_rata(W, 15.0)
    assert float(EQUITY.sum()) > 15.0


@pytest.mark.parametrize(
    "call",
    [
        lambda: pro_rata([-1.0], 0.0),
        lambda: pro_rata([1.0], -1.0),
        lambda: queue([1.0, 2.0], 1.0, [0, 0]),
        lambda: capped_pro_rata([1.0], 0.5, [1.5]),
        lambda: leverage_weighted([1.0], 0.5, [-1.0]),
        lambda: leverage_weighted([1.0], 0.5, [1.0, 1.0]),
        lambda: min_max_lots([1.0], 0.5, [0.0]),
        lambda: project_on_budget([1.0, 2.0], [1.0], 0.5),
        lambda: queue_order([1.0], [2.0], [0.0]),
        lambda: contract_pro_rata([-1], 0),
        lambda: optimal_weight([-1.0], [0.1]),
        lambda: Position(0, 1, 1),
        lambda: Position(1, 1, 0),
        lambda: evaluate([1.0], [1.5], 1.0),
        lambda: survival_ratio([1.0], [0.0]),
        lambda: study([], {}),
        lambda: wave_totals([1.0], {"x": [1.0, 2.0]}),
        lambda: deficits_by_account([DeficitRow("a", "e", 0, -1.0)]),
        lambda: deficits_by_account([DeficitRow("a", "e", 0, 1.0), DeficitRow("a", "e", 0, 2.0)]),
    ],
)
def test_bad_input(call):
    with pytest.raises(BadInput, match="Remedy:"):
        call()


# -- metrics ---------------------------------------------------------------------------------------


def test_outcome_counts_overshoot_and_residual():
    over = evaluate(W, [0.8, 0.8, 0.8], 7.5)
    assert (over.taken, over.overshoot, over.residual) == pytest.approx((10.0, 2.5, 0.0))
    assert over.fairness_regret == pytest.approx(0.2 * 7.5)
    assert over.gini == pytest.approx(0.0)
    under = evaluate(W, [0.0, 0.5, 0.0], 7.5)
    assert (under.overshoot, under.residual) == pytest.approx((0.0, 5.5))
    assert under.gini == pytest.approx(1 - 4 / 12.5)  # all of the haircut on 4 of 12.5


def test_compare_puts_policies_side_by_side():
    table = compare(
        W,
        7.5,
        {
            "pro rata": pro_rata,
            "queue": lambda w, b: queue(w, b, [1, 0, 2]),
            "capped": lambda w, b: capped_pro_rata(w, b, [0.5, 1, 1]),
        },
    )
    assert table["pro rata"].gini < table["capped"].gini < table["queue"].gini
    assert {name: round(o.taken, 9) for name, o in table.items()} == dict.fromkeys(table, 7.5)
    assert table["pro rata"].fairness_regret == pytest.approx(0.0)
    short = compare(W, 20.0, {"pro rata": pro_rata})["pro rata"]
    assert short.residual == pytest.approx(7.5)


def test_study_adds_up_events():
    policies = {"pro rata": pro_rata, "queue": lambda w, b: queue(w, b, list(range(len(w))))}
    rows = {row.policy: row for row in study([(W, 6.0), (W, 20.0)], policies)}
    fair, greedy = rows["pro rata"], rows["queue"]
    assert (fair.needed, fair.taken, fair.residual) == pytest.approx((26.0, 18.5, 7.5))
    assert fair.worst_haircut == greedy.worst_haircut == pytest.approx(1.0)
    assert fair.top_survival == pytest.approx((4.16 / 8 + 0) / 2)
    assert greedy.top_survival == pytest.approx((4.0 / 8 + 0) / 2)
    assert fair.ptsr == pytest.approx((4.16 / 6 + 0) / 2)
    assert fair.gini == 0.0 < greedy.gini
    assert fair.fairness_regret == pytest.approx(0.0)
    assert greedy.fairness_regret == pytest.approx((0.75 - 0.48) * 6)


@LAW
@given(st.lists(st.floats(0, 10), min_size=2, max_size=20), st.floats(0.1, 10))
def test_gini_is_the_mean_difference(values, scale):
    x = np.array(values)
    if x.sum() < 1e-6:
        return
    direct = np.abs(x[:, None] - x[None, :]).mean() / (2 * x.mean())
    assert gini(x) == pytest.approx(direct, abs=1e-9)
    assert gini(scale * x) == pytest.approx(direct, abs=1e-9)


def test_survival_and_under_coverage():
    assert survival_ratio([4.0, 6.0, 9.0], [2.0, 3.0, 0.0]) == pytest.approx(2.0)
    assert under_coverage([400.0, 10.0], [100.0, 20.0]) == 300.0


# -- the published waves of 10 October 2025 --------------------------------------------------------


@pytest.fixture(scope="module")
def waves(reference):
    with reference("ref/policy_per_wave_metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    needed = [float(r["budget_needed"]) for r in rows]
    names = {
        "production": "prod", "pro rata": "pr", "contract pro rata": "contract_pr",
        "mirror descent": "vector", "min-max": "fixed_point_ilp_integer",
    }  # fmt: skip
    taken = {name: [float(r[f"budget_{key}"]) for r in rows] for name, key in names.items()}
    return wave_totals(needed, taken)


@pytest.mark.parametrize(
    ("policy", "taken", "overshoot"),
    [
        ("production", 60_108_335.33, 45_028_665.72),
        ("pro rata", 15_079_669.61, 0.0),
        ("contract pro rata", 12_059_548.96, -3_020_120.65),
        ("mirror descent", 13_286_647.58, -1_793_022.03),
        ("min-max", 15_171_856.60, 92_186.99),
    ],
)
def test_published_wave_table(waves, policy, taken, overshoot):
    total = waves[policy]
    assert total.needed == pytest.approx(15_079_669.61, abs=0.006)
    assert total.taken == pytest.approx(taken, abs=0.006)
    assert total.net_overshoot == pytest.approx(overshoot, abs=0.006)
    assert total.over - total.under == pytest.approx(total.net_overshoot, abs=1e-6)


def test_headline_in_millions(waves):
    total = waves["production"]
    assert f"{total.needed / 1e6:.6f}" == "15.079670"
    assert f"{total.taken / 1e6:.6f}" == "60.108335"
    assert f"{total.net_overshoot / 1e6:.6f}" == "45.028666"


def test_production_also_took_too_little_in_some_waves(waves):
    """The net figure hides 4.38 M of waves that were under-covered."""
    total = waves["production"]
    assert total.under == pytest.approx(4_376_912.41, abs=0.006)
    assert total.over == pytest.approx(49_405_578.12, abs=0.006)


def test_published_queue_totals(reference):
    with reference("ref/summary_totals.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["policy"] == "queue"
    assert float(row["total_overshoot"]) == pytest.approx(653.55e6, abs=5e3)
    assert float(row["total_residual"]) == pytest.approx(16.69e6, abs=5e3)


# -- deficits once ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def losers(reference):
    with reference("ref/bad_debt_loser_waves.csv").open() as file:
        return list(csv.DictReader(file))


def test_double_counting_of_the_published_total(losers):
    deficits = [float(r["deficit_usd"]) for r in losers]
    largest = [float(r["max_loss_usd"]) for r in losers]
    report = waves_without_repeats(deficits, largest)
    assert report.naive_total == pytest.approx(100_063_386.69, abs=0.006)
    assert report.total == pytest.approx(12_657_729, abs=0.5)
    assert report.repeated_rows == 8
    assert report.double_counted == pytest.approx(8 * 10_925_707.16, abs=0.05)
    assert largest.count(10925707.159377944) == 9


def test_deficit_counts_the_final_value_once():
    rows = [
        DeficitRow("a", "crash", 1.0, 5.0),
        DeficitRow("a", "crash", 3.0, 7.0),  # final
        DeficitRow("a", "crash", 2.0, 9.0),  # looked at earlier, read later
        DeficitRow("a", "next day", 9.0, 1.0),
        DeficitRow("b", "crash", 1.0, 2.0),
    ]
    report = deficits_by_account(rows)
    assert report.by_account_event == {
        ("a", "crash"): 7.0, ("a", "next day"): 1.0, ("b", "crash"): 2.0,
    }  # fmt: skip
    assert (report.total, report.naive_total, report.repeated_rows) == (10.0, 24.0, 2)


@LAW
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"), st.sampled_from("xy"), st.integers(0, 99), st.integers(0, 9)
        ),
        max_size=25,
        unique_by=lambda r: (r[0], r[1], r[2]),
    ),
    st.randoms(),
)
def test_deficit_does_not_depend_on_the_order_of_rows(rows, random):
    listed = [DeficitRow(a, e, float(t), float(d)) for a, e, t, d in rows]
    report = deficits_by_account(listed)
    random.shuffle(listed)
    assert deficits_by_account(listed).by_account_event == report.by_account_event
    assert report.total <= report.naive_total
    assert not math.isnan(report.total)
