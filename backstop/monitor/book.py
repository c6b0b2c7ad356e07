"""Every account's positions as arrays: health at any prices, without asking the chain again.

    equity      = collateral + sum(size * mark + quote)
    maintenance = sum(min(N, N * (1 + N / sizeScale) * fraction)),  N = |size| * mark

in floats; the second line is `MarginMath.margins` without its rounding. Funding since the last
reading is missing until the account is read again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from backstop.chain.deploy import System
from backstop.chain.lens import Lens
from backstop.monitor.reads import read
from backstop.monitor.state import WAD, MarketNow

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DUST: Final = 1e-8
"""Equity below which the liquidator counts an account with positions as bankrupt."""

_CHUNK: Final = 400


@dataclass(frozen=True)
class Terms:
    """What valuing positions needs of the markets, by number."""

    mark: Floats
    scale: Floats
    maintenance: Floats

    @classmethod
    def of(cls, markets: Sequence[MarketNow]) -> Terms:
        """The terms of a state's markets."""
        return cls(
            mark=np.array([m.mark for m in markets]),
            scale=np.array([max(1.0, m.size_scale) for m in markets]),
            maintenance=np.array([m.maintenance for m in markets]),
        )

    def shocked(self, moves: Floats) -> Terms:
        """The same at marks moved by these fractions."""
        return Terms(self.mark * (1 + moves), self.scale, self.maintenance)


def margin_of(notional: Floats, scale: Floats, fraction: Floats) -> Floats:
    """Maintenance margin of positions: min(N, N * (1 + N / scale) * fraction)."""
    return np.minimum(notional, notional * (1 + notional / scale) * fraction)


def added(places: Ints, values: Floats, count: int) -> Floats:
    """Values added up by place, 0 to count - 1."""
    return np.bincount(places, weights=values, minlength=count).astype(np.float64)


@dataclass(frozen=True)
class Arrays:
    """The book as arrays: one line an account, and one line a position."""

    numbers: list[bytes]
    collateral: Floats
    owner: Ints
    market: Ints
    size: Floats
    quote: Floats

    def value(self, terms: Terms) -> tuple[Floats, Floats]:
        """Equity and maintenance margin of every account at these marks."""
        mark = terms.mark[self.market]
        equity = self.collateral + self._sum(self.size * mark + self.quote)
        return equity, self._sum(self.margins(terms))

    def of(self, wanted: Collection[bytes]) -> Arrays:
        """The same of a few accounts only."""
        chosen = [i for i, number in enumerate(self.numbers) if number in wanted]
        lines = np.isin(self.owner, chosen)
        return Arrays(
            numbers=[self.numbers[i] for i in chosen],
            collateral=self.collateral[chosen],
            owner=np.searchsorted(chosen, self.owner[lines]).astype(np.int64),
            market=self.market[lines],
            size=self.size[lines],
            quote=self.quote[lines],
        )

    def margins(self, terms: Terms) -> Floats:
        """Maintenance margin of every position."""
        notional = np.abs(self.size) * terms.mark[self.market]
        return margin_of(notional, terms.scale[self.market], terms.maintenance[self.market])

    def _sum(self, values: Floats) -> Floats:
        """Positions' values added up by account."""
        return added(self.owner, values, len(self.numbers))


class Book:
    """The accounts as last read."""

    def __init__(self) -> None:
        self._accounts: dict[bytes, tuple[float, tuple[tuple[int, float, float], ...]]] = {}
        self._arrays: Arrays | None = None

        self.unreadable = 0

    def __len__(self) -> int:
        return len(self._accounts)

    def forget(self) -> None:
        """All accounts: the chain is another one now."""
        self._accounts.clear()
        self._arrays = None

    def read(self, system: System, numbers: Iterable[bytes]) -> None:
        """Read some accounts now, and replace what was known of them.

        An account that cannot be read (its price's feed is broken, say) stays as it was known.

        Raises:
            NodeError: the node is gone.
        """
        wanted = list(numbers)
        self.unreadable = 0
        for start in range(0, len(wanted), _CHUNK):
            part = wanted[start : start + _CHUNK]
            for number, state in zip(part, _states(system, part), strict=True):
                if state is None:
                    self.unreadable += 1
                    continue
                positions = tuple(
                    (p.market, p.size / WAD, p.quote / WAD) for p in state.positions if p.size
                )
                rest = sum(p.quote for p in state.positions if not p.size)
                self._accounts[number] = ((state.collateral + rest) / WAD, positions)
        self._arrays = None

    @property
    def arrays(self) -> Arrays:
        """The book as arrays; made anew after a reading."""
        if self._arrays is None:
            self._arrays = self._build()
        return self._arrays

    def _build(self) -> Arrays:
        accounts = list(self._accounts.values())
        lines = [(i, *p) for i, (_, positions) in enumerate(accounts) for p in positions]
        columns = list(zip(*lines, strict=True)) if lines else [(), (), (), ()]
        return Arrays(
            numbers=list(self._accounts),
            collateral=np.array([collateral for collateral, _ in accounts], dtype=np.float64),
            owner=np.array(columns[0], dtype=np.int64),
            market=np.array(columns[1], dtype=np.int64),
            size=np.array(columns[2], dtype=np.float64),
            quote=np.array(columns[3], dtype=np.float64),
        )


def _states(system: System, numbers: Sequence[bytes]) -> list[Any]:
    """AccountState of each, None where it cannot be read: by the Lens where there is one."""
    if "lens" in system.record.contracts:
        reports = Lens(system).accounts(numbers)
        return [report.state if report.ok else None for report in reports]
    return read(system.client, [(system.engine, "accountState", (n,)) for n in numbers])


def liquidation_marks(arrays: Arrays, terms: Terms) -> Floats:
    """The mark of its market at which each position's account reaches maintenance margin.

    All other marks stay. With c the account's equity without the position's value at the mark, M
    the other positions' margin, s = +1 (long) or -1 (short), N the position's notional:

        c + s*N = M + f*N + f*N^2/scale     solved for N; the mark is N / |size|

    NaN where no mark above 0 gets there.
    """
    equity, maintenance = arrays.value(terms)
    mark = terms.mark[arrays.market]
    notional = np.abs(arrays.size) * mark
    side = np.sign(arrays.size)
    others = maintenance[arrays.owner] - arrays.margins(terms)
    rest = equity[arrays.owner] - side * notional
    fraction, scale = terms.maintenance[arrays.market], terms.scale[arrays.market]
    # (f/scale) N^2 + (f - s) N + (M - c) = 0
    a, b, c = fraction / scale, fraction - side, others - rest
    with np.errstate(invalid="ignore", divide="ignore"):
        root = np.sqrt(b * b - 4 * a * c)
        # a long reaches it where N falls to the smaller root, a short where N rises to the larger;
        # written so that nearly equal numbers are not subtracted
        found = np.where(side > 0, 2 * c / (-b + root), -2 * c / (b + root))
        level = found / np.abs(arrays.size)
    return np.where((found > 0) & np.isfinite(level), level, np.nan)
