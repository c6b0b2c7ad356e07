"""Layer 4 as users see it: the series of a deployment's crash put, and what they can do with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from backstop.chain.clients import Governance, Moved, Sent, _User
from backstop.chain.units import from_units, from_wad, scaled
from backstop.chain.views import Reader
from backstop.harness.abi import Reverted
from backstop.model.crash_put import Terms
from backstop.model.errors import ModelError

STATES: Final = ("none", "writing", "waiting", "active", "expired", "settled", "cancelled")
"""A series' state, by the contract's number."""


@dataclass(frozen=True)
class SeriesTerms:
    """What a series promises and costs: prices in quote per base, whole tokens, times in seconds.

    `ICrashPut.Terms` says what each means.
    """

    market: int
    strike: Decimal
    floor: Decimal
    start_price: Decimal
    size: Decimal
    premium_ppm: int
    write_until: int
    expiry: int


@dataclass(frozen=True)
class SeriesView:
    """A series now.

    Attributes:
        notional: base units that the collateral stands for.
        value: at the index price; None without one.
        left: the most it can still pay.
    """

    number: int
    name: str
    claimant: str
    state: str
    terms: SeriesTerms
    notional: Decimal
    written: Decimal
    premium: Decimal
    paid: Decimal
    value: Decimal | None
    left: Decimal


@dataclass(frozen=True)
class PositionView:
    """An underwriter's part of a series, whole tokens."""

    series: int
    written: Decimal
    withdrawable: Decimal


@dataclass(frozen=True)
class CoverView:
    """All of layer 4: the series and the fund's budget for premiums."""

    in_use: bool
    budget: Decimal
    budget_cap: Decimal
    share_ppm: int
    owed_to_fund: Decimal
    series: tuple[SeriesView, ...]


class PutView(Reader):
    """Reads the crash put; DeploymentError if the deployment has none."""

    def cover(self) -> CoverView:
        """Every series, the newest first, and the budget."""
        put, fund = self.system.crash_put, self.system.fund
        premium = fund.premium()
        return CoverView(
            in_use=fund.reinsurer() == put.address,
            budget=self._assets(premium.budget),
            budget_cap=self._assets(premium.cap),
            share_ppm=premium.share,
            owed_to_fund=self._assets(put.owedToFund()),
            series=tuple(self.series(number) for number in range(put.seriesCount(), 0, -1)),
        )

    def series(self, number: int) -> SeriesView:
        """One series."""
        put = self.system.crash_put
        t, s = put.termsOf(number), put.statusOf(number)
        price, _, _ = self.system.oracle.read(t.market, 0)
        running = STATES[s.state] in ("active", "expired")
        return SeriesView(
            number=number,
            name=self._name(t.market),
            claimant=t.claimant,
            state=STATES[s.state],
            terms=SeriesTerms(
                market=t.market,
                strike=from_wad(t.strike),
                floor=from_wad(t.floor),
                start_price=from_wad(t.startPrice),
                size=self._assets(t.size),
                premium_ppm=t.premiumRate,
                write_until=t.writeUntil,
                expiry=t.expiry,
            ),
            notional=from_wad(s.notional),
            written=self._assets(s.written),
            premium=self._assets(s.premium),
            paid=self._assets(s.paid),
            value=self._assets(put.intrinsicValue(number, price)) if price else None,
            left=self._assets(s.written - s.paid) if running else Decimal(0),
        )

    def position(self, number: int, owner: str) -> PositionView:
        """What somebody has in a series."""
        written, withdrawable = self.system.crash_put.position(number, owner)
        return PositionView(number, self._assets(written), self._assets(withdrawable))


class Underwriter(_User):
    """Somebody who writes puts, or moves a series on (which anybody may)."""

    def write(self, number: int, amount: Decimal) -> Moved:
        """Add collateral, after approving exactly that where it is needed."""
        units = self._units(amount, "collateral")
        receipt = self._pay_in(units, self.system.crash_put, "write", number, units)
        return Moved(receipt.transaction, receipt.gas_used, amount)

    def activate(self, number: int) -> Moved:
        """Start the cover; the amount is the premium that the fund paid."""
        receipt = self.system.crash_put.activate.send(number, sender=self.address)
        premium = receipt.one("Activated", self.system.crash_put.address).premium
        return Moved(receipt.transaction, receipt.gas_used, self._money(premium))

    def settle(self, number: int) -> Moved:
        """End an expired series; the amount is what goes to the fund's reserve."""
        receipt = self.system.crash_put.settle.send(number, sender=self.address)
        rest = receipt.one("Settled", self.system.crash_put.address).toFund
        return Moved(receipt.transaction, receipt.gas_used, self._money(rest))

    def withdraw(self, number: int) -> Moved:
        """Take one's part of a settled or cancelled series."""
        receipt = self.system.crash_put.withdraw.send(number, sender=self.address)
        assets = receipt.one("Withdrawn", self.system.crash_put.address).assets
        return Moved(receipt.transaction, receipt.gas_used, self._money(assets))

    def _money(self, units: int) -> Decimal:
        return from_units(units, self.system.record.token_decimals)


class SeriesDesk(Governance):
    """Who may open series: at once without a delay of the role, else announced and then opened."""

    def arguments(self, terms: SeriesTerms) -> Sequence[Any]:
        """The terms in the contract's integers."""
        return (
            {
                "claimant": self.system.engine.address,
                "market": terms.market,
                "strike": scaled(terms.strike, 18),
                "floor": scaled(terms.floor, 18),
                "startPrice": scaled(terms.start_price, 18),
                "size": self._units(terms.size, "size"),
                "premiumRate": terms.premium_ppm,
                "writeUntil": terms.write_until,
                "expiry": terms.expiry,
            },
        )

    def open(self, terms: SeriesTerms) -> tuple[int, int, Sent]:
        """Announce a series, or open it where that was done and the delay is over.

        Returns:
            its number and 0; or 0 and the time from which it can be opened; and the transaction.

        Raises:
            Reverted: the terms are not allowed (tried before anything is announced), or the caller
                may not open series.
        """
        call = ("crash_put", "open", *self.arguments(terms))
        delay = self.delay(*call)
        put = self.system.crash_put
        if delay == 0:
            receipt = put.open.send(*call[2:], sender=self.address)
            return int(put.seriesCount()), 0, Sent.of(receipt)
        if delay is not None and self.ready_at(*call) == 0:
            self._check(terms)
            scheduled = self.schedule(*call)
            return 0, scheduled.ready_at, scheduled
        sent = self.execute(*call)
        return int(put.seriesCount()), 0, sent

    def _check(self, terms: SeriesTerms) -> None:
        """What would be refused when the delay is over is refused now."""
        values = self.arguments(terms)[0]
        try:
            Terms(*values.values()).check(self.system.client.timestamp)
        except ModelError as error:
            raise Reverted(error.name, {"field": error.args[0]}) from None
