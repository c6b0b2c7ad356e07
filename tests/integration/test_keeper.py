"""The keeper against a real node: what it does, and what it survives."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from backstop.chain.artifacts import ROOT
from backstop.chain.clients import Trader
from backstop.chain.config import ConfigError, Parameters
from backstop.chain.deploy import RpcDeployer, System, deploy
from backstop.chain.errors import register_all
from backstop.harness.abi import NoData
from backstop.harness.anvil import Anvil, private_key
from backstop.harness.rpc import NodeError, RpcClient
from backstop.keeper.case import Case, Offer
from backstop.keeper.config import KeeperConfig
from backstop.keeper.follow import Head
from backstop.keeper.journal import JournalError
from backstop.keeper.keeper import Keeper
from backstop.keeper.pending import Bound
from backstop.keeper.wallet import KeyWallet
from backstop.keeper.ways import WAYS, Choice, choose

D = Decimal
KEEPERS = ROOT / "parameters" / "keeper.yaml"


class Told(list[tuple[str, dict[str, Any]]]):
    """What a keeper said."""

    def __call__(self, text: str, **fields: Any) -> None:
        self.append((text, fields))

    def __str__(self) -> str:
        return "\n".join(text for text, _ in self)

    def sent(self) -> list[str]:
        return [f["way"] for _, f in self if f.get("event") == "sent" and f["way"] != "poke"]


class Place:
    """A system with a long and a short at 60,000, and keepers."""

    def __init__(self, system: System, node: Anvil, folder: Path) -> None:
        self.system, self.node, self.folder = system, node, folder
        self.admin = system.record.deployer
        self.alice, self.bob = (Trader(system, private_key(i)) for i in (1, 2))
        self.said = Told()
        self.opened: list[Keeper] = []

    def fund(self, who: Trader, amount: str) -> None:
        self.system.token.mint.send(who.address, int(D(amount) * 10**6), sender=self.admin)
        who.deposit(D(amount))

    def open(self, size: str = "0.15", collateral: str = "1000") -> None:
        self.fund(self.alice, collateral)
        self.fund(self.bob, "100000")
        self.bob.fill(self.alice.sign_order(0, True, D(size), D(60_000)))

    def move(self, price: str, seconds: int = 120) -> None:
        self.system.set_price(0, D(price), self.admin)
        self.system.client.warp(seconds)
        self.system.set_price(0, D(price), self.admin)

    def config(self, **changes: dict[str, Any]) -> KeeperConfig:
        """The example's, with a poll of a second, a journal here, and `part={field: value}`."""
        config = KeeperConfig.load(KEEPERS)
        changes.setdefault("account", {}).setdefault("state", self.folder)
        changes.setdefault("upkeep", {}).setdefault("poke", False)
        parts = {
            name: dataclasses.replace(getattr(config, name), **fields)
            for name, fields in changes.items()
        }
        return dataclasses.replace(config, **parts)

    def keeper(self, index: int = 3, margin: str = "", **changes: Any) -> Keeper:
        """A keeper on a connection of its own."""
        options = {k: changes.pop(k) for k in ("dry_run", "clock") if k in changes}
        client = RpcClient(self.node.url, registry=self.system.client.registry)
        own = System(client, self.system.record, self.system.artifacts)
        if margin:
            self.fund(Trader(self.system, private_key(index)), margin)
        made = Keeper(
            own, KeyWallet(private_key(index)), self.config(**changes), say=self.said, **options
        )
        self.opened.append(made)
        return made

    def health(self) -> float:
        view = self.alice.view()
        return float(view.health) if view.health is not None else float("inf")

    def nonce(self, index: int = 3, tag: str = "latest") -> int:
        address = KeyWallet(private_key(index)).address
        return int(self.system.client.rpc("eth_getTransactionCount", address, tag), 16)


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    with Anvil(history=None) as anvil:
        yield anvil


@pytest.fixture(scope="module")
def deployed(node: Anvil, project: Any) -> System:
    return made_on(node, project)


def made_on(node: Anvil, project: Any) -> System:
    parameters = Parameters.load(ROOT / "parameters" / "local.yaml")
    made = deploy(parameters, RpcDeployer(node.client, node.accounts[0], project.get_contract))
    register_all(node.client.registry, project.get_contract)
    return made


@pytest.fixture
def place(deployed: System, node: Anvil, tmp_path: Path) -> Iterator[Place]:
    with deployed.client.isolated():
        made = Place(deployed, node, tmp_path)
        yield made
        for keeper in made.opened:
            keeper.close()
            keeper.system.client.close()


def settle(keeper: Keeper, looks: int = 3) -> None:
    """So many looks; what each sends is mined before the next (where blocks are automatic)."""
    client = RpcClient(keeper.system.client.url)
    for _ in range(looks):
        keeper.look()
        deadline = time.monotonic() + 20
        while waiting(client, keeper) and time.monotonic() < deadline:
            time.sleep(0.01)
    client.close()


def waiting(client: RpcClient, keeper: Keeper) -> bool:
    if not client.rpc("anvil_getAutomine"):
        return False
    counts = [
        client.rpc("eth_getTransactionCount", keeper.wallet.address, tag)
        for tag in ("pending", "latest")
    ]
    return counts[0] != counts[1]


# --- ways


def test_a_keeper_with_margin_takes_over_until_the_account_is_healthy(place):
    place.open()
    keeper = place.keeper(margin="50000")
    settle(keeper)
    assert place.said.sent() == [], "nobody is in danger"
    place.move("56000")
    settle(keeper, 6)
    assert place.said.sent()[0] == "take-over"
    assert place.health() >= 1
    taken = Trader(place.system, private_key(3)).view().positions
    assert taken
    assert taken[0].size > 0


def test_a_keeper_without_margin_flags_and_deleverages_after_the_delay(place):
    place.open()
    place.move("56000")
    keeper = place.keeper()
    settle(keeper)
    assert place.said.sent() == ["flag"], "nothing more before the delay"
    place.move("56000", 601)
    settle(keeper, 4)
    assert place.said.sent() == ["flag", "deleverage"]
    assert place.health() >= 1
    reward = place.system.engine.collateral(keeper.account)
    assert reward > 0, "paid for the work"


def test_a_bankrupt_account_is_closed_out(place):
    place.open()
    place.move("50000", 600)
    keeper = place.keeper()
    settle(keeper)
    assert place.said.sent() == ["close-out"]
    view = place.alice.view()
    assert (view.positions, view.collateral) == ((), 0)


def test_signed_orders_are_used_where_they_are_good_enough(place, tmp_path):
    place.open()
    place.move("56000")
    orders = tmp_path / "orders"
    orders.mkdir()
    for name, price in (("good", 56_000), ("bad", 50_000)):
        bid = place.bob.sign_order(0, True, D("0.2"), D(price))
        bid.save(orders / f"{name}.json")
    (orders / "broken.json").write_text("{")
    keeper = place.keeper(ways={"orders": orders})
    settle(keeper, 4)
    assert place.said.sent()[0] == "orders"
    assert place.health() >= 1
    assert "broken.json is no order file" in str(place.said)
    keeper.orders.read()
    assert str(place.said).count("broken.json") == 1, "said once"


def test_the_mark_that_lags_behind_makes_a_take_over_unattractive(place):
    """Far below the mark, the discount to the mark would not pay for the fall still to come."""
    place.open(collateral="2000")
    keeper = place.keeper(margin="50000")
    place.move("49500")
    place.system.engine.poke.send(0, sender=place.admin)
    place.system.set_price(0, D(42_000), place.admin)
    settle(keeper, 1)
    view = place.alice.view()
    assert 0 < view.equity < view.maintenance_margin, "liquidatable, not bankrupt"
    assert place.said.sent() == ["flag"]


def second_account(place: Place) -> Trader:
    """Carol, with three times Alice's position."""
    carol = Trader(place.system, private_key(5))
    place.fund(carol, "3000")
    place.bob.fill(carol.sign_order(0, True, D("0.45"), D(60_000)))
    return carol


NO_BATCHES = (
    b'{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "no batches"}}',
    b"<html>Bad Request</html>",
    NodeError("HTTP status 413"),
)


@pytest.mark.parametrize("answer", NO_BATCHES, ids=("error", "page", "status"))
def test_a_provider_without_batches_is_asked_one_by_one(place, answer):
    place.open()
    carol = second_account(place)
    place.move("56000")
    keeper, refused = place.keeper(margin="50000"), []
    real = keeper.system.client._post

    def post(body: bytes, method: str) -> bytes:
        if not body.startswith(b"["):
            return real(body, method)
        refused.append(method)
        if isinstance(answer, Exception):
            raise answer
        return answer

    keeper.system.client._post = post
    settle(keeper)
    assert refused
    assert place.said.sent() == ["take-over", "take-over"]
    assert place.health() >= 1
    assert not carol.view().liquidatable


def test_the_largest_shortfall_comes_first(place):
    place.open()
    carol = second_account(place)
    place.move("56000")
    keeper = place.keeper(margin="50000")
    keeper.look()
    sent = [f["account"] for _, f in place.said if f.get("event") == "sent"]
    assert sent[:2] == [carol.number, place.alice.number]


def offers(keeper: Keeper, account: bytes, ways: Any = WAYS) -> dict[str, Any]:
    """What the keeper would offer for an account in the next block, by way."""
    keeper.config = dataclasses.replace(
        keeper.config, profit=dataclasses.replace(keeper.config.profit, subsidy_per_day=1e9)
    )
    head = Head.of(keeper.system.client.rpc("eth_getBlockByNumber", "latest", False))
    desks = keeper.watch.desks
    seen = keeper.watch.lens.snapshot(
        [account, keeper.account, *desks.accounts(2)], at=head.timestamp + 12
    )
    case = Case(
        *(seen.accounts[0], seen.markets, seen.accounts[1], Bound(), head.timestamp + 12, 0),
        config=keeper.config,
        system=keeper.system,
        keeper=keeper.account,
        desks=desks.read(seen.accounts[2:]),
    )
    return {offer.way: offer for offer in choose(case, 1e9, ways).offers}


def carry_out(keeper: Keeper, offer: Any, event: str = "Liquidated") -> Any:
    """The offer as a transaction in the next block: its event, and what gas was foreseen."""
    liquidator = keeper.system.liquidator
    receipt = liquidator[offer.function].send(*offer.arguments, sender=keeper.wallet.address)
    assert 0.5 * offer.gas < receipt.gas_used < 1.2 * offer.gas, (offer.way, receipt.gas_used)
    return receipt.one(event, liquidator.address)


def test_offers_are_what_the_contracts_do(place):
    """To the wei where no margin of the keeper's limits it: price, size, reward."""
    place.open()
    keeper = place.keeper(margin="50000", ways={"margin_reserve": 0.0, "max_inventory": 1e9})
    place.move("56000")
    with place.system.client.isolated():
        offer = offers(keeper, place.alice.number)["take-over"]
        event = carry_out(keeper, offer)
        assert offer.notional == pytest.approx(
            event.size * float(place.alice.market(0).mark_price) / 1e18, rel=1e-12
        )
        expected = (56_000 - event.price / 1e18 - 56) * event.size / 1e18
        assert offer.profit == pytest.approx(expected, rel=1e-9)
        assert event.price <= offer.arguments[4], "inside the limit"
        margin = Trader(place.system, private_key(3)).view().initial_margin
        assert offer.margin == pytest.approx(float(margin), rel=1e-6)
    flag = offers(keeper, place.alice.number)["flag"]
    assert flag.arguments == (place.alice.number,)
    place.system.liquidator.flag.send(place.alice.number, sender=place.admin)
    assert "flag" not in offers(keeper, place.alice.number), "not before the delay"
    place.move("56000", 601)
    offer = offers(keeper, place.alice.number)["deleverage"]
    event = carry_out(keeper, offer)
    assert offer.profit == pytest.approx(event.reward / 1e18, rel=1e-9), "no gas is paid here"


def test_a_take_over_is_cut_to_the_keepers_margin_and_inventory(place):
    place.open()
    place.move("56000")
    with place.system.client.isolated():
        poor = place.keeper(3, margin="120", ways={"margin_reserve": 0.0})
        offer = offers(poor, place.alice.number)["take-over"]
        assert offer.arguments[3] < 2**256 - 1
        assert 0 < offer.margin <= 120
        carry_out(poor, offer)
    small = place.keeper(4, margin="50000", ways={"max_inventory": 500.0})
    offer = offers(small, place.alice.number)["take-over"]
    assert 100 < offer.notional <= 500
    carry_out(small, offer)
    none = place.keeper(5)
    assert "take-over" not in offers(none, place.alice.number)


def test_what_does_not_pay_is_left_alone_unless_it_is_subsidised(place):
    place.open()
    place.move("50000", 600)
    gas = {"coin_price": 10.0**9, "expected_fee": 0}
    keeper = place.keeper(gas=gas, profit={"smallest_notional": 1e12})
    settle(keeper)
    assert place.said.sent() == []
    assert "close-out does not pay: it would lose" in str(place.said)
    assert keeper.metrics.uneconomic._value.get() == 1
    keeper.close()
    generous = place.keeper(gas=gas, profit={"smallest_notional": 1e12, "subsidy_per_day": 1e9})
    settle(generous)
    assert place.said.sent() == ["close-out"]


@pytest.mark.parametrize("way", ["take-over", "backstop"])
def test_what_one_look_decides_is_bounded_together(place, monkeypatch, way):
    """The subsidy, the inventory limit and the backstop's room are one for a whole batch."""
    place.open()
    keeper = place.keeper(profit={"subsidy_per_day": 10.0})
    sight = keeper.watch.poll()
    assert sight is not None
    report = keeper.watch.lens.accounts([place.alice.number])[0]
    seen: list[Any] = []
    tried: list[Any] = []

    def offered(case: Any, subsidy: float) -> Choice:
        bound = case.bound
        seen.append((subsidy, bound.margin, bound.notional[0], bool(bound.inventory)))
        offer = Offer(way, case.account, 0, "", (), 1, -4.0, 700.0, margin=50.0)
        return Choice([offer]) if subsidy >= 4 else Choice(unprofitable=[offer])

    treatment = keeper.treatment
    monkeypatch.setattr("backstop.keeper.treat.choose", offered)
    monkeypatch.setattr(treatment, "_try", lambda tries, sight, begun: tried.extend(tries))
    left = treatment._treat_some([report] * 4, sight, (), [])
    assert (len(tried), left) == (2, 2), "two losses of 4 fit into 10"
    kept = way == "backstop"
    taken = 0 if kept else 700
    assert seen == [
        (10, 0, 0, False),
        (6, 50, taken, kept),
        (2, 100, 2 * taken, kept),
        (2, 100, 2 * taken, kept),
    ]


def test_marks_are_poked_where_nobody_trades(place):
    place.open()
    keeper = place.keeper(upkeep={"poke": True, "every": 60, "gap": 0.002})
    settle(keeper, 2)
    before = place.system.engine.sideState(0)
    for price, expected in (("60100", 0), ("59000", 1)):
        told = len(place.said)
        place.move(price, 120)
        settle(keeper, 2)
        pokes = [f for _, f in place.said[told:] if f.get("way") == "poke" and f["event"] == "sent"]
        assert len(pokes) == expected, f"at {price}"
    assert place.system.engine.sideState(0) == before, "no funding was due"
    assert keeper.sender.pending == {}


# --- modes


def test_a_dry_run_sends_nothing_and_says_what_it_would(place):
    place.open()
    place.move("56000")
    keeper = place.keeper(margin="50000", dry_run=True)
    before = place.nonce()
    settle(keeper)
    assert place.nonce() == before
    assert "would send take-over" in str(place.said)
    assert not keeper.sender.journal.path.stat().st_size
    assert str(place.said).count("would send take-over") == 1, "once, not every block"


def test_once_waits_for_what_it_sent(place):
    place.open()
    place.move("56000")
    keeper = place.keeper(margin="50000")
    keeper.run_once()
    assert place.said.sent() == ["take-over"]
    assert keeper.sender.pending == {}
    assert place.health() >= 1


# --- money


def test_parameters_that_lose_money_are_refused_at_the_start(place):
    with pytest.raises(ConfigError) as caught:
        place.keeper(gas={"expected_fee": 5 * 10**9})
    text = str(caught.value)
    assert "profit.smallest_notional is '1000 tokens'" in text
    assert "ways." in text
    assert "raise profit.smallest_notional" in text
    with pytest.raises(ConfigError, match="below BTC's largest discount 1%"):
        place.keeper(profit={"exit_cost": 0.01})
    with pytest.raises(ConfigError, match=r"gas\.per_hour"):
        place.keeper(gas={"per_hour": 10})


def test_the_budget_is_kept(place):
    place.open()
    place.move("50000", 600)
    keeper = place.keeper(gas={"expected_fee": 10**7, "per_hour": 2 * 10**12})
    keeper.sender.budget.reserve(10**9, 10**12, keeper.clock(), 0.0)
    keeper.sender.gas = dataclasses.replace(keeper.sender.gas)
    keeper.sender.budget.per_hour = 10**12
    settle(keeper)
    assert place.said.sent() == []
    assert "the gas budget of the hour is used up" in str(place.said)


def base_fee(place: Place, wei: int) -> None:
    """Of the newest block and the next one."""
    for _ in range(2):
        place.system.client.rpc("anvil_setNextBlockBaseFeePerGas", hex(wei))
        place.system.client.mine()
    place.system.client.rpc("anvil_setNextBlockBaseFeePerGas", hex(wei))


def test_no_more_than_the_highest_fee_is_paid(place):
    place.open()
    place.move("50000", 600)
    keeper = place.keeper()
    try:
        base_fee(place, 10**11)
        settle(keeper, 1)
        assert place.said.sent() == []
        assert "more than gas.max_fee allows (5)" in str(place.said)
    finally:
        base_fee(place, 0)
    settle(keeper, 1)
    assert place.said.sent() == ["close-out"]


def test_without_coins_nothing_is_signed_and_it_says_how_many_are_missing(place):
    place.open()
    place.move("50000", 600)
    keeper, client = place.keeper(), place.system.client
    client.set_balance(keeper.wallet.address, 10**12)
    settle(keeper, 1)
    assert place.said.sent() == []
    text = str(place.said)
    assert f"not sent: {keeper.wallet.address} has 1e-06 coins to spare" in text
    assert "close-out needs 2.5e-05 for its gas limit: send it some" in text
    assert keeper.sender.pending == {}
    assert not keeper.sender.journal.path.stat().st_size
    client.set_balance(keeper.wallet.address, 10**18)
    client.mine()
    settle(keeper)
    assert place.said.sent() == ["close-out"]


# --- restarts


class Killed(BaseException):
    """The process ends here."""


def kill_at(keeper: Keeper, call: int) -> None:
    """The keeper's process dies at its so-many-th request from now, before or after it is sent."""
    client, real, left = keeper.system.client, keeper.system.client._post, [call]

    def post(body: bytes, method: str) -> bytes:
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        answer = real(body, method)
        if left[0] == -1:
            raise Killed
        return answer

    client._post = post  # type: ignore[method-assign]


def test_a_keeper_killed_at_any_request_never_sends_twice(place):
    """Two accounts, whose transactions are tried, written down and sent together."""
    place.open()
    carol = second_account(place)
    place.fund(Trader(place.system, private_key(3)), "50000")
    place.move("56000")
    before, finished = place.nonce(), 0
    for call in range(1, 200):
        with place.system.client.isolated():
            place.folder = place.folder.parent / f"killed{call}"
            place.said.clear()
            keeper = place.keeper()
            kill_at(keeper, call)
            try:
                settle(keeper, 3)
                finished += 1
            except Killed:
                pass
            keeper.close()
            again = place.keeper()
            settle(again, 4)
            again.close()
            assert place.nonce() == before + 2, f"killed at request {call}: {place.said}"
            assert place.health() >= 1
            assert not carol.view().liquidatable
        if finished == 2:
            break
    assert 10 < call < 199, "the loop went from the first request to beyond the last one"


def test_what_was_sent_before_a_restart_is_not_sent_again(place):
    """Automatic mining off: the first keeper's transaction still waits when the second starts."""
    place.open()
    place.fund(Trader(place.system, private_key(3)), "50000")
    place.move("56000")
    place.system.client.rpc("evm_setAutomine", False)
    first = place.keeper()
    before = place.nonce()
    first.look()
    assert place.nonce(tag="pending") == before + 1
    first.close()
    second = place.keeper()
    for _ in range(3):
        second.look()
    assert place.nonce(tag="pending") == before + 1
    place.system.client.mine()
    settle(second)
    assert place.nonce() == before + 1
    assert place.health() >= 1
    assert second.sender.pending == {}
    place.system.client.rpc("evm_setAutomine", True)


def test_two_keepers_with_one_account_are_refused(place):
    place.keeper()
    with pytest.raises(JournalError, match="another keeper uses"):
        place.keeper()


# --- stuck transactions


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def manual(place: Place) -> Iterator[Place]:
    """Blocks are mined by hand."""
    place.open()
    place.fund(Trader(place.system, private_key(3)), "50000")
    place.move("56000")
    place.system.client.rpc("evm_setAutomine", False)
    yield place
    place.system.client.rpc("evm_setAutomine", True)


def fees(keeper: Keeper) -> list[int]:
    (pending,) = keeper.sender.pending.values()
    return [attempt.max_fee for attempt in pending.attempts]


def test_a_stuck_transaction_is_sent_again_with_higher_fees_under_its_nonce(manual):
    clock, before = Clock(), manual.nonce()
    keeper = manual.keeper(clock=clock)
    keeper.look()
    keeper.look()
    assert len(fees(keeper)) == 1, "not stuck yet"
    clock.now += 61
    keeper.look()
    first, second = fees(keeper)
    assert second >= first * 1.25
    assert "is stuck: sent again" in str(manual.said)
    manual.system.client.mine()
    settle(keeper)
    assert keeper.sender.pending == {}
    assert manual.nonce() == before + 1
    assert manual.health() >= 1


def test_fees_stop_at_the_cap(manual):
    clock = Clock()
    keeper = manual.keeper(clock=clock, gas={"max_fee": 13 * 10**6, "expected_fee": 10**7})
    keeper.look()
    for _ in range(5):
        clock.now += 61
        keeper.look()
    assert max(fees(keeper)) <= 13 * 10**6
    assert str(manual.said).count("stuck at the highest fee allowed") == 1


def test_a_stuck_transaction_that_nobody_needs_any_more_gives_its_nonce_back(manual):
    clock, client, system = Clock(), manual.system.client, manual.system
    alice, before = manual.alice, manual.nonce()
    keeper = manual.keeper(clock=clock)
    keeper.look()
    # it pays too little to be mined, and meanwhile the account's owner deposits
    (pending,) = keeper.sender.pending.values()
    client.rpc("anvil_dropTransaction", pending.last.hash)
    for contract, function, arguments, sender in (
        (system.token, "mint", (alice.address, 10**9), manual.admin),
        (system.token, "approve", (system.engine.address, 10**9), alice.address),
        (system.engine, "deposit", (alice.number, 10**9), alice.address),
    ):
        data = "0x" + contract[function].encode(*arguments).hex()
        call = {"from": sender, "to": contract.address, "data": data, "gas": hex(10**6)}
        client.rpc("eth_sendTransaction", call)
    client.mine()
    assert manual.nonce() == before
    clock.now += 61
    keeper.look()
    assert pending.intent.way == "cancel"
    client.mine()
    settle(keeper)
    assert keeper.sender.pending == {}
    assert "was used up by an empty transaction" in str(manual.said)
    assert manual.nonce() == before + 1


# --- rivals


def test_two_keepers_at_once_do_no_harm_and_the_loser_says_why(manual):
    first = manual.keeper(3)
    manual.system.client.rpc("evm_setAutomine", True)
    manual.fund(Trader(manual.system, private_key(4)), "50000")
    manual.system.client.rpc("evm_setAutomine", False)
    second = manual.keeper(4)
    first.look()
    second.look()
    assert manual.said.sent() == ["take-over", "take-over"]
    manual.system.client.mine()
    settle(first, 2)
    settle(second, 2)
    assert manual.health() >= 1
    text = str(manual.said)
    assert text.count("is mined in block") == 1
    assert text.count("was refused: account") == 1
    assert "is healthy" in text
    for _ in range(3):
        manual.system.client.mine()
        settle(first, 1)
        settle(second, 1)
    assert manual.said.sent() == ["take-over", "take-over"], "nothing is tried again"


# --- reorganisations


def test_a_reorganisation_takes_a_liquidation_back_and_the_keeper_repeats_it(place):
    place.open()
    keeper = place.keeper(margin="50000")
    place.move("56000")
    before = place.nonce()
    settle(keeper, 1)
    place.system.client.mine(2)
    settle(keeper, 2)
    assert place.nonce() == before + 1
    assert place.health() >= 1
    place.system.client.rpc("anvil_reorg", 3, [])
    assert place.nonce() == before, "the liquidation is not on the chain any more"
    assert place.health() < 1
    for _ in range(4):
        keeper.look()
        place.system.client.mine()
    assert "the chain was reorganised" in str(place.said)
    assert place.nonce() == before + 1
    assert place.health() >= 1
    assert keeper.sender.pending == {}


def test_an_account_that_only_lived_in_a_lost_block_is_forgotten(place):
    place.open()
    keeper = place.keeper()
    settle(keeper, 1)
    carol = Trader(place.system, private_key(5))
    place.fund(carol, "3000")
    settle(keeper, 1)
    assert carol.number in keeper.watch.book
    place.system.client.rpc("anvil_reorg", 2, [])
    settle(keeper, 1)
    row = keeper.watch.book.ids.index(carol.number)
    assert keeper.watch.book._collateral[row] == 0


# --- nodes that go away


@pytest.fixture
def mortal(tmp_path: Path, project: Any) -> Iterator[Place]:
    """A system on a node that keeps its state in a file, always on the same port."""
    node = Anvil(history=None, extra=("--state", str(tmp_path / "chain.json")))
    with node:
        yield Place(made_on(node, project), node, tmp_path)


def restart(node: Anvil, *, forget: bool = False) -> None:
    """Stop the node and start it on its old port; with its state, or as a new chain."""
    arguments, port = node._arguments, node.port
    node.stop()
    arguments[arguments.index("--port") + 1] = str(port)
    if forget:
        del arguments[arguments.index("--state") :]
    node.start()
    if not forget:
        # Anvil's clock begins at its genesis again; a chain's never runs backwards
        node.client.set_next_timestamp(node.client.timestamp + 12)


def test_a_node_that_restarts_is_waited_for(mortal):
    mortal.open()
    keeper = mortal.keeper(margin="50000")
    settle(keeper, 1)
    runner = threading.Thread(target=keeper.run)
    runner.start()
    try:
        restart(mortal.node)
        mortal.system.client.close()
        wait_for(lambda: "the node answers again" in str(mortal.said), mortal)
        mortal.system = System(mortal.node.client, mortal.system.record, mortal.system.artifacts)
        assert mortal.system.engine.marketCount() == 2
        mortal.move("56000")
        wait_for(lambda: "is mined in block" in str(mortal.said), mortal)
    finally:
        keeper.stop.set()
        runner.join()
    assert "does not answer as it should" in str(mortal.said)
    assert "stopped; 0 transactions are under way" in str(mortal.said)
    alice = Trader(mortal.system, private_key(1)).view()
    assert not alice.liquidatable


def wait_for(condition: Callable[[], bool], place: Place) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"nothing happened: {place.said}"
        time.sleep(0.05)


def test_a_node_that_forgot_everything_is_no_reason_to_act(mortal):
    mortal.open()
    keeper = mortal.keeper(margin="50000")
    settle(keeper, 1)
    restart(mortal.node, forget=True)
    keeper.system.client.close()
    for _ in range(2):
        mortal.node.client.mine(3)
        for _ in range(2):
            with pytest.raises((NodeError, NoData)):
                keeper.look()
    assert mortal.said.sent() == []
    runner = threading.Thread(target=keeper.run)
    runner.start()
    try:
        wait_for(lambda: "does not answer as it should" in str(mortal.said), mortal)
    finally:
        keeper.stop.set()
        runner.join()
    assert "as it should: there is no authority at 0x" in str(mortal.said)


# --- disks


def fill_disk(keeper: Keeper) -> Path:
    """Every write to the journal fails as on a full disk, until the link is taken away."""
    path = keeper.sender.journal.path
    path.unlink()
    path.symlink_to("/dev/full")
    os.close(keeper.sender.journal._file)
    keeper.sender.journal._file = None
    return path


def test_with_a_full_disk_liquidating_goes_on_and_the_keeper_says_so(place):
    place.open()
    keeper = place.keeper(margin="50000")
    settle(keeper, 1)
    path = fill_disk(keeper)
    place.move("56000")
    settle(keeper, 3)
    assert place.health() >= 1
    text = str(place.said)
    assert text.count("No space left on device") == 1, "said once, not in every line"
    assert "liquidating goes on with the journal in memory" in text
    assert keeper.metrics.journal_ok._value.get() == 0
    path.unlink()
    settle(keeper, 1)
    assert keeper.metrics.journal_ok._value.get() == 1
    kinds = [json.loads(line)["kind"] for line in path.read_text().splitlines()]
    assert kinds == ["intent", "done"], "written once there is room, nothing is missing"


def test_a_keeper_starts_with_a_full_disk(place, tmp_path):
    place.open()
    place.move("50000", 600)
    keeper = place.keeper()
    path = keeper.sender.journal.path
    keeper.close()
    path.unlink()
    path.symlink_to("/dev/full")
    again = place.keeper()
    settle(again, 3)
    assert place.said.sent() == ["close-out"]
    assert "its journal in memory only" in str(place.said)


# --- the command


def command(place: Place, *arguments: str) -> subprocess.Popen[str]:
    """`ape run keeper` as a process of its own."""
    folder = place.folder / "deployments"
    place.system.record.save(folder / f"{place.system.record.chain_id}.json")
    environment = {
        **os.environ,
        "APE_FOUNDRY_HOST": place.node.url,
        "BACKSTOP_DEPLOYMENTS": str(folder),
    }
    return subprocess.Popen(
        [
            *(str(Path(sys.prefix) / "bin" / "ape"), "run", "keeper", "--account", "TEST::3"),
            *("--network", "ethereum:local:foundry", "--state", str(place.folder), *arguments),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    )


def test_the_command_liquidates_once_and_prints_json(place):
    place.open()
    place.move("50000", 600)
    process = command(place, "--once", "--json")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    events = [line.get("event") for line in lines]
    assert "started" in events
    sent = [line for line in lines if line.get("event") == "sent" and line["way"] != "poke"]
    assert [line["way"] for line in sent] == ["close-out"]
    assert sent[0]["account"] == "0x" + place.alice.number.hex()
    assert place.alice.view().positions == ()


def test_sigterm_ends_the_command_in_good_order(place):
    place.open()
    process = command(place)
    assert process.stdout is not None
    for line in process.stdout:
        if "keeping 2 markets" in line:
            break
    place.move("50000", 600)
    for line in process.stdout:
        if "close-out" in line and "is mined" in line:
            break
    process.send_signal(signal.SIGTERM)
    rest, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "stopped; 0 transactions are under way" in rest
    assert place.alice.view().positions == ()
