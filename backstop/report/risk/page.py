"""A report as data, and its rendering to one HTML file that needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape


@dataclass(frozen=True)
class Counter:
    """A number with its name; tone is "", "good", "warn" or "bad"."""

    label: str
    value: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page: a sentence, charts or tables side by side, and bullet points."""

    title: str
    text: str = ""
    parts: Sequence[Markup] = ()
    points: Sequence[str] = ()
    stacked: bool = False

    @property
    def anchor(self) -> str:
        """The title as an identifier of the page."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True)
class Page:
    """A whole report; alerts are what a reader must not overlook."""

    title: str
    lead: str
    counters: Sequence[Counter] = ()
    sections: Sequence[Section] = ()
    alerts: Sequence[str] = field(default_factory=tuple)

    def render(self) -> str:
        """The HTML text: equal for equal pages, no time of making, nothing loaded from outside."""
        text = resources.files(__package__).joinpath("template.html").read_text(encoding="utf8")
        environment = Environment(
            autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        return environment.from_string(text).render(page=self) + "\n"


def table(
    header: Sequence[str], rows: Sequence[Sequence[object]], words: Sequence[int] = ()
) -> Markup:
    """A table; text in the first column and those of `words`, else numbers flush right."""
    kinds = [' class="text"' if i in words else "" for i in range(len(header))]
    head = "".join(f"<th{k}>{escape(name)}</th>" for k, name in zip(kinds, header, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f"<td{k}>{escape(str(c))}</td>" for k, c in zip(kinds, row, strict=True))
        + "</tr>"
        for row in rows
    )
    head = f"<thead><tr>{head}</tr></thead>"
    return Markup(f'<div class="wide"><table>{head}<tbody>{body}</tbody></table></div>')


def facts(rows: Mapping[str, Any]) -> Markup:
    """Names and values of any length, one a line."""
    body = "".join(
        f'<tr><th>{escape(name)}</th><td class="text">{escape(str(value))}</td></tr>'
        for name, value in rows.items()
    )
    return Markup(f"<table><tbody>{body}</tbody></table>")


def titled(title: str, body: Markup) -> Markup:
    """A chart or table under a small heading."""
    return Markup(f"<h3>{escape(title)}</h3>") + body
