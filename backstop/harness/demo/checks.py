"""The invariants that the demo checks on the chain, exact to the wei; names as in DESIGN section 6.

CONSERVATION and NO_MINT after every step, WATERFALL_ORDER, DRAW_LIMITS and RECEIPT_EXACT after
every close-out, ZERO_SUM and FLAT_UNTOUCHED at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from backstop.harness.demo.book import FLAT
from backstop.harness.demo.stage import Seen, Stage
from backstop.harness.demo.tally import Shortfall
from backstop.harness.rpc import Receipt

DUST_LIMIT = 10**15
"""Dust above a thousandth of a token is no rounding any more."""

ZERO_SUM_DUST = 10**6
"""Wei of base by which the sides may differ: a few for every position ever rounded."""


@dataclass(frozen=True)
class Books:
    """The engine's books beside its tokens; all WAD.

        tokens * scale = collateral + quote + value of sizes + fees - recorded + dust

    Attributes:
        sizes: sum of size * mark: nothing but the rounding of the sides, since longs equal shorts.
        dust: what rounding left with the engine.
    """

    tokens: int
    scale: int
    collateral: int
    quote: int
    sizes: int
    fees: int
    recorded: int

    @property
    def claims(self) -> int:
        """Sum of the equities."""
        return self.collateral + self.quote + self.sizes

    @property
    def dust(self) -> int:
        """Tokens that nobody can claim."""
        return self.tokens * self.scale + self.recorded - self.claims - self.fees


@dataclass
class Checks:
    """Counts what was checked and keeps what was broken.

    Attributes:
        done: checks by invariant.
        broken: sentences; empty if all is well.
        dust: of the last step, WAD.
    """

    stage: Stage
    done: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    dust: int = 0

    def expect(self, invariant: str, holds: bool, message: str) -> None:
        """Count a check; keep the sentence if it fails."""
        self.done[invariant] = self.done.get(invariant, 0) + 1
        if not holds:
            self.broken.append(f"{invariant} at {self.stage.now}: {message}")

    def after_step(self, seen: Seen) -> None:
        """Tokens of engine and fund against their ledgers, and the sum of equities."""
        equity = sum(health.equity for health in seen.health)
        fees = sum(m.fundFees + m.treasuryFees for m in seen.markets)
        recorded = sum(m.recordedDeficit for m in seen.markets)
        self.dust = seen.engine_tokens * self.stage.scale + recorded - equity - fees
        self.expect(
            "NO_MINT",
            self.dust >= 0,
            f"equities {equity} + fees {fees} exceed the tokens plus recorded deficits by"
            f" {-self.dust} wei",
        )
        self.expect(
            "CONSERVATION", self.dust < DUST_LIMIT, f"{self.dust} wei of the engine's tokens lost"
        )
        fund = seen.fund
        self.expect(
            "CONSERVATION",
            fund.tokens == fund.total == sum(fund.compartments) + fund.reserve,
            f"the fund holds {fund.tokens}, its ledger says {fund.total}, its layers"
            f" {sum(fund.compartments) + fund.reserve}",
        )

    def after_close_out(self, shortfall: Shortfall, receipt: Receipt) -> None:
        """The receipt's sum, and that no layer was touched before the one above it was empty."""
        self.expect(
            "RECEIPT_EXACT",
            shortfall.exact,
            f"legs {dict(shortfall.legs)} do not sum to the deficit {shortfall.deficit}",
        )
        covered = receipt.find("Covered", self.stage.system.fund.address)
        drawn = sum(event.legs.reserve for event in covered)
        fund = self.stage.fund()
        limits = self.stage.scenario.parameters.fund.engine
        per_claim = int(limits.per_claim * 10**self.stage.system.record.token_decimals)
        self.expect("DRAW_LIMITS", drawn <= per_claim, f"{drawn} drawn, {per_claim} allowed")
        limited = any(event.claimed > sum(event.legs) for event in covered)
        left = shortfall.legs["side"] + shortfall.legs["recorded"]
        self.expect(
            "WATERFALL_ORDER",
            limited or not left or not shortfall.event,
            f"event {shortfall.event} left {left} wei to the opposite side although the fund paid"
            " every claim in full",
        )
        for event in covered:
            empty = fund.compartments[event.market] == 0
            self.expect(
                "WATERFALL_ORDER",
                empty or not event.legs.reserve,
                f"event {event.eventId} drew the reserve while the compartment held"
                f" {fund.compartments[event.market]}",
            )
            unpaid = event.claimed - sum(event.legs)
            if unpaid:
                room = self.stage.system.fund.drawRoom(
                    self.stage.system.engine.address, event.market
                )
                closed = fund.reserve == 0 or drawn == per_claim or min(room[1:]) == 0
                self.expect(
                    "WATERFALL_ORDER",
                    empty and closed,
                    f"event {event.eventId} left {unpaid} to the opposite side while the fund"
                    " could still pay",
                )

    def at_the_end(self, states: Sequence[Any], seen: Seen) -> Books:
        """Sides against positions, flat accounts, and the engine's books line by line."""
        for number, market in enumerate(seen.markets):
            sizes = [p.size for s in states for p in s.positions if p.market == number]
            longs = sum(size for size in sizes if size > 0)
            shorts = -sum(size for size in sizes if size < 0)
            self.expect(
                "ZERO_SUM",
                longs <= market.openLong <= market.openShort <= longs + ZERO_SUM_DUST
                and market.openShort <= shorts + ZERO_SUM_DUST
                and shorts <= longs + ZERO_SUM_DUST,
                f"{self.stage.names[number]}: longs {longs} of {market.openLong},"
                f" shorts {shorts} of {market.openShort}",
            )
        for one, state in zip(self.stage.plan.participants, states, strict=True):
            if one.kind == FLAT:
                self.expect(
                    "FLAT_UNTOUCHED",
                    state.collateral == one.collateral * self.stage.scale == state.equity,
                    f"{one.name} deposited {one.collateral * self.stage.scale} and has"
                    f" {state.collateral}",
                )
        books = Books(
            tokens=seen.engine_tokens,
            scale=self.stage.scale,
            collateral=sum(s.collateral for s in states),
            quote=sum(p.quote for s in states for p in s.positions),
            sizes=sum(p.value - p.quote for s in states for p in s.positions),
            fees=sum(m.fundFees + m.treasuryFees for m in seen.markets),
            recorded=sum(m.recordedDeficit for m in seen.markets),
        )
        equity = sum(state.equity for state in states)
        self.expect(
            "CONSERVATION",
            0 <= books.dust < DUST_LIMIT and equity == books.claims,
            f"books {books} leave {books.dust} wei",
        )
        return books
