"""The examples of docs/laws.md, run on the twin."""

from __future__ import annotations

import doctest
from pathlib import Path

LAWS = Path(__file__).parents[2] / "docs" / "laws.md"


def test_the_examples_hold() -> None:
    failed, tried = doctest.testfile(str(LAWS), module_relative=False)
    assert failed == 0 and tried > 25
