"""What the mutation run over the contracts and the planted bugs rest on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from hypothesis.errors import FlakyStrategyDefinition

from backstop.harness.fuzz import planted
from backstop.harness.fuzz.planted import Bug, Found, bugs, page
from backstop.harness.mutation.compiler import CompilerError
from backstop.harness.mutation.contracts import files_in, mutants_in
from backstop.harness.mutation.doors import _value
from backstop.harness.mutation.machines import MACHINES
from backstop.harness.mutation.plays import play_of
from backstop.harness.mutation.project import Artifact, contracts_with, imports_of, text_of
from backstop.harness.rpc import Contract, Reverted, RpcClient
from backstop.model.invariants import InvariantBroken

STORAGE = "contracts/engine/EngineStorage.sol"


def test_imports_are_found_relative_to_their_source() -> None:
    text = 'import {A} from "./A.sol";\nimport {B} from "../B.sol";\nimport "@x/C.sol";\n'
    found = imports_of("contracts/engine/D.sol", text)
    assert found == ["contracts/engine/A.sol", "contracts/B.sol", "@x/C.sol"]


def test_a_source_is_changed_in_every_contract_that_it_is_part_of() -> None:
    engine = ["MarginEngine", "MarginEngineBackOffice", "MarginEngineGovernance"]
    assert contracts_with(STORAGE) == engine
    assert contracts_with("contracts/fund/staking/Exits.sol") == ["StakedTranche"]
    assert contracts_with("contracts/fund/Waterfall.sol") == ["InsuranceFund"]
    assert "Liquidator" in contracts_with("contracts/Guarded.sol")


def test_files_are_chosen_by_name_and_by_folder() -> None:
    assert files_in(["contracts/fund/Backing.sol"]) == ["contracts/fund/Backing.sol"]
    staking = files_in(["./contracts/fund/staking/"])
    assert len(staking) == 5 and set(staking) < set(files_in([]))
    assert files_in(["contracts/libraries", "interfaces"]) == []


def test_constructors_are_left_out() -> None:
    text = text_of(STORAGE)
    inside = range(text.index("constructor("), text.index("modifier onlySettlement"))
    made = mutants_in([STORAGE])
    assert made and not [m for m in made if m.start in inside]


def test_immutables_go_from_a_deployed_code_to_a_changed_one() -> None:
    old = Artifact("C", [], "", "60" + "00" * 4, {"C.A": ((1, 2),), "C.B": ((3, 2),)})
    new = Artifact("C", [], "", "00" * 5, {"C.B": ((0, 2), (3, 2))})
    values = old.immutables(bytes.fromhex("60aaaabbbb"))
    assert old.filled(values) == "60aaaabbbb"
    assert new.filled(values) == "bbbb00bbbb"


def test_arguments_fit_their_types() -> None:
    inner = {"type": "tuple", "components": [{"type": "bool"}, {"type": "uint8"}]}
    assert _value(inner, 1) == (True, 1)
    assert _value({"type": "tuple[]"}, 1) == []
    assert _value({"type": "bytes4"}, 0) == bytes(4)


def test_a_play_notices_code_that_answers_otherwise(
    rpc: RpcClient, deploy: Callable[..., Contract], owner: object
) -> None:
    with rpc.isolated():
        feed, other = deploy("MockFeed", 8, 5), deploy("MockToken", "T", "T", 6)
        steps = [feed.push.step(7, sender=owner), feed.latestRoundData.step(delay=0)]
        play = play_of(
            "feed", rpc, steps, ["transaction", "view"], {"decimals": feed.decimals.step()}
        )
        assert len(play.answers) == 3
        assert play.difference({}) is None
        same = {feed.address: rpc.code(feed.address).hex()}
        assert play.difference(same) is None
        difference = play.difference({feed.address: rpc.code(other.address).hex()})
        assert difference is not None and "step 0" in difference


def test_a_recording_that_does_not_come_out_again_is_refused(
    rpc: RpcClient, deploy: Callable[..., Contract], owner: object
) -> None:
    with rpc.isolated():
        feed = deploy("MockFeed", 8, 5)
        steps = [feed.push.step(7, sender=owner)]
        with pytest.raises(ValueError, match="does not do what was recorded"):
            play_of("feed", rpc, steps, ["refused transaction"], {})


def test_every_planted_bug_has_its_place() -> None:
    known = bugs()
    assert len(known) >= 20
    assert len({bug.name for bug in known}) == len(known)
    for bug in known:
        assert bug.text != text_of(bug.file)
        assert contracts_with(bug.file)
        assert bug.finder in ("duel", *MACHINES)


def test_a_bug_without_a_place_is_refused() -> None:
    bug = Bug("lost", "contracts/fund/Backing.sol", "no such text", "", "")
    with pytest.raises(CompilerError, match="holds 0 times"):
        _ = bug.text


def test_the_page_says_what_was_missed() -> None:
    rows = [
        Found("a", "contracts/fund/Backing.sol", "", "duel", 12, 3.5, "step 3: differs"),
        Found("b", "contracts/fund/Backing.sol", "", "duel", 900, 300.0, ""),
    ]
    text = page(rows, 300)
    assert (
        "1 not found" in text
        and "| b | fund/Backing | duel | 900 | 300.0 | **not found** |" in text
    )


def _raising(error: Exception) -> Callable[..., None]:
    def run(*args: object) -> None:
        raise error

    return run


@pytest.mark.parametrize("error", [InvariantBroken("NO_MINT", "x"), Reverted("Panic")])
def test_what_a_machine_checks_is_a_find(
    rpc: RpcClient, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(planted, "run_machine", _raising(error))
    assert str(error) in planted.Hunt(rpc, None, 10).machine("put machine")


def test_a_crash_is_no_find(rpc: RpcClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planted, "run_machine", _raising(KeyError("no such bucket")))
    with pytest.raises(planted.SearchBroken, match="put machine crashed: KeyError"):
        planted.Hunt(rpc, None, 10).machine("put machine")
    monkeypatch.setattr(planted, "deploy_world", lambda *args: None)
    monkeypatch.setattr("backstop.harness.fuzz.campaign.Player.opening", _raising(KeyError("x")))
    node = SimpleNamespace(client=rpc)
    with pytest.raises(planted.SearchBroken, match="seed 7 crashed: KeyError"):
        planted.Hunt(node, None, 10).duels(7)


def test_the_end_of_the_time_is_no_find(rpc: RpcClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hypothesis may say something of its own about a play that is broken off."""

    def run(name: str, recorder: planted.Timed, *more: object) -> None:
        try:
            recorder.set_next_timestamp(0)
        except planted.OutOfTime:
            raise FlakyStrategyDefinition("stopped drawing earlier") from None

    monkeypatch.setattr(planted, "run_machine", run)
    assert planted.Hunt(rpc, None, -1).machine("put machine") == ""


@pytest.mark.parametrize("alarm", ["", "AssertionError: step 3 differs"])
def test_a_finder_that_finds_what_is_not_there_ends_the_run_with_1(
    monkeypatch: pytest.MonkeyPatch, alarm: str
) -> None:
    """The control is played for each finder once, as long as its slowest find."""
    asked = []

    class Field:
        def __init__(self, compiler: object) -> None: ...

        def search(self, bug: Bug, seconds: float, seed: int) -> Found:
            return Found(bug.name, bug.file, "", bug.finder, 5, 77.0, "step 3 differs")

        def control(self, finder: str, seconds: float, seed: int) -> Found:
            asked.append((finder, seconds, seed))
            return Found(finder, "", "", finder, 9, seconds, alarm)

    monkeypatch.setattr(planted, "Field", Field)
    monkeypatch.setattr(planted, "Compiler", contextlib.nullcontext)
    done = CliRunner().invoke(planted.cli, ["--seed", "3"])
    assert done.exit_code == bool(alarm), done.output
    assert asked == [(finder, 77.0, 3) for finder in dict.fromkeys(b.finder for b in bugs())]
    assert ("FALSE ALARM" in done.output) == bool(alarm)
