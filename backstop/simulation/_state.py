"""State of a run for compiled code: arrays of records, changed in place.

Units as in `backstop.simulation.model`; log prices are relative to the book's prices.

Charges of the opposite side with basis "size" are kept as an index per market and side, as in the
contracts: a long is valued at its market's price less the side's `charge`, a short at the price
plus it, and no account is touched.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._jit import inline, inner
from .model import MARKET_FIELDS, PATH_FIELDS, FloatArray, IntArray

Records = NDArray[Any]

LONG, SHORT = 0, 1

#: Values of an account's `touched`: closed with its sizes left in place, or sizes changed.
CLOSED, RESIZED = 1, 2


def _floats(*names: str) -> list[tuple[str, str]]:
    return [(name, "f8") for name in names]


def _ints(*names: str) -> list[tuple[str, str]]:
    return [(name, "i8") for name in names]


#: Parameters of a run, one record.
RULES = np.dtype(
    _floats("exponent", "decay", "keep")
    + _floats("with_slope", "against_slope", "with_floor", "against_floor")
    + _floats("operator", "staked", "claim_limit", "market_limit", "window_limit")
    + _floats("surcharge", "reward", "fee", "target", "dust", "max_charge")
    + _ints("window", "max_parts", "max_rounds", "by_profit")
)
#: State of a run outside its markets, one record: fund, list lengths, result fields.
STATE = np.dtype(
    _floats("operator", "staked", "opening", "window_used")
    + _ints("hits", "touched", "events", "dirty")
    + _floats(*PATH_FIELDS)
)
#: One record a market: parameters, state, scratch of the waterfall, result fields.
MARKETS = np.dtype(
    _floats("price0", "coefficient", "volume", "cap", "opening_compartment")
    + _floats("price", "long_price", "short_price", "impact", "push", "net", "last", "average")
    + _floats("compartment", "used", "unpaid", "eligible")
    + _floats(*MARKET_FIELDS)
)
#: One record a market and side: charge per unit, open interest (base units) and its holders.
SIDES = np.dtype(
    _floats("charge", "interest", "start_interest", "due", "leg")
    + _ints("holders", "start_holders")
)
#: One record a market and tier: maintenance is the largest of `rate * notional - deduction`.
TIERS = np.dtype(_floats("rate", "deduction"))
#: One record an account: collateral plus quotes; row in the minute's list or -1; whether it is
#: open; whether and how it changed since minute 0. A closed account keeps its last sizes.
ACCOUNTS = np.dtype([("cash", "f8"), ("row", "i4"), ("alive", "u1"), ("touched", "u1")], align=True)
#: One record for each account hit in the current minute.
ROWS = np.dtype(_ints("account", "parts") + _floats("deficit"))
#: One record a liquidation.
EVENTS = np.dtype(
    _ints("account", "minute", "round") + _floats("fraction", "equity", "maintenance")
)


class World(NamedTuple):
    """The state of a run.

    rules, state (1,); markets (M,); sides (M, 2); tiers (M, K); accounts (N,); size (N, M); quote
    (N, M), or (0, M) when not needed; rows (N,): accounts hit this minute, and closing (N, M) the
    parts of them being closed, or (0, M) without partial liquidations; touched (N,): accounts to
    undo; events (E,); prices (T, M), or (0, M) when not kept.
    """

    rules: Records
    state: Records
    markets: Records
    sides: Records
    tiers: Records
    accounts: Records
    size: FloatArray
    quote: FloatArray
    rows: Records
    closing: FloatArray
    touched: IntArray
    events: Records
    prices: FloatArray


@inner
def reset(w: World) -> None:
    """Bring markets, fund and results to their state before minute 0; accounts are not touched."""
    state = w.state[0]
    state.operator, state.staked = w.rules[0].operator, w.rules[0].staked
    state.hits = state.events = 0
    state.closed_accounts = state.partial_liquidations = state.claims = 0.0
    state.rounds = state.longest_cascade = state.active_minutes = state.capped_minutes = 0.0
    for m in range(w.markets.shape[0]):
        k = w.markets[m]
        k.compartment = k.opening_compartment
        k.impact = k.push = k.net = k.last = k.average = k.used = 0.0
        k.deficit = k.drawn_compartment = k.drawn_operator = k.drawn_staked = 0.0
        k.adl = k.residual = k.liquidated_notional = k.surcharge = k.reward = 0.0
        k.price_low = k.price_high = k.price_end = 0.0
        for side in range(2):
            s = w.sides[m, side]
            s.charge = 0.0
            s.interest, s.holders = s.start_interest, s.start_holders


@inline
def restore_account(w: World, i: int, cash: float, size: FloatArray, quote: FloatArray) -> None:
    """Undo what happened to one account; sizes are only written when they changed."""
    a = w.accounts[i]
    if a.touched == RESIZED or w.quote.shape[0]:
        for m in range(w.size.shape[1]):
            w.size[i, m] = size[i, m]
            if w.quote.shape[0]:
                w.quote[i, m] = quote[i, m]
    a.cash = cash
    a.alive = 1
    a.touched = 0
    a.row = -1


@inner
def restore(w: World, cash: FloatArray, size: FloatArray, quote: FloatArray) -> None:
    """Undo a run: bring back the accounts it touched, or all after a charge by profit."""
    state = w.state[0]
    for j in range(w.accounts.shape[0] if state.dirty else state.touched):
        i = j if state.dirty else w.touched[j]
        restore_account(w, i, cash[i], size, quote)
    state.touched = state.dirty = 0
