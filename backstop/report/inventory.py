"""The backstop's inventory: capital out with it, what it took and sold, what it is worth."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from backstop.report.context import Checks, Context, wad
from backstop.report.state import ChainState
from backstop.store import StoredEvent
from backstop.store.ledger import FundLedger

_BASE = {"InventoryTaken": "taken", "InventorySold": "sold", "InventoryUnwound": "unwound"}
_CAPITAL = {"CapitalDeployed": "deployed", "CapitalReleased": "released"}


@dataclass
class Inventory:
    """What happened in the period (base in WAD, capital in units), and the books since the start.

    Attributes:
        base: base by market and what became of it.
        capital: units by market and direction.
        invested: what the backstop's own events say is invested, by market.
    """

    context: Context
    base: Counter[tuple[int, str]] = field(default_factory=Counter)
    capital: Counter[tuple[int, str]] = field(default_factory=Counter)
    invested: Counter[int] = field(default_factory=Counter)

    def apply(self, event: StoredEvent) -> None:
        """Take an event, in the period or before it."""
        inside = self.context.inside(event)
        if event.contract == "liquidator" and event.name in _BASE:
            if inside:
                self.base[event["market"], _BASE[event.name]] += abs(event["size"])
        elif event.contract == "backstop":
            self._booked(event, inside)

    def _booked(self, event: StoredEvent, inside: bool) -> None:
        market = event.args.get("market", 0)
        if event.name == "LossReset":
            self.invested[market] -= event["writtenOff"]
            if inside:
                self.capital[market, "writtenOff"] += event["writtenOff"]
        elif "invested" in event.args:
            self.invested[market] = event["invested"]
            kind = _CAPITAL.get(event.name, "deficits")
            if inside:
                self.capital[market, kind] += event["assets"]

    def result(self, ledger: FundLedger, state: ChainState, checks: Checks) -> list[dict[str, Any]]:
        """The section: one entry a market in which the fund's account ever held anything."""
        engine, tokens = self.context.system.engine.address, self.context.tokens
        wrong, rows = [], []
        for number, held in enumerate(state.inventories):
            booked = tuple(
                ledger.deployed[engine, number, layer] for layer in ("compartment", "reserve")
            )
            if booked != state.deployed[number] or self.invested[number] != held.invested:
                wrong.append(self.context.market(number))
            used = any(market == number for market, _ in (*self.capital, *self.base))
            if not (used or any(booked) or held.invested or held.size or held.equity):
                continue
            worth = max(0, held.equity) // self.context.scale
            rows.append(
                {
                    "market": self.context.market(number),
                    "outOfCompartment": tokens(booked[0]),
                    "outOfReserve": tokens(booked[1]),
                    "invested": tokens(held.invested),
                    "worth": wad(held.equity),
                    "lost": tokens(max(0, held.invested - worth)),
                    "size": wad(held.size),
                    "price": wad(held.price),
                    "base": {k: wad(self.base[number, k]) for k in _BASE.values()},
                    "capital": {
                        k: tokens(self.capital[number, k])
                        for k in (*_CAPITAL.values(), "deficits", "writtenOff")
                    },
                }
            )
        checks.expect(
            "INVENTORY",
            not wrong,
            "capital that is out with the inventory, by the events of fund and backstop, is what"
            " both say" + (f", but not in {', '.join(wrong)}" if wrong else ""),
        )
        return rows
