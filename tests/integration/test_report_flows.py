"""Store and report on a chain with everything rare: inventory taken, sold, lost and written off, a
fair window with people who leave and join meanwhile, money recovered and collected.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from test_report import Crash, move

from backstop.chain.artifacts import ROOT
from backstop.chain.clients import Governance, Trader
from backstop.chain.config import Parameters
from backstop.chain.deploy import RpcDeployer, System, deploy
from backstop.chain.inventory import InventoryKeeper
from backstop.chain.recoveries import Recoverer, recorded
from backstop.harness.anvil import Anvil, private_key
from backstop.monitor.feed import lines
from backstop.report import build
from backstop.report.page import render
from backstop.report.state import StateReader
from backstop.store import EventStore, sync
from backstop.store.ledger import FundLedger
from backstop.store.store import rows_of

D = Decimal
UNIT = 10**6


@dataclass
class Flow(Crash):
    """The chain, and the block after each act."""

    acts: dict[str, int] = field(default_factory=dict)


class Play:
    """The acts, one after the other; every transaction is a block of its own."""

    def __init__(self, system: System) -> None:
        self.system, self.admin = system, system.record.deployer
        self.alice, self.bob, self.carol, self.dave, self.erin = (
            Trader(system, private_key(index)) for index in range(1, 6)
        )
        self.staker = Trader(system, private_key(6))
        self.keeper = InventoryKeeper(system, private_key(7))
        self.acts: dict[str, int] = {}

    def run(self) -> dict[str, int]:
        acts = (self.opens, self.stocks, self.sells, self.loses, self.waits, self.pays)
        for act in (*acts, self.recovers):
            act()
            self.acts[act.__name__] = self.system.client.block_number
        return self.acts

    def mint(self, who: Any, tokens: int) -> None:
        self.system.token.mint.send(who.address, tokens * UNIT, sender=self.admin)

    def opens(self) -> None:
        """Stakers, traders, and the fund's capital in its own account."""
        system = self.system
        for who in (self.staker, self.keeper):
            self.mint(who, 10**6)
        tranche, staker = system.tranche, self.staker.address
        system.token.approve.send(tranche.address, 50_000 * UNIT, sender=staker)
        tranche.deposit.send(50_000 * UNIT, staker, sender=staker)
        longs = ((self.alice, 1_000, "0.15"), (self.carol, 2_000, "0.3"))
        for who, tokens in ((self.bob, 3_000_000), (self.erin, 2_000_000)):
            self.mint(who, tokens)
            who.deposit(D(tokens))
        for trader, tokens, size in (*longs, (self.dave, 200_000, "30")):
            self.mint(trader, tokens)
            trader.deposit(D(tokens))
            self.bob.fill(trader.sign_order(0, True, D(size), D(60_000)))
        self.keeper.deploy(0, D(6_000))
        self.keeper.deploy(0)
        Trader(system, private_key(7)).deposit(D(500_000))

    def stocks(self) -> None:
        """Alice's position goes into the inventory, and a part of it to a keeper."""
        move(self.system, "56000")
        self.keeper.flag(self.alice.number)
        move(self.system, "56000", 301)
        assert self.keeper.to_backstop(self.alice.number, 0).size > D("0.03")
        self.keeper.buy(0, D("0.01"))

    def sells(self) -> None:
        """The price rises: the rest is sold with a profit, which is income."""
        move(self.system, "58000")
        self.keeper.buy(0)
        assert self.system.backstop.inventory(0).size == 0
        self.keeper.release(0)

    def loses(self) -> None:
        """Carol's position comes at the mark and falls; it is torn up, the loss written off."""
        move(self.system, "52500", 600)
        assert self.keeper.close_out_to_backstop(self.carol.number).deficit > 0
        move(self.system, "51000", 600)
        caps = self.system.backstop.terms(0)[0]._asdict() | {"loss": 900 * UNIT}
        self.system.backstop.tightenCaps.send(0, tuple(caps.values()), sender=self.admin)
        self.keeper.unwind(0)
        governance = Governance(self.system, self.admin)
        made = governance.schedule("backstop", "resetLoss", 0)
        self.system.client.warp(made.ready_at - self.system.client.timestamp)
        governance.execute("backstop", "resetLoss", 0)

    def waits(self) -> None:
        """Dave is far below zero: his claim waits; Bob leaves a part of the side, Erin joins it."""
        move(self.system, "40000", 1200)
        result = self.keeper.close_out(self.dave.number)
        assert result.side_charged > 0 and result.recorded > 0
        assert self.system.engine.fairWindow().closesAt > 0
        self.bob.fill(self.erin.sign_order(0, False, D("0.05"), D(40_000)))

    def pays(self) -> None:
        """The window closes; sides, leavers and joiners get their part."""
        move(self.system, "40000", 901)
        engine = self.system.engine
        engine.closeFairWindow.send(sender=self.admin)
        for who in (self.bob, self.erin):
            engine.collectWindow.send(who.number, 0, 1, sender=self.admin)

    def recovers(self) -> None:
        """Half of what the event of the window cost comes back, and the staker collects."""
        (event,) = recorded(self.system)
        bringer = Recoverer(self.system, private_key(7))
        bringer.recover(event.number, D(60_000))
        bringer.recover(event.number, event.open - D(60_000))
        bringer.collect(self.staker.address)


def in_one_transaction(system: System, calls: list[tuple[Any, bytes]], sender: Any) -> None:
    """Calls one after the other from the creation code of a contract, all or none."""
    size = 46  # bytes of `each`; the data of all calls comes after the code and a STOP
    code, data = b"", b""
    for number, (to, payload) in enumerate(calls):
        at = len(calls) * size + 1 + len(data)
        length, after = len(payload).to_bytes(2), ((number + 1) * size - 1).to_bytes(2)
        copied = b"\x61" + length + b"\x61" + at.to_bytes(2) + b"\x5f\x39"  # CODECOPY(0, at, n)
        called = b"\x5f\x5f\x61" + length + b"\x5f\x5f\x73" + bytes.fromhex(to.address[2:])
        each = copied + called + b"\x5a\xf1\x61" + after + b"\x57\x5f\x5f\xfd\x5b"  # or REVERT
        code, data = code + each, data + payload
        assert len(each) == size
    system.client.send(None, code + b"\x00" + data, sender=sender)


def deployed(node: Anvil, compiled: Any) -> System:
    text = (ROOT / "parameters" / "local.yaml").read_text()
    parameters = Parameters.parse(text.replace("  # fair_window: 15m", "  fair_window: 15m"))
    return deploy(parameters, RpcDeployer(node.client, node.accounts[0], compiled))


@pytest.fixture(scope="module")
def flow(compiled: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flow]:
    with Anvil(history=None) as node:
        system = deployed(node, compiled)
        acts = Play(system).run()
        path = tmp_path_factory.mktemp("flows") / "events.sqlite"
        with EventStore.open(path, system.record, compiled) as store:
            tip = sync(store, system.client).tip
            assert tip is not None
            yield Flow(system, store, acts["opens"], tip.number, acts)


WANTED = (
    *("InventoryTaken", "InventorySold", "InventoryUnwound", "CapitalDeployed", "CapitalReleased"),
    *("CapitalReturned", "CapitalWrittenOff", "LossReset", "AuctionSet"),
    *("FairWindowSet", "FairWindowOpened", "ClaimDeferred", "FairWindowPaid", "SideRepaid"),
    "WindowCollected",
    *("ReceiptRecorded", "Recovered", "LossRecovered", "RecoveryCollected"),
)


def test_every_event_is_decoded_and_the_store_equals_its_replay(
    flow: Flow, compiled: Any, tmp_path: Path
) -> None:
    names = {event.name for event in flow.store.events()}
    assert set(WANTED) <= names
    assert "" not in names, "an event no ABI knows"
    for size in (1, 13):
        with EventStore.open(tmp_path / f"{size}.sqlite", flow.system.record, compiled) as again:
            sync(again, flow.system.client, size=size)
            assert rows_of(again) == rows_of(flow.store)
    (row,) = flow.store.db.execute("SELECT claims, paid FROM fair_window_paid").fetchall()
    rate = flow.system.engine.windowRate(1, 0)
    assert (int(row[0]), int(row[1])) == (rate.claims, rate.paid)


def test_the_ledger_is_the_funds_views_after_every_block(flow: Flow) -> None:
    """To the unit, layer by layer, block by block."""
    system, ledger = flow.system, FundLedger()
    engine = system.engine.address
    events = list(flow.store.events())
    blocks = sorted({e.block for e in events if e.contract in ("fund", "tranche")})
    requests = sorted({e["requestId"] for e in events if e.name == "RedeemRequest"})
    start, seen = 0, 0
    for block in blocks:
        while start < len(events) and events[start].block <= block:
            ledger.apply(events[start])
            start += 1
        if block < system.record.block:
            continue
        seen += 1
        reader = StateReader(system, block)
        for market in (0, 1):
            held = reader.call(system.fund, "compartment", engine, market)
            assert ledger.compartments[engine, market] == held, f"block {block}"
            out = reader.call(system.fund, "deployedCapital", engine, market)
            layers = ("compartment", "reserve")
            assert tuple(out) == tuple(ledger.deployed[engine, market, name] for name in layers)
        assert ledger.reserve == reader.call(system.fund, "reserve"), f"block {block}"
        assert ledger.backing == reader.call(system.fund, "backing")
        assert ledger.stake == reader._tranche(requests).total, f"block {block}"
        tokens = reader.call(system.token, "balanceOf", system.fund.address)
        assert ledger.total == tokens, f"block {block}"
    assert seen > 8
    assert not ledger.unknown


def test_the_live_pages_feed_tells_them(flow: Flow) -> None:
    told = {line["event"]: line for line in lines(flow.system, flow.store.events())}
    rare = {"InventoryUnwound", "CapitalDeployed", "CapitalReleased", "LossReset", "CapsSet"}
    windows = {"ClaimDeferred", "FairWindowPaid", "WindowCollected", "FairWindowSet"}
    assert rare | windows <= set(told)
    paid = flow.system.engine.windowRate(1, 0).paid
    assert told["FairWindowPaid"]["title"].startswith(f"BTC: {D(paid) / UNIT:,.2f} mUSD for claims")
    assert told["ClaimDeferred"]["detail"].startswith("in fair window 1;")


@pytest.mark.parametrize("act", ["opens", "stocks", "sells", "loses", "waits", "pays", "recovers"])
def test_the_report_holds_after_every_act(flow: Flow, act: str) -> None:
    report = flow.report(0, flow.acts[act])
    assert report.broken == []
    assert "checks hold" in render(report)


def test_the_sheets_are_the_contracts_views(flow: Flow) -> None:
    """At the end, to the unit and to the wei, asked of the contracts one by one."""
    system, data = flow.system, flow.report().data
    engine, fund = system.engine, system.fund

    def tokens(units: int) -> Decimal:
        return D(units) / UNIT

    rows = {r["layer"]: D(r["byEvents"]) for r in data["balanceSheet"]["fund"]["rows"]}
    assert rows["1 BTC compartment"] == tokens(fund.compartment(engine.address, 0))
    assert rows["1 ETH compartment"] == tokens(fund.compartment(engine.address, 1))
    assert rows["2 operator's reserve"] == tokens(fund.reserve())
    assert sum(rows.values()) == tokens(system.token.balanceOf(fund.address))
    (held,) = data["inventory"]
    out, now = fund.deployedCapital(engine.address, 0), system.backstop.inventory(0)
    assert (D(held["outOfCompartment"]), D(held["outOfReserve"])) == tuple(map(tokens, out))
    assert D(held["invested"]) == tokens(now.invested)
    assert D(held["worth"]) == D(now.equity) / 10**18
    assert D(held["base"]["taken"]) == sum(D(held["base"][kind]) for kind in ("sold", "unwound")), (
        "nothing is left of what was taken"
    )
    assert D(held["capital"]["writtenOff"]) > 0
    sheet = data["balanceSheet"]["engine"]
    pots = sum(engine.marketClaims(n)[0].pot for n in (0, 1))
    assert D(sheet["fairWindowPots"]) == D(pots) / 10**18
    assert D(sheet["recordedDeficit"]) == D(engine.marketState(0).recordedDeficit) / 10**18
    assert D(sheet["tokensHeld"]) == tokens(system.token.balanceOf(engine.address))


def test_the_window_and_the_ways_are_told(flow: Flow) -> None:
    data = flow.report().data
    windows, rate = data["fairWindows"], flow.system.engine.windowRate(1, 0)
    (closed,) = windows["closed"]
    assert D(closed["paid"]) == D(rate.paid) / UNIT
    assert D(closed["claims"]) == D(rate.claims) / UNIT
    assert sum(map(D, closed["legs"].values())) == D(closed["paid"])
    assert windows["open"] == []
    (deferred,) = windows["deferred"]
    assert 0 <= D(closed["claims"]) - D(deferred["amount"]) < D(1) / UNIT
    hows = [row["how"] for row in data["waterfall"]["events"]]
    assert hows == ["into the inventory", "torn up"]
    assert [bool(row["waits"]) for row in data["waterfall"]["events"]] == [False, True]
    assert data["liquidations"]["ways"] == {
        "closed out": 2,
        "into the inventory": 1,
        "inventory torn up": 1,
    }
    half = flow.report(0, flow.acts["waits"]).data
    assert [w["window"] for w in half["fairWindows"]["open"]] == [1]
    assert half["fairWindows"]["closed"] == []
    late = flow.report(flow.acts["waits"], flow.acts["waits"]).data["fairWindows"]
    assert late["open"] == half["fairWindows"]["open"], "opened before the period, and still open"
    assert late["deferred"] == late["closed"] == []
    assert D(half["balanceSheet"]["engine"]["fairWindowPots"]) > 0, "what Erin paid in"


def test_a_window_may_close_in_the_transaction_of_a_close_out(
    compiled: Any, tmp_path: Path
) -> None:
    """Anybody can put the two together; what the window got is no part of the receipt."""
    with Anvil(history=None) as node:
        system = deployed(node, compiled)
        play = Play(system)
        play.opens()
        play.waits()
        move(system, "40000", 901)
        engine, liquidator = system.engine, system.liquidator
        close = engine, engine.closeFairWindow.encode()
        out = liquidator.closeOut.encode(play.carol.number, play.keeper.number, False)
        in_one_transaction(system, [close, (liquidator, out)], play.keeper.address)
        with EventStore.open(tmp_path / "events.sqlite", system.record, compiled) as store:
            tip = sync(store, system.client).tip
            assert tip is not None
            report = build(store, system, 0, tip.number)
    (window,), (_, receipt) = (
        report.data["fairWindows"]["closed"],
        report.data["waterfall"]["events"],
    )
    assert window["block"] == receipt["block"] == tip.number
    assert D(window["paid"]) > 0 and window["event"] != receipt["event"]
    (paid,) = receipt["fundPaid"]
    assert D(paid["claimed"]) < D(receipt["deficit"]) + D(1) / UNIT
    assert report.broken == []


@pytest.mark.parametrize(
    ("change", "breaks"),
    [
        ("DELETE FROM events WHERE name = 'CapitalWrittenOff'", "INVENTORY"),
        ("DELETE FROM events WHERE name = 'LossReset'", "INVENTORY"),
        (
            "UPDATE events SET args = replace(args, '\"paid\":', '\"paid\":9')"
            " WHERE name = 'FairWindowPaid'",
            "WINDOW_EVENTS",
        ),
        ("DELETE FROM events WHERE name = 'CapitalReturned'", "LEDGER fund"),
        ("DELETE FROM events WHERE name = 'Recovered'", "LEDGER fund"),
    ],
)
def test_a_tampered_row_shows(
    flow: Flow, compiled: Any, tmp_path: Path, change: str, breaks: str
) -> None:
    path = tmp_path / "tampered.sqlite"
    flow.store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(flow.store.path, path)
    with sqlite3.connect(path) as db:
        assert db.execute(change).rowcount > 0
    db.close()
    with EventStore.open(path, flow.system.record, compiled) as store:
        forged = build(store, flow.system, 0, flow.last)
    assert any(sentence.startswith(breaks) for sentence in forged.broken)
