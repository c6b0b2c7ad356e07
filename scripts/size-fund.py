"""How large must the fund be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from backstop.report.risk.command import (
    LabCommand,
    LevelType,
    PercentType,
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


@click.command(cls=LabCommand, short_help="How large must the fund be")
@platform_options
@price_options
@click.option(
    "--model",
    type=click.Choice(("auto", "fhs", "bootstrap", "history", "merton")),
    default="auto",
    show_default=True,
    help="Of the price paths; auto: fhs with price files, merton without.",
)
@click.option("--paths", default=20_000, type=click.IntRange(1), show_default=True)
@click.option(
    "--horizon",
    type=duration,
    default="1d",
    show_default=True,
    help="Length of a path: the time until an emptied fund is filled again.",
)
@click.option("--seed", default=0, type=click.IntRange(0, 2**63), show_default=True)
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
    scenario: str | None,
    accounts: int | None,
    book_seed: int,
    network: str | None,
    volumes: tuple[tuple[str, str], ...],
    files: tuple[tuple[str, str], ...],
    where: tuple[tuple[str, str], ...],
    allow_gaps: bool,
    model: Any,
    horizon: int,
    backend: Any,
    address: str | None,
    workers: int | None,
    out: Path,
    as_json: bool,
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
    bars = load_bars(files, where, allow_gaps)
    platform = load_platform(
        scenario=scenario, accounts=accounts, book_seed=book_seed, network=network, volumes=volumes
    )
    prices = make_prices(platform.book.markets, bars, model, settings.minutes)
    with Shown(as_json) as shown:
        study = study_size(
            platform,
            prices,
            settings,
            backend=backend,
            workers=workers,
            address=address,
            progress=shown.paths,
            phase=shown.phase,
        )
        page, summary, tables = report(study)
    lines = [f"{counter.label:14} {counter.value:>16}  {counter.note}" for counter in page.counters]
    finish(out, as_json, page, summary, tables, "\n".join([*page.alerts, *lines]))
