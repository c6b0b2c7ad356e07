"""What can be done with an account now, and what each way would earn.

The terms come from the exact twin of the contracts' arithmetic (`backstop.model`), so that an offer
says before the transaction what the transaction will do. A way is a function from a `Case` to
`Offer`s; whoever adds one (an inventory contract that takes positions over, say) appends it to
`WAYS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from backstop.chain.deploy import System
from backstop.chain.orders import SignedOrder
from backstop.chain.signing import as_tuple
from backstop.keeper.config import KeeperConfig
from backstop.model import liquidation_math, margin_math
from backstop.model.fixed_point import WAD

EVERYTHING: Final = 2**256 - 1
_MOST_ORDERS: Final = 6

GAS: Final = {
    "take-over": 160_000,
    "orders": 210_000,
    "deleverage": 160_000,
    "close-out": 200_000,
    "flag": 85_000,
    "poke": 60_000,
}
"""Gas a transaction uses where the account is in one market (docs/gas.md)."""

_GAS_A_MARKET: Final = 60_000
"""Gas each further market of the account adds."""
_GAS_MARGIN: Final = 900_000
"""Head-room of the limit: the oracle wants to see it before it asks a feed."""


@dataclass
class Case:
    """An account that may be liquidated, and all that a decision needs.

    Attributes:
        report: ILens.AccountReport.
        markets: ILens.MarketReport of every market.
        own: ILens.AccountReport of the keeper's account.
        bound: margin in tokens that transactions under way will take from it.
        now: time at which a transaction would be mined.
        gas_price: wei a gas.
        orders: signed orders that may be filled.
    """

    report: Any
    markets: tuple[Any, ...]
    own: Any
    bound: float
    now: int
    gas_price: int
    config: KeeperConfig
    system: System
    orders: tuple[SignedOrder, ...] = ()
    keeper: bytes = b""

    @property
    def account(self) -> bytes:
        """Who."""
        return bytes(self.report.account)

    @property
    def state(self) -> Any:
        """IMarginEngineTypes.AccountState."""
        return self.report.state

    @property
    def shortfall(self) -> int:
        """Maintenance margin less equity, WAD: the order of treatment."""
        return int(self.state.maintenanceMargin - self.state.equity)

    def usable(self) -> Iterator[Any]:
        """Positions in markets with a usable price."""
        return (p for p in self.state.positions if p.size and p.validity)

    def elapsed(self) -> int:
        """Seconds since the flag; 0 without one."""
        return max(0, self.now - self.state.flaggedAt) if self.state.flaggedAt else 0

    def gas(self, way: str) -> int:
        """Gas that a way is expected to use."""
        return GAS[way] + _GAS_A_MARKET * max(0, len(self.state.positions) - 1)

    def cost(self, way: str) -> float:
        """The same in tokens."""
        return self.config.gas.tokens(self.gas(way) * self.gas_price)


@dataclass(frozen=True)
class Offer:
    """One transaction that would help.

    Attributes:
        profit: expected, tokens, after gas and the cost of getting rid of a position.
        notional: that leaves the account, tokens.
        margin: of the keeper's account that it binds, tokens.
    """

    way: str
    account: bytes
    market: int
    function: str
    arguments: tuple[Any, ...]
    gas: int
    profit: float
    notional: float
    margin: float = 0.0
    contract: str = "liquidator"

    @property
    def gas_limit(self) -> int:
        """What the transaction may use."""
        return 2 * self.gas + _GAS_MARGIN


@dataclass(frozen=True)
class _Step:
    """What the liquidator would do with a position: fractions in WAD, base in WAD."""

    base: int
    discount: int
    reward: int
    min_base: int
    size: int
    mark: int


def _step(case: Case, position: Any, *, discounted: bool, rewarded: bool) -> _Step:
    """The twin of `PartialLiquidation._plan`."""
    market = case.markets[position.market]
    terms = market.liquidation
    equity, maintenance = case.state.equity, case.state.maintenanceMargin
    margin, notional = position.maintenanceMargin, position.notional
    budget = liquidation_math.budget_down(equity, maintenance, margin, notional)
    discount = reward = 0
    if discounted:
        discount = liquidation_math.discount_down(
            equity,
            maintenance,
            terms.minDiscountPpm,
            terms.maxDiscountPpm,
            case.elapsed(),
            terms.ramp,
        )
        discount = min(discount, budget)
        budget -= discount
    if rewarded:
        reward = min(terms.rewardPpm * liquidation_math.PPM_TO_WAD, budget)
        budget -= reward
    surcharge = min(terms.surchargePpm * liquidation_math.PPM_TO_WAD, budget)
    wanted = liquidation_math.notional_up(
        equity, maintenance, margin, notional, terms.targetHealthPpm, discount + reward + surcharge
    )
    min_base = market.parameters.minBase * 10**9
    base = liquidation_math.step_base(
        liquidation_math.base_up(wanted, position.markPrice),
        abs(position.size),
        position.markPrice,
        terms.maxStep,
        min_base,
    )
    return _Step(base, discount, reward, min_base, position.size, position.markPrice)


def _tokens(base: int, price: int, fraction: int = WAD) -> float:
    return base / WAD * (price / WAD) * (fraction / WAD)


# --- the ways


def take_over(case: Case) -> Iterator[Offer]:
    """Into the keeper's account at the discount, as far as its margin and inventory allow.

    It earns what the position is worth at the *index* less what is paid for it: while the mark
    lags behind a falling index, the discount may not be worth it.
    """
    if not case.config.ways.take_over or case.report.bankrupt or not case.own.ok:
        return
    for position in case.usable():
        step = _step(case, position, discounted=True, rewarded=False)
        base = _affordable(case, position, step)
        if base == 0:
            continue
        price = step.mark * (WAD - step.discount if step.size > 0 else WAD + step.discount) // WAD
        index = case.markets[position.market].indexPrice or step.mark
        edge = (index - price if step.size > 0 else price - index) / WAD
        exit_cost = case.config.profit.exit_cost * _tokens(base, index)
        profit = base / WAD * edge - exit_cost - case.cost("take-over")
        # between deciding and mining the mark may move: down to the least profit it is still taken
        spare = (profit - case.config.profit.minimum) / (base / WAD)
        slack = max(0, round(spare * 1e18))
        limit = price + slack if step.size > 0 else max(0, price - slack)
        most = EVERYTHING if base == step.base else base
        yield Offer(
            "take-over",
            case.account,
            position.market,
            "takeOver",
            (case.account, position.market, case.keeper, most, limit),
            case.gas("take-over"),
            profit,
            _tokens(base, step.mark),
            margin=_margin_needed(case, position, base),
        )


def _affordable(case: Case, position: Any, step: _Step) -> int:
    """Base the keeper can carry of a step, without leaving dust; 0 if it cannot."""
    ways, own = case.config.ways, case.own.state
    free = (own.equity - own.initialMargin) / WAD - case.bound
    free *= 1 - ways.margin_reserve
    held = sum(p.size for p in own.positions if p.market == position.market)
    room = ways.max_inventory
    if held * position.size > 0:
        room -= _tokens(abs(held), step.mark)
    base = step.base
    for _ in range(4):
        if base < step.min_base or free < 0:
            return 0
        needed, notional = _margin_needed(case, position, base), _tokens(base, step.mark)
        if needed <= free and notional <= room:
            break
        share = min(free / needed if needed > free else 1, room / notional)
        base = int(base * max(0.0, share) * 0.98)
    else:
        return 0
    if base < step.base and abs(step.size) - base < step.min_base:
        base = abs(step.size) - step.min_base
    return base if base >= step.min_base else 0


def _margin_needed(case: Case, position: Any, base: int) -> float:
    """Initial margin that the keeper's account needs more than now, tokens."""
    market = case.markets[position.market]
    held = next((p for p in case.own.state.positions if p.market == position.market), None)
    before = held.initialMargin if held else 0
    size = (held.size if held else 0) + (base if position.size > 0 else -base)
    parameters = market.parameters
    initial, _ = margin_math.margins(
        abs(size) * position.markPrice // WAD,
        market.state.openLong if size > 0 else market.state.openShort,
        parameters.openInterestCap,
        parameters.sizeScale,
        parameters.openInterestSlopePpm,
        parameters.initialMarginPpm,
        parameters.maintenanceMarginPpm,
    )
    return max(0.0, (initial - before) / WAD)


def with_orders(case: Case) -> Iterator[Offer]:
    """Against signed orders that are good enough for the discount allowed, best first."""
    if case.report.bankrupt or not case.orders:
        return
    for position in case.usable():
        step = _step(case, position, discounted=True, rewarded=True)
        long = step.size > 0
        worst = step.mark * (WAD - step.discount if long else WAD + step.discount) // WAD + long
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
            _tokens(base, step.mark, step.reward) - case.config.gas.tokens(gas * case.gas_price),
            _tokens(base, step.mark),
        )


def deleverage(case: Case) -> Iterator[Offer]:
    """Against the opposite side once the delay since the flag is over; before, the flag."""
    if not case.config.ways.deleverage or case.report.bankrupt:
        return
    best: Offer | None = None
    for position in case.usable():
        step = _step(case, position, discounted=False, rewarded=True)
        reward = _tokens(step.base, step.mark, step.reward)
        delay = case.markets[position.market].liquidation.deleverageDelay
        if case.state.flaggedAt and case.elapsed() >= delay:
            yield Offer(
                "deleverage",
                case.account,
                position.market,
                "deleverage",
                (case.account, position.market, case.keeper, EVERYTHING),
                case.gas("deleverage"),
                reward - case.cost("deleverage"),
                _tokens(step.base, step.mark),
            )
        elif not case.state.flaggedAt:
            # the flag pays through what it makes possible
            profit = reward - case.cost("deleverage") - case.cost("flag")
            if best is None or profit > best.profit:
                best = Offer(
                    "flag",
                    case.account,
                    position.market,
                    "flag",
                    (case.account,),
                    case.gas("flag"),
                    profit,
                    0.0,
                )
    if best is not None:
        yield best


def close_out(case: Case) -> Iterator[Offer]:
    """A bankrupt account, all of it, down the waterfall. What the fund pays for it is expected to
    be min(cap, fraction of the first position's notional).
    """
    if not case.config.ways.close_out or not case.report.bankrupt:
        return
    positions = list(case.state.positions)
    if positions and not any(p.validity for p in positions):
        return  # no price: nothing could be closed
    reward = 0.0
    if positions and all(p.validity for p in positions if p.size) and positions[0].size:
        terms = case.markets[positions[0].market].liquidation
        notional = positions[0].notional / WAD
        reward = min(float(terms.closeRewardCap), notional * terms.rewardPpm / 1e6)
    yield Offer(
        "close-out",
        case.account,
        positions[0].market if positions else 0,
        "closeOut",
        (case.account, case.keeper, False),
        case.gas("close-out"),
        reward - case.cost("close-out"),
        sum(p.notional for p in positions) / WAD,
    )


Way = Callable[[Case], Iterator[Offer]]

WAYS: Final[list[Way]] = [close_out, with_orders, take_over, deleverage]
"""All ways the keeper knows. An inventory contract is one more function here."""

_RANK: Final = {"close-out": 0, "orders": 1, "take-over": 1, "deleverage": 1, "flag": 2}


@dataclass
class Choice:
    """The offers for an account, best first, and why there is none worth taking."""

    offers: list[Offer] = field(default_factory=list)
    unprofitable: list[Offer] = field(default_factory=list)


def choose(case: Case, subsidy: float, ways: list[Way] | None = None) -> Choice:
    """The offers that pay, the most profitable first; flags only where nothing else does.

    Args:
        case: the account.
        subsidy: tokens that may be lost today on what does not pay.
        ways: instead of all.
    """
    found = [offer for way in (WAYS if ways is None else ways) for offer in way(case)]
    found.sort(key=lambda offer: (_RANK.get(offer.way, 1), -offer.profit))
    least = case.config.profit.minimum
    choice = Choice()
    for offer in found:
        pays = offer.profit >= least or 0 < subsidy >= -offer.profit
        (choice.offers if pays else choice.unprofitable).append(offer)
    return choice
