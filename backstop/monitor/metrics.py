"""The panels as Prometheus metrics; docs/monitor.md lists them, docs/grafana.json shows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from backstop.monitor.hub import Hub

SHOCKS: Final = (-40, -20, -10, 10, 20, 40)
"""Jumps of all marks, per cent, whose cost is a metric."""


class PanelCollector(Collector):
    """Makes metrics of the newest panels whenever somebody asks.

    Args:
        hub: has the panels.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterator[Any]:
        """All metrics; those of a panel that is not there yet are left out."""
        yield from _status(self._hub.get("status") or {}, self._hub.readers)
        if fund := self._hub.get("fund"):
            yield from _fund(fund)
        if markets := self._hub.get("markets"):
            yield from _markets(markets)
        if stake := self._hub.get("stake"):
            yield from _stake(stake)
        if risk := self._hub.get("risk"):
            yield from _risk(risk)
        if shock := self._hub.get("shock"):
            yield from _shock(shock)


def _gauge(name: str, text: str, value: float | None) -> Iterator[GaugeMetricFamily]:
    if value is not None:
        yield GaugeMetricFamily(f"backstop_{name}", text, value=value)


def _by(
    name: str, text: str, labels: list[str], values: list[tuple[list[str], float]]
) -> Iterator[GaugeMetricFamily]:
    family = GaugeMetricFamily(f"backstop_{name}", text, labels=labels)
    for label_values, value in values:
        family.add_metric(label_values, value)
    yield family


def _status(status: dict[str, Any], readers: int) -> Iterator[Any]:
    yield from _gauge("up", "1 while the chain is read and moves.", status.get("state") == "live")
    yield from _gauge("head_block", "Newest block.", status.get("block"))
    yield from _gauge(
        "head_timestamp_seconds",
        "Time of the newest block, seconds since 1970.",
        status.get("time"),
    )
    yield from _gauge("page_readers", "Open live pages.", readers)
    yield CounterMetricFamily(
        "backstop_reorganisations",
        "Reorganisations seen since the start.",
        value=status.get("reorganisations", 0),
    )


def _fund(fund: dict[str, Any]) -> Iterator[Any]:
    yield from _gauge("fund_assets", "Capital of the fund, tokens.", fund["total"])
    yield from _by(
        "fund_layer_assets",
        "Capital by layer of the waterfall, tokens.",
        ["layer"],
        [([layer["key"]], layer["amount"]) for layer in fund["layers"]],
    )
    yield from _gauge("fund_tokens_held", "Tokens at the fund's address.", fund["tokens"])
    yield from _gauge("capital_target", "Capital target, tokens.", fund["target"])
    yield from _gauge("solvency_ratio", "Usable capital over target.", fund["ratio"])
    yield from _gauge(
        "solvency_ratio_lagged", "The ratio that the markets' terms follow.", fund["lagged"]
    )
    yield from _gauge("reserve_target", "Target of the reserve, tokens.", fund["reserve_target"])
    yield from _gauge("reserve_gap", "What the operator owes the reserve, tokens.", fund["gap"])
    yield from _gauge(
        "window_capacity_left",
        "What the engine may still draw of the shared layers in its window, tokens.",
        fund["window_room"],
    )
    yield from _gauge(
        "recorded_deficit_all", "Losses nobody has paid yet, tokens.", fund["recorded"]
    )
    yield CounterMetricFamily(
        "backstop_fund_events", "Events that the fund has covered.", value=fund["events"]
    )


_MARKET: Final = (
    ("mark_price", "mark", "Mark price, quote tokens a base unit."),
    ("index_price", "index", "Index price, quote tokens a base unit."),
    ("open_interest_cap", "cap", "Open interest cap, base units."),
    ("funding_premium", "premium", "Premium that funding is charged on."),
    ("compartment_assets", "compartment", "Layer 1 of the market, tokens."),
    ("compartment_cap", "compartment_cap", "Cap of layer 1 of the market, tokens."),
    ("market_room", "room", "What the market may draw of the shared layers now, tokens."),
    ("pending_income", "pending_income", "Income not handed to the fund yet, tokens."),
    ("recorded_deficit", "recorded", "Losses nobody has paid yet, tokens."),
    ("risk_paused", "paused", "1 while risk may not rise."),
)


def _markets(markets: list[dict[str, Any]]) -> Iterator[Any]:
    for name, key, text in _MARKET:
        values = [([m["name"]], float(m[key])) for m in markets]
        yield from _by(name, text, ["market"], values)
    sides = [([m["name"], side], m[f"open_{side}"]) for m in markets for side in ("long", "short")]
    yield from _by("open_interest", "Open interest, base units.", ["market", "side"], sides)
    usable = [([m["name"]], float(m["validity"] == "full")) for m in markets]
    yield from _by("price_full", "1 while the price is fully valid.", ["market"], usable)


def _stake(stake: dict[str, Any]) -> Iterator[Any]:
    yield from _gauge("stake_active", "Active stake, tokens.", stake["active"])
    yield from _gauge("stake_slashable", "Stake a loss can take, tokens.", stake["slashable"])
    yield from _gauge("share_price", "Assets a share; flows do not move it.", stake["share_price"])
    yield from _gauge("stake_series", "Number of the staking series.", stake["series"])
    leaving = sum(bucket["assets"] for bucket in stake["buckets"])
    yield from _gauge("open_bucket_assets", "Exits that can still lose, tokens.", leaving)


def _risk(risk: dict[str, Any]) -> Iterator[Any]:
    yield from _gauge("accounts", "Accounts known.", risk["accounts"])
    yield from _by(
        "accounts_by_health",
        "Accounts with positions by equity over maintenance margin.",
        ["band"],
        [([band["key"]], band["accounts"]) for band in risk["bands"]],
    )
    yield from _by(
        "notional_by_health",
        "Their notional, tokens.",
        ["band"],
        [([band["key"]], band["notional"]) for band in risk["bands"]],
    )


def _shock(shock: dict[str, Any]) -> Iterator[Any]:
    rows = shock["all"]
    places = {move: i for i, move in enumerate(rows["move"])}
    for name, column, text in (
        ("shock_deficit", "deficit", "Deficit"),
        ("shock_inventory_loss", "inventory", "Capital lost in the fund's inventory"),
    ):
        yield from _by(
            name,
            f"{text} if all marks jumped by so many per cent at once, tokens.",
            ["percent"],
            [([f"{move:+d}"], rows[column][places[move]]) for move in SHOCKS if move in places],
        )


def render(hub: Hub) -> bytes:
    """The text that Prometheus reads."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(PanelCollector(hub))
    return generate_latest(registry)
