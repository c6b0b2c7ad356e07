"""Foundry's invariant runner on the world of the bulk fuzz: actions a second, all views read.

The deployment is taken over from a node as it is (accounts with code and storage), so that both
play the same contracts from the same state. `solidity/Play.t.sol` is the handler.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from backstop.chain.artifacts import ROOT
from backstop.harness.anvil import private_key
from backstop.harness.fuzz.recording import RecordingDuel
from backstop.harness.world import FEED_DECIMALS, START_PRICES, ChainWorld, feed_name

HERE = Path(__file__).parent
FORGE = ROOT / ".venv" / "bin" / "forge"

_CONFIG = """[profile.default]
src = "src"
test = "src"
solc = "{solc}"
evm_version = "cancun"
optimizer = true
via_ir = true
fs_permissions = [{{ access = "read", path = "./" }}]
remappings = ["interfaces/=interfaces/"]

[invariant]
runs = {runs}
depth = {depth}
fail_on_revert = true
shrink_run_limit = 0
"""


def speed(chain: ChainWorld, runs: int, depth: int) -> float | None:
    """Actions a second of `forge test`; None where forge has no build for the platform."""
    if not FORGE.exists():
        return None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _project(folder, chain)
        _forge(folder, 1, 1)  # compiles
        _, idle = _forge(folder, 1, 1)
        calls, busy = _forge(folder, runs, depth)
    return calls / max(1e-9, busy - idle)


def _project(folder: Path, chain: ChainWorld) -> None:
    (folder / "src").mkdir()
    shutil.copy(HERE / "solidity" / "Play.t.sol", folder / "src")
    shutil.copytree(ROOT / "interfaces", folder / "interfaces")
    (folder / "allocs.json").write_text(json.dumps(_allocs(chain)))
    (folder / "setup.json").write_text(json.dumps(_setup(chain)))


def _allocs(chain: ChainWorld) -> dict[str, Any]:
    """All accounts of the node, as a genesis file has them."""
    dumped = json.loads(gzip.decompress(bytes.fromhex(chain.client.rpc("anvil_dumpState")[2:])))
    found = {}
    for address, account in dumped["accounts"].items():
        storage = {_word(slot): _word(value) for slot, value in account["storage"].items()}
        found[address] = {
            "balance": account["balance"],
            "nonce": hex(int(str(account["nonce"]), 0)),
            "code": account["code"],
            "storage": storage,
        }
    return found


def _word(number: str) -> str:
    return f"0x{int(number, 16):064x}"


def _setup(chain: ChainWorld) -> dict[str, Any]:
    """Addresses, accounts with their keys, feeds, and the views that are read."""
    duel = RecordingDuel(chain)
    probes = duel.probes().values()
    owners = list(duel.owners)
    names = [feed_name(market, which) for market in range(len(START_PRICES)) for which in (0, 1)]
    assert FEED_DECIMALS == (8, 10), "the handler pushes these"
    parts = ("engine", "settlement", "liquidator", "fund", "token")
    return {part: getattr(chain, part).address for part in parts} | {
        "admin": chain.admin,
        "accounts": ["0x" + account.hex() for account in duel.accounts],
        "keys": [
            int.from_bytes(private_key(1 + owners.index(account[:20]))) for account in duel.accounts
        ],
        "feeds": [chain.feeds[name].address for name in names],
        "answers": list(START_PRICES),
        "viewTargets": [probe.to for probe in probes],
        "views": ["0x" + probe.data.hex() for probe in probes],
        "time": chain.client.timestamp + 1,
    }


def _forge(folder: Path, runs: int, depth: int) -> tuple[int, float]:
    """Calls made, and seconds."""
    solc = ROOT / ".venv" / "solc" / "solc-v0.8.37"
    (folder / "foundry.toml").write_text(_CONFIG.format(solc=solc, runs=runs, depth=depth))
    command = [str(FORGE), "test", "--threads", "1", "--fuzz-seed", "1", "--offline"]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    found = re.search(r"calls: (\d+), reverts: (\d+)", done.stdout)
    if done.returncode or found is None:
        raise SystemExit(f"forge: {done.stdout[-3000:]}{done.stderr[-2000:]}")
    return int(found[1]), seconds
