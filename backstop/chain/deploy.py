"""Deployment of a whole system from its parameters, and attaching to one.

    system = deploy(Parameters.load("parameters/local.yaml"), RpcDeployer(client, owner))
    system = attach(client)                       # from deployments/<chain id>.json

The lock has to know its members before they exist, and several contracts each other: their
addresses follow from the deployer's nonce, and every one is verified when it is there. While the
system is being set up the deployer is the authority's admin; at the end every restricted function
belongs to a role, the roles to their holders with their delays, and the deployer has no more than
its roles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

from eth_utils import keccak

from backstop.chain.artifacts import ArtifactSource, build_artifacts, contract_abi
from backstop.chain.config import DEPLOYER, FeedConfig, MarketConfig, Parameters
from backstop.chain.record import (
    DeployedContract,
    DeployedFeed,
    DeployedMarket,
    DeploymentError,
    Record,
    check_record,
    load_record,
)
from backstop.chain.signing import Domain
from backstop.chain.transport import ApeClient, Client, Contract
from backstop.chain.units import UnitError, from_units, scaled
from backstop.harness.abi import address_of, checksum, created_address, signature_of

ZERO_ADDRESS: Final = "0x" + "00" * 20

ROLE_IDS: Final[Mapping[str, int]] = {
    "admin": 0,
    "risk_admin": 1,
    "oracle_admin": 2,
    "fund_admin": 3,
    "treasurer": 4,
    "guardian": 5,
}
"""Role numbers in the authority; 0 is AccessManager's own admin role."""

PERMISSIONS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "engine": {
        "risk_admin": ("listMarket", "setMarket", "setCoverTerms", "setFairWindow", "resumeRisk"),
        "treasurer": ("payTreasury",),
        "guardian": ("tightenMarket", "pauseRisk"),
    },
    "oracle": {"oracle_admin": ("setFeeds",)},
    "fund": {
        "fund_admin": (
            *("setClaimant", "setClaimantMarket", "setReserveTarget", "setRefillTime"),
            *("setStakerShare", "setReinsurer", "setPremiumTerms"),
            *("setRiskOracle", "setInventory"),
        ),
        "treasurer": ("releaseReserve", "releaseBacking"),
        "guardian": ("tightenClaimant", "tightenClaimantMarket", "holdMaturity"),
    },
    "tranche": {"fund_admin": ("setTerms",)},
    "crash_put": {"fund_admin": ("open",)},
    "risk_oracle": {"fund_admin": ("setReporter", "setRules", "setExposureSource")},
    "backstop": {"risk_admin": ("setCaps", "resetLoss"), "guardian": ("tightenCaps",)},
}
"""Which role may call which restricted function, contract by contract. What is not here stays with
the admin, and a test makes sure that nothing does."""

ARTIFACTS: Final[Mapping[str, str]] = {
    "authority": "Authority",
    "oracle": "PriceOracle",
    "lock": "SharedLock",
    "governance": "MarginEngineGovernance",
    "back_office": "MarginEngineBackOffice",
    "engine": "MarginEngine",
    "fund": "InsuranceFund",
    "tranche": "StakedTranche",
    "settlement": "OrderSettlement",
    "liquidator": "Liquidator",
    "backstop": "Backstop",
    "lens": "Lens",
    "crash_put": "CrashPut",
    "risk_oracle": "RiskOracle",
    "exposure": "EngineExposure",
}
"""Artifact of each contract of ours; the token has its own. A deployment has the crash put only if
its parameters name it."""

ENGINE_PARTS: Final = ("governance", "back_office")
"""Parts of the engine that are reached through it and closed to direct calls."""

_TOKEN_ABI: Final = [
    {
        "type": "function",
        "name": name,
        "inputs": [{"name": f"a{i}", "type": kind} for i, kind in enumerate(inputs)],
        "outputs": [{"name": "", "type": output}],
    }
    for name, inputs, output in (
        ("name", (), "string"),
        ("symbol", (), "string"),
        ("decimals", (), "uint8"),
        ("totalSupply", (), "uint256"),
        ("balanceOf", ("address",), "uint256"),
        ("allowance", ("address", "address"), "uint256"),
        ("approve", ("address", "uint256"), "bool"),
        ("transfer", ("address", "uint256"), "bool"),
        ("transferFrom", ("address", "address", "uint256"), "bool"),
    )
]
"""What every ERC-20 token has."""


class Deployer(Protocol):
    """An account that deploys, and the connection it uses."""

    @property
    def client(self) -> Client:
        """The connection."""
        ...

    @property
    def address(self) -> str:
        """Who deploys."""
        ...

    @property
    def artifacts(self) -> ArtifactSource:
        """The compiled contracts."""
        ...


@dataclass
class RpcDeployer:
    """Deploys over raw JSON-RPC from an account the node holds: milliseconds, for tests.

    Attributes:
        client: of a development node.
        account: address of the deployer, or anything that has one.
        artifacts: compiled contracts; those of ape's compile cache if not given.
    """

    client: Client
    account: Any
    artifacts: ArtifactSource = field(default_factory=build_artifacts)

    @property
    def address(self) -> str:
        """The deployer."""
        return checksum(address_of(self.account))


class AccountDeployer:
    """Deploys from an ape account on the network ape is connected to.

    Args:
        account: an ape account.
        provider: ape's connected provider.
        artifacts: `project.get_contract`.
    """

    def __init__(self, account: Any, provider: Any, artifacts: ArtifactSource) -> None:
        self.client: Client = ApeClient(provider, account)
        self.address = checksum(address_of(account))
        self.artifacts = artifacts


@dataclass(frozen=True)
class System:
    """A deployed system: its contracts, bound to a connection, and its record."""

    client: Client
    record: Record
    artifacts: ArtifactSource

    def _bind(self, name: str) -> Contract:
        entry = self.record.contracts[name]
        abi = (
            _TOKEN_ABI
            if entry.artifact == "ERC20"
            else contract_abi(self.artifacts, entry.artifact)
        )
        return Contract(self.client, entry.address, abi, check=False)

    @cached_property
    def authority(self) -> Contract:
        """The AccessManager."""
        return self._bind("authority")

    @cached_property
    def token(self) -> Contract:
        """The collateral token; a mock also has `mint(to, amount)` and `burn(from, amount)`."""
        return self._bind("token")

    @cached_property
    def oracle(self) -> Contract:
        """The PriceOracle."""
        return self._bind("oracle")

    @cached_property
    def lock(self) -> Contract:
        """The SharedLock."""
        return self._bind("lock")

    @cached_property
    def engine(self) -> Contract:
        """The MarginEngine with both halves of its ABI."""
        return self._bind("engine")

    @cached_property
    def back_office(self) -> Contract:
        """The engine's second part, called directly: nothing is there."""
        return self._bind("back_office")

    @cached_property
    def governance(self) -> Contract:
        """The engine's third part, called directly: nothing is there."""
        return self._bind("governance")

    @cached_property
    def fund(self) -> Contract:
        """The InsuranceFund."""
        return self._bind("fund")

    @cached_property
    def tranche(self) -> Contract:
        """The StakedTranche, layer 3: the fund deployed it."""
        return self._bind("tranche")

    @cached_property
    def crash_put(self) -> Contract:
        """The CrashPut, layer 4; DeploymentError if the deployment has none."""
        if "crash_put" not in self.record.contracts:
            raise DeploymentError(
                "the deployment has no crash put: add fund.reinsurance to its parameters"
                " (docs/parameters.md) and deploy again"
            )
        return self._bind("crash_put")

    @cached_property
    def risk_oracle(self) -> Contract:
        """The RiskOracle: what the fund should hold."""
        return self._bind("risk_oracle")

    @cached_property
    def exposure(self) -> Contract:
        """Open interest for the risk oracle's fallback."""
        return self._bind("exposure")

    @cached_property
    def settlement(self) -> Contract:
        """The OrderSettlement."""
        return self._bind("settlement")

    @cached_property
    def liquidator(self) -> Contract:
        """The Liquidator."""
        return self._bind("liquidator")

    @cached_property
    def lens(self) -> Contract:
        """The Lens: many views in one call; DeploymentError if the record is older than it."""
        if "lens" not in self.record.contracts:
            raise DeploymentError(
                "the deployment was recorded by a version without the Lens: deploy again, or deploy"
                " contracts/Lens.sol (engine, fund, oracle) and add it to the record's contracts"
            )
        return self._bind("lens")

    @cached_property
    def backstop(self) -> Contract:
        """The Backstop: the fund's own accounts in the engine."""
        return self._bind("backstop")

    @cached_property
    def feeds(self) -> tuple[tuple[Contract, ...], ...]:
        """The price feeds of every market that are mocks (empty for real ones)."""
        return tuple(
            tuple(
                Contract(
                    self.client,
                    feed.address,
                    contract_abi(self.artifacts, "MockFeed"),
                    check=False,
                )
                for feed in market.feeds
                if feed.mock
            )
            for market in self.record.markets
        )

    @property
    def domain(self) -> Domain:
        """The EIP-712 domain that orders are signed for."""
        return Domain(self.record.chain_id, self.record.contracts["settlement"].address)

    @property
    def contracts(self) -> dict[str, Contract]:
        """All contracts by name."""
        return {name: getattr(self, name) for name in self.record.contracts}

    def set_price(self, market: int, price: Decimal, sender: Any) -> None:
        """Push a price (quote per base) to all mock feeds of a market.

        Raises:
            DeploymentError: a feed of the market is real.
        """
        entry = self.record.markets[market]
        if not all(feed.mock for feed in entry.feeds):
            raise DeploymentError(
                f"the price feeds of {entry.name} are real: only mock feeds of a local deployment"
                " can be set"
            )
        answers = [scaled(price, feed.decimals) for feed in entry.feeds]
        for feed, answer in zip(self.feeds[market], answers, strict=True):
            feed.push(answer, sender=sender)


class _Builder:
    """One deployment while it is being made."""

    def __init__(self, parameters: Parameters, deployer: Deployer, log: Callable[[str], None]):
        self.parameters, self.deployer, self.log = parameters, deployer, log
        self.client, self.address = deployer.client, deployer.address
        self.contracts: dict[str, Contract] = {}
        self.artifact_names: dict[str, str] = {}

    def send(self, contract: str, function: str, *args: Any) -> None:
        self.contracts[contract][function].send(*args, sender=self.address)

    def create(self, artifact: str, *args: Any) -> Contract:
        return self.client.deploy(self.deployer.artifacts(artifact), *args, sender=self.address)

    def add(self, name: str, *args: Any, expected: str | None = None) -> Contract:
        artifact = ARTIFACTS[name]
        contract = self.create(artifact, *args)
        if expected is not None and contract.address != expected:
            raise DeploymentError(
                f"{artifact} came to be at {contract.address}, but its address was promised to the"
                f" other contracts as {expected}: another transaction of {self.address} got in"
                " between. Nothing was recorded; deploy again with nothing else running"
            )
        self.log(f"{artifact} at {contract.address}")
        self.keep(name, artifact, contract)
        return contract

    def keep(self, name: str, artifact: str, contract: Contract) -> None:
        abi = (
            contract.abi if artifact == "ERC20" else contract_abi(self.deployer.artifacts, artifact)
        )
        self.contracts[name] = Contract(self.client, contract.address, abi, check=False)
        self.artifact_names[name] = artifact

    def nonce(self) -> int:
        return int(self.client.rpc("eth_getTransactionCount", self.address, "latest"), 16)

    # --- contracts

    def token(self) -> tuple[str, int]:
        """Make or find the token; its symbol and decimals."""
        wanted = self.parameters.token
        if wanted.address is None:
            token = self.create("MockToken", wanted.name, wanted.symbol, wanted.decimals)
            self.keep("token", "MockToken", token)
            self.log(f"mock {wanted.symbol} at {token.address}")
            return wanted.symbol, int(wanted.decimals or 0)
        if not self.client.code(wanted.address):
            raise DeploymentError(
                f"there is no token at {wanted.address} on chain {self.client.chain_id}: correct"
                f" token.address in {self.parameters.source}, or choose the right --network"
            )
        self.keep("token", "ERC20", Contract(self.client, wanted.address, _TOKEN_ABI))
        token = self.contracts["token"]
        return str(token.symbol()), int(token.decimals())

    def feed(self, feed: FeedConfig | None, where: str) -> DeployedFeed | None:
        if feed is None:
            return None
        if feed.address is None and feed.mock_price is not None:
            mock = self.create("MockFeed", feed.decimals, scaled(feed.mock_price, feed.decimals))
            return DeployedFeed(mock.address, feed.decimals, True)
        if not self.client.code(feed.address):
            raise DeploymentError(
                f"there is no price feed at {feed.address} on chain {self.client.chain_id}:"
                f" correct {where} in {self.parameters.source}"
            )
        return DeployedFeed(str(feed.address), feed.decimals, False)

    def core(self) -> None:
        """The contracts that know each other, in nine transactions without a gap."""
        authority, token = self.contracts["authority"].address, self.contracts["token"].address
        first = self.nonce() + 1
        engine, fund, settlement, liquidator, backstop = (
            created_address(self.address, first + place) for place in range(2, 7)
        )
        tranche = created_address(fund, 1)  # the fund deploys it, before anything else
        lock = self.add("lock", [engine, settlement, liquidator, fund, tranche]).address
        sanctions = self.parameters.sanctions or ZERO_ADDRESS
        if self.parameters.sanctions and not self.client.code(sanctions):
            raise DeploymentError(
                f"there is no sanctions list at {sanctions} on chain {self.client.chain_id}:"
                f" correct sanctions in {self.parameters.source}, or remove it"
            )
        wiring = {
            "authority": authority,
            "token": token,
            "oracle": self.contracts["oracle"].address,
            "fund": fund,
            "settlement": settlement,
            "liquidator": liquidator,
            "lock": lock,
            "sanctions": sanctions,
        }
        governance = self.add("governance", wiring).address
        back_office = self.add("back_office", wiring, governance).address
        self.add("engine", wiring, back_office, expected=engine)
        self.add("fund", token, lock, authority, sanctions, expected=fund)
        if self.contracts["fund"].stakedTranche() != tranche:
            raise DeploymentError(f"the staked tranche did not come to be at {tranche}: a defect")
        abi = contract_abi(self.deployer.artifacts, ARTIFACTS["tranche"])
        self.keep("tranche", ARTIFACTS["tranche"], Contract(self.client, tranche, abi))
        self.add("settlement", engine, liquidator, lock, expected=settlement)
        self.add("liquidator", engine, settlement, backstop, lock, token, expected=liquidator)
        self.add("backstop", engine, fund, liquidator, lock, token, authority, expected=backstop)
        self.add("lens", engine, fund, self.contracts["oracle"].address)

    # --- set-up

    def units(self, tokens: Decimal, decimals: int, what: str) -> int:
        try:
            return scaled(tokens, decimals)
        except UnitError:
            raise DeploymentError(
                f"{what} is {tokens}, but the token has only {decimals} decimals: correct it in"
                f" {self.parameters.source}"
            ) from None

    def list_market(self, number: int, market: MarketConfig, decimals: int) -> DeployedMarket:
        where = f"markets[{number}].feeds"
        primary = self.feed(market.feeds.primary, f"{where}.primary.address")
        secondary = self.feed(market.feeds.secondary, f"{where}.secondary.address")
        feeds = tuple(feed for feed in (primary, secondary) if feed is not None)
        second = market.feeds.secondary
        self.send(
            "oracle",
            "setFeeds",
            number,
            {
                "primary": (feeds[0].address, market.feeds.primary.max_age),
                "secondary": (
                    (secondary.address, second.max_age)
                    if secondary is not None and second is not None
                    else (ZERO_ADDRESS, 0)
                ),
                "maxDeviation": market.feeds.max_deviation_ppm,
                "maxJump": market.feeds.max_jump_ppm,
                "minPrice": market.feeds.min_price,
                "maxPrice": market.feeds.max_price,
            },
        )
        self.send("engine", "listMarket", market.parameters, market.liquidation)
        limits = (
            self.units(market.fund.compartment_cap, decimals, f"{market.name}.compartment_cap"),
            self.units(market.fund.per_window, decimals, f"{market.name}.per_window"),
        )
        engine = self.contracts["engine"].address
        self.send("fund", "setClaimantMarket", engine, number, limits)
        self.limit_inventory(number, market, decimals)
        self.log(f"market {number} {market.name}")
        return DeployedMarket(market.name, feeds)

    def limit_inventory(self, number: int, market: MarketConfig, decimals: int) -> None:
        """Caps of the market's backstop inventory; without them it takes nothing."""
        if (caps := market.backstop) is None:
            return
        where = f"{market.name}.backstop"
        amounts = {
            name: self.units(getattr(caps, name), decimals, f"{where}.{name}")
            for name in ("capital", "notional", "loss")
        }
        fractions = {
            "marginPpm": caps.margin_ppm,
            "premiumPpm": caps.premium_ppm,
            "maxDiscountPpm": caps.max_discount_ppm,
        }
        terms = {**amounts, **fractions, "auctionTime": caps.auction_time}
        self.send("backstop", "setCaps", number, terms)

    def register_engine(self, decimals: int) -> None:
        fund = self.parameters.fund
        limits = (
            self.units(fund.engine.per_claim, decimals, "fund.engine.per_claim"),
            self.units(fund.engine.per_window, decimals, "fund.engine.per_window"),
            fund.engine.window,
        )
        self.send("fund", "setClaimant", self.contracts["engine"].address, limits)
        engine, backstop = (self.contracts[name].address for name in ("engine", "backstop"))
        self.send("fund", "setInventory", engine, backstop)
        target = self.units(fund.reserve_target, decimals, "fund.reserve_target")
        self.send("fund", "setReserveTarget", target)
        if staking := fund.staking:
            cap = self.units(staking.cap, decimals, "fund.staking.cap")
            self.send("tranche", "setTerms", cap, staking.cooldown)
            self.send("fund", "setStakerShare", staking.share_ppm)

    def reinsurance(self, decimals: int) -> None:
        """Layer 4, if it is wanted: the crash put, and the terms of its budget."""
        wanted = self.parameters.fund.reinsurance
        if wanted is None:
            return
        names = ("fund", "oracle", "authority")
        put = self.add("crash_put", *(self.contracts[name].address for name in names))
        self.send("fund", "setReinsurer", put.address)
        cap = self.units(wanted.premium_cap, decimals, "fund.reinsurance.premium_cap")
        self.send("fund", "setPremiumTerms", wanted.premium_share_ppm, cap)

    def fair_windows(self) -> None:
        """How long large claims wait for others to share with; nothing is sent if they do not."""
        if minutes := self.parameters.fund.fair_window:
            for number in range(len(self.parameters.markets)):
                self.send("engine", "setFairWindow", number, minutes)

    def capital(self, decimals: int) -> None:
        """What the deployer puts into the fund: reserve, compartments, budget for premiums."""
        engine = self.contracts["engine"].address
        outside = self.parameters.fund.reinsurance
        premium = self.units(
            outside.initial_premium if outside else Decimal(0),
            decimals,
            "fund.reinsurance.initial_premium",
        )
        reserve = self.units(self.parameters.fund.initial_reserve, decimals, "fund.initial_reserve")
        parts = [
            self.units(market.fund.initial, decimals, f"{market.name}.initial")
            for market in self.parameters.markets
        ]
        backing = self.units(self.parameters.fund.initial_backing, decimals, "fund.initial_backing")
        total = reserve + backing + premium + sum(parts)
        if not total:
            return
        token = self.contracts["token"]
        if self.parameters.token.address is None:
            self.send("token", "mint", self.address, total)
        elif (held := token.balanceOf(self.address)) < total:
            raise DeploymentError(
                f"the deployer holds {from_units(held, decimals)} tokens, but the fund's"
                f" initial capital is {from_units(total, decimals)}: send it the rest, or"
                " lower initial_reserve and initial"
            )
        self.send("token", "approve", self.contracts["fund"].address, total)
        if reserve:
            self.send("fund", "fundReserve", reserve)
        if premium:
            self.send("fund", "fundPremium", premium)
        if backing:
            self.send("fund", "fundBacking", backing)
        for number, part in enumerate(parts):
            if part:
                self.send("fund", "fundCompartment", engine, number, part)

    def target(self, decimals: int) -> None:
        """What the fund should hold, and the terms that follow how well it does."""
        config = self.parameters.fund.target
        if config is None:
            return
        initial = self.units(config.initial, decimals, "fund.target.initial")
        oracle = self.add(
            "risk_oracle", self.contracts["authority"].address, initial, config.rules
        ).address
        exposure = self.add("exposure", self.contracts["engine"].address).address
        self.send("risk_oracle", "setExposureSource", exposure)
        for reporter in config.reporters:
            address = self.address if reporter == DEPLOYER else checksum(reporter)
            self.send("risk_oracle", "setReporter", address, True)
        self.send("fund", "setRiskOracle", oracle)
        for number, market in enumerate(self.parameters.markets):
            if (terms := market.cover) is not None:
                shape = (terms.cap_ppm, terms.floor_ppm, terms.margin_rise_ppm)
                self.send("engine", "setCoverTerms", number, *shape)

    # --- roles

    def present(self) -> list[str]:
        """The contracts of this deployment that have restricted functions."""
        return [name for name in PERMISSIONS if name in self.contracts]

    def assign_functions(self) -> None:
        """Every restricted function to its role; the engine's other parts to nobody."""
        for name in self.present():
            contract, by_role = self.contracts[name], PERMISSIONS[name]
            for role, functions in by_role.items():
                picked = [selector(contract, function) for function in functions]
                self.send(
                    "authority", "setTargetFunctionRole", contract.address, picked, ROLE_IDS[role]
                )
        for part in ENGINE_PARTS:
            self.send("authority", "setTargetClosed", self.contracts[part].address, True)

    def hand_over(self) -> None:
        """Roles to their holders with their delays; last, what the deployer has as admin."""
        roles = self.parameters.roles
        for role, number in ROLE_IDS.items():
            if number == 0:
                continue
            self.send("authority", "labelRole", number, role)
            self.send("authority", "grantRole", number, self.holder(role), roles[role].delay)
            if role != "guardian":
                self.send("authority", "setRoleGuardian", number, ROLE_IDS["guardian"])
        for name in (*self.present(), *ENGINE_PARTS):
            address = self.contracts[name].address
            self.send("authority", "setTargetAdminDelay", address, roles["admin"].delay)
        admin = self.holder("admin")
        self.send("authority", "grantRole", 0, admin, roles["admin"].delay)
        if admin != self.address:
            self.send("authority", "renounceRole", 0, self.address)
        self.log(f"admin is {admin}, after a delay of {roles['admin'].delay} s")

    def holder(self, role: str) -> str:
        account = self.parameters.roles[role].account
        return self.address if account == DEPLOYER else checksum(account)


def selector(contract: Contract, function: str) -> bytes:
    """The four bytes by which a contract's only function of that name is called."""
    found = [i for i in contract.abi if i.get("type") == "function" and i["name"] == function]
    if len(found) != 1:
        raise LookupError(f"{len(found)} functions {function} in {contract!r}")
    return keccak(text=signature_of(found[0]))[:4]


def deploy(
    parameters: Parameters,
    deployer: Deployer,
    *,
    log: Callable[[str], None] = lambda line: None,
    hand_over: bool = True,
) -> System:
    """Deploy and set up a whole system. It is not recorded: `system.record.save()` does that.

    Args:
        parameters: checked parameters.
        deployer: who deploys and over which connection.
        log: told what has been done, line by line.
        hand_over: give the roles away at the end. Without it the deployer stays the admin of
            everything, without delay: only for tests that change parameters at will.

    Raises:
        DeploymentError: an address is not the promised one, a token or feed is missing.
        Reverted: a contract refuses a parameter.
    """
    work = _Builder(parameters, deployer, log)
    work.add("authority", work.address)
    symbol, decimals = work.token()
    sequencer = parameters.sequencer
    work.add(
        "oracle",
        work.contracts["authority"].address,
        sequencer.feed if sequencer else ZERO_ADDRESS,
        sequencer.grace if sequencer else 0,
    )
    work.core()
    work.register_engine(decimals)
    markets = tuple(
        work.list_market(number, market, decimals)
        for number, market in enumerate(parameters.markets)
    )
    work.reinsurance(decimals)
    work.fair_windows()
    work.capital(decimals)
    work.target(decimals)
    work.assign_functions()
    if hand_over:
        work.hand_over()
    client = work.client
    record = Record(
        chain_id=client.chain_id,
        block=client.block_number,
        deployer=work.address,
        parameters=parameters.name,
        parameters_digest=parameters.digest,
        token_symbol=symbol,
        token_decimals=decimals,
        token_mock=parameters.token.address is None,
        contracts={
            name: DeployedContract(
                work.artifact_names[name],
                contract.address,
                "0x" + keccak(client.code(contract.address)).hex(),
            )
            for name, contract in work.contracts.items()
        },
        markets=markets,
    )
    return System(client, record, deployer.artifacts)


def attach(
    client: Client,
    where: int | str | Path | None = None,
    artifacts: ArtifactSource | None = None,
) -> System:
    """A deployed system, from its record.

    Args:
        client: connection to the chain.
        where: chain id or record file; the chain the client is connected to if not given.
        artifacts: compiled contracts; those of ape's compile cache if not given.

    Raises:
        DeploymentError: there is no record, the network is another, or the contracts are gone.
    """
    record = load_record(client.chain_id if where is None else where)
    check_record(record, client)
    return System(client, record, artifacts or build_artifacts())
