"""Named errors of the simulation package: a message says what is wrong, where, what to do."""

from __future__ import annotations


class SimulationError(Exception):
    """Base of every error raised on purpose by `backstop.simulation`."""


class BookError(SimulationError, ValueError):
    """A book of accounts cannot be used."""


class BookShapeError(BookError):
    """Arrays of a book do not fit together."""


class BookValueError(BookError):
    """A number of a book is not finite, not positive where it must be, or contradicts another."""


class TierError(BookError):
    """A table of maintenance tiers is not a convex schedule starting at zero."""


class NotZeroSumError(BookError):
    """Long and short sizes of a market do not cancel."""


class BookFileError(BookError):
    """A stored book is missing, incomplete, or of another version."""


class ParameterError(SimulationError, ValueError):
    """A parameter of the model is out of range."""


class PathError(SimulationError, ValueError):
    """A price path or a source of paths cannot be used."""


class EngineError(SimulationError, ValueError):
    """The chosen engine does not cover the given book or parameters."""


class BackendError(SimulationError, RuntimeError):
    """Work could not be carried out by the chosen backend."""


class MissingExtraError(BackendError, ImportError):
    """An optional dependency is not installed; the message names the extra to install."""
