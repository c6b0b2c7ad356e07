"""Charts as SVG text: no script, no file beside the page. Rounding here is for the eye only."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from markupsafe import Markup

from backstop.chain.format import amount

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 720, 220, 0, 6, 4
LAYER_CLASSES = ("compartments", "reserve", "stake")


def _short(value: Decimal) -> str:
    for size, letter in ((Decimal(10) ** 9, " B"), (Decimal(10) ** 6, " M"), (Decimal(1000), " k")):
        if value >= size:
            return f"{amount(value / size, 1)}{letter}"
    return amount(value, 0)


def layers_over_time(points: Sequence[dict[str, Any]]) -> Markup:
    """Stacked areas of the fund's layers; a step at every change, time on the x axis.

    Labels stand beside the drawing, which is stretched to the page's width.
    """
    start, end = points[0]["time"], points[-1]["time"]
    highest = max(Decimal(point["total"]) for point in points) or Decimal(1)
    inner, base = _WIDTH - 2 * _LEFT, _HEIGHT - _BOTTOM

    def x(time: int) -> str:
        part = Decimal(time - start) / (end - start) if end > start else Decimal(0)
        return f"{_LEFT + part * inner:.1f}"

    def y(value: Decimal) -> str:
        return f"{base - value / highest * (base - _TOP):.1f}"

    shapes = []
    below = [Decimal(0)] * len(points)
    for layer in LAYER_CLASSES:
        above = [b + Decimal(point[layer]) for b, point in zip(below, points, strict=True)]
        upper = _steps([x(p["time"]) for p in points], [y(v) for v in above])
        lower = _steps([x(p["time"]) for p in points], [y(v) for v in below])
        path = " ".join([*upper, *reversed(lower)])
        shapes.append(f'<polygon class="{layer}" points="{path}"/>')
        below = above
    lines, labels = [], []
    for part in (Decimal(1), Decimal("0.5")):
        at = y(highest * part)
        lines.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _LEFT}" y1="{at}" y2="{at}"/>')
        labels.append(f'<b style="top:{at}px">{_short(highest * part)}</b>')
    return Markup(
        f'<div class="chart"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none"'
        f' role="img" aria-label="The fund by layer over time">{"".join(shapes)}<g class="grid">'
        f"{''.join(lines)}</g></svg>{''.join(labels)}</div>"
    )


def _steps(xs: Sequence[str], ys: Sequence[str]) -> list[str]:
    corners = [f"{xs[0]},{ys[0]}"]
    for before, here, level in zip(ys, xs[1:], ys[1:], strict=False):
        corners += [f"{here},{before}", f"{here},{level}"]
    return corners
