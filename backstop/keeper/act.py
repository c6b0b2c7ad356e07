"""Trying and sending what was decided: the same for liquidations and for upkeep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from backstop.chain.deploy import System
from backstop.chain.errors import Words
from backstop.chain.format import account as shown_account
from backstop.harness.abi import Reverted
from backstop.keeper.case import Offer
from backstop.keeper.metrics import Metrics
from backstop.keeper.patience import Patience
from backstop.keeper.pending import Intent
from backstop.keeper.sender import Sender
from backstop.keeper.trial import refusals
from backstop.keeper.watch import Watch

Say = Callable[..., None]
"""`say(sentence, **fields)`: the sentence for people, the fields for programs."""


@dataclass
class Actor:
    """Turns offers into transactions.

    Attributes:
        dry_run: say what would be sent, and send nothing.
    """

    system: System
    watch: Watch
    sender: Sender
    words: Words
    metrics: Metrics
    say: Say
    dry_run: bool = False
    patience: Patience = field(default_factory=Patience)

    def intent(self, offer: Offer) -> Intent:
        """The transaction of an offer."""
        contract = getattr(self.system, offer.contract)
        return Intent(
            way=offer.way,
            account=offer.account,
            market=offer.market,
            to=contract.address,
            data=contract[offer.function].encode(*offer.arguments),
            gas=offer.gas_limit,
            expected_gas=offer.gas,
            profit=offer.profit,
            margin=offer.margin,
            notional=offer.notional,
        )

    def refusals(self, intents: Sequence[Intent]) -> list[Reverted | None]:
        """Why the contracts would refuse each of these now; None where they would not."""
        at = self.watch.at(self.watch.follower.head)
        return refusals(self.system.client, self.sender.wallet.address, intents, at)

    def useful(self, intent: Intent) -> bool:
        """Whether a transaction that has to be replaced would still be accepted."""
        return self.refusals([intent]) == [None]

    def send(self, offers: Sequence[Offer], block: int, step: int = 1) -> None:
        """Liquidations, together: signed, written down, sent.

        Args:
            offers: that the contracts would accept.
            block: number of the newest block.
            step: the how-manieth of their accounts in this look.

        Raises:
            CannotSend: fees, budget, or too many under way; those before it have left.
        """
        try:
            for offer in offers:
                self._prepare(offer, block, step)
        finally:
            self.sender.send_prepared()

    def _prepare(self, offer: Offer, block: int, step: int) -> None:
        name = self.words.market(offer.market)
        text = (
            f"{offer.way} of {shown_account(offer.account)} in {name}:"
            f" {offer.notional:,.2f} tokens of notional, expected profit {offer.profit:,.4f}"
            + (f", step {step}" if step > 1 else "")
        )
        fields: dict[str, Any] = {
            "way": offer.way,
            "account": offer.account,
            "market": offer.market,
            "step": step,
        }
        if self.dry_run:
            if self.patience.is_news(offer.account, f"{offer.way} {step}"):
                self.say(f"would send {text}", event="would send", **fields)
            return
        self.patience.act(offer.account)
        pending = self.sender.prepare(self.intent(offer), block)
        self.say(f"sent {text} (nonce {pending.nonce})", event="sent", **fields)
