"""Exact integer twin of `contracts/fund/StakedTranche.sol`: layer 3 of the fund.

Assets are integers in units of the fund's asset, shares in units of the share token, times in
seconds since the epoch. A method that the contract would revert raises `ModelError` and changes
nothing. Allowances, permits and operators are outside the model: the caller is who may act.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .errors import ModelError

EPOCH_TIME = 7 * 86_400
STREAM_TIME = 7 * 86_400
HOLD_TIME = 3 * 86_400
MAX_HOLD = 14 * 86_400
MIN_COOLDOWN = 86_400
MAX_COOLDOWN = 28 * 86_400
VIRTUAL_SHARES = 1_000
PRICE_FALL = 1_000_000
MAX_SERIES = 255
MAX_ERA = 255
MAX_UINT112 = 2**112 - 1


def _uint112(value: int) -> int:
    if value > MAX_UINT112:
        raise ModelError("AboveMaximum", value, MAX_UINT112)
    return value


@dataclass
class ExitBucket:
    """The requests of one epoch; `maturity` 0 if there are none yet."""

    assets: int = 0
    shares: int = 0
    maturity: int = 0


@dataclass
class Holder:
    """Shares of a series and a request, as they are since `era`.

    The request is the first one (0: none yet); when all of it is claimed, the next new one
    takes its place, while those made in between stay beside it.
    """

    shares: int = 0
    series: int = 0
    request: int = 0
    request_shares: int = 0
    era: int = 0


@dataclass(frozen=True)
class Past:
    """Units of a part (0: shares, else a bucket) at the losses after `start` and up to `end`."""

    start: int
    end: int
    series: int
    units: int


@dataclass
class Returned:
    """What came back for a part of a loss, for how many units; `series` if they are shares."""

    assets: int = 0
    units: int = 0
    series: int = 0


@dataclass(frozen=True)
class SlashResult:
    """How a loss fell: on active stake and buckets from `first` on; `rest` left the tranche.

    `era` is the loss's number (0: not on record); `supply` and `shares` are what the active stake
    and the buckets consisted of, in series `series`.
    """

    from_active: int
    first: int
    cuts: tuple[int, ...]
    rest: int
    series_ended: bool
    era: int
    series: int
    supply: int
    shares: tuple[int, ...]


@dataclass
class StakedTranche:
    """The whole state of the tranche."""

    assets: int = 0
    supply: int = 0
    series: int = 0
    epoch: int = 1
    stream_left: int = 0
    accrued_at: int = 0
    stream_end: int = 0
    oldest_open: int = 1
    held_until: int = 0
    cap: int = 0
    cooldown: int = 0
    week: int = 0
    last_maturity: int = 0
    holders: dict[str, Holder] = field(default_factory=dict)
    buckets: dict[int, ExitBucket] = field(default_factory=dict)
    later_requests: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    """Shares, and the era since when they are what they are."""
    era: int = 0
    past: dict[tuple[str, int], list[Past]] = field(default_factory=dict)
    returned: dict[tuple[int, int], Returned] = field(default_factory=dict)
    collected: dict[tuple[str, int, int], int] = field(default_factory=dict)
    uncollected: int = 0

    # ------------------------------------------------------------------ coming in

    def deposit(self, receiver: str, assets: int, now: int) -> int:
        """Stakes exactly `assets`; returns the shares, floor(a * (S + V) / (A + 1))."""
        active = self.total_assets(now)
        self._check_room(active, assets)
        shares = assets * (self.supply + VIRTUAL_SHARES) // (active + 1)
        self._stake(receiver, active, assets, shares, now)
        return shares

    def mint(self, receiver: str, shares: int, now: int) -> int:
        """Mints exactly `shares`; returns the assets, rounded up."""
        active = self.total_assets(now)
        divisor = self.supply + VIRTUAL_SHARES
        assets = (_uint112(shares) * (active + 1) + divisor - 1) // divisor
        self._check_room(active, assets)
        self._stake(receiver, active, assets, shares, now)
        return assets

    def transfer(self, sender: str, receiver: str, shares: int) -> None:
        """Moves shares of the running series."""
        self._subtract(sender, shares)
        self._add(receiver, shares)

    def add_income(self, assets: int, now: int) -> None:
        """Adds to the stream; it ends after the average time of what is left and what is new."""
        self._accrue(now)
        total = self.stream_left + assets
        weighted = assets * STREAM_TIME
        if self.stream_left:
            weighted += self.stream_left * (self.stream_end - now)
        self.stream_left = total
        self.accrued_at = now
        self.stream_end = now + (weighted + total // 2) // total

    # ------------------------------------------------------------------ going out

    def request_redeem(
        self, owner: str, controller: str, shares: int, now: int
    ) -> tuple[int, int, int]:
        """Queues `shares`; returns request id, assets and shares of the bucket."""
        if shares == 0:
            raise ModelError("ZeroShares")
        balance = self.balance_of(owner)
        if shares > self.supply:
            raise ModelError("ERC20InsufficientBalance", owner, balance, shares)
        active = self.total_assets(now)
        assets = shares * (active + 1) // (self.supply + VIRTUAL_SHARES)
        if assets == 0:
            raise ModelError("ZeroAssets")
        if shares > balance:
            raise ModelError("ERC20InsufficientBalance", owner, balance, shares)
        epoch, week = self.epoch, now // EPOCH_TIME
        if week != self.week and self.bucket(epoch).maturity:
            epoch += 1
        old = self.bucket(epoch)
        bucket_shares = assets * (old.shares + 1) // (old.assets + 1)
        if bucket_shares == 0:
            raise ModelError("ZeroShares")
        _uint112(old.assets + assets)
        _uint112(old.shares + bucket_shares)
        self._accrue(now)
        self._subtract(owner, shares)
        self.supply -= shares
        self.assets -= assets
        if old.maturity == 0:
            self.oldest_open = self.first_open(now)
            # end of the epoch + cooldown, but not before the bucket before it
            maturity = max((week + 1) * EPOCH_TIME + self.cooldown, self.last_maturity)
            self.last_maturity = maturity
            self.buckets[epoch] = old
            old.maturity = maturity
        self.epoch, self.week = epoch, week
        old.assets += assets
        old.shares += bucket_shares
        h = self._holder(controller)
        free = h.request == 0 or (h.request_shares == 0 and not self.requested(controller, epoch))
        if free or h.request == epoch:
            self._remember(controller)
            h.request = epoch
            h.request_shares += bucket_shares
        else:
            self._change_later(controller, epoch, bucket_shares)
        return epoch, assets, bucket_shares

    def redeem(self, controller: str, shares: int, now: int) -> int:
        """Claims `shares` of the first request; returns what is paid."""
        return self._claim(controller, self.holder(controller).request, shares, now)

    def withdraw(self, controller: str, assets: int, now: int) -> int:
        """Claims exactly `assets` of the first request; returns its shares."""
        request = self.holder(controller).request
        b = self.bucket(request)
        if assets > b.assets:
            shares = 2**256 - 1
        elif assets:
            shares = (assets * b.shares + b.assets - 1) // b.assets
        else:
            shares = 0
        self._check_claim(controller, request, shares, now)
        self._take(controller, request, shares, assets)
        return shares

    def claim(self, controller: str, request: int, now: int) -> int:
        """Claims all of one request; returns what is paid."""
        return self._claim(controller, request, self.requested(controller, request), now)

    # ------------------------------------------------------------------ losses

    def slash(self, loss: int, now: int) -> SlashResult:
        """Takes `loss` (at most `slashable`) from active stake and open buckets, pro rata."""
        self._accrue(now)
        first = self.first_open(now)
        self.oldest_open = first
        ids = range(first, self.epoch + 1)
        shares = tuple(self.bucket(i).shares for i in ids)
        series, supply, era = self.series, self.supply, 0
        if self.era < MAX_ERA:
            self.era = era = self.era + 1
        held = [self.bucket(i).assets for i in ids]
        total = self.assets + sum(held)
        cuts = [loss * h // total if h else 0 for h in held]
        from_active = loss - sum(cuts)
        for i, h in enumerate(held):
            if from_active > self.assets:
                more = min(from_active - self.assets, h - cuts[i])
                cuts[i] += more
                from_active -= more
        for i, cut in zip(ids, cuts, strict=True):
            if cut:
                self.buckets[i].assets -= cut
        if held and cuts[-1] and (held[-1] - cuts[-1]) * PRICE_FALL < shares[-1]:
            self.epoch += 1
        self.assets -= from_active
        rest, ended = self._end_if_worthless()
        return SlashResult(
            from_active, first, tuple(cuts), rest, ended, era, series, supply, shares
        )

    def recover(self, loss: SlashResult, assets: int, now: int) -> None:
        """Gives `assets` back to those who bore a loss; income of the stake if it has no number."""
        if loss.era == 0:
            self.add_income(assets, now)
            return
        self.uncollected += assets
        total = loss.from_active + sum(loss.cuts)
        parts = [assets * cut // total for cut in loss.cuts]
        for i, (part, shares) in enumerate(zip(parts, loss.shares, strict=True)):
            if part:
                self._give_back(loss.era, loss.first + i, part, shares, 0)
        if left := assets - sum(parts):
            self._give_back(loss.era, 0, left, loss.supply, loss.series)

    def collect(self, holder: str, era: int, part: int) -> int:
        """Pays a holder its part of what has come back for a loss."""
        assets = self.collectable(holder, era, part)
        if assets == 0:
            raise ModelError("NothingToCollect", holder, era, part)
        key = (holder, era, part)
        self.collected[key] = self.collected.get(key, 0) + assets
        self.uncollected -= assets
        return assets

    def collectable(self, holder: str, era: int, part: int) -> int:
        """floor(recovered * units / all units) - collected."""
        r = self.returned.get((era, part))
        if r is None or r.units == 0:
            return 0
        units = self._units_at(holder, era, part, r.series)
        return r.assets * units // r.units - self.collected.get((holder, era, part), 0)

    def hold_maturity(self, now: int) -> None:
        """Keeps open buckets from maturing for a while."""
        self.oldest_open = self.first_open(now)
        self.held_until = now + HOLD_TIME

    def set_terms(self, cap: int, cooldown: int) -> None:
        """Sets the largest active stake and the cooldown of buckets to come."""
        if cap > MAX_UINT112:
            raise ModelError("InvalidTerms", "cap")
        if not MIN_COOLDOWN <= cooldown <= MAX_COOLDOWN:
            raise ModelError("InvalidTerms", "cooldown")
        self.cap, self.cooldown = cap, cooldown

    # ------------------------------------------------------------------ views

    def total_assets(self, now: int) -> int:
        """Active stake, streamed income included."""
        return self.assets + self._credited(now)

    def slashable(self, now: int) -> int:
        """Active stake and open buckets."""
        ids = range(self.first_open(now), self.epoch + 1)
        return self.total_assets(now) + sum(self.bucket(i).assets for i in ids)

    def stream(self, now: int) -> tuple[int, int, int]:
        """Income on its way, when it ends, and how much a second until then."""
        left = self.stream_left - self._credited(now)
        waits = self.supply == 0 and self.stream_left
        end = self.stream_end + (now - self.accrued_at if waits else 0)
        return left, end, left // (end - now) if left else 0

    def claimable_at(self, request: int) -> int:
        """When a request's bucket matures as things are now; 0 if it is empty."""
        maturity = self.bucket(request).maturity
        return max(maturity, min(self.held_until, maturity + MAX_HOLD)) if maturity else 0

    def held(self) -> int:
        """All tokens that the fund holds for this layer, matured requests and stream included."""
        buckets = sum(b.assets for b in self.buckets.values())
        return self.assets + self.stream_left + buckets + self.uncollected

    def first_open(self, now: int) -> int:
        """First bucket that is not fixed yet."""
        i = self.oldest_open
        while i <= self.epoch and self.bucket(i).maturity and self._mature(i, now):
            i += 1
        return i

    def is_fixed(self, request: int, now: int) -> bool:
        """Whether a bucket can no longer be slashed."""
        if request < self.oldest_open:
            return True
        return self.bucket(request).maturity != 0 and self._mature(request, now)

    def bucket(self, request: int) -> ExitBucket:
        """A bucket, or an empty one."""
        return self.buckets.get(request) or ExitBucket()

    def holder(self, who: str) -> Holder:
        """A holder, or an empty one."""
        return self.holders.get(who) or Holder()

    def balance_of(self, who: str) -> int:
        """Shares of the running series."""
        h = self.holder(who)
        return h.shares if h.series == self.series else 0

    def requested(self, controller: str, request: int) -> int:
        """Unclaimed shares of a request."""
        h = self.holder(controller)
        if request and h.request == request:
            return h.request_shares
        return self.later_requests.get((controller, request), (0, 0))[0]

    # ------------------------------------------------------------------ inside

    def _mature(self, request: int, now: int) -> bool:
        maturity = self.bucket(request).maturity
        return now >= maturity and (now >= self.held_until or now >= maturity + MAX_HOLD)

    def _credited(self, now: int) -> int:
        if self.stream_left == 0 or now == self.accrued_at or self.supply == 0:
            return 0
        if now >= self.stream_end:
            return self.stream_left
        elapsed, span = now - self.accrued_at, self.stream_end - self.accrued_at
        return self.stream_left * elapsed // span

    def _accrue(self, now: int) -> None:
        if self.stream_left == 0 or now == self.accrued_at:
            return
        if self.supply == 0:
            self.stream_end += now - self.accrued_at
        credited = self._credited(now)
        self.assets += credited
        self.stream_left -= credited
        self.accrued_at = now

    def _check_room(self, active: int, assets: int) -> None:
        if assets == 0:
            raise ModelError("ZeroAssets")
        room = max(0, self.cap - active)
        if assets > room:
            raise ModelError("AboveCap", assets, room)

    def _stake(self, receiver: str, active: int, assets: int, shares: int, now: int) -> None:
        if shares == 0:
            raise ModelError("ZeroShares")
        _uint112(active + assets)
        _uint112(self.supply + shares)
        self._accrue(now)
        self.assets += assets
        self.supply += shares
        self._add(receiver, shares)

    def _holder(self, who: str) -> Holder:
        return self.holders.setdefault(who, Holder())

    def _subtract(self, who: str, shares: int) -> None:
        balance = self.balance_of(who)
        if shares > balance:
            raise ModelError("ERC20InsufficientBalance", who, balance, shares)
        self._remember(who)
        h = self._holder(who)
        h.shares, h.series = balance - shares, self.series

    def _add(self, who: str, shares: int) -> None:
        balance = self.balance_of(who)
        self._remember(who)
        h = self._holder(who)
        h.shares, h.series = balance + shares, self.series

    def _remember(self, who: str) -> None:
        """Keeps what a holder had when the losses since its last change fell."""
        h = self._holder(who)
        if h.era == self.era:
            return
        if h.shares:
            self._keep(who, 0, Past(h.era, self.era, h.series, h.shares))
        if h.request_shares:
            self._keep(who, h.request, Past(h.era, self.era, 0, h.request_shares))
        h.era = self.era

    def _change_later(self, who: str, request: int, change: int) -> None:
        shares, era = self.later_requests.get((who, request), (0, 0))
        if era != self.era and shares:
            self._keep(who, request, Past(era, self.era, 0, shares))
        self.later_requests[who, request] = (shares + change, self.era)

    def _keep(self, who: str, part: int, past: Past) -> None:
        self.past.setdefault((who, part), []).append(past)

    def _give_back(self, era: int, part: int, assets: int, units: int, series: int) -> None:
        r = self.returned.setdefault((era, part), Returned())
        r.assets, r.units, r.series = r.assets + assets, units, series

    def _units_at(self, who: str, era: int, part: int, series: int) -> int:
        units = sum(
            past.units
            for past in self.past.get((who, part), ())
            if past.start < era <= past.end and (part or past.series == series)
        )
        h = self.holder(who)
        if part == 0:
            return units + (h.shares if h.era < era and h.series == series else 0)
        if h.request == part and h.era < era:
            units += h.request_shares
        later, since = self.later_requests.get((who, part), (0, 0))
        return units + (later if since < era else 0)

    def _claim(self, controller: str, request: int, shares: int, now: int) -> int:
        self._check_claim(controller, request, shares, now)
        b = self.bucket(request)
        assets = shares * b.assets // b.shares
        self._take(controller, request, shares, assets)
        return assets

    def _check_claim(self, controller: str, request: int, shares: int, now: int) -> None:
        claimable = self.requested(controller, request) if self.is_fixed(request, now) else 0
        if shares == 0 or shares > claimable:
            raise ModelError("NotClaimable", controller, request, shares, claimable)

    def _take(self, controller: str, request: int, shares: int, assets: int) -> None:
        self.oldest_open = max(self.oldest_open, request + 1)
        h = self._holder(controller)
        if h.request == request:
            self._remember(controller)
            h.request_shares -= shares
        else:
            self._change_later(controller, request, -shares)
        b = self.buckets[request]
        b.assets -= assets
        b.shares -= shares

    def _end_if_worthless(self) -> tuple[int, bool]:
        if self.supply == 0 or self.series == MAX_SERIES:
            return 0, False
        rest = self.assets
        floor = self.supply + VIRTUAL_SHARES
        if rest and (rest + 1) * VIRTUAL_SHARES * PRICE_FALL >= floor:
            return 0, False
        self.assets = 0
        self.supply = 0
        self.series += 1
        if self.bucket(self.epoch).maturity:
            self.epoch += 1
        return rest, True
