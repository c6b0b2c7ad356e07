"""A campaign: workers with a node each play seed after seed until the time is up or one fails."""

from __future__ import annotations

import multiprocessing as mp
import queue
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from typing import Any, Final

from backstop.chain.artifacts import build_artifacts
from backstop.harness.anvil import Anvil, account_address
from backstop.harness.fuzz.case import Case
from backstop.harness.fuzz.coverage import Coverage, Universe
from backstop.harness.fuzz.recording import RecordingDuel
from backstop.harness.fuzz.shrink import Failure, shrink
from backstop.harness.players import Player, RandomChooser
from backstop.harness.rpc import NodeError
from backstop.harness.world import ChainWorld, deploy_world

PROGRESS_EVERY: Final = 5.0
"""Seconds between two lines."""

_WAIT_FOR_WORKERS: Final = 30.0


@dataclass(frozen=True)
class Plan:
    """What is to be played.

    Attributes:
        minutes: how long.
        workers: processes, each with a node of its own.
        seed: of the first play; every play has the next one.
        length: turns of the player after the opening.
    """

    minutes: float
    workers: int
    seed: int
    length: int


@dataclass(frozen=True)
class Finding:
    """A play that failed, and its shrunk case."""

    seed: int
    failure: Failure
    case: Case
    original: int
    alone: bool
    seconds: float


@dataclass
class Result:
    """What a campaign found."""

    coverage: Coverage = field(default_factory=Coverage)
    universe: Universe | None = None
    findings: list[Finding] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False
    shrinking: int = 0


def play_seed(
    seed: int, length: int, chain: ChainWorld | None
) -> tuple[RecordingDuel, Failure | None]:
    """One play with all checks, on both sides if there is a chain."""
    duel = RecordingDuel(chain)
    player = Player(duel, RandomChooser(seed))
    try:
        player.opening()
        for _ in range(length):
            player.play()
        duel.verify()
    except NodeError:
        raise
    except Exception as error:
        return duel, Failure.of(error)
    return duel, None


def investigate(
    seed: int, duel: RecordingDuel, failure: Failure, chain: ChainWorld | None
) -> Finding:
    """The failure's short case."""
    started = time.monotonic()
    actions, alone = shrink(duel.played, failure, chain)
    message = failure.message.splitlines()[0]
    case = Case.of(f"{failure.kind}, found with seed {seed}", actions, found=message)
    return Finding(seed, failure, case, len(duel.played), alone, time.monotonic() - started)


def _work(number: int, plan: Plan, stop: Event, out: Any) -> None:
    """A worker's process: ends when told to, or at its first failure."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which sets `stop`
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        with Anvil() as node:
            chain = deploy_world(node.client, build_artifacts(), account_address(0))
            out.put(("ready", Universe.of(chain)))
            seed = plan.seed + number
            while not stop.is_set():
                duel, failure = play_seed(seed, plan.length, chain)
                if failure is not None:
                    out.put(("failed", seed, failure.message))
                    out.put(("finding", investigate(seed, duel, failure, chain)))
                    return
                coverage = Coverage()
                coverage.add_duel(duel)
                out.put(("played", coverage))
                seed += plan.workers
    except Exception as error:
        out.put(("broken", f"worker {number}: {type(error).__name__}: {error}"))


def run(plan: Plan, say: Callable[[str], None]) -> Result:
    """Runs a campaign and says how it goes on; Ctrl-C ends it in good order."""
    context: Any = mp.get_context("fork" if sys.platform == "linux" else "spawn")
    stop, out = context.Event(), context.Queue()
    workers = [
        context.Process(target=_work, args=(number, plan, stop, out), daemon=True)
        for number in range(plan.workers)
    ]
    result = Result()
    for worker in workers:
        worker.start()
    try:
        _follow(plan, workers, out, result, say)
    except KeyboardInterrupt:
        result.interrupted = True
        say("interrupted: the plays under way are finished first")
    finally:
        stop.set()
        _finish(workers, out, result, say)
    return result


def _follow(
    plan: Plan, workers: list[Any], out: Any, result: Result, say: Callable[[str], None]
) -> None:
    """Until the time is up, something is found, or nobody works any more.

    The time counts from when the first contracts are there.
    """
    started: float | None = None
    line = time.monotonic() + PROGRESS_EVERY
    while any(worker.is_alive() for worker in workers):
        _take(out, result, say, 0.2)
        now = time.monotonic()
        if started is None and result.universe is not None:
            started = now
        if started is not None:
            result.seconds = now - started
        if now >= line:
            say(progress(result))
            line = now + PROGRESS_EVERY
        found = result.findings or result.shrinking or result.broken
        if found or result.seconds >= plan.minutes * 60:
            return


def _finish(workers: list[Any], out: Any, result: Result, say: Callable[[str], None]) -> None:
    """Waits for the plays under way; a second Ctrl-C, or a worker that hangs, ends them at once."""
    deadline = time.monotonic() + _WAIT_FOR_WORKERS
    try:
        while any(worker.is_alive() for worker in workers):
            _take(out, result, say, 0.2)
            if time.monotonic() > deadline and result.shrinking <= len(result.findings):
                break
    except KeyboardInterrupt:
        say("interrupted again: the workers are stopped")
    for worker in workers:
        if worker.is_alive():
            worker.kill()  # its node has a watchdog
        worker.join()
    while _take(out, result, say, 0.1):
        pass


def _take(out: Any, result: Result, say: Callable[[str], None], timeout: float) -> bool:
    """One message of a worker; False if there is none."""
    try:
        kind, *rest = out.get(timeout=timeout)
    except queue.Empty:
        return False
    if kind == "ready":
        result.universe = rest[0]
    elif kind == "played":
        result.coverage.add(rest[0])
    elif kind == "failed":
        result.shrinking += 1
        say(f"seed {rest[0]} fails, and is being shrunk: {rest[1].splitlines()[0]}")
    elif kind == "finding":
        result.findings.append(rest[0])
    else:
        result.broken.append(rest[0])
    return True


def progress(result: Result) -> str:
    """One line: speed, coverage, depth, milestones."""
    coverage, universe = result.coverage, result.universe
    if universe is None:
        return "deploying the contracts"
    speed = coverage.actions / result.seconds if result.seconds else 0.0
    functions = len(universe.functions & set(coverage.called))
    errors = len(set(universe.errors) & set(coverage.errors))
    return (
        f"{result.seconds:6.0f} s  {coverage.actions:,} actions ({speed:,.0f}/s), "
        f"{coverage.plays:,} plays, deepest {coverage.deepest}; "
        f"functions {functions}/{len(universe.functions)}, "
        f"errors {errors}/{len(universe.errors)}, milestones {len(+coverage.milestones)}"
    )
