"""Deleveraging policies side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from backstop.report.risk.command import (
    LabCommand,
    Output,
    PlatformSource,
    PriceFiles,
    Shown,
    model_options,
    out_option,
    platform_options,
    price_options,
    run_options,
)


@click.command(cls=LabCommand, short_help="Deleveraging policies side by side")
@platform_options
@price_options
@model_options(paths=5_000)
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
    source: PlatformSource,
    price_files: PriceFiles,
    model: Any,
    paths: int,
    horizon: int,
    seed: int,
    crises: int,
    waves: Path | None,
    runner: dict[str, Any],
    output: Output,
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
    bars = price_files.load()
    platform = source.load()
    prices = make_prices(platform.book.markets, bars, model, max(horizon // 60, 1))
    with Shown(output.as_json) as shown:
        study = study_adl(
            platform,
            prices,
            paths=paths,
            most=crises,
            seed=seed,
            waves=published,
            **runner,
            progress=shown.paths,
            phase=shown.phase,
        )
        made = report(study)
    output.write(made, 16)
