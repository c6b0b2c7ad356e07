"""Income and losses of the fund, the stakers' return, and the layers over time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from backstop.report.context import Context, wad
from backstop.report.numbers import concentration, ppm
from backstop.report.state import ChainState
from backstop.store import StoredEvent
from backstop.store.ledger import FundLedger
from backstop.store.positions import WAD

_ZERO = "0x" + "00" * 20
_POINTS = 400


@dataclass
class Income:
    """What traders paid, what reached the fund, and what deficits cost, by market (WAD)."""

    context: Context
    fees: Counter[int] = field(default_factory=Counter)
    surcharges: Counter[int] = field(default_factory=Counter)
    charged: Counter[int] = field(default_factory=Counter)
    notional: Counter[int] = field(default_factory=Counter)
    deficits: list[int] = field(default_factory=lambda: [0, 0])
    liquidated: list[int] = field(default_factory=lambda: [0, 0])
    repaid: int = 0
    recorded: Counter[int] = field(default_factory=Counter)

    def apply(self, event: StoredEvent) -> None:
        """Take an event; those before the period give the experience to compare with."""
        inside = self.context.inside(event)
        if event.name == "Liquidated" and event.contract == "liquidator":
            self.liquidated[inside] += abs(event["size"]) * event["price"] // WAD
            if inside:
                self.surcharges[event["market"]] += event["surcharge"]
        elif event.name == "ShortfallResolved":
            self.deficits[inside] += event["receipt"]["deficit"]
        elif event.name in ("DeficitRecorded", "DeficitRepaid"):
            self.recorded[event["market"]] = event["recorded"]
            if inside and event.name == "DeficitRepaid":
                self.repaid += event["amount"]
        elif event.name == "Traded" and inside:
            self.fees[event["market"]] += event["makerFee"] + event["takerFee"]
            self.notional[event["market"]] += event["base"] * event["fillPrice"] // WAD

    def result(self, ledger: FundLedger, markets: int) -> dict[str, Any]:
        """The section; the ledger's flows are those of the period."""
        tokens = self.context.tokens
        flows = ledger.flows
        drawn = ("compartment", "reserve", "stake", "backing")
        paid = {layer: -flows[layer, "deficits"] for layer in drawn}
        rewards = -(flows["compartment", "rewards"] + flows["reserve", "rewards"])
        layers = ("compartment", "reserve", "stake", "premium")
        income = {layer: flows[layer, "income"] for layer in layers}
        total = sum(income.values())
        expected = None
        if self.liquidated[0]:
            expected = self.deficits[0] * self.liquidated[1] // self.liquidated[0]
        return {
            "toFund": tokens(total),
            "toLayers": {layer: tokens(value) for layer, value in income.items()},
            "realisedLoss": {
                "deficits": wad(self.deficits[1]),
                "paidByFund": tokens(sum(paid.values())),
                "paidByLayer": {layer: tokens(value) for layer, value in paid.items()},
                "keeperRewards": tokens(rewards),
                "premiums": tokens(-flows["premium", "premiums"]),
            },
            "result": tokens(total - sum(paid.values()) - rewards + flows["premium", "premiums"]),
            "expectedLoss": {
                "method": "deficits over liquidated notional before the period, times the notional"
                " liquidated in it; none without such history",
                "amount": None if expected is None else wad(expected),
                "deficitPpmOfLiquidatedNotional": {
                    "before": ppm(self.deficits[0], self.liquidated[0]),
                    "inPeriod": ppm(self.deficits[1], self.liquidated[1]),
                },
            },
            "recordedRepaid": wad(self.repaid),
            "markets": [
                {
                    "market": self.context.market(number),
                    "traded": wad(self.notional[number]),
                    "tradingFees": wad(self.fees[number]),
                    "surcharges": wad(self.surcharges[number]),
                    "toCompartment": tokens(ledger.market_flows[number, "income"]),
                    "compartmentPaid": tokens(-ledger.market_flows[number, "deficits"]),
                    "recordedDeficit": wad(self.recorded[number]),
                }
                for number in range(markets)
            ],
        }


@dataclass
class Stakers:
    """Layer 3 from its owners' side. Amounts in units of the token, shares in shares."""

    context: Context
    shares: Counter[str] = field(default_factory=Counter)
    opening: int = 0
    weighted: int = 0
    slashed: int = 0
    requests: set[int] = field(default_factory=set)

    def open_period(self, ledger: FundLedger) -> None:
        """What the stake was worth when the period began."""
        self.opening = ledger.stake

    def apply(self, event: StoredEvent) -> None:
        """Take an event of the tranche."""
        if event.contract != "tranche":
            return
        if event.name == "Transfer":
            self.shares[event["from"]] -= event["value"]
            self.shares[event["to"]] += event["value"]
        elif event.name == "SeriesEnded":
            self.shares.clear()  # shares of a series that ended are worth nothing
        elif event.name == "RedeemRequest":
            self.requests.add(event["requestId"])
        if not self.context.inside(event):
            return
        left = self.context.last.time - event.time
        if event.name == "Deposit":
            self.weighted += event["assets"] * left
        elif event.name == "Withdraw":
            self.weighted -= event["assets"] * left
        elif event.name == "Slashed":
            self.slashed += event["loss"]

    def result(self, ledger: FundLedger, state: ChainState) -> dict[str, Any]:
        """The section. The return is Modified Dietz: gain over opening stake and weighted flows."""
        tokens, tranche = self.context.tokens, state.tranche
        flows, seconds = ledger.flows, self.context.last.time - self.context.first.time
        paid = flows["stake", "deficits"] + flows["stake", "moved"]
        gain = flows["stake", "income"] + flows["stake", "surplus"] + paid
        capital = self.opening + (self.weighted // seconds if seconds else 0)
        held = {who: n for who, n in self.shares.items() if who != _ZERO and n > 0}
        found = concentration(held)
        supply = found.pop("total")
        found["largest"] = [
            {"who": row["who"], "sharePpm": row["sharePpm"]} for row in found["largest"]
        ]
        leaving = sum(assets for _, assets, is_open in tranche.buckets if is_open)
        matured = sum(assets for _, assets, is_open in tranche.buckets if not is_open)
        one = 10**tranche.decimals
        return {
            "opening": tokens(self.opening),
            "staked": tokens(flows["stake", "staked"]),
            "claimed": tokens(-flows["stake", "claimed"]),
            "income": tokens(flows["stake", "income"] + flows["stake", "surplus"]),
            "losses": tokens(-paid),
            "closing": tokens(ledger.stake),
            "gain": tokens(gain),
            "returnPpm": ppm(gain, capital) if capital > 0 else None,
            "returnMethod": "Modified Dietz, income counted when it is assigned: gain / (opening"
            " stake + flows weighted by the part of the period they were there)",
            "active": tokens(tranche.active),
            "streaming": tokens(tranche.streaming),
            "leaving": tokens(leaving),
            "leavingSharePpm": ppm(leaving, tranche.slashable),
            "maturedUnclaimed": tokens(matured),
            "sharePrice": tokens(tranche.active * one // tranche.supply)
            if tranche.supply
            else None,
            "shares": supply,
            "sharesMatch": supply == tranche.supply,
            "series": tranche.series,
            "holders": found,
        }


@dataclass
class History:
    """The fund by layer after every block that changed it; units of the token."""

    context: Context
    points: list[tuple[int, int, int, int, int]] = field(default_factory=list)

    def add(self, block: int, time: int, ledger: FundLedger) -> None:
        """Note the ledger as it is after a block."""
        compartments = sum(ledger.compartments.values())
        layers = (compartments, ledger.reserve + ledger.backing, ledger.stake)
        if self.points and self.points[-1][0] == block:
            self.points.pop()
        self.points.append((block, time, *layers))

    def result(self) -> dict[str, Any]:
        """Peak, trough, recovery, and at most some hundred points for the chart."""
        totals = [sum(point[2:]) for point in self.points]
        peak = max(range(len(totals)), key=lambda i: totals[i])
        trough = min(range(peak, len(totals)), key=lambda i: totals[i])
        back = next((i for i in range(trough, len(totals)) if totals[i] >= totals[peak]), None)
        recovered = back if back is not None and trough > peak else None
        return {
            "peak": self._point(peak),
            "trough": self._point(trough),
            "drawdown": self.context.tokens(totals[peak] - totals[trough]),
            "drawdownPpm": ppm(totals[peak] - totals[trough], totals[peak]),
            "recovery": None if recovered is None else self._point(recovered),
            "points": [self._point(i) for i in self._kept({peak, trough})],
        }

    def _kept(self, always: set[int]) -> list[int]:
        count = len(self.points)
        if count <= _POINTS:
            return list(range(count))
        even = {i * (count - 1) // (_POINTS - 1) for i in range(_POINTS)}
        return sorted(even | always)

    def _point(self, index: int) -> dict[str, Any]:
        block, time, compartments, reserve, stake = self.points[index]
        tokens = self.context.tokens
        return {
            "block": block,
            "time": time,
            "compartments": tokens(compartments),
            "reserve": tokens(reserve),
            "stake": tokens(stake),
            "total": tokens(compartments + reserve + stake),
        }
