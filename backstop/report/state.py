"""What the contracts say at one block. Needs a node that still has that block's state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_utils import keccak

from backstop.chain.deploy import System
from backstop.chain.transport import Contract
from backstop.harness.abi import NoData, Reverted
from backstop.harness.rpc import RpcError
from backstop.report.errors import ReportError

_BATCH = 100


@dataclass(frozen=True)
class TrancheState:
    """Layer 3 in units of the token; `supply` in shares.

    Attributes:
        active: active stake, streamed income included.
        streaming: income that has not reached it yet.
        buckets: (request id, assets, still slashable) of every bucket with assets.
        uncollected: what has come back of losses and nobody has collected.
    """

    active: int
    streaming: int
    slashable: int
    supply: int
    decimals: int
    series: int
    buckets: tuple[tuple[int, int, bool], ...]
    uncollected: int

    @property
    def total(self) -> int:
        """Everything the fund holds for stakers."""
        buckets = sum(assets for _, assets, _ in self.buckets)
        return self.active + self.streaming + buckets + self.uncollected


@dataclass(frozen=True)
class ChainState:
    """The deployment at one block.

    Attributes:
        code: keccak-256 of the runtime code by role, in hex.
        engine_tokens, fund_tokens: what the token contract says they hold, units of the token.
        compartments: layer 1 by market, units; of the margin engine.
        backing: the second slice, behind the stakers, units.
        premium: what the fund has set aside for a reinsurer's premiums, units.
        markets: the engine's MarketState, with its WAD amounts.
        pots: WAD by market that fair windows hold for those who have not collected.
        deployed: units that are out with the inventory, from compartment and reserve, by market.
        inventories: the backstop's Inventory by market; empty where the record has no backstop.
        accounts: the engine's AccountState by account, for those that were asked for.
        unreadable: accounts whose state could not be read.
    """

    block: int
    code: dict[str, str]
    engine_tokens: int
    fund_tokens: int
    total_capital: int
    total_compartments: int
    compartments: tuple[int, ...]
    reserve: int
    reserve_target: int
    backing: int
    premium: int
    events: int
    tranche: TrancheState
    markets: tuple[Any, ...]
    pots: tuple[int, ...]
    deployed: tuple[tuple[int, int], ...]
    inventories: tuple[Any, ...]
    accounts: dict[str, Any]
    unreadable: tuple[str, ...]


class StateReader:
    """Reads views at one block.

    Args:
        system: the deployment.
        block: the block.
    """

    def __init__(self, system: System, block: int) -> None:
        self.system, self.block = system, block

    def call(self, contract: Contract, name: str, *arguments: Any) -> Any:
        """A view's value after this block."""
        function = contract[name]
        data = function.encode(*arguments)
        return function.decode(self.system.client.call(contract.address, data, block=self.block))

    def read(self, accounts: Sequence[str], requests: Sequence[int]) -> ChainState:
        """Everything the report needs.

        Args:
            accounts: account numbers in hex.
            requests: buckets of the tranche that were ever asked for.

        Raises:
            ReportError: the node has no state of that block any more.
        """
        try:
            return self._read(accounts, requests)
        except RpcError as error:
            raise ReportError(
                f"the node does not have the state of block {self.block} ({error.message}): ask an"
                " archive node, or report up to its latest block"
            ) from error
        except NoData as error:
            raise ReportError(
                f"at block {self.block} the deployment was not complete ({error}): choose a later"
                " --to"
            ) from error

    def _read(self, accounts: Sequence[str], requests: Sequence[int]) -> ChainState:
        s = self.system
        count = self.call(s.engine, "marketCount")
        engine = s.engine.address
        found, unreadable = self._accounts(accounts)
        return ChainState(
            block=self.block,
            code=self._code(),
            engine_tokens=self.call(s.token, "balanceOf", engine),
            fund_tokens=self.call(s.token, "balanceOf", s.fund.address),
            total_capital=self.call(s.fund, "totalCapital"),
            total_compartments=self.call(s.fund, "totalCompartments"),
            compartments=tuple(
                self.call(s.fund, "compartment", engine, number) for number in range(count)
            ),
            reserve=self.call(s.fund, "reserve"),
            reserve_target=self.call(s.fund, "reserveTarget"),
            backing=self.call(s.fund, "backing"),
            premium=self.call(s.fund, "premium")[0],
            events=self.call(s.fund, "eventCount"),
            tranche=self._tranche(requests),
            markets=tuple(self.call(s.engine, "marketState", n) for n in range(count)),
            pots=tuple(self.call(s.engine, "marketClaims", n)[0].pot for n in range(count)),
            deployed=tuple(
                tuple(self.call(s.fund, "deployedCapital", engine, n)) for n in range(count)
            ),
            inventories=tuple(self._inventories(count)),
            accounts=found,
            unreadable=unreadable,
        )

    def _inventories(self, count: int) -> list[Any]:
        if "backstop" not in self.system.record.contracts:
            return []
        return [self.call(self.system.backstop, "inventory", n) for n in range(count)]

    def _code(self) -> dict[str, str]:
        hashes = {}
        for role, entry in self.system.record.contracts.items():
            code = self.system.client.rpc("eth_getCode", entry.address, hex(self.block))
            hashes[role] = "0x" + keccak(bytes.fromhex(code[2:])).hex()
        return hashes

    def _tranche(self, requests: Sequence[int]) -> TrancheState:
        tranche = self.system.tranche
        buckets = []
        for request in sorted(set(requests)):
            bucket, is_open = self.call(tranche, "bucket", request)
            if bucket.assets:
                buckets.append((request, bucket.assets, is_open))
        return TrancheState(
            active=self.call(tranche, "totalAssets"),
            streaming=self.call(tranche, "stream")[0],
            slashable=self.call(tranche, "slashable"),
            supply=self.call(tranche, "totalSupply"),
            decimals=self.call(tranche, "decimals"),
            series=self.call(tranche, "series"),
            buckets=tuple(buckets),
            uncollected=self.call(tranche, "uncollected"),
        )

    def _accounts(self, accounts: Sequence[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
        ids = sorted(accounts)
        found: dict[str, Any] = {}
        for start in range(0, len(ids), _BATCH):
            part = ids[start : start + _BATCH]
            for account, state in zip(part, self._states(part), strict=True):
                if state is not None:
                    found[account] = state
        return found, tuple(account for account in ids if account not in found)

    def _states(self, ids: Sequence[str]) -> list[Any]:
        """AccountState of every account, None where the engine cannot say it."""
        if "lens" in self.system.record.contracts:
            raw = [bytes.fromhex(account[2:]) for account in ids]
            reports = self.call(self.system.lens, "accounts", raw)
            return [report.state if report.ok else None for report in reports]
        return [self._state(account) for account in ids]

    def _state(self, account: str) -> Any:
        try:
            return self.call(self.system.engine, "accountState", bytes.fromhex(account[2:]))
        except Reverted:
            return None
