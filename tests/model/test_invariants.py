"""Every invariant holds in an ordinary world, and fails in one that was broken on purpose."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest

from backstop.harness.duel import Duel
from backstop.harness.world import CAPS, UNIT, feed_answer
from backstop.model import invariants as inv, side_index
from backstop.model.engine_state import (
    FairWindow,
    MarketClaims,
    SideClaims,
    WindowRate,
    WindowRecord,
)
from backstop.model.errors import ModelError
from backstop.model.fixed_point import WAD
from backstop.model.fund import Legs, Receipt as FundReceipt
from backstop.model.liquidator import Receipt
from backstop.model.world import World

PRICE = 40_000 * WAD


@pytest.fixture
def duel() -> Duel:
    """Two accounts have a position of one base against each other in market 0."""
    duel = Duel()
    long, short = duel.accounts[0], duel.accounts[2]
    for account in (long, short, duel.accounts[-1]):
        duel.deposit(account, 5_000 * UNIT, account[:20], 1)
    signed = duel.sign(long, 0, True, WAD, PRICE, expiry=duel.world.now + 100)
    assert duel.fill(signed, short, WAD, short[:20], 1).error is None
    return duel


def set_price(duel: Duel, price: int) -> None:
    """The feeds of market 0 say so for long enough that the mark is there."""
    for which in (0, 1):
        answer = feed_answer(price * 10**8, which)
        duel.set_feed(0, which, answer, duel.world.now + 1 - which, 1 - which)
    for _ in range(3):
        duel.poke(0, 60)


def refuses(
    world: World,
    invariant: inv.Invariant,
    name: str,
    breaking: Callable[[], object],
    action: inv.Action | None = None,
) -> None:
    """The invariant holds before, and fails by its name after the world was broken."""
    before = inv.take(world)
    invariant(world, before, before, inv.Action("nothing"))
    breaking()
    after = inv.take(world)
    with pytest.raises(inv.InvariantBroken) as caught:
        invariant(world, before, after, action or inv.Action("something"))
    assert caught.value.name == name


def test_conservation_sees_tokens_that_the_fund_does_not_know_of(duel: Duel) -> None:
    world = duel.world
    refuses(
        world,
        inv.conservation,
        "CONSERVATION",
        lambda: world.token.mint(world.addresses.fund, 1),
    )


def test_conservation_sees_collateral_without_tokens(duel: Duel) -> None:
    engine = duel.world.engine
    refuses(
        duel.world,
        inv.conservation,
        "CONSERVATION",
        lambda: engine._add_collateral(duel.accounts[0], 10**6),
    )


def test_conservation_sees_what_gets_lost(duel: Duel) -> None:
    engine = duel.world.engine
    refuses(
        duel.world,
        inv.conservation,
        "CONSERVATION",
        lambda: engine._add_collateral(duel.accounts[0], -(10**8)),
    )


def test_zero_sum_sees_a_position_without_a_counterpart(duel: Duel) -> None:
    positions = duel.world.engine.tables.positions
    key = (duel.accounts[0], 0)

    def grow() -> None:
        positions[key] = positions[key]._replace(basis=positions[key].basis + 1)

    refuses(duel.world, inv.zero_sum, "ZERO_SUM", grow)


def test_zero_sum_sees_longs_above_shorts(duel: Duel) -> None:
    tables = duel.world.engine.tables
    key = (duel.accounts[0], 0)

    def grow_both() -> None:
        tables.positions[key] = tables.positions[key]._replace(basis=WAD + 1)
        long, short = tables.markets[0].sides
        tables.markets[0] = tables.markets[0]._replace(sides=(long._replace(basis=WAD + 1), short))

    refuses(duel.world, inv.zero_sum, "ZERO_SUM", grow_both)


def test_no_mint_sees_a_fraction_of_a_wei(duel: Duel) -> None:
    tables = duel.world.engine.tables

    def credit() -> None:
        long, short = tables.markets[0].sides
        tables.markets[0] = tables.markets[0]._replace(sides=(long._replace(K=long.K + 1), short))

    refuses(duel.world, inv.no_mint, "NO_MINT", credit)


def test_flat_untouched_sees_who_pays_for_others(duel: Duel) -> None:
    engine = duel.world.engine

    def rob() -> None:
        engine._add_collateral(duel.accounts[-1], -1)
        engine._add_collateral(duel.accounts[0], 1)

    action = inv.Action("deposit", frozenset({duel.accounts[0]}))
    refuses(duel.world, inv.flat_untouched, "FLAT_UNTOUCHED", rob, action)


def test_a_failed_action_may_not_use_up_a_nonce(duel: Duel) -> None:
    used = duel.world.settlement.used
    action = inv.Action("fill", error=ModelError("OutsideBand"))
    refuses(
        duel.world,
        inv.unchanged_after_error,
        "ATOMIC",
        lambda: used.update({(duel.accounts[0], 77): True}),
        action,
    )


def test_monotone_time_sees_a_flag_that_starts_over(duel: Duel) -> None:
    world = duel.world
    world.engine.set_flag(duel.accounts[0], True)
    world.advance(10)
    refuses(
        world,
        inv.monotone_time,
        "MONOTONE_TIME",
        lambda: world.engine.set_flag(duel.accounts[0], True),
    )


def test_monotone_time_sees_a_mark_of_the_past(duel: Duel) -> None:
    markets = duel.world.engine.tables.markets

    def back() -> None:
        old = markets[0].mark
        markets[0] = markets[0]._replace(mark=old._replace(time=old.time - 1))

    refuses(duel.world, inv.monotone_time, "MONOTONE_TIME", back)


def fund_call(world: World, wanted: int, legs: Legs, market: int = 0) -> inv.FundCall:
    receipt = FundReceipt(1, (legs,), 0)
    return inv.FundCall(copy.deepcopy(world.fund), [(market, wanted)], 0, receipt, world.now)


def test_waterfall_order_sees_a_reserve_before_the_compartment(duel: Duel) -> None:
    action = inv.Action("closeOut", covers=[fund_call(duel.world, 100, Legs(0, 100))])
    refuses(duel.world, inv.waterfall_order, "WATERFALL_ORDER", lambda: None, action)


def test_waterfall_order_sees_stakers_before_the_reserve(duel: Duel) -> None:
    have = duel.world.fund.market(duel.world.claimant, 0).balance
    legs = Legs(have, 0, 100)
    action = inv.Action("closeOut", covers=[fund_call(duel.world, have + 100, legs)])
    refuses(duel.world, inv.waterfall_order, "WATERFALL_ORDER", lambda: None, action)


def test_waterfall_order_sees_a_charge_past_a_willing_fund(duel: Duel) -> None:
    receipt = Receipt(1, 10**18, 0, 0, 0, 0, side_charged=10**18)
    action = inv.Action("closeOut", result=receipt, covers=[fund_call(duel.world, 100, Legs(100))])
    refuses(duel.world, inv.waterfall_order, "WATERFALL_ORDER", lambda: None, action)


def test_receipt_exact_sees_a_missing_wei(duel: Duel) -> None:
    action = inv.Action("closeOut", result=Receipt(1, 10, recorded=9))
    refuses(duel.world, inv.receipt_exact, "RECEIPT_EXACT", lambda: None, action)


def test_draw_limits_sees_a_draw_above_the_claim_limit(duel: Duel) -> None:
    legs = Legs(0, 35_000 * UNIT)
    action = inv.Action("closeOut", covers=[fund_call(duel.world, 35_000 * UNIT, legs)])
    refuses(duel.world, inv.draw_limits, "DRAW_LIMITS", lambda: None, action)


def test_draw_limits_sees_a_draw_above_the_market_limit(duel: Duel) -> None:
    legs = Legs(0, 15_000 * UNIT)
    action = inv.Action("closeOut", covers=[fund_call(duel.world, 15_000 * UNIT, legs, 1)])
    refuses(duel.world, inv.draw_limits, "DRAW_LIMITS", lambda: None, action)


def test_compartment_isolation_sees_the_wrong_compartment(duel: Duel) -> None:
    world = duel.world

    def take_from_market_1() -> None:
        world.fund.markets[world.claimant, 1].balance -= 1

    action = inv.Action("closeOut", covers=[fund_call(world, 1, Legs(1), 0)])
    refuses(world, inv.compartment_isolation, "COMPARTMENT_ISOLATION", take_from_market_1, action)


def test_compartment_isolation_sees_the_wrong_income(duel: Duel) -> None:
    markets = duel.world.engine.tables.markets

    def take() -> None:
        income = markets[1].income
        markets[1] = markets[1]._replace(income=income._replace(fund=income.fund - 1))

    action = inv.Action("closeOut", victim=duel.accounts[0])
    refuses(duel.world, inv.compartment_isolation, "COMPARTMENT_ISOLATION", take, action)


def test_no_free_liquidation_sees_a_healthy_victim(duel: Duel) -> None:
    victim = duel.accounts[0]
    action = inv.Action(
        "deleverage", victim=victim, touched=duel.world.engine.account_state(victim)
    )
    refuses(duel.world, inv.no_free_liquidation, "NO_FREE_LIQUIDATION", lambda: None, action)


def test_no_free_liquidation_sees_health_that_falls(duel: Duel) -> None:
    set_price(duel, 36_000)
    victim = duel.accounts[0]
    now = duel.world.engine.account_state(victim)
    assert 0 < now.equity < now.maintenance_margin
    action = inv.Action("takeOver", victim=victim, touched=replace(now, equity=now.equity + 3))
    refuses(duel.world, inv.no_free_liquidation, "NO_FREE_LIQUIDATION", lambda: None, action)


def test_no_free_liquidation_sees_self_dealing_that_pays(duel: Duel) -> None:
    set_price(duel, 36_000)
    victim, keeper = duel.accounts[0], duel.accounts[-1]
    now = duel.world.engine.account_state(victim)
    action = inv.Action(
        "takeOver",
        victim=victim,
        keeper=keeper,
        touched=now,
        keeper_equity=duel.world.engine.account_state(keeper).equity - 10**6,
    )
    refuses(duel.world, inv.no_free_liquidation, "NO_FREE_LIQUIDATION", lambda: None, action)


def test_backstop_caps_sees_inventory_beyond_a_cap(duel: Duel) -> None:
    world = duel.world
    world.deploy_inventory(0, 2**255)
    before = inv.take(world)
    ours = before.inventory[0]
    cap = CAPS[0].notional * world.engine.scale
    for size, equity, room in (
        ((cap + 10**15) // 40_000, 15_000 * WAD, 15_000 * WAD),
        (WAD, 3_900 * WAD, 6_000 * WAD),  # 40,000 at 10 % need 4,000, of both
        (-WAD, 15_000 * WAD, 3_900 * WAD),
    ):
        grown = replace(ours, mark_price=40_000 * WAD, size=size, equity=equity, room=room)
        after = replace(before, inventory={**before.inventory, 0: grown})
        with pytest.raises(inv.InvariantBroken, match="BACKSTOP_CAPS"):
            inv.backstop_caps(world, before, after, inv.Action("liquidateToBackstop"))
    fits = replace(ours, mark_price=40_000 * WAD, size=WAD, equity=15_000 * WAD, room=6_000 * WAD)
    inv.backstop_caps(
        world,
        before,
        replace(before, inventory={**before.inventory, 0: fits}),
        inv.Action("liquidateToBackstop"),
    )


def test_backstop_caps_sees_a_sale_that_leaves_less(duel: Duel) -> None:
    world = duel.world
    before = inv.take(world)
    held = replace(
        before.inventory[0], size=2 * WAD, mark_price=WAD, equity=100 * WAD, room=100 * WAD
    )
    sold = replace(held, size=WAD, equity=49 * WAD)
    was = replace(before, inventory={0: held})
    now = replace(before, inventory={0: sold})
    with pytest.raises(inv.InvariantBroken, match="BACKSTOP_CAPS"):
        inv.backstop_caps(world, was, now, inv.Action("buyInventory"))
    fair = replace(before, inventory={0: replace(sold, equity=50 * WAD)})
    inv.backstop_caps(world, was, fair, inv.Action("buyInventory"))


@pytest.mark.parametrize("price", [36_000, 34_000])
def test_liveness_sees_an_account_that_nobody_can_close(
    duel: Duel, price: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_price(duel, price)
    world = duel.world

    def refuse(*_: object) -> int:
        raise ModelError("Panic", 0x11)

    refuses(
        world,
        inv.liveness,
        "LIVENESS",
        lambda: monkeypatch.setattr(world.engine, "deleverage", refuse),
    )


def test_looking_ahead_changes_nothing(duel: Duel) -> None:
    set_price(duel, 34_000)
    world, victim, keeper = duel.world, duel.accounts[0], duel.accounts[-1]
    before = inv.take(world)
    seen = inv.look_ahead(world, lambda: world.close_out(victim, keeper, False, caller=b""))
    assert isinstance(seen, Receipt) and seen.deficit > 0
    assert inv.take(world) == before


def test_fair_window_sees_claims_that_nobody_waits_for(duel: Duel) -> None:
    tables = duel.world.engine.tables

    def claim() -> None:
        tables.market_claims[0] = MarketClaims(claims=1)

    refuses(duel.world, inv.fair_window, "FAIR_WINDOW", claim)


def test_fair_window_sees_a_pot_that_lacks_what_is_owed(duel: Duel) -> None:
    tables = duel.world.engine.tables
    tables.window_rates[1, 0] = WindowRate(paid=1, claims=2)
    tables.market_claims[0] = MarketClaims(pot=7)
    key = (duel.accounts[0], 0, 1)
    tables.window_records[key] = WindowRecord(left=10, joined=4)

    def claim_more() -> None:
        tables.window_records[key] = WindowRecord(left=11, joined=4)

    refuses(duel.world, inv.fair_window, "FAIR_WINDOW", claim_more)


def test_fair_window_sees_a_side_that_claims_more_than_it_was_charged(duel: Duel) -> None:
    tables = duel.world.engine.tables
    tables.fair_window[0] = FairWindow(1, duel.world.now + 60, 1, 5)
    tables.market_claims[0] = MarketClaims(claims=5, side=5)
    tables.side_claims[0, 0] = SideClaims(C=5 * side_index.ONE, window=1)

    def claim_more() -> None:
        tables.side_claims[0, 0] = SideClaims(C=5 * side_index.ONE + 10**4, window=1)

    refuses(duel.world, inv.fair_window, "FAIR_WINDOW", claim_more)
