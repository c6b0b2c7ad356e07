"""Signed orders as files, and who signs them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from eth_account import Account
from eth_account.messages import encode_typed_data

from backstop.chain.files import write_whole
from backstop.chain.format import full_account, parse_account
from backstop.chain.signing import (
    ORDER_TYPES,
    Domain,
    Order,
    order_hash,
    sign_order,
    typed_order,
)
from backstop.chain.units import UnitError, from_wad, parse_decimal, scaled
from backstop.harness.abi import address_of, checksum


class OrderFileError(ValueError):
    """A file that holds no signed order; the message says what is wrong and what to do."""


class Signer(Protocol):
    """Whoever owns an account: an address, and signatures of orders."""

    @property
    def address(self) -> str:
        """The owner."""
        ...

    def sign(self, order: Order, domain: Domain) -> bytes:
        """65 bytes (r, s, v), or what the owner's contract accepts."""
        ...


class KeySigner:
    """Signs with a private key (tests, simulations, keepers with a key of their own)."""

    def __init__(self, private_key: bytes) -> None:
        self._key = private_key
        self.address = str(Account.from_key(private_key).address)

    def sign(self, order: Order, domain: Domain) -> bytes:
        """The key's signature."""
        return sign_order(order, self._key, domain)


class AccountSigner:
    """Signs with an ape account: test account, key file, hardware wallet."""

    def __init__(self, account: Any) -> None:
        self.account = account
        self.address = checksum(address_of(account))

    def sign(self, order: Order, domain: Domain) -> bytes:
        """The account's EIP-712 signature; the wallet shows the order's fields."""
        message = encode_typed_data(
            domain_data=domain.typed(), message_types=ORDER_TYPES, message_data=typed_order(order)
        )
        signature = self.account.sign_message(message)
        if signature is None:
            raise OrderFileError("the order was not signed")
        return bytes(signature.encode_rsv())


@dataclass(frozen=True)
class SignedOrder:
    """An order with its owner's signature, and the deployment it is for."""

    order: Order
    signature: bytes
    domain: Domain

    @property
    def hash(self) -> bytes:
        """The digest that was signed."""
        return order_hash(self.order, self.domain)

    def to_dict(self) -> dict[str, Any]:
        """What a file holds: exact, in human units."""
        order = self.order
        return {
            "chainId": self.domain.chain_id,
            "settlement": self.domain.verifying_contract,
            "account": full_account(order.account),
            "market": order.market,
            "side": "buy" if order.is_buy else "sell",
            "reduceOnly": order.reduce_only,
            "size": f"{from_wad(order.base).normalize():f}",
            "limitPrice": f"{from_wad(order.limit_price).normalize():f}",
            "expiry": order.expiry,
            "nonce": order.nonce,
            "hash": "0x" + self.hash.hex(),
            "signature": "0x" + self.signature.hex(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], source: object = "the order") -> SignedOrder:
        """The order of `to_dict`; OrderFileError if a field is missing or wrong."""

        def get(key: str, kind: type) -> Any:
            value = data.get(key)
            if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
                wanted = {str: "a text", int: "a whole number", bool: "true or false"}[kind]
                raise OrderFileError(
                    f"{source}: {key} is {value!r}, not {wanted}: sign the order again"
                )
            return value

        try:
            side = get("side", str)
            if side not in ("buy", "sell"):
                raise ValueError(f"side is {side!r}, not buy or sell")
            order = Order(
                account=parse_account(get("account", str)),
                market=get("market", int),
                is_buy=side == "buy",
                base=scaled(parse_decimal(get("size", str)), 18),
                limit_price=scaled(parse_decimal(get("limitPrice", str)), 18),
                expiry=get("expiry", int),
                nonce=get("nonce", int),
                reduce_only=get("reduceOnly", bool),
            )
            domain = Domain(get("chainId", int), checksum(address_of(get("settlement", str))))
            signature = bytes.fromhex(get("signature", str).removeprefix("0x"))
            signed = cls(order, signature, domain)
            digest = "0x" + signed.hash.hex()
        except OrderFileError:
            raise
        except (UnitError, ValueError, TypeError, OverflowError) as error:
            raise OrderFileError(f"{source}: {error}: sign the order again") from None
        if data.get("hash") not in (None, digest):
            raise OrderFileError(
                f"{source}: the fields were changed after signing: sign the order again"
            )
        return signed

    def save(self, path: str | Path) -> None:
        """Write the order to a file, whole or not at all; OSError if it cannot be."""
        write_whole(Path(path), json.dumps(self.to_dict(), indent=2) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> SignedOrder:
        """The order of a file; OrderFileError if there is none."""
        try:
            data = json.loads(Path(path).read_text())
        except FileNotFoundError:
            raise OrderFileError(
                f"there is no file {path}: make one with `ape run sign_order`"
            ) from None
        except (OSError, ValueError) as error:
            raise OrderFileError(f"{path} is no order file: {error}") from None
        if not isinstance(data, Mapping):
            raise OrderFileError(f"{path} is no order file: a mapping of fields is expected")
        return cls.from_dict(data, path)
