"""Follows the chain in a thread of its own and publishes panels."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from backstop.monitor import feed, rules
from backstop.monitor.book import Book, Terms
from backstop.monitor.history import History, News
from backstop.monitor.hub import Hub
from backstop.monitor.panels import fund_panel, markets_panel, risk_panel, stake_panel
from backstop.monitor.series import FUND_EVENTS
from backstop.monitor.shock import ladder
from backstop.monitor.source import READ_ERRORS, Gone, Head, Source
from backstop.monitor.state import State, read_state
from backstop.store import StoreError

log = logging.getLogger(__name__)

_FEED: Final = 120
_SCHEDULED: Final = 200
_PAST: Final = 160
"""Past blocks that are read again for the series after a start, at most."""

_PAST_AT_ONCE: Final = 8


@dataclass(frozen=True)
class Pace:
    """How often what is done, seconds.

    Attributes:
        poll: between two looks at the newest block.
        gap: at least between two readings of the contracts.
        retry: between two attempts to reach a node that is gone.
        stall: without a new block after which the chain counts as standing still; 0 never.
        book_share: part of the time that may go into reading all accounts again.
    """

    poll: float = 0.1
    gap: float = 0.2
    retry: float = 1.0
    stall: float = 120.0
    book_share: float = 0.25


class Watcher(threading.Thread):
    """The thread.

    Args:
        source: the chain.
        hub: gets the panels.
        pace: how often.
        store: file of the event store; that of the chain id if None.
    """

    def __init__(
        self,
        source: Source,
        hub: Hub,
        pace: Pace | None = None,
        store: Path | None = None,
    ) -> None:
        super().__init__(name="monitor-watcher", daemon=True)
        self.source, self.hub, self.pace = source, hub, pace or Pace()
        self._store = store
        self._ended = threading.Event()
        self._history: History | None = None
        self._book = Book()
        self._head: Head | None = None
        self._state: State | None = None
        self._past: list[tuple[int, int]] | None = None
        self._last_read = self._book_read = self._book_took = 0.0
        self._seen = time.monotonic()
        self._reorganisations = 0
        self._trouble = ""

    def stop(self) -> None:
        """End the thread soon."""
        self._ended.set()

    def run(self) -> None:
        """Until `stop`. A chain that cannot be read is said on the page, and tried again."""
        try:
            self._run()
        finally:
            if self._history is not None:
                self._history.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                self.step()
                pause = self.pace.poll
            except Gone as error:
                self._say("gone", str(error))
                pause = self.pace.retry
            except READ_ERRORS as error:
                # a reorganisation below a reading, a pruned block, a node that is going down
                self._say("gone", f"the chain cannot be read: {error}")
                self.source.lost()
                pause = self.pace.retry
            except Exception:
                log.exception("the page's figures could not be made")
                self._say("gone", "a defect of the monitor: its log has the traceback")
                pause = max(self.pace.retry, 5.0)
            self._ended.wait(max(0.0, pause - (time.monotonic() - began)))

    def step(self) -> None:
        """Look once: publish what a new block changed, else read some of the past."""
        head, fresh = self.source.head()
        if fresh:
            self._attached()
        now = time.monotonic()
        if head != self._head:
            self._seen = now
            if now - self._last_read >= self.pace.gap:
                self._follow(head)
                self._last_read = time.monotonic()
            return
        self._backfill()
        stalled = self.pace.stall and now - self._seen > self.pace.stall
        if stalled:
            self._say(
                "stalled",
                f"the chain stands still: no new block for {now - self._seen:.0f} s"
                f" (limit {self.pace.stall:g} s, --stall)",
            )
        else:
            self._say("live", self._trouble)

    def _attached(self) -> None:
        """A deployment was found: for the first time, or on a node that came back."""
        if self._history is not None:
            self._history.close()
        try:
            self._history = History(self.source.system, self._store)
        except StoreError as error:
            self.source.lost()
            raise Gone(str(error)) from error
        self._book.forget()
        self._head = self._state = self._past = None
        self.hub.series.clear()

    def _follow(self, head: Head) -> None:
        assert self._history is not None
        system, first = self.source.system, self._state is None
        news = self._sync(head)
        if news.rewound_to is not None:
            self._reorganisations += 1
            self._book.forget()
            self.hub.series.rewind(news.rewound_to)
        state = read_state(system, head.number, head.time)
        self._read_book(news)
        arrays = self._book.arrays
        risk = risk_panel(arrays, state) | {"unreadable": self._book.unreadable}
        self.hub.series.add(state, risk["below"], risk["at_risk"])
        panels: dict[str, Any] = {
            "fund": fund_panel(state),
            "markets": markets_panel(state),
            "stake": stake_panel(state),
            "risk": risk,
            "shock": ladder(arrays, Terms.of(state.markets), state),
        }
        if news.events or news.rewound_to is not None or first:
            panels["feed"] = feed.lines(system, self._history.newest(feed.NAMES, _FEED))
        scheduled = self._history.newest(rules.EVENTS, _SCHEDULED)
        panels["rules"] = rules.rules_panel(system, state, scheduled, head.time)
        self._head, self._state = head, state
        self.hub.publish(status=self._status("live", self._trouble), **panels)

    def _sync(self, head: Head) -> News:
        """The new events. Without them (no logs, a full disk) the page shows the rest."""
        assert self._history is not None
        shown = 0.0

        def progress(block: int, last: int) -> None:
            nonlocal shown
            if last - block > 1000 and time.monotonic() - shown > 1:
                shown = time.monotonic()
                self._say("starting", f"reading the events: block {block:,} of {last:,}")

        try:
            news = self._history.sync(head, progress)
        except StoreError as error:
            self._trouble = f"events are missing: {error}"
            return News()
        self._trouble = ""
        return news

    def _read_book(self, news: News) -> None:
        """The accounts that events name; all of them when that is due."""
        assert self._history is not None
        began = time.monotonic()
        due = self._book_read + self._book_took / self.pace.book_share
        system = self.source.system
        if len(self._book) < len(self._history.accounts) // 2 or began >= due:
            self._book.read(system, sorted(self._history.accounts))
            self._book_read = time.monotonic()
            self._book_took = self._book_read - began
        elif news.accounts:
            self._book.read(system, sorted(news.accounts))

    def _backfill(self) -> None:
        """Some past blocks for the series, newest first, while nothing else is to do."""
        if self._state is None or self._history is None:
            return
        if self._past is None:
            first = self.hub.series.first or self._state.block
            past = [(b, t) for t, b in self._history.blocks(FUND_EVENTS).items() if b < first]
            self._past = past[:: max(1, -(-len(past) // _PAST))]
        if not self._past:
            return
        part, self._past = self._past[-_PAST_AT_ONCE:], self._past[:-_PAST_AT_ONCE]
        try:
            states = [read_state(self.source.system, block, t) for block, t in part]
        except READ_ERRORS as error:
            log.info("the node does not keep the state of block %s: %s", part[0][0], error)
            self._past = []
            return
        self.hub.series.extend_back(states)
        self.hub.publish()

    def _say(self, kind: str, problem: str) -> None:
        self.hub.publish(status=self._status(kind, problem))

    def _status(self, kind: str, problem: str) -> dict[str, Any]:
        status: dict[str, Any] = {
            "state": kind,
            "problem": problem,
            "stall": self.pace.stall,
            "reorganisations": self._reorganisations,
        }
        if self._head is not None:
            status |= {"block": self._head.number, "time": self._head.time}
        try:
            record = self.source.system.record
        except Gone:
            before = self.hub.get("status") or {}
            kept = ("chain", "symbol", "markets", "parameters", "contracts")
            return {key: before[key] for key in kept if key in before} | status
        return status | {
            "chain": record.chain_id,
            "symbol": record.token_symbol,
            "markets": [market.name for market in record.markets],
            "parameters": record.parameters,
            "contracts": {name: c.address for name, c in record.contracts.items()},
        }
