"""Exact integer twin of `contracts/PriceOracle.sol`.

Prices are WAD, times are seconds since the epoch, ratios are 1e-6. Feeds are values here: what a
feed would answer is part of the state, and a feed that fails in whatever way is a `Round` with a
`failure`. Roles are outside the model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from .errors import ModelError

PPM: Final = 10**6
MAX_PRICE: Final = 10**25
MAX_GRACE_PERIOD: Final = 3600
MIN_DECIMALS: Final = 6
MAX_DECIMALS: Final = 18
MAX_ANSWER: Final = 2**96 - 1
MANTISSA_LIMIT: Final = 2**35


class Validity(IntEnum):
    """How far a price may be trusted; a higher level allows everything that a lower one does."""

    INVALID = 0
    REDUCED = 1
    FULL = 2


class FeedProblem(IntEnum):
    """Why a feed is not used; the first reason that applies."""

    NONE = 0
    NOT_SET = 1
    CALL_FAILED = 2
    SHORT_RETURN = 3
    NOT_POSITIVE = 4
    TOO_LARGE = 5
    NO_TIME = 6
    FUTURE = 7
    STALE = 8
    OUT_OF_BOUNDS = 9


class SequencerState(IntEnum):
    """What the uptime feed of a rollup's sequencer says."""

    OFF = 0
    UP = 1
    GRACE = 2
    DOWN = 3
    UNKNOWN = 4


@dataclass
class Round:
    """What a feed would answer now.

    Attributes:
        answer: in units of 10^-decimals.
        started_at: looked at for uptime feeds only.
        failure: CALL_FAILED or SHORT_RETURN if the call yields no round at all.
    """

    answer: int
    updated_at: int
    started_at: int = 0
    failure: FeedProblem = FeedProblem.NONE


@dataclass(frozen=True)
class Feed:
    """A feed of a market; `source` is a key of `PriceOracle.rounds`, None for no feed.

    `decimals` is what the source says when the feed is set, None if it says nothing sensible.
    """

    source: str | None
    max_age: int
    decimals: int | None = 8


@dataclass(frozen=True)
class FeedConfig:
    """Feeds and bounds of a market, as `IPriceOracle.FeedConfig`."""

    primary: Feed
    secondary: Feed
    max_deviation: int
    max_jump: int
    min_price: int
    max_price: int


@dataclass(frozen=True)
class Reading:
    """What `read` returns."""

    index_price: int
    observed_at: int
    validity: Validity


@dataclass(frozen=True)
class FeedStatus:
    """What `status` says of one feed."""

    problem: FeedProblem
    price: int
    updated_at: int
    age: int


INVALID: Final = Reading(0, 0, Validity.INVALID)


def is_exact_bound(price: int) -> bool:
    """Whether a price bound can be stored: a mantissa below 2^35 times a power of ten."""
    while price >= MANTISSA_LIMIT:
        if price % 10:
            return False
        price //= 10
    return True


def combine(
    a: tuple[int, int] | None,
    b: tuple[int, int] | None,
    reference: int,
    max_deviation: int,
    max_jump: int,
) -> Reading:
    """The reading that two observations (price, time) amount to; None for an unusable feed."""

    def is_jump(price: int) -> bool:
        return reference != 0 and abs(price - reference) * PPM > reference * max_jump

    seen = sorted(observation for observation in (a, b) if observation is not None)
    if not seen:
        return INVALID
    if len(seen) == 1:
        price, time = seen[0]
        return INVALID if is_jump(price) else Reading(price, time, Validity.REDUCED)
    (low, low_time), (high, high_time) = seen
    if (high - low) * PPM > low * max_deviation:
        near_low = abs(low - reference) <= abs(high - reference)
        price, time = seen[0] if near_low else seen[1]
        return Reading(price, time, Validity.REDUCED)
    price = (low + high) // 2
    level = Validity.REDUCED if is_jump(price) else Validity.FULL
    return Reading(price, max(low_time, high_time), level)


@dataclass
class PriceOracle:
    """The oracle and, beside it, what its feeds answer.

    Attributes:
        rounds: by source; a source that is missing has no code.
        sequencer_feed: key in `rounds`, None where there is no sequencer.
        grace_period: seconds after a restart of the sequencer.
    """

    sequencer_feed: str | None = None
    grace_period: int = 0
    rounds: dict[str, Round] = field(default_factory=dict)
    markets: dict[int, FeedConfig] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.sequencer_feed is not None and self.sequencer_feed not in self.rounds:
            raise ModelError("InvalidSequencerConfig", "sequencerFeed")
        off = self.sequencer_feed is None
        if off != (self.grace_period == 0) or self.grace_period > MAX_GRACE_PERIOD:
            raise ModelError("InvalidSequencerConfig", "gracePeriod")

    def set_feeds(self, market: int, config: FeedConfig) -> None:
        """Set a market's feeds; raises InvalidFeedConfig with the name of the field."""
        if (problem := _config_problem(config)) is not None:
            raise ModelError("InvalidFeedConfig", market, problem)
        self.markets[market] = config

    def feeds(self, market: int) -> FeedConfig:
        """A market's feeds; raises UnknownMarket."""
        if market not in self.markets:
            raise ModelError("UnknownMarket", market)
        return self.markets[market]

    def read(self, market: int, reference: int, now: int) -> Reading:
        """The index price at time `now`; never raises."""
        ceiling = self.ceiling(now)
        if market not in self.markets or ceiling is Validity.INVALID:
            return INVALID
        config = self.markets[market]
        first, second = (
            (seen.price, seen.updated_at) if seen.problem is FeedProblem.NONE else None
            for seen in self.feed_states(market, now)
        )
        reading = combine(first, second, reference, config.max_deviation, config.max_jump)
        level = min(reading.validity, ceiling)
        return Reading(reading.index_price, reading.observed_at, level)

    def feed_states(self, market: int, now: int) -> tuple[FeedStatus, FeedStatus]:
        """Both feeds at time `now`, with what is wrong with them."""
        if market not in self.markets:
            nothing = FeedStatus(FeedProblem.NOT_SET, 0, 0, 0)
            return nothing, nothing
        config = self.markets[market]
        return self._observe(config.primary, config, now), self._observe(
            config.secondary, config, now
        )

    def sequencer_state(self, now: int) -> SequencerState:
        """What the uptime feed says at time `now`."""
        if self.sequencer_feed is None:
            return SequencerState.OFF
        found = self.rounds.get(self.sequencer_feed)
        if found is None or found.failure is not FeedProblem.NONE:
            return SequencerState.UNKNOWN
        if found.started_at == 0 or found.started_at > now or found.answer not in (0, 1):
            return SequencerState.UNKNOWN
        if found.answer == 1:
            return SequencerState.DOWN
        grace = now - found.started_at <= self.grace_period
        return SequencerState.GRACE if grace else SequencerState.UP

    def ceiling(self, now: int) -> Validity:
        """The highest level that a reading can have at time `now`."""
        state = self.sequencer_state(now)
        if state in (SequencerState.DOWN, SequencerState.GRACE):
            return Validity.INVALID
        return Validity.REDUCED if state is SequencerState.UNKNOWN else Validity.FULL

    def _observe(self, feed: Feed, config: FeedConfig, now: int) -> FeedStatus:
        if feed.source is None:
            return FeedStatus(FeedProblem.NOT_SET, 0, 0, 0)
        found = self.rounds.get(feed.source)
        if found is None:
            return FeedStatus(FeedProblem.SHORT_RETURN, 0, 0, 0)
        if found.failure is not FeedProblem.NONE:
            return FeedStatus(found.failure, 0, 0, 0)
        time = found.updated_at
        age = now - time if 0 < time <= now else 0
        if found.answer <= 0:
            return FeedStatus(FeedProblem.NOT_POSITIVE, 0, time, age)
        if found.answer > MAX_ANSWER:
            return FeedStatus(FeedProblem.TOO_LARGE, 0, time, age)
        assert feed.decimals is not None
        price = found.answer * 10 ** (MAX_DECIMALS - feed.decimals)
        problem = FeedProblem.NONE
        if time == 0:
            problem = FeedProblem.NO_TIME
        elif time > now:
            problem = FeedProblem.FUTURE
        elif age > feed.max_age:
            problem = FeedProblem.STALE
        elif not config.min_price < price < config.max_price:
            problem = FeedProblem.OUT_OF_BOUNDS
        return FeedStatus(problem, price, time, age)


def _config_problem(config: FeedConfig) -> str | None:
    """The first field that `setFeeds` refuses."""
    primary, secondary = config.primary, config.secondary
    checks = [
        ("primary.source", primary.source is None),
        ("secondary.source", secondary.source == primary.source),
        ("maxDeviation", not 0 < config.max_deviation < PPM),
        ("maxJump", not 0 < config.max_jump < PPM),
        ("minPrice", config.min_price == 0 or not is_exact_bound(config.min_price)),
        (
            "maxPrice",
            not config.min_price < config.max_price <= MAX_PRICE
            or not is_exact_bound(config.max_price),
        ),
    ]
    for name, feed in (("primary", primary), ("secondary", secondary)):
        known = feed.decimals is not None and MIN_DECIMALS <= feed.decimals <= MAX_DECIMALS
        checks += [
            (f"{name}.maxAge", (feed.source is None) != (feed.max_age == 0)),
            (f"{name}.decimals", feed.source is not None and not known),
        ]
    return next((name for name, wrong in checks if wrong), None)
