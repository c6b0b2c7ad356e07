// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title Account numbers: the owner's address in the top 20 bytes, a subaccount number in the low 12
library AccountId {
    /// @notice The address that owns `account`.
    function ownerOf(bytes32 account) internal pure returns (address) {
        return address(bytes20(account));
    }
}
