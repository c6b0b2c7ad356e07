"""A deployment with the example's parameters, honest people in it, and an attacker with money.

Wallets that accept every signature stand for both, so that a trade is one `matchOrders` and nothing
has to be signed. The prices are 60,000 and 3,000; the second market is thin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from backstop.chain.artifacts import ArtifactSource
from backstop.chain.config import Parameters
from backstop.chain.deploy import ROLE_IDS, RpcDeployer, System, deploy
from backstop.chain.signing import account_id
from backstop.harness.anvil import account_address
from backstop.harness.bench import ROOT
from backstop.harness.rpc import Contract, RpcClient

UNIT: Final = 10**6
WAD: Final = 10**18
SCALE: Final = 10**12
DAY: Final = 86_400
PRICES: Final = (60_000, 3_000)
THIN_CAP: Final = 500 * WAD
"""Open interest cap of the second market, base: 1.5 million at its first price."""
HONEST_STAKE: Final = 50_000
"""Whole tokens."""
RICH: Final = 10**8 * UNIT
LONG, SHORT = 0, 1
"""Sub-accounts of the honest wallet in both markets; 2 and on are free."""


@dataclass(frozen=True)
class Arena:
    """The deployment before an attack.

    Attributes:
        system: the contracts.
        owner: has every role, without a delay.
        attacker: the attacker's wallet.
        honest: wallet of the honest traders, who also stake.
        keeper: owner of the honest keeper's account.
    """

    system: System
    client: RpcClient
    owner: str
    attacker: Contract
    honest: Contract
    keeper: str

    def mine(self, sub: int) -> bytes:
        """An account of the attacker."""
        return account_id(self.attacker.address, sub)

    def theirs(self, sub: int) -> bytes:
        """An account of the honest wallet."""
        return account_id(self.honest.address, sub)

    @property
    def keepers(self) -> bytes:
        """The honest keeper's account."""
        return account_id(self.keeper)


def deploy_arena(rpc: RpcClient, artifacts: ArtifactSource) -> Arena:
    """Deploys the example's parameters and puts the honest people into it."""
    owner = account_address(0)
    parameters = Parameters.load(ROOT / "parameters" / "local.yaml")
    fund = replace(parameters.fund, initial_backing=Decimal(20_000))
    parameters = replace(parameters, fund=fund)
    system = deploy(parameters, RpcDeployer(rpc, owner, artifacts), hand_over=False)
    for number in ROLE_IDS.values():
        system.authority.grantRole(number, owner, 0, sender=owner)
    thin = replace(parameters.markets[1].parameters, open_interest_cap=THIN_CAP)
    system.engine.setMarket(1, thin, parameters.markets[1].liquidation, sender=owner)
    wallets = [rpc.deploy(artifacts("MockWallet1271"), owner, sender=owner) for _ in range(2)]
    for wallet in wallets:
        wallet.setMode(1, sender=owner)  # every signature is good
        rpc.rpc("anvil_impersonateAccount", wallet.address)
        rpc.set_balance(wallet.address, WAD)
    arena = Arena(system, rpc, owner, wallets[0], wallets[1], account_address(1))
    _give_money(arena)
    _settle_in(arena)
    return arena


def _give_money(arena: Arena) -> None:
    s = arena.system
    for who in (arena.attacker.address, arena.honest.address, arena.keeper, arena.owner):
        s.token.mint(who, RICH, sender=arena.owner)
        for spender in (s.engine, s.fund, s.tranche):
            s.token.approve(spender.address, 2**255, sender=who)


def _settle_in(arena: Arena) -> None:
    """Honest longs and shorts, a keeper, a staker, and the inventory's capital."""
    from backstop.harness.attackers.play import order_words

    s, who = arena.system, arena.honest.address
    for market, price in enumerate(PRICES):
        s.set_price(market, Decimal(price), arena.owner)
        s.engine.poke(market, sender=arena.owner)
    for sub in (LONG, SHORT):
        s.engine.deposit(arena.theirs(sub), 4_000_000 * UNIT, sender=who)
    s.engine.deposit(arena.keepers, 5_000_000 * UNIT, sender=arena.keeper)
    for market, base in ((0, 60 * WAD), (1, 100 * WAD)):
        price = PRICES[market] * WAD
        buy = order_words(arena.theirs(LONG), market, True, base, price, market + 1)
        sell = order_words(arena.theirs(SHORT), market, False, base, price, market + 1)
        s.settlement.matchOrders(buy, b"", sell, b"", base, sender=arena.owner)
    s.tranche.deposit(HONEST_STAKE * UNIT, who, sender=who)
    s.backstop.deploy(0, 10_000 * UNIT, sender=arena.owner)
    for market in range(len(PRICES)):
        s.engine.sweepFees(market, sender=arena.owner)
