"""Where a study's price paths come from: a price file per market, or the reference figures.

Models: `fhs` filtered historical simulation (GARCH, EWMA where it fails), `bootstrap` blocks of
past returns, `history` the recorded bars themselves, `merton` a correlated jump diffusion with the
jumps measured in the file, or the reference figures without a file. Minutes inside longer bars are
Brownian bridges (`history`: open, both extremes, close).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from backstop.risk.data import Bars, read_bars
from backstop.risk.errors import BadInput, BadSeries, TooFewTailPoints
from backstop.risk.parameters import MarketData
from backstop.risk.provenance import hash_arrays
from backstop.risk.reference import (
    CORRELATION,
    MEASURED,
    STAND_IN,
    measure_market,
    reference_market,
)
from backstop.simulation.jumps import MertonJumps
from backstop.simulation.overlays import MinuteBridge
from backstop.simulation.paths import (
    BlockBootstrap,
    FilteredHistory,
    History,
    PathSource,
    bar_paths,
    log_returns,
)

Model = Literal["auto", "fhs", "bootstrap", "history", "merton"]
MODELS: tuple[Model, ...] = ("auto", "fhs", "bootstrap", "history", "merton")
#: Mean length of a bootstrapped block in hours: volatility clusters stay together.
BLOCK_HOURS = 24.0

BRIDGED = (
    "Inside the price files' bars prices move without jumps: a gap of an hour is spread over it, "
    "and liquidations get time that a real gap would not give. Minute bars leave no such room."
)


@dataclass(frozen=True, eq=False)
class Prices:
    """Paths, figures by market, and the bars they come from (empty without files)."""

    source: PathSource
    data: tuple[MarketData, ...]
    bars: tuple[Bars, ...]
    facts: Mapping[str, Any]
    notes: tuple[str, ...]


def read_files(
    files: Mapping[str, Path], where: Mapping[str, str], allow_gaps: bool
) -> dict[str, Bars]:
    """Bars by market; BadSeries names the file besides row and remedy."""
    found = {}
    for name, path in files.items():
        try:
            found[name] = read_bars(path, where=where, allow_gaps=allow_gaps)
        except BadSeries as error:
            remedy = error.remedy.replace("pass allow_gaps=True", "pass --allow-gaps")
            remedy = remedy.replace("`where`", "--where COLUMN=VALUE")
            raise BadSeries(f"{path}: {error.reason}", remedy) from None
    return found


def market_figures(names: Sequence[str], bars: Mapping[str, Bars]) -> tuple[MarketData, ...]:
    """Figures of each market, measured in its bars or else the reference's."""
    return tuple(
        measured(name, bars[name]) if name in bars else reference_market(name) for name in names
    )


def measured(name: str, bars: Bars) -> MarketData:
    """`measure_market` with the market's name in its errors."""
    try:
        return measure_market(name, bars)
    except TooFewTailPoints as error:
        raise TooFewTailPoints(f"{name}: {error.reason}", error.remedy) from None


def make_prices(
    names: Sequence[str], bars: Mapping[str, Bars], model: Model, minutes: int
) -> Prices:
    """Paths of `minutes` for the markets; either every market has bars, or none."""
    unknown = [name for name in bars if name not in names]
    missing = [name for name in names if name not in bars]
    if bars and (unknown or missing):
        raise BadInput(
            f"prices are given for {', '.join(bars)}, the markets are {', '.join(names)}.",
            "give one --prices NAME=FILE for each market, or none to use the reference figures.",
        )
    series = [bars[name] for name in names] if bars else []
    chosen: Model = ("fhs" if series else "merton") if model == "auto" else model
    if not series and chosen != "merton":
        raise BadInput(
            f"the model {chosen} needs a price history.",
            "give --prices NAME=FILE for every market, or choose --model merton.",
        )
    # a jump diffusion needs no tails, a short file has none: figures only where they are used
    data = market_figures(names, bars) if chosen == "merton" else ()
    source = _source(chosen, series, data, minutes)
    facts: dict[str, Any] = {"model": chosen, "minutes": minutes}
    notes: list[str] = []
    if series:
        facts |= _facts(names, series)
        if chosen in ("fhs", "bootstrap") and series[0].step > 60:
            notes.append(BRIDGED)
        gaps = sum(len(one.gaps) for one in series)
        if gaps:
            notes.append(f"{gaps} gaps of the price files count as single long bars.")
    else:
        facts |= {"figures": "reference figures of backstop.risk.reference"}
        notes.append(_reference_note(names))
    return Prices(source, data, tuple(series), facts, tuple(notes))


def _source(
    model: Model, series: Sequence[Bars], data: Sequence[MarketData], minutes: int
) -> PathSource:
    if model == "merton":
        return MertonJumps.of([one.risk.jumps for one in data], _correlation(series, data), minutes)
    if model == "history":
        return History(bar_paths(series), minutes, stride=60)
    step = series[0].step
    if step % 60:
        raise BadInput(f"bars of {step} s.", "use bars of whole minutes.")
    per_bar = step // 60
    if minutes % per_bar:
        raise BadInput(
            f"a horizon of {minutes} minutes holds no whole number of bars of {per_bar} minutes.",
            "choose a --horizon that is a multiple of the bars.",
        )
    returns, steps = log_returns(series), minutes // per_bar
    source: PathSource
    if model == "fhs":
        source = FilteredHistory.fit(returns, steps)
    else:
        source = BlockBootstrap(returns, steps, block=max(BLOCK_HOURS * 60.0 / per_bar, 1.0))
    if per_bar == 1:
        return source
    return MinuteBridge.of(source, per_bar, _correlation(series, data))


def _correlation(series: Sequence[Bars], data: Sequence[MarketData]) -> np.ndarray:
    """Measured where there are files; the reference's for all pairs otherwise."""
    count = len(series) or len(data)
    if not series or count == 1:
        return np.full((count, count), CORRELATION) + (1.0 - CORRELATION) * np.eye(count)
    matrix = np.corrcoef(log_returns(series), rowvar=False)
    # two identical series have no root: leave a trace of independence
    return np.asarray(0.999 * matrix + 0.001 * np.eye(count))


def describe(
    names: Sequence[str], bars: Mapping[str, Bars]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Facts and notes of figures that come from files, or for the others from the reference.

    Raises BadInput for a file of a market that is not among the names.
    """
    unknown = [name for name in bars if name not in names]
    if unknown:
        raise BadInput(
            f"prices are given for {', '.join(unknown)}, the markets are {', '.join(names)}.",
            "name one of the markets in --prices NAME=FILE.",
        )
    measured_ones = [name for name in names if name in bars]
    facts = _facts(measured_ones, [bars[name] for name in measured_ones])
    others = [name for name in names if name not in bars]
    if not others:
        return facts, ()
    known = ", ".join(f"{name} (as {STAND_IN})" if name.upper() not in MEASURED else name
                      for name in others)  # fmt: skip
    note = f"Reference figures, measured from 2020 to 2024, stand for {known}."
    return facts | {"reference figures": ", ".join(others)}, (note,)


def _facts(names: Sequence[str], series: Sequence[Bars]) -> dict[str, Any]:
    """Length and hash of every file's numbers; not its name, which is no part of the result."""
    facts = {}
    for name, one in zip(names, series, strict=True):
        columns = {"open": one.open, "high": one.high, "low": one.low, "close": one.close}
        digest = hash_arrays({"time": one.time.astype(float), "volume": one.volume, **columns})
        facts[f"prices {name}"] = {"bars": len(one), "seconds": one.step, "sha256": digest}
    return facts


def _reference_note(names: Sequence[str]) -> str:
    other = [name for name in names if name.upper() not in MEASURED]
    stand_in = (
        f" {', '.join(other)} was not measured and takes {STAND_IN}'s figures." if other else ""
    )
    return (
        "Without price files the paths are a jump diffusion with figures measured on "
        f"{' and '.join(MEASURED)} from 2020 to 2024. A jump takes one minute, which is harsher "
        f"than the hour over which it was measured; the largest jumps are thinner.{stand_in}"
    )
