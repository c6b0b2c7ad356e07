"""Settings that tests in several folders start from."""

from __future__ import annotations

from collections.abc import Sequence

from backstop.harness.fund import FundWorld

UNIT = 10**6
DAY = 86_400
WEEK = 7 * DAY
COOLDOWN = 14 * DAY
BIG = 10**15

CAPS = {
    "capital": 1_000 * UNIT,
    "notional": 5_000 * UNIT,
    "auctionTime": 1_000,
    "loss": 400 * UNIT,
    "marginPpm": 200_000,
    "premiumPpm": 5_000,
    "maxDiscountPpm": 5_000,
}
"""Of the backstop inventory in one market."""


def open_to(world: FundWorld, people: Sequence[str]) -> None:
    """The first of them is a claimant with markets 1 and 2; all have money; an epoch has begun."""
    world.fund.setClaimant(people[0], (BIG, BIG, DAY), sender=world.owner)
    for market in (1, 2):
        world.fund.setClaimantMarket(people[0], market, (BIG, BIG), sender=world.owner)
    for who in people:
        world.give(who, BIG)
    world.tranche.setTerms(BIG, COOLDOWN, sender=world.owner)
    # the same point of the week in every test
    world.client.set_next_timestamp((world.client.timestamp // WEEK + 2) * WEEK)
    world.client.mine()
