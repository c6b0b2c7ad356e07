"""Who signed: keys, contract wallets, delegating accounts, and everything that looks like them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account
from order_world import WAD, OrderWorld

from backstop.chain.signing import (
    ORDER_TYPES,
    account_id,
    as_tuple,
    order_hash,
    owner_of,
    sign_order,
    typed_order,
)
from backstop.harness.anvil import private_key
from backstop.harness.rpc import Reverted

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def rejected(world: OrderWorld, order: Any, signature: bytes) -> None:
    with pytest.raises(Reverted, match=r"^InvalidSignature\("):
        world.fill(order, signature=signature, valid=False)


def test_the_signature_is_what_wallets_make(world: OrderWorld) -> None:
    """eth_signTypedData_v4 of a wallet and our helper agree."""
    order = world.order(reduce_only=True, nonce=12, base=3 * WAD)
    signed = Account.sign_typed_data(
        private_key(1), world.domain.typed(), ORDER_TYPES, typed_order(order)
    )
    assert bytes(signed.signature) == world.sign(order)


def test_the_contract_has_the_same_domain(world: OrderWorld) -> None:
    domain = world.settlement.eip712Domain()
    assert (domain.name, domain.version) == (world.domain.name, world.domain.version)
    assert domain.chainId == world.domain.chain_id
    assert domain.verifyingContract == world.settlement.address


def test_account_numbers() -> None:
    owner = "0x" + "ab" * 20
    assert account_id(owner, 5) == bytes.fromhex("ab" * 20) + (5).to_bytes(12, "big")
    assert owner_of(account_id(owner, 5)).lower() == owner
    with pytest.raises(ValueError):
        owner_of(b"\x01")
    with pytest.raises(OverflowError):
        account_id(owner, 2**96)


@pytest.mark.parametrize(
    "change",
    [
        {"market": 4},
        {"is_buy": False},
        {"reduce_only": True},
        {"base": WAD + 1},
        {"limit_price": 1},
        {"expiry": 2**40 - 2},
        {"nonce": 1},
    ],
)
def test_no_field_can_be_changed_after_signing(world: OrderWorld, change: dict[str, Any]) -> None:
    order = world.order()
    signature = world.sign(order)
    changed = replace(order, **change)
    world.place(changed.account, -WAD)
    rejected(world, changed, signature)


def test_nor_can_the_subaccount(world: OrderWorld) -> None:
    rejected(world, world.order(sub=1), world.sign(world.order()))


def test_the_wrong_signer(world: OrderWorld) -> None:
    order = world.order()
    rejected(world, order, world.sign(order, 6))


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": 1},
        {"verifying_contract": "0x" + "11" * 20},
        {"name": "Backstop2"},
        {"version": "2"},
    ],
)
def test_another_domain(world: OrderWorld, change: dict[str, Any]) -> None:
    order = world.order()
    rejected(world, order, sign_order(order, private_key(1), replace(world.domain, **change)))


def test_the_other_signature_of_the_same_key(world: OrderWorld) -> None:
    """(r, n - s, v') is valid ECDSA too; it is refused, and would not be a second order anyway."""
    order = world.order()
    good = world.sign(order)
    s = int.from_bytes(good[32:64], "big")
    flipped = good[:32] + (CURVE_ORDER - s).to_bytes(32, "big") + bytes([55 - good[64]])
    rejected(world, order, flipped)
    world.fill(order, signature=good)


@pytest.mark.parametrize("length", [0, 1, 64, 66])
def test_lengths(world: OrderWorld, length: int) -> None:
    order = world.order()
    rejected(world, order, (world.sign(order) + b"\0")[:length])


@pytest.mark.parametrize("v", [0, 1, 2, 26, 29, 255])
def test_recovery_numbers(world: OrderWorld, v: int) -> None:
    order = world.order()
    rejected(world, order, world.sign(order)[:64] + bytes([v]))


def test_nobody_owns_the_zero_address(world: OrderWorld) -> None:
    order = replace(world.order(), account=b"\0" * 32)
    rejected(world, order, b"\0" * 65)
    rejected(world, order, b"\0" * 64 + b"\x1b")


@pytest.mark.parametrize("number", range(1, 11))
def test_nobody_owns_a_precompile(world: OrderWorld, number: int) -> None:
    order = replace(world.order(), account=number.to_bytes(20, "big") + b"\0" * 12)
    rejected(world, order, b"\0" * 65)


# --- contract wallets


def wallet_order(world: OrderWorld) -> Any:
    return replace(world.order(), account=account_id(world.wallet.address))


def test_a_contract_wallet_signs_through_its_owner(world: OrderWorld) -> None:
    order = wallet_order(world)
    world.fill(order, WAD // 2)
    rejected(world, order, world.sign(order, 6))
    world.fill(order)


def test_a_contract_wallet_may_accept_any_bytes(world: OrderWorld) -> None:
    world.wallet.setMode(1, sender=world.users[0])
    world.fill(wallet_order(world), signature=b"", valid=True)


@pytest.mark.parametrize("mode", [2, 3, 4, 5, 6], ids=["no", "magic", "revert", "gas", "short"])
def test_wallets_that_misbehave(world: OrderWorld, mode: int) -> None:
    world.wallet.setMode(mode, sender=world.users[0])
    order = wallet_order(world)
    rejected(world, order, world.sign(order))


def test_a_wallet_cancels_as_itself(world: OrderWorld) -> None:
    order = wallet_order(world)
    call = world.settlement.cancel.encode(order.account, order.nonce)
    with pytest.raises(Reverted, match="NotOwner"):
        world.settlement.cancel(order.account, order.nonce, sender=world.users[3])
    world.wallet.execute(world.settlement.address, call, sender=world.users[3])
    world.twin.cancel(order.account, order.nonce, caller=order.account[:20])
    with pytest.raises(Reverted, match="NonceUsed"):
        world.fill(order)


@pytest.mark.parametrize("what", ["positionSize", "minimumNonce", "orderStatus", "fill", "holder"])
def test_a_wallet_sees_nothing_half_written(world: OrderWorld, what: str) -> None:
    """While it verifies, guarded views are shut, and it can change nothing."""
    order = wallet_order(world)
    settlement, engine = world.settlement, world.engine
    target, call = {
        "positionSize": (engine, engine.positionSize.encode(order.account, 3)),
        "minimumNonce": (settlement, settlement.minimumNonce.encode(order.account)),
        "orderStatus": (settlement, settlement.orderStatus.encode(as_tuple(order))),
        "fill": (
            settlement,
            settlement.fill.encode(as_tuple(order), b"", world.account(2), WAD),
        ),
        "holder": (world.lock, world.lock.holder.encode()),
    }[what]
    # the wallet approves only if the call fails; asking who holds the lock is allowed
    world.wallet.setProbe(target.address, call, what != "holder", sender=world.users[0])
    world.fill(order)


def test_an_account_that_delegates_to_code_keeps_its_key(world: OrderWorld) -> None:
    """EIP-7702: user 7 has code, and both its key and that code may sign."""
    user = world.users[7].address
    world.rpc.set_code(user, b"\xef\x01\x00" + bytes.fromhex(world.wallet.address[2:]))
    assert world.rpc.code(user)
    world.fill(world.order(7))
    # the wallet's code runs in the user's storage: its mode there is Honest, its owner user 3
    order = world.order(7, nonce=1)
    world.fill(order, signature=world.sign(order, 3))
    rejected(world, world.order(7, nonce=2), world.sign(world.order(7, nonce=2), 6))


def test_a_key_cannot_sign_for_a_contract(world: OrderWorld) -> None:
    order = replace(world.order(), account=account_id(world.engine.address))
    rejected(world, order, sign_order(order, private_key(1), world.domain))
    assert order_hash(order, world.domain) == world.settlement.hashOrder(as_tuple(order))
