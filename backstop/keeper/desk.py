"""The backstop's inventory as the keeper sees it: what it would take, sells, and has to give up.

The twin of `contracts/liquidation/InventoryDesk.sol` on what the contracts say now; the rules are
in docs/backstop-inventory.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from backstop.chain.deploy import System
from backstop.chain.signing import account_id
from backstop.keeper.case import (
    DISCOUNT,
    EVERYTHING,
    REWARD,
    Case,
    Offer,
    Step,
    affordable,
    bought,
    fixed_reward,
    margin_needed,
    plan,
    tokens,
)
from backstop.model import inventory_math
from backstop.model.fixed_point import WAD
from backstop.model.inventory_desk import DUST_EQUITY
from backstop.model.liquidation_math import PPM_TO_WAD
from backstop.model.oracle import Validity


@dataclass(frozen=True)
class Desk:
    """The backstop's account in one market.

    Attributes:
        report: ILens.AccountReport of the account.
        caps: IBackstop.Caps; units of the token, and 1e-6.
        book: IBackstop.Book.
        scale: WAD of a unit of the token.
    """

    market: int
    report: Any
    caps: Any
    book: Any
    scale: int

    @property
    def position(self) -> Any | None:
        """IMarginEngineTypes.PositionState of the inventory, None without one."""
        return next((p for p in self.report.state.positions if p.size), None)

    @property
    def size(self) -> int:
        """Signed inventory, WAD."""
        return int(self.position.size) if self.position else 0

    @property
    def cushion(self) -> int:
        """What stands between the inventory and its end, WAD."""
        equity = int(self.report.state.equity)
        lost, scale = int(self.caps.loss), self.scale
        return inventory_math.cushion(lost * scale, int(self.book.invested) * scale, equity)

    @property
    def exhausted(self) -> bool:
        """The cushion no longer pays for the worst move until the next look."""
        return self.size != 0 and self.cushion < self.report.state.maintenanceMargin

    def room(self, position: Any) -> int:
        """Base of a position that fits under the caps, WAD; 0 if its price is not fully trusted."""
        if self.exhausted or position.validity != Validity.FULL:
            return 0
        return inventory_math.base_room_down(
            int(self.caps.notional) * self.scale,
            int(self.caps.marginPpm),
            self.cushion,
            position.markPrice,
            self.size,
            position.size > 0,
        )

    def price(self, now: int) -> int:
        """The auction's price at a time, WAD."""
        position, caps = self.position, self.caps
        assert position is not None
        return inventory_math.price(
            position.size > 0,
            position.markPrice,
            caps.premiumPpm,
            caps.maxDiscountPpm,
            now - self.book.auctionStart,
            caps.auctionTime,
            self.cushion,
            position.notional,
        )


class Desks:
    """Reads the backstop's accounts.

    Args:
        system: the deployment; one without a backstop has no desks.
    """

    def __init__(self, system: System) -> None:
        self.system = system
        self.there = "backstop" in system.record.contracts
        self.scale: int = 10 ** (18 - system.record.token_decimals)

    def accounts(self, markets: int) -> list[bytes]:
        """The account of every market."""
        if not self.there:
            return []
        return [account_id(self.system.backstop.address, n) for n in range(markets)]

    def read(self, reports: Sequence[Any]) -> dict[int, Desk]:
        """The desks that hold something, by market.

        Args:
            reports: ILens.AccountReport of `accounts`, in order.
        """
        found = {}
        for market, report in enumerate(reports):
            if report.ok and (report.state.equity > 0 or report.state.positions):
                caps, book = self.system.backstop.terms(market)
                found[market] = Desk(market, report, caps, book, self.scale)
        return found


def _takes(case: Case, desk: Desk, position: Any, step: Step) -> int:
    """The twin of `InventoryDesk._take`: all of a step, or what fits if neither part is dust; where
    the engine finds the initial margin.
    """
    base = min(step.base, desk.room(position))
    if base == 0 or (base != step.base and step.dust(base)):
        return 0
    state = desk.report.state
    free = (state.equity - state.initialMargin) / WAD
    return base if margin_needed(case, state, position, base) <= free else 0


def has_room(case: Case, position: Any) -> bool:
    """Whether the backstop could take some of a position later."""
    desk = case.desks.get(position.market) if case.config.ways.backstop else None
    return (
        desk is not None
        and case.account != desk.report.account
        and desk.room(position) >= case.min_base(position.market)
    )


def to_backstop(case: Case) -> Iterator[Offer]:
    """Into the fund's inventory, once the discount had its time; what does not fit goes to the
    opposite side in the same transaction, if it is time for that too.
    """
    if case.report.bankrupt or not case.state.flaggedAt:
        return
    for position in case.usable():
        terms, elapsed = case.markets[position.market].liquidation, case.elapsed()
        if elapsed < terms.ramp or not has_room(case, position):
            continue
        if position.market in case.bound.inventory:
            continue  # its turn comes when the one before is mined
        desk, step = case.desks[position.market], plan(case, position, REWARD, DISCOUNT)
        if step.discount < desk.caps.maxDiscountPpm * PPM_TO_WAD:
            continue
        base = _takes(case, desk, position, step)
        if base == 0:
            continue
        if elapsed >= terms.deleverageDelay:
            base = step.base
        reward = tokens(base, step.mark, step.reward)
        yield Offer(
            "backstop",
            case.account,
            position.market,
            "liquidateToBackstop",
            (case.account, position.market, case.keeper),
            case.gas("backstop"),
            reward - case.cost("backstop"),
            tokens(base, step.mark),
            more=step.more(base),
        )


def close_out_to_backstop(case: Case) -> Iterator[Offer]:
    """A bankrupt account whose positions the fund takes at the mark, as far as its caps allow."""
    positions = [p for p in case.state.positions if p.size]
    if not case.report.bankrupt or not all(p.validity for p in positions):
        return
    if not any(_fits(case, position) for position in positions):
        return
    if case.bound.inventory.intersection(p.market for p in positions):
        return
    first = max(positions, key=lambda p: p.notional)
    yield Offer(
        "backstop close-out",
        case.account,
        first.market,
        "closeOutToBackstop",
        (case.account, case.keeper),
        case.gas("backstop close-out"),
        fixed_reward(case, first) - case.cost("backstop close-out"),
        sum(p.notional for p in positions) / WAD,
    )


def _fits(case: Case, position: Any) -> bool:
    if not has_room(case, position):
        return False
    return _takes(case, case.desks[position.market], position, _whole(case, position)) > 0


def _whole(case: Case, position: Any) -> Step:
    """All of a position at the mark."""
    mark, size = int(position.markPrice), int(position.size)
    return Step(abs(size), 0, 0, case.min_base(position.market), size, mark)


# --- what is for sale, and what has to end


def unwind(case: Case) -> Iterator[Offer]:
    """Inventory whose cushion is used up goes to the opposite side, for the fixed reward.

    The reward comes out of the cushion: where that is gone it has to be done all the same.
    """
    desk = _own_desk(case)
    if desk is None or not desk.exhausted or case.state.equity < DUST_EQUITY:
        return
    position = desk.position
    if position is None or not position.validity:
        return
    yield Offer(
        "unwind",
        case.account,
        desk.market,
        "unwindInventory",
        (desk.market, case.keeper),
        case.gas("unwind"),
        min(fixed_reward(case, position), desk.cushion / WAD) - case.cost("unwind"),
        position.notional / WAD,
    )


def buy(case: Case) -> Iterator[Offer]:
    """Inventory into the keeper's account at the auction's price, as a take-over."""
    desk = _own_desk(case)
    position = desk.position if desk is not None else None
    if desk is None or position is None or position.validity != Validity.FULL:
        return
    if not case.config.ways.auction or not case.own.ok:
        return
    whole = _whole(case, position)
    base = affordable(case, position, whole)
    if base == 0:
        return
    profit, limit = bought(case, desk.market, whole, base, desk.price(case.now), "buy")
    yield Offer(
        "buy",
        case.account,
        desk.market,
        "buyInventory",
        (desk.market, case.keeper, EVERYTHING if base == whole.base else base, limit),
        case.gas("buy"),
        profit,
        tokens(base, whole.mark),
        margin=margin_needed(case, case.own.state, position, base),
    )


def _own_desk(case: Case) -> Desk | None:
    """The desk whose account this case is."""
    return next((d for d in case.desks.values() if d.report.account == case.account), None)


OFFERED: Final[Sequence[Callable[[Case], Iterator[Offer]]]] = (unwind, buy)
"""Ways to deal with the backstop's own accounts, whatever their margin."""
