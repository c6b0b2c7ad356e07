"""Every engine gives the result of the plain reference, account by account and round by round."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from simulation_cases import Case, assert_same, isolated_case, random_case

from backstop.simulation._engine import Engine
from backstop.simulation.book import Book, Tiers, random_book
from backstop.simulation.dense import DenseEngine
from backstop.simulation.engines import make_engine, resolve_engine
from backstop.simulation.envelope import EnvelopeEngine
from backstop.simulation.errors import EngineError, PathError
from backstop.simulation.model import (
    AdlParams,
    FundParams,
    ImpactParams,
    LiquidationParams,
    PathResult,
    SimulationParams,
)
from backstop.simulation.reference import simulate_reference
from backstop.simulation.sweep import SweepEngine

BATCH = 40

#: Cuts of the day and widths of boxes: the result must not depend on them.
ENVELOPES = (
    {},
    {"levels": (60, 20, 5, 1), "slack": 0.0},
    {"levels": (8,), "slack": 0.1},
    {"levels": (1440, 3), "slack": 0.002},
)


def check(case: Case, expected: PathResult, engine: Engine) -> None:
    assert_same(expected, engine.run(case.logs, case.depth, events=True))
    again = engine.run(case.logs, case.depth)
    first = engine.run(case.logs, case.depth)
    np.testing.assert_array_equal(first.market, again.market)  # the undo leaves nothing behind
    np.testing.assert_array_equal(first.path, again.path)


def reference_of(case: Case) -> PathResult:
    return simulate_reference(case.book, case.params, case.logs, case.depth)


@pytest.mark.parametrize("batch", range(8))
def test_cross_margin(batch: int) -> None:
    """320 books with tiers, partial liquidations, fund layers and limits, both bases of ADL."""
    seen = np.zeros(5)
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        case = random_case(seed)
        expected = reference_of(case)
        check(case, expected, DenseEngine(case.book, case.params))
        options = ENVELOPES[seed % len(ENVELOPES)]
        check(case, expected, EnvelopeEngine(case.book, case.params, **options))
        partial, capped = expected.scalar("partial_liquidations"), expected.scalar("capped_minutes")
        staked = expected.drawn[:, 2].sum()
        seen += [x > 0 for x in (expected.adl, expected.residual, partial, capped, staked)]
    assert np.all(seen > 0), seen  # every batch exercises every branch


@pytest.mark.parametrize("batch", range(4))
def test_isolated_margin(batch: int) -> None:
    """160 books in which the sorted sweep applies; the envelope must agree with it too."""
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        case = isolated_case(seed)
        expected = reference_of(case)
        check(case, expected, SweepEngine(case.book, case.params))
        check(case, expected, EnvelopeEngine(case.book, case.params))


def test_larger_book_dense_and_envelope() -> None:
    """Beyond what the reference can do in a test: 20,000 accounts, eight markets, a crash."""
    book = random_book(20_000, 8, seed=4)
    params = SimulationParams(fund=FundParams(staked=1e5))
    rng = np.random.default_rng(5)
    logs = np.cumsum(rng.normal(0, 0.002, (300, 8)), axis=0)
    logs[120:] -= np.linspace(0.1, 0.3, 8)
    dense = DenseEngine(book, params).run(logs, events=True)
    assert dense.adl > 0
    assert_same(dense, EnvelopeEngine(book, params).run(logs, events=True))


def test_sweep_and_envelope_on_a_large_market() -> None:
    book = random_book(50_000, 1, seed=4)
    params = SimulationParams(fund=FundParams(staked=1e5))
    logs = np.cumsum(np.random.default_rng(5).normal(0, 0.002, (300, 1)), axis=0)
    logs[120:] -= 0.3
    swept = SweepEngine(book, params).run(logs, events=True)
    assert swept.adl > 0
    assert_same(swept, EnvelopeEngine(book, params).run(logs, events=True))


def below_start(book: Book) -> Book:
    """The same book with one account far below maintenance."""
    collateral = book.collateral.copy()
    collateral[0] = -0.5 * np.abs(book.quote[0]).sum()
    return Book(collateral, book.size, book.quote, book.price, book.tiers, book.markets)


def test_account_below_maintenance_at_the_start_goes_in_the_first_minute() -> None:
    book = below_start(random_book(40, 2, seed=3))
    params = SimulationParams()
    logs = np.zeros((5, 2))
    expected = simulate_reference(book, params, logs)
    assert expected.events is not None
    assert expected.events.account[0] == 0
    for engine in (DenseEngine(book, params), EnvelopeEngine(book, params)):
        assert_same(expected, engine.run(logs, events=True))


def test_prices_that_overflow_single_precision() -> None:
    """The filter must keep what it cannot compute."""
    book = random_book(40, 2, seed=3)
    big = Book(
        book.collateral * 1e31,
        book.size * 1e31,
        book.quote * 1e31,
        book.price,
        book.tiers,
        book.markets,
    )
    params = SimulationParams(impact=ImpactParams(volume=1e40))
    logs = np.linspace(0, 1.0, 30)[:, None] * np.array([1.0, -1.0])
    expected = simulate_reference(big, params, logs)
    assert expected.scalar("closed_accounts") > 10
    assert_same(expected, EnvelopeEngine(big, params).run(logs, events=True))


def test_room_for_events_grows() -> None:
    """More liquidations than an engine reserves room for: parts of one account, every minute."""
    size = np.array([[1.0], [-1.0]])
    book = Book(
        collateral=np.array([10.0, 1e6]),
        size=size,
        quote=-100.0 * size,
        price=np.array([100.0]),
        tiers=Tiers.flat(0.05, 1),
        markets=("X",),
    )
    params = SimulationParams(
        liquidation=LiquidationParams(surcharge=0.0, target_health=1.000001, dust=0.0),
        impact=ImpactParams(coefficient=0.0),
    )
    logs = np.log(1.0 - np.linspace(0.05, 0.09, 3000))[:, None]
    expected = simulate_reference(book, params, logs)
    assert expected.events is not None
    assert len(expected.events) > 4 * 2 + 1024
    assert_same(expected, EnvelopeEngine(book, params).run(logs, events=True))


@pytest.mark.parametrize("kind", [DenseEngine, EnvelopeEngine, SweepEngine])
def test_paths_that_do_not_fit(kind: Callable[..., Engine]) -> None:
    engine = kind(random_book(10, 1, seed=1), SimulationParams())
    for wrong in (np.zeros((5, 2)), np.zeros(5), np.zeros((0, 1))):
        with pytest.raises(PathError, match="shape"):
            engine.run(wrong)
    for number in (np.nan, np.inf, 30.0):
        logs = np.zeros((5, 1))
        logs[3] = number
        with pytest.raises(PathError, match="row 3"):
            engine.run(logs)
    with pytest.raises(PathError, match="depth must have"):
        engine.run(np.zeros((5, 1)), np.ones((4, 1)))
    with pytest.raises(PathError, match="positive and finite"):
        engine.run(np.zeros((5, 1)), np.zeros((5, 1)))


def test_arguments_are_not_changed() -> None:
    book = random_book(30, 2, seed=1)
    before = book.sha256()
    logs = np.linspace(0, -0.5, 20)[:, None] * np.ones(2)
    logs.flags.writeable = False
    EnvelopeEngine(book, SimulationParams()).run(logs)
    assert book.sha256() == before


def test_engine_choice() -> None:
    one, two = random_book(20, 1, seed=1), random_book(20, 2, seed=1)
    assert resolve_engine(one, SimulationParams()) == "sweep"
    assert resolve_engine(two, SimulationParams()) == "envelope"
    assert isinstance(make_engine(two, SimulationParams()), EnvelopeEngine)
    assert isinstance(make_engine(one, SimulationParams(), "dense"), DenseEngine)
    with pytest.raises(EngineError, match="unknown engine"):
        make_engine(one, SimulationParams(), "quantum")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("book", "params", "reason"),
    [
        (random_book(20, 2, seed=1), SimulationParams(), "one market only"),
        (
            random_book(20, 1, tiers=Tiers.of([[(0, 0.01), (1e6, 0.02)]])),
            SimulationParams(),
            "one maintenance rate",
        ),
        (
            random_book(20, 1),
            SimulationParams(liquidation=LiquidationParams(target_health=1.2)),
            "whole liquidations",
        ),
        (random_book(20, 1), SimulationParams(adl=AdlParams(basis="profit")), "charged by size"),
    ],
)
def test_sweep_says_why_not(book: Book, params: SimulationParams, reason: str) -> None:
    with pytest.raises(EngineError, match=reason):
        SweepEngine(book, params)


@pytest.mark.parametrize("levels", [(), (0,), (100, 30), (3, 12)])
def test_levels_must_be_nested(levels: tuple[int, ...]) -> None:
    with pytest.raises(EngineError):
        EnvelopeEngine(random_book(10, 1), SimulationParams(), levels=levels)
    with pytest.raises(EngineError, match="slack"):
        EnvelopeEngine(random_book(10, 1), SimulationParams(), slack=-1.0)
