"""Exact integer twin of `contracts/MarginEngine.sol` and its back office.

A public method either succeeds or raises `ModelError` with the contract's error and changes
nothing. Roles and the lock are outside the model; the hooks of the liquidator (`EngineHooks`) run
inside a transaction of their caller. Amounts are WAD unless a name says `assets` (token units).
"""

from __future__ import annotations

from .cover_terms import follow, set_cover_terms
from .engine_accounts import AccountCache
from .engine_hooks import EngineHooks, FundPort
from .engine_markets import PriceSource, open_interest
from .engine_state import (
    LONG,
    MAX_MARKETS,
    SHORT,
    Clock,
    CoverBase,
    LiquidationParameters,
    Market,
    MarketClaims,
    MarketParameters,
    MarketState,
    Side,
    SideState,
    markets_in,
    owner_of,
)
from .errors import ModelError
from .journal import Journal
from .listing import check_parameters
from .oracle import Validity
from .token import Token


class MarginEngine(EngineHooks):
    """Traders' collateral, positions and markets."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        oracle: PriceSource,
        token: Token,
        fund: FundPort,
        address: bytes,
    ) -> None:
        super().__init__(journal, clock, oracle)
        self.token = token
        self.scale = 10 ** (18 - token.decimals)
        self.fund = fund
        self.address = address

    # ------------------------------------------------------------------ traders

    def deposit(self, account: bytes, assets: int, *, caller: bytes) -> None:
        """Takes tokens from the caller into an account, anybody's."""
        with self.journal.transaction():
            if assets == 0:
                raise ModelError("ZeroAmount")
            if owner_of(account) == bytes(20):
                raise ModelError("ZeroAccount")
            self.token.transfer(caller, self.address, assets)
            self._add_collateral(account, assets * self.scale)
            a = self._load_account(account)
            if a.flagged_at:
                self._clear_flag_if_healthy(a, self._valuate(a))
                self._store_account(a)

    def withdraw(self, account: bytes, assets: int, to: bytes, *, caller: bytes) -> None:
        """Pays out of the caller's account: min(collateral, equity - IM) less locked profit."""
        with self.journal.transaction():
            if assets == 0:
                raise ModelError("ZeroAmount")
            if owner_of(account) != caller:
                raise ModelError("NotOwner", account, caller)
            a = self._load_account(account)
            if a.markets:
                v = self._valuate(a)
                self._require_full(v)
                self._realise_ended(a, v.ended)
                self._check_withdrawal(a, assets, v.equity - v.initial_margin)
                self._clear_flag_if_healthy(a, v)
            else:
                self._check_withdrawal(a, assets, a.collateral)
            a.collateral -= assets * self.scale
            self._store_account(a)
            self.token.transfer(self.address, to, assets)

    def _check_withdrawal(self, a: AccountCache, assets: int, free: int) -> None:
        available = self._withdrawable_down(a, free, self._locked_up(a))
        if assets > available:
            raise ModelError("NotWithdrawable", a.id, assets, available)

    def _withdrawable_down(self, a: AccountCache, free: int, locked: int) -> int:
        """min(collateral, free) less locked profit, in units, rounded down."""
        return max(0, min(a.collateral, free) - locked) // self.scale

    def _locked_after(self, a: AccountCache, ended: int) -> int:
        """What will be locked once `_realise_ended` has run."""
        locked = self._locked_up(a)
        for market in markets_in(ended):
            quote = self._position(self._load_stored(market), a.id)[1]
            if quote < 0:
                locked = max(0, locked + quote)
            elif self.tables.parameters[market].profit_lock:
                locked += quote
        return locked

    def _realise_ended(self, a: AccountCache, ended: int) -> None:
        """Moves the quote of positions that have no size any more to collateral."""
        for market in markets_in(ended):
            cache = self._load_stored(market)
            self._change_position(cache, a, 0, 0)
            self._store(cache)

    # ------------------------------------------------------------------ anybody

    def poke(self, market: int) -> None:
        """Brings funding and mark of a market up to date."""
        with self.journal.transaction():
            self._store(self._load_fresh(market))

    def sweep_fees(self, market: int) -> None:
        """Repays the recorded deficit from income, hands whole units of the rest to the fund."""
        with self.journal.transaction():
            self._require_listed(market)
            stored = self.tables.markets[market]
            repaid = min(stored.income.fund, stored.recorded_deficit)
            assets, rest = divmod(stored.income.fund - repaid, self.scale)
            self.tables.markets[market] = stored._replace(
                income=stored.income._replace(fund=rest),
                recorded_deficit=stored.recorded_deficit - repaid,
            )
            if assets:
                self.fund.receive_income(market, assets)

    # ------------------------------------------------------------------ governance

    def list_market(self, p: MarketParameters, liquidation: LiquidationParameters) -> int:
        """Lists a market; its number is the count before."""
        market = self.market_count
        if market == MAX_MARKETS:
            raise ModelError("InvalidParameter", market, "marketCount")
        check_parameters(market, p, liquidation)
        self.tables.markets[market] = Market((Side(), Side()), accrued_at=self.now)
        self.tables.parameters[market] = p
        self.tables.liquidation[market] = liquidation
        return market

    def set_market(
        self, market: int, p: MarketParameters, liquidation: LiquidationParameters
    ) -> None:
        """Replaces a market's parameters."""
        self._require_listed(market)
        check_parameters(market, p, liquidation)
        self.tables.parameters[market] = p
        self.tables.liquidation[market] = liquidation
        if market in self.tables.cover_bases:
            del self.tables.cover_bases[market]

    def set_cover_terms(self, market: int, cap_ppm: int, floor_ppm: int, rise_ppm: int) -> None:
        """Lets a market's terms follow the fund's lagged solvency ratio."""
        self._require_listed(market)
        tables = self.tables
        base = set_cover_terms(
            market,
            tables.cover_bases.get(market),
            tables.parameters[market],
            tables.liquidation[market],
            (cap_ppm, floor_ppm, rise_ppm),
        )
        tables.cover_bases[market] = base
        self._follow(market, base)

    def follow_fund(self, market: int) -> None:
        """Brings a market's terms up to the fund's lagged solvency ratio."""
        base = self.tables.cover_bases.get(market)
        if base is None:
            raise ModelError("NoCoverTerms", market)
        self._follow(market, base)

    def _follow(self, market: int, base: CoverBase) -> None:
        tables = self.tables
        tables.parameters[market], tables.liquidation[market] = follow(
            market,
            base,
            tables.parameters[market],
            tables.liquidation[market],
            self.fund.lagged_ratio(),
        )

    def pause_risk(self, market: int, paused: bool = True) -> None:
        """Stops risk from rising in a market, or lets it rise again."""
        self._require_listed(market)
        stored = self.tables.markets[market]
        income = stored.income._replace(risk_paused=paused)
        self.tables.markets[market] = stored._replace(income=income)

    def pay_treasury(self, market: int, to: bytes) -> None:
        """Pays the protocol's fees of a market to `to`, whole units."""
        with self.journal.transaction():
            self._require_listed(market)
            stored = self.tables.markets[market]
            assets, rest = divmod(stored.income.treasury, self.scale)
            if assets == 0:
                raise ModelError("ZeroAmount")
            income = stored.income._replace(treasury=rest)
            self.tables.markets[market] = stored._replace(income=income)
            self.token.transfer(self.address, to, assets)

    # ------------------------------------------------------------------ views

    def health(self, account: bytes) -> tuple[int, int, int]:
        """Equity, initial and maintenance margin now."""
        v = self._valuate(self._load_account(account))
        return v.equity, v.initial_margin, v.maintenance_margin

    def position_size(self, account: bytes, market: int) -> int:
        """Signed size of a position now."""
        return self._position(self._load_stored(market), account)[0]

    def withdrawable(self, account: bytes) -> int:
        """Largest number of units that `withdraw` would pay now."""
        a = self._load_account(account)
        v = self._valuate(a)
        if v.validity is not Validity.FULL:
            return 0
        a.collateral += v.ended_quote
        free = v.equity - v.initial_margin
        return self._withdrawable_down(a, free, self._locked_after(a, v.ended))

    def collateral(self, account: bytes) -> int:
        """Collateral without positions."""
        return self._load_account(account).collateral

    def market_state(self, market: int) -> MarketState:
        """Live state of a market."""
        self._require_listed(market)
        cache = self._peek(market)
        stored = self.tables.markets[market]
        return MarketState(
            open_long=open_interest(cache.sides[LONG], False),
            open_short=open_interest(cache.sides[SHORT], True),
            mark_price=cache.mark_price,
            mark_time=cache.mark_time,
            observed_at=cache.observed_at,
            validity=cache.validity,
            funding_premium_ppb=cache.average_premium,
            accrued_at=cache.accrued_at,
            fund_fees=stored.income.fund,
            treasury_fees=stored.income.treasury,
            recorded_deficit=stored.recorded_deficit,
        )

    def side_state(self, market: int) -> SideState:
        """The side index of a market as stored."""
        long, short = self.tables.markets[market].sides
        return SideState(
            basis=(long.basis, short.basis),
            A=(long.A, short.A),
            K=(long.K, short.K),
            epoch=(long.epoch, short.epoch),
        )

    def liquidation_terms(self, market: int) -> tuple[LiquidationParameters, int]:
        """Liquidation parameters and the smallest position, base WAD."""
        return self.tables.liquidation[market], self.tables.parameters[market].smallest_position

    def open_deficit(self, market: int) -> int:
        """Recorded deficit, rounded up, and claims that wait; units of the token."""
        stored = self.tables.markets.get(market)
        if stored is None:
            return 0
        m = self.tables.market_claims.get(market, MarketClaims())
        # what is recorded because a claim waits is in the claim already
        recorded = max(0, stored.recorded_deficit - m.recorded)
        return -(-recorded // self.scale) + m.claims
