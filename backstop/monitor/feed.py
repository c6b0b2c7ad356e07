"""Events as lines of the feed: liquidations, receipts, the fund's movements, changes of rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from backstop.chain.deploy import System
from backstop.chain.format import account as short_account, amount, percent, quantity
from backstop.chain.units import from_units, from_wad
from backstop.monitor.layers import describe
from backstop.store import StoredEvent

Line = dict[str, Any]


def lines(system: System, entries: Iterable[StoredEvent]) -> list[Line]:
    """The lines of events, in their order; events that the feed does not tell are left out."""
    writer, told = _Writer(system), list(entries)
    torn = {(e.transaction, e["account"]) for e in told if e.name == "Deleveraged"}
    taken = {(e.transaction, e["account"]) for e in told if e.name == "Liquidated"}
    found = []
    for entry in told:
        key = (entry.transaction, entry.args.get("account"))
        if entry.name == "Deleveraged" and key in taken:
            continue  # the liquidator's event of the same step says more
        if entry.name == "CapitalDeployed" and entry.contract == "fund":
            continue  # so does the backstop's
        if (line := writer.line(entry)) is not None:
            if entry.name == "Liquidated" and key in torn:
                line["title"] = line["title"].replace(" liquidated", " deleveraged")
            found.append(line)
    return found


class _Writer:
    """Words for the events of one deployment."""

    def __init__(self, system: System) -> None:
        self._record = system.record
        self._symbol = system.record.token_symbol

    def line(self, entry: StoredEvent) -> Line | None:
        kind_and_text = _TEXTS.get(entry.name)
        if kind_and_text is None:
            return None
        kind, text = kind_and_text
        title, detail = text(self, entry.args)
        legs = self._legs(entry)
        return {
            "id": f"{entry.block}:{entry.log_index}",
            "block": entry.block,
            "time": entry.time,
            "kind": kind,
            "event": entry.name,
            "title": title,
            "detail": detail,
            "transaction": entry.transaction,
            **({"legs": legs} if legs else {}),
        }

    def market(self, number: int) -> str:
        markets = self._record.markets
        return markets[number].name if number < len(markets) else f"market {number}"

    def wad(self, value: int) -> str:
        return f"{amount(from_wad(value))} {self._symbol}"

    def units(self, value: int) -> str:
        return f"{amount(from_units(value, self._record.token_decimals))} {self._symbol}"

    def _legs(self, entry: StoredEvent) -> list[dict[str, Any]]:
        if entry.name != "ShortfallResolved":
            return []
        receipt = entry.args["receipt"]
        return [
            {
                "key": key,
                "number": describe(key)[0],
                "label": describe(key)[1],
                "amount": value / 1e18,
            }
            for key, value in receipt.items()
            if key not in ("eventId", "deficit") and value
        ]


def _who(a: Arguments) -> str:
    return short_account(bytes.fromhex(a["account"][2:]))


Arguments = Mapping[str, Any]
Text = Callable[[_Writer, Arguments], tuple[str, str]]


def _liquidated(w: _Writer, a: Arguments) -> tuple[str, str]:
    side = "long" if a["size"] > 0 else "short"
    size = quantity(from_wad(abs(a["size"])).quantize(from_wad(10**14)))
    price = amount(from_wad(a["price"]))
    return (
        f"{_who(a)}: {size} {w.market(a['market'])} {side} liquidated",
        f"at {price}; surcharge {w.wad(a['surcharge'])}, reward {w.wad(a['reward'])}",
    )


def _deleveraged(w: _Writer, a: Arguments) -> tuple[str, str]:
    size = quantity(from_wad(abs(a["size"])).quantize(from_wad(10**14)))
    return (
        f"{_who(a)}: {size} {w.market(a['market'])} deleveraged",
        f"against the opposite side at {amount(from_wad(a['markPrice']))}",
    )


def _shortfall(w: _Writer, a: Arguments) -> tuple[str, str]:
    receipt = a["receipt"]
    number = f"receipt {receipt['eventId']}" if receipt["eventId"] else "no receipt of the fund"
    return f"{_who(a)} bankrupt: deficit {w.wad(receipt['deficit'])}", number


def _inventory(what: str) -> Text:
    def text(w: _Writer, a: Arguments) -> tuple[str, str]:
        size = quantity(from_wad(abs(a["size"])).quantize(from_wad(10**14)))
        return f"{size} {w.market(a['market'])} {what}", f"at {amount(from_wad(a['price']))}"

    return text


def _unwound(w: _Writer, a: Arguments) -> tuple[str, str]:
    size = quantity(from_wad(abs(a["size"])).quantize(from_wad(10**14)))
    title = f"{size} {w.market(a['market'])} of the backstop torn up"
    return title, f"against the opposite side at {amount(from_wad(a['markPrice']))}"


def _deferred(w: _Writer, a: Arguments) -> tuple[str, str]:
    return (
        f"{_who(a)}: a claim of {w.wad(a['amount'])} waits",
        f"in fair window {a['window']}; the opposite side bears it meanwhile, or it is recorded",
    )


def _window_paid(w: _Writer, a: Arguments) -> tuple[str, str]:
    return (
        f"{w.market(a['market'])}: {w.units(a['paid'])} for claims of {w.units(a['claims'])}",
        f"fair window {a['window']} is closed",
    )


def _capital(way: str) -> Text:
    def text(w: _Writer, a: Arguments) -> tuple[str, str]:
        return (
            f"{w.market(a['market'])}: {w.units(a['assets'])} {way}",
            f"the fund has {w.units(a['invested'])} in it",
        )

    return text


def _terms(w: _Writer, a: Arguments) -> tuple[str, str]:
    return "Staking terms set", f"cap {w.units(a['cap'])}"


_TEXTS: Final[Mapping[str, tuple[str, Text]]] = {
    "Liquidated": ("liquidation", _liquidated),
    "Deleveraged": ("liquidation", _deleveraged),
    "ShortfallResolved": ("receipt", _shortfall),
    "InventoryTaken": ("liquidation", _inventory("came to the backstop")),
    "InventorySold": ("liquidation", _inventory("sold by the backstop")),
    "InventoryUnwound": ("liquidation", _unwound),
    "CapitalDeployed": ("fund", _capital("into the inventory's account")),
    "CapitalReleased": ("fund", _capital("back from the inventory's account")),
    "LossReset": (
        "rule",
        lambda w, a: (
            f"{w.market(a['market'])}: inventory loss of {w.units(a['writtenOff'])} written off",
            "",
        ),
    ),
    "CapsSet": ("rule", lambda w, a: (f"{w.market(a['market'])}: caps of the inventory set", "")),
    "ClaimDeferred": ("receipt", _deferred),
    "FairWindowPaid": ("receipt", _window_paid),
    "WindowCollected": (
        "fund",
        lambda w, a: (
            f"{w.market(a['market'])}: {w.wad(a['amount'])} of fair window {a['window']} collected",
            "",
        ),
    ),
    "FairWindowSet": (
        "rule",
        lambda w, a: (f"{w.market(a['market'])}: fair windows of {a['minutes_']} minutes", ""),
    ),
    "Recovered": (
        "fund",
        lambda w, a: (f"Recovered: {w.units(a['assets'])}", f"of event {a['eventId']}"),
    ),
    "Flagged": (
        "liquidation",
        lambda w, a: (f"{_who(a)} flagged", "its liquidation clock runs"),
    ),
    "DeficitRecorded": (
        "receipt",
        lambda w, a: (
            f"{w.market(a['market'])}: {w.wad(a['amount'])} recorded, unpaid",
            f"open now {w.wad(a['recorded'])}",
        ),
    ),
    "DeficitRepaid": (
        "fund",
        lambda w, a: (
            f"{w.market(a['market'])}: {w.wad(a['amount'])} of recorded deficit repaid",
            f"open now {w.wad(a['recorded'])}",
        ),
    ),
    "IncomeReceived": (
        "fund",
        lambda w, a: (
            f"Income of {w.market(a['market'])}",
            f"{w.units(a['toCompartment'])} to its compartment,"
            f" {w.units(a['toReserve'])} to the reserve",
        ),
    ),
    "CompartmentFunded": (
        "fund",
        lambda w, a: (f"{w.market(a['market'])} compartment: {w.units(a['assets'])} added", ""),
    ),
    "ReserveFunded": ("fund", lambda w, a: (f"Reserve: {w.units(a['assets'])} added", "")),
    "ReserveReleased": ("fund", lambda w, a: (f"Reserve: {w.units(a['assets'])} released", "")),
    "BackingFunded": ("fund", lambda w, a: (f"Second slice: {w.units(a['assets'])} added", "")),
    "BackingReleased": (
        "fund",
        lambda w, a: (f"Second slice: {w.units(a['assets'])} released", ""),
    ),
    "CoverTermsSet": (
        "rule",
        lambda w, a: (f"{w.market(a['market'])}: terms follow the solvency ratio", ""),
    ),
    "RiskOracleSet": ("rule", lambda w, a: ("Capital target's oracle set", str(a["riskOracle"]))),
    "StakersFunded": ("fund", lambda w, a: (f"Stakers: {w.units(a['assets'])} added", "")),
    "PremiumPaid": ("fund", lambda w, a: (f"Premium paid: {w.units(a['assets'])}", "layer 4")),
    "ReinsurerSet": (
        "rule",
        lambda w, a: (
            "No reinsurer any more" if int(a["reinsurer"], 16) == 0 else "Reinsurer set",
            str(a["reinsurer"]),
        ),
    ),
    "ReinsurerFailed": (
        "receipt",
        lambda w, a: (f"{w.market(a['market'])}: the reinsurer failed", f"event {a['eventId']}"),
    ),
    "CoverFailed": (
        "receipt",
        lambda w, a: (f"{_who(a)}: the fund could not pay", "token refused"),
    ),
    "Deposit": ("stake", lambda w, a: (f"Staked: {w.units(a['assets'])}", "")),
    "RedeemRequest": (
        "stake",
        lambda w, a: ("Exit requested", f"bucket {a['requestId']}"),
    ),
    "Slashed": (
        "stake",
        lambda w, a: (f"Stakers slashed: {w.units(a['loss'])}", f"series {a['series']}"),
    ),
    "SeriesEnded": (
        "stake",
        lambda w, a: (f"Staking series {a['series']} ended", "a new one starts at 1"),
    ),
    "MaturityHeld": ("stake", lambda w, a: ("Exits held", "they do not mature for a while")),
    "TermsSet": ("rule", _terms),
    "RiskPaused": (
        "rule",
        lambda w, a: (
            f"{w.market(a['market'])}: risk {'paused' if a['paused'] else 'resumed'}",
            "reducing and liquidating go on" if a["paused"] else "",
        ),
    ),
    "MarketListed": ("rule", lambda w, a: (f"{w.market(a['market'])} listed", "")),
    "MarketParametersSet": ("rule", lambda w, a: (f"{w.market(a['market'])}: new parameters", "")),
    "ClaimantSet": ("rule", lambda w, a: ("Draw limits of the claimant set", "")),
    "ClaimantMarketSet": (
        "rule",
        lambda w, a: (
            f"{w.market(a['market'])}: fund limits set",
            f"compartment up to {w.units(a['limits']['compartmentCap'])}",
        ),
    ),
    "ReserveTargetSet": ("rule", lambda w, a: ("Reserve target set", w.units(a["target"]))),
    "StakerShareSet": ("rule", lambda w, a: ("Stakers' share of income set", percent(a["ppm"]))),
    "OperationScheduled": ("rule", lambda w, a: ("Change scheduled", "see pending changes")),
    "OperationExecuted": ("rule", lambda w, a: ("Scheduled change made", "")),
    "OperationCanceled": ("rule", lambda w, a: ("Scheduled change cancelled", "")),
}

NAMES: Final = frozenset(_TEXTS)
"""Events that the feed tells."""
