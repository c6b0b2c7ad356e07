// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPoint} from "./FixedPoint.sol";

/// @title How much of a position is liquidated, at which discount and charge
/// @notice Pure functions; fractions are WAD unless named Ppm. Source: DESIGN section 3.
library LiquidationMath {
    using FixedPoint for uint256;

    uint256 private constant PPM_TO_WAD = 1e12;
    /// @notice Part of the budget that is never spent: it pays for the rounding of the amounts that follow from it.
    uint256 private constant ROUNDING_RESERVE = 1e9;

    /// @notice What a step may cost the account, of its notional, so that health does not fall, rounded down:
    ///
    ///     discount + surcharge + reward <= mmf * equity / maintenance,   mmf = positionMargin / positionNotional
    function budgetDown(uint256 equity, uint256 maintenance, uint256 positionMargin, uint256 positionNotional)
        internal
        pure
        returns (uint256 budget)
    {
        budget = positionMargin.mulDivDown(equity, maintenance).mulDivDown(FixedPoint.WAD, positionNotional);
        budget -= (budget + ROUNDING_RESERVE - 1) / ROUNDING_RESERVE;
    }

    /// @notice Discount of a take-over before the budget caps it; it grows with unhealthiness and with time:
    ///
    ///     discount = min + (max - min) * min(1, (1 - equity / maintenance) + elapsed / ramp)      rounded down
    function discountDown(
        uint256 equity,
        uint256 maintenance,
        uint256 minPpm,
        uint256 maxPpm,
        uint256 elapsed,
        uint256 ramp
    ) internal pure returns (uint256) {
        uint256 progress = FixedPoint.WAD - equity.mulDivUp(FixedPoint.WAD, maintenance)
            + elapsed.mulDivDown(FixedPoint.WAD, ramp);
        progress = FixedPoint.min(progress, FixedPoint.WAD);
        return minPpm * PPM_TO_WAD + (maxPpm - minPpm) * PPM_TO_WAD * progress / FixedPoint.WAD;
    }

    /// @notice Notional whose closing restores the target health t, rounded up; `type(uint256).max` means all of it.
    ///
    ///     n = (t * maintenance - equity) / (t * mmf - discount - charge)
    function notionalUp(
        uint256 equity,
        uint256 maintenance,
        uint256 positionMargin,
        uint256 positionNotional,
        uint256 targetPpm,
        uint256 cost
    ) internal pure returns (uint256) {
        uint256 missing = maintenance.mulDivUp(targetPpm, FixedPoint.PPM) - equity;
        uint256 relief = positionMargin.mulDivDown(targetPpm * PPM_TO_WAD, positionNotional);
        if (relief <= cost) return type(uint256).max;
        return missing.mulDivUp(FixedPoint.WAD, relief - cost);
    }

    /// @notice Base that `notional` is worth at the mark, rounded up; all of it stays all of it.
    function baseUp(uint256 notional, uint256 markPrice) internal pure returns (uint256) {
        return notional == type(uint256).max ? notional : notional.mulDivUp(FixedPoint.WAD, markPrice);
    }

    /// @notice Base of one step: `enough`, but not above the market's step, and the whole position where less than the
    /// smallest position would be left.
    function stepBase(uint256 enough, uint256 size, uint256 markPrice, uint256 maxStep, uint256 minBase)
        internal
        pure
        returns (uint256 base)
    {
        base = FixedPoint.min(enough, baseUp(maxStep * FixedPoint.WAD, markPrice));
        if (base < minBase) base = minBase;
        if (base >= size || size - base < minBase) base = size;
    }
}
