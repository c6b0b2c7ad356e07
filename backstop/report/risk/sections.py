"""Parts that several reports share: ladder, liquidation levels, parameters, what is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from backstop.report.risk import charts
from backstop.report.risk.outputs import code_hash, data_hash, table_csv, versions
from backstop.report.risk.page import Section, facts, titled
from backstop.report.risk.platform import NOT_MODELLED, Platform
from backstop.report.risk.prices import Prices
from backstop.report.risk.shocks import Rung, liquidation_prices
from backstop.simulation.model import FloatArray

#: Bins of the liquidation levels: distance of the price from now.
LEVEL_EDGES = np.linspace(-0.5, 0.5, 41)


def signed(value: float) -> str:
    """A move with its sign: -20 %."""
    return f"{100 * value:+.3g} %"


def money(value: float, symbol: str = "") -> str:
    """An amount in few letters, with the token's symbol."""
    return f"{charts.short(value)} {symbol}".strip()


# --- ladder ---------------------------------------------------------------------------------------


def ladder_section(ladder: Mapping[str, Sequence[Rung]], symbol: str) -> Section:
    """Price shock by market, bad debt in the cells."""
    columns = list(ladder)
    moves = [_size(rung) for rung in next(iter(ladder.values()))]
    rows = [
        (signed(move), [ladder[name][i].total for name in columns]) for i, move in enumerate(moves)
    ]
    return Section(
        "Price shocks",
        "Bad debt after a straight move over five minutes and half an hour of rest, in "
        f"{symbol}, with the price impact of the liquidations. A dot is none.",
        [charts.heat("bad debt by shock and market", columns, rows, corner="shock")],
    )


def _size(rung: Rung) -> float:
    return max(rung.moves, key=abs)


def ladder_csv(ladder: Mapping[str, Sequence[Rung]], markets: Sequence[str]) -> str:
    """One row a shock: moves, bad debt and liquidated notional by market."""
    header = [
        "shock",
        *(f"{what} {m}" for what in ("move", "deficit", "liquidated") for m in markets),
    ]
    rows = [
        [name, *rung.moves, *rung.deficit, *rung.liquidated]
        for name, rungs in ladder.items()
        for rung in rungs
    ]
    return table_csv(header, rows)


# --- levels ---------------------------------------------------------------------------------------


def all_levels(platform: Platform) -> list[FloatArray]:
    """Liquidation prices by market (N,) each."""
    return [liquidation_prices(platform, m) for m in range(platform.book.width)]


def levels_section(platform: Platform, levels: Sequence[FloatArray]) -> Section:
    """Histogram of open notional by the distance to its liquidation price."""
    book, parts = platform.book, []
    for m, name in enumerate(book.markets):
        distance = levels[m] / book.price[m] - 1.0
        weight = book.notional()[:, m]
        known = np.isfinite(distance)
        heights, _ = np.histogram(distance[known], LEVEL_EDGES, weights=weight[known])
        styles = [3 if edge < 0 else 2 for edge in LEVEL_EDGES[:-1] + 1e-12]
        chart = charts.histogram(
            f"liquidation levels of {name}",
            list(LEVEL_EDGES),
            list(heights),
            x_label="price against now",
            y_label=f"notional, {platform.symbol}",
            x_format=signed,
            styles=styles,
            marks=[charts.Mark(0.0, "now", 5)],
        )
        parts.append(titled(name, chart))
    return Section(
        "Liquidation levels",
        "Open notional by the price at which its account falls below maintenance margin, if only "
        "this market moves. Longs are left of now, shorts right; beyond ±50 % is not shown.",
        parts,
    )


def levels_csv(platform: Platform, levels: Sequence[FloatArray]) -> str:
    """DefiLlama's shape `{owner, liqPrice, collateral, collateralAmount}`, one row a position.

    collateral is the market, collateralAmount the signed base of the position.
    """
    book, rows = platform.book, []
    for i, owner in enumerate(platform.owners):
        for m, name in enumerate(book.markets):
            if book.size[i, m] and np.isfinite(levels[m][i]):
                rows.append([owner, float(levels[m][i]), name, float(book.size[i, m])])
    return table_csv(["owner", "liqPrice", "collateral", "collateralAmount"], rows)


# --- at the end -----------------------------------------------------------------------------------


def not_modelled(notes: Sequence[str], more: Sequence[str] = ()) -> Section:
    """What the reader must not take the figures for."""
    return Section("What is not modelled", points=[*notes, *more, *NOT_MODELLED])


def provenance(
    inputs: Mapping[str, Any], shown: Mapping[str, Any], results: str = ""
) -> tuple[dict[str, Any], Section]:
    """Hashes and versions for the summary, and the section that shows them with the parameters."""
    record = {
        "data_hash": data_hash(inputs),
        "code_hash": code_hash(),
        "results_hash": results,
        "versions": versions(),
    }
    rows = {**shown, "data hash": record["data_hash"], "code hash": record["code_hash"]}
    if results:
        rows["hash of all paths"] = results
    rows["versions"] = ", ".join(f"{name} {number}" for name, number in versions().items())
    section = Section(
        "Parameters and versions",
        "The same inputs, seed and versions give the same bytes.",
        [facts(rows)],
    )
    return record, section


def rules_shown(platform: Platform, prices: Prices | None) -> dict[str, Any]:
    """The platform and the prices in a few lines."""
    rules, impact = platform.params.liquidation, platform.params.impact
    book = platform.book
    interest = ", ".join(
        f"{name} {charts.short(float(value))}"
        for name, value in zip(book.markets, book.open_interest(), strict=True)
    )
    shown: dict[str, Any] = {
        "platform": ", ".join(f"{name} {value}" for name, value in platform.origin.items()),
        "accounts": f"{book.accounts:,}",
        f"open interest, {platform.symbol}": interest,
        "fund": f"{platform.layers.total:,.0f} {platform.symbol}: compartments "
        f"{sum(platform.layers.compartments):,.0f}, reserve {platform.layers.reserve:,.0f}, "
        f"stake {platform.layers.staked:,.0f}; at most {platform.layers.per_claim:,.0f} a claim, "
        f"{platform.layers.per_window:,.0f} a window of {platform.layers.window // 60} minutes",
        "liquidation": f"surcharge {charts.percent(rules.surcharge)}, keeper "
        f"{charts.percent(rules.reward)}, target health {rules.target_health:g}",
        "impact": f"coefficient {_plain(impact.coefficient)}, daily volume {_plain(impact.volume)},"
        f" exponent {impact.exponent:g}, decay {impact.decay:g} a minute, depth floor "
        f"{impact.depth.with_floor:g}, slope {impact.depth.with_slope:g}",
    }
    if prices is not None:
        shown["prices"] = ", ".join(f"{name} {value}" for name, value in prices.facts.items())
    return shown


def _plain(value: float | FloatArray) -> str:
    return ", ".join(charts.short(float(x)) for x in np.atleast_1d(value))


def contribution_bars(parts: Mapping[str, float], title: str) -> Markup:
    """Who causes how much, largest first."""
    rows = sorted(parts.items(), key=lambda item: -item[1])
    return charts.bars(title, [(name, value) for name, value in rows])
