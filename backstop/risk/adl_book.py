"""One market's positions: profit with funding, equity, leverage, bankruptcy and liquidation price.

The small worked book of Chitra (arXiv 2512.01112, section on leverage) in functions: long and
short positions with size q > 0, margin c, side s = +1 or -1, entry price p_0; profit
    PNL_T = sum_t s q (p_t - p_{t-1}) + s q kappa gamma_t p_t,
    gamma_t = L/S - p_t/p^_t    (L, S: size of longs and shorts, p^: index price).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .arrays import ArrayLike, FloatArray, as_sample, check_positive
from .errors import BadInput


@dataclass(frozen=True, slots=True)
class Position:
    """Size (base, > 0), margin (quote, >= 0) and side (+1 long, -1 short) of one account."""

    size: float
    margin: float
    side: int

    def __post_init__(self) -> None:
        check_positive(self.size, "size")
        if self.side not in (1, -1):
            raise BadInput(f"side {self.side}.", "use +1 for long, -1 for short.")


def funding_rates(
    positions: Sequence[Position], marks: ArrayLike, indices: ArrayLike
) -> FloatArray:
    """gamma_t = L/S - p_t/p^_t for t = 1..T (the paper's funding signal), shape (T,)."""
    mark, index = as_sample(marks, "marks"), as_sample(indices, "indices")
    longs = sum(p.size for p in positions if p.side > 0)
    shorts = sum(p.size for p in positions if p.side < 0)
    check_positive(shorts, "size of shorts")
    return longs / shorts - mark[1:] / index[1:]


def profits(
    positions: Sequence[Position], marks: ArrayLike, indices: ArrayLike, kappa: float = 1.0
) -> FloatArray:
    """Cumulative profit after each step, shape (T, n); marks and indices: t = 0..T."""
    mark = as_sample(marks, "marks")
    gamma = funding_rates(positions, marks, indices)
    per_unit = np.cumsum(np.diff(mark) + kappa * gamma * mark[1:])
    signed = np.array([p.side * p.size for p in positions])
    return np.outer(per_unit, signed)


def equities(positions: Sequence[Position], profit: FloatArray) -> FloatArray:
    """Margin plus profit, same shape as `profit` (..., n)."""
    return np.asarray(profit + np.array([p.margin for p in positions]))


def leverages(positions: Sequence[Position], equity: FloatArray, price: float) -> FloatArray:
    """Notional over |equity|, shape (n,); accounts with equity 0 have infinite leverage."""
    notional = price * np.array([p.size for p in positions])
    with np.errstate(divide="ignore"):
        return np.asarray(notional / np.abs(equity))


@dataclass(frozen=True, slots=True)
class Exposure:
    """Sums over one time: leverage of solvent and of bankrupt accounts, deficit, solvent equity."""

    leverage_solvent: float
    leverage_bankrupt: float
    deficit: float
    wealth: float


def exposure(positions: Sequence[Position], equity: FloatArray, price: float) -> Exposure:
    """l+ and l- (sums of leverage), D = sum (-e)+, W = sum (e)+."""
    ratio = leverages(positions, equity, price)
    solvent = equity >= 0
    return Exposure(
        float(ratio[solvent].sum()),
        float(ratio[~solvent].sum()),
        float(np.maximum(-equity, 0.0).sum()),
        float(np.maximum(equity, 0.0).sum()),
    )


def bankruptcy_price(position: Position, entry: float) -> float:
    """Price of zero equity: entry - s c/q, never below 0."""
    return max(entry - position.side * position.margin / position.size, 0.0)


def liquidation_price(position: Position, entry: float, maintenance: float) -> float:
    """Price at which equity = maintenance * notional: bankruptcy price / (1 - s mu)."""
    return bankruptcy_price(position, entry) / (1.0 - position.side * maintenance)


def close_deficit(position: Position, entry: float, execution: float, size: float) -> float:
    """Deficit of closing `size` at `execution`: size * (s (bankruptcy - execution))+."""
    gap = position.side * (bankruptcy_price(position, entry) - execution)
    return size * max(gap, 0.0)
