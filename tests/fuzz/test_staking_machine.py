"""Stakers, losses and income at random, on the contracts and on the exact twin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from backstop.harness.fund import FundWorld, deploy_fund
from backstop.harness.rpc import Receipt, Reverted, RpcClient
from backstop.model.errors import ModelError
from backstop.model.fund import ClaimantLimits, InsuranceFund, Legs, MarketLimits

pytestmark = pytest.mark.fuzz

DAY = 86_400
HUGE = 2**104 - 1
ACCOUNT = b"\x33" * 32
PEOPLE = 3

assets_ = st.one_of(st.integers(0, 100), st.integers(0, 10**9), st.just(2**256 - 1))
shares_ = st.one_of(st.integers(0, 10**4), st.integers(0, 10**12), st.just(2**256 - 1))
parts = st.integers(0, 999)
person = st.integers(0, PEOPLE - 1)
delays = st.one_of(st.integers(1, 3_600), st.integers(1, 9 * DAY), st.integers(1, 30 * DAY))


class StakingMachine(RuleBasedStateMachine):
    """Three stakers; the claimant is a fourth account, without limits that matter."""

    world: FundWorld
    people: tuple[str, ...]
    claimant: str

    def __init__(self) -> None:
        super().__init__()
        self.snapshot = self.world.client.snapshot()
        self.model = InsuranceFund()
        self.receipts: dict[int, bytes] = {}
        self.now = self.world.client.timestamp
        limits = ClaimantLimits(HUGE, HUGE, 1)
        self.both(
            lambda f, t, s: f.setClaimant(self.claimant, (HUGE, HUGE, 1), sender=s),
            lambda m, n: m.set_claimant(self.claimant, limits, n),
        )
        self.both(
            lambda f, t, s: f.setClaimantMarket(self.claimant, 0, (0, HUGE), sender=s),
            lambda m, n: m.set_claimant_market(self.claimant, 0, MarketLimits(0, HUGE), n),
        )
        self.set_terms(10**12, 14 * DAY)
        for who in range(PEOPLE):
            self.deposit(who, who, 10 ** (7 + who), 1)
        self.request(0, 0, 500, 1)

    def teardown(self) -> None:
        self.world.client.revert(self.snapshot)

    def both(
        self,
        chain: Callable[[Any, Any, str], Receipt],
        twin: Callable[[InsuranceFund, int], Any],
        delay: int = 1,
    ) -> tuple[Receipt | None, Any]:
        self.now += delay
        self.world.client.set_next_timestamp(self.now)
        receipt, result, chain_error, twin_error = None, None, None, None
        try:
            receipt = chain(self.world.fund, self.world.tranche, self.world.owner)
        except Reverted as error:
            chain_error = (error.name, tuple(error.arguments.values()))
        try:
            result = twin(self.model, self.now)
        except ModelError as error:
            twin_error = (error.name, error.args)
        assert chain_error == twin_error
        return receipt, result

    @rule(cap=st.sampled_from([0, 10**9, 10**12, 2**112]), cooldown=st.integers(0, 30 * DAY))
    def set_terms(self, cap: int, cooldown: int) -> None:
        self.both(
            lambda f, t, s: t.setTerms(cap, cooldown, sender=s),
            lambda m, n: m.staking.set_terms(cap, cooldown),
        )

    @rule(who=person, to=person, assets=assets_, delay=delays)
    def deposit(self, who: int, to: int, assets: int, delay: int) -> None:
        receipt, shares = self.both(
            lambda f, t, s: t.deposit(assets, self.people[to], sender=self.people[who]),
            lambda m, n: m.staking.deposit(self.people[to], assets, n),
            delay,
        )
        if receipt is not None:
            assert receipt.one("Deposit").shares == shares

    @rule(who=person, shares=shares_)
    def mint(self, who: int, shares: int) -> None:
        receipt, assets = self.both(
            lambda f, t, s: t.mint(shares, self.people[who], sender=self.people[who]),
            lambda m, n: m.staking.mint(self.people[who], shares, n),
        )
        if receipt is not None:
            assert receipt.one("Deposit").assets == assets

    @rule(who=person, to=person, part=parts)
    def transfer(self, who: int, to: int, part: int) -> None:
        shares = self.model.staking.balance_of(self.people[who]) * part // 999
        self.both(
            lambda f, t, s: t.transfer(self.people[to], shares, sender=self.people[who]),
            lambda m, n: m.staking.transfer(self.people[who], self.people[to], shares),
        )

    @rule(who=person, to=person, part=parts, delay=delays)
    def request(self, who: int, to: int, part: int, delay: int) -> None:
        owner, controller = self.people[who], self.people[to]
        shares = self.model.staking.balance_of(owner) * part // 999
        receipt, result = self.both(
            lambda f, t, s: t.requestRedeem(shares, controller, owner, sender=owner),
            lambda m, n: m.staking.request_redeem(owner, controller, shares, n),
            delay,
        )
        if receipt is not None:
            assert receipt.one("RedeemRequest").requestId == result[0]

    @rule(who=person, request=st.integers(0, 6), delay=delays)
    def claim(self, who: int, request: int, delay: int) -> None:
        me = self.people[who]
        self.paid(
            lambda f, t, s: t.claim(request, me, me, sender=me),
            lambda m, n: m.staking.claim(me, request, n),
            delay,
        )

    @rule(who=person, part=parts, delay=delays)
    def redeem(self, who: int, part: int, delay: int) -> None:
        me = self.people[who]
        shares = self.model.staking.holder(me).request_shares * part // 999
        self.paid(
            lambda f, t, s: t.redeem(shares, me, me, sender=me),
            lambda m, n: m.staking.redeem(me, shares, n),
            delay,
        )

    @rule(who=person, assets=assets_)
    def withdraw(self, who: int, assets: int) -> None:
        me = self.people[who]
        receipt, shares = self.both(
            lambda f, t, s: t.withdraw(assets, me, me, sender=me),
            lambda m, n: m.staking.withdraw(me, assets, n),
        )
        if receipt is not None:
            event = receipt.one("Withdraw")
            assert (event.assets, event.shares) == (assets, shares)

    def paid(
        self,
        chain: Callable[[Any, Any, str], Receipt],
        twin: Callable[[InsuranceFund, int], int],
        delay: int,
    ) -> None:
        receipt, assets = self.both(chain, twin, delay)
        if receipt is not None:
            assert receipt.one("Withdraw").assets == assets
            assert sum(e.value for e in receipt.find("Transfer")) == assets

    @rule(assets=st.one_of(st.integers(0, 100), st.integers(0, 10**8)))
    def fund_stakers(self, assets: int) -> None:
        self.both(
            lambda f, t, s: f.fundStakers(assets, sender=s),
            lambda m, n: m.fund_stakers(assets, n),
        )

    @rule(assets=st.integers(0, 10**6), ppm=st.integers(0, 10**6))
    def income(self, assets: int, ppm: int) -> None:
        self.both(
            lambda f, t, s: f.setStakerShare(ppm, sender=s),
            lambda m, n: m.set_staker_share(ppm),
        )
        self.both(
            lambda f, t, s: f.receiveIncome(0, assets, sender=self.claimant),
            lambda m, n: m.receive_income(self.claimant, 0, assets, n),
        )

    @rule()
    def hold(self) -> None:
        self.both(lambda f, t, s: f.holdMaturity(sender=s), lambda m, n: m.staking.hold_maturity(n))

    @rule(part=st.one_of(parts, st.sampled_from([990, 998, 999])), less=st.integers(0, 3))
    def lose(self, part: int, less: int) -> None:
        """A part of everything the fund has, often almost all of it."""
        later = self.now + 1
        capital = self.model.total_capital + self.model.staking.slashable(later)
        assets = max(0, capital * part // 999 - less)
        preview = self.world.fund.previewCover.call(self.claimant, 0, assets, at=later)
        assert Legs(*preview) == self.model.preview_cover(self.claimant, 0, assets, later)
        receipt, result = self.both(
            lambda f, t, s: f.cover(ACCOUNT, [(0, assets)], 0, sender=self.claimant),
            lambda m, n: m.cover(self.claimant, [(0, assets)], 0, n),
        )
        assert receipt is not None and not receipt.find("CoverFailed")
        assert sum(e.value for e in receipt.find("Transfer")) == result.paid == assets
        for recorded in receipt.find("ReceiptRecorded"):
            self.receipts[recorded.eventId] = bytes(recorded.receipt)
        assert set(self.receipts) == set(self.model.recoveries)
        if slashed := receipt.find("Slashed"):
            assert slashed[0].loss == result.legs[0].staked
            assert slashed[0].fromActive + sum(slashed[0].cuts) == slashed[0].loss

    @rule(event=st.integers(0, 5), part=parts, more=st.integers(0, 2), delay=delays)
    def recover(self, event: int, part: int, more: int, delay: int) -> None:
        """A part of what is open of some event comes back, sometimes more than that."""
        known = sorted(self.model.recoveries)
        number = known[event % len(known)] if known else event
        record = self.model.recoveries.get(number)
        assets = (record.open * part // 999 if record else 1) + more
        self.both(
            lambda f, t, s: f.recover(number, self.receipts.get(number, b""), assets, sender=s),
            lambda m, n: m.recover(number, assets, n),
            delay,
        )

    @rule(who=person, era=st.integers(0, 4), bucket=st.integers(0, 3))
    def collect(self, who: int, era: int, bucket: int) -> None:
        me = self.people[who]
        receipt, assets = self.both(
            lambda f, t, s: t.collect(me, era, bucket, sender=s),
            lambda m, n: m.staking.collect(me, era, bucket),
        )
        if receipt is not None:
            assert receipt.one("RecoveryCollected").assets == assets

    @invariant()
    def recovered_belongs_to_those_who_lost(self) -> None:
        """Nobody can collect what is not there, and all but rounding can be collected."""
        model, total = self.model.staking, 0
        for (era, part), back in model.returned.items():
            for who in self.people:
                amount = model.collectable(who, era, part)
                assert self.world.tranche.collectable(who, era, part) == amount
                total += amount
            given = sum(model.collected.get((who, era, part), 0) for who in self.people)
            waiting = sum(model.collectable(who, era, part) for who in self.people)
            assert back.assets - PEOPLE <= given + waiting <= back.assets or back.units == 0
        assert total <= model.uncollected == self.world.tranche.uncollected()

    @invariant()
    def same(self) -> None:
        t, model, now = self.world.tranche, self.model.staking, self.now
        assert t.totalSupply() == model.supply
        assert t.series() == model.series
        assert t.totalAssets.call(at=now) == model.total_assets(now)
        assert t.slashable.call(at=now) == model.slashable(now)
        assert tuple(t.openBuckets.call(at=now)) == (model.first_open(now), model.epoch)
        for number in range(1, model.epoch + 1):
            state, is_open = t.bucket.call(number, at=now)
            expected = model.bucket(number)
            assert tuple(state) == (expected.assets, expected.shares, expected.maturity)
            assert is_open == (number >= model.first_open(now))
        for number, record in self.model.recoveries.items():
            assert self.world.fund.recovery(number).recovered == record.recovered
        for who in self.people:
            assert t.balanceOf(who) == model.balance_of(who)
            for number in range(1, model.epoch + 1):
                fixed, shares = model.is_fixed(number, now), model.requested(who, number)
                assert t.claimableRedeemRequest.call(number, who, at=now) == fixed * shares
                assert t.pendingRedeemRequest.call(number, who, at=now) == (not fixed) * shares

    @invariant()
    def conservation(self) -> None:
        held = self.world.token.balanceOf(self.world.fund.address)
        assert held == self.model.total_capital + self.model.staking.held()

    @invariant()
    def books_add_up(self) -> None:
        """Shares of holders sum to the supply, of requests to their bucket."""
        model = self.model.staking
        assert sum(model.balance_of(who) for who in self.people) == model.supply
        for number, bucket in model.buckets.items():
            assert sum(model.requested(who, number) for who in self.people) == bucket.shares


def test_staking_against_its_twin(rpc: RpcClient, project: Any, accounts: Any) -> None:
    with rpc.isolated():
        world = deploy_fund(rpc, project.get_contract, accounts[0].address)
        names = tuple(accounts[i].address for i in range(1, PEOPLE + 2))
        for name in (*names, accounts[0].address):
            world.give(name, 10**18)
        members = {"world": world, "people": names[:PEOPLE], "claimant": names[PEOPLE]}
        run_state_machine_as_test(type("Machine", (StakingMachine,), members))
