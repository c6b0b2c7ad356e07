"""The table of what the attackers found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backstop.harness.attackers.arena import WAD
from backstop.harness.attackers.search import Best


def rows(found: Sequence[Best]) -> list[dict[str, Any]]:
    """One row an attack, amounts in whole tokens."""
    return [
        {
            "attack": best.attack.name,
            "about": best.attack.about,
            "tries": best.tries,
            "free_profit": round((best.score or 0) / WAD, 6),
            "bound": round(best.bound / WAD, 6),
            "profit": round(best.profit / WAD, 6),
            "fund_pays": best.attack.fund_pays,
            "fund_paid_most": round(best.fund_paid / WAD, 2),
            "steps_that_worked": round(best.worked / max(1, best.steps), 3),
            "numbers": {name: round(value, 6) for name, value in best.numbers.items()},
            "failures": best.failures[:5],
        }
        for best in found
    ]


def table(found: Sequence[Best]) -> str:
    """The same for people."""
    lines = [f"{'attack':<26}{'tries':>7}{'best found':>15}{'bound':>13}  verdict   with"]
    for row in rows(found):
        verdict = "PAYS" if row["failures"] else "holds"
        numbers = ", ".join(f"{name} {value:g}" for name, value in row["numbers"].items())
        lines.append(
            f"{row['attack']:<26}{row['tries']:>7,}{row['free_profit']:>15,.4f}{row['bound']:>13,.2f}"
            f"  {verdict:<8}  {numbers}"
        )
    return "\n".join(lines)
