"""What a keeper does before its first look: checks its parameters, finds its journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from backstop.chain.deploy import System
from backstop.keeper import economics
from backstop.keeper.config import KeeperConfig
from backstop.keeper.journal import Journal
from backstop.keeper.sender import Sender
from backstop.keeper.wallet import Wallet


def check(system: System, config: KeeperConfig, markets: Sequence[Any]) -> None:
    """Refuse parameters that would lose money at what gas costs now; ConfigError.

    Args:
        system: the deployment.
        config: of the keeper.
        markets: ILens.MarketReport of every market.
    """
    names = [market.name for market in system.record.markets]
    head = system.client.rpc("eth_getBlockByNumber", "latest", False)
    fee = int(head.get("baseFeePerGas") or "0x0", 16) + config.gas.priority_fee
    economics.check(config, names, markets, fee)


def find_birth(system: System) -> str:
    """What tells this chain from another one with the same number: a block's hash."""
    for number in (system.record.block, 0):
        block = system.client.rpc("eth_getBlockByNumber", hex(number), False)
        if block is not None:
            return str(block["hash"])
    return "0x00000000"


def open_sender(
    system: System,
    wallet: Wallet,
    config: KeeperConfig,
    birth: str,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.time,
) -> Sender:
    """The sender with the journal of this address on this chain; JournalError if it is in use."""
    parts = (str(system.record.chain_id), wallet.address[2:10].lower(), birth[2:10])
    journal = Journal(config.account.state, "-".join(parts))
    if journal.problem:
        say(f"{journal.problem}: the keeper goes on with its journal in memory only")
    return Sender(system.client, wallet, journal, config.gas, say, clock)
