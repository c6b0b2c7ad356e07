"""The stakers: they join, some run for the exit, and when requests have matured they claim.

Each does what its plan in the scenario says, with a key of its own. What happens to them is no part
of this: it is read from the contracts (`stake_state`) and kept by the twin (`stake_book`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from eth_account import Account
from eth_utils import keccak

from backstop.harness.demo.stage import OPERATOR, Stage
from backstop.harness.staker_section import StakerPlan

JOINS, ASKS, CLAIMS = "joins", "asks", "claims"


@dataclass(frozen=True)
class StakerAct:
    """What a staker did.

    Attributes:
        time: of the transaction.
        kind: joins, asks or claims.
        assets: units that it brought in, that its request is worth, or that it was paid.
        request: number of the bucket; 0 if it joins.
        maturity: of the bucket.
        losses: losses of the stakers before.
    """

    time: int
    name: str
    kind: str
    assets: int
    request: int = 0
    maturity: int = 0
    losses: int = 0


@dataclass
class Staker:
    """A staker with its key, which is made from the seed and must never hold value."""

    plan: StakerPlan
    address: str
    joined: bool = False
    asked: bool = False

    @property
    def name(self) -> str:
        """For people."""
        return self.plan.name


@dataclass
class Stakers:
    """All stakers of a scenario, in its order.

    Args:
        stage: where.
        seed: of the run.
        on_act: told of everything they do.
        lead: seconds by which the node's clock is ahead of the history.
    """

    stage: Stage
    seed: int
    on_act: Callable[[StakerAct], None]
    lead: int = 0
    people: list[Staker] = field(default_factory=list)

    def __post_init__(self) -> None:
        for i, plan in enumerate(self.stage.scenario.stakers):
            key = keccak(text=f"backstop demo {self.seed} staker {i}")
            self.people.append(Staker(plan, str(Account.from_key(key).address)))
        self.stage.stakers = [one.address for one in self.people]

    def before(self, time: int) -> None:
        """Everything that is due before a time, each at its own time."""
        for due, _, _ in sorted(self._due(time - 1), key=lambda item: item[0]):
            self.stage.set_time(due + self.lead)
            self.until(due)

    def until(self, time: int) -> None:
        """Everything that is due until a time, at the time the stage has now."""
        for _, one, act in sorted(self._due(time), key=lambda item: item[0]):
            act(one)

    def _due(self, time: int) -> Iterator[tuple[int, Staker, Callable[[Staker], None]]]:
        for one in self.people:
            if not one.joined and one.plan.joins <= time:
                yield one.plan.joins, one, self._join
            if one.plan.asks is not None and not one.asked and one.plan.asks <= time:
                yield one.plan.asks, one, self._ask

    def _join(self, one: Staker) -> None:
        one.joined = True
        system = self.stage.system
        units = int(one.plan.stake * 10**system.record.token_decimals)
        self.stage.send(system.token.mint, one.address, units, sender=OPERATOR)
        self.stage.send(system.token.approve, system.tranche.address, units, sender=one.address)
        if self.stage.attempt(system.tranche.deposit, units, one.address, sender=one.address):
            self._told(one, JOINS, units)

    def _ask(self, one: Staker) -> None:
        one.asked = True
        tranche, book = self.stage.system.tranche, self.stage.stakes
        shares = int(tranche.balanceOf(one.address) * one.plan.part)
        # shares of a series that has ended are worth nothing: there is nothing to ask for
        if shares and self.stage.attempt(
            tranche.requestRedeem, shares, one.address, one.address, sender=one.address
        ):
            _, request, assets = book.account(one.address).asked[-1]
            self._told(one, ASKS, assets, request)

    def settle(self) -> bool:
        """Wait until every open request has matured; False if there is none to wait for."""
        matured = self.stage.stakes.claimable_at()
        if matured > self.stage.now:
            self.stage.set_time(matured)
        return bool(matured)

    def claim(self) -> None:
        """Everybody takes all that has matured, the oldest request first."""
        tranche, twin = self.stage.system.tranche, self.stage.stakes.twin
        for one in self.people:
            for request in range(1, twin.epoch + 1):
                if not tranche.claimableRedeemRequest(request, one.address):
                    continue
                receipt = self.stage.attempt(
                    tranche.claim, request, one.address, one.address, sender=one.address
                )
                if receipt is not None:
                    paid = receipt.one("Withdraw", tranche.address).assets
                    self._told(one, CLAIMS, paid, request)

    def _told(self, one: Staker, kind: str, assets: int, request: int = 0) -> None:
        book = self.stage.stakes
        maturity = book.twin.bucket(request).maturity if request else 0
        counts = self.stage.tally.counts
        counts[f"stakers: {kind}"] += 1
        now = self.stage.now - self.lead
        self.on_act(
            StakerAct(now, one.name, kind, assets, request, maturity - self.lead, len(book.losses))
        )
