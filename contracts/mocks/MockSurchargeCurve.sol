// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {SurchargeCurve} from "../libraries/SurchargeCurve.sol";

/// @title The curve's functions, callable
contract MockSurchargeCurve {
    function check(uint256 cap, uint256 floor) external pure {
        SurchargeCurve.check(cap, floor);
    }

    function surchargeUp(uint256 base, uint256 ratio, uint256 cap, uint256 floor) external pure returns (uint256) {
        return SurchargeCurve.surchargeUp(base, ratio, cap, floor);
    }

    function ratioDown(uint256 capital, uint256 target) external pure returns (uint256) {
        return SurchargeCurve.ratioDown(capital, target);
    }
}
