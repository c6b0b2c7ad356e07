"""Where recovered money goes: `contracts/fund/Recoveries.sol`, replayed from its events."""

from __future__ import annotations

from dataclasses import dataclass

from backstop.chain.receipts import decode_receipt
from backstop.harness.abi import checksum


@dataclass(frozen=True)
class Repayment:
    """What the layers get of a recovery, units of the token; compartments by market."""

    claimant: str
    reinsurance: int
    backing: int
    staked: int
    reserve: int
    compartments: tuple[tuple[int, int], ...]


def repayment(receipt: bytes, start: int, end: int) -> Repayment:
    """The part [start, end) of an event's legs, stacked in reverse order of the layers.

    Args:
        receipt: the bytes of `ReceiptRecorded`.
        start: what had been recovered before.
        end: what has been recovered afterwards.
    """
    event = decode_receipt(receipt)
    base = 0

    def part(loss: int) -> int:
        nonlocal base
        low, high = max(base, start), min(base + loss, end)
        base += loss
        return max(0, high - low)

    reinsurance, backing, staked, reserve = (
        part(sum(getattr(leg, layer) for leg in event.legs))
        for layer in ("reinsurance", "backing", "staked", "reserve")
    )
    compartments = tuple(
        (market, part(leg.compartment))
        for market, leg in zip(event.markets, event.legs, strict=True)
    )
    return Repayment(checksum(event.claimant), reinsurance, backing, staked, reserve, compartments)
