"""The named invariants of docs/laws.md as functions over a twin, before and after an action.

`Checker` watches a `World`: it takes a snapshot before every action and checks all invariants
afterwards. LOCKED (no state can be read half-written) has no counterpart here: the twin has no
calls in flight; SLASH_FAIR belongs to the staking module.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Any

from . import side_index
from .backstop import Inventory
from .copies import fork
from .engine_state import Account, AccountState, FairWindow, Market, Position, ProfitLock
from .errors import ModelError
from .fixed_point import PPM, WAD
from .fund import Deployed, InsuranceFund, Receipt as FundReceipt
from .liquidator import DUST_EQUITY, Receipt
from .oracle import Validity
from .world import FundGate, World

LIQUIDATIONS = frozenset({"takeOver", "liquidateWithOrders", "deleverage", "liquidateToBackstop"})


class InvariantBroken(AssertionError):
    """An invariant does not hold; `name` is what docs/laws.md calls it."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


class _Undo(Exception):
    """Leaves a transaction that was only a look ahead."""


@dataclass(frozen=True)
class Snapshot:
    """A world at one moment; all sums are exact integers.

    Amounts are WAD, except `claims`: what accounts hold and are owed, exact, in WAD / K_UNIT.
    """

    now: int
    accounts: dict[bytes, Account]
    positions: dict[tuple[bytes, int], Position]
    locks: dict[bytes, ProfitLock]
    markets: dict[int, Market]
    balances: dict[bytes, int]
    fund: InsuranceFund
    inventory: dict[int, Inventory]
    used: dict[tuple[bytes, int], bool]
    tokens: int
    recorded: int
    fees: int
    claims: int
    sizes: dict[int, tuple[int, int]]
    equity: int
    window: FairWindow
    windows: tuple[dict[Any, Any], ...]

    @property
    def dust(self) -> int:
        """What the engine holds beyond everybody's collateral, quote and fees, WAD / K_UNIT.

        Quotes count with all their digits: what reading rounds off belongs to the position still.
        Sizes are not valued: they cancel, and what rounding leaves of them is the shorts' debt.
        """
        return (self.tokens + self.recorded - self.fees) * side_index.K_UNIT - self.claims


@dataclass
class FundCall:
    """One `cover`, and the fund before it."""

    fund: InsuranceFund
    claims: list[tuple[int, int]]
    reward: int
    receipt: FundReceipt
    now: int


@dataclass
class Action:
    """What happened between two snapshots.

    Attributes:
        involved: accounts that the action names.
        victim: the account in liquidation, if it is one.
        keeper: who acts on it.
        touched: victim and keeper at the marks that the action sees, before it.
    """

    kind: str
    involved: frozenset[bytes] = frozenset()
    victim: bytes | None = None
    keeper: bytes | None = None
    touched: AccountState | None = None
    keeper_equity: int = 0
    result: object = None
    error: ModelError | None = None
    covers: list[FundCall] = field(default_factory=list)


def take(world: World, last: Snapshot | None = None) -> Snapshot:
    """A snapshot of a world, with funding accrued until now; an unchanged fund is `last`'s."""
    with world.engine.unchanging():
        return _taken(world, last)


def _taken(world: World, last: Snapshot | None) -> Snapshot:
    tables, engine = world.engine.tables, world.engine
    caches = {market: engine._load_stored(market) for market in tables.markets}
    equity = sum(a.collateral for a in tables.accounts.values())
    claims = equity * side_index.K_UNIT
    sizes = {market: [0, 0] for market in caches}
    for (account, market), p in tables.positions.items():
        cache = caches[market]
        side = cache.sides[p.tag & 1]
        ended = p.tag >> 1 != side.epoch
        K = tables.ended_k[market, p.tag] if ended else side.K
        claims += p.quote_at_zero * side_index.K_UNIT + p.basis * K
        size, quote = engine._position(cache, account)
        equity += engine._value(cache, size, quote)[0]
        sizes[market][size < 0] += abs(size)
    pots = sum(m.pot for m in tables.market_claims.values())
    claims += pots * side_index.K_UNIT
    equity += pots
    return Snapshot(
        now=world.now,
        accounts=dict(tables.accounts),
        positions=dict(tables.positions),
        locks=dict(tables.profit_locks),
        markets=dict(tables.markets),
        balances=dict(world.token.balances),
        fund=last.fund if last and last.fund == world.fund else fork(world.fund),
        inventory={market: world.backstop.inventory(market) for market in tables.markets},
        used=dict(world.settlement.used),
        tokens=world.token.balance_of(world.addresses.engine) * engine.scale,
        recorded=sum(m.recorded_deficit for m in tables.markets.values()),
        fees=sum(m.income.fund + m.income.treasury for m in tables.markets.values()),
        claims=claims,
        sizes={market: (long, short) for market, (long, short) in sizes.items()},
        equity=equity,
        window=tables.window(),
        windows=(
            dict(tables.market_claims),
            dict(tables.side_claims),
            dict(tables.window_rates),
            dict(tables.window_records),
            dict(tables.ended_k),
        ),
    )


def _require(holds: bool, name: str, message: str) -> None:
    if not holds:
        raise InvariantBroken(name, message)


# ---------------------------------------------------------------------- states


def conservation(world: World, before: Snapshot, after: Snapshot, action: Action) -> None:
    """Tokens held = claims + fees + dust, per contract; dust is small and never goes down."""
    fund = after.fund
    held = after.balances.get(world.addresses.fund, 0)
    booked = fund.reserve + fund.compartments + fund.backing + fund.staking.held()
    _require(held == booked, "CONSERVATION", f"the fund holds {held}, its books say {booked}")
    parts = sum(market.balance for market in fund.markets.values())
    _require(
        parts == fund.compartments,
        "CONSERVATION",
        f"compartments hold {parts}, their sum says {fund.compartments}",
    )
    supply, supply_before = sum(after.balances.values()), sum(before.balances.values())
    _require(supply == supply_before, "CONSERVATION", "tokens appeared or vanished")
    _require(after.dust >= 0, "CONSERVATION", f"the engine owes {-after.dust} too much")
    grown = (after.dust - before.dust) // side_index.K_UNIT
    # every position loses at most a few wei of quote an action, a tear-up a few wei of base
    prices = sum(market.mark.price for market in after.markets.values())
    allowed = 8 * (len(before.positions) + 8) + 32 * (prices // WAD + 1)
    _require(grown <= allowed, "CONSERVATION", f"{grown} wei got lost, at most {allowed} may")


def zero_sum(world: World, before: Snapshot, after: Snapshot, action: Action) -> None:
    """Longs' size <= open long <= open short <= shorts' size; the basis sums are exact."""
    for number, market in after.markets.items():
        sums = [0, 0]
        for (_, at), position in after.positions.items():
            side = market.sides[position.tag & 1]
            if at == number and position.tag >> 1 == side.epoch:
                sums[position.tag & 1] += position.basis
        booked = [side.basis for side in market.sides]
        _require(sums == booked, "ZERO_SUM", f"market {number}: basis {sums}, booked {booked}")
        long, short = (side.basis * side.A for side in market.sides)
        _require(
            long <= short, "ZERO_SUM", f"market {number}: longs {long} above shorts {short} (1e-21)"
        )
        long_sizes, short_sizes = after.sizes[number]
        _require(
            long_sizes * side_index.ONE <= long and short <= short_sizes * side_index.ONE,
            "ZERO_SUM",
            f"market {number}: sizes {long_sizes} and {short_sizes} against {long} and {short}",
        )
        if number not in before.markets:
            continue
        was_long, was_short = (side.basis * side.A for side in before.markets[number].sides)
        grown = (short - long) - (was_short - was_long)
        # a touch loses less than 2 wei of size; a tear-up one unit of the size factor
        allowed = 8 * side_index.ONE + 2 * sum(s.basis for s in before.markets[number].sides)
        _require(
            grown <= allowed,
            "ZERO_SUM",
            f"market {number}: the sides drifted by {grown}, at most {allowed} (1e-21)",
        )


def no_mint(world: World, before: Snapshot, after: Snapshot, action: Action) -> None:
    """Nothing raises the sum of equities above what was paid in and recorded as lost."""
    backing = after.tokens + after.recorded - after.fees
    _require(after.equity <= backing, "NO_MINT", f"equities {after.equity}, backed by {backing}")
    _require(
        after.dust >= before.dust,
        "NO_MINT",
        f"{action.kind} minted {before.dust - after.dust} (1e-39 wei)",
    )


def flat_untouched(world: World, before: Snapshot, after: Snapshot, action: Action) -> None:
    """What is stored of an account changes only by actions that name it."""
    for account in before.accounts.keys() | after.accounts.keys():
        if account in action.involved:
            continue
        same = before.accounts.get(account) == after.accounts.get(account)
        same = same and before.locks.get(account) == after.locks.get(account)
        _require(same, "FLAT_UNTOUCHED", f"{action.kind} changed {account.hex()}")
    for key in before.positions.keys() | after.positions.keys():
        if key[0] not in action.involved:
            same = before.positions.get(key) == after.positions.get(key)
            _require(same, "FLAT_UNTOUCHED", f"{action.kind} changed a position of {key[0].hex()}")


def unchanged_after_error(world: World, before: Snapshot, after: Snapshot, action: Action) -> None:
    """An action that fails changes nothing at all."""
    if action.error is None:
        return
    same = (
        (before.accounts, before.positions, before.locks, before.markets)
        == (after.accounts, after.positions, after.locks, after.markets)
        and (before.balances, before.fund) == (after.balances, after.fund)
        and before.used == after.used
        and (before.window, before.windows) == (after.window, after.windows)
    )
    _require(same, "ATOMIC", f"{action.kind} failed with {action.error} and left something behind")


def monotone_time(world: World, before: Snapshot, after: Snapshot, action: Action) -> None:
    """No clock runs backwards, and no flag, lock or limit window is restarted by a stranger."""
    name = "MONOTONE_TIME"
    _require(after.now >= before.now, name, "time ran backwards")
    for number, old in before.markets.items():
        new = after.markets[number]
        for what, was, now in (
            ("funding", old.accrued_at, new.accrued_at),
            ("the mark", old.mark.time, new.mark.time),
            ("the observation", old.mark.observed_at, new.mark.observed_at),
            ("the premium", old.mark.premium_time, new.mark.premium_time),
        ):
            _require(was <= now <= after.now, name, f"market {number}: {what} {was} -> {now}")
        for was_side, now_side in zip(old.sides, new.sides, strict=True):
            _require(was_side.epoch <= now_side.epoch, name, f"market {number}: an epoch came back")
    for account, was_account in before.accounts.items():
        was, now = was_account.flagged_at, after.accounts[account].flagged_at
        _require(was == 0 or now in (0, was), name, f"a running flag was moved: {was} -> {now}")
    for key, entry in before.fund.markets.items():
        used_at = after.fund.markets[key].bucket.used_at
        _require(entry.bucket.used_at <= used_at <= after.now, name, "a limit's time moved back")


# ---------------------------------------------------------------------- the waterfall


def waterfall_order(world: World, before: Snapshot, after: Snapshot, action: Action) -> None:
    """A layer of the fund is touched only when those before it are exhausted or at a limit."""
    for call in action.covers:
        balances: dict[int, int] = {}
        reserve, staked = call.fund.reserve, call.fund.staking.slashable(call.now)
        backing = call.fund.backing
        room = _rooms(world, call)
        for (market, wanted), legs in zip(call.claims, call.receipt.legs, strict=True):
            balance = balances.get(market, call.fund.market(world.claimant, market).balance)
            _require(
                legs.compartment == min(wanted, balance),
                "WATERFALL_ORDER",
                f"compartment {market} held {balance}, paid {legs.compartment} of {wanted}",
            )
            balances[market] = balance - legs.compartment
            allowed = min(wanted - legs.compartment, room[None], room[market])
            _require(
                legs.reserve == min(allowed, reserve),
                "WATERFALL_ORDER",
                f"the reserve held {reserve}, paid {legs.reserve} of {allowed}",
            )
            _require(
                legs.staked == min(allowed - legs.reserve, staked),
                "WATERFALL_ORDER",
                f"the stake was {staked}, paid {legs.staked} of {allowed - legs.reserve}",
            )
            behind = allowed - legs.reserve - legs.staked
            _require(
                legs.backing == min(behind, backing),
                "WATERFALL_ORDER",
                f"the second slice was {backing}, paid {legs.backing} of {behind}",
            )
            reserve -= legs.reserve
            staked -= legs.staked
            backing -= legs.backing
            room[None] -= legs.shared
            room[market] -= legs.shared
    if isinstance(action.result, Receipt) and action.error is None:
        receipt = action.result
        outside = receipt.side_charged + receipt.recorded
        unpaid = sum(
            wanted - legs.total
            for call in action.covers
            for (_, wanted), legs in zip(call.claims, call.receipt.legs, strict=True)
        )
        # what waits for a fair window was not asked for
        unpaid += after.window.claims - (before.window.claims if before.window.closes_at else 0)
        # less than a unit a market cannot be paid in tokens
        most = (unpaid + sum(len(call.claims) for call in action.covers)) * world.engine.scale
        if action.covers:
            _require(
                outside <= most,
                "WATERFALL_ORDER",
                f"{outside} went past the fund, which refused {unpaid} units only",
            )


def _rooms(world: World, call: FundCall) -> dict[int | None, int]:
    """What limits leave: of the event (None) and of every market."""
    per_claim, window, _ = call.fund.draw_room(world.claimant, 0, call.now)
    rooms: dict[int | None, int] = {None: min(per_claim, window)}
    for market, _ in call.claims:
        rooms[market] = call.fund.draw_room(world.claimant, market, call.now)[2]
    return rooms


def receipt_exact(world: World, before: Snapshot, after: Snapshot, action: Action) -> None:
    """The legs of a receipt sum to the deficit, which is the account's negative equity."""
    receipt = action.result
    if not isinstance(receipt, Receipt) or action.error is not None:
        return
    _require(
        receipt.legs == receipt.deficit,
        "RECEIPT_EXACT",
        f"legs {receipt.legs}, deficit {receipt.deficit}",
    )
    if action.touched is None or action.touched.validity is Validity.INVALID:
        return
    equity = action.touched.equity
    _require(
        receipt.deficit == max(0, -equity),
        "RECEIPT_EXACT",
        f"deficit {receipt.deficit}, equity {equity}",
    )
    events = after.fund.events - before.fund.events
    numbered = len([call for call in action.covers if call.receipt.event_id])
    _require(events == numbered <= 1, "RECEIPT_EXACT", f"{events} events")


def draw_limits(world: World, before: Snapshot, after: Snapshot, action: Action) -> None:
    """No draw above its claim, window or market limit."""
    for call in action.covers:
        room = _rooms(world, call)
        drawn = sum(legs.shared for legs in call.receipt.legs)
        _require(drawn <= room[None], "DRAW_LIMITS", f"{drawn} drawn, {room[None]} allowed")
        for (market, wanted), legs in zip(call.claims, call.receipt.legs, strict=True):
            _require(
                legs.shared <= room[market] and legs.total <= wanted,
                "DRAW_LIMITS",
                f"market {market}: {legs} of {wanted}, {room[market]} allowed",
            )


def compartment_isolation(world: World, before: Snapshot, after: Snapshot, action: Action) -> None:
    """A market's compartment and income pay for that market only."""
    claimed = {market for call in action.covers for market, _ in call.claims}
    # capital for the inventory of a market, of its own compartment
    for key, capital in after.fund.deployed.items():
        if capital.compartment > before.fund.deployed.get(key, Deployed()).compartment:
            claimed.add(key[1])
    for key, market in before.fund.markets.items():
        if after.fund.markets[key].balance < market.balance:
            _require(
                key[1] in claimed, "COMPARTMENT_ISOLATION", f"compartment {key[1]} paid for others"
            )
    if action.kind == "sweepFees":
        return
    positions = {market for account, market in before.positions if account == action.victim}
    if action.victim is not None and not positions:
        positions = {0}  # a flat account's rest has no market of its own
    for number, old in before.markets.items():
        if after.markets[number].income.fund < old.income.fund:
            _require(
                number in positions,
                "COMPARTMENT_ISOLATION",
                f"income of market {number} paid for others",
            )


def backstop_caps(world: World, before: Snapshot, after: Snapshot, action: Action) -> None:
    """Inventory grows only inside its caps, one market's never touches another's, and no sale
    brings what is left nearer to its end.
    """
    name, scale = "BACKSTOP_CAPS", world.engine.scale
    for market, now in after.inventory.items():
        was = before.inventory.get(market)
        if was is None or action.error is not None:
            continue
        caps, _ = world.backstop.terms(market)
        if now.invested > was.invested and action.kind == "deployInventory":
            _require(now.invested <= caps.capital, name, f"invested {now.invested}")
        if abs(now.size) > abs(was.size) or now.size * was.size < 0:
            notional = abs(now.size) * now.mark_price // WAD
            cushion = min(now.equity, now.room)
            # shorts' sizes are rounded up
            most = caps.notional * scale + 2 * now.mark_price // WAD + 2
            _require(notional <= most, name, f"notional {notional}")
            _require(
                notional * caps.margin_ppm <= cushion * PPM * 101 // 100,
                name,
                f"notional {notional} on a cushion of {cushion}",
            )
        if action.kind == "buyInventory" and now.size:
            old, new = min(was.equity, was.room), min(now.equity, now.room)
            if old > 0 and was.mark_price == now.mark_price:
                _require(
                    new * abs(was.size) >= old * abs(now.size) - abs(was.size) * 10**3,
                    name,
                    f"a sale left {new} of {old} for {now.size} of {was.size}",
                )


def fair_window(world: World, before: Snapshot, after: Snapshot, action: Action) -> None:
    """What sides and leavers claim, less what joiners paid in, is at most what sides were charged;
    the pot holds what is owed of closed windows and all that was paid in of the open one; and every
    claim of a closed window got the same part, except for limits of its market.
    """
    name, tables, unit = "FAIR_WINDOW", world.engine.tables, side_index.K_UNIT
    claimed: dict[int, int] = defaultdict(int)  # WAD / K_UNIT
    owed: dict[int, Fraction] = defaultdict(Fraction)
    for (market, tag), s in tables.side_claims.items():
        side = after.markets[market].sides[tag & 1]
        basis = side.basis if tag >> 1 == side.epoch else s.basis
        rate = tables.window_rates.get((s.window, market))
        if rate is None:
            claimed[market] += basis * s.C
        else:
            owed[market] += Fraction(basis * s.C * rate.paid, rate.claims * unit)
    for (_, market, window), record in tables.window_records.items():
        rate = tables.window_rates.get((window, market))
        if rate is None:
            claimed[market] += (record.left - record.joined) * unit
            owed[market] += record.joined
        else:
            joined = record.joined * (rate.claims - rate.paid)
            owed[market] += Fraction(record.left * rate.paid + joined, rate.claims)
    waiting = 0
    for market, m in tables.market_claims.items():
        waiting += m.claims
        _require(
            claimed[market] <= m.side * unit,
            name,
            f"market {market}: {claimed[market] // unit} claimed of {m.side}",
        )
        _require(owed[market] <= m.pot, name, f"market {market}: {owed[market]} owed of {m.pot}")
        _require(
            m.side + m.recorded <= m.claims * world.engine.scale,
            name,
            f"market {market}: {m} is more than its claims",
        )
    present = after.window.claims if after.window.closes_at else 0
    _require(waiting == present, name, f"{waiting} wait, the window says {present}")


# ---------------------------------------------------------------------- liquidation


def no_free_liquidation(world: World, before: Snapshot, after: Snapshot, action: Action) -> None:
    """Only unhealthy accounts are liquidated, health never falls, dealing with oneself loses."""
    name = "NO_FREE_LIQUIDATION"
    if action.error is not None or action.touched is None or action.victim is None:
        return
    was = action.touched
    _require(
        was.equity < was.maintenance_margin or was.equity < DUST_EQUITY,
        name,
        f"{action.kind} of a healthy account",
    )
    if action.kind not in LIQUIDATIONS:
        return
    now = world.engine.account_state(action.victim)
    _require(now.equity >= 0, name, f"{action.kind} left equity {now.equity}")
    # a step on a position of some 1e10 wei rounds by more than the reserve of its budget: 2 wei
    _require(
        (now.equity + 2) * was.maintenance_margin >= was.equity * now.maintenance_margin,
        name,
        f"health fell from {was.equity}/{was.maintenance_margin} "
        f"to {now.equity}/{now.maintenance_margin}",
    )
    handed = action.kind == "liquidateToBackstop" and not _unwound(before, after)
    if (action.kind == "takeOver" or handed) and action.keeper is not None:
        keeper = world.engine.account_state(action.keeper)
        gain = keeper.equity + now.equity - action.keeper_equity - was.equity
        # where sides meet or are torn up, a few wei of base come from the engine's dust
        dust = 8 * sum(market.mark.price for market in after.markets.values()) // WAD
        _require(gain <= dust, name, f"victim and keeper together gained {gain}")


def _unwound(before: Snapshot, after: Snapshot) -> bool:
    """Whether inventory ended: its keeper is paid from the cushion."""
    return any(
        was.size and not after.inventory[market].size for market, was in before.inventory.items()
    )


def liveness(world: World, before: Snapshot, after: Snapshot, action: Action) -> None:
    """Every liquidatable account can be liquidated: looked ahead, and undone."""
    for account in after.accounts:
        seen = look(world, partial(world.engine.touch, account))
        if isinstance(seen, AccountState) and not _due(seen):
            continue
        error = look_ahead(world, partial(_liquidate_somehow, world, account))
        _require(
            not isinstance(error, ModelError),
            "LIVENESS",
            f"nobody can act on {account.hex()}: {error}",
        )


def _due(seen: AccountState) -> bool:
    """Whether an account has to be liquidated and one of its prices is usable."""
    return seen.equity < seen.maintenance_margin and _usable(seen) is not None


def _usable(seen: AccountState) -> int | None:
    """The first market in which it can be liquidated."""
    usable = (p.market for p in seen.positions if p.size and p.validity is not Validity.INVALID)
    return next(usable, None)


def _liquidate_somehow(world: World, account: bytes) -> None:
    """Liquidates an account if it has to be and if one of its prices is usable."""
    seen = world.engine.touch(account)
    market = _usable(seen)
    if market is None or not _due(seen):
        return
    keeper = account[:20] + b"\xff" * 12
    if seen.equity < DUST_EQUITY:
        world.close_out(account, keeper, False, caller=bytes(20))
    else:
        _deleverage_at_last(world, account, market, keeper)


def _deleverage_at_last(world: World, account: bytes, market: int, keeper: bytes) -> int:
    """Deleveraging as if the account had been flagged for long enough."""
    terms, _ = world.engine.liquidation_terms(market)
    tables = world.engine.tables
    since = max(1, world.now - terms.deleverage_delay)
    tables.accounts[account] = tables.accounts[account]._replace(flagged_at=since)
    return world.deleverage(account, market, keeper, 2**255)


def look_ahead(world: World, act: Callable[[], object]) -> object:
    """What an action would return, or the ModelError that it would raise; nothing is changed."""
    fund = fork(world.fund)
    result = look(world, act)
    world.fund.__dict__.update(fund.__dict__)
    return result


def look(world: World, act: Callable[[], object]) -> object:
    """As `look_ahead`, of what leaves the fund alone."""
    result: object = None
    with suppress(_Undo), world.journal.transaction():
        try:
            result = act()
        except ModelError as error:
            result = error
        raise _Undo
    return result


Invariant = Callable[[World, Snapshot, Snapshot, Action], None]

ALWAYS: Sequence[Invariant] = (
    conservation,
    zero_sum,
    no_mint,
    flat_untouched,
    unchanged_after_error,
    monotone_time,
    waterfall_order,
    receipt_exact,
    draw_limits,
    compartment_isolation,
    backstop_caps,
    fair_window,
    no_free_liquidation,
)


@dataclass
class _WatchedGate:
    """The engine's way to the fund, with a note of every `cover`."""

    gate: FundGate
    calls: list[FundCall] = field(default_factory=list)

    def cover(self, claims: Sequence[tuple[int, int]], reward: int) -> FundReceipt:
        """`FundGate.cover`, noted."""
        world = self.gate.world
        fund = fork(world.fund)
        receipt = self.gate.cover(claims, reward)
        self.calls.append(FundCall(fund, list(claims), reward, receipt, world.now))
        return receipt

    def receive_income(self, market: int, assets: int) -> None:
        """`FundGate.receive_income`."""
        self.gate.receive_income(market, assets)

    def compartment(self, market: int) -> int:
        """`FundGate.compartment`."""
        return self.gate.compartment(market)

    def capacity(self) -> int:
        """`FundGate.capacity`."""
        return self.gate.capacity()

    def per_claim(self) -> int:
        """`FundGate.per_claim`."""
        return self.gate.per_claim()

    def room(self, market: int) -> int:
        """`FundGate.room`."""
        return self.gate.room(market)

    def reinsured(self) -> bool:
        """`FundGate.reinsured`."""
        return self.gate.reinsured()

    def report_shortfall(self, market: int) -> None:
        """`FundGate.report_shortfall`."""
        self.gate.report_shortfall(market)

    def lagged_ratio(self) -> int:
        """`FundGate.lagged_ratio`."""
        return self.gate.lagged_ratio()


class Checker:
    """Checks every invariant around every action of a world.

    Args:
        world: what is watched.
        look_ahead_every: LIVENESS is checked after every so many actions; 0 leaves it out.
    """

    def __init__(self, world: World, look_ahead_every: int = 5) -> None:
        self.world = world
        self.look_ahead_every = look_ahead_every
        gate = world.engine.fund
        assert isinstance(gate, FundGate)
        self._gate = _WatchedGate(gate)
        world.engine.fund = self._gate
        self._before: Snapshot | None = None
        self._last: Snapshot | None = None
        self._action = Action("")
        self.actions = 0

    def before(
        self,
        kind: str,
        involved: Sequence[bytes] = (),
        victim: bytes | None = None,
        keeper: bytes | None = None,
    ) -> None:
        """To be called right before an action, at its time."""
        action = Action(kind, frozenset(involved), victim, keeper)
        if victim is not None:
            seen = look(self.world, lambda: self._seen_by_action(victim, keeper))
            if isinstance(seen, tuple):
                action.touched, action.keeper_equity = seen
        self._gate.calls.clear()
        self._action = action
        self._before = take(self.world, self._last)

    def _seen_by_action(self, victim: bytes, keeper: bytes | None) -> tuple[AccountState, int]:
        touched = self.world.engine.touch(victim)
        equity = self.world.engine.account_state(keeper).equity if keeper is not None else 0
        return touched, equity

    def after(self, result: object, error: ModelError | None) -> None:
        """To be called right after the action; raises InvariantBroken."""
        assert self._before is not None
        action = self._action
        action.result, action.error = result, error
        # what a failed action asked of the fund was undone with it
        action.covers = [] if error else list(self._gate.calls)
        self._last = now = take(self.world, self._before)
        for invariant in ALWAYS:
            invariant(self.world, self._before, now, action)
        self.actions += 1
        if self.look_ahead_every and self.actions % self.look_ahead_every == 0:
            liveness(self.world, self._before, now, action)


__all__ = [
    "ALWAYS",
    "Action",
    "Checker",
    "FundCall",
    "InvariantBroken",
    "Snapshot",
    "liveness",
    "look_ahead",
    "take",
]
