// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPoint} from "../../../contracts/libraries/FixedPoint.sol";
import {InventoryMath} from "../../../contracts/libraries/InventoryMath.sol";

/// @notice What a change of the inventory leaves of the auction's time: none of it if the inventory was or is empty or
/// changed sides, else the part smaller / larger of it, rounded down (that this is never more: `ChangesNeverAgeTheAuction`).
/// @custom:domain elapsed < 2^128, sizes of 128 bits
contract AuctionTime {
    function check_a_change_keeps_the_smaller_part_of_the_time(uint128 elapsed, int128 before, int128 afterwards)
        external
        pure
    {
        uint256 left = InventoryMath.elapsedDown(elapsed, before, afterwards);
        if (before > 0 && afterwards > 0) {
            (uint256 a, uint256 b) = (uint256(int256(before)), uint256(int256(afterwards)));
            assert(left == (a < b ? FixedPoint.mulDivDown(elapsed, a, b) : FixedPoint.mulDivDown(elapsed, b, a)));
        } else if (before < 0 && afterwards < 0) {
            (uint256 a, uint256 b) = (uint256(-int256(before)), uint256(-int256(afterwards)));
            assert(left == (a < b ? FixedPoint.mulDivDown(elapsed, a, b) : FixedPoint.mulDivDown(elapsed, b, a)));
        } else {
            assert(left == 0);
        }
    }
}
