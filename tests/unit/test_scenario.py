"""Scenario files: what they may hold, what is refused and how, and what is made of them."""

from __future__ import annotations

import csv
import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from backstop.chain.units import UnitError
from backstop.harness.demo.book import TRADER, initial_margin, make_plan
from backstop.harness.demo.impact import LARGEST, Impact
from backstop.harness.scenario import (
    DEFAULT,
    OUTCOMES,
    SCENARIOS,
    ImpactLaw,
    Scenario,
    ScenarioError,
    fund_factor,
    interpolate,
    names,
    shaped,
)

DATA = Path(__file__).parents[3] / "shared" / "data"
FILE = SCENARIOS / f"{DEFAULT}.yaml"


def load(text: str) -> Scenario:
    return Scenario.parse(text, str(FILE))


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


# --- the files of the project


@pytest.mark.parametrize("name", names())
def test_every_file_loads_and_promises_something(name: str) -> None:
    scenario = Scenario.load(name)
    assert scenario.name == name
    assert scenario.steps >= 30
    assert scenario.book.accounts >= 200
    assert set(scenario.expect) <= set(OUTCOMES)
    assert {"partial_liquidations", "fully_covered", "tear_ups", "side_charges"} <= set(
        scenario.expect
    )
    for market, config in zip(scenario.markets, scenario.parameters.markets, strict=True):
        assert market.name == config.name
        first = market.price(scenario.start)
        assert config.feeds.primary.mock_price == pytest.approx(Decimal(f"{first:.6f}"))


def test_the_crashes_have_two_markets() -> None:
    for name in ("crash-2025-10-10", "crash-2020-03-12"):
        assert [market.name for market in Scenario.load(name).markets] == ["BTC", "ETH"]


def _figures(name: str) -> Path:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not beside the project: the figures cannot be compared")
    return path


def test_btc_of_october_2025_is_the_source_s() -> None:
    path = _figures("ref/btc_index_1m_2025-10-10.csv")
    with path.open() as file:
        closes = {
            int(row["open_time"]) // 1000 + 60: float(row["close"]) for row in csv.DictReader(file)
        }
    market = Scenario.load("crash-2025-10-10").markets[0]
    compared = [(time, price) for time, price in market.path[2:] if time in closes]
    assert len(compared) == 70
    for time, price in compared:
        assert price == pytest.approx(closes[time], abs=0.006)


def test_hourly_figures_are_the_source_s() -> None:
    path = _figures("crash_windows_hourly.csv")
    with path.open() as file:
        rows = {(row["symbol"], row["ts"]): row for row in csv.DictReader(file)}
    eth = dict(Scenario.load("crash-2025-10-10").markets[1].path)
    hour = rows["ETHUSDT", "2025-10-10T21:00:00Z"]
    assert eth[seconds("2025-10-10T21:00")] == float(hour["open"])
    assert eth[seconds("2025-10-10T21:21")] == float(hour["low"])
    assert eth[seconds("2025-10-10T22:00")] == float(hour["close"])
    btc = dict(Scenario.load("crash-2020-03-12").markets[0].path)
    for hour_of_day in (10, 11, 12):
        row = rows["BTCUSDT", f"2020-03-12T{hour_of_day}:00:00Z"]
        begin = seconds(f"2020-03-12T{hour_of_day}:00")
        assert btc[begin] == float(row["open"])
        assert {btc[begin + 1200], btc[begin + 2400]} == {float(row["high"]), float(row["low"])}


def test_eth_of_march_2020_is_the_source_s() -> None:
    path = _figures("ref/eth_10m_2020-03-12.json")
    bars = {seconds(bar["time_period_start"][:16]): bar for bar in json.loads(path.read_text())}
    eth = dict(Scenario.load("crash-2020-03-12").markets[1].path)
    compared = [time for time in eth if time in bars and time < seconds("2020-03-12T13:00")]
    assert len(compared) == 18
    for time in compared:
        bar = bars[time]
        extremes = {eth[time + 200], eth[time + 400]}
        assert eth[time] == pytest.approx(bar["price_open"], abs=0.006)
        assert min(extremes) == pytest.approx(bar["price_low"], abs=0.006)
        assert max(extremes) == pytest.approx(bar["price_high"], abs=0.006)


# --- what is refused


@pytest.mark.parametrize(
    ("old", "new", "field", "value", "allowed"),
    [
        ("name: crash-2025-10-10", "name: Crash!", "name", "'Crash!'", "small letters"),
        ("step: 1m", "step: 60", "step", "'60'", "duration"),
        ("step: 1m", "step: 5h", "step", "'5h'", "1 to 2000 steps"),
        ("start: 2025-10-10T20:50Z", "start: 20:50", "start", "'20:50'", "time in UTC"),
        ("start: 2025-10-10T20:50Z", "start: 2025-13-10T20:50Z", "start", "13", "exist"),
        ("start: 2025-10-10T20:50Z", "start: 2024-10-10T20:50Z", "start", "2024", "prices of BTC"),
        ("open_interest: 40000000", "open_interest: 40m", "open_interest", "'40m'", "decimal"),
        ("open_interest: 40000000", "open_interest: 4", "open_interest", "'4'", "from 1000"),
        ("coefficient: 4%", "coefficient: 0.04", "impact.coefficient", "'0.04'", "percentage"),
        ("exponent: 0.5", "exponent: 2", "impact.exponent", "'2'", "0.1 to 1"),
        ("like: BTC", "like: DOGE", "markets[0].like", "'DOGE'", "one of BTC, ETH"),
        ("shape: BTC", "shape: SOL", "prices.shape", "'SOL'", "BTC, ETH"),
        ("price: 3400.00", "price: 0", "path[2].price", "'0'", "a number from"),
        ("at: 2025-10-10T21:21Z", "at: 2025-10-10T20:21Z", "path[2].at", "before", "order of time"),
        ("116399.63", "one", "prices[1]", "'one'", "plain decimal"),
        ("longs: 55%", "longs: 95%", "book.longs", "'95%'", "10% to 90%"),
        ("accounts: 220", "accounts: 5", "book.accounts", "'5'", "20 to 5000"),
        ("to: 99%", "to: 100%", "leverage[0].to", "'100%'", "below 100%"),
        ("share: 30%, from: 5%", "share: 20%, from: 5%", "book.leverage", "'90%'", "sum to 100%"),
        ("count: 6,", "count: 0,", "makers.count", "'0'", "1 to 100"),
        ("caution: 4", "cautious: 4", "keepers.caution", "missing", "number from 0"),
        ("tear_ups: 1", "tears: 1", "expect.tears", "unknown outcome", "tear_ups"),
        ("base: ../parameters/local.yaml", "base: nowhere.yaml", "base", "'nowhere.yaml'", "file"),
        ("maintenance: 2%", "maintenance: 1%", "margin.maintenance", "'1%'", "largest loss"),
        ("per_claim: 10000", "per_claims: 10000", "per_claims", "unknown field", "per_claim"),
        ("book:\n", "books:\n", "book", "missing", "mapping"),
        ("title:", "titel:", "title", "missing", "text"),
        ("about: >-", "surprise: yes\nabout: >-", "surprise", "unknown field", "one of"),
        ("stake: 40000", "stake: 0", "stakers[0].stake", "'0'", "number from 1 to"),
        ("stake: 40000", "stake: 40000.5", "stakers[0].stake", "'40000.5'", "whole number from 1"),
        ("stake: 40000, joins", "stake: 40000, comes", "stakers[0].joins", "missing", "a time"),
        ("name: Ben", "name: Ada", "stakers[1].name", "'Ada'", "no other staker"),
        ("name: Ben", f"name: {'B' * 25}", "stakers[1].name", "BBB", "at most 24"),
        ("joins: 2025-10-10T20:00Z", "joins: 8pm", "stakers[0].joins", "'8pm'", "time in UTC"),
        ("joins: 2025-10-10T20:00Z", "joins: 2025-01-01T00:00Z", "[0].joins", "2025-01", "90 days"),
        ("joins: 2025-10-10T21:40Z", "joins: 2025-10-10T22:01Z", "[4].joins", "22:01", "last step"),
        (
            "asks: 2025-10-10T20:40Z",
            "asks: 2025-10-10T20:05Z",
            "[1].asks",
            "20:05",
            "after `joins`",
        ),
        ("part: 50%", "part: 0%", "stakers[3].part", "'0%'", "1% to 100%"),
        ("asks: 2025-10-10T21:20Z, part", "part", "stakers[3].part", "'50%'", "beside `asks`"),
        ("cap: 200000", "cap: 45000", "stakers[1].stake", "'24000'", "here at most 5000"),
        ("stakers:", "stakers: nobody\nold:", "stakers", "'nobody'", "at least one entry"),
    ],
)
def test_errors_name_file_field_value_and_remedy(
    old: str, new: str, field: str, value: str, allowed: str
) -> None:
    text = FILE.read_text()
    assert old in text
    with pytest.raises(ScenarioError) as caught:
        load(text.replace(old, new, 1))
    error = caught.value
    assert error.path.endswith(field)
    message = str(error)
    assert FILE.name in message
    assert value in message
    assert allowed in message
    assert "What to do: " in message


def test_stakers_need_a_layer_3() -> None:
    text = FILE.read_text()
    line = next(line for line in text.splitlines() if line.strip().startswith("staking:"))
    with pytest.raises(ScenarioError, match="where the deployment has a layer 3") as caught:
        load(text.replace(line, "      staking: none"))
    assert caught.value.path == "stakers" and "`parameters.changes.fund.staking`" in str(
        caught.value
    )


def test_who_stakes_early_moves_the_deployment() -> None:
    text = FILE.read_text()
    usual = load(text)
    assert usual.deployed_at == usual.start - 3600
    early = load(text.replace("joins: 2025-10-10T20:00Z", "joins: 2025-09-01T00:00Z"))
    assert early.deployed_at == seconds("2025-09-01T00:00") - 60
    nobody = load(text[: text.index("stakers:")] + text[text.index("expect:") :])
    assert nobody.stakers == () and nobody.deployed_at == usual.deployed_at


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: [", "no YAML"),
        ("name: a\nname: b", "name is there twice"),
        ("- 1", "a mapping of fields"),
        ("", "a mapping of fields"),
    ],
)
def test_what_is_no_mapping_is_refused(text: str, says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        load(text)


def test_a_bar_must_be_a_bar() -> None:
    file = SCENARIOS / "crash-2020-03-12.yaml"
    text = file.read_text()
    for new, says in (
        ("[7358.51, 7368.50, 5199.17]", "four: open, high, low, close"),
        ("[7358.51, 7000.00, 5199.17, 5981.07]", "low <= open, close <= high"),
    ):
        with pytest.raises(ScenarioError, match=says):
            changed = text.replace("[7358.51, 7368.50, 5199.17, 5981.07]", new)
            Scenario.parse(changed, str(file))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.load("crash-1987")
    assert all(name in str(caught.value) for name in names())


def test_options_are_checked_like_the_file() -> None:
    with pytest.raises(ScenarioError, match="20 to 5000"):
        Scenario.load(DEFAULT, accounts=3)
    with pytest.raises(ScenarioError, match=r"0\.5x or 200%"):
        Scenario.load(DEFAULT, fund="lots")


# --- the fund's size


def test_fund_factor() -> None:
    total = Decimal(200_000)
    assert fund_factor("2x", total) == 2
    assert fund_factor("50%", total) == Decimal("0.5")
    assert fund_factor("300000", total) == Decimal("1.5")
    assert fund_factor("0x", total) == 0
    for wrong in ("2", "-1x", "x", "1001x", "many"):
        with pytest.raises(UnitError, match="factor"):
            fund_factor(wrong, total)


def test_the_fund_is_scaled_with_its_limits() -> None:
    plain, double = Scenario.load(DEFAULT), Scenario.load(DEFAULT, fund="2x")
    one, two = plain.parameters.fund, double.parameters.fund
    assert two.initial_reserve == 2 * one.initial_reserve
    assert two.engine.per_claim == 2 * one.engine.per_claim
    for a, b in zip(plain.parameters.markets, double.parameters.markets, strict=True):
        assert b.fund.initial == 2 * a.fund.initial
        assert b.fund.compartment_cap == 2 * a.fund.compartment_cap
        assert b.parameters == a.parameters
    assert [s.stake for s in double.stakers] == [2 * s.stake for s in plain.stakers] != []
    assert one.staking and two.staking and two.staking.cap == 2 * one.staking.cap


def test_a_fund_given_in_tokens_counts_the_stake() -> None:
    plain = Scenario.load(DEFAULT)
    before = [s for s in plain.stakers if s.joins <= plain.start]
    total = plain.parameters.fund.initial_reserve + sum(s.stake for s in before)
    total += sum(market.fund.initial for market in plain.parameters.markets)
    same = Scenario.load(DEFAULT, fund=f"{total}")
    assert same.stakers == plain.stakers and same.parameters == plain.parameters
    assert Scenario.load(DEFAULT, fund="0x").stakers == ()


# --- prices


def test_prices_between_two_figures_are_straight_in_the_logarithm() -> None:
    path = [(0, 100.0), (60, 400.0)]
    assert interpolate(path, 30) == pytest.approx(200)
    assert interpolate(path, -5) == 100
    assert interpolate(path, 99) == 400


def test_a_shaped_path_goes_through_its_anchors_and_moves_with_the_guide() -> None:
    guide = [(0, 100.0), (30, 80.0), (60, 64.0), (90, 64.0)]
    path = dict(shaped([(0, 10.0), (60, 10 * 0.64**2), (90, 5.0)], guide))
    assert path[0] == 10
    assert path[30] == pytest.approx(10 * 0.8**2)
    assert path[60] == pytest.approx(10 * 0.64**2)
    assert path[90] == 5


LAW = ImpactLaw(
    coefficient=0.04,
    volume=2e9,
    exponent=0.5,
    decay=0.05,
    depth_slope=58,
    depth_floor=0.003,
    halflife=120,
)


def test_impact_is_the_square_root_law() -> None:
    calm = Impact.at(LAW, 100_000)
    assert calm.impulse(2e6) == pytest.approx(-0.04 * math.sqrt(2e6 / 2e9))
    assert calm.impulse(-2e6) == -calm.impulse(2e6)
    assert calm.impulse(8e6) == pytest.approx(2 * calm.impulse(2e6))
    assert calm.impulse(0) == 0


def test_depth_vanishes_on_the_side_that_the_fall_eats() -> None:
    fallen = Impact.at(LAW, 100_000)
    fallen.last = fallen.average - 0.04
    assert fallen.depth(selling=True) == pytest.approx(math.exp(-58 * 0.04))
    assert fallen.depth(selling=False) == 1
    assert fallen.impulse(2e6) == pytest.approx(-0.00403, abs=1e-5)  # the example of docs/demo.md
    fallen.last = fallen.average - 1
    assert fallen.depth(selling=True) == LAW.depth_floor
    assert fallen.impulse(1e12) == -LARGEST


def test_impact_decays_and_the_history_goes_on() -> None:
    market = Impact.at(LAW, 100.0)
    pressed = market.next_price(100.0, 2e6, 60)
    assert pressed == pytest.approx(100 * math.exp(-0.04 * math.sqrt(1e-3)))
    later = market.next_price(100.0, 0, 600)
    assert math.log(later / 100) == pytest.approx(math.log(pressed / 100) * 0.95**10)


# --- the book


@pytest.mark.parametrize("accounts", [20, 60, 220])
def test_the_book_balances_and_stays_below_the_limit(accounts: int) -> None:
    scenario = Scenario.load(DEFAULT, accounts=accounts)
    plan = make_plan(scenario, seed=3)
    traders = plan.of(TRADER)
    assert len(plan.participants) == accounts + scenario.keepers.count
    for market in scenario.markets:
        bases = [trader.target.get(market.number, 0) for trader in traders]
        longs = sum(base for base in bases if base > 0)
        assert sum(bases) == 0
        assert longs / 1e18 * plan.prices[market.number] == pytest.approx(
            market.open_interest, rel=1e-3
        )
        minimum = scenario.parameters.markets[market.number].parameters.min_base * 10**9
        assert all(base % minimum == 0 for base in bases)
    for trader in traders:
        margin = sum(
            initial_margin(scenario, scenario.markets[number], base, plan.prices[number])
            for number, base in trader.target.items()
        )
        assert 0 < margin < trader.collateral / 10**6
    assert max(trader.limit_part for trader in traders) > 0.85


def test_the_book_follows_from_the_seed() -> None:
    scenario = Scenario.load(DEFAULT, accounts=40)
    first, again, other = (make_plan(scenario, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
