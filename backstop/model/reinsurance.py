"""Exact integer twin of `contracts/fund/Reinsurance.sol`: the premium budget, and who is asked.

Amounts are integers in units of the fund's asset, shares in 1e-6, times seconds since the epoch.
Gas, tokens and roles are outside the model: a reinsurer that fails raises `ModelError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .errors import ModelError

MAX_UINT112 = 2**112 - 1
PPM = 1_000_000


class Reinsurer(Protocol):
    """What the fund knows of a reinsurer (`IReinsurance`)."""

    def quote(self, claimant: str, market: int, wanted: int, now: int) -> int:
        """What `pay` would send now; changes nothing."""
        ...

    def pay(self, event_id: int, claimant: str, market: int, wanted: int, now: int) -> int:
        """Sends tokens to the fund; returns how many arrived, which is all that counts."""
        ...


@dataclass
class PremiumBudget:
    """What may be spent on premiums: filled from income up to a cap, no capital."""

    budget: int = 0
    share: int = 0
    cap: int = 0

    @property
    def room(self) -> int:
        """What the budget still takes."""
        return max(0, self.cap - self.budget)

    def set_terms(self, share: int, cap: int) -> int:
        """Changes share and cap; returns what leaves the budget for the reserve."""
        if share > PPM:
            raise ModelError("InvalidLimits", "share")
        if cap > MAX_UINT112:
            raise ModelError("InvalidLimits", "cap")
        excess = max(0, self.budget - cap)
        self.budget, self.share, self.cap = self.budget - excess, share, cap
        return excess

    def part(self, assets: int) -> int:
        """The budget's part of income: min(floor(assets * share), room)."""
        return min(assets * self.share // PPM, self.room)

    def fund(self, assets: int) -> None:
        """Anybody adds to it, up to the cap."""
        if assets > self.room:
            raise ModelError("AbovePremiumCap", assets, self.room)
        if assets == 0:
            raise ModelError("ZeroAmount")
        self.budget += assets

    def pay(self, assets: int) -> None:
        """A premium goes to the reinsurer."""
        if assets == 0:
            raise ModelError("ZeroAmount")
        if assets > self.budget:
            raise ModelError("PremiumTooSmall", assets, self.budget)
        self.budget -= assets


@dataclass
class EventCover:
    """The reinsurer during one event: after it has failed once it is not asked again."""

    reinsurer: Reinsurer | None
    event_id: int
    dry: bool = False
    """Ask for quotes only: nothing is meant to change."""
    paid: int = 0

    def ask(self, claimant: str, market: int, wanted: int, now: int) -> int:
        """What arrives of `wanted`, at most that; 0 if the reinsurer fails or there is none."""
        if self.reinsurer is None or wanted == 0:
            return 0
        try:
            if self.dry:
                answer = self.reinsurer.quote(claimant, market, wanted, now)
            else:
                answer = self.reinsurer.pay(self.event_id, claimant, market, wanted, now)
        except ModelError:
            self.reinsurer = None
            return 0
        arrived = min(answer, wanted)
        self.paid += arrived
        return arrived
