"""`post-target`: a size-fund summary as a report to the RiskOracle contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backstop.chain.artifacts import contract_abi
from backstop.chain.deploy import System
from backstop.chain.record import DeploymentError
from backstop.chain.units import WAD
from backstop.harness.rpc import Contract
from backstop.report.risk.outputs import BadSummary, read_summary

#: Name of the contract in a deployment's record.
ORACLE = "risk_oracle"


@dataclass(frozen=True)
class Posting:
    """The arguments of `RiskOracle.post`; amounts in the token's smallest units."""

    target: int
    data_hash: bytes
    code_hash: bytes
    contributions: tuple[tuple[int, int], ...]


def units_up(wad: int, decimals: int) -> int:
    """An 18-decimal amount in a token's units, rounded up: a target is never understated."""
    return -(-wad * 10**decimals // WAD)


def load_posting(path: Path, markets: Mapping[str, int], decimals: int) -> Posting:
    """What a summary posts, for a deployment's markets (number by name) and token.

    Raises BadSummary for a partial study, one without a target, or one of other markets.
    """
    summary = read_summary(path, "size-fund")
    if summary.get("partial") or summary.get("required") is None:
        raise BadSummary(
            f"{path} is of a study that was stopped, or has no target.",
            "run `ape run size-fund` to its end.",
        )
    try:
        parts = {str(name): int(wad) for name, wad in summary["contributions_wad"].items()}
        target = int(summary["required"]["target_wad"])
        hashes = [bytes.fromhex(summary[name]) for name in ("data_hash", "code_hash")]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadSummary(f"{path} lacks a field: {error}.", "run size-fund again.") from None
    if any(len(digest) != 32 for digest in hashes):
        raise BadSummary(f"{path}: a hash has not 32 bytes.", "run size-fund again.")
    unknown = [name for name in parts if name not in markets]
    if unknown:
        raise BadSummary(
            f"{path} is of {', '.join(parts)}; the deployment has {', '.join(markets)}.",
            "size the fund of this deployment: `ape run size-fund --network ...`.",
        )
    contributions = sorted((markets[name], units_up(wad, decimals)) for name, wad in parts.items())
    return Posting(units_up(target, decimals), hashes[0], hashes[1], tuple(contributions))


def risk_oracle(system: System) -> Contract:
    """The deployment's RiskOracle; DeploymentError if it has none."""
    entry = system.record.contracts.get(ORACLE)
    if entry is None:
        raise DeploymentError(
            "this deployment has no RiskOracle (no risk_oracle in its record): deploy again with a"
            " version that has one"
        )
    abi = contract_abi(system.artifacts, entry.artifact)
    return Contract(system.client, entry.address, abi, check=False)


def reporters(oracle: Contract) -> list[str]:
    """Who may post."""
    return [str(address) for address in oracle.reporters()]


def not_reporter(address: str, known: list[str]) -> str:
    """Why an account cannot post, and what to do."""
    listed = ", ".join(known) or "nobody"
    return (
        f"{address} is no reporter of the RiskOracle; reporters: {listed}. Post with one of them,"
        " or let risk_admin add it with setReporter"
    )


def as_dict(posting: Posting, decimals: int) -> dict[str, Any]:
    """The posting as JSON has it."""
    return {
        "target": str(posting.target),
        "decimals": decimals,
        "data_hash": "0x" + posting.data_hash.hex(),
        "code_hash": "0x" + posting.code_hash.hex(),
        "contributions": [
            {"market": market, "assets": str(assets)} for market, assets in posting.contributions
        ],
    }
