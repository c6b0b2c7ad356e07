"""What a transaction of the keeper is: what it is for, its signed forms, and how it ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol


class CannotSend(RuntimeError):
    """Nothing was sent, for a reason that passes; the message says which.

    Attributes:
        reason: one word for the metrics.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Taken(Protocol):
    """What an intent and an offer have in common."""

    @property
    def way(self) -> str:
        """One of the ways."""
        ...

    @property
    def market(self) -> int:
        """Its number."""
        ...

    @property
    def margin(self) -> float:
        """Of the keeper's account, tokens."""
        ...

    @property
    def notional(self) -> float:
        """Of what is moved, tokens."""
        ...


@dataclass(frozen=True)
class Intent:
    """What a transaction is for.

    Attributes:
        way: one of the ways, `poke`, or `cancel`.
        account: who is liquidated; empty if nobody.
        market: number, or -1.
        gas: limit.
        expected_gas: what it will use.
        profit: expected, in tokens, after gas.
        margin: of the keeper's account that it will bind, in tokens.
        notional: of what it moves, in tokens.
    """

    way: str
    account: bytes
    market: int
    to: str
    data: bytes
    gas: int
    expected_gas: int
    profit: float = 0.0
    margin: float = 0.0
    notional: float = 0.0


@dataclass
class Bound:
    """What transactions under way, and those decided on in the same look, will take.

    Attributes:
        margin: of the keeper's account, tokens.
        notional: of the positions it takes, tokens, by market.
        inventory: markets whose room under the backstop's caps is somebody's already.
        loss: what is expected to be lost on them, tokens; those under way are in the budget.
    """

    margin: float = 0.0
    notional: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    inventory: set[int] = field(default_factory=set)
    loss: float = 0.0

    def add(self, what: Taken, markets: Iterable[int] = ()) -> None:
        """One more of them; `markets` are those of the account, where it is known."""
        self.margin += what.margin
        if what.way in ("take-over", "buy"):
            self.notional[what.market] += what.notional
        if what.way in ("backstop", "backstop close-out"):
            self.inventory |= {what.market, *markets}


@dataclass
class Attempt:
    """One signed form of a transaction."""

    hash: str
    raw: bytes
    max_fee: int
    priority_fee: int
    at: float


@dataclass
class Pending:
    """A nonce that is in use, with everything signed for it."""

    nonce: int
    intent: Intent
    attempts: list[Attempt] = field(default_factory=list)
    block: int = 0
    mined_in: int = 0
    capped: bool = False

    @property
    def last(self) -> Attempt:
        """The newest form."""
        return self.attempts[-1]


@dataclass(frozen=True)
class Outcome:
    """How a transaction ended: `mined`, `reverted`, `cancelled`, or `lost` to another transaction
    of the same nonce.
    """

    pending: Pending
    kind: str
    receipt: dict[str, Any] | None = None
    error: Exception | None = None
