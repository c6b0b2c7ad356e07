"""Every bankrupt account: its deficit, and which layer paid what of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from backstop.report.context import Checks, Context, wad
from backstop.report.numbers import ppm
from backstop.store import StoredEvent

LAYERS = {
    "compartment": "1 market's own income and compartment",
    "reserve": "2 operator's reserve",
    "staked": "3 stakers",
    "backing": "3 second slice, behind the stakers",
    "reinsurance": "4 reinsurance",
    "sideCharged": "5 opposite side",
    "recorded": "6 recorded deficit",
}
"""Legs of a receipt in the order of the waterfall; a leg that is not here comes under its name."""

_NO_LEGS = ("eventId", "deficit")


@dataclass
class _Parts:
    """What the events of one close-out say, gathered until its receipt comes."""

    transaction: str = ""
    covered: list[StoredEvent] = field(default_factory=list)
    reward: int = 0
    charged: int = 0
    recorded: int = 0
    closed: list[StoredEvent] = field(default_factory=list)
    stored: list[StoredEvent] = field(default_factory=list)
    deferred: list[StoredEvent] = field(default_factory=list)


@dataclass
class Waterfall:
    """Receipts of the period, checked against the events around them."""

    context: Context
    rows: list[dict[str, Any]] = field(default_factory=list)
    paid: Counter[str] = field(default_factory=Counter)
    deficits: int = 0
    others: list[dict[str, Any]] = field(default_factory=list)
    failures: int = 0
    inexact: list[int] = field(default_factory=list)
    unmatched: list[int] = field(default_factory=list)
    _parts: _Parts = field(default_factory=_Parts)

    def apply(self, event: StoredEvent) -> None:
        """Take an event of the period."""
        if event.transaction != self._parts.transaction:
            self._parts = _Parts(event.transaction)
        handler = getattr(self, f"_on_{event.name}", None)
        if handler is not None:
            handler(event)

    def _on_Covered(self, event: StoredEvent) -> None:
        if event["claimant"] == self.context.system.engine.address:
            self._parts.covered.append(event)
            return
        self.others.append(
            {
                "block": event.block,
                "claimant": event["claimant"],
                "market": event["market"],
                "event": event["eventId"],
                "claimed": self.context.tokens(event["claimed"]),
                "legs": {k: self.context.tokens(v) for k, v in event["legs"].items()},
            }
        )

    def _on_FairWindowPaid(self, event: StoredEvent) -> None:
        """What the fund just paid to a window is no part of the receipt of a close-out."""
        covered = self._parts.covered
        self._parts.covered = [e for e in covered if e["eventId"] != event["eventId"]]

    def _on_CoverFailed(self, event: StoredEvent) -> None:
        self.failures += 1

    def _on_FundPaid(self, event: StoredEvent) -> None:
        self._parts.reward = event["rewardAssets"]

    def _on_SideCharged(self, event: StoredEvent) -> None:
        self._parts.charged += event["amount"]

    def _on_DeficitRecorded(self, event: StoredEvent) -> None:
        self._parts.recorded += event["amount"]

    def _on_Deleveraged(self, event: StoredEvent) -> None:
        self._parts.closed.append(event)

    def _on_InventoryTaken(self, event: StoredEvent) -> None:
        self._parts.stored.append(event)

    def _on_ClaimDeferred(self, event: StoredEvent) -> None:
        self._parts.deferred.append(event)

    def _on_ShortfallResolved(self, event: StoredEvent) -> None:
        parts, receipt = self._parts, dict(event["receipt"])
        self._parts = _Parts(event.transaction)
        legs = {name: value for name, value in receipt.items() if name not in _NO_LEGS}
        number = len(self.rows) + 1
        exact = sum(legs.values()) == receipt["deficit"]
        matched = (
            parts.charged == legs.get("sideCharged", 0)
            and parts.recorded == legs.get("recorded", 0)
            and self._fund_matches(parts, legs)
        )
        if not exact:
            self.inexact.append(number)
        if not matched:
            self.unmatched.append(number)
        self.deficits += receipt["deficit"]
        self.paid.update(legs)
        torn, stored, deferred = (
            [e for e in found if e["account"] == event["account"]]
            for found in (parts.closed, parts.stored, parts.deferred)
        )
        self.rows.append(
            {
                "number": number,
                "block": event.block,
                "time": event.time,
                "transaction": event.transaction,
                "account": event["account"],
                "keeper": event["keeper"],
                "event": receipt["eventId"],
                "how": self._how(torn, stored),
                "tornUp": self._sizes(torn),
                "intoInventory": self._sizes(stored),
                "waits": [
                    {"market": self.context.market(e["market"]), "amount": wad(e["amount"])}
                    for e in deferred
                ],
                "deficit": wad(receipt["deficit"]),
                "legs": {name: wad(value) for name, value in legs.items()},
                "sumOfLegs": wad(sum(legs.values())),
                "exact": exact,
                "keeperReward": self.context.tokens(parts.reward),
                "fundPaid": [
                    {
                        "market": self.context.market(e["market"]),
                        "claimed": self.context.tokens(e["claimed"]),
                        "legs": {k: self.context.tokens(v) for k, v in e["legs"].items()},
                    }
                    for e in parts.covered
                ],
            }
        )

    @staticmethod
    def _how(torn: list[StoredEvent], stored: list[StoredEvent]) -> str:
        if stored:
            return "into the inventory, the rest torn up" if torn else "into the inventory"
        return "torn up" if torn else "taken over, or without positions"

    def _sizes(self, events: list[StoredEvent]) -> list[dict[str, str]]:
        return [
            {"market": self.context.market(e["market"]), "size": wad(e["size"])} for e in events
        ]

    def _fund_matches(self, parts: _Parts, legs: dict[str, int]) -> bool:
        """The fund's own legs, in units, are the receipt's: less than a unit a claim apart.

        Layer 1 of the receipt also has income that the engine had not handed over yet.
        """
        slack = self.context.scale * max(1, len(parts.covered))
        for name in ("reserve", "staked", "backing", "reinsurance"):
            drawn = sum(e["legs"].get(name, 0) for e in parts.covered) * self.context.scale
            if not 0 <= drawn - legs.get(name, 0) < slack:
                return False
        drawn = sum(e["legs"]["compartment"] for e in parts.covered) * self.context.scale
        return drawn < legs.get("compartment", 0) + slack

    def result(self, checks: Checks) -> dict[str, Any]:
        """The section."""
        checks.expect(
            "RECEIPT_EXACT",
            not self.inexact,
            f"the legs of {len(self.rows)} receipts sum to their deficits"
            + (f", but not those of {self.inexact}" if self.inexact else ""),
        )
        checks.expect(
            "RECEIPT_EVENTS",
            not self.unmatched,
            f"the legs of {len(self.rows)} receipts are what fund and engine said they paid"
            + (f", but not those of {self.unmatched}" if self.unmatched else ""),
        )
        names = [*LAYERS, *sorted(set(self.paid) - set(LAYERS))]
        fund = sum(self.paid[name] for name in names if name not in ("sideCharged", "recorded"))
        accounts = {row["account"] for row in self.rows}
        return {
            "events": self.rows,
            "deficits": wad(self.deficits),
            "distinctAccounts": len(accounts),
            "coveragePpm": ppm(fund, self.deficits),
            "coversThatFailed": self.failures,
            "layers": [
                {
                    "layer": LAYERS.get(name, name),
                    "leg": name,
                    "paid": wad(self.paid[name]),
                    "sharePpm": ppm(self.paid[name], self.deficits),
                    "events": sum(1 for row in self.rows if row["legs"].get(name, "0") != "0"),
                }
                for name in names
            ],
            "otherClaimants": self.others,
        }
