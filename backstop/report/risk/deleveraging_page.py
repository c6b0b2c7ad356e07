"""The report of `adl-study`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from backstop.report.risk import charts
from backstop.report.risk.charts import percent, short
from backstop.report.risk.deleveraging import CAP, AdlStudy
from backstop.report.risk.outputs import table_csv
from backstop.report.risk.page import Counter, Page, Section, table, titled
from backstop.report.risk.sections import money, not_modelled, provenance, rules_shown

NO_WAVES = (
    "The published waves were not given: --waves policy_per_wave_metrics.csv (pluriholonomic/"
    "autodeleveraging-analysis, MIT) adds their table."
)
LIMITS = (
    "Winners are taken where they stand in the crisis's worst minute; what deleveraging does to the"
    " minutes after it is not played on.",
    "Profit is the sum over an account's markets; the contracts charge each market's side by size"
    " at its own price.",
)


def report(study: AdlStudy) -> tuple[Page, dict[str, Any], dict[str, str]]:
    """Page, summary and CSV files."""
    shown = {
        **rules_shown(study.platform, study.prices),
        "paths": f"{study.paths:,} of {study.asked:,}, seed {study.seed}",
        "crises": f"{len(study.crises)} of {study.found} with something unpaid",
    }
    record, last = provenance(study.inputs, shown, study.results_hash)
    origin = study.platform.origin
    page = Page(
        title="Who pays when the fund does not suffice",
        lead=f"{str(origin['kind']).capitalize()} {origin.get('name', '')}: deleveraging policies"
        f" on the {len(study.crises)} worst of {study.paths:,} simulated periods, amounts in"
        f" {study.platform.symbol}.",
        counters=_counters(study),
        sections=[
            *_policies(study),
            *_waves(study),
            *_crises(study),
            not_modelled([*study.prices.notes, *study.platform.notes], LIMITS),
            last,
        ],
        alerts=_alerts(study),
    )
    files = {
        "policies.csv": table_csv(*_rows(study)),
        "crises.csv": _crises_csv(study),
        "outcomes.csv": _outcomes_csv(study),
    }
    return page, _summary(study, record), files


def _alerts(study: AdlStudy) -> list[str]:
    alerts = []
    if study.partial:
        alerts.append(f"Partial: stopped after {study.paths:,} of {study.asked:,} paths.")
    if not study.crises:
        alerts.append(
            "No simulated period left the fund with something unpaid: nothing to compare. Use more"
            " --paths, or a scenario with a smaller fund."
        )
    return alerts


def _counters(study: AdlStudy) -> list[Counter]:
    counters = [Counter("Crises", f"{study.found:,}", f"of {study.paths:,} periods")]
    if study.paths:
        counters.append(Counter("P(ADL)", percent(study.found / study.paths), "a period"))
    if study.crises:
        needed = sum(c.needed for c in study.crises)
        counters.append(Counter("Needed", money(needed, study.platform.symbol), "all crises shown"))
        short_ones = sum(not c.feasible for c in study.crises)
        counters.append(Counter("Not curable", f"{short_ones}", "profits below what is needed"))
    if study.waves:
        production = study.waves.totals["production"]
        counters.append(Counter("10 October 2025", f"{production.net_overshoot / 1e6:.6f} M",
                                "overshoot of production", "bad"))  # fmt: skip
    return counters


def _policies(study: AdlStudy) -> list[Section]:
    if not study.outcomes:
        return []
    rows = [
        (r.policy, short(r.needed), short(r.taken), short(r.overshoot), short(r.residual),
         percent(r.worst_haircut), percent(r.top_survival), f"{r.gini:.3f}",
         short(r.fairness_regret), f"{r.ptsr:.3g}")
        for r in study.rows
    ]  # fmt: skip
    head = ("policy", "needed", "taken", "overshoot", "residual", "worst haircut",
            "top winner left", "Gini", "fairness regret", "PTSR")  # fmt: skip
    parts = [
        titled("Worst haircut", charts.bars(
            "worst haircut", [(r.policy, r.worst_haircut) for r in study.rows], percent)),
        titled("Top winner's survival", charts.bars(
            "survival", [(r.policy, r.top_survival) for r in study.rows], percent)),
        titled("Overshoot", charts.bars(
            "overshoot", [(r.policy, r.overshoot) for r in study.rows])),
        titled("Unfairness (Gini of haircuts)", charts.bars(
            "gini", [(r.policy, r.gini) for r in study.rows], lambda x: f"{x:.3f}")),
    ]  # fmt: skip
    text = (
        "The same winners, the same need, a different rule. Top winner left: the largest profit"
        " after over the largest before, mean of the crises. Gini 0: everybody gives the same"
        f" share. PTSR: largest survivor over what is needed. The capped rule takes at most"
        f" {percent(CAP)} of a profit and may leave a residual; whole positions are how exchanges"
        " run the queue."
    )
    return [Section("Policies", text, [table(head, rows)]), Section("Side by side", "", parts)]


def _waves(study: AdlStudy) -> list[Section]:
    if study.waves is None:
        return [Section("10 October 2025", NO_WAVES)]
    rows = [
        (t.policy, f"{t.needed / 1e6:.6f}", f"{t.taken / 1e6:.6f}", f"{t.net_overshoot / 1e6:.6f}",
         f"{t.over / 1e6:.2f}", f"{t.under / 1e6:.2f}")
        for t in study.waves.totals.values()
    ]  # fmt: skip
    head = ("million USD", "needed", "taken", "net overshoot", "too much", "too little")
    found = study.waves.deficits
    text = (
        f"{study.waves.count} published waves. The overshoot is net: waves that took too little"
        " are subtracted. The widely quoted deficit adds one account as often as it was seen:"
        f" {found.naive_total / 1e6:.2f} M, of which {found.repeated_rows} repeats are"
        f" {found.double_counted / 1e6:.2f} M; counted once per account and event at most"
        f" {found.total / 1e6:.2f} M remain."
    )
    return [Section("10 October 2025", text, [table(head, rows)])]


def _crises(study: AdlStudy) -> list[Section]:
    if not study.crises:
        return []
    rows = [
        (f"path {c.path_id}", f"{c.minute // 60}:{c.minute % 60:02d}", short(c.deficit),
         short(c.drawn), short(c.needed), f"{c.profits.size}", short(float(c.profits.sum())),
         short(float(c.profits.max())))
        for c in study.crises[:20]
    ]  # fmt: skip
    head = ("crisis", "worst minute", "bad debt", "paid by the fund", "needed", "winners",
            "their profit", "largest")  # fmt: skip
    shares = [c.needed / float(c.profits.sum()) for c in study.crises]
    counts, edges = np.histogram(np.minimum(shares, 1.0), 20, (0.0, 1.0))
    chart = charts.histogram(
        "share of profit needed", list(edges), [float(x) for x in counts],
        x_label="needed over all winners' profit (1: or more)", y_label="crises",
        x_format=percent)  # fmt: skip
    return [
        Section("Crises", "The worst first.", [table(head, rows), chart], stacked=True),
    ]


def _rows(study: AdlStudy) -> tuple[list[str], list[list[Any]]]:
    rows = [list(asdict(r).values()) for r in study.rows]
    names = list(asdict(study.rows[0])) if study.rows else ["policy"]
    return names, rows


def _crises_csv(study: AdlStudy) -> str:
    header = ["path_id", "minute", "deficit", "drawn", "needed", "winners", "profit", "largest"]
    return table_csv(
        header,
        [
            [c.path_id, c.minute, c.deficit, c.drawn, c.needed, c.profits.size,
             float(c.profits.sum()), float(c.profits.max())]
            for c in study.crises
        ],
    )  # fmt: skip


def _outcomes_csv(study: AdlStudy) -> str:
    rows, names = [], ["needed"]
    for crisis, outcomes in zip(study.crises, study.outcomes, strict=True):
        for policy, outcome in outcomes.items():
            values = asdict(outcome)
            names = list(values)
            rows.append([crisis.path_id, policy, *values.values()])
    return table_csv(["path_id", "policy", *names], rows)


def _summary(study: AdlStudy, record: dict[str, Any]) -> dict[str, Any]:
    waves = study.waves
    return {
        "study": "adl-study",
        "partial": study.partial,
        "platform": dict(study.platform.origin),
        "prices": dict(study.prices.facts),
        "paths": {"done": study.paths, "asked": study.asked},
        "crises": {"found": study.found, "compared": len(study.crises)},
        "policies": [asdict(r) for r in study.rows],
        "waves": None
        if waves is None
        else {
            "count": waves.count,
            "totals": {name: asdict(t) for name, t in waves.totals.items()},
            "deficit_naive": waves.deficits.naive_total,
            "deficit_once": waves.deficits.total,
        },
        "inputs": study.inputs,
        **record,
        "notes": [*study.prices.notes, *study.platform.notes],
    }
