"""A keeper's parameters: one YAML file, read as strictly as a deployment's."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from backstop.chain.config import ConfigError, Node, parse_yaml, read_text
from backstop.chain.units import PPM

GWEI: Final = 10**9
COIN: Final = 10**18


@dataclass(frozen=True)
class AccountConfig:
    """Subaccount number, and the folder of the journal."""

    sub: int
    state: Path


@dataclass(frozen=True)
class LookConfig:
    """How often and how widely the keeper looks; seconds, and a fraction of the price.

    Attributes:
        ahead: seconds from the newest block to the one that will take a transaction: accounts and
            transactions are judged as of then.
    """

    poll: int
    ahead: int
    refresh: int
    price_slack: float
    batch: int


@dataclass(frozen=True)
class GasConfig:
    """Fees in wei a gas, budgets in wei, `coin_price` in tokens a coin, `stuck_after` in seconds.

    Attributes:
        bump_ppm: growth of both fees when a transaction is replaced, 1e-6; nodes want 10 %.
    """

    expected_fee: int
    max_fee: int
    priority_fee: int
    per_hour: int
    per_day: int
    coin_price: float
    stuck_after: int
    bump_ppm: int
    in_flight: int

    def tokens(self, wei: float) -> float:
        """What so much gas costs, in tokens."""
        return wei / COIN * self.coin_price


@dataclass(frozen=True)
class ProfitConfig:
    """What has to be earned, in tokens; `exit_cost` as a fraction of notional."""

    minimum: float
    smallest_notional: float
    exit_cost: float
    subsidy_per_day: float


@dataclass(frozen=True)
class WaysConfig:
    """Which ways may be used. `orders` is a folder or None; `max_inventory` in tokens.

    Attributes:
        backstop: positions nobody takes may go into the fund's inventory.
        auction: the keeper may buy inventory of the fund.
        steps: most steps of one account in one look; 1 leaves the next one to the next block.
    """

    take_over: bool
    orders: Path | None
    backstop: bool
    auction: bool
    deleverage: bool
    close_out: bool
    margin_reserve: float
    max_inventory: float
    steps: int


@dataclass(frozen=True)
class UpkeepConfig:
    """When marks are poked: a gap as a fraction of the mark, seconds between two pokes; and whether
    fair windows are closed, and what they owe is collected for others.

    Attributes:
        collect_from: tokens; less is left to those it belongs to.
    """

    poke: bool
    gap: float
    every: int
    close_windows: bool
    collect: bool
    collect_from: float


@dataclass(frozen=True)
class KeeperConfig:
    """All parameters of a keeper. `KeeperConfig.load(path)` reads and checks a file."""

    account: AccountConfig
    look: LookConfig
    gas: GasConfig
    profit: ProfitConfig
    ways: WaysConfig
    upkeep: UpkeepConfig
    source: str

    @classmethod
    def load(cls, path: str | Path) -> KeeperConfig:
        """Read a file; ConfigError if it cannot be used."""
        return cls.parse(read_text(path), str(path))

    @classmethod
    def parse(cls, text: str, file: str = "<text>") -> KeeperConfig:
        """The same from a text; `file` is for messages."""
        root = parse_yaml(text, file)
        result = cls(
            account=_account(root.child("account")),
            look=_look(root.child("look")),
            gas=_gas(root.child("gas")),
            profit=_profit(root.child("profit")),
            ways=_ways(root.child("ways")),
            upkeep=_upkeep(root.child("upkeep")),
            source=file,
        )
        root.done()
        if result.profit.minimum < 0 and not result.profit.subsidy_per_day:
            raise ConfigError(
                file,
                "profit.minimum",
                result.profit.minimum,
                "0 or more tokens where subsidy_per_day is 0",
                "say in profit.subsidy_per_day how much may be lost, or raise the minimum",
            )
        return result

    def fail(self, path: str, value: object, allowed: str, remedy: str) -> ConfigError:
        """An error of this file, to be raised."""
        return ConfigError(self.source, path, value, allowed, remedy)


def _yes(node: Node, key: str) -> bool:
    text = node.text(key, "yes or no")
    if text.lower() not in ("yes", "no", "true", "false"):
        node.fail(key, text, "yes or no")
    return text.lower() in ("yes", "true")


def _number(node: Node, key: str, *, low: str = "0", what: str) -> Decimal:
    return node.decimal(key, low=Decimal(low), what=what)


def _share(node: Node, key: str, *, low: str = "0%", high: str) -> float:
    return node.fraction(key, 6, low=low, high=high, bits=32) / PPM


def _account(node: Node) -> AccountConfig:
    result = AccountConfig(
        sub=node.integer("sub", 0, high=2**96 - 1, what="number"),
        state=Path(node.text("state", "a folder")),
    )
    node.done()
    return result


def _look(node: Node) -> LookConfig:
    result = LookConfig(
        poll=node.seconds("poll", low=1, high=600),
        ahead=node.seconds("ahead", high=600),
        refresh=node.seconds("refresh", low=1, high=3600),
        price_slack=_share(node, "price_slack", high="50%"),
        batch=node.integer("batch", 0, low=1, high=10_000, what="number"),
    )
    node.done()
    return result


def _gas(node: Node) -> GasConfig:
    def gwei(key: str) -> int:
        return node.integer(key, 9, high=10**15, what="gwei")

    def coins(key: str) -> int:
        return node.integer(key, 18, low=1, high=10**26, what="coins")

    result = GasConfig(
        expected_fee=gwei("expected_fee"),
        max_fee=gwei("max_fee"),
        priority_fee=gwei("priority_fee"),
        per_hour=coins("per_hour"),
        per_day=coins("per_day"),
        coin_price=float(_number(node, "coin_price", what="tokens a coin")),
        stuck_after=node.seconds("stuck_after", low=1, high=86_400),
        bump_ppm=node.fraction("bump", 6, low="10%", high="300%", bits=32),
        in_flight=node.integer("in_flight", 0, low=1, high=1000, what="number"),
    )
    for key in ("expected_fee", "priority_fee"):
        if getattr(result, key) > result.max_fee:
            node.fail(key, node.text(key), "gwei, at most max_fee", f"raise max_fee or lower {key}")
    if result.per_hour > result.per_day:
        node.fail("per_hour", node.text("per_hour"), "coins, at most per_day")
    node.done()
    return result


def _profit(node: Node) -> ProfitConfig:
    result = ProfitConfig(
        minimum=float(_number(node, "minimum", low="-1000000", what="tokens")),
        smallest_notional=float(_number(node, "smallest_notional", what="tokens")),
        exit_cost=_share(node, "exit_cost", high="50%"),
        subsidy_per_day=float(_number(node, "subsidy_per_day", what="tokens")),
    )
    node.done()
    return result


def _ways(node: Node) -> WaysConfig:
    folder = node.text("orders", "no, or a folder with signed orders")
    if folder.lower() not in ("no", "false") and not Path(folder).is_dir():
        node.fail("orders", folder, "no, or an existing folder with signed orders")
    result = WaysConfig(
        take_over=_yes(node, "take_over"),
        orders=None if folder.lower() in ("no", "false") else Path(folder),
        backstop=_yes(node, "backstop"),
        auction=_yes(node, "auction"),
        deleverage=_yes(node, "deleverage"),
        close_out=_yes(node, "close_out"),
        margin_reserve=_share(node, "margin_reserve", high="100%"),
        max_inventory=float(_number(node, "max_inventory", what="tokens")),
        steps=node.integer("steps", 0, low=1, high=32, what="number"),
    )
    used = (result.take_over, result.orders, result.backstop, result.deleverage, result.close_out)
    if not any(used):
        node.fail("close_out", "no, like all others", "at least one way")
    node.done()
    return result


def _upkeep(node: Node) -> UpkeepConfig:
    result = UpkeepConfig(
        poke=_yes(node, "poke"),
        gap=_share(node, "gap", high="50%"),
        every=node.seconds("every", low=1, high=86_400),
        close_windows=_yes(node, "close_windows"),
        collect=_yes(node, "collect"),
        collect_from=float(_number(node, "collect_from", what="tokens")),
    )
    node.done()
    return result
