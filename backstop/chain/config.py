"""A deployment's parameters: a YAML file of human units to frozen dataclasses of exact integers.

Every scalar is read as text, so no number ever passes through a float. Every error names the file,
the field, its value, what is allowed and what to do. Unknown and repeated fields are refused: a
misspelt limit must not silently mean "unset".
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import yaml
from eth_utils import is_checksum_formatted_address, is_hex_address, to_checksum_address

from backstop.chain.units import (
    PPM,
    UnitError,
    from_units,
    parse_decimal,
    parse_duration,
    parse_fraction,
    scaled,
)
from backstop.model.engine_state import LiquidationParameters, MarketParameters

T = TypeVar("T")

ROLES: Final = ("admin", "risk_admin", "oracle_admin", "fund_admin", "treasurer", "guardian")
"""Every role of a deployment; all but the guardian act after a delay."""

DEPLOYER: Final = "deployer"
"""Stands for the deploying account where a role's account is asked for."""

MAX_MARKETS: Final = 64
MAX_REPORTERS: Final = 9
MAX_PRICE: Final = 10**25
_MAX_GRACE: Final = 3600
_MANTISSA_LIMIT: Final = 1 << 35
_FUNDING_PERIOD: Final = 8 * 3600


class ConfigError(ValueError):
    """A parameter file that cannot be used.

    Attributes:
        file: the file.
        path: the field, such as `markets[0].margin.initial`; empty for the file as a whole.
        value: what it holds, as written; None if it is missing.
        allowed: what would be right.
        remedy: what to do.
    """

    def __init__(
        self, file: str, path: str, value: object, allowed: str, remedy: str | None = None
    ) -> None:
        self.file, self.path, self.value, self.allowed = file, path, value, allowed
        self.remedy = remedy or f"correct {path or 'the file'} in {file}"
        super().__init__(file, path, value, allowed, self.remedy)

    def __str__(self) -> str:
        where = f"{self.file}: {self.path}" if self.path else self.file
        what = "is missing" if self.value is None else f"is {_shown(self.value)}"
        return f"{where} {what}; allowed: {self.allowed}. What to do: {self.remedy}."


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return repr(value) if isinstance(value, str) else str(value)


# --- what the file holds


@dataclass(frozen=True)
class FeedConfig:
    """One price feed: of an address, or a mock with a first price.

    Attributes:
        address: an aggregator; None for a mock.
        mock_price: first answer of the mock, quote per base; None for a real feed.
        decimals: of the mock's answers.
        max_age: seconds an answer stays usable.
    """

    address: str | None
    mock_price: Decimal | None
    decimals: int
    max_age: int


@dataclass(frozen=True)
class FeedsConfig:
    """The feeds of a market and the oracle's bounds (prices in WAD)."""

    primary: FeedConfig
    secondary: FeedConfig | None
    max_deviation_ppm: int
    max_jump_ppm: int
    min_price: int
    max_price: int


@dataclass(frozen=True)
class MarketFundConfig:
    """A market's part of the insurance fund, whole tokens."""

    compartment_cap: Decimal
    per_window: Decimal
    initial: Decimal


@dataclass(frozen=True)
class BackstopConfig:
    """Caps of the backstop's inventory in a market: whole tokens, 1e-6, seconds."""

    capital: Decimal
    notional: Decimal
    loss: Decimal
    margin_ppm: int
    premium_ppm: int
    max_discount_ppm: int
    auction_time: int


@dataclass(frozen=True)
class MarketConfig:
    """A market: its parameters, liquidation rules, place in the fund and price feeds.

    Without `backstop` the fund takes no inventory in it.
    """

    name: str
    parameters: MarketParameters
    liquidation: LiquidationParameters
    fund: MarketFundConfig
    cover: CoverTermsConfig | None
    feeds: FeedsConfig
    backstop: BackstopConfig | None = None


@dataclass(frozen=True)
class ClaimantConfig:
    """Draw limits of a claimant over the shared layers: whole tokens, and seconds."""

    per_claim: Decimal
    per_window: Decimal
    window: int


@dataclass(frozen=True)
class StakingConfig:
    """The staked tranche: largest active stake in whole tokens, seconds, share of all income."""

    cap: Decimal
    cooldown: int
    share_ppm: int


@dataclass(frozen=True)
class ReinsuranceConfig:
    """A crash put as layer 4, and the budget that pays for it: share of income, whole tokens."""

    premium_share_ppm: int
    premium_cap: Decimal
    initial_premium: Decimal


@dataclass(frozen=True)
class TargetConfig:
    """The risk oracle: first target in whole tokens, who reports, and how the target moves."""

    initial: Decimal
    reporters: tuple[str, ...]
    quorum: int
    max_age: int
    per_day_bps: int
    per_update_bps: int
    floor_bps: int
    fallback_ppm: int

    @property
    def rules(self) -> tuple[int, ...]:
        """As `IRiskOracle.Rules`."""
        return (
            *(self.quorum, self.max_age, self.per_day_bps, self.per_update_bps),
            *(self.floor_bps, self.fallback_ppm),
        )


@dataclass(frozen=True)
class CoverTermsConfig:
    """How a market's terms follow the fund's solvency ratio, 1e-6 of their base."""

    cap_ppm: int
    floor_ppm: int
    margin_rise_ppm: int


@dataclass(frozen=True)
class FundConfig:
    """The insurance fund, whole tokens. Without `staking` nothing can be staked, without
    `reinsurance` there is no layer 4.

    Without `target` nobody knows what the fund should hold: there is no surplus and no solvency
    ratio, and no market's terms can follow it. `fair_window` is in minutes; 0: claims do not wait.
    """

    reserve_target: Decimal
    initial_reserve: Decimal
    initial_backing: Decimal
    engine: ClaimantConfig
    staking: StakingConfig | None
    reinsurance: ReinsuranceConfig | None = None
    target: TargetConfig | None = None
    fair_window: int = 0


@dataclass(frozen=True)
class RoleConfig:
    """Who holds a role (`deployer` or an address) and the delay of its calls in seconds."""

    account: str
    delay: int


@dataclass(frozen=True)
class TokenConfig:
    """The collateral token: of an address, or a mock."""

    address: str | None
    name: str
    symbol: str
    decimals: int | None


@dataclass(frozen=True)
class SequencerConfig:
    """Uptime feed of a rollup's sequencer and the grace period in seconds."""

    feed: str
    grace: int


@dataclass(frozen=True)
class Parameters:
    """All parameters of a deployment. `Parameters.load(path)` reads and checks a file."""

    name: str
    token: TokenConfig
    sequencer: SequencerConfig | None
    roles: Mapping[str, RoleConfig]
    fund: FundConfig
    markets: tuple[MarketConfig, ...]
    sanctions: str | None = None
    source: str = field(default="", compare=False)

    @classmethod
    def load(cls, path: str | Path) -> Parameters:
        """Read a parameter file; ConfigError if it cannot be used."""
        file = str(path)
        return cls.parse(read_text(path), file)

    @classmethod
    def parse(cls, text: str, file: str = "<text>") -> Parameters:
        """The same from a text; `file` is for messages."""
        return _parameters(parse_yaml(text, file), file)

    @property
    def digest(self) -> str:
        """SHA-256 of the meaning of the file: comments, order and spelling do not change it."""
        content = asdict(self)
        del content["source"]
        for market in content["markets"]:
            if market["backstop"] is None:  # a file from before there was one means the same
                del market["backstop"]
        text = json.dumps(content, sort_keys=True, default=lambda value: str(value.normalize()))
        return hashlib.sha256(text.encode()).hexdigest()

    def market(self, name: str) -> int:
        """The number of the market with this name; LookupError if there is none."""
        for number, market in enumerate(self.markets):
            if market.name == name:
                return number
        raise LookupError(f"no market {name}: {', '.join(m.name for m in self.markets)}")


# --- reading YAML as text


class _RepeatedKey(Exception):
    def __init__(self, key: str, line: int) -> None:
        super().__init__(key, line)
        self.key, self.line = key, line


class _TextLoader(yaml.BaseLoader):
    """Every scalar is a text; a repeated key is an error."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise _RepeatedKey(str(key.value), key.start_mark.line + 1)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class Node:
    """A mapping of a file, its place in it, and which of its fields have been read.

    Every reader checks the value and raises ConfigError; `done()` refuses what nobody read.
    """

    def __init__(self, file: str, path: str, data: object) -> None:
        self.file, self.path = file, path
        if not isinstance(data, Mapping):
            raise ConfigError(file, path, data or None, "a mapping of fields")
        self._data = data
        self._read: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def where(self, key: str) -> str:
        """The full name of a field."""
        return f"{self.path}.{key}" if self.path else key

    def fail(self, key: str, value: object, allowed: str, remedy: str | None = None) -> NoReturn:
        """Raise ConfigError for a field."""
        raise ConfigError(self.file, self.where(key), value, allowed, remedy)

    def raw(self, key: str, allowed: str) -> object:
        """A field as it is; it must be there."""
        self._read.append(key)
        value = self._data.get(key)
        if value is None or value == "":
            self.fail(key, None, allowed, f"add {self.where(key)} to {self.file}")
        return value

    def child(self, key: str) -> Node:
        """A mapping inside."""
        return Node(self.file, self.where(key), self.raw(key, "a mapping of fields"))

    def children(self, key: str) -> list[Node]:
        """A list of mappings."""
        value = self.raw(key, "a list")
        if not isinstance(value, list) or not value:
            self.fail(key, value, "a list with at least one entry")
        return [Node(self.file, f"{self.where(key)}[{i}]", item) for i, item in enumerate(value)]

    def text(self, key: str, allowed: str = "a text") -> str:
        """A text without spaces around it."""
        value = self.raw(key, allowed)
        if not isinstance(value, str):
            self.fail(key, value, allowed)
        return value.strip()

    def parsed(self, key: str, parse: Callable[[str], T], allowed: str) -> tuple[T, str]:
        """A text through a parser that raises UnitError, and the text."""
        text = self.text(key, allowed)
        try:
            return parse(text), text
        except UnitError as error:
            self.fail(key, text, str(error))

    def fraction(
        self, key: str, scale: int, *, low: str = "0%", high: str, bits: int, suffix: str = ""
    ) -> int:
        """A percentage between two others, in parts of 10**scale, of at most so many bits."""
        allowed = f"a percentage from {low} to {high}{suffix and f' with {suffix}'}"

        def parse(text: str) -> int:
            if suffix and not text.endswith(suffix):
                raise UnitError(f"{allowed}, such as 0.15%{suffix}")
            return parse_fraction(text.removesuffix(suffix).strip(), scale)

        value, text = self.parsed(key, parse, allowed)
        limit = min(parse_fraction(high, scale), 2**bits - 1)
        if not parse_fraction(low, scale) <= value <= limit:
            self.fail(key, text, allowed)
        return value

    def seconds(self, key: str, *, low: int = 0, high: int) -> int:
        """A duration in whole seconds."""
        allowed = f"a duration from {low}s to {high}s, such as 12s, 5m, 12h or 2d"
        value, text = self.parsed(key, parse_duration, allowed)
        if not low <= value <= high:
            self.fail(key, text, allowed)
        return value

    def decimal(self, key: str, *, low: Decimal = Decimal(0), what: str = "a number") -> Decimal:
        """A decimal number."""
        allowed = f"{what}, at least {low}, such as 60000 or 0.001"
        value, text = self.parsed(key, parse_decimal, allowed)
        if value < low:
            self.fail(key, text, allowed)
        return value

    def integer(
        self, key: str, decimals: int, *, low: int = 0, high: int, what: str = "a number"
    ) -> int:
        """A decimal number times 10**decimals, exact, between two integers."""
        allowed = (
            f"{what} with at most {decimals} decimal places" if decimals else f"a whole {what}"
        )
        value, text = self.parsed(key, lambda t: scaled(parse_decimal(t), decimals), allowed)
        if not low <= value <= high:
            shown = [f"{from_units(bound, decimals):f}" for bound in (low, high)]
            self.fail(key, text, f"{allowed}, from {shown[0]} to {shown[1]}")
        return value

    def address(self, key: str) -> str:
        """An address with its checksum."""
        text = self.text(key, "an address")
        if not text.startswith("0x") or not is_hex_address(text):
            self.fail(key, text, "an address: 0x and 40 hex digits")
        if is_checksum_formatted_address(text) and to_checksum_address(text) != text:
            self.fail(key, text, "an address with a valid checksum", "look for a mistyped digit")
        if int(text, 16) == 0:
            self.fail(key, text, "an address other than zero")
        return str(to_checksum_address(text))

    def done(self) -> None:
        """Refuse what was not read."""
        for key in self._data:
            if key not in self._read:
                known = ", ".join(sorted(set(self._read)))
                self.fail(
                    str(key),
                    "an unknown field",
                    f"one of {known}",
                    f"remove or rename {self.where(str(key))}",
                )


def read_text(path: str | Path) -> str:
    """A parameter file's text; ConfigError if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf8")
    except FileNotFoundError:
        raise ConfigError(
            str(path), "", None, "a YAML file of parameters", "give the path of an existing file"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), "", str(error), "a readable UTF-8 text file") from None


def parse_yaml(text: str, file: str) -> Node:
    """The root of a YAML text, every scalar a text; ConfigError if it is none."""
    try:
        data = yaml.load(text, _TextLoader)
    except _RepeatedKey as error:
        raise ConfigError(
            file, error.key, f"repeated in line {error.line}", "each field once"
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(
            file, "", f"no YAML: {problem}{where}", "valid YAML", "correct the file"
        ) from None
    return Node(file, "", data)


# --- the parts


def _parameters(root: Node, file: str) -> Parameters:
    name = root.text("name")
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,40}", name):
        root.fail("name", name, "1 to 40 letters, digits, dots, dashes")
    token = _token(root.child("token"))
    result = Parameters(
        name=name,
        token=token,
        sequencer=_sequencer(root.child("sequencer")) if "sequencer" in root else None,
        roles=_roles(root.child("roles")),
        fund=_fund(root.child("fund"), token),
        markets=_markets(root, token),
        sanctions=root.address("sanctions") if "sanctions" in root else None,
        source=file,
    )
    root.done()
    return result


def _either(node: Node) -> None:
    """Of `mock` and `address` exactly one is needed."""
    if "mock" in node and "address" in node:
        node.fail("address", "given together with mock", "mock or address, not both")
    if "mock" not in node and "address" not in node:
        node.fail("address", None, "mock or address", f"add one of them to {node.path}")


def _token(node: Node) -> TokenConfig:
    _either(node)
    if "address" in node:
        token = TokenConfig(node.address("address"), "", "", None)
    else:
        mock = node.child("mock")
        token = TokenConfig(
            None,
            mock.text("name"),
            mock.text("symbol"),
            mock.integer("decimals", 0, low=6, high=18, what="number"),
        )
        mock.done()
    node.done()
    return token


def _sequencer(node: Node) -> SequencerConfig:
    result = SequencerConfig(node.address("feed"), node.seconds("grace", low=1, high=_MAX_GRACE))
    node.done()
    return result


def _roles(node: Node) -> dict[str, RoleConfig]:
    roles = {}
    for name in ROLES:
        role = node.child(name)
        text = role.text("account", "`deployer` or an address")
        account = DEPLOYER if text == DEPLOYER else role.address("account")
        delay = 0
        if name == "guardian":
            # what the guardian may do only tightens, and has to work in the minute it is needed
            if "delay" in role and (given := role.text("delay")) not in ("0", "0s"):
                role.fail("delay", given, "none: the guardian acts at once", "remove the field")
        else:
            delay = role.seconds("delay", low=1, high=90 * 86400)
        role.done()
        roles[name] = RoleConfig(account, delay)
    node.done()
    return roles


def _fund(node: Node, token: TokenConfig) -> FundConfig:
    claimant = node.child("engine")
    result = FundConfig(
        reserve_target=_tokens(node, "reserve_target", token, 112),
        initial_reserve=_tokens(node, "initial_reserve", token, 112, optional=True),
        initial_backing=_tokens(node, "initial_backing", token, 112, optional=True),
        engine=ClaimantConfig(
            per_claim=_tokens(claimant, "per_claim", token, 112),
            per_window=_tokens(claimant, "per_window", token, 104),
            window=claimant.seconds("window", low=1, high=2**32 - 1),
        ),
        staking=_staking(node.child("staking"), token) if "staking" in node else None,
        reinsurance=(
            _reinsurance(node.child("reinsurance"), token) if "reinsurance" in node else None
        ),
        target=_target(node.child("target"), token) if "target" in node else None,
        fair_window=_fair_window(node),
    )
    claimant.done()
    node.done()
    return result


def _fair_window(node: Node) -> int:
    """Minutes; 0 if claims do not wait."""
    if "fair_window" not in node:
        return 0
    value = node.seconds("fair_window", low=0, high=255 * 60)
    if value % 60:
        text = node.text("fair_window")
        node.fail("fair_window", text, "a whole number of minutes up to 255m, or 0s", "round it")
    return value // 60


def _staking(node: Node, token: TokenConfig) -> StakingConfig:
    result = StakingConfig(
        cap=_tokens(node, "cap", token, 112),
        cooldown=node.seconds("cooldown", low=86_400, high=28 * 86_400),
        share_ppm=node.fraction("share", 6, high="100%", bits=24),
    )
    node.done()
    return result


def _reinsurance(node: Node, token: TokenConfig) -> ReinsuranceConfig:
    result = ReinsuranceConfig(
        premium_share_ppm=node.fraction("premium_share", 6, high="100%", bits=24),
        premium_cap=_tokens(node, "premium_cap", token, 112),
        initial_premium=_tokens(node, "initial_premium", token, 112, optional=True),
    )
    if result.initial_premium > result.premium_cap:
        node.fail("initial_premium", f"{result.initial_premium}", "at most premium_cap")
    node.done()
    return result


def _target(node: Node, token: TokenConfig) -> TargetConfig:
    reporters = node.raw("reporters", "a list of addresses")
    if not isinstance(reporters, list) or not 1 <= len(reporters) <= MAX_REPORTERS:
        node.fail("reporters", reporters, f"1 to {MAX_REPORTERS} addresses, or `deployer`")
    listed = Node(node.file, node.where("reporters"), {str(i): r for i, r in enumerate(reporters)})
    accounts = tuple(
        DEPLOYER if text == DEPLOYER else listed.address(str(i)) for i, text in enumerate(reporters)
    )
    if len(set(accounts)) != len(accounts):
        node.fail("reporters", ", ".join(accounts), "every reporter once")
    per_day = node.fraction("per_day", 4, low="0.01%", high="100%", bits=16)
    result = TargetConfig(
        initial=_tokens(node, "initial", token, 112),
        reporters=accounts,
        quorum=node.integer("quorum", 0, low=1, high=len(accounts), what="number of reporters"),
        max_age=node.seconds("max_age", low=1, high=2**32 - 1),
        per_day_bps=per_day,
        per_update_bps=node.fraction("per_update", 4, low="0.01%", high="100%", bits=16),
        floor_bps=node.fraction("floor", 4, high="100%", bits=16),
        fallback_ppm=node.fraction("fallback", 6, high="100%", bits=24),
    )
    if result.per_update_bps > per_day:
        node.fail("per_update", node.text("per_update"), "at most fund.target.per_day")
    node.done()
    return result


def _cover(node: Node) -> CoverTermsConfig:
    result = CoverTermsConfig(
        cap_ppm=node.fraction("surcharge_cap", 6, low="100%", high="100000%", bits=32),
        floor_ppm=node.fraction("surcharge_floor", 6, high="100%", bits=24),
        margin_rise_ppm=node.fraction("margin_rise", 6, high="1000%", bits=24),
    )
    node.done()
    return result


def _tokens(node: Node, key: str, token: TokenConfig, bits: int, optional: bool = False) -> Decimal:
    """Whole tokens, such that the token's own units hold them exactly in `bits` bits."""
    if optional and key not in node:
        return Decimal(0)
    value = node.decimal(key, what="an amount of tokens")
    # of a real token the decimals are known when it is there; 18 is the finest
    decimals = 18 if token.decimals is None else token.decimals
    try:
        units = scaled(value, decimals)
    except UnitError as error:
        node.fail(key, f"{value}", f"an amount of tokens with {error}")
    if units >= 2**bits:
        node.fail(key, f"{value}", f"an amount below 2^{bits} of the token's units")
    return value


def _markets(root: Node, token: TokenConfig) -> tuple[MarketConfig, ...]:
    nodes = root.children("markets")
    if len(nodes) > MAX_MARKETS:
        root.fail("markets", f"{len(nodes)} entries", f"at most {MAX_MARKETS} entries")
    markets: list[MarketConfig] = []
    for node in nodes:
        market = _market(node, token)
        if any(market.name == other.name for other in markets):
            node.fail("name", market.name, "a name that no other market has")
        if market.cover is not None and "target" not in (fund := root.child("fund")):
            fund.fail(
                "target",
                None,
                f"the risk oracle: {node.path}.cover follows the solvency ratio",
                f"add fund.target, or remove {node.path}.cover",
            )
        markets.append(market)
    return tuple(markets)


def _market(node: Node, token: TokenConfig) -> MarketConfig:
    name = node.text("name")
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,20}", name):
        node.fail("name", name, "1 to 20 letters, digits, dots, dashes")
    parameters = _market_parameters(node)
    liquidation = _liquidation(node.child("liquidation"))
    fund = node.child("fund")
    share = MarketFundConfig(
        compartment_cap=_tokens(fund, "compartment_cap", token, 112),
        per_window=_tokens(fund, "per_window", token, 104),
        initial=_tokens(fund, "initial", token, 112, optional=True),
    )
    if share.initial > share.compartment_cap:
        fund.fail("initial", f"{share.initial}", f"at most compartment_cap {share.compartment_cap}")
    fund.done()
    feeds = _feeds(node.child("feeds"))
    cover = _cover(node.child("cover")) if "cover" in node else None
    backstop = None
    if "backstop" in node:
        backstop = _backstop(node.child("backstop"), token, parameters, liquidation)
    node.done()
    dearest = liquidation
    if cover is not None:
        surcharge = -(-liquidation.surcharge_ppm * cover.cap_ppm // PPM)
        dearest = replace(liquidation, surcharge_ppm=surcharge)
    _check_envelope(node, parameters, dearest)
    _check_reward(node, parameters, liquidation)
    return MarketConfig(name, parameters, liquidation, share, cover, feeds, backstop)


def _market_parameters(node: Node) -> MarketParameters:
    margin, mark, fees = node.child("margin"), node.child("mark"), node.child("fees")
    maintenance = margin.fraction("maintenance", 6, low="0.0001%", high="100%", bits=24)
    initial = margin.fraction("initial", 6, low="0.0001%", high="100%", bits=24)
    if initial <= maintenance:
        margin.fail("initial", margin.text("initial"), "more than margin.maintenance, at most 100%")
    result = MarketParameters(
        open_interest_cap=node.integer("open_interest_cap", 18, high=2**112 - 1),
        size_scale=margin.integer("size_scale", 0, low=1, high=2**64 - 1, what="number of tokens"),
        initial_margin_ppm=initial,
        maintenance_margin_ppm=maintenance,
        open_interest_slope_ppm=margin.fraction("open_interest_slope", 6, high="1677%", bits=24),
        max_mark_age=mark.seconds("max_age", high=60),
        mark_speed_ppb=mark.fraction(
            "speed", 9, low="0.0000001%", high="429%", bits=32, suffix="/s"
        ),
        funding_clamp_ppb=node.fraction("funding_clamp", 9, high="100%", bits=31),
        band_ppm=node.fraction("band", 6, low="0.0001%", high="99.9999%", bits=24),
        maker_fee_ppm=fees.fraction("maker", 6, high="6.5535%", bits=16),
        taker_fee_ppm=fees.fraction("taker", 6, high="6.5535%", bits=16),
        fund_share_ppm=fees.fraction("fund_share", 6, high="100%", bits=24),
        profit_lock=node.seconds("profit_lock", high=2**24 - 1),
        charge_cap_ppm=node.fraction("charge_cap", 6, high="100%", bits=24),
        min_base=node.integer("min_base", 9, low=1, high=2**56 - 1),
    )
    for part in (margin, mark, fees):
        part.done()
    return result


def _liquidation(node: Node) -> LiquidationParameters:
    low = node.fraction("min_discount", 6, high="100%", bits=24)
    high = node.fraction("max_discount", 6, high="100%", bits=24)
    if low > high:
        node.fail("min_discount", node.text("min_discount"), "at most liquidation.max_discount")
    ramp = node.seconds("ramp", low=1, high=2**24 - 1)
    delay = node.seconds("deleverage_delay", low=1, high=2**24 - 1)
    if delay < ramp:
        node.fail("deleverage_delay", node.text("deleverage_delay"), f"at least ramp, {ramp}s")
    result = LiquidationParameters(
        target_health_ppm=node.fraction("target_health", 6, low="100.0001%", high="1677%", bits=24),
        min_discount_ppm=low,
        max_discount_ppm=high,
        surcharge_ppm=node.fraction("surcharge", 6, high="100%", bits=24),
        reward_ppm=node.fraction("reward", 6, high="100%", bits=24),
        ramp=ramp,
        deleverage_delay=delay,
        check_interval=node.seconds("check_interval", low=1, high=2**24 - 1),
        max_step=node.integer("max_step", 0, low=1, high=2**40 - 1, what="number of tokens"),
        close_reward_cap=node.integer(
            "close_reward_cap", 0, high=2**24 - 1, what="number of tokens"
        ),
    )
    node.done()
    return result


def _backstop(
    node: Node, token: TokenConfig, p: MarketParameters, q: LiquidationParameters
) -> BackstopConfig:
    result = BackstopConfig(
        capital=_tokens(node, "capital", token, 112),
        notional=_tokens(node, "notional", token, 112),
        loss=_tokens(node, "loss", token, 112),
        margin_ppm=node.fraction("margin", 6, low="0.0001%", high="100%", bits=24),
        premium_ppm=node.fraction("premium", 6, high="99.9999%", bits=24),
        max_discount_ppm=node.fraction("max_discount", 6, high="99.9999%", bits=24),
        auction_time=node.seconds("auction_time", low=1, high=2**32 - 1),
    )
    if result.loss > result.capital:
        node.fail("loss", f"{result.loss}", f"at most capital, {result.capital}")
    if result.margin_ppm < p.initial_margin_ppm:
        allowed = f"at least margin.initial, {_percent(p.initial_margin_ppm)}"
        node.fail("margin", _percent(result.margin_ppm), f"{allowed}, which the engine asks for")
    if result.max_discount_ppm > q.max_discount_ppm:
        allowed = f"at most liquidation.max_discount, {_percent(q.max_discount_ppm)}"
        node.fail(
            "max_discount",
            _percent(result.max_discount_ppm),
            f"{allowed}: nothing is taken at a smaller discount than it may be sold at",
        )
    node.done()
    return result


def envelope_ppm(p: MarketParameters, q: LiquidationParameters) -> int:
    """What an account can lose between two looks at it, 1e-6 of notional (DESIGN 2.3).

    move + fundingClamp / 8 h * checkInterval + (1 + move) * (discount + surcharge + reward), with
    move = speed * checkInterval; each rounded up as `Listing._checkEnvelope` does.
    """
    move = -(-p.mark_speed_ppb * q.check_interval // 1000)
    funding = -(-p.funding_clamp_ppb * q.check_interval // (_FUNDING_PERIOD * 1000))
    costs = q.max_discount_ppm + q.surcharge_ppm + q.reward_ppm
    return move + funding - (-costs * (PPM + move) // PPM)


def _percent(ppm: int) -> str:
    return f"{(Decimal(ppm) / (PPM // 100)).normalize():f}%"


def _check_envelope(node: Node, p: MarketParameters, q: LiquidationParameters) -> None:
    needed = envelope_ppm(p, q)
    if needed > p.maintenance_margin_ppm:
        node.fail(
            "margin.maintenance",
            _percent(p.maintenance_margin_ppm),
            f"at least {_percent(needed)} = (mark.speed + funding_clamp / 8h) * check_interval"
            " + max_discount + surcharge + reward after that move: the largest loss between two"
            " looks",
            "raise margin.maintenance, or lower mark.speed, check_interval or a liquidation cost",
        )


def _check_reward(node: Node, p: MarketParameters, q: LiquidationParameters) -> None:
    fees = (p.maker_fee_ppm + p.taker_fee_ppm) * p.fund_share_ppm // PPM
    if q.close_reward_cap and 2 * q.reward_ppm > fees:
        node.fail(
            "liquidation.reward",
            _percent(q.reward_ppm),
            f"at most {_percent(fees // 2)}, half of the fund's share of maker and taker fee,"
            " so that opening pairs cannot farm the close-out reward",
            "lower liquidation.reward, raise a fee or fund_share, or set close_reward_cap to 0",
        )


def _feeds(node: Node) -> FeedsConfig:
    low = _price(node, "min_price", 2**96 - 1)
    high = _price(node, "max_price", MAX_PRICE)
    if high <= low:
        node.fail("max_price", node.text("max_price"), "more than min_price")
    result = FeedsConfig(
        primary=_feed(node.child("primary"), low, high),
        secondary=_feed(node.child("secondary"), low, high) if "secondary" in node else None,
        max_deviation_ppm=node.fraction(
            "max_deviation", 6, low="0.0001%", high="99.9999%", bits=24
        ),
        max_jump_ppm=node.fraction("max_jump", 6, low="0.0001%", high="99.9999%", bits=24),
        min_price=low,
        max_price=high,
    )
    second = result.secondary
    if second and second.address and second.address == result.primary.address:
        node.fail("secondary.address", second.address, "another feed than the primary")
    node.done()
    return result


def _price(node: Node, key: str, high: int) -> int:
    value = node.integer(key, 18, low=1, high=min(high, 2**96 - 1), what="price")
    mantissa = value
    while mantissa >= _MANTISSA_LIMIT:
        if mantissa % 10:
            node.fail(key, node.text(key), "a price of at most ten significant digits")
        mantissa //= 10
    return value


def _feed(node: Node, low: int, high: int) -> FeedConfig:
    _either(node)
    max_age = node.seconds("max_age", low=1, high=2**24 - 1)
    if "address" in node:
        feed = FeedConfig(node.address("address"), None, 0, max_age)
    else:
        decimals = node.integer("decimals", 0, low=6, high=18) if "decimals" in node else 8
        price = node.integer("mock", decimals, low=1, high=2**96 - 1, what="price")
        if not low < price * 10 ** (18 - decimals) < high:
            node.fail("mock", node.text("mock"), "a price between min_price and max_price")
        feed = FeedConfig(None, from_units(price, decimals), decimals, max_age)
    node.done()
    return feed
