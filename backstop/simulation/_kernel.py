"""The compiled rules of the model under one name, as the engines use them."""

from __future__ import annotations

from ._positions import health, liquidate_if_below, maintenance, rehit
from ._prices import begin_minute, count_minute, finish, set_prices, set_push, track
from ._state import (
    ACCOUNTS,
    CLOSED,
    EVENTS,
    LONG,
    MARKETS,
    RESIZED,
    ROWS,
    RULES,
    SHORT,
    SIDES,
    STATE,
    TIERS,
    Records,
    World,
    reset,
    restore,
)
from ._waterfall import (
    book_notional,
    charge_opposite,
    market_due,
    pay_first_layers,
    pay_staked,
    settle,
)

__all__ = [
    "ACCOUNTS",
    "CLOSED",
    "EVENTS",
    "LONG",
    "MARKETS",
    "RESIZED",
    "ROWS",
    "RULES",
    "SHORT",
    "SIDES",
    "STATE",
    "TIERS",
    "Records",
    "World",
    "begin_minute",
    "book_notional",
    "charge_opposite",
    "count_minute",
    "finish",
    "health",
    "liquidate_if_below",
    "maintenance",
    "market_due",
    "pay_first_layers",
    "pay_staked",
    "rehit",
    "reset",
    "restore",
    "set_prices",
    "set_push",
    "settle",
    "track",
]
