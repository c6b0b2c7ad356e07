"""Claims that wait for a fair window: twin of `Deferral.sol` and `FairWindows.sol`, exact integers.

Claims are units of the token, everything else is WAD unless it says otherwise; `C` is quote WAD per
basis unit times `side_index.K_UNIT`. A side has open claims exactly while it has a `SideClaims`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import side_index
from .engine_markets import EngineMarkets, MarketCache, SideCache
from .engine_state import (
    NO_ACCOUNT,
    FairWindow,
    MarketClaims,
    SideClaims,
    WindowRate,
    WindowRecord,
    markets_in,
    tag_of,
)
from .errors import ModelError
from .fixed_point import mul_div_down, mul_div_up, to_int, to_uint

if TYPE_CHECKING:
    from .engine_accounts import AccountCache
    from .engine_hooks import FundPort

MARKET = bytes(32)
"""The account whose records belong to the market."""

NO_CLAIMS = MarketClaims()
NO_RECORD = WindowRecord()


class FairWindows(EngineMarkets):
    """What waits, what was taken along and paid in meanwhile, and the close."""

    fund: FundPort
    scale: int
    _closed_out: bytes | None = None
    _waiting: int = 0

    def end_transaction(self) -> None:
        """Forgets what lasts for one transaction only."""
        self._closed_out, self._waiting = None, 0

    # ------------------------------------------------------------------ claims that wait

    def claim_at_once(self, market: int, assets: int, taken: int = 0) -> tuple[int, int]:
        """What is filed at once of a claim: all, or what the market's own money pays.

        All if the rest is at most a quarter of what is left for it (the shared layers and the
        claimant's window less what waits already and what earlier claims of the event take, and
        the market's window), or if there is nothing to share.

        Args:
            market: of the claim.
            assets: claimed.
            taken: of the shared layers by earlier claims of the same event.

        Returns:
            What is filed at once, and what is taken after it.
        """
        own = self.fund.compartment(market)
        left, room = self.fund.capacity(), self.fund.room(market)
        if assets <= own or left == 0 or room == 0:
            return assets, taken
        window = self.tables.window()
        left = max(0, left - taken - (window.claims if window.closes_at else 0))
        if (assets - own) * 4 > min(left, room):
            return own, taken
        return assets, taken + assets - own

    def _hold_back(self, account: bytes, claims: list[tuple[int, int]]) -> int:
        """Lowers the claims that wait; returns the bit set of their markets."""
        waiting, concerned, taken = 0, False, 0
        self._closed_out = account
        for i, (market, assets) in enumerate(claims):
            stored = self.tables.markets.get(market)
            if stored is None or stored.income.fair_window == 0:
                continue
            concerned = True
            at_once, taken = self.claim_at_once(market, assets, taken)
            if at_once < assets:
                claims[i] = (market, at_once)
                waiting |= 1 << market
        if concerned:
            self._waiting = waiting
        return waiting

    def _defer_all(self, markets: Sequence[int], unpaid: Sequence[int], waiting: int) -> None:
        """Remembers what the fund was not asked for."""
        for market, amount in zip(markets, unpaid, strict=True):
            if waiting >> market & 1 and amount:
                self._defer(market, amount)

    def _defer(self, market: int, amount: int) -> None:
        window = self.tables.window()
        opens = window.closes_at == 0
        if opens:
            minutes = self.tables.markets[market].income.fair_window
            window = FairWindow(window.id + 1, self.now + 60 * minutes)
        assets = -(-amount // self.scale)
        self.tables.fair_window[0] = window._replace(
            markets=window.markets | 1 << market, claims=to_uint(window.claims + assets, 112)
        )
        m = self.tables.market_claims.get(market, NO_CLAIMS)
        self.tables.market_claims[market] = m._replace(
            claims=m.claims + assets, recorded=m.recorded + amount
        )
        if opens:
            self.fund.report_shortfall(market)

    def _claim_for_side(
        self, cache: MarketCache, side: SideCache, short: bool, charged: int
    ) -> None:
        """A side was charged for a claim that waits: C += charged * K_UNIT / B, rounded down."""
        if not self._waiting >> cache.id & 1:
            return
        self._waiting &= ~(1 << cache.id)
        key = (cache.id, tag_of(side.epoch, short))
        s = self.tables.side_claims.get(key) or SideClaims(window=self.tables.window().id)
        self.tables.side_claims[key] = s._replace(
            C=s.C + mul_div_down(charged, side_index.K_UNIT, side.B)
        )
        m = self.tables.market_claims[cache.id]
        self.tables.market_claims[cache.id] = m._replace(
            recorded=m.recorded - charged, side=m.side + charged
        )

    # ------------------------------------------------------------------ leaving and joining

    def _leave_claims(self, account: bytes, market: int, tag: int, basis: int, ended: bool) -> None:
        """Basis that leaves takes its part along: left += floor(basis * C / K_UNIT)."""
        s = self.tables.side_claims[market, tag]
        if ended:
            self.tables.side_claims[market, tag] = s._replace(basis=s.basis - basis)
        claim = mul_div_down(basis, s.C, side_index.K_UNIT)
        key = (MARKET if account == self._closed_out else account, market, s.window)
        if claim:
            r = self.tables.window_records.get(key, NO_RECORD)
            self.tables.window_records[key] = r._replace(left=r.left + claim)

    def _join_claims(self, a: AccountCache, market: int, tag: int, basis: int) -> None:
        """Basis that joins pays in what others paid before: joined += ceil(basis * C / K_UNIT)."""
        s = self.tables.side_claims[market, tag]
        paid = to_uint(mul_div_up(basis, s.C, side_index.K_UNIT), 128)
        a.collateral = to_int(a.collateral - paid, 120)
        key = (a.id, market, s.window)
        r = self.tables.window_records.get(key, NO_RECORD)
        self.tables.window_records[key] = r._replace(joined=r.joined + paid)
        self._pot(market, paid)

    def _pot(self, market: int, change: int) -> None:
        m = self.tables.market_claims.get(market, NO_CLAIMS)
        if m.pot + change < 0:
            raise ModelError("Panic", 0x11)
        self.tables.market_claims[market] = m._replace(pot=m.pot + change)

    # ------------------------------------------------------------------ the close

    def set_fair_window(self, market: int, minutes: int) -> None:
        """Sets the length of a market's windows; 0 switches them off for new claims."""
        self._require_listed(market)
        stored = self.tables.markets[market]
        income = stored.income._replace(fair_window=minutes)
        self.tables.markets[market] = stored._replace(income=income)

    def close_fair_window(self) -> None:
        """The fund pays what waits, pro rata: rho = min(1, capacity / claims)."""
        window = self.tables.window()
        if window.closes_at == 0:
            raise ModelError("NoFairWindow")
        if self.now < window.closes_at:
            raise ModelError("FairWindowIsOpen", window.id, window.closes_at)
        self.tables.fair_window[0] = window._replace(closes_at=0)
        waiting = {m: self.tables.market_claims[m].claims for m in markets_in(window.markets)}
        paid = self._file_shares(waiting)
        for market, claims in waiting.items():
            if self.fund.reinsured():
                paid[market] += self._file(market, claims - paid[market])
            self._pay_market(window, market, paid[market])

    def _pay_market(self, window: FairWindow, market: int, paid: int) -> None:
        m = self.tables.market_claims[market]
        stored = self.tables.markets[market]
        repaid = min(stored.recorded_deficit, mul_div_down(m.recorded, paid, m.claims))
        to_sides = mul_div_up(m.side, paid, m.claims)
        left = stored.income.fund + paid * self.scale - to_sides - repaid
        self.tables.markets[market] = stored._replace(
            recorded_deficit=stored.recorded_deficit - repaid,
            income=stored.income._replace(fund=to_uint(left, 120)),
        )
        rate = WindowRate(paid, m.claims)
        self.tables.window_rates[window.id, market] = rate
        self.tables.market_claims[market] = MarketClaims(pot=m.pot + to_sides)
        cache = self._load_stored(market)
        for side, short in zip(cache.sides, (False, True), strict=True):
            tag = tag_of(side.epoch, short)
            if (market, tag) in self.tables.side_claims:
                side.K, _ = self._repay(market, tag, side.K, side.B, rate)
                side.changed = True
        self._store(cache)

    def _file_shares(self, waiting: dict[int, int]) -> dict[int, int]:
        """Every market's part of what the shared layers can pay, by what its claims may draw.

        Its compartment comes on top.
        """
        per_claim, capacity = self.fund.per_claim(), self.fund.capacity()
        drawable = {m: min(claims, per_claim, self.fund.room(m)) for m, claims in waiting.items()}
        total, paid = sum(drawable.values()), {}
        for market, claims in waiting.items():
            asked = claims
            if capacity < total:
                share = mul_div_down(drawable[market], capacity, total)
                asked = min(claims, share + self.fund.compartment(market))
            paid[market] = self._file(market, asked)
        return paid

    def _file(self, market: int, asked: int) -> int:
        """One event, under the limits of now."""
        if asked == 0:
            return 0
        receipt = self.fund.cover([(market, asked)], 0)
        if receipt.event_id == 0:
            raise ModelError("FundDidNotPay", market)
        return receipt.legs[0].total

    def _repay(self, market: int, tag: int, K: int, B: int, rate: WindowRate) -> tuple[int, int]:
        """A side gets its part back; never more than leaves the pot. Returns K and the amount."""
        C = self.tables.side_claims[market, tag].C
        del self.tables.side_claims[market, tag]
        per_unit = mul_div_down(C, rate.paid, rate.claims)
        amount = mul_div_down(B, per_unit, side_index.K_UNIT)
        if amount == 0 or not side_index.room_for_charge(K, amount, B):
            return K, 0
        self._pot(market, -amount)
        return side_index.get_down(K, amount, B), amount

    def repay_ended(self, market: int, tag: int) -> int:
        """The positions of a side that ended inside a window get their part."""
        with self.journal.transaction():
            s = self.tables.side_claims.get((market, tag))
            ended = self.tables.ended_k.get((market, tag))
            if s is None or ended is None:
                window = s.window if s else 0
                raise ModelError("NoWindowClaim", MARKET, market, window)
            rate = self._closed_rate(market, s.window)
            K, amount = self._repay(market, tag, ended, s.basis, rate)
            self.tables.ended_k[market, tag] = K
            return amount

    def collect_window(self, account: bytes, market: int, window: int) -> int:
        """floor(left * rate) + floor(joined * (1 - rate)), into the account's collateral."""
        with self.journal.transaction():
            key = (account, market, window)
            r = self.tables.window_records.get(key, NO_RECORD)
            if r == NO_RECORD:
                raise ModelError("NoWindowClaim", account, market, window)
            rate = self._closed_rate(market, window)
            del self.tables.window_records[key]
            amount = mul_div_down(r.left, rate.paid, rate.claims)
            amount += mul_div_down(r.joined, rate.claims - rate.paid, rate.claims)
            self._pot(market, -amount)
            if account == MARKET:
                stored = self.tables.markets[market]
                income = stored.income._replace(fund=to_uint(stored.income.fund + amount, 120))
                self.tables.markets[market] = stored._replace(income=income)
            else:
                a = self.tables.accounts.get(account, NO_ACCOUNT)
                collateral = to_int(a.collateral + amount, 120)
                self.tables.accounts[account] = a._replace(collateral=collateral)
            return amount

    def _closed_rate(self, market: int, window: int) -> WindowRate:
        rate = self.tables.window_rates.get((window, market))
        if rate is None:
            raise ModelError("FairWindowIsOpen", window, self.tables.window().closes_at)
        return rate
