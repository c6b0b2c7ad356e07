"""What the tests of the risk lab's commands share."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

FEW = "--paths 300 --level 0.95 --backend serial --horizon 6h"


def failed(result: Any, code: int = 2) -> str:
    """The output of a command that refused."""
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return str(result.output)


def summary(folder: Path) -> Any:
    """summary.json of a report."""
    return json.loads((folder / "summary.json").read_text())


def rows(path: Path) -> list[dict[str, str]]:
    """A CSV file of a report."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
