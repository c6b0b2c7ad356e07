"""What every section needs: names and units of the deployment, and the period."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from backstop.chain.deploy import System
from backstop.chain.units import from_units, from_wad
from backstop.store import Header, StoredEvent


@dataclass(frozen=True)
class Context:
    """The period `first` to `last` of a deployment, both blocks included."""

    system: System
    first: Header
    last: Header

    def inside(self, event: StoredEvent) -> bool:
        """Whether an event is of the period; earlier ones only set the scene."""
        return self.first.number <= event.block

    def market(self, number: int) -> str:
        """A market's name."""
        markets = self.system.record.markets
        return markets[number].name if number < len(markets) else f"market {number}"

    @property
    def scale(self) -> int:
        """WAD in one unit of the token."""
        return int(10 ** (18 - self.system.record.token_decimals))

    def tokens(self, units: int) -> str:
        """An amount in units of the token as whole tokens, exact."""
        return f"{from_units(units, self.system.record.token_decimals):f}"


def wad(amount: int) -> str:
    """A WAD amount as whole tokens or base units, exact."""
    return f"{from_wad(amount):f}"


@dataclass
class Checks:
    """What was verified, for the report's first page."""

    done: list[dict[str, Any]] = field(default_factory=list)

    def expect(self, name: str, holds: bool, detail: str) -> bool:
        """Keep the outcome of a check."""
        self.done.append({"name": name, "holds": bool(holds), "detail": detail})
        return bool(holds)

    @property
    def broken(self) -> list[str]:
        """The checks that failed."""
        return [f"{check['name']}: {check['detail']}" for check in self.done if not check["holds"]]
