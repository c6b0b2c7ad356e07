"""The loop: prices, orders, keepers, checks, step by step, and what is told about it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from backstop.chain.deploy import System
from backstop.harness.demo.book import Plan, make_plan
from backstop.harness.demo.checks import Books, Checks
from backstop.harness.demo.flow import Flow
from backstop.harness.demo.impact import Impact
from backstop.harness.demo.keeper import Keepers
from backstop.harness.demo.stage import OPERATOR, FundState, Seen, Stage, build
from backstop.harness.demo.stakers import StakerAct, Stakers
from backstop.harness.demo.tally import Shortfall, Tally
from backstop.harness.rpc import Receipt, RpcClient
from backstop.harness.scenario import Scenario
from backstop.model.staking import EPOCH_TIME

_SWEEP_EVERY = 10
"""Steps after which the engine's income is handed to the fund."""


@dataclass(frozen=True)
class MarketRow:
    """A market after a step: prices in quote tokens, open interest in quote tokens at the mark."""

    history: float
    index: float
    mark: float
    open_interest: float
    shift: float
    depth: float
    premium: float


@dataclass(frozen=True)
class Row:
    """What the table shows of a step; amounts in tokens, counts of this step.

    `staked` is all that stakers can lose; `leaving` is the part of it that has been asked back.
    """

    index: int
    time: int
    markets: tuple[MarketRow, ...]
    taken_over: int
    by_orders: int
    deleveraged: int
    closed_out: int
    below_maintenance: int
    compartments: tuple[float, ...]
    reserve: float
    staked: float
    leaving: float
    side_charged: float
    recorded: float
    equity: float
    dust: int


class Audience(Protocol):
    """Who watches: told about the set-up, every step and every close-out."""

    def phase(self, text: str) -> None:
        """Something of the set-up begins."""

    def opened(self, stage: Stage, row: Row) -> None:
        """The book is open, the history begins."""

    def step(self, row: Row, tally: Tally) -> None:
        """A step is over."""

    def shortfall(self, shortfall: Shortfall) -> None:
        """A bankrupt account was closed out."""

    def staker(self, act: StakerAct) -> None:
        """Somebody staked, asked for it back, or claimed."""


@dataclass
class Result:
    """A finished run.

    Attributes:
        first_fund, last_fund: the fund before and after.
        blocks: first and last block of the crash, the opening of the book included.
        stakers: who staked, and what they did.
        funding: quote tokens that longs paid to shorts (negative: got), by market, WAD.
        states: every participant's account at the end.
        missing: outcomes that were promised and did not happen.
        seconds: of the set-up (deployment, deposits, opening) and of the play.
    """

    scenario: Scenario
    seed: int
    stage: Stage
    rows: list[Row]
    checks: Checks
    books: Books
    first_fund: FundState
    last_fund: FundState
    last: Seen
    states: list[Any]
    funding: Mapping[int, int]
    missing: list[str]
    seconds: tuple[float, float]
    blocks: tuple[int, int]
    stakers: Stakers

    @property
    def plan(self) -> Plan:
        """The participants."""
        return self.stage.plan

    @property
    def tally(self) -> Tally:
        """What happened."""
        return self.stage.tally


@dataclass
class Player:
    """Plays one scenario.

    Args:
        client: of a development node whose clock is ours.
        artifacts: gives compiled contracts by name.
        promised: outcomes that have to happen, how often at least.
        deployed: told of the system as soon as it is there.
    """

    client: RpcClient
    scenario: Scenario
    seed: int
    artifacts: Callable[[str], Any]
    audience: Audience
    promised: Mapping[str, int] = field(default_factory=dict)
    exhausted: set[int] = field(default_factory=set)
    deployed: Callable[[System], None] = lambda system: None

    def play(self) -> Result:
        """From the deployment to the last check."""
        began = time.monotonic()
        stage = self._prepare()
        first, block = stage.fund(), self.block
        self.checks = Checks(stage)
        self.flow = Flow(stage, random.Random(f"{self.scenario.name}:{self.seed}:flow"))
        self.keepers = Keepers(stage, self._after_close_out)
        self.impacts = [
            Impact.at(market.impact, price)
            for market, price in zip(self.scenario.markets, stage.plan.prices, strict=True)
        ]
        self.prices = list(stage.plan.prices)
        self.funding = {market.number: 0 for market in self.scenario.markets}
        seen = stage.see()
        rows = [self._row(0, seen, stage.plan.prices, {})]
        self.audience.opened(stage, rows[0])
        opened = time.monotonic()
        for index in range(1, self.scenario.steps + 1):
            before = dict(stage.tally.counts)
            history = self.scenario.prices(index)
            self._step(index, history, seen)
            if index % _SWEEP_EVERY == 0 or index == self.scenario.steps:
                for number in range(len(stage.names)):
                    stage.send(stage.system.engine.sweepFees, number, sender=OPERATOR)
            seen = stage.see()
            self.checks.after_step(seen)
            rows.append(self._row(index, seen, history, before))
            self.audience.step(rows[-1], stage.tally)
        blocks = (block, self.client.block_number)
        if self.stakers.settle():
            seen = self._settled(seen)
        states = stage.states_of(stage.plan.participants)
        books = self.checks.at_the_end(states, seen)
        counts = stage.tally.counts
        counts["exhausted_compartments"] = len(self.exhausted)
        return Result(
            scenario=self.scenario,
            seed=self.seed,
            stage=stage,
            rows=rows,
            checks=self.checks,
            books=books,
            first_fund=first,
            last_fund=seen.fund,
            last=seen,
            states=states,
            funding=self.funding,
            missing=[
                f"{name} happened {counts[name]} times, promised at least {least}"
                for name, least in self.promised.items()
                if counts[name] < least
            ],
            seconds=(opened - began, time.monotonic() - opened),
            blocks=blocks,
            stakers=self.stakers,
        )

    def _prepare(self) -> Stage:
        """Deploy, stake, deposit, open. A node whose clock is ahead of the history keeps its lead.

        The lead is whole weeks: epochs of the stakers' exits begin at the same time of the week.
        """
        scenario = self.scenario
        plan = make_plan(scenario, self.seed)
        ahead = max(0, self.client.timestamp + 1 - scenario.deployed_at)
        self.lead = -(-ahead // EPOCH_TIME) * EPOCH_TIME
        self.audience.phase("deploying the contracts")
        self.client.set_next_timestamp(scenario.deployed_at + self.lead)
        stage = build(self.client, scenario, plan, self.artifacts)
        self.deployed(stage.system)
        self.stakers = Stakers(stage, self.seed, self.audience.staker, self.lead)
        self.stakers.before(scenario.start - 60)
        stage.set_time(scenario.start - 60 + self.lead)
        self.block = self.client.block_number + 1
        self.audience.phase(f"{len(plan.participants)} accounts deposit their collateral")
        stage.push_prices(plan.prices)
        stage.deposit_all()
        self.audience.phase("signing and matching the opening orders")
        stage.open_all(plan.prices, lambda done: None)
        stage.set_time(scenario.start + self.lead)
        stage.push_prices(plan.prices)
        self.stakers.until(scenario.start)
        return stage

    def _settled(self, seen: Seen) -> Seen:
        """Later, when all requests have matured: everybody claims; the prices are the last ones."""
        stage = self.flow.stage
        self._count_funding(seen)
        stage.push_prices(self.prices)
        self.stakers.claim()
        seen = stage.see()
        self.checks.after_step(seen)
        return seen

    def _step(self, index: int, history: Sequence[float], seen: Seen) -> None:
        stage, step = self.flow.stage, self.scenario.step
        time_now = self.scenario.start + index * step
        moves = []
        for number, impact in enumerate(self.impacts):
            sold = stage.tally.sold.pop(number, 0) / 1e18 * self.prices[number]
            price = impact.next_price(history[number], sold, step)
            moves.append(price / self.prices[number] - 1)
            self.prices[number] = price
        stage.set_time(time_now + self.lead)
        self.stakers.until(time_now)
        self._count_funding(seen)
        stage.push_prices(self.prices)
        marks = [m.markPrice for m in self._markets()]
        for number, mark in enumerate(marks):
            index_price = round(self.prices[number] * 10**8) * 10**10
            self.flow.trade_at_will(number, mark, index_price, moves[number])
        self.keepers.work(
            moves,
            lambda number, selling: self.flow.quotes(
                number, selling, marks[number], self.impacts[number].depth(selling)
            ),
        )
        people = {p.account: p for p in stage.plan.participants}
        flagged = [people[account] for account in self.keepers.flagged]
        healths = list(zip(flagged, stage.health_of(flagged), strict=True))
        self.flow.stop_clocks(healths)
        for who, health in healths:
            if not health.liquidatable:
                del self.keepers.flagged[who.account]

    def _markets(self) -> list[Any]:
        stage = self.flow.stage
        return [stage.system.engine.marketState(n) for n in range(len(stage.names))]

    def _count_funding(self, seen: Seen) -> None:
        """Open interest of the payers * mark * premium * elapsed / 8 h, as the engine accrues."""
        for number, market in enumerate(seen.markets):
            elapsed = min(3600, self.flow.stage.now - market.accruedAt)
            premium = market.fundingPremiumPpb
            payers = market.openLong if premium > 0 else market.openShort
            paid = payers * market.markPrice * premium * elapsed // (10**18 * 10**9 * 28800)
            self.funding[number] += paid

    def _after_close_out(self, shortfall: Shortfall, receipt: Receipt) -> None:
        self.checks.after_close_out(shortfall, receipt)
        fund = self.flow.stage.fund()
        for event in receipt.find("Covered", self.flow.stage.system.fund.address):
            if event.legs.compartment and not fund.compartments[event.market]:
                self.exhausted.add(event.market)
        self.audience.shortfall(shortfall)

    def _row(
        self, index: int, seen: Seen, history: Sequence[float], before: Mapping[str, int]
    ) -> Row:
        stage = self.flow.stage
        counts, unit = stage.tally.counts, 10**stage.system.record.token_decimals

        def new(name: str) -> int:
            return counts[name] - before.get(name, 0)

        return Row(
            index=index,
            time=self.scenario.start + index * self.scenario.step,
            markets=tuple(
                MarketRow(
                    history=history[number],
                    index=self.prices[number],
                    mark=market.markPrice / 1e18,
                    open_interest=market.openLong * market.markPrice / 1e36,
                    shift=impact.shift,
                    depth=impact.depth(selling=impact.last <= impact.average),
                    premium=market.fundingPremiumPpb / 1e9,
                )
                for number, (market, impact) in enumerate(
                    zip(seen.markets, self.impacts, strict=True)
                )
            ),
            taken_over=new("take_overs"),
            by_orders=new("order_liquidations"),
            deleveraged=new("deleverages"),
            closed_out=new("close_outs"),
            below_maintenance=sum(health.liquidatable for health in seen.health),
            compartments=tuple(value / unit for value in seen.fund.compartments),
            reserve=seen.fund.reserve / unit,
            staked=seen.stake.slashable / unit,
            leaving=seen.stake.leaving / unit,
            side_charged=stage.tally.sums["layer side"] / 1e18,
            recorded=sum(m.recordedDeficit for m in seen.markets) / 1e18,
            equity=sum(health.equity for health in seen.health) / 1e18,
            dust=self.checks.dust,
        )
