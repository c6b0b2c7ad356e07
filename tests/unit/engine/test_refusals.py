"""Refusals that ordinary plays do not meet: limits of counts, sides used up, parts without code."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backstop.harness.bench import LIQUIDATION, PARAMETERS, WAD, Bench
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


def test_terms_that_follow_the_fund_have_bounds(bench: Bench) -> None:
    terms = bench.engine.setCoverTerms
    with expect_revert("UnknownMarket", market=2):
        terms(2, 2_000_000, 500_000, 0, sender=bench.owner)
    with expect_revert("InvalidParameter", market=0, field="marginRisePpm"):
        terms(0, 2_000_000, 500_000, 10_000_001, sender=bench.owner)
    with expect_revert("InvalidParameter", market=0, field="capPpm"):
        terms(0, 1_000 * 10**6, 500_000, 0, sender=bench.owner)  # 0.75 % * 1,000
    terms(0, 2_000_000, 500_000, 10_000_000, sender=bench.owner)
    first = bench.engine.coverBase(0)
    assert (first.capPpm, first.surchargePpm) == (2_000_000, LIQUIDATION["surchargePpm"])
    terms(0, 1_500_000, 500_000, 0, sender=bench.owner)
    again = bench.engine.coverBase(0)
    assert (again.capPpm, again.surchargePpm) == (1_500_000, first.surchargePpm), "the base stays"


def test_what_the_guardian_tightens_follows_the_fund_no_more(bench: Bench) -> None:
    bench.engine.setCoverTerms(0, 2_000_000, 500_000, 0, sender=bench.owner)
    bench.engine.tightenMarket(0, 300_000, 40_000, 0, sender=bench.owner)
    assert bench.engine.coverBase(0).capPpm == 0
    parameters = bench.engine.marketParameters(0)[0]
    assert (parameters.initialMarginPpm, parameters.bandPpm) == (300_000, 40_000)
    with expect_revert("NoCoverTerms", market=0):
        bench.engine.followFund(0, sender=bench.users[1])


def test_there_is_room_for_64_markets(bench: Bench) -> None:
    for market in range(2, 64):
        bench.engine.listMarket(PARAMETERS, LIQUIDATION, sender=bench.owner)
        assert bench.engine.marketCount() == market + 1
    with expect_revert("InvalidParameter", market=64, field="marketCount"):
        bench.engine.listMarket(PARAMETERS, LIQUIDATION, sender=bench.owner)


def wiring_of(bench: Bench) -> dict[str, str]:
    """As the engine was deployed."""
    system = bench.system
    names = ("token", "oracle", "fund", "settlement", "liquidator", "lock", "authority")
    return {**{n: getattr(system, n).address for n in names}, "sanctions": "0x" + "00" * 20}


@pytest.mark.parametrize("name", ["MarginEngine", "MarginEngineBackOffice"])
def test_a_part_needs_its_next_part(
    bench: Bench, deploy: Callable[..., Contract], name: str
) -> None:
    nobody = bench.users[5]
    with expect_revert("NoCode", part=nobody):
        deploy(name, wiring_of(bench), nobody)


def test_the_token_must_be_one(bench: Bench, deploy: Callable[..., Contract]) -> None:
    nobody, fine = bench.users[5], deploy("MockToken", "Fine", "F", 24)
    for token, why in ((nobody, "no code"), (fine.address, "decimals outside 6..18")):
        with expect_revert("UnsupportedAsset", asset=token, reason=why):
            deploy("MarginEngineGovernance", {**wiring_of(bench), "token": token})
