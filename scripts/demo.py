"""Play a crash against the contracts."""

from __future__ import annotations

import sys

import click


@click.command(short_help="Play a crash against the contracts")
@click.option(
    "--scenario",
    default=None,
    help="Name of a file under scenarios/, or a path.  [default: crash-2025-10-10]",
)
@click.option("--accounts", type=int, default=None, help="Traders and market makers together.")
@click.option("--seed", type=int, default=1, show_default=True, help="Draws another book.")
@click.option(
    "--fund", default=None, help="Size of the fund: a factor (2x, 50%) or tokens in all (300000)."
)
@click.option("--keep-node", is_flag=True, help="Leave the node running until Ctrl-C.")
@click.option("--watch", is_flag=True, help="Serve the live page meanwhile; implies --keep-node.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
@click.option(
    "--network",
    default=None,
    help="Play on this network's development node instead of a new one, such as"
    " ethereum:local:foundry with APE_FOUNDRY_HOST.",
)
def cli(
    scenario: str | None,
    accounts: int | None,
    seed: int,
    fund: str | None,
    keep_node: bool,
    watch: bool,
    as_json: bool,
    network: str | None,
) -> None:
    """Play a crash: traders, keepers, price impact, and the insurance fund drawn layer by layer.

    It starts a node of its own, deploys, opens positions by signed orders, and plays the prices of
    a scenario step by step. At the end come the receipts, who paid what, and the conservation
    check. The exit code is 1 if an invariant fails. What is modelled: docs/demo.md.

    \b
    Examples:
      ape run demo
      ape run demo --scenario squeeze --accounts 500 --seed 7
      ape run demo --scenario crash-2020-03-12 --fund 3x
      ape run demo --watch
    """
    from backstop.harness.demo.run import Settings, run
    from backstop.harness.scenario import DEFAULT

    def play(url: str | None) -> int:
        return run(
            Settings(
                scenario=scenario or DEFAULT,
                accounts=accounts,
                seed=seed,
                fund=fund,
                url=url,
                keep_node=keep_node,
                watch=watch,
                json=as_json,
            )
        )

    if network is None:
        sys.exit(play(None))
    from ape import networks

    with networks.parse_network_choice(network) as provider:
        sys.exit(play(str(getattr(provider, "uri", ""))))
