"""One attempt: a list of steps for one request, and what everybody has before and after it.

Four groups share the tokens of engine, fund and wallets: the attacker, honest people (traders,
keeper, stakers), the treasury, and the fund, which has what is left. So nobody can have gained what
nobody lost. Of the attacker's profit, what honest people lost was theirs to lose (the price moved
against them, a liquidation cost them its discount); the rest is `free`, and the fund paid it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from backstop.harness.attackers.arena import PRICES, SCALE, UNIT, WAD, Arena
from backstop.harness.bench import FOREVER
from backstop.harness.rpc import Contract, Outcome, Step

SUBS = 24
"""Sub-accounts of the attacker that are looked at: `cornering` has more and says so."""
HONEST_SUBS = 4
KEEPERS_STEPS = 8
"""Steps of a liquidation that the keeper takes at one look: 4 million with the parameters."""
BROUGHT = 22
"""Sub-accounts that may be bankrupt in the end."""
MUCH_GAS = 10**9


def order_words(
    account: bytes, market: int, is_buy: bool, base: int, price: int, nonce: int
) -> tuple[Any, ...]:
    """An order as the contract's struct has it, never reduce-only."""
    return (account, market, is_buy, False, base, price, FOREVER, nonce)


@dataclass(frozen=True)
class Values:
    """What the groups have, WAD."""

    attacker: int
    honest: int
    fund: int
    treasury: int

    def __sub__(self, other: Values) -> Values:
        pairs = zip(self.words, other.words, strict=True)
        return Values(*(mine - theirs for mine, theirs in pairs))

    @property
    def words(self) -> tuple[int, int, int, int]:
        """All four."""
        return (self.attacker, self.honest, self.fund, self.treasury)


@dataclass(frozen=True)
class Result:
    """What an attempt did.

    Attributes:
        gain: of every group, WAD.
        paid: what the fund's shared layers paid, units of the token, event by event with its time.
        worked: how many steps did not revert, of `steps`.
        from_compartments: what the compartments paid, units.
        stakes: what the attacker's and the honest stake are worth afterwards, WAD.
    """

    gain: Values
    paid: tuple[tuple[int, int], ...]
    from_compartments: int
    stakes: tuple[int, int]
    worked: int
    steps: int

    @property
    def profit(self) -> int:
        """Of all the attacker's accounts together, WAD."""
        return self.gain.attacker

    @property
    def free(self) -> int:
        """The part of the profit that honest people did not lose, WAD."""
        return self.gain.attacker + min(self.gain.honest, 0)


@dataclass
class Play:
    """The steps of one attempt; the methods are what an attacker and the world can do."""

    arena: Arena
    subs: int = SUBS
    steps: list[Step] = field(default_factory=list)
    nonce: int = 10
    delay: int = 1
    keepers_steps: int = KEEPERS_STEPS
    prices: list[int] = field(default_factory=lambda: [price * WAD for price in PRICES])

    # ------------------------------------------------------------------ steps

    def add(self, contract: Contract, function: str, *args: Any, sender: str) -> None:
        """A step in the present block."""
        step = contract[function].step(*args, sender=sender, gas=MUCH_GAS, delay=self.delay)
        self.steps.append(step)
        self.delay = 0

    def wait(self, seconds: int) -> None:
        """Time passes before the next step."""
        self.delay += max(0, seconds)

    def as_mine(self, contract: Contract, function: str, *args: Any) -> None:
        """The attacker's wallet calls."""
        self.add(contract, function, *args, sender=self.arena.attacker.address)

    def as_owner(self, contract: Contract, function: str, *args: Any) -> None:
        """Whoever has the roles calls."""
        self.add(contract, function, *args, sender=self.arena.owner)

    def index(self, market: int, price: float, second: float | None = None) -> None:
        """The feeds answer; the second one something else if it is given. The mark follows."""
        answers = (price, price if second is None else second)
        for feed, answer in zip(self.arena.system.feeds[market], answers, strict=True):
            self.as_owner(feed, "push", int(answer * 10**8))
        self.as_owner(self.arena.system.engine, "poke", market)
        self.prices[market] = int(sum(answers) / 2 * 10**8) * 10**10

    def deposit(self, sub: int, tokens: float) -> None:
        """Into one of the attacker's accounts."""
        account, assets = self.arena.mine(sub), max(1, int(tokens * UNIT))
        self.as_mine(self.arena.system.engine, "deposit", account, assets)

    def withdraw(self, sub: int, tokens: float) -> None:
        """Out of one of the attacker's accounts."""
        account, assets = self.arena.mine(sub), max(1, int(tokens * UNIT))
        to = self.arena.attacker.address
        self.as_mine(self.arena.system.engine, "withdraw", account, assets, to)

    def trade(
        self, buyer: bytes, seller: bytes, base: float, price: float, market: int = 0
    ) -> None:
        """Two accounts agree on a price; the buyer is the maker."""
        self.nonce += 1
        size, limit = int(base * WAD), int(price * 10**8) * 10**10
        orders = [
            order_words(account, market, buys, size, limit, self.nonce)
            for account, buys in ((buyer, True), (seller, False))
        ]
        settlement = self.arena.system.settlement
        args = (orders[0], b"", orders[1], b"", size)
        self.as_owner(settlement, "matchOrders", *args)

    def keepers_look(self, subs: Sequence[int], market: int = 0, long: bool | None = None) -> None:
        """The honest keeper does what it can with these accounts of the attacker.

        One step of a liquidation is limited in size, so it takes several. Even accounts are long
        and odd ones short, unless `long` says what all of them are.
        """
        liquidator, keeper = self.arena.system.liquidator, self.arena.keeper
        for sub in subs:
            account, mine = self.arena.mine(sub), self.arena.keepers
            is_long = sub % 2 == 0 if long is None else long
            args = (account, market, mine, 2**255, 2**255 if is_long else 0)
            for _ in range(self.keepers_steps):
                self.add(liquidator, "takeOver", *args, sender=keeper)
            self.add(liquidator, "closeOut", account, mine, False, sender=keeper)

    def take_over(self, victim: bytes, sub: int, long: bool, market: int = 0) -> None:
        """The attacker is the keeper."""
        args = (victim, market, self.arena.mine(sub), 2**255, 2**255 if long else 0)
        self.as_mine(self.arena.system.liquidator, "takeOver", *args)

    def close_out(self, victim: bytes, sub: int, take: bool = False) -> None:
        """The attacker brings a bankrupt account."""
        self.as_mine(self.arena.system.liquidator, "closeOut", victim, self.arena.mine(sub), take)

    def fall(
        self, to: float, seconds: int, every: int, watched: Sequence[int], market: int = 0
    ) -> None:
        """The index jumps; the mark follows, and the keeper looks every so often (0: never)."""
        tick = every or 60
        for _ in range(max(1, seconds // tick)):
            self.wait(tick)
            self.index(market, to)
            if every:
                self.keepers_look(watched, market)

    def bring_all(self) -> None:
        """The honest keeper brings every account of the attacker that is bankrupt."""
        liquidator, keeper = self.arena.system.liquidator, self.arena.keeper
        for sub in range(min(self.subs, BROUGHT)):
            args = (self.arena.mine(sub), self.arena.keepers, False)
            self.add(liquidator, "closeOut", *args, sender=keeper)

    def stake(self, tokens: float) -> int:
        """The attacker stakes; returns the shares that it gets."""
        tranche = self.arena.system.tranche
        assets = max(1, int(tokens * UNIT))
        self.as_mine(tranche, "deposit", assets, self.arena.attacker.address)
        return int(self.so_far()[-1].value or 0)

    def leave(self, shares: int) -> None:
        """The attacker asks to leave with shares."""
        me = self.arena.attacker.address
        self.as_mine(self.arena.system.tranche, "requestRedeem", shares, me, me)

    # ------------------------------------------------------------------ values

    def values(self) -> Values:
        """What everybody has after the steps."""
        return self._values(self._run()[1])[0]

    def run(self, before: Values) -> Result:
        """Plays it and brings what is bankrupt in the end; `before` is what everybody had."""
        self.bring_all()
        done, views = self._run()
        paid, compartments = _payments(done, self.arena.system.engine.address)
        worked = sum(outcome.ok for outcome in done)
        values, stakes = self._values(views)
        return Result(values - before, paid, compartments, stakes, worked, len(done))

    def so_far(self) -> list[Outcome]:
        """What the steps up to here do."""
        return self.arena.client.simulate(self.steps)

    def _run(self) -> tuple[list[Outcome], list[Any]]:
        looks = [replace(step, delay=0) for step in self._looks()]
        if not self.steps:
            looks[0] = replace(looks[0], delay=1)
        done = self.arena.client.simulate([*self.steps, *looks])
        count = len(self.steps)
        for outcome in done[count:]:
            if not outcome.ok:
                raise RuntimeError(f"a view fails after the attack: {outcome.error}")
        return done[:count], [outcome.value for outcome in done[count:]]

    def _looks(self) -> list[Step]:
        s, a = self.arena.system, self.arena
        health = [s.engine.health.step(a.mine(sub), gas=MUCH_GAS) for sub in range(self.subs)]
        honest = [a.theirs(sub) for sub in range(HONEST_SUBS)] + [a.keepers]
        health += [s.engine.health.step(account, gas=MUCH_GAS) for account in honest]
        tokens = [
            s.token.balanceOf.step(w) for w in (a.attacker.address, a.honest.address, a.keeper)
        ]
        tokens += [s.token.balanceOf.step(c.address) for c in (s.engine, s.fund)]
        stake = [
            call
            for who in (a.attacker.address, a.honest.address)
            for call in self._stake_looks(who)
        ]
        markets = [s.engine.marketState.step(market, gas=MUCH_GAS) for market in (0, 1)]
        return [*health, *tokens, *stake, *markets]

    def _stake_looks(self, who: str) -> list[Step]:
        t = self.arena.system.tranche
        pending = [t.pendingRedeemRequest.step(i, who) for i in (1, 2)]
        claimable = [t.claimableRedeemRequest.step(i, who) for i in (1, 2)]
        back = [t.collectable.step(who, era, 0) for era in (1, 2)]
        shares = [t.balanceOf.step(who), t.totalSupply.step(), t.totalAssets.step()]
        return [*shares, *pending, *claimable, *back, t.bucket.step(1), t.bucket.step(2)]

    def _values(self, views: Sequence[Any]) -> tuple[Values, tuple[int, int]]:
        seen = iter(views)
        # what is below zero is left behind
        mine = sum(max(0, int(next(seen).equity)) for _ in range(self.subs))
        honest = sum(int(next(seen).equity) for _ in range(HONEST_SUBS + 1))
        wallet, theirs, keeper, engine, fund = (int(next(seen)) * SCALE for _ in range(5))
        stakes = _stake(seen), _stake(seen)
        mine += wallet + stakes[0]
        honest += theirs + keeper + stakes[1]
        treasury = sum(int(next(seen).treasuryFees) for _ in range(2))
        all_tokens = wallet + theirs + keeper + engine + fund
        return Values(mine, honest, all_tokens - mine - honest - treasury, treasury), stakes


def _stake(seen: Any) -> int:
    """Value of one holder's shares, requests and recoveries, WAD."""
    shares, supply, assets = (int(next(seen)) for _ in range(3))
    requests = [int(next(seen)) for _ in range(4)]
    value = sum(int(next(seen)) for _ in range(2))
    value += shares * assets // supply if supply else 0
    for i in (0, 1):
        bucket = next(seen)[0]
        if bucket.shares:
            value += (requests[i] + requests[i + 2]) * bucket.assets // bucket.shares
    return value * SCALE


def _payments(done: Sequence[Outcome], claimant: str) -> tuple[tuple[tuple[int, int], ...], int]:
    """(time, paid by the shared layers) of every event of the engine; the compartments' part."""
    shared: dict[tuple[int, int], int] = {}
    compartments = 0
    for outcome in done:
        for event in outcome.find("Covered"):
            if event.claimant != claimant:
                continue
            key = (outcome.timestamp, int(event.eventId))
            legs = event.legs
            compartments += legs.compartment
            part = legs.reserve + legs.staked + legs.backing
            shared[key] = shared.get(key, 0) + part
    return tuple((time, part) for (time, _), part in shared.items()), compartments
