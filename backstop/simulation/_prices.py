"""Compiled rules of the minute: fund windows, prices with feedback, depth, running statistics."""

from __future__ import annotations

import math
from typing import Any

from ._jit import inline, inner
from ._state import LONG, SHORT, World
from .model import FloatArray


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
def depth_ratio(rules: Any, market: Any) -> float:
    """Share of normal depth left on the side that takes the minute's net flow (two records)."""
    stress = market.last - market.average
    selling = market.net > 0.0
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
        available = k.volume * depth_ratio(w.rules[0], k)
        if depth.shape[0]:
            available *= depth[t, m]
        share = abs(k.net) * k.price0 / available
        exponent = w.rules[0].exponent
        push = k.coefficient * (math.sqrt(share) if exponent == 0.5 else share**exponent)
        k.push = -push if k.net > 0.0 else push


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
