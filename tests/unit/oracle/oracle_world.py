"""A price oracle on a node, and its twin, which sees what the mock feeds hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from backstop.harness.rpc import Contract, Reverted, RpcClient
from backstop.model import oracle as model
from backstop.model.errors import ModelError

ZERO_ADDRESS = "0x" + "00" * 20
WAD = 10**18
MARKET = 7


class Mode(IntEnum):
    """The modes of MockFeed."""

    NORMAL = 0
    REVERT = 1
    REVERT_LONG = 2
    BURN_GAS = 3
    SHORT_RETURN = 4
    LONG_RETURN = 5
    NO_RETURN = 6
    FUTURE = 7
    ZERO = 8
    NEGATIVE = 9
    FROZEN = 10


FAILURES = {
    Mode.REVERT: model.FeedProblem.CALL_FAILED,
    Mode.REVERT_LONG: model.FeedProblem.CALL_FAILED,
    Mode.BURN_GAS: model.FeedProblem.CALL_FAILED,
    Mode.SHORT_RETURN: model.FeedProblem.SHORT_RETURN,
    Mode.NO_RETURN: model.FeedProblem.SHORT_RETURN,
}


def seen_round(answer: int, started_at: int, updated_at: int, mode: Mode, now: int) -> model.Round:
    """What a mock feed in this state answers at time `now`."""
    if mode is Mode.ZERO:
        answer = 0
    if mode is Mode.NEGATIVE:
        answer = -answer
    if mode is Mode.FUTURE:
        updated_at = now + 1
    failure = FAILURES.get(mode, model.FeedProblem.NONE)
    return model.Round(answer, updated_at, started_at, failure)


@dataclass
class OracleWorld:
    """The oracle, two feeds of every kind of decimals, and who may set them."""

    rpc: RpcClient
    deploy: Callable[..., Contract]
    owner: Any
    manager: Contract
    oracle: Contract
    feeds: dict[str, Contract] = field(default_factory=dict)

    def config(
        self,
        primary: str | None = "a8",
        secondary: str | None = "b8",
        *,
        primary_age: int = 3600,
        secondary_age: int = 7200,
        max_deviation: int = 10_000,
        max_jump: int = 50_000,
        min_price: int = WAD,
        max_price: int = 10**6 * WAD,
    ) -> model.FeedConfig:
        """A configuration; feeds by name (`a8` is the first with 8 decimals)."""

        def feed(name: str | None, age: int) -> model.Feed:
            if name is None:
                return model.Feed(None, 0)
            return model.Feed(name, age, int(name[1:]))

        return model.FeedConfig(
            feed(primary, primary_age),
            feed(secondary, secondary_age),
            max_deviation,
            max_jump,
            min_price,
            max_price,
        )

    def argument(self, config: model.FeedConfig) -> dict[str, Any]:
        """The configuration as the contract takes it."""

        def feed(f: model.Feed) -> tuple[str, int]:
            known = f.source is not None and f.source in self.feeds
            source = self.feeds[f.source].address if known else f.source
            return source or ZERO_ADDRESS, f.max_age

        return {
            "primary": feed(config.primary),
            "secondary": feed(config.secondary),
            "maxDeviation": config.max_deviation,
            "maxJump": config.max_jump,
            "minPrice": config.min_price,
            "maxPrice": config.max_price,
        }

    def set_feeds(self, config: model.FeedConfig, market: int = MARKET) -> Any:
        """Set the market's feeds as the admin."""
        return self.oracle.setFeeds(market, self.argument(config), sender=self.owner)

    def answer(self, name: str, answer: int, age: int = 0, mode: Mode = Mode.NORMAL) -> None:
        """Make a feed answer, `age` seconds before the latest block as of after this call."""
        feed = self.feeds[name]
        feed.setMode(mode, sender=self.owner)
        feed.set(answer, 0, self.rpc.timestamp + 12 - age, sender=self.owner)

    def twin(self, config: model.FeedConfig, now: int) -> model.PriceOracle:
        """The model of this oracle with one market, as the feeds are on the node now."""
        twin = model.PriceOracle()
        for name, feed in self.feeds.items():
            state = feed.round()
            twin.rounds[name] = seen_round(
                state.answer, state.startedAt, state.updatedAt, Mode(state.mode), now
            )
        twin.set_feeds(MARKET, config)
        return twin

    def check(
        self, config: model.FeedConfig, reference: int = 0, now: int | None = None
    ) -> model.Reading:
        """The reading; the contract's and the model's are the same, of `status` as well."""
        now = self.rpc.timestamp if now is None else now
        twin = self.twin(config, now)
        expected = twin.read(MARKET, reference, now)
        assert model.Reading(*self.oracle.read(MARKET, reference, at=now)) == expected
        status = self.oracle.status(MARKET, reference, at=now)
        assert (status.indexPrice, status.observedAt, status.validity) == (
            expected.index_price,
            expected.observed_at,
            expected.validity,
        )
        states = tuple(model.FeedStatus(*s) for s in (status.primary, status.secondary))
        assert states == twin.feed_states(MARKET, now)
        assert status.sequencer == model.SequencerState.OFF
        return expected

    def refused(self, config: model.FeedConfig) -> str:
        """The field that both the contract and the model complain about."""
        try:
            model.PriceOracle().set_feeds(MARKET, config)
        except ModelError as error:
            expected = error
        else:
            raise AssertionError("the model takes it")
        try:
            self.set_feeds(config)
        except Reverted as error:
            assert (error.name, tuple(error.arguments.values())) == (expected.name, expected.args)
            return str(error.arguments["field"])
        raise AssertionError("the contract takes it")
