// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPoint} from "./FixedPoint.sol";

/// @title The price of cover over the fund's solvency ratio
/// @notice c(SR) = base * ( cap                                  SR <= 0.5
///                          1 + (cap - 1)(1 - SR) / 0.5          0.5 < SR < 1
///                          1 - (1 - floor)(SR - 1) / 0.2        1 <= SR < 1.2
///                          floor                                SR >= 1.2 )
/// Continuous and never rising with SR. Everything but `base` is WAD; `base` may have any unit.
library SurchargeCurve {
    uint256 internal constant WAD = 1e18;
    uint256 private constant WAD_SQUARED = 1e36;
    uint256 internal constant RATIO_LOW = 0.5e18;
    uint256 internal constant RATIO_HIGH = 1.2e18;

    /// @notice The curve would rise somewhere: 0 <= floor <= 1 <= cap does not hold, or the cap is beyond all use.
    error InvalidCurve(uint256 cap, uint256 floor);

    /// @notice Largest multiple of the base that a curve may reach.
    uint256 internal constant MAX_CAP = 1_000e18;

    function check(uint256 cap, uint256 floor) internal pure {
        if (floor > WAD || cap < WAD || cap > MAX_CAP) revert InvalidCurve(cap, floor);
    }

    /// @notice The curve at these integers, rounded up once. `cap` and `floor` have passed `check`.
    function surchargeUp(uint256 base, uint256 ratio, uint256 cap, uint256 floor) internal pure returns (uint256) {
        if (ratio <= RATIO_LOW) return FixedPoint.mulDivUp(base, cap, WAD);
        if (ratio < WAD) return FixedPoint.mulDivUp(base, WAD_SQUARED + 2 * (cap - WAD) * (WAD - ratio), WAD_SQUARED);
        if (ratio < RATIO_HIGH) {
            return FixedPoint.mulDivUp(base, WAD_SQUARED - 5 * (WAD - floor) * (ratio - WAD), WAD_SQUARED);
        }
        return FixedPoint.mulDivUp(base, floor, WAD);
    }

    /// @notice Solvency ratio, rounded down: usable capital / target; no target means no shortage.
    function ratioDown(uint256 capital, uint256 target) internal pure returns (uint256) {
        return target == 0 ? type(uint256).max : FixedPoint.mulDivDown(capital, WAD, target);
    }
}
