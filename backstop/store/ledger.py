"""The insurance fund's layers, replayed from its events: what came in, what was paid, what is left.

    ledger = FundLedger()
    for event in store.events(last=block):
        ledger.apply(event)

All amounts are exact, in units of the token. The contract's views must say the same; where they do
not, an event is missing or the ledger does not know one (`unknown`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from backstop.store.recoveries import repayment
from backstop.store.store import StoredEvent

Compartment = tuple[str, int]
"""Claimant's address and market number."""

_SILENT = {
    "fund": {
        *("ClaimantSet", "ClaimantMarketSet", "StakerShareSet", "ReserveTargetSet"),
        *("RefillTimeSet", "ReserveGapNoted", "CoverFailed", "AuthorityUpdated"),
        *("ReinsurerSet", "ReinsurerFailed", "RiskOracleSet", "SolvencyNoted"),
        "InventorySet",
    },
    "tranche": {
        *("RedeemRequest", "OperatorSet", "IncomeAdded", "MaturityHeld", "TermsSet", "Transfer"),
        *("Approval", "AuthorityUpdated", "EIP712DomainChanged", "Slashed", "LossRecovered"),
    },
}
"""Events that move no capital between layers (`Slashed` says how the stakers' leg was shared)."""


@dataclass
class FundLedger:
    """Capital by layer, and flows since the ledger was opened or `open_period` was called.

    Attributes:
        compartments: layer 1, by claimant and market.
        reserve: layer 2.
        stake: layer 3: active, streaming, leaving, matured but not claimed, and recovered but not
            collected.
        backing: the second slice, behind the stakers.
        premium: set aside for layer 4's premiums; what a reinsurer pays goes through, not in here.
        deployed: out with a backstop inventory, by claimant, market and layer it came from; in none
            of the layers meanwhile.
        flows: net amount by (layer, kind); layers: compartment, reserve, stake, backing, premium;
            kinds: income, funded, deficits, rewards, released, surplus, staked, claimed,
            premiums, moved, recovered, deployed (to the backstop inventory and back).
        market_flows: the compartments' flows by (market, kind), of all claimants.
        unknown: events of the fund or tranche that this ledger does not know, by name.
    """

    compartments: Counter[Compartment] = field(default_factory=Counter)
    reserve: int = 0
    stake: int = 0
    backing: int = 0
    premium: int = 0
    premium_cap: int = 0
    receipts: dict[int, bytes] = field(default_factory=dict)
    deployed: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    flows: Counter[tuple[str, str]] = field(default_factory=Counter)
    market_flows: Counter[tuple[int, str]] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """All layers together."""
        own = sum(self.compartments.values()) + self.reserve + self.backing
        return own + self.stake + self.premium

    def open_period(self) -> None:
        """Start counting flows from here."""
        self.flows.clear()
        self.market_flows.clear()

    def apply(self, event: StoredEvent) -> bool:
        """Book an event; True if it moved capital."""
        if event.contract not in _SILENT:
            return False
        handler = getattr(self, f"_{event.contract}_{event.name}", None)
        if handler is None:
            if event.name not in _SILENT[event.contract]:
                self.unknown[event.name or "undecoded"] += 1
            return False
        handler(event)
        return True

    def _compartment(self, event: StoredEvent, kind: str, amount: int) -> None:
        self._of_market(event["claimant"], event["market"], kind, amount)

    def _of_market(self, claimant: str, market: int, kind: str, amount: int) -> None:
        self.compartments[claimant, market] += amount
        self.flows["compartment", kind] += amount
        self.market_flows[market, kind] += amount

    def _reserve(self, kind: str, amount: int) -> None:
        self.reserve += amount
        self.flows["reserve", kind] += amount

    def _stake(self, kind: str, amount: int) -> None:
        self.stake += amount
        self.flows["stake", kind] += amount

    def _back(self, kind: str, amount: int) -> None:
        self.backing += amount
        self.flows["backing", kind] += amount

    def _budget(self, kind: str, amount: int) -> None:
        self.premium += amount
        self.flows["premium", kind] += amount

    def _fund_IncomeReceived(self, event: StoredEvent) -> None:
        self._compartment(event, "income", event["toCompartment"])
        self._reserve("income", event["toReserve"])

    def _fund_StakerIncome(self, event: StoredEvent) -> None:
        self._stake("income", event["assets"])

    def _fund_StakersFunded(self, event: StoredEvent) -> None:
        self._stake("income", event["assets"])

    def _fund_CompartmentFunded(self, event: StoredEvent) -> None:
        self._compartment(event, "funded", event["assets"])

    def _fund_ReserveFunded(self, event: StoredEvent) -> None:
        self._reserve("funded", event["assets"])

    def _fund_ReserveReleased(self, event: StoredEvent) -> None:
        """Part of a released surplus may go to the stakers."""
        shared = event.args.get("toStakers", 0)
        self._reserve("released", shared - event["assets"])
        self._reserve("surplus", -shared)
        self._stake("surplus", shared)

    def _fund_BackingFunded(self, event: StoredEvent) -> None:
        self._back("funded", event["assets"])

    def _fund_BackingReleased(self, event: StoredEvent) -> None:
        self._back("released", -event["assets"])

    def _fund_Covered(self, event: StoredEvent) -> None:
        legs = event["legs"]
        self._compartment(event, "deficits", -legs["compartment"])
        self._reserve("deficits", -legs["reserve"])
        self._stake("deficits", -legs["staked"])
        self._back("deficits", -legs.get("backing", 0))

    def _fund_KeeperRewardPaid(self, event: StoredEvent) -> None:
        """The compartment pays as far as it can, then the reserve."""
        held = self.compartments[event["claimant"], event["market"]]
        own = min(event["assets"], held)
        self._compartment(event, "rewards", -own)
        self._reserve("rewards", own - event["assets"])

    def _fund_PremiumIncome(self, event: StoredEvent) -> None:
        self._budget("income", event["assets"])

    def _fund_PremiumFunded(self, event: StoredEvent) -> None:
        self._budget("funded", event["assets"])

    def _fund_PremiumPaid(self, event: StoredEvent) -> None:
        self._budget("premiums", -event["assets"])

    def _fund_PremiumTermsSet(self, event: StoredEvent) -> None:
        """What is above a lower cap goes to the reserve."""
        self.premium_cap = event["cap"]
        self._budget("moved", -event["toReserve"])
        self._reserve("moved", event["toReserve"])

    def _fund_ReceiptRecorded(self, event: StoredEvent) -> None:
        self.receipts[event["eventId"]] = _bytes(event["receipt"])

    def _fund_Recovered(self, event: StoredEvent) -> None:
        """In reverse order; reinsurance's part goes to the premium budget as far as it has room."""
        end = event["recovered"]
        back = repayment(self.receipts[event["eventId"]], end - event["assets"], end)
        to_budget = min(back.reinsurance, max(0, self.premium_cap - self.premium))
        self._budget("recovered", to_budget)
        self._back("recovered", back.backing)
        self._stake("recovered", back.staked)
        self._reserve("recovered", back.reserve + back.reinsurance - to_budget)
        for market, amount in back.compartments:
            self._of_market(back.claimant, market, "recovered", amount)

    def _fund_CapitalDeployed(self, event: StoredEvent) -> None:
        self._compartment(event, "deployed", -event["fromCompartment"])
        self._reserve("deployed", -event["fromReserve"])
        self._deploy(event, event["fromCompartment"], event["fromReserve"])

    def _fund_CapitalReturned(self, event: StoredEvent) -> None:
        """A profit is income: `IncomeReceived` and its like tell where it went."""
        self._compartment(event, "deployed", event["toCompartment"])
        self._reserve("deployed", event["toReserve"])
        self._deploy(event, -event["toCompartment"], -event["toReserve"])

    def _fund_CapitalWrittenOff(self, event: StoredEvent) -> None:
        """What was lost is not expected back; no layer holds less for it now."""
        self._deploy(event, -event["fromCompartment"], -event["fromReserve"])

    def _deploy(self, event: StoredEvent, compartment: int, reserve: int) -> None:
        for layer, amount in (("compartment", compartment), ("reserve", reserve)):
            self.deployed[event["claimant"], event["market"], layer] += amount

    def _tranche_RecoveryCollected(self, event: StoredEvent) -> None:
        self._stake("claimed", -event["assets"])

    def _tranche_Deposit(self, event: StoredEvent) -> None:
        self._stake("staked", event["assets"])

    def _tranche_Withdraw(self, event: StoredEvent) -> None:
        self._stake("claimed", -event["assets"])

    def _tranche_SeriesEnded(self, event: StoredEvent) -> None:
        self._stake("moved", -event["rest"])
        self._reserve("moved", event["rest"])


def _bytes(value: bytes | str) -> bytes:
    """Bytes of an argument, which the store may keep as hex."""
    return bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else bytes(value)
