"""The insurance fund alone on a development node: token, lock, roles, stand-ins for callers.

Everything is deployed by the first account, so that the shared lock can be told its members'
addresses before they exist.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backstop.harness.abi import created_address
from backstop.harness.rpc import Contract, RpcClient

ZERO_ADDRESS = "0x" + "00" * 20
MAX_UINT256 = 2**256 - 1


@dataclass
class FundWorld:
    """A fund and what surrounds it.

    Attributes:
        owner: deployer and admin of the AccessManager.
        tranche: layer 3, deployed by the fund's constructor.
        engine: a member of the lock; stands for the margin engine.
        liquidator: another member, which calls the engine while it holds the lock.
    """

    client: RpcClient
    owner: str
    token: Contract
    manager: Contract
    lock: Contract
    fund: Contract
    tranche: Contract
    engine: Contract
    liquidator: Contract

    def give(self, who: str, assets: int) -> None:
        """Mints tokens and approves the fund for all of them."""
        self.token.mint(who, assets, sender=self.owner)
        self.token.approve(self.fund.address, MAX_UINT256, sender=who)
        self.token.approve(self.tranche.address, MAX_UINT256, sender=who)

    def in_liquidation(self, function: str, *args: Any) -> bytes:
        """Calldata for the liquidator: it takes the lock, the engine calls the fund."""
        call = getattr(self.fund, function).encode(*args)
        inner = self.engine.callFree.encode(self.fund.address, call)
        return self.liquidator.callLocked.encode(self.engine.address, inner)


def deploy_fund(
    client: RpcClient,
    artifact: Callable[[str], Any],
    owner: str,
    *,
    decimals: int = 6,
    hostile: bool = False,
    sanctions: str = ZERO_ADDRESS,
) -> FundWorld:
    """Deploys the fund with two lock members.

    Args:
        client: of the node.
        artifact: gives the compiled contract of a name.
        owner: deployer and admin.
        decimals: of the token.
        hostile: take `HostileToken` instead of `MockToken`.
        sanctions: list that stakers are checked against.
    """

    def deploy(name: str, *args: Any) -> Contract:
        return client.deploy(artifact(name), *args, sender=owner)

    if hostile:
        token = deploy("HostileToken", decimals)
    else:
        token = deploy("MockToken", "Test dollar", "TUSD", decimals)
    manager = deploy("MockAccessManager", owner)
    nonce = int(client.rpc("eth_getTransactionCount", owner, "latest"), 16)
    fund, engine, liquidator = (created_address(owner, nonce + i) for i in (1, 2, 3))
    tranche = created_address(fund, 1)
    lock = deploy("SharedLock", [engine, ZERO_ADDRESS, liquidator, fund, tranche])
    deployed = deploy("InsuranceFund", token.address, lock.address, manager.address, sanctions)
    return FundWorld(
        client=client,
        owner=owner,
        token=token,
        manager=manager,
        lock=lock,
        fund=deployed,
        tranche=Contract(client, tranche, artifact("StakedTranche")),
        engine=deploy("MockLockMember", lock.address),
        liquidator=deploy("MockLockMember", lock.address),
    )
