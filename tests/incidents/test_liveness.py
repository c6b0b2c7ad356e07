"""Nobody is held up: withdrawals, auctions and payments when others cannot or will not act."""

from __future__ import annotations

from incident_cases import (
    ANY,
    FREE,
    KEEPER,
    SHARES,
    bankrupt,
    close_out,
    legs,
    pair,
    refused,
    take_over,
)
from shared_cases import BIG, CAPS, COOLDOWN, UNIT, WEEK

from backstop.harness.bench import WAD, Bench
from backstop.harness.rpc import RpcClient


def test_i21_insolvent_accounts_freeze_nobody(bench: Bench) -> None:
    """Derive, audit of January 2025: one insolvent account stopped all withdrawals.

    Here six accounts are bankrupt and nobody has dealt with them: a flat account, one with a
    position elsewhere and the winner on the other side withdraw in the same minute.
    """
    for market in (0, 1):
        bench.set_market(market, **FREE)
    for user, tokens in ((2, 100_000), (3, 500), (6, 1_000), (KEEPER, 1_000)):
        bench.deposit(user, tokens)
    for sub in range(6):
        bench.deposit(1, 200, sub=sub)
        bench.trade(1, 2, 20, 100, buyer_sub=sub)
    bench.trade(6, KEEPER, 1, 100, market=1)
    bench.price(88, wait=300)
    assert all(bench.state(1, sub).equity < 0 for sub in range(6))
    for user, tokens in ((3, 500), (6, 900), (2, 50_000)):
        who = bench.users[user]
        bench.engine.withdraw(bench.account(user), tokens * UNIT, who, sender=who)
        assert bench.system.token.balanceOf(who) == tokens * UNIT
    for sub in range(6):
        assert close_out(bench, sub=sub).deficit == 40 * WAD


def test_i30_auctions_without_bidders(bench: Bench) -> None:
    """Maker, 12 March 2020: in a gas spike keepers were gone, and auctions ended at bids of zero.

    Here keepers are gone for an hour: a liquidation then still sells no lower than the largest
    discount, inventory no lower than the auction's floor, and the account is healthy again.
    """
    pair(bench)
    bench.system.backstop.setCaps(0, CAPS, sender=bench.owner)
    bench.system.backstop.deploy(0, ANY, sender=bench.users[7])
    bench.deposit(6, 100_000)
    bench.price(94, wait=60)
    bench.liquidator.flag(bench.account(1), sender=bench.users[KEEPER])
    bench.rpc.warp(3600)
    with bench.rpc.isolated():
        step = take_over(bench)
        assert 94 * WAD * 99 // 100 <= step.price < 94 * WAD
        state = bench.state(1)
        assert state.equity > state.maintenanceMargin and state.flaggedAt == 0
    bench.liquidator.liquidateToBackstop(
        bench.account(1), 0, bench.account(KEEPER), sender=bench.users[KEEPER]
    )
    bench.rpc.warp(3600)
    sold = bench.liquidator.buyInventory(0, bench.account(6), ANY, ANY, sender=bench.users[6]).one(
        "InventorySold"
    )
    assert sold.size > 0 and sold.price >= 94 * WAD * 995 // 1000
    state = bench.state(1)
    assert state.equity > state.maintenanceMargin


def test_i31_blocked_receivers(hostile: Bench, rpc: RpcClient) -> None:
    """Seen at many protocols: a payment pushed to a blocklisted or reverting receiver reverted the
    whole batch.

    Here the token blocks the keeper, the winner, a staker and the fund in turn: each waits alone
    for its own tokens, and the close-out, the others' withdrawals and claims go on.
    """
    bench, token, tranche = hostile, hostile.system.token, hostile.system.tranche
    pair(bench)
    bench.deposit(3, 100)
    for user in (6, 7):
        who = bench.users[user]
        token.mint(who, 100 * UNIT, sender=who)
        token.approve(tranche.address, BIG, sender=who)
        tranche.deposit(100 * UNIT, who, sender=who)
        tranche.requestRedeem(50 * UNIT * SHARES, who, who, sender=who)
    bankrupt(bench)
    for blocked in (bench.users[KEEPER], bench.users[2], bench.users[6], bench.fund.address):
        with bench.rpc.isolated():
            token.setBlocked(blocked, True, sender=bench.owner)
            receipt = close_out(bench)
            assert sum(legs(receipt).values()) == 40 * WAD
            assert (receipt.compartment == 0) == (blocked == bench.fund.address)
            three = bench.users[3]
            bench.engine.withdraw(bench.account(3), 100 * UNIT, three, sender=three)
            if blocked == bench.fund.address:
                continue
            if blocked == bench.users[2]:
                assert (
                    refused(
                        lambda b=blocked: bench.engine.withdraw(bench.account(2), 1, b, sender=b)
                    )
                    == "Blocked"
                )
            rpc.warp(WEEK + COOLDOWN)
            if blocked == bench.users[6]:
                assert refused(lambda b=blocked: tranche.claim(1, b, b, sender=b)) == "Blocked"
            seven = bench.users[7]
            tranche.claim(1, seven, seven, sender=seven)
            assert token.balanceOf(seven) == 50 * UNIT
