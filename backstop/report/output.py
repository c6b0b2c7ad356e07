"""Writing a report: `report.json` and a page of its own, `index.html`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

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
        _replace(data, report.text)
        _replace(page, render(report))
    except OSError as error:
        raise ReportError(
            f"{folder} cannot be written ({error.strerror or error}): name another folder with"
            " --out, or make room"
        ) from error
    return page, data


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
