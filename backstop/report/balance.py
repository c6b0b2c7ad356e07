"""The balance sheets of fund and engine, and the proof that claims equal tokens."""

from __future__ import annotations

from typing import Any

from backstop.chain.format import full_account
from backstop.report.context import Checks, Context, wad
from backstop.report.liquidations import shares
from backstop.report.numbers import ppm
from backstop.report.state import ChainState
from backstop.store.ledger import FundLedger
from backstop.store.positions import PositionBook

_DUST = 10**15
"""WAD: more than a thousandth of a token is no rounding any more."""

_SIZE_DUST = 10**6
"""WAD of base by which a position replayed from events may differ: a few wei a deleveraging."""


def fund_sheet(
    context: Context, ledger: FundLedger, state: ChainState, checks: Checks
) -> dict[str, Any]:
    """The fund layer by layer: by its events, and by its views."""
    tokens = context.tokens
    engine = context.system.engine.address
    rows: list[tuple[str, int, int]] = [
        (f"1 {context.market(n)} compartment", ledger.compartments[engine, n], held)
        for n, held in enumerate(state.compartments)
    ]
    others = sum(v for (who, _), v in ledger.compartments.items() if who != engine)
    others_held = state.total_compartments - sum(state.compartments)
    if others or others_held:
        rows.append(("1 compartments of other claimants", others, others_held))
    rows.append(("2 operator's reserve", ledger.reserve, state.reserve))
    rows.append(("3 stakers' capital, exits and claims", ledger.stake, state.tranche.total))
    rows.append(("3 second slice, behind the stakers", ledger.backing, state.backing))
    if ledger.premium or state.premium:
        rows.append(("4 budget for reinsurance premiums", ledger.premium, state.premium))
    claims = sum(held for _, _, held in rows)
    surplus = state.fund_tokens - claims
    checks.expect(
        "CONSERVATION fund",
        surplus >= 0,
        f"the fund holds {tokens(state.fund_tokens)} and owes {tokens(claims)}",
    )
    checks.expect(
        "LEDGER fund",
        all(booked == held for _, booked, held in rows) and not ledger.unknown,
        "replaying the fund's events gives what its views say, layer by layer"
        + (f"; unknown events: {dict(sorted(ledger.unknown.items()))}" if ledger.unknown else ""),
    )
    return {
        "rows": [
            {
                "layer": name,
                "byEvents": tokens(booked),
                "byViews": tokens(held),
                "difference": tokens(held - booked),
            }
            for name, booked, held in rows
        ],
        "claims": tokens(claims),
        "tokensHeld": tokens(state.fund_tokens),
        "surplus": tokens(surplus),
        "totalCapital": tokens(state.total_capital),
        "reserveTarget": tokens(state.reserve_target),
        "reserveGap": tokens(max(0, state.reserve_target - state.reserve)),
        "events": state.events,
    }


def engine_sheet(context: Context, state: ChainState, checks: Checks) -> dict[str, Any]:
    """The engine: what everybody could claim against what it holds.

    tokens + recorded deficits = sum of equities + fees not handed over + fair windows' pots + dust
    """
    equities = [account.equity for account in state.accounts.values()]
    positive = sum(equity for equity in equities if equity > 0)
    negative = sum(equity for equity in equities if equity < 0)
    fund_fees = sum(market.fundFees for market in state.markets)
    treasury = sum(market.treasuryFees for market in state.markets)
    recorded = sum(market.recordedDeficit for market in state.markets)
    pots = sum(state.pots)
    held = state.engine_tokens * context.scale
    dust = held + recorded - positive - negative - fund_fees - treasury - pots
    complete = not state.unreadable
    checks.expect(
        "CONSERVATION engine",
        complete and 0 <= dust < _DUST,
        f"tokens and recorded deficits are claims and fees with {wad(dust)} of rounding dust"
        + ("" if complete else f"; {len(state.unreadable)} accounts could not be read"),
    )
    return {
        "accounts": len(equities),
        "unreadable": list(state.unreadable),
        "collateral": wad(sum(account.collateral for account in state.accounts.values())),
        "equitiesPositive": wad(positive),
        "equitiesNegative": wad(negative),
        "feesForFund": wad(fund_fees),
        "feesForTreasury": wad(treasury),
        "fairWindowPots": wad(pots),
        "recordedDeficit": wad(recorded),
        "tokensHeld": context.tokens(state.engine_tokens),
        "dust": wad(dust),
    }


def markets_sheet(
    context: Context, book: PositionBook, state: ChainState, checks: Checks
) -> list[dict[str, Any]]:
    """Open interest and its concentration, from events, checked against the engine's accounts."""
    wrong = _wrong_sizes(book, state)
    checks.expect(
        "POSITIONS",
        not wrong,
        "positions replayed from events are the engine's"
        + (f", but not those of {', '.join(wrong[:5])}" if wrong else ""),
    )
    sheets = []
    for number, market in enumerate(state.markets):
        at_risk = sum(
            position.notional
            for account in state.accounts.values()
            if account.equity < account.maintenanceMargin
            for position in account.positions
            if position.market == number
        )
        notional = market.openLong * market.markPrice // 10**18
        sheets.append(
            {
                "market": context.market(number),
                "markPrice": wad(market.markPrice),
                "openLong": wad(market.openLong),
                "openShort": wad(market.openShort),
                "openInterest": wad(notional),
                "recordedDeficit": wad(market.recordedDeficit),
                "coveragePpm": ppm(state.compartments[number] * context.scale, notional),
                "liquidatableNotional": wad(at_risk),
                "longs": shares(book.holders(number, True)),
                "shorts": shares(book.holders(number, False)),
            }
        )
    return sheets


def _wrong_sizes(book: PositionBook, state: ChainState) -> list[str]:
    wrong = []
    for account, found in state.accounts.items():
        held = {position.market: position.size for position in found.positions}
        for market in set(held) | set(book.markets()):
            if abs(held.get(market, 0) - book.size(account, market)) > _SIZE_DUST:
                wrong.append(full_account(bytes.fromhex(account[2:])))
                break
    return sorted(wrong)
