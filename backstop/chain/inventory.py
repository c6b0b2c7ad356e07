"""The client of a keeper who deals with the backstop's inventory.

keeper = InventoryKeeper(system, account)
keeper.deploy(0)                        # the fund's collateral into its account in market 0
keeper.to_backstop(victim, 0)           # what nobody took
keeper.buy(0, limit_price=Decimal(60_000))
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from backstop.chain.clients import (
    MAX_UINT256,
    CloseOutResult,
    Keeper,
    LiquidationResult,
    Sent,
    all_that_may_leave,
)
from backstop.chain.units import from_units, from_wad, scaled


@dataclass(frozen=True)
class CapitalResult(Sent):
    """Whole tokens that were deployed or released, and what the fund has in the account now."""

    market: int
    assets: Decimal
    invested: Decimal


@dataclass(frozen=True)
class InventoryResult(Sent):
    """Signed base that was bought or torn up, and the price per base."""

    market: int
    size: Decimal
    price: Decimal


class InventoryKeeper(Keeper):
    """Moves the fund's collateral, hands positions over, buys inventory and ends it."""

    def deploy(self, market: int, most: Decimal | None = None) -> CapitalResult:
        """Bring collateral from the fund, up to the capital cap; `most` in whole tokens."""
        return self._capital("deploy", "CapitalDeployed", market, most)

    def release(self, market: int, most: Decimal | None = None) -> CapitalResult:
        """Take collateral above the capital cap back to the fund; `most` in whole tokens."""
        return self._capital("release", "CapitalReleased", market, most)

    def _capital(
        self, function: str, event_name: str, market: int, most: Decimal | None
    ) -> CapitalResult:
        backstop, decimals = self.system.backstop, self.system.record.token_decimals
        units = MAX_UINT256 if most is None else scaled(most, decimals)
        _, receipt = all_that_may_leave(
            units, lambda units: backstop[function].send(market, units, sender=self.address)
        )
        event = receipt.one(event_name, backstop.address)
        assets, invested = (from_units(n, decimals) for n in (event.assets, event.invested))
        return CapitalResult(receipt.transaction, receipt.gas_used, market, assets, invested)

    def to_backstop(self, account: bytes, market: int) -> LiquidationResult:
        """Hand part of a position to the backstop once the discount had its time.

        What does not fit under its caps is torn up in the same transaction if it is time for that.
        """
        receipt = self.system.liquidator.liquidateToBackstop.send(
            account, market, self.number, sender=self.address
        )
        return self._liquidated(receipt, "backstop")

    def close_out_to_backstop(self, account: bytes) -> CloseOutResult:
        """Close a bankrupt account; the backstop takes its positions as far as its caps allow."""
        receipt = self.system.liquidator.closeOutToBackstop.send(
            account, self.number, sender=self.address
        )
        return self._closed_out(receipt)

    def buy(
        self, market: int, max_size: Decimal | None = None, limit_price: Decimal | None = None
    ) -> InventoryResult:
        """Take inventory over at the auction's price; any price if no limit is given."""
        most = MAX_UINT256 if max_size is None else scaled(max_size, 18)
        if limit_price is None:
            limit = MAX_UINT256 if self.system.backstop.inventory(market).size > 0 else 0
        else:
            limit = scaled(limit_price, 18)
        receipt = self.system.liquidator.buyInventory.send(
            market, self.number, most, limit, sender=self.address
        )
        event = receipt.one("InventorySold", self.system.liquidator.address)
        size, price = from_wad(event.size), from_wad(event.price)
        return InventoryResult(receipt.transaction, receipt.gas_used, market, size, price)

    def unwind(self, market: int) -> InventoryResult:
        """Tear exhausted inventory up against the opposite side at the mark."""
        receipt = self.system.liquidator.unwindInventory.send(
            market, self.number, sender=self.address
        )
        event = receipt.one("InventoryUnwound", self.system.liquidator.address)
        size, price = from_wad(event.size), from_wad(event.markPrice)
        return InventoryResult(receipt.transaction, receipt.gas_used, market, size, price)
