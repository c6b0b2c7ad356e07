"""One reading of the contracts at a block: fund, markets, stake.

Amounts are floats in whole tokens or base units: they are for looking at. Exact figures come from
`ape run fund --json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from backstop.chain.deploy import ZERO_ADDRESS, System
from backstop.chain.signing import account_id
from backstop.chain.transport import Contract
from backstop.chain.views import PROBLEMS, VALIDITY
from backstop.harness.abi import NoData, Reverted
from backstop.harness.batch import View
from backstop.monitor.layers import describe, leg_names
from backstop.monitor.reads import has, read

WAD: Final = 1e18


@dataclass(frozen=True)
class Layer:
    """A layer of the fund and what it holds."""

    key: str
    number: str
    label: str
    amount: float


@dataclass(frozen=True)
class FundNow:
    """The fund. `target`, `ratio` and `lagged` are None where there is no capital target.

    `lagged` is the ratio that the markets' terms follow.
    """

    total: float
    layers: tuple[Layer, ...]
    tokens: float
    reserve_target: float
    gap: float
    gap_due: int
    staker_share: float
    events: int
    per_claim: float
    per_window: float
    window: int
    window_room: float
    target: float | None = None
    ratio: float | None = None
    lagged: float | None = None


@dataclass(frozen=True)
class MarketNow:
    """A market, with its part of the fund; open interest in base units.

    Attributes:
        fair_window: minutes that a large claim waits and shares what is left; 0: none waits.
        waiting: claims of this market that wait now.
    """

    number: int
    name: str
    index: float
    mark: float
    validity: str
    feeds: tuple[str, ...]
    open_long: float
    open_short: float
    cap: float
    premium: float
    pending_income: float
    recorded: float
    paused: bool
    compartment: float
    compartment_cap: float
    per_window: float
    room: float
    window_room: float
    size_scale: float
    initial: float
    maintenance: float
    parameters: Any = field(repr=False)
    liquidation: Any = field(repr=False)
    fair_window: int = 0
    waiting: float = 0.0


@dataclass(frozen=True)
class Bucket:
    """Exits of one epoch that can still lose; times in seconds since 1970."""

    number: int
    assets: float
    maturity: int


@dataclass(frozen=True)
class StakeNow:
    """Layer 3. `share_price` is assets a share: deposits and exits do not move it."""

    active: float
    slashable: float
    supply: float
    cap: float
    cooldown: int
    epoch_end: int
    held_until: int
    series: int
    share_price: float
    streaming: float
    stream_end: int
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True)
class State:
    """Everything but the accounts, at one block.

    Attributes:
        inventory: the fund's own account in each market; none without a backstop.
    """

    block: int
    time: int
    fund: FundNow
    markets: tuple[MarketNow, ...]
    stake: StakeNow
    inventory: tuple[bytes, ...] = ()


class _Batch:
    """Views that are asked for in one go and handed out by name."""

    def __init__(self) -> None:
        self.views: list[View] = []
        self.keys: list[Any] = []

    def ask(self, key: Any, contract: Any, name: str, *arguments: Any) -> None:
        self.keys.append(key)
        self.views.append((contract, name, arguments))

    def read(self, system: System, block: int | str) -> dict[Any, Any]:
        answers = read(system.client, self.views, block)
        return dict(zip(self.keys, answers, strict=True))


def _layer_views(system: System) -> Iterator[tuple[str, Any, str]]:
    """A view that says what each layer holds, for those that hold anything in the fund."""
    known = {
        "compartment": (system.fund, "totalCompartments"),
        "reserve": (system.fund, "reserve"),
        "staked": (system.tranche, "slashable"),
    }
    for key in leg_names(system):
        if key in known:
            yield key, *known[key]
            continue
        for name in (key, f"{key}Capital", f"{key}Available"):
            if has(system.fund, name):
                yield key, system.fund, name
                break


def _ask_fund(batch: _Batch, system: System) -> None:
    fund, engine = system.fund, system.engine.address
    for key, contract, name in _layer_views(system):
        batch.ask(("layer", key), contract, name)
    if has(fund, "reinsurer"):
        batch.ask("reinsurer", fund, "reinsurer")
    for name in ("totalCapital", "reserveTarget", "reserveGap", "stakerShare", "eventCount"):
        batch.ask(name, fund, name)
    batch.ask("solvency", fund, "solvency")
    batch.ask("limits", fund, "claimantLimits", engine)
    batch.ask("tokens", system.token, "balanceOf", fund.address)


def _ask_stake(batch: _Batch, system: System) -> None:
    tranche = system.tranche
    for name in ("totalAssets", "slashable", "totalSupply", "terms", "stream", "series"):
        batch.ask(("stake", name), tranche, name)
    batch.ask(("stake", "open"), tranche, "openBuckets")
    one = 10 ** (system.record.token_decimals + 3)
    batch.ask(("stake", "price"), tranche, "convertToAssets", one)


def _ask_market(batch: _Batch, system: System, number: int) -> None:
    fund, engine = system.fund, system.engine
    batch.ask(("state", number), engine, "marketState", number)
    batch.ask(("parameters", number), engine, "marketParameters", number)
    batch.ask(("compartment", number), fund, "compartment", engine.address, number)
    batch.ask(("limits", number), fund, "marketLimits", engine.address, number)
    batch.ask(("room", number), fund, "drawRoom", engine.address, number)
    if has(engine, "marketClaims", 1):
        batch.ask(("claims", number), engine, "marketClaims", number)


def read_state(system: System, block: int, time: int) -> State:
    """The contracts after a block: two requests.

    Args:
        system: the deployment.
        block: number of the block.
        time: the block's time.

    Raises:
        NodeError: the node is gone.
        RpcError: the node does not keep that block's state.
    """
    first = _Batch()
    _ask_fund(first, system)
    _ask_stake(first, system)
    first.ask("markets", system.engine, "marketCount")
    for number in range(len(system.record.markets)):
        _ask_market(first, system, number)
    got = first.read(system, block)
    second = _Batch()
    for number in range(len(system.record.markets), got["markets"]):
        _ask_market(second, system, number)  # listed after the deployment was recorded
    for number in range(len(system.record.markets)):
        mark = got["state", number].markPrice
        second.ask(("oracle", number), system.oracle, "status", number, mark)
    opened = got["stake", "open"]
    for number in range(opened.first, opened.last + 1):
        second.ask(("bucket", number), system.tranche, "bucket", number)
    got |= second.read(system, block)
    _add_reinsurance(system, got, block)
    return State(
        block=block,
        time=time,
        fund=_fund(system, got),
        markets=tuple(_market(system, got, number) for number in range(got["markets"])),
        stake=_stake(system, got),
        inventory=_inventory(system, got["markets"]),
    )


def _inventory(system: System, markets: int) -> tuple[bytes, ...]:
    if "backstop" not in system.record.contracts:
        return ()
    return tuple(account_id(system.backstop.address, number) for number in range(markets))


def _unit(system: System) -> float:
    return float(10**system.record.token_decimals)


def layers_of(system: System, got: dict[Any, Any]) -> tuple[Layer, ...]:
    """The layers with what they hold, of a batch that asked for them."""
    return tuple(
        Layer(key, *describe(key), got["layer", key] / _unit(system))
        for key in leg_names(system)
        if ("layer", key) in got
    )


def _add_reinsurance(system: System, got: dict[Any, Any], block: int) -> None:
    """Layer 4: the most that the reinsurer says it could pay, over all markets.

    It is somebody else's contract: one that cannot be asked shows as having nothing.
    """
    address = got.get("reinsurer", ZERO_ADDRESS)
    if address == ZERO_ADDRESS:
        return
    abi = system.artifacts("IReinsurance")
    contract = Contract(system.client, address, abi, check=False)
    engine = system.engine.address
    views: list[View] = [(contract, "capacity", (engine, n)) for n in range(got["markets"])]
    try:
        got["layer", "reinsurance"] = sum(read(system.client, views, block))
    except (Reverted, NoData):
        got["layer", "reinsurance"] = 0


def _fund(system: System, got: dict[Any, Any]) -> FundNow:
    unit, limits = _unit(system), got["limits"]
    gap = got["reserveGap"]
    rooms = [got["room", n].claimantWindow for n in range(len(system.record.markets))]
    solvency = got["solvency"]
    return FundNow(
        total=got["totalCapital"] / unit,
        layers=layers_of(system, got),
        tokens=got["tokens"] / unit,
        reserve_target=got["reserveTarget"] / unit,
        gap=gap.gap / unit,
        gap_due=gap.due,
        staker_share=got["stakerShare"] / 1e6,
        events=got["eventCount"],
        per_claim=limits.perClaim / unit,
        per_window=limits.perWindow / unit,
        window=limits.window,
        window_room=(rooms[0] if rooms else 0) / unit,
        # without an oracle the target is 0
        target=solvency.target / unit if solvency.target else None,
        ratio=solvency.ratio / WAD if solvency.target else None,
        lagged=solvency.lagged / WAD if solvency.target else None,
    )


def _market(system: System, got: dict[Any, Any], number: int) -> MarketNow:
    unit, state = _unit(system), got["state", number]
    parameters, liquidation, paused = got["parameters", number]
    limits, room = got["limits", number], got["room", number]
    status = got.get(("oracle", number))
    names = system.record.markets
    return MarketNow(
        number=number,
        name=names[number].name if number < len(names) else f"market {number}",
        index=(status.indexPrice if status else state.markPrice) / WAD,
        mark=state.markPrice / WAD,
        validity=VALIDITY[status.validity if status else state.validity],
        feeds=_feeds(status),
        open_long=state.openLong / WAD,
        open_short=state.openShort / WAD,
        cap=parameters.openInterestCap / WAD,
        premium=state.fundingPremiumPpb / 1e9,
        pending_income=state.fundFees / WAD,
        recorded=state.recordedDeficit / WAD,
        paused=paused,
        compartment=got["compartment", number] / unit,
        compartment_cap=limits.compartmentCap / unit,
        per_window=limits.perWindow / unit,
        room=min(room) / unit,
        window_room=room.marketWindow / unit,
        size_scale=float(parameters.sizeScale),
        initial=parameters.initialMarginPpm / 1e6,
        maintenance=parameters.maintenanceMarginPpm / 1e6,
        parameters=parameters,
        liquidation=liquidation,
        **_window(got.get(("claims", number)), unit),
    )


def _window(found: Any, unit: float) -> dict[str, Any]:
    """Of a market with fair windows: how long they are, and what waits."""
    if found is None:
        return {}
    claims, minutes = found
    return {"fair_window": minutes, "waiting": claims.claims / unit}


def _feeds(status: Any) -> tuple[str, ...]:
    """What is wrong with the feeds, one sentence each; empty if nothing is."""
    if status is None:
        return ()
    return tuple(
        f"{which} feed: {PROBLEMS[feed.problem]}"
        for which, feed in (("primary", status.primary), ("secondary", status.secondary))
        if PROBLEMS[feed.problem] not in ("none", "not set")
    )


def _stake(system: System, got: dict[Any, Any]) -> StakeNow:
    unit = _unit(system)
    terms, stream, opened = got["stake", "terms"], got["stake", "stream"], got["stake", "open"]
    return StakeNow(
        active=got["stake", "totalAssets"] / unit,
        slashable=got["stake", "slashable"] / unit,
        supply=got["stake", "totalSupply"] / (unit * 1000),
        cap=terms.cap / unit,
        cooldown=terms.cooldown,
        epoch_end=terms.epochEnd,
        held_until=terms.heldUntil,
        series=got["stake", "series"],
        share_price=got["stake", "price"] / unit,
        streaming=stream.left / unit,
        stream_end=stream.end,
        buckets=_buckets(got, range(opened.first, opened.last + 1), unit),
    )


def _buckets(got: dict[Any, Any], numbers: Sequence[int], unit: float) -> tuple[Bucket, ...]:
    found = []
    for number in numbers:
        bucket = got["bucket", number].state
        found.append(Bucket(number, bucket.assets / unit, bucket.maturity))
    return tuple(found)
