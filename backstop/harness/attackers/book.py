"""The attacks that are tried, with the range of every number."""

from __future__ import annotations

from typing import Final

from backstop.harness.attackers.arena import DAY
from backstop.harness.attackers.attacks import (
    INVENTORY_LOSS,
    PAIR,
    Attack,
    against_people,
    better_terms,
    cornered,
    exit_before_recognition,
    fair_windows,
    flash_stake,
    front_run,
    inventory,
    just_in_time_stake,
    lagging_mark,
    matched_pair,
    matched_pair_alone,
    matched_pair_slow,
    nudged_oracle,
    of_profit,
    of_saved_loss,
    recoveries,
    sandwiched_stake,
    share_of_stream,
    shattered,
    withdrawn_to_the_edge,
)

STAKE: Final = {"stake": (1, 900_000), "income": (1, 50_000)}
HONEST_RUIN: Final = {"base": (5, 60)}

TOO_LARGE: Final = {
    "base": 60.0,
    "off": -0.0473,
    "margin_long": 0.353,
    "margin_short": 0.196,
    "move": 0.19,
    "seconds": 223.0,
}
"""A position of many steps of a liquidation, and a jump."""
GAP: Final = {
    "base": 34.5,
    "off": 0.017,
    "margin_long": 0.221,
    "margin_short": 0.1128,
    "move": 0.19,
    "seconds": 226.0,
}
"""A jump that is larger than the margin."""

ATTACKS: Final = (
    Attack(
        "matched pair",
        matched_pair.__doc__ or "",
        PAIR,
        matched_pair,
        starts=(TOO_LARGE, GAP),
    ),
    Attack(
        "matched pair, no keeper",
        matched_pair_alone.__doc__ or "",
        PAIR,
        matched_pair_alone,
        True,
        starts=(TOO_LARGE, GAP),
    ),
    Attack(
        "matched pair, slow keeper",
        matched_pair_slow.__doc__ or "",
        PAIR,
        matched_pair_slow,
        True,
        starts=(TOO_LARGE, GAP),
    ),
    Attack(
        "lagging mark",
        lagging_mark.__doc__ or "",
        {**PAIR, "jump": (-0.19, 0.19), "lead": (1, 60), "out": (0, 0.2)},
        lagging_mark,
    ),
    Attack(
        "shattered account",
        shattered.__doc__ or "",
        {
            "accounts": (1, 16),
            "base": (0.1, 40),
            "margin": (0.1, 0.2),
            "move": (0.02, 0.12),
            "seconds": (60, 300),
        },
        shattered,
        True,
    ),
    Attack("flash stake", flash_stake.__doc__ or "", STAKE, flash_stake, score=of_profit),
    Attack(
        "just-in-time stake",
        just_in_time_stake.__doc__ or "",
        {**STAKE, "days": (0, 14)},
        just_in_time_stake,
        allowed=share_of_stream,
        score=of_profit,
    ),
    Attack(
        "exit before recognition",
        exit_before_recognition.__doc__ or "",
        {**HONEST_RUIN, "stake": (1, 900_000), "part": (0, 1), "delay": (0, 3 * DAY)},
        exit_before_recognition,
        score=of_saved_loss,
    ),
    Attack(
        "nudged oracle",
        nudged_oracle.__doc__ or "",
        {**PAIR, "lie": (0, 0.0199), "ticks": (1, 8)},
        nudged_oracle,
    ),
    Attack(
        "withdrawn to the edge",
        withdrawn_to_the_edge.__doc__ or "",
        {"base": (0.1, 40), "greed": (0.9, 1.05), "move": (0.03, 0.15), "seconds": (60, 300)},
        withdrawn_to_the_edge,
        True,
        starts=({"base": 40, "greed": 0.986, "move": 0.15, "seconds": 300},),
    ),
    Attack(
        "cornered market",
        cornered.__doc__ or "",
        {"base": (10, 400), "margin": (0.1, 0.4), "premium": (-0.049, 0.049), "hours": (0, 12)},
        cornered,
        subs=101,
    ),
    Attack(
        "fair windows",
        fair_windows.__doc__ or "",
        {**PAIR, "join": (0.1, 20)},
        fair_windows,
        True,
        starts=({**GAP, "join": 12}, {**TOO_LARGE, "join": 1}),
    ),
    Attack(
        "better terms",
        better_terms.__doc__ or "",
        {**PAIR, "stake": (1, 900_000), "days": (0, 5)},
        better_terms,
        allowed=share_of_stream,
    ),
    Attack(
        "inventory auction",
        inventory.__doc__ or "",
        {**PAIR, "after": (-0.1, 0.1), "auction": (60, 1_200)},
        inventory,
        True,
        inventory_loss=INVENTORY_LOSS,
        starts=({**GAP, "after": 0.1, "auction": 1_200},),
    ),
    Attack(
        "recoveries",
        recoveries.__doc__ or "",
        {
            "early": (1, 50_000),
            "late": (1, 500_000),
            "loss": (100, 40_000),
            "left": (0, 1),
            "moved": (0, 0.2),
        },
        recoveries,
        score=of_profit,
    ),
    Attack(
        "sandwiched liquidation",
        front_run.__doc__ or "",
        {"base": (1, 40), "move": (0.05, 0.14), "off": (-0.05, 0.05), "pushed": (0.1, 20)},
        front_run,
    ),
    Attack(
        "sandwiched stake",
        sandwiched_stake.__doc__ or "",
        {"stake": (0.000001, 400_000), "victim": (0.000001, 400_000), "gift": (0, 1_000)},
        sandwiched_stake,
        score=of_profit,
    ),
    Attack(
        "known future",
        against_people.__doc__ or "",
        {"base": (0.1, 40), "margin_long": (0.1, 0.5), "move": (-0.18, 0.18), "seconds": (12, 300)},
        against_people,
    ),
)
