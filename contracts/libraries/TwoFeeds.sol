// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IPriceOracle} from "../../interfaces/IPriceOracle.sol";

/// @title One index price from two observations
library TwoFeeds {
    uint256 private constant PPM = 1e6;

    /// @notice The reading that two observations amount to; see `IPriceOracle.read`.
    /// @param a first price, WAD, below 2^136; 0 if that feed is not usable
    /// @param aTime when it was observed
    /// @param b second price, likewise
    /// @param bTime when that was observed
    /// @param referencePrice WAD, 0 for none; below 2^232
    /// @param maxDeviation largest distance of the two prices at which they agree, 1e-6 of the smaller one
    /// @param maxJump largest distance from the reference at which the level is kept, 1e-6 of the reference
    function combine(
        uint256 a,
        uint256 aTime,
        uint256 b,
        uint256 bTime,
        uint256 referencePrice,
        uint256 maxDeviation,
        uint256 maxJump
    ) internal pure returns (uint256 price, uint256 observedAt, IPriceOracle.Validity validity) {
        // from here on a is the smaller one
        if (a > b) (a, aTime, b, bTime) = (b, bTime, a, aTime);
        if (a == 0) {
            // a single feed has nobody to vouch for a jump
            if (b == 0 || _isJump(b, referencePrice, maxJump)) return (0, 0, IPriceOracle.Validity.Invalid);
            return (b, bTime, IPriceOracle.Validity.Reduced);
        }
        unchecked {
            uint256 gap = b - a;
            // agree if (b - a) / a <= maxDeviation
            if (gap * PPM > a * maxDeviation) {
                // the nearer one; the smaller one if they are equally near or there is no reference
                (price, observedAt) =
                    _distance(a, referencePrice) <= _distance(b, referencePrice) ? (a, aTime) : (b, bTime);
                return (price, observedAt, IPriceOracle.Validity.Reduced);
            }
            // price = floor((a + b) / 2)
            price = a + gap / 2;
        }
        observedAt = aTime > bTime ? aTime : bTime;
        validity = _isJump(price, referencePrice, maxJump) ? IPriceOracle.Validity.Reduced : IPriceOracle.Validity.Full;
    }

    /// @dev |price - reference| / reference > maxJump; no jump without a reference.
    function _isJump(uint256 price, uint256 referencePrice, uint256 maxJump) private pure returns (bool) {
        return referencePrice != 0 && _distance(price, referencePrice) * PPM > referencePrice * maxJump;
    }

    function _distance(uint256 x, uint256 y) private pure returns (uint256) {
        unchecked {
            return x > y ? x - y : y - x;
        }
    }
}
