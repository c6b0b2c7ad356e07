"""One typed client for each user: trader, keeper, governance; those of the fund's users are in
`staking`, `upkeep`, `inventory` and `reinsurance`.

They take and return human units as Decimal, send one transaction a call (`deposit` two, where an
approval is missing), and let `Reverted` through: `errors.explain` makes a sentence of it. They work
alike over ape and over raw JSON-RPC; with the latter the node must hold the sender's key.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from backstop.chain.deploy import System
from backstop.chain.format import amount as shown
from backstop.chain.orders import AccountSigner, KeySigner, SignedOrder, Signer
from backstop.chain.signing import Order, account_id, as_tuple
from backstop.chain.transport import ApeClient, Contract, Receipt
from backstop.chain.units import UnitError, from_units, from_wad, scaled
from backstop.chain.views import AccountView, Reader
from backstop.harness.abi import Reverted, address_of

MAX_UINT256: Final = 2**256 - 1

WAYS: Final = ("take-over", "orders", "deleverage", "close-out", "flag")
"""What a keeper can do with an account, in the order in which a solvent one is tried."""


@dataclass(frozen=True)
class Sent:
    """A transaction that succeeded."""

    transaction: str
    gas_used: int

    @classmethod
    def of(cls, receipt: Receipt) -> Sent:
        """The same of a receipt."""
        return cls(receipt.transaction, receipt.gas_used)


@dataclass(frozen=True)
class Moved(Sent):
    """A deposit or withdrawal: tokens moved."""

    amount: Decimal


@dataclass(frozen=True)
class FillResult(Sent):
    """A trade."""

    market: int
    filled: Decimal
    price: Decimal
    maker_fee: Decimal
    taker_fee: Decimal


@dataclass(frozen=True)
class LiquidationResult(Sent):
    """A partial liquidation; `size` is the signed position that was taken, in base units."""

    way: str
    market: int
    size: Decimal
    price: Decimal
    surcharge: Decimal
    reward: Decimal


@dataclass(frozen=True)
class CloseOutResult(Sent):
    """A bankrupt account's end: the deficit, and what each layer of the waterfall paid of it.

    `resolved` is False where a market without a usable price has to wait.
    """

    resolved: bool
    event_id: int
    deficit: Decimal
    compartment: Decimal
    reserve: Decimal
    staked: Decimal
    backing: Decimal
    reinsurance: Decimal
    side_charged: Decimal
    recorded: Decimal


@dataclass(frozen=True)
class Flagged(Sent):
    """An account's liquidation clock runs."""


class NothingToDo(RuntimeError):
    """What was asked for cannot be done now; the message says why."""


_TOKEN_REFUSES: Final = ("ERC20InsufficientAllowance", "SafeERC20FailedOperation", "Error", "")
"""How a call ends for want of an allowance; tokens have no one name for it."""


def all_that_may_leave(units: int, send: Callable[[int], Receipt]) -> tuple[int, Receipt]:
    """Send with the largest amount that the engine lets go: what was asked for, or less.

    A price that moved since `withdrawable` was asked may let less go; the refusal says how much.

    Args:
        units: to begin with.
        send: takes an amount.

    Raises:
        Reverted: nothing may leave, or another refusal.
    """
    try:
        return units, send(units)
    except Reverted as error:
        less = error.arguments.get("available", 0) if error.name == "NotWithdrawable" else 0
        if not 0 < less < units:
            raise
    return less, send(less)


class _User(Reader):
    """Somebody with an account of ape's, a private key, or (on a node that has it) an address."""

    def __init__(self, system: System, who: Any, sub: int = 0) -> None:
        super().__init__(system)
        self.signer: Signer | None
        if isinstance(who, bytes):
            self.signer = KeySigner(who)
            self.address = self.signer.address
        elif hasattr(who, "sign_message"):
            self.signer = AccountSigner(who)
            self.address = self.signer.address
            if isinstance(system.client, ApeClient):
                system.client.add(who)
        else:
            self.signer = who if hasattr(who, "sign") else None
            self.address = address_of(who)
        self.number = account_id(self.address, sub)

    def _units(self, amount: Decimal, what: str) -> int:
        decimals = self.system.record.token_decimals
        try:
            return scaled(amount, decimals)
        except UnitError:
            raise UnitError(
                f"{what} {amount}: {self.system.record.token_symbol} has {decimals} decimals"
            ) from None

    def _pay_in(self, units: int, contract: Contract, function: str, *arguments: Any) -> Receipt:
        """Call what takes `units` of the token, approving exactly that first if it has to be.

        Raises:
            Reverted: too few tokens, or the contract refuses; then nothing was approved either.
        """
        token, call = self.system.token, contract[function]
        held = token.balanceOf(self.address)
        if held < units:
            raise Reverted(
                "ERC20InsufficientBalance",
                {"sender": self.address, "balance": held, "needed": units},
            )
        if token.allowance(self.address, contract.address) < units:
            try:
                call.call(*arguments, sender=self.address)
            except Reverted as error:
                if error.name not in _TOKEN_REFUSES:
                    raise
            token.approve.send(contract.address, units, sender=self.address)
        return call.send(*arguments, sender=self.address)


class Trader(_User):
    """A trader with one account.

    Args:
        system: the deployment.
        who: an ape account, a private key, or an address whose key the node holds (it cannot sign
            orders then).
        sub: subaccount number.
    """

    _last_nonce = -1

    def view(self) -> AccountView:
        """The trader's account."""
        return self.account(self.number)

    def approve(self, amount: Decimal | None = None) -> Sent:
        """Allow the engine to take so many tokens; without an amount, any."""
        units = MAX_UINT256 if amount is None else self._units(amount, "amount")
        engine = self.system.engine.address
        return Sent.of(self.system.token.approve.send(engine, units, sender=self.address))

    def deposit(self, amount: Decimal, account: bytes | None = None) -> Moved:
        """Move tokens into the account (or another one), approving them first if needed.

        Raises:
            Reverted: too few tokens.
        """
        units = self._units(amount, "amount")
        to = account or self.number
        receipt = self._pay_in(units, self.system.engine, "deposit", to, units)
        return Moved(receipt.transaction, receipt.gas_used, amount)

    def withdraw(self, amount: Decimal | None = None, to: Any = None) -> Moved:
        """Move tokens out, to the trader's wallet or elsewhere; without an amount, all that may."""
        send, target = self.system.engine.withdraw.send, to or self.address
        if amount is None:
            units, receipt = all_that_may_leave(
                self.system.engine.withdrawable(self.number),
                lambda most: send(self.number, most, target, sender=self.address),
            )
        else:
            units = self._units(amount, "amount")
            receipt = send(self.number, units, target, sender=self.address)
        paid = from_units(units, self.system.record.token_decimals)
        return Moved(receipt.transaction, receipt.gas_used, paid)

    def next_nonce(self) -> int:
        """A nonce that is larger than all before: milliseconds since 1970, or the last plus one.

        Orders signed earlier can then be cancelled together: `cancel_all()`.
        """
        self._last_nonce = max(self._last_nonce + 1, time.time_ns() // 10**6)
        return self._last_nonce

    def sign_order(
        self,
        market: int,
        is_buy: bool,
        size: Decimal,
        limit_price: Decimal,
        *,
        valid_for: int = 3600,
        expiry: int | None = None,
        nonce: int | None = None,
        reduce_only: bool = False,
    ) -> SignedOrder:
        """Sign an order; nothing is sent.

        Args:
            market: market number.
            is_buy: buy or sell.
            size: base units.
            limit_price: worst price, quote per base.
            valid_for: seconds from the latest block's time.
            expiry: last second at which it may be filled, instead of `valid_for`.
            nonce: a number that the account has not used; `next_nonce()` if not given.
            reduce_only: only ever shrink the position.
        """
        if self.signer is None:
            raise TypeError(f"{self.address} cannot sign: give an ape account or a private key")
        order = Order(
            account=self.number,
            market=market,
            is_buy=is_buy,
            base=scaled(size, 18),
            limit_price=scaled(limit_price, 18),
            expiry=self.system.client.timestamp + valid_for if expiry is None else expiry,
            nonce=self.next_nonce() if nonce is None else nonce,
            reduce_only=reduce_only,
        )
        return SignedOrder(order, self.signer.sign(order, self.system.domain), self.system.domain)

    def fill(self, maker: SignedOrder, size: Decimal | None = None) -> FillResult:
        """Take the other side of a signed order, at its limit price; without a size, all of it."""
        base = maker.order.base if size is None else scaled(size, 18)
        receipt = self.system.settlement.fill.send(
            as_tuple(maker.order), maker.signature, self.number, base, sender=self.address
        )
        return self._filled(receipt)

    def match(
        self, maker: SignedOrder, taker: SignedOrder, size: Decimal | None = None
    ) -> FillResult:
        """Match two signed orders at the maker's limit price; anybody may."""
        base = min(maker.order.base, taker.order.base) if size is None else scaled(size, 18)
        receipt = self.system.settlement.matchOrders.send(
            as_tuple(maker.order),
            maker.signature,
            as_tuple(taker.order),
            taker.signature,
            base,
            sender=self.address,
        )
        return self._filled(receipt)

    def _filled(self, receipt: Receipt) -> FillResult:
        event = receipt.one("Traded", self.system.engine.address)
        return FillResult(
            receipt.transaction,
            receipt.gas_used,
            event.market,
            from_wad(event.base),
            from_wad(event.fillPrice),
            from_wad(event.makerFee),
            from_wad(event.takerFee),
        )

    def cancel(self, nonce: int) -> Sent:
        """Make one nonce unusable."""
        return Sent.of(self.system.settlement.cancel.send(self.number, nonce, sender=self.address))

    def cancel_all(self, below: int | None = None) -> Sent:
        """Make all nonces below a number unusable; without one, all that `next_nonce` gave."""
        limit = self.next_nonce() if below is None else below
        return Sent.of(
            self.system.settlement.cancelAll.send(self.number, limit, sender=self.address)
        )

    def order_status(self, signed: SignedOrder) -> tuple[Decimal, str]:
        """How much of an order is filled, and what has become of it."""
        filled, status = self.system.settlement.orderStatus(as_tuple(signed.order))
        names = ("open", "partly filled", "filled", "cancelled", "expired")
        return from_wad(filled), names[status]


class Keeper(_User):
    """A keeper: takes positions over into its own account `sub`, and gets rewards there."""

    def flag(self, account: bytes) -> Flagged:
        """Start the clock of an account below maintenance margin."""
        sent = Sent.of(self.system.liquidator.flag.send(account, sender=self.address))
        return Flagged(sent.transaction, sent.gas_used)

    def unflag(self, account: bytes) -> Sent:
        """Stop the clock of an account that is healthy again."""
        return Sent.of(self.system.liquidator.unflag.send(account, sender=self.address))

    def take_over(
        self,
        account: bytes,
        market: int,
        max_size: Decimal | None = None,
        limit_price: Decimal | None = None,
    ) -> LiquidationResult:
        """Take part of a position at the mark less the discount; any price if no limit is given."""
        if limit_price is None:
            long = self.system.engine.positionSize(account, market) > 0
            limit = MAX_UINT256 if long else 0
        else:
            limit = scaled(limit_price, 18)
        most = MAX_UINT256 if max_size is None else scaled(max_size, 18)
        receipt = self.system.liquidator.takeOver.send(
            account, market, self.number, most, limit, sender=self.address
        )
        return self._liquidated(receipt, "take-over")

    def liquidate_with_orders(
        self, account: bytes, market: int, orders: Sequence[SignedOrder]
    ) -> LiquidationResult:
        """Close part of a position against signed orders, best first."""
        receipt = self.system.liquidator.liquidateWithOrders.send(
            account,
            market,
            self.number,
            [as_tuple(signed.order) for signed in orders],
            [signed.signature for signed in orders],
            sender=self.address,
        )
        return self._liquidated(receipt, "orders")

    def deleverage(
        self, account: bytes, market: int, max_size: Decimal | None = None
    ) -> LiquidationResult:
        """Close part of a position against the opposite side at the mark, after the delay."""
        most = MAX_UINT256 if max_size is None else scaled(max_size, 18)
        receipt = self.system.liquidator.deleverage.send(
            account, market, self.number, most, sender=self.address
        )
        return self._liquidated(receipt, "deleverage")

    def _liquidated(self, receipt: Receipt, way: str) -> LiquidationResult:
        event = receipt.one("Liquidated", self.system.liquidator.address)
        return LiquidationResult(
            receipt.transaction,
            receipt.gas_used,
            way,
            event.market,
            from_wad(event.size),
            from_wad(event.price),
            from_wad(event.surcharge),
            from_wad(event.reward),
        )

    def close_out(self, account: bytes, take_positions: bool = False) -> CloseOutResult:
        """Close a bankrupt account and send its deficit down the waterfall."""
        receipt = self.system.liquidator.closeOut.send(
            account, self.number, take_positions, sender=self.address
        )
        return self._closed_out(receipt)

    def _closed_out(self, receipt: Receipt) -> CloseOutResult:
        found = receipt.find("ShortfallResolved", self.system.liquidator.address)
        if not found:
            zero = (Decimal(0),) * 8
            return CloseOutResult(receipt.transaction, receipt.gas_used, False, 0, *zero)
        r = found[0].receipt
        return CloseOutResult(
            receipt.transaction,
            receipt.gas_used,
            True,
            r.eventId,
            from_wad(r.deficit),
            from_wad(r.compartment),
            from_wad(r.reserve),
            from_wad(r.staked),
            from_wad(r.backing),
            from_wad(r.reinsurance),
            from_wad(r.sideCharged),
            from_wad(r.recorded),
        )

    def liquidate(
        self, account: bytes, orders: Sequence[SignedOrder] = (), market: int | None = None
    ) -> LiquidationResult | CloseOutResult | Flagged:
        """Do what applies to an account now.

        A bankrupt one is closed out. Of another, the position with the most maintenance margin (or
        the one in `market`) is closed against the orders if there are some, else taken over; if the
        keeper's account cannot carry it, deleveraged, and before that is allowed, flagged.

        Raises:
            NothingToDo: the account is healthy, or no price is usable.
            Reverted: a contract refuses for another reason.
        """
        state = self.account(account)
        if state.bankrupt:
            return self.close_out(account)
        if not state.liquidatable:
            raise NothingToDo(
                f"equity {shown(state.equity)} covers the maintenance margin"
                f" {shown(state.maintenance_margin)}: the account is healthy"
            )
        candidates = [
            position
            for position in state.positions
            if position.size
            and position.validity != "invalid"
            and market in (None, position.market)
        ]
        if not candidates:
            raise NothingToDo("no position that could be liquidated has a usable price now")
        chosen = max(candidates, key=lambda position: position.maintenance_margin).market
        if orders:
            return self.liquidate_with_orders(account, chosen, orders)
        try:
            return self.take_over(account, chosen)
        except Reverted as error:
            if error.name != "InsufficientMargin":
                raise
            reason = error
        try:
            return self.deleverage(account, chosen)
        except Reverted as error:
            if error.name != "TooEarly":
                raise
        if state.flagged_at:
            # the clock runs already: what is missing is a keeper with margin
            raise reason
        return self.flag(account)


@dataclass(frozen=True)
class Scheduled(Sent):
    """A governance call that waits: `Governance.execute` carries it out from `ready_at` on."""

    operation: bytes
    ready_at: int


class Governance(_User):
    """Calls of restricted functions: at once where the role has no delay, else in two steps.

    `contract` is a name of the record (`engine`, `fund`, `oracle`, `authority`), `arguments` are
    those of the function.
    """

    def _call(self, contract: str, function: str, arguments: Sequence[Any]) -> tuple[str, bytes]:
        target = self.system.contracts[contract]
        return target.address, target[function].encode(*arguments)

    def delay(self, contract: str, function: str, *arguments: Any) -> int | None:
        """Seconds this user has to wait for a call; None if it may not make it at all."""
        target, data = self._call(contract, function, arguments)
        immediate, delay = self.system.authority.canCall(self.address, target, data[:4])
        if immediate:
            return 0
        return int(delay) or None

    def call(self, contract: str, function: str, *arguments: Any) -> Sent:
        """Call at once: for roles without delay, such as the guardian."""
        target = self.system.contracts[contract]
        return Sent.of(target[function].send(*arguments, sender=self.address))

    def schedule(self, contract: str, function: str, *arguments: Any, when: int = 0) -> Scheduled:
        """Announce a call; it may be executed after the role's delay, for a week.

        Args:
            contract: name of the target.
            function: name of the function.
            arguments: its arguments; `execute` needs the same.
            when: time at which it becomes ready, if that is later than the delay.
        """
        target, data = self._call(contract, function, arguments)
        receipt = self.system.authority.schedule.send(target, data, when, sender=self.address)
        event = receipt.one("OperationScheduled", self.system.authority.address)
        return Scheduled(
            receipt.transaction, receipt.gas_used, event.operationId, int(event.schedule)
        )

    def ready_at(self, contract: str, function: str, *arguments: Any) -> int:
        """When a scheduled call becomes ready; 0 if it is not scheduled, or has expired."""
        target, data = self._call(contract, function, arguments)
        authority = self.system.authority
        operation = authority.hashOperation(self.address, target, data)
        return int(authority.getSchedule(operation))

    def execute(self, contract: str, function: str, *arguments: Any) -> Sent:
        """Carry a scheduled call out."""
        target, data = self._call(contract, function, arguments)
        return Sent.of(self.system.authority.execute.send(target, data, sender=self.address))

    def cancel(self, caller: Any, contract: str, function: str, *arguments: Any) -> Sent:
        """Cancel what `caller` scheduled: the caller itself, the guardian or an admin may."""
        target, data = self._call(contract, function, arguments)
        return Sent.of(
            self.system.authority.cancel.send(address_of(caller), target, data, sender=self.address)
        )
