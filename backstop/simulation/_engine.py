"""What the compiled engines have in common: arrays for the kernels, and packing of results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields
from typing import NamedTuple

import numpy as np

from . import _kernel as k
from .book import Book
from .errors import PathError
from .model import (
    MARKET_FIELDS,
    PATH_FIELDS,
    Events,
    FloatArray,
    IntArray,
    PathResult,
    SimulationParams,
    per_market,
)

#: Paths that leave the start by more than this log price are taken for an error.
MAX_LOG_PRICE = 20.0


class Pristine(NamedTuple):
    """Accounts as they were: cash (N,), size (N, M), quote (N, M) or (0, M). Never written."""

    cash: FloatArray
    size: FloatArray
    quote: FloatArray


def build_rules(params: SimulationParams) -> k.Records:
    """Scalar parameters as the kernels' one record."""
    impact, fund, rule = params.impact, params.fund, params.liquidation
    rules = np.zeros(1, k.RULES)
    for source, names in (
        (impact, ("exponent", "decay")),
        (impact.depth, ("with_slope", "against_slope", "with_floor", "against_floor")),
        (fund, ("operator", "staked", "claim_limit", "market_limit", "window_limit", "window")),
        (rule, ("surcharge", "reward", "dust", "max_parts", "max_rounds")),
        (params.adl, ("max_charge",)),
    ):
        for name in names:
            rules[name] = getattr(source, name)
    rules["keep"] = 0.5 ** (1.0 / impact.depth.halflife)
    rules["fee"] = rule.surcharge + rule.reward
    rules["target"] = rule.target_health
    rules["by_profit"] = params.adl.basis == "profit"
    return rules


def build_markets(book: Book, params: SimulationParams) -> k.Records:
    """Per-market parameters. Raises ParameterError for vectors of a wrong length."""
    markets = np.zeros(book.width, k.MARKETS)
    for name, value, label in (
        ("price0", book.price, "price"),
        ("coefficient", params.impact.coefficient, "impact coefficient"),
        ("volume", params.impact.volume, "impact volume"),
        ("cap", params.fund.market_cap, "fund market_cap"),
        ("opening_compartment", params.fund.compartment, "fund compartment"),
    ):
        markets[name] = per_market(value, book.width, label)
    return markets


def build_sides(size: FloatArray) -> k.Records:
    """Open interest and holders by market and side, from sizes (N, M)."""
    sides = np.zeros((size.shape[1], 2), k.SIDES)
    for side, sign in ((k.LONG, 1.0), (k.SHORT, -1.0)):
        held = np.maximum(sign * size, 0.0)
        sides["start_interest"][:, side] = held.sum(axis=0)
        sides["start_holders"][:, side] = (held > 0).sum(axis=0)
    return sides


def build_tiers(book: Book) -> k.Records:
    """Maintenance schedules in affine form."""
    tiers = np.zeros(book.tiers.rate.shape, k.TIERS)
    tiers["rate"] = book.tiers.rate
    tiers["deduction"] = book.tiers.deduction
    return tiers


def build_pristine(book: Book, order: IntArray, keep_quote: bool) -> Pristine:
    """Copy a book (which may be memory-mapped and read-only) in the given order of accounts."""
    cash = np.asarray(book.collateral) + np.asarray(book.quote).sum(axis=1)
    quote = np.asarray(book.quote)[order] if keep_quote else np.empty((0, book.width))
    return Pristine(cash[order], np.ascontiguousarray(np.asarray(book.size)[order]), quote)


def build_world(book: Book, params: SimulationParams, pristine: Pristine, rows: int) -> k.World:
    """State for one engine with room for `rows` accounts hit in one minute.

    Memory: 16 + 8 M bytes an account, 32 + 8 M bytes a row.
    """
    count, width = pristine.size.shape
    accounts = np.zeros(count, k.ACCOUNTS)
    accounts["cash"], accounts["row"], accounts["alive"] = pristine.cash, -1, 1
    return k.World(
        rules=build_rules(params),
        state=np.zeros(1, k.STATE),
        markets=build_markets(book, params),
        sides=build_sides(pristine.size),
        tiers=build_tiers(book),
        accounts=accounts,
        size=pristine.size.copy(),
        quote=pristine.quote.copy(),
        rows=np.zeros(rows, k.ROWS),
        closing=np.zeros((rows if params.liquidation.target_health else 0, width)),
        touched=np.zeros(rows, np.int64),
        events=np.zeros(0, k.EVENTS),
        prices=np.zeros((0, width)),
    )


class Engine(ABC):
    """A book prepared for many paths. Not thread-safe: one engine per thread."""

    _world: k.World

    def __init__(self, book: Book, params: SimulationParams) -> None:
        book.validate()
        self.book = book
        self.params = params
        self.width = book.width

    def run(
        self,
        log_price: FloatArray,
        depth: FloatArray | None = None,
        *,
        events: bool = False,
    ) -> PathResult:
        """Run one path and leave the engine as it was.

        log_price: (T, M) log of the outside price over the book's price, one row a minute; depth:
        optional (T, M) share of normal depth in (0, inf). With `events` every liquidation and the
        price path with feedback are returned too. Raises PathError for arrays that do not fit.
        """
        logs = check_path(log_price, self.width)
        level = np.empty((0, self.width)) if depth is None else check_depth(depth, logs)
        room = 4 * self.book.accounts + 1024 if events else 0
        world = self._world_for(logs, room)
        self._run(world, logs, level)
        found = int(world.state["events"][0])
        if events and found > room:
            world = self._world_for(logs, found)
            self._run(world, logs, level)
        return self._pack(world, found if events else -1)

    def _world_for(self, logs: FloatArray, room: int) -> k.World:
        """The engine's world, with fresh room for events and prices if `room` is positive."""
        if not room:
            return self._world
        return self._world._replace(
            events=np.zeros(room, k.EVENTS), prices=np.zeros((logs.shape[0], self.width))
        )

    def _pack(self, world: k.World, found: int) -> PathResult:
        market = trailing_fields(world.markets, len(MARKET_FIELDS))
        path = trailing_fields(world.state, len(PATH_FIELDS))[0]
        if found < 0:
            return PathResult(market, path)
        return PathResult(market, path, self._events(world, found).sorted(), world.prices)

    def _events(self, world: k.World, found: int) -> Events:
        """Events of the last run, with the book's account numbers."""
        log = world.events[:found]
        rest = [log[f.name].copy() for f in fields(Events) if f.name != "account"]
        return Events(self._number(log["account"]), *rest)

    def _number(self, inner: IntArray) -> IntArray:
        """Translate the engine's account numbers to the book's."""
        return inner.copy()

    @abstractmethod
    def _run(self, world: k.World, logs: FloatArray, depth: FloatArray) -> None:
        """Run the kernel on the world and undo its changes to accounts."""


def trailing_fields(records: k.Records, count: int) -> FloatArray:
    """Copy the last `count` fields (float64) of records (R,) of 8-byte fields into (R, count)."""
    width = records.dtype.itemsize // 8
    return np.array(records.view(np.float64).reshape(len(records), width)[:, -count:])


def check_path(log_price: FloatArray, width: int) -> FloatArray:
    """Return a contiguous float64 (T, M) copy or view; raise PathError if it cannot be one."""
    logs = np.ascontiguousarray(log_price, dtype=np.float64)
    if logs.ndim != 2 or logs.shape[1] != width or logs.shape[0] == 0:
        raise PathError(f"path must have shape (T, {width}) with T > 0, got {logs.shape}")
    low, high = logs.min(), logs.max()
    if not (low > -MAX_LOG_PRICE and high < MAX_LOG_PRICE):
        row = int(np.argwhere(~(np.abs(logs) < MAX_LOG_PRICE))[0][0])
        raise PathError(f"path row {row}: log price must be finite and within {MAX_LOG_PRICE:g}")
    return logs if logs.flags.writeable else logs.copy()


def check_depth(depth: FloatArray, logs: FloatArray) -> FloatArray:
    """Return depth shares as contiguous float64 of the path's shape; raise PathError otherwise."""
    level = np.ascontiguousarray(depth, dtype=np.float64)
    if level.shape != logs.shape:
        raise PathError(f"depth must have the path's shape {logs.shape}, got {level.shape}")
    if not np.all(level > 0) or not np.all(np.isfinite(level)):
        raise PathError("depth shares must be positive and finite")
    return level if level.flags.writeable else level.copy()
