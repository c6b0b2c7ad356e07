"""Encoding and decoding by ABI, strictly.

Importing ape replaces eth-abi's decoder of unsigned integers by one that reads missing bytes as
zero, so that a view on an address without code answers 0 and every check built on it passes. Ours
(`decoding.py`) raises instead.
"""

from __future__ import annotations

import dataclasses
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import rlp  # type: ignore[import-untyped]
from eth_abi.exceptions import EncodingError
from eth_abi.registry import registry
from eth_utils import keccak, to_canonical_address

from backstop.harness.decoding import BadData, array_parts, checksum, tuple_reader

Abi = Sequence[Mapping[str, Any]]
"""An ABI in its JSON form: a list of functions, events and errors."""

_PANICS = {
    0x00: "generic",
    0x01: "assertion failed",
    0x11: "arithmetic overflow",
    0x12: "division by zero",
    0x21: "invalid enum value",
    0x22: "corrupt storage array",
    0x31: "pop from empty array",
    0x32: "index out of bounds",
    0x41: "out of memory",
    0x51: "call of an uninitialised function",
}
_BUILT_IN_ERRORS: Abi = [
    {"type": "error", "name": "Error", "inputs": [{"name": "message", "type": "string"}]},
    {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
]


class NoData(LookupError):
    """A call returned less than its ABI promises: most likely no contract is at the address."""


class Reverted(Exception):
    """The contract refused.

    Attributes:
        name: the custom error's name, `Error` or `Panic` for Solidity's own, `Halted` where the EVM
            stopped (out of gas, invalid opcode), the selector in hex where no ABI is known, and
            the empty string for a revert without data.
        arguments: the error's arguments by name (by position, as `"0"`, where they have none).
        data: the revert data as returned, selector included.
    """

    def __init__(
        self, name: str, arguments: Mapping[str, Any] | None = None, data: bytes = b""
    ) -> None:
        super().__init__(name, dict(arguments or {}), data)
        self.name = name
        self.arguments: dict[str, Any] = dict(arguments or {})
        self.data = data

    def __str__(self) -> str:
        if not self.name:
            return "reverted without data"
        listed = ", ".join(f"{key}={value!r}" for key, value in self.arguments.items())
        return f"{self.name}({listed})"


@dataclasses.dataclass(frozen=True)
class Event:
    """A decoded log: `event.amount` and `event["amount"]` are the same.

    A parameter that is indexed and of dynamic type holds the 32-byte hash that the log keeps of it.
    """

    name: str
    arguments: dict[str, Any]
    address: str
    index: int

    def __getitem__(self, key: str) -> Any:
        return self.arguments[key]

    def __getattr__(self, key: str) -> Any:
        # dunder look-ups of copy and pickle come here before `arguments` exists
        if key.startswith("__") or key == "arguments":
            raise AttributeError(key)
        try:
            return self.arguments[key]
        except KeyError:
            raise AttributeError(
                f"{self.name} has no parameter {key}: {list(self.arguments)}"
            ) from None


def created_address(creator: str, nonce: int) -> str:
    """Address of what `creator` deploys with this nonce: keccak(rlp([creator, nonce])), low 20."""
    return checksum("0x" + keccak(rlp.encode([to_canonical_address(creator), nonce]))[12:].hex())


def address_of(value: Any) -> str:
    """The address of a hex string, 20 bytes, or anything with an `address` (account, contract)."""
    target = getattr(value, "address", value)
    if isinstance(target, bytes | bytearray) and len(target) == 20:
        return "0x" + bytes(target).hex()
    if isinstance(target, str) and len(target) == 42 and target.startswith("0x"):
        return target
    raise TypeError(f"not an address: {value!r}")


def abi_of(source: Any) -> list[dict[str, Any]]:
    """The JSON ABI of a list, of a dictionary with `abi`, or of ape's contract objects."""
    contract_type = getattr(source, "contract_type", source)
    if isinstance(contract_type, Mapping):
        contract_type = contract_type["abi"]
    elif hasattr(contract_type, "abi"):
        contract_type = contract_type.abi
    return [
        dict(item)
        if isinstance(item, Mapping)
        else item.model_dump(mode="json", by_alias=True, exclude_none=True)
        for item in contract_type
    ]


def bytecode_of(source: Any) -> bytes:
    """The creation code of ape's contract objects, or of a dictionary with `deploymentBytecode`."""
    contract_type = getattr(source, "contract_type", source)
    if isinstance(contract_type, Mapping):
        code = contract_type["deploymentBytecode"]
    else:
        code = contract_type.deployment_bytecode
    if isinstance(code, Mapping):
        code = code["bytecode"]
    code = getattr(code, "bytecode", code)
    if not code or code == "0x":
        raise ValueError("no creation code: an interface or an abstract contract")
    text = str(code).removeprefix("0x")
    if not re.fullmatch(r"[0-9a-fA-F]*", text):
        raise ValueError("the creation code has library placeholders; link it first")
    return bytes.fromhex(text)


def canonical_type(component: Mapping[str, Any]) -> str:
    """The type as it stands in a signature: structs as tuples of their members."""
    kind = str(component["type"])
    if not kind.startswith("tuple"):
        return kind
    members = ",".join(canonical_type(member) for member in component["components"])
    return f"({members}){kind[len('tuple') :]}"


def signature_of(item: Mapping[str, Any]) -> str:
    """`name(type,type)` of a function, event or error."""
    return f"{item['name']}({','.join(canonical_type(i) for i in item.get('inputs', []))})"


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


_Pack = Callable[[Any, str], Any]


def _members(value: Any, components: Sequence[Mapping[str, Any]], where: str) -> list[Any]:
    """A struct's members in the order of the ABI, from a mapping, a dataclass or a sequence."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        left = dict(value)
        members = []
        for component in components:
            name = str(component["name"])
            for key in (name, name.lstrip("_"), _snake(name), _snake(name.lstrip("_"))):
                if key in left:
                    members.append(left.pop(key))
                    break
            else:
                raise TypeError(f"{where}: member {name} is missing")
        if left:
            raise TypeError(f"{where}: no such member: {', '.join(map(str, left))}")
        return members
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        if len(value) != len(components):
            raise TypeError(f"{where}: {len(components)} members, got {len(value)}")
        return list(value)
    raise TypeError(f"{where}: a struct takes a mapping, a dataclass or a sequence, got {value!r}")


def _packer(component: Mapping[str, Any]) -> _Pack:
    """A function from what callers write to what eth-abi encodes; `where` is for messages."""
    if array := array_parts(component):
        item_component, length = array
        pack_item = _packer(item_component)

        def pack_array(value: Any, where: str) -> list[Any]:
            if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
                raise TypeError(f"{where}: an array takes a sequence, got {value!r}")
            items = [pack_item(item, f"{where}[{i}]") for i, item in enumerate(value)]
            if length is not None and len(items) != length:
                raise TypeError(f"{where}: {length} items, got {len(items)}")
            return items

        return pack_array

    kind = str(component["type"])
    if kind == "tuple":
        components = component["components"]
        packers = [_packer(member) for member in components]
        names = [str(member.get("name", i)) for i, member in enumerate(components)]

        def pack_struct(value: Any, where: str) -> tuple[Any, ...]:
            return tuple(
                pack(member, f"{where}.{name}")
                for pack, member, name in zip(
                    packers, _members(value, components, where), names, strict=True
                )
            )

        return pack_struct

    if kind == "address":

        def pack_address(value: Any, where: str) -> str:
            try:
                return address_of(value)
            except TypeError as error:
                raise TypeError(f"{where}: {error}") from None

        return pack_address

    if kind.startswith("bytes"):

        def pack_bytes(value: Any, where: str) -> bytes:
            if isinstance(value, str) and value.startswith("0x"):
                value = bytes.fromhex(value[2:])
            if not isinstance(value, bytes | bytearray | memoryview):
                raise TypeError(f"{where}: bytes or 0x-string expected, got {value!r}")
            value = bytes(value)
            if kind != "bytes" and len(value) != int(kind[len("bytes") :]):
                raise TypeError(f"{where}: {kind} expected, got {len(value)} bytes")
            return value

        return pack_bytes

    if kind.startswith(("uint", "int")):

        def pack_integer(value: Any, where: str) -> int:
            if isinstance(value, bool):
                raise TypeError(f"{where}: {kind} expected, got {value!r}")
            try:
                return operator.index(value)
            except TypeError:
                raise TypeError(f"{where}: {kind} expected, got {value!r}") from None

        return pack_integer

    expected = {"bool": bool, "string": str}.get(kind)

    def pack_plain(value: Any, where: str) -> Any:
        if expected is not None and not isinstance(value, expected):
            raise TypeError(f"{where}: {kind} expected, got {value!r}")
        return value

    return pack_plain


class Codec:
    """Encodes and decodes one parameter list (a function's inputs, its outputs, an error's)."""

    def __init__(self, components: Sequence[Mapping[str, Any]], label: str) -> None:
        self.label = label
        self.components = components
        self.types = f"({','.join(canonical_type(component) for component in components)})"
        self._packers = [_packer(component) for component in components]
        self._read = tuple_reader(components, "Values").read
        self._names = [
            str(component.get("name") or position) for position, component in enumerate(components)
        ]
        self._encode = registry.get_encoder(self.types) if components else None

    def encode(self, values: Sequence[Any]) -> bytes:
        """The ABI encoding; raises TypeError or ValueError that names the parameter."""
        if len(values) != len(self._packers):
            raise TypeError(f"{self.label} takes {len(self._packers)} arguments, got {len(values)}")
        packed = [
            pack(value, f"{self.label}: {name}")
            for pack, value, name in zip(self._packers, values, self._names, strict=True)
        ]
        if self._encode is None:
            return b""
        try:
            return bytes(self._encode(packed))
        except EncodingError as error:
            raise ValueError(f"{self.label}: {error}") from error

    def decode(self, data: bytes) -> tuple[Any, ...]:
        """The values as a named tuple, structs as named tuples; NoData if the data is short."""
        try:
            values: tuple[Any, ...] = self._read(data, 0)
        except BadData as error:
            what = "no data" if not data else f"{len(data)} bytes that do not decode"
            raise NoData(f"{self.label} returned {what}: {error}") from error
        return values

    def decode_named(self, data: bytes) -> dict[str, Any]:
        """The values by parameter name."""
        return dict(zip(self._names, self.decode(data), strict=True))


class _EventCodec:
    """Decodes the logs of one event."""

    def __init__(self, item: Mapping[str, Any]) -> None:
        self.name = str(item["name"])
        inputs = [
            {**component, "name": component.get("name") or str(position)}
            for position, component in enumerate(item["inputs"])
        ]
        self.order = [str(component["name"]) for component in inputs]
        self.topics: list[tuple[str, Codec | None]] = []
        for component in inputs:
            if component.get("indexed"):
                name, kind = str(component["name"]), str(component["type"])
                hashed = kind in ("string", "bytes", "tuple") or kind.endswith("]")
                self.topics.append((name, None if hashed else Codec([component], self.name)))
        self.data = Codec([c for c in inputs if not c.get("indexed")], self.name)

    def decode(self, topics: Sequence[str], data: bytes) -> dict[str, Any]:
        values = self.data.decode_named(data)
        for (name, codec), topic in zip(self.topics, topics, strict=True):
            raw = bytes.fromhex(topic[2:])
            values[name] = raw if codec is None else codec.decode(raw)[0]
        return {name: values[name] for name in self.order}


class AbiRegistry:
    """The errors and events of every ABI it was shown, so that any contract's can be decoded.

    An error or event that bubbles up from a library or another contract has the same selector
    there, so one registry serves a whole deployment.
    """

    def __init__(self) -> None:
        self._errors: dict[bytes, tuple[str, Codec]] = {}
        self._events: dict[tuple[str, int], _EventCodec] = {}
        self._known: set[str] = set()
        self.add(_BUILT_IN_ERRORS)

    def add(self, source: Any) -> None:
        """Learn the errors and events of an ABI (anything that `abi_of` understands)."""
        for item in abi_of(source):
            kind = item.get("type")
            if kind not in ("error", "event") or item.get("anonymous"):
                continue
            signature = signature_of(item)
            indexed = sum(bool(component.get("indexed")) for component in item["inputs"])
            key = f"{kind} {signature} {indexed}"
            if key in self._known:
                continue
            self._known.add(key)
            digest = keccak(text=signature)
            if kind == "error":
                self._errors[digest[:4]] = (item["name"], Codec(item["inputs"], item["name"]))
            else:
                self._events["0x" + digest.hex(), indexed] = _EventCodec(item)

    def decode_error(self, data: bytes, message: str = "") -> Reverted:
        """The exception for revert data; `message` tells a halt from a revert without data."""
        if not data:
            halted = message and "revert" not in message.lower()
            return Reverted("Halted", {"reason": message}) if halted else Reverted("")
        name, codec = self._errors.get(data[:4], ("0x" + data[:4].hex(), None))
        if codec is None:
            return Reverted(name, {}, data)
        try:
            arguments = codec.decode_named(data[4:])
        except NoData:
            return Reverted("0x" + data[:4].hex(), {}, data)
        if name == "Panic":
            arguments["meaning"] = _PANICS.get(arguments["code"], "unknown")
        return Reverted(name, arguments, data)

    def decode_log(self, log: Mapping[str, Any]) -> Event:
        """The event of a log as a node returns it; an unknown one is named by its topic."""
        topics = [str(topic) for topic in log["topics"]]
        address = checksum(str(log["address"]))
        index = int(str(log.get("logIndex") or "0x0"), 16)
        data = bytes.fromhex(str(log["data"])[2:])
        codec = self._events.get((topics[0], len(topics) - 1)) if topics else None
        if codec is None:
            return Event(topics[0] if topics else "", {"data": data}, address, index)
        return Event(codec.name, codec.decode(topics[1:], data), address, index)
