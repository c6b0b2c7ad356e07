"""The waterfall told in sentences: each thing is told when it happens for the first time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from backstop.harness.demo.play import Row
from backstop.harness.demo.stakers import ASKS, JOINS, StakerAct
from backstop.harness.demo.tally import CENT, Shortfall


@dataclass
class Story:
    """Watches steps and close-outs and says what is new.

    Attributes:
        names: of the markets.
        symbol: of the token.
        decimals: of the token.
    """

    names: Sequence[str]
    symbol: str
    decimals: int = 6
    _told: set[str] = field(default_factory=set)
    _last: Row | None = None

    def _once(self, key: str, sentence: str) -> list[str]:
        if key in self._told:
            return []
        self._told.add(key)
        return [sentence]

    def _amount(self, wad: int) -> str:
        return f"{wad / 1e18:,.2f} {self.symbol}"

    def shortfall(self, s: Shortfall) -> list[str]:
        """What is new about a close-out."""
        said = []
        deficit, legs = self._amount(s.deficit), s.legs
        if s.fully_covered:
            said += self._once(
                "covered",
                f"layers 1-2: {s.name} is bankrupt, its last {deficit} are missing; the fund pays"
                " all of it and nobody else notices",
            )
        if legs["reserve"] > CENT:
            said += self._once(
                "reserve",
                f"layer 2: the market's own compartment does not suffice for {s.name}; the"
                f" operator's reserve adds {self._amount(legs['reserve'])}",
            )
        if legs["staked"] > CENT:
            said += self._once(
                "staked",
                f"layer 3: the reserve is empty; the stakers bear {self._amount(legs['staked'])} of"
                f" {s.name}'s deficit, those who stay and those who wait for the exit alike, in"
                " proportion",
            )
        if s.how == "torn up" and s.closed and legs["side"] <= CENT:
            said += self._once(
                "torn",
                f"{s.name}'s positions are torn up at the mark against the opposite side, in one"
                " transaction whatever the number of counterparties",
            )
        if s.how == "taken":
            said += self._once("taken", f"a keeper takes {s.name}'s positions over at the mark")
        if legs["side"] > CENT:
            said += self._once(
                "side",
                f"layer 5: the fund is empty or at its limit; {self._amount(legs['side'])} of"
                f" {s.name}'s deficit are charged to the opposite side, by size",
            )
        if legs["recorded"] > CENT:
            said += self._once(
                "recorded",
                f"layer 6: the opposite side bears no more; {self._amount(legs['recorded'])} of"
                f" {s.name}'s deficit are recorded, and repaid first by later income",
            )
        return said

    def staker(self, act: StakerAct) -> list[str]:
        """What a staker did: each is told."""
        amount = self._amount(act.assets * 10 ** (18 - self.decimals))
        if act.kind == JOINS:
            late = f", after {act.losses} losses that are not its own" if act.losses else ""
            return [f"stakers: {act.name} stakes {amount}{late}"]
        if act.kind == ASKS:
            day = datetime.fromtimestamp(act.maturity, UTC)
            return [
                f"stakers: {act.name} asks for {amount} back: it matures on {day.day} {day:%B},"
                " earns nothing and bears losses until then"
            ]
        day = datetime.fromtimestamp(act.time, UTC)
        return [f"stakers: {act.name} claims request {act.request} on {day.day} {day:%B}: {amount}"]

    def step(self, row: Row) -> list[str]:
        """What is new about a step."""
        said, last = [], self._last
        if row.taken_over or row.by_orders:
            said += self._once(
                "liquidation",
                "layer 0: the first accounts are below maintenance margin; keepers close as much of"
                " their positions as restores it, and the surcharges go to the fund",
            )
        if row.deleveraged:
            said += self._once(
                "adl",
                "nobody took a solvent account's position in time: it is deleveraged against the"
                " opposite side at the mark",
            )
        if last is not None:
            for name, now, before in zip(
                self.names, row.compartments, last.compartments, strict=True
            ):
                if before > 0 >= now:
                    said += self._once(f"empty {name}", f"the {name} compartment is exhausted")
            if last.reserve > 0 >= row.reserve:
                said += self._once("no reserve", "the operator's reserve is exhausted")
            if last.staked > 0 >= row.staked:
                said += self._once("no stake", "layer 3: the stake is lost, all of it")
            if last.recorded > 0 >= row.recorded:
                said += self._once("repaid", "layer 6: the recorded deficits are repaid")
        self._last = row
        return said
