"""The stakers of the fund: what they have, and what they can do.

    staker = Staker(system, account)
    staker.stake(Decimal(600))
    asked = staker.unstake(Decimal(300))      # leaves a week and a cooldown later
    staker.claim()

`docs/staking.md` says how it works; amounts are whole tokens, shares whole shares.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from backstop.chain.clients import NothingToDo, Sent, _User
from backstop.chain.format import amount as shown, quantity, time
from backstop.chain.fund_parts import StakePool, read_buckets, read_pool, share_decimals
from backstop.chain.units import from_units
from backstop.chain.views import Reader
from backstop.harness.abi import address_of


@dataclass(frozen=True)
class RequestView:
    """Stake that somebody has asked back.

    Attributes:
        request: its number, also that of its bucket.
        shares: of the bucket, in its own units.
        assets: what they are worth now, rounded down; fixed once it is claimable.
        maturity: when it matures if nothing holds it back.
        claimable_at: the same as things are now; an open shortfall may still delay it.
        claimable: whether it can be claimed now.
    """

    request: int
    shares: int
    assets: Decimal
    maturity: int
    claimable_at: int
    claimable: bool


@dataclass(frozen=True)
class StakeView:
    """A staker's balance sheet: whole shares, what they are worth now (rounded down), requests."""

    holder: str
    shares: Decimal
    value: Decimal
    wallet: Decimal
    requests: tuple[RequestView, ...]


@dataclass(frozen=True)
class Staked(Sent):
    """Tokens that came in, the shares for them, and the series these belong to."""

    amount: Decimal
    shares: Decimal
    series: int


@dataclass(frozen=True)
class Asked(Sent):
    """Shares that were given up for a request, which may hold earlier ones of the same epoch."""

    shares: Decimal
    request: RequestView


@dataclass(frozen=True)
class Claimed(Sent):
    """What a request paid."""

    request: int
    amount: Decimal


class StakeReader(Reader):
    """Reads layer 3."""

    def pool(self) -> StakePool:
        """Layer 3 as a whole."""
        return read_pool(self.system)

    def stake(self, holder: object) -> StakeView:
        """What somebody has staked and asked back; one call for every bucket there ever was."""
        tranche, address = self.system.tranche, address_of(holder)
        shares = tranche.balanceOf(address)
        _, last = tranche.openBuckets()
        found = (self.request(number, address) for number in range(1, last + 1))
        return StakeView(
            address,
            from_units(shares, share_decimals(self.system)),
            self._assets(tranche.convertToAssets(shares)),
            self.balance(address),
            tuple(request for request in found if request),
        )

    def request(self, number: int, holder: str) -> RequestView | None:
        """One request; None if there is none of this holder."""
        tranche = self.system.tranche
        claimable = tranche.claimableRedeemRequest(number, holder)
        shares = claimable or tranche.pendingRedeemRequest(number, holder)
        if not shares:
            return None
        state, _ = tranche.bucket(number)
        (bucket,) = read_buckets(self.system, [number])
        return RequestView(
            number,
            shares,
            self._assets(shares * state.assets // state.shares),
            bucket.maturity,
            bucket.claimable_at,
            bool(claimable),
        )


class Staker(_User):
    """Somebody who underwrites the fund."""

    def view(self) -> StakeView:
        """The staker's balance sheet."""
        return StakeReader(self.system).stake(self.address)

    def stake(self, amount: Decimal) -> Staked:
        """Bring tokens in, approving exactly that first if it has to be.

        Raises:
            NothingToDo: staking is not open.
            Reverted: too few tokens, more than there is room for, worth no share.
        """
        tranche, units = self.system.tranche, self._units(amount, "stake")
        if not tranche.terms().cap:
            raise NothingToDo(
                "staking is not open: its cap is 0 (fund.staking in docs/parameters.md, or"
                " `setTerms`)"
            )
        receipt = self._pay_in(units, tranche, "deposit", units, self.address)
        event = receipt.one("Deposit", tranche.address)
        shares = from_units(event.shares, share_decimals(self.system))
        return Staked(receipt.transaction, receipt.gas_used, amount, shares, int(tranche.series()))

    def unstake(self, amount: Decimal | None = None) -> Asked:
        """Ask stake worth so many tokens back (rounded up to a share); without an amount, all.

        It cannot be taken back: from now on it earns nothing, and it bears losses until it matures.

        Raises:
            NothingToDo: nothing is staked, or less than that.
        """
        tranche = self.system.tranche
        held = tranche.balanceOf(self.address)
        if not held:
            raise NothingToDo(
                f"{self.address} has no active stake: `ape run stake` brings some in, `ape run"
                f" stakes {self.address}` shows requests"
            )
        shares = held if amount is None else self._shares(amount, held)
        receipt = tranche.requestRedeem.send(
            shares, self.address, self.address, sender=self.address
        )
        event = receipt.one("RedeemRequest", tranche.address)
        request = StakeReader(self.system).request(event.requestId, self.address)
        assert request is not None
        burnt = from_units(event.shares, share_decimals(self.system))
        return Asked(receipt.transaction, receipt.gas_used, burnt, request)

    def _shares(self, amount: Decimal, held: int) -> int:
        tranche, units = self.system.tranche, self._units(amount, "amount")
        value = tranche.convertToAssets(held)
        if units > value:
            symbol = self.system.record.token_symbol
            raise NothingToDo(
                f"the stake of {self.address} is worth {quantity(self._assets(value))} {symbol},"
                f" less than {quantity(amount)}: ask for less, or for `all`"
            )
        shares: int = tranche.convertToShares(units)
        if tranche.convertToAssets(shares) < units:
            shares += 1
        return min(shares, held)

    def claim(self, number: int | None = None) -> tuple[Claimed, ...]:
        """Take what has matured: one request, or all of them, a transaction each.

        Raises:
            NothingToDo: nothing can be claimed; the message says from when on.
        """
        tranche, requests = self.system.tranche, self.view().requests
        wanted = [r for r in requests if number in (None, r.request)]
        if not wanted:
            raise NothingToDo(self._nothing(number, requests))
        ready = [r for r in wanted if r.claimable]
        if not ready:
            raise NothingToDo("; ".join(self.pending(r) for r in wanted))
        claimed = []
        for request in ready:
            receipt = tranche.claim.send(
                request.request, self.address, self.address, sender=self.address
            )
            paid = self._assets(receipt.one("Withdraw", tranche.address).assets)
            claimed.append(Claimed(receipt.transaction, receipt.gas_used, request.request, paid))
        return tuple(claimed)

    def pending(self, request: RequestView) -> str:
        """When a request that is not matured can be claimed, in a sentence."""
        symbol = self.system.record.token_symbol
        held = request.claimable_at > request.maturity
        why = ", held back while a shortfall is open," if held else ""
        return (
            f"request {request.request} of {shown(request.assets)} {symbol} can be claimed from"
            f" {time(request.claimable_at)} on{why} and bears losses until then"
        )

    def _nothing(self, number: int | None, requests: tuple[RequestView, ...]) -> str:
        if requests:
            listed = ", ".join(str(r.request) for r in requests)
            return f"{self.address} has no request {number}: it has {listed}"
        which = "no request" if number is None else f"no request {number}"
        return f"{self.address} has {which} to claim: `ape run unstake` makes one"
