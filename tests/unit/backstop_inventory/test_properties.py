"""What inventory can cost, on the exact twin: random moves, and a look after every one of them."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from backstop.harness.duel import Duel
from backstop.harness.world import (
    BARE_LIQUIDATION,
    ORDINARY,
    START_PRICES,
    UNIT,
    feed_answer,
    feed_name,
)
from backstop.model import inventory_math
from backstop.model.backstop import Caps
from backstop.model.errors import ModelError
from backstop.model.fixed_point import PPM, WAD
from backstop.model.fund_inventory import deployed_capital
from backstop.model.oracle import Round

ANY = 2**255
INTERVAL = 2
"""Seconds between two looks; the mark moves at most 1 % a second."""

MARKET = replace(ORDINARY, maker_fee_ppm=0, taker_fee_ppm=0, funding_clamp_ppb=0, profit_lock=0)
TERMS = replace(
    BARE_LIQUIDATION,
    ramp=2,
    deleverage_delay=20,
    check_interval=1,
    reward_ppm=0,
    max_discount_ppm=8_000,
    max_step=10**9,
)
CAPS = Caps(
    capital=10_000 * UNIT,
    notional=80_000 * UNIT,
    auction_time=60,
    loss=4_000 * UNIT,
    margin_ppm=60_000,
    premium_ppm=2_000,
    max_discount_ppm=5_000,
)
PAIRS = st.tuples(st.integers(-(2**100), 2**100), st.integers(-(2**100), 2**100))


class Crash:
    """A market in which four leveraged accounts face a rich one and only the backstop takes."""

    def __init__(self, seed: int, long: bool) -> None:
        self.choose = random.Random(seed)
        self.duel = Duel(check=False)
        self.world, self.engine = self.duel.world, self.duel.world.engine
        self.backstop = self.world.backstop
        self.counts: Counter[str] = Counter()
        for market in (0, 1):
            self.engine.set_market(market, MARKET, TERMS)
            self.backstop.set_caps(market, CAPS)
        self.world.fund_compartment(0, 16_000 * UNIT, caller=self.duel.owners[-1])
        self.world.deploy_inventory(0, ANY)
        self.world.deploy_inventory(1, ANY)
        self.price = START_PRICES[0]
        self.traders, self.rich = self.duel.accounts[:5], self.duel.accounts[-1]
        self.world.deposit(self.rich, 5_000_000 * UNIT, caller=self.rich[:20])
        for account in self.traders:
            self.world.deposit(account, 2_000 * UNIT, caller=account[:20])
            notional = self.choose.randint(20_000, 38_000)
            self.trade(account, long, notional * WAD * WAD // (self.price * 10**10))
        self.others = self.seen_of(1)

    def trade(self, account: bytes, long: bool, base: int) -> None:
        limit = self.price * 10**10
        signed = self.duel.sign(account, 0, long, base, limit, expiry=2**40 - 1)
        self.world.fill(signed, self.rich, base, caller=self.rich[:20])

    def seen_of(self, market: int) -> tuple[object, ...]:
        """Everything a market's inventory has, but the price."""
        fund, claimant = self.world.fund, self.world.claimant
        return (
            self.backstop.inventory(market),
            self.backstop.terms(market),
            fund.market(claimant, market).balance,
            deployed_capital(fund, claimant, market),
        )

    def step(self) -> None:
        """The price moves by what the mark can follow; then everybody looks."""
        self.world.advance(INTERVAL)
        self.price += self.price * self.choose.randint(-19_000, 17_000) // PPM
        for market, price in ((0, self.price), (1, START_PRICES[1])):
            for which in (0, 1):
                answer, now = feed_answer(price, which), self.world.now
                self.world.oracle.rounds[feed_name(market, which)] = Round(answer, now, now)
            self.world.poke(market)
        self.attempt("unwound", lambda: self.world.unwind_inventory(0, self.rich))
        for account in self.traders:
            self.attempt("flagged", lambda a=account: self.world.flag(a))
            before = self.engine.health(account)
            if self.attempt(
                "taken",
                lambda a=account: self.world.liquidate_to_backstop(a, 0, self.rich),
            ):
                after = self.engine.health(account)
                assert (after[0] + 2) * before[2] >= before[0] * after[2], "health fell"
            self.attempt(
                "taken bankrupt",
                lambda a=account: self.world.close_out_to_backstop(a, self.rich),
            )
        if self.choose.random() < 0.3:
            base = self.choose.choice([ANY, 10**17])
            self.attempt(
                "sold",
                lambda: self.world.buy_inventory(
                    0,
                    self.rich,
                    base,
                    ANY if self.backstop.inventory(0).size > 0 else 0,
                    caller=self.rich[:20],
                ),
            )

    def attempt(self, name: str, act: object) -> bool:
        """Whether it went; a refusal is none of this test's business."""
        try:
            act()  # type: ignore[operator]
        except ModelError:
            return False
        self.counts[name] += 1
        return True

    @property
    def lost(self) -> int:
        """What the fund has lost, WAD."""
        _, book = self.backstop.terms(0)
        return book.invested * self.engine.scale - self.backstop.inventory(0).equity


@pytest.mark.parametrize("long", [True, False])
def test_never_more_is_lost_than_the_cap_and_nothing_of_other_markets(long: bool) -> None:
    reached: Counter[str] = Counter()
    worst = 0
    for seed in range(16):
        crash = Crash(seed, long)
        cap = CAPS.loss * crash.engine.scale
        for _ in range(80):
            crash.step()
            assert crash.lost <= cap
            worst = max(worst, crash.lost)
            assert crash.seen_of(1) == crash.others
        reached += crash.counts
    assert {"unwound", "taken", "sold", "flagged"} <= set(reached), reached
    assert worst > CAPS.loss * 10**12 // 2  # the cap was put to the test


def test_a_round_trip_through_the_backstop_never_gains() -> None:
    """Victim, keeper and buyer are one: at an unchanged mark the fund is never worse off."""
    for seed in range(40):
        crash = Crash(seed, True)
        for _ in range(60):
            crash.step()
            if crash.counts["taken"] or crash.counts["taken bankrupt"]:
                break
        worth = crash.backstop.inventory(0).equity
        crash.world.advance(10**4)
        for which in (0, 1):
            answer, now = feed_answer(crash.price, which), crash.world.now
            crash.world.oracle.rounds[feed_name(0, which)] = Round(answer, now, now)
        mark = crash.engine.market_state(0).mark_price
        crash.attempt(
            "sold", lambda c=crash: c.world.buy_inventory(0, c.rich, ANY, ANY, caller=c.rich[:20])
        )
        if mark == crash.price * 10**10 and not crash.counts["taken bankrupt"]:
            # bought at a discount of at least the floor's, sold at the floor
            capital = CAPS.capital * crash.engine.scale
            assert crash.backstop.inventory(0).equity >= min(worth, capital) - 10**6


# --- the formulas


@given(PAIRS, st.integers(0, 2**40))
def test_elapsed_time_never_grows_and_dust_changes_nothing(
    sizes: tuple[int, int], elapsed: int
) -> None:
    before, afterwards = sizes
    kept = inventory_math.elapsed_down(elapsed, before, afterwards)
    assert 0 <= kept <= elapsed
    if before and afterwards and (before < 0) == (afterwards < 0):
        small, large = sorted((abs(before), abs(afterwards)))
        assert elapsed * small - large < kept * large <= elapsed * small
    else:
        assert kept == 0


@given(
    st.booleans(),
    st.integers(10**9, 10**25),
    st.integers(0, 999_999),
    st.integers(0, 999_999),
    st.integers(0, 10**6),
    st.integers(1, 10**6),
    st.integers(0, 10**30),
    st.integers(1, 10**30),
)
def test_the_price_never_passes_the_floor_or_the_cushion(
    long: bool,
    mark: int,
    premium: int,
    most: int,
    elapsed: int,
    time: int,
    cushion: int,
    notional: int,
) -> None:
    price = inventory_math.price(long, mark, premium, most, elapsed, time, cushion, notional)
    given_away = (mark - price if long else price - mark) * PPM
    assert -mark * premium - PPM <= given_away <= mark * most
    assert given_away * notional <= max(0, cushion) * mark * PPM or given_away <= 0
    later = inventory_math.price(long, mark, premium, most, elapsed + 1, time, cushion, notional)
    assert later <= price if long else later >= price


@given(
    st.integers(0, 10**28),
    st.integers(1, PPM),
    st.integers(0, 10**28),
    st.integers(10**9, 10**25),
    st.integers(-(10**26), 10**26),
    st.booleans(),
)
def test_what_fits_stays_inside_cap_and_cushion(
    cap: int, margin: int, cushion: int, mark: int, size: int, long: bool
) -> None:
    room = inventory_math.base_room_down(cap, margin, cushion, mark, size, long)
    assert room >= 0
    afterwards = size + room if long else size - room
    if room and abs(afterwards) > abs(size):
        assert abs(afterwards) * mark <= cap * WAD
        assert abs(afterwards) * mark * margin <= cushion * PPM * WAD
