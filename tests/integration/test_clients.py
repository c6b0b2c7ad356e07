"""The typed clients against real contracts, over both transports."""

from __future__ import annotations

from decimal import Decimal

import pytest

from backstop.chain.clients import (
    CloseOutResult,
    Flagged,
    Keeper,
    LiquidationResult,
    NothingToDo,
    Trader,
)
from backstop.chain.deploy import AccountDeployer, deploy
from backstop.chain.errors import Words, explain
from backstop.chain.units import UnitError
from backstop.chain.views import FundView, Reader
from backstop.harness.abi import Reverted
from backstop.harness.anvil import private_key

D = Decimal


def refused(system, action):
    """The sentence for what `action` is refused with."""
    with pytest.raises(Reverted) as caught:
        action()
    return explain(caught.value, Words.of(system))


# --- traders


def test_deposit_approves_once_and_withdraw_returns_it(market):
    alice, system = market.alice, market.system
    before = alice.balance(alice.address)
    assert alice.deposit(D("1000.5")).amount == D("1000.5")
    assert alice.view().collateral == D("1000.5")
    assert system.token.allowance(alice.address, system.engine.address) == 0, "no more than needed"
    alice.approve()
    first = alice.deposit(D(1)).gas_used
    assert first < alice.deposit(D(1), market.bob.number).gas_used, "a new account costs a slot"
    assert market.bob.view().collateral == 1
    assert alice.withdraw(D("0.5")).amount == D("0.5")
    assert alice.withdraw().amount == 1001
    assert alice.balance(alice.address) == before - 1
    alice.deposit(D(10))
    alice.withdraw(D(10), to=market.bob.address)
    assert alice.view().collateral == 0


def test_amounts_the_token_cannot_hold_are_refused(market):
    with pytest.raises(UnitError, match="mUSD has 6 decimals"):
        market.alice.deposit(D("0.0000001"))


def test_too_few_tokens_are_named(market):
    text = refused(market.system, lambda: market.alice.deposit(D(10**9)))
    assert "has 10,000,000 mUSD but needs 1,000,000,000 mUSD: 990,000,000 mUSD are missing" in text


def test_a_trade_and_what_it_shows(market):
    market.open()
    view = market.alice.view()
    (position,) = view.positions
    assert (position.name, position.size, position.mark_price) == ("BTC", D("0.15"), 60_000)
    assert position.notional == 9000
    assert view.equity == D("998.2"), "less the maker's fee"
    assert view.health is not None and D("2.2") < view.health < D("2.3")
    assert not view.liquidatable
    assert market.bob.view().positions[0].size == D("-0.15")
    state = market.alice.market(0)
    assert (state.open_long, state.paused, state.validity) == (D("0.15"), False, "full")
    assert state.fund_fees == D("3.15"), "half of 6.30"


def test_orders_are_filled_in_parts_matched_and_cancelled(market):
    alice, bob = market.alice, market.bob
    alice.deposit(D(100_000))
    bob.deposit(D(100_000))
    order = alice.sign_order(0, True, D("0.3"), D(60_000))
    assert alice.order_status(order) == (0, "open")
    assert bob.fill(order, D("0.1")).filled == D("0.1")
    assert alice.order_status(order) == (D("0.1"), "partly filled")
    ask = bob.sign_order(0, False, D("1"), D(59_500))
    result = Trader(market.system, private_key(9)).match(order, ask)
    assert (result.filled, result.price) == (D("0.2"), 60_000), "at the maker's price, the rest"
    assert alice.order_status(order)[1] == "filled"
    bob.cancel(ask.order.nonce)
    assert bob.order_status(ask)[1] == "cancelled"
    assert "sign with another one" in refused(market.system, lambda: alice.fill(ask))
    late = bob.sign_order(0, False, D("1"), D(60_000))
    bob.cancel_all()
    assert "cancelled with all below" in refused(market.system, lambda: alice.fill(late))
    fresh = bob.sign_order(0, False, D("0.1"), D(60_000))
    assert alice.fill(fresh).filled == D("0.1")


def test_refusals_of_trades_say_the_numbers(market):
    system, alice, bob = market.system, market.alice, market.bob
    alice.deposit(D(1000))
    bob.deposit(D(100_000))

    def sign(size="0.01", price="60000", **more):
        return alice.sign_order(0, True, D(size), D(price), **more)

    assert "deposit at least 203.04 mUSD" in refused(system, lambda: bob.fill(sign("0.2")))
    assert "outside the band of BTC" in refused(system, lambda: bob.fill(sign(price="70000")))
    assert "below the minimum 0.001" in refused(system, lambda: bob.fill(sign("0.0001")))
    assert "the order expired at" in refused(system, lambda: bob.fill(sign(expiry=1)))
    assert "could reduce" in refused(system, lambda: bob.fill(sign(reduce_only=True)))
    assert "above its cap 2,000" in refused(
        system, lambda: bob.fill(alice.sign_order(0, True, D(3000), D(60_000)))
    )
    assert "can withdraw at most 1,000 mUSD" in refused(system, lambda: alice.withdraw(D(1001)))
    mallory = Trader(system, private_key(8))
    forged = mallory.sign_order(0, True, D("0.01"), D(60_000))
    stolen = type(forged)(sign().order, forged.signature, forged.domain)
    assert f"not that of {alice.address}" in refused(system, lambda: bob.fill(stolen))


def test_subaccounts_are_separate(market):
    second = Trader(market.system, private_key(1), sub=1)
    second.deposit(D(500))
    assert second.view().collateral == 500
    assert market.alice.view().collateral == 0


def test_without_a_key_nothing_is_signed(market):
    watcher = Trader(market.system, market.alice.address)
    with pytest.raises(TypeError, match="cannot sign"):
        watcher.sign_order(0, True, D(1), D(1))
    assert watcher.deposit(D(1)).amount == 1, "the node holds the key"


# --- keepers


def test_a_healthy_account_is_left_alone(market):
    market.open()
    with pytest.raises(NothingToDo, match=r"healthy"):
        market.keeper.liquidate(market.alice.number)
    text = refused(market.system, lambda: market.keeper.take_over(market.alice.number, 0))
    assert "is healthy: equity 998.20 mUSD covers its maintenance margin 450.16 mUSD" in text


def test_a_keeper_with_money_takes_over(market):
    market.open()
    market.keepers_account.deposit(D(100_000))
    market.move("56000")
    before = market.alice.view()
    assert before.liquidatable
    result = market.keeper.liquidate(market.alice.number)
    assert isinstance(result, LiquidationResult)
    assert (result.way, result.market) == ("take-over", 0)
    assert 0 < result.size < D("0.15")
    assert result.price < 56_000
    after = market.alice.view()
    assert after.health is not None and before.health is not None
    assert after.health > D("1.2") > 1 > before.health
    assert market.keepers_account.view().positions[0].size == result.size


def test_limits_of_a_keeper_are_kept(market):
    market.open()
    market.keepers_account.deposit(D(100_000))
    market.move("56000")
    text = refused(
        market.system,
        lambda: market.keeper.take_over(market.alice.number, 0, limit_price=D(50_000)),
    )
    assert "worse than the limit 50,000.00" in text
    result = market.keeper.take_over(market.alice.number, 0, max_size=D("0.01"))
    assert result.size == D("0.01")


def test_a_keeper_without_money_flags_then_deleverages(market):
    market.open()
    market.move("56000")
    assert isinstance(market.keeper.liquidate(market.alice.number), Flagged)
    assert market.alice.view().flagged_at
    with pytest.raises(Reverted, match="InsufficientMargin"):
        market.keeper.liquidate(market.alice.number)
    market.move("56000", seconds=600)
    result = market.keeper.liquidate(market.alice.number)
    assert isinstance(result, LiquidationResult)
    assert (result.way, result.price) == ("deleverage", 56_000)
    assert market.keepers_account.view().collateral == result.reward > 0


def test_a_keeper_with_orders_fills_them(market):
    market.open()
    market.move("56000")
    bid = market.bob.sign_order(0, True, D("0.15"), D(56_100))
    result = market.keeper.liquidate(market.alice.number, [bid])
    assert isinstance(result, LiquidationResult)
    assert result.way == "orders"
    assert result.reward > 0
    assert market.bob.order_status(bid)[0] == result.size
    low = market.bob.sign_order(0, True, D("0.15"), D(50_000))
    market.move("54000", seconds=300)
    text = refused(
        market.system, lambda: market.keeper.liquidate_with_orders(market.alice.number, 0, [low])
    )
    assert "none of the orders could be filled" in text


def test_a_flag_is_lifted_when_the_account_is_healthy_again(market):
    market.open()
    market.move("56000")
    market.keeper.flag(market.alice.number)
    text = refused(market.system, lambda: market.keeper.unflag(market.alice.number))
    assert "still below maintenance margin" in text
    market.move("60000")
    market.keeper.unflag(market.alice.number)
    assert not market.alice.view().flagged_at


def test_a_bankrupt_account_goes_down_the_waterfall(market):
    market.open()
    market.move("50000", seconds=600)
    assert market.alice.view().bankrupt
    assert "only a close-out helps" in refused(
        market.system, lambda: market.keeper.take_over(market.alice.number, 0)
    )
    before = FundView(market.system).sheet()
    result = market.keeper.liquidate(market.alice.number)
    assert isinstance(result, CloseOutResult)
    assert result.resolved and result.event_id == 1
    legs = (
        result.compartment,
        result.reserve,
        result.staked,
        result.backing,
        result.reinsurance,
        result.side_charged,
        result.recorded,
    )
    assert sum(legs) == result.deficit > 500
    after = FundView(market.system).sheet()
    assert after.compartments[0].assets < before.compartments[0].assets
    assert after.compartments[1].assets == before.compartments[1].assets
    assert after.total == after.tokens_held
    assert after.events == 1
    assert market.alice.view().positions == ()
    assert "is not bankrupt" in refused(
        market.system, lambda: market.keeper.close_out(market.alice.number)
    )


# --- views


def test_the_fund_sheet_is_the_deployments(market, parameters):
    sheet = FundView(market.system).sheet()
    assert (sheet.reserve, sheet.reserve_target) == (100_000, 250_000)
    assert [c.name for c in sheet.compartments] == ["BTC", "ETH"]
    assert sheet.total == 130_000 == sheet.tokens_held
    assert sheet.window_room == parameters.fund.engine.per_window
    assert sheet.compartments[0].room == 100_000


def test_a_market_shows_its_parameters_and_why_a_feed_is_not_used(market, parameters):
    view = Reader(market.system).market(1)
    assert view.parameters == parameters.markets[1].parameters
    assert view.liquidation == parameters.markets[1].liquidation
    assert [feed.problem for feed in view.feeds] == ["none", "none"]
    market.system.client.warp(3 * 3600)
    view = Reader(market.system).market(1)
    assert [feed.problem for feed in view.feeds] == ["stale", "stale"]
    assert view.index_validity == "invalid"
    assert view.index_price == 0


# --- over ape


def test_the_same_over_ape(networks, accounts, parameters, compiled):
    """Signed by ape's accounts, sent through ape's provider; the results are the same types."""
    deployer = AccountDeployer(accounts[9], networks.active_provider, compiled)
    system = deploy(parameters, deployer)
    alice, bob = Trader(system, accounts[11]), Trader(system, accounts[12])
    keeper = Keeper(system, accounts[13])
    for user in (alice, bob):
        system.token.mint.send(user.address, 10**12, sender=user.address)
    alice.deposit(D(1000))
    bob.deposit(D(100_000))
    text = refused(system, lambda: bob.fill(alice.sign_order(0, True, D("0.2"), D(60_000))))
    assert "deposit at least 203.04 mUSD" in text
    order = alice.sign_order(0, True, D("0.15"), D(60_000))
    assert bob.fill(order).filled == D("0.15")
    assert alice.order_status(order)[1] == "filled"
    system.set_price(0, D(50_000), deployer.address)
    system.client.warp(600)
    result = keeper.liquidate(alice.number)
    assert isinstance(result, CloseOutResult)
    assert result.deficit > 500
    assert FundView(system).sheet().events == 1
