"""A crash put beside the insurance fund on a development node: oracle, mock feeds, the put."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backstop.harness.fund import MAX_UINT256, FundWorld
from backstop.harness.rpc import Contract

FEED_DECIMALS = 8
MAX_AGE = 3_600
PRICE_SCALE = 10 ** (18 - FEED_DECIMALS)


@dataclass
class PutWorld:
    """A fund whose reinsurer is a crash put, and the feeds of its markets.

    Attributes:
        feeds: two mock feeds a market, by its number.
    """

    base: FundWorld
    oracle: Contract
    put: Contract
    feeds: dict[int, tuple[Contract, Contract]]

    def set_price(self, market: int, answer: int) -> None:
        """Both feeds of a market answer now; quote per base in 1e-8."""
        for feed in self.feeds[market]:
            feed.push(answer, sender=self.base.owner)

    def set_mode(self, market: int, mode: int) -> None:
        """How both feeds of a market behave: `MockFeed.Mode`."""
        for feed in self.feeds[market]:
            feed.setMode(mode, sender=self.base.owner)

    def give(self, who: str, assets: int) -> None:
        """Mints tokens; `who` may write with them, and pay them to the fund."""
        self.base.give(who, assets)
        self.base.token.approve(self.put.address, MAX_UINT256, sender=who)


def deploy_put(
    world: FundWorld, artifact: Callable[[str], Any], prices: dict[int, int]
) -> PutWorld:
    """Deploys oracle, feeds and put beside a fund, and makes the put its reinsurer.

    Args:
        world: the fund.
        artifact: gives the compiled contract of a name.
        prices: first answer of a market's feeds (1e-8), by its number.
    """

    def deploy(name: str, *args: Any) -> Contract:
        return world.client.deploy(artifact(name), *args, sender=world.owner)

    oracle = deploy("PriceOracle", world.manager.address, "0x" + "00" * 20, 0)
    feeds = {}
    for market, answer in prices.items():
        pair = deploy("MockFeed", FEED_DECIMALS, answer), deploy("MockFeed", FEED_DECIMALS, answer)
        config = {
            "primary": (pair[0].address, MAX_AGE),
            "secondary": (pair[1].address, MAX_AGE),
            "maxDeviation": 20_000,
            "maxJump": 200_000,
            "minPrice": 10**18,
            "maxPrice": 10**24,
        }
        oracle.setFeeds(market, config, sender=world.owner)
        feeds[market] = pair
    put = deploy("CrashPut", world.fund.address, oracle.address, world.manager.address)
    world.fund.setReinsurer(put.address, sender=world.owner)
    return PutWorld(world, oracle, put, feeds)
