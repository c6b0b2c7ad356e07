// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {SurchargeCurve} from "../../../contracts/libraries/SurchargeCurve.sol";

/// @notice The curve never rises with the ratio: c(r) >= c(r + 1) for every r, so by induction for every pair.
/// @custom:domain base < 2^112, every curve that passes `check`, every ratio
contract CurveNeverRises {
    function prove(uint112 base, uint256 ratio, uint256 cap, uint256 floor) external pure {
        require(floor <= 1e18 && cap >= 1e18 && cap <= 1000e18); // what `check` lets through
        require(ratio < type(uint256).max);
        assert(uint256(base) * cap >= uint256(base) * 1e18);
        assert(uint256(base) * floor <= uint256(base) * 1e18);
        uint256 here = SurchargeCurve.surchargeUp(base, ratio, cap, floor);
        uint256 next = SurchargeCurve.surchargeUp(base, ratio + 1, cap, floor);
        assert(here >= next);
    }
}

/// @notice The curve has no step: one unit of the ratio (10^-18) moves it by at most the steepest slope's
/// base * max(2 (cap - 1), 5 (1 - floor)) * 10^-18, and the one that rounding adds.
/// @custom:domain base < 2^112, every curve that passes `check`, every ratio
contract CurveIsContinuous {
    function prove(uint112 base, uint256 ratio, uint256 cap, uint256 floor) external pure {
        require(floor <= 1e18 && cap >= 1e18 && cap <= 1000e18); // what `check` lets through
        require(ratio < type(uint256).max);
        uint256 here = SurchargeCurve.surchargeUp(base, ratio, cap, floor);
        uint256 next = SurchargeCurve.surchargeUp(base, ratio + 1, cap, floor);
        uint256 steepest = 2 * (cap - 1e18) > 5 * (1e18 - floor) ? 2 * (cap - 1e18) : 5 * (1e18 - floor);
        if (here > next) assert((here - next - 1) * 1e36 < base * steepest);
    }
}

/// @notice The two ends: the cap at and below a ratio of 0.5, the floor at and above 1.2, the base itself at 1, all exact
/// but for rounding up.
/// @custom:domain base < 2^112, every curve that passes `check`
contract CurveMeetsItsEnds {
    function prove(uint112 base, uint256 ratio, uint256 cap, uint256 floor) external pure {
        require(floor <= 1e18 && cap >= 1e18 && cap <= 1000e18); // what `check` lets through
        uint256 price = SurchargeCurve.surchargeUp(base, ratio, cap, floor);
        if (ratio <= 0.5e18) assert(price * 1e18 >= base * cap && price * 1e18 - base * cap < 1e18);
        if (ratio == 1e18) assert(price == base);
        if (ratio >= 1.2e18) assert(price * 1e18 >= base * floor && price * 1e18 - base * floor < 1e18);
    }
}
