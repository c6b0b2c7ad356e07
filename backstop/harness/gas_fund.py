"""Gas of the fund's own operations: stake, requests, claims, covers layer by layer.

Part of `make bench-gas`. A cover is measured as a transaction of a claimant that calls the fund
itself, its second one, so that every word is in use; what a layer adds is the difference of two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from backstop.harness.bench import Bench

if TYPE_CHECKING:
    from backstop.harness.gas import GasBench

UNIT = 10**6
DAY = 86_400
WEEK = 7 * DAY
CLAIMANT, STAKER, SECOND = 9, 10, 11
MARKET = 1
PLENTY = 10**15
ACCOUNT = b"\x11" * 32


class FundGas:
    """The rows of the fund and its staked capital."""

    def __init__(self, gas: GasBench) -> None:
        self.gas = gas
        self.bench: Bench = gas.bench
        self.fund = self.bench.system.fund
        self.tranche = self.bench.system.tranche

    def run(self) -> None:
        """All of them; the chain is left as it was."""
        for part in (self.staking, self.streaming, self.covers, self.losses):
            with self.gas.undone():
                self.prepare()
                part()

    def prepare(self) -> None:
        """A claimant without a compartment, two holders of tokens and of some stake."""
        b = self.bench
        claimant = b.users[CLAIMANT]
        self.fund.setClaimant(claimant, (PLENTY, PLENTY, DAY), sender=b.owner)
        self.fund.setClaimantMarket(claimant, MARKET, (PLENTY, PLENTY), sender=b.owner)
        self.tranche.setTerms(PLENTY, 14 * DAY, sender=b.owner)
        for user in (CLAIMANT, STAKER, SECOND):
            who = b.users[user]
            b.system.token.mint(who, 10**6 * UNIT, sender=who)
            for contract in (self.fund, self.tranche):
                b.system.token.approve(contract.address, 2**255, sender=who)
        self.next_epoch()
        self.stake(SECOND, 1_000)

    def next_epoch(self) -> None:
        """The first moment of an epoch in which nobody has asked for anything."""
        rpc = self.bench.rpc
        rpc.warp(WEEK - rpc.timestamp % WEEK)

    def stake(self, user: int, tokens: int) -> int:
        """Gas of a stake."""
        who = self.bench.users[user]
        return int(self.tranche.deposit(tokens * UNIT, who, sender=who).gas_used)

    def request(self, user: int, tokens: int) -> int:
        """Gas of a request for so many tokens' shares."""
        who = self.bench.users[user]
        shares = tokens * UNIT * 1_000
        return int(self.tranche.requestRedeem(shares, who, who, sender=who).gas_used)

    def claim(self, user: int, request: int) -> int:
        """Gas of a claim of all of a request."""
        who = self.bench.users[user]
        return int(self.tranche.claim(request, who, who, sender=who).gas_used)

    def cover(self, tokens: int) -> Any:
        """The receipt of a cover of one claim."""
        claims = [(MARKET, tokens * UNIT)]
        return self.fund.cover(ACCOUNT, claims, 0, sender=self.bench.users[CLAIMANT])

    def staking(self) -> None:
        """In, out and paid, without a loss."""
        add = self.gas.add
        add("stake, first", self.stake(STAKER, 1_000), "107", 69, 88)
        add("stake, repeat", self.stake(STAKER, 1_000), "90", 51, 70)
        add("request to leave, first of an epoch", self.request(SECOND, 100))
        add("request to leave", self.request(STAKER, 100), "58", 29, 50)
        self.bench.rpc.warp(30 * DAY)
        add("claim of a matured request", self.claim(STAKER, 1), "86", 50, 70)

    def streaming(self) -> None:
        """The same while income is on its way: one word more."""
        self.stake(STAKER, 1_000)
        self.fund.fundStakers(70 * UNIT, sender=self.bench.users[CLAIMANT])
        self.bench.rpc.warp(DAY)
        add = self.gas.add
        add("stake, repeat, income streaming", self.stake(STAKER, 1_000), "111", None, None)
        self.request(SECOND, 100)
        add("request to leave, income streaming", self.request(STAKER, 100))

    def covers(self) -> None:
        """Compartment, both first layers: what every bankruptcy asks."""
        add = self.gas.add
        claimant = self.bench.users[CLAIMANT]
        self.fund.fundCompartment(claimant, MARKET, 1_000 * UNIT, sender=claimant)
        self.cover(1)
        add("cover, compartment pays", self.paid(1, "compartment"))
        rest = self.fund.compartment(claimant, MARKET) // UNIT - 1
        self.cover(rest)
        self.cover(2)  # the last of the compartment and the first of the reserve: words in use
        self.fund.fundCompartment(claimant, MARKET, 2 * UNIT, sender=claimant)
        receipt = self.cover(5)
        legs = receipt.one("Covered").legs
        assert (legs.compartment, legs.reserve) == (2 * UNIT, 3 * UNIT), legs
        add("cover, compartment and reserve pay", int(receipt.gas_used))
        add("cover, reserve pays", self.paid(5, "reserve"))

    def losses(self) -> None:
        """The stake pays, with no exit open and with three."""
        reserve = self.fund.reserve() // UNIT
        self.cover(1)
        out_of_reserve = self.paid(5, "reserve")
        self.cover(reserve - 6)
        self.stake(STAKER, 10_000)
        no_exit = self.measured(lambda: self.paid(5, "staked"))
        for _ in range(3):
            self.next_epoch()
            self.request(STAKER, 100)
        first, last = self.tranche.openBuckets()
        assert last - first == 2, (first, last)
        three = self.paid(5, "staked")
        add = self.gas.add
        add("cover, stake pays, no exit open", no_exit)
        add("cover, stake pays, 3 exits open", three)
        add("of that, the stake's part", three - out_of_reserve, "168", 44, 75)

    def measured(self, measure: Callable[[], int]) -> int:
        """What `measure` says, taken back."""
        with self.gas.undone():
            return measure()

    def paid(self, tokens: int, leg: str) -> int:
        """Gas of a cover that this layer alone pays."""
        receipt = self.cover(tokens)
        legs = receipt.one("Covered").legs
        assert getattr(legs, leg) == sum(legs) == tokens * UNIT, legs
        return int(receipt.gas_used)
