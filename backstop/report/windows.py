"""Fair windows: which claims waited, and what the fund paid of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from backstop.report.context import Checks, Context, wad
from backstop.report.numbers import ppm
from backstop.store import StoredEvent


@dataclass
class FairWindows:
    """Windows of the period, checked against what the fund said it paid.

    Attributes:
        deferred: WAD that waits, by window and market.
        paid: one row a market at the close of a window.
        sides, collected: WAD given back to sides, and to those who had left or joined them.
    """

    context: Context
    deferred: Counter[tuple[int, int]] = field(default_factory=Counter)
    paid: list[dict[str, Any]] = field(default_factory=list)
    sides: Counter[int] = field(default_factory=Counter)
    collected: Counter[tuple[int, int]] = field(default_factory=Counter)
    unmatched: list[str] = field(default_factory=list)
    _open: dict[int, int] = field(default_factory=dict)
    _covered: StoredEvent | None = None

    def apply(self, event: StoredEvent) -> None:
        """Take an event, in the period or before it: a window may be open since then."""
        if event.name == "FairWindowOpened":
            self._open[event["window"]] = event["closesAt"]
        elif event.name == "FairWindowPaid":
            self._open.pop(event["window"], None)
        if not self.context.inside(event):
            return
        handler = getattr(self, f"_on_{event.name}", None)
        if handler is not None:
            handler(event)

    def _on_ClaimDeferred(self, event: StoredEvent) -> None:
        self.deferred[event["window"], event["market"]] += event["amount"]

    def _on_Covered(self, event: StoredEvent) -> None:
        self._covered = event

    def _on_FairWindowPaid(self, event: StoredEvent) -> None:
        covered, self._covered = self._covered, None
        legs = dict(covered["legs"]) if covered is not None and event["eventId"] else {}
        if event["eventId"] and (
            covered is None
            or covered.transaction != event.transaction
            or covered["eventId"] != event["eventId"]
            or covered["market"] != event["market"]
        ):
            legs = {}
        name = self.context.market(event["market"])
        if sum(legs.values()) != event["paid"]:
            self.unmatched.append(f"{name} in window {event['window']}")
        self.paid.append(
            {
                "window": event["window"],
                "market": name,
                "block": event.block,
                "time": event.time,
                "event": event["eventId"],
                "claims": self.context.tokens(event["claims"]),
                "paid": self.context.tokens(event["paid"]),
                "sharePpm": ppm(event["paid"], event["claims"]),
                "legs": {k: self.context.tokens(v) for k, v in legs.items()},
            }
        )

    def _on_SideRepaid(self, event: StoredEvent) -> None:
        self.sides[event["market"]] += event["amount"]

    def _on_WindowCollected(self, event: StoredEvent) -> None:
        self.collected[event["window"], event["market"]] += event["amount"]

    def result(self, checks: Checks) -> dict[str, Any]:
        """The section."""
        checks.expect(
            "WINDOW_EVENTS",
            not self.unmatched,
            f"what {len(self.paid)} claims got at the close of a fair window is what the fund said"
            " it paid" + (f", but not {', '.join(self.unmatched)}" if self.unmatched else ""),
        )
        return {
            "open": [{"window": n, "closesAt": at} for n, at in sorted(self._open.items())],
            "deferred": [
                {"window": window, "market": self.context.market(market), "amount": wad(amount)}
                for (window, market), amount in sorted(self.deferred.items())
            ],
            "closed": self.paid,
            "repaidToSides": wad(sum(self.sides.values())),
            "collected": wad(sum(self.collected.values())),
        }
