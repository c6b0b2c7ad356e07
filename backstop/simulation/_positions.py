"""Compiled rules of accounts: valuation, and liquidation whole or in parts."""

from __future__ import annotations

from ._jit import inline, inner
from ._state import CLOSED, LONG, RESIZED, SHORT, Records, World
from .model import FloatArray


@inline
def maintenance(tiers: Records, m: int, notional: float) -> float:
    """Maintenance of one position: the largest of the schedule's affine pieces (it is convex)."""
    need = tiers[m, 0].rate * notional
    for k in range(1, tiers.shape[1]):
        need = max(need, tiers[m, k].rate * notional - tiers[m, k].deduction)
    return float(need)


@inline
def side_of(q: float) -> int:
    """Side of a signed size."""
    return LONG if q > 0.0 else SHORT


@inline
def value_at(markets: Records, m: int, q: float) -> float:
    """Value of a signed size at the mark price, less what its side has been charged."""
    return float(q * (markets[m].long_price if q > 0.0 else markets[m].short_price))


@inline
def health(w: World, i: int) -> tuple[float, float]:
    """Equity and maintenance of an account of which nothing is being closed."""
    equity = w.accounts[i].cash
    need = 0.0
    for m in range(w.size.shape[1]):
        q = w.size[i, m]
        equity += value_at(w.markets, m, q)
        need += maintenance(w.tiers, m, abs(q) * w.markets[m].price)
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
            equity += value_at(w.markets, m, c)
            paid += abs(c) * w.markets[m].price
    return equity - w.rules[0].fee * paid, need


# --- liquidation ---------------------------------------------------------------------------------


@inline
def maintenance_slope(tiers: Records, m: int, notional: float) -> float:
    """Marginal rate at a notional; at a bracket's edge the rate below it."""
    best = 0
    most = tiers[m, 0].rate * notional
    for k in range(1, tiers.shape[1]):
        line = tiers[m, k].rate * notional - tiers[m, k].deduction
        if line > most:
            best, most = k, line
    return float(tiers[m, best].rate)


@inner
def restoring_fraction(
    rules: Records, markets: Records, tiers: Records, size: FloatArray, equity: float, gross: float
) -> float:
    """Smallest share of all positions `size` (M,) that restores the target health; at most 1.

    Newton from the left on a concave, piecewise linear function: exact after one step a bracket.
    """
    fee, target = rules[0].fee * gross, rules[0].target
    fraction = 0.0
    for _ in range(size.shape[0] * tiers.shape[1] + 2):
        gap = equity - fee * fraction
        slope = -fee
        for m in range(size.shape[0]):
            notional = abs(size[m]) * markets[m].price
            left = notional * (1.0 - fraction)
            gap -= target * maintenance(tiers, m, left)
            slope += target * maintenance_slope(tiers, m, left) * notional
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
    fraction = restoring_fraction(w.rules, w.markets, w.tiers, w.size[i], equity, gross)
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
