"""Calls at the edges of what is allowed: every number of a good call, one at a time, at a limit.

Checks of parameters and of balances show here, which random play hardly ever hits exactly.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import astuple
from typing import Any, Final

from eth_utils import to_checksum_address

from backstop.harness.rpc import Step
from backstop.harness.world import (
    BACKING,
    CAPS,
    COVER_TERMS,
    FUND_LIMITS,
    FUND_MARKET_LIMITS,
    MARKETS,
    RESERVE,
    STAKE,
    STAKE_TERMS,
    UNIT,
    ChainWorld,
    accounts,
    owners,
)

_TIMES: Final = (60, 3_600, 86_400, 7 * 86_400, 28 * 86_400, 30 * 86_400)
_PARTS: Final = (5_000, 500_000, 10**6, 10**7, 10**9)
_WIDTHS: Final = (8, 16, 24, 32, 56, 104, 112, 256)
LIMITS: Final = sorted(
    {0, 1, 2, *_TIMES, *_PARTS, *(2**w - 1 for w in _WIDTHS), *(2**w for w in _WIDTHS if w < 256)}
    | {n + d for n in (*_TIMES, *_PARTS) for d in (-1, 1)}
)
"""Values that checks are likely to turn at."""

Call = tuple[str, str, tuple[Any, ...], str]


def edges(chain: ChainWorld) -> tuple[list[Step], list[str]]:
    """The good calls, and each with one number after the other at a limit."""
    steps, labels = [], []
    for contract, function, arguments, sender in _calls(chain):
        first = True
        for changed in (arguments, *_variants(arguments)):
            with contextlib.suppress(ValueError, TypeError, OverflowError):  # not of its type
                target = getattr(chain, contract)[function]
                steps.append(target.step(*changed, sender=sender, delay=3_600 if first else 0))
                labels.append(f"{contract}.{function}{changed}")
                first = False
    return steps, labels


def _calls(chain: ChainWorld) -> Iterator[Call]:
    """Good calls, in an order that money is there before it is to leave."""
    engine, admin = chain.engine.address, chain.admin
    rich = to_checksum_address(owners()[-1])
    mine = accounts()[-1]
    (p, liquidation), limits = MARKETS[0], FUND_MARKET_LIMITS[0]
    claimant = (FUND_LIMITS.per_claim, FUND_LIMITS.per_window, FUND_LIMITS.window)
    yield "engine", "deposit", (mine, 10**6 * UNIT), rich
    yield "engine", "withdraw", (mine, 10**6 * UNIT, rich), rich
    yield "fund", "fundReserve", (UNIT,), rich
    yield "fund", "fundStakers", (UNIT,), rich
    yield "fund", "setPremiumTerms", (100_000, 1_000 * UNIT), admin
    yield "fund", "fundPremium", (1_000 * UNIT,), rich
    yield "fund", "setReserveTarget", (RESERVE // 2,), admin
    yield "fund", "setRefillTime", (86_400,), admin
    yield "fund", "setStakerShare", (100_000,), admin
    yield "fund", "releaseBacking", (rich, BACKING), admin
    yield "fund", "fundBacking", (BACKING,), rich
    yield "fund", "releaseReserve", (rich, UNIT), admin
    yield "fund", "fundCompartment", (engine, 0, UNIT), rich
    yield "tranche", "setTerms", STAKE_TERMS, admin
    yield "tranche", "deposit", (STAKE, rich), rich
    yield "tranche", "mint", (STAKE, rich), rich
    yield "tranche", "transfer", (admin, 1_000), rich
    yield "tranche", "requestRedeem", (STAKE * 500, rich, rich), rich
    yield "backstop", "deploy", (0, UNIT), rich
    yield "backstop", "release", (0, UNIT), rich
    yield "backstop", "tightenCaps", (0, astuple(CAPS[0])), admin
    yield "backstop", "setCaps", (0, astuple(CAPS[0])), admin
    yield "engine", "tightenMarket", (1, 100_000, 200_000, 0), admin
    yield "engine", "setMarket", (0, astuple(p), astuple(liquidation)), admin
    yield "engine", "listMarket", (astuple(p), astuple(liquidation)), admin
    yield "engine", "setCoverTerms", (0, *COVER_TERMS[0]), admin
    yield "engine", "setFairWindow", (0, 1), admin
    yield "fund", "tightenClaimantMarket", (engine, 0, astuple(limits)), admin
    yield "fund", "setClaimantMarket", (engine, 0, astuple(limits)), admin
    yield "fund", "tightenClaimant", (engine, claimant), admin
    yield "fund", "setClaimant", (engine, claimant), admin


def _variants(value: Any) -> Iterator[Any]:
    """The value with one number in it, however deep, at a limit or one beside what it was."""
    if isinstance(value, tuple):
        for i, item in enumerate(value):
            for changed in _variants(item):
                yield (*value[:i], changed, *value[i + 1 :])
    elif isinstance(value, int):
        yield from sorted({*LIMITS, max(0, value - 1), value + 1} - {value})
