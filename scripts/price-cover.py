"""What the fund's cover is worth."""

from __future__ import annotations

from typing import Any

import click

from backstop.report.risk.command import (
    LabCommand,
    Output,
    PercentType,
    PlatformSource,
    PriceFiles,
    numbers,
    out_option,
    platform_options,
    price_options,
)


@click.command(cls=LabCommand, short_help="What the fund's cover is worth")
@platform_options
@price_options
@click.option("--leverages", type=numbers(1.0, 1000.0), default="2,3,5,10,20,50", show_default=True)
@click.option("--hours", type=numbers(0.0, 8760.0), default="1,4,24", show_default=True)
@click.option(
    "--strikes",
    type=numbers(0.0, 2.0),
    default="0.95,0.9,0.8,0.7,0.6",
    show_default=True,
    help="Of the bought puts, fractions of the price.",
)
@click.option(
    "--put-hours", type=click.FloatRange(0, min_open=True), default=168.0, show_default=True
)
@click.option(
    "--loading",
    type=click.FloatRange(0, min_open=True),
    default=1.5,
    show_default=True,
    help="What a writer asks over the put's fair value.",
)
@click.option(
    "--hurdle", type=PercentType(), default="15%", show_default=True, help="Cost of capital a year."
)
@click.option("--yield-on-capital", type=PercentType(), default="0%", show_default=True)
@out_option("price-cover")
def cli(
    source: PlatformSource,
    price_files: PriceFiles,
    output: Output,
    **choices: Any,
) -> None:
    """Price the cover as an option: diffusion, jumps and tail, by market, side and leverage.

    Beside it the cost of buying the put against holding capital, and what the accounts of the
    scenario or chain would pay. Prices may be given for markets of the platform only.

    \b
    Examples:
      ape run price-cover
      ape run price-cover --prices BTC=btc.csv.gz --prices ETH=eth.csv.gz --leverages 5,10,25
    """
    from backstop.report.risk.covering import CoverSettings, report, study_cover
    from backstop.report.risk.prices import describe, market_figures

    bars = price_files.load()
    platform = source.load()
    names = platform.book.markets
    facts, notes = describe(names, bars)
    data = market_figures(names, bars)
    study = study_cover(data, CoverSettings(**choices), facts, notes, platform)
    made = report(study)
    output.write(made, 26)
