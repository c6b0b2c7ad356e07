"""Writing a report: `report.json` and a page of its own, `index.html`."""

from __future__ import annotations

from pathlib import Path

from backstop.chain.files import write_whole
from backstop.report.build import Report
from backstop.report.errors import ReportError
from backstop.report.page import render


def write(report: Report, folder: str | Path) -> tuple[Path, Path]:
    """Write the page and the JSON; a reader sees the old files or the new ones.

    Returns:
        Where the page and the JSON are.

    Raises:
        ReportError: the folder cannot be written.
    """
    folder = Path(folder)
    page, data = folder / "index.html", folder / "report.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(data, report.text)
        write_whole(page, render(report))
    except OSError as error:
        raise ReportError(
            f"{folder} cannot be written ({error.strerror or error}): name another folder with"
            " --out, or make room"
        ) from error
    return page, data
