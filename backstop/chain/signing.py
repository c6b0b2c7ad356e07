"""Signed orders (EIP-712): the typed order, its digest, and signing it with a key.

Sources: EIP-712 for the encoding, `interfaces/IOrderSettlement.sol` for the order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eth_account import Account
from eth_utils import keccak, to_canonical_address, to_checksum_address

from backstop.model.orders import Order

__all__ = [
    "DOMAIN_TYPE",
    "ORDER_TYPE",
    "ORDER_TYPES",
    "Domain",
    "Order",
    "account_id",
    "as_tuple",
    "order_hash",
    "owner_of",
    "sign_digest",
    "sign_order",
    "typed_order",
]

ORDER_TYPE: Final = (
    "Order(bytes32 account,uint8 market,bool isBuy,bool reduceOnly,"
    "uint128 base,uint128 limitPrice,uint40 expiry,uint64 nonce)"
)
"""The struct as EIP-712 writes it; what wallets show."""

DOMAIN_TYPE: Final = (
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)

ORDER_TYPES: Final = {
    "Order": [
        {"name": "account", "type": "bytes32"},
        {"name": "market", "type": "uint8"},
        {"name": "isBuy", "type": "bool"},
        {"name": "reduceOnly", "type": "bool"},
        {"name": "base", "type": "uint128"},
        {"name": "limitPrice", "type": "uint128"},
        {"name": "expiry", "type": "uint40"},
        {"name": "nonce", "type": "uint64"},
    ]
}
"""The same for `eth_signTypedData_v4` and wallet libraries."""

_ORDER_TYPEHASH: Final = keccak(text=ORDER_TYPE)
_DOMAIN_TYPEHASH: Final = keccak(text=DOMAIN_TYPE)


@dataclass(frozen=True)
class Domain:
    """The settlement contract an order is meant for.

    Attributes:
        chain_id: EIP-155 chain number.
        verifying_contract: the settlement's address.
    """

    chain_id: int
    verifying_contract: str
    name: str = "Backstop"
    version: str = "1"

    @property
    def separator(self) -> bytes:
        """The EIP-712 domain separator."""
        return keccak(
            _DOMAIN_TYPEHASH
            + keccak(text=self.name)
            + keccak(text=self.version)
            + self.chain_id.to_bytes(32, "big")
            + to_canonical_address(self.verifying_contract).rjust(32, b"\0")
        )

    def typed(self) -> dict[str, object]:
        """The domain as wallet libraries take it."""
        return {
            "name": self.name,
            "version": self.version,
            "chainId": self.chain_id,
            "verifyingContract": self.verifying_contract,
        }


def as_tuple(order: Order) -> tuple[bytes, int, bool, bool, int, int, int, int]:
    """The fields in the order of the contract's struct."""
    return (
        order.account,
        order.market,
        order.is_buy,
        order.reduce_only,
        order.base,
        order.limit_price,
        order.expiry,
        order.nonce,
    )


def typed_order(order: Order) -> dict[str, object]:
    """The message as wallet libraries take it, for `ORDER_TYPES`."""
    fields = ORDER_TYPES["Order"]
    return {field["name"]: value for field, value in zip(fields, as_tuple(order), strict=True)}


def account_id(owner: str, sub: int = 0) -> bytes:
    """The account number of `owner`'s subaccount `sub` (below 2^96)."""
    return to_canonical_address(owner) + sub.to_bytes(12, "big")


def owner_of(account: bytes) -> str:
    """The address that owns `account`."""
    if len(account) != 32:
        raise ValueError(f"an account number has 32 bytes, not {len(account)}")
    return to_checksum_address(account[:20])


def order_hash(order: Order, domain: Domain) -> bytes:
    """The digest that the owner signs; what `hashOrder` of the contract returns."""
    words = [
        value if isinstance(value, bytes) else int(value).to_bytes(32, "big")
        for value in as_tuple(order)
    ]
    struct_hash = keccak(_ORDER_TYPEHASH + b"".join(words))
    return keccak(b"\x19\x01" + domain.separator + struct_hash)


def sign_digest(digest: bytes, private_key: bytes) -> bytes:
    """A 65-byte signature (r, s, v) of a digest, with low s."""
    return bytes(Account.unsafe_sign_hash(digest, private_key).signature)


def sign_order(order: Order, private_key: bytes, domain: Domain) -> bytes:
    """The owner's signature of `order`: 65 bytes (r, s, v)."""
    return sign_digest(order_hash(order, domain), private_key)
