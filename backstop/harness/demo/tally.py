"""What happened, counted from the contracts' events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backstop.harness.rpc import Receipt

CENT = 10**16
"""WAD of a hundredth of a token: less than this is rounding and no charge worth telling."""

LAYERS = ("compartment", "reserve", "staked", "backing", "reinsurance", "side", "recorded")
"""The waterfall below the account's own margin: layers 1 to 6."""


@dataclass(frozen=True)
class Shortfall:
    """A bankrupt account's end; all amounts WAD.

    Attributes:
        time: of the step.
        name: whose account.
        how: torn up against the opposite side, or taken by a keeper.
        closed: (market, base) that was closed, signed as held.
        legs: what each layer paid.
    """

    time: int
    name: str
    account: bytes
    how: str
    event: int
    deficit: int
    legs: Mapping[str, int]
    closed: tuple[tuple[int, int], ...]

    @property
    def exact(self) -> bool:
        """RECEIPT_EXACT: the legs sum to the deficit."""
        return sum(self.legs.values()) == self.deficit

    @property
    def fully_covered(self) -> bool:
        """The fund paid all of it."""
        outside = self.legs["side"] + self.legs["recorded"]
        return self.deficit > 0 and outside == 0 and self.exact


@dataclass
class Tally:
    """Counts and sums of a run; sums are WAD unless their name says `assets`.

    Attributes:
        counts: outcomes by their names in `backstop.harness.scenario.OUTCOMES`, and others.
        refused: contracts' errors by name; a keeper may lose a race, a trader its margin.
        sums: fees, surcharges, rewards, charges by name.
        market_sums: the same by (name, market).
        sold: net base that liquidations sold in this step, by market; emptied by the reader.
        gas: used by everybody, and the number of transactions.
        owners: account to name.
    """

    owners: Mapping[bytes, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    sums: Counter[str] = field(default_factory=Counter)
    market_sums: Counter[tuple[str, int]] = field(default_factory=Counter)
    sold: Counter[int] = field(default_factory=Counter)
    shortfalls: list[Shortfall] = field(default_factory=list)
    liquidated: set[bytes] = field(default_factory=set)
    gas: int = 0

    def add(self, name: str, market: int, amount: int) -> None:
        """Book an amount under a name."""
        self.sums[name] += amount
        self.market_sums[name, market] += amount

    def transaction(self, receipt: Receipt) -> None:
        """Book everything a transaction's events say, whoever sent it."""
        self.counts["transactions"] += 1
        self.gas += receipt.gas_used
        for event in receipt.events:
            handler = getattr(self, f"_on_{event.name}", None)
            if handler is not None:
                handler(event)

    def _on_Traded(self, event: Any) -> None:
        self.counts["trades"] += 1
        self.add("trading fees", event.market, event.makerFee + event.takerFee)

    def _on_Liquidated(self, event: Any) -> None:
        self.liquidated.add(event.account)
        self.add("surcharges", event.market, event.surcharge)
        self.add("rewards", event.market, event.reward)

    def _on_SideCharged(self, event: Any) -> None:
        self.counts["charges"] += 1
        side = "longs" if event.longs else "shorts"
        self.add(f"charged to {side}", event.market, event.amount)

    def _on_DeficitRecorded(self, event: Any) -> None:
        self.counts["recorded"] += 1
        self.add("recorded", event.market, event.amount)

    def _on_DeficitRepaid(self, event: Any) -> None:
        self.counts["repaid"] += 1
        self.add("repaid", event.market, event.amount)

    def _on_Covered(self, event: Any) -> None:
        if event.legs.reserve:
            self.counts["reserve_draws"] += 1
        if event.legs.staked:
            self.counts["stake_draws"] += 1
        self.add("assets from compartment", event.market, event.legs.compartment)
        self.add("assets from reserve", event.market, event.legs.reserve)
        self.add("assets from staked", event.market, event.legs.staked)

    def _on_IncomeReceived(self, event: Any) -> None:
        self.add("assets to compartment", event.market, event.toCompartment)
        self.add("assets to reserve", event.market, event.toReserve)

    def _on_KeeperRewardPaid(self, event: Any) -> None:
        self.add("assets for close-outs", event.market, event.assets)

    def _on_Flagged(self, event: Any) -> None:
        self.counts["flagged"] += 1

    def _on_SideEnded(self, event: Any) -> None:
        self.counts["sides_ended"] += 1

    def _on_CoverFailed(self, event: Any) -> None:
        self.counts["cover_failed"] += 1

    def liquidation(self, receipt: Receipt, way: str, held: int) -> None:
        """Book a liquidation of a solvent account.

        Args:
            receipt: of the transaction.
            way: take_overs, order_liquidations or deleverages.
            held: signed base of the position before.
        """
        event = receipt.one("Liquidated")
        self.counts[way] += 1
        if abs(event.size) < abs(held):
            self.counts["partial_liquidations"] += 1
        else:
            self.counts["whole_liquidations"] += 1
        if way == "deleverages":
            self.add("deleveraged", event.market, abs(event.size))
        else:
            self.sold[event.market] += event.size

    def close_out(
        self,
        receipt: Receipt,
        time: int,
        taken: bool,
        positions: tuple[tuple[int, int], ...],
    ) -> Shortfall | None:
        """Book a close-out; None if it has to wait for a market without a usable price.

        Args:
            receipt: of the transaction.
            time: of the step.
            taken: a keeper took the positions.
            positions: (market, base) the account held.
        """
        found = receipt.find("ShortfallResolved")
        if not found:
            self.counts["postponed"] += 1
            return None
        event, r = found[0], found[0].receipt
        legs = {
            "compartment": r.compartment,
            "reserve": r.reserve,
            "staked": r.staked,
            "backing": r.backing,
            "reinsurance": r.reinsurance,
            "side": r.sideCharged,
            "recorded": r.recorded,
        }
        shortfall = Shortfall(
            time=time,
            name=self.owners.get(event.account, "0x" + event.account.hex()),
            account=event.account,
            how="taken" if taken else "torn up",
            event=r.eventId,
            deficit=r.deficit,
            legs=legs,
            closed=positions,
        )
        self.liquidated.add(event.account)
        self.shortfalls.append(shortfall)
        self.counts["close_outs"] += 1
        self.counts["fully_covered"] += shortfall.fully_covered
        for layer, amount in legs.items():
            self.sums[f"layer {layer}"] += amount
        for market, base in positions:
            if taken:
                self.sold[market] += base
            else:
                self.add("torn up", market, abs(base))
        if not taken and any(base for _, base in positions):
            self.counts["tear_ups"] += 1
            self.counts["side_charges"] += legs["side"] >= CENT
        return shortfall
