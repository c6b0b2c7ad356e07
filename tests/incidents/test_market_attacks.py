"""Keys, callbacks, prices and timing: incidents around the market and its operators."""

from __future__ import annotations

from typing import Any

import pytest
from eth_utils import keccak
from incident_cases import FREE, KEEPER, close_out, legs, lose, paid, pair, refused, take_over
from shared_cases import BIG, COOLDOWN, DAY, UNIT, WEEK

from backstop.chain.deploy import PERMISSIONS, System
from backstop.harness.bench import SCALE, WAD, Bench
from backstop.harness.fund import ZERO_ADDRESS, FundWorld
from backstop.harness.rpc import Contract


def zero(item: dict[str, Any]) -> Any:
    """The zero value of an ABI type."""
    kind = item["type"]
    if kind.endswith("]"):
        return []
    if kind.startswith("tuple"):
        return tuple(zero(part) for part in item["components"])
    if kind.startswith("bytes"):
        return b"\0" * int(kind[5:] or 0)
    return {"address": ZERO_ADDRESS, "bool": False, "string": ""}.get(kind, 0)


def functions(contract: Contract, *, views: bool) -> list[tuple[str, bytes]]:
    """Signature-free calls of a contract, with zero for every argument."""
    found = []
    for item in contract.abi:
        if item["type"] != "function" or item["stateMutability"] == "pure":
            continue
        if (item["stateMutability"] == "view") == views:
            call = contract[item["name"]].encode(*(zero(i) for i in item["inputs"]))
            found.append((item["name"], call))
    return found


def test_i04_stolen_key(governed: System, owner: Any) -> None:
    """Drift v2, April 2026, 285 million dollars: an admin key without a delay changed the rules and
    emptied the vaults at once.

    Here the thief has every role. Called directly, every function that loosens anything reverts;
    scheduled, it waits for its delay in public and the guardian cancels it. Nothing flows out.
    """
    s, manager, thief = governed, governed.authority, owner.address
    vaults = [c.address for c in (s.engine, s.fund, s.tranche)]
    before = [s.token.balanceOf(vault) for vault in vaults]
    tried = 0
    for name, roles in PERMISSIONS.items():
        contract = s.contracts.get(name)
        for function in (f for r, fs in roles.items() if r != "guardian" for f in fs):
            if contract is None:
                continue
            call = dict(functions(contract, views=False))[function]
            assert (
                refused(lambda to=contract.address, data=call: s.client.send(to, data, thief))
                == "AccessManagerNotScheduled"
            ), function
            tried += 1
    assert tried >= 20
    drain = s.fund.releaseReserve.encode(thief, UNIT)
    manager.schedule(s.fund.address, drain, 0, sender=thief)
    s.client.warp(12 * 3600 - 60)
    assert refused(lambda: manager.execute(s.fund.address, drain, sender=thief)) == (
        "AccessManagerNotReady"
    )
    manager.cancel(thief, s.fund.address, drain, sender=thief)  # as the guardian
    s.client.warp(DAY)
    assert refused(lambda: manager.execute(s.fund.address, drain, sender=thief)) == (
        "AccessManagerNotScheduled"
    )
    assert [s.token.balanceOf(vault) for vault in vaults] == before


def test_i05_callback_between_two_halves(hostile: Bench) -> None:
    """GMX V1, July 2025, 42 million dollars: a callback ran between two halves of an update and
    opened positions against a half-written price.

    Here the token itself calls every function and reads every view of every contract from the
    middle of a deposit: no call succeeds, and a view that answers says what it says outside.
    """
    s, token, me = hostile.system, hostile.system.token, hostile.users[1]
    token.mint(me, BIG, sender=me)
    token.approve(hostile.engine.address, BIG, sender=me)
    deposit = hostile.engine.deposit.step(hostile.account(1), UNIT, sender=me)
    result = {"result": token.callbackResult.step(), "said": token.callbackReturned.step()}
    parts = (s.engine, s.fund, s.tranche, s.liquidator, s.settlement, s.backstop)
    locked, refusal = 0, keccak(text="Locked(address)")[:4]
    for part in parts:
        own = {"approve"} if part is s.tranche else set()  # an allowance of the token's own shares
        calls = [(n, d) for n, d in functions(part, views=False) if n not in own]
        looks = functions(part, views=True)
        steps = []
        for _, data in (*calls, *looks):
            steps += [token.setCallback.step(part.address, data, sender=me), deposit]
        done = s.client.simulate(steps, result)[1::2]
        assert all(step.ok for step in done)
        inside = [(step.probes["result"], bytes(step.probes["said"])) for step in done]
        for (name, _), (code, said) in zip(calls, inside[: len(calls)], strict=True):
            assert code == 2, f"{name} succeeded"
            locked += said[:4] == refusal
        for (name, data), (code, said) in zip(looks, inside[len(calls) :], strict=True):
            if code == 1:
                assert said == s.client.call(part.address, data), f"{name} half-written"
            locked += code == 2 and said[:4] == refusal
    assert locked > 60


@pytest.mark.parametrize("kind", ["stale", "older"])
def test_i06_stale_price(bench: Bench, kind: str) -> None:
    """Levana, December 2023: in a congested chain a price from before the move was accepted, and
    positions were opened against it.

    Here a price past its age, or one older than the last one used, opens nothing, lets nothing be
    withdrawn against it and liquidates nobody.
    """
    pair(bench)
    oracle, feeds = bench.system.oracle, bench.system.feeds[0]
    config = oracle.feeds(0)
    names = ("maxDeviation", "maxJump", "minPrice", "maxPrice")
    raw: dict[str, Any] = {name: getattr(config, name) for name in names}
    for name in ("primary", "secondary"):
        raw[name] = {"source": getattr(config, name).source, "maxAge": 60}
    oracle.setFeeds(0, raw, sender=bench.owner)
    bench.price(100, wait=1)
    if kind == "stale":
        for feed in feeds:
            feed.push(80 * 10**8, sender=bench.owner)
        bench.rpc.warp(61)
    else:
        then = bench.now() - 30
        for feed in feeds:
            feed.set(80 * 10**8, then, then, sender=bench.owner)
    one = bench.account(1)
    attempts = {
        "open": lambda: bench.trade(2, KEEPER, 1, 100),
        "withdraw": lambda: bench.engine.withdraw(one, UNIT, bench.users[1], sender=bench.users[1]),
        "flag": lambda: bench.liquidator.flag(one, sender=bench.users[KEEPER]),
        "takeOver": lambda: take_over(bench),
        "closeOut": lambda: close_out(bench),
    }
    allowed = {"PriceNotUsable", "NotLiquidatable", "NotBankrupt"}
    assert {refused(call) for call in attempts.values()} <= allowed
    assert refused(attempts["open"]) == "PriceNotUsable"
    assert bench.state(1).equity == 200 * WAD and bench.size(1) == 20 * WAD


def test_i07_draws_of_one_market(world: FundWorld, alice: Any, bob: Any, carol: Any) -> None:
    """Lighter, February 2026: the incident that ended well; a cap on what one market may draw of
    the pool held.

    Here market 1 may draw 100 of the shared layers in a window and asks on every path: deficits
    one by one and twice in one event, rewards, inventory. Together they get 100, and market 2 is
    still served.
    """
    fund, me = world.fund, alice.address
    fund.setClaimantMarket(me, 1, (BIG, 100), sender=world.owner)
    fund.setInventory(me, carol.address, sender=world.owner)
    fund.fundReserve(60, sender=bob.address)
    world.tranche.deposit(500 * UNIT, bob.address, sender=bob.address)
    fund.fundBacking(1_000, sender=bob.address)
    fund.fundCompartment(me, 1, 7, sender=bob.address)
    drawn = 0
    for step in (
        fund.deployCapital.step(me, 1, 20, sender=carol),
        fund.cover.step(b"\1" * 32, [(1, 30), (1, 25)], 9, sender=me),
        fund.cover.step(b"\2" * 32, [(1, 10**9)], 10**9, sender=me),
        fund.deployCapital.step(me, 1, 10**9, sender=carol),
        fund.cover.step(b"\3" * 32, [(1, 10**9), (1, 10**9)], 10**9, sender=me),
    ):
        sent = world.client.send(step.to, step.data, step.sender)
        drawn += sum(event.value for event in sent.find("Transfer"))
        assert drawn <= 100 + 7
    assert drawn == 100 + 7
    assert paid(lose(world, alice, (2, 5 * UNIT))) == 5 * UNIT


def test_i08_impossible_prices(bench: Bench) -> None:
    """Paradex, January 2026: a restart set indices to zero for a moment, and thousands of accounts
    were liquidated at them.

    Here a price of zero, or one outside the market's bounds, is no price: the mark stays, nobody is
    liquidated, nothing is opened, and all goes on when the price is back.
    """
    pair(bench)
    for answer in (0, -(100 * 10**8), 1, 10**20):
        with bench.rpc.isolated():
            now = bench.now()
            for feed in bench.system.feeds[0]:
                feed.set(answer, now, now, sender=bench.owner)
            bench.rpc.warp(300)
            bench.engine.poke(0, sender=bench.owner)
            assert bench.engine.marketState(0).markPrice == 100 * WAD
            for user in (1, 2):
                found = refused(lambda u=user: take_over(bench, user=u))
                assert found in ("NotLiquidatable", "PriceNotUsable")
                found = refused(lambda u=user: close_out(bench, u))
                assert found in ("NotBankrupt", "PriceNotUsable")
            assert refused(lambda: bench.trade(2, KEEPER, 1, 100)) == "PriceNotUsable"
            bench.price(100)
            bench.trade(2, KEEPER, 1, 100)


def test_i14_sandwich_of_a_liquidation(bench: Bench) -> None:
    """Flatmoney, audit finding 176: who entered just ahead of a liquidation took its gain from
    those who had borne the risk.

    Here a trader who opens before and closes after loses the fees, and a staker who enters before
    and asks to leave after gets the seconds of a week's stream that it was there for, at most.
    """
    pair(bench)
    bench.set_market()  # with fees
    bench.deposit(6, 10_000)
    tranche, fund, me = bench.system.tranche, bench.fund, bench.users[7]
    bench.system.token.mint(me, 10_000 * UNIT, sender=me)
    bench.system.token.approve(tranche.address, BIG, sender=me)
    bench.price(94, wait=60)
    before = bench.state(6).equity
    bench.trade(KEEPER, 6, 5, 94)
    tranche.deposit(10_000 * UNIT, me, sender=me)
    entered = bench.now()
    step = take_over(bench)
    assert step.surcharge > 0
    swept = bench.engine.sweepFees(0, sender=me)
    income = swept.one("StakerIncome", fund).assets
    assert income > 0  # there was a gain to take
    bench.trade(6, 2, 5, 94)
    tranche.requestRedeem(tranche.balanceOf(me), me, me, sender=me)
    assert bench.size(6) == 0 and bench.state(6).equity < before
    there, number = bench.now() - entered, tranche.openBuckets()[1]
    bench.rpc.warp(WEEK + COOLDOWN)
    tranche.claim(number, me, me, sender=me)
    gain = bench.system.token.balanceOf(me) - 10_000 * UNIT
    assert gain <= income * there // WEEK + 1 < income // 1_000


def test_i15_mark_moves_past_an_account(bench: Bench) -> None:
    """percolator, more than ten reports: the mark moved on without the account at risk, whose
    loss was frozen while the counter-account's gain was paid out of the fund.

    Here a self-matched pair at full leverage goes through a fall of 15 % under four keeper
    schedules. Positions are valued at the one mark there is, so that every schedule costs the fund
    the same, and less than the pair paid in.
    """
    bench.set_market(**FREE)
    for sub in (0, 1):
        bench.deposit(1, 200, sub=sub)
    bench.deposit(KEEPER, 100_000)
    bench.trade(1, 1, 20, 100, seller_sub=1)
    start, costs = bench.fund.totalCapital(), []
    for schedule in ("none", "poke", "flag", "withdraw"):
        with bench.rpc.isolated():
            for price in (96, 92, 88, 85):
                bench.price(price)
                bench.rpc.warp(40)
                if schedule == "poke":
                    bench.engine.poke(0, sender=bench.owner)
                if schedule == "flag" and price < 95:
                    bench.liquidator.flag(bench.account(1), sender=bench.owner)
                if schedule == "withdraw":
                    winner, mine = bench.account(1, 1), bench.users[1]
                    free = bench.engine.withdrawable(winner)
                    if free:
                        bench.engine.withdraw(winner, free, mine, sender=mine)
            bench.price(85, wait=100)
            assert legs(close_out(bench))["compartment"] > 0  # the fund did pay
            costs.append(start - bench.fund.totalCapital())
            taken = bench.system.token.balanceOf(bench.users[1])
            joint = bench.state(1).equity + bench.state(1, 1).equity + taken * SCALE
            assert joint <= 400 * WAD + costs[-1] * SCALE
    assert len(set(costs)) == 1 and 0 < costs[0] <= 400 * UNIT


def test_i18_strangers_reset_no_timer(bench: Bench) -> None:
    """DYdX P1, `mark()`: a stranger could call it again and again and so reset the clock of a
    liquidation.

    Here the liquidation clock, the clock of the reserve's gap, the end of the income stream and
    the draw window are each touched twice by strangers, and none moves.
    """
    pair(bench)
    fund, me = bench.fund, bench.users[7]
    bench.price(94, wait=60)
    bench.system.token.mint(me, BIG, sender=me)
    bench.system.token.approve(fund.address, BIG, sender=me)
    bench.liquidator.flag(bench.account(1), sender=me)
    fund.setRefillTime(DAY, sender=bench.owner)
    fund.noteReserveGap(sender=me)

    def timers() -> tuple[int, ...]:
        gap = fund.reserveGap()
        return bench.state(1).flaggedAt, gap.since

    first = timers()
    assert min(first) > 0
    for who in (bench.users[7], bench.users[8]):
        bench.rpc.warp(30)
        bench.liquidator.flag(bench.account(1), sender=who)
        bench.engine.poke(0, sender=who)
        fund.noteReserveGap(sender=who)
        fund.fundReserve(1, sender=me)
        assert timers() == first
    assert refused(lambda: bench.liquidator.unflag(bench.account(1), sender=me)) == (
        "StillLiquidatable"
    )
    tranche = bench.system.tranche
    bench.system.token.approve(tranche.address, BIG, sender=me)
    tranche.deposit(UNIT, me, sender=me)
    fund.fundStakers(70 * UNIT, sender=me)
    end = tranche.stream().end
    for _ in range(3):
        bench.rpc.warp(DAY)
        fund.fundStakers(1, sender=me)
        assert tranche.stream().end == end
