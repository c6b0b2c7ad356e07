"""Books: margin schedules, validation, generators, files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backstop.simulation.book import Book, BookSpec, Tiers, random_book
from backstop.simulation.errors import (
    BookFileError,
    BookShapeError,
    BookValueError,
    NotZeroSumError,
    ParameterError,
    TierError,
)


def small_book() -> Book:
    size = np.array([[2.0, 0.0], [-2.0, 1.0], [0.0, -1.0]])
    quote = np.array([[-180.0, 0.0], [210.0, -50.0], [0.0, 49.0]])
    return Book(
        collateral=np.array([30.0, 100.0, 20.0]),
        size=size,
        quote=quote,
        price=np.array([100.0, 50.0]),
        tiers=Tiers.of([[(0, 0.01), (100, 0.05)], [(0, 0.02)]]),
        markets=("A", "B"),
    )


def test_equity_and_maintenance_by_hand() -> None:
    book = small_book()
    np.testing.assert_allclose(book.equity(), [50.0, 110.0, 19.0])
    # A: 200 USD = 100 at 1 % + 100 at 5 %; B: 50 USD at 2 %
    np.testing.assert_allclose(book.maintenance(), [6.0, 7.0, 1.0])
    np.testing.assert_allclose(book.equity(np.array([90.0, 60.0])), [30.0, 140.0, 9.0])
    np.testing.assert_allclose(book.open_interest(), [200.0, 50.0])


def test_tiers_by_brackets() -> None:
    tiers = Tiers.of([[(0, 0.01), (1_000, 0.02), (10_000, 0.10)]])
    for notional, need in (
        (0, 0),
        (500, 5),
        (1_000, 10),
        (2_000, 30),
        (10_000, 190),
        (20_000, 1_190),
    ):
        assert tiers.maintenance(np.array([float(notional)]))[0] == pytest.approx(need)


def test_maintenance_is_convex() -> None:
    """The filter of the envelope engine relies on it."""
    tiers = Tiers.of([[(0, 0.004), (1e4, 0.02), (3e5, 0.07), (1e6, 0.5)]])
    n = np.linspace(0, 3e6, 4001)[:, None]
    need = tiers.maintenance(n)[:, 0]
    assert np.all(np.diff(need, 2) > -1e-6)
    assert np.all(np.diff(need) >= 0)


def test_tiers_of_different_lengths() -> None:
    tiers = Tiers.of([[(0, 0.01)], [(0, 0.01), (100, 0.02)]])
    tiers.validate()
    np.testing.assert_allclose(tiers.maintenance(np.array([200.0, 200.0])), [2.0, 3.0])
    np.testing.assert_allclose(tiers.scaled(2.0).maintenance(np.array([200.0, 200.0])), [4.0, 6.0])


@pytest.mark.parametrize(
    "schedule",
    [
        [(1.0, 0.01)],
        [(0.0, 0.02), (10.0, 0.01)],
        [(0.0, 0.01), (10.0, 0.02), (5.0, 0.03)],
        [(0.0, -0.01)],
        [(0.0, 1.0)],
        [(0.0, float("nan"))],
    ],
)
def test_bad_schedules(schedule: list[tuple[float, float]]) -> None:
    with pytest.raises(TierError, match="market 0"):
        Tiers.of([schedule]).validate()


def test_bad_tier_shapes() -> None:
    with pytest.raises(TierError, match="no tier"):
        Tiers.of([[]])
    with pytest.raises(TierError, match=r"one \(M, K\)"):
        Tiers(np.zeros((1, 2)), np.zeros((1, 1))).validate()
    with pytest.raises(ParameterError, match="maintenance rate"):
        Tiers.flat(np.array([0.1, 0.2]), 3)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"size": np.zeros(3)}, BookShapeError, "size must be"),
        ({"size": np.zeros((0, 2))}, BookShapeError, "at least one account"),
        ({"collateral": np.zeros(2)}, BookShapeError, r"collateral: expected shape \(3,\)"),
        ({"price": np.ones(3)}, BookShapeError, "price"),
        ({"tiers": Tiers.flat(0.01, 3)}, BookShapeError, "3 schedules for 2 markets"),
        ({"markets": ("A", "A")}, BookShapeError, "different names"),
        ({"price": np.array([100.0, 0.0])}, BookValueError, "price must be positive"),
        ({"collateral": np.array([1.0, np.nan, 1.0])}, BookValueError, r"collateral\[1\] is nan"),
        ({"quote": np.full((3, 2), np.inf)}, BookValueError, r"quote\[0, 0\] is inf"),
        ({"quote": np.ones((3, 2))}, BookValueError, r"quote\[0, 1\] without a position"),
        ({"price": np.array([100, 50])}, BookValueError, "float64"),
    ],
)
def test_invalid_books(change: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        replace(small_book(), **change).validate()  # type: ignore[arg-type]


def test_flat_account_in_debt_is_refused() -> None:
    book = replace(
        small_book(),
        size=np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 0.0]]),
        quote=np.array([[-180.0, 0.0], [210.0, 0.0], [0.0, 0.0]]),
        collateral=np.array([30.0, 100.0, -1.0]),
    )
    with pytest.raises(BookValueError, match="account 2 is flat"):
        book.validate()


def test_zero_sum_is_checked_on_request() -> None:
    book = small_book()
    assert book.validate(zero_sum=True) is book
    lopsided = replace(book, size=book.size * np.array([[1.0], [1.0], [2.0]]))
    assert lopsided.validate() is lopsided
    with pytest.raises(NotZeroSumError, match="market B: sizes sum to -1"):
        lopsided.validate(zero_sum=True)


@pytest.mark.parametrize("markets", [1, 3, 8, 11])
def test_random_books_are_ledgers(markets: int) -> None:
    book = random_book(500, markets, seed=9)
    book.validate(zero_sum=True)
    np.testing.assert_allclose(book.quote.sum(axis=0), 0.0, atol=1e-3)
    np.testing.assert_allclose(book.open_interest(), 5e8)
    assert np.all(book.equity() > book.maintenance())
    assert np.all(book.collateral > 0)


def test_random_books_are_reproducible_and_differ_by_seed() -> None:
    assert random_book(100, 2, seed=1).sha256() == random_book(100, 2, seed=1).sha256()
    assert random_book(100, 2, seed=1).sha256() != random_book(100, 2, seed=2).sha256()


def test_random_book_follows_its_spec() -> None:
    spec = BookSpec(open_interest=np.array([1e6, 3e6]), leverage=10.0, leverage_cap=20.0)
    book = random_book(4_000, 2, seed=1, spec=spec)
    np.testing.assert_allclose(book.open_interest(), [1e6, 3e6])
    leverage = book.notional().sum(axis=1) / book.equity()
    assert leverage.max() < 20.0001
    assert 8.0 < np.median(leverage) < 12.0


def test_random_book_needs_two_accounts_a_market() -> None:
    with pytest.raises(BookShapeError, match="both sides"):
        random_book(3, 2)


def test_round_trip_through_files(tmp_path: Path) -> None:
    book = random_book(50, 2, seed=5, tiers=Tiers.of([[(0, 0.01), (1e6, 0.02)], [(0, 0.03)]]))
    folder = book.save(tmp_path / "book")
    for mmap in (True, False):
        again = Book.load(folder, mmap=mmap, verify=True)
        assert again.sha256() == book.sha256()
        assert again.markets == book.markets
        assert isinstance(again.size, np.memmap) is mmap
    mapped = Book.load(folder)
    with pytest.raises(ValueError, match="read-only"):
        mapped.size[0, 0] = 1.0


def test_unusable_files(tmp_path: Path) -> None:
    with pytest.raises(BookFileError, match=r"no book\.json"):
        Book.load(tmp_path)
    folder = random_book(50, 2, seed=5).save(tmp_path / "book")
    meta = json.loads((folder / "book.json").read_text())
    np.save(folder / "quote.npy", np.zeros((50, 2)))
    with pytest.raises(BookFileError, match="do not match"):
        Book.load(folder, verify=True)
    np.save(folder / "quote.npy", np.zeros((49, 2)))
    with pytest.raises(BookShapeError, match="quote"):
        Book.load(folder)
    (folder / "quote.npy").write_bytes(b"not an array")
    with pytest.raises(BookFileError, match="not a readable"):
        Book.load(folder)
    (folder / "quote.npy").unlink()
    with pytest.raises(BookFileError, match=r"quote\.npy is missing"):
        Book.load(folder)
    (folder / "book.json").write_text(json.dumps(meta | {"version": 99}))
    with pytest.raises(BookFileError, match="format 99"):
        Book.load(folder)
    (folder / "book.json").write_text("{}")
    with pytest.raises(BookFileError, match="not a book description"):
        Book.load(folder)


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    folder = random_book(50, 2, seed=5).save(tmp_path / "book")
    np.save(folder / "size.npy", np.array([{"code": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(BookFileError, match=r"size\.npy"):
        Book.load(folder)


def test_margin_of_the_contracts_is_met_at_every_edge_and_exceeded_between() -> None:
    tiers = Tiers.of_contracts(0.02, 5e7, 1e7, 5, markets=2)
    n = np.linspace(0.0, 1e7, 1_001)[:, None]
    excess = tiers.maintenance(np.hstack([n, n])) - 0.02 * n * (1 + n / 5e7)
    most = 0.02 * (1e7 / 5) ** 2 / (4 * 5e7)
    np.testing.assert_allclose(excess[::200], 0.0, atol=1e-6)
    assert excess.min() > -1e-6
    assert excess.max() == pytest.approx(most, rel=1e-6)


@pytest.mark.parametrize("wrong", [(0.0, 1e7, 1e6, 4), (0.02, 1e7, -1.0, 4), (0.02, 1e7, 1e6, 0)])
def test_margin_of_the_contracts_needs_positive_numbers(wrong: tuple[float, ...]) -> None:
    with pytest.raises(TierError, match="must be positive"):
        Tiers.of_contracts(*wrong)  # type: ignore[arg-type]
    with pytest.raises(TierError, match=r"\[0, 1\)"):
        Tiers.of_contracts(0.5, 1e6, 1e7, 4)
