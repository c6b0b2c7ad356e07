// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title A part of the engine that passes on what it does not know
/// @notice The next part runs by `delegatecall`: it shares state, address, caller and lock. Fixed at construction: there
/// is no upgrade.
abstract contract Delegating {
    address internal immutable NEXT;

    error NoCode(address part);

    constructor(address next) {
        if (next.code.length == 0) revert NoCode(next);
        NEXT = next;
    }

    fallback() external {
        address next = NEXT;
        assembly ("memory-safe") {
            let start := mload(0x40)
            calldatacopy(start, 0, calldatasize())
            let ok := delegatecall(gas(), next, start, calldatasize(), 0, 0)
            returndatacopy(start, 0, returndatasize())
            if iszero(ok) { revert(start, returndatasize()) }
            return(start, returndatasize())
        }
    }
}
