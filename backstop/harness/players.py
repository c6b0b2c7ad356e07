"""Random play: which action comes next, and with what; biased towards trouble.

The same play drives Hypothesis (which shrinks what it finds) and a seeded bulk run: all choices go
through a `Chooser`. Prices here are in units of 1e-8, as the primary feeds answer them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from backstop.harness.duel import Duel
from backstop.harness.staker_player import staker
from backstop.harness.world import MARKETS, START_BALANCE, START_PRICES, UNIT, feed_answer
from backstop.model.fixed_point import PPM, WAD
from backstop.model.oracle import FeedProblem, Validity
from backstop.model.orders import Signed

T = TypeVar("T")

PRICE_TO_WAD: Final = 10**10
MAX_UINT256: Final = 2**256 - 1
DUST_MARKET: Final = 1


class Chooser(Protocol):
    """Where the choices come from."""

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""
        ...

    def integer(self, low: int, high: int) -> int:
        """A number, both bounds included."""
        ...

    def chance(self, percent: int) -> bool:
        """True in about so many of a hundred cases."""
        ...


class RandomChooser:
    """A seeded chooser."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all equally likely."""
        return options[self._random.randrange(len(options))]

    def integer(self, low: int, high: int) -> int:
        """A number, uniformly."""
        return self._random.randint(low, high)

    def chance(self, percent: int) -> bool:
        """True in exactly so many of a hundred cases."""
        return self._random.randrange(100) < percent


class Player:
    """Plays one duel, one action at a time."""

    def __init__(self, duel: Duel, choose: Chooser) -> None:
        self.duel = duel
        self.choose = choose
        self.prices = list(START_PRICES)
        self.collected: list[tuple[bytes, int, int]] = []

    # ------------------------------------------------------------------ choices

    @property
    def now(self) -> int:
        """Time of the last action."""
        return self.duel.world.now

    def delay(self) -> int:
        """Seconds until the next action: mostly few."""
        kind = self.choose.integer(0, 39)
        if kind < 12:
            return 0
        if kind < 34:
            return self.choose.integer(1, 20)
        if kind < 39:
            return self.choose.integer(20, 400)
        return self.choose.pick([3_600, 3_601, 10_000, 90_000])

    def account(self) -> bytes:
        """Any account; the last one, which has most money, more often."""
        if self.choose.chance(25):
            return self.duel.accounts[-1]
        return self.choose.pick(self.duel.accounts)

    def market(self) -> int:
        """Any market, sometimes one that does not exist."""
        if self.choose.chance(1):
            return len(MARKETS)
        return self.choose.integer(0, len(MARKETS) - 1)

    def caller(self, account: bytes) -> bytes:
        """The owner of an account, rarely somebody else."""
        return self.choose.pick(self.duel.owners) if self.choose.chance(2) else account[:20]

    def assets(self) -> int:
        """An amount of the token."""
        kind = self.choose.integer(0, 9)
        if kind == 0:
            return self.choose.pick([0, 1, START_BALANCE + 1, 2**200])
        if kind < 3:
            return self.choose.integer(1, 100 * UNIT)
        return self.choose.integer(UNIT, 30_000 * UNIT)

    def sick(self, bankrupt: bool = False) -> bytes:
        """An account in trouble, mostly the worst of those still solvent, or of the bankrupt ones.

        The account nearest to trouble if nobody is in it; rarely any account.
        """
        engine = self.duel.world.engine
        if self.choose.chance(5):
            return self.account()
        found = []
        for account in self.duel.accounts:
            equity, _, maintenance = engine.health(account)
            if maintenance or equity < 0:
                wanted = (equity < 0) == bankrupt and equity < maintenance
                found.append((not wanted, equity - maintenance, account))
        return min(found)[2] if found else self.duel.accounts[0]

    def other(self, account: bytes) -> bytes:
        """Another account, mostly the rich one."""
        if self.choose.chance(3):
            return account
        rich = self.duel.accounts[-1]
        if account != rich and self.choose.chance(70):
            return rich
        return self.choose.pick([a for a in self.duel.accounts if a != account])

    def position_market(self, account: bytes) -> int:
        """A market that the account has a position in."""
        held = [m for a, m in self.duel.world.engine.tables.positions if a == account]
        return self.choose.pick(held) if held and not self.choose.chance(3) else self.market()

    def base(self, account: bytes, market: int) -> int:
        """A quantity: what leverage allows, what is held, or a little."""
        engine = self.duel.world.engine
        kind = self.choose.integer(0, 9)
        held = abs(engine.position_size(account, market))
        if held and kind < 3:
            return held if kind < 2 else self.choose.integer(1, held)
        if market == DUST_MARKET and kind < 7:
            return self.choose.integer(1, 50) * 10**9 + self.choose.integer(0, 999)
        if kind == 9 and self.choose.chance(20):
            return self.choose.pick([0, 1, 10**15, 2**112, 2**127])
        equity = max(10 * WAD, engine.health(account)[0])
        leverage = self.choose.pick([1, 3, 6, 9, 12, 16, 19])
        price = self.prices[min(market, len(MARKETS) - 1)] * PRICE_TO_WAD
        return min(equity, 50_000 * WAD) * leverage * WAD // price

    def limit_price(self, market: int) -> int:
        """A price near the index, rarely outside of the band."""
        index = self.prices[min(market, len(MARKETS) - 1)] * PRICE_TO_WAD
        kind = self.choose.integer(0, 9)
        if kind < 3:
            return index
        if kind == 9 and self.choose.chance(15):
            return self.choose.pick([0, 1, 2**127, index * 2])
        reach = 4_000 if kind < 8 else 55_000
        return index + index * self.choose.integer(-reach, reach) // PPM + kind

    # ------------------------------------------------------------------ traders

    def opening(self) -> None:
        """Everybody pays something in."""
        duel = self.duel
        for account in duel.accounts[:-1]:
            amount = self.choose.pick([2_000, 10_000, 20_000]) * UNIT
            duel.deposit(account, amount + self.choose.integer(0, 9), account[:20], 0)
        rich = duel.accounts[-1]
        duel.deposit(rich, 3_000_000 * UNIT, rich[:20], 0)
        if self.choose.chance(40):
            for market in range(len(MARKETS)):
                duel.set_fair_window(market, self.choose.pick([1, 5]), 0)

    def deposit(self) -> None:
        """Somebody pays in, not always into an account of their own."""
        account = self.account() if self.choose.chance(60) else self.sick()
        if self.choose.chance(1):
            account = bytes(32)
        owner = account[:20] if account[:20] in self.duel.owners else self.duel.owners[0]
        self.duel.deposit(account, self.assets(), self.caller(owner + bytes(12)), self.delay())

    def withdraw(self) -> None:
        """Somebody takes out: all there is, a little more, or any amount."""
        account = self.account()
        delay = self.delay()
        assets = self.assets()
        if self.choose.chance(60):
            available = self.duel.world.engine.withdrawable(account)
            assets = max(0, available + self.choose.pick([0, 0, -1, 1, 1_000]))
        to = bytes(20) if self.choose.chance(1) else self.choose.pick(self.duel.owners)
        self.duel.withdraw(account, assets, to, self.caller(account), delay)

    def order(self, account: bytes, market: int, is_buy: bool) -> Signed:
        """A new order, rarely one that cannot be filled."""
        base = self.base(account, market)
        if self.choose.chance(20):
            base = base * self.choose.pick([2, 3]) + 1  # to be filled in parts
        nonce = None
        if self.choose.chance(4):
            nonce = self.choose.integer(0, 100)
        return self.duel.sign(
            account,
            market,
            is_buy,
            min(base, 2**128 - 1),
            self.limit_price(market),
            expiry=self.now + (self.choose.integer(-1, 30) if self.choose.chance(4) else 10**6),
            reduce_only=self.choose.chance(10),
            valid=not self.choose.chance(2),
            nonce=nonce,
        )

    def trade(self) -> None:
        """A fresh order is filled by somebody."""
        maker = self.account()
        taker = self.other(maker)
        market = self.market()
        sizes = [self.duel.world.engine.position_size(who, market) for who in (maker, taker)]
        is_buy = self.choose.chance(50)
        if sizes[0] and self.choose.chance(30):
            is_buy = sizes[0] < 0
        signed = self.order(maker, market, is_buy)
        base = signed.order.base
        if self.choose.chance(30):
            base = self.base(taker, market)
        self.duel.fill(signed, taker, base, self.caller(taker), self.delay())

    def match(self) -> None:
        """Two fresh orders are matched."""
        maker = self.account()
        taker = self.other(maker)
        market = self.market()
        is_buy = self.choose.chance(50)
        first = self.order(maker, market, is_buy)
        other_side = is_buy if self.choose.chance(3) else not is_buy
        second_market = self.market() if self.choose.chance(3) else market
        second = self.order(taker, second_market, other_side)
        if self.choose.chance(70):  # at the same price
            second = self.duel.sign(
                taker,
                second_market,
                other_side,
                max(1, second.order.base),
                first.order.limit_price,
                expiry=self.now + 10**6,
            )
        base = max(first.order.base, 1)
        self.duel.match(first, second, base, self.delay())

    def old_order(self) -> None:
        """An order that was seen before is filled again."""
        if not self.duel.orders:
            return self.trade()
        signed = self.choose.pick(self.duel.orders[-6:])
        taker = self.other(signed.order.account)
        base = self.choose.pick([signed.order.base, self.base(taker, signed.order.market)])
        self.duel.fill(signed, taker, base, self.caller(taker), self.delay())

    def cancel(self) -> None:
        """A nonce, or all below a number, becomes unusable."""
        account = self.account()
        used = self.duel.nonces[account]
        if self.choose.chance(70):
            nonce = self.choose.pick([used, max(0, used - 1), self.choose.integer(0, 200), 2**64])
            if nonce == used:
                self.duel.nonces[account] += 1
            self.duel.cancel(account, nonce, self.caller(account), self.delay())
        else:
            minimum = self.choose.pick([used, used + 1, used + 100, 0, 2**64])
            if used < minimum < 10**6:
                self.duel.nonces[account] = minimum
            self.duel.cancel_all(account, minimum, self.caller(account), self.delay())

    # ------------------------------------------------------------------ prices and upkeep

    def move(self) -> None:
        """Both feeds of a market move, sometimes by a lot."""
        market = self.choose.integer(0, len(MARKETS) - 1)
        kind = self.choose.integer(0, 9)
        if kind < 4:
            change = self.choose.integer(-20_000, 20_000)
        elif kind < 7:
            change = self.choose.integer(-90_000, 90_000)
        else:
            change = self.choose.pick([-450_000, -250_000, -150_000, 150_000, 300_000, 800_000])
        price = self.prices[market] + self.prices[market] * change // PPM
        self.prices[market] = min(max(price, 10**4), 10**13)
        self._push(market, self.delay())

    def crash(self) -> None:
        """A jump that nobody's margin covers, and somebody brings the first bankrupt account."""
        self.squeeze([-1_500_000, -3_000_000, -6_000_000])
        self.close_out()

    def squeeze(
        self, healths_ppm: Sequence[int] = (950_000, 900_000, 700_000, 400_000, 50_000, -300_000)
    ) -> None:
        """A market moves so far that one account's equity is a given part of its margin."""
        engine = self.duel.world.engine
        positions = sorted(engine.tables.positions)
        if not positions:
            return self.trade()
        account, market = self.choose.pick(positions)
        size = engine.position_size(account, market)
        equity, _, maintenance = engine.health(account)
        if size == 0:
            return self.move()
        health_ppm = self.choose.pick(healths_ppm)
        loss = equity - maintenance * health_ppm // PPM
        mark = engine.market_state(market).mark_price
        price = (mark - loss * WAD // size) // PRICE_TO_WAD
        low, high = self.prices[market] // 2, self.prices[market] * 2
        self.prices[market] = min(max(price, low, 10**4), high, 10**13)
        self._push(market, self.choose.integer(5, 40))

    def _push(self, market: int, delay: int, spread_ppm: int = 0) -> None:
        for which in (0, 1):
            price = self.prices[market]
            if which:
                price += price * spread_ppm // PPM
            answer = feed_answer(price, which)
            at = self.now + (delay if which == 0 else 0)
            self.duel.set_feed(market, which, answer, at, delay if which == 0 else 0)

    def refresh(self) -> None:
        """All feeds answer now, so that trading can go on."""
        delay = self.delay()
        for market in range(len(MARKETS)):
            self._push(market, delay if market == 0 else 0)
            for which in (0, 1):
                broken = self.duel.world.oracle.rounds[f"{market}{'ab'[which]}"].failure
                if broken is not FeedProblem.NONE:
                    self.duel.break_feed(market, which, FeedProblem.NONE, 0)

    def fault(self) -> None:
        """A feed misbehaves."""
        market = self.choose.integer(0, len(MARKETS) - 1)
        which = self.choose.integer(0, 1)
        delay = self.delay()
        then = self.now + delay
        answer = feed_answer(self.prices[market], which)
        kind = self.choose.integer(0, 8)
        if kind == 0:
            self.duel.set_feed(market, which, answer, then - 3_601, delay)
        elif kind == 1:
            self.duel.set_feed(market, which, answer, then + 60, delay)
        elif kind == 2:
            wrong = self.choose.pick([0, -answer, 1, 2**96])
            self.duel.set_feed(market, which, wrong, then, delay)
        elif kind == 3:
            self._push(market, delay, self.choose.pick([-30_000, 15_000, 200_000]))
        elif kind == 4:
            failure = self.choose.pick([FeedProblem.CALL_FAILED, FeedProblem.SHORT_RETURN])
            self.duel.break_feed(market, which, failure, delay)
        else:
            for feed in (0, 1):
                self.duel.break_feed(market, feed, FeedProblem.NONE, 0)
            self._push(market, delay)

    def poke(self) -> None:
        """Somebody brings a market up to date."""
        self.duel.poke(self.market(), self.delay())

    def sweep(self) -> None:
        """Somebody hands income over; rarely the treasurer takes its part."""
        if self.choose.chance(25):
            to = self.choose.pick(self.duel.owners)
            self.duel.pay_treasury(self.market(), to, self.delay())
        else:
            self.duel.sweep(self.market(), self.delay())

    def pause(self) -> None:
        """The guardian stops risk from rising; it is mostly allowed again soon."""
        self.duel.pause(self.market(), self.choose.chance(35), self.delay())

    def fair_window(self) -> None:
        """Windows are switched on or off; what is over is closed, and what is owed collected."""
        tables = self.duel.world.engine.tables
        window = tables.window()
        if self.choose.chance(20):
            minutes = self.choose.pick([0, 1, 1, 5])
            self.duel.set_fair_window(self.market(), minutes, self.delay())
            return
        ended = [key for key in tables.side_claims if key in tables.ended_k]
        if ended and self.choose.chance(40):
            self.duel.repay_ended(*self.choose.pick(sorted(ended)), self.delay())
        elif self.choose.chance(80) and self.settle_window():
            return
        elif self.choose.chance(50):
            self.duel.close_window(self.delay())
        else:
            window_id = self.choose.integer(0, window.id + 1)
            self.duel.collect_window(self.account(), self.market(), window_id, self.delay())

    def settle_window(self) -> bool:
        """An open window is closed, mostly in time; what is owed is collected, sometimes twice."""
        tables = self.duel.world.engine.tables
        window = tables.window()
        if window.closes_at:
            wait = max(0, window.closes_at - self.now)
            self.duel.close_window(wait if self.choose.chance(80) else self.delay())
            return True
        if self.collected and self.choose.chance(20):
            self.duel.collect_window(*self.choose.pick(self.collected[-3:]), self.delay())
            return True
        owed = [key for key in tables.window_records if (key[2], key[1]) in tables.window_rates]
        if owed:
            self.collected.append(self.choose.pick(sorted(owed)))
            self.duel.collect_window(*self.collected[-1], self.delay())
        return bool(owed)

    def strengthen(self) -> None:
        """Somebody pays into the fund, or lets it be looked at."""
        caller = self.choose.pick(self.duel.owners)
        if self.choose.chance(40):
            self.duel.note_solvency(caller, self.delay())
        elif self.choose.chance(25):
            self.duel.follow_fund(self.market(), caller, self.delay())
        elif self.choose.chance(10):
            self.duel.fund_backing(self.assets(), caller, self.delay())
        elif self.choose.chance(50):
            self.duel.fund_reserve(self.assets(), caller, self.delay())
        else:
            self.duel.fund_compartment(self.market(), self.assets(), caller, self.delay())

    # ------------------------------------------------------------------ liquidation

    def flag(self) -> None:
        """A clock is started or stopped."""
        self.duel.flag(self.sick(), self.choose.chance(70), self.delay())

    def take_over(self) -> None:
        """A keeper takes over a part."""
        victim = self.sick()
        keeper = self.other(victim)
        market = self.position_market(victim)
        held = self.duel.world.engine.position_size(victim, market)
        max_base = MAX_UINT256
        if self.choose.chance(25):
            max_base = self.choose.pick([0, 1, abs(held) // 2, abs(held)])
        limit = MAX_UINT256 if held > 0 else 0
        if self.choose.chance(4):
            limit = 1 if held > 0 else MAX_UINT256
        self.duel.take_over(
            victim, market, keeper, max_base, limit, self.caller(keeper), self.delay()
        )

    def liquidate(self) -> None:
        """Somebody brings orders, among them unusable ones."""
        victim = self.sick()
        keeper = self.other(victim)
        market = self.position_market(victim)
        held = self.duel.world.engine.position_size(victim, market)
        orders = []
        for _ in range(self.choose.integer(0 if self.choose.chance(5) else 1, 3)):
            maker = self.other(victim)
            index = self.prices[min(market, len(MARKETS) - 1)] * PRICE_TO_WAD
            orders.append(
                self.duel.sign(
                    maker,
                    market,
                    held > 0 if not self.choose.chance(5) else held <= 0,
                    max(1, abs(held) // self.choose.pick([1, 2, 5])),
                    index + index * self.choose.integer(-12_000, 12_000) // PPM,
                    expiry=self.now + (0 if self.choose.chance(5) else 10**6),
                    reduce_only=self.choose.chance(5),
                    valid=not self.choose.chance(5),
                )
            )
        self.duel.liquidate(
            victim,
            market,
            keeper,
            orders,
            self.delay(),
            drop_signature=bool(orders) and self.choose.chance(2),
        )

    def deleverage(self) -> None:
        """A flagged account is closed against the opposite side, after a while."""
        victim = self.sick()
        if self.duel.world.engine.account_state(victim).flagged_at == 0 and self.choose.chance(60):
            self.duel.flag(victim, True, 0)
        keeper = self.other(victim)
        market = self.position_market(victim)
        held = abs(self.duel.world.engine.position_size(victim, market))
        max_base = MAX_UINT256
        if self.choose.chance(25):
            max_base = self.choose.pick([0, held // 2, held])
        delay = self.choose.pick([1, 60, 120, 150]) if self.choose.chance(70) else self.delay()
        self.duel.deleverage(victim, market, keeper, max_base, delay)

    def close_out(self) -> None:
        """A bankrupt account is closed out."""
        victim = self.sick(bankrupt=True)
        keeper = self.other(victim)
        take = self.choose.chance(35)
        self.duel.close_out(victim, keeper, take, self.caller(keeper), self.delay())

    # ------------------------------------------------------------------ backstop inventory

    def to_backstop(self) -> None:
        """A flagged account goes to the fund's own account, after the discount had its time."""
        victim = self.sick()
        if self.choose.chance(3):
            victim = self.duel.world.backstop.account_of(self.market())
        if self.duel.world.engine.account_state(victim).flagged_at == 0 and self.choose.chance(70):
            self.duel.flag(victim, True, 0)
        market = self.position_market(victim)
        if self.choose.chance(40):
            self.capital("deploy", min(market, len(MARKETS) - 1))
        delay = self.choose.pick([1, 60, 61, 120]) if self.choose.chance(70) else self.delay()
        self.duel.liquidate_to_backstop(victim, market, self.other(victim), delay)

    def close_out_to_backstop(self) -> None:
        """A bankrupt account's positions go to the fund's own accounts."""
        victim = self.sick(bankrupt=True)
        if self.choose.chance(40):
            self.capital("deploy", min(self.position_market(victim), len(MARKETS) - 1))
        self.duel.close_out_to_backstop(victim, self.other(victim), self.delay())

    def capital(self, function: str, market: int) -> None:
        """The fund's money comes into an account, or goes back."""
        amount = MAX_UINT256 if self.choose.chance(70) else self.assets()
        self.duel.move_capital(function, market, amount, 0)

    def inventory(self) -> None:
        """Somebody deals with the inventory: buys, tears up, brings capital or takes it back."""
        backstop = self.duel.world.backstop
        held = [m for m in range(len(MARKETS)) if backstop.inventory(m).size]
        market = self.choose.pick(held) if held and self.choose.chance(90) else self.market()
        kind = self.choose.integer(0, 9)
        owing = [m for m, book in backstop.books.items() if book.invested and self._owes(m)]
        if owing and self.choose.chance(40):  # capital goes back where a deficit is open
            self.capital("release", self.choose.pick(sorted(owing)))
        elif kind < 2 or (not held and kind < 6):
            self.capital(self.choose.pick(["deploy", "deploy", "release"]), market)
        elif kind == 2 and self.choose.chance(30):
            self.duel.reset_loss(market, self.delay())
        elif self._broken(market) or kind == 3:
            self._end_inventory(market)
        else:
            self.buy(market)

    def _owes(self, market: int) -> bool:
        return self.duel.world.engine.open_deficit(market) != 0

    def _broken(self, market: int) -> bool:
        """Whether the market's inventory is to be torn up, or its account closed out."""
        i = self.duel.world.backstop.inventory(market)
        return i.size != 0 and min(i.equity, i.room) < i.maintenance_margin

    def _end_inventory(self, market: int) -> None:
        ours = self.duel.world.backstop.account_of(market)
        keeper = self.other(ours)
        if self.duel.world.backstop.inventory(market).equity < 0:
            self.duel.close_out(ours, keeper, False, self.caller(keeper), self.delay())
        else:
            self.duel.unwind_inventory(market, keeper, self.delay())

    def buy(self, market: int) -> None:
        """Somebody buys inventory, all of it or a part, rarely with a limit."""
        size = self.duel.world.backstop.inventory(market).size
        buyer = self.account()
        base = MAX_UINT256
        if self.choose.chance(40):
            base = self.choose.pick([abs(size) // 2, abs(size) // 3, abs(size), 1, 0])
        limit = MAX_UINT256 if size > 0 else 0
        if self.choose.chance(5):
            limit = 1 if size > 0 else MAX_UINT256
        self.duel.buy_inventory(market, buyer, base, limit, self.caller(buyer), self.delay())

    # ------------------------------------------------------------------ the whole

    def play(self) -> None:
        """One action of any kind, liquidations more often when somebody is in trouble."""
        if self.repair() or (self.choose.chance(8) and self.settle_window()):
            return
        if self.anybody_sick() and self.choose.chance(55):
            self.choose.pick(LIQUIDATIONS)(self)
        else:
            self.choose.pick(PLAYS)(self)

    def repair(self) -> bool:
        """Somebody does something about prices that are not good: refreshes feeds, or pokes.

        After a jump the first reading is of reduced validity; it takes a poke to go on from there.
        """
        world = self.duel.world
        for market, stored in world.engine.tables.markets.items():
            now = world.now
            with_mark = world.oracle.read(market, stored.mark.price, now).validity
            without = world.oracle.read(market, 0, now).validity
            if without is not Validity.FULL and self.choose.chance(30):
                self.refresh()
                return True
            if with_mark is not without and self.choose.chance(50):
                self.duel.poke(market, self.choose.integer(1, 30))
                return True
        return False

    def anybody_sick(self) -> bool:
        """Whether some account is below its maintenance margin, or about to be."""
        engine = self.duel.world.engine
        for account in self.duel.accounts:
            equity, _, maintenance = engine.health(account)
            if equity < maintenance:
                return True
        return False


LIQUIDATIONS: Final[Sequence[Callable[[Player], None]]] = (
    *[Player.flag] * 2,
    *[Player.take_over] * 4,
    *[Player.liquidate] * 4,
    *[Player.deleverage] * 5,
    *[Player.close_out] * 7,
    *[Player.to_backstop] * 5,
    *[Player.close_out_to_backstop] * 3,
)

PLAYS: Final[Sequence[Callable[[Player], None]]] = (
    *[Player.trade] * 24,
    *[Player.match] * 6,
    *[Player.old_order] * 4,
    *[Player.cancel] * 2,
    *[Player.deposit] * 4,
    *[Player.withdraw] * 6,
    *[Player.move] * 9,
    *[Player.squeeze] * 12,
    *[Player.crash] * 3,
    *[Player.refresh] * 5,
    *[Player.fault] * 3,
    *[Player.poke] * 3,
    *[Player.sweep] * 3,
    *[Player.pause] * 1,
    *[Player.strengthen] * 4,
    *[Player.fair_window] * 5,
    *[staker] * 8,
    *[Player.inventory] * 6,
    *LIQUIDATIONS[::4],
)
