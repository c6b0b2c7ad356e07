"""What shocks and recorded crashes do."""

from __future__ import annotations

from pathlib import Path

import click

from backstop.report.risk.command import (
    LabCommand,
    PercentType,
    Shown,
    finish,
    load_platform,
    out_option,
    platform_options,
)


@click.command(cls=LabCommand, short_help="What shocks and recorded crashes do")
@platform_options
@click.option(
    "--shock",
    type=PercentType(),
    default="20%",
    show_default=True,
    help="Of the cascade comparison, down and up.",
)
@click.option(
    "--replay",
    "replays",
    multiple=True,
    help="Scenario whose prices are replayed; repeat.  [default: all]",
)
@out_option("stress")
def cli(
    scenario: str | None,
    accounts: int | None,
    book_seed: int,
    network: str | None,
    volumes: tuple[tuple[str, str], ...],
    shock: float,
    replays: tuple[str, ...],
    out: Path,
    as_json: bool,
) -> None:
    """Shock the prices: a ladder, recorded crashes, and the smallest move that empties the fund.

    Also the cascade with and without price impact, the impact at which it runs away, and the
    largest shortfalls by owner. Ctrl-C writes what is there.

    \b
    Examples:
      ape run stress
      ape run stress --scenario squeeze --shock 30%
      ape run stress --network ethereum:local:foundry
    """
    from backstop.chain.commands import UserError
    from backstop.harness.scenario import Scenario, names
    from backstop.report.risk.stressing import report, study_stress

    if not 0 < shock < 1:
        raise UserError(f"--shock {shock:.0%} is not between 0 % and 100 %: use 20%", 2)
    platform = load_platform(
        scenario=scenario, accounts=accounts, book_seed=book_seed, network=network, volumes=volumes
    )
    crashes = [Scenario.load(name) for name in replays or names()]
    with Shown(as_json) as shown:
        study = study_stress(platform, shock, crashes, shown.step)
        page, summary, tables = report(study)
    lines = [f"{counter.label:16} {counter.value:>14}  {counter.note}" for counter in page.counters]
    finish(out, as_json, page, summary, tables, "\n".join([*page.alerts, *lines]))
