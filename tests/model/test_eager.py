"""The lazy integer index against the eager rational model: inside the stated bound, nothing minted.

One market, no margin checks: trades, price moves, funding both ways, tear-ups that end epochs, and
charges, with positions from one wei to a million base.
"""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from backstop.harness.world import DUST, DUST_LIQUIDATION
from backstop.model import side_index
from backstop.model.eager import Bound, EagerMarket
from backstop.model.engine import MarginEngine
from backstop.model.engine_state import Clock, Mark, Market, Side
from backstop.model.fixed_point import PPB, WAD, mul_div_down, mul_div_up
from backstop.model.journal import Journal
from backstop.model.margin_math import FUNDING_PERIOD
from backstop.model.oracle import PriceOracle, Validity
from backstop.model.token import Token

ACCOUNTS = [bytes([i + 1]) * 32 for i in range(9)]
DEPOSIT = 10**6 * WAD


class _NoFund:
    def cover(self, claims: object, reward: int) -> object:
        raise AssertionError("nobody asks the fund here")

    def receive_income(self, market: int, assets: int) -> None:
        raise AssertionError("nobody pays the fund here")


class Play:
    """The twin's engine with one market, the eager market, and the bound between them."""

    def __init__(self, seed: int, dust: bool, eager: bool) -> None:
        self.rng = random.Random(seed)
        self.dust = dust
        self.clock = Clock(1_000_000)
        journal = Journal()
        self.engine = MarginEngine(
            journal, self.clock, PriceOracle(), Token(journal, 18), _NoFund(), b"\1" * 20
        )
        tables = self.engine.tables
        tables.markets[0] = Market((Side(), Side()), self.clock.now)
        tables.parameters[0] = DUST
        tables.liquidation[0] = DUST_LIQUIDATION
        self.set_mark(self.rng.choice([WAD // 1000, 2 * WAD, 50_000 * WAD]))
        self.market = EagerMarket() if eager else None
        self.bound = Bound()
        self.paid_in = 0
        for account in ACCOUNTS:
            self.engine._add_collateral(account, DEPOSIT)
            self.paid_in += DEPOSIT * side_index.K_UNIT
            if self.market:
                self.market.cash[account] = Fraction(DEPOSIT)
        self.claims = self.paid_in
        self.ended = 0

    # ------------------------------------------------------------------ events

    @property
    def mark(self) -> Fraction:
        return Fraction(self.engine.tables.markets[0].mark.price, WAD)

    def set_mark(self, price: int, premium: int = 0) -> None:
        tables = self.engine.tables
        now = self.clock.now
        mark = Mark(price, now, 0, now, 0, premium, Validity.FULL)
        tables.markets[0] = tables.markets[0]._replace(mark=mark)

    def trade(self) -> None:
        buyer, seller = self.rng.sample(ACCOUNTS, 2)
        held = abs(self.engine.position_size(buyer, 0))
        top = 10 ** self.rng.randrange(1, 13) if self.dust else 10 ** self.rng.randrange(15, 23)
        base = held if held and self.rng.random() < 0.3 else self.rng.randrange(1, top + 1)
        cache = self.engine._load_stored(0)
        if min(side.A for side in cache.sides) < side_index.A_MIN:
            return
        legs = [
            self.engine._trade(cache, who, *change, 0)
            for who, change in (
                (buyer, (base, -mul_div_up(base, cache.mark_price, WAD))),
                (seller, (-base, mul_div_down(base, cache.mark_price, WAD))),
            )
        ]
        self.engine._store(cache)
        for leg in legs:
            self.engine._store_account(leg.account)
        if self.market:
            self.market.trade(buyer, seller, Fraction(base), self.mark)
            self.bound.touch(2)

    def move(self) -> None:
        price = self.engine.tables.markets[0].mark.price * self.rng.randrange(7000, 13500) // 10000
        self.set_mark(min(max(price, 10**6), 10**24))

    def funding(self) -> None:
        premium = self.rng.choice([-1, 1]) * self.rng.randrange(1, PPB)
        self.set_mark(self.engine.tables.markets[0].mark.price, premium)
        elapsed = self.rng.randrange(1, 3601)
        self.clock.now += elapsed
        self.engine._store(self.engine._load_stored(0))
        self.set_mark(self.engine.tables.markets[0].mark.price)
        if self.market:
            rate = Fraction(premium * elapsed, PPB * FUNDING_PERIOD)
            self.market.fund(rate, self.mark)
            self.bound.funding(self.mark, abs(rate), len(ACCOUNTS))

    def deleverage(self, account: bytes | None = None) -> None:
        whole = account is not None
        account = account or self.rng.choice(ACCOUNTS)
        size = self.engine.position_size(account, 0)
        if size == 0:
            return
        short = size < 0
        side = self.engine.tables.markets[0].sides[0 if short else 1]
        base = abs(size)
        if not whole and self.rng.random() < 0.4:
            base = self.rng.randrange(1, base + 1)
        taken = min(base, side_index.size_of(side.basis, side.A, False))
        self.engine.deleverage(account, 0, base, 0)
        self.ended += self.engine.tables.markets[0].sides[0 if short else 1].epoch > side.epoch
        if self.market:
            closed = self.market.deleverage(account, short, Fraction(base), self.mark)
            difference = abs(base - closed) + abs(taken - closed)
            self.bound.tear_up(self.mark, side.basis, difference, len(ACCOUNTS))

    def charge(self) -> None:
        longs = self.rng.random() < 0.5
        side = self.engine.tables.markets[0].sides[0 if longs else 1]
        open_interest = side_index.size_of(side.basis, side.A, False)
        most = open_interest * self.engine.tables.markets[0].mark.price // WAD
        charged = self.engine.charge_side(0, longs, self.rng.randrange(0, most // 8 + 2))
        self.claims -= charged * side_index.K_UNIT  # what is charged leaves the market
        if self.market and charged:
            open_eager = self.market.open_interest(not longs)
            self.market.charge(not longs, Fraction(charged))
            self.bound.charge(charged, open_eager, len(ACCOUNTS))

    # ------------------------------------------------------------------ checks

    def check(self) -> None:
        tables = self.engine.tables
        cache = self.engine._load_stored(0)
        sums, sizes, equity = [0, 0], [0, 0], 0
        claims = sum(a.collateral for a in tables.accounts.values()) * side_index.K_UNIT
        equity = sum(a.collateral for a in tables.accounts.values())
        for (account, _), p in tables.positions.items():
            side = cache.sides[p.tag & 1]
            ended = p.tag >> 1 != side.epoch
            K = tables.ended_k[0, p.tag] if ended else side.K
            sums[p.tag & 1] += 0 if ended else p.basis
            claims += p.quote_at_zero * side_index.K_UNIT + p.basis * K
            size, quote = self.engine._position(cache, account)
            sizes[size < 0] += abs(size)
            equity += self.engine._value(cache, size, quote)[0]
        assert sums == [side.B for side in cache.sides], "the basis sums are exact"
        long, short = (side.B * side.A for side in cache.sides)
        assert sizes[0] * side_index.ONE <= long <= short <= sizes[1] * side_index.ONE
        assert claims <= self.claims, "quote was minted"
        assert equity * side_index.K_UNIT <= self.claims, "equity was minted"
        self.claims = claims if claims < self.claims else self.claims
        if self.market:
            self.compare(cache)

    def compare(self, cache: object) -> None:
        assert self.market is not None
        sizes = cash = Fraction(0)
        for account in ACCOUNTS:
            size, quote = self.engine._position(cache, account)  # type: ignore[arg-type]
            owned = self.engine.collateral(account) + quote
            sizes += abs(size - self.market.size[account])
            cash += abs(owned - self.market.cash[account])
        # reading rounds once more, less than a wei an account
        assert sizes <= self.bound.size + len(ACCOUNTS)
        assert cash <= self.bound.cash + len(ACCOUNTS)

    def run(self, events: int) -> None:
        choices = (
            [self.trade] * 8
            + [self.move] * 3
            + [self.funding] * 3
            + [self.deleverage] * 4
            + [self.charge] * 2
        )
        for _ in range(events):
            self.rng.choice(choices)()
            self.check()


@pytest.mark.parametrize("dust", [False, True])
def test_inside_the_bound_of_the_eager_model(dust: bool) -> None:
    for seed in range(60):
        play = Play(seed, dust, eager=True)
        play.run(60)
        # the bound is worth something: a thousandth of a token at most in ordinary markets
        if not dust and play.mark <= 50_000:
            assert play.bound.cash < WAD // 1000


@pytest.mark.slow
@pytest.mark.parametrize("dust", [False, True])
def test_nothing_is_minted_in_fifty_thousand_events(dust: bool) -> None:
    ended = 0
    for seed in range(250):
        play = Play(1_000 + seed, dust, eager=False)
        play.run(200)
        ended += play.ended
    assert ended > 30
