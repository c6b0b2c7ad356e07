"""Events whose arguments are all words of 32 bytes, read without a general decoder.

Nearly all events are like that, structs of numbers included, and most of the time of a
synchronisation used to be `eth_abi`. The checks are the same: a word that its type cannot hold is
no argument, and then the general decoder has the last word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from eth_utils import keccak

from backstop.harness.abi import Abi, checksum, signature_of

WORD = 32
Read = Callable[[Iterator[bytes]], Any]
"""Takes the words of one argument and returns it as the store keeps it."""


class NotWords(ValueError):
    """A log is not what its event's words would be."""


class WordEvent:
    """The decoder of one event.

    Args:
        name: of the event.
        fields: of every parameter its name, how it is read, and whether it is a topic.
    """

    def __init__(self, name: str, fields: Sequence[tuple[str, Read, bool]]) -> None:
        self.name = name
        self._fields = list(fields)

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> WordEvent | None:
        """The same for an event of an ABI; None where an argument is more than words."""
        fields = []
        for position, component in enumerate(item["inputs"]):
            read = _reader(component)
            indexed = bool(component.get("indexed"))
            if read is None or (indexed and component["type"].startswith("tuple")):
                return None
            fields.append((str(component.get("name") or position), read, indexed))
        return cls(str(item["name"]), fields)

    def decode(self, topics: Sequence[str], data: bytes) -> dict[str, Any]:
        """The arguments by name, in the event's order.

        Args:
            topics: those after the event's own.
            data: of the log.

        Raises:
            NotWords: too many or too few words, or one that its type cannot hold.
        """
        indexed = iter([bytes.fromhex(topic[2:]) for topic in topics])
        rest = iter([data[start : start + WORD] for start in range(0, len(data), WORD)])
        try:
            found = {name: read(indexed if topic else rest) for name, read, topic in self._fields}
        except StopIteration:
            raise NotWords("too few words") from None
        if next(indexed, None) is not None or next(rest, None) is not None:
            raise NotWords("too many words")
        return found


def word_events(abis: Sequence[Abi]) -> dict[tuple[str, int], WordEvent]:
    """The decoders of all such events by topic and number of further topics; the first counts."""
    found: dict[tuple[str, int], WordEvent | None] = {}
    for item in (item for abi in abis for item in abi):
        if item.get("type") != "event" or item.get("anonymous"):
            continue
        topic = "0x" + keccak(text=signature_of(item)).hex()
        indexed = sum(bool(component.get("indexed")) for component in item["inputs"])
        if (topic, indexed) not in found:
            found[topic, indexed] = WordEvent.of(item)
    return {key: event for key, event in found.items() if event is not None}


def _reader(component: Mapping[str, Any]) -> Read | None:
    kind = str(component["type"])
    if kind == "tuple":
        return _struct(component["components"])
    if kind == "bool":
        return lambda words: bool(_integer(_next(words), 1))
    if kind == "address":
        return lambda words: checksum(f"0x{_integer(_next(words), 160):040x}")
    if match := re.fullmatch(r"(u?int|bytes)(\d+)", kind):
        size = int(match[2])
        if match[1] == "uint":
            return lambda words: _integer(_next(words), size)
        if match[1] == "int":
            return lambda words: _signed(_next(words), size)
        return lambda words: _fixed(_next(words), size)
    return None


def _struct(components: Sequence[Mapping[str, Any]]) -> Read | None:
    names = [str(component.get("name") or "") for component in components]
    readers = [_reader(component) for component in components]
    plain = all(name.isidentifier() and not name.startswith("_") for name in names)
    if not plain or len(set(names)) != len(names) or None in readers:
        return None
    fields = [(name, read) for name, read in zip(names, readers, strict=True) if read]
    return lambda words: {name: read(words) for name, read in fields}


def _next(words: Iterator[bytes]) -> bytes:
    word = next(words)
    if len(word) != WORD:
        raise NotWords("the last word is cut off")
    return word


def _integer(word: bytes, bits: int) -> int:
    value = int.from_bytes(word)
    if value >> bits:
        raise NotWords(f"{value} has more than {bits} bits")
    return value


def _signed(word: bytes, bits: int) -> int:
    value = int.from_bytes(word, signed=True)
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise NotWords(f"{value} has more than {bits} bits")
    return value


def _fixed(word: bytes, size: int) -> str:
    if any(word[size:]):
        raise NotWords(f"more than {size} bytes")
    return "0x" + word[:size].hex()
