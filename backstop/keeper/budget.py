"""What gas may cost: fees inside a cap, and a budget by the hour and the day."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from backstop.chain.units import PPM
from backstop.keeper.config import COIN, GasConfig

_HOUR = 3600
_DAY = 86_400
_SWEEP = 60
"""Seconds between two looks for what is older than a day."""


@dataclass
class Fees:
    """EIP-1559 fees in wei a gas: twice the base fee, which lasts for six full blocks, and a tip.

    Attributes:
        base_fee: of the newest block.
    """

    gas: GasConfig
    base_fee: int = 0

    def now(self) -> tuple[int, int]:
        """Largest fee and priority fee of a new transaction, at most the cap."""
        priority = self.gas.priority_fee
        return min(self.gas.max_fee, 2 * self.base_fee + priority), priority

    @property
    def too_high(self) -> bool:
        """The network asks for more than the cap allows."""
        return self.base_fee + self.gas.priority_fee > self.gas.max_fee

    @property
    def price(self) -> int:
        """What a gas costs now."""
        return self.base_fee + self.gas.priority_fee

    def bumped(self, max_fee: int, priority: int) -> tuple[int, int] | None:
        """Fees that replace these; None where the cap forbids it. Rounded up."""

        def up(fee: int) -> int:
            return max(fee + 1, -(-fee * (PPM + self.gas.bump_ppm) // PPM))

        wanted, tip = self.now()
        fees = max(wanted, up(max_fee)), max(tip, up(priority))
        return None if fees[0] > self.gas.max_fee else (fees[0], min(fees))


def _micros(tokens: float) -> int:
    """Millionths of a token: integers add up to nothing again when they are taken back."""
    return round(tokens * 1e6)


@dataclass
class _Cost:
    wei: int
    at: float
    profit: float


@dataclass
class Budget:
    """Wei that transactions may cost in any hour and any day; those under way count in full.

    Attributes:
        per_hour, per_day: limits.
    """

    per_hour: int
    per_day: int
    _costs: dict[int, _Cost] = field(default_factory=dict)
    _wei: Counter[int] = field(default_factory=Counter)
    _lost: Counter[int] = field(default_factory=Counter)
    _swept: float = 0.0

    def reserve(self, nonce: int, wei: int, at: float, profit: float) -> None:
        """A transaction that may cost so much leaves; a second form of it replaces the first."""
        self._set(nonce, _Cost(wei, at, profit))

    def settle(self, nonce: int, wei: int, at: float) -> None:
        """A transaction has cost so much."""
        known = self._costs.get(nonce)
        self._set(nonce, _Cost(wei, at, known.profit if known else 0.0))
        if at - self._swept > _SWEEP:
            self._swept = at
            for old in [n for n, cost in self._costs.items() if at - cost.at > _DAY]:
                self._book(self._costs.pop(old), -1)

    def _set(self, nonce: int, cost: _Cost) -> None:
        if (known := self._costs.get(nonce)) is not None:
            self._book(known, -1)
        self._costs[nonce] = cost
        self._book(cost, 1)

    def _book(self, cost: _Cost, sign: int) -> None:
        """Sums by second, so that hundreds of transactions a block are not added up each time."""
        second = int(cost.at)
        for book, amount in ((self._wei, cost.wei), (self._lost, _micros(-cost.profit))):
            book[second] += sign * max(0, amount)
            if not book[second]:
                del book[second]

    def spent(self, seconds: int, now: float) -> int:
        """Wei of the last so many seconds."""
        return sum(wei for second, wei in self._wei.items() if now - second < seconds)

    def lost(self, now: float) -> float:
        """Tokens that the last day's transactions were expected to lose."""
        return sum(lost for second, lost in self._lost.items() if now - second < _DAY) / 1e6

    def left(self, now: float) -> int:
        """Wei that may be spent now."""
        hour, day = self.spent(_HOUR, now), self.spent(_DAY, now)
        return max(0, min(self.per_hour - hour, self.per_day - day))

    def refuses(self, wei: int, now: float) -> str | None:
        """Why so much may not be spent; None if it may."""
        for name, limit, seconds in (
            ("hour", self.per_hour, _HOUR),
            ("day", self.per_day, _DAY),
        ):
            spent = self.spent(seconds, now)
            if spent + wei > limit:
                return (
                    f"the gas budget of the {name} is used up: {spent / COIN:.6g} of"
                    f" {limit / COIN:.6g} coins, the next transaction may cost {wei / COIN:.6g}."
                    f" Raise gas.per_{name}, or wait"
                )
        return None
