"""Charts and pages: well formed, self-contained, the same for the same data."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from backstop.report.risk import charts
from backstop.report.risk.charts import Line, Mark
from backstop.report.risk.page import Counter, Page, Section, facts, table, titled

HOSTILE = "<b>&\"'"


def drawn():
    """One of each chart, with a hostile name wherever a name goes."""
    line = Line(HOSTILE, [0, 1, 2], [0.0, 5.0, 1e6])
    return [
        charts.lines(HOSTILE, [line], x_label=HOSTILE, y_label="y", marks=[Mark(1, HOSTILE)]),
        charts.lines("log", [line], x_label="x", y_label="y", log_y=True),
        charts.histogram(HOSTILE, [0, 1, 2], [3.0, 1.0], x_label="x", y_label=HOSTILE),
        charts.bars(HOSTILE, [(HOSTILE, 2.0), ("other", -1.0)]),
        charts.heat(HOSTILE, [HOSTILE, "b"], [("-5 %", [0.0, 10.0]), ("-9 %", [1e6, 3.0])]),
        table((HOSTILE, "b"), [(HOSTILE, 1)]),
        facts({HOSTILE: HOSTILE}),
    ]


def page():
    return Page(
        HOSTILE,
        "lead",
        [Counter(HOSTILE, "1", HOSTILE, "bad")],
        [Section(HOSTILE, HOSTILE, [titled(HOSTILE, part) for part in drawn()], [HOSTILE])],
        [HOSTILE],
    )


def test_every_chart_is_well_formed_and_escapes_names():
    for chart in drawn():
        ET.fromstring(f"<div>{chart}</div>")
        assert "<b>&" not in chart


def test_a_page_needs_nothing_from_outside():
    text = page().render()
    assert "<b>&" not in text
    assert not re.search(r"https?:|src=|@import|url\(|<script|<link", text)
    assert "prefers-color-scheme: dark" in text and "width=device-width" in text


def test_equal_pages_are_equal_texts():
    assert page().render() == page().render()


def test_a_line_keeps_the_order_of_its_values_and_the_frame():
    chart = charts.lines("t", [Line("a", [0, 1, 2], [0, 10, 5])], x_label="x", y_label="y")
    points = re.search(r'points="([^"]+)"', chart)[1].split()
    x, y = zip(*(map(float, p.split(",")) for p in points), strict=True)
    assert list(x) == sorted(x)
    assert y[1] < y[2] < y[0]  # the y axis points downwards
    assert all(0 <= v <= charts.WIDTH for v in x) and all(0 <= v <= charts.HEIGHT for v in y)


def test_a_logarithmic_axis_leaves_zeros_out():
    line = Line("a", [0, 1, 2], [0.0, 1.0, 100.0])
    chart = charts.lines("t", [line], x_label="x", y_label="y", log_y=True)
    assert len(re.search(r'points="([^"]+)"', chart)[1].split()) == 2
    flat = charts.lines("t", [Line("a", [1], [0.0])], x_label="x", y_label="y", log_y=True)
    assert "svg" in flat


def test_no_data_is_a_sentence():
    assert "no data" in charts.lines("t", [], x_label="x", y_label="y")
    assert "no data" in charts.histogram("t", [0, 1], [0.0], x_label="x", y_label="y")
    assert "all are 0" in charts.bars("t", [("a", 0.0)])


def test_bars_and_bins_have_the_right_proportions():
    widths = re.findall(r"width:([\d.]+)%", charts.bars("t", [("a", 4.0), ("b", 1.0)]))
    assert [float(w) for w in widths] == [100.0, 25.0]
    heights = [
        float(h)
        for h in re.findall(
            r'<rect[^>]*height="([\d.]+)"',
            charts.histogram("t", [0, 1, 2], [4.0, 1.0], x_label="x", y_label="y"),
        )
    ]
    assert heights[0] == pytest.approx(4 * heights[1], rel=0.01)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234567, "1.23 M"), (-2500, "-2.5 k"), (3e9, "3 bn"), (1e-8, "0"), (0.25, "0.25")],
)
def test_short_numbers(value, text):
    assert charts.short(value) == text
