"""Layer 3: shares, exits, losses, income."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from fund_cases import ACCOUNT, DAY, UNIT
from shared_cases import BIG, COOLDOWN, WEEK, open_to

from backstop.harness.anvil import private_key
from backstop.harness.fund import ZERO_ADDRESS, FundWorld, deploy_fund
from backstop.harness.rpc import RpcClient, expect_revert

SHARES = 1_000  # a unit of assets at the start


@pytest.fixture
def world(
    deployed_fund: FundWorld, rpc: RpcClient, alice: Any, bob: Any, carol: Any
) -> Iterator[FundWorld]:
    """Alice is the claimant; bob and carol stake."""
    with rpc.isolated():
        open_to(deployed_fund, [alice.address, bob.address, carol.address])
        yield deployed_fund


@pytest.fixture
def hostile(
    rpc: RpcClient, project: Any, owner: Any, alice: Any, bob: Any, carol: Any
) -> Iterator[FundWorld]:
    with rpc.isolated():
        w = deploy_fund(rpc, project.get_contract, owner.address, hostile=True)
        open_to(w, [alice.address, bob.address, carol.address])
        yield w


def lose(world: FundWorld, alice: Any, assets: int) -> Any:
    return world.fund.cover(ACCOUNT, [(1, assets)], 0, sender=alice.address)


# ---------------------------------------------------------------------- coming in


def test_first_deposit_is_one_to_one(world: FundWorld, bob: Any, carol: Any) -> None:
    t = world.tranche
    receipt = t.deposit(5 * UNIT, carol.address, sender=bob.address)
    event = receipt.one("Deposit")
    assert (event.sender, event.owner) == (bob.address, carol.address)
    assert (event.assets, event.shares) == (5 * UNIT, 5 * UNIT * SHARES)
    assert t.balanceOf(carol.address) == t.totalSupply() == 5 * UNIT * SHARES
    assert t.totalAssets() == t.slashable() == world.fund.totalCapital() == 5 * UNIT
    assert world.token.balanceOf(world.fund.address) == 5 * UNIT
    assert world.token.balanceOf(t.address) == 0
    assert t.convertToAssets(5 * UNIT * SHARES) == 5 * UNIT
    assert t.decimals() == world.token.decimals() + 3


def test_mint_rounds_up_and_deposit_down(world: FundWorld, alice: Any, bob: Any) -> None:
    t = world.tranche
    t.deposit(1_000 * UNIT, bob.address, sender=bob.address)
    lose(world, alice, 333 * UNIT + 1)
    for shares in (1, 999, 12_345_678):
        assets = t.previewMint(shares)
        assert t.mint.call(shares, bob.address, sender=bob.address) == assets
        assert assets * (t.totalSupply() + SHARES) >= shares * (t.totalAssets() + 1)
    for assets in (1, 7, 10**6 + 1):
        shares = t.previewDeposit(assets)
        assert t.deposit.call(assets, bob.address, sender=bob.address) == shares
        assert shares * (t.totalAssets() + 1) <= assets * (t.totalSupply() + SHARES)
    t.mint(12_345_678, bob.address, sender=bob.address)


def test_refused_deposits(world: FundWorld, bob: Any) -> None:
    t = world.tranche
    with expect_revert("ZeroAssets"):
        t.deposit(0, bob.address, sender=bob.address)
    with expect_revert("ZeroAssets"):
        t.mint(0, bob.address, sender=bob.address)
    with expect_revert("ERC20InvalidReceiver"):
        t.deposit(5, ZERO_ADDRESS, sender=bob.address)
    with expect_revert("AboveMaximum"):
        t.mint(2**112, bob.address, sender=bob.address)
    t.setTerms(100, COOLDOWN, sender=world.owner)
    assert t.maxDeposit(bob.address) == 100
    assert t.maxMint(bob.address) == 100 * SHARES
    for assets in (101, 2**256 - 1):
        with expect_revert("AboveCap", assets=assets, room=100):
            t.deposit(assets, bob.address, sender=bob.address)
    t.deposit(100, bob.address, sender=bob.address)
    with expect_revert("AboveCap", assets=1, room=0):
        t.mint(1, bob.address, sender=bob.address)


def test_unset_cap_is_zero(deployed_fund: FundWorld, rpc: RpcClient, bob: Any) -> None:
    with rpc.isolated():
        deployed_fund.give(bob.address, 10)
        with expect_revert("AboveCap", assets=1, room=0):
            deployed_fund.tranche.deposit(1, bob.address, sender=bob.address)


def test_fee_on_transfer_stake(hostile: FundWorld, bob: Any) -> None:
    hostile.token.setFee(100, sender=hostile.owner)
    with expect_revert("WrongAmountReceived", expected=100, received=99):
        hostile.tranche.deposit(100, bob.address, sender=bob.address)


def test_terms(world: FundWorld, bob: Any) -> None:
    t = world.tranche
    for cap, cooldown, name in (
        (2**112, DAY, "cap"),
        (1, DAY - 1, "cooldown"),
        (1, 28 * DAY + 1, "cooldown"),
    ):
        with expect_revert("InvalidTerms", field=name):
            t.setTerms(cap, cooldown, sender=world.owner)
    with expect_revert("AccessManagedUnauthorized"):
        t.setTerms(1, DAY, sender=bob.address)
    t.setTerms(7, 28 * DAY, sender=world.owner)
    assert tuple(t.terms())[:2] == (7, 28 * DAY)


def test_donations_change_no_price(world: FundWorld, bob: Any, carol: Any) -> None:
    """I28: also into an empty vault."""
    t = world.tranche
    t.deposit(1, bob.address, sender=bob.address)
    world.token.transfer(world.fund.address, 10**9, sender=bob.address)
    world.token.transfer(t.address, 10**9, sender=bob.address)
    t.deposit(10**6, carol.address, sender=carol.address)
    assert t.convertToAssets(t.balanceOf(carol.address)) == 10**6
    assert t.totalAssets() == 10**6 + 1


def test_inflating_the_first_share_costs_more_than_it_takes(
    world: FundWorld, bob: Any, carol: Any
) -> None:
    t, fund = world.tranche, world.fund
    t.mint(1, bob.address, sender=bob.address)  # one unit for the smallest share
    fund.fundStakers(10**9, sender=bob.address)
    world.client.warp(WEEK)
    t.deposit(10**9, carol.address, sender=carol.address)
    lost = 10**9 - t.convertToAssets(t.balanceOf(carol.address))
    gained = t.convertToAssets(t.balanceOf(bob.address)) - 1 - 10**9
    assert lost <= 10**9 // 500 and gained < 0


# ---------------------------------------------------------------------- shares


def test_shares_move(world: FundWorld, bob: Any, carol: Any) -> None:
    t = world.tranche
    t.deposit(10, bob.address, sender=bob.address)
    t.transfer(carol.address, 4_000, sender=bob.address)
    assert (t.balanceOf(bob.address), t.balanceOf(carol.address)) == (6_000, 4_000)
    with expect_revert("ERC20InsufficientBalance", balance=4_000, needed=4_001):
        t.transfer(bob.address, 4_001, sender=carol.address)
    t.transfer(carol.address, 4_000, sender=carol.address)  # to itself
    assert t.balanceOf(carol.address) == 4_000
    with expect_revert("ERC20InsufficientAllowance"):
        t.transferFrom(carol.address, bob.address, 1, sender=bob.address)
    t.approve(bob.address, 5, sender=carol.address)
    t.transferFrom(carol.address, bob.address, 5, sender=bob.address)
    assert t.allowance(carol.address, bob.address) == 0
    with expect_revert("ERC20InvalidReceiver", receiver=ZERO_ADDRESS):
        t.transfer(ZERO_ADDRESS, 1, sender=carol.address)
    with expect_revert("ERC20InvalidSpender", spender=ZERO_ADDRESS):
        t.approve(ZERO_ADDRESS, 1, sender=carol.address)
    with expect_revert("ERC20InvalidApprover", approver=ZERO_ADDRESS):
        t.transferFrom(ZERO_ADDRESS, bob.address, 0, sender=bob.address)


def test_permit(world: FundWorld, bob: Any, carol: Any) -> None:
    t = world.tranche
    t.deposit(10, bob.address, sender=bob.address)
    deadline = world.client.timestamp + 1_000
    key = private_key(2)
    assert Account.from_key(key).address == bob.address
    typed = {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Permit": [
                {"name": "owner", "type": "address"},
                {"name": "spender", "type": "address"},
                {"name": "value", "type": "uint256"},
                {"name": "nonce", "type": "uint256"},
                {"name": "deadline", "type": "uint256"},
            ],
        },
        "primaryType": "Permit",
        "domain": {
            "name": "Backstop stake",
            "version": "1",
            "chainId": world.client.chain_id,
            "verifyingContract": t.address,
        },
        "message": {
            "owner": bob.address,
            "spender": carol.address,
            "value": 2_000,
            "nonce": 0,
            "deadline": deadline,
        },
    }
    signed = Account.sign_message(encode_typed_data(full_message=typed), key)
    r, s = signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")
    args = (bob.address, carol.address, 2_000, deadline, signed.v, r, s)
    with expect_revert("ERC2612ExpiredSignature", deadline=deadline - 1_001):
        t.permit(*args[:3], deadline - 1_001, *args[4:], sender=carol.address)
    with expect_revert("ECDSAInvalidSignature"):
        t.permit(*args[:4], 0, r, s, sender=carol.address)
    with expect_revert("ECDSAInvalidSignatureS"):
        t.permit(*args[:6], b"\xff" * 32, sender=carol.address)
    t.permit(*args, sender=carol.address)
    assert t.allowance(bob.address, carol.address) == 2_000
    with expect_revert("ERC2612InvalidSigner"):
        t.permit(*args, sender=carol.address)
    # the allowance lets carol ask for bob's exit
    t.requestRedeem(2_000, carol.address, bob.address, sender=carol.address)
    assert t.allowance(bob.address, carol.address) == 0


def test_interface_ids(world: FundWorld) -> None:
    t = world.tranche
    for known in ("01ffc9a7", "e3bc4e65", "620ee8e4", "2f0a18c5"):
        assert t.supportsInterface(bytes.fromhex(known))
    for unknown in ("ffffffff", "ce3bbe50", "e76cffc7"):
        assert not t.supportsInterface(bytes.fromhex(unknown))
    assert t.share() == t.address
    assert t.asset() == world.token.address
    assert t.fund() == world.fund.address
    assert world.fund.stakedTranche() == t.address
    for function in (t.previewRedeem, t.previewWithdraw):
        with expect_revert("PreviewUnknown"):
            function(1)


# ---------------------------------------------------------------------- the way out


def test_a_request_and_its_claim(world: FundWorld, bob: Any, carol: Any) -> None:
    t, client, me = world.tranche, world.client, bob.address
    t.deposit(100, me, sender=me)
    receipt = t.requestRedeem(40_000, me, me, sender=me)
    event = receipt.one("RedeemRequest")
    assert (event.controller, event.owner, event.requestId) == (me, me, 1)
    assert (event.sender, event.shares) == (me, 40_000)
    assert (t.balanceOf(me), t.totalAssets(), t.slashable()) == (60_000, 60, 100)
    state, is_open = t.bucket(1)
    maturity = (client.timestamp // WEEK + 1) * WEEK + COOLDOWN
    assert (state.assets, state.shares, state.maturity, is_open) == (40, 40, maturity, True)
    assert t.pendingRedeemRequest(1, me) == 40
    assert t.claimableRedeemRequest(1, me) == t.maxRedeem(me) == t.maxWithdraw(me) == 0
    client.set_next_timestamp(maturity - 1)
    with expect_revert("NotClaimable", requestId=1, shares=40, claimable=0):
        t.claim(1, me, me, sender=me)
    client.set_next_timestamp(maturity)
    client.mine()
    assert (t.pendingRedeemRequest(1, me), t.claimableRedeemRequest(1, me)) == (0, 40)
    assert (t.maxRedeem(me), t.maxWithdraw(me)) == (40, 40)
    with expect_revert("NotController", controller=me, caller=carol.address):
        t.claim(1, carol.address, me, sender=carol.address)
    with expect_revert("NotClaimable", shares=41, claimable=40):
        t.redeem(41, me, me, sender=me)
    with expect_revert("NotClaimable"):
        t.redeem(2**256 - 1, me, me, sender=me)
    with expect_revert("NotClaimable"):
        t.withdraw(41, me, me, sender=me)
    for nothing in (t.redeem, t.withdraw):
        with expect_revert("NotClaimable", shares=0):
            nothing(0, me, me, sender=me)
    before = world.token.balanceOf(carol.address)
    event = t.redeem(15, carol.address, me, sender=me).one("Withdraw")
    assert (event.sender, event.receiver, event.owner) == (me, carol.address, me)
    assert (event.assets, event.shares) == (15, 15)
    t.withdraw(5, carol.address, me, sender=me)
    t.claim(1, carol.address, me, sender=me)
    assert world.token.balanceOf(carol.address) - before == 40
    assert world.token.balanceOf(world.fund.address) == t.slashable() == 60
    with expect_revert("NotClaimable", shares=0):
        t.claim(1, me, me, sender=me)
    with expect_revert("NotClaimable"):
        t.claim(0, me, me, sender=me)
    with expect_revert("NotClaimable"):
        t.claim(77, me, me, sender=me)


def test_refused_requests(world: FundWorld, alice: Any, bob: Any, carol: Any) -> None:
    t, me = world.tranche, bob.address
    t.deposit(100, me, sender=me)
    with expect_revert("ZeroShares"):
        t.requestRedeem(0, me, me, sender=me)
    for shares in (100_001, 2**256 - 1):
        with expect_revert("ERC20InsufficientBalance"):
            t.requestRedeem(shares, me, me, sender=me)
    with expect_revert("ERC20InsufficientAllowance"):
        t.requestRedeem(1_000, carol.address, me, sender=carol.address)
    with expect_revert("NotController"):
        t.requestRedeem(1_000, ZERO_ADDRESS, me, sender=me)
    with expect_revert("ZeroAssets"):
        t.requestRedeem(999, me, me, sender=me)  # less than a unit
    assert t.slashable() == 100


def test_operators(world: FundWorld, bob: Any, carol: Any) -> None:
    t, client, me = world.tranche, world.client, bob.address
    t.deposit(100, me, sender=me)
    event = t.setOperator(carol.address, True, sender=me).one("OperatorSet")
    assert (event.controller, event.operator, event.approved) == (me, carol.address, True)
    assert t.isOperator(me, carol.address)
    t.requestRedeem(50_000, me, me, sender=carol.address)
    client.warp(WEEK + COOLDOWN)
    t.claim(1, carol.address, me, sender=carol.address)
    t.setOperator(carol.address, False, sender=me)
    with expect_revert("ERC20InsufficientAllowance"):
        t.requestRedeem(50_000, me, me, sender=carol.address)


def test_requests_of_several_epochs(world: FundWorld, bob: Any) -> None:
    t, client, me = world.tranche, world.client, bob.address
    t.deposit(100, me, sender=me)
    assert t.requestRedeem.call(1_000, me, me, sender=me) == 1
    t.requestRedeem(10_000, me, me, sender=me)
    t.requestRedeem(5_000, me, me, sender=me)  # joins the request of the epoch
    assert t.pendingRedeemRequest(1, me) == 15
    client.warp(WEEK)
    t.requestRedeem(20_000, me, me, sender=me)
    assert t.pendingRedeemRequest(2, me) == 20
    assert tuple(t.openBuckets()) == (1, 2)
    client.warp(COOLDOWN)
    assert (t.claimableRedeemRequest(1, me), t.claimableRedeemRequest(2, me)) == (15, 0)
    client.warp(WEEK)
    assert t.maxRedeem(me) == 15
    t.claim(2, me, me, sender=me)
    t.claim(1, me, me, sender=me)
    assert t.requestRedeem.call(1_000, me, me, sender=me) == 3
    assert world.token.balanceOf(world.fund.address) == 65


def test_a_request_added_to_after_an_older_claim(world: FundWorld, bob: Any, carol: Any) -> None:
    """Both parts of it count, whether the older request was claimed between them or not."""
    t, client, me = world.tranche, world.client, bob.address
    t.deposit(100, me, sender=me)
    t.requestRedeem(10 * SHARES, me, me, sender=me)
    client.warp(COOLDOWN + WEEK)
    t.requestRedeem(20 * SHARES, me, me, sender=me)
    t.claim(1, me, me, sender=me)
    t.requestRedeem(30 * SHARES, me, me, sender=me)
    assert t.bucket(2)[0].shares == t.pendingRedeemRequest(2, me) == 50
    t.requestRedeem(5 * SHARES, carol.address, me, sender=me)
    client.warp(COOLDOWN + WEEK)
    assert t.claimableRedeemRequest(2, me) == 50
    before = world.token.balanceOf(me)
    t.claim(2, me, me, sender=me)
    assert world.token.balanceOf(me) - before == 50
    assert t.bucket(2)[0].shares == t.claimableRedeemRequest(2, carol.address) == 5
    # what was claimed leaves the place in the holder's slot for the next request
    t.requestRedeem(15 * SHARES, me, me, sender=me)
    assert t.pendingRedeemRequest(3, me) == 15


def test_terms_of_a_request_never_change(world: FundWorld, bob: Any, carol: Any) -> None:
    """I27: and a shorter cooldown lets nobody overtake."""
    t, client, me = world.tranche, world.client, bob.address
    t.deposit(100, me, sender=me)
    t.requestRedeem(10_000, me, me, sender=me)
    maturity = t.bucket(1).state.maturity
    t.setTerms(BIG, 28 * DAY, sender=world.owner)
    assert t.bucket(1).state.maturity == maturity
    t.setTerms(BIG, DAY, sender=world.owner)
    client.warp(WEEK)
    t.requestRedeem(10_000, carol.address, me, sender=me)
    assert t.bucket(2).state.maturity == maturity


def test_somebody_elses_request_in_my_name(world: FundWorld, bob: Any, carol: Any) -> None:
    t, client, me = world.tranche, world.client, bob.address
    t.deposit(100, me, sender=me)
    t.deposit(100, carol.address, sender=carol.address)
    t.requestRedeem(1_000, me, carol.address, sender=carol.address)  # a gift of dust
    client.warp(WEEK)
    t.requestRedeem(100_000, me, me, sender=me)
    client.warp(WEEK + COOLDOWN)
    t.claim(2, me, me, sender=me)
    assert t.claimableRedeemRequest(1, me) == 1


# ---------------------------------------------------------------------- losses


def test_known_answer_600_300_100(world: FundWorld, alice: Any, bob: Any, carol: Any) -> None:
    t, client, me = world.tranche, world.client, bob.address
    t.deposit(1_000 * UNIT, me, sender=me)
    t.requestRedeem(300 * UNIT * SHARES, me, me, sender=me)
    client.warp(WEEK)
    t.requestRedeem(100 * UNIT * SHARES, carol.address, me, sender=me)
    receipt = lose(world, alice, 250 * UNIT)
    assert tuple(receipt.one("Covered").legs) == (0, 0, 250 * UNIT, 0, 0)
    event = receipt.one("Slashed")
    assert (event.loss, event.fromActive) == (250 * UNIT, 150 * UNIT)
    assert (event.firstBucket, list(event.cuts)) == (1, [75 * UNIT, 25 * UNIT])
    assert t.totalAssets() == 450 * UNIT
    assert [t.bucket(i).state.assets for i in (1, 2)] == [225 * UNIT, 75 * UNIT]
    assert world.token.balanceOf(world.fund.address) == 750 * UNIT


def test_equal_stake_equal_loss(world: FundWorld, alice: Any, bob: Any, carol: Any) -> None:
    """I12, I22, I23: leaving before, at or after the event makes no difference."""
    t, client = world.tranche, world.client
    for who in (bob, carol):
        t.deposit(500 * UNIT, who.address, sender=who.address)
    t.requestRedeem(500 * UNIT * SHARES, bob.address, bob.address, sender=bob.address)
    client.warp(WEEK + COOLDOWN - 100)
    lose(world, alice, 400 * UNIT)
    client.warp(100)
    t.claim(1, bob.address, bob.address, sender=bob.address)
    assert world.token.balanceOf(bob.address) == BIG - 500 * UNIT + 300 * UNIT
    assert t.convertToAssets(t.balanceOf(carol.address)) == 300 * UNIT


def test_buckets_of_a_single_unit_pay_what_they_can(world: FundWorld, alice: Any, bob: Any) -> None:
    """Two of three units, no part of which divides: one bucket after the other pays one."""
    t, me = world.tranche, bob.address
    t.deposit(3, me, sender=me)
    for week in range(3):
        world.client.warp(WEEK if week else 1)
        t.requestRedeem(SHARES, me, me, sender=me)
    assert (t.totalAssets(), t.slashable()) == (0, 3)
    lose(world, alice, 2)
    assert t.slashable() == 1
    assert [t.bucket(number).state.assets for number in (1, 2, 3)] == [0, 0, 1]


def test_a_matured_bucket_is_fixed(world: FundWorld, alice: Any, bob: Any, carol: Any) -> None:
    t, client = world.tranche, world.client
    for who in (bob, carol):
        t.deposit(500 * UNIT, who.address, sender=who.address)
    t.requestRedeem(500 * UNIT * SHARES, bob.address, bob.address, sender=bob.address)
    client.warp(WEEK + COOLDOWN)
    assert t.slashable() == 500 * UNIT
    legs = tuple(lose(world, alice, 900 * UNIT).one("Covered").legs)
    assert legs == (0, 0, 500 * UNIT, 0, 0)
    t.claim(1, bob.address, bob.address, sender=bob.address)
    assert world.token.balanceOf(bob.address) == BIG


def test_reserve_pays_before_stakers(world: FundWorld, alice: Any, bob: Any) -> None:
    world.tranche.deposit(100, bob.address, sender=bob.address)
    world.fund.fundReserve(30, sender=bob.address)
    world.fund.fundCompartment(alice.address, 1, 20, sender=bob.address)
    preview = tuple(world.fund.previewCover(alice.address, 1, 120))
    receipt = lose(world, alice, 120)
    assert tuple(receipt.one("Covered").legs) == preview == (20, 30, 70, 0, 0)
    assert receipt.one("Transfer").value == 120
    room = world.fund.drawRoom(alice.address, 1)
    assert BIG - room.claimantWindow == BIG - room.marketWindow == 100


def test_stakers_pay_no_rewards(world: FundWorld, alice: Any, bob: Any) -> None:
    world.tranche.deposit(100, bob.address, sender=bob.address)
    receipt = world.fund.cover(ACCOUNT, [(1, 10)], 50, sender=alice.address)
    assert not receipt.find("KeeperRewardPaid")
    assert world.tranche.slashable() == 90


def test_limits_bind_the_stake_too(world: FundWorld, alice: Any, bob: Any) -> None:
    world.fund.setClaimant(alice.address, (60, BIG, DAY), sender=world.owner)
    world.tranche.deposit(100, bob.address, sender=bob.address)
    world.fund.fundReserve(25, sender=bob.address)
    legs = tuple(lose(world, alice, 1_000).one("Covered").legs)
    assert legs == (0, 25, 35, 0, 0)


def test_wipe_out_starts_a_new_series(world: FundWorld, alice: Any, bob: Any, carol: Any) -> None:
    """I10, I19."""
    t, client = world.tranche, world.client
    t.deposit(100 * UNIT, bob.address, sender=bob.address)
    t.requestRedeem(40 * UNIT * SHARES, bob.address, bob.address, sender=bob.address)
    receipt = lose(world, alice, 200 * UNIT)
    assert tuple(receipt.one("Covered").legs) == (0, 0, 100 * UNIT, 0, 0)
    assert receipt.one("SeriesEnded").rest == 0
    assert (t.series(), t.totalSupply(), t.balanceOf(bob.address)) == (1, 0, 0)
    assert t.slashable() == 0
    with expect_revert("ERC20InsufficientBalance"):
        t.requestRedeem(1_000, bob.address, bob.address, sender=bob.address)
    with expect_revert("ERC20InsufficientBalance"):
        t.transfer(carol.address, 1, sender=bob.address)
    t.deposit(100 * UNIT, carol.address, sender=carol.address)
    assert t.balanceOf(carol.address) == 100 * UNIT * SHARES
    assert t.convertToAssets(t.balanceOf(carol.address)) == 100 * UNIT
    t.deposit(1, bob.address, sender=bob.address)
    assert t.balanceOf(bob.address) == SHARES
    # new requests do not join the bucket that lost everything
    t.requestRedeem(10 * UNIT * SHARES, carol.address, carol.address, sender=carol.address)
    assert t.pendingRedeemRequest(2, carol.address) == 10 * UNIT
    client.warp(WEEK + COOLDOWN)
    t.claim(1, bob.address, bob.address, sender=bob.address)  # worth nothing, still closed
    assert world.token.balanceOf(bob.address) == BIG - 100 * UNIT - 1


def test_rest_of_a_worthless_series_is_the_operators(
    world: FundWorld, alice: Any, bob: Any
) -> None:
    t = world.tranche
    t.deposit(100 * UNIT, bob.address, sender=bob.address)
    receipt = lose(world, alice, 100 * UNIT - 50)
    assert receipt.one("SeriesEnded").rest == 50
    assert (world.fund.reserve(), t.slashable(), t.series()) == (50, 0, 1)
    assert world.token.balanceOf(world.fund.address) == 50


@pytest.mark.parametrize(("left", "ends"), [(100, False), (99, True)])
def test_when_a_series_ends(world: FundWorld, alice: Any, bob: Any, left: int, ends: bool) -> None:
    """(A + 1) * V * 1e6 < S + V with S = 1e11, V = 1e3: at A = 99 and not at A = 100."""
    t = world.tranche
    t.deposit(100 * UNIT, bob.address, sender=bob.address)
    lose(world, alice, 100 * UNIT - left)
    assert t.series() == (1 if ends else 0)


def test_loops_of_slashing_and_staking(world: FundWorld, alice: Any, bob: Any, carol: Any) -> None:
    """I24: 50 times down to a hundredth, then a new deposit; always usable and fair."""
    t = world.tranche
    for _ in range(50):
        t.deposit(1_000 * UNIT, bob.address, sender=bob.address)
        lose(world, alice, t.slashable() - 10 * UNIT)
    shares = t.deposit(1_000 * UNIT, carol.address, sender=carol.address).one("Deposit").shares
    assert abs(t.convertToAssets(shares) - 1_000 * UNIT) <= 1
    lose(world, alice, 500 * UNIT)
    total = t.slashable() + world.fund.reserve()
    assert world.token.balanceOf(world.fund.address) == total


def test_a_bucket_that_lost_nearly_all_is_joined_no_more(
    world: FundWorld, alice: Any, bob: Any, carol: Any
) -> None:
    """All have left the active stake, so no series ends; else shares of newcomers would not fit."""
    t, much = world.tranche, 10**24
    t.setTerms(much, 28 * DAY, sender=world.owner)
    for who in (bob.address, carol.address):
        world.token.mint(who, much, sender=world.owner)
        t.deposit(much, who, sender=who)
        t.requestRedeem(t.balanceOf(who), who, who, sender=who)
        if who == bob.address:
            world.fund.setClaimant(alice.address, (much, much, 1), sender=world.owner)
            world.fund.setClaimantMarket(alice.address, 1, (0, much), sender=world.owner)
            lose(world, alice, t.slashable() - 3)
    assert t.series() == 0
    assert [t.pendingRedeemRequest(i, carol.address) for i in (1, 2)] == [0, much]
    assert (t.bucket(1)[0].assets, t.bucket(2)[0].assets) == (3, much)


def test_only_the_fund_slashes(world: FundWorld, alice: Any) -> None:
    for function, args in (
        (world.tranche.slash, (1,)),
        (world.tranche.addIncome, (1,)),
        (world.tranche.holdMaturity, ()),
    ):
        with expect_revert("NotFund", caller=alice.address):
            function(*args, sender=alice.address)
    with expect_revert("NotTranche", caller=alice.address):
        world.fund.payStaker(alice.address, 1, sender=alice.address)


def test_unpayable_cover_slashes_nobody(hostile: FundWorld, alice: Any, bob: Any) -> None:
    hostile.tranche.deposit(100, bob.address, sender=bob.address)
    hostile.token.setBlocked(alice.address, True, sender=hostile.owner)
    assert lose(hostile, alice, 50).one("CoverFailed")
    assert hostile.tranche.slashable() == 100


def test_blocked_staker_blocks_nobody(hostile: FundWorld, alice: Any, bob: Any, carol: Any) -> None:
    """I31."""
    t = hostile.tranche
    for who in (bob, carol):
        t.deposit(100, who.address, sender=who.address)
        t.requestRedeem(50_000, who.address, who.address, sender=who.address)
    hostile.token.setBlocked(bob.address, True, sender=hostile.owner)
    hostile.client.warp(WEEK + COOLDOWN)
    with expect_revert("Blocked"):
        t.claim(1, bob.address, bob.address, sender=bob.address)
    t.claim(1, carol.address, carol.address, sender=carol.address)
    t.claim(1, alice.address, bob.address, sender=bob.address)
    assert t.slashable() == 100


# ---------------------------------------------------------------------- holding maturities


def test_a_hold_delays_exits_and_not_losses(
    world: FundWorld, alice: Any, bob: Any, carol: Any
) -> None:
    t, client = world.tranche, world.client
    for who in (bob, carol):
        t.deposit(500 * UNIT, who.address, sender=who.address)
    t.requestRedeem(500 * UNIT * SHARES, bob.address, bob.address, sender=bob.address)
    maturity = t.bucket(1).state.maturity
    client.set_next_timestamp(maturity - 10)
    event = world.fund.holdMaturity(sender=world.owner).one("MaturityHeld")
    assert event.until == t.terms().heldUntil == maturity - 10 + 3 * DAY
    client.set_next_timestamp(maturity + 3 * DAY - 40)
    with expect_revert("NotClaimable"):
        t.claim(1, bob.address, bob.address, sender=bob.address)
    lose(world, alice, 100 * UNIT)
    client.set_next_timestamp(maturity + 3 * DAY - 11)
    with expect_revert("NotClaimable"):
        t.claim.call(1, bob.address, bob.address, sender=bob.address)
    client.set_next_timestamp(maturity + 3 * DAY - 10)
    t.claim(1, bob.address, bob.address, sender=bob.address)
    assert world.token.balanceOf(bob.address) == BIG - 50 * UNIT


def test_a_hold_has_an_end(world: FundWorld, bob: Any) -> None:
    t, client, me = world.tranche, world.client, bob.address
    t.deposit(500, me, sender=me)
    t.requestRedeem(500_000, me, me, sender=me)
    maturity = t.bucket(1).state.maturity
    for day in range(0, 16, 2):
        client.set_next_timestamp(maturity - DAY + day * DAY)
        world.fund.holdMaturity(sender=world.owner)
    last = maturity + 14 * DAY
    assert t.terms().heldUntil > last
    assert t.claimableRedeemRequest.call(1, me, at=last - 1) == 0
    assert t.claimableRedeemRequest.call(1, me, at=last) == 500
    client.set_next_timestamp(last)
    t.claim(1, me, me, sender=me)


def test_a_hold_does_not_reopen(world: FundWorld, alice: Any, bob: Any) -> None:
    t, client, me = world.tranche, world.client, bob.address
    t.deposit(500, me, sender=me)
    t.requestRedeem(400_000, me, me, sender=me)
    client.warp(WEEK + COOLDOWN)
    world.fund.holdMaturity(sender=world.owner)
    lose(world, alice, 1_000)
    t.claim(1, me, me, sender=me)
    assert world.token.balanceOf(me) == BIG - 100


def test_a_shortfall_is_reported(world: FundWorld, alice: Any, bob: Any, deploy: Any) -> None:
    debtor = deploy("MockDebtor")
    with expect_revert("NotClaimant", caller=debtor.address):
        world.fund.reportShortfall(debtor.address, 1, sender=bob.address)
    world.fund.setClaimant(debtor.address, (1, 1, DAY), sender=world.owner)
    with expect_revert("NoShortfall", claimant=debtor.address, market=1):
        world.fund.reportShortfall(debtor.address, 1, sender=bob.address)
    debtor.setOpenDeficit(1, 5, sender=world.owner)
    world.fund.reportShortfall(debtor.address, 1, sender=bob.address)
    assert world.tranche.terms().heldUntil == world.client.timestamp + 3 * DAY
    with expect_revert("AccessManagedUnauthorized"):
        world.fund.holdMaturity(sender=bob.address)


# ---------------------------------------------------------------------- income


def test_income_streams_for_a_week(world: FundWorld, bob: Any, carol: Any) -> None:
    t, client = world.tranche, world.client
    t.deposit(100 * UNIT, bob.address, sender=bob.address)
    start = client.timestamp + 10
    client.set_next_timestamp(start)
    event = world.fund.fundStakers(70 * UNIT, sender=carol.address).one("IncomeAdded")
    assert (event.assets, event.streaming, event.streamEnd) == (70 * UNIT, 70 * UNIT, start + WEEK)
    assert t.totalAssets() == 100 * UNIT
    for day in range(8):
        assert t.totalAssets.call(at=start + day * DAY) == (100 + 10 * day) * UNIT
    assert tuple(t.stream.call(at=start + DAY)) == (60 * UNIT, start + WEEK, 60 * UNIT // (6 * DAY))
    assert t.totalAssets.call(at=start + 30 * DAY) == 170 * UNIT
    # a second part has a week, what is left keeps its five days: (50 * 5 + 20 * 7) / 70 days
    client.set_next_timestamp(start + 2 * DAY)
    world.fund.fundStakers(20 * UNIT, sender=carol.address)
    end = start + 2 * DAY + round(39 * DAY / 7)
    assert tuple(t.stream())[:2] == (70 * UNIT, end)
    assert t.totalAssets() == 120 * UNIT


def test_strangers_do_not_delay_income(world: FundWorld, bob: Any, carol: Any) -> None:
    """I18: adding one unit again and again leaves the stream's end where it was."""
    t, client = world.tranche, world.client
    t.deposit(100 * UNIT, bob.address, sender=bob.address)
    world.fund.fundStakers(70 * UNIT, sender=bob.address)
    end = t.stream().end
    for _ in range(20):
        client.warp(DAY // 4)
        world.fund.fundStakers(1, sender=carol.address)
        assert t.stream().end == end
    client.set_next_timestamp(end)
    client.mine()
    assert t.totalAssets() == 170 * UNIT + 20


def test_many_quiet_weeks_do_not_make_a_loss_dear(
    world: FundWorld, alice: Any, bob: Any, carol: Any
) -> None:
    """Requests every week for half a year, nobody claims: a loss steps over the open ones only."""
    t, client = world.tranche, world.client
    t.deposit(1_000 * UNIT, bob.address, sender=bob.address)

    def weeks(count: int) -> int:
        for _ in range(count):
            t.requestRedeem(UNIT * SHARES, bob.address, bob.address, sender=bob.address)
            client.warp(WEEK)
        gas: int = lose(world, alice, UNIT).gas_used
        return gas

    weeks(4)
    assert weeks(26) < weeks(4) * 1.02


def test_no_income_while_exiting(world: FundWorld, bob: Any, carol: Any) -> None:
    t, client = world.tranche, world.client
    for who in (bob, carol):
        t.deposit(100 * UNIT, who.address, sender=who.address)
    t.requestRedeem(100 * UNIT * SHARES, bob.address, bob.address, sender=bob.address)
    world.fund.fundStakers(50 * UNIT, sender=carol.address)
    client.warp(WEEK + COOLDOWN)
    t.claim(1, bob.address, bob.address, sender=bob.address)
    assert world.token.balanceOf(bob.address) == BIG
    assert t.convertToAssets(t.balanceOf(carol.address)) in (150 * UNIT, 150 * UNIT - 1)


def test_staking_just_before_income_takes_nothing(world: FundWorld, bob: Any, carol: Any) -> None:
    """I14, I32: in and out in one block leaves with what came in, or less."""
    t = world.tranche
    t.deposit(100 * UNIT, bob.address, sender=bob.address)
    t.deposit(900 * UNIT, carol.address, sender=carol.address)
    world.fund.fundStakers(50 * UNIT, sender=bob.address)
    shares = t.balanceOf(carol.address)
    now = world.client.timestamp
    result = t.convertToAssets.call(shares, at=now)
    assert result <= 900 * UNIT


def test_income_waits_for_stakers(world: FundWorld, bob: Any) -> None:
    t, client = world.tranche, world.client
    world.fund.fundStakers(70 * UNIT, sender=bob.address)
    client.warp(30 * DAY)
    assert t.totalAssets() == 0
    left, end, _ = t.stream()
    assert left == 70 * UNIT and end == client.timestamp + WEEK
    t.deposit(10 * UNIT, bob.address, sender=bob.address)
    assert t.totalAssets() == 10 * UNIT
    client.warp(WEEK)
    assert t.totalAssets() == 80 * UNIT


def test_stakers_share_of_market_income(world: FundWorld, alice: Any, bob: Any) -> None:
    fund = world.fund
    with expect_revert("InvalidLimits", field="stakerShare"):
        fund.setStakerShare(10**6 + 1, sender=world.owner)
    with expect_revert("AccessManagedUnauthorized"):
        fund.setStakerShare(1, sender=bob.address)
    fund.setClaimantMarket(alice.address, 1, (50, 0), sender=world.owner)
    fund.setStakerShare(250_000, sender=world.owner)
    assert fund.stakerShare() == 250_000
    receipt = fund.receiveIncome(1, 103, sender=alice.address)
    assert receipt.one("StakerIncome").assets == 25
    event = receipt.one("IncomeReceived")
    assert (event.toCompartment, event.toReserve) == (50, 28)
    assert world.tranche.stream().left == 25
    assert world.token.balanceOf(fund.address) == 103
    assert fund.totalCapital() == 78
    fund.setStakerShare(10**6, sender=world.owner)
    event = fund.receiveIncome(1, 7, sender=alice.address).one("IncomeReceived")
    assert (event.toCompartment, event.toReserve) == (0, 0)


def test_a_deposit_that_buys_no_share_is_refused(world: FundWorld, bob: Any, carol: Any) -> None:
    """One unit is there; income makes a share dearer than what is brought."""
    t = world.tranche
    t.deposit(1, bob.address, sender=bob.address)
    world.fund.fundStakers(10**6, sender=carol.address)
    world.client.warp(WEEK)
    with expect_revert("ZeroShares"):
        t.deposit(1, carol.address, sender=carol.address)


# ---------------------------------------------------------------------- at the limits of types


def test_a_loss_of_buckets_alone_is_taken_to_the_unit(
    world: FundWorld, alice: Any, bob: Any, carol: Any
) -> None:
    """No active stake: what rounding leaves of 7 * 10 / 20 twice, the first bucket pays."""
    t = world.tranche
    for who in (bob, carol):
        t.deposit(10, who.address, sender=who.address)
        t.requestRedeem(10 * SHARES, who.address, who.address, sender=who.address)
        world.client.warp(WEEK)
    assert (t.totalAssets(), t.slashable()) == (0, 20)
    event = lose(world, alice, 7).one("Slashed")
    assert (event.fromActive, list(event.cuts)) == (0, [4, 3])
    assert [t.bucket(number).state.assets for number in (1, 2)] == [6, 7]


def test_of_the_256th_loss_what_comes_back_is_income(
    world: FundWorld, alice: Any, bob: Any
) -> None:
    """Losses are numbered up to 255; later ones are taken all the same."""
    t = world.tranche
    t.deposit(1_000, bob.address, sender=bob.address)
    for _ in range(255):
        last = lose(world, alice, 1)
    assert t.totalAssets() == 745
    recorded = last.one("ReceiptRecorded")
    world.give(world.owner, 2)
    world.fund.recover(recorded.eventId, bytes(recorded.receipt), 1, sender=world.owner)
    assert (t.uncollected(), t.stream().left) == (1, 0)
    recorded = lose(world, alice, 1).one("ReceiptRecorded")
    world.fund.recover(recorded.eventId, bytes(recorded.receipt), 1, sender=world.owner)
    assert (t.totalAssets(), t.uncollected(), t.stream().left) == (744, 1, 1)


# ---------------------------------------------------------------------- calls back


def test_no_way_back_in(hostile: FundWorld, alice: Any, bob: Any, carol: Any) -> None:
    """I05: in the middle of a stake, a claim and a cover, tranche and fund are closed."""
    t, fund, token = hostile.tranche, hostile.fund, hostile.token
    fund.setClaimant(token.address, (BIG, BIG, DAY), sender=hostile.owner)
    fund.setClaimantMarket(token.address, 1, (BIG, BIG), sender=hostile.owner)
    t.deposit(1_000, bob.address, sender=bob.address)
    t.deposit(1_000, token.address, sender=bob.address)
    t.requestRedeem(100_000, bob.address, bob.address, sender=bob.address)
    hostile.client.warp(WEEK + COOLDOWN)
    me = token.address
    calls: dict[str, tuple[str, bytes]] = {
        "deposit": (t.address, t.deposit.encode(1, me)),
        "mint": (t.address, t.mint.encode(1, me)),
        "requestRedeem": (t.address, t.requestRedeem.encode(1_000, me, me)),
        "transfer": (t.address, t.transfer.encode(bob.address, 1)),
        "claim": (t.address, t.claim.encode(1, me, me)),
        "redeem": (t.address, t.redeem.encode(1, me, me)),
        "withdraw": (t.address, t.withdraw.encode(1, me, me)),
        "setOperator": (t.address, t.setOperator.encode(bob.address, True)),
        "totalAssets": (t.address, t.totalAssets.encode()),
        "slashable": (t.address, t.slashable.encode()),
        "convertToAssets": (t.address, t.convertToAssets.encode(1)),
        "openBuckets": (t.address, t.openBuckets.encode()),
        "bucket": (t.address, t.bucket.encode(1)),
        "stream": (t.address, t.stream.encode()),
        "maxRedeem": (t.address, t.maxRedeem.encode(me)),
        "cover": (fund.address, fund.cover.encode(ACCOUNT, [(1, 1)], 0)),
        "fundStakers": (fund.address, fund.fundStakers.encode(1)),
        "reportShortfall": (fund.address, fund.reportShortfall.encode(me, 1)),
    }
    for name, (target, data) in calls.items():
        for how in ("deposit", "redeem", "cover"):
            token.setCallback(target, data, sender=hostile.owner)
            if how == "deposit":
                t.deposit(1, carol.address, sender=carol.address)
            elif how == "redeem":
                t.redeem(1, bob.address, bob.address, sender=bob.address)
            else:
                fund.cover(ACCOUNT, [(1, 1)], 0, sender=alice.address)
            assert token.callbackResult() == 2, f"{name} succeeded inside {how}"
            error = hostile.client.registry.decode_error(token.callbackReturned())
            assert error.name == "Locked", (name, how, error)
