"""The transparency report on a small crash: right, and the same bytes for everybody."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from backstop.chain.artifacts import ROOT
from backstop.chain.clients import Keeper, Trader
from backstop.chain.deploy import RpcDeployer, System, deploy
from backstop.harness.anvil import Anvil, private_key
from backstop.report import Report, ReportError, build, write
from backstop.store import EventStore, sync

STAKE = 50_000 * 10**6


@dataclass
class Crash:
    """A deployment after a crash, its store, and the block before the crash."""

    system: System
    store: EventStore
    calm: int
    last: int

    def report(self, first: int = 0, last: int | None = None) -> Report:
        return build(self.store, self.system, first, self.last if last is None else last)


def move(system: System, price: str, seconds: int = 120) -> None:
    """The price moves, and the mark follows."""
    admin = system.record.deployer
    system.set_price(0, Decimal(price), admin)
    system.client.warp(seconds)
    system.set_price(0, Decimal(price), admin)
    system.engine.poke.send(0, sender=admin)


def govern(system: System, function: str, *arguments: Any) -> None:
    """A change of the fund that waits for its delay."""
    admin, target = system.record.deployer, system.fund.address
    data = system.fund[function].encode(*arguments)
    delay = system.authority.getAccess(3, admin)[1]
    system.authority.schedule.send(target, data, 0, sender=admin)
    system.client.warp(delay)
    system.authority.execute.send(target, data, sender=admin)


def play(system: System) -> int:
    """Three traders against one; the fall ruins two of them; returns the block before it."""
    admin = system.record.deployer
    users = [Trader(system, private_key(i)) for i in range(1, 6)]
    for user in users:
        system.token.mint.send(user.address, 10**13, sender=admin)
    longs, short = users[:3], users[3]
    keeper, staker = Keeper(system, private_key(5)), users[4]
    system.token.approve.send(system.tranche.address, STAKE, sender=staker.address)
    system.tranche.deposit.send(STAKE, staker.address, sender=staker.address)
    govern(system, "setPremiumTerms", 100_000, 5_000 * 10**6)
    system.token.approve.send(system.fund.address, 10**10, sender=staker.address)
    system.fund.fundPremium.send(4_000 * 10**6, sender=staker.address)
    govern(system, "setPremiumTerms", 100_000, 3_500 * 10**6)
    system.set_price(0, Decimal(60_000), admin)
    short.deposit(Decimal(500_000))
    staker.deposit(Decimal(200_000))
    for trader, (collateral, size) in zip(
        longs, (("1000", "0.15"), ("2000", "0.3"), ("90000", "1")), strict=True
    ):
        trader.deposit(Decimal(collateral))
        short.fill(trader.sign_order(0, True, Decimal(size), Decimal(60_000)))
    calm = system.client.block_number
    move(system, "56000")
    keeper.flag(longs[0].number)
    system.client.warp(60)
    keeper.take_over(longs[0].number, 0)
    move(system, "50000", 600)
    for victim in longs[:2]:
        result = keeper.close_out(victim.number)
        assert result.resolved and result.deficit > 0
    system.engine.sweepFees.send(0, sender=admin)
    shares = system.tranche.balanceOf(staker.address)
    system.tranche.requestRedeem.send(
        shares // 4, staker.address, staker.address, sender=staker.address
    )
    return calm


@pytest.fixture(scope="module")
def crash(
    parameters: Any, compiled: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Crash]:
    with Anvil(history=None) as node:
        system = deploy(parameters, RpcDeployer(node.client, node.accounts[0], compiled))
        calm = play(system)
        path = tmp_path_factory.mktemp("store") / "events.sqlite"
        with EventStore.open(path, system.record, compiled) as store:
            tip = sync(store, system.client).tip
            assert tip is not None
            yield Crash(system, store, calm, tip.number)


def test_everything_adds_up(crash: Crash) -> None:
    report = crash.report()
    assert report.broken == []
    names = {check["name"] for check in report.data["checks"]}
    assert {
        *("CONSERVATION fund", "CONSERVATION engine", "LEDGER fund", "POSITIONS", "RECEIPT_EXACT"),
        *("RECEIPT_EVENTS", "CODE"),
    } <= names
    sheet = report.data["balanceSheet"]["fund"]
    held = Decimal(crash.system.token.balanceOf(crash.system.fund.address)) / 10**6
    assert Decimal(sheet["claims"]) == Decimal(sheet["tokensHeld"]) == held > 0
    assert sum(Decimal(row["byEvents"]) for row in sheet["rows"]) == held
    rows = {row["layer"]: row["byViews"] for row in sheet["rows"]}
    assert rows["4 budget for reinsurance premiums"] == "3500"


def test_every_receipt_is_there_and_sums_to_its_deficit(crash: Crash) -> None:
    waterfall = crash.report().data["waterfall"]
    resolved = list(crash.store.events("ShortfallResolved"))
    assert len(waterfall["events"]) == len(resolved) == 2
    for row, event in zip(waterfall["events"], resolved, strict=True):
        assert row["transaction"] == event.transaction and row["exact"]
        assert Decimal(row["deficit"]) == Decimal(event["receipt"]["deficit"]) / 10**18
        assert sum(map(Decimal, row["legs"].values())) == Decimal(row["deficit"])
        assert row["how"] == "torn up"
    layers = {layer["leg"]: Decimal(layer["paid"]) for layer in waterfall["layers"]}
    assert sum(layers.values()) == Decimal(waterfall["deficits"])


def test_liquidations_are_timed_from_the_clock(crash: Crash) -> None:
    found = crash.report().data["liquidations"]
    (flagged,) = (e for e in crash.store.events("Flagged") if e["account"] == _account(crash, 1))
    (taken,) = crash.store.events("Liquidated")
    assert found["timeToLiquidate"]["seconds"]["median"] is not None
    assert taken.time - flagged.time in (
        found["timeToLiquidate"]["seconds"]["median"],
        found["timeToLiquidate"]["seconds"]["max"],
    )
    assert found["ways"] == {"closed out": 2, "taken over": 1}
    (keeper,) = found["keepers"]
    assert keeper["sharePpm"] == 10**6 and keeper["closeOuts"] == 2


def test_the_crossing_is_found_in_past_states(crash: Crash) -> None:
    """Asked block by block, the engine says the same as the search."""
    report = build(crash.store, crash.system, 0, crash.last, crossings=True)
    found = report.data["liquidations"]["timeFromCrossing"]
    engine, client = crash.system.engine, crash.system.client
    waits, last = [], {}
    for event in crash.store.events("Liquidated", "ShortfallResolved"):
        data = engine.health.encode(bytes.fromhex(event["account"][2:]))
        block = event.block
        while block > last.get(event["account"], 0):
            equity, _, needed = engine.health.decode(
                client.call(engine.address, data, block=block - 1)
            )
            if equity >= needed:
                break
            block -= 1
        waits.append(event.block - block)
        last[event["account"]] = event.block
    assert found["blocks"]["count"] == len(waits) == 3
    assert found["blocks"]["max"] == max(waits) > 1
    assert found["blocks"]["median"] == sorted(waits)[1]


def _account(crash: Crash, index: int) -> str:
    return "0x" + Trader(crash.system, private_key(index)).number.hex()


def test_the_opposite_sides_shares_are_those_of_its_positions(crash: Crash) -> None:
    """One account was all of the short side: it bore all of it."""
    found = crash.report().data["deleveraging"]
    short = _account(crash, 4)
    assert found["tearUps"] == 2
    assert found["notionalTornUp"]["maxSharePpm"] == 10**6
    assert [row["who"] for row in found["notionalTornUp"]["largest"]] == [short]
    torn = sum(
        abs(e["size"]) * e["markPrice"] for e in crash.store.events("Deleveraged")
    ) / Decimal(10**36)
    assert abs(Decimal(found["notionalTornUp"]["total"]) - torn) < Decimal("1e-9")


def test_a_period_counts_only_what_is_in_it(crash: Crash) -> None:
    calm = crash.report(0, crash.calm)
    rough = crash.report(crash.calm + 1)
    assert calm.broken == rough.broken == []
    assert calm.data["waterfall"]["events"] == [] and calm.data["liquidations"]["steps"] == 0
    assert len(rough.data["waterfall"]["events"]) == 2
    assert Decimal(calm.data["stakers"]["closing"]) == STAKE // 10**6
    assert rough.data["stakers"]["opening"] == calm.data["stakers"]["closing"]
    assert rough.data["stakers"]["staked"] == "0"
    traded = [Decimal(r.data["income"]["markets"][0]["traded"]) for r in (calm, crash.report())]
    assert traded[0] == traded[1] == Decimal("1.45") * 60_000
    assert rough.data["income"]["markets"][0]["traded"] == "0"
    before = calm.data["history"]["points"][-1]["total"]
    assert rough.data["history"]["points"][0]["total"] == before


def test_stakers_see_their_exit_and_their_return(crash: Crash) -> None:
    found = crash.report().data["stakers"]
    gain = Decimal(found["income"]) - Decimal(found["losses"])
    assert Decimal(found["gain"]) == gain and found["returnPpm"] is not None
    assert Decimal(found["closing"]) == STAKE // 10**6 + gain
    assert Decimal(found["leaving"]) > 0 and found["leavingSharePpm"] > 200_000
    assert found["sharesMatch"] and found["holders"]["holders"] == 1


def test_parameters_and_pending_changes(crash: Crash) -> None:
    system = crash.system
    with system.client.isolated():
        admin = system.record.deployer
        data = system.fund.setReserveTarget.encode(123)
        delay = system.authority.getAccess(3, admin)[1]
        when = system.client.timestamp + delay + 1000
        system.authority.schedule.send(system.fund.address, data, when, sender=admin)
        sync(crash.store, system.client)
        tip = crash.store.tip
        assert tip is not None
        report = crash.report(0, tip.number)
    sync(crash.store, system.client)
    (pending,) = (p for p in report.data["pendingChanges"] if p["operation"])
    assert pending["what"] == "setReserveTarget(target=123)"
    assert (pending["target"], pending["from"], pending["ready"]) == ("fund", when, False)
    settings = {(s["name"], s["of"]): s["values"] for s in report.data["parameters"]["settings"]}
    listed = settings["MarketParameters", "BTC"]
    on_chain = system.engine.marketParameters(0)[0]
    assert listed["parameters.maintenanceMarginPpm"] == str(on_chain.maintenanceMarginPpm)
    assert settings["ReserveTarget", ""]["target"] == str(system.fund.reserveTarget())


def test_a_third_party_gets_the_same_bytes(crash: Crash, compiled: Any, tmp_path: Path) -> None:
    """Another node, another store read in other ranges, later on the clock."""
    mine = crash.report()
    with Anvil(history=None, timestamp=0, extra=("--fork-url", crash.system.client.url)) as node:
        theirs = System(node.client, crash.system.record, compiled)
        node.client.mine(3)
        with EventStore.open(tmp_path / "b.sqlite", theirs.record, compiled) as store:
            sync(store, theirs.client, size=3)
            other = build(store, theirs, 0, crash.last)
    assert other.text == mine.text and other.digest == mine.digest
    pages = [write(r, tmp_path / str(i)) for i, r in enumerate((mine, other))]
    assert pages[0][0].read_bytes() == pages[1][0].read_bytes()
    text = pages[0][0].read_text() + mine.text
    for machine in (str(ROOT), str(tmp_path), str(Path.home()), crash.system.client.url):
        assert machine not in text


@pytest.mark.parametrize(
    ("change", "breaks"),
    [
        ("UPDATE events SET args = replace(args, '\"assets\":1000000000', '\"assets\":2')", ""),
        (
            "UPDATE events SET args = replace(args, '\"compartment\":', '\"compartment\":1')"
            " WHERE name = 'Covered'",
            "LEDGER fund",
        ),
        ("DELETE FROM events WHERE name = 'Deleveraged'", "POSITIONS"),
        (
            "UPDATE events SET args = replace(args, '\"deficit\":', '\"deficit\":9')"
            " WHERE name = 'ShortfallResolved'",
            "RECEIPT_EXACT",
        ),
        ("UPDATE blocks SET time = time + 1 WHERE number = (SELECT max(number) FROM blocks)", ""),
    ],
)
def test_a_tampered_row_shows(
    crash: Crash, compiled: Any, tmp_path: Path, change: str, breaks: str
) -> None:
    honest = crash.report()
    path = tmp_path / "tampered.sqlite"
    crash.store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(crash.store.path, path)
    with sqlite3.connect(path) as db:
        assert db.execute(change).rowcount > 0
    db.close()
    with EventStore.open(path, crash.system.record, compiled) as store:
        forged = build(store, crash.system, 0, crash.last)
    key = ("deployment", "dataHash")
    assert forged.data[key[0]][key[1]] != honest.data[key[0]][key[1]]
    assert forged.digest != honest.digest
    if breaks:
        assert any(sentence.startswith(breaks) for sentence in forged.broken)


def test_what_cannot_be_reported_is_said(crash: Crash, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="the period is empty"):
        crash.report(5, 4)
    with pytest.raises(ReportError, match=r"which has reached block \d+"):
        crash.report(0, crash.last + 100)
    with pytest.raises(ReportError, match="deployment was not complete"):
        crash.report(0, 5)
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ReportError, match="cannot be written"):
        write(crash.report(), file / "below")


def test_the_page_stands_alone_on_a_phone(crash: Crash, tmp_path: Path) -> None:
    """In a real browser: nothing is fetched, nothing fails, nothing is wider than the screen."""
    sync_api = pytest.importorskip("playwright.sync_api")
    names = ("chromium", "chromium-browser")
    browser_path = os.environ.get("BACKSTOP_CHROMIUM") or next(
        filter(None, map(shutil.which, names)), None
    )
    if browser_path is None:
        pytest.skip("no Chromium: `apt-get install chromium`, or name one in BACKSTOP_CHROMIUM")
    page, data = write(crash.report(), tmp_path)
    with sync_api.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        for width in (390, 1200):
            tab = browser.new_page(viewport={"width": width, "height": 800})
            asked: list[str] = []
            tab.on("request", lambda request, seen=asked: seen.append(request.url))
            tab.on("pageerror", lambda error, seen=asked: seen.append(str(error)))
            tab.goto(page.as_uri())
            assert asked == [page.as_uri()]
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
            assert tab.locator("svg polygon").count() == 3
            body = tab.inner_text("body")
            assert json.loads(data.read_text())["deployment"]["dataHash"] in body
            assert "checks hold" in body
        browser.close()


@pytest.mark.slow
def test_the_commands(crash: Crash, tmp_path: Path) -> None:
    """`ape run index_events` and `ape run report` as users type them, in processes of their own."""
    crash.system.record.save(tmp_path / f"{crash.system.record.chain_id}.json")
    environment = {
        **os.environ,
        "APE_FOUNDRY_HOST": crash.system.client.url,
        "BACKSTOP_DEPLOYMENTS": str(tmp_path),
    }

    def ape(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).parent / "ape"), "run", *words]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    done = ape("index_events", "--json", "--export", str(tmp_path / "parquet"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["events"] == crash.store.count() == found["added"]
    assert found["blockHash"] == crash.store.tip.hash  # type: ignore[union-attr]
    assert (tmp_path / "parquet" / "shortfall_resolved.parquet").is_file()
    done = ape("report", "--to", str(crash.last), "--out", str(tmp_path / "out"), "--json")
    assert done.returncode == 0, done.stderr
    expected = crash.report()
    assert json.loads(done.stdout)["reportHash"] == expected.digest
    assert (tmp_path / "out" / "report.json").read_text() == expected.text
    done = ape("report", "--to", "999999")
    assert done.returncode == 2 and "beyond the latest block" in done.stderr
    assert "Traceback" not in done.stderr
