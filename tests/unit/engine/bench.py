"""A deployed system under one hand: short words for what tests do with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from backstop.chain.deploy import System
from backstop.chain.signing import Order, account_id, sign_order
from backstop.harness.anvil import private_key
from backstop.harness.rpc import RpcClient

WAD = 10**18
PPM = 10**6
SCALE = 10**12  # WAD per unit of the 6-decimal token
FOREVER = 2**40 - 1

PARAMETERS: dict[str, int] = {
    "openInterestCap": 1_000 * WAD,
    "sizeScale": 2**64 - 1,
    "initialMarginPpm": 99_000,
    "maintenanceMarginPpm": 50_000,
    "openInterestSlopePpm": 0,
    "maxMarkAge": 0,
    "markSpeedPpb": 1_500_000,
    "fundingClampPpb": 10_000_000,
    "bandPpm": 50_000,
    "makerFeePpm": 200,
    "takerFeePpm": 500,
    "fundSharePpm": 500_000,
    "profitLock": 0,
    "chargeCapPpm": 100_000,
    "minBase": 10**6,  # 0.001
}
LIQUIDATION: dict[str, int] = {
    "targetHealthPpm": 1_200_000,
    "minDiscountPpm": 2_500,
    "maxDiscountPpm": 10_000,
    "surchargePpm": 7_500,
    "rewardPpm": 150,
    "ramp": 300,
    "deleverageDelay": 600,
    "checkInterval": 12,
    "maxStep": 10**7,
    "closeRewardCap": 50,
}


@dataclass
class Bench:
    """The system and its actors. Amounts are whole tokens or base units, prices whole tokens."""

    rpc: RpcClient
    system: System
    owner: str
    users: Sequence[str]
    nonces: dict[bytes, int] = field(default_factory=dict)

    @property
    def engine(self) -> Any:
        return self.system.engine

    @property
    def liquidator(self) -> Any:
        return self.system.liquidator

    @property
    def fund(self) -> Any:
        return self.system.fund

    def account(self, user: int, sub: int = 0) -> bytes:
        return account_id(self.users[user], sub)

    def deposit(self, user: int, tokens: int, sub: int = 0) -> bytes:
        """Mints, approves and deposits; returns the account."""
        units = tokens * 10**6
        sender = self.users[user]
        self.system.token.mint(sender, units, sender=sender)
        self.system.token.approve(self.engine.address, units, sender=sender)
        self.engine.deposit(self.account(user, sub), units, sender=sender)
        return self.account(user, sub)

    def order(self, user: int, *, sub: int = 0, **fields: Any) -> tuple[Order, bytes]:
        """A signed order of a user; nonces count up."""
        account = self.account(user, sub)
        nonce = self.nonces.get(account, -1) + 1
        self.nonces[account] = nonce
        defaults: dict[str, Any] = {"expiry": FOREVER, "nonce": nonce, "market": 0}
        order = Order(account=account, **{**defaults, **fields})
        return order, sign_order(order, private_key(user), self.system.domain)

    def trade(
        self, buyer: int, seller: int, base: Any, price: Any, market: int = 0, **subs: int
    ) -> Any:
        """The buyer's order (maker) is filled by the seller (taker)."""
        size, limit = int(Decimal(str(base)) * WAD), int(Decimal(str(price)) * WAD)
        order, signature = self.order(
            buyer,
            sub=subs.get("buyer_sub", 0),
            market=market,
            is_buy=True,
            base=size,
            limit_price=limit,
        )
        return self.system.settlement.fill(
            order,
            signature,
            self.account(seller, subs.get("seller_sub", 0)),
            size,
            sender=self.users[seller],
        )

    def price(self, price: Any, market: int = 0, wait: int = 0) -> None:
        """Both feeds answer `price`; after `wait` seconds the mark is brought up to date."""
        self.system.set_price(market, Decimal(str(price)), self.owner)
        if wait:
            self.rpc.warp(wait)
            self.system.set_price(market, Decimal(str(price)), self.owner)
            self.engine.poke(market, sender=self.owner)

    def set_market(self, market: int = 0, **changes: int) -> None:
        """Replaces a market's parameters: the bench's, with changes."""
        p = {**PARAMETERS, **{k: v for k, v in changes.items() if k in PARAMETERS}}
        liquidation = {**LIQUIDATION, **{k: v for k, v in changes.items() if k in LIQUIDATION}}
        assert set(changes) <= set(p) | set(liquidation), changes
        self.engine.setMarket(market, p, liquidation, sender=self.owner)

    def state(self, user: int, sub: int = 0) -> Any:
        return self.engine.accountState(self.account(user, sub))

    def size(self, user: int, market: int = 0) -> int:
        return int(self.engine.positionSize(self.account(user), market))

    def now(self) -> int:
        return self.rpc.timestamp

    def engine_surplus(self, accounts: Sequence[bytes], markets: int = 2) -> int:
        """CONSERVATION: tokens held, WAD, less everything the engine owes; only dust may be left.

        Sizes cancel to dust, so positions count by what they would leave at the mark.
        """
        owed = 0
        for account in accounts:
            state = self.engine.accountState(account)
            owed += state.equity
        for market in range(markets):
            m = self.engine.marketState(market)
            owed += m.fundFees + m.treasuryFees - m.recordedDeficit
        return int(self.system.token.balanceOf(self.engine.address)) * SCALE - owed
