"""Exact integer twin of `contracts/Liquidator.sol`: partial liquidation, close-out, waterfall.

Amounts are WAD. The caller's address is 20 bytes. A public method runs inside the transaction that
its caller opened (`World` does) and raises `ModelError` with the contract's error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from . import liquidation_math
from .backstop import Backstop
from .engine import MarginEngine
from .engine_hooks import LayerPayments
from .engine_state import AccountState, LiquidationParameters, PositionState, owner_of
from .errors import ModelError
from .fixed_point import PPM, WAD, mul_div_down, mul_div_up
from .inventory_desk import DUST_EQUITY, Desk, InventoryDesk
from .oracle import Validity
from .orders import Signed

FillLiquidation = Callable[[Signed, bytes, int], int]
"""Fills an order against an account in liquidation, at most so much base; returns how much."""


class Way(Enum):
    """How a solvent account is liquidated."""

    TAKE_OVER = "takeOver"
    ORDERS = "orders"
    BACKSTOP = "backstop"
    DELEVERAGE = "deleverage"


class Taker(Enum):
    """Who gets the positions of a bankrupt account."""

    OPPOSITE_SIDE = "oppositeSide"
    KEEPER = "keeper"
    BACKSTOP = "backstop"


@dataclass
class Receipt:
    """What happened to a bankrupt account's deficit; the legs sum to `deficit`."""

    event_id: int = 0
    deficit: int = 0
    compartment: int = 0
    reserve: int = 0
    staked: int = 0
    backing: int = 0
    reinsurance: int = 0
    side_charged: int = 0
    recorded: int = 0

    @property
    def legs(self) -> int:
        """All legs together."""
        fund = self.compartment + self.reserve + self.staked + self.backing + self.reinsurance
        return fund + self.side_charged + self.recorded


@dataclass(frozen=True)
class StepTerms:
    """Terms of one step, decided before anything moves. Fractions are WAD.

    `enough` is the base from which on the target health is restored.
    """

    size: int
    mark_price: int
    base: int
    min_base: int
    discount: int
    surcharge: int
    reward: int
    enough: int
    flagged_at: int
    hand_over_at: int
    validity: Validity

    @property
    def price(self) -> int:
        """Mark * (1 -+ discount), rounded for the account."""
        if self.size > 0:
            return mul_div_up(self.mark_price, WAD - self.discount, WAD)
        return mul_div_down(self.mark_price, WAD + self.discount, WAD)

    def part(self, base: int, fraction: int) -> int:
        """Fraction * base * mark, rounded down."""
        return mul_div_down(mul_div_down(base, self.mark_price, WAD), fraction, WAD)

    def clip(self, max_base: int) -> int:
        """The step, clipped to what the keeper wants; neither part may be dust."""
        if max_base >= self.base:
            return self.base
        if max_base < self.min_base or abs(self.size) - max_base < self.min_base:
            raise ModelError("StepTooSmall", max_base, self.min_base)
        return max_base

    def accepts(self, signed: Signed, market: int, worst: int) -> bool:
        """Whether an order is on the right side and no worse than `worst`."""
        order = signed.order
        long = self.size > 0
        if order.market != market or order.is_buy != long:
            return False
        return order.limit_price >= worst if long else order.limit_price <= worst


class Liquidator(InventoryDesk):
    """Who may be liquidated, how much, at which price; and the waterfall."""

    def __init__(self, engine: MarginEngine, backstop: Backstop | None = None) -> None:
        self.engine = engine
        self.backstop = backstop

    @property
    def _now(self) -> int:
        return self.engine.now

    # ------------------------------------------------------------------ the clock

    def flag(self, account: bytes) -> None:
        """Starts the clock of an account below maintenance margin."""
        s = self.engine.touch(account)
        _require_liquidatable(account, s)
        if s.flagged_at == 0:
            self.engine.set_flag(account, True)

    def unflag(self, account: bytes) -> None:
        """Stops the clock of an account that is no longer below maintenance margin."""
        s = self.engine.touch(account)
        if s.equity < s.maintenance_margin:
            raise ModelError("StillLiquidatable", account, s.equity, s.maintenance_margin)
        if s.flagged_at:
            self.engine.set_flag(account, False)

    # ------------------------------------------------------------------ solvent accounts

    def take_over(
        self,
        account: bytes,
        market: int,
        keeper: bytes,
        max_base: int,
        limit_price: int,
        *,
        caller: bytes,
    ) -> tuple[int, int]:
        """The caller's account takes over part of a position; returns base and price."""
        _require_owner(keeper, caller)
        if keeper == account:
            raise ModelError("SameAccount", account)
        step = self._plan(account, market, Way.TAKE_OVER)
        base = step.clip(max_base)
        price = step.price
        if price > limit_price if step.size > 0 else price < limit_price:
            raise ModelError("LimitPrice", price, limit_price)
        surcharge = step.part(base, step.surcharge)
        self.engine.take_over(account, keeper, market, base, price, surcharge)
        self._set_clock(account, step, base)
        return base, price

    def liquidate_with_orders(
        self,
        account: bytes,
        market: int,
        keeper: bytes,
        orders: Sequence[Signed],
        fill: FillLiquidation,
        signatures: int | None = None,
    ) -> int:
        """Closes part of a position against signed orders, best first; returns the base.

        `signatures` is how many signatures come with the orders, as many as orders if it is None.
        """
        if signatures is not None and signatures != len(orders):
            raise ModelError("OrdersAndSignatures", len(orders), signatures)
        if keeper == account:
            raise ModelError("SameAccount", account)
        step = self._plan(account, market, Way.ORDERS)
        worst = step.price
        base = 0
        for signed in orders:
            if base >= step.base:
                break
            if not step.accepts(signed, market, worst):
                continue
            # an order that has become unusable is passed over: it must not spoil the others
            try:
                with self.engine.journal.transaction():
                    base += fill(signed, account, step.base - base)
            except ModelError:
                pass
        if base == 0:
            raise ModelError("NothingFilled")
        self._charge(account, keeper, market, step, base)
        return base

    def deleverage(self, account: bytes, market: int, keeper: bytes, max_base: int) -> int:
        """Closes part of a position against the opposite side at the mark; returns the base."""
        if keeper == account:
            raise ModelError("SameAccount", account)
        step = self._plan(account, market, Way.DELEVERAGE)
        base = step.clip(max_base)
        self.engine.deleverage(account, market, base, 0)
        self._charge(account, keeper, market, step, base)
        return base

    def liquidate_to_backstop(self, account: bytes, market: int, keeper: bytes) -> tuple[int, int]:
        """Moves part of a position to the backstop; the rest is torn up if it is time for that.

        Returns what was taken and what was torn up.
        """
        if keeper == account or self._is_ours(account):
            raise ModelError("SameAccount", account)
        desk = self._open_desk(market)
        exhausted = desk.exhausted
        if exhausted and desk.equity >= DUST_EQUITY and desk.validity is not Validity.INVALID:
            self._unwind(desk, keeper)
        step = self._plan(account, market, Way.BACKSTOP)
        taken = torn_up = 0
        if not exhausted and _may_take(desk, step):
            taken = self._take(desk, account, step.size, step.base, step.mark_price, step.price)
        if taken != step.base and self._now >= step.hand_over_at:
            torn_up = step.base - taken
            self.engine.deleverage(account, market, torn_up, 0)
        if taken + torn_up:
            self._charge(account, keeper, market, step, taken + torn_up)
        elif not exhausted:
            raise ModelError("BackstopFull", market)
        return taken, torn_up

    def _plan(self, account: bytes, market: int, way: Way) -> StepTerms:
        """Checks that the account is liquidatable and solvent, and sets the terms."""
        s = self.engine.touch(account)
        _require_liquidatable(account, s)
        if s.equity < DUST_EQUITY:
            raise ModelError("Bankrupt", account, s.equity)
        p = _find(account, market, s)
        terms, min_base = self.engine.liquidation_terms(market)
        if way is Way.DELEVERAGE:
            self._check_delay(account, s.flagged_at, terms.deleverage_delay)
        if way is Way.BACKSTOP:
            self._check_delay(account, s.flagged_at, terms.ramp)
        elapsed = self._now - s.flagged_at if s.flagged_at else 0
        discount, surcharge, reward = _split_budget(way, terms, s, p, elapsed)
        notional = liquidation_math.notional_up(
            s.equity,
            s.maintenance_margin,
            p.maintenance_margin,
            p.notional,
            terms.target_health_ppm,
            discount + surcharge + reward,
        )
        enough = liquidation_math.base_up(notional, p.mark_price)
        base = liquidation_math.step_base(
            enough, abs(p.size), p.mark_price, terms.max_step, min_base
        )
        return StepTerms(
            size=p.size,
            mark_price=p.mark_price,
            base=base,
            min_base=min_base,
            discount=discount,
            surcharge=surcharge,
            reward=reward,
            enough=enough,
            flagged_at=s.flagged_at,
            hand_over_at=s.flagged_at + terms.deleverage_delay,
            validity=p.validity,
        )

    def _check_delay(self, account: bytes, flagged_at: int, delay: int) -> None:
        """Backstop and deleveraging have to wait until others had their time."""
        earliest = (flagged_at or self._now) + delay
        if flagged_at == 0 or self._now < earliest:
            raise ModelError("TooEarly", account, earliest)

    def _set_clock(self, account: bytes, step: StepTerms, base: int) -> None:
        """The clock stops when a step restored the target health; else it runs from now on."""
        restored = base >= step.enough
        if restored == (step.flagged_at != 0):
            self.engine.set_flag(account, not restored)

    def _charge(
        self, account: bytes, keeper: bytes, market: int, step: StepTerms, base: int
    ) -> None:
        """Takes surcharge and reward for `base`, both rounded down."""
        surcharge = step.part(base, step.surcharge)
        reward = step.part(base, step.reward)
        self.engine.charge_liquidation(account, keeper, market, surcharge, reward)
        self._set_clock(account, step, base)

    # ------------------------------------------------------------------ bankrupt accounts

    def close_out(
        self, account: bytes, keeper: bytes, take_positions: bool, *, caller: bytes
    ) -> Receipt:
        """Closes all positions of a bankrupt account; its deficit goes down the waterfall."""
        if take_positions:
            _require_owner(keeper, caller)
        return self._close_out(
            account, keeper, Taker.KEEPER if take_positions else Taker.OPPOSITE_SIDE
        )

    def close_out_to_backstop(self, account: bytes, keeper: bytes) -> Receipt:
        """The same, but the backstop takes the positions at the mark as far as its caps allow."""
        if self.backstop is None or self._is_ours(account):
            raise ModelError("SameAccount", account)
        return self._close_out(account, keeper, Taker.BACKSTOP)

    def _close_out(self, account: bytes, keeper: bytes, taker: Taker) -> Receipt:
        if keeper == account:
            raise ModelError("SameAccount", account)
        s = self.engine.touch(account)
        if s.equity >= DUST_EQUITY or (s.equity >= 0 and not s.positions):
            raise ModelError("NotBankrupt", account, s.equity)
        receipt = Receipt()
        if s.validity is Validity.INVALID:
            self._close_usable(account, s)
            return receipt
        s = _largest_first(s)
        receipt.deficit = max(0, -s.equity)
        markets, deficits = split_deficit(s)
        # of the first market only: its compartment pays it
        reward = self._reward_down(s.positions[0]) if s.positions else 0
        receipt.event_id, paid = self.engine.cover_from_fund(
            account, keeper, markets, deficits, reward // self.engine.scale
        )
        for legs in paid:
            receipt.compartment += legs.compartment
            receipt.reserve += legs.reserve
            receipt.staked += legs.staked
            receipt.backing += legs.backing
            receipt.reinsurance += legs.reinsurance
        self._close_all(account, keeper, taker, s, markets, deficits, paid, receipt)
        if self._is_ours(account):
            self._note_deficit(account, receipt)
        if s.flagged_at:
            self.engine.set_flag(account, False)
        return receipt

    def _note_deficit(self, account: bytes, receipt: Receipt) -> None:
        """What the fund paid for the backstop's own account counts towards its loss cap."""
        outside = receipt.side_charged + receipt.recorded
        paid = receipt.legs - outside
        if paid and self.backstop is not None:
            self.backstop.note_deficit(account, -(-paid // self.engine.scale))

    def _close_usable(self, account: bytes, s: AccountState) -> None:
        """Closes what has a usable price and leaves the rest, with the deficit, for later."""
        closable = [p for p in s.positions if p.validity is not Validity.INVALID and p.size]
        if not closable:
            raise ModelError("PriceNotUsable", s.positions[0].market)
        for p in closable:
            self.engine.deleverage(account, p.market, abs(p.size), 0)

    def _reward_down(self, p: PositionState) -> int:
        """Fixed reward for a bankrupt position: min(cap, fraction * notional), rounded down."""
        if p.size == 0:
            return 0
        terms, _ = self.engine.liquidation_terms(p.market)
        return min(terms.close_reward_cap * WAD, mul_div_down(p.notional, terms.reward_ppm, PPM))

    def _close_all(
        self,
        account: bytes,
        keeper: bytes,
        taker: Taker,
        s: AccountState,
        markets: Sequence[int],
        deficits: Sequence[int],
        paid: Sequence[LayerPayments],
        receipt: Receipt,
    ) -> None:
        """Layers 5 and 6: the opposite side bears what it can, the rest is recorded."""
        recorded = [deficit - legs.total for deficit, legs in zip(deficits, paid, strict=True)]
        for i, p in enumerate(s.positions):
            charged = self._close(account, keeper, taker, p, recorded[i])
            recorded[i] -= charged
            receipt.side_charged += charged
        receipt.recorded = sum(recorded)
        if receipt.side_charged:
            self.engine.settle_deficit(account, markets[0], receipt.side_charged, 0)
        for market, amount in zip(markets, recorded, strict=True):
            if amount:
                self.engine.settle_deficit(account, market, 0, amount)

    def _close(
        self, account: bytes, keeper: bytes, taker: Taker, p: PositionState, charge: int
    ) -> int:
        base = abs(p.size)
        if taker is Taker.OPPOSITE_SIDE or base == 0:
            return self.engine.deleverage(account, p.market, base, charge)
        charged = self.engine.charge_side(p.market, p.size < 0, charge) if charge else 0
        if taker is Taker.KEEPER:
            self.engine.take_over(account, keeper, p.market, base, p.mark_price, 0)
            return charged
        taken = self._offer(account, p, base)
        if taken != base:
            self.engine.deleverage(account, p.market, base - taken, 0)
        return charged

    def _offer(self, account: bytes, p: PositionState, base: int) -> int:
        """Offers a position to the backstop at the mark; returns what it takes."""
        if p.validity is not Validity.FULL:
            return 0
        desk = self._open_desk(p.market)
        if desk.exhausted:
            return 0
        return self._take(desk, account, p.size, base, p.mark_price, p.mark_price)


def _may_take(desk: Desk, step: StepTerms) -> bool:
    """Only at a trusted price, and at a discount that is at least that of the auction's floor."""
    floor = desk.caps.max_discount_ppm * liquidation_math.PPM_TO_WAD
    return step.validity is Validity.FULL and step.discount >= floor


def _largest_first(s: AccountState) -> AccountState:
    """The largest position changes places with the first, whose reward is that of the close-out."""
    positions = list(s.positions)
    if positions:
        i = max(range(len(positions)), key=lambda n: positions[n].notional)
        positions[0], positions[i] = positions[i], positions[0]
    return replace(s, positions=tuple(positions))


def split_deficit(s: AccountState) -> tuple[list[int], list[int]]:
    """deficit_i = floor(deficit * margin_i / sum of margins); the last market gets the remainder.

    Without margins the last market gets all, without markets market 0 does.
    """
    deficit = max(0, -s.equity)
    if not s.positions:
        return [0], [deficit]
    total = s.maintenance_margin
    deficits = [
        mul_div_down(deficit, p.maintenance_margin, total) if total else 0 for p in s.positions
    ]
    deficits[-1] = deficit - sum(deficits[:-1])
    return [p.market for p in s.positions], deficits


def _split_budget(
    way: Way, terms: LiquidationParameters, s: AccountState, p: PositionState, elapsed: int
) -> tuple[int, int, int]:
    """Discount, surcharge and reward: first what makes a keeper act, then the surcharge."""
    left = liquidation_math.budget_down(
        s.equity, s.maintenance_margin, p.maintenance_margin, p.notional
    )
    discount = reward = 0
    if way in (Way.BACKSTOP, Way.DELEVERAGE):
        reward = min(terms.reward_ppm * liquidation_math.PPM_TO_WAD, left)
        left -= reward
    if way is not Way.DELEVERAGE:
        wanted = liquidation_math.discount_down(
            s.equity,
            s.maintenance_margin,
            terms.min_discount_ppm,
            terms.max_discount_ppm,
            elapsed,
            terms.ramp,
        )
        discount = min(wanted, left)
        left -= discount
    if way is Way.ORDERS:
        reward = min(terms.reward_ppm * liquidation_math.PPM_TO_WAD, left)
        left -= reward
    surcharge = min(terms.surcharge_ppm * liquidation_math.PPM_TO_WAD, left)
    return discount, surcharge, reward


def _find(account: bytes, market: int, s: AccountState) -> PositionState:
    for p in s.positions:
        if p.market == market and p.size:
            if p.validity is Validity.INVALID:
                raise ModelError("PriceNotUsable", market)
            return p
    raise ModelError("NoPosition", account, market)


def _require_liquidatable(account: bytes, s: AccountState) -> None:
    if s.equity >= s.maintenance_margin:
        raise ModelError("NotLiquidatable", account, s.equity, s.maintenance_margin)


def _require_owner(account: bytes, caller: bytes) -> None:
    if owner_of(account) != caller:
        raise ModelError("NotOwner", account, caller)
