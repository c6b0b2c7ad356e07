"""Before the start: would these parameters lose money in these markets?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backstop.keeper.case import GAS
from backstop.keeper.config import COIN, GWEI, KeeperConfig


def check(config: KeeperConfig, names: Sequence[str], markets: Sequence[Any], fee: int) -> None:
    """Refuse parameters with which the keeper would pay for liquidating.

    The smallest position that is meant to be liquidated (`profit.smallest_notional`) has to earn
    its gas by every way that is switched on, in every market: at `gas.expected_fee`, or at what the
    network asks now if that is more. With a `subsidy_per_day` losses are wanted, and bounded.

    Args:
        config: the parameters.
        names: of the markets.
        markets: ILens.MarketReport of each.
        fee: wei a gas that the network asks now.

    Raises:
        ConfigError: names the field, the numbers and the remedy.
    """
    _check_fees(config, fee)
    for name, report in zip(names, markets, strict=True):
        _check_exit(config, name, report.liquidation)
        if not config.profit.subsidy_per_day:
            _check_rewards(config, name, report.liquidation, max(fee, config.gas.expected_fee))


def _check_fees(config: KeeperConfig, fee: int) -> None:
    gas = config.gas
    if fee > gas.max_fee:
        raise config.fail(
            "gas.max_fee",
            f"{gas.max_fee / GWEI:g} gwei",
            f"at least what the network asks now, {fee / GWEI:g} gwei",
            "raise gas.max_fee, or start when gas is cheaper",
        )
    least = GAS["close-out"] * max(fee, gas.expected_fee)
    if gas.per_hour < least:
        raise config.fail(
            "gas.per_hour",
            f"{gas.per_hour / COIN:g} coins",
            f"enough for one close-out, {least / COIN:g} coins",
            "raise gas.per_hour and gas.per_day",
        )


def _check_exit(config: KeeperConfig, name: str, terms: Any) -> None:
    """A take-over earns the discount; getting rid of the position must cost less."""
    if config.ways.take_over and config.profit.exit_cost >= terms.maxDiscountPpm / 1e6:
        raise config.fail(
            "profit.exit_cost",
            f"{config.profit.exit_cost:.4%}",
            f"below {name}'s largest discount {terms.maxDiscountPpm / 1e4:g}%",
            "lower profit.exit_cost if positions can be sold cheaper, or set ways.take_over: no",
        )


def _check_rewards(config: KeeperConfig, name: str, terms: Any, fee: int) -> None:
    size, exit_cost = config.profit.smallest_notional, config.profit.exit_cost
    ways = config.ways
    earned = {
        # at the latest the whole discount is offered: that is when a small position pays
        "take_over": (ways.take_over, terms.maxDiscountPpm / 1e6 - exit_cost, GAS["take-over"]),
        "orders": (ways.orders is not None, terms.rewardPpm / 1e6, GAS["orders"]),
        "deleverage": (
            ways.deleverage,
            terms.rewardPpm / 1e6,
            GAS["flag"] + GAS["deleverage"],
        ),
        "close_out": (ways.close_out, terms.rewardPpm / 1e6, GAS["close-out"]),
        "backstop": (ways.backstop, terms.rewardPpm / 1e6, GAS["flag"] + GAS["backstop"]),
    }
    for way, (used, fraction, units) in earned.items():
        cost = config.gas.tokens(units * fee) + config.profit.minimum
        income = fraction * size
        if used and income < cost:
            raise config.fail(
                "profit.smallest_notional",
                f"{size:g} tokens",
                f"at least {_least(cost, fraction)} tokens, because ways.{way} in {name} earns"
                f" {fraction:.4%} of notional ({income:.4g} tokens) and its gas costs"
                f" {config.gas.tokens(units * fee):.4g} tokens at {fee / GWEI:g} gwei",
                f"raise profit.smallest_notional, set ways.{way}: no, lower gas.expected_fee if"
                " that is true, or allow the loss in profit.subsidy_per_day",
            )


def _least(cost: float, fraction: float) -> str:
    return f"{cost / fraction:,.0f}" if fraction > 0 else "infinitely many"
