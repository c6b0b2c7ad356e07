"""Fees, budgets, the journal, and parameters that are refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from backstop.chain.artifacts import ROOT
from backstop.chain.config import ConfigError
from backstop.keeper import economics
from backstop.keeper.budget import Budget, Fees
from backstop.keeper.config import COIN, KeeperConfig
from backstop.keeper.journal import Journal, JournalError

TEXT = (ROOT / "parameters" / "keeper.yaml").read_text()


def config(*changes: tuple[str, str]) -> KeeperConfig:
    text = TEXT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return KeeperConfig.parse(text, "k.yaml")


# --- parameters


def test_the_example_says_what_it_means():
    made = config()
    assert made.look.price_slack == 0.02
    assert (made.gas.expected_fee, made.gas.max_fee) == (5 * 10**7, 5 * 10**9)
    assert made.gas.per_day == COIN // 2
    assert (made.ways.orders, made.ways.deleverage) == (None, True)
    assert made.gas.tokens(COIN) == 3000
    assert made.source == "k.yaml"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("poll: 2s", "poll: 0s", "look.poll is '0s'; allowed: a duration from 1s"),
        ("poll: 2s", "pol: 2s", "look.poll is missing"),
        ("price_slack: 2%", "price_slack: 2", "look.price_slack is '2'; allowed: a percentage"),
        ("bump: 25%", "bump: 5%", "gas.bump is '5%'; allowed: a percentage from 10%"),
        ("expected_fee: 0.05", "expected_fee: 9", "gas.expected_fee is '9'"),
        ("priority_fee: 0.01", "priority_fee: 6", "raise max_fee or lower priority_fee"),
        ("per_hour: 0.05", "per_hour: 5", "gas.per_hour is '5'; allowed: coins, at most per_day"),
        ("per_hour: 0.05", "per_hour: 0", "gas.per_hour is '0'"),
        ("take_over: yes", "take_over: maybe", "ways.take_over is 'maybe'; allowed: yes or no"),
        ("orders: no", "orders: /nowhere", "an existing folder with signed orders"),
        ("minimum: 0 ", "minimum: -1 ", "say in profit.subsidy_per_day how much may be lost"),
        ("minimum: 0 ", "minimum: x ", "profit.minimum is 'x'"),
        ("in_flight: 32", "in_flight: 0", "gas.in_flight is '0'"),
        ("  poke: yes", "  poke: yes\n  pock: 1", "upkeep.pock is 'an unknown field'"),
        ("upkeep:", "upkeeep:", "upkeep is missing"),
        ("account:", "account: 1\nold:", "account is '1'; allowed: a mapping of fields"),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(old, new, message):
    with pytest.raises(ConfigError) as caught:
        config((old, new))
    assert message in str(caught.value)
    assert "What to do:" in str(caught.value)


def test_no_way_at_all_is_refused():
    off = [
        (f"{way}: yes", f"{way}: no")
        for way in ("take_over", "backstop", "deleverage", "close_out")
    ]
    with pytest.raises(ConfigError, match="at least one way"):
        config(*off)


# --- would it lose money?


TERMS = SimpleNamespace(maxDiscountPpm=10_000, minDiscountPpm=2_500, rewardPpm=175)


def refuse(made: KeeperConfig, fee: int = 0) -> str:
    with pytest.raises(ConfigError) as caught:
        economics.check(made, ["BTC"], [SimpleNamespace(liquidation=TERMS)], fee)
    return str(caught.value)


def test_the_example_pays_at_its_expected_fee():
    economics.check(config(), ["BTC"], [SimpleNamespace(liquidation=TERMS)], 10**7)


def test_a_reward_below_the_gas_it_takes_is_refused_with_the_size_that_would_pay():
    text = refuse(config(("expected_fee: 0.05", "expected_fee: 1")))
    # 245,000 gas at 1 gwei are 0.000245 coins, 0.735 tokens; 0.0175 % of 4,200 is that much
    assert "at least 4,200 tokens, because ways.deleverage in BTC earns 0.0175%" in text
    assert "(0.175 tokens) and its gas costs 0.735 tokens at 1 gwei" in text
    assert "profit.subsidy_per_day" in text


def test_what_the_network_asks_now_counts_if_it_is_more():
    assert "at 2 gwei" in refuse(config(), 2 * 10**9)
    assert "at least what the network asks now, 6 gwei" in refuse(config(), 6 * 10**9)


def test_a_loss_that_is_wanted_is_allowed():
    changes = (
        ("expected_fee: 0.05", "expected_fee: 1"),
        ("subsidy_per_day: 0", "subsidy_per_day: 9"),
    )
    economics.check(config(*changes), ["BTC"], [SimpleNamespace(liquidation=TERMS)], 0)


def test_getting_rid_of_a_position_must_cost_less_than_the_discount():
    assert "below BTC's largest discount 1%" in refuse(config(("exit_cost: 0.1%", "exit_cost: 1%")))


# --- fees and budgets


def test_fees_follow_the_base_fee_up_to_the_cap():
    fees = Fees(config().gas)
    fees.base_fee = 10**9
    assert fees.now() == (2 * 10**9 + 10**7, 10**7)
    fees.base_fee = 4 * 10**9
    assert fees.now()[0] == 5 * 10**9
    assert not fees.too_high
    fees.base_fee = 5 * 10**9
    assert fees.too_high


def test_a_replacement_raises_both_fees_enough_and_stops_at_the_cap():
    fees = Fees(config().gas)
    assert fees.bumped(10**9, 10**7) == (1_250_000_000, 12_500_000)
    assert fees.bumped(1, 1) == (20_000_000 // 2, 10**7), "never below what is asked now"
    assert fees.bumped(4 * 10**9, 10**7) == (5 * 10**9, 12_500_000)
    assert fees.bumped(4 * 10**9 + 1, 10**7) is None


def test_a_budget_counts_what_waits_in_full_and_what_is_mined_as_it_was():
    budget = Budget(100, 150)
    budget.reserve(1, 80, 1_000, 0.0)
    assert budget.refuses(20, 1_000) is None
    assert "budget of the hour is used up" in (budget.refuses(21, 1_000) or "")
    budget.settle(1, 30, 1_010)
    assert budget.refuses(70, 1_010) is None
    budget.reserve(2, 70, 1_010, 0.0)
    assert budget.left(1_010) == 0
    assert budget.left(1_010 + 3_600) == 50, "the hour is over, the day is not"
    assert "budget of the day" in (budget.refuses(51, 1_010 + 3_600) or "")
    assert budget.left(1_010 + 86_400) == 100


def test_what_is_given_away_is_counted_by_the_day():
    budget = Budget(100, 100)
    budget.reserve(1, 1, 0, -2.5)
    budget.reserve(2, 1, 0, 4.0)
    budget.settle(1, 1, 10)
    assert budget.lost(20) == 2.5
    assert budget.lost(86_500) == 0


# --- the journal


def test_a_journal_is_what_was_written(tmp_path: Path):
    journal = Journal(tmp_path / "deep" / "er", "1-abc")
    assert journal.write({"kind": "done", "nonce": 1})
    journal.close()
    assert Journal(tmp_path / "deep" / "er", "1-abc").records == [{"kind": "done", "nonce": 1}]


def test_a_line_cut_off_by_a_crash_is_dropped(tmp_path: Path):
    journal = Journal(tmp_path, "j")
    journal.write({"nonce": 1})
    journal.close()
    with open(journal.path, "ab") as file:
        file.write(b'{"nonce": 2, "ra')
    again = Journal(tmp_path, "j")
    assert again.records == [{"nonce": 1}]
    again.write({"nonce": 3})
    again.close()
    lines = [json.loads(line) for line in journal.path.read_text().splitlines()]
    assert lines == [{"nonce": 1}, {"nonce": 3}]


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path):
    (tmp_path / "j.jsonl").write_text("hello\n")
    with pytest.raises(JournalError, match="line 1 of"):
        Journal(tmp_path, "j")


def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path: Path):
    journal = Journal(tmp_path, "j")
    journal.write({"nonce": 1})
    journal.path.rename(tmp_path / "kept")
    journal.path.symlink_to("/dev/full")
    os.close(journal._file)
    journal._file = None
    assert not journal.write({"nonce": 2})
    assert "No space left on device" in (journal.problem or "")
    assert not journal.write({"nonce": 3})
    journal.path.unlink()
    (tmp_path / "kept").rename(journal.path)
    assert journal.write({"nonce": 4})
    assert journal.problem is None
    numbers = [json.loads(line)["nonce"] for line in journal.path.read_text().splitlines()]
    assert numbers == [1, 2, 3, 4]


def test_it_is_written_anew_when_it_is_long(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("backstop.keeper.journal._KEPT", 10)
    journal = Journal(tmp_path, "j")
    for nonce in range(12):
        journal.write({"nonce": nonce})
    journal.compact(journal.records[-2:])
    journal.write({"nonce": 99})
    journal.close()
    assert [r["nonce"] for r in Journal(tmp_path, "j").records] == [10, 11, 99]


def test_a_journal_that_cannot_have_its_folder_is_refused_with_the_remedy(tmp_path):
    file = tmp_path / "file"
    file.touch()
    for folder in (file, file / "below"):
        with pytest.raises(JournalError, match="cannot hold the journal") as caught:
            Journal(folder, "x")
        assert "--state" in str(caught.value)
