"""The risk oracle and its exact twin, at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from backstop.harness.rpc import Contract, Reverted, RpcClient
from backstop.model.errors import ModelError
from backstop.model.risk_oracle import RiskOracle, Rules

pytestmark = pytest.mark.fuzz

DAY = 86_400
START = Rules(2, 3 * DAY, 500, 100, 7_500, 50_000)
MARKETS = (0, 1)
PEOPLE = 4

targets = st.one_of(st.integers(0, 10**7), st.integers(10_000, 10**6), st.just(2**128))
delays = st.one_of(st.integers(1, 400), st.integers(1, 4 * DAY), st.integers(1, 200 * DAY))
rules_ = st.builds(
    Rules,
    st.integers(0, 4),
    st.integers(0, 10 * DAY),
    st.integers(0, 10_001),
    st.integers(0, 600),
    st.integers(0, 10_001),
    st.integers(0, 10**6),
)


class OracleMachine(RuleBasedStateMachine):
    """Four accounts, two of them reporters at the start."""

    oracle: Contract
    source: Contract
    owner: str
    people: tuple[str, ...]

    def __init__(self) -> None:
        super().__init__()
        self.client = self.oracle.client
        self.snapshot = self.client.snapshot()
        self.now = self.oracle_time
        self.model = RiskOracle.deploy(10**6, START, self.now)
        self.now = self.client.timestamp
        for person in self.people[:3]:
            self.both(
                lambda s, p=person: self.oracle.setReporter(p, True, sender=s),
                lambda n, p=person: self.model.set_reporter(p, True, n),
            )

    oracle_time: int

    def teardown(self) -> None:
        self.client.revert(self.snapshot)

    def both(self, chain: Callable[[str], Any], twin: Callable[[int], Any], delay: int = 1) -> None:
        self.now += delay
        self.client.set_next_timestamp(self.now)
        chain_error, twin_error = None, None
        try:
            chain(self.owner)
        except Reverted as error:
            chain_error = (error.name, tuple(error.arguments.values()))
        try:
            twin(self.now)
        except ModelError as error:
            twin_error = (error.name, error.args)
        assert chain_error == twin_error

    @rule(
        who=st.integers(0, PEOPLE - 1),
        wanted=targets,
        parts=st.dictionaries(st.sampled_from(MARKETS), st.integers(0, 10**6)),
        delay=delays,
    )
    def post(self, who: int, wanted: int, parts: dict[int, int], delay: int) -> None:
        me = self.people[who]
        self.both(
            lambda _: self.oracle.post(
                wanted, b"\x00" * 32, b"\x01" * 32, list(parts.items()), sender=me
            ),
            lambda n: self.model.post(me, wanted, parts, n),
            delay,
        )

    @rule(delay=delays)
    def poke(self, delay: int) -> None:
        self.both(lambda s: self.oracle.poke(sender=s), self.model.poke, delay)

    @rule(who=st.integers(0, PEOPLE - 1), allowed=st.booleans(), delay=delays)
    def set_reporter(self, who: int, allowed: bool, delay: int) -> None:
        person = self.people[who]
        self.both(
            lambda s: self.oracle.setReporter(person, allowed, sender=s),
            lambda n: self.model.set_reporter(person, allowed, n),
            delay,
        )

    @rule(wanted=rules_, delay=delays)
    def set_rules(self, wanted: Rules, delay: int) -> None:
        self.both(
            lambda s: self.oracle.setRules(wanted, sender=s),
            lambda n: self.model.set_rules(wanted, n),
            delay,
        )

    @rule(exposure=st.one_of(st.none(), st.integers(0, 10**8), st.just(2**256 - 1)))
    def expose(self, exposure: int | None) -> None:
        def twin(_: int) -> None:
            self.model.exposure = exposure

        self.both(lambda s: self.source.set(exposure or 0, exposure is None, sender=s), twin)

    @invariant()
    def same(self) -> None:
        oracle, model, now = self.oracle, self.model, self.now
        assert oracle.target.call(at=now) == model.target(now)
        assert tuple(oracle.wish.call(at=now)) == model.wish(now)
        assert oracle.highest.call(at=now) == model.highest(now)
        assert list(oracle.reporters()) == model.reporters
        for market in MARKETS:
            assert oracle.contribution.call(market, at=now) == model.contribution(market, now)


def test_risk_oracle_against_its_twin(
    rpc: RpcClient, deploy: Callable[..., Contract], accounts: Any
) -> None:
    with rpc.isolated():
        owner = accounts[0].address
        manager = deploy("MockAccessManager", owner)
        source = deploy("MockExposure")
        oracle = deploy("RiskOracle", manager.address, 10**6, START)
        deployed_at = rpc.timestamp
        oracle.setExposureSource(source.address, sender=owner)
        source.set(0, True, sender=owner)
        members = {
            "oracle": oracle,
            "source": source,
            "owner": owner,
            "people": tuple(accounts[i].address for i in range(1, PEOPLE + 1)),
            "oracle_time": deployed_at,
        }
        run_state_machine_as_test(type("Machine", (OracleMachine,), members))
