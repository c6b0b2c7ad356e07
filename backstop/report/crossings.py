"""How long accounts were liquidatable before somebody acted, from the chain's past states.

The engine's `health` is asked at the end of earlier blocks: first doubling the distance until the
account was sound, then by bisection. That takes a node that keeps old states (an archive node).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from backstop.harness.abi import NoData, Reverted
from backstop.harness.rpc import RpcError
from backstop.report.context import Context
from backstop.report.errors import ReportError
from backstop.report.numbers import spread
from backstop.report.state import StateReader
from backstop.store import Header
from backstop.store.source import ChainSource


@dataclass(frozen=True)
class Step:
    """A liquidation or close-out; `since` is the account's step before it, or the block 0."""

    account: str
    keeper: str
    block: int
    time: int
    since: int


class Crossings:
    """Finds when accounts fell below maintenance margin."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._source = ChainSource(context.system.client, [])
        self._header = lru_cache(maxsize=None)(self._find_header)

    def waits(self, steps: Sequence[Step]) -> list[tuple[int, int]]:
        """(seconds, blocks) from the crossing, or the account's last step, to each step.

        Raises:
            ReportError: the node has no state of an earlier block.
        """
        found = []
        for step in steps:
            crossed = self._crossing(step)
            if crossed >= step.block:
                found.append((0, 0))
            else:
                found.append((step.time - self._header(crossed).time, step.block - crossed))
        return found

    def _crossing(self, step: Step) -> int:
        """The first block at whose end the account was liquidatable without a break until now."""
        sound, back = step.block, 1
        below = step.block
        while True:
            block = max(step.since, step.block - back)
            if not self._below(step.account, block):
                sound = block
                break
            below = block
            if block == step.since:
                return block
            back *= 2
        while below - sound > 1:
            middle = (sound + below) // 2
            if self._below(step.account, middle):
                below = middle
            else:
                sound = middle
        return below

    def _below(self, account: str, block: int) -> bool:
        reader = StateReader(self._context.system, block)
        try:
            health = reader.call(self._context.system.engine, "health", bytes.fromhex(account[2:]))
        except (Reverted, NoData):
            return False  # nobody could have acted: no price, or no engine yet
        except RpcError as error:
            raise ReportError(
                f"the node does not have the state of block {block} ({error.message}): ask an"
                " archive node, or leave out --crossings"
            ) from error
        return bool(health[0] < health[2])

    def _find_header(self, number: int) -> Header:
        header = self._source.header(number)
        if header is None:
            raise ReportError(f"the node does not know block {number} any more: start again")
        return header


def section(context: Context, steps: Sequence[Step]) -> dict[str, Any]:
    """Time to liquidate from the crossing, over all steps and by keeper."""
    waits = Crossings(context).waits(steps)
    keepers = sorted({step.keeper for step in steps})
    return {
        "measuredFrom": "the first block at whose end the account was below maintenance margin,"
        " without a break until the step, or the account's step before",
        "seconds": spread([seconds for seconds, _ in waits]),
        "blocks": spread([blocks for _, blocks in waits]),
        "keepers": [
            {
                "keeper": keeper,
                "blocks": spread(
                    [w[1] for s, w in zip(steps, waits, strict=True) if s.keeper == keeper]
                ),
            }
            for keeper in keepers
        ],
    }
