"""Capital of the fund that works as backstop inventory, as `contracts/fund/Inventory.sol`.

Amounts are units of the fund's asset. It is drawn from the compartment, then from the reserve under
all draw limits; what comes back repays in reverse; the rest is income; losses are the compartment's
first.
"""

from __future__ import annotations

from .errors import ModelError
from .fund import Deployed, InsuranceFund


def deploy_capital(
    fund: InsuranceFund, claimant: str, market: int, assets: int, now: int, *, caller: str
) -> int:
    """Draws up to `assets` for a market's inventory; returns what was drawn."""
    _require_inventory(fund, claimant, caller)
    m = fund.market(claimant, market)
    from_compartment = min(assets, m.balance)
    from_reserve = _draw_reserve(fund, claimant, market, assets - from_compartment, now)
    if from_compartment:
        fund.markets[claimant, market].balance -= from_compartment
        fund.compartments -= from_compartment
    fund.reserve -= from_reserve
    if from_compartment + from_reserve:
        old = deployed_capital(fund, claimant, market)
        fund.deployed[claimant, market] = Deployed(
            old.compartment + from_compartment, old.reserve + from_reserve
        )
    return from_compartment + from_reserve


def _draw_reserve(fund: InsuranceFund, claimant: str, market: int, wanted: int, now: int) -> int:
    c, m = fund.claimant(claimant), fund.market(claimant, market)
    limits = c.limits
    if now < fund.staking.held_until:
        return 0  # the reserve stands for all markets, and claims on it may wait
    amount = min(wanted, limits.per_claim, fund.reserve, c.room(now), m.room(limits.window, now))
    if amount:
        c.bucket.fill(amount, limits.per_window, limits.window, now)
        m.bucket.fill(amount, m.limits.per_window, limits.window, now)
    return amount


def return_capital(
    fund: InsuranceFund, claimant: str, market: int, assets: int, now: int
) -> tuple[int, int, int]:
    """Takes capital back, from anybody: to the reserve, to the compartment, and as income."""
    if claimant not in fund.claimants:
        raise ModelError("NotClaimant", claimant)
    if assets == 0:
        raise ModelError("ZeroAmount")
    old = deployed_capital(fund, claimant, market)
    to_reserve = min(assets, old.reserve)
    to_compartment = min(assets - to_reserve, old.compartment)
    profit = assets - to_reserve - to_compartment
    if to_reserve or to_compartment:
        fund.deployed[claimant, market] = Deployed(
            old.compartment - to_compartment, old.reserve - to_reserve
        )
    if to_reserve:
        fund.reserve += to_reserve
        fund.note_reserve_gap(now)
    if to_compartment:
        fund.markets[claimant, market].balance += to_compartment
        fund.compartments += to_compartment
    if profit:
        fund.receive_income(claimant, market, profit, now)
    return to_reserve, to_compartment, profit


def write_off_capital(
    fund: InsuranceFund, claimant: str, market: int, assets: int, *, caller: str
) -> tuple[int, int]:
    """Forgets capital that was lost, the compartment's first; returns both parts."""
    _require_inventory(fund, claimant, caller)
    old = deployed_capital(fund, claimant, market)
    from_compartment = min(assets, old.compartment)
    from_reserve = min(assets - from_compartment, old.reserve)
    fund.deployed[claimant, market] = Deployed(
        old.compartment - from_compartment, old.reserve - from_reserve
    )
    return from_compartment, from_reserve


def deployed_capital(fund: InsuranceFund, claimant: str, market: int) -> Deployed:
    """What is outside of a market, by the layer it came from."""
    return fund.deployed.get((claimant, market)) or Deployed()


def _require_inventory(fund: InsuranceFund, claimant: str, caller: str) -> None:
    if fund.inventories.get(claimant) != caller:
        raise ModelError("NotInventory", caller)
