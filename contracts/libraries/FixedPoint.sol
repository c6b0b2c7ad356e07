// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Directed rounding for 18-decimal fixed point
/// @notice Every function says which way it rounds. `Down` is towards zero and exists for unsigned results only; `Floor`
/// is towards minus infinity, which Solidity's own signed division is not.
library FixedPoint {
    uint256 internal constant WAD = 1e18;
    uint256 internal constant PPM = 1e6;

    /// @notice floor(a * b / d); the product may exceed 256 bits. Reverts if d is 0.
    function mulDivDown(uint256 a, uint256 b, uint256 d) internal pure returns (uint256 result) {
        bool easy;
        assembly ("memory-safe") {
            result := mul(a, b)
            // easy: d != 0 and the product did not overflow (a == 0, or it divides back)
            easy := and(iszero(iszero(d)), or(iszero(a), eq(div(result, a), b)))
            result := div(result, d)
        }
        if (!easy) return Math.mulDiv(a, b, d);
    }

    /// @notice ceil(a * b / d); the product may exceed 256 bits. Reverts if d is 0.
    function mulDivUp(uint256 a, uint256 b, uint256 d) internal pure returns (uint256 result) {
        bool easy;
        assembly ("memory-safe") {
            let product := mul(a, b)
            easy := and(iszero(iszero(d)), or(iszero(a), eq(div(product, a), b)))
            result := add(div(product, d), iszero(iszero(mod(product, d))))
        }
        if (!easy) return Math.mulDiv(a, b, d, Math.Rounding.Ceil);
    }

    /// @notice floor(a * b / d) for a signed b: towards minus infinity.
    function mulDivFloor(uint256 a, int256 b, uint256 d) internal pure returns (int256) {
        return b >= 0 ? int256(mulDivDown(a, uint256(b), d)) : -int256(mulDivUp(a, uint256(-b), d));
    }

    /// @notice ceil(a * b / d) for a signed b: towards plus infinity.
    function mulDivCeil(uint256 a, int256 b, uint256 d) internal pure returns (int256) {
        return b >= 0 ? int256(mulDivUp(a, uint256(b), d)) : -int256(mulDivDown(a, uint256(-b), d));
    }

    /// @notice |x|
    function abs(int256 x) internal pure returns (uint256) {
        unchecked {
            return uint256(x < 0 ? -x : x);
        }
    }

    function min(uint256 a, uint256 b) internal pure returns (uint256) {
        return a < b ? a : b;
    }

    function max(int256 a, int256 b) internal pure returns (int256) {
        return a > b ? a : b;
    }
}
