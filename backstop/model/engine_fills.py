"""Booking agreed trades, and the risk rules they must pass, as `contracts/engine/Fills.sol`."""

from __future__ import annotations

from . import margin_math, side_index
from .engine_accounts import EngineAccounts, Leg, Valuation
from .engine_markets import MarketCache, open_interest
from .engine_state import LONG, SHORT
from .errors import ModelError
from .fixed_point import (
    PPB,
    PPM,
    WAD,
    checked_int256,
    mul_div_down,
    mul_div_floor,
    mul_div_up,
    to_uint,
)
from .oracle import Validity
from .orders import Fill

DUST_SIZE = 10**9
"""Base (wei) too small to matter at any price."""


class EngineFills(EngineAccounts):
    """What the settlement contract may do."""

    def settle_fill(self, f: Fill) -> None:
        """Books a trade both sides agreed on."""
        with self.journal.transaction():
            self._settle_fill(f)

    def _settle_fill(self, f: Fill) -> None:
        cache = self._load_fresh(f.market)
        if cache.validity is Validity.INVALID:
            raise ModelError("PriceNotUsable", f.market, cache.validity, Validity.REDUCED)
        self._check_band(cache, f.fill_price)
        open_before = open_interest(cache.sides[LONG], False)

        # the buyer pays the quote rounded up, the seller gets it rounded down
        paid = -mul_div_up(f.base, f.fill_price, WAD)
        got = mul_div_down(f.base, f.fill_price, WAD)
        bought, sold = (f.base, paid), (-f.base, got)
        maker_change, taker_change = (bought, sold) if f.maker_is_buyer else (sold, bought)

        maker_fee, taker_fee = self._charge_fees(f, -paid)
        maker = self._trade(cache, f.maker, *maker_change, maker_fee)
        taker = self._trade(cache, f.taker, *taker_change, taker_fee)
        if not f.liquidation:
            self._sample_premium(cache, f.fill_price, f.base)
        self._check_open_interest(cache, open_before)
        self._store(cache)
        self._finish(cache, maker, exempt=False)
        self._finish(cache, taker, exempt=f.liquidation)

    @staticmethod
    def _check_band(cache: MarketCache, fill_price: int) -> None:
        """|fill - index| * 1e6 <= index * band"""
        width = cache.index_price * cache.parameters.band_ppm // PPM
        low, high = cache.index_price - width, cache.index_price + width
        if not low <= fill_price <= high:
            raise ModelError("OutsideBand", cache.id, fill_price, low, high)

    def _charge_fees(self, f: Fill, notional: int) -> tuple[int, int]:
        """Fees of both sides, rounded up, split between fund and treasury."""
        p = self.tables.parameters[f.market]
        maker_fee = mul_div_up(notional, p.maker_fee_ppm, PPM)
        taker_fee = 0 if f.liquidation else mul_div_up(notional, p.taker_fee_ppm, PPM)
        if maker_fee + taker_fee == 0:
            return 0, 0
        stored = self.tables.markets[f.market]
        fee = maker_fee + taker_fee
        to_fund = fee * p.fund_share_ppm // PPM
        income = stored.income._replace(
            fund=stored.income.fund + to_uint(to_fund, 120),
            treasury=stored.income.treasury + to_uint(fee - to_fund, 120),
        )
        if max(income.fund, income.treasury) >= 1 << 120:
            raise ModelError("Panic", 0x11)
        self.tables.markets[f.market] = stored._replace(income=income)
        return maker_fee, taker_fee

    def _finish(self, cache: MarketCache, leg: Leg, *, exempt: bool) -> None:
        """Checks one side of a trade and stores its account."""
        if not exempt:
            raises = _raises_risk(leg)
            self._check_minimum(cache, leg, raises)
            v = self._valuate(leg.account, cache)
            if raises:
                self._check_raised(cache, leg, v)
            else:
                self._check_lowered(cache, leg, v)
            self._clear_flag_if_healthy(leg.account, v)
        self._store_account(leg.account)

    @staticmethod
    def _check_minimum(cache: MarketCache, leg: Leg, raises: bool) -> None:
        """A trade leaves no position, or one that is worth a keeper's while.

        A last pair may leave each other the few wei by which their sides differ.
        """
        minimum = cache.parameters.smallest_position
        if leg.size and abs(leg.size) < minimum and (raises or abs(leg.size) > DUST_SIZE):
            raise ModelError(
                "PositionBelowMinimum", leg.account.id, cache.id, abs(leg.size), minimum
            )

    def _check_raised(self, cache: MarketCache, leg: Leg, v: Valuation) -> None:
        """No pause, full prices, a side that still opens, and initial margin.

        The gain that this very fill made against the mark does not count as margin.
        """
        if self.tables.markets[cache.id].income.risk_paused:
            raise ModelError("RiskIsPaused", cache.id)
        self._require_full(v)
        if cache.sides[SHORT if leg.size < 0 else LONG].A < side_index.A_MIN:
            raise ModelError("SideOnlyReduces", cache.id, leg.size > 0)
        self._require_margin(leg.account.id, v.equity - max(leg.gain, 0), v.initial_margin)

    def _check_lowered(self, cache: MarketCache, leg: Leg, v: Valuation) -> None:
        """Lowering risk; no value leaves by a bad fill while equity rests on a lost price."""
        if v.validity is Validity.INVALID:
            traded = mul_div_down(abs(leg.size - leg.size_before), cache.mark_price, WAD)
            if leg.gain < -(traded // 200):
                raise ModelError("PriceNotUsable", v.worst, v.validity, Validity.REDUCED)
        if v.equity < v.initial_margin:
            self._check_not_worse(cache, leg, v)

    def _check_not_worse(self, cache: MarketCache, leg: Leg, v: Valuation) -> None:
        """Lowering risk below initial margin: equity not negative and health no worse.

        equity' / margin' >= equity / margin, the values before derived from those after: at the
        open interest that the trade leaves, so that only what the account did itself counts.
        """
        size, quote = self._position(cache, leg.account.id)
        value, _, margin = self._value(cache, size, quote)
        value_before, _, margin_before = self._value(cache, leg.size_before, leg.quote_before)
        change = value + leg.realised - leg.fee - value_before
        equity_before = v.equity - change
        margin_before += v.maintenance_margin - margin
        if v.equity < 0 or checked_int256(v.equity * margin_before) < checked_int256(
            equity_before * v.maintenance_margin
        ):
            raise ModelError(
                "HealthWorsened",
                leg.account.id,
                equity_before,
                margin_before,
                v.equity,
                v.maintenance_margin,
            )

    @staticmethod
    def _check_open_interest(cache: MarketCache, open_before: int) -> None:
        cap = cache.parameters.open_interest_cap
        now_open = open_interest(cache.sides[LONG], False)
        if now_open > open_before and now_open > cap:
            raise ModelError("OpenInterestAboveCap", cache.id, now_open, cap)

    def _sample_premium(self, cache: MarketCache, fill_price: int, base: int) -> None:
        """Time-weighted premium of fills, every sample clamped and weighted by its size.

        held += (sample - held) * min(1, base / open interest), rounded down.
        """
        clamp = cache.parameters.funding_clamp_ppb
        premium = mul_div_floor(PPB, fill_price - cache.index_price, cache.index_price)
        cache.average_premium = margin_math.average_premium(
            cache.average_premium, cache.held_premium, self.now - cache.premium_time
        )
        premium = min(max(premium, -clamp), clamp)
        now_open = open_interest(cache.sides[LONG], False)
        if base >= now_open:
            cache.held_premium = premium
        else:
            cache.held_premium += mul_div_floor(base, premium - cache.held_premium, now_open)
        cache.premium_time = self.now


def _raises_risk(leg: Leg) -> bool:
    """A trade lowers risk if it shrinks the position without turning it round."""
    turned = leg.size * leg.size_before < 0
    return abs(leg.size) > abs(leg.size_before) or turned
