"""Claims that wait for a fair window, end to end on the contracts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from backstop.chain.config import Parameters
from backstop.chain.deploy import RpcDeployer, deploy
from backstop.harness.abi import abi_of
from backstop.harness.anvil import account_address
from backstop.harness.bench import ROOT, SCALE, WAD, Bench
from backstop.harness.rpc import Contract, RpcClient, expect_revert

KEEPER = 4
SHORT = 2
MINUTES = 15
A, B, C = 2, 3, 4
UNIT = 10**6
NO_FEES = {"makerFeePpm": 0, "takerFeePpm": 0, "rewardPpm": 0}


@pytest.fixture
def short_fund(bench: Bench) -> Bench:
    """Markets A, B and C have no fees and no compartments; the fund's shared layers hold 100."""
    at = bench.engine.address
    bench.fund.setClaimant(at, (10**12, 10**12, 86_400), sender=bench.owner)
    for market in (A, B, C):
        assert bench.list_market() == market
        bench.set_market(market, **NO_FEES)
        bench.fund.setClaimantMarket(at, market, (0, 10**12), sender=bench.owner)
        bench.engine.setFairWindow(market, MINUTES, sender=bench.owner)
    leave_in_fund(bench, 100)
    for user in (SHORT, KEEPER, 9):
        bench.deposit(user, 1_000_000)
    return bench


def capital(bench: Bench) -> int:
    """What the shared layers hold, units of the token."""
    return int(bench.fund.totalCapital() - bench.fund.totalCompartments())


def leave_in_fund(bench: Bench, tokens: int) -> None:
    """Another claimant draws the shared layers down."""
    me = bench.owner
    bench.fund.setClaimant(me, (10**14, 10**14, 1), sender=me)
    bench.fund.setClaimantMarket(me, 0, (0, 10**14), sender=me)
    bench.fund.cover(bytes(32), [(0, capital(bench) - tokens * UNIT)], 0, sender=me)
    assert capital(bench) == tokens * UNIT


def move(bench: Bench, market: int, price: int) -> None:
    """Both feeds of a market say so for ten minutes, and the mark is there."""
    feeds = bench.system.oracle.feeds(market)
    abi = abi_of(bench.system.artifacts("MockFeed"))
    for feed in (feeds.primary, feeds.secondary):
        contract = Contract(bench.rpc, feed.source, abi)
        contract.push(price * 10**8, sender=bench.owner)
    bench.rpc.warp(600)
    bench.engine.poke(market, sender=bench.owner)


def ruin(bench: Bench, deficits: Sequence[int], markets: Sequence[int]) -> None:
    """Users 5, 6, 7 are long 20 each; at 80 they are that much below zero."""
    for user, deficit, market in zip((5, 6, 7), deficits, markets, strict=False):
        bench.deposit(user, 400 - deficit)
        bench.trade(user, SHORT, 20, 100, market=market)
    for market in set(markets):
        move(bench, market, 80)


def close_out(bench: Bench, user: int) -> Any:
    return bench.liquidator.closeOut(
        bench.account(user), bench.account(KEEPER), False, sender=bench.users[KEEPER]
    )


def close_window(bench: Bench) -> Any:
    bench.rpc.warp(MINUTES * 60)
    return bench.engine.closeFairWindow(sender=bench.users[9])


@pytest.mark.parametrize(
    ("deficits", "paid"),
    [((80, 70, 50), (40, 35, 25)), ((100, 100, 100), (33.333333, 33.333333, 33.333333))],
)
def test_known_answers_one_claim_a_market(
    short_fund: Bench, deficits: Sequence[int], paid: Sequence[float]
) -> None:
    bench = short_fund
    ruin(bench, deficits, (A, B, C))
    for market, user in enumerate((5, 6, 7), start=A):
        receipt = close_out(bench, user)
        waits = receipt.one("ClaimDeferred")
        assert (waits.window, waits.market, waits.amount) == (1, market, deficits[market - A] * WAD)
        legs = receipt.one("ShortfallResolved").receipt
        assert legs.sideCharged == legs.deficit == deficits[market - A] * WAD
        assert bench.engine.openDeficit(market) == deficits[market - A] * UNIT
    assert capital(bench) == 100 * UNIT
    close_window(bench)
    for market, amount in enumerate(paid, start=A):
        rate = bench.engine.windowRate(1, market)
        assert (rate.paid, rate.claims) == (round(amount * UNIT), deficits[market - A] * UNIT)
        assert bench.engine.openDeficit(market) == 0
        # the last tear-up of a market ended the side that was charged
        bench.engine.repayEnded(market, 1, sender=bench.users[9])
    accounts = [bench.account(user) for user in (1, 2, 3, KEEPER, 5, 6, 7, 9)]
    assert 0 <= bench.engine_surplus(accounts, markets=5) < 10**6


def test_three_claims_of_one_market_and_the_side_that_ended_meanwhile(short_fund: Bench) -> None:
    """Shorts bear 200 and get 100 back, although the last tear-up ended their side."""
    bench = short_fund
    ruin(bench, (80, 70, 50), (A, A, A))
    assert bench.state(SHORT).equity == (1_000_000 + 60 * 20) * WAD
    for user in (5, 6, 7):
        close_out(bench, user)
    now = bench.state(SHORT).equity
    assert now == pytest.approx((1_001_200 - 200) * WAD, abs=10)
    assert bench.size(SHORT, A) == 0
    with expect_revert("FairWindowIsOpen", window=1):
        bench.engine.repayEnded(A, 1, sender=bench.users[9])
    close_window(bench)
    assert bench.state(SHORT).equity == now
    bench.engine.repayEnded(A, 1, sender=bench.users[9])
    assert bench.state(SHORT).equity == pytest.approx(now + 100 * WAD, abs=10)
    with expect_revert("NoWindowClaim", window=0):
        bench.engine.repayEnded(A, 1, sender=bench.users[9])


def test_neither_leaving_early_nor_joining_late_pays(short_fund: Bench) -> None:
    """User 1 holds, user 3 leaves between two claims, the keeper joins between them."""
    bench = short_fund
    bench.deposit(1, 100_000)
    bench.deposit(3, 100_000)
    bench.trade(9, 1, 20, 100, market=A)  # like user 2 for the victims
    bench.trade(9, 3, 20, 100, market=A)
    ruin(bench, (60, 100, 60), (A, A, B))
    before = {user: bench.state(user).equity for user in (1, 3, KEEPER)}
    close_out(bench, 5)  # shorts of 80 are charged 60
    # user 3 leaves, the keeper joins
    events = bench.trade(3, KEEPER, size_of(bench, 3), 80, market=A).find("WindowRecorded")
    left = bench.engine.windowRecord(bench.account(3), A, 1)
    joined = bench.engine.windowRecord(bench.account(KEEPER), A, 1)
    assert left[0] == pytest.approx(15 * WAD, abs=10) and left[1] == 0
    assert joined[1] == pytest.approx(15 * WAD, abs=10) and joined[0] == 0
    assert [(e.window, e.market, e.account, e.left, e.joined) for e in events] == [
        (1, A, bench.account(3), left[0], 0),
        (1, A, bench.account(KEEPER), 0, joined[1]),
    ]
    close_out(bench, 6)  # and 100
    with expect_revert("FairWindowIsOpen"):
        bench.engine.collectWindow(bench.account(3), A, 1, sender=bench.users[9])
    close_window(bench)
    rate = bench.engine.windowRate(1, A)
    assert (rate.paid, rate.claims) == (100 * UNIT, 160 * UNIT)
    for user in (3, KEEPER):
        bench.engine.collectWindow(bench.account(user), A, 1, sender=bench.users[9])
    lost = {user: before[user] - bench.state(user).equity for user in before}
    part = 1 - 100 / 160
    # 60 were borne by 80 base, 100 by the 60 that the first tear-up left
    assert lost[1] == pytest.approx((15 + 25) * part * WAD, abs=10**3)
    assert lost[3] == pytest.approx(15 * part * WAD, abs=10**3)
    assert lost[KEEPER] == pytest.approx(25 * part * WAD, abs=10**3)
    accounts = [bench.account(user) for user in (1, 2, 3, KEEPER, 5, 6, 7, 9)]
    assert 0 <= bench.engine_surplus(accounts, markets=5) < 10**6
    with expect_revert("NoWindowClaim"):
        bench.engine.collectWindow(bench.account(3), A, 1, sender=bench.users[9])


def size_of(bench: Bench, user: int) -> Any:
    """Size of a position in whole base."""
    return Decimal(abs(bench.size(user, A))) / WAD


def test_of_a_position_only_what_leaves_or_joins_moves_claims(short_fund: Bench) -> None:
    """With C, what the side was charged per unit of basis: floor(basis * C / 1e39) leaves with what
    is closed, and what is added pays ceil(basis * C / 1e39).
    """
    bench = short_fund
    ruin(bench, (80, 70, 50), (A, B, C))
    bench.deposit(1, 1_000)
    bench.trade(1, SHORT, 7, 80, market=A)
    close_out(bench, 5)
    before = bench.engine.sideState(A)
    claims = bench.engine.sideClaims(A, 2 * before.epoch[1] + 1)
    bench.trade(SHORT, 1, 1, 80, market=A)
    basis = before.basis[1] - bench.engine.sideState(A).basis[1]
    left = bench.engine.windowRecord(bench.account(SHORT), A, 1).left
    assert basis * claims.C % 10**39 != 0
    assert left == basis * claims.C // 10**39 > 0
    before = bench.engine.sideState(A)
    bench.trade(1, SHORT, 2, 80, market=A)
    basis = bench.engine.sideState(A).basis[1] - before.basis[1]
    record = bench.engine.windowRecord(bench.account(SHORT), A, 1)
    assert (record.left, record.joined) == (left, -(-basis * claims.C // 10**39))


def test_small_claims_are_paid_at_once_and_switched_off_means_off(short_fund: Bench) -> None:
    bench = short_fund
    ruin(bench, (25, 30, 30), (A, B, C))
    bench.engine.setFairWindow(B, 0, sender=bench.owner)
    assert tuple(bench.engine.claimAtOnce(A, 25 * UNIT, 0)) == (25 * UNIT, 25 * UNIT)
    assert tuple(bench.engine.claimAtOnce(A, 25 * UNIT + 1, 0)) == (0, 0)
    assert tuple(bench.engine.claimAtOnce(A, 15 * UNIT, 40 * UNIT)) == (15 * UNIT, 55 * UNIT)
    assert tuple(bench.engine.claimAtOnce(A, 15 * UNIT + 1, 40 * UNIT)) == (0, 40 * UNIT)
    legs = close_out(bench, 5).one("ShortfallResolved").receipt
    assert (legs.reserve, legs.sideCharged) == (25 * WAD, 0)
    legs = close_out(bench, 6).one("ShortfallResolved").receipt
    assert (legs.reserve, legs.sideCharged) == (30 * WAD, 0)
    assert bench.engine.fairWindow().closesAt == 0
    close_out(bench, 7)  # 30 of 45 waits
    window = bench.engine.fairWindow()
    assert (window.id, window.markets, window.claims) == (1, 1 << C, 30 * UNIT)


def test_closing_takes_what_is_paid_and_no_more(short_fund: Bench) -> None:
    bench = short_fund
    ruin(bench, (30, 10, 10), (A, B, C))
    close_out(bench, 5)
    close_window(bench)
    assert bench.engine.windowRate(1, A).paid == 30 * UNIT
    assert capital(bench) == 70 * UNIT


def test_a_recorded_part_is_repaid_first(short_fund: Bench) -> None:
    bench = short_fund
    ruin(bench, (90, 70, 50), (A, B, C))
    bench.set_market(A, **NO_FEES, chargeCapPpm=10_000)
    legs = close_out(bench, 5).one("ShortfallResolved").receipt
    assert (legs.sideCharged, legs.recorded) == (16 * WAD, 74 * WAD)
    assert bench.engine.openDeficit(A) == 90 * UNIT
    close_window(bench)
    assert bench.engine.marketState(A).recordedDeficit == 0
    assert bench.engine.windowRate(1, A).paid == 90 * UNIT


def test_exits_wait_and_nobody_else_may_call(short_fund: Bench) -> None:
    bench = short_fund
    sender = bench.users[9]
    with expect_revert("NoFairWindow"):
        bench.engine.closeFairWindow(sender=sender)
    with expect_revert("UnknownMarket", market=9):
        bench.engine.setFairWindow(9, 1, sender=bench.owner)
    with expect_revert("AccessManagedUnauthorized", caller=sender):
        bench.engine.setFairWindow(A, 1, sender=sender)
    ruin(bench, (80, 70, 50), (A, B, C))
    close_out(bench, 5)
    held_until = bench.system.tranche.terms().heldUntil
    assert held_until == bench.now() + 3 * 86_400
    closes_at = bench.engine.fairWindow().closesAt
    assert closes_at == bench.now() + MINUTES * 60
    with expect_revert("FairWindowIsOpen", window=1, closesAt=closes_at):
        bench.engine.closeFairWindow(sender=sender)


def test_a_window_stays_open_while_the_token_refuses(short_fund: Bench) -> None:
    bench = short_fund
    ruin(bench, (80, 70, 50), (A, B, C))
    close_out(bench, 5)
    token = bench.system.token.address
    code = bench.rpc.code(token)
    bench.rpc.set_code(token, b"\x5f\x5f\xfd")  # reverts, whatever it is asked
    with expect_revert("FundDidNotPay", market=A):
        close_window(bench)
    assert bench.engine.fairWindow().closesAt != 0
    bench.rpc.set_code(token, code)
    close_window(bench)
    assert bench.engine.windowRate(1, A).paid == 80 * UNIT


@pytest.mark.parametrize("still_on", [True, False])
def test_what_a_bankrupt_account_leaves_is_the_markets(short_fund: Bench, still_on: bool) -> None:
    """User 1 is short, is charged, goes bankrupt inside the window: its claim is income.

    Also if windows were switched off meanwhile.
    """
    bench = short_fund
    bench.deposit(1, 600)
    bench.trade(9, 1, 40, 100, market=A)
    ruin(bench, (60, 70, 50), (A, B, B))
    close_out(bench, 5)
    move(bench, A, 140)
    assert bench.state(1).equity < 0
    if not still_on:
        for market in (A, B, C):
            bench.engine.setFairWindow(market, 0, sender=bench.owner)
    close_out(bench, 1)
    nobody = bytes(32)
    left, _ = bench.engine.windowRecord(nobody, A, 1)
    assert left > 0
    close_window(bench)
    fees = bench.engine.marketState(A).fundFees
    rate = bench.engine.windowRate(1, A)
    bench.engine.collectWindow(nobody, A, 1, sender=bench.users[9])
    gained = bench.engine.marketState(A).fundFees - fees
    assert gained == left * rate.paid // rate.claims
    if still_on:  # else the claim of user 1's own deficit was paid at once, and nothing was left
        assert gained // SCALE > 0


def reinsure(bench: Bench, tokens: int) -> Contract:
    """An honest reinsurer with so much money stands behind the fund."""
    artifact = bench.system.artifacts("HostileReinsurer")
    reinsurer = bench.rpc.deploy(artifact, bench.fund.address, sender=bench.owner)
    bench.system.token.mint(reinsurer.address, tokens * UNIT, sender=bench.owner)
    bench.fund.setReinsurer(reinsurer.address, sender=bench.owner)
    return reinsurer


def test_no_window_passes_the_reinsurer_over(short_fund: Bench) -> None:
    """What the shared layers leave of claims that waited is asked of layer 4."""
    bench = short_fund
    reinsure(bench, 90)
    ruin(bench, (80, 70, 50), (A, B, C))
    for user in (5, 6, 7):
        close_out(bench, user)
    receipt = close_window(bench)
    legs = [tuple(e.legs) for e in receipt.find("Covered")]
    assert [(reserve, outside) for _, reserve, _, _, outside in legs] == [
        *((40 * UNIT, 0), (35 * UNIT, 0), (25 * UNIT, 0)),
        *((0, 40 * UNIT), (0, 35 * UNIT), (0, 15 * UNIT)),
    ]
    paid = [(e.market, e.claims // UNIT, e.paid // UNIT) for e in receipt.find("FairWindowPaid")]
    assert paid == [(A, 80, 40), (B, 70, 35), (C, 50, 25), (A, 40, 40), (B, 35, 35), (C, 25, 15)]
    rates = [bench.engine.windowRate(1, market).paid for market in (A, B, C)]
    assert rates == [80 * UNIT, 70 * UNIT, 40 * UNIT]


def test_behind_an_empty_fund_the_reinsurer_is_asked_at_once(short_fund: Bench) -> None:
    bench = short_fund
    leave_in_fund(bench, 0)
    reinsure(bench, 60)
    ruin(bench, (80, 70, 50), (A, B, C))
    legs = close_out(bench, 5).one("ShortfallResolved").receipt
    assert (legs.reserve, legs.reinsurance, legs.sideCharged) == (0, 60 * WAD, 20 * WAD)
    assert bench.engine.fairWindow().closesAt == 0


def test_a_claim_that_may_not_draw_takes_no_part_from_others(short_fund: Bench) -> None:
    """A may draw 10 of the 100: its claim of 90 counts as 10 beside the 190 of the others."""
    bench = short_fund
    bench.fund.setClaimantMarket(bench.engine.address, A, (0, 10 * UNIT), sender=bench.owner)
    ruin(bench, (90, 90, 100), (A, B, C))
    for user in (5, 6, 7):
        close_out(bench, user)
    close_window(bench)
    paid = [bench.engine.windowRate(1, market).paid for market in (A, B, C)]
    assert paid == [5 * UNIT, 45 * UNIT, 50 * UNIT]


def test_one_event_in_many_markets_takes_nothing_from_what_waits(short_fund: Bench) -> None:
    """88 of 100 wait. Five claims of 3 are each a quarter of the 12 left, but not together."""
    bench = short_fund
    for market in (5, 6, 7):
        assert bench.list_market() == market
        bench.set_market(market, **NO_FEES)
        bench.fund.setClaimantMarket(bench.engine.address, market, (0, 10**12), sender=bench.owner)
        bench.engine.setFairWindow(market, MINUTES, sender=bench.owner)
    many = (B, C, 5, 6, 7)
    bench.deposit(6, 385)
    for market in many:
        bench.trade(6, SHORT, 4, 100, market=market)
    ruin(bench, (88,), (A,))
    for market in many:
        move(bench, market, 80)
    close_out(bench, 5)
    receipt = close_out(bench, 6)
    legs = receipt.one("ShortfallResolved").receipt
    assert legs.deficit == 15 * WAD
    assert capital(bench) >= 88 * UNIT, "what waits is still there"
    assert [e.amount for e in receipt.find("ClaimDeferred")] == [3 * WAD] * 4
    assert bench.engine.fairWindow().claims == 100 * UNIT


def test_the_reserve_does_not_leave_while_claims_wait(short_fund: Bench) -> None:
    """Anybody may deploy capital of another market's inventory: not what others wait for."""
    bench = short_fund
    caps = {"capital": 50 * UNIT, "notional": 1_000 * UNIT, "auctionTime": 900, "loss": 50 * UNIT}
    caps |= {"marginPpm": 200_000, "premiumPpm": 5_000, "maxDiscountPpm": 5_000}
    bench.system.backstop.setCaps(B, caps, sender=bench.owner)
    bench.fund.setClaimantMarket(bench.engine.address, B, (10**12, 10**12), sender=bench.owner)
    bench.system.token.mint(bench.owner, 10 * UNIT, sender=bench.owner)
    bench.system.token.approve(bench.fund.address, 10 * UNIT, sender=bench.owner)
    bench.fund.fundCompartment(bench.engine.address, B, 10 * UNIT, sender=bench.owner)
    ruin(bench, (80,), (A,))
    close_out(bench, 5)
    bench.system.backstop.deploy(B, 50 * UNIT, sender=bench.users[9])
    out = bench.fund.deployedCapital(bench.engine.address, B)
    assert tuple(out) == (10 * UNIT, 0), "its own compartment may work"
    close_window(bench)
    assert bench.engine.windowRate(1, A).paid == 80 * UNIT


def test_the_parameters_set_it_for_every_market(rpc: RpcClient, project: Any) -> None:
    parameters = Parameters.load(ROOT / "parameters" / "local.yaml")
    parameters = replace(parameters, fund=replace(parameters.fund, fair_window=MINUTES))
    with rpc.isolated():
        deployer = RpcDeployer(rpc, account_address(0), project.get_contract)
        engine = deploy(parameters, deployer).engine
        assert [engine.marketClaims(market)[1] for market in (0, 1)] == [MINUTES] * 2
