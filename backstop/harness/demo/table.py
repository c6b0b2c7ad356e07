"""The live table: `rich.live` on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Self

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from backstop.harness.demo.play import Row
from backstop.harness.demo.stage import Stage
from backstop.harness.demo.stakers import StakerAct
from backstop.harness.demo.story import Story
from backstop.harness.demo.tally import Shortfall, Tally
from backstop.harness.scenario import Scenario

_ROWS = 14
_STORIES = 7
_BAR = 20
_WIDE = 165
"""Columns of a terminal on which all of the table fits."""


def clock(time: int) -> str:
    """Hours and minutes, with seconds where there are some."""
    moment = datetime.fromtimestamp(time, UTC)
    return moment.strftime("%H:%M:%S" if moment.second else "%H:%M")


def price(value: float) -> str:
    """A price with as many digits as it needs."""
    return f"{value:,.0f}" if value >= 10000 else f"{value:,.2f}" if value >= 10 else f"{value:.4f}"


def cells(row: Row) -> list[str]:
    """The columns of a step."""
    found = [clock(row.time)]
    for market in row.markets:
        found += [price(market.index), price(market.mark), f"{market.open_interest / 1e6:.1f}"]
    liquidations = (row.taken_over, row.by_orders, row.deleveraged, row.closed_out)
    found += [str(count or "·") for count in liquidations]
    found += [f"{value:,.0f}" for value in (*row.compartments, row.reserve, row.staked)]
    found += [f"{row.side_charged:,.0f}", f"{row.recorded:,.0f}", f"{row.equity / 1e6:.3f}"]
    return found


def titles(names: Sequence[str]) -> list[str]:
    """The columns' titles."""
    found = ["time"]
    for name in names:
        found += [f"{name} index", "mark", "OI M"]
    found += ["take", "order", "ADL", "close"]
    return [
        *found,
        *(f"1 {name}" for name in names),
        "2 reserve",
        "3 stake",
        "5 side",
        "6 rec.",
        "equity M",
    ]


LEGEND = (
    "index: history and impact. OI: open interest of one side, millions. take, order: partial"
    " liquidations by keepers and by signed orders.\nADL: deleveraged at the mark. close: bankrupt"
    " accounts closed out. 1-3: the fund's layers, tokens. 5: charged to opposite sides so far.\n"
    "6: recorded deficit. equity: sum of all accounts, millions."
)


class PlainTable:
    """A line a step, a line for what is new; for pipes and logs."""

    def __init__(self, scenario: Scenario, console: Console) -> None:
        self.scenario, self.console = scenario, console
        token = scenario.parameters.token
        names = [m.name for m in scenario.markets]
        self.story = Story(names, token.symbol, token.decimals or 18)
        self._titles = titles(self.story.names)
        self._widths = [max(len(title), 7) for title in self._titles]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to close."""

    def _print(self, text: str) -> None:
        self.console.print(text, soft_wrap=True, highlight=False, markup=False)

    def _line(self, values: Sequence[str]) -> None:
        self._print(" ".join(v.rjust(w) for v, w in zip(values, self._widths, strict=True)))

    def phase(self, text: str) -> None:
        """Something of the set-up begins."""
        self._print(f"- {text}")

    def opened(self, stage: Stage, row: Row) -> None:
        """The book is open."""
        self._print("")
        self._print(LEGEND)
        self._print("")
        self._line(self._titles)
        self._line(cells(row))

    def step(self, row: Row, tally: Tally) -> None:
        """A step is over."""
        if row.index % 25 == 0:
            self._line(self._titles)
        self._line(cells(row))
        for sentence in self.story.step(row):
            self._print(f"        > {sentence}")

    def shortfall(self, shortfall: Shortfall) -> None:
        """A close-out."""
        for sentence in self.story.shortfall(shortfall):
            self._print(f"        > {sentence}")

    def staker(self, act: StakerAct) -> None:
        """A staker did something."""
        for sentence in self.story.staker(act):
            self._print(f"        > {clock(act.time)} {sentence}")


class LiveTable(PlainTable):
    """The last steps, the layers as bars, and the story so far, on a terminal."""

    def __init__(self, scenario: Scenario, console: Console) -> None:
        super().__init__(scenario, console)
        self._rows: deque[Row] = deque(maxlen=_ROWS)
        self._told: deque[str] = deque(maxlen=_STORIES)
        self._first: Row | None = None
        self._staked = 0.0
        self._tally: Tally | None = None
        self._phase = ""
        self._live = Live(console=console, refresh_per_second=8, transient=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def _refresh(self) -> None:
        self._live.update(self._view())

    def phase(self, text: str) -> None:
        """Something of the set-up begins."""
        self._phase = text
        self._refresh()

    def opened(self, stage: Stage, row: Row) -> None:
        """The book is open."""
        self._first = row
        self._tally = stage.tally
        self._phase = ""
        self._rows.append(row)
        self._refresh()

    def step(self, row: Row, tally: Tally) -> None:
        """A step is over."""
        self._rows.append(row)
        self._told += [f"{clock(row.time)}  {sentence}" for sentence in self.story.step(row)]
        self._refresh()

    def shortfall(self, shortfall: Shortfall) -> None:
        """A close-out."""
        now = clock(shortfall.time)
        self._told += [f"{now}  {sentence}" for sentence in self.story.shortfall(shortfall)]

    def staker(self, act: StakerAct) -> None:
        """A staker did something."""
        now = clock(act.time)
        self._told += [f"{now}  {sentence}" for sentence in self.story.staker(act)]
        self._refresh()

    def _view(self) -> Group:
        title = Text(self.scenario.title, style="bold")
        if self._first is None:
            return Group(title, Text(self._phase, style="dim"))
        parts: list[RenderableType] = [
            title,
            self._table(),
            self._waterfall(),
            Text(LEGEND, style="dim"),
        ]
        if self._told:
            parts.insert(3, Panel("\n".join(self._told), title="what happened", title_align="left"))
        return Group(*parts)

    def _shown(self, values: Sequence[str]) -> list[str]:
        """The columns that fit: a narrow terminal leaves out what the waterfall shows too."""
        if self.console.width >= _WIDE:
            return list(values)
        count = len(self.story.names)
        markets = [values[1 + 3 * n + part] for n in range(count) for part in (0, 2)]
        return [values[0], *markets, *values[1 + 3 * count : 5 + 3 * count]]

    def _table(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
        for name in self._shown(self._titles):
            table.add_column(name, justify="right", no_wrap=True)
        last: Row | None = None
        for row in self._rows:
            falling = last is not None and row.markets[0].index < last.markets[0].index
            style = "bold red" if row.closed_out else "yellow" if falling else ""
            table.add_row(*self._shown(cells(row)), style=style)
            last = row
        return table

    def _waterfall(self) -> Panel:
        first, row = self._first, self._rows[-1]
        assert first is not None and self._tally is not None
        counts = self._tally.counts
        grid = Table.grid(padding=(0, 2))
        for _ in range(3):
            grid.add_column()
        whole = counts["partial_liquidations"] + counts["whole_liquidations"]
        grid.add_row("0 own margin", "", f"{whole} liquidations, {counts['close_outs']} bankrupt")
        for name, now, start in zip(
            self.story.names, row.compartments, first.compartments, strict=True
        ):
            grid.add_row(f"1 {name} compartment", bar(now, start), f"{now:,.2f}")
        grid.add_row("2 operator's reserve", bar(row.reserve, first.reserve), f"{row.reserve:,.2f}")
        self._staked = max(self._staked, row.staked)
        leaving = f", of it {row.leaving:,.2f} on its way out" if row.leaving else ""
        grid.add_row("3 stakers", bar(row.staked, self._staked), f"{row.staked:,.2f}{leaving}")
        grid.add_row("4 reinsurance", "", Text("not in this deployment", style="dim"))
        grid.add_row("5 opposite side", "", f"{row.side_charged:,.2f} charged")
        grid.add_row("6 recorded deficit", "", f"{row.recorded:,.2f}")
        return Panel(grid, title="waterfall", title_align="left", expand=False)


def bar(now: float, start: float) -> Text:
    """How much of a layer is left; more than at the start is a full bar."""
    part = max(0.0, min(1.0, now / start)) if start else 0.0
    full = round(part * _BAR)
    style = "green" if part > 0.5 else "yellow" if part > 0.15 else "red"
    return Text("█" * full, style=style).append("░" * (_BAR - full), style="dim")


def make_table(scenario: Scenario, console: Console) -> PlainTable:
    """The live table on a terminal that is wide enough, plain lines otherwise."""
    wide = console.is_terminal and console.width >= 80
    return LiveTable(scenario, console) if wide else PlainTable(scenario, console)
