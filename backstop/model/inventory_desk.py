"""Exact integer twin of `contracts/liquidation/InventoryDesk.sol`: the backstop's inventory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from . import inventory_math
from .backstop import Backstop, Caps
from .engine import MarginEngine
from .engine_state import owner_of
from .errors import ModelError
from .fixed_point import PPM, WAD, mul_div_down
from .oracle import Validity

DUST_EQUITY: Final = 10**10
"""Equity below which an account counts as bankrupt, WAD."""


@dataclass(frozen=True)
class Desk:
    """One market's account while it is dealt with."""

    market: int
    account: bytes
    caps: Caps
    auction_start: int
    equity: int
    cushion: int
    maintenance_margin: int
    flagged_at: int
    size: int
    mark_price: int
    notional: int
    validity: Validity

    @property
    def exhausted(self) -> bool:
        """Whether the cushion no longer pays for the worst move until the next look."""
        return self.size != 0 and self.cushion < self.maintenance_margin


class InventoryDesk:
    """What is taken into the inventory, sold from it, and handed over to deleveraging."""

    engine: MarginEngine
    backstop: Backstop | None

    def buy_inventory(
        self, market: int, buyer: bytes, max_base: int, limit_price: int, *, caller: bytes
    ) -> tuple[int, int]:
        """The caller's account takes inventory over at the auction's price; base and price."""
        if owner_of(buyer) != caller:
            raise ModelError("NotOwner", buyer, caller)
        desk = self._open_desk(market)
        if desk.size == 0:
            raise ModelError("NoInventory", market)
        if desk.validity is not Validity.FULL:
            raise ModelError("PriceNotUsable", market)
        long, held = desk.size > 0, abs(desk.size)
        base = min(max_base, held)
        if base != held:
            _, min_base = self.engine.liquidation_terms(market)
            if base < min_base or held - base < min_base:
                raise ModelError("StepTooSmall", base, min_base)
        price = inventory_math.price(
            long,
            desk.mark_price,
            desk.caps.premium_ppm,
            desk.caps.max_discount_ppm,
            self.engine.now - desk.auction_start,
            desk.caps.auction_time,
            desk.cushion,
            desk.notional,
        )
        if price > limit_price if long else price < limit_price:
            raise ModelError("LimitPrice", price, limit_price)
        self.engine.take_over(desk.account, buyer, market, base, price, 0)
        self._backstop(market).note_change(
            market, desk.size, desk.size - base if long else desk.size + base
        )
        return base, price

    def unwind_inventory(self, market: int, keeper: bytes) -> int:
        """Tears inventory up at the mark once its cushion is used up; returns the base."""
        desk = self._open_desk(market)
        if desk.size == 0:
            raise ModelError("NoInventory", market)
        if not desk.exhausted:
            raise ModelError("InventoryHolds", market, desk.cushion, desk.maintenance_margin)
        if desk.validity is Validity.INVALID:
            raise ModelError("PriceNotUsable", market)
        if desk.equity < DUST_EQUITY:
            raise ModelError("Bankrupt", desk.account, desk.equity)
        return self._unwind(desk, keeper)

    def _backstop(self, market: int) -> Backstop:
        if self.backstop is None:
            raise ModelError("NoInventory", market)
        return self.backstop

    def _open_desk(self, market: int) -> Desk:
        """The market's account with its marks and funding up to date."""
        backstop = self._backstop(market)
        caps, book = backstop.terms(market)
        account = backstop.account_of(market)
        s = self.engine.touch(account)
        scale = self.engine.scale
        p = s.positions[0] if s.positions else None
        return Desk(
            market=market,
            account=account,
            caps=caps,
            auction_start=book.auction_start,
            equity=s.equity,
            cushion=inventory_math.cushion(caps.loss * scale, book.invested * scale, s.equity),
            maintenance_margin=s.maintenance_margin,
            flagged_at=s.flagged_at,
            size=p.size if p else 0,
            mark_price=p.mark_price if p else 0,
            notional=p.notional if p else 0,
            validity=p.validity if p else Validity.INVALID,
        )

    def _unwind(self, desk: Desk, keeper: bytes) -> int:
        """All inventory against the opposite side at the mark; the keeper gets the reward."""
        base = abs(desk.size)
        self.engine.deleverage(desk.account, desk.market, base, 0)
        terms, _ = self.engine.liquidation_terms(desk.market)
        reward = min(
            terms.close_reward_cap * WAD, mul_div_down(desk.notional, terms.reward_ppm, PPM)
        )
        reward = min(reward, desk.cushion)
        if reward:
            self.engine.charge_liquidation(desk.account, keeper, desk.market, 0, reward)
        if desk.flagged_at:
            self.engine.set_flag(desk.account, False)
        self._backstop(desk.market).note_change(desk.market, desk.size, 0)
        return base

    def _take(
        self, desk: Desk, account: bytes, position: int, base: int, mark_price: int, price: int
    ) -> int:
        """Takes up to `base` of a position into the inventory, or nothing; returns the base."""
        long = position > 0
        room = inventory_math.base_room_down(
            desk.caps.notional * self.engine.scale,
            desk.caps.margin_ppm,
            desk.cushion,
            mark_price,
            desk.size,
            long,
        )
        taken = min(base, room)
        if taken != base:
            _, min_base = self.engine.liquidation_terms(desk.market)
            if taken < min_base or abs(position) - taken < min_base:
                return 0
        # the engine has the last word: without initial margin the way does not exist
        try:
            with self.engine.journal.transaction():
                self.engine.take_over(account, desk.account, desk.market, taken, price, 0)
        except ModelError:
            return 0
        afterwards = desk.size + taken if long else desk.size - taken
        self._backstop(desk.market).note_change(desk.market, desk.size, afterwards)
        return taken

    def _is_ours(self, account: bytes) -> bool:
        return self.backstop is not None and self.backstop.owns(account)
