"""Days and fund settings that are measured."""

from __future__ import annotations

import numpy as np

from backstop.risk.options import JumpDiffusion
from backstop.simulation.model import (
    DepthLaw,
    FundParams,
    ImpactParams,
    LiquidationParams,
    SimulationParams,
)
from backstop.simulation.paths import (
    BlockBootstrap,
    FilteredHistory,
    MertonJumps,
    MinuteBridge,
    PathSource,
    WithShock,
)

DAY = 1440
#: Yearly volatility 80 %, twelve jumps a year of -8 % +- 6 %.
DIFFUSION = JumpDiffusion(sigma=0.8, intensity=12.0, mean_log=-0.08, sd_log=0.06)
TIERS = ((0.0, 0.01), (250_000.0, 0.025), (5_000_000.0, 0.1))


def typical_source(markets: int) -> MertonJumps:
    """Days of a Monte Carlo run."""
    return MertonJumps.of([DIFFUSION] * markets, 0.8, DAY)


def _calm(markets: int, sigma: float) -> MertonJumps:
    return MertonJumps.of([JumpDiffusion(sigma, 0.0, 0.0, 0.0)] * markets, 0.8, DAY)


def crash_path(markets: int) -> np.ndarray:
    """A day of 6 % volatility in which everything falls by 22 % within 72 minutes."""
    return WithShock(_calm(markets, 1.146), np.full(markets, -0.25), 720, 72).path(1, 0)


def gap_path(markets: int) -> np.ndarray:
    """A day of 4 % volatility with one minute of -11 %: deficits, an empty fund, deleveraging."""
    return WithShock(_calm(markets, 0.8), np.full(markets, -0.12), 720).path(1, 0)


def everything_on() -> SimulationParams:
    """Partial liquidations, vanishing depth, a fund with limits that runs out."""
    fund = FundParams(compartment=1e5, operator=1e5, staked=1e6, claim_limit=0.1)
    depth = ImpactParams(depth=DepthLaw.october_2025())
    return SimulationParams(depth, fund, LiquidationParams(target_health=1.2))


def path_sources() -> dict[str, PathSource]:
    """A day in three markets from every kind of source."""
    returns = np.random.default_rng(0).standard_t(4, (20_000, 3)) * 1e-3
    hourly = FilteredHistory.fit(returns * 8, 24)
    return {
        "Merton jumps": typical_source(3),
        "block bootstrap": BlockBootstrap(returns, DAY),
        "filtered history, minutes": FilteredHistory.fit(returns, DAY),
        "filtered history, hours and bridge": MinuteBridge.of(hourly, 60, 0.8),
    }
