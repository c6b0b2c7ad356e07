"""Terms that follow the fund's solvency ratio: twin of `contracts/engine/CoverTerms.sol`.

The curve is that of `contracts/libraries/SurchargeCurve.sol`, as a multiple of its base (WAD).
"""

from __future__ import annotations

from dataclasses import replace

from .engine_state import CoverBase, LiquidationParameters, MarketParameters
from .errors import ModelError
from .fixed_point import PPM, WAD, mul_div_up
from .listing import envelope

MAX_CAP = 1_000 * WAD
_SQUARED = WAD * WAD


def curve_up(ratio: int, cap: int, floor: int) -> int:
    """The published curve at this ratio, all WAD, rounded up."""
    if ratio <= WAD // 2:
        return cap
    if ratio < WAD:
        return mul_div_up(WAD, _SQUARED + 2 * (cap - WAD) * (WAD - ratio), _SQUARED)
    if ratio < 12 * WAD // 10:
        return mul_div_up(WAD, _SQUARED - 5 * (WAD - floor) * (ratio - WAD), _SQUARED)
    return floor


def set_cover_terms(
    market: int,
    base: CoverBase | None,
    p: MarketParameters,
    liq: LiquidationParameters,
    shape: tuple[int, int, int],
) -> CoverBase:
    """Checks cap, floor and margin rise (1e-6); the values in force are the base the first time."""
    cap, floor, rise = shape
    if floor > PPM or cap < PPM or cap * 10**12 > MAX_CAP:
        raise ModelError("InvalidCurve", cap * 10**12, floor * 10**12)
    if rise > 10 * PPM:
        raise ModelError("InvalidParameter", market, "marginRisePpm")
    if base is None:
        base = CoverBase(liq.surcharge_ppm, p.fund_share_ppm, p.initial_margin_ppm, 0, 0, 0)
    base = replace(base, cap_ppm=cap, floor_ppm=floor, margin_rise_ppm=rise)
    dearest = replace(liq, surcharge_ppm=_surcharge_up(market, base, 0))
    if (needed := envelope(p, dearest)) > p.maintenance_margin_ppm:
        raise ModelError("EnvelopeViolated", market, needed, p.maintenance_margin_ppm)
    return base


def follow(
    market: int, base: CoverBase, p: MarketParameters, liq: LiquidationParameters, ratio: int
) -> tuple[MarketParameters, LiquidationParameters]:
    """The terms in force at this lagged ratio (WAD)."""
    multiple = _multiple_up(base, ratio)
    share = base.fund_share_ppm
    if multiple > WAD:
        share = min(PPM, mul_div_up(share, multiple, WAD))
    short = max(0, WAD - ratio)
    rise = mul_div_up(base.initial_margin_ppm * base.margin_rise_ppm, short, WAD * PPM)
    initial = min(PPM, base.initial_margin_ppm + rise)
    liq = replace(liq, surcharge_ppm=_surcharge_up(market, base, ratio))
    return replace(p, fund_share_ppm=share, initial_margin_ppm=initial), liq


def _surcharge_up(market: int, base: CoverBase, ratio: int) -> int:
    value = mul_div_up(base.surcharge_ppm, _multiple_up(base, ratio), WAD)
    if value > PPM:
        raise ModelError("InvalidParameter", market, "capPpm")
    return value


def _multiple_up(base: CoverBase, ratio: int) -> int:
    return curve_up(ratio, base.cap_ppm * 10**12, base.floor_ppm * 10**12)
