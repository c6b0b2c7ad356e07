"""The margin engine's state, as `contracts/engine/EngineStorage.sol` keeps it.

Every record is immutable: changing one means storing another, which is what the journal undoes.
Amounts are quote WAD, sizes and basis base WAD, prices quote WAD per base, times seconds since the
epoch, ratios 1e-6 (`ppm`) or 1e-9 (`ppb`). An account is 32 bytes: the owner's address in the first
20, a subaccount number in the last 12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from . import side_index
from .journal import Journal, Table
from .oracle import Validity

MAX_MARKETS: Final = 64
MAX_MARKETS_PER_ACCOUNT: Final = 16
MAX_PRICE: Final = 10**25
MIN_BASE_UNIT: Final = 10**9
"""Unit of `MarketParameters.min_base`, wei of base."""

ZERO_ADDRESS: Final = bytes(20)

LONG: Final = 0
SHORT: Final = 1


@dataclass(frozen=True)
class MarketParameters:
    """Parameters of a market; the fields are those of `IMarginEngineTypes.MarketParameters`."""

    open_interest_cap: int
    size_scale: int
    initial_margin_ppm: int
    maintenance_margin_ppm: int
    open_interest_slope_ppm: int
    max_mark_age: int
    mark_speed_ppb: int
    funding_clamp_ppb: int
    band_ppm: int
    maker_fee_ppm: int
    taker_fee_ppm: int
    fund_share_ppm: int
    profit_lock: int
    charge_cap_ppm: int
    min_base: int

    @property
    def smallest_position(self) -> int:
        """Smallest position a trade may leave, base WAD."""
        return self.min_base * MIN_BASE_UNIT


@dataclass(frozen=True)
class LiquidationParameters:
    """How accounts are liquidated; fields of `IMarginEngineTypes.LiquidationParameters`."""

    target_health_ppm: int
    min_discount_ppm: int
    max_discount_ppm: int
    surcharge_ppm: int
    reward_ppm: int
    ramp: int
    deleverage_delay: int
    check_interval: int
    max_step: int
    close_reward_cap: int


@dataclass(frozen=True)
class CoverBase:
    """Terms where the fund is worth exactly its target, and how they follow it; 1e-6."""

    surcharge_ppm: int
    fund_share_ppm: int
    initial_margin_ppm: int
    cap_ppm: int
    floor_ppm: int
    margin_rise_ppm: int


class Account(NamedTuple):
    """Bit n of `markets` is set while the account may have a position in market n."""

    collateral: int = 0
    markets: int = 0
    flagged_at: int = 0
    has_lock: bool = False


class ProfitLock(NamedTuple):
    """Realised profit that is not withdrawable yet."""

    amount: int
    start: int
    end: int


class Position(NamedTuple):
    """`tag` is epoch * 2 + (1 if short)."""

    basis: int
    quote_at_zero: int
    tag: int


class Side(NamedTuple):
    """One side of a market as stored, with the exact sum of its positions' basis."""

    A: int = side_index.ONE
    K: int = 0
    epoch: int = 0
    basis: int = 0


class Mark(NamedTuple):
    """The mark, and the premium that funding is charged on (1e-9)."""

    price: int = 0
    time: int = 0
    observed_at: int = 0
    premium_time: int = 0
    held_premium: int = 0
    average_premium: int = 0
    validity: Validity = Validity.INVALID


class Income(NamedTuple):
    """Income waiting to be handed over, the guardian's switch, length of fair windows (minutes)."""

    fund: int = 0
    treasury: int = 0
    risk_paused: bool = False
    fair_window: int = 0


class FairWindow(NamedTuple):
    """The window that is open (`closes_at` is not 0), or the last one; claims in token units."""

    id: int = 0
    closes_at: int = 0
    markets: int = 0
    claims: int = 0


class MarketClaims(NamedTuple):
    """Claims of a market that wait (token units): charged to sides, or recorded; and the pot."""

    claims: int = 0
    side: int = 0
    recorded: int = 0
    pot: int = 0


class SideClaims(NamedTuple):
    """Claims of a side per basis unit; `basis` is that of a side that ended meanwhile."""

    C: int = 0
    basis: int = 0
    window: int = 0


class WindowRate(NamedTuple):
    """What a market was paid of its claims in a closed window, token units."""

    paid: int = 0
    claims: int = 0


class WindowRecord(NamedTuple):
    """The claim an account took along when it left, and what it paid in when it joined."""

    left: int = 0
    joined: int = 0


class Market(NamedTuple):
    """Everything about a market except its parameters."""

    sides: tuple[Side, Side]
    accrued_at: int
    mark: Mark = Mark()
    income: Income = Income()
    recorded_deficit: int = 0


@dataclass(frozen=True)
class PositionState:
    """One position valued at the mark, as `IMarginEngineTypes.PositionState`."""

    market: int
    validity: Validity
    size: int
    quote: int
    mark_price: int
    value: int
    notional: int
    initial_margin: int
    maintenance_margin: int


@dataclass(frozen=True)
class AccountState:
    """An account valued at the marks, as `IMarginEngineTypes.AccountState`."""

    collateral: int
    equity: int
    initial_margin: int
    maintenance_margin: int
    locked_profit: int
    flagged_at: int
    validity: Validity
    positions: tuple[PositionState, ...]


@dataclass(frozen=True)
class MarketState:
    """Live state of a market, as `IMarginEngineTypes.MarketState`."""

    open_long: int
    open_short: int
    mark_price: int
    mark_time: int
    observed_at: int
    validity: Validity
    funding_premium_ppb: int
    accrued_at: int
    fund_fees: int
    treasury_fees: int
    recorded_deficit: int


@dataclass(frozen=True)
class SideState:
    """The side index as stored, (long, short) each, as `IMarginEngine.sideState`."""

    basis: tuple[int, int]
    A: tuple[int, int]
    K: tuple[int, int]
    epoch: tuple[int, int]


NO_ACCOUNT: Final = Account()


class EngineTables:
    """All that the engine stores, in tables of one journal."""

    def __init__(self, journal: Journal) -> None:
        self.markets: Table[int, Market] = Table(journal)
        self.parameters: Table[int, MarketParameters] = Table(journal)
        self.liquidation: Table[int, LiquidationParameters] = Table(journal)
        self.accounts: Table[bytes, Account] = Table(journal)
        self.positions: Table[tuple[bytes, int], Position] = Table(journal)
        self.profit_locks: Table[bytes, ProfitLock] = Table(journal)
        self.ended_k: Table[tuple[int, int], int] = Table(journal)
        self.cover_bases: Table[int, CoverBase] = Table(journal)
        self.fair_window: Table[int, FairWindow] = Table(journal)
        self.market_claims: Table[int, MarketClaims] = Table(journal)
        self.side_claims: Table[tuple[int, int], SideClaims] = Table(journal)
        self.window_rates: Table[tuple[int, int], WindowRate] = Table(journal)
        self.window_records: Table[tuple[bytes, int, int], WindowRecord] = Table(journal)

    def window(self) -> FairWindow:
        """The fair window that is open, or the last one."""
        return self.fair_window.get(0, FairWindow())


@dataclass
class Clock:
    """The time that every part of a world sees: `block.timestamp`."""

    now: int = 0


def owner_of(account: bytes) -> bytes:
    """The address that owns `account`, 20 bytes."""
    return account[:20]


def markets_in(bits: int) -> list[int]:
    """Numbers of the markets in a bit set, ascending."""
    return [market for market in range(bits.bit_length()) if bits >> market & 1]


def tag_of(epoch: int, short: bool) -> int:
    """What a position carries to say which side it is on, and in which of its epochs."""
    return epoch * 2 + (1 if short else 0)
