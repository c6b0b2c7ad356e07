// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Guarded} from "../Guarded.sol";
import {ISharedLock} from "../../interfaces/ISharedLock.sol";

/// @title A member of the shared lock that calls what it is told to, with or without holding the lock
/// @dev Stands for the engine (a registered claimant) and the liquidator in tests of the fund.
contract MockLockMember is Guarded {
    constructor(ISharedLock lock_) Guarded(lock_) {}

    /// @notice Calls while holding the lock.
    function callLocked(address target, bytes calldata data) external locked returns (bytes memory) {
        return _call(target, data);
    }

    /// @notice Calls without touching the lock.
    function callFree(address target, bytes calldata data) external returns (bytes memory) {
        return _call(target, data);
    }

    function _call(address target, bytes calldata data) private returns (bytes memory returned) {
        bool success;
        (success, returned) = target.call(data);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(returned, 32), mload(returned))
            }
        }
    }
}
