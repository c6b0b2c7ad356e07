"""Upkeep of a look: what is due is tried, and sent out of the same budget as liquidations."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from backstop.chain.errors import explain
from backstop.keeper.act import Actor
from backstop.keeper.collect import Collector
from backstop.keeper.config import KeeperConfig
from backstop.keeper.pending import CannotSend, Intent
from backstop.keeper.upkeep import Job, Upkeep
from backstop.keeper.watch import Sight


class Chores:
    """Does them.

    Args:
        actor: tries and sends.
        config: parameters.
        own: the keeper's account.
        stop: set when nothing new is to be sent.
    """

    def __init__(
        self, actor: Actor, config: KeeperConfig, own: bytes, stop: threading.Event
    ) -> None:
        self.actor, self.config, self.stop = actor, config, stop
        name, book = actor.words.market, actor.watch.book
        self.upkeep = Upkeep(config.upkeep, name)
        self.collector = Collector(actor.system, config, own, lambda: book.ids, name)

    def do(self, sight: Sight) -> None:
        """Everything that is due; the rest waits where the budget ends."""
        block, patience = sight.head.number, self.actor.patience
        under_way = {p.intent.data for p in self.actor.sender.pending.values()}
        for job in self._due(sight):
            intent = self.actor.intent(job.offer)
            if intent.data in under_way or patience.rests(intent.data, block):
                continue
            if self.stop.is_set() or not self._carry_out(job, intent, block):
                return

    def _due(self, sight: Sight) -> Iterator[Job]:
        self.collector.note(sight)
        poked = {
            p.intent.market for p in self.actor.sender.pending.values() if p.intent.way == "poke"
        }
        yield from self.upkeep.pokes(sight.markets, sight.head.timestamp, poked)
        window = self.actor.system.engine.fairWindow()
        if job := self.upkeep.close(window, self.actor.watch.moment(sight.head)):
            yield job
        yield from self.collector.jobs(window, self.actor.sender.fees.price)

    def _carry_out(self, job: Job, intent: Intent, block: int) -> bool:
        """False if nothing can be sent now."""
        actor, key = self.actor, intent.data
        fields = {"way": job.offer.way, "market": job.offer.market}
        (error,) = actor.refusals([intent])
        if error is not None:
            if actor.patience.is_news(key, "refused"):
                actor.say(f"{job.text} would be refused: {explain(error, actor.words)}", **fields)
            return True
        if actor.dry_run:
            if actor.patience.is_news(key, "would send") or job.offer.way == "poke":
                actor.say(f"would send {job.text}", event="would send", **fields)
            return True
        try:
            actor.sender.submit(intent, block)
        except CannotSend as refusal:
            actor.metrics.refused.labels(refusal.reason).inc()
            return False
        actor.patience.act(key)
        actor.say(f"sent {job.text}", event="sent", **fields)
        return True
