// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPoint} from "./FixedPoint.sol";

/// @title Margin, funding and profit-lock formulas
/// @notice Pure functions of WAD amounts; rounding always against the account.
library MarginMath {
    using FixedPoint for uint256;

    /// @notice Seconds over which a premium of 1 is paid once.
    uint256 internal constant FUNDING_PERIOD = 8 hours;
    /// @notice Seconds after which the held premium has replaced the older average entirely, and after which a premium
    /// without new fills is not in force any more.
    uint256 internal constant PREMIUM_WINDOW = 1 hours;
    uint256 internal constant PPB = 1e9;

    /// @notice Initial and maintenance margin of one position.
    ///
    ///     scaled      = notional * (1 + notional / sizeScale)
    ///     maintenance = min(notional, scaled * fraction)
    ///     initial     = min(notional, scaled * (1 + slope * min(1, openInterest / cap)) * fraction)   each step rounded up
    ///
    /// so that a large position pays for its own exit and a crowded market cannot be entered at the base leverage. Open
    /// interest raises the initial margin only: others' trades must not make an account liquidatable. A cap of zero
    /// counts as reached.
    /// @param notional |size| * mark, WAD, rounded up
    /// @param openInterest base, WAD
    /// @param cap base, WAD
    /// @param sizeScale whole quote tokens
    function margins(
        uint256 notional,
        uint256 openInterest,
        uint256 cap,
        uint256 sizeScale,
        uint256 slopePpm,
        uint256 initialPpm,
        uint256 maintenancePpm
    ) internal pure returns (uint256 initial, uint256 maintenance) {
        if (notional == 0) return (0, 0);
        uint256 scale = sizeScale * FixedPoint.WAD;
        uint256 scaled = notional.mulDivUp(scale + notional, scale);
        maintenance = FixedPoint.min(notional, scaled.mulDivUp(maintenancePpm, FixedPoint.PPM));
        if (openInterest >= cap) {
            scaled = scaled.mulDivUp(FixedPoint.PPM + slopePpm, FixedPoint.PPM);
        } else {
            uint256 whole = cap * FixedPoint.PPM;
            scaled = scaled.mulDivUp(whole + slopePpm * openInterest, whole);
        }
        initial = FixedPoint.min(notional, scaled.mulDivUp(initialPpm, FixedPoint.PPM));
    }

    /// @notice What the paying side owes in all for `elapsed` seconds, rounded up.
    ///
    ///     payment = openInterest * mark * |premium| * elapsed / 8 h
    function fundingUp(uint256 openInterest, uint256 markPrice, uint256 premiumPpb, uint256 elapsed)
        internal
        pure
        returns (uint256)
    {
        return openInterest.mulDivUp(markPrice * premiumPpb * elapsed, FixedPoint.WAD * PPB * FUNDING_PERIOD);
    }

    /// @notice Time-weighted premium after `held` was in force for `elapsed` seconds, rounded towards minus infinity.
    function averagePremium(int256 average, int256 held, uint256 elapsed) internal pure returns (int256) {
        if (elapsed >= PREMIUM_WINDOW) return held;
        return average + FixedPoint.mulDivFloor(elapsed, held - average, PREMIUM_WINDOW);
    }

    /// @notice The mark after following `indexPrice` for `elapsed` seconds at most at the market's speed.
    ///
    ///     |mark' - mark| <= mark * speed * elapsed                          rounded down
    function follow(uint256 markPrice, uint256 indexPrice, uint256 speedPpb, uint256 elapsed)
        internal
        pure
        returns (uint256)
    {
        if (markPrice == 0) return indexPrice;
        uint256 step = markPrice * speedPpb * elapsed / PPB;
        if (indexPrice > markPrice) return indexPrice - markPrice > step ? markPrice + step : indexPrice;
        return markPrice - indexPrice > step ? markPrice - step : indexPrice;
    }

    /// @notice Locked profit now, rounded up: it falls linearly from `amount` at `start` to zero at `end`.
    function lockedUp(uint256 amount, uint256 start, uint256 end, uint256 time) internal pure returns (uint256) {
        return time >= end ? 0 : amount.mulDivUp(end - time, end - start);
    }

    /// @notice Seconds until two locked amounts, taken together, are free: their average weighted by amount, rounded up.
    /// The area under the release line is that of the two lines, so nothing is released earlier or later on the whole.
    function mergedRelease(uint256 left, uint256 secondsLeft, uint256 added, uint256 lockSeconds)
        internal
        pure
        returns (uint256)
    {
        uint256 total = left + added;
        return (left * secondsLeft + added * lockSeconds + total - 1) / total;
    }
}
