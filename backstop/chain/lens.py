"""The Lens: many views in one call, as the contract's own structs (integers, named as there).

A batch that is too much for the node (gas, size of the answer, time) is cut in halves until it
fits; an account that cannot be read comes back with `ok` False and the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from backstop.chain.deploy import System
from backstop.harness.abi import Reverted
from backstop.harness.rpc import RpcError

BATCH: Final = 500
"""Accounts in one call: about 40 million gas where each is in one market."""


@dataclass(frozen=True)
class Snapshot:
    """Markets and accounts at one moment, marks followed and funding accrued.

    Attributes:
        block: number of the block.
        timestamp: its time.
        markets: ILens.MarketReport of every market.
        accounts: ILens.AccountReport, in the order asked for.
    """

    block: int
    timestamp: int
    markets: tuple[Any, ...]
    accounts: tuple[Any, ...]


class Lens:
    """Reads a deployed system by the batch.

    Args:
        system: the deployment; its record has to know a Lens.
        batch: accounts in one call.

    Raises:
        DeploymentError: the record is older than the Lens.
    """

    def __init__(self, system: System, batch: int = BATCH) -> None:
        if batch < 1:
            raise ValueError(f"batch is {batch}; allowed: 1 and more")
        self.contract = system.lens
        self.batch = batch

    def accounts(self, ids: Sequence[bytes], *, at: int | None = None) -> list[Any]:
        """ILens.AccountReport of every account, in order.

        Args:
            ids: account numbers, 32 bytes each.
            at: time that the views see; that of the latest block if not given.
        """
        return self._batched(ids, lambda part: self.contract.accounts.call(part, at=at))

    def health(self, ids: Sequence[bytes], *, at: int | None = None) -> list[Any]:
        """ILens.HealthReport of every account, in order: cheaper."""
        return self._batched(ids, lambda part: self.contract.health.call(part, at=at))

    def markets(self) -> list[Any]:
        """ILens.MarketReport of every market."""
        return list(self.contract.markets())

    def balance_sheet(self) -> Any:
        """ILens.FundReport."""
        return self.contract.balanceSheet()

    def snapshot(self, ids: Sequence[bytes] = (), *, at: int | None = None) -> Snapshot:
        """Markets and accounts as a transaction now would see them after poking every market.

        All of one call: more accounts than the node can carry in one raise RpcError or Reverted.
        """
        block, timestamp, markets, accounts = self.contract.snapshot.call(list(ids), at=at)
        return Snapshot(block, timestamp, tuple(markets), tuple(accounts))

    def snapshots(self, ids: Sequence[bytes], *, at: int | None = None) -> list[Snapshot]:
        """The same, as many calls as it takes: each is consistent in itself."""
        return self._batched(ids, lambda part: [self.snapshot(part, at=at)])

    def _batched(
        self, ids: Sequence[bytes], read: Callable[[Sequence[bytes]], Sequence[Any]]
    ) -> list[Any]:
        found: list[Any] = []
        for start in range(0, len(ids), self.batch):
            found += _halving(ids[start : start + self.batch], read)
        return found


def _halving(
    ids: Sequence[bytes], read: Callable[[Sequence[bytes]], Sequence[Any]]
) -> Sequence[Any]:
    try:
        return read(list(ids))
    except (RpcError, Reverted):
        # too much gas, too large an answer: nodes say it in many ways, and a single one says more
        if len(ids) == 1:
            raise
    middle = len(ids) // 2
    return [*_halving(ids[:middle], read), *_halving(ids[middle:], read)]
