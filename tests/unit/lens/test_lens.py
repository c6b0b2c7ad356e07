"""The Lens says what the single views say; one account that cannot be read spoils no other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from backstop.chain.artifacts import ROOT
from backstop.chain.clients import Trader
from backstop.chain.config import Parameters
from backstop.chain.deploy import RpcDeployer, System, deploy
from backstop.chain.errors import register_all
from backstop.chain.lens import Lens
from backstop.chain.record import DeploymentError, Record
from backstop.harness.abi import Reverted
from backstop.harness.anvil import Anvil, private_key

D = Decimal
UNKNOWN = b"\x5a" * 32


@pytest.fixture(scope="module")
def deployed(project: Any) -> Iterator[System]:
    """Two traders at 60,000, a staker with an exit under way, the price since at 57,000."""
    with Anvil() as node:
        parameters = Parameters.load(ROOT / "parameters" / "local.yaml")
        made = deploy(parameters, RpcDeployer(node.client, node.accounts[0], project.get_contract))
        register_all(node.client.registry, project.get_contract)
        alice, bob = trader(made, 1), trader(made, 2)
        for who in (alice, bob):
            made.token.mint.send(who.address, 10**13, sender=made.record.deployer)
            who.deposit(D(100_000) if who is bob else D(1000))
        bob.fill(alice.sign_order(0, True, D("0.15"), D(60_000)))
        made.token.approve.send(made.tranche.address, 10**12, sender=bob.address)
        made.tranche.deposit.send(10**10, bob.address, sender=bob.address)
        made.tranche.requestRedeem.send(10**12, bob.address, bob.address, sender=bob.address)
        made.set_price(0, D(57_000), made.record.deployer)
        node.client.warp(30)
        made.set_price(0, D(57_000), made.record.deployer)
        yield made


@pytest.fixture
def system(deployed: System) -> Iterator[System]:
    with deployed.client.isolated():
        yield deployed


@pytest.fixture
def lens(system: System) -> Lens:
    return Lens(system)


def trader(system: System, index: int) -> Trader:
    return Trader(system, private_key(index))


def numbers(system: System) -> list[bytes]:
    return [trader(system, 1).number, UNKNOWN, trader(system, 2).number]


def test_accounts_are_those_of_the_engine(system, lens):
    ids = numbers(system)
    reports = lens.accounts(ids)
    assert [r.account for r in reports] == ids
    for report in reports:
        assert report.ok
        assert report.state == system.engine.accountState(report.account)
        assert not report.bankrupt
    alice, nobody, bob = reports
    assert alice.liquidatable == (alice.state.equity < alice.state.maintenanceMargin)
    assert not nobody.liquidatable, "nothing is needed where nothing is held"
    assert bob.state.positions[0].size == -alice.state.positions[0].size
    for report, short in zip(reports, lens.health(ids), strict=True):
        state = report.state
        assert tuple(short) == (True, state.equity, state.initialMargin, state.maintenanceMargin)


def test_it_reads_what_it_was_deployed_for_and_nothing_without_code(system, project):
    parts = [getattr(system, name).address for name in ("engine", "fund", "oracle")]
    sender = system.record.deployer
    made = system.client.deploy(project.get_contract("Lens"), *parts, sender=sender)
    assert [made.engine(), made.fund()] == parts[:2]
    for place in range(3):
        wrong = [*parts[:place], sender, *parts[place + 1 :]]
        with pytest.raises(Reverted, match="NotAContract"):
            system.client.deploy(project.get_contract("Lens"), *wrong, sender=sender)


def test_small_batches_give_the_same(system):
    ids = numbers(system) * 3
    assert Lens(system, 2).accounts(ids) == Lens(system).accounts(ids)
    assert Lens(system).accounts([]) == []
    with pytest.raises(ValueError, match="batch is 0"):
        Lens(system, 0)


def test_a_bankrupt_account_is_told_from_a_liquidatable_one(system, lens):
    alice = trader(system, 1).number
    seen = {}
    for price in (56_000, 51_000):
        system.set_price(0, D(price), system.record.deployer)
        system.client.warp(600)
        system.set_price(0, D(price), system.record.deployer)
        system.engine.poke.send(0, sender=system.record.deployer)
        (report,) = lens.accounts([alice])
        seen[price] = (report.liquidatable, report.bankrupt)
        name = "takeOver" if report.bankrupt else "closeOut"
        assert_refused(system, name, alice)
    assert seen == {56_000: (True, False), 51_000: (True, True)}


def assert_refused(system, name, account):
    """What the Lens rules out, the liquidator refuses."""
    keeper = trader(system, 3)
    arguments = {
        "takeOver": (account, 0, keeper.number, 2**256 - 1, 2**256 - 1),
        "closeOut": (account, keeper.number, False),
    }[name]
    with pytest.raises(Reverted, match=r"Bankrupt|NotBankrupt"):
        system.liquidator[name].call(*arguments, sender=keeper.address)


def test_what_cannot_be_read_spoils_nothing_else(system, lens):
    """With little gas the oracle refuses to be asked; those before have their answer."""
    data = lens.contract.accounts.encode(numbers(system) * 4)
    full = lens.accounts(numbers(system) * 4)
    outcomes = set()
    for gas in range(100_000, 1_500_000, 20_000):
        call = {"to": lens.contract.address, "data": "0x" + data.hex(), "gas": hex(gas)}
        try:
            raw = bytes.fromhex(system.client.rpc("eth_call", call, "latest")[2:])
        except Exception:
            continue
        reports = lens.contract.accounts.decode(raw)
        outcomes.add(sum(r.ok for r in reports))
        for got, right in zip(reports, full, strict=True):
            assert got == right if got.ok else got.state.equity == 0
            if not got.ok:
                assert got.account == right.account
                error = system.client.registry.decode_error(got.reason)
                assert error.name in ("NotEnoughGas", ""), "the reason is handed through"
    assert any(0 < count < len(full) for count in outcomes), f"never in part: {outcomes}"


def test_markets_are_those_of_the_engine_and_the_oracle(system, lens):
    reports = lens.markets()
    assert len(reports) == system.engine.marketCount() == 2
    for number, report in enumerate(reports):
        state = system.engine.marketState(number)
        assert report.state == state
        assert (report.indexPrice, report.observedAt, report.indexValidity) == tuple(
            system.oracle.read(number, state.markPrice)
        )
        sides = (report.basis, report.A, report.K, report.epoch)
        assert sides == tuple(system.engine.sideState(number))
        rules = (report.parameters, report.liquidation, report.riskPaused)
        assert rules == tuple(system.engine.marketParameters(number))


def test_a_snapshot_is_what_a_transaction_after_the_pokes_sees(system, lens):
    ids = numbers(system)
    later = system.client.timestamp + 12
    seen = lens.snapshot(ids, at=later)
    assert seen.timestamp == later
    system.client.set_next_timestamp(later)
    system.engine.poke.send(0, sender=system.record.deployer)
    assert system.client.timestamp == later
    market = seen.markets[0]
    assert market.state.markPrice == system.engine.marketState(0).markPrice < 60_000 * 10**18
    assert market.K == system.engine.sideState(0).K
    assert list(seen.accounts) == lens.accounts(ids)


def test_a_snapshot_sent_as_a_transaction_only_pokes(system, lens):
    before = system.engine.marketState(0).markTime
    receipt = lens.contract.snapshot.send([], sender=system.record.deployer)
    assert {event.name for event in receipt.events} <= {"MarkMoved"}
    assert system.engine.marketState(0).markTime > before


def test_the_balance_sheet_is_the_funds(system, lens):
    fund, engine, tranche = system.fund, system.engine.address, system.tranche
    sheet = lens.balance_sheet()
    block = system.client.rpc("eth_getBlockByNumber", "latest", False)
    assert (sheet.blockNumber, sheet.timestamp) == (
        int(block["number"], 16),
        int(block["timestamp"], 16),
    )
    assert sheet.asset == fund.asset()
    assert sheet.tokens == system.token.balanceOf(fund.address)
    assert sheet.engineTokens == system.token.balanceOf(engine)
    assert sheet.totalCapital == fund.totalCapital()
    assert sheet.reserve == fund.reserve()
    assert sheet.reserveTarget == fund.reserveTarget()
    assert (sheet.reserveGap, sheet.gapSince, sheet.gapDue) == tuple(fund.reserveGap())
    assert sheet.reserveGap == sheet.reserveTarget - sheet.reserve > 0
    assert (sheet.stakerSharePpm, sheet.events) == (fund.stakerShare(), fund.eventCount())
    assert sheet.limits == fund.claimantLimits(engine)
    assert sheet.claimantRoom == fund.drawRoom(engine, 0).claimantWindow
    for number, part in enumerate(sheet.compartments):
        state = system.engine.marketState(number)
        assert part.assets == fund.compartment(engine, number)
        assert part.limits == fund.marketLimits(engine, number)
        assert part.marketRoom == fund.drawRoom(engine, number).marketWindow
        assert (part.pendingIncome, part.recordedDeficit) == (
            state.fundFees,
            state.recordedDeficit,
        )
    layers = sheet.totalCompartments + sheet.reserve + sheet.tranche.slashable
    assert layers == sheet.totalCapital
    assert sheet.totalCompartments == sum(part.assets for part in sheet.compartments)
    assert tranche.address == sheet.tranche.tranche


def test_the_tranche_with_its_buckets(system, lens):
    tranche, seen = system.tranche, lens.balance_sheet().tranche
    assert seen.totalAssets == tranche.totalAssets()
    assert seen.totalShares == tranche.totalSupply()
    assert seen.slashable == tranche.slashable()
    assert seen.price == tranche.convertToAssets(10**seen.decimals)
    assert (seen.cap, seen.cooldown, seen.epochEnd, seen.heldUntil) == tuple(tranche.terms())
    assert (seen.streamLeft, seen.streamEnd, seen.streamPerSecond) == tuple(tranche.stream())
    assert seen.series == tranche.series()
    first, last = tranche.openBuckets()
    assert [bucket.id for bucket in seen.buckets] == list(range(first, last + 1))
    for bucket in seen.buckets:
        state, is_open = tranche.bucket(bucket.id)
        assert is_open
        assert (bucket.assets, bucket.shares, bucket.maturity) == tuple(state)
    assert sum(bucket.assets for bucket in seen.buckets) == seen.slashable - seen.totalAssets > 0


def test_a_record_older_than_the_lens_is_attached_and_says_so(system):
    older = dataclasses.replace(
        system.record,
        contracts={k: v for k, v in system.record.contracts.items() if k != "lens"},
    )
    old = System(system.client, Record.from_json(older.to_json()), system.artifacts)
    assert old.engine.marketCount() == 2
    assert "lens" not in old.contracts
    with pytest.raises(DeploymentError, match="without the Lens: deploy again"):
        Lens(old)


def test_wrong_addresses_are_refused(system, project):
    engine, fund, oracle = (system.contracts[n].address for n in ("engine", "fund", "oracle"))
    nowhere = "0x" + "5a" * 20
    lens = project.get_contract("Lens")
    for wrong in ((nowhere, fund, oracle), (engine, nowhere, oracle), (engine, fund, nowhere)):
        with pytest.raises(Reverted, match="NotAContract"):
            system.client.deploy(lens, *wrong, sender=system.record.deployer)
