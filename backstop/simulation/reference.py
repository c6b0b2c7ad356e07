"""The cascade model in plain Python: slow, readable, and the meaning of every faster engine.

No numpy arithmetic, no shared code with the compiled engines: one account is one object, one minute
is one method call. `docs/simulation.md` states the same rules in words, with the same names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .book import Book
from .model import (
    MARKET_FIELDS,
    PATH_FIELDS,
    Events,
    FloatArray,
    PathResult,
    SimulationParams,
    per_market,
)

LONG, SHORT = 0, 1


@dataclass(slots=True)
class Account:
    """One account: free collateral (USD), and size (base) and quote (USD) per market."""

    index: int
    collateral: float
    size: list[float]
    quote: list[float]
    alive: bool = True
    closing: list[float] = field(default_factory=list)  # base units to be filled this minute
    parts: int = 0

    def start_size(self, market: int) -> float:
        """Size at the start of the minute: what is left plus what is being closed."""
        return self.size[market] + (self.closing[market] if self.closing else 0.0)


@dataclass(slots=True)
class Market:
    """One market's state. Impact and the moving average are in log price relative to the start."""

    price0: float
    tiers: list[tuple[float, float]]  # (floor, marginal rate)
    coefficient: float
    volume: float
    compartment: float
    cap: float
    impact: float = 0.0
    push: float = 0.0
    average: float = 0.0
    last: float = 0.0
    net: float = 0.0
    price: float = 0.0
    used: float = 0.0
    totals: dict[str, float] = field(default_factory=lambda: dict.fromkeys(MARKET_FIELDS, 0.0))

    def maintenance(self, notional: float) -> float:
        """Bracket by bracket: marginal rate times the part of `notional` inside the bracket."""
        need = 0.0
        for k, (floor, rate) in enumerate(self.tiers):
            top = self.tiers[k + 1][0] if k + 1 < len(self.tiers) else math.inf
            if notional > floor:
                need += rate * (min(notional, top) - floor)
        return need


class ReferenceSimulation:
    """One run of the model over one price path; see `simulate_reference`."""

    def __init__(self, book: Book, params: SimulationParams) -> None:
        self.params = params
        self.markets = _markets(book, params)
        self.accounts = [
            Account(i, c, s, q)
            for i, (c, s, q) in enumerate(
                zip(book.collateral.tolist(), book.size.tolist(), book.quote.tolist(), strict=True)
            )
        ]
        self.operator = params.fund.operator
        self.staked = params.fund.staked
        self.opening = params.fund.staked
        self.window_used = 0.0
        self.counts = dict.fromkeys(PATH_FIELDS, 0.0)
        self.log: list[tuple[int, int, int, float, float, float]] = []
        self.prices: list[list[float]] = []

    # --- valuation -------------------------------------------------------------------------------

    def equity(self, account: Account) -> float:
        """Equity at current prices, at which quantities being closed would fill, after fees."""
        total = account.collateral
        for m, market in enumerate(self.markets):
            total += account.start_size(m) * market.price + account.quote[m]
        return total - self._fee_rate() * self._closing_notional(account)

    def maintenance(self, account: Account) -> float:
        """Maintenance margin of what is not being closed."""
        return sum(
            market.maintenance(abs(account.size[m]) * market.price)
            for m, market in enumerate(self.markets)
        )

    def _closing_notional(self, account: Account) -> float:
        if not account.closing:
            return 0.0
        return sum(abs(c) * k.price for c, k in zip(account.closing, self.markets, strict=True))

    def _fee_rate(self) -> float:
        return self.params.liquidation.surcharge + self.params.liquidation.reward

    # --- one minute ------------------------------------------------------------------------------

    def minute(self, t: int, log_prices: Sequence[float], depth: Sequence[float] | None) -> None:
        """Advance one minute: decay, rounds to the fixpoint, settlement, waterfall, ADL."""
        if t % self.params.fund.window == 0:
            self.opening, self.window_used = self.staked, 0.0
            for market in self.markets:
                market.used = 0.0
        for market in self.markets:
            market.impact *= self.params.impact.decay
            market.push = market.net = 0.0
        rounds = self._rounds(t, log_prices, depth)
        hit = [a for a in self.accounts if a.closing]
        if hit:
            self.counts["active_minutes"] += 1
            self.counts["rounds"] += rounds
            self.counts["longest_cascade"] = max(self.counts["longest_cascade"], rounds)
            self._settle(hit)
        self._end_of_minute(log_prices)

    def _rounds(self, t: int, logs: Sequence[float], depth: Sequence[float] | None) -> int:
        """Liquidate simultaneously until nobody is below maintenance; return the rounds used."""
        for number in range(self.params.liquidation.max_rounds):
            self._set_prices(logs)
            below = [a for a in self.accounts if a.alive and self.equity(a) < self.maintenance(a)]
            if not below:
                return number
            for account in below:
                self._liquidate(account, t, number)
            for m, market in enumerate(self.markets):
                market.push = self._push(m, depth)
        self._set_prices(logs)
        self.counts["capped_minutes"] += 1
        return self.params.liquidation.max_rounds

    def _set_prices(self, logs: Sequence[float]) -> None:
        for market, x in zip(self.markets, logs, strict=True):
            market.price = market.price0 * math.exp(x + market.impact + market.push)

    def _push(self, m: int, depth: Sequence[float] | None) -> float:
        """Log price impact of the minute's cumulative net closed quantity."""
        market, impact = self.markets[m], self.params.impact
        if market.net == 0.0:
            return 0.0
        available = market.volume * self._depth_ratio(market) * (1.0 if depth is None else depth[m])
        share = abs(market.net) * market.price0 / available
        return -math.copysign(market.coefficient * share**impact.exponent, market.net)

    def _depth_ratio(self, market: Market) -> float:
        """Share of normal depth on the side that takes the flow, by the stress at minute start."""
        law = self.params.impact.depth
        stress = market.last - market.average
        selling = market.net > 0
        eaten = selling if stress < 0 else not selling
        slope = law.with_slope if eaten else law.against_slope
        floor = law.with_floor if eaten else law.against_floor
        return max(floor, math.exp(-slope * abs(stress)))

    # --- liquidation -----------------------------------------------------------------------------

    def _liquidate(self, account: Account, t: int, number: int) -> None:
        equity, need = self.equity(account), self.maintenance(account)
        fraction = self._fraction(account, equity)
        self.log.append((account.index, t, number, fraction, equity, need))
        if not account.closing:
            account.closing = [0.0] * len(self.markets)
            account.parts = 0
        account.parts += 1
        for m, market in enumerate(self.markets):
            part = account.size[m] if fraction == 1.0 else fraction * account.size[m]
            account.closing[m] += part
            account.size[m] -= part
            market.net += part
        if fraction == 1.0:
            account.alive = False
            self.counts["closed_accounts"] += 1
        else:
            self.counts["partial_liquidations"] += 1

    def _fraction(self, account: Account, equity: float) -> float:
        """Smallest share of all positions whose closing restores the target health, or 1."""
        rule = self.params.liquidation
        gross = sum(abs(q) * k.price for q, k in zip(account.size, self.markets, strict=True))
        if rule.target_health == 0 or (account.closing and account.parts >= rule.max_parts):
            return 1.0
        if equity <= self._fee_rate() * gross:
            return 1.0
        fraction = self._restoring_fraction(account, equity, gross)
        return 1.0 if (1.0 - fraction) * gross < rule.dust else fraction

    def _restoring_fraction(self, account: Account, equity: float, gross: float) -> float:
        """Root of the concave, piecewise linear `equity after - target * maintenance after`."""

        def gap(fraction: float) -> float:
            left = 1.0 - fraction
            need = sum(
                k.maintenance(abs(q) * left * k.price)
                for q, k in zip(account.size, self.markets, strict=True)
            )
            paid = self._fee_rate() * fraction * gross
            return equity - paid - self.params.liquidation.target_health * need

        kinks = {1.0}
        for q, market in zip(account.size, self.markets, strict=True):
            notional = abs(q) * market.price
            kinks |= {1.0 - floor / notional for floor, _ in market.tiers if 0 < floor < notional}
        low = 0.0
        for high in sorted(kinks):
            if gap(high) >= 0.0:
                a, b = gap(low), gap(high)
                return low + (high - low) * (-a) / (b - a)
            low = high
        return 1.0

    # --- settlement ------------------------------------------------------------------------------

    def _settle(self, hit: list[Account]) -> None:
        """Fill everything at the fixpoint price, charge fees, collect deficits, pay them."""
        claims: list[list[list[float]]] = []  # per claim: legs[market][side]
        for account in hit:
            legs = self._claim_legs(account)
            deficit = self._fill(account)
            if deficit > 0.0:
                self.counts["claims"] += 1
                claims.append([[deficit * share for share in sides] for sides in legs])
            account.closing = []
        if claims:
            self._charge_opposite(self._waterfall(claims))

    def _fill(self, account: Account) -> float:
        """Close `account.closing` at market prices; return the deficit of an account wiped out."""
        fees = self.params.liquidation
        value = account.collateral
        for m, market in enumerate(self.markets):
            value += account.start_size(m) * market.price + account.quote[m]
        notional = self._closing_notional(account)
        fee = min(max(value, 0.0), self._fee_rate() * notional)
        for m, market in enumerate(self.markets):
            closed = account.closing[m]
            if closed == 0.0:
                continue
            part = abs(closed) * market.price
            weight = fee * part / notional / self._fee_rate() if self._fee_rate() > 0 else 0.0
            market.totals["liquidated_notional"] += part
            market.totals["surcharge"] += weight * fees.surcharge
            market.totals["reward"] += weight * fees.reward
            market.compartment += weight * fees.surcharge
            kept = account.size[m] / account.start_size(m)
            account.collateral += closed * market.price + account.quote[m] * (1.0 - kept)
            account.quote[m] *= kept
        account.collateral -= fee
        if account.alive or account.collateral >= 0.0:
            return 0.0
        deficit, account.collateral = -account.collateral, 0.0
        return deficit

    def _claim_legs(self, account: Account) -> list[list[float]]:
        """Shares of a claim by market and side: by maintenance, by notional if that is zero."""
        sizes = [account.start_size(m) for m in range(len(self.markets))]
        notionals = [abs(q) * k.price for q, k in zip(sizes, self.markets, strict=True)]
        weights = [k.maintenance(n) for n, k in zip(notionals, self.markets, strict=True)]
        if sum(weights) == 0.0:
            weights = notionals
        total = sum(weights)
        return [
            [w / total, 0.0] if q > 0 else [0.0, w / total]
            for q, w in zip(sizes, weights, strict=True)
        ]

    # --- fund ------------------------------------------------------------------------------------

    def _waterfall(self, claims: list[list[list[float]]]) -> list[list[float]]:
        """Pay claims from compartments, operator reserve and staked tranche; return what is left.

        `claims` is changed in place: each layer reduces every leg it pays.
        """
        for m, market in enumerate(self.markets):
            due = sum(legs[m][LONG] + legs[m][SHORT] for legs in claims)
            market.totals["deficit"] += due
            paid = min(market.compartment, due)
            market.compartment -= paid
            market.totals["drawn_compartment"] += paid
            _reduce(claims, m, paid / due if due > 0 else 0.0)
        total = sum(sum(map(sum, legs)) for legs in claims)
        share = min(self.operator, total) / total if total > 0 else 0.0
        for m, market in enumerate(self.markets):
            paid = share * sum(legs[m][LONG] + legs[m][SHORT] for legs in claims)
            self.operator = max(0.0, self.operator - paid)
            market.totals["drawn_operator"] += paid
            _reduce(claims, m, share)
        return self._pay_staked(claims)

    def _pay_staked(self, claims: list[list[list[float]]]) -> list[list[float]]:
        """The staked tranche pays within its limits; return what is left per market and side."""
        fund = self.params.fund
        eligible = [0.0] * len(self.markets)
        for legs in claims:
            total = sum(map(sum, legs))
            allowed = min(1.0, fund.claim_limit * self.opening / total) if total > 0 else 0.0
            for m in range(len(self.markets)):
                eligible[m] += allowed * sum(legs[m])
        for m, market in enumerate(self.markets):
            limit = min(fund.market_limit * self.opening, market.cap) - market.used
            eligible[m] = min(eligible[m], max(0.0, limit))
        left = max(0.0, min(self.staked, fund.window_limit * self.opening - self.window_used))
        share = min(1.0, left / sum(eligible)) if sum(eligible) > 0 else 0.0
        rest = []
        for m, market in enumerate(self.markets):
            paid = share * eligible[m]
            market.used += paid
            self.window_used += paid
            self.staked = max(0.0, self.staked - paid)
            market.totals["drawn_staked"] += paid
            sides = [sum(legs[m][side] for legs in claims) for side in (LONG, SHORT)]
            kept = max(0.0, 1.0 - paid / sum(sides)) if sum(sides) > 0 else 0.0
            rest.append([side * kept for side in sides])
        return rest

    # --- auto-deleveraging -----------------------------------------------------------------------

    def _charge_opposite(self, rest: list[list[float]]) -> None:
        """Charge what the fund left to the holders of the opposite side."""
        for m, market in enumerate(self.markets):
            for side in (LONG, SHORT):
                due = rest[m][side]
                if due <= 0.0:
                    continue
                taken = self._charge_side(m, SHORT if side == LONG else LONG, due)
                market.totals["adl"] += taken
                market.totals["residual"] += due - taken

    def _charge_side(self, m: int, side: int, due: float) -> float:
        market, rule = self.markets[m], self.params.adl
        holders = [
            a
            for a in self.accounts
            if a.alive and (a.size[m] > 0 if side == LONG else a.size[m] < 0)
        ]
        if rule.basis == "size":
            base = [abs(a.size[m]) for a in holders]
            most = rule.max_charge * market.price * sum(base)
        else:
            base = [max(0.0, a.size[m] * market.price + a.quote[m]) for a in holders]
            most = sum(base)
        total, taken = sum(base), min(due, most)
        if taken <= 0.0:
            return 0.0
        for account, weight in zip(holders, base, strict=True):
            account.quote[m] -= taken * weight / total
        return taken

    # --- end of minute ---------------------------------------------------------------------------

    def _end_of_minute(self, logs: Sequence[float]) -> None:
        keep = 0.5 ** (1.0 / self.params.impact.depth.halflife)
        for market, x in zip(self.markets, logs, strict=True):
            market.impact += market.push
            market.last = x + market.impact
            market.average = keep * market.average + (1.0 - keep) * market.last
            relative = math.exp(market.last)
            totals = market.totals
            totals["price_low"] = min(totals["price_low"] or 1.0, relative)
            totals["price_high"] = max(totals["price_high"] or 1.0, relative)
            totals["price_end"] = relative
        self.prices.append([k.price0 * k.totals["price_end"] for k in self.markets])

    def result(self) -> PathResult:
        """Return the totals so far, all events, and the prices with feedback."""
        self.counts["operator_end"], self.counts["staked_end"] = self.operator, self.staked
        columns = list(zip(*self.log, strict=True)) or [()] * 6
        account, minute, number = (np.array(c, dtype=np.int64) for c in columns[:3])
        fraction, equity, need = (np.array(c, dtype=np.float64) for c in columns[3:])
        events = Events(account, minute, number, fraction, equity, need)
        return PathResult(
            market=np.array([[k.totals[f] for f in MARKET_FIELDS] for k in self.markets]),
            path=np.array([self.counts[f] for f in PATH_FIELDS]),
            events=events,
            prices=np.array(self.prices),
        )


def _reduce(claims: list[list[list[float]]], m: int, paid_share: float) -> None:
    for legs in claims:
        legs[m] = [leg * (1.0 - paid_share) for leg in legs[m]]


def _markets(book: Book, params: SimulationParams) -> list[Market]:
    width, impact, fund = book.width, params.impact, params.fund
    columns = zip(
        book.price.tolist(),
        per_market(impact.coefficient, width, "impact coefficient").tolist(),
        per_market(impact.volume, width, "impact volume").tolist(),
        per_market(fund.compartment, width, "fund compartment").tolist(),
        per_market(fund.market_cap, width, "fund market_cap").tolist(),
        strict=True,
    )
    markets = []
    for m, (price, coefficient, volume, compartment, cap) in enumerate(columns):
        rows = zip(book.tiers.floor[m].tolist(), book.tiers.rate[m].tolist(), strict=True)
        tiers = [(floor, rate) for floor, rate in rows if math.isfinite(floor)]
        markets.append(Market(price, tiers, coefficient, volume, compartment, cap))
    return markets


def simulate_reference(
    book: Book,
    params: SimulationParams,
    log_price: FloatArray,
    depth: FloatArray | None = None,
) -> PathResult:
    """Run the model over one path.

    log_price: (T, M), log of the outside price over the book's price, one row a minute. depth:
    optional (T, M) share of the normal depth that is left, multiplied with the depth law. Returns
    totals, events and prices. Cost: about a microsecond per account, market and round.
    """
    run = ReferenceSimulation(book, params)
    rows = log_price.tolist()
    depths = depth.tolist() if depth is not None else [None] * len(rows)
    for t, (row, level) in enumerate(zip(rows, depths, strict=True)):
        run.minute(t, row, level)
    return run.result()
