"""A duel as a file: the world it is played in, and a seed or the list of its actions.

    format: 1
    title: An epoch ends
    world: 3f2a90c1          # fingerprint of the world's parameters when the file was made
    reaches: [epoch ended]   # milestones that the play must reach
    actions:
    - {do: deposit, account: account 0, assets: 10000000, caller: owner 0, delay: 0}

Instead of `actions` a file may say `seed` and `length`: the play of that seed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from backstop.harness import world as world_module
from backstop.harness.fuzz.recording import Action, ActionError, RecordingDuel
from backstop.harness.players import Player, RandomChooser
from backstop.harness.world import ChainWorld

FORMAT: Final = 1
_FIELDS: Final = ("format", "title", "world", "found", "reaches", "seed", "length", "actions")


class CaseError(ValueError):
    """A case file that cannot be used; the message says where, what, and what to do."""


@dataclass(frozen=True)
class Case:
    """A play that can be repeated.

    Attributes:
        title: what it is about.
        world: fingerprint of the world it was made in.
        found: the failure that it showed when it was made; empty if it is none.
        reaches: milestones of the duel that it must reach.
        seed: of the player, where there are no actions.
        length: number of the player's turns after the opening.
        actions: what is done, in order.
    """

    title: str
    world: str
    found: str = ""
    reaches: tuple[str, ...] = ()
    seed: int | None = None
    length: int = 0
    actions: tuple[Action, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, title: str, actions: Sequence[Action], **fields: Any) -> Case:
        """A case of these actions in the present world."""
        return cls(title, fingerprint(), actions=tuple(actions), **fields)

    def play(self, chain: ChainWorld | None = None, *, check: bool = True) -> RecordingDuel:
        """Plays on the twin, and notes the steps for the contracts if a chain is given.

        Raises:
            CaseError: an action cannot be read.
            InvariantBroken: an invariant does not hold (with `check`).
        """
        duel = RecordingDuel(chain, check=check)
        self.play_on(duel)
        return duel

    def play_on(self, duel: RecordingDuel) -> None:
        """`play` on a duel that is there."""
        if self.seed is not None:
            player = Player(duel, RandomChooser(self.seed))
            player.opening()
            for _ in range(self.length):
                player.play()
        for number, action in enumerate(self.actions):
            try:
                duel.perform(action)
            except ActionError as error:
                raise CaseError(f"actions[{number}] ({action.get('do')}): {error}") from None

    def write(self, path: Path) -> None:
        """Writes the file at once or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            beside.write_text(self.text(), encoding="utf8")
            beside.replace(path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                beside.unlink()

    def text(self) -> str:
        """The file's content."""
        head: dict[str, Any] = {"format": FORMAT, "title": self.title, "world": self.world}
        if self.found:
            head["found"] = self.found
        if self.reaches:
            head["reaches"] = list(self.reaches)
        if self.seed is not None:
            head |= {"seed": self.seed, "length": self.length}
        text = yaml.safe_dump(head, sort_keys=False, width=100)
        if self.actions:
            text += "actions:\n" + "".join(f"- {_line(action)}\n" for action in self.actions)
        return text


def _line(action: Action) -> str:
    dumped: str = yaml.safe_dump(
        dict(action), default_flow_style=True, sort_keys=False, width=10**9
    )
    return dumped.strip()


def fingerprint() -> str:
    """Eight hex digits that change with the parameters of the world of duels."""
    names = sorted(name for name in vars(world_module) if name.isupper())
    values = repr([(name, getattr(world_module, name)) for name in names])
    return hashlib.sha256(values.encode()).hexdigest()[:8]


def read_case(path: Path) -> Case:
    """The case in a file; CaseError where it is wrong."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf8"))
    except OSError as error:
        raise CaseError(f"{path}: cannot be read ({error.strerror}); correct the path") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CaseError(f"{path}: not YAML: {error}") from None
    try:
        return _case(data)
    except CaseError as error:
        raise CaseError(f"{path}: {error}") from None


def _case(data: Any) -> Case:
    if not isinstance(data, Mapping):
        raise CaseError("a mapping is expected, with the fields " + ", ".join(_FIELDS))
    for key in data:
        if key not in _FIELDS:
            raise CaseError(f"unknown field {key!r}: remove it, or use {', '.join(_FIELDS)}")
    if data.get("format") != FORMAT:
        raise CaseError(f"format is {data.get('format')!r}: this version reads {FORMAT}")
    actions, reaches = data.get("actions", []), data.get("reaches", [])
    if not isinstance(actions, list) or not all(isinstance(a, Mapping) for a in actions):
        raise CaseError("actions: a list of mappings such as {do: poke, market: 0, delay: 1}")
    if not isinstance(reaches, list):
        raise CaseError(f"reaches is {reaches!r}: a list of milestones is expected")
    seed, length = data.get("seed"), data.get("length", 0)
    if (seed is None) == (not actions):
        raise CaseError("give either actions, or seed and length")
    if seed is not None and not (_count(seed) and _count(length)):
        raise CaseError(f"seed {seed!r} and length {length!r}: whole numbers from 0 are expected")
    return Case(
        title=str(data.get("title", "")),
        world=str(data.get("world", "")),
        found=str(data.get("found", "")),
        reaches=tuple(map(str, reaches)),
        seed=seed,
        length=length,
        actions=tuple(actions),
    )


def _count(value: Any) -> bool:
    return type(value) is int and value >= 0
