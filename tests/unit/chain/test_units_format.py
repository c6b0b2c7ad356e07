"""Human units to integers and back, and how numbers are shown."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from backstop.chain import format as fmt
from backstop.chain.signing import account_id
from backstop.chain.units import (
    UnitError,
    from_units,
    from_wad,
    parse_decimal,
    parse_duration,
    parse_fraction,
    scaled,
)

OWNER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


@given(st.integers(-(2**255), 2**255), st.integers(0, 18))
def test_amounts_come_back_exactly(amount, decimals):
    value = from_units(amount, decimals)
    assert scaled(value, decimals) == amount
    assert scaled(parse_decimal(f"{value:f}"), decimals) == amount if abs(value) < 10**39 else True


@pytest.mark.parametrize(
    "text", ["", "1e3", "0x10", "NaN", "Infinity", "1,000", "1.", ".5", " 1", "1 000", "٣", "--1"]
)
def test_what_is_no_plain_number_is_refused(text):
    with pytest.raises(UnitError, match="plain decimal"):
        parse_decimal(text)


def test_a_number_finer_than_the_unit_is_refused_not_rounded():
    assert scaled(Decimal("0.000001"), 6) == 1
    with pytest.raises(UnitError, match="at most 6 decimal places"):
        scaled(Decimal("0.0000001"), 6)


@pytest.mark.parametrize(
    ("text", "ppm"),
    [("5%", 50_000), ("0.0175%", 175), ("100%", 10**6), ("0%", 0), ("12.5 %", 125000)],
)
def test_percentages(text, ppm):
    assert parse_fraction(text, 6) == ppm


@pytest.mark.parametrize("text", ["5", "0.05", "5%%", "%", "five%", "0.00001%"])
def test_percentages_that_are_none(text):
    with pytest.raises(UnitError, match="percentage"):
        parse_fraction(text, 6)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("12s", 12), ("5m", 300), ("12h", 43_200), ("2d", 172_800), ("1h30m", 5400)],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds
    assert parse_duration(fmt.duration(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "12", "m", "1.5h", "30m1h", "-1s", "1w"])
def test_durations_that_are_none(text):
    with pytest.raises(UnitError, match="duration"):
        parse_duration(text)


def test_amounts_as_people_read_them():
    assert fmt.amount(Decimal("1234567.891")) == "1,234,567.89"
    assert fmt.amount(Decimal(0)) == "0.00"
    assert fmt.amount(Decimal("-0.0000241")) == "-0.000024", "small is not nothing"
    assert fmt.at_least(Decimal("26.8701")) == "26.88"
    assert fmt.quantity(Decimal("1000.500")) == "1,000.5"
    assert fmt.quantity(Decimal("1E+3")) == "1,000"
    assert fmt.percent(175) == "0.0175%"
    assert str(from_wad(10**21)) == "1000"


def test_accounts_are_written_and_read():
    number = account_id(OWNER, 7)
    assert fmt.parse_account(fmt.full_account(number)) == number
    assert fmt.parse_account("0x" + number.hex()) == number
    assert fmt.parse_account(OWNER.lower()) == account_id(OWNER)
    assert fmt.account(number) == "0x7099…79C8/7"


@pytest.mark.parametrize("text", ["", "0x12", f"{OWNER}/x", f"{OWNER}/-1", f"{OWNER}/{2**96}"])
def test_accounts_that_are_none(text):
    with pytest.raises(ValueError, match="account"):
        fmt.parse_account(text)


def test_a_table_lines_up():
    text = fmt.table(("name", "n"), [("a", "1"), ("bcdef", "1,000")])
    assert text.splitlines() == ["name       n", "a          1", "bcdef  1,000"]
