"""Sorted sweep: the fastest engine, for books in which every account is in one market only.

Per unit of size, a position on side s (+1 long, -1 short) of a market at price P has equity
`s*P - charge - y`, where `y = -cash / |size|` and `charge` is what its side has paid per unit. It
is liquidated when `y > s*P - charge - rate*P`. So with one maintenance rate a market, accounts are
liquidated in descending order of y whatever happens to prices and charges, and all amounts are
differences of running sums: a day costs a few comparisons a minute.

Running sums are kept to twice double precision, so their differences are exact to rounding.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from . import _kernel as k
from ._engine import Engine, build_pristine, build_world
from ._jit import entry, inline, inner
from .book import Book
from .errors import EngineError
from .model import Events, FloatArray, IntArray, SimulationParams

#: One record a market and side: its slice of `Ladder`, the next position and where this minute
#: began; log price at which the next one may go; y of a position without equity this minute.
QUEUE = np.dtype(
    [(name, "i8") for name in ("first", "stop", "next", "began")]
    + [(name, "f8") for name in ("trigger", "zero")]
)
RUN = np.dtype([(n, "i8") for n in ("market", "side", "start", "stop", "minute", "round")])
CROSSING = np.dtype([*RUN.descr, ("price", "f8"), ("charge", "f8")])


class Ladder(NamedTuple):
    """Positions by market and side, in descending order of y.

    y, size (|base units|): (N,). Running sums of size and of size*y before each position, with
    their rounding errors: (N + 2 M,), one more than positions in every slice.
    """

    queue: k.Records
    y: FloatArray
    size: FloatArray
    size_sum: FloatArray
    size_error: FloatArray
    value_sum: FloatArray
    value_error: FloatArray
    crossings: k.Records
    runs: IntArray


@inline
def sign(side: int) -> float:
    """+1 for longs, -1 for shorts."""
    return 1.0 if side == k.LONG else -1.0


@inline
def slack_line(w: k.World, m: int, side: int, price: float) -> float:
    """Positions with y above this are below maintenance at `price`."""
    return (sign(side) - w.tiers[m, 0].rate) * price - w.sides[m, side].charge


@inline
def sums(ladder: Ladder, m: int, side: int, start: int, stop: int) -> tuple[float, float]:
    """Sums of size and of size*y over positions start..stop (indices into `y`)."""
    shift = 2 * m + side
    a, b = start + shift, stop + shift
    size = ladder.size_sum[b] - ladder.size_sum[a] + (ladder.size_error[b] - ladder.size_error[a])
    value = ladder.value_sum[b] - ladder.value_sum[a]
    return size, value + (ladder.value_error[b] - ladder.value_error[a])


@inline
def first_not_above(y: FloatArray, line: float, start: int, stop: int) -> int:
    """First index in start..stop with y <= line, y descending: gallop, then bisect."""
    if start >= stop or y[start] <= line:
        return start
    step = 1
    low = start
    while low + step < stop and y[low + step] > line:
        low += step
        step *= 2
    high = min(low + step, stop)
    while high - low > 1:
        middle = (low + high) // 2
        if y[middle] > line:
            low = middle
        else:
            high = middle
    return high


@inline
def set_trigger(w: k.World, ladder: Ladder, m: int, side: int) -> None:
    """Log price, rounded towards caution, beyond which the next position of a side goes."""
    q = ladder.queue[m, side]
    never = -math.inf if side == k.LONG else math.inf
    if q.next >= q.stop:
        q.trigger = never
        return
    unit = (ladder.y[q.next] + w.sides[m, side].charge) / w.markets[m].price0
    price = unit / (sign(side) - w.tiers[m, 0].rate)
    if price > 0.0:
        q.trigger = math.log(price) + sign(side) * 1e-12
    else:
        q.trigger = -math.inf  # a long that survives any price, a short that survives none


@inline
def crossed(w: k.World, ladder: Ladder, logs: FloatArray, t: int) -> bool:
    """Whether any market's price may have reached its next position."""
    for m in range(w.markets.shape[0]):
        x = logs[t, m] + w.markets[m].impact + w.markets[m].push
        if x <= ladder.queue[m, k.LONG].trigger or x >= ladder.queue[m, k.SHORT].trigger:
            return True
    return False


@inline
def advance(w: k.World, ladder: Ladder, m: int, side: int, t: int, number: int) -> bool:
    """Liquidate a side's positions below maintenance at the current price; True if any."""
    q, price = ladder.queue[m, side], w.markets[m].price
    stop = first_not_above(ladder.y, slack_line(w, m, side, price), q.next, q.stop)
    if stop == q.next:
        return False
    size, _ = sums(ladder, m, side, q.next, stop)
    w.markets[m].net += sign(side) * size
    w.sides[m, side].interest -= size
    w.sides[m, side].holders -= stop - q.next
    w.state[0].closed_accounts += stop - q.next
    log_crossing(w, ladder, m, side, stop, t, number)
    q.next = stop
    set_trigger(w, ladder, m, side)
    return True


@inline
def log_crossing(
    w: k.World, ladder: Ladder, m: int, side: int, stop: int, t: int, number: int
) -> None:
    """Note a run of liquidations while there is room; the count goes on."""
    n = ladder.runs[0]
    ladder.runs[0] = n + 1
    if n < ladder.crossings.shape[0]:
        c = ladder.crossings[n]
        c.market, c.side, c.minute, c.round = m, side, t, number
        c.start, c.stop = ladder.queue[m, side].next, stop
        c.price, c.charge = w.markets[m].price, w.sides[m, side].charge


@inner
def sweep_rounds(w: k.World, ladder: Ladder, logs: FloatArray, depth: FloatArray, t: int) -> int:
    """All rounds of a minute in which a price has crossed; return their number."""
    for m in range(w.markets.shape[0]):
        for side in range(2):
            ladder.queue[m, side].began = ladder.queue[m, side].next
    for number in range(w.rules[0].max_rounds):
        k.set_prices(w, logs, t)
        found = False
        for m in range(w.markets.shape[0]):
            for side in range(2):
                found = advance(w, ladder, m, side, t, number) or found
        if not found:
            return number
        k.set_push(w, depth, t)
        last = number + 1 == w.rules[0].max_rounds
        if not last and not crossed(w, ladder, logs, t):  # the next round would find nobody
            k.set_prices(w, logs, t)
            return number + 1
    w.state[0].capped_minutes += 1
    k.set_prices(w, logs, t)
    return int(w.rules[0].max_rounds)


@inner
def settle_side(w: k.World, ladder: Ladder, m: int, side: int) -> None:
    """Book this minute's notional, fees and deficit of one side of a market."""
    q, price = ladder.queue[m, side], w.markets[m].price
    s = w.sides[m, side]
    s.due = 0.0
    if q.next == q.began:
        return
    line = sign(side) * price - s.charge  # a position with y above this has no equity left
    q.zero = line
    fee = w.rules[0].fee * price
    broke = first_not_above(ladder.y, line, q.began, q.next)
    short_of_fee = first_not_above(ladder.y, line - fee, broke, q.next)
    size, value = sums(ladder, m, side, q.began, broke)
    s.due = max(0.0, value - line * size)
    w.state[0].claims += broke - q.began
    size, value = sums(ladder, m, side, broke, short_of_fee)
    paid = max(0.0, line * size - value)
    size, _ = sums(ladder, m, side, short_of_fee, q.next)
    paid += fee * size
    size, _ = sums(ladder, m, side, q.began, q.next)
    k.book_notional(w, m, size * price, paid / (fee * size) if fee > 0.0 else 0.0)


@inner
def limit_side(w: k.World, ladder: Ladder, m: int, side: int) -> float:
    """Unpaid claims of one side, each cut to the limit per claim (USD)."""
    q = ladder.queue[m, side]
    unpaid = w.markets[m].unpaid
    limit = w.rules[0].claim_limit * w.state[0].opening
    if unpaid * w.sides[m, side].due <= limit:
        return unpaid * w.sides[m, side].due  # type: ignore[no-any-return]
    total = 0.0
    i = q.began
    while i < q.next and ladder.y[i] > q.zero:
        total += min(limit, unpaid * ladder.size[i] * (ladder.y[i] - q.zero))
        i += 1
    return total


@inner
def sweep_settle(w: k.World, ladder: Ladder) -> None:
    """Settle a minute with liquidations."""
    owed = 0.0
    for m in range(w.markets.shape[0]):
        settle_side(w, ladder, m, k.LONG)
        settle_side(w, ladder, m, k.SHORT)
        owed += k.market_due(w.sides, m)
    if owed <= 0.0:
        return
    k.pay_first_layers(w)
    for m in range(w.markets.shape[0]):
        w.markets[m].eligible = limit_side(w, ladder, m, k.LONG) + limit_side(w, ladder, m, k.SHORT)
    k.pay_staked(w)
    if k.charge_opposite(w):
        for m in range(w.markets.shape[0]):
            set_trigger(w, ladder, m, k.LONG)
            set_trigger(w, ladder, m, k.SHORT)


@entry
def run_sweep(w: k.World, ladder: Ladder, logs: FloatArray, depth: FloatArray) -> None:
    """Run one path of outside log prices (T, M)."""
    k.reset(w)
    ladder.runs[0] = 0
    for m in range(w.markets.shape[0]):
        for side in range(2):
            ladder.queue[m, side].next = ladder.queue[m, side].first
            set_trigger(w, ladder, m, side)
    for t in range(logs.shape[0]):
        k.begin_minute(w, t)
        if crossed(w, ladder, logs, t):
            rounds = sweep_rounds(w, ladder, logs, depth, t)
            if rounds > 0:
                k.count_minute(w, rounds)
                sweep_settle(w, ladder)
        k.track(w, logs, t)
    k.finish(w)
    w.state[0].events = ladder.runs[0]


@entry
def running_sums(values: FloatArray, total: FloatArray, error: FloatArray) -> None:
    """Write sums of `values` (N,) before each element into `total` (N + 1,), and their errors."""
    total[0] = error[0] = 0.0
    for i in range(values.shape[0]):
        x = values[i]
        s = total[i] + x
        back = s - total[i]
        total[i + 1] = s
        error[i + 1] = error[i] + ((total[i] - (s - back)) + (x - back))


class SweepEngine(Engine):
    """Whole liquidations in one market an account, one maintenance rate a market.

    Deficits beyond the fund are charged by size. The constructor raises EngineError, naming the
    first condition that fails; use `EnvelopeEngine` then.
    """

    def __init__(self, book: Book, params: SimulationParams) -> None:
        super().__init__(book, params)
        reason = why_not(book, params)
        if reason:
            raise EngineError(f"the sorted sweep needs {reason}; use the envelope engine")
        pristine = build_pristine(book, np.arange(book.accounts), False)
        world = build_world(book, params, pristine, 0)
        self._world = world._replace(
            accounts=np.zeros(0, k.ACCOUNTS), size=np.zeros((0, book.width))
        )
        self._ladder, self._order = build_ladder(pristine.cash, pristine.size)

    def _run(self, world: k.World, logs: FloatArray, depth: FloatArray) -> None:
        run_sweep(world, self._ladder_for(world), logs, depth)

    def _ladder_for(self, world: k.World) -> Ladder:
        if not len(world.events):
            return self._ladder
        self._crossings = np.zeros(len(world.events), CROSSING)
        return self._ladder._replace(crossings=self._crossings)

    def _events(self, world: k.World, found: int) -> Events:
        runs = self._crossings[:found]
        lengths = runs["stop"] - runs["start"]
        each = np.repeat(np.arange(found), lengths)
        offset = np.arange(len(each)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        position = runs["start"][each] + offset
        size, y = self._ladder.size[position], self._ladder.y[position]
        price = runs["price"][each]
        direction = np.where(runs["side"][each] == k.LONG, 1.0, -1.0)
        rate = world.tiers["rate"][runs["market"][each], 0]
        return Events(
            account=self._order[position],
            minute=runs["minute"][each],
            round=runs["round"][each],
            fraction=np.ones(len(each)),
            equity=size * (direction * price - runs["charge"][each] - y),
            maintenance=rate * size * price,
        )


def why_not(book: Book, params: SimulationParams) -> str:
    """Return the first condition of the sweep that does not hold, or an empty string."""
    if book.tiers.rate.shape[1] > 1 and np.any(np.diff(book.tiers.rate, axis=1) != 0):
        return "one maintenance rate a market"
    if params.liquidation.target_health:
        return "whole liquidations (target_health = 0)"
    if params.adl.basis != "size":
        return "deficits charged by size"
    if np.any(np.count_nonzero(book.size, axis=1) > 1):
        return "accounts with a position in one market only"
    return ""


def build_ladder(cash: FloatArray, size: FloatArray) -> tuple[Ladder, IntArray]:
    """Sort positions by market, side and y; also return the account of each position."""
    width = size.shape[1]
    queue = np.zeros((width, 2), QUEUE)
    parts: list[IntArray] = []
    begin = 0
    for market in range(width):
        for side, direction in ((k.LONG, 1.0), (k.SHORT, -1.0)):
            held = np.flatnonzero(direction * size[:, market] > 0)
            y = -cash[held] / np.abs(size[held, market])
            parts.append(held[np.argsort(-y, kind="stable")])
            queue[market, side]["first"], begin = begin, begin + len(held)
            queue[market, side]["stop"] = begin
    order = np.concatenate(parts)
    held_size = np.abs(size[order]).sum(axis=1)
    sums = {name: np.zeros(begin + 2 * width) for name in Ladder._fields[3:7]}
    for shift, part in enumerate(parts):
        first = int(queue.ravel()["first"][shift])
        here = slice(first + shift, first + shift + len(part) + 1)
        inside = slice(first, first + len(part))
        running_sums(held_size[inside], sums["size_sum"][here], sums["size_error"][here])
        running_sums(-cash[part], sums["value_sum"][here], sums["value_error"][here])
    ladder = Ladder(
        queue=queue,
        y=-cash[order] / held_size,
        size=held_size,
        **sums,
        crossings=np.zeros(0, CROSSING),
        runs=np.zeros(1, np.int64),
    )
    return ladder, order
