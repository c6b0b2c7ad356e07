"""What a deleveraging policy did: needed and taken, overshoot, fairness, survival, deficits.

Two definitions matter more than any formula:
- **needed** exists twice, as estimated before execution and as known after it; both are kept.
- a **deficit** is counted once per (account, event), at its final value. Summing snapshots counts
  one account as often as it is looked at: 100.06 M instead of at most 12.66 M on 10 October 2025.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .arrays import ArrayLike, FloatArray, as_sample, check_positive
from .errors import BadInput

# --------------------------------------------------------------------------------------------
# one deleveraging


@dataclass(frozen=True, slots=True)
class AdlOutcome:
    """Result of one policy on one event; money in the unit of the endowments.

    overshoot = (taken - needed)+, residual = (needed - taken)+. top_survival: largest endowment
    left over the largest before; same_account_survival: the one that was largest before.
    gini: of the haircut fractions among accounts with endowment, each counted with its endowment,
    so that splitting an account changes nothing. fairness_regret = |max haircut - reference| *
    needed, with the smallest feasible largest haircut as reference (needed/sum w if uncapped).
    """

    needed: float
    taken: float
    overshoot: float
    residual: float
    max_haircut: float
    top_survival: float
    same_account_survival: float
    gini: float
    fairness_regret: float


def evaluate(
    endowments: ArrayLike, haircuts: ArrayLike, needed: float, reference: float | None = None
) -> AdlOutcome:
    """Metrics of haircut fractions (n,) against the `needed` money."""
    w, h = as_sample(endowments, "endowments"), as_sample(haircuts, "haircuts")
    if w.size != h.size or (h < -1e-12).any() or (h > 1 + 1e-12).any():
        raise BadInput("haircuts must be fractions, one per account.", "pass h in [0, 1].")
    total = check_positive(float(w.sum()), "sum of endowments")
    taken, left, top = float(w @ h), w * (1.0 - h), int(np.argmax(w))
    largest = float(h[w > 0].max())
    fair = min(needed / total, 1.0) if reference is None else reference
    return AdlOutcome(
        needed=needed,
        taken=taken,
        overshoot=max(taken - needed, 0.0),
        residual=max(needed - taken, 0.0),
        max_haircut=largest,
        top_survival=float(left.max() / w.max()),
        same_account_survival=float(left[top] / w[top]),
        gini=gini(h, w),
        fairness_regret=abs(largest - fair) * needed,
    )


def compare(
    endowments: ArrayLike,
    needed: float,
    policies: Mapping[str, Callable[[FloatArray, float], ArrayLike]],
) -> dict[str, AdlOutcome]:
    """Outcome of each policy on the same event; the budget is what is needed and there.

    policies: name -> function (endowments, budget) returning haircut fractions.
    """
    w = as_sample(endowments, "endowments")
    budget = min(needed, float(w.sum()))
    return {name: evaluate(w, policy(w, budget), needed) for name, policy in policies.items()}


@dataclass(frozen=True, slots=True)
class StudyRow:
    """A policy over several events.

    Money is summed; worst_haircut is the largest of all; the others are means over the events
    (fairness_regret is a sum, as published). ptsr: mean of largest survivor / deficit needed.
    """

    policy: str
    needed: float
    taken: float
    overshoot: float
    residual: float
    worst_haircut: float
    top_survival: float
    gini: float
    fairness_regret: float
    ptsr: float


def study(
    events: Sequence[tuple[ArrayLike, float]],
    policies: Mapping[str, Callable[[FloatArray, float], ArrayLike]],
) -> list[StudyRow]:
    """Every policy on the same events (endowments, needed), each event on its own."""
    if not events:
        raise BadInput("no event to study.", "pass at least one (endowments, needed).")
    outcomes = [compare(w, needed, policies) for w, needed in events]
    return study_rows(outcomes, [float(np.max(as_sample(w, "endowments"))) for w, _ in events])


def study_rows(
    outcomes: Sequence[Mapping[str, AdlOutcome]], tops: Sequence[float]
) -> list[StudyRow]:
    """Rows of a study from each event's outcomes by policy; tops: the largest endowment of each."""
    if not outcomes:
        raise BadInput("no event to study.", "pass the outcomes of at least one.")
    rows = []
    for name in outcomes[0]:
        mine = [outcome[name] for outcome in outcomes]
        survivors = [o.top_survival * top for o, top in zip(mine, tops, strict=True)]
        rows.append(
            StudyRow(
                policy=name,
                needed=sum(o.needed for o in mine),
                taken=sum(o.taken for o in mine),
                overshoot=sum(o.overshoot for o in mine),
                residual=sum(o.residual for o in mine),
                worst_haircut=max(o.max_haircut for o in mine),
                top_survival=float(np.mean([o.top_survival for o in mine])),
                gini=float(np.mean([o.gini for o in mine])),
                fairness_regret=sum(o.fairness_regret for o in mine),
                ptsr=survival_ratio(survivors, [o.needed for o in mine]),
            )
        )
    return rows


def gini(values: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Gini coefficient of non-negative `values` over a population with `weights`; 0 if all are 0.

    = 1 - 2 * area under the Lorenz curve.
    """
    x = as_sample(values, "values")
    mass = np.ones(x.size) if weights is None else as_sample(weights, "weights")
    order = np.argsort(x)
    x, mass = x[order], mass[order]
    income = x * mass
    if not income.sum() > 0:
        return 0.0
    population = mass / mass.sum()
    lorenz = np.cumsum(income) / income.sum()
    before = np.concatenate([[0.0], lorenz[:-1]])
    return float(1.0 - population @ (lorenz + before))


def survival_ratio(top_survivors: ArrayLike, losses: ArrayLike) -> float:
    """Mean over events of (largest endowment left)/(loss); events without loss are left out.

    With total deficits D it is the paper's PTSR, with the largest single deficit its PMR.
    """
    survivors, loss = as_sample(top_survivors, "top_survivors"), as_sample(losses, "losses")
    if not (loss > 0).any():
        raise BadInput("no event has a loss.", "the ratio is undefined; report 'no deficit'.")
    return float((survivors[loss > 0] / loss[loss > 0]).mean())


def under_coverage(needed: ArrayLike, taken: ArrayLike) -> float:
    """V_T = sum over events of (needed - taken)+."""
    return float(np.maximum(as_sample(needed, "needed") - as_sample(taken, "taken"), 0.0).sum())


@dataclass(frozen=True, slots=True)
class ExecutionWedge:
    """Needed and haircut of one bankrupt close, before and after execution."""

    needed: float
    haircut: float
    under_coverage: float


def execution_wedge(
    quantity: float, bankruptcy: float, estimate: float, execution: float
) -> ExecutionWedge:
    """A long closed at `execution` although the haircut was set from `estimate`.

    needed = q (bankruptcy - execution)+, haircut = q (bankruptcy - estimate)+, V = (needed - H)+.
    """
    needed = quantity * max(bankruptcy - execution, 0.0)
    haircut = quantity * max(bankruptcy - estimate, 0.0)
    return ExecutionWedge(needed, haircut, max(needed - haircut, 0.0))


@dataclass(frozen=True, slots=True)
class Markout:
    """Cost of being deleveraged at P: immediate, opportunity after the markout time, and total."""

    immediate: float
    opportunity: float
    total: float


def markout(quantity: float, price: float, mark: float, mark_later: float) -> Markout:
    """C_imm = Q (M_0 - P), C_opp = Q (M_later - M_0); Q signed as the deleveraged position."""
    immediate, later = quantity * (mark - price), quantity * (mark_later - mark)
    return Markout(immediate, later, immediate + later)


# --------------------------------------------------------------------------------------------
# a table of waves


@dataclass(frozen=True, slots=True)
class WaveTotals:
    """A policy over all waves. net_overshoot = taken - needed; over and under split it by wave."""

    policy: str
    needed: float
    taken: float
    net_overshoot: float
    over: float
    under: float


def wave_totals(
    needed: ArrayLike, taken_by_policy: Mapping[str, ArrayLike]
) -> dict[str, WaveTotals]:
    """Needed against taken budgets per wave, shape (waves,), for each policy.

    The published overshoot is the *net* sum: waves that took too little offset waves that took too
    much. `over` and `under` show both sides; their difference is the net figure.
    """
    base = as_sample(needed, "needed")
    totals = {}
    for policy, budgets in taken_by_policy.items():
        taken = as_sample(budgets, f"budgets of {policy}")
        if taken.size != base.size:
            raise BadInput(f"{policy} has {taken.size} waves of {base.size}.", "pass one each.")
        gap = taken - base
        totals[policy] = WaveTotals(
            policy,
            float(base.sum()),
            float(taken.sum()),
            float(gap.sum()),
            float(np.maximum(gap, 0.0).sum()),
            float(np.maximum(-gap, 0.0).sum()),
        )
    return totals


# --------------------------------------------------------------------------------------------
# deficits, once


@dataclass(frozen=True, slots=True)
class DeficitRow:
    """One observation: account, event, time and deficit (>= 0) at that time."""

    account: str
    event: str
    time: float
    deficit: float


@dataclass(frozen=True, slots=True)
class DeficitReport:
    """Deficit per (account, event), its total, and what naive summing would have said."""

    by_account_event: Mapping[tuple[str, str], float]
    total: float
    naive_total: float
    repeated_rows: int

    @property
    def double_counted(self) -> float:
        """naive_total - total."""
        return self.naive_total - self.total


def deficits_by_account(rows: Iterable[DeficitRow]) -> DeficitReport:
    """Count each (account, event) once, at its final value: the row with the latest time.

    Rows of equal time for the same key must agree, else BadInput.
    """
    final: dict[tuple[str, str], DeficitRow] = {}
    naive, count = 0.0, 0
    for row in rows:
        if row.deficit < 0:
            raise BadInput(f"{row.account}/{row.event}: deficit {row.deficit} < 0.", "use (-e)+.")
        naive, count = naive + row.deficit, count + 1
        known = final.get((row.account, row.event))
        if known is not None and known.time == row.time and known.deficit != row.deficit:
            raise BadInput(
                f"{row.account}/{row.event} has two deficits at time {row.time}.",
                "keep the later block or log index.",
            )
        if known is None or row.time >= known.time:
            final[row.account, row.event] = row
    by_key = {key: row.deficit for key, row in final.items()}
    return DeficitReport(by_key, float(sum(by_key.values())), naive, count - len(by_key))


def waves_without_repeats(
    deficits: Sequence[float], largest_losses: Sequence[float]
) -> DeficitReport:
    """Upper bound for waves published only as (total, largest loss): a largest loss that recurs
    with identical digits is one account seen again and counts once.
    """
    rest = [
        DeficitRow(f"wave {i} without its largest", "event", 0.0, total - largest)
        for i, (total, largest) in enumerate(zip(deficits, largest_losses, strict=True))
    ]
    # equal to the last digit = the same account: key it by the value
    top = [
        DeficitRow(f"largest {largest!r}", "event", float(i), largest)
        for i, largest in enumerate(largest_losses)
    ]
    return deficits_by_account([*rest, *top])
