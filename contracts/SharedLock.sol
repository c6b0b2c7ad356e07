// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ISharedLock} from "../interfaces/ISharedLock.sol";

/// @title The reentrancy lock that all contracts of a deployment share
/// @notice Its members are fixed at construction. They are deployed after it, so their addresses are computed from the
/// deployer's nonce beforehand. The only state is one transient word: there is nothing to configure and nothing to own.
contract SharedLock is ISharedLock {
    address internal immutable ENGINE;
    address internal immutable SETTLEMENT;
    address internal immutable LIQUIDATOR;
    address internal immutable FUND;
    address internal immutable SPARE;

    /// @dev The holder's address. A whole word, so that writing it does not read what else is in the word.
    uint256 private transient _holder;

    /// @param members engine, settlement, liquidator, fund and one spare; unused ones are zero
    constructor(address[5] memory members) {
        // nobody must be a member because a place is empty; the lock itself calls nobody
        for (uint256 i; i < 5; ++i) {
            if (members[i] == address(0)) members[i] = address(this);
        }
        ENGINE = members[0];
        SETTLEMENT = members[1];
        LIQUIDATOR = members[2];
        FUND = members[3];
        SPARE = members[4];
    }

    /// @inheritdoc ISharedLock
    function acquire() external {
        if (_holder != 0) revert Locked(holder());
        if (!isMember(msg.sender)) revert NotMember(msg.sender);
        _holder = uint160(msg.sender);
    }

    /// @inheritdoc ISharedLock
    function release() external {
        // only a member can be the holder, so there is no need to look at the members again
        if (_holder != uint160(msg.sender)) revert NotHolder(msg.sender, holder());
        _holder = 0;
    }

    /// @inheritdoc ISharedLock
    function holder() public view returns (address) {
        return address(uint160(_holder));
    }

    /// @inheritdoc ISharedLock
    function isMember(address caller) public view returns (bool) {
        return caller == ENGINE || caller == SETTLEMENT || caller == LIQUIDATOR || caller == FUND || caller == SPARE;
    }
}
