"""One pass over the events up to a block, one look at the contracts there, and the report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eth_utils import keccak

from backstop.chain.deploy import System
from backstop.report.balance import engine_sheet, fund_sheet, markets_sheet
from backstop.report.context import Checks, Context
from backstop.report.errors import ReportError
from backstop.report.governance import Governance
from backstop.report.inventory import Inventory
from backstop.report.liquidations import Deleveraging, Liquidations
from backstop.report.money import History, Income, Stakers
from backstop.report.state import ChainState, StateReader
from backstop.report.waterfall import Waterfall
from backstop.report.windows import FairWindows
from backstop.store import EventStore, Header
from backstop.store.ledger import FundLedger
from backstop.store.positions import PositionBook
from backstop.store.source import ChainSource
from backstop.store.store import StoredEvent

FORMAT = 1
"""Of the report's JSON."""


@dataclass(frozen=True)
class Report:
    """A finished report.

    Attributes:
        data: everything, as JSON has it; amounts are exact decimal text in whole tokens.
        broken: checks that failed.
    """

    data: dict[str, Any]
    broken: list[str]

    @property
    def text(self) -> str:
        """The JSON, the same bytes for everybody."""
        return json.dumps(self.data, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @property
    def digest(self) -> str:
        """SHA-256 of the JSON."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def build(
    store: EventStore,
    system: System,
    first: int,
    last: int,
    *,
    crossings: bool = False,
    progress: Callable[[str], None] = lambda phase: None,
) -> Report:
    """The report on blocks `first` to `last`.

    Args:
        store: synchronised at least up to `last`.
        system: the deployment, on a node that has the state of `last`.
        first: first block of the period.
        last: last block of the period.
        crossings: also find out when accounts fell below maintenance margin; needs past states.
        progress: told what is being done.

    Raises:
        ReportError: the blocks do not fit, or the node cannot say what is needed.
    """
    context = _context(store, system, first, last)
    progress("replaying the events")
    replay = _Replay(context)
    data_hash, count = replay.run(store)
    progress(f"reading the contracts and {len(replay.book.accounts)} accounts")
    state = StateReader(system, last).read(
        list(replay.book.accounts), sorted(replay.stakers.requests)
    )
    checks = Checks()
    data = {
        "format": FORMAT,
        "period": _period(context),
        "deployment": _deployment(context, state, checks, data_hash, count),
        "token": {
            "symbol": system.record.token_symbol,
            "decimals": system.record.token_decimals,
        },
        "balanceSheet": {
            "fund": fund_sheet(context, replay.ledger, state, checks),
            "engine": engine_sheet(context, state, checks),
        },
        "markets": markets_sheet(context, replay.book, state, checks),
        "inventory": replay.inventory.result(replay.ledger, state, checks),
        "waterfall": replay.waterfall.result(checks),
        "fairWindows": replay.windows.result(checks),
        "deleveraging": replay.deleveraging.result(),
        "liquidations": replay.liquidations.result(crossings),
        "income": replay.income.result(replay.ledger, len(state.markets)),
        "stakers": replay.stakers.result(replay.ledger, state),
        "history": replay.history.result(),
        "parameters": replay.governance.result(),
        "pendingChanges": replay.governance.pending(),
    }
    data["checks"] = checks.done
    return Report(data, checks.broken)


def _context(store: EventStore, system: System, first: int, last: int) -> Context:
    if first > last:
        raise ReportError(f"the period is empty: it begins at block {first} and ends at {last}")
    tip = store.tip
    if tip is None or tip.number < last:
        reached = "nothing" if tip is None else f"block {tip.number}"
        raise ReportError(
            f"block {last} is not in the event store, which has reached {reached}: choose an"
            " earlier --to, or run `ape run index_events`"
        )
    source = ChainSource(system.client, store.addresses)
    headers = [source.header(number) for number in (first, last)]
    if headers[0] is None or headers[1] is None:
        raise ReportError(f"the node does not know blocks {first} to {last}: choose others")
    return Context(system, headers[0], headers[1])


def _period(context: Context) -> dict[str, Any]:
    return {
        "chainId": context.system.record.chain_id,
        "first": _block(context.first),
        "last": _block(context.last),
        "seconds": context.last.time - context.first.time,
    }


def _block(header: Header) -> dict[str, Any]:
    return {"number": header.number, "hash": header.hash, "time": header.time}


def _deployment(
    context: Context, state: ChainState, checks: Checks, data_hash: str, count: int
) -> dict[str, Any]:
    record = context.system.record
    combined = keccak(
        b"".join(
            role.encode() + bytes.fromhex(record.contracts[role].address[2:] + digest[2:])
            for role, digest in sorted(state.code.items())
        )
    )
    changed = [
        role for role, digest in state.code.items() if digest != record.contracts[role].code_hash
    ]
    checks.expect(
        "CODE",
        not changed,
        "every contract has the code that was deployed"
        + (f", but not {', '.join(sorted(changed))}" if changed else ""),
    )
    return {
        "dataHash": data_hash,
        "dataEvents": count,
        "codeHash": "0x" + combined.hex(),
        "contracts": [
            {
                "role": role,
                "artifact": entry.artifact,
                "address": entry.address,
                "codeHash": state.code[role],
            }
            for role, entry in sorted(record.contracts.items())
        ],
    }


class _Replay:
    """Every part of the report that is made from events."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.ledger, self.book = FundLedger(), PositionBook()
        self.waterfall, self.windows = Waterfall(context), FairWindows(context)
        self.inventory = Inventory(context)
        self.liquidations = Liquidations(context)
        self.deleveraging = Deleveraging(context, self.book)
        self.income, self.stakers = Income(context), Stakers(context)
        self.history, self.governance = History(context), Governance(context)

    def run(self, store: EventStore) -> tuple[str, int]:
        """All events up to the last block; returns their SHA-256 and number.

        The hash covers every block with events and every event since the deployment, one JSON array
        a line, so that a single changed row gives another hash.
        """
        digest, count = hashlib.sha256(), 0
        for block in store.db.execute(
            "SELECT number, hash, parent, time FROM blocks WHERE number <= ? ORDER BY number",
            (self.context.last.number,),
        ):
            digest.update(_line(*block))
        opened = False
        for event in store.events(last=self.context.last.number):
            if not opened and self.context.inside(event):
                self._open()
                opened = True
            key = (event.block, event.log_index, event.tx_index, event.transaction)
            digest.update(_line(*key, event.contract, event.name, event.args))
            self._apply(event)
            count += 1
        if not opened:
            self._open()
        last = self.context.last
        self.history.add(last.number, last.time, self.ledger)
        return digest.hexdigest(), count

    def _open(self) -> None:
        self.ledger.open_period()
        self.deleveraging.open_period()
        self.stakers.open_period(self.ledger)
        first = self.context.first
        self.history.add(first.number - 1, first.time, self.ledger)

    def _apply(self, event: StoredEvent) -> None:
        inside = self.context.inside(event)
        moved = self.ledger.apply(event)
        self.book.apply(event)
        self.income.apply(event)
        self.stakers.apply(event)
        self.liquidations.apply(event)
        self.governance.apply(event)
        self.inventory.apply(event)
        self.windows.apply(event)
        if inside:
            self.waterfall.apply(event)
            self.deleveraging.apply(event)
            if moved:
                self.history.add(event.block, event.time, self.ledger)


def _line(*values: Any) -> bytes:
    return (json.dumps(values, sort_keys=True, separators=(",", ":")) + "\n").encode()
