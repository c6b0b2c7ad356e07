"""How large must the fund be: the target, what moves it, what would empty it, who causes it.

Losses are the fund's shortfall over one close-out horizon, in the collateral's unit, shape (n,) by
path or (n, m) by path and market; deficits are netted per account before they are split.

    target = max(K_stress, K_es, K_nv, floor) * (1 + model add-on)

K_stress: worst scenario's two largest netted account groups, times the cascade multiplier;
K_es: CVaR at 99.9 %; K_nv: the newsvendor quantile VaR_{1 - r/kappa}.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from json import dumps
from typing import Any

import numpy as np

from .arrays import ArrayLike, FloatArray, as_sample, as_weights, check_level, check_nonnegative
from .cvar import Interval, cvar_interval, tail_risk, value_at_risk
from .errors import BadInput

ES_LEVEL = 0.999


# --------------------------------------------------------------------------------------------
# components


def cover_two(shortfalls: ArrayLike | Sequence[ArrayLike]) -> float:
    """Cover-2: max over scenarios of the sum of the two largest netted groups' shortfalls.

    shortfalls: shape (groups,) for one scenario or (scenarios, groups); negatives count as 0.
    """
    table = np.atleast_2d(np.asarray(shortfalls, dtype=np.float64))
    if table.ndim != 2 or table.size == 0 or not np.isfinite(table).all():
        raise BadInput(
            f"shortfalls have shape {table.shape} or are not finite.",
            "pass (scenarios, groups) of finite numbers.",
        )
    largest = np.sort(np.maximum(table, 0.0), axis=1)[:, -2:]
    return float(largest.sum(axis=1).max())


def newsvendor(quantile: Callable[[float], float], capital_cost: float, penalty: float) -> float:
    """Optimal static fund: min_K r K + kappa E(D - K)+ is VaR_{1 - r/kappa}(D), 0 if r >= kappa.

    quantile: level -> quantile of the shortfall D; r and kappa per unit of money and period.
    """
    check_nonnegative(capital_cost, "capital_cost")
    if capital_cost >= penalty:
        return 0.0
    if capital_cost == 0:
        raise BadInput("free capital: the optimum is the largest loss.", "pass a cost > 0.")
    return max(quantile(1.0 - capital_cost / penalty), 0.0)


def newsvendor_sample(
    losses: ArrayLike, capital_cost: float, penalty: float, weights: ArrayLike | None = None
) -> float:
    """`newsvendor` on a sample of shortfalls."""
    return newsvendor(lambda p: value_at_risk(losses, p, weights), capital_cost, penalty)


@dataclass(frozen=True, slots=True)
class Components:
    """The candidates for the target; `binding` names the largest."""

    stress: float
    expected_shortfall: float
    newsvendor: float
    floor: float
    model_add_on: float

    @property
    def binding(self) -> str:
        """Name of the component that sets the target."""
        return max(self._candidates(), key=lambda item: item[1])[0]

    @property
    def target(self) -> float:
        """Largest component times (1 + model add-on)."""
        return max(value for _, value in self._candidates()) * (1.0 + self.model_add_on)

    def _candidates(self) -> list[tuple[str, float]]:
        return [
            ("stress", self.stress),
            ("expected_shortfall", self.expected_shortfall),
            ("newsvendor", self.newsvendor),
            ("floor", self.floor),
        ]


# --------------------------------------------------------------------------------------------
# the result


@dataclass(frozen=True)
class Required:
    """Required capital and everything a reader needs to check it; amounts in the collateral's unit.

    es_interval is (lower, upper) at `es_confidence`; by_market (and by_account) sum to `es`.
    binding names the component that set the target. Hashes are hexadecimal SHA-256.
    """

    target: float
    binding: str
    es: float
    var: float
    level: float
    es_interval: tuple[float, float]
    es_confidence: float
    cover2: float
    cascade_mult: float
    newsvendor: float
    floor: float
    model_add_on: float
    premium_rate: float | None = None
    solvency_ratio: float | None = None
    by_market: Mapping[str, float] = field(default_factory=dict)
    by_account: Mapping[str, float] = field(default_factory=dict)
    samples: int = 0
    tail_points: float = 0.0
    data_hash: str = ""
    code_hash: str = ""
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionary; `target_wad` is the target in 18 decimals, rounded up, as a string."""
        plain = asdict(self)
        plain["es_interval"] = list(self.es_interval)
        plain["notes"] = list(self.notes)
        plain["target_wad"] = str(wad_up(self.target))
        return plain

    def to_json(self) -> str:
        """Canonical JSON: keys sorted, no spaces, infinite numbers refused; hash this."""
        return dumps(self.as_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)


def required(
    losses: ArrayLike,
    stress_shortfalls: ArrayLike | Sequence[ArrayLike],
    *,
    cascade_mult: float = 1.0,
    capital_cost: float,
    penalty: float,
    floor: float = 0.0,
    model_add_on: float = 0.0,
    level: float = ES_LEVEL,
    confidence: float = 0.90,
    interval: Interval | None = None,
    weights: ArrayLike | None = None,
    by_market: Mapping[str, float] | None = None,
    usable_capital: float | None = None,
    premium_rate: float | None = None,
    data_hash: str = "",
    code_hash: str = "",
) -> Required:
    """The capital target from simulated losses (n,) and stress shortfalls (scenarios, groups).

    K_es is the upper end of the CVaR's interval at `confidence` (pass `interval` to use another
    estimate, e.g. a GPD tail's). cascade_mult must be finite: when only feedback makes losses,
    pass stress shortfalls that include it and a multiplier of 1.
    """
    values = as_sample(losses, "losses")
    if not (math.isfinite(cascade_mult) and cascade_mult >= 1):
        raise BadInput(
            f"cascade multiplier {cascade_mult}.",
            "pass a finite one >= 1, or stress losses that include the feedback and 1.",
        )
    check_nonnegative(floor, "floor")
    check_nonnegative(model_add_on, "model_add_on")
    point = tail_risk(values, level, weights)
    band = interval or cvar_interval(values, level, nominal=confidence, weights=weights)
    if not math.isfinite(band.upper):
        raise BadInput(
            "the data do not bound the expected shortfall (infinite upper end).",
            "use log losses, a lower confidence, more history, or size on stress alone.",
        )
    stress = cover_two(stress_shortfalls)
    optimum = newsvendor_sample(values, capital_cost, penalty, weights)
    parts = Components(stress * cascade_mult, max(band.upper, 0.0), optimum, floor, model_add_on)
    known = usable_capital is not None and parts.target > 0
    ratio = solvency_ratio(usable_capital or 0.0, parts.target) if known else None
    return Required(
        target=parts.target,
        binding=parts.binding,
        es=point.cvar,
        var=point.var,
        level=level,
        es_interval=(band.lower, band.upper),
        es_confidence=band.nominal,
        cover2=stress,
        cascade_mult=cascade_mult,
        newsvendor=optimum,
        floor=floor,
        model_add_on=model_add_on,
        premium_rate=premium_rate,
        solvency_ratio=ratio,
        by_market=dict(by_market or {}),
        samples=values.size,
        tail_points=point.tail_points,
        data_hash=data_hash,
        code_hash=code_hash,
        notes=(band.note,),
    )


def wad_up(amount: float) -> int:
    """A non-negative amount in 18-decimal fixed point, rounded UP, exact in the float given."""
    numerator, denominator = check_nonnegative(amount, "amount").as_integer_ratio()
    return -(-numerator * 10**18 // denominator)


# --------------------------------------------------------------------------------------------
# ratio and moves


def solvency_ratio(
    assets: float, target: float, pending_claims: float = 0.0, matured_exits: float = 0.0
) -> float:
    """SR = (assets - pending claims - matured exits)/target; infinite for a target of 0."""
    usable = assets - pending_claims - matured_exits
    if target <= 0:
        return math.inf
    return usable / target


def anti_procyclical(new_target: float, past_year: Sequence[float], share: float = 0.75) -> float:
    """max(new, share * highest target of the last year): a calm spell releases capital slowly."""
    if not 0 <= share <= 1:
        raise BadInput(f"share {share}.", "use a share in [0, 1], usually 0.75.")
    return max(new_target, share * max(past_year, default=0.0))


def bounded_move(
    current: float,
    desired: float,
    elapsed_seconds: float,
    per_day: float = 0.05,
    per_update: float = 0.01,
) -> float:
    """Move the target towards `desired` by at most min(per_day * days elapsed, per_update)."""
    check_nonnegative(current, "current")
    check_nonnegative(elapsed_seconds, "elapsed_seconds")
    limit = min(per_day * elapsed_seconds / 86_400.0, per_update)
    return min(max(desired, current * (1.0 - limit)), current * (1.0 + limit))


def bounded_move_bps(
    current: int,
    desired: int,
    elapsed_seconds: int,
    per_day_bps: int = 500,
    per_update_bps: int = 100,
) -> int:
    """Integer form as published by Nexus: the allowed change is whole basis points, rounded DOWN.

    bps = min(per_day_bps * elapsed // 86400, per_update_bps); the moved amount is current *
    (10000 +- bps) // 10000, never past `desired`.
    """
    if min(current, desired, elapsed_seconds) < 0:
        raise BadInput("negative input.", "targets and times are unsigned.")
    bps = min(per_day_bps * elapsed_seconds // 86_400, per_update_bps)
    if desired > current:
        return min(desired, current * (10_000 + bps) // 10_000)
    return max(desired, current * (10_000 - bps) // 10_000)


def minimum_capital(active_cover: float, gearing: float = 4.8) -> float:
    """Nexus-style capital from cover sold: active cover / gearing factor."""
    check_nonnegative(active_cover, "active_cover")
    return active_cover / gearing


def surplus_release(
    assets: float,
    target: float,
    days_above: float,
    open_claims: int,
    *,
    share: float = 0.10,
    trigger: float = 1.2,
    days: float = 30.0,
) -> float:
    """Surplus that may leave this epoch: at most `share` of what exceeds `trigger` * target.

    Nothing before the ratio has been above the trigger for `days`, and never with an open claim.
    """
    check_nonnegative(target, "target")
    if open_claims or days_above < days:
        return 0.0
    return share * max(assets - trigger * target, 0.0)


# --------------------------------------------------------------------------------------------
# reverse stress


@dataclass(frozen=True, slots=True)
class ReverseStress:
    """Smallest shock whose loss exceeds the capacity, up to the resolution of the search.

    shock: uncovered, loss_at_shock > capacity; covered: the largest shock known to be covered
    below it. shock is None when even the limit is covered. evaluations of the loss function.
    """

    shock: float | None
    covered: float
    loss_at_shock: float
    loss_at_covered: float
    evaluations: int


def reverse_stress(
    loss: Callable[[float], float],
    capacity: float,
    *,
    limit: float = 1.0,
    steps: int = 20,
    tolerance: float = 1e-4,
) -> ReverseStress:
    """Smallest shock in (0, limit] with loss(shock) > capacity.

    A scan in `steps` equal steps finds the first uncovered one, bisection narrows it to
    `tolerance`. The loss need be neither continuous nor monotone (cascades jump), but a spike
    narrower than limit/steps that is covered again at the next step is missed.
    """
    if steps < 1 or not limit > 0 or not tolerance > 0:
        raise BadInput(f"steps {steps}, limit {limit}, tolerance {tolerance}.", "all must be > 0.")
    covered, loss_covered, evaluations = 0.0, loss(0.0), 1
    if loss_covered > capacity:
        return ReverseStress(0.0, 0.0, loss_covered, loss_covered, 1)
    for step in range(1, steps + 1):
        shock = limit * step / steps
        value = loss(shock)
        evaluations += 1
        if value > capacity:
            break
        covered, loss_covered = shock, value
    else:
        return ReverseStress(None, covered, math.nan, loss_covered, evaluations)
    while shock - covered > tolerance:
        middle = 0.5 * (shock + covered)
        trial = loss(middle)
        evaluations += 1
        if trial > capacity:
            shock, value = middle, trial
        else:
            covered, loss_covered = middle, trial
    return ReverseStress(shock, covered, value, loss_covered, evaluations)


# --------------------------------------------------------------------------------------------
# contributions and the capital curve


def euler_contributions(
    losses: FloatArray, level: float = ES_LEVEL, weights: ArrayLike | None = None
) -> FloatArray:
    """Contribution of each market to the CVaR of the total, shape (m,), summing to it exactly.

    losses: (n, m). E[L_i | tail] with the atom at VaR split evenly over the scenarios on it, the
    Euler allocation of CVaR (Tasche 1999; QRM section 8.5).
    """
    table = np.asarray(losses, dtype=np.float64)
    if table.ndim != 2 or table.size == 0 or not np.isfinite(table).all():
        raise BadInput(f"losses have shape {table.shape} or are not finite.", "pass (n, markets).")
    check_level(level)
    total = table.sum(axis=1)
    mass = as_weights(weights, total.size)
    var = tail_risk(total, level, None if weights is None else mass).var
    beyond, on = mass * (total > var), mass * (total == var)
    rest = (1.0 - level) - float(beyond.sum())
    share = (beyond + on * (rest / float(on.sum()))) / (1.0 - level)
    return np.asarray(share @ table)


@dataclass(frozen=True, slots=True)
class FundPoint:
    """One fund size: chance it is exhausted, what is left uncovered, and what it costs.

    uncovered = E(D - K)+ (expected deleveraging or socialised loss); total_cost = r K + kappa *
    uncovered, per period of the losses.
    """

    size: float
    p_exhausted: float
    uncovered: float
    capital_cost: float
    total_cost: float


def fund_curve(
    losses: ArrayLike,
    sizes: ArrayLike,
    capital_cost: float,
    penalty: float,
    weights: ArrayLike | None = None,
) -> list[FundPoint]:
    """P(D > K), E(D - K)+ and cost over fund sizes K; exhausted means something stays uncovered."""
    values = as_sample(losses, "losses")
    mass = as_weights(weights, values.size)
    order = np.argsort(values)
    ordered, mass = values[order], mass[order]
    tail_mass = np.concatenate([np.cumsum(mass[::-1])[::-1], [0.0]])
    tail_loss = np.concatenate([np.cumsum((mass * ordered)[::-1])[::-1], [0.0]])
    points = []
    for size in as_sample(sizes, "sizes"):
        index = int(np.searchsorted(ordered, size, side="right"))
        exhausted = float(tail_mass[index])
        uncovered = max(float(tail_loss[index]) - float(size) * exhausted, 0.0)
        cost = capital_cost * float(size)
        points.append(
            FundPoint(float(size), exhausted, uncovered, cost, cost + penalty * uncovered)
        )
    return points


@dataclass(frozen=True, slots=True)
class VendorMetrics:
    """Figures other risk providers print, to stand beside CVaR.

    var95 and evar99: 95th and 99th percentile of daily bad debt; lar95: 95th percentile of daily
    liquidated notional.
    """

    var95: float
    evar99: float
    lar95: float


def vendor_metrics(daily_bad_debt: ArrayLike, daily_liquidations: ArrayLike) -> VendorMetrics:
    """VaR, EVaR and LaR in the vendors' sense (quantiles; their EVaR is not the entropic one)."""
    return VendorMetrics(
        value_at_risk(daily_bad_debt, 0.95),
        value_at_risk(daily_bad_debt, 0.99),
        value_at_risk(daily_liquidations, 0.95),
    )
