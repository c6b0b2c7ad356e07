"""Everything wired together: token, oracle and its feeds, engine, settlement, liquidator, fund.

The twin of a deployment. A public action either succeeds and returns what the contract returns, or
raises `ModelError` with the contract's error name and arguments and changes nothing. Amounts are
WAD unless a name says `assets` (units of the token); addresses are 20 bytes, accounts 32.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from . import fund_inventory
from .backstop import Backstop
from .engine import MarginEngine
from .engine_state import Clock
from .errors import ModelError
from .fund import InsuranceFund, Receipt as FundReceipt
from .journal import Journal
from .liquidator import Liquidator, Receipt
from .oracle import PriceOracle
from .orders import OrderSettlement, Signed
from .token import Token


@dataclass(frozen=True)
class Addresses:
    """Where the contracts are, 20 bytes each."""

    engine: bytes = b"\x01" * 20
    settlement: bytes = b"\x02" * 20
    liquidator: bytes = b"\x03" * 20
    fund: bytes = b"\x04" * 20
    backstop: bytes = b"\x05" * 20


@dataclass
class FundGate:
    """The engine's way to the fund: the ledger's entries and the tokens that go with them."""

    world: World
    claimant: str

    def cover(self, claims: Sequence[tuple[int, int]], reward: int) -> FundReceipt:
        """Asks the fund and moves what it pays to the engine."""
        world = self.world
        receipt = world.fund.cover(self.claimant, claims, reward, world.now)
        if receipt.paid:
            at = world.addresses
            world.token.transfer(at.fund, at.engine, receipt.paid)
        return receipt

    def receive_income(self, market: int, assets: int) -> None:
        """Hands income of a market over to the fund."""
        world = self.world
        world.fund.receive_income(self.claimant, market, assets, world.now)
        world.token.transfer(world.addresses.engine, world.addresses.fund, assets)

    def compartment(self, market: int) -> int:
        """`InsuranceFund.compartment`."""
        return self.world.fund.market(self.claimant, market).balance

    def capacity(self) -> int:
        """What the shared layers hold, at most the room of the claimant's window."""
        fund, now = self.world.fund, self.world.now
        room = fund.draw_room(self.claimant, 0, now)[1]
        return min(room, fund.capital(now) - fund.compartments)

    def per_claim(self) -> int:
        """Largest shared draw of one event."""
        return self.world.fund.draw_room(self.claimant, 0, self.world.now)[0]

    def room(self, market: int) -> int:
        """Room of the market's window."""
        return self.world.fund.draw_room(self.claimant, market, self.world.now)[2]

    def reinsured(self) -> bool:
        """Whether the fund has a reinsurer."""
        return self.world.fund.reinsurer is not None

    def report_shortfall(self, market: int) -> None:
        """`InsuranceFund.reportShortfall` for the engine."""
        assert self.world.engine.open_deficit(market)
        self.world.fund.staking.hold_maturity(self.world.now)

    def lagged_ratio(self) -> int:
        """`InsuranceFund.laggedRatio`."""
        return self.world.fund.solvency.lagged_now(self.world.now)


@dataclass
class CapitalGate:
    """The backstop's way to the fund: the ledger's entries and the tokens that go with them."""

    world: World
    claimant: str

    @property
    def _caller(self) -> str:
        return "0x" + self.world.addresses.backstop.hex()

    def deploy_capital(self, market: int, assets: int) -> int:
        """Capital from the fund into the backstop's hands."""
        world = self.world
        drawn = fund_inventory.deploy_capital(
            world.fund, self.claimant, market, assets, world.now, caller=self._caller
        )
        world.token.transfer(world.addresses.fund, world.addresses.backstop, drawn)
        return drawn

    def return_capital(self, market: int, assets: int) -> None:
        """Capital back to the fund."""
        world = self.world
        world.token.transfer(world.addresses.backstop, world.addresses.fund, assets)
        fund_inventory.return_capital(world.fund, self.claimant, market, assets, world.now)

    def write_off_capital(self, market: int, assets: int) -> None:
        """Tells the fund what is lost."""
        fund = self.world.fund
        fund_inventory.write_off_capital(fund, self.claimant, market, assets, caller=self._caller)


@dataclass
class World:
    """A deployment: create it, list markets, set feeds and limits, then act.

    `fund_target` is what the risk oracle says, units of the token; 0 if there is none.
    """

    decimals: int = 6
    fund_target: int = 0
    addresses: Addresses = Addresses()
    clock: Clock = field(default_factory=Clock)
    oracle: PriceOracle = field(default_factory=PriceOracle)
    fund: InsuranceFund = field(default_factory=InsuranceFund)
    journal: Journal = field(default_factory=Journal)

    def __post_init__(self) -> None:
        self.token = Token(self.journal, self.decimals)
        self.engine = MarginEngine(
            self.journal,
            self.clock,
            self.oracle,
            self.token,
            FundGate(self, self.claimant),
            self.addresses.engine,
        )
        self.settlement = OrderSettlement(liquidator=self.addresses.liquidator)
        self.backstop = Backstop(
            self.engine, CapitalGate(self, self.claimant), self.addresses.backstop
        )
        self.liquidator = Liquidator(self.engine, self.backstop)

    @property
    def now(self) -> int:
        """Time of the present action, seconds."""
        return self.clock.now

    @property
    def claimant(self) -> str:
        """The engine's name in the fund's books: its address in lower-case hex."""
        return "0x" + self.addresses.engine.hex()

    def advance(self, seconds: int) -> int:
        """Lets time pass; returns the new time."""
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self.clock.now += seconds
        return self.clock.now

    # ------------------------------------------------------------------ traders

    def deposit(self, account: bytes, assets: int, *, caller: bytes) -> None:
        """`MarginEngine.deposit`."""
        self.engine.deposit(account, assets, caller=caller)

    def withdraw(self, account: bytes, assets: int, to: bytes, *, caller: bytes) -> None:
        """`MarginEngine.withdraw`."""
        self.engine.withdraw(account, assets, to, caller=caller)

    def fill(self, maker: Signed, taker: bytes, base: int, *, caller: bytes) -> int:
        """`OrderSettlement.fill`; returns the base that was filled."""
        with self._settling(maker):
            trade = self.settlement.fill(
                self._seen(maker), taker, base, caller=caller, now=self.now
            )
            self.engine.settle_fill(trade)
            return trade.base

    def match_orders(self, maker: Signed, taker: Signed, base: int) -> int:
        """`OrderSettlement.matchOrders`; returns the base that was filled."""
        with self._settling(maker, taker):
            trade = self.settlement.match_orders(
                self._seen(maker), self._seen(taker), base, now=self.now
            )
            self.engine.settle_fill(trade)
            return trade.base

    def cancel(self, account: bytes, nonce: int, *, caller: bytes) -> None:
        """`OrderSettlement.cancel`."""
        self.settlement.cancel(account, nonce, caller=caller)

    def cancel_all(self, account: bytes, new_minimum: int, *, caller: bytes) -> None:
        """`OrderSettlement.cancelAll`."""
        self.settlement.cancel_all(account, new_minimum, caller=caller)

    # ------------------------------------------------------------------ anybody

    def poke(self, market: int) -> None:
        """`MarginEngine.poke`."""
        self.engine.poke(market)

    def sweep_fees(self, market: int) -> None:
        """`MarginEngine.sweepFees`."""
        self.engine.sweep_fees(market)

    def fund_reserve(self, assets: int, *, caller: bytes) -> None:
        """`InsuranceFund.fundReserve`."""
        with self.journal.transaction():
            if assets:
                self.token.transfer(caller, self.addresses.fund, assets)
            self.fund.fund_reserve(assets)

    def fund_backing(self, assets: int, *, caller: bytes) -> None:
        """`InsuranceFund.fundBacking`."""
        with self.journal.transaction():
            if assets:
                self.token.transfer(caller, self.addresses.fund, assets)
            self.fund.fund_backing(assets)

    def note_solvency(self) -> int:
        """`InsuranceFund.noteSolvency`; returns the lagged ratio."""
        return self.fund.note_solvency(self.now, self.fund_target)

    def set_risk_oracle(self, target: int) -> None:
        """`InsuranceFund.setRiskOracle`, to one that says `target`."""
        self.fund.new_target(self.now, self.fund_target)
        self.fund_target = target
        self.note_solvency()

    def follow_fund(self, market: int) -> None:
        """`MarginEngine.followFund`."""
        self.engine.follow_fund(market)

    def fund_compartment(self, market: int, assets: int, *, caller: bytes) -> None:
        """`InsuranceFund.fundCompartment` for the engine."""
        with self.journal.transaction():
            before = copy.deepcopy(self.fund)
            try:
                self.fund.fund_compartment(self.claimant, market, assets)
                self.token.transfer(caller, self.addresses.fund, assets)
            except ModelError:
                _restore(self.fund, before)
                raise

    def stake(self, assets: int, *, caller: bytes) -> int:
        """`StakedTranche.deposit` for the caller; returns the shares."""
        with self.journal.transaction():
            before = copy.deepcopy(self.fund)
            try:
                shares = self.fund.staking.deposit(_text(caller), assets, self.now)
                self.token.transfer(caller, self.addresses.fund, assets)
            except ModelError:
                _restore(self.fund, before)
                raise
            return shares

    # ------------------------------------------------------------------ stakers

    def mint_stake(self, shares: int, *, caller: bytes) -> int:
        """`StakedTranche.mint` for the caller; returns the assets."""
        with self._funded():
            assets = self.fund.staking.mint(_text(caller), shares, self.now)
            self.token.transfer(caller, self.addresses.fund, assets)
            return assets

    def transfer_stake(self, to: bytes, shares: int, *, caller: bytes) -> bool:
        """`StakedTranche.transfer`; always True."""
        with self._funded():
            self.fund.staking.transfer(_text(caller), _text(to), shares)
            return True

    def fund_stakers(self, assets: int, *, caller: bytes) -> None:
        """`InsuranceFund.fundStakers`."""
        with self._funded():
            if assets:
                self.token.transfer(caller, self.addresses.fund, assets)
            self.fund.fund_stakers(assets, self.now)

    def request_redeem(self, shares: int, controller: bytes, *, caller: bytes) -> int:
        """`StakedTranche.requestRedeem` of the caller's own shares; returns the request's id."""
        with self._funded():
            return self.fund.staking.request_redeem(
                _text(caller), _text(controller), shares, self.now
            )[0]

    def claim_stake(self, request: int, *, caller: bytes) -> int:
        """`StakedTranche.claim` by the controller, to itself; returns what is paid."""
        with self._funded():
            return self._pay_staker(
                caller, self.fund.staking.claim(_text(caller), request, self.now)
            )

    def redeem_stake(self, shares: int, *, caller: bytes) -> int:
        """`StakedTranche.redeem` by the controller, to itself; returns what is paid."""
        with self._funded():
            return self._pay_staker(
                caller, self.fund.staking.redeem(_text(caller), shares, self.now)
            )

    def withdraw_stake(self, assets: int, *, caller: bytes) -> int:
        """`StakedTranche.withdraw` by the controller, to itself; returns the request's shares."""
        with self._funded():
            shares = self.fund.staking.withdraw(_text(caller), assets, self.now)
            self._pay_staker(caller, assets)
            return shares

    def report_shortfall(self, market: int) -> None:
        """`InsuranceFund.reportShortfall` for the engine."""
        if not self.engine.open_deficit(market):
            raise ModelError("NoShortfall", self.claimant, market)
        self.fund.staking.hold_maturity(self.now)

    def recover(self, event: int, assets: int, *, caller: bytes) -> None:
        """`InsuranceFund.recover`, with the receipt that the event left."""
        with self._funded():
            self.fund.recover(event, assets, self.now)
            self.token.transfer(caller, self.addresses.fund, assets)

    def collect(self, holder: bytes, era: int, part: int) -> int:
        """`StakedTranche.collect`; returns what the holder is paid."""
        with self._funded():
            assets = self.fund.staking.collect(_text(holder), era, part)
            return self._pay_staker(holder, assets)

    def _pay_staker(self, to: bytes, assets: int) -> int:
        if assets:
            self.token.transfer(self.addresses.fund, to, assets)
        return assets

    # ------------------------------------------------------------------ fair windows

    def close_fair_window(self) -> None:
        """`MarginEngine.closeFairWindow`."""
        with self._funded():
            self.engine.close_fair_window()

    def collect_window(self, account: bytes, market: int, window: int) -> int:
        """`MarginEngine.collectWindow`; returns the amount, WAD."""
        return self.engine.collect_window(account, market, window)

    def repay_ended(self, market: int, tag: int) -> int:
        """`MarginEngine.repayEnded`; returns the amount, WAD."""
        return self.engine.repay_ended(market, tag)

    # ------------------------------------------------------------------ liquidation

    def flag(self, account: bytes) -> None:
        """`Liquidator.flag`."""
        with self.journal.transaction():
            self.liquidator.flag(account)

    def unflag(self, account: bytes) -> None:
        """`Liquidator.unflag`."""
        with self.journal.transaction():
            self.liquidator.unflag(account)

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
        """`Liquidator.takeOver`; returns base and price."""
        with self.journal.transaction():
            return self.liquidator.take_over(
                account, market, keeper, max_base, limit_price, caller=caller
            )

    def liquidate_with_orders(
        self,
        account: bytes,
        market: int,
        keeper: bytes,
        orders: Sequence[Signed],
        signatures: int | None = None,
    ) -> int:
        """`Liquidator.liquidateWithOrders`; returns the base that was closed."""
        with self._settling(*orders):
            return self.liquidator.liquidate_with_orders(
                account, market, keeper, orders, self._fill_liquidation, signatures
            )

    def deleverage(self, account: bytes, market: int, keeper: bytes, max_base: int) -> int:
        """`Liquidator.deleverage`; returns the base that was closed."""
        with self.journal.transaction():
            return self.liquidator.deleverage(account, market, keeper, max_base)

    def close_out(
        self, account: bytes, keeper: bytes, take_positions: bool, *, caller: bytes
    ) -> Receipt:
        """`Liquidator.closeOut`; returns the receipt of the waterfall."""
        with self._funded():
            return self.liquidator.close_out(account, keeper, take_positions, caller=caller)

    def close_out_to_backstop(self, account: bytes, keeper: bytes) -> Receipt:
        """`Liquidator.closeOutToBackstop`; returns the receipt of the waterfall."""
        with self._funded():
            return self.liquidator.close_out_to_backstop(account, keeper)

    def liquidate_to_backstop(self, account: bytes, market: int, keeper: bytes) -> tuple[int, int]:
        """`Liquidator.liquidateToBackstop`; returns what was taken and what was torn up."""
        with self.journal.transaction():
            return self.liquidator.liquidate_to_backstop(account, market, keeper)

    # ------------------------------------------------------------------ backstop inventory

    def buy_inventory(
        self, market: int, buyer: bytes, max_base: int, limit_price: int, *, caller: bytes
    ) -> tuple[int, int]:
        """`Liquidator.buyInventory`; returns base and price."""
        with self.journal.transaction():
            return self.liquidator.buy_inventory(
                market, buyer, max_base, limit_price, caller=caller
            )

    def unwind_inventory(self, market: int, keeper: bytes) -> int:
        """`Liquidator.unwindInventory`; returns the base that was torn up."""
        with self.journal.transaction():
            return self.liquidator.unwind_inventory(market, keeper)

    def deploy_inventory(self, market: int, max_assets: int) -> int:
        """`Backstop.deploy`; returns the units that were deployed."""
        with self._funded():
            return self.backstop.deploy(market, max_assets)

    def release_inventory(self, market: int, max_assets: int) -> int:
        """`Backstop.release`; returns the units that went back."""
        with self._funded():
            return self.backstop.release(market, max_assets)

    def reset_inventory_loss(self, market: int) -> int:
        """`Backstop.resetLoss`; returns the loss in units."""
        with self._funded():
            return self.backstop.reset_loss(market)

    # ------------------------------------------------------------------ inside

    @contextmanager
    def _funded(self) -> Iterator[None]:
        """A transaction that also puts back what the fund did."""
        before = copy.deepcopy(self.fund)
        try:
            with self.journal.transaction():
                yield
        except ModelError:
            _restore(self.fund, before)
            raise
        finally:
            self.engine.end_transaction()

    def _seen(self, signed: Signed) -> Signed:
        """The order with the position that the settlement would find."""
        order = signed.order
        if not order.reduce_only:
            return signed
        return replace(signed, position=self.engine.position_size(order.account, order.market))

    def _fill_liquidation(self, signed: Signed, account: bytes, base: int) -> int:
        with self._settling(signed):
            trade = self.settlement.fill_liquidation(
                self._seen(signed),
                account,
                base,
                caller=self.addresses.liquidator,
                now=self.now,
            )
            self.engine.settle_fill(trade)
            return trade.base

    @contextmanager
    def _settling(self, *orders: Signed) -> Iterator[None]:
        """A transaction that also puts back what the settlement noted of these orders."""
        book = self.settlement
        used = {
            key: book.used.get(key) for key in ((o.order.account, o.order.nonce) for o in orders)
        }
        filled = {signed.hash: book.filled.get(signed.hash) for signed in orders}
        try:
            with self.journal.transaction():
                yield
        except ModelError:
            for key, state in used.items():
                if state is None:
                    book.used.pop(key, None)
                else:
                    book.used[key] = state
            for digest, amount in filled.items():
                if amount is None:
                    book.filled.pop(digest, None)
                else:
                    book.filled[digest] = amount
            raise


def _text(who: bytes) -> str:
    """An address as the fund's books name it."""
    return "0x" + who.hex()


def _restore(fund: InsuranceFund, before: InsuranceFund) -> None:
    """Puts a fund's fields back; the object stays the same for everybody who holds it."""
    fund.__dict__.update(before.__dict__)
