"""`size-fund`: how large must the fund be for this platform.

Two kinds of runs. The sizing run has an unlimited fund: its bad debt is what a fund has to pay. The
losing paths of it run again with the fund as it is: who is deleveraged, what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from backstop.report.risk.platform import Platform
from backstop.report.risk.prices import Prices
from backstop.report.risk.shocks import TOGETHER, Rung, Shocks, StressCover
from backstop.risk.backtest import TestResult
from backstop.risk.cvar import MIN_TAIL_POINTS, Interval, cvar_interval, tail_risk
from backstop.risk.errors import RiskError, TooFewTailPoints
from backstop.risk.forecast import Backtest, backtest_filter
from backstop.risk.sizing import (
    FundPoint,
    Required,
    VendorMetrics,
    euler_contributions,
    fund_curve,
    required,
    vendor_metrics,
)
from backstop.risk.tails import fit_tail
from backstop.simulation._source import fingerprint
from backstop.simulation.backends import BackendName
from backstop.simulation.engines import make_engine
from backstop.simulation.model import FloatArray, IntArray, PathResult
from backstop.simulation.montecarlo import MonteCarloResult, Progress, run_monte_carlo

MINUTES_PER_YEAR = 365.0 * 24.0 * 60.0
ROUGH_LEVEL = 0.99


@dataclass(frozen=True)
class SizeSettings:
    """What the user chooses; amounts in whole tokens, rates a year.

    penalty: what a token of uncovered loss costs; shock: of the stress set; tail: where the
    expected shortfall comes from; confidence: of the interval whose upper end counts.
    """

    paths: int = 20_000
    minutes: int = 1440
    seed: int = 0
    level: float = 0.999
    confidence: float = 0.90
    tail: Literal["empirical", "gpd"] = "empirical"
    cost_of_capital: float = 0.15
    penalty: float = 1.0
    floor: float = 0.0
    add_on: float = 0.0
    shock: float = 0.20

    @property
    def capital_cost(self) -> float:
        """Cost of a token of capital over one horizon."""
        return self.cost_of_capital * self.minutes / MINUTES_PER_YEAR

    def check(self) -> None:
        """Raise TooFewTailPoints before any work if the paths cannot carry the level."""
        points = self.paths * (1.0 - self.level)
        if points < MIN_TAIL_POINTS - 1e-9:
            need = int(np.ceil(MIN_TAIL_POINTS / (1.0 - self.level) - 1e-6))
            raise TooFewTailPoints(
                f"{self.paths:,} paths leave {points:.1f} beyond level {self.level}, "
                f"{MIN_TAIL_POINTS} are needed.",
                f"use --paths {need} or more, or a lower --level.",
            )


@dataclass(frozen=True)
class Present:
    """The losing paths with the fund as it is: amounts by path (K,), of all `paths` simulated."""

    ids: IntArray
    deficit: FloatArray
    drawn: FloatArray
    adl: FloatArray
    residual: FloatArray
    paths: int

    @property
    def p_exhausted(self) -> float:
        """Share of all paths on which the fund left something unpaid."""
        return float((self.adl + self.residual > 0).sum()) / self.paths

    @property
    def p_adl(self) -> float:
        """Share of all paths on which the opposite side was charged."""
        return float((self.adl > 0).sum()) / self.paths

    @property
    def p_residual(self) -> float:
        """Share of all paths on which something was borne by nobody."""
        return float((self.residual > 0).sum()) / self.paths

    @property
    def coverage(self) -> float | None:
        """Paid by the fund over bad debt, sums over all paths; None without bad debt."""
        total = float(self.deficit.sum())
        return float(self.drawn.sum()) / total if total > 0 else None


@dataclass(frozen=True)
class Drilldown:
    """The worst path again, minute by minute: prices (T, M), liquidated notional (T,), events."""

    path_id: int
    result: PathResult
    liquidated: FloatArray


@dataclass
class SizeStudy:
    """Everything the report shows; `partial` says that the run was stopped."""

    platform: Platform
    prices: Prices
    settings: SizeSettings
    runs: MonteCarloResult
    stress: StressCover
    ladder: dict[str, list[Rung]]
    required: Required | None = None
    refusal: str = ""
    rough: Interval | None = None
    vendor: VendorMetrics | None = None
    curve: list[FundPoint] = field(default_factory=list)
    contributions: dict[str, float] = field(default_factory=dict)
    present: Present | None = None
    worst: Drilldown | None = None
    backtests: dict[str, list[Backtest]] = field(default_factory=dict)
    partial: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def inputs(self) -> dict[str, Any]:
        """What decides the result; its hash is the data hash."""
        return {
            "book": self.platform.book.sha256(),
            "rules": self.platform.params.sha256(),
            "prices": fingerprint(self.prices.source),
            "settings": asdict(self.settings),
            "paths done": len(self.runs),
        }


Report = Callable[[str], None]


def study_size(
    platform: Platform,
    prices: Prices,
    settings: SizeSettings,
    *,
    backend: BackendName = "process",
    workers: int | None = None,
    address: str | None = None,
    progress: Callable[[Progress], None] | None = None,
    phase: Report = lambda text: None,
) -> SizeStudy:
    """Run the study; a KeyboardInterrupt during the paths ends it with what is there."""
    settings.check()
    phase("stress scenarios")
    shocks = Shocks(platform)
    stress, ladder = shocks.cover_two(_stress_set(shocks, settings.shock)), shocks.ladder()
    phase("paths")
    runs = run_monte_carlo(
        platform.book,
        platform.unlimited,
        prices.source,
        settings.paths,
        seed=settings.seed,
        backend=backend,
        workers=workers,
        address=address,
        progress=progress,
        level=settings.level,
    )
    study = SizeStudy(platform, prices, settings, runs, stress, ladder, partial=not runs.complete)
    if len(runs):
        phase("sizing")
        _size(study)
        if not study.partial:
            _interruptible_rest(study, phase)
    else:
        study.refusal = "stopped before the first path was done"
    return study


def _interruptible_rest(study: SizeStudy, phase: Report) -> None:
    """The fund as it is, the worst path, the backtest: each is left out if stopped."""
    try:
        phase("losing paths with the fund as it is")
        study.present = _present(study)
        study.worst = _worst(study)
        phase("backtest")
        _backtests(study)
    except KeyboardInterrupt:
        study.partial = True


def _stress_set(shocks: Shocks, size: float) -> list[FloatArray]:
    names = shocks.platform.book.markets
    which = [*names, *([TOGETHER] if len(names) > 1 else [])]
    moves = [sign * size * shocks.direction(name) for name in which for sign in (-1.0, 1.0)]
    if shocks.platform.scenario is not None:
        moves.append(np.array(shocks.replay(shocks.platform.scenario).moves))
    return moves


def _size(study: SizeStudy) -> None:
    """Tail, target, curve and contributions from the paths that are done."""
    runs, settings = study.runs, study.settings
    losses = runs.deficit
    study.vendor = vendor_metrics(losses, runs.column("liquidated_notional").sum(axis=1))
    if len(losses) * (1.0 - ROUGH_LEVEL) >= MIN_TAIL_POINTS:
        study.rough = cvar_interval(losses, ROUGH_LEVEL)
    by_market = euler_contributions(runs.column("deficit"), settings.level)
    study.contributions = dict(zip(runs.markets, map(float, by_market), strict=True))
    try:
        study.required = _required(study, losses)
    except RiskError as error:
        if not study.partial:
            raise
        study.refusal = str(error)
    top = max(float(losses.max()), study.platform.layers.total, _target(study)) * 1.05
    sizes = np.linspace(0.0, top or 1.0, 121)
    study.curve = fund_curve(losses, sizes, settings.capital_cost, settings.penalty)


def _target(study: SizeStudy) -> float:
    return study.required.target if study.required else 0.0


def _required(study: SizeStudy, losses: FloatArray) -> Required:
    settings = study.settings
    interval = None
    if settings.tail == "gpd":
        interval = gpd_interval(losses, settings.level, settings.confidence)
        study.notes.append(interval.note)
    return required(
        losses,
        [[study.stress.cover2, 0.0]],
        cascade_mult=study.stress.multiplier,
        capital_cost=settings.capital_cost,
        penalty=settings.penalty,
        floor=settings.floor,
        model_add_on=settings.add_on,
        level=settings.level,
        confidence=settings.confidence,
        interval=interval,
        by_market=study.contributions,
        usable_capital=study.platform.layers.total,
    )


def gpd_interval(losses: FloatArray, level: float, confidence: float) -> Interval:
    """Profile-likelihood interval of the expected shortfall, tail fitted to the largest losses.

    The threshold leaves at least 100 losses beyond it, or all positive ones.
    """
    positive = losses[losses > 0]
    share = max(100.0 / losses.size, 5.0 * (1.0 - level))
    threshold = float(np.quantile(losses, 1.0 - min(share, 0.5)))
    tail = fit_tail(losses, max(threshold, 0.0) if positive.size else 0.0)
    band = tail.expected_shortfall_band(level, confidence)
    points = losses.size * (1.0 - level)
    return Interval(
        band.estimate, band.lower, band.upper, confidence, "generalised Pareto tail", points, None
    )


def _present(study: SizeStudy) -> Present:
    """Run the paths with bad debt again, with the fund as it is: on all others nobody asks it."""
    platform, runs = study.platform, study.runs
    engine = make_engine(platform.book, platform.params)
    losing = np.flatnonzero(runs.deficit > 0)
    rows = []
    for position in losing:
        path = study.prices.source.path(study.settings.seed, int(runs.ids[position]))
        result = engine.run(path)
        rows.append((result.deficit, float(result.drawn.sum()), result.adl, result.residual))
    deficit, drawn, adl, residual = np.array(rows, dtype=np.float64).reshape(len(rows), 4).T
    return Present(runs.ids[losing], deficit, drawn, adl, residual, len(runs))


def _worst(study: SizeStudy) -> Drilldown | None:
    """The path with the largest bad debt, with its events."""
    losses = study.runs.deficit
    if losses.max() <= 0:
        return None
    path_id = int(study.runs.ids[int(np.argmax(losses))])
    book = study.platform.book
    engine = make_engine(book, study.platform.unlimited)
    path = study.prices.source.path(study.settings.seed, path_id)
    result = engine.run(path, events=True)
    return Drilldown(path_id, result, liquidated_by_minute(book.size, result, len(path)))


def liquidated_by_minute(size: FloatArray, result: PathResult, minutes: int) -> FloatArray:
    """Notional that liquidations closed in every minute (T,), at the prices with feedback."""
    if result.events is None or result.prices is None:
        raise ValueError("run the path with events=True")
    left = np.ones(len(size))
    out = np.zeros(minutes)
    for account, minute, fraction in zip(
        result.events.account, result.events.minute, result.events.fraction, strict=True
    ):
        notional = float((np.abs(size[account]) * result.prices[minute]).sum())
        out[minute] += left[account] * fraction * notional
        left[account] *= 1.0 - fraction
    return out


def _backtests(study: SizeStudy) -> None:
    """Both sides of every market with a history; a history that is too short is a note."""
    for name, bars in zip(study.platform.book.markets, study.prices.bars, strict=False):
        try:
            both = [backtest_filter(bars.log_returns(), side) for side in ("long", "short")]
        except RiskError as error:
            study.notes.append(f"No backtest of {name}: {error.reason}")
        else:
            study.backtests[name] = both


def verdict(test: TestResult) -> str:
    """A test in words."""
    return "refused at 5 %" if test.rejects() else "not refused"


def tail_line(losses: Sequence[float] | FloatArray, level: float) -> tuple[float, float]:
    """VaR and CVaR at a level."""
    found = tail_risk(losses, level)
    return found.var, found.cvar
