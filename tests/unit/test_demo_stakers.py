"""The stakers' books of the demo: known answers, and that each of its checks can fail."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from backstop.harness.abi import Event
from backstop.harness.demo.stage import FundState
from backstop.harness.demo.stake_book import StakeBook
from backstop.harness.demo.stake_checks import StakeChecks
from backstop.harness.demo.stake_state import twin_state

TRANCHE = "0x" + "33" * 20
ADA, BEN, CLEO, EVA = (f"0x{i:040x}" for i in (1, 2, 3, 4))
WEEK = 7 * 86_400
START = 3_000 * WEEK
SCALE = 10**12


class Tape:
    """Sends events to a book as the tranche would."""

    def __init__(self) -> None:
        self.book = StakeBook(TRANCHE, cap=10**12, cooldown=14 * 86_400)
        self.now = START

    def say(self, name: str, **arguments: Any) -> None:
        receipt: Any = SimpleNamespace(events=(Event(name, arguments, TRANCHE, 0),))
        self.book.transaction(receipt, self.now)

    def deposit(self, who: str, assets: int) -> None:
        twin = self.book.twin
        shares = assets * (twin.supply + 1000) // (twin.total_assets(self.now) + 1)
        self.say("Deposit", sender=who, owner=who, assets=assets, shares=shares)

    def ask(self, who: str, request: int) -> None:
        shares = self.book.twin.balance_of(who)
        self.say("RedeemRequest", controller=who, owner=who, requestId=request, shares=shares)

    def slash(self, loss: int, from_active: int, *cuts: int) -> None:
        self.say(
            "Slashed", series=0, loss=loss, fromActive=from_active, firstBucket=1, cuts=list(cuts)
        )


@pytest.fixture
def tape() -> Tape:
    """600 stay, 300 have asked a week ago, 100 ask now: the figures of RISK_MATHS."""
    tape = Tape()
    for who, assets in ((ADA, 600), (BEN, 300), (CLEO, 100)):
        tape.deposit(who, assets)
    tape.ask(BEN, 1)
    tape.now += WEEK
    tape.ask(CLEO, 2)
    return tape


def test_a_loss_falls_on_who_stays_and_who_leaves(tape: Tape) -> None:
    tape.slash(250, 150, 75, 25)
    tape.deposit(EVA, 500)
    assert tape.book.differences == []
    (loss,) = tape.book.losses
    assert loss.fair and (loss.active, loss.held) == (600, (300, 100))
    assert loss.borne == {ADA: 150, BEN: 75, CLEO: 25}
    assert [tape.book.account(who).lost for who in (ADA, BEN, CLEO, EVA)] == [150, 75, 25, 0]
    assert tape.book.claimable_at() == START + 2 * WEEK + 14 * 86_400


def test_who_shares_a_bucket_or_the_active_stake_bears_a_part_of_it() -> None:
    tape = Tape()
    for who, assets in ((ADA, 600), (BEN, 300), (CLEO, 200)):
        tape.deposit(who, assets)
    tape.ask(BEN, 1)
    tape.ask(CLEO, 1)
    tape.slash(110, 60, 50)
    assert tape.book.losses[0].borne == {ADA: 60, BEN: 30, CLEO: 20}


def test_income_is_for_who_is_there(tape: Tape) -> None:
    tape.say("IncomeAdded", assets=700, streaming=700, streamEnd=tape.now + WEEK)
    tape.now += WEEK // 2
    tape.deposit(EVA, 950)  # as much as Ada has now
    tape.now += WEEK
    assert tape.book.differences == []
    earned = [tape.book.income(who, tape.now) for who in (ADA, BEN, EVA)]
    assert [round(part) for part in earned] == [525, 0, 175]
    assert sum(earned) == 700


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("Slashed", (250, 150, 76, 24), "cuts is (75, 25) by the twin, (76, 24) by the event"),
        ("Slashed", (250, 250, 0, 0), "fromActive is 150 by the twin, 250 by the event"),
    ],
)
def test_an_event_that_says_something_else_is_a_difference(
    tape: Tape, name: str, arguments: Any, says: str
) -> None:
    tape.slash(*arguments)
    assert any(says in sentence for sentence in tape.book.differences)


def test_what_the_twin_refuses_is_a_difference(tape: Tape) -> None:
    tape.say("Withdraw", sender=BEN, receiver=BEN, owner=BEN, assets=300, shares=300)
    assert "Withdraw" in tape.book.differences[0] and "NotClaimable" in tape.book.differences[0]


def test_an_unfair_loss_is_seen(tape: Tape) -> None:
    tape.slash(250, 150, 75, 25)
    (loss,) = tape.book.losses
    for active, cuts in ((151, (74, 25)), (250, (0, 0)), (150, (75, 24))):
        result = replace(loss.result, from_active=active, cuts=cuts)
        assert not replace(loss, result=result).fair
    late = replace(loss, borne={**loss.borne, EVA: Fraction(1, 3)})
    assert not late.fair


# --- the checks


class Broken:
    """Takes a check's verdicts."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str, holds: bool, message: str) -> None:
        if not holds:
            self.names.append(name)


def stage_of(tape: Tape, **sums: int) -> Any:
    tally = SimpleNamespace(
        sums={"assets from staked": 250, "layer staked": 250 * SCALE - 1, **sums}
    )
    fund = SimpleNamespace(fair_window=0)
    parameters = SimpleNamespace(parameters=SimpleNamespace(fund=fund))
    return SimpleNamespace(
        stakes=tape.book,
        stakers=[ADA, BEN, CLEO],
        now=tape.now,
        tally=tally,
        scale=SCALE,
        scenario=parameters,
    )


def seen_of(tape: Tape) -> Any:
    stake = twin_state(tape.book.twin, [ADA, BEN, CLEO], tape.now)
    own, capital = 70, 70 + stake.slashable
    return SimpleNamespace(stake=stake, fund=FundState((20, 30), 20, 0, capital, own + stake.held))


def test_all_is_well(tape: Tape) -> None:
    tape.slash(250, 150, 75, 25)
    broken = Broken()
    checks = StakeChecks(stage_of(tape), broken)
    checks.after_step(seen_of(tape))
    checks.at_the_end(seen_of(tape))
    assert broken.names == []


def test_a_contract_that_shows_something_else(tape: Tape) -> None:
    broken, seen = Broken(), seen_of(tape)
    seen.stake = replace(seen.stake, active=seen.stake.active + 1)
    StakeChecks(stage_of(tape), broken).after_step(seen)
    assert "TWIN" in broken.names and "CONSERVATION" in broken.names


@pytest.mark.parametrize("missing", [1, -1])
def test_a_fund_that_holds_another_amount(tape: Tape, missing: int) -> None:
    broken, seen = Broken(), seen_of(tape)
    seen.fund = replace(seen.fund, tokens=seen.fund.tokens - missing)
    StakeChecks(stage_of(tape), broken).after_step(seen)
    assert broken.names == ["CONSERVATION"]


@pytest.mark.parametrize(
    "sums",
    [
        {"assets from staked": 251},
        {"layer staked": 250 * SCALE + 1},
        {"layer staked": 249 * SCALE - 1},
    ],
)
def test_receipts_that_say_something_else(tape: Tape, sums: dict[str, int]) -> None:
    tape.slash(250, 150, 75, 25)
    broken = Broken()
    StakeChecks(stage_of(tape, **sums), broken).at_the_end(seen_of(tape))
    assert broken.names == ["RECEIPT_EXACT"]


def test_a_staker_with_less_than_its_due(tape: Tape) -> None:
    tape.slash(250, 150, 75, 25)
    tape.book.account(BEN).lost -= 10
    tape.book.account(ADA).lost += 10
    broken = Broken()
    StakeChecks(stage_of(tape), broken).at_the_end(seen_of(tape))
    assert broken.names == ["SLASH_FAIR", "SLASH_FAIR"]
