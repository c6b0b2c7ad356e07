"""Exact integer twin of `contracts/reinsurance/CrashPut.sol`.

Amounts are integers in units of the fund's asset, prices WAD, times seconds since the epoch. Index
prices come from a function. Roles and the token are outside the model; the fund's premium budget is
inside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from .errors import ModelError
from .fund import InsuranceFund
from .reinsurance import MAX_UINT112, PPM

WAD = 10**18
DAY = 86_400
MAX_ACTIVE = 4
ACTIVATION_TIME = DAY
SETTLE_TIME = 3 * DAY
AGREEMENT_TIME = DAY
MAX_WRITING = 14 * DAY
MAX_LIFE = 366 * DAY
MAX_PRICE = 10**25
ZERO_ADDRESS = "0x" + "00" * 20

PriceSource = Callable[[int, int], tuple[int, int, bool]]
"""Index price of a market at a time, when it was observed, and whether it is of full validity;
(0, 0, False) if there is none."""


class State(IntEnum):
    """`ICrashPut.State`."""

    NONE = 0
    WRITING = 1
    WAITING = 2
    ACTIVE = 3
    EXPIRED = 4
    SETTLED = 5
    CANCELLED = 6


class Phase(IntEnum):
    """What is stored of a state; the rest follows from the time."""

    OPEN = 1
    ACTIVE = 2
    SETTLED = 3


@dataclass(frozen=True)
class Terms:
    """`ICrashPut.Terms`, field by field."""

    claimant: str
    market: int
    strike: int
    floor: int
    start_price: int
    size: int
    premium_rate: int
    write_until: int
    expiry: int

    def check(self, now: int) -> None:
        """Raises `InvalidTerms` with the first field that is wrong."""
        writing_ends, life_starts = now + MAX_WRITING, self.write_until + ACTIVATION_TIME
        wrong = (
            ("claimant", self.claimant == ZERO_ADDRESS),
            ("strike", not 0 < self.strike <= MAX_PRICE),
            ("floor", self.floor >= self.strike),
            ("startPrice", not self.strike <= self.start_price <= MAX_PRICE),
            ("size", not 0 < self.size <= MAX_UINT112),
            ("premiumRate", self.premium_rate > PPM),
            ("writeUntil", not now < self.write_until <= writing_ends),
            ("expiry", not life_starts < self.expiry <= self.write_until + MAX_LIFE),
        )
        for name, is_wrong in wrong:
            if is_wrong:
                raise ModelError("InvalidTerms", name)


@dataclass
class Series:
    """One put spread and its underwriters."""

    terms: Terms
    phase: Phase = Phase.OPEN
    written: int = 0
    paid: int = 0
    premium: int = 0
    positions: dict[str, int] = field(default_factory=dict)

    def state(self, now: int) -> State:
        """The state at a time."""
        if self.phase is Phase.SETTLED:
            return State.SETTLED
        if self.phase is Phase.ACTIVE:
            return State.ACTIVE if now < self.terms.expiry else State.EXPIRED
        if now > self.terms.write_until + ACTIVATION_TIME:
            return State.CANCELLED
        if self.written == self.terms.size:
            return State.WAITING
        if now < self.terms.write_until:
            return State.WRITING
        return State.WAITING if self.written else State.CANCELLED

    def value(self, price: int) -> int:
        """floor(written * (strike - max(price, floor)) / (strike - floor)); 0 above the strike."""
        strike, floor = self.terms.strike, self.terms.floor
        if price >= strike:
            return 0
        return self.written * (strike - max(price, floor)) // (strike - floor)

    def payable(self, price: int, now: int) -> int:
        """What it can still pay at this price; nothing from its expiry on."""
        if now >= self.terms.expiry:
            return 0
        return max(0, self.value(price) - self.paid)

    def part(self, position: int) -> int:
        """floor(position * (written - paid + premium) / written)."""
        return position * (self.written - self.paid + self.premium) // self.written

    def notional(self, decimals: int) -> int:
        """Base units (WAD) that the collateral stands for."""
        width = self.terms.strike - self.terms.floor
        return self.written * 10 ** (18 - decimals) * WAD // width


@dataclass
class CrashPut:
    """The whole state. `held` is what the contract holds, if nobody makes it a gift.

    Attributes:
        fund: whose reinsurer this is.
        price: the oracle.
    """

    fund: InsuranceFund
    price: PriceSource
    series: dict[int, Series] = field(default_factory=dict)
    active: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    held: int = 0
    owed_to_fund: int = 0

    def open(self, terms: Terms, now: int) -> int:
        """Opens a series; its number."""
        terms.check(now)
        number = len(self.series) + 1
        self.series[number] = Series(terms)
        return number

    def write(self, number: int, who: str, assets: int, now: int) -> None:
        """Adds collateral."""
        s = self._in_state(number, State.WRITING, now)
        if assets == 0:
            raise ModelError("ZeroAmount")
        room = s.terms.size - s.written
        if assets > room:
            raise ModelError("AboveSize", assets, room)
        s.written += assets
        s.positions[who] = s.positions.get(who, 0) + assets
        self.held += assets

    def activate(self, number: int, now: int) -> int:
        """Starts the cover and draws the premium; returns it."""
        s = self._in_state(number, State.WAITING, now)
        terms = s.terms
        price, _, agreed = self.price(terms.market, now)
        if not agreed:
            raise ModelError("PriceNotUsable", terms.market, 0)
        if price < terms.start_price:
            raise ModelError("BelowStartPrice", price, terms.start_price)
        running = self.active.get((terms.claimant, terms.market), [])
        if len(running) == MAX_ACTIVE:
            raise ModelError("TooManyActive", terms.claimant, terms.market)
        premium = s.written * terms.premium_rate // PPM
        if premium:
            self.fund.pay_premium(self, premium)
        self.active.setdefault((terms.claimant, terms.market), running).append(number)
        s.premium, s.phase = premium, Phase.ACTIVE
        self.held += premium
        return premium

    def settle(self, number: int, now: int, *, fund_takes: bool = True) -> int:
        """Ends an expired series; returns what the fund gets.

        With `fund_takes=False` the fund cannot take it now: it is owed.
        """
        s = self._in_state(number, State.EXPIRED, now)
        terms = s.terms
        price, observed_at, agreed = self.price(terms.market, now)
        rest = 0
        agreed = agreed or now >= terms.expiry + AGREEMENT_TIME
        if observed_at >= terms.expiry and agreed:
            rest = max(0, s.value(price) - s.paid)
        elif now < terms.expiry + SETTLE_TIME:
            raise ModelError("PriceNotUsable", terms.market, terms.expiry)
        s.paid += rest
        s.phase = Phase.SETTLED
        self.active[terms.claimant, terms.market].remove(number)
        if rest and fund_takes:
            self.fund.fund_reserve(rest, now)
            self.held -= rest
        elif rest:
            self.owed_to_fund += rest
        return rest

    def deliver(self, now: int) -> int:
        """Sends the fund what it is owed."""
        assets = self.owed_to_fund
        if assets == 0:
            raise ModelError("NothingToDeliver")
        self.fund.fund_reserve(assets, now)
        self.owed_to_fund = 0
        self.held -= assets
        return assets

    def withdraw(self, number: int, who: str, now: int) -> int:
        """Pays an underwriter's part; returns it."""
        s = self._known(number)
        state = s.state(now)
        if state not in (State.SETTLED, State.CANCELLED):
            raise ModelError("WrongState", number, int(state))
        mine = s.positions.get(who, 0)
        if mine == 0:
            raise ModelError("NothingToWithdraw", number, who)
        assets = s.part(mine)
        s.positions[who] = 0
        self.held -= assets
        return assets

    # ------------------------------------------------------------------ cover

    def pay(self, event_id: int, claimant: str, market: int, wanted: int, now: int) -> int:
        """Each running series pays what it can, oldest first; `event_id` is for the receipt."""
        price, _, _ = self.price(market, now)
        if price == 0:
            return 0
        total = 0
        for number in self.active.get((claimant, market), []):
            s = self.series[number]
            amount = min(s.payable(price, now), wanted - total)
            s.paid += amount
            total += amount
        self.held -= total
        return total

    def quote(self, claimant: str, market: int, wanted: int, now: int) -> int:
        """What `pay` would send now."""
        price, _, _ = self.price(market, now)
        return min(self._payable(claimant, market, price, now), wanted) if price else 0

    def capacity(self, claimant: str, market: int, now: int) -> int:
        """What all running series together could still pay, whatever the price."""
        return self._payable(claimant, market, 0, now)

    def position(self, number: int, who: str, now: int) -> tuple[int, int]:
        """What an underwriter has written and not withdrawn, and what `withdraw` would pay."""
        s = self._known(number)
        mine = s.positions.get(who, 0)
        ended = s.state(now) in (State.SETTLED, State.CANCELLED)
        return mine, s.part(mine) if mine and ended else 0

    # ------------------------------------------------------------------ inside

    def _payable(self, claimant: str, market: int, price: int, now: int) -> int:
        running = self.active.get((claimant, market), [])
        return sum(self.series[number].payable(price, now) for number in running)

    def _known(self, number: int) -> Series:
        if number not in self.series:
            raise ModelError("UnknownSeries", number)
        return self.series[number]

    def _in_state(self, number: int, needed: State, now: int) -> Series:
        s = self._known(number)
        state = s.state(now)
        if state is not needed:
            raise ModelError("WrongState", number, int(state))
        return s
