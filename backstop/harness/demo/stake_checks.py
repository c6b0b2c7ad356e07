"""What is checked of the stakers, to the unit: contracts against the twin, losses, claims, tokens.

TWIN: everything layer 3 shows is what the twin shows. SLASH_FAIR: a loss takes the same part of the
stake that stays and of every request that has not matured, and from nobody who came later.
RECEIPT_EXACT: what the stakers lost is what the receipts say they paid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from backstop.harness.demo.stage import Seen, Stage
from backstop.harness.demo.stake_state import StakeState, twin_state

ROUNDINGS = 4
"""Units that a staker's account may be off: a stake, a request, a claim, and reading what is left
round down by less than one each."""

Expect = Callable[[str, bool, str], None]


@dataclass
class StakeChecks:
    """Checks of layer 3.

    Attributes:
        expect: takes the invariant's name, whether it holds, and what to say if not.
    """

    stage: Stage
    expect: Expect
    _losses: int = 0

    def after_step(self, seen: Seen) -> None:
        """Contracts against twin, new losses, and the fund's tokens."""
        book, stakers = self.stage.stakes, self.stage.stakers
        self.expect("TWIN", not book.differences, "; ".join(book.differences))
        book.differences.clear()
        twin = twin_state(book.twin, stakers, self.stage.now)
        self.expect("TWIN", seen.stake == twin, f"the tranche shows {seen.stake}, the twin {twin}")
        for loss in book.losses[self._losses :]:
            self.expect(
                "SLASH_FAIR",
                loss.fair,
                f"of a loss of {loss.assets} the active stake of {loss.active} bore"
                f" {loss.result.from_active}, the buckets {loss.held} bore {loss.result.cuts}",
            )
        self._losses = len(book.losses)
        self._tokens(seen)

    def _tokens(self, seen: Seen) -> None:
        fund, stake = seen.fund, seen.stake
        held = fund.own + stake.claims + stake.streaming + stake.uncollected
        most = self._most_dust(stake)
        self.expect(
            "CONSERVATION",
            0 <= fund.tokens - held <= most and fund.tokens == fund.own + stake.held,
            f"the fund holds {fund.tokens}; its layers {fund.own}, the stakers' claims"
            f" {stake.claims} and income on its way {stake.streaming} leave"
            f" {fund.tokens - held}, at most {most} may be rounding",
        )
        self.expect(
            "CONSERVATION",
            fund.capital == fund.own + stake.slashable == fund.own + stake.active + stake.leaving,
            f"capital {fund.capital}, layers {fund.own}, slashable {stake.slashable}",
        )

    def _most_dust(self, stake: StakeState) -> int:
        parts = sum(1 + sum(map(bool, holder.requests)) for holder in stake.holders)
        price = ceil(1000 * (stake.active + 1) / (stake.supply + 1000))
        return parts + price + ceil(self.stage.stakes.virtual)

    def at_the_end(self, seen: Seen) -> None:
        """What everybody lost against receipts, and everybody's account against the contracts."""
        book, tally, scale = self.stage.stakes, self.stage.tally, self.stage.scale
        lost = sum(account.lost for account in book.accounts.values())
        slashed = sum(loss.assets for loss in book.losses)
        covered = tally.sums["assets from staked"]
        self.expect(
            "RECEIPT_EXACT",
            lost == slashed == covered,
            f"the stakers lost {lost}, the tranche {slashed}, the fund's events say {covered}",
        )
        if not self.stage.scenario.parameters.fund.fair_window:
            # the fund pays whole units; what that is above a deficit is the market's income again
            above = slashed * scale - tally.sums["layer staked"]
            self.expect(
                "RECEIPT_EXACT",
                0 <= above <= len(book.losses) * scale,
                f"stakers paid {slashed * scale}, the receipts say {tally.sums['layer staked']}",
            )
        most = ROUNDINGS + ceil(book.virtual)
        for who, holder in zip(self.stage.stakers, seen.stake.holders, strict=True):
            account = book.account(who)
            due = account.staked + book.income(who, self.stage.now) - account.lost
            owns = account.claimed + seen.stake.left(holder)
            self.expect(
                "SLASH_FAIR",
                abs(due - owns) <= most,
                f"{who} has {owns}, but {account.staked} staked, income and losses make {due}",
            )
