"""Post the fund's target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from ape.cli import account_option

from backstop.chain.commands import UserCommand, answer, json_option, open_system


@click.command(cls=UserCommand, short_help="Post the fund's target")
@click.argument("summary", type=click.Path(path_type=Path), default=Path("reports/size-fund"))
@account_option()
@click.option("--dry-run", is_flag=True, help="Show what would be posted; send nothing.")
@json_option
def cli(summary: Path, account: Any, dry_run: bool, as_json: bool) -> None:
    """Send the target of SUMMARY (a size-fund summary.json or its folder) to the RiskOracle.

    With it go each market's part and the hashes of data and code, so that anybody can compute it
    again. The account must be a reporter.

    \b
    Example:
      ape run post-target reports/size-fund --account TEST::0 --dry-run
    """
    from backstop.chain.clients import Trader
    from backstop.chain.commands import UserError
    from backstop.chain.format import amount
    from backstop.chain.units import from_units
    from backstop.report.risk.posting import (
        as_dict,
        load_posting,
        not_reporter,
        reporters,
        risk_oracle,
    )

    system = open_system()
    record = system.record
    numbers = {market.name: number for number, market in enumerate(record.markets)}
    posting = load_posting(summary, numbers, record.token_decimals)
    oracle = risk_oracle(system)
    sender = Trader(system, account).address
    result = as_dict(posting, record.token_decimals)

    def tokens(units: int) -> str:
        return f"{amount(from_units(units, record.token_decimals))} {record.token_symbol}"

    known = reporters(oracle)
    lines = [
        f"target {tokens(posting.target)}",
        *(f"  {record.markets[m].name} {tokens(part)}" for m, part in posting.contributions),
        f"data {result['data_hash']}",
        f"code {result['code_hash']}",
    ]
    if dry_run:
        if sender not in known:
            lines.append(not_reporter(sender, known))
        lines.append("dry run: nothing was sent")
        answer(as_json, {**result, "sent": False, "reporter": sender in known}, "\n".join(lines))
        return
    if sender not in known:
        raise UserError(not_reporter(sender, known))
    receipt = oracle.post.send(
        posting.target, posting.data_hash, posting.code_hash, list(posting.contributions),
        sender=sender,
    )  # fmt: skip
    now = oracle.target()
    lines.append(f"posted in {receipt.transaction}; the oracle's target is {tokens(now)} now")
    sent = {"sent": True, "transaction": receipt.transaction, "oracle_target": str(now)}
    answer(as_json, {**result, **sent}, "\n".join(lines))
