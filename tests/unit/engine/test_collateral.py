"""Deposits, withdrawals, the profit lock."""

from __future__ import annotations

from typing import Any

import pytest

from backstop.harness.bench import SCALE, WAD, Bench
from backstop.harness.rpc import expect_revert


def test_deposit_converts_exactly_and_for_anybodys_account(bench: Bench) -> None:
    account = bench.deposit(1, 1000)
    assert bench.engine.collateral(account) == 1000 * WAD
    sender = bench.users[2]
    bench.system.token.mint(sender, 1, sender=sender)
    bench.system.token.approve(bench.engine.address, 1, sender=sender)
    bench.engine.deposit(account, 1, sender=sender)
    assert bench.engine.collateral(account) == 1000 * WAD + SCALE


@pytest.mark.parametrize(
    ("account", "assets", "error"),
    [(b"\x00" * 32, 1, "ZeroAccount"), (b"\x11" * 32, 0, "ZeroAmount")],
)
def test_deposit_refuses(bench: Bench, account: bytes, assets: int, error: str) -> None:
    with expect_revert(error):
        bench.engine.deposit(account, assets, sender=bench.users[1])


def test_withdraw_only_by_the_owner_and_only_what_is_there(bench: Bench) -> None:
    account = bench.deposit(1, 1000)
    with expect_revert("NotOwner", account=account, caller=bench.users[2]):
        bench.engine.withdraw(account, 1, bench.users[2], sender=bench.users[2])
    with expect_revert("ZeroAmount"):
        bench.engine.withdraw(account, 0, bench.users[1], sender=bench.users[1])
    with expect_revert("NotWithdrawable", requested=1000 * 10**6 + 1, available=1000 * 10**6):
        bench.engine.withdraw(account, 1000 * 10**6 + 1, bench.users[1], sender=bench.users[1])
    bench.engine.withdraw(account, 1000 * 10**6, bench.users[3], sender=bench.users[1])
    assert bench.system.token.balanceOf(bench.users[3]) == 1000 * 10**6
    assert bench.engine.collateral(account) == 0


def test_withdrawable_is_equity_less_initial_margin(bench: Bench) -> None:
    account = bench.deposit(1, 1000)
    bench.deposit(2, 100_000)
    bench.trade(1, 2, 20, 100)  # maker fee 0.4; initial margin 9.9 % of 2000
    margin = 198 * WAD + 1  # what rounding and size add is far below a unit
    assert bench.engine.withdrawable(account) == (9996 * WAD // 10 - margin) // SCALE
    bench.price(99, wait=60)  # equity 20 less, margin 9.9 % of 1980
    expected = (9796 * WAD // 10 - 19602 * WAD // 100 - 1) // SCALE
    assert bench.engine.withdrawable(account) == expected
    with expect_revert("NotWithdrawable", available=expected):
        bench.engine.withdraw(account, expected + 1, bench.users[1], sender=bench.users[1])
    bench.engine.withdraw(account, expected, bench.users[1], sender=bench.users[1])


def test_unrealised_profit_is_margin_but_not_withdrawable(bench: Bench) -> None:
    account = bench.deposit(1, 1000)
    bench.deposit(2, 100_000)
    bench.trade(1, 2, 20, 100)
    bench.price(130, wait=600)
    state = bench.state(1)
    assert state.equity == state.collateral + 600 * WAD
    assert state.equity - state.initialMargin > state.collateral
    assert bench.engine.withdrawable(account) == state.collateral // SCALE


def close(bench: Bench, base: Any, price: Any) -> None:
    """User 1 sells to user 2."""
    bench.trade(2, 1, base, price)


def test_realised_profit_unlocks_linearly(bench: Bench) -> None:
    bench.set_market(profitLock=3600)
    account = bench.deposit(1, 1000)
    bench.deposit(2, 100_000)
    bench.trade(1, 2, 20, 100)
    bench.price(110, wait=600)
    close(bench, 20, 110)
    start = bench.now()
    state = bench.state(1)
    assert state.lockedProfit == 200 * WAD
    # a transaction in the next block, 12 s on
    bench.rpc.set_next_timestamp(start + 1800)
    bench.rpc.mine()
    state = bench.state(1)
    assert state.lockedProfit == 100 * WAD
    assert bench.engine.withdrawable(account) == (state.collateral - 100 * WAD) // SCALE
    bench.rpc.set_next_timestamp(start + 3600)
    bench.rpc.mine()
    assert bench.state(1).lockedProfit == 0


def test_second_profit_is_locked_for_its_own_time_on_average(bench: Bench) -> None:
    bench.set_market(profitLock=3600)
    bench.deposit(1, 1000)
    bench.deposit(2, 100_000)
    bench.trade(1, 2, 20, 100)
    bench.price(110, wait=600)
    close(bench, 10, 110)
    first = bench.now()
    bench.rpc.set_next_timestamp(first + 1800)
    close(bench, 10, 110)
    # 50 left of 100 with 1800 s to go, 100 more for 3600 s: 150 over (50*1800 + 100*3600) / 150
    assert bench.state(1).lockedProfit == 150 * WAD
    bench.rpc.set_next_timestamp(first + 1800 + 1500)
    bench.rpc.mine()
    assert bench.state(1).lockedProfit == 75 * WAD


def test_a_loss_eats_locked_profit_before_it_locks_principal(bench: Bench) -> None:
    bench.set_market(profitLock=3600)
    bench.deposit(1, 1000)
    bench.deposit(2, 100_000)
    bench.trade(1, 2, 20, 100)
    bench.price(110, wait=600)
    close(bench, 20, 110)
    start = bench.now()
    bench.rpc.set_next_timestamp(start + 36)
    bench.trade(1, 2, 10, 110)  # opening realises nothing
    locked = bench.state(1).lockedProfit
    assert locked == 200 * WAD * 99 // 100
    bench.rpc.set_next_timestamp(start + 72)
    bench.trade(2, 1, 10, 108)  # loss of 20
    assert bench.state(1).lockedProfit == 200 * WAD * 98 // 100 - 20 * WAD


def test_tokens_equal_claims(bench: Bench) -> None:
    accounts = [bench.deposit(1, 1000), bench.deposit(2, 5000)]
    bench.trade(1, 2, 20, 100)
    bench.price(103, wait=300)
    bench.trade(2, 1, 5, 103)
    assert 0 <= bench.engine_surplus(accounts) <= 20
