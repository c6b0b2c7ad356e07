"""The fund and its reinsurer: what counts, what does not, and who cannot stop whom."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import pytest
from put_cases import ACCOUNT, UNIT

from backstop.harness.fund import FundWorld
from backstop.harness.rpc import Contract, Receipt, expect_revert

ZERO_ADDRESS = "0x" + "00" * 20


class Mode(IntEnum):
    """The modes of HostileReinsurer."""

    HONEST = 0
    LIAR = 1
    HALF = 2
    GENEROUS = 3
    REVERT = 4
    BURN = 5
    LOOP = 6
    BOMB = 7
    LONG_ANSWER = 8
    SHORT = 9
    REENTER = 10
    REENTER_BLINDLY = 11
    ALMOST = 12


FAILING = (Mode.REVERT, Mode.BURN, Mode.LOOP, Mode.BOMB)

Rogue = tuple[FundWorld, Contract]


def legs(receipt: Receipt) -> list[tuple[int, int, int]]:
    """Compartment, reserve, reinsurance."""
    return [
        (e.legs.compartment, e.legs.reserve, e.legs.reinsurance) for e in receipt.find("Covered")
    ]


def behave(rogue: Rogue, mode: Mode, target: str = ZERO_ADDRESS, data: bytes = b"") -> None:
    rogue[1].set(int(mode), target, data, sender=rogue[0].owner)


def test_layer_4_pays_what_the_fund_leaves(rogue: Rogue, alice: Any) -> None:
    world, _ = rogue
    before = world.token.balanceOf(alice.address)
    receipt = world.fund.cover(ACCOUNT, [(1, 100)], 0, sender=alice.address)
    assert legs(receipt) == [(30, 20, 50)]
    assert world.token.balanceOf(alice.address) - before == 100
    assert world.token.balanceOf(world.fund.address) == world.fund.totalCapital() == 0


def test_the_second_slice_comes_first(rogue: Rogue, alice: Any, bob: Any) -> None:
    """All layers in one event, and not a unit more than the claims."""
    world, _ = rogue
    world.tranche.setTerms(10**9, 86_400 * 7, sender=world.owner)
    world.tranche.deposit(11, bob.address, sender=bob.address)
    world.fund.fundBacking(7, sender=bob.address)
    preview = world.fund.previewCover(alice.address, 1, 100)
    assert tuple(preview) == (30, 20, 11, 7, 32)
    before = world.token.balanceOf(alice.address)
    receipt = world.fund.cover(ACCOUNT, [(1, 100), (2, 5)], 0, sender=alice.address)
    assert [tuple(e.legs) for e in receipt.find("Covered")] == [
        (30, 20, 11, 7, 32),
        (0, 0, 0, 0, 5),
    ]
    assert world.token.balanceOf(alice.address) - before == 105
    assert world.token.balanceOf(world.fund.address) == world.fund.totalCapital() == 0


def test_what_comes_back_of_its_part_buys_new_cover(rogue: Rogue, alice: Any) -> None:
    """Of 50 that it paid, 30 fill the premium budget, and the reserve has the rest."""
    world, _ = rogue
    fund = world.fund
    fund.setPremiumTerms(0, 30, sender=world.owner)
    recorded = fund.cover(ACCOUNT, [(1, 100)], 0, sender=alice.address).one("ReceiptRecorded")
    number, receipt = recorded.eventId, bytes(recorded.receipt)
    fund.recover(number, receipt, 20, sender=alice.address)
    assert (fund.premium().budget, fund.reserve()) == (20, 0)
    fund.recover(number, receipt, 30, sender=alice.address)
    assert (fund.premium().budget, fund.reserve()) == (30, 20)


def test_it_is_not_asked_while_the_fund_can_pay(rogue: Rogue, alice: Any) -> None:
    world, contract = rogue
    assert legs(world.fund.cover(ACCOUNT, [(1, 50)], 0, sender=alice.address)) == [(30, 20, 0)]
    assert contract.asked() == 0


def test_a_limit_is_no_reason_not_to_ask(rogue: Rogue, alice: Any, bob: Any) -> None:
    """Draw limits guard the fund's own capital; outside money has its own."""
    world, _ = rogue
    world.fund.tightenClaimant(alice.address, (5, 5, 86_400), sender=world.owner)
    receipt = world.fund.cover(ACCOUNT, [(1, 1_000)], 0, sender=alice.address)
    assert legs(receipt) == [(30, 5, 965)]
    room = world.fund.drawRoom.call(alice.address, 1, at=world.client.timestamp)
    assert (room.claimantWindow, room.marketWindow) == (0, 2_000 * UNIT - 5)


def test_every_claim_is_asked_for_and_the_reward_is_not(rogue: Rogue, alice: Any) -> None:
    world, contract = rogue
    receipt = world.fund.cover(ACCOUNT, [(1, 60), (2, 7), (1, 3)], 9, sender=alice.address)
    assert legs(receipt) == [(30, 20, 10), (0, 0, 7), (0, 0, 3)]
    assert contract.asked() == 3
    assert not receipt.find("KeeperRewardPaid")
    assert len([e for e in receipt.find("Transfer") if e["to"] == alice.address]) == 1


def test_all_of_it_in_the_middle_of_a_liquidation(rogue: Rogue) -> None:
    """The engine calls while the liquidator holds the lock."""
    world, _ = rogue
    data = world.in_liquidation("cover", ACCOUNT, [(1, 70)], 0)
    receipt = world.client.send(world.liquidator.address, data, sender=world.owner)
    assert legs(receipt) == [(0, 20, 50)]
    assert world.token.balanceOf(world.engine.address) == 70


def test_a_claimant_that_cannot_be_paid_costs_the_reinsurer_nothing(
    hostile: Any, project: Any, alice: Any
) -> None:
    world = hostile.base
    rogue = world.client.deploy(
        project.get_contract("HostileReinsurer"), world.fund.address, sender=world.owner
    )
    world.fund.setReinsurer(rogue.address, sender=world.owner)
    world.token.mint(rogue.address, 100, sender=world.owner)
    world.token.setBlocked(alice.address, True, sender=world.owner)
    receipt = world.fund.cover(ACCOUNT, [(1, 60)], 0, sender=alice.address)
    assert [e.name for e in receipt.events] == ["CoverFailed"]
    assert world.token.balanceOf(rogue.address) == 100
    assert world.fund.eventCount() == 0


# --- what does not count


@pytest.mark.parametrize(
    ("mode", "paid"),
    [
        (Mode.LIAR, 0),
        (Mode.ALMOST, 0),
        (Mode.HALF, 25),
        (Mode.LONG_ANSWER, 50),
        (Mode.SHORT, 50),
        (Mode.GENEROUS, 50),
        *((mode, 0) for mode in FAILING),
    ],
)
def test_only_what_arrives_counts(rogue: Rogue, alice: Any, mode: Mode, paid: int) -> None:
    world, _ = rogue
    behave(rogue, mode)
    before = world.token.balanceOf(alice.address)
    receipt = world.fund.cover(ACCOUNT, [(1, 100)], 0, sender=alice.address)
    assert legs(receipt) == [(30, 20, paid)]
    assert len(receipt.find("ReinsurerFailed")) == (mode in FAILING)
    assert world.token.balanceOf(alice.address) - before == 50 + paid
    # a gift stays, and is no capital
    gift = 50 if mode is Mode.GENEROUS else 0
    assert world.token.balanceOf(world.fund.address) == gift
    assert world.fund.totalCapital() == 0


@pytest.mark.parametrize("mode", FAILING)
def test_after_a_failure_it_is_left_alone_in_this_event(
    rogue: Rogue, alice: Any, mode: Mode
) -> None:
    world, contract = rogue
    behave(rogue, mode)
    claims = [(1, 100), (2, 10), (2, 10)]
    receipt = world.fund.cover(ACCOUNT, claims, 0, sender=alice.address)
    assert legs(receipt) == [(30, 20, 0), (0, 0, 0), (0, 0, 0)]
    event = receipt.one("ReinsurerFailed")
    assert (event.eventId, event.reinsurer, event.market) == (1, contract.address, 1)
    assert receipt.gas_used < 900_000, "its gas is spent once"
    # and asked again in the next
    behave(rogue, Mode.HONEST)
    assert legs(world.fund.cover(ACCOUNT, [(2, 10)], 0, sender=alice.address)) == [(0, 0, 10)]


def test_its_gas_is_what_was_said(rogue: Rogue, alice: Any) -> None:
    world, contract = rogue
    world.fund.cover(ACCOUNT, [(1, 100)], 0, sender=alice.address)
    assert 495_000 < contract.gasSeen() <= 500_000


def test_a_reinsurer_that_is_gone_pays_nothing(rogue: Rogue, alice: Any) -> None:
    world, contract = rogue
    world.client.set_code(contract.address, b"")
    receipt = world.fund.cover(ACCOUNT, [(1, 100)], 0, sender=alice.address)
    assert legs(receipt) == [(30, 20, 0)]


# --- calls back


@pytest.mark.parametrize(
    "call",
    [
        ("cover", ACCOUNT, [(1, 5)], 0),
        ("settleEvent", ACCOUNT, [(1, 5)], 0),
        ("fundReserve", 5),
        ("fundCompartment", "claimant", 1, 5),
        ("fundPremium", 5),
        ("payPremium", 5),
        ("fundStakers", 5),
        ("payStaker", "self", 5),
        ("receiveIncome", 1, 5),
        ("reserve",),
        ("totalCapital",),
        ("previewCover", "claimant", 1, 5),
        ("premium",),
        ("noteReserveGap",),
        ("reportShortfall", "claimant", 1),
    ],
    ids=lambda call: call[0],
)
def test_calls_back_find_everything_closed(rogue: Rogue, alice: Any, call: tuple[Any, ...]) -> None:
    """Also for a reinsurer that is a claimant, with a budget to draw and tokens to pay in."""
    world, contract = rogue
    fund, owner = world.fund, world.owner
    fund.setClaimant(contract.address, (10, 10, 60), sender=owner)
    fund.setPremiumTerms(0, 100, sender=owner)
    fund.fundPremium(50, sender=alice.address)
    world.client.rpc("anvil_impersonateAccount", contract.address)
    world.token.approve(fund.address, 2**256 - 1, sender=contract.address)
    names = {"claimant": alice.address, "self": contract.address}
    name, *arguments = (names.get(part, part) if isinstance(part, str) else part for part in call)
    behave(rogue, Mode.REENTER, fund.address, getattr(fund, name).encode(*arguments))
    receipt = fund.cover(ACCOUNT, [(1, 100)], 0, sender=alice.address)
    assert contract.asked() == 1
    assert not contract.succeeded(), world.client.registry.decode_error(contract.returned())
    assert legs(receipt) == [(30, 20, 50)]
    assert world.token.balanceOf(fund.address) == fund.premium().budget == 50


def test_stakers_money_that_comes_in_meanwhile_is_not_its_own(rogue: Rogue, alice: Any) -> None:
    """A deposit into the tranche would raise the fund's balance: it finds the lock taken."""
    world, contract = rogue
    world.tranche.setTerms(10**9, 86_400 * 7, sender=world.owner)
    world.client.rpc("anvil_impersonateAccount", contract.address)
    world.token.approve(world.tranche.address, 2**256 - 1, sender=contract.address)
    data = world.tranche.deposit.encode(40, contract.address)
    behave(rogue, Mode.REENTER_BLINDLY, world.tranche.address, data)
    receipt = world.fund.cover(ACCOUNT, [(1, 100)], 0, sender=alice.address)
    assert legs(receipt) == [(30, 20, 0)]
    assert receipt.one("ReinsurerFailed")
    # outside of a cover the same call works
    world.tranche.deposit(40, contract.address, sender=contract.address)


# --- gas


def outcome(world: FundWorld, claimant: str, gas: int) -> str:
    """What a liquidation with this much gas comes to: nothing at all, or how the legs are."""
    with world.client.isolated():
        data = world.fund.cover.encode(ACCOUNT, [(1, 100), (2, 10)], 0)
        try:
            receipt = world.client.send(world.fund.address, data, sender=claimant, gas=gas)
        except Exception as error:
            return getattr(error, "name", None) or type(error).__name__
        return str(legs(receipt))


@pytest.mark.parametrize("mode", [Mode.HONEST, Mode.ALMOST])
def test_no_gas_limit_makes_the_reinsurer_fail(rogue: Rogue, alice: Any, mode: Mode) -> None:
    """Between too little for anything and enough, only failures, never a cover without it."""
    behave(rogue, mode)
    first, second = (50, 10) if mode is Mode.HONEST else (0, 0)
    full = str([(30, 20, first), (0, 0, second)])
    seen = [outcome(rogue[0], alice.address, gas) for gas in range(60_000, 2_200_000, 35_000)]
    assert seen[-1] == full
    assert set(seen) <= {full, "NotEnoughGas", "Halted"}
    assert "NotEnoughGas" in seen
    enough = seen.index(full)
    assert all(result == full for result in seen[enough:])


def test_too_little_gas_is_said_with_numbers(rogue: Rogue, alice: Any) -> None:
    world, _ = rogue
    data = world.fund.cover.encode(ACCOUNT, [(1, 100)], 0)
    with expect_revert("NotEnoughGas", required=1_000_000) as caught:
        world.client.send(world.fund.address, data, sender=alice.address, gas=700_000)
    assert 400_000 < caught.error.arguments["available"] < 700_000
    # what the fund pays alone needs none of it
    data = world.fund.cover.encode(ACCOUNT, [(1, 50)], 0)
    world.client.send(world.fund.address, data, sender=alice.address, gas=700_000)


# --- quotes


@pytest.mark.parametrize(
    ("mode", "quoted"),
    [
        (Mode.HONEST, 50),
        (Mode.GENEROUS, 50),
        (Mode.LONG_ANSWER, 50),
        (Mode.SHORT, 0),
        (Mode.ALMOST, 50),
        *((mode, 0) for mode in FAILING),
    ],
)
def test_previews_survive_it_too(rogue: Rogue, alice: Any, mode: Mode, quoted: int) -> None:
    world, _ = rogue
    behave(rogue, mode)
    preview = world.fund.previewCover(alice.address, 1, 100)
    assert (preview.compartment, preview.reserve, preview.reinsurance) == (30, 20, quoted)
    assert world.fund.previewCover(alice.address, 1, 50).reinsurance == 0


# --- who it is


def test_who_may_be_the_reinsurer(rogue: Rogue, alice: Any, bob: Any) -> None:
    world, contract = rogue
    fund, owner = world.fund, world.owner
    for wrong in (alice.address, world.engine.address, fund.address, world.tranche.address):
        with expect_revert("InvalidReinsurer", reinsurer=wrong):
            fund.setReinsurer(wrong, sender=owner)
    with expect_revert("AccessManagedUnauthorized", caller=bob.address):
        fund.setReinsurer(ZERO_ADDRESS, sender=bob.address)
    assert fund.reinsurer() == contract.address
    receipt = fund.setReinsurer(ZERO_ADDRESS, sender=owner)
    assert receipt.one("ReinsurerSet").reinsurer == ZERO_ADDRESS
    assert fund.previewCover(alice.address, 1, 100).reinsurance == 0
    assert legs(fund.cover(ACCOUNT, [(1, 100)], 0, sender=alice.address)) == [(30, 20, 0)]
    assert contract.asked() == 0


# --- the premium budget


def test_income_fills_the_budget_up_to_its_cap(rogue: Rogue, alice: Any) -> None:
    world, _ = rogue
    fund, owner = world.fund, world.owner
    fund.setStakerShare(200_000, sender=owner)
    fund.setPremiumTerms(250_000, 45, sender=owner)
    receipt = fund.receiveIncome(1, 101, sender=alice.address)
    # 20 to stakers, a quarter of 81 to premiums
    assert receipt.one("StakerIncome").assets == 20
    event = receipt.one("PremiumIncome")
    assert (event.claimant, event.market, event.assets) == (alice.address, 1, 20)
    assert receipt.one("IncomeReceived").toCompartment == 61
    assert tuple(fund.premium()) == (20, 250_000, 45)
    receipt = fund.receiveIncome(1, 1_000, sender=alice.address)
    assert (receipt.one("PremiumIncome").assets, receipt.one("IncomeReceived").toCompartment) == (
        25,
        775,
    )
    assert not fund.receiveIncome(1, 1_000, sender=alice.address).find("PremiumIncome")
    assert fund.totalCapital() == 50 + 61 + 775 + 800, "the budget is none"


def test_the_budget_pays_no_deficit(rogue: Rogue, alice: Any) -> None:
    world, _ = rogue
    world.fund.setPremiumTerms(0, 500, sender=world.owner)
    world.fund.fundPremium(500, sender=alice.address)
    behave(rogue, Mode.LIAR)
    receipt = world.fund.cover(ACCOUNT, [(1, 100)], 20, sender=alice.address)
    assert legs(receipt) == [(30, 20, 0)]
    assert not receipt.find("KeeperRewardPaid")
    assert world.fund.premium().budget == 500


def test_what_comes_back_of_its_part_fills_the_budget_again(rogue: Rogue, alice: Any) -> None:
    """Cover of 50 is without recourse: of what comes back 40 pay premiums, the rest is reserve."""
    world, _ = rogue
    fund = world.fund
    recorded = fund.cover(ACCOUNT, [(1, 100)], 0, sender=alice.address).one("ReceiptRecorded")
    number, receipt = recorded.eventId, bytes(recorded.receipt)
    fund.setPremiumTerms(0, 40, sender=world.owner)
    for assets, budget, reserve in ((15, 15, 0), (30, 40, 5), (7, 40, 5 + 5 + 2)):
        fund.recover(number, receipt, assets, sender=alice.address)
        assert (fund.premium().budget, fund.reserve()) == (budget, reserve)
    assert world.token.balanceOf(fund.address) == 52


def test_only_the_reinsurer_draws_it(rogue: Rogue, alice: Any, bob: Any) -> None:
    world, contract = rogue
    fund = world.fund
    fund.setPremiumTerms(0, 500, sender=world.owner)
    with expect_revert("AbovePremiumCap", requested=501, room=500):
        fund.fundPremium(501, sender=bob.address)
    with expect_revert("ZeroAmount"):
        fund.fundPremium(0, sender=bob.address)
    fund.fundPremium(300, sender=bob.address)
    with expect_revert("NotReinsurer", caller=bob.address):
        fund.payPremium(1, sender=bob.address)
    with expect_revert("PremiumTooSmall", requested=301, available=300):
        contract.drawPremium(301, sender=bob.address)
    with expect_revert("ZeroAmount"):
        contract.drawPremium(0, sender=bob.address)
    held = world.token.balanceOf(contract.address)
    contract.drawPremium(120, sender=bob.address)
    assert world.token.balanceOf(contract.address) == held + 120
    assert fund.premium().budget == 180
    contract.drawPremium(180, sender=bob.address)
    assert fund.premium().budget == 0


def test_what_is_above_a_lower_cap_is_the_operators(rogue: Rogue, bob: Any) -> None:
    world, _ = rogue
    fund = world.fund
    fund.setPremiumTerms(0, 500, sender=world.owner)
    fund.fundPremium(300, sender=bob.address)
    receipt = fund.setPremiumTerms(10, 100, sender=world.owner)
    assert receipt.one("PremiumTermsSet").toReserve == 200
    assert (tuple(fund.premium()), fund.reserve()) == ((100, 10, 100), 220)
    for wrong, field in (((1_000_001, 0), "share"), ((0, 2**112), "cap")):
        with expect_revert("InvalidLimits", field=field):
            fund.setPremiumTerms(*wrong, sender=world.owner)
    with expect_revert("AccessManagedUnauthorized"):
        fund.setPremiumTerms(0, 0, sender=bob.address)
