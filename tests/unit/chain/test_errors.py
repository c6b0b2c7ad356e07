"""Refusals as sentences: the numbers in human units, the remedy, and none forgotten."""

from __future__ import annotations

import re

import pytest

from backstop.chain.artifacts import MissingArtifact, build_artifacts, contract_abi, engine_abi
from backstop.chain.deploy import ARTIFACTS
from backstop.chain.errors import Words, explain, register_all
from backstop.chain.signing import account_id
from backstop.chain.units import from_wad
from backstop.harness.abi import AbiRegistry, Codec, Reverted, signature_of

OWNER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
ACCOUNT = account_id(OWNER)
WORDS = Words("mUSD", 6, ("BTC", "ETH"), {OWNER: "the keeper"})
WAD = 10**18


def test_insufficient_margin_says_how_much_is_missing():
    error = Reverted(
        "InsufficientMargin",
        {"account": ACCOUNT, "equity": 9312 * 10**16, "required": 120 * WAD},
    )
    assert explain(error, WORDS) == (
        "account 0x7099…79C8/0 would have equity 93.12 mUSD but needs 120.00 mUSD initial margin:"
        " deposit at least 26.88 mUSD or reduce the size"
    )


def test_what_is_missing_is_rounded_up_and_negative_equity_is_understood():
    error = Reverted(
        "InsufficientMargin", {"account": ACCOUNT, "equity": -1, "required": 100 * WAD}
    )
    assert "deposit at least 100.01 mUSD" in explain(error, WORDS)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            Reverted(
                "NotWithdrawable",
                {"account": ACCOUNT, "requested": 900 * 10**6, "available": 97_842_237},
            ),
            "at most 97.842237 mUSD now, not 900 mUSD",
        ),
        (
            Reverted(
                "OutsideBand",
                {
                    "market": 0,
                    "fillPrice": 70_000 * WAD,
                    "lowest": 57_000 * WAD,
                    "highest": 63_000 * WAD,
                },
            ),
            "70,000.00 is outside the band of BTC, now between 57,000.00 and 63,000.00",
        ),
        (
            Reverted(
                "OpenInterestAboveCap",
                {"market": 1, "openInterest": 101 * WAD, "cap": 100 * WAD},
            ),
            "open interest of ETH would be 101, above its cap 100: trade at least 1 less",
        ),
        (
            Reverted("PriceNotUsable", {"market": 0, "validity": 1, "needed": 2}),
            "of reduced validity only, and this needs full",
        ),
        (Reverted("PriceNotUsable", {"market": 7}), "the price of market 7 is not usable now"),
        (Reverted("NotTighter", {"field": "perClaim"}), "perClaim would get looser"),
        (Reverted("NotTighter", {"market": 0, "field": "bandPpm"}), "bandPpm of BTC would get"),
        (
            Reverted("AccessManagedRequiredDelay", {"caller": OWNER, "delay": 43_200}),
            "the keeper may do this only after a delay of 12h",
        ),
        (
            Reverted(
                "ERC20InsufficientBalance", {"sender": OWNER, "balance": 10**6, "needed": 3 * 10**6}
            ),
            "the keeper has 1 mUSD but needs 3 mUSD: 2 mUSD are missing",
        ),
        (Reverted("TooEarly", {"account": ACCOUNT, "earliest": 0}), "1970-01-01 00:00:00 UTC"),
        (Reverted("Error", {"message": "no"}), "the contract says: no"),
        (Reverted("Panic", {"code": 17, "meaning": "arithmetic overflow"}), "arithmetic overflow"),
        (Reverted(""), "without a reason"),
    ],
)
def test_sentences(error, sentence):
    assert sentence in explain(error, WORDS)


def test_an_unknown_error_is_shown_as_it_is():
    assert explain(Reverted("Strange", {"x": 1})) == "the contract refused: Strange(x=1)"
    other = Reverted("InsufficientMargin", {"position": 3})
    assert "position=3" in explain(other), "another contract's error of the same name"


def example(kind):
    """Some value of an ABI type."""
    if kind == "address":
        return OWNER
    if kind == "string":
        return "text"
    if kind == "bool":
        return True
    if kind.startswith("bytes"):
        return ACCOUNT[: int(kind[5:] or 32)]
    return 1


def test_every_error_of_a_deployment_has_a_sentence(project):
    seen = set()
    for name in (*ARTIFACTS.values(), "MockToken", "MockFeed"):
        for item in contract_abi(project.get_contract, name):
            if item.get("type") != "error":
                continue
            arguments = {i["name"]: example(i["type"]) for i in item.get("inputs", [])}
            text = explain(Reverted(item["name"], arguments), WORDS)
            assert not text.startswith("the contract refused:"), (
                f"{signature_of(item)} of {name} needs a sentence in backstop/chain/errors.py"
            )
            assert not re.search(r"[{}]", text)
            seen.add(item["name"])
    assert len(seen) > 60


def test_revert_data_is_decoded_whichever_contract_was_called(project):
    registry = AbiRegistry()
    register_all(registry, project.get_contract)
    item = next(
        i for i in engine_abi(project.get_contract) if i.get("name") == "InsufficientMargin"
    )
    data = selector_of(item) + Codec(item["inputs"], "x").encode([ACCOUNT, -5 * WAD, 2 * WAD])
    error = registry.decode_error(data)
    assert from_wad(error.arguments["equity"]) == -5
    assert "deposit at least 7.00" in explain(error, WORDS)


def selector_of(item):
    from eth_utils import keccak

    return keccak(text=signature_of(item))[:4]


def test_a_contract_that_is_not_compiled_names_the_remedy(tmp_path):
    with pytest.raises(MissingArtifact, match="ape compile"):
        build_artifacts(tmp_path)("MarginEngine")
    with pytest.raises(MissingArtifact, match="ape compile"):
        build_artifacts()("NoSuchContract")
