"""The long run: everything once, then random lists of calls for as long as asked."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from backstop.harness.reentry.callbacks import ACTIVE, NARROW, Point, chunks
from backstop.harness.reentry.calls import Call
from backstop.harness.reentry.machine import Machine

T = TypeVar("T")

LONGEST = 4
"""Calls of a random list."""


@dataclass(frozen=True)
class Pair:
    """A function that works inside a callback."""

    point: Point
    call: Call


class Campaign:
    """Plays a machine's callbacks.

    Args:
        machine: with its world and calls.
        seed: of the choices made here.
        part: of the pairs and static callbacks that are played, 1: all.
    """

    def __init__(self, machine: Machine, seed: int, part: float = 1.0) -> None:
        self.machine, self.part = machine, part
        self.dice = random.Random(seed)
        self.points = [point for entry in machine.entries for point in machine.points(entry)]
        self.pairs: list[Pair] = []

    @property
    def active(self) -> list[Point]:
        """Callbacks in which state can be changed."""
        return [point for point in self.points if point.hook in ACTIVE]

    @property
    def static(self) -> list[Point]:
        """Callbacks in which only views can be asked."""
        return [point for point in self.points if point.hook not in ACTIVE]

    def each(self, tell: Callable[[str], None]) -> None:
        """Every function and every view inside every active callback, one by one."""
        for number, point in enumerate(self.active, 1):
            self.pairs += [Pair(point, call) for call in self.machine.play_each(point)]
            if number % 10 == 0:
                tell(f"{number} of {len(self.active)} callbacks, one call at a time")

    def compared(self, tell: Callable[[str], None]) -> None:
        """The functions that worked inside: what they leave behind, against before and after."""
        chosen = self._some(self.pairs)
        for number, pair in enumerate(chosen, 1):
            self.machine.compare(pair.point, [pair.call])
            if number % 100 == 0:
                tell(f"{number} of {len(chosen)} calls that work inside, compared")

    def looked(self, tell: Callable[[str], None]) -> None:
        """Views inside the static callbacks."""
        work = []
        for point in self.static:
            for part in chunks(self.machine.views, NARROW.get(point.hook, 60)):
                work.append((point, part))
        chosen = self._some(work)
        for number, (point, part) in enumerate(chosen, 1):
            self.machine.look_inside(point, part)
            if number % 50 == 0:
                tell(f"{number} of {len(chosen)} looks from inside static callbacks")

    def mixed(self, going: Callable[[], bool], tell: Callable[[str], None]) -> None:
        """Random lists of calls with new arguments inside random callbacks."""
        active, number = self.active, 0
        while going():
            drawn = self.machine.writer.every(views=False, tries=2)
            pool = [call for calls in drawn.values() for call in calls] + self.machine.functions
            for _ in range(100):
                point = self.dice.choice(active)
                count = self.dice.randint(1, LONGEST)
                self.machine.compare(point, [self.dice.choice(pool) for _ in range(count)])
                number += 1
                if not going():
                    break
            tell(f"{number:,} random lists, {self.machine.tally.compared:,} with an effect")

    def _some(self, work: list[T]) -> list[T]:
        if self.part >= 1:
            return list(work)
        return self.dice.sample(work, max(1, int(len(work) * self.part)) if work else 0)
