// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPoint} from "../../../contracts/libraries/FixedPoint.sol";

/// @notice r = floor(a * b / d), unsigned: r * d <= a * b < (r + 1) * d.
/// @custom:domain a < 2^112, b < 2^128, 0 < d < 2^112
contract DownIsFloor {
    function prove(uint112 a, uint128 b, uint112 d) external pure {
        require(d != 0);
        uint256 r = FixedPoint.mulDivDown(a, b, d);
        uint256 product = uint256(a) * b;
        assert(r * d <= product);
        assert(product - r * d < d);
    }
}

/// @notice r = ceil(a * b / d), unsigned: (r - 1) * d < a * b <= r * d.
/// @custom:domain a < 2^112, b < 2^128, 0 < d < 2^112
contract UpIsCeil {
    function prove(uint112 a, uint128 b, uint112 d) external pure {
        require(d != 0);
        uint256 r = FixedPoint.mulDivUp(a, b, d);
        uint256 product = uint256(a) * b;
        assert(r * d >= product);
        assert(r * d - product < d);
    }
}

/// @notice Signed floor goes towards minus infinity on both sides of zero: r * d <= a * b < (r + 1) * d.
/// @custom:domain a < 2^112, |b| < 2^127, 0 < d < 2^112
contract FloorIsTowardsMinusInfinity {
    function prove(uint112 a, int128 b, uint112 d) external pure {
        require(d != 0 && b != type(int128).min);
        int256 r = FixedPoint.mulDivFloor(a, b, d);
        int256 product = int256(uint256(a)) * b;
        int256 divisor = int256(uint256(d));
        assert(r * divisor <= product);
        assert(product - r * divisor < divisor);
    }
}

/// @notice Signed ceiling goes towards plus infinity on both sides of zero: (r - 1) * d < a * b <= r * d.
/// @custom:domain a < 2^112, |b| < 2^127, 0 < d < 2^112
contract CeilIsTowardsPlusInfinity {
    function prove(uint112 a, int128 b, uint112 d) external pure {
        require(d != 0 && b != type(int128).min);
        int256 r = FixedPoint.mulDivCeil(a, b, d);
        int256 product = int256(uint256(a)) * b;
        int256 divisor = int256(uint256(d));
        assert(r * divisor >= product);
        assert(r * divisor - product < divisor);
    }
}

/// @notice The test of an overflowing product in `mulDivDown` and `mulDivUp` is exact: the product modulo 2^256 divides
/// back if and only if it is the product.
/// @custom:domain all a > 0 and b of 256 bits; `high` is the product's upper word
contract OverflowTestIsExact {
    function prove(uint256 a, uint256 b, uint256 low) external pure {
        require(a != 0);
        unchecked {
            low = a * b;
        }
        bool fits = b <= type(uint256).max / a;
        assert((low / a == b) == fits);
    }
}
