"""One way to reach a chain for everything above: the client of raw JSON-RPC, or ape in its place.

Both speak the same protocol (`call`, `send`, `code`, `rpc`), so contracts, typed clients and the
deployment are the same on a development node, in a fuzz campaign and on any network ape knows. With
ape the signing, the gas estimate and the provider are ape's; encoding and decoding stay strict.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from backstop.harness.abi import AbiRegistry, address_of, checksum
from backstop.harness.rpc import Contract, NodeError, Receipt, RpcClient, RpcError

__all__ = ["ApeClient", "Client", "Contract", "Receipt", "ask_all"]

Client = RpcClient
"""The transport protocol, by its first implementation."""


class ApeClient(RpcClient):
    """The same client over an ape provider; transactions are signed by ape's accounts.

    Args:
        provider: a connected provider of ape's (`networks.active_provider`).
        accounts: ape accounts that may send; more can be added by `add`.
        registry: decodes errors and events.
    """

    def __init__(self, provider: Any, *accounts: Any, registry: AbiRegistry | None = None) -> None:
        # not RpcClient's constructor: the connection is the provider's
        self.provider = provider
        self.url = str(getattr(provider, "uri", "") or provider.name)
        self.registry = registry if registry is not None else AbiRegistry()
        self.gas_price = None
        self._accounts: dict[str, Any] = {}
        for account in accounts:
            self.add(account)

    def add(self, account: Any) -> str:
        """Let an ape account send transactions; returns its address."""
        address = checksum(address_of(account))
        self._accounts[address] = account
        return address

    def close(self) -> None:
        """Nothing to close: the connection belongs to ape."""

    def rpc(self, method: str, *params: Any) -> Any:
        """One request through the provider; RpcError and NodeError as the raw client raises."""
        try:
            answer = self.provider.web3.provider.make_request(method, list(params))
        except Exception as error:
            # requests, web3 and aiohttp each have their own; none of them is an answer
            raise NodeError(f"no answer from {self.url} to {method}: {error!r}") from error
        if error_ := answer.get("error"):
            if not isinstance(error_, Mapping):
                raise RpcError(0, str(error_))
            raise RpcError(
                error_.get("code", 0), str(error_.get("message", "")), error_.get("data")
            )
        return answer["result"]

    def _transact(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        sender = checksum(str(request["from"]))
        account = self._accounts.get(sender)
        if account is None:
            raise TypeError(f"no account of ape's to sign for {sender}: add it to the client")
        # first as a call: what fails costs no signature and no gas, and its revert data is complete
        trial = {key: request[key] for key in ("from", "to", "data", "value") if key in request}
        self.rpc("eth_call", trial, "latest")
        fields: dict[str, Any] = {"data": bytes.fromhex(str(request["data"])[2:])}
        if "to" in request:
            fields["receiver"] = request["to"]
        if "value" in request:
            fields["value"] = int(request["value"], 16)
        transaction = self.provider.network.ecosystem.create_transaction(**fields)
        receipt = account.call(transaction)
        return self._mined(receipt.txn_hash)

    def _mined(self, transaction: str) -> Mapping[str, Any]:
        deadline = time.monotonic() + 30
        while (found := self.rpc("eth_getTransactionReceipt", transaction)) is None:
            if time.monotonic() > deadline:
                raise NodeError(f"{transaction} has no receipt on {self.url}")
            time.sleep(0.2)
        receipt: Mapping[str, Any] = _plain(found)
        return receipt


_TOGETHER: Final = 100
"""Requests of one batch: enough to save time, few enough for every node's limit."""

Request = tuple[str, Sequence[Any]]
"""A method and its parameters."""


def ask_all(client: Client, requests: Sequence[Request]) -> list[Any]:
    """The results of many requests in their order, a batch at a time; an RpcError in place of one.

    A node that does not take a batch, and ape's connection, are asked one by one: the requests have
    to be harmless twice.

    Raises:
        NodeError: the node does not answer.
    """
    results: list[Any] = []
    for start in range(0, len(requests), _TOGETHER):
        results += _ask(client, requests[start : start + _TOGETHER])
    return results


def _ask(client: Client, requests: Sequence[Request]) -> list[Any]:
    if len(requests) > 1 and not isinstance(client, ApeClient):
        body = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
            for number, (method, params) in enumerate(requests)
        ]
        answers: Any = None
        with contextlib.suppress(NodeError, ValueError):  # some providers answer with a web page
            answers = json.loads(client._post(json.dumps(body).encode(), "a batch"))
        if isinstance(answers, list) and len(answers) == len(requests):
            by_number = {answer["id"]: answer for answer in answers}
            return [_result(by_number[number]) for number in range(len(requests))]
    return [_one(client, method, params) for method, params in requests]


def _result(answer: Mapping[str, Any]) -> Any:
    if (error := answer.get("error")) is None:
        return answer["result"]
    return RpcError(error.get("code", 0), str(error.get("message", "")), error.get("data"))


def _one(client: Client, method: str, params: Sequence[Any]) -> Any:
    try:
        return client.rpc(method, *params)
    except RpcError as error:
        return error


def _plain(value: Any) -> Any:
    """web3's attribute dictionaries and byte strings as JSON would have them."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return value
