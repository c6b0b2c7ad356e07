"""The arrays agree with the exact twin, and the filter never changes what is found."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from backstop.keeper.book import Book, Market
from backstop.model import margin_math
from backstop.model.fixed_point import WAD

SCALE = 25_000_000


def market(mark, A=(1.0, 1.0), K=(0.0, 0.0), epoch=(0, 0), maintenance=0.05):
    return Market(mark, A, K, epoch, maintenance, float(SCALE))


def random_book(rng, accounts, marks, slack):
    """Accounts near their maintenance margin, in one to all markets, on both sides."""
    book = Book(slack, capacity=4)
    held = rng.random((len(marks), accounts)) < 0.5
    size = np.where(held, rng.normal(0, 3, held.shape), 0.0)
    quote = -size * np.array(marks)[:, None] * rng.uniform(0.95, 1.05, held.shape)
    notional = np.abs(size) * np.array(marks)[:, None]
    unrealised = (size * np.array(marks)[:, None] + quote).sum(axis=0)
    collateral = notional.sum(axis=0) * rng.uniform(0.02, 0.12, accounts) - unrealised
    book.load(collateral, list(size), list(quote))
    return book, collateral, size, quote


def exact(collateral, size, quote, markets):
    """Who is below maintenance margin, by a plain loop."""
    found = set()
    for row, money in enumerate(collateral):
        excess = money
        for number, m in enumerate(markets):
            basis = size[number][row]
            side = 0 if basis > 0 else 1
            value = basis * m.A[side] * m.mark
            notional = abs(value)
            excess += value + quote[number][row] + abs(basis) * m.K[side]
            excess -= notional * (1 + notional / m.size_scale) * m.maintenance
        if excess < 0:
            found.add(row.to_bytes(32, "big"))
    return found


@pytest.mark.parametrize("slack", [0.0, 1e-6, 0.02, 0.3])
def test_the_filter_finds_exactly_whom_a_look_at_everybody_finds(slack):
    """Random walks with jumps, funding, tear-ups and new parameters: in and out of the box."""
    rng = np.random.default_rng(7)
    looked_at, seen = [], 0
    for _ in range(12):
        marks = [60_000.0, 3_000.0, 150.0]
        book, *held = random_book(rng, 300, marks, slack)
        markets = [market(mark) for mark in marks]
        for _ in range(30):
            for n, m in enumerate(markets):
                jump = rng.random() < 0.1
                mark = m.mark * float(np.exp(rng.normal(0, 0.08 if jump else 0.004)))
                K = tuple(k + rng.normal(0, 1e-5) * mark for k in m.K)
                A = (m.A[0] * 0.9, m.A[1]) if rng.random() < 0.02 else m.A
                rate = 0.06 if rng.random() < 0.01 else m.maintenance
                markets[n] = market(mark, A, K, m.epoch, rate)
            book.set_markets(markets)
            assert set(book.at_risk()) == exact(*held, markets)
            looked_at.append(book.candidates)
            seen += 1
    if slack == 0.02:
        assert book.refreshes < 30, "not everybody is looked at every time"
        assert np.mean(looked_at) < 300
    assert seen == 360


def test_the_largest_shortfall_comes_first():
    rng = np.random.default_rng(3)
    book, *held = random_book(rng, 500, [100.0], 0.02)
    book.set_markets([market(90.0)])
    order = book.at_risk()
    collateral, size, quote = held

    def excess(account):
        row = int.from_bytes(account, "big")
        value = size[0][row] * 90.0
        margin = abs(value) * (1 + abs(value) / SCALE) * 0.05
        return collateral[row] + value + quote[0][row] - margin

    excesses = [excess(account) for account in order]
    assert len(order) > 10
    assert excesses == sorted(excesses)


def test_margins_are_those_of_the_exact_twin():
    for size in (0.001, 1.0, 250.0, 5_000.0):
        book = Book(0.02, capacity=1)
        notional = size * 60_000
        _, maintenance = margin_math.margins(
            round(notional * WAD), 0, WAD, SCALE, 0, 100_000, 50_000
        )
        if maintenance == round(notional * WAD):
            continue  # the cap at the notional itself is left out: never too little margin
        need = maintenance / WAD
        for money, expected in ((need * (1 - 1e-8) - 1e-7, 1), (need * (1 + 1e-8) + 1e-6, 0)):
            book.load(np.array([money]), [np.array([size])], [np.array([-notional])])
            book.set_markets([market(60_000.0)])
            assert len(book.at_risk()) == expected, f"size {size}, money {money}"


def report(account, collateral, *positions):
    state = SimpleNamespace(collateral=collateral * WAD, positions=positions)
    return SimpleNamespace(account=account, ok=True, state=state)


def position(size, quote, number=0):
    return SimpleNamespace(market=number, size=round(size * WAD), quote=round(quote * WAD))


def market_report(mark, A=10**21, K=0, epoch=0):
    return SimpleNamespace(
        state=SimpleNamespace(markPrice=mark * WAD),
        A=(A, A),
        K=(K, K),
        epoch=(epoch, epoch),
        parameters=SimpleNamespace(maintenanceMarginPpm=50_000, sizeScale=SCALE),
    )


def test_positions_follow_their_side():
    """Read at A = 1, K = 0; then half of the side is torn up at 110 and funding is charged."""
    book = Book(0.0)
    account = b"\1" * 32
    book.set([report(account, 100, position(2, -200))], [market_report(100)])
    book.update([market_report(100)])
    assert book.at_risk() == []
    # each unit of basis sold half of itself at 110 and paid 20: 1 base left, quote -200 + 110 - 40
    after = market_report(110, A=10**21 // 2, K=round((55 - 20) * 1e39))
    book.update([after])
    assert book.at_risk() == [], "equity 100 + 110 - 130"
    book.update([market_report(50, A=10**21 // 2, K=round((55 - 20) * 1e39))])
    assert book.at_risk() == [], "equity 20, margin 2.5"
    book.update([market_report(30, A=10**21 // 2, K=round((55 - 20) * 1e39))])
    assert book.at_risk() == [account], "equity 0"


def test_an_account_that_changed_is_seen_between_two_refreshes():
    book = Book(0.02)
    sick, fine = b"\1" * 32, b"\2" * 32
    book.set([report(fine, 1_000, position(1, -100))], [market_report(100)])
    book.update([market_report(100)])
    assert book.at_risk() == []
    refreshes = book.refreshes
    book.set([report(sick, 3, position(1, -100))], [market_report(100)])
    assert book.at_risk() == [sick]
    book.set([report(sick, 50, position(1, -100))], [market_report(100)])
    assert book.at_risk() == []
    book.set([report(fine, 3)], [market_report(100)])
    assert book.at_risk() == [], "flat: nothing is needed"
    assert book.refreshes == refreshes


def test_the_end_of_an_epoch_names_who_has_to_be_read_anew():
    book = Book()
    long, short = b"\1" * 32, b"\2" * 32
    book.set(
        [report(long, 10, position(1, -100)), report(short, 10, position(-1, 100))],
        [market_report(100)],
    )
    book.update([market_report(100)])
    ended = market_report(100)
    ended.epoch = (1, 0)
    assert book.ended([ended]) == [long]
    assert book.ended([market_report(100)]) == []
    book.set([report(long, 10, position(0, -7))], [ended])
    book.update([ended])
    assert book.at_risk() == []
    book.set([report(long, 10, position(0, -11))], [ended])
    assert book.at_risk() == [long], "what the side left is settled money"


def test_it_grows_and_forgets():
    book = Book(capacity=2)
    ids = [n.to_bytes(32, "big") for n in range(10)]
    book.set([report(i, 3, position(1, -100)) for i in ids], [market_report(100)])
    book.update([market_report(100), market_report(50)])
    assert len(book) == 10
    assert sorted(book.at_risk()) == ids
    book.clear()
    assert len(book) == 0
    assert ids[0] not in book
