"""Underwriters, events, prices and time on the put and the fund beside their exact twins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from backstop.harness.fund import deploy_fund
from backstop.harness.reinsurance import MAX_AGE, PRICE_SCALE, PutWorld, deploy_put
from backstop.harness.rpc import Receipt, Reverted
from backstop.model.crash_put import (
    ACTIVATION_TIME,
    AGREEMENT_TIME,
    SETTLE_TIME,
    CrashPut,
    Terms,
)
from backstop.model.errors import ModelError
from backstop.model.fund import ClaimantLimits, InsuranceFund, Legs, MarketLimits

pytestmark = pytest.mark.fuzz

ACCOUNT = b"\x44" * 32
MARKETS = (0, 1)
WAD = 10**18
DAY = 86_400
PRICE = 1_000 * 10**8
REVERT = 1
"""A mode of MockFeed."""

amounts = st.one_of(st.integers(0, 20), st.integers(0, 10**6))
sizes = st.one_of(st.integers(0, 20), st.integers(1, 10**5), st.just(2**112))
numbers = st.integers(0, 7)
markets = st.sampled_from(MARKETS)
delays = st.one_of(st.integers(1, 60), st.integers(1, DAY), st.integers(1, 4 * DAY))
answers = st.one_of(st.integers(400 * 10**8, 1_100 * 10**8), st.just(PRICE), st.just(2 * 10**8))


class PutMachine(RuleBasedStateMachine):
    """Account 0 claims, 1 and 2 underwrite; the feeds of both markets follow `answers`."""

    world: PutWorld
    who: tuple[str, ...]

    def __init__(self) -> None:
        super().__init__()
        self.client = self.world.base.client
        self.snapshot = self.client.snapshot()
        self.fund = InsuranceFund()
        self.put = CrashPut(self.fund, self.price)
        self.fund.reinsurer = self.put
        self.answers = dict.fromkeys(MARKETS, (0, 0))
        self.working = dict.fromkeys(MARKETS, 2)
        self.now = self.client.timestamp
        name = self.who[0]
        limits, market_limits = ClaimantLimits(10**5, 2 * 10**5, DAY), MarketLimits(10**4, 10**5)
        self.both(
            lambda: self.chain.setClaimant(name, limits, sender=self.owner),
            lambda t: self.fund.set_claimant(name, limits, t),
        )
        for market in MARKETS:
            self.both(
                lambda m=market: self.chain.setClaimantMarket(
                    name, m, market_limits, sender=self.owner
                ),
                lambda t, m=market: self.fund.set_claimant_market(name, m, market_limits, t),
            )
            self.move(market, PRICE, 2, 1)
        self.premium_terms(300_000, 10**5)
        self.income(0, 10**5)

    def teardown(self) -> None:
        self.client.revert(self.snapshot)

    @property
    def chain(self) -> Any:
        return self.world.base.fund

    @property
    def owner(self) -> str:
        return self.world.base.owner

    def price(self, market: int, now: int) -> tuple[int, int, bool]:
        """The oracle's answer as the twin of the put sees it."""
        answer, time = self.answers[market]
        working = self.working[market]
        # the first feed answers a second before the second one, which is the one that breaks last
        fresh = working == 2 and now - (time - 1) <= MAX_AGE
        if working == 0 or now - time > MAX_AGE:
            return 0, 0, False
        return answer * PRICE_SCALE, time, fresh

    def both(
        self, chain: Callable[[], Receipt], twin: Callable[[int], Any], delay: int = 1
    ) -> tuple[Receipt | None, Any]:
        """Runs both at the same time; both succeed, or fail with the same error."""
        self.now += delay
        self.client.set_next_timestamp(self.now)
        receipt, result, chain_error, twin_error = None, None, None, None
        try:
            receipt = chain()
        except Reverted as error:
            chain_error = (error.name, tuple(error.arguments.values()))
        try:
            result = twin(self.now)
        except ModelError as error:
            twin_error = (error.name, error.args)
        assert chain_error == twin_error
        return receipt, result

    # --- prices

    @rule(market=markets, answer=answers, working=st.integers(0, 2), delay=delays)
    def move(self, market: int, answer: int, working: int, delay: int) -> None:
        """A new answer, of both feeds, of the second only, or of none."""
        first, second = self.world.feeds[market]
        first.setMode(0 if working == 2 else REVERT, sender=self.owner)
        second.setMode(0 if working else REVERT, sender=self.owner)
        self.now = max(self.now, self.client.timestamp) + delay
        self.client.set_next_timestamp(self.now)
        first.push(answer, sender=self.owner)
        self.now += 1
        self.client.set_next_timestamp(self.now)
        second.push(answer, sender=self.owner)
        self.answers[market] = (answer, self.now)
        self.working[market] = working

    # --- money

    @rule(market=markets, assets=amounts)
    def income(self, market: int, assets: int) -> None:
        name = self.who[0]
        receipt, parts = self.both(
            lambda: self.chain.receiveIncome(market, assets, sender=name),
            lambda t: self.fund.receive_income(name, market, assets, t),
        )
        if receipt is not None:
            event = receipt.one("IncomeReceived")
            assert (event.toCompartment, event.toReserve) == parts

    @rule(share=st.integers(0, 1_000_001), cap=st.one_of(amounts, st.just(2**112)))
    def premium_terms(self, share: int, cap: int) -> None:
        self.both(
            lambda: self.chain.setPremiumTerms(share, cap, sender=self.owner),
            lambda t: self.fund.set_premium_terms(share, cap, t),
        )

    @rule(assets=amounts)
    def fund_premium(self, assets: int) -> None:
        self.both(
            lambda: self.chain.fundPremium(assets, sender=self.owner),
            lambda _: self.fund.premium.fund(assets),
        )

    @rule(assets=amounts)
    def fund_backing(self, assets: int) -> None:
        """The layer before the put."""
        self.both(
            lambda: self.chain.fundBacking(assets, sender=self.owner),
            lambda _: self.fund.fund_backing(assets),
        )

    # --- the life of a series

    @rule(
        market=markets,
        strike=st.integers(0, 1_000),
        width=st.integers(0, 1_000),
        size=sizes,
        rate=st.integers(0, 50_000),
        writing=st.integers(0, 3 * DAY),
        life=st.integers(0, 9 * DAY),
    )
    def open(
        self,
        market: int,
        strike: int,
        width: int,
        size: int,
        rate: int,
        writing: int,
        life: int,
    ) -> None:
        terms = Terms(
            *(self.who[0], market, strike * WAD, max(0, strike - width) * WAD, strike * WAD),
            *(size, rate, self.now + writing, self.now + writing + ACTIVATION_TIME + life),
        )
        receipt, number = self.both(
            lambda: self.world.put.open(camel(terms), sender=self.owner),
            lambda t: self.put.open(terms, t),
        )
        if receipt is not None:
            assert receipt.one("SeriesOpened").series == number

    @rule(market=markets, size=st.integers(1, 10**5), life=st.integers(1, 9 * DAY))
    def start(self, market: int, size: int, life: int) -> None:
        """A series that is full and may run: most random terms never get that far."""
        self.move(market, PRICE, 2, 1)
        self.open(market, 900, 300, size, 1_000, DAY, life)
        number = len(self.put.series)
        self.write(number, 1, size // 3, 1)
        self.write(number, 2, size - size // 3, 1)
        self.activate(number, 1)

    @rule(number=numbers, u=st.integers(1, 2), assets=amounts, delay=delays)
    def write(self, number: int, u: int, assets: int, delay: int) -> None:
        self.both(
            lambda: self.world.put.write(number, assets, sender=self.who[u]),
            lambda t: self.put.write(number, self.who[u], assets, t),
            delay,
        )

    @rule(number=numbers, delay=delays)
    def activate(self, number: int, delay: int) -> None:
        receipt, premium = self.both(
            lambda: self.world.put.activate(number, sender=self.owner),
            lambda t: self.put.activate(number, t),
            delay,
        )
        if receipt is not None:
            assert receipt.one("Activated").premium == premium

    @rule(number=numbers, delay=delays)
    def settle(self, number: int, delay: int) -> None:
        self.settle_at(number, delay)

    @rule(
        market=markets,
        answer=answers,
        working=st.integers(0, 2),
        wait=st.sampled_from(
            [0, 1, AGREEMENT_TIME - 3, AGREEMENT_TIME, SETTLE_TIME - 3, SETTLE_TIME]
        ),
    )
    def settle_oldest(self, market: int, answer: int, working: int, wait: int) -> None:
        """Waits for an expiry, observes a price after it, and settles."""
        running = self.put.active.get((self.who[0], market))
        if not running:
            return
        expiry = self.put.series[running[0]].terms.expiry
        self.move(market, answer, working, max(1, expiry + wait - self.now))
        self.settle_at(running[0], 1)

    def settle_at(self, number: int, delay: int) -> None:
        receipt, rest = self.both(
            lambda: self.world.put.settle(number, sender=self.owner),
            lambda t: self.put.settle(number, t),
            delay,
        )
        if receipt is not None:
            assert receipt.one("Settled").toFund == rest

    @rule(number=numbers, u=st.integers(1, 2), delay=delays)
    def withdraw(self, number: int, u: int, delay: int) -> None:
        receipt, assets = self.both(
            lambda: self.world.put.withdraw(number, sender=self.who[u]),
            lambda t: self.put.withdraw(number, self.who[u], t),
            delay,
        )
        if receipt is not None:
            assert receipt.one("Withdrawn").assets == assets

    # --- events

    @rule(
        claims=st.lists(st.tuples(markets, st.integers(0, 2 * 10**5)), max_size=3),
        reward=st.integers(0, 100),
        delay=st.integers(1, 600),
    )
    def cover(self, claims: list[tuple[int, int]], reward: int, delay: int) -> None:
        name, later = self.who[0], self.now + delay
        for market, assets in claims[:1]:
            preview = self.chain.previewCover.call(name, market, assets, at=later)
            expected = self.fund.preview_cover(name, market, assets, later)
            assert preview._asdict() == vars(expected)
        before = self.world.base.token.balanceOf(name)
        receipt, result = self.both(
            lambda: self.chain.cover(ACCOUNT, claims, reward, sender=name),
            lambda t: self.fund.cover(name, claims, reward, t),
            delay,
        )
        assert receipt is not None
        seen = [Legs(**e.legs._asdict()) for e in receipt.find("Covered")]
        wanted = [assets for _, assets in claims if assets]
        assert seen == [leg for leg, (_, assets) in zip(result.legs, claims, strict=True) if assets]
        assert all(leg.total <= most for leg, most in zip(seen, wanted, strict=True))
        from_put = sum(e.assets for e in receipt.find("PutPaid"))
        assert from_put == sum(leg.reinsurance for leg in seen)
        assert self.world.base.token.balanceOf(name) - before == result.paid

    # --- what must hold

    @invariant()
    def same(self) -> None:
        put, name = self.world.put, self.who[0]
        assert put.seriesCount() == len(self.put.series)
        assert put.owedToFund() == self.put.owed_to_fund == 0
        assert self.chain.reserve() == self.fund.reserve
        assert self.chain.backing() == self.fund.backing
        premium = self.fund.premium
        assert tuple(self.chain.premium()) == (premium.budget, premium.share, premium.cap)
        for market in MARKETS:
            running = self.put.active.get((name, market), [])
            assert list(put.activeSeries(name, market)) == running
            # the views see the time of the latest block
            capacity = put.capacity.call(name, market, at=self.now)
            assert capacity == self.put.capacity(name, market, self.now)
            quote = put.quote.call(name, market, 10**30, at=self.now)
            assert quote == self.put.quote(name, market, 10**30, self.now)
        for number, series in self.put.series.items():
            status = put.statusOf.call(number, at=self.now)
            assert tuple(status) == (
                series.state(self.now),
                series.notional(6),
                series.written,
                series.premium,
                series.paid,
            )
            for who in self.who[1:3]:
                seen = put.position.call(number, who, at=self.now)
                assert tuple(seen) == self.put.position(number, who, self.now)

    @invariant()
    def collateral_suffices(self) -> None:
        """What the put holds covers every series at its worst, and every underwriter's part."""
        held = self.world.base.token.balanceOf(self.world.put.address)
        assert held == self.put.held
        owed = 0
        for series in self.put.series.values():
            assert series.paid <= series.written <= series.terms.size
            assert sum(series.positions.values()) <= series.written
            if series.written:
                owed += sum(series.part(mine) for mine in series.positions.values())
        assert held >= owed
        assert all(len(running) <= 4 for running in self.put.active.values())

    @invariant()
    def fund_holds_its_ledger(self) -> None:
        held = self.world.base.token.balanceOf(self.world.base.fund.address)
        assert held == self.fund.total_capital + self.fund.premium.budget


def camel(terms: Terms) -> dict[str, Any]:
    """The contract's names for the fields."""
    parts = {name: name.split("_") for name in vars(terms)}
    return {
        first + "".join(word.capitalize() for word in rest): getattr(terms, name)
        for name, (first, *rest) in parts.items()
    }


def test_the_put_against_its_twin(rpc: Any, project: Any, accounts: Any) -> None:
    with rpc.isolated():
        base = deploy_fund(rpc, project.get_contract, accounts[0].address)
        world = deploy_put(base, project.get_contract, dict.fromkeys(MARKETS, PRICE))
        names = tuple(accounts[i].address for i in (1, 2, 3))
        for name in (*names, accounts[0].address):
            world.give(name, 10**15)
        machine = type("Machine", (PutMachine,), {"world": world, "who": names})
        run_state_machine_as_test(machine)
