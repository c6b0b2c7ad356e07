"""A deployed system under one hand: short words for what tests do with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from backstop.chain.artifacts import ArtifactSource
from backstop.chain.config import Parameters
from backstop.chain.deploy import ROLE_IDS, RpcDeployer, System, deploy
from backstop.chain.signing import Order, account_id, sign_order
from backstop.harness.anvil import account_address, private_key
from backstop.harness.rpc import Contract, RpcClient

ROOT: Final = Path(__file__).resolve().parents[2]

WAD: Final = 10**18
SCALE: Final = 10**12  # WAD per unit of the 6-decimal token
FOREVER: Final = 2**40 - 1

PARAMETERS: Final[dict[str, int]] = {
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
LIQUIDATION: Final[dict[str, int]] = {
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
        """The margin engine."""
        return self.system.engine

    @property
    def liquidator(self) -> Any:
        """The liquidator."""
        return self.system.liquidator

    @property
    def fund(self) -> Any:
        """The insurance fund."""
        return self.system.fund

    def account(self, user: int, sub: int = 0) -> bytes:
        """A user's account number."""
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
        """The whole account, as the engine sees it now."""
        return self.engine.accountState(self.account(user, sub))

    def size(self, user: int, market: int = 0) -> int:
        """Signed size of a position, WAD."""
        return int(self.engine.positionSize(self.account(user), market))

    def now(self) -> int:
        """Time of the latest block, seconds."""
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

    def list_market(self) -> int:
        """One more market at 100 tokens, with the bench's parameters and two new feeds."""
        market = int(self.engine.marketCount())
        feeds = [
            self.rpc.deploy(self.system.artifacts("MockFeed"), 8, 100 * 10**8, sender=self.owner)
            for _ in range(2)
        ]
        self.set_feeds(market, feeds[0].address, feeds[1].address)
        self.engine.listMarket(PARAMETERS, LIQUIDATION, sender=self.owner)
        limits = {"compartmentCap": 10**12, "perWindow": 10**12}
        self.fund.setClaimantMarket(self.engine.address, market, limits, sender=self.owner)
        self.engine.poke(market, sender=self.owner)
        return market

    def set_feeds(self, market: int, primary: str, secondary: str) -> None:
        """Feeds that never grow old and may jump by 40 %."""
        config = {
            "primary": {"source": primary, "maxAge": 10**6},
            "secondary": {"source": secondary, "maxAge": 10**6},
            "maxDeviation": 20_000,
            "maxJump": 400_000,
            "minPrice": 10**15,
            "maxPrice": 10**24,
        }
        self.system.oracle.setFeeds(market, config, sender=self.owner)


def deploy_bench(rpc: RpcClient, artifacts: ArtifactSource, token: Contract | None = None) -> Bench:
    """A local deployment whose owner may change everything at once; both markets at 100 tokens.

    Args:
        rpc: of a development node.
        artifacts: compiled contracts.
        token: the collateral, with an open `mint`; a mock with 6 decimals if not given.
    """
    parameters = Parameters.load(ROOT / "parameters" / "local.yaml")
    owner = account_address(0)
    if token is not None:
        config = replace(parameters.token, address=token.address, decimals=None)
        parameters = replace(parameters, token=config)
        token.mint(owner, 10**15, sender=owner)
    system = deploy(parameters, RpcDeployer(rpc, owner, artifacts), hand_over=False)
    for role, number in ROLE_IDS.items():
        if role != "admin":
            system.authority.grantRole(number, owner, 0, sender=owner)
    bench = Bench(rpc, system, owner, [account_address(index) for index in range(12)])
    if token is not None:
        bench.system.__dict__["token"] = token  # with `mint`, which an ordinary token has not
    for market in range(2):
        feeds = system.oracle.feeds(market)
        bench.set_feeds(market, feeds.primary.source, feeds.secondary.source)
        bench.set_market(market)
        bench.price(100, market)
    return bench
