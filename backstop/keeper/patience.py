"""What the keeper remembers of accounts it could not help at once: since when they are in danger,
how long they rest after a refusal, and what was said of them. Chores of upkeep rest likewise.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from backstop.keeper.pending import Intent

_LONGEST_REST: Final = 4
"""Blocks that an account rests after several transactions for it were refused on the chain."""

_LONGEST_PUT_OFF: Final = 64
"""The same for a chore: nobody is in danger while it waits."""


@dataclass
class _Rest:
    """What was refused on the chain: how often, in which block last, and the end of its rest."""

    refused: int = 0
    until: int = 0
    last: int = -1


def _subject(intent: Intent) -> bytes:
    return intent.account or intent.data


@dataclass
class Patience:
    """By account; blocks are numbers."""

    _rests: dict[bytes, _Rest] = field(default_factory=dict)
    _said: dict[bytes, str] = field(default_factory=dict)
    _since: dict[bytes, int] = field(default_factory=dict)
    _answered: set[bytes] = field(default_factory=set)

    def see(self, present: Collection[bytes], block: int) -> None:
        """These are below maintenance margin in this block, nobody else is."""
        for account in present:
            self._since.setdefault(account, block)
        for account in [a for a in self._since if a not in present]:
            del self._since[account]
            self._answered.discard(account)
            self._rests.pop(account, None)
            self._said.pop(account, None)

    def forget_rests(self) -> None:
        """After a reorganisation nothing that was refused counts."""
        self._rests.clear()

    def rest(self, intent: Intent, block: int) -> None:
        """Refused on the chain: an account is tried again at once twice, then ever later; a chore
        after 1, 2, 4 blocks and so on. Several steps refused in one block count as one.
        """
        rest = self._rests.setdefault(_subject(intent), _Rest())
        if rest.last == block:
            return
        if intent.account:
            rest.until = block + min(_LONGEST_REST, max(0, rest.refused - 1))
        else:
            rest.until = block + min(_LONGEST_PUT_OFF, 1 << rest.refused)
        rest.refused, rest.last = rest.refused + 1, block

    def done(self, intent: Intent) -> None:
        """Mined: a chore starts anew (an account's rests end when it is out of danger)."""
        if not intent.account:
            self._rests.pop(intent.data, None)

    def was_refused(self, account: bytes) -> bool:
        """A transaction for it was refused on the chain since it is in danger."""
        return account in self._rests

    def rests(self, subject: bytes, block: int) -> bool:
        """It is not tried in this block: an account, or a chore by its transaction's data."""
        rest = self._rests.get(subject)
        return rest is not None and rest.until > block

    def is_news(self, account: bytes, what: str) -> bool:
        """Whether this was not the last thing said of the account; it is from now on."""
        news = self._said.get(account) != what
        self._said[account] = what
        return news

    def act(self, account: bytes) -> None:
        """Something was done: whatever is said next is new."""
        self._said.pop(account, None)

    def answer(self, account: bytes, block: int) -> int | None:
        """Blocks that it waited for its first transaction; None if that is no longer the first."""
        if account not in self._since or account in self._answered:
            return None
        self._answered.add(account)
        return max(0, block - self._since[account])
