"""`adl-study`: deleveraging policies side by side, on simulated crises and on published waves.

A crisis is a simulated path on which the fund, as it is, leaves something unpaid. The winners are
the accounts still open in its worst minute, with their unrealised profit there; needed is what the
fund left. Every policy then raises that from the same winners.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from backstop.report.risk.platform import Platform
from backstop.report.risk.prices import Prices
from backstop.report.risk.sizefund import liquidated_by_minute
from backstop.report.risk.waves import Waves
from backstop.risk.adl import (
    capped_pro_rata,
    leverage_weighted,
    mirror_descent,
    power_weight,
    pro_rata,
    queue,
    queue_order,
)
from backstop.risk.adl_metrics import AdlOutcome, StudyRow, compare, study_rows
from backstop.simulation._source import fingerprint
from backstop.simulation.backends import BackendName
from backstop.simulation.engines import make_engine
from backstop.simulation.model import FloatArray, PathResult
from backstop.simulation.montecarlo import Progress, run_monte_carlo

#: The capped rule takes at most this share of a profit.
CAP = 0.5
#: Step of the mirror descent: from pro rata towards the leverage weights, as a share of pro rata.
STEP = 0.5

Haircut = Callable[[FloatArray, float], FloatArray]


@dataclass(frozen=True)
class Crisis:
    """One path: needed after the fund, and the winners' profit, notional and equity (K,) each."""

    path_id: int
    minute: int
    deficit: float
    drawn: float
    needed: float
    profits: FloatArray
    notionals: FloatArray
    equities: FloatArray

    @property
    def feasible(self) -> bool:
        """Whether all profits together pay what is needed."""
        return bool(self.profits.sum() >= self.needed)


@dataclass
class AdlStudy:
    """Crises, outcomes by policy for each of them, and the published waves if given."""

    platform: Platform
    prices: Prices
    paths: int
    asked: int
    seed: int
    found: int = 0
    crises: list[Crisis] = field(default_factory=list)
    outcomes: list[dict[str, AdlOutcome]] = field(default_factory=list)
    results_hash: str = ""
    waves: Waves | None = None
    partial: bool = False

    @property
    def rows(self) -> list[StudyRow]:
        """One row a policy; empty without a crisis."""
        if not self.outcomes:
            return []
        return study_rows(self.outcomes, [float(c.profits.max()) for c in self.crises])

    @property
    def inputs(self) -> dict[str, object]:
        """What decides the result."""
        return {
            "book": self.platform.book.sha256(),
            "rules": self.platform.params.sha256(),
            "prices": fingerprint(self.prices.source),
            "paths done": self.paths,
            "crises": [c.path_id for c in self.crises],
            "seed": self.seed,
            "waves": None
            if self.waves is None
            else {name: t.taken for name, t in self.waves.totals.items()},
        }


def policies(crisis: Crisis) -> dict[str, Haircut]:
    """The rules compared, for one crisis."""
    order = queue_order(crisis.profits, crisis.notionals, crisis.equities)
    leverage = crisis.notionals / crisis.equities
    caps = np.full(crisis.profits.size, CAP)

    def capped(w: FloatArray, budget: float) -> FloatArray:
        return capped_pro_rata(w, min(budget, CAP * float(w.sum())), caps)

    def weighted(w: FloatArray, budget: float) -> FloatArray:
        return leverage_weighted(w, budget, power_weight(leverage))

    def mirror(w: FloatArray, budget: float) -> FloatArray:
        start = pro_rata(w, budget)
        weight = power_weight(leverage)
        scale = weight / weight.max()
        return mirror_descent(start, float(scale @ w) / float(w.sum()) - scale,
                              STEP * float(start.max()), w, budget)  # fmt: skip

    return {
        "queue, whole positions": lambda w, budget: whole_queue(w, budget, order),
        "queue": lambda w, budget: queue(w, budget, order),
        "pro rata": pro_rata,
        f"capped pro rata ({CAP:.0%})": capped,
        "leverage-weighted": weighted,
        "mirror descent": mirror,
    }


def whole_queue(w: FloatArray, budget: float, order: Sequence[int]) -> FloatArray:
    """The queue as exchanges run it: whole positions, so the last one takes too much."""
    haircuts, left = np.zeros(w.size), budget
    for i in order:
        if left <= 0:
            break
        haircuts[i] = 1.0
        left -= float(w[i])
    return haircuts


def study_adl(
    platform: Platform,
    prices: Prices,
    *,
    paths: int,
    most: int,
    seed: int = 0,
    waves: Waves | None = None,
    backend: BackendName = "process",
    workers: int | None = None,
    address: str | None = None,
    progress: Callable[[Progress], None] | None = None,
    phase: Callable[[str], None] = lambda text: None,
) -> AdlStudy:
    """Simulate, keep the `most` worst crises, and put every policy on each of them."""
    phase("paths with the fund as it is")
    runs = run_monte_carlo(
        platform.book, platform.params, prices.source, paths, seed=seed, backend=backend,
        workers=workers, address=address, progress=progress,
    )  # fmt: skip
    study = AdlStudy(platform, prices, len(runs), paths, seed, waves=waves)
    study.partial = not runs.complete
    study.results_hash = runs.sha256()
    if not len(runs):
        return study
    unpaid = runs.adl + runs.residual
    worst = np.argsort(-unpaid, kind="stable")
    study.found = int((unpaid > 0).sum())
    phase(f"policies on {min(study.found, most)} of {study.found} crises")
    try:
        engine = make_engine(platform.book, platform.params)
        for position in worst[: min(most, study.found)]:
            path_id = int(runs.ids[position])
            path = prices.source.path(seed, path_id)
            crisis = _crisis(platform, path_id, engine.run(path, events=True), len(path))
            if crisis is not None:
                study.crises.append(crisis)
                study.outcomes.append(_outcomes(crisis))
    except KeyboardInterrupt:
        study.partial = True
    return study


def _outcomes(crisis: Crisis) -> dict[str, AdlOutcome]:
    return compare(crisis.profits, crisis.needed, policies(crisis))


def _crisis(platform: Platform, path_id: int, result: PathResult, minutes: int) -> Crisis | None:
    """Winners in the minute with the most liquidated notional; None if nobody has a profit."""
    if result.events is None or result.prices is None:
        raise ValueError("run the path with events=True")
    book = platform.book
    minute = int(np.argmax(liquidated_by_minute(book.size, result, minutes)))
    left = np.ones(book.accounts)
    until = result.events.minute <= minute
    for account, fraction in zip(
        result.events.account[until], result.events.fraction[until], strict=True
    ):
        left[account] *= 1.0 - fraction
    price = result.prices[minute]
    profits = (book.size * price + book.quote).sum(axis=1) * left
    notionals = (np.abs(book.size) * price).sum(axis=1) * left
    equities = book.collateral + profits
    winners = (profits > 0) & (notionals > profits) & (equities > 0)
    if not winners.any():
        return None
    return Crisis(
        path_id, minute, result.deficit, float(result.drawn.sum()), result.adl + result.residual,
        profits[winners], notionals[winners], equities[winners],
    )  # fmt: skip
