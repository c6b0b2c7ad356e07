"""The invariants that the demo checks on the chain, exact to the wei; names as in DESIGN section 6.

CONSERVATION and NO_MINT after every step, WATERFALL_ORDER, DRAW_LIMITS and RECEIPT_EXACT after
every close-out, ZERO_SUM and FLAT_UNTOUCHED at the end. Those of the stakers: `stake_checks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from backstop.harness.demo.book import FLAT
from backstop.harness.demo.stage import FundState, Seen, Stage
from backstop.harness.demo.stake_checks import StakeChecks
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

    def __post_init__(self) -> None:
        self.stake = StakeChecks(self.stage, self.expect)

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
        self.stake.after_step(seen)

    def after_close_out(self, shortfall: Shortfall, receipt: Receipt) -> None:
        """The receipt's sum, and that no layer was touched before the one above it was empty."""
        self.expect(
            "RECEIPT_EXACT",
            shortfall.exact,
            f"legs {dict(shortfall.legs)} do not sum to the deficit {shortfall.deficit}",
        )
        covered = receipt.find("Covered", self.stage.system.fund.address)
        drawn = sum(_shared(event.legs) for event in covered)
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
        # what is left of a series that a loss ends goes to the reserve, after everything was drawn
        rest = sum(event.rest for event in receipt.find("SeriesEnded"))
        for event in covered:
            self._order(event, fund, fund.reserve - rest, drawn >= per_claim)

    def _order(self, event: Any, fund: FundState, reserve: int, at_limit: bool) -> None:
        """No layer of this cover was touched while the one before it still held something."""
        empty = fund.compartments[event.market] == 0
        self.expect(
            "WATERFALL_ORDER",
            empty or not _shared(event.legs),
            f"event {event.eventId} drew the shared layers while the compartment held"
            f" {fund.compartments[event.market]}",
        )
        staked = fund.capital - fund.own
        self.expect(
            "WATERFALL_ORDER",
            (not reserve or not event.legs.staked) and (not staked or not event.legs.backing),
            f"event {event.eventId} drew {event.legs} while the reserve held {reserve}, the stakers"
            f" {staked}",
        )
        if unpaid := event.claimed - sum(event.legs):
            engine = self.stage.system.engine.address
            room = self.stage.system.fund.drawRoom(engine, event.market)
            drained = reserve + staked + fund.backing == 0
            self.expect(
                "WATERFALL_ORDER",
                empty and (drained or at_limit or min(room[1:]) == 0),
                f"event {event.eventId} left {unpaid} to the opposite side while the fund could"
                " still pay",
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
        self.stake.at_the_end(seen)
        equity = sum(state.equity for state in states)
        self.expect(
            "CONSERVATION",
            0 <= books.dust < DUST_LIMIT and equity == books.claims,
            f"books {books} leave {books.dust} wei",
        )
        return books


def _shared(legs: Any) -> int:
    """What the layers behind the compartment paid that count for the draw limits."""
    return int(legs.reserve + legs.staked + legs.backing)
