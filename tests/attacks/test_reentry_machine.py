"""Every function and every view, played from inside every callback there is.

A bounded part of what `make reentry` plays: all callbacks, a part of the calls and of their mixes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from backstop.harness.anvil import Anvil
from backstop.harness.reentry.callbacks import ACTIVE, Tally
from backstop.harness.reentry.campaign import Campaign
from backstop.harness.reentry.machine import Machine
from backstop.harness.reentry.sites import calls_out
from backstop.harness.reentry.world import deploy_reentry_world

SEED = 20261122
PART = 0.02
"""Of the calls that work inside, and of the looks from static callbacks."""

ALWAYS_FREE = bytes.fromhex("600060005260206000f3")
"""Code that answers every call with a zero."""

BUILT = "while it is built: nothing else is there yet"
NOT_FOREIGN = "a library, or a contract of the same deployment"

# Every call of a contract of ours to somebody else, and the callbacks that it is: caller and
# function. A new call needs a line here, and the machine has to reach it.
SITES: dict[tuple[str, str], set[tuple[str, str]] | str] = {
    ("Backstop.sol", "IERC20Metadata(token).decimals"): BUILT,
    ("Backstop.sol", "IShortfallClaimant(address(ENGINE)).openDeficit"): NOT_FOREIGN,
    ("Backstop.sol", "IERC20(token).forceApprove"): BUILT,
    ("EngineExposure.sol", "IERC20Metadata(engine.token()).decimals"): BUILT,
    ("Guarded.sol", "target.call"): NOT_FOREIGN,
    ("Guarded.sol", "target.staticcall"): NOT_FOREIGN,
    ("Lens.sol", "IERC20(r.asset).balanceOf"): "a view of the Lens, which nobody relies on",
    ("Liquidator.sol", "IERC20Metadata(token).decimals"): BUILT,
    ("OrderSettlement.sol", "ECDSA.tryRecoverCalldata"): NOT_FOREIGN,
    ("OrderSettlement.sol", "SignatureChecker.isValidERC1271SignatureNowCalldata"): {
        ("settlement", "isValidSignature")
    },
    ("RiskOracle.sol", "source.staticcall"): {("risk_oracle", "exposure")},
    ("engine/Collateral.sol", "TOKEN.balanceOf"): {("engine", "balanceOf")},
    ("engine/Collateral.sol", "TOKEN.safeTransfer"): {("engine", "transfer")},
    ("engine/Collateral.sol", "TOKEN.safeTransferFrom"): {("engine", "transferFrom")},
    ("engine/Delegating.sol", "next.delegatecall"): NOT_FOREIGN,
    ("engine/EngineStorage.sol", "IERC20Metadata(address(w.token)).decimals"): BUILT,
    ("engine/Upkeep.sol", "TOKEN.forceApprove"): {("engine", "approve")},
    ("engine/Upkeep.sol", "TOKEN.safeTransfer"): {("engine", "transfer")},
    ("fund/FundStorage.sol", "ASSET.balanceOf"): {("fund", "balanceOf")},
    ("fund/FundStorage.sol", "ASSET.safeTransfer"): {("fund", "transfer")},
    ("fund/FundStorage.sol", "ASSET.safeTransferFrom"): {("fund", "transferFrom")},
    ("fund/FundStorage.sol", "IERC20Metadata(address(asset_)).decimals"): BUILT,
    ("fund/Reinsurance.sol", "ASSET.balanceOf"): {("fund", "balanceOf")},
    ("fund/Reinsurance.sol", "target.call"): {("fund", "pay")},
    ("fund/Reinsurance.sol", "target.staticcall"): {("fund", "quote")},
    ("fund/StakedTranche.sol", "ASSET.balanceOf"): {("tranche", "balanceOf")},
    ("fund/StakedTranche.sol", "ASSET.safeTransferFrom"): {("tranche", "transferFrom")},
    ("fund/StakedTranche.sol", "IERC20Metadata(address(asset_)).decimals"): BUILT,
    ("fund/Staking.sol", "IShortfallClaimant(claimant).openDeficit"): {("fund", "openDeficit")},
    ("fund/Surplus.sol", "IRiskOracle(_riskOracle).target"): {("fund", "target")},
    ("libraries/FeedReader.sol", "source.staticcall"): {
        ("oracle", "latestRoundData"),
        ("oracle", "decimals"),
    },
    ("libraries/Sanctions.sol", "list.isSanctioned"): {
        ("engine", "isSanctioned"),
        ("tranche", "isSanctioned"),
    },
    ("reinsurance/CrashPut.sol", "ASSET.balanceOf"): {("crash_put", "balanceOf")},
    ("reinsurance/CrashPut.sol", "ASSET.forceApprove"): BUILT,
    ("reinsurance/CrashPut.sol", "ASSET.safeTransfer"): {("crash_put", "transfer")},
    ("reinsurance/CrashPut.sol", "ASSET.safeTransferFrom"): {("crash_put", "transferFrom")},
    ("reinsurance/CrashPut.sol", "IERC20Metadata(address(ASSET)).decimals"): BUILT,
}


@pytest.fixture(scope="module")
def campaign(project: Any) -> Iterator[Campaign]:
    with Anvil() as node:
        world = deploy_reentry_world(node.client, project.get_contract)
        yield Campaign(Machine(world, SEED), SEED, PART)


def clean(campaign: Campaign) -> bool:
    findings = campaign.machine.tally.findings
    assert not findings, "\n".join(findings)
    return True


def test_every_call_out_is_known() -> None:
    assert calls_out() == set(SITES)


def test_every_callback_is_reached(campaign: Campaign) -> None:
    reached = {(point.caller, point.hook) for point in campaign.points}
    wanted = set().union(*(site for site in SITES.values() if isinstance(site, set)))
    assert wanted <= reached, wanted - reached


def test_enough_works_outside(campaign: Campaign) -> None:
    """Calls that fail anyway would say nothing about the lock."""
    assert len(campaign.machine.working) > 80, sorted(campaign.machine.working)


def test_inside_active_callbacks(campaign: Campaign) -> None:
    campaign.each(print)
    campaign.compared(print)
    tally = campaign.machine.tally
    assert tally.outcomes["locked"] > 3_000 and tally.views > 10_000 and tally.compared > 20
    assert clean(campaign)


def test_inside_static_callbacks(campaign: Campaign) -> None:
    before = campaign.machine.tally.views
    campaign.looked(print)
    assert campaign.machine.tally.views > before + 50
    assert clean(campaign)


def test_without_the_lock_it_finds_what_a_callback_sees(campaign: Campaign) -> None:
    """The lock is replaced by one that is always free: the same machine has findings then."""
    machine, lock = copy.copy(campaign.machine), campaign.machine.world.bench.system.lock
    machine.tally, machine._looks = Tally(), {}
    with machine.client.isolated():
        machine.client.set_code(lock.address, ALWAYS_FREE)
        for entry in machine.entries:
            if entry.name in ("closeOut", "sweepFees"):
                for point in machine.points(entry):
                    if point.hook in ACTIVE:
                        machine.play_each(point)
    assert len(machine.tally.findings) > 5
