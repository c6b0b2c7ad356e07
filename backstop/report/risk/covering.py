"""`price-cover`: what the fund's cover is worth, by market, side, leverage and horizon.

Beside it what the same protection costs as a bought put or as held capital, and what the accounts
of a platform would pay a day if everybody paid the fair premium.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from backstop.report.risk import charts
from backstop.report.risk.charts import Line, percent, short
from backstop.report.risk.outputs import table_csv
from backstop.report.risk.page import Counter, Page, Section, table, titled
from backstop.report.risk.platform import Platform
from backstop.report.risk.sections import not_modelled, provenance
from backstop.risk.cover import (
    CoverQuote,
    MarketRisk,
    PutVersusCapital,
    Side,
    cover_quote,
    cover_table,
    put_versus_capital,
)
from backstop.risk.parameters import MarketData

MILLION = 1e6
CURVE = tuple(float(x) for x in np.geomspace(1.5, 50.0, 24))
SIDES: tuple[Side, Side] = ("long", "short")


@dataclass(frozen=True)
class CoverSettings:
    """What is priced: leverages, horizons in hours, strikes of the puts, rates a year."""

    leverages: tuple[float, ...] = (2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
    hours: tuple[float, ...] = (1.0, 4.0, 24.0)
    strikes: tuple[float, ...] = (0.95, 0.9, 0.8, 0.7, 0.6)
    put_hours: float = 168.0
    loading: float = 1.5
    hurdle: float = 0.15
    yield_on_capital: float = 0.0


@dataclass(frozen=True)
class BookPremium:
    """A market's accounts at the fair premium: tokens a day, and the notional that pays it."""

    market: str
    notional: float
    longs: float
    shorts: float

    @property
    def total(self) -> float:
        """Both sides, tokens a day."""
        return self.longs + self.shorts


@dataclass
class CoverStudy:
    """Quotes, puts, and the platform's own premium if there is one."""

    data: Sequence[MarketData]
    settings: CoverSettings
    facts: dict[str, Any]
    notes: Sequence[str]
    quotes: list[CoverQuote]
    puts: dict[str, list[PutVersusCapital]]
    platform: Platform | None = None
    book: list[BookPremium] = field(default_factory=list)


def fair(quote: CoverQuote) -> float:
    """The larger of jump premium and the tail's stop-loss: each forgets what the other sees."""
    return max(quote.jumps, quote.stop_loss or 0.0)


def study_cover(
    data: Sequence[MarketData],
    settings: CoverSettings,
    facts: dict[str, Any],
    notes: Sequence[str],
    platform: Platform | None,
) -> CoverStudy:
    """Price everything."""
    risks = [one.risk for one in data]
    puts = {
        risk.name: [
            put_versus_capital(risk, strike, settings.put_hours, loading=settings.loading,
                               hurdle=settings.hurdle, yield_on_capital=settings.yield_on_capital)
            for strike in settings.strikes
        ]
        for risk in risks
    }  # fmt: skip
    quotes = cover_table(risks, settings.leverages, settings.hours)
    study = CoverStudy(data, settings, facts, notes, quotes, puts, platform)
    if platform is not None:
        study.book = [_book_premium(platform, risk) for risk in risks]
    return study


def premium_curve(risk: MarketRisk, side: Side, hours: float) -> list[float]:
    """Fair premium per unit of notional at the leverages of `CURVE`."""
    return [fair(cover_quote(risk, side, leverage, hours)) for leverage in CURVE]


def _book_premium(platform: Platform, risk: MarketRisk) -> BookPremium:
    """A day's premium of every account's position at the account's leverage, by interpolation."""
    book = platform.book
    market = book.markets.index(risk.name)
    equity = np.maximum(book.equity(), 1e-9)
    leverage = np.clip(book.notional().sum(axis=1) / equity, CURVE[0], CURVE[-1])
    notional = book.notional()[:, market]
    paid = []
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        curve = np.interp(leverage, CURVE, premium_curve(risk, side, 24.0))
        inside = sign * book.size[:, market] > 0
        paid.append(float((curve * notional)[inside].sum()))
    return BookPremium(risk.name, float(notional.sum()), *paid)


# --- report ---------------------------------------------------------------------------------------


def report(study: CoverStudy) -> tuple[Page, dict[str, Any], dict[str, str]]:
    """Page, summary and CSV files."""
    inputs = {
        "figures": [_figures(one) for one in study.data],
        "settings": asdict(study.settings),
        "book": study.platform.book.sha256() if study.platform else None,
    }
    shown = {
        "prices": ", ".join(f"{name} {value}" for name, value in study.facts.items()),
        **{one.risk.name: _shown(one) for one in study.data},
        "puts": f"{study.settings.put_hours:g} hours, loading {study.settings.loading:g}, hurdle"
        f" {percent(study.settings.hurdle)}, yield {percent(study.settings.yield_on_capital)}",
    }
    record, last = provenance(inputs, shown)
    page = Page(
        title="What the fund's cover is worth",
        lead="An account can lose its equity and no more: the fund has written it an option struck"
        " at the price of zero equity. Premiums per million of notional.",
        counters=_counters(study),
        sections=[
            *(_market(study, one.risk) for one in study.data),
            *_puts(study),
            *_book(study),
            not_modelled(
                [
                    *study.notes,
                    "Premiums are fair values without expenses; a liquidation before zero equity"
                    " makes cover cheaper, a gap that liquidation cannot follow does not.",
                    "The tail's stop-loss is that of one bar times the number of bars.",
                ]
            ),
            last,
        ],
    )
    files = {"premiums.csv": _premiums_csv(study), "puts.csv": _puts_csv(study)}
    return page, _summary(study, inputs, record), files


def _figures(one: MarketData) -> dict[str, Any]:
    risk = one.risk
    tails = {
        name: None if tail is None else [tail.threshold, tail.shape, tail.scale, tail.exceedance]
        for name, tail in (("long", risk.long_tail), ("short", risk.short_tail))
    }
    return {"name": risk.name, "sigma": risk.sigma, "jumps": asdict(risk.jumps), "tails": tails,
            "tail_hours": risk.tail_hours}  # fmt: skip


def _shown(one: MarketData) -> str:
    risk, jumps = one.risk, one.risk.jumps
    shapes = [tail.shape for tail in (risk.long_tail, risk.short_tail) if tail is not None]
    return (
        f"volatility {percent(risk.sigma)} a year; between jumps {percent(jumps.sigma)},"
        f" {jumps.intensity:.3g} jumps a year of {percent(jumps.mean_log)} ±"
        f" {percent(jumps.sd_log)}; tail shapes {', '.join(f'{s:.3f}' for s in shapes)}"
    )


def _counters(study: CoverStudy) -> list[Counter]:
    found = []
    hours = min(study.settings.hours)
    leverage = min(study.settings.leverages, key=lambda x: abs(x - 10.0))
    for one in study.data:
        both = [cover_quote(one.risk, side, leverage, hours) for side in SIDES]
        dearer = max(both, key=fair)
        found.append(Counter(f"{one.risk.name}, {leverage:g}x {dearer.side}",
                             short(MILLION * fair(dearer)),
                             f"per million for {hours:g} h; diffusion alone"
                             f" {short(MILLION * dearer.diffusion)}"))  # fmt: skip
    if study.platform is not None and study.book:
        total = sum(one.total for one in study.book)
        found.append(Counter("Fair premium of the book", f"{short(total)} a day",
                             f"{study.platform.symbol}, all accounts"))  # fmt: skip
    return found


def _market(study: CoverStudy, risk: MarketRisk) -> Section:
    hours = study.settings.hours
    mine = {(q.side, q.leverage, q.hours): q for q in study.quotes if q.market == risk.name}
    parts = []
    for side in SIDES:
        rows = []
        for leverage in study.settings.leverages:
            cells = [f"{leverage:g}x"]
            for h in hours:
                q = mine[side, leverage, h]
                cells += [_small(q.diffusion), _small(q.jumps),
                          "–" if q.stop_loss is None else _small(q.stop_loss)]  # fmt: skip
            rows.append(cells)
        head = ["leverage"]
        head += [f"{what} {h:g} h" for h in hours for what in ("diffusion", "jumps", "tail")]
        parts.append(titled(f"{side.capitalize()}s", table(head, rows)))
    shortest = min(hours)
    series = []
    for index, side in enumerate(SIDES):
        quotes = [cover_quote(risk, side, x, shortest) for x in CURVE]
        jumps = [MILLION * q.jumps for q in quotes]
        tail = [MILLION * (q.stop_loss or 0.0) for q in quotes]
        series.append(Line(f"{side}s, jumps", CURVE, jumps, 1 + 2 * index))
        series.append(Line(f"{side}s, tail", CURVE, tail, 1 + 2 * index, dashed=True))
    chart = charts.lines(
        "premium", [_above(line) for line in series], x_label="leverage", log_y=True,
        y_label=f"per million for {shortest:g} h", x_format=lambda x: f"{x:g}x")  # fmt: skip
    text = (
        "Black-Scholes, Merton's jump diffusion, and the stop-loss of the fitted tail (a dash where"
        " the equity lies inside its threshold). Use the larger of the last two."
    )
    return Section(f"Premiums, {risk.name}", text, [*parts, chart], stacked=True)


def _above(line: Line, floor: float = 1e-3) -> Line:
    """Without what is below a thousandth of a token per million: no axis should stretch for it."""
    kept = [(x, y) for x, y in zip(line.x, line.y, strict=True) if y >= floor]
    return Line(line.label, [x for x, _ in kept], [y for _, y in kept], line.style, line.dashed)


def _small(value: float) -> str:
    amount = MILLION * value
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:.2f}"


def _puts(study: CoverStudy) -> list[Section]:
    parts = []
    for name, rows in study.puts.items():
        cells = [
            (f"{100 * p.strike:g} %", percent(p.premium), percent(p.capital),
             percent(p.capital_cost), percent(p.break_even), "buy" if p.buy else "hold capital")
            for p in rows
        ]  # fmt: skip
        head = ("strike", "put a year", "capital", "capital a year", "break-even", "cheaper")
        parts.append(titled(name, table(head, cells)))
    settings = study.settings
    text = (
        f"A unit of notional protected below the strike by puts of {settings.put_hours:g} hours,"
        f" renewed for a year at {settings.loading:g} times their fair value, against capital of"
        f" CVaR 99.9 % at {percent(settings.hurdle)} a year plus the expected payments. Break-even:"
        " the cost of capital at which both cost the same."
    )
    return [Section("Buying the put or holding capital", text, parts, stacked=True)]


def _book(study: CoverStudy) -> list[Section]:
    platform = study.platform
    if platform is None or not study.book:
        return []
    rows = [
        (b.market, short(b.notional), short(b.longs), short(b.shorts), short(b.total),
         percent(b.total / b.notional) if b.notional else "–")
        for b in study.book
    ]  # fmt: skip
    head = ("market", "notional", "longs a day", "shorts a day", "together", "of notional")
    text = (
        f"If every account of {platform.origin['kind']} {platform.origin.get('name', '')} paid the"
        " fair premium of its own leverage for a day. The surcharge on liquidations is"
        f" {percent(platform.params.liquidation.surcharge)} of what is liquidated."
    )
    return [Section("What the accounts would pay", text, [table(head, rows)])]


def _premiums_csv(study: CoverStudy) -> str:
    header = ["market", "side", "leverage", "hours", "strike", "diffusion", "jumps", "stop_loss"]
    return table_csv(
        header,
        [
            [q.market, q.side, q.leverage, q.hours, q.strike, q.diffusion, q.jumps,
             "" if q.stop_loss is None else q.stop_loss]
            for q in study.quotes
        ],
    )  # fmt: skip


def _puts_csv(study: CoverStudy) -> str:
    header = ["market", "strike", "hours", "premium", "expected_payoff", "capital",
              "capital_cost", "break_even", "buy"]  # fmt: skip
    return table_csv(
        header,
        [
            [name, p.strike, p.hours, p.premium, p.expected_payoff, p.capital, p.capital_cost,
             p.break_even, p.buy]
            for name, rows in study.puts.items()
            for p in rows
        ],
    )  # fmt: skip


def _summary(study: CoverStudy, inputs: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    return {
        "study": "price-cover",
        "partial": False,
        "settings": asdict(study.settings),
        "prices": study.facts,
        "quotes": [asdict(q) for q in study.quotes],
        "puts": {name: [asdict(p) for p in rows] for name, rows in study.puts.items()},
        "book": [asdict(b) | {"total": b.total} for b in study.book],
        "platform": dict(study.platform.origin) if study.platform else None,
        "inputs": inputs,
        **record,
        "notes": list(study.notes),
    }
