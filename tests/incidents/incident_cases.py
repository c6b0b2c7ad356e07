"""Numbers and short words that the replays share."""

from __future__ import annotations

from typing import Any

from backstop.harness.bench import WAD, Bench
from backstop.harness.fund import FundWorld
from backstop.harness.rpc import Reverted

ANY = 2**255
SHARES = 1_000
"""Shares of a unit of stake at the start."""
ACCOUNT = b"\x11" * 32
"""Whose deficit it is, in replays against the fund alone."""
KEEPER = 4
FREE = {"makerFeePpm": 0, "takerFeePpm": 0, "rewardPpm": 0}
"""A market without fees, so that amounts can be followed by hand."""
LAYERS = ("compartment", "reserve", "staked", "backing", "reinsurance")


def refused(call: Any) -> str:
    """Name of the error that a call ends with; fails if it succeeds."""
    try:
        call()
    except Reverted as error:
        return str(error.name)
    raise AssertionError("the attack went through: nothing reverted")


def legs(receipt: Any) -> dict[str, int]:
    """A close-out's receipt by layer; RECEIPT_EXACT is checked on the way."""
    found = {name: int(getattr(receipt, name)) for name in (*LAYERS, "sideCharged", "recorded")}
    assert sum(found.values()) == receipt.deficit
    return found


def close_out(bench: Bench, user: int = 1, sub: int = 0, keeper: int = KEEPER) -> Any:
    """The receipt of a close-out by the keeper, positions torn up."""
    sent = bench.liquidator.closeOut(
        bench.account(user, sub), bench.account(keeper), False, sender=bench.users[keeper]
    )
    return sent.one("ShortfallResolved").receipt


def take_over(bench: Bench, base: int = ANY, user: int = 1, keeper: int = KEEPER) -> Any:
    """The step by which the keeper takes over part of a long."""
    sent = bench.liquidator.takeOver(
        *(bench.account(user), 0, bench.account(keeper), base, ANY), sender=bench.users[keeper]
    )
    return sent.one("Liquidated")


def pair(bench: Bench) -> None:
    """User 1 is long 20 at 100 with 200 of equity, user 2 is short with plenty."""
    bench.set_market(**FREE)
    for user, tokens in ((1, 200), (2, 100_000), (KEEPER, 100_000)):
        bench.deposit(user, tokens)
    bench.trade(1, 2, 20, 100)


def bankrupt(bench: Bench, price: int = 88) -> None:
    """Takes the pair's long below zero: 40 of deficit at 88."""
    bench.price(price, wait=300)
    assert bench.state(1).equity == (200 - 20 * (100 - price)) * WAD


def no_shared_draws(bench: Bench) -> None:
    """The engine may draw nothing of the layers beyond the compartments."""
    limits = {"perClaim": 0, "perWindow": 0, "window": 1}
    bench.fund.setClaimant(bench.engine.address, limits, sender=bench.owner)


def lose(world: FundWorld, claimant: Any, *claims: tuple[int, int], reward: int = 0) -> Any:
    """A deficit that the claimant brings; (market, assets) each."""
    return world.fund.cover(ACCOUNT, list(claims), reward, sender=claimant)


def paid(receipt: Any) -> int:
    """What the fund paid of all claims of an event."""
    return sum(sum(event.legs) for event in receipt.find("Covered"))


def held(world: FundWorld, who: Any) -> int:
    """Tokens of an account."""
    return int(world.token.balanceOf(who.address))
