"""Further steps of the same accounts in the same block.

A step of the liquidator takes at most `max_step`, and of one market; nothing in the contracts makes
the next one wait. So a position that needs many is dealt with at once: the transactions so far and
the next one are tried in a row (`eth_simulateV1`), and what they would leave of the account, of the
keeper's own and of the fund's is what the step after it is decided on. Transactions of one sender
are mined in the order of their nonces, so the steps come in theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from backstop.keeper.act import Actor
from backstop.keeper.case import Offer
from backstop.keeper.pending import Bound, Intent
from backstop.keeper.trial import After, Unable, in_a_row
from backstop.keeper.watch import Sight
from backstop.keeper.ways import WAYS, Choice, Way, take_over

_TOGETHER: Final = 10
"""Accounts whose steps are tried with one request."""


class Choose(Protocol):
    """The choice for an account that `after` shows, where others bind so much."""

    def __call__(self, after: After, sight: Sight, bound: Bound, ways: Sequence[Way]) -> Choice:
        """As `backstop.keeper.ways.choose`."""
        ...


@dataclass
class Chain:
    """An account with steps in this block.

    Attributes:
        last: the step that was sent last.
        sent: all that were sent.
        offers: what may follow, best first.
        after: what those sent will leave.
        cut: the keeper's own limits were reached: it takes nothing more over.
    """

    last: Offer
    sent: list[Intent] = field(default_factory=list)
    offers: list[Offer] = field(default_factory=list)
    after: After | None = None
    cut: bool = False

    def take(self, offer: Offer, intent: Intent) -> None:
        """A step was sent."""
        self.last, self.cut = offer, self.cut or offer.cut
        self.sent.append(intent)


class Further:
    """Goes on where a step was not enough.

    Args:
        actor: tries and sends.
        own: the keeper's account.
        most: steps of an account in one look, the first included.
        choose: decides.
        stopped: asked before every round; nothing new is sent once it says so.
    """

    def __init__(
        self,
        actor: Actor,
        own: bytes,
        most: int,
        choose: Choose,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.actor, self.own, self.most, self._choose = actor, own, most, choose
        self._stopped = stopped
        self._able = True

    def go_on(self, begun: Sequence[Chain], sight: Sight) -> None:
        """Every account's second step, then the third of those that need one, and so on.

        Raises:
            CannotSend: as of `Actor.send`.
        """
        chains = list(begun)
        if not chains or not self._able or self.most < 2:
            return
        try:
            for start in range(0, len(chains), _TOGETHER):
                part = chains[start : start + _TOGETHER]
                for chain in part:
                    chain.take(chain.last, self.actor.intent(chain.last))
                for chain, after in zip(part, self._states(part, sight), strict=True):
                    chain.after = after
            for step in range(2, self.most + 1):
                going: list[Chain] = []
                for start in range(0, len(chains), _TOGETHER):
                    if self._stopped():
                        return
                    going += self._round(chains[start : start + _TOGETHER], sight, step)
                chains = going
        except Unable as error:
            self._able = not error.for_good
            if self.actor.patience.is_news(b"further steps", str(error)):
                self.actor.say(f"{error}: one step of an account a block", event="one step")

    def _round(self, chains: Sequence[Chain], sight: Sight, step: int) -> list[Chain]:
        """One more step of each; those that need yet another."""
        decided: list[Chain] = []
        for chain in chains:
            self._decide(chain, decided, sight)
            decided += [chain] if chain.offers else []
        going: list[Chain] = []
        while decided:
            taken = []
            for chain, after in zip(decided, self._states(decided, sight), strict=True):
                offer = chain.offers.pop(0)
                if after is not None:  # else it would be refused: the next best way
                    chain.after, chain.offers = after, []
                    taken.append((chain, offer))
            self.actor.send([offer for _, offer in taken], sight.head.number, step)
            for chain, offer in taken:
                chain.take(offer, self.actor.intent(offer))
            going += [chain for chain, offer in taken if offer.more]
            decided = [chain for chain in decided if chain.offers]
        return going

    def _decide(self, chain: Chain, decided: Sequence[Chain], sight: Sight) -> None:
        """Look for the next step in the state that those so far lead to, where the others of this
        round bind what they are about to take.
        """
        after, chain.offers = chain.after, []
        if after is None or not after.accounts[0].ok or not after.accounts[0].liquidatable:
            return
        bound = self.actor.sender.bound(chain.last.account)
        for other in decided:
            bound.add(other.offers[0])
            bound.loss += max(0.0, -other.offers[0].profit)
        own, *desks = after.accounts[1:]
        known = zip(sight.desks.items(), desks, strict=True)
        seen = replace(
            sight,
            markets=after.markets,
            own=own,
            desks={market: replace(desk, report=report) for (market, desk), report in known},
        )
        ways = [way for way in WAYS if not (chain.cut and way is take_over)]
        chain.offers = list(self._choose(after, seen, bound, ways).offers)

    def _states(self, chains: Sequence[Chain], sight: Sight) -> list[After | None]:
        """What the steps of each lead to, with its first offer if it has one; None where the last
        of them would be refused.

        Raises:
            Unable: the node cannot say.
        """
        actor = self.actor
        rows = [
            [*chain.sent, *(actor.intent(offer) for offer in chain.offers[:1])] for chain in chains
        ]
        desks = [bytes(desk.report.account) for desk in sight.desks.values()]
        shown = [[chain.last.account, self.own, *desks] for chain in chains]
        moment = max(actor.watch.moment(sight.head), sight.head.timestamp + 1)
        return in_a_row(actor.system, actor.sender.wallet.address, rows, shown, moment)
