"""A token that blocks, lies, takes a fee or calls back: I05, I31."""

from __future__ import annotations

from typing import Any

import pytest
from fund_cases import ACCOUNT, DAY, LIMITS, MARKET_LIMITS, UNIT

from backstop.harness.fund import FundWorld
from backstop.harness.rpc import expect_revert

CAP = 500 * UNIT


def ledger(world: FundWorld, claimant: str) -> tuple[Any, ...]:
    fund = world.fund
    return (
        fund.reserve(),
        fund.totalCompartments(),
        fund.compartment(claimant, 1),
        fund.eventCount(),
        tuple(fund.drawRoom(claimant, 1)),
        world.token.balanceOf(fund.address),
    )


@pytest.mark.parametrize("vice", ["blocked", "refuses"])
def test_unpayable_cover_pays_nothing_and_costs_nothing(
    hostile: FundWorld, alice: Any, bob: Any, vice: str
) -> None:
    fund, token, me = hostile.fund, hostile.token, alice.address
    fund.fundCompartment(me, 1, CAP, sender=bob.address)
    fund.fundReserve(CAP, sender=bob.address)
    before = ledger(hostile, me)
    if vice == "blocked":
        token.setBlocked(me, True, sender=hostile.owner)
    else:
        token.setRefuses(True, sender=hostile.owner)
    claims = [(1, CAP + 5), (2, 5)]
    event_id, legs, reward = fund.cover.call(ACCOUNT, claims, 3, sender=me)
    assert (event_id, reward) == (0, 0)
    assert [tuple(leg) for leg in legs] == [(0, 0, 0, 0, 0)] * 2
    receipt = fund.cover(ACCOUNT, claims, 3, sender=me)
    assert [event.name for event in receipt.events] == ["CoverFailed"]
    event = receipt.one("CoverFailed")
    assert (event.claimant, event.account) == (me, ACCOUNT)
    reason = hostile.client.registry.decode_error(event.reason).name
    assert reason == ("Blocked" if vice == "blocked" else "SafeERC20FailedOperation")
    assert ledger(hostile, me) == before
    # the others are not held up
    hostile.token.setRefuses(False, sender=hostile.owner)
    data = hostile.in_liquidation("cover", ACCOUNT, [(1, 5)], 0)
    hostile.client.send(hostile.liquidator.address, data, sender=hostile.owner)
    assert fund.eventCount() == 1


def test_a_token_that_keeps_everything_brings_nothing(hostile: FundWorld, bob: Any) -> None:
    hostile.tranche.setTerms(10**12, 7 * DAY, sender=hostile.owner)
    hostile.token.setFee(10_000, sender=hostile.owner)
    for call in (
        lambda: hostile.fund.fundReserve(CAP, sender=bob.address),
        lambda: hostile.tranche.deposit(CAP, bob.address, sender=bob.address),
    ):
        with expect_revert("WrongAmountReceived", expected=CAP, received=0):
            call()
    assert hostile.fund.totalCapital() == 0


def test_unpayable_release_reverts(hostile: FundWorld, bob: Any) -> None:
    hostile.fund.fundBacking(CAP, sender=bob.address)
    hostile.token.setBlocked(bob.address, True, sender=hostile.owner)
    with expect_revert("Blocked"):
        hostile.fund.releaseBacking(bob.address, 5, sender=hostile.owner)
    assert hostile.fund.backing() == CAP


def test_fee_on_transfer_is_refused(hostile: FundWorld, alice: Any, bob: Any) -> None:
    hostile.token.setFee(100, sender=hostile.owner)
    for function, args in (
        (hostile.fund.fundReserve, (100,)),
        (hostile.fund.fundCompartment, (alice.address, 1, 100)),
        (hostile.fund.receiveIncome, (1, 100)),
    ):
        with expect_revert("WrongAmountReceived", expected=100, received=99):
            function(*args, sender=alice.address)
    assert hostile.fund.totalCapital() == 0


def test_token_that_returns_false_on_the_way_in(hostile: FundWorld, bob: Any) -> None:
    hostile.token.setRefuses(True, sender=hostile.owner)
    with expect_revert("SafeERC20FailedOperation"):
        hostile.fund.fundReserve(100, sender=bob.address)


def reentries(world: FundWorld, claimant: str) -> dict[str, bytes]:
    fund = world.fund
    return {
        "cover": fund.cover.encode(ACCOUNT, [(1, 5)], 0),
        "settleEvent": fund.settleEvent.encode(ACCOUNT, [(1, 5)], 0),
        "receiveIncome": fund.receiveIncome.encode(1, 5),
        "fundReserve": fund.fundReserve.encode(5),
        "fundCompartment": fund.fundCompartment.encode(claimant, 1, 5),
        "reserve": fund.reserve.encode(),
        "totalCapital": fund.totalCapital.encode(),
        "compartment": fund.compartment.encode(claimant, 1),
        "totalCompartments": fund.totalCompartments.encode(),
        "previewCover": fund.previewCover.encode(claimant, 1, 5),
        "drawRoom": fund.drawRoom.encode(claimant, 1),
        "eventCount": fund.eventCount.encode(),
        "reserveTarget": fund.reserveTarget.encode(),
        "claimantLimits": fund.claimantLimits.encode(claimant),
        "marketLimits": fund.marketLimits.encode(claimant, 1),
    }


@pytest.mark.parametrize("how", ["foreign", "liquidation", "reserve"])
def test_no_way_back_in(hostile: FundWorld, alice: Any, bob: Any, how: str) -> None:
    """The token is a registered claimant and calls everything in the middle of a transfer."""
    fund, token, engine = hostile.fund, hostile.token, hostile.engine.address
    fund.setClaimant(token.address, LIMITS, sender=hostile.owner)
    fund.setClaimantMarket(token.address, 1, MARKET_LIMITS, sender=hostile.owner)
    fund.fundReserve(CAP, sender=bob.address)
    for name, data in reentries(hostile, token.address).items():
        token.setCallback(fund.address, data, sender=hostile.owner)
        before = fund.totalCapital()
        if how == "foreign":
            fund.cover(ACCOUNT, [(1, 7)], 0, sender=alice.address)
            assert fund.totalCapital() == before - 7
        elif how == "liquidation":
            call = hostile.in_liquidation("cover", ACCOUNT, [(1, 7)], 0)
            hostile.client.send(hostile.liquidator.address, call, sender=hostile.owner)
            assert fund.totalCapital() == before - 7
        else:
            fund.fundReserve(7, sender=bob.address)
            assert fund.totalCapital() == before + 7
        assert token.callbackResult() == 2, f"{name} succeeded inside {how}"
        error = hostile.client.registry.decode_error(token.callbackReturned())
        assert error.name == ("NotSelf" if name == "settleEvent" else "Locked"), name
        assert token.balanceOf(fund.address) == fund.totalCapital()
    assert fund.eventCount() == (0 if how == "reserve" else len(reentries(hostile, engine)))


def test_another_claimant_inside_a_liquidation(hostile: FundWorld, bob: Any) -> None:
    """A registered claimant that is called while the liquidator holds the lock is served, once at a
    time: the fund is between two events then, so this is the same as one event after another.
    """
    fund, engine = hostile.fund, hostile.engine.address
    fund.fundReserve(CAP, sender=bob.address)
    data = hostile.in_liquidation("cover", ACCOUNT, [(1, 7)], 0)
    hostile.client.send(hostile.liquidator.address, data, sender=hostile.owner)
    hostile.client.send(hostile.liquidator.address, data, sender=hostile.owner)
    assert fund.eventCount() == 2
    assert hostile.token.balanceOf(engine) == 1_000 * UNIT + 14


def test_nothing_else_runs_under_a_held_lock(hostile: FundWorld, bob: Any) -> None:
    """Under the liquidator's lock only `cover` and `receiveIncome` run, and only for claimants."""
    fund, token = hostile.fund, hostile.token
    holder = hostile.liquidator.address
    for name, data in reentries(hostile, hostile.engine.address).items():
        token.setCallback(fund.address, data, sender=hostile.owner)
        inner = token.transfer.encode(bob.address, 0)
        hostile.liquidator.callLocked(token.address, inner, sender=hostile.owner)
        assert token.callbackResult() == 2, name
        error = hostile.client.registry.decode_error(token.callbackReturned())
        expected = {
            "cover": "NotClaimant",
            "receiveIncome": "NotClaimant",
            "settleEvent": "NotSelf",
        }
        assert error.name == expected.get(name, "Locked"), name
        if error.name == "Locked":
            assert error.arguments["holder"] == holder


def test_setters_do_not_run_inside_a_call(hostile: FundWorld, bob: Any) -> None:
    fund, token = hostile.fund, hostile.token
    manager = hostile.manager
    manager.grantRole(0, token.address, 0, sender=hostile.owner)
    for data in (
        fund.setClaimant.encode(bob.address, (1, 1, DAY)),
        fund.setClaimantMarket.encode(hostile.engine.address, 1, (1, 1)),
        fund.tightenClaimant.encode(hostile.engine.address, (1, 1, DAY)),
        fund.tightenClaimantMarket.encode(hostile.engine.address, 1, (1, 1)),
        fund.setReserveTarget.encode(5),
        fund.releaseReserve.encode(bob.address, 5),
        fund.releaseBacking.encode(bob.address, 5),
        fund.setRiskOracle.encode(fund.address),
        fund.noteSolvency.encode(),
    ):
        token.setCallback(fund.address, data, sender=hostile.owner)
        fund.fundReserve(7, sender=bob.address)
        assert token.callbackResult() == 2
        assert hostile.client.registry.decode_error(token.callbackReturned()).name == "Locked"
