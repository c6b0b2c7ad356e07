"""A market as a parameter file wants it, against what is in force: which calls are missing."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

from backstop.chain.config import FeedConfig, MarketConfig, Parameters
from backstop.chain.deploy import ZERO_ADDRESS, System
from backstop.chain.governing import Call
from backstop.chain.units import scaled
from backstop.harness.abi import Reverted

Addresses = tuple[str, str]
"""Primary and secondary feed; the zero address for a secondary one that there is not."""


@dataclass(frozen=True)
class Wish:
    """A market of a parameter file, and its number on the chain.

    Attributes:
        listed: whether the engine has it already.
    """

    number: int
    market: MarketConfig
    listed: bool


def wish(system: System, parameters: Parameters, name: str) -> Wish:
    """The market of that name in the file; LookupError if there is none.

    A name that the deployment does not know becomes its next market.
    """
    for market in parameters.markets:
        if market.name.upper() == name.upper():
            break
    else:
        listed = ", ".join(market.name for market in parameters.markets)
        raise LookupError(f"{parameters.source} has no market {name}; it has: {listed}")
    count = system.engine.marketCount()
    try:
        number = system.record.market(market.name)
    except LookupError:
        number = count
    return Wish(number, market, number < count)


def oracle_config(system: System, number: int) -> Any:
    """The oracle's `FeedConfig` of a market; None before the first."""
    try:
        return system.oracle.feeds(number)
    except Reverted as error:
        if error.name == "UnknownMarket":
            return None
        raise


def feeds_in_force(system: System, number: int) -> Addresses:
    """The feeds that the oracle reads for a market; zero addresses before the first."""
    config = oracle_config(system, number)
    if config is None:
        return ZERO_ADDRESS, ZERO_ADDRESS
    return str(config.primary.source), str(config.secondary.source)


def feeds_wanted(wanted: Wish, known: Addresses) -> tuple[str | None, str | None]:
    """The addresses of the file; for a mock the one that is known, None if it has to be made."""
    feeds = wanted.market.feeds

    def one(feed: FeedConfig | None, place: int) -> str | None:
        if feed is None:
            return ZERO_ADDRESS
        if feed.address is not None:
            return feed.address
        return None if known[place] == ZERO_ADDRESS else known[place]

    return one(feeds.primary, 0), one(feeds.secondary, 1)


def missing_calls(system: System, wanted: Wish, feeds: Addresses) -> list[Call]:
    """The calls that bring a market to what is wanted, in their order; none if it is there."""
    number, market = wanted.number, wanted.market
    calls = []
    config = _wanted_config(market, feeds)
    if _plain(oracle_config(system, number)) != _plain(config):
        calls.append(Call("oracle", "setFeeds", (number, config)))
    rules: tuple[Any, ...] = (market.parameters, market.liquidation)
    replaced = False
    if not wanted.listed:
        calls.append(Call("engine", "listMarket", rules))
    elif rules_in_force(system, number) != [astuple(rule) for rule in rules]:
        calls.append(Call("engine", "setMarket", (number, *rules)))
        replaced = True  # and with it the terms that follow the fund
    engine, decimals = system.engine.address, system.record.token_decimals
    cap = scaled(market.fund.compartment_cap, decimals)
    limits = (cap, scaled(market.fund.per_window, decimals))
    if tuple(system.fund.marketLimits(engine, number)) != limits:
        calls.append(Call("fund", "setClaimantMarket", (engine, number, limits)))
    if (cover := market.cover) is not None:
        shape = (cover.cap_ppm, cover.floor_ppm, cover.margin_rise_ppm)
        base = system.engine.coverBase(number) if wanted.listed else None
        known = None if base is None else (base.capPpm, base.floorPpm, base.marginRisePpm)
        if replaced or known != shape:
            calls.append(Call("engine", "setCoverTerms", (number, *shape)))
    return calls


def rules_in_force(system: System, number: int) -> list[tuple[Any, ...]]:
    """A market's parameters; where they follow the fund's solvency ratio, what they follow from."""
    parameters, liquidation, _ = system.engine.marketParameters(number)
    base = system.engine.coverBase(number)
    if base.capPpm:
        parameters = parameters._replace(
            fundSharePpm=base.fundSharePpm, initialMarginPpm=base.initialMarginPpm
        )
        liquidation = liquidation._replace(surchargePpm=base.surchargePpm)
    return [tuple(parameters), tuple(liquidation)]


def _wanted_config(market: MarketConfig, feeds: Addresses) -> tuple[Any, ...]:
    """`IPriceOracle.FeedConfig`."""
    second = market.feeds.secondary
    return (
        (feeds[0], market.feeds.primary.max_age),
        (feeds[1], second.max_age if second is not None else 0),
        market.feeds.max_deviation_ppm,
        market.feeds.max_jump_ppm,
        market.feeds.min_price,
        market.feeds.max_price,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return value.lower() if isinstance(value, str) else value
