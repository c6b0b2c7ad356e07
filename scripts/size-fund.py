"""How large must the fund be."""

from __future__ import annotations

from typing import Any

import click

from backstop.report.risk.command import (
    LabCommand,
    LevelType,
    Output,
    PercentType,
    PlatformSource,
    PriceFiles,
    Shown,
    model_options,
    out_option,
    platform_options,
    price_options,
    run_options,
)


@click.command(cls=LabCommand, short_help="How large must the fund be")
@platform_options
@price_options
@model_options(paths=20_000)
@click.option(
    "--level",
    type=LevelType(),
    default="0.999",
    show_default=True,
    help="Of the expected shortfall.",
)
@click.option(
    "--tail",
    type=click.Choice(("empirical", "gpd")),
    default="empirical",
    show_default=True,
    help="Expected shortfall from the sample or a fitted tail.",
)
@click.option(
    "--cost-of-capital", type=PercentType(), default="15%", show_default=True, help="A year."
)
@click.option(
    "--penalty",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="Cost of a token of uncovered loss.",
)
@click.option(
    "--floor",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Smallest target, whole tokens.",
)
@click.option(
    "--add-on",
    type=PercentType(),
    default="0%",
    show_default=True,
    help="On the target, for what the model does not know.",
)
@click.option(
    "--shock",
    type=PercentType(),
    default="20%",
    show_default=True,
    help="Size of the stress set's moves, up and down, each market and all together.",
)
@run_options
@out_option("size-fund")
def cli(
    source: PlatformSource,
    price_files: PriceFiles,
    model: Any,
    horizon: int,
    runner: dict[str, Any],
    output: Output,
    **choices: Any,
) -> None:
    """Simulate price paths over all accounts and size the fund for them.

    The target is the largest of the stress component (Cover-2 times the cascade), the expected
    shortfall's upper end, the newsvendor quantile and the floor. Ctrl-C writes what is there.

    \b
    Examples:
      ape run size-fund
      ape run size-fund --prices BTC=btc.csv.gz --prices ETH=eth.csv.gz --paths 100000
      ape run size-fund --network ethereum:local:foundry --floor 100000
    """
    from backstop.report.risk.prices import make_prices
    from backstop.report.risk.sizefund import SizeSettings, study_size
    from backstop.report.risk.sizefund_page import report

    settings = SizeSettings(minutes=max(horizon // 60, 1), **choices)
    settings.check()
    bars = price_files.load()
    platform = source.load()
    prices = make_prices(platform.book.markets, bars, model, settings.minutes)
    with Shown(output.as_json) as shown:
        study = study_size(
            platform,
            prices,
            settings,
            **runner,
            progress=shown.paths,
            phase=shown.phase,
        )
        made = report(study)
    output.write(made, 14)
