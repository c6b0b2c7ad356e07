"""`stress`: what fixed shocks and recorded crashes do, and which one would empty the fund."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from backstop.harness.scenario import Scenario
from backstop.report.risk import charts
from backstop.report.risk.charts import Line, Mark, percent, short
from backstop.report.risk.outputs import table_csv
from backstop.report.risk.page import Counter, Page, Section, table, titled
from backstop.report.risk.platform import Platform
from backstop.report.risk.sections import (
    all_levels,
    ladder_csv,
    ladder_section,
    levels_csv,
    levels_section,
    money,
    not_modelled,
    provenance,
    rules_shown,
    signed,
)
from backstop.report.risk.shocks import LADDER, TOGETHER, Rung, Shocks, jump_of, scaled_impact
from backstop.risk.impact import STRESS_DEPTH_FLOOR
from backstop.risk.sizing import ReverseStress
from backstop.simulation.engines import make_engine

FACTORS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
LARGEST_GROUPS = 5


@dataclass(frozen=True)
class Cascade:
    """One shock with and without the price impact of liquidations, and in a thin book."""

    name: str
    move: float
    with_impact: float
    without_impact: float
    thin_book: float

    @property
    def multiplier(self) -> float:
        """Bad debt with impact over without; infinite if only impact makes it."""
        if self.with_impact <= self.without_impact:
            return 1.0
        return self.with_impact / self.without_impact if self.without_impact else math.inf


@dataclass
class StressStudy:
    """What is done so far; `partial` says that the run was stopped."""

    platform: Platform
    shock: float
    ladder: dict[str, list[Rung]] = field(default_factory=dict)
    replays: list[Rung] = field(default_factory=list)
    cascades: list[Cascade] = field(default_factory=list)
    reverse: dict[str, ReverseStress] = field(default_factory=dict)
    phases: list[tuple[float, float]] = field(default_factory=list)
    groups: list[tuple[str, float]] = field(default_factory=list)
    partial: bool = False

    @property
    def inputs(self) -> dict[str, Any]:
        """What decides the result."""
        return {
            "book": self.platform.book.sha256(),
            "rules": self.platform.params.sha256(),
            "fund": self.platform.layers.total,
            "shock": self.shock,
            "ladder": LADDER,
            "replays": [rung.name for rung in self.replays],
            "partial": self.partial,
        }


def study_stress(
    platform: Platform,
    shock: float,
    scenarios: Sequence[Scenario],
    step: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> StressStudy:
    """Run everything; a KeyboardInterrupt ends the study with what is there."""
    study = StressStudy(platform, shock)
    try:
        shocks = Shocks(platform)
        width = platform.book.width
        which = [*platform.book.markets, *([TOGETHER] if width > 1 else [])]
        total = len(which) * 5 + len(scenarios) + 1
        done = 0
        for name in which:
            study.ladder[name] = [shocks.rung(name, move) for move in LADDER]
            done += 1
            step(done, total, f"ladder of {name}")
        for scenario in scenarios:
            study.replays.append(shocks.replay(scenario))
            done += 1
            step(done, total, f"replay of {scenario.name}")
        for name in which:
            for sign in (-1.0, 1.0):
                study.cascades.append(_cascade(shocks, name, sign * shock))
                label = f"{name} {'down' if sign < 0 else 'up'}"
                study.reverse[label] = shocks.reverse(name, sign, platform.layers.total)
                done += 2
                step(done, total, f"reverse stress, {label}")
        moves = -shock * shocks.direction(which[-1])
        study.phases = shocks.phases(moves / 2.0, FACTORS)
        study.groups = _groups(shocks, moves)
        step(total, total, "done")
    except KeyboardInterrupt:
        study.partial = True
    return study


def _cascade(shocks: Shocks, name: str, move: float) -> Cascade:
    moves = move * shocks.direction(name)
    wet, dry, _ = shocks.multiplier(moves)
    thin = scaled_impact(shocks.platform.unlimited, 1.0 / math.sqrt(STRESS_DEPTH_FLOOR))
    thin_debt = shocks.run(moves, make_engine(shocks.platform.book, thin)).deficit
    return Cascade(name, move, wet, dry, thin_debt)


def _groups(shocks: Shocks, moves: np.ndarray) -> list[tuple[str, float]]:
    """The owners with the largest shortfall at the shocked prices."""
    names = np.unique(np.array(shocks.platform.owners))
    values = shocks.shortfalls(moves)
    order = np.argsort(-values)[:LARGEST_GROUPS]
    return [(str(names[i]), float(values[i])) for i in order if values[i] > 0]


# --- report ---------------------------------------------------------------------------------------


def report(study: StressStudy) -> tuple[Page, dict[str, Any], dict[str, str]]:
    """Page, summary and CSV files."""
    platform = study.platform
    shown = {**rules_shown(platform, None), "shock": percent(study.shock)}
    record, last = provenance(study.inputs, shown)
    levels = all_levels(platform)
    sections = [
        *([ladder_section(study.ladder, platform.symbol)] if study.ladder else []),
        *_replays(study),
        *_reverse(study),
        *_cascades(study),
        levels_section(platform, levels),
        not_modelled(platform.notes),
        last,
    ]
    page = Page(
        title="What would empty the fund",
        lead=f"{str(platform.origin['kind']).capitalize()} {platform.origin.get('name', '')}:"
        f" shocks of {platform.book.accounts:,} accounts in {', '.join(platform.book.markets)},"
        f" amounts in {platform.symbol}.",
        counters=_counters(study),
        sections=sections,
        alerts=["Partial: stopped before the end; what is missing is left out."]
        if study.partial
        else [],
    )
    files = {
        "shocks.csv": ladder_csv(study.ladder, platform.book.markets),
        "replays.csv": ladder_csv({r.name: [r] for r in study.replays}, platform.book.markets),
        "impact.csv": table_csv(["impact_multiple", "share_liquidated"], study.phases),
        "liquidations.csv": levels_csv(platform, levels),
    }
    return page, _summary(study, record), files


def _counters(study: StressStudy) -> list[Counter]:
    total, symbol = study.platform.layers.total, study.platform.symbol
    counters = [Counter("Fund now", money(total, symbol))]
    shocks = [(r.shock, name) for name, r in study.reverse.items() if r.shock is not None]
    if study.reverse:
        if shocks:
            size, name = min(shocks)
            counters.append(Counter("Emptied by", percent(size), name, "bad" if size < 0.1 else ""))
        else:
            counters.append(Counter("Emptied by", "nothing", "within the limits tried", "good"))
    if study.replays:
        worst = max(study.replays, key=lambda rung: rung.total)
        tone = "bad" if worst.total > total else "good"
        counters.append(Counter("Worst replay", money(worst.total), worst.name, tone))
    if study.cascades:
        hardest = max(study.cascades, key=lambda c: c.with_impact)
        counters.append(Counter("Shock", money(hardest.with_impact),
                                f"{hardest.name} {signed(hardest.move)}"))  # fmt: skip
        counters.append(Counter("Cascade", _times(hardest.multiplier), "with over without impact"))
    jump = jump_of(study.phases)
    if study.phases:
        counters.append(Counter("Critical impact", f"{jump:g} ×" if jump else "none",
                                "multiple at which the cascade runs away"))  # fmt: skip
    return counters


def _times(value: float) -> str:
    return "only impact" if math.isinf(value) else f"{value:.3g} ×"


def _replays(study: StressStudy) -> list[Section]:
    if not study.replays:
        return []
    total = study.platform.layers.total
    rows = [
        (r.name, ", ".join(signed(m) for m in r.moves), short(r.total), short(sum(r.liquidated)),
         "covered" if r.total <= total else f"{short(r.total - total)} missing")
        for r in study.replays
    ]  # fmt: skip
    head = ("crash", "largest moves", "bad debt", "liquidated", "fund now")
    text = (
        "Recorded prices, minute by minute, on today's book. A market that a record lacks moves"
        " like the record's first."
    )
    return [Section("Recorded crashes", text, [table(head, rows)])]


def _reverse(study: StressStudy) -> list[Section]:
    if not study.reverse:
        return []
    rows = []
    for name, found in study.reverse.items():
        shock = "none found" if found.shock is None else percent(found.shock)
        lost = "" if found.shock is None else short(found.loss_at_shock)
        rows.append((name, shock, percent(found.covered), lost, found.evaluations))
    head = ("market, direction", "empties the fund", "still covered", "bad debt there", "runs")
    text = (
        f"The smallest move whose bad debt exceeds the fund's"
        f" {money(study.platform.layers.total, study.platform.symbol)}: a scan in twentieths,"
        " then bisection. A spike narrower than a step of the scan can be missed."
    )
    return [Section("Reverse stress", text, [table(head, rows)])]


def _cascades(study: StressStudy) -> list[Section]:
    if not study.cascades:
        return []
    rows = [
        (f"{c.name} {signed(c.move)}", short(c.without_impact), short(c.with_impact),
         _times(c.multiplier), short(c.thin_book))
        for c in study.cascades
    ]  # fmt: skip
    head = ("shock", "without impact", "with impact", "cascade", "in a 5 % book")
    text = (
        "The same shock in a market that no liquidation moves, in the assumed one, and in a book"
        f" of {percent(STRESS_DEPTH_FLOOR)} of its depth."
    )
    return [Section("Cascade", text, [table(head, rows)]), *_runaway(study)]


def _runaway(study: StressStudy) -> list[Section]:
    """Liquidated share over the impact, and who lacks most."""
    if not study.phases:
        return []
    jump = jump_of(study.phases)
    line = Line("liquidated", [f for f, _ in study.phases], [s for _, s in study.phases])
    marks = [Mark(1.0, "assumed", 2), *([Mark(jump, "critical", 3)] if jump else [])]
    chart = charts.lines(
        "phases", [line], x_label="multiple of the assumed impact",
        y_label="share of the side liquidated", y_format=percent, marks=marks)  # fmt: skip
    parts = [titled(f"After a fall of {percent(study.shock / 2)}", chart)]
    if study.groups:
        title = f"Owners with the largest shortfall after {signed(-study.shock)}"
        parts.append(titled(title, charts.bars("groups", study.groups)))
    text = (
        "How much is liquidated as the impact grows: a jump is the point where liquidations cause"
        " each other. Cover-2 adds the two largest owners' shortfalls."
    )
    return [Section("Where the cascade runs away", text, parts)]


def _summary(study: StressStudy, record: dict[str, Any]) -> dict[str, Any]:
    return {
        "study": "stress",
        "partial": study.partial,
        "collateral": {
            "symbol": study.platform.symbol,
            "decimals": study.platform.decimals,
        },
        "platform": dict(study.platform.origin),
        "fund": asdict(study.platform.layers) | {"total": study.platform.layers.total},
        "shock": study.shock,
        "ladder": {name: [asdict(r) for r in rungs] for name, rungs in study.ladder.items()},
        "replays": [asdict(r) for r in study.replays],
        "reverse": {name: asdict(r) for name, r in study.reverse.items()},
        "cascades": [asdict(c) | {"multiplier": c.multiplier} for c in study.cascades],
        "phases": study.phases,
        "critical_impact": jump_of(study.phases),
        "largest_groups": study.groups,
        "inputs": study.inputs,
        **record,
        "notes": list(study.platform.notes),
    }
