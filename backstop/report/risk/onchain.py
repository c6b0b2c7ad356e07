"""The platform of a deployed system: every account that ever deposited, as it is now.

Accounts are found by the engine's `Deposited` events from the first block on and read through the
Lens, hundreds in a call. All numbers are of the same block: if a new one comes meanwhile, it is
read again. Sizes that do not cancel mean that an account is missing, and the study is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from backstop.chain.deploy import System
from backstop.chain.format import full_account
from backstop.chain.lens import Lens
from backstop.chain.units import PPM, WAD
from backstop.chain.views import FundView, MarketView
from backstop.harness.rpc import RpcError
from backstop.report.risk.platform import Layers, Platform, costs, maintenance_tiers
from backstop.risk.errors import BadInput
from backstop.risk.reference import reference_market
from backstop.simulation.book import Book
from backstop.simulation.model import AdlParams, DepthLaw, ImpactParams, SimulationParams

#: Blocks asked for in one request for events.
SPAN = 10_000
_TRIES = 5


class NothingThere(BadInput):
    """The chain holds nothing to study."""


def account_numbers(system: System) -> list[bytes]:
    """Numbers of all accounts that ever received a deposit, in the order of the first one."""
    client, engine = system.client, system.engine
    last = int(client.rpc("eth_blockNumber"), 16)
    found: dict[bytes, None] = {}
    start, span = 0, SPAN
    while start <= last:
        stop = min(start + span - 1, last)
        query = {"address": engine.address, "fromBlock": hex(start), "toBlock": hex(stop)}
        try:
            logs = client.rpc("eth_getLogs", query)
        except RpcError:
            if span == 1:
                raise
            span = max(span // 10, 1)  # the node allows fewer blocks a request
            continue
        for log in logs:
            event = client.registry.decode_log(_plain(log))
            if event.name == "Deposited":
                found[bytes(event.account)] = None
        start = stop + 1
    return list(found)


def read_platform(system: System, volumes: Mapping[str, float]) -> Platform:
    """The platform now; volumes: daily volume by market name, else the reference's figures."""
    view = FundView(system)
    markets = view.markets()
    _check_markets(markets, volumes)
    numbers = account_numbers(system)
    for _ in range(_TRIES):
        before = int(system.client.rpc("eth_blockNumber"), 16)
        markets, states, sheet = view.markets(), _states(system, numbers), view.sheet()
        if int(system.client.rpc("eth_blockNumber"), 16) == before:
            break
    book, owners = _book(markets, numbers, states)
    interest = book.open_interest()
    layers = Layers(
        compartments=tuple(float(c.assets) for c in sheet.compartments),
        reserve=float(sheet.reserve),
        staked=float(sheet.slashable),
        per_claim=float(sheet.per_claim),
        per_window=float(sheet.per_window),
        window=sheet.window,
        market_per_window=tuple(float(c.per_window) for c in sheet.compartments),
    )
    params = SimulationParams(
        impact=_impact(markets, volumes),
        fund=layers.simulated(),
        liquidation=costs([m.liquidation for m in markets], interest),
        adl=AdlParams(max_charge=min(m.parameters.charge_cap_ppm for m in markets) / PPM),
    )
    assumed = [m.name for m in markets if m.name not in volumes]
    notes = []
    if assumed:
        notes.append(
            f"Daily volume of {', '.join(assumed)} is the reference's of a large venue; give"
            " --volume MARKET=AMOUNT for the venues that liquidations go to."
        )
    return Platform(
        book=book,
        params=params,
        layers=layers,
        owners=owners,
        numbers=tuple(m.number for m in markets),
        symbol=system.record.token_symbol,
        decimals=system.record.token_decimals,
        origin={
            "kind": "chain",
            "name": str(system.record.chain_id),
            "block": before,
            "engine": system.engine.address,
            "parameters": system.record.parameters,
            "parameters digest": system.record.parameters_digest,
        },
        notes=tuple(notes),
    )


def _check_markets(markets: Sequence[MarketView], volumes: Mapping[str, float]) -> None:
    names = [m.name for m in markets]
    unknown = [name for name in volumes if name not in names]
    if unknown:
        raise BadInput(
            f"--volume names {', '.join(unknown)}.", f"the markets are {', '.join(names)}."
        )
    unpriced = [m.name for m in markets if not m.mark_price]
    if unpriced:
        raise NothingThere(
            f"{', '.join(unpriced)} has no mark price yet.", "wait for its first price."
        )


def _states(system: System, numbers: Sequence[bytes]) -> list[Any]:
    """The accounts' states, by the batch."""
    reports = Lens(system).accounts(numbers)
    for report in reports:
        if not report.ok:
            reason = system.client.registry.decode_error(bytes(report.reason))
            raise BadInput(
                f"account {full_account(report.account)} cannot be read: {reason}.",
                "see docs/runbook.md if a market has lost its price.",
            )
    return [report.state for report in reports]


def _book(
    markets: Sequence[MarketView], numbers: Sequence[bytes], states: Sequence[Any]
) -> tuple[Book, tuple[str, ...]]:
    """Accounts with positions; quote holds what funding and charges have changed by now."""
    live = [
        (n, s) for n, s in zip(numbers, states, strict=True) if any(p.size for p in s.positions)
    ]
    if not live:
        raise NothingThere("no account has a position.", "come back when somebody has traded.")
    prices = np.array([float(m.mark_price) for m in markets])
    size, quote = np.zeros((len(live), len(markets))), np.zeros((len(live), len(markets)))
    for row, (_, state) in enumerate(live):
        for p in state.positions:
            if p.size:
                size[row, p.market] = p.size / WAD
                quote[row, p.market] = p.value / WAD - size[row, p.market] * prices[p.market]
    caps = np.array([max(float(m.open_interest_cap), 1e-18) for m in markets])
    longs = np.maximum(size, 0.0).sum(axis=0)
    tiers = maintenance_tiers([m.parameters for m in markets], list(longs / caps))
    book = Book(
        collateral=np.array([state.collateral / WAD for _, state in live]),
        size=size,
        quote=quote,
        price=prices,
        tiers=tiers,
        markets=tuple(m.name for m in markets),
    ).validate(zero_sum=True, tolerance=1e-6)
    return book, tuple(full_account(number) for number, _ in live)


def _impact(markets: Sequence[MarketView], volumes: Mapping[str, float]) -> ImpactParams:
    """Square-root impact: Y times the reference's daily volatility, over the daily volume."""
    figures = [reference_market(m.name) for m in markets]
    return ImpactParams(
        coefficient=np.array([f.impact * f.daily_sigma for f in figures]),
        volume=np.array(
            [volumes.get(m.name, f.daily_volume) for m, f in zip(markets, figures, strict=True)]
        ),
        depth=replace(DepthLaw.october_2025(), with_floor=figures[0].depth_ratio),
    )


def _plain(log: Mapping[str, Any]) -> dict[str, Any]:
    """A log as JSON has it, whoever fetched it."""
    out = dict(log)
    out["topics"] = [t if isinstance(t, str) else "0x" + bytes(t).hex() for t in log["topics"]]
    data = log["data"]
    out["data"] = data if isinstance(data, str) else "0x" + bytes(data).hex()
    return out
