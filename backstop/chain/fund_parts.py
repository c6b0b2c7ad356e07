"""Parts of the fund's balance sheet: the stake, the budget for premiums, terms that follow it.

Amounts in whole tokens, times in seconds since 1970, shares of income and fractions in 1e-6.
Nothing here sends a transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from backstop.chain.deploy import ZERO_ADDRESS, System
from backstop.chain.units import from_units

_PRICE_DIGITS: Final = 12


@dataclass(frozen=True)
class BucketView:
    """Stake on its way out, all requests of one epoch.

    Attributes:
        request: number of the bucket: the request id of ERC-7540.
        assets: what it holds; of an open one, still to be slashed.
        maturity: when it matures if nothing holds it back.
        claimable_at: when it matures as things are now; an open shortfall may still delay it.
    """

    request: int
    assets: Decimal
    maturity: int
    claimable_at: int


@dataclass(frozen=True)
class StakePool:
    """Layer 3.

    Attributes:
        series: number of the running series of shares.
        active: stake that earns; income that has reached it included.
        leaving: asked back, not matured: earns nothing, bears losses.
        matured: asked back and fixed, not claimed yet.
        shares: in whole shares; one is worth one token when a series starts.
        share_price: tokens a share, to 1e-12 of the token's unit, rounded down.
        income_to_come: streams to the active stake until `stream_end`, `per_day` of it a day.
        share_ppm: the stakers' part of all income.
        cap: largest active stake; `room` is what may still come.
        cooldown: seconds from the end of a request's epoch to its maturity.
        epoch_end: requests until then join the running bucket.
        held_until: open buckets do not mature before; 0 if nothing holds them back now.
        buckets: exits that still bear losses, the oldest first.
    """

    series: int
    active: Decimal
    leaving: Decimal
    matured: Decimal
    shares: Decimal
    share_price: Decimal
    income_to_come: Decimal
    stream_end: int
    per_day: Decimal
    share_ppm: int
    cap: Decimal
    room: Decimal
    cooldown: int
    epoch_end: int
    held_until: int
    buckets: tuple[BucketView, ...]


@dataclass(frozen=True)
class PremiumBudget:
    """What pays for reinsurance: no capital. `reinsurer` is None if nobody is asked."""

    reinsurer: str | None
    budget: Decimal
    cap: Decimal
    share_ppm: int


@dataclass(frozen=True)
class CoverTerms:
    """A market's price of cover: in force now, and as they are where the fund meets its target.

    Attributes:
        follows: whether the terms follow the lagged solvency ratio; if not, base is what is in
            force, and cap, floor and margin rise are 0.
        cap_ppm: largest multiple of the surcharge; `floor_ppm` the smallest.
        margin_rise_ppm: by how much of itself the initial margin rises when the fund is empty.
        contribution: the market's part of the target, as the risk oracle has it; 0 if nobody says.
    """

    market: int
    follows: bool
    surcharge_ppm: int
    fund_share_ppm: int
    initial_margin_ppm: int
    base_surcharge_ppm: int
    base_fund_share_ppm: int
    base_initial_margin_ppm: int
    cap_ppm: int
    floor_ppm: int
    margin_rise_ppm: int
    contribution: Decimal


def share_decimals(system: System) -> int:
    """Decimals of the stake's shares."""
    return system.record.token_decimals + 3


def read_buckets(system: System, numbers: Iterable[int]) -> list[BucketView]:
    """Some buckets; the maturity of one that nobody has asked for anything in is 0."""
    tranche, decimals = system.tranche, system.record.token_decimals
    held_until, most = tranche.terms().heldUntil, tranche.MAX_HOLD()
    found = []
    for number in numbers:
        state, is_open = tranche.bucket(number)
        held = min(held_until, state.maturity + most) if is_open else 0
        claimable_at = max(state.maturity, held)
        assets = from_units(state.assets, decimals)
        found.append(BucketView(number, assets, state.maturity, claimable_at))
    return found


def read_pool(system: System) -> StakePool:
    """Layer 3 now; one call for every week in which somebody asked for stake back."""
    tranche, decimals = system.tranche, system.record.token_decimals
    terms, stream = tranche.terms(), tranche.stream()
    first, last = tranche.openBuckets()
    buckets = read_buckets(system, range(1, last + 1))
    opened = tuple(b for b in buckets if b.request >= first and b.maturity)
    one = 10 ** (share_decimals(system) + _PRICE_DIGITS)
    zero = Decimal(0)
    return StakePool(
        series=tranche.series(),
        active=from_units(tranche.totalAssets(), decimals),
        leaving=sum((b.assets for b in opened), zero),
        matured=sum((b.assets for b in buckets if b.request < first), zero),
        shares=from_units(tranche.totalSupply(), share_decimals(system)),
        share_price=from_units(tranche.convertToAssets(one), decimals + _PRICE_DIGITS),
        income_to_come=from_units(stream.left, decimals),
        stream_end=stream.end if stream.left else 0,
        per_day=from_units(stream.perSecond * 86_400, decimals),
        share_ppm=system.fund.stakerShare(),
        cap=from_units(terms.cap, decimals),
        room=from_units(tranche.maxDeposit(ZERO_ADDRESS), decimals),
        cooldown=terms.cooldown,
        epoch_end=terms.epochEnd,
        held_until=terms.heldUntil if tranche.isHeld() else 0,
        buckets=opened,
    )


def read_premium(system: System) -> PremiumBudget:
    """The budget for premiums."""
    premium, reinsurer = system.fund.premium(), system.fund.reinsurer()
    decimals = system.record.token_decimals
    return PremiumBudget(
        None if reinsurer == ZERO_ADDRESS else reinsurer,
        from_units(premium.budget, decimals),
        from_units(premium.cap, decimals),
        premium.share,
    )


def read_terms(system: System, market: int) -> CoverTerms:
    """A market's price of cover."""
    base = system.engine.coverBase(market)
    parameters, liquidation, _ = system.engine.marketParameters(market)
    now = (liquidation.surchargePpm, parameters.fundSharePpm, parameters.initialMarginPpm)
    follows = base.capPpm != 0
    part = 0
    if "risk_oracle" in system.record.contracts:
        part = system.risk_oracle.contribution(market)
    return CoverTerms(
        market,
        follows,
        *now,
        *((base.surchargePpm, base.fundSharePpm, base.initialMarginPpm) if follows else now),
        cap_ppm=base.capPpm,
        floor_ppm=base.floorPpm,
        margin_rise_ppm=base.marginRisePpm,
        contribution=from_units(part, system.record.token_decimals),
    )
