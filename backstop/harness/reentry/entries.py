"""The transactions from which our contracts call out, one for every way there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from backstop.chain.signing import as_tuple
from backstop.harness.bench import WAD
from backstop.harness.reentry.world import (
    BROKE,
    DAY,
    KEEPER,
    SHORT,
    UNIT,
    WAITING,
    WEAK,
    ReentryWorld,
    counter_order,
    feed_words,
)
from backstop.harness.rpc import Contract, Step

PAYER = 7
"""User that funds things."""


@dataclass(frozen=True)
class Entry:
    """A transaction of the world, and what has to happen before it.

    Attributes:
        name: what it does.
        step: the transaction.
        before: transactions that prepare it.
        wait: seconds between the two.
    """

    name: str
    step: Step
    before: Sequence[Step] = field(default=())
    wait: int = 1


def entries(world: ReentryWorld) -> list[Entry]:
    """All of them; every one succeeds in the world as it was deployed."""
    made = [
        *_collateral(world),
        *_orders(world),
        *_liquidations(world),
        *_funding(world),
        *_leaving_the_fund(world),
        *_staking(world),
        *_puts(world),
        *_inventory(world),
        *_prices_and_targets(world),
    ]
    names = [entry.name for entry in made]
    assert len(set(names)) == len(names)
    return made


def _by(world: ReentryWorld, user: int) -> Callable[..., Step]:
    """A step of a user: `by(contract, function, *args)`."""

    def step(contract: Contract, function: str, *args: Any) -> Step:
        return contract[function].step(*args, sender=world.bench.users[user], gas=10**9)

    return step


def _as_attacker(world: ReentryWorld) -> Callable[..., Step]:
    def step(contract: Contract, function: str, *args: Any) -> Step:
        data = contract[function].encode(*args)
        return world.attacker.act.step(contract.address, data, sender=world.bench.owner, gas=10**9)

    return step


def _collateral(world: ReentryWorld) -> list[Entry]:
    b, s = world.bench, world.bench.system
    payer, mine = _by(world, PAYER), _by(world, SHORT)
    short = b.account(SHORT)
    return [
        Entry("deposit", payer(s.engine, "deposit", b.account(PAYER), UNIT)),
        Entry("withdraw", mine(s.engine, "withdraw", short, UNIT, b.users[SHORT])),
        Entry("withdraw to the attacker", mine(s.engine, "withdraw", short, UNIT, world.attacker)),
        Entry("sweepFees", payer(s.engine, "sweepFees", 0)),
        Entry("payTreasury", _by(world, 0)(s.engine, "payTreasury", 0, b.owner)),
    ]


def _orders(world: ReentryWorld) -> list[Entry]:
    b, s = world.bench, world.bench.system
    mine = world.order(10**7, is_buy=True)
    taker = b.account(SHORT)
    pair = (as_tuple(mine), b"", *counter_order(world))
    to_weak = world.order(10**7 + 1, is_buy=True, base=20 * WAD)
    bring = (b.account(WEAK), 0, b.account(KEEPER), [as_tuple(to_weak)], [b""])
    sell = _by(world, SHORT)
    return [
        Entry("fill", sell(s.settlement, "fill", as_tuple(mine), b"", taker, WAD // 10)),
        Entry("matchOrders", sell(s.settlement, "matchOrders", *pair, WAD // 10)),
        Entry(
            "liquidateWithOrders", _by(world, KEEPER)(s.liquidator, "liquidateWithOrders", *bring)
        ),
    ]


def _liquidations(world: ReentryWorld) -> list[Entry]:
    b, s = world.bench, world.bench.system
    keeper, owner = _by(world, KEEPER), _by(world, 0)
    me, put = b.account(KEEPER), world.attacker.address
    broke, waiting = b.account(BROKE), b.account(WAITING)
    empty = [
        owner(s.fund, "tightenClaimant", s.engine.address, (0, 0, DAY)),
        owner(s.fund, "tightenClaimantMarket", s.engine.address, 0, (0, 0)),
        owner(s.engine, "sweepFees", 0),
    ]
    spend = _as_attacker(world)
    drain = [
        *(owner(s.backstop, "deploy", 0, 10_000 * UNIT) for _ in (0,)),
        spend(s.fund, "cover", bytes(32), [(0, 20_000 * UNIT)], 0),
    ]
    reinsured = [owner(s.fund, "setReinsurer", put), *drain]
    return [
        Entry("flag", keeper(s.liquidator, "flag", b.account(WEAK))),
        Entry("takeOver", keeper(s.liquidator, "takeOver", b.account(WEAK), 0, me, 2**255, 2**255)),
        Entry("closeOut", keeper(s.liquidator, "closeOut", broke, me, False)),
        Entry("closeOut, put pays", keeper(s.liquidator, "closeOut", broke, me, False), drain),
        Entry("closeOut, reinsurer", keeper(s.liquidator, "closeOut", broke, me, False), reinsured),
        Entry("closeOut, nobody pays", keeper(s.liquidator, "closeOut", broke, me, False), empty),
        Entry("closeOut, deferred", keeper(s.liquidator, "closeOut", waiting, me, False)),
        Entry(
            "closeFairWindow",
            keeper(s.engine, "closeFairWindow"),
            [keeper(s.liquidator, "closeOut", waiting, me, False)],
            15 * 60,
        ),
    ]


def _funding(world: ReentryWorld) -> list[Entry]:
    s = world.bench.system
    payer, claim = _by(world, PAYER), _as_attacker(world)
    at, event = s.engine.address, world.receipt
    compartment = (at, 0, UNIT)
    raise_cap = [_by(world, 0)(s.fund, "setClaimantMarket", at, 0, (10**12, 10**12))]
    return [
        Entry("fundReserve", payer(s.fund, "fundReserve", UNIT)),
        Entry("fundBacking", payer(s.fund, "fundBacking", UNIT)),
        Entry("fundStakers", payer(s.fund, "fundStakers", UNIT)),
        Entry("fundPremium", payer(s.fund, "fundPremium", UNIT)),
        Entry("fundCompartment", payer(s.fund, "fundCompartment", *compartment), raise_cap),
        Entry("recover", payer(s.fund, "recover", *event, UNIT)),
        Entry("receiveIncome", claim(s.fund, "receiveIncome", 0, 10 * UNIT)),
        Entry("returnCapital", claim(s.fund, "returnCapital", at, 0, UNIT)),
        Entry("cover", claim(s.fund, "cover", bytes(32), [(0, 100 * UNIT)], 0)),
        Entry(
            "previewCover",
            payer(s.fund, "previewCover", at, 0, 10**6 * UNIT),
            [_by(world, 0)(s.fund, "setReinsurer", world.attacker.address)],
        ),
    ]


def _leaving_the_fund(world: ReentryWorld) -> list[Entry]:
    s, owner = world.bench.system, _by(world, 0)
    return [
        Entry("releaseReserve", owner(s.fund, "releaseReserve", world.bench.owner, UNIT)),
        Entry("releaseBacking", owner(s.fund, "releaseBacking", world.bench.owner, UNIT)),
    ]


def _staking(world: ReentryWorld) -> list[Entry]:
    s, who = world.bench.system, world.attacker.address
    payer, mine = _by(world, PAYER), _as_attacker(world)
    receiver = world.bench.users[PAYER]
    return [
        Entry("stake", payer(s.tranche, "deposit", UNIT, receiver)),
        Entry("stake by shares", payer(s.tranche, "mint", 1_000 * UNIT, receiver)),
        Entry("claim", mine(s.tranche, "claim", 1, who, who)),
        Entry("redeem", mine(s.tranche, "redeem", UNIT, who, who)),
        Entry("withdraw stake", mine(s.tranche, "withdraw", UNIT, who, who)),
        Entry("collect", payer(s.tranche, "collect", who, 1, 0)),
    ]


def _puts(world: ReentryWorld) -> list[Entry]:
    s = world.bench.system
    payer, mine = _by(world, PAYER), _as_attacker(world)
    write = payer(s.crash_put, "write", 4, 100 * UNIT)
    return [
        Entry("write a put", write),
        Entry("activate a put", payer(s.crash_put, "activate", 5)),
        Entry("settle a put", payer(s.crash_put, "settle", 1)),
        Entry("withdraw from a put", mine(s.crash_put, "withdraw", 2)),
    ]


def _inventory(world: ReentryWorld) -> list[Entry]:
    s, b = world.bench.system, world.bench
    payer, owner = _by(world, PAYER), _by(world, 0)
    caps, _ = s.backstop.terms(0)
    less = {name: getattr(caps, name) for name in caps._fields} | {"capital": 0}
    weak = b.account(WEAK)
    flag = [_by(world, KEEPER)(s.liquidator, "flag", weak)]
    take = _by(world, KEEPER)(s.liquidator, "liquidateToBackstop", weak, 0, b.account(KEEPER))
    return [
        Entry("deploy capital", payer(s.backstop, "deploy", 0, 100 * UNIT)),
        Entry(
            "release capital",
            payer(s.backstop, "release", 0, 10 * UNIT),
            [owner(s.backstop, "tightenCaps", 0, less)],
        ),
        Entry("liquidateToBackstop", take, flag, 301),
    ]


def _prices_and_targets(world: ReentryWorld) -> list[Entry]:
    s, owner, payer = world.bench.system, _by(world, 0), _by(world, PAYER)
    claimant = world.attacker.address
    in_debt = [world.attacker.setDebt.step(UNIT, sender=world.bench.owner)]
    feeds = feed_words(s.oracle.feeds(0))
    return [
        Entry("poke", payer(s.engine, "poke", 0)),
        Entry("setFeeds", owner(s.oracle, "setFeeds", 0, feeds)),
        Entry("noteSolvency", payer(s.fund, "noteSolvency")),
        Entry("setRiskOracle", owner(s.fund, "setRiskOracle", claimant)),
        Entry("reportShortfall", payer(s.fund, "reportShortfall", claimant, 0), in_debt),
        Entry("move the target", payer(s.risk_oracle, "poke")),
        Entry("snapshot", payer(s.lens, "snapshot", [world.account])),
    ]
