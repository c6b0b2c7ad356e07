"""The stakers' books beside the contracts: an exact twin that hears their events, nothing else.

Of every loss it notes what stayed and what was on its way out before, and what each of them bore;
of every staker what it brought in, lost, earned and got back. Amounts are units of the token.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from backstop.harness.abi import Event
from backstop.harness.rpc import Receipt
from backstop.model.errors import ModelError
from backstop.model.staking import MAX_HOLD, VIRTUAL_SHARES, SlashResult, StakedTranche


@dataclass
class StakeAccount:
    """A staker by the events. Losses and income are exact: parts of units are kept.

    Attributes:
        joined: seconds, of the first stake.
        asked: (seconds, request, assets it was worth then), in order.
    """

    staked: int = 0
    claimed: int = 0
    joined: int | None = None
    asked: list[tuple[int, int, int]] = field(default_factory=list)
    lost: Fraction = Fraction(0)
    income: Fraction = Fraction(0)


@dataclass(frozen=True)
class Loss:
    """A loss that reached the stakers.

    Attributes:
        active: stake that stayed, before it; `held` the open buckets from `result.first` on.
        borne: what each holder of the time bore, by address; their sum is the loss.
    """

    time: int
    assets: int
    active: int
    held: tuple[int, ...]
    result: SlashResult
    borne: dict[str, Fraction]

    @property
    def leaving(self) -> int:
        """What was on its way out, before the loss."""
        return sum(self.held)

    @property
    def fair(self) -> bool:
        """cut_e = floor(L * B_e / X) of every bucket, the rest of the active stake.

        Where rounding leaves the active stake too little, buckets pay a few units more.
        """
        total = self.active + self.leaving
        cuts = self.result.cuts
        floors = [self.assets * held // total for held in self.held]
        spare = max(0, self.assets - sum(floors) - self.active)
        return (
            self.result.from_active + sum(cuts) == self.assets
            and self.result.from_active == self.assets - sum(floors) - spare
            and all(0 <= cut - floor <= spare for cut, floor in zip(cuts, floors, strict=True))
            and sum(self.borne.values()) == self.assets
        )


class StakeBook:
    """Layer 3 as the tranche's events make it.

    Attributes:
        twin: the exact twin of the tranche.
        accounts: everybody who ever staked, by address.
        losses: in order.
        differences: sentences: where an event says something else than the twin.
        virtual: what income and losses of the virtual shares add up to, without their signs: so far
            a staker may be from its part of the real ones.
    """

    def __init__(self, tranche: str, cap: int, cooldown: int) -> None:
        self.twin = StakedTranche(cap=cap, cooldown=cooldown)
        self.accounts: dict[str, StakeAccount] = {}
        self.losses: list[Loss] = []
        self.differences: list[str] = []
        self.virtual = Fraction(0)
        self._tranche = tranche

    def transaction(self, receipt: Receipt, now: int) -> None:
        """Take over what a transaction of second `now` did to layer 3."""
        for event in receipt.events:
            if event.address == self._tranche:
                handler = getattr(self, f"_on_{event.name}", None)
                if handler is not None:
                    try:
                        handler(event, now)
                    except ModelError as error:
                        self.differences.append(f"{event.name} at {now}: the twin says {error}")

    def account(self, holder: str) -> StakeAccount:
        """A staker's account."""
        return self.accounts.setdefault(holder, StakeAccount())

    def claimable_at(self) -> int:
        """When the last request that is open now can be claimed; 0 if there is none."""
        twin, last = self.twin, 0
        for request in range(twin.oldest_open, twin.epoch + 1):
            bucket = twin.bucket(request)
            if bucket.assets:
                held = min(twin.held_until, bucket.maturity + MAX_HOLD)
                last = max(last, bucket.maturity, held)
        return last

    def income(self, holder: str, now: int) -> Fraction:
        """What a staker has earned until now."""
        return self.account(holder).income + self._parts(now).get(holder, Fraction(0))

    # --- events

    def _on_Deposit(self, event: Event, now: int) -> None:
        self._credit(now)
        shares = self.twin.deposit(event.owner, event.assets, now)
        self._same("Deposit", "shares", shares, event.shares)
        account = self.account(event.owner)
        account.staked += event.assets
        account.joined = account.joined or now

    def _on_RedeemRequest(self, event: Event, now: int) -> None:
        self._credit(now)
        request, assets, _ = self.twin.request_redeem(
            event.owner, event.controller, event.shares, now
        )
        self._same("RedeemRequest", "request", request, event.requestId)
        self.account(event.controller).asked.append((now, request, assets))

    def _on_Withdraw(self, event: Event, now: int) -> None:
        assets = self.twin.redeem(event.owner, event.shares, now)
        self._same("Withdraw", "assets", assets, event.assets)
        self.account(event.owner).claimed += event.assets

    def _on_IncomeAdded(self, event: Event, now: int) -> None:
        self._credit(now)
        self.twin.add_income(event.assets, now)
        self._same("IncomeAdded", "streaming", self.twin.stream_left, event.streaming)
        self._same("IncomeAdded", "stream end", self.twin.stream_end, event.streamEnd)

    def _on_MaturityHeld(self, event: Event, now: int) -> None:
        self.twin.hold_maturity(now)
        self._same("MaturityHeld", "until", self.twin.held_until, event.until)

    def _on_Slashed(self, event: Event, now: int) -> None:
        self._credit(now)
        twin = self.twin
        first = twin.first_open(now)
        held = tuple(twin.bucket(i).assets for i in range(first, twin.epoch + 1))
        active = twin.total_assets(now)
        stakes = {who: twin.balance_of(who) for who in self.accounts}
        requests = {
            (who, i): twin.requested(who, i)
            for who in self.accounts
            for i in range(first, twin.epoch + 1)
        }
        result = twin.slash(event.loss, now)
        self._same("Slashed", "fromActive", result.from_active, event.fromActive)
        self._same("Slashed", "firstBucket", result.first, event.firstBucket)
        self._same("Slashed", "cuts", result.cuts, tuple(event.cuts))
        borne = {
            who: Fraction(result.from_active * shares, result.supply)
            for who, shares in stakes.items()
            if shares
        }
        for (who, i), shares in requests.items():
            if shares:
                part = Fraction(result.cuts[i - first] * shares, result.shares[i - first])
                borne[who] = borne.get(who, Fraction(0)) + part
        for who, part in borne.items():
            self.account(who).lost += part
        self._note_virtual(result.from_active, result.supply)
        self.losses.append(Loss(now, event.loss, active, held, result, borne))

    # --- inside

    def _parts(self, now: int) -> dict[str, Fraction]:
        """How income that has arrived and is not booked yet is shared."""
        twin = self.twin
        arrived = twin.total_assets(now) - twin.assets
        if not arrived:
            return {}
        return {who: Fraction(arrived * twin.balance_of(who), twin.supply) for who in self.accounts}

    def _credit(self, now: int) -> None:
        """Before the twin books the income that has arrived: whose it is."""
        arrived = self.twin.total_assets(now) - self.twin.assets
        self._note_virtual(arrived, self.twin.supply)
        for who, part in self._parts(now).items():
            self.accounts[who].income += part

    def _note_virtual(self, assets: int, supply: int) -> None:
        self.virtual += Fraction(assets * VIRTUAL_SHARES, supply + VIRTUAL_SHARES)

    def _same(self, event: str, what: str, twin: object, chain: object) -> None:
        if twin != chain:
            self.differences.append(f"{event}: {what} is {twin} by the twin, {chain} by the event")
