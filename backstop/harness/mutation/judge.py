"""Runs the cases against the probe's code on a node, in a few requests and without a deployment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eth_abi import encode
from eth_utils import keccak

from backstop.harness.abi import signature_of
from backstop.harness.mutation.cases import REVERTS, Case
from backstop.harness.mutation.compiler import Compiled
from backstop.harness.rpc import RpcClient

ADDRESS = "0x" + "5a" * 20
_CHUNK = 250
_GAS = 200_000


@dataclass(frozen=True)
class Difference:
    """A case that came out wrong."""

    case: Case
    got: str

    def __str__(self) -> str:
        wanted = "a revert" if self.case.expected is REVERTS else self.case.expected
        return f"{self.case.function}{self.case.arguments} = {self.got}, expected {wanted}"


class Judge:
    """Compares a probe with what the twins expect.

    Args:
        client: a node that knows `eth_simulateV1`.
        abi: of the probe; the same for all mutants, whose signatures do not change.
        cases: what to call.
    """

    def __init__(
        self, client: RpcClient, abi: Sequence[dict[str, object]], cases: Sequence[Case]
    ) -> None:
        self._client = client
        functions = {item["name"]: item for item in abi if item["type"] == "function"}
        if missing := {case.function for case in cases} - set(functions):
            raise LookupError(f"the probe has no {', '.join(sorted(missing))}")
        self._cases = []
        for case in cases:
            item = functions[case.function]
            types = [i["type"] for i in item["inputs"]]  # type: ignore[attr-defined]
            data = keccak(text=signature_of(item))[:4] + encode(types, case.arguments)
            self._cases.append((case, "0x" + data.hex(), self._answer(item, case)))

    @staticmethod
    def _answer(item: dict[str, object], case: Case) -> str | None:
        if case.expected is REVERTS:
            return None
        types = [o["type"] for o in item["outputs"]]  # type: ignore[attr-defined]
        return "0x" + encode(types, case.expected).hex()

    def first_difference(self, compiled: Compiled) -> Difference | None:
        """The first case that comes out otherwise, or None."""
        for start in range(0, len(self._cases), _CHUNK):
            chunk = self._cases[start : start + _CHUNK]
            calls = [{"to": ADDRESS, "input": data, "gas": hex(_GAS)} for _, data, _ in chunk]
            block = {
                "blockOverrides": {"gasLimit": hex(_GAS * (_CHUNK + 1))},
                "stateOverrides": {ADDRESS: {"code": "0x" + compiled.code}},
                "calls": calls,
            }
            request = {"blockStateCalls": [block], "validation": False}
            answer = self._client.rpc("eth_simulateV1", request, "latest")
            for (case, _, wanted), got in zip(chunk, answer[0]["calls"], strict=True):
                value = got["returnData"] if got["status"] == "0x1" else None
                if value != wanted:
                    return Difference(case, _readable(value))
        return None


def _readable(value: str | None) -> str:
    if value is None:
        return "a revert"
    words = [value[2:][i : i + 64] for i in range(0, len(value) - 2, 64)]
    return ", ".join(str(int(word, 16)) for word in words) or "nothing"
