"""The accounts book: who holds what, as a struct of arrays.

Equity of account i at prices P is `collateral[i] + sum_m (size[i, m] * P[m] + quote[i, m])`: a
position is the pair of base held and quote owed or owned, both signed, as in the contracts' ledger.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .errors import (
    BookFileError,
    BookShapeError,
    BookValueError,
    NotZeroSumError,
    TierError,
)
from .model import FloatArray, per_market

FORMAT_VERSION = 1
_ARRAYS = ("collateral", "size", "quote", "price", "tier_floor", "tier_rate")
_META = "book.json"


@dataclass(frozen=True, slots=True)
class Tiers:
    """Maintenance schedules, one per market, as marginal rates over brackets of notional.

    floor, rate: (M, K). Notional n of a market needs `sum_k rate[k] * (part of n in bracket k)`;
    bracket k starts at `floor[k]` USD. Unused brackets have floor = inf and repeat the last rate.
    """

    floor: FloatArray
    rate: FloatArray

    @classmethod
    def flat(cls, rate: float | FloatArray, markets: int) -> Tiers:
        """One rate for every notional; `rate` scalar or (M,)."""
        rates = per_market(rate, markets, "maintenance rate")
        return cls(np.zeros((markets, 1)), rates[:, None].copy())

    @classmethod
    def of(cls, schedules: Sequence[Sequence[tuple[float, float]]]) -> Tiers:
        """Build from one list of (floor in USD, marginal rate) per market, ascending."""
        width = max((len(s) for s in schedules), default=0)
        floor = np.full((len(schedules), width), np.inf)
        rate = np.zeros((len(schedules), width))
        for market, schedule in enumerate(schedules):
            if not schedule:
                raise TierError(f"market {market}: no tier; give at least (0, rate)")
            floor[market, : len(schedule)] = [f for f, _ in schedule]
            rate[market, : len(schedule)] = [r for _, r in schedule]
            rate[market, len(schedule) :] = schedule[-1][1]
        return cls(floor, rate)

    @classmethod
    def of_contracts(
        cls, rate: float, size_scale: float, largest: float, brackets: int, markets: int = 1
    ) -> Tiers:
        """The contracts' margin, `rate * n * (1 + n / size_scale)`, as brackets up to `largest`.

        Chords of the curve: never less than the contracts ask, and at most
        `rate * (largest / brackets)**2 / (4 * size_scale)` USD more; the last rate goes on beyond
        `largest`. rate: maintenance fraction; size_scale, largest: USD. Raises TierError unless
        all are positive and the last rate is below 1.
        """
        if not (rate > 0 and size_scale > 0 and largest > 0 and brackets >= 1):
            raise TierError("rate, size_scale, largest and brackets must be positive")
        floor = np.arange(brackets) * (largest / brackets)
        chord = rate * (1.0 + (2.0 * floor + largest / brackets) / size_scale)
        tiers = cls(np.tile(floor, (markets, 1)), np.tile(chord, (markets, 1)))
        tiers.validate()
        return tiers

    def scaled(self, factor: float | FloatArray) -> Tiers:
        """Multiply all rates of each market, e.g. for open interest close to its cap."""
        factors = per_market(factor, self.rate.shape[0], "tier factor")
        return replace(self, rate=self.rate * factors[:, None])

    @property
    def deduction(self) -> FloatArray:
        """(M, K) USD: maintenance is `max_k rate[k] * notional - deduction[k]`."""
        out = np.zeros_like(self.rate)
        for k in range(1, self.rate.shape[1]):
            step = self.rate[:, k] - self.rate[:, k - 1]
            jump = np.where(
                step > 0, np.where(np.isfinite(self.floor[:, k]), self.floor[:, k], 0), 0
            )
            out[:, k] = out[:, k - 1] + jump * step
        return out

    def maintenance(self, notional: FloatArray) -> FloatArray:
        """Maintenance margin in USD of absolute notionals, shape (..., M) to (..., M)."""
        affine = notional[..., None] * self.rate - self.deduction
        return np.asarray(affine.max(axis=-1))

    def validate(self) -> None:
        """Raise TierError unless every schedule starts at 0 with rates in [0, 1) that rise."""
        if self.floor.ndim != 2 or self.floor.shape != self.rate.shape or self.rate.shape[1] < 1:
            raise TierError(
                f"floor {self.floor.shape} and rate {self.rate.shape} must be one (M, K)"
            )
        for market, (floor, rate) in enumerate(zip(self.floor, self.rate, strict=True)):
            real = np.isfinite(floor)
            if floor[0] != 0 or np.any(np.diff(floor[real]) <= 0) or np.any(np.diff(real * 1) > 0):
                raise TierError(f"market {market}: floors must start at 0 and rise, got {floor}")
            if not np.all(np.isfinite(rate)) or np.any(rate < 0) or np.any(rate >= 1):
                raise TierError(f"market {market}: rates must be in [0, 1), got {rate}")
            if np.any(np.diff(rate) < 0):
                raise TierError(f"market {market}: marginal rates must not fall, got {rate}")


@dataclass(frozen=True, slots=True)
class Book:
    """All accounts of a platform at one moment.

    collateral (N,) USD; size (N, M) base units, signed; quote (N, M) USD, signed; price (M,) the
    mark prices of the moment, USD per unit; tiers: the maintenance schedules; markets: M names.
    """

    collateral: FloatArray
    size: FloatArray
    quote: FloatArray
    price: FloatArray
    tiers: Tiers
    markets: tuple[str, ...]

    @property
    def accounts(self) -> int:
        """Number of accounts N."""
        return int(self.size.shape[0])

    @property
    def width(self) -> int:
        """Number of markets M."""
        return int(self.size.shape[1])

    def notional(self, price: FloatArray | None = None) -> FloatArray:
        """Absolute notional (N, M) in USD at `price` (M,), by default the book's own."""
        at = self.price if price is None else price
        return np.asarray(np.abs(self.size) * at)

    def equity(self, price: FloatArray | None = None) -> FloatArray:
        """Equity (N,) in USD at `price` (M,), by default the book's own."""
        at = self.price if price is None else price
        return np.asarray(self.collateral + (self.size * at + self.quote).sum(axis=1))

    def maintenance(self, price: FloatArray | None = None) -> FloatArray:
        """Maintenance margin (N,) in USD at `price` (M,), by default the book's own."""
        return np.asarray(self.tiers.maintenance(self.notional(price)).sum(axis=1))

    def open_interest(self) -> FloatArray:
        """Notional of the long side of each market at the book's prices, (M,) USD."""
        return np.asarray((np.maximum(self.size, 0) * self.price).sum(axis=0))

    def validate(self, *, zero_sum: bool = False, tolerance: float = 1e-9) -> Book:
        """Check shapes and numbers and return the book itself.

        With `zero_sum`, long and short sizes of every market must cancel within `tolerance` of the
        long size. Raises BookShapeError, BookValueError, TierError or NotZeroSumError.
        """
        self._check_shapes()
        self._check_values()
        self.tiers.validate()
        if zero_sum:
            self._check_zero_sum(tolerance)
        return self

    def _check_shapes(self) -> None:
        if self.size.ndim != 2:
            raise BookShapeError(f"size must be (N, M), got shape {self.size.shape}")
        count, width = self.size.shape
        if count == 0 or width == 0:
            raise BookShapeError("a book needs at least one account and one market")
        wanted = {"collateral": (count,), "quote": (count, width), "price": (width,)}
        for name, shape in wanted.items():
            got = getattr(self, name).shape
            if got != shape:
                raise BookShapeError(f"{name}: expected shape {shape}, got {got}")
        if self.tiers.rate.shape[0] != width:
            raise BookShapeError(f"tiers: {self.tiers.rate.shape[0]} schedules for {width} markets")
        if len(self.markets) != width or len(set(self.markets)) != width:
            raise BookShapeError(f"markets: need {width} different names, got {self.markets}")

    def _check_values(self) -> None:
        for name in ("collateral", "size", "quote", "price"):
            array = getattr(self, name)
            if array.dtype != np.float64:
                raise BookValueError(f"{name}: dtype must be float64, got {array.dtype}")
            bad = np.argwhere(~np.isfinite(array))
            if len(bad):
                raise BookValueError(
                    f"{name}{bad[0].tolist()} is {array[tuple(bad[0])]}, not finite"
                )
        if np.any(self.price <= 0):
            raise BookValueError(f"price must be positive, got {self.price}")
        orphan = np.argwhere((self.size == 0) & (self.quote != 0))
        if len(orphan):
            where = orphan[0].tolist()
            raise BookValueError(f"quote{where} without a position: move it to collateral")
        flat = np.flatnonzero(np.all(self.size == 0, axis=1) & (self.collateral < 0))
        if len(flat):
            raise BookValueError(f"account {flat[0]} is flat with collateral below zero")

    def _check_zero_sum(self, tolerance: float) -> None:
        net = self.size.sum(axis=0)
        long = np.maximum(self.size, 0).sum(axis=0)
        for market in np.flatnonzero(np.abs(net) > tolerance * long):
            name = self.markets[market]
            raise NotZeroSumError(
                f"market {name}: sizes sum to {net[market]:g}, longs {long[market]:g}"
            )

    def sha256(self) -> str:
        """Return a hash of all arrays and market names, independent of how the book is stored."""
        digest = hashlib.sha256(json.dumps(self.markets).encode())
        for name, array in self._arrays().items():
            data = np.ascontiguousarray(array, dtype="<f8")
            digest.update(f"{name}{data.shape}".encode())
            digest.update(data.data)
        return digest.hexdigest()

    def _arrays(self) -> dict[str, FloatArray]:
        tiers = {"tier_floor": self.tiers.floor, "tier_rate": self.tiers.rate}
        plain = {n: getattr(self, n) for n in ("collateral", "size", "quote", "price")}
        return {**plain, **tiers}

    def save(self, folder: str | Path) -> Path:
        """Write one `.npy` per array and `book.json` into `folder` (made if absent); return it."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for name, array in self._arrays().items():
            np.save(target / f"{name}.npy", np.ascontiguousarray(array))
        meta = {"version": FORMAT_VERSION, "markets": list(self.markets), "sha256": self.sha256()}
        (target / _META).write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
        return target

    @classmethod
    def load(cls, folder: str | Path, *, mmap: bool = True, verify: bool = False) -> Book:
        """Read a book written by `save`, memory-mapped read-only unless `mmap` is false.

        With `verify` the stored hash is checked. Raises BookFileError, naming file and reason, and
        the errors of shape checks.
        """
        source = Path(folder)
        meta = _read_meta(source)
        arrays = {name: _read_array(source / f"{name}.npy", mmap) for name in _ARRAYS}
        tiers = Tiers(arrays.pop("tier_floor"), arrays.pop("tier_rate"))
        book = cls(**arrays, tiers=tiers, markets=tuple(meta["markets"]))
        book._check_shapes()
        if verify and book.sha256() != meta["sha256"]:
            raise BookFileError(f"{source}: contents do not match the stored hash; save it again")
        return book


def _read_meta(source: Path) -> dict[str, Any]:
    try:
        meta = json.loads((source / _META).read_text(encoding="utf-8"))
        version = meta["version"]
        meta["markets"], meta["sha256"]
    except FileNotFoundError as error:
        raise BookFileError(f"{source}: no {_META}; write a book with Book.save") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BookFileError(f"{source / _META}: not a book description ({error})") from error
    if version != FORMAT_VERSION:
        raise BookFileError(f"{source}: format {version}, this version reads {FORMAT_VERSION}")
    return dict(meta)


def _read_array(path: Path, mmap: bool) -> FloatArray:
    try:
        array = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
    except FileNotFoundError as error:
        raise BookFileError(f"{path} is missing; save the book again") from error
    except (ValueError, EOFError, OSError) as error:
        raise BookFileError(f"{path}: not a readable .npy file ({error})") from error
    return np.asarray(array) if not mmap else array


@dataclass(frozen=True, slots=True)
class BookSpec:
    """What a generated book looks like.

    Defaults give a heavy-tailed book: Pareto position sizes (tail index `tail`, at most `largest`
    times the smallest), log-normal leverage (median `leverage`, log standard deviation
    `leverage_sigma`, cut at `leverage_cap`), accounts in one to `M` markets. `open_interest` is USD
    per market, scalar or (M,); `entry_sigma` the log standard deviation of entry prices around the
    mark; `long_share` the share of accounts on the long side; `cushion` the least ratio of equity
    to maintenance at the start.
    """

    open_interest: float | FloatArray = 5e8
    tail: float = 1.5
    largest: float = 1e5
    leverage: float = 4.3
    leverage_sigma: float = 0.8
    leverage_cap: float = 50.0
    entry_sigma: float = 0.05
    long_share: float = 0.5
    cushion: float = 1.05


#: Reference prices (USD) and names used by generated books, repeated with a suffix beyond eight.
REFERENCE_MARKETS = (
    ("BTC", 100_000.0),
    ("ETH", 4_000.0),
    ("SOL", 200.0),
    ("XRP", 2.5),
    ("ADA", 1.0),
    ("LINK", 20.0),
    ("AVAX", 30.0),
    ("DOGE", 0.3),
)


def _reference(markets: int) -> tuple[tuple[str, ...], FloatArray]:
    rows = [REFERENCE_MARKETS[m % 8] for m in range(markets)]
    names = tuple(n if m < 8 else f"{n}-{m // 8}" for m, (n, _) in enumerate(rows))
    return names, np.array([p for _, p in rows])


def random_book(
    accounts: int,
    markets: int = 1,
    *,
    seed: int = 0,
    tiers: Tiers | None = None,
    spec: BookSpec | None = None,
) -> Book:
    """Generate a realistic zero-sum book; equal arguments give equal books.

    Every market has longs and shorts of equal size and, as in a ledger, quotes that sum to zero.
    Every account starts at least `spec.cushion` times above maintenance. `tiers` defaults to 1 %.
    Raises BookShapeError for fewer than two accounts a market.
    """
    if accounts < 2 * markets or markets < 1:
        raise BookShapeError(f"{accounts} accounts cannot hold both sides of {markets} markets")
    spec = spec or BookSpec()
    tiers = tiers or Tiers.flat(0.01, markets)
    names, price = _reference(markets)
    rng = np.random.Generator(np.random.Philox(key=np.array([seed, 0xB00C], dtype=np.uint64)))
    notional = _random_notional(rng, accounts, markets, spec)
    size = notional / price
    quote = _random_quote(rng, notional, spec)
    equity = _random_equity(rng, notional, tiers, spec)
    collateral = equity - (notional + quote).sum(axis=1)
    poor = collateral < 0.05 * equity
    if np.any(poor):  # unrealised profit above 95 % of the equity: pay the rest in
        collateral[poor] = 0.05 * equity[poor]
    return Book(collateral, size, quote, price, tiers, names).validate(zero_sum=True)


def _random_notional(
    rng: np.random.Generator, accounts: int, markets: int, spec: BookSpec
) -> FloatArray:
    """Signed notionals (N, M), net zero per market, scaled to the open interest."""
    most = 1 + (rng.random(accounts) * rng.integers(1, markets + 1, accounts)).astype(np.int64)
    rank = np.argsort(np.argsort(rng.random((accounts, markets)), axis=1), axis=1)
    active = rank < most[:, None]
    size = np.minimum(rng.pareto(spec.tail, (accounts, markets)) + 1.0, spec.largest)
    side = np.where(rng.random((accounts, markets)) < spec.long_share, 1.0, -1.0)
    for market in range(markets):  # whoever the draw, one long and one short exist
        active[2 * market : 2 * market + 2, market] = True
        side[2 * market : 2 * market + 2, market] = (1.0, -1.0)
    notional = active * size * side
    target = per_market(spec.open_interest, markets, "open_interest")
    long = np.maximum(notional, 0).sum(axis=0)
    short = np.maximum(-notional, 0).sum(axis=0)
    scale = np.where(notional > 0, target / long, target / short)
    return np.ascontiguousarray(notional * scale)


def _random_quote(rng: np.random.Generator, notional: FloatArray, spec: BookSpec) -> FloatArray:
    """Quotes -size*entry with noisy entries; each market's quotes sum to zero."""
    quote = -notional * np.exp(rng.normal(0.0, spec.entry_sigma, notional.shape))
    paid = np.maximum(-quote, 0).sum(axis=0)
    received = np.maximum(quote, 0).sum(axis=0)
    quote = np.where(quote > 0, quote * (paid / received), quote)
    return np.ascontiguousarray(quote)


def _random_equity(
    rng: np.random.Generator, notional: FloatArray, tiers: Tiers, spec: BookSpec
) -> FloatArray:
    """Equity from gross notional and a drawn leverage, at least `cushion` times maintenance."""
    gross = np.abs(notional)
    draw = rng.lognormal(np.log(spec.leverage), spec.leverage_sigma, notional.shape[0])
    equity = gross.sum(axis=1) / np.clip(draw, 1.0, spec.leverage_cap)
    floor = spec.cushion * tiers.maintenance(gross).sum(axis=1)
    return np.asarray(np.maximum(equity, floor))
