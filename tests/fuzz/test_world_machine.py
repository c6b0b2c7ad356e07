"""Random actions, valid or not, on a whole deployment and its exact twin, compared to the wei.

The twin plays first; at the end of every example the contracts play the same sequence in a single
request, and after every action everything they show is compared: accounts, sides, markets, fund,
balances, nonces, orders, results and errors with their arguments. All invariants of the twin are
checked after every action as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import event, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from backstop.harness.duel import Duel
from backstop.harness.players import PLAYS, Player, RandomChooser
from backstop.harness.rpc import RpcClient
from backstop.harness.staker_player import ask, staker
from backstop.harness.world import ChainWorld, deploy_world

pytestmark = [pytest.mark.fuzz, pytest.mark.slow]

seeds = st.integers(0, 2**32 - 1)
"""Every rule makes its own choices from one number: with a number for each choice Hypothesis would
mostly draw small ones, and hardly anybody would ever be in trouble. Shrinking drops whole rules."""


def into_inventory(player: Player) -> None:
    """A bankrupt account goes to the fund's own account, which has its capital."""
    player.capital("deploy", player.choose.integer(0, 1))
    player.close_out_to_backstop()


class WorldMachine(RuleBasedStateMachine):
    """One duel; `reached` and `counts` add up over all examples."""

    chain: ClassVar[ChainWorld]
    reached: ClassVar[Counter[str]] = Counter()
    counts: ClassVar[Counter[tuple[str, str]]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.duel = Duel(self.chain)
        self.player = Player(self.duel, RandomChooser(0))

    def play(self, action: Callable[[Player], None], seed: int) -> None:
        # the same number means something else at another time
        self.player.choose = RandomChooser(seed * 1_000_003 + self.duel.actions)
        before = self.duel.milestones.copy()
        action(self.player)
        for milestone in self.duel.milestones - before:
            event(milestone)

    @initialize(seed=seeds)
    def opening(self, seed: int) -> None:
        self.play(Player.opening, seed)
        for _ in range(4):
            self.play(Player.trade, seed := seed + 1)

    @rule(seed=seeds)
    def anything(self, seed: int) -> None:
        for i in range(3):
            self.play(Player.play, seed + i)

    @rule(seed=seeds)
    def anything_else(self, seed: int) -> None:
        for i in range(3):
            self.play(self.player.choose.pick(PLAYS), seed + i)

    @rule(seed=seeds)
    def trade(self, seed: int) -> None:
        self.play(Player.trade, seed)

    @rule(seed=seeds)
    def old_order(self, seed: int) -> None:
        self.play(Player.old_order, seed)

    @rule(seed=seeds)
    def trouble(self, seed: int) -> None:
        """Somebody gets into trouble, and somebody else looks at it."""
        self.play(Player.squeeze, seed)
        self.play(Player.play, seed + 1)

    @rule(seed=seeds)
    def downfall(self, seed: int) -> None:
        """Somebody goes bankrupt, if the price gets that far, and is closed out."""
        self.play(Player.squeeze, seed)
        self.play(Player.squeeze, seed + 1)
        self.play(Player.close_out if seed % 2 else into_inventory, seed + 2)

    @rule(seed=seeds)
    def run_for_the_exit(self, seed: int) -> None:
        """Somebody asks for stake back, the market crashes, and a staker does something."""
        self.play(ask, seed)
        self.play(Player.crash, seed + 1)
        self.play(Player.squeeze, seed + 2)
        self.play(into_inventory, seed + 3)
        self.play(staker, seed + 4)

    def teardown(self) -> None:
        self.duel.verify()
        WorldMachine.reached += self.duel.milestones
        WorldMachine.counts += self.duel.counts


@pytest.fixture(scope="session")
def deployed_world(rpc: RpcClient, project: Any, owner: Any) -> ChainWorld:
    return deploy_world(rpc, project.get_contract, owner.address)


@pytest.fixture
def chain(deployed_world: ChainWorld, rpc: RpcClient) -> Any:
    with rpc.isolated():
        yield deployed_world


def test_the_twin_and_the_contracts_never_differ(
    chain: ChainWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    WorldMachine.chain = chain
    WorldMachine.reached.clear()
    WorldMachine.counts.clear()
    run_state_machine_as_test(WorldMachine, settings=settings())
    with capsys.disabled():
        print(f"\n{report(WorldMachine.counts, WorldMachine.reached)}")
    if settings().max_examples >= 50:
        missing = [name for name in MUST_HAPPEN if not WorldMachine.reached[name]]
        assert not missing, f"never happened: {missing}"
        unseen = [name for name in MUST_BE_REFUSED if not refused(WorldMachine.counts, name)]
        assert not unseen, f"never refused with: {unseen}"


MUST_HAPPEN = (
    "partial liquidation",
    "close-out",
    "deficit: compartment",
    "deficit: reserve",
    "deficit: side_charged",
    "deficit: recorded",
    "fund left something",
    "epoch ended",
    "deployInventory",
    "inventory after a close-out",
    "stake asked back",
    "exit claimed",
)
"""Rarer is what tests/corpus replays: taking and selling inventory (inventory-sold.yaml), losses of
stakers on their way out, and what they get of a recovery (exits-slashed.yaml)."""
MUST_BE_REFUSED = (
    "InsufficientMargin",
    "PriceNotUsable",
    "NotLiquidatable",
    "Bankrupt",
    "NotBankrupt",
    "NotWithdrawable",
    "OutsideBand",
    "NonceUsed",
)


def refused(counts: Counter[tuple[str, str]], name: str) -> int:
    return sum(count for (_, outcome), count in counts.items() if outcome == name)


def report(counts: Counter[tuple[str, str]], reached: Counter[str]) -> str:
    """Actions by outcome, and what was reached."""
    kinds = sorted({kind for kind, _ in counts})
    lines = []
    for kind in kinds:
        outcomes = Counter({o: n for (k, o), n in counts.items() if k == kind})
        listed = ", ".join(f"{outcome} {number}" for outcome, number in outcomes.most_common())
        lines.append(f"  {kind}: {listed}")
    lines += [f"  reached: {name} {number}" for name, number in sorted(reached.items()) if number]
    return "\n".join(lines)
