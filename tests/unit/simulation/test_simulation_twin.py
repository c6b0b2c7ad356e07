"""The simulation against the exact twin of the contracts: the same, and where not, how far apart.

`docs/simulation.md` lists the differences; each has its test here. "The same" is up to a unit of
the token a claim, because the fund pays whole units, and `RELATIVE` of the notional for floats.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from simulation_twin import Opening, Platform, TwinRun

from backstop.simulation.book import Tiers
from backstop.simulation.envelope import EnvelopeEngine
from backstop.simulation.model import (
    FloatArray,
    FundParams,
    ImpactParams,
    PathResult,
    SimulationParams,
)
from backstop.simulation.reference import ReferenceSimulation

RELATIVE = 1e-9
UNIT = 1e-6
FUNDS = (
    {},
    {"compartment": 50, "reserve": 100, "stake": 200},
    {"compartment": 10**6, "reserve": 0, "stake": 0},
    {"compartment": 20, "reserve": 10**6, "stake": 0},
    {"compartment": 0, "reserve": 30, "stake": 10**6},
)


def one_sided(seed: int, longs: bool, platform: Platform, most: float = 0.95) -> TwinRun:
    """Sixteen accounts of leverage 5 to `most / maintenance` on one side, four deep ones."""
    rng = np.random.default_rng([seed, 77])
    weak, strong = 16, 4
    base = rng.integers(1_000_000, 50_000_000, weak)
    notional = base * 1e-6 * platform.prices[0]
    margin = 1.0 / platform.maintenance_ppm * 1e6
    collateral = np.ceil(notional / rng.uniform(5.0, most * margin, weak)).astype(int)
    openings = []
    for i in range(weak):
        partner = weak + int(rng.integers(0, strong))
        pair = (i, partner) if longs else (partner, i)
        openings.append(Opening(0, *pair, int(base[i])))
    deep = [int(10 * notional.sum())] * strong
    return TwinRun(platform, [*collateral.tolist(), *deep], openings)


def bad_day(seed: int, longs: bool, minutes: int = 25) -> FloatArray:
    """Prices (T, 1) that drift against one side and twice jump by 8 %."""
    rng = np.random.default_rng([seed, 78])
    moves = rng.normal(-0.002, 0.006, minutes)
    moves[rng.choice(minutes, 2, replace=False)] -= 0.08
    return 100.0 * np.exp(np.cumsum(moves) * (1.0 if longs else -1.0))[:, None]


def play(twin: TwinRun, run: ReferenceSimulation, prices: FloatArray) -> PathResult:
    """Both models through the same minutes, the simulation at the contracts' mark prices.

    After every minute every account must have the same equity.
    """
    start = np.array(twin.platform.prices)
    scale = float(np.sum([abs(o.base) * 1e-6 * start[o.market] for o in twin.openings]))
    for t, row in enumerate(prices):
        twin.minute(row)
        run.minute(t, np.log(np.array(twin.marks()) / start).tolist(), None)
        tolerance = RELATIVE * scale + UNIT * twin.totals.claims
        for i, account in enumerate(run.accounts):
            assert twin.equity(i) == pytest.approx(run.equity(account), abs=tolerance), (t, i)
    return run.result()


def assert_same_totals(twin: TwinRun, result: PathResult) -> None:
    t = twin.totals
    scale = 1.0 + result.column("liquidated_notional").sum()
    tolerance = RELATIVE * scale + UNIT * t.claims * len(twin.platform.prices)
    pairs = {
        "liquidated_notional": t.closed_notional,
        "surcharge": t.surcharge,
        "deficit": t.deficit,
        "drawn_compartment": t.compartment,
        "drawn_operator": t.reserve,
        "drawn_staked": t.staked,
        "adl": t.charged,
        "residual": t.recorded,
    }
    for name, value in pairs.items():
        assert value == pytest.approx(result.column(name).sum(), abs=tolerance), name
    assert t.claims == result.scalar("claims")
    parts = (t.compartment, t.reserve, t.staked, t.charged, t.recorded)
    assert t.deficit == pytest.approx(sum(parts), abs=tolerance)


def hits(result: PathResult) -> list[tuple[int, int]]:
    assert result.events is not None
    events = result.events
    return sorted(zip(events.minute.tolist(), events.account.tolist(), strict=True))


# --- where they agree ----------------------------------------------------------------------------


@pytest.mark.parametrize("longs", [True, False], ids=["longs", "shorts"])
@pytest.mark.parametrize("seed", range(10))
def test_whole_liquidations(seed: int, longs: bool) -> None:
    """Accounts, minutes, surcharges, deficits, every layer, side charges, the recorded rest."""
    cap = 1_000_000 if seed % 3 else 2_000
    platform = Platform(charge_cap_ppm=cap, **FUNDS[seed % len(FUNDS)])
    twin = one_sided(seed, longs, platform)
    params = twin.params()
    book, prices = twin.book(), bad_day(seed, longs)
    result = play(twin, ReferenceSimulation(book, params), prices)
    assert len(twin.hits) > 3
    assert twin.totals.claims > 0
    assert hits(result) == sorted(twin.hits)
    assert_same_totals(twin, result)
    engine = EnvelopeEngine(book, params).run(np.log(prices / 100.0), events=True)
    assert hits(engine) == sorted(twin.hits)
    assert_same_totals(twin, engine)


@pytest.mark.parametrize("seed", range(10))
def test_partial_liquidations_in_one_market(seed: int) -> None:
    """Both close (t MM - E) / (t m - costs): the same sizes remain."""
    longs = seed % 2 == 0
    platform = Platform(target_ppm=1_200_000, min_base=100, **FUNDS[seed % len(FUNDS)])
    twin = one_sided(seed, longs, platform)
    run = ReferenceSimulation(twin.book(), twin.params(1.2))
    result = play(twin, run, bad_day(seed, longs))
    assert result.scalar("partial_liquidations") > 3
    assert hits(result) == sorted(twin.hits)
    assert_same_totals(twin, result)
    for i, account in enumerate(run.accounts):
        ours = account.size if account.alive else [0.0]
        np.testing.assert_allclose(twin.sizes(i), ours, rtol=1e-8, atol=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_cascade_at_the_prices_it_makes(seed: int) -> None:
    """With impact the contracts see the market after the cascade: the fixpoint of each minute."""
    twin = one_sided(seed, True, Platform(**FUNDS[1]))
    book, base = twin.book(), twin.params()
    impact = ImpactParams(coefficient=0.008, volume=2e4, decay=0.9)
    params = SimulationParams(impact, base.fund, base.liquidation, base.adl)
    result = EnvelopeEngine(book, params).run(np.log(bad_day(seed, True) / 100.0), events=True)
    assert result.prices is not None
    assert result.scalar("longest_cascade") > 1
    for row in result.prices:
        twin.minute(row)
        np.testing.assert_allclose(twin.marks(), row, rtol=1e-9)
    assert hits(result) == sorted(twin.hits)
    assert_same_totals(twin, result)


def gap_book(seed: int, platform: Platform) -> TwinRun:
    """Three markets: cross-margin longs that a gap wipes out at once, and deep shorts."""
    rng = np.random.default_rng([seed, 79])
    weak, strong = 12, 3
    openings, notional = [], np.zeros(weak)
    for i in range(weak):
        for market in rng.choice(3, int(rng.integers(1, 4)), replace=False).tolist():
            base = int(rng.integers(1_000_000, 40_000_000))
            openings.append(Opening(market, i, weak + int(rng.integers(0, strong)), base))
            notional[i] += base * 1e-6 * platform.prices[market]
    leverage = np.where(np.arange(weak) % 3 == 0, 2.0, rng.uniform(12.0, 19.0, weak))
    collateral = np.ceil(notional / leverage).astype(int).tolist()
    return TwinRun(platform, [*collateral, *[int(20 * notional.sum())] * strong], openings)


GAP = np.array([[100.0, 20.0, 5.0], [91.5, 18.3, 4.58], [84.0, 16.8, 4.2], [84.0, 16.8, 4.2]])


@pytest.mark.parametrize("fund", FUNDS, ids=["none", "small", "compartments", "reserve", "staked"])
@pytest.mark.parametrize("seed", range(2))
def test_bankrupt_cross_margin(seed: int, fund: dict[str, int]) -> None:
    """Claims are split by maintenance; sums agree also while a layer runs out."""
    twin = gap_book(seed, Platform(prices=(100.0, 20.0, 5.0), **fund))
    run = ReferenceSimulation(twin.book(), twin.params())
    for t, row in enumerate(GAP):
        twin.minute(row)
        run.minute(t, np.log(row / GAP[0]).tolist(), None)
    result = run.result()
    assert twin.totals.claims > 3
    assert hits(result) == sorted(twin.hits)
    assert_same_totals(twin, result)


# --- where they differ, and by how much ----------------------------------------------------------


def solvent_cross(seed: int, target_ppm: int) -> tuple[TwinRun, PathResult]:
    """Accounts in three markets that go below maintenance and stay solvent; one such minute."""
    twin = gap_book(seed, Platform((100.0, 20.0, 5.0), target_ppm=target_ppm, min_base=100))
    target = target_ppm / 1e6 if target_ppm < 2_000_000 else 0.0
    run = ReferenceSimulation(twin.book(), twin.params(target))
    for t, row in enumerate(GAP[0] * np.array([[1.0], [0.975]])):
        twin.minute(row)
        run.minute(t, np.log(row / GAP[0]).tolist(), None)
    assert twin.totals.claims == 0
    return twin, run.result()


@pytest.mark.parametrize("seed", range(4))
def test_contracts_close_market_by_market_and_stop_at_health(seed: int) -> None:
    """The same accounts in the same minute; the contracts close no more than the simulation.

    They close positions one after the other and only while the account is below maintenance; the
    simulation closes the same share of all, or everything.
    """
    for target in (1_200_000, 4_000_000_000):
        twin, result = solvent_cross(seed, target)
        assert hits(result) == sorted(twin.hits)
        assert len(twin.hits) > 2
        closed = result.column("liquidated_notional").sum()
        assert 0 < twin.totals.closed_notional <= closed * (1 + 1e-7)
        for _, i in twin.hits:
            state = twin.world.engine.account_state(twin.accounts[i])
            assert state.equity >= state.maintenance_margin


@pytest.mark.parametrize("price", [94.0, 91.0])
def test_contracts_pay_the_keeper_first_when_equity_is_short(price: float) -> None:
    """Long one at 100 with 10 USD, fees 1 % to the fund and 2 % to the keeper.

    At 94 equity pays both. At 91 there is 1 USD for 2.73: the simulation splits it 1 to 2, the
    contracts give the keeper up to its 1.82 first. What the account pays is the same.
    """
    platform = Platform(surcharge_ppm=10_000, discount_ppm=20_000, speed_ppb=10_000_000)
    twin = TwinRun(platform, [1_000, 10**6], [Opening(0, 0, 1, 100_000_000)])
    run = ReferenceSimulation(twin.book(), twin.params())
    run.minute(0, [math.log(price / 100.0)], None)
    twin.minute([price])
    result = run.result()
    surcharge, reward = result.column("surcharge")[0], result.column("reward")[0]
    assert twin.equity(0) == pytest.approx(run.equity(run.accounts[0]), abs=1e-6)
    if price == 94.0:
        assert twin.totals.surcharge == pytest.approx(surcharge)
    else:
        assert surcharge == pytest.approx(100.0 / 3)
        assert twin.totals.surcharge == pytest.approx(0.0, abs=1e-6)
    assert surcharge - reward <= twin.totals.surcharge <= surcharge * (1 + 1e-9)


def test_contracts_mark_follows_at_its_speed() -> None:
    """A feed that falls 8 % at once, a mark that follows 3 % a minute: later by as much."""
    platform = Platform(speed_ppb=500_000)
    twin = one_sided(3, True, platform)
    slow = 60 * platform.speed_ppb * 1e-9
    at_feed = ReferenceSimulation(twin.book(), twin.params())
    at_mark = ReferenceSimulation(twin.book(), twin.params())
    for t in range(6):
        at_feed.minute(t, [math.log(0.92)], None)
        twin.minute([92.0])
        (mark,) = twin.marks()
        at_mark.minute(t, [math.log(mark / 100.0)], None)
        assert mark == pytest.approx(max(92.0, 100.0 * (1 - slow) ** (t + 1)), rel=1e-12)
    assert hits(at_mark.result()) == sorted(twin.hits)
    assert_same_totals(twin, at_mark.result())
    late = {account: minute for minute, account in twin.hits}
    most = math.ceil(math.log(1 / 0.92) / -math.log1p(-slow))
    assert all(minute < most for minute in late.values())
    assert set(late) == {account for _, account in hits(at_feed.result())}
    assert at_feed.result().deficit > twin.totals.deficit  # closed on the way down


def test_margin_of_the_contracts_in_brackets() -> None:
    """Chords of m n (1 + n / s): never below the contracts' margin, above by m w^2 / 4s at most."""
    platform = Platform(size_scale=20_000)
    tiers = Tiers.of_contracts(0.05, 20_000.0, 6_000.0, 8)
    most = 0.05 * (6_000.0 / 8) ** 2 / (4 * 20_000.0)
    twin = one_sided(5, True, platform, most=0.6)
    for i, account in enumerate(twin.accounts[:16]):
        state = twin.world.engine.account_state(account)
        ours = tiers.maintenance(np.array([abs(twin.sizes(i)[0]) * 100.0]))[0]
        assert -1e-9 <= ours - state.maintenance_margin * 1e-18 <= most
    run = ReferenceSimulation(twin.book(tiers), twin.params())
    twin_first: dict[int, int] = {}
    for t, row in enumerate(100.0 - 0.25 * np.arange(80.0)):
        twin.minute([row])
        run.minute(t, [math.log(row / 100.0)], None)
    for minute, account in sorted(twin.hits, reverse=True):
        twin_first[account] = minute
    sim_first = {account: minute for minute, account in sorted(hits(run.result()), reverse=True)}
    assert len(sim_first) > 10
    for account, minute in twin_first.items():
        early = most / (0.25 * 0.9 * abs(run.accounts[account].start_size(0) or 1.0))
        assert 0 <= minute - sim_first[account] <= math.ceil(early)


def test_limits_drain_in_the_contracts_and_reset_in_the_simulation() -> None:
    """Within its first window a bucket lets through what a fixed window does, plus what drains.

    Four longs of 10 units, wiped out minute after minute with a deficit of 100 USD each.
    """
    per_window, minutes = 120, 10
    platform = Platform(stake=10**6, limits=(2**100, per_window * 10**6, minutes * 60))
    openings = [Opening(0, i, 4, 10_000_000) for i in range(4)]
    twin = TwinRun(platform, [60, 260, 460, 660, 10**6], openings)
    base = twin.params()
    fund = FundParams(staked=10**6, window_limit=per_window / 10**6, window=minutes)
    params = SimulationParams(base.impact, fund, base.liquidation, base.adl)
    run = ReferenceSimulation(twin.book(), params)
    paid = []
    for t, price in enumerate((84.0, 64.0, 44.0, 24.0)):
        twin.minute([price])
        run.minute(t, [math.log(price / 100.0)], None)
        paid.append((run.result().column("drawn_staked")[0], twin.totals.staked))
    drained = per_window / minutes
    fixed, bucket = zip(*paid, strict=True)
    assert twin.totals.deficit == pytest.approx(400.0)
    assert fixed == pytest.approx([100.0, 120.0, 120.0, 120.0])
    assert bucket == pytest.approx([100.0, *(120.0 + n * drained for n in (1, 2, 3))])


def four_accounts() -> TwinRun:
    """A long of 40 that a fall to 85 wipes out, a safe long of 60, shorts of 75 and 25."""
    openings = [Opening(0, 0, 2, 40_000_000), Opening(0, 1, 2, 35_000_000)]
    return TwinRun(
        Platform(), [400, 5_000, 9_000, 9_000], [*openings, Opening(0, 1, 3, 25_000_000)]
    )


def test_close_out_against_the_other_side_shrinks_it() -> None:
    """The simulation sells to the outside. Without a taker the contracts close against the shorts:

    all lose the share 40/100 of their size at the mark; equity is the same until the price moves,
    and differs by the closed share times the move afterwards.
    """
    twin = four_accounts()
    run = ReferenceSimulation(twin.book(), twin.params())
    twin.minute([85.0], take_positions=False)
    run.minute(0, [math.log(0.85)], None)
    assert twin.totals.deficit == pytest.approx(200.0)
    for i in range(4):
        assert twin.equity(i) == pytest.approx(run.equity(run.accounts[i]), abs=1e-6)
    assert [twin.sizes(i)[0] for i in (2, 3)] == pytest.approx([-75.0 * 0.6, -25.0 * 0.6])
    twin.minute([80.0], take_positions=False)
    run.minute(1, [math.log(0.80)], None)
    missed = [run.equity(run.accounts[i]) - twin.equity(i) for i in (2, 3)]
    assert missed == pytest.approx([75.0 * 0.4 * 5.0, 25.0 * 0.4 * 5.0], abs=1e-6)


def test_takers_of_the_contracts_bear_charges_like_everybody() -> None:
    """Liquidated positions live on with a keeper, who pays his share when the other side fails."""
    openings = [Opening(0, 0, 1, 30_000_000), Opening(0, 2, 1, 70_000_000)]
    twin = TwinRun(Platform(), [160, 700, 10_000], openings)
    run = ReferenceSimulation(twin.book(), twin.params())
    for t, price in enumerate((99.0, 110.0)):  # the long of 30 goes, then the short of 100 fails
        twin.minute([price])
        run.minute(t, [math.log(price / 100.0)], None)
    assert sorted(twin.hits) == hits(run.result()) == [(0, 0), (1, 1)]
    deficit = 300.0 - run.result().column("drawn_compartment")[0]
    assert twin.totals.charged == pytest.approx(run.result().adl, abs=1e-6)
    bears = 10_000 + 70 * 10.0
    assert run.equity(run.accounts[2]) == pytest.approx(bears - deficit)
    assert twin.equity(2) == pytest.approx(bears - 0.7 * deficit, abs=1e-6)


def test_a_charge_is_felt_at_once_by_the_contracts_and_next_minute_by_the_simulation() -> None:
    """A long of 50 leaves 100 USD to the shorts, 2 a unit. One short of 10, long 20 elsewhere, had

    160 USD of the 141 it needs; with 140 left, its liquidation is a matter of the same block there
    and of the next minute here.
    """
    openings = [Opening(0, 0, 1, 40_000_000), Opening(0, 0, 2, 10_000_000)]
    openings.append(Opening(1, 2, 1, 20_000_000))
    twin = TwinRun(Platform((100.0, 100.0)), [300, 9_000, 180], openings)
    run = ReferenceSimulation(twin.book(), twin.params())
    prices = [92.0, 95.0]
    twin.minute(prices)
    for t in range(2):
        run.minute(t, np.log(np.array(prices) / 100.0).tolist(), None)
    assert twin.hits == [(0, 0)]
    assert hits(run.result()) == [(0, 0), (1, 2)]
    equity, _, maintenance = twin.world.engine.health(twin.accounts[2])
    assert (equity * 1e-18, maintenance * 1e-18) == pytest.approx((140.0, 141.0))
    twin.world.flag(twin.accounts[2])  # refused unless it may be liquidated
    assert twin.world.engine.account_state(twin.accounts[2]).flagged_at == twin.world.now
