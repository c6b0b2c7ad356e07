"""Stakers: who bears a loss, who gains by a recovery or by income, and what may not jam."""

from __future__ import annotations

from typing import Any

from incident_cases import SHARES, held, lose, paid, refused
from shared_cases import BIG, COOLDOWN, DAY, UNIT, WEEK

from backstop.harness.fund import FundWorld


def cover_step(world: FundWorld, claimant: Any, assets: int, delay: int = 0) -> Any:
    """A loss of `assets` as a simulated step, in the block of the step before."""
    args = (b"\x11" * 32, [(1, assets)], 0)
    return world.fund.cover.step(*args, sender=claimant, delay=delay)


def stake(world: FundWorld, assets: int, *people: Any) -> None:
    for who in people:
        world.tranche.deposit(assets, who.address, sender=who.address)


def leave(world: FundWorld, who: Any, assets: int) -> None:
    world.tranche.requestRedeem(assets * SHARES, who.address, who.address, sender=who.address)


def test_i10_shares_after_a_wipe_out(world: FundWorld, alice: Any, bob: Any, carol: Any) -> None:
    """Sentiment (audit): the first deposit after a total loss minted shares at a broken rate, and
    who asked to leave ahead of bad debt escaped it.

    Here a total loss ends the series: new money owns exactly itself, and an open request is wiped
    with the rest.
    """
    t = world.tranche
    stake(world, 100 * UNIT, bob)
    leave(world, bob, 40 * UNIT)
    assert paid(lose(world, alice, (1, 200 * UNIT))) == 100 * UNIT
    stake(world, 70 * UNIT, carol)
    assert t.convertToAssets(t.balanceOf(carol.address)) == 70 * UNIT == t.totalAssets()
    world.client.warp(WEEK + COOLDOWN)
    before = held(world, bob)
    t.claim(1, bob.address, bob.address, sender=bob.address)
    assert held(world, bob) == before and t.balanceOf(bob.address) == 0
    assert t.convertToAssets(t.balanceOf(carol.address)) == 70 * UNIT


def test_i12_run_in_the_block_of_the_loss(
    world: FundWorld, alice: Any, bob: Any, carol: Any
) -> None:
    """Morpho vault v2, issue 139: who saw a loss coming redeemed in the same block, before it was
    realised, and left it to the others.

    Here the request comes first in the block of the loss, and still pays the same as who stays.
    """
    t, me = world.tranche, bob.address
    stake(world, 500 * UNIT, bob, carol)
    steps = [
        t.requestRedeem.step(500 * UNIT * SHARES, me, me, sender=me),
        cover_step(world, alice, 400 * UNIT),
        t.claim.step(1, me, me, sender=me, delay=WEEK + COOLDOWN),
    ]
    carols = t.convertToAssets.step(t.balanceOf(carol.address))
    run, loss, out = world.client.simulate(steps, {"carol": carols})
    assert run.ok and loss.ok and run.timestamp == loss.timestamp
    assert loss.one("Slashed").loss == 400 * UNIT
    assert out.one("Withdraw").assets == 300 * UNIT == out.probes["carol"]


def test_i17_stake_ahead_of_a_recovery(world: FundWorld, alice: Any, bob: Any, carol: Any) -> None:
    """percolator-stake: a deposit made while a loss was open took part in the recovery that lifted
    the share price.

    Here what comes back goes to those who held when the loss fell: the new staker gains nothing.
    """
    t, fund = world.tranche, world.fund
    stake(world, 100 * UNIT, bob)
    recorded = lose(world, alice, (1, 50 * UNIT)).one("ReceiptRecorded")
    stake(world, 50 * UNIT, carol)
    mine = t.balanceOf(carol.address)
    fund.recover(recorded.eventId, recorded.receipt, 50 * UNIT, sender=world.owner)
    assert t.convertToAssets(mine) <= 50 * UNIT
    world.client.warp(4 * WEEK)
    assert t.convertToAssets(mine) <= 50 * UNIT
    era = t.era()
    assert refused(lambda: t.collect(carol.address, era, 0, sender=carol.address))
    before = held(world, bob)
    t.collect(bob.address, era, 0, sender=carol.address)
    assert held(world, bob) - before == 50 * UNIT


def test_i19_new_money_after_a_wipe_out(
    world: FundWorld, alice: Any, bob: Any, carol: Any, deploy: Any
) -> None:
    """Hubble: after a wipe-out the fund could not be recapitalised while a claim was open, and the
    wiped holders' shares diluted the new money.

    Here deposits work with a shortfall reported, and the depositor owns what it brought.
    """
    t, fund = world.tranche, world.fund
    stake(world, 100 * UNIT, bob)
    lose(world, alice, (1, 100 * UNIT))
    debtor = deploy("MockDebtor")
    fund.setClaimant(debtor.address, (1, 1, DAY), sender=world.owner)
    debtor.setOpenDeficit(1, 5, sender=world.owner)
    fund.reportShortfall(debtor.address, 1, sender=carol.address)
    assert t.isHeld()
    stake(world, 100 * UNIT, carol)
    assert t.balanceOf(bob.address) == 0
    assert t.convertToAssets(t.balanceOf(carol.address)) == 100 * UNIT
    assert paid(lose(world, alice, (1, 30 * UNIT))) == 30 * UNIT  # and it is capital at once


def test_i22_queued_stake_is_slashed(world: FundWorld, alice: Any, bob: Any, carol: Any) -> None:
    """Keep's coverage pools and Celo (issue 2887): stake whose withdrawal was pending escaped
    slashing.

    Here requests of two epochs lie in the queue and lose the same fraction as active stake.
    """
    t = world.tranche
    stake(world, 400 * UNIT, bob, carol)
    leave(world, bob, 100 * UNIT)
    world.client.warp(WEEK)
    leave(world, bob, 300 * UNIT)
    event = lose(world, alice, (1, 200 * UNIT)).one("Slashed")
    assert (event.fromActive, list(event.cuts)) == (100 * UNIT, [25 * UNIT, 75 * UNIT])
    assert [t.bucket(i).state.assets for i in (1, 2)] == [75 * UNIT, 225 * UNIT]
    assert t.convertToAssets(t.balanceOf(carol.address)) == 300 * UNIT


def test_i23_exit_before_recognition(world: FundWorld, alice: Any, bob: Any, carol: Any) -> None:
    """RsETH and Umbrella, April 2026: stakers left between the event and its recognition, and the
    emergency pause stopped slashing too.

    Here an exit asked for one second after the event bears the whole loss, however late it is
    recognised before the cooldown ends; no function can pause the fund, and a hold delays exits
    while slashing goes on.
    """
    t, me = world.tranche, bob.address
    stake(world, 500 * UNIT, bob, carol)
    start = t.requestRedeem.step(500 * UNIT * SHARES, me, me, sender=me, delay=1)
    for delay in (1, DAY, 7 * DAY, COOLDOWN - 2):
        for hold in (False, True):
            held_by = [world.fund.holdMaturity.step(sender=world.owner)] if hold else []
            loss = cover_step(world, alice, 400 * UNIT, delay)
            last = t.claim.step(1, me, me, sender=me, delay=4 * WEEK)
            done = world.client.simulate([start, *held_by, loss, last])
            assert all(step.ok for step in done)
            assert done[-2].one("Slashed").loss == 400 * UNIT
            assert done[-1].one("Withdraw").assets == 300 * UNIT
    names = {i["name"] for c in (world.fund, t) for i in c.abi if i["type"] == "function"}
    assert "holdMaturity" in names
    assert not [n for n in names if any(w in n.lower() for w in ("pause", "freeze", "disable"))]


def test_i24_loops_do_not_jam(world: FundWorld, alice: Any, bob: Any, carol: Any) -> None:
    """Umbrella, Ackee finding M1: slashing to the floor and depositing, again and again, inflated
    the shares until the vault overflowed.

    Here 50 such loops leave a tranche that takes a deposit at its worth and slashes fairly.
    """
    t = world.tranche
    stake(world, 10 * UNIT, bob)
    steps = []
    for _ in range(50):
        steps += [
            t.deposit.step(1_000 * UNIT, bob.address, sender=bob.address),
            cover_step(world, alice, 1_000 * UNIT),
        ]
    steps.append(t.deposit.step(1_000 * UNIT, carol.address, sender=carol.address))
    steps.append(cover_step(world, alice, 505 * UNIT))
    rate = t.convertToAssets.step(10**24)
    probes = {"capital": world.fund.totalCapital.step(), "rate": rate, "series": t.series.step()}
    done = world.client.simulate(steps, probes)
    assert all(step.ok for step in done)
    assert all(paid(step) == 1_000 * UNIT for step in done[1:-2:2])
    assert all(step.probes["capital"] == 10 * UNIT for step in done[1:-2:2])
    assert done[-3].probes["series"] > 5  # shares were inflated to the limit, again and again
    mine = done[-2].one("Deposit").shares
    assert abs(mine * done[-2].probes["rate"] // 10**24 - 1_000 * UNIT) <= 1
    assert done[-1].probes["capital"] == 505 * UNIT
    kept = mine * done[-1].probes["rate"] // 10**24
    assert 495 * UNIT <= kept <= 505 * UNIT


def test_i26_dust_stake_blocks_no_cover(world: FundWorld, alice: Any, bob: Any, carol: Any) -> None:
    """Telcoin, audit finding 54: staking one wei in the block of a slash made the slash revert.

    Here every action of a staker, with dust, stands before the cover in the same block.
    """
    t, me = world.tranche, carol.address
    stake(world, 100 * UNIT, bob, carol)
    actions = [
        t.deposit.step(1, me, sender=me),
        t.mint.step(1, me, sender=me, delay=0),
        t.transfer.step(bob.address, 1, sender=me, delay=0),
        t.requestRedeem.step(SHARES, me, me, sender=me, delay=0),
        t.setOperator.step(bob.address, True, sender=me, delay=0),
        world.fund.fundStakers.step(1, sender=me, delay=0),
    ]
    *done, loss = world.client.simulate([*actions, cover_step(world, alice, 50 * UNIT)])
    assert all(step.ok for step in done) and done[0].timestamp == loss.timestamp
    assert loss.ok and loss.one("Slashed").loss == 50 * UNIT
    # and with the whole stake in the queue
    whole = [
        t.requestRedeem.step(100 * UNIT * SHARES, w.address, w.address, sender=w, delay=0)
        for w in (bob, carol)
    ]
    *done, loss = world.client.simulate([*whole, cover_step(world, alice, 50 * UNIT)])
    assert all(step.ok for step in done)
    assert loss.ok and loss.one("Slashed").loss == 50 * UNIT


def test_i27_terms_of_open_requests(world: FundWorld, bob: Any) -> None:
    """UMA's DVM, finding L-02: a raised cooldown applied to requests that were running already.

    Here a request's maturity is fixed when it is made: longer terms do not delay it, shorter ones
    let nobody overtake it.
    """
    t, me = world.tranche, bob.address
    stake(world, 100 * UNIT, bob)
    leave(world, bob, 10 * UNIT)
    maturity = t.bucket(1).state.maturity
    for cooldown in (28 * DAY, DAY):
        t.setTerms(BIG, cooldown, sender=world.owner)
        assert t.terms().cooldown == cooldown and t.bucket(1).state.maturity == maturity
    world.client.warp(WEEK)
    leave(world, bob, 10 * UNIT)
    assert t.bucket(2).state.maturity >= maturity
    world.client.set_next_timestamp(maturity)
    t.claim(1, me, me, sender=me)


def test_i28_donations(world: FundWorld, alice: Any, bob: Any, carol: Any) -> None:
    """Resupply, June 2025: a donation to an empty vault set its share price, and a loan against
    one wei of it took the pool.

    Here amounts are counted inside: tokens sent to the fund or to the tranche, empty or not,
    change no price and no view, and a victim's first deposit is worth what it brought.
    """
    t, fund, me = world.tranche, world.fund, bob.address

    def views() -> tuple[Any, ...]:
        room = tuple(fund.drawRoom(alice.address, 1))
        preview = tuple(fund.previewCover(alice.address, 1, BIG))
        price = (t.convertToAssets(10**12), t.totalAssets(), t.slashable())
        return (fund.reserve(), fund.totalCapital(), *room, *preview, *price)

    for staked in (0, 1):
        if staked:
            t.deposit(staked, me, sender=me)
        before = views()
        for target in (fund, t):
            world.token.transfer(target.address, 10**9, sender=me)
        assert views() == before
    assert world.token.balanceOf(fund.address) - fund.totalCapital() == 2 * 10**9
    stake(world, UNIT, carol)
    assert t.convertToAssets(t.balanceOf(carol.address)) == UNIT


def test_i32_just_in_time_stake(world: FundWorld, bob: Any, carol: Any) -> None:
    """Seen at many vaults: capital enters just ahead of income and leaves right after it.

    Here income streams and a request earns nothing: a round trip inside one epoch pays out what
    went in, or less, while who was there before gets the income.
    """
    t, me = world.tranche, carol.address
    stake(world, 100 * UNIT, bob)
    shares = 900 * UNIT * SHARES
    steps = [
        t.deposit.step(900 * UNIT, me, sender=me),
        world.fund.fundStakers.step(50 * UNIT, sender=world.owner, delay=0),
        t.requestRedeem.step(shares, me, me, sender=me, delay=0),
        t.claim.step(1, me, me, sender=me, delay=WEEK + COOLDOWN),
    ]
    probe = {"bob": t.convertToAssets.step(t.balanceOf(bob.address))}
    done = world.client.simulate(steps, probe)
    assert all(step.ok for step in done) and done[0].timestamp == done[2].timestamp
    assert done[-1].one("Withdraw").assets <= 900 * UNIT
    assert done[-1].probes["bob"] >= 150 * UNIT - 1
