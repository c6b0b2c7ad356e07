"""What the functions of the pure libraries must return, by their exact twins.

Arguments lie on both sides of every edge that a formula has (bounds, equal arguments, exact and
inexact divisions) and at random in the range that the contracts document. A twin that raises, or
a result that the return type cannot hold, means: the library must revert.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from backstop.model import (
    fixed_point as fp,
    inventory_math as inventory,
    liquidation_math as liquidation,
    margin_math as margin,
    side_index as side,
)
from backstop.risk.surcharge import surcharge_wad

WAD, PPM = fp.WAD, fp.PPM
REVERTS: Final = "reverts"
_MAX = 2**256 - 1
_PER_FUNCTION: Final = 160

Domain = Callable[[random.Random], Any]


@dataclass(frozen=True)
class Case:
    """One call and what must come out: a tuple of results, or REVERTS."""

    function: str
    arguments: tuple[Any, ...]
    expected: tuple[Any, ...] | str


def span(low: int, high: int, *edges: int) -> Domain:
    """An edge or a bound, or a number of random length between the bounds."""
    known = (low, high, *edges)

    def draw(rng: random.Random) -> int:
        if rng.random() < 0.4:
            return rng.choice(known)
        sign = rng.choice([s for s in (1, -1) if (high if s > 0 else -low) > 0])
        limit = high if sign > 0 else -low
        number = sign * rng.randint(0, min(limit, 2 ** rng.randint(1, limit.bit_length())))
        return min(max(number, low), high)

    return draw


def near(*others: int | Domain) -> Domain:
    """One of these, or one beside it."""

    def draw(rng: random.Random) -> int:
        other = rng.choice(others)
        number = (other if isinstance(other, int) else other(rng)) + rng.randint(-1, 1)
        return min(max(0, number), _MAX)

    return draw


amount = span(0, 2**112 - 1, 1, 2, 3, 10, WAD - 1, WAD, WAD + 1, 10**24)
positive = span(1, 2**112 - 1, 2, 3, 10, WAD - 1, WAD, WAD + 1, 10**24)
price = span(1, 10**25, 3, WAD, WAD + 1, 60_000 * WAD, 7 * WAD // 3)
ppm = span(0, PPM, 1, 2_500, 10_000, 50_000, 333_333, PPM - 1)
seconds = span(0, 10**7, 1, 2, 3_599, 3_600, 3_601, 28_800)
signed = span(-(2**119), 2**119 - 1, -1, 0, 1, -WAD, WAD)
K = span(-side.K_MAX, side.K_MAX, -1, 0, 1, -side.K_UNIT, side.K_UNIT, side.K_UNIT // 3)
factor = span(1, side.ONE, side.A_MIN, side.ONE - 1, side.ONE // 3, 2 * side.ONE // 3)
flag: Domain = lambda rng: rng.random() < 0.5  # noqa: E731
word = span(0, _MAX, 1, 2, 3, WAD, 2**128 - 1, 2**128, 2**255, 2**256 - 2)


def _guard(ok: bool, value: Any = ()) -> Any:
    if not ok:
        raise OverflowError
    return value


def _product(draw: Domain) -> Domain:
    """Three words; every other time so that the division comes out even, or one beside it."""

    def triple(rng: random.Random) -> tuple[int, ...]:
        a, b = draw(rng), draw(rng)
        if rng.random() < 0.5:
            d = max(1, draw(rng))
            return min(a - a % d + rng.choice((0, 0, 1)), _MAX), b, d
        return a, b, draw(rng)

    return triple


def _signed_product(rng: random.Random) -> tuple[int, int, int]:
    d = span(1, 2**120, 2, 3, WAD)(rng)
    b = span(-(2**150), 2**150, -1, 0, 1, -WAD, WAD)(rng)
    return span(0, 2**100, 1, 2, 3, WAD)(rng), b - b % d if rng.random() < 0.3 else b, d


def _lock(rng: random.Random) -> tuple[int, int, int, int]:
    start, length = 10**9 + rng.randint(0, 9), span(1, 10**6, 2, 3, 600)(rng)
    time = start + near(0, length, length // 2, length // 3)(rng)
    return amount(rng), start, start + length, max(time, start)


def _follow(rng: random.Random) -> tuple[int, int, int, int]:
    mark, speed, elapsed = span(0, 10**25, WAD, 3 * WAD)(rng), span(0, 10**7, 166_667)(rng), 0
    elapsed = rng.choice((0, 1, 12, 60, 90))
    step = mark * speed * elapsed // 10**9
    near_step = max(0, mark + rng.choice((-1, 1)) * (step + rng.randint(-1, 1)))
    return mark, rng.choice((near_step, price(rng), mark)), speed, elapsed


def _health(rng: random.Random) -> tuple[int, int, int, int]:
    maintenance, notional = positive(rng), positive(rng)
    equity = min(maintenance, near(0, maintenance, maintenance // 3, amount)(rng))
    return equity, maintenance, min(notional, amount(rng)), notional


def _discount(rng: random.Random) -> tuple[int, ...]:
    low, high = sorted((ppm(rng), ppm(rng)))
    equity, maintenance = _health(rng)[:2]
    ramp = span(1, 86_400, 2, 3, 60, 600)(rng)
    return equity, maintenance, low, high, near(0, ramp, ramp // 2, ramp // 3)(rng), ramp


def _notional(rng: random.Random) -> tuple[int, ...]:
    equity, maintenance, held, notional = _health(rng)
    target = PPM + ppm(rng)
    relief = fp.mul_div_down(held, target * 10**12, notional)
    return equity, maintenance, held, notional, target, near(0, relief, relief // 2)(rng)


def _step(rng: random.Random) -> tuple[int, ...]:
    size, least, mark = positive(rng), near(1, positive)(rng), price(rng)
    enough = near(size, least, max(0, size - least), amount)(rng)
    most = rng.choice((span(1, 2**60)(rng), max(1, size * mark // WAD // WAD)))
    return rng.choice((enough, _MAX)), size, mark, most, least


def _room(rng: random.Random) -> tuple[int, int, int]:
    total, basis = amount(rng), positive(rng)
    left = side.K_MAX - fp.mul_div_up(total, side.K_UNIT, basis) + rng.randint(-1, 1)
    value = left if 0 <= left <= side.K_MAX and rng.random() < 0.6 else abs(K(rng))
    return rng.choice((-1, 1)) * value, total, basis


def _shrink(rng: random.Random) -> tuple[int, int, int, bool]:
    basis, a = positive(rng), factor(rng)
    return a, near(basis, basis * a // side.ONE, amount)(rng), basis, flag(rng)


def _margins(rng: random.Random) -> tuple[int, ...]:
    cap = near(0, amount)(rng)
    interest = near(0, cap, cap // 2, amount)(rng)
    scale = span(1, 2**40, 2, 3, 10**6)(rng)
    return amount(rng), interest, cap, scale, ppm(rng), ppm(rng), ppm(rng)


def _curve(rng: random.Random) -> tuple[int, ...]:
    ratio = rng.choice((near(0, WAD // 2, WAD, 6 * WAD // 5), span(0, 2 * WAD), word))(rng)
    return amount(rng), min(ratio, _MAX), span(WAD, 1_000 * WAD)(rng), span(0, WAD)(rng)


def _loss(rng: random.Random) -> tuple[int, int, int]:
    cap, invested = amount(rng), amount(rng)
    equity = rng.choice((invested, invested - cap, signed(rng), 0)) + rng.randint(-1, 1)
    return cap, invested, equity


def _base_room(rng: random.Random) -> tuple[Any, ...]:
    cap, margin_ppm, cushion, mark = amount(rng), ppm(rng), amount(rng), price(rng)
    room = inventory.base_room_down(cap, margin_ppm, cushion, mark, 0, True)
    size = rng.choice((-1, 1)) * min(near(0, room, amount)(rng), 2**118)
    return cap, margin_ppm, cushion, mark, size, flag(rng)


def _price(rng: random.Random) -> tuple[Any, ...]:
    time, premium, most = span(1, 86_400, 2, 3, 600)(rng), ppm(rng), ppm(rng)
    crossing = premium * time // max(1, premium + most)
    elapsed = near(0, time, time // 2, crossing)(rng)
    notional = positive(rng)
    cushion = min(notional, near(0, notional, notional // 9, amount)(rng))
    return flag(rng), price(rng), premium, most, elapsed, time, cushion, notional


def _elapsed(rng: random.Random) -> tuple[int, int, int]:
    before = signed(rng)
    after = rng.choice((signed(rng), -before, before // 2, before, before + 1, 0))
    return seconds(rng), before, max(-(2**119), after)


Row = tuple[Callable[..., Any], Domain | Sequence[Domain]]

ROWS: dict[str, Row] = {
    "FixedPoint_mulDivDown": (fp.mul_div_down, _product(word)),
    "FixedPoint_mulDivUp": (fp.mul_div_up, _product(word)),
    "FixedPoint_mulDivFloor": (fp.mul_div_floor, _signed_product),
    "FixedPoint_mulDivCeil": (fp.mul_div_ceil, _signed_product),
    "FixedPoint_abs": (abs, (span(-(2**255), 2**255 - 1, -1, 0, 1),)),
    "FixedPoint_min": (min, (word, word)),
    "FixedPoint_max": (max, (signed, signed)),
    "SideIndex_ONE": (lambda: side.ONE, ()),
    "SideIndex_A_MIN": (lambda: side.A_MIN, ()),
    "SideIndex_EPOCH_MASK": (lambda: 2**23 - 1, ()),  # 24 bits less the flag of open claims
    "SideIndex_K_UNIT": (lambda: side.K_UNIT, ()),
    "SideIndex_K_MAX": (lambda: side.K_MAX, ()),
    "SideIndex_sizeOf": (side.size_of, (amount, factor, flag)),
    "SideIndex_basisOf": (side.basis_of, (amount, factor, flag)),
    "SideIndex_quoteOf": (side.quote_of, (amount, signed, K)),
    "SideIndex_quoteAtZeroOf": (side.quote_at_zero_of, (amount, signed, K)),
    "SideIndex_payUp": (side.pay_up, (K, amount, positive)),
    "SideIndex_getDown": (side.get_down, (K, amount, positive)),
    "SideIndex_shrink": (side.shrink, _shrink),
    "SideIndex_roomForCharge": (side.room_for_charge, _room),
    "MarginMath_FUNDING_PERIOD": (lambda: margin.FUNDING_PERIOD, ()),
    "MarginMath_PREMIUM_WINDOW": (lambda: margin.PREMIUM_WINDOW, ()),
    "MarginMath_PPB": (lambda: fp.PPB, ()),
    "FixedPoint_WAD": (lambda: WAD, ()),
    "FixedPoint_PPM": (lambda: PPM, ()),
    "MarginMath_margins": (margin.margins, _margins),
    "MarginMath_fundingUp": (margin.funding_up, (amount, price, span(0, 10**9, 1), seconds)),
    "MarginMath_averagePremium": (
        margin.average_premium,
        (span(-(10**9), 10**9, -1, 0, 1), span(-(10**9), 10**9, -1, 0, 1), near(seconds, 3_600)),
    ),
    "MarginMath_follow": (margin.follow, _follow),
    "MarginMath_lockedUp": (margin.locked_up, _lock),
    "MarginMath_mergedRelease": (margin.merged_release, (amount, seconds, amount, seconds)),
    "LiquidationMath_budgetDown": (liquidation.budget_down, _health),
    "LiquidationMath_discountDown": (liquidation.discount_down, _discount),
    "LiquidationMath_notionalUp": (liquidation.notional_up, _notional),
    "LiquidationMath_baseUp": (liquidation.base_up, (span(0, 2**160, 1, WAD, _MAX), price)),
    "LiquidationMath_stepBase": (liquidation.step_base, _step),
    "SurchargeCurve_WAD": (lambda: WAD, ()),
    "SurchargeCurve_RATIO_LOW": (lambda: WAD // 2, ()),
    "SurchargeCurve_RATIO_HIGH": (lambda: 6 * WAD // 5, ()),
    "SurchargeCurve_MAX_CAP": (lambda: 1_000 * WAD, ()),
    "SurchargeCurve_check": (
        lambda cap, floor: _guard(floor <= WAD <= cap <= 1_000 * WAD),
        (near(0, WAD, 1_000 * WAD, amount), near(0, WAD, amount)),
    ),
    "SurchargeCurve_surchargeUp": (surcharge_wad, _curve),
    "SurchargeCurve_ratioDown": (
        lambda capital, target: _MAX if target == 0 else fp.mul_div_down(capital, WAD, target),
        (amount, near(0, amount)),
    ),
    "InventoryMath_lossRoom": (inventory.loss_room, _loss),
    "InventoryMath_cushion": (inventory.cushion, _loss),
    "InventoryMath_baseRoomDown": (inventory.base_room_down, _base_room),
    "InventoryMath_price": (inventory.price, _price),
    "InventoryMath_elapsedDown": (inventory.elapsed_down, _elapsed),
}
"""Function of the probe -> its twin and where its arguments lie."""

_HALF = 2**128
SINGLE: tuple[tuple[str, tuple[Any, ...]], ...] = (
    # the product overflows, and what is left of it, modulo a, is b
    *((f"FixedPoint_mulDiv{way}", (_HALF + 1, _HALF, 3)) for way in ("Down", "Up")),
    ("MarginMath_margins", (0, 0, 0, 0, 0, 0, 0)),  # nothing held in a market without a scale
    ("MarginMath_lockedUp", (WAD, 10**9, 10**9, 10**9)),  # a lock of no length
    ("MarginMath_mergedRelease", (1, 1, WAD, 0)),  # one more than an exact division
    # beyond 128 bits
    ("InventoryMath_lossRoom", (2**200, 2**201, 2**201 - 7)),
    ("InventoryMath_cushion", (2**200, 2**201, 2**201 - 7)),
    # an auction of no length; nothing held, at the crossing; one above an exact division
    ("InventoryMath_price", (True, WAD, 0, 10**5, 0, 0, WAD, WAD)),
    ("InventoryMath_price", (True, WAD, 10, 10, 1, 2, 0, 0)),
    ("InventoryMath_price", (True, WAD, 0, 10**5, 10, 10, 10**9 + 1, WAD)),
    ("InventoryMath_elapsedDown", (10, 2, 1)),  # one wei is left
    # so large that the last digit of the denominator counts
    ("SurchargeCurve_surchargeUp", (10**60, 3 * WAD // 4, 4 * WAD, WAD // 4)),
    ("SurchargeCurve_surchargeUp", (10**60, 11 * WAD // 10, 4 * WAD, WAD // 4)),
)
"""Cases that random arguments are too unlikely to hit; each once let a wrong library pass."""

_SIGNED_RESULTS = ("Floor", "Ceil", "max", "quoteOf", "AtZeroOf", "payUp", "getDown", "Premium")


def cases(per_function: int = _PER_FUNCTION, seed: int = 1) -> list[Case]:
    """The cases, in an order that asks every function early; the same for the same seed."""
    made = [list(_cases_of(name, row, per_function, seed)) for name, row in ROWS.items()]
    depth = max(map(len, made))
    single = [Case(name, a, _expected(name, ROWS[name][0], a)) for name, a in SINGLE]
    return [*single, *(row[i] for i in range(depth) for row in made if i < len(row))]


def _cases_of(name: str, row: Row, count: int, seed: int) -> Iterator[Case]:
    twin, domain = row
    rng = random.Random(f"{seed}:{name}")
    seen = set()
    for _ in range(count):
        drawn = domain(rng) if callable(domain) else tuple(draw(rng) for draw in domain)
        if drawn not in seen:
            seen.add(drawn)
            yield Case(name, drawn, _expected(name, twin, drawn))


def _expected(name: str, twin: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        value = twin(*arguments)
    except (ZeroDivisionError, OverflowError):
        return REVERTS
    results = value if isinstance(value, tuple) else (value,)
    is_signed = name.endswith(_SIGNED_RESULTS)
    low, high = (-(2**255), 2**255 - 1) if is_signed else (0, _MAX)
    return results if all(low <= result <= high for result in results) else REVERTS
