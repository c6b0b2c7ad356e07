"""What a jump of the marks would cost: every account valued anew, deficits sent down the layers.

The jump happens at once, with no liquidation on the way: the worst case. A bankrupt account's
deficit is split over its markets by maintenance margin, as the contracts split it. A market's part
is paid by its compartment, then by the shared layers within the limits of an event, of the
claimant's window and of the market's window; what is left is borne by the opposite side, or
recorded. Limits are applied to the sum of all events, not event by event in an order nobody knows.

What the fund's own inventory loses comes on top: capital that is in no layer (what it loses beyond
that is a deficit among the others). Where a market has fair windows, large claims are not paid at
once: how much would wait is said, at least so much, for each claim that is paid or waits leaves
less for the next. Reinsurance (layer 4) is left out: what it pays depends on its own terms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from backstop.monitor.book import DUST, Arrays, Floats, Terms, added
from backstop.monitor.state import State

MOVES: Final = tuple(range(-60, 61, 2))
"""Moves of the ladder, per cent."""


@dataclass(frozen=True)
class Cost:
    """What one jump does; amounts in whole tokens.

    Attributes:
        liquidatable: accounts below maintenance margin, bankrupt ones included.
        notional: their open notional at the moved marks.
        paid: by layer, in the order of the waterfall; the last is what is left for the opposite
            side and the record.
        inventory: what the fund's inventory loses of the capital in it.
        waits: part of the deficit that waits for a fair window, at least; charged to the opposite
            side meanwhile.
    """

    move: float
    liquidatable: int
    bankrupt: int
    notional: float
    deficit: float
    paid: tuple[float, ...]
    inventory: float = 0.0
    waits: float = 0.0


def cost_of(
    arrays: Arrays,
    terms: Terms,
    state: State,
    move: float,
    market: int | None,
    inventory: Arrays | None = None,
) -> Cost:
    """The cost of a jump by the fraction `move`, in one market or (None) in all.

    `inventory` are the fund's own accounts of `arrays`, where they have been picked already.
    """
    count = len(terms.mark)
    moves = (
        np.full(count, move) if market is None else np.where(np.arange(count) == market, move, 0.0)
    )
    shocked = terms.shocked(moves)
    equity, maintenance = arrays.value(shocked)
    below = equity < maintenance
    bankrupt = (equity < -DUST) & (maintenance > 0)
    notional = np.abs(arrays.size) * shocked.mark[arrays.market]
    deficits = np.where(bankrupt, -equity, 0.0)
    part, largest = _split(arrays, shocked, deficits, maintenance)
    by_market = added(arrays.market, part, count)
    ours = arrays.of(state.inventory) if inventory is None else inventory
    return Cost(
        move=move,
        liquidatable=int(below.sum()),
        bankrupt=int(bankrupt.sum()),
        notional=float(notional[below[arrays.owner]].sum()),
        deficit=float(deficits.sum()),
        paid=pay(by_market, largest, state),
        inventory=_lost(ours, terms, shocked),
        waits=_waits(arrays, part, state),
    )


def _lost(ours: Arrays, terms: Terms, shocked: Terms) -> float:
    """Capital that these accounts lose: each at most what it has."""
    before, after = (np.maximum(ours.value(t)[0], 0.0) for t in (terms, shocked))
    return float(np.maximum(before - after, 0.0).sum())


def _waits(arrays: Arrays, part: Floats, state: State) -> float:
    """The twin of `FairWindows.claimAtOnce` on every claim as if it came first: beyond the market's
    own money it waits if it is more than a quarter of what is left for it, and there is anything.
    """
    fund, waits = state.fund, 0.0
    shared = sum(y.amount for y in fund.layers[1:] if y.key != "reinsurance")
    shared = min(shared, fund.window_room)
    left = max(0.0, shared - sum(m.waiting for m in state.markets))
    for market in state.markets:
        if market.fair_window and min(shared, market.window_room) > 0.0:
            own = market.pending_income + market.compartment
            rest = part[arrays.market == market.number] - own
            waits += float(rest[rest * 4 > max(DUST, min(left, market.window_room))].sum())
    return waits


def _split(
    arrays: Arrays, terms: Terms, deficits: Floats, maintenance: Floats
) -> tuple[Floats, Floats]:
    """Deficits by position, and by account (those that are not 0)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share = arrays.margins(terms) / maintenance[arrays.owner]
    return np.nan_to_num(share) * deficits[arrays.owner], deficits[deficits > 0]


def pay(by_market: Floats, deficits: Floats, state: State) -> tuple[float, ...]:
    """How the layers share deficits: one amount a layer of the fund, then what is left."""
    fund = state.fund
    held = np.array([m.compartment for m in state.markets])
    first = np.minimum(by_market, held)
    rest = by_market - first
    rooms = np.array([m.window_room for m in state.markets])
    shared = min(
        float(np.minimum(rest, rooms).sum()),
        float(np.minimum(deficits, fund.per_claim).sum()),
        fund.window_room,
    )
    paid = [float(first.sum())]
    for layer in fund.layers[1:]:
        amount = 0.0 if layer.key == "reinsurance" else min(shared, layer.amount)
        paid.append(amount)
        shared -= amount
    return (*paid, float(by_market.sum()) - sum(paid))


def ladder(arrays: Arrays, terms: Terms, state: State) -> dict[str, Any]:
    """The ladder of jumps, of all markets together and of each: columns by name."""
    ours = arrays.of(state.inventory)

    def columns(market: int | None) -> dict[str, Any]:
        return _columns([cost_of(arrays, terms, state, move / 100, market, ours) for move in MOVES])

    return {"all": columns(None)} | {str(m.number): columns(m.number) for m in state.markets}


def _columns(costs: list[Cost]) -> dict[str, Any]:
    return {
        "move": list(MOVES),
        "liquidatable": [c.liquidatable for c in costs],
        "bankrupt": [c.bankrupt for c in costs],
        "notional": [round(c.notional, 2) for c in costs],
        "deficit": [round(c.deficit, 2) for c in costs],
        "paid": [[round(p, 2) for p in c.paid] for c in costs],
        "inventory": [round(c.inventory, 2) for c in costs],
        "waits": [round(c.waits, 2) for c in costs],
    }
