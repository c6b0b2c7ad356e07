"""The exact integer twin of the contracts, driven through the minutes of a simulation.

`TwinRun` opens positions by fills at the first price, then sets the feeds minute by minute and acts
as one diligent keeper: whoever is below maintenance when the minute begins is taken over by an
account of the outside world (one for longs, one for shorts, so that they never net), the solvent
ones first, then the bankrupt ones. No funding, no trading fees: the simulation has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from backstop.model.engine_state import AccountState, LiquidationParameters, MarketParameters
from backstop.model.fixed_point import PPM, WAD
from backstop.model.fund import ClaimantLimits, MarketLimits
from backstop.model.liquidator import DUST_EQUITY
from backstop.model.oracle import Feed, FeedConfig, Round
from backstop.model.orders import Fill
from backstop.model.world import World
from backstop.simulation.book import Book, Tiers
from backstop.simulation.model import (
    AdlParams,
    FundParams,
    ImpactParams,
    LiquidationParams,
    SimulationParams,
)

UNIT = 10**6
PLENTY = 10**12 * UNIT
UNLIMITED = 2**100
EVERYTHING = 2**255
START = 1_000_000_000

#: A target this far above maintenance closes all of a position, but for what counts as dust.
WHOLE_PPM = 4_000_000_000


@dataclass(frozen=True)
class Opening:
    """A buyer and a seller enter at the first price; `base` in units of 1e-6."""

    market: int
    buyer: int
    seller: int
    base: int


@dataclass(frozen=True)
class Platform:
    """What both models are set up with. Money in whole USD, ratios in ppm.

    `limits`: (per claim, per window) of the claimant and window in seconds, None for no limit.
    The default `speed_ppb` lets the mark follow any price of the tests at once.
    """

    prices: tuple[float, ...] = (100.0,)
    maintenance_ppm: int = 50_000
    surcharge_ppm: int = 5_000
    discount_ppm: int = 0
    target_ppm: int = WHOLE_PPM
    min_base: int = 20_000_000
    charge_cap_ppm: int = PPM
    size_scale: int = 10**15
    speed_ppb: int = 40_000_000
    compartment: int = 0
    reserve: int = 0
    stake: int = 0
    limits: tuple[int, int, int] | None = None

    @property
    def market(self) -> MarketParameters:
        """The contracts' parameters of every market."""
        return MarketParameters(
            open_interest_cap=10**30,
            size_scale=self.size_scale,
            initial_margin_ppm=self.maintenance_ppm + 1,
            maintenance_margin_ppm=self.maintenance_ppm,
            open_interest_slope_ppm=0,
            max_mark_age=0,
            mark_speed_ppb=self.speed_ppb,
            funding_clamp_ppb=0,
            band_ppm=500_000,
            maker_fee_ppm=0,
            taker_fee_ppm=0,
            fund_share_ppm=PPM,
            profit_lock=0,
            charge_cap_ppm=self.charge_cap_ppm,
            min_base=self.min_base,
        )

    @property
    def liquidation(self) -> LiquidationParameters:
        """The contracts' liquidation parameters of every market."""
        return LiquidationParameters(
            target_health_ppm=self.target_ppm,
            min_discount_ppm=self.discount_ppm,
            max_discount_ppm=self.discount_ppm,
            surcharge_ppm=self.surcharge_ppm,
            reward_ppm=0,
            ramp=60,
            deleverage_delay=60,
            check_interval=1,
            max_step=10**12,
            close_reward_cap=0,
        )


@dataclass
class Totals:
    """What happened so far, USD."""

    surcharge: float = 0.0
    deficit: float = 0.0
    compartment: float = 0.0
    reserve: float = 0.0
    staked: float = 0.0
    charged: float = 0.0
    recorded: float = 0.0
    closed_notional: float = 0.0
    claims: int = 0


@dataclass
class TwinRun:
    """A deployment of `platform` with accounts that hold `collateral` (whole USD) each."""

    platform: Platform
    collateral: Sequence[int]
    openings: Sequence[Opening]
    totals: Totals = field(default_factory=Totals)
    hits: list[tuple[int, int]] = field(default_factory=list)  # (minute, account)
    minutes: int = 0

    def __post_init__(self) -> None:
        self.world = World(decimals=6)
        self.world.clock.now = START
        self.accounts = [_account(1 + i) for i in range(len(self.collateral))]
        self.takers = (_account(10_001), _account(10_002))
        self._list_markets()
        self._fill_fund()
        for account, usd in zip(self.accounts, self.collateral, strict=True):
            self._deposit(account, usd * UNIT)
        for taker in self.takers:
            self._deposit(taker, PLENTY)
        for o in self.openings:
            self._open(o)

    # --- setting up ------------------------------------------------------------------------------

    def _list_markets(self) -> None:
        world, p = self.world, self.platform
        limits = p.limits or (UNLIMITED, UNLIMITED, 8 * 3600)
        world.fund.set_claimant(world.claimant, ClaimantLimits(*limits), world.now)
        for market in range(len(p.prices)):
            feeds = [Feed(f"{market}{name}", 3600, 18) for name in "ab"]
            world.oracle.set_feeds(
                market, FeedConfig(feeds[0], feeds[1], 10_000, 900_000, 10**9, 10**25)
            )
            world.engine.list_market(p.market, p.liquidation)
            at_most = MarketLimits(UNLIMITED, UNLIMITED)
            world.fund.set_claimant_market(world.claimant, market, at_most, world.now)
        self._set_feeds(p.prices)

    def _fill_fund(self) -> None:
        world, p = self.world, self.platform
        funder = _account(20_000)[:20]
        world.token.mint(funder, PLENTY)
        for market in range(len(p.prices)):
            if p.compartment:
                world.fund_compartment(market, p.compartment * UNIT, caller=funder)
        if p.reserve:
            world.fund_reserve(p.reserve * UNIT, caller=funder)
        if p.stake:
            world.fund.staking.set_terms(p.stake * UNIT, 7 * 86_400)
            world.stake(p.stake * UNIT, caller=funder)

    def _deposit(self, account: bytes, assets: int) -> None:
        self.world.token.mint(account[:20], assets)
        self.world.deposit(account, assets, caller=account[:20])

    def _open(self, o: Opening) -> None:
        price = wad(self.platform.prices[o.market])
        buyer, seller = self.accounts[o.buyer], self.accounts[o.seller]
        base = o.base * WAD // UNIT
        self.world.engine.settle_fill(Fill(o.market, True, False, buyer, seller, base, price))

    def book(self, tiers: Tiers | None = None) -> Book:
        """The same accounts, as they stand, for the simulation."""
        markets = len(self.platform.prices)
        size, quote = np.zeros((2, len(self.accounts), markets))
        collateral = np.zeros(len(self.accounts))
        for i, account in enumerate(self.accounts):
            state = self.world.engine.account_state(account)
            collateral[i] = state.collateral / WAD
            for p in state.positions:
                size[i, p.market], quote[i, p.market] = p.size / WAD, p.quote / WAD
        names = tuple(f"M{m}" for m in range(markets))
        tiers = tiers or Tiers.flat(self.platform.maintenance_ppm / PPM, markets)
        prices = np.array(self.platform.prices)
        return Book(collateral, size, quote, prices, tiers, names).validate(zero_sum=True)

    def params(self, target_health: float = 0.0) -> SimulationParams:
        """The same platform for the simulation, without impact: prices are what the feeds say."""
        p = self.platform
        return SimulationParams(
            ImpactParams(coefficient=0.0),
            FundParams(compartment=p.compartment, operator=p.reserve, staked=p.stake),
            LiquidationParams(
                surcharge=p.surcharge_ppm / PPM,
                reward=p.discount_ppm / PPM,
                target_health=target_health,
                dust=0.0,
            ),
            AdlParams(max_charge=p.charge_cap_ppm / PPM),
        )

    # --- the minutes -----------------------------------------------------------------------------

    def minute(self, prices: Sequence[float], take_positions: bool = True) -> None:
        """A minute later the feeds say `prices`, and the keeper does its round.

        Without `take_positions` bankrupt accounts are closed against the opposite side instead.
        """
        self.world.advance(60)
        self._set_feeds(prices)
        for market in range(len(prices)):
            self.world.poke(market)
        below = [i for i in range(len(self.accounts)) if self._is_below(self._state(i))]
        self.hits += [(self.minutes, i) for i in below]
        solvent = [i for i in below if self._state(i).equity >= DUST_EQUITY]
        for i in solvent:
            self._take_over(i)
        for i in below:
            if i not in solvent:
                self._close_out(i, take_positions)
        self.minutes += 1

    def equity(self, i: int) -> float:
        """Equity of an account, USD."""
        return self._state(i).equity / WAD

    def sizes(self, i: int) -> list[float]:
        """Signed sizes by market."""
        sizes = [0.0] * len(self.platform.prices)
        for p in self._state(i).positions:
            sizes[p.market] = p.size / WAD
        return sizes

    def marks(self) -> list[float]:
        """The mark prices in force."""
        engine = self.world.engine
        return [engine.market_state(m).mark_price / WAD for m in range(len(self.platform.prices))]

    def _state(self, i: int) -> AccountState:
        return self.world.engine.account_state(self.accounts[i])

    @staticmethod
    def _is_below(state: AccountState) -> bool:
        return state.equity < state.maintenance_margin or state.equity < 0

    def _set_feeds(self, prices: Sequence[float]) -> None:
        now = self.world.now
        for market, price in enumerate(prices):
            for name in "ab":
                self.world.oracle.rounds[f"{market}{name}"] = Round(wad(price), now, now)

    def _take_over(self, i: int) -> None:
        """Market by market until the account is at its target, or healthy again."""
        for p in self._state(i).positions:
            state = self._state(i)
            if state.equity >= state.maintenance_margin or p.size == 0:
                continue
            taker = self.takers[0 if p.size > 0 else 1]
            income = self._income(p.market)
            base, _ = self.world.take_over(
                self.accounts[i], p.market, taker, EVERYTHING,
                EVERYTHING if p.size > 0 else 0, caller=taker[:20],
            )  # fmt: skip
            self.totals.surcharge += (self._income(p.market) - income) / WAD
            self.totals.closed_notional += base * p.mark_price / WAD**2

    def _close_out(self, i: int, take_positions: bool) -> None:
        state = self._state(i)
        positions = [p for p in state.positions if p.size]
        taker = self.takers[0 if positions[0].size > 0 else 1]
        receipt = self.world.close_out(self.accounts[i], taker, take_positions, caller=taker[:20])
        t = self.totals
        t.claims += 1
        t.deficit += receipt.deficit / WAD
        t.compartment += receipt.compartment / WAD
        t.reserve += receipt.reserve / WAD
        t.staked += receipt.staked / WAD
        t.charged += receipt.side_charged / WAD
        t.recorded += receipt.recorded / WAD
        t.closed_notional += sum(p.notional for p in positions) / WAD

    def _income(self, market: int) -> int:
        return self.world.engine.tables.markets[market].income.fund


def _account(number: int) -> bytes:
    return number.to_bytes(20, "big") + bytes(12)


def wad(price: float) -> int:
    """A price in WAD, to the last digit a float has."""
    return round(price * 10**9) * 10**9
