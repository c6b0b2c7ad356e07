"""Fair windows on the twin: everybody ends with exactly what an ideal pro-rata settlement gives.

The ideal model touches every account at every event and rounds nothing: whoever holds a part of a
side while it is charged for a claim that waits gets the same fraction of that back at the close,
whether it left, joined, was torn up or saw its side end meanwhile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction

import pytest
from test_eager import ACCOUNTS, Play

from backstop.model import side_index
from backstop.model.engine_state import MarketClaims
from backstop.model.errors import ModelError
from backstop.model.fixed_point import WAD
from backstop.model.fund import Legs, Receipt

STRANGER = b"\xee" * 32
UNIT = side_index.K_UNIT


class _Purse:
    """A fund with one layer and no limits; its units are WAD, like those of the token."""

    def __init__(self) -> None:
        self.money = 0
        self.reported = 0

    def cover(self, claims: Sequence[tuple[int, int]], reward: int) -> Receipt:
        legs = []
        for _, wanted in claims:
            legs.append(Legs(reserve=min(wanted, self.money)))
            self.money -= legs[-1].reserve
        return Receipt(1, tuple(legs), 0)

    def receive_income(self, market: int, assets: int) -> None:
        raise AssertionError("nobody pays the fund here")

    def compartment(self, market: int) -> int:
        return 0

    def capacity(self) -> int:
        return self.money

    def per_claim(self) -> int:
        return self.money

    def room(self, market: int) -> int:
        return self.money

    def reinsured(self) -> bool:
        return False

    def report_shortfall(self, market: int) -> None:
        self.reported += 1


class WindowPlay(Play):
    """Random events on one market, all charges for claims that wait."""

    def __init__(self, seed: int, dust: bool = False) -> None:
        super().__init__(seed, dust, eager=True)
        self.purse = _Purse()
        self.engine.fund = self.purse  # type: ignore[assignment]
        self.engine.set_fair_window(0, 15)
        self.shares: dict[bytes, Fraction] = defaultdict(Fraction)
        self.closed = self.left = self.joined = self.repaid_ended = 0
        self.charged = 0

    def charge(self) -> None:
        longs = self.rng.random() < 0.5
        side = self.engine.tables.markets[0].sides[0 if longs else 1]
        open_interest = side_index.size_of(side.basis, side.A, False)
        most = open_interest * self.engine.tables.markets[0].mark.price // WAD
        amount = self.rng.randrange(1, most // 8 + 2)
        self.engine._defer(0, amount)
        self.engine._waiting = 1
        charged = self.engine.charge_side(0, longs, amount)
        self.engine.end_transaction()
        self.claims -= charged * UNIT  # what is charged leaves the market
        self.charged += charged
        if self.market is None or not charged:
            return
        holders = self.market.side(not longs)
        total = sum(holders.values(), Fraction(0))
        for who, size in holders.items():
            self.shares[who] += charged * size / total
        self.market.charge(not longs, Fraction(charged))
        self.bound.charge(charged, total, len(ACCOUNTS))
        # the same error again when the part comes back
        self.bound.charge(charged, total, len(ACCOUNTS))

    def wipe(self) -> None:
        """A whole side is closed out, so that the other side ends its epoch."""
        short = self.rng.random() < 0.5
        for account in ACCOUNTS:
            size = self.engine.position_size(account, 0)
            if size and (size < 0) == short:
                self.deleverage(account)
        # an empty side ends the other one, with the dust that the ideal model still holds
        assert self.market is not None
        cache = self.engine._load_stored(0)
        distance = sum(
            abs(self.engine._position(cache, account)[0] - self.market.size[account])
            for account in ACCOUNTS
        )
        assert distance < 10**6 + 2 * self.bound.size
        self.bound.size = max(self.bound.size, Fraction(distance))

    def close(self) -> None:
        tables = self.engine.tables
        window = tables.window()
        if not window.closes_at:
            return
        self.left += sum(r.left > 0 for r in tables.window_records.values())
        self.joined += sum(r.joined > 0 for r in tables.window_records.values())
        waiting = tables.market_claims[0]
        self.purse.money = self.rng.choice(
            [0, window.claims // 3, window.claims * 99 // 100, window.claims, 2 * window.claims]
        )
        self.clock.now = max(self.clock.now, window.closes_at)
        self.engine.close_fair_window()
        rate = tables.window_rates[window.id, 0]
        part = Fraction(rate.paid, rate.claims)
        for key in [key for key in tables.side_claims if key in tables.ended_k]:
            self.engine.repay_ended(*key)
            self.repaid_ended += 1
        for account, _, number in list(tables.window_records):
            self.engine.collect_window(account, 0, number)
        assert not tables.side_claims and not tables.window_records
        # all that sides got back comes from the fund, and all that was paid in went back
        self.claims += -(-waiting.side * rate.paid // rate.claims) * UNIT
        assert tables.market_claims[0].pot < 10 * (self.closed + 1) + len(ACCOUNTS) * 200
        assert self.market is not None
        for who, share in self.shares.items():
            self.market.cash[who] += part * share
        self.shares.clear()
        self.closed += 1
        self.bound.touch(4 * len(ACCOUNTS))

    def check(self) -> None:
        """As before, with the pot; the cash is compared while nothing waits."""
        tables = self.engine.tables
        market, self.market = self.market, None
        pot = tables.market_claims.get(0, MarketClaims()).pot * UNIT
        self.claims -= pot
        try:
            super().check()
        finally:
            self.claims += pot
            self.market = market
        if not tables.window().closes_at:
            self.compare(self.engine._load_stored(0))


@pytest.mark.parametrize("dust", [False, True])
def test_everybody_ends_with_the_ideal_share(dust: bool) -> None:
    closed = left = joined = ended = 0
    for seed in range(25):
        play = WindowPlay(seed, dust)
        for _ in range(6):
            play.run(10)
            if play.rng.random() < 0.3:
                play.wipe()
            play.run(4)
            play.close()
            play.check()
        closed, left, joined = closed + play.closed, left + play.left, joined + play.joined
        ended += play.repaid_ended
        # the bound is worth something: a thousandth of a token at most in ordinary markets
        if not dust and play.mark <= 50_000:
            assert play.bound.cash < WAD // 1000
    assert closed > 100 and left > 100 and joined > 100 and ended > 10


def settle(capital: int, claims: Sequence[int]) -> list[int]:
    """Claims of as many markets in one window; what each is paid."""
    play = WindowPlay(0)
    engine = play.engine
    for market, amount in enumerate(claims):
        if market:
            for table in (engine.tables.markets, engine.tables.parameters):
                table[market] = table[0]  # type: ignore[index]
        engine.set_fair_window(market, 15)
        engine._defer(market, amount)
    assert play.purse.reported == 1
    play.purse.money = capital
    play.clock.now += 15 * 60
    engine.close_fair_window()
    return [engine.tables.window_rates[1, market].paid for market in range(len(claims))]


def test_known_answers() -> None:
    assert settle(100, [80, 70, 50]) == [40, 35, 25]
    assert settle(100, [100, 100, 100]) == [33, 33, 33]
    assert settle(300, [80, 70, 50]) == [80, 70, 50]
    assert settle(0, [80, 70]) == [0, 0]


def test_a_window_closes_once_and_not_before_its_time() -> None:
    play = WindowPlay(1)
    with pytest.raises(ModelError, match="NoFairWindow"):
        play.engine.close_fair_window()
    play.engine._defer(0, 10)
    play.clock.now += 15 * 60 - 1
    with pytest.raises(ModelError, match="FairWindowIsOpen"):
        play.engine.close_fair_window()
    play.clock.now += 1
    play.engine.close_fair_window()
    with pytest.raises(ModelError, match="NoFairWindow"):
        play.engine.close_fair_window()
    with pytest.raises(ModelError, match="NoWindowClaim"):
        play.engine.collect_window(STRANGER, 0, 1)


def test_a_claim_waits_above_a_quarter_of_what_is_left() -> None:
    play = WindowPlay(2)
    play.purse.money = 100
    assert play.engine.claim_at_once(0, 25) == (25, 25)
    assert play.engine.claim_at_once(0, 26) == (0, 0)
    play.engine._defer(0, 60)
    assert play.engine.claim_at_once(0, 10) == (10, 10)
    assert play.engine.claim_at_once(0, 11) == (0, 0)
    assert play.engine.claim_at_once(0, 5, 20) == (5, 25), "20 of the 40 are another claim's"
    assert play.engine.claim_at_once(0, 6, 20) == (0, 20)
    play.purse.money = 0
    assert play.engine.claim_at_once(0, 7) == (7, 0), "nothing to share: nobody waits"
