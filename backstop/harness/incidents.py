"""The incidents that are replayed in `tests/incidents`, and the table of a run.

Sources are the public post-mortems and audit reports named in each row; a date or a loss that the
row does not give is "-".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Incident:
    """One row.

    Attributes:
        number: as in the replay's name, `I01`.
        name: whose incident it was.
        date: month or day; "-" where the source is an undated finding.
        loss: as published; "none" for what was found before anybody lost.
        tried: what the replay attempts.
    """

    number: str
    name: str
    date: str
    loss: str
    tried: str


@dataclass(frozen=True)
class Result:
    """How a replay ended.

    Attributes:
        ok: the attempt was made and the bad outcome did not occur.
        seconds: of the replay and, if it failed there, its setting up.
    """

    ok: bool
    seconds: float


_NONE = "none"
INCIDENTS: Final = tuple(
    Incident(f"I{number:02}", *row)
    for number, row in enumerate(
        (
            ("perp-curie bounty", "2022-07", _NONE, "two own accounts trade off the index"),
            ("perp-curie CH_IIC", "-", _NONE, "close-out with a fund that can pay nothing"),
            ("dYdX v4 halt", "2025-10-10", "8 h halt", "whole open interest in one close-out"),
            ("Drift v2", "2026-04", "$285M", "stolen key: every role's function, both ways"),
            ("GMX V1", "2025-07", "$42M", "token re-enters every function, reads every view"),
            ("Levana", "2023-12", "-", "open, withdraw, liquidate on a stale or older price"),
            ("Lighter ARC", "2026-02", "held", "draws on every path past the market's cap"),
            ("Paradex", "2026-01", "-", "zero, tiny, huge index, then liquidations"),
            ("Perennial #48", "-", _NONE, "self-liquidation where fees exceed the margin"),
            ("Sentiment", "-", _NONE, "first deposit after a wipe-out, exit ahead of it"),
            ("Exactly, EVK #310", "-", _NONE, "dust left in a bankrupt account"),
            ("Morpho vault-v2 #139", "-", _NONE, "exit in the block of the loss"),
            ("JOJO #83", "-", _NONE, "liquidating the fund's own accounts"),
            ("Flatmoney #176", "-", _NONE, "sandwich around a liquidation"),
            ("percolator drains", "-", _NONE, "self-matched pair, four keeper schedules"),
            ("percolator bounty 5", "-", _NONE, "a surcharge larger than can be charged"),
            ("percolator-stake", "-", _NONE, "stake between shortfall and recovery"),
            ("dYdX P1 mark()", "-", _NONE, "strangers touch every timer twice"),
            ("Hubble", "-", _NONE, "recapitalise after a wipe-out with a claim open"),
            ("GMX #210, #153", "-", _NONE, "shrink by one unit before the keeper"),
            ("Derive", "2025-01", _NONE, "six insolvent accounts, then exits"),
            ("Keep, Celo #2887", "-", _NONE, "queued stake at the time of a slash"),
            ("rsETH / Umbrella", "2026-04", "-", "exit between event and recognition"),
            ("Ackee M1, Umbrella", "-", _NONE, "50 loops of slash and deposit"),
            ("Stermi H-01, Umbrella", "-", _NONE, "close-out with a keeper's reward"),
            ("Telcoin #54", "-", _NONE, "dust stakes in the block of a cover"),
            ("UMA DVM L-02", "-", _NONE, "cooldown changed under open requests"),
            ("Resupply", "2025-06", "$9.6M", "donations to empty and full vaults"),
            ("Aave v2 CRV", "2022-11", "$1.6M", "a step at falling health, then a crash"),
            ("Maker", "2020-03-12", "$8.3M", "keepers gone for an hour, then auctions"),
            ("blocked receivers", "-", "-", "token blocks keeper, winner, staker in turn"),
            ("just-in-time stake", "-", "-", "stake before income, leave after"),
        ),
        start=1,
    )
)


def rows(results: Mapping[str, Result]) -> list[dict[str, Any]]:
    """The replayed incidents with their results, in the order of their numbers."""
    return [
        {
            **asdict(incident),
            "result": "ok" if results[incident.number].ok else "failed",
            "seconds": round(results[incident.number].seconds, 2),
        }
        for incident in INCIDENTS
        if incident.number in results
    ]


def table(results: Mapping[str, Result]) -> str:
    """The same as text, with a last line that counts."""
    shown = rows(results)
    names = ("number", "name", "date", "loss", "tried", "result", "seconds")
    titles = ("no.", "incident", "date", "loss", "what was tried", "result", "s")
    lines = [titles, *(tuple(str(row[name]) for name in names) for row in shown)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(titles))]
    text = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
    failed = sum(row["result"] == "failed" for row in shown)
    seconds = sum(row["seconds"] for row in shown)
    count = f"{len(shown)} of {len(INCIDENTS)} replayed, {failed} failed, {seconds:.1f} s"
    return "\n".join((*(line.rstrip() for line in text), count))
