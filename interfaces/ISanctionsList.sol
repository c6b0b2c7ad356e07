// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title A list of addresses that may not bring money in
interface ISanctionsList {
    function isSanctioned(address who) external view returns (bool);
}
