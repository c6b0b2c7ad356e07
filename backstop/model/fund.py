"""Exact integer twin of `contracts/InsuranceFund.sol`.

Amounts are integers in units of the fund's asset, times are seconds since the epoch. A method
that the contract would revert raises `ModelError` with the Solidity error's name and arguments
and leaves the state as it was. Roles, the lock and the token are outside the model: the caller
says when a payment cannot be made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .errors import ModelError
from .reinsurance import EventCover, PremiumBudget, Reinsurer
from .staking import SlashResult, StakedTranche

MAX_UINT104 = 2**104 - 1
MAX_UINT112 = 2**112 - 1
PPM = 1_000_000
WAD = 10**18
DAY = 86_400
LAG = DAY
"""Time in which the lagged solvency ratio reaches a ratio that stays."""
RATIO_MAX = 10 * WAD
SURPLUS_RATIO = 12 * WAD // 10
SURPLUS_TIME = 30 * DAY
RELEASE_TIME = 7 * DAY
RELEASE_PART = 10
ZERO_ADDRESS = "0x" + "00" * 20


@dataclass(frozen=True)
class ClaimantLimits:
    """Draw limits over the shared layers; `window` in seconds."""

    per_claim: int
    per_window: int
    window: int


@dataclass(frozen=True)
class MarketLimits:
    """Limits of one market of a claimant."""

    compartment_cap: int
    per_window: int


@dataclass(frozen=True)
class Legs:
    """What each layer paid of one claim."""

    compartment: int = 0
    reserve: int = 0
    staked: int = 0
    backing: int = 0
    reinsurance: int = 0

    @property
    def shared(self) -> int:
        """Everything but the market's own money."""
        return self.reserve + self.staked + self.backing + self.reinsurance

    @property
    def total(self) -> int:
        """What the claim is paid."""
        return self.compartment + self.shared


@dataclass(frozen=True)
class Deployed:
    """Capital outside as inventory of one market, by the layer it came from."""

    compartment: int = 0
    reserve: int = 0


@dataclass
class Bucket:
    """A leaky bucket: `used` at time `used_at`, draining `per_window / window` a second."""

    used: int = 0
    used_at: int = 0

    def level(self, per_window: int, window: int, now: int) -> int:
        """Level now: max(0, used - floor(per_window * (now - used_at) / window))."""
        if self.used == 0:
            return 0
        return max(0, self.used - per_window * (now - self.used_at) // window)

    def fill(self, amount: int, per_window: int, window: int, now: int) -> None:
        """Adds a draw to what has not drained yet."""
        self.used = self.level(per_window, window, now) + amount
        self.used_at = now

    def settle(self, per_window: int, window: int, now: int) -> None:
        """Drains until now, before the rate changes."""
        if self.used:
            self.used = self.level(per_window, window, now)
            self.used_at = now


@dataclass
class Claimant:
    """A registered claimant."""

    limits: ClaimantLimits = ClaimantLimits(0, 0, 0)
    bucket: Bucket = field(default_factory=Bucket)

    def room(self, now: int) -> int:
        """What its window leaves."""
        limits = self.limits
        if limits.window == 0:
            return 0
        return max(0, limits.per_window - self.bucket.level(limits.per_window, limits.window, now))


@dataclass
class Market:
    """A market of a claimant: its compartment and its bucket for shared draws."""

    balance: int = 0
    limits: MarketLimits = MarketLimits(0, 0)
    bucket: Bucket = field(default_factory=Bucket)

    def room(self, window: int, now: int) -> int:
        """What its window leaves."""
        if window == 0:
            return 0
        per_window = self.limits.per_window
        return max(0, per_window - self.bucket.level(per_window, window, now))

    @property
    def compartment_room(self) -> int:
        """What the compartment still takes below its cap."""
        return max(0, self.limits.compartment_cap - self.balance)


@dataclass(frozen=True)
class Receipt:
    """What `cover` returns. `event_id` is 0 if the payment could not be made."""

    event_id: int
    legs: tuple[Legs, ...]
    reward_paid: int

    @property
    def paid(self) -> int:
        """Tokens sent to the claimant."""
        return sum(leg.total for leg in self.legs) + self.reward_paid


@dataclass
class Recovery:
    """An event that a layer beyond the reserve paid for, and what has come back of it."""

    claimant: str
    markets: tuple[int, ...]
    legs: tuple[Legs, ...]
    loss: SlashResult | None
    recovered: int = 0

    @property
    def open(self) -> int:
        """What has not come back yet."""
        return sum(leg.total for leg in self.legs) - self.recovered


@dataclass
class _Draw:
    room: int
    reserve: int
    staked: int
    backing: int
    from_compartments: int = 0
    from_staked: int = 0
    from_backing: int = 0
    shared: int = 0


@dataclass
class Solvency:
    """Ratio of capital to target (WAD, at most 10), its lagged form, and the surplus clock."""

    spot: int = 0
    lagged: int = 0
    noted_at: int = 0
    surplus_since: int = 0
    surplus_events: int = 0
    released_at: int = 0

    def lagged_now(self, now: int) -> int:
        """Lagged + (spot - lagged) * min(elapsed, LAG) / LAG, rounded towards lagged."""
        elapsed = min(now - self.noted_at, LAG)
        if self.spot > self.lagged:
            return self.lagged + (self.spot - self.lagged) * elapsed // LAG
        return self.lagged - (self.lagged - self.spot) * elapsed // LAG


@dataclass
class InsuranceFund:
    """The whole state of the fund."""

    claimants: dict[str, Claimant] = field(default_factory=dict)
    markets: dict[tuple[str, int], Market] = field(default_factory=dict)
    reserve: int = 0
    compartments: int = 0
    reserve_target: int = 0
    refill_time: int = 0
    short_since: int = 0
    backing: int = 0
    solvency: Solvency = field(default_factory=Solvency)
    events: int = 0
    recoveries: dict[int, Recovery] = field(default_factory=dict)
    staker_share_ppm: int = 0
    staking: StakedTranche = field(default_factory=StakedTranche)
    premium: PremiumBudget = field(default_factory=PremiumBudget)
    reinsurer: Reinsurer | None = None
    inventories: dict[str, str] = field(default_factory=dict)
    deployed: dict[tuple[str, int], Deployed] = field(default_factory=dict)

    # ------------------------------------------------------------------ roles

    def set_claimant(self, claimant: str, limits: ClaimantLimits, now: int) -> None:
        """Registers a claimant or changes its limits."""
        if claimant == ZERO_ADDRESS:
            raise ModelError("ZeroAddress")
        if limits.window == 0:
            raise ModelError("InvalidLimits", "window")
        if limits.per_claim > MAX_UINT112:
            raise ModelError("InvalidLimits", "perClaim")
        if limits.per_window > MAX_UINT104:
            raise ModelError("InvalidLimits", "perWindow")
        self._store_claimant(claimant, limits, now)

    def tighten_claimant(self, claimant: str, limits: ClaimantLimits, now: int) -> None:
        """Changes limits only if no field gets looser."""
        old = self._registered(claimant).limits
        if limits.per_claim > old.per_claim:
            raise ModelError("NotTighter", "perClaim")
        if limits.per_window > old.per_window:
            raise ModelError("NotTighter", "perWindow")
        if limits.window < old.window:
            raise ModelError("NotTighter", "window")
        self._store_claimant(claimant, limits, now)

    def set_claimant_market(
        self, claimant: str, market: int, limits: MarketLimits, now: int
    ) -> None:
        """Sets a market's limits."""
        self._registered(claimant)
        if limits.compartment_cap > MAX_UINT112:
            raise ModelError("InvalidLimits", "compartmentCap")
        if limits.per_window > MAX_UINT104:
            raise ModelError("InvalidLimits", "perWindow")
        self._store_market(claimant, market, limits, now)

    def tighten_claimant_market(
        self, claimant: str, market: int, limits: MarketLimits, now: int
    ) -> None:
        """Changes a market's limits only if no field gets looser."""
        self._registered(claimant)
        old = self.market(claimant, market).limits
        if limits.compartment_cap > old.compartment_cap:
            raise ModelError("NotTighter", "compartmentCap")
        if limits.per_window > old.per_window:
            raise ModelError("NotTighter", "perWindow")
        self._store_market(claimant, market, limits, now)

    def set_reserve_target(self, target: int, now: int = 0) -> None:
        """Says what layer 2 is meant to hold. `now` matters only to the clock of a gap."""
        self._check_total(target)
        self.reserve_target = target
        self.note_reserve_gap(now)

    def set_refill_time(self, time: int) -> None:
        """Sets the time in which the operator has to close a gap."""
        if time >= 2**32:
            raise ModelError("InvalidLimits", "refillTime")
        self.refill_time = time

    def note_reserve_gap(self, now: int) -> None:
        """Starts the clock of a new gap, stops that of a closed one."""
        short = self.reserve < self.reserve_target
        if short != bool(self.short_since):
            self.short_since = now if short else 0

    def reserve_gap(self) -> tuple[int, int, int]:
        """What the operator owes, since when, until when."""
        gap = max(0, self.reserve_target - self.reserve)
        if gap and self.short_since:
            return gap, self.short_since, self.short_since + self.refill_time
        return gap, 0, 0

    def set_inventory(self, claimant: str, inventory: str) -> None:
        """Names the contract that may use a claimant's capital (`fund_inventory`)."""
        self._registered(claimant)
        self.inventories[claimant] = inventory

    def set_staker_share(self, ppm: int) -> None:
        """Sets the stakers' share of all income."""
        if ppm > PPM:
            raise ModelError("InvalidLimits", "stakerShare")
        self.staker_share_ppm = ppm

    def set_premium_terms(self, share: int, cap: int, now: int = 0) -> int:
        """Changes the premium budget's terms; returns what it gives up to the reserve."""
        excess = max(0, self.premium.budget - cap)
        self._check_total(self.reserve + excess)
        self.premium.set_terms(share, cap)
        if excess:
            self.reserve += excess
            self.note_reserve_gap(now)
        return excess

    def pay_premium(self, caller: Reinsurer, assets: int) -> None:
        """A premium goes to the reinsurer, which asks for it (`NotReinsurer` has no argument)."""
        if caller is not self.reinsurer:
            raise ModelError("NotReinsurer")
        self.premium.pay(assets)

    def release_reserve(self, to: str, assets: int, now: int, target: int = 0) -> int:
        """Pays surplus out of the reserve; returns what of it goes to the stakers' stream."""
        available = min(max(0, self.reserve - self.reserve_target), self.surplus(now, target)[0])
        if to == ZERO_ADDRESS:
            raise ModelError("ZeroAddress")
        if assets == 0:
            raise ModelError("ZeroAmount")
        if now < self.staking.held_until:
            raise ModelError("ShortfallOpen")
        if assets > available:
            raise ModelError("ReserveTooSmall", assets, available)
        self.reserve -= assets
        self.solvency.released_at = now
        to_stakers = assets * self.staker_share_ppm // PPM
        if to_stakers:
            self.staking.add_income(to_stakers, now)
        return to_stakers

    def release_backing(self, to: str, assets: int, now: int) -> None:
        """Pays the operator's second slice out."""
        if to == ZERO_ADDRESS:
            raise ModelError("ZeroAddress")
        if assets == 0:
            raise ModelError("ZeroAmount")
        if now < self.staking.held_until:
            raise ModelError("ShortfallOpen")
        if assets > self.backing:
            raise ModelError("BackingTooSmall", assets, self.backing)
        self.backing -= assets

    # ------------------------------------------------------------------ solvency

    def capital(self, now: int) -> int:
        """Everything a deficit can be paid from."""
        return self.total_capital + self.staking.slashable(now)

    def ratio(self, now: int, target: int) -> int:
        """floor(capital / target), WAD, at most 10; 0 without a target."""
        return min(self.capital(now) * WAD // target, RATIO_MAX) if target else 0

    def note_solvency(self, now: int, target: int) -> int:
        """Moves the lagged ratio on and keeps the surplus clock; `target` is the risk oracle's."""
        s = self.solvency
        ratio = self.ratio(now, target)
        s.lagged = s.lagged_now(now) if s.noted_at else ratio
        s.spot, s.noted_at = ratio, now
        if not target or self._owned <= -(-target * SURPLUS_RATIO // WAD):
            s.surplus_since = 0
        elif not s.surplus_since or s.surplus_events != self.events:
            s.surplus_since, s.surplus_events = now, self.events
        return s.lagged

    def new_target(self, now: int, target: int) -> None:
        """What `setRiskOracle` does before it changes the oracle, which said `target`."""
        if target:
            self.note_solvency(now, target)
        else:
            self.solvency = Solvency()

    def surplus(self, now: int, target: int) -> tuple[int, int]:
        """What may leave the reserve now, and since when the fund is seen to be full enough."""
        s = self.solvency
        if not s.surplus_since or s.surplus_events != self.events:
            return 0, 0
        since = s.surplus_since
        if now < since + SURPLUS_TIME or now < s.released_at + RELEASE_TIME or target == 0:
            return 0, since
        needed = -(-target * SURPLUS_RATIO // WAD)
        return max(0, self._owned - needed) // RELEASE_PART, since

    @property
    def _owned(self) -> int:
        """What is there to stay: stake and second slice can leave and never make a surplus."""
        return self.reserve + self.compartments

    # ------------------------------------------------------------------ income

    def fund_reserve(self, assets: int, now: int = 0) -> None:
        """Anybody strengthens layer 2. `now` matters only to the clock of a gap."""
        if assets == 0:
            raise ModelError("ZeroAmount")
        self._check_total(self.reserve + assets)
        self.reserve += assets
        self.note_reserve_gap(now)

    def fund_backing(self, assets: int) -> None:
        """Anybody strengthens the operator's second slice."""
        if assets == 0:
            raise ModelError("ZeroAmount")
        self._check_total(self.backing + assets)
        self.backing += assets

    def fund_compartment(self, claimant: str, market: int, assets: int) -> None:
        """Anybody strengthens a market's compartment, up to its cap."""
        self._registered(claimant)
        room = self.market(claimant, market).compartment_room
        if assets > room:
            raise ModelError("AboveCompartmentCap", assets, room)
        if assets == 0:
            raise ModelError("ZeroAmount")
        self._check_total(self.compartments + assets)
        self._market(claimant, market).balance += assets
        self.compartments += assets

    def fund_stakers(self, assets: int, now: int) -> None:
        """Anybody adds to the stakers' income."""
        if assets == 0:
            raise ModelError("ZeroAmount")
        self.staking.add_income(assets, now)

    def receive_income(
        self, claimant: str, market: int, assets: int, now: int = 0
    ) -> tuple[int, int]:
        """Splits income: stakers, premiums, compartment to its cap, reserve; returns the last two.

        `now` matters only to the stakers' stream and to the clock of a gap.
        """
        self._registered(claimant)
        if assets == 0:
            raise ModelError("ZeroAmount")
        to_stakers = assets * self.staker_share_ppm // PPM
        assets -= to_stakers
        to_premium = self.premium.part(assets)
        assets -= to_premium
        to_compartment = min(assets, self.market(claimant, market).compartment_room)
        to_reserve = assets - to_compartment
        if to_compartment:
            self._check_total(self.compartments + to_compartment)
        if to_reserve:
            self._check_total(self.reserve + to_reserve)
        self.premium.budget += to_premium
        if to_compartment:
            self._market(claimant, market).balance += to_compartment
        self.compartments += to_compartment
        self.reserve += to_reserve
        if to_reserve:
            self.note_reserve_gap(now)
        if to_stakers:
            self.staking.add_income(to_stakers, now)
        return to_compartment, to_reserve

    # ------------------------------------------------------------------ waterfall

    def cover(
        self,
        claimant: str,
        claims: Sequence[tuple[int, int]],
        reward: int,
        now: int,
        *,
        payable: bool = True,
    ) -> Receipt:
        """Pays what the rules allow of `claims` (market, assets) and of the keeper's reward.

        With `payable=False` the token refuses to be sent to the claimant: if there is something to
        pay, the event costs nothing and has no number.
        """
        self._registered(claimant)
        draw = self._open(claimant, now)
        balances: dict[int, int] = {}
        shared: dict[int, int] = {}
        outside = EventCover(self.reinsurer, self.events + 1, dry=not payable)
        legs = []
        for market, wanted in claims:
            leg = self._draw_down(draw, claimant, market, wanted, now, balances, shared)
            arrived = outside.ask(claimant, market, wanted - leg.total, now)
            legs.append(replace(leg, reinsurance=arrived))
        paid_reward = 0
        if reward and claims:
            market = claims[0][0]
            draw.staked = draw.backing = 0  # they underwrite deficits, not fees
            leg = self._draw_down(draw, claimant, market, reward, now, balances, shared)
            paid_reward = leg.total
        if not payable and draw.from_compartments + draw.shared + outside.paid:
            return Receipt(0, tuple(Legs() for _ in claims), 0)
        loss = self._book(claimant, draw, balances, shared, now)
        if draw.from_staked + draw.from_backing + outside.paid:
            markets = tuple(market for market, _ in claims)
            self.recoveries[self.events] = Recovery(claimant, markets, tuple(legs), loss)
        return Receipt(self.events, tuple(legs), paid_reward)

    def recover(self, event_id: int, assets: int, now: int) -> None:
        """Money recovered for an event repays its layers in reverse order."""
        record = self.recoveries.get(event_id)
        if record is None:
            raise ModelError("UnknownReceipt", event_id)
        if assets > record.open:
            raise ModelError("AboveLoss", assets, record.open)
        if assets == 0:
            raise ModelError("ZeroAmount")
        start = record.recovered
        record.recovered += assets
        base = 0

        def part(loss: int) -> int:
            nonlocal base
            low, high = max(base, start), min(base + loss, record.recovered)
            base += loss
            return max(0, high - low)

        outside = part(sum(leg.reinsurance for leg in record.legs))
        to_budget = min(outside, self.premium.room)
        self.premium.budget += to_budget
        self.backing += part(sum(leg.backing for leg in record.legs))
        staked = part(sum(leg.staked for leg in record.legs))
        if staked:
            assert record.loss is not None
            self.staking.recover(record.loss, staked, now)
        to_reserve = outside - to_budget + part(sum(leg.reserve for leg in record.legs))
        if to_reserve:
            self.reserve += to_reserve
            self.note_reserve_gap(now)
        for market, leg in zip(record.markets, record.legs, strict=True):
            if amount := part(leg.compartment):
                self._market(record.claimant, market).balance += amount
                self.compartments += amount

    def preview_cover(self, claimant: str, market: int, assets: int, now: int) -> Legs:
        """What a claim of this size would be paid now."""
        own = self._draw_down(self._open(claimant, now), claimant, market, assets, now, {}, {})
        outside = EventCover(self.reinsurer, 0, dry=True)
        return replace(own, reinsurance=outside.ask(claimant, market, assets - own.total, now))

    def draw_room(self, claimant: str, market: int, now: int) -> tuple[int, int, int]:
        """Room of one claim, of the claimant's window and of the market's window."""
        c = self.claimant(claimant)
        m = self.market(claimant, market)
        return c.limits.per_claim, c.room(now), m.room(c.limits.window, now)

    # ------------------------------------------------------------------ views

    def claimant(self, claimant: str) -> Claimant:
        """The claimant, or an empty one."""
        return self.claimants.get(claimant) or Claimant()

    def market(self, claimant: str, market: int) -> Market:
        """The market, or an empty one."""
        return self.markets.get((claimant, market)) or Market()

    @property
    def total_capital(self) -> int:
        """Compartments, reserve and second slice; `staking.slashable(now)` is on top."""
        return self.reserve + self.compartments + self.backing

    # ------------------------------------------------------------------ inside

    def _registered(self, claimant: str) -> Claimant:
        c = self.claimants.get(claimant)
        if c is None:
            raise ModelError("NotClaimant", claimant)
        return c

    def _market(self, claimant: str, market: int) -> Market:
        return self.markets.setdefault((claimant, market), Market())

    def _store_claimant(self, claimant: str, limits: ClaimantLimits, now: int) -> None:
        c = self.claimants.setdefault(claimant, Claimant())
        c.bucket.settle(c.limits.per_window, c.limits.window, now)
        c.limits = limits

    def _store_market(self, claimant: str, market: int, limits: MarketLimits, now: int) -> None:
        m = self._market(claimant, market)
        m.bucket.settle(m.limits.per_window, self.claimants[claimant].limits.window, now)
        m.limits = limits

    def _open(self, claimant: str, now: int) -> _Draw:
        c = self.claimant(claimant)
        room = min(c.limits.per_claim, c.room(now))
        return _Draw(room, self.reserve, self.staking.slashable(now), self.backing)

    def _draw_down(
        self,
        draw: _Draw,
        claimant: str,
        market: int,
        wanted: int,
        now: int,
        balances: dict[int, int],
        shared: dict[int, int],
    ) -> Legs:
        """One claim; `balances` and `shared` hold what the event did to its markets so far."""
        m = self.market(claimant, market)
        window = self.claimant(claimant).limits.window
        balance = balances.get(market, m.balance)
        compartment = min(wanted, balance)
        balances[market] = balance - compartment
        draw.from_compartments += compartment
        market_room = max(0, m.room(window, now) - shared.get(market, 0))
        allowed = min(wanted - compartment, draw.room, market_room)
        reserve = min(allowed, draw.reserve)
        draw.reserve -= reserve
        staked = min(allowed - reserve, draw.staked)
        draw.staked -= staked
        draw.from_staked += staked
        backing = min(allowed - reserve - staked, draw.backing)
        draw.backing -= backing
        draw.from_backing += backing
        legs = Legs(compartment, reserve, staked, backing)
        draw.room -= legs.shared
        draw.shared += legs.shared
        shared[market] = shared.get(market, 0) + legs.shared
        return legs

    def _book(
        self,
        claimant: str,
        draw: _Draw,
        balances: dict[int, int],
        shared: dict[int, int],
        now: int,
    ) -> SlashResult | None:
        c = self.claimants[claimant]
        limits = c.limits
        for market, balance in balances.items():
            if balance != self.market(claimant, market).balance:
                self._market(claimant, market).balance = balance
        for market, amount in shared.items():
            if amount:
                m = self._market(claimant, market)
                m.bucket.fill(amount, m.limits.per_window, limits.window, now)
        if draw.shared:
            c.bucket.fill(draw.shared, limits.per_window, limits.window, now)
        self.reserve = draw.reserve
        loss = None
        if draw.from_staked:
            loss = self.staking.slash(draw.from_staked, now)
            self.reserve += loss.rest
        self.backing -= draw.from_backing
        self.compartments -= draw.from_compartments
        self.events += 1
        return loss

    @staticmethod
    def _check_total(value: int) -> None:
        if value > MAX_UINT112:
            raise ModelError("AboveMaximum", value, MAX_UINT112)
