// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPoint} from "./FixedPoint.sol";

/// @title How much inventory fits under the caps, and what it is sold for
/// @notice Pure functions. Amounts are WAD, fractions WAD unless named Ppm. Source: docs/backstop-inventory.md.
library InventoryMath {
    using FixedPoint for uint256;

    uint256 private constant PPM_TO_WAD = 1e12;
    /// @dev Part of a floor that is never given away: it pays for rounding (see LiquidationMath).
    uint256 private constant ROUNDING_RESERVE = 1e9;

    /// @notice What may still be lost: the loss cap less what was lost, never below 0.
    ///
    ///     lost = max(0, invested - equity)
    function lossRoom(uint256 lossCap, uint256 invested, int256 equity) internal pure returns (uint256) {
        int256 lost = FixedPoint.max(int256(invested) - equity, 0);
        return lost < int256(lossCap) ? uint256(int256(lossCap) - lost) : 0;
    }

    /// @notice What stands between the inventory and its end: min(equity, room of the loss cap), never below 0.
    function cushion(uint256 lossCap, uint256 invested, int256 equity) internal pure returns (uint256) {
        return equity <= 0 ? 0 : FixedPoint.min(uint256(equity), lossRoom(lossCap, invested, equity));
    }

    /// @notice Base that may be taken on top of inventory `size`, rounded down.
    ///
    ///     most = min(notionalCap, cushion * 1e6 / marginPpm)                 notional afterwards
    ///     room = most / mark - |size|, or + |size| if the position is on the other side
    /// @param long whether the position that is offered is long
    function baseRoomDown(
        uint256 notionalCap,
        uint256 marginPpm,
        uint256 cushion_,
        uint256 markPrice,
        int256 size,
        bool long
    ) internal pure returns (uint256) {
        if (marginPpm == 0 || cushion_ == 0) return 0;
        uint256 most = FixedPoint.min(notionalCap, cushion_.mulDivDown(FixedPoint.PPM, marginPpm));
        uint256 base = most.mulDivDown(FixedPoint.WAD, markPrice);
        uint256 held = FixedPoint.abs(size);
        if (size == 0 || (size > 0) != long) return base + held;
        return base > held ? base - held : 0;
    }

    /// @notice The asking price per base: a line from the premium to the floor, never past the floor, rounded for the
    /// fund (up for long inventory, down for short).
    ///
    ///     discount = min(max, cushion / notional, (premium + max) * min(1, elapsed / time) - premium)
    ///     price    = mark * (1 - discount) for long inventory, mark * (1 + discount) for short
    ///
    /// The second bound keeps what is left over of the cushion in proportion to what is left of the inventory: a sale
    /// never brings the rest nearer to its end.
    function price(
        bool long,
        uint256 markPrice,
        uint256 premiumPpm,
        uint256 maxDiscountPpm,
        uint256 elapsed,
        uint256 time,
        uint256 cushion_,
        uint256 notional
    ) internal pure returns (uint256) {
        uint256 premium = premiumPpm * PPM_TO_WAD;
        uint256 fall = premium + maxDiscountPpm * PPM_TO_WAD;
        uint256 fallen = elapsed >= time ? fall : fall * elapsed / time;
        if (fallen <= premium) {
            uint256 above = premium - fallen;
            return long
                ? markPrice.mulDivUp(FixedPoint.WAD + above, FixedPoint.WAD)
                : markPrice.mulDivDown(FixedPoint.WAD - above, FixedPoint.WAD);
        }
        uint256 most = cushion_.mulDivDown(FixedPoint.WAD, notional);
        most -= (most + ROUNDING_RESERVE - 1) / ROUNDING_RESERVE;
        uint256 discount = FixedPoint.min(fallen - premium, most);
        return long
            ? markPrice.mulDivUp(FixedPoint.WAD - discount, FixedPoint.WAD)
            : markPrice.mulDivDown(FixedPoint.WAD + discount, FixedPoint.WAD);
    }

    /// @notice Time that an auction has run, after inventory changed from `before` to `afterwards`, rounded down:
    ///
    ///     elapsed' = elapsed * min(|before|, |afterwards|) / max(|before|, |afterwards|),  0 if the side changed
    ///
    /// New inventory starts at the top and old keeps its place, on average; what is sold takes its part of the fall with
    /// it. So neither dust taken nor dust bought moves the price, and nobody gains by buying in pieces.
    function elapsedDown(uint256 elapsed, int256 before, int256 afterwards) internal pure returns (uint256) {
        if (before == 0 || afterwards == 0 || (before ^ afterwards) < 0) return 0;
        (uint256 a, uint256 b) = (FixedPoint.abs(before), FixedPoint.abs(afterwards));
        return a < b ? elapsed.mulDivDown(a, b) : elapsed.mulDivDown(b, a);
    }
}
