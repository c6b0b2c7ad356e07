"""The published deleveraging waves of 10 October 2025: needed against taken, policy by policy.

The file is `policy_per_wave_metrics.csv` of pluriholonomic/autodeleveraging-analysis (MIT): one row
a wave with `budget_needed`, a `budget_...` column per policy, and `deficit_usd` and `max_loss_usd`.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from backstop.risk.adl_metrics import (
    DeficitReport,
    WaveTotals,
    wave_totals,
    waves_without_repeats,
)
from backstop.risk.errors import BadSeries

POLICIES = {
    "production": "budget_prod",
    "pro rata": "budget_pr",
    "contract pro rata": "budget_contract_pr",
    "mirror descent": "budget_vector",
    "min-max": "budget_fixed_point_ilp_integer",
}


@dataclass(frozen=True)
class Waves:
    """Totals by policy, and the deficits counted once."""

    count: int
    totals: dict[str, WaveTotals]
    deficits: DeficitReport


def read_waves(path: Path) -> Waves:
    """Read the published table; BadSeries names row and remedy."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise BadSeries(
            f"{path} cannot be read: {error.strerror}.", "check the path of --waves."
        ) from None
    wanted = ("budget_needed", *POLICIES.values(), "deficit_usd", "max_loss_usd")
    missing = [name for name in wanted if not rows or name not in rows[0]]
    if missing:
        raise BadSeries(
            f"{path}: no column {', '.join(missing)}.",
            "give the published table policy_per_wave_metrics.csv.",
        )
    columns = {name: [_number(row, name, i + 2) for i, row in enumerate(rows)] for name in wanted}
    taken = {policy: columns[name] for policy, name in POLICIES.items()}
    return Waves(
        len(rows),
        wave_totals(columns["budget_needed"], taken),
        waves_without_repeats(columns["deficit_usd"], columns["max_loss_usd"]),
    )


def _number(row: dict[str, str], name: str, line: int) -> float:
    try:
        value = float(row[name])
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise BadSeries(f"{name} is {row[name]!r}, not a number.", "repair the cell.", line)
    return value
