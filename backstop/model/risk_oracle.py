"""Exact integer twin of `contracts/RiskOracle.sol`.

Amounts are integers in units of the fund's asset, times are seconds since the epoch. A method that
the contract would revert raises `ModelError` and changes nothing. Roles are outside the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .errors import ModelError

MAX_REPORTERS = 9
MAX_MARKETS = 64
MIN_TARGET = 10_000
QUARTER = 365 * 86_400 // 4
QUARTERS = 5
BPS = 10_000
PPM = 1_000_000
MAX_UINT128 = 2**128 - 1


@dataclass(frozen=True)
class Rules:
    """How reports become the target; see `IRiskOracle.Rules`."""

    quorum: int
    max_age: int
    per_day_bps: int
    per_update_bps: int
    floor_bps: int
    fallback_ppm: int

    def check(self) -> None:
        """Raises `InvalidRules` with the field that is wrong."""
        if not 0 < self.quorum <= MAX_REPORTERS:
            raise ModelError("InvalidRules", "quorum")
        if self.max_age == 0:
            raise ModelError("InvalidRules", "maxAge")
        if not 0 < self.per_day_bps <= BPS:
            raise ModelError("InvalidRules", "perDayBps")
        if not 0 < self.per_update_bps <= self.per_day_bps:
            raise ModelError("InvalidRules", "perUpdateBps")
        if self.floor_bps > BPS:
            raise ModelError("InvalidRules", "floorBps")


@dataclass(frozen=True)
class Report:
    """A reporter's last word."""

    target: int
    posted_at: int
    contributions: Mapping[int, int]


def upper_median(values: list[int]) -> int:
    """The middle value, the higher one of two."""
    return sorted(values)[len(values) // 2]


@dataclass
class RiskOracle:
    """The whole state. `exposure` is what the source answers, None if it does not."""

    rules: Rules
    value: int
    moved_at: int
    reporters: list[str] = field(default_factory=list)
    reports: dict[str, Report] = field(default_factory=dict)
    maxima: dict[int, int] = field(default_factory=dict)
    exposure: int | None = None

    @classmethod
    def deploy(cls, initial_target: int, rules: Rules, now: int) -> RiskOracle:
        """The oracle after its construction."""
        if initial_target < MIN_TARGET:
            raise ModelError("TargetTooSmall", initial_target, MIN_TARGET)
        rules.check()
        oracle = cls(rules, initial_target, now)
        oracle._remember(now)
        return oracle

    def post(self, reporter: str, target: int, contributions: Mapping[int, int], now: int) -> None:
        """Replaces the reporter's report."""
        if reporter not in self.reporters:
            raise ModelError("NotReporter", reporter)
        if target < MIN_TARGET:
            raise ModelError("TargetTooSmall", target, MIN_TARGET)
        if len(contributions) > MAX_MARKETS:
            raise ModelError("ReportTooLong", len(contributions), MAX_MARKETS)
        if target > MAX_UINT128:
            raise ModelError("AboveMaximum", target, MAX_UINT128)
        self.poke(now)
        self.reports[reporter] = Report(target, now, dict(contributions))

    def poke(self, now: int) -> int:
        """Moves the target as far as it may by now."""
        value, moved_at = self._moved(now)
        if (value, moved_at) != (self.value, self.moved_at):
            self.value, self.moved_at = value, moved_at
            self._remember(now)
        return value

    def set_reporter(self, reporter: str, allowed: bool, now: int) -> None:
        """Adds or removes a reporter; one that leaves loses its report."""
        if reporter in self.reporters:
            self.poke(now)
            if not allowed:
                i = self.reporters.index(reporter)
                self.reporters[i] = self.reporters[-1]
                self.reporters.pop()
                self.reports.pop(reporter, None)
            return
        if not allowed:
            raise ModelError("NotReporter", reporter)
        if len(self.reporters) == MAX_REPORTERS:
            raise ModelError("TooManyReporters")
        self.poke(now)
        self.reporters.append(reporter)

    def set_rules(self, rules: Rules, now: int) -> None:
        """Changes the rules; what the old ones allowed until now has moved."""
        rules.check()
        self.poke(now)
        self.rules = rules

    def target(self, now: int) -> int:
        """The capital target now."""
        return self._moved(now)[0]

    def wish(self, now: int) -> tuple[int, int]:
        """Where the target is going, and on how many fresh reports that rests."""
        values = [
            self.reports[r].target
            for r in self.reporters
            if r in self.reports and self._fresh(self.reports[r], now)
        ]
        if len(values) >= self.rules.quorum:
            wish = upper_median(values)
        else:
            wish = max(self.value, self._fallback())
        least = (self.highest(now) * self.rules.floor_bps + BPS - 1) // BPS
        return max(wish, least), len(values)

    def contribution(self, market: int, now: int) -> int:
        """Upper median of what the fresh reports say of one market."""
        values = [
            self.reports[r].contributions[market]
            for r in self.reporters
            if r in self.reports
            and self._fresh(self.reports[r], now)
            and market in self.reports[r].contributions
        ]
        return upper_median(values) if len(values) >= self.rules.quorum else 0

    def highest(self, now: int) -> int:
        """Highest target of the last four quarters and the present one."""
        quarter = now // QUARTER
        recent = [v for q, v in self.maxima.items() if q + QUARTERS > quarter]
        return max([self.value, *recent])

    def _moved(self, now: int) -> tuple[int, int]:
        rules, value, moved_at = self.rules, self.value, self.moved_at
        bps = rules.per_day_bps * (now - moved_at) // 86_400
        if bps == 0:
            return value, moved_at
        if bps > rules.per_update_bps:
            bps, moved_at = rules.per_update_bps, now
        else:
            moved_at += (bps * 86_400 + rules.per_day_bps - 1) // rules.per_day_bps
        wish, _ = self.wish(now)
        if wish > value:
            return min(wish, value * (BPS + bps) // BPS), moved_at
        return max(wish, value * (BPS - bps) // BPS), moved_at

    def _remember(self, now: int) -> None:
        quarter = now // QUARTER
        self.maxima[quarter] = max(self.maxima.get(quarter, 0), self.value)

    def _fallback(self) -> int:
        if self.exposure is None:
            return 0
        exposure = min(self.exposure, MAX_UINT128)
        return min(MAX_UINT128, (exposure * self.rules.fallback_ppm + PPM - 1) // PPM)

    def _fresh(self, report: Report, now: int) -> bool:
        return now - report.posted_at <= self.rules.max_age
