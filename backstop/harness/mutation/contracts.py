"""The mutation run over the contracts: what is recorded once, and the judgement of one mutant."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from backstop.chain.artifacts import ROOT, build_artifacts
from backstop.harness.abi import created_address
from backstop.harness.anvil import Anvil, account_address
from backstop.harness.fuzz.campaign import play_seed
from backstop.harness.fuzz.case import read_case
from backstop.harness.fuzz.recording import RecordingDuel
from backstop.harness.mutation.compiler import Compiler, CompilerError
from backstop.harness.mutation.doors import knocks, knocks_while_locked
from backstop.harness.mutation.edges import edges
from backstop.harness.mutation.machines import MACHINES, Recorder, run_machine
from backstop.harness.mutation.mutants import Mutant, closing, code_of, mutants_of
from backstop.harness.mutation.plays import Play, play_of
from backstop.harness.mutation.project import (
    NODE_OPTIONS,
    SHELLS,
    Artifact,
    closure,
    compile_contracts,
    contracts_with,
    mutable_files,
    path_of as project_path,
    text_of,
)
from backstop.harness.mutation.scenes import scenes
from backstop.harness.mutation.table import Result
from backstop.harness.rpc import Contract, NodeError, RpcClient
from backstop.harness.world import ChainWorld, deploy_world

SEEDS: Final = 24
"""Seeds that are looked at; kept are those that reach something new."""

TURNS: Final = 80
EXAMPLES: Final = 20
MACHINE_TURNS: Final = 30
_CONSTRUCTOR = re.compile(r"\bconstructor\(")


def mutants_in(files: Sequence[str]) -> list[Mutant]:
    """The mutants of these sources, but for those of constructors, which no play runs."""
    return [m for file in files for m in mutants_of(file, text_of(file)) if not _constructs(m)]


def _constructs(mutant: Mutant) -> bool:
    code = code_of(mutant.source)
    for found in _CONSTRUCTOR.finditer(code):
        opening = code.index("{", closing(code, found.end() - 1))
        if found.start() <= mutant.start <= closing(code, opening):
            return True
    return False


def contracts_fingerprint() -> str:
    """Of everything that a verdict depends on: sources, plays, and what chooses their actions."""
    here, harness = Path(__file__).parent, Path(__file__).parents[1]
    judges = ("compiler", "contracts", "doors", "edges", "machines", "plays", "project", "scenes")
    paths = [here / f"{name}.py" for name in judges]
    players = ("duel", "duel_stakers", "players", "staker_player", "world", "fund")
    paths += [harness / f"{name}.py" for name in players]
    paths += [*(harness.parent / "model").glob("*.py"), *(ROOT / "tests/corpus").glob("*.yaml")]
    paths += [ROOT / "tests" / "fuzz" / file for file, _ in MACHINES.values()]
    digest = hashlib.sha256()
    for path in sorted(closure(project_path(name) for name in SHELLS)):
        digest.update(f"{path}\0{text_of(path)}\0".encode())
    for source in sorted(paths):
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()[:16]


def files_in(paths: Sequence[str]) -> list[str]:
    """The sources that can be changed in these files and folders; all of them if none is named."""
    clean = [path.removeprefix("./").rstrip("/") for path in paths]
    known = mutable_files()
    return [f for f in known if not clean or any(f == c or f.startswith(c + "/") for c in clean)]


@dataclass(frozen=True)
class Instance:
    """A deployed contract whose code may be changed."""

    client: RpcClient
    contract: str
    address: str
    immutables: dict[str, bytes]


class Bench:
    """Compiler, node, contracts as they are, and the plays that judge; a context.

    Args:
        say: gets a line for each stage of the preparation.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._compiler = Compiler()
        self._nodes: list[Anvil] = []
        self.plays: list[Play] = []
        self.instances: list[Instance] = []
        self._known: dict[str, Artifact] = {}

    def __enter__(self) -> Self:
        self._compiler.__enter__()
        try:
            self._say("compiling the contracts as they are")
            self._known = self._compiled(tuple(SHELLS), {})
            self._prepare()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for node in self._nodes:
            node.stop()
        self._compiler.__exit__(kind, error, trace)

    # ------------------------------------------------------------------ recording

    def artifact(self, name: str) -> dict[str, Any]:
        """The contract as it is: ours without via-IR, others as they were compiled last."""
        return self._known[name].as_artifact() if name in SHELLS else build_artifacts()(name)

    def _compiled(self, names: Sequence[str], changed: dict[str, str]) -> dict[str, Artifact]:
        found = compile_contracts(self._compiler, names, changed)
        if isinstance(found, str):
            raise CompilerError(f"the contracts do not compile as they are: {found}")
        return found

    def _prepare(self) -> None:
        for name in MACHINES:
            self._say(f"recording the {name}")
            self._record_machine(name)
        self._say("recording duels")
        chain = deploy_world(self._new_node().client, self.artifact, account_address(0))
        for name, attribute in SHELLS.items():
            if attribute != "engine":
                self._place(chain.client, name, getattr(chain, attribute).address)
        self._place_engine(chain)
        lock = self.artifact("MockLockMember"), chain.lock.address
        stand_in = chain.client.deploy(*lock, sender=chain.admin)
        duels = _duels(chain)
        self._record_doors(chain, stand_in)
        self.plays += duels
        self._say(f"{len(self.plays)} plays, {sum(len(p.labels) for p in self.plays):,} calls")
        for play in self.plays:
            if difference := play.difference(self._over(play, self._known)):
                raise CompilerError(f"unchanged code is noticed: {difference}")

    def _new_node(self) -> Anvil:
        """A node of its own for every world: nothing happens on it once its plays are recorded."""
        self._nodes.append(Anvil(extra=NODE_OPTIONS).start())
        return self._nodes[-1]

    def _over(self, play: Play, changed: Mapping[str, Artifact]) -> dict[str, str]:
        """The code of changed contracts, by the addresses that they have in the world of a play."""
        return {
            i.address: changed[i.contract].filled(i.immutables)
            for i in self.instances
            if i.client is play.client and i.contract in changed
        }

    def _place(self, client: RpcClient, contract: str, address: str) -> None:
        code = client.code(address)
        artifact = self._known[contract]
        values = artifact.immutables(code)
        if artifact.filled(values) != code.hex():
            raise CompilerError(f"the code at {address} is not that of {contract}")
        self.instances.append(Instance(client, contract, address, values))

    def _place_engine(self, chain: ChainWorld) -> None:
        """The engine's parts: each knows the next one's address."""
        at = chain.engine.address
        for name in ("MarginEngine", "MarginEngineBackOffice", "MarginEngineGovernance"):
            self._place(chain.client, name, at)
            values = self.instances[-1].immutables
            if "Delegating.NEXT" in values:
                at = "0x" + values["Delegating.NEXT"][-20:].hex()

    def _record_machine(self, name: str) -> None:
        node = self._new_node()
        client = node.client
        number = 0
        reached: set[tuple[str, str, str]] = set()

        def keep(steps: list[Any], labels: list[str]) -> None:
            nonlocal number, reached
            number += 1
            play = play_of(f"{name} {number}", client, steps, labels, {})
            if play.reached - reached:  # most examples of a machine are like others
                reached |= play.reached
                self.plays.append(play)

        recorder = Recorder(node.url, keep)
        run_machine(name, recorder, self.artifact, EXAMPLES, MACHINE_TURNS)
        for contract, address in recorder.deployed:
            if contract in SHELLS:
                self._place(client, contract, address)
            if contract == "InsuranceFund":
                self._place(client, "StakedTranche", created_address(address, 1))
        recorder.close()

    def _record_doors(self, chain: ChainWorld, stand_in: Contract) -> None:
        client = chain.client
        steps, labels = knocks(chain)
        self.plays.append(play_of("doors", client, steps, labels, {}))
        self.plays.append(play_of("edges", client, *edges(chain), {}))
        for name, story in scenes(chain).items():
            self.plays.append(play_of(name, client, *story, {}))
        holder = Contract(client, chain.settlement.address, stand_in.abi)
        code = client.code(stand_in.address).hex()
        # through a stranger, and through the admin, whom no role keeps out
        for who, at in (("a stranger", stand_in.address), ("the admin", chain.admin)):
            between = Contract(client, at, stand_in.abi, check=False)
            steps, labels = knocks_while_locked(chain, holder, between)
            base = {holder.address: code, at: code}
            name = f"doors under lock, by {who}"
            self.plays.append(play_of(name, client, steps, labels, {}, base))

    # ------------------------------------------------------------------ judging

    def result(self, mutant: Mutant) -> Result:
        """Compile, compare, judge."""
        started = time.monotonic()
        verdict, reason = self._judged(mutant)
        seconds = round(time.monotonic() - started, 2)
        where = (mutant.name, mutant.file, mutant.line, mutant.operator)
        return Result(*where, verdict, seconds, reason, mutant.diff())

    def _judged(self, mutant: Mutant) -> tuple[str, str]:
        names = contracts_with(mutant.file)
        found = compile_contracts(self._compiler, names, {mutant.file: mutant.text}, self._known)
        if isinstance(found, str):
            return "invalid", found
        changed = {n: a for n, a in found.items() if a.runtime != self._known[n].runtime}
        if not changed:
            return "equivalent", ""
        for number, play in enumerate(self.plays):
            try:
                over = self._over(play, changed)
                difference = play.difference(over) if over else None
            except NodeError as error:
                difference = f"{play.name}: {error}"
            if difference:
                # what has noticed one mutant soon notices the next
                self.plays.insert(0, self.plays.pop(number))
                return "killed", difference
        return "survived", ""


def _duels(chain: ChainWorld) -> list[Play]:
    """The corpus, and seeds that reach something new; all of them agree with the twin."""
    plays, reached = [], set()
    for path in sorted((ROOT / "tests" / "corpus").glob("*.yaml")):
        duel = read_case(path).play(chain)
        duel.verify()
        plays.append(_play(path.stem, duel, chain.client))
        reached |= _reached(duel)
    for seed in range(SEEDS):
        alone, _ = play_seed(seed, TURNS, None)
        if _reached(alone) <= reached:
            continue
        duel, failure = play_seed(seed, TURNS, chain)
        if failure is not None:
            raise CompilerError(f"seed {seed} disagrees with the twin: {failure.message}")
        reached |= _reached(alone)
        plays.append(_play(f"seed {seed}", duel, chain.client))
    return plays


def _reached(duel: RecordingDuel) -> set[Any]:
    return {*duel.counts, *(+duel.milestones)}


def _play(name: str, duel: RecordingDuel, client: RpcClient) -> Play:
    labels = [expected.kind for expected in duel.expected]
    return play_of(name, client, duel.steps, labels, duel.probes())
