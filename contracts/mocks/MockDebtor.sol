// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IShortfallClaimant} from "../../interfaces/IShortfallClaimant.sol";

/// @title A claimant with whatever open deficit a test wants
contract MockDebtor is IShortfallClaimant {
    mapping(uint256 market => uint256 assets) public openDeficit;

    function setOpenDeficit(uint256 market, uint256 assets) external {
        openDeficit[market] = assets;
    }
}
