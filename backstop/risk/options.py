"""Option formulas behind the price of cover: Black-Scholes-Merton, jump diffusion, credit puts.

Horizons are years, prices and premiums share one unit, volatilities and intensities are a year's,
rates continuous. What the fund writes with them is in `cover.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy import optimize, special

from .arrays import check_nonnegative, check_positive
from .errors import BadInput, FitDidNotConverge

_POISSON_TAIL = 1e-15


def _cdf(x: float) -> float:
    return float(special.ndtr(x))


# --------------------------------------------------------------------------------------------
# Black-Scholes-Merton


def _d1_d2(
    spot: float, strike: float, years: float, sigma: float, rate: float, dividend: float
) -> tuple[float, float]:
    spread = sigma * math.sqrt(years)
    forward = math.log(spot / strike) + (rate - dividend) * years
    if spread == 0.0:
        infinite = math.inf if forward > 0 else -math.inf if forward < 0 else 0.0
        return infinite, infinite
    d1 = forward / spread + 0.5 * spread
    return d1, d1 - spread


def bs_call(
    spot: float, strike: float, years: float, sigma: float, rate: float = 0.0, dividend: float = 0.0
) -> float:
    """European call, S e^(-qT) N(d1) - K e^(-rT) N(d2) (Black, Scholes, Merton 1973)."""
    _check_option(spot, strike, years, sigma)
    if strike == 0:
        return spot * math.exp(-dividend * years)
    d1, d2 = _d1_d2(spot, strike, years, sigma, rate, dividend)
    paid = strike * math.exp(-rate * years) * _cdf(d2)
    return max(spot * math.exp(-dividend * years) * _cdf(d1) - paid, 0.0)


def bs_put(
    spot: float, strike: float, years: float, sigma: float, rate: float = 0.0, dividend: float = 0.0
) -> float:
    """European put, K e^(-rT) N(-d2) - S e^(-qT) N(-d1)."""
    _check_option(spot, strike, years, sigma)
    if strike == 0:
        return 0.0
    d1, d2 = _d1_d2(spot, strike, years, sigma, rate, dividend)
    received = strike * math.exp(-rate * years) * _cdf(-d2)
    return max(received - spot * math.exp(-dividend * years) * _cdf(-d1), 0.0)


def _check_option(spot: float, strike: float, years: float, sigma: float) -> None:
    check_positive(spot, "spot")
    check_nonnegative(strike, "strike")
    check_nonnegative(years, "years")
    check_nonnegative(sigma, "sigma")


# --------------------------------------------------------------------------------------------
# Merton 1976 jump diffusion


@dataclass(frozen=True, slots=True)
class JumpDiffusion:
    """Diffusion `sigma` plus Poisson jumps: `intensity` a year, log size N(mean_log, sd_log^2)."""

    sigma: float
    intensity: float
    mean_log: float
    sd_log: float

    def __post_init__(self) -> None:
        for name in ("sigma", "intensity", "sd_log"):
            check_nonnegative(getattr(self, name), name)

    @property
    def mean_jump(self) -> float:
        """Mean relative jump k = E[e^J] - 1 = exp(mean_log + sd_log^2/2) - 1."""
        return math.expm1(self.mean_log + 0.5 * self.sd_log**2)

    @property
    def total_variance_rate(self) -> float:
        """Variance of the log price a year: sigma^2 + intensity (mean_log^2 + sd_log^2)."""
        return self.sigma**2 + self.intensity * (self.mean_log**2 + self.sd_log**2)


def haug_jump_diffusion(total_sigma: float, intensity: float, jump_share: float) -> JumpDiffusion:
    """Merton's special case with mean jump 0 (Haug, Complete Guide, 'Merton's jump-diffusion').

    `jump_share` gamma of the total variance comes from jumps: sd^2 = gamma sigma^2/intensity,
    diffusion^2 = sigma^2 - intensity sd^2; mean_log = -sd^2/2 makes the mean jump exactly 0.
    """
    check_positive(intensity, "intensity")
    if not 0 <= jump_share <= 1:
        raise BadInput(f"jump share {jump_share} outside [0, 1].", "pass a share of variance.")
    jump_variance = jump_share * total_sigma**2 / intensity
    diffusion = math.sqrt(max(total_sigma**2 - intensity * jump_variance, 0.0))
    return JumpDiffusion(diffusion, intensity, -0.5 * jump_variance, math.sqrt(jump_variance))


Priced = Callable[[float, float, float, float, float, float], float]


def _merton(
    formula: Priced,
    spot: float,
    strike: float,
    years: float,
    model: JumpDiffusion,
    rate: float,
    dividend: float,
) -> float:
    """Sum over n jumps of Poisson(lambda (1 + k) T) times the formula at (r_n, sigma_n).

    sigma_n^2 = sigma^2 + n sd^2/T and r_n = r - lambda k + n log(1 + k)/T (Merton 1976, eq. 19).
    Terms are added until the rest of the Poisson mass is below 1e-15: a fixed number of terms
    (11 in Haug's table) is not enough for intensity * T of 5.
    """
    if years == 0:
        return formula(spot, strike, 0.0, 0.0, rate, dividend)
    k = model.mean_jump
    mean = model.intensity * (1.0 + k) * years
    total, n, log_weight, mass = 0.0, 0, -mean, 0.0
    while True:
        weight = math.exp(log_weight)
        mass += weight
        sigma = math.sqrt(model.sigma**2 + n * model.sd_log**2 / years)
        drift = rate - model.intensity * k + n * (model.mean_log + 0.5 * model.sd_log**2) / years
        total += weight * formula(spot, strike, years, sigma, drift, dividend)
        n += 1
        if n > mean and (1.0 - mass < _POISSON_TAIL or weight < _POISSON_TAIL**2):
            return total
        log_weight += (math.log(mean) if mean > 0 else -math.inf) - math.log(n)


def merton_put(
    spot: float,
    strike: float,
    years: float,
    model: JumpDiffusion,
    rate: float = 0.0,
    dividend: float = 0.0,
) -> float:
    """European put under Merton's jump diffusion, jump risk unpriced.

    Summed as puts, not by parity, so that deep out-of-the-money values keep their digits.
    """
    return _merton(bs_put, spot, strike, years, model, rate, dividend)


def merton_call(
    spot: float,
    strike: float,
    years: float,
    model: JumpDiffusion,
    rate: float = 0.0,
    dividend: float = 0.0,
) -> float:
    """European call under Merton's jump diffusion."""
    return _merton(bs_call, spot, strike, years, model, rate, dividend)


def _below_formula(
    spot: float, strike: float, years: float, sigma: float, rate: float, dividend: float
) -> float:
    _, d2 = _d1_d2(spot, strike, years, sigma, rate, dividend)
    return math.exp(-rate * years) * _cdf(-d2)


def merton_probability_below(
    spot: float, level: float, years: float, model: JumpDiffusion, rate: float = 0.0
) -> float:
    """P(S_T < level) under the model with drift `rate`."""
    check_positive(level, "level")
    check_positive(years, "years")
    return _merton(_below_formula, spot, level, years, model, rate, 0.0) * math.exp(rate * years)


# --------------------------------------------------------------------------------------------
# structural credit: a trader's (or a protocol's) debt as assets less a put


@dataclass(frozen=True, slots=True)
class Structural:
    """Merton 1974 from equity: asset value and volatility, default probability, price of cover.

    debt: market value; put: value of the guarantee (debt + put = default-free debt);
    expected_loss: put / default-free debt; spread: a year, continuous.
    """

    assets: float
    asset_sigma: float
    d2: float
    default_probability: float
    debt: float
    put: float
    expected_loss: float
    spread: float


def structural_merton(
    equity: float, equity_sigma: float, face: float, rate: float, years: float
) -> Structural:
    """Solve E = V N(d1) - D e^(-rT) N(d2) and sigma_E E = N(d1) sigma_V V (Merton 1974; Hull)."""
    check_positive(equity, "equity")
    check_positive(equity_sigma, "equity_sigma")
    check_positive(face, "face")
    check_positive(years, "years")
    riskless = face * math.exp(-rate * years)

    def gap(asset_sigma: float) -> float:
        assets = _assets_for(equity, face, rate, years, asset_sigma)
        d1, _ = _d1_d2(assets, face, years, asset_sigma, rate, 0.0)
        return _cdf(d1) * asset_sigma * assets - equity_sigma * equity

    try:
        low = 1e-6 * equity_sigma
        asset_sigma = float(optimize.brentq(gap, low, equity_sigma, xtol=1e-15, rtol=1e-14))
    except ValueError as error:
        raise FitDidNotConverge(
            f"no asset volatility gives equity {equity} the volatility {equity_sigma}.",
            "check that equity, debt and volatility belong together.",
        ) from error
    assets = _assets_for(equity, face, rate, years, asset_sigma)
    _, d2 = _d1_d2(assets, face, years, asset_sigma, rate, 0.0)
    put = bs_put(assets, face, years, asset_sigma, rate)
    debt = assets - equity
    return Structural(
        assets, asset_sigma, d2, _cdf(-d2), debt, put, put / riskless,
        math.log(riskless / debt) / years,
    )  # fmt: skip


def _assets_for(equity: float, face: float, rate: float, years: float, sigma: float) -> float:
    """Asset value whose call struck at the face is worth `equity`: E < V <= E + D e^(-rT)."""

    def gap(assets: float) -> float:
        return bs_call(assets, face, years, sigma, rate) - equity

    high = equity + face * math.exp(-rate * years)
    return float(optimize.brentq(gap, equity, high * (1 + 1e-12), xtol=1e-13, rtol=1e-14))


def deposit_insurance(assets: float, deposits: float, total_sigma: float) -> float:
    """Premium per unit of deposits, put(V, D)/D (Merton 1977).

    `total_sigma` is sigma sqrt(T), the volatility of the assets until the next audit; deposits are
    taken at their default-free value. At V = D the premium is 2 N(total_sigma/2) - 1.
    """
    check_positive(deposits, "deposits")
    return bs_put(assets, deposits, 1.0, total_sigma) / deposits
