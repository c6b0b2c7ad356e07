"""Compiled rules of one minute, shared by the dense, envelope and sweep engines.

The state of a run is one `World`: arrays of records, changed in place. Units as in
`backstop.simulation.model`; log prices are relative to the book's prices.

Charges of the opposite side with basis "size" are kept as an index per market and side, as in the
contracts: a long is valued at its market's price less the side's `charge`, a short at the price
plus it, and no account is touched.
"""

from __future__ import annotations

import math
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


# --- valuation -----------------------------------------------------------------------------------


@inline
def maintenance(w: World, m: int, notional: float) -> float:
    """Maintenance of one position: the largest of the schedule's affine pieces (it is convex)."""
    need = w.tiers[m, 0].rate * notional
    for k in range(1, w.tiers.shape[1]):
        need = max(need, w.tiers[m, k].rate * notional - w.tiers[m, k].deduction)
    return need


@inline
def side_of(q: float) -> int:
    """Side of a signed size."""
    return LONG if q > 0.0 else SHORT


@inline
def value_at(w: World, m: int, q: float) -> float:
    """Value of a signed size at the mark price, less what its side has been charged."""
    return q * (w.markets[m].long_price if q > 0.0 else w.markets[m].short_price)


@inline
def health(w: World, i: int) -> tuple[float, float]:
    """Equity and maintenance of an account of which nothing is being closed."""
    equity = w.accounts[i].cash
    need = 0.0
    for m in range(w.size.shape[1]):
        q = w.size[i, m]
        equity += value_at(w, m, q)
        need += maintenance(w, m, abs(q) * w.markets[m].price)
    return equity, need


@inline
def hit_health(w: World, i: int) -> tuple[float, float]:
    """Equity and maintenance of an account part of which is being closed this minute."""
    equity, need = health(w, i)
    row = w.accounts[i].row
    paid = 0.0
    for m in range(w.size.shape[1]):
        c = w.closing[row, m]
        if c != 0.0:
            equity += value_at(w, m, c)
            paid += abs(c) * w.markets[m].price
    return equity - w.rules[0].fee * paid, need


# --- liquidation ---------------------------------------------------------------------------------


@inline
def maintenance_slope(w: World, m: int, notional: float) -> float:
    """Marginal rate at a notional; at a bracket's edge the rate below it."""
    best = 0
    most = w.tiers[m, 0].rate * notional
    for k in range(1, w.tiers.shape[1]):
        line = w.tiers[m, k].rate * notional - w.tiers[m, k].deduction
        if line > most:
            best, most = k, line
    return w.tiers[m, best].rate


@inner
def restoring_fraction(w: World, i: int, equity: float, gross: float) -> float:
    """Smallest share of all positions that restores the target health; at most 1.

    Newton from the left on a concave, piecewise linear function: exact after one step a bracket.
    """
    fee, target = w.rules[0].fee * gross, w.rules[0].target
    fraction = 0.0
    for _ in range(w.size.shape[1] * w.tiers.shape[1] + 2):
        gap = equity - fee * fraction
        slope = -fee
        for m in range(w.size.shape[1]):
            notional = abs(w.size[i, m]) * w.markets[m].price
            left = notional * (1.0 - fraction)
            gap -= target * maintenance(w, m, left)
            slope += target * maintenance_slope(w, m, left) * notional
        if gap >= 0.0:
            break
        if slope <= 0.0:
            return 1.0
        step = -gap / slope
        if step <= 1e-15 * fraction:
            break
        fraction = min(1.0, fraction + step)
    return fraction


@inline
def closing_fraction(w: World, i: int, equity: float) -> float:
    """Share of all positions to close: 1 unless partial liquidations are on and sensible here."""
    rules = w.rules[0]
    row = w.accounts[i].row
    if rules.target == 0.0 or (row >= 0 and w.rows[row].parts >= rules.max_parts):
        return 1.0
    gross = 0.0
    for m in range(w.size.shape[1]):
        gross += abs(w.size[i, m]) * w.markets[m].price
    if equity <= rules.fee * gross:
        return 1.0
    fraction = restoring_fraction(w, i, equity, gross)
    if (1.0 - fraction) * gross < rules.dust:
        return 1.0
    return fraction


@inline
def open_row(w: World, i: int) -> int:
    """Give the account a row in this minute's list, and remember it for the undo."""
    state, a = w.state[0], w.accounts[i]
    row = state.hits
    state.hits = row + 1
    w.rows[row].account = i
    w.rows[row].parts = 0
    a.row = row
    if w.closing.shape[0]:
        for m in range(w.size.shape[1]):
            w.closing[row, m] = 0.0
    if not a.touched:
        a.touched = CLOSED
        w.touched[state.touched] = i
        state.touched += 1
    return row


@inline
def close_whole(w: World, i: int) -> None:
    """Close what is left of an account; its sizes stay in place, `alive` is what counts."""
    for m in range(w.size.shape[1]):
        q = w.size[i, m]
        if q != 0.0:
            side = w.sides[m, side_of(q)]
            w.markets[m].net += q
            side.interest -= abs(q)
            side.holders -= 1
    w.accounts[i].alive = 0
    w.state[0].closed_accounts += 1


@inline
def close_part(w: World, i: int, row: int, fraction: float) -> None:
    """Move a share of all positions from `size` to `closing`."""
    for m in range(w.size.shape[1]):
        q = w.size[i, m]
        if q != 0.0:
            part = fraction * q
            w.closing[row, m] += part
            w.size[i, m] = q - part
            w.markets[m].net += part
            w.sides[m, side_of(q)].interest -= abs(part)
    w.accounts[i].touched = RESIZED
    w.state[0].partial_liquidations += 1


@inline
def liquidate(w: World, i: int, equity: float) -> float:
    """Close an account or a part of it, to be filled at the end of the minute; return the share."""
    fraction = closing_fraction(w, i, equity)
    row = w.accounts[i].row if w.accounts[i].row >= 0 else open_row(w, i)
    w.rows[row].parts += 1
    if fraction == 1.0:
        close_whole(w, i)
    else:
        close_part(w, i, row, fraction)
    return fraction


@inline
def liquidate_if_below(
    w: World, i: int, equity: float, need: float, minute: int, number: int
) -> bool:
    """Liquidate an account below maintenance and log it; the log counts on when it is full."""
    if not equity < need:
        return False
    fraction = liquidate(w, i, equity)
    n = w.state[0].events
    w.state[0].events = n + 1
    if n < w.events.shape[0]:
        e = w.events[n]
        e.account, e.minute, e.round = i, minute, number
        e.fraction, e.equity, e.maintenance = fraction, equity, need
    return True


@inner
def rehit(w: World, minute: int, number: int) -> int:
    """Liquidate further those hit earlier this minute that are below maintenance again."""
    found = 0
    if w.rules[0].target == 0.0:
        return found
    for row in range(w.state[0].hits):
        i = w.rows[row].account
        if w.accounts[i].alive:
            equity, need = hit_health(w, i)
            if liquidate_if_below(w, i, equity, need, minute, number):
                found += 1
    return found


# --- prices --------------------------------------------------------------------------------------


@inline
def begin_minute(w: World, t: int) -> None:
    """Open a fund window where due, let impact decay, start with nothing closed."""
    state = w.state[0]
    opens = t % w.rules[0].window == 0
    if opens:
        state.opening = state.staked
        state.window_used = 0.0
    for m in range(w.markets.shape[0]):
        k = w.markets[m]
        k.impact *= w.rules[0].decay
        k.push = k.net = 0.0
        if opens:
            k.used = 0.0
    state.hits = 0


@inline
def set_prices(w: World, logs: FloatArray, t: int) -> None:
    """Prices with feedback, from row `t` of the outside log prices (T, M)."""
    for m in range(w.markets.shape[0]):
        k = w.markets[m]
        k.price = k.price0 * math.exp(logs[t, m] + k.impact + k.push)
        k.long_price = k.price - w.sides[m, LONG].charge
        k.short_price = k.price + w.sides[m, SHORT].charge


@inline
def depth_ratio(w: World, m: int) -> float:
    """Share of normal depth left on the side that takes the minute's net flow."""
    rules, k = w.rules[0], w.markets[m]
    stress = k.last - k.average
    selling = k.net > 0.0
    eaten = selling if stress < 0.0 else not selling
    if eaten:
        return max(rules.with_floor, math.exp(-rules.with_slope * abs(stress)))
    return max(rules.against_floor, math.exp(-rules.against_slope * abs(stress)))


@inner
def set_push(w: World, depth: FloatArray, t: int) -> None:
    """Impact of the minute's cumulative net closed quantity, all markets."""
    for m in range(w.markets.shape[0]):
        k = w.markets[m]
        if k.net == 0.0:
            k.push = 0.0
            continue
        available = k.volume * depth_ratio(w, m)
        if depth.shape[0]:
            available *= depth[t, m]
        share = abs(k.net) * k.price0 / available
        exponent = w.rules[0].exponent
        push = k.coefficient * (math.sqrt(share) if exponent == 0.5 else share**exponent)
        k.push = -push if k.net > 0.0 else push


# --- settlement ----------------------------------------------------------------------------------


@inline
def closed_size(w: World, i: int, row: int, m: int) -> float:
    """Signed size of an account that was closed this minute."""
    part = w.closing[row, m] if w.closing.shape[0] else 0.0
    return part if w.accounts[i].alive else part + w.size[i, m]


@inline
def left_size(w: World, i: int, m: int) -> float:
    """Signed size of an account that is left after this minute's closing."""
    return w.size[i, m] if w.accounts[i].alive else 0.0


@inline
def fill(w: World, row: int) -> float:
    """Fill one row at the fixpoint price, charge fees; return the deficit of a closed account."""
    i = w.rows[row].account
    a = w.accounts[i]
    notional = 0.0
    value = a.cash
    for m in range(w.size.shape[1]):
        closed = closed_size(w, i, row, m)
        value += value_at(w, m, closed + left_size(w, i, m))
        notional += abs(closed) * w.markets[m].price
    full = w.rules[0].fee * notional
    fee = min(max(value, 0.0), full)
    book_fill(w, row, fee / full if full > 0.0 else 0.0)
    a.cash -= fee
    if a.alive or a.cash >= 0.0:
        return 0.0
    deficit = -a.cash
    a.cash = 0.0
    return deficit


@inline
def book_fill(w: World, row: int, paid: float) -> None:
    """Turn a row's closed quantities into cash and book notional and fees per market.

    paid: the share of the full fee that the account could pay.
    """
    i = w.rows[row].account
    for m in range(w.size.shape[1]):
        closed = closed_size(w, i, row, m)
        if closed != 0.0:
            w.accounts[i].cash += value_at(w, m, closed)
            book_notional(w, m, abs(closed) * w.markets[m].price, paid)
            if w.quote.shape[0] and w.accounts[i].alive:
                w.quote[i, m] *= w.size[i, m] / (w.size[i, m] + closed)


@inline
def book_notional(w: World, m: int, notional: float, paid: float) -> None:
    """Book liquidated notional of a market and the share `paid` of its fees."""
    k, rules = w.markets[m], w.rules[0]
    k.liquidated_notional += notional
    k.surcharge += paid * notional * rules.surcharge
    k.reward += paid * notional * rules.reward
    k.compartment += paid * notional * rules.surcharge


@inline
def claim_weight(w: World, row: int) -> tuple[float, float]:
    """Maintenance and notional (USD) over all markets of a closed row."""
    i = w.rows[row].account
    need = 0.0
    gross = 0.0
    for m in range(w.size.shape[1]):
        notional = abs(closed_size(w, i, row, m)) * w.markets[m].price
        gross += notional
        need += maintenance(w, m, notional)
    return need, gross


@inner
def split_claim(w: World, row: int, amount: float) -> None:
    """Split `amount` over markets and sides of a closed row into `leg`: by maintenance share."""
    i = w.rows[row].account
    need, gross = claim_weight(w, row)
    for m in range(w.size.shape[1]):
        w.sides[m, LONG].leg = w.sides[m, SHORT].leg = 0.0
        closed = closed_size(w, i, row, m)
        if closed != 0.0:
            notional = abs(closed) * w.markets[m].price
            share = maintenance(w, m, notional) / need if need > 0.0 else notional / gross
            w.sides[m, side_of(closed)].leg = amount * share


@inner
def collect_claims(w: World) -> int:
    """Fill all rows; sum the deficits into `due`; return the number of claims."""
    claims = 0
    for m in range(w.markets.shape[0]):
        w.sides[m, LONG].due = w.sides[m, SHORT].due = 0.0
    for row in range(w.state[0].hits):
        deficit = fill(w, row)
        w.rows[row].deficit = deficit
        if deficit > 0.0:
            claims += 1
            split_claim(w, row, deficit)
            for m in range(w.markets.shape[0]):
                for side in range(2):
                    w.sides[m, side].due += w.sides[m, side].leg
    return claims


@inline
def market_due(w: World, m: int) -> float:
    """Claims of a market over both sides, before any payment (USD)."""
    return w.sides[m, LONG].due + w.sides[m, SHORT].due


@inner
def pay_first_layers(w: World) -> None:
    """Compartments, then operator reserve. Sets `unpaid`: the share of each leg still open."""
    state = w.state[0]
    rest = 0.0
    for m in range(w.markets.shape[0]):
        k = w.markets[m]
        due = market_due(w, m)
        paid = min(k.compartment, due)
        k.deficit += due
        k.compartment -= paid
        k.drawn_compartment += paid
        k.unpaid = 1.0 - paid / due if due > 0.0 else 0.0
        rest += due * k.unpaid
    share = min(state.operator, rest) / rest if rest > 0.0 else 0.0
    for m in range(w.markets.shape[0]):
        k = w.markets[m]
        paid = share * k.unpaid * market_due(w, m)
        state.operator = max(0.0, state.operator - paid)
        k.drawn_operator += paid
        k.unpaid *= 1.0 - share


@inner
def limit_claims(w: World) -> None:
    """Set `eligible`: unpaid legs, each claim cut to the limit per claim."""
    limit = w.rules[0].claim_limit * w.state[0].opening
    for m in range(w.markets.shape[0]):
        w.markets[m].eligible = 0.0
    for row in range(w.state[0].hits):
        if w.rows[row].deficit <= 0.0:
            continue
        split_claim(w, row, w.rows[row].deficit)
        total = 0.0
        for m in range(w.markets.shape[0]):
            total += w.markets[m].unpaid * (w.sides[m, LONG].leg + w.sides[m, SHORT].leg)
        allowed = min(1.0, limit / total) if total > 0.0 else 0.0
        for m in range(w.markets.shape[0]):
            k = w.markets[m]
            k.eligible += allowed * k.unpaid * (w.sides[m, LONG].leg + w.sides[m, SHORT].leg)


@inner
def staked_share(w: World) -> float:
    """Cut `eligible` to the limits per market; return the share that window and tranche allow."""
    state, rules = w.state[0], w.rules[0]
    total = 0.0
    for m in range(w.markets.shape[0]):
        k = w.markets[m]
        limit = min(rules.market_limit * state.opening, k.cap) - k.used
        k.eligible = min(k.eligible, max(0.0, limit))
        total += k.eligible
    left = min(state.staked, rules.window_limit * state.opening - state.window_used)
    return min(1.0, max(0.0, left) / total) if total > 0.0 else 0.0


@inner
def pay_staked(w: World) -> None:
    """Pay what is `eligible` from the staked tranche; leave the rest in `due`."""
    state = w.state[0]
    share = staked_share(w)
    for m in range(w.markets.shape[0]):
        k = w.markets[m]
        paid = share * k.eligible
        k.used += paid
        k.drawn_staked += paid
        state.window_used += paid
        state.staked = max(0.0, state.staked - paid)
        rest = k.unpaid * market_due(w, m)
        kept = k.unpaid * max(0.0, 1.0 - paid / rest) if rest > 0.0 else 0.0
        w.sides[m, LONG].due *= kept
        w.sides[m, SHORT].due *= kept


@inner
def charge_by_size(w: World, m: int, side: int, due: float) -> float:
    """Raise the charge index of a side; return what it bears."""
    s = w.sides[m, side]
    if s.holders <= 0 or s.interest <= 0.0:
        return 0.0
    taken = min(due, w.rules[0].max_charge * w.markets[m].price * s.interest)
    s.charge += taken / s.interest
    return taken


@inline
def profit_of(w: World, i: int, m: int, side: int) -> float:
    """Unrealised profit of an account on one side of a market, 0 if it has none there."""
    q = w.size[i, m]
    if q == 0.0 or side_of(q) != side or not w.accounts[i].alive:
        return 0.0
    return max(0.0, q * w.markets[m].price + w.quote[i, m])


@inner
def charge_by_profit(w: World, m: int, side: int, due: float) -> float:
    """Cut unrealised profits of a side in proportion; return what it bears. Visits all accounts."""
    total = 0.0
    for i in range(w.size.shape[0]):
        total += profit_of(w, i, m, side)
    taken = min(due, total)
    if taken <= 0.0:
        return 0.0
    w.state[0].dirty = 1
    for i in range(w.size.shape[0]):
        cut = taken * profit_of(w, i, m, side) / total
        w.quote[i, m] -= cut
        w.accounts[i].cash -= cut
    return taken


@inner
def charge_opposite(w: World) -> bool:
    """Charge what `due` still holds to the opposite sides; True if anyone was charged."""
    charged = False
    for m in range(w.markets.shape[0]):
        for side in range(2):
            due = w.sides[m, side].due
            if due <= 0.0:
                continue
            if w.rules[0].by_profit:
                taken = charge_by_profit(w, m, 1 - side, due)
            else:
                taken = charge_by_size(w, m, 1 - side, due)
            w.markets[m].adl += taken
            w.markets[m].residual += due - taken
            charged = charged or taken > 0.0
    return charged


@inner
def settle(w: World) -> bool:
    """Fill this minute's rows, run the waterfall; True if opposite sides were charged."""
    claims = collect_claims(w)
    for row in range(w.state[0].hits):
        w.accounts[w.rows[row].account].row = -1
    if claims == 0:
        return False
    w.state[0].claims += claims
    pay_first_layers(w)
    limit_claims(w)
    pay_staked(w)
    return charge_opposite(w)


@inline
def count_minute(w: World, rounds: int) -> None:
    """Count a minute with liquidations."""
    state = w.state[0]
    state.active_minutes += 1
    state.rounds += rounds
    state.longest_cascade = max(state.longest_cascade, float(rounds))


@inline
def track(w: World, logs: FloatArray, t: int) -> None:
    """Move impact, averages and extremes on. Extremes stay log prices until `finish`."""
    keep = w.rules[0].keep
    for m in range(w.markets.shape[0]):
        k = w.markets[m]
        k.impact += k.push
        last = logs[t, m] + k.impact
        k.last = last
        k.average = keep * k.average + (1.0 - keep) * last
        k.price_low = min(k.price_low, last)
        k.price_high = max(k.price_high, last)
        if w.prices.shape[0]:
            w.prices[t, m] = k.price0 * math.exp(last)


@inner
def finish(w: World) -> None:
    """Write what is known only at the end of the path."""
    for m in range(w.markets.shape[0]):
        k = w.markets[m]
        k.price_low = math.exp(k.price_low)
        k.price_high = math.exp(k.price_high)
        k.price_end = math.exp(k.last)
    w.state[0].operator_end = w.state[0].operator
    w.state[0].staked_end = w.state[0].staked
