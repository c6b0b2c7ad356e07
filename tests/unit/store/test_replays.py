"""Positions and the fund's layers replayed from events, by hand."""

from __future__ import annotations

from eth_abi.abi import encode
from eth_utils import to_checksum_address

from backstop.report.numbers import concentration, gini_ppm, ppm, quantile, spread
from backstop.store import StoredEvent
from backstop.store.ledger import FundLedger
from backstop.store.positions import WAD, PositionBook

CLAIMANT = to_checksum_address("0x" + "ab" * 20)
A, B, C, D = (f"0x{digit * 64}" for digit in "abcd")


class Chain:
    """Numbers the events that it makes."""

    def __init__(self, *listeners):
        self.listeners, self.block = listeners, 0

    def event(self, contract, name, **args):
        self.block += 1
        event = StoredEvent(self.block, 0, 0, f"0x{self.block:x}", 0, contract, name, args)
        for listener in self.listeners:
            listener.apply(event)

    def trade(self, buyer, seller, base):
        self.event(
            "engine",
            "Traded",
            market=0,
            maker=buyer,
            taker=seller,
            makerIsBuyer=True,
            base=base * WAD,
            fillPrice=100 * WAD,
        )

    def tear_up(self, account, size, price=100):
        change = {"account": account, "market": 0, "baseChange": size * WAD, "realised": 0}
        self.event("engine", "PositionChanged", quoteChange=0, **change)
        self.event(
            "engine",
            "Deleveraged",
            account=account,
            market=0,
            size=size * WAD,
            markPrice=price * WAD,
            opposite=abs(size) * WAD,
        )


def test_a_tear_up_takes_the_same_part_of_every_position():
    book = PositionBook()
    chain = Chain(book)
    chain.trade(A, C, 30)
    chain.trade(B, C, 10)  # longs A 30, B 10; short C 40
    chain.tear_up(C, 8, price=50)  # C's short shrinks by 8: a fifth of the longs goes
    assert [book.size(who, 0) for who in (A, B, C)] == [24 * WAD, 8 * WAD, -32 * WAD]
    assert book.open_interest(0, True) == book.open_interest(0, False) == 32 * WAD
    book.settle()
    assert book.torn_up == {A: 300 * WAD, B: 100 * WAD, C: 0}


def test_charges_follow_the_sizes_of_their_moment():
    book = PositionBook()
    chain = Chain(book)
    chain.trade(A, C, 30)
    chain.trade(B, C, 10)
    chain.event("engine", "SideCharged", market=0, longs=True, amount=40 * WAD)
    chain.trade(D, A, 30)  # A's position goes to D, what it was charged stays with A
    chain.event("engine", "SideCharged", market=0, longs=True, amount=8 * WAD)
    book.settle()
    assert {who: book.charged[who] for who in (A, B, C, D)} == {
        A: 30 * WAD,
        B: 12 * WAD,
        C: 0,
        D: 6 * WAD,
    }


def test_an_emptied_side_is_shared_out_before_it_ends():
    book = PositionBook()
    chain = Chain(book)
    chain.trade(A, C, 3)
    chain.trade(B, C, 1)
    chain.event("engine", "SideEnded", market=0, longs=True, epoch=1)  # told before its tear-up
    chain.tear_up(C, 4)
    assert [book.size(who, 0) for who in (A, B, C)] == [0, 0, 0]
    assert book.open_interest(0, True) == 0 and book.holders(0, True) == {}
    assert book.torn_up == {A: 300 * WAD, B: 100 * WAD, C: 0}
    chain.trade(A, B, 5)
    assert book.size(A, 0) == 5 * WAD and book.size(B, 0) == -5 * WAD


def test_a_position_turns_over():
    book = PositionBook()
    chain = Chain(book)
    chain.trade(A, B, 5)
    chain.trade(B, A, 8)
    assert (book.size(A, 0), book.size(B, 0)) == (-3 * WAD, 3 * WAD)
    assert book.holders(0, True) == {B: 3 * WAD} and book.holders(0, False) == {A: 3 * WAD}


def test_the_funds_layers_by_hand():
    ledger = FundLedger()
    chain = Chain(ledger)
    chain.event("fund", "CompartmentFunded", claimant=A, market=1, assets=100, **{"from": B})
    chain.event("fund", "ReserveFunded", assets=50, **{"from": B})
    chain.event("tranche", "Deposit", sender=B, owner=B, assets=70, shares=7)
    chain.event("fund", "IncomeReceived", claimant=A, market=1, toCompartment=5, toReserve=2)
    chain.event("fund", "StakerIncome", claimant=A, market=1, assets=3)
    assert (ledger.compartments[A, 1], ledger.reserve, ledger.stake) == (105, 52, 73)
    ledger.open_period()
    legs = {"compartment": 100, "reserve": 20, "staked": 10, "reinsurance": 9}
    chain.event(
        "fund", "Covered", eventId=1, claimant=A, market=1, account=C, claimed=150, legs=legs
    )
    chain.event("fund", "KeeperRewardPaid", eventId=1, claimant=A, market=1, assets=8)
    # the compartment had 5 left of the reward of 8
    assert (ledger.compartments[A, 1], ledger.reserve, ledger.stake) == (0, 29, 63)
    assert ledger.flows["reserve", "rewards"] == -3 and ledger.flows["stake", "deficits"] == -10
    assert ledger.flows["reserve", "funded"] == 0  # before the period
    chain.event("tranche", "SeriesEnded", series=0, rest=4)
    chain.event("tranche", "Withdraw", assets=50)
    chain.event("fund", "PremiumFunded", assets=30, **{"from": B})
    chain.event("fund", "PremiumTermsSet", share=0, cap=10, toReserve=20)
    assert (ledger.reserve, ledger.stake, ledger.premium) == (53, 9, 10)
    assert ledger.total == 72 and not ledger.unknown


def test_the_second_slice_and_a_released_surplus():
    ledger = FundLedger()
    chain = Chain(ledger)
    chain.event("fund", "BackingFunded", assets=40, **{"from": B})
    chain.event("fund", "ReserveFunded", assets=50, **{"from": B})
    legs = {"compartment": 0, "reserve": 5, "staked": 0, "backing": 15, "reinsurance": 0}
    chain.event(
        "fund", "Covered", eventId=1, claimant=A, market=1, account=C, claimed=20, legs=legs
    )
    chain.event("fund", "BackingReleased", to=B, assets=10)
    chain.event("fund", "ReserveReleased", to=B, assets=20, toStakers=6)
    assert (ledger.reserve, ledger.backing, ledger.stake) == (25, 15, 6)
    assert ledger.flows["reserve", "released"] == -14 and ledger.flows["stake", "surplus"] == 6
    assert ledger.total == 46 and not ledger.unknown


def test_recoveries_repay_in_reverse_order_by_hand():
    """The example of docs/fund.md, with 6 of reinsurance and room for 2 in the premium budget."""
    ledger = FundLedger()
    chain = Chain(ledger)
    chain.event("fund", "PremiumTermsSet", share=0, cap=2, toReserve=0)
    legs = [(20, 30, 20, 0, 0), (5, 0, 20, 10, 6)]
    receipt = encode(
        [
            "(uint256,address,uint256[],(uint256,uint256,uint256,uint256,uint256)[],"
            "(uint256,uint256,uint256,uint256,uint256,uint256[],uint256[]))"
        ],
        [(7, CLAIMANT, [1, 2], legs, (1, 0, 100, 40, 1, [], []))],
    )
    chain.event("fund", "ReceiptRecorded", eventId=7, receipt="0x" + receipt.hex())
    for assets, recovered, layers in (
        (6, 6, (2, 0, 0, 4, 0, 0)),
        (14, 20, (2, 10, 4, 4, 0, 0)),
        (69, 89, (2, 10, 40, 34, 3, 0)),
        (22, 111, (2, 10, 40, 34, 20, 5)),
    ):
        chain.event("fund", "Recovered", eventId=7, assets=assets, recovered=recovered)
        one, two = (ledger.compartments[CLAIMANT, market] for market in (1, 2))
        assert (
            *(ledger.premium, ledger.backing, ledger.stake, ledger.reserve, one, two),
        ) == layers
    chain.event("tranche", "RecoveryCollected", holder=B, era=1, part=0, assets=39)
    assert ledger.stake == 1 and not ledger.unknown


def test_capital_of_the_inventory():
    ledger = FundLedger()
    chain = Chain(ledger)
    chain.event("fund", "CompartmentFunded", claimant=A, market=1, assets=50, **{"from": B})
    chain.event("fund", "ReserveFunded", assets=50, **{"from": B})
    chain.event("fund", "CapitalDeployed", claimant=A, market=1, fromCompartment=50, fromReserve=20)
    assert (ledger.compartments[A, 1], ledger.reserve) == (0, 30)
    chain.event(
        "fund", "CapitalReturned", claimant=A, market=1, toReserve=20, toCompartment=15, profit=0
    )
    chain.event(
        "fund", "CapitalWrittenOff", claimant=A, market=1, fromCompartment=35, fromReserve=0
    )
    assert (ledger.compartments[A, 1], ledger.reserve) == (15, 50)
    assert ledger.flows["compartment", "deployed"] == -35 and not ledger.unknown


def test_an_event_the_ledger_does_not_know_is_counted():
    ledger = FundLedger()
    chain = Chain(ledger)
    chain.event("fund", "SomethingNew", assets=1)
    chain.event("engine", "Deposited", assets=1)
    assert ledger.unknown == {"SomethingNew": 1}


def test_statistics_are_exact():
    assert gini_ppm([5, 5, 5]) == 0 and gini_ppm([0, 0, 9]) == 666_666 and gini_ppm([]) is None
    assert gini_ppm([1, 2, 3, 4]) == 250_000
    assert [quantile(range(1, 11), q) for q in (1, 50, 90, 99, 100)] == [1, 5, 9, 10, 10]
    assert spread([7])["median"] == 7 and spread([])["max"] is None
    assert ppm(1, 3) == 333_333 and ppm(1, 0) is None
    found = concentration({"a": 6, "b": 3, "c": 1, "d": 0, "e": -5})
    assert (found["holders"], found["total"], found["maxSharePpm"]) == (3, 10, 600_000)
    assert [row["who"] for row in found["largest"]] == ["a", "b", "c"]
