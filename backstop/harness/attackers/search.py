"""Looking for the numbers that pay most: at random first, then around the best that was found."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from backstop.harness.attackers.arena import SCALE, UNIT, WAD, Arena
from backstop.harness.attackers.attacks import Attack, Numbers
from backstop.harness.attackers.book import ATTACKS
from backstop.harness.attackers.play import Play, Result, Values

DUST = WAD // 100
"""A hundredth of a token: less than the fee of any trade."""
LOCAL = 0.6
"""Part of the tries that look around the best ones."""
EDGE = 0.3
"""How often a number that is drawn anywhere is an end of its range."""
MANY = 50
POOL = 5
"""How many of the best are kept to look around."""


@dataclass
class Best:
    """What the search has found for one attack.

    Attributes:
        score: highest score, WAD; what the attack's row is about.
        bound: what may come of it with those numbers, WAD.
        excess: highest score above its bound, WAD.
        pool: the best few, by score.
        failures: what broke a rule, with the numbers.
    """

    attack: Attack
    tries: int = 0
    score: int | None = None
    profit: int = 0
    bound: int = 0
    excess: int | None = None
    numbers: dict[str, float] = field(default_factory=dict)
    pool: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    worked: int = 0
    steps: int = 0
    fund_paid: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Limits:
    """What the fund's shared layers may pay to the engine, units of the token."""

    per_claim: int
    per_window: int
    window: int
    market_window: int


def limits_of(arena: Arena, market: int = 0) -> Limits:
    """As the fund says."""
    fund, at = arena.system.fund, arena.system.engine.address
    mine, markets = fund.claimantLimits(at), fund.marketLimits(at, market)
    return Limits(mine.perClaim, mine.perWindow, mine.window, markets.perWindow)


def broken_limits(result: Result, limits: Limits) -> str:
    """Which draw limit the fund's payments broke; empty if none."""
    for index, (start, _) in enumerate(result.paid):
        total = 0
        for time, assets in result.paid[index:]:
            total += assets
            most = limits.per_window + limits.per_window * (time - start) // limits.window
            if total > most + 1:
                return f"{total} drawn in {time - start} s, the window allows {most}"
    largest = max((assets for _, assets in result.paid), default=0)
    if largest > limits.per_claim:
        return f"one event drew {largest}, the claim's limit is {limits.per_claim}"
    return ""


def _score(one: tuple[int, dict[str, float]]) -> int:
    return one[0]


class Search:
    """Searches attack by attack.

    Args:
        arena: where; its state is not changed.
        seed: of all numbers.
    """

    def __init__(self, arena: Arena, seed: int, attacks: Sequence[Attack] = ATTACKS) -> None:
        self.arena, self.seed = arena, seed
        self.limits = limits_of(arena)
        self.best = {attack.name: Best(attack) for attack in attacks}
        self._dice = {a.name: random.Random(f"{seed} {a.name}") for a in attacks}
        self._first: dict[int, Values] = {}

    def step(self, attack: Attack, *, around: bool) -> Best:
        """One try, around one of the best so far or anywhere; often at the edges."""
        best, dice = self.best[attack.name], self._dice[attack.name]
        if best.tries < len(attack.starts):
            self.judge(attack, attack.starts[best.tries])
            return best
        start = dice.choice(best.pool)[1] if around and best.pool else None
        numbers = {}
        for name, (low, high) in attack.space.items():
            value = dice.choice((low, high)) if dice.random() < EDGE else dice.uniform(low, high)
            if start is not None:
                width = (high - low) * dice.choice((0.003, 0.03, 0.2))
                value = start[name] + dice.gauss(0, width) * (dice.random() < 0.6)
            numbers[name] = min(high, max(low, value))
        self.judge(attack, numbers)
        return best

    def judge(self, attack: Attack, numbers: Numbers) -> Result:
        """Plays these numbers and keeps them if they are the best."""
        best, result = self.best[attack.name], self.play(attack, numbers)
        best.tries += 1
        best.worked += result.worked
        best.steps += result.steps
        fund_paid = (sum(part for _, part in result.paid) + result.from_compartments) * SCALE
        best.fund_paid = max(best.fund_paid, fund_paid)
        bound = int(attack.allowed(numbers) * UNIT) * SCALE
        if attack.fund_pays:
            bound += fund_paid + attack.inventory_loss * WAD
        score = attack.score(result, numbers)
        if result.profit == 0:
            return result  # nothing came about
        best.pool = sorted([*best.pool, (score, dict(numbers))], key=_score)[-POOL:]
        if best.score is None or score > best.score:
            best.score, best.bound, best.numbers = score, bound, dict(numbers)
            best.profit = result.profit
        best.excess = score - bound if best.excess is None else max(best.excess, score - bound)
        if score > bound + DUST:
            best.failures.append(
                f"pays {score / WAD:.6f}, the bound is {bound / WAD:.6f}: {numbers}"
            )
        if broken := broken_limits(result, self.limits):
            best.failures.append(f"{broken}: {numbers}")
        return result

    def play(self, attack: Attack, numbers: Numbers) -> Result:
        """One attempt on the contracts."""
        if attack.subs not in self._first:
            self._first[attack.subs] = Play(self.arena, attack.subs).values()
        play = Play(self.arena, attack.subs)
        attack.build(play, numbers)
        return play.run(self._first[attack.subs])

    def rounds(self, going: Callable[[], bool], tell: Callable[[str], None]) -> None:
        """Tries every attack in turn for as long as `going` says."""
        count = 0
        while going():
            for best in self.best.values():
                dice = self._dice[best.attack.name]
                if best.attack.subs > MANY and count % 20:
                    continue  # a hundred accounts take a hundred times as long
                self.step(best.attack, around=count > 10 and dice.random() < LOCAL)
                if not going():
                    break
            count += 1
            if count % 10 == 0:
                found = sum(len(best.failures) for best in self.best.values())
                tries = sum(best.tries for best in self.best.values())
                tell(f"{tries:,} tries, {found} above their bound")
