"""Jump diffusion from prices: the threshold estimator of Mancini, with bipower volatility.

Maximum likelihood of a normal mixture needs starting values and has spurious maxima; truncating
returns beyond a multiple of a jump-robust volatility is consistent and has one answer (Mancini,
Scandinavian J. Statistics 2009; bipower variation: Barndorff-Nielsen and Shephard 2004).
"""

from __future__ import annotations

import math

import numpy as np

from .arrays import ArrayLike, FloatArray, as_sample, check_positive
from .cover import HOURS_PER_YEAR
from .errors import BadInput, TooFewTailPoints
from .options import JumpDiffusion

MIN_RETURNS = 500


def bipower_sigma(returns: ArrayLike) -> float:
    """Standard deviation per bar of the diffusion: sqrt(pi/2 * mean |r_t||r_{t-1}|)."""
    values = np.abs(as_sample(returns, "returns"))
    if values.size < 2:
        raise BadInput("one return has no neighbour.", "pass at least two returns.")
    return math.sqrt(math.pi / 2.0 * float((values[1:] * values[:-1]).mean()))


def fit_jumps(
    returns: ArrayLike, bar_hours: float, threshold: float = 5.0, side: str = "both"
) -> JumpDiffusion:
    """Merton parameters, per year, from log returns of bars of `bar_hours`.

    A return further than `threshold` bipower standard deviations from 0 is a jump; the rest is
    diffusion. side: "both", or "down"/"up" to keep only the jumps that hurt longs/shorts (the
    usual choice for pricing one side: a mean near 0 hides both tails). Jump sizes are taken as
    they are; the diffusion noise in them (one bar) is subtracted from their variance.
    """
    values = as_sample(returns, "returns")
    check_positive(bar_hours, "bar_hours")
    if values.size < MIN_RETURNS:
        raise TooFewTailPoints(
            f"{values.size} returns, {MIN_RETURNS} are needed.", "bring a longer history."
        )
    limit = check_positive(threshold, "threshold") * bipower_sigma(values)
    if limit == 0:
        raise BadInput("half of the returns are 0.", "use longer bars: the price hardly moves.")
    jumps = _jumps(values, limit, side)
    per_year = HOURS_PER_YEAR / bar_hours
    inside = values[np.abs(values) <= limit]
    sigma_bar = float(inside.std())
    if jumps.size == 0:
        return JumpDiffusion(sigma_bar * math.sqrt(per_year), 0.0, 0.0, 0.0)
    variance = max(float(jumps.var()) - sigma_bar**2, 0.0)
    return JumpDiffusion(
        sigma=sigma_bar * math.sqrt(per_year),
        intensity=jumps.size / values.size * per_year,
        mean_log=float(jumps.mean()),
        sd_log=math.sqrt(variance),
    )


def _jumps(values: FloatArray, limit: float, side: str) -> FloatArray:
    if side == "both":
        return values[np.abs(values) > limit]
    if side == "down":
        return values[values < -limit]
    if side == "up":
        return values[values > limit]
    raise BadInput(f"unknown side {side!r}.", "use both, down or up.")
