"""Compiled rules of settlement: fills, claims, layers of the fund, charges of opposite sides."""

from __future__ import annotations

from ._jit import inline, inner
from ._positions import maintenance, side_of, value_at
from ._state import LONG, SHORT, Records, World


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
        value += value_at(w.markets, m, closed + left_size(w, i, m))
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
            w.accounts[i].cash += value_at(w.markets, m, closed)
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
        need += maintenance(w.tiers, m, notional)
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
            share = maintenance(w.tiers, m, notional) / need if need > 0.0 else notional / gross
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
def market_due(sides: Records, m: int) -> float:
    """Claims of a market over both sides, before any payment (USD)."""
    return float(sides[m, LONG].due + sides[m, SHORT].due)


@inner
def pay_first_layers(w: World) -> None:
    """Compartments, then operator reserve. Sets `unpaid`: the share of each leg still open."""
    state = w.state[0]
    rest = 0.0
    for m in range(w.markets.shape[0]):
        k = w.markets[m]
        due = market_due(w.sides, m)
        paid = min(k.compartment, due)
        k.deficit += due
        k.compartment -= paid
        k.drawn_compartment += paid
        k.unpaid = 1.0 - paid / due if due > 0.0 else 0.0
        rest += due * k.unpaid
    share = min(state.operator, rest) / rest if rest > 0.0 else 0.0
    for m in range(w.markets.shape[0]):
        k = w.markets[m]
        paid = share * k.unpaid * market_due(w.sides, m)
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
        rest = k.unpaid * market_due(w.sides, m)
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
