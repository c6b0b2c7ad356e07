"""What a campaign reached of all there is: actions, functions, custom errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from backstop.harness.fuzz.recording import ACTIONS, RecordingDuel
from backstop.harness.rpc import Contract
from backstop.harness.world import ChainWorld

CONTRACTS: Final = (
    "engine",
    "settlement",
    "liquidator",
    "backstop",
    "fund",
    "tranche",
    "oracle",
    "lock",
)


@dataclass
class Coverage:
    """Counts that add up over plays and workers.

    Attributes:
        outcomes: by kind of action and outcome (`ok`, or the custom error's name).
        milestones: what does not happen every day.
        called: functions of the contracts, as `contract.function`.
        methods: actions of the duel.
        plays: number of plays, all verified.
        deepest: actions of the longest play.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    milestones: Counter[str] = field(default_factory=Counter)
    called: Counter[str] = field(default_factory=Counter)
    methods: Counter[str] = field(default_factory=Counter)
    plays: int = 0
    deepest: int = 0

    @property
    def actions(self) -> int:
        """Number of actions played on both sides."""
        return self.outcomes.total()

    @property
    def errors(self) -> Counter[str]:
        """How often every custom error came."""
        found: Counter[str] = Counter()
        for (_, outcome), count in self.outcomes.items():
            if outcome != "ok":
                found[outcome] += count
        return found

    def add_duel(self, duel: RecordingDuel) -> None:
        """Adds a play."""
        self.outcomes += duel.counts
        self.milestones += duel.milestones
        self.called += duel.called
        self.methods += Counter(str(action["do"]) for action in duel.played)
        self.plays += 1
        self.deepest = max(self.deepest, duel.actions)

    def add(self, other: Coverage) -> None:
        """Adds what another worker reached."""
        for name in ("outcomes", "milestones", "called", "methods"):
            getattr(self, name).update(getattr(other, name))
        self.plays += other.plays
        self.deepest = max(self.deepest, other.deepest)


@dataclass(frozen=True)
class Universe:
    """All that the deployed contracts have."""

    functions: frozenset[str]
    errors: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, chain: ChainWorld) -> Universe:
        """From the ABIs: functions that change state, and errors with the contracts they are in."""
        functions: set[str] = set()
        errors: dict[str, tuple[str, ...]] = {}
        for name in CONTRACTS:
            contract: Contract = getattr(chain, name)
            for item in contract.abi:
                if item.get("type") == "error":
                    errors[str(item["name"])] = (*errors.get(str(item["name"]), ()), name)
                elif item.get("type") == "function" and _changes(item):
                    functions.add(f"{name}.{item['name']}")
        return cls(frozenset(functions), errors)


def _changes(item: Mapping[str, Any]) -> bool:
    return item.get("stateMutability") not in ("view", "pure")


def summary(coverage: Coverage, universe: Universe) -> dict[str, Any]:
    """What was reached and what was not, ready for JSON."""
    kinds: dict[str, dict[str, int]] = {}
    for (kind, outcome), count in sorted(coverage.outcomes.items()):
        kinds.setdefault(kind, {})[outcome] = count
    errors = coverage.errors
    return {
        "plays": coverage.plays,
        "actions": coverage.actions,
        "deepest_play": coverage.deepest,
        "kinds": kinds,
        "milestones": dict(sorted((+coverage.milestones).items())),
        "actions_never_played": sorted(set(ACTIONS) - set(coverage.methods)),
        "functions_reached": sorted(universe.functions & set(coverage.called)),
        "functions_not_reached": sorted(universe.functions - set(coverage.called)),
        "errors_reached": dict(sorted(errors.items())),
        "errors_not_reached": {
            name: list(where) for name, where in sorted(universe.errors.items()) if not errors[name]
        },
    }


def table(found: Mapping[str, Any]) -> str:
    """The summary as text."""
    lines = ["Actions and how they ended:"]
    for kind, outcomes in found["kinds"].items():
        ordered = sorted(outcomes.items(), key=lambda item: -item[1])
        lines.append(f"  {kind}: " + ", ".join(f"{name} {count:,}" for name, count in ordered))
    lines.append("Milestones:")
    lines += [f"  {name}: {count:,}" for name, count in found["milestones"].items()]
    reached, missed = found["functions_reached"], found["functions_not_reached"]
    lines.append(f"Functions that change state: {len(reached)} of {len(reached) + len(missed)}")
    lines.append("  not reached: " + (", ".join(missed) or "none"))
    known = len(found["errors_not_reached"])
    seen = list(found["errors_reached"])
    lines.append(f"Custom errors: {len(seen)} reached, {known} of the contracts' not")
    lines.append("  reached: " + (", ".join(seen) or "none"))
    missed_errors = (
        f"{name} ({', '.join(where)})" for name, where in found["errors_not_reached"].items()
    )
    lines.append("  not reached: " + (", ".join(missed_errors) or "none"))
    if found["actions_never_played"]:
        lines.append(
            "Actions of the duel never played: " + ", ".join(found["actions_never_played"])
        )
    return "\n".join(lines)
