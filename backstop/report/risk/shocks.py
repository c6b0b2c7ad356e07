"""Fixed shocks of a platform: ladder, replays of recorded crashes, Cover-2, reverse stress.

A shock is a straight fall or rise over `RAMP` minutes and `REST` quiet ones after it, in which
impact decays. The fund of these runs is unlimited: the figures are bad debt, whoever pays it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from backstop.harness.scenario import Scenario
from backstop.report.risk.platform import Platform
from backstop.risk.sizing import ReverseStress, cover_two, reverse_stress
from backstop.simulation._engine import Engine
from backstop.simulation.engines import make_engine
from backstop.simulation.model import FloatArray, ImpactParams, PathResult, SimulationParams

RAMP, REST = 5, 25
LADDER = (-0.5, -0.4, -0.3, -0.25, -0.2, -0.15, -0.1, -0.05, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
TOGETHER = "all together"


def shock_path(moves: FloatArray, ramp: int = RAMP) -> FloatArray:
    """Log prices (ramp + REST, M) that move by the simple returns `moves` (M,) and stay."""
    share = np.minimum(np.arange(1, ramp + REST + 1) / ramp, 1.0)
    return np.ascontiguousarray(share[:, None] * np.log1p(moves)[None, :])


@dataclass(frozen=True)
class Rung:
    """One shock: its moves by market (simple returns), bad debt by market, liquidated notional."""

    name: str
    moves: tuple[float, ...]
    deficit: tuple[float, ...]
    liquidated: tuple[float, ...]

    @property
    def total(self) -> float:
        """Bad debt over all markets."""
        return sum(self.deficit)


def without_impact(params: SimulationParams) -> SimulationParams:
    """The same rules in a market that no liquidation moves."""
    return replace(params, impact=ImpactParams(coefficient=0.0, volume=params.impact.volume))


def scaled_impact(params: SimulationParams, factor: float) -> SimulationParams:
    """Impact times a factor."""
    coefficient = np.asarray(params.impact.coefficient) * factor
    return replace(params, impact=replace(params.impact, coefficient=coefficient))


class Shocks:
    """A platform's engine for shocks, with an unlimited fund."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.engine = make_engine(platform.book, platform.unlimited)

    def direction(self, which: str) -> FloatArray:
        """1 for the markets a shock moves: one by its name, or all together."""
        names = self.platform.book.markets
        return np.array([1.0 if which in (name, TOGETHER) else 0.0 for name in names])

    def run(self, moves: FloatArray, engine: Engine | None = None, ramp: int = RAMP) -> PathResult:
        """The shock's outcome; ramp: minutes the move takes."""
        return (engine or self.engine).run(shock_path(moves, ramp))

    def rung(self, which: str, move: float) -> Rung:
        """A shock of one market or all."""
        moves = move * self.direction(which)
        result = self.run(moves)
        return Rung(which, tuple(moves), *_columns(result))

    def ladder(self, moves: Sequence[float] = LADDER) -> dict[str, list[Rung]]:
        """Every move of the ladder, for each market alone and for all together."""
        width = self.platform.book.width
        which = [*self.platform.book.markets, *([TOGETHER] if width > 1 else [])]
        return {name: [self.rung(name, move) for move in moves] for name in which}

    def replay(self, scenario: Scenario) -> Rung:
        """A recorded crash, minute by minute, on this platform's book.

        Markets are matched by name; one that the record lacks moves like the record's first.
        """
        minutes = scenario.steps * scenario.step // 60
        clock = scenario.start + 60 * np.arange(minutes + 1)
        paths = {m.name: np.log([m.price(float(t)) for t in clock]) for m in scenario.markets}
        first = next(iter(paths.values()))
        chosen = [paths.get(name, first) for name in self.platform.book.markets]
        logs = np.stack([path[1:] - path[0] for path in chosen], axis=1)
        result = self.engine.run(np.ascontiguousarray(logs))
        worst = [float(np.expm1(column[np.argmax(np.abs(column))])) for column in logs.T]
        return Rung(scenario.name, tuple(worst), *_columns(result))

    def shortfalls(self, moves: FloatArray) -> FloatArray:
        """What each owner's accounts lack at the shocked prices, before any liquidation (G,)."""
        platform = self.platform
        equity = platform.book.equity(platform.book.price * (1.0 + moves))
        return platform.groups(np.maximum(-equity, 0.0))

    @cached_property
    def _dry(self) -> Engine:
        return make_engine(self.platform.book, without_impact(self.platform.unlimited))

    def multiplier(self, moves: FloatArray, ramp: int = RAMP) -> tuple[float, float, float]:
        """Bad debt with impact, without it, and their ratio (infinite if only impact makes it)."""
        wet = self.run(moves, ramp=ramp).deficit
        dry = self.run(moves, self._dry, ramp).deficit
        return wet, dry, 1.0 if wet <= dry else math.inf if dry == 0 else wet / dry

    def cover_two(self, scenarios: Sequence[FloatArray]) -> StressCover:
        """Cover-2 over shocks: the two largest netted groups times the cascade multiplier.

        The shocks come in one minute here: nobody is liquidated on the way, as in the groups'
        shortfalls. Where only impact makes bad debt there is no multiplier: the debt itself counts.
        """
        best = StressCover(0.0, 1.0, 0.0, (0.0,) * self.platform.book.width)
        for moves in scenarios:
            wet, _, ratio = self.multiplier(moves, ramp=1)
            two = cover_two(self.shortfalls(moves))
            if math.isinf(ratio):
                two, ratio = wet, 1.0
            if two * ratio > best.amount:
                best = StressCover(two * ratio, ratio, two, tuple(map(float, moves)))
        return best

    def reverse(self, which: str, sign: float, capacity: float) -> ReverseStress:
        """Smallest move of one market (or all) whose bad debt exceeds the capacity."""
        direction = sign * self.direction(which)
        # a price cannot fall by everything
        limit = 0.95 if sign < 0 else 2.0

        def loss(size: float) -> float:
            return self.run(size * direction).deficit

        return reverse_stress(loss, capacity, limit=limit, steps=19, tolerance=1e-3)

    def phases(self, moves: FloatArray, factors: Sequence[float]) -> list[tuple[float, float]]:
        """Share of the hit sides' open interest that is liquidated, by multiple of the impact."""
        book = self.platform.book
        hit = np.abs(moves) > 0
        total = float(book.open_interest()[hit].sum())
        found = []
        for factor in factors:
            engine = make_engine(book, scaled_impact(self.platform.unlimited, factor))
            sold = self.run(moves, engine).column("liquidated_notional")[hit]
            found.append((factor, float(sold.sum()) / total))
        return found


@dataclass(frozen=True)
class StressCover:
    """The stress component: amount = cover2 * multiplier, and the shock it comes from."""

    amount: float
    multiplier: float
    cover2: float
    moves: tuple[float, ...]


def _columns(result: PathResult) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return (
        tuple(map(float, result.column("deficit"))),
        tuple(map(float, result.column("liquidated_notional"))),
    )


def jump_of(phases: Sequence[tuple[float, float]]) -> float | None:
    """The impact multiple of the largest jump of the liquidated share, if it is above a fifth."""
    steps = [(b[1] - a[1], b[0]) for a, b in pairwise(phases)]
    size, where = max(steps, default=(0.0, 0.0))
    return where if size > 0.2 else None


# --- liquidation levels ---------------------------------------------------------------------------


def liquidation_prices(platform: Platform, market: int) -> FloatArray:
    """Price of one market, others unchanged, at which each account falls below maintenance (N,).

    nan: no price within a factor of e^3 does. Accounts already below get the price of now.
    """
    book = platform.book
    held = book.size[:, market]
    others = np.delete(np.arange(book.width), market)
    rest = book.collateral + (book.size * book.price + book.quote)[:, others].sum(axis=1)
    notional = book.notional()
    need_rest = np.delete(book.tiers.maintenance(notional), market, axis=1).sum(axis=1)

    def margin(price: FloatArray) -> FloatArray:
        grid = np.zeros((len(held), book.width))
        grid[:, market] = np.abs(held) * price
        need = book.tiers.maintenance(grid)[:, market]
        return np.asarray(rest + held * price + book.quote[:, market] - need - need_rest)

    now = float(book.price[market])
    far = np.where(held > 0, now * math.exp(-3.0), now * math.exp(3.0))
    near = np.full(len(held), now)
    for _ in range(50):
        middle = np.sqrt(near * far)
        safe = margin(middle) >= 0
        near, far = np.where(safe, middle, near), np.where(safe, far, middle)
    result = np.where(margin(np.full(len(held), now)) < 0, now, np.sqrt(near * far))
    never = margin(np.where(held > 0, now * math.exp(-3.0), now * math.exp(3.0))) >= 0
    return np.where((held == 0) | never, np.nan, result)
