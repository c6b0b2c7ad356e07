"""A whole deployment in which one contract is everything that may call back.

The attacker is the collateral token, the second feed of every market, the sanctions list, the
fund's risk oracle, the risk oracle's exposure source, a claimant, a reporter, a staker, an
underwriter, a trader with a contract wallet, and holds every role without a delay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from backstop.chain.artifacts import ArtifactSource
from backstop.chain.config import Parameters, ReinsuranceConfig
from backstop.chain.deploy import ROLE_IDS, RpcDeployer, deploy
from backstop.chain.signing import Order, account_id, as_tuple, sign_order
from backstop.harness.anvil import account_address, private_key
from backstop.harness.bench import FOREVER, ROOT, WAD, Bench
from backstop.harness.rpc import Contract, RpcClient

UNIT: Final = 10**6
DAY: Final = 86_400
ENORMOUS: Final = 10**20
KEEPER: Final = 4
BROKE, WEAK, SHORT, SOUND, WAITING = 1, 5, 2, 3, 6
"""Users: bankrupt, below maintenance, the other side, healthy, bankrupt in the market with a fair
window."""


@dataclass
class ReentryWorld:
    """The deployment, the attacker, and what its calls need to know.

    Attributes:
        bench: the deployment; `bench.system.token` is the attacker too.
        attacker: the one contract.
        receipt: number and bytes of a cover event whose money partly came back.
    """

    bench: Bench
    attacker: Contract
    receipt: tuple[int, bytes]

    @property
    def client(self) -> RpcClient:
        """The connection."""
        return self.bench.rpc

    @property
    def contracts(self) -> dict[str, Contract]:
        """Every contract of the deployment but the token."""
        found = self.bench.system.contracts
        return {name: found[name] for name in found if name != "token"}

    @property
    def account(self) -> bytes:
        """The attacker's account in the engine."""
        return account_id(self.attacker.address)

    @property
    def accounts(self) -> list[bytes]:
        """Accounts worth naming: the attacker's two, the users', the backstop's."""
        users = [self.bench.account(user) for user in (BROKE, SHORT, SOUND, KEEPER, WEAK, WAITING)]
        backstop = self.bench.system.backstop.accountOf(0)
        return [self.account, account_id(self.attacker.address, 1), *users, backstop]

    def order(self, nonce: int, *, is_buy: bool, base: int = WAD // 10, price: int = 88) -> Order:
        """An order of the attacker's wallet, which accepts every signature."""
        return Order(self.account, 0, is_buy, base, price * WAD, FOREVER, nonce)

    def does(self, contract: Contract, function: str, *args: Any) -> Any:
        """The attacker calls; returns the receipt."""
        data = contract[function].encode(*args)
        return self.attacker.act(contract.address, data, sender=self.bench.owner)


def deploy_reentry_world(rpc: RpcClient, artifacts: ArtifactSource) -> ReentryWorld:
    """Deploys everything and brings it into a state in which every call out can happen at once."""
    owner = account_address(0)
    attacker = rpc.deploy(artifacts("Reenterer"), 100 * UNIT, sender=owner)
    attacker.mint(owner, ENORMOUS, sender=owner)
    bench = _deploy(rpc, artifacts, attacker, owner)
    world = ReentryWorld(bench, attacker, (0, b""))
    _markets(world)
    _people(world)
    _past(world)
    rpc.warp(35 * DAY)
    _present(world)
    return world


def _deploy(rpc: RpcClient, artifacts: ArtifactSource, attacker: Contract, owner: str) -> Bench:
    parameters = Parameters.load(ROOT / "parameters" / "local.yaml")
    fund = replace(
        parameters.fund,
        reserve_target=Decimal(100),
        initial_reserve=Decimal(1_000),
        initial_backing=Decimal(500),
        reinsurance=ReinsuranceConfig(50_000, Decimal(20_000), Decimal(3_000)),
    )
    token = replace(parameters.token, address=attacker.address, decimals=None)
    markets = tuple(
        replace(market, fund=replace(market.fund, initial=Decimal(10)))
        for market in parameters.markets
    )
    parameters = replace(
        parameters, token=token, fund=fund, markets=markets, sanctions=attacker.address
    )
    system = deploy(parameters, RpcDeployer(rpc, owner, artifacts), hand_over=False)
    system.__dict__["token"] = attacker
    bench = Bench(rpc, system, owner, [account_address(index) for index in range(12)])
    for number in ROLE_IDS.values():
        for holder in (owner, attacker.address):
            system.authority.grantRole(number, holder, 0, sender=owner)
    system.risk_oracle.setReporter(attacker.address, True, sender=owner)
    system.risk_oracle.setExposureSource(attacker.address, sender=owner)
    attacker.setGoal(100 * UNIT, sender=owner)
    system.fund.setRiskOracle(attacker.address, sender=owner)
    return bench


def _markets(world: ReentryWorld) -> None:
    """Both at 100; the attacker is the second feed of both."""
    bench = world.bench
    for market in (0, 1):
        primary = bench.system.oracle.feeds(market).primary.source
        bench.set_feeds(market, primary, world.attacker.address)
        bench.set_market(market)
        bench.price(100, market)
    bench.system.engine.setFairWindow(1, 15, sender=bench.owner)


def _people(world: ReentryWorld) -> None:
    """Everybody has tokens and approvals; the attacker has some of everything."""
    bench, attacker, s = world.bench, world.attacker, world.bench.system
    spenders = (s.engine, s.fund, s.tranche, s.crash_put)
    for user in bench.users[:8]:
        attacker.mint(user, ENORMOUS, sender=bench.owner)
        for spender in spenders:
            attacker.approve(spender.address, ENORMOUS, sender=user)
    attacker.mint(attacker.address, ENORMOUS, sender=bench.owner)
    for spender in spenders:
        world.does(attacker, "approve", spender.address, ENORMOUS)
    at, limits = s.engine.address, (10**12, 10**12, DAY)
    s.fund.setClaimant(attacker.address, limits, sender=bench.owner)
    for claimant, market in ((attacker.address, 0), (attacker.address, 1)):
        s.fund.setClaimantMarket(claimant, market, (10**10, 10**12), sender=bench.owner)
    s.fund.setClaimantMarket(at, 1, (0, 500 * UNIT), sender=bench.owner)
    world.does(s.engine, "deposit", world.account, 10_000 * UNIT)
    world.does(s.fund, "fundCompartment", attacker.address, 0, 50 * UNIT)


def _series(world: ReentryWorld, written: int, strike: int, life: int) -> int:
    """A put of the engine's market 0; the attacker writes that part of its 1,000 tokens."""
    put, now = world.bench.system.crash_put, world.client.timestamp
    put.open(
        {
            "claimant": world.bench.engine.address,
            "market": 0,
            "strike": strike * WAD,
            "floor": 10 * WAD,
            "startPrice": strike * WAD,
            "size": 1_000 * UNIT,
            "premiumRate": 20_000,
            "writeUntil": now + DAY,
            "expiry": now + life,
        },
        sender=world.bench.owner,
    )
    series = int(put.seriesCount())
    if written:
        world.does(put, "write", series, written * UNIT)
    return series


def _past(world: ReentryWorld) -> None:
    """What has to be old: stakes, exits, a loss, money that came back, puts that ran out."""
    s, fund = world.bench.system, world.bench.fund
    world.does(s.tranche, "deposit", 5_000 * UNIT, world.attacker.address)
    compartment, reserve = 50 * UNIT, int(fund.reserve())
    claims = [(0, compartment + reserve + 300 * UNIT)]
    loss = world.does(fund, "cover", bytes(32), claims, 0).one("ReceiptRecorded")
    world.receipt = (int(loss.eventId), bytes(loss.receipt))
    world.does(fund, "recover", *world.receipt, 100 * UNIT)
    shares = int(s.tranche.balanceOf(world.attacker.address)) // 4
    who = world.attacker.address
    world.does(s.tranche, "requestRedeem", shares, who, who)
    expired = _series(world, 1_000, 95, 3 * DAY)
    s.crash_put.activate(expired, sender=world.bench.owner)
    _series(world, 10, 95, 3 * DAY)  # nobody activates it
    fund.fundReserve(3_000 * UNIT, sender=world.bench.owner)
    fund.noteSolvency(sender=world.bench.owner)  # the clock of surplus runs from here


def _present(world: ReentryWorld) -> None:
    """Stakes that wait, puts in every state, positions, fees, a fall, and who is left over."""
    bench, s = world.bench, world.bench.system
    _set_price(world, 100, 0)
    who = world.attacker.address
    shares = int(s.tranche.balanceOf(who)) // 4
    world.does(s.tranche, "requestRedeem", shares, who, who)
    world.does(s.tranche, "approve", bench.users[3], 10**9)
    active = _series(world, 1_000, 95, 30 * DAY)
    s.crash_put.activate(active, sender=bench.owner)
    for user, tokens in ((BROKE, 200), (SHORT, 10**6), (SOUND, 10**5), (KEEPER, 10**6)):
        bench.deposit(user, tokens)
    for user, tokens in ((WEAK, 325), (WAITING, 800)):
        bench.deposit(user, tokens)
    for user, base, market in ((BROKE, 20, 0), (WEAK, 20, 0), (SOUND, 20, 0), (WAITING, 80, 1)):
        bench.trade(user, SHORT, base, 100, market=market)
    _attackers_position(world)
    s.backstop.deploy(0, 1_000 * UNIT, sender=bench.owner)
    _series(world, 400, 80, 30 * DAY)  # still open for writing
    _series(world, 1_000, 80, 30 * DAY)  # written, may be activated
    world.does(bench.fund, "fundCompartment", who, 0, 50 * UNIT)
    _set_price(world, 88, 300)


def _attackers_position(world: ReentryWorld) -> None:
    bench = world.bench
    order = world.order(1, is_buy=True, base=5 * WAD, price=100)
    bench.system.settlement.fill(
        order, b"", bench.account(SHORT), 5 * WAD, sender=bench.users[SHORT]
    )


def _set_price(world: ReentryWorld, price: int, wait: int) -> None:
    bench = world.bench
    world.attacker.setAnswer(price * UNIT, sender=bench.owner)
    for market in (0, 1):
        bench.price(price, market)
    if wait:
        bench.rpc.warp(wait)
        for market in (0, 1):
            bench.price(price, market)
            bench.engine.poke(market, sender=bench.owner)


def counter_order(world: ReentryWorld, nonce: int = 10**7) -> tuple[Any, bytes]:
    """The keeper's signed order to sell a little."""
    account = world.bench.account(KEEPER)
    order = Order(account, 0, False, WAD // 10, 88 * WAD, FOREVER, nonce)
    return as_tuple(order), sign_order(order, private_key(KEEPER), world.bench.system.domain)


def feed_words(config: Any) -> dict[str, Any]:
    """A market's feeds as `setFeeds` takes them."""
    names = ("maxDeviation", "maxJump", "minPrice", "maxPrice")
    words: dict[str, Any] = {name: getattr(config, name) for name in names}
    for name in ("primary", "secondary"):
        feed = getattr(config, name)
        words[name] = (feed.source, feed.maxAge)
    return words


def addresses(world: ReentryWorld) -> Sequence[str]:
    """Addresses worth naming."""
    ours = [contract.address for contract in world.contracts.values()]
    return [world.attacker.address, *world.bench.users[:7], *ours]
