"""The fund's layers by the fields of its `Legs`: one that is new in the contracts shows up."""

from __future__ import annotations

from typing import Final

from backstop.chain.deploy import System

LAYERS: Final = {
    "compartment": ("1", "Market compartments"),
    "reserve": ("2", "Operator's reserve"),
    "staked": ("3", "Stakers"),
    "backing": ("3b", "Operator's second slice"),
    "reinsurance": ("4", "Reinsurance"),
    "sideCharged": ("5", "Opposite side"),
    "recorded": ("6", "Recorded deficit"),
}
"""Number and name of each layer of the waterfall, by its field in `Legs` and `Receipt`."""


def leg_names(system: System) -> list[str]:
    """The fund's layers, in order, by the fields of its `Legs`."""
    covered = next(
        i for i in system.fund.abi if i.get("type") == "event" and i["name"] == "Covered"
    )
    legs = next(i for i in covered["inputs"] if i["name"] == "legs")
    return [str(component["name"]) for component in legs["components"]]


def describe(key: str) -> tuple[str, str]:
    """Number and name of a layer; one that is new is called as its field is."""
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in key)
    return LAYERS.get(key, ("+", words[:1].upper() + words[1:]))
