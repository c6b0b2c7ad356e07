"""What shocks and recorded crashes do."""

from __future__ import annotations

import click

from backstop.report.risk.command import (
    LabCommand,
    Output,
    PercentType,
    PlatformSource,
    Shown,
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
    source: PlatformSource,
    shock: float,
    replays: tuple[str, ...],
    output: Output,
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
    platform = source.load()
    crashes = [Scenario.load(name) for name in replays or names()]
    with Shown(output.as_json) as shown:
        study = study_stress(platform, shock, crashes, shown.step)
        made = report(study)
    output.write(made, 16)
