"""What stakers do in random play: they join, ask for it back, wait, claim, and hand shares on.

Also who brings money for them: income, and what comes back after an event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from backstop.harness.players import Player

_SHARE: Final = 1_000
"""Shares for one unit of the token at the start of a series."""


def staker(player: Player) -> None:
    """One action of a staker; exits under way are claimed, and what was lost may come back."""
    if player.duel.world.fund.recoveries and player.choose.chance(40):
        recover(player)
    elif _requests(player) and player.choose.chance(50):
        player.choose.pick(EXITS)(player)
    else:
        player.choose.pick(ACTIONS)(player)


def join(player: Player) -> None:
    """Somebody stakes so many assets, or for so many shares."""
    caller = player.choose.pick(player.duel.owners)
    if player.choose.chance(70):
        player.duel.stake(player.assets(), caller, player.delay())
    else:
        player.duel.mint_stake(player.assets() * _SHARE, caller, player.delay())


def ask(player: Player) -> None:
    """Somebody asks for stake back: all of it, a part, rarely more than it has or for another."""
    choose, duel = player.choose, player.duel
    tranche = duel.world.fund.staking
    held = {who: tranche.balance_of("0x" + who.hex()) for who in duel.owners}
    owners = [who for who, shares in held.items() if shares]
    caller = choose.pick(owners) if owners and not choose.chance(3) else choose.pick(duel.owners)
    controller = choose.pick(duel.owners) if choose.chance(10) else caller
    shares = held[caller]
    if choose.chance(50):
        shares = choose.pick([shares // 2, shares // 3, shares // 10, 1, shares + 1, 0])
    duel.request_redeem(shares, controller, caller, player.delay())


def claim(player: Player) -> None:
    """Somebody wants what it asked for, mostly as soon as the bucket has matured."""
    choose, duel = player.choose, player.duel
    tranche, requests = duel.world.fund.staking, _requests(player)
    if not requests:
        return ask(player)
    caller, request = choose.pick(requests)
    delay = player.delay()
    if not tranche.is_fixed(request, player.now) and choose.chance(45):
        delay = max(delay, tranche.claimable_at(request) - player.now)
        delay += choose.pick([0, 0, 0, 1, -1])
    kind = choose.integer(0, 9)
    if kind < 6:
        duel.claim_stake(request, caller, max(0, delay))
    elif kind < 8:
        shares = tranche.requested("0x" + caller.hex(), request)
        shares = choose.pick([shares, shares // 2, shares + 1, 1])
        duel.redeem_stake(shares, caller, max(0, delay))
    else:
        assets = tranche.bucket(request).assets
        duel.withdraw_stake(choose.pick([assets, assets // 3, 1]), caller, max(0, delay))


def hand_on(player: Player) -> None:
    """Shares go from one to another."""
    choose, duel = player.choose, player.duel
    caller, to = choose.pick(duel.owners), choose.pick(duel.owners)
    held = duel.world.fund.staking.balance_of("0x" + caller.hex())
    shares = choose.pick([held, held // 2, held // 7, held + 1])
    duel.transfer_stake(to, shares, caller, player.delay())


def give(player: Player) -> None:
    """Somebody gives the stakers income."""
    caller = player.choose.pick(player.duel.owners)
    player.duel.fund_stakers(player.assets(), caller, player.delay())


def hold(player: Player) -> None:
    """Exits are kept from maturing: by its role, or because a deficit is open."""
    if player.choose.chance(40):
        player.duel.hold_maturity(player.delay())
        return
    engine = player.duel.world.engine
    open_ = [market for market in engine.tables.markets if engine.open_deficit(market)]
    market = player.choose.pick(open_) if open_ else player.market()
    caller = player.choose.pick(player.duel.owners)
    player.duel.report_shortfall(market, caller, player.delay())


def recover(player: Player) -> None:
    """Money comes back for an event, or a holder collects what has come back for a loss."""
    choose, duel = player.choose, player.duel
    fund, caller = duel.world.fund, player.choose.pick(player.duel.owners)
    returned = sorted(fund.staking.returned)
    if returned and choose.chance(60):
        era, part = choose.pick(returned)
        holders = [
            who
            for who in duel.owners
            if fund.staking.collectable("0x" + who.hex(), era, part) and choose.chance(95)
        ]
        holder = choose.pick(holders or duel.owners)
        duel.collect(holder, era, part, caller, player.delay())
        return
    events = sorted(fund.recoveries)
    event = choose.pick(events) if events and not choose.chance(5) else choose.integer(0, 3)
    left = fund.recoveries[event].open if event in fund.recoveries else 1
    duel.recover(event, choose.pick([left, left // 2, left // 3, left + 1]), caller, player.delay())


def _requests(player: Player) -> list[tuple[bytes, int]]:
    """Who has asked for something in which bucket and has not got it yet."""
    tranche = player.duel.world.fund.staking
    return [
        (who, number)
        for who in player.duel.owners
        for number in tranche.buckets
        if tranche.requested("0x" + who.hex(), number)
    ]


ACTIONS: Final[Sequence[Callable[[Player], None]]] = (
    *[join] * 5,
    *[ask] * 6,
    *[claim] * 3,
    *[hand_on] * 2,
    *[give] * 1,
    *[hold] * 1,
    *[recover] * 1,
)

EXITS: Final[Sequence[Callable[[Player], None]]] = (*[ask] * 2, *[claim] * 6)
