"""Exact statistics on integers, so that every machine prints the same digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

PPM = 10**6


def ppm(part: int, whole: int) -> int | None:
    """A share in parts per million, rounded down; None of nothing."""
    return part * PPM // whole if whole else None


def quantile(values: Sequence[int], of_hundred: int) -> int | None:
    """The smallest value that at least so many per cent do not exceed (nearest rank)."""
    if not values:
        return None
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * of_hundred // 100))
    return ordered[rank - 1]


def spread(values: Sequence[int]) -> dict[str, int | None]:
    """Count, median, 90th and 99th percentile, largest."""
    return {
        "count": len(values),
        "median": quantile(values, 50),
        "p90": quantile(values, 90),
        "p99": quantile(values, 99),
        "max": quantile(values, 100),
    }


def gini_ppm(values: Sequence[int]) -> int | None:
    """Gini coefficient of non-negative amounts in ppm: sum of (2i - n - 1) x_i over n sum x."""
    ordered = sorted(values)
    total, count = sum(ordered), len(ordered)
    if not total:
        return None
    weighted = sum((2 * i - count - 1) * x for i, x in enumerate(ordered, start=1))
    return weighted * PPM // (count * total)


def concentration(amounts: Mapping[str, int], shown: int = 10) -> dict[str, Any]:
    """How unequally something is shared out: holders, largest share, top ten, Gini, the largest."""
    held = {who: amount for who, amount in amounts.items() if amount > 0}
    ordered = sorted(held.items(), key=lambda item: (-item[1], item[0]))
    total = sum(held.values())
    return {
        "holders": len(held),
        "total": total,
        "maxSharePpm": ppm(ordered[0][1], total) if ordered else None,
        "top10SharePpm": ppm(sum(amount for _, amount in ordered[:10]), total),
        "giniPpm": gini_ppm(list(held.values())),
        "largest": [
            {"who": who, "amount": amount, "sharePpm": ppm(amount, total)}
            for who, amount in ordered[:shown]
        ],
    }
