"""The transparency report: what the fund holds and owes, and who paid for every event.

    report = build(store, system, first, last)
    write(report, folder)

Everything in it follows from the chain and the deployment record: the same block gives the same
bytes to everybody. `docs/report.md` says how each number is made.
"""

from backstop.report.build import Report, build
from backstop.report.errors import ReportError
from backstop.report.output import write

__all__ = ["Report", "ReportError", "build", "write"]
