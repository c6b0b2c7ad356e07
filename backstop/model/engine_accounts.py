"""Positions and margin, as `contracts/engine/Positions.sol`, `Margin.sol` and `Trades.sol`."""

from __future__ import annotations

from dataclasses import dataclass

from . import margin_math, side_index
from .engine_markets import MarketCache, open_interest
from .engine_state import (
    MAX_MARKETS_PER_ACCOUNT,
    NO_ACCOUNT,
    SHORT,
    Account,
    Position,
    ProfitLock,
    markets_in,
    tag_of,
)
from .errors import ModelError
from .fair_windows import FairWindows
from .fixed_point import WAD, mul_div_down, mul_div_floor, mul_div_up, to_int, to_uint
from .oracle import Validity


@dataclass(slots=True)
class AccountCache:
    """An account in memory."""

    id: bytes
    collateral: int
    markets: int
    flagged_at: int
    has_lock: bool


@dataclass(slots=True)
class Valuation:
    """Value and margins of an account; `worst` is the least trusted market with a position.

    `ended` names the markets whose position was closed by the end of its side's epoch, and
    `ended_quote` is what those left together.
    """

    equity: int
    initial_margin: int = 0
    maintenance_margin: int = 0
    validity: Validity = Validity.FULL
    worst: int = 0
    ended: int = 0
    ended_quote: int = 0


@dataclass(slots=True)
class Leg:
    """One side of a trade: what it did to the account, for the rules that look at it afterwards.

    `gain` is what the fill price gave against the mark, before fees.
    """

    account: AccountCache
    size_before: int
    size: int
    quote_before: int
    realised: int
    fee: int
    gain: int


class EngineAccounts(FairWindows):
    """Reading positions through the side index, changing them, valuing accounts."""

    # ------------------------------------------------------------------ positions

    def _load_account(self, account: bytes) -> AccountCache:
        stored = self.tables.accounts.get(account, NO_ACCOUNT)
        return AccountCache(account, *stored)

    def _store_account(self, a: AccountCache) -> None:
        self.tables.accounts[a.id] = Account(a.collateral, a.markets, a.flagged_at, a.has_lock)

    def _position(self, cache: MarketCache, account: bytes) -> tuple[int, int]:
        """Signed size and quote now, funding included."""
        p = self.tables.positions.get((account, cache.id))
        if p is None:
            return 0, 0
        short = p.tag & 1 == 1
        side = cache.sides[p.tag & 1]
        if p.tag >> 1 != side.epoch:
            # the side ended an epoch: the position is closed at the K of then
            ended = self.tables.ended_k.get((cache.id, p.tag), 0)
            return 0, side_index.quote_of(p.basis, p.quote_at_zero, ended)
        size = side_index.size_of(p.basis, side.A, short)
        quote = side_index.quote_of(p.basis, p.quote_at_zero, side.K)
        return -size if short else size, quote

    def _set_position(self, cache: MarketCache, a: AccountCache, size: int, quote: int) -> None:
        """Replaces a position. A size of zero needs a quote of zero."""
        key = (a.id, cache.id)
        old = self.tables.positions.get(key)
        if old is not None:
            old_side = cache.sides[old.tag & 1]
            ended = old.tag >> 1 != old_side.epoch
            if not ended:
                old_side.B -= old.basis
            other_side = size == 0 or (size < 0) != (old.tag & 1 == 1)
            if (cache.id, old.tag) in self.tables.side_claims and (ended or other_side):
                self._leave_claims(a.id, cache.id, old.tag, old.basis, ended)
        if size == 0:
            if old is not None:
                del self.tables.positions[key]
            a.markets &= ~(1 << cache.id)
            return
        short = size < 0
        side = cache.sides[SHORT if short else 0]
        if side.B == 0:
            side.A, side.K, side.changed = side_index.ONE, 0, True
        basis = side_index.basis_of(abs(size), side.A, short)
        side.B += basis
        tag = tag_of(side.epoch, short)
        if (cache.id, tag) in self.tables.side_claims:
            stayed = old.basis if old is not None and old.tag == tag else 0
            if basis > stayed:
                self._join_claims(a, cache.id, tag, basis - stayed)
            if basis < stayed:
                self._leave_claims(a.id, cache.id, tag, stayed - basis, False)
        self.tables.positions[key] = Position(
            basis=to_uint(basis, 112),
            quote_at_zero=to_int(side_index.quote_at_zero_of(basis, quote, side.K), 120),
            tag=tag,
        )
        if old is None:
            self._enter_market(a, cache.id)

    @staticmethod
    def _enter_market(a: AccountCache, market: int) -> None:
        a.markets |= 1 << market
        if a.markets.bit_count() > MAX_MARKETS_PER_ACCOUNT:
            raise ModelError("TooManyMarkets", a.id)

    def _change_position(
        self, cache: MarketCache, a: AccountCache, base_change: int, quote_change: int
    ) -> tuple[int, int]:
        """Adds to a position; the part that is closed realises its share of the quote:

            closed   = min(|baseChange|, |size|) if the signs differ, else 0
            realised = floor(quote * closed / |size|) + floor(quoteChange * closed / |baseChange|)

        Returns the size after the change and what moved to collateral.
        """
        size, quote = self._position(cache, a.id)
        realised = 0
        if size == 0:
            realised, quote = quote, quote_change  # what an ended epoch left
        else:
            if base_change and (size > 0) != (base_change > 0):
                closed = min(abs(base_change), abs(size))
                realised = mul_div_floor(closed, quote, abs(size))
                realised += mul_div_floor(closed, quote_change, abs(base_change))
            quote += quote_change - realised
        size += base_change
        if size == 0:
            realised, quote = realised + quote, 0
        self._set_position(cache, a, size, quote)
        self._realise(a, realised, cache.id)
        return size, realised

    # ------------------------------------------------------------------ realised profit

    def _realise(self, a: AccountCache, realised: int, market: int) -> None:
        """Profit is locked for the market's time; a loss eats locked profit first."""
        if realised == 0:
            return
        a.collateral = to_int(a.collateral + realised, 120)
        if realised < 0:
            if a.has_lock:
                self._shrink_lock(a, -realised)
        elif lock_seconds := self.tables.parameters[market].profit_lock:
            self._grow_lock(a, realised, lock_seconds)

    def _grow_lock(self, a: AccountCache, profit: int, lock_seconds: int) -> None:
        left = self._locked_up(a)
        if left:
            seconds_left = self.tables.profit_locks[a.id].end - self.now
            merged = margin_math.merged_release(left, seconds_left, profit, lock_seconds)
            # profit made with oneself under a shorter lock must not free what is locked already
            lock_seconds = max(merged, seconds_left)
        amount = to_uint(left + profit, 112)
        self.tables.profit_locks[a.id] = ProfitLock(amount, self.now, self.now + lock_seconds)
        a.has_lock = True

    def _shrink_lock(self, a: AccountCache, loss: int) -> None:
        left = self._locked_up(a)
        if left <= loss:
            del self.tables.profit_locks[a.id]
            a.has_lock = False
        else:
            lock = self.tables.profit_locks[a.id]
            self.tables.profit_locks[a.id] = ProfitLock(left - loss, self.now, lock.end)

    def _locked_up(self, a: AccountCache) -> int:
        """Realised profit that is not withdrawable yet, rounded up."""
        if not a.has_lock:
            return 0
        return margin_math.locked_up(*self.tables.profit_locks[a.id], self.now)

    # ------------------------------------------------------------------ margin

    def _valuate(self, a: AccountCache, cache: MarketCache | None = None) -> Valuation:
        """Values an account, taking the market that is being changed (`cache`) from memory."""
        v = Valuation(a.collateral)
        for market in markets_in(a.markets):
            if cache is None or market != cache.id:
                self._add_position(v, self._peek(market), a.id)
        if cache is not None and a.markets >> cache.id & 1:
            self._add_position(v, cache, a.id)
        return v

    def _add_position(self, v: Valuation, cache: MarketCache, account: bytes) -> None:
        size, quote = self._position(cache, account)
        if size == 0:
            v.equity += quote
            v.ended_quote += quote
            v.ended |= 1 << cache.id
            return
        value, initial, maintenance = self._value(cache, size, quote)
        v.equity += value
        v.initial_margin += initial
        v.maintenance_margin += maintenance
        if cache.validity < v.validity:
            v.validity, v.worst = cache.validity, cache.id

    @staticmethod
    def _value(cache: MarketCache, size: int, quote: int) -> tuple[int, int, int]:
        """Value at the mark, rounded down, and both margins, rounded up."""
        if size == 0:
            return quote, 0, 0
        notional = mul_div_up(abs(size), cache.mark_price, WAD)
        value = quote + (mul_div_down(size, cache.mark_price, WAD) if size > 0 else -notional)
        short = size < 0
        p = cache.parameters
        initial, maintenance = margin_math.margins(
            notional,
            open_interest(cache.sides[SHORT if short else 0], short),
            p.open_interest_cap,
            p.size_scale,
            p.open_interest_slope_ppm,
            p.initial_margin_ppm,
            p.maintenance_margin_ppm,
        )
        return value, initial, maintenance

    @staticmethod
    def _require_margin(account: bytes, equity: int, margin: int) -> None:
        if equity < margin:
            raise ModelError("InsufficientMargin", account, equity, margin)

    @staticmethod
    def _require_full(v: Valuation) -> None:
        if v.validity is not Validity.FULL:
            raise ModelError("PriceNotUsable", v.worst, v.validity, Validity.FULL)

    @staticmethod
    def _clear_flag_if_healthy(a: AccountCache, v: Valuation) -> None:
        """Stops the clock of an account that is seen to hold its maintenance margin."""
        if v.equity >= v.maintenance_margin:
            a.flagged_at = 0

    # ------------------------------------------------------------------ one side of a trade

    def _trade(
        self, cache: MarketCache, account: bytes, base_change: int, quote_change: int, fee: int
    ) -> Leg:
        """Changes the position and charges the fee. The caller stores the account."""
        a = self._load_account(account)
        size_before, quote_before = self._position(cache, account)
        gain = mul_div_floor(cache.mark_price, base_change, WAD) + quote_change
        size, realised = self._change_position(cache, a, base_change, quote_change)
        a.collateral = to_int(a.collateral - fee, 120)
        return Leg(a, size_before, size, quote_before, realised, fee, gain)
