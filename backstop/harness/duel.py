"""One sequence of actions on the twin, and the same sequence on the contracts.

The twin acts at once, so that whoever chooses the next action can look at it; what it did and every
field it showed afterwards is written down. `verify` then plays the whole sequence on the contracts
in a single request and compares outcome by outcome, field by field, to the wei.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import is_dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any

from eth_utils import keccak

from backstop.chain.signing import as_tuple, order_hash, sign_digest
from backstop.harness.anvil import account_address, private_key
from backstop.harness.decoding import checksum
from backstop.harness.duel_stakers import StakerActions
from backstop.harness.expected import Expected as Expected
from backstop.harness.rpc import Outcome, Step
from backstop.harness.world import (
    MARKETS,
    ChainWorld,
    accounts,
    feed_name,
    owners,
    twin_world,
)
from backstop.model.engine_state import MarketClaims
from backstop.model.errors import ModelError
from backstop.model.fund_inventory import deployed_capital
from backstop.model.invariants import LIQUIDATIONS, Checker
from backstop.model.liquidator import Receipt as LiquidatorReceipt
from backstop.model.oracle import FeedProblem, Round
from backstop.model.orders import Order, Signed
from backstop.model.world import World

TWIN_START = 1_735_690_000

RECEIPT_LAYERS = ("compartment", "reserve", "staked", "backing", "side_charged", "recorded")

_MODES = {FeedProblem.NONE: 0, FeedProblem.CALL_FAILED: 1, FeedProblem.SHORT_RETURN: 4}
_KEYS: dict[bytes, bytes] = {}


class Disagreement(AssertionError):
    """The contracts did something else than the twin."""


class Duel(StakerActions):
    """A twin, and the transcript of what it did.

    Args:
        chain: the contracts to compare with; None plays on the twin alone.
        check: whether the invariants are checked after every action.
    """

    def __init__(self, chain: ChainWorld | None = None, *, check: bool = True) -> None:
        self.chain = chain
        self.world: World = chain.twin() if chain else twin_world(TWIN_START)
        if chain:
            self.world.clock.now = chain.client.timestamp
        self.accounts = accounts()
        self.owners = owners()
        self.steps: list[Step] = []
        self.expected: list[Expected] = []
        self.orders: list[Signed] = []
        self.signatures: dict[tuple[bytes, bool], bytes] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        self.checker = Checker(self.world) if check else None
        self.milestones: Counter[str] = Counter()
        self.nonces: Counter[bytes] = Counter()
        self.actions = 0
        self._stake_views = {}
        self._domain = chain.domain if chain else None

    # ------------------------------------------------------------------ acting

    def act(
        self,
        kind: str,
        twin: Callable[[], Any],
        contract: str,
        function: str,
        args: Sequence[Any],
        sender: bytes,
        delay: int,
        *,
        victim: bytes | None = None,
        keeper: bytes | None = None,
        also: Sequence[bytes] = (),
    ) -> Expected:
        """Lets time pass, acts on the twin, and writes down the step for the contracts."""
        if not self.actions:
            delay = max(1, delay)  # the first step has a block of its own
        self.actions += 1
        self.world.advance(delay)
        epochs, repaid = self._epochs(), self._recorded()
        receipts = len(self.world.fund.recoveries)
        if self.checker:
            self.checker.before(kind, [*_accounts_in(args), *also], victim, keeper)
        result, error = None, None
        try:
            result = twin()
        except ModelError as raised:
            error = raised
        if self.checker:
            self.checker.after(result, error)
        expected = Expected(kind, result, error, self.show() if self.chain else None)
        self.counts[kind, expected.outcome] += 1
        self._note(expected, epochs, repaid)
        self._note_losses(receipts)
        if self.chain:
            target = self.chain.feeds.get(contract) or getattr(self.chain, contract)
            step = target[function].step(*args, sender=sender_of(sender), delay=delay)
            self.steps.append(step)
            self.expected.append(expected)
        return expected

    def deposit(self, account: bytes, assets: int, caller: bytes, delay: int) -> Expected:
        """`MarginEngine.deposit`."""
        return self.act(
            "deposit",
            lambda: self.world.deposit(account, assets, caller=caller),
            "engine",
            "deposit",
            (account, assets),
            caller,
            delay,
        )

    def withdraw(
        self, account: bytes, assets: int, to: bytes, caller: bytes, delay: int
    ) -> Expected:
        """`MarginEngine.withdraw`."""
        return self.act(
            "withdraw",
            lambda: self.world.withdraw(account, assets, to, caller=caller),
            "engine",
            "withdraw",
            (account, assets, to),
            caller,
            delay,
        )

    def sign(
        self,
        account: bytes,
        market: int,
        is_buy: bool,
        base: int,
        limit_price: int,
        *,
        expiry: int,
        reduce_only: bool = False,
        valid: bool = True,
        nonce: int | None = None,
    ) -> Signed:
        """A new order with its signature (by a stranger if not `valid`)."""
        if nonce is None:
            nonce = self.nonces[account]
            self.nonces[account] += 1
        order = Order(account, market, is_buy, base, limit_price, expiry, nonce, reduce_only)
        if self._domain is None:
            digest = keccak(repr(order).encode())
        else:
            digest = order_hash(order, self._domain)
            if (digest, valid) not in self.signatures:
                key = _key_of(account[:20] if valid else self._stranger(account))
                self.signatures[digest, valid] = sign_digest(digest, key)
        signed = Signed(order, digest, valid)
        self.orders.append(signed)
        return signed

    def _stranger(self, account: bytes) -> bytes:
        return next(who for who in self.owners if who != account[:20])

    def _presented(self, signed: Signed) -> tuple[tuple[Any, ...], bytes]:
        signature = self.signatures.get((signed.hash, signed.valid), b"")
        return as_tuple(signed.order), signature

    def fill(self, signed: Signed, taker: bytes, base: int, caller: bytes, delay: int) -> Expected:
        """`OrderSettlement.fill`."""
        order, signature = self._presented(signed)
        return self.act(
            "fill",
            lambda: self.world.fill(signed, taker, base, caller=caller),
            "settlement",
            "fill",
            (order, signature, taker, base),
            caller,
            delay,
        )

    def match(self, maker: Signed, taker: Signed, base: int, delay: int) -> Expected:
        """`OrderSettlement.matchOrders`."""
        args = (*self._presented(maker), *self._presented(taker), base)
        return self.act(
            "match",
            lambda: self.world.match_orders(maker, taker, base),
            "settlement",
            "matchOrders",
            args,
            self.owners[0],
            delay,
        )

    def cancel(self, account: bytes, nonce: int, caller: bytes, delay: int) -> Expected:
        """`OrderSettlement.cancel`."""
        return self.act(
            "cancel",
            lambda: self.world.cancel(account, nonce, caller=caller),
            "settlement",
            "cancel",
            (account, nonce),
            caller,
            delay,
        )

    def cancel_all(self, account: bytes, minimum: int, caller: bytes, delay: int) -> Expected:
        """`OrderSettlement.cancelAll`."""
        return self.act(
            "cancelAll",
            lambda: self.world.cancel_all(account, minimum, caller=caller),
            "settlement",
            "cancelAll",
            (account, minimum),
            caller,
            delay,
        )

    def poke(self, market: int, delay: int) -> Expected:
        """`MarginEngine.poke`."""
        return self.act(
            "poke",
            lambda: self.world.poke(market),
            "engine",
            "poke",
            (market,),
            self.owners[0],
            delay,
        )

    def sweep(self, market: int, delay: int) -> Expected:
        """`MarginEngine.sweepFees`."""
        return self.act(
            "sweepFees",
            lambda: self.world.sweep_fees(market),
            "engine",
            "sweepFees",
            (market,),
            self.owners[0],
            delay,
        )

    def pause(self, market: int, paused: bool, delay: int) -> Expected:
        """`MarginEngine.pauseRisk` or `resumeRisk`."""
        name = "pauseRisk" if paused else "resumeRisk"
        return self.act(
            name,
            lambda: self.world.engine.pause_risk(market, paused),
            "engine",
            name,
            (market,),
            b"",
            delay,
        )

    def pay_treasury(self, market: int, to: bytes, delay: int) -> Expected:
        """`MarginEngine.payTreasury`."""
        return self.act(
            "payTreasury",
            lambda: self.world.engine.pay_treasury(market, to),
            "engine",
            "payTreasury",
            (market, to),
            b"",
            delay,
        )

    def flag(self, account: bytes, flagged: bool, delay: int) -> Expected:
        """`Liquidator.flag` or `unflag`."""
        name = "flag" if flagged else "unflag"
        return self.act(
            name,
            lambda: getattr(self.world, name)(account),
            "liquidator",
            name,
            (account,),
            self.owners[0],
            delay,
        )

    def take_over(
        self,
        account: bytes,
        market: int,
        keeper: bytes,
        max_base: int,
        limit_price: int,
        caller: bytes,
        delay: int,
    ) -> Expected:
        """`Liquidator.takeOver`."""
        return self.act(
            "takeOver",
            lambda: self.world.take_over(
                account, market, keeper, max_base, limit_price, caller=caller
            ),
            "liquidator",
            "takeOver",
            (account, market, keeper, max_base, limit_price),
            caller,
            delay,
            victim=account,
            keeper=keeper,
        )

    def liquidate(
        self,
        account: bytes,
        market: int,
        keeper: bytes,
        orders: Sequence[Signed],
        delay: int,
        *,
        drop_signature: bool = False,
    ) -> Expected:
        """`Liquidator.liquidateWithOrders`."""
        shown = [self._presented(signed) for signed in orders]
        signatures = [signature for _, signature in shown]
        if drop_signature:
            signatures = signatures[1:]
        return self.act(
            "liquidateWithOrders",
            lambda: self.world.liquidate_with_orders(
                account, market, keeper, orders, len(signatures)
            ),
            "liquidator",
            "liquidateWithOrders",
            (account, market, keeper, [order for order, _ in shown], signatures),
            self.owners[0],
            delay,
            victim=account,
            keeper=keeper,
        )

    def deleverage(
        self, account: bytes, market: int, keeper: bytes, max_base: int, delay: int
    ) -> Expected:
        """`Liquidator.deleverage`."""
        return self.act(
            "deleverage",
            lambda: self.world.deleverage(account, market, keeper, max_base),
            "liquidator",
            "deleverage",
            (account, market, keeper, max_base),
            self.owners[0],
            delay,
            victim=account,
            keeper=keeper,
        )

    def close_out(
        self, account: bytes, keeper: bytes, take: bool, caller: bytes, delay: int
    ) -> Expected:
        """`Liquidator.closeOut`."""
        return self.act(
            "closeOut",
            lambda: self.world.close_out(account, keeper, take, caller=caller),
            "liquidator",
            "closeOut",
            (account, keeper, take),
            caller,
            delay,
            victim=account,
            keeper=keeper,
        )

    # ------------------------------------------------------------------ fair windows

    def set_fair_window(self, market: int, minutes: int, delay: int) -> Expected:
        """`MarginEngine.setFairWindow`."""
        return self.act(
            "setFairWindow",
            lambda: self.world.engine.set_fair_window(market, minutes),
            "engine",
            "setFairWindow",
            (market, minutes),
            b"",
            delay,
        )

    def close_window(self, delay: int) -> Expected:
        """`MarginEngine.closeFairWindow`."""
        return self.act(
            "closeFairWindow",
            self.world.close_fair_window,
            "engine",
            "closeFairWindow",
            (),
            self.owners[0],
            delay,
        )

    def collect_window(self, account: bytes, market: int, window: int, delay: int) -> Expected:
        """`MarginEngine.collectWindow`."""
        return self.act(
            "collectWindow",
            lambda: self.world.collect_window(account, market, window),
            "engine",
            "collectWindow",
            (account, market, window),
            self.owners[0],
            delay,
        )

    def repay_ended(self, market: int, tag: int, delay: int) -> Expected:
        """`MarginEngine.repayEnded`."""
        return self.act(
            "repayEnded",
            lambda: self.world.repay_ended(market, tag),
            "engine",
            "repayEnded",
            (market, tag),
            self.owners[0],
            delay,
        )

    # ------------------------------------------------------------------ backstop inventory

    def _ours(self, *markets: int) -> list[bytes]:
        """The backstop's accounts in these markets."""
        return [self.world.backstop.account_of(market) for market in markets]

    def liquidate_to_backstop(
        self, account: bytes, market: int, keeper: bytes, delay: int
    ) -> Expected:
        """`Liquidator.liquidateToBackstop`."""
        return self.act(
            "liquidateToBackstop",
            lambda: self.world.liquidate_to_backstop(account, market, keeper),
            "liquidator",
            "liquidateToBackstop",
            (account, market, keeper),
            self.owners[0],
            delay,
            victim=account,
            keeper=keeper,
            also=self._ours(market),
        )

    def close_out_to_backstop(self, account: bytes, keeper: bytes, delay: int) -> Expected:
        """`Liquidator.closeOutToBackstop`."""
        return self.act(
            "closeOutToBackstop",
            lambda: self.world.close_out_to_backstop(account, keeper),
            "liquidator",
            "closeOutToBackstop",
            (account, keeper),
            self.owners[0],
            delay,
            victim=account,
            keeper=keeper,
            also=self._ours(*range(len(MARKETS))),
        )

    def buy_inventory(
        self, market: int, buyer: bytes, max_base: int, limit: int, caller: bytes, delay: int
    ) -> Expected:
        """`Liquidator.buyInventory`."""
        return self.act(
            "buyInventory",
            lambda: self.world.buy_inventory(market, buyer, max_base, limit, caller=caller),
            "liquidator",
            "buyInventory",
            (market, buyer, max_base, limit),
            caller,
            delay,
            also=self._ours(market),
        )

    def unwind_inventory(self, market: int, keeper: bytes, delay: int) -> Expected:
        """`Liquidator.unwindInventory`."""
        return self.act(
            "unwindInventory",
            lambda: self.world.unwind_inventory(market, keeper),
            "liquidator",
            "unwindInventory",
            (market, keeper),
            self.owners[0],
            delay,
            also=self._ours(market),
        )

    def move_capital(self, function: str, market: int, assets: int, delay: int) -> Expected:
        """`Backstop.deploy` or `release`."""
        return self.act(
            f"{function}Inventory",
            lambda: getattr(self.world, f"{function}_inventory")(market, assets),
            "backstop",
            function,
            (market, assets),
            self.owners[0],
            delay,
            also=self._ours(market),
        )

    def reset_loss(self, market: int, delay: int) -> Expected:
        """`Backstop.resetLoss`."""
        return self.act(
            "resetLoss",
            lambda: self.world.reset_inventory_loss(market),
            "backstop",
            "resetLoss",
            (market,),
            b"",
            delay,
        )

    def fund_reserve(self, assets: int, caller: bytes, delay: int) -> Expected:
        """`InsuranceFund.fundReserve`."""
        return self.act(
            "fundReserve",
            lambda: self.world.fund_reserve(assets, caller=caller),
            "fund",
            "fundReserve",
            (assets,),
            caller,
            delay,
        )

    def fund_backing(self, assets: int, caller: bytes, delay: int) -> Expected:
        """`InsuranceFund.fundBacking`."""
        return self.act(
            "fundBacking",
            lambda: self.world.fund_backing(assets, caller=caller),
            "fund",
            "fundBacking",
            (assets,),
            caller,
            delay,
        )

    def note_solvency(self, caller: bytes, delay: int) -> Expected:
        """`InsuranceFund.noteSolvency`."""
        return self.act(
            "noteSolvency",
            self.world.note_solvency,
            "fund",
            "noteSolvency",
            (),
            caller,
            delay,
        )

    def follow_fund(self, market: int, caller: bytes, delay: int) -> Expected:
        """`MarginEngine.followFund`."""
        return self.act(
            "followFund",
            lambda: self.world.follow_fund(market),
            "engine",
            "followFund",
            (market,),
            caller,
            delay,
        )

    def fund_compartment(self, market: int, assets: int, caller: bytes, delay: int) -> Expected:
        """`InsuranceFund.fundCompartment`."""
        engine = self.chain.engine.address if self.chain else ""
        return self.act(
            "fundCompartment",
            lambda: self.world.fund_compartment(market, assets, caller=caller),
            "fund",
            "fundCompartment",
            (engine, market, assets),
            caller,
            delay,
        )

    # ------------------------------------------------------------------ what was reached

    def _epochs(self) -> int:
        markets = self.world.engine.tables.markets.values()
        return sum(side.epoch for market in markets for side in market.sides)

    def _recorded(self) -> int:
        return sum(m.recorded_deficit for m in self.world.engine.tables.markets.values())

    def _note(self, expected: Expected, epochs: int, recorded: int) -> None:
        """Counts what does not happen every day."""
        if expected.error is not None:
            return
        reached = self.milestones
        if expected.kind in LIQUIDATIONS:
            reached["partial liquidation"] += 1
        reached["epoch ended"] += self._epochs() - epochs
        reached["recorded deficit repaid"] += self._recorded() < recorded
        self._note_inventory(expected)
        self._note_windows(expected)
        self._note_stakers(expected)
        receipt = expected.result
        if isinstance(receipt, LiquidatorReceipt):
            reached["close-out"] += 1
            for layer in RECEIPT_LAYERS:
                reached[f"deficit: {layer}"] += getattr(receipt, layer) > 0
            empty = all(m.balance == 0 for m in self.world.fund.markets.values())
            reached["compartments exhausted"] += empty and receipt.compartment > 0
            reached["fund left something"] += (
                receipt.side_charged + receipt.recorded > self.world.engine.scale
            )

    def _note_windows(self, expected: Expected) -> None:
        """Counts what happened to claims that wait."""
        reached, tables = self.milestones, self.world.engine.tables
        if expected.kind in ("closeFairWindow", "collectWindow", "repayEnded"):
            reached[expected.kind] += 1
        if expected.kind == "closeFairWindow":
            rates = [r for (w, _), r in tables.window_rates.items() if w == tables.window().id]
            reached["window paid in part"] += any(0 < rate.paid < rate.claims for rate in rates)
            reached["window paid in full"] += any(rate.paid == rate.claims for rate in rates)
        open_window = tables.window().closes_at != 0
        reached["fair window open"] += open_window
        records = tables.window_records.values() if open_window else ()
        reached["left inside a window"] += any(record.left for record in records)
        reached["joined inside a window"] += any(record.joined for record in records)

    def _note_inventory(self, expected: Expected) -> None:
        """Counts what the backstop did."""
        reached, kind, result = self.milestones, expected.kind, expected.result
        if kind == "liquidateToBackstop":
            reached["inventory taken"] += result[0] > 0
            reached["inventory: rest torn up"] += result[0] > 0 and result[1] > 0
        elif kind == "closeOutToBackstop":
            held = any(self.world.backstop.inventory(market).size for market in range(len(MARKETS)))
            reached["inventory after a close-out"] += held
        elif kind in ("buyInventory", "unwindInventory", "deployInventory", "releaseInventory"):
            reached[kind] += 1
        elif kind == "closeOut" and any(b.invested for b in self.world.backstop.books.values()):
            reached["close-out beside an inventory"] += 1

    # ------------------------------------------------------------------ feeds

    def set_feed(
        self, market: int, which: int, answer: int, updated_at: int, delay: int
    ) -> Expected:
        """Makes a feed answer so, with this time."""
        name = feed_name(market, which)

        def twin() -> None:
            old = self.world.oracle.rounds[name]
            self.world.oracle.rounds[name] = Round(answer, updated_at, updated_at, old.failure)

        args = (answer, updated_at, updated_at)
        return self.act("feed", twin, name, "set", args, b"", delay)

    def break_feed(self, market: int, which: int, failure: FeedProblem, delay: int) -> Expected:
        """Makes a feed fail, or work again."""
        name = feed_name(market, which)

        def twin() -> None:
            old = self.world.oracle.rounds[name]
            self.world.oracle.rounds[name] = dataclasses.replace(old, failure=failure)

        return self.act("feedMode", twin, name, "setMode", (_MODES[failure],), b"", delay)

    # ------------------------------------------------------------------ comparing

    def show(self) -> dict[str, Any]:
        """Every field of the twin that a view of the contracts shows too."""
        with self.world.engine.unchanging():
            return self._show_platform() | self._show_stakers()

    def _show_platform(self) -> dict[str, Any]:
        world, engine, fund = self.world, self.world.engine, self.world.fund
        shown: dict[str, Any] = {}
        for i, account in enumerate(self.accounts):
            shown[f"account {i}"] = engine.account_state(account)
            shown[f"withdrawable {i}"] = engine.withdrawable(account)
            shown[f"minimum nonce {i}"] = world.settlement.minimum[account]
        for market in range(len(MARKETS)):
            shown[f"market {market}"] = engine.market_state(market)
            shown[f"sides {market}"] = engine.side_state(market)
            claims = engine.tables.market_claims.get(market, MarketClaims())
            shown[f"claims {market}"] = (
                claims,
                engine.tables.markets[market].income.fair_window,
            )
            shown[f"open deficit {market}"] = engine.open_deficit(market)
            shown[f"room {market}"] = fund.draw_room(world.claimant, market, world.now)
            shown[f"compartment {market}"] = fund.market(world.claimant, market).balance
            shown[f"inventory {market}"] = world.backstop.inventory(market)
            shown[f"deployed {market}"] = deployed_capital(fund, world.claimant, market)
        for i, who in enumerate(self.owners):
            shown[f"balance {i}"] = world.token.balance_of(who)
        shown["fair window"] = engine.tables.window()
        shown["balance engine"] = world.token.balance_of(world.addresses.engine)
        shown["balance fund"] = world.token.balance_of(world.addresses.fund)
        shown["reserve"] = fund.reserve
        shown["compartments"] = fund.compartments
        shown["backing"] = fund.backing
        shown["lagged ratio"] = fund.solvency.lagged_now(world.now)
        shown["events"] = fund.events
        return shown

    def probes(self) -> dict[str, Step]:
        """The same fields on the contracts."""
        chain = self.chain
        assert chain is not None
        engine, fund, at = chain.engine, chain.fund, chain.engine.address
        probes: dict[str, Step] = {}
        for i, account in enumerate(self.accounts):
            probes[f"account {i}"] = engine.accountState.step(account)
            probes[f"withdrawable {i}"] = engine.withdrawable.step(account)
            probes[f"minimum nonce {i}"] = chain.settlement.minimumNonce.step(account)
        for market in range(len(MARKETS)):
            probes[f"market {market}"] = engine.marketState.step(market)
            probes[f"sides {market}"] = engine.sideState.step(market)
            probes[f"claims {market}"] = engine.marketClaims.step(market)
            probes[f"open deficit {market}"] = engine.openDeficit.step(market)
            probes[f"room {market}"] = fund.drawRoom.step(at, market)
            probes[f"compartment {market}"] = fund.compartment.step(at, market)
            probes[f"inventory {market}"] = chain.backstop.inventory.step(market)
            probes[f"deployed {market}"] = fund.deployedCapital.step(at, market)
        for i, who in enumerate(self.owners):
            probes[f"balance {i}"] = chain.token.balanceOf.step(checksum(who))
        probes["fair window"] = engine.fairWindow.step()
        probes["balance engine"] = chain.token.balanceOf.step(at)
        probes["balance fund"] = chain.token.balanceOf.step(fund.address)
        probes["reserve"] = fund.reserve.step()
        probes["compartments"] = fund.totalCompartments.step()
        probes["backing"] = fund.backing.step()
        probes["lagged ratio"] = fund.laggedRatio.step()
        probes["events"] = fund.eventCount.step()
        return probes | self._probe_stakers(chain)

    def verify(self) -> None:
        """Plays everything on the contracts and compares; raises Disagreement."""
        if self.chain is None or not self.steps:
            return
        self._ask_for_orders()
        chain = self.chain
        self.judge(chain.client.simulate(self.steps, self.probes(), chain.reader))

    def judge(self, outcomes: Sequence[Outcome]) -> None:
        """Compares what the contracts did with the twin; raises Disagreement."""
        agreed: dict[str, tuple[Any, Any]] = {}
        for number, (expected, outcome) in enumerate(zip(self.expected, outcomes, strict=True)):
            self._compare(number, expected, outcome, agreed)

    def _ask_for_orders(self) -> None:
        """What has become of every order, as last steps of the sequence."""
        assert self.chain is not None
        settlement = self.world.settlement
        for signed in {signed.hash: signed for signed in self.orders}.values():
            status = settlement.order_status(signed.order, signed.hash, now=self.world.now)
            order = as_tuple(signed.order)
            step = self.chain.settlement.orderStatus.step(order, delay=0, look=False)
            self.steps.append(step)
            self.expected.append(Expected("orderStatus", status, None, None))

    def _compare(
        self,
        number: int,
        expected: Expected,
        outcome: Outcome,
        agreed: dict[str, tuple[Any, Any]],
    ) -> None:
        """One step; `agreed` keeps what both sides showed last, since most fields do not change."""
        where = f"step {number} ({expected.kind}) at {outcome.timestamp}"
        if expected.error is not None or outcome.error is not None:
            twin = _plain_error(expected.error)
            seen = None
            if outcome.error is not None:
                arguments = list(outcome.error.arguments.values())
                if outcome.error.name == "Panic":
                    arguments = arguments[:1]
                seen = (outcome.error.name, plain(arguments))
            if twin != seen:
                raise Disagreement(f"{where}: the twin says {twin}, the contract {seen}")
        elif expected.result is not None and plain(expected.result) != plain(outcome.value):
            raise Disagreement(
                f"{where}: the twin returns {expected.result}, the contract {outcome.value}"
            )
        if expected.shown is None:
            return
        for name, value in expected.shown.items():
            shown = outcome.probes[name]
            if name in agreed and agreed[name][1] is shown and agreed[name][0] == value:
                continue
            if plain(value) != plain(shown):
                raise Disagreement(f"{where}: {name}\n  twin     {value}\n  contract {shown}")
            agreed[name] = (value, shown)


def _accounts_in(args: Any) -> Iterator[bytes]:
    """The account numbers among the arguments: everything of 32 bytes."""
    if isinstance(args, bytes):
        if len(args) == 32:
            yield args
    elif isinstance(args, Sequence) and not isinstance(args, str):
        for item in args:
            yield from _accounts_in(item)


def plain(value: Any) -> Any:
    """A value without its types: numbers, hex strings and tuples."""
    kind: Any = type(value)
    if kind is int:
        return value
    if names := _field_names(kind):
        return tuple([plain(getattr(value, name)) for name in names])
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, IntEnum):
        return int(value)
    if isinstance(value, str):
        return value.lower()
    if isinstance(value, Sequence):
        return tuple([plain(item) for item in value])
    return value


@lru_cache
def _field_names(kind: Any) -> tuple[str, ...]:
    """Of a dataclass; nothing of another type."""
    return tuple(f.name for f in dataclasses.fields(kind)) if is_dataclass(kind) else ()


def _plain_error(error: ModelError | None) -> tuple[str, Any] | None:
    return None if error is None else (error.name, plain(error.args))


def sender_of(who: bytes) -> str:
    """The address of a sender; the admin if it is empty."""
    return checksum(who) if who else account_address(0)


def _key_of(owner: bytes) -> bytes:
    if not _KEYS:
        _KEYS.update({who: private_key(1 + i) for i, who in enumerate(owners())})
    return _KEYS[owner]
