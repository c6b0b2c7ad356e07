"""The ways to deal with an account that is below maintenance margin, and what each would earn.

A way is a function from a `Case` to `Offer`s; whoever adds one appends it to `WAYS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from backstop.chain.signing import as_tuple
from backstop.keeper.case import (
    DISCOUNT,
    EVERYTHING,
    REWARD,
    Case,
    Offer,
    affordable,
    bought,
    fixed_reward,
    margin_needed,
    plan,
    tokens,
)
from backstop.keeper.desk import close_out_to_backstop, has_room, to_backstop
from backstop.model.fixed_point import WAD

_MOST_ORDERS: Final = 6


def take_over(case: Case) -> Iterator[Offer]:
    """Into the keeper's account at the discount, as far as its margin and inventory allow.

    It earns what the position is worth at the *index* less what is paid for it: while the mark
    lags behind a falling index, the discount may not be worth it.
    """
    if not case.config.ways.take_over or case.report.bankrupt or not case.own.ok:
        return
    for position in case.usable():
        step = plan(case, position, DISCOUNT)
        base = affordable(case, position, step)
        if base == 0:
            continue
        profit, limit = bought(case, position.market, step, base, step.price, "take-over")
        most = EVERYTHING if base == step.base else base
        yield Offer(
            "take-over",
            case.account,
            position.market,
            "takeOver",
            (case.account, position.market, case.keeper, most, limit),
            case.gas("take-over"),
            profit,
            tokens(base, step.mark),
            margin=margin_needed(case, case.own.state, position, base),
            more=step.more(base),
        )


def with_orders(case: Case) -> Iterator[Offer]:
    """Against signed orders that are good enough for the discount allowed, best first."""
    if case.report.bankrupt or not case.orders:
        return
    for position in case.usable():
        step = plan(case, position, DISCOUNT, REWARD)
        long, worst = step.long, step.price
        good = [
            signed
            for signed in case.orders
            if signed.order.market == position.market
            and signed.order.is_buy == long
            and signed.order.expiry >= case.now
            and signed.order.account != case.account
            and (signed.order.limit_price >= worst if long else signed.order.limit_price <= worst)
        ]
        good.sort(key=lambda signed: signed.order.limit_price, reverse=long)
        good = good[:_MOST_ORDERS]
        if not good:
            continue
        base = min(step.base, sum(signed.order.base for signed in good))
        gas = case.gas("orders") + 60_000 * (len(good) - 1)
        yield Offer(
            "orders",
            case.account,
            position.market,
            "liquidateWithOrders",
            (
                case.account,
                position.market,
                case.keeper,
                [as_tuple(signed.order) for signed in good],
                [signed.signature for signed in good],
            ),
            gas,
            tokens(base, step.mark, step.reward) - case.config.gas.tokens(gas * case.gas_price),
            tokens(base, step.mark),
            more=step.more(base),
        )


def deleverage(case: Case) -> Iterator[Offer]:
    """Against the opposite side, once the delay since the flag is over."""
    if not case.config.ways.deleverage or case.report.bankrupt or not case.state.flaggedAt:
        return
    for position in case.usable():
        if case.elapsed() < case.markets[position.market].liquidation.deleverageDelay:
            continue
        step = plan(case, position, REWARD)
        reward = tokens(step.base, step.mark, step.reward)
        yield Offer(
            "deleverage",
            case.account,
            position.market,
            "deleverage",
            (case.account, position.market, case.keeper, EVERYTHING),
            case.gas("deleverage"),
            reward - case.cost("deleverage"),
            tokens(step.base, step.mark),
            more=step.more(step.base),
        )


def flag(case: Case) -> Iterator[Offer]:
    """Start the clock. It pays through what it makes possible: the backstop, deleveraging."""
    if case.report.bankrupt or case.state.flaggedAt:
        return
    best: Offer | None = None
    for position in case.usable():
        later = _later(case, position)
        if later is None:
            continue
        step = plan(case, position, REWARD)
        reward = tokens(step.base, step.mark, step.reward)
        profit = reward - case.cost(later) - case.cost("flag")
        if best is None or profit > best.profit:
            gas = case.gas("flag")
            best = Offer(
                "flag", case.account, position.market, "flag", (case.account,), gas, profit, 0.0
            )
    if best is not None:
        yield best


def _later(case: Case, position: Any) -> str | None:
    """The cheapest way that has to wait for the clock."""
    if case.config.ways.deleverage:
        return "deleverage"
    return "backstop" if has_room(case, position) else None


def close_out(case: Case) -> Iterator[Offer]:
    """A bankrupt account, all of it, down the waterfall. What the fund pays for it is expected to
    be min(cap, fraction of the largest position's notional).
    """
    if not case.config.ways.close_out or not case.report.bankrupt:
        return
    positions = list(case.state.positions)
    if positions and not any(p.validity for p in positions):
        return  # no price: nothing could be closed
    reward = 0.0
    first = max(positions, key=lambda p: p.notional, default=None)
    if first and first.size and all(p.validity for p in positions if p.size):
        reward = fixed_reward(case, first)
    yield Offer(
        "close-out",
        case.account,
        first.market if first else 0,
        "closeOut",
        (case.account, case.keeper, False),
        case.gas("close-out"),
        reward - case.cost("close-out"),
        sum(p.notional for p in positions) / WAD,
    )


Way = Callable[[Case], Iterator[Offer]]

WAYS: Final[list[Way]] = [
    *(close_out_to_backstop, close_out),
    *(with_orders, take_over, to_backstop, deleverage, flag),
]
"""All ways the keeper knows for accounts below maintenance margin."""

_RANK: Final = {
    "unwind": 0,
    "backstop close-out": 0,
    "close-out": 1,
    "orders": 2,
    "take-over": 2,
    "backstop": 3,
    "deleverage": 4,
    "flag": 5,
}
"""The opposite side is asked last: first those who want the position, then the fund."""


@dataclass
class Choice:
    """The offers for an account, best first, and why there is none worth taking."""

    offers: list[Offer] = field(default_factory=list)
    unprofitable: list[Offer] = field(default_factory=list)


def choose(case: Case, subsidy: float, ways: Sequence[Way] = WAYS) -> Choice:
    """The offers that pay: whoever wants the position, the most profitable first; then the fund's
    inventory, then the opposite side, then the flag. What only the subsidy pays for comes after.

    Args:
        case: the account.
        subsidy: tokens that may be lost today on what does not pay.
        ways: those to look at.
    """
    found = [offer for way in ways for offer in way(case)]
    least = case.config.profit.minimum
    found.sort(key=lambda o: (o.profit < least, _RANK.get(o.way, 2), -o.profit))
    choice = Choice()
    for offer in found:
        pays = offer.profit >= least or 0 < subsidy >= -offer.profit
        (choice.offers if pays else choice.unprofitable).append(offer)
    return choice
