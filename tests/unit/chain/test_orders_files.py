"""Signed orders: signatures by key and by ape account, files, and what is changed in them."""

from __future__ import annotations

import json

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from backstop.chain.orders import AccountSigner, KeySigner, OrderFileError, SignedOrder
from backstop.chain.signing import ORDER_TYPES, Domain, Order, account_id, typed_order
from backstop.harness.anvil import account_address, private_key

DOMAIN = Domain(31337, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
KEY = private_key(1)


def order(**changes):
    values = {
        "account": account_id(account_address(1), 3),
        "market": 1,
        "is_buy": True,
        "base": 10**17,
        "limit_price": 60_000 * 10**18 + 1,
        "expiry": 2_000_000_000,
        "nonce": 2**64 - 1,
        "reduce_only": True,
    }
    return Order(**{**values, **changes})


def signed(**changes):
    one = order(**changes)
    return SignedOrder(one, KeySigner(KEY).sign(one, DOMAIN), DOMAIN)


def test_a_key_an_ape_account_and_a_wallet_library_sign_the_same(accounts):
    one = order()
    message = encode_typed_data(DOMAIN.typed(), ORDER_TYPES, typed_order(one))
    wallet = bytes(Account.sign_message(message, KEY).signature)
    assert KeySigner(KEY).sign(one, DOMAIN) == wallet
    assert AccountSigner(accounts[1]).sign(one, DOMAIN) == wallet
    assert KeySigner(KEY).address == AccountSigner(accounts[1]).address == account_address(1)


def test_an_account_that_does_not_sign_says_so():
    class Refusing:
        address = account_address(1)

        def sign_message(self, message):
            return None

    with pytest.raises(OrderFileError, match="not signed"):
        AccountSigner(Refusing()).sign(order(), DOMAIN)


def test_a_file_holds_the_order_exactly(tmp_path):
    one = signed()
    one.save(tmp_path / "order.json")
    assert SignedOrder.load(tmp_path / "order.json") == one
    data = json.loads((tmp_path / "order.json").read_text())
    assert data["side"] == "buy"
    assert data["size"] == "0.1"
    assert data["limitPrice"] == "60000.000000000000000001"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", "0.2"),
        ("limitPrice", "1"),
        ("side", "sell"),
        ("nonce", 5),
        ("expiry", 2_000_000_001),
        ("chainId", 1),
        ("reduceOnly", False),
    ],
)
def test_a_changed_field_is_noticed(field, value):
    data = {**signed().to_dict(), field: value}
    with pytest.raises(OrderFileError, match="changed after signing"):
        SignedOrder.from_dict(data, "order.json")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", 0.1),
        ("size", "1e3"),
        ("side", "hold"),
        ("account", "0x12"),
        ("market", "BTC"),
        ("market", True),
        ("expiry", None),
        ("signature", "0xzz"),
        ("settlement", "nowhere"),
        ("nonce", -1),
        ("nonce", 2**300),
    ],
)
def test_a_wrong_field_is_named(field, value):
    data = {**signed().to_dict(), field: value}
    with pytest.raises(OrderFileError, match=r"order\.json.*sign the order again"):
        SignedOrder.from_dict(data, "order.json")


def test_files_that_are_none(tmp_path):
    with pytest.raises(OrderFileError, match="ape run sign_order"):
        SignedOrder.load(tmp_path / "none.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(OrderFileError, match="no order file"):
        SignedOrder.load(tmp_path / "a.json")
    (tmp_path / "b.json").write_text("[1]")
    with pytest.raises(OrderFileError, match="mapping"):
        SignedOrder.load(tmp_path / "b.json")
