"""What the keeper knows: the chain's head, every account's risk, and who is below maintenance."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from backstop.chain.deploy import System
from backstop.chain.lens import Lens, Snapshot
from backstop.harness.rpc import RpcError
from backstop.keeper.book import Book
from backstop.keeper.config import LookConfig
from backstop.keeper.desk import Desk, Desks
from backstop.keeper.follow import Follower, Head, Update
from backstop.keeper.metrics import Metrics


@dataclass(frozen=True)
class Sight:
    """What one look found.

    Attributes:
        markets: ILens.MarketReport of every market.
        own: ILens.AccountReport of the keeper's account.
        liquidatable: ILens.AccountReport of confirmed accounts, the largest shortfall first.
        update: what was new on the chain.
        desks: the backstop's accounts that hold something, by market.
    """

    head: Head
    markets: tuple[Any, ...]
    own: Any
    liquidatable: tuple[Any, ...]
    update: Update
    desks: dict[int, Desk]


@dataclass
class Watch:
    """Follows the chain and keeps the book.

    Args:
        system: the deployment.
        own: the keeper's account.
        look: how often, how widely.
        metrics: told how long it took.
        progress: told how far the first reading is: blocks or accounts done, of how many.
        say: told what the operator has to know.
        clock: seconds, for the time between two refreshes.
    """

    system: System
    own: bytes
    look: LookConfig
    metrics: Metrics
    progress: Callable[[str, int, int], None] = lambda what, done, all_: None
    say: Callable[[str], None] = lambda text: None
    clock: Callable[[], float] = time.monotonic
    dirty: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.lens = Lens(self.system, self.look.batch)
        self.book = Book(self.look.price_slack)
        self.desks = Desks(self.system)
        self.follower = Follower(
            self.system.client,
            self.system,
            progress=lambda block, head: self.progress("blocks", block, head),
        )
        self._refreshed = 0.0
        self._unread: Update | None = None
        self._ahead: bool | None = None

    def poll(self) -> Sight | None:
        """Look at the chain; None if there is no new block.

        Raises:
            NodeError, RpcError: the node does not answer; nothing is lost.
        """
        update = self._update()
        if update is None:
            return None
        last = self._read()
        risky = self._decide()
        reports = self._confirm(risky)
        self.metrics.head.set(update.head.number)
        self.metrics.accounts.set(len(self.book))
        self.metrics.candidates.set(self.book.candidates)
        self.metrics.at_risk.set(len(reports))
        self._unread = None
        own, *ours = last.accounts
        return Sight(
            update.head, last.markets, own, tuple(reports), update, self._desks(reports, ours)
        )

    def _desks(self, liquidatable: list[Any], reports: list[Any]) -> dict[int, Desk]:
        """Books and caps are read where somebody may need the inventory or there is some."""
        held = any(position.size for report in reports for position in report.state.positions)
        return self.desks.read(reports) if liquidatable or held else {}

    def _update(self) -> Update | None:
        """What is new, with what a look that failed has left behind."""
        new, left = self.follower.poll(), self._unread
        if new is not None and new.reset:
            # another chain, or one so far back that nothing can be compared: read all anew
            self.dirty |= set(self.book.ids)
            self.book.clear()
        if new is not None:
            self.dirty |= new.touched
        if new is not None and left is not None:
            new = replace(
                new,
                touched=new.touched | left.touched,
                reorganised=max(new.reorganised, left.reorganised),
                reset=new.reset or left.reset,
            )
        self._unread = new or left
        return self._unread

    def at(self, head: Head | None) -> int | None:
        """The time that views and trial calls are to see; None for the newest block's."""
        return head.timestamp + self.look.ahead if head is not None and self._ahead else None

    def moment(self, head: Head) -> int:
        """The same as a number."""
        return self.at(head) or head.timestamp

    def _check_ahead(self) -> None:
        """Whether the node can show a call a later time; if not, the newest block's has to do."""
        if self.look.ahead and self._ahead is None:
            head = self.follower.head
            try:
                self.lens.snapshot((), at=head.timestamp + self.look.ahead if head else None)
                self._ahead = True
            except RpcError:
                self._ahead = False
                self.say(
                    "the node cannot show a call a later time: look.ahead is left out, accounts"
                    " are judged as of the newest block"
                )

    # --- reading

    def _read(self) -> Snapshot:
        """Read what was touched; the last snapshot has the keeper's account and the backstop's."""
        self._check_ahead()
        at = self.at(self.follower.head)
        waiting = sorted(self.dirty)
        for start in range(0, len(waiting), self.look.batch):
            part = waiting[start : start + self.look.batch]
            for snapshot in self.lens.snapshots(part, at=at):
                self._take(snapshot)
            if len(waiting) > 10 * self.look.batch:
                self.progress("accounts", start + len(part), len(waiting))
        ours = self.desks.accounts(len(self.system.record.markets))
        last = self.lens.snapshot([self.own, *ours], at=at)
        if self.book.markets and (ended := self.book.ended(last.markets)):
            for snapshot in self.lens.snapshots(ended, at=at):
                self._take(snapshot)
        self.book.update(last.markets)
        return last

    def _take(self, snapshot: Snapshot) -> None:
        """Into the book; what could not be read stays to be read."""
        read = [report for report in snapshot.accounts if report.ok]
        self.book.set(read, snapshot.markets)
        self.dirty.difference_update(report.account for report in read)

    def _decide(self) -> list[bytes]:
        now = self.clock()
        if self.book.stale or now - self._refreshed >= self.look.refresh:
            began = time.perf_counter()
            self.book.refresh()
            self.metrics.refresh_seconds.observe(time.perf_counter() - began)
            self._refreshed = now
        began = time.perf_counter()
        risky = self.book.at_risk()
        self.metrics.decision_seconds.observe(time.perf_counter() - began)
        return risky

    def _confirm(self, ids: list[bytes]) -> list[Any]:
        """The contracts' word on every account at risk, the largest shortfall first."""
        wanted = [account for account in ids if account != self.own]
        found = [
            report
            for snapshot in self.lens.snapshots(wanted, at=self.at(self.follower.head))
            for report in snapshot.accounts
            if report.ok and report.liquidatable
        ]
        found.sort(key=lambda r: r.state.equity - r.state.maintenanceMargin)
        return found
