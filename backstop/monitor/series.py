"""How the figures moved: one row a block that was looked at, thinned out where there are many.

Rows are kept as the JSON text that readers get: a fifth of the memory of lists of numbers, and a
new reader costs a join instead of some ten thousand small objects.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

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

Value = float | int | None


@dataclass(frozen=True, slots=True)
class Row:
    """A row: `text` is the JSON list `[time, block, ...]` with a value for each column."""

    time: int
    block: int
    text: str
    number: int = 0


class Series:
    """Rows in the order of time, for many readers; `generation` changes when old rows do."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.columns: list[str] = []
        self.generation = 0
        self._rows: list[Row] = []
        self._count = 0

    def add(self, state: State, below: int | None = None, at_risk: int | None = None) -> None:
        """Append a state; a second one of the same time replaces the first."""
        values = values_of(state, below, at_risk)
        with self._lock:
            if list(values) != self.columns:
                self._rename(list(values))
            if self._rows and self._rows[-1].time == state.time:
                self._rows.pop()
            self._count += 1
            self._rows.append(_row(state, values, self._count))
            if len(self._rows) > LIMIT:
                self._thin()

    def extend_back(self, states: Sequence[State]) -> None:
        """Put older states before what is there; states that are not older are left out."""
        made = [(state, values_of(state, None, None)) for state in states]
        with self._lock:
            first = self._rows[0].time if self._rows else math.inf
            older = {
                state.time: _row(state, values)
                for state, values in made
                if list(values) == self.columns and state.time < first
            }
            self._rows = [older[time] for time in sorted(older)] + self._rows
            self.generation += 1

    def rewind(self, block: int) -> None:
        """Forget rows above a block."""
        with self._lock:
            self._rows = [row for row in self._rows if row.block <= block]
            self.generation += 1

    def clear(self) -> None:
        """Forget everything."""
        self.rewind(-1)

    def read(self, generation: int = -1, after: int = 0) -> tuple[int, int, list[str], list[str]]:
        """Generation, number of the last row, columns, and the rows a reader lacks, as JSON.

        All rows if the reader's generation is another one, else those after its number.
        """
        with self._lock:
            everything = generation != self.generation
            rows = [row.text for row in self._rows if everything or row.number > after]
            return self.generation, self._count, list(self.columns), rows

    @property
    def first(self) -> int | None:
        """Block of the oldest row."""
        return self._rows[0].block if self._rows else None

    def _rename(self, names: list[str]) -> None:
        """New columns: a market or layer was added; old rows have nothing there."""
        before = self.columns

        def renamed(row: Row) -> Row:
            known = dict(zip(before, json.loads(row.text), strict=True))
            text = _text([known.get(name) for name in names])
            return Row(row.time, row.block, text, row.number)

        self._rows = [renamed(row) for row in self._rows]
        self.columns = names
        self.generation += 1

    def _thin(self) -> None:
        half = len(self._rows) // 2
        self._rows = self._rows[:half:2] + self._rows[half:]
        # readers keep the rows they have: nothing is wrong with them


def _row(state: State, values: dict[str, Value], number: int = 0) -> Row:
    return Row(state.time, state.block, _text(list(values.values())), number)


def _text(values: list[Value]) -> str:
    return json.dumps(values, separators=(",", ":"), allow_nan=False)


def values_of(state: State, below: int | None, at_risk: int | None) -> dict[str, Value]:
    """A row of a state, by column."""
    values: dict[str, Value] = {
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
    return {name: _short(value) for name, value in values.items()}


def _short(value: Value) -> Value:
    """Ten digits are more than a chart shows, and half the bytes; what is no number is nothing."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.10g}") if math.isfinite(value) else None
