"""The curve on the chain equals the published one, to the unit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from backstop.harness.rpc import Contract, expect_revert
from backstop.risk.surcharge import surcharge_wad

WAD = 10**18


@pytest.fixture(scope="module")
def curve(deploy: Callable[..., Contract]) -> Contract:
    return deploy("MockSurchargeCurve")


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (30, 4_000),
        (50, 4_000),
        (75, 2_500),
        (90, 1_600),
        (100, 1_000),
        (110, 625),
        (120, 250),
        (500, 250),
    ],
)
def test_known_answers(curve: Contract, ratio: int, expected: int) -> None:
    """Base 10 bp: 40, 40, 25, 16, 10, 6.25, 2.5 bp."""
    assert curve.surchargeUp(1_000, ratio * WAD // 100, 4 * WAD, WAD // 4) == expected


@given(
    base=st.one_of(st.integers(0, 10**6), st.integers(0, 2**128)),
    ratio=st.one_of(
        st.integers(0, 2 * WAD),
        st.sampled_from([WAD // 2 - 1, WAD // 2, WAD // 2 + 1, WAD - 1, WAD, WAD + 1]),
        st.sampled_from([6 * WAD // 5 - 1, 6 * WAD // 5, 2**256 - 1]),
    ),
    cap=st.integers(WAD, 1_000 * WAD),
    floor=st.integers(0, WAD),
)
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
def test_same_integers(curve: Contract, base: int, ratio: int, cap: int, floor: int) -> None:
    assert curve.surchargeUp(base, ratio, cap, floor) == surcharge_wad(base, ratio, cap, floor)


def test_shapes_that_rise_are_refused(curve: Contract) -> None:
    curve.check(WAD, WAD)
    curve.check(1_000 * WAD, 0)
    for cap, floor in ((WAD - 1, 0), (WAD, WAD + 1), (1_000 * WAD + 1, 0)):
        with expect_revert("InvalidCurve", cap=cap, floor=floor):
            curve.check(cap, floor)


def test_ratio(curve: Contract) -> None:
    assert curve.ratioDown(2, 3) == 666_666_666_666_666_666
    assert curve.ratioDown(5, 0) == 2**256 - 1
    assert curve.ratioDown(0, 5) == 0
