"""The checks of `contracts/engine/Listing.sol`: what a market's parameters must satisfy."""

from __future__ import annotations

from .engine_state import LiquidationParameters, MarketParameters
from .errors import ModelError
from .fixed_point import PPB, PPM, mul_div_up
from .margin_math import FUNDING_PERIOD

MAX_MARK_AGE = 60


def check_parameters(market: int, p: MarketParameters, liq: LiquidationParameters) -> None:
    """Raises for the first parameter that means nothing, then for a violated envelope."""
    checks = [
        ("sizeScale", p.size_scale == 0),
        ("maintenanceMarginPpm", p.maintenance_margin_ppm == 0),
        ("initialMarginPpm", not p.maintenance_margin_ppm < p.initial_margin_ppm <= PPM),
        ("maxMarkAge", p.max_mark_age > MAX_MARK_AGE),
        ("markSpeedPpb", p.mark_speed_ppb == 0),
        ("fundingClampPpb", p.funding_clamp_ppb > PPB),
        ("bandPpm", not 0 < p.band_ppm < PPM),
        ("fundSharePpm", p.fund_share_ppm > PPM),
        ("chargeCapPpm", p.charge_cap_ppm > PPM),
        ("minBase", p.min_base == 0),
        ("targetHealthPpm", liq.target_health_ppm <= PPM),
        ("minDiscountPpm", liq.min_discount_ppm > liq.max_discount_ppm),
        ("ramp", liq.ramp == 0),
        ("deleverageDelay", liq.deleverage_delay < liq.ramp),
        ("checkInterval", liq.check_interval == 0),
        ("maxStep", liq.max_step == 0),
    ]
    for name, wrong in checks:
        if wrong:
            raise ModelError("InvalidParameter", market, name)
    if (needed := envelope(p, liq)) > p.maintenance_margin_ppm:
        raise ModelError("EnvelopeViolated", market, needed, p.maintenance_margin_ppm)
    # the reward for bringing a bankrupt account must not exceed half of the fees of a pair, or
    # opening pairs would farm it
    fees = (p.maker_fee_ppm + p.taker_fee_ppm) * p.fund_share_ppm // PPM
    if liq.close_reward_cap and liq.reward_ppm * 2 > fees:
        raise ModelError("InvalidParameter", market, "rewardPpm")


def envelope(p: MarketParameters, liq: LiquidationParameters) -> int:
    """What an account can lose between two looks at it, 1e-6 of notional, rounded up:

    move + fundingClamp / 8 h * checkInterval + (1 + move) * (discount + surcharge + reward), with
    move = speed * checkInterval: the costs are those of the notional after the move.
    """
    move = mul_div_up(p.mark_speed_ppb * liq.check_interval, 1, 1000)
    funding = mul_div_up(p.funding_clamp_ppb * liq.check_interval, 1, FUNDING_PERIOD * 1000)
    costs = liq.max_discount_ppm + liq.surcharge_ppm + liq.reward_ppm
    return move + funding + mul_div_up(costs, PPM + move, PPM)
