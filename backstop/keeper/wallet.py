"""Who signs a keeper's transactions: a private key, or an account of ape's."""

from __future__ import annotations

from typing import Any, Protocol

from eth_account import Account
from eth_utils import keccak

from backstop.harness.abi import address_of, checksum


class Wallet(Protocol):
    """An address, and signed transactions of it."""

    @property
    def address(self) -> str:
        """Who sends."""
        ...

    def sign(self, fields: dict[str, Any]) -> bytes:
        """The transaction of EIP-1559 fields (as in `Account.sign_transaction`), ready to send."""
        ...


class KeyWallet:
    """Signs with a private key."""

    def __init__(self, private_key: bytes) -> None:
        self._key = private_key
        self.address = str(Account.from_key(private_key).address)

    def sign(self, fields: dict[str, Any]) -> bytes:
        """The signed transaction."""
        return bytes(Account.sign_transaction(fields, self._key).raw_transaction)


class ApeWallet:
    """Signs with an account of ape's: test account, key file, hardware wallet.

    A key file's passphrase is asked for once, or taken from APE_ACCOUNTS_<alias>_PASSPHRASE.
    """

    def __init__(self, account: Any, ecosystem: Any) -> None:
        self._account, self._ecosystem = account, ecosystem
        self.address = checksum(address_of(account))

    def sign(self, fields: dict[str, Any]) -> bytes:
        """The signed transaction."""
        transaction = self._ecosystem.create_transaction(
            type=2,
            chainId=fields["chainId"],
            nonce=fields["nonce"],
            to=fields["to"],
            value=fields["value"],
            data=fields["data"],
            gas=fields["gas"],
            maxFeePerGas=fields["maxFeePerGas"],
            maxPriorityFeePerGas=fields["maxPriorityFeePerGas"],
        )
        signed = self._account.sign_transaction(transaction)
        if signed is None:
            raise PermissionError(f"{self.address} did not sign the transaction")
        return bytes(signed.serialize_transaction())


def hash_of(raw: bytes) -> str:
    """The hash by which a node knows a signed transaction."""
    return "0x" + keccak(raw).hex()
