"""Short stories of the fund that random play hardly ever tells to the end.

Money works outside and comes back or is lost; all layers pay, stakers leave with a part of the loss
and get a part of it back; a surplus is released. Contracts are called as their callers would.
"""

from __future__ import annotations

from typing import Any, Final

from eth_utils import to_checksum_address

from backstop.harness.rpc import Step
from backstop.harness.world import MAX_UINT256, UNIT, ChainWorld, owners

HOUR: Final = 3_600
WEEK: Final = 7 * 86_400
_NOBODY: Final = bytes(31) + b"\x07"


def scenes(chain: ChainWorld) -> dict[str, tuple[list[Step], list[str]]]:
    """The stories, each from the first state of the world."""
    stories = {"capital": _capital(chain), "losses": _losses(chain), "surplus": _surplus(chain)}
    return {name: (story.steps, story.labels) for name, story in stories.items()}


class _Story:
    """Steps with their labels."""

    def __init__(self, chain: ChainWorld) -> None:
        self.chain = chain
        self.rich = to_checksum_address(owners()[-1])
        self.engine = chain.engine.address
        self.steps: list[Step] = []
        self.labels: list[str] = []

    def do(self, sender: str, contract: str, function: str, *args: Any, delay: int = 0) -> None:
        """One call, after a delay."""
        target = getattr(self.chain, contract)[function]
        self.steps.append(target.step(*args, sender=sender, delay=delay))
        self.labels.append(f"{contract}.{function}{args}"[:100])

    def look(self, market: int = 0) -> None:
        """What the fund's and the stake's views show."""
        for function in (
            "reserve",
            "backing",
            "totalCompartments",
            "premium",
            "solvency",
            "surplus",
        ):
            self.do(self.rich, "fund", function)
        for function in ("compartment", "deployedCapital", "drawRoom"):
            self.do(self.rich, "fund", function, self.engine, market)
        for function in ("totalAssets", "totalSupply", "slashable", "openBuckets", "uncollected"):
            self.do(self.rich, "tranche", function)
        self.do(self.rich, "tranche", "maxWithdraw", self.rich)
        self.do(self.rich, "token", "balanceOf", self.rich)


def _capital(chain: ChainWorld) -> _Story:
    """Capital is drawn from compartment and reserve, comes back in parts, and is written off."""
    story = _Story(chain)
    ours = chain.backstop.address
    for assets in (3_000, 9_000, 40_000, 0):
        story.do(ours, "fund", "deployCapital", story.engine, 0, assets * UNIT, delay=600)
        story.look()
    for assets in (2_000, 500):
        story.do(ours, "fund", "writeOffCapital", story.engine, 0, assets * UNIT)
        story.look()
    for assets in (5_000, 20_000, 11_000, 6_000, 0):
        story.do(story.rich, "fund", "returnCapital", story.engine, 0, assets * UNIT, delay=60)
        story.look()
    story.do(ours, "fund", "deployCapital", story.engine, 0, 30_000 * UNIT, delay=HOUR)
    story.do(ours, "fund", "writeOffCapital", story.engine, 0, 50_000 * UNIT)
    story.look()
    return story


def _losses(chain: ChainWorld) -> _Story:
    """Three events exhaust all layers while a staker leaves; recoveries go back in order."""
    story = _Story(chain)
    shares = 2_000_000 * UNIT
    story.do(story.rich, "tranche", "requestRedeem", shares, story.rich, story.rich, delay=60)
    claim = [(0, 25_000 * UNIT), (1, 3_000 * UNIT)]
    story.do(story.engine, "fund", "cover", _NOBODY, claim, 50 * UNIT, delay=60)
    story.look()
    story.do(story.engine, "fund", "cover", _NOBODY, [(0, 34_000 * UNIT)], UNIT, delay=2 * HOUR)
    story.look()
    claim = [(0, 20_000 * UNIT)]
    story.do(story.engine, "fund", "cover", _NOBODY, claim, UNIT, delay=2 * HOUR)
    story.look()
    story.do(story.rich, "tranche", "requestRedeem", shares, story.rich, story.rich, delay=WEEK)
    outcomes = chain.client.simulate(story.steps)
    receipts = [e for o in outcomes for e in o.find("ReceiptRecorded")]
    for receipt in receipts:
        for assets in (1, 3_000 * UNIT, 4_000 * UNIT, 12_000 * UNIT, 9_000 * UNIT, 4_000 * UNIT):
            number, record = receipt.eventId, bytes(receipt.receipt)
            story.do(story.rich, "fund", "recover", number, record, assets, delay=60)
            story.look()
    for part in (0, 1, 2):
        story.do(story.rich, "tranche", "collect", story.rich, 1, part)
    who = story.rich
    story.do(who, "tranche", "claim", 1, who, who, delay=3 * WEEK)
    story.do(who, "tranche", "deposit", 5_000 * UNIT, who)
    story.do(who, "tranche", "requestRedeem", 3_000_000 * UNIT, who, who, delay=60)
    story.do(who, "fund", "fundStakers", 100 * UNIT, delay=60)
    story.look()
    story.do(who, "tranche", "withdraw", UNIT, who, who, delay=HOUR)
    story.do(who, "tranche", "withdraw", UNIT, who, who, delay=3 * WEEK)
    story.do(who, "tranche", "redeem", UNIT, who, who)
    story.do(who, "tranche", "maxRedeem", who)
    story.look()
    return story


def _surplus(chain: ChainWorld) -> _Story:
    """The fund grows far above its target; a month later a tenth of it may leave every week."""
    story = _Story(chain)
    rich, admin = story.rich, chain.admin
    story.do(rich, "fund", "fundReserve", 90_000 * UNIT, delay=60)
    story.do(rich, "fund", "noteSolvency", delay=60)
    story.look()
    story.do(admin, "fund", "releaseReserve", rich, UNIT, delay=29 * 86_400)
    story.do(admin, "fund", "releaseReserve", rich, 4_000 * UNIT, delay=2 * 86_400)
    story.look()
    for assets, delay in ((UNIT, 6 * 86_400), (50_000 * UNIT, 2 * 86_400), (UNIT, 0)):
        story.do(admin, "fund", "releaseReserve", rich, assets, delay=delay)
        story.look()
    story.do(rich, "tranche", "deposit", 1_000 * UNIT, rich, delay=HOUR)
    story.do(admin, "fund", "setRiskOracle", "0x" + "00" * 20, delay=HOUR)
    story.do(rich, "fund", "noteSolvency", delay=HOUR)
    story.look()
    story.do(rich, "tranche", "approve", admin, MAX_UINT256)
    story.look()
    return story
