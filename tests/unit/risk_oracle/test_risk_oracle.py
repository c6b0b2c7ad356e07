"""Reporters, median, bounded moves, floor, fallback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backstop.harness.rpc import Contract, RpcClient, expect_revert
from backstop.risk.sizing import bounded_move_bps

DAY = 86_400
QUARTER = 365 * DAY // 4
HASH = b"\x01" * 32
RULES = (2, 3 * DAY, 500, 100, 0, 50_000)
"""quorum, maxAge, perDayBps, perUpdateBps, floorBps, fallbackPpm"""


@pytest.fixture
def oracle(
    rpc: RpcClient,
    deploy: Callable[..., Contract],
    owner: Any,
    alice: Any,
    bob: Any,
    carol: Any,
) -> Iterator[Contract]:
    """Target 1,000,000; alice, bob and carol report; two are a quorum."""
    with rpc.isolated():
        manager = deploy("MockAccessManager", owner.address)
        contract = deploy("RiskOracle", manager.address, 10**6, RULES)
        for who in (alice, bob, carol):
            contract.setReporter(who.address, True, sender=owner.address)
        yield contract


def post(oracle: Contract, who: Any, target: int, contributions: Any = ()) -> Any:
    return oracle.post(target, HASH, HASH, list(contributions), sender=who.address)


@pytest.mark.parametrize(
    ("wish", "seconds", "target"),
    [
        (2 * 10**6, 3_600, 1_002_000),
        (2 * 10**6, DAY, 1_010_000),
        (5 * 10**5, DAY, 990_000),
        (2 * 10**6, 172, 1_000_000),
        (2 * 10**6, 173, 1_000_100),
        (1_000_050, DAY, 1_000_050),
    ],
)
def test_published_moves(
    oracle: Contract, alice: Any, bob: Any, wish: int, seconds: int, target: int
) -> None:
    """Nexus: 5 % a day, 1 % an update, whole basis points."""
    oracle.client.warp(DAY)
    oracle.poke(sender=alice.address)  # uses up the allowance
    base = oracle.client.timestamp
    post(oracle, alice, wish)
    post(oracle, bob, wish)
    assert oracle.target.call(at=base + seconds) == target
    assert target == bounded_move_bps(10**6, wish, seconds)


def test_target_follows_the_median_in_bounded_moves(
    oracle: Contract, alice: Any, bob: Any, carol: Any
) -> None:
    client = oracle.client
    for who, wish in ((alice, 2 * 10**6), (bob, 3 * 10**6), (carol, 10**30)):
        post(oracle, who, wish)
    assert tuple(oracle.wish()) == (3 * 10**6, 3)
    client.warp(DAY)
    receipt = oracle.poke(sender=alice.address)
    assert receipt.one("TargetMoved").target == oracle.target() == 1_010_000
    start = client.timestamp
    client.set_next_timestamp(start + 3_600)
    oracle.poke(sender=alice.address)
    assert oracle.target.call(at=start + 3_600) == 1_010_000 * 10_020 // 10_000


def test_one_of_two_and_even_counts(oracle: Contract, alice: Any, bob: Any) -> None:
    post(oracle, alice, 5 * 10**6)
    assert tuple(oracle.wish()) == (10**6, 1)  # below the quorum: stays
    post(oracle, bob, 10**5)
    assert tuple(oracle.wish()) == (5 * 10**6, 2)  # the higher one of two
    post(oracle, alice, 2 * 10**5)
    assert tuple(oracle.wish()) == (2 * 10**5, 2)


def test_calling_often_does_not_stop_the_move(oracle: Contract, alice: Any, bob: Any) -> None:
    for who in (alice, bob):
        post(oracle, who, 2 * 10**6)
    start = oracle.client.timestamp
    for second in range(100, 3_700, 100):
        oracle.client.set_next_timestamp(start + second)
        oracle.poke(sender=alice.address)
    # 20 single basis points in an hour, compounded
    assert 1_002_000 <= oracle.target() <= 1_002_100


def test_reports_grow_stale(oracle: Contract, alice: Any, bob: Any) -> None:
    for who in (alice, bob):
        post(oracle, who, 5 * 10**5)
    posted = oracle.client.timestamp
    assert oracle.wish.call(at=posted + 3 * DAY - 12)[1] == 2
    assert oracle.wish.call(at=posted + 3 * DAY)[1] == 1  # alice's came a block earlier
    assert oracle.wish.call(at=posted + 3 * DAY + 1)[1] == 0


def test_silence_never_lowers_the_target(
    oracle: Contract, alice: Any, bob: Any, owner: Any, deploy: Callable[..., Contract]
) -> None:
    source = deploy("MockExposure")
    oracle.setExposureSource(source.address, sender=owner.address)
    source.set(10**7, False, sender=owner.address)  # 5 % of it are 500,000
    assert tuple(oracle.wish()) == (10**6, 0)
    source.set(10**8 + 1, False, sender=owner.address)
    assert tuple(oracle.wish()) == (5_000_001, 0)
    source.set(2**256 - 1, False, sender=owner.address)
    assert oracle.wish().assets == (2**128 - 1) * 50_000 // 10**6 + 1
    source.set(10**9, True, sender=owner.address)
    assert tuple(oracle.wish()) == (10**6, 0)
    for nowhere in (bob.address, oracle.address):
        oracle.setExposureSource(nowhere, sender=owner.address)
        assert tuple(oracle.wish()) == (10**6, 0)
    oracle.setExposureSource("0x" + "00" * 20, sender=owner.address)
    oracle.poke(sender=alice.address)


def test_the_fallback_is_bounded_and_needs_its_gas(
    oracle: Contract, alice: Any, owner: Any, deploy: Callable[..., Contract]
) -> None:
    source = deploy("MockExposure")
    oracle.setExposureSource(source.address, sender=owner.address)
    oracle.setRules((*RULES[:5], 2 * 10**6), sender=owner.address)  # twice the exposure
    source.set(2**256 - 1, False, sender=owner.address)
    assert oracle.wish().assets == 2**128 - 1
    with expect_revert("NotEnoughGas", required=6_000_000):
        oracle.poke(sender=alice.address, gas=5_000_000)


def test_a_source_that_answers_with_megabytes_can_be_replaced(
    oracle: Contract, alice: Any, owner: Any
) -> None:
    """Copying its answer would take more gas than it leaves."""
    source = "0x" + "b0" * 20
    oracle.client.set_code(source, bytes.fromhex("622800005ff3"))  # 2.5 MiB of zeros
    oracle.setExposureSource(source, sender=owner.address)
    for _ in range(2):
        oracle.poke(sender=alice.address)
        assert tuple(oracle.wish()) == (10**6, 0)
    oracle.setExposureSource("0x" + "00" * 20, sender=owner.address)


def test_floor_of_the_year(oracle: Contract, owner: Any, alice: Any, bob: Any) -> None:
    client = oracle.client
    oracle.setRules((2, 2**32 - 1, 10_000, 10_000, 7_500, 0), sender=owner.address)
    for who in (alice, bob):
        post(oracle, who, 20_000)
    assert oracle.wish().assets == 750_000
    client.warp(DAY)
    oracle.poke(sender=alice.address)
    assert oracle.target() == 750_000
    quarter = client.timestamp // QUARTER
    client.set_next_timestamp((quarter + 4) * QUARTER)
    client.mine()
    assert (oracle.highest(), oracle.wish().assets) == (10**6, 750_000)
    client.set_next_timestamp((quarter + 5) * QUARTER)
    client.mine()
    assert (oracle.highest(), oracle.wish().assets) == (750_000, 562_500)


def test_contributions(oracle: Contract, alice: Any, bob: Any, carol: Any) -> None:
    post(oracle, alice, 10**6, [(1, 100), (2, 50)])
    assert oracle.contribution(1) == 0
    receipt = post(oracle, bob, 10**6, [(1, 300)])
    event = receipt.one("Reported")
    assert (event.reporter, event.target, event.dataHash) == (bob.address, 10**6, HASH)
    assert (oracle.contribution(1), oracle.contribution(2)) == (300, 0)
    post(oracle, carol, 10**6, [(1, 200), (2, 70)])
    assert (oracle.contribution(1), oracle.contribution(2)) == (200, 70)
    post(oracle, carol, 10**6)  # a report without contributions takes the old ones back
    assert (oracle.contribution(1), oracle.contribution(2)) == (300, 0)


def test_reporters(oracle: Contract, owner: Any, accounts: Any, alice: Any, mallory: Any) -> None:
    with expect_revert("NotReporter", caller=mallory.address):
        post(oracle, mallory, 10**6)
    for small in (0, 9_999):
        with expect_revert("TargetTooSmall", target=small):
            post(oracle, alice, small)
    with expect_revert("AboveMaximum"):
        post(oracle, alice, 2**128)
    with expect_revert("ReportTooLong"):
        post(oracle, alice, 10**6, [(i, 1) for i in range(65)])
    post(oracle, alice, 10**6, [(i, 1) for i in range(64)])
    report = oracle.report(alice.address)
    assert (report.target, report.dataHash) == (10**6, HASH)
    oracle.setReporter(alice.address, False, sender=owner.address)
    assert oracle.report(alice.address).postedAt == 0
    with expect_revert("NotReporter", caller=alice.address):
        post(oracle, alice, 10**6)
    with expect_revert("NotReporter"):
        oracle.setReporter(alice.address, False, sender=owner.address)
    for i in range(7, 14):
        oracle.setReporter(accounts[i].address, True, sender=owner.address)
    oracle.setReporter(accounts[7].address, True, sender=owner.address)  # already one
    assert len(oracle.reporters()) == 9
    with expect_revert("TooManyReporters"):
        oracle.setReporter(alice.address, True, sender=owner.address)


def test_roles_and_rules(oracle: Contract, owner: Any, mallory: Any) -> None:
    for function, args in (
        (oracle.setReporter, (mallory.address, True)),
        (oracle.setRules, (RULES,)),
        (oracle.setExposureSource, (mallory.address,)),
    ):
        with expect_revert("AccessManagedUnauthorized"):
            function(*args, sender=mallory.address)
    for position, value, name in (
        (0, 0, "quorum"),
        (0, 10, "quorum"),
        (1, 0, "maxAge"),
        (2, 0, "perDayBps"),
        (2, 10_001, "perDayBps"),
        (3, 0, "perUpdateBps"),
        (3, 501, "perUpdateBps"),
        (4, 10_001, "floorBps"),
    ):
        rules = list(RULES)
        rules[position] = value
        with expect_revert("InvalidRules", field=name):
            oracle.setRules(rules, sender=owner.address)
    assert tuple(oracle.rules()) == RULES


def test_construction(deploy: Callable[..., Contract], oracle: Contract, owner: Any) -> None:
    manager = oracle.authority()
    with expect_revert("TargetTooSmall", target=9_999):
        deploy("RiskOracle", manager, 9_999, RULES)
    with expect_revert("InvalidRules", field="quorum"):
        deploy("RiskOracle", manager, 10**6, (0, *RULES[1:]))
