"""The live page's figures against a real node: right, complete, and through whatever happens."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pytest
from conftest import Market

from backstop.chain.config import Parameters
from backstop.chain.deploy import RpcDeployer, System, deploy, selector
from backstop.chain.signing import account_id
from backstop.chain.views import FundView
from backstop.harness.anvil import Anvil
from backstop.harness.rpc import RpcClient
from backstop.monitor.book import Terms
from backstop.monitor.serve import Monitor, Options
from backstop.monitor.source import Source
from backstop.monitor.watcher import Pace

T = TypeVar("T")


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    """A node that keeps its past: the page shows it."""
    with Anvil(history=None) as anvil:
        yield anvil


class Page:
    """A running page, asked as a program would."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self.url = monitor.url

    def get(self, path: str) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def panel(self, name: str) -> Any:
        return self.get(f"/api/{name}")[1]

    def until(self, name: str, good: Callable[[Any], T]) -> Any:
        """The panel as soon as it is as wanted."""
        deadline = time.monotonic() + 30
        while True:
            panel = self.monitor.hub.get(name)
            if panel is not None and good(panel):
                return panel
            if time.monotonic() > deadline:
                raise AssertionError(f"{name} did not get there: {panel!r:.2000}")
            time.sleep(0.02)

    def at_head(self, client: RpcClient) -> None:
        """Wait until the page shows the newest block."""
        block = client.block_number
        self.until("status", lambda s: s["state"] == "live" and s.get("block", -1) >= block)


def watch(system: System, folder: Path, **pace: float) -> Monitor:
    record = system.record.save(folder / "record.json")
    url = system.client.url
    options = Options(port=0, pace=Pace(**{"stall": 0, **pace}), store=folder / "events.sqlite")
    return Monitor(Source(lambda: RpcClient(url), record, system.artifacts), options)


@pytest.fixture
def page(system: System, tmp_path: Path) -> Iterator[Page]:
    with watch(system, tmp_path) as monitor:
        made = Page(monitor)
        made.at_head(system.client)
        yield made


def crash(market: Market) -> dict[str, Any]:
    """Alice is liquidated in part, then jumped over and closed out; the fund pays."""
    market.keepers_account.deposit(Decimal(50_000))
    market.open()
    market.move("56000")
    market.keeper.liquidate(market.alice.number)
    market.move("40000", seconds=3600)
    closed = market.keeper.close_out(market.alice.number)
    assert closed.deficit > 0
    return {"deficit": float(closed.deficit), "compartment": float(closed.compartment)}


def test_every_figure_is_the_contracts(page: Page, market: Market) -> None:
    market.open()
    market.move("58000")
    system = market.system
    page.at_head(system.client)
    sheet = FundView(system).sheet()
    fund = page.panel("fund")
    assert fund["total"] == pytest.approx(float(sheet.total))
    assert [layer["key"] for layer in fund["layers"]][:3] == ["compartment", "reserve", "staked"]
    assert fund["layers"][1]["amount"] == pytest.approx(float(sheet.reserve))
    assert sum(layer["amount"] for layer in fund["layers"]) == pytest.approx(fund["total"])
    assert fund["window_room"] == pytest.approx(float(sheet.window_room))
    for shown, exact in zip(page.panel("markets"), FundView(system).markets(), strict=True):
        assert shown["name"] == exact.name
        assert shown["mark"] == pytest.approx(float(exact.mark_price))
        assert shown["open_long"] == pytest.approx(float(exact.open_long))
    arrays = page.monitor.watcher._book.arrays
    state = page.monitor.watcher._state
    assert state is not None
    equity, maintenance = arrays.value(Terms.of(state.markets))
    for number, mine, margin in zip(arrays.numbers, equity, maintenance, strict=True):
        exact_equity, _, exact_margin = system.engine.health(number)
        assert mine == pytest.approx(exact_equity / 1e18, rel=1e-9, abs=1e-6)
        assert margin == pytest.approx(exact_margin / 1e18, rel=1e-9, abs=1e-6)
    risk = page.panel("risk")
    assert risk["open"] == 2
    assert risk["worst"][0]["account"].startswith(market.alice.address)


def test_the_shown_liquidation_level_is_where_the_engine_says_so(
    page: Page, market: Market
) -> None:
    market.open()
    page.at_head(market.system.client)
    worst = page.until("risk", lambda r: r["open"] == 2)["worst"][0]
    level = Decimal(str(worst["positions"][0]["level"]))
    for factor, below in (("1.001", False), ("0.999", True)):
        with market.system.client.isolated():
            market.move(str((level * Decimal(factor)).quantize(Decimal("0.01"))), seconds=3600)
            equity, _, maintenance = market.system.engine.health(market.alice.number)
            # an hour's funding moves equity by less than the thousandth in between
            assert (equity < maintenance) is below


def test_a_liquidation_and_a_receipt_appear_with_their_legs(page: Page, market: Market) -> None:
    outcome = crash(market)
    page.at_head(market.system.client)
    feed = page.until("feed", lambda f: any(line["kind"] == "receipt" for line in f))
    receipt = next(line for line in feed if line["event"] == "ShortfallResolved")
    assert sum(leg["amount"] for leg in receipt["legs"]) == pytest.approx(outcome["deficit"])
    assert receipt["legs"][0]["key"] == "compartment"
    assert receipt["legs"][0]["amount"] == pytest.approx(outcome["compartment"])
    assert any(line["event"] == "Liquidated" for line in feed)
    fund = page.until("fund", lambda f: f["events"] == 1)
    assert fund["total"] == pytest.approx(float(FundView(market.system).sheet().total))


def test_the_cost_of_a_jump_is_what_the_jump_then_costs(page: Page, market: Market) -> None:
    market.keepers_account.deposit(Decimal(50_000))
    market.open()
    page.at_head(market.system.client)
    ladder = page.until("shock", lambda s: max(s["0"]["deficit"]) > 0)["0"]
    place = ladder["move"].index(-20)
    market.move("48000", seconds=3600)
    closed = market.keeper.close_out(market.alice.number)
    # an hour of funding lies between the two
    assert float(closed.deficit) == pytest.approx(ladder["deficit"][place], rel=0.01)
    assert float(closed.compartment) == pytest.approx(ladder["paid"][place][0], rel=0.01)
    assert float(closed.reserve) == pytest.approx(ladder["paid"][place][1], rel=0.01, abs=0.01)


def test_the_past_is_there_after_a_start(system: System, market: Market, tmp_path: Path) -> None:
    before = float(FundView(system).sheet().total)
    first = system.client.timestamp
    system.token.approve.send(system.fund.address, 10**12, sender=market.alice.address)
    for _ in range(3):
        system.client.warp(600)
        system.fund.fundReserve.send(100 * 10**6, sender=market.alice.address)
    with watch(system, tmp_path) as monitor:
        page = Page(monitor)
        page.at_head(system.client)
        deadline = time.monotonic() + 20
        totals: list[float] = []
        while time.monotonic() < deadline and len(totals) < 4:
            series = page.panel("series")
            at = series["columns"].index("total")
            totals = [row[at] for row in series["rows"] if row[0] >= first - 600]
        assert totals[-3:] == pytest.approx([before + 100, before + 200, before + 300])
        assert [row[0] for row in series["rows"]] == sorted({row[0] for row in series["rows"]})


def test_staking_is_shown_with_its_buckets(page: Page, market: Market) -> None:
    system = market.system
    alice = market.alice.address
    unit = 10**system.record.token_decimals
    system.token.approve.send(system.tranche.address, 10**12, sender=alice)
    system.tranche.deposit.send(1000 * unit, alice, sender=alice)
    system.tranche.requestRedeem.send(400 * unit * 1000, alice, alice, sender=alice)
    page.at_head(system.client)
    stake = page.until("stake", lambda s: s["buckets"])
    assert stake["active"] == pytest.approx(600)
    assert stake["slashable"] == pytest.approx(1000)
    assert stake["buckets"][-1]["assets"] == pytest.approx(400)
    assert stake["share_price"] == pytest.approx(1)
    assert page.panel("fund")["layers"][2]["amount"] == pytest.approx(1000)


def test_a_scheduled_change_is_pending_until_it_is_made(page: Page, market: Market) -> None:
    system, admin = market.system, market.admin
    parameters, liquidation, _ = system.engine.marketParameters(0)
    changed = parameters._replace(maintenanceMarginPpm=parameters.maintenanceMarginPpm - 1000)
    call = system.engine.setMarket.encode(0, changed, liquidation)
    system.authority.schedule.send(system.engine.address, call, 0, sender=admin)
    page.at_head(system.client)
    rules = page.until("rules", lambda r: r["pending"])
    change = rules["pending"][0]
    assert (change["contract"], change["function"]) == ("engine", "setMarket")
    assert {"name": "maintenance margin", "from": "5%", "to": "4.9%"} in change["changes"]
    assert len(change["changes"]) == 2  # the market, and the one field that differs
    assert change["waiting"] > 0
    assert selector(system.engine, "setMarket") == call[:4]
    system.client.warp(change["waiting"] + 1)
    system.authority.execute.send(system.engine.address, call, sender=admin)
    page.at_head(system.client)
    rules = page.until("rules", lambda r: not r["pending"])
    shown = {p["name"]: p["value"] for p in rules["markets"][0]["parameters"]}
    assert shown["maintenance margin"] == "4.9%"


def test_a_reorganisation_takes_back_what_was_shown(page: Page, market: Market) -> None:
    client = market.system.client
    page.at_head(client)
    before = page.panel("fund")
    snapshot = client.snapshot()
    crash(market)
    page.at_head(client)
    page.until("feed", lambda f: any(line["kind"] == "receipt" for line in f))
    client.revert(snapshot)
    client.mine()
    page.until("status", lambda s: s["reorganisations"] >= 1 and s["block"] <= client.block_number)
    page.until("feed", lambda f: not any(line["kind"] == "receipt" for line in f))
    page.until("fund", lambda f: f["events"] == 0)
    assert page.panel("fund") == before
    assert page.until("risk", lambda r: r["open"] == 0)
    blocks = [row[1] for row in page.panel("series")["rows"]]
    assert max(blocks) <= client.block_number


def test_a_chain_that_stands_still_is_not_healthy(system: System, tmp_path: Path) -> None:
    with watch(system, tmp_path, stall=0.5) as monitor:
        page = Page(monitor)
        page.until("status", lambda s: s["state"] == "stalled")
        code, answer = page.get("/healthz")
        assert code == 503
        assert "no new block" in answer["reason"]
        assert page.panel("fund")["total"] > 0  # what is known is still shown

        def moving(status: Any) -> bool:
            system.client.mine()  # on a busy machine half a second may pass before we look
            return bool(status["state"] == "live")

        page.until("status", moving)


def test_a_node_that_dies_and_comes_back(
    parameters: Parameters, compiled: Any, tmp_path: Path
) -> None:
    record = tmp_path / "record.json"
    place: dict[str, str] = {}
    first = Anvil(history=None).start()
    try:
        place["url"] = first.url
        deploy(parameters, RpcDeployer(first.client, first.accounts[0], compiled)).record.save(
            record
        )
        options = Options(port=0, pace=Pace(stall=0, retry=0.1), store=tmp_path / "events.sqlite")
        source = Source(lambda: RpcClient(place["url"]), record, compiled)
        with Monitor(source, options) as monitor:
            page = Page(monitor)
            page.at_head(first.client)
            first.stop()
            page.until("status", lambda s: s["state"] == "gone")
            code, answer = page.get("/healthz")
            assert code == 503
            assert "does not answer" in answer["reason"]
            assert page.get("/api/fund")[0] == 200
            with Anvil(history=None) as second:
                place["url"] = second.url
                page.until("status", lambda s: "there is no" in s["problem"])
                made = deploy(parameters, RpcDeployer(second.client, second.accounts[0], compiled))
                made.record.save(record)
                page.at_head(second.client)
                assert page.get("/healthz")[0] == 200
    finally:
        first.stop()


def read_stream(url: str, until: bytes, keep: list[socket.socket]) -> bytes:
    """Read a page's stream by hand until some bytes have come."""
    host, port = url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    keep.append(connection)
    connection.sendall(b"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    found = b""
    while until not in found:
        found += connection.recv(65536)
    return found


def test_a_reader_that_does_not_read_holds_up_nobody(page: Page, market: Market) -> None:
    keep: list[socket.socket] = []
    try:
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(20)
        slow.connect(("127.0.0.1", int(page.url.rsplit(":", 1)[1])))
        slow.sendall(b"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        keep.append(slow)
        for _ in range(30):
            read_stream(page.url, b"event: rules", keep)
        crash(market)
        page.at_head(market.system.client)
        for connection in keep[1:]:
            found = b""
            while b"ShortfallResolved" not in found:
                found += connection.recv(65536)
    finally:
        for connection in keep:
            connection.close()
    deadline = time.monotonic() + 20
    while page.monitor.hub.readers and time.monotonic() < deadline:
        market.system.client.mine()  # a gone reader is noticed at the next thing to tell
        time.sleep(0.05)
    assert page.monitor.hub.readers == 0


def test_accounts_are_found_again_after_a_restart(
    system: System, market: Market, tmp_path: Path
) -> None:
    market.open()
    for _ in range(2):  # the second time the store is there already, and nothing is new
        with watch(system, tmp_path) as monitor:
            page = Page(monitor)
            page.at_head(system.client)
            numbers = set(monitor.watcher._book.arrays.numbers)
            assert {market.alice.number, market.bob.number} <= numbers
            assert account_id(system.record.deployer, 0) not in numbers
            assert page.panel("feed")


def run_module(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "backstop.monitor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_wrong_requests_are_answered_in_a_sentence(node: Anvil) -> None:
    wrong = run_module("--rpc", "ftp://nowhere")
    assert wrong.returncode == 2
    assert "http://host:port expected" in wrong.stderr
    taken = run_module("--rpc", node.url, "--port", str(node.port))
    assert taken.returncode == 2
    assert "choose another --port" in taken.stderr
    assert "Traceback" not in wrong.stderr + taken.stderr
