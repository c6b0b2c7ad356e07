"""Views that are read after every step of a simulated sequence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from backstop.harness.abi import AbiRegistry
    from backstop.harness.rpc import Contract, Step

__all__ = ["ChangedViews", "EachView", "Views"]

_GAS: Final = 10**9
"""Of a look at all views; far more than they take."""


class Views(Protocol):
    """A way to read them. Calls are as `eth_simulateV1` takes them, results as it answers."""

    def opening(self) -> Sequence[Mapping[str, Any]]:
        """Calls ahead of the first step."""
        ...

    def calls(self) -> Sequence[Mapping[str, Any]]:
        """Calls after every step."""
        ...

    def read(self, results: Iterator[Mapping[str, Any]]) -> dict[str, Any]:
        """What all views show after the step whose results come next; raises Reverted."""
        ...


class EachView:
    """Every view is a call of its own."""

    def __init__(self, probes: Mapping[str, Step], registry: AbiRegistry) -> None:
        self._probes, self._registry = probes, registry
        self._calls = [probe.request() for probe in probes.values()]

    def opening(self) -> Sequence[Mapping[str, Any]]:
        """Nothing."""
        return ()

    def calls(self) -> Sequence[Mapping[str, Any]]:
        """One a view."""
        return self._calls

    def read(self, results: Iterator[Mapping[str, Any]]) -> dict[str, Any]:
        """All views, decoded."""
        shown = {}
        for name, probe in self._probes.items():
            result = next(results)
            data = bytes.fromhex(result["returnData"][2:])
            if int(result["status"], 16) != 1:
                raise _failed(self._registry, name, data)
            shown[name] = _decoded(probe, data)
        return shown


class ChangedViews:
    """One call of a `ViewProbe` hands out what has changed: decoding is what costs.

    Args:
        reader: a ViewProbe that watches nothing yet.
    """

    def __init__(self, reader: Contract, probes: Mapping[str, Step], registry: AbiRegistry) -> None:
        self._reader, self._registry = reader, registry
        self._probes = tuple(probes.items())
        self._shown: dict[str, Any] = {}
        look = reader.changed.step()
        self._look, self._calls = look, [{**look.request(), "gas": hex(_GAS)}]

    def opening(self) -> Sequence[Mapping[str, Any]]:
        """Tells the reader what to watch."""
        targets = [probe.to for _, probe in self._probes]
        data = [probe.data for _, probe in self._probes]
        return [{**self._reader.watch.step(targets, data).request(), "gas": hex(_GAS)}]

    def calls(self) -> Sequence[Mapping[str, Any]]:
        """One look."""
        return self._calls

    def read(self, results: Iterator[Mapping[str, Any]]) -> dict[str, Any]:
        """All views; those that have not changed are the same objects as before."""
        result = next(results)
        data = bytes.fromhex(result["returnData"][2:])
        if int(result["status"], 16) != 1:
            raise _failed(self._registry, "all views", data)
        for reading in _decoded(self._look, data):
            name, probe = self._probes[reading.place]
            if not reading.ok:
                raise _failed(self._registry, name, reading.data)
            self._shown[name] = _decoded(probe, reading.data)
        return dict(self._shown)


def _failed(registry: AbiRegistry, name: str, data: bytes) -> Exception:
    error = registry.decode_error(data)
    error.add_note(f"while reading the probe {name}")
    return error


def _decoded(probe: Step, data: bytes) -> Any:
    return data if probe.function is None else probe.function.decode(data)
