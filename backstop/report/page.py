"""The report as one HTML file without anything beside it; made from the JSON alone."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import jinja2

from backstop.chain import format as shown
from backstop.report.build import Report
from backstop.report.charts import layers_over_time
from backstop.report.numbers import PPM

_TEMPLATES = Path(__file__).parent


def _amount(value: str | None, places: int = 2) -> str:
    return "–" if value is None else shown.amount(Decimal(value), places)


def _quantity(value: str) -> str:
    return shown.amount(Decimal(value), 4)


def _percent(ppm: int | None) -> str:
    return "–" if ppm is None else f"{Decimal(ppm) * 100 / PPM:.2f} %"


def _account(number: str) -> str:
    raw = bytes.fromhex(number[2:])
    return shown.account(raw) if len(raw) == 32 else shown.short_address(number)


def _full(number: str) -> str:
    raw = bytes.fromhex(number[2:])
    return shown.full_account(raw) if len(raw) == 32 else number


def _seconds(value: int | None) -> str:
    return "–" if value is None else shown.duration(value)


def _is_zero(value: str) -> bool:
    return not Decimal(value)


def render(report: Report) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        amount=_amount,
        quantity=_quantity,
        percent=_percent,
        account=_account,
        full=_full,
        duration=_seconds,
        time=shown.time,
        short=shown.short_address,
    )
    environment.tests["zero"] = _is_zero
    data: dict[str, Any] = report.data
    return environment.get_template("report.html.jinja").render(
        **data, broken=report.broken, digest=report.digest, chart=layers_over_time
    )
