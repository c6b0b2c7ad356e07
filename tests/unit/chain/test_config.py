"""Parameter files: what they mean, and that every mistake is named with its field and remedy."""

from __future__ import annotations

import copy
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from backstop.chain.artifacts import ROOT
from backstop.chain.config import ConfigError, Parameters, envelope_ppm

LOCAL = ROOT / "parameters" / "local.yaml"
TEXT = LOCAL.read_text()
ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
REMOVE = object()


def changed(path, value):
    """local.yaml with one field changed (or removed)."""
    data = copy.deepcopy(yaml.load(TEXT, yaml.BaseLoader))
    node = data
    *way, last = path
    for key in way:
        node = node[key]
    if value is REMOVE:
        del node[last]
    else:
        node[last] = value
    return json.dumps(data)  # JSON is YAML too


def error_of(path, value):
    with pytest.raises(ConfigError) as caught:
        Parameters.parse(changed(path, value), "some.yaml")
    return caught.value


def test_the_local_parameters_in_the_contracts_integers():
    parameters = Parameters.load(LOCAL)
    btc = parameters.markets[0]
    assert [market.name for market in parameters.markets] == ["BTC", "ETH"]
    assert btc.parameters.open_interest_cap == 2000 * 10**18
    assert btc.parameters.initial_margin_ppm == 100_000
    assert btc.parameters.mark_speed_ppb == 1_500_000
    assert btc.parameters.min_base == 10**6, "0.001 base in 1e9 wei"
    assert btc.liquidation.target_health_ppm == 1_250_000
    assert btc.liquidation.reward_ppm == 175
    assert btc.feeds.min_price == 1000 * 10**18
    assert parameters.fund.engine.per_claim == Decimal(100_000)
    assert parameters.roles["guardian"].delay == 0
    assert all(role.delay > 0 for name, role in parameters.roles.items() if name != "guardian")


def test_the_local_parameters_satisfy_the_envelope_with_room():
    for market in Parameters.load(LOCAL).markets:
        assert envelope_ppm(market.parameters, market.liquidation) <= (
            market.parameters.maintenance_margin_ppm
        )


M0 = ("markets", 0)

MISTAKES = [
    (("fund", "fair_window"), "90s", "whole number of minutes"),
    (("fund", "fair_window"), "5h", "from 0s to 15300s"),
    # field, value, what the message says is allowed
    (("name",), "no spaces please", "letters"),
    (("token", "mock", "decimals"), "5", "from 6 to 18"),
    (("token", "mock", "decimals"), "6.5", "whole|decimal places"),
    (("token", "address"), ADDRESS, "mock or address"),
    (("roles", "risk_admin", "delay"), "0s", "from 1s"),
    (("roles", "risk_admin", "delay"), "12", "duration"),
    (("roles", "risk_admin", "account"), "0x12", "40 hex digits"),
    (("roles", "risk_admin", "account"), "0x" + "0" * 40, "other than zero"),
    (("roles", "risk_admin", "account"), ADDRESS.replace("C8", "c8"), "checksum"),
    (("roles", "guardian", "delay"), "1h", "at once"),
    (("fund", "reserve_target"), "-1", "at least 0"),
    (("fund", "reserve_target"), "0.0000001", "at most 6 decimal places"),
    (("fund", "engine", "per_claim"), str(10**30), "below 2\\^112"),
    (("fund", "engine", "per_window"), str(10**27), "below 2\\^104"),
    (("fund", "engine", "window"), "0s", "from 1s"),
    (("fund", "staking", "cooldown"), "29d", "to 2419200s"),
    (("fund", "staking", "share"), "101%", "to 100%"),
    (("fund", "staking", "cap"), "-1", "at least 0"),
    ((*M0, "name"), "a b", "letters"),
    ((*M0, "open_interest_cap"), "1e3", "decimal"),
    ((*M0, "open_interest_cap"), str(2**112), "from 0 to"),
    ((*M0, "min_base"), "0", "from 0.000000001"),
    ((*M0, "min_base"), "0.0000000001", "9 decimal places"),
    ((*M0, "band"), "100%", "to 99.9999%"),
    ((*M0, "band"), "0.05", "percentage"),
    ((*M0, "profit_lock"), "1 hour", "duration"),
    ((*M0, "charge_cap"), "101%", "to 100%"),
    ((*M0, "margin", "initial"), "5%", "more than margin.maintenance"),
    ((*M0, "margin", "initial"), "101%", "to 100%"),
    ((*M0, "margin", "maintenance"), "0%", "from 0.0001%"),
    ((*M0, "margin", "size_scale"), "0", "from 1"),
    ((*M0, "margin", "open_interest_slope"), "2000%", "percentage from"),
    ((*M0, "mark", "speed"), "0.15%", "%/s"),
    ((*M0, "mark", "speed"), "0%/s", "/s"),
    ((*M0, "mark", "max_age"), "61s", "to 60s"),
    ((*M0, "fees", "maker"), "7%", "to 6.5535%"),
    ((*M0, "fees", "fund_share"), "101%", "to 100%"),
    ((*M0, "funding_clamp"), "101%", "to 100%"),
    ((*M0, "liquidation", "target_health"), "100%", "from 100.0001%"),
    ((*M0, "liquidation", "min_discount"), "2%", "max_discount"),
    ((*M0, "liquidation", "ramp"), "0s", "from 1s"),
    ((*M0, "liquidation", "deleverage_delay"), "1m", "at least ramp"),
    ((*M0, "liquidation", "check_interval"), "0s", "from 1s"),
    ((*M0, "liquidation", "max_step"), "0", "from 1"),
    ((*M0, "liquidation", "reward"), "0.1%", "farm"),
    ((*M0, "liquidation", "close_reward_cap"), "1.5", "whole|decimal places"),
    ((*M0, "fund", "initial"), "150001", "compartment_cap"),
    ((*M0, "feeds", "max_jump"), "100%", "to 99.9999%"),
    ((*M0, "feeds", "max_deviation"), "0%", "from 0.0001%"),
    ((*M0, "feeds", "min_price"), "1234.56789012345", "ten significant digits"),
    ((*M0, "feeds", "max_price"), "999", "more than min_price"),
    ((*M0, "feeds", "max_price"), str(10**8), "to 10000000"),
    ((*M0, "feeds", "primary", "max_age"), "0s", "from 1s"),
    ((*M0, "feeds", "primary", "mock"), "1", "between min_price and max_price"),
    ((*M0, "feeds", "primary", "mock"), "60000.123456789", "8 decimal places"),
    ((*M0, "feeds", "primary", "decimals"), "5", "from 6 to 18"),
    ((*M0, "feeds", "primary", "address"), ADDRESS, "mock or address"),
]


def shown(path):
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}"
    return text.lstrip(".")


@pytest.mark.parametrize(("path", "value", "allowed"), MISTAKES)
def test_a_wrong_value_is_named_with_what_is_allowed(path, value, allowed):
    error = error_of(path, value)
    assert error.path == shown(path)
    assert error.file == "some.yaml"
    assert error.value is not None
    assert re.search(allowed, error.allowed), error.allowed
    for part in ("some.yaml", shown(path), "allowed:", "What to do:"):
        assert part in str(error)


def fields(node, path=()):
    """Every field of the file."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*path, key)
            yield from fields(value, (*path, key))
    elif isinstance(node, list):
        for place, value in enumerate(node):
            yield from fields(value, (*path, place))


ALL = [path for path in fields(yaml.load(TEXT, yaml.BaseLoader)) if path[:2] != ("markets", 1)]
OPTIONAL = {
    ("fund", "initial_reserve"),
    ("fund", "staking"),
    (*M0, "fund", "initial"),
    (*M0, "cover"),
    (*M0, "backstop"),
    (*M0, "feeds", "secondary"),
    (*M0, "feeds", "primary", "decimals"),
    (*M0, "feeds", "secondary", "decimals"),
}


def test_a_missing_field_is_named_unless_it_is_optional():
    assert len(ALL) > 60
    for path in ALL:
        if path in OPTIONAL:
            Parameters.parse(changed(path, REMOVE))
            continue
        error = error_of(path, REMOVE)
        assert error.value is None
        # of `mock` or `address` one is needed
        assert error.path in (shown(path), shown((*path[:-1], "address")))
        assert "is missing" in str(error)


def test_a_field_of_the_wrong_shape_is_named():
    for path in ALL:
        node = yaml.load(TEXT, yaml.BaseLoader)
        for key in path:
            node = node[key]
        wrong = "text" if isinstance(node, dict | list) else {"a": "mapping"}
        assert shown(path) in error_of(path, wrong).path


def test_an_unknown_field_is_refused_everywhere():
    for path in {path[:-1] for path in ALL} - {("markets",)}:
        error = error_of((*path, "initail_margin"), "5%")
        assert error.path == shown((*path, "initail_margin"))
        assert "unknown" in str(error)


def test_the_envelope_is_checked_with_its_numbers():
    error = error_of((*M0, "liquidation", "check_interval"), "60s")
    assert error.path == "markets[0].margin.maintenance"
    # 0.15 %/s * 60 s + funding + (1 % + 2.5 * 0.75 % + 0.0175 %) * 1.09
    assert "12.155%" in error.allowed
    assert "check_interval" in error.remedy


def test_two_markets_need_two_names():
    assert error_of(("markets", 1, "name"), "BTC").path == "markets[1].name"


def test_both_feeds_may_not_be_the_same():
    text = changed((*M0, "feeds", "primary"), {"address": ADDRESS, "max_age": "1h"})
    data = yaml.load(text, yaml.BaseLoader)
    data["markets"][0]["feeds"]["secondary"] = {"address": ADDRESS.lower(), "max_age": "1h"}
    with pytest.raises(ConfigError, match="another feed than the primary"):
        Parameters.parse(json.dumps(data))


def test_a_repeated_field_is_refused():
    with pytest.raises(ConfigError, match="repeated in line") as caught:
        Parameters.parse(TEXT.replace("name: local", "name: local\nname: other"))
    assert caught.value.path == "name"


def test_what_is_no_yaml_says_where():
    with pytest.raises(ConfigError, match="line 1"):
        Parameters.parse("name: [")
    with pytest.raises(ConfigError, match="mapping"):
        Parameters.parse("- 1")


def test_files_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(ConfigError, match="existing file"):
        Parameters.load(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        Parameters.load(tmp_path / "bytes.yaml")
    with pytest.raises(ConfigError, match="readable"):
        Parameters.load(tmp_path)


def test_numbers_are_exact_where_floats_are_not():
    parameters = Parameters.parse(changed((*M0, "open_interest_cap"), "0.1"))
    assert parameters.markets[0].parameters.open_interest_cap == 10**17
    big = "1234567890123.123456789012345678"
    parameters = Parameters.parse(changed((*M0, "open_interest_cap"), big))
    assert parameters.markets[0].parameters.open_interest_cap == int(big.replace(".", ""))


def test_the_digest_follows_the_meaning_not_the_spelling():
    first = Parameters.parse(TEXT)
    assert Parameters.parse("# a comment\n" + TEXT).digest == first.digest
    assert (
        Parameters.parse(TEXT.replace("profit_lock: 1h", "profit_lock: 60m")).digest == first.digest
    )
    assert Parameters.parse(changed((*M0, "band"), "4%")).digest != first.digest


def test_a_real_token_and_real_feeds():
    text = changed(("token",), {"address": ADDRESS})
    parameters = Parameters.parse(text)
    assert parameters.token.address == ADDRESS
    assert parameters.token.decimals is None


def test_a_sequencer():
    parameters = Parameters.parse(TEXT + f"\nsequencer: {{feed: '{ADDRESS}', grace: 1h}}\n")
    assert parameters.sequencer is not None
    assert parameters.sequencer.grace == 3600
    with pytest.raises(ConfigError, match=r"sequencer\.grace"):
        Parameters.parse(TEXT + f"\nsequencer: {{feed: '{ADDRESS}', grace: 2h}}\n")


REINSURANCE = {"premium_share": "5%", "premium_cap": "20000", "initial_premium": "5000"}


def test_reinsurance():
    assert Parameters.parse(TEXT).fund.reinsurance is None
    parameters = Parameters.parse(changed(("fund", "reinsurance"), REINSURANCE))
    wanted = parameters.fund.reinsurance
    assert wanted is not None
    assert (wanted.premium_share_ppm, wanted.premium_cap) == (50_000, 20_000)
    without = {name: value for name, value in REINSURANCE.items() if name != "initial_premium"}
    found = Parameters.parse(changed(("fund", "reinsurance"), without)).fund.reinsurance
    assert found is not None and found.initial_premium == 0


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("premium_share", "101%", "to 100%"),
        ("premium_share", REMOVE, "percentage"),
        ("premium_cap", REMOVE, "amount of tokens"),
        ("premium_cap", "0.0000001", "6 decimal"),
        ("premium_cap", str(10**30), "below 2\\^112"),
        ("initial_premium", "20001", "at most premium_cap"),
        ("premium", "1", "one of"),
    ],
)
def test_mistakes_about_reinsurance_are_named(field, value, allowed):
    section = {k: v for k, v in (REINSURANCE | {field: value}).items() if v is not REMOVE}
    with pytest.raises(ConfigError) as caught:
        Parameters.parse(changed(("fund", "reinsurance"), section))
    assert caught.value.path == f"fund.reinsurance.{field}"
    assert re.search(allowed, caught.value.allowed), caught.value.allowed


def test_claims_wait_only_if_the_parameters_say_so():
    assert Parameters.load(LOCAL).fund.fair_window == 0
    text = changed(("fund", "fair_window"), "15m")
    assert Parameters.parse(text, "some.yaml").fund.fair_window == 15
