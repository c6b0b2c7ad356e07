"""Copies of twin state; `copy.deepcopy` is what fuzzing would mostly wait for."""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")

_ATOMS = frozenset({int, str, bytes, bool, float, type(None)})


def fork(value: T) -> T:
    """A copy that shares nothing that can change with the original.

    Dicts, lists and dataclasses are copied field by field; numbers, text, tuples and frozen
    dataclasses are taken to hold nothing that changes; everything else goes to `copy.deepcopy`. Two
    references to one object become two objects.
    """
    copied: Any = value
    kind: Any = type(value)
    if kind is dict:
        copied = {key: fork(item) for key, item in copied.items()}
    elif kind is list:
        copied = [fork(item) for item in copied]
    elif not _is_fixed(kind):
        if hasattr(kind, "__dataclass_fields__") and hasattr(value, "__dict__"):
            copied = object.__new__(kind)
            copied.__dict__.update({name: fork(item) for name, item in vars(value).items()})
        else:
            copied = copy.deepcopy(value)
    result: T = copied
    return result


@lru_cache
def _is_fixed(kind: type) -> bool:
    if kind in _ATOMS or kind is tuple:
        return True
    parameters = getattr(kind, "__dataclass_params__", None)
    return parameters is not None and parameters.frozen
