"""Plays calls inside callbacks and judges what they did.

The property: nothing is reached by re-entry that is not reached without it. A view that answers
inside a callback answers as it does before or after the whole transaction; a call that succeeds
inside leaves the state that it leaves before or after it. Everything else ends with the lock's
error, or with the error it has anyway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from eth_utils import keccak

from backstop.harness.reentry.callbacks import (
    ACTIVE,
    HOOKS,
    MUCH_GAS,
    NARROW,
    OPEN_VIEWS,
    TOO_LITTLE_GAS,
    Point,
    Tally,
    chunks,
    is_error,
    is_lock,
)
from backstop.harness.reentry.calls import Call, Writer, program
from backstop.harness.reentry.entries import Entry, entries
from backstop.harness.reentry.world import ReentryWorld
from backstop.harness.rpc import Outcome, Reverted, Step


class Machine:
    """Chooses the calls, finds the callbacks, plays and judges.

    Args:
        world: the deployment.
        seed: of all arguments.
        variants: how many different calls of every view.
    """

    def __init__(self, world: ReentryWorld, seed: int, variants: int = 2) -> None:
        self.world, self.client = world, world.client
        self.writer = Writer(world, seed)
        self.tally = Tally()
        self.entries = entries(world)
        self.names = {c.address.lower(): name for name, c in world.contracts.items()}
        self.functions = self._choose_functions()
        self.views = self._choose_views(variants)
        self._unanswered = self._lens_unanswered()
        self._looks: dict[str, tuple[list[bytes], list[bytes]]] = {}

    # ------------------------------------------------------------------ choosing

    def _choose_functions(self) -> list[Call]:
        """One call of every function; one that works when nobody is at work, where one is found."""
        tried = self.writer.every(views=False, tries=16)
        steps = [
            self.world.attacker.attempt.step(
                call.to, call.data, sender=self.world.bench.owner, delay=0, gas=30_000_000
            )
            for calls in tried.values()
            for call in calls
        ]
        found = iter(self.client.simulate(steps))
        chosen = []
        self.working: set[str] = set()
        for name, calls in tried.items():
            good = [call for call, done in zip(calls, found) if self._worked(done)]  # noqa: B905
            chosen.append((good or calls)[0])
            if good:
                self.working.add(name)
        return chosen

    @staticmethod
    def _worked(done: Outcome) -> bool:
        if done.error is None or done.error.name != "Undone":
            return False
        return not is_error(bytes(done.error.arguments["outcome"]))

    def _choose_views(self, variants: int) -> list[Call]:
        """Calls of every view that answer differently, at most so many of each."""
        tried = self.writer.every(views=True, tries=6 * variants)
        chosen = []
        for name, calls in tried.items():
            outcomes = self._look_now(calls)
            different: dict[bytes, Call] = {}
            for call, outcome in zip(calls, outcomes, strict=True):
                different.setdefault(outcome, call)
            answers = [call for outcome, call in different.items() if not is_error(outcome)]
            most = len(calls) if name.startswith("token") else variants
            chosen += (answers or list(different.values()))[:most]
        return chosen

    def _look_now(self, calls: Sequence[Call]) -> list[bytes]:
        done = self.client.simulate([self._look(calls, 1)])[0]
        return [bytes(outcome) for outcome in done.value]

    def _lens_unanswered(self) -> dict[str, set[bytes]]:
        """What the Lens's lists say of accounts that the engine would not talk about: not ok."""
        lens, found = self.world.bench.system.lens, dict[str, set[bytes]]()
        lock = keccak(text="Locked(address)")[:4]
        for call in self.views:
            kind = call.name.split("(")[0].removeprefix("lens.")
            if not call.name.startswith("lens.") or kind not in ("accounts", "health"):
                continue
            overload = lens[kind]._overloads[0]
            (ids,) = overload.inputs.decode(call.data[4:])
            for holder in self.world.contracts.values():
                reason = lock + bytes(12) + bytes.fromhex(holder.address[2:])
                answers: list[Any] = [(False, 0, 0, 0)] * len(ids)
                if kind == "accounts":
                    state = (0, 0, 0, 0, 0, 0, 0, ())
                    answers = [(each, False, False, False, reason, state) for each in ids]
                found.setdefault(call.name, set()).add(keccak(overload.outputs.encode([answers])))
        return found

    # ------------------------------------------------------------------ finding callbacks

    def points(self, entry: Entry) -> list[Point]:
        """The callbacks of a transaction, from its trace."""
        seen: Counter[str] = Counter()
        points = []
        with self.client.isolated():
            self._prepare(entry)
            frames = self._trace(entry)
        for caller, frame in frames:
            selector = bytes.fromhex(str(frame.get("input", "0x"))[2:10])
            if str(frame.get("to", "")).lower() != self.world.attacker.address.lower():
                continue
            if selector not in HOOKS or caller not in self.names:
                if selector in HOOKS:
                    seen[HOOKS[selector]] += 2 if HOOKS[selector] in ACTIVE else 1
                continue
            hook = HOOKS[selector]
            for _ in range(2 if hook in ACTIVE else 1):
                points.append(Point(entry, hook, selector, seen[hook], self.names[caller]))
                seen[hook] += 1
        return points

    def _prepare(self, entry: Entry) -> None:
        for step in entry.before:
            self.client.send(step.to, step.data, step.sender, gas=25_000_000)
        self.client.set_next_timestamp(self.client.timestamp + entry.wait)

    def _trace(self, entry: Entry) -> list[tuple[str, dict[str, Any]]]:
        """All calls of the transaction in their order, each with its caller."""
        step = entry.step
        receipt = self.client.send(step.to, step.data, step.sender, gas=25_000_000)
        root = self.client.rpc(
            "debug_traceTransaction", receipt.transaction, {"tracer": "callTracer"}
        )
        return list(_walk(root))

    # ------------------------------------------------------------------ looking

    def _look(self, calls: Sequence[Call], delay: int) -> Step:
        return self.world.attacker.look.step(
            program(calls), len(calls), sender=self.world.bench.owner, delay=delay, gas=MUCH_GAS
        )

    def _arm(self, point: Point, calls: Sequence[Call], undo: bool, delay: int) -> Step:
        words = (point.selector, point.occurrence, 0, len(calls), undo, program(calls))
        return self.world.attacker.arm.step(
            *words, sender=self.world.bench.owner, delay=delay, gas=MUCH_GAS
        )

    def _play_now(self, calls: Sequence[Call], delay: int) -> Step:
        return self.world.attacker.play.step(
            program(calls), len(calls), sender=self.world.bench.owner, delay=delay, gas=MUCH_GAS
        )

    def looks(self, entry: Entry) -> tuple[list[bytes], list[bytes]]:
        """What every view says before and after a transaction, in its block."""
        if entry.name not in self._looks:
            steps = [
                *entry.before,
                self._look(self.views, entry.wait),
                replace(entry.step, delay=0),
                self._look(self.views, 0),
            ]
            *_, first, done, last = self.client.simulate(steps)
            if not done.ok:
                raise AssertionError(f"{entry.name} fails: {done.error}")
            self._looks[entry.name] = (
                [bytes(outcome) for outcome in first.value],
                [bytes(outcome) for outcome in last.value],
            )
        return self._looks[entry.name]

    # ------------------------------------------------------------------ playing one by one

    def play_each(self, point: Point) -> list[Call]:
        """Every function and every view inside an active callback, each undone right after.

        Returns the functions that worked there.
        """
        before, after = self.looks(point.entry)
        said: dict[Call, tuple[bytes, bytes]] = dict(
            zip(self.views, zip(before, after, strict=True), strict=True)
        )
        worked = []
        for calls in chunks([*self.views, *self.functions], NARROW.get(point.hook, 10**6)):
            for call, outcome in self._undone(point, calls):
                self.tally.pairs.add((f"{point.caller}>{point.hook}", call.name))
                if call in said:
                    self._judge_view(point, call, outcome, said[call])
                elif self._count(outcome):
                    worked.append(call)
        return worked

    def _undone(self, point: Point, calls: Sequence[Call]) -> list[tuple[Call, bytes]]:
        """Outcomes of calls inside; in parts where the callback has too little gas for all."""
        steps = [
            *point.entry.before,
            self._arm(point, calls, True, point.entry.wait),
            replace(point.entry.step, delay=0),
        ]
        done = self.client.simulate(steps)[-1]
        played = [bytes(e.outcome) for e in done.events if e.name == "Played"]
        if len(played) == len(calls):
            return list(zip(calls, played, strict=True))
        if len(calls) == 1:
            self.tally.unread += 1
            return []
        half = len(calls) // 2
        return self._undone(point, calls[:half]) + self._undone(point, calls[half:])

    def _count(self, outcome: bytes) -> bool:
        kind = "locked" if is_lock(outcome) else "refused" if is_error(outcome) else "worked"
        self.tally.outcomes[kind] += 1
        return kind == "worked"

    def _judge_view(
        self, point: Point, call: Call, outcome: bytes, said: tuple[bytes, bytes]
    ) -> None:
        self.tally.views += 1
        if outcome in said or is_lock(outcome) or call.name in OPEN_VIEWS:
            return
        if outcome in self._unanswered.get(call.name, ()):
            return
        if is_error(outcome) and outcome[:4] in TOO_LITTLE_GAS:
            return
        self.tally.findings.append(
            f"{point}: {call.name} {call.data.hex()} answers {outcome.hex()[:16]},"
            f" before {said[0].hex()[:16]}, after {said[1].hex()[:16]}"
        )

    def look_inside(self, point: Point, calls: Sequence[Call]) -> None:
        """Views inside a static callback, read from the trace.

        A feed that uses up its gas is a broken feed, and its transaction may fail: then in parts.
        """
        try:
            found = self._looked(point, calls)
        except Reverted:
            found = 0
        if found == len(calls):
            return
        if len(calls) == 1:
            self.tally.unread += 1
            return
        half = len(calls) // 2
        self.look_inside(point, calls[:half])
        self.look_inside(point, calls[half:])

    def _looked(self, point: Point, calls: Sequence[Call]) -> int:
        """Asks and judges; returns how many were asked."""
        with self.client.isolated():
            for step in point.entry.before:
                self.client.send(step.to, step.data, step.sender, gas=25_000_000)
            arm = self._arm(point, calls, False, 0)
            self.client.send(arm.to, arm.data, arm.sender, gas=25_000_000)
            time = self.client.timestamp + point.entry.wait
            around = [
                self._look(calls, point.entry.wait),
                replace(point.entry.step, delay=0),
                self._look(calls, 0),
            ]
            before, _, after = self.client.simulate(around)
            self.client.set_next_timestamp(time)
            frames = self._trace(point.entry)
        values = zip(before.value, after.value, strict=True)
        said = {c: (bytes(x), bytes(y)) for c, (x, y) in zip(calls, values, strict=True)}
        found = 0
        wanted = {(call.to.lower(), call.data.hex()): call for call in calls}
        for caller, frame in frames:
            key = (str(frame.get("to", "")).lower(), str(frame.get("input", "0x"))[2:])
            if caller != self.world.attacker.address.lower() or key not in wanted:
                continue
            found += 1
            call = wanted[key]
            self.tally.pairs.add((f"{point.caller}>{point.hook}", call.name))
            self._judge_view(point, call, _outcome(frame), said[call])
        return found

    # ------------------------------------------------------------------ playing for good

    def compare(self, point: Point, calls: Sequence[Call]) -> None:
        """Plays calls inside, and the ones that worked before and after, and compares all views."""
        entry = point.entry
        after = [*self._completed(calls), self._look(self.views, 0)]
        steps = [
            *entry.before,
            self._arm(point, calls, False, entry.wait),
            replace(entry.step, delay=0),
            *after,
        ]
        results = self.client.simulate(steps)
        done, inside = results[-1 - len(after)], results[-1]
        played = [bytes(e.outcome) for e in done.events if e.name == "Played"]
        self.tally.sequences += 1
        if not done.ok:
            return  # what was done inside made all of it fail: nothing has happened
        worked = [(c, o) for c, o in zip(calls, played, strict=False) if not is_error(o)]
        if not worked:
            return
        self.tally.compared += 1
        chosen = [call for call, _ in worked]
        says = ([o for _, o in worked], [bytes(o) for o in inside.value])
        others = [self._outside(entry, chosen, first) for first in (True, False)]
        if says not in others:
            self.tally.findings.append(self._difference(point, chosen, says, others))

    def _outside(
        self, entry: Entry, calls: Sequence[Call], first: bool
    ) -> tuple[list[bytes], list[bytes]]:
        play = self._play_now(calls, entry.wait if first else 0)
        step = replace(entry.step, delay=0 if first else entry.wait)
        order = [play, step] if first else [step, play]
        after = [*self._completed(calls), self._look(self.views, 0)]
        results = self.client.simulate([*entry.before, *order, *after])
        events = results[len(entry.before) + (0 if first else 1)].events
        played = [bytes(e.outcome) for e in events if e.name == "Played"]
        return played, [bytes(outcome) for outcome in results[-1].value]

    def _completed(self, calls: Sequence[Call]) -> list[Step]:
        """A put settled while the fund is at work owes it the money: `deliver` brings it."""
        if not any(call.name.startswith("crash_put.settle(") for call in calls):
            return []
        put = self.world.bench.system.crash_put
        return [put.deliver.step(sender=self.world.bench.owner, delay=0)]

    def _difference(
        self,
        point: Point,
        calls: Sequence[Call],
        says: tuple[list[bytes], list[bytes]],
        others: Sequence[tuple[list[bytes], list[bytes]]],
    ) -> str:
        parts = []
        for label, other in zip(("before", "after"), others, strict=True):
            views = [
                call.name
                for call, mine, theirs in zip(self.views, says[1], other[1], strict=True)
                if mine != theirs
            ]
            parts.append(f"{label} it: {', '.join(views) or 'another result'}")
        names = ", ".join(f"{call.name} {call.data.hex()}" for call in calls)
        return f"{point}: {names} leaves what it leaves neither " + " nor ".join(parts)


def _walk(frame: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield str(frame.get("from", "")).lower(), frame
    for inner in frame.get("calls", ()):
        yield from _walk(inner)


def _outcome(frame: dict[str, Any]) -> bytes:
    data = bytes.fromhex(str(frame.get("output", "0x"))[2:])
    return data[:4].ljust(32, b"\0") if frame.get("error") else keccak(data)
