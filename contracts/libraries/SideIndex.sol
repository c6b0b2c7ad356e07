// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPoint} from "./FixedPoint.sol";

/// @title The side index: funding, deleveraging and loss sharing for all positions of a side in O(1)
/// @notice A market has two sides. A side keeps a size factor `A`, a quote per unit of basis `K` and the exact sum `B` of
/// its positions' basis. A position stores its coordinates in that frame, `(basis, quoteAtZero)`, in one slot, and is now
///
///     size  = basis * A / ONE                       long: rounded down   short: rounded up
///     quote = quoteAtZero + floor(basis * K / (ONE * WAD))
///
/// An event that treats all positions of a side alike changes `A` and `K` only:
///
///     each position gets a quote amount, T for the whole side:   K += T * ONE * WAD / B
///     each position shrinks, x for the whole side:               A -= x * ONE / B
///
/// Because `B` is an exact sum and not an estimate, what a side pays or gets in all is known before any position is
/// touched, so the two sides of a transfer can be rounded against each other and nothing is ever minted
/// (docs/laws.md; docs/decisions/0001-basis-index.md says how this differs from the design's first form).
/// Rounding: longs' size factor down, shorts' up; payers are charged up, receivers credited down.
library SideIndex {
    using FixedPoint for uint256;

    /// @notice Size factor of a fresh side.
    uint256 internal constant ONE = 1e21;
    /// @notice Below this size factor a side only accepts fills that reduce it, until it is empty.
    uint256 internal constant A_MIN = 1e13;
    /// @notice Unit of `K`: quote (WAD) per basis unit.
    uint256 internal constant K_UNIT = ONE * 1e18;
    /// @notice Bound of |K|; a charge that would pass it is refused by `roomForCharge` and recorded instead.
    uint256 internal constant K_MAX = uint256(uint160(type(int160).max));

    /// @notice An epoch has 23 bits, because a position's tag holds it twice; the side's own word has one left over, which
    /// says that deferred claims are open (`FairWindows`).
    uint256 internal constant EPOCH_MASK = 0x7fffff;

    /// @dev One storage slot.
    struct Side {
        uint72 A;
        int160 K;
        uint24 epoch; // and `EPOCH_MASK + 1` while deferred claims of the side are open
    }

    /// @dev One storage slot.
    struct Position {
        uint112 basis;
        int120 quoteAtZero;
        uint24 tag; // epoch * 2 + (short ? 1 : 0): which side, and which of its epochs
    }

    /// @notice Size of `basis` on a side with factor `A`: longs down, shorts up.
    function sizeOf(uint256 basis, uint256 A, bool short) internal pure returns (uint256) {
        if (A == ONE) return basis;
        return short ? basis.mulDivUp(A, ONE) : basis.mulDivDown(A, ONE);
    }

    /// @notice Basis that represents `size` on a side with factor `A`: longs down, shorts up.
    function basisOf(uint256 size, uint256 A, bool short) internal pure returns (uint256) {
        if (A == ONE) return size;
        return short ? size.mulDivUp(ONE, A) : size.mulDivDown(ONE, A);
    }

    /// @notice Quote that belongs to a position now, rounded down.
    function quoteOf(uint256 basis, int256 quoteAtZero, int256 K) internal pure returns (int256) {
        return K == 0 ? quoteAtZero : quoteAtZero + basis.mulDivFloor(K, K_UNIT);
    }

    /// @notice Coordinate that represents `quote` for a new basis: the product is rounded up, so that reading it back can
    /// lose a wei and never gain one.
    function quoteAtZeroOf(uint256 basis, int256 quote, int256 K) internal pure returns (int256) {
        return K == 0 ? quote : quote - basis.mulDivCeil(K, K_UNIT);
    }

    /// @notice K after the side as a whole pays at least `total` quote.
    function payUp(int256 K, uint256 total, uint256 B) internal pure returns (int256) {
        return K - int256(total.mulDivUp(K_UNIT, B));
    }

    /// @notice K after the side as a whole gets at most `total` quote.
    function getDown(int256 K, uint256 total, uint256 B) internal pure returns (int256) {
        return K + int256(total.mulDivDown(K_UNIT, B));
    }

    /// @notice A after the side as a whole gives up `x` base: longs' rounded down, shorts' up; 0 when nothing is left.
    function shrink(uint256 A, uint256 x, uint256 B, bool short) internal pure returns (uint256) {
        uint256 cut = short ? x.mulDivDown(ONE, B) : x.mulDivUp(ONE, B);
        return cut >= A ? 0 : A - cut;
    }

    /// @notice Whether the side's K can take another `total` without leaving its type.
    function roomForCharge(int256 K, uint256 total, uint256 B) internal pure returns (bool) {
        return total.mulDivUp(K_UNIT, B) <= K_MAX - FixedPoint.abs(K);
    }
}
