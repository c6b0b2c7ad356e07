"""A failing play made short: delta debugging on its list of actions.

The end after the failure is cut off, then ever smaller parts are left out, as long as the
same failure remains (Zeller and Hildebrandt, Simplifying and isolating failure-inducing input,
IEEE TSE 28(2), 2002, with complements only). Last, delays that do not matter are left out.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backstop.harness.duel import Disagreement
from backstop.harness.fuzz.case import Case, CaseError
from backstop.harness.fuzz.recording import Action
from backstop.harness.rpc import NodeError
from backstop.harness.world import ChainWorld
from backstop.model.invariants import InvariantBroken

_STEP = re.compile(r"step (\d+) \(")

Fails = Callable[[Sequence[Action]], bool]


@dataclass(frozen=True)
class Failure:
    """What went wrong, in a form that two plays can be compared by."""

    kind: str
    message: str
    length: int | None = None
    """Actions up to the one that showed it, where the contracts disagree."""
    crash: bool = False
    """No check noticed it: something else went wrong, perhaps in the harness itself."""

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """An invariant by its name, everything else by the type of the exception."""
        kind = error.name if isinstance(error, InvariantBroken) else type(error).__name__
        step = _STEP.match(str(error)) if isinstance(error, Disagreement) else None
        length = int(step[1]) + 1 if step else None
        crash = not isinstance(error, AssertionError)
        return cls(kind, f"{type(error).__name__}: {error}", length, crash)


def failure_of(case: Case, chain: ChainWorld | None, *, check: bool = True) -> Failure | None:
    """The failure that a case shows; None if twin, invariants and contracts agree."""
    try:
        case.play(chain, check=check).verify()
    except (NodeError, CaseError):
        raise
    except Exception as error:
        return Failure.of(error)
    return None


def shrink(
    actions: Sequence[Action],
    failure: Failure,
    chain: ChainWorld | None,
    *,
    seconds: float = 300.0,
) -> tuple[list[Action], bool]:
    """The shortest list of actions found that fails alike, and whether the twin alone does.

    Args:
        actions: a play that fails.
        failure: how it fails.
        chain: the contracts; not used where the failure shows on the twin.
        seconds: after which the best list so far is good enough.
    """
    deadline = time.monotonic() + seconds
    disagrees = failure.kind == Disagreement.__name__

    def shows(chosen: Sequence[Action], on: ChainWorld | None) -> bool:
        # where the contracts disagree, the invariants need not be looked at
        seen = failure_of(Case.of("", chosen), on, check=not disagrees)
        return seen is not None and seen.kind == failure.kind

    alone = not disagrees and shows(actions, None)
    if not alone and not shows(actions, chain):
        return list(actions), False  # not reproducible: better long than lost

    def fails(chosen: Sequence[Action]) -> bool:
        return time.monotonic() < deadline and shows(chosen, None if alone else chain)

    cut = list(actions[: failure.length])
    return reduce(cut if fails(cut) else actions, fails), alone


def reduce(actions: Sequence[Action], fails: Fails) -> list[Action]:
    """A short list of actions for which `fails` holds, as it does for the given ones."""
    return _simple(_minimal(list(actions), fails), fails)


def _minimal(actions: list[Action], fails: Fails) -> list[Action]:
    """Nothing can be left out of the result any more, neither one action nor two in a row."""
    size = max(1, len(actions) // 2)
    while True:
        before = len(actions)
        # from the end: what comes late depends on what came early, seldom the other way round
        position = len(actions)
        while position > 0:
            start = max(0, position - size)
            without = actions[:start] + actions[position:]
            if without and fails(without):
                actions = without
            position = start
        if size > 1:
            size //= 2
        elif len(actions) == before:
            return actions


def _simple(actions: list[Action], fails: Fails) -> list[Action]:
    """The same actions without delays that do not matter."""
    for number, action in enumerate(actions):
        for key, plain in _plainer(action):
            changed = [*actions[:number], {**action, key: plain}, *actions[number + 1 :]]
            if fails(changed):
                actions, action = changed, changed[number]
                break
    return actions


def _plainer(action: Action) -> list[tuple[str, Any]]:
    delay = action.get("delay", 0)
    return [("delay", plain) for plain in (0, 1) if plain < delay]
