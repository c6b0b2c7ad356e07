"""Terms that follow the fund's solvency ratio, by hand: base x curve, up to what is allowed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backstop.harness.bench import PARAMETERS, Bench
from backstop.harness.fund import ZERO_ADDRESS
from backstop.harness.rpc import Contract, expect_revert

DAY = 86_400
UNIT = 10**6
TERMS = (2_500_000, 500_000, 1_000_000)
"""Cap 2.5, floor 0.5, margin up to twice the base."""


@pytest.fixture
def ratio(bench: Bench, deploy: Callable[..., Contract]) -> Callable[[int], None]:
    """`ratio(75)`: the fund holds 75 % of its target, and has for a day."""

    def at(percent: int) -> None:
        me, fund = bench.owner, bench.fund
        short = -fund.totalCapital() % (percent * UNIT)  # so that the target is a whole number
        bench.system.token.mint(me, short + 1, sender=me)
        bench.system.token.approve(fund.address, short, sender=me)
        if short:
            fund.fundReserve(short, sender=me)
        target = fund.totalCapital() * 100 // percent
        rules = (1, 3 * DAY, 10_000, 10_000, 0, 0)
        oracle = deploy("RiskOracle", bench.system.authority.address, target, rules)
        fund.setRiskOracle(ZERO_ADDRESS, sender=me)
        fund.setRiskOracle(oracle.address, sender=me)
        assert fund.solvency().lagged == percent * 10**16

    return at


def terms(bench: Bench) -> tuple[int, int, int]:
    """Surcharge, fund's share of fees, initial margin; millionths."""
    parameters, liquidation, _ = bench.engine.marketParameters(0)
    return liquidation.surchargePpm, parameters.fundSharePpm, parameters.initialMarginPpm


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        (40, (18_750, 1_000_000, 158_400)),
        (50, (18_750, 1_000_000, 148_500)),
        (75, (13_125, 875_000, 123_750)),
        (100, (7_500, 500_000, 99_000)),
        (110, (5_625, 500_000, 99_000)),
        (150, (3_750, 500_000, 99_000)),
    ],
)
def test_known_answers(
    bench: Bench, ratio: Callable[[int], None], percent: int, expected: tuple[int, int, int]
) -> None:
    ratio(percent)
    bench.engine.setCoverTerms(0, *TERMS, sender=bench.owner)
    assert terms(bench) == expected


def test_anybody_brings_them_up_to_date_and_the_base_stays(
    bench: Bench, ratio: Callable[[int], None]
) -> None:
    ratio(75)
    bench.engine.setCoverTerms(0, *TERMS, sender=bench.owner)
    ratio(50)
    assert terms(bench) == (13_125, 875_000, 123_750)
    bench.engine.followFund(0, sender=bench.users[7])
    assert terms(bench) == (18_750, 1_000_000, 148_500)
    # other terms on the same base: what is in force is none
    bench.engine.setCoverTerms(0, 2_000_000, 500_000, 10_000_000, sender=bench.owner)
    assert terms(bench) == (15_000, 1_000_000, 99_000 + 495_000)
    ratio(1)
    bench.engine.followFund(0, sender=bench.users[7])
    assert terms(bench) == (15_000, 1_000_000, 1_000_000)  # the margin is at most the notional
    base = bench.engine.coverBase(0)
    assert (base.surchargePpm, base.fundSharePpm, base.initialMarginPpm) == (7_500, 500_000, 99_000)


def test_a_markets_new_parameters_end_them(bench: Bench, ratio: Callable[[int], None]) -> None:
    ratio(75)
    with expect_revert("NoCoverTerms", market=0):
        bench.engine.followFund(0, sender=bench.owner)
    bench.engine.setCoverTerms(0, *TERMS, sender=bench.owner)
    bench.set_market()
    with expect_revert("NoCoverTerms", market=0):
        bench.engine.followFund(0, sender=bench.owner)
    assert terms(bench) == (7_500, 500_000, PARAMETERS["initialMarginPpm"])


def test_refused_terms(bench: Bench) -> None:
    set_terms = bench.engine.setCoverTerms
    with expect_revert("UnknownMarket", market=2):
        set_terms(2, *TERMS, sender=bench.owner)
    for cap, floor in ((999_999, 500_000), (10**9 + 1, 500_000), (2_500_000, 1_000_001)):
        with expect_revert("InvalidCurve"):
            set_terms(0, cap, floor, 0, sender=bench.owner)
    with expect_revert("InvalidParameter", market=0, field="marginRisePpm"):
        set_terms(0, 2_500_000, 500_000, 10_000_001, sender=bench.owner)
    with expect_revert("InvalidParameter", market=0, field="capPpm"):
        set_terms(0, 140_000_000, 500_000, 0, sender=bench.owner)  # 105 % of the notional
    # 18,005 + (10,000 + 7,500 * cap + 150) * 1.018: 50,000 lies between
    set_terms(0, 2_836_000, 500_000, 0, sender=bench.owner)
    with expect_revert("EnvelopeViolated", market=0):
        set_terms(0, 2_838_000, 500_000, 0, sender=bench.owner)
    with expect_revert("AccessManagedUnauthorized"):
        set_terms(0, *TERMS, sender=bench.users[7])
