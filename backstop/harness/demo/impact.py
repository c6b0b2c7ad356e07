"""Price impact of liquidations: what is sold in one step moves the price of the next.

The price of a market is its history times `exp(shift)`. Each step the shift decays, and what
liquidations sold (or bought, for shorts) in it adds

    -sign(Q) * coefficient * (|Q| / (volume * depth)) ** exponent

where Q is the step's net quantity in quote tokens, counted once at the step's end (so the order of
the trades in it does not matter), `volume` a normal day's, and `depth` what is left of the normal
book on the side that Q eats:

    depth = max(floor, exp(-slope * stress))

The stress is the distance of the logarithm of the price from its exponential average with
`halflife`, if Q pushes further that way, else 0: in a fall the bids vanish and the offers stay.
The exponent 0.5 is the square-root law; slope 58 was fitted to the +-5 % depth of the BTC perpetual
on 10 October 2025. What is deleveraged or torn up is never sold, so it has no impact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from backstop.harness.scenario import ImpactLaw

LARGEST = 0.25
"""No step's impact exceeds this: the law was never measured beyond it."""


@dataclass
class Impact:
    """The impact of one market.

    Attributes:
        law: its numbers.
        shift: logarithm of price over history.
        average: exponential average of the logarithm of the price, the calm level.
    """

    law: ImpactLaw
    average: float
    shift: float = 0.0
    last: float = field(init=False)

    def __post_init__(self) -> None:
        self.last = self.average

    @classmethod
    def at(cls, law: ImpactLaw, price: float) -> Impact:
        """A calm market at this price."""
        return cls(law, math.log(price))

    def depth(self, selling: bool) -> float:
        """Part of the normal book that is left for sellers (bids) or for buyers (offers)."""
        fall = self.average - self.last
        stress = max(0.0, fall if selling else -fall)
        return max(self.law.depth_floor, math.exp(-self.law.depth_slope * stress))

    def impulse(self, quantity: float) -> float:
        """What selling `quantity` quote tokens (buying, if negative) adds to the shift."""
        if not quantity:
            return 0.0
        depth = self.depth(selling=quantity > 0)
        size = abs(quantity) / (self.law.volume * depth)
        move = min(LARGEST, self.law.coefficient * size**self.law.exponent)
        return -math.copysign(move, quantity)

    def next_price(self, history: float, quantity: float, seconds: float) -> float:
        """The price a step later.

        Args:
            history: price of the history then.
            quantity: net quote tokens that liquidations sold since the last price.
            seconds: length of the step.
        """
        minutes = seconds / 60
        impulse = self.impulse(quantity)
        self.shift = self.shift * (1 - self.law.decay) ** minutes + impulse
        self.last = math.log(history) + self.shift
        weight = 0.5 ** (minutes / self.law.halflife)
        self.average = weight * self.average + (1 - weight) * self.last
        return math.exp(self.last)
