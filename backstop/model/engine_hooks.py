"""What the liquidator may do to accounts, as `contracts/engine/LiquidationHooks.sol`.

All of it runs at the stored marks, which `touch` refreshed earlier in the same action. Amounts are
WAD; a hook that raises leaves what the surrounding transaction has to undo.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from . import side_index
from .engine_fills import EngineFills
from .engine_markets import MarketCache, SideCache, open_interest
from .engine_state import (
    LONG,
    NO_ACCOUNT,
    SHORT,
    AccountState,
    PositionState,
    markets_in,
)
from .errors import ModelError
from .fixed_point import PPM, WAD, mul_div_down, mul_div_up, to_int, to_uint
from .fund import Legs, Receipt as FundReceipt
from .oracle import Validity


class LayerPayments(Legs):
    """What the fund's layers paid of one market's part of a deficit, WAD."""


class FundPort(Protocol):
    """The insurance fund as the engine sees it; amounts are units of the token."""

    def cover(self, claims: Sequence[tuple[int, int]], reward: int) -> FundReceipt:
        """Pays what its rules allow; raises ModelError if it does not serve the engine."""
        ...

    def receive_income(self, market: int, assets: int) -> None:
        """Takes income of a market; raises ModelError if it cannot."""
        ...

    def compartment(self, market: int) -> int:
        """What the market's own money is."""
        ...

    def capacity(self) -> int:
        """What the shared layers hold, at most the room of the engine's window."""
        ...

    def per_claim(self) -> int:
        """Largest shared draw of one event."""
        ...

    def room(self, market: int) -> int:
        """Room of the market's window."""
        ...

    def reinsured(self) -> bool:
        """Whether somebody outside of the fund is asked for what its layers leave."""
        ...

    def report_shortfall(self, market: int) -> None:
        """Keeps capital from leaving for a while."""
        ...

    def lagged_ratio(self) -> int:
        """The solvency ratio that terms follow, WAD."""
        ...


class EngineHooks(EngineFills):
    """Touching, flagging, moving and closing positions of accounts in liquidation."""

    fund: FundPort
    scale: int

    def touch(self, account: bytes) -> AccountState:
        """Accrues and re-marks all markets of an account and values it."""
        bits = self.tables.accounts.get(account, NO_ACCOUNT).markets
        for market in markets_in(bits):
            self._store(self._load_fresh(market))
        return self.account_state(account)

    def set_flag(self, account: bytes, flagged: bool) -> None:
        """Starts or stops the liquidation clock."""
        stored = self.tables.accounts.get(account, NO_ACCOUNT)
        at = self.now if flagged else 0
        self.tables.accounts[account] = stored._replace(flagged_at=at)

    def take_over(
        self,
        account: bytes,
        keeper: bytes,
        market: int,
        base: int,
        price: int,
        surcharge: int,
    ) -> None:
        """Moves `base` of a position to `keeper`, who must hold its initial margin afterwards."""
        cache = self._load_stored(market)
        held, _ = self._position(cache, account)
        paid = -mul_div_up(base, price, WAD)
        got = mul_div_down(base, price, WAD)
        if held > 0:
            change, quote, keeper_quote = -base, got, paid
        else:
            change, quote, keeper_quote = base, paid, got
        victim = self._trade(cache, account, change, quote, surcharge)
        taker = self._trade(cache, keeper, -change, keeper_quote, 0)
        self._book_surcharge(market, surcharge)
        self._store(cache)
        v = self._valuate(taker.account, cache)
        self._require_margin(keeper, v.equity - max(taker.gain, 0), v.initial_margin)
        self._store_account(victim.account)
        self._store_account(taker.account)

    def charge_liquidation(
        self, account: bytes, keeper: bytes, market: int, surcharge: int, reward: int
    ) -> None:
        """Charges the account surcharge (to the fund) and reward (to the keeper)."""
        self._add_collateral(account, -(surcharge + reward))
        if reward:
            self._add_collateral(keeper, reward)
        self._book_surcharge(market, surcharge)

    def deleverage(self, account: bytes, market: int, base: int, charge: int) -> int:
        """Closes `base` against the opposite side at the mark, after charging that side.

        opposite side:  K += or -= x * mark * K_UNIT / B,   A -= x * ONE / B

        where x is `base`, or the whole opposite side if that is a few wei smaller. Returns what the
        side bears of `charge`.
        """
        cache = self._load_stored(market)
        held, _ = self._position(cache, account)
        base = min(base, abs(held))
        short = held < 0
        opposite = cache.sides[LONG if short else SHORT]
        charged = self._charge(cache, not short, charge) if held else 0
        x = min(base, open_interest(opposite, False))
        if short:
            quote = -mul_div_up(base, cache.mark_price, WAD)
            if x:
                gets = mul_div_down(x, cache.mark_price, WAD)
                opposite.K = side_index.get_down(opposite.K, gets, opposite.B)
        else:
            quote = mul_div_down(x, cache.mark_price, WAD)
            if x:
                pays = mul_div_up(x, cache.mark_price, WAD)
                opposite.K = side_index.pay_up(opposite.K, pays, opposite.B)
        if x:
            self._shrink(cache, opposite, not short, x)
        leg = self._trade(cache, account, base if short else -base, quote, 0)
        self._store_account(leg.account)
        self._store(cache)
        return charged

    def _shrink(self, cache: MarketCache, side: SideCache, short: bool, x: int) -> None:
        """Takes `x` off a side; one of which less than a wei is left ends its epoch."""
        side.A = side_index.shrink(side.A, x, side.B, short)
        side.changed = True
        if open_interest(side, False) == 0:
            self._end_epoch(cache, short)

    def charge_side(self, market: int, longs: bool, amount: int) -> int:
        """Charges a deficit to one side, all positions by size; returns what it bears."""
        cache = self._load_stored(market)
        charged = self._charge(cache, not longs, amount)
        self._store(cache)
        return charged

    def _charge(self, cache: MarketCache, short: bool, amount: int) -> int:
        """Charged <= openInterest * mark * chargeCap;  K -= charged * K_UNIT / B, rounded up"""
        side = cache.sides[SHORT if short else LONG]
        if amount == 0 or side.B == 0:
            return 0
        bearable = mul_div_down(
            mul_div_down(open_interest(side, False), cache.mark_price, WAD),
            cache.parameters.charge_cap_ppm,
            PPM,
        )
        charged = min(amount, bearable)
        if charged == 0 or not side_index.room_for_charge(side.K, charged, side.B):
            return 0
        side.K = side_index.pay_up(side.K, charged, side.B)
        side.changed = True
        self._claim_for_side(cache, side, short, charged)
        return charged

    # ------------------------------------------------------------------ the fund

    def cover_from_fund(
        self,
        account: bytes,
        keeper: bytes,
        markets: Sequence[int],
        deficits: Sequence[int],
        reward_assets: int,
    ) -> tuple[int, list[LayerPayments]]:
        """Asks the fund for a deficit and credits what it pays; the reward goes to `keeper`.

        Income that a market earned for the fund and that was not handed over yet pays first. A fund
        that fails has paid nothing. Returns the event number and what was paid, market by market.
        """
        from_income = [
            self._pay_from_income(account, market, deficit)
            for market, deficit in zip(markets, deficits, strict=True)
        ]
        paid = [LayerPayments(compartment=income) for income in from_income]
        claims = [
            (market, -((income - deficit) // self.scale))
            for market, deficit, income in zip(markets, deficits, from_income, strict=True)
        ]
        waiting = self._hold_back(account, claims)
        event_id = 0
        try:
            with self.journal.transaction():
                receipt = self.fund.cover(claims, reward_assets)
        except ModelError:
            pass
        else:
            event_id = receipt.event_id
            self._book_receipt(account, keeper, receipt, from_income, markets, deficits, paid)
        if waiting:
            unpaid = [deficit - p.total for deficit, p in zip(deficits, paid, strict=True)]
            self._defer_all(markets, unpaid, waiting)
        return event_id, paid

    def _book_receipt(
        self,
        account: bytes,
        keeper: bytes,
        receipt: FundReceipt,
        from_income: Sequence[int],
        markets: Sequence[int],
        deficits: Sequence[int],
        paid: list[LayerPayments],
    ) -> None:
        """Credits what the fund paid to the account, and the reward to the keeper."""
        credited = 0
        for i, legs in enumerate(receipt.legs):
            paid[i] = self._book_legs(legs, from_income[i], markets[i], deficits[i])
            credited += paid[i].total - from_income[i]
        if credited:
            self._add_collateral(account, credited)
        if receipt.reward_paid:
            self._add_collateral(keeper, receipt.reward_paid * self.scale)

    def _book_legs(self, legs: Legs, income: int, market: int, deficit: int) -> LayerPayments:
        """What one market's deficit was paid, WAD.

        The claim was rounded up to a whole unit; what the last leg paid above the deficit is income
        of the market again.
        """
        amounts = [
            income + legs.compartment * self.scale,
            legs.reserve * self.scale,
            legs.staked * self.scale,
            legs.backing * self.scale,
            legs.reinsurance * self.scale,
        ]
        surplus = sum(amounts) - deficit
        if surplus > 0:
            last = max(i for i, amount in enumerate(amounts) if amount)
            amounts[last] -= surplus
            self._book_surcharge(market, surplus)
        return LayerPayments(*amounts)

    def _pay_from_income(self, account: bytes, market: int, deficit: int) -> int:
        stored = self.tables.markets.get(market)
        if stored is None:
            return 0
        paid = min(stored.income.fund, deficit)
        if paid:
            income = stored.income._replace(fund=stored.income.fund - paid)
            self.tables.markets[market] = stored._replace(income=income)
            self._add_collateral(account, paid)
        return paid

    def settle_deficit(self, account: bytes, market: int, charged: int, recorded: int) -> None:
        """Credits a bankrupt, flat account; crediting above zero would create quote."""
        self._add_collateral(account, charged + recorded)
        if self.tables.accounts[account].collateral > 0:
            raise ModelError("NotFlat", account)
        if recorded:
            stored = self.tables.markets[market]
            self.tables.markets[market] = stored._replace(
                recorded_deficit=stored.recorded_deficit + recorded
            )

    def _add_collateral(self, account: bytes, amount: int) -> None:
        stored = self.tables.accounts.get(account, NO_ACCOUNT)
        collateral = to_int(stored.collateral + amount, 120)
        self.tables.accounts[account] = stored._replace(collateral=collateral)

    def _book_surcharge(self, market: int, surcharge: int) -> None:
        if surcharge == 0:
            return
        stored = self.tables.markets[market]
        income = stored.income._replace(fund=to_uint(stored.income.fund + surcharge, 120))
        self.tables.markets[market] = stored._replace(income=income)

    # ------------------------------------------------------------------ valuing

    def account_state(self, account: bytes) -> AccountState:
        """The account now, position by position; funding included."""
        a = self._load_account(account)
        positions = tuple(self._position_state(market, account) for market in markets_in(a.markets))
        return AccountState(
            collateral=a.collateral,
            equity=a.collateral + sum(p.value for p in positions),
            initial_margin=sum(p.initial_margin for p in positions),
            maintenance_margin=sum(p.maintenance_margin for p in positions),
            locked_profit=self._locked_up(a),
            flagged_at=a.flagged_at,
            validity=min((p.validity for p in positions if p.size), default=Validity.FULL),
            positions=positions,
        )

    def _position_state(self, market: int, account: bytes) -> PositionState:
        cache = self._peek(market)
        size, quote = self._position(cache, account)
        value, initial, maintenance = self._value(cache, size, quote)
        return PositionState(
            market=market,
            validity=cache.validity,
            size=size,
            quote=quote,
            mark_price=cache.mark_price,
            value=value,
            notional=mul_div_up(abs(size), cache.mark_price, WAD),
            initial_margin=initial,
            maintenance_margin=maintenance,
        )
