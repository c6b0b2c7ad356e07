"""Auto-deleveraging policies: whose profit pays a shortfall that the fund could not.

A policy takes a budget B (money to raise) from winners with haircutable endowments w_i > 0 (their
positive profit; cash and principal are protected) and returns haircut fractions h_i in [0, 1] with
sum w_i h_i = B. Feasible means B <= sum of what may be taken, not B <= total equity. Definitions
follow Chitra, "Autodeleveraging" (arXiv 2512.01112) and Chitra et al. (arXiv 2602.15182).

All functions are pure, take arrays of shape (n,) and raise Infeasible with the missing amount.
Metrics are in `adl_metrics.py`, positions and bankruptcy prices in `adl_book.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import special

from .arrays import ArrayLike, FloatArray, as_sample, check_nonnegative, check_positive
from .errors import BadInput, Infeasible

#: Relative slack for "the budget is everything there is".
_ROUNDING = 1e-12


# --------------------------------------------------------------------------------------------
# policies


def queue(endowments: ArrayLike, budget: float, order: Sequence[int]) -> FloatArray:
    """Greedy along `order` (indices, first hit first): everything from each until B is raised."""
    w = _endowments(endowments)
    if sorted(order) != list(range(w.size)):
        raise BadInput("order is not a permutation of the accounts.", "rank every account once.")
    _check_budget(budget, float(w.sum()))
    ranked = w[list(order)]
    before = np.concatenate([[0.0], np.cumsum(ranked)[:-1]])
    taken = np.clip(budget - before, 0.0, ranked)
    haircuts = np.zeros(w.size)
    haircuts[list(order)] = np.divide(taken, ranked, out=np.zeros(w.size), where=ranked > 0)
    return haircuts


def queue_order(profits: ArrayLike, notionals: ArrayLike, equities: ArrayLike) -> list[int]:
    """The exchanges' ranking: profit over entry notional times leverage, highest first.

    score = (pnl / (notional - pnl)) * (notional / equity), the form venues publish; equal scores
    keep their order. Equities must be > 0.
    """
    pnl, notional = as_sample(profits, "profits"), as_sample(notionals, "notionals")
    equity = as_sample(equities, "equities")
    entry = notional - pnl
    if (equity <= 0).any() or (entry <= 0).any():
        raise BadInput("an equity or entry notional is <= 0.", "rank solvent winners only.")
    return [int(i) for i in np.argsort(-(pnl / entry) * (notional / equity), kind="stable")]


def pro_rata(endowments: ArrayLike, budget: float) -> FloatArray:
    """The same fraction from everybody: h_i = B / sum w."""
    w = _endowments(endowments)
    total = float(w.sum())
    _check_budget(budget, total)
    return np.where(w > 0, min(budget / total, 1.0) if total > 0 else 0.0, 0.0)


def capped_pro_rata(endowments: ArrayLike, budget: float, caps: ArrayLike) -> FloatArray:
    """Water-filling: h_i = min(level, cap_i) with sum w_i h_i = B.

    The unique sybil-resistant, scale-invariant, monotone rule with caps; minimises
    sum w_i phi(h_i) for every strictly convex phi.
    """
    return leverage_weighted(endowments, budget, np.ones(len(endowments)), caps)


def leverage_weighted(
    endowments: ArrayLike, budget: float, weights: ArrayLike, caps: ArrayLike | None = None
) -> FloatArray:
    """Risk-aware pro rata (RAP): h_i = min(cap_i, tau * weight_i) with sum w_i h_i = B.

    weights >= 0, e.g. `power_weight(leverage)` or `optimal_weight`; caps in [0, 1], default 1.
    Exact: caps bind in the order of cap_i/weight_i, so tau is found by one sort.
    """
    w = _endowments(endowments)
    weight = as_sample(weights, "weights")
    cap = np.ones(w.size) if caps is None else as_sample(caps, "caps")
    if not weight.size == cap.size == w.size:
        raise BadInput("endowments, weights and caps differ in length.", "pass one per account.")
    if (weight < 0).any() or (cap < 0).any() or (cap > 1).any():
        raise BadInput("weights must be >= 0 and caps in [0, 1].", "scale the caps to fractions.")
    usable = (weight > 0) & (w > 0)
    _check_budget(budget, float((w * cap)[usable].sum()))
    haircuts = np.zeros(w.size)
    if budget > 0:
        tau = _water_level(w[usable], weight[usable], cap[usable], budget)
        haircuts[usable] = np.minimum(cap[usable], tau * weight[usable])
    return haircuts


def _water_level(w: FloatArray, weight: FloatArray, cap: FloatArray, budget: float) -> float:
    """Smallest tau with sum w min(cap, tau weight) >= budget."""
    bind = cap / weight
    order = np.argsort(bind, kind="stable")
    w, weight, cap, bind = w[order], weight[order], cap[order], bind[order]
    capped = np.concatenate([[0.0], np.cumsum(w * cap)])
    slope = np.concatenate([np.cumsum((w * weight)[::-1])[::-1], [0.0]])
    raised = capped[:-1] + slope[:-1] * bind  # raised when the k-th cap begins to bind
    k = int(np.searchsorted(raised, budget))
    if k == w.size:
        return float(bind[-1])
    return float((budget - capped[k]) / slope[k])


def mirror_descent(
    previous: ArrayLike, gradient: ArrayLike, step: float, endowments: ArrayLike, budget: float
) -> FloatArray:
    """One step of vector mirror descent: project `previous - step * gradient` on the budget set.

    Euclidean projection onto {h in [0, 1]^n : w.h = B}: h = clip(y - lambda w, 0, 1) with lambda
    from the piecewise linear equation w.h = B, solved exactly at its breakpoints.
    """
    start, slope = as_sample(previous, "previous"), as_sample(gradient, "gradient")
    return project_on_budget(start - check_nonnegative(step, "step") * slope, endowments, budget)


def project_on_budget(target: ArrayLike, endowments: ArrayLike, budget: float) -> FloatArray:
    """Nearest point to `target` in {h in [0, 1]^n : w.h = B} (Euclidean)."""
    w, y = _endowments(endowments), as_sample(target, "target")
    if y.size != w.size:
        raise BadInput("target and endowments differ in length.", "pass one per account.")
    _check_budget(budget, float(w.sum()))
    live = w > 0
    haircuts = np.zeros(w.size)
    if live.any():
        haircuts[live] = _project(y[live], w[live], budget)
    return haircuts


def _project(y: FloatArray, w: FloatArray, budget: float) -> FloatArray:
    """Find the multiplier by bisection over the sorted breakpoints, then solve one linear piece."""

    def raised(multiplier: float) -> float:
        return float(w @ np.clip(y - multiplier * w, 0.0, 1.0))

    breaks = np.unique(np.concatenate([(y - 1.0) / w, y / w]))
    low, high = 0, breaks.size - 1  # raised is decreasing: B at breaks[low], 0 at breaks[high]
    while high - low > 1:
        middle = (low + high) // 2
        if raised(float(breaks[middle])) >= budget:
            low = middle
        else:
            high = middle
    left, right = float(breaks[low]), float(breaks[high])
    at_left, at_right = raised(left), raised(right)
    if at_left <= at_right:
        multiplier = left
    else:
        multiplier = left + (right - left) * (at_left - budget) / (at_left - at_right)
    return np.asarray(np.clip(y - multiplier * w, 0.0, 1.0))


def min_max_lots(endowments: ArrayLike, budget: float, lots: ArrayLike) -> FloatArray:
    """Whole lots: raise at least B, the largest haircut fraction as small as possible.

    lots: value of one contract of each account. Exact: the smallest level at which the sum of
    floor(level * w_i/lot_i) lots reaches B is one of the fractions k lot_i/w_i. Lots on that last
    level that are not needed are given back, largest first.
    """
    w, lot = _endowments(endowments), as_sample(lots, "lots")
    if lot.size != w.size or (lot <= 0).any():
        raise BadInput("lots must be > 0, one per account.", "pass the contract value of each.")
    whole = np.floor(w / lot * (1.0 + _ROUNDING))
    _check_budget(budget, float((whole * lot).sum()))
    if budget <= 0:
        return np.zeros(w.size)
    level = _lowest_level(w, lot, whole, budget)
    count = _lots_at(level, w, lot, whole)
    spare = float((count * lot).sum()) - budget
    last = np.flatnonzero((count > 0) & (count * lot >= level * w * (1.0 - 1e-9)))
    for i in last[np.argsort(-lot[last], kind="stable")]:
        if lot[i] <= spare * (1.0 + _ROUNDING):
            count[i] -= 1.0
            spare -= float(lot[i])
    return np.divide(count * lot, w, out=np.zeros(w.size), where=w > 0)


def _lots_at(level: float, w: FloatArray, lot: FloatArray, whole: FloatArray) -> FloatArray:
    return np.minimum(np.floor(level * w / lot * (1.0 + _ROUNDING)), whole)


def _lowest_level(w: FloatArray, lot: FloatArray, whole: FloatArray, budget: float) -> float:
    """Bisection to the cell, then the smallest fraction k lot/w inside it that reaches B."""

    def enough(level: float) -> bool:
        return float((_lots_at(level, w, lot, whole) * lot).sum()) >= budget * (1.0 - _ROUNDING)

    low, high = 0.0, 1.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        low, high = (low, middle) if enough(middle) else (middle, high)
    live = w > 0
    reached = _lots_at(high, w, lot, whole)[live] * lot[live] / w[live]
    return float(reached[reached <= high * (1.0 + 1e-9)].max())


def contract_pro_rata(contracts: Sequence[int], budget_contracts: int) -> list[int]:
    """Whole contracts pro rata with largest remainders (Hamilton); ties go to the first account.

    Sums exactly to the budget, but is neither monotone nor sybil-resistant (splitting an account
    can change the remainders): shown for comparison, not used on chain.
    """
    total = sum(contracts)
    if min(contracts, default=0) < 0 or budget_contracts < 0:
        raise BadInput("negative contracts.", "pass absolute sizes.")
    if budget_contracts > total:
        raise Infeasible(f"{budget_contracts} contracts asked, {total} there.", "lower the budget.")
    if total == 0:
        return [0] * len(contracts)
    taken = [size * budget_contracts // total for size in contracts]
    remainders = [size * budget_contracts % total for size in contracts]
    by_remainder = sorted(range(len(contracts)), key=lambda i: (-remainders[i], i))
    for i in by_remainder[: budget_contracts - sum(taken)]:
        taken[i] += 1
    return taken


# --------------------------------------------------------------------------------------------
# weights for the leverage-weighted rule


def power_weight(leverage: ArrayLike, exponent: float = 1.0) -> FloatArray:
    """Weight lambda * lambda^exponent: exponent 1 is the paper's "linear" RAP."""
    ratio = as_sample(leverage, "leverage")
    return np.asarray(np.maximum(ratio, 0.0) ** (1.0 + exponent))


def excess_weight(leverage: ArrayLike, threshold: float) -> FloatArray:
    """Weight lambda * (lambda - threshold)+: nothing from accounts below the threshold."""
    ratio = as_sample(leverage, "leverage")
    return np.asarray(np.maximum(ratio, 0.0) * np.maximum(ratio - threshold, 0.0))


def optimal_weight(leverage: ArrayLike, returns: ArrayLike) -> FloatArray:
    """Weight rho(lambda) = lambda psi(1/lambda), psi(u) = E(u + Z)-, Z the next return's law.

    Minimises the expected deficit of the next step: an account at leverage lambda goes bankrupt
    when the return falls below -1/lambda. returns: a sample of Z (for the side of the winners).
    """
    ratio, sample = as_sample(leverage, "leverage"), as_sample(returns, "returns")
    if (ratio < 0).any():
        raise BadInput("a leverage is negative.", "pass notional / equity.")
    inverse = np.divide(1.0, ratio, out=np.full(ratio.size, math.inf), where=ratio > 0)
    shortfall = [float(np.maximum(-(u + sample), 0.0).mean()) for u in inverse]
    return np.asarray(ratio * np.array(shortfall))


def optimal_weight_normal(leverage: ArrayLike, sigma: float) -> FloatArray:
    """`optimal_weight` for Z ~ N(0, sigma^2): psi(u) = sigma phi(u/sigma) - u N(-u/sigma)."""
    ratio = as_sample(leverage, "leverage")
    check_positive(sigma, "sigma")
    weight = np.zeros(ratio.size)
    u = 1.0 / ratio[ratio > 0]
    density = np.exp(-0.5 * (u / sigma) ** 2) / math.sqrt(2.0 * math.pi)
    weight[ratio > 0] = (sigma * density - u * special.ndtr(-u / sigma)) / u
    return weight


# --------------------------------------------------------------------------------------------


def raise_shares(endowments: ArrayLike, weights: ArrayLike) -> FloatArray:
    """Share of the budget each account pays while no cap binds: w_i weight_i / sum."""
    product = _endowments(endowments) * as_sample(weights, "weights")
    return product / check_positive(float(product.sum()), "sum of endowment * weight")


Policy = Callable[[FloatArray, float], FloatArray]


def _endowments(endowments: ArrayLike) -> FloatArray:
    w = as_sample(endowments, "endowments")
    if (w < 0).any():
        where = int(np.flatnonzero(w < 0)[0])
        raise BadInput(f"endowments[{where}] = {w[where]} < 0.", "pass positive profits only.")
    return w


def _check_budget(budget: float, capacity: float) -> None:
    check_nonnegative(budget, "budget")
    if budget > capacity * (1.0 + _ROUNDING):
        raise Infeasible(
            f"budget {budget:.6g} exceeds what may be taken, {capacity:.6g} "
            f"(missing {budget - capacity:.6g}).",
            "take what is there and book the rest as residual deficit.",
        )
