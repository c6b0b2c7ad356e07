"""The report of `size-fund`: page, summary and CSV files of a study."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from backstop.report.risk import charts
from backstop.report.risk.charts import Line, Mark, percent, short
from backstop.report.risk.outputs import table_csv
from backstop.report.risk.page import Counter, Page, Section, table, titled
from backstop.report.risk.sections import (
    all_levels,
    contribution_bars,
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
from backstop.report.risk.sizefund import SizeStudy, verdict
from backstop.risk.forecast import Backtest
from backstop.risk.sizing import wad_up

BINDING = {
    "stress": "the stress scenarios (Cover-2 times the cascade)",
    "expected_shortfall": "the expected shortfall's upper end",
    "newsvendor": "the cost of capital (newsvendor quantile)",
    "floor": "the floor",
}


def report(study: SizeStudy) -> tuple[Page, dict[str, Any], dict[str, str]]:
    """Page, summary and CSV files."""
    record, last = provenance(study.inputs, _shown(study), study.runs.sha256())
    levels = all_levels(study.platform)
    sections = [
        *_sizing(study),
        *_losses(study),
        ladder_section(study.ladder, study.platform.symbol),
        levels_section(study.platform, levels),
        *_worst(study),
        *_backtest(study),
        not_modelled([*study.prices.notes, *study.platform.notes, *study.notes]),
        last,
    ]
    origin = study.platform.origin
    page = Page(
        title="How large must the fund be",
        lead=f"{origin['kind'].capitalize()} {origin.get('name', '')}: {len(study.runs):,}"
        f" simulated periods of {_horizon(study)} of {study.platform.book.accounts:,} accounts in"
        f" {', '.join(study.platform.book.markets)}, amounts in {study.platform.symbol}.",
        counters=_counters(study),
        sections=sections,
        alerts=_alerts(study),
    )
    files = {
        "fund_curve.csv": table_csv(
            ["size", "p_exhausted", "uncovered", "capital_cost", "total_cost"],
            [
                [p.size, p.p_exhausted, p.uncovered, p.capital_cost, p.total_cost]
                for p in study.curve
            ],
        ),
        "shocks.csv": ladder_csv(study.ladder, study.platform.book.markets),
        "liquidations.csv": levels_csv(study.platform, levels),
        "paths.csv": _paths_csv(study),
    }
    return page, _summary(study, record), files


def _horizon(study: SizeStudy) -> str:
    minutes = study.settings.minutes
    for size, name in ((1440, "day"), (60, "hour"), (1, "minute")):
        if minutes % size == 0:
            count = minutes // size
            return f"{count} {name}{'s' if count > 1 else ''}"
    return f"{minutes} minutes"


def _alerts(study: SizeStudy) -> list[str]:
    alerts = []
    if study.partial:
        alerts.append(
            f"Partial: stopped after {len(study.runs):,} of {study.settings.paths:,} paths."
            " Do not post this target."
        )
    if study.refusal:
        alerts.append(f"No target: {study.refusal}")
    return alerts


def _counters(study: SizeStudy) -> list[Counter]:
    total, symbol = study.platform.layers.total, study.platform.symbol
    counters = []
    if study.required:
        need = study.required
        ratio = total / need.target if need.target > 0 else None
        counters.append(Counter("Target", money(need.target, symbol), f"set by {need.binding}"))
        tone = "" if ratio is None else "good" if ratio >= 1 else "warn" if ratio >= 0.5 else "bad"
        share = "no target" if ratio is None else f"{percent(ratio)} of the target"
        counters.append(Counter("Fund now", money(total, symbol), share, tone))
        low, high = need.es_interval
        band = f"{need.es_confidence:.0%} interval {short(low)} to {short(high)}"
        counters.append(Counter(f"CVaR {100 * need.level:g} %", money(need.es), band))
    if study.rough:
        band = f"95 % interval {short(study.rough.lower)} to {short(study.rough.upper)}"
        counters.append(Counter("CVaR 99 %", money(study.rough.estimate), band))
    if study.present:
        now = study.present
        tone = "good" if now.p_exhausted == 0 else "warn" if now.p_exhausted < 0.01 else "bad"
        unpaid = "fund as it is, a period"
        counters.append(Counter("P(exhausted)", percent(now.p_exhausted), unpaid, tone))
        counters.append(Counter("P(ADL)", percent(now.p_adl), unpaid))
        if now.coverage is not None:
            counters.append(Counter("Coverage", percent(now.coverage), "paid over bad debt"))
    if study.vendor:
        v = study.vendor
        counters.append(Counter("LaR", money(v.lar95), "95 % of liquidated notional"))
        counters.append(Counter("VaR", money(v.var95), "95 % of bad debt"))
        counters.append(Counter("EVaR", money(v.evar99), "99 % of bad debt, as vendors use it"))
    return counters


# --- target and curve -----------------------------------------------------------------------------


def _sizing(study: SizeStudy) -> list[Section]:
    if not study.required:
        return []
    need, settings = study.required, study.settings
    moves = ", ".join(
        f"{name} {signed(move)}"
        for name, move in zip(study.platform.book.markets, study.stress.moves, strict=True)
    )
    rows = [
        ("Stress", short(need.cover2 * need.cascade_mult), "Cover-2 "
         f"{short(need.cover2)} × cascade {need.cascade_mult:.3g}, at {moves}"),
        ("Expected shortfall", short(need.es_interval[1]),
         f"upper end of the {need.es_confidence:.0%} interval at {100 * need.level:g} %"),
        ("Newsvendor", short(need.newsvendor), f"capital {percent(settings.cost_of_capital)} a "
         f"year, a token uncovered costs {settings.penalty:g}"),
        ("Floor", short(need.floor), ""),
        ("Model add-on", percent(need.model_add_on), "on the largest of these"),
        ("Target", short(need.target), f"set by {BINDING[need.binding]}"),
    ]  # fmt: skip
    parts = [
        titled("What sets the target", table(("component", "amount", "from"), rows, words=[2])),
        titled("Who causes it", contribution_bars(study.contributions, "contributions")),
    ]
    return [
        Section(
            "Target",
            f"The largest component, with the add-on. {need.notes[0].capitalize()}."
            " The contributions split the CVaR over the markets and sum to it.",
            parts,
            stacked=True,
        )
    ]


def _losses(study: SizeStudy) -> list[Section]:
    losses, symbol = study.runs.deficit, study.platform.symbol
    if not len(losses):
        return []
    marks = [Mark(study.platform.layers.total, "fund now", 2)]
    if study.required:
        marks.append(Mark(study.required.target, "target", 3))
    losing = losses[losses > 0]
    name = f"bad debt, {symbol}"
    counts, edges = np.histogram(losing, 40) if len(losing) else (np.zeros(0), np.zeros(1))
    sold = study.runs.column("liquidated_notional").sum(axis=1)
    many, bins = np.histogram(sold[sold > 0], 40) if sold.any() else (np.zeros(0), np.zeros(1))
    lar = [Mark(study.vendor.lar95, "LaR, 95 %", 4)] if study.vendor else []
    parts = [
        titled("Periods with bad debt", charts.histogram(
            "loss distribution", list(edges), [float(c) for c in counts], x_label=name,
            y_label="periods", marks=marks)),
        titled("Periods with liquidations", charts.histogram(
            "liquidations", list(bins), [float(c) for c in many],
            x_label=f"liquidated notional, {symbol}", y_label="periods", marks=lar)),
    ]  # fmt: skip
    share = f"{percent(len(losing) / len(losses))} of the periods have bad debt."
    return [
        Section("Loss distribution", f"{share} Vertical lines: the fund.", parts),
        Section(
            "Fund size",
            "What a fund of each size would have left unpaid, and what it costs a period:"
            " capital, plus uncovered loss times its penalty. The minimum is the newsvendor's.",
            _curves(study, marks),
        ),
    ]


def _curves(study: SizeStudy, marks: list[Mark]) -> list[Any]:
    sizes = [p.size for p in study.curve]
    name = f"fund, {study.platform.symbol}"
    exhausted = Line("P(exhausted)", sizes, [p.p_exhausted for p in study.curve], 1, steps=True)
    cost = [
        Line("capital", sizes, [p.capital_cost for p in study.curve], 4),
        Line("uncovered × penalty", sizes, [p.total_cost - p.capital_cost for p in study.curve], 5),
        Line("total", sizes, [p.total_cost for p in study.curve], 1),
    ]
    left = charts.lines("P(exhausted)", [exhausted], x_label=name, y_label="share of periods",
                        y_format=percent, log_y=True, marks=marks)  # fmt: skip
    open_ = Line("uncovered", sizes, [p.uncovered for p in study.curve], 3)
    middle = charts.lines("expected loss uncovered", [open_], x_label=name,
                          y_label=f"{study.platform.symbol} a period", marks=marks)  # fmt: skip
    right = charts.lines("cost", cost, x_label=name, y_label="cost a period", marks=marks)
    return [
        titled("P(exhausted)", left),
        titled("Expected loss left to deleveraging", middle),
        titled("Cost of capital and of loss", right),
    ]


# --- worst path, backtest -------------------------------------------------------------------------


def _worst(study: SizeStudy) -> list[Section]:
    worst, book = study.worst, study.platform.book
    if worst is None or worst.result.prices is None:
        return []
    minutes = np.arange(1, len(worst.liquidated) + 1)
    hours = list(minutes / 60.0)
    series = []
    for m, name in enumerate(book.markets):
        inside = worst.result.prices[:, m] / book.price[m] - 1.0
        series.append(Line(name, hours, list(inside), 1 + m % 5))
    path = study.prices.source.path(study.settings.seed, worst.path_id)
    outside = Line(f"{book.markets[0]} without impact", hours, list(np.expm1(path[:, 0])), 4, True)
    sold = Line("liquidated", hours, list(np.cumsum(worst.liquidated)), 3, steps=True)
    result = worst.result
    rows = [
        (name, signed(low - 1), signed(high - 1), short(sold_), short(lost))
        for name, low, high, sold_, lost in zip(
            book.markets, result.column("price_low"), result.column("price_high"),
            result.column("liquidated_notional"), result.column("deficit"), strict=True)
    ]  # fmt: skip
    lead = (
        f"Path {worst.path_id}: bad debt {short(result.deficit)} {study.platform.symbol},"
        f" {result.scalar('closed_accounts'):,.0f} accounts closed,"
        f" {result.scalar('partial_liquidations'):,.0f} partial liquidations, longest cascade"
        f" {result.scalar('longest_cascade'):,.0f} rounds in a minute."
    )
    parts = [
        titled("Prices with feedback", charts.lines(
            "prices", [*series, outside], x_label="hours", y_label="against the start",
            y_format=signed)),
        titled("Liquidated so far", charts.lines(
            "liquidated", [sold], x_label="hours", y_label=f"notional, {study.platform.symbol}")),
        table(("market", "lowest", "highest", "liquidated", "bad debt"), rows),
    ]  # fmt: skip
    return [Section("The worst path", lead, parts)]


def _backtest(study: SizeStudy) -> list[Section]:
    if not study.backtests:
        sentence = "No price history was given, so there is nothing to test the price model on."
        return [Section("Backtest", sentence)] if not study.partial else []
    rows, parts = [], []
    for name, tests in study.backtests.items():
        for one in tests:
            rows.append((
                f"{name} {one.side}", f"{one.losses.size:,}", f"{one.expected:.0f}",
                one.coverage.exceptions, f"{one.coverage.p_value:.3f}",
                f"{one.conditional.p_value:.3f}", verdict(one.coverage), verdict(one.conditional),
            ))  # fmt: skip
        long = tests[0]
        tail = slice(-min(len(long.losses), 500), None)
        index = list(range(len(long.losses[tail])))
        parts.append(titled(f"{name}, longs, the last {len(index)} bars", charts.lines(
            "backtest",
            [Line("loss", index, list(long.losses[tail]), 1),
             Line("forecast VaR 99 %", index, list(long.forecasts[tail]), 3)],
            x_label="bar", y_label="log loss", y_format=percent)))  # fmt: skip
    head = ("market, side", "bars", "expected", "exceptions", "Kupiec p", "Christoffersen p",
            "frequency", "with clustering")  # fmt: skip
    text = (
        "One-step forecasts of VaR 99 % by the volatility filter, fitted on the first half of the"
        " history and tested on the second. Small p-values refuse the filter; no target is"
        " computed from its VaR alone."
    )
    return [Section("Backtest", text, [table(head, rows), *parts], stacked=True)]


# --- summary --------------------------------------------------------------------------------------


def _shown(study: SizeStudy) -> dict[str, Any]:
    settings = study.settings
    return {
        **rules_shown(study.platform, study.prices),
        "paths": f"{len(study.runs):,} of {settings.paths:,}, seed {settings.seed}",
        "sizing": f"level {settings.level:g}, tail {settings.tail}, shock"
        f" {percent(settings.shock)}, capital {percent(settings.cost_of_capital)} a year,"
        f" penalty {settings.penalty:g}, floor {settings.floor:g},"
        f" add-on {percent(settings.add_on)}",
    }


def contributions_wad(study: SizeStudy) -> dict[str, str]:
    """Each market's part of the target, 18 decimals, rounded up; empty without a target."""
    if not study.required:
        return {}
    total = sum(study.contributions.values())
    parts = {}
    for name, value in study.contributions.items():
        share = value / total if total > 0 else 1.0 / len(study.contributions)
        parts[name] = str(wad_up(max(share, 0.0) * study.required.target))
    return parts


def _summary(study: SizeStudy, record: dict[str, Any]) -> dict[str, Any]:
    present = study.present
    return {
        "study": "size-fund",
        "partial": study.partial,
        "refusal": study.refusal,
        "collateral": {"symbol": study.platform.symbol, "decimals": study.platform.decimals},
        "markets": dict(zip(study.platform.book.markets, study.platform.numbers, strict=True)),
        "platform": dict(study.platform.origin),
        "fund": asdict(study.platform.layers) | {"total": study.platform.layers.total},
        "prices": dict(study.prices.facts),
        "settings": asdict(study.settings),
        "paths": {"done": len(study.runs), "asked": study.settings.paths},
        "required": study.required.as_dict() if study.required else None,
        "contributions_wad": contributions_wad(study),
        "cvar_99": asdict(study.rough) if study.rough else None,
        "vendor_metrics": asdict(study.vendor) if study.vendor else None,
        "stress": asdict(study.stress),
        "present": None if present is None else {
            "p_exhausted": present.p_exhausted,
            "p_adl": present.p_adl,
            "p_residual": present.p_residual,
            "coverage": present.coverage,
        },
        "worst_path": study.worst.path_id if study.worst else None,
        "backtest": {name: [_test(t) for t in tests] for name, tests in study.backtests.items()},
        "inputs": study.inputs,
        **record,
        "notes": [*study.prices.notes, *study.platform.notes, *study.notes],
    }  # fmt: skip


def _test(one: Backtest) -> dict[str, Any]:
    both = {"coverage": asdict(one.coverage), "conditional": asdict(one.conditional)}
    return {"side": one.side, **both}


def _paths_csv(study: SizeStudy) -> str:
    """One row a path and market with bad debt or liquidations: the others hold only zeros."""
    runs = study.runs
    names = ("deficit", "liquidated_notional", "surcharge", "price_low", "price_high")
    columns = [runs.column(name) for name in names]
    rows = [
        [int(path_id), market, *(float(column[row, m]) for column in columns)]
        for row, path_id in enumerate(runs.ids)
        for m, market in enumerate(runs.markets)
        if columns[1][row, m] > 0
    ]
    return table_csv(["path_id", "market", *names], rows)
