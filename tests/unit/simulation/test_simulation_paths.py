"""Price paths: functions of (seed, id) with the distributions they promise."""

from __future__ import annotations

import hashlib
import io
import math
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from backstop.risk.data import Bars, read_bars
from backstop.risk.garch import fit_ewma
from backstop.risk.options import JumpDiffusion
from backstop.simulation.errors import PathError
from backstop.simulation.paths import (
    BlockBootstrap,
    FilteredHistory,
    History,
    MertonJumps,
    MinuteBridge,
    PathSource,
    WithShock,
    bar_paths,
    block_rows,
    common_closes,
    correlation_root,
    fingerprint,
    generator,
    log_returns,
    uniform_correlation,
)

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"


def returns(rows: int = 400, markets: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_t(4, (rows, markets)) * 0.01


def jumps(markets: int = 2, steps: int = 300) -> MertonJumps:
    return MertonJumps.of([JumpDiffusion(0.8, 200.0, -0.02, 0.05)] * markets, 0.6, steps)


SOURCES: dict[str, Callable[[], PathSource]] = {
    "history": lambda: History(np.cumsum(returns(), axis=0), 100, 7),
    "bootstrap": lambda: BlockBootstrap(returns(), 150, 20.0),
    "filtered": lambda: FilteredHistory.fit(returns(), 120),
    "jumps": jumps,
    "bridge": lambda: MinuteBridge.of(BlockBootstrap(returns(), 10, 3.0), 12, 0.5),
    "shock": lambda: WithShock(jumps(), np.array([-0.1, -0.2]), 50, 10),
}


@pytest.mark.parametrize("name", SOURCES)
def test_paths_are_functions_of_seed_and_id(name: str) -> None:
    source = SOURCES[name]()
    late = source.path(5, 3)
    source.path(5, 1)
    assert late.shape == (source.steps, source.markets)
    assert np.all(np.isfinite(late))
    np.testing.assert_array_equal(source.path(5, 3), late)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source)).path(5, 3), late)
    assert not np.array_equal(source.path(5, 4), late)
    if name != "history":
        assert not np.array_equal(source.path(6, 3), late)


@pytest.mark.parametrize("name", SOURCES)
def test_fingerprints_tell_sources_apart(name: str) -> None:
    source = SOURCES[name]()
    assert fingerprint(source) == fingerprint(SOURCES[name]())
    others = {fingerprint(make()) for other, make in SOURCES.items() if other != name}
    assert fingerprint(source) not in others


def test_fingerprint_sees_every_number() -> None:
    data = returns()
    before = fingerprint(BlockBootstrap(data, 150, 20.0))
    data = data.copy()
    data[17, 1] += 1e-12
    assert fingerprint(BlockBootstrap(data, 150, 20.0)) != before
    assert fingerprint(BlockBootstrap(returns(), 150, 21.0)) != before


def test_random_numbers_are_those_of_philox() -> None:
    """A change here would silently change every published result."""
    digest = hashlib.sha256(generator(1, 2).bytes(64)).hexdigest()
    assert digest == "8f506474954b5f70e471fb1c1073da8e990435bbd20db1c7f93b6ea2858cce3d"
    assert not np.array_equal(generator(1, 2).random(4), generator(2, 1).random(4))
    assert not np.array_equal(generator(1, 2).random(4), generator(1, 2, 1).random(4))
    generator(2**64 - 1, 2**64 - 1)
    for seed, path_id in ((-1, 0), (0, 2**64)):
        with pytest.raises(PathError, match="must be in"):
            generator(seed, path_id)


# --- history -------------------------------------------------------------------------------------


def test_history_walks_through_its_windows() -> None:
    record = np.cumsum(np.arange(1.0, 11.0))[:, None]
    source = History(record, steps=4, stride=3)
    assert source.windows == 2
    np.testing.assert_allclose(source.path(0, 0)[:, 0], np.cumsum([2, 3, 4, 5]))
    np.testing.assert_allclose(source.path(0, 1)[:, 0], np.cumsum([5, 6, 7, 8]))
    np.testing.assert_array_equal(source.path(0, 2), source.path(9, 0))


def test_history_needs_a_window() -> None:
    with pytest.raises(PathError, match="hold no window"):
        History(np.zeros((10, 1)), 10)
    History(np.zeros((11, 1)), 10)


KLINES = """open_time,open,high,low,close,volume
2025-10-10T20:00Z,100,110,90,105,1
2025-10-10T21:00Z,105,106,80,85,1
2025-10-10T22:00Z,85,90,84,90,1
"""


def bars(text: str = KLINES) -> Bars:
    return read_bars(io.StringIO(text))


def test_bars_become_minutes_through_their_extremes() -> None:
    path = np.exp(bar_paths([bars()])[:, 0]) * 100
    assert len(path) == 180
    np.testing.assert_allclose(path[[59, 119, 179]], [105, 85, 90])
    np.testing.assert_allclose([path[:60].min(), path[:60].max()], [90, 110])
    assert np.argmin(path[:60]) < np.argmax(path[:60])  # a rising bar dips first
    np.testing.assert_allclose([path[60:120].max(), path[60:120].min()], [106, 80])
    assert np.argmax(path[60:120]) < np.argmin(path[60:120])


def test_series_must_share_their_times() -> None:
    np.testing.assert_allclose(common_closes([bars(), bars()])[0], [105, 105])
    np.testing.assert_allclose(log_returns([bars()])[0], math.log(85 / 105))
    with pytest.raises(PathError, match="series 1 has 2 bars"):
        common_closes([bars(), bars(KLINES[: KLINES.rindex("2025")])])
    shifted = KLINES.replace("2025-10-10", "2025-10-11")
    with pytest.raises(PathError, match="series 1, row 2: time differs"):
        common_closes([bars(), bars(shifted)])
    with pytest.raises(PathError, match="no price series"):
        common_closes([])


# --- bootstrap and filters -----------------------------------------------------------------------


def test_blocks_have_geometric_lengths_and_start_anywhere() -> None:
    rng = np.random.default_rng(1)
    rows = np.concatenate([block_rows(rng, 1000, 500, 20.0) for _ in range(200)])
    breaks = np.count_nonzero(np.diff(rows) % 1000 != 1) / len(rows)
    assert breaks == pytest.approx(1 / 20, rel=0.1)
    counts = np.bincount(rows // 100, minlength=10)
    assert counts.min() > 0.8 * counts.mean()
    endless = block_rows(rng, 5, 100, 1e9)  # wraps round
    np.testing.assert_array_equal(np.diff(endless) % 5, 1)


def test_bootstrap_keeps_markets_together() -> None:
    data = returns(300, 1)
    twins = np.hstack([data, -2.0 * data])
    path = BlockBootstrap(twins, 200, 10.0).path(1, 1)
    np.testing.assert_allclose(path[:, 1], -2.0 * path[:, 0])


def test_filtered_history_follows_its_recursion() -> None:
    data = returns(500, 2)
    source = FilteredHistory.from_fits([fit_ewma(column) for column in data.T], 50, 5.0)
    path = source.path(3, 8)
    rows = block_rows(generator(3, 8), 500, 50, 5.0)
    for m in range(2):
        mu, omega, alpha, beta, variance = source.coefficients[m]
        total = 0.0
        for t, row in enumerate(rows):
            step = math.sqrt(variance) * source.residuals[row, m]
            total += mu + step
            assert path[t, m] == pytest.approx(total, rel=1e-12)
            variance = omega + alpha * step**2 + beta * variance


def test_filtered_history_starts_from_todays_volatility() -> None:
    calm, wild = returns(600, 1) * 0.2, returns(600, 1) * 3.0
    quiet = FilteredHistory.fit(np.vstack([wild, calm]), 1)
    nervous = FilteredHistory.fit(np.vstack([calm, wild]), 1)
    spread = [np.std([source.path(0, i)[0, 0] for i in range(400)]) for source in (quiet, nervous)]
    assert spread[1] > 4 * spread[0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: BlockBootstrap(np.zeros(5), 10),
        lambda: BlockBootstrap(np.zeros((1, 1)), 10),
        lambda: BlockBootstrap(np.full((5, 1), np.nan), 10),
        lambda: BlockBootstrap(np.zeros((5, 1)), 0),
        lambda: BlockBootstrap(np.zeros((5, 1)), 10, 0.5),
        lambda: FilteredHistory(np.zeros((5, 2)), np.zeros((1, 5)), 10),
        lambda: FilteredHistory(np.zeros((5, 1)), np.zeros((1, 5)), 10, 0.0),
        lambda: History(np.zeros((50, 1)), 10, 0),
        lambda: WithShock(jumps(), np.zeros(3), 5),
        lambda: MinuteBridge(jumps(), 0, np.eye(2)),
        lambda: MertonJumps((), np.zeros((0, 0)), 10),
        lambda: MertonJumps.of([JumpDiffusion(0.5, 1.0, 0.0, 0.1)], 0.0, 10, common=1.5),
    ],
)
def test_refused(make: Callable[[], object]) -> None:
    with pytest.raises(PathError):
        make()


def test_fits_must_cover_the_same_returns() -> None:
    with pytest.raises(PathError, match="same number of returns"):
        FilteredHistory.from_fits([fit_ewma(returns(300)[:, 0]), fit_ewma(returns(301)[:, 0])], 10)


# --- jumps ---------------------------------------------------------------------------------------


def test_jump_diffusion_has_its_moments() -> None:
    """Mean of the price 1, variance of the log price as Merton's, correlation by its formula."""
    d = JumpDiffusion(sigma=0.9, intensity=600.0, mean_log=-0.01, sd_log=0.03)
    source = MertonJumps.of([d, d], 0.5, 24 * 60, common=0.4)
    ends = np.array([source.path(11, i)[-1] for i in range(6_000)])
    day = 1 / 365
    assert np.exp(ends).mean(axis=0) == pytest.approx(1.0, abs=4 * ends.std() / math.sqrt(6_000))
    variance = d.total_variance_rate * day
    assert ends.var(axis=0) == pytest.approx(variance, rel=0.1)
    jump_part = 0.4 * d.intensity * (d.mean_log**2 + d.sd_log**2)
    wanted = (0.5 * d.sigma**2 + jump_part) * day / variance
    assert np.corrcoef(ends.T)[0, 1] == pytest.approx(wanted, abs=0.04)


def test_common_jumps_come_together() -> None:
    d = JumpDiffusion(sigma=1e-6, intensity=2_000.0, mean_log=-0.05, sd_log=0.0)
    for common, shared in ((1.0, True), (0.0, False)):
        path = MertonJumps.of([d, d], 0.0, 3_000, common=common).path(1, 1)
        hits = np.abs(np.diff(path, axis=0)) > 0.01
        assert np.array_equal(hits[:, 0], hits[:, 1]) is shared
        assert hits[:, 0].sum() > 3


def test_correlation_matrices_are_checked() -> None:
    root = correlation_root(uniform_correlation(3, 0.5), 3)
    np.testing.assert_allclose(root @ root.T, uniform_correlation(3, 0.5))
    with pytest.raises(PathError, match="positive definite"):
        correlation_root(uniform_correlation(3, -0.9), 3)
    with pytest.raises(PathError, match="symmetric"):
        correlation_root(np.array([[1.0, 0.2], [0.3, 1.0]]), 2)
    with pytest.raises(PathError, match="symmetric"):
        correlation_root(np.eye(2), 3)


# --- overlays ------------------------------------------------------------------------------------


def test_bridge_meets_the_bars_and_moves_between_them() -> None:
    bars_source = BlockBootstrap(returns(), 20, 5.0)
    source = MinuteBridge.of(bars_source, 30, 0.7)
    path, ends = source.path(2, 9), bars_source.path(2, 9)
    np.testing.assert_allclose(path[29::30], ends, atol=1e-12)
    many = np.array([MinuteBridge.of(bars_source, 30).path(2, i)[14] for i in range(600)])
    first = np.array([bars_source.path(2, i) for i in range(600)])
    local = (2 * first[:, 0] ** 2 + (first[:, 1] - first[:, 0]) ** 2) / 3
    noise = many - 0.5 * first[:, 0]
    assert (noise**2 / local).mean() == pytest.approx(0.25, rel=0.15)  # a bridge at half time


def test_shock_is_laid_over() -> None:
    base = BlockBootstrap(np.zeros((5, 2)), 10, 1.0)
    path = WithShock(base, np.array([-0.2, -0.4]), minute=3, duration=4).path(0, 0)
    np.testing.assert_allclose(path[:, 0], [0, 0, 0, -0.05, -0.1, -0.15, -0.2, -0.2, -0.2, -0.2])
    np.testing.assert_allclose(path[:, 1], 2 * path[:, 0])
    sudden = WithShock(base, np.array([-0.2, 0.0]), minute=3).path(0, 0)
    np.testing.assert_allclose(sudden[:, 0], [0, 0, 0, *[-0.2] * 7])


def test_recorded_crisis_as_a_path() -> None:
    """Hourly BTC and ETH of October 2025, from the shared data where it is there."""
    file = DATA / "crash_windows_hourly.csv"
    if not file.exists():
        pytest.skip("the shared data folder is not beside the repository")
    window = {"window": "tariff_2025-10-10"}
    series = [read_bars(file, where={**window, "symbol": s}) for s in ("BTCUSDT", "ETHUSDT")]
    path = bar_paths(series)
    assert path.shape == (len(series[0]) * 60, 2)
    assert path.min(axis=0)[0] < -0.1
