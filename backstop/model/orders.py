"""Exact twin of the bookkeeping of `contracts/OrderSettlement.sol`.

The model knows orders, nonces and filled amounts. What it takes as given is passed in: the hash of
an order, whether its signature is good, the account's position, and who is calling. Quantities and
prices are WAD, times are seconds since the epoch, an account is its 32 bytes. A method that the
contract would revert raises `ModelError` with the Solidity error's name and arguments, in the order
in which the contract checks, and leaves the state as it was.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from .errors import ModelError

MAX_NONCE: Final = 2**64 - 1


@dataclass(frozen=True)
class Order:
    """An order of an account's owner; the fields are those of the contract's struct.

    Attributes:
        account: owner's address in the first 20 bytes, subaccount number in the last 12.
        market: market number in the engine.
        is_buy: true to buy base.
        base: quantity, WAD.
        limit_price: worst price, WAD quote per base.
        expiry: last second at which it may be filled.
        nonce: consecutive numbers are cheapest, see docs/orders.md.
        reduce_only: the order only ever shrinks the account's position.
    """

    account: bytes
    market: int
    is_buy: bool
    base: int
    limit_price: int
    expiry: int
    nonce: int
    reduce_only: bool = False


class Status(IntEnum):
    """What has become of an order."""

    OPEN = 0
    PARTLY_FILLED = 1
    FILLED = 2
    CANCELLED = 3
    EXPIRED = 4


@dataclass(frozen=True)
class Signed:
    """An order as it is presented.

    Attributes:
        hash: the EIP-712 digest.
        valid: whether the signature that comes with it is its owner's.
        position: signed size of the account's position in the order's market; needed if the order
            is reduce-only.
    """

    order: Order
    hash: bytes
    valid: bool = True
    position: int = 0

    @property
    def owner(self) -> bytes:
        """The address whose signature counts, 20 bytes."""
        return self.order.account[:20]


@dataclass(frozen=True)
class Fill:
    """The trade that is handed to the engine."""

    market: int
    maker_is_buyer: bool
    liquidation: bool
    maker: bytes
    taker: bytes
    base: int
    fill_price: int


@dataclass
class OrderSettlement:
    """Filled amounts, used nonces and minimum nonces.

    Attributes:
        liquidator: the only caller of `fill_liquidation`, 20 bytes.
        used: final nonces by account: True if filled, False if cancelled.
        filled: amounts of orders that are partly filled, by hash.
    """

    liquidator: bytes = b"\0" * 20
    minimum: dict[bytes, int] = field(default_factory=lambda: defaultdict(int))
    used: dict[tuple[bytes, int], bool] = field(default_factory=dict)
    filled: dict[bytes, int] = field(default_factory=lambda: defaultdict(int))

    def fill(self, maker: Signed, taker: bytes, base: int, *, caller: bytes, now: int) -> Fill:
        """Fill a signed order against an account of the caller, at the order's limit."""
        _require_owner(taker, caller)
        return self._fill_against(maker, taker, base, False, now)

    def fill_liquidation(
        self, maker: Signed, liquidated: bytes, base: int, *, caller: bytes, now: int
    ) -> Fill:
        """Fill a signed order against an account in liquidation."""
        if caller != self.liquidator:
            raise ModelError("NotLiquidator", caller)
        return self._fill_against(maker, liquidated, base, True, now)

    def match_orders(self, maker: Signed, taker: Signed, base: int, *, now: int) -> Fill:
        """Match two signed orders at the maker's limit."""
        first, second = maker.order, taker.order
        if first.market != second.market:
            raise ModelError("DifferentMarkets", first.market, second.market)
        if first.account == second.account:
            raise ModelError("SameAccount", second.account)
        if first.is_buy == second.is_buy:
            raise ModelError("SameSide")
        buy, sell = (first, second) if first.is_buy else (second, first)
        if buy.limit_price < sell.limit_price:
            raise ModelError("NotCrossing", buy.limit_price, sell.limit_price)
        self._check(maker, now)
        self._check(taker, now)
        base = self._clip(maker, base)
        base = self._clip(taker, base)
        self._book(maker, base)
        self._book(taker, base)
        return _trade(first, second.account, base, False)

    def cancel(self, account: bytes, nonce: int, *, caller: bytes) -> None:
        """Make one nonce unusable."""
        _require_owner(account, caller)
        _require_nonce(nonce)
        self._require_usable(account, nonce)
        self.used[account, nonce] = False

    def cancel_all(self, account: bytes, new_minimum: int, *, caller: bytes) -> None:
        """Make all nonces below `new_minimum` unusable."""
        _require_owner(account, caller)
        _require_nonce(new_minimum)
        if new_minimum <= self.minimum[account]:
            raise ModelError("MinimumNonceNotRaised", self.minimum[account], new_minimum)
        self.minimum[account] = new_minimum

    def order_status(self, order: Order, digest: bytes, *, now: int) -> tuple[int, Status]:
        """Filled quantity and status. Orders that share a nonce share its fate."""
        filled = self.filled.get(digest, 0)
        state = self.used.get((order.account, order.nonce))
        if state is True:
            return (filled, Status.CANCELLED) if filled else (order.base, Status.FILLED)
        if state is False or order.nonce < self.minimum[order.account]:
            return filled, Status.CANCELLED
        if now > order.expiry:
            return filled, Status.EXPIRED
        return filled, Status.PARTLY_FILLED if filled else Status.OPEN

    def _fill_against(
        self, maker: Signed, taker: bytes, base: int, liquidation: bool, now: int
    ) -> Fill:
        if maker.order.account == taker:
            raise ModelError("SameAccount", taker)
        self._check(maker, now)
        base = self._clip(maker, base)
        self._book(maker, base)
        return _trade(maker.order, taker, base, liquidation)

    def _require_usable(self, account: bytes, nonce: int) -> None:
        if nonce < self.minimum[account]:
            raise ModelError("NonceBelowMinimum", account, nonce, self.minimum[account])
        if (account, nonce) in self.used:
            raise ModelError("NonceUsed", account, nonce)

    def _check(self, signed: Signed, now: int) -> None:
        order = signed.order
        if now > order.expiry:
            raise ModelError("OrderExpired", signed.hash, order.expiry)
        self._require_usable(order.account, order.nonce)
        if not signed.valid:
            raise ModelError("InvalidSignature", signed.hash, signed.owner)

    def _clip(self, signed: Signed, base: int) -> int:
        order = signed.order
        base = min(base, order.base - self.filled.get(signed.hash, 0))
        if order.reduce_only:
            closing = -signed.position if order.is_buy else signed.position
            if closing <= 0:
                raise ModelError("NothingToReduce", order.account, order.market)
            base = min(base, closing)
        if base == 0:
            raise ModelError("NothingToFill", signed.hash)
        return base

    def _book(self, signed: Signed, base: int) -> None:
        order = signed.order
        filled = self.filled.get(signed.hash, 0) + base
        if filled == order.base:
            self.used[order.account, order.nonce] = True
            self.filled.pop(signed.hash, None)
        else:
            self.filled[signed.hash] = filled


def _require_owner(account: bytes, caller: bytes) -> None:
    if account[:20] != caller:
        raise ModelError("NotOwner", account, caller)


def _require_nonce(nonce: int) -> None:
    if nonce > MAX_NONCE:
        raise ModelError("NonceTooLarge", nonce)


def _trade(maker: Order, taker: bytes, base: int, liquidation: bool) -> Fill:
    return Fill(
        market=maker.market,
        maker_is_buyer=maker.is_buy,
        liquidation=liquidation,
        maker=maker.account,
        taker=taker,
        base=base,
        fill_price=maker.limit_price,
    )
