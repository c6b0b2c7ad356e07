"""Errors of the risk library: each says what is wrong and what to do about it.

Every class derives from `RiskError`, itself a `ValueError`, so a command can catch one type and
print `error.reason` and `error.remedy` on separate lines instead of a traceback.
"""

from __future__ import annotations


class RiskError(ValueError):
    """A refusal with a reason and a remedy; `str(error)` holds both."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason} Remedy: {remedy}")
        self.reason = reason
        self.remedy = remedy


class BadInput(RiskError):
    """An argument is outside its domain (empty sample, level outside (0, 1), negative size ...)."""


class TooFewTailPoints(RiskError):
    """Fewer observations beyond the level or threshold than the estimator can live with."""


class FitDidNotConverge(RiskError):
    """The optimiser stopped where the likelihood has no interior maximum."""


class InfiniteMean(RiskError):
    """The fitted tail has shape >= 1: its expected shortfall and stop-loss premium are infinite."""


class BelowThreshold(RiskError):
    """A level or retention lies below the threshold, where the tail fit says nothing."""


class BadSeries(RiskError):
    """A price file is unusable; `row` is the 1-based line in the file (the header is line 1)."""

    def __init__(self, reason: str, remedy: str, row: int | None = None) -> None:
        super().__init__(reason if row is None else f"row {row}: {reason}", remedy)
        self.row = row


class EnvelopeViolated(RiskError):
    """Worst price step + funding + surcharge + reward exceed the maintenance margin."""


class Infeasible(RiskError):
    """The asked-for budget cannot be raised from what is there."""
