"""What the mutation run over the contracts and the planted bugs rest on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backstop.harness.fuzz.planted import Bug, Found, bugs, page
from backstop.harness.mutation.compiler import CompilerError
from backstop.harness.mutation.contracts import files_in, mutants_in
from backstop.harness.mutation.doors import _value
from backstop.harness.mutation.machines import MACHINES
from backstop.harness.mutation.plays import play_of
from backstop.harness.mutation.project import Artifact, contracts_with, imports_of, text_of
from backstop.harness.rpc import Contract, RpcClient

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
    planted = bugs()
    assert len(planted) >= 20
    assert len({bug.name for bug in planted}) == len(planted)
    for bug in planted:
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
