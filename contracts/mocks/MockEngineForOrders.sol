// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IMarginEngineTypes} from "../../interfaces/IMarginEngineTypes.sol";
import {ISharedLock} from "../../interfaces/ISharedLock.sol";
import {Guarded} from "../Guarded.sol";

/// @title What order settlement sees of the engine, under the test's control: it records fills and has any position
/// @notice Unit tests of the settlement use it to place positions freely and to be called back in the middle of a fill.
contract MockEngineForOrders is Guarded {
    error Refused();

    IMarginEngineTypes.Fill[] private _fills;
    mapping(bytes32 account => mapping(uint256 market => int256)) private _sizes;
    bool public refuses;
    address public callTarget;
    bytes public callData;
    bool public callSucceeded;
    bytes public callResult;

    constructor(ISharedLock lock_) Guarded(lock_) {}

    function setPosition(bytes32 account, uint256 market, int256 size) external {
        _sizes[account][market] = size;
    }

    function setRefuses(bool refuses_) external {
        refuses = refuses_;
    }

    /// @notice What `settleFill` calls while the settlement holds the lock.
    function setCall(address target, bytes calldata data) external {
        (callTarget, callData) = (target, data);
    }

    function positionSize(bytes32 account, uint256 market) external view whenFree returns (int256) {
        return _sizes[account][market];
    }

    function settleFill(IMarginEngineTypes.Fill calldata fill) external {
        if (refuses) revert Refused();
        _fills.push(fill);
        int256 change = fill.makerIsBuyer ? int256(fill.base) : -int256(fill.base);
        _sizes[fill.maker][fill.market] += change;
        _sizes[fill.taker][fill.market] -= change;
        if (callTarget != address(0)) (callSucceeded, callResult) = callTarget.call(callData);
    }

    function fillCount() external view returns (uint256) {
        return _fills.length;
    }

    function fillAt(uint256 index) external view returns (IMarginEngineTypes.Fill memory) {
        return _fills[index];
    }
}
