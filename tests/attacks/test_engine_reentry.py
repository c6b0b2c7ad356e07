"""LOCKED: nobody enters, or reads half-written state, from inside a call.

The collateral token calls back in the middle of its transfers; a wallet asks in the middle of a
signature check. Every entry point and every view that feeds a decision is tried from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from backstop.chain.signing import Order, account_id, sign_order
from backstop.harness.anvil import private_key
from backstop.harness.bench import FOREVER, WAD, Bench, deploy_bench
from backstop.harness.rpc import Contract, RpcClient, expect_revert

LOCKED = "Locked"
KEEPER = 4


@pytest.fixture(scope="module")
def hostile(rpc: RpcClient, deploy: Callable[..., Contract], project: Any) -> Bench:
    return deploy_bench(rpc, project.get_contract, deploy("HostileToken", 6))


@pytest.fixture
def bench(hostile: Bench, rpc: RpcClient) -> Iterator[Bench]:
    with rpc.isolated():
        yield replace(hostile, nonces={})


def order(bench: Bench, account: bytes) -> Order:
    return Order(account, 0, True, WAD, 100 * WAD, FOREVER, 0)


def entries(bench: Bench) -> dict[str, tuple[Contract, bytes]]:
    """Every way in that moves money, and every view that feeds a decision, with plausible words."""
    engine, fund, stl, liq = bench.engine, bench.fund, bench.system.settlement, bench.liquidator
    token = bench.system.token.address
    mine = account_id(token)  # the token calls: it owns this account
    other, keeper = bench.account(1), bench.account(KEEPER)
    calls: dict[str, tuple[Contract, Any]] = {
        "deposit": (engine, engine.deposit.encode(mine, 1)),
        "withdraw": (engine, engine.withdraw.encode(mine, 1, token)),
        "poke": (engine, engine.poke.encode(0)),
        "sweepFees": (engine, engine.sweepFees.encode(0)),
        "fill": (stl, stl.fill.encode(order(bench, other), b"", mine, WAD)),
        "matchOrders": (
            stl,
            stl.matchOrders.encode(order(bench, other), b"", order(bench, keeper), b"", WAD),
        ),
        "cancel": (stl, stl.cancel.encode(mine, 1)),
        "cancelAll": (stl, stl.cancelAll.encode(mine, 2)),
        "flag": (liq, liq.flag.encode(other)),
        "unflag": (liq, liq.unflag.encode(other)),
        "takeOver": (liq, liq.takeOver.encode(other, 0, mine, WAD, 2**255)),
        "liquidateWithOrders": (liq, liq.liquidateWithOrders.encode(other, 0, mine, [], [])),
        "deleverage": (liq, liq.deleverage.encode(other, 0, mine, WAD)),
        "closeOut": (liq, liq.closeOut.encode(other, mine, False)),
        "fundReserve": (fund, fund.fundReserve.encode(1)),
        "fundCompartment": (fund, fund.fundCompartment.encode(engine.address, 0, 1)),
        "accountState": (engine, engine.accountState.encode(other)),
        "health": (engine, engine.health.encode(other)),
        "withdrawable": (engine, engine.withdrawable.encode(other)),
        "positionSize": (engine, engine.positionSize.encode(other, 0)),
        "collateral": (engine, engine.collateral.encode(other)),
        "marketState": (engine, engine.marketState.encode(0)),
        "sideState": (engine, engine.sideState.encode(0)),
        "liquidationTerms": (engine, engine.liquidationTerms.encode(0)),
        "reserve": (fund, fund.reserve.encode()),
        "compartment": (fund, fund.compartment.encode(engine.address, 0)),
        "totalCapital": (fund, fund.totalCapital.encode()),
        "previewCover": (fund, fund.previewCover.encode(engine.address, 0, 1)),
    }
    return {name: (contract, _bytes(data)) for name, (contract, data) in calls.items()}


def _bytes(data: Any) -> bytes:
    return bytes.fromhex(data[2:]) if isinstance(data, str) else bytes(data)


def locked_selector(bench: Bench) -> bytes:
    """Four bytes of `Locked(address)`, from a view asked in the middle of a call."""
    from eth_utils import keccak

    return bytes(keccak(text="Locked(address)")[:4])


NAMES = (
    *("deposit", "withdraw", "poke", "sweepFees", "fill", "matchOrders", "cancel", "cancelAll"),
    *("flag", "unflag", "takeOver", "liquidateWithOrders", "deleverage", "closeOut"),
    *("fundReserve", "fundCompartment", "accountState", "health", "withdrawable", "positionSize"),
    *("collateral", "marketState", "sideState", "liquidationTerms", "reserve", "compartment"),
    *("totalCapital", "previewCover"),
)


def test_the_list_is_whole(bench: Bench) -> None:
    assert set(entries(bench)) == set(NAMES)


def arm(bench: Bench, name: str) -> None:
    contract, data = entries(bench)[name]
    bench.system.token.setCallback(contract.address, data, sender=bench.owner)


def refused(bench: Bench) -> None:
    """The token did call, and was told that somebody is at work."""
    token = bench.system.token
    assert token.callbackResult() == 2
    assert bytes(token.callbackReturned())[:4] == locked_selector(bench)


@pytest.mark.parametrize("name", NAMES)
def test_from_a_deposit(bench: Bench, name: str) -> None:
    token, sender = bench.system.token, bench.users[1]
    token.mint(sender, 10**9, sender=sender)
    token.approve(bench.engine.address, 10**9, sender=sender)
    arm(bench, name)
    bench.engine.deposit(bench.account(1), 10**9, sender=sender)
    refused(bench)
    assert bench.engine.collateral(bench.account(1)) == 1000 * WAD


@pytest.mark.parametrize("name", NAMES)
def test_from_a_withdrawal(bench: Bench, name: str) -> None:
    bench.deposit(1, 1000)
    arm(bench, name)
    bench.engine.withdraw(bench.account(1), 10**9, bench.users[1], sender=bench.users[1])
    refused(bench)
    assert bench.engine.collateral(bench.account(1)) == 0


@pytest.mark.parametrize("name", NAMES)
def test_from_the_funds_payment_in_a_close_out(bench: Bench, name: str) -> None:
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0)
    for user, tokens in ((1, 200), (2, 100_000), (KEEPER, 1000)):
        bench.deposit(user, tokens)
    bench.trade(1, 2, 20, 100)
    bench.price(88, wait=300)
    arm(bench, name)
    receipt = bench.liquidator.closeOut(
        bench.account(1), bench.account(KEEPER), False, sender=bench.users[KEEPER]
    )
    refused(bench)
    assert receipt.one("ShortfallResolved").receipt.compartment == 40 * WAD


@pytest.mark.parametrize("name", NAMES)
def test_from_the_hand_over_of_fees(bench: Bench, name: str) -> None:
    bench.set_market(makerFeePpm=10_000, takerFeePpm=10_000)
    for user in (1, 2):
        bench.deposit(user, 100_000)
    bench.trade(1, 2, 20, 100)
    arm(bench, name)
    bench.engine.sweepFees(0, sender=bench.owner)
    refused(bench)


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in NAMES
        if n in ("health", "accountState", "marketState", "withdrawable", "totalCapital")
    ],
)
def test_from_a_wallets_signature_check(
    bench: Bench, deploy: Callable[..., Contract], name: str
) -> None:
    """A contract account asks the engine what it sees while its signature is asked for."""
    wallet = deploy("MockWallet1271", bench.users[3])
    contract, data = entries(bench)[name]
    wallet.setProbe(contract.address, data, True, sender=bench.users[3])
    maker = account_id(wallet.address)
    token, sender = bench.system.token, bench.users[3]
    token.mint(sender, 10**10, sender=sender)
    token.approve(bench.engine.address, 10**10, sender=sender)
    bench.engine.deposit(maker, 10**10, sender=sender)
    bench.deposit(2, 100_000)
    signed = sign_order(order(bench, maker), private_key(3), bench.system.domain)
    bench.system.settlement.fill(
        order(bench, maker), signed, bench.account(2), WAD, sender=bench.users[2]
    )
    assert bench.engine.positionSize(maker, 0) == WAD


def test_a_token_that_takes_a_fee_is_refused(bench: Bench) -> None:
    token, sender = bench.system.token, bench.users[1]
    token.mint(sender, 10**9, sender=sender)
    token.approve(bench.engine.address, 10**9, sender=sender)
    token.setFee(1, sender=bench.owner)
    with expect_revert("WrongAmountReceived", expected=10**9, received=10**9 - 10**5):
        bench.engine.deposit(bench.account(1), 10**9, sender=sender)
    assert bench.engine.collateral(bench.account(1)) == 0


def test_a_blocked_fund_does_not_block_a_close_out(bench: Bench) -> None:
    """The token refuses to move the fund's money: the opposite side is charged, nobody waits."""
    bench.set_market(makerFeePpm=0, takerFeePpm=0, rewardPpm=0)
    for user, tokens in ((1, 200), (2, 100_000), (KEEPER, 1000)):
        bench.deposit(user, tokens)
    bench.trade(1, 2, 20, 100)
    bench.price(88, wait=300)
    capital = bench.fund.totalCapital()
    bench.system.token.setBlocked(bench.fund.address, True, sender=bench.owner)
    receipt = (
        bench.liquidator.closeOut(
            bench.account(1), bench.account(KEEPER), False, sender=bench.users[KEEPER]
        )
        .one("ShortfallResolved")
        .receipt
    )
    assert (receipt.compartment, receipt.sideCharged, receipt.recorded) == (0, 40 * WAD, 0)
    assert bench.fund.totalCapital() == capital
