"""Our decoder answers as eth-abi's does: on encodings of random types, and on spoilt ones."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.decoding import ContextFramesBytesIO, UnsignedIntegerDecoder
from eth_abi.encoding import UnsignedIntegerEncoder
from eth_abi.exceptions import DecodingError
from eth_abi.registry import BaseEquals, registry
from eth_abi.tools import get_abi_strategy
from hypothesis import given, settings, strategies as st

from backstop.harness.abi import Codec, NoData, canonical_type
from backstop.harness.decoding import reader_of

# importing ape makes eth-abi read missing bytes of unsigned integers as zeros: not in this copy
STRICT = registry.copy()
STRICT.unregister("uint")
STRICT.register(BaseEquals("uint"), UnsignedIntegerEncoder, UnsignedIntegerDecoder, label="uint")

PLAIN = st.sampled_from(
    [
        *("address", "bool", "bytes", "string", "bytes32", "bytes4", "bytes1"),
        *("uint8", "uint40", "uint128", "uint256", "int8", "int128", "int256"),
    ]
)


def struct(members: list[dict[str, Any]]) -> dict[str, Any]:
    named = [{**member, "name": f"m{i}"} for i, member in enumerate(members)]
    return {"type": "tuple", "internalType": "struct Any.Thing", "components": named}


def arrays(item: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    sizes = st.sampled_from(["[]", "[1]", "[3]"])
    return st.builds(lambda of, size: {**of, "type": of["type"] + size}, item, sizes)


COMPONENT = st.recursive(
    PLAIN.map(lambda kind: {"type": kind}),
    lambda inner: arrays(inner) | st.lists(inner, min_size=1, max_size=4).map(struct),
    max_leaves=6,
)
LISTS = st.lists(COMPONENT, min_size=1, max_size=4)


def theirs(components: list[dict[str, Any]], data: bytes) -> Any:
    """What eth-abi reads; None if it refuses."""
    types = f"({','.join(canonical_type(component) for component in components)})"
    try:
        return STRICT.get_decoder(types)(ContextFramesBytesIO(data))
    except (DecodingError, OverflowError):
        return None


def ours(components: list[dict[str, Any]], data: bytes) -> Any:
    """What we read, with addresses as eth-abi has them; None if we refuse."""
    try:
        return lowered(components, Codec(components, "f").decode(data))
    except NoData:
        return None


def lowered(components: list[dict[str, Any]], values: Any) -> Any:
    kinds = [canonical_type(component) for component in components]
    return tuple(
        _lower(value, "address" in kind) for kind, value in zip(kinds, values, strict=True)
    )


def _lower(value: Any, addresses: bool) -> Any:
    if isinstance(value, tuple):
        return tuple(_lower(item, addresses) for item in value)
    is_address = addresses and isinstance(value, str) and len(value) == 42 and value[:2] == "0x"
    return value.lower() if is_address else value


@st.composite
def encoded(draw: st.DrawFn) -> tuple[list[dict[str, Any]], bytes]:
    components = draw(LISTS)
    types = f"({','.join(canonical_type(component) for component in components)})"
    return components, STRICT.get_encoder(types)(draw(get_abi_strategy(types)))


@given(encoded())
@settings(max_examples=300, deadline=None)
def test_reads_what_eth_abi_has_written(case: tuple[list[dict[str, Any]], bytes]) -> None:
    components, data = case
    assert ours(components, data) == theirs(components, data) is not None


@given(encoded(), st.data())
@settings(max_examples=600, deadline=None)
def test_spoilt_data_is_read_alike_or_refused(
    case: tuple[list[dict[str, Any]], bytes], data: st.DataObject
) -> None:
    """Bytes changed or cut off: whatever we read, eth-abi reads too."""
    components, good = case
    spoilt = bytearray(good[: data.draw(st.integers(0, len(good)))] if good else b"")
    if data.draw(st.booleans()):
        spoilt = bytearray(good)
    for place in data.draw(st.lists(st.integers(0, max(0, len(spoilt) - 1)), max_size=3)):
        if spoilt:
            spoilt[place] = data.draw(st.sampled_from([0, 1, 31, 32, 64, 128, 255]))
    seen = ours(components, bytes(spoilt))
    if seen is not None:
        assert seen == theirs(components, bytes(spoilt))


STATIC = st.lists(
    PLAIN.filter(lambda kind: kind not in ("bytes", "string")).map(lambda kind: {"type": kind}),
    min_size=1,
    max_size=6,
)


@given(STATIC, st.data())
@settings(max_examples=300, deadline=None)
def test_words_are_refused_as_eth_abi_refuses_them(
    components: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Padding, ranges and length of every word."""
    edges = [0, 1, 2, 127, 128, 2**127, 2**128, 2**160, 2**255, 2**256 - 1, 2**256 - 128, 1 << 248]
    words = data.draw(
        st.lists(st.sampled_from(edges), min_size=len(components), max_size=len(components))
    )
    raw = b"".join(word.to_bytes(32) for word in words)
    raw = raw[: len(raw) - data.draw(st.sampled_from([0, 0, 0, 1, 32]))]
    assert ours(components, raw) == theirs(components, raw)


def test_structs_are_named_tuples_and_addresses_have_their_checksum() -> None:
    component = struct([{"type": "address"}, {"type": "uint8[]"}])
    known = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"  # of EIP-55
    data = STRICT.get_encoder("((address,uint8[]))")([[known.lower(), [1, 2]]])
    (thing,) = Codec([component], "f").decode(data)
    assert type(thing).__name__ == "Thing"
    assert (thing.m0, thing.m1) == (known, (1, 2))


def test_a_type_that_solidity_does_not_use_here_is_named() -> None:
    with pytest.raises(TypeError, match="values of type function cannot be decoded"):
        reader_of({"type": "function"})
