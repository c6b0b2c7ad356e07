"""What anybody may do for the fund: give to one of its layers, and keep its figures up to date.

Donor(system, account).give("reserve", Decimal(500))
for chore in Caretaker(system, account).upkeep():
    print(chore.says)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from backstop.chain.clients import Sent, _User
from backstop.chain.deploy import ZERO_ADDRESS
from backstop.chain.errors import Words, explain
from backstop.chain.format import account as short_account, amount as shown, percent, quantity, time
from backstop.chain.named import NamedAccounts
from backstop.chain.transport import Receipt
from backstop.chain.units import from_wad
from backstop.chain.windows import MARKET, Owed, Windows
from backstop.harness.abi import Reverted

LAYERS: Final = ("compartment", "reserve", "stakers", "backing", "premium")
"""What can be given to: layers 1 to 3b, and the budget that pays for layer 4."""

_MOST: Final = 20
"""Payments of closed fair windows that one run asks for."""


@dataclass(frozen=True)
class Given(Sent):
    """A donation, and what the layer has now (of the stakers: what is on its way to them)."""

    layer: str
    market: int | None
    amount: Decimal
    holds: Decimal


class Donor(_User):
    """Somebody who strengthens the fund; nothing is got for it, and it cannot be taken back."""

    def give(self, layer: str, amount: Decimal, market: int | None = None) -> Given:
        """Give to a layer, approving exactly that first if it has to be.

        Args:
            layer: one of `LAYERS`.
            amount: whole tokens.
            market: of a compartment.

        Raises:
            ValueError: no such layer, or a compartment without its market.
            Reverted: too few tokens, or above the cap of a compartment or of the premium budget.
        """
        if layer not in LAYERS or (layer == "compartment") != (market is not None):
            raise ValueError(f"give to one of {', '.join(LAYERS)}; a compartment has a market")
        fund, units = self.system.fund, self._units(amount, "amount")
        where = (self.system.engine.address, market) if layer == "compartment" else ()
        function = f"fund{layer.capitalize()}"
        receipt = self._pay_in(units, fund, function, *where, units)
        holds = self._assets(self._held(layer, where))
        return Given(receipt.transaction, receipt.gas_used, layer, market, amount, holds)

    def _held(self, layer: str, where: tuple[Any, ...]) -> int:
        fund = self.system.fund
        units: int
        if layer == "stakers":
            units = self.system.tranche.stream().left
        elif layer == "premium":
            units = fund.premium().budget
        else:
            units = fund[layer](*where)
        return units


@dataclass(frozen=True)
class Chore:
    """One piece of upkeep.

    Attributes:
        what: the contract's function.
        market: number, where it is done market by market.
        state: done, skipped (it does not apply), refused.
        says: what came of it, or why not, in a sentence.
        transaction: None unless done.
    """

    what: str
    market: int | None
    state: str
    says: str
    gas_used: int = 0
    transaction: str | None = None


class Caretaker(_User):
    """Brings the fund's figures and the markets' terms up to date."""

    def upkeep(self, collect_from: Decimal = Decimal(1)) -> Iterator[Chore]:
        """One chore after the other; what a contract refuses does not stop the next.

        Target first, then a fair window that is over (it leaves income) and what closed ones owe,
        then income, then the measure of the fund, then the terms that follow it.

        Args:
            collect_from: tokens; less is left to those a closed window owes it to.
        """
        markets = range(self.system.engine.marketCount())
        yield self._poke()
        yield self._close_window()
        yield from self._collect(collect_from)
        yield from (self._sweep(market) for market in markets)
        yield self._gap()
        yield self._solvency()
        yield from (self._follow(market) for market in markets)

    def _done(
        self,
        what: str,
        market: int | None,
        send: Callable[[], Receipt],
        says: Callable[[Receipt], str],
    ) -> Chore:
        try:
            receipt = send()
        except Reverted as error:
            return Chore(what, market, "refused", explain(error, Words.of(self.system)))
        return Chore(what, market, "done", says(receipt), receipt.gas_used, receipt.transaction)

    def _money(self, units: int) -> str:
        return f"{shown(self._assets(units))} {self.system.record.token_symbol}"

    def _poke(self) -> Chore:
        if "risk_oracle" not in self.system.record.contracts:
            return Chore("poke", None, "skipped", "the deployment has no risk oracle")
        oracle = self.system.risk_oracle

        def says(receipt: Receipt) -> str:
            if not (moved := receipt.find("TargetMoved", oracle.address)):
                return f"the target stays at {self._money(oracle.target())}"
            event = moved[0]
            return (
                f"the target moved to {self._money(event.target)}, on its way to"
                f" {self._money(event.wish)} ({event.freshReports} fresh reports)"
            )

        return self._done("poke", None, lambda: oracle.poke.send(sender=self.address), says)

    def _close_window(self) -> Chore:
        engine, what = self.system.engine, "closeFairWindow"
        window = engine.fairWindow()
        if not window.closesAt:
            return Chore(what, None, "skipped", "no fair window is open")
        if self.system.client.timestamp < window.closesAt:
            text = (
                f"claims of {self._money(window.claims)} wait in fair window {window.id}, which"
                f" closes at {time(window.closesAt)}"
            )
            return Chore(what, None, "skipped", text)

        def says(receipt: Receipt) -> str:
            parts = (
                f"{self._name(paid.market)} got {self._money(paid.paid)} of"
                f" {self._money(paid.claims)}"
                for paid in receipt.find("FairWindowPaid", engine.address)
            )
            return f"fair window {window.id} is closed: {', '.join(parts)}"

        return self._done(
            what, None, lambda: engine.closeFairWindow.send(sender=self.address), says
        )

    def _collect(self, least: Decimal) -> Iterator[Chore]:
        """Sides that ended first: what they get is not owed to accounts any more."""
        client, windows = self.system.client, Windows(self.system)
        last, found = windows.last_closed(), list[Owed]()
        rich = [n for n, pot in enumerate(windows.pots()) if last and from_wad(pot) >= least]
        if rich:
            yield from map(self._paid_out, windows.of_sides(rich, last))
            named = NamedAccounts(self.system).between(0, client.block_number)
            pairs = [pair for pair in windows.rates(last) if pair[1] in rich]
            found = windows.of_accounts([MARKET, *sorted(named)], pairs)
        due = [owed for owed in found if from_wad(owed.amount) >= least]
        yield from map(self._paid_out, due[:_MOST])
        if not due:
            text = f"no closed fair window owes anybody {quantity(least)} or more"
            yield Chore("collectWindow", None, "skipped", text)
        elif len(due) > _MOST:
            text = f"{len(due) - _MOST} more are owed something: run this again"
            yield Chore("collectWindow", None, "skipped", text)

    def _paid_out(self, owed: Owed) -> Chore:
        whom = "the positions of a side that ended"
        if owed.account is not None:
            whom = "the market" if owed.account == MARKET else short_account(owed.account)
        symbol = self.system.record.token_symbol
        text = (
            f"{shown(from_wad(owed.amount))} {symbol} of fair window {owed.window} in"
            f" {self._name(owed.market)} to {whom}"
        )
        function = self.system.engine[owed.function]

        def send() -> Receipt:
            receipt: Receipt = function.send(*owed.arguments, sender=self.address)
            return receipt

        return self._done(owed.function, owed.market, send, lambda _: text)

    def _sweep(self, market: int) -> Chore:
        engine, name = self.system.engine, self._name(market)
        state = engine.marketState(market)
        unit = 10 ** (18 - self.system.record.token_decimals)
        if state.fundFees < unit and not (state.fundFees and state.recordedDeficit):
            return Chore("sweepFees", market, "skipped", f"{name} has no income to hand over")

        def says(receipt: Receipt) -> str:
            event = receipt.one("FeesSwept", engine.address)
            repaid = f", {shown(from_wad(event.repaid))} of its deficit repaid"
            return (
                f"{name} handed {self._money(event.toFund)} of income over"
                f"{repaid if event.repaid else ''}"
            )

        return self._done(
            "sweepFees", market, lambda: engine.sweepFees.send(market, sender=self.address), says
        )

    def _gap(self) -> Chore:
        fund, what = self.system.fund, "noteReserveGap"
        gap, since, _ = fund.reserveGap()
        if not gap:
            return Chore(what, None, "skipped", "the reserve has what it should have")
        if since:
            return Chore(what, None, "skipped", self._owed())
        return self._done(
            what,
            None,
            lambda: fund.noteReserveGap.send(sender=self.address),
            lambda _: self._owed(),
        )

    def _owed(self) -> str:
        gap, since, due = self.system.fund.reserveGap()
        until = f"until {time(due)}" if due > since else "without a deadline (`setRefillTime`)"
        return f"the operator owes the reserve {self._money(gap)} since {time(since)}, {until}"

    def _solvency(self) -> Chore:
        fund = self.system.fund
        if fund.riskOracle() == ZERO_ADDRESS:
            return Chore("noteSolvency", None, "skipped", "nobody says what the fund should hold")

        def says(receipt: Receipt) -> str:
            event = receipt.one("SolvencyNoted", fund.address)
            ratio, lagged = from_wad(event.ratio), from_wad(event.laggedRatio)
            return f"solvency ratio {ratio:.3f}, lagged {lagged:.3f}"

        return self._done(
            "noteSolvency", None, lambda: fund.noteSolvency.send(sender=self.address), says
        )

    def _follow(self, market: int) -> Chore:
        engine, name = self.system.engine, self._name(market)
        if not engine.coverBase(market).capPpm:
            text = f"the terms of {name} do not follow the fund"
            return Chore("followFund", market, "skipped", text)

        def says(receipt: Receipt) -> str:
            event = receipt.one("FundFollowed", engine.address)
            return (
                f"terms of {name}: surcharge {percent(event.surchargePpm)}, fund's share of fees"
                f" {percent(event.fundSharePpm)}, initial margin {percent(event.initialMarginPpm)}"
            )

        return self._done(
            "followFund", market, lambda: engine.followFund.send(market, sender=self.address), says
        )


def donation(given: Given, symbol: str, name: str) -> str:
    """A donation in a sentence; `name` is that of the layer."""
    has = "on its way" if given.layer == "stakers" else "in it"
    return f"gave {quantity(given.amount)} {symbol} to {name}: {shown(given.holds)} {has} now"
