"""What is remembered of a deployment: `deployments/<chain id>.json`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from eth_utils import keccak

from backstop.chain.artifacts import ROOT
from backstop.chain.files import write_whole

FOLDER_VARIABLE: Final = "BACKSTOP_DEPLOYMENTS"
"""Environment variable that names another folder for records than `deployments/`."""

_FORMAT: Final = 1
_LARGE: Final = 64 * 1024
"""Bytes of a record, at most about."""


class DeploymentError(RuntimeError):
    """A deployment that cannot be made or found; the message names the remedy."""


@dataclass(frozen=True)
class DeployedContract:
    """Where a contract is and which code it has there (keccak-256 of the runtime code)."""

    artifact: str
    address: str
    code_hash: str


@dataclass(frozen=True)
class DeployedFeed:
    """A price feed of a market; `mock` if anybody may set its answer."""

    address: str
    decimals: int
    mock: bool


@dataclass(frozen=True)
class DeployedMarket:
    """A market's number is its place in the record's list."""

    name: str
    feeds: tuple[DeployedFeed, ...]


@dataclass(frozen=True)
class Record:
    """Addresses, code and origin of a deployment.

    Attributes:
        chain_id: EIP-155 chain number.
        block: number of the block in which the set-up ended.
        deployer: who deployed.
        parameters: name of the parameters, and their digest.
        contracts: by role: authority, token, oracle, lock, back_office, engine, fund, tranche,
            settlement, liquidator, backstop and lens (missing in records older than they are),
            crash_put (if wanted).
    """

    chain_id: int
    block: int
    deployer: str
    parameters: str
    parameters_digest: str
    token_symbol: str
    token_decimals: int
    token_mock: bool
    contracts: Mapping[str, DeployedContract]
    markets: tuple[DeployedMarket, ...]

    def market(self, name: str) -> int:
        """The number of a market, by name in any case or by number; LookupError otherwise."""
        for number, market in enumerate(self.markets):
            if name.upper() == market.name.upper() or name == str(number):
                return number
        listed = ", ".join(f"{i} {market.name}" for i, market in enumerate(self.markets))
        raise LookupError(f"there is no market {name}; there are: {listed}")

    def to_json(self) -> str:
        """The record as the file holds it."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, source: object = "the record") -> Record:
        """The record of a text; DeploymentError if it is none."""
        try:
            data = json.loads(text)
            if data.pop("format") != _FORMAT:
                raise ValueError("another format")
            data["contracts"] = {
                name: DeployedContract(**entry) for name, entry in data["contracts"].items()
            }
            data["markets"] = tuple(
                DeployedMarket(m["name"], tuple(DeployedFeed(**feed) for feed in m["feeds"]))
                for m in data["markets"]
            )
            return cls(**data)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DeploymentError(
                f"{source} is no deployment record of this version ({error}):"
                " delete it and deploy again"
            ) from None

    def save(self, path: Path | None = None) -> Path:
        """Write the record; a reader sees the old file or the new one, never half of it."""
        path = path or record_path(self.chain_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, self.to_json())
        return path


def record_path(chain_id: int) -> Path:
    """Where the record of a chain is."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return (Path(folder) if folder else ROOT / "deployments") / f"{chain_id}.json"


def check_writable(chain_id: int) -> None:
    """Make sure, before anything is deployed, that the record can be kept; DeploymentError."""
    path = record_path(chain_id)
    probe = path.with_name(f".{path.name}.probe")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(probe, " " * _LARGE)
        probe.unlink()
    except OSError as error:
        raise DeploymentError(
            f"{path.parent} cannot hold the deployment's record ({error.strerror}), so nothing was"
            f" deployed: make room, or name another folder in {FOLDER_VARIABLE}"
        ) from None


def load_record(where: int | str | Path) -> Record:
    """The record of a chain id or of a file; DeploymentError if there is none."""
    path = record_path(where) if isinstance(where, int) else Path(where)
    try:
        text = path.read_text()
    except FileNotFoundError:
        what = f"for chain {where}" if isinstance(where, int) else "there"
        raise DeploymentError(
            f"no deployment is recorded {what} ({path.name} is missing):"
            " run `ape run deploy` on this network, or connect to the right one"
        ) from None
    except OSError as error:
        raise DeploymentError(f"{path} cannot be read: {error.strerror}") from None
    return Record.from_json(text, path)


def check_record(record: Record, client: Any) -> None:
    """Make sure that the record's contracts are on the client's chain; DeploymentError if not."""
    chain_id = client.chain_id
    if chain_id != record.chain_id:
        raise DeploymentError(
            f"the deployment is on chain {record.chain_id}, but the network is chain {chain_id}:"
            " choose the right --network"
        )
    for name, contract in record.contracts.items():
        code = client.code(contract.address)
        if not code:
            raise DeploymentError(
                f"there is no {name} at {contract.address} on chain {chain_id}: the node was"
                " restarted, or is another one. Deploy again, or keep one node running and name it"
                " in APE_FOUNDRY_HOST"
            )
        if "0x" + keccak(code).hex() != contract.code_hash:
            raise DeploymentError(
                f"the {name} at {contract.address} has another code than the recorded one: the"
                " node was restarted and something else deployed. Deploy again"
            )
