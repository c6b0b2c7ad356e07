"""A crash on a whole deployed system: underwriters pay before anybody on the other side does."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

import pytest

from backstop.chain.config import Parameters, ReinsuranceConfig

D = Decimal
WAD, UNIT, DAY = 10**18, 10**6, 86_400
SIZE = 2_000 * UNIT


@pytest.fixture(scope="module")
def parameters(parameters: Parameters) -> Parameters:
    """A fund that holds nothing but 100 in BTC's compartment, and a crash put behind it."""
    markets = tuple(
        dataclasses.replace(
            market, fund=dataclasses.replace(market.fund, initial=D(100 if number == 0 else 0))
        )
        for number, market in enumerate(parameters.markets)
    )
    fund = dataclasses.replace(
        parameters.fund,
        initial_reserve=D(0),
        reinsurance=ReinsuranceConfig(100_000, D(1_000), D(500)),
    )
    return dataclasses.replace(parameters, fund=fund, markets=markets)


@pytest.fixture
def covered(market, node):
    """A running series: 2,000 on BTC from 55,000 down to 45,000."""
    system, admin = market.system, market.admin
    put, engine = system.crash_put, system.engine.address
    now = system.client.timestamp
    terms = {
        "claimant": engine,
        "market": 0,
        "strike": 55_000 * WAD,
        "floor": 45_000 * WAD,
        "startPrice": 58_000 * WAD,
        "size": SIZE,
        "premiumRate": 15_000,
        "writeUntil": now + 2 * DAY,
        "expiry": now + 9 * DAY,
    }
    role_delay = 12 * 3600
    call = (put.address, put.open.encode(terms))
    system.authority.schedule.send(*call, 0, sender=admin)
    system.client.warp(role_delay)
    system.authority.execute.send(*call, sender=admin)
    for place, part in ((10, SIZE // 4), (11, SIZE - SIZE // 4)):
        who = node.accounts[place]
        system.token.mint.send(who, part, sender=admin)
        system.token.approve.send(put.address, part, sender=who)
        put.write.send(1, part, sender=who)
    system.set_price(0, D(60_000), admin)
    put.activate.send(1, sender=node.accounts[12])
    # an empty fund doubles the initial margin
    market.open(collateral="1820")
    return market


def crash(market):
    """Alice loses more than she has."""
    market.move("52000", seconds=300)
    market.move("45000", seconds=600)


def balances(system):
    """What the put, the fund and the engine hold."""
    return [
        system.token.balanceOf(c.address) for c in (system.crash_put, system.fund, system.engine)
    ]


def test_the_put_pays_before_anybody_is_charged(covered):
    market, system = covered, covered.system
    put, fund = system.crash_put, system.fund
    assert fund.premium().budget == 470 * UNIT
    assert put.statusOf(1).notional == WAD * 2 // 10, "2,000 of 10,000 a base unit"
    crash(market)
    assert market.alice.view().bankrupt
    bob_before = market.bob.view().equity
    held = balances(system)
    result = market.keeper.liquidate(market.alice.number)
    assert result.deficit > 400
    assert result.reinsurance > 300, "2,000 are there at 45,000"
    own = result.compartment + result.reserve + result.staked
    assert own > 100, "all the fund has, with what the market has earned"
    assert own + result.reinsurance == result.deficit
    assert result.side_charged == result.recorded == 0
    # the winner keeps all of it
    assert market.bob.view().equity == bob_before
    paid = put.statusOf(1).paid
    after = balances(system)
    assert held[0] - after[0] == paid
    assert 0 <= D(paid) / UNIT - result.reinsurance < D("0.000001"), "whole units, rounded up"
    assert sum(held) == sum(after)
    assert fund.totalCapital() + fund.premium().budget == after[1]


def test_without_it_the_other_side_pays(covered):
    """The same crash, without a reinsurer: what the put paid is charged to the winner."""
    market, system = covered, covered.system
    client, admin = system.client, market.admin
    call = (system.fund.address, system.fund.setReinsurer.encode("0x" + "00" * 20))
    system.authority.schedule.send(*call, 0, sender=admin)
    client.warp(12 * 3600)
    system.authority.execute.send(*call, sender=admin)
    crash(market)
    before = market.bob.view().equity
    result = market.keeper.liquidate(market.alice.number)
    assert result.reinsurance == 0
    assert result.side_charged > 300
    assert market.bob.view().equity < before


def test_a_liquidation_with_too_little_gas_says_so(covered):
    """It can neither skip the put nor be finished without it."""
    market, system = covered, covered.system
    crash(market)
    account, keeper = market.alice.number, market.keepers_account.number
    data = system.liquidator.closeOut.encode(account, keeper, False)
    results = set()
    for gas in range(200_000, 1_600_001, 70_000):
        with system.client.isolated():
            try:
                receipt = system.client.send(
                    system.liquidator.address, data, sender=system.record.deployer, gas=gas
                )
            except Exception as error:
                results.add(getattr(error, "name", type(error).__name__))
            else:
                event = receipt.one("ShortfallResolved")
                results.add("covered" if event.receipt.reinsurance else "not covered")
    assert results - {"Halted"} == {"NotEnoughGas", "covered"}


def test_the_rest_of_its_value_is_the_funds(covered, node):
    market, system = covered, covered.system
    put, fund = system.crash_put, system.fund
    crash(market)
    market.keeper.liquidate(market.alice.number)
    paid = put.statusOf(1).paid
    system.client.warp(put.termsOf(1).expiry - system.client.timestamp + 1)
    system.set_price(0, D(48_000), market.admin)
    before = fund.reserve()
    put.settle.send(1, sender=node.accounts[12])
    worth = SIZE * 7 // 10
    assert fund.reserve() - before == worth - paid
    left = 0
    for place in (10, 11):
        who = node.accounts[place]
        held = system.token.balanceOf(who)
        put.withdraw.send(1, sender=who)
        left += system.token.balanceOf(who) - held
    assert left == SIZE - worth + 30 * UNIT, "what is left, and the premium"
    assert system.token.balanceOf(put.address) == 0
