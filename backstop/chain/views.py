"""What the contracts' views say, as dataclasses of exact decimals.

Amounts are in whole tokens (collateral) or base units, prices in quote tokens per base unit, times
in seconds since 1970. Nothing here sends a transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from backstop.chain.config import LiquidationParameters, MarketParameters
from backstop.chain.deploy import System
from backstop.chain.fund_parts import (
    BucketView,
    CoverTerms,
    PremiumBudget,
    StakePool,
    read_pool,
    read_premium,
    read_terms,
)
from backstop.chain.units import PPB, from_units, from_wad

VALIDITY: Final = ("invalid", "reduced", "full")
"""How far a price may be trusted, by the contracts' number."""


@dataclass(frozen=True)
class PositionView:
    """A position, valued at the mark price."""

    market: int
    name: str
    size: Decimal
    quote: Decimal
    mark_price: Decimal
    value: Decimal
    notional: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    validity: str


@dataclass(frozen=True)
class AccountView:
    """An account, valued at the mark prices.

    Attributes:
        number: the account's 32 bytes.
        withdrawable: what `withdraw` would pay now; less where a whole position was torn up with a
            profit since the account's last change: a part of that will be locked when it is booked.
        flagged_at: when its liquidation clock started; 0 if it does not run.
        bankrupt: so little equity is left that only a close-out applies.
    """

    number: bytes
    collateral: Decimal
    equity: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    locked_profit: Decimal
    withdrawable: Decimal
    flagged_at: int
    validity: str
    positions: tuple[PositionView, ...]
    bankrupt: bool

    @property
    def liquidatable(self) -> bool:
        """Equity is below maintenance margin."""
        return self.equity < self.maintenance_margin

    @property
    def health(self) -> Decimal | None:
        """Equity over maintenance margin; None without positions."""
        if not self.maintenance_margin:
            return None
        return self.equity / self.maintenance_margin


@dataclass(frozen=True)
class FeedView:
    """One price feed as the oracle sees it."""

    problem: str
    price: Decimal
    updated_at: int
    age: int


@dataclass(frozen=True)
class MarketView:
    """A market: prices, open interest, income, rules."""

    number: int
    name: str
    index_price: Decimal
    index_validity: str
    mark_price: Decimal
    validity: str
    open_long: Decimal
    open_short: Decimal
    open_interest_cap: Decimal
    funding_premium: Decimal
    fund_fees: Decimal
    treasury_fees: Decimal
    recorded_deficit: Decimal
    paused: bool
    feeds: tuple[FeedView, ...]
    parameters: MarketParameters
    liquidation: LiquidationParameters


@dataclass(frozen=True)
class CompartmentView:
    """A market's part of the fund; `room` is what it may still draw of the shared layers now,
    `window_used` how full the leaky bucket of its own limit is.
    """

    market: int
    name: str
    assets: Decimal
    cap: Decimal
    per_window: Decimal
    room: Decimal
    window_used: Decimal
    pending_income: Decimal
    recorded_deficit: Decimal


@dataclass(frozen=True)
class InventoryView:
    """The fund's own account in a market.

    Attributes:
        deployed: fund capital that is out, by what the fund's layers wait for.
        equity: what the account is worth at the mark.
        lost: put in less worth, since the last reset; at most `loss_cap` by rule.
        size: signed base held.
        price: what the next buyer pays (is paid, for a short) per base; 0 without inventory.
    """

    market: int
    name: str
    deployed: Decimal
    capital_cap: Decimal
    equity: Decimal
    lost: Decimal
    loss_cap: Decimal
    size: Decimal
    notional: Decimal
    notional_cap: Decimal
    price: Decimal


@dataclass(frozen=True)
class FundSheet:
    """The fund's balance sheet by layer, and its limits.

    Attributes:
        staked: active stake, income that has reached it included.
        slashable: what a loss can take of layer 3: also the exits that have not matured.
        backing: the operator's second slice, between layers 3 and 4.
        target: what the risk oracle says the fund should hold; 0 if there is none.
        solvency: capital over target, at most 10; `lagged_solvency` is what terms follow.
        surplus: what may leave the reserve now.
        series: number of the stake's running series; `buckets`: exits that still bear losses.
        inventories: the fund's own accounts, of the markets in which it may take inventory.
        reserve_short_since: when the reserve's gap was noted, `reserve_due` until when the operator
            has to close it; 0 while none is noted.
        surplus_since: since when the fund is seen above its surplus ratio; 0 if it is not.
        pool, premium, terms: layer 3, the budget for premiums, each market's price of cover.
    """

    total: Decimal
    compartments: tuple[CompartmentView, ...]
    reserve: Decimal
    reserve_target: Decimal
    staked: Decimal
    slashable: Decimal
    stake_cap: Decimal
    series: int
    buckets: tuple[BucketView, ...]
    staker_share_ppm: int
    backing: Decimal
    target: Decimal
    solvency: Decimal
    lagged_solvency: Decimal
    surplus: Decimal
    per_claim: Decimal
    per_window: Decimal
    window: int
    window_room: Decimal
    recorded_deficit: Decimal
    tokens_held: Decimal
    events: int
    inventories: tuple[InventoryView, ...]
    reserve_short_since: int
    reserve_due: int
    surplus_since: int
    pool: StakePool
    premium: PremiumBudget
    terms: tuple[CoverTerms, ...]


PROBLEMS: Final = (
    "none",
    "not set",
    "call failed",
    "short return",
    "not positive",
    "too large",
    "no time",
    "future",
    "stale",
    "out of bounds",
)
"""Why a feed is not used, by the oracle's number."""

# ILiquidator: equity below which an account counts as bankrupt
_DUST_EQUITY: Final = 10**10


class Reader:
    """Reads a deployed system.

    Args:
        system: the deployment.
    """

    def __init__(self, system: System) -> None:
        self.system = system

    def _name(self, market: int) -> str:
        markets = self.system.record.markets
        return markets[market].name if market < len(markets) else f"market {market}"

    def _assets(self, units: int) -> Decimal:
        return from_units(units, self.system.record.token_decimals)

    def balance(self, owner: Any) -> Decimal:
        """Collateral tokens in somebody's wallet."""
        return self._assets(self.system.token.balanceOf(owner))

    def account(self, number: bytes) -> AccountView:
        """An account with its positions."""
        s = self.system.engine.accountState(number)
        return AccountView(
            number=number,
            collateral=from_wad(s.collateral),
            equity=from_wad(s.equity),
            initial_margin=from_wad(s.initialMargin),
            maintenance_margin=from_wad(s.maintenanceMargin),
            locked_profit=from_wad(s.lockedProfit),
            withdrawable=self._assets(self.system.engine.withdrawable(number)),
            flagged_at=s.flaggedAt,
            validity=VALIDITY[s.validity],
            positions=tuple(self._position(p) for p in s.positions),
            bankrupt=s.equity < (_DUST_EQUITY if s.positions else 0),
        )

    def _position(self, p: Any) -> PositionView:
        return PositionView(
            market=p.market,
            name=self._name(p.market),
            size=from_wad(p.size),
            quote=from_wad(p.quote),
            mark_price=from_wad(p.markPrice),
            value=from_wad(p.value),
            notional=from_wad(p.notional),
            initial_margin=from_wad(p.initialMargin),
            maintenance_margin=from_wad(p.maintenanceMargin),
            validity=VALIDITY[p.validity],
        )

    def market(self, number: int) -> MarketView:
        """A market now."""
        engine = self.system.engine
        state = engine.marketState(number)
        parameters, liquidation, paused = engine.marketParameters(number)
        status = self.system.oracle.status(number, state.markPrice)
        return MarketView(
            number=number,
            name=self._name(number),
            index_price=from_wad(status.indexPrice),
            index_validity=VALIDITY[status.validity],
            mark_price=from_wad(state.markPrice),
            validity=VALIDITY[state.validity],
            open_long=from_wad(state.openLong),
            open_short=from_wad(state.openShort),
            open_interest_cap=from_wad(parameters.openInterestCap),
            funding_premium=Decimal(state.fundingPremiumPpb) / PPB,
            fund_fees=from_wad(state.fundFees),
            treasury_fees=from_wad(state.treasuryFees),
            recorded_deficit=from_wad(state.recordedDeficit),
            paused=paused,
            feeds=tuple(
                FeedView(PROBLEMS[feed.problem], from_wad(feed.price), feed.updatedAt, feed.age)
                for feed in (status.primary, status.secondary)
            ),
            parameters=MarketParameters(*parameters),
            liquidation=LiquidationParameters(*liquidation),
        )

    def markets(self) -> tuple[MarketView, ...]:
        """All markets."""
        return tuple(self.market(number) for number in range(self.system.engine.marketCount()))

    def inventories(self) -> tuple[InventoryView, ...]:
        """The backstop's accounts, of the markets in which it may hold something or does."""
        if "backstop" not in self.system.record.contracts:
            return ()
        found = (self._inventory(number) for number in range(self.system.engine.marketCount()))
        return tuple(i for i in found if i.notional_cap or i.deployed or i.size)

    def _inventory(self, number: int) -> InventoryView:
        backstop, fund = self.system.backstop, self.system.fund
        caps, book = backstop.terms(number)
        now = backstop.inventory(number)
        equity, invested = from_wad(now.equity), self._assets(book.invested)
        size, mark = from_wad(now.size), from_wad(now.markPrice)
        return InventoryView(
            market=number,
            name=self._name(number),
            deployed=self._assets(sum(fund.deployedCapital(self.system.engine.address, number))),
            capital_cap=self._assets(caps.capital),
            equity=equity,
            lost=max(Decimal(0), invested - equity),
            loss_cap=self._assets(caps.loss),
            size=size,
            notional=abs(size) * mark,
            notional_cap=self._assets(caps.notional),
            price=from_wad(now.price),
        )


class FundView(Reader):
    """Reads the insurance fund."""

    def sheet(self) -> FundSheet:
        """The balance sheet: layers 1 to 3, limits, and what nobody has paid yet."""
        fund, engine = self.system.fund, self.system.engine.address
        limits, solvency = fund.claimantLimits(engine), fund.solvency()
        surplus, gap, pool = fund.surplus(), fund.reserveGap(), read_pool(self.system)
        room = Decimal(0)
        compartments = []
        for number in range(self.system.engine.marketCount()):
            state = self.system.engine.marketState(number)
            market = fund.marketLimits(engine, number)
            per_claim, claimant_room, market_room = fund.drawRoom(engine, number)
            room = self._assets(claimant_room)
            compartments.append(
                CompartmentView(
                    market=number,
                    name=self._name(number),
                    assets=self._assets(fund.compartment(engine, number)),
                    cap=self._assets(market.compartmentCap),
                    per_window=self._assets(market.perWindow),
                    room=self._assets(min(per_claim, claimant_room, market_room)),
                    window_used=self._assets(market.perWindow - market_room),
                    pending_income=from_wad(state.fundFees),
                    recorded_deficit=from_wad(state.recordedDeficit),
                )
            )
        return FundSheet(
            total=self._assets(fund.totalCapital()),
            compartments=tuple(compartments),
            reserve=self._assets(fund.reserve()),
            reserve_target=self._assets(fund.reserveTarget()),
            staked=pool.active,
            slashable=self._assets(self.system.tranche.slashable()),
            stake_cap=pool.cap,
            series=pool.series,
            buckets=pool.buckets,
            backing=self._assets(fund.backing()),
            target=self._assets(solvency.target),
            solvency=from_wad(solvency.ratio),
            lagged_solvency=from_wad(solvency.lagged),
            surplus=self._assets(surplus.assets),
            staker_share_ppm=pool.share_ppm,
            per_claim=self._assets(limits.perClaim),
            per_window=self._assets(limits.perWindow),
            window=limits.window,
            window_room=room,
            recorded_deficit=sum((c.recorded_deficit for c in compartments), Decimal(0)),
            tokens_held=self.balance(fund.address),
            events=fund.eventCount(),
            inventories=self.inventories(),
            reserve_short_since=gap.since,
            reserve_due=gap.due,
            surplus_since=surplus.since,
            pool=pool,
            premium=read_premium(self.system),
            terms=tuple(read_terms(self.system, c.market) for c in compartments),
        )
