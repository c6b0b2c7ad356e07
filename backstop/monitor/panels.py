"""The page's panels as plain data; amounts are floats in whole tokens, times seconds since 1970."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import numpy as np

from backstop.chain.format import full_account
from backstop.monitor.book import Arrays, Floats, Terms, added, liquidation_marks
from backstop.monitor.state import MarketNow, State

BANDS: Final = (
    ("bankrupt", "bankrupt", 0.0),
    ("below", "below 1 ×", 1.0),
    ("close", "1 to 1.1 ×", 1.1),
    ("near", "1.1 to 1.5 ×", 1.5),
    ("calm", "1.5 to 3 ×", 3.0),
    ("safe", "above 3 ×", float("inf")),
)
"""Accounts by equity over maintenance margin: key, label, upper edge (not included)."""

AT_RISK: Final = 1.1
"""Health below which an account counts as at risk."""

EDGES: Final = tuple(range(-60, 62, 2))
"""Edges of the histogram of liquidation levels, per cent from the mark."""

_WORST: Final = 12


def fund_panel(state: State) -> dict[str, Any]:
    """The fund by layer, its target and its limits."""
    panel = asdict(state.fund)
    panel["recorded"] = sum(m.recorded for m in state.markets)
    panel["pending_income"] = sum(m.pending_income for m in state.markets)
    return panel


def markets_panel(state: State) -> list[dict[str, Any]]:
    """Prices, open interest and coverage of every market."""
    return [_market(m) for m in state.markets]


def _market(market: MarketNow) -> dict[str, Any]:
    raw = ("parameters", "liquidation")
    plain = {k: v for k, v in vars(market).items() if k not in raw}
    plain["feeds"] = list(market.feeds)
    plain["long_notional"] = market.open_long * market.mark
    plain["short_notional"] = market.open_short * market.mark
    plain["cap_notional"] = market.cap * market.mark
    return plain


def stake_panel(state: State) -> dict[str, Any]:
    """Layer 3: active stake, buckets, series, share price."""
    return asdict(state.stake)


def risk_panel(arrays: Arrays, state: State) -> dict[str, Any]:
    """Accounts by health, the least healthy ones, and where liquidations begin."""
    terms = Terms.of(state.markets)
    equity, maintenance = arrays.value(terms)
    with np.errstate(divide="ignore", invalid="ignore"):
        health = np.where(maintenance > 0, equity / maintenance, np.inf)
    open_ = maintenance > 0
    notional = added(
        arrays.owner, np.abs(arrays.size) * terms.mark[arrays.market], len(arrays.numbers)
    )
    return {
        "accounts": len(arrays.numbers),
        "open": int(open_.sum()),
        "below": int((health < 1).sum()),
        "at_risk": int((health < AT_RISK).sum()),
        "equity": float(equity.sum()),
        "bands": _bands(health, open_, notional),
        "worst": _worst(arrays, terms, health, equity, maintenance),
        "levels": _levels(arrays, terms, state),
    }


def _bands(health: Floats, open_: Any, notional: Floats) -> list[dict[str, Any]]:
    lower, bands = -np.inf, []
    for key, label, upper in BANDS:
        inside = open_ & (health >= lower) & (health < upper)
        bands.append(
            {
                "key": key,
                "label": label,
                "accounts": int(inside.sum()),
                "notional": float(notional[inside].sum()),
            }
        )
        lower = upper
    return bands


def _worst(
    arrays: Arrays, terms: Terms, health: Floats, equity: Floats, maintenance: Floats
) -> list[dict[str, Any]]:
    levels = liquidation_marks(arrays, terms)
    order = [int(i) for i in np.argsort(health)[:_WORST] if np.isfinite(health[i])]
    worst = []
    for i in order:
        mine = np.flatnonzero(arrays.owner == i)
        worst.append(
            {
                "account": full_account(arrays.numbers[i]),
                "health": float(health[i]),
                "equity": float(equity[i]),
                "maintenance": float(maintenance[i]),
                "positions": [
                    {
                        "market": int(arrays.market[j]),
                        "size": float(arrays.size[j]),
                        "notional": float(abs(arrays.size[j]) * terms.mark[arrays.market[j]]),
                        "level": None if np.isnan(levels[j]) else float(levels[j]),
                    }
                    for j in mine
                ],
            }
        )
    return worst


def _levels(arrays: Arrays, terms: Terms, state: State) -> list[dict[str, Any]]:
    """Notional that becomes liquidatable in each step of the mark, by market and side."""
    levels = liquidation_marks(arrays, terms)
    mark = terms.mark[arrays.market]
    notional = np.abs(arrays.size) * mark
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = (levels / mark - 1) * 100
    panels = []
    for market in state.markets:
        here = (arrays.market == market.number) & np.isfinite(distance)
        sides = {}
        for side, sign in (("long", 1), ("short", -1)):
            mine = here & (np.sign(arrays.size) == sign)
            counts, _ = np.histogram(distance[mine], bins=EDGES, weights=notional[mine])
            sides[side] = [round(float(c), 2) for c in counts]
        panels.append({"market": market.number, "mark": market.mark, "edges": list(EDGES), **sides})
    return panels
