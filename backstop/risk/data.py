"""Price files: OHLCV bars in the usual kline columns, with errors that name row and remedy.

Accepted: a header with time (`open_time`, `timestamp`, `time`, `ts`, `date`, `datetime`), `open`,
`high`, `low`, `close` and optionally `volume`, in any order and case, further columns ignored; or
no header at all and the exchange's kline order (open time, open, high, low, close, volume, ...).
Times are Unix seconds, milliseconds or microseconds, or ISO 8601 (UTC if no zone is given). Files
ending in .gz are decompressed.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt

from .arrays import FloatArray, IntArray
from .errors import BadSeries, TooFewTailPoints

TIME_NAMES = ("open_time", "timestamp", "time", "ts", "date", "datetime")
PRICE_NAMES = ("open", "high", "low", "close")
_KLINE_ORDER = ("open_time", *PRICE_NAMES, "volume")


@dataclass(frozen=True, eq=False)
class Bars:
    """OHLCV bars, all arrays of shape (n,), in time order.

    time: opening time in Unix seconds; step: seconds between bars; row: line of each bar in its
    file; gaps: (index of the bar after the gap, bars missing), empty unless gaps were allowed.
    """

    time: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    row: IntArray
    step: int
    gaps: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return int(self.time.size)

    def log_returns(self) -> FloatArray:
        """log(close_t/close_{t-1}), shape (n - 1,); a gap makes one longer return."""
        return np.diff(np.log(self.close))


def read_bars(
    source: Path | str | TextIO,
    *,
    where: Mapping[str, str] | None = None,
    step: int | None = None,
    allow_gaps: bool = False,
) -> Bars:
    """Read and check a price file.

    where: keep only rows with these column values, e.g. {"symbol": "BTCUSDT"}; step: seconds
    between bars (default: the most frequent difference). Raises BadSeries naming the line and the
    remedy for a missing column, a number or time that cannot be read, an impossible price, times
    that repeat, run backwards or are not on the grid, and gaps unless `allow_gaps`.
    """
    if isinstance(source, (str, Path)):
        with _open(Path(source)) as file:
            return _read(file, where or {}, step, allow_gaps)
    return _read(source, where or {}, step, allow_gaps)


def require_tail_points(count: int, level: float, minimum: int = 30) -> None:
    """Raise TooFewTailPoints unless `count` observations leave `minimum` beyond `level`."""
    beyond = count * (1.0 - level)
    if beyond < minimum - 1e-9:
        need = math.ceil(minimum / (1.0 - level) - 1e-6)
        raise TooFewTailPoints(
            f"{count} bars leave {beyond:.1f} beyond level {level}, {minimum} are needed.",
            f"use at least {need:,} bars (a longer history or a shorter step) or a lower level.",
        )


def frozen(*columns: FloatArray) -> npt.NDArray[np.bool_]:
    """True where a row equals the row before or after it in every column, shape (n,).

    A feed that repeats a reading to the last digit is stuck, not calm: leave such rows out before
    taking a minimum (the book of 2025-10-10 is frozen at its thinnest reading for eight minutes).
    """
    same = np.ones(columns[0].size - 1, dtype=bool)
    for column in columns:
        same &= column[1:] == column[:-1]
    stuck = np.concatenate([same, [False]]) | np.concatenate([[False], same])
    return np.asarray(stuck, dtype=np.bool_)


def _open(path: Path) -> TextIO:
    if not path.exists():
        raise BadSeries(f"{path} does not exist.", "check the path of the price file.")
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(path), encoding="utf-8", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _read(file: TextIO, where: Mapping[str, str], step: int | None, allow_gaps: bool) -> Bars:
    rows = csv.reader(file)
    first = next(rows, None)
    if not first:
        raise BadSeries("the file is empty.", "export the bars again.")
    columns, lines = _columns(first, where), []
    if _is_number(first[0]):
        lines.append(_parse(first, 1, columns))
    for row in rows:
        if row and _selected(row, where, columns):
            lines.append(_parse(row, rows.line_num, columns))
    if len(lines) < 2:
        raise BadSeries(f"{len(lines)} bars are left.", "check the filter, or export more bars.")
    number = np.array([line[0] for line in lines], dtype=np.int64)
    time = np.array([line[2] for line in lines], dtype=np.int64)
    start, high, low, close, volume = np.array([line[1] for line in lines]).T
    _check_order(time, number)
    grid = step or _usual_step(time)
    gaps = tuple(_gaps(time, number, grid))
    if gaps and not allow_gaps:
        index, missing = gaps[0]
        raise BadSeries(
            f"{missing} bars of {grid} s are missing before {_iso(int(time[index]))} "
            f"({len(gaps)} gaps in all).",
            "fetch them, or pass allow_gaps=True to treat each gap as one long bar.",
            row=int(number[index]),
        )
    return Bars(time, start, high, low, close, volume, number, grid, gaps)


def _selected(row: list[str], where: Mapping[str, str], columns: Mapping[str, int]) -> bool:
    """Whether a row is kept; a line too short to tell is kept, so that parsing can name it."""
    return all(
        columns[name] >= len(row) or row[columns[name]].strip() == value
        for name, value in where.items()
    )


def _columns(first: list[str], where: Mapping[str, str]) -> dict[str, int]:
    """Column positions by lower-case name; `time` is the time column."""
    if _is_number(first[0]):
        if where:
            raise BadSeries("the file has no header to filter by.", "add one, or drop `where`.")
        if len(first) < len(_KLINE_ORDER):
            raise BadSeries(
                f"{len(first)} columns without header.", f"add a header {','.join(_KLINE_ORDER)}."
            )
        found = {name: i for i, name in enumerate(_KLINE_ORDER)}
    else:
        found = {name.strip().lower(): i for i, name in enumerate(first)}
    time = next((name for name in TIME_NAMES if name in found), None)
    absent = [name for name in (*PRICE_NAMES, *where) if name.lower() not in found]
    if time is None:
        absent.insert(0, " or ".join(TIME_NAMES))
    if time is None or absent:
        raise BadSeries(
            f"no column {', '.join(absent)}; found {', '.join(first)}.", "rename the columns.", 1
        )
    columns = {name: found[name.lower()] for name in (*PRICE_NAMES, *where)}
    columns["time"] = found[time]
    if "volume" in found:
        columns["volume"] = found["volume"]
    return columns


def _parse(
    row: list[str], number: int, columns: Mapping[str, int]
) -> tuple[int, tuple[float, ...], int]:
    """(line, (open, high, low, close, volume), time in seconds), checked."""
    if len(row) <= max(columns.values()):
        raise BadSeries(
            f"{len(row)} columns, {max(columns.values()) + 1} expected.",
            "the line is cut off: export it again.",
            number,
        )
    prices = [_number(row[columns[name]], name, number) for name in PRICE_NAMES]
    volume = _number(row[columns["volume"]], "volume", number) if "volume" in columns else 0.0
    _check_prices(prices, volume, number)
    return number, (*prices, volume), _time(row[columns["time"]], number)


def _number(text: str, name: str, row: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadSeries(
            f"{name} is {text!r}, not a number.", "repair the cell or remove the bar.", row
        )
    return value


def _check_prices(prices: list[float], volume: float, row: int) -> None:
    start, high, low, close = prices
    if min(prices) <= 0:
        name = PRICE_NAMES[int(np.argmin(prices))]
        raise BadSeries(f"{name} is {min(prices)} <= 0.", "remove the bar or fetch it again.", row)
    if high < max(start, low, close) or low > min(start, close):
        raise BadSeries(
            f"open {start}, high {high}, low {low}, close {close} cannot be one bar.",
            "fetch the bar again; columns may be swapped.",
            row,
        )
    if volume < 0:
        raise BadSeries(f"volume is {volume} < 0.", "fetch the bar again.", row)


def _time(text: str, row: int) -> int:
    text = text.strip()
    if _is_number(text):
        value = float(text)
        for unit in (1.0, 1e3, 1e6, 1e9):  # seconds, milli-, micro-, nanoseconds
            if 1e8 <= value / unit < 1e10:
                return round(value / unit)
        raise BadSeries(f"time {text} is not a Unix time.", "use seconds or milliseconds.", row)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadSeries(
            f"time {text!r} cannot be read.", "use Unix or ISO 8601 time (2025-10-10T21:15Z).", row
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp())


def _check_order(time: IntArray, number: IntArray) -> None:
    difference = np.diff(time)
    wrong = np.flatnonzero(difference <= 0)
    if wrong.size == 0:
        return
    index = int(wrong[0]) + 1
    when, row = _iso(int(time[index])), int(number[index])
    if difference[index - 1] == 0 or time[index] in time[:index]:
        raise BadSeries(f"time {when} repeats an earlier bar.", "remove the duplicate.", row)
    raise BadSeries(
        f"time {when} is before the bar above it.",
        "sort the file by time; if it holds several symbols, filter with `where`.",
        row,
    )


def _usual_step(time: IntArray) -> int:
    values, counts = np.unique(np.diff(time), return_counts=True)
    return int(values[int(np.argmax(counts))])


def _gaps(time: IntArray, number: IntArray, step: int) -> Iterator[tuple[int, int]]:
    for index in np.flatnonzero(np.diff(time) != step):
        distance = int(time[index + 1] - time[index])
        if distance % step:
            raise BadSeries(
                f"time {_iso(int(time[index + 1]))} is {distance} s after the bar above, "
                f"no multiple of {step} s.",
                "pass the right `step`, or resample the file.",
                int(number[index + 1]),
            )
        yield int(index) + 1, distance // step - 1


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
