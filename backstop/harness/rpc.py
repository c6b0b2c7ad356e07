"""Contracts over raw JSON-RPC: the hot path of everything that sends many transactions.

ape compiles, deploys and describes; here a call is one request on a connection that is kept open,
about twenty times as fast as ape's twelve requests a transaction. `RpcClient.simulate` puts a whole
sequence of calls into one request and is ten times as fast again.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from eth_utils import keccak

from backstop.harness.abi import (
    AbiRegistry,
    Codec,
    Event,
    NoData,
    Reverted,
    abi_of,
    address_of,
    bytecode_of,
    checksum,
    signature_of,
)
from backstop.harness.views import ChangedViews, EachView, Views

__all__ = [
    "Contract",
    "ContractFunction",
    "NoData",
    "NodeError",
    "Outcome",
    "Receipt",
    "Reverted",
    "RpcClient",
    "RpcError",
    "Step",
    "expect_revert",
]

DEFAULT_GAS = 15_000_000
"""Gas limit of a transaction; estimating it would run every transaction twice."""

_METHOD_NOT_FOUND = -32601
_SETTLING_SECONDS = 5  # longer only where mining is off and transactions wait on purpose
_HEADERS = {"Content-Type": "application/json"}


class NodeError(ConnectionError):
    """The node does not answer: it is not running, it died, or it took too long."""


class RpcError(RuntimeError):
    """The node answered with an error.

    Attributes:
        code: JSON-RPC error code.
        message: what the node says.
        data: revert data, if it sent some.
    """

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(code, message, data)
        self.code, self.message, self.data = code, message, data

    def __str__(self) -> str:
        return f"{self.message} ({self.code})"

    @property
    def revert_data(self) -> bytes:
        """The data as bytes; empty if there is none."""
        data = self.data.get("data") if isinstance(self.data, Mapping) else self.data
        if isinstance(data, str) and data.startswith("0x"):
            return bytes.fromhex(data[2:])
        return b""


@dataclass(frozen=True)
class Receipt:
    """What a transaction left behind."""

    transaction: str
    sender: str
    to: str | None
    contract_address: str | None
    block: int
    gas_used: int
    logs: tuple[Mapping[str, Any], ...]
    registry: AbiRegistry = field(repr=False, compare=False)

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """All logs, decoded by the ABIs that the client knows."""
        return tuple(self.registry.decode_log(log) for log in self.logs)

    def find(self, name: str, address: Any = None) -> list[Event]:
        """The events of that name, of one contract if an address is given."""
        return _events_named(self.events, name, address)

    def one(self, name: str, address: Any = None) -> Event:
        """The only event of that name; LookupError if there is none, or more than one."""
        return _only(self.events, name, address)


def _events_named(events: Sequence[Event], name: str, address: Any) -> list[Event]:
    wanted = None if address is None else checksum(address_of(address))
    return [e for e in events if e.name == name and wanted in (None, e.address)]


def _only(events: Sequence[Event], name: str, address: Any) -> Event:
    found = _events_named(events, name, address)
    if len(found) != 1:
        seen = ", ".join(event.name for event in events) or "none"
        raise LookupError(f"{len(found)} events {name}; events: {seen}")
    return found[0]


@dataclass(frozen=True)
class Step:
    """One call of a simulated sequence; `Contract.fn.step(*args, sender=...)` makes one.

    Attributes:
        delay: seconds since the step before; 0 puts the step into the same block.
        function: decodes the returned data; without it the outcome's value is the raw bytes.
        look: whether probes are read after it.
    """

    to: str
    data: bytes
    sender: str | None = None
    value: int = 0
    delay: int = 12
    gas: int = DEFAULT_GAS
    function: ContractFunction | None = field(default=None, repr=False)
    look: bool = True

    def request(self) -> dict[str, Any]:
        """The call as the node expects it."""
        call = {"to": self.to, "input": "0x" + self.data.hex(), "gas": hex(self.gas)}
        if self.sender is not None:
            call["from"] = self.sender
        if self.value:
            call["value"] = hex(self.value)
        return call


@dataclass(frozen=True)
class Outcome:
    """What a simulated step did."""

    ok: bool
    value: Any
    error: Reverted | None
    gas_used: int
    events: tuple[Event, ...]
    probes: Mapping[str, Any]
    timestamp: int

    def find(self, name: str, address: Any = None) -> list[Event]:
        """The events of that name, of one contract if an address is given."""
        return _events_named(self.events, name, address)

    def one(self, name: str, address: Any = None) -> Event:
        """The only event of that name; LookupError if there is none, or more than one."""
        return _only(self.events, name, address)


class RpcClient:
    """A connection to a node, kept open. One client belongs to one thread.

    Args:
        url: `http://host:port`; the scheme may be missing.
        timeout: seconds to wait for an answer.
        gas_price: of every transaction; 0 suits a node without base fee, None lets the node choose.
        registry: decodes errors and events; contracts made with this client add their ABIs to it.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 60.0,
        gas_price: int | None = 0,
        registry: AbiRegistry | None = None,
    ) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"http://host:port expected, got {url!r}")
        self.url = parts.geturl()
        self.registry = registry if registry is not None else AbiRegistry()
        self.gas_price = gas_price
        self._connection = http.client.HTTPConnection(
            parts.hostname, parts.port or 80, timeout=timeout
        )
        self._path = parts.path or "/"
        self._id = 0
        self._has_sync_send = True

    def close(self) -> None:
        """Close the connection; the next request opens it again."""
        self._connection.close()

    # --- requests

    def rpc(self, method: str, *params: Any) -> Any:
        """Send one request and return its result.

        Raises:
            RpcError: the node answered with an error.
            NodeError: the node does not answer.
        """
        self._id += 1
        body = json.dumps({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params})
        answer = json.loads(self._post(body.encode(), method))
        if "error" in answer:
            error = answer["error"]
            raise RpcError(error.get("code", 0), str(error.get("message", "")), error.get("data"))
        return answer["result"]

    def _post(self, body: bytes, method: str) -> bytes:
        if self._connection.sock is None:
            self._connect()
        try:
            self._connection.request("POST", self._path, body, _HEADERS)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            # no second try: the node may have carried out the request before the connection broke
            self._connection.close()
            raise NodeError(f"no answer from {self.url} to {method}: {error!r}") from error
        if response.status != 200 and not content.startswith(b"{"):
            raise NodeError(f"{self.url} answers {method} with HTTP status {response.status}")
        return content

    def _connect(self) -> None:
        try:
            self._connection.connect()
        except OSError as error:
            raise NodeError(f"no node at {self.url}: {error}") from error
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # --- reading

    def call(
        self,
        to: Any,
        data: bytes | str,
        *,
        sender: Any = None,
        value: int = 0,
        at: int | None = None,
        block: int | str = "latest",
    ) -> bytes:
        """Run a call without leaving traces and return its data; raises Reverted.

        Args:
            to: the contract.
            data: selector and arguments.
            sender: `msg.sender`; the zero address if missing.
            value: wei sent along.
            at: `block.timestamp` that the call sees; that of the latest block if missing.
            block: number or name of the block whose state is read.
        """
        params = call_parameters(to, data, sender=sender, value=value, at=at, block=block)
        try:
            return bytes.fromhex(self.rpc("eth_call", *params)[2:])
        except RpcError as error:
            raise self._reverted(error) from None

    def _reverted(self, error: RpcError) -> Exception:
        """What a failed execution raises: a Reverted, or the error itself if nothing ran."""
        data = error.revert_data
        if data or error.code == 3 or "revert" in error.message or "EVM" in error.message:
            return self.registry.decode_error(data, error.message)
        return error

    @property
    def timestamp(self) -> int:
        """Time of the latest block."""
        return int(self.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    @property
    def block_number(self) -> int:
        """Number of the latest block."""
        return int(self.rpc("eth_blockNumber"), 16)

    @property
    def chain_id(self) -> int:
        """The chain's id."""
        return int(self.rpc("eth_chainId"), 16)

    def balance(self, who: Any) -> int:
        """Balance of the native coin, in wei."""
        return int(self.rpc("eth_getBalance", address_of(who), "latest"), 16)

    def code(self, where: Any) -> bytes:
        """Code at an address; empty if there is no contract."""
        return bytes.fromhex(self.rpc("eth_getCode", address_of(where), "latest")[2:])

    # --- transactions

    def send(
        self,
        to: Any,
        data: bytes | str = b"",
        sender: Any = None,
        value: int = 0,
        gas: int = DEFAULT_GAS,
    ) -> Receipt:
        """Send a transaction and wait for its receipt; raises Reverted if it failed.

        Args:
            to: the contract; None creates one from `data`.
            data: selector and arguments, or creation code.
            sender: the account; the node must hold its key or impersonate it.
            value: wei sent along.
            gas: the gas limit.
        """
        if sender is None:
            raise TypeError("a transaction needs a sender")
        request: dict[str, Any] = {
            "from": address_of(sender),
            "data": _hex(data),
            "gas": hex(gas),
        }
        if to is not None:
            request["to"] = address_of(to)
        if value:
            request["value"] = hex(value)
        if self.gas_price is not None:
            request["gasPrice"] = hex(self.gas_price)
        try:
            receipt = self._transact(request)
        except RpcError as error:
            raise self._reverted(error) from None
        if int(receipt["status"], 16) != 1:
            raise self._why(receipt["transactionHash"], request, int(receipt["blockNumber"], 16))
        return Receipt(
            transaction=receipt["transactionHash"],
            sender=checksum(receipt["from"]),
            to=checksum(receipt["to"]) if receipt.get("to") else None,
            contract_address=(
                checksum(receipt["contractAddress"]) if receipt.get("contractAddress") else None
            ),
            block=int(receipt["blockNumber"], 16),
            gas_used=int(receipt["gasUsed"], 16),
            logs=tuple(receipt["logs"]),
            registry=self.registry,
        )

    def _transact(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._has_sync_send:
            try:
                receipt: Mapping[str, Any] = self.rpc("eth_sendTransactionSync", request)
            except RpcError as error:
                if error.code != _METHOD_NOT_FOUND:
                    raise
                self._has_sync_send = False
            else:
                return receipt
        return self._wait_for(self.rpc("eth_sendTransaction", request))

    def _wait_for(self, sent: str) -> Mapping[str, Any]:
        deadline = time.monotonic() + 60
        pause = 0.001
        while (found := self.rpc("eth_getTransactionReceipt", sent)) is None:
            if time.monotonic() > deadline:
                raise NodeError(f"{sent} was not mined within 60 s")
            time.sleep(pause)
            pause = min(0.1, pause * 2)
        mined: Mapping[str, Any] = found
        return mined

    def _why(self, sent: str, request: Mapping[str, Any], block: int) -> Exception:
        """The reason of a mined failure: from its trace, else by a call on the block before."""
        try:
            trace = self.rpc("debug_traceTransaction", sent, {"disableStorage": True})
            data = bytes.fromhex(str(trace.get("returnValue", "")).removeprefix("0x"))
            if data:
                return self.registry.decode_error(data)
        except RpcError:
            pass  # a node without debug methods
        try:
            again = {key: value for key, value in request.items() if key != "gasPrice"}
            self.rpc("eth_call", again, hex(block - 1))
        except RpcError as error:
            return self._reverted(error)
        return Reverted("")

    def deploy(self, source: Any, *args: Any, sender: Any, value: int = 0) -> Contract:
        """Deploy a contract from its ABI and creation code.

        Args:
            source: ape's `project.Name`, a ContractType, or a mapping with `abi` and
                `deploymentBytecode`.
            args: the constructor's arguments.
            sender: the account that pays.
            value: wei sent along.
        """
        abi = abi_of(source)
        self.registry.add(abi)
        constructor = next((item for item in abi if item.get("type") == "constructor"), {})
        label = getattr(getattr(source, "contract_type", source), "name", None) or "constructor"
        codec = Codec(constructor.get("inputs", []), str(label))
        receipt = self.send(
            None, bytecode_of(source) + codec.encode(args), sender, value, gas=30_000_000
        )
        return Contract(self, receipt.contract_address, abi)

    # --- the chain's state and clock (development nodes only)

    def snapshot(self) -> str:
        """Remember the present state; `revert` goes back to it."""
        return str(self.rpc("evm_snapshot"))

    def revert(self, snapshot: str) -> None:
        """Go back to a snapshot, which uses it up."""
        self.settle()
        if self.rpc("evm_revert", snapshot) is not True:
            raise ValueError(f"no snapshot {snapshot}: already used, or older than one that was")

    @contextlib.contextmanager
    def isolated(self) -> Iterator[None]:
        """Undo on leaving whatever happens inside."""
        snapshot = self.snapshot()
        try:
            yield
        finally:
            self.revert(snapshot)

    def settle(self) -> None:
        """Wait until no mined transaction is left in the node's pool; call it before going back.

        Anvil hands out the receipt first and clears the pool after it (18 of 10,000 times on a busy
        machine we were faster). Going back in between leaves the transaction in the pool: the next
        one of its sender gets the nonce after it and is never mined.
        """
        deadline = time.monotonic() + _SETTLING_SECONDS
        while int(self.rpc("txpool_status")["pending"], 16) and time.monotonic() < deadline:
            time.sleep(0.001)

    def set_next_timestamp(self, timestamp: int) -> None:
        """Give the next block this time; the blocks after it go on from there."""
        self.rpc("evm_setNextBlockTimestamp", timestamp)

    def warp(self, seconds: int) -> int:
        """Mine a block that is so many seconds later than the latest; returns its time."""
        timestamp = self.timestamp + seconds
        self.set_next_timestamp(timestamp)
        self.rpc("evm_mine")
        return timestamp

    def mine(self, blocks: int = 1) -> None:
        """Mine empty blocks."""
        self.rpc("anvil_mine", hex(blocks))

    def set_balance(self, who: Any, wei: int) -> None:
        """Set the native balance of an address."""
        self.rpc("anvil_setBalance", address_of(who), hex(wei))

    def set_code(self, where: Any, code: bytes) -> None:
        """Put code at an address."""
        self.rpc("anvil_setCode", address_of(where), _hex(code))

    # --- whole sequences

    def simulate(
        self,
        steps: Sequence[Step],
        probes: Mapping[str, Step] | None = None,
        reader: Contract | None = None,
    ) -> list[Outcome]:
        """Run a sequence of calls from the latest block in one request, and forget it again.

        The state carries over from step to step. Every step has a block of its own, `delay` seconds
        after the one before (the first: after the latest block), unless its delay is 0. A step that
        reverts changes nothing and the sequence goes on.

        Args:
            steps: the calls.
            probes: views that are read after every step that asks for it; one that reverts raises.
            reader: a deployed `ViewProbe`, through which many views are read faster.
        """
        if not steps:
            return []
        views: Views = EachView(probes or {}, self.registry)
        if reader is not None:
            views = ChangedViews(reader, probes or {}, self.registry)
        blocks, times = self._blocks(steps, views)
        answer = self.rpc("eth_simulateV1", {"blockStateCalls": blocks}, "latest")
        results = iter([call for block in answer for call in block["calls"]])
        for _ in views.opening():
            if int(next(results)["status"], 16) != 1:
                raise RpcError(0, "the reader of the views does not take them: is it a ViewProbe?")
        return [
            self._outcome(step, next(results), views.read(results) if step.look else {}, timestamp)
            for step, timestamp in zip(steps, times, strict=True)
        ]

    def _blocks(
        self, steps: Sequence[Step], views: Views
    ) -> tuple[list[dict[str, Any]], list[int]]:
        """The blocks of a simulation, and the time of every step."""
        head = self.rpc("eth_getBlockByNumber", "latest", False)
        number, now = int(head["number"], 16), int(head["timestamp"], 16)
        blocks: list[dict[str, Any]] = []
        times: list[int] = []
        for position, step in enumerate(steps):
            if step.delay < 0:
                raise ValueError("time does not run backwards")
            if step.delay or position == 0:
                now += max(1, step.delay)
                number += 1
                overrides = {
                    "number": hex(number),
                    "time": hex(now),
                    "gasLimit": hex(10**12),
                    "baseFeePerGas": "0x0",
                }
                first = views.opening() if position == 0 else ()
                blocks.append({"blockOverrides": overrides, "calls": [*first]})
            blocks[-1]["calls"] += [step.request(), *(views.calls() if step.look else ())]
            times.append(now)
        return blocks, times

    def _outcome(
        self, step: Step, result: Mapping[str, Any], probes: Mapping[str, Any], timestamp: int
    ) -> Outcome:
        data = bytes.fromhex(result["returnData"][2:])
        ok = int(result["status"], 16) == 1
        value: Any = None
        error: Reverted | None = None
        if ok:
            value = data if step.function is None else step.function.decode(data)
        else:
            message = str((result.get("error") or {}).get("message", ""))
            halted = "" if message == "execution failed" else message
            error = self.registry.decode_error(data, halted)
        return Outcome(
            ok=ok,
            value=value,
            error=error,
            gas_used=int(result["gasUsed"], 16),
            events=tuple(self.registry.decode_log(log) for log in result["logs"]) if ok else (),
            probes=probes,
            timestamp=timestamp,
        )


def call_parameters(
    to: Any,
    data: bytes | str,
    *,
    sender: Any = None,
    value: int = 0,
    at: int | None = None,
    block: int | str = "latest",
) -> list[Any]:
    """The parameters of an `eth_call`; arguments as of `RpcClient.call`."""
    request: dict[str, Any] = {"to": address_of(to), "data": _hex(data)}
    if sender is not None:
        request["from"] = address_of(sender)
    if value:
        request["value"] = hex(value)
    params: list[Any] = [request, hex(block) if isinstance(block, int) else block]
    if at is not None:
        params += [None, {"time": hex(at)}]
    return params


class _Overload:
    """One function of an ABI."""

    def __init__(self, item: Mapping[str, Any]) -> None:
        self.signature = signature_of(item)
        self.selector = keccak(text=self.signature)[:4]
        self.inputs = Codec(item.get("inputs", []), str(item["name"]))
        self.outputs = Codec(item.get("outputs", []), self.signature)

    def encode(self, args: Sequence[Any]) -> bytes:
        return self.selector + self.inputs.encode(args)

    def decode(self, data: bytes) -> Any:
        values = self.outputs.decode(data)
        if len(values) == 1:
            return values[0]
        return values or None


class ContractFunction:
    """A function of a contract with all its overloads: `vault.deposit(100, alice, sender=alice)`.

    Without a sender it is a view call and returns the decoded value: one output as itself, several
    as a named tuple, structs as named tuples. With a sender it is a transaction and returns its
    Receipt. Structs may be given as mapping, dataclass or sequence, addresses also as anything that
    has an `address`.
    """

    def __init__(self, contract: Contract, overloads: Sequence[_Overload]) -> None:
        self._contract = contract
        self._overloads = list(overloads)

    def __repr__(self) -> str:
        listed = " | ".join(overload.signature for overload in self._overloads)
        return f"<{listed} of {self._contract.address}>"

    def _resolve(self, args: Sequence[Any]) -> tuple[_Overload, bytes]:
        if len(self._overloads) == 1:
            return self._overloads[0], self._overloads[0].encode(args)
        fitting = []
        for overload in self._overloads:
            if len(overload.inputs.components) == len(args):
                with contextlib.suppress(TypeError, ValueError):
                    fitting.append((overload, overload.encode(args)))
        if len(fitting) != 1:
            choice = [overload for overload, _ in fitting] or self._overloads
            listed = ", ".join(overload.signature for overload in choice)
            how = "more than one fits" if fitting else "none fits"
            raise TypeError(f"{how} the arguments {tuple(args)!r}, name one by signature: {listed}")
        return fitting[0]

    def __call__(
        self,
        *args: Any,
        sender: Any = None,
        value: int = 0,
        gas: int = DEFAULT_GAS,
        at: int | None = None,
    ) -> Any:
        """Call (no sender) or transact (sender). `at` is the time that a call sees."""
        if sender is None:
            return self.call(*args, at=at)
        if at is not None:
            raise TypeError("`at` is for calls; a transaction's time is set_next_timestamp's")
        return self.send(*args, sender=sender, value=value, gas=gas)

    def call(self, *args: Any, sender: Any = None, value: int = 0, at: int | None = None) -> Any:
        """What the function would return now, to this sender; leaves no traces. Raises Reverted."""
        overload, data = self._resolve(args)
        raw = self._contract.client.call(
            self._contract.address, data, sender=sender, value=value, at=at
        )
        return overload.decode(raw)

    def send(self, *args: Any, sender: Any, value: int = 0, gas: int = DEFAULT_GAS) -> Receipt:
        """Send a transaction and return its receipt. Raises Reverted."""
        _, data = self._resolve(args)
        return self._contract.client.send(self._contract.address, data, sender, value, gas)

    def step(
        self,
        *args: Any,
        sender: Any = None,
        value: int = 0,
        delay: int = 12,
        gas: int = DEFAULT_GAS,
        look: bool = True,
    ) -> Step:
        """The call as a step (or a probe) of `RpcClient.simulate`."""
        overload, data = self._resolve(args)
        return Step(
            to=self._contract.address,
            data=data,
            sender=None if sender is None else address_of(sender),
            value=value,
            delay=delay,
            gas=gas,
            function=ContractFunction(self._contract, [overload]),
            look=look,
        )

    def encode(self, *args: Any) -> bytes:
        """Selector and arguments."""
        return self._resolve(args)[1]

    def decode(self, data: bytes) -> Any:
        """The returned value; raises NoData if the data is short."""
        if len(self._overloads) != 1:
            raise TypeError("several overloads: name one by its signature")
        return self._overloads[0].decode(data)

    def gas(self, *args: Any, sender: Any, value: int = 0) -> int:
        """The gas limit that the transaction would need, by the node's estimate."""
        request: dict[str, Any] = {
            "from": address_of(sender),
            "to": self._contract.address,
            "data": _hex(self._resolve(args)[1]),
        }
        if value:
            request["value"] = hex(value)
        try:
            return int(self._contract.client.rpc("eth_estimateGas", request), 16)
        except RpcError as error:
            raise self._contract.client._reverted(error) from None


class Contract:
    """A deployed contract: every function of its ABI is an attribute.

    `contract["transfer(address,uint256)"]` names one overload, and any function whose name is one
    of this class's own attributes (`address`, `abi`, `client`, `of`).

    Args:
        client: the connection.
        address: where it is.
        abi: its ABI, or anything that has one (ape's contract objects).
        check: make sure that there is code at the address.

    Raises:
        NoData: there is no contract at the address.
    """

    def __init__(self, client: RpcClient, address: Any, abi: Any, *, check: bool = True) -> None:
        self.client = client
        self.address = checksum(address_of(address))
        self.abi = abi_of(abi)
        client.registry.add(self.abi)
        by_name: dict[str, list[_Overload]] = {}
        for item in self.abi:
            if item.get("type") == "function":
                by_name.setdefault(str(item["name"]), []).append(_Overload(item))
        self._functions = {
            name: ContractFunction(self, overloads) for name, overloads in by_name.items()
        }
        self._signatures = {
            overload.signature: ContractFunction(self, [overload])
            for overloads in by_name.values()
            for overload in overloads
        }
        if check and not client.code(self.address):
            raise NoData(f"there is no contract at {self.address}")

    @classmethod
    def of(cls, client: RpcClient, instance: Any) -> Contract:
        """The same contract as an instance of ape's, over this connection."""
        return cls(client, instance.address, instance)

    def __getattr__(self, name: str) -> ContractFunction:
        functions = self.__dict__.get("_functions", {})
        if name not in functions:
            raise AttributeError(f"the contract at {self.__dict__.get('address')} has no {name}")
        function: ContractFunction = functions[name]
        return function

    def __getitem__(self, signature: str) -> ContractFunction:
        """The function with this name or, where it is overloaded, this signature."""
        if signature in self._signatures:
            return self._signatures[signature]
        return self._functions[signature]

    def __repr__(self) -> str:
        return f"<Contract {self.address}>"


class _Expected:
    """Filled in by `expect_revert` when the block is left."""

    error: Reverted


@contextlib.contextmanager
def expect_revert(name: str | None = None, **arguments: Any) -> Iterator[_Expected]:
    """Check that the block reverts, with this error and these arguments where they are given.

    Raises:
        AssertionError: the block did not revert, or not like that.
    """
    expected = _Expected()
    try:
        yield expected
    except Reverted as error:
        expected.error = error
        if name is not None and error.name != name:
            raise AssertionError(f"expected {name}, got {error}") from error
        for key, value in arguments.items():
            if key not in error.arguments or error.arguments[key] != value:
                raise AssertionError(f"expected {key}={value!r}, got {error}") from error
    else:
        raise AssertionError(f"expected {name or 'a revert'}, and nothing reverted")


def _hex(data: bytes | str) -> str:
    return data if isinstance(data, str) else "0x" + bytes(data).hex()
