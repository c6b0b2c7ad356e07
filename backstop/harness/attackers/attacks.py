"""The attacks: what is tried, with which parameters, and what may come of it.

An attack is a function of a `Play` and of numbers that the search chooses. Prices are part of the
numbers: the attacker knows what the market will do, which is more than any real one does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from backstop.harness.attackers.arena import DAY, HONEST_STAKE, LONG, SHORT, UNIT
from backstop.harness.attackers.play import Play, Result

Numbers = Mapping[str, float]

BTC: Final = 60_000.0
ETH: Final = 3_000.0
WEEK: Final = 7 * DAY
CHECK: Final = 12
"""Seconds between two looks of an honest keeper: `check_interval` of the parameters."""
EARLIER_INCOME: Final = 300
"""More than what streams to the stakers when an attack begins, whole tokens."""
INVENTORY_LOSS: Final = 5_000
"""`backstop.loss` of the parameters: what the inventory may lose until governance resets it."""


def of_free_profit(result: Result, numbers: Numbers) -> int:
    """The profit that honest people did not lose."""
    return result.free


def of_profit(result: Result, numbers: Numbers) -> int:
    """All of the profit: nobody honest has anything to lose here."""
    return result.profit


def of_saved_loss(result: Result, numbers: Numbers) -> int:
    """What the attacker's stake kept above its fair part of the loss."""
    mine, theirs = result.stakes
    return mine - int(numbers["stake"] * UNIT) * theirs // (HONEST_STAKE * UNIT)


@dataclass(frozen=True)
class Attack:
    """One idea.

    Attributes:
        name: of the row in the table.
        about: what is tried, one sentence.
        space: lowest and highest value of every number.
        build: turns numbers into steps.
        fund_pays: the fund pays deficits here by design: keepers are absent, or honest people go
            bankrupt. Elsewhere nothing may come out of it.
        allowed: profit that is due without honest losses, whole tokens.
        score: what is searched for and bounded, WAD.
        inventory_loss: what the inventory may lose, whole tokens.
        subs: how many of the attacker's accounts are counted.
        starts: numbers to begin with: what earlier searches found.
    """

    name: str
    about: str
    space: Mapping[str, tuple[float, float]]
    build: Callable[[Play, Numbers], None]
    fund_pays: bool = False
    allowed: Callable[[Numbers], float] = lambda numbers: 0.0
    score: Callable[[Result, Numbers], int] = of_free_profit
    inventory_loss: int = 0
    subs: int = 24
    starts: tuple[Numbers, ...] = ()


def _open_pair(play: Play, n: Numbers, long: int = 0, short: int = 1) -> None:
    """Two accounts of the attacker trade with each other off the index."""
    size, price = n["base"], BTC * (1 + n["off"])
    play.deposit(long, size * BTC * n["margin_long"])
    play.deposit(short, size * BTC * n["margin_short"])
    play.trade(play.arena.mine(long), play.arena.mine(short), size, price)


def _bring_both(play: Play) -> None:
    for sub in (0, 1):
        play.close_out(play.arena.mine(sub), 2)
        for long in (True, False):
            play.take_over(play.arena.mine(sub), 2, long)


PAIR: Final = {
    "base": (0.1, 60),
    "off": (-0.05, 0.05),
    "margin_long": (0.1, 0.4),
    "margin_short": (0.1, 0.4),
    "move": (-0.19, 0.19),
    "seconds": (12, 240),
}


def matched_pair(play: Play, n: Numbers) -> None:
    """A and B trade with each other, the price jumps, one of them cannot pay."""
    play.deposit(2, 500_000)
    _open_pair(play, n)
    play.fall(BTC * (1 + n["move"]), int(n["seconds"]), CHECK, (0, 1))
    _bring_both(play)


def matched_pair_alone(play: Play, n: Numbers) -> None:
    """The same while no keeper looks for as long as it takes."""
    play.deposit(2, 500_000)
    _open_pair(play, n)
    play.fall(BTC * (1 + n["move"]), int(n["seconds"]), 0, ())
    _bring_both(play)


def matched_pair_slow(play: Play, n: Numbers) -> None:
    """The same with a keeper that takes one step of a liquidation at a look, whatever the size."""
    play.keepers_steps = 1
    matched_pair(play, n)


def lagging_mark(play: Play, n: Numbers) -> None:
    """The index has jumped, the mark follows slowly: A and B trade at the new price meanwhile."""
    play.deposit(2, 500_000)
    play.wait(int(n["lead"]))
    first = BTC * (1 + n["jump"])
    play.index(0, first)
    play.deposit(0, n["base"] * BTC * n["margin_long"])
    play.deposit(1, n["base"] * BTC * n["margin_short"])
    play.trade(play.arena.mine(0), play.arena.mine(1), n["base"], first * (1 + n["off"]))
    for sub in (0, 1):
        play.withdraw(sub, n["base"] * BTC * n["out"])
    play.fall(first * (1 + n["move"]), int(n["seconds"]), CHECK, (0, 1))
    _bring_both(play)


def shattered(play: Play, n: Numbers) -> None:
    """A position in k accounts, each liquidated by the attacker's own keeper account: rewards."""
    count = int(n["accounts"])
    play.deposit(20, 400_000)
    play.deposit(21, 400_000)
    size = n["base"] / count
    for sub in range(count):
        play.deposit(sub, size * BTC * n["margin"])
        play.trade(play.arena.mine(sub), play.arena.mine(20), size, BTC)
    play.fall(BTC * (1 - n["move"]), int(n["seconds"]), 0, ())
    for sub in range(count):
        play.take_over(play.arena.mine(sub), 21, True)
        play.close_out(play.arena.mine(sub), 21)


def flash_stake(play: Play, n: Numbers) -> None:
    """Stake, let income in, ask to leave: all in one block."""
    s, me = play.arena.system, play.arena.attacker.address
    shares = play.stake(n["stake"])
    play.as_owner(s.fund, "fundStakers", int(n["income"] * UNIT))
    play.as_owner(s.engine, "sweepFees", 0)
    play.leave(shares)
    play.wait(WEEK * 4)
    play.as_mine(s.tranche, "claim", 1, me, me)


def just_in_time_stake(play: Play, n: Numbers) -> None:
    """Stake right before income and stay for a part of the stream."""
    shares = play.stake(n["stake"])
    play.as_owner(play.arena.system.fund, "fundStakers", int(n["income"] * UNIT))
    play.wait(int(n["days"] * DAY))
    play.leave(shares)


def share_of_stream(n: Numbers) -> float:
    """Its part of the stake for the time it was there, and what was promised before."""
    share = n["stake"] / (n["stake"] + HONEST_STAKE)
    return (n.get("income", 0) + EARLIER_INCOME) * share * min(1.0, n["days"] / 7) + 0.1


def _ruin_honest(play: Play, n: Numbers) -> None:
    """An honest long with little margin, and a fall that is faster than the keeper."""
    a, s = play.arena, play.arena.system
    size, account = n["base"], a.theirs(2)
    assets = int(size * BTC * 0.16 * UNIT)
    play.add(s.engine, "deposit", account, assets, sender=a.honest.address)
    play.trade(account, a.theirs(SHORT), size, BTC)
    for _ in range(3):
        play.wait(60)
        play.index(0, BTC * 0.81)


def exit_before_recognition(play: Play, n: Numbers) -> None:
    """A staker sees a bankrupt account that nobody has closed, and asks to leave before it is."""
    shares = play.stake(n["stake"])
    _ruin_honest(play, n)
    play.leave(int(shares * n["part"]))
    play.wait(int(n["delay"]))
    play.index(0, BTC * 0.81)
    play.close_out(play.arena.theirs(2), 2)


def nudged_oracle(play: Play, n: Numbers) -> None:
    """One of the two feeds is the attacker's: it lies inside the allowed deviation."""
    play.deposit(2, 500_000)
    _open_pair(play, n)
    for sign in (1, -1, 1):
        for _ in range(int(n["ticks"])):
            play.wait(CHECK)
            play.index(0, BTC, BTC * (1 + sign * n["lie"]))
            play.keepers_look((0, 1))
    _bring_both(play)


def withdrawn_to_the_edge(play: Play, n: Numbers) -> None:
    """A withdraws to the last unit, is liquidated, and the attacker's other account takes over."""
    play.deposit(2, 500_000)
    size = n["base"]
    play.deposit(0, size * BTC * 0.3)
    play.deposit(1, size * BTC * 0.3)
    play.trade(play.arena.mine(0), play.arena.mine(1), size, BTC)
    for part in (0.19, 0.185, 0.18, 0.16, 0.1, 0.02, 0.01):
        play.withdraw(0, size * BTC * part * n["greed"])
    play.fall(BTC * (1 - n["move"]), int(n["seconds"]), 0, ())
    play.take_over(play.arena.mine(0), 2, True)
    play.close_out(play.arena.mine(0), 2)


def cornered(play: Play, n: Numbers) -> None:
    """A hundred accounts take a thin market to its cap and push its premium."""
    a, count = play.arena, 100
    size = n["base"] / count
    play.deposit(100, 1_000_000)
    for sub in range(count):
        play.deposit(sub, size * ETH * n["margin"])
        play.trade(a.mine(sub), a.mine(100), size, ETH * (1 + n["premium"]), 1)
    for _ in range(int(n["hours"] * 2)):
        play.wait(1_800)
        play.index(1, ETH)
        play.trade(a.mine(0), a.mine(100), 0.01, ETH * (1 + n["premium"]), 1)
    for sub in range(count):
        play.trade(a.mine(100), a.mine(sub), size, ETH * (1 - n["premium"]), 1)


def fair_windows(play: Play, n: Numbers) -> None:
    """Two bankrupt accounts in a window; a third one of the attacker joins the side in between."""
    s = play.arena.system
    play.as_owner(s.engine, "setFairWindow", 0, 15)
    play.deposit(2, 500_000)
    _open_pair(play, n)
    play.fall(BTC * (1 + n["move"]), int(n["seconds"]), 0, ())
    price = BTC * (1 + n["move"])
    play.trade(play.arena.mine(2), play.arena.theirs(SHORT), n["join"], price)
    for _ in range(2):  # the second time for a window that the first close-outs opened late
        _bring_both(play)
        play.wait(16 * 60)
        play.index(0, price)
        play.bring_all()
        play.as_mine(s.engine, "closeFairWindow")
        for sub in range(3):
            for window in (1, 2):
                play.as_mine(s.engine, "collectWindow", play.arena.mine(sub), 0, window)
        for tag in range(4):
            play.as_mine(s.engine, "repayEnded", 0, tag)


def better_terms(play: Play, n: Numbers) -> None:
    """A large stake lifts the solvency ratio, surcharges fall: the attacker is liquidated."""
    s, me = play.arena.system, play.arena.attacker.address
    play.as_mine(s.tranche, "deposit", int(n["stake"] * UNIT), me)
    play.as_mine(s.fund, "noteSolvency")
    play.wait(int(n["days"] * DAY))
    play.index(0, BTC)
    play.as_mine(s.fund, "noteSolvency")
    play.as_mine(s.engine, "followFund", 0)
    matched_pair(play, n)


def inventory(play: Play, n: Numbers) -> None:
    """A toxic position is left to the backstop's inventory and bought back in its auction."""
    s = play.arena.system
    play.deposit(2, 500_000)
    _open_pair(play, n)
    first = BTC * (1 + n["move"])
    play.fall(first, int(n["seconds"]), 0, ())
    victim = play.arena.mine(0 if n["move"] < 0 else 1)
    play.as_mine(s.liquidator, "flag", victim)
    play.wait(301)
    play.index(0, first)
    play.as_mine(s.liquidator, "liquidateToBackstop", victim, 0, play.arena.mine(2))
    play.fall(first * (1 + n["after"]), int(n["auction"]), 0, ())
    limit = 2**255 if n["move"] < 0 else 0
    play.as_mine(s.liquidator, "buyInventory", 0, play.arena.mine(2), 2**255, limit)
    play.as_mine(s.liquidator, "unwindInventory", 0, play.arena.mine(2))
    _bring_both(play)


def recoveries(play: Play, n: Numbers) -> None:
    """Money for a past loss of the stakers comes back: stake and transfer to get more of it."""
    a, s, me = play.arena, play.arena.system, play.arena.attacker.address
    early, late = int(n["early"] * UNIT), int(n["late"] * UNIT)
    play.as_mine(s.tranche, "deposit", early, me)
    play.as_owner(s.fund, "setClaimant", a.owner, (10**15, 10**15, DAY))
    play.as_owner(s.fund, "setClaimantMarket", a.owner, 0, (0, 10**15))
    loss = int((100_000 + n["loss"]) * UNIT)
    play.as_owner(s.fund, "cover", bytes(32), [(0, loss)], 0)
    recorded = play.so_far()[-1].one("ReceiptRecorded")
    play.as_mine(s.tranche, "requestRedeem", int(early * 1_000 * n["left"]), me, me)
    play.as_mine(s.tranche, "deposit", late, me)
    play.as_mine(s.tranche, "transfer", a.mine(1)[:20], int(early * 1_000 * n["moved"]))
    play.as_owner(s.fund, "recover", recorded.eventId, recorded.receipt, int(n["loss"] * UNIT))
    for who in (me, a.mine(1)[:20], a.honest.address):
        for part in (0, 1):
            play.as_mine(s.tranche, "collect", who, 1, part)


def sandwiched_stake(play: Play, n: Numbers) -> None:
    """Stake ahead of a stake of somebody else, or right behind it, and ask to leave after it."""
    a, s = play.arena, play.arena.system
    shares = play.stake(n["stake"])
    theirs = int(n["victim"] * UNIT)
    play.as_owner(s.token, "transfer", s.tranche.address, int(n["gift"] * UNIT))
    play.as_owner(s.token, "transfer", s.fund.address, int(n["gift"] * UNIT))
    play.add(s.tranche, "deposit", theirs, a.honest.address, sender=a.honest.address)
    play.leave(shares)
    play.wait(WEEK * 4)
    play.as_mine(s.tranche, "claim", 1, a.attacker.address, a.attacker.address)


def front_run(play: Play, n: Numbers) -> None:
    """A sandwich: trade, liquidate an honest account, trade back, in one block."""
    a, s = play.arena, play.arena.system
    play.deposit(2, 1_000_000)
    play.deposit(3, 1_000_000)
    account, size = a.theirs(2), n["base"]
    assets = int(size * BTC * 0.16 * UNIT)
    play.add(s.engine, "deposit", account, assets, sender=a.honest.address)
    play.trade(account, a.theirs(SHORT), size, BTC)
    play.wait(120)
    play.index(0, BTC * (1 - n["move"]))
    price = BTC * (1 - n["move"]) * (1 + n["off"])
    play.trade(a.mine(3), a.mine(2), n["pushed"], price)
    play.take_over(account, 2, True)
    play.close_out(account, 2)
    play.trade(a.mine(2), a.mine(3), n["pushed"], BTC * (1 - n["move"]) * (1 - n["off"]))


def against_people(play: Play, n: Numbers) -> None:
    """Positions against honest people with a future that is known: what they lose is the most."""
    a = play.arena
    play.deposit(0, n["base"] * BTC * n["margin_long"])
    play.trade(a.mine(0), a.theirs(SHORT if n["move"] > 0 else LONG), n["base"], BTC * 1.001)
    play.fall(BTC * (1 + n["move"]), int(n["seconds"]), CHECK, (0,))
    play.trade(a.theirs(LONG), a.mine(0), n["base"], BTC * (1 + n["move"]))
    play.withdraw(0, n["base"] * BTC * abs(n["move"]))
