"""Time-envelope engine: exact, and touching only accounts that prices could reach.

The path is cut into nested blocks of minutes. For a block, the outside prices and the decaying
impact span a box; an account whose health (equity less maintenance) is not negative at the box's
worst corner cannot be liquidated in it. Health is concave in prices because maintenance is convex,
so the worst corner is the low price for a long and the high price for a short, market by market.
Blocks of a finer level look only at the candidates of their parent. Prices are checked against the
boxes in every round; as soon as one leaves its box, boxes and candidate lists are made anew. The
result therefore never depends on how wide the boxes are, only the time does.

The filter reads a *shadow* of the accounts in single precision, one short row an account, because
memory is what a scan waits for; its coefficients are tilted so that rounding only ever adds
candidates; a sum that overflows is not a number, and kept too. Whoever passes the filter is valued
in double precision before anything happens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _kernel as k
from ._engine import Engine, build_pristine, build_world
from ._jit import entry, inline, inline_filter, inner
from .book import Book
from .errors import EngineError
from .model import FloatArray, IntArray, SimulationParams

#: Minutes of the nested blocks, coarsest first; each divides the one before it.
LEVELS = (1440, 240, 48, 12, 3)

#: Half-width (log price) added to the coarsest boxes for impact to come; finer ones by square root.
SLACK = 0.01

#: Unit roundoff of single precision, twice: what one operation of the filter may be off by.
ROUNDOFF = 1.2e-7

#: Shadow cash of accounts that are, whatever the prices, a candidate or none.
ALWAYS, NEVER = -math.inf, math.inf

BOXES = np.dtype([(n, "f8") for n in ("log_low", "log_high", "long_charge", "short_charge")])
LEVEL = np.dtype([("minutes", "i8"), ("end", "i8"), ("count", "i8"), ("slack", "f8")])

SingleArray = NDArray[np.float32]


#: Shadows of more than four markets are padded to a multiple of this, for vector instructions.
LANES = 8


class Filter(NamedTuple):
    """Candidate lists and what they are made from.

    First axis of levels (L + 2,), boxes (L + 2, M), candidates (L + 2, N), middle and spread
    (L + 2, K, M) and scanned (L + 2,), the number of accounts looked at: entry 0, the root, lists
    all accounts; 1 to L are blocks of minutes, coarsest first; L + 1, the point, is the prices of a
    round. M is padded in middle, spread and shadow.
    shadow (N, 1 + M): cash and sizes, times `unit` (1 + M,), which makes them shares of the largest
    notional; deduction (K, M) in the same unit. The accounts are ordered by radius (N,).
    """

    levels: k.Records
    boxes: k.Records
    candidates: NDArray[np.int32]
    middle: SingleArray
    spread: SingleArray
    deduction: SingleArray
    unit: FloatArray
    shadow: SingleArray
    radius: FloatArray
    scanned: IntArray


# --- preparation ---------------------------------------------------------------------------------


@inline
def worst_health(w: k.World, i: int, move: float) -> float:
    """Health of an account when every price goes against it by `move` in log price."""
    health = w.accounts[i].cash
    for m in range(w.size.shape[1]):
        q = w.size[i, m]
        price = w.markets[m].price0 * math.exp(-move if q > 0.0 else move)
        health += q * price - k.maintenance(w.tiers, m, abs(q) * price)
    return health


@entry
def safe_radii(w: k.World, steps: int, radius: FloatArray) -> None:
    """Write the largest `move`, rounded down, that leaves an account's `worst_health` positive.

    Bisection on [0, 4]; -1 for an account that is below maintenance at the start.
    """
    for i in range(w.accounts.shape[0]):
        low, high = 0.0, 4.0
        if worst_health(w, i, low) < 0.0:
            radius[i] = -1.0
            continue
        if worst_health(w, i, high) >= 0.0:
            radius[i] = high
            continue
        for _ in range(steps):
            middle = 0.5 * (low + high)
            if worst_health(w, i, middle) >= 0.0:
                low = middle
            else:
                high = middle
        radius[i] = low


# --- shadow --------------------------------------------------------------------------------------


@inline
def tolerance(width: int) -> float:
    """What the filter's sum over markets may be off by, relative to the sum of absolute values."""
    return ROUNDOFF * (width + 4)


@inline
def write_shadow_cash(w: k.World, f: Filter, i: int) -> None:
    """Copy an account's cash, rounded down; a closed one can never be a candidate again."""
    cash = w.accounts[i].cash
    low = f.unit[0] * (cash - tolerance(w.size.shape[1]) * abs(cash))
    f.shadow[i, 0] = low if w.accounts[i].alive else NEVER


@inline
def write_shadow(w: k.World, f: Filter, i: int) -> None:
    """Copy an account to single precision."""
    write_shadow_cash(w, f, i)
    for m in range(w.size.shape[1]):
        f.shadow[i, 1 + m] = f.unit[1 + m] * w.size[i, m]


@inner
def write_all_shadows(w: k.World, f: Filter) -> None:
    """Copy every account."""
    for i in range(w.accounts.shape[0]):
        write_shadow(w, f, i)


@inline
def pin_shadow(w: k.World, f: Filter, i: int) -> None:
    """Keep an account hit this minute in all candidate lists, or out of them once it is closed."""
    f.shadow[i, 0] = ALWAYS if w.accounts[i].alive else NEVER


@inner
def settle(w: k.World, f: Filter) -> None:
    """Settle the minute and bring the shadow up to date."""
    k.settle(w)
    for row in range(w.state[0].hits):
        i = w.rows[row].account
        if w.accounts[i].alive:
            write_shadow(w, f, i)
        else:
            write_shadow_cash(w, f, i)
    if w.state[0].dirty:  # charged by profit: any account may have changed
        write_all_shadows(w, f)
        expire(f)


# --- filters -------------------------------------------------------------------------------------


@inline
def set_corner(tiers: k.Records, f: Filter, level: int, m: int, low: float, high: float) -> None:
    """Write a market's coefficients of `corner_health` for a box of prices from `low` to `high`.

    Prices and charges here are multiples of the book's price.

    Per unit and tier, a long has `x` at the low price and a short owes `y` at the high one; the
    worse of q*x and q*y is `q * (x + y) / 2 - |q| * (y - x) / 2`. The second coefficient is raised
    by what rounding can amount to.
    """
    long_charge, short_charge = f.boxes[level, m].long_charge, f.boxes[level, m].short_charge
    tilt = 2.0 * tolerance(tiers.shape[0]) * (high + short_charge)
    for tier in range(tiers.shape[1]):
        rate = tiers[m, tier].rate
        x = low * (1.0 - rate) - long_charge
        y = high * (1.0 + rate) + short_charge
        f.middle[level, tier, m] = 0.5 * (x + y)
        f.spread[level, tier, m] = 0.5 * (y - x) + tilt


def _corner_health(width: int) -> Callable[..., float]:
    """Compile `corner_health` for a fixed number of markets, which the compiler unrolls; 0: any."""

    @inline_filter
    def corner_health(f: Filter, middle: SingleArray, spread: SingleArray, i: int) -> float:
        """Health of an account at the worst corner of a box, one tier a market, rounded down."""
        health = f.shadow[i, 0]
        for m in range(width or f.shadow.shape[1] - 1):
            q = f.shadow[i, 1 + m]
            health += q * middle[m] - abs(q) * spread[m]
        return health  # type: ignore[no-any-return]

    return corner_health


@inline_filter
def corner_health_tiers(f: Filter, level: int, i: int) -> float:
    """The same with several tiers: the worst of the affine pieces counts, market by market."""
    middle, spread = f.middle[level], f.spread[level]
    health = f.shadow[i, 0]
    for m in range(f.boxes.shape[1]):
        q = f.shadow[i, 1 + m]
        worst = q * middle[0, m] - abs(q) * spread[0, m]
        for tier in range(1, f.deduction.shape[0]):
            piece = q * middle[tier, m] - abs(q) * spread[tier, m]
            worst = min(worst, piece + f.deduction[tier, m])
        health += worst
    return health  # type: ignore[no-any-return]


def _narrow(width: int) -> Callable[..., int]:
    """Compile the filter for one tier and a fixed number of markets (0: any)."""
    corner_health = _corner_health(width)

    @inner
    def narrow(f: Filter, level: int) -> int:
        middle, spread = f.middle[level, 0], f.spread[level, 0]
        source, target = f.candidates[level - 1], f.candidates[level]
        kept = 0
        for j in range(f.levels[level - 1].count):
            i = source[j]
            target[kept] = i
            kept += not corner_health(f, middle, spread, i) >= 0.0
        return kept

    return narrow


narrow_any = _narrow(0)
narrow_1, narrow_2, narrow_3, narrow_4 = _narrow(1), _narrow(2), _narrow(3), _narrow(4)


@inner
def narrow_tiers(f: Filter, level: int) -> int:
    """The filter for several tiers."""
    source, target = f.candidates[level - 1], f.candidates[level]
    kept = 0
    for j in range(f.levels[level - 1].count):
        i = source[j]
        target[kept] = i
        kept += not corner_health_tiers(f, level, i) >= 0.0
    return kept


@inner
def narrow(f: Filter, level: int) -> None:
    """Fill a level's candidates from those of its parent."""
    width = f.boxes.shape[1]
    if f.deduction.shape[0] > 1:
        kept = narrow_tiers(f, level)
    elif width == 1:
        kept = narrow_1(f, level)
    elif width == 2:
        kept = narrow_2(f, level)
    elif width == 3:
        kept = narrow_3(f, level)
    elif width == 4:
        kept = narrow_4(f, level)
    else:
        kept = narrow_any(f, level)
    f.levels[level].count = kept
    f.scanned[level] += f.levels[level - 1].count


@inline
def prefix(radius: FloatArray, move: float) -> int:
    """Number of accounts (ascending `radius`) that `move` could reach."""
    low, high = 0, radius.shape[0]
    while low < high:
        middle = (low + high) // 2
        if radius[middle] <= move:
            low = middle + 1
        else:
            high = middle
    return low


@inner
def reach(w: k.World, f: Filter) -> int:
    """How many accounts, in order of radius, the coarsest block's box could reach.

    A charge per unit c is no worse for a long than a price lower by c / (1 - highest rate), and for
    a short than a price higher by c. All, once charges by profit have changed accounts.
    """
    everyone = f.radius.shape[0]
    most = 0.0
    for m in range(w.markets.shape[0]):
        box, rate = f.boxes[1, m], w.tiers[m, w.tiers.shape[1] - 1].rate
        low = math.exp(box.log_low) - box.long_charge / (1.0 - rate)
        high = math.exp(box.log_high) + box.short_charge
        if low <= 0.0 or w.state[0].dirty:
            return everyone
        most = max(most, -math.log(low), math.log(high))
    return prefix(f.radius, most * (1.0 + 1e-9))


@inner
def add_touched(w: k.World, f: Filter) -> None:
    """Put accounts changed since the start, whose radius no longer counts, on the coarsest list."""
    block = f.levels[1]
    for j in range(w.state[0].touched):
        i = w.touched[j]
        if i >= f.levels[0].count and w.accounts[i].alive:
            f.candidates[1, block.count] = i
            block.count += 1


# --- boxes ---------------------------------------------------------------------------------------


@inline
def span(w: k.World, f: Filter, logs: FloatArray, level: int, t: int, m: int) -> None:
    """Log price range of a market over a block if nothing more is liquidated, into its box."""
    impact = w.markets[m].impact + w.markets[m].push
    decay = w.rules[0].decay
    low = high = logs[t, m] + impact
    for step in range(t + 1, f.levels[level].end):
        impact *= decay
        x = logs[step, m] + impact
        low, high = min(low, x), max(high, x)
    f.boxes[level, m].log_low = low
    f.boxes[level, m].log_high = high


@inline
def widen(w: k.World, f: Filter, level: int, m: int) -> None:
    """Add slack for impact and charges to come to a box, but keep it inside its parent's."""
    market, box, parent = w.markets[m], f.boxes[level, m], f.boxes[level - 1, m]
    slack = f.levels[level].slack + abs(market.push)
    box.log_low = max(box.log_low - slack, parent.log_low)
    box.log_high = min(box.log_high + slack, parent.log_high)
    long, short = w.sides[m, k.LONG].charge, w.sides[m, k.SHORT].charge
    box.long_charge = min(headroom(long / market.price0), parent.long_charge)
    box.short_charge = min(headroom(short / market.price0), parent.short_charge)


@inline
def headroom(charge: float) -> float:
    """Bound for a relative charge that allows some more before boxes are made anew."""
    return charge + max(0.5 * charge, 0.001) if charge > 0.0 else 0.0


@inner
def rebuild(w: k.World, f: Filter, logs: FloatArray, first: int, t: int) -> None:
    """Make boxes and candidates anew from level `first` down, for blocks that start at minute t."""
    for level in range(first, f.levels.shape[0] - 1):
        block = f.levels[level]
        end = min(logs.shape[0], t - t % block.minutes + block.minutes)
        block.end = end if level == 1 else min(end, f.levels[level - 1].end)
        for m in range(w.markets.shape[0]):
            span(w, f, logs, level, t, m)
            widen(w, f, level, m)
            box = f.boxes[level, m]
            set_corner(w.tiers, f, level, m, math.exp(box.log_low), math.exp(box.log_high))
        if level == 1:
            f.levels[0].count = reach(w, f)
        narrow(f, level)
        if level == 1:
            add_touched(w, f)


@inline
def holds(w: k.World, f: Filter, logs: FloatArray, level: int, t: int) -> bool:
    """Whether a level's block is not over and prices and charges are inside its boxes."""
    if t >= f.levels[level].end:
        return False
    for m in range(w.markets.shape[0]):
        market, box = w.markets[m], f.boxes[level, m]
        x = logs[t, m] + market.impact + market.push
        if not box.log_low <= x <= box.log_high:
            return False
        if w.sides[m, k.LONG].charge > box.long_charge * market.price0:
            return False
        if w.sides[m, k.SHORT].charge > box.short_charge * market.price0:
            return False
    return True


@inner
def rebuild_invalid(w: k.World, f: Filter, logs: FloatArray, t: int) -> None:
    """Make anew the levels from the coarsest one that no longer holds."""
    finest = f.levels.shape[0] - 2
    for level in range(1, finest):
        if not holds(w, f, logs, level, t):
            rebuild(w, f, logs, level, t)
            return
    rebuild(w, f, logs, finest, t)


@inline
def expire(f: Filter) -> None:
    """Declare all blocks over."""
    for level in range(f.levels.shape[0]):
        f.levels[level].end = 0


# --- the run -------------------------------------------------------------------------------------


@inner
def aim(w: k.World, f: Filter) -> None:
    """Narrow the finest block's candidates to those below maintenance at the current prices."""
    point = f.levels.shape[0] - 1
    for m in range(w.markets.shape[0]):
        price0 = w.markets[m].price0
        f.boxes[point, m].long_charge = w.sides[m, k.LONG].charge / price0
        f.boxes[point, m].short_charge = w.sides[m, k.SHORT].charge / price0
        price = w.markets[m].price / price0
        set_corner(w.tiers, f, point, m, price, price)
    narrow(f, point)


@inner
def liquidate_candidates(w: k.World, f: Filter, t: int, number: int) -> int:
    """Liquidate who is below maintenance at the current prices; return how many."""
    found = k.rehit(w, t, number)
    aim(w, f)
    point = f.levels.shape[0] - 1
    for j in range(f.levels[point].count):
        i = int(f.candidates[point, j])
        if w.accounts[i].row < 0 and w.accounts[i].alive:
            equity, need = k.health(w, i)
            if k.liquidate_if_below(w, i, equity, need, t, number):
                pin_shadow(w, f, i)
                found += 1
    return found


@inline
def envelope_rounds(w: k.World, f: Filter, logs: FloatArray, depth: FloatArray, t: int) -> int:
    """All rounds of minute `t`; return their number."""
    finest = f.levels.shape[0] - 2
    for number in range(w.rules[0].max_rounds):
        if not holds(w, f, logs, finest, t):  # boxes are nested: if the finest holds, all do
            rebuild_invalid(w, f, logs, t)
        if number == 0 and f.levels[finest].count == 0:
            return 0
        k.set_prices(w, logs, t)
        if liquidate_candidates(w, f, t, number) == 0:
            return number
        k.set_push(w, depth, t)
    k.set_prices(w, logs, t)
    w.state[0].capped_minutes += 1
    return int(w.rules[0].max_rounds)


@entry
def run_envelope(w: k.World, f: Filter, logs: FloatArray, depth: FloatArray) -> None:
    """Run one path of outside log prices (T, M)."""
    k.reset(w)
    expire(f)
    for t in range(logs.shape[0]):
        k.begin_minute(w, t)
        rounds = envelope_rounds(w, f, logs, depth, t)
        if rounds > 0:
            k.count_minute(w, rounds)
            settle(w, f)
        k.track(w, logs, t)
    k.finish(w)


@entry
def undo(w: k.World, f: Filter, cash: FloatArray, size: FloatArray, quote: FloatArray) -> None:
    """Bring accounts and their shadow back to what they were."""
    dirty, touched = w.state[0].dirty, w.state[0].touched
    k.restore(w, cash, size, quote)
    for j in range(w.accounts.shape[0] if dirty else touched):
        write_shadow(w, f, j if dirty else w.touched[j])


@entry
def prepare(w: k.World, f: Filter) -> None:
    """Fill the shadow of a new engine."""
    write_all_shadows(w, f)


class EnvelopeEngine(Engine):
    """The engine to use; see the module's description."""

    def __init__(
        self,
        book: Book,
        params: SimulationParams,
        *,
        levels: Sequence[int] = LEVELS,
        slack: float = SLACK,
    ) -> None:
        """Prepare a book: sort accounts by safe radius and copy them.

        Raises EngineError for levels that are not nested, and the errors of `Book.validate`.
        """
        super().__init__(book, params)
        _check_levels(levels, slack)
        everyone = np.arange(book.accounts)
        first = build_world(book, params, build_pristine(book, everyone, False), 0)
        radius = np.empty(book.accounts)
        safe_radii(first, 24, radius)
        self._order = np.argsort(radius, kind="stable")
        self._pristine = build_pristine(book, self._order, params.adl.basis == "profit")
        self._world = build_world(book, params, self._pristine, book.accounts)
        self._filter = build_filter(book, radius[self._order], levels, slack)
        prepare(self._world, self._filter)

    def _number(self, inner: IntArray) -> IntArray:
        return np.asarray(self._order[inner])

    def _run(self, world: k.World, logs: FloatArray, depth: FloatArray) -> None:
        run_envelope(world, self._filter, logs, depth)
        undo(world, self._filter, *self._pristine)


def build_filter(book: Book, radius: FloatArray, levels: Sequence[int], slack: float) -> Filter:
    """Lists for accounts ordered by `radius`; 4 (L + 2) + 4 (M + 1) + 8 bytes an account."""
    count, entries, (width, tiers) = len(radius), len(levels) + 2, book.tiers.rate.shape
    largest = float(book.notional().max(initial=0.0)) or 1.0
    lanes = width if width <= 4 else -(-width // LANES) * LANES
    blocks = np.zeros(entries, LEVEL)
    blocks["minutes"][1:-1] = levels
    blocks["slack"][1:-1] = slack * np.sqrt(np.asarray(levels) / levels[0])
    boxes = np.zeros((entries, width), BOXES)
    for name, bound in (("log_low", -np.inf), ("log_high", np.inf)):
        boxes[name][0] = bound
    boxes["long_charge"][0] = boxes["short_charge"][0] = np.inf
    candidates = np.zeros((entries, count + 1), np.int32)
    candidates[0, :count] = np.arange(count)
    return Filter(
        levels=blocks,
        boxes=boxes,
        candidates=candidates,
        middle=np.zeros((entries, tiers, lanes), np.float32),
        spread=np.zeros((entries, tiers, lanes), np.float32),
        deduction=np.ascontiguousarray(book.tiers.deduction.T / largest, dtype=np.float32),
        unit=np.concatenate([[1.0], book.price]) / largest,
        shadow=np.zeros((count, 1 + lanes), np.float32),
        radius=np.ascontiguousarray(radius),
        scanned=np.zeros(entries, np.int64),
    )


def _check_levels(levels: Sequence[int], slack: float) -> None:
    if not levels or min(levels) < 1:
        raise EngineError(f"levels must be positive minutes, got {tuple(levels)}")
    for coarse, fine in pairwise(levels):
        if fine >= coarse or coarse % fine:
            raise EngineError(f"level {fine} does not divide level {coarse}")
    if not slack >= 0:
        raise EngineError(f"slack must be >= 0, got {slack}")
