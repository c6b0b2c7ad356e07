"""The store's file: what is written, read back and exported, and what a user can get wrong."""

from __future__ import annotations

import builtins
import json
import sqlite3
import threading

import pytest
from eth_utils import keccak

from backstop.chain.artifacts import build_artifacts
from backstop.chain.record import DeployedContract, Record
from backstop.harness.abi import signature_of
from backstop.store import (
    EventStore,
    Header,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreMismatch,
)
from backstop.store.decode import UNKNOWN
from backstop.store.export import export
from backstop.store.schema import views
from backstop.store.source import Range
from backstop.store.store import rows_of
from backstop.store.sync import sync

ENGINE, FUND, TOKEN = ("0x" + digit * 40 for digit in "123")


@pytest.fixture(scope="module")
def artifacts(project):
    return build_artifacts()


def record(chain_id=1, engine=ENGINE):
    contracts = {
        "engine": DeployedContract("MarginEngine", engine, ""),
        "fund": DeployedContract("InsuranceFund", FUND, ""),
        "token": DeployedContract("ERC20", TOKEN, ""),
    }
    return Record(chain_id, 0, FUND, "p", "", "USD", 6, True, contracts, ())


@pytest.fixture
def store(tmp_path, artifacts):
    with EventStore.open(tmp_path / "events.sqlite", record(), artifacts) as opened:
        yield opened


def header(number, chain="a"):
    def digest(n):
        return f"0x{chain}{n:063x}"

    return Header(number, digest(number), digest(number - 1), 1_700_000_000 + 12 * number)


def word(value):
    return f"{value % 2**256:064x}"


def log(block, index, topics, data, address=ENGINE):
    return {
        "address": address,
        "topics": topics,
        "data": "0x" + data,
        "blockNumber": hex(block),
        "blockHash": header(block).hash,
        "logIndex": hex(index),
        "transactionIndex": "0x0",
        "transactionHash": f"0x{block:064x}",
    }


def topic(text):
    return "0x" + keccak(text=text).hex()


def recorded(block, index, amount, market=3):
    """A log of DeficitRecorded(market, amount, amount)."""
    topics = [topic("DeficitRecorded(uint256,uint256,uint256)"), "0x" + word(market)]
    return log(block, index, topics, word(amount) + word(amount))


def batch(first, last, *logs):
    numbers = sorted({int(item["blockNumber"], 16) for item in logs})
    return Range(first, header(last), tuple(header(n) for n in numbers), tuple(logs))


def fill(store, blocks):
    for number in blocks:
        assert store.append(batch(number, number, recorded(number, 0, 10**30 + number)), store.tip)


def test_amounts_are_exact_in_python_and_in_sql(store):
    amount = 2**255 + 1
    store.append(batch(0, 9, recorded(7, 2, amount)), None)
    (event,) = store.events()
    assert (event.block, event.log_index, event.contract, event.name) == (
        7,
        2,
        "engine",
        "DeficitRecorded",
    )
    assert event["amount"] == amount and event["market"] == 3
    assert event.time == header(7).time
    row = store.db.execute("SELECT market, amount, typeof(market) FROM deficit_recorded").fetchone()
    assert row == (3, str(amount), "integer")


def test_structs_are_objects_and_columns(store):
    item = next(
        i
        for i in store._decoder.abis["fund"]
        if i.get("name") == "Covered" and i["type"] == "event"
    )
    members = [c["name"] for c in item["inputs"][-1]["components"]]

    topics = [
        topic(signature_of(item)),
        "0x" + word(5),
        "0x" + word(int(ENGINE, 16)),
        "0x" + word(1),
    ]
    legs = [10**20 + i for i in range(len(members))]
    data = "".join(map(word, [0xAB << 248, 77, *legs]))
    store.append(batch(0, 1, log(1, 0, topics, data, FUND)), None)
    (event,) = store.events("Covered")
    assert event["legs"] == dict(zip(members, legs, strict=True))
    assert event["account"] == "0xab" + "00" * 31
    row = store.db.execute("SELECT event_id, claimed, legs_reserve FROM covered").fetchone()
    assert row == (5, "77", str(event["legs"]["reserve"]))


def test_events_of_one_name_have_views_of_their_own(store):
    def event(kind):
        item = {"name": "amount", "type": kind, "indexed": False}
        return [{"type": "event", "name": "Moved", "inputs": [item]}]

    made = views({"engine": event("uint256"), "fund": event("uint256"), "put": event("address")})
    assert set(made) == {"moved", "put_moved"}
    assert "IN ('engine', 'fund')" in made["moved"] and "IN ('put')" in made["put_moved"]


def test_unknown_topics_are_kept_raw(store):
    odd = log(1, 0, ["0x" + "ee" * 32], word(1))
    short = recorded(1, 1, 5) | {"data": "0x" + word(5)}  # half of what the ABI says
    anonymous = log(1, 2, [], "")
    store.append(batch(0, 1, odd, short, anonymous), None)
    events = list(store.events())
    assert [event.name for event in events] == [UNKNOWN] * 3
    assert events[0]["topics"] == odd["topics"] and events[0]["data"] == odd["data"]
    assert events[1]["data"] == short["data"]


def test_queries_select_order_and_page(store, monkeypatch):
    monkeypatch.setattr("backstop.store.store._PAGE", 3)
    fill(store, range(1, 12))
    numbers = [event.block for event in store.events("DeficitRecorded", contract="engine")]
    assert numbers == list(range(1, 12))
    assert [e.block for e in store.events(first=3, last=5)] == [3, 4, 5]
    assert [e.block for e in store.events(after=(9, 0))] == [10, 11]
    assert [e.block for e in store.events(newest_first=True, limit=4)] == [11, 10, 9, 8]
    assert not list(store.events("Traded")) and not list(store.events(contract="fund"))
    assert store.count() == 11 and store.count(2, 3) == 2


def test_a_range_is_written_only_behind_the_tip_it_was_read_for(store):
    fill(store, [1, 2])
    before = rows_of(store)
    assert not store.append(batch(2, 2, recorded(2, 0, 1)), header(1))
    assert rows_of(store) == before


def test_a_range_that_fails_leaves_nothing(store):
    fill(store, [1])
    before, tip = rows_of(store), store.tip
    twice = batch(2, 2, recorded(2, 0, 1), recorded(2, 0, 2))
    with pytest.raises(StoreError):
        store.append(twice, tip)
    assert rows_of(store) == before and store.tip == tip


def test_rewind_goes_to_a_known_block(store):
    fill(store, [1, 5, 9])
    assert store.rewind(6) == 1
    assert store.tip == header(5)
    assert [event.block for event in store.events()] == [1, 5]
    assert store.rewind(-1) == 2 and store.tip is None and rows_of(store) == []


def test_checkpoints_do_not_grow_without_end(store, monkeypatch):
    monkeypatch.setattr("backstop.store.store._KEPT_CHECKPOINTS", 3)
    fill(store, range(1, 10))
    assert store.db.execute("SELECT number FROM checkpoints ORDER BY 1").fetchall() == [
        (7,),
        (8,),
        (9,),
    ]
    assert len(store.known_blocks()) == 9


def test_a_full_disk_is_said_and_leaves_whole_ranges(store):
    fill(store, [1])
    pages = store.db.execute("PRAGMA page_count").fetchone()[0]
    store.db.execute(f"PRAGMA max_page_count = {pages + 4}")
    logs = [recorded(2, i, i) for i in range(2000)]
    before = rows_of(store)
    with pytest.raises(StoreFull, match="make room"):
        store.append(batch(2, 2, *logs), store.tip)
    assert rows_of(store) == before and store.tip == header(1)
    store.db.execute("PRAGMA max_page_count = 1000000")
    assert store.append(batch(2, 2, *logs), store.tip)
    assert store.count() == 2001


def test_a_locked_file_is_said(store, monkeypatch):
    fill(store, [1])
    store.db.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy, match="locked by another program"):
        store.append(batch(2, 2), store.tip)
    assert store.count() == 1  # reading goes on
    other.execute("ROLLBACK")
    assert store.append(batch(2, 2), store.tip)
    other.close()


def test_reading_needs_no_record_and_sees_what_is_committed(store):
    with EventStore.read(store.path) as reader:
        assert reader.count() == 0
        fill(store, [1, 2])
        assert reader.count() == 2 and reader.tip == header(2)
        assert reader.meta["contract.engine"] == ENGINE
        with pytest.raises(StoreError, match="reading only"):
            reader.append(batch(3, 3), reader.tip)
        with pytest.raises(StoreError, match="reading only"):
            sync(reader, None)


def test_threads_have_connections_of_their_own(store):
    fill(store, range(1, 30))
    counts = []
    threads = [threading.Thread(target=lambda: counts.append(store.count())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [29] * 4


def test_a_store_belongs_to_one_deployment(store, artifacts):
    with pytest.raises(StoreMismatch, match="chain_id"):
        EventStore.open(store.path, record(chain_id=10), artifacts)
    with pytest.raises(StoreMismatch, match="another deployment"):
        EventStore.open(store.path, record(engine="0x" + "9" * 40), artifacts)
    EventStore.open(store.path, record(), artifacts).close()


def test_other_files_are_refused_and_left_alone(tmp_path, artifacts):
    text = tmp_path / "notes.txt"
    text.write_text("these are notes, " * 100)
    with pytest.raises(StoreMismatch, match="no event store"):
        EventStore.open(text, record(), artifacts)
    assert text.read_text().startswith("these are notes")
    foreign = tmp_path / "foreign.sqlite"
    with sqlite3.connect(foreign) as db:
        db.execute("CREATE TABLE t (x)")
    with pytest.raises(StoreMismatch, match="no event store"):
        EventStore.open(foreign, record(), artifacts)
    with pytest.raises(StoreError, match="run `ape run index_events`"):
        EventStore.read(tmp_path / "nothing.sqlite")
    with pytest.raises(StoreError, match="cannot be made"):
        EventStore.open(text / "below" / "a.sqlite", record(), artifacts)


def test_parquet_has_every_row(store, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    fill(store, range(1, 6))
    files = {path.name: rows for path, rows in export(store, tmp_path / "out").items()}
    assert files == {"blocks.parquet": 5, "deficit_recorded.parquet": 5, "events.parquet": 5}
    table = parquet.read_table(tmp_path / "out" / "deficit_recorded.parquet").to_pydict()
    assert table["amount"] == [str(10**30 + n) for n in range(1, 6)]
    assert table["market"] == [3] * 5
    events = parquet.read_table(tmp_path / "out" / "events.parquet").to_pydict()
    assert [json.loads(args)["amount"] for args in events["args"]] == [
        10**30 + n for n in range(1, 6)
    ]
    assert not [p for p in (tmp_path / "out").iterdir() if p.name.startswith(".")]


def test_without_pyarrow_the_remedy_is_named(store, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(StoreError, match=r"backstop\[parquet\]"):
        export(store, tmp_path / "out")
    assert not (tmp_path / "out").exists()
