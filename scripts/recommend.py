"""Market parameters from volatility and depth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from backstop.report.risk.command import (
    LabCommand,
    PairType,
    PercentType,
    PriceFiles,
    amounts,
    price_options,
)


@click.command(cls=LabCommand, short_help="Market parameters from volatility and depth")
@click.option(
    "--base",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("parameters/local.yaml"),
    show_default=True,
    help="Parameter file whose markets are recommended for; the rest of it is kept.",
)
@price_options
@click.option(
    "--fund",
    type=click.FloatRange(0, min_open=True),
    default=None,
    help="Usable capital, whole tokens.  [default: the target of --summary, else what the"
    " base file puts in]",
)
@click.option(
    "--summary",
    type=click.Path(path_type=Path),
    default=None,
    help="summary.json of size-fund, or its folder: its target is the fund.",
)
@click.option(
    "--volume",
    "volumes",
    type=PairType(),
    multiple=True,
    help="MARKET=AMOUNT traded a day; repeat.  [default: measured, else reference]",
)
@click.option(
    "--depth-ratio",
    type=PercentType(),
    default="0.55%",
    show_default=True,
    help="Thinnest over normal depth of the book.",
)
@click.option(
    "--impact",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="Coefficient Y of the square-root law.",
)
@click.option(
    "--price",
    "price",
    type=PairType(),
    multiple=True,
    help="MARKET=AMOUNT, where the base file has a real feed; repeat.",
)
@click.option(
    "--follow-tail",
    is_flag=True,
    help="Size margins for the tail's 99.99 % bar and let the mark move that far, instead"
    " of for what the mark's present speed allows between two looks.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("reports/recommended.yaml"),
    show_default=True,
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def cli(
    base: Path,
    price_files: PriceFiles,
    fund: float | None,
    summary: Path | None,
    volumes: tuple[tuple[str, str], ...],
    depth_ratio: float,
    impact: float,
    price: tuple[tuple[str, str], ...],
    follow_tail: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Recommend margins, open-interest caps, draw limits and surcharges, as a parameter file.

    `ape run deploy --parameters FILE` takes what is written. The fields that do not follow from
    volatility and depth are those of the base file.

    \b
    Examples:
      ape run recommend --fund 1000000
      ape run recommend --summary reports/size-fund --prices BTC=btc.csv.gz --prices ETH=eth.csv.gz
    """
    from dataclasses import replace

    from backstop.chain.commands import UserError
    from backstop.chain.config import Parameters
    from backstop.report.risk.outputs import code_hash, plain
    from backstop.report.risk.prices import describe, market_figures
    from backstop.report.risk.recommending import (
        advise,
        inputs_hash,
        recommended_yaml,
        write_text,
    )
    from backstop.risk.parameters import Policy

    parameters = Parameters.load(base)
    names = [m.name for m in parameters.markets]
    bars = price_files.load()
    _, notes = describe(names, bars)
    volume, known = amounts(volumes, "--volume"), amounts(price, "--price")
    for option, given in (("--volume", volume), ("--price", known)):
        unknown = [name for name in given if name not in names]
        if unknown:
            raise UserError(f"{option} {unknown[0]}: the markets are {', '.join(names)}", 2)
    if not 0 < depth_ratio <= 1:
        raise UserError("--depth-ratio is above 0% and up to 100%: use 0.55%", 2)
    known = {name: float(one.close[-1]) for name, one in bars.items()} | known
    data = [
        replace(one, depth_ratio=depth_ratio, impact=impact,
                daily_volume=volume.get(one.risk.name, one.daily_volume))
        for one in market_figures(names, bars)
    ]  # fmt: skip
    capital = _capital(fund, summary, parameters)
    policy = Policy(fund=capital)
    advice = advise(parameters, data, policy, known, follow_tail)
    write_text(out, recommended_yaml(base, advice, capital))
    record = {"data_hash": inputs_hash(parameters, data, policy, known), "code_hash": code_hash()}
    if as_json:
        markets = [plain(one.found.as_dict()) for one in advice]
        answer = {"written": str(out), "fund": capital, "markets": markets, "notes": notes}
        click.echo(json.dumps({**answer, **record}, sort_keys=True, indent=1))
        return
    click.echo(_text(advice, capital, parameters))
    for note in notes:
        click.echo(note)
    click.echo(f"written to {out}: ape run deploy --parameters {out}")


def _capital(fund: float | None, summary: Path | None, parameters: Any) -> float:
    from backstop.chain.commands import UserError
    from backstop.report.risk.outputs import read_summary
    from backstop.report.risk.platform import layers_of

    if fund is not None and summary is not None:
        raise UserError("--fund and --summary exclude each other: choose one", 2)
    if fund is not None:
        return fund
    if summary is None:
        total = layers_of(parameters).total
        if total <= 0:
            raise UserError("the base file puts nothing into the fund: give --fund AMOUNT", 2)
        return total
    required = read_summary(summary, "size-fund")["required"]
    if required is None or not required["target"] > 0:
        raise UserError("the summary has no target: run size-fund with more paths", 2)
    return float(required["target"])


def _text(advice: Any, capital: float, parameters: Any) -> str:
    from backstop.chain.format import percent, table
    from backstop.report.risk.charts import percent as share, short

    rows = []
    for one in advice:
        found, before = one.found, one.base.parameters
        rows.append((
            one.market,
            f"{share(found.maintenance_fraction)} ({percent(before.maintenance_margin_ppm)})",
            f"{share(found.initial_fraction)} ({percent(before.initial_margin_ppm)})",
            f"{found.max_leverage:.1f}x",
            f"{short(found.oi_cap)} by {found.oi_binding}",
            share(found.surcharge_base),
            short(found.claim_limit),
            short(found.window_limit),
        ))  # fmt: skip
    head = ("market", "maintenance (now)", "initial (now)", "leverage", "open-interest cap",
            "surcharge", "a claim", "a window")  # fmt: skip
    symbol = parameters.token.symbol or "tokens"
    return f"for a fund of {capital:,.0f} {symbol}\n\n{table(head, rows)}\n"
