"""The collateral token: balances in units, with the errors of OpenZeppelin's ERC-20."""

from __future__ import annotations

from .errors import ModelError
from .journal import Journal, Table

ZERO_ADDRESS = bytes(20)


class Token:
    """Balances by address (20 bytes). Everybody has approved everything."""

    def __init__(self, journal: Journal, decimals: int) -> None:
        self.decimals = decimals
        self.balances: Table[bytes, int] = Table(journal)

    def balance_of(self, who: bytes) -> int:
        """Units held by an address."""
        return self.balances.get(who, 0)

    def mint(self, who: bytes, assets: int) -> None:
        """Creates units out of nothing."""
        self.balances[who] = self.balance_of(who) + assets

    def transfer(self, sender: bytes, to: bytes, assets: int) -> None:
        """Moves units, or raises what the token raises."""
        if to == ZERO_ADDRESS:
            raise ModelError("ERC20InvalidReceiver", to)
        held = self.balance_of(sender)
        if held < assets:
            raise ModelError("ERC20InsufficientBalance", sender, held, assets)
        self.balances[sender] = held - assets
        self.balances[to] = self.balance_of(to) + assets

    @property
    def supply(self) -> int:
        """All units there are."""
        return sum(self.balances.values())
