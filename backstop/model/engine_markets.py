"""Markets in memory, as `contracts/engine/MarketCaches.sol`: funding, mark, sides.

A market is loaded once, brought up to date, changed, and stored once. Loading accrues funding at
the mark that was in force; what a view says is what an action at the same time would see.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from . import margin_math, side_index
from .engine_state import (
    LONG,
    MAX_PRICE,
    SHORT,
    Clock,
    EngineTables,
    Mark,
    MarketParameters,
    Side,
    tag_of,
)
from .errors import ModelError
from .fixed_point import PPM, to_int, to_uint
from .journal import Journal
from .oracle import Reading, Validity


class PriceSource(Protocol):
    """What the engine asks the oracle."""

    def read(self, market: int, reference: int, now: int) -> Reading:
        """The index price at time `now`; never raises."""
        ...


@dataclass(slots=True)
class SideCache:
    """One side in memory; `B` is the exact sum of its positions' basis."""

    A: int
    K: int
    epoch: int
    B: int
    changed: bool = False


@dataclass(slots=True)
class MarketCache:
    """A market in memory. `index_price` is 0 unless the oracle was asked and had a usable price."""

    id: int
    sides: tuple[SideCache, SideCache]
    accrued_at: int
    mark_price: int
    mark_time: int
    observed_at: int
    premium_time: int
    held_premium: int
    average_premium: int
    validity: Validity
    parameters: MarketParameters
    index_price: int = 0
    mark_changed: bool = False


_UNLISTED = MarketParameters(*[0] * 15)
"""What an empty slot reads as."""


def open_interest(side: SideCache, short: bool) -> int:
    """Base held or owed by a side: rounded down, or up if `short`."""
    return side_index.size_of(side.B, side.A, short)


class EngineMarkets:
    """Loading, refreshing and storing markets."""

    def __init__(self, journal: Journal, clock: Clock, oracle: PriceSource) -> None:
        self.journal = journal
        self.clock = clock
        self.oracle = oracle
        self.tables = EngineTables(journal)
        self._seen: dict[int, MarketCache] | None = None

    @property
    def now(self) -> int:
        """Time of the present action, seconds."""
        return self.clock.now

    @property
    def market_count(self) -> int:
        """How many markets are listed."""
        return len(self.tables.markets)

    def _require_listed(self, market: int) -> None:
        if market >= self.market_count:
            raise ModelError("UnknownMarket", market)

    # ------------------------------------------------------------------ loading

    def _peek(self, market: int) -> MarketCache:
        """For valuing positions; not stored. An invalid reading is looked at again at once."""
        if self._seen is None:
            return self._look_at(market)
        if market not in self._seen:
            self._seen[market] = self._look_at(market)
        return self._seen[market]

    @contextmanager
    def unchanging(self) -> Iterator[None]:
        """Inside, nothing changes and no time passes: one look at a market does for all."""
        self._seen = {}
        try:
            yield
        finally:
            self._seen = None

    def _look_at(self, market: int) -> MarketCache:
        cache = self._load_stored(market)
        too_old = self.now - cache.mark_time > cache.parameters.max_mark_age
        if too_old or cache.validity is Validity.INVALID:
            self._refresh_mark(cache)
        return cache

    def _load_fresh(self, market: int) -> MarketCache:
        """With the oracle asked, whatever the age of the mark. To be stored."""
        self._require_listed(market)
        cache = self._load_stored(market)
        self._refresh_mark(cache)
        return cache

    def _load_stored(self, market: int) -> MarketCache:
        """With funding accrued, at the stored mark."""
        stored = self.tables.markets.get(market)
        if stored is None:
            sides = (SideCache(0, 0, 0, 0), SideCache(0, 0, 0, 0))
            return MarketCache(market, sides, 0, 0, 0, 0, 0, 0, 0, Validity.INVALID, _UNLISTED)
        long, short = (SideCache(s.A, s.K, s.epoch, s.basis) for s in stored.sides)
        mark = stored.mark
        cache = MarketCache(
            id=market,
            sides=(long, short),
            accrued_at=stored.accrued_at,
            mark_price=mark.price,
            mark_time=mark.time,
            observed_at=mark.observed_at,
            premium_time=mark.premium_time,
            held_premium=mark.held_premium,
            average_premium=mark.average_premium,
            validity=mark.validity,
            parameters=self.tables.parameters[market],
        )
        self._accrue(cache)
        return cache

    def _accrue(self, cache: MarketCache) -> None:
        """Moves funding from the paying to the receiving side for the time since the last accrual.

        payment = open interest of the payers * mark * premium * elapsed / 8 h, rounded up; the
        payers are charged up and the receivers credited down by the same total.
        """
        since = cache.accrued_at
        if self.now == since:
            return
        cache.accrued_at = self.now
        premium = cache.average_premium
        # a premium is in force for an hour after the last fill
        in_force = cache.premium_time + margin_math.PREMIUM_WINDOW
        if premium == 0 or since >= in_force:
            return
        long, short = cache.sides
        payer, receiver = (long, short) if premium > 0 else (short, long)
        if payer.B == 0 or receiver.B == 0:
            return
        total = margin_math.funding_up(
            open_interest(payer, True),
            cache.mark_price,
            abs(premium),
            min(self.now, in_force) - since,
        )
        payer.K = side_index.pay_up(payer.K, total, payer.B)
        receiver.K = side_index.get_down(receiver.K, total, receiver.B)
        payer.changed = receiver.changed = True

    def _refresh_mark(self, cache: MarketCache) -> None:
        """Asks the oracle and lets the mark follow.

        A reading of both feeds that is older than the last one used is no reading. With one feed
        left it may well be older: the feed that is gone was the fresher one.
        """
        reading = self.oracle.read(cache.id, cache.mark_price, self.now)
        cache.mark_changed = True
        older = reading.observed_at < cache.observed_at
        invalid = reading.validity is Validity.INVALID or reading.index_price > MAX_PRICE
        if invalid or (older and reading.validity is Validity.FULL):
            cache.validity = Validity.INVALID
            return
        cache.validity = reading.validity
        cache.index_price = reading.index_price
        cache.observed_at = max(cache.observed_at, reading.observed_at)
        cache.mark_price = margin_math.follow(
            cache.mark_price,
            reading.index_price,
            cache.parameters.mark_speed_ppb,
            self.now - cache.mark_time,
        )
        cache.mark_time = self.now
        if _lags(cache):
            cache.validity = Validity.REDUCED

    # ------------------------------------------------------------------ storing

    def _store(self, cache: MarketCache) -> None:
        """Writes back what changed."""
        stored = self.tables.markets[cache.id]
        self._end_dust(cache)
        for side in cache.sides:
            _reset_if_empty(side)
        for side in cache.sides:
            to_uint(side.B, 112)
        long, short = (
            Side(side.A, to_int(side.K, 160), side.epoch, side.B)
            if side.changed
            else before._replace(basis=side.B)
            for side, before in zip(cache.sides, stored.sides, strict=True)
        )
        mark = stored.mark
        if cache.mark_changed:
            mark = Mark(
                price=cache.mark_price,
                time=cache.mark_time,
                observed_at=cache.observed_at,
                premium_time=cache.premium_time,
                held_premium=cache.held_premium,
                average_premium=cache.average_premium,
                validity=cache.validity,
            )
        self.tables.markets[cache.id] = stored._replace(
            sides=(long, short), accrued_at=cache.accrued_at, mark=mark
        )

    def _end_dust(self, cache: MarketCache) -> None:
        """When one side is empty the other can only hold dust that nobody could trade against."""
        no_longs = cache.sides[LONG].B == 0
        if no_longs != (cache.sides[SHORT].B == 0):
            self._end_epoch(cache, no_longs)

    def _end_epoch(self, cache: MarketCache, short: bool) -> None:
        """All positions of a side are closed; their quote is fixed at the K of now."""
        side = cache.sides[SHORT if short else LONG]
        key = (cache.id, tag_of(side.epoch, short))
        self.tables.ended_k[key] = side.K
        if (claims := self.tables.side_claims.get(key)) is not None:
            self.tables.side_claims[key] = claims._replace(basis=to_uint(side.B, 112))
        side.epoch += 1
        side.A, side.K, side.B = side_index.ONE, 0, 0
        side.changed = True


def _lags(cache: MarketCache) -> bool:
    """|index - mark| * 4 > mark * min(initial - maintenance, maintenance): wrong by much."""
    p = cache.parameters
    between = min(p.initial_margin_ppm - p.maintenance_margin_ppm, p.maintenance_margin_ppm)
    return abs(cache.index_price - cache.mark_price) * 4 * PPM > cache.mark_price * between


def _reset_if_empty(side: SideCache) -> None:
    """A side without positions starts afresh: nothing refers to its A and K any more."""
    if side.B != 0 or (side.A == side_index.ONE and side.K == 0):
        return
    side.A, side.K = side_index.ONE, 0
    side.changed = True
