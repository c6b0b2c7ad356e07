"""What a stranger can call, and what each role's stolen key can do before anybody reacts.

Arguments are drawn: a function that refuses only the call with zeros would be found out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from backstop.chain.config import Parameters
from backstop.chain.deploy import PERMISSIONS, ROLE_IDS
from backstop.harness.anvil import Anvil
from backstop.harness.bench import ROOT, SCALE, WAD
from backstop.harness.reentry.calls import Call, Writer
from backstop.harness.reentry.world import (
    BROKE,
    DAY,
    KEEPER,
    SHORT,
    SOUND,
    UNIT,
    WEAK,
    ReentryWorld,
    deploy_reentry_world,
)
from backstop.harness.rpc import Outcome, Step

STRANGER = "0x" + "5a" * 20
TRIES = 8
AT_ONCE = {
    *("engine.tightenMarket", "engine.pauseRisk", "backstop.tightenCaps"),
    *("fund.tightenClaimant", "fund.tightenClaimantMarket", "fund.holdMaturity"),
}
"""All that any role may do without waiting: it is the guardian's."""
DELAYS = {
    role: config.delay
    for role, config in Parameters.load(ROOT / "parameters" / "local.yaml").roles.items()
}
PLACES = {role: 6 + place for place, role in enumerate(ROLE_IDS)}
"""Which of the node's accounts holds a role, with the role's delay."""


@pytest.fixture(scope="module")
def world(project: Any) -> Iterator[ReentryWorld]:
    """The world of the re-entry machine, and one thief a role."""
    with Anvil() as node:
        made = deploy_reentry_world(node.client, project.get_contract)
        for role, number in ROLE_IDS.items():
            made.bench.system.authority.grantRole(
                number, thief(made, role), DELAYS[role], sender=made.bench.owner
            )
        made.client.mine()
        yield made


def thief(world: ReentryWorld, role: str) -> str:
    return world.bench.users[PLACES[role]]


def short(call: Call) -> str:
    return call.name.split("(")[0]


def restricted() -> dict[str, str]:
    """Every restricted function and its role."""
    return {
        f"{name}.{function}": role
        for name, roles in PERMISSIONS.items()
        for role, functions in roles.items()
        for function in functions
    }


def calls(world: ReentryWorld, seed: int) -> list[Call]:
    every = Writer(world, seed).every(views=False, tries=TRIES)
    return [call for drawn in every.values() for call in drawn]


def refusals(world: ReentryWorld, made: list[Call], sender: str) -> list[Outcome]:
    """What becomes of each call, made by `sender` alone and right now."""
    found = []
    for call in made:
        step = Step(to=call.to, data=call.data, sender=sender, gas=30_000_000, delay=0)
        found += world.client.simulate([step])
    return found


def error(outcome: Outcome) -> str:
    return "" if outcome.error is None else outcome.error.name


def test_a_stranger_is_refused_whatever_it_says(world: ReentryWorld) -> None:
    roles = restricted()
    made = [call for call in calls(world, 1) if short(call) in roles]
    assert {short(call) for call in made} == set(roles)
    for call, outcome in zip(made, refusals(world, made, STRANGER), strict=True):
        assert error(outcome) == "AccessManagedUnauthorized", call.name


@pytest.mark.parametrize("role", list(ROLE_IDS))
def test_a_stolen_key_moves_nothing_at_once(world: ReentryWorld, role: str) -> None:
    """Every restricted function, called at once by the holder of one role: its own functions wait
    for their delay, the others' are closed to it, and only what tightens goes through.
    """
    roles, who = restricted(), thief(world, role)
    made = [call for call in calls(world, 2) if short(call) in roles]
    went_through = set()
    for call, outcome in zip(made, refusals(world, made, who), strict=True):
        name = short(call)
        if roles[name] != role:
            assert error(outcome) == "AccessManagedUnauthorized", name
        elif DELAYS[role]:
            assert error(outcome) == "AccessManagerNotScheduled", name
        elif outcome.ok:
            went_through.add(name)
    assert went_through <= AT_ONCE
    if role == "guardian":
        assert went_through == AT_ONCE
        assert DELAYS[role] == 0


def test_the_guardians_worst_leaves_everybody_their_money(world: ReentryWorld) -> None:
    """Everything is paused and tightened as far as it goes: no token has left, who is flat
    withdraws all, positions are reduced, and liquidations and close-outs go on.
    """
    s, b, who = world.bench.system, world.bench, thief(world, "guardian")
    keeper, mine, weak = b.users[KEEPER], b.account(KEEPER), b.account(WEAK)
    with world.client.isolated():
        held = [int(s.token.balanceOf(c.address)) for c in (s.engine, s.fund)]
        _do_worst(world, who)
        assert [int(s.token.balanceOf(c.address)) for c in (s.engine, s.fund)] == held
        assert int(s.token.balanceOf(who)) == 0
        s.engine.deposit(b.account(7), 100 * UNIT, sender=b.users[7])
        s.engine.withdraw(b.account(7), 100 * UNIT, b.users[7], sender=b.users[7])
        receipt = s.liquidator.closeOut(b.account(BROKE), mine, False, sender=keeper)
        resolved = receipt.one("ShortfallResolved").receipt
        # the shared layers are closed: the market's own money, its put and the opposite side pay
        assert resolved.reserve == resolved.staked == resolved.backing == resolved.recorded == 0
        own = resolved.compartment + resolved.reinsurance + resolved.sideCharged
        assert resolved.deficit == own > 0
        before = b.size(SOUND)
        b.trade(SHORT, SOUND, 10, 88)
        assert b.size(SOUND) == before - 10 * WAD
        s.liquidator.flag(weak, sender=keeper)
        world.client.warp(601)
        b.price(88)
        s.liquidator.deleverage(weak, 0, mine, 2**255, sender=keeper)
        state = s.engine.accountState(weak)
        assert state.equity >= state.maintenanceMargin


def _do_worst(world: ReentryWorld, who: str) -> None:
    s = world.bench.system
    for market in (0, 1):
        s.engine.pauseRisk(market, sender=who)
        s.engine.tightenMarket(market, 500_000, 5_000, 7 * DAY, sender=who)
        s.fund.tightenClaimantMarket(s.engine.address, market, (0, 0), sender=who)
    s.fund.tightenClaimant(s.engine.address, (0, 0, DAY), sender=who)
    s.fund.holdMaturity(sender=who)


def test_the_guardian_holds_an_exit_for_14_days_at_most(world: ReentryWorld) -> None:
    """It holds maturities again every day; the request is paid 14 days after its maturity."""
    s, me = world.bench.system, world.attacker.address
    maturity = int(s.tranche.bucket(2)[0].maturity)
    last = maturity + 14 * DAY
    days = (last - 1 - world.client.timestamp) // DAY
    guardian = thief(world, "guardian")
    claim = s.tranche.claim.encode(2, me, me)

    def ask(delay: int) -> Step:
        data = (s.tranche.address, claim)
        return world.attacker.act.step(*data, sender=world.bench.owner, delay=delay)

    holds = [s.fund.holdMaturity.step(sender=guardian, delay=DAY) for _ in range(days)]
    start = world.client.timestamp + DAY * days
    early, due = world.client.simulate([*holds, ask(last - 1 - start), ask(1)])[-2:]
    assert error(early) == "NotClaimable"
    assert due.ok and due.timestamp == last
    assert due.one("Withdraw").assets > 0


def test_what_the_treasurer_can_take_after_its_delay(world: ReentryWorld) -> None:
    """Fees of the protocol, the second slice, and a tenth of the surplus above the reserve's
    target a week; not a unit more, and nothing of the traders and stakers.
    """
    s, who = world.bench.system, thief(world, "treasurer")
    fees = [int(s.engine.marketState(m).treasuryFees) // SCALE for m in (0, 1)]
    surplus, backing = int(s.fund.surplus().assets), int(s.fund.backing())
    most = min(surplus, int(s.fund.reserve()) - int(s.fund.reserveTarget()))
    assert min(*fees, most, backing) > 0
    wanted = [
        *((s.engine, "payTreasury", (m, who), True) for m in (0, 1)),
        (s.fund, "releaseBacking", (who, backing), True),
        (s.fund, "releaseBacking", (who, 1), False),
        (s.fund, "releaseReserve", (who, most + 1), False),
        (s.fund, "releaseReserve", (who, most), True),
        (s.fund, "releaseReserve", (who, 1), False),
    ]
    data = [(contract.address, contract[name].encode(*args)) for contract, name, args, _ in wanted]
    manager, wait = s.authority, DELAYS["treasurer"]
    early = [manager.execute.step(*each, sender=who, delay=0) for each in data]
    steps = [manager.schedule.step(*each, 0, sender=who, delay=0) for each in data]
    late = [manager.execute.step(*each, sender=who, delay=0) for each in data]
    late[0] = manager.execute.step(*data[0], sender=who, delay=wait)
    held = s.token.balanceOf.step(who, delay=0)
    done = world.client.simulate([*steps, *early, held, *late, held])
    count = len(data)
    assert all(outcome.ok for outcome in done[:count])
    assert {error(outcome) for outcome in done[count : 2 * count]} == {"AccessManagerNotReady"}
    assert done[2 * count].value == 0
    assert [outcome.ok for outcome in done[2 * count + 1 : -1]] == [each[3] for each in wanted]
    to_stakers = most * int(s.fund.stakerShare()) // 10**6
    assert done[-1].value == sum(fees) + backing + most - to_stakers


@pytest.mark.parametrize("aim", [10**4, 2**120])
def test_a_stolen_reporters_key_moves_the_target_5_percent_a_day(
    world: ReentryWorld, aim: int
) -> None:
    oracle, me = world.bench.system.risk_oracle, world.bench.owner
    first = int(oracle.target())
    steps = []
    for _ in range(24):
        steps.append(oracle.post.step(aim, bytes(32), bytes(32), [], sender=me, delay=3_600))
        data = oracle.post.encode(aim, bytes(32), bytes(32), [])
        steps.append(world.attacker.act.step(oracle.address, data, sender=me, delay=0))
    steps.append(oracle.target.step(delay=0))
    last = int(world.client.simulate(steps)[-1].value)
    assert last != first and abs(last - first) * 1_000 <= first * 52
