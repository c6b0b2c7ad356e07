"""How accounts were liquidated: by whom, how fast, and what deleveraging cost the other side."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from backstop.report.context import Context, wad
from backstop.report.crossings import Step, section
from backstop.report.numbers import concentration, ppm, spread
from backstop.store import StoredEvent
from backstop.store.positions import WAD, PositionBook


@dataclass
class _Keeper:
    steps: int = 0
    close_outs: int = 0
    notional: int = 0
    rewards: int = 0
    waits: list[int] = field(default_factory=list)


@dataclass
class Liquidations:
    """Steps and close-outs of the period; clocks that were started before it count as well."""

    context: Context
    flagged: dict[str, tuple[int, int]] = field(default_factory=dict)
    keepers: dict[str, _Keeper] = field(default_factory=lambda: defaultdict(_Keeper))
    ways: Counter[str] = field(default_factory=Counter)
    accounts: set[str] = field(default_factory=set)
    notional: Counter[int] = field(default_factory=Counter)
    surcharges: Counter[int] = field(default_factory=Counter)
    first_waits: list[tuple[int, int]] = field(default_factory=list)
    without_clock: int = 0
    flags: int = 0
    moments: list[Step] = field(default_factory=list)
    _last_step: dict[str, int] = field(default_factory=dict)
    _reward: tuple[str, int] = ("", 0)
    _torn: tuple[str, str] = ("", "")
    _stored: tuple[str, str] = ("", "")
    _stopped: tuple[str, str, tuple[int, int]] = ("", "", (0, 0))

    def apply(self, event: StoredEvent) -> None:
        """Take an event, in the period or before it."""
        handler = getattr(self, f"_on_{event.name}", None)
        if handler is not None and event.contract in ("engine", "liquidator"):
            handler(event, self.context.inside(event))

    def _on_Flagged(self, event: StoredEvent, inside: bool) -> None:
        self.flagged[event["account"]] = (event.block, event.time)
        self.flags += inside

    def _on_Unflagged(self, event: StoredEvent, inside: bool) -> None:
        start = self.flagged.pop(event["account"], None)
        if start is not None:
            self._stopped = (event.transaction, event["account"], start)

    def _on_FundPaid(self, event: StoredEvent, inside: bool) -> None:
        self._reward = (event.transaction, event["rewardAssets"] * self.context.scale)

    def _on_Deleveraged(self, event: StoredEvent, inside: bool) -> None:
        self._torn = (event.transaction, event["account"])

    def _on_InventoryTaken(self, event: StoredEvent, inside: bool) -> None:
        self._stored = (event.transaction, event["account"])

    def _on_InventoryUnwound(self, event: StoredEvent, inside: bool) -> None:
        self.ways["inventory torn up"] += inside

    def _on_Liquidated(self, event: StoredEvent, inside: bool) -> None:
        if not inside:
            self._last_step[event["account"]] = event.block
            return
        notional = abs(event["size"]) * event["price"] // WAD
        self.ways[self._way(event)] += 1
        self.notional[event["market"]] += notional
        self.surcharges[event["market"]] += event["surcharge"]
        keeper = self.keepers[event["keeper"]]
        keeper.steps += 1
        keeper.notional += notional
        keeper.rewards += event["reward"]
        self._waited(event, keeper)

    def _way(self, event: StoredEvent) -> str:
        """What was told just before the step; a reward is paid where the keeper does not buy."""
        key = (event.transaction, event["account"])
        if self._stored == key:
            return "into the inventory"
        if self._torn == key:
            return "deleveraged"
        return "into orders" if event["reward"] else "taken over"

    def _on_ShortfallResolved(self, event: StoredEvent, inside: bool) -> None:
        if inside:
            self.ways["closed out"] += 1
            keeper = self.keepers[event["keeper"]]
            keeper.close_outs += 1
            if self._reward[0] == event.transaction:
                keeper.rewards += self._reward[1]
            self._waited(event, keeper)
        else:
            self._last_step[event["account"]] = event.block
        self.flagged.pop(event["account"], None)

    def _waited(self, event: StoredEvent, keeper: _Keeper) -> None:
        """Seconds and blocks since the account's clock started, at its first step."""
        account = event["account"]
        since = self._last_step.get(account, 0)
        self._last_step[account] = event.block
        if since != event.block:
            self.moments.append(Step(account, event["keeper"], event.block, event.time, since))
        self.accounts.add(account)
        start = self.flagged.get(account)
        if start is None and self._stopped[:2] == (event.transaction, account):
            start = self._stopped[
                2
            ]  # a step that restores health stops the clock before it is told
        if start is None or start[0] == event.block:
            self.without_clock += 1
            return
        keeper.waits.append(event.time - start[1])
        self.first_waits.append((event.time - start[1], event.block - start[0]))

    def result(self, crossings: bool) -> dict[str, Any]:
        """The section; with `crossings` the node is asked for past states."""
        steps = sum(k.steps + k.close_outs for k in self.keepers.values())
        notional = sum(self.notional.values())
        ranked = sorted(self.keepers.items(), key=lambda i: (-i[1].steps - i[1].close_outs, i[0]))
        return {
            "accounts": len(self.accounts),
            "steps": steps,
            "ways": {name: self.ways[name] for name in sorted(self.ways)},
            "flags": self.flags,
            "notional": wad(notional),
            "timeFromCrossing": section(self.context, self.moments) if crossings else None,
            "timeToLiquidate": {
                "measuredFrom": "the start of the account's liquidation clock (Flagged)",
                "seconds": spread([seconds for seconds, _ in self.first_waits]),
                "blocks": spread([blocks for _, blocks in self.first_waits]),
                "inTheBlockOfTheFlagOrWithout": self.without_clock,
            },
            "keepers": [
                {
                    "keeper": who,
                    "steps": k.steps,
                    "closeOuts": k.close_outs,
                    "sharePpm": ppm(k.steps + k.close_outs, steps),
                    "notional": wad(k.notional),
                    "rewards": wad(k.rewards),
                    "latencySeconds": spread(k.waits),
                }
                for who, k in ranked
            ],
        }


@dataclass
class Deleveraging:
    """What tear-ups and deficit charges took from the opposite side, account by account."""

    context: Context
    book: PositionBook
    tear_ups: int = 0
    charges: int = 0
    ended: int = 0
    torn_base: Counter[int] = field(default_factory=Counter)
    charged: Counter[int] = field(default_factory=Counter)

    def open_period(self) -> None:
        """Count accounts' shares from here."""
        self.book.settle()
        self.book.torn_up.clear()
        self.book.charged.clear()

    def apply(self, event: StoredEvent) -> None:
        """Take an event of the period, after the book has."""
        if event.name == "Deleveraged":
            self.tear_ups += 1
            self.torn_base[event["market"]] += event["opposite"]
        elif event.name == "SideCharged":
            self.charges += 1
            self.charged[event["market"]] += event["amount"]
        elif event.name == "SideEnded":
            self.ended += 1

    def result(self) -> dict[str, Any]:
        """The section; the book is settled up to the last block."""
        self.book.settle()
        return {
            "tearUps": self.tear_ups,
            "charges": self.charges,
            "sidesEnded": self.ended,
            "markets": [
                {
                    "market": self.context.market(number),
                    "tornUp": wad(self.torn_base[number]),
                    "charged": wad(self.charged[number]),
                }
                for number in self.book.markets()
            ],
            "notionalTornUp": shares(dict(self.book.torn_up)),
            "charged": shares(dict(self.book.charged)),
        }


def shares(amounts: dict[str, int]) -> dict[str, Any]:
    """Concentration of WAD amounts, as the report prints it."""
    found = concentration(amounts)
    found["total"] = wad(found["total"])
    found["largest"] = [{**row, "amount": wad(row["amount"])} for row in found["largest"]]
    return found
