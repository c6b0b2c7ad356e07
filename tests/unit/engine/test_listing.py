"""Listing, parameters, the envelope, and what the guardian may do at once."""

from __future__ import annotations

import pytest

from backstop.harness.bench import LIQUIDATION, PARAMETERS, Bench
from backstop.harness.rpc import expect_revert


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"sizeScale": 0}, "sizeScale"),
        ({"maintenanceMarginPpm": 0}, "maintenanceMarginPpm"),
        ({"initialMarginPpm": 50_000}, "initialMarginPpm"),
        ({"initialMarginPpm": 1_000_001}, "initialMarginPpm"),
        ({"maxMarkAge": 61}, "maxMarkAge"),
        ({"markSpeedPpb": 0}, "markSpeedPpb"),
        ({"fundingClampPpb": 10**9 + 1}, "fundingClampPpb"),
        ({"bandPpm": 0}, "bandPpm"),
        ({"bandPpm": 10**6}, "bandPpm"),
        ({"fundSharePpm": 10**6 + 1}, "fundSharePpm"),
        ({"chargeCapPpm": 10**6 + 1}, "chargeCapPpm"),
        ({"minBase": 0}, "minBase"),
        ({"targetHealthPpm": 10**6}, "targetHealthPpm"),
        ({"minDiscountPpm": 10_001}, "minDiscountPpm"),
        ({"ramp": 0}, "ramp"),
        ({"deleverageDelay": 299}, "deleverageDelay"),
        ({"checkInterval": 0}, "checkInterval"),
        ({"maxStep": 0}, "maxStep"),
        ({"rewardPpm": 176}, "rewardPpm"),  # 2 * 176 > (200 + 500) * 50 %
    ],
)
def test_a_parameter_out_of_range_is_named(
    bench: Bench, changes: dict[str, int], field: str
) -> None:
    with expect_revert("InvalidParameter", market=0, field=field):
        bench.set_market(**changes)
    p = {**PARAMETERS, **{k: v for k, v in changes.items() if k in PARAMETERS}}
    terms = {**LIQUIDATION, **{k: v for k, v in changes.items() if k in LIQUIDATION}}
    with expect_revert("InvalidParameter", market=2, field=field):
        bench.engine.listMarket(p, terms, sender=bench.owner)
    assert bench.engine.marketCount() == 2


def test_the_edges_are_allowed(bench: Bench) -> None:
    bench.set_market(
        initialMarginPpm=10**6, maxMarkAge=60, fundSharePpm=10**6, chargeCapPpm=10**6, rewardPpm=175
    )
    # a discount that does not grow, and deleveraging as soon as it would have
    bench.set_market(minDiscountPpm=10_000, deleverageDelay=300)


def test_the_envelope_to_the_millionth(bench: Bench) -> None:
    # speed 1_500_000 ppb/s * 12 s = 18_000 ppm; funding 10_000_000 ppb * 12 / 28800 = 4.17 -> 5 ppm
    # costs of 10_000 + 7_500 + 150 ppm on a notional 1.8 % larger: 17_967.7 -> 17_968
    needed = 18_000 + 5 + 17_968
    bench.set_market(maintenanceMarginPpm=needed)
    with expect_revert("EnvelopeViolated", neededPpm=needed, maintenanceMarginPpm=needed - 1):
        bench.set_market(maintenanceMarginPpm=needed - 1)


def test_strangers_change_nothing(bench: Bench) -> None:
    stranger = bench.users[7]
    for call in (
        lambda: bench.engine.listMarket(PARAMETERS, LIQUIDATION, sender=stranger),
        lambda: bench.engine.setMarket(0, PARAMETERS, LIQUIDATION, sender=stranger),
        lambda: bench.engine.tightenMarket(0, 100_000, 50_000, 0, sender=stranger),
        lambda: bench.engine.pauseRisk(0, sender=stranger),
        lambda: bench.engine.resumeRisk(0, sender=stranger),
        lambda: bench.engine.payTreasury(0, stranger, sender=stranger),
    ):
        with expect_revert("AccessManagedUnauthorized"):
            call()


def test_tightening(bench: Bench) -> None:
    tighten = bench.engine.tightenMarket
    for arguments, field in (
        ((500_001, 50_000, 0), "initialMarginPpm"),
        ((99_000, 4_999, 0), "bandPpm"),
        ((99_000, 50_000, 7 * 86_400 + 1), "profitLock"),
        ((98_999, 50_000, 0), "initialMarginPpm"),
        ((99_000, 50_001, 0), "bandPpm"),
    ):
        with expect_revert("NotTighter", market=0, field=field):
            tighten(0, *arguments, sender=bench.owner)
    tighten(0, 200_000, 40_000, 3600, sender=bench.owner)
    with expect_revert("NotTighter", field="profitLock"):
        tighten(0, 200_000, 40_000, 3599, sender=bench.owner)
    parameters, liquidation, paused = bench.engine.marketParameters(0)
    expected = {**PARAMETERS, "initialMarginPpm": 200_000, "bandPpm": 40_000, "profitLock": 3600}
    assert {name: getattr(parameters, name) for name in PARAMETERS} == expected
    assert {name: getattr(liquidation, name) for name in LIQUIDATION} == LIQUIDATION
    assert paused is False


def test_unknown_markets_are_named(bench: Bench) -> None:
    for call in (
        lambda: bench.engine.poke(2, sender=bench.owner),
        lambda: bench.engine.marketState(2),
        lambda: bench.engine.sweepFees(2, sender=bench.owner),
        lambda: bench.engine.pauseRisk(2, sender=bench.owner),
        lambda: bench.engine.setMarket(2, PARAMETERS, LIQUIDATION, sender=bench.owner),
        lambda: bench.engine.payTreasury(2, bench.owner, sender=bench.owner),
    ):
        with expect_revert("UnknownMarket", market=2):
            call()


def test_the_back_office_alone_is_empty(bench: Bench) -> None:
    office = bench.system.back_office
    assert office.accountState(bench.deposit(1, 1000)).collateral == 0
    with expect_revert("NotLiquidator"):
        office.setFlag(bench.account(1), True, sender=bench.users[1])


def test_unknown_functions_are_refused(bench: Bench) -> None:
    with expect_revert():
        bench.rpc.send(bench.engine.address, "0x12345678", bench.users[1])
