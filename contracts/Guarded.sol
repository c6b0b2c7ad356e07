// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ISharedLock} from "../interfaces/ISharedLock.sol";

/// @title A contract under the shared lock
/// @notice `locked` is for entry points that move money; `whenFree` for views that feed a decision, and for entry points
/// that change a few words of their own and call nobody.
/// @dev The modifiers only call functions, so that a contract with many guarded functions stays small.
abstract contract Guarded {
    ISharedLock internal immutable LOCK;

    /// @param lock_ deployed before its members: the calls below do not look for its code again
    constructor(ISharedLock lock_) {
        if (address(lock_).code.length == 0) revert ISharedLock.NotALock(address(lock_));
        LOCK = lock_;
    }

    /// @notice The lock this contract is under.
    function lock() external view returns (ISharedLock) {
        return LOCK;
    }

    modifier locked() {
        _callLock(ISharedLock.acquire.selector);
        _;
        _callLock(ISharedLock.release.selector);
    }

    modifier whenFree() {
        _requireFree();
        _;
    }

    modifier whenHeldByCaller() {
        _requireHeldByCaller();
        _;
    }

    /// @dev Takes the lock or gives it back; passes its error on. A call by interface would look for the code
    /// of the lock every time.
    function _callLock(bytes4 selector) internal {
        ISharedLock target = LOCK;
        assembly ("memory-safe") {
            mstore(0, selector)
            if iszero(call(gas(), target, 0, 0, 4, 0, 0)) {
                let start := mload(0x40)
                returndatacopy(start, 0, returndatasize())
                revert(start, returndatasize())
            }
        }
    }

    /// @dev Reverts while a call is in flight, unless the question comes from inside of it: from the holder, or from
    /// another member, which got the call from the holder (a stranger cannot enter a member then).
    function _requireFree() internal view {
        address current = _lockHolder();
        if (current != address(0) && current != msg.sender && !LOCK.isMember(msg.sender)) {
            revert ISharedLock.Locked(current);
        }
    }

    /// @dev For entry points that the holder calls in the middle of its own work.
    function _requireHeldByCaller() internal view {
        address current = _lockHolder();
        if (current != msg.sender) revert ISharedLock.NotHolder(msg.sender, current);
    }

    /// @dev Who holds the lock, asked without decoding: it is a contract we know, and its answer is one word. It fails
    /// only when there is no gas left.
    function _lockHolder() internal view returns (address current) {
        ISharedLock target = LOCK;
        bytes4 selector = ISharedLock.holder.selector;
        assembly ("memory-safe") {
            mstore(0, selector)
            if iszero(staticcall(gas(), target, 0, 4, 0, 32)) { revert(0, 0) }
            current := mload(0)
        }
    }
}
