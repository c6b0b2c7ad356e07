"""How the figures moved: one row a block that was looked at, thinned out where there are many."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Final

from backstop.monitor.state import State

LIMIT: Final = 2_000
"""Rows kept; above it every second one of the older half goes."""

FUND_EVENTS: Final = (
    *("CompartmentFunded", "IncomeReceived", "StakerIncome", "StakersFunded", "ReserveFunded"),
    *("ReserveReleased", "Covered", "KeeperRewardPaid", "Slashed", "SeriesEnded", "Deposit"),
    *("RedeemRequest", "Withdraw", "DeficitRecorded", "DeficitRepaid", "SideCharged"),
    *("BackingFunded", "BackingReleased", "SolvencyNoted"),
)
"""Events after which the fund's figures are others; those that a contract lacks do no harm."""

Row = list[float | int | None]


class Series:
    """Rows in the order of time, for many readers; `generation` changes when old rows do.

    A row is `[time, block, ...]` with a value for each of `columns`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.columns: list[str] = []
        self.generation = 0
        self._rows: list[Row] = []
        self._sequence: list[int] = []
        self._count = 0

    def add(self, state: State, below: int | None = None, at_risk: int | None = None) -> None:
        """Append a state; a second one of the same time replaces the first."""
        names, row = row_of(state, below, at_risk)
        with self._lock:
            if names != self.columns:
                self._rename(names)
            if self._rows and self._rows[-1][0] == row[0]:
                self._rows.pop()
                self._sequence.pop()
            self._count += 1
            self._rows.append(row)
            self._sequence.append(self._count)
            if len(self._rows) > LIMIT:
                self._thin()

    def extend_back(self, states: Sequence[State]) -> None:
        """Put older states before what is there; states that are not older are left out."""
        rows = [row_of(state, None, None) for state in states]
        with self._lock:
            first = self._rows[0][0] if self._rows else None
            older: dict[Any, Row] = {}
            for names, row in rows:
                if names == self.columns and (first is None or (row[0] or 0) < (first or 0)):
                    older[row[0]] = row
            self._rows = [older[time] for time in sorted(older)] + self._rows
            self._sequence = [0] * len(older) + self._sequence
            self.generation += 1

    def rewind(self, block: int) -> None:
        """Forget rows above a block."""
        with self._lock:
            kept = [i for i, row in enumerate(self._rows) if (row[1] or 0) <= block]
            self._rows = [self._rows[i] for i in kept]
            self._sequence = [self._sequence[i] for i in kept]
            self.generation += 1

    def clear(self) -> None:
        """Forget everything."""
        self.rewind(-1)

    def read(self, generation: int = -1, after: int = 0) -> tuple[int, int, list[str], list[Row]]:
        """Generation, last sequence number, columns, and the rows a reader lacks.

        All rows if the reader's generation is another one, else those after its sequence number.
        """
        with self._lock:
            if generation != self.generation:
                return self.generation, self._count, list(self.columns), list(self._rows)
            new = [row for row, s in zip(self._rows, self._sequence, strict=True) if s > after]
            return generation, self._count, list(self.columns), new

    @property
    def empty(self) -> bool:
        """Whether there is no row."""
        return not self._rows

    @property
    def first(self) -> int | None:
        """Block of the oldest row."""
        return None if not self._rows else int(self._rows[0][1] or 0)

    def _rename(self, names: list[str]) -> None:
        """New columns: a market or layer was added; old rows have nothing there."""
        places = {name: i for i, name in enumerate(self.columns)}
        self._rows = [
            [row[places[name]] if name in places else None for name in names] for row in self._rows
        ]
        self.columns = names
        self.generation += 1

    def _thin(self) -> None:
        half = len(self._rows) // 2
        kept = [i for i in range(len(self._rows)) if i >= half or i % 2 == 0]
        self._rows = [self._rows[i] for i in kept]
        self._sequence = [self._sequence[i] for i in kept]
        # readers keep the rows they have: nothing is wrong with them


def row_of(state: State, below: int | None, at_risk: int | None) -> tuple[list[str], Row]:
    """Columns and values of a state."""
    values: dict[str, float | int | None] = {
        "time": state.time,
        "block": state.block,
        "total": state.fund.total,
        "target": state.fund.target,
        "ratio": state.fund.ratio,
        "lagged": state.fund.lagged,
        "recorded": sum(m.recorded for m in state.markets),
        "share_price": state.stake.share_price,
        "series": state.stake.series,
        "below": below,
        "at_risk": at_risk,
    }
    for layer in state.fund.layers:
        values[f"layer:{layer.key}"] = layer.amount
    for market in state.markets:
        values[f"long:{market.number}"] = market.open_long * market.mark
        values[f"short:{market.number}"] = market.open_short * market.mark
        values[f"mark:{market.number}"] = market.mark
    return list(values), [_short(v) for v in values.values()]


def _short(value: float | int | None) -> float | int | None:
    """Ten digits are more than a chart shows, and half the bytes."""
    return float(f"{value:.10g}") if isinstance(value, float) else value
