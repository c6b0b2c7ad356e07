"""The stage: a deployment on a node, everybody's account on it, and ways to send and to read.

All transactions of a step have the step's time. Everybody signs with a key of its own; the node
lets anybody send without paying for gas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

from backstop.chain.deploy import Deployer, RpcDeployer, System, deploy
from backstop.chain.signing import Domain, Order, as_tuple, sign_order
from backstop.harness.batch import View, read_all
from backstop.harness.demo.book import KEEPER, Participant, Plan
from backstop.harness.demo.stake_book import StakeBook
from backstop.harness.demo.stake_state import StakeState, bucket_views, stake_state, stake_views
from backstop.harness.demo.tally import Tally
from backstop.harness.rpc import Receipt, Reverted, RpcClient
from backstop.harness.scenario import Scenario

WAD = 10**18
DUST_EQUITY = 10**10
"""Equity below which the liquidator counts an account as bankrupt."""

OPERATOR = "0x" + "0b" * 20
"""Sends prices and matches orders; it has no rights."""

ORDER_LIFE = 7 * 86400

SignedOrder = tuple[tuple[Any, ...], bytes]
"""An order as the contracts take it, and its signature."""


@dataclass(frozen=True)
class Health:
    """An account's equity and margins, WAD."""

    equity: int
    initial: int
    maintenance: int

    @property
    def liquidatable(self) -> bool:
        """Below maintenance margin."""
        return self.equity < self.maintenance


@dataclass(frozen=True)
class FundState:
    """The fund's layers, units of the token.

    Attributes:
        backing: the operator's second slice, behind the stakers.
        capital: what a deficit could be paid from, as the contract says.
        tokens: what it holds.
    """

    compartments: tuple[int, ...]
    reserve: int
    backing: int
    capital: int
    tokens: int

    @property
    def own(self) -> int:
        """The layers that are not the stakers'."""
        return sum(self.compartments) + self.reserve + self.backing


@dataclass(frozen=True)
class Seen:
    """Everything the table shows, read between two blocks."""

    health: tuple[Health, ...]
    markets: tuple[Any, ...]
    fund: FundState
    engine_tokens: int
    stake: StakeState


@dataclass
class Stage:
    """A system on a node and the participants of a plan.

    Attributes:
        now: time of the step.
        scale: WAD of one unit of the token.
        stakes: the stakers' books, from the events.
        stakers: addresses of those who stake, in the scenario's order.
    """

    client: RpcClient
    system: System
    scenario: Scenario
    plan: Plan
    tally: Tally = field(default_factory=Tally)
    now: int = 0
    stakers: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scale = 10 ** (18 - self.system.record.token_decimals)
        terms = self.system.tranche.terms()
        self.stakes = StakeBook(self.system.tranche.address, terms.cap, terms.cooldown)
        # the same domain for every order; its hash is kept
        self.domain = _KeptDomain(self.system.domain)
        self.tally.owners = {p.account: p.name for p in self.plan.participants}
        self.names = [market.name for market in self.scenario.markets]

    # --- sending

    def set_time(self, time: int) -> None:
        """All blocks from now on have this time."""
        self.now = time
        self.client.set_next_timestamp(time)

    def send(self, function: Any, *args: Any, sender: str) -> Receipt:
        """Send a transaction, book its events; raises Reverted."""
        receipt: Receipt = function.send(*args, sender=sender)
        self.tally.transaction(receipt)
        self.stakes.transaction(receipt, self.now)
        return receipt

    def attempt(self, function: Any, *args: Any, sender: str) -> Receipt | None:
        """The same; a refusal is booked and None is returned."""
        try:
            return self.send(function, *args, sender=sender)
        except Reverted as error:
            self.tally.refused[error.name or "no reason"] += 1
            return None

    def push_prices(self, prices: Sequence[float]) -> None:
        """New answers of all feeds, and marks that follow them."""
        for number, price in enumerate(prices):
            feeds = self.system.record.markets[number].feeds
            for contract, feed in zip(self.system.feeds[number], feeds, strict=True):
                answer = round(price * 10**feed.decimals)
                self.send(contract.push, answer, sender=OPERATOR)
            self.send(self.system.engine.poke, number, sender=OPERATOR)

    def sign(
        self,
        who: Participant,
        market: int,
        is_buy: bool,
        base: int,
        price: int,
        *,
        reduce_only: bool = False,
    ) -> SignedOrder:
        """An order signed by its owner's key, good for a week."""
        order = Order(
            account=who.account,
            market=market,
            is_buy=is_buy,
            base=base,
            limit_price=price,
            expiry=self.now + ORDER_LIFE,
            nonce=who.nonce,
            reduce_only=reduce_only,
        )
        who.nonce += 1
        return as_tuple(order), sign_order(order, who.key, self.domain)

    # --- opening

    def deposit_all(self) -> None:
        """Everybody gets tokens, approves the engine and deposits its collateral."""
        token, engine = self.system.token, self.system.engine
        for one in self.plan.participants:
            self.send(token.mint, one.address, one.collateral, sender=OPERATOR)
            self.send(token.approve, engine.address, one.collateral, sender=one.address)
            self.send(engine.deposit, one.account, one.collateral, sender=one.address)

    def open_all(self, prices: Sequence[float], progress: Callable[[int], None]) -> None:
        """Everybody's signed opening orders are matched: the buyer is maker, the seller taker.

        An order is filled by as many others as it takes.
        """
        for number, price in enumerate(prices):
            limit = round(price * (1 + self.scenario.book.premium) * 10**8) * 10**10
            buys: list[tuple[int, SignedOrder]] = []
            sells: list[tuple[int, SignedOrder]] = []
            for one in self.plan.participants:
                base = one.target.get(number, 0)
                if base:
                    signed = self.sign(one, number, base > 0, abs(base), limit)
                    (buys if base > 0 else sells).append((abs(base), signed))
            self._match(buys, sells, progress)

    def _match(
        self,
        buys: list[tuple[int, SignedOrder]],
        sells: list[tuple[int, SignedOrder]],
        progress: Callable[[int], None],
    ) -> None:
        match = self.system.settlement.matchOrders
        i = j = 0
        left_buy, left_sell = (buys[0][0], sells[0][0]) if buys and sells else (0, 0)
        while i < len(buys) and j < len(sells):
            base = min(left_buy, left_sell)
            self.send(match, *buys[i][1], *sells[j][1], base, sender=OPERATOR)
            progress(1)
            left_buy, left_sell = left_buy - base, left_sell - base
            if not left_buy:
                i += 1
                left_buy = buys[i][0] if i < len(buys) else 0
            if not left_sell:
                j += 1
                left_sell = sells[j][0] if j < len(sells) else 0

    # --- reading

    def health_of(self, participants: Iterable[Participant]) -> list[Health]:
        """Equity and margins of several accounts, one request."""
        views: list[View] = [(self.system.engine, "health", (p.account,)) for p in participants]
        return [Health(*values) for values in read_all(self.client, views)]

    def states_of(self, participants: Iterable[Participant]) -> list[Any]:
        """Whole accounts, position by position."""
        views: list[View] = [
            (self.system.engine, "accountState", (p.account,)) for p in participants
        ]
        return read_all(self.client, views)

    def fund(self) -> FundState:
        """The fund's layers now."""
        return self._fund(read_all(self.client, self._fund_views()))

    def _fund_views(self) -> list[View]:
        fund, engine = self.system.fund, self.system.engine.address
        views: list[View] = [(fund, "compartment", (engine, n)) for n in range(len(self.names))]
        views += [(fund, "reserve", ()), (fund, "backing", ()), (fund, "totalCapital", ())]
        views.append((self.system.token, "balanceOf", (fund.address,)))
        return views

    def _fund(self, values: Sequence[int]) -> FundState:
        count = len(self.names)
        return FundState(tuple(values[:count]), *values[count : count + 4])

    def _stake_views(self) -> list[View]:
        tranche, twin = self.system.tranche, self.stakes.twin
        shares = [twin.balance_of(who) for who in self.stakers]
        views = stake_views(tranche, self.stakers, shares)
        return views + bucket_views(tranche, self.stakers, twin.epoch)

    def see(self) -> Seen:
        """Everything, between two blocks."""
        engine = self.system.engine
        participants = self.plan.participants
        views: list[View] = [(engine, "health", (p.account,)) for p in participants]
        views += [(engine, "marketState", (n,)) for n in range(len(self.names))]
        views.append((self.system.token, "balanceOf", (engine.address,)))
        ends = [len(participants), len(views) - 1, len(views)]
        for more in (self._fund_views(), self._stake_views()):
            views += more
            ends.append(len(views))
        values = read_all(self.client, views)
        people, markets, tokens, fund, stake = (
            values[start:end] for start, end in pairwise([0, *ends])
        )
        return Seen(
            health=tuple(Health(*value) for value in people),
            markets=tuple(markets),
            engine_tokens=tokens[0],
            fund=self._fund(fund),
            stake=stake_state(stake, len(self.stakers), self.stakes.twin.epoch),
        )

    @property
    def keepers(self) -> list[Participant]:
        """Who liquidates."""
        return self.plan.of(KEEPER)


class _KeptDomain(Domain):
    """A domain whose separator is computed once."""

    def __init__(self, domain: Domain) -> None:
        super().__init__(domain.chain_id, domain.verifying_contract, domain.name, domain.version)
        object.__setattr__(self, "_kept", domain.separator)

    @property
    def separator(self) -> bytes:
        """The EIP-712 domain separator."""
        kept: bytes = self._kept  # type: ignore[attr-defined]
        return kept


def build(
    client: RpcClient,
    scenario: Scenario,
    plan: Plan,
    artifacts: Any,
    log: Callable[[str], None] = lambda line: None,
) -> Stage:
    """Deploy the scenario's system on a development node and put everybody's tokens in it."""
    client.rpc("anvil_autoImpersonateAccount", True)
    client.rpc("anvil_setBlockTimestampInterval", 0)
    deployer = str(client.rpc("eth_accounts")[0])
    account = cast(Deployer, RpcDeployer(client, deployer, artifacts))
    system = deploy(scenario.parameters, account, log=log)
    return Stage(client, system, scenario, plan)
