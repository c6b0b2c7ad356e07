"""Choice of an engine for a book and its parameters."""

from __future__ import annotations

from typing import Literal

from ._engine import Engine
from .book import Book
from .dense import DenseEngine
from .envelope import EnvelopeEngine
from .errors import EngineError
from .model import SimulationParams
from .sweep import SweepEngine, why_not

EngineName = Literal["auto", "envelope", "sweep", "dense"]


def resolve_engine(book: Book, params: SimulationParams, name: EngineName = "auto") -> EngineName:
    """Return the engine that "auto" stands for: the sweep where it applies, else the envelope."""
    if name == "auto":
        return "envelope" if why_not(book, params) else "sweep"
    return name


def make_engine(book: Book, params: SimulationParams, name: EngineName = "auto") -> Engine:
    """Prepare a book for many paths. Raises EngineError for an unknown or unfit engine."""
    kinds: dict[str, type[Engine]] = {
        "envelope": EnvelopeEngine,
        "sweep": SweepEngine,
        "dense": DenseEngine,
    }
    kind = kinds.get(resolve_engine(book, params, name))
    if kind is None:
        raise EngineError(f"unknown engine {name!r}; choose from auto, {', '.join(kinds)}")
    return kind(book, params)
