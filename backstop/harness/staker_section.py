"""The `stakers` of a scenario: who underwrites layer 3, who joins when and asks for it back when.

Times are the file's, in UTC. A staker who joins before the history begins is there when the book is
opened; what falls between two steps happens in the later one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from backstop.chain.config import Parameters
from backstop.harness.fields import Fields

MOST: Final = 50
"""Stakers of a scenario: each is read after every step."""

_EARLIEST: Final = 90 * 86400
_NAME: Final = 24


@dataclass(frozen=True)
class StakerPlan:
    """What a staker is going to do.

    Attributes:
        name: for people.
        stake: tokens that it brings in.
        joins: second in which it stakes.
        asks: second in which it asks for its stake back; None if it stays.
        part: of its shares that it asks back, 1 for all.
    """

    name: str
    stake: Decimal
    joins: int
    asks: int | None = None
    part: Decimal = Decimal(1)


def read_stakers(root: Fields, start: int, end: int) -> tuple[StakerPlan, ...]:
    """The section, field by field; nobody stakes if it is not there.

    Args:
        root: the scenario's file.
        start: first second of the history.
        end: last second of the history.

    Raises:
        ScenarioError: a field cannot be used.
    """
    if "stakers" not in root.data:
        return ()
    nodes = root.children("stakers")
    if len(nodes) > MOST:
        root.fail("stakers", f"{len(nodes)} stakers", f"at most {MOST}")
    plans: list[StakerPlan] = []
    for node in nodes:
        plans.append(_staker(node, start, end))
        if plans[-1].name in [plan.name for plan in plans[:-1]]:
            node.fail("name", plans[-1].name, "a name that no other staker has")
    return tuple(plans)


def _staker(node: Fields, start: int, end: int) -> StakerPlan:
    name = node.text("name")
    if len(name) > _NAME:
        node.fail("name", name, f"at most {_NAME} characters")
    joins, asks, part = node.time("joins"), None, 1.0
    if not start - _EARLIEST <= joins <= end:
        node.fail(
            "joins",
            node.text("joins"),
            "a time up to 90 days before `start`, or until the last step",
        )
    if "asks" in node.data:
        asks = node.time("asks")
        if not joins < asks <= end:
            node.fail(
                "asks",
                node.text("asks"),
                "a time after `joins`, at the latest that of the last step",
            )
    if "part" in node.data:
        if asks is None:
            node.fail(
                "part",
                node.text("part"),
                "only beside `asks`: who asks for nothing stays",
                f"add {node.where('asks')} or remove {node.where('part')}",
            )
        part = node.share("part", "1%")
    stake = Decimal(node.whole("stake", 1, 10**12))
    node.done()
    return StakerPlan(name, stake, joins, asks, Decimal(round(part * 10**9)) / 10**9)


def staked_before(plans: Sequence[StakerPlan], start: int) -> Decimal:
    """Tokens that are staked when the history begins."""
    return sum((plan.stake for plan in plans if plan.joins <= start), Decimal(0))


def fit_stakers(
    root: Fields, plans: Sequence[StakerPlan], parameters: Parameters, factor: Decimal
) -> tuple[StakerPlan, ...]:
    """The stakers of a fund that is `factor` times as large; those without a whole token are out.

    Raises:
        ScenarioError: the deployment has no layer 3, or its cap is too small for all of them.
    """
    staking = parameters.fund.staking
    if plans and staking is None:
        root.fail(
            "stakers",
            f"{len(plans)} stakers",
            "stakers only where the deployment has a layer 3",
            "give `parameters.changes.fund.staking` a cap, a cooldown and a share, or remove"
            " `stakers`",
        )
    fitted = []
    room = staking.cap if staking else Decimal(0)
    for position, plan in enumerate(plans):
        stake = Decimal(int(plan.stake * factor))
        if stake > room:
            root.fail(
                f"stakers[{position}].stake",
                f"{plan.stake}",
                f"stakes that together stay within the cap of layer 3, here at most {room}",
                "raise `cap` of `parameters.changes.fund.staking`, or stake less",
            )
        room -= stake
        if stake:
            fitted.append(replace(plan, stake=stake))
    return tuple(fitted)
