"""What the twin did, as the contracts are compared with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backstop.model.errors import ModelError


@dataclass(frozen=True)
class Expected:
    """What the twin did: a result or an error, and what it showed afterwards."""

    kind: str
    result: Any
    error: ModelError | None
    shown: Mapping[str, Any] | None

    @property
    def outcome(self) -> str:
        """`ok`, or the error's name."""
        return "ok" if self.error is None else self.error.name
