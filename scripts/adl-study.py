"""Deleveraging policies side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from backstop.report.risk.command import (
    LabCommand,
    Shown,
    duration,
    finish,
    load_bars,
    load_platform,
    out_option,
    platform_options,
    price_options,
    run_options,
)


@click.command(cls=LabCommand, short_help="Deleveraging policies side by side")
@platform_options
@price_options
@click.option(
    "--model",
    type=click.Choice(("auto", "fhs", "bootstrap", "history", "merton")),
    default="auto",
    show_default=True,
    help="Of the price paths.",
)
@click.option("--paths", default=5_000, type=click.IntRange(1), show_default=True)
@click.option("--horizon", type=duration, default="1d", show_default=True)
@click.option("--seed", default=0, type=click.IntRange(0, 2**63), show_default=True)
@click.option(
    "--crises",
    default=200,
    type=click.IntRange(1),
    show_default=True,
    help="Most crises compared, the worst first.",
)
@click.option(
    "--waves",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="Table of the published waves of 10 October 2025 (policy_per_wave_metrics.csv).",
)
@run_options
@out_option("adl-study")
def cli(
    scenario: str | None,
    accounts: int | None,
    book_seed: int,
    network: str | None,
    volumes: tuple[tuple[str, str], ...],
    files: tuple[tuple[str, str], ...],
    where: tuple[tuple[str, str], ...],
    allow_gaps: bool,
    model: Any,
    paths: int,
    horizon: int,
    seed: int,
    crises: int,
    waves: Path | None,
    backend: Any,
    address: str | None,
    workers: int | None,
    out: Path,
    as_json: bool,
) -> None:
    """Compare deleveraging policies on simulated crises and on the published waves.

    Queue, pro rata, capped pro rata, leverage-weighted, mirror descent: needed, taken, overshoot,
    survival of the top winner, fairness. Ctrl-C writes what is there.

    \b
    Examples:
      ape run adl-study
      ape run adl-study --waves policy_per_wave_metrics.csv --scenario squeeze
    """
    from backstop.report.risk.deleveraging import study_adl
    from backstop.report.risk.deleveraging_page import report
    from backstop.report.risk.prices import make_prices
    from backstop.report.risk.waves import read_waves

    published = read_waves(waves) if waves else None
    bars = load_bars(files, where, allow_gaps)
    platform = load_platform(
        scenario=scenario, accounts=accounts, book_seed=book_seed, network=network, volumes=volumes
    )
    prices = make_prices(platform.book.markets, bars, model, max(horizon // 60, 1))
    with Shown(as_json) as shown:
        study = study_adl(
            platform,
            prices,
            paths=paths,
            most=crises,
            seed=seed,
            waves=published,
            backend=backend,
            workers=workers,
            address=address,
            progress=shown.paths,
            phase=shown.phase,
        )
        page, summary, tables = report(study)
    lines = [f"{counter.label:16} {counter.value:>14}  {counter.note}" for counter in page.counters]
    finish(out, as_json, page, summary, tables, "\n".join([*page.alerts, *lines]))
