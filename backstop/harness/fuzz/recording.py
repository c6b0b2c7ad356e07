"""A duel that writes down its actions as data, and acts them again from data.

Every public method of `Duel` with a `delay` is an action; its arguments are written with the names
of accounts and owners instead of addresses, and with times relative to the start or to the action,
so that a recording means the same on every deployment of the world.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Final, get_args, get_origin

from backstop.harness.duel import Duel, Expected
from backstop.harness.world import MARKETS, MAX_UINT256, ChainWorld
from backstop.model.orders import Order, Signed

Action = Mapping[str, Any]
"""`do` names the method of the duel, the other keys are its arguments."""

_RELATIVE: Final = frozenset({"updated_at"})
"""Parameters that are times: written as seconds after the action."""

_ORDER: Final = tuple(name for name in inspect.signature(Order).parameters)


class ActionError(ValueError):
    """An action that cannot be read: which field, its value, what is expected."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        super().__init__(f"{field} is {value!r}: expected {expected}")
        self.field = field


def _actions() -> dict[str, tuple[inspect.Signature, Mapping[str, Any]]]:
    """The actions of a duel: signature and types of every method that takes a delay."""
    found: dict[str, tuple[inspect.Signature, Mapping[str, Any]]] = {}
    for name, method in inspect.getmembers(Duel, inspect.isfunction):
        if name == "act" or name.startswith("_"):
            continue
        signature = inspect.signature(method)
        if "delay" in signature.parameters:
            found[name] = (signature, typing.get_type_hints(method))
    return found


ACTIONS: Final = _actions()


class RecordingDuel(Duel):
    """A duel whose actions are kept in `played`, and that can `perform` recorded ones.

    `called` counts the functions of the contracts that were asked for, as `contract.function`.
    """

    def __init__(self, chain: ChainWorld | None = None, *, check: bool = True) -> None:
        super().__init__(chain, check=check)
        self.start = self.world.now
        self.played: list[Action] = []
        self.called: Counter[str] = Counter()
        self._recording = True
        self._names = self._named()
        self._known = {name: value for value, name in self._names.items()}

    def _named(self) -> dict[bytes, str]:
        """What accounts, owners and the backstop's accounts are called in a recording."""
        names = {b"": "admin"}
        names |= {who: f"owner {i}" for i, who in enumerate(self.owners)}
        names |= {account: f"account {i}" for i, account in enumerate(self.accounts)}
        backstop = self.world.backstop
        for market in range(len(MARKETS)):
            account = backstop.account_of(market)
            names |= {account: f"backstop {market}", account[:20]: "backstop"}
        return names

    def act(
        self,
        kind: str,
        twin: Callable[[], Any],
        contract: str,
        function: str,
        *args: Any,
        **kwargs: Any,
    ) -> Expected:
        """`Duel.act`, with a count of the function."""
        at = "feed" if contract in self.world.oracle.rounds else contract
        self.called[f"{at}.{function}"] += 1
        return super().act(kind, twin, contract, function, *args, **kwargs)

    # ------------------------------------------------------------------ comparing

    def complete(self) -> None:
        """Adds the steps that end a play: what has become of every order."""
        self._ask_for_orders()

    # ------------------------------------------------------------------ to data

    def note(self, name: str, bound: inspect.BoundArguments) -> None:
        """Writes down a call of one of the duel's methods."""
        parameters = ACTIONS[name][0].parameters
        action: dict[str, Any] = {"do": name}
        then = self.world.now + int(bound.arguments["delay"])
        for key, value in bound.arguments.items():
            if key == "self" or value == parameters[key].default:
                continue
            action[key] = value - then if key in _RELATIVE else self._written(value)
        self.played.append(action)

    def _written(self, value: Any) -> Any:
        if isinstance(value, bytes):
            return self._names.get(value) or "0x" + value.hex()
        if isinstance(value, Signed):
            order = {key: self._written(getattr(value.order, key)) for key in _ORDER}
            order["expiry"] = value.order.expiry - self.start
            return order if value.valid else {**order, "valid": False}
        if isinstance(value, Enum):
            return value.name
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [self._written(item) for item in value]
        return "max" if value == MAX_UINT256 else value

    # ------------------------------------------------------------------ from data

    def perform(self, action: Action) -> Expected:
        """Acts what was written down.

        Raises:
            ActionError: the action is not one of a duel's, or one of its arguments is wrong.
        """
        name = action.get("do")
        if name not in ACTIONS:
            raise ActionError("do", name, f"one of {', '.join(sorted(ACTIONS))}")
        signature, hints = ACTIONS[str(name)]
        given = {key: value for key, value in action.items() if key != "do"}
        arguments = {}
        for key, value in given.items():
            if key not in hints or key in ("self", "return"):
                raise ActionError(
                    key, value, f"one of the arguments {', '.join(_names(signature))}"
                )
            arguments[key] = self._read(key, value, hints[key])
        delay = arguments.get("delay", 0)
        if isinstance(delay, int) and delay < 0:
            raise ActionError("delay", delay, "0 or more seconds")
        for key in _RELATIVE & arguments.keys():
            arguments[key] += self.world.now + delay
        try:
            signature.bind(self, **arguments)
        except TypeError as error:
            raise ActionError(str(name), given, f"all its arguments ({error})") from None
        result: Expected = getattr(self, str(name))(**arguments)
        return result

    def _read(self, key: str, value: Any, hint: Any) -> Any:
        if hint is bytes:
            return self._bytes(key, value)
        if hint is Signed:
            return self._order(key, value)
        if get_origin(hint) is not None:
            if not isinstance(value, list):
                raise ActionError(key, value, "a list")
            inner = get_args(hint)[0]
            return [self._read(f"{key}[{i}]", item, inner) for i, item in enumerate(value)]
        if isinstance(hint, type) and issubclass(hint, Enum):
            if value not in hint.__members__:
                raise ActionError(key, value, f"one of {', '.join(hint.__members__)}")
            return hint[value]
        if hint is int and value == "max":
            return MAX_UINT256
        if type(value) is not hint:
            raise ActionError(
                key, value, {int: "a whole number", bool: "true or false"}.get(hint, "text")
            )
        return value

    def _bytes(self, key: str, value: Any) -> bytes:
        if value in self._known:
            return self._known[value]
        if isinstance(value, str) and value.startswith("0x"):
            try:
                return bytes.fromhex(value[2:])
            except ValueError:
                pass
        raise ActionError(key, value, f"one of {', '.join(self._known)}, or 0x and hex digits")

    def _order(self, key: str, value: Any) -> Signed:
        if not isinstance(value, Mapping) or set(value) - {"valid"} != set(_ORDER):
            raise ActionError(key, value, f"an order with the fields {', '.join(_ORDER)}")
        hints = typing.get_type_hints(Order)
        read = {name: self._read(f"{key}.{name}", value[name], hints[name]) for name in _ORDER}
        read["expiry"] += self.start
        try:
            return self.sign(**read, valid=value.get("valid", True))
        except (KeyError, StopIteration, OverflowError) as error:
            raise ActionError(key, value, f"an order of one of the accounts ({error!r})") from None


def _names(signature: inspect.Signature) -> list[str]:
    return [name for name in signature.parameters if name != "self"]


def _recorded(name: str, method: Callable[..., Expected]) -> Callable[..., Expected]:
    signature = ACTIONS[name][0]

    @functools.wraps(method)
    def acting(self: RecordingDuel, *args: Any, **kwargs: Any) -> Expected:
        if not self._recording:
            return method(self, *args, **kwargs)
        self.note(name, signature.bind(self, *args, **kwargs))
        self._recording = False  # what an action does by way of others is part of it
        try:
            return method(self, *args, **kwargs)
        finally:
            self._recording = True

    return acting


for _name in ACTIONS:
    setattr(RecordingDuel, _name, _recorded(_name, getattr(Duel, _name)))
