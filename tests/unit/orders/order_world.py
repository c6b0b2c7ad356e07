"""Order settlement on a node with a recording engine, and its twin beside it.

Everything the tests do goes through `OrderWorld`, which does it on both sides and compares: the
trade or the error, and the orders' status afterwards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from backstop.chain.signing import (
    Domain,
    Order,
    account_id,
    as_tuple,
    order_hash,
    owner_of,
    sign_order,
)
from backstop.harness.anvil import private_key
from backstop.harness.rpc import Contract, Receipt, Reverted, RpcClient
from backstop.model import orders as model
from backstop.model.errors import ModelError

WAD = 10**18
MARKET = 3
FOREVER = 2**40 - 1


def to_bytes(value: Any) -> Any:
    """Addresses as the twin has them, 20 bytes."""
    if isinstance(value, str) and value.startswith("0x") and len(value) == 42:
        return bytes.fromhex(value[2:])
    return value


def same_error(seen: Reverted, expected: ModelError) -> None:
    """The contract's error is the twin's, with the same arguments."""
    arguments = tuple(map(to_bytes, seen.arguments.values()))
    assert (seen.name, arguments) == (expected.name, expected.args)


@dataclass
class OrderWorld:
    """The settlement and whoever it needs.

    Attributes:
        users: test accounts; their keys are `private_key(index)`.
        wallet: a contract wallet whose owner is user 3.
        positions: the twin of the recording engine.
    """

    rpc: RpcClient
    users: list[Any]
    lock: Contract
    engine: Contract
    settlement: Contract
    liquidator: Contract
    wallet: Contract
    domain: Domain
    twin: model.OrderSettlement
    positions: dict[tuple[bytes, int], int] = field(default_factory=lambda: defaultdict(int))

    # --- making orders

    def account(self, user: int, sub: int = 0) -> bytes:
        """An account of a user."""
        return account_id(self.users[user].address, sub)

    def order(self, user: int = 1, sub: int = 0, **changes: Any) -> Order:
        """A buy order of one base at 2000, changed as wanted."""
        order = Order(self.account(user, sub), MARKET, True, WAD, 2000 * WAD, FOREVER, 0)
        return replace(order, **changes)

    def sign(self, order: Order, user: int | None = None) -> bytes:
        """The signature of the owner, or of another user."""
        if user is None:
            owners = [u.address for u in self.users]
            user = (
                3
                if owner_of(order.account) == self.wallet.address
                else owners.index(owner_of(order.account))
            )
        return sign_order(order, private_key(user), self.domain)

    def signed(self, order: Order, valid: bool = True) -> model.Signed:
        """The order as the twin gets it."""
        position = self.positions[order.account, order.market]
        return model.Signed(order, order_hash(order, self.domain), valid, position)

    def place(self, account: bytes, size: int, market: int = MARKET) -> None:
        """Give an account a position."""
        self.engine.setPosition(account, market, size, sender=self.users[0])
        self.positions[account, market] = size

    # --- doing things on both sides

    def fill(
        self,
        maker: Order,
        base: int = WAD,
        *,
        taker: bytes | None = None,
        caller: int = 2,
        signature: bytes | None = None,
        valid: bool = True,
        at: int | None = None,
    ) -> Receipt:
        """`fill` by a user for its first account; raises what both sides raise."""
        taker = self.account(caller) if taker is None else taker
        signature = self.sign(maker) if signature is None else signature
        at = self._at(at)
        return self._both(
            lambda: self.twin.fill(
                self.signed(maker, valid), taker, base, caller=self._caller(caller), now=at
            ),
            lambda: self.settlement.fill(
                as_tuple(maker), signature, taker, base, sender=self.users[caller]
            ),
            [maker],
            at,
        )

    def match(
        self,
        maker: Order,
        taker: Order,
        base: int = WAD,
        *,
        caller: int = 5,
        signatures: tuple[bytes, bytes] | None = None,
        valid: tuple[bool, bool] = (True, True),
        at: int | None = None,
    ) -> Receipt:
        """`matchOrders` by anybody."""
        first, second = signatures or (self.sign(maker), self.sign(taker))
        at = self._at(at)
        return self._both(
            lambda: self.twin.match_orders(
                self.signed(maker, valid[0]), self.signed(taker, valid[1]), base, now=at
            ),
            lambda: self.settlement.matchOrders(
                as_tuple(maker),
                first,
                as_tuple(taker),
                second,
                base,
                sender=self.users[caller],
            ),
            [maker, taker],
            at,
        )

    def fill_liquidation(
        self, maker: Order, liquidated: bytes, base: int = WAD, *, valid: bool = True
    ) -> Receipt:
        """`fillLiquidation` by the liquidator, which holds the lock."""
        at = self._at(None)
        call = self.settlement.fillLiquidation.encode(
            as_tuple(maker), self.sign(maker), liquidated, base
        )
        return self._both(
            lambda: self.twin.fill_liquidation(
                self.signed(maker, valid), liquidated, base, caller=self.twin.liquidator, now=at
            ),
            lambda: self.liquidator.callLocked(self.settlement.address, call, sender=self.users[0]),
            [maker],
            at,
        )

    def cancel(self, account: bytes, nonce: int, *, caller: int) -> Receipt:
        """`cancel` by a user."""
        return self._both(
            lambda: self.twin.cancel(account, nonce, caller=self._caller(caller)),
            lambda: self.settlement.cancel(account, nonce, sender=self.users[caller]),
        )

    def cancel_all(self, account: bytes, minimum: int, *, caller: int) -> Receipt:
        """`cancelAll` by a user."""
        receipt = self._both(
            lambda: self.twin.cancel_all(account, minimum, caller=self._caller(caller)),
            lambda: self.settlement.cancelAll(account, minimum, sender=self.users[caller]),
        )
        assert self.settlement.minimumNonce(account) == minimum
        return receipt

    def status(self, order: Order, at: int | None = None) -> tuple[int, model.Status]:
        """`orderStatus`, the same on both sides."""
        at = self.rpc.timestamp if at is None else at
        seen = self.settlement.orderStatus(as_tuple(order), at=at)
        expected = self.twin.order_status(order, order_hash(order, self.domain), now=at)
        assert (seen.filled, seen.status) == expected
        return expected

    # --- the machinery

    def _caller(self, user: int) -> bytes:
        return bytes.fromhex(self.users[user].address[2:])

    def _at(self, at: int | None) -> int:
        """The time of the next transaction."""
        at = self.rpc.timestamp + 12 if at is None else at
        self.rpc.set_next_timestamp(at)
        return at

    def _both(
        self,
        twin: Callable[[], model.Fill | None],
        chain: Callable[[], Receipt],
        orders: list[Order] | None = None,
        at: int | None = None,
    ) -> Receipt:
        before = self.engine.fillCount()
        try:
            trade = twin()
        except ModelError as error:
            try:
                chain()
            except Reverted as seen:
                same_error(seen, error)
                assert self.engine.fillCount() == before
                for order in orders or []:
                    self.status(order, at)
                raise
            raise AssertionError(f"the contract does what the twin refuses: {error}") from None
        receipt = chain()
        if trade is not None:
            assert self.engine.fillCount() == before + 1
            seen = self.engine.fillAt(before)
            assert (
                model.Fill(
                    seen.market,
                    seen.makerIsBuyer,
                    seen.liquidation,
                    seen.maker,
                    seen.taker,
                    seen.base,
                    seen.fillPrice,
                )
                == trade
            )
            self._events(receipt, trade, orders or [])
            change = trade.base if trade.maker_is_buyer else -trade.base
            self.positions[trade.maker, trade.market] += change
            self.positions[trade.taker, trade.market] -= change
        for order in orders or []:
            self.status(order)
        return receipt

    def _events(self, receipt: Receipt, trade: model.Fill, orders: list[Order]) -> None:
        events = receipt.find("OrderFilled")
        assert len(events) == len(orders)
        for event, order in zip(events, orders, strict=True):
            other = trade.taker if order.account == trade.maker else trade.maker
            assert list(event.arguments.values()) == [
                order_hash(order, self.domain),
                order.account,
                other,
                order.market,
                order.is_buy,
                trade.base,
                trade.fill_price,
            ]
