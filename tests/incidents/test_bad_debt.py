"""Who pays when an account is bankrupt: incidents of the waterfall and of close-outs."""

from __future__ import annotations

import random
from decimal import Decimal

from incident_cases import (
    ANY,
    FREE,
    KEEPER,
    bankrupt,
    close_out,
    legs,
    no_shared_draws,
    pair,
    refused,
    take_over,
)
from shared_cases import CAPS, UNIT

from backstop.chain.signing import account_id
from backstop.harness.bench import SCALE, WAD, Bench
from backstop.harness.rpc import Contract, Reverted


def test_i01_own_counter_account(bench: Bench) -> None:
    """Perpetual Protocol v2, July 2022, found as a bounty: an attacker traded with itself far from
    the index, left the bad debt in one account and took the gain out of the other.

    Here a fill outside the band is refused, and inside it no fill may leave an account below its
    margin, so that two accounts of one hand only hand each other what they paid in.
    """
    bench.set_market(rewardPpm=0)
    for user in (1, 2):
        bench.deposit(user, 300)
    capital, chance, done, stopped = bench.fund.totalCapital(), random.Random(1), 0, set()
    for _ in range(14):
        buyer, seller = chance.sample((1, 2), 2)
        price = chance.choice(("95.01", "97", "100", "103", "104.99", "120"))
        try:
            bench.trade(buyer, seller, chance.choice((5, 10, 20)), price)
            done += 1
        except Reverted as error:
            stopped.add(error.name)
        equities = [bench.state(user).equity for user in (1, 2)]
        assert min(equities) >= 0 and sum(equities) <= 600 * WAD
    assert done >= 3 and {"InsufficientMargin", "OutsideBand"} <= stopped
    assert refused(lambda: close_out(bench, 1)) == "NotBankrupt"
    assert bench.fund.totalCapital() == capital


def test_i02_fund_smaller_than_the_debt(bench: Bench) -> None:
    """Perpetual Protocol v2, error CH_IIC: a liquidation reverted when the insurance fund held
    less than the bad debt, so that the account could not be closed when it mattered.

    Here the fund pays what it has, also nothing; the rest goes on to the opposite side and, past
    what that can bear, is recorded.
    """
    market = bench.list_market()  # its compartment is empty
    no_shared_draws(bench)
    bench.set_market(market, **FREE, chargeCapPpm=10_000)
    for user, tokens in ((1, 200), (2, 100_000), (KEEPER, 1_000)):
        bench.deposit(user, tokens)
    bench.trade(1, 2, 20, 100, market=market)
    assert bench.fund.previewCover(bench.engine.address, market, 40 * UNIT).compartment == 0
    config = bench.system.oracle.feeds(market)
    for feed in (config.primary, config.secondary):
        mock = Contract(bench.rpc, feed.source, bench.system.artifacts("MockFeed"))
        mock.push(88 * 10**8, sender=bench.owner)
    bench.rpc.warp(300)
    bench.engine.poke(market, sender=bench.owner)
    found = legs(close_out(bench))
    bearable = 20 * 88 * WAD // 100
    assert found["sideCharged"] == bearable and found["recorded"] == 40 * WAD - bearable
    assert sum(found.values()) == 40 * WAD
    assert bench.state(1).positions == () and bench.engine.collateral(bench.account(1)) == 0


def test_i03_whole_open_interest_at_once(bench: Bench) -> None:
    """DYdX v4, 10 October 2025: in the crash an order of operations took a subaccount below zero
    before the fund had paid; a failsafe stopped the chain for about eight hours.

    Here one transaction closes the only long of a market, all its open interest; nothing reverts,
    every token is accounted for, and the market trades on.
    """
    pair(bench)
    assert bench.engine.marketState(0).openLong == 20 * WAD
    bankrupt(bench)
    found = legs(close_out(bench))
    assert sum(found.values()) == 40 * WAD
    state = bench.engine.marketState(0)
    assert state.openLong == state.openShort == 0 and bench.size(2) == 0
    assert 0 <= bench.engine_surplus([bench.account(u) for u in (1, 2, KEEPER)]) <= SCALE
    bench.trade(KEEPER, 2, 5, 88)
    assert bench.size(KEEPER) == 5 * WAD


def test_i09_fees_above_the_margin(bench: Bench) -> None:
    """Perennial, audit finding 48: a liquidation fee larger than the margin that was left drained
    the market, by liquidating oneself.

    Here surcharge, reward and discount together stay inside what is left of the margin, and a
    self-liquidation into a second account of the same owner loses money.
    """
    pair(bench)
    bench.set_market()  # from here on with fees and a reward
    bench.deposit(1, 50_000, sub=1)
    taken = []
    for price in ("94", "92", "90.5", "90.05"):
        with bench.rpc.isolated():
            bench.price(price, wait=80)
            before = bench.state(1).equity, bench.state(1, 1).equity
            sent = bench.liquidator.takeOver(
                *(bench.account(1), 0, bench.account(1, 1), ANY, ANY), sender=bench.users[1]
            )
            step = sent.one("Liquidated")
            after = bench.state(1).equity, bench.state(1, 1).equity
            assert step.size > 0 and step.surcharge + step.reward <= before[0]
            assert after[0] >= 0 and sum(after) <= sum(before) - step.surcharge
            taken.append(step.surcharge)
    assert taken[0] > 0 and taken[-1] < taken[0]  # cut, as the margin goes


def test_i11_dust_in_the_way(bench: Bench) -> None:
    """Exactly (audit) and the Euler vault kit (issue 310): one wei of collateral left behind kept
    bad debt from being cleared.

    Here a close-out asks for negative equity, not for an empty account: dust of collateral and a
    smallest position in another market change nothing.
    """
    pair(bench)
    bench.set_market(1, **FREE)
    bench.trade(1, 2, "0.001", 100, market=1)
    bench.price(88, wait=300)
    token, mallory = bench.system.token, bench.users[6]
    token.mint(mallory, 3, sender=mallory)
    token.approve(bench.engine.address, 3, sender=mallory)
    for _ in range(3):
        bench.engine.deposit(bench.account(1), 1, sender=mallory)
    assert bench.size(1, 1) == 10**15 and bench.state(1).equity < 0
    deficit = -bench.state(1).equity
    assert sum(legs(close_out(bench)).values()) == deficit == 40 * WAD - 3 * SCALE
    assert bench.state(1).positions == () and bench.engine.collateral(bench.account(1)) == 0


def test_i13_the_fund_as_liquidatee(bench: Bench) -> None:
    """JOJO, audit finding 83: the insurance account itself could be liquidated, and so wiped out
    its own debt.

    Here every entry point is called with the fund's, the backstop's, the engine's and the
    liquidator's own account: all refuse, and no capital moves.
    """
    backstop, liq, me = bench.system.backstop, bench.liquidator, bench.users[6]
    bench.set_market(**FREE)
    backstop.setCaps(0, CAPS, sender=bench.owner)
    backstop.deploy(0, ANY, sender=me)
    mine, capital = bench.deposit(6, 1_000), bench.fund.totalCapital()
    own = [backstop.accountOf(0)]
    own += [account_id(c.address) for c in (bench.fund, backstop, bench.engine, liq)]
    assert bench.engine.collateral(own[0]) == 1_000 * WAD
    for account in own:
        for call in (
            lambda a: liq.flag(a, sender=me),
            lambda a: liq.takeOver(a, 0, mine, ANY, ANY, sender=me),
            lambda a: liq.liquidateWithOrders(a, 0, mine, [], [], sender=me),
            lambda a: liq.deleverage(a, 0, mine, ANY, sender=me),
            lambda a: liq.liquidateToBackstop(a, 0, mine, sender=me),
            lambda a: liq.closeOut(a, mine, False, sender=me),
            lambda a: liq.closeOutToBackstop(a, mine, sender=me),
            lambda a: bench.engine.withdraw(a, 1, me, sender=me),
        ):
            assert refused(lambda call=call, a=account: call(a))
    assert refused(lambda: liq.unwindInventory(0, mine, sender=me)) == "NoInventory"
    assert bench.fund.totalCapital() == capital
    assert bench.engine.collateral(own[0]) == 1_000 * WAD


def test_i16_credited_is_charged(bench: Bench) -> None:
    """Percolator, bounty 5: the insurance budget was credited with the fee that was asked for, not
    with the smaller one that the account could pay: money out of nothing.

    Here a step near bankruptcy, whose surcharge is cut, credits exactly what was taken, and the
    sweep moves exactly what was credited.
    """
    pair(bench)
    bench.price(91, wait=80)
    before = [bench.state(user).equity for user in (1, KEEPER)]
    step = take_over(bench)
    asked = step.size * 91 * 7_500 // 10**6
    assert 0 < step.surcharge < asked  # it was cut
    after = [bench.state(user).equity for user in (1, KEEPER)]
    assert abs(sum(before) - sum(after) - step.surcharge) <= 10
    assert bench.engine.marketState(0).fundFees == step.surcharge
    engine, fund = bench.engine.address, bench.fund.address
    held = [bench.system.token.balanceOf(a) for a in (engine, fund)]
    capital = bench.fund.totalCapital()
    swept = bench.engine.sweepFees(0, sender=bench.owner).one("FeesSwept")
    now = [bench.system.token.balanceOf(a) for a in (engine, fund)]
    assert held[0] - now[0] == now[1] - held[1] == swept.toFund == step.surcharge // SCALE
    assert bench.fund.totalCapital() - capital <= swept.toFund


def test_i20_shrinking_to_dodge(bench: Bench) -> None:
    """GMX v2, audit findings 210 and 153: an account that shrank its position by one unit, or that
    was no longer a candidate, made the keeper's exact request revert.

    Here a request is an upper bound: it is clipped to what is there and to what the rules allow.
    """
    pair(bench)
    bench.price(94, wait=60)
    bench.trade(2, 1, "0.001", 94)  # the victim runs ahead of the keeper
    assert bench.size(1) == 20 * WAD - 10**15
    assert 0 < take_over(bench, base=20 * WAD).size < bench.size(2) * -1
    bench.price(85, wait=300)
    assert bench.state(1).equity < 0 and sum(legs(close_out(bench)).values()) > 0
    preview = bench.fund.previewCover(bench.engine.address, 0, 2**256 - 1)
    assert 0 < sum(preview) <= bench.fund.totalCapital()


def test_i25_a_fee_is_no_deficit(bench: Bench) -> None:
    """Umbrella, Stermi finding H-01: a liquidation fee was counted as pending deficit, so that
    stakers were slashed for more than was lost.

    Here the keeper's reward is paid beside the claim: deficit and legs are the negative equity to
    the wei, with a reward and without.
    """
    pair(bench)
    bench.set_market()  # from here on with fees and a reward
    bankrupt(bench)
    keeper = bench.engine.collateral(bench.account(KEEPER))
    receipt = close_out(bench)
    assert receipt.deficit == 40 * WAD == sum(legs(receipt).values())
    reward = bench.engine.collateral(bench.account(KEEPER)) - keeper
    assert 0 < reward == int(Decimal("0.264") * UNIT) * SCALE
    assert bench.engine.marketState(0).recordedDeficit == 0


def test_i29_liquidating_past_the_point(bench: Bench) -> None:
    """Aave v2, the CRV short of November 2022: below a health of one over one plus the bonus every
    liquidation left more bad debt than before.

    Here discount and fees fit into the margin that is left, so that an account which goes bankrupt
    later has a smaller deficit with a step taken than without, at every health on the way.
    """
    pair(bench)
    for price in ("94", "91", "90.1"):
        deficits = []
        for step in (True, False):
            with bench.rpc.isolated():
                bench.price(price, wait=80)
                assert not step or take_over(bench).size > 0
                bench.price(80, wait=120)
                deficits.append(max(0, -bench.state(1).equity))
        assert deficits[0] <= deficits[1] == 200 * WAD
