"""Layer 3 as the contracts show it: the pool, its buckets, and what every staker can claim."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from backstop.harness.batch import View
from backstop.harness.rpc import Contract
from backstop.model.staking import VIRTUAL_SHARES, StakedTranche


@dataclass(frozen=True)
class BucketState:
    """The requests of an epoch; `open`: it can still lose."""

    assets: int
    shares: int
    maturity: int
    open: bool


@dataclass(frozen=True)
class HolderState:
    """A staker: shares, what they are worth (rounded down), and its requests' shares by bucket."""

    shares: int
    value: int
    requests: tuple[int, ...]


@dataclass(frozen=True)
class StakeState:
    """Layer 3, units of the token and of the shares.

    Attributes:
        active: stake that stays, income that has reached it included.
        slashable: active stake and open buckets.
        streaming: income on its way.
        uncollected: recovered and not collected.
        buckets: from number 1 on.
        holders: in the order asked for.
    """

    active: int = 0
    supply: int = 0
    slashable: int = 0
    streaming: int = 0
    uncollected: int = 0
    buckets: tuple[BucketState, ...] = ()
    holders: tuple[HolderState, ...] = ()

    @property
    def held(self) -> int:
        """Tokens that the fund holds for layer 3."""
        requested = sum(bucket.assets for bucket in self.buckets)
        return self.active + self.streaming + self.uncollected + requested

    @property
    def leaving(self) -> int:
        """Asked back and still bearing losses."""
        return sum(bucket.assets for bucket in self.buckets if bucket.open)

    def left(self, holder: HolderState) -> int:
        """What a staker has in it: its shares and its requests, each rounded down."""
        return holder.value + sum(
            shares * bucket.assets // bucket.shares
            for shares, bucket in zip(holder.requests, self.buckets, strict=True)
            if shares
        )

    @property
    def claims(self) -> int:
        """What all stakers have in it together, each rounded down."""
        return sum(self.left(holder) for holder in self.holders)

    @property
    def dust(self) -> int:
        """Tokens of layer 3 that are neither a staker's nor income on its way: rounding."""
        return self.held - self.claims - self.streaming - self.uncollected


def stake_views(tranche: Contract, holders: Sequence[str], shares: Sequence[int]) -> list[View]:
    """The views `stake_state` makes a state of.

    Args:
        tranche: the contract.
        holders: addresses.
        shares: of each holder now, to ask what they are worth in the same request.
    """
    views: list[View] = [
        (tranche, name, ()) for name in ("totalAssets", "totalSupply", "slashable", "stream")
    ]
    views.append((tranche, "uncollected", ()))
    views += [(tranche, "balanceOf", (holder,)) for holder in holders]
    views += [(tranche, "convertToAssets", (count,)) for count in shares]
    return views


def bucket_views(tranche: Contract, holders: Sequence[str], buckets: int) -> list[View]:
    """The same for buckets 1 to `buckets` and everybody's requests in them."""
    views: list[View] = [(tranche, "bucket", (i,)) for i in range(1, buckets + 1)]
    for name in ("pendingRedeemRequest", "claimableRedeemRequest"):
        views += [(tranche, name, (i, who)) for who in holders for i in range(1, buckets + 1)]
    return views


def stake_state(values: Sequence[Any], holders: int, buckets: int) -> StakeState:
    """The answers to `stake_views` and `bucket_views`, in this order, as a state."""
    rest: Iterator[Any] = iter(values)
    active, supply, slashable, stream, uncollected = (next(rest) for _ in range(5))
    shares = [next(rest) for _ in range(holders)]
    worth = [next(rest) for _ in range(holders)]
    states = [next(rest) for _ in range(buckets)]
    pending, claimable = ([next(rest) for _ in range(holders * buckets)] for _ in range(2))
    requested = [waiting + ready for waiting, ready in zip(pending, claimable, strict=True)]
    return StakeState(
        active=active,
        supply=supply,
        slashable=slashable,
        streaming=stream.left,
        uncollected=uncollected,
        buckets=tuple(
            BucketState(bucket.assets, bucket.shares, bucket.maturity, is_open)
            for bucket, is_open in states
        ),
        holders=tuple(
            HolderState(shares[i], worth[i], tuple(requested[i * buckets : (i + 1) * buckets]))
            for i in range(holders)
        ),
    )


def twin_state(twin: StakedTranche, holders: Sequence[str], now: int) -> StakeState:
    """The same of the twin."""
    numbers = range(1, twin.epoch + 1)
    active = twin.total_assets(now)
    first = twin.first_open(now)
    return StakeState(
        active=active,
        supply=twin.supply,
        slashable=twin.slashable(now),
        streaming=twin.stream_left - (active - twin.assets),
        uncollected=twin.uncollected,
        buckets=tuple(
            BucketState(
                *(twin.bucket(i).assets, twin.bucket(i).shares, twin.bucket(i).maturity), i >= first
            )
            for i in numbers
        ),
        holders=tuple(
            HolderState(
                shares=twin.balance_of(who),
                value=twin.balance_of(who) * (active + 1) // (twin.supply + VIRTUAL_SHARES),
                requests=tuple(twin.requested(who, i) for i in numbers),
            )
            for who in holders
        ),
    )
