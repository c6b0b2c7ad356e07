"""Numbers that the tests of reinsurance share."""

from __future__ import annotations

from typing import Any

UNIT = 10**6
DAY = 86_400
WAD = 10**18
ACCOUNT = b"\x33" * 32
PRICE = 60_000 * 10**8
"""First answer of the feeds."""
LIMITS = (1_000 * UNIT, 2_500 * UNIT, DAY)
MARKET_LIMITS = (500 * UNIT, 2_000 * UNIT)
SIZE = 10_000 * UNIT


def terms(claimant: str, now: int, **changes: Any) -> dict[str, Any]:
    """A put spread from 45,000 down to 25,000: 10,000 of collateral are half a base unit."""
    values = {
        "claimant": claimant,
        "market": 1,
        "strike": 45_000 * WAD,
        "floor": 25_000 * WAD,
        "startPrice": 55_000 * WAD,
        "size": SIZE,
        "premiumRate": 20_000,
        "writeUntil": now + DAY,
        "expiry": now + 31 * DAY,
    }
    return values | changes
