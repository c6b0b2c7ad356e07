"""Where recovered money goes: `contracts/fund/Recoveries.sol`, replayed from its events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eth_abi.abi import decode

from backstop.harness.abi import checksum

_LEGS: Final = "(uint256,uint256,uint256,uint256,uint256)[]"
_LOSS: Final = "(uint256,uint256,uint256,uint256,uint256,uint256[],uint256[])"
_RECEIPT: Final = f"(uint256,address,uint256[],{_LEGS},{_LOSS})"


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
    ((_, claimant, markets, legs, _),) = decode([_RECEIPT], receipt)
    base = 0

    def part(loss: int) -> int:
        nonlocal base
        low, high = max(base, start), min(base + loss, end)
        base += loss
        return max(0, high - low)

    reinsurance, backing, staked, reserve = (
        part(sum(leg[place] for leg in legs)) for place in (4, 3, 2, 1)
    )
    compartments = tuple((market, part(leg[0])) for market, leg in zip(markets, legs, strict=True))
    return Repayment(checksum(claimant), reinsurance, backing, staked, reserve, compartments)
