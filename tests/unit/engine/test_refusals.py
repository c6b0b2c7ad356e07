"""Refusals that ordinary plays do not meet: limits of counts, sides used up, parts without code."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backstop.harness.bench import WAD, Bench
from backstop.harness.rpc import Contract, expect_revert

KEEPER = 4
MAX_MARKETS = 16
A_MIN = 10**13


def test_a_market_without_terms_does_not_follow_the_fund(bench: Bench) -> None:
    with expect_revert("NoCoverTerms", market=0):
        bench.engine.followFund(0, sender=bench.users[1])
    bench.engine.setCoverTerms(0, 2_000_000, 500_000, 0, sender=bench.owner)
    bench.engine.followFund(0, sender=bench.users[1])


def test_an_account_is_in_sixteen_markets_at_most(bench: Bench) -> None:
    markets = [0, 1, *(bench.list_market() for _ in range(MAX_MARKETS - 1))]
    for user in (1, 2, 3):
        bench.deposit(user, 100_000)
    for market in markets[:MAX_MARKETS]:
        bench.trade(1, 2, 1, 100, market=market)
    with expect_revert("TooManyMarkets", account=bench.account(1)):
        bench.trade(1, 3, 1, 100, market=markets[-1])
    bench.trade(2, 1, 1, 100, market=0)
    bench.trade(1, 3, 1, 100, market=markets[-1])


def test_a_side_that_is_nearly_torn_up_only_reduces(bench: Bench) -> None:
    """A tear-up leaves shorts a billionth of their size; smaller parts are not told apart."""
    bench.set_market(openInterestCap=10**9 * WAD, chargeCapPpm=10**6)
    for user, tokens in ((1, 10**8), (2, 10**9), (3, 10**6), (KEEPER, 10**6), (9, 11 * 10**6)):
        bench.deposit(user, tokens)
    bench.trade(9, 2, 10**6, 100)
    bench.trade(1, 2, "0.001", 100)
    bench.price(86, wait=400)
    bench.liquidator.closeOut(
        bench.account(9), bench.account(KEEPER), False, sender=bench.users[KEEPER]
    )
    assert 0 < bench.engine.sideState(0).A[1] < A_MIN
    with expect_revert("SideOnlyReduces", market=0, longs=False):
        bench.trade(1, 3, 1, 86)
    bench.trade(2, 1, "0.001", 86)
    assert bench.size(1) == 0


def test_the_liquidator_cannot_credit_an_account_above_zero(bench: Bench) -> None:
    """NO_MINT holds against a liquidator of ours that is wrong, too."""
    account = bench.deposit(1, 1)
    with expect_revert("NotFlat", account=account):
        bench.engine.settleDeficit(account, 0, 1, 0, sender=bench.liquidator.address)
    assert bench.state(1).equity == WAD


@pytest.mark.parametrize("name", ["MarginEngine", "MarginEngineBackOffice"])
def test_a_part_needs_its_next_part(
    bench: Bench, deploy: Callable[..., Contract], name: str
) -> None:
    system, nobody = bench.system, bench.users[5]
    wiring = {
        "token": system.token.address,
        "oracle": system.oracle.address,
        "fund": system.fund.address,
        "settlement": system.settlement.address,
        "liquidator": system.liquidator.address,
        "lock": system.lock.address,
        "authority": system.authority.address,
        "sanctions": "0x" + "00" * 20,
    }
    with expect_revert("NoCode", part=nobody):
        deploy(name, wiring, nobody)
