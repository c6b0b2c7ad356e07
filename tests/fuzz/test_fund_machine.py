"""Random actions, valid or not, on the contract and its exact twin, compared field by field."""

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

MARKETS = (0, 1, 2)
ACCOUNT = b"\x22" * 32
DAY = 86_400
TARGET = 2 * 10**6
RULES = (1, DAY, 1, 1, 0, 0)
MAX112, MAX104 = 2**112 - 1, 2**104 - 1

amounts = st.one_of(
    st.integers(0, 50), st.integers(0, 10**7), st.sampled_from([10**30, MAX112, 2**256 - 1])
)
payments = st.one_of(st.integers(0, 50), st.integers(0, 10**7))
limits_of_claimants = st.builds(
    ClaimantLimits,
    st.one_of(st.integers(0, 10**7), st.sampled_from([MAX112, MAX112 + 1])),
    st.one_of(st.integers(0, 10**7), st.sampled_from([MAX104, MAX104 + 1])),
    st.one_of(st.integers(0, 3), st.integers(1, 10**6), st.just(2**32 - 1)),
)
limits_of_markets = st.builds(
    MarketLimits,
    st.one_of(st.integers(0, 10**7), st.sampled_from([MAX112, MAX112 + 1])),
    st.one_of(st.integers(0, 10**7), st.sampled_from([MAX104, MAX104 + 1])),
)
delays = st.one_of(st.integers(1, 5), st.integers(1, 2 * 86_400))
who = st.integers(0, 2)
market_numbers = st.sampled_from(MARKETS)


class FundMachine(RuleBasedStateMachine):
    """Claimant 2 is never registered at the start; everybody has money."""

    world: FundWorld
    claimants: tuple[str, ...]
    oracle: str

    def __init__(self) -> None:
        super().__init__()
        self.snapshot = self.world.client.snapshot()
        self.model = InsuranceFund()
        self.now = self.world.client.timestamp
        self.both(
            lambda f, s: f.setRiskOracle(self.oracle, sender=s),
            lambda m, t: (m.new_target(t, 0), m.note_solvency(t, TARGET)),
        )
        for claimant in self.claimants[:2]:
            self.both(
                lambda f, n, c=claimant: f.setClaimant(c, (10**6, 3 * 10**6, 3600), sender=n),
                lambda m, t, c=claimant: m.set_claimant(
                    c, ClaimantLimits(10**6, 3 * 10**6, 3600), t
                ),
            )
            self.both(
                lambda f, n, c=claimant: f.setClaimantMarket(c, 0, (10**6, 2 * 10**6), sender=n),
                lambda m, t, c=claimant: m.set_claimant_market(
                    c, 0, MarketLimits(10**6, 2 * 10**6), t
                ),
            )

    def teardown(self) -> None:
        self.world.client.revert(self.snapshot)

    def both(
        self,
        chain: Callable[[Any, str], Receipt],
        twin: Callable[[InsuranceFund, int], Any],
        delay: int = 1,
    ) -> tuple[Receipt | None, Any]:
        """Runs both at the same time and checks that both succeed, or fail with the same error."""
        self.now += delay
        self.world.client.set_next_timestamp(self.now)
        receipt, result, chain_error, twin_error = None, None, None, None
        try:
            receipt = chain(self.world.fund, self.world.owner)
        except Reverted as error:
            chain_error = (error.name, tuple(error.arguments.values()))
        try:
            result = twin(self.model, self.now)
        except ModelError as error:
            twin_error = (error.name, error.args)
        assert chain_error == twin_error
        return receipt, result

    @rule(c=who, limits=limits_of_claimants, tighten=st.booleans(), delay=delays)
    def set_claimant(self, c: int, limits: ClaimantLimits, tighten: bool, delay: int) -> None:
        name = self.claimants[c]
        if tighten:
            self.both(
                lambda f, s: f.tightenClaimant(name, limits, sender=s),
                lambda m, t: m.tighten_claimant(name, limits, t),
                delay,
            )
        else:
            self.both(
                lambda f, s: f.setClaimant(name, limits, sender=s),
                lambda m, t: m.set_claimant(name, limits, t),
                delay,
            )

    @rule(
        c=who,
        market=market_numbers,
        limits=limits_of_markets,
        tighten=st.booleans(),
        delay=delays,
    )
    def set_market(
        self, c: int, market: int, limits: MarketLimits, tighten: bool, delay: int
    ) -> None:
        name = self.claimants[c]
        if tighten:
            self.both(
                lambda f, s: f.tightenClaimantMarket(name, market, limits, sender=s),
                lambda m, t: m.tighten_claimant_market(name, market, limits, t),
                delay,
            )
        else:
            self.both(
                lambda f, s: f.setClaimantMarket(name, market, limits, sender=s),
                lambda m, t: m.set_claimant_market(name, market, limits, t),
                delay,
            )

    @rule(c=who, market=market_numbers, assets=payments)
    def income(self, c: int, market: int, assets: int) -> None:
        name = self.claimants[c]
        receipt, parts = self.both(
            lambda f, _: f.receiveIncome(market, assets, sender=name),
            lambda m, t: m.receive_income(name, market, assets, t),
        )
        if receipt is not None:
            event = receipt.one("IncomeReceived")
            assert (event.toCompartment, event.toReserve) == parts

    @rule(c=who, market=market_numbers, assets=payments)
    def gift(self, c: int, market: int, assets: int) -> None:
        name = self.claimants[c]
        self.both(
            lambda f, s: f.fundCompartment(name, market, assets, sender=s),
            lambda m, _: m.fund_compartment(name, market, assets),
        )

    @rule(assets=payments)
    def fund_reserve(self, assets: int) -> None:
        self.both(
            lambda f, s: f.fundReserve(assets, sender=s), lambda m, t: m.fund_reserve(assets, t)
        )

    @rule(wanted=amounts)
    def set_target(self, wanted: int) -> None:
        self.both(
            lambda f, s: f.setReserveTarget(wanted, sender=s),
            lambda m, t: m.set_reserve_target(wanted, t),
        )

    @rule(time=st.one_of(st.integers(0, 10**6), st.just(2**32)), delay=delays)
    def refill_terms(self, time: int, delay: int) -> None:
        self.both(
            lambda f, s: f.setRefillTime(time, sender=s),
            lambda m, _: m.set_refill_time(time),
            delay,
        )
        self.both(lambda f, s: f.noteReserveGap(sender=s), lambda m, t: m.note_reserve_gap(t))

    @rule(assets=payments)
    def release(self, assets: int) -> None:
        self.both(
            lambda f, s: f.releaseReserve(s, assets, sender=s),
            lambda m, t: m.release_reserve(self.world.owner, assets, t, TARGET),
        )

    @rule(assets=payments, delay=delays)
    def backing(self, assets: int, delay: int) -> None:
        self.both(
            lambda f, s: f.fundBacking(assets, sender=s), lambda m, _: m.fund_backing(assets), delay
        )
        self.both(
            lambda f, s: f.releaseBacking(s, assets // 2, sender=s),
            lambda m, t: m.release_backing(self.world.owner, assets // 2, t),
        )

    @rule(delay=st.one_of(delays, st.integers(DAY, 40 * DAY)))
    def solvency(self, delay: int) -> None:
        receipt, lagged = self.both(
            lambda f, s: f.noteSolvency(sender=s), lambda m, t: m.note_solvency(t, TARGET), delay
        )
        assert receipt is not None
        assert receipt.one("SolvencyNoted").laggedRatio == lagged
        assert tuple(self.world.fund.surplus.call(at=self.now)) == self.model.surplus(
            self.now, TARGET
        )

    @rule(assets=payments)
    def donate(self, assets: int) -> None:
        self.world.token.mint(self.world.fund.address, assets, sender=self.world.owner)
        self.donated = getattr(self, "donated", 0) + assets
        self.now = self.world.client.timestamp

    @rule(
        c=who,
        claims=st.lists(st.tuples(market_numbers, amounts), max_size=4),
        reward=amounts,
        delay=delays,
    )
    def cover(self, c: int, claims: list[tuple[int, int]], reward: int, delay: int) -> None:
        name = self.claimants[c]
        later = self.now + delay
        for market, assets in claims[:1]:
            preview = self.world.fund.previewCover.call(name, market, assets, at=later)
            assert Legs(*preview) == self.model.preview_cover(name, market, assets, later)
        before = self.world.token.balanceOf(name)
        receipt, result = self.both(
            lambda f, _: f.cover(ACCOUNT, claims, reward, sender=name),
            lambda m, t: m.cover(name, claims, reward, t),
            delay,
        )
        if receipt is None:
            return
        expected = [
            (result.event_id, name, market, assets, leg)
            for (market, assets), leg in zip(claims, result.legs, strict=True)
            if assets
        ]
        seen = [
            (e.eventId, e.claimant, e.market, e.claimed, Legs(*e.legs))
            for e in receipt.find("Covered")
        ]
        assert seen == expected
        rewards = [e.assets for e in receipt.find("KeeperRewardPaid")]
        assert sum(rewards) == result.reward_paid
        assert self.world.token.balanceOf(name) - before == result.paid
        assert all(
            leg.total <= assets for (_, assets), leg in zip(claims, result.legs, strict=True)
        )

    @invariant()
    def same(self) -> None:
        fund, model = self.world.fund, self.model
        assert fund.reserve() == model.reserve
        assert fund.totalCompartments() == model.compartments
        assert fund.reserveTarget() == model.reserve_target
        assert tuple(fund.reserveGap()) == model.reserve_gap()
        assert fund.eventCount() == model.events
        assert fund.totalCapital() == model.total_capital
        for name in self.claimants:
            limits = model.claimant(name).limits
            assert tuple(fund.claimantLimits(name)) == (
                limits.per_claim,
                limits.per_window,
                limits.window,
            )
            for market in MARKETS:
                m = model.market(name, market)
                assert fund.compartment(name, market) == m.balance
                room = tuple(fund.drawRoom.call(name, market, at=self.now))
                assert room == model.draw_room(name, market, self.now)

    @invariant()
    def conservation(self) -> None:
        """Tokens held = ledger + what strangers gave away."""
        held = self.world.token.balanceOf(self.world.fund.address)
        assert held == self.model.total_capital + getattr(self, "donated", 0)
        assert self.model.compartments == sum(m.balance for m in self.model.markets.values())


def test_fund_against_its_twin(rpc: RpcClient, project: Any, accounts: Any) -> None:
    with rpc.isolated():
        world = deploy_fund(rpc, project.get_contract, accounts[0].address)
        names = tuple(accounts[i].address for i in (1, 2, 3))
        for name in (*names, accounts[0].address):
            world.give(name, 10**15)
        artifact = project.get_contract("RiskOracle")
        oracle = rpc.deploy(artifact, world.manager.address, TARGET, RULES, sender=world.owner)
        known = {"world": world, "claimants": names, "oracle": oracle.address}
        machine = type("Machine", (FundMachine,), known)
        run_state_machine_as_test(machine)
