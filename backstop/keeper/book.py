"""Every account's positions in numpy arrays, and who of them may be liquidated.

A position is kept as the side index keeps it, so that what treats a whole side alike (funding,
tear-ups, deficit charges) needs no look at the accounts (docs/laws.md, "Side index"):

    size  = basis * A          quote = quote at zero + |basis| * K

Between two looks at all accounts only candidates are looked at. An account is one if, somewhere in
a box of prices and of the sides' K around the present ones, equity is below maintenance margin.
Equity is linear and maintenance margin convex in each market's price, so the worst point of the
box is at one of the two ends, market by market. Whenever a price or a side leaves the box the
candidates are picked anew before anything is decided: the width of the box decides the speed, never
the result.

The arrays hold doubles. What they find is confirmed through the Lens; so that nobody is missed,
equity counts as too low already within a bound of the rounding errors (`_TOLERANCE`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

_WAD: Final = 1e18
_A_ONE: Final = 1e21
_K_ONE: Final = 1e39
_TOLERANCE: Final = 1e-10
"""Share of all gross amounts of an account within which its equity is uncertain: each sum has far
fewer than 10**4 roundings of 1.1e-16."""
_DUST: Final = 1e-8
"""Tokens on top for who holds positions: the contracts' roundings to a wei, their dust equity."""


@dataclass
class Market:
    """What the arrays need to know of a market: prices in tokens, A and K per unit of basis."""

    mark: float
    A: tuple[float, float]
    K: tuple[float, float]
    epoch: tuple[int, int]
    maintenance: float
    size_scale: float

    @classmethod
    def of(cls, report: Any) -> Market:
        """From an ILens.MarketReport."""
        parameters = report.parameters
        return cls(
            mark=report.state.markPrice / _WAD,
            A=(report.A[0] / _A_ONE, report.A[1] / _A_ONE),
            K=(report.K[0] / _K_ONE, report.K[1] / _K_ONE),
            epoch=(report.epoch[0], report.epoch[1]),
            maintenance=parameters.maintenanceMarginPpm / 1e6,
            size_scale=float(parameters.sizeScale),
        )


@dataclass
class _Box:
    """For which prices and sides the candidates are complete."""

    low: Market
    high: Market
    k_slack: tuple[float, float]

    def holds(self, market: Market) -> bool:
        """Whether a market's present state is inside."""
        low = self.low
        return (
            low.mark <= market.mark <= self.high.mark
            and low.A == market.A
            and low.epoch == market.epoch
            and low.maintenance == market.maintenance
            and low.size_scale == market.size_scale
            and all(abs(market.K[s] - low.K[s]) <= self.k_slack[s] for s in (0, 1))
        )


@dataclass
class Book:
    """All accounts.

    Args:
        slack: half the width of the box, as a fraction of the price.
        capacity: accounts to make room for at first; it grows.
    """

    slack: float = 0.02
    capacity: int = 1024
    ids: list[bytes] = field(default_factory=list)
    markets: list[Market] = field(default_factory=list)
    refreshes: int = 0

    def __post_init__(self) -> None:
        self._rows: dict[bytes, int] = {}
        self._collateral: Floats = np.zeros(self.capacity)
        self._basis: list[Floats] = []
        self._quote: list[Floats] = []
        self._box: list[_Box] | None = None
        self._candidate = np.zeros(self.capacity, dtype=bool)
        self._candidates: Rows = np.zeros(0, dtype=np.intp)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, account: bytes) -> bool:
        return account in self._rows

    @property
    def candidates(self) -> int:
        """How many accounts are looked at after a new price."""
        return len(self._candidates)

    # --- filling

    def add(self, accounts: Iterable[bytes]) -> None:
        """Make rows for accounts that are new; they hold nothing until they are set."""
        for account in accounts:
            if account not in self._rows:
                self._rows[account] = len(self.ids)
                self.ids.append(account)
        if len(self.ids) > self.capacity:
            self._grow(max(2 * self.capacity, len(self.ids)))

    def _grow(self, capacity: int) -> None:
        def larger(array: Any) -> Any:
            grown = np.zeros(capacity, dtype=array.dtype)
            grown[: len(array)] = array
            return grown

        self._collateral, self._candidate = larger(self._collateral), larger(self._candidate)
        self._basis = [larger(array) for array in self._basis]
        self._quote = [larger(array) for array in self._quote]
        self.capacity = capacity

    def set(self, reports: Sequence[Any], market_reports: Sequence[Any]) -> None:
        """Take over what a snapshot says of accounts; `market_reports` are of the same snapshot."""
        now = [Market.of(report) for report in market_reports]
        self._room_for(len(now))
        self.add(report.account for report in reports)
        changed = np.array([self._rows[report.account] for report in reports], dtype=np.intp)
        for array in (*self._basis, *self._quote):
            array[changed] = 0.0
        for row, report in zip(changed, reports, strict=True):
            self._collateral[row] = report.state.collateral / _WAD
            for position in report.state.positions:
                self._put(int(row), now[position.market], position)
        if len(changed):
            self._mark_changed(changed)

    def _put(self, row: int, market: Market, position: Any) -> None:
        quote = position.quote / _WAD
        if not position.size:
            self._collateral[row] += quote  # closed by the end of its side: it is settled money
            return
        side = 0 if position.size > 0 else 1
        basis = position.size / _WAD / market.A[side]
        self._basis[position.market][row] = basis
        self._quote[position.market][row] = quote - abs(basis) * market.K[side]

    def load(self, collateral: Floats, basis: Sequence[Floats], quote: Sequence[Floats]) -> None:
        """Fill all rows at once, for measurements: arrays of one entry an account."""
        self.add(number.to_bytes(32, "big") for number in range(len(collateral)))
        self._room_for(len(basis))
        self._collateral[: len(collateral)] = collateral
        for number, (b, q) in enumerate(zip(basis, quote, strict=True)):
            self._basis[number][: len(b)], self._quote[number][: len(q)] = b, q
        self._box = None

    def _room_for(self, markets: int) -> None:
        while len(self._basis) < markets:
            self._basis.append(np.zeros(self.capacity))
            self._quote.append(np.zeros(self.capacity))
            self._box = None

    def _mark_changed(self, rows: Rows) -> None:
        """Rows that changed since the candidates were picked are candidates if the box says so."""
        if self._box is None:
            return
        self._candidate[rows] = self._worst(rows, self._box) < 0
        self._candidates = np.flatnonzero(self._candidate[: len(self.ids)])

    def clear(self) -> None:
        """Forget everything: the chain is another one."""
        self.ids.clear()
        self.markets.clear()
        self.__post_init__()

    # --- deciding

    def ended(self, market_reports: Sequence[Any]) -> list[bytes]:
        """Accounts with a position on a side whose epoch has ended: they have to be read anew."""
        found: list[bytes] = []
        for number, (old, report) in enumerate(zip(self.markets, market_reports, strict=False)):
            n = len(self.ids)
            for side, sign in ((0, 1), (1, -1)):
                if old.epoch[side] != report.epoch[side]:
                    rows = np.flatnonzero(self._basis[number][:n] * sign > 0)
                    found += [self.ids[row] for row in rows]
        return found

    def update(self, market_reports: Sequence[Any]) -> None:
        """Take over the markets' present state."""
        self.set_markets([Market.of(report) for report in market_reports])

    def set_markets(self, markets: Sequence[Market]) -> None:
        """The same from markets."""
        self._room_for(len(markets))
        self.markets = list(markets)

    @property
    def stale(self) -> bool:
        """Whether a price or a side has left the box: the next decision looks at all accounts."""
        box = self._box
        return (
            box is None
            or len(box) != len(self.markets)
            or not all(b.holds(m) for b, m in zip(box, self.markets, strict=True))
        )

    def refresh(self) -> None:
        """Look at all accounts and pick the candidates."""
        self._box = [self._around(market) for market in self.markets]
        n = len(self.ids)
        self._candidate[:n] = self._worst(slice(0, n), self._box) < 0
        self._candidates = np.flatnonzero(self._candidate[:n])
        self.refreshes += 1

    def _around(self, market: Market) -> _Box:
        low, high = (
            Market(
                market.mark * factor,
                market.A,
                market.K,
                market.epoch,
                market.maintenance,
                market.size_scale,
            )
            for factor in (1 - self.slack, 1 + self.slack)
        )
        # funding and charges: a twentieth of the price slack, in quote a unit of basis
        k_slack = tuple(a * market.mark * self.slack / 20 for a in market.A)
        return _Box(low, high, (k_slack[0], k_slack[1]))

    def at_risk(self) -> list[bytes]:
        """Accounts below maintenance margin now, the largest shortfall first. Exact to rounding;
        those within the rounding are included.
        """
        if self.stale:
            self.refresh()
        if not len(self._candidates):
            return []
        excess = self._excess(self._candidates, self.markets)
        below = np.flatnonzero(excess < 0)
        order = below[np.argsort(excess[below], kind="stable")]
        return [self.ids[row] for row in self._candidates[order]]

    def _excess(self, rows: Any, markets: Sequence[Market]) -> Floats:
        """Equity above maintenance margin, less the bound of the rounding errors."""
        total = self._collateral[rows].copy()
        gross, dust = np.abs(total), np.zeros_like(total)
        for number, market in enumerate(markets):
            basis = self._basis[number][rows]
            held = np.flatnonzero(basis)
            if not len(held):
                continue
            above, size_of = self._contribution(number, rows, held, basis[held], market)
            total[held] += above
            gross[held] += size_of
            dust[held] = _DUST
        return total - gross * _TOLERANCE - dust

    def _contribution(
        self, number: int, rows: Any, held: Rows, basis: Floats, market: Market
    ) -> tuple[Floats, Floats]:
        """Value less maintenance margin of the positions in a market, and their gross amounts."""
        long = basis > 0
        quote = self._quote[number][rows][held]
        side_quote = np.abs(basis) * np.where(long, market.K[0], market.K[1])
        value = basis * np.where(long, market.A[0], market.A[1]) * market.mark
        notional = np.abs(value)
        # without the cap at the notional itself: never too little margin
        margin = notional * (1 + notional / market.size_scale) * market.maintenance
        gross = notional + np.abs(quote) + np.abs(side_quote) + margin
        return value + quote + side_quote - margin, gross

    def _worst(self, rows: Any, box: Sequence[_Box]) -> Floats:
        """The least excess anywhere in the box; a lower bound of it, exactly at slack 0."""
        total = self._collateral[rows].copy()
        gross, dust = np.abs(total), np.zeros_like(total)
        for number, part in enumerate(box):
            basis = self._basis[number][rows]
            held = np.flatnonzero(basis)
            if not len(held):
                continue
            held_basis = basis[held]
            low, gross_low = self._contribution(number, rows, held, held_basis, part.low)
            high, gross_high = self._contribution(number, rows, held, held_basis, part.high)
            k = np.where(held_basis > 0, part.k_slack[0], part.k_slack[1])
            total[held] += np.minimum(low, high) - np.abs(held_basis) * k
            gross[held] += np.maximum(gross_low, gross_high)
            dust[held] = _DUST
        return total - gross * _TOLERANCE - dust
