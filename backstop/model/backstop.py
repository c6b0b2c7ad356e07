"""Exact integer twin of `contracts/Backstop.sol`: the fund's own accounts in the engine.

Caps and books are units of the token; equity and prices WAD. Public methods run inside the
transaction that their caller opened (`World` does).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from . import inventory_math
from .engine import MarginEngine
from .errors import ModelError
from .fixed_point import PPM
from .journal import Table

MAX_UINT112 = 2**112 - 1


@dataclass(frozen=True)
class Caps:
    """Hard limits and the auction of one market; fields of `IBackstop.Caps`."""

    capital: int = 0
    notional: int = 0
    auction_time: int = 0
    loss: int = 0
    margin_ppm: int = 0
    premium_ppm: int = 0
    max_discount_ppm: int = 0


@dataclass(frozen=True)
class Book:
    """What is remembered of one market; fields of `IBackstop.Book`."""

    invested: int = 0
    auction_start: int = 0


@dataclass(frozen=True)
class Inventory:
    """A market's account and books; fields of `IBackstop.Inventory`."""

    account: bytes
    invested: int
    size: int
    mark_price: int
    equity: int
    maintenance_margin: int
    room: int
    price: int
    auction_start: int


class CapitalPort(Protocol):
    """The fund and its token as the backstop sees them; amounts are units of the token."""

    def deploy_capital(self, market: int, assets: int) -> int:
        """Capital from the fund into the backstop's hands; returns how much."""
        ...

    def return_capital(self, market: int, assets: int) -> None:
        """Capital back to the fund."""
        ...

    def write_off_capital(self, market: int, assets: int) -> None:
        """Tells the fund what is lost."""
        ...


class Backstop:
    """The fund's accounts, their caps and books."""

    def __init__(self, engine: MarginEngine, fund: CapitalPort, address: bytes) -> None:
        self.engine = engine
        self.fund = fund
        self.address = address
        self.caps: Table[int, Caps] = Table(engine.journal)
        self.books: Table[int, Book] = Table(engine.journal)

    def account_of(self, market: int) -> bytes:
        """The account of a market."""
        return self.address + market.to_bytes(12, "big")

    def owns(self, account: bytes) -> bool:
        """Whether an account is one of these."""
        return account[:20] == self.address

    def terms(self, market: int) -> tuple[Caps, Book]:
        """Caps and book of a market."""
        return self.caps.get(market, Caps()), self.books.get(market, Book())

    # ------------------------------------------------------------------ roles

    def set_caps(self, market: int, caps: Caps) -> None:
        """Sets the caps of a market."""
        if caps.margin_ppm > PPM:
            raise ModelError("InvalidCaps", market, "marginPpm")
        if caps.premium_ppm >= PPM:
            raise ModelError("InvalidCaps", market, "premiumPpm")
        if caps.max_discount_ppm >= PPM:
            raise ModelError("InvalidCaps", market, "maxDiscountPpm")
        if caps.notional and caps.margin_ppm == 0:
            raise ModelError("InvalidCaps", market, "marginPpm")
        if caps.notional and caps.auction_time == 0:
            raise ModelError("InvalidCaps", market, "auctionTime")
        self.caps[market] = caps

    def reset_loss(self, market: int) -> int:
        """Writes the market's loss off; returns it."""
        _, book = self.terms(market)
        worth = max(0, -(-self._equity(market) // self.engine.scale))
        written_off = max(0, book.invested - worth)
        if written_off:
            self._set_invested(market, worth)
            self.fund.write_off_capital(market, written_off)
        return written_off

    # ------------------------------------------------------------------ capital

    def deploy(self, market: int, max_assets: int) -> int:
        """Brings collateral from the fund into the market's account, up to the capital cap."""
        if self.engine.open_deficit(market):
            raise ModelError("DeficitOpen", market)
        caps, book = self.terms(market)
        worth = max(0, -(-self._equity(market) // self.engine.scale))
        assets = min(max_assets, max(0, caps.capital - max(worth, book.invested)))
        if assets:
            assets = self.fund.deploy_capital(market, assets)
        if assets == 0:
            raise ModelError("NothingToDeploy", market)
        self._set_invested(market, book.invested + assets)
        self.engine.deposit(self.account_of(market), assets, caller=self.address)
        return assets

    def release(self, market: int, max_assets: int) -> int:
        """Takes collateral above the capital cap back; all that is free while a deficit is open."""
        caps, book = self.terms(market)
        worth = max(0, self._equity(market) // self.engine.scale)
        need = 0 if self.engine.open_deficit(market) else caps.capital
        account = self.account_of(market)
        assets = min(max_assets, max(0, worth - need))
        if assets:
            assets = min(assets, self.engine.withdrawable(account))
        if assets == 0:
            raise ModelError("NothingToRelease", market)
        self._set_invested(market, max(0, book.invested - assets))
        self.engine.withdraw(account, assets, self.address, caller=self.address)
        self.fund.return_capital(market, assets)
        return assets

    # ------------------------------------------------------------------ liquidator

    def note_change(self, market: int, before: int, afterwards: int) -> None:
        """Inventory changed: moves the auction."""
        _, book = self.terms(market)
        now = self.engine.now
        elapsed = inventory_math.elapsed_down(now - book.auction_start, before, afterwards)
        self.books[market] = replace(book, auction_start=now - elapsed)

    def note_deficit(self, account: bytes, assets: int) -> None:
        """The fund paid a deficit of one of these accounts."""
        market = int.from_bytes(account[20:], "big")
        _, book = self.terms(market)
        self._set_invested(market, book.invested + assets)

    # ------------------------------------------------------------------ views

    def inventory(self, market: int) -> Inventory:
        """Account, books and asking price of a market now."""
        caps, book = self.terms(market)
        scale = self.engine.scale
        account = self.account_of(market)
        s = self.engine.account_state(account)
        loss_cap, invested = caps.loss * scale, book.invested * scale
        size = mark = price = 0
        if s.positions and s.positions[0].size:
            p = s.positions[0]
            size, mark = p.size, p.mark_price
            price = inventory_math.price(
                p.size > 0,
                p.mark_price,
                caps.premium_ppm,
                caps.max_discount_ppm,
                self.engine.now - book.auction_start,
                caps.auction_time,
                inventory_math.cushion(loss_cap, invested, s.equity),
                p.notional,
            )
        return Inventory(
            account=account,
            invested=book.invested,
            size=size,
            mark_price=mark,
            equity=s.equity,
            maintenance_margin=s.maintenance_margin,
            room=inventory_math.loss_room(loss_cap, invested, s.equity),
            price=price,
            auction_start=book.auction_start,
        )

    # ------------------------------------------------------------------ inside

    def _equity(self, market: int) -> int:
        return self.engine.health(self.account_of(market))[0]

    def _set_invested(self, market: int, invested: int) -> None:
        _, book = self.terms(market)
        self.books[market] = replace(book, invested=min(invested, MAX_UINT112))
