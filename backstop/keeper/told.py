"""Sentences: how a transaction ended, why an offer is not taken."""

from __future__ import annotations

from backstop.chain.errors import Words, explain
from backstop.chain.format import account as shown_account
from backstop.harness.abi import Reverted
from backstop.keeper.case import Offer
from backstop.keeper.pending import Intent, Outcome


def outcome_text(outcome: Outcome, words: Words) -> str:
    """What became of it, and why."""
    pending = outcome.pending
    text = f"{_named(pending.intent, words)} (nonce {pending.nonce})"
    if outcome.kind == "mined":
        return f"{text} is mined in block {pending.mined_in}"
    if outcome.kind == "reverted":
        error = outcome.error
        why = explain(error, words) if isinstance(error, Reverted) else str(error)
        return f"{text} was refused: {why}"
    if outcome.kind == "cancelled":
        return f"nonce {pending.nonce} was used up by an empty transaction"
    return f"{text} lost its nonce to another transaction of this account"


def _named(intent: Intent, words: Words) -> str:
    if intent.account:
        return f"{intent.way} of {shown_account(intent.account)}"
    return intent.way if intent.market < 0 else f"{intent.way} of {words.market(intent.market)}"


def too_dear(offer: Offer) -> str:
    """Why an offer does not pay."""
    would = "lose" if offer.profit < 0 else "earn"
    return f"{offer.way} does not pay: it would {would} {abs(offer.profit):.4g} tokens after gas"
