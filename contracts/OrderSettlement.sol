// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {IMarginEngine} from "../interfaces/IMarginEngine.sol";
import {IMarginEngineTypes} from "../interfaces/IMarginEngineTypes.sol";
import {IOrderSettlement} from "../interfaces/IOrderSettlement.sol";
import {ISharedLock} from "../interfaces/ISharedLock.sol";
import {Guarded} from "./Guarded.sol";
import {AccountId} from "./libraries/AccountId.sol";
import {FixedPoint} from "./libraries/FixedPoint.sol";
import {NonceBook} from "./libraries/NonceBook.sol";

/// @title Signed orders: filling one, matching two, cancelling
/// @notice Who signed what, how much of it is left, and at which price it trades. Money, margin and the price band are
/// the engine's. The rules and their order are in docs/orders.md.
contract OrderSettlement is IOrderSettlement, EIP712, Guarded {
    using AccountId for bytes32;
    using NonceBook for NonceBook.Book;

    /// @dev An order that passed its checks.
    /// @param hash its EIP-712 digest
    /// @param filled how much of it was filled before, WAD
    /// @param minimum what the account's nonce book says at the order's nonce, likewise `states` and `state`
    struct Checked {
        bytes32 hash;
        uint256 filled;
        uint256 minimum;
        uint256 states;
        uint256 state;
    }

    bytes32 private constant ORDER_TYPEHASH = keccak256(
        "Order(bytes32 account,uint8 market,bool isBuy,bool reduceOnly,uint128 base,uint128 limitPrice,uint40 expiry,uint64 nonce)"
    );

    IMarginEngine internal immutable ENGINE;
    address internal immutable LIQUIDATOR;

    mapping(bytes32 account => NonceBook.Book) private _nonces;
    /// @dev Only of orders that are partly filled: a filled one is known by its nonce.
    mapping(bytes32 orderHash => uint256 base) private _filled;

    constructor(IMarginEngine engine_, address liquidator_, ISharedLock lock_) EIP712("Backstop", "1") Guarded(lock_) {
        ENGINE = engine_;
        LIQUIDATOR = liquidator_;
    }

    // ------------------------------------------------------------------ filling

    /// @inheritdoc IOrderSettlement
    function fill(Order memory maker, bytes calldata signature, bytes32 taker, uint256 base)
        external
        locked
        returns (uint256 filled)
    {
        if (taker.ownerOf() != msg.sender) revert NotOwner(taker, msg.sender);
        return _fillAgainst(maker, signature, taker, base, false);
    }

    /// @inheritdoc IOrderSettlement
    function fillLiquidation(Order memory maker, bytes calldata signature, bytes32 liquidated, uint256 base)
        external
        returns (uint256 filled)
    {
        if (msg.sender != LIQUIDATOR) revert NotLiquidator(msg.sender);
        _requireHeldByCaller();
        return _fillAgainst(maker, signature, liquidated, base, true);
    }

    /// @inheritdoc IOrderSettlement
    function matchOrders(
        Order memory maker,
        bytes calldata makerSignature,
        Order memory taker,
        bytes calldata takerSignature,
        uint256 base
    ) external locked returns (uint256 filled) {
        _requireCrossing(maker, taker);
        Checked memory checkedMaker = _check(maker, makerSignature);
        Checked memory checkedTaker = _check(taker, takerSignature);
        filled = _clip(maker, checkedMaker, base);
        filled = _clip(taker, checkedTaker, filled);
        _book(maker, checkedMaker, taker.account, filled, maker.limitPrice);
        _book(taker, checkedTaker, maker.account, filled, maker.limitPrice);
        _settle(maker, taker.account, filled, false);
    }

    function _fillAgainst(Order memory maker, bytes calldata signature, bytes32 taker, uint256 base, bool liquidation)
        private
        returns (uint256 filled)
    {
        if (maker.account == taker) revert SameAccount(taker);
        Checked memory checked = _check(maker, signature);
        filled = _clip(maker, checked, base);
        _book(maker, checked, taker, filled, maker.limitPrice);
        _settle(maker, taker, filled, liquidation);
    }

    function _settle(Order memory maker, bytes32 taker, uint256 base, bool liquidation) private {
        ENGINE.settleFill(
            IMarginEngineTypes.Fill({
                market: maker.market,
                makerIsBuyer: maker.isBuy,
                liquidation: liquidation,
                maker: maker.account,
                taker: taker,
                base: base,
                fillPrice: maker.limitPrice
            })
        );
    }

    // ------------------------------------------------------------------ cancelling

    /// @inheritdoc IOrderSettlement
    function cancel(bytes32 account, uint256 nonce) external whenFree {
        if (account.ownerOf() != msg.sender) revert NotOwner(account, msg.sender);
        if (nonce > type(uint64).max) revert NonceTooLarge(nonce);
        (uint256 minimum, uint256 states, uint256 state) = _openUsable(account, nonce);
        _nonces[account].write(nonce, minimum, states, state, NonceBook.CANCELLED);
        emit NonceCancelled(account, nonce);
    }

    /// @inheritdoc IOrderSettlement
    function cancelAll(bytes32 account, uint256 newMinimum) external whenFree {
        if (account.ownerOf() != msg.sender) revert NotOwner(account, msg.sender);
        if (newMinimum > type(uint64).max) revert NonceTooLarge(newMinimum);
        uint256 current = _nonces[account].minimum();
        if (newMinimum <= current) revert MinimumNonceNotRaised(current, newMinimum);
        _nonces[account].raise(uint64(newMinimum));
        emit MinimumNonceRaised(account, newMinimum);
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IOrderSettlement
    function hashOrder(Order memory order) public view returns (bytes32) {
        bytes32 typehash = ORDER_TYPEHASH;
        bytes32 structHash;
        // keccak256(typehash, the eight words of the order), laid out in free memory
        assembly ("memory-safe") {
            let start := mload(0x40)
            mstore(start, typehash)
            mcopy(add(start, 0x20), order, 0x100)
            structHash := keccak256(start, 0x120)
        }
        return _hashTypedDataV4(structHash);
    }

    /// @inheritdoc IOrderSettlement
    function orderStatus(Order memory order) external view whenFree returns (uint256 filled, Status status) {
        (uint256 minimum,, uint256 state) = _nonces[order.account].open(order.nonce);
        filled = _filled[hashOrder(order)];
        if (state == NonceBook.FILLED) {
            // a completed order leaves no amount behind; one that has an amount lost its nonce to another order
            return filled == 0 ? (order.base, Status.Filled) : (filled, Status.Cancelled);
        }
        if (state == NonceBook.CANCELLED || order.nonce < minimum) return (filled, Status.Cancelled);
        if (block.timestamp > order.expiry) return (filled, Status.Expired);
        return (filled, filled == 0 ? Status.Open : Status.PartlyFilled);
    }

    /// @inheritdoc IOrderSettlement
    function minimumNonce(bytes32 account) external view whenFree returns (uint256) {
        return _nonces[account].minimum();
    }

    // ------------------------------------------------------------------ checks and bookkeeping of one order

    function _requireCrossing(Order memory maker, Order memory taker) private pure {
        if (maker.market != taker.market) revert DifferentMarkets(maker.market, taker.market);
        if (maker.account == taker.account) revert SameAccount(taker.account);
        if (maker.isBuy == taker.isBuy) revert SameSide();
        (uint256 buyLimit, uint256 sellLimit) =
            maker.isBuy ? (maker.limitPrice, taker.limitPrice) : (taker.limitPrice, maker.limitPrice);
        if (buyLimit < sellLimit) revert NotCrossing(buyLimit, sellLimit);
    }

    /// @dev Time, nonce and signature, in this order.
    function _check(Order memory order, bytes calldata signature) private view returns (Checked memory) {
        bytes32 hash = hashOrder(order);
        if (block.timestamp > order.expiry) revert OrderExpired(hash, order.expiry);
        (uint256 minimum, uint256 states, uint256 state) = _openUsable(order.account, order.nonce);
        address owner = order.account.ownerOf();
        if (!_isSignedBy(owner, hash, signature)) revert InvalidSignature(hash, owner);
        return Checked(hash, state == NonceBook.PARTLY ? _filled[hash] : 0, minimum, states, state);
    }

    /// @dev The nonce's entry in the book, if orders with it can still be filled.
    function _openUsable(bytes32 account, uint256 nonce)
        private
        view
        returns (uint256 minimum, uint256 states, uint256 state)
    {
        (minimum, states, state) = _nonces[account].open(nonce);
        if (nonce < minimum) revert NonceBelowMinimum(account, nonce, minimum);
        if (state > NonceBook.PARTLY) revert NonceUsed(account, nonce);
    }

    /// @dev The key first, also for an owner with code: an EOA that delegates to code (EIP-7702) keeps its key, and a
    /// plain EOA is spared the look at its code. A contract has no key, so nobody signs for it that way.
    function _isSignedBy(address owner, bytes32 hash, bytes calldata signature) private view returns (bool) {
        (address recovered, ECDSA.RecoverError problem,) = ECDSA.tryRecoverCalldata(hash, signature);
        if (problem == ECDSA.RecoverError.NoError && recovered == owner) return true;
        return SignatureChecker.isValidERC1271SignatureNowCalldata(owner, hash, signature);
    }

    /// @dev base, clipped to what is left of the order and, if it is reduce-only, to the position it reduces.
    function _clip(Order memory order, Checked memory checked, uint256 base) private view returns (uint256) {
        base = FixedPoint.min(base, order.base - checked.filled);
        if (order.reduceOnly) {
            int256 size = ENGINE.positionSize(order.account, order.market);
            // a buy reduces a short, a sell a long
            if (order.isBuy ? size >= 0 : size <= 0) revert NothingToReduce(order.account, order.market);
            base = FixedPoint.min(base, FixedPoint.abs(size));
        }
        if (base == 0) revert NothingToFill(checked.hash);
        return base;
    }

    /// @dev A completed order marks its nonce and leaves no amount; a first part marks the nonce and starts the amount.
    function _book(Order memory order, Checked memory checked, bytes32 counterparty, uint256 base, uint256 price)
        private
    {
        uint256 filled = checked.filled + base;
        if (filled == order.base) {
            _mark(order, checked, NonceBook.FILLED);
            if (checked.filled != 0) delete _filled[checked.hash];
        } else {
            if (checked.state == NonceBook.FRESH) _mark(order, checked, NonceBook.PARTLY);
            _filled[checked.hash] = filled;
        }
        emit OrderFilled(checked.hash, order.account, counterparty, order.market, order.isBuy, base, price);
    }

    function _mark(Order memory order, Checked memory c, uint256 state) private {
        _nonces[order.account].write(order.nonce, c.minimum, c.states, c.state, state);
    }
}
