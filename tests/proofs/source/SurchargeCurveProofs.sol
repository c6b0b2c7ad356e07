// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPoint} from "../../../contracts/libraries/FixedPoint.sol";
import {SurchargeCurve} from "../../../contracts/libraries/SurchargeCurve.sol";

/// @dev What the curve multiplies the base by, over 10^36.
library Numerator {
    function at(uint256 ratio, uint256 cap, uint256 floor) internal pure returns (uint256) {
        if (ratio <= 0.5e18) return cap * 1e18;
        if (ratio < 1e18) return 1e36 + 2 * (cap - 1e18) * (1e18 - ratio);
        if (ratio < 1.2e18) return 1e36 - 5 * (1e18 - floor) * (ratio - 1e18);
        return floor * 1e18;
    }
}

/// @notice The curve is one rounded quotient, ceil(base * N / 10^36), with N = 10^36 times the curve of the base 1 on every
/// piece.
/// @custom:domain base < 2^112, every curve that passes `check`, every ratio
contract CurveIsOneQuotient {
    function prove(uint112 base, uint256 ratio, uint256 cap, uint256 floor) external pure {
        require(floor <= 1e18 && cap >= 1e18 && cap <= 1000e18); // what `check` lets through
        uint256 price = SurchargeCurve.surchargeUp(base, ratio, cap, floor);
        assert(price == FixedPoint.mulDivUp(base, Numerator.at(ratio, cap, floor), 1e36));
    }
}

/// @notice N (of `CurveIsOneQuotient`) has no step: one unit of the ratio (10^-18) lowers it by at most the steepest slope,
/// max(2 (cap - 1), 5 (1 - floor)), and never raises it.
/// @custom:domain every curve that passes `check`, every ratio
contract NumeratorHasNoStep {
    function prove(uint256 ratio, uint256 cap, uint256 floor) external pure {
        require(floor <= 1e18 && cap >= 1e18 && cap <= 1000e18); // what `check` lets through
        require(ratio < type(uint256).max);
        uint256 here = Numerator.at(ratio, cap, floor);
        uint256 next = Numerator.at(ratio + 1, cap, floor);
        assert(here >= next);
        uint256 slope = 2 * (cap - 1e18) > 5 * (1e18 - floor) ? 2 * (cap - 1e18) : 5 * (1e18 - floor);
        assert(here - next <= slope);
    }
}

/// @notice A smaller numerator never costs more. With `CurveIsOneQuotient` and `NumeratorHasNoStep`: the curve never rises
/// with the ratio, c(r) >= c(r + 1) for every r, so by induction for every pair.
/// @custom:domain base < 2^112, numerators up to 10^39
contract CurveNeverRises {
    function prove(uint112 base, uint256 larger, uint256 smaller) external pure {
        require(larger <= 1e39 && smaller <= larger);
        assert(uint256(base) * smaller <= uint256(base) * larger);
        assert(FixedPoint.mulDivUp(base, larger, 1e36) >= FixedPoint.mulDivUp(base, smaller, 1e36));
    }
}

/// @notice Prices of numerators that are at most `slope` apart are less than base * slope / 10^36 apart, and the one that
/// rounding adds. With `CurveIsOneQuotient` and `NumeratorHasNoStep`: the curve is continuous, one unit of the ratio
/// moves it by at most base * max(2 (cap - 1), 5 (1 - floor)) * 10^-18, and the one.
/// @custom:domain base < 2^112, numerators up to 10^39, every slope up to 10^39
contract CurveIsContinuous {
    function prove(uint112 base, uint256 numerator, uint256 fall, uint256 slope) external pure {
        require(numerator <= 1e39 && fall <= numerator && fall <= slope && slope <= 1e39);
        uint256 here = FixedPoint.mulDivUp(base, numerator, 1e36);
        uint256 next = FixedPoint.mulDivUp(base, numerator - fall, 1e36);
        assert(uint256(base) * fall <= uint256(base) * slope);
        if (here > next) assert((here - next - 1) * 1e36 < uint256(base) * slope);
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
