"""Decoding by ABI, compiled once for each list of types.

Most of a fuzzing worker's time outside of twin and node went into eth-abi's decoder, which reads
every word through half a dozen calls; this one takes a slice of the data and checks the same
things. It answers as eth-abi does, padding and ranges included, and is compared with it in
`tests/unit/harness/test_decoding.py`. Encoding is left to eth-abi.
"""

from __future__ import annotations

import keyword
import re
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from eth_utils import to_checksum_address

Component = Mapping[str, Any]
"""A parameter or a member as the JSON ABI has it: `type`, `name`, and `components` of a tuple."""

Read = Callable[[bytes, int], Any]
"""The value whose encoding begins at a place of the data."""

_WORD: Final = 32
_ARRAY: Final = re.compile(r"^(?P<item>.*)\[(?P<length>\d*)\]$")
_SIZED: Final = re.compile(r"^(?P<kind>uint|int|bytes)(?P<size>\d+)$")


class BadData(ValueError):
    """Data that is no encoding of the types."""


@dataclass(frozen=True)
class Reader:
    """How values of one type are read.

    Attributes:
        size: bytes that the type takes in the head of what contains it.
        dynamic: the head holds only an offset.
    """

    read: Read
    size: int
    dynamic: bool


@lru_cache(maxsize=4096)
def checksum(address: str | bytes) -> str:
    """The EIP-55 form of an address; hashing is slow, so the results are kept."""
    return str(to_checksum_address(address))


def array_parts(component: Component) -> tuple[dict[str, Any], int | None] | None:
    """Item and length (None: any) of an array type; None for another type."""
    found = _ARRAY.match(str(component["type"]))
    if not found:
        return None
    length = int(found["length"]) if found["length"] else None
    return {**component, "type": found["item"]}, length


def reader_of(component: Component) -> Reader:
    """The reader of a type: structs become named tuples, addresses have their checksum.

    Raises:
        TypeError: a type that Solidity's ABI has and we never use (`function`, `fixed`).
    """
    if array := array_parts(component):
        return _array(reader_of(array[0]), array[1])
    kind = str(component["type"])
    if kind == "tuple":
        label = str(component.get("internalType", "")).rpartition(".")[2]
        label = re.sub(r"^struct |\[.*$", "", label)
        return tuple_reader(component["components"], label if label.isidentifier() else "Struct")
    if kind in _PLAIN:
        return _PLAIN[kind]
    sized = _SIZED.match(kind)
    if sized is None:
        raise TypeError(f"values of type {kind} cannot be decoded")
    return Reader(_OF_SIZE[sized["kind"]](int(sized["size"])), _WORD, False)


def tuple_reader(components: Sequence[Component], label: str) -> Reader:
    """The reader of a list of parameters, or of a struct's members."""
    factory = _named_tuple(label, components)
    readers = [reader_of(component) for component in components]
    size = sum(reader.size for reader in readers)
    reads, place = [], 0
    for reader in readers:
        reads.append((_at_offset(reader.read) if reader.dynamic else _inline(reader.read), place))
        place += reader.size

    def read(data: bytes, at: int) -> Any:
        if at + size > len(data):
            raise BadData(f"{len(data) - at} bytes where {size} are needed")
        return factory(*[item(data, at + place, at) for item, place in reads])

    dynamic = any(reader.dynamic for reader in readers)
    return Reader(read, _WORD if dynamic else size, dynamic)


def _inline(read: Read) -> Callable[[bytes, int, int], Any]:
    return lambda data, at, start: read(data, at)


def _at_offset(read: Read) -> Callable[[bytes, int, int], Any]:
    return lambda data, at, start: read(data, start + _count(data, at))


def _count(data: bytes, at: int) -> int:
    """An offset or a length: nothing that is larger than the data."""
    value = int.from_bytes(data[at : at + _WORD])
    if value > len(data) or at + _WORD > len(data):
        raise BadData(f"an offset or a length of {value} in {len(data)} bytes")
    return value


def _array(item: Reader, length: int | None) -> Reader:
    read_item, size = item.read, item.size
    at_place = _at_offset(read_item) if item.dynamic else _inline(read_item)

    def items(data: bytes, at: int, count: int) -> tuple[Any, ...]:
        if at + count * size > len(data):
            raise BadData(f"{count} items of {size} bytes in {len(data) - at} bytes")
        return tuple([at_place(data, at + i * size, at) for i in range(count)])

    if length is None:
        return Reader(
            lambda data, at: items(data, at + _WORD, _count(data, at)), _WORD, dynamic=True
        )
    fixed: int = length
    head = _WORD if item.dynamic else fixed * size
    return Reader(lambda data, at: items(data, at, fixed), head, item.dynamic)


def _uint(bits: int) -> Read:
    def read(data: bytes, at: int) -> int:
        value = int.from_bytes(data[at : at + _WORD])
        if value >> bits:
            raise BadData(f"{value:#x} as uint{bits}")
        return value

    return read


def _int(bits: int) -> Read:
    limit = 1 << bits - 1

    def read(data: bytes, at: int) -> int:
        value = int.from_bytes(data[at : at + _WORD], signed=True)
        if not -limit <= value < limit:
            raise BadData(f"{value:#x} as int{bits}")
        return value

    return read


def _bytes_of(size: int) -> Read:
    padding = bytes(_WORD - size)

    def read(data: bytes, at: int) -> bytes:
        if data[at + size : at + _WORD] != padding:
            raise BadData(f"0x{data[at : at + _WORD].hex()} as bytes{size}")
        return data[at : at + size]

    return read


def _bool(data: bytes, at: int) -> bool:
    value = int.from_bytes(data[at : at + _WORD])
    if value > 1:
        raise BadData(f"{value:#x} as bool")
    return value == 1


def _address(data: bytes, at: int) -> str:
    if any(data[at : at + 12]):
        raise BadData(f"0x{data[at : at + _WORD].hex()} as address")
    return checksum("0x" + data[at + 12 : at + _WORD].hex())


def _bytes(data: bytes, at: int) -> bytes:
    length = _count(data, at)
    start = at + _WORD
    end = start + -(-length // _WORD) * _WORD
    if end > len(data) or any(data[start + length : end]):
        raise BadData(f"{length} bytes and their padding in {len(data) - start} bytes")
    return data[start : start + length]


def _string(data: bytes, at: int) -> str:
    try:
        return _bytes(data, at).decode()
    except UnicodeDecodeError as error:
        raise BadData(f"no UTF-8: {error}") from None


_PLAIN: Final[Mapping[str, Reader]] = {
    "address": Reader(_address, _WORD, False),
    "bool": Reader(_bool, _WORD, False),
    "bytes": Reader(_bytes, _WORD, True),
    "string": Reader(_string, _WORD, True),
}
_OF_SIZE: Final[Mapping[str, Callable[[int], Read]]] = {
    "uint": _uint,
    "int": _int,
    "bytes": _bytes_of,
}


def _named_tuple(label: str, components: Sequence[Component]) -> type[tuple[Any, ...]]:
    names: list[str] = []
    for position, component in enumerate(components):
        name = _field_name(str(component.get("name", "")), position)
        names.append(name if name not in names else f"{name}{position}")
    return namedtuple(label, names)  # type: ignore[return-value]


def _field_name(name: str, position: int) -> str:
    name = name.lstrip("_")
    if not name or not name.isidentifier():
        return f"item{position}"
    return name + "_" if keyword.iskeyword(name) else name
