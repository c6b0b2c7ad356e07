"""A state and a book of the live page, made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from backstop.monitor.book import Arrays
from backstop.monitor.state import Bucket, FundNow, Layer, MarketNow, StakeNow, State


def market(number: int = 0, **changed: Any) -> MarketNow:
    values: dict[str, Any] = {
        "number": number,
        "name": ("BTC", "ETH")[number],
        "index": 100.0,
        "mark": 100.0,
        "validity": "full",
        "feeds": (),
        "open_long": 50.0,
        "open_short": 50.0,
        "cap": 1000.0,
        "premium": 0.0,
        "pending_income": 0.0,
        "recorded": 0.0,
        "paused": False,
        "compartment": 100.0,
        "compartment_cap": 1000.0,
        "per_window": 1e6,
        "room": 1e6,
        "window_room": 1e6,
        "size_scale": 1e6,
        "initial": 0.1,
        "maintenance": 0.05,
        "parameters": None,
        "liquidation": None,
    }
    return MarketNow(**(values | changed))


def state(
    *markets: MarketNow, time: int = 1000, block: int = 10, reserve: float = 500.0, **fund: Any
) -> State:
    markets = markets or (market(),)
    held = sum(m.compartment for m in markets)
    layers = (
        Layer("compartment", "1", "Market compartments", held),
        Layer("reserve", "2", "Operator's reserve", reserve),
        Layer("staked", "3", "Stakers", 300.0),
    )
    values: dict[str, Any] = {
        "total": held + reserve + 300.0,
        "layers": layers,
        "tokens": held + reserve + 300.0,
        "reserve_target": 500.0,
        "gap": 0.0,
        "gap_due": 0,
        "staker_share": 0.2,
        "events": 0,
        "per_claim": 1e6,
        "per_window": 1e6,
        "window": 86400,
        "window_room": 1e6,
    }
    stake = StakeNow(300.0, 300.0, 300.0, 1e6, 0, 0, 0, 1, 1.0, 0.0, 0, (Bucket(1, 5.0, 2000),))
    return State(block, time, FundNow(**(values | fund)), markets, stake)


def book(*accounts: tuple[float, list[tuple[int, float, float]]]) -> Arrays:
    """Accounts as (collateral, [(market, size, quote), ...])."""
    lines = [(i, *p) for i, (_, positions) in enumerate(accounts) for p in positions]
    owner, markets, size, quote = zip(*lines, strict=True) if lines else ((), (), (), ())
    return Arrays(
        numbers=[bytes([i + 1]) * 32 for i in range(len(accounts))],
        collateral=np.array([collateral for collateral, _ in accounts], dtype=float),
        owner=np.array(owner, dtype=np.int64),
        market=np.array(markets, dtype=np.int64),
        size=np.array(size, dtype=float),
        quote=np.array(quote, dtype=float),
    )
