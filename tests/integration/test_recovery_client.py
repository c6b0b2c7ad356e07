"""Recovered money through the clients: a loss that stakers bore, and what comes back of it."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from backstop.chain.clients import NothingToDo
from backstop.chain.deploy import ROLE_IDS, RpcDeployer, deploy
from backstop.chain.recoveries import Recoverer, recorded, sentence
from backstop.chain.staking import Staker
from backstop.harness.abi import Reverted

UNIT = 10**6
BIG = 10**15


@pytest.fixture
def lossy(parameters, node, compiled):
    """Bob has staked 1,000 tokens; a claimant drew the reserve and 250 of the stake."""
    client, owner, claimant, bob = node.client, *node.accounts[7:10]
    with client.isolated():
        system = deploy(parameters, RpcDeployer(client, owner, compiled), hand_over=False)
        system.authority.grantRole(ROLE_IDS["fund_admin"], owner, 0, sender=owner)
        system.fund.setClaimant(claimant, (BIG, BIG, 1), sender=owner)
        system.fund.setClaimantMarket(claimant, 0, (0, BIG), sender=owner)
        for who in (owner, bob):
            system.token.mint(who, 1_000_000 * UNIT, sender=who)
        Staker(system, bob).stake(D(1_000))
        yield system, claimant, owner, bob


def test_what_comes_back_reaches_who_bore_the_loss(lossy):
    system, claimant, owner, bob = lossy
    donor = Recoverer(system, owner)
    assert recorded(system) == ()
    with pytest.raises(NothingToDo, match="those that are: none"):
        donor.recover(1, D(5))
    reserve = system.fund.reserve()
    system.fund.cover(b"\1" * 32, [(0, reserve + 250 * UNIT)], 0, sender=claimant)
    (event,) = recorded(system)
    assert (event.number, event.recovered) == (1, 0)
    assert event.paid == event.open == D(reserve) / UNIT + 250
    assert "0.00 recovered" in sentence(event, "mUSD")

    Staker(system, bob).unstake()
    with pytest.raises(NothingToDo, match="nothing has come back"):
        donor.collect(bob)
    done = donor.recover(1, D(100))
    assert done.open == event.open - 100 == recorded(system)[0].open
    before = system.token.balanceOf(bob)
    (paid,) = donor.collect(bob)
    assert (paid.holder, paid.loss, paid.part, paid.amount) == (bob, 1, 0, 100)
    assert system.token.balanceOf(bob) == before + 100 * UNIT
    with pytest.raises(NothingToDo, match="nothing has come back"):
        donor.collect(bob)
    with pytest.raises(Reverted, match="AboveLoss"):
        donor.recover(1, event.open)
    with pytest.raises(NothingToDo, match="those that are: 1"):
        donor.recover(2, D(1))
