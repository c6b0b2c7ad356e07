"""An account that may be liquidated, and what the contracts would do with it.

The terms come from the exact twin of the contracts' arithmetic (`backstop.model`), so that an offer
says before the transaction what the transaction will do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from backstop.chain.deploy import System
from backstop.chain.orders import SignedOrder
from backstop.keeper.config import KeeperConfig
from backstop.keeper.pending import Bound
from backstop.model import liquidation_math, margin_math
from backstop.model.fixed_point import WAD

if TYPE_CHECKING:
    from backstop.keeper.desk import Desk

EVERYTHING: Final = 2**256 - 1
GAS: Final = {
    "take-over": 160_000,
    "orders": 210_000,
    "backstop": 220_000,
    "deleverage": 160_000,
    "close-out": 200_000,
    "backstop close-out": 320_000,
    "unwind": 250_000,
    "buy": 170_000,
    "flag": 85_000,
    "poke": 60_000,
    "close window": 200_000,
    "collect": 60_000,
    "repay side": 90_000,
}
"""Gas a transaction uses where the account is in one market (docs/gas.md)."""

_GAS_A_MARKET: Final = 60_000
"""Gas each further market of the account adds."""
_GAS_MARGIN: Final = 900_000
"""Head-room of the limit: the oracle wants to see it before it asks a feed."""
_DRAWING: Final = frozenset({"close-out", "backstop close-out", "unwind", "close window"})
_REINSURER: Final = 1_200_000
"""Head-room of what may draw on the fund: it wants to see so much before it asks its reinsurer."""


@dataclass
class Case:
    """An account that may be liquidated, and all that a decision needs.

    Attributes:
        report: ILens.AccountReport.
        markets: ILens.MarketReport of every market.
        own: ILens.AccountReport of the keeper's account.
        bound: what transactions under way and those just decided on will take.
        now: time at which a transaction would be mined.
        gas_price: wei a gas.
        orders: signed orders that may be filled.
        keeper: the keeper's account.
        desks: the backstop's accounts, by market.
    """

    report: Any
    markets: tuple[Any, ...]
    own: Any
    bound: Bound
    now: int
    gas_price: int
    config: KeeperConfig
    system: System
    orders: tuple[SignedOrder, ...] = ()
    keeper: bytes = b""
    desks: Mapping[int, Desk] = field(default_factory=dict)

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

    def min_base(self, market: int) -> int:
        """The smallest position of a market, WAD."""
        return int(self.markets[market].parameters.minBase) * 10**9

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
        more: the account is below its target health afterwards, with something to go on with.
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
    more: bool = False

    @property
    def cut(self) -> bool:
        """The keeper's own limits make it take less over than the rules would let it."""
        return self.way == "take-over" and EVERYTHING not in self.arguments

    @property
    def gas_limit(self) -> int:
        """What the transaction may use."""
        spare = _REINSURER if self.way in _DRAWING else 0
        return 2 * self.gas + _GAS_MARGIN + spare


DISCOUNT, REWARD = "discount", "reward"
"""What a step's budget is spent on, beside the surcharge."""


@dataclass(frozen=True)
class Step:
    """What the liquidator would do with a position: fractions in WAD, base in WAD.

    Attributes:
        enough: base from which on the account has its target health again.
        alone: it is the account's only position with a usable price.
    """

    base: int
    discount: int
    reward: int
    min_base: int
    size: int
    mark: int
    enough: int = 0
    alone: bool = True

    @property
    def long(self) -> bool:
        """The position is long."""
        return self.size > 0

    @property
    def price(self) -> int:
        """The mark less the discount, rounded for the account."""
        part = self.discount if self.long else -self.discount
        product = self.mark * (WAD - part)
        return -(-product // WAD) if self.long else product // WAD

    def dust(self, base: int) -> bool:
        """Whether so much would leave, or be, less than a position may be."""
        return base < self.min_base or 0 < abs(self.size) - base < self.min_base

    def more(self, base: int) -> bool:
        """Whether a step of so much leaves the account below its target, with more to take."""
        return base < self.enough and (base < abs(self.size) or not self.alone)


def plan(case: Case, position: Any, *spend: str) -> Step:
    """The twin of `PartialLiquidation._plan`.

    Args:
        case: the account.
        position: IMarginEngineTypes.PositionState of one of its positions.
        spend: what the budget goes to first, and next; the surcharge gets the rest.
    """
    terms = case.markets[position.market].liquidation
    equity, maintenance = case.state.equity, case.state.maintenanceMargin
    margin, notional = position.maintenanceMargin, position.notional
    budget = liquidation_math.budget_down(equity, maintenance, margin, notional)
    wanted = {
        DISCOUNT: liquidation_math.discount_down(
            equity,
            maintenance,
            terms.minDiscountPpm,
            terms.maxDiscountPpm,
            case.elapsed(),
            terms.ramp,
        ),
        REWARD: terms.rewardPpm * liquidation_math.PPM_TO_WAD,
    }
    cost = dict.fromkeys(wanted, 0)
    for purpose in spend:
        cost[purpose] = min(wanted[purpose], budget)
        budget -= cost[purpose]
    surcharge = min(terms.surchargePpm * liquidation_math.PPM_TO_WAD, budget)
    needed = liquidation_math.notional_up(
        equity,
        maintenance,
        margin,
        notional,
        terms.targetHealthPpm,
        sum(cost.values()) + surcharge,
    )
    min_base = case.min_base(position.market)
    enough = liquidation_math.base_up(needed, position.markPrice)
    base = liquidation_math.step_base(
        enough, abs(position.size), position.markPrice, terms.maxStep, min_base
    )
    alone = sum(1 for _ in case.usable()) == 1
    spent = cost[DISCOUNT], cost[REWARD]
    return Step(base, *spent, min_base, position.size, position.markPrice, enough, alone)


def tokens(base: int, price: int, fraction: int = WAD) -> float:
    """What base is worth at a price, or a fraction of that."""
    return base / WAD * (price / WAD) * (fraction / WAD)


def fixed_reward(case: Case, position: Any) -> float:
    """What bringing a whole position earns: min(cap, fraction of its notional), tokens."""
    terms = case.markets[position.market].liquidation
    return min(float(terms.closeRewardCap), position.notional / WAD * terms.rewardPpm / 1e6)


def bought(
    case: Case, market: int, step: Step, base: int, price: int, way: str
) -> tuple[float, int]:
    """Profit in tokens of buying (taking a short over, selling) so much at a price, and the limit
    price down to which it would still earn `profit.minimum`: between deciding and mining the mark
    may move.
    """
    index = case.markets[market].indexPrice or step.mark
    edge = (index - price if step.long else price - index) / WAD
    exit_cost = case.config.profit.exit_cost * tokens(base, index)
    profit = base / WAD * edge - exit_cost - case.cost(way)
    spare = (profit - case.config.profit.minimum) / (base / WAD)
    slack = max(0, round(spare * 1e18))
    return profit, price + slack if step.long else max(0, price - slack)


def affordable(case: Case, position: Any, step: Step) -> int:
    """Base the keeper can carry of a step, without leaving dust; 0 if it cannot."""
    ways, own = case.config.ways, case.own.state
    free = (own.equity - own.initialMargin) / WAD - case.bound.margin
    free *= 1 - ways.margin_reserve
    held = sum(p.size for p in own.positions if p.market == position.market)
    room = ways.max_inventory - case.bound.notional[position.market]
    if held * position.size > 0:
        room -= tokens(abs(held), step.mark)
    base = step.base
    for _ in range(4):
        if base < step.min_base or free < 0 or room <= 0:
            return 0
        needed = margin_needed(case, own, position, base)
        notional = tokens(base, step.mark)
        if needed <= free and notional <= room:
            break
        share = min(free / needed if needed > free else 1, room / notional)
        base = int(base * max(0.0, share) * 0.98)
    else:
        return 0
    if base < step.base and step.dust(base):
        base = abs(step.size) - step.min_base
    return base if base >= step.min_base else 0


def margin_needed(case: Case, taker: Any, position: Any, base: int) -> float:
    """Initial margin that a taker of so much of a position needs more than now, tokens.

    Args:
        case: the account that gives it.
        taker: IMarginEngineTypes.AccountState of who takes it.
        position: IMarginEngineTypes.PositionState.
        base: WAD.
    """
    market = case.markets[position.market]
    held = next((p for p in taker.positions if p.market == position.market), None)
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
