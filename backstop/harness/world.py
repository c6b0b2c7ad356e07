"""A whole deployment with mock feeds on a development node, and its exact twin in the same state.

Three markets that differ in what they provoke: the first is an ordinary one, the second takes
positions of a few wei, the third has no fees, no fund money and a small charge cap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from typing import Any, Final

from eth_utils import to_canonical_address, to_checksum_address

from backstop.chain.artifacts import engine_abi
from backstop.chain.signing import Domain, account_id
from backstop.harness.abi import created_address
from backstop.harness.anvil import account_address
from backstop.harness.rpc import Contract, RpcClient
from backstop.model.backstop import Caps
from backstop.model.engine_state import Clock, LiquidationParameters, MarketParameters
from backstop.model.fixed_point import WAD
from backstop.model.fund import ClaimantLimits, MarketLimits
from backstop.model.oracle import Feed, FeedConfig, Round
from backstop.model.world import Addresses, World

ZERO_ADDRESS: Final = "0x" + "00" * 20
MAX_UINT256: Final = 2**256 - 1
UNIT: Final = 10**6
"""Units of the token in one token."""

FEED_DECIMALS: Final = (8, 10)
"""Of the primary and of the secondary feed of every market."""

TRADERS: Final = 5
"""Owners of accounts: the node's accounts from 1 on; the last one keeps and provides liquidity."""

START_BALANCE: Final = 10**8 * UNIT
START_PRICES: Final = (40_000 * 10**8, 2 * 10**8, 1_500 * 10**8)
"""First price of every market, in units of 1e-8."""

ORDINARY: Final = MarketParameters(
    open_interest_cap=5_000 * WAD,
    size_scale=50_000_000,
    initial_margin_ppm=50_000,
    maintenance_margin_ppm=30_000,
    open_interest_slope_ppm=500_000,
    max_mark_age=15,
    mark_speed_ppb=10_000_000,
    funding_clamp_ppb=4_000_000,
    band_ppm=50_000,
    maker_fee_ppm=200,
    taker_fee_ppm=500,
    fund_share_ppm=400_000,
    profit_lock=600,
    charge_cap_ppm=100_000,
    min_base=1_000_000,
)
DUST: Final = MarketParameters(
    open_interest_cap=10**40 // 10**8,
    size_scale=1_000_000_000,
    initial_margin_ppm=100_000,
    maintenance_margin_ppm=60_000,
    open_interest_slope_ppm=0,
    max_mark_age=0,
    mark_speed_ppb=30_000_000,
    funding_clamp_ppb=1_000_000_000,
    band_ppm=200_000,
    maker_fee_ppm=1_000,
    taker_fee_ppm=3_000,
    fund_share_ppm=1_000_000,
    profit_lock=0,
    charge_cap_ppm=1_000_000,
    min_base=1,
)
BARE: Final = MarketParameters(
    open_interest_cap=20_000 * WAD,
    size_scale=5_000_000,
    initial_margin_ppm=40_000,
    maintenance_margin_ppm=25_000,
    open_interest_slope_ppm=1_000_000,
    max_mark_age=60,
    mark_speed_ppb=5_000_000,
    funding_clamp_ppb=0,
    band_ppm=100_000,
    maker_fee_ppm=0,
    taker_fee_ppm=0,
    fund_share_ppm=0,
    profit_lock=86_400,
    charge_cap_ppm=20_000,
    min_base=10_000_000,
)
ORDINARY_LIQUIDATION: Final = LiquidationParameters(
    target_health_ppm=1_200_000,
    min_discount_ppm=2_000,
    max_discount_ppm=12_000,
    surcharge_ppm=4_000,
    reward_ppm=140,
    ramp=60,
    deleverage_delay=120,
    check_interval=1,
    max_step=2_000_000,
    close_reward_cap=50,
)
DUST_LIQUIDATION: Final = LiquidationParameters(
    target_health_ppm=1_500_000,
    min_discount_ppm=0,
    max_discount_ppm=20_000,
    surcharge_ppm=5_000,
    reward_ppm=1_000,
    ramp=1,
    deleverage_delay=1,
    check_interval=1,
    max_step=10**11,
    close_reward_cap=1_000_000,
)
BARE_LIQUIDATION: Final = LiquidationParameters(
    target_health_ppm=1_050_000,
    min_discount_ppm=1_000,
    max_discount_ppm=10_000,
    surcharge_ppm=2_000,
    reward_ppm=1_000,
    ramp=30,
    deleverage_delay=60,
    check_interval=1,
    max_step=500_000,
    close_reward_cap=0,
)
MARKETS: Final = (
    (ORDINARY, ORDINARY_LIQUIDATION),
    (DUST, DUST_LIQUIDATION),
    (BARE, BARE_LIQUIDATION),
)
FUND_LIMITS: Final = ClaimantLimits(per_claim=30_000 * UNIT, per_window=50_000 * UNIT, window=3_600)
FUND_MARKET_LIMITS: Final = (
    MarketLimits(compartment_cap=20_000 * UNIT, per_window=40_000 * UNIT),
    MarketLimits(compartment_cap=5_000 * UNIT, per_window=10_000 * UNIT),
    MarketLimits(compartment_cap=0, per_window=0),
)
RESERVE: Final = 40_000 * UNIT
STAKE: Final = 15_000 * UNIT
BACKING: Final = 5_000 * UNIT
FUND_TARGET: Final = 60_000 * UNIT
TARGET_RULES: Final = (1, 86_400, 1, 1, 0, 0)
"""Nobody reports, so the target stays."""
COVER_TERMS: Final = {0: (1_500_000, 250_000, 500_000), 2: (2_000_000, 1_000_000, 0)}
"""Cap, floor and margin rise of the markets whose terms follow the fund."""
STAKE_TERMS: Final = (1_000_000 * UNIT, 7 * 86_400)
"""Largest active stake, and the cooldown of an exit in seconds."""

STAKER_SHARE_PPM: Final = 200_000
COMPARTMENTS: Final = (4_000 * UNIT, 1_000 * UNIT, 0)
CAPS: Final = (
    Caps(
        capital=15_000 * UNIT,
        notional=60_000 * UNIT,
        auction_time=300,
        loss=6_000 * UNIT,
        margin_ppm=100_000,
        premium_ppm=5_000,
        max_discount_ppm=8_000,
    ),
    Caps(
        capital=3_000 * UNIT,
        notional=2_000 * UNIT,
        auction_time=60,
        loss=3_000 * UNIT,
        margin_ppm=150_000,
        premium_ppm=0,
        max_discount_ppm=0,
    ),
    Caps(),
)
"""Caps of the backstop's inventory; the last market has none."""

MAX_AGE: Final = 3_600


def feed_name(market: int, which: int) -> str:
    """The twin's name of a feed: `which` is 0 for the primary, 1 for the secondary."""
    return f"{market}{'ab'[which]}"


def feed_answer(price: int, which: int) -> int:
    """A price in units of 1e-8 as that feed answers it."""
    return int(price * 10 ** (FEED_DECIMALS[which] - 8))


def owners() -> tuple[bytes, ...]:
    """Addresses of the traders."""
    return tuple(to_canonical_address(account_address(1 + i)) for i in range(TRADERS))


def accounts() -> tuple[bytes, ...]:
    """The accounts that play: the first two owners have two each, the last is the keeper's."""
    who = owners()
    pairs = [(0, 0), (0, 1), (1, 0), (1, 7), (2, 0), (3, 0), (4, 0)]
    return tuple(account_id(to_checksum_address(who[owner]), sub) for owner, sub in pairs)


def feed_config(market: int, sources: tuple[str, str]) -> FeedConfig:
    """The same checks for every market."""
    feeds = [
        Feed(source, MAX_AGE, decimals)
        for source, decimals in zip(sources, FEED_DECIMALS, strict=True)
    ]
    return FeedConfig(
        primary=feeds[0],
        secondary=feeds[1],
        max_deviation=10_000,
        max_jump=300_000,
        min_price=10**12,
        max_price=10**24,
    )


def twin_world(now: int, addresses: Addresses | None = None) -> World:
    """The twin of a deployment in its first state, at time `now`."""
    world = World(decimals=6, addresses=addresses or Addresses(), clock=Clock(now))
    for who in owners():
        world.token.mint(who, START_BALANCE)
    funder = owners()[-1]
    world.fund.set_claimant(world.claimant, FUND_LIMITS, now)
    for market, (parameters, liquidation) in enumerate(MARKETS):
        for which in (0, 1):
            answer = feed_answer(START_PRICES[market], which)
            world.oracle.rounds[feed_name(market, which)] = Round(answer, now, now)
        names = (feed_name(market, 0), feed_name(market, 1))
        world.oracle.set_feeds(market, feed_config(market, names))
        world.engine.list_market(parameters, liquidation)
        world.fund.set_claimant_market(world.claimant, market, FUND_MARKET_LIMITS[market], now)
        if COMPARTMENTS[market]:
            world.fund_compartment(market, COMPARTMENTS[market], caller=funder)
    world.fund_reserve(RESERVE, caller=funder)
    world.fund.set_staker_share(STAKER_SHARE_PPM)
    world.fund.staking.set_terms(*STAKE_TERMS)
    world.stake(STAKE, caller=funder)
    world.fund_backing(BACKING, caller=funder)
    world.set_risk_oracle(FUND_TARGET)
    for market, shape in COVER_TERMS.items():
        world.engine.set_cover_terms(market, *shape)
    world.fund.set_inventory(world.claimant, "0x" + world.addresses.backstop.hex())
    for market, caps in enumerate(CAPS):
        world.backstop.set_caps(market, caps)
    return world


@dataclass
class ChainWorld:
    """The contracts of a deployment; `engine` answers for its back office too."""

    client: RpcClient
    admin: str
    token: Contract
    manager: Contract
    lock: Contract
    oracle: Contract
    fund: Contract
    tranche: Contract
    engine: Contract
    settlement: Contract
    liquidator: Contract
    backstop: Contract
    reader: Contract
    feeds: dict[str, Contract] = field(default_factory=dict)
    now: int = 0

    @property
    def domain(self) -> Domain:
        """What orders are signed for."""
        return Domain(self.client.chain_id, self.settlement.address)

    @property
    def addresses(self) -> Addresses:
        """Where the contracts are, as the twin wants it."""
        return Addresses(
            engine=to_canonical_address(self.engine.address),
            settlement=to_canonical_address(self.settlement.address),
            liquidator=to_canonical_address(self.liquidator.address),
            fund=to_canonical_address(self.fund.address),
            backstop=to_canonical_address(self.backstop.address),
        )

    def twin(self) -> World:
        """The twin in the state right after deployment."""
        return twin_world(self.now, self.addresses)


def deploy_world(client: RpcClient, artifact: Callable[[str], Any], admin: str) -> ChainWorld:
    """Deploys everything, lists the markets, funds traders and fund; all at one time.

    Args:
        client: of the node.
        artifact: gives the compiled contract of a name.
        admin: deployer, and admin of the AccessManager.
    """

    def deploy(name: str, *args: Any) -> Contract:
        return client.deploy(artifact(name), *args, sender=admin)

    token = deploy("MockToken", "Test dollar", "TUSD", 6)
    manager = deploy("MockAccessManager", admin)
    oracle = deploy("PriceOracle", manager.address, ZERO_ADDRESS, 0)
    nonce = int(client.rpc("eth_getTransactionCount", admin, "latest"), 16)
    fund_at, engine_at, settlement_at, liquidator_at, backstop_at = (
        created_address(admin, nonce + i) for i in (1, 4, 5, 6, 7)
    )
    tranche_at = created_address(fund_at, 1)
    lock = deploy("SharedLock", [engine_at, settlement_at, liquidator_at, fund_at, tranche_at])
    fund = deploy("InsuranceFund", token.address, lock.address, manager.address, ZERO_ADDRESS)
    wiring = {
        "authority": manager.address,
        "token": token.address,
        "oracle": oracle.address,
        "fund": fund_at,
        "settlement": settlement_at,
        "liquidator": liquidator_at,
        "lock": lock.address,
        "sanctions": ZERO_ADDRESS,
    }
    governance = deploy("MarginEngineGovernance", wiring)
    office = deploy("MarginEngineBackOffice", wiring, governance.address)
    front = deploy("MarginEngine", wiring, office.address)
    settlement = deploy("OrderSettlement", engine_at, liquidator_at, lock.address)
    liquidator = deploy(
        "Liquidator", engine_at, settlement_at, backstop_at, lock.address, token.address
    )
    backstop = deploy(
        "Backstop",
        *(engine_at, fund_at, liquidator_at, lock.address, token.address, manager.address),
    )
    found = [c.address for c in (fund, front, settlement, liquidator, backstop)]
    if found != [fund_at, engine_at, settlement_at, liquidator_at, backstop_at]:
        raise RuntimeError("the contracts are not where the lock expects them")
    engine = Contract(client, engine_at, engine_abi(artifact))
    world = ChainWorld(
        client=client,
        admin=admin,
        token=token,
        manager=manager,
        lock=lock,
        oracle=oracle,
        fund=fund,
        tranche=Contract(client, tranche_at, artifact("StakedTranche")),
        engine=engine,
        settlement=settlement,
        liquidator=liquidator,
        backstop=backstop,
        reader=deploy("ViewProbe"),
    )
    _fill_in(world, deploy)
    return world


def _fill_in(world: ChainWorld, deploy: Callable[..., Contract]) -> None:
    """Money, feeds, markets and limits, as `twin_world` has them."""
    client, admin = world.client, world.admin
    for who in (*owners(), to_canonical_address(admin)):
        address = to_checksum_address(who)
        if who in owners():
            world.token.mint(address, START_BALANCE, sender=admin)
        for spender in (world.engine.address, world.fund.address, world.tranche.address):
            world.token.approve(spender, MAX_UINT256, sender=address)
    world.fund.setClaimant(world.engine.address, _camel(FUND_LIMITS), sender=admin)
    for market, _ in enumerate(MARKETS):
        for which in (0, 1):
            answer = feed_answer(START_PRICES[market], which)
            feed = deploy("MockFeed", FEED_DECIMALS[which], answer)
            world.feeds[feed_name(market, which)] = feed
    risk_oracle = deploy("RiskOracle", world.manager.address, FUND_TARGET, TARGET_RULES)
    # from here on everything happens in one second, so that the twin can be built with one time
    start = client.timestamp + 12
    funder = to_checksum_address(owners()[-1])
    transactions: list[tuple[Contract, str, tuple[Any, ...], str]] = []
    for market, (parameters, liquidation) in enumerate(MARKETS):
        for which in (0, 1):
            answer = feed_answer(START_PRICES[market], which)
            feed = world.feeds[feed_name(market, which)]
            transactions.append((feed, "set", (answer, start, start), admin))
        sources = (world.feeds[feed_name(market, i)].address for i in (0, 1))
        config = feed_config(market, ("", ""))
        primary, secondary = ((source, MAX_AGE) for source in sources)
        bounds = (config.max_deviation, config.max_jump, config.min_price, config.max_price)
        transactions += [
            (world.oracle, "setFeeds", (market, (primary, secondary, *bounds)), admin),
            (world.engine, "listMarket", (parameters, liquidation), admin),
            (
                world.fund,
                "setClaimantMarket",
                (world.engine.address, market, FUND_MARKET_LIMITS[market]),
                admin,
            ),
        ]
        if COMPARTMENTS[market]:
            args = (world.engine.address, market, COMPARTMENTS[market])
            transactions.append((world.fund, "fundCompartment", args, funder))
    transactions += [
        (world.fund, "fundReserve", (RESERVE,), funder),
        (world.fund, "setStakerShare", (STAKER_SHARE_PPM,), admin),
        (world.tranche, "setTerms", STAKE_TERMS, admin),
        (world.tranche, "deposit", (STAKE, funder), funder),
        (world.fund, "fundBacking", (BACKING,), funder),
        (world.fund, "setRiskOracle", (risk_oracle.address,), admin),
        *(
            (world.engine, "setCoverTerms", (market, *shape), admin)
            for market, shape in COVER_TERMS.items()
        ),
        (world.fund, "setInventory", (world.engine.address, world.backstop.address), admin),
        *(
            (world.backstop, "setCaps", (market, astuple(caps)), admin)
            for market, caps in enumerate(CAPS)
        ),
    ]
    client.rpc("anvil_setBlockTimestampInterval", 0)
    client.set_next_timestamp(start)
    for contract, function, args, sender in transactions:
        contract[function](*args, sender=sender)
    client.rpc("anvil_setBlockTimestampInterval", 12)
    world.now = client.timestamp
    if world.now != start:
        raise RuntimeError("the node's clock went on while the deployment was set up")


def _camel(value: ClaimantLimits) -> tuple[int, ...]:
    return (value.per_claim, value.per_window, value.window)
