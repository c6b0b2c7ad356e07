"""A client whose transactions go through ape: prepared, signed and waited for by its accounts.

As slow as ape is; it shows that what the fast ways play is what users of ape would see.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from backstop.chain.transport import ApeClient
from backstop.harness.abi import AbiRegistry, checksum
from backstop.harness.rpc import RpcClient, RpcError

__all__ = ["through_ape"]


class _Sender(ApeClient):
    """Sends what fails too, as the other ways do: its block counts."""

    def __init__(self, provider: Any, registry: AbiRegistry) -> None:
        super().__init__(provider, registry=registry)

    def _transact(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        account = self._account(checksum(str(request["from"])))
        transaction = self.provider.network.ecosystem.create_transaction(
            receiver=request["to"],
            data=bytes.fromhex(str(request["data"])[2:]),
            value=int(request.get("value", "0x0"), 16),
            gas_limit=int(request["gas"], 16),
            type=0,
            gas_price=0,
        )
        try:
            self.rpc("eth_call", request, "latest")
        except RpcError:
            # ape prints the trace of what fails, and cannot be asked not to: only signed by it
            signed = account.sign_transaction(account.prepare_transaction(transaction))
            sent = self.provider.web3.eth.send_raw_transaction(signed.serialize_transaction())
            return self._mined("0x" + bytes(sent).hex())
        return self._mined(account.call(transaction).txn_hash)

    def _account(self, address: str) -> Any:
        import ape

        return ape.accounts.test_accounts[address]


@contextmanager
def through_ape(client: RpcClient) -> Iterator[_Sender]:
    """A client of ape's on the node that `client` is connected to.

    The senders have to be ape's test accounts, or impersonated by the node.
    """
    import ape
    from ape.logging import logger

    before = os.environ.get("APE_FOUNDRY_HOST")
    os.environ["APE_FOUNDRY_HOST"] = client.url
    try:
        with (
            ape.networks.parse_network_choice("ethereum:local:foundry") as provider,
            logger.at_level("CRITICAL"),  # it logs every transaction, and every revert as an error
        ):
            yield _Sender(provider, client.registry)
    finally:
        if before is None:
            del os.environ["APE_FOUNDRY_HOST"]
        else:
            os.environ["APE_FOUNDRY_HOST"] = before
