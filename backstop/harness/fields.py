"""Reading a scenario file field by field, with errors that say where, what, and what to do."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, TypeVar

import yaml

from backstop.chain.config import ConfigError
from backstop.chain.units import UnitError, parse_decimal, parse_duration, parse_fraction

T = TypeVar("T")

_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?Z")


class ScenarioError(ConfigError):
    """A scenario file that cannot be used; says file, field, value, what is allowed, remedy."""


class _TextLoader(yaml.BaseLoader):
    """Every scalar is a text; a repeated key is an error."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                mark = node.value[position][0].start_mark
                raise yaml.MarkedYAMLError(problem=f"{key} is there twice", problem_mark=mark)
        return super().construct_mapping(node, deep)


def read_yaml(text: str, file: str) -> object:
    """The file's content, every scalar as text; ScenarioError if it is no YAML."""
    try:
        return yaml.load(text, _TextLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ScenarioError(
            file, "", f"no YAML: {problem}{where}", "valid YAML", "correct the file there"
        ) from None


class Fields:
    """A mapping of the file, its place, and which of its fields have been read."""

    def __init__(self, file: str, path: str, data: object) -> None:
        self.file, self.path = file, path
        if not isinstance(data, Mapping):
            raise ScenarioError(file, path, data or None, "a mapping of fields")
        self.data = data
        self._read: list[str] = []

    def where(self, key: str) -> str:
        """The place of a field in the file."""
        return f"{self.path}.{key}" if self.path else key

    def fail(self, key: str, value: object, allowed: str, remedy: str | None = None) -> NoReturn:
        """Refuse a field."""
        raise ScenarioError(self.file, self.where(key), value, allowed, remedy)

    def raw(self, key: str, allowed: str) -> Any:
        """A field that has to be there."""
        self._read.append(key)
        value = self.data.get(key)
        if value is None or value == "":
            self.fail(key, None, allowed, f"add {self.where(key)} to {self.file}")
        return value

    def child(self, key: str) -> Fields:
        """A mapping in a field."""
        return Fields(self.file, self.where(key), self.raw(key, "a mapping of fields"))

    def children(self, key: str) -> list[Fields]:
        """A list of mappings, at least one."""
        value = self.raw(key, "a list")
        if not isinstance(value, list) or not value:
            self.fail(key, value, "a list with at least one entry")
        return [Fields(self.file, f"{self.where(key)}[{i}]", v) for i, v in enumerate(value)]

    def text(self, key: str, allowed: str = "a text") -> str:
        """A text without blanks around it."""
        value = self.raw(key, allowed)
        if not isinstance(value, str):
            self.fail(key, value, allowed)
        return value.strip()

    def parsed(self, key: str, parse: Callable[[str], T], allowed: str = "a text") -> T:
        """What `parse` makes of a text; its UnitError says what is allowed."""
        text = self.text(key, allowed)
        try:
            return parse(text)
        except UnitError as error:
            self.fail(key, text, str(error))

    def number(self, key: str, low: float, high: float = math.inf) -> float:
        """A number between two bounds, both included."""
        allowed = f"a number from {low:g}" + (f" to {high:g}" if high < math.inf else "")
        value = float(self.parsed(key, parse_decimal, allowed))
        if not low <= value <= high:
            self.fail(key, self.text(key), allowed)
        return value

    def whole(self, key: str, low: int, high: int) -> int:
        """A whole number between two bounds."""
        value = self.number(key, low, high)
        if value != int(value):
            self.fail(key, self.text(key), f"a whole number from {low} to {high}")
        return int(value)

    def share(self, key: str, low: str = "0%", high: str = "100%") -> float:
        """A percentage between two bounds, as a fraction."""
        value = self.parsed(key, lambda text: parse_fraction(text, 9), "a percentage such as 5%")
        if not parse_fraction(low, 9) <= value <= parse_fraction(high, 9):
            self.fail(key, self.text(key), f"a percentage from {low} to {high}")
        return value / 1e9

    def seconds(self, key: str, low: int, high: int) -> int:
        """A duration between two bounds, seconds."""
        value = self.parsed(key, parse_duration, "a duration such as 30s, 1m or 1h")
        if not low <= value <= high:
            self.fail(key, self.text(key), f"a duration from {low}s to {high}s")
        return value

    def time(self, key: str) -> int:
        """A time in UTC, seconds since 1970."""
        text = self.text(key, "a time such as 2025-10-10T20:50Z")
        if not _TIME.fullmatch(text):
            self.fail(key, text, "a time in UTC such as 2025-10-10T20:50Z")
        try:
            return int(datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC).timestamp())
        except ValueError:
            self.fail(key, text, "a day and time that exist, such as 2025-10-10T20:50Z")

    def done(self) -> None:
        """Refuse what was not read."""
        for key in self.data:
            if key not in self._read:
                self.fail(
                    str(key),
                    "an unknown field",
                    f"one of {', '.join(sorted(set(self._read)))}",
                    f"remove or rename {self.where(str(key))}",
                )
