"""The bytes of the fund's `ReceiptRecorded`: what every layer paid of an event."""

from __future__ import annotations

from typing import Final, NamedTuple

from eth_abi.abi import decode

__all__ = ["DecodedReceipt", "Legs", "decode_receipt"]

_LEGS: Final = "(uint256,uint256,uint256,uint256,uint256)[]"
_LOSS: Final = "(uint256,uint256,uint256,uint256,uint256,uint256[],uint256[])"
_RECEIPT: Final = f"(uint256,address,uint256[],{_LEGS},{_LOSS})"


class Legs(NamedTuple):
    """What each layer paid of one market's claim, units of the token."""

    compartment: int
    reserve: int
    staked: int
    backing: int
    reinsurance: int


class DecodedReceipt(NamedTuple):
    """An event: its number, who claimed (as the ABI decodes it), and the legs by market."""

    number: int
    claimant: str
    markets: tuple[int, ...]
    legs: tuple[Legs, ...]

    @property
    def paid(self) -> int:
        """By all layers together, units of the token."""
        return sum(map(sum, self.legs))


def decode_receipt(receipt: bytes) -> DecodedReceipt:
    """The receipt of `IInsuranceFund.ReceiptRecorded`; what the stakers lost is left out."""
    ((number, claimant, markets, legs, _),) = decode([_RECEIPT], receipt)
    return DecodedReceipt(number, claimant, tuple(markets), tuple(Legs(*leg) for leg in legs))
