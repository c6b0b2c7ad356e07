"""Measured figures of well-known markets, for studies without a price file, and how to measure.

BTC and ETH: Binance USD-M perpetuals, hourly bars from January 2020 to April 2024 (37,660 bars, no
gap). Jumps beyond five bipower standard deviations; tails beyond the 99 % quantile, longs in log
losses from a bar's open to its low, shorts in simple ones from open to high. Daily volume: median.
Depth: thinnest reading of the BTC book on 10 October 2025 over the day's median, 0.55 %.
Figures, not prices: the tests measure them again where the files are at hand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from .arrays import check_positive
from .cover import MarketRisk
from .data import Bars
from .gpd import loglik
from .jumps import fit_jumps
from .options import JumpDiffusion
from .parameters import MarketData
from .tails import GpdTail, fit_tail, long_log_losses, short_losses

HOURS_PER_YEAR = 8760.0
#: Correlation of the hourly log returns of BTC and ETH over the same period.
CORRELATION = 0.85
#: Thinnest over normal depth of the BTC perpetual within -5 % on 10 October 2025.
DEPTH_RATIO = 0.0055
#: Share of the losses beyond which a tail is fitted.
TAIL_QUANTILE = 0.99


@dataclass(frozen=True, slots=True)
class _Tail:
    """A fitted tail by its numbers: threshold, shape, scale, excesses, sample."""

    threshold: float
    shape: float
    scale: float
    count: int
    sample: int

    def fitted(self) -> GpdTail:
        """The tail as a fit; its excesses are the law's quantiles at (i - 1/2)/count."""
        levels = (np.arange(1, self.count + 1) - 0.5) / self.count
        excesses = self.scale / self.shape * np.expm1(-self.shape * np.log1p(-levels))
        likelihood = loglik(self.shape, self.scale, excesses)
        return GpdTail(
            self.threshold, self.shape, self.scale, likelihood, self.sample, np.sort(excesses)
        )


_FIGURES: dict[str, tuple[float, float, JumpDiffusion, _Tail, _Tail]] = {
    # name: (daily volatility, daily volume in USD, jumps a year, longs' tail, shorts' tail)
    "BTC": (
        0.035747,
        7.97e9,
        JumpDiffusion(0.577822, 46.0575, -0.00598233, 0.0533005),
        _Tail(0.0309343, 0.405645, 0.0119591, 377, 37_660),
        _Tail(0.0277006, 0.390347, 0.00898775, 377, 37_660),
    ),
    "ETH": (
        0.0449457,
        3.82e9,
        JumpDiffusion(0.7524, 41.1726, -0.0119584, 0.0633504),
        _Tail(0.0389314, 0.426195, 0.0147992, 377, 37_660),
        _Tail(0.034374, 0.329955, 0.0113801, 377, 37_660),
    ),
}

MEASURED = tuple(_FIGURES)
#: Whose figures stand in for a market that was not measured.
STAND_IN = "ETH"


def reference_market(name: str) -> MarketData:
    """Figures of a market by name, in any case; those of `STAND_IN` for one not measured."""
    known = name.upper() if name.upper() in _FIGURES else STAND_IN
    sigma, volume, jumps, long_tail, short_tail = _FIGURES[known]
    risk = MarketRisk(
        name,
        sigma=sigma * math.sqrt(365.0),
        jumps=jumps,
        long_tail=long_tail.fitted(),
        short_tail=short_tail.fitted(),
    )
    return MarketData(risk, sigma, volume, DEPTH_RATIO)


def measure_market(
    name: str,
    bars: Bars,
    *,
    depth_ratio: float = DEPTH_RATIO,
    quantile: float = TAIL_QUANTILE,
) -> MarketData:
    """The same figures from a price file.

    Daily volume is the median bar's notional times the bars of a day; files without volumes get
    that of the reference. Raises TooFewTailPoints when the history is too short for its tail.
    """
    hours = check_positive(bars.step, "step") / 3600.0
    returns = bars.log_returns()
    sigma = float(returns.std()) * math.sqrt(24.0 / hours)
    longs, shorts = long_log_losses(bars.open, bars.low), short_losses(bars.open, bars.high)
    risk = MarketRisk(
        name,
        sigma=sigma * math.sqrt(365.0),
        jumps=fit_jumps(returns, hours),
        long_tail=fit_tail(longs, float(np.quantile(longs, quantile))),
        short_tail=fit_tail(shorts, float(np.quantile(shorts, quantile))),
        tail_hours=hours,
    )
    volume = float(np.median(bars.volume * bars.close)) * 24.0 / hours
    found = MarketData(risk, sigma, volume, depth_ratio)
    return found if volume > 0 else replace(found, daily_volume=reference_market(name).daily_volume)
