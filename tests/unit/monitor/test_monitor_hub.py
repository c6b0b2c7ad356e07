"""Panels and series for many readers: newest wins, nothing queues, old rows are thinned."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from monitor_cases import market, state

from backstop.monitor.hub import Hub, to_json
from backstop.monitor.series import LIMIT, Series


def test_json_has_no_infinity() -> None:
    assert json.loads(to_json({"a": [float("inf"), float("nan"), 1.5]})) == {"a": [None, None, 1.5]}


def test_a_reader_gets_what_it_has_not_seen_and_only_the_newest() -> None:
    hub, seen = Hub(), dict[str, int]()
    hub.publish(fund={"total": 1}, feed=[])
    assert [name for name, _ in hub.newer(seen)] == ["fund", "feed"]
    assert hub.newer(seen) == []
    hub.publish(fund={"total": 2}, feed=[])
    hub.publish(fund={"total": 3}, feed=[])
    assert hub.newer(seen) == [("fund", '{"total":3}')]


def test_a_panel_that_did_not_change_is_not_sent_again() -> None:
    hub, seen = Hub(), dict[str, int]()
    hub.publish(status={"state": "live"})
    hub.newer(seen)
    hub.publish(status={"state": "live"})
    assert hub.newer(seen) == []


def test_publishing_from_another_thread_wakes_a_reader() -> None:
    hub = Hub()

    async def reader() -> bool:
        with hub.subscribe() as bell:
            publish = asyncio.get_running_loop().run_in_executor(None, lambda: hub.publish(fund=1))
            woken = await bell.wait(10)
            await publish
            return woken

    assert asyncio.run(reader())
    assert hub.readers == 0


def test_a_quiet_hub_lets_a_reader_go_on() -> None:
    async def reader() -> bool:
        with Hub().subscribe() as bell:
            return await bell.wait(0.01)

    assert not asyncio.run(reader())


def read(series: Series, *seen: int) -> tuple[int, int, list[str], list[list[Any]]]:
    """What a reader gets, its rows as values."""
    generation, last, columns, rows = series.read(*seen)
    return generation, last, columns, [json.loads(row) for row in rows]


def test_rows_of_the_same_time_replace_each_other() -> None:
    series = Series()
    series.add(state(time=1, block=1, reserve=1.0))
    series.add(state(time=1, block=2, reserve=2.0))
    series.add(state(time=2, block=3, reserve=3.0))
    _, _, columns, rows = read(series)
    assert [row[columns.index("block")] for row in rows] == [2, 3]
    assert [row[columns.index("layer:reserve")] for row in rows] == [2.0, 3.0]


def test_a_reader_gets_new_rows_only_until_old_ones_change() -> None:
    series = Series()
    for time in range(3):
        series.add(state(time=time, block=time))
    generation, last, _, rows = read(series)
    assert len(rows) == 3
    assert read(series, generation, last)[3] == []
    series.add(state(time=7, block=7))
    assert [row[0] for row in read(series, generation, last)[3]] == [7]
    series.rewind(1)
    new, _, _, rows = read(series, generation, last)
    assert new != generation
    assert [row[1] for row in rows] == [0, 1]


def test_the_past_comes_before_what_is_there() -> None:
    series = Series()
    series.add(state(time=100, block=10))
    series.extend_back(
        [state(time=80, block=8), state(time=90, block=9), state(time=100, block=10)]
    )
    assert [row[0] for row in read(series)[3]] == [80, 90, 100]
    assert series.first == 8


def test_a_new_market_adds_columns() -> None:
    series = Series()
    series.add(state(market(0), time=1))
    series.add(state(market(0), market(1), time=2))
    _, _, columns, rows = read(series)
    assert rows[0][columns.index("long:1")] is None
    assert rows[1][columns.index("long:1")] == 5000.0


def test_many_rows_are_thinned_and_the_newest_are_kept() -> None:
    series = Series()
    for time in range(5 * LIMIT):
        series.add(state(time=time, block=time))
    rows = read(series)[3]
    assert len(rows) <= LIMIT
    assert rows[0][0] == 0
    assert [row[0] for row in rows[-100:]] == list(range(5 * LIMIT - 100, 5 * LIMIT))
    times = [row[0] or 0 for row in rows]
    assert times == sorted(set(times))
