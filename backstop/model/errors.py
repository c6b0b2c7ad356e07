"""The error every twin raises: a contract's custom error by name."""

from __future__ import annotations


class ModelError(Exception):
    """A revert. `name` is the Solidity error's name, `args` are its arguments."""

    def __init__(self, name: str, *args: object) -> None:
        super().__init__(*args)
        self.name = name

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(repr, self.args))})"
