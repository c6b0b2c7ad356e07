"""Charts as inline SVG: no library, no script, colours from the page's style sheet.

Every chart is drawn on a canvas of 460 by 250 units, so that its letters stay readable at the
width of a phone. Bars carry a `<title>`, which browsers show under the pointer. A chart without
data is a sentence instead of an empty frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 460.0, 250.0
LEFT, RIGHT, TOP, BOTTOM = 54.0, 12.0, 14.0, 40.0

Format = Callable[[float], str]

#: Amounts below half of the smallest unit of a token with six decimals are rounding, not money.
DUST = 5e-7


def short(value: float) -> str:
    """A number in few letters: 1.5 M, 320 k, 0.02."""
    if abs(value) < DUST:
        return "0"
    for limit, letter in ((1e12, " T"), (1e9, " bn"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{letter}"
    return f"{value:.3g}"


def percent(value: float) -> str:
    """A share as a percentage with few digits: 0.00012 is 0.012 %."""
    return f"{100 * value:.3g} %"


@dataclass(frozen=True)
class Line:
    """A line of a chart; `style` 1 to 5 chooses its colour, `dashed` and `steps` its drawing."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    style: int = 1
    dashed: bool = False
    steps: bool = False


@dataclass(frozen=True)
class Mark:
    """A vertical line with a label, such as the fund's size."""

    x: float
    label: str
    style: int = 3


class _Axis:
    """Maps one coordinate to the canvas, linear or logarithmic, and knows its ticks."""

    def __init__(
        self, values: Sequence[float], start: float, stop: float, log: bool = False
    ) -> None:
        usable = [v for v in values if math.isfinite(v) and (v > 0 or not log)]
        low, high = float(min(usable, default=0.1)), float(max(usable, default=1.0))
        if low == high:
            low, high = (low / 2, high * 2) if log else (low - 0.5, high + 0.5)
        if log:
            low = 10.0 ** math.floor(math.log10(low))
            high = 10.0 ** math.ceil(math.log10(high))
        self.low, self.high, self.start, self.stop, self.log = low, high, start, stop, log

    def place(self, value: float) -> float:
        """The coordinate of a value, cut off at the frame."""
        if self.log:
            value = max(value, self.low)
            part = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return self.start + min(max(part, 0.0), 1.0) * (self.stop - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Round values inside the axis."""
        if self.log:
            first, last = round(math.log10(self.low)), round(math.log10(self.high))
            decades = max(1, math.ceil((last - first) / count))
            return [10.0**e for e in range(first, last + 1, decades)]
        raw = (self.high - self.low) / count
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * power >= raw * (1 - 1e-9))
        lowest = math.ceil(self.low / step - 1e-9)
        return [k * step for k in range(lowest, math.floor(self.high / step + 1e-9) + 1)]


def _rule(style: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(style: str, x: float, y: float, anchor: str, text: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{style}" {place}>{escape(text)}</text>'


def _frame(x: _Axis, y: _Axis, x_label: str, y_label: str, fx: Format, fy: Format) -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    for tick in y.ticks():
        at = y.place(tick)
        parts.append(_rule("grid", LEFT, at, right, at))
        parts.append(_text("tick", LEFT - 5, at + 4, "end", fy(tick)))
    parts.append(_rule("axis", LEFT, bottom, right, bottom))
    for tick in x.ticks():
        at = x.place(tick)
        anchor = "end" if at > right - 16 else "middle"
        parts.append(_text("tick", at, bottom + 15, anchor, fx(tick)))
    parts.append(_text("name", (LEFT + right) / 2, HEIGHT - 6, "middle", x_label))
    parts.append(_text("name", LEFT, 10, "start", y_label))
    return parts


def _marks(marks: Sequence[Mark], x: _Axis) -> list[str]:
    parts = []
    for index, mark in enumerate(marks):
        at, row = x.place(mark.x), TOP + 12 + 13 * index
        anchor, shift = ("end", -4) if at > (LEFT + WIDTH) / 2 else ("start", 4)
        parts.append(_rule(f"mark c{mark.style}", at, TOP, at, HEIGHT - BOTTOM))
        parts.append(_text(f"label f{mark.style}", at + shift, row, anchor, mark.label))
    return parts


def _svg(title: str, parts: Sequence[str]) -> Markup:
    body = "".join(parts)
    return Markup(
        f'<svg viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" aria-label="{escape(title)}">'
        f"{body}</svg>"
    )


def nothing(sentence: str) -> Markup:
    """In place of a chart without data."""
    return Markup(f'<p class="none">{escape(sentence)}</p>')


def lines(
    title: str,
    series: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    x_format: Format = short,
    y_format: Format = short,
    marks: Sequence[Mark] = (),
    log_y: bool = False,
    log_x: bool = False,
    legend: bool = True,
) -> Markup:
    """A line chart; values that a logarithmic axis cannot show are left out."""
    shown = [line for line in series if len(line.x)]
    if not shown:
        return nothing(f"{title}: no data.")
    every_x = [v for line in shown for v in line.x] + [mark.x for mark in marks]
    every_y = [v for line in shown for v in line.y]
    if not log_y and _positive(shown):
        every_y.append(0.0)
    x = _Axis(every_x, LEFT, WIDTH - RIGHT, log_x)
    y = _Axis(every_y, HEIGHT - BOTTOM, TOP + 4, log_y)
    parts = _frame(x, y, x_label, y_label, x_format, y_format)
    for line in shown:
        parts.append(_polyline(line, x, y))
    parts += _marks(marks, x)
    chart = _svg(title, parts)
    return chart + _legend(shown) if legend and len(shown) > 1 else chart


def _positive(series: Sequence[Line]) -> bool:
    """Whether the axis should begin at 0: all values are positive and not all far from it."""
    values = [v for line in series for v in line.y if math.isfinite(v)]
    return bool(values) and min(values) >= 0 and min(values) < 0.5 * max(values)


def _polyline(line: Line, x: _Axis, y: _Axis) -> str:
    points, before = [], None
    for a, b in zip(line.x, line.y, strict=True):
        if not math.isfinite(b) or (y.log and b <= 0):
            continue
        if line.steps and before is not None:
            points.append(f"{x.place(a):.1f},{before:.1f}")
        before = y.place(b)
        points.append(f"{x.place(a):.1f},{before:.1f}")
    dash = " dash" if line.dashed else ""
    return f'<polyline class="line c{line.style}{dash}" points="{" ".join(points)}"/>'


def _legend(series: Sequence[Line]) -> Markup:
    items = "".join(
        f'<span><i class="key b{line.style}"></i>{escape(line.label)}</span>' for line in series
    )
    return Markup(f'<div class="legend">{items}</div>')


def histogram(
    title: str,
    edges: Sequence[float],
    heights: Sequence[float],
    *,
    x_label: str,
    y_label: str,
    x_format: Format = short,
    y_format: Format = short,
    marks: Sequence[Mark] = (),
    styles: Sequence[int] | None = None,
) -> Markup:
    """Bars between edges (n + 1 edges, n heights >= 0)."""
    if not heights or max(heights) <= 0:
        return nothing(f"{title}: no data.")
    x = _Axis([*edges, *(mark.x for mark in marks)], LEFT, WIDTH - RIGHT)
    y = _Axis([0.0, *heights], HEIGHT - BOTTOM, TOP + 4)
    parts = _frame(x, y, x_label, y_label, x_format, y_format)
    for i, height in enumerate(heights):
        left, right = x.place(edges[i]), x.place(edges[i + 1])
        top = y.place(height)
        text = f"{x_format(edges[i])} to {x_format(edges[i + 1])}: {y_format(height)}"
        parts.append(
            f'<rect class="b{styles[i] if styles else 1}" x="{left + 0.5:.1f}" y="{top:.1f}"'
            f' width="{max(right - left - 1, 0.5):.1f}" height="{HEIGHT - BOTTOM - top:.1f}">'
            f"<title>{escape(text)}</title></rect>"
        )
    return _svg(title, [*parts, *_marks(marks, x)])


def bars(title: str, rows: Sequence[tuple[str, float]], value_format: Format = short) -> Markup:
    """Horizontal bars with their label and value, for a handful of names."""
    if not rows or max(abs(value) for _, value in rows) <= 0:
        return nothing(f"{title}: all are 0.")
    largest = max(abs(value) for _, value in rows)
    items = "".join(
        f'<div class="bar"><span>{escape(name)}</span><div><i class="b{1 if value >= 0 else 3}"'
        f' style="width:{100 * abs(value) / largest:.1f}%"></i></div>'
        f"<b>{escape(value_format(value))}</b></div>"
        for name, value in rows
    )
    return Markup(f'<div class="bars" role="img" aria-label="{escape(title)}">{items}</div>')


def heat(
    title: str,
    columns: Sequence[str],
    rows: Sequence[tuple[str, Sequence[float]]],
    value_format: Format = short,
    corner: str = "",
) -> Markup:
    """A table whose cells are coloured by the logarithm of their value (0 stays clear)."""
    values = [v for _, row in rows for v in row if v > 0]
    low = math.log10(min(values)) if values else 0.0
    high = math.log10(max(values)) if values else 1.0
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = []
    for name, row in rows:
        cells = []
        for value in row:
            part = (math.log10(value) - low) / (high - low) if value > 0 and high > low else 1.0
            strength = 0.0 if value <= 0 else 0.12 + 0.78 * part
            text = value_format(value) if value else "·"
            cells.append(
                f'<td class="hot{" strong" if strength > 0.5 else ""}"'
                f' style="--heat:{strength:.2f}">{escape(text)}</td>'
            )
        body.append(f"<tr><th>{escape(name)}</th>{''.join(cells)}</tr>")
    return Markup(
        f'<div class="wide"><table class="heat" aria-label="{escape(title)}"><thead><tr>'
        f"<th>{escape(corner)}</th>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )
